//! Packages a film as HLS with ffmpeg, once: the result is kept in a folder named after the film.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::SystemTime;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

/// Length of a segment, in seconds.
const SEGMENT: u32 = 4;

/// Renditions to choose from: height in pixels, video in kbit/s.
const LADDER: [(u32, u32); 4] = [(1080, 4_500), (720, 2_400), (480, 1_100), (360, 600)];

/// Renditions at most.
const MAX_RENDITIONS: usize = 3;

/// Why a film was not packaged.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// ffmpeg or ffprobe is not installed.
    #[error(
        "{0} is needed to package a film and was not found: install it with `apt-get install ffmpeg`, or give a folder that holds HLS"
    )]
    Missing(&'static str),
    /// The program could not be run.
    #[error("could not run {0}: {1}")]
    Run(&'static str, std::io::Error),
    /// The file is no film that ffmpeg can read.
    #[error("{path} is no film that ffmpeg reads: {reason}")]
    NoFilm {
        /// The file.
        path: PathBuf,
        /// ffprobe's words.
        reason: String,
    },
    /// ffmpeg gave up.
    #[error("ffmpeg could not package the film: {0}")]
    Failed(String),
    /// The folder for the result could not be written.
    #[error("cannot write {0}: {1}")]
    Write(PathBuf, std::io::Error),
}

/// What a film is made of.
#[derive(Debug, Clone, PartialEq)]
struct Film {
    width: u32,
    height: u32,
    audio: bool,
    /// In seconds, 0 when unknown.
    duration: f64,
}

/// Packages `film` into a folder below `cache` and returns that folder; at once when it was done
/// before. `progress` is told a line now and then.
///
/// # Errors
///
/// ffmpeg is missing, cannot read the film, or the folder cannot be written.
pub async fn package(
    film: &Path,
    cache: &Path,
    progress: impl Fn(&str),
) -> Result<PathBuf, PackageError> {
    let folder = cache.join(format!("potluck-{:016x}", fingerprint(film)));
    if folder.join("done").is_file() {
        progress(&format!("{} was packaged before", film.display()));
        return Ok(folder);
    }
    let probed = probe(film).await?;
    let renditions = renditions(&probed);
    let write = |error| PackageError::Write(folder.clone(), error);
    if folder.exists() {
        tokio::fs::remove_dir_all(&folder).await.map_err(write)?;
    }
    tokio::fs::create_dir_all(&folder).await.map_err(write)?;
    progress(&format!("packaging {} in {} renditions", film.display(), renditions.len()));
    let mut ffmpeg = Command::new("ffmpeg")
        .args(arguments(film, &folder, &probed, &renditions))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| not_run("ffmpeg", error))?;
    let mut words = String::new();
    let mut errors = ffmpeg.stderr.take();
    let listen = async {
        if let Some(errors) = &mut errors {
            let _ = errors.read_to_string(&mut words).await;
        }
    };
    let report = async {
        let Some(output) = ffmpeg.stdout.take() else { return };
        let mut lines = BufReader::new(output).lines();
        let mut said = 0;
        while let Ok(Some(line)) = lines.next_line().await {
            let percent = percent(&line, probed.duration);
            if percent >= said + 5 {
                said = percent;
                progress(&format!("packaging: {percent} %"));
            }
        }
    };
    tokio::join!(listen, report);
    let status = ffmpeg.wait().await.map_err(|error| not_run("ffmpeg", error))?;
    if !status.success() {
        return Err(PackageError::Failed(last_line(&words)));
    }
    tokio::fs::write(folder.join("done"), "").await.map_err(write)?;
    Ok(folder)
}

fn not_run(program: &'static str, error: std::io::Error) -> PackageError {
    if error.kind() == std::io::ErrorKind::NotFound {
        PackageError::Missing(program)
    } else {
        PackageError::Run(program, error)
    }
}

fn last_line(words: &str) -> String {
    words.trim().lines().last().unwrap_or("it said nothing").trim().to_owned()
}

/// Names a film: another file, or the same one changed, has another name.
fn fingerprint(film: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    std::path::absolute(film).unwrap_or_else(|_| film.to_owned()).hash(&mut hasher);
    if let Ok(data) = std::fs::metadata(film) {
        data.len().hash(&mut hasher);
        data.modified().unwrap_or(SystemTime::UNIX_EPOCH).hash(&mut hasher);
    }
    hasher.finish()
}

async fn probe(film: &Path) -> Result<Film, PackageError> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-of", "json", "-show_entries"])
        .arg("stream=codec_type,width,height:stream_disposition=attached_pic:format=duration")
        .arg(film)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| not_run("ffprobe", error))?;
    let no_film =
        |reason: &str| PackageError::NoFilm { path: film.to_owned(), reason: reason.to_owned() };
    if !output.status.success() {
        return Err(no_film(&last_line(&String::from_utf8_lossy(&output.stderr))));
    }
    read_probe(&output.stdout).ok_or_else(|| no_film("it holds no video"))
}

