//! A viewer whose own line carries hardly more than the stream: what is due next does not wait for what is due later.

use std::time::Duration;

use super::Player;
use super::schedule::{AMPLE, Want};
use crate::time::Instant;
use crate::wire::BLOCK_BYTES;

/// On a line that is less than [`AMPLE`] nothing is asked for that is due so many seconds later than what is due next.
const NEXT: f64 = 6.0;
/// The same on one that is full, and how much more each buffered second adds. The first is that of parts.
const NEXT_OF_FULL: (f64, f64) = (2.0, 0.5);
/// Where as much comes whenever the origin sends, as parts of the most that ever came, the line is full.
const FULL: std::ops::Range<f64> = 0.9..1.2;
/// No wish is due later.
const FOREVER: Duration = Duration::from_secs(3600);
/// So many seconds of what it carries are asked of peers at once: what is due soon waits behind them.
const QUEUE: f64 = 0.5;
/// And so many bytes at least.
const LEAST_QUEUE: f64 = 2.0 * BLOCK_BYTES as f64;

impl Player {
    /// What the viewer's line is known to carry, in bit/s.
    pub(super) fn line_bps(&self) -> f64 {
        self.bandwidth.bps().max(self.line.most_bps)
    }

    /// What comes, in bit/s, fast and slow, over a line that is full: what peers send, the origin would send without them.
    fn full_bps(&self) -> Option<(f64, f64)> {
        let full = |all: &(f64, f64)| FULL.contains(&(all.0 / self.line.most_bps));
        self.bandwidth.all_bps().filter(full)
    }

    /// Whether the origin is known to take its time for a part. One that is slow though the line is not full is slow because
    /// many ask it, and gets slower when they ask it sooner. A variant above the lowest was chosen by what it brings.
    pub(super) fn takes_time(&self, want: &Want) -> bool {
        let lower = |bitrate: u64| bitrate > 0 && bitrate < self.estimate(want.list, 8.0);
        let chosen = || self.title.variants.iter().any(|variant| lower(variant.bitrate_bps));
        want.part && !self.is_ample(want) && (self.full_bps().is_some() || chosen())
    }

    /// What can be relied on, in bit/s, fast and slow: what the origin brings, or can be seen to be able to.
    pub(super) fn reliable_bps(&self) -> (f64, f64) {
        self.full_bps().unwrap_or_else(|| (self.bandwidth.bps(), self.bandwidth.slow_bps()))
    }

    /// Limits what is asked for, and how much of peers at once. In a crowd it is not the line that is thin.
    #[inline(never)]
    pub(super) fn look_at_line(&mut self, now: Instant, next: &Want) {
        self.horizon = now + FOREVER;
        let mut most = f64::INFINITY;
        if self.bandwidth.is_measured() && !self.is_crowd(now) {
            let bps = self.line_bps();
            if bps < AMPLE * self.estimate(next.list, 8.0) as f64 {
                let buffered = next.deadline.since(now).as_secs_f64();
                let (least, more) = NEXT_OF_FULL;
                let full = self.full_bps().map_or(NEXT, |_| least + more * buffered);
                let seconds = if next.part { least } else { full };
                self.horizon = next.deadline + Duration::from_secs_f64(seconds.min(NEXT));
                most = (bps / 8.0 * QUEUE).max(LEAST_QUEUE);
            }
        }
        if let Some(swarm) = &mut self.swarm {
            swarm.set_most(most);
        }
    }
}
