//! The swarm: who is here, who holds what, who fetches from the origin, and who gives to whom.

mod deadline;
mod election;
mod gossip;
mod identity;
mod introductions;
mod lists;
mod news;
mod peer;
mod picker;
mod reputation;
mod uploads;

use crate::ordered::{OrderedMap, OrderedSet};
use crate::queue::Queue;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

pub(crate) use deadline::fallback_time;
pub(crate) use election::{ABREAST, LAG, MAX_OPENERS, STEP as STEP_SECONDS};
pub use identity::{info_hash, parts_id, rendition_id, segment_tag, token_swarm};
pub(crate) use peer::Peer;
pub(crate) use picker::Blocks;
pub(crate) use reputation::Reputation;

use crate::config::Config;
use crate::io::ConnectionId;
use crate::stats::PeerStats;
use crate::store::Store;
use crate::time::Instant;
use crate::wire::{
    Capabilities, Hello, InfoHash, Interest, Introduction, Message, PeerId, RenditionId, SegmentId,
    VERSION,
};

/// A peer that has not said hello by then is closed.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that sends nothing at all for a request this long is asked nothing for [`SLOW_PENALTY`], and after that until it
/// has said something.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a slow peer is left alone. One that is silent is then asked whether it is still there.
const SLOW_PENALTY: Duration = Duration::from_secs(8);
/// A peer that does not read what it asked for is closed after this long.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How often it is looked whether a peer has done so.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// A block that fewer others hold is rare: there is news of it soon, and only news of rare blocks is pressing.
const RARE: usize = 3;
/// The same where the others are not connected to each other: what some of them hold, the next has yet to hear of.
const RARE_AFAR: usize = 8;
/// Shortest time between two interests.
const INTEREST_INTERVAL: Duration = Duration::from_millis(500);

/// Uplinks that are busy for this part of the time have next to nothing to spare.
const SCARCE: f64 = 0.92;
/// Those that are busy for this part of the time have nothing.
const FULL: f64 = 0.97;
/// Of a film the foremost viewer's uplink that is busy for this part of the time is strained, and so is the fastest line if
/// it carries fewer streams than this.
const STRAINED: f64 = 0.6;
pub(crate) const STRAINED_LINE: f64 = 1.5;
/// The same of live, where it has nothing to spare for those who come.
const THIN_LINE: f64 = 1.25;
/// An uplink is slow that carries a part of the stream, and of the fastest line that was measured, smaller than one in so many.
const SLOW: f64 = 3.0;
/// It is judged when it was busy for this part of the time, and again when that has shrunk to this: after a minute.
const SEEN: f64 = 0.3;
const FORGOTTEN: f64 = 5e-4;
/// So few peers are asked for two blocks at once.
const FEW: usize = 2;

/// What a peer's message meant for the player.
#[derive(Debug, PartialEq)]
pub(crate) enum SwarmEvent {
    /// A whole block has come.
    Block { segment: SegmentId, block: u16, data: Bytes },
    /// The hashes of a segment's blocks, as a peer has them.
    List { segment: SegmentId, hashes: Bytes },
    /// A live playlist has grown; `holder` tells that the sender has bytes of it.
    Edge { segment: SegmentId, holder: bool },
    /// Whoever fetches this segment, which has so many bytes, leaves these of its blocks to this viewer.
    Handover { segment: SegmentId, size: u32, blocks: Range<u16> },
    /// The peer holds more of a segment than before, and can be asked for it.
    Offer(SegmentId),
    /// An offer of a peer that is not connected yet, or its answer.
    Introduction(Box<Introduction>),
    /// Who holds or fetches what has changed.
    Changed,
    /// The peer broke the protocol, or is one too many: close the connection.
    Close,
}

