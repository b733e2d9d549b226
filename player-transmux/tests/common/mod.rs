//! Runs ffmpeg and ffprobe, transmuxes, compares.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use player_transmux::{TransmuxError, Transmuxed, Transmuxer};

/// What the 33-bit clock wraps at, in seconds.
pub(crate) const WRAP: f64 = (1u64 << 33) as f64 / 90_000.0;

/// Whether both programs are there; says so when not.
pub(crate) fn has_ffmpeg() -> bool {
    let found = ["ffmpeg", "ffprobe"].iter().all(|program| {
        let run = Command::new(program)
            .arg("-version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        run.is_ok_and(|status| status.success())
    });
    if !found {
        eprintln!("skipped: ffmpeg and ffprobe are not on the path");
    }
    found
}

/// A folder of this test's own, empty.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("transmux-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a temporary folder");
    folder
}

/// Runs ffmpeg with these words; false when it refuses (an encoder that is not there).
pub(crate) fn ffmpeg(words: &str, out: &Path) -> bool {
    let run = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-y", "-nostdin"])
        .args(words.split_whitespace())
        .arg(out)
        .output()
        .expect("ffmpeg runs");
    if !run.status.success() {
        eprintln!("skipped: ffmpeg {words}: {}", String::from_utf8_lossy(&run.stderr));
    }
    run.status.success()
}

/// A packet's times in seconds, where they are told, and its size.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Packet {
    pub(crate) pts: Option<f64>,
    pub(crate) dts: Option<f64>,
    pub(crate) size: usize,
    pub(crate) key: bool,
}

/// The packets of the first video and the first audio stream.
pub(crate) fn probe(file: &Path) -> BTreeMap<&'static str, Vec<Packet>> {
    let mut out = BTreeMap::new();
    for (kind, select) in [("video", "v:0"), ("audio", "a:0")] {
        let run = Command::new("ffprobe")
            .args(["-v", "error", "-select_streams", select, "-of", "compact"])
            .args(["-show_entries", "packet=pts_time,dts_time,size,flags"])
            .arg(file)
            .output()
            .expect("ffprobe runs");
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        let packets: Vec<Packet> = text
            .lines()
            .filter(|line| line.starts_with("packet|"))
            .map(|line| {
                let field = |name: &str| {
                    line.split('|').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
                };
                Packet {
                    pts: field("pts_time").and_then(|text| text.parse().ok()),
                    dts: field("dts_time").and_then(|text| text.parse().ok()),
                    size: field("size").and_then(|text| text.parse().ok()).unwrap_or(0),
                    key: field("flags").is_some_and(|flags| flags.contains('K')),
                }
            })
            .collect();
        if !packets.is_empty() {
            out.insert(kind, packets);
        }
    }
    out
}

/// What a transmuxer made of segments.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// Init sections and fragments, one after another.
    pub(crate) mp4: Vec<u8>,
    pub(crate) codecs: Vec<String>,
    /// Start and duration of each fragment.
    pub(crate) fragments: Vec<(f64, f64)>,
    /// Fragments that came before their segment's end.
    pub(crate) early: usize,
    /// Tags in `emsg` boxes, with their times.
    pub(crate) id3: Vec<(f64, Vec<u8>)>,
}

impl Made {
    pub(crate) fn take(&mut self, transmuxer: &mut Transmuxer, early: bool) {
        while let Some(result) = transmuxer.poll() {
            match result {
                Transmuxed::Init { data, codecs } => {
                    self.mp4.extend(data);
                    self.codecs.push(codecs);
                }
                Transmuxed::Media { data, start, duration } => {
                    self.id3.extend(tags(&data));
                    self.mp4.extend(data);
                    self.fragments.push((start, duration));
                    self.early += usize::from(early);
                }
            }
        }
    }
}

