//! Sharing: trackers, connections, and what peers say.
//!
//! A page that does not share need not download how to: the build cuts the engine in two (`SHARING` in
//! `xtask/src/parts.rs`). So what is called from outside of sharing is not inlined there, and is called only while
//! there is a swarm.

use std::time::Duration;

use bytes::Bytes;

use super::Player;
use super::load::Load;
use super::schedule::Want;
use crate::config::P2pMode;
use crate::error::PlayerError;
use crate::io::{ConnectionId, Event, Input, Output};
use crate::ordered::OrderedSet;
use crate::stats::{PeerState, Stats};
use crate::store::{Insert, Source};
use crate::swarm::{LAG, MAX_OPENERS, Swarm, SwarmEvent, info_hash, token_swarm};
use crate::text::random_letter;
use crate::time::Instant;
use crate::tracker::{Signaling, SignalingOutput};
use crate::wire::{Message, SegmentId};

/// How long the first answer of a tracker is waited for before the origin is asked for more than is urgent.
const TRACKER_PATIENCE: Duration = Duration::from_millis(2500);
/// How long connections to known peers are waited for.
const CONNECT_PATIENCE: Duration = Duration::from_secs(6);
/// After the first hello, news of what is held is waited for this long.
const SETTLE: Duration = Duration::from_millis(300);
/// A playlist that was loaded just now is not loaded again before on anybody's word.
const RELOAD_REST: Duration = Duration::from_secs(1);
/// Connections beyond the most, in exchange for others.
const EXCHANGED: usize = 2;
/// Until the first picture, or for so long, no more connections than this are begun: each is work for the page, and what comes
/// over them is not what the first picture waits for, except in a crowd, which larger swarms may become.
const FIRST_CONNECTIONS: usize = 3;
const FIRST_PICTURE: Duration = Duration::from_secs(1);
/// Others wait at random up to this before they reload a playlist that has grown.
const RELOAD_SPREAD_MS: u64 = 1000;

/// Whether there is anybody to share with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Discovery {
    /// Nobody: the origin has to bring everything.
    Alone,
    /// Not known yet: the origin is asked only for what is urgent.
    Pending,
    /// Peers are connected.
    Ready,
}

impl Player {
    /// Joins the swarm of what is being loaded, where there is a way to find it.
    pub(super) fn start_sharing(&mut self, now: Instant) {
        let ready = self.config.p2p != P2pMode::Off && !self.config.trackers.is_empty();
        if ready && self.swarm.is_none() && !self.title.url.is_empty() {
            self.join_swarm(now);
        }
    }

    #[inline(never)]
    fn join_swarm(&mut self, now: Instant) {
        let url = &self.title.url;
        let bare = &url[..url.find(['?', '#']).unwrap_or(url.len())];
        let hash = match &self.config.swarm_token {
            // A name that anybody can work out is no way out: the site wants a door.
            Some(token) => match token_swarm(token) {
                Some(hash) => hash,
                None if token.is_empty() => return,
                None => return self.warn(PlayerError::SwarmToken),
            },
            None => info_hash(self.config.swarm.as_deref().unwrap_or(bare)),
        };
        let seed = self.rng.u64(..);
        let mut signaling =
            Signaling::new(&self.config.trackers, hash, self.peer_id, self.config.offers, seed)
                .with_first_connection(self.next_connection)
                .with_min_viewers(self.config.min_viewers);
        signaling.set_token(now, self.config.swarm_token.clone());
        for url in signaling.bad_urls().to_vec() {
            self.warn(PlayerError::TrackerUrl { url });
        }
        self.sharing_since = now;
        self.answered_at = None;
        if !self.webrtc {
            return;
        }
        self.wanted_peers = self.config.max_peers;
        signaling.set_wanted(self.wanted_peers);
        signaling.start(now);
        let mut swarm = Swarm::new(hash, self.peer_id, self.gives());
        swarm.reputation = self.reputation.take().unwrap_or_default();
        swarm.set_upload_limit(self.config.upload_limit_bps);
        self.swarm = Some(swarm);
        self.signaling = Some(signaling);
        self.drain_signaling();
        self.renew_proofs(now);
    }

    /// Leaves the swarm.
    pub(super) fn stop_sharing(&mut self, now: Instant) {
        if self.signaling.is_some() {
            self.leave_swarm(now);
        }
    }

