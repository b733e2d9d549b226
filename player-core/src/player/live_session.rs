//! For tests: a viewer of a live channel whose origin answers at once.

#[path = "../../tests/boxes/mod.rs"]
mod boxes;
#[path = "../../tests/page/mod.rs"]
mod page;

use std::time::Duration;

use boxes::{boxed, moof};
use page::{carried_out, response};

use crate::io::{ConnectionId, FetchRequest, Input, MediaCommand, Output, Playhead};
use crate::swarm::info_hash;
use crate::time::Instant;
use crate::tracker::{AnnounceResponse, ServerMessage};
use crate::wire::{BLOCK_BYTES, Capabilities, Hello, Message, PeerId, VERSION};
use crate::{Config, Player};

pub(super) const URL: &str = "https://o.example/live.m3u8";
/// Of each segment.
const BLOCKS: usize = 15;
const PEER: ConnectionId = ConnectionId(900);

/// A fragment as long as a segment of which nothing is known is thought to be.
fn fragment() -> Vec<u8> {
    let moof = moof(0);
    let rest = BLOCKS * BLOCK_BYTES as usize - moof.len() - 8;
    [moof, boxed(b"mdat", &vec![7; rest])].concat()
}

/// From which byte up to which; `None`: all of it.
pub(super) type Range = Option<(u64, Option<u64>)>;

/// A viewer of a live channel with one peer, and the origin, which is fast.
pub(super) struct Session {
    pub(super) player: Player,
    pub(super) now: Instant,
    /// The newest segment, and whether playlists tell what segments hash to.
    pub(super) edge: u64,
    pub(super) hashed: bool,
    /// Of which segments the origin was asked for what range.
    pub(super) fetched: Vec<(u64, Range)>,
    /// To members of the swarm.
    pub(super) offers: usize,
    /// Seconds that count as buffered whatever was appended.
    buffered: std::ops::Range<f64>,
    /// Whether there is a picture.
    pub(super) appended: bool,
    swarm: AnnounceResponse,
}

impl Session {
    /// One who comes to a swarm of so many, and so many who say that the origin is overrun.
    pub(super) fn of(
        members: u32,
        overrun: u32,
        edge: u64,
        buffered: std::ops::Range<f64>,
    ) -> Self {
        let config = Config { trackers: vec!["ws://t.example/a".into()], ..Config::default() };
        let mut session = Self {
            player: Player::new(config, 7),
            now: Instant::default(),
            edge,
            hashed: false,
            fetched: Vec::new(),
            offers: 0,
            buffered,
            appended: false,
            swarm: AnnounceResponse {
                info_hash: info_hash(URL),
                complete: Some(overrun),
                incomplete: Some(members),
                ..AnnounceResponse::default()
            },
        };
        session.tell(Input::Load { url: URL.into() });
        session.tell(Input::PeerConnected(PEER));
        let hello = Hello {
            version: VERSION,
            capabilities: Capabilities::UPLOAD.with(Capabilities::ORIGIN),
            info_hash: info_hash(URL),
            peer_id: PeerId([9; 20]),
        };
        session.told(Message::Hello(hello));
        session
    }

    /// What the peer says.
    pub(super) fn told(&mut self, message: Message) {
        self.tell(Input::PeerMessage(PEER, message));
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

    pub(super) fn pass(&mut self, seconds: f64) {
        for _ in 0..(seconds * 50.0) as u32 {
            self.now += Duration::from_millis(20);
            let playhead = Playhead {
                position: self.now.as_secs_f64(),
                ready_state: if self.appended { 4 } else { 1 },
                rate: 1.0,
                ..Playhead::default()
            };
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
                // Nothing of the origin is here as soon.
                Output::OpenTracker(tracker, _) => {
                    let text = ServerMessage::Announce(self.swarm.clone()).to_json();
                    let message = Input::TrackerMessage(tracker, text);
                    answers.splice(0..0, [Input::TrackerOpened(tracker), message]);
                }
                Output::CreateOffer(connection) => {
                    self.offers += 1;
                    answers.push(Input::OfferReady { connection, sdp: "an offer".into() });
                }
                output => {
                    answers.extend(carried_out(&output, &self.buffered));
                    self.appended |= matches!(output, Output::Media(MediaCommand::Append { .. }));
                }
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
