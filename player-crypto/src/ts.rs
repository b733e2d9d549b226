//! SAMPLE-AES in transport streams and raw audio (Apple, "MPEG-2 Stream Encryption Format for HTTP Live Streaming").
//!
//! H.264 slices lose emulation prevention bytes when they are decrypted. Zeros behind them make up for it, which a
//! byte stream may have there (ITU-T H.264 §B.1), so that everything keeps its place in its packet.

use crate::CryptoError;
use crate::modes::{Aes, Block};

const PACKET: usize = 188;
const SYNC: u8 = 0x47;
/// Slices up to this length are clear, and so are the first 32 bytes of longer ones.
const CLEAR_SLICE: usize = 48;
const CLEAR_SLICE_HEAD: usize = 32;
/// Of ten blocks of a slice one is encrypted.
const SLICE_STRIDE: usize = 160;
/// The clear bytes at the beginning of an audio frame, behind its ADTS header.
const CLEAR_AUDIO_HEAD: usize = 16;

/// What an encrypted elementary stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Avc,
    Aac,
    /// AC-3 or Enhanced AC-3: their frames tell which.
    Ac3,
}

/// The clear counterpart of an encrypted stream's type, and what it is.
const fn stream(stream_type: u8) -> Option<(u8, Kind)> {
    match stream_type {
        0xdb => Some((0x1b, Kind::Avc)),
        0xcf => Some((0x0f, Kind::Aac)),
        0xc1 => Some((0x81, Kind::Ac3)),
        0xc2 => Some((0x87, Kind::Ac3)),
        _ => None,
    }
}

/// Decrypts a transport stream or raw audio frames.
pub(crate) fn decrypt(aes: &Aes, iv: &Block, data: &mut [u8]) -> Result<(), CryptoError> {
    let is_start = |at: &usize| {
        data.get(*at) == Some(&SYNC) && data.get(*at + PACKET).is_none_or(|next| *next == SYNC)
    };
    match (0..data.len().min(PACKET)).find(is_start) {
        Some(start) if data.len() >= start + PACKET => packets(aes, iv, &mut data[start..]),
        _ => raw(aes, iv, data),
    }
    .ok_or(CryptoError::Container)
}

/// Raw audio: frames behind an ID3 tag or several.
fn raw(aes: &Aes, iv: &Block, data: &mut [u8]) -> Option<()> {
    let mut start = 0;
    while data.get(start..)?.starts_with(b"ID3") {
        let size = data.get(start + 6..start + 10)?;
        let size = size.iter().fold(0, |size, byte| size << 7 | usize::from(byte & 0x7f));
        start += 10 + size;
    }
    let kind = match data.get(start..start + 2)? {
        [0xff, second] if second & 0xf6 == 0xf0 => Kind::Aac,
        [0x0b, 0x77] => Kind::Ac3,
        _ => return None,
    };
    audio(aes, iv, kind, data.get_mut(start..)?);
    Some(())
}

/// An encrypted elementary stream: its PID, and where its bytes are.
struct Stream {
    pid: u16,
    kind: Kind,
    pieces: Vec<(usize, usize)>,
    bytes: Vec<u8>,
}

fn packets(aes: &Aes, iv: &Block, data: &mut [u8]) -> Option<()> {
    let mut map = None;
    let mut section: Vec<usize> = Vec::new();
    let mut streams: Vec<Stream> = Vec::new();
    for at in (0..data.len()).step_by(PACKET) {
        let Some(packet) = data.get(at..at + PACKET).filter(|packet| packet[0] == SYNC) else {
            continue;
        };
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        let begins = packet[1] & 0x40 != 0;
        let skip = if packet[3] & 0x20 == 0 { 4 } else { 5 + usize::from(packet[4]) };
        if packet[3] & 0x10 == 0 || skip >= PACKET {
            continue;
        }
        let payload = &packet[skip..];
        if pid == 0 && map.is_none() {
            map = program_map(payload);
        } else if Some(pid) == map {
            let first = at + skip;
            if begins {
                section.clear();
                section.extend(first + 1 + usize::from(payload[0])..at + PACKET);
            } else if !section.is_empty() {
                section.extend(first..at + PACKET);
            }
            if rewrite(data, &section, &mut streams) {
                section.clear();
            }
        } else if let Some(stream) = streams.iter_mut().find(|stream| stream.pid == pid) {
            // A packet's header: nine bytes, and as many as the last of them says (ISO/IEC 13818-1 §2.4.3.6).
            let head = if begins { 9 + usize::from(*payload.get(8).unwrap_or(&0)) } else { 0 };
            if let Some(payload) = payload.get(head..) {
                stream.pieces.push((at + skip + head, payload.len()));
                stream.bytes.extend_from_slice(payload);
            }
        }
    }
    // A stream whose tables were clear already has nothing to decrypt.
    map?;
    for mut stream in streams {
        match stream.kind {
            Kind::Avc => video(aes, iv, &mut stream.bytes),
            kind => audio(aes, iv, kind, &mut stream.bytes),
        }
        let mut from = &stream.bytes[..];
        for (at, length) in stream.pieces {
            let (piece, rest) = from.split_at(length);
            data[at..at + length].copy_from_slice(piece);
            from = rest;
        }
    }
    Some(())
}

/// The PID of the first program's map, out of a packet with the program association table.
fn program_map(payload: &[u8]) -> Option<u16> {
    let section = payload.get(1 + usize::from(*payload.first()?)..)?;
    let length = usize::from(section.get(1)? & 15) << 8 | usize::from(*section.get(2)?);
    let entries = section.get(8..(3 + length).checked_sub(4)?.min(section.len()))?;
    entries.as_chunks::<4>().0.iter().find_map(|&[n0, n1, p0, p1]| {
        ([n0, n1] != [0, 0]).then_some(u16::from_be_bytes([p0 & 0x1f, p1]))
    })
}

