//! The client side of all trackers of one session: announces, offers and answers.
//!
//! A tracker hands each offer of an announce to one other member that is there already, and forwards
//! the answer. So newcomers' offers reach the incumbents, and an incumbent alone has nothing to hand out.
//! Offers cost a browser a connection each: they are gathered a few at a time, kept in a pool, and taken
//! back when a response shows that nobody was there to get them.

mod offers;
mod pool;
mod stage;

use super::binary::OfferId;
use super::link::{Link, Socket};
use super::message::{AnnounceEvent, AnnounceResponse, Answer, Offer, ServerMessage};
use crate::io::{ConnectionId, TrackerId};
use crate::ordered::{OrderedMap, OrderedSet};
use crate::proof::{digest, push_hexadecimal};
use crate::queue::Queue;
use crate::text::random_letter;
use crate::time::Instant;
use crate::wire::{InfoHash, Introduction, PeerId};
use stage::{CONNECT_TIMEOUT, Stage, Via};

/// Most trackers, and most connections in any one stage before they are open.
const MAX_PENDING: usize = 64;

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
    /// The same by now, by offers that have come since.
    pub estimate: u32,
    /// Many of them have said that the origin is overrun: see [`Signaling::set_overrun`].
    pub overrun: bool,
    /// The swarm is too small to make connections: see [`Signaling::with_min_viewers`].
    pub gated: bool,
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
    overrun: bool,
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
            overrun: false,
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
        for connection in self.connections() {
            if !matches!(self.connections.get(&connection), Some(Stage::Open { .. })) {
                self.close(connection);
            }
        }
        self.advance(now);
    }

    /// The tracker's socket is open.
    pub fn opened(&mut self, now: Instant, tracker: TrackerId) {
        let gathering = self.census(now).gathering > 0;
        if let Some(link) = self.links.get_mut(&tracker)
            && matches!(link.socket, Socket::Opening { .. })
        {
            link.opened(now, gathering);
        }
        self.advance(now);
    }

    /// A text from the tracker. What cannot be read is skipped.
    pub fn message(&mut self, now: Instant, tracker: TrackerId, text: &str) {
        let Some(link) = self.links.get_mut(&tracker).filter(|link| link.is_open()) else { return };
        link.heard(now);
        match ServerMessage::of_announce(text) {
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
                self.take_back(now, &sent);
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
            self.take_back(now, &unanswered);
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
                    let text = answer.to_json();
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

    /// Whether no tracker knows as many members as there have to be.
    fn is_gated(&self) -> bool {
        let enough = |link: &Link| link.swarm_size.is_some_and(|size| size >= self.min_viewers);
        self.min_viewers > 1 && !self.links.values().any(enough)
    }

    /// Whether there are members to whom neighbours can introduce us: then trackers are not asked ahead of their
    /// interval.
    pub const fn set_acquainted(&mut self, acquainted: bool) {
        self.acquainted = acquainted;
    }

    /// Totals for the next announce, in bytes.
    pub const fn update_totals(&mut self, downloaded: u64, uploaded: u64) {
        self.downloaded = downloaded;
        self.uploaded = uploaded;
    }

    /// Whether the origin brings less than this viewer needs. Trackers are told at once when it does, and with the next
    /// announce when it no longer does, by what they pass on to whoever comes: members like this one count as complete.
    pub fn set_overrun(&mut self, now: Instant, overrun: bool) {
        if overrun == self.overrun {
            return;
        }
        self.overrun = overrun;
        for link in self.links.values_mut().filter(|link| overrun && link.announced) {
            link.next_announce = now;
        }
        self.advance(now);
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
            status.answered |= link.answered_at.is_some();
            status.swarm_size = status.swarm_size.max(link.swarm_size.unwrap_or(0));
            status.estimate = status.estimate.max(link.estimate());
            status.overrun |= link.overrun;
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
        let sent = link.responded(now, response);
        let others = link.others();
        if others == Some(0) {
            link.offers_at = None;
        } else if link.offers_at.is_none() {
            link.hurry(now, &mut self.rng);
        }
        // The first offers went to one member each; the rest nobody got.
        let handed_out = others.map_or(usize::MAX, |others| others as usize);
        self.take_back(now, sent.get(handed_out..).unwrap_or_default());
    }

    fn connect(&mut self, stage: Stage) -> ConnectionId {
        let connection = ConnectionId(self.next_connection);
        self.next_connection = self.next_connection.wrapping_add(1);
        self.connections.insert(connection, stage);
        connection
    }

    fn connections(&self) -> Vec<ConnectionId> {
        self.connections.keys().copied().collect()
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
