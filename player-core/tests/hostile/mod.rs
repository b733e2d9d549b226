//! A core, and a world around it that does whatever dice say. Shared with the fuzz target `core`.

#[path = "../boxes/mod.rs"]
mod boxes;

use std::sync::LazyLock;
use std::time::Duration;

use boxes::{boxed, init, moof};
use bytes::Bytes;
use player_core::config::P2pMode;
use player_core::io::{
    CacheCommand, ConnectionId, Display, FetchKind, FetchRequest, Input, JobId, MediaCommand,
    MediaFailure, Output, Playhead, Track, TrackerId, Transmuxed, TransmuxedInit,
};
use player_core::proof::{Hash, block_hash, push_hexadecimal, root};
use player_core::recording::Recorder;
use player_core::tracker::{AnnounceResponse, ServerMessage};
use player_core::wire::{
    BLOCK_BYTES, Bitfield, Capabilities, HaveEntry, Hello, InfoHash, Interest, Introduction,
    Message, PeerId, RejectReason, RenditionId, SegmentId, block_count,
};
use player_core::{Config, Instant, Player, swarm};

const MASTER: &str = "#EXTM3U\n#EXT-X-CONTENT-STEERING:SERVER-URI=\"steer\",PATHWAY-ID=\"B\"\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"a\",LANGUAGE=\"en\",AUTOSELECT=YES,URI=\"t.m3u8\"\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"b\",FORCED=YES,URI=\"u.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=500000,SUBTITLES=\"s\"\na.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=900000\nb.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=500000,PATHWAY-ID=\"B\",SUBTITLES=\"s\"\nhttps://b.example/a.m3u8\n";
const VOD: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"i.mp4\"\n#EXTINF:4,\n0.m4s\n#EXTINF:0,\n1.m4s\n#EXT-X-GAP\n#EXTINF:4,\n2.m4s\n#EXTINF:4,\n3.m4s\n#EXT-X-DISCONTINUITY\n#EXTINF:4,\n4.m4s\n#EXT-X-ENDLIST\n";
const SEGMENT_BYTES: u32 = 150_000;
/// Bytes of a cache across sessions, which every other world has.
const CACHE_BYTES: u64 = 1_000_000;
/// The hashes of a segment's blocks.
static HASHES: LazyLock<Vec<Hash>> =
    LazyLock::new(|| segment().chunks(BLOCK_BYTES as usize).map(block_hash).collect());
/// [`VOD`] with the hashes of its segments, one of which is wrong.
static LISTED: LazyLock<String> = LazyLock::new(|| {
    let mut hash = String::new();
    push_hexadecimal(&mut hash, &root(&HASHES));
    let mut text = VOD.to_owned();
    for (name, root) in [("0", &hash), ("1", &hash), ("3", &hash), ("4", &"0".repeat(64))] {
        let tag = format!("#EXT-X-POTLUCK-HASH:ROOT=0x{root},SIZE={SEGMENT_BYTES}\n{name}.m4s");
        text = text.replace(&format!("{name}.m4s"), &tag);
    }
    text
});

fn steering(choice: u8) -> String {
    let ttl = ["0", "1", "-1", "1e99", "\"x\""][usize::from(choice) % 5];
    let host = ["c.example", "", "c:99999999/x?y#z", "é"][usize::from(choice) % 4];
    format!(
        "{{\"VERSION\":1,\"TTL\":{ttl},\"RELOAD-URI\":\"steer{}\",\
         \"PATHWAY-PRIORITY\":[\"x{choice}\",\"B\",\".\"],\
         \"PATHWAY-CLONES\":[{{\"BASE-ID\":\"B\",\"ID\":\"x{choice}\",\"URI-REPLACEMENT\":\
         {{\"HOST\":\"{host}\",\"PARAMS\":{{\"\":\"&=\",\"a\":\"é\"}}}}}}]}}",
        choice % 3
    )
}

