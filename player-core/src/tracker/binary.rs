//! 20-byte identifiers as JSON: one character per byte, code points 0 to 255 ("latin-1 strings"), as
//! WebTorrent's trackers write them.

use std::fmt;

/// Names one offer of one peer, so that an answer finds it (`offer_id`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct OfferId(pub [u8; 20]);

impl fmt::Debug for OfferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OfferId({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// The bytes as a string of as many characters.
#[must_use]
pub fn to_latin1(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        text.push(char::from(*byte));
    }
    text
}

/// The 20 bytes that 20 characters stand for; `None` for any other number, or characters beyond 255.
#[must_use]
pub fn from_latin1(text: &str) -> Option<[u8; 20]> {
    let mut bytes = [0; 20];
    let mut chars = text.chars();
    for byte in &mut bytes {
        *byte = u8::try_from(chars.next()?).ok()?;
    }
    chars.next().is_none().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_character() {
        for first in [0_u8, 10, 34, 92, 127, 128, 200, 236] {
            let bytes = std::array::from_fn(|i| first.wrapping_add(i as u8));
            assert_eq!(from_latin1(&to_latin1(&bytes)), Some(bytes));
        }
    }

    #[test]
    fn other_lengths_and_wider_characters_are_refused() {
        assert_eq!(from_latin1("abcdefghij012345678"), None);
        assert_eq!(from_latin1("abcdefghij01234567890"), None);
        assert_eq!(from_latin1("abcdefghij012345678€"), None);
        assert_eq!(from_latin1("abcdefghij012345678ÿ").unwrap()[19], 255);
    }
}
