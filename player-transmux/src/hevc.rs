//! HEVC: parameter sets (ITU-T H.265 §7.3), `hvcC` (ISO/IEC 14496-15 §8.3.3).

use crate::bits::{Bits, unescape};
use crate::clock::HZ;
use crate::mp4;
use crate::mux::Config;
use crate::text;

/// What the rest needs of a sequence parameter set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sps {
    width: u32,
    height: u32,
    chroma: u8,
    luma_depth: u8,
    chroma_depth: u8,
    layers: u8,
    nested: bool,
    /// `general_profile_space` to `general_level_idc` of `profile_tier_level`.
    profile: [u8; 12],
}

/// Reads a sequence parameter set, with its NAL header (§7.3.2.2).
pub(crate) fn sps(nal: &[u8]) -> Option<Sps> {
    let data = unescape(nal, 1024);
    let profile = *data.get(3..)?.first_chunk::<12>()?;
    let mut bits = Bits::new(&data);
    let (sublayers, nested) = skip_profile(&mut bits);
    bits.ue();
    let chroma = bits.ue();
    if chroma == 3 {
        bits.skip(1);
    }
    let (mut width, mut height) = (bits.ue(), bits.ue());
    if bits.flag() {
        let across = bits.ue().saturating_add(bits.ue());
        let down = bits.ue().saturating_add(bits.ue());
        let step = if matches!(chroma, 1 | 2) { 2 } else { 1 };
        width = width.saturating_sub(across.saturating_mul(step));
        height = height.saturating_sub(down.saturating_mul(if chroma == 1 { 2 } else { 1 }));
    }
    let (luma_depth, chroma_depth) = (bits.ue() as u8, bits.ue() as u8);
    let whole = !bits.overrun() && chroma <= 3 && luma_depth < 8 && chroma_depth < 8;
    let sized = (1..=16_384).contains(&width) && (1..=16_384).contains(&height);
    (whole && sized).then_some(Sps {
        width,
        height,
        chroma: chroma as u8,
        luma_depth,
        chroma_depth,
        layers: sublayers as u8 + 1,
        nested,
        profile,
    })
}

/// Reads up to the parameter set's number; how many sub-layers there are besides the first, and whether nested.
fn skip_profile(bits: &mut Bits<'_>) -> (u32, bool) {
    bits.skip(16 + 4);
    let sublayers = bits.read(3);
    let nested = bits.flag();
    bits.skip(96);
    let mut present = [(false, false); 8];
    for layer in present.iter_mut().take(sublayers as usize) {
        *layer = (bits.flag(), bits.flag());
    }
    if sublayers > 0 {
        bits.skip((8 - sublayers as usize) * 2);
    }
    for (profile, level) in present {
        bits.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 });
    }
    (sublayers, nested)
}

/// The number of a sequence parameter set whose emulation prevention bytes are gone.
pub(crate) fn sps_id(data: &[u8]) -> u32 {
    let mut bits = Bits::new(data);
    skip_profile(&mut bits);
    bits.ue()
}

/// The codec string (ISO/IEC 14496-15 annex E.3).
fn codec(profile: &[u8; 12]) -> String {
    let [head, c0, c1, c2, c3, constraints @ .., level] = *profile;
    let mut out = String::from("hvc1.");
    if let space @ 1.. = head >> 6 {
        out.push(char::from(b'A' + space - 1));
    }
    text::decimal(&mut out, u32::from(head & 31));
    out.push('.');
    text::hex(&mut out, u32::from_be_bytes([c0, c1, c2, c3]).reverse_bits(), 1);
    out.push_str(if head & 32 == 0 { ".L" } else { ".H" });
    text::decimal(&mut out, u32::from(level));
    let used = constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    for &byte in &constraints[..used] {
        out.push('.');
        text::hex(&mut out, u32::from(byte), 1);
    }
    out
}

/// The track's configuration from video, sequence and picture parameter sets.
pub(crate) fn config(sps: &Sps, sets: [&[&[u8]]; 3]) -> Config {
    let mut record = vec![1];
    record.extend(sps.profile);
    record.extend([0xf0, 0, 0xfc]); // segmentation and parallelism: unknown
    record.extend([0xfc | sps.chroma, 0xf8 | sps.luma_depth, 0xf8 | sps.chroma_depth]);
    record.extend([0, 0]); // average frame rate: unknown
    record.push(sps.layers << 3 | u8::from(sps.nested) << 2 | 3); // lengths of four bytes
    record.push(3);
    for (sets, kind) in sets.into_iter().zip([32, 33, 34]) {
        record.push(0x80 | kind); // complete: none in the samples
        record.extend((sets.len() as u16).to_be_bytes());
        for set in sets {
            record.extend((set.len() as u16).to_be_bytes());
            record.extend_from_slice(set);
        }
    }
    let size = (sps.width, sps.height);
    Config {
        codec: codec(&sps.profile),
        entry: mp4::video_entry(b"hvc1", size, (1, 1), b"hvcC", &record),
        timescale: HZ as u32,
        size: Some(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codec_strings_follow_the_annex() {
        let main = [1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93];
        assert_eq!(codec(&main), "hvc1.1.6.L93.90");
        let main10_high = [0x22, 0x20, 0, 0, 0, 0xb0, 0, 0x10, 0, 0, 0, 150];
        assert_eq!(codec(&main10_high), "hvc1.2.4.H150.b0.0.10");
    }

    #[test]
    fn a_cut_parameter_set_is_none() {
        assert_eq!(sps(&[]), None);
        assert_eq!(sps(&[0x42, 1, 1, 1, 0x60, 0, 0, 0]), None);
        assert_eq!(sps(&[0x42; 16]), None);
    }
}