/// The ID3 tags in `emsg` boxes (ISO/IEC 23009-1 §5.10.3.3), with their times in seconds.
pub(crate) fn tags(bytes: &[u8]) -> Vec<(f64, Vec<u8>)> {
    let events = boxes(bytes).into_iter().filter(|(kind, _)| *kind == b"emsg");
    events
        .map(|(_, event)| {
            assert_eq!(number(event, 0), 1 << 24, "version 1");
            let time = u64::from(number(event, 8)) << 32 | u64::from(number(event, 12));
            assert_eq!(number(event, 16), u32::MAX, "of unknown duration");
            let tag = event[24..].strip_prefix(b"https://aomedia.org/emsg/ID3\0\0");
            let tag = tag.expect("ID3's scheme, without a value").to_vec();
            (time as f64 / f64::from(number(event, 4)), tag)
        })
        .collect()
}

/// Transmuxes segments, fed in pieces of this size.
pub(crate) fn transmux(segments: &[Vec<u8>], piece: usize) -> Result<Made, TransmuxError> {
    let mut transmuxer = Transmuxer::new();
    let mut made = Made::default();
    for segment in segments {
        transmuxer.begin(false);
        for piece in segment.chunks(piece) {
            transmuxer.push(piece)?;
            made.take(&mut transmuxer, true);
        }
        transmuxer.end()?;
        made.take(&mut transmuxer, false);
    }
    transmuxer.finish()?;
    made.take(&mut transmuxer, false);
    Ok(made)
}

/// How far apart two times are, in milliseconds, turns of the clock aside.
fn apart(one: f64, other: f64) -> f64 {
    let turn = (one - other).rem_euclid(WRAP);
    turn.min(WRAP - turn) * 1000.0
}

/// The boxes of some bytes: type and payload.
fn boxes(bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let size = number(bytes, at) as usize;
        out.push((&bytes[at + 4..at + 8], &bytes[at + 8..at + size]));
        at += size;
    }
    out
}

/// The payload of the first box with this type.
fn first<'a>(bytes: &'a [u8], kind: &[u8]) -> &'a [u8] {
    boxes(bytes).into_iter().find(|(other, _)| *other == kind).expect("the box is there").1
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The samples as the boxes say: ffprobe shifts times where a sample is shown before it is decoded.
pub(crate) fn samples(mp4: &[u8]) -> BTreeMap<&'static str, Vec<Packet>> {
    let mut tracks = BTreeMap::new();
    let mut out: BTreeMap<&'static str, Vec<Packet>> = BTreeMap::new();
    for (kind, body) in boxes(mp4) {
        if kind == b"moov" {
            tracks.clear();
            for (_, trak) in boxes(body).into_iter().filter(|(kind, _)| *kind == b"trak") {
                let mdia = first(trak, b"mdia");
                let video = &first(mdia, b"hdlr")[8..12] == b"vide";
                let timescale = number(first(mdia, b"mdhd"), 12);
                let id = number(first(trak, b"tkhd"), 12);
                tracks.insert(id, (if video { "video" } else { "audio" }, timescale));
            }
        }
        let trafs = if kind == b"moof" { boxes(body) } else { Vec::new() };
        for (_, traf) in trafs.into_iter().filter(|(kind, _)| *kind == b"traf") {
            let tfhd = first(traf, b"tfhd");
            let (kind, timescale) = tracks[&number(tfhd, 4)];
            let tfdt = first(traf, b"tfdt");
            let mut dts = i64::from(number(tfdt, 4)) << 32 | i64::from(number(tfdt, 8));
            let trun = first(traf, b"trun");
            let flags = number(trun, 0) & 0xff_ffff;
            let mut at = 12;
            for _ in 0..number(trun, 4) {
                let mut field = |flag: u32, otherwise: u32| {
                    if flags & flag == 0 {
                        return otherwise;
                    }
                    at += 4;
                    number(trun, at - 4)
                };
                let duration = field(0x100, number(tfhd, 8));
                let size = field(0x200, 0) as usize;
                let key = field(0x400, 0x200_0000) & 0x1_0000 == 0;
                let pts = dts + i64::from(field(0x800, 0) as i32);
                let seconds = |ticks: i64| Some(ticks as f64 / f64::from(timescale));
                out.entry(kind).or_default().push(Packet {
                    pts: seconds(pts),
                    dts: seconds(dts),
                    size,
                    key,
                });
                dts += i64::from(duration);
            }
        }
    }
    out
}

