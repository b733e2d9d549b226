//! The client side of all trackers of one session: announces, offers and answers.
//!
//! A tracker hands each offer of an announce to one other member that is there already, and forwards
//! the answer. So newcomers' offers reach the incumbents, and an incumbent alone has nothing to hand out.
//! Offers cost a browser a connection each: they are gathered a few at a time, kept in a pool, and taken
//! back when a response shows that nobody was there to get them.

use crate::ordered::{OrderedMap, OrderedSet};
use crate::queue::Queue;
use std::time::Duration;

use super::binary::OfferId;
use super::link::{Due, Link, Socket, backoff};
use super::message::{
    Announce, AnnounceEvent, AnnounceResponse, Answer, AnswerRelay, ClientMessage, Offer,
    OfferRelay, ServerMessage,
};
use crate::io::{ConnectionId, TrackerId};
use crate::proof::{digest, push_hexadecimal};
use crate::text::random_letter;
use crate::time::Instant;
use crate::wire::{InfoHash, Introduction, MAX_SDP_BYTES, PeerId};

/// Most trackers, and most connections in any one stage before they are open.
const MAX_PENDING: usize = 64;
/// Offers whose candidates are gathered at the same time.
const MAX_GATHERING: usize = 4;
/// How long a browser may take to gather candidates, and how long a connection to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// An offer that was handed out and has no answer is closed after this long.
const OFFER_LIFETIME: Duration = Duration::from_secs(25);
/// A viewer without peers makes another offer beside one that has had no answer for this long.
const OFFER_PATIENCE: Duration = Duration::from_secs(5);
/// An offer that waits for longer is gathered anew: addresses and NAT mappings change.
const READY_LIFETIME: Duration = Duration::from_secs(300);
/// How long a ready offer waits for those that are still gathering.
const GATHER_PATIENCE: Duration = Duration::from_millis(500);
/// Most offers that neighbours pass on for us at the same time, and most of others that one neighbour brings us.
const MAX_INTRODUCING: usize = 6;
/// Offers that one tracker brings us in [`RELAY_INTERVAL`] and that are heeded: each costs a connection.
const MAX_RELAYED: u32 = 64;
const RELAY_INTERVAL: Duration = Duration::from_secs(10);
/// Most candidates in a description: a browser sends packets to each of them.
const MAX_CANDIDATES: usize = 64;
/// Most peers that are shunned.
const MAX_SHUNNED: usize = 256;
/// With fewer peers than this (or than the swarm has), offers go out ahead of the tracker's interval: news of who fetches
/// what travels one hop, so a small swarm is to be a full mesh.
const FEW_PEERS: usize = 30;

/// What [`Signaling`] wants done. See the [`Output`](crate::io::Output) of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignalingOutput {
    /// Open a WebSocket to this URL.
    Open(TrackerId, String),
    /// Send a text message.
    Send(TrackerId, String),
    /// Close the WebSocket.
    Close(TrackerId),
    /// Gather an offer.
    CreateOffer(ConnectionId),
    /// Gather an answer to this offer.
    CreateAnswer(ConnectionId, String),
    /// Apply this answer.
    AcceptAnswer(ConnectionId, String),
    /// Close the connection: an offer that nobody took, a connection that did not open in time, or
    /// one of two to the same peer. Never one that is open.
    ClosePeer(ConnectionId),
    /// A tracker refuses us, for another reason than before or for the first time; its words.
    Refused(String),
    /// Have this neighbour pass an offer or an answer on.
    Introduce(ConnectionId, Introduction),
    /// From now on the connection is one to this peer. It opens, or it ends by
    /// [`SignalingOutput::ClosePeer`] or by the shell's word.
    Introduced {
        /// The connection.
        connection: ConnectionId,
        /// The other side, as the tracker says.
        peer: PeerId,
        /// Whether the offer is ours.
        offered: bool,
    },
}

/// How the trackers are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrackerStatus {
    /// A tracker's WebSocket is open.
    pub reachable: bool,
    /// A tracker has responded to an announce.
    pub answered: bool,
    /// Why a tracker refuses us, in its words, when one does.
    pub failure: Option<String>,
    /// Members of the swarm, ourselves included; the highest that a tracker tells, 0 when none does.
    pub swarm_size: u32,
    /// The swarm is too small to make connections: see [`Signaling::with_min_viewers`].
    pub gated: bool,
}

