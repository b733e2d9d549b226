//! AC-3 and Enhanced AC-3 (ETSI TS 102 366).

use super::{Found, Frame};
use crate::bits::Bits;
use crate::mp4;
use crate::mux::Config;

/// kbit/s by half of `frmsizecod` (table 4.13).
const BITRATES: [u16; 19] =
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];
const RATES: [u32; 3] = [48_000, 44_100, 32_000];
/// Full-range channels by `acmod`.
const CHANNELS: [u8; 8] = [2, 1, 2, 3, 3, 4, 4, 5];

/// One syncframe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sync {
    enhanced: bool,
    size: usize,
    blocks: u32,
    rate: u32,
    dependent: bool,
    substream: u8,
    fscod: u8,
    bsid: u8,
    bsmod: u8,
    acmod: u8,
    lfe: bool,
    /// `bit_rate_code` of AC-3.
    bitrate_code: u8,
    /// `chanmap` of a dependent substream.
    map: u16,
}

enum Head {
    More,
    Nothing,
    Sync(Sync),
}

fn head(data: &[u8]) -> Head {
    let starts = data.first().is_none_or(|&byte| byte == 0x0b)
        && data.get(1).is_none_or(|&byte| byte == 0x77);
    if !starts {
        return Head::Nothing;
    }
    if data.len() < 8 {
        return Head::More;
    }
    let bsid = data[5] >> 3;
    let sync = if bsid <= 10 { plain(data, bsid) } else { enhanced(data) };
    sync.map_or(Head::Nothing, Head::Sync)
}

/// §4.3, §4.4.1 and §4.4.2.
fn plain(data: &[u8], bsid: u8) -> Option<Sync> {
    let fscod = data[4] >> 6;
    let code = data[4] & 63;
    let bitrate = u32::from(*BITRATES.get(usize::from(code >> 1))?);
    let rate = *RATES.get(usize::from(fscod))?;
    // Words of 16 bits; at 44.1 kHz every other frame has one more.
    let words = bitrate * 96_000 / rate + u32::from(fscod == 1 && code & 1 == 1);
    let mut bits = Bits::new(data.get(5..)?);
    bits.skip(5);
    let bsmod = bits.read(3) as u8;
    let acmod = bits.read(3) as u8;
    if acmod & 1 == 1 && acmod != 1 {
        bits.skip(2);
    }
    if acmod & 4 != 0 {
        bits.skip(2);
    }
    if acmod == 2 {
        bits.skip(2);
    }
    let lfe = bits.flag();
    Some(Sync {
        enhanced: false,
        size: words as usize * 2,
        blocks: 6,
        rate: rate >> bsid.saturating_sub(8),
        dependent: false,
        substream: 0,
        fscod,
        bsid,
        bsmod,
        acmod,
        lfe,
        bitrate_code: code >> 1,
        map: 0,
    })
}

/// Annex E.1.2.
fn enhanced(data: &[u8]) -> Option<Sync> {
    let mut bits = Bits::new(data.get(2..)?);
    let kind = bits.read(2);
    let substream = bits.read(3) as u8;
    let size = (bits.read(11) as usize + 1) * 2;
    let fscod = bits.read(2) as u8;
    let code = bits.read(2) as usize;
    let (rate, blocks) = match RATES.get(usize::from(fscod)) {
        Some(&rate) => (rate, [1, 2, 3, 6][code]),
        None => (*RATES.get(code)? / 2, 6),
    };
    let acmod = bits.read(3) as u8;
    let lfe = bits.flag();
    let bsid = bits.read(5) as u8;
    let dependent = kind == 1;
    if kind == 3 || bsid > 16 || size < 8 {
        return None;
    }
    let mut map = 0;
    bits.skip(5);
    if bits.flag() {
        bits.skip(8);
    }
    if acmod == 0 {
        bits.skip(5);
        if bits.flag() {
            bits.skip(8);
        }
    }
    if dependent && bits.flag() {
        map = bits.read(16) as u16;
    }
    Some(Sync {
        enhanced: true,
        size,
        blocks,
        rate,
        dependent,
        substream,
        fscod,
        bsid,
        bsmod: 0,
        acmod,
        lfe,
        bitrate_code: 0,
        map,
    })
}

/// A sample: one AC-3 frame, or six blocks of each substream of Enhanced AC-3 (annex F.6.1).
pub(super) fn find(data: &[u8], last: bool) -> Found {
    let first = match head(data) {
        Head::Sync(sync) if !sync.dependent => sync,
        Head::More => return Found::More,
        _ => return Found::Nothing,
    };
    let mut size = first.size;
    let mut blocks = first.blocks;
    // The largest group that the parts below can make: eight substreams with eight dependent ones.
    while first.enhanced && size < 64 * 2048 {
        match head(data.get(size..).unwrap_or(&[])) {
            Head::Sync(next) if next.enhanced => {
                if !next.dependent && next.substream == first.substream {
                    if blocks >= 6 {
                        break;
                    }
                    blocks += next.blocks;
                }
                size += next.size;
            }
            Head::More if !last => return Found::More,
            _ => break,
        }
    }
    Found::Frame(Frame {
        header: 0,
        size,
        samples: blocks.min(6) * 256,
        rate: first.rate,
        signature: u32::from(first.enhanced) << 24
            | u32::from(first.fscod) << 16
            | u32::from(first.bsid) << 8
            | u32::from(first.acmod) << 4
            | u32::from(first.lfe),
    })
}