/// Compares packet by packet: as many, at the same times within `tolerance` milliseconds.
pub(crate) fn compare(
    name: &str,
    source: &BTreeMap<&'static str, Vec<Packet>>,
    made: &BTreeMap<&'static str, Vec<Packet>>,
    tolerance: f64,
) {
    assert!(!source.is_empty(), "{name}: ffprobe finds packets");
    for (kind, packets) in source {
        let ours = made.get(kind).map_or(&[][..], Vec::as_slice);
        assert_eq!(ours.len(), packets.len(), "{name}: {kind} samples");
        let mut compared = 0;
        // Where a stream says that it shows pictures before it decodes them, ffprobe puts decoding times of its own
        // in place of the stream's.
        let late = packets.iter().any(|packet| packet.dts > packet.pts && packet.pts.is_some());
        // MP4 cannot say that a picture is decoded before zero: all are decoded later.
        let zero = packets.iter().filter_map(|packet| packet.dts).fold(0.0, f64::min).abs();
        let zero = if zero < 1.0 { zero } else { 0.0 };
        for (at, (theirs, ours)) in packets.iter().zip(ours).enumerate() {
            // ffprobe calls some pictures key that the stream doesn't mark; the first is one in any case.
            let agree = if at == 0 { theirs.key == ours.key } else { theirs.key || !ours.key };
            assert!(agree, "{name}: {kind} sample {at}: random access");
            let dts = theirs.dts.filter(|_| !late).map(|dts| dts + zero);
            for (what, theirs, ours) in [("pts", theirs.pts, ours.pts), ("dts", dts, ours.dts)] {
                let (Some(theirs), Some(ours)) = (theirs, ours) else { continue };
                compared += 1;
                let apart = apart(theirs, ours);
                assert!(
                    apart <= tolerance,
                    "{name}: {kind} sample {at}: {what} {ours} instead of {theirs}"
                );
            }
        }
        eprintln!("{name}: {} {kind} samples, {compared} times agree", packets.len());
        assert!(compared > 0, "{name}: some times are told");
    }
}

/// Transmuxes segments and compares the result with ffprobe's reading of all of them, one after another.
pub(crate) fn check(name: &str, folder: &Path, segments: &[Vec<u8>], tolerance: f64) -> Made {
    let whole = folder.join("source.bin");
    fs::write(&whole, segments.concat()).expect("the source is written");
    let source = probe(&whole);
    let mut last = None;
    for piece in [usize::MAX >> 1, 1000, 131] {
        let made = transmux(segments, piece).unwrap_or_else(|error| panic!("{name}: {error}"));
        if let Some(last) = last.replace(made.mp4.clone()) {
            assert!(last == made.mp4, "{name}: pieces of any size give the same");
            continue;
        }
        let out = folder.join("made.mp4");
        fs::write(&out, &made.mp4).expect("the result is written");
        compare(name, &source, &samples(&made.mp4), tolerance);
        // Another reader finds the same samples.
        let sizes =
            |packets: &[Packet]| packets.iter().map(|packet| packet.size).collect::<Vec<_>>();
        let (found, written) = (probe(&out), samples(&made.mp4));
        assert_eq!(found.len(), written.len(), "{name}: tracks");
        for (kind, packets) in &written {
            assert_eq!(sizes(packets), sizes(&found[kind]), "{name}: {kind} sizes");
        }
    }
    transmux(segments, 4096).unwrap_or_else(|error| panic!("{name}: {error}"))
}
