//! What peers and strangers may do to a whole player, and where it ends.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use player_core::io::{ConnectionId, FetchKind, FetchRequest, Input, Output, Playhead, TrackerId};
use player_core::tracker::{AnnounceResponse, OfferId, OfferRelay, ServerMessage};
use player_core::wire::{
    BLOCK_BYTES, Bitfield, Capabilities, HaveEntry, Hello, InfoHash, Message, PIECE_BYTES, PeerId,
    RenditionId, SegmentId,
};
use player_core::{Config, Instant, Player, swarm};

const URL: &str = "https://o.example/a.m3u8";

/// A player, and strangers that do to it what they like.
struct World {
    player: Player,
    now: Instant,
    fetches: Vec<FetchRequest>,
    offers: Vec<ConnectionId>,
    answers: Vec<ConnectionId>,
    requests: Vec<(ConnectionId, u32)>,
    open: BTreeSet<ConnectionId>,
    most_open: usize,
    playlists: usize,
}

impl World {
    fn new() -> Self {
        let config = Config { trackers: vec!["wss://t.example/".into()], ..Config::default() };
        let mut world = Self {
            player: Player::new(config, 1),
            now: Instant::default(),
            fetches: Vec::new(),
            offers: Vec::new(),
            answers: Vec::new(),
            requests: Vec::new(),
            open: BTreeSet::new(),
            most_open: 0,
            playlists: 0,
        };
        world.tell(Input::Load { url: URL.into() });
        world.tell(Input::TrackerOpened(TrackerId(0)));
        world
    }

