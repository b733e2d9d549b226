//! Which variant the next segment is fetched of.

/// A variant that may be chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rung {
    /// Its place among the variants.
    pub(crate) index: usize,
    /// Bit/s over all, else of its largest segments.
    pub(crate) bitrate_bps: f64,
    /// How good it is: the server's word (`SCORE`), else its bit rate.
    pub(crate) quality: f64,
    /// Peers that watch it.
    pub(crate) peers: usize,
}

/// What the choice depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation {
    /// Throughput of the origin, bit/s: what can be relied on.
    pub(crate) bandwidth_bps: f64,
    /// The same over a longer time.
    pub(crate) slow_bps: f64,
    /// Seconds that can be played without another byte.
    pub(crate) buffer_ahead: f64,
    /// Seconds that the buffer can reach.
    pub(crate) reach: f64,
    /// Seconds of the longest segment.
    pub(crate) target_duration: f64,
    /// The last fall is long enough ago for a rise.
    pub(crate) settled: bool,
    /// The next segment will be late; one of so many bit/s would not.
    pub(crate) late: Option<f64>,
    /// The variant in use; `None` before the first segment.
    pub(crate) current: Option<usize>,
}

/// Qualities this close are the same: what the swarm has decides.
const SAME: f64 = 0.95;
/// How near a border is where what most of the swarm watches is held, as a factor.
const BORDER: f64 = 1.15;
/// Part that the first variant may take, when only a guess is there.
const START: f64 = 0.8;
/// Part of the measured throughput that a variant in use may take with an empty buffer, and what a full one adds:
/// it can pay for a while for what the line does not carry.
const KEEP: (f64, f64) = (0.6, 2.0);
/// Part that a higher variant may take.
const UP: f64 = 0.88;
/// Part of the reach that has to be buffered for a rise to a variant that takes all of the throughput.
const UP_BUFFER: f64 = 0.5;
/// Part of the reach that has to be buffered for a rise soon after a fall.
const CALM: f64 = 0.6;
/// Part that is taken after a fall.
const DOWN: (f64, f64) = (0.7, 0.25);

