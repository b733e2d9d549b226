//! Many come to a live stream at once: an origin that all of them ask for the same bytes brings nobody any. So each asks
//! for few blocks that others do not ask for, and whoever has one passes it on before its own first picture.

use std::time::Duration;

use super::Player;
use super::schedule::Want;
use super::transfer::{blocks_to_come, transfer_end};
use crate::time::Instant;
use crate::wire::{BLOCK_BYTES, SegmentId};

/// From more members on whoever joins may be one of many who do.
const CROWD: usize = 30;
/// An origin that is slow with what is needed first is overrun if the swarm has so many members; it counts as that for
/// [`OVERRUN`].
const FEW: usize = 4;
const OVERRUN: Duration = Duration::from_secs(10);
/// After so long a transfer is judged, and slow if it takes [`SLOW`] more.
const JUDGED: Duration = Duration::from_millis(500);
const SLOW: Duration = Duration::from_millis(1500);
/// One that takes longer is not waited for, nor gone on with behind the block that has begun to come.
const CRAWL: Duration = Duration::from_millis(800);
/// Seconds buffered from which on a viewer is no newcomer any more.
const SETTLED: f64 = 8.0;
/// Without any peer for so long the origin is asked as ever.
const LONELY: Duration = Duration::from_millis(1500);
/// What is due within this time is brought in by twice the lottery's times, what is due later by [`LATER`] times them.
const SOON: Duration = Duration::from_millis(2500);
const NEXT: u32 = 2;
const LATER: u32 = 8;
/// How much longer a block that peers hold is left to them, once it is due.
const HELD: Duration = Duration::from_secs(4);
/// What is due later is not asked for yet.
const HORIZON: Duration = Duration::from_secs(14);
/// A newcomer does not begin to play with fewer bytes, since it would soon stand still, until so much time has passed.
const RESERVE: u32 = 6 * BLOCK_BYTES;
const PATIENCE: Duration = Duration::from_secs(5);

impl Player {
    /// Whether this viewer is one of many who may have come at once.
    #[inline(never)]
    pub(super) fn is_crowd(&self, now: Instant) -> bool {
        let Some(swarm) = &self.swarm else { return false };
        let live = self.tracks.first().is_some_and(|track| self.title.lists[track.list].is_live());
        let lonely = swarm.ready_peers() == 0 && now.since(self.sharing_since) > LONELY;
        live && !lonely
            && (self.members() > CROWD || now < self.overrun_until)
            && self.buffer_ahead(now) < SETTLED
    }

    /// Members of the swarm, by what is known now.
    fn members(&self) -> usize {
        let told = self.signaling.as_ref().map_or(0, |signaling| signaling.status().swarm_size);
        self.swarm.as_ref().map_or(0, crate::swarm::Swarm::size).max(told as usize)
    }

    /// Looks whether the origin is overrun, and gives up what it still sends and peers have brought, and what crawls in
    /// behind a block. Whether this is a crowd.
    #[inline(never)]
    pub(super) fn run_crowd(&mut self, now: Instant) -> bool {
        let crowd = self.is_crowd(now);
        let mut over = None;
        for (id, transfer) in &self.transfers {
            let age = now.since(transfer.started_at);
            let stored = self.store.segment(transfer.segment);
            let size = stored.map_or(0, |stored| stored.size.into());
            let end = transfer_end(now, transfer, size, self.bandwidth.bps());
            if !self.started && age > JUDGED && end > now + SLOW && self.members() >= FEW {
                self.overrun_until = now + OVERRUN;
            }
            let Some(stored) = stored.filter(|_| crowd && !transfer.hint) else { continue };
            let mut left = blocks_to_come(transfer);
            left.end = left.end.min(stored.held.len());
            if left.clone().all(|block| stored.held.has(block))
                || left.len() > 1 && age > CRAWL && transfer.is_between_blocks()
            {
                over = Some(*id);
            }
        }
        if let Some(id) = over {
            self.cancel_transfer(now, id);
        }
        crowd
    }

    /// Whether peers had better bring too what a transfer was asked for.
    pub(super) fn crawls(&self, now: Instant, started_at: Instant) -> bool {
        now.since(started_at) > CRAWL && self.is_crowd(now)
    }

    /// Asks the origin for a block that nobody around holds and whose lot falls on this viewer: few do at first, and twice
    /// as many with each step.
    #[inline(never)]
    pub(super) fn fetch_in_crowd(&mut self, now: Instant, want: &Want) {
        let near = want.deadline < now + HORIZON;
        let Some(swarm) = self.swarm.as_ref().filter(|_| near) else { return };
        let since = *self.wanted_since.get_or_insert_with(want.id, || now);
        let overdue = if want.deadline > now {
            want.deadline
        } else {
            *self.overdue_since.get_or_insert_with(want.id, || now)
        };
        let times = if want.deadline > now + SOON { LATER } else { NEXT };
        let held = self.store.segment(want.id);
        let count = held
            .map_or((want.estimate / u64::from(BLOCK_BYTES)).max(1) as u16, |held| held.held.len());
        let mut next: Option<(Instant, u16)> = None;
        for block in 0..count {
            if held.is_some_and(|held| held.held.has(block)) || swarm.is_requested(want.id, block) {
                continue;
            }
            let from = if swarm.is_held(want.id, block) { overdue + HELD } else { since };
            let at = from + swarm.lot(want.id, block) * times;
            if next.is_none_or(|(next, _)| at < next && next > now) {
                next = Some((at, block));
            }
        }
        let Some((at, block)) = next else { return };
        if at > now {
            return self.wake_at(at);
        }
        let from = u32::from(block) * BLOCK_BYTES;
        self.start_transfer(now, want.list, want.sequence, from, Some(from + BLOCK_BYTES), false);
    }

    /// Whether to wait with the first picture, having so many `bytes` of its segment: it would soon stand still. Not where
    /// most have that segment: then it comes fast enough.
    #[inline(never)]
    pub(super) fn holds_back(&self, now: Instant, id: SegmentId, bytes: u32) -> bool {
        bytes < RESERVE
            && now.since(self.sharing_since) < PATIENCE
            && self.is_crowd(now)
            && !self.swarm.as_ref().is_some_and(|swarm| swarm.is_common(id))
    }
}
