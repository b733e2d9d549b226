//! A run of a world: who joins and leaves, the origin and the tracker, and how time goes on.
//!
//! Time goes on in steps of [`World::lookahead`]. At the beginning of a step happens what concerns all viewers; then the
//! shards are let go to its end, on as many threads as there are; then their messages are handed over, in a fixed order.

use player_core::Config;
use player_core::config::P2pMode;
use player_core::time::Instant;
use std::hash::Hasher as _;
use std::sync::{Mutex, mpsc};

use super::engine::Engine;
use super::event::{Common, Event, EventQueue};
use super::media::Element;
use super::net::{Downlink, Uplink};
use super::origin::Origin;
use super::report::{Report, Second};
use super::shard::{SHARDS, Shard, place};
use super::title::mix;
use super::trace::Trace;
use super::tracker::Tracker;
use super::viewer::{Counted, Guest, Traits, Viewer};
use super::world::{Action, World};

/// µs after the last join until it is counted what uplinks are used for.
const SETTLE: u64 = 10_000_000;
/// µs of a second.
const SECOND: u64 = 1_000_000;

/// The origin's line: viewers who wait for bytes share it evenly, so that a short response is not stuck behind what is
/// long, as with TCP. What has a viewer's next chunk wait is its end in a line that serves all byte by byte; the chunks
/// go out whole in the order of their ends (self-clocked fair queueing).
#[derive(Debug, Default)]
pub(super) struct OriginLine {
    /// Each viewer's next chunk: its end in bytes served to each, and who was first where ends are equal.
    pub(super) turns: std::collections::BinaryHeap<std::cmp::Reverse<(u64, u64, u32)>>,
    /// Bytes that were served to each so far.
    pub(super) served: u64,
    pub(super) count: u64,
    pub(super) busy_until: u64,
    pub(super) awaited: bool,
}

/// A world at one moment.
pub(super) struct Run<'w, E> {
    pub(super) world: &'w World,
    /// µs.
    pub(super) now: u64,
    pub(super) events: EventQueue<Common>,
    pub(super) rng: fastrand::Rng,
    pub(super) shards: Vec<Shard<'w, E>>,
    /// Viewers as the origin knows them.
    pub(super) guests: Vec<Option<Box<Guest>>>,
    alive: Vec<u32>,
    pub(super) origin: Origin,
    pub(super) origin_line: OriginLine,
    tracker: Tracker,
    tracker_up: bool,
    planned: u32,
    /// How many of them have each trait.
    drawn: [u32; 5],
    last_join: u64,
    settled: bool,
    event_count: u64,
    seconds: Vec<Second>,
}

/// Seconds as µs.
pub(super) fn micros(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64
}

impl<'w, E: Engine> Run<'w, E> {
    pub(super) fn new(world: &'w World) -> Self {
        let mut rng = fastrand::Rng::with_seed(mix(world.seed));
        let mut events = EventQueue::default();
        if world.viewers > 0 {
            events.push(0, Common::Join);
        }
        for (index, step) in world.script.iter().enumerate() {
            events.push(micros(step.at), Common::Script(index as u32));
        }
        let tracker = Tracker::new(rng.fork(), 60);
        Self {
            world,
            now: 0,
            events,
            rng,
            shards: (0..SHARDS).map(|_| Shard::new(world)).collect(),
            guests: Vec::new(),
            alive: Vec::new(),
            origin: Origin::new(&world.title, world.faults.clone(), world.origin_ranges),
            origin_line: OriginLine::default(),
            tracker,
            tracker_up: true,
            planned: 0,
            drawn: [0; 5],
            last_join: 0,
            settled: false,
            event_count: 0,
            seconds: Vec::new(),
        }
    }

