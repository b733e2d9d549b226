//! Keeps a live viewer at one distance from the edge, by a rate that nobody hears.
//!
//! Where the edge is comes from the playlists' growth on the session's own clock, never from the viewer's wall clock,
//! which may be wrong by a day: media that is on the timeline up to `end` when it is loaded at `now` was out by then, so
//! the edge is at least `end - now` ahead of the session's clock. The largest of these differences over the last loads
//! is the one with the least delay.

use std::time::Duration;

use super::Player;
use super::load::Load;
use crate::io::{MediaCommand, Output, Playhead};
use crate::time::Instant;

/// After this long the largest difference is looked for anew, so that an encoder that fell behind is followed.
const WINDOW: Duration = Duration::from_secs(20);
/// Seconds that the latency of whole segments, and of parts, may be off without a change of rate: as parts of a unit.
const DEAD_BAND: f64 = 0.5;
/// Change of rate per second of latency too much.
const GAIN: f64 = 0.1;
/// The rate is changed in steps, so that the page hears of it seldom.
const STEP: f64 = 0.01;
/// Shortest time between two changes.
const REST: Duration = Duration::from_secs(1);
/// What a rebuffer adds to the target, in units, and all of them together at most, in seconds.
const STALL_UNITS: f64 = 1.0;
const MAX_EXTRA: f64 = 4.0;
/// After this long without a rebuffer half of what was added is taken back.
const FORGIVE: Duration = Duration::from_secs(60);
/// With peers, parts are played so many of them later at most, up to so many seconds behind the edge: at first, and where they
/// come late from peers.
const SHARE_UNITS: f64 = 2.0;
const MAX_SHARED: f64 = 2.4;
/// Half of that is taken back when for so long this many seconds would have been buffered without that half.
const CALM: Duration = Duration::from_secs(5);
const HEADROOM: f64 = 0.5;
/// Longest time from the camera to publication that is believed, in seconds.
const MAX_DELAY: f64 = 10.0;
/// With less than this ahead, in units, playback is not sped up.
const SAFE_UNITS: f64 = 1.5;

/// Where the live edge is, on the timeline.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LiveClock {
    /// Largest differences in the present window and in the one before.
    largest: [Option<f64>; 2],
    since: Instant,
}

impl LiveClock {
    /// A playlist that ends at `end` (s) was loaded.
    pub(super) fn observe(&mut self, now: Instant, end: f64) {
        if now.since(self.since) > WINDOW {
            self.largest = [None, self.largest[0]];
            self.since = now;
        }
        let ahead = end - now.as_secs_f64();
        self.largest[0] = Some(self.largest[0].map_or(ahead, |known| known.max(ahead)));
    }

    /// Where the edge is now, in seconds of the timeline; `None` before the first playlist.
    pub(super) fn edge(&self, now: Instant) -> Option<f64> {
        let ahead = self.largest.iter().flatten().copied().reduce(f64::max)?;
        Some(now.as_secs_f64() + ahead)
    }
}

/// What is added to the target, and when that changed.
#[derive(Debug, Clone, Copy, Default)]
struct Margin {
    added: f64,
    at: Instant,
}

impl Margin {
    fn raise(&mut self, now: Instant, by: f64, most: f64) {
        *self = Self { added: (self.added + by).min(most), at: now };
    }

    /// Takes half of it back if it has not been raised for so long.
    fn forgive(&mut self, now: Instant, after: Duration) {
        if self.added > 0.0 && now.since(self.at) > after {
            *self = Self { added: if self.added < 0.05 { 0.0 } else { self.added / 2.0 }, at: now };
        }
    }
}

/// What the controller looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation {
    /// Seconds behind the edge.
    pub(super) latency: f64,
    /// What the playlist or the page asks for, in seconds.
    pub(super) target: f64,
    /// Seconds by which the playlist grows at a time.
    pub(super) unit: f64,
    /// Seconds buffered ahead of the playhead.
    pub(super) ahead: f64,
    /// Rebuffers since loading.
    pub(super) rebuffers: u64,
    /// How far from 1 the rate may be.
    pub(super) most: f64,
}