/// All peers of one title.
#[derive(Debug)]
pub(crate) struct Swarm {
    peers: OrderedMap<ConnectionId, Peer>,
    /// How many of them said hello.
    ready: usize,
    /// When their time-outs are looked at next.
    check_at: Instant,
    outbox: Queue<(ConnectionId, Message)>,
    own: Hello,
    /// Blocks asked from peers.
    requested: OrderedSet<(SegmentId, u16)>,
    /// Segments whose blocks changed since the last news.
    changed: OrderedSet<SegmentId>,
    news_at: Option<Instant>,
    /// News is not gathered for long.
    haste: bool,
    interests: OrderedMap<RenditionId, Interest>,
    /// The same as peers know it.
    told: OrderedMap<RenditionId, Interest>,
    interest_sent: Option<Instant>,
    interest_due: bool,
    edges: OrderedMap<RenditionId, u64>,
    /// Edges of others that were passed on.
    relayed: OrderedMap<RenditionId, u64>,
    claims: OrderedMap<SegmentId, u32>,
    uploads: uploads::Uploads,
    /// Members, as far as it is known.
    size: usize,
    /// The same by offers that came since. Anybody can make offers, so only the lottery heeds it, and whoever has no picture yet.
    drawing: usize,
    /// Who is believed.
    pub(crate) reputation: Reputation,
    /// Hash lists that were asked for: of whom, and when.
    asked_lists: OrderedMap<SegmentId, (ConnectionId, Instant)>,
    introductions: introductions::Introductions,
    /// When the first of the present peers said hello.
    ready_since: Option<Instant>,
    /// When the last connection to a peer was lost.
    lost_at: Option<Instant>,
    duplicate_bytes: u64,
    rejected_bytes: u64,
    control_bytes: u64,
    uploaded_bytes: u64,
    byte_rate: f64,
    /// Bytes that may be asked of peers at once.
    most: f64,
    /// The last segment that was wanted at first.
    came_at: u64,
}

impl Swarm {
    /// An empty swarm of `info_hash`, in which this peer is `peer_id`.
    pub(crate) fn new(info_hash: InfoHash, peer_id: PeerId, upload: bool) -> Self {
        let mut own =
            Hello { version: VERSION, capabilities: Capabilities::default(), info_hash, peer_id };
        own.capabilities = capabilities(upload);
        Self {
            peers: OrderedMap::new(),
            ready: 0,
            check_at: Instant::default(),
            outbox: Queue::new(),
            own,
            requested: OrderedSet::new(),
            changed: OrderedSet::new(),
            news_at: None,
            haste: false,
            interests: OrderedMap::new(),
            told: OrderedMap::new(),
            interest_sent: None,
            interest_due: false,
            edges: OrderedMap::new(),
            relayed: OrderedMap::new(),
            claims: OrderedMap::new(),
            uploads: uploads::Uploads::default(),
            size: 0,
            drawing: 0,
            reputation: Reputation::default(),
            asked_lists: OrderedMap::new(),
            introductions: introductions::Introductions::default(),
            ready_since: None,
            lost_at: None,
            duplicate_bytes: 0,
            rejected_bytes: 0,
            control_bytes: 0,
            uploaded_bytes: 0,
            byte_rate: 0.0,
            most: f64::INFINITY,
            came_at: 0,
        }
    }

    /// Whether requests are answered from now on. Peers that are here learn it by a new hello. With an uplink that is slow
    /// beside the stream and the others' they are not for a while: each block that waited for it would be late, and so
    /// would what is asked for here, behind it on the line.
    #[inline(never)]
    pub(crate) fn set_upload(&mut self, gives: bool) {
        let (seen, line) = self.uploads.line();
        let upload = gives
            && (seen < if self.gives() { SEEN } else { FORGOTTEN }
                || SLOW * line > self.byte_rate.min(self.fastest_line()));
        let capabilities = capabilities(upload);
        if capabilities != self.own.capabilities {
            self.own.capabilities = capabilities;
            let hello = Message::Hello(self.own);
            self.broadcast(&hello);
            if !upload {
                self.uploads.end(&mut self.outbox);
            }
        }
    }

    /// Whether requests are answered.
    pub(crate) fn gives(&self) -> bool {
        self.own.capabilities.contains(Capabilities::UPLOAD)
    }

    /// Whether hardly any of this uplink is left, or of the others'.
    pub(crate) fn is_scarce(&self, now: Instant) -> bool {
        self.uploads.busy() > SCARCE || self.is_thin(now)
    }

    /// Whether peers' uplinks are seen to have nothing to spare: no line carries much more than the stream, and some peer has
    /// more requests than it can take. The second, because a line is slow at first where it is long.
    pub(crate) fn is_thin(&self, now: Instant) -> bool {
        self.lines_below(THIN_LINE) && self.peers.iter().any(|(_, peer)| peer.slow_until > now)
    }

    /// Whether a segment was out before this viewer came.
    pub(crate) const fn is_older(&self, segment: SegmentId) -> bool {
        segment.sequence <= self.came_at
    }

    /// Whether whoever gives everything to the others has hardly any of its uplink left, as far as is seen from here.
    pub(crate) fn is_strained(&self) -> bool {
        self.uploads.busy() > STRAINED || self.lines_below(STRAINED_LINE)
    }

