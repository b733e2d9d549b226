//! `cc_data` out of supplemental enhancement information (ITU-T H.264 §7.3.2.3, H.265 §7.3.5, ATSC A/53 part 4 §6.2.3).

/// How NAL units are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// H.264.
    Avc,
    /// H.265.
    Hevc,
}

/// Longest SEI unit that is read.
const MAX_SEI: usize = 16 * 1024;

/// Adds the captions of a sample, whose NAL units have `length` bytes of length before each.
pub fn cc_data(sample: &[u8], length: usize, codec: Codec, out: &mut Vec<[u8; 3]>) {
    let mut rest = sample;
    while let Some(size) = rest.get(..length).filter(|size| !size.is_empty()) {
        let size = size.iter().fold(0_usize, |size, byte| size << 8 | usize::from(*byte));
        let Some(unit) = rest[length..].get(..size) else { return };
        rest = &rest[length + size..];
        let Some(first) = unit.first() else { continue };
        let (is_sei, header) = match codec {
            Codec::Avc => (first & 0x1f == 6, 1),
            Codec::Hevc => (matches!(first >> 1 & 0x3f, 39 | 40), 2),
        };
        if is_sei && let Some(body) = unit.get(header..) {
            read(&unescape(&body[..body.len().min(MAX_SEI)]), out);
        }
    }
}

/// Reads the messages of a unit.
fn read(data: &[u8], out: &mut Vec<[u8; 3]>) {
    let mut rest = data;
    // Two bytes of head, and more than the stop bit behind them.
    while rest.len() > 2 {
        let Some((kind, after)) = number(rest) else { return };
        let Some((size, after)) = number(after) else { return };
        let Some(message) = after.get(..size) else { return };
        rest = &after[size..];
        // user_data_registered_itu_t_t35: United States, ATSC, 'GA94', cc_data
        if kind == 4
            && let Some(data) = message.strip_prefix(b"\xb5\x00\x31GA94\x03")
        {
            let Some([flags, _, triplets @ ..]) = data.first_chunk::<2>().map(|_| data) else {
                continue;
            };
            if flags & 0x40 != 0 {
                let count = usize::from(flags & 0x1f);
                let (triplets, _) = triplets.as_chunks::<3>();
                out.extend(triplets.iter().take(count));
            }
        }
    }
}

/// A sum of bytes up to the first that is not 255.
fn number(data: &[u8]) -> Option<(usize, &[u8])> {
    let more = data.iter().position(|byte| *byte != 255)?;
    Some((more * 255 + usize::from(data[more]), &data[more + 1..]))
}

/// Without the bytes that keep start codes out (H.264 §7.4.1).
fn unescape(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut zeros = 0;
    for byte in data {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        out.push(*byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(head: &[u8], triplets: &[[u8; 3]]) -> Vec<u8> {
        let mut message = b"\xb5\x00\x31GA94\x03".to_vec();
        message.extend_from_slice(&[0x40 | triplets.len() as u8, 0xff]);
        message.extend(triplets.iter().flatten());
        message.push(0xff);
        let mut unit = [head, &[5, 1, 9, 4, message.len() as u8], &message, &[0x80]].concat();
        let mut sample = (unit.len() as u32).to_be_bytes().to_vec();
        sample.append(&mut unit);
        sample
    }

    #[test]
    fn captions_are_found_behind_other_messages_and_units() {
        let triplets = [[0xfc, 0x94, 0x20], [0xfd, 0x80, 0x80]];
        let mut out = Vec::new();
        let mut sample = vec![0, 0, 0, 2, 9, 0xf0];
        sample.extend(unit(&[6], &triplets));
        cc_data(&sample, 4, Codec::Avc, &mut out);
        assert_eq!(out, triplets);
        out.clear();
        cc_data(&unit(&[39 << 1, 1], &triplets), 4, Codec::Hevc, &mut out);
        assert_eq!(out, triplets);
        out.clear();
        cc_data(&unit(&[39 << 1, 1], &triplets), 4, Codec::Avc, &mut out);
        assert_eq!(out, [[0; 3]; 0]);
    }

    #[test]
    fn bytes_that_keep_start_codes_out_are_dropped() {
        assert_eq!(unescape(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3]), [0, 0, 1, 0, 0, 0, 0]);
    }
}