/// Where a connection is on its way.
#[derive(Debug)]
enum Stage {
    /// Ours: candidates are being gathered.
    Gathering {
        until: Instant,
    },
    /// Ours: waits for a tracker to hand it out.
    Ready {
        offer: Offer,
        since: Instant,
    },
    /// Ours: a tracker has it, and may have handed it out; or it was passed on to this peer.
    Announced {
        offer: Offer,
        since: Instant,
        at: Instant,
        to: Option<PeerId>,
    },
    /// Theirs: our answer is being gathered.
    Answering {
        peer: PeerId,
        via: Via,
        offer_id: OfferId,
        until: Instant,
    },
    /// Both sides have offer and answer.
    Connecting {
        peer: PeerId,
        offered: bool,
        until: Instant,
    },
    Open {
        peer: PeerId,
    },
}

impl Stage {
    fn peer(&self) -> Option<PeerId> {
        match self {
            Self::Answering { peer, .. } | Self::Connecting { peer, .. } | Self::Open { peer } => {
                Some(*peer)
            }
            _ => None,
        }
    }

    /// When the connection is given up.
    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Gathering { until }
            | Self::Answering { until, .. }
            | Self::Connecting { until, .. } => Some(*until),
            Self::Ready { since, .. } => Some(*since + READY_LIFETIME),
            Self::Announced { at, .. } => Some(*at + OFFER_LIFETIME),
            Self::Open { .. } => None,
        }
    }
}

/// Who brought an offer, and is to forward the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Via {
    Tracker(TrackerId),
    Peer(ConnectionId),
}

/// How many connections are in each stage.
#[derive(Debug, Default, Clone, Copy)]
struct Census {
    gathering: usize,
    ready: usize,
    announced: usize,
    /// Announced ones that may still be answered soon.
    fresh: usize,
    connecting: usize,
    /// Offers that were passed on to certain peers just now.
    introducing: usize,
    open: usize,
}

/// Whether offers should go out ahead of the interval.
enum Hunger {
    No,
    /// Connections on their way may do.
    Later,
    Yes,
}

/// All trackers of one session. Without I/O: tell it what happens, then drain
/// [`Signaling::poll_output`], then wait for [`Signaling::poll_timeout`].
#[derive(Debug)]
pub struct Signaling {
    info_hash: InfoHash,
    peer_id: PeerId,
    offers: usize,
    rng: fastrand::Rng,
    links: OrderedMap<TrackerId, Link>,
    bad_urls: Vec<String>,
    connections: OrderedMap<ConnectionId, Stage>,
    /// Connections by the other side, once that is known.
    peers: OrderedMap<PeerId, ConnectionId>,
    /// Peers with whom there is to be no connection.
    shunned: OrderedSet<PeerId>,
    /// There are members to whom neighbours can introduce us.
    acquainted: bool,
    /// By it trackers know us again on another socket; nobody else learns it.
    key: String,
    token: Option<String>,
    min_viewers: u32,
    next_connection: u32,
    wanted: usize,
    downloaded: u64,
    uploaded: u64,
    running: bool,
    /// No offer is gathered before: the browser has just failed to.
    gather_at: Instant,
    gather_failures: u32,
    now: Instant,
    deadline: Option<Instant>,
    outputs: Queue<SignalingOutput>,
}

impl Signaling {
    /// Trackers are numbered by their position in `trackers`. Keeps up to `offers` offers waiting.
    #[must_use]
    pub fn new(
        trackers: &[String],
        info_hash: InfoHash,
        peer_id: PeerId,
        offers: usize,
        seed: u64,
    ) -> Self {
        let mut links = OrderedMap::new();
        let mut bad_urls = Vec::new();
        for (index, url) in (0..).zip(trackers.iter().take(MAX_PENDING)) {
            if is_websocket_url(url) {
                links.insert(TrackerId(index), Link::new(url.clone()));
            } else {
                bad_urls.push(url.clone());
            }
        }
        let offers = offers.min(MAX_PENDING / 2);
        Self {
            info_hash,
            peer_id,
            offers,
            rng: fastrand::Rng::with_seed(seed),
            links,
            bad_urls,
            connections: OrderedMap::new(),
            peers: OrderedMap::new(),
            shunned: OrderedSet::new(),
            acquainted: false,
            key: secret(seed),
            token: None,
            min_viewers: 0,
            next_connection: 0,
            wanted: MAX_PENDING,
            downloaded: 0,
            uploaded: 0,
            running: false,
            gather_at: Instant::default(),
            gather_failures: 0,
            now: Instant::default(),
            deadline: None,
            outputs: Queue::new(),
        }
    }

