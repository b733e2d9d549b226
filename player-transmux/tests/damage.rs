//! Whatever bytes come: no panic, and no more memory than they justify.

use player_transmux::{TransmuxError, Transmuxed, Transmuxer};
use proptest::prelude::*;

const PACKET: usize = 188;

/// Bytes of a transport packet with this payload, filled up by an adaptation field.
fn packet(pid: u16, start: bool, counter: u8, payload: &[u8]) -> Vec<u8> {
    let room = 184 - payload.len();
    let mut out = vec![0x47, u8::from(start) << 6 | (pid >> 8) as u8, pid as u8];
    out.push(if room == 0 { 0x10 } else { 0x30 } | counter & 15);
    if room > 0 {
        out.push(room as u8 - 1);
        if room > 1 {
            out.push(0);
            out.resize(out.len() + room - 2, 0xff);
        }
    }
    out.extend_from_slice(payload);
    assert_eq!(out.len(), PACKET);
    out
}

fn section(table: u8, number: u16, version: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0, table, 0xb0, body.len() as u8 + 9];
    out.extend(number.to_be_bytes());
    out.extend([0xc1 | version << 1, 0, 0]);
    out.extend_from_slice(body);
    out.extend([0; 4]);
    out
}

/// A stream's tables: these streams by type and PID.
fn tables(version: u8, streams: &[(u8, u16)]) -> Vec<u8> {
    let mut out = packet(0, true, 0, &section(0, 1, 0, &[0, 1, 0xf0, 0x00]));
    let mut body = vec![0xe1, 0x00, 0xf0, 0x00];
    for &(kind, pid) in streams {
        body.extend([kind, 0xe0 | (pid >> 8) as u8, pid as u8, 0xf0, 0]);
    }
    out.extend(packet(0x1000, true, 0, &section(2, 1, version, &body)));
    out
}

fn time(mark: u8, time: u64) -> [u8; 5] {
    [
        mark << 4 | (time >> 29 & 14) as u8 | 1,
        (time >> 22) as u8,
        (time >> 14 & 254) as u8 | 1,
        (time >> 7) as u8,
        (time << 1) as u8 | 1,
    ]
}

/// A PES packet in transport packets; `bounded` tells its length.
fn pes(pid: u16, id: u8, pts: u64, bounded: bool, data: &[u8]) -> Vec<u8> {
    let length = if bounded { data.len() + 8 } else { 0 };
    let mut bytes = vec![0, 0, 1, id, (length >> 8) as u8, length as u8, 0x80, 0x80, 5];
    bytes.extend(time(2, pts));
    bytes.extend_from_slice(data);
    let pieces = bytes.chunks(184).enumerate();
    pieces.flat_map(|(at, piece)| packet(pid, at == 0, at as u8, piece)).collect()
}

fn adts(size: usize, fill: u8) -> Vec<u8> {
    let total = size + 7;
    let mut out = vec![
        0xff,
        0xf1,
        0x4c,
        0x80 | (total >> 11) as u8,
        (total >> 3) as u8,
        (total << 5) as u8 | 0x1f,
        0xfc,
    ];
    out.resize(total, fill);
    out
}

