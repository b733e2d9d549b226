use bytes::Bytes;
use proptest::prelude::*;

use super::{Entry, Recorder, RecordingError, Said, entries};
use crate::config::{Config, P2pMode};
use crate::io::{
    ConnectionId, Display, FetchKind, FetchRequest, Input, JobId, MediaFailure, Output, Playhead,
    RequestId, Track, TrackerId, Transmuxed, TransmuxedInit,
};
use crate::time::Instant;
use crate::tracker::{Announce, ClientMessage, Offer, OfferId};
use crate::wire::{Introduction, Message, PeerId};

/// What an input is made of.
type Dice = (u64, Vec<u8>, String, f64, bool);

fn dice() -> impl Strategy<Value = Dice> {
    let float = any::<f64>().prop_filter("NaN has one form", |number| !number.is_nan());
    (any::<u64>(), prop::collection::vec(any::<u8>(), 0..40), ".{0,20}", float, any::<bool>())
}

/// Each kind of input that is recorded as it is: no session descriptions, no peers' frames.
fn input(kind: usize, (number, bytes, text, float, flag): Dice) -> Input {
    let small = number as u32;
    let id = RequestId(number);
    let track = if flag { Track::Main } else { Track::Audio };
    let data = Bytes::from(bytes.clone());
    let indices: Vec<usize> = bytes.iter().map(|byte| usize::from(*byte)).collect();
    match kind {
        0 => Input::Load { url: text },
        1 => Input::Unload,
        2 => Input::SelectVariant(flag.then_some(small as usize)),
        3 => Input::SelectAudio(small as usize),
        4 => Input::SelectText(indices),
        5 => Input::ExcludeVariants(indices),
        6 => Input::SetP2p([P2pMode::On, P2pMode::Off, P2pMode::DownloadOnly][small as usize % 3]),
        7 => Input::SetUploadLimit(flag.then_some(number)),
        8 => Input::Display(Display { width: small, height: 7, hdr: flag, save_data: !flag }),
        9 => Input::DecodingLevels(bytes),
        10 => Input::Frames { total: small, dropped: small / 2 },
        11 => Input::Online(flag),
        12 => Input::FetchHead {
            id,
            status: number as u16,
            content_length: flag.then_some(number),
            content_range: flag.then_some((number, number.is_multiple_of(2).then_some(3))),
            content_type: flag.then(|| text.clone()),
            url: text,
        },
        13 => Input::FetchChunk { id, data },
        14 => Input::FetchDone { id },
        15 => Input::FetchFailed { id },
        16 => Input::TrackerOpened(TrackerId(small)),
        17 => Input::TrackerClosed(TrackerId(small)),
        18 => Input::WebRtcUnavailable,
        19 => Input::PeerConnected(ConnectionId(small)),
        20 => Input::PeerWritable(ConnectionId(small)),
        21 => Input::PeerClosed(ConnectionId(small)),
        22 => Input::CodecSupport(bytes.iter().map(|byte| byte % 2 == 0).collect()),
        23 => Input::MediaDone { track, buffered: vec![float..float, 0.0..1.0] },
        24 => Input::MediaFailed {
            track,
            failure: match small % 4 {
                0 => MediaFailure::QuotaExceeded,
                1 => MediaFailure::Unsupported(text),
                2 => MediaFailure::Decode(text),
                _ => MediaFailure::Closed,
            },
        },
        25 => Input::Decrypted { job: JobId(small), data: flag.then_some(data) },
        26 => Input::Transmuxed {
            job: JobId(small),
            result: if flag {
                let init = small
                    .is_multiple_of(2)
                    .then(|| TransmuxedInit { data: data.clone(), codecs: text.clone() });
                Ok(Transmuxed { init, media: data, start: float })
            } else {
                Err(text)
            },
        },
        27 => Input::SignatureVerified { job: JobId(small), valid: flag },
        28 => Input::Playhead(Playhead {
            position: float,
            rate: float,
            paused: flag,
            seeking: !flag,
            ready_state: small as u8,
            wall_clock_ms: float,
        }),
        29 => Input::SetUploadBudget(flag.then_some(number)),
        30 => Input::SetSwarmToken(flag.then_some(text)),
        _ => Input::Tick,
    }
}

fn config((number, bytes, text, float, flag): Dice) -> Config {
    Config {
        p2p: if flag { P2pMode::Off } else { P2pMode::On },
        upload_limit_bps: flag.then_some(number),
        upload_budget_bytes: (!flag).then_some(number),
        trackers: vec![text.clone(); bytes.len()],
        swarm: flag.then(|| text.clone()),
        swarm_token: (!flag).then(|| text.clone()),
        min_viewers: number as u32,
        languages: vec![text.clone()],
        start_position: flag.then_some(float),
        live_latency: (!flag).then_some(float),
        back_buffer: float,
        store_bytes: number,
        cache_bytes: number,
        max_peers: bytes.len(),
        hashes: (!flag).then_some(text),
        publisher_key: flag.then_some([7; 32]),
        ..Config::default()
    }
}