    #[inline(never)]
    fn leave_swarm(&mut self, now: Instant) {
        if let Some(mut swarm) = self.swarm.take() {
            let (uploaded, duplicate, rejected, control) = swarm.counters();
            self.stats.uploaded_bytes += uploaded;
            self.stats.duplicate_bytes += duplicate;
            self.stats.rejected_bytes += rejected;
            self.stats.control_bytes += control;
            self.reputation = Some(std::mem::take(&mut swarm.reputation));
            for (connection, ready) in swarm.connected_peers() {
                if ready {
                    self.outputs.push_back(Output::SendPeer(connection, Message::Goodbye));
                }
                self.outputs.push_back(Output::ClosePeer(connection));
            }
        }
        if let Some(mut signaling) = self.signaling.take() {
            signaling.stop(now);
            self.next_connection = signaling.next_connection();
            self.signaling = Some(signaling);
            self.drain_signaling();
            self.signaling = None;
        }
        // Who comes back is somebody new: nobody is to follow a viewer from swarm to swarm.
        for byte in &mut self.peer_id.0[8..] {
            *byte = random_letter(&mut self.rng);
        }
        self.introduced.clear();
        self.wanted_since.clear();
        self.overdue_since.clear();
        self.handovers.clear();
    }

    /// Goes on in the swarm if the token names the same one, else leaves it.
    #[inline(never)]
    pub(super) fn swarm_token_changed(&mut self, now: Instant, token: &Option<String>) {
        let same = token.as_deref().and_then(token_swarm);
        if same.is_some_and(|hash| self.signaling.as_ref().is_some_and(|it| it.info_hash() == hash))
        {
            self.signal(now, |signaling| signaling.set_token(now, token.clone()));
        } else {
            self.leave_swarm(now);
        }
    }

    pub(super) fn webrtc_unavailable(&mut self, now: Instant) {
        self.webrtc = false;
        self.stop_sharing(now);
    }

    /// What trackers, the makers of connections, and peers say; whether it may change what is fetched.
    #[inline(never)]
    pub(super) fn sharing_input(&mut self, now: Instant, input: Input) -> bool {
        match input {
            Input::TrackerOpened(tracker) => {
                self.signal(now, |signaling| signaling.opened(now, tracker));
            }
            Input::TrackerMessage(tracker, text) => {
                self.signal(now, |signaling| signaling.message(now, tracker, &text));
            }
            Input::TrackerClosed(tracker) => {
                self.signal(now, |signaling| signaling.closed(now, tracker));
            }
            Input::OfferReady { connection, sdp } => {
                self.signal(now, |signaling| signaling.offer_ready(now, connection, sdp));
            }
            Input::AnswerReady { connection, sdp } => {
                self.signal(now, |signaling| signaling.answer_ready(now, connection, sdp));
            }
            Input::PeerConnected(connection) => self.peer_connected(now, connection),
            Input::PeerFrame(connection, frame) => return self.peer_frame(now, connection, frame),
            Input::PeerMessage(connection, message) => {
                return self.peer_message(now, connection, message);
            }
            Input::PeerWritable(connection) => {
                if let Some(swarm) = &mut self.swarm {
                    swarm.writable(connection);
                }
                return false;
            }
            Input::PeerClosed(connection) => self.peer_closed(now, connection),
            _ => {}
        }
        true
    }

    /// Tells the trackers' client something, then does what it says.
    pub(super) fn signal(&mut self, now: Instant, tell: impl FnOnce(&mut Signaling)) {
        let Some(signaling) = &mut self.signaling else { return };
        tell(signaling);
        if self.answered_at.is_none() && signaling.status().answered {
            self.answered_at = Some(now);
        }
        self.drain_signaling();
    }

    fn peer_connected(&mut self, now: Instant, connection: ConnectionId) {
        self.signal(now, |signaling| signaling.connection_opened(now, connection));
        let introduced = self.introduced.get(&connection).copied();
        if let Some(swarm) = &mut self.swarm {
            if introduced.is_some_and(|peer| swarm.reputation.is_banned(&peer)) {
                return self.drop_peer(now, connection);
            }
            swarm.connected(now, connection, introduced);
        }
    }

    fn peer_closed(&mut self, now: Instant, connection: ConnectionId) {
        self.introduced.remove(&connection);
        if let Some(swarm) = &mut self.swarm {
            swarm.closed(now, connection);
        }
        self.signal(now, |signaling| signaling.connection_closed(now, connection));
    }

    /// A frame from a peer; whether it may change what is fetched.
    fn peer_frame(&mut self, now: Instant, connection: ConnectionId, frame: Bytes) -> bool {
        let len = frame.len();
        match Message::decode(frame) {
            Ok(message) => self.peer_message(now, connection, message),
            Err(error) => {
                tracing::debug!(%error, "peer broke the protocol");
                if let Some(swarm) = &mut self.swarm {
                    swarm.refused(len);
                    swarm.offended(now, connection);
                }
                self.drop_peer(now, connection);
                true
            }
        }
    }

