//! What the fuzz targets do, done to the inputs that are kept in `fuzz/corpus`; no nightly compiler is needed for that.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use player_core::io::{Input, Playhead, RequestId};
use player_core::recording::Recorder;
use player_core::tracker::{Announce, ClientMessage, Offer, OfferId};
use player_core::wire::{
    Bitfield, Capabilities, HaveEntry, Hello, InfoHash, Interest, Message, PeerId, RenditionId,
    SegmentId,
};
use player_core::{Config, Instant, Player};
use player_transmux::{Transmuxed, Transmuxer};
use tests::encrypt::{self, Auxiliary, Plan, Scheme};
use tests::transport_stream;

#[path = "../../player-text/tests/common/mod.rs"]
mod boxes;
#[path = "../fuzz/targets.rs"]
mod targets;

/// The most bytes that all kept inputs have.
const MAX_CORPUS: u64 = 512 * 1024;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

#[test]
fn kept_inputs_find_nothing() {
    if std::env::var_os("UPDATE_SEEDS").is_some() {
        write_seeds();
    }
    let mut bytes = 0;
    for (name, target) in targets::TARGETS {
        let mut inputs: Vec<PathBuf> = fs::read_dir(folder().join(name))
            .unwrap_or_else(|error| panic!("corpus/{name}: {error}"))
            .map(|entry| entry.expect("an entry").path())
            .collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "there are inputs for {name}");
        for input in inputs {
            let data = fs::read(&input).expect("an input");
            bytes += data.len() as u64;
            // Whoever reads the failure wants to know which.
            eprintln!("{}", input.display());
            target(&data);
        }
    }
    assert!(bytes <= MAX_CORPUS, "the corpus is kept small: {bytes} bytes");
}

/// Writes what fuzzing starts from.
fn write_seeds() {
    for (target, name, data) in seeds() {
        let folder = folder().join(target);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(name), data).expect("a seed is written");
    }
}

fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut out = Vec::new();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("playlists");
    for entry in fs::read_dir(golden).expect("the golden folder") {
        let folder = entry.expect("an entry").path();
        let Ok(text) = fs::read(folder.join("input.m3u8")) else { continue };
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        out.push(("playlist", name.to_owned(), text));
    }
    for (name, texts) in reloads() {
        out.push(("refresh", name.to_owned(), texts.join("\0").into_bytes()));
    }
    let stream = transport_stream::segment(900_000, 5, 60);
    out.push(("transport_stream", "avc".to_owned(), [&[20][..], &stream].concat()));
    out.push(("transport_stream", "avc-cut".to_owned(), [&[3][..], &stream].concat()));
    let mut adts = b"\x08ID3\x04\0\0\0\0\0\x04abcd".to_vec();
    for _ in 0..4 {
        adts.extend([0xff, 0xf1, 0x4c, 0x80, 0x02, 0x1f, 0xfc, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
    out.push(("transport_stream", "adts".to_owned(), adts));
    let mut ec3 = vec![8];
    let mut mp3 = vec![8];
    for _ in 0..3 {
        ec3.extend([0x0b, 0x77, 0x00, 0x1f, 0x3f, 0x80, 0, 0]);
        ec3.resize(ec3.len() + 56, 3);
        mp3.extend([0xff, 0xfb, 0x14, 0xc0]);
        mp3.resize(mp3.len() + 92, 3);
    }
    out.push(("transport_stream", "ec3".to_owned(), ec3));
    out.push(("transport_stream", "mp3".to_owned(), mp3));
    out.push(("boxes", "avc".to_owned(), fmp4(&stream)));
    for (at, message) in messages().into_iter().enumerate() {
        out.push(("wire", format!("message-{at}"), message.encode()));
    }
    for seed in 1..5 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let throws: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(8 + 8 * 250).collect();
        out.push(("core", format!("world-{seed}"), throws));
    }
    for (name, init, data) in texts() {
        out.push(("text", name.to_owned(), joined(&init, &data)));
    }
    for (name, init, data) in encrypted(&stream) {
        out.push(("crypto", name.to_owned(), joined(&init, &data)));
    }
    out.push(("recording", "first-steps".to_owned(), recording()));
    let announce = ClientMessage::Announce(Announce {
        numwant: Some(1),
        offers: vec![Offer { offer_id: OfferId([b'o'; 20]), sdp: "v=0\r\n".to_owned() }],
        ..Announce::default()
    });
    out.push(("tracker", "announce".to_owned(), announce.to_json().into_bytes()));
    for (name, text) in [
        (
            "interval",
            r#"{"action":"announce","interval":120,"complete":1,"incomplete":2,"info_hash":"aaaaaaaaaaaaaaaaaaaa"}"#,
        ),
        (
            "offer",
            r#"{"action":"announce","offer":{"type":"offer","sdp":"v=0"},"offer_id":"bbbbbbbbbbbbbbbbbbbb","peer_id":"cccccccccccccccccccc","info_hash":"aaaaaaaaaaaaaaaaaaaa"}"#,
        ),
        (
            "answer",
            r#"{"action":"announce","answer":{"type":"answer","sdp":"v=0"},"offer_id":"bbbbbbbbbbbbbbbbbbbb","peer_id":"cccccccccccccccccccc","to_peer_id":"dddddddddddddddddddd","info_hash":"aaaaaaaaaaaaaaaaaaaa"}"#,
        ),
        (
            "failure",
            r#"{"failure reason":"no","action":"announce","info_hash":"\u00e9aaaaaaaaaaaaaaaaaaa"}"#,
        ),
        (
            "scrape",
            r#"{"action":"scrape","info_hash":["aaaaaaaaaaaaaaaaaaaa"],"files":{"aaaaaaaaaaaaaaaaaaaa":{"complete":1,"incomplete":0,"downloaded":3}}}"#,
        ),
    ] {
        out.push(("tracker", name.to_owned(), text.into()));
    }
    out
}

/// The first steps of a viewer.
fn recording() -> Vec<u8> {
    let config = Config { trackers: vec!["wss://t.example/".to_owned()], ..Config::default() };
    let mut recorder = Recorder::default();
    recorder.player(&config, 7);
    let mut player = Player::new(config, 7);
    let playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n0.m4s\n#EXT-X-ENDLIST\n";
    let url = "https://o.example/m.m3u8".to_owned();
    let id = RequestId(0);
    let inputs = [
        Input::Load { url: url.clone() },
        Input::FetchHead {
            id,
            status: 200,
            content_length: None,
            content_range: None,
            content_type: Some("text/plain".to_owned()),
            url,
        },
        Input::FetchChunk { id, data: playlist.into() },
        Input::FetchDone { id },
        Input::CodecSupport(vec![true]),
        Input::Playhead(Playhead { rate: 1.0, ..Playhead::default() }),
        Input::Tick,
    ];
    for (now, input) in (0..).step_by(100_000).map(Instant::from_micros).zip(inputs) {
        recorder.input(now, &input);
        player.handle_input(now, input);
        while let Some(output) = player.poll_output() {
            recorder.output(&output);
        }
    }
    recorder.take()
}

/// Live playlists and what they are reloaded as.
fn reloads() -> Vec<(&'static str, Vec<String>)> {
    let window = |first: u64, last: u64, end: &str| {
        let mut text = format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:{first}\n");
        for at in first..last {
            if at == 4 {
                text += "#EXT-X-DISCONTINUITY\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n";
            }
            text += &format!("#EXTINF:4,\n{at}.ts\n");
        }
        text + end
    };
    let delta = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:4\n#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=24\n#EXT-X-PART-INF:PART-TARGET=1\n#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n#EXTINF:4,\n4.ts\n#EXT-X-PART:DURATION=1,URI=\"5.0.ts\"\n";
    let dated = |first: u64, time: &str| {
        format!(
            "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:{first}\n#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:{time}Z\n#EXTINF:4,\na.ts\n#EXT-X-DATERANGE:ID=\"x\",START-DATE=\"2026-01-01T00:00:01Z\",DURATION=2\n#EXTINF:3.5,\n#EXT-X-BYTERANGE:100@5\nb.ts\n"
        )
    };
    vec![
        ("slides", vec![window(0, 4, ""), window(1, 6, ""), window(3, 7, "#EXT-X-ENDLIST\n")]),
        ("restarts", vec![window(90, 94, ""), window(0, 3, ""), window(0, 4, "")]),
        ("jumps", vec![window(0, 3, ""), window(50, 53, "")]),
        ("delta", vec![window(0, 4, ""), delta.to_owned()]),
        ("dated", vec![dated(0, "00"), dated(9, "50.5"), String::new(), dated(10, "54")]),
    ]
}

/// Where the init section ends, then it and a segment.
fn joined(init: &[u8], data: &[u8]) -> Vec<u8> {
    [&(init.len() as u16).to_be_bytes()[..], init, data].concat()
}

/// Subtitles, captions, metadata and thumbnails, with their init sections.
fn texts() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let captions = [[0xfc, 0x94, 0x20], [0xfc, 0x94, 0x2f], [0xff, 0x0a, 0x2f], [0xfe, 0x98, 0x20]];
    let cue = b"\0\0\0\x1avttc\0\0\0\x12payla<i>b</i>".to_vec();
    let document = b"<?xml version='1.0'?><tt xmlns:tts='x' ttp:frameRate='25'><head><styling><style xml:id='s' tts:color='#ff0000'/></styling><layout><region xml:id='r' tts:origin='1% 2%' tts:extent='3% 4%'/></layout></head><body><div><p begin='1s' end='2s' style='s' region='r'>a<br/>b &#228;</p></div></body></tt>";
    let tag = b"ID3\x04\0\0\0\0\0\x0cTIT2\0\0\0\x02\0\0\x03a";
    vec![
        ("webvtt", Vec::new(), b"WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:900000\n\nSTYLE\n::cue { color: red }\n\n1\n00:01.000 --> 00:02.000 line:0\n<v Ann>a &amp; <b>c\n\n".to_vec()),
        ("ttml", Vec::new(), document.to_vec()),
        ("webvtt-in-mp4", boxes::init(b"wvtt"), boxes::fragment(3, &[(90, 90, cue)])),
        ("ttml-in-mp4", boxes::init(b"stpp"), boxes::fragment(3, &[(0, 90, document.to_vec())])),
        (
            "captions-and-event",
            boxes::init(b"avc1"),
            [
                boxes::event(1, b"https://aomedia.org/emsg/ID3", tag),
                boxes::fragment(3, &[(0, 3, boxes::picture(&captions))]),
            ]
            .concat(),
        ),
        (
            "thumbnails",
            Vec::new(),
            b"#EXTM3U\n#EXT-X-TILES:RESOLUTION=9x9,LAYOUT=2x2,DURATION=1\n#EXT-X-BYTERANGE:9@1\n#EXTINF:4,\na.jpg\n".to_vec(),
        ),
    ]
}

