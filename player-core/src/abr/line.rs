//! What this viewer's own line carries: all that comes over it counts, wherever it comes from.

use crate::time::Instant;

/// µs of the spans in which bytes are counted.
const SPAN: u64 = 500_000;

/// Counts what comes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Line {
    /// Bytes that have come.
    pub(crate) bytes: u64,
    /// Bit/s: the most that has come within a second.
    pub(crate) most_bps: f64,
    /// Bytes of the present span, and of the one before.
    spans: (u64, u64),
    /// Which of all spans the present one is.
    span: u64,
}

impl Line {
    /// Bytes have come.
    pub(crate) fn received(&mut self, now: Instant, bytes: usize) {
        let span = now.as_micros() / SPAN;
        if span != self.span {
            let end = Instant::from_micros((self.span + 1) * SPAN);
            self.most_bps = self.most_bps.max(self.recent_bps(end));
            self.spans = (0, if span == self.span + 1 { self.spans.0 } else { 0 });
            self.span = span;
        }
        self.spans.0 += bytes as u64;
        self.bytes += bytes as u64;
    }

    /// Bit/s of the last half second to second.
    pub(crate) fn recent_bps(&self, now: Instant) -> f64 {
        let time = now.as_micros().saturating_sub(self.span * SPAN) + SPAN;
        (self.spans.0 + self.spans.1) as f64 * 8e6 / time as f64
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
        let recent = line.recent_bps(Instant::from_micros(at));
        assert!((recent - 1.6e6).abs() < 4e5, "{recent}");
        at += 3_000_000;
        line.received(Instant::from_micros(at), 1_000);
        let recent = line.recent_bps(Instant::from_micros(at));
        assert!(recent <= 16_000.0, "what came before the pause is forgotten: {recent}");
        assert_eq!(line.bytes, 30 * 55_000 + 1_000);
    }
}
