//! H.264: parameter sets and slice headers (ITU-T H.264 §7.3), `avcC` (ISO/IEC 14496-15 §5.3.3).

use crate::bits::{Bits, unescape};
use crate::clock::HZ;
use crate::mp4;
use crate::mux::Config;
use crate::text;

/// What the rest needs of a sequence parameter set.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sps {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The shape of a pixel, width to height.
    pub(crate) aspect: (u32, u32),
    chroma: u8,
    luma_depth: u8,
    chroma_depth: u8,
    separate_planes: bool,
    frame_num_bits: u32,
    frames_only: bool,
}

/// Width and height of a pixel by `aspect_ratio_idc` (ITU-T H.264 table E-1).
const ASPECTS: [(u8, u8); 17] = [
    (1, 1),
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];

/// Profiles whose parameter sets tell chroma format and bit depths.
const fn is_high(profile: u8) -> bool {
    matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

/// Reads a sequence parameter set, with its NAL header (§7.3.2.1.1).
pub(crate) fn sps(nal: &[u8]) -> Option<Sps> {
    let data = unescape(nal, 1024);
    let mut bits = Bits::new(&data);
    bits.skip(8);
    let profile = bits.read(8) as u8;
    bits.skip(16);
    bits.ue();
    let mut sps = Sps { chroma: 1, aspect: (1, 1), ..Sps::default() };
    if is_high(profile) {
        sps.chroma = bits.ue() as u8;
        if sps.chroma == 3 {
            sps.separate_planes = bits.flag();
        }
        sps.luma_depth = bits.ue() as u8;
        sps.chroma_depth = bits.ue() as u8;
        bits.skip(1);
        if bits.flag() {
            for list in 0..if sps.chroma == 3 { 12 } else { 8 } {
                if bits.flag() {
                    skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 });
                }
            }
        }
    }
    sps.frame_num_bits = bits.ue() + 4;
    match bits.ue() {
        0 => {
            bits.ue();
        }
        1 => {
            bits.skip(1);
            bits.se();
            bits.se();
            for _ in 0..bits.ue().min(255) {
                bits.se();
            }
        }
        _ => {}
    }
    bits.ue();
    bits.skip(1);
    let width = bits.ue().min(4095) * 16 + 16;
    let units = bits.ue().min(4095) * 16 + 16;
    sps.frames_only = bits.flag();
    let fields = if sps.frames_only { 1 } else { 2 };
    if !sps.frames_only {
        bits.skip(1);
    }
    bits.skip(1);
    let (mut across, mut down) = (0, 0);
    if bits.flag() {
        across = bits.ue().saturating_add(bits.ue());
        down = bits.ue().saturating_add(bits.ue());
    }
    let step_across = if matches!(sps.chroma, 1 | 2) { 2 } else { 1 };
    let step_down = if sps.chroma == 1 { 2 } else { 1 } * fields;
    sps.width = width.saturating_sub(across.saturating_mul(step_across));
    sps.height = (units * fields).saturating_sub(down.saturating_mul(step_down));
    if bits.flag() && bits.flag() {
        let code = bits.read(8);
        sps.aspect = match ASPECTS.get(code as usize) {
            Some(&(width, height)) => (u32::from(width), u32::from(height)),
            None if code == 255 => (bits.read(16), bits.read(16)),
            None => (1, 1),
        };
        if sps.aspect.0 == 0 || sps.aspect.1 == 0 {
            sps.aspect = (1, 1);
        }
    }
    // The aspect ratio may lie past the end of a cut one; the size may not.
    (sps.width > 0 && sps.height > 0 && sps.frame_num_bits <= 16 && !bits.overrun()).then_some(sps)
}

fn skip_scaling_list(bits: &mut Bits<'_>, count: u32) {
    let (mut last, mut next) = (8, 8);
    for _ in 0..count {
        if next != 0 {
            next = (last + bits.se()) & 255;
        }
        last = if next == 0 { last } else { next };
    }
}