const SPS: [u8; 26] = [
    0x67, 0x64, 0x00, 0x1e, 0xac, 0xd9, 0x40, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0x00, 0x00, 0x03, 0x03,
    0xe9, 0x00, 0x00, 0xea, 0x60, 0x0f, 0x16, 0x2d, 0x96, 0x11,
];
const PPS: [u8; 6] = [0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

/// One picture, in a byte stream.
fn picture(key: bool, size: usize) -> Vec<u8> {
    let mut out = vec![0, 0, 0, 1, 9, 0xf0];
    if key {
        for set in [&SPS[..], &PPS] {
            out.extend([0, 0, 1]);
            out.extend(set);
        }
        // one caption message
        out.extend([0, 0, 1, 6, 4, 11]);
        out.extend(b"\xb5\x00\x31GA94\x03\xc0\xff\x7f");
        out.push(0x80);
    }
    out.extend([0, 0, 1, if key { 0x65 } else { 0x41 }, 0x88, 0x84]);
    out.resize(out.len() + size, 0xa5);
    out
}

/// Half a second or so of H.264 and AAC.
fn stream(first: u64) -> Vec<u8> {
    let mut out = tables(0, &[(0x1b, 0x100), (0x0f, 0x101)]);
    for frame in 0..12 {
        let pts = first + frame * 3600;
        out.extend(pes(0x100, 0xe0, pts, false, &picture(frame % 6 == 0, 700)));
        out.extend(pes(0x101, 0xc0, pts, true, &[adts(90, 1), adts(80, 2)].concat()));
    }
    out
}

#[derive(Debug, Default)]
struct Counted {
    init: Vec<String>,
    media: Vec<(f64, f64)>,
    bytes: usize,
    fragments: Vec<Vec<u8>>,
}

fn drain(transmuxer: &mut Transmuxer, counted: &mut Counted) {
    while let Some(result) = transmuxer.poll() {
        match result {
            Transmuxed::Init { data, codecs } => {
                counted.bytes += data.len();
                counted.init.push(codecs);
            }
            Transmuxed::Media { data, start, duration } => {
                assert!(start.is_finite() && duration >= 0.0);
                counted.bytes += data.len();
                counted.media.push((start, duration));
                counted.fragments.push(data);
            }
        }
    }
}

fn run(segments: &[&[u8]], piece: usize) -> (Counted, Result<(), TransmuxError>) {
    let mut transmuxer = Transmuxer::new();
    let mut counted = Counted::default();
    let mut result = Ok(());
    let mut fed = 0;
    for segment in segments {
        transmuxer.begin(false);
        for piece in segment.chunks(piece.max(1)) {
            fed += piece.len();
            let pushed = transmuxer.push(piece);
            result = result.and(pushed);
            drain(&mut transmuxer, &mut counted);
            // What is held is at most what came, with what each sample costs besides.
            assert!(transmuxer.buffered_bytes() <= 8 * fed + 4096);
        }
        let ended = transmuxer.end();
        result = result.and(ended);
        drain(&mut transmuxer, &mut counted);
    }
    let finished = transmuxer.finish();
    result = result.and(finished);
    drain(&mut transmuxer, &mut counted);
    (counted, result)
}

#[test]
fn captions_stay_in_their_samples() {
    let (counted, result) = run(&[&stream(900_000)], 500);
    assert_eq!(result, Ok(()));
    assert_eq!(counted.init, ["avc1.64001e,mp4a.40.2"]);
    // The unit of supplemental information, whole, and right behind it that of the picture.
    let unit = b"\0\0\0\x0f\x06\x04\x0b\xb5\x00\x31GA94\x03\xc0\xff\x7f\x80";
    let with_captions = |data: &Vec<u8>| {
        let at = data.windows(unit.len()).position(|window| window == unit);
        at.is_some_and(|at| data[at + unit.len() + 4] == 0x65)
    };
    let found = counted.fragments.iter().filter(|data| with_captions(data)).count();
    assert_eq!(found, 2, "of twelve pictures two have captions, in fragments of their own");
}

#[test]
fn a_program_whose_streams_change_gets_a_new_init_section() {
    let mut segment = stream(900_000);
    segment.extend(tables(1, &[(0x1b, 0x200)]));
    for frame in 0..6 {
        segment.extend(pes(0x200, 0xe0, 943_200 + frame * 3600, false, &picture(frame == 0, 300)));
    }
    let (counted, result) = run(&[&segment], 188);
    assert_eq!(result, Ok(()));
    assert_eq!(counted.init, ["avc1.64001e,mp4a.40.2", "avc1.64001e"]);
    let end = counted.media.iter().map(|(start, duration)| start + duration).fold(0.0, f64::max);
    assert!((end - 10.72).abs() < 0.05, "{end}");
}

#[test]
fn the_second_segment_goes_on_without_tables_of_its_own() {
    let whole = stream(900_000);
    let (_, rest) = whole.split_at(2 * PACKET);
    let (counted, result) = run(&[&whole, rest], 4096);
    assert_eq!(result, Ok(()));
    assert_eq!(counted.init.len(), 1);
}

#[test]
fn lost_bytes_are_passed_over() {
    let whole = stream(900_000);
    let mut cut = whole[..40 * PACKET].to_vec();
    cut.extend(&whole[40 * PACKET + 77..]);
    let (sound, _) = run(&[&whole], 4096);
    for piece in [100, 4096] {
        let (counted, result) = run(&[&cut], piece);
        assert_eq!(result, Ok(()));
        assert_eq!(counted.init, sound.init);
        let last = |counted: &Counted| counted.media.last().map(|media| media.0 + media.1);
        assert_eq!(last(&counted), last(&sound), "it goes on to the end");
    }
}

#[test]
fn packets_sent_twice_count_once() {
    let whole = stream(900_000);
    let twice: Vec<u8> =
        whole.chunks(PACKET).flat_map(|packet| [packet, packet].concat()).collect();
    let (once, _) = run(&[&whole], 4096);
    let (counted, result) = run(&[&twice], 4096);
    assert_eq!(result, Ok(()));
    assert_eq!(counted.bytes, once.bytes);
}

#[test]
fn a_nal_unit_goes_on_in_the_next_packet() {
    let mut segment = tables(0, &[(0x1b, 0x100)]);
    let pictures: Vec<Vec<u8>> = (0..8).map(|at| picture(at == 0, 900)).collect();
    // Each packet ends 50 bytes before its picture does; the next one begins with the rest.
    let mut rest: &[u8] = &[];
    for (at, picture) in pictures.iter().enumerate() {
        let (most, tail) = picture.split_at(picture.len() - 50);
        let data = [rest, most].concat();
        rest = tail;
        segment.extend(pes(0x100, 0xe0, 900_000 + at as u64 * 3600, false, &data));
    }
    let (counted, result) = run(&[&segment], 4096);
    assert_eq!(result, Ok(()));
    let total: f64 = counted.media.iter().map(|(_, duration)| duration).sum();
    assert!((total - 8.0 * 0.04).abs() < 1e-6, "{total}");
}

#[test]
fn a_discontinuity_forgets_the_time_but_not_the_last_frame() {
    let mut transmuxer = Transmuxer::new();
    let mut counted = Counted::default();
    for (first, discontinuity) in [(900_000, false), (9_000, true)] {
        transmuxer.begin(discontinuity);
        assert_eq!(transmuxer.push(&stream(first)), Ok(()));
        assert_eq!(transmuxer.end(), Ok(()));
        drain(&mut transmuxer, &mut counted);
    }
    assert_eq!(counted.init.len(), 1, "the codecs are the same");
    assert!(counted.media.iter().any(|&(start, _)| (start - 0.1).abs() < 1e-6));
    transmuxer.begin(true);
    transmuxer.near(3.0 * (1u64 << 33) as f64 / 90_000.0);
    assert_eq!(transmuxer.push(&stream(9_000)), Ok(()));
    assert_eq!(transmuxer.end(), Ok(()));
    let mut third = Counted::default();
    drain(&mut transmuxer, &mut third);
    assert!((third.media[0].0 - 3.0 * (1u64 << 33) as f64 / 90_000.0 - 0.1).abs() < 1e-3);
}

#[test]
fn causes_are_named() {
    let error = |segment: &[u8]| run(&[segment], 1000).1.expect_err("it is refused");
    let whole = stream(0);
    assert_eq!(error(&whole[2 * PACKET..]), TransmuxError::NoPat);
    assert_eq!(error(&[&whole[..PACKET], &whole[2 * PACKET..]].concat()), TransmuxError::NoPmt);
    assert_eq!(error(&whole[..2 * PACKET]), TransmuxError::NoSamples);
    assert_eq!(error(b"<html><body>not found</body></html>"), TransmuxError::UnknownContainer);
    assert_eq!(error(b"\0\0\0\x18styp\0\0\0\0\0\0\0\0"), TransmuxError::AlreadyMp4);
    assert_eq!(
        error(&tables(0, &[(0xdb, 0x100)])),
        TransmuxError::EncryptedStream { stream_type: 0xdb }
    );
    let mut scrambled = whole;
    scrambled.chunks_mut(PACKET).skip(2).for_each(|packet| packet[3] |= 0x80);
    assert_eq!(error(&scrambled), TransmuxError::Scrambled);
    assert_eq!(run(&[&[]], 1).1, Ok(()), "an empty segment has nothing to refuse");
}

/// A frame or more of each raw format.
fn raw(kind: u8) -> Vec<u8> {
    match kind {
        0 => (0..6).flat_map(|at| adts(60, at)).collect(),
        1 => (0..6)
            .flat_map(|at| {
                let mut frame = vec![0xff, 0xfb, 0x54, 0xc0];
                frame.resize(192, at);
                frame
            })
            .collect(),
        _ => (0..6)
            .flat_map(|at| {
                let mut frame = vec![0x0b, 0x77, 0x00, 0x7f, 0x3f, 0x80, 0, 0];
                frame.resize(256, at);
                frame
            })
            .collect(),
    }
}

#[test]
fn mp3_comes_out_bare_when_asked_for() {
    let frames = raw(1);
    let mut transmuxer = Transmuxer::new();
    transmuxer.bare_mp3(true);
    transmuxer.begin(false);
    assert_eq!(transmuxer.push(&frames), Ok(()));
    assert_eq!(transmuxer.end(), Ok(()));
    let init = Transmuxed::Init { data: Vec::new(), codecs: "mp3".to_owned() };
    assert_eq!(transmuxer.poll(), Some(init));
    assert_eq!(
        transmuxer.poll(),
        Some(Transmuxed::Media { data: frames, start: 0.0, duration: 6.0 * 1152.0 / 48_000.0 })
    );
    assert_eq!(transmuxer.poll(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..6000), piece in 1usize..900) {
        let (counted, _) = run(&[&bytes], piece);
        prop_assert!(counted.bytes <= 16 * bytes.len() + 4096);
    }

    #[test]
    fn random_packets_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..40 * 184),
        kinds in prop::collection::vec(0u8..=255, 1..5),
        piece in 1usize..900,
    ) {
        let streams: Vec<(u8, u16)> =
            kinds.iter().zip(0x100..).map(|(&kind, pid)| (kind, pid)).collect();
        let mut segment = tables(0, &streams);
        for (at, payload) in bytes.chunks(184).enumerate() {
            let pid = 0x100 + at as u16 % 4;
            segment.extend(packet(pid, at % 3 == 0, at as u8, payload));
        }
        let _ = run(&[&segment, &segment], piece);
    }

    #[test]
    fn random_audio_and_video_never_panic(
        bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1u8), Just(0xffu8), any::<u8>()], 0..3000),
        kind in prop_oneof![Just(0x1bu8), Just(0x24), Just(0x0f), Just(0x11), Just(0x03), Just(0x81), Just(0x15)],
        size in 1usize..700,
    ) {
        let mut segment = tables(0, &[(kind, 0x100)]);
        for (at, data) in bytes.chunks(size).enumerate() {
            segment.extend(pes(0x100, 0xe0, at as u64 * 7777, at % 2 == 0, data));
        }
        let _ = run(&[&segment], 1000);
    }

    #[test]
    fn damaged_streams_never_panic(
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
        cut in any::<prop::sample::Index>(),
        piece in 1usize..900,
    ) {
        let mut bytes = stream((1 << 33) - 20_000);
        for (at, value) in hits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let (one, other) = bytes.split_at(cut.index(bytes.len()));
        let (counted, _) = run(&[one, other], piece);
        prop_assert!(counted.bytes <= 16 * bytes.len() + 4096);
    }

    #[test]
    fn damaged_raw_audio_never_panics(
        kind in 0u8..3,
        tag in prop::collection::vec(any::<u8>(), 0..40),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        piece in 1usize..300,
    ) {
        let mut bytes = b"ID3\x04\0\0\0\0\0".to_vec();
        bytes.push(tag.len() as u8);
        bytes.extend(&tag);
        bytes.extend(raw(kind));
        for (at, value) in hits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = run(&[&bytes, &bytes], piece);
    }

    #[test]
    fn pieces_of_any_size_give_the_same(piece in 1usize..3000) {
        let bytes = stream(90_000);
        let (whole, _) = run(&[&bytes], bytes.len());
        let (pieces, _) = run(&[&bytes], piece);
        prop_assert_eq!(whole.media, pieces.media);
        prop_assert_eq!(whole.bytes, pieces.bytes);
    }
}