fn read_probe(json: &[u8]) -> Option<Film> {
    #[derive(Deserialize)]
    struct Probe {
        #[serde(default)]
        streams: Vec<Stream>,
        format: Option<Format>,
    }
    #[derive(Deserialize)]
    struct Stream {
        #[serde(default)]
        codec_type: String,
        #[serde(default)]
        width: u32,
        #[serde(default)]
        height: u32,
        disposition: Option<Disposition>,
    }
    #[derive(Deserialize)]
    struct Disposition {
        #[serde(default)]
        attached_pic: u8,
    }
    #[derive(Deserialize)]
    struct Format {
        duration: Option<String>,
    }
    let probe: Probe = serde_json::from_slice(json).ok()?;
    // A cover picture is a video stream to ffmpeg.
    let video = probe.streams.iter().find(|stream| {
        let picture = stream.disposition.as_ref().is_some_and(|kind| kind.attached_pic != 0);
        stream.codec_type == "video" && !picture && stream.width > 0 && stream.height > 0
    })?;
    Some(Film {
        width: video.width,
        height: video.height,
        audio: probe.streams.iter().any(|stream| stream.codec_type == "audio"),
        duration: probe
            .format
            .and_then(|format| format.duration?.parse().ok())
            .filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0)
            .unwrap_or(0.0),
    })
}

/// Height and kbit/s of each rendition: none taller than the film.
fn renditions(film: &Film) -> Vec<(u32, u32)> {
    let mut list: Vec<(u32, u32)> =
        LADDER.into_iter().filter(|step| step.0 <= film.height).take(MAX_RENDITIONS).collect();
    if list.is_empty() {
        list.push((film.height & !1, 400));
    }
    list
}

fn arguments(
    film: &Path,
    folder: &Path,
    probed: &Film,
    renditions: &[(u32, u32)],
) -> Vec<std::ffi::OsString> {
    let mut list: Vec<std::ffi::OsString> = Vec::new();
    let mut add = |words: &[&str]| list.extend(words.iter().map(Into::into));
    add(&["-hide_banner", "-loglevel", "error", "-nostats", "-progress", "pipe:1", "-y", "-i"]);
    list.push(film.into());
    let mut add = |words: &[&str]| list.extend(words.iter().map(Into::into));
    let splits: String = (0..renditions.len()).map(|i| format!("[s{i}]")).collect();
    let scales: String = renditions
        .iter()
        .enumerate()
        .map(|(i, step)| format!(";[s{i}]scale=-2:{},format=yuv420p[v{i}]", step.0))
        .collect();
    // `V` leaves out cover pictures.
    add(&["-filter_complex", &format!("[0:V:0]split={}{splits}{scales}", renditions.len())]);
    let mut streams = Vec::new();
    for (i, (_, kbps)) in renditions.iter().enumerate() {
        add(&["-map", &format!("[v{i}]")]);
        add(&[&format!("-b:v:{i}"), &format!("{kbps}k")]);
        add(&[&format!("-maxrate:v:{i}"), &format!("{}k", kbps * 6 / 5)]);
        add(&[&format!("-bufsize:v:{i}"), &format!("{}k", kbps * 2)]);
        if probed.audio {
            add(&["-map", "0:a:0"]);
            streams.push(format!("v:{i},a:{i}"));
        } else {
            streams.push(format!("v:{i}"));
        }
    }
    add(&["-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-sc_threshold", "0"]);
    // A key frame at each segment's start, at the same times in all renditions.
    add(&["-force_key_frames", &format!("expr:gte(t,n_forced*{SEGMENT})")]);
    if probed.audio {
        add(&["-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "48000"]);
    }
    add(&["-f", "hls", "-hls_time", &SEGMENT.to_string(), "-hls_playlist_type", "vod"]);
    add(&["-hls_segment_type", "fmp4", "-hls_flags", "independent_segments"]);
    add(&["-hls_segment_options", "movflags=+negative_cts_offsets:use_editlist=0"]);
    add(&["-hls_fmp4_init_filename", "init.mp4", "-master_pl_name", "master.m3u8"]);
    add(&["-var_stream_map", &streams.join(" "), "-hls_segment_filename"]);
    list.push(folder.join("%v/%04d.m4s").into());
    list.push(folder.join("%v/index.m3u8").into());
    list
}

/// What share of the film a line of `-progress` says is done.
fn percent(line: &str, duration: f64) -> u32 {
    let micros = line.strip_prefix("out_time_us=").and_then(|value| value.parse::<f64>().ok());
    match micros {
        Some(micros) if duration > 0.0 => (micros / 1e4 / duration).clamp(0.0, 100.0) as u32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cover_picture_is_no_video() {
        let json = br#"{"streams":[
            {"codec_type":"video","width":600,"height":600,"disposition":{"attached_pic":1}},
            {"codec_type":"audio"}],"format":{"duration":"12.5"}}"#;
        assert_eq!(read_probe(json), None);
        let json = br#"{"streams":[{"codec_type":"video","width":640,"height":360}],"format":{}}"#;
        let film = Film { width: 640, height: 360, audio: false, duration: 0.0 };
        assert_eq!(read_probe(json), Some(film));
        assert_eq!(read_probe(b"{}"), None);
        assert_eq!(read_probe(b""), None);
    }

    #[test]
    fn no_rendition_is_taller_than_the_film() {
        let film = |height| Film { width: 100, height, audio: true, duration: 1.0 };
        assert_eq!(renditions(&film(2160)), [(1080, 4_500), (720, 2_400), (480, 1_100)]);
        assert_eq!(renditions(&film(500)), [(480, 1_100), (360, 600)]);
        assert_eq!(renditions(&film(241)), [(240, 400)]);
    }

    #[test]
    fn progress_is_a_share_of_the_duration() {
        assert_eq!(percent("out_time_us=5000000", 10.0), 50);
        assert_eq!(percent("out_time_us=N/A", 10.0), 0);
        assert_eq!(percent("out_time_us=5000000", 0.0), 0);
        assert_eq!(percent("frame=7", 10.0), 0);
    }
}
