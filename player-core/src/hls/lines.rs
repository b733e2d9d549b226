//! The lines of a text, ended by LF, CRLF or a lone CR.

/// One line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// Without its terminator.
    pub(super) text: &'a str,
    /// Byte offset of its first byte in the text.
    pub(super) offset: usize,
    /// From 1.
    pub(super) number: u32,
}

/// Iterates over the lines that are not empty.
#[derive(Debug, Clone)]
pub(super) struct Lines<'a> {
    text: &'a str,
    position: usize,
    number: u32,
}

impl<'a> Lines<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self::from(text, 0)
    }

    /// Begins at a byte offset, which has to be a line's beginning.
    pub(super) const fn from(text: &'a str, position: usize) -> Self {
        Self { text, position, number: 0 }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let bytes = self.text.as_bytes();
        loop {
            let offset = self.position;
            let rest = bytes.get(offset..).filter(|rest| !rest.is_empty())?;
            let length = find_terminator(rest);
            self.position = offset + length + 1;
            if rest.get(length) != Some(&b'\n')
                || length > 0
                || offset == 0
                || bytes[offset - 1] != b'\r'
            {
                self.number = self.number.saturating_add(1);
            }
            if length > 0
                && let Some(text) = self.text.get(offset..offset + length)
            {
                return Some(Line { text, offset, number: self.number });
            }
        }
    }
}

/// Index of the first CR or LF, or the length. Eight bytes at a time: most of a playlist's bytes are passed here.
pub(super) fn find_terminator(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let lf = word ^ (ONES * 0x0a);
        let cr = word ^ (ONES * 0x0d);
        // The classic zero-byte test; its lowest set bit is always a true hit.
        let hits = ((lf.wrapping_sub(ONES) & !lf) | (cr.wrapping_sub(ONES) & !cr)) & HIGHS;
        if hits != 0 {
            return index * 8 + hits.trailing_zeros() as usize / 8;
        }
    }
    let start = words.len() * 8;
    tail.iter()
        .position(|byte| *byte == b'\n' || *byte == b'\r')
        .map_or(bytes.len(), |index| start + index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_lf_crlf_or_cr() {
        let lines: Vec<_> = Lines::new("a\r\nbb\n\nccccccccccc\rd\r\n\r\ne").collect();
        let texts: Vec<_> = lines.iter().map(|line| (line.text, line.number)).collect();
        assert_eq!(texts, [("a", 1), ("bb", 2), ("ccccccccccc", 4), ("d", 5), ("e", 7)]);
        assert_eq!(lines[3].offset, 19);
    }
}
