//! Which block is asked of which peer.

use std::time::Duration;

use super::peer::PeerSegment;
use super::{Peer, Swarm};
use crate::io::ConnectionId;
use crate::store::StoredSegment;
use crate::time::Instant;
use crate::wire::{BLOCK_BYTES, Bitfield, Message, SegmentId, block_count};

/// Seconds that a request may wait in a peer's queue.
const LONGEST_WAIT: f64 = 10.0;

/// What the swarm offers of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offer {
    /// Size in bytes, as most holders say.
    pub(crate) size: u32,
    /// Whether every block is held by some peer that gives.
    pub(crate) covered: bool,
    /// How many blocks are held, here or by such a peer.
    pub(crate) known: u16,
}

/// A segment whose blocks are asked of peers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blocks {
    pub(crate) segment: SegmentId,
    pub(crate) tag: u32,
    /// Its size in bytes.
    pub(crate) size: u32,
    /// Uplinks do not suffice.
    pub(crate) scarce: bool,
    /// It is a part, or as short as one: all of it is due at once, and soon.
    pub(crate) brief: bool,
    /// It is due soon.
    pub(crate) urgent: bool,
    /// When it is due: a peer that would bring a block later is not asked, unless it is too late everywhere.
    pub(crate) deadline: Instant,
    /// The block that is due then; those behind it are due later, by `step` each.
    pub(crate) first: u16,
    pub(crate) step: Duration,
}

impl Swarm {
    /// What peers that give hold of a segment beyond `held`; `None` when none holds anything of it.
    pub(crate) fn offer(
        &self,
        segment: SegmentId,
        tag: u32,
        held: Option<&StoredSegment>,
    ) -> Option<Offer> {
        let holders: Vec<&PeerSegment> = self.holders(segment, tag, held).collect();
        let mut size = holders.first()?.size;
        if holders.iter().any(|of| of.size != size) {
            // Where sizes differ, what most say counts.
            let votes = |of: &&&PeerSegment| holders.iter().filter(|it| it.size == of.size).count();
            size = holders.iter().max_by_key(votes)?.size;
        }
        let mut all =
            held.map_or_else(|| Bitfield::empty(block_count(size)), |held| held.held.clone());
        for of in holders.iter().filter(|of| of.size == size) {
            all.merge(&of.blocks);
        }
        Some(Offer { size, covered: all.is_full(), known: all.count() })
    }

