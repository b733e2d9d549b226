//! What is told from peer to peer: that a live playlist has grown, and who fetches a segment. Where everybody is connected one
//! step is enough. Elsewhere each who hears it first passes it on to a few, so that all hear it after a few steps.

use std::ops::Range;

use super::election::{self, LAG};
use super::{Swarm, SwarmEvent};
use crate::io::ConnectionId;
use crate::store::StoredSegment;
use crate::time::Instant;
use crate::wire::{Capabilities, Message, SegmentId};

/// To how many peers a claim or an edge is passed on: one in e^8 is told by none of its peers, and sees it by their news.
const RELAYS: usize = 8;
/// To how many peers what is still to come of a segment is left at most, and how soon one of them has to show it.
const HEIRS: usize = 6;
/// By how much a claim is longer at most, in ms, the lower the number that its viewer drew: where two who are far from each
/// other claim a segment, the longer claim is the stronger one.
const STRENGTH: f64 = 1000.0;
/// What a claim counts that is to be passed on, in bytes of what a peer may say: it goes out to everybody.
const RELAY_BYTES: usize = 32 << 10;

impl Swarm {
    /// A peer says that it fetches a segment, or passes on that somebody does.
    pub(super) fn heard_claim(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        segment: SegmentId,
        ttl_ms: u32,
    ) -> Vec<SwarmEvent> {
        let news = ttl_ms > self.strongest_claim(now, segment);
        let own = self.claims.get(&segment).copied().unwrap_or(0);
        let afar = !self.is_full_mesh() && ttl_ms > own;
        let Some(peer) = self.peers.get_mut(&connection) else { return Vec::new() };
        let news = peer.claim(now, segment, ttl_ms) && news;
        if news && afar {
            if !peer.may_say(now, RELAY_BYTES) {
                return self.offended(now, connection);
            }
            self.relay(segment, Some((now, ttl_ms)));
        }
        let mut events = vec![SwarmEvent::Edge { segment, holder: true }];
        // Most claims come again and again, from all who pass them on.
        if news || ttl_ms == 0 {
            events.push(SwarmEvent::Changed);
        }
        events
    }

    /// How long the strongest of others' claims on a segment holds, in ms; 0 when there is none.
    pub(super) fn strongest_claim(&self, now: Instant, segment: SegmentId) -> u32 {
        self.claimed(now, segment).map_or(0, |(ttl_ms, _)| ttl_ms)
    }

    /// Whether this one has claimed a segment, and has heard of no stronger claim.
    pub(crate) fn leads(&self, now: Instant, segment: SegmentId) -> bool {
        self.claims.get(&segment).is_some_and(|own| *own >= self.strongest_claim(now, segment))
    }

    /// Tells peers that this segment is fetched from the origin now (`ttl_ms` 0: not any more).
    #[inline(never)]
    pub(crate) fn claim(&mut self, segment: SegmentId, ttl_ms: u32) {
        if !self.own.capabilities.contains(Capabilities::UPLOAD) {
            return;
        }
        if ttl_ms == 0 {
            if self.claims.remove(&segment).is_none() {
                return;
            }
        } else {
            self.claims.insert(segment, ttl_ms);
        }
        self.broadcast(&Message::Claim { segment, ttl_ms });
    }

    /// Tells peers that this segment is fetched, unless they have all of it among them.
    #[inline(never)]
    pub(crate) fn claim_missing(
        &mut self,
        segment: SegmentId,
        tag: u32,
        held: Option<&StoredSegment>,
        ttl_ms: u32,
    ) {
        self.peers.values_mut().for_each(|peer| peer.doubt_claim(segment));
        let longer = if self.is_full_mesh() {
            0.0
        } else {
            STRENGTH / (1.0 + self.number(segment, self.drawing as f64))
        };
        let ttl_ms = ttl_ms + longer as u32;
        if !self.offer(segment, tag, held).is_some_and(|offer| offer.covered) {
            self.claim(segment, ttl_ms);
        }
    }

    /// Leaves blocks of a segment that this one has claimed to peers that want it too, so many each. Whether there are any.
    #[inline(never)]
    pub(crate) fn hand_over(&mut self, segment: SegmentId, size: u32, blocks: Range<u16>) -> bool {
        let mut able = Vec::new();
        for (connection, peer) in &self.peers {
            if peer.lacks(segment, LAG).is_some() {
                let id = peer.id.unwrap_or_default();
                able.push((election::score(&id, segment), *connection));
            }
        }
        able.sort_unstable();
        able.truncate(HEIRS);
        let mut first = blocks.start;
        for (at, (_, connection)) in able.iter().enumerate() {
            let count = (blocks.end - first).div_ceil((able.len() - at) as u16);
            if count > 0 {
                let message = Message::Handover { segment, size, first, count };
                self.outbox.push_back((*connection, message));
            }
            first += count;
        }
        !able.is_empty()
    }

