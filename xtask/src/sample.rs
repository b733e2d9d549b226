//! Makes `demo/sample`: one minute of film in three renditions, painted and composed here.
//!
//! The files are committed, so only somebody who changes the film needs to run this, and ffmpeg.

mod music;
mod noise;
mod paint;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Frames per second.
const RATE: u32 = 24;
/// Length of the loop, in seconds: a whole number of segments.
const SECONDS: u32 = 64;
/// Length of a segment and of a group of pictures, in seconds.
const SEGMENT: u32 = 4;
/// What all files may weigh together: they are part of the repository and of the program.
const BUDGET: u64 = 6_000_000;

struct Rendition {
    name: &'static str,
    width: usize,
    height: usize,
    /// Constant rate factor of x264: smaller is better and larger.
    quality: &'static str,
    /// Upper limit of the video, in kbit/s.
    limit: u32,
}

const RENDITIONS: [Rendition; 3] = [
    Rendition { name: "720p", width: 1280, height: 720, quality: "27", limit: 700 },
    Rendition { name: "480p", width: 854, height: 480, quality: "28", limit: 360 },
    Rendition { name: "240p", width: 426, height: 240, quality: "28", limit: 160 },
];

/// Generates the sample into `demo/sample` below the repository's `root`, replacing what is there.
///
/// Takes a minute or two; needs ffmpeg with libx264 on the `PATH`.
///
/// # Errors
///
/// Names the step that failed: a missing or failing ffmpeg, a file that could not be written, or
/// files that are larger than the budget.
pub(crate) fn generate(root: &Path) -> Result<(), String> {
    let folder = root.join("demo/sample");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| failed("remove the old sample", &error))?;
    }
    for rendition in &RENDITIONS {
        fs::create_dir_all(folder.join(rendition.name))
            .map_err(|error| failed("create the sample's folder", &error))?;
    }
    let tune = folder.join("music.wav");
    fs::write(&tune, music::wav(SECONDS)).map_err(|error| failed("write the music", &error))?;
    let encoded = encode(&folder, &tune);
    fs::remove_file(&tune).map_err(|error| failed("remove the music", &error))?;
    encoded?;
    poster(&folder)?;
    let playlist = multivariant(&folder)?;
    fs::write(folder.join("master.m3u8"), playlist)
        .map_err(|error| failed("write the multivariant playlist", &error))?;
    let bytes = weigh(&folder)?;
    eprintln!("sample: {SECONDS} s in {} renditions, {} kB", RENDITIONS.len(), bytes / 1000);
    if bytes > BUDGET {
        return Err(format!("the sample weighs {bytes} bytes, more than {BUDGET}"));
    }
    Ok(())
}

fn failed(step: &str, error: &std::io::Error) -> String {
    format!("could not {step}: {error}")
}

/// Pipes every frame into one ffmpeg that scales, encodes and cuts all renditions.
fn encode(folder: &Path, tune: &Path) -> Result<(), String> {
    let (width, height) = (RENDITIONS[0].width, RENDITIONS[0].height);
    let mut ffmpeg = Command::new("ffmpeg")
        .args(arguments(folder, tune))
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|error| failed("start ffmpeg (apt-get install ffmpeg)", &error))?;
    let mut pipe = ffmpeg.stdin.take().ok_or("ffmpeg has no standard input")?;
    let mut scene = paint::Scene::new(width, height);
    let mut frame = vec![0_u8; width * height * 3];
    let frames = RATE * SECONDS;
    for index in 0..frames {
        if index % (RATE * 8) == 0 {
            eprintln!("sample: painted {} of {SECONDS} s", index / RATE);
        }
        scene.paint(index as f32 / frames as f32, index / RATE, &mut frame);
        if pipe.write_all(&frame).is_err() {
            // ffmpeg has gone away and says why itself.
            break;
        }
    }
    drop(pipe);
    let status = ffmpeg.wait().map_err(|error| failed("wait for ffmpeg", &error))?;
    if status.success() { Ok(()) } else { Err(format!("ffmpeg failed: {status}")) }
}

/// A picture out of the film, to show before it plays.
fn poster(folder: &Path) -> Result<(), String> {
    let status = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-y", "-ss", "1.5", "-i"])
        .arg("concat:720p/init.mp4|720p/005.m4s")
        .args("-frames:v 1 -q:v 5 -map_metadata -1 -fflags +bitexact poster.jpg".split(' '))
        .current_dir(folder)
        .status()
        .map_err(|error| failed("start ffmpeg", &error))?;
    if status.success() { Ok(()) } else { Err(format!("ffmpeg made no poster: {status}")) }
}

/// Adds words separated by single spaces.
fn add(list: &mut Vec<String>, words: &str) {
    list.extend(words.split(' ').map(String::from));
}

