//! Supplemental enhancement information (ITU-T H.264 §7.3.2.3): recovery points. All of it stays in the samples, with
//! the captions in it.

use crate::bits::{Bits, unescape};

/// How far into a unit a recovery point is looked for: it stands before what is long.
const MOST: usize = 1024;

/// Whether a unit says that decoding can begin at its picture and be right at once (§D.2.8).
pub(crate) fn recovery(nal: &[u8]) -> bool {
    let data = unescape(nal.get(1..).unwrap_or(&[]), MOST);
    let mut rest = data.as_slice();
    while let Some((kind, size, message)) = head(rest) {
        let Some(payload) = message.get(..size) else { break };
        if kind == 6 && !payload.is_empty() && Bits::new(payload).ue() == 0 {
            return true;
        }
        rest = &message[size..];
    }
    false
}

/// A message's type and size, each a sum of bytes up to the first that isn't 255.
fn head(data: &[u8]) -> Option<(usize, usize, &[u8])> {
    // The stop bit alone is no message.
    if data.len() < 3 {
        return None;
    }
    let (kind, rest) = sum(data)?;
    let (size, rest) = sum(rest)?;
    Some((kind, size, rest))
}

fn sum(data: &[u8]) -> Option<(usize, &[u8])> {
    let ones = data.iter().take_while(|&&byte| byte == 255).count();
    let last = *data.get(ones)?;
    Some((ones * 255 + usize::from(last), &data[ones + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_point_is_found_among_others() {
        let mut nal = vec![6, 1, 1, 9, 6, 1, 0xc4, 4, 10];
        nal.extend(b"\xb5\x00\x31GA94\x03\xc1\xff");
        nal.push(0x80);
        assert!(recovery(&nal));
        assert!(!recovery(&[6, 1, 1, 9, 6, 1, 0x44, 0x80]), "one frame later is not at once");
    }

    #[test]
    fn cut_messages_are_left() {
        assert!(!recovery(&[6, 4, 200, 0xb5, 0, 0x31]));
        assert!(!recovery(&[6, 255, 255]));
        assert!(!recovery(&[]));
    }
}
