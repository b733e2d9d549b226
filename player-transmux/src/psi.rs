//! Program association and program map tables (ISO/IEC 13818-1 §2.4.4).

use crate::audio::Format;
use crate::error::TransmuxError;

/// Puts sections together from packets.
#[derive(Debug, Default)]
pub(crate) struct Sections {
    bytes: Vec<u8>,
    open: bool,
}

impl Sections {
    /// Takes a packet's payload; calls `each` with each section that is complete.
    pub(crate) fn push(&mut self, start: bool, payload: &[u8], mut each: impl FnMut(&[u8])) {
        let mut payload = payload;
        if start {
            let Some((&pointer, rest)) = payload.split_first() else { return };
            let (old, new) = rest.split_at(usize::from(pointer).min(rest.len()));
            if self.open {
                self.bytes.extend_from_slice(old);
                self.drain(&mut each);
            }
            self.bytes.clear();
            self.open = true;
            payload = new;
        }
        if self.open {
            self.bytes.extend_from_slice(payload);
            self.drain(&mut each);
        }
    }

    fn drain(&mut self, each: &mut impl FnMut(&[u8])) {
        let mut at = 0;
        while let Some(&[table, l0, l1]) = self.bytes.get(at..at + 3) {
            if table == 0xff {
                // Stuffing to the packet's end.
                self.open = false;
                break;
            }
            let end = at + 3 + (usize::from(l0 & 15) << 8 | usize::from(l1));
            let Some(section) = self.bytes.get(at..end) else { break };
            each(section);
            at = end;
        }
        self.bytes.drain(..at);
    }
}

/// A section's payload between its header of eight bytes and its CRC, when it is valid now and of this table.
fn body(section: &[u8], table: u8) -> Option<&[u8]> {
    let &[id, _, _, _, _, flags, ..] = section else { return None };
    if id != table || flags & 1 == 0 {
        return None;
    }
    section.get(8..section.len().checked_sub(4)?)
}

/// The first program's number and the PID of its map.
pub(crate) fn pat(section: &[u8]) -> Option<(u16, u16)> {
    body(section, 0)?.as_chunks::<4>().0.iter().find_map(|&[n0, n1, p0, p1]| {
        let program = u16::from_be_bytes([n0, n1]);
        (program != 0).then_some((program, u16::from_be_bytes([p0 & 31, p1])))
    })
}

/// The streams of a program that are used.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Program {
    /// PID and whether it is HEVC.
    pub(crate) video: Option<(u16, bool)>,
    /// PID and framing.
    pub(crate) audio: Option<(u16, Format)>,
    /// PID of timed ID3.
    pub(crate) id3: Option<u16>,
}

/// What a stream is.
enum Kind {
    Video(bool),
    Audio(Format),
    Id3,
    NoVideo,
    NoAudio,
    Encrypted,
    Other,
}

/// Reads the map of a program: the first video, audio and ID3 stream. None if the section is another's.
pub(crate) fn pmt(section: &[u8], program: u16) -> Option<Result<Program, TransmuxError>> {
    let number = [*section.get(3)?, *section.get(4)?];
    let body = body(section, 2).filter(|_| u16::from_be_bytes(number) == program)?;
    let skip = 4 + (usize::from(*body.get(2)? & 15) << 8 | usize::from(*body.get(3)?));
    let mut rest = body.get(skip..)?;
    let mut out = Program::default();
    let (mut no_video, mut no_audio) = (None, None);
    while let Some((&[stream_type, p0, p1, l0, l1], after)) = rest.split_first_chunk::<5>() {
        let pid = u16::from_be_bytes([p0 & 31, p1]);
        let length = usize::from(l0 & 15) << 8 | usize::from(l1);
        let descriptors = &after[..length.min(after.len())];
        rest = &after[descriptors.len()..];
        match kind(stream_type, descriptors) {
            Kind::Video(hevc) => {
                out.video.get_or_insert((pid, hevc));
            }
            Kind::Audio(format) => {
                out.audio.get_or_insert((pid, format));
            }
            Kind::Id3 => {
                out.id3.get_or_insert(pid);
            }
            Kind::NoVideo => no_video = Some(stream_type),
            Kind::NoAudio => no_audio = Some(stream_type),
            Kind::Encrypted => return Some(Err(TransmuxError::EncryptedStream { stream_type })),
            Kind::Other => {}
        }
    }
    let unsupported = match (out.video, out.audio) {
        (Some(_), _) => None,
        (None, Some(_)) => no_video,
        (None, None) => no_video.or(no_audio),
    };
    if let Some(stream_type) = unsupported {
        return Some(Err(TransmuxError::UnsupportedStream { stream_type }));
    }
    if out.video.is_none() && out.audio.is_none() && out.id3.is_none() {
        return Some(Err(TransmuxError::NoStreams));
    }
    Some(Ok(out))
}

fn kind(stream_type: u8, descriptors: &[u8]) -> Kind {
    match stream_type {
        0x1b => Kind::Video(false),
        0x24 => Kind::Video(true),
        0x0f => Kind::Audio(Format::Adts),
        0x11 => Kind::Audio(Format::Latm),
        0x03 | 0x04 => Kind::Audio(Format::Mpeg),
        // ATSC A/52 annex A: AC-3, Enhanced AC-3
        0x81 | 0x84 | 0x87 => Kind::Audio(Format::Ac3),
        0x15 if has_metadata_id3(descriptors) => Kind::Id3,
        0x06 => private(descriptors),
        // MPEG-1 and -2, MPEG-4 part 2, JPEG 2000, VVC, AVS, Dirac, VC-1
        0x01 | 0x02 | 0x10 | 0x21 | 0x33 | 0x42 | 0xd1 | 0xd2 | 0xd4 | 0xea => Kind::NoVideo,
        // PCM, DTS, TrueHD, DTS-HD
        0x80 | 0x82 | 0x83 | 0x85 | 0x86 | 0x8a => match registration(descriptors) {
            Some(b"CUEI") => Kind::Other,
            _ if stream_type == 0x86 => Kind::Other, // SCTE 35
            _ => Kind::NoAudio,
        },
        // SAMPLE-AES: H.264, AAC, AC-3, Enhanced AC-3
        0xdb | 0xcf | 0xc1 | 0xc2 => Kind::Encrypted,
        _ => Kind::Other,
    }
}

