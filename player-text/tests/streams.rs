//! Segments and appends as a player gets them, from the bytes to the cues.

use player_text::segment::{self, Place};
use player_text::{Cue, Tap};

mod common;

const PLACE: Place = Place { start: 10.0, end: 16.0, offset: -90.0 };

fn shown(cues: &[Cue]) -> Vec<(f64, f64, &str)> {
    let round = |time: f64| (time * 1000.0).round() / 1000.0;
    cues.iter().map(|cue| (round(cue.start), round(cue.end), cue.text.as_str())).collect()
}

#[test]
fn webvtt_in_mp4_is_placed_by_the_offset_of_the_video() {
    let cue = |text: &str| {
        let settings = common::boxed(b"sttg", b"line:0");
        common::boxed(b"vttc", &[settings, common::boxed(b"payl", text.as_bytes())].concat())
    };
    let samples = [
        (0, 90, common::boxed(b"vtte", b"")),
        (0, 90, cue("one")),
        (0, 90, [cue("one"), cue("two")].concat()),
        (0, 90, cue("two")),
    ];
    // Second 100 of the stream is second 10 of the player.
    let data = common::fragment(9000, &samples);
    let cues = segment::read(&common::init(b"wvtt"), &data, PLACE).unwrap();
    assert_eq!(shown(&cues), [(11.0, 13.0, "one"), (12.0, 14.0, "two")]);
    assert_eq!(cues[0].settings, "line:0");
    // Without a known offset the segment is put where the playlist has it.
    let cues =
        segment::read(&common::init(b"wvtt"), &data, Place { offset: f64::NAN, ..PLACE }).unwrap();
    assert_eq!(shown(&cues)[0], (11.0, 13.0, "one"));
}

#[test]
fn ttml_in_mp4_has_the_times_of_its_track_or_of_its_segment() {
    let ttml = |time: &str| {
        [
            "<tt xmlns=\"http://www.w3.org/ns/ttml\"><body><div><p begin=\"",
            time,
            "\" dur=\"2s\">a</p></div></body></tt>",
        ]
        .concat()
        .into_bytes()
    };
    let read = |time: &str| {
        let data = common::fragment(9000, &[(0, 540, ttml(time))]);
        shown(&segment::read(&common::init(b"stpp"), &data, PLACE).unwrap())
            .iter()
            .map(|cue| (cue.0, cue.1))
            .collect::<Vec<_>>()
    };
    assert_eq!(read("00:01:41.5"), [(11.5, 13.5)]);
    assert_eq!(read("1.5s"), [(11.5, 13.5)]);
}

#[test]
fn captions_are_read_in_the_order_of_presentation() {
    let pairs = |pairs: &[[u8; 2]]| {
        let triplets: Vec<[u8; 3]> = pairs.iter().map(|[a, b]| [0xfc, *a, *b]).collect();
        common::picture(&triplets)
    };
    let mut tap = Tap::default();
    let mut cues = Vec::new();
    tap.append(&common::init(b"avc1"), None, &mut cues);
    // Decoded first, shown last: the caption's end. Pop-on, "Hi", shown at the third picture.
    let samples = [
        (0, 30, pairs(&[[0x14, 0x20], [0x14, 0x70]])),
        (60, 30, pairs(&[[0x14, 0x2f]])),
        (-30, 30, pairs(&[*b"Hi"])),
        (0, 30, common::picture(&[[0xf8, 0x14, 0x2c]])),
    ];
    let data = common::fragment(9000, &samples);
    // In pieces, as they arrive.
    tap.append(&data[..50], Some(-90.0), &mut cues);
    tap.append(&data[50..], None, &mut cues);
    assert_eq!(shown(&cues), [(11.0, 11.333, "Hi")]);
    assert_eq!(cues[0].channel, "CC1");
    // The next segment goes on with what is shown.
    tap.append(
        &common::fragment(9120, &[(0, 30, pairs(&[[0, 0]])), (0, 30, pairs(&[[0x14, 0x2c]]))]),
        Some(-90.0),
        &mut cues,
    );
    assert_eq!(shown(&cues)[1..], [(11.333, 11.667, "Hi")]);
}

#[test]
fn after_a_jump_nothing_of_before_is_shown() {
    let picture = |pairs: &[[u8; 2]]| {
        common::picture(&pairs.iter().map(|[a, b]| [0xfc, *a, *b]).collect::<Vec<_>>())
    };
    let mut tap = Tap::default();
    let mut cues = Vec::new();
    tap.append(&common::init(b"avc1"), None, &mut cues);
    tap.append(
        &common::fragment(
            0,
            &[(0, 90, picture(&[[0x14, 0x29], [0x14, 0x70], *b"on"])), (0, 90, picture(&[[0, 0]]))],
        ),
        Some(0.0),
        &mut cues,
    );
    assert_eq!(shown(&cues), [(0.0, 2.0, "on")]);
    cues.clear();
    tap.append(
        &common::fragment(9000, &[(0, 90, picture(&[[0, 0]])), (0, 90, picture(&[[0, 0]]))]),
        Some(0.0),
        &mut cues,
    );
    assert_eq!(cues, []);
}

#[test]
fn events_are_told_at_their_times() {
    let mut tap = Tap::default();
    let mut cues = Vec::new();
    tap.append(&common::init(b"avc1"), None, &mut cues);
    let absolute = common::event(1, b"urn:x", b"\x01\x02");
    // Relative to the fragment behind it, which begins at second 100.
    let relative = common::event(0, b"urn:y", b"");
    let fragment = common::fragment(9000, &[(0, 90, vec![0, 0, 0, 1, 9])]);
    tap.append(&[absolute, relative, fragment].concat(), Some(-90.0), &mut cues);
    let told: Vec<_> = cues
        .iter()
        .map(|cue| (cue.start, cue.end, cue.channel.as_str(), cue.id.as_str(), cue.data.as_slice()))
        .collect();
    assert_eq!(
        told,
        [
            (-88.0, -87.5, "emsg", "urn:x\nvalue", &[1, 2][..]),
            (12.0, 12.5, "emsg", "urn:y\nvalue", &[])
        ]
    );
    cues.clear();
    let tag = b"ID3\x04\0\0\0\0\0\x0cTIT2\0\0\0\x02\0\0\x03a";
    tap.append(&common::event(1, b"https://aomedia.org/emsg/ID3", tag), Some(0.0), &mut cues);
    assert_eq!(
        (cues[0].channel.as_str(), cues[0].id.as_str(), cues[0].text.as_str(), cues[0].start),
        ("id3", "TIT2", "a", 2.0)
    );
}
