//! AAC in ADTS (ISO/IEC 13818-7 §6.2, 14496-3 §1.6).

use super::{Found, Frame};
use crate::mp4;
use crate::mux::Config;
use crate::text;

/// Sampling frequencies by index (ISO/IEC 14496-3 table 1.18).
pub(super) const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

pub(super) fn find(data: &[u8]) -> Found {
    let &[b0, b1, b2, b3, b4, b5, b6, ..] = data else {
        let fits = data.first().is_none_or(|&byte| byte == 0xff)
            && data.get(1).is_none_or(|&byte| byte & 0xf6 == 0xf0);
        return if fits { Found::More } else { Found::Nothing };
    };
    if b0 != 0xff || b1 & 0xf6 != 0xf0 {
        return Found::Nothing;
    }
    let header = if b1 & 1 == 1 { 7 } else { 9 };
    let size = usize::from(b3 & 3) << 11 | usize::from(b4) << 3 | usize::from(b5) >> 5;
    let Some(&rate) = RATES.get(usize::from(b2 >> 2 & 15)) else { return Found::Nothing };
    if size <= header {
        return Found::Nothing;
    }
    Found::Frame(Frame {
        header,
        size,
        samples: 1024 * (u32::from(b6 & 3) + 1),
        rate,
        // profile, frequency and channels
        signature: u32::from(b2 & 0xfd) << 8 | u32::from(b3 & 0xc0),
    })
}

pub(super) fn config(frame: &[u8], he_aac: bool) -> Option<Config> {
    let &[_, _, b2, b3, ..] = frame else { return None };
    let object_type = (b2 >> 6) + 1;
    let index = b2 >> 2 & 15;
    // Channels that the stream itself describes (0) are two in all that is broadcast.
    let channels = match (b2 & 1) << 2 | b3 >> 6 {
        0 => 2,
        channels => channels,
    };
    let rate = *RATES.get(usize::from(index))?;
    let double = RATES.iter().position(|&other| other == rate * 2);
    let low = object_type << 3 | index >> 1;
    let info = match double.filter(|_| he_aac) {
        // Spectral band replication, told ahead (§1.6.5.2).
        Some(double) => {
            let bits = 5u32 << 27
                | u32::from(index) << 23
                | u32::from(channels) << 19
                | (double as u32) << 15
                | u32::from(object_type) << 10;
            bits.to_be_bytes().to_vec()
        }
        None => vec![low, (index & 1) << 7 | channels << 3],
    };
    Some(aac(&info, if info.len() == 4 { 5 } else { object_type }, channels, rate))
}

/// The configuration of an AAC track with this `AudioSpecificConfig`.
pub(super) fn aac(info: &[u8], object_type: u8, channels: u8, rate: u32) -> Config {
    let mut codec = String::from("mp4a.40.");
    text::decimal(&mut codec, u32::from(object_type));
    let channels = if channels == 7 { 8 } else { channels };
    let entry = mp4::audio_entry(b"mp4a", channels, rate, b"esds", &mp4::esds(0x40, info));
    Config { codec, entry, timescale: rate, size: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [u8; 7] = [0xff, 0xf1, 0x5c, 0x80, 0x16, 0x1f, 0xfc];

    #[test]
    fn a_header_tells_its_frame() {
        let Found::Frame(frame) = find(&HEADER) else { panic!("no frame") };
        assert_eq!((frame.header, frame.size), (7, 176));
        assert_eq!((frame.samples, frame.rate), (1024, 22_050));
        let config = config(&HEADER, false).expect("a configuration");
        assert_eq!(config.codec, "mp4a.40.2");
        assert!(config.entry.windows(4).any(|window| window == [0x05, 2, 0x13, 0x90]));
    }

    #[test]
    fn band_replication_is_told_when_asked_for() {
        let config = config(&HEADER, true).expect("a configuration");
        assert_eq!(config.codec, "mp4a.40.5");
        // object 5, 22.05 kHz, two channels, 44.1 kHz, object 2
        let info = [0b0010_1011, 0b1001_0010, 0b0000_1000, 0];
        assert!(config.entry.windows(4).any(|window| window == info));
    }

    #[test]
    fn no_header_is_no_frame() {
        assert_eq!(find(&[0xff, 0xfb, 0x90, 0, 0, 0, 0]), Found::Nothing);
        assert_eq!(find(&[0xff, 0xf1]), Found::More);
        assert_eq!(find(&[0x12]), Found::Nothing);
        assert_eq!(find(&[0xff, 0xf1, 0xfc, 0x80, 0x16, 0x1f, 0xfc]), Found::Nothing);
    }
}