    /// A message from a peer; whether it may change what is fetched.
    fn peer_message(&mut self, now: Instant, connection: ConnectionId, message: Message) -> bool {
        let Some(swarm) = &mut self.swarm else { return false };
        if let Message::Piece { data, .. } = &message {
            self.line.received(now, data.len());
            self.bandwidth.received_beside(data.len());
        }
        let events = swarm.message(now, connection, message, &self.store);
        // What is said often is dealt with here, or sets a timer.
        let dealt =
            |event: &SwarmEvent| matches!(event, SwarmEvent::Offer(_) | SwarmEvent::Edge { .. });
        let plan = !events.iter().all(dealt);
        for event in events {
            match event {
                SwarmEvent::Block { segment, block, data } => {
                    self.peer_block(now, connection, segment, block, data)
                }
                SwarmEvent::List { segment, hashes } => {
                    self.list_come(now, connection, segment, &hashes);
                }
                SwarmEvent::Handover { segment, size, blocks } => {
                    self.handed_over(now, segment, size, blocks);
                }
                SwarmEvent::Edge { segment, holder } => self.edge_seen(now, segment, Some(holder)),
                SwarmEvent::Offer(segment) => self.ask_at_once(now, segment),
                SwarmEvent::Introduction(it) => {
                    self.signal(now, |signaling| signaling.introduction(now, connection, &it));
                }
                SwarmEvent::Changed => {}
                SwarmEvent::Close => self.drop_peer(now, connection),
            }
        }
        plan
    }

    /// A peer has blocks of this segment that it had not before, and can be asked for one. There is much such news, and
    /// nothing else hangs on it that could not wait until the plan is looked at again.
    fn ask_at_once(&mut self, now: Instant, segment: SegmentId) {
        let want = self.missing.iter().find(|want| want.id == segment).copied();
        if let Some(want) = want
            && (want.first || self.discovery(now) == Discovery::Ready)
        {
            self.ask_peers(now, &want);
        }
    }

    /// Time-outs of swarm and trackers, uploads, and everything that is to be sent.
    #[inline(never)]
    pub(super) fn run_sharing(&mut self, now: Instant) {
        if let Some(swarm) = &mut self.swarm {
            for connection in swarm.tick(now, &self.store) {
                self.drop_peer(now, connection);
            }
        }
        let wanted = self.wanted_connections(now);
        let totals =
            (self.stats.peer_bytes, self.swarm.as_ref().map_or(0, |swarm| swarm.counters().0));
        let changed = std::mem::replace(&mut self.wanted_peers, wanted) != wanted;
        let due = |signaling: &Signaling| signaling.poll_timeout().is_some_and(|at| at <= now);
        if changed || self.signaling.as_ref().is_some_and(due) {
            self.signal(now, |signaling| {
                signaling.set_wanted(wanted);
                signaling.update_totals(totals.0, totals.1);
                signaling.handle_timeout(now);
            });
        }
        self.run_introductions(now);
        let status = self.signaling.as_ref().map(Signaling::status).unwrap_or_default();
        let short = self.rebuffering_since.is_some();
        let gives = self.gives();
        let Some(swarm) = &mut self.swarm else { return };
        swarm.set_size(status.swarm_size as usize, status.estimate as usize);
        swarm.set_short(short);
        let sent = swarm.upload(now, &self.store, &self.config);
        if let Some(left) = &mut self.config.upload_budget_bytes {
            *left = left.saturating_sub(sent);
        }
        swarm.set_upload(gives);
        while let Some((connection, message)) = swarm.poll_message() {
            self.outputs.push_back(Output::SendPeer(connection, message));
        }
    }

    /// How many connections more than now are taken. Whoever has enough of them in a swarm that is larger still takes those
    /// who come, and gives up others.
    fn wanted_connections(&mut self, now: Instant) -> usize {
        let most = self.config.max_peers;
        let Some(swarm) = &mut self.swarm else { return most };
        if let Some(connection) = swarm.one_too_many(now, most, &mut self.rng) {
            self.drop_peer(now, connection);
        }
        let Some(swarm) = &self.swarm else { return most };
        let exchanged = if swarm.size() > most + 1 { EXCHANGED } else { 0 };
        let wanted = (most + exchanged).saturating_sub(swarm.connections());
        let busy = !self.started && now.since(self.sharing_since) < FIRST_PICTURE;
        if busy && !self.is_among_many() { wanted.min(FIRST_CONNECTIONS) } else { wanted }
    }

