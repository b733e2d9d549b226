//! Notices that playback stands still though bytes are there, and what to do about it.

use std::time::Duration;

use super::Ranges;
use crate::io::Playhead;
use crate::time::Instant;

/// Standing still this long with bytes at the playhead is a stall of the decoder.
const STALL: Duration = Duration::from_millis(1200);
/// A hole in front of the playhead up to this long is jumped at once, in seconds.
const SMALL_HOLE: f64 = 0.5;
/// Browsers stop up to this long before the end of what is buffered, in seconds.
const EDGE: f64 = 0.25;
/// Nudges before giving up on this position.
const NUDGES: u32 = 3;

/// What to do about a stall.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum StallAction {
    /// Set `currentTime` to this: the start of what is buffered behind a hole.
    JumpHole(f64),
    /// Set `currentTime` to this: a little forward wakes a stuck decoder.
    Nudge(f64),
}

/// Watches the playhead. One deterministic machine: each action has one cause.
#[derive(Debug, Clone, Default)]
pub(crate) struct StallWatch {
    position: f64,
    since: Instant,
    nudges: u32,
}

impl StallWatch {
    /// Looks at the playhead; `fetching_hole` tells that the hole at the playhead is still being filled.
    pub(crate) fn observe(
        &mut self,
        now: Instant,
        playhead: &Playhead,
        buffered: &Ranges,
        fetching_hole: bool,
    ) -> Option<StallAction> {
        let moved = (playhead.position - self.position).abs() > 0.01;
        if moved {
            if playhead.ready_state >= 3 {
                self.nudges = 0;
            }
            self.position = playhead.position;
            self.since = now;
            return None;
        }
        // A hole at the start is there before anything plays: `paused` or not, it is jumped.
        let ahead = buffered.ahead(playhead.position);
        if ahead < 0.05 || ahead < EDGE && playhead.ready_state < 3 {
            let next = buffered.next_start(playhead.position)?;
            let small = next - playhead.position <= SMALL_HOLE;
            if small || (!fetching_hole && now.since(self.since) >= STALL) {
                return Some(StallAction::JumpHole(next + 0.01));
            }
            return None;
        }
        if playhead.paused {
            self.since = now;
            return None;
        }
        if playhead.seeking && now.since(self.since) < 3 * STALL {
            return None;
        }
        if ahead > 0.5 && now.since(self.since) >= STALL && self.nudges < NUDGES {
            self.nudges += 1;
            self.since = now;
            return Some(StallAction::Nudge(playhead.position + 0.1 * f64::from(self.nudges)));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    fn playhead(position: f64) -> Playhead {
        Playhead {
            position,
            rate: 1.0,
            paused: false,
            seeking: false,
            ready_state: 2,
            wall_clock_ms: 0.0,
        }
    }

    #[test]
    fn a_small_hole_is_jumped_at_once() {
        let mut watch = StallWatch::default();
        let buffered = Ranges::new(vec![0.3..8.0]);
        assert_eq!(
            watch.observe(at(10), &playhead(0.0), &buffered, true),
            Some(StallAction::JumpHole(0.31))
        );
    }

    #[test]
    fn a_large_hole_is_jumped_only_when_nobody_fills_it() {
        let mut watch = StallWatch::default();
        let buffered = Ranges::new(vec![0.0..4.0, 8.0..12.0]);
        watch.observe(at(0), &playhead(4.0), &buffered, true);
        assert_eq!(watch.observe(at(5000), &playhead(4.0), &buffered, true), None);
        assert_eq!(
            watch.observe(at(5100), &playhead(4.0), &buffered, false),
            Some(StallAction::JumpHole(8.01))
        );
    }

    #[test]
    fn a_hole_at_the_start_is_jumped_before_anything_plays() {
        let mut watch = StallWatch::default();
        let buffered = Ranges::new(vec![4.0..12.0]);
        let waiting = Playhead { paused: true, ready_state: 1, ..playhead(0.0) };
        let at_start: Vec<_> =
            (0..8).map(|step| watch.observe(at(step * 250), &waiting, &buffered, false)).collect();
        assert_eq!(at_start[..4], [None; 4]);
        assert_eq!(at_start[5], Some(StallAction::JumpHole(4.01)));
    }

    #[test]
    fn a_pause_is_no_stall() {
        let mut watch = StallWatch::default();
        let buffered = Ranges::new(vec![0.0..40.0]);
        let paused = Playhead { paused: true, ready_state: 4, ..playhead(5.0) };
        for step in 0..40 {
            assert_eq!(watch.observe(at(step * 250), &paused, &buffered, false), None);
        }
        assert_eq!(watch.observe(at(10_000), &playhead(5.0), &buffered, false), None);
    }

    #[test]
    fn a_hole_is_jumped_from_where_the_browser_stopped_before_it() {
        let mut watch = StallWatch::default();
        let buffered = Ranges::new(vec![0.0..7.936, 11.925..24.0]);
        watch.observe(at(0), &playhead(7.88), &buffered, false);
        assert_eq!(
            watch.observe(at(1500), &playhead(7.88), &buffered, false),
            Some(StallAction::JumpHole(11.935))
        );
        let playing = Playhead { ready_state: 4, ..playhead(7.8) };
        assert_eq!(watch.observe(at(3000), &playing, &buffered, false), None);
    }

    #[test]
    fn a_stuck_decoder_is_nudged_three_times_and_no_more() {
        let mut watch = StallWatch::default();
        let buffered = Ranges::new(vec![0.0..40.0]);
        let actions: Vec<_> = (0..100)
            .filter_map(|step| watch.observe(at(step * 250), &playhead(5.0), &buffered, false))
            .collect();
        assert_eq!(actions.len(), 3, "{actions:?}");
        assert!(matches!(actions[0], StallAction::Nudge(to) if (to - 5.1).abs() < 1e-9));
    }

    #[test]
    fn playing_and_pausing_are_no_stalls() {
        let mut watch = StallWatch::default();
        let buffered = Ranges::new(vec![0.0..40.0]);
        for step in 0..40u64 {
            let mut state = playhead(step as f64 * 0.25);
            state.ready_state = 4;
            assert_eq!(watch.observe(at(step * 250), &state, &buffered, false), None);
        }
        let paused = Playhead { paused: true, ..playhead(9.75) };
        for step in 40..80u64 {
            assert_eq!(watch.observe(at(step * 250), &paused, &buffered, false), None);
        }
    }
}
