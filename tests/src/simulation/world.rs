//! A simulated world: who watches what, over which lines, and what goes wrong.

use player_core::Config;
use player_core::config::P2pMode;
use serde::Serialize;
use std::sync::Arc;

use super::engine::Engine;
use super::origin::{Fault, Ranges};
use super::polluters::Pollution;
use super::report::Report;
use super::run::{Run, micros};
use super::title::{Title, mix};

/// No way is shorter (µs).
const LEAST_LATENCY: u64 = 1_000;
/// Longest step of a run for each viewer (µs): the more there are, the more happens in a step.
const STEP_PER_VIEWER: u64 = 20;

/// A world. Together with its seed it determines every event of a run.
#[derive(Debug, Clone)]
pub struct World {
    /// Everything random comes from it.
    pub seed: u64,
    /// Virtual seconds to run.
    pub seconds: f64,
    /// What is watched.
    pub title: Title,
    /// How many join.
    pub viewers: u32,
    /// Seconds between two joins; all join at once when 0.
    pub join_spacing: f64,
    /// Joins are a Poisson process with that mean spacing.
    pub poisson: bool,
    /// Share of viewers that is replaced in a minute, once all have joined.
    pub churn_per_minute: f64,
    /// Share of those who leave that vanish without a word.
    pub abrupt_share: f64,
    /// Seconds until a peer notices that another has vanished.
    pub dead_after: f64,
    /// Whether viewers leave when the film has ended.
    pub leave_at_end: bool,
    /// Uplink of each viewer.
    pub uplink_bps: u64,
    /// Downlink of each viewer.
    pub downlink_bps: u64,
    /// Downlink of each viewer in each second, over and over, in place of `downlink_bps`.
    pub downlink_trace: Option<Arc<[u64]>>,
    /// What a downlink carries in so many µs it gives at once after a pause: a token bucket.
    pub downlink_burst_us: u64,
    /// Mean latency between two viewers, one way, in ms.
    pub latency_ms: f64,
    /// Share of packets lost.
    pub loss: f64,
    /// Most bytes in flight on a data channel, per direction.
    pub channel_window: u32,
    /// Latency of origin and tracker beyond a viewer's own line, one way, in ms.
    pub origin_latency_ms: f64,
    /// What the origin takes before it answers, in ms.
    pub origin_think_ms: f64,
    /// The origin's line, `None` for no limit.
    pub origin_limit_bps: Option<u64>,
    /// How the origin answers range requests.
    pub origin_ranges: Ranges,
    /// Whether the origin compresses segments that are asked for without a range, which another site's page cannot see.
    pub origin_compresses: bool,
    /// Times at which the origin fails.
    pub faults: Vec<Fault>,
    /// Share of viewers behind a NAT: two of them cannot connect.
    pub nat_share: f64,
    /// Share of viewers that can connect to nobody.
    pub blocked_share: f64,
    /// Share of viewers that take and do not give.
    pub free_rider_share: f64,
    /// Share of viewers that send wrong bytes.
    pub polluter_share: f64,
    /// How they lie.
    pub pollution: Pollution,
    /// Share of viewers with a tenth of the uplink.
    pub slow_share: f64,
    /// Seconds by which viewers' clocks are wrong.
    pub clock_error: f64,
    /// Bytes that a source buffer takes, `None` for no limit.
    pub quota_bytes: Option<u64>,
    /// `playbackRate` that viewers set, in the beginning.
    pub playback_rate: f64,
    /// Options of each viewer's core.
    pub config: Config,
    /// What viewers do besides watching, by time.
    pub script: Vec<Step>,
    /// Pass each message through the codec.
    pub wire: bool,
    /// Note four times a second what each viewer sees.
    pub record: bool,
    /// Write what this viewer's core is told and says to standard error.
    pub log: Option<u32>,
}

/// Something that happens at a set time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Virtual second.
    pub at: f64,
    /// What.
    pub action: Action,
}

/// What can happen at a set time. Viewers are counted from 0 in the order they join.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Action {
    /// A viewer sets `currentTime`.
    Seek(u32, f64),
    /// A viewer pauses or goes on.
    Pause(u32, bool),
    /// A viewer chooses a variant, or leaves it to the player.
    SelectVariant(u32, Option<usize>),
    /// A viewer changes how bytes are shared.
    SetP2p(u32, P2pMode),
    /// A viewer closes the page.
    Leave(u32),
    /// A viewer's machine vanishes.
    Vanish(u32),
    /// The tracker goes down, or comes back.
    Tracker(bool),
}

/// The part of a world that a report repeats.
#[derive(Debug, Clone, Serialize)]
pub struct Setting {
    /// Seed.
    pub seed: u64,
    /// Virtual seconds.
    pub seconds: f64,
    /// Live, or VOD.
    pub live: bool,
    /// Viewers.
    pub viewers: u32,
    /// Seconds between joins.
    pub join_spacing: f64,
    /// Bit/s of each variant.
    pub bitrates: Vec<u64>,
    /// Segment duration in seconds.
    pub segment_seconds: f64,
    /// Bit/s.
    pub uplink_bps: u64,
    /// Bit/s.
    pub downlink_bps: u64,
    /// One way, ms.
    pub latency_ms: f64,
    /// Share of packets lost.
    pub loss: f64,
    /// Share per minute.
    pub churn_per_minute: f64,
    /// Bit/s.
    pub origin_limit_bps: Option<u64>,
    /// Shares of viewers: NAT, blocked, free riders, polluters, slow.
    pub shares: [f64; 5],
    /// Connections at most.
    pub neighbours: usize,
}