    /// Whether nobody's line carries much more than the stream, and yet some of this uplink is left: what is held here, the
    /// others have, as those have that are nearer to the edge. Where all are connected it goes round anyway.
    pub(crate) fn has_spare_uplink(&self) -> bool {
        !self.is_full_mesh() && self.uploads.busy() < FULL && self.lines_below(THIN_LINE)
    }

    /// Whether the fastest line that was measured carries fewer streams than that.
    pub(crate) fn lines_below(&self, streams: f64) -> bool {
        let line = self.fastest_line();
        line > 0.0 && line < streams * self.byte_rate
    }

    /// Byte/s of it; 0 when none was.
    #[inline(never)]
    fn fastest_line(&self) -> f64 {
        let lines = self.peers.values().filter(|peer| peer.line_known).map(|peer| peer.line);
        lines.fold(0.0, f64::max)
    }

    /// How fast what is played is, in byte/s.
    pub(crate) const fn set_byte_rate(&mut self, rate: f64) {
        self.byte_rate = rate;
    }

    /// Limits what is asked of peers at once, in bytes.
    pub(crate) const fn set_most(&mut self, bytes: f64) {
        self.most = bytes;
    }

    /// Limits what is given, in bit/s.
    pub(crate) const fn set_upload_limit(&mut self, bps: Option<u64>) {
        self.uploads.set_limit(bps);
    }

    /// The next message to send.
    pub(crate) fn poll_message(&mut self) -> Option<(ConnectionId, Message)> {
        let (connection, message) = self.outbox.pop_front()?;
        if !matches!(message, Message::Piece { .. }) {
            self.control_bytes += message.encoded_len() as u64;
        }
        Some((connection, message))
    }

    /// The data channel is open: say hello. `introduced` is who the tracker said it would be.
    pub(crate) fn connected(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        introduced: Option<PeerId>,
    ) {
        self.peers.insert(connection, Peer::new(now, introduced));
        if let Some(peer) = introduced {
            self.reputation.met(connection, peer);
        }
        self.outbox.push_back((connection, Message::Hello(self.own)));
    }

    /// The connection is gone: what was asked there is free to be asked elsewhere.
    pub(crate) fn closed(&mut self, now: Instant, connection: ConnectionId) {
        let Some(peer) = self.peers.remove(&connection) else { return };
        for asked in peer.requests() {
            self.requested.remove(&asked);
        }
        self.uploads.forget(connection);
        self.outbox.retain(|(to, _)| *to != connection);
        if let Some(id) = peer.id {
            // If it has left, it is nobody's neighbour any more.
            self.peers.values_mut().for_each(|other| _ = other.members.remove(&id));
        }
        if peer.ready {
            self.lost_at = Some(now);
            self.ready -= 1;
        }
        if self.ready == 0 {
            self.ready_since = None;
        }
    }

    /// Connections that are open, whether anybody has said hello there or not.
    pub(crate) fn connections(&self) -> usize {
        self.peers.len()
    }

    /// Peers that said hello.
    pub(crate) const fn ready_peers(&self) -> usize {
        self.ready
    }

    /// Peers that watch a rendition.
    pub(crate) fn watchers(&self, rendition: RenditionId) -> usize {
        self.peers.values().filter(|peer| peer.interest(rendition).is_some()).count()
    }

    /// When the first of the present peers said hello.
    pub(crate) const fn ready_since(&self) -> Option<Instant> {
        self.ready_since
    }

    /// When the last peer was lost.
    pub(crate) const fn lost_at(&self) -> Option<Instant> {
        self.lost_at
    }

    /// Whether this block was asked of a peer and has not come yet.
    pub(crate) fn is_requested(&self, segment: SegmentId, block: u16) -> bool {
        self.requested.contains(&(segment, block))
    }

    /// The send buffer has room again.
    pub(crate) fn writable(&mut self, connection: ConnectionId) {
        if let Some(peer) = self.peers.get_mut(&connection) {
            peer.queued = 0;
        }
    }