pub(super) fn config(frame: &[u8]) -> Option<Config> {
    let Head::Sync(first) = head(frame) else { return None };
    let channels = CHANNELS[usize::from(first.acmod & 7)] + u8::from(first.lfe);
    let (kind, codec, box_kind, record) = if first.enhanced {
        (b"ec-3", "ec-3", b"dec3", dec3(&first, frame))
    } else {
        // annex F.4: fscod, bsid, bsmod, acmod, lfeon, bit_rate_code
        let bits = u32::from(first.fscod) << 22
            | u32::from(first.bsid) << 17
            | u32::from(first.bsmod) << 14
            | u32::from(first.acmod) << 11
            | u32::from(first.lfe) << 10
            | u32::from(first.bitrate_code) << 5;
        (b"ac-3", "ac-3", b"dac3", bits.to_be_bytes()[1..].to_vec())
    };
    Some(Config {
        codec: codec.to_owned(),
        entry: mp4::audio_entry(kind, channels, first.rate, box_kind, &record),
        timescale: first.rate,
        size: None,
    })
}

/// annex F.6, from a whole sample: each independent substream with its dependent ones.
fn dec3(first: &Sync, frame: &[u8]) -> Vec<u8> {
    let mut streams: Vec<(Sync, u8, u16)> = Vec::new();
    let mut at = 0;
    while let Head::Sync(sync) = head(frame.get(at..).unwrap_or(&[])) {
        at += sync.size;
        if sync.dependent {
            if let Some((_, count, map)) = streams.last_mut() {
                *count = (*count + 1).min(15);
                // chan_loc: Lc/Rc to LFE2, which are bits 5 to 13 of chanmap
                *map |= sync.map >> 2 & 0x1ff;
            }
        } else if streams.iter().any(|(known, ..)| known.substream == sync.substream) {
            break;
        } else {
            streams.push((sync, 0, 0));
        }
    }
    let rate = (first.size as u32 * first.rate / (first.blocks * 256) * 8 / 1000).min(0x1fff);
    let mut out =
        ((rate << 3 | (streams.len().clamp(1, 8) as u32 - 1)) as u16).to_be_bytes().to_vec();
    for (sync, count, map) in streams.iter().take(8) {
        out.push(sync.fscod << 6 | sync.bsid << 1);
        out.push(sync.bsmod << 4 | sync.acmod << 1 | u8::from(sync.lfe));
        out.push(count << 1 | if *count > 0 { (map >> 8) as u8 & 1 } else { 0 });
        if *count > 0 {
            out.push(*map as u8);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 48 kHz, 192 kbit/s, stereo.
    const PLAIN: [u8; 8] = [0x0b, 0x77, 0, 0, 0x14, 0x40, 0x43, 0xe0];

    #[test]
    fn a_frame_tells_size_and_configuration() {
        let Found::Frame(frame) = find(&PLAIN, false) else { panic!("no frame") };
        assert_eq!((frame.size, frame.samples, frame.rate), (768, 1536, 48_000));
        let config = config(&PLAIN).expect("a configuration");
        assert_eq!(config.codec, "ac-3");
        // fscod 0, bsid 8, bsmod 0, acmod 2, lfe 0, bit_rate_code 10
        assert!(config.entry.ends_with(&[0b0001_0000, 0b0001_0001, 0b0100_0000]));
    }

    #[test]
    fn a_group_waits_for_its_dependent_substreams() {
        // independent, 0, 256 bytes, 48 kHz, six blocks, 3/2 with LFE, bsid 16
        let mut group = vec![0x0b, 0x77, 0x00, 0x7f, 0x3f, 0x80, 0, 0];
        group.resize(256, 0);
        assert_eq!(find(&group, false), Found::More);
        assert!(matches!(find(&group, true), Found::Frame(Frame { size: 256, .. })));
        // dependent, 0, 128 bytes, with chanmap: Lrs/Rrs pair
        let mut dependent = vec![0x0b, 0x77, 0x40, 0x3f, 0x34, 0x80, 0x20, 0x10, 0x00];
        dependent.resize(128, 0);
        group.extend(&dependent);
        group.extend([0x0b, 0x77, 0x00, 0x7f, 0x3f, 0x80, 0, 0]);
        assert!(matches!(
            find(&group, false),
            Found::Frame(Frame { size: 384, samples: 1536, .. })
        ));
        let config = config(&group[..384]).expect("a configuration");
        assert_eq!(config.codec, "ec-3");
    }

    #[test]
    fn no_sync_word_is_no_frame() {
        assert_eq!(find(&[0x0b, 0x78, 0, 0, 0, 0, 0, 0], false), Found::Nothing);
        assert_eq!(find(&[0x0b], false), Found::More);
        assert_eq!(find(&[0x0b, 0x77, 0, 0, 0xff, 0x40, 0, 0], false), Found::Nothing);
    }
}
