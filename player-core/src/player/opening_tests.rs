//! Of a large swarm, whoever is to bring a segment's first block does so at once, and nobody else.

#[path = "../../tests/boxes/mod.rs"]
mod boxes;
#[path = "../../tests/page/mod.rs"]
mod page;

use std::time::Duration;

use boxes::{boxed, moof};
use page::{carried_out, response};

use crate::io::{ConnectionId, FetchRequest, Input, Output, Playhead, TrackerId};
use crate::swarm::{Swarm, info_hash, rendition_id};
use crate::time::Instant;
use crate::tracker::{AnnounceResponse, ServerMessage};
use crate::wire::{BLOCK_BYTES, Capabilities, Hello, Message, PeerId, SegmentId, VERSION};
use crate::{Config, Player};

const URL: &str = "https://o.example/live.m3u8";
const MEMBERS: u32 = 200_000;
const BLOCKS: usize = 8;

/// A fragment as long as a segment at 1 Mbit/s.
fn fragment() -> Vec<u8> {
    let moof = moof(0);
    let rest = BLOCKS * BLOCK_BYTES as usize - moof.len() - 8;
    [moof, boxed(b"mdat", &vec![7; rest])].concat()
}

/// From which byte up to which; `None`: all of it.
type Range = Option<(u64, Option<u64>)>;

/// A viewer of a live channel, and the origin, which is fast.
struct Session {
    player: Player,
    now: Instant,
    /// The newest segment, and whether playlists tell what segments hash to.
    edge: u64,
    hashed: bool,
    /// Of which segments the origin was asked for what range.
    fetched: Vec<(u64, Range)>,
}

impl Session {
    /// One who has watched for a while, with one peer; the newest segment is before the one that comes next.
    fn before(next: u64, hashed: bool) -> Self {
        let config = Config { trackers: vec!["ws://t.example/a".into()], ..Config::default() };
        let mut session = Self {
            player: Player::new(config, 7),
            now: Instant::default(),
            edge: next - 3,
            hashed,
            fetched: Vec::new(),
        };
        session.tell(Input::Load { url: URL.into() });
        session.tell(Input::TrackerOpened(TrackerId(0)));
        let response = AnnounceResponse {
            info_hash: info_hash(URL),
            incomplete: Some(MEMBERS),
            ..AnnounceResponse::default()
        };
        let text = ServerMessage::Announce(response).to_json();
        session.tell(Input::TrackerMessage(TrackerId(0), text));
        session.tell(Input::PeerConnected(ConnectionId(900)));
        let hello = Hello {
            version: VERSION,
            capabilities: Capabilities::UPLOAD.with(Capabilities::ORIGIN),
            info_hash: info_hash(URL),
            peer_id: PeerId([9; 20]),
        };
        session.tell(Input::PeerMessage(ConnectionId(900), Message::Hello(hello)));
        session.pass(4.0);
        for _ in 0..2 {
            session.edge += 1;
            session.pass(4.0);
        }
        session
    }

    /// What the origin is asked for of the next segment as soon as the peer tells of it.
    fn next(mut self, edge: u64) -> Vec<Range> {
        self.edge = edge;
        let segment = SegmentId { rendition: rendition_id(URL, 0), sequence: edge };
        self.tell(Input::PeerMessage(ConnectionId(900), Message::Edge { segment }));
        self.pass(0.3);
        self.fetched.iter().filter(|(number, _)| *number == edge).map(|(_, range)| *range).collect()
    }

    fn playlist(&self) -> String {
        let first = self.edge - 5;
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:{first}\n\
             #EXT-X-SERVER-CONTROL:HOLD-BACK=14\n"
        );
        for number in first..=self.edge {
            if self.hashed {
                let size = BLOCKS * BLOCK_BYTES as usize;
                text += &format!("#EXT-X-POTLUCK-HASH:ROOT=0x{},SIZE={size}\n", "00".repeat(32));
            }
            text += &format!("#EXTINF:4,\n{number}.m4s\n");
        }
        text
    }

    fn pass(&mut self, seconds: f64) {
        for _ in 0..(seconds * 50.0) as u32 {
            self.now += Duration::from_millis(20);
            let position = self.now.as_secs_f64();
            let playhead = Playhead { position, ready_state: 4, rate: 1.0, ..Playhead::default() };
            self.tell(Input::Playhead(playhead));
            self.tell(Input::Tick);
        }
    }

    fn tell(&mut self, input: Input) {
        self.player.handle_input(self.now, input);
        let mut answers = Vec::new();
        while let Some(output) = self.player.poll_output() {
            match output {
                Output::Fetch(request) => answers.extend(self.answer(request)),
                Output::CheckCodecs(types) => {
                    answers.push(Input::CodecSupport(vec![true; types.len()]));
                }
                Output::Media(command) => answers.extend(carried_out(&command, &(0.0..40.0))),
                _ => {}
            }
        }
        answers.into_iter().for_each(|answer| self.tell(answer));
    }

    fn answer(&mut self, request: FetchRequest) -> [Input; 3] {
        let name = request.url.rsplit('/').next().and_then(|name| name.split_once('.'));
        let body = match name {
            Some((number, "m4s")) => {
                self.fetched.push((number.parse().unwrap(), request.range));
                fragment()
            }
            _ => self.playlist().into_bytes(),
        };
        response(request, &body)
    }
}

/// The first segment from a number on that the player of [`Session`] is to open, or not.
fn number(opens: bool) -> u64 {
    let player = Player::new(Config::default(), 7);
    let mut swarm = Swarm::new(info_hash(URL), player.peer_id, true);
    swarm.set_size(MEMBERS as usize, MEMBERS as usize);
    let rendition = rendition_id(URL, 0);
    (1000..)
        .find(|sequence| swarm.opens(SegmentId { rendition, sequence: *sequence }, 8) == opens)
        .unwrap()
}

#[test]
fn who_is_to_open_a_segment_brings_its_first_block_at_once_and_nobody_else() {
    let first = Some((0, Some(u64::from(BLOCK_BYTES))));
    let (own, other) = (number(true), number(false));
    assert_eq!(Session::before(own, false).next(own), [first]);
    assert_eq!(Session::before(other, false).next(other), [], "it is not this viewer's turn");
    assert_eq!(Session::before(own, true).next(own), [], "nothing of it could be passed on");
}
