//! Streams of the field, where the folder with them is beside the project.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{check, folder, has_ffmpeg, probe, transmux};

/// The streams, if they are there.
fn streams() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/hls");
    if !folder.is_dir() {
        eprintln!("skipped: there is no ../shared/fixtures/hls beside the project");
        return None;
    }
    has_ffmpeg().then_some(folder)
}

/// The segments with this ending that a folder's playlists list, in order.
fn segments(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    for playlist in entries.iter().filter(|path| path.extension().is_some_and(|it| it == "m3u8")) {
        for line in fs::read_to_string(playlist).expect("a playlist").lines() {
            let file = folder.join(line.trim());
            if !line.starts_with('#')
                && line.trim().ends_with(ending)
                && file.is_file()
                && !out.contains(&file)
            {
                out.push(file);
            }
        }
    }
    out
}

/// What the raw AAC's first tag says.
const BEGIN: f64 = 0x0d_99f4 as f64 / 90_000.0;

fn read(paths: &[PathBuf]) -> Vec<Vec<u8>> {
    paths.iter().map(|path| fs::read(path).expect("a segment")).collect()
}

/// The byte ranges of one file that its playlist lists.
fn ranges(folder: &Path, playlist: &str, file: &str) -> Vec<Vec<u8>> {
    let bytes = fs::read(folder.join(file)).expect("the file");
    let list = fs::read_to_string(folder.join(playlist)).expect("the playlist");
    let ranges = list.lines().filter_map(|line| line.strip_prefix("#EXT-X-BYTERANGE:"));
    ranges
        .map(|range| {
            let (length, start) = range.trim().split_once('@').expect("an offset");
            let start: usize = start.parse().expect("a number");
            let length: usize = length.parse().expect("a number");
            bytes[start..start + length].to_vec()
        })
        .collect()
}

#[test]
fn transport_streams_agree_with_ffprobe() {
    let Some(streams) = streams() else { return };
    let temporary = folder("fixtures");
    let mut checked = 0;
    let mut folders: Vec<PathBuf> = fs::read_dir(&streams)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    folders.sort();
    for stream in folders {
        let name = stream.file_name().and_then(|name| name.to_str()).unwrap_or("").to_owned();
        let paths = segments(&stream, ".ts");
        if paths.is_empty() || name == "hls-ts-raw-aac" {
            continue;
        }
        // Segments on either side of a gap or a jump are no one stream: each for itself.
        let apart =
            matches!(name.as_str(), "hls-gap" | "hls-text-offset" | "hls-text-no-discontinuity");
        let groups: Vec<Vec<Vec<u8>>> = match name.as_str() {
            "hls-ts-audio-muxed-in-video" => vec![ranges(&stream, "video.m3u8", "main.ts")],
            _ if apart => paths.chunks(1).map(read).collect(),
            _ => vec![read(&paths)],
        };
        for group in groups {
            let made = check(&name, &temporary, &group, 6.0);
            eprintln!("{name}: {:?}, {} fragments", made.codecs, made.fragments.len());
            checked += 1;
        }
    }
    let _ = fs::remove_dir_all(&temporary);
    assert!(checked >= 15, "{checked} streams were checked");
}

#[test]
fn raw_audio_has_as_many_frames_and_begins_at_its_time() {
    let Some(streams) = streams() else { return };
    let temporary = folder("raw-fixtures");
    for (name, ending, begins) in [
        ("hls-raw-aac", ".aac", BEGIN),
        ("hls-ts-raw-aac", ".ts", BEGIN),
        ("hls-raw-mp3", ".mp3", 0.0),
    ] {
        let segments = read(&segments(&streams.join(name), ending));
        assert!(!segments.is_empty(), "{name}");
        let mut frames = 0;
        for segment in &segments {
            let file = temporary.join(if ending == ".mp3" { "one.mp3" } else { "one.aac" });
            fs::write(&file, segment).expect("a segment is written");
            frames += probe(&file)["audio"].len();
        }
        let made = transmux(&segments, 777).expect("it is transmuxed");
        let out = temporary.join("made.mp4");
        fs::write(&out, &made.mp4).expect("the result is written");
        let ours = &probe(&out)["audio"];
        assert_eq!(ours.len(), frames, "{name}");
        // The times are even from segment to segment.
        for pair in ours.windows(2) {
            let step = pair[1].pts.unwrap_or(0.0) - pair[0].pts.unwrap_or(0.0);
            assert!((0.02..0.06).contains(&step), "{name}: a step of {step} s");
        }
        assert_eq!(made.id3.len(), segments.len(), "{name}: a tag for each segment");
        let tag = made.id3[0].0;
        assert!((made.fragments[0].0 - tag).abs() < 0.001, "{name}: begins at {tag}");
        assert!((tag - begins).abs() < 1e-3, "{name}: the tag's own time: {tag}");
        eprintln!("{name}: {frames} frames");
    }
    let _ = fs::remove_dir_all(&temporary);
}

#[test]
fn timed_metadata_is_handed_out() {
    let Some(streams) = streams() else { return };
    let segments = ranges(&streams.join("hls-ts-audio-muxed-in-video"), "video.m3u8", "main.ts");
    let made = transmux(&segments, 4096).expect("it is transmuxed");
    assert!(!made.id3.is_empty());
    assert!(made.id3.iter().all(|(_, tag)| tag.starts_with(b"ID3")));
    assert!(made.id3.windows(2).all(|pair| pair[0].0 <= pair[1].0));
}
