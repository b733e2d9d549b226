//! Offers and answers: ours that are passed on, others' that come, by trackers and by neighbours.

use super::pool::{FEW_PEERS, SPARE};
use super::stage::{CONNECT_TIMEOUT, READY_LIFETIME, Stage, Via};
use super::{Signaling, SignalingOutput};
use crate::io::ConnectionId;
use crate::time::Instant;
use crate::tracker::binary::OfferId;
use crate::tracker::message::{AnswerRelay, Offer, OfferRelay};
use crate::wire::{Introduction, MAX_SDP_BYTES, PeerId};

/// Most offers that neighbours pass on for us at the same time, and most of others that one neighbour brings us.
pub(super) const MAX_INTRODUCING: usize = 6;
/// Offers that one tracker brings us in 10 s and that are heeded: each costs a connection.
pub(super) const MAX_RELAYED: u32 = 64;
/// Most candidates in a description: a browser sends packets to each of them.
const MAX_CANDIDATES: usize = 64;
/// Most peers that are shunned.
pub(super) const MAX_SHUNNED: usize = 256;

impl Signaling {
    /// Whether an offer is there that a neighbour could pass on, to a peer that is wanted.
    #[must_use]
    pub fn may_introduce(&self, now: Instant) -> bool {
        // Nobody looks for more, and this is asked with each message.
        if self.peers.len() >= FEW_PEERS {
            return false;
        }
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

    /// Makes a peer an offer, which this neighbour passes on.
    pub fn introduce(&mut self, now: Instant, neighbour: ConnectionId, to: PeerId) {
        let mut ready = None;
        for stage in self.connections.values_mut() {
            if let (None, Stage::Ready { offer, since }) = (&ready, &*stage) {
                let (offer, since) = (offer.clone(), *since);
                *stage = Stage::Announced { offer: offer.clone(), since, at: now, to: Some(to) };
                ready = Some(offer);
            }
        }
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

    /// Connections that one neighbour has introduced, and that are not open yet.
    fn answering(&self, neighbour: ConnectionId) -> usize {
        let by_it = |stage: &&Stage| matches!(stage, Stage::Answering { via, .. } if *via == Via::Peer(neighbour));
        self.connections.values().filter(by_it).count()
    }

    pub(super) fn pass_on(
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

    pub(super) fn offered(&mut self, now: Instant, via: Via, relay: OfferRelay) {
        let OfferRelay { info_hash, peer_id: peer, offer_id, sdp } = relay;
        if let Via::Tracker(tracker) = via
            && let Some(link) = self.links.get_mut(&tracker)
            && (link.brought_offer(now) > MAX_RELAYED
                || offer_id.0[0] == SPARE && link.is_settled(now))
        {
            return;
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
    pub(super) fn answered(&mut self, now: Instant, relay: AnswerRelay, passed_on: bool) {
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
        let Some(&(connection, _)) = ours else { return };
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

    /// Puts offers that no one got back into the pool.
    pub(super) fn take_back(&mut self, now: Instant, offers: &[ConnectionId]) {
        for connection in offers {
            if let Some(stage) = self.connections.get_mut(connection)
                && let Stage::Announced { offer, since, to: None, .. } = stage
                && *since + READY_LIFETIME > now
            {
                let offer_id = offer.offer_id;
                let offer = Offer { offer_id, sdp: std::mem::take(&mut offer.sdp) };
                *stage = Stage::Ready { offer, since: *since };
            }
        }
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