    /// Has neighbours introduce this viewer to members that it is not connected to.
    fn run_introductions(&mut self, now: Instant) {
        loop {
            let (Some(swarm), Some(signaling)) = (&mut self.swarm, &mut self.signaling) else {
                return;
            };
            if !signaling.may_introduce(now) {
                return;
            }
            let known = |peer: &_| signaling.knows(peer);
            let found = swarm.acquaintance(now, &mut self.rng, known);
            signaling.set_acquainted(found.is_some());
            let Some((neighbour, peer)) = found else { return };
            self.signal(now, |signaling| signaling.introduce(now, neighbour, peer));
        }
    }

    /// When [`Player::run_sharing`] has something to do.
    #[inline(never)]
    pub(super) fn sharing_timeout(&self) -> Option<Instant> {
        let signaling = self.signaling.as_ref().and_then(Signaling::poll_timeout);
        let swarm = self.swarm.as_ref().and_then(Swarm::poll_timeout);
        [signaling, swarm].into_iter().flatten().min()
    }

    /// What the swarm and the trackers' client have counted.
    #[inline(never)]
    pub(super) fn report_sharing(&self, stats: &mut Stats) {
        if let Some(swarm) = &self.swarm {
            let (uploaded, duplicate, rejected, control) = swarm.counters();
            stats.uploaded_bytes += uploaded;
            stats.duplicate_bytes += duplicate;
            stats.rejected_bytes += rejected;
            stats.control_bytes += control;
            stats.peers = swarm.peer_stats();
            stats.upload_state = if self.config.p2p == P2pMode::DownloadOnly {
                "download-only"
            } else if !self.gives() {
                "budget"
            } else if swarm.gives() {
                "on"
            } else {
                "slow"
            };
            stats.verified = self.verification();
            for peer in swarm.reputation.banned() {
                stats.banned_peers.push(peer.short_name());
            }
        }
        if let Some(status) = self.signaling.as_ref().map(Signaling::status) {
            stats.tracker_failure = status.failure;
            stats.swarm_size = status.swarm_size;
        }
    }

    /// Forgets since when what is no longer missing was waited for.
    #[inline(never)]
    pub(super) fn forget_unwanted(&mut self, wants: &[Want]) {
        let mut current = OrderedSet::new();
        for want in wants {
            current.insert(want.id);
        }
        self.wanted_since.retain(|id, _| current.contains(id));
        self.spreading.retain(|id, _| current.contains(id));
        self.overdue_since.retain(|id, _| current.contains(id));
    }

    /// Whether there is anybody to share with, now or soon.
    #[inline(never)]
    pub(super) fn discovery(&self, now: Instant) -> Discovery {
        let (Some(swarm), Some(signaling)) = (&self.swarm, &self.signaling) else {
            return Discovery::Alone;
        };
        if let Some(since) = swarm.ready_since() {
            return if now.since(since) >= SETTLE { Discovery::Ready } else { Discovery::Pending };
        }
        let status = signaling.status();
        let Some(answered) = self.answered_at else {
            let hopeless = self.config.trackers.len() == signaling.bad_urls().len()
                || status.failure.is_some();
            let patient = !hopeless && now.since(self.sharing_since) < TRACKER_PATIENCE;
            return if patient { Discovery::Pending } else { Discovery::Alone };
        };
        let since = swarm.lost_at().map_or(answered, |lost| lost.max(answered));
        if status.swarm_size > 1 && !status.gated && now.since(since) < CONNECT_PATIENCE {
            return Discovery::Pending;
        }
        Discovery::Alone
    }

    /// Why there are no peers, or that there are.
    pub(super) fn peer_state(&self) -> PeerState {
        if self.config.p2p == P2pMode::Off {
            return PeerState::Off;
        }
        if !self.webrtc {
            return PeerState::WebRtcUnavailable;
        }
        if self.config.trackers.is_empty() {
            return PeerState::NoTracker;
        }
        if self.signaling.is_some() { self.swarm_state() } else { PeerState::Off }
    }

    #[inline(never)]
    fn swarm_state(&self) -> PeerState {
        let (Some(swarm), Some(signaling)) = (&self.swarm, &self.signaling) else {
            return PeerState::Off;
        };
        if swarm.ready_peers() > 0 {
            return PeerState::Connected;
        }
        let status = signaling.status();
        if self.config.trackers.len() == signaling.bad_urls().len() {
            PeerState::NoTracker
        } else if status.failure.is_some() {
            PeerState::TrackerRefused
        } else if !status.reachable {
            PeerState::TrackerUnreachable
        } else if status.answered && status.swarm_size <= 1 {
            PeerState::Alone
        } else if status.answered && status.gated {
            PeerState::Few
        } else {
            PeerState::Connecting
        }
    }

