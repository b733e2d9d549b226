//! ID3 tags, version 2.3 and 2.4, frame by frame.

use crate::{Cue, MAX_TEXT, truncate};

/// Most frames of a tag.
const MAX_FRAMES: usize = 64;

/// Adds a cue for each frame: its key, what it says about itself, its text, or its bytes where it has no text.
pub(crate) fn read(data: &[u8], start: f64, end: f64, cues: &mut Vec<Cue>) {
    let Some(header) = data.get(..10).filter(|header| header.starts_with(b"ID3")) else { return };
    let size = syncsafe(&header[6..10]);
    let body = &data[10..];
    let mut rest = &body[..size.min(body.len())];
    // An extended header has its own size, which counts itself in version 2.4 only.
    if header[5] & 0x40 != 0
        && let Some(size) = rest.get(..4)
    {
        let size = if header[3] == 4 { syncsafe(size) } else { plain(size).saturating_add(4) };
        rest = rest.get(size..).unwrap_or(&[]);
    }
    for _ in 0..MAX_FRAMES {
        let Some(head) = rest.get(..10).filter(|head| head[0] != 0) else { return };
        let size = if header[3] == 4 { syncsafe(&head[4..8]) } else { plain(&head[4..8]) };
        let Some(body) = rest.get(10..).and_then(|rest| rest.get(..size)) else { return };
        rest = &rest[10 + size..];
        let key = String::from_utf8_lossy(&head[..4]).into_owned();
        let mut cue = Cue { start, end, channel: "id3".into(), id: key, ..Cue::default() };
        read_frame(body, &mut cue);
        truncate(&mut cue.settings, MAX_TEXT);
        truncate(&mut cue.text, MAX_TEXT);
        cues.push(cue);
    }
}

fn read_frame(body: &[u8], cue: &mut Cue) {
    let (encoding, rest) =
        body.split_first().map_or((0, body), |(encoding, rest)| (*encoding, rest));
    match cue.id.as_str() {
        "TXXX" => {
            let (description, text) = split(rest, encoding);
            cue.settings = decode(description, encoding);
            cue.text = decode(text, encoding);
        }
        "WXXX" => {
            let (description, url) = split(rest, encoding);
            cue.settings = decode(description, encoding);
            cue.text = decode(url, 0);
        }
        "PRIV" | "UFID" => {
            let (owner, data) = split(body, 0);
            cue.settings = decode(owner, 0);
            cue.data = data.to_vec();
        }
        key if key.starts_with('T') => cue.text = decode(rest, encoding),
        key if key.starts_with('W') => cue.text = decode(body, 0),
        _ => cue.data = body.to_vec(),
    }
}

/// At the first end of text: a NUL, or two where characters have two bytes.
fn split(data: &[u8], encoding: u8) -> (&[u8], &[u8]) {
    if encoding == 1 || encoding == 2 {
        let at = data.chunks_exact(2).position(|pair| pair == [0, 0]);
        return at.map_or((data, &[]), |at| (&data[..2 * at], &data[2 * at + 2..]));
    }
    let at = data.iter().position(|byte| *byte == 0);
    at.map_or((data, &[]), |at| (&data[..at], &data[at + 1..]))
}

/// Text as ID3 has it: Latin-1, UTF-16 with or without a byte order mark, or UTF-8. NULs at its end are dropped.
fn decode(data: &[u8], encoding: u8) -> String {
    let text: String = match encoding {
        0 => data.iter().map(|byte| char::from(*byte)).collect(),
        1 | 2 => {
            let little = data.starts_with(&[0xff, 0xfe]);
            let units = data.chunks_exact(2).map(|pair| {
                let pair = [pair[0], pair[1]];
                if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
            });
            let units: Vec<u16> = units.filter(|unit| *unit != 0xfeff).collect();
            String::from_utf16_lossy(&units)
        }
        _ => String::from_utf8_lossy(data).into_owned(),
    };
    text.trim_end_matches('\0').replace('\0', "\u{fffd}")
}

fn syncsafe(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |size, byte| size << 7 | usize::from(byte & 0x7f))
}

fn plain(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |size, byte| size << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(version: u8, frames: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (key, data) in frames {
            body.extend_from_slice(key.as_bytes());
            body.extend_from_slice(&[
                0,
                0,
                (data.len() >> 7) as u8,
                (data.len() & 0x7f) as u8,
                0,
                0,
            ]);
            body.extend_from_slice(data);
        }
        let mut tag = b"ID3".to_vec();
        tag.extend_from_slice(&[
            version,
            0,
            0,
            0,
            0,
            (body.len() >> 7) as u8,
            (body.len() & 0x7f) as u8,
        ]);
        tag.extend_from_slice(&body);
        tag
    }

    #[test]
    fn frames_are_told_one_by_one() {
        let data = tag(
            4,
            &[
                ("TIT2", b"\x03Song \xc3\xa4\0"),
                ("TXXX", b"\x00name\0value"),
                ("PRIV", b"owner\0\x01\x02"),
                ("WXXX", b"\x00\0http://a/"),
                ("APIC", b"\x09"),
            ],
        );
        let mut cues = Vec::new();
        read(&data, 1.0, 2.0, &mut cues);
        let told: Vec<_> = cues
            .iter()
            .map(|cue| {
                (cue.id.as_str(), cue.settings.as_str(), cue.text.as_str(), cue.data.as_slice())
            })
            .collect();
        assert_eq!(
            told,
            [
                ("TIT2", "", "Song ä", &[][..]),
                ("TXXX", "name", "value", &[]),
                ("PRIV", "owner", "", &[1, 2]),
                ("WXXX", "", "http://a/", &[]),
                ("APIC", "", "", &[9]),
            ]
        );
        assert!(
            cues.iter().all(|cue| (cue.start, cue.end, cue.channel.as_str()) == (1.0, 2.0, "id3"))
        );
    }

    #[test]
    fn text_of_two_bytes_a_character_is_read_in_either_order() {
        let mut cues = Vec::new();
        read(
            &tag(3, &[("TXXX", b"\x01\xff\xfea\0\0\0\xff\xfeb\0"), ("TIT2", b"\x02\0c")]),
            0.0,
            0.0,
            &mut cues,
        );
        assert_eq!(
            (cues[0].settings.as_str(), cues[0].text.as_str(), cues[1].text.as_str()),
            ("a", "b", "c")
        );
    }
}