fn live(first: u64) -> String {
    let mut text = format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:{first}\n#EXT-X-MAP:URI=\"i.mp4\"\n"
    );
    for sequence in first..first + 6 {
        text += &format!("#EXTINF:4,\n{sequence}.m4s\n");
    }
    text
}

/// A fragment that starts at 0, with filler behind it.
fn segment() -> Vec<u8> {
    let moof = moof(0);
    let filler = vec![9; SEGMENT_BYTES as usize - moof.len() - 8];
    [moof, boxed(b"mdat", &filler)].concat()
}

/// The look of MPEG-2 TS.
fn transport_stream() -> Vec<u8> {
    let mut data = vec![0; SEGMENT_BYTES as usize];
    for packet in data.chunks_mut(188) {
        packet[0] = 0x47;
    }
    data
}

/// A few bytes that choose what happens next.
pub(crate) type Dice = (u8, u8, u32, u16);

/// A core and what it has asked for.
pub(crate) struct World {
    player: Player,
    now: Instant,
    fetches: Vec<FetchRequest>,
    connections: Vec<ConnectionId>,
    media: Vec<Track>,
    info_hash: InfoHash,
    /// What the core asked each peer for, and did not take back.
    asked: Vec<(ConnectionId, u32, SegmentId, u16)>,
    /// When requests lapse of which nothing has come: on both sides, without a word.
    lapses: Vec<(ConnectionId, u32, Instant)>,
    jobs: Vec<(JobId, bool)>,
    /// Hash lists that peers were asked for.
    lists: Vec<(ConnectionId, SegmentId)>,
    most_outputs: usize,
    throws: u32,
    /// Segments that were appended.
    pub(crate) appended: usize,
    /// Blocks that were asked of peers.
    pub(crate) requested: usize,
    /// Segments that were looked for in the cache, and written there.
    pub(crate) recalled: usize,
    pub(crate) kept: usize,
    /// Writes down what the core is told.
    pub(crate) recorder: Option<Recorder>,
}

impl World {
    /// A core that was told to load a title, with a recorder beside it or without.
    pub(crate) fn new(seed: u64, mut recorder: Option<Recorder>) -> Self {
        let config = Config {
            trackers: vec!["wss://t.example/".into(), "nonsense".into()],
            cache_bytes: if seed & 2 == 0 { 0 } else { CACHE_BYTES },
            ..Config::default()
        };
        if let Some(recorder) = &mut recorder {
            recorder.player(&config, seed);
        }
        let mut world = Self {
            player: Player::new(config, seed),
            now: Instant::default(),
            fetches: Vec::new(),
            connections: Vec::new(),
            media: Vec::new(),
            info_hash: swarm::info_hash("https://o.example/m.m3u8"),
            asked: Vec::new(),
            lapses: Vec::new(),
            jobs: Vec::new(),
            lists: Vec::new(),
            most_outputs: 0,
            throws: 0,
            appended: 0,
            requested: 0,
            recalled: 0,
            kept: 0,
            recorder,
        };
        world.tell(Input::Load { url: "https://o.example/m.m3u8".into() });
        world
    }

