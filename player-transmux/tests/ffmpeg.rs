//! Streams that ffmpeg makes come out with as many samples, at the same times, as ffprobe finds in them.

mod common;

use std::fs;
use std::path::Path;

use common::{check, ffmpeg, folder, has_ffmpeg, probe};

const VIDEO: &str = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=6";
const AUDIO: &str = "-f lavfi -i sine=frequency=500:sample_rate=48000:duration=6";
const AVC: &str = "-c:v libx264 -preset veryfast -g 50 -bf 3 -pix_fmt yuv420p";

/// Makes one transport stream.
fn stream(name: &str, words: &str, tolerance: f64) -> Option<common::Made> {
    if !has_ffmpeg() {
        return None;
    }
    let folder = folder(name);
    let file = folder.join("source.ts");
    let made = ffmpeg(words, &file).then(|| {
        let source = fs::read(&file).expect("the stream is there");
        check(name, &folder, &[source], tolerance)
    });
    let _ = fs::remove_dir_all(&folder);
    made
}

/// Makes segments with ffmpeg's HLS writer.
fn segments(folder: &Path, words: &str) -> Option<Vec<Vec<u8>>> {
    let playlist = folder.join("list.m3u8");
    let words = format!(
        "{words} -f hls -hls_time 2 -hls_list_size 0 -hls_segment_filename {}/%03d.ts",
        folder.display()
    );
    ffmpeg(&words, &playlist).then(|| {
        let list = fs::read_to_string(&playlist).expect("a playlist");
        list.lines()
            .filter(|line| line.ends_with(".ts"))
            .map(|line| fs::read(folder.join(line)).expect("a segment"))
            .collect()
    })
}

#[test]
fn avc_with_b_frames_and_aac() {
    let words = format!("{VIDEO} {AUDIO} {AVC} -c:a aac -f mpegts");
    let Some(made) = stream("avc-aac", &words, 1.0) else { return };
    assert_eq!(made.codecs.len(), 1);
    assert!(made.codecs[0].starts_with("avc1.64"), "{:?}", made.codecs);
    assert!(made.codecs[0].ends_with(",mp4a.40.2"), "{:?}", made.codecs);
    assert!(made.early > 5, "fragments come while the segment arrives: {}", made.early);
    let first = made.fragments[0].0;
    assert!((1.3..1.5).contains(&first), "ffmpeg starts at 1.4 s: {first}");
}

#[test]
fn hevc_and_aac() {
    let words = format!(
        "{VIDEO} {AUDIO} -c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=50:bframes=3 -pix_fmt yuv420p -c:a aac -f mpegts"
    );
    let Some(made) = stream("hevc-aac", &words, 1.0) else { return };
    assert!(made.codecs[0].starts_with("hvc1.1.6.L"), "{:?}", made.codecs);
}

#[test]
fn mp3_ac3_and_ec3() {
    for (codec, options, string) in [
        ("libmp3lame", "", "mp3"),
        ("ac3", "", "ac-3"),
        ("eac3", "", "ec-3"),
        ("aac", "-mpegts_flags latm", "mp4a.40.2"),
        ("libopus", "", "opus"),
    ] {
        let words = format!("{VIDEO} {AUDIO} {AVC} -c:a {codec} {options} -f mpegts");
        if let Some(made) = stream(&format!("avc-{codec}"), &words, 1.0) {
            assert!(made.codecs[0].ends_with(string), "{:?}", made.codecs);
        }
    }
}

#[test]
fn audio_alone() {
    for (codec, rate) in [("aac", 44_100), ("libmp3lame", 22_050), ("eac3", 44_100)] {
        let words = format!("{AUDIO} -c:a {codec} -ar {rate} -f mpegts");
        let Some(made) = stream(&format!("audio-{codec}"), &words, 1.0) else { continue };
        assert!(made.early > 3, "fragments come while the segment arrives: {}", made.early);
    }
}

#[test]
fn the_clock_wraps_inside_a_segment_and_between_segments() {
    if !has_ffmpeg() {
        return;
    }
    let folder = folder("wrap");
    let words = format!("{VIDEO} {AUDIO} {AVC} -c:a aac");
    for offset in ["95440", "95438.6", "95441.717"] {
        let words = format!("{words} -output_ts_offset {offset} -muxdelay 0");
        let Some(segments) = segments(&folder, &words) else { return };
        assert!(segments.len() >= 3);
        let made = check("wrap", &folder, &segments, 1.0);
        let mut end = f64::MIN;
        for (start, duration) in made.fragments {
            assert!(start >= end - 1.0, "{start} follows {end}");
            end = end.max(start + duration);
        }
        assert!(end > common::WRAP + 0.5, "time goes on past the wrap: {end}");
    }
    let _ = fs::remove_dir_all(&folder);
}

