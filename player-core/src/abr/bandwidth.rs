//! Throughput of the origin, in whose samples only its bytes count: a peer's or a cache's say nothing of it. Beside it, what
//! comes over the viewer's line in all while the origin sends.

use std::time::Duration;

use crate::time::Instant;

/// Seconds of transfer after which a fast sample has lost half its weight.
const FAST_HALF_LIFE: f64 = 3.0;
/// The same for the slow average.
const SLOW_HALF_LIFE: f64 = 9.0;
/// Transfers shorter than this are latency, not throughput.
const MIN_SAMPLE_BYTES: u64 = 16 << 10;
/// Seconds within which only a cache, or a neighbour, answers.
const CACHE_LATENCY: f64 = 0.005;
/// A transfer is sampled this often while it is under way.
const SAMPLE_TIME: Duration = Duration::from_millis(500);
/// Seconds that a transfer weighs at most beyond the time that it took.
const MAX_WEIGHT: f64 = 2.0;
/// A transfer counts as so many times what came of late, at most.
const MOST_OF_RECENT: f64 = 12.0;
/// Seconds of a pause between two transfers, beside two of the latency, that are none for the line.
const PAUSE: f64 = 0.05;
/// Weight of a slow average that rests on four or five seconds.
const PROVED: f64 = 0.3;
/// No line is believed to be faster: a response out of the browser's cache has no duration.
const MAX_BPS: f64 = 1e9;

#[derive(Debug, Clone, Copy, Default)]
struct Ewma {
    estimate: f64,
    weight: f64,
}

impl Ewma {
    fn sample(&mut self, half_life: f64, seconds: f64, bps: f64) {
        let keep = halved(seconds / half_life);
        self.estimate = self.estimate * keep + bps * (1.0 - keep);
        self.weight = self.weight * keep + (1.0 - keep);
    }

    fn value(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.estimate / self.weight)
    }
}

/// What is left of 1 after so many half-lives. The same bits on each machine, which `powf` does not promise, and
/// without its table.
fn halved(times: f64) -> f64 {
    let whole = times.floor().clamp(0.0, 1022.0);
    let exponent = (times - whole).clamp(0.0, 1.0) * -std::f64::consts::LN_2;
    let (mut sum, mut term) = (1.0, 1.0);
    // The series of e^x: the 18th term of an x from -ln 2 to 0 is too small to matter.
    for n in 1..18_u8 {
        term *= exponent / f64::from(n);
        sum += term;
    }
    sum * f64::from_bits((1023 - whole as u64) << 52)
}

/// A fast and a slow average.
#[derive(Debug, Clone, Copy, Default)]
struct Averages {
    fast: Ewma,
    slow: Ewma,
}

impl Averages {
    fn sample(&mut self, seconds: f64, bps: f64) {
        self.fast.sample(FAST_HALF_LIFE, seconds, bps);
        self.slow.sample(SLOW_HALF_LIFE, seconds, bps);
    }

    /// The lower of both, and the slow one.
    fn values(&self) -> Option<(f64, f64)> {
        let slow = self.slow.value()?;
        Some((slow.min(self.fast.value()?), slow))
    }
}

/// Measures all transfers from the origin together: bytes over the time in which at least one was under way.
#[derive(Debug, Clone)]
pub(crate) struct BandwidthEstimator {
    origin: Averages,
    all: Averages,
    initial_bps: f64,
    active: u32,
    since: Instant,
    /// Since when the origin has sent without a pause.
    sending_since: Instant,
    /// When the last transfer ended.
    ended_at: Instant,
    busy: Duration,
    bytes: u64,
    /// What came meanwhile from others.
    other_bytes: u64,
    /// Bit/s that came over the line of late.
    recent_bps: f64,
    /// Smoothed time to first byte, in seconds.
    latency: f64,
    /// The same without a guess at its beginning, and slow to believe in what a cache may have given.
    usual: f64,
}

impl BandwidthEstimator {
    /// `initial_bps` is the answer until something has been measured.
    pub(crate) fn new(initial_bps: f64) -> Self {
        Self {
            origin: Averages::default(),
            all: Averages::default(),
            initial_bps,
            active: 0,
            since: Instant::default(),
            sending_since: Instant::default(),
            ended_at: Instant::default(),
            busy: Duration::ZERO,
            bytes: 0,
            other_bytes: 0,
            recent_bps: f64::INFINITY,
            latency: 0.1,
            usual: 0.0,
        }
    }

    /// Bit/s: the lower of a fast and a slow average.
    pub(crate) fn bps(&self) -> f64 {
        self.origin.values().map_or(self.initial_bps, |values| values.0)
    }