    fn tell(&mut self, input: Input) {
        self.player.handle_input(self.now, input);
        while let Some(output) = self.player.poll_output() {
            match output {
                Output::Fetch(request) => self.fetches.push(request),
                Output::CreateOffer(connection) => self.offers.push(connection),
                Output::CreateAnswer(connection, _) => self.answers.push(connection),
                Output::SendPeer(connection, Message::Request { id, .. }) => {
                    self.requests.push((connection, id));
                }
                Output::ClosePeer(connection) => _ = self.open.remove(&connection),
                Output::CheckCodecs(types) => {
                    let support = Input::CodecSupport(vec![true; types.len()]);
                    return self.tell(support);
                }
                _ => {}
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.tell(Input::Playhead(Playhead { ready_state: 4, ..Playhead::default() }));
        if self.player.poll_timeout().is_some_and(|at| at <= self.now) {
            self.tell(Input::Tick);
        }
    }

    /// The tracker brings an offer.
    fn offer(&mut self, peer: u32) {
        let info_hash = swarm::info_hash(URL);
        let sdp = "v=0".to_owned();
        let relay = OfferRelay { info_hash, peer_id: id(peer), offer_id: OfferId([b'x'; 20]), sdp };
        let text = ServerMessage::Offer(relay).to_json();
        self.tell(Input::TrackerMessage(TrackerId(0), text));
        while let Some(connection) = self.answers.pop() {
            self.tell(Input::AnswerReady { connection, sdp: "v=0".into() });
            self.open.insert(connection);
            self.tell(Input::PeerConnected(connection));
        }
        self.most_open = self.most_open.max(self.open.len());
    }

    /// A peer comes and says hello.
    fn meet(&mut self, number: u32) -> ConnectionId {
        self.offer(number);
        let connection = *self.open.last().expect("it was answered");
        self.tell(Input::PeerMessage(connection, hello(number)));
        connection
    }

    /// The peer shows that it holds a block of segment 9, which has 40.
    fn show(&mut self, connection: ConnectionId, block: u16) {
        let mut blocks = Bitfield::empty(40);
        blocks.set(block);
        let (size, tag) = (40 * BLOCK_BYTES, swarm::segment_tag("9.m4s", None));
        let entries = vec![HaveEntry { sequence: 9, tag, size, blocks }];
        let have = Message::Have { rendition: rendition(), entries };
        self.tell(Input::PeerMessage(connection, have));
    }

    /// So many tenths of a second with an origin that answers.
    fn play(&mut self, tenths: u32) {
        for _ in 0..tenths {
            self.serve(9);
            self.pass(100);
        }
    }

    /// Answers every request for a playlist with one that ends with segment `last`.
    fn serve(&mut self, last: u64) {
        for FetchRequest { id, url, kind, .. } in std::mem::take(&mut self.fetches) {
            if !matches!(kind, FetchKind::Playlist) {
                continue;
            }
            self.playlists += 1;
            let mut text = format!(
                "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:{}\n#EXT-X-MAP:URI=\"i.mp4\"\n",
                last - 5
            );
            for sequence in last - 5..=last {
                text += &format!("#EXTINF:6,\n{sequence}.m4s\n");
            }
            let content_length = Some(text.len() as u64);
            let (content_range, content_type) = (None, None);
            let status = 200;
            self.tell(Input::FetchHead {
                id,
                status,
                content_length,
                content_range,
                content_type,
                url,
            });
            self.tell(Input::FetchChunk { id, data: text.into() });
            self.tell(Input::FetchDone { id });
        }
    }
}

fn id(number: u32) -> PeerId {
    let mut id = [7; 20];
    id[..4].copy_from_slice(&number.to_be_bytes());
    PeerId(id)
}

fn hello(number: u32) -> Message {
    let capabilities = Capabilities::UPLOAD.with(Capabilities::ORIGIN);
    let info_hash: InfoHash = swarm::info_hash(URL);
    Message::Hello(Hello { version: 1, capabilities, info_hash, peer_id: id(number) })
}

#[test]
fn thousands_of_strangers_that_connect_and_say_nothing_are_a_few_at_a_time() {
    let mut world = World::new();
    for number in 0..5000 {
        world.offer(number);
        world.pass(10);
    }
    let most = Config::default().max_peers;
    assert!((20..=most).contains(&world.most_open), "{} connections at once", world.most_open);
}

#[test]
fn a_peer_that_sends_what_is_no_message_is_gone_and_does_not_come_back() {
    let mut world = World::new();
    let connection = world.meet(1);
    world.tell(Input::PeerFrame(connection, Bytes::from_static(&[0x0c, 1, 2])));
    assert!(world.open.is_empty(), "it is still connected");
    world.pass(1000);
    let stats = world.player.stats(world.now);
    assert_eq!((stats.banned_peers.len(), stats.rejected_bytes), (1, 3));
    world.offer(1);
    assert!(world.open.is_empty(), "it was let in again");
    world.offer(2);
    assert_eq!(world.open.len(), 1, "others are");
}

#[test]
fn a_peer_that_cries_news_has_a_playlist_loaded_once_a_second_at_most() {
    let mut world = World::new();
    let connection = world.meet(1);
    world.play(50);
    world.playlists = 0;
    let segment = SegmentId { rendition: rendition(), sequence: 10 };
    for _ in 0..600 {
        world.serve(9);
        world.tell(Input::PeerMessage(connection, Message::Edge { segment }));
        world.pass(50);
    }
    assert!((20..=31).contains(&world.playlists), "{} times in 30 s", world.playlists);
}

#[test]
fn only_whoever_leads_has_a_peer_fetch_something_and_not_much() {
    let mut world = World::new();
    let connection = world.meet(1);
    world.play(20);
    let segment = SegmentId { rendition: rendition(), sequence: 9 };
    let size = 40 * BLOCK_BYTES;
    let handover = Message::Handover { segment, size, first: 8, count: 32 };
    let asked = |world: &mut World| {
        world.fetches.clear();
        world.tell(Input::PeerMessage(connection, handover.clone()));
        world.pass(100);
        let of = |request: &&FetchRequest| request.url.ends_with("/9.m4s");
        world.fetches.iter().find(of).and_then(|request| request.range)
    };
    assert_eq!(asked(&mut world), None, "it has claimed nothing");
    world.tell(Input::PeerMessage(connection, Message::Claim { segment, ttl_ms: 5000 }));
    assert_eq!(asked(&mut world), None, "it has none of it");
    world.show(connection, 0);
    let block = u64::from(BLOCK_BYTES);
    assert_eq!(asked(&mut world), Some((8 * block, Some(19 * block))), "a quarter");
}

/// How many of eight new peers' first blocks are compared with the origin's in a swarm of so many members.
fn compared(members: u32) -> usize {
    let mut world = World::new();
    let info_hash = swarm::info_hash(URL);
    let incomplete = Some(members);
    let announce = AnnounceResponse { info_hash, incomplete, ..AnnounceResponse::default() };
    let text = ServerMessage::Announce(announce).to_json();
    world.tell(Input::TrackerMessage(TrackerId(0), text));
    let peers: Vec<ConnectionId> = (0..8).map(|number| world.meet(number)).collect();
    world.play(20);
    // Each has a block of its own.
    for (block, connection) in (0..).zip(peers) {
        world.show(connection, block);
    }
    world.pass(100);
    world.fetches.clear();
    let requests = std::mem::take(&mut world.requests);
    assert_eq!(requests.len(), 8, "each is asked for its block");
    for (connection, id) in requests {
        let data = Bytes::from(vec![1; PIECE_BYTES as usize]);
        for offset in (0..BLOCK_BYTES).step_by(PIECE_BYTES as usize) {
            let piece = Message::Piece { id, offset, data: data.clone() };
            world.tell(Input::PeerMessage(connection, piece));
        }
    }
    let check =
        |request: &&FetchRequest| request.range.is_some_and(|(from, to)| to == Some(from + 256));
    world.fetches.iter().filter(check).count()
}

#[test]
fn in_a_large_swarm_few_new_peers_are_compared_with_the_origin() {
    assert_eq!([compared(9), compared(500)], [8, 8]);
    let half = compared(900);
    assert!((1..8).contains(&half), "about every second one, and {half} were");
    assert_eq!(compared(1_000_000), 0);
}

fn rendition() -> RenditionId {
    swarm::rendition_id(URL, URL, None, 0)
}
