//! Where not everybody is connected, one viewer fetches a live segment for all. It would take that one's uplink long to give
//! everything away once, and the swarm waits for the last block. So it leaves most of the segment to its neighbours, each of
//! whom brings a little.

use std::ops::Range;
use std::time::Duration;

use super::Player;
use super::schedule::Want;
use crate::swarm::Swarm;
use crate::time::Instant;
use crate::wire::{BLOCK_BYTES, SegmentId, block_count};

/// Longer than it takes until all who have begun a segment know of each other.
const PAUSE: Duration = Duration::from_millis(600);
/// What none of those to whom it was left has shown by then, whoever leads brings itself.
const PATIENCE: Duration = Duration::from_millis(1000);
/// A viewer takes no more than one in so many of a segment's blocks.
const MOST: u16 = 4;
/// Segments of which something was left to this viewer, and which it has not seen in the playlist yet.
const MAX_HANDOVERS: usize = 4;

impl Player {
    /// Goes on with a segment that this viewer has begun for the swarm.
    #[inline(never)]
    pub(super) fn lead_on(&mut self, now: Instant, want: &Want) {
        let (Some(swarm), Some(stored)) = (&mut self.swarm, self.store.segment(want.id)) else {
            return;
        };
        // By then everybody else who has begun it knows of it.
        let (handed, since) = self.spreading.get_or_insert_with(want.id, || (0, now + PAUSE));
        if *since > now {
            let at = *since;
            return self.wake_at(at);
        }
        if *handed == 0 {
            (*handed, *since) = (1, now + PATIENCE);
            let rest = stored.first_missing()..stored.held.len();
            if want.live && swarm.hand_over(want.id, stored.size, rest) {
                return self.wake_at(now + PATIENCE);
            }
        }
        let all = 0..stored.held.len();
        self.fetch_unseen(now, want, all);
    }

    /// Whoever leads has left blocks of a segment of this size to this viewer.
    pub(super) fn handed_over(
        &mut self,
        now: Instant,
        segment: SegmentId,
        size: u32,
        blocks: Range<u16>,
    ) {
        self.handovers.insert(segment, (size, blocks));
        if self.handovers.len() > MAX_HANDOVERS {
            self.handovers.pop_first();
        }
        self.edge_seen(now, segment, None);
    }

    /// Fetches what was left to this viewer of a segment, if nobody holds it yet. Whether it did.
    #[inline(never)]
    pub(super) fn fetch_handed_over(&mut self, now: Instant, want: &Want) -> bool {
        let Some((size, blocks)) = self.handovers.remove(&want.id) else { return false };
        if !want.live || want.part || !self.prepare_segment(now, want.id, size, want.tag) {
            return false;
        }
        let count = block_count(size);
        // Nobody is to have a swarm fetch everything many times.
        let end = blocks.end.min(count).min(blocks.start.saturating_add(count / MOST + 1));
        self.fetch_unseen(now, want, blocks.start..end)
    }

    /// Brings the first block of a segment that has just come out, if it is this viewer's turn to, and nothing of it is here or
    /// asked for. Whether it did. What is verified as a whole only, one has to have first.
    #[inline(never)]
    pub(super) fn open_segment(&mut self, now: Instant, want: &Want) -> bool {
        let count = want.estimate.div_ceil(BLOCK_BYTES.into()) as u16;
        let opens = |swarm: &Swarm| swarm.opens(want.id, count) && !swarm.is_held(want.id, 0);
        let opens = want.near
            && self.is_ample(want)
            && self.swarm.as_ref().is_some_and(opens)
            && self.may_split(now, want);
        if opens {
            self.start_transfer(now, want.list, want.sequence, 0, Some(BLOCK_BYTES), false);
        }
        opens
    }

    /// Fetches those of these blocks that nobody is seen to hold. Whether there are any.
    fn fetch_unseen(&mut self, now: Instant, want: &Want, blocks: Range<u16>) -> bool {
        let Some(swarm) = &self.swarm else { return false };
        let mut unseen = Vec::new();
        for block in blocks {
            if !swarm.is_held(want.id, block) {
                unseen.push(block);
            }
        }
        self.fetch_missing(now, want, false, Some(&unseen))
    }
}

#[cfg(test)]
#[path = "opening_tests.rs"]
mod tests;