    /// Asks peers for blocks of a segment that are neither held nor asked for nor refused by `wanted`: those that the
    /// fewest peers hold first, so that viewers fetch different ones and can trade them. Returns how many were asked for.
    pub(crate) fn request_blocks(
        &mut self,
        now: Instant,
        what: &Blocks,
        rng: &mut fastrand::Rng,
        wanted: impl Fn(u16) -> bool,
    ) -> usize {
        let Blocks { segment, tag, size, urgent, .. } = *what;
        let due =
            |block: u16| what.deadline + what.step * u32::from(block.saturating_sub(what.first));
        let mut open = Vec::new();
        for block in 0..block_count(size) {
            if wanted(block) && !self.requested.contains(&(segment, block)) {
                open.push(block);
            }
        }
        if open.is_empty() {
            return 0;
        }
        let few = self.has_few();
        // Who holds what, and whether it can be asked.
        let mut holders = Vec::new();
        for (connection, peer) in &self.peers {
            if let Some(of) = peer.segment(segment, tag)
                && of.size == size
            {
                let due = peer.slack(now, what.deadline, what.brief) <= 0.0;
                holders.push((*connection, of.blocks.clone(), peer.can_be_asked(now, few, due)));
            }
        }
        let useful = |(_, blocks, able): &(ConnectionId, Bitfield, bool)| {
            *able && open.iter().any(|block| blocks.has(*block))
        };
        if !holders.iter().any(useful) {
            return 0;
        }
        // The fewest copies first, then by chance.
        let mut order: Vec<(u64, u32)> = Vec::new();
        for block in open {
            let copies = holders.iter().filter(|(_, blocks, _)| blocks.has(block)).count();
            if copies > 0 {
                // What is due now is asked for in playing order.
                let place = (copies as u64) << 32;
                let place = if urgent { 0 } else { place | u64::from(rng.u32(..)) };
                order.push((place, block.into()));
            }
        }
        order.sort_unstable();
        let mut asked = 0;
        let mut awaited: f64 = self.peers.values().map(Peer::awaited).sum();
        for (_, block) in order {
            let block = block as u16;
            if awaited >= self.most {
                break;
            }
            let deadline = due(block);
            let mut best = None;
            for (at, (connection, blocks, able)) in holders.iter().enumerate() {
                if *able
                    && blocks.has(block)
                    && let Some(peer) = self.peers.get(connection)
                    && (peer.slow_until <= now || peer.slack(now, deadline, what.brief) <= 0.0)
                {
                    // Whoever has sent one wrong block is to show soon whether it lies.
                    let tested = peer.suspect && !urgent;
                    let eta = peer.eta() * (1.0 + 0.5 * rng.f64());
                    let place = (peer.slow_until > now, !tested, eta);
                    if best.is_none_or(|(least, _)| place < least) {
                        best = Some((place, at));
                    }
                }
            }
            let Some(((.., eta), at)) = best else { continue };
            let connection = holders[at].0;
            let Some(peer) = self.peers.get_mut(&connection) else { continue };
            let (notice, slack) = (peer.notice(what.brief), peer.slack(now, deadline, what.brief));
            let late = now + Duration::from_secs_f64(eta.min(3600.0)) > deadline;
            let hopeless = what.brief && slack < 0.0;
            if now < deadline && (late || hopeless) || what.scarce && slack < 0.0 {
                continue;
            }
            let wait = slack.clamp(0.0, LONGEST_WAIT);
            // 0 tells the peer that the request never lapses: then it must not here either.
            let due_ms = (wait * 1000.0) as u32;
            let begins_by = (due_ms > 0).then(|| now + Duration::from_secs_f64(wait + notice));
            let id = peer.ask(now, segment, block, size, begins_by);
            holders[at].2 = peer.can_be_asked(now, few, true);
            self.requested.insert((segment, block));
            self.outbox.push_back((connection, Message::Request { id, segment, block, due_ms }));
            asked += 1;
            awaited += f64::from(BLOCK_BYTES);
        }
        asked
    }

    /// Whether any peer can be asked for one more block, which is due then.
    pub(crate) fn any_can_be_asked(&self, now: Instant, deadline: Instant) -> bool {
        let able = |peer: &Peer| {
            peer.can_be_asked(now, self.has_few(), peer.slack(now, deadline, false) <= 0.0)
        };
        self.peers.values().any(able)
    }

    /// Whether a peer that gives holds this block.
    pub(crate) fn is_held(&self, segment: SegmentId, block: u16) -> bool {
        let upload = crate::wire::Capabilities::UPLOAD;
        self.peers.iter().any(|(_, peer)| {
            peer.ready && peer.capabilities.contains(upload) && peer.holds_block(segment, block)
        })
    }

    /// Whether a block that was asked of a peer is coming in, and will be here in time. What still waits in a queue is
    /// not counted on.
    pub(crate) fn arrives_by(
        &self,
        now: Instant,
        segment: SegmentId,
        block: u16,
        deadline: Instant,
    ) -> bool {
        self.requested.contains(&(segment, block))
            && self.peers.iter().any(|(_, peer)| {
                peer.may_begin(now, segment, block)
                    || peer.arrival(now, segment, block).is_some_and(|arrival| arrival <= deadline)
            })
    }

    /// Takes back the requests that `which` names, by what they are for and whether it has begun to come.
    #[inline(never)]
    pub(crate) fn cancel(&mut self, which: &dyn Fn(SegmentId, u16, bool) -> bool) {
        for (connection, peer) in &mut self.peers {
            for (id, asked) in peer.cancel(which) {
                self.requested.remove(&asked);
                self.outbox.push_back((*connection, Message::Cancel { id }));
            }
        }
    }

    fn holders(
        &self,
        segment: SegmentId,
        tag: u32,
        held: Option<&StoredSegment>,
    ) -> impl Iterator<Item = &PeerSegment> {
        let size = held.map(|held| held.size);
        self.peers
            .values()
            .filter(|peer| {
                let gives = peer.capabilities.contains(crate::wire::Capabilities::UPLOAD);
                peer.ready && gives && !peer.silent
            })
            .filter_map(move |peer| peer.segment(segment, tag))
            .filter(move |of| size.is_none_or(|size| size == of.size))
    }
}
