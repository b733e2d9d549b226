//! What this viewer's own line carries: all that comes over it counts, wherever it comes from.

use std::time::Duration;

use crate::time::Instant;

/// What comes is counted for so long at a time.
const SPAN: Duration = Duration::from_secs(1);

/// Counts what comes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Line {
    /// Bytes that have come.
    pub(crate) bytes: u64,
    /// Bit/s: the most that has come within a [`SPAN`].
    pub(crate) most_bps: f64,
    /// When the present span began, and the bytes that had come by then.
    since: (Instant, u64),
}

impl Line {
    /// Bytes have come.
    pub(crate) fn received(&mut self, now: Instant, bytes: usize) {
        let (began, before) = self.since;
        let time = now.since(began);
        if time >= SPAN {
            let bps = (self.bytes - before) as f64 * 8.0 / time.as_secs_f64();
            self.most_bps = self.most_bps.max(bps);
            self.since = (now, self.bytes);
        }
        self.bytes += bytes as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_that_came_in_a_second_counts_and_pauses_do_not() {
        let mut line = Line::default();
        let mut at = 0;
        for (pause_ms, bytes) in [(100, 25_000), (500, 10_000), (100, 20_000)] {
            for _ in 0..30 {
                at += pause_ms * 1000;
                line.received(Instant::from_micros(at), bytes);
            }
        }
        assert!((line.most_bps - 2e6).abs() < 1e5, "{}", line.most_bps);
        assert_eq!(line.bytes, 30 * 55_000);
    }
}