/// Gives the encrypted streams of a program map, whose bytes are at these places, their clear types; notes which they
/// are. False while it is not all there.
fn rewrite(data: &mut [u8], places: &[usize], streams: &mut Vec<Stream>) -> bool {
    let mut section: Vec<u8> = places.iter().filter_map(|at| data.get(*at).copied()).collect();
    let &[table, l0, l1, ..] = &section[..] else { return false };
    let end = 3 + (usize::from(l0 & 15) << 8 | usize::from(l1));
    if table != 2 || end < 16 {
        return true;
    }
    if section.len() < end {
        return false;
    }
    section.truncate(end);
    let mut at = 12 + (usize::from(section[10] & 15) << 8 | usize::from(section[11]));
    while at + 5 <= end - 4 {
        let pid = u16::from_be_bytes([section[at + 1] & 0x1f, section[at + 2]]);
        if let Some((clear, kind)) = stream(section[at]) {
            section[at] = clear;
            if streams.iter().all(|known| known.pid != pid) {
                streams.push(Stream { pid, kind, pieces: Vec::new(), bytes: Vec::new() });
            }
        }
        at += 5 + (usize::from(section[at + 3] & 15) << 8 | usize::from(section[at + 4]));
    }
    let checksum = crc(&section[..end - 4]).to_be_bytes();
    section[end - 4..].copy_from_slice(&checksum);
    for (byte, at) in section.iter().zip(places) {
        data[*at] = *byte;
    }
    true
}

/// CRC-32 of sections (ISO/IEC 13818-1 annex A).
fn crc(data: &[u8]) -> u32 {
    data.iter().fold(u32::MAX, |mut crc, byte| {
        crc ^= u32::from(*byte) << 24;
        for _ in 0..8 {
            crc = crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 };
        }
        crc
    })
}

/// Decrypts the slices of an H.264 byte stream.
fn video(aes: &Aes, iv: &Block, bytes: &mut [u8]) {
    let mut start = next_start_code(bytes, 0);
    while let Some(at) = start {
        let next = next_start_code(bytes, at + 3);
        let mut end = next.unwrap_or(bytes.len());
        // Zeros before a start code belong to it.
        while end > at + 3 && bytes[end - 1] == 0 {
            end -= 1;
        }
        let nal = &mut bytes[at + 3..end];
        if nal.len() > CLEAR_SLICE && matches!(nal[0] & 31, 1 | 5) {
            slice(aes, iv, nal);
        }
        start = next;
    }
}

fn next_start_code(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        match *bytes.get(at..at + 3)? {
            [0, 0, 1] => return Some(at),
            [_, _, last] if last > 1 => at += 3,
            _ => at += 1,
        }
    }
}

fn slice(aes: &Aes, iv: &Block, nal: &mut [u8]) {
    // Emulation prevention was put in after the encryption; what is left is the slice as it was before, with its own.
    let (mut length, mut zeros) = (0, 0);
    for at in 0..nal.len() {
        let byte = nal[at];
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        nal[length] = byte;
        length += 1;
    }
    nal[length..].fill(0);
    let mut chain = *iv;
    let mut at = CLEAR_SLICE_HEAD;
    // The last block is clear when nothing follows it.
    while at + 16 < length {
        aes.decrypt_cbc(&mut chain, nal[at..at + 16].as_chunks_mut().0);
        at += SLICE_STRIDE;
    }
}

/// Decrypts the frames of an audio stream; what is no frame is stepped over.
fn audio(aes: &Aes, iv: &Block, kind: Kind, bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(rest) = bytes.get_mut(at..).filter(|rest| rest.len() >= 8) {
        let frame = if kind == Kind::Aac { adts(rest) } else { ac3(rest) };
        let Some((clear, length)) = frame.filter(|(clear, length)| length >= clear) else {
            at += 1;
            continue;
        };
        let end = length.min(rest.len());
        if let Some(body) = rest.get_mut(clear + CLEAR_AUDIO_HEAD..end) {
            // A frame that is cut off is decrypted as far as it goes.
            aes.decrypt_cbc(&mut iv.clone(), body.as_chunks_mut().0);
        }
        at += length.max(1);
    }
}

/// Length of the header and of the frame that begins here (ISO/IEC 14496-3 §1.A.3.2).
fn adts(data: &[u8]) -> Option<(usize, usize)> {
    let &[0xff, second, _, l0, l1, l2, ..] = data else { return None };
    if second & 0xf6 != 0xf0 {
        return None;
    }
    let length = usize::from(l0 & 3) << 11 | usize::from(l1) << 3 | usize::from(l2 >> 5);
    Some((if second & 1 == 0 { 9 } else { 7 }, length))
}

/// The same for (Enhanced) AC-3, which has no header apart (ETSI TS 102 366 §4.4.1, §E.1.3.1).
fn ac3(data: &[u8]) -> Option<(usize, usize)> {
    /// Bit rates in kbit/s by half of `frmsizecod`.
    const BIT_RATES: [u16; 19] =
        [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];
    let &[0x0b, 0x77, b2, b3, b4, b5, ..] = data else { return None };
    if b5 >> 3 > 10 {
        let words = (usize::from(b2 & 7) << 8 | usize::from(b3)) + 1;
        return Some((0, words * 2));
    }
    let rate = usize::from(*BIT_RATES.get(usize::from(b4 & 0x3f) / 2)?);
    let words = match b4 >> 6 {
        0 => rate * 2,
        1 => rate * 96_000 / 44_100 + usize::from(b4 & 1),
        2 => rate * 3,
        _ => return None,
    };
    Some((0, words * 2))
}
