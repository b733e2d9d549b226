//! A run of a world: the event loop, who joins and leaves, and what the cores say.

use player_core::Config;
use player_core::config::P2pMode;
use player_core::io::{Event as PageEvent, Input, Output, Playhead, TrackerId};
use player_core::time::Instant;
use std::hash::Hasher as _;

use super::commons::Commons;
use super::engine::Engine;
use super::event::{Event, EventQueue};
use super::media::Element;
use super::net::{Downlink, Links, Uplink};
use super::origin::Origin;
use super::polluters::Lies;
use super::report::{Report, Second, ViewerReport};
use super::title::{EPOCH_MS, mix};
use super::trace::{self, Trace};
use super::tracker::Tracker;
use super::viewer::{Connection, Counted, HttpLine, Traits, Viewer};
use super::world::{Action, World};

/// µs between two reports of the playhead.
const PLAYHEAD_EVERY: u64 = 250_000;
/// µs that a source buffer takes for a command.
const MEDIA_COMMAND: u64 = 1_000;
/// A core that says more than this in one drain has no end.
const MOST_OUTPUTS: usize = 1_000_000;
/// µs after the last join until it is counted what uplinks are used for.
const SETTLE: u64 = 10_000_000;

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
    pub(super) events: EventQueue,
    pub(super) rng: fastrand::Rng,
    pub(super) viewers: Vec<Option<Box<Viewer<E>>>>,
    alive: Vec<u32>,
    reports: Vec<ViewerReport>,
    pub(super) links: Links,
    pub(super) origin: Origin,
    pub(super) origin_line: OriginLine,
    tracker: Tracker,
    tracker_up: bool,
    trace: Trace,
    commons: Commons,
    planned: u32,
    last_join: u64,
    /// When all had joined and met (µs).
    pub(super) settled_at: Option<u64>,
    event_count: u64,
    violations: Vec<String>,
    pub(super) lies: Lies,
    /// Media bytes that viewers received from each other.
    pub(super) peer_bytes: u64,
    seconds: Vec<Second>,
}

/// Seconds as µs.
fn micros(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64
}

impl<'w, E: Engine> Run<'w, E> {
    pub(super) fn new(world: &'w World) -> Self {
        let mut rng = fastrand::Rng::with_seed(mix(world.seed));
        let mut events = EventQueue::default();
        if world.viewers > 0 {
            events.push(0, Event::Join);
        }
        for (index, step) in world.script.iter().enumerate() {
            events.push(micros(step.at), Event::Script(index as u32));
        }
        let tracker = Tracker::new(rng.fork(), 60);
        Self {
            world,
            now: 0,
            events,
            rng,
            viewers: Vec::new(),
            alive: Vec::new(),
            reports: Vec::new(),
            links: Links::default(),
            origin: Origin::new(&world.title, world.faults.clone(), world.origin_ranges),
            origin_line: OriginLine::default(),
            tracker,
            tracker_up: true,
            trace: Trace::default(),
            commons: Commons::default(),
            planned: 0,
            last_join: 0,
            settled_at: None,
            event_count: 0,
            violations: Vec::new(),
            lies: Lies::default(),
            peer_bytes: 0,
            seconds: Vec::new(),
        }
    }

    /// Runs until the world's end.
    pub(super) fn complete(mut self, mut progress: impl FnMut(u64, usize)) -> Report {
        let end = micros(self.world.seconds);
        let mut second = 0;
        while let Some((at, event)) = self.events.pop_until(end) {
            self.now = at;
            self.event_count += 1;
            while second < at / 1_000_000 {
                second += 1;
                self.note(second);
                progress(second, self.alive.len());
                self.settle();
            }
            self.happen(event);
        }
        self.now = end;
        while let Some(viewer) = self.alive.first() {
            self.retire(*viewer, None);
        }
        self.reports.sort_by_key(|report| report.viewer);
        Report::new(super::report::Raw {
            world: self.world,
            viewers: self.reports,
            origin: &self.origin,
            last_join: self.last_join as f64 / 1e6,
            trace_hash: self.trace.finish(),
            outputs: self.trace.outputs,
            events: self.event_count,
            tracker_messages: self.tracker.messages,
            offers_relayed: self.tracker.offers,
            violations: self.violations,
            lies: self.lies.figures(),
            seconds: self.seconds,
        })
    }

