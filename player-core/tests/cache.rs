//! The cache across sessions: what is kept in it, and what is taken out of it.

mod boxes;
mod page;

use std::collections::BTreeMap;
use std::time::Duration;

use boxes::{boxed, moof};
use bytes::Bytes;
use page::{carried_out, response};
use player_core::io::{CacheCommand, ConnectionId, FetchRequest, Input, JobId, Output, TrackerId};
use player_core::proof::{block_hash, digest, push_hexadecimal, root};
use player_core::time::Instant;
use player_core::wire::{BLOCK_BYTES, Capabilities, Hello, Message, PeerId, VERSION};
use player_core::{Config, Player, swarm};

const LIMIT: u64 = 1_000_000;
/// Bytes of the last block of each segment.
const REST: u32 = 500;

/// A fragment of more than a block.
fn segment(number: u8) -> Vec<u8> {
    let moof = moof(0);
    let rest = (BLOCK_BYTES + REST) as usize - moof.len() - 8;
    [moof, boxed(b"mdat", &vec![number; rest])].concat()
}

fn hash_of(segment: &[u8]) -> [u8; 32] {
    let hashes: Vec<_> = segment.chunks(BLOCK_BYTES as usize).map(block_hash).collect();
    root(&hashes)
}

/// Three segments with their hashes, or without.
fn playlist(hashes: bool, key: bool, ended: bool) -> String {
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n");
    if key {
        text += "#EXT-X-KEY:METHOD=AES-128,URI=\"key\"\n";
    }
    for number in 0..3 {
        if hashes {
            let bytes = segment(number);
            let mut hexadecimal = String::new();
            push_hexadecimal(&mut hexadecimal, &hash_of(&bytes));
            text += &format!("#EXT-X-POTLUCK-HASH:ROOT=0x{hexadecimal},SIZE={}\n", bytes.len());
        }
        text += &format!("#EXTINF:4,\n{number}.m4s\n");
    }
    if ended { text + "#EXT-X-ENDLIST\n" } else { text }
}

type Files = BTreeMap<[u8; 32], Bytes>;

/// A session; the origin answers at once, the cache when it is there.
struct Session {
    player: Player,
    now: Instant,
    playlist: String,
    /// What is in the cache; `None`: it never answers.
    cache: Option<Files>,
    /// Segments that the origin was asked for.
    fetched: Vec<String>,
    recalled: usize,
    sent: Vec<Message>,
}

impl Session {
    fn new(playlist: &str, cache: Option<Files>) -> Self {
        let config = Config {
            trackers: vec!["ws://t.example/announce".into()],
            cache_bytes: LIMIT,
            ..Config::default()
        };
        Self::with(config, playlist, cache)
    }

    fn with(config: Config, playlist: &str, cache: Option<Files>) -> Self {
        let mut session = Self {
            player: Player::new(config, 7),
            now: Instant::default(),
            playlist: playlist.into(),
            cache,
            fetched: Vec::new(),
            recalled: 0,
            sent: Vec::new(),
        };
        session.tell(Input::Load { url: "https://o.example/m.m3u8".into() });
        session
    }

    /// Some seconds pass.
    fn pass(&mut self, seconds: u32) {
        for _ in 0..seconds * 20 {
            self.now += Duration::from_millis(50);
            self.tell(Input::Tick);
        }
    }

    fn tell(&mut self, input: Input) {
        self.player.handle_input(self.now, input);
        let mut answers = Vec::new();
        while let Some(output) = self.player.poll_output() {
            match output {
                Output::Fetch(request) => answers.extend(self.answer(request)),
                Output::OpenTracker(..) => answers.push(Input::TrackerClosed(TrackerId(0))),
                Output::Cache(command) => answers.extend(self.cached(command)),
                Output::SendPeer(_, message) => self.sent.push(message),
                output => answers.extend(carried_out(&output, &(0.0..1.0))),
            }
        }
        for answer in answers {
            self.tell(answer);
        }
    }

    fn cached(&mut self, command: CacheCommand) -> Option<Input> {
        match command {
            CacheCommand::Recall { job, hash } => {
                self.recalled += 1;
                let data = self.cache.as_ref()?.get(&hash).cloned();
                Some(Input::Decrypted { job, data })
            }
            CacheCommand::Keep { hash, data, limit } => {
                assert_eq!(limit, LIMIT);
                self.cache.as_mut()?.insert(hash, data);
                None
            }
        }
    }

    fn answer(&mut self, request: FetchRequest) -> [Input; 3] {
        let body = match request.url.rsplit('/').next().and_then(|name| name.split_once('.')) {
            Some((_, "m3u8")) => self.playlist.clone().into_bytes(),
            Some((number, "m4s")) => {
                self.fetched.push(request.url.clone());
                segment(number.parse().unwrap_or(0))
            }
            _ => vec![0; 16],
        };
        response(request, &body)
    }

    fn kept(&self) -> usize {
        self.cache.as_ref().map_or(0, Files::len)
    }
}

/// The cache after a session that saw all of the film.
fn first_session() -> Files {
    let mut first = Session::new(&playlist(true, false, true), Some(Files::new()));
    first.pass(30);
    assert_eq!((first.kept(), first.recalled), (3, 3), "it looked for each, once");
    assert_eq!(first.player.stats(first.now).cache_bytes, 0);
    first.cache.unwrap()
}

#[test]
fn a_second_session_takes_from_the_cache_what_the_first_had_verified() {
    let cache = first_session();
    let mut second = Session::new(&playlist(true, false, true), Some(cache));
    second.pass(30);
    let stats = second.player.stats(second.now);
    assert_eq!(second.fetched, [""; 0]);
    assert_eq!((stats.http_bytes, stats.http_requests), (0, 0));
    assert_eq!(stats.cache_bytes, 3 * u64::from(BLOCK_BYTES + REST));
    let all = stats.segments.iter().all(|of| of.complete && of.http_bytes + of.peer_bytes == 0);
    assert!(all && stats.segments.len() == 3, "{:?}", stats.segments);
}

