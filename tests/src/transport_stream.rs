//! MPEG-2 transport streams (ISO/IEC 13818-1) as small as they can be: H.264 pictures that are all filler behind true
//! parameter sets, in packets with true times.

/// Bytes of a transport packet.
pub const PACKET: usize = 188;

/// High profile, 720 × 480; and what goes with it.
const SPS: [u8; 26] = [
    0x67, 0x64, 0x00, 0x1e, 0xac, 0xd9, 0x40, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0x00, 0x00, 0x03, 0x03,
    0xe9, 0x00, 0x00, 0xea, 0x60, 0x0f, 0x16, 0x2d, 0x96, 0x11,
];
const PPS: [u8; 6] = [0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

/// A segment of `pictures` pictures, 25 a second and each of `bytes` bytes or so, the first shown at `start` (ticks of
/// 90 kHz). Each 25th can be decoded by itself.
pub fn segment(start: u64, pictures: u64, bytes: usize) -> Vec<u8> {
    let mut out = packet(0, true, 0, &section(0, &[0, 1, 0xf0, 0]));
    let map = [0xe1, 0, 0xf0, 0, 0x1b, 0xe1, 0, 0xf0, 0];
    out.extend(packet(0x1000, true, 0, &section(2, &map)));
    let mut counter = 0;
    for at in 0..pictures {
        let mut data = pes_header(start + at * 3600);
        data.extend(picture(at % 25 == 0, bytes));
        for (piece, payload) in data.chunks(184).enumerate() {
            out.extend(packet(0x100, piece == 0, counter, payload));
            counter = counter.wrapping_add(1);
        }
    }
    out
}

/// A transport packet, filled up by an adaptation field.
fn packet(pid: u16, start: bool, counter: u8, payload: &[u8]) -> Vec<u8> {
    let room = PACKET - 4 - payload.len();
    let control = if room == 0 { 0x10 } else { 0x30 };
    let mut out = vec![0x47, u8::from(start) << 6 | (pid >> 8) as u8, pid as u8];
    out.push(control | counter & 15);
    if room > 0 {
        out.push(room as u8 - 1);
        if room > 1 {
            out.push(0);
            out.resize(out.len() + room - 2, 0xff);
        }
    }
    out.extend_from_slice(payload);
    out
}

fn section(table: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0, table, 0xb0, body.len() as u8 + 9, 0, 1, 0xc1, 0, 0];
    out.extend_from_slice(body);
    out.extend([0; 4]);
    out
}

fn pes_header(pts: u64) -> Vec<u8> {
    vec![
        0,
        0,
        1,
        0xe0,
        0,
        0,
        0x80,
        0x80,
        5,
        0x21 | (pts >> 29 & 14) as u8,
        (pts >> 22) as u8,
        (pts >> 14 & 254) as u8 | 1,
        (pts >> 7) as u8,
        (pts << 1) as u8 | 1,
    ]
}

/// One picture as a byte stream.
fn picture(key: bool, bytes: usize) -> Vec<u8> {
    let mut out = vec![0, 0, 0, 1, 9, 0xf0];
    for set in [&SPS[..], &PPS].iter().filter(|_| key) {
        out.extend([0, 0, 1]);
        out.extend(*set);
    }
    out.extend([0, 0, 1, if key { 0x65 } else { 0x41 }, 0x88, 0x84]);
    out.resize(out.len() + bytes, 0xa5);
    out
}