/// Index of the variant to fetch; `None` when there is none.
pub(crate) fn select(rungs: &[Rung], situation: &Situation) -> Option<usize> {
    let fits = |limit: f64| {
        let fitting = rungs.iter().filter(|rung| rung.bitrate_bps <= limit);
        let lowest = || rungs.iter().min_by(|a, b| a.bitrate_bps.total_cmp(&b.bitrate_bps));
        let best = fitting.max_by(|a, b| a.quality.total_cmp(&b.quality)).or_else(lowest)?;
        // Of what is as good, that which more peers have; and rather what is in use than something new.
        let alike = rungs.iter().filter(|rung| {
            rung.quality >= best.quality * SAME && rung.bitrate_bps <= best.bitrate_bps.max(limit)
        });
        alike.max_by_key(|rung| {
            (rung.peers, Some(rung.index) == situation.current, rung.index == best.index)
        })
    };
    let bps = situation.bandwidth_bps;
    let current = rungs.iter().find(|rung| Some(rung.index) == situation.current);
    let Some(current) = current else {
        return fits(bps * START).map(|rung| rung.index);
    };
    if let Some(limit) = situation.late {
        let lower = fits(limit.min(current.bitrate_bps * 0.99))?;
        return Some(if lower.quality < current.quality { lower.index } else { current.index });
    }
    let buffer = situation.buffer_ahead;
    // Beyond its reach it is twice full at most.
    let full = (buffer / situation.reach.max(1.0)).min(2.0);
    let calm_bps = if full > 0.5 { situation.slow_bps } else { bps };
    // What most of the swarm watches is held a step longer, and left a step later.
    let others: usize = rungs.iter().map(|rung| rung.peers).sum();
    let hold = if current.peers * 2 > others { BORDER } else { 1.0 };
    let up = fits(calm_bps * UP / hold)?;
    if up.quality > current.quality {
        // A rise needs a buffer to fall back on while the larger segment is on its way: the more, the less is to spare.
        // Until it is there nothing less is taken, which would be one switch more.
        let ready = buffer >= (1.5 * situation.target_duration).min(0.5 * situation.reach)
            && full * calm_bps >= UP_BUFFER * up.bitrate_bps
            && (situation.settled || full >= CALM);
        return Some(if ready { up.index } else { current.index });
    }
    if current.bitrate_bps > calm_bps * hold * (KEEP.0 + KEEP.1 * full) {
        return fits(bps * (DOWN.0 + DOWN.1 * full.min(1.0))).map(|rung| rung.index);
    }
    Some(current.index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rungs() -> Vec<Rung> {
        let rung = |(index, bps): (usize, &f64)| Rung {
            index,
            bitrate_bps: *bps,
            quality: *bps,
            peers: 0,
        };
        [300_000.0, 800_000.0, 2_000_000.0].iter().enumerate().map(rung).collect()
    }

    fn situation(bandwidth_bps: f64, buffer_ahead: f64, current: Option<usize>) -> Situation {
        Situation {
            bandwidth_bps,
            slow_bps: bandwidth_bps,
            buffer_ahead,
            reach: 30.0,
            target_duration: 4.0,
            settled: true,
            late: None,
            current,
        }
    }

    fn selected(bandwidth_bps: f64, buffer_ahead: f64, current: usize) -> usize {
        select(&rungs(), &situation(bandwidth_bps, buffer_ahead, Some(current))).expect("there are")
    }

    #[test]
    fn the_first_variant_fits_the_guess() {
        assert_eq!(select(&rungs(), &situation(2e6, 0.0, None)), Some(1));
        assert_eq!(select(&rungs(), &situation(1e5, 0.0, None)), Some(0));
        assert_eq!(select(&[], &situation(2e6, 0.0, None)), None);
    }

    #[test]
    fn a_rise_needs_a_margin_and_a_buffer() {
        assert_eq!(selected(5e6, 2.0, 0), 0, "no buffer");
        assert_eq!(selected(5e6, 8.0, 0), 2);
        assert_eq!(selected(2.1e6, 20.0, 1), 1, "no margin");
        assert_eq!(selected(2.4e6, 8.0, 1), 1, "the less margin, the more buffer");
        assert_eq!(selected(2.4e6, 14.0, 1), 2);
    }

    #[test]
    fn a_rise_skips_what_would_be_left_at_once() {
        assert_eq!(selected(2.4e6, 8.0, 0), 0, "it waits for the best rather than take the next");
    }

    #[test]
    fn a_rise_after_a_fall_waits() {
        let fallen = Situation { settled: false, ..situation(5e6, 12.0, Some(0)) };
        assert_eq!(select(&rungs(), &fallen), Some(0));
        assert_eq!(select(&rungs(), &Situation { buffer_ahead: 20.0, ..fallen }), Some(2));
    }

    #[test]
    fn a_low_latency_stream_rises_with_the_little_that_it_can_buffer() {
        let live = Situation { reach: 3.0, ..situation(5e6, 2.0, Some(0)) };
        assert_eq!(select(&rungs(), &live), Some(2));
    }

    #[test]
    fn a_full_buffer_pays_for_a_trough() {
        assert_eq!(selected(1.2e6, 28.0, 2), 2);
        assert_eq!(selected(1.2e6, 60.0, 2), 2);
        assert_eq!(selected(1.2e6, 8.0, 2), 1);
        assert_eq!(selected(0.9e6, 2.0, 2), 0, "with an empty one it falls far enough to fill it");
    }

    #[test]
    fn what_will_be_late_is_left_for_what_will_not() {
        let late = |limit| Situation { late: Some(limit), ..situation(1e6, 28.0, Some(2)) };
        assert_eq!(select(&rungs(), &late(1e6)), Some(1));
        assert_eq!(select(&rungs(), &late(1e5)), Some(0));
        assert_eq!(select(&rungs(), &Situation { current: Some(0), ..late(1e6) }), Some(0));
    }

    #[test]
    fn what_the_swarm_watches_is_taken_of_what_is_as_good_and_held_near_a_border() {
        let mut all = rungs();
        all.push(Rung { index: 3, bitrate_bps: 1_950_000.0, quality: 1_950_000.0, peers: 4 });
        assert_eq!(select(&all, &situation(5e6, 20.0, Some(0))), Some(3));
        let mut all = rungs();
        assert_eq!(select(&all, &situation(2.4e6, 20.0, Some(1))), Some(2));
        all[1].peers = 3;
        assert_eq!(select(&all, &situation(2.4e6, 20.0, Some(1))), Some(1), "near the border");
        assert_eq!(select(&all, &situation(5e6, 20.0, Some(1))), Some(2), "far from it");
    }

    #[test]
    fn the_servers_scores_say_what_is_better() {
        let mut all = rungs();
        (all[0].quality, all[1].quality, all[2].quality) = (1.0, 3.0, 2.0);
        assert_eq!(select(&all, &situation(9e6, 20.0, Some(0))), Some(1));
    }
}
