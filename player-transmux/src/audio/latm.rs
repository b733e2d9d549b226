//! AAC in LATM/LOAS (ISO/IEC 14496-3 §1.7): one program, one layer, one frame in each element; what is sent.

use super::adts::{RATES, aac};
use super::{Found, Frame};
use crate::bits::Bits;
use crate::mux::Config;

/// What `StreamMuxConfig` (§1.7.3) last said, and the frame that was found last.
#[derive(Debug, Default)]
pub(super) struct Latm {
    /// `AudioSpecificConfig` as it came, filled up to whole bytes.
    info: Vec<u8>,
    object_type: u8,
    channels: u8,
    rate: u32,
    samples: u32,
    /// Changes with `info`.
    version: u32,
    other_data: usize,
    payload: Vec<u8>,
}

impl Latm {
    pub(super) fn find(&mut self, data: &[u8]) -> Found {
        let starts = data.first().is_none_or(|&byte| byte == 0x56)
            && data.get(1).is_none_or(|&byte| byte & 0xe0 == 0xe0);
        if !starts {
            return Found::Nothing;
        }
        let &[_, b1, b2, ..] = data else { return Found::More };
        let size = 3 + (usize::from(b1 & 31) << 8 | usize::from(b2));
        let Some(element) = data.get(3..size) else { return Found::More };
        let mut bits = Bits::new(element);
        if !bits.flag() && self.configure(&mut bits, element).is_none() {
            return Found::Nothing;
        }
        if self.info.is_empty() {
            // The configuration is still to come: no time passes.
            return Found::Nothing;
        }
        let mut length = 0;
        loop {
            let part = bits.read(8) as usize;
            length += part;
            if part != 255 || bits.overrun() {
                break;
            }
        }
        if bits.overrun() || bits.position() + length * 8 > element.len() * 8 {
            return Found::Nothing;
        }
        self.payload.clear();
        copy_bits(&mut self.payload, element, bits.position(), length * 8);
        Found::Frame(Frame {
            header: 0,
            size,
            samples: self.samples,
            rate: self.rate,
            signature: self.version,
        })
    }

    /// Reads `StreamMuxConfig`; none when it is of a kind that no broadcast uses.
    fn configure(&mut self, bits: &mut Bits<'_>, element: &[u8]) -> Option<()> {
        let version = bits.flag();
        if version && bits.flag() {
            return None;
        }
        if version {
            value(bits); // taraBufferFullness
        }
        let same_framing = bits.flag();
        let (subframes, programs, layers) = (bits.read(6), bits.read(4), bits.read(3));
        if !same_framing || subframes != 0 || programs != 0 || layers != 0 {
            return None;
        }
        let told = if version { Some(value(bits) as usize) } else { None };
        let start = bits.position();
        let mut kind = object_type(bits);
        let rate = frequency(bits)?;
        let channels = bits.read(4) as u8;
        let signalled = kind;
        if matches!(kind, 5 | 29) {
            frequency(bits)?;
            kind = object_type(bits);
        }
        // GASpecificConfig without a program config element
        if !matches!(kind, 1..=4) || channels == 0 || channels > 7 {
            return None;
        }
        let short = bits.flag();
        if bits.flag() {
            bits.skip(14);
        }
        let extension = bits.flag();
        if extension {
            return None;
        }
        let end = match told {
            Some(told) => start.saturating_add(told),
            None => bits.position(),
        };
        bits.skip(end.checked_sub(bits.position())?);
        if bits.read(3) != 0 {
            return None; // frameLengthType
        }
        bits.skip(8); // latmBufferFullness
        self.other_data = 0;
        if bits.flag() {
            if version {
                self.other_data = value(bits) as usize;
            } else {
                loop {
                    let more = bits.flag();
                    self.other_data = self.other_data << 8 & 0xff_ffff | bits.read(8) as usize;
                    if !more || bits.overrun() {
                        break;
                    }
                }
            }
        }
        if bits.flag() {
            bits.skip(8); // crcCheckSum
        }
        if bits.overrun() {
            return None;
        }
        let mut info = Vec::new();
        copy_bits(&mut info, element, start, end - start);
        if info.len() > 64 {
            return None;
        }
        if info != self.info {
            self.version = self.version.wrapping_add(1);
            self.info = info;
        }
        self.object_type = signalled;
        self.channels = channels;
        // Times count in the core's samples, as without band replication.
        self.rate = rate;
        self.samples = if short { 960 } else { 1024 };
        Some(())
    }

    /// Appends the payload of the frame that was found last.
    pub(super) fn payload(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.payload);
    }

    pub(super) fn config(&self) -> Option<Config> {
        (!self.info.is_empty()).then(|| aac(&self.info, self.object_type, self.channels, self.rate))
    }
}

/// `LatmGetValue` (§1.7.3).
fn value(bits: &mut Bits<'_>) -> u32 {
    let bytes = bits.read(2) + 1;
    bits.read(bytes * 8)
}

fn object_type(bits: &mut Bits<'_>) -> u8 {
    match bits.read(5) {
        31 => 32 + bits.read(6) as u8,
        kind => kind as u8,
    }
}

fn frequency(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.read(4) {
        15 => Some(bits.read(24)).filter(|&rate| rate >= 1000),
        index => RATES.get(index as usize).copied(),
    }
}

/// Copies bits from any place to whole bytes.
fn copy_bits(out: &mut Vec<u8>, data: &[u8], at: usize, count: usize) {
    let shift = at % 8;
    let first = at / 8;
    let byte = |index: usize| data.get(index).copied().unwrap_or(0);
    for index in 0..count.div_ceil(8) {
        let high = byte(first + index) << shift;
        let low = if shift == 0 { 0 } else { byte(first + index + 1) >> (8 - shift) };
        out.push(high | low);
    }
    if !count.is_multiple_of(8)
        && let Some(last) = out.last_mut()
    {
        *last &= 0xffu8 << (8 - count % 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_copied_from_any_place() {
        let mut out = Vec::new();
        copy_bits(&mut out, &[0b1010_1100, 0b1111_0000, 0xff], 3, 12);
        assert_eq!(out, [0b0110_0111, 0b1000_0000]);
    }

    #[test]
    fn frames_without_a_configuration_are_left() {
        let mut latm = Latm::default();
        assert_eq!(latm.find(&[0x56, 0xe0, 2, 0x80, 0]), Found::Nothing);
        assert_eq!(latm.find(&[0x56, 0xe0, 20, 0x80]), Found::More);
        assert_eq!(latm.find(&[0x57]), Found::Nothing);
    }
}