/// Encrypted segments with their init sections.
fn encrypted(stream: &[u8]) -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let clear = fmp4(stream);
    let (size, clear) = clear.split_first_chunk::<2>().expect("a size");
    let (init, segment) = clear.split_at(usize::from(u16::from_be_bytes(*size)));
    let mut out =
        vec![("transport-stream", Vec::new(), encrypt::encrypt_ts(stream, &[7; 16], &[9; 16]))];
    for (name, scheme) in [("cenc", Scheme::Cenc), ("cbcs", Scheme::Cbcs)] {
        let plan = Plan {
            scheme,
            key: [7; 16],
            kid: [5; 16],
            iv: [9; 16],
            auxiliary: Auxiliary::Senc,
            second_iv: None,
        };
        out.push((
            name,
            encrypt::encrypt_init(init, &plan),
            encrypt::encrypt_segment(init, segment, &plan),
        ));
    }
    out
}

/// An init section and a segment made of a transport stream.
fn fmp4(stream: &[u8]) -> Vec<u8> {
    let mut transmuxer = Transmuxer::new();
    transmuxer.begin(false);
    transmuxer.push(stream).expect("a transport stream");
    transmuxer.end().expect("a transport stream");
    let mut out = vec![0, 0];
    while let Some(ready) = transmuxer.poll() {
        match ready {
            Transmuxed::Init { data, .. } => {
                out = (data.len() as u16).to_be_bytes().to_vec();
                out.extend(data);
            }
            Transmuxed::Media { data, .. } => out.extend(data),
        }
    }
    out
}

fn messages() -> Vec<Message> {
    let segment = SegmentId { rendition: RenditionId(7), sequence: 300 };
    let mut blocks = Bitfield::empty(9);
    blocks.set(2);
    vec![
        Message::Hello(Hello {
            version: 1,
            capabilities: Capabilities(3),
            info_hash: InfoHash([1; 20]),
            peer_id: PeerId([2; 20]),
        }),
        Message::Have {
            rendition: RenditionId(7),
            entries: vec![HaveEntry { sequence: 300, size: 9 << 16, tag: 5, blocks }],
        },
        Message::Interest(Interest { rendition: RenditionId(7), playhead: 300, last: 309 }),
        Message::Request { id: 4, segment, block: 2, due_ms: 900 },
        Message::Piece { id: 4, offset: 0, data: Bytes::from_static(&[9; 40]) },
        Message::Cancel { id: 4 },
    ]
}