    /// Bit/s: the slow average.
    pub(crate) fn slow_bps(&self) -> f64 {
        self.origin.values().map_or(self.initial_bps, |values| values.1)
    }

    /// Whether anything has been measured.
    pub(crate) const fn is_measured(&self) -> bool {
        self.origin.fast.weight > 0.0
    }

    /// Bit/s, fast and slow, that come in all while the origin sends, once that is [`PROVED`].
    pub(crate) fn all_bps(&self) -> Option<(f64, f64)> {
        self.all.values().filter(|_| self.all.slow.weight >= PROVED)
    }

    /// How long the origin has sent without a pause.
    pub(crate) fn sends_for(&self, now: Instant) -> Duration {
        if self.active > 0 { now.since(self.sending_since) } else { Duration::ZERO }
    }

    /// Seconds from a request to its response's head.
    pub(crate) const fn latency(&self) -> f64 {
        self.latency
    }

    /// A response's head came this long after its request. False when it came out of the browser's own cache, by how
    /// soon that was: then its bytes say nothing of the line. Where all come so soon, the line has become so good.
    pub(crate) fn head(&mut self, now: Instant, after: Duration) -> bool {
        let after = after.as_secs_f64();
        let cached = self.is_measured() && after < CACHE_LATENCY && after < self.usual / 4.0;
        let weight = match (self.is_measured(), cached) {
            (false, _) => 1.0,
            (true, false) => 0.3,
            (true, true) => 0.1,
        };
        self.usual += (after - self.usual) * weight;
        if cached {
            return false;
        }
        self.latency += (after - self.latency) * 0.3;
        self.began(now);
        true
    }

    /// From now on a transfer's bytes count.
    pub(crate) fn began(&mut self, now: Instant) {
        if self.active == 0 {
            self.since = now;
            if now.since(self.ended_at).as_secs_f64() > 2.0 * self.latency + PAUSE {
                self.sending_since = now;
            }
        }
        self.active += 1;
    }

    /// Body bytes came. What a long transfer brings counts while it is under way. `recent_bps` is what came over the line
    /// of late, if it may have been idle: the first that comes then may be what it saved up (a token bucket).
    pub(crate) fn received(&mut self, now: Instant, bytes: usize, recent_bps: f64) {
        self.recent_bps = recent_bps;
        self.bytes += bytes as u64;
        if self.busy + now.since(self.since) >= SAMPLE_TIME {
            self.sample(now);
        }
    }

    /// Bytes came from elsewhere.
    pub(crate) const fn received_beside(&mut self, bytes: usize) {
        if self.active > 0 {
            self.other_bytes += bytes as u64;
        }
    }

    /// A transfer whose head had come ended, in whichever way.
    pub(crate) fn ended(&mut self, now: Instant) {
        self.sample(now);
        self.active = self.active.saturating_sub(1);
        self.ended_at = now;
    }