#[test]
fn what_comes_from_the_cache_is_offered_to_peers() {
    let mut second = Session::new(&playlist(true, false, true), Some(first_session()));
    second.pass(5);
    second.tell(Input::PeerConnected(ConnectionId(0)));
    let hello = Hello {
        version: VERSION,
        capabilities: Capabilities::UPLOAD.with(Capabilities::HASH_LISTS),
        info_hash: swarm::info_hash("https://o.example/m.m3u8"),
        peer_id: PeerId([9; 20]),
    };
    second.tell(Input::PeerMessage(ConnectionId(0), Message::Hello(hello)));
    let shown = second.sent.iter().find_map(|message| match message {
        Message::Have { entries, .. } => {
            Some(entries.iter().filter(|entry| entry.blocks.is_full()).count())
        }
        _ => None,
    });
    assert_eq!(shown, Some(3));
}

#[test]
fn whatever_is_altered_in_the_cache_is_fetched_anew_and_takes_its_place() {
    let good = first_session();
    let alter = |at: usize| {
        let mut cache = good.clone();
        for data in cache.values_mut() {
            let mut bytes = data.to_vec();
            bytes[at] ^= 1;
            *data = bytes.into();
        }
        cache
    };
    let resize = |change: fn(&mut Vec<u8>)| {
        let mut cache = good.clone();
        for data in cache.values_mut() {
            let mut bytes = data.to_vec();
            change(&mut bytes);
            *data = bytes.into();
        }
        cache
    };
    let swapped: Files = good.keys().copied().zip(good.values().rev().cloned()).collect();
    for (what, cache) in [
        ("the first byte", alter(0)),
        ("the last byte", alter((BLOCK_BYTES + REST - 1) as usize)),
        ("cut short", resize(|bytes| bytes.truncate(100))),
        ("longer", resize(|bytes| bytes.push(0))),
        ("empty", resize(Vec::clear)),
    ] {
        let mut second = Session::new(&playlist(true, false, true), Some(cache));
        second.pass(30);
        assert_eq!(second.fetched.len(), 3, "{what}");
        assert_eq!(second.player.stats(second.now).cache_bytes, 0, "{what}");
        assert_eq!(second.cache.as_ref(), Some(&good), "{what}");
    }
    let mut second = Session::new(&playlist(true, false, true), Some(swapped));
    second.pass(30);
    assert_eq!(second.fetched.len(), 2, "one stayed in its place");
}

#[test]
fn a_cache_that_does_not_answer_is_waited_for_a_second() {
    let mut session = Session::new(&playlist(true, false, true), None);
    session.now += Duration::from_millis(900);
    session.tell(Input::Tick);
    assert_eq!((session.recalled, session.fetched.len()), (3, 0));
    session.pass(30);
    assert_eq!((session.recalled, session.fetched.len()), (3, 3));
    // Late, and for what was never asked.
    for job in 0..50 {
        let data = Some(Bytes::from(segment(0)));
        session.tell(Input::Decrypted { job: JobId(job), data });
    }
    assert_eq!(session.player.stats(session.now).cache_bytes, 0);
}

#[test]
fn nothing_is_kept_of_live_and_encrypted_streams_nor_without_hashes() {
    for (what, playlist) in [
        ("live", playlist(true, false, false)),
        ("encrypted", playlist(true, true, true)),
        ("without hashes", playlist(false, false, true)),
    ] {
        let mut session = Session::new(&playlist, Some(Files::new()));
        session.pass(30);
        assert!(!session.fetched.is_empty(), "{what}");
        assert_eq!((session.recalled, session.kept()), (0, 0), "{what}");
    }
}

#[test]
fn whoever_has_no_cache_or_shares_with_nobody_asks_for_nothing() {
    let trackers = || vec!["ws://t.example/announce".to_owned()];
    for config in [
        Config { trackers: trackers(), ..Config::default() },
        Config { cache_bytes: LIMIT, ..Config::default() },
        Config {
            trackers: trackers(),
            cache_bytes: LIMIT,
            p2p: player_core::P2pMode::Off,
            ..Config::default()
        },
    ] {
        let playlist = playlist(true, false, true);
        let mut session = Session::with(config, &playlist, Some(Files::new()));
        session.pass(30);
        assert_eq!((session.recalled, session.kept(), session.fetched.len()), (0, 0, 3));
    }
}

#[test]
fn a_segment_that_does_not_fit_is_not_kept() {
    let config = Config {
        trackers: vec!["ws://t.example/announce".into()],
        cache_bytes: u64::from(BLOCK_BYTES),
        ..Config::default()
    };
    let mut session = Session::with(config, &playlist(true, false, true), Some(Files::new()));
    session.pass(30);
    assert_eq!((session.kept(), session.fetched.len()), (0, 3));
}

#[test]
fn hashes_of_whole_segments_count_too() {
    let whole = |number| {
        let mut hexadecimal = String::new();
        push_hexadecimal(&mut hexadecimal, &digest(&[&segment(number)]));
        format!("#EXT-X-POTLUCK-HASH:{hexadecimal}\n#EXTINF:4,\n{number}.m4s\n")
    };
    let head = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n";
    let text = [head, &whole(0), &whole(1), "#EXT-X-ENDLIST\n"].concat();
    let mut first = Session::new(&text, Some(Files::new()));
    first.pass(30);
    assert_eq!(first.kept(), 2);
    let mut second = Session::new(&text, first.cache.take());
    second.pass(30);
    assert_eq!(second.fetched, [""; 0]);
}
