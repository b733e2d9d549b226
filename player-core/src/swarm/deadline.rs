//! When the origin has to be asked so that nobody stalls.

use std::time::Duration;

use crate::time::Instant;

/// Part of the measured throughput that is counted on.
const CAUTION: f64 = 0.7;
/// Seconds of reserve.
const RESERVE: f64 = 0.8;

/// The last moment to ask the origin for `missing` bytes that are needed by `deadline`, with the origin's
/// throughput in bit/s and its latency in seconds. `jitter` (0 to 1) spreads viewers who wait for the same bytes:
/// up to a tenth of the time needed, earlier.
pub(crate) fn fallback_time(
    deadline: Instant,
    missing: u64,
    bandwidth_bps: f64,
    latency: f64,
    jitter: f64,
) -> Instant {
    let transfer = missing as f64 * 8.0 / (bandwidth_bps * CAUTION).max(1.0);
    let needed = (transfer + 2.0 * latency + RESERVE) * (1.0 + 0.1 * jitter);
    deadline - Duration::from_secs_f64(needed.min(3600.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_megabytes_at_ten_megabits_need_about_three_seconds() {
        let deadline = Instant::from_micros(10_000_000);
        let at = fallback_time(deadline, 2_000_000, 10e6, 0.1, 0.0);
        let before = deadline.since(at).as_secs_f64();
        assert!((before - 3.286).abs() < 0.01, "{before}");
        assert!(
            fallback_time(deadline, 1_000_000, 10e6, 0.1, 0.0) > at,
            "fewer bytes can wait longer"
        );
        assert!(fallback_time(deadline, 2_000_000, 10e6, 0.1, 1.0) < at);
    }
}
