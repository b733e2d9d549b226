//! A viewer whose own line carries hardly more than the stream: what is due next does not wait for what is due later.

use std::time::Duration;

use super::Player;
use super::schedule::{AMPLE, Want};
use crate::time::Instant;
use crate::wire::BLOCK_BYTES;

/// On a line that is less than [`AMPLE`] nothing is asked for early that is due so much later than what is due next.
const NEXT: Duration = Duration::from_secs(6);
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

    /// Limits what is asked for early, and how much of peers at once. In a crowd it is not the line that is thin.
    #[inline(never)]
    pub(super) fn look_at_line(&mut self, now: Instant, next: &Want) {
        self.horizon = now + FOREVER;
        let mut most = f64::INFINITY;
        if self.bandwidth.is_measured() && !next.part && !self.is_crowd(now) {
            let bps = self.line_bps();
            if bps < AMPLE * self.estimate(next.list, 8.0) as f64 {
                self.horizon = next.deadline + NEXT;
                most = (bps / 8.0 * QUEUE).max(LEAST_QUEUE);
            }
        }
        if let Some(swarm) = &mut self.swarm {
            swarm.set_most(most);
        }
    }
}