    fn tell(&mut self, input: Input) {
        if let Some(recorder) = &mut self.recorder {
            recorder.input(self.now, &input);
        }
        self.player.handle_input(self.now, input);
        let mut asked: Vec<(ConnectionId, u32, SegmentId, u16)> = Vec::new();
        let mut outputs = 0;
        while let Some(output) = self.player.poll_output() {
            outputs += 1;
            if let Some(recorder) = &mut self.recorder {
                recorder.output(&output);
            }
            self.appended +=
                usize::from(matches!(&output, Output::Media(MediaCommand::Append { .. })));
            match output {
                Output::Fetch(request) => self.fetches.push(request),
                Output::CancelFetch(id) => self.fetches.retain(|request| request.id != id),
                Output::CreateOffer(connection) | Output::CreateAnswer(connection, _) => {
                    self.connections.push(connection)
                }
                Output::ClosePeer(connection) => {
                    self.connections.retain(|known| *known != connection);
                    self.asked.retain(|(known, ..)| *known != connection);
                }
                Output::Media(MediaCommand::Open(tracks)) => {
                    self.media = tracks.iter().map(|(track, _)| *track).collect()
                }
                Output::Media(
                    MediaCommand::Append { track, .. }
                    | MediaCommand::Remove(track, ..)
                    | MediaCommand::ResetParser(track)
                    | MediaCommand::ChangeType(track, _),
                ) => self.media.push(track),
                // Of no block: it asks whether the peer is there.
                Output::SendPeer(_, Message::Request { block: u16::MAX, .. }) => {}
                Output::SendPeer(connection, Message::Request { id, segment, block, due_ms }) => {
                    let lapsed = |of: &(ConnectionId, u32, SegmentId, u16)| {
                        let mut lapses = self.lapses.iter();
                        lapses.any(|one| (one.0, one.1) == (of.0, of.1) && one.2 <= self.now)
                    };
                    let over: Vec<_> = self.asked.iter().filter(|of| lapsed(of)).copied().collect();
                    self.asked.retain(|of| !over.contains(of));
                    if due_ms > 0 {
                        let at = self.now + Duration::from_millis(due_ms.into());
                        self.lapses.push((connection, id, at));
                    }
                    let twice = self
                        .asked
                        .iter()
                        .any(|(_, _, known, which)| (*known, *which) == (segment, block));
                    assert!(!twice, "block {block} of {segment:?} is asked for twice");
                    self.asked.push((connection, id, segment, block));
                    asked.push((connection, id, segment, block));
                    self.requested += 1;
                }
                Output::Decrypt { job, .. } => self.jobs.push((job, true)),
                Output::Transmux { job, .. } => self.jobs.push((job, false)),
                Output::Cache(CacheCommand::Recall { job, .. }) => {
                    self.recalled += 1;
                    self.jobs.push((job, true));
                }
                Output::Cache(CacheCommand::Keep { hash, data, .. }) => {
                    let hashes: Vec<_> =
                        data.chunks(BLOCK_BYTES as usize).map(block_hash).collect();
                    assert_eq!(root(&hashes), hash, "what is kept is what its name says");
                    self.kept += 1;
                }
                Output::SendPeer(connection, Message::ListRequest { segment }) => {
                    self.lists.push((connection, segment));
                }
                Output::SendPeer(connection, Message::Cancel { id }) => {
                    asked.retain(|(known, which, ..)| (*known, *which) != (connection, id));
                    self.asked.retain(|(known, which, ..)| (*known, *which) != (connection, id));
                }
                _ => {}
            }
        }
        self.most_outputs = self.most_outputs.max(outputs);
        for (_, _, segment, block) in asked {
            let held = self.player.holds(segment, block);
            assert!(!held, "block {block} of {segment:?} is asked for, and held");
        }
    }

    /// One throw: something happens, and what must hold is checked.
    pub(crate) fn step(&mut self, dice: Dice) {
        self.throw(dice);
        // What is kept is looked at now and then: that takes long.
        self.throws += 1;
        if self.throws.is_multiple_of(16) {
            let kept = self.player.stats(self.now).store_bytes;
            let most = Config::default().store_bytes + u64::from(SEGMENT_BYTES);
            assert!(kept <= most, "{kept} bytes are kept");
            assert!(self.player.footprint() < 2000, "{} entries", self.player.footprint());
        }
        if let Some(at) = self.player.poll_timeout()
            && at <= self.now
        {
            self.tell(Input::Tick);
        }
        assert!(self.most_outputs < 2000, "{} outputs at once", self.most_outputs);
    }