/// Streams of private data are what their descriptors say.
fn private(descriptors: &[u8]) -> Kind {
    match registration(descriptors) {
        Some(b"HEVC") => return Kind::Video(true),
        Some(b"AC-3" | b"EAC3") => return Kind::Audio(Format::Ac3),
        Some(b"Opus") => {
            // The DVB extension descriptor 0x80 has the channel configuration.
            let code = each_descriptor(descriptors)
                .find_map(|(tag, data)| match data {
                    [0x80, code, ..] if tag == 0x7f => Some(*code),
                    _ => None,
                })
                .unwrap_or(2);
            return Kind::Audio(Format::Opus(code));
        }
        _ => {}
    }
    // ETSI EN 300 468: AC-3, Enhanced AC-3
    let mut tags = each_descriptor(descriptors).map(|(tag, _)| tag);
    if tags.any(|tag| matches!(tag, 0x6a | 0x7a)) {
        return Kind::Audio(Format::Ac3);
    }
    Kind::Other
}

/// `format_identifier` of the registration descriptor.
fn registration(descriptors: &[u8]) -> Option<&[u8; 4]> {
    each_descriptor(descriptors)
        .find(|&(tag, _)| tag == 0x05)
        .and_then(|(_, data)| data.first_chunk::<4>())
}

/// Whether a metadata descriptor names ID3, or none says otherwise ("Timed Metadata for HTTP Live Streaming").
fn has_metadata_id3(descriptors: &[u8]) -> bool {
    each_descriptor(descriptors)
        .find(|&(tag, _)| tag == 0x26)
        .is_none_or(|(_, data)| data.windows(4).any(|window| window == b"ID3 "))
}

fn each_descriptor(mut rest: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&[tag, length], after) = rest.split_first_chunk::<2>()?;
        let data = after.get(..usize::from(length))?;
        rest = &after[data.len()..];
        Some((tag, data))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(table: u8, number: u16, body: &[u8]) -> Vec<u8> {
        let mut out = vec![table, 0xb0, body.len() as u8 + 9];
        out.extend(number.to_be_bytes());
        out.extend([0xc1, 0, 0]);
        out.extend(body);
        out.extend([0; 4]);
        out
    }

    #[test]
    fn the_first_program_is_taken() {
        let table = section(0, 1, &[0, 0, 0xe0, 0x10, 0, 7, 0xf0, 0x00]);
        assert_eq!(pat(&table), Some((7, 0x1000)));
        assert_eq!(pat(&table[..10]), None);
    }

    #[test]
    fn streams_are_told_by_type_and_descriptor() {
        let body = [
            0xe1, 0x00, 0xf0, 0x00, // PCR, no descriptors
            0x1b, 0xe1, 0x00, 0xf0, 0x00, // H.264
            0x06, 0xe1, 0x01, 0xf0, 0x06, 0x05, 4, b'A', b'C', b'-', b'3', // AC-3
            0x15, 0xe1, 0x02, 0xf0, 0x00, // ID3
            0x86, 0xe1, 0x03, 0xf0, 0x00, // SCTE 35
        ];
        let program = pmt(&section(2, 7, &body), 7);
        let expected = Program {
            video: Some((0x100, false)),
            audio: Some((0x101, Format::Ac3)),
            id3: Some(0x102),
        };
        assert_eq!(program, Some(Ok(expected)));
        assert_eq!(pmt(&section(2, 8, &body), 7), None);
    }

    #[test]
    fn codecs_without_a_place_are_named() {
        let mut body = vec![0xe1, 0, 0xf0, 0, 0x02, 0xe1, 0, 0xf0, 0, 0x0f, 0xe1, 1, 0xf0, 0];
        let unsupported = TransmuxError::UnsupportedStream { stream_type: 2 };
        assert_eq!(pmt(&section(2, 1, &body), 1), Some(Err(unsupported)));
        body[4] = 0xdb;
        let encrypted = TransmuxError::EncryptedStream { stream_type: 0xdb };
        assert_eq!(pmt(&section(2, 1, &body), 1), Some(Err(encrypted)));
        let none = pmt(&section(2, 1, &[0xe1, 0, 0xf0, 0, 5, 0xe1, 0, 0xf0, 0]), 1);
        assert_eq!(none, Some(Err(TransmuxError::NoStreams)));
    }

    #[test]
    fn sections_are_joined_across_packets() {
        let table = section(0, 1, &[0, 7, 0xf0, 0x00]);
        let mut found = Vec::new();
        let mut sections = Sections::default();
        sections.push(false, &table, |_| panic!("no start yet"));
        let first = [&[0], &table[..6]].concat();
        sections.push(true, &first, |section| found.push(section.to_vec()));
        let mut second = table[6..].to_vec();
        second.extend([0xff; 20]);
        sections.push(false, &second, |section| found.push(section.to_vec()));
        assert_eq!(found, [table]);
    }
}