fn arguments(folder: &Path, tune: &Path) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    let (width, height) = (RENDITIONS[0].width, RENDITIONS[0].height);
    add(&mut list, "-hide_banner -loglevel error -y -f rawvideo -pix_fmt rgb24");
    add(&mut list, &format!("-s {width}x{height} -r {RATE} -i -"));
    // AAC begins with 1024 samples of silence: starting it that much later puts the first packet
    // at 0, where the video starts, so that no rendition begins with a gap.
    add(&mut list, &format!("-itsoffset {:.6} -i", 1024.0 / f64::from(music::RATE)));
    list.push(tune.display().to_string());
    let mut filter = format!("[0:v]split={}", RENDITIONS.len());
    for index in 0..RENDITIONS.len() {
        let _ = write!(filter, "[in{index}]");
    }
    for (index, r) in RENDITIONS.iter().enumerate() {
        let _ = write!(
            filter,
            ";[in{index}]scale={}:{}:flags=lanczos:out_color_matrix=bt709:out_range=tv,format=yuv420p[v{index}]",
            r.width, r.height
        );
    }
    add(&mut list, &format!("-filter_complex {filter}"));
    for (index, r) in RENDITIONS.iter().enumerate() {
        add(
            &mut list,
            &format!("-map [v{index}] -map 1:a -c:v libx264 -preset slow -profile:v main"),
        );
        add(
            &mut list,
            &format!("-crf {} -maxrate {}k -bufsize {}k", r.quality, r.limit, r.limit * 3 / 2),
        );
        // Equal groups of pictures in all renditions: a switch can happen at each segment.
        let group = RATE * SEGMENT;
        add(
            &mut list,
            &format!("-x264-params keyint={group}:min-keyint={group}:scenecut=0:aq-mode=3"),
        );
        add(&mut list, "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv");
        add(
            &mut list,
            &format!("-c:a aac -b:a 48k -ac 2 -t {SECONDS} -map_metadata -1 -fflags +bitexact"),
        );
        add(&mut list, "-flags:v +bitexact -flags:a +bitexact -f hls -hls_playlist_type vod");
        add(
            &mut list,
            &format!("-hls_time {SEGMENT} -hls_segment_type fmp4 -hls_flags independent_segments"),
        );
        // Signed composition offsets and no edit list: the first frame is shown at 0, not after
        // the reorder delay, whether or not a browser heeds edit lists.
        add(&mut list, "-hls_segment_options movflags=+negative_cts_offsets:use_editlist=0");
        add(&mut list, "-hls_fmp4_init_filename init.mp4 -hls_segment_filename");
        list.push(folder.join(r.name).join("%03d.m4s").display().to_string());
        list.push(folder.join(r.name).join("index.m3u8").display().to_string());
    }
    list
}

/// The multivariant playlist, its bandwidths and codecs read out of the files.
fn multivariant(folder: &Path) -> Result<String, String> {
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    for r in &RENDITIONS {
        let init = fs::read(folder.join(r.name).join("init.mp4"))
            .map_err(|error| failed("read the init section", &error))?;
        let video = avc_codec(&init)
            .ok_or_else(|| format!("the init section of {} holds no avcC box", r.name))?;
        let (mut peak, mut total) = (0, 0);
        for index in 0..SECONDS / SEGMENT {
            let path = folder.join(r.name).join(format!("{index:03}.m4s"));
            let bytes = fs::metadata(path).map_err(|error| failed("read a segment", &error))?.len();
            peak = peak.max(bytes);
            total += bytes;
        }
        let bandwidth = peak * 8 / u64::from(SEGMENT);
        let average = total * 8 / u64::from(SECONDS);
        let _ = writeln!(
            text,
            "#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},AVERAGE-BANDWIDTH={average},\
             CODECS=\"{video},mp4a.40.2\",RESOLUTION={}x{},FRAME-RATE={RATE}.000\n{}/index.m3u8",
            r.width, r.height, r.name
        );
    }
    Ok(text)
}

/// The codec string of the `avcC` box (RFC 6381 §3.3).
fn avc_codec(init: &[u8]) -> Option<String> {
    let at = init.windows(4).position(|window| window == b"avcC")?;
    let [_, profile, constraints, level] = *init.get(at + 4..at + 8)?.first_chunk::<4>()?;
    Some(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"))
}

fn weigh(folder: &Path) -> Result<u64, String> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).map_err(|error| failed("list the sample", &error))? {
        let entry = entry.map_err(|error| failed("list the sample", &error))?;
        let data = entry.metadata().map_err(|error| failed("list the sample", &error))?;
        bytes += if data.is_dir() { weigh(&entry.path())? } else { data.len() };
    }
    Ok(bytes)
}