    /// Numbers connections from here on: for a session that goes on after another [`Signaling`].
    #[must_use]
    pub const fn with_first_connection(mut self, first: ConnectionId) -> Self {
        self.next_connection = first.0;
        self
    }

    /// Makes no offers and no answers unless a tracker says that the swarm has so many members, ourselves included.
    /// Connections that are open stay when it shrinks.
    #[must_use]
    pub const fn with_min_viewers(mut self, min_viewers: u32) -> Self {
        self.min_viewers = min_viewers;
        self
    }

    /// What each announce shows the trackers to be let in. A new one is shown at once.
    pub fn set_token(&mut self, now: Instant, token: Option<String>) {
        self.token = token;
        for link in self.links.values_mut() {
            link.next_announce = now;
        }
        self.advance(now);
    }

    /// The swarm.
    #[must_use]
    pub const fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// The number that the next connection will have.
    #[must_use]
    pub const fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.next_connection)
    }

    /// Trackers that are ignored: their URLs are not `ws:` or `wss:`.
    #[must_use]
    pub fn bad_urls(&self) -> &[String] {
        &self.bad_urls
    }

    /// Opens the trackers' sockets and begins to gather offers.
    pub fn start(&mut self, now: Instant) {
        if !self.running {
            self.running = true;
            for (id, link) in &mut self.links {
                link.open(now);
                self.outputs.push_back(SignalingOutput::Open(*id, link.url.clone()));
            }
        }
        self.advance(now);
    }

    /// Announces `stopped`, closes the sockets and all connections that are not open. Open ones stay.
    pub fn stop(&mut self, now: Instant) {
        self.running = false;
        let ids: Vec<TrackerId> = self.links.keys().copied().collect();
        for id in ids {
            if self.links.get(&id).is_some_and(|link| link.is_open() && link.announced) {
                self.send_announce(id, Some(AnnounceEvent::Stopped), Vec::new());
            }
            let Some(link) = self.links.get_mut(&id) else { continue };
            if !matches!(link.socket, Socket::Closed { .. }) {
                self.outputs.push_back(SignalingOutput::Close(id));
            }
            link.reset();
        }
        self.close_where(|stage| !matches!(stage, Stage::Open { .. }));
        self.advance(now);
    }

    /// The tracker's socket is open.
    pub fn opened(&mut self, now: Instant, tracker: TrackerId) {
        if let Some(link) = self.links.get_mut(&tracker)
            && matches!(link.socket, Socket::Opening { .. })
        {
            link.opened(now);
        }
        self.advance(now);
    }

    /// A text from the tracker. What cannot be read is skipped.
    pub fn message(&mut self, now: Instant, tracker: TrackerId, text: &str) {
        let Some(link) = self.links.get_mut(&tracker).filter(|link| link.is_open()) else { return };
        link.heard(now);
        match ServerMessage::from_json(text) {
            Ok(ServerMessage::Announce(response)) => self.responded(now, tracker, &response),
            Ok(ServerMessage::Offer(offer)) => {
                self.offered(now, Via::Tracker(tracker), offer);
            }
            Ok(ServerMessage::Answer(answer)) => self.answered(now, answer, false),
            Ok(ServerMessage::Failure(failure))
                if failure.info_hash.is_none_or(|info_hash| info_hash == self.info_hash) =>
            {
                tracing::debug!(tracker = tracker.0, reason = failure.reason, "announce refused");
                let before = link.failure.take();
                let sent = link.refused(now, &failure);
                if let Some(reason) = link.failure.clone().filter(|_| link.failure != before) {
                    self.outputs.push_back(SignalingOutput::Refused(reason));
                }
                for offer in sent.into_iter().flat_map(|sent| sent.offers) {
                    self.take_back(now, offer);
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(tracker = tracker.0, %error, "tracker message skipped");
            }
        }
        self.advance(now);
    }

    /// The tracker's socket closed, or could not be opened.
    pub fn closed(&mut self, now: Instant, tracker: TrackerId) {
        if let Some(link) = self.links.get_mut(&tracker)
            && !matches!(link.socket, Socket::Closed { .. })
        {
            let unanswered = link.closed(now, &mut self.rng);
            for offer in unanswered.into_iter().flat_map(|sent| sent.offers) {
                self.take_back(now, offer);
            }
        }
        self.advance(now);
    }

    /// The offer of [`SignalingOutput::CreateOffer`] is gathered.
    pub fn offer_ready(&mut self, now: Instant, connection: ConnectionId, sdp: String) {
        if let Some(stage @ Stage::Gathering { .. }) = self.connections.get_mut(&connection) {
            let offer_id = OfferId(std::array::from_fn(|_| random_letter(&mut self.rng)));
            *stage = Stage::Ready { offer: Offer { offer_id, sdp }, since: now };
            self.gather_failures = 0;
        }
        self.advance(now);
    }

    /// The answer of [`SignalingOutput::CreateAnswer`] is gathered.
    pub fn answer_ready(&mut self, now: Instant, connection: ConnectionId, sdp: String) {
        if let Some(stage) = self.connections.get_mut(&connection)
            && let Stage::Answering { peer, via, offer_id, .. } = *stage
        {
            *stage = Stage::Connecting { peer, offered: false, until: now + CONNECT_TIMEOUT };
            match via {
                Via::Tracker(tracker) if self.links.get(&tracker).is_some_and(Link::is_open) => {
                    let (info_hash, peer_id) = (self.info_hash, self.peer_id);
                    let answer = Answer { info_hash, peer_id, to_peer_id: peer, offer_id, sdp };
                    let text = ClientMessage::Answer(answer).to_json();
                    self.outputs.push_back(SignalingOutput::Send(tracker, text));
                }
                // Nobody can forward the answer any more.
                Via::Tracker(_) => self.close(connection),
                Via::Peer(neighbour) => self.pass_on(neighbour, true, peer, offer_id, sdp),
            }
        }
        self.advance(now);
    }

    /// The connection is open.
    pub fn connection_opened(&mut self, now: Instant, connection: ConnectionId) {
        if let Some(stage) = self.connections.get_mut(&connection)
            && let Some(peer) = stage.peer()
        {
            *stage = Stage::Open { peer };
        }
        self.advance(now);
    }

    /// The connection has ended, whether it was still an offer or not, and whoever ended it.
    pub fn connection_closed(&mut self, now: Instant, connection: ConnectionId) {
        match self.forget(connection) {
            Some(Stage::Gathering { .. }) => self.gathering_failed(now),
            Some(Stage::Open { .. }) => {
                let alone = self.census(now).open == 0;
                for link in self.links.values_mut().filter(|link| link.is_open()) {
                    if alone {
                        link.hurry_afresh(now, &mut self.rng);
                    } else if link.offers_at.is_none() {
                        link.hurry(now, &mut self.rng);
                    }
                }
            }
            _ => {}
        }
        self.advance(now);
    }

    /// How many peers the swarm would like beyond those whose connection is open; those on their way
    /// are counted here. With 0, announces go on without offers, and offers of others are ignored.
    /// As many as come until this is called. A change shows in [`Signaling::poll_timeout`].
    pub fn set_wanted(&mut self, wanted: usize) {
        if wanted != self.wanted {
            let hungry = self.wanted == 0;
            self.wanted = wanted;
            for link in self.links.values_mut().filter(|link| hungry && link.is_open()) {
                link.offers_at = link.offers_at.or(Some(self.now));
            }
            if self.running {
                self.deadline = Some(self.now);
            }
        }
    }

    /// Whether an offer is there that a neighbour could pass on, to a peer that is wanted.
    #[must_use]
    pub fn may_introduce(&self, now: Instant) -> bool {
        let census = self.census(now);
        let underway = census.open + census.connecting + census.introducing;
        self.running
            && !self.is_gated()
            && census.ready > 0
            && census.introducing < MAX_INTRODUCING
            // Whom neighbours name may have come since the tracker was asked.
            && underway < self.enough(&census, self.others().max(underway + 1))
            && self.free(&census) > 0
    }

    /// Whether no tracker knows as many members as there have to be.
    fn is_gated(&self) -> bool {
        let enough = |link: &Link| link.swarm_size.is_some_and(|size| size >= self.min_viewers);
        self.min_viewers > 1 && !self.links.values().any(enough)
    }

    /// Members besides ourselves, as far as trackers tell.
    fn others(&self) -> usize {
        let most = self.links.values().filter_map(Link::others).max();
        most.map_or(FEW_PEERS, |others| others as usize)
    }

    /// Whether a peer needs no introduction: it is on its way, or not wanted.
    #[must_use]
    pub fn knows(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
            || self.shunned.contains(peer)
            || self
                .connections
                .values()
                .any(|stage| matches!(stage, Stage::Announced { to: Some(to), .. } if to == peer))
    }

    /// Whether there are members to whom neighbours can introduce us: then trackers are not asked ahead of their
    /// interval.
    pub const fn set_acquainted(&mut self, acquainted: bool) {
        self.acquainted = acquainted;
    }

    /// Makes a peer an offer, which this neighbour passes on.
    pub fn introduce(&mut self, now: Instant, neighbour: ConnectionId, to: PeerId) {
        let ready = self.connections.iter_mut().find_map(|(_, stage)| match stage {
            Stage::Ready { offer, since } => {
                let (offer, since) = (offer.clone(), *since);
                *stage = Stage::Announced { offer: offer.clone(), since, at: now, to: Some(to) };
                Some(offer)
            }
            _ => None,
        });
        if let Some(Offer { offer_id, sdp }) = ready {
            self.pass_on(neighbour, false, to, offer_id, sdp);
        }
        self.advance(now);
    }

    /// A neighbour has passed on an offer or an answer that is for us.
    pub fn introduction(&mut self, now: Instant, neighbour: ConnectionId, it: &Introduction) {
        let (info_hash, peer_id, offer_id) = (self.info_hash, it.from, OfferId(it.offer));
        // Text that is none is no description either: the browser would refuse it.
        if let (true, Ok(sdp)) = (self.running, String::from_utf8(it.sdp.to_vec())) {
            if it.answer {
                self.answered(now, AnswerRelay { info_hash, peer_id, offer_id, sdp }, true);
            } else if self.answering(neighbour) < MAX_INTRODUCING {
                let offer = OfferRelay { info_hash, peer_id, offer_id, sdp };
                self.offered(now, Via::Peer(neighbour), offer);
            }
        }
        self.advance(now);
    }

    /// From now on neither offers nor answers of this peer are taken. The last [`MAX_SHUNNED`] are remembered.
    pub fn shun(&mut self, peer: PeerId) {
        self.shunned.insert(peer);
        if self.shunned.len() > MAX_SHUNNED {
            self.shunned.pop_first();
        }
    }

    /// Totals for the next announce, in bytes.
    pub const fn update_totals(&mut self, downloaded: u64, uploaded: u64) {
        self.downloaded = downloaded;
        self.uploaded = uploaded;
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// When [`Signaling::handle_timeout`] has to be called next, unless something happens before.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// The next thing to be done.
    pub fn poll_output(&mut self) -> Option<SignalingOutput> {
        self.outputs.pop_front()
    }

    /// How the trackers are.
    #[must_use]
    pub fn status(&self) -> TrackerStatus {
        let mut status = TrackerStatus { gated: self.is_gated(), ..TrackerStatus::default() };
        for link in self.links.values() {
            status.reachable |= link.is_open();
            status.answered |= link.answered;
            status.swarm_size = status.swarm_size.max(link.swarm_size.unwrap_or(0));
            if status.failure.is_none() {
                status.failure.clone_from(&link.failure);
            }
        }
        status
    }

    fn responded(&mut self, now: Instant, tracker: TrackerId, response: &AnnounceResponse) {
        let Some(link) = self.links.get_mut(&tracker) else { return };
        if response.info_hash != self.info_hash {
            return;
        }
        let sent = link.responded(response);
        let others = link.others();
        if others == Some(0) {
            link.offers_at = None;
        } else if link.offers_at.is_none() {
            link.hurry(now, &mut self.rng);
        }
        // The first offers went to one member each; the rest nobody got.
        let handed_out = others.map_or(usize::MAX, |others| others as usize);
        for offer in sent.into_iter().flat_map(|sent| sent.offers).skip(handed_out) {
            self.take_back(now, offer);
        }
    }

    /// Connections that one neighbour has introduced, and that are not open yet.
    fn answering(&self, neighbour: ConnectionId) -> usize {
        let by_it = |stage: &&Stage| matches!(stage, Stage::Answering { via, .. } if *via == Via::Peer(neighbour));
        self.connections.values().filter(by_it).count()
    }

    fn pass_on(
        &mut self,
        neighbour: ConnectionId,
        answer: bool,
        to: PeerId,
        offer_id: OfferId,
        sdp: String,
    ) {
        let (from, offer, sdp) = (self.peer_id, offer_id.0, sdp.into());
        let it = Introduction { answer, from, to, offer, sdp };
        self.outputs.push_back(SignalingOutput::Introduce(neighbour, it));
    }

    fn offered(&mut self, now: Instant, via: Via, relay: OfferRelay) {
        let OfferRelay { info_hash, peer_id: peer, offer_id, sdp } = relay;
        if let Via::Tracker(tracker) = via
            && let Some(link) = self.links.get_mut(&tracker)
        {
            if now.since(link.relayed.1) >= RELAY_INTERVAL {
                link.relayed = (0, now);
            }
            link.relayed.0 += 1;
            if link.relayed.0 > MAX_RELAYED {
                return;
            }
        }
        if !is_plausible(&sdp)
            || info_hash != self.info_hash
            || peer == self.peer_id
            || self.shunned.contains(&peer)
            || self.peers.contains_key(&peer)
            || self.free(&self.census(now)) == 0
        {
            return;
        }
        if self.is_gated() {
            // Who makes offers has been told of enough members. We believe that of the tracker only.
            if let Via::Tracker(tracker) = via
                && let Some(link) = self.links.get_mut(&tracker)
            {
                link.ask_soon(now, &mut self.rng);
            }
            return;
        }
        let until = now + CONNECT_TIMEOUT;
        let connection = self.connect(Stage::Answering { peer, via, offer_id, until });
        self.peers.insert(peer, connection);
        if let Via::Tracker(tracker) = via
            && let Some(link) = self.links.get_mut(&tracker)
        {
            link.grown(self.peers.len());
        }
        self.outputs.push_back(SignalingOutput::CreateAnswer(connection, sdp));
        self.outputs.push_back(SignalingOutput::Introduced { connection, peer, offered: false });
    }

    /// An answer has come, by a tracker or (`passed_on`) by a neighbour: of the one whom that was to bring the offer.
    fn answered(&mut self, now: Instant, relay: AnswerRelay, passed_on: bool) {
        let peer = relay.peer_id;
        if relay.info_hash != self.info_hash || peer == self.peer_id || !is_plausible(&relay.sdp) {
            return;
        }
        let ours = self.connections.iter().find(|(_, stage)| match stage {
            Stage::Ready { offer, .. } | Stage::Announced { offer, to: None, .. } => {
                !passed_on && offer.offer_id == relay.offer_id
            }
            Stage::Announced { offer, to, .. } => {
                passed_on && offer.offer_id == relay.offer_id && *to == Some(peer)
            }
            _ => false,
        });
        let Some((&connection, _)) = ours else { return };
        if self.shunned.contains(&peer) {
            return self.close(connection);
        }
        if let Some(&other) = self.peers.get(&peer) {
            // Two connections to one peer: both sides keep the one that the smaller peer id offered,
            // unless one is open already or comes of another offer of ours.
            let theirs = match self.connections.get(&other) {
                Some(Stage::Answering { .. }) => true,
                Some(Stage::Connecting { offered, .. }) => !offered,
                _ => false,
            };
            if !theirs || peer < self.peer_id {
                return self.close(connection);
            }
            self.close(other);
        }
        if self.free(&self.census(now)) == 0 {
            return self.close(connection);
        }
        let until = now + CONNECT_TIMEOUT;
        self.connections.insert(connection, Stage::Connecting { peer, offered: true, until });
        self.peers.insert(peer, connection);
        self.outputs.push_back(SignalingOutput::AcceptAnswer(connection, relay.sdp));
        self.outputs.push_back(SignalingOutput::Introduced { connection, peer, offered: true });
    }

    /// Puts an offer that no one got back into the pool.
    fn take_back(&mut self, now: Instant, connection: ConnectionId) {
        if let Some(Stage::Announced { offer, since, to: None, .. }) =
            self.connections.get_mut(&connection)
            && *since + READY_LIFETIME > now
        {
            let offer_id = offer.offer_id;
            let offer = Offer { offer_id, sdp: std::mem::take(&mut offer.sdp) };
            let since = *since;
            self.connections.insert(connection, Stage::Ready { offer, since });
        }
    }

    /// Does what is due, then finds out when something will be.
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.running {
            self.expire(now);
            self.fill_pool(now);
            let ids: Vec<TrackerId> = self.links.keys().copied().collect();
            for id in ids {
                self.announce_if_due(now, id);
            }
        }
        self.deadline = self.running.then(|| self.next_deadline(now)).flatten();
    }

    fn expire(&mut self, now: Instant) {
        let mut gathering_failed = false;
        self.close_where(|stage| {
            let late = stage.deadline().is_some_and(|at| at <= now);
            gathering_failed |= late && matches!(stage, Stage::Gathering { .. });
            late
        });
        if gathering_failed {
            self.gathering_failed(now);
        }
        let mut unanswered = Vec::new();
        for (id, link) in &mut self.links {
            match link.due(now) {
                Due::Nothing => {}
                Due::Open => {
                    link.open(now);
                    self.outputs.push_back(SignalingOutput::Open(*id, link.url.clone()));
                }
                Due::Close => {
                    self.outputs.push_back(SignalingOutput::Close(*id));
                    let sent = link.closed(now, &mut self.rng);
                    unanswered.extend(sent.into_iter().flat_map(|sent| sent.offers));
                }
            }
        }
        for offer in unanswered {
            self.take_back(now, offer);
        }
    }

    fn fill_pool(&mut self, now: Instant) {
        if self.wanted == 0 || self.is_gated() {
            self.close_where(|stage| {
                matches!(stage, Stage::Gathering { .. } | Stage::Ready { .. })
            });
        }
        while now >= self.gather_at && self.pool_lacks(&self.census(now)) {
            let until = now + CONNECT_TIMEOUT;
            let connection = self.connect(Stage::Gathering { until });
            self.outputs.push_back(SignalingOutput::CreateOffer(connection));
        }
    }

    /// Whether another offer should be gathered now.
    fn pool_lacks(&self, census: &Census) -> bool {
        let outstanding = census.gathering + census.ready + census.announced;
        !self.links.is_empty()
            && !self.is_gated()
            && census.gathering < MAX_GATHERING
            && census.gathering + census.ready + census.fresh < self.offers.min(self.free(census))
            && outstanding < 2 * self.offers
    }

    fn announce_if_due(&mut self, now: Instant, id: TrackerId) {
        let census = self.census(now);
        let hunger = match self.links.get(&id) {
            Some(link) if link.is_open() => self.hunger(&census, link),
            _ => return,
        };
        let Some(link) = self.links.get_mut(&id) else { return };
        let mut due = link.next_announce <= now;
        if !due && link.offers_at.is_some_and(|at| at <= now) {
            match hunger {
                Hunger::No => link.offers_at = None,
                Hunger::Later => link.hurry_afresh(now, &mut self.rng),
                Hunger::Yes => due = self.pool_is_ready(now, &census),
            }
        }
        if due {
            self.announce(now, id);
        }
    }

    fn hunger(&self, census: &Census, link: &Link) -> Hunger {
        let others = link.others().map_or(FEW_PEERS, |others| others as usize);
        let enough = self.enough(census, others);
        if self.wanted == 0 || census.open >= enough {
            Hunger::No
        } else if self.acquainted || census.open + census.connecting + census.introducing >= enough
        {
            Hunger::Later
        } else {
            Hunger::Yes
        }
    }

    /// Connections that are looked for in a swarm of so many others: all of them, or else as many as leave room for those
    /// who come later and look for us. If nobody left room, those who came first would be a circle of their own.
    fn enough(&self, census: &Census, others: usize) -> usize {
        let others = others.saturating_sub(self.shunned.len());
        let room = census.open + self.wanted;
        if others <= room { others.min(FEW_PEERS) } else { FEW_PEERS.min(room * 2 / 5) }
    }

    /// Whether the ready offers should go now rather than wait for those that are still gathering.
    fn pool_is_ready(&self, now: Instant, census: &Census) -> bool {
        census.ready > 0
            && self.free(census) > 0
            && (census.gathering == 0
                || self.oldest_ready().is_some_and(|since| since + GATHER_PATIENCE <= now))
    }

    fn oldest_ready(&self) -> Option<Instant> {
        let ready = self.connections.values().filter_map(|stage| match stage {
            Stage::Ready { since, .. } => Some(*since),
            _ => None,
        });
        ready.min()
    }

    /// Announces with as many of the ready offers as there is room for peers.
    fn announce(&mut self, now: Instant, id: TrackerId) {
        let room = self.free(&self.census(now));
        let mut offers = Vec::new();
        let mut offered = Vec::new();
        for (connection, stage) in &mut self.connections {
            if offers.len() < room
                && let Stage::Ready { offer, since } = stage
            {
                offers.push(offer.clone());
                offered.push(*connection);
                *stage =
                    Stage::Announced { offer: offer.clone(), since: *since, at: now, to: None };
            }
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        let event = (!link.announced).then_some(AnnounceEvent::Started);
        link.sent(now, offered);
        self.send_announce(id, event, offers);
    }

    fn send_announce(&mut self, id: TrackerId, event: Option<AnnounceEvent>, offers: Vec<Offer>) {
        let announce = ClientMessage::Announce(Announce {
            info_hash: self.info_hash,
            peer_id: self.peer_id,
            uploaded: self.uploaded,
            downloaded: self.downloaded,
            // A stream is never complete, and a tracker may keep complete members from each other.
            left: Some(1),
            event,
            numwant: Some(offers.len() as u32),
            key: Some(self.key.clone()),
            token: self.token.clone(),
            offers,
        });
        self.outputs.push_back(SignalingOutput::Send(id, announce.to_json()));
    }

    fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let census = self.census(now);
        let mut next = self.links.values().filter_map(Link::deadline).min();
        let mut sooner = |at: Instant| next = Some(next.map_or(at, |next| next.min(at)));
        for stage in self.connections.values() {
            stage.deadline().into_iter().for_each(&mut sooner);
            if let Stage::Announced { at, .. } = stage
                && *at + OFFER_PATIENCE > now
            {
                sooner(*at + OFFER_PATIENCE);
            }
        }
        if self.pool_lacks(&census) {
            sooner(self.gather_at);
        }
        for link in self.links.values().filter(|link| link.is_open()) {
            match link.offers_at {
                Some(at) if at > now => sooner(at),
                // Due already, but the pool is not ready.
                Some(_) if census.gathering > 0 && self.free(&census) > 0 => {
                    self.oldest_ready()
                        .into_iter()
                        .for_each(|since| sooner(since + GATHER_PATIENCE));
                }
                _ => {}
            }
        }
        next
    }

    fn census(&self, now: Instant) -> Census {
        let mut census = Census::default();
        for stage in self.connections.values() {
            match stage {
                Stage::Gathering { .. } => census.gathering += 1,
                Stage::Ready { .. } => census.ready += 1,
                Stage::Announced { at, to, .. } => {
                    let fresh = usize::from(*at + OFFER_PATIENCE > now);
                    census.announced += 1;
                    census.fresh += fresh;
                    census.introducing += if to.is_some() { fresh } else { 0 };
                }
                Stage::Answering { .. } | Stage::Connecting { .. } => census.connecting += 1,
                Stage::Open { .. } => census.open += 1,
            }
        }
        census
    }

    /// How many more connections may be on their way.
    fn free(&self, census: &Census) -> usize {
        self.wanted.min(MAX_PENDING).saturating_sub(census.connecting)
    }

    fn connect(&mut self, stage: Stage) -> ConnectionId {
        let connection = ConnectionId(self.next_connection);
        self.next_connection = self.next_connection.wrapping_add(1);
        self.connections.insert(connection, stage);
        connection
    }

    fn gathering_failed(&mut self, now: Instant) {
        self.gather_at = now + backoff(self.gather_failures, &mut self.rng);
        self.gather_failures = self.gather_failures.saturating_add(1);
    }

    fn close_where(&mut self, mut which: impl FnMut(&Stage) -> bool) {
        let closed: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter_map(|(connection, stage)| which(stage).then_some(*connection))
            .collect();
        closed.into_iter().for_each(|connection| self.close(connection));
    }

    fn close(&mut self, connection: ConnectionId) {
        self.forget(connection);
        self.outputs.push_back(SignalingOutput::ClosePeer(connection));
    }

    fn forget(&mut self, connection: ConnectionId) -> Option<Stage> {
        let stage = self.connections.remove(&connection)?;
        if let Some(peer) = stage.peer()
            && self.peers.get(&peer) == Some(&connection)
        {
            self.peers.remove(&peer);
        }
        Some(stage)
    }
}

/// Whether a description is no more than one of a data channel: a browser would set up whatever it names.
fn is_plausible(sdp: &str) -> bool {
    let (mut media, mut candidates) = (0, 0);
    for line in sdp.split('\n') {
        media += usize::from(line.starts_with("m="));
        candidates += usize::from(line.starts_with("a=candidate"));
    }
    sdp.len() <= MAX_SDP_BYTES && media <= 1 && candidates <= MAX_CANDIDATES
}

/// Digits that cannot be told from what peers see of us.
fn secret(seed: u64) -> String {
    let mut text = String::new();
    push_hexadecimal(&mut text, &digest(&[b"potluck:key:", &seed.to_le_bytes()])[..16]);
    text
}

fn is_websocket_url(url: &str) -> bool {
    let after = |scheme: &str| {
        let (start, rest) = url.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    after("ws://").or_else(|| after("wss://")).is_some_and(|rest| !rest.is_empty())
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