/// Sets the rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Controller {
    pub(super) clock: LiveClock,
    /// The rate that was set last, and the one before.
    set: [f64; 2],
    set_at: Instant,
    /// By rebuffers, in seconds.
    stalls: Margin,
    rebuffers: u64,
    /// By the way that parts take from peer to peer, in units.
    sharing: Margin,
    /// The viewer plays at the edge, and not where they sought to.
    following: bool,
    /// It is to be decided anew: they have sought or paused.
    moved: bool,
    /// Playback has begun.
    begun: bool,
}

impl Default for Controller {
    fn default() -> Self {
        Self {
            clock: LiveClock::default(),
            set: [1.0; 2],
            set_at: Instant::default(),
            stalls: Margin::default(),
            rebuffers: 0,
            sharing: Margin { added: SHARE_UNITS, at: Instant::default() },
            following: false,
            moved: true,
            begun: false,
        }
    }
}

impl Controller {
    /// A part has to be asked of the origin: peers would bring it too late.
    pub(super) fn part_late(&mut self, now: Instant) {
        self.sharing.raise(now, 1.0, SHARE_UNITS);
    }

    /// The viewer has sought: whoever does so stays there.
    pub(super) const fn moved(&mut self) {
        self.moved = true;
    }

    /// The rate to set, if it is another than now.
    pub(super) fn run(&mut self, now: Instant, playhead: &Playhead, at: Situation) -> Option<f64> {
        if at.rebuffers > self.rebuffers {
            self.rebuffers = at.rebuffers;
            self.stalls.raise(now, STALL_UNITS * at.unit, MAX_EXTRA.min(at.target));
        }
        self.stalls.forgive(now, FORGIVE);
        if playhead.paused || playhead.seeking {
            self.moved = true;
            return None;
        }
        if playhead.ready_state < 3 {
            return None;
        }
        // Counted from the end of the playlist, which is half a unit behind the edge on average.
        let target = at.target + at.unit / 2.0 + self.stalls.added;
        let error = at.latency - target;
        if std::mem::take(&mut self.moved) {
            self.following = error.abs() < (2.0 * at.unit).max(3.0);
        }
        let own = [1.0, self.set[0], self.set[1]];
        if !own.iter().any(|rate| (playhead.rate - rate).abs() < 1e-3) {
            // The page has a rate of its own.
            self.set = [1.0; 2];
            return None;
        }
        let band = DEAD_BAND * at.unit;
        let wanted = if !self.following || error.abs() < band && self.set[0] == 1.0 {
            1.0
        } else if error > 0.0 && at.ahead < SAFE_UNITS * at.unit {
            self.set[0].min(1.0)
        } else if error.abs() < band / 2.0 {
            1.0
        } else {
            1.0 + (error * GAIN).clamp(-at.most, at.most)
        };
        let wanted = (wanted / STEP).round() * STEP;
        let rested = now.since(self.set_at) >= REST;
        // What the page reports may be older than what was set.
        let current = if rested { playhead.rate } else { self.set[0] };
        if (wanted - current).abs() < STEP / 2.0 || !rested {
            return None;
        }
        self.set = [wanted, self.set[0]];
        self.set_at = now;
        Some(wanted)
    }
}

impl Player {
    /// The playlist in use has been loaded: its end tells where the edge is.
    pub(super) fn edge_loaded(&mut self, now: Instant, index: usize, changed: bool, reset: bool) {
        if reset {
            self.latency.clock = LiveClock::default();
        }
        if let Some(playlist) = self.title.lists[index].playlist.as_ref().filter(|_| changed) {
            self.latency.clock.observe(now, playlist.edge());
        }
    }

    /// Seconds between what is being published and the playhead: what the playlists' growth says, and where segments
    /// have dates and the viewer's clock agrees with them, what passed before publication too.
    pub(super) fn live_latency(&self, now: Instant) -> Option<f64> {
        let track = self.tracks.first()?;
        let list = &self.title.lists[track.list];
        let playlist = list.playlist.as_ref().filter(|playlist| !playlist.end_list)?;
        let edge = self.latency.clock.edge(now)?;
        let last = playlist.segments.last()?;
        let wall = self.playhead.wall_clock_ms + now.since(self.playhead_at).as_secs_f64() * 1000.0;
        let delay = playlist
            .program_date_time(last)
            .map(|date| (wall - date) / 1000.0 - (edge - last.start))
            // A clock that is wrong, the viewer's or the encoder's, says nothing.
            .filter(|delay| (0.0..MAX_DELAY).contains(delay));
        Some(edge - self.position(now) + delay.unwrap_or(0.0))
    }

