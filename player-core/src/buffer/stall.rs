//! Notices that playback stands still though bytes are there, and what to do about it.

use std::time::Duration;

use super::ranges::{Ranges, TOLERANCE};
use crate::io::Playhead;
use crate::time::Instant;
use crate::trace::Cause;

/// Standing still this long with bytes at the playhead is a stall of the decoder.
const STALL: Duration = Duration::from_millis(1200);
/// With plenty of them, by the element's own word, it is one after this long.
const HIGH_BUFFER_STALL: Duration = Duration::from_secs(2);
/// A seek with bytes at its place that takes this long is stuck.
const SEEK_STALL: Duration = Duration::from_millis(3600);
/// Longer between two looks, and the machine has slept: what stood still did so for that.
const SLEEP: Duration = Duration::from_secs(5);
/// A hole in front of the playhead up to this long is jumped at once, in seconds.
const SMALL_HOLE: f64 = 0.5;
/// Browsers stop up to this long before the end of what is buffered, in seconds.
const EDGE: f64 = 0.25;
/// A jump takes up to this long to show in the playhead.
const JUMP: Duration = Duration::from_millis(250);
/// Nudges before the media source is opened again.
const NUDGES: u32 = 3;
/// A playhead that has come this far from where it was put plays, in seconds.
const FREE: f64 = 0.5;

/// What to do about a stall.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum StallAction {
    /// Set `currentTime` to this: the start of what is buffered behind a hole.
    JumpHole(f64),
    /// Set `currentTime` to this: a little forward wakes a stuck decoder.
    Nudge(f64),
    /// Nudges did not help: open the media source again.
    Reopen,
}

/// Watches the playhead. One deterministic machine: each action has one cause.
#[derive(Debug, Clone, Default)]
pub(crate) struct StallWatch {
    position: f64,
    /// When the playhead got there.
    since: Instant,
    /// When it was looked at last.
    seen: Option<Instant>,
    /// Actions taken for a stuck decoder since it last played.
    tries: u32,
    /// Where the last of them put the playhead.
    put: f64,
    /// When the last hole was jumped.
    jumped: Option<Instant>,
    /// It has played.
    started: bool,
}