    fn drain_signaling(&mut self) {
        let Some(signaling) = &mut self.signaling else { return };
        while let Some(output) = signaling.poll_output() {
            let output = match output {
                SignalingOutput::Open(tracker, url) => Output::OpenTracker(tracker, url),
                SignalingOutput::Send(tracker, text) => Output::SendTracker(tracker, text),
                SignalingOutput::Close(tracker) => Output::CloseTracker(tracker),
                SignalingOutput::CreateOffer(connection) => Output::CreateOffer(connection),
                SignalingOutput::CreateAnswer(connection, sdp) => {
                    Output::CreateAnswer(connection, sdp)
                }
                SignalingOutput::AcceptAnswer(connection, sdp) => {
                    Output::AcceptAnswer(connection, sdp)
                }
                SignalingOutput::ClosePeer(connection) => Output::ClosePeer(connection),
                SignalingOutput::Refused(reason) => {
                    let error = PlayerError::TrackerRefused { reason };
                    Output::Event(Event::Error { error, fatal: false })
                }
                SignalingOutput::Introduce(neighbour, it) => {
                    if let Some(swarm) = &mut self.swarm {
                        swarm.introduce(neighbour, it);
                    }
                    continue;
                }
                SignalingOutput::Introduced { connection, peer, .. } => {
                    self.introduced.insert(connection, peer);
                    continue;
                }
            };
            self.outputs.push_back(output);
        }
    }

    pub(super) fn drop_peer(&mut self, now: Instant, connection: ConnectionId) {
        let introduced = self.introduced.get(&connection).copied();
        if let (Some(swarm), Some(signaling)) = (&self.swarm, &mut self.signaling)
            && let Some(peer) = swarm.peer_id(connection).or(introduced)
            && swarm.reputation.is_banned(&peer)
        {
            signaling.shun(peer);
        }
        self.outputs.push_back(Output::ClosePeer(connection));
        self.peer_closed(now, connection);
    }

    fn peer_block(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        segment: SegmentId,
        block: u16,
        data: Bytes,
    ) {
        let len = data.len();
        let Some(swarm) = &mut self.swarm else { return };
        let outcome = self.store.insert(segment, block, data, Source::Peer(connection));
        match outcome {
            Insert::Added => {
                self.stats.peer_bytes += len as u64;
                self.inspect(now, connection, segment, block);
                if self.store.segment(segment).is_some_and(|stored| stored.good.has(block))
                    && let Some(swarm) = &mut self.swarm
                {
                    swarm.reputation.redeem(connection);
                }
            }
            Insert::Duplicate | Insert::Refused => swarm.count_duplicate(len),
            Insert::Disputed(at) => {
                swarm.count_duplicate(len);
                self.dispute(now, connection, segment, at);
            }
            Insert::Bad(_) => {}
        }
        self.outcome(now, segment, outcome, len);
        if !self.store.is_complete(segment) {
            return;
        }
        self.segment_came(segment);
        self.cancel_requests(now, segment);
    }

    /// A live playlist is said to reach further than it is known here.
    pub(super) fn edge_seen(&mut self, now: Instant, segment: SegmentId, holder: Option<bool>) {
        if self.load != Load::Playing {
            return;
        }
        let Some(index) = self.title.lists.iter().position(|list| list.id == segment.rendition)
        else {
            return;
        };
        let list = &self.title.lists[index];
        let Some(newest) = list.playlist.as_ref().and_then(|playlist| playlist.segments.last())
        else {
            return;
        };
        // What is far ahead is another stream, or a lie.
        if segment.sequence <= newest.sequence || segment.sequence > newest.sequence + 64 {
            return;
        }
        let playhead = newest.sequence.min(segment.sequence);
        let rested = list.requested_at + RELOAD_REST;
        let Some(swarm) = &mut self.swarm else { return };
        swarm.relay_edge(segment);
        let soon = swarm.turn(segment, playhead, LAG) < Duration::from_millis(RELOAD_SPREAD_MS);
        let opens = swarm.opens(segment, MAX_OPENERS);
        let wait = match holder {
            Some(holder) if !opens && (holder || !soon) => self.rng.u64(..RELOAD_SPREAD_MS),
            _ => 0,
        };
        let at = (now + Duration::from_millis(wait)).max(rested);
        self.reload_by(index, at);
        self.wake_at(at);
    }
}

#[cfg(test)]
#[path = "share_tests.rs"]
mod tests;
