//! MP3 (ISO/IEC 11172-3 §2.4.2.3, 13818-3 §2.4.2.3).

use super::{Found, Frame};
use crate::error::TransmuxError;
use crate::mp4;
use crate::mux::Config;

/// Its codec string.
pub(crate) const CODEC: &str = "mp3";

/// kbit/s of layer 3 by index, MPEG-1 and MPEG-2.
const BITRATES: [[u16; 15]; 2] = [
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

pub(super) fn find(data: &[u8]) -> Result<Found, TransmuxError> {
    let &[b0, b1, b2, b3, ..] = data else {
        let fits = data.first().is_none_or(|&byte| byte == 0xff)
            && data.get(1).is_none_or(|&byte| byte & 0xe0 == 0xe0);
        return Ok(if fits { Found::More } else { Found::Nothing });
    };
    let version = b1 >> 3 & 3; // 0: 2.5, 2: 2, 3: 1
    let layer = b1 >> 1 & 3; // 1: III, 2: II, 3: I
    let frequency = b2 >> 2 & 3;
    let index = usize::from(b2 >> 4);
    let free = index == 0 || index == 15;
    if b0 != 0xff || b1 & 0xe0 != 0xe0 || version == 1 || layer == 0 || frequency == 3 || free {
        return Ok(Found::Nothing);
    }
    if layer != 1 {
        return Err(TransmuxError::UnsupportedLayer { layer: 4 - layer });
    }
    let rate = [44_100, 48_000, 32_000, 0][usize::from(frequency)]
        >> match version {
            3 => 0,
            2 => 1,
            _ => 2,
        };
    let low = usize::from(version != 3);
    let bitrate = u32::from(BITRATES[low].get(index).copied().unwrap_or(0)) * 1000;
    let samples = 1152 >> low;
    let size = samples / 8 * bitrate / rate + u32::from(b2 >> 1 & 1);
    Ok(Found::Frame(Frame {
        header: 0,
        size: size as usize,
        samples,
        rate,
        // version, frequency, one or two channels
        signature: u32::from(b1 & 0xfe) << 8 | u32::from(b2 & 0x0c) | u32::from(b3 & 0xc0 == 0xc0),
    }))
}

/// Whether a frame is silent and tells about the whole file (`Xing`, `Info`): no part of the sound.
pub(super) fn is_info(frame: &[u8]) -> bool {
    let head = &frame[..frame.len().min(48)];
    head.windows(4).any(|window| window == b"Xing" || window == b"Info")
}

pub(super) fn config(frame: &[u8]) -> Option<Config> {
    let Ok(Found::Frame(found)) = find(frame) else { return None };
    let channels = if frame.get(3)? & 0xc0 == 0xc0 { 1 } else { 2 };
    // MPEG-1 audio, or MPEG-2 audio with its lower frequencies
    let esds = mp4::esds(if found.rate >= 32_000 { 0x6b } else { 0x69 }, &[]);
    Some(Config {
        // The one name that a browser takes for MP3 in MP4 (Firefox; none takes `mp4a.6B`).
        codec: CODEC.to_owned(),
        entry: mp4::audio_entry(b"mp4a", channels, found.rate, b"esds", &esds),
        timescale: found.rate,
        size: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_size_and_rate() {
        let frame = |bytes: [u8; 4]| match find(&bytes) {
            Ok(Found::Frame(frame)) => (frame.size, frame.samples, frame.rate),
            other => panic!("{other:?}"),
        };
        assert_eq!(frame([0xff, 0xfb, 0x90, 0]), (417, 1152, 44_100));
        assert_eq!(frame([0xff, 0xfb, 0x92, 0]), (418, 1152, 44_100));
        assert_eq!(frame([0xff, 0xf3, 0x84, 0xc0]), (192, 576, 24_000));
    }

    #[test]
    fn other_layers_are_named() {
        assert_eq!(find(&[0xff, 0xfd, 0x90, 0]), Err(TransmuxError::UnsupportedLayer { layer: 2 }));
    }

    #[test]
    fn mono_of_low_frequency_has_its_own_type() {
        let config = config(&[0xff, 0xf3, 0x84, 0xc0]).expect("a configuration");
        assert_eq!((config.codec.as_str(), config.timescale), ("mp3", 24_000));
        assert!(config.entry.windows(4).any(|window| window == [4, 13, 0x69, 0x15]));
    }
}
