//! Many come at once: an origin that all of them ask for the same bytes brings nobody any. So each asks for few blocks that
//! others do not ask for, and whoever has one passes it on before its own first picture.

use std::time::Duration;

use super::Player;
use super::schedule::Want;
use super::transfer::blocks_to_come;
use crate::io::{MediaCommand, Output};
use crate::swarm::Swarm;
use crate::time::Instant;
use crate::tracker::FEW;
use crate::wire::{BLOCK_BYTES, SegmentId};

/// The origin is overrun if it brings a newcomer for so long (s) less than plays meanwhile, and less than [`ENOUGH_BPS`].
const JUDGED: f64 = 0.3;
const ENOUGH_BPS: f64 = 2e6;
/// For whoever has no picture yet it has to bring so many times what plays: what comes hardly faster soon stands still.
const MARGIN: f64 = 1.5;
/// Of what is on its way so much may not have been handed over yet.
const UNSEEN: u64 = 16 << 10;
/// Of a swarm of less than ten, but of so many at least, only whoever has next to nothing (s) judges its origin: it would ask for
/// what all others ask for, and nobody would get anything. Another has the time to wait.
const SOME: usize = 3;
const SHORT: f64 = 1.0;
/// For so many round trips what comes over a distance says nothing: a connection doubles its rate with each (RFC 5681 §3.1).
const ROUND_TRIPS: f64 = 4.0;
/// It counts as overrun for so long. Whoever came no longer ago believes others that it is, and not that uplinks are scarce.
const OVERRUN: Duration = Duration::from_secs(10);
/// Whoever has measured so much (bit/s), of so many bytes, believes nobody: single blocks, and a segment now and then, come
/// fast even in a crowd, whose viewers ask for few.
const AMPLE_BPS: f64 = 8e6;
const AMPLE_BYTES: u64 = 16 * BLOCK_BYTES as u64;
/// Seconds buffered from which on a viewer is no newcomer any more.
const SETTLED: f64 = 12.0;
/// Without any peer for so long the origin is asked as ever.
const LONELY: Duration = Duration::from_millis(1500);
/// What is due within this time is brought in by so many times the lottery's times, what is due later by [`LATER`] times
/// them: it has the time to spread, and the origin has none to spare.
const SOON: Duration = Duration::from_secs(9);
const NEXT: u32 = 2;
const LATER: u32 = 6;
/// How much longer a block that peers hold is left to them, once it is due.
const HELD: Duration = Duration::from_secs(4);
/// What is due later is not asked for yet.
const HORIZON: Duration = Duration::from_secs(14);
/// A newcomer does not begin to play with fewer seconds, since it would soon stand still, until so many have passed.
const RESERVE: f64 = 5.0;
const PATIENCE: f64 = 5.8;
/// Of both, in a swarm of less than ten: there a block is soon with all.
const FEWER: f64 = 0.6;
/// The same for the few who have hardly anything even then, and for those who do not know of a crowd.
const LEAST: f64 = 1.0;
const LONGEST: Duration = Duration::from_secs(9);

impl Player {
    /// Whether this viewer is one of many who have come at once, whose origin is overrun.
    #[inline(never)]
    pub(super) fn is_crowd(&self, now: Instant) -> bool {
        let lonely = now.since(self.sharing_since) > LONELY;
        let met = |swarm: &Swarm| swarm.ready_peers() > 0;
        self.is_overrun(now) && (!lonely || self.swarm.as_ref().is_some_and(met))
    }

    /// The same of one who may have met nobody yet.
    fn is_overrun(&self, now: Instant) -> bool {
        let Some(signaling) = &self.signaling else { return false };
        let joined = now.since(self.sharing_since);
        let ample = self.stats.http_bytes > AMPLE_BYTES && self.bandwidth.bps() > AMPLE_BPS;
        let told = joined < OVERRUN && !ample && signaling.status().overrun;
        (told || now < self.overrun_until) && self.buffer_ahead(now) < SETTLED
    }

    /// Whether the swarm is not small. The first of all were told of one, and hear from neighbours how many have come, or before
    /// they have any, by how many offers are made to them.
    pub(super) fn is_among_many(&self) -> bool {
        let members = |swarm: &Swarm| if self.started { swarm.size() } else { swarm.drawing() };
        self.swarm.as_ref().map_or(0, members) >= FEW as usize
    }

    /// Begins at a segment's start, where one block makes a picture. A film begins where it was asked to.
    #[inline(never)]
    pub(super) fn start_at_segment(&mut self) {
        let list = &self.title.lists[self.tracks[0].list];
        let Some(segment) = list.segment_for(self.start_at).filter(|_| list.is_live()) else {
            return;
        };
        self.start_at = segment.start;
        if self.tracks[0].opening {
            self.outputs.push_back(Output::Media(MediaCommand::Seek(segment.start)));
        } else {
            self.playhead.position = segment.start;
        }
    }