    /// Plays the film's first segment, with three peers that hold all of it: as far as dice seldom get.
    pub(crate) fn warm_up(&mut self) {
        for round in 0..30 {
            self.now += Duration::from_millis(100);
            for _ in 0..self.fetches.len() {
                let kind = self.fetches[0].kind;
                let media = matches!(kind, FetchKind::Segment);
                if !media || round == 8 {
                    self.answer_at(0, if media { 20 } else { 4 }, 5);
                }
            }
            while let Some(track) = self.media.pop() {
                self.tell(Input::MediaDone { track, buffered: vec![0.0..4.0] });
            }
            match round {
                1 => self.tell(Input::CodecSupport(vec![true; 2])),
                2 => self.tell(Input::TrackerOpened(TrackerId(0))),
                // There are so many members that more than a newcomer's offers are made.
                3 => {
                    let members = AnnounceResponse {
                        info_hash: self.info_hash,
                        incomplete: Some(9),
                        ..AnnounceResponse::default()
                    };
                    let text = ServerMessage::Announce(members).to_json();
                    self.tell(Input::TrackerMessage(TrackerId(0), text));
                }
                5 => {
                    for connection in self.connections.clone().into_iter().take(3) {
                        self.tell(Input::OfferReady { connection, sdp: "offer".into() });
                        self.greet(connection, 7);
                        for url in ["a.m3u8", "b.m3u8"] {
                            let entry = |sequence: u64| HaveEntry {
                                sequence,
                                tag: swarm::segment_tag(&format!("{sequence}.m4s"), None),
                                size: SEGMENT_BYTES,
                                blocks: Bitfield::full(block_count(SEGMENT_BYTES)),
                            };
                            let have = Message::Have {
                                rendition: swarm::rendition_id(url, "m.m3u8", None, 0),
                                entries: (0..5).map(entry).collect(),
                            };
                            self.tell(Input::PeerMessage(connection, have));
                        }
                    }
                }
                _ => self.tell(Input::Playhead(Playhead { ready_state: 4, ..Playhead::default() })),
            }
        }
    }

    fn throw(&mut self, (action, choice, number, short): Dice) {
        self.now += Duration::from_micros(u64::from(number) % 400_000);
        match action % 16 {
            0..4 => self.answer(choice, number),
            4 => self.tell(Input::Tick),
            15 if choice < 200 => self.work(choice, number),
            5 => self.tell(Input::CodecSupport(vec![!choice.is_multiple_of(16); 2])),
            6 | 7 => self.media(choice, number),
            8 => self.playhead(choice, number),
            9 => self.tracker(choice, number),
            10 | 11 => self.connect(choice, number),
            12..15 => self.peer(choice, number, short),
            _ => self.user(choice, number),
        }
    }

    fn answer(&mut self, choice: u8, number: u32) {
        if !self.fetches.is_empty() {
            self.answer_at(number as usize % self.fetches.len(), choice, number);
        }
    }

    fn answer_at(&mut self, at: usize, choice: u8, number: u32) {
        let FetchRequest { id, url, range, kind } = self.fetches.remove(at);
        let body: Vec<u8> = match (kind, choice % 40) {
            (_, 0) => return self.tell(Input::FetchFailed { id }),
            (_, 1) => b"<!doctype html><p>no".to_vec(),
            (_, 2) => Vec::new(),
            (FetchKind::Playlist, _) if url.ends_with("m.m3u8") => MASTER.into(),
            (FetchKind::Playlist, _) if url.contains("steer") => steering(choice).into(),
            (FetchKind::Playlist, 3..10) => VOD.into(),
            (FetchKind::Playlist, 10..14) => {
                VOD.replace("#EXT-X-MAP:URI=\"i.mp4\"\n", "").into_bytes()
            }
            (FetchKind::Playlist, 14..16) => {
                let method = ["AES-128", "SAMPLE-AES"][usize::from(choice % 2)];
                let key = format!("#EXT-X-KEY:METHOD={method},URI=\"k\"\n#EXTINF");
                VOD.replace("#EXTINF", &key).into_bytes()
            }
            (FetchKind::Playlist, 16) => MASTER.into(),
            (FetchKind::Playlist, 17..22) => LISTED.as_bytes().to_vec(),
            (FetchKind::Playlist, _) => live(u64::from(number % 40)).into(),
            (FetchKind::Init, _) => init(),
            (FetchKind::Text, _) => b"WEBVTT\n\n00:01.000 --> 00:02.000\na\n".to_vec(),
            (FetchKind::Key, _) => vec![choice; if choice.is_multiple_of(8) { 7 } else { 16 }],
            (FetchKind::Segment, 8..20) => transport_stream(),
            (FetchKind::Segment, 3..8) => vec![choice; (number % SEGMENT_BYTES) as usize],
            (FetchKind::Segment, _) => segment(),
        };
        let status = match number % 24 {
            0 => 404,
            1 => 503,
            2..5 => 206,
            _ => 200,
        };
        let content_length = (!choice.is_multiple_of(3))
            .then_some(body.len() as u64 + u64::from(choice.is_multiple_of(23)));
        let first = range.map_or(0, |(first, _)| first);
        let content_range = (status == 206)
            .then_some((first, (choice.is_multiple_of(2)).then_some(u64::from(number))));
        self.tell(Input::FetchHead {
            id,
            status,
            content_length,
            content_range,
            content_type: None,
            url,
        });
        if !body.is_empty() {
            self.tell(Input::FetchChunk { id, data: Bytes::from(body) });
        }
        self.tell(if choice.is_multiple_of(29) {
            Input::FetchFailed { id }
        } else {
            Input::FetchDone { id }
        });
    }

