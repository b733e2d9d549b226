//! Packetized elementary streams (ISO/IEC 13818-1 §2.4.3.6).

/// What the first bytes of a PES packet say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// Its header goes on.
    More,
    /// No PES packet, or one without timed data.
    Bad,
    /// Its data begins here.
    Whole {
        /// Bytes of the header.
        size: usize,
        /// Presentation and decoding time, 33 bits of 90 kHz each.
        times: Option<(u64, Option<u64>)>,
        /// Bytes of data, when the packet tells.
        data: Option<usize>,
    },
}

/// Reads a packet's header.
pub(crate) fn header(bytes: &[u8]) -> Header {
    if !bytes.iter().zip(&[0, 0, 1]).all(|(byte, expected)| byte == expected) {
        return Header::Bad;
    }
    let &[_, _, _, id, l0, l1, marks, flags, rest, ..] = bytes else { return Header::More };
    // Program stream map and directory, padding, private 2, ECM, EMM, DSM-CC, H.222.1 type E: no such header.
    if matches!(id, 0xbc | 0xbe | 0xbf | 0xf0 | 0xf1 | 0xf2 | 0xf8 | 0xff) || marks & 0xc0 != 0x80 {
        return Header::Bad;
    }
    let size = 9 + usize::from(rest);
    let Some(header) = bytes.get(..size) else { return Header::More };
    let time = |at: usize| match header.get(at..at + 5) {
        Some(&[a, b, c, d, e]) => Some(
            u64::from(a >> 1 & 7) << 30
                | u64::from(b) << 22
                | u64::from(c >> 1) << 15
                | u64::from(d) << 7
                | u64::from(e >> 1),
        ),
        _ => None,
    };
    let times = if flags & 0x80 == 0 {
        None
    } else {
        time(9).map(|pts| (pts, if flags & 0x40 == 0 { None } else { time(14) }))
    };
    let length = usize::from(l0) << 8 | usize::from(l1);
    Header::Whole { size, times, data: (length + 6).checked_sub(size).filter(|_| length > 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_length_are_read() {
        let packet = [
            0, 0, 1, 0xe0, 0, 20, 0x80, 0xc0, 10, 0x3f, 0xff, 0xff, 0xff, 0xff, 0x11, 0x00, 0x01,
            0x00, 0x03, 0xaa,
        ];
        let times = Some(((1 << 33) - 1, Some(1)));
        assert_eq!(header(&packet), Header::Whole { size: 19, times, data: Some(7) });
        assert_eq!(header(&packet[..12]), Header::More);
    }

    #[test]
    fn unbounded_packets_and_those_without_times_are_told() {
        let packet = [0, 0, 1, 0xe0, 0, 0, 0x80, 0, 0];
        assert_eq!(header(&packet), Header::Whole { size: 9, times: None, data: None });
    }

    #[test]
    fn other_bytes_are_no_packet() {
        assert_eq!(header(&[0, 0, 2]), Header::Bad);
        assert_eq!(header(&[0, 0, 1, 0xbe, 0, 0, 0xff, 0xff, 0xff]), Header::Bad);
        assert_eq!(header(&[0, 0]), Header::More);
    }
}