    /// One message from a peer.
    pub(crate) fn message(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        message: Message,
        store: &Store,
    ) -> Vec<SwarmEvent> {
        let few = self.has_few();
        let Some(peer) = self.peers.get_mut(&connection) else { return Vec::new() };
        if !matches!(message, Message::Piece { .. }) {
            let len = message.encoded_len();
            self.control_bytes += len as u64;
            // What an entry costs is its place in the list, and not its bytes.
            let said = if let Message::Have { entries, .. } = &message {
                len.max(entries.len() << 8)
            } else {
                len
            };
            if !peer.may_say(now, said) {
                return self.offended(now, connection);
            }
        }
        peer.silent = false;
        peer.heard_at = now;
        match message {
            Message::Hello(hello) => return self.hello(now, connection, &hello, store),
            _ if !peer.ready => return vec![SwarmEvent::Close],
            Message::Have { entries, .. } if entries.is_empty() => {
                // It has room again.
                if peer.slow_until < now + REQUEST_TIMEOUT {
                    peer.slow_until = now;
                }
                return vec![SwarmEvent::Changed];
            }
            Message::Have { rendition, entries } => {
                let interest = self.interests.get(&rendition);
                let able = peer.can_be_asked(now, few, false);
                let mut events = Vec::new();
                let mut newest = SegmentId { rendition, sequence: 0 };
                for entry in &entries {
                    let segment = SegmentId { rendition, sequence: entry.sequence };
                    if !entry.blocks.is_empty() {
                        newest = newest.max(segment);
                    }
                    let held = store.segment(segment);
                    let useful = |block| {
                        entry.blocks.has(block)
                            && !held.is_some_and(|held| held.held.has(block))
                            && !self.requested.contains(&(segment, block))
                    };
                    if able
                        && interest.is_none_or(|of| of.covers(entry.sequence))
                        && (0..entry.blocks.len()).any(useful)
                    {
                        events.push(SwarmEvent::Offer(segment));
                    }
                }
                peer.learn(now, rendition, entries);
                if self.edges.get(&rendition).is_some_and(|edge| newest.sequence > *edge) {
                    events.push(SwarmEvent::Edge { segment: newest, holder: true });
                }
                return events;
            }
            Message::Interest(interest) => peer.set_interest(interest),
            Message::Request { id, segment, block, due_ms } => {
                let upload =
                    self.own.capabilities.contains(Capabilities::UPLOAD) && peer.reads(now);
                let due = (due_ms > 0).then(|| now + Duration::from_millis(due_ms.into()));
                let request = uploads::Upload::new(connection, id, segment, block, due);
                let refused = self.uploads.request(request, upload, &self.peers, store);
                if let Some((connection, id, reason)) = refused {
                    self.outbox.push_back((connection, Message::Reject { id, reason }));
                }
            }
            Message::Piece { id, offset, data } => {
                return self.piece(now, connection, id, offset, data, store);
            }
            Message::Cancel { id } => self.uploads.cancel(connection, Some(id)),
            Message::Reject { id, reason } => {
                if let Some(asked) = peer.rejected(now, id, reason) {
                    self.requested.remove(&asked);
                }
                return vec![SwarmEvent::Changed];
            }
            Message::Claim { segment, ttl_ms } => {
                return self.heard_claim(now, connection, segment, ttl_ms);
            }
            Message::Handover { segment, size, first, count } => {
                // Only of whoever has claimed it and has some of it, and is not known to come second.
                let claim = peer.claimed(now, segment).map_or(0, |(ttl_ms, _)| ttl_ms);
                let begun = claim > 0 && peer.holds_any(segment);
                if begun && claim >= self.strongest_claim(now, segment) {
                    let blocks = first..first.saturating_add(count);
                    return vec![SwarmEvent::Handover { segment, size, blocks }];
                }
            }
            Message::Edge { segment } => {
                return vec![SwarmEvent::Edge { segment, holder: false }];
            }
            Message::Goodbye => return vec![SwarmEvent::Close],
            Message::ListRequest { segment } => self.answer_list(now, connection, segment, store),
            Message::HashList { segment, hashes } => return self.list(connection, segment, hashes),
            Message::Members { peers } => self.members(connection, peers),
            Message::Introduction(it) => return self.introduction(now, connection, it),
            Message::Unknown { .. } => {}
        }
        Vec::new()
    }

    /// A frame that is no message: its bytes were refused.
    pub(crate) const fn refused(&mut self, bytes: usize) {
        self.rejected_bytes += bytes as u64;
    }

    /// Whether news of blocks is told at once.
    pub(crate) const fn set_haste(&mut self, haste: bool) {
        self.haste = haste;
    }

