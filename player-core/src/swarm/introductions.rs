//! Introductions: peers tell whom they are connected to, and pass offers and answers on between two of their neighbours.
//! So a swarm outlives its tracker, and joining costs the tracker no more than the first contact
//! (`docs/introductions.md`).

use std::time::Duration;

use super::{Swarm, SwarmEvent};
use crate::io::ConnectionId;
use crate::ordered::{OrderedMap, retain};
use crate::time::Instant;
use crate::wire::{Capabilities, Introduction, MAX_MEMBERS, Message, PeerId};

/// New neighbours are gathered this long before the others are told.
const NEWS_INTERVAL: Duration = Duration::from_secs(5);
/// How often it is counted whom neighbours have told of.
const COUNT_INTERVAL: Duration = Duration::from_secs(2);
/// Offers of one neighbour, or by one, that are heeded in [`ALLOWANCE_INTERVAL`].
const ALLOWANCE: u32 = 16;
const ALLOWANCE_INTERVAL: Duration = Duration::from_secs(10);
/// Most offers passed on whose answers are waited for.
const MAX_PASSED_ON: usize = 256;
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// A peer that was made an offer is made another after this long at the soonest.
const RETRY: Duration = Duration::from_secs(30);
/// A neighbour that is newer is not given up for another.
const NEW: Duration = Duration::from_secs(5);
/// Most peers of whom it is remembered that they were made one.
const MAX_TRIED: usize = 256;

/// What is known for introductions.
#[derive(Debug, Default)]
pub(super) struct Introductions {
    /// Offers passed on: from whom, to whom, and when.
    passed_on: Vec<([u8; 20], PeerId, PeerId, Instant)>,
    tried: OrderedMap<PeerId, Instant>,
    /// Neighbours that the others have not been told of.
    fresh: Vec<PeerId>,
    told_at: Instant,
    /// How many members are known, this one included: neighbours, and those whom they name.
    pub(super) named: usize,
    counted_at: Instant,
}

impl Swarm {
    /// A new neighbour is told who else is here, and soon the others of it.
    pub(super) fn greet(&mut self, connection: ConnectionId) {
        let Some(peer) = self.peers.get(&connection).filter(|peer| peer.introduces()) else {
            return;
        };
        let fresh = &mut self.introductions.fresh;
        if let Some(id) = peer.id
            && fresh.len() < MAX_MEMBERS
        {
            fresh.push(id);
        }
        let mut peers = Vec::new();
        for (other, peer) in &self.peers {
            if *other != connection && peer.introduces() && peers.len() < MAX_MEMBERS {
                peers.extend_from_slice(peer.id.as_slice());
            }
        }
        if !peers.is_empty() {
            self.outbox.push_back((connection, Message::Members { peers }));
        }
    }

    /// Tells of new neighbours when it is time, and counts those whom neighbours have told of.
    pub(super) fn tell_members(&mut self, now: Instant) {
        if now.since(self.introductions.counted_at) >= COUNT_INTERVAL {
            let mut known = vec![self.own.peer_id.number()];
            for peer in self.peers.values().filter(|peer| peer.ready) {
                if let Some(id) = &peer.id {
                    known.push(id.number());
                }
                for id in peer.members.iter() {
                    known.push(id.number());
                }
            }
            known.sort_unstable();
            let mut last = None;
            self.introductions.named = 0;
            for id in known {
                self.introductions.named += usize::from(last.replace(id) != Some(id));
            }
            self.introductions.counted_at = now;
        }
        let of = &mut self.introductions;
        if of.fresh.is_empty() || now.since(of.told_at) < NEWS_INTERVAL {
            return;
        }
        of.told_at = now;
        let peers = std::mem::take(&mut of.fresh);
        let alone = (peers.len() == 1).then(|| peers[0]);
        let message = Message::Members { peers };
        for (connection, peer) in self.peers.iter().filter(|(_, peer)| peer.introduces()) {
            // Nobody need be told of itself.
            if alone.is_none() || peer.id != alone {
                self.outbox.push_back((*connection, message.clone()));
            }
        }
    }