    fn work(&mut self, choice: u8, number: u32) {
        let input = match self.jobs.pop() {
            Some((job, true)) => {
                let plain = if choice.is_multiple_of(3) { init() } else { segment() };
                Input::Decrypted {
                    job,
                    data: (!choice.is_multiple_of(8)).then(|| Bytes::from(plain)),
                }
            }
            Some((job, false)) => {
                let init = TransmuxedInit { data: Bytes::from(init()), codecs: String::new() };
                let start =
                    if choice.is_multiple_of(5) { 95_443.0 } else { f64::from(number % 100) };
                let media = if choice.is_multiple_of(7) { Vec::new() } else { segment() };
                let done = Transmuxed {
                    init: (choice > 30).then_some(init),
                    media: Bytes::from(media),
                    start,
                };
                let result =
                    if choice.is_multiple_of(31) { Err("no PAT".into()) } else { Ok(done) };
                Input::Transmuxed { job, result }
            }
            None => Input::Decrypted { job: JobId(number), data: None },
        };
        self.tell(input);
    }

    fn media(&mut self, choice: u8, number: u32) {
        let track = self.media.pop().unwrap_or(Track::Main);
        let start = f64::from(number % 30);
        let input = match choice % 8 {
            0 => Input::MediaFailed { track, failure: MediaFailure::QuotaExceeded },
            1 if choice > 240 => {
                Input::MediaFailed { track, failure: MediaFailure::Decode("x".into()) }
            }
            1 if choice > 200 => {
                Input::MediaFailed { track, failure: MediaFailure::Unsupported("x".into()) }
            }
            2 => Input::MediaDone { track, buffered: vec![f64::NAN..1.0, 5.0..2.0] },
            _ => Input::MediaDone { track, buffered: vec![start..start + f64::from(choice)] },
        };
        self.tell(input);
    }

    fn playhead(&mut self, choice: u8, number: u32) {
        let position = match choice % 16 {
            0 => f64::NAN,
            1 => -5.0,
            2 => 1e18,
            _ => f64::from(number % 40_000) / 1000.0,
        };
        let playhead = Playhead {
            position,
            rate: [1.0, 0.0, -1.0, f64::INFINITY, 2.0][usize::from(choice) % 5],
            paused: choice.is_multiple_of(3),
            seeking: choice.is_multiple_of(7),
            ready_state: choice % 5,
            wall_clock_ms: f64::from(number) * 1e6,
        };
        if choice.is_multiple_of(11) {
            // The machine slept.
            self.now += Duration::from_secs(3600);
        }
        self.tell(Input::Playhead(playhead));
    }