/// What a slice header says about where a frame begins (§7.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) first: bool,
    pub(crate) intra: bool,
    /// The frame's number and whether it is the bottom field, for a single field.
    pub(crate) field: Option<(u32, bool)>,
}

pub(crate) fn slice(nal: &[u8], sps: Option<&Sps>) -> Slice {
    let data = unescape(nal.get(1..nal.len().min(32)).unwrap_or(&[]), 24);
    let mut bits = Bits::new(&data);
    let first = bits.ue() == 0;
    let kind = bits.ue() % 5;
    bits.ue();
    let mut field = None;
    if let Some(sps) = sps.filter(|sps| !sps.frames_only) {
        bits.skip(if sps.separate_planes { 2 } else { 0 });
        let frame = bits.read(sps.frame_num_bits);
        if bits.flag() {
            field = Some((frame, bits.flag()));
        }
    }
    Slice { first, intra: matches!(kind, 2 | 4), field }
}

/// The track's configuration: `sets` are sequence parameter sets, then picture parameter sets.
pub(crate) fn config(sps: &Sps, sps_nal: &[u8], all_sps: &[&[u8]], all_pps: &[&[u8]]) -> Config {
    let [_, profile, constraints, level, ..] = *sps_nal else {
        return Config { codec: String::new(), entry: Vec::new(), timescale: 1, size: None };
    };
    let mut record = vec![1, profile, constraints, level, 0xff];
    for (sets, most, mark) in [(all_sps, 31, 0xe0), (all_pps, 255, 0)] {
        let sets = &sets[..sets.len().min(most)];
        record.push(mark | sets.len() as u8);
        for set in sets {
            record.extend((set.len() as u16).to_be_bytes());
            record.extend_from_slice(set);
        }
    }
    if is_high(profile) {
        let depths = [sps.luma_depth, sps.chroma_depth].map(|depth| 0xf8 | depth & 7);
        record.extend([0xfc | sps.chroma & 3, depths[0], depths[1], 0]);
    }
    let mut codec = String::from("avc1.");
    for byte in [profile, constraints, level] {
        text::hex(&mut codec, u32::from(byte), 2);
    }
    let entry = mp4::video_entry(b"avc1", (sps.width, sps.height), sps.aspect, b"avcC", &record);
    let wide = u64::from(sps.width) * u64::from(sps.aspect.0) / u64::from(sps.aspect.1.max(1));
    let size = Some((wide.min(65_535) as u32, sps.height));
    Config { codec, entry, timescale: HZ as u32, size }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// x264, 640×360, High.
    const HIGH: [u8; 26] = [
        0x67, 0x64, 0x00, 0x1e, 0xac, 0xd9, 0x40, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0x00, 0x00, 0x03,
        0x03, 0xe9, 0x00, 0x00, 0xea, 0x60, 0x0f, 0x16, 0x2d, 0x96, 0x00,
    ];

    #[test]
    fn a_parameter_set_tells_size_and_codec() {
        let sps = sps(&HIGH).expect("a whole parameter set");
        assert_eq!((sps.width, sps.height, sps.aspect), (640, 360, (1, 1)));
        let config = config(&sps, &HIGH, &[&HIGH], &[&[0x68, 0xeb]]);
        assert_eq!(config.codec, "avc1.64001e");
        assert_eq!(config.size, Some((640, 360)));
    }

    #[test]
    fn a_cut_parameter_set_is_none() {
        for end in 0..9 {
            assert_eq!(sps(&HIGH[..end]), None);
        }
    }

    #[test]
    fn slices_tell_whether_they_begin_a_picture() {
        // first_mb 0, slice_type 7 (I), pps 0
        let slice_of = |bytes: &[u8]| slice(bytes, None);
        assert_eq!(
            slice_of(&[0x65, 0b1000_1000, 0b1000_0000]),
            Slice { first: true, intra: true, field: None }
        );
        // first_mb 3, slice_type 0 (P)
        assert_eq!(
            slice_of(&[0x41, 0b0010_0110, 0]),
            Slice { first: false, intra: false, field: None }
        );
    }
}