    /// Speeds up or slows down whoever follows a live stream.
    #[inline(never)]
    pub(super) fn run_latency(&mut self, now: Instant) {
        if self.load != Load::Playing {
            return;
        }
        let Some(list) = self.tracks.first().map(|track| &self.title.lists[track.list]) else {
            return;
        };
        let Some(playlist) = list.playlist.as_ref().filter(|playlist| !playlist.end_list) else {
            return;
        };
        let Some(edge) = self.latency.clock.edge(now) else { return };
        let unit = playlist.part_target.filter(|_| list.by_parts);
        let asked = self.config.live_latency.unwrap_or_else(|| list.hold_back());
        let peers = self.swarm.as_ref().is_some_and(|swarm| swarm.ready_peers() > 0);
        let ahead = self.buffer_ahead(now);
        let sharing = &mut self.latency.sharing;
        if unit.is_some_and(|unit| ahead < HEADROOM + unit * sharing.added / 2.0) {
            sharing.at = now;
        }
        sharing.forgive(now, CALM);
        let share = unit.filter(|_| peers && self.config.live_latency.is_none()).unwrap_or(0.0);
        let share = (sharing.added * share).min((MAX_SHARED - asked).max(0.0));
        let situation = Situation {
            latency: edge - self.position(now),
            target: asked + share,
            unit: unit.unwrap_or(playlist.target_duration),
            ahead,
            rebuffers: self.stats.rebuffers.into(),
            most: self.config.live_rate,
        };
        if !std::mem::replace(&mut self.latency.begun, true)
            && list.by_parts
            && self.config.start_position.is_none()
        {
            // What passed until the first frame is not made up for by a rate: nobody has seen anything yet.
            let late = situation.latency - situation.target - situation.unit;
            let skip = late.min(situation.ahead - SAFE_UNITS * situation.unit);
            if skip > 2.0 * situation.unit {
                let to = self.position(now) + skip;
                self.outputs.push_back(Output::Media(MediaCommand::Seek(to)));
                return;
            }
        }
        if let Some(rate) = self.latency.run(now, &self.playhead, situation) {
            self.outputs.push_back(Output::Media(MediaCommand::SetRate(rate)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Instant {
        Instant::from_micros((seconds * 1e6) as u64)
    }

    /// A viewer in virtual time, who does what the controller says.
    struct Viewer {
        controller: Controller,
        now: f64,
        latency: f64,
        rate: f64,
        situation: Situation,
    }

    impl Viewer {
        fn new(latency: f64, target: f64, unit: f64) -> Self {
            let situation =
                Situation { latency, target, unit, ahead: 10.0, rebuffers: 0, most: 0.05 };
            Self { controller: Controller::default(), now: 100.0, latency, rate: 1.0, situation }
        }

        fn watch(&mut self, seconds: f64) -> Vec<f64> {
            let mut rates = Vec::new();
            let end = self.now + seconds;
            while self.now < end {
                let playhead = Playhead { rate: self.rate, ready_state: 4, ..Playhead::default() };
                let situation = Situation { latency: self.latency, ..self.situation };
                if let Some(rate) = self.controller.run(at(self.now), &playhead, situation) {
                    self.rate = rate;
                    rates.push(rate);
                }
                self.now += 0.25;
                self.latency += 0.25 * (1.0 - self.rate);
            }
            rates
        }
    }

    #[test]
    fn who_is_behind_catches_up_within_the_bounds_and_then_plays_at_normal_speed() {
        let mut viewer = Viewer::new(4.0, 1.6, 0.4);
        let rates = viewer.watch(120.0);
        assert!(rates.iter().all(|rate| (0.95..=1.05 + 1e-9).contains(rate)), "{rates:?}");
        assert_eq!(rates.first().copied(), Some(1.05));
        assert_eq!(viewer.rate, 1.0, "{rates:?}");
        assert!((viewer.latency - 1.8).abs() < 0.2, "{}", viewer.latency);
        assert!(rates.len() < 12, "it is heard of seldom: {rates:?}");
    }

    #[test]
    fn who_is_too_close_falls_back() {
        let mut viewer = Viewer::new(0.9, 1.6, 0.4);
        let rates = viewer.watch(60.0);
        assert!(rates.iter().all(|rate| *rate <= 1.0), "{rates:?}");
        assert!((viewer.latency - 1.8).abs() < 0.2, "{}", viewer.latency);
    }

    #[test]
    fn within_the_dead_band_nothing_happens() {
        assert!(Viewer::new(1.9, 1.6, 0.4).watch(60.0).is_empty());
        // Whole segments: anywhere in the segment that a viewer joined in.
        assert!(Viewer::new(12.3, 12.0, 4.0).watch(60.0).is_empty());
        assert!(Viewer::new(15.7, 12.0, 4.0).watch(60.0).is_empty());
    }

    #[test]
    fn a_rebuffer_raises_the_target_by_a_bounded_amount_and_time_forgives_it() {
        let mut viewer = Viewer::new(1.8, 1.6, 0.4);
        viewer.watch(5.0);
        viewer.situation.rebuffers = 1;
        viewer.latency += 0.5;
        viewer.watch(50.0);
        assert!((viewer.latency - 2.2).abs() < 0.3, "{}", viewer.latency);
        viewer.situation.rebuffers = 50;
        for _ in 0..50 {
            viewer.situation.rebuffers += 1;
            viewer.watch(1.0);
        }
        let added = viewer.controller.stalls.added;
        assert!(added <= 1.6 + 1e-9, "{added}");
        viewer.watch(900.0);
        assert_eq!(viewer.controller.stalls.added, 0.0);
    }

    #[test]
    fn a_late_part_adds_a_unit_up_to_two_and_calm_takes_them_back_by_halves() {
        let mut controller = Controller::default();
        let added = |of: &Controller| of.sharing.added;
        controller.part_late(at(1.0));
        assert_eq!(added(&controller), 2.0, "as at first");
        controller.sharing.forgive(at(5.0), CALM);
        assert_eq!(added(&controller), 2.0, "not for five seconds");
        controller.sharing.forgive(at(7.0), CALM);
        controller.sharing.forgive(at(8.0), CALM);
        assert_eq!(added(&controller), 1.0);
        controller.part_late(at(9.0));
        assert_eq!(added(&controller), 2.0);
        (2..10).for_each(|nth| controller.sharing.forgive(at(10.0 * f64::from(nth)), CALM));
        assert_eq!(added(&controller), 0.0);
    }

    #[test]
    fn who_seeks_back_stays_there_and_who_returns_is_kept_at_the_edge_again() {
        let mut viewer = Viewer::new(1.8, 1.6, 0.4);
        viewer.watch(5.0);
        viewer.controller.moved();
        viewer.latency = 25.0;
        assert!(viewer.watch(60.0).is_empty());
        viewer.controller.moved();
        viewer.latency = 3.0;
        assert_eq!(viewer.watch(1.0), [1.05]);
    }

    #[test]
    fn a_page_with_a_rate_of_its_own_is_left_alone() {
        let mut viewer = Viewer::new(4.0, 1.6, 0.4);
        viewer.rate = 1.5;
        assert!(viewer.watch(1.0).is_empty());
        viewer.latency = 4.0;
        viewer.rate = 1.0;
        assert_eq!(viewer.watch(1.0), [1.05]);
    }

    #[test]
    fn an_empty_buffer_is_not_played_faster() {
        let mut viewer = Viewer::new(4.0, 1.6, 0.4);
        viewer.situation.ahead = 0.3;
        assert!(viewer.watch(20.0).is_empty());
    }

    #[test]
    fn the_edge_is_found_by_the_quickest_load_and_follows_an_encoder_that_fell_behind() {
        let mut clock = LiveClock::default();
        assert_eq!(clock.edge(at(1.0)), None);
        // Segments of 4 s, published at multiples of 4 s of the timeline, looked at with some delay.
        for (now, end) in [(105.0, 4.0), (109.9, 8.0), (112.1, 12.0), (117.0, 16.0)] {
            clock.observe(at(now), end);
        }
        assert!((clock.edge(at(120.0)).unwrap() - 19.9).abs() < 1e-6);
        // Ten seconds of silence, and on it goes.
        for step in 0..15 {
            clock.observe(at(130.0 + 4.0 * f64::from(step)), 16.0 + 4.0 * f64::from(step));
        }
        assert!((clock.edge(at(190.0)).unwrap() - 76.0).abs() < 1e-6);
    }
}