impl World {
    /// A film of 60 s at 1 Mbit/s and viewers with twice that uplink.
    #[must_use]
    pub fn vod(viewers: u32) -> Self {
        Self::of(Title::new(vec![1_000_000], 4.0, Some(60.0)), viewers)
    }

    /// A channel at 1 Mbit/s and viewers with twice that uplink.
    #[must_use]
    pub fn live(viewers: u32) -> Self {
        Self::of(Title::new(vec![1_000_000], 4.0, None), viewers)
    }

    /// Any title; uplinks of twice its first bitrate.
    #[must_use]
    pub fn of(title: Title, viewers: u32) -> Self {
        let uplink_bps = 2 * title.bitrates[0];
        Self {
            seed: 1,
            seconds: 90.0,
            title,
            viewers,
            join_spacing: 1.0,
            poisson: false,
            churn_per_minute: 0.0,
            abrupt_share: 0.25,
            dead_after: 15.0,
            leave_at_end: false,
            uplink_bps,
            downlink_bps: 50_000_000,
            downlink_trace: None,
            downlink_burst_us: 0,
            latency_ms: 20.0,
            loss: 0.0,
            channel_window: 256 << 10,
            origin_latency_ms: 10.0,
            origin_think_ms: 10.0,
            origin_limit_bps: None,
            origin_ranges: Ranges::Sized,
            origin_compresses: false,
            faults: Vec::new(),
            nat_share: 0.0,
            blocked_share: 0.0,
            free_rider_share: 0.0,
            polluter_share: 0.0,
            pollution: Pollution::Mixed,
            slow_share: 0.0,
            clock_error: 0.0,
            quota_bytes: None,
            playback_rate: 1.0,
            config: Config {
                trackers: vec!["wss://tracker.example/announce".to_owned()],
                ..Config::default()
            },
            script: Vec::new(),
            wire: false,
            record: false,
            log: None,
        }
    }

    /// The same world, in which each viewer of a film seeks to anywhere in it, on average each so many seconds.
    #[must_use]
    pub fn with_seeks(mut self, every: f64) -> Self {
        let Some(segments) = self.title.segments else { return self };
        let film = segments as f64 * self.title.segment_seconds;
        let mut rng = fastrand::Rng::with_seed(mix(self.seed ^ 0x7365_656b));
        for viewer in 0..self.viewers {
            let mut at = f64::from(viewer) * self.join_spacing;
            loop {
                at += every.max(0.1) * (0.5 + rng.f64());
                if at >= self.seconds {
                    break;
                }
                self.script.push(Step { at, action: Action::Seek(viewer, film * rng.f64()) });
            }
        }
        self
    }

    /// Runs the world.
    #[must_use]
    pub fn run<E: Engine>(&self) -> Report {
        self.run_with::<E>(1, |_, _| {})
    }

    /// Runs the world on so many threads, whose number does not change what happens; `progress` is told each virtual
    /// second and the number of viewers.
    #[must_use]
    pub fn run_with<E: Engine>(&self, threads: usize, progress: impl FnMut(u64, usize)) -> Report {
        Run::<E>::new(self).complete(threads, progress)
    }

    /// One way between the origin or the tracker and a viewer who is `access` µs from the middle of the network (µs).
    pub(super) fn origin_latency(&self, access: u64) -> u64 {
        (access + (self.origin_latency_ms * 1e3) as u64).max(LEAST_LATENCY)
    }

    /// One way between two viewers (µs).
    pub(super) fn peer_latency(&self, access: [u64; 2]) -> u64 {
        (access[0] + access[1]).max(LEAST_LATENCY)
    }

    /// For how long nobody hears of what another does, at least (µs).
    pub(super) fn lookahead(&self) -> u64 {
        let nearest = micros(self.latency_ms / 4e3);
        let least = self.origin_latency(nearest).min(self.peer_latency([nearest; 2]));
        // What is at once elsewhere takes a step here: steps are no longer than is worth while.
        least.min(STEP_PER_VIEWER * u64::from(self.viewers.max(1)))
    }

    /// What a report repeats of it.
    #[must_use]
    pub fn setting(&self) -> Setting {
        Setting {
            seed: self.seed,
            seconds: self.seconds,
            live: self.title.live(),
            viewers: self.viewers,
            join_spacing: self.join_spacing,
            bitrates: self.title.bitrates.clone(),
            segment_seconds: self.title.segment_seconds,
            uplink_bps: self.uplink_bps,
            downlink_bps: self.downlink_bps,
            latency_ms: self.latency_ms,
            loss: self.loss,
            churn_per_minute: self.churn_per_minute,
            origin_limit_bps: self.origin_limit_bps,
            shares: [
                self.nat_share,
                self.blocked_share,
                self.free_rider_share,
                self.polluter_share,
                self.slow_share,
            ],
            neighbours: self.config.max_peers,
        }
    }
}