    fn tracker(&mut self, choice: u8, number: u32) {
        let tracker = TrackerId(u32::from(choice % 3));
        let text = match choice % 4 {
            0 => return self.tell(Input::TrackerOpened(tracker)),
            1 => return self.tell(Input::TrackerClosed(tracker)),
            2 => "{\"action\":\"announce\",\"interval\":-1,\"complete\":9e99}".to_owned(),
            _ => format!(
                "{{\"action\":\"announce\",\"offer\":{{\"sdp\":\"{number}\"}},\"offer_id\":\"x\"}}"
            ),
        };
        self.tell(Input::TrackerMessage(tracker, text));
    }

    fn connect(&mut self, choice: u8, number: u32) {
        let connection = match self.connections.len() {
            0 => ConnectionId(number % 8),
            known => self.connections[number as usize % known],
        };
        let input = match choice % 5 {
            0 => Input::OfferReady { connection, sdp: "offer".into() },
            1 => Input::AnswerReady { connection, sdp: "answer".into() },
            2 => {
                self.asked.retain(|(known, ..)| *known != connection);
                Input::PeerClosed(connection)
            }
            _ => {
                return self.greet(connection, choice);
            }
        };
        self.tell(input);
    }

    fn greet(&mut self, connection: ConnectionId, capabilities: u8) {
        self.tell(Input::PeerConnected(connection));
        let mut peer_id = PeerId([b'p'; 20]);
        peer_id.0[0] = connection.0 as u8;
        let hello = Hello {
            version: 1,
            capabilities: Capabilities(u32::from(capabilities)),
            info_hash: self.info_hash,
            peer_id,
        };
        self.tell(Input::PeerMessage(connection, Message::Hello(hello)));
    }

    fn peer(&mut self, choice: u8, number: u32, short: u16) {
        let connection = match self.connections.len() {
            0 => return,
            known => self.connections[usize::from(short) % known],
        };
        let rendition = swarm::rendition_id(
            if choice.is_multiple_of(2) { "a.m3u8" } else { "b.m3u8" },
            "m.m3u8",
            None,
            0,
        );
        let sequence = u64::from(number % 50);
        let segment = SegmentId {
            rendition: if choice.is_multiple_of(9) { RenditionId(number) } else { rendition },
            sequence,
        };
        let asked = self.asked.iter().find(|(known, ..)| *known == connection).copied();
        let message = match choice % 10 {
            _ if choice >= 230 => self.talk(connection, choice, number, short, segment),
            0 => {
                let frame: Vec<u8> = number
                    .to_le_bytes()
                    .iter()
                    .cycle()
                    .take(usize::from(short) % 200)
                    .copied()
                    .collect();
                self.asked.retain(|(known, ..)| *known != connection);
                return self.tell(Input::PeerFrame(connection, Bytes::from(frame)));
            }
            1..4 => {
                let size =
                    if choice.is_multiple_of(4) { number.max(1) >> 4 } else { SEGMENT_BYTES }
                        .max(1);
                let tag = swarm::segment_tag(&format!("{sequence}.m4s"), None);
                let entry =
                    HaveEntry { sequence, tag, size, blocks: Bitfield::full(block_count(size)) };
                Message::Have { rendition: segment.rendition, entries: vec![entry] }
            }
            4 => Message::Interest(Interest {
                rendition,
                playhead: sequence,
                last: u64::from(short),
            }),
            5 => Message::Request { id: number, segment, block: short, due_ms: number },
            6 | 7 => match asked {
                Some((_, id, ..)) => {
                    let len = [1, 16384, usize::from(short) % 16384 + 1][usize::from(choice) % 3];
                    let offset = if choice.is_multiple_of(13) { number % BLOCK_BYTES } else { 0 };
                    if offset == 0 && len == 16384 {
                        // A whole block, piece by piece.
                        for piece in 0..4 {
                            let data = Bytes::from(vec![7; 16384]);
                            self.tell(Input::PeerMessage(
                                connection,
                                Message::Piece { id, offset: piece * 16384, data },
                            ));
                        }
                        self.asked
                            .retain(|(known, which, ..)| (*known, *which) != (connection, id));
                        return;
                    }
                    Message::Piece { id, offset, data: Bytes::from(vec![7; len]) }
                }
                None => Message::Piece { id: number, offset: 0, data: Bytes::from_static(b"x") },
            },
            8 => Message::Claim { segment, ttl_ms: number },
            9 => Message::Handover {
                segment,
                size: if short > 9 { SEGMENT_BYTES } else { number.max(1) },
                first: short % 7,
                count: short % 9,
            },
            _ => match asked {
                Some((_, id, ..)) => {
                    self.asked.retain(|(known, which, ..)| (*known, *which) != (connection, id));
                    let reason =
                        [RejectReason::NotHeld, RejectReason::Choked, RejectReason::TooMany]
                            [usize::from(short) % 3];
                    Message::Reject { id, reason }
                }
                None => Message::Edge { segment },
            },
        };
        self.tell(Input::PeerMessage(connection, message));
    }

