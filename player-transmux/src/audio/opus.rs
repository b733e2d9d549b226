//! Opus in transport streams (ETSI TS 103 491's forerunner: "Opus in MPEG-TS", opus-codec.org).

use super::{Found, Frame};
use crate::mp4;
use crate::mux::Config;

/// Samples of one frame at 48 kHz by the packet's configuration number (RFC 6716 §3.1).
fn frame_samples(config: u8) -> u32 {
    match config {
        0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        12..=15 => [480, 960][usize::from(config & 1)],
        _ => [120, 240, 480, 960][usize::from(config & 3)],
    }
}

/// An access unit: its control header, then the packet.
pub(super) fn find(data: &[u8]) -> Found {
    let starts = data.first().is_none_or(|&byte| byte == 0x7f)
        && data.get(1).is_none_or(|&byte| byte & 0xe0 == 0xe0);
    if !starts {
        return Found::Nothing;
    }
    let Some(&flags) = data.get(1) else { return Found::More };
    let ones = data[2..].iter().take_while(|&&byte| byte == 255).count();
    let Some(&last) = data.get(2 + ones) else { return Found::More };
    let payload = ones * 255 + usize::from(last);
    let mut header = 3 + ones;
    header += if flags & 0x10 != 0 { 2 } else { 0 }; // start_trim
    header += if flags & 0x08 != 0 { 2 } else { 0 }; // end_trim
    if flags & 0x04 != 0 {
        let Some(&extension) = data.get(header) else { return Found::More };
        header += 1 + usize::from(extension);
    }
    if payload == 0 || payload > 32 * 1024 {
        return Found::Nothing;
    }
    let Some(&toc) = data.get(header) else { return Found::More };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => match data.get(header + 1) {
            Some(&count) => u32::from(count & 63),
            None => return Found::More,
        },
    };
    // At most 120 ms (RFC 6716 §3.2.5).
    let samples = frames * frame_samples(toc >> 3);
    if samples == 0 || samples > 5760 {
        return Found::Nothing;
    }
    Found::Frame(Frame { header, size: header + payload, samples, rate: 48_000, signature: 0 })
}

/// The configuration for a `channel_config_code`; 0 (dual mono) counts as two channels.
pub(super) fn config(code: u8) -> Option<Config> {
    let channels = match code {
        0 => 2,
        1..=8 => code,
        _ => return None,
    };
    // dOps: version, channels, pre-skip (priming is left as it is), input rate, gain, mapping family
    let mut record = vec![0, channels, 0, 0, 0, 0, 0xbb, 0x80, 0, 0];
    if channels <= 2 {
        record.push(0);
    } else {
        // Family 1 (RFC 7845 §5.1.1.2): streams, coupled streams, then the order of channels.
        let (streams, coupled, order): (u8, u8, &[u8]) = match channels {
            3 => (2, 1, &[0, 2, 1]),
            4 => (2, 2, &[0, 1, 2, 3]),
            5 => (3, 2, &[0, 4, 1, 2, 3]),
            6 => (4, 2, &[0, 4, 1, 2, 3, 5]),
            7 => (4, 3, &[0, 4, 1, 2, 3, 5, 6]),
            _ => (5, 3, &[0, 6, 1, 2, 3, 4, 5, 7]),
        };
        record.extend([1, streams, coupled]);
        record.extend(order);
    }
    Some(Config {
        codec: "opus".to_owned(),
        entry: mp4::audio_entry(b"Opus", channels, 48_000, b"dOps", &record),
        timescale: 48_000,
        size: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_unit_tells_payload_and_duration() {
        let mut unit = vec![0x7f, 0xf0, 255, 45, 0x01, 0x38];
        unit.push(0xfc); // CELT, 20 ms, one frame
        assert_eq!(
            find(&unit),
            Found::Frame(Frame { header: 6, size: 306, samples: 960, rate: 48_000, signature: 0 })
        );
        assert_eq!(find(&unit[..6]), Found::More);
        assert_eq!(find(&[0x7e, 0xe0]), Found::Nothing);
        assert_eq!(find(&[0x7f, 0xe0, 0, 0xfc]), Found::Nothing);
    }

    #[test]
    fn surround_has_a_channel_mapping() {
        let config = config(6).expect("a configuration");
        assert!(config.entry.ends_with(&[1, 4, 2, 0, 4, 1, 2, 3, 5]));
    }
}