#[test]
fn segments_cut_at_any_packet_are_joined() {
    if !has_ffmpeg() {
        return;
    }
    let folder = folder("cut");
    let file = folder.join("source.ts");
    let words = format!("{VIDEO} {AUDIO} {AVC} -c:a aac -f mpegts");
    if ffmpeg(&words, &file) {
        let source = fs::read(&file).expect("the stream is there");
        for cut in [188 * 301, 188 * 444, 188 * 77] {
            let segments: Vec<Vec<u8>> = source.chunks(cut).map(<[u8]>::to_vec).collect();
            check("cut", &folder, &segments, 1.0);
        }
    }
    let _ = fs::remove_dir_all(&folder);
}

#[test]
fn codecs_that_change_in_the_middle_of_a_segment_lose_nothing() {
    if !has_ffmpeg() {
        return;
    }
    let folder = folder("change");
    let larger = "-f lavfi -i testsrc2=size=640x360:rate=25:duration=6";
    let parts = [
        (VIDEO, "aac", 0),
        (larger, "ac3", 8),
        (VIDEO, "libmp3lame", 16),
        (larger, "aac -mpegts_flags latm", 24),
    ];
    let mut whole = Vec::new();
    let mut source = std::collections::BTreeMap::<_, Vec<common::Packet>>::new();
    for (video, audio, offset) in parts {
        let file = folder.join(format!("{offset}.ts"));
        let words =
            format!("{video} {AUDIO} {AVC} -c:a {audio} -output_ts_offset {offset} -f mpegts");
        if !ffmpeg(&words, &file) {
            return;
        }
        whole.extend(fs::read(&file).expect("the stream is there"));
        for (kind, packets) in probe(&file) {
            source.entry(kind).or_default().extend(packets);
        }
    }
    for piece in [usize::MAX >> 1, 1000] {
        let made = common::transmux(&[whole.clone()], piece).expect("it is transmuxed");
        common::compare("change", &source, &common::samples(&made.mp4), 1.0);
        // Between two of them a track may be gone already, and the next not there yet.
        let whole = made.codecs.iter().filter_map(|codecs| codecs.split_once(','));
        let sound: Vec<&str> = whole.map(|(_, sound)| sound).collect();
        assert_eq!(sound, ["mp4a.40.2", "ac-3", "mp3", "mp4a.40.2"], "{:?}", made.codecs);
    }
    let _ = fs::remove_dir_all(&folder);
}

#[test]
fn raw_audio() {
    if !has_ffmpeg() {
        return;
    }
    for (codec, name) in
        [("aac", "a.aac"), ("libmp3lame", "a.mp3"), ("ac3", "a.ac3"), ("eac3", "a.eac3")]
    {
        let folder = folder(&format!("raw-{codec}"));
        let file = folder.join(name);
        let words = format!("{AUDIO} -c:a {codec} -id3v2_version 0 -write_id3v1 0 -write_xing 1");
        let words = if codec == "libmp3lame" { words } else { format!("{AUDIO} -c:a {codec}") };
        if ffmpeg(&words, &file) {
            let source = fs::read(&file).expect("the file is there");
            let made = common::transmux(&[source], 1000).expect("it is transmuxed");
            let out = folder.join("made.mp4");
            fs::write(&out, &made.mp4).expect("the result is written");
            let (theirs, ours) = (probe(&file), probe(&out));
            assert_eq!(theirs["audio"].len(), ours["audio"].len(), "{name}");
            let duration = |packets: &[common::Packet]| {
                packets.last().and_then(|last| last.pts).unwrap_or(-1.0)
                    - packets[0].pts.unwrap_or(0.0)
            };
            let expected = duration(&theirs["audio"]);
            let apart = duration(&ours["audio"]) - expected;
            assert!(expected > 5.0 && apart.abs() < 0.001, "{name}: {apart}");
        }
        let _ = fs::remove_dir_all(&folder);
    }
}

#[test]
fn interlaced_video_keeps_two_fields_in_a_sample() {
    let words = format!("{VIDEO} {AVC} -flags +ilme+ildct -x264-params interlaced=1 -f mpegts");
    stream("interlaced", &words, 1.0);
}

#[test]
fn what_has_no_place_in_a_browser_is_named() {
    if !has_ffmpeg() {
        return;
    }
    let folder = folder("refused");
    let file = folder.join("source.ts");
    for (words, error) in [
        (
            format!("{VIDEO} {AUDIO} -c:v mpeg2video -c:a aac"),
            "codec stream type 0x02 not supported",
        ),
        (format!("{AUDIO} -c:a mp2"), "MPEG audio layer 2 not supported"),
    ] {
        if ffmpeg(&format!("{words} -f mpegts"), &file) {
            let source = fs::read(&file).expect("the stream is there");
            let refused = common::transmux(&[source], 4096).expect_err("it is refused");
            assert_eq!(refused.to_string(), error);
        }
    }
    let _ = fs::remove_dir_all(&folder);
}
