//! Which block is asked of which peer.

use std::time::Duration;

use super::Swarm;
use crate::store::StoredSegment;
use crate::time::Instant;
use crate::wire::{Message, SegmentId, block_count};

/// What the swarm offers of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offer {
    /// Size in bytes, as most holders say.
    pub(crate) size: u32,
    /// Whether every block is held by some peer that gives.
    pub(crate) covered: bool,
}

/// A segment whose blocks are asked of peers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blocks {
    pub(crate) segment: SegmentId,
    pub(crate) tag: u32,
    /// Its size in bytes.
    pub(crate) size: u32,
    /// Turns the order, so that viewers who fetch the same segment ask for different blocks and can trade them;
    /// `None` asks in playing order.
    pub(crate) start: Option<u64>,
    /// When it is due: a peer that would bring a block later is not asked, unless it is too late everywhere.
    pub(crate) deadline: Instant,
}

impl Swarm {
    /// What peers that give hold of a segment beyond `held`; `None` when none holds anything of it.
    pub(crate) fn offer(
        &self,
        segment: SegmentId,
        tag: u32,
        held: Option<&StoredSegment>,
    ) -> Option<Offer> {
        let holders = || self.holders(segment, tag, held);
        let size = held.map(|held| held.size).or_else(|| holders().map(|(_, of)| of.size).max())?;
        holders().next()?;
        let covered = (0..block_count(size)).all(|block| {
            held.is_some_and(|held| held.held.has(block))
                || holders().any(|(_, of)| of.size == size && of.blocks.has(block))
        });
        Some(Offer { size, covered })
    }

    /// Asks peers for blocks of a segment that are neither held nor asked for nor refused by `wanted`.
    /// Returns how many were asked for.
    pub(crate) fn request_blocks(
        &mut self,
        now: Instant,
        what: &Blocks,
        wanted: impl Fn(u16) -> bool,
    ) -> usize {
        let Blocks { segment, tag, size, start, deadline } = *what;
        let count = block_count(size);
        let turn = start.map_or(0, |start| (start % u64::from(count.max(1))) as u16);
        let mut asked = 0;
        for step in 0..count {
            let block = (step + turn) % count;
            if !wanted(block) || self.requested.contains(&(segment, block)) {
                continue;
            }
            let supplier = self
                .peers
                .iter()
                .filter(|(_, peer)| peer.can_be_asked(now))
                .filter(|(_, peer)| {
                    peer.segment(segment, tag)
                        .is_some_and(|of| of.size == size && of.blocks.has(block))
                })
                .map(|(connection, peer)| (peer.eta(), *connection))
                .min_by(|a, b| a.0.total_cmp(&b.0));
            let Some((eta, connection)) = supplier else { continue };
            if now < deadline && now + Duration::from_secs_f64(eta.min(3600.0)) > deadline {
                continue;
            }
            let Some(peer) = self.peers.get_mut(&connection) else { continue };
            let id = peer.ask(now, segment, block, size);
            self.requested.insert((segment, block));
            self.outbox.push_back((connection, Message::Request { id, segment, block }));
            asked += 1;
        }
        asked
    }

    /// When a block that was asked of a peer will be here.
    pub(crate) fn arrival(&self, now: Instant, segment: SegmentId, block: u16) -> Option<Instant> {
        if !self.requested.contains(&(segment, block)) {
            return None;
        }
        self.peers.values().filter_map(|peer| peer.arrival(now, segment, block)).min()
    }

    /// Takes back the requests that `which` names.
    pub(crate) fn cancel(&mut self, which: impl Fn(SegmentId, u16) -> bool) {
        for (connection, peer) in &mut self.peers {
            for (id, asked) in peer.cancel(&which) {
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
    ) -> impl Iterator<Item = (&super::Peer, &super::peer::PeerSegment)> {
        let size = held.map(|held| held.size);
        self.peers
            .values()
            .filter(|peer| {
                peer.ready && peer.capabilities.contains(crate::wire::Capabilities::UPLOAD)
            })
            .filter_map(move |peer| peer.segment(segment, tag).map(|of| (peer, of)))
            .filter(move |(_, of)| size.is_none_or(|size| size == of.size))
    }
}