    /// Tells peers how far a live playlist has grown.
    #[inline(never)]
    pub(crate) fn set_edge(&mut self, segment: SegmentId) {
        let known = self.edges.get_or_insert_with(segment.rendition, Default::default);
        if segment.sequence > *known {
            *known = segment.sequence;
            // All have heard it from whoever said it first, or it was passed on then. Another number may be a lie.
            if self.relayed.get(&segment.rendition) != Some(&segment.sequence) {
                self.relay(segment, None);
            }
        }
    }

    /// Passes on that a live playlist has grown, where not everybody hears everybody.
    pub(crate) fn relay_edge(&mut self, segment: SegmentId) {
        let relayed = self.relayed.get_or_insert_with(segment.rendition, Default::default);
        if segment.sequence > std::mem::replace(relayed, segment.sequence.max(*relayed))
            && !self.is_full_mesh()
        {
            self.relay(segment, None);
        }
    }

    /// Tells of a claim, made now for so many ms, or without one of an edge. Where everybody hears everybody, all are told;
    /// elsewhere a few who do not know it: chance chooses them for each segment anew, and they do the same, so that all
    /// hear it a few steps later, and not once from each of their peers.
    fn relay(&mut self, segment: SegmentId, claim: Option<(Instant, u32)>) {
        let message = claim
            .map_or(Message::Edge { segment }, |(_, ttl_ms)| Message::Claim { segment, ttl_ms });
        if self.is_full_mesh() {
            return self.broadcast(&message);
        }
        let own = election::score(&self.own.peer_id, segment);
        let mut to = Vec::new();
        for (connection, peer) in &self.peers {
            if peer.ready && !peer.knows(segment, claim) {
                to.push((election::mix(own ^ u64::from(connection.0)), connection.0));
            }
        }
        to.sort_unstable();
        to.truncate(RELAYS);
        for (_, connection) in to {
            self.outbox.push_back((ConnectionId(connection), message.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Hello, InfoHash, Interest, PeerId, Store, VERSION, capabilities};
    use super::*;
    use crate::wire::{Bitfield, HaveEntry, RenditionId};

    const SEGMENT: SegmentId = SegmentId { rendition: RenditionId(1), sequence: 5 };

    /// A viewer with twenty peers, of a swarm of so many.
    fn swarm(number: u8, size: usize) -> Swarm {
        let mut swarm = Swarm::new(InfoHash::default(), PeerId([number; 20]), true);
        let now = Instant::default();
        for number in 0..20 {
            let hello = Hello {
                version: VERSION,
                capabilities: capabilities(true),
                info_hash: InfoHash::default(),
                peer_id: PeerId([number as u8; 20]),
            };
            swarm.connected(now, ConnectionId(number), None);
            swarm.message(now, ConnectionId(number), Message::Hello(hello), &Store::default());
        }
        while swarm.poll_message().is_some() {}
        swarm.set_size(size, size);
        swarm
    }

    fn told(swarm: &mut Swarm) -> Vec<u32> {
        std::iter::from_fn(|| swarm.poll_message()).map(|(to, _)| to.0).collect()
    }

    fn hear(swarm: &mut Swarm, by: u32) {
        let claim = Message::Claim { segment: SEGMENT, ttl_ms: 5000 };
        swarm.message(Instant::default(), ConnectionId(by), claim, &Store::default());
    }

    #[test]
    fn a_claim_is_passed_on_once_to_a_few_who_are_others_at_each_viewer() {
        let (mut one, mut another) = (swarm(98, 1000), swarm(99, 1000));
        hear(&mut one, 3);
        hear(&mut another, 3);
        let (first, second) = (told(&mut one), told(&mut another));
        assert_eq!((first.len(), second.len()), (RELAYS, RELAYS));
        assert_ne!(first, second);
        assert!(!first.contains(&3), "whoever said it knows it");
        hear(&mut one, 4);
        assert!(told(&mut one).is_empty());
        // One's own goes to all.
        let mut own = swarm(98, 1000);
        own.claim(SEGMENT, 5000);
        assert_eq!(told(&mut own).len(), 20);
        // Where everybody is connected, all have heard it.
        let mut small = swarm(98, 21);
        hear(&mut small, 3);
        assert!(told(&mut small).is_empty());
    }

    #[test]
    fn of_two_who_begin_a_segment_the_one_whose_number_is_lower_goes_on() {
        let now = Instant::default();
        let mut swarms = [swarm(98, 1000), swarm(99, 1000)];
        let claims = swarms.each_mut().map(|swarm| {
            swarm.claim_missing(SEGMENT, 0, None, 5000);
            assert!(swarm.leads(now, SEGMENT), "nobody else is heard of");
            let (_, Message::Claim { ttl_ms, .. }) = swarm.poll_message().unwrap() else {
                panic!()
            };
            told(swarm);
            ttl_ms
        });
        let lower = usize::from(swarms[1].number(SEGMENT, 1.0) < swarms[0].number(SEGMENT, 1.0));
        assert!(claims[lower] > claims[1 - lower]);
        for (swarm, ttl_ms) in swarms.iter_mut().zip([claims[1], claims[0]]) {
            let claim = Message::Claim { segment: SEGMENT, ttl_ms };
            swarm.message(now, ConnectionId(3), claim, &Store::default());
        }
        assert!(swarms[lower].leads(now, SEGMENT) && !swarms[1 - lower].leads(now, SEGMENT));
        // The stronger one is passed on, also by those who know of the weaker; not the other way round.
        assert_eq!([lower, 1 - lower].map(|at| told(&mut swarms[at]).len()), [0, RELAYS]);
        let mut third = swarm(97, 1000);
        for (by, ttl_ms, relays) in [(3, 5100, RELAYS), (4, 5600, RELAYS), (5, 5300, 0)] {
            let claim = Message::Claim { segment: SEGMENT, ttl_ms };
            third.message(now, ConnectionId(by), claim, &Store::default());
            let to = told(&mut third);
            assert_eq!(to.len(), relays);
            assert!(!to.contains(&by));
        }
    }

    #[test]
    fn what_is_to_come_is_left_to_a_few_who_want_it_each_block_to_one() {
        let mut one = swarm(98, 1000);
        assert!(!one.hand_over(SEGMENT, 9 << 20, 2..144), "nobody wants it");
        let wanted = Interest { rendition: RenditionId(1), playhead: 3, last: 5 };
        for number in [1, 2, 3] {
            let message = Message::Interest(wanted);
            one.message(Instant::default(), ConnectionId(number), message, &Store::default());
        }
        assert!(one.hand_over(SEGMENT, 9 << 20, 2..144));
        let mut next = 2;
        for (_, message) in std::iter::from_fn(|| one.poll_message()) {
            let Message::Handover { first, count, size, .. } = message else { panic!() };
            assert_eq!((first, size), (next, 9 << 20));
            assert!((47..=48).contains(&count));
            next += count;
        }
        assert_eq!(next, 144);
        // Of one block, one has it.
        assert!(one.hand_over(SEGMENT, 100, 0..1));
        assert_eq!(told(&mut one).len(), 1);
    }

    #[test]
    fn only_whoever_leads_leaves_a_segment_to_others() {
        let mut one = swarm(98, 1000);
        let leave = |swarm: &mut Swarm, by| {
            let message = Message::Handover { segment: SEGMENT, size: 100, first: 0, count: 1 };
            !swarm
                .message(Instant::default(), ConnectionId(by), message, &Store::default())
                .is_empty()
        };
        assert!(!leave(&mut one, 3), "it has claimed nothing");
        hear(&mut one, 3);
        assert!(!leave(&mut one, 3), "it has none of it");
        for number in [3, 5] {
            let blocks = Bitfield::full(1);
            let entries = vec![HaveEntry { sequence: 5, tag: 0, size: 100, blocks }];
            let have = Message::Have { rendition: RenditionId(1), entries };
            one.message(Instant::default(), ConnectionId(number), have, &Store::default());
        }
        hear(&mut one, 3);
        // Passed on by another, a claim holds a little longer.
        let claim = Message::Claim { segment: SEGMENT, ttl_ms: 5000 };
        let later = Instant::from_micros(100_000);
        one.message(later, ConnectionId(4), claim, &Store::default());
        assert!(leave(&mut one, 3));
        let stronger = Message::Claim { segment: SEGMENT, ttl_ms: 5500 };
        one.message(later, ConnectionId(5), stronger, &Store::default());
        assert!(!leave(&mut one, 3) && leave(&mut one, 5));
    }

    #[test]
    fn an_edge_is_told_once_and_a_lie_about_it_silences_nobody() {
        let mut swarm = swarm(99, 1000);
        swarm.relay_edge(SEGMENT);
        assert_eq!(told(&mut swarm).len(), RELAYS);
        swarm.set_edge(SEGMENT);
        assert!(told(&mut swarm).is_empty(), "it was passed on when it was heard");
        swarm.relay_edge(SegmentId { sequence: 60, ..SEGMENT });
        told(&mut swarm);
        swarm.set_edge(SegmentId { sequence: 6, ..SEGMENT });
        assert_eq!(told(&mut swarm).len(), RELAYS);
    }
}