    /// Looks whether the origin is overrun, and leaves it to others then. Whether this is a crowd.
    #[inline(never)]
    pub(super) fn run_crowd(&mut self, now: Instant) -> bool {
        let many = self.is_among_many();
        let judges = many || self.swarm.as_ref().is_some_and(|swarm| swarm.size() >= SOME);
        let margin = if many && !self.started { MARGIN } else { 1.0 };
        let short = if many { SETTLED } else { SHORT };
        let (mut slow, mut over) = (false, None);
        for (id, transfer) in &self.transfers {
            let Some(head_at) = transfer.head_at.filter(|_| judges) else { continue };
            let list = self.title.find(transfer.segment).map_or(0, |(list, _)| list);
            let plays = (self.estimate(list, 8.0 * margin * self.speed()) as f64).min(ENOUGH_BPS);
            let age = now.since(head_at).as_secs_f64();
            // What comes meanwhile takes its part of the line. With parts there is no time to find out what peers bring.
            let came = if self.title.lists[list].by_parts {
                self.stats.http_bytes - transfer.http_bytes
            } else {
                self.line.bytes - transfer.line_bytes + UNSEEN
            };
            let distance = head_at.since(transfer.started_at).as_secs_f64();
            if age >= JUDGED && age >= distance * ROUND_TRIPS && (came as f64 * 8.0) < plays * age {
                slow = true;
                // What has come of a block is not thrown away, and who claims a segment brings it: others wait for it.
                let leads = |swarm: &Swarm| swarm.leads(now, transfer.segment);
                if blocks_to_come(transfer).len() > 1
                    && !transfer.is_in_block()
                    && !self.swarm.as_ref().is_some_and(leads)
                {
                    over = Some(*id);
                }
            }
        }
        if slow && self.buffer_ahead(now) < short {
            if now >= self.overrun_until && !self.started {
                self.start_at_segment();
            }
            self.overrun_until = now + OVERRUN;
        }
        let new = !self.started || now.since(self.sharing_since) < OVERRUN;
        if self.overrun_until > Instant::default() && !new && self.is_scarce(now) {
            // Uplinks do not carry the stream, and the origin has to: whoever waits for peers leaves its line idle.
            self.overrun_until = Instant::default();
        }
        let overrun = now < self.overrun_until;
        self.signal(now, |signaling| signaling.set_overrun(now, overrun));
        let crowd = self.is_crowd(now);
        if let Some(id) = over.filter(|_| crowd) {
            self.cancel_transfer(now, id);
        }
        if crowd {
            // What was measured here says nothing, then or later.
            self.overrun_until = self.overrun_until.max(Instant::from_micros(1));
        }
        crowd
    }

    /// Asks the origin for a block that nobody around holds and whose lot falls on this viewer: few do at first, and twice
    /// as many with each step. What was published since it came, and what is claimed, is left to the election until it is
    /// due soon: it has the time to spread, and one copy does.
    #[inline(never)]
    pub(super) fn fetch_in_crowd(&mut self, now: Instant, want: &Want) {
        let Some(swarm) = &self.swarm else { return };
        let soon = want.deadline - SOON;
        let early = soon > now;
        let elects = !swarm.is_older(want.id) || swarm.claimed(now, want.id).is_some();
        if early && elects || swarm.leads(now, want.id) {
            return self.fetch_if_elected(now, want);
        }
        let since = *self.wanted_since.get_or_insert_with(want.id, || now);
        if want.deadline > now + HORIZON {
            return;
        }
        let overdue = if want.deadline > now {
            want.deadline
        } else {
            *self.overdue_since.get_or_insert_with(want.id, || now)
        };
        let held = self.store.segment(want.id);
        let all = self.title.ranges.bring_all(held.is_some());
        let count = held.map_or_else(
            || (want.estimate / u64::from(BLOCK_BYTES)).max(1) as u16,
            |held| held.held.len(),
        );
        let mut next: Option<(Instant, u16)> = None;
        for block in 0..count {
            if held.is_some_and(|held| held.held.has(block)) || swarm.is_requested(want.id, block) {
                continue;
            }
            let lot = swarm.lot(want.id, block);
            // What gets due soon is drawn for anew: those whose lots would have fallen by then would all ask at once.
            let at = if swarm.is_held(want.id, block) {
                overdue + HELD + lot * NEXT
            } else {
                (since + lot * LATER).min(since.max(soon) + lot * NEXT)
            };
            // For all of it there is one draw.
            if next.is_none_or(|(next, _)| at < next && next > now && !all) {
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

    /// Part of [`PATIENCE`] and [`RESERVE`] that a newcomer needs, and what is left of the first.
    fn patience(&self, now: Instant) -> (f64, f64) {
        let part = if self.is_among_many() { 1.0 } else { FEWER };
        (part, PATIENCE * part - now.since(self.sharing_since).as_secs_f64())
    }

    /// Seconds until a viewer who waits for the others of a crowd plays: nothing is due before.
    #[inline(never)]
    pub(super) fn crowd_delay(&self, now: Instant) -> f64 {
        if self.is_crowd(now) { self.patience(now).1.max(0.0) } else { 0.0 }
    }

    /// Whether to wait with the first picture, which is of this segment: playback would soon stand still. Whoever has met
    /// nobody yet waits like the others; and one of many, who knows of no crowd, until its transfer has shown how fast it is.
    #[inline(never)]
    pub(super) fn holds_back(&self, now: Instant, list: usize, id: SegmentId) -> bool {
        let overrun = self.is_overrun(now);
        let comes = self.is_among_many()
            && self.title.lists[list].is_live()
            && self.transfers.values().any(|transfer| transfer.segment == id);
        let (part, patience) = self.patience(now);
        let least = if overrun && patience > 0.0 { RESERVE * part } else { LEAST };
        let (mut next, mut left) = (id, self.estimate(list, least));
        while let Some(stored) = self.store.segment(next) {
            left = left.saturating_sub(stored.held_to().into());
            if !stored.is_complete() {
                break;
            }
            next.sequence = next.sequence.wrapping_add(1);
        }
        left > 0
            && (overrun && now.since(self.sharing_since) < LONGEST || comes)
            && self.buffer_ahead(now) < 0.1
    }
}

#[cfg(test)]
#[path = "crowd_tests.rs"]
mod tests;