fn read(bytes: Vec<u8>) -> Vec<Entry> {
    entries(bytes.into()).collect::<Result<_, _>>().unwrap()
}

fn inputs(bytes: Vec<u8>) -> Vec<Input> {
    let input = |entry| match entry {
        Entry::Step { input, .. } => Some(*input),
        _ => None,
    };
    read(bytes).into_iter().filter_map(input).collect()
}

/// Inputs as a recorder of a player writes them.
fn recorded(told: &[Input], said: &[Output]) -> Vec<u8> {
    let mut recorder = Recorder::default();
    recorder.player(&Config::default(), 1);
    for input in told {
        recorder.input(Instant::from_micros(5), input);
        said.iter().for_each(|output| recorder.output(output));
    }
    recorder.take()
}

proptest! {
    #[test]
    fn inputs_and_configuration_survive_the_recording(
        about in dice(),
        told in prop::collection::vec((0_usize..32, dice(), 0_u64..1 << 40), 1..20),
    ) {
        let config = config(about);
        let mut recorder = Recorder::default();
        recorder.player(&config, 77);
        let (mut now, mut all) = (0, Vec::new());
        for (kind, dice, later) in told {
            now += later;
            let input = input(kind, dice);
            recorder.input(Instant::from_micros(now), &input);
            all.push(format!("{now} {input:?}"));
        }
        let mut back = read(recorder.take());
        match back.remove(0) {
            Entry::Player { config: read, seed } => prop_assert_eq!((*read, seed), (config, 77)),
            other => prop_assert!(false, "{:?}", other),
        }
        let back: Vec<String> = back
            .into_iter()
            .map(|entry| match entry {
                Entry::Step { now, input, .. } => format!("{} {input:?}", now.as_micros()),
                other => format!("{other:?}"),
            })
            .collect();
        prop_assert_eq!(back, all);
    }

    #[test]
    fn no_bytes_panic_and_what_is_cut_short_is_said_to_be(
        noise in prop::collection::vec(any::<u8>(), 0..200),
        kind in 0_usize..32,
        dice in dice(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = super::BEGINNING.to_vec();
        bytes.extend(noise);
        prop_assert!(entries(bytes.into()).take(300).count() < 300);

        let whole = recorded(&[input(kind, dice)], &[]);
        let at = cut.index(whole.len() - 1) + 1;
        let count = entries(whole.clone().into()).count();
        let left: Vec<_> = entries(whole[..at].to_vec().into()).collect();
        let ends = left.iter().all(Result::is_ok) && left.len() < count;
        let short = matches!(left.last(), Some(Err(_)));
        prop_assert!(ends || short, "{:?}", left);
    }

    #[test]
    fn masking_a_trackers_text_leaves_its_length_and_what_is_read(text in "[\"\\\\a-cu:{}, é0-9]{0,60}") {
        let once = super::mask::json(&text);
        prop_assert_eq!(once.len(), text.len());
        let once = String::from_utf8(once);
        prop_assert!(once.is_ok());
        prop_assert_eq!(super::mask::json(once.as_deref().unwrap()), once.unwrap().into_bytes());
    }
}

#[test]
fn an_escape_without_its_digits_stays_in_its_place() {
    // Were four digits put behind it, they would take away what makes the quotation mark part of the text.
    let masked = super::mask::json(r#""name":"\u{u\"a","sdp":"\u00e9\u12""#);
    assert_eq!(std::str::from_utf8(&masked), Ok(r#""name":"\uxx\"x","sdp":"\u0078\uxx""#));
}

const ADDRESS: &str = "a=candidate:1 1 udp 2122 192.0.2.7 5000 typ host";

#[test]
fn nobodys_address_is_recorded() {
    let sdp = format!("v=0\r\n{ADDRESS}\r\n");
    let quoted = sdp.replace("\r\n", "\\r\\n");
    let told = Message::Introduction(Box::new(Introduction {
        answer: false,
        from: PeerId([1; 20]),
        to: PeerId([2; 20]),
        offer: [3; 20],
        sdp: sdp.clone().into(),
    }));
    let mut later = vec![0x41];
    later.extend(sdp.as_bytes());
    let text = format!(
        r#"{{"action":"announce","info_hash":"é\u00e9\"","warning message":"{ADDRESS}","offer":{{"type":"offer","sdp" : "{quoted}"}},"offer_id":"abc","peers":[{{"ip":"192.0.2.7"}}],"interval":120}}"#
    );
    let all = [
        Input::OfferReady { connection: ConnectionId(1), sdp: sdp.clone() },
        Input::AnswerReady { connection: ConnectionId(1), sdp: sdp.clone() },
        Input::TrackerMessage(TrackerId(0), text.clone()),
        Input::PeerFrame(ConnectionId(1), told.encode().into()),
        Input::PeerMessage(ConnectionId(1), told.clone()),
        Input::PeerFrame(ConnectionId(1), later.into()),
    ];
    let said = [
        Output::CreateAnswer(ConnectionId(1), sdp.clone()),
        Output::SendTracker(TrackerId(0), text),
        Output::SendPeer(ConnectionId(1), told),
    ];
    let bytes = recorded(&all, &said);
    let found = String::from_utf8_lossy(&bytes);
    assert!(!found.contains("192.0.2") && !found.contains("candidate"), "{found}");

    let back = inputs(bytes);
    let Input::TrackerMessage(_, text) = &back[2] else { panic!("{back:?}") };
    assert!(text.contains(r#""info_hash":"é\u00e9\"""#) && text.contains(r#""offer_id":"abc""#));
    let json: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(json["offer"]["sdp"].as_str().unwrap().len(), sdp.len());
    assert_eq!(json["interval"], 120);
    let Input::PeerFrame(_, frame) = &back[3] else { panic!("{back:?}") };
    let Ok(Message::Introduction(it)) = Message::decode(frame.clone()) else { panic!("{frame:?}") };
    assert_eq!((it.from, it.to, it.sdp.len()), (PeerId([1; 20]), PeerId([2; 20]), sdp.len()));
    let Input::PeerFrame(_, frame) = &back[5] else { panic!("{back:?}") };
    assert_eq!(Message::decode(frame.clone()), Ok(Message::Unknown { kind: 0x41 }));
}

#[test]
fn what_is_told_a_tracker_is_the_same_with_a_stand_in_for_the_description() {
    let told = |sdp: &str| {
        let offer = Offer { offer_id: OfferId([b'o'; 20]), sdp: sdp.to_owned() };
        let announce = Announce { offers: vec![offer], ..Announce::default() };
        Output::SendTracker(TrackerId(0), ClientMessage::Announce(announce).to_json())
    };
    let sdp = format!("v=0\r\n{ADDRESS}\r\na=\"\u{e9}\u{1}\"");
    let mut stand_in = Vec::new();
    super::mask::text(&mut stand_in, &sdp);
    let stand_in = told(&String::from_utf8(stand_in).unwrap());
    assert_eq!(Said::of(&[told(&sdp)]), Said::of(&[stand_in]));
    assert_ne!(
        Said::of(&[told(&sdp)]),
        Said::of(&[Output::SendTracker(TrackerId(0), "{}".into())])
    );
}

#[test]
fn keys_that_are_loaded_are_not_recorded() {
    let fetch = |id, kind| {
        let url = "https://o.example/k".to_owned();
        Output::Fetch(FetchRequest { id: RequestId(id), url, range: None, kind })
    };
    let mut recorder = Recorder::default();
    recorder.player(&Config::default(), 1);
    recorder.input(Instant::default(), &Input::Tick);
    recorder.output(&fetch(1, FetchKind::Key));
    recorder.output(&fetch(2, FetchKind::Segment));
    for id in [1, 2] {
        let data = Bytes::from_static(b"0123456789abcdef");
        recorder.input(Instant::default(), &Input::FetchChunk { id: RequestId(id), data });
    }
    let back = inputs(recorder.take());
    let data = |at: usize| match &back[at] {
        Input::FetchChunk { data, .. } => data.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(data(1)[..], [0; 16]);
    assert_eq!(data(2)[..], *b"0123456789abcdef");
}

#[test]
fn a_recording_that_is_full_says_so_and_takes_no_more() {
    let mut recorder = Recorder::default();
    let megabyte = Bytes::from(vec![1; 1 << 20]);
    // Before the player begins there is nothing to record.
    recorder.input(Instant::default(), &Input::Tick);
    assert!(inputs(recorder.take()).is_empty());

    recorder.player(&Config::default(), 1);
    let mut bytes = super::BEGINNING.to_vec();
    for _ in 0..140 {
        let data = megabyte.clone();
        recorder.input(Instant::default(), &Input::FetchChunk { id: RequestId(1), data });
        bytes.extend(recorder.take());
    }
    recorder.player(&Config::default(), 1);
    bytes.extend(recorder.take());
    assert!(bytes.len() < super::MAX_RECORDING_BYTES + (2 << 20), "{} bytes", bytes.len());
    let all = read(bytes);
    assert!(matches!(all.last(), Some(Entry::Full)));
    assert!(all.len() > 120);
}

#[test]
fn recordings_one_behind_the_other_are_one() {
    let one = recorded(&[Input::Unload], &[Output::CancelFetch(RequestId(4))]);
    let both = read([one.clone(), one].concat());
    assert_eq!(both.len(), 4);
    let Entry::Step { now, said, .. } = &both[3] else { panic!("{both:?}") };
    assert_eq!(now.as_micros(), 5, "time begins again");
    assert_eq!(*said, Said::of(&[Output::CancelFetch(RequestId(4))]));
    assert_eq!(said.kinds().collect::<Vec<_>>(), ["cancel fetch"]);

    let other = entries(Bytes::from_static(b"\x02not one")).next();
    assert_eq!(other.unwrap().err(), Some(RecordingError::NotARecording));
}
