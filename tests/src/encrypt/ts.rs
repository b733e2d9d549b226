//! SAMPLE-AES in transport streams.

use super::{Block, Encryptor};

const PACKET: usize = 188;

/// One packetized unit of an elementary stream.
struct Unit {
    pid: u16,
    /// Flags and clock reference of the first packet's adaptation field.
    adaptation: Vec<u8>,
    bytes: Vec<u8>,
}

enum Part {
    Table(Vec<u8>),
    Unit(Unit),
}

/// Encrypts H.264 and AAC in a transport stream, and gives them the stream types of encrypted ones.
#[must_use]
pub fn encrypt_ts(data: &[u8], key: &Block, iv: &Block) -> Vec<u8> {
    let aes = Encryptor::new(key);
    let mut parts: Vec<Part> = Vec::new();
    let (mut video, mut audio, mut map) = (None, None, None);
    for packet in data.chunks_exact(PACKET) {
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        let begins = packet[1] & 0x40 != 0;
        let field = if packet[3] & 0x20 == 0 { 0 } else { 1 + usize::from(packet[4]) };
        let payload = &packet[4 + field..];
        if pid == 0 {
            map = Some(u16::from_be_bytes([payload[11] & 0x1f, payload[12]]));
        }
        if Some(pid) == map {
            let mut packet = packet.to_vec();
            for (stream_type, pid) in encrypt_map(&mut packet[4 + field..]) {
                *(if stream_type == 0xdb { &mut video } else { &mut audio }) = Some(pid);
            }
            parts.push(Part::Table(packet));
        } else if Some(pid) != video && Some(pid) != audio {
            parts.push(Part::Table(packet.to_vec()));
        } else if begins {
            let flags = if field > 1 { packet[5] & 0x50 } else { 0 };
            let mut adaptation = if flags == 0 { Vec::new() } else { vec![flags] };
            if flags & 0x10 != 0 {
                adaptation.extend_from_slice(&packet[6..12]);
            }
            parts.push(Part::Unit(Unit { pid, adaptation, bytes: payload.to_vec() }));
        } else if let Some(Part::Unit(unit)) =
            parts.iter_mut().rev().find(|part| matches!(part, Part::Unit(unit) if unit.pid == pid))
        {
            unit.bytes.extend_from_slice(payload);
        }
    }
    let mut out = Vec::new();
    let mut counters = [0_u8; 1 << 13];
    for part in parts {
        match part {
            Part::Table(packet) => out.extend(packet),
            Part::Unit(mut unit) => {
                let head = 9 + usize::from(unit.bytes[8]);
                let body = unit.bytes.split_off(head);
                if Some(unit.pid) == video {
                    unit.bytes[4..6].fill(0);
                    unit.bytes.extend(encrypt_video(&aes, iv, &body));
                } else {
                    unit.bytes.extend(encrypt_audio(&aes, iv, body));
                }
                packetize(&mut out, &unit, &mut counters[usize::from(unit.pid)]);
            }
        }
    }
    out
}

/// Changes stream types in a packet with a whole program map; returns them with their PIDs.
fn encrypt_map(payload: &mut [u8]) -> Vec<(u8, u16)> {
    let section = &mut payload[1..];
    let end = 3 + (usize::from(section[1] & 15) << 8 | usize::from(section[2]));
    let mut at = 12 + (usize::from(section[10] & 15) << 8 | usize::from(section[11]));
    let mut out = Vec::new();
    while at + 5 <= end - 4 {
        let stream_type = match section[at] {
            0x1b => 0xdb,
            0x0f => 0xcf,
            other => other,
        };
        section[at] = stream_type;
        if stream_type >= 0xc0 {
            out.push((stream_type, u16::from_be_bytes([section[at + 1] & 0x1f, section[at + 2]])));
        }
        at += 5 + (usize::from(section[at + 3] & 15) << 8 | usize::from(section[at + 4]));
    }
    let mut crc = u32::MAX;
    for byte in &section[..end - 4] {
        crc ^= u32::from(*byte) << 24;
        for _ in 0..8 {
            crc = crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 };
        }
    }
    section[end - 4..end].copy_from_slice(&crc.to_be_bytes());
    out
}

fn packetize(out: &mut Vec<u8>, unit: &Unit, counter: &mut u8) {
    let mut rest = &unit.bytes[..];
    let mut first = true;
    while !rest.is_empty() {
        let mut field = if first { unit.adaptation.clone() } else { Vec::new() };
        let room = |field: &[u8]| 184 - if field.is_empty() { 0 } else { 1 + field.len() };
        if rest.len() < room(&field) {
            // The last packet is filled up in its adaptation field.
            let missing = room(&field) - rest.len();
            match (field.is_empty(), missing) {
                (true, 1) => {}
                (true, _) => {
                    field.push(0);
                    field.resize(missing - 1, 0xff);
                }
                (false, _) => field.resize(field.len() + missing, 0xff),
            }
        }
        let length =
            rest.len().min(if field.is_empty() && rest.len() < 184 { 183 } else { room(&field) });
        let has_field = !field.is_empty() || length < 184;
        let pid = unit.pid.to_be_bytes();
        out.extend([0x47, pid[0] | if first { 0x40 } else { 0 }, pid[1]]);
        out.push(if has_field { 0x30 } else { 0x10 } | *counter & 15);
        if has_field {
            out.push(field.len() as u8);
            out.extend(&field);
        }
        out.extend(&rest[..length]);
        rest = &rest[length..];
        *counter = counter.wrapping_add(1);
        first = false;
        assert_eq!(out.len() % PACKET, 0, "packets are whole");
    }
}

fn encrypt_video(aes: &Encryptor, iv: &Block, body: &[u8]) -> Vec<u8> {
    let mut starts: Vec<usize> = (0..body.len().saturating_sub(3))
        .filter(|at| body[*at..].starts_with(&[0, 0, 1]))
        .collect();
    let mut out = body[..starts.first().copied().unwrap_or(body.len())].to_vec();
    starts.push(body.len());
    for pair in starts.windows(2) {
        let mut nal = body[pair[0] + 3..pair[1]].to_vec();
        let whole = nal.len();
        while nal.last() == Some(&0) {
            nal.pop();
        }
        let zeros = whole - nal.len();
        out.extend([0, 0, 1]);
        if nal.len() > 48 && matches!(nal[0] & 31, 1 | 5) {
            let mut chain = *iv;
            let mut at = 32;
            while nal.len() - at.min(nal.len()) > 16 {
                aes.cbc(&mut chain, &mut nal[at..at + 16]);
                at += 160;
            }
            // Emulation prevention (ITU-T H.264 §7.4.1), over what may have some already.
            let mut run = 0;
            for byte in nal {
                if run >= 2 && byte <= 3 {
                    out.push(3);
                    run = 0;
                }
                run = if byte == 0 { run + 1 } else { 0 };
                out.push(byte);
            }
        } else {
            out.extend(nal);
        }
        out.resize(out.len() + zeros, 0);
    }
    out
}

fn encrypt_audio(aes: &Encryptor, iv: &Block, mut body: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while at + 7 <= body.len() {
        let length = usize::from(body[at + 3] & 3) << 11
            | usize::from(body[at + 4]) << 3
            | usize::from(body[at + 5] >> 5);
        let header = if body[at + 1] & 1 == 0 { 9 } else { 7 };
        let mut chain = *iv;
        let frame = &mut body[at..at + length];
        for block in frame.get_mut(header + 16..).unwrap_or_default().chunks_exact_mut(16) {
            aes.cbc(&mut chain, block);
        }
        at += length;
    }
    body
}