    /// Tells peers what is wanted of a rendition, but not of a window that has moved on by less than `lag`: they take it for so
    /// much longer.
    pub(crate) fn set_interest(&mut self, interest: Interest, lag: u64) {
        if self.came_at == 0 {
            self.came_at = interest.last;
        }
        if self.interests.insert(interest.rendition, interest) != Some(interest) {
            let told = self.told.get(&interest.rendition);
            let moves = |told: &Interest| {
                // Backwards is far.
                interest.last.wrapping_sub(told.last) < lag.saturating_sub(1)
                    && interest.playhead.wrapping_sub(told.playhead) < lag
            };
            self.interest_due |= !told.is_some_and(moves);
            // A rendition that is no longer played is no longer wanted: the newest four are kept (video, audio, and their
            // parts).
            while self.interests.len() > 4 {
                let stale = self
                    .interests
                    .keys()
                    .copied()
                    .find(|rendition| *rendition != interest.rendition);
                if let Some(stale) = stale {
                    self.interests.remove(&stale);
                }
            }
        }
    }

    /// Time-outs, news and interests that are due.
    pub(crate) fn tick(&mut self, now: Instant, store: &Store) -> Vec<ConnectionId> {
        let mut close = Vec::new();
        let check = self.check_at <= now;
        if check {
            self.check_at = now + CHECK_INTERVAL;
        }
        for banned in self.reputation.judge(now) {
            for (connection, peer) in &self.peers {
                if peer.id == Some(banned) {
                    close.push(*connection);
                }
            }
        }
        for (connection, peer) in self.peers.iter_mut().filter(|_| check) {
            if !peer.ready && now.since(peer.opened_at) > HELLO_TIMEOUT
                || peer.queued > 0 && now.since(peer.queued_since) > UNREAD_TIMEOUT
            {
                close.push(*connection);
            }
            if peer.silent && peer.slow_until <= now {
                peer.slow_until = now + SLOW_PENALTY;
                self.outbox.push_back((*connection, peer.probe()));
            }
            for (_, asked) in peer.expire(now) {
                self.requested.remove(&asked);
            }
            if peer.stalled(now, REQUEST_TIMEOUT) {
                peer.fail(now, SLOW_PENALTY);
                peer.silent = true;
                for (id, asked) in peer.cancel_all() {
                    self.requested.remove(&asked);
                    self.outbox.push_back((*connection, Message::Cancel { id }));
                }
            }
        }
        self.tell_members(now);
        if self.news_at.is_some_and(|at| at <= now) {
            self.news_at = None;
            let changed = std::mem::take(&mut self.changed);
            self.send_news(store, changed, None);
        }
        let rested = self.interest_sent.is_none_or(|at| now.since(at) >= INTEREST_INTERVAL);
        if self.interest_due && rested {
            self.interest_due = false;
            self.interest_sent = Some(now);
            let told = self.interests.clone();
            for interest in told.values() {
                self.broadcast(&Message::Interest(*interest));
            }
            self.told = told;
        }
        close
    }