    fn sample(&mut self, now: Instant) {
        self.busy += now.since(self.since);
        self.since = now;
        if self.bytes < MIN_SAMPLE_BYTES {
            return;
        }
        let seconds = self.busy.as_secs_f64().max(self.bytes as f64 * 8.0 / MAX_BPS);
        let bps = (self.bytes as f64 * 8.0 / seconds).min(self.recent_bps * MOST_OF_RECENT);
        let proved = self.all.values().is_none_or(|(_, believed)| self.recent_bps >= believed);
        let weight = if bps > self.slow_bps() && !proved {
            // It may be what the line saved up: it weighs no more than its time.
            seconds
        } else {
            // A short transfer at a high rate counts as much as a long one at a low rate: it weighs as the time that its
            // bytes were thought to take.
            let thought = self.bytes as f64 * 8.0 / self.slow_bps().max(1.0);
            seconds.max(thought.min(MAX_WEIGHT)).max(0.1)
        };
        self.origin.sample(weight, bps);
        self.all.sample(weight, bps + self.other_bytes as f64 * 8.0 / seconds);
        self.busy = Duration::ZERO;
        self.bytes = 0;
        self.other_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer(estimator: &mut BandwidthEstimator, at_ms: u64, bytes: usize, ms: u64) {
        estimator.head(Instant::from_micros(at_ms * 1000), Duration::from_millis(50));
        estimator.received(Instant::from_micros((at_ms + ms) * 1000), bytes, f64::INFINITY);
        estimator.ended(Instant::from_micros((at_ms + ms) * 1000));
    }

    #[test]
    fn weights_halve_with_each_half_life() {
        for times in [0.0, 1e-9, 0.1, 0.5, 0.999, 1.0, 1.5, 7.3, 52.0, 300.25] {
            let expected = 0.5_f64.powf(times);
            assert!((halved(times) / expected - 1.0).abs() < 1e-15, "{times}");
        }
        assert!(halved(1e9) < 1e-300);
        assert!(halved(f64::NAN).is_nan());
    }

    #[test]
    fn the_first_guess_holds_until_something_is_measured() {
        let mut estimator = BandwidthEstimator::new(2e6);
        assert_eq!(estimator.bps(), 2e6);
        transfer(&mut estimator, 0, 1000, 1);
        assert_eq!(estimator.bps(), 2e6, "a thousand bytes measure latency");
        transfer(&mut estimator, 10, 500_000, 1000);
        assert!((estimator.bps() - 4e6).abs() < 4e4, "{}", estimator.bps());
    }

    #[test]
    fn two_transfers_at_once_share_the_line() {
        let mut estimator = BandwidthEstimator::new(1e6);
        let ms = |at: u64| Instant::from_micros(at * 1000);
        estimator.head(ms(0), Duration::ZERO);
        estimator.head(ms(0), Duration::ZERO);
        estimator.received(ms(400), 250_000, f64::INFINITY);
        estimator.received(ms(400), 250_000, f64::INFINITY);
        estimator.ended(ms(1000));
        estimator.ended(ms(1000));
        assert!((estimator.bps() - 4e6).abs() < 1e4, "{}", estimator.bps());
    }

    #[test]
    fn what_comes_from_others_while_the_origin_sends_is_counted_beside() {
        let mut estimator = BandwidthEstimator::new(1e6);
        estimator.received_beside(1_000_000);
        for second in 0..6 {
            assert_eq!(estimator.all_bps().is_some(), second >= 5, "{second}");
            let ms = |at: u64| Instant::from_micros((second * 1000 + at) * 1000);
            estimator.head(ms(0), Duration::from_millis(50));
            estimator.received_beside(250_000);
            estimator.received(ms(1000), 125_000, f64::INFINITY);
            estimator.ended(ms(1000));
        }
        assert!((estimator.bps() - 1e6).abs() < 1e4, "{}", estimator.bps());
        let (fast, slow) = estimator.all_bps().expect("it is proved");
        assert!((fast - 3e6).abs() < 1e4 && (slow - 3e6).abs() < 1e4, "{fast} {slow}");
    }

    #[test]
    fn a_drop_is_believed_sooner_than_a_rise() {
        let mut estimator = BandwidthEstimator::new(1e6);
        for second in 0..20 {
            transfer(&mut estimator, second * 1000, 1_000_000, 1000);
        }
        transfer(&mut estimator, 20_000, 100_000, 2000);
        let dropped = estimator.bps();
        assert!(dropped < 6e6, "{dropped}");
        transfer(&mut estimator, 23_000, 2_000_000, 2000);
        assert!(estimator.bps() < 8e6, "{}", estimator.bps());
    }

    #[test]
    fn what_an_idle_line_gives_at_once_is_not_what_it_carries() {
        let mut estimator = BandwidthEstimator::new(1e6);
        let short = |estimator: &mut BandwidthEstimator, at_ms: u64, recent_bps: f64| {
            let ms = |at: u64| Instant::from_micros(at * 1000);
            estimator.head(ms(at_ms), Duration::from_millis(50));
            estimator.received(ms(at_ms + 20), 125_000, recent_bps);
            estimator.ended(ms(at_ms + 20));
        };
        for second in 0..5 {
            transfer(&mut estimator, second * 1000, 250_000, 1000);
        }
        for second in 5..15 {
            short(&mut estimator, second * 1000, 1.5e6);
        }
        assert!(estimator.bps() < 3e6, "2 Mbit/s, and 10 of 50 for 20 ms: {}", estimator.bps());
        for second in 15..25 {
            short(&mut estimator, second * 1000, 9e6);
        }
        assert!(estimator.bps() > 9e6, "now the line proves it: {}", estimator.bps());
    }

    #[test]
    fn what_the_browser_had_already_says_nothing_of_the_line() {
        let mut estimator = BandwidthEstimator::new(1e6);
        transfer(&mut estimator, 0, 500_000, 1000);
        assert!(!estimator.head(Instant::from_micros(2_000_000), Duration::from_millis(1)));
        // But where each answer comes so soon, it is the line.
        let soon = |_| estimator.head(Instant::default(), Duration::from_millis(1));
        assert!((0..100).any(soon));
    }
}
