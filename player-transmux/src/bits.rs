//! Reading bits, Exp-Golomb codes and escaped payloads.

/// A reader of bits, most significant first. Past the end it reads zeros and remembers it, so that a parser
/// needs one check at its end.
pub(crate) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// Whether more was read than there was.
    pub(crate) const fn overrun(&self) -> bool {
        self.at > self.data.len() * 8
    }

    /// Where the next bit is, in bits from the start.
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// At most 32 bits.
    pub(crate) fn read(&mut self, bits: u32) -> u32 {
        let mut value = 0;
        for _ in 0..bits {
            let byte = self.data.get(self.at / 8).copied().unwrap_or(0);
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        value
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.read(1) == 1
    }

    pub(crate) const fn skip(&mut self, bits: usize) {
        self.at = self.at.saturating_add(bits);
    }

    /// An unsigned Exp-Golomb code (ITU-T H.264 §9.1). 0 when longer than 32 bits: no field is.
    pub(crate) fn ue(&mut self) -> u32 {
        let mut zeros = 0;
        while !self.flag() {
            zeros += 1;
            if zeros > 31 || self.overrun() {
                self.skip(self.data.len() * 8);
                return 0;
            }
        }
        (1 << zeros) - 1 + self.read(zeros)
    }

    /// A signed Exp-Golomb code (ITU-T H.264 §9.1.1).
    pub(crate) fn se(&mut self) -> i32 {
        let code = self.ue();
        let half = (code / 2 + code % 2) as i32;
        if code % 2 == 1 { half } else { -half }
    }
}

/// Takes the emulation prevention bytes out of a NAL unit (ITU-T H.264 §7.4.1): `00 00 03` is `00 00`.
pub(crate) fn unescape(nal: &[u8], most: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(nal.len().min(most));
    let mut zeros = 0;
    for &byte in nal {
        if out.len() == most {
            break;
        }
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

/// The start code prefix `00 00 01` at or after `from`: where its first zero is.
pub(crate) fn start_code(data: &[u8], from: usize) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = from;
    loop {
        // Eight bytes without a zero hold no beginning of a start code; compressed video is mostly such.
        while let Some(word) = data.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*word);
            let zeros = word.wrapping_sub(LOW) & !word & HIGH;
            if zeros != 0 {
                at += zeros.trailing_zeros() as usize / 8;
                break;
            }
            at += 8;
        }
        match data.get(at..at + 3)? {
            [0, 0, 1] => return Some(at),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_are_read() {
        // 1 | 010 | 011 | 00100 | 00101 → 0, 1, 2, 3, 4
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!([bits.ue(), bits.ue(), bits.ue(), bits.ue(), bits.ue()], [0, 1, 2, 3, 4]);
        let mut bits = Bits::new(&[0b0100_1100, 0b1000_0101, 0]);
        assert_eq!([bits.se(), bits.se(), bits.se(), bits.se()], [1, -1, 2, -2]);
    }

    #[test]
    fn reading_past_the_end_is_remembered() {
        let mut bits = Bits::new(&[0xff]);
        assert_eq!(bits.read(8), 0xff);
        assert!(!bits.overrun());
        assert_eq!(bits.read(4), 0);
        assert!(bits.overrun());
        let mut zeros = Bits::new(&[0; 3]);
        assert_eq!(zeros.ue(), 0);
        assert!(zeros.overrun());
    }

    #[test]
    fn emulation_prevention_bytes_go() {
        assert_eq!(unescape(&[1, 0, 0, 3, 1, 0, 0, 3, 0, 0, 3], 99), [1, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(unescape(&[1, 2, 3, 4], 2), [1, 2]);
    }

    #[test]
    fn start_codes_are_found_at_each_offset() {
        for lead in 0..40 {
            for tail in 0..12 {
                let mut data = vec![7; lead];
                data.extend([0, 0, 1]);
                data.extend(vec![9; tail]);
                assert_eq!(start_code(&data, 0), Some(lead));
                assert_eq!(start_code(&data, lead + 1), None);
            }
        }
        assert_eq!(start_code(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 0), Some(8));
        assert_eq!(start_code(&[0, 0], 0), None);
        assert_eq!(start_code(&[], 5), None);
    }
}
