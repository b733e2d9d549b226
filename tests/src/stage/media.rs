//! Playlists and segments for the stage: small, and with the timestamps that a test wants.

use player_core::io::{Transmuxed, TransmuxedInit};
use std::fmt::Write as _;

use crate::simulation::fmp4::{HEAD_BYTES, SegmentHead, TIMESCALE, init_section};

/// Samples a second of the stage's segments.
const SAMPLES: f64 = 5.0;

/// An init section: H.264, high profile.
#[must_use]
pub fn init(rendition: u32) -> Vec<u8> {
    init_section(rendition, 640, 360)
}

/// An init section of another codec string: H.264, constrained baseline profile, and another size.
#[must_use]
pub fn init_baseline(rendition: u32) -> Vec<u8> {
    let mut section = init_section(rendition, 320, 180);
    let config = section.windows(8).position(|at| at == b"avcC\x01\x64\x00\x1f");
    let at = config.expect("it has a configuration") + 5;
    section[at..at + 3].copy_from_slice(&[0x42, 0xc0, 0x1e]);
    section
}

/// A segment with these timestamps (s) and bytes a second.
#[must_use]
pub fn segment(start: f64, duration: f64, rate: u32) -> Vec<u8> {
    let samples = (duration * SAMPLES).round().max(1.0) as u32;
    let head = SegmentHead {
        sequence: 1,
        decode_time: (start * f64::from(TIMESCALE)).round() as u64,
        samples,
        sample_bytes: ((f64::from(rate) * duration) as u32 / samples).max(16),
        sample_duration: (duration * f64::from(TIMESCALE)) as u32 / samples,
    };
    let mut out = head.write();
    out.resize(head.segment_bytes(), 7);
    out
}

/// A media playlist: a head of tags, then for each segment its tags before and its URI; `None` for no end.
#[must_use]
pub fn playlist(
    target: f64,
    sequence: u64,
    head: &str,
    segments: &[(&str, f64, String)],
    ended: bool,
) -> String {
    let mut out = format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{sequence}\n{head}",
        target.ceil()
    );
    for (tags, duration, uri) in segments {
        let _ = write!(out, "{tags}#EXTINF:{duration:.3},\n{uri}\n");
    }
    if ended {
        out.push_str("#EXT-X-ENDLIST\n");
    }
    out
}

/// What passes for a transport stream here: three packets of filler, then a segment; damaged when it is to be.
#[must_use]
pub fn transport_stream(segment: &[u8], damaged: bool) -> Vec<u8> {
    let mut out = vec![0u8; 3 * 188];
    for packet in 0..3 {
        out[packet * 188] = 0x47;
    }
    out[1] = u8::from(damaged);
    out.extend_from_slice(segment);
    out
}

/// The shell's transmuxer, for those.
pub(super) fn transmux(data: &[u8]) -> Result<Transmuxed, String> {
    if data.get(1) != Some(&0) {
        return Err("a packet is damaged".to_owned());
    }
    let media = data.get(3 * 188..).unwrap_or_default().to_vec();
    let head = media.get(..HEAD_BYTES).and_then(SegmentHead::read).ok_or("no segment in it")?;
    let start = head.decode_time as f64 / f64::from(TIMESCALE);
    let init = TransmuxedInit { data: init(0).into(), codecs: "avc1.64001f".to_owned() };
    Ok(Transmuxed { init: Some(init), media: media.into(), start })
}
