//! Hash lists: asked of peers, and given to them.

use std::time::Duration;

use bytes::Bytes;

use super::{Swarm, SwarmEvent};
use crate::io::ConnectionId;
use crate::store::Store;
use crate::time::Instant;
use crate::wire::{Capabilities, Message, PeerId, SegmentId};

/// A list that has not come by then is asked of another peer.
const LIST_PATIENCE: Duration = Duration::from_millis(1000);
/// Most lists that are waited for.
const MAX_ASKED: usize = 256;
/// Bytes of lists that one peer is given in a second, and one list more.
const MAX_LISTS: usize = 64 << 10;
/// A peer whose block was wrong is asked nothing for this long: long enough to ask others, short enough that a liar shows
/// soon that it is one.
const PENALTY: Duration = Duration::from_millis(1000);

impl Swarm {
    /// Asks some peer that holds part of a segment for the hashes of its blocks, unless one was asked just now.
    pub(crate) fn request_list(
        &mut self,
        now: Instant,
        segment: SegmentId,
        tag: u32,
        rng: &mut fastrand::Rng,
    ) {
        if self.asked_lists.get(&segment).is_some_and(|(_, at)| now.since(*at) < LIST_PATIENCE) {
            return;
        }
        let both = Capabilities::UPLOAD.with(Capabilities::HASH_LISTS);
        // One that lets others wait, or has sent wrong bytes, is not asked again while there are others.
        let before = self.asked_lists.get(&segment).map(|(connection, _)| *connection);
        let mut best = None;
        for (connection, peer) in &self.peers {
            if peer.ready
                && peer.capabilities.contains(both)
                && peer.segment(segment, tag).is_some()
            {
                let last = peer.slow_until > now;
                let place = (last, Some(*connection) == before, rng.u32(..), *connection);
                best = Some(best.map_or(place, |best| place.min(best)));
            }
        }
        let Some((.., connection)) = best else { return };
        // Whoever shows blocks has the list.
        if let Some(before) = before.and_then(|before| self.peers.get_mut(&before)) {
            before.fail(now, PENALTY);
        }
        self.outbox.push_back((connection, Message::ListRequest { segment }));
        self.asked_lists.insert(segment, (connection, now));
        if self.asked_lists.len() > MAX_ASKED {
            self.asked_lists.pop_first();
        }
    }

    /// A peer asks for a list. One that asks for too many in a second is not answered.
    pub(super) fn answer_list(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        segment: SegmentId,
        store: &Store,
    ) {
        let (Some(peer), Some(list)) = (
            self.peers.get_mut(&connection),
            store.segment(segment).and_then(|stored| stored.list()),
        ) else {
            return;
        };
        if now.since(peer.lists.1) >= Duration::from_secs(1) {
            peer.lists = (0, now);
        }
        if peer.lists.0 > MAX_LISTS {
            return;
        }
        let hashes = Bytes::from(list.concat());
        peer.lists.0 += hashes.len();
        self.outbox.push_back((connection, Message::HashList { segment, hashes }));
    }

    /// A list has come. Only what was asked for counts.
    pub(super) fn list(
        &mut self,
        connection: ConnectionId,
        segment: SegmentId,
        hashes: Bytes,
    ) -> Vec<SwarmEvent> {
        let asked = self.asked_lists.get(&segment).is_some_and(|(of, _)| *of == connection);
        if !asked {
            self.refused(hashes.len());
            return Vec::new();
        }
        self.asked_lists.remove(&segment);
        vec![SwarmEvent::List { segment, hashes }]
    }

    /// Whether this connection is open.
    pub(crate) fn has(&self, connection: ConnectionId) -> bool {
        self.peers.contains_key(&connection)
    }

    /// Who is at the other end, once it is known.
    pub(crate) fn peer_id(&self, connection: ConnectionId) -> Option<PeerId> {
        self.peers.get(&connection)?.id
    }

    /// Whether no block of a peer has been compared with the origin's yet.
    pub(crate) fn is_new(&self, connection: ConnectionId) -> bool {
        self.peers.get(&connection).is_some_and(|peer| peer.checks_passed == 0)
    }

    /// A block of a new peer is compared with the origin's, or has been.
    pub(crate) fn set_on_trial(&mut self, connection: ConnectionId, on_trial: bool) {
        if let Some(peer) = self.peers.get_mut(&connection) {
            peer.on_trial = on_trial;
        }
    }

    /// A peer's block was what the origin has.
    pub(crate) fn check_passed(&mut self, connection: ConnectionId) {
        if let Some(peer) = self.peers.get_mut(&connection) {
            peer.checks_passed += 1;
        }
    }

    /// A peer sent wrong bytes: it is asked for nothing for a while, or it is banned. Whether it is.
    pub(crate) fn offend(&mut self, now: Instant, connection: ConnectionId, weight: u32) -> bool {
        if let Some(peer) = self.peers.get_mut(&connection) {
            peer.slow_until = peer.slow_until.max(now + PENALTY);
            peer.full = false;
            peer.suspect = true;
        }
        self.reputation.offend(now, connection, weight)
    }
}
