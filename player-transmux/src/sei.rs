//! Supplemental enhancement information (ITU-T H.264 §7.3.2.3, H.265 §7.3.5): captions and recovery points.

use crate::bits::{Bits, unescape};

/// What a player needs of an SEI NAL unit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sei {
    /// Messages with CEA-608/708 data (ATSC A/53 part 4 §6.2.3), each from its country code on.
    pub(crate) captions: Vec<Vec<u8>>,
    /// Decoding can begin at this picture and be right at once.
    pub(crate) recovery: bool,
}

/// The longest unit that is read.
const MOST: usize = 64 * 1024;

/// Reads the messages of a unit whose NAL header has `header` bytes.
pub(crate) fn read(nal: &[u8], header: usize) -> Sei {
    let mut sei = Sei::default();
    let data = unescape(nal.get(header..).unwrap_or(&[]), MOST);
    let mut rest = data.as_slice();
    while let Some((kind, size, message)) = head(rest) {
        let Some(payload) = message.get(..size) else { break };
        match kind {
            // user_data_registered_itu_t_t35: United States, ATSC, 'GA94', cc_data
            4 if payload.starts_with(b"\xb5\x00\x31GA94\x03") => {
                sei.captions.push(payload.to_vec());
            }
            6 => sei.recovery |= Bits::new(payload).ue() == 0 && !payload.is_empty(),
            _ => {}
        }
        rest = &message[size..];
    }
    sei
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
    fn captions_and_recovery_points_are_found_among_others() {
        let mut nal = vec![6, 1, 1, 9, 6, 1, 0xc4, 4, 10];
        nal.extend(b"\xb5\x00\x31GA94\x03\xc1\xff");
        nal.push(0x80);
        let sei = read(&nal, 1);
        assert_eq!(sei.captions, [b"\xb5\x00\x31GA94\x03\xc1\xff".to_vec()]);
        assert!(sei.recovery);
    }

    #[test]
    fn cut_messages_are_left() {
        assert_eq!(read(&[6, 4, 200, 0xb5, 0, 0x31], 1), Sei::default());
        assert_eq!(read(&[6, 255, 255], 1), Sei::default());
        assert_eq!(read(&[], 1), Sei::default());
    }
}