    /// Begins to count what uplinks are used for.
    fn settle(&mut self) {
        let all = self.planned == self.world.viewers;
        if self.settled_at.is_some() || !all || self.now < self.last_join + SETTLE {
            return;
        }
        self.settled_at = Some(self.now);
        let now = Instant::from_micros(self.now);
        for viewer in self.viewers.iter_mut().flatten() {
            viewer.counted.taken_before = viewer.engine.stats(now).peer_bytes;
        }
    }

    /// Notes how things are at the end of a virtual second.
    fn note(&mut self, second: u64) {
        let viewers =
            self.alive.iter().filter_map(|viewer| self.viewers[*viewer as usize].as_ref());
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
            peer_bytes: self.peer_bytes,
            ahead: [rank(0.05), rank(0.5), rank(0.95)],
        });
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Join => self.next_join(),
            Event::Churn => self.churn(),
            Event::Script(index) => self.act(self.world.script[index as usize].action),
            Event::Tick(viewer) => self.tick(viewer),
            Event::Playhead(viewer) => self.playhead(viewer),
            Event::Changed(viewer) => self.tell_playhead(viewer),
            Event::MediaDone(viewer, track) => {
                let now = self.now;
                let Some(state) = self.viewer(viewer) else { return };
                state.element.advance(now);
                match state.element.finish() {
                    Some((Ok(()), buffered)) => {
                        self.tell(viewer, Input::MediaDone { track, buffered });
                    }
                    Some((Err(failure), _)) => {
                        self.tell(viewer, Input::MediaFailed { track, failure });
                    }
                    None => {}
                }
            }
            Event::Input(viewer, input) => self.tell(viewer, *input),
            Event::FromTracker { viewer, tracker, text } => {
                let open = self.viewer(viewer).is_some_and(|v| v.trackers >> tracker & 1 == 1);
                if open {
                    let tracker = TrackerId(tracker);
                    self.tell(viewer, Input::TrackerMessage(tracker, text.into()));
                }
            }
            Event::TrackerOpens { viewer, tracker } => {
                let up = self.tracker_up;
                let Some(state) = self.viewer(viewer) else { return };
                if up {
                    state.trackers |= 1 << tracker;
                    self.tell(viewer, Input::TrackerOpened(TrackerId(tracker)));
                } else {
                    self.tell(viewer, Input::TrackerClosed(TrackerId(tracker)));
                }
            }
            Event::ToTracker { viewer, tracker, text } => {
                self.tracker_receives(viewer, tracker, &text)
            }
            Event::Uplink(viewer) => {
                if let Some(state) = self.viewer(viewer) {
                    state.uplink.awaited = false;
                    self.serve_uplink(viewer);
                }
            }
            Event::Arrive { link, side, wire } => self.arrive(link, side, wire),
            Event::Deliver { link, side } => self.deliver(link, side),
            Event::Writable { link, side } => self.writable(link, side),
            Event::Established(link) => self.established(link),
            Event::PeerGone { link, side } => self.peer_gone(link, side),
            Event::ConnectTimeout { viewer, connection } => {
                self.connect_timeout(viewer, connection);
            }
            Event::Request { viewer, id } => self.request_arrives(viewer, id),
            Event::Head { viewer, id } => self.head_arrives(viewer, id),
            Event::OriginFree => {
                self.origin_line.awaited = false;
                self.serve_origin();
            }
            Event::ChunkArrive { viewer, id, offset, len } => {
                self.chunk_arrives(viewer, id, offset, len);
            }
            Event::ChunkDeliver { viewer, id, offset, len } => {
                self.chunk_delivered(viewer, id, offset, len);
            }
            Event::Ack { viewer, len } => self.acknowledged(viewer, len),
        }
    }

    pub(super) fn viewer(&mut self, viewer: u32) -> Option<&mut Viewer<E>> {
        self.viewers.get_mut(viewer as usize)?.as_deref_mut()
    }

    /// Tells a core something and does what it says.
    pub(super) fn tell(&mut self, viewer: u32, input: Input) {
        let now = Instant::from_micros(self.now);
        let logged = self.world.log == Some(viewer);
        let Some(state) = self.viewer(viewer) else { return };
        if logged {
            trace::log_input(now, &input);
        }
        state.engine.handle_input(now, input);
        for count in 0.. {
            let Some(output) = self.viewer(viewer).and_then(|v| v.engine.poll_output()) else {
                break;
            };
            assert!(count < MOST_OUTPUTS, "viewer {viewer} talks without end, now {output:?}");
            self.trace.output(self.now, viewer, &output);
            if logged {
                trace::log_output(now, &output);
            }
            self.obey(viewer, output);
        }
        let now = self.now;
        let Some(state) = self.viewer(viewer) else { return };
        let changed = std::mem::take(&mut state.element.changed);
        let due = state.engine.poll_timeout().map(|due| due.as_micros().max(now + 1_000));
        let due = due.filter(|due| state.tick_at.is_none_or(|at| *due < at));
        if let Some(due) = due {
            state.tick_at = Some(due);
        }
        if changed {
            self.events.push(now, Event::Changed(viewer));
        }
        if let Some(due) = due {
            self.events.push(due, Event::Tick(viewer));
        }
    }

    fn obey(&mut self, viewer: u32, output: Output) {
        let now = self.now;
        match output {
            Output::Fetch(request) => self.fetch(viewer, request),
            Output::CancelFetch(id) => {
                if let Some(state) = self.viewer(viewer) {
                    state.http.exchanges.remove(&id.0);
                }
            }
            Output::Decrypt { .. } | Output::Transmux { .. } | Output::VerifySignature { .. } => {
                self.violate(viewer, "work on a segment that is plain fragmented MP4");
            }
            Output::OpenTracker(tracker, _) => {
                let latency = self.origin_latency(viewer);
                let tracker = tracker.0;
                self.events.push(now + 4 * latency, Event::TrackerOpens { viewer, tracker });
            }
            Output::SendTracker(tracker, text) => {
                let latency = self.origin_latency(viewer);
                let open = self.viewer(viewer).is_some_and(|v| v.trackers >> tracker.0 & 1 == 1);
                if open {
                    let (tracker, text) = (tracker.0, text.into());
                    let event = Event::ToTracker { viewer, tracker, text };
                    self.events.push(now + latency, event);
                } else {
                    self.violate(viewer, "a message to a tracker that is not open");
                }
            }
            Output::CloseTracker(tracker) => {
                let Some(state) = self.viewer(viewer) else { return };
                state.trackers &= !(1 << tracker.0);
                if state.trackers == 0 {
                    self.tracker.forget(viewer);
                }
            }
            Output::CreateOffer(connection) => self.create_offer(viewer, connection),
            Output::CreateAnswer(connection, sdp) => self.create_answer(viewer, connection, &sdp),
            Output::AcceptAnswer(connection, sdp) => self.accept_answer(viewer, connection, &sdp),
            Output::ClosePeer(connection) => self.close_peer(viewer, connection),
            Output::SendPeer(connection, message) => self.send_peer(viewer, connection, message),
            Output::CheckCodecs(types) => {
                let support = Input::CodecSupport(vec![true; types.len()]);
                self.events.push(now + 1_000, Event::Input(viewer, Box::new(support)));
            }
            Output::Media(command) => {
                let title = &self.world.title;
                let Some(state) = self.viewers[viewer as usize].as_deref_mut() else { return };
                let opens = matches!(command, player_core::io::MediaCommand::Open(_));
                let track = state.element.command(title, now, command);
                if opens {
                    for track in state.element.tracks() {
                        self.events.push(now + 5_000, Event::MediaDone(viewer, *track));
                    }
                } else if let Some(track) = track {
                    self.events.push(now + MEDIA_COMMAND, Event::MediaDone(viewer, track));
                }
            }
            Output::Event(PageEvent::Error { error, fatal }) => {
                let Some(state) = self.viewer(viewer) else { return };
                if state.errors.len() < 20 {
                    let fatal = if fatal { " (fatal)" } else { "" };
                    state.errors.push(format!("{:.3} s: {error}{fatal}", now as f64 / 1e6));
                }
            }
            Output::Text(_) | Output::Event(_) => {}
        }
    }

    /// Notes that a core broke its contract.
    pub(super) fn violate(&mut self, viewer: u32, what: &str) {
        if self.violations.len() < 100 {
            let at = self.now as f64 / 1e6;
            self.violations.push(format!("{at:.3} s, viewer {viewer}: {what}"));
        }
    }

    fn tick(&mut self, viewer: u32) {
        let now = self.now;
        let Some(state) = self.viewer(viewer) else { return };
        if state.tick_at != Some(now) {
            return;
        }
        state.tick_at = None;
        match state.engine.poll_timeout().map(Instant::as_micros) {
            Some(due) if due <= now => self.tell(viewer, Input::Tick),
            Some(due) => {
                state.tick_at = Some(due);
                self.events.push(due, Event::Tick(viewer));
            }
            None => {}
        }
    }

    fn wall_clock_ms(&self) -> f64 {
        let age = self.world.title.age + self.world.clock_error;
        EPOCH_MS + age * 1e3 + self.now as f64 / 1e3
    }

    fn playhead(&mut self, viewer: u32) {
        let now = self.now;
        let world = self.world;
        if self.lies.is_due(now, viewer)
            && let Some(state) = self.viewer(viewer)
        {
            let stats = state.engine.stats(Instant::from_micros(now));
            self.lies.judge(now, viewer, &stats.banned_peers);
        }
        let Some(state) = self.viewer(viewer) else { return };
        state.playheads += 1;
        state.element.advance(now);
        if world.title.live()
            && state.playheads % 4 == 0
            && let Some(time) = state.element.stream_time(&world.title)
        {
            state.latencies.push((world.title.age + now as f64 / 1e6 - time) as f32);
        }
        if world.record {
            state.samples.push(state.element.sample(now));
        }
        let ended = state.element.watched.ended;
        self.tell_playhead(viewer);
        if let Some(state) = self.viewers[viewer as usize].as_deref_mut()
            && state.playheads % 4 == 0
        {
            state.engine.share_bytes(|data| self.commons.share(data));
            self.commons.swept();
        }
        if ended && world.leave_at_end {
            self.leave(viewer, false);
            return;
        }
        let every = if ended { 4 * PLAYHEAD_EVERY } else { PLAYHEAD_EVERY };
        self.events.push(now + every, Event::Playhead(viewer));
    }

    fn tell_playhead(&mut self, viewer: u32) {
        let (now, wall_clock_ms) = (self.now, self.wall_clock_ms());
        let Some(state) = self.viewer(viewer) else { return };
        let playhead: Playhead = state.element.playhead(now, wall_clock_ms);
        state.element.changed = false;
        self.tell(viewer, Input::Playhead(playhead));
    }

    fn tracker_receives(&mut self, viewer: u32, tracker: u32, text: &str) {
        if !self.tracker_up || self.viewer(viewer).is_none() {
            return;
        }
        for (to, text) in self.tracker.receive(viewer, text) {
            let latency = self.origin_latency(to);
            let text = text.into();
            let event = Event::FromTracker { viewer: to, tracker, text };
            self.events.push(self.now + latency, event);
        }
    }

    // Who comes and goes.

    fn next_join(&mut self) {
        self.join();
        self.planned += 1;
        self.last_join = self.now;
        if self.planned < self.world.viewers {
            let mut wait = self.world.join_spacing;
            if self.world.poisson {
                wait *= -(1.0 - self.rng.f64()).ln();
            }
            self.events.push(self.now + micros(wait), Event::Join);
        } else {
            self.plan_churn();
        }
    }

    fn plan_churn(&mut self) {
        let per_second = self.world.churn_per_minute / 60.0 * f64::from(self.world.viewers);
        if per_second > 0.0 {
            let wait = -(1.0 - self.rng.f64()).ln() / per_second;
            self.events.push(self.now + micros(wait), Event::Churn);
        }
    }

    fn churn(&mut self) {
        if !self.alive.is_empty() {
            let viewer = self.alive[self.rng.usize(..self.alive.len())];
            let abrupt = self.rng.f64() < self.world.abrupt_share;
            self.leave(viewer, abrupt);
            self.join();
        }
        self.plan_churn();
    }

    fn join(&mut self) {
        let world = self.world;
        let index = self.viewers.len() as u32;
        let mut draw = |share: f64| self.rng.f64() < share;
        let traits = Traits {
            nat: draw(world.nat_share),
            blocked: draw(world.blocked_share),
            free_rider: draw(world.free_rider_share),
            polluter: draw(world.polluter_share),
            slow: draw(world.slow_share),
        };
        let mut config: Config = world.config.clone();
        if traits.free_rider && config.p2p == P2pMode::On {
            config.p2p = P2pMode::DownloadOnly;
        }
        let access = micros(world.latency_ms / 2e3 * (0.5 + self.rng.f64()));
        let uplink = if traits.slow { world.uplink_bps / 10 } else { world.uplink_bps };
        let best = world.downlink_trace.as_ref().and_then(|rates| rates.iter().max().copied());
        let downlink = best.unwrap_or(world.downlink_bps).max(1_000);
        let rtt = 2 * (access + micros(world.origin_latency_ms / 1e3));
        let seed = self.rng.u64(..);
        self.viewers.push(Some(Box::new(Viewer {
            engine: E::new(config, seed),
            element: Element::new(self.now, world.quota_bytes),
            uplink: Uplink::new(uplink.max(1_000)),
            downlink: Downlink::new(downlink, world.downlink_trace.clone()),
            access,
            traits,
            connections: std::collections::BTreeMap::new(),
            http: HttpLine::new(downlink, rtt),
            trackers: 0,
            tick_at: None,
            joined: self.now,
            counted: Counted::default(),
            latencies: Vec::new(),
            samples: Vec::new(),
            playheads: 0,
            last_request: None,
            errors: Vec::new(),
        })));
        self.alive.push(index);
        self.tell(index, Input::Load { url: world.title.url().to_owned() });
        self.events.push(self.now + PLAYHEAD_EVERY, Event::Playhead(index));
    }

    fn leave(&mut self, viewer: u32, abrupt: bool) {
        if self.viewer(viewer).is_none() {
            return;
        }
        if abrupt {
            self.retire(viewer, Some(micros(self.world.dead_after)));
        } else {
            let now = Instant::from_micros(self.now);
            let stats = self.viewer(viewer).map(|state| state.engine.stats(now));
            self.tell(viewer, Input::Unload);
            self.retire_with(viewer, Some(0), stats);
        }
    }

    /// Takes a viewer out; peers notice after `notice` µs, or never when the world ends.
    fn retire(&mut self, viewer: u32, notice: Option<u64>) {
        self.retire_with(viewer, notice, None);
    }

    fn retire_with(
        &mut self,
        viewer: u32,
        notice: Option<u64>,
        stats: Option<player_core::stats::Stats>,
    ) {
        self.alive.retain(|other| *other != viewer);
        let Some(mut state) = self.viewers[viewer as usize].take() else { return };
        state.element.advance(self.now);
        let stats = stats.unwrap_or_else(|| state.engine.stats(Instant::from_micros(self.now)));
        for violation in std::mem::take(&mut state.element.violations) {
            self.violate(viewer, &violation);
        }
        let times = (self.settled_at, self.now);
        let Some(notice) = notice else {
            self.reports.push(ViewerReport::new(viewer, &state, &stats, times, false));
            return;
        };
        self.reports.push(ViewerReport::new(viewer, &state, &stats, times, true));
        for connection in state.connections.values() {
            if let Connection::Linked(link, side) = connection {
                self.close_link(*link, *side, notice);
            }
        }
        self.tracker.forget(viewer);
    }

    fn act(&mut self, action: Action) {
        let now = self.now;
        let touched = match action {
            Action::Seek(viewer, to) => {
                if let Some(state) = self.viewer(viewer) {
                    state.element.seek(now, to);
                }
                Some(viewer)
            }
            Action::Pause(viewer, paused) => {
                if let Some(state) = self.viewer(viewer) {
                    state.element.pause(now, paused);
                }
                Some(viewer)
            }
            Action::SelectVariant(viewer, variant) => {
                self.tell(viewer, Input::SelectVariant(variant));
                None
            }
            Action::SetP2p(viewer, mode) => {
                self.tell(viewer, Input::SetP2p(mode));
                None
            }
            Action::Leave(viewer) => {
                self.leave(viewer, false);
                None
            }
            Action::Vanish(viewer) => {
                self.leave(viewer, true);
                None
            }
            Action::Tracker(up) => {
                self.tracker_up = up;
                if !up {
                    for viewer in self.alive.clone() {
                        self.tracker.forget(viewer);
                        let open =
                            self.viewer(viewer).map_or(0, |v| std::mem::take(&mut v.trackers));
                        for tracker in (0..64).filter(|tracker| open >> tracker & 1 == 1) {
                            self.tell(viewer, Input::TrackerClosed(TrackerId(tracker)));
                        }
                    }
                }
                None
            }
        };
        if let Some(viewer) = touched {
            self.tell_playhead(viewer);
        }
    }
}