    /// Runs until the world's end, on so many threads. Their number does not change what happens.
    pub(super) fn complete(self, threads: usize, progress: impl FnMut(u64, usize)) -> Report {
        if threads <= 1 {
            let alone = |shards: Vec<Shard<'w, E>>, until| {
                let advanced = shards.into_iter().map(|mut shard| {
                    shard.advance(until);
                    shard
                });
                advanced.collect()
            };
            return self.steps(alone, progress);
        }
        let (give, take) = mpsc::channel::<(usize, Shard<'w, E>, u64)>();
        let take = Mutex::new(take);
        let (give_back, take_back) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..threads.min(SHARDS) {
                let (take, give_back) = (&take, give_back.clone());
                scope.spawn(move || {
                    loop {
                        let Ok(Ok((index, mut shard, until))) = take.lock().map(|take| take.recv())
                        else {
                            break;
                        };
                        shard.advance(until);
                        if give_back.send((index, shard)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(give_back);
            // It is dropped with `give` at the end, which ends the threads.
            let together = move |shards: Vec<Shard<'w, E>>, until| {
                let count = shards.len();
                for (index, shard) in shards.into_iter().enumerate() {
                    give.send((index, shard, until)).expect("threads that wait for shards");
                }
                let mut back: Vec<_> = (0..count).map(|_| None).collect();
                for _ in 0..count {
                    let (index, shard) = take_back.recv().expect("no thread has failed");
                    back[index] = Some(shard);
                }
                back.into_iter().flatten().collect()
            };
            self.steps(together, progress)
        })
    }

    fn steps(
        mut self,
        mut advance: impl FnMut(Vec<Shard<'w, E>>, u64) -> Vec<Shard<'w, E>>,
        mut progress: impl FnMut(u64, usize),
    ) -> Report {
        let end = micros(self.world.seconds);
        let step = self.world.lookahead();
        let mut from = 0;
        while from <= end {
            // A step ends with a second, where all is looked at; the last one is that of the end itself.
            let second = (from / SECOND + 1) * SECOND;
            let shards = self.shards.iter().map(|shard| shard.earliest());
            let next = shards.min().map_or(0, |at| at.min(self.events.earliest()));
            let until = (from.max(next).saturating_add(step)).min(second);
            let until = if from < end { until.min(end) } else { end + 1 };
            while let Some((at, event)) = self.events.pop_until(until - 1) {
                self.now = at.max(from);
                self.event_count += 1;
                self.happen(event);
            }
            self.shards = advance(std::mem::take(&mut self.shards), until);
            self.exchange();
            self.now = until.min(end);
            if until.is_multiple_of(SECOND) {
                self.note(until / SECOND);
                progress(until / SECOND, self.alive.len());
                self.settle();
            }
            from = until;
        }
        self.report()
    }

    /// Hands over what shards have for each other and for all.
    fn exchange(&mut self) {
        for from in 0..SHARDS {
            for to in 0..SHARDS {
                let mail = std::mem::take(&mut self.shards[from].outbox[to]);
                if !mail.is_empty() {
                    self.shards[to].inbox.push(mail);
                }
            }
            for (at, event) in std::mem::take(&mut self.shards[from].common) {
                self.events.push(at, event);
            }
        }
    }

    fn report(mut self) -> Report {
        for viewer in std::mem::take(&mut self.alive) {
            let shard = &mut self.shards[place(viewer).0];
            shard.now = self.now;
            shard.retire(viewer, None, None);
        }
        let mut reports: Vec<_> =
            self.shards.iter_mut().flat_map(|shard| std::mem::take(&mut shard.reports)).collect();
        reports.sort_by_key(|(report, _)| report.viewer);
        let mut hash = Trace::default();
        for (_, trace) in &reports {
            hash.write_u64(trace.finish());
        }
        let mut violations: Vec<_> = self
            .shards
            .iter_mut()
            .flat_map(|shard| std::mem::take(&mut shard.violations))
            .collect();
        violations.sort();
        let mut lies = (0, 0, 0);
        for (pairs, unbanned, most) in self.shards.iter().map(|shard| shard.lies.figures()) {
            lies = (lies.0 + pairs, lies.1 + unbanned, most.max(lies.2));
        }
        let events: u64 = self.shards.iter().map(|shard| shard.event_count).sum();
        Report::new(super::report::Raw {
            world: self.world,
            outputs: reports.iter().map(|(_, trace)| trace.outputs).sum(),
            viewers: reports.into_iter().map(|(report, _)| report).collect(),
            origin: &self.origin,
            last_join: self.last_join as f64 / 1e6,
            trace_hash: hash.finish(),
            events: events + self.event_count,
            tracker_messages: self.tracker.messages,
            offers_relayed: self.tracker.offers,
            violations: violations
                .into_iter()
                .map(|(at, viewer, what)| {
                    format!("{:.3} s, viewer {viewer}: {what}", at as f64 / 1e6)
                })
                .collect(),
            lies,
            seconds: self.seconds,
        })
    }

    pub(super) fn viewer(&mut self, viewer: u32) -> Option<&mut Viewer<E>> {
        self.shards[place(viewer).0].viewer(viewer)
    }

    /// Lets something happen to a viewer now.
    fn order(&mut self, viewer: u32, event: Event) {
        self.shards[place(viewer).0].events.push(self.now, event);
    }

    /// Begins to count what uplinks are used for.
    fn settle(&mut self) {
        let all = self.planned == self.world.viewers;
        if self.settled || !all || self.now < self.last_join + SETTLE {
            return;
        }
        self.settled = true;
        let now = Instant::from_micros(self.now);
        for shard in &mut self.shards {
            shard.settled_at = Some(self.now);
            for viewer in shard.present() {
                viewer.counted.taken_before = viewer.engine.stats(now).peer_bytes;
            }
        }
    }

    /// Notes how things are at the end of a virtual second.
    fn note(&mut self, second: u64) {
        let viewers = self.shards.iter_mut().flat_map(|shard| shard.present());
        let mut ahead: Vec<f64> = viewers.map(|viewer| viewer.element.buffer_ahead()).collect();
        ahead.sort_by(f64::total_cmp);
        let rank = |share: f64| {
            let index = ((ahead.len() as f64 * share).ceil() as usize).saturating_sub(1);
            ahead.get(index).copied().unwrap_or(0.0)
        };
        self.seconds.push(Second {
            at: second as f64,
            viewers: ahead.len(),
            origin_bytes: self.origin.media_bytes,
            peer_bytes: self.shards.iter().map(|shard| shard.peer_bytes).sum(),
            ahead: [rank(0.05), rank(0.5), rank(0.95)],
        });
    }

    fn happen(&mut self, event: Common) {
        match event {
            Common::Join => self.next_join(),
            Common::Churn => self.churn(),
            Common::Script(index) => self.act(index),
            Common::Left(viewer) => self.gone(viewer),
            Common::Forget(viewer) => self.tracker.forget(viewer),
            Common::Meet { ends } => self.meet(ends),
            Common::Request { viewer, id, ask } => self.request_arrives(viewer, id, ask),
            Common::Cancel { viewer, id } => self.cancelled(viewer, id),
            Common::Ack { viewer, len } => self.acknowledged(viewer, len),
            Common::OriginFree => {
                self.origin_line.awaited = false;
                self.serve_origin();
            }
            Common::ToTracker { viewer, tracker, text } => {
                self.tracker_receives(viewer, tracker, &text)
            }
        }
    }

    fn tracker_receives(&mut self, viewer: u32, tracker: u32, text: &str) {
        if !self.tracker_up || self.guests[viewer as usize].is_none() {
            return;
        }
        for (to, text) in self.tracker.receive(viewer, text) {
            let at = self.now + self.origin_latency(to);
            let event = Event::FromTracker(to, Box::new((tracker, text)));
            self.shards[place(to).0].events.push(at, event);
        }
    }

    // Who comes and goes.

    fn next_join(&mut self) {
        let traits = self.draw_traits();
        self.join(traits);
        self.planned += 1;
        self.last_join = self.now;
        if self.planned < self.world.viewers {
            let mut wait = self.world.join_spacing;
            if self.world.poisson {
                wait *= -(1.0 - self.rng.f64()).ln();
            }
            self.events.push(self.now + micros(wait), Common::Join);
        } else {
            self.plan_churn();
        }
    }

    fn plan_churn(&mut self) {
        let per_second = self.world.churn_per_minute / 60.0 * f64::from(self.world.viewers);
        if per_second > 0.0 {
            let wait = -(1.0 - self.rng.f64()).ln() / per_second;
            self.events.push(self.now + micros(wait), Common::Churn);
        }
    }

    fn churn(&mut self) {
        if !self.alive.is_empty() {
            let viewer = self.alive[self.rng.usize(..self.alive.len())];
            let abrupt = self.rng.f64() < self.world.abrupt_share;
            // Whoever comes is like the one who goes, so that the shares stay.
            let traits = self.viewer(viewer).map_or_else(Traits::default, |leaver| leaver.traits);
            self.leave(viewer, abrupt);
            self.join(traits);
        }
        self.plan_churn();
    }

    /// What the next of the planned viewers is like: chance decides who, but of all of them just the shares that the world
    /// names (rounded to whole viewers) are so. In a small world chance would else make two fifths of a fifth.
    fn draw_traits(&mut self) -> Traits {
        let world = self.world;
        let (all, left) = (f64::from(world.viewers), f64::from(world.viewers - self.planned));
        let shares = [
            world.nat_share,
            world.blocked_share,
            world.free_rider_share,
            world.polluter_share,
            world.slow_share,
        ];
        let mut is = [false; 5];
        for ((is, drawn), share) in is.iter_mut().zip(&mut self.drawn).zip(shares) {
            let missing = (share * all).round() - f64::from(*drawn);
            *is = self.rng.f64() * left < missing;
            *drawn += u32::from(*is);
        }
        let [nat, blocked, free_rider, polluter, slow] = is;
        Traits { nat, blocked, free_rider, polluter, slow }
    }

    fn join(&mut self, traits: Traits) {
        let world = self.world;
        let index = self.guests.len() as u32;
        let mut config: Config = world.config.clone();
        if traits.free_rider && config.p2p == P2pMode::On {
            config.p2p = P2pMode::DownloadOnly;
        }
        let access = micros(world.latency_ms / 2e3 * (0.5 + self.rng.f64()));
        let uplink = if traits.slow { world.uplink_bps / 10 } else { world.uplink_bps };
        let best = world.downlink_trace.as_ref().and_then(|rates| rates.iter().max().copied());
        let downlink = best.unwrap_or(world.downlink_bps).max(1_000);
        let rtt = 2 * world.origin_latency(access);
        let seed = self.rng.u64(..);
        self.guests.push(Some(Box::new(Guest::new(access, traits.polluter, downlink, rtt))));
        self.shards[place(index).0].admit(Box::new(Viewer {
            engine: E::new(config, seed),
            element: Element::new(self.now, world.quota_bytes, world.playback_rate),
            uplink: Uplink::new(uplink.max(1_000)),
            downlink: Downlink::new(
                downlink,
                world.downlink_trace.clone(),
                world.downlink_burst_us,
            ),
            access,
            traits,
            connections: std::collections::BTreeMap::new(),
            exchanges: std::collections::BTreeMap::new(),
            connected: false,
            rng: fastrand::Rng::with_seed(mix(seed)),
            trace: Trace::default(),
            trackers: 0,
            tick_at: None,
            joined: self.now,
            counted: Counted::default(),
            latencies: Vec::new(),
            samples: Vec::new(),
            playheads: 0,
            last_request: None,
            errors: Vec::new(),
        }));
        self.alive.push(index);
        self.order(index, Event::Begin(index));
    }

    fn leave(&mut self, viewer: u32, abrupt: bool) {
        if self.guests.get(viewer as usize).is_some_and(Option::is_some) {
            self.order(viewer, Event::Leave(viewer, abrupt));
            self.gone(viewer);
        }
    }

    /// Origin and tracker notice that a viewer has left.
    fn gone(&mut self, viewer: u32) {
        self.alive.retain(|other| *other != viewer);
        self.guests[viewer as usize] = None;
        self.tracker.forget(viewer);
    }

    fn act(&mut self, index: u32) {
        match self.world.script[index as usize].action {
            Action::Leave(viewer) => self.leave(viewer, false),
            Action::Vanish(viewer) => self.leave(viewer, true),
            Action::Tracker(up) => {
                self.tracker_up = up;
                for shard in &mut self.shards {
                    shard.tracker_up = up;
                }
                if !up {
                    for viewer in self.alive.clone() {
                        self.tracker.forget(viewer);
                        self.order(viewer, Event::TrackerDown(viewer));
                    }
                }
            }
            Action::Seek(viewer, _)
            | Action::Pause(viewer, _)
            | Action::SelectVariant(viewer, _)
            | Action::SetP2p(viewer, _) => self.order(viewer, Event::Script(viewer, index)),
        }
    }
}
