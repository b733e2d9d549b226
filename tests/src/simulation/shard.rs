//! A part of a run's viewers, on its own for a moment of virtual time: what happens to them, and what their cores say.
//!
//! Whatever a viewer sends is under way for at least [`World::lookahead`]. So for that long no viewer can tell what
//! another does, and the shards of a run can go ahead one by one, or side by side: the outcome is the same. What is
//! for other shards, or for what all viewers share, is laid into outboxes.

use player_core::io::{Event as PageEvent, Input, Output, Playhead, TrackerId};
use player_core::stats::Stats;
use player_core::time::Instant;

use super::commons::Commons;
use super::engine::Engine;
use super::event::{Common, Event, EventQueue};
use super::polluters::Lies;
use super::report::ViewerReport;
use super::run::micros;
use super::title::EPOCH_MS;
use super::trace::{self, Trace};
use super::viewer::{Connection, Viewer};
use super::world::{Action, World};

/// Shards of a run. So many that each can be given to whoever is free; the outcome depends on their number, not on who
/// works on them.
pub(super) const SHARDS: usize = 8;
/// µs between two reports of the playhead.
pub(super) const PLAYHEAD_EVERY: u64 = 250_000;
/// µs that a source buffer takes for a command.
const MEDIA_COMMAND: u64 = 1_000;
/// A core that says more than this in one drain has no end.
const MOST_OUTPUTS: usize = 1_000_000;
/// Most violations that are noted.
const MOST_VIOLATIONS: usize = 100;

/// Events for the viewers of one shard.
pub(super) type Mail = Vec<(u64, Event)>;

/// A part of the viewers: those whose number divided by [`SHARDS`] leaves the same rest.
pub(super) struct Shard<'w, E> {
    pub(super) world: &'w World,
    /// µs.
    pub(super) now: u64,
    /// When others are heard again (µs).
    pub(super) until: u64,
    pub(super) events: EventQueue<Event>,
    viewers: Vec<Option<Box<Viewer<E>>>>,
    /// What others have sent here, in the order of shards.
    pub(super) inbox: Vec<Mail>,
    /// For each shard.
    pub(super) outbox: Vec<Mail>,
    pub(super) common: Vec<(u64, Common)>,
    /// Those who have left.
    pub(super) reports: Vec<(ViewerReport, Trace)>,
    pub(super) tracker_up: bool,
    /// When all had joined and met (µs).
    pub(super) settled_at: Option<u64>,
    pub(super) event_count: u64,
    pub(super) violations: Vec<(u64, u32, String)>,
    pub(super) lies: Lies,
    /// Media bytes that viewers received from each other.
    pub(super) peer_bytes: u64,
    commons: Commons,
}

/// The shard of a viewer, and its place there.
pub(super) const fn place(viewer: u32) -> (usize, usize) {
    (viewer as usize % SHARDS, viewer as usize / SHARDS)
}

impl<'w, E: Engine> Shard<'w, E> {
    pub(super) fn new(world: &'w World) -> Self {
        Self {
            world,
            now: 0,
            until: 0,
            events: EventQueue::default(),
            viewers: Vec::new(),
            inbox: Vec::new(),
            outbox: (0..SHARDS).map(|_| Vec::new()).collect(),
            common: Vec::new(),
            reports: Vec::new(),
            tracker_up: true,
            settled_at: None,
            event_count: 0,
            violations: Vec::new(),
            lies: Lies::default(),
            peer_bytes: 0,
            commons: Commons::default(),
        }
    }

    /// Lets everything happen that happens before `until` (µs).
    pub(super) fn advance(&mut self, until: u64) {
        self.until = until;
        for mut mail in std::mem::take(&mut self.inbox) {
            for (at, event) in mail.drain(..) {
                self.events.push(at, event);
            }
        }
        while let Some((at, event)) = self.events.pop_until(until - 1) {
            self.now = at;
            self.event_count += 1;
            self.happen(event);
        }
        self.now = until;
    }

    /// Nothing happens before that time (µs).
    pub(super) fn earliest(&self) -> u64 {
        let mail = self.inbox.iter().flatten().map(|(at, _)| *at);
        mail.min().unwrap_or(u64::MAX).min(self.events.earliest())
    }

    /// Takes in the next viewer.
    pub(super) fn admit(&mut self, viewer: Box<Viewer<E>>) {
        self.viewers.push(Some(viewer));
    }

    pub(super) fn viewer(&mut self, viewer: u32) -> Option<&mut Viewer<E>> {
        self.viewers.get_mut(place(viewer).1)?.as_deref_mut()
    }

    /// Those who are there.
    pub(super) fn present(&mut self) -> impl Iterator<Item = &mut Viewer<E>> {
        self.viewers.iter_mut().flatten().map(Box::as_mut)
    }

    /// Lets something happen to another viewer, once others are heard again.
    pub(super) fn send(&mut self, viewer: u32, at: u64, event: Event) {
        self.outbox[place(viewer).0].push((at.max(self.until), event));
    }