impl StallWatch {
    /// Looks at the playhead; `fetching_hole` tells that the hole at the playhead is still being filled.
    pub(crate) fn observe(
        &mut self,
        now: Instant,
        playhead: &Playhead,
        buffered: &Ranges,
        fetching_hole: bool,
    ) -> Option<(Cause, StallAction)> {
        let slept = self.seen.is_none_or(|seen| now.since(seen) > SLEEP);
        self.seen = Some(now);
        let position = playhead.position;
        let moved = (position - self.position).abs() > 0.01;
        if (position - self.put).abs() > FREE {
            self.tries = 0;
        }
        if moved || slept {
            self.position = position;
            self.since = now;
            self.started |= moved && playhead.ready_state >= 3 && !playhead.seeking;
            if moved {
                return None;
            }
        }
        // A hole at the start is there before anything plays: `paused` or not, it is jumped.
        let still = now.since(self.since);
        let ahead = buffered.ahead(position);
        let next = buffered.next_start(position);
        // Not every browser begins right before what is buffered.
        let before = next.is_some_and(|next| next - position <= TOLERANCE) && still >= JUMP;
        if ahead < 0.05 || (ahead < EDGE || before) && playhead.ready_state < 3 {
            let next = next?;
            let small = next - position <= SMALL_HOLE;
            let again = self.jumped.is_none_or(|at| now.since(at) >= JUMP);
            let patience = if self.started { STALL } else { JUMP };
            if again && (small || !fetching_hole && still >= patience) {
                self.jumped = Some(now);
                let cause = if self.started { Cause::Hole } else { Cause::StartGap };
                return Some((cause, StallAction::JumpHole(next + 0.01)));
            }
            return None;
        }
        if playhead.paused || playhead.rate == 0.0 {
            self.since = now;
            return None;
        }
        if ahead <= 0.5 {
            return None;
        }
        let (cause, patience) = if playhead.seeking {
            (Cause::Seek, SEEK_STALL)
        } else if playhead.ready_state >= 3 {
            (Cause::HighBuffer, HIGH_BUFFER_STALL)
        } else {
            (Cause::Decoder, STALL)
        };
        if still < patience || self.tries > NUDGES {
            return None;
        }
        self.tries += 1;
        self.since = now;
        if self.tries > NUDGES {
            self.put = position;
            return Some((cause, StallAction::Reopen));
        }
        self.put = position + 0.1 * f64::from(self.tries);
        Some((cause, StallAction::Nudge(self.put)))
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

    /// Four looks a second until then.
    fn stands(
        watch: &mut StallWatch,
        playhead: &Playhead,
        buffered: &Ranges,
        fetching_hole: bool,
        ms: std::ops::Range<u64>,
    ) -> Vec<(Cause, StallAction)> {
        ms.step_by(250)
            .filter_map(|ms| watch.observe(at(ms), playhead, buffered, fetching_hole))
            .collect()
    }

    #[test]
    fn a_small_hole_is_jumped_at_once() {
        let mut watch = StallWatch::default();
        let buffered = Ranges::new(vec![0.3..8.0]);
        assert_eq!(
            watch.observe(at(10), &playhead(0.0), &buffered, true),
            Some((Cause::StartGap, StallAction::JumpHole(0.31)))
        );
    }

    #[test]
    fn a_large_hole_is_jumped_only_when_nobody_fills_it() {
        let mut watch = StallWatch::default();
        let buffered = Ranges::new(vec![0.0..4.0, 8.0..12.0]);
        let playing = Playhead { ready_state: 4, ..playhead(3.9) };
        watch.observe(at(0), &playing, &buffered, false);
        let hole = playhead(4.0);
        assert_eq!(stands(&mut watch, &hole, &buffered, true, 250..5000), []);
        assert_eq!(
            watch.observe(at(5100), &hole, &buffered, false),
            Some((Cause::Hole, StallAction::JumpHole(8.01)))
        );
    }

    #[test]
    fn a_hole_at_the_start_is_jumped_before_anything_plays() {
        let mut watch = StallWatch::default();
        let buffered = Ranges::new(vec![4.0..12.0]);
        let waiting = Playhead { paused: true, ready_state: 1, ..playhead(0.0) };
        let at_start: Vec<_> =
            (0..8).map(|step| watch.observe(at(step * 250), &waiting, &buffered, false)).collect();
        assert_eq!(at_start[0], None);
        assert_eq!(at_start[1], Some((Cause::StartGap, StallAction::JumpHole(4.01))));
        // The playhead has not said yet that it is there.
        assert_eq!(watch.observe(at(1900), &waiting, &buffered, false), None);
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
        assert!(matches!(
            watch.observe(at(1500), &playhead(7.88), &buffered, false),
            Some((_, StallAction::JumpHole(to))) if (to - 11.935).abs() < 1e-9
        ));
        let playing = Playhead { ready_state: 4, ..playhead(7.8) };
        assert_eq!(watch.observe(at(3000), &playing, &buffered, false), None);
    }

    #[test]
    fn a_stuck_decoder_is_nudged_three_times_and_opened_anew_once() {
        let mut watch = StallWatch::default();
        let buffered = Ranges::new(vec![0.0..40.0]);
        let mut position = 5.0;
        let mut actions = Vec::new();
        for step in 0..100 {
            // Each nudge moves the playhead, and it stands there again.
            match watch.observe(at(step * 250), &playhead(position), &buffered, false) {
                Some((Cause::Decoder, action)) => {
                    if let StallAction::Nudge(to) = action {
                        position = to;
                    }
                    actions.push(action);
                }
                None => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(actions.len(), 4, "{actions:?}");
        assert!(matches!(actions[0], StallAction::Nudge(to) if (to - 5.1).abs() < 1e-9));
        assert_eq!(actions[3], StallAction::Reopen);
    }

    #[test]
    fn a_decoder_that_played_since_is_helped_again() {
        let mut watch = StallWatch::default();
        let buffered = Ranges::new(vec![0.0..40.0]);
        assert_eq!(stands(&mut watch, &playhead(5.0), &buffered, false, 0..1500).len(), 1);
        for step in 0..8i32 {
            let playing = Playhead { ready_state: 4, ..playhead(5.5 + 0.25 * f64::from(step)) };
            watch.observe(at(1500 + 250 * step as u64), &playing, &buffered, false);
        }
        let again = stands(&mut watch, &playhead(7.25), &buffered, false, 3500..5000);
        assert_eq!(again, [(Cause::Decoder, StallAction::Nudge(7.35))]);
    }

    #[test]
    fn a_seek_that_never_ends_and_a_full_buffer_that_stands_have_their_own_patience() {
        let buffered = Ranges::new(vec![0.0..40.0]);
        let seeking = Playhead { seeking: true, ready_state: 1, ..playhead(9.0) };
        let mut watch = StallWatch::default();
        assert_eq!(stands(&mut watch, &seeking, &buffered, false, 0..3750), []);
        assert_eq!(stands(&mut watch, &seeking, &buffered, false, 3750..4000)[0].0, Cause::Seek);
        let full = Playhead { ready_state: 4, ..playhead(9.0) };
        let mut watch = StallWatch::default();
        assert_eq!(stands(&mut watch, &full, &buffered, false, 0..2000), []);
        assert_eq!(stands(&mut watch, &full, &buffered, false, 2000..2500)[0].0, Cause::HighBuffer);
        // A seek to right before what is buffered ends there.
        let mut watch = StallWatch::default();
        let before = Playhead { position: 15.92, ..seeking };
        let behind = Ranges::new(vec![16.0..40.0]);
        assert!(matches!(
            stands(&mut watch, &before, &behind, false, 0..500)[..],
            [(_, StallAction::JumpHole(to))] if (to - 16.01).abs() < 1e-9
        ));
        // A seek to where nothing is yet waits for it.
        let mut watch = StallWatch::default();
        let beyond = Playhead { position: 60.0, ..seeking };
        assert_eq!(stands(&mut watch, &beyond, &buffered, true, 0..20_000), []);
    }

    #[test]
    fn playing_pausing_and_sleeping_are_no_stalls() {
        let mut watch = StallWatch::default();
        let buffered = Ranges::new(vec![0.0..40.0]);
        for step in 0..40u64 {
            let mut state = playhead(step as f64 * 0.25);
            state.ready_state = 4;
            assert_eq!(watch.observe(at(step * 250), &state, &buffered, false), None);
        }
        let paused = Playhead { paused: true, ..playhead(9.75) };
        assert_eq!(stands(&mut watch, &paused, &buffered, false, 10_000..20_000), []);
        // An hour later the page says for the first time that it plays.
        assert_eq!(watch.observe(at(3_600_000), &playhead(9.75), &buffered, false), None);
    }
}
