//! Timed ID3 in the fragments, at its time.

mod common;

use common::tags;
use player_transmux::{Transmuxed, Transmuxer};

const PACKET: usize = 188;

/// A transport packet, filled up by an adaptation field.
fn packet(pid: u16, counter: u8, payload: &[u8]) -> Vec<u8> {
    let room = 183 - payload.len();
    let mut out = vec![0x47, 0x40 | (pid >> 8) as u8, pid as u8, 0x30 | counter & 15, room as u8];
    if room > 0 {
        out.push(0);
        out.resize(out.len() + room - 1, 0xff);
    }
    out.extend_from_slice(payload);
    assert_eq!(out.len(), PACKET);
    out
}

fn section(table: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0, table, 0xb0, body.len() as u8 + 9, 0, 1, 0xc1, 0, 0];
    out.extend_from_slice(body);
    out.extend([0; 4]);
    out
}

/// The tables of a program with AAC and timed metadata.
fn tables() -> Vec<u8> {
    let map = [
        0xe1, 0, 0xf0, 0, // no descriptors
        0x0f, 0xe1, 1, 0xf0, 0, // AAC
        0x15, 0xe1, 2, 0xf0, 0, // timed metadata
    ];
    [packet(0, 0, &section(0, &[0, 1, 0xf0, 0])), packet(0x1000, 0, &section(2, &map))].concat()
}

fn pes(pid: u16, id: u8, counter: u8, pts: u64, data: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, 1, id, 0, data.len() as u8 + 8, 0x80, 0x80, 5];
    out.extend([
        0x21 | (pts >> 29 & 14) as u8,
        (pts >> 22) as u8,
        (pts >> 14 & 254) as u8 | 1,
        (pts >> 7) as u8,
        (pts << 1) as u8 | 1,
    ]);
    out.extend_from_slice(data);
    packet(pid, counter, &out)
}

fn frame() -> Vec<u8> {
    let mut out = vec![0xff, 0xf1, 0x4c, 0x80, 0x0a, 0x1f, 0xfc];
    out.resize(80, 7);
    out
}

fn tag(text: &str) -> Vec<u8> {
    let mut out = b"ID3\x04\0\0\0\0\0".to_vec();
    out.push(text.len() as u8);
    out.extend(text.bytes());
    out
}

/// Tags with their times, and how many fragments.
type Out = (Vec<(f64, Vec<u8>)>, usize);

/// What comes out of each segment, and at the end.
fn run(segments: &[Vec<u8>]) -> Vec<Out> {
    let mut transmuxer = Transmuxer::new();
    let mut take = |segment: Option<&Vec<u8>>| {
        match segment {
            Some(segment) => {
                transmuxer.begin(false);
                transmuxer.push(segment).expect("a stream");
                transmuxer.end().expect("a stream");
            }
            None => transmuxer.finish().expect("its end"),
        }
        let mut out = (Vec::new(), 0);
        while let Some(ready) = transmuxer.poll() {
            if let Transmuxed::Media { data, start, .. } = ready {
                assert!(start > 9.0, "{start}");
                out.0.extend(tags(&data));
                out.1 += data.windows(4).filter(|window| *window == b"moof").count();
            }
        }
        out
    };
    let mut out: Vec<_> = segments.iter().map(|segment| take(Some(segment))).collect();
    out.push(take(None));
    out
}

#[test]
fn tags_of_the_metadata_stream_come_with_the_fragments_at_their_times() {
    let mut segment = tables();
    for at in 0..4u64 {
        segment.extend(pes(0x101, 0xc0, at as u8, 900_000 + at * 1920, &frame()));
    }
    segment.extend(pes(0x102, 0xbd, 0, 901_000, &tag("one")));
    segment.extend(pes(0x102, 0xbd, 1, 945_000, &tag("two")));
    for at in 4..8u64 {
        segment.extend(pes(0x101, 0xc0, at as u8, 900_000 + at * 1920, &frame()));
    }
    let out = run(&[segment]);
    let expected = vec![(901_000.0 / 90_000.0, tag("one")), (10.5, tag("two"))];
    assert_eq!(out[0].0, expected);
    assert_eq!(out[0].1, 1, "one fragment");
}

#[test]
fn a_tag_behind_the_last_frame_is_not_lost() {
    let mut segment = tables();
    segment.extend(pes(0x101, 0xc0, 0, 900_000, &frame()));
    let mut second = pes(0x102, 0xbd, 0, 945_000, &tag("late"));
    segment.append(&mut second);
    let out = run(&[segment, pes(0x102, 0xbd, 1, 990_000, &tag("later"))]);
    assert_eq!(out[0].0, [(10.5, tag("late"))]);
    assert_eq!(out[1], (vec![(11.0, tag("later"))], 0), "a segment with nothing else");
}

#[test]
fn the_tag_at_the_head_of_raw_audio_is_handed_on_and_places_it() {
    let mut head = b"ID3\x04\0\0\0\0\0\x3f".to_vec();
    head.extend(b"PRIV\0\0\0\x35\0\0com.apple.streaming.transportStreamTimestamp\0");
    head.extend((10 * 90_000u64).to_be_bytes());
    assert_eq!(head.len(), 73);
    let mut segment = head.clone();
    for _ in 0..5 {
        segment.extend(frame());
    }
    assert_eq!(run(&[segment])[0], (vec![(10.0, head)], 1));
}