    /// What peers say of hashes and of each other.
    fn talk(
        &mut self,
        connection: ConnectionId,
        choice: u8,
        number: u32,
        short: u16,
        segment: SegmentId,
    ) -> Message {
        let id = |first: u32| {
            let mut id = PeerId([b'p'; 20]);
            id.0[0] = first as u8 % 32;
            id
        };
        match choice % 5 {
            0 => Message::ListRequest { segment },
            1 | 2 => {
                let asked = self.lists.iter().position(|(known, _)| *known == connection);
                let segment = asked.map_or(segment, |at| self.lists.remove(at).1);
                let right = HASHES.concat();
                let hashes =
                    if choice < 245 { right } else { vec![7; usize::from(short % 5 + 1) * 32] };
                Message::HashList { segment, hashes: Bytes::from(hashes) }
            }
            3 => Message::Members {
                peers: (0..=number % 64).map(|n| id(number.wrapping_add(n))).collect(),
            },
            _ => Message::Introduction(Box::new(Introduction {
                answer: choice.is_multiple_of(2),
                from: id(number),
                to: id(number >> 8),
                offer: [short as u8; 20],
                sdp: Bytes::from(vec![b'v'; usize::from(short % 300) + 1]),
            })),
        }
    }

    fn user(&mut self, choice: u8, number: u32) {
        let small = number as usize % 4;
        let input = match choice % 12 {
            11 => match number % 6 {
                0 => Input::ExcludeVariants((0..small).collect()),
                1 => Input::DecodingLevels(vec![choice % 4; small]),
                2 => Input::Frames { total: number, dropped: number >> (choice % 32) },
                3 => Input::SetSwarmToken((choice > 99).then(|| "potluck-token".repeat(small))),
                4 => Input::SignatureVerified { job: JobId(number), valid: choice > 99 },
                _ => Input::Display(Display {
                    width: number % 4000,
                    height: number % 3000,
                    hdr: choice > 99,
                    save_data: number.is_multiple_of(2),
                }),
            },
            0 => Input::SelectVariant(Some(number as usize % 4)),
            1 => Input::SelectVariant(None),
            2 => Input::SelectAudio(number as usize % 3),
            3 => Input::SetP2p(
                [P2pMode::On, P2pMode::DownloadOnly, P2pMode::Off][number as usize % 3],
            ),
            4 => Input::SetUploadLimit((choice > 99).then_some(u64::from(number))),
            5 => Input::Online(choice.is_multiple_of(2)),
            6 if choice > 200 => Input::WebRtcUnavailable,
            7 if choice > 200 => Input::Unload,
            10 => Input::SetUploadBudget((choice > 99).then_some(u64::from(number))),
            9 => Input::SelectText(vec![number as usize % 3, usize::from(choice)]),
            8 => Input::Load { url: "https://o.example/m.m3u8".into() },
            _ => Input::PeerWritable(ConnectionId(number % 20)),
        };
        if matches!(
            input,
            Input::Load { .. } | Input::Unload | Input::SetP2p(_) | Input::WebRtcUnavailable
        ) {
            self.media.clear();
            self.asked.clear();
        }
        self.tell(input);
    }
}