    /// A neighbour tells who else is there.
    pub(super) fn members(&mut self, connection: ConnectionId, peers: Vec<PeerId>) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        for id in peers {
            peer.members.insert(id);
            if peer.members.len() > MAX_MEMBERS {
                peer.members.pop_first();
            }
        }
    }

    /// Somebody to be made an offer, and the neighbour that can pass it on. `known` are those who need none.
    pub(crate) fn acquaintance(
        &mut self,
        now: Instant,
        rng: &mut fastrand::Rng,
        known: impl Fn(&PeerId) -> bool,
    ) -> Option<(ConnectionId, PeerId)> {
        let tried = &self.introductions.tried;
        let own = self.own.peer_id;
        let able = |peer: &super::Peer| peer.introduces() && !peer.silent;
        let namers = |id: &PeerId| {
            self.peers.values().filter(|peer| able(peer) && peer.members.contains(id)).count()
        };
        // Whom few neighbours name is far away: that keeps the mesh from falling into circles of friends.
        let mut best: Option<((usize, u32), _, _)> = None;
        for (connection, peer) in &self.peers {
            if !able(peer) {
                continue;
            }
            for id in peer.members.iter() {
                if *id == own || known(id) || tried.get(id).is_some_and(|at| now.since(*at) < RETRY)
                {
                    continue;
                }
                let place = (namers(id), rng.u32(..));
                if best.is_none_or(|(least, ..)| place < least) {
                    best = Some((place, *connection, *id));
                }
            }
        }
        let (_, connection, id) = best?;
        let tried = &mut self.introductions.tried;
        if tried.insert(id, now).is_some() {
            // It did not answer: whoever is still connected to it will say so anew.
            self.peers.values_mut().for_each(|peer| _ = peer.members.remove(&id));
        }
        let tried = &mut self.introductions.tried;
        if tried.len() > MAX_TRIED {
            tried.retain(|_, at| now.since(*at) < RETRY);
            if tried.len() > MAX_TRIED {
                tried.pop_first();
            }
        }
        Some((connection, id))
    }

    /// Where there are more than `most` peers, the one that can best be spared: nothing is on its way from it or to it, it is
    /// neither of the quarter that gave most nor of the nearest quarter, and many of the others know it, so that the mesh stays
    /// mixed.
    #[inline(never)]
    pub(crate) fn one_too_many(
        &self,
        now: Instant,
        most: usize,
        rng: &mut fastrand::Rng,
    ) -> Option<ConnectionId> {
        if self.ready <= most {
            return None;
        }
        let quarter = self.peers.len() / 4;
        let distance = |peer: &super::Peer| (peer.rtt_ms() as u32).wrapping_sub(1);
        let mut best = None;
        for (connection, peer) in &self.peers {
            if !peer.ready || now.since(peer.opened_at) <= NEW {
                continue;
            }
            let busy = peer.requests().next().is_some()
                || peer.queued > 0
                || self.uploads.is_for(*connection);
            let (mut more, mut nearer, mut strangers) = (0, 0, usize::MAX);
            for other in self.peers.values() {
                more += usize::from(other.received_bytes >= peer.received_bytes);
                nearer += usize::from(distance(other) <= distance(peer));
                strangers -= usize::from(peer.id.is_some_and(|id| other.members.contains(&id)));
            }
            let good = more <= quarter || nearer <= quarter;
            let place = (busy, good, strangers, rng.u32(..), *connection);
            best = Some(best.map_or(place, |best| place.min(best)));
        }
        best.map(|(.., connection)| connection)
    }

    /// Sends an offer or an answer on its way.
    pub(crate) fn introduce(&mut self, via: ConnectionId, it: Introduction) {
        if self.peers.get(&via).is_some_and(|peer| peer.introduces()) {
            self.outbox.push_back((via, Message::Introduction(Box::new(it))));
        }
    }

    /// An offer or an answer has come: it is for us, or it is passed on. Each is passed on once: from whoever made it to
    /// a neighbour; and an answer only where its offer was.
    pub(super) fn introduction(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        it: Box<Introduction>,
    ) -> Vec<SwarmEvent> {
        let Some(peer) = self.peers.get_mut(&connection).filter(|peer| peer.introduces()) else {
            return Vec::new();
        };
        let sender = peer.id;
        if !it.answer && !peer.is_allowed(now) {
            return Vec::new();
        }
        if it.to == self.own.peer_id {
            return vec![SwarmEvent::Introduction(it)];
        }
        let target =
            self.peers.iter().find(|(_, peer)| peer.introduces() && peer.id == Some(it.to));
        let Some(target) = target.map(|(target, _)| *target) else { return Vec::new() };
        let passed_on = &mut self.introductions.passed_on;
        retain(passed_on, |(.., at)| now.since(*at) < ANSWER_TIMEOUT);
        let offer = passed_on.iter().position(|(offer, ..)| *offer == it.offer);
        match offer {
            _ if sender != Some(it.from) => return Vec::new(),
            Some(at) if it.answer && passed_on[at].1 == it.to && passed_on[at].2 == it.from => {
                passed_on.swap_remove(at);
            }
            None if !it.answer && passed_on.len() < MAX_PASSED_ON => {
                passed_on.push((it.offer, it.from, it.to, now));
            }
            _ => return Vec::new(),
        }
        self.outbox.push_back((target, Message::Introduction(it)));
        Vec::new()
    }
}

impl super::Peer {
    /// Whether it understands introductions, and has said who it is.
    fn introduces(&self) -> bool {
        self.ready && self.capabilities.contains(Capabilities::INTRODUCTIONS)
    }

    fn is_allowed(&mut self, now: Instant) -> bool {
        if now.since(self.offers.1) >= ALLOWANCE_INTERVAL {
            self.offers = (0, now);
        }
        self.offers.0 += 1;
        self.offers.0 <= ALLOWANCE
    }
}

#[cfg(test)]
#[path = "introductions_tests.rs"]
mod tests;