    /// When [`Swarm::tick`] has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let interest = self
            .interest_due
            .then(|| self.interest_sent.map_or_else(Instant::default, |at| at + INTEREST_INTERVAL));
        let uploads = self.uploads.poll_timeout();
        [self.news_at, interest, uploads].into_iter().flatten().min()
    }

    /// Whether this viewer has nothing to play itself.
    pub(crate) const fn set_short(&mut self, short: bool) {
        self.uploads.short = short;
    }

    /// Sends pieces as far as send buffers and the limits allow; the bytes of media sent.
    pub(crate) fn upload(&mut self, now: Instant, store: &Store, config: &Config) -> u64 {
        self.settle_promises();
        let sent = self.uploads.run(now, &mut self.peers, store, config, &mut self.outbox);
        self.uploaded_bytes += sent;
        sent
    }

    /// Who is connected, and whether it has said hello.
    pub(crate) fn connected_peers(&self) -> impl Iterator<Item = (ConnectionId, bool)> {
        self.peers.iter().map(|(connection, peer)| (*connection, peer.ready))
    }

    /// (uploaded, duplicate, rejected, control) bytes.
    pub(crate) const fn counters(&self) -> (u64, u64, u64, u64) {
        (self.uploaded_bytes, self.duplicate_bytes, self.rejected_bytes, self.control_bytes)
    }

    /// Counts bytes that came though they were held.
    pub(crate) const fn count_duplicate(&mut self, bytes: usize) {
        self.duplicate_bytes += bytes as u64;
    }

    /// Figures of each peer.
    pub(crate) fn peer_stats(&self) -> Vec<PeerStats> {
        let mut stats = Vec::new();
        for (connection, peer) in &self.peers {
            if peer.ready {
                stats.push(PeerStats {
                    id: connection.0,
                    received_bytes: peer.received_bytes,
                    sent_bytes: peer.sent_bytes,
                    rtt_ms: peer.rtt_ms(),
                    bad_blocks: self.reputation.offences(*connection),
                });
            }
        }
        stats
    }

    fn hello(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        hello: &Hello,
        store: &Store,
    ) -> Vec<SwarmEvent> {
        let twice = self
            .peers
            .iter()
            .any(|(id, peer)| *id != connection && peer.ready && peer.id == Some(hello.peer_id));
        let Some(peer) = self.peers.get_mut(&connection) else { return Vec::new() };
        let stranger = hello.version == 0
            || hello.info_hash != self.own.info_hash
            || hello.peer_id == self.own.peer_id
            || peer.id.is_some_and(|id| id != hello.peer_id);
        if stranger || twice || self.reputation.is_banned(&hello.peer_id) {
            return vec![SwarmEvent::Close];
        }
        peer.capabilities = hello.capabilities;
        if std::mem::replace(&mut peer.ready, true) {
            return vec![SwarmEvent::Changed];
        }
        peer.id = Some(hello.peer_id);
        self.ready += 1;
        self.reputation.met(connection, hello.peer_id);
        self.ready_since.get_or_insert(now);
        self.greet(connection);
        let mut held = OrderedSet::new();
        for (id, segment) in store.iter() {
            if !segment.good.is_empty() {
                held.insert(*id);
            }
        }
        self.send_news(store, held, Some(connection));
        for interest in self.interests.values() {
            self.outbox.push_back((connection, Message::Interest(*interest)));
        }
        for (segment, ttl_ms) in &self.claims {
            let (segment, ttl_ms) = (*segment, *ttl_ms);
            self.outbox.push_back((connection, Message::Claim { segment, ttl_ms }));
        }
        for (rendition, sequence) in &self.edges {
            let segment = SegmentId { rendition: *rendition, sequence: *sequence };
            self.outbox.push_back((connection, Message::Edge { segment }));
        }
        vec![SwarmEvent::Changed]
    }

    /// Whether there is hardly another peer to ask.
    const fn has_few(&self) -> bool {
        self.ready <= FEW
    }

    fn piece(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        id: u32,
        offset: u32,
        data: Bytes,
        store: &Store,
    ) -> Vec<SwarmEvent> {
        let Some(peer) = self.peers.get_mut(&connection) else { return Vec::new() };
        match peer.piece(now, id, offset, &data) {
            peer::Piece::Partial => Vec::new(),
            peer::Piece::Nearly { segment, block } => {
                self.block_comes(now, segment, block, store);
                Vec::new()
            }
            peer::Piece::Late if peer.may_say(now, data.len()) => {
                self.duplicate_bytes += data.len() as u64;
                Vec::new()
            }
            peer::Piece::Late | peer::Piece::Refused => {
                self.rejected_bytes += data.len() as u64;
                self.offended(now, connection)
            }
            peer::Piece::Whole { segment, block, data } => {
                self.requested.remove(&(segment, block));
                // Lines that were not measured yet are believed to be as fast as the fastest one that was. Of a block that is one piece
                // none is.
                let line = self.fastest_line();
                for peer in self.peers.values_mut() {
                    if !peer.line_known && line > 0.0 {
                        peer.line = line;
                    }
                }
                vec![SwarmEvent::Block { segment, block, data }]
            }
        }
    }

    /// A peer did what nobody does by accident.
    pub(crate) fn offended(&mut self, now: Instant, connection: ConnectionId) -> Vec<SwarmEvent> {
        self.reputation.offend(now, connection, 2);
        vec![SwarmEvent::Close]
    }

    fn broadcast(&mut self, message: &Message) {
        for (connection, peer) in &self.peers {
            if peer.ready {
                self.outbox.push_back((*connection, message.clone()));
            }
        }
    }
}

const fn capabilities(upload: bool) -> Capabilities {
    let always =
        Capabilities::ORIGIN.with(Capabilities::HASH_LISTS).with(Capabilities::INTRODUCTIONS);
    if upload { Capabilities::UPLOAD.with(always) } else { always }
}

#[cfg(test)]
#[path = "abuse_tests.rs"]
mod abuse_tests;

#[cfg(test)]
#[path = "silence_tests.rs"]
mod silence_tests;

#[cfg(test)]
#[path = "scarcity_tests.rs"]
mod scarcity_tests;
