//! Random bytes, and good ones cut off or changed in places: nothing panics, and what comes out is bounded.

use player_text::segment::{self, Place};
use player_text::{Cue, MAX_CUES, Tap, thumbnails};
use proptest::collection::vec;
use proptest::prelude::*;

mod common;

fn everything(data: &[u8]) {
    for offset in [f64::NAN, 0.0, -1e9] {
        let place = Place { start: 10.0, end: 16.0, offset };
        for init in [&[][..], &common::init(b"wvtt"), &common::init(b"stpp")] {
            let cues = segment::read(init, data, place).unwrap_or_default();
            assert!(cues.len() <= MAX_CUES);
        }
    }
    let mut cues: Vec<Cue> = Vec::new();
    let mut tap = Tap::default();
    tap.append(&common::init(b"avc1"), None, &mut cues);
    let (head, tail) = data.split_at(data.len() / 2);
    tap.append(head, Some(0.0), &mut cues);
    tap.append(tail, None, &mut cues);
    tap.append(data, Some(5.0), &mut cues);
    assert!(cues.len() <= 4 * MAX_CUES);
    let playlist = thumbnails::read(&String::from_utf8_lossy(data));
    assert!(playlist.thumbnails.len() <= MAX_CUES);
}

/// Good input of each kind.
fn good() -> Vec<Vec<u8>> {
    let captions: Vec<[u8; 3]> =
        [[0xfc, 0x94, 0x20], [0xfc, 0x94, 0x2f], [0xff, 0x0a, 0x2f], [0xfe, 0x98, 0x20]].to_vec();
    vec![
        b"WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:900000\n\n1\n00:01.000 --> 00:02.000 line:0\na\n\n".to_vec(),
        b"<?xml version='1.0'?><tt xmlns:tts='x' ttp:frameRate='25'><head><styling><style xml:id='s' tts:color='#ff0000'/></styling><layout><region xml:id='r' tts:origin='1% 2%' tts:extent='3% 4%'/></layout></head><body><div><p begin='1s' end='2s' style='s' region='r'>a<br/>b &#228;</p></div></body></tt>".to_vec(),
        common::fragment(3, &[(90, 90, b"\0\0\0\x1avttc\0\0\0\x12payla<i>b</i>".to_vec())]),
        [common::event(1, b"https://aomedia.org/emsg/ID3", b"ID3\x04\0\0\0\0\0\x0cTIT2\0\0\0\x02\0\0\x03a"), common::fragment(3, &[(0, 3, common::picture(&captions))])].concat(),
        b"#EXTM3U\n#EXT-X-TILES:RESOLUTION=9x9,LAYOUT=2x2,DURATION=1\n#EXT-X-BYTERANGE:9@1\n#EXTINF:4,\na.jpg\n".to_vec(),
    ]
}

#[test]
fn good_input_that_is_cut_off_anywhere_is_read_as_far_as_it_goes() {
    for input in good() {
        for end in 0..=input.len() {
            everything(&input[..end]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_bytes_are_survived(data in vec(any::<u8>(), 0..600)) {
        everything(&data);
    }

    #[test]
    fn good_input_with_changed_bytes_is_survived(kind in 0_usize..5, changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut data = good().swap_remove(kind);
        for (at, byte) in changes {
            let at = at.index(data.len());
            data[at] = byte;
        }
        everything(&data);
    }

    #[test]
    fn random_captions_are_survived(triplets in vec(any::<[u8; 3]>(), 1..31), again in vec(any::<[u8; 3]>(), 1..31)) {
        let mut tap = Tap::default();
        let mut cues = Vec::new();
        tap.append(&common::init(b"avc1"), None, &mut cues);
        for time in 0..20 {
            let samples = [(0, 3, common::picture(&triplets)), (0, 3, common::picture(&again))];
            tap.append(&common::fragment(time * 6, &samples), Some(0.0), &mut cues);
        }
        prop_assert!(cues.iter().all(|cue| cue.end > cue.start && cue.text.len() < 100_000));
    }
}