    /// The same for what all viewers share.
    pub(super) fn send_common(&mut self, at: u64, event: Common) {
        self.common.push((at.max(self.until), event));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Begin(viewer) => {
                self.tell(viewer, Input::Load { url: self.world.title.url().to_owned() });
                self.events.push(self.now + PLAYHEAD_EVERY, Event::Playhead(viewer));
            }
            Event::Leave(viewer, abrupt) => self.leave(viewer, abrupt),
            Event::Script(viewer, index) => {
                self.act(viewer, self.world.script[index as usize].action);
            }
            Event::TrackerDown(viewer) => {
                let open = self.viewer(viewer).map_or(0, |v| std::mem::take(&mut v.trackers));
                for tracker in (0..64).filter(|tracker| open >> tracker & 1 == 1) {
                    self.tell(viewer, Input::TrackerClosed(TrackerId(tracker)));
                }
            }
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
            Event::FromTracker(viewer, message) => {
                let (tracker, text) = *message;
                let open = self.viewer(viewer).is_some_and(|v| v.trackers >> tracker & 1 == 1);
                if open {
                    self.tell(viewer, Input::TrackerMessage(TrackerId(tracker), text));
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
            Event::Uplink(viewer) => {
                if let Some(state) = self.viewer(viewer) {
                    state.uplink.awaited = false;
                    self.serve_uplink(viewer);
                }
            }
            Event::Arrive { viewer, connection, frame } => self.arrive(viewer, connection, frame),
            Event::Deliver { viewer, connection, frame } => {
                self.deliver(viewer, connection, *frame);
            }
            Event::Credit { viewer, connection, bytes } => self.credit(viewer, connection, bytes),
            Event::Writable { viewer, connection } => self.writable(viewer, connection),
            Event::Established { viewer, connection } => self.established(viewer, connection),
            Event::PeerGone { viewer, connection } => self.peer_gone(viewer, connection),
            Event::ConnectTimeout { viewer, connection } => {
                self.connect_timeout(viewer, connection);
            }
            Event::Head { viewer, id, response } => self.head_arrives(viewer, id, response),
            Event::ChunkArrive { viewer, id, offset, len } => {
                self.chunk_arrives(viewer, id, offset, len);
            }
            Event::ChunkDeliver { viewer, id, offset, len } => {
                self.chunk_delivered(viewer, id, offset, len);
            }
        }
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
            let Some(state) = self.viewer(viewer) else { return };
            let Some(output) = state.engine.poll_output() else { break };
            assert!(count < MOST_OUTPUTS, "viewer {viewer} talks without end, now {output:?}");
            state.trace.output(now.as_micros(), viewer, &output);
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
            Output::CancelFetch(id) => self.cancel_fetch(viewer, id),
            Output::Decrypt { .. } | Output::Transmux { .. } | Output::VerifySignature { .. } => {
                self.violate(viewer, "work on a segment that is plain fragmented MP4");
            }
            Output::Cache(_) => self.violate(viewer, "a cache where there is none"),
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
                    self.send_common(now + latency, Common::ToTracker { viewer, tracker, text });
                } else {
                    self.violate(viewer, "a message to a tracker that is not open");
                }
            }
            Output::CloseTracker(tracker) => {
                let Some(state) = self.viewer(viewer) else { return };
                state.trackers &= !(1 << tracker.0);
                if state.trackers == 0 {
                    self.send_common(now, Common::Forget(viewer));
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
                let Some(state) = self.viewer(viewer) else { return };
                let opens = matches!(command, player_core::io::MediaCommand::Open(_));
                let track = state.element.command(title, now, command);
                if opens {
                    for track in state.element.tracks().to_vec() {
                        self.events.push(now + 5_000, Event::MediaDone(viewer, track));
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
        if self.violations.len() < MOST_VIOLATIONS {
            self.violations.push((self.now, viewer, what.to_owned()));
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
        if let Some(state) = self.viewers[place(viewer).1].as_deref_mut() {
            state.engine.share_bytes(|data| self.commons.share(&world.title, data));
            self.commons.swept();
        }
        if ended && world.leave_at_end {
            self.leave(viewer, false);
            self.send_common(now, Common::Left(viewer));
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

    fn act(&mut self, viewer: u32, action: Action) {
        let now = self.now;
        let Some(state) = self.viewer(viewer) else { return };
        match action {
            Action::Seek(_, to) => state.element.seek_by_viewer(now, to),
            Action::Pause(_, paused) => state.element.pause(now, paused),
            Action::SelectVariant(_, variant) => {
                return self.tell(viewer, Input::SelectVariant(variant));
            }
            Action::SetP2p(_, mode) => return self.tell(viewer, Input::SetP2p(mode)),
            // Matters of all viewers.
            Action::Leave(_) | Action::Vanish(_) | Action::Tracker(_) => return,
        }
        self.tell_playhead(viewer);
    }

    fn leave(&mut self, viewer: u32, abrupt: bool) {
        let now = Instant::from_micros(self.now);
        let Some(state) = self.viewer(viewer) else { return };
        if abrupt {
            self.retire(viewer, Some(micros(self.world.dead_after)), None);
        } else {
            let stats = Some(state.engine.stats(now));
            self.tell(viewer, Input::Unload);
            self.retire(viewer, Some(0), stats);
        }
    }

    /// Takes a viewer out; peers notice after `notice` µs, or never when the world ends.
    pub(super) fn retire(&mut self, viewer: u32, notice: Option<u64>, stats: Option<Stats>) {
        let Some(mut state) = self.viewers[place(viewer).1].take() else { return };
        state.element.advance(self.now);
        let stats = stats.unwrap_or_else(|| state.engine.stats(Instant::from_micros(self.now)));
        for violation in std::mem::take(&mut state.element.violations) {
            self.violate(viewer, &violation);
        }
        let times = (self.settled_at, self.now);
        let report = ViewerReport::new(viewer, &state, &stats, times, notice.is_some());
        self.reports.push((report, state.trace));
        let Some(notice) = notice else { return };
        for connection in state.connections.values() {
            if let Connection::Linked(channel) = connection {
                self.close_channel(channel, notice);
            }
        }
    }
}
