//! The player: [`Input`] in, [`Output`] out. It owns everything below; its parts are in `player/`.

mod append;
mod cache;
mod choose;
mod crowd;
mod fitness;
mod handover;
mod latency;
#[cfg(test)]
mod live_session;
mod load;
mod low_latency;
mod pathway;
mod prepare;
mod recover;
mod report;
mod schedule;
mod share;
mod text;
mod thin_line;
mod title;
mod track;
mod transfer;
mod verify;

use crate::ordered::OrderedMap;
use crate::queue::Queue;
use std::time::Duration;

use bytes::Bytes;

use crate::abr::{BandwidthEstimator, Line};
use crate::buffer::{Ranges, StallAction, StallWatch};
use crate::config::{Config, P2pMode};
use crate::error::PlayerError;
use crate::io::{ConnectionId, JobId, TimelineInfo, WaitingReason};
use crate::io::{
    Event, FetchKind, FetchRequest, Input, MediaCommand, MediaFailure, Output, Playhead, RequestId,
    Track,
};
use crate::stats::Stats;
use crate::store::Store;
use crate::swarm::{Reputation, Swarm};
use crate::time::Instant;
use crate::trace::{Cause, Remedy, Trace};
use crate::tracker::Signaling;
use crate::wire::PeerId;

use load::Load;
use title::Title;
use track::TrackState;
use transfer::Transfer;

/// Longest sleep while something is loaded: everything that has no timer of its own is looked at this often.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// A gap at the start that is longer, in seconds, than browsers begin behind by themselves.
const FIRST_GAP: f64 = 0.5;

/// What a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Purpose {
    /// The playlist that the page named.
    Main,
    /// A media playlist, by its place in the title's lists.
    List(usize),
    /// An init section, by its URL and byte range.
    Init(title::InitKey),
    /// A key, by its URL.
    Key(String),
    /// A segment of a text source, or, without a number, its init section.
    Text(usize, Option<u64>),
    /// A file of hashes, by its URL.
    Hashes(String),
    /// A part of a block, to compare a peer's with.
    Check(verify::Check),
    /// The steering manifest.
    Steering,
}

/// A request other than a segment's: its body is needed whole.
#[derive(Debug)]
struct Document {
    purpose: Purpose,
    url: String,
    status: Option<u16>,
    expected: Option<u64>,
    body: Vec<u8>,
    progress_at: Instant,
}

/// The engine of one media element.
#[derive(Debug)]
pub struct Player {
    config: Config,
    rng: fastrand::Rng,
    outputs: Queue<Output>,
    wake: Option<Instant>,
    next_request: u64,
    online: bool,
    webrtc: bool,

    load: Load,
    title: Title,
    tracks: Vec<TrackState>,
    documents: OrderedMap<RequestId, Document>,
    transfers: OrderedMap<RequestId, Transfer>,
    jobs: OrderedMap<JobId, prepare::Job>,
    next_job: u32,
    segment_failures: OrderedMap<crate::wire::SegmentId, recover::Failure>,
    /// Segments in a row that could not be prepared, and why not.
    broken: u32,
    last_broken: Option<PlayerError>,
    /// Times that the media source was opened again, and when it was last.
    reopens: u32,
    reopened_at: Instant,
    /// When the origin last answered a request in full.
    answered_at_origin: Instant,
    /// Until when the origin counts as overrun.
    overrun_until: Instant,
    /// When an offline browser makes its next request.
    probe_at: Instant,
    trace: Trace,
    store: Store,
    bandwidth: BandwidthEstimator,
    /// All that comes, of the origin and of peers.
    line: Line,
    /// Nothing that is due later is asked for: on a thin line what is due first would wait for it.
    horizon: Instant,

    peer_id: PeerId,
    swarm: Option<Swarm>,
    signaling: Option<Signaling>,
    introduced: OrderedMap<ConnectionId, PeerId>,
    next_connection: ConnectionId,
    wanted_peers: usize,
    sharing_since: Instant,
    answered_at: Option<Instant>,
    /// Who has sent wrong bytes, while there is no swarm.
    reputation: Option<Reputation>,
    hash_files: OrderedMap<String, verify::HashFile>,
    signatures: verify::Signatures,
    /// Segments that are looked for in the cache, or were in vain: until when nobody else is asked.
    recalls: OrderedMap<crate::wire::SegmentId, Instant>,
    warned_unsigned: bool,
    /// What was missing when the plan was last looked at, by due time.
    missing: Vec<schedule::Want>,
    wanted_since: OrderedMap<crate::wire::SegmentId, Instant>,
    /// Part of each segment that the swarm's uplinks have lately proved not to bring in time.
    deficit: f64,
    /// Since when a segment whose time has come is waited for.
    overdue_since: OrderedMap<crate::wire::SegmentId, Instant>,
    /// Blocks known of segments that spread, and when the last one turned up; of one that this viewer leads, whether it was left
    /// to others, and until when it waits for them.
    spreading: OrderedMap<crate::wire::SegmentId, (u16, Instant)>,
    /// Blocks that whoever fetches a segment has left to this viewer, and the segment's size.
    handovers: OrderedMap<crate::wire::SegmentId, (u32, std::ops::Range<u16>)>,

    start_at: f64,
    playhead: Playhead,
    playhead_at: Instant,
    started: bool,
    ended: bool,
    stall: StallWatch,
    waiting: Option<WaitingReason>,
    rebuffering_since: Option<Instant>,
    quota_factor: f64,
    /// When it changed last.
    quota_at: Instant,
    manual_variant: Option<usize>,
    fitness: fitness::Fitness,
    /// When a lower variant was last chosen.
    fell_at: Option<Instant>,
    timeline: Option<TimelineInfo>,
    text: text::Text,
    stats: Stats,
    latency: latency::Controller,
}

impl Player {
    /// A player with nothing loaded. The same seed and the same inputs give the same outputs, bit for bit.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut peer_id = *b"-PL0100-000000000000";
        for byte in &mut peer_id[8..] {
            *byte = crate::text::random_letter(&mut rng);
        }
        let bandwidth = BandwidthEstimator::new(config.initial_bandwidth_bps);
        Self {
            config,
            rng,
            outputs: Queue::new(),
            wake: None,
            next_request: 0,
            online: true,
            webrtc: true,
            load: Load::Nothing,
            title: Title::default(),
            tracks: Vec::new(),
            documents: OrderedMap::new(),
            transfers: OrderedMap::new(),
            jobs: OrderedMap::new(),
            next_job: 0,
            segment_failures: OrderedMap::new(),
            broken: 0,
            last_broken: None,
            reopens: 0,
            reopened_at: Instant::default(),
            answered_at_origin: Instant::default(),
            overrun_until: Instant::default(),
            probe_at: Instant::default(),
            trace: Trace::default(),
            store: Store::default(),
            bandwidth,
            line: Line::default(),
            horizon: Instant::default(),
            peer_id: PeerId(peer_id),
            swarm: None,
            signaling: None,
            introduced: OrderedMap::new(),
            next_connection: ConnectionId(0),
            wanted_peers: 0,
            sharing_since: Instant::default(),
            answered_at: None,
            reputation: None,
            hash_files: OrderedMap::new(),
            signatures: OrderedMap::new(),
            recalls: OrderedMap::new(),
            warned_unsigned: false,
            missing: Vec::new(),
            wanted_since: OrderedMap::new(),
            deficit: 0.0,
            overdue_since: OrderedMap::new(),
            spreading: OrderedMap::new(),
            handovers: OrderedMap::new(),
            start_at: 0.0,
            playhead: Playhead { rate: 1.0, paused: true, ..Playhead::default() },
            playhead_at: Instant::default(),
            started: false,
            ended: false,
            stall: StallWatch::default(),
            waiting: None,
            rebuffering_since: None,
            quota_factor: 1.0,
            quota_at: Instant::default(),
            manual_variant: None,
            fitness: fitness::Fitness::default(),
            fell_at: None,
            timeline: None,
            text: text::Text::default(),
            stats: Stats::default(),
            latency: latency::Controller::default(),
        }
    }

    /// One mutation. Drain [`Player::poll_output`] before the next.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        let plan = match input {
            Input::PeerFrame(..)
            | Input::PeerMessage(..)
            | Input::PeerWritable(_)
            | Input::TrackerOpened(_)
            | Input::TrackerMessage(..)
            | Input::TrackerClosed(_)
            | Input::OfferReady { .. }
            | Input::AnswerReady { .. }
            | Input::PeerConnected(_)
            | Input::PeerClosed(_) => self.signaling.is_some() && self.sharing_input(now, input),
            Input::Tick => false,
            input => {
                self.take_input(now, input);
                true
            }
        };
        if plan || self.wake.is_some_and(|at| at <= now) {
            self.run(now);
        } else if self.signaling.is_some() {
            // Nothing that is fetched or played hangs on it: only peers may have to be told something.
            self.run_sharing(now);
        }
    }

    fn take_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Load { url } => self.load(now, url),
            Input::Unload => self.unload(now),
            Input::SelectVariant(index) => self.select_variant(now, index),
            Input::SelectAudio(index) => self.select_audio(now, index),
            Input::SelectText(sources) => self.select_text(&sources),
            Input::ExcludeVariants(indices) => self.exclude_variants(now, &indices),
            Input::SetP2p(mode) => self.set_p2p(now, mode),
            Input::SetUploadLimit(bps) => {
                self.config.upload_limit_bps = bps;
                if let Some(swarm) = &mut self.swarm {
                    swarm.set_upload_limit(bps);
                }
            }
            Input::SetUploadBudget(bytes) => {
                self.config.upload_budget_bytes = bytes;
            }
            Input::SetSwarmToken(token) => {
                if self.signaling.is_some() {
                    self.swarm_token_changed(now, &token);
                }
                self.config.swarm_token = token;
                self.start_sharing(now);
            }
            Input::Display(display) => self.fitness.display = display,
            Input::DecodingLevels(levels) => self.fitness.levels = levels,
            Input::Frames { total, dropped } => self.count_frames(now, total, dropped),
            Input::Online(online) => self.set_online(now, online),
            Input::FetchHead {
                id,
                status,
                content_length,
                content_range,
                content_type: _,
                url,
            } => {
                self.fetch_head(now, id, status, content_length, content_range, url);
            }
            Input::FetchChunk { id, data } => self.fetch_chunk(now, id, &data),
            Input::FetchDone { id } => self.fetch_done(now, id),
            Input::FetchFailed { id } => self.fetch_failed(now, id),
            Input::WebRtcUnavailable => self.webrtc_unavailable(now),
            Input::CodecSupport(supported) => self.codec_support(now, &supported),
            Input::MediaDone { track, buffered } => self.media_done(track, Ranges::new(buffered)),
            Input::MediaFailed { track, failure } => self.media_failed(now, track, failure),
            Input::Decrypted { job, data } => self.decrypted(now, job, data),
            Input::Transmuxed { job, result } => self.transmuxed(now, job, result),
            Input::SignatureVerified { job, valid } => self.signature_verified(now, job, valid),
            Input::Playhead(playhead) => self.observe_playhead(now, playhead),
            _ => {}
        }
    }

    /// The next thing to do; `None` when all is said. May change after each input.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to come back with [`Input::Tick`] if nothing else happens before; `None` while nothing is loaded.
    /// May change after each input.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sharing = self.signaling.as_ref().and_then(|_| self.sharing_timeout());
        [self.wake, sharing].into_iter().flatten().min()
    }

    /// Lets `share` put equal bytes that are kept elsewhere in the place of each block that is held: for a process in
    /// which thousands play the same.
    pub fn share_bytes(&mut self, mut share: impl FnMut(&mut Bytes)) {
        self.store.share_bytes(&mut share);
    }

    /// A snapshot of the counters.
    #[must_use]
    pub fn stats(&self, now: Instant) -> Stats {
        self.report(now)
    }

    /// Whatever is due, in an order that lets each step use what the one before found out.
    fn run(&mut self, now: Instant) {
        self.wake = None;
        if matches!(self.load, Load::Nothing | Load::Failed) {
            if self.signaling.is_some() {
                self.run_sharing(now);
            }
            return;
        }
        self.wake_at(now + HEARTBEAT);
        self.expire_requests(now);
        if self.title.pathways.is_choice() {
            self.run_pathways(now);
        }
        if self.title.lists.iter().any(|list| !list.parts.is_empty()) {
            self.run_low_latency(now);
        }
        self.run_playlists(now);
        self.run_choice(now);
        self.run_media(now);
        if self.text.is_fetched() {
            self.run_text(now);
        }
        self.run_transfers(now);
        if self.signaling.is_some() {
            self.run_sharing(now);
        }
        if self.started && self.timeline.is_some_and(|timeline| timeline.live) {
            self.run_latency(now);
        }
        if self.playhead.ready_state < 3 || !self.started {
            // Who waits in front of a hole does not move, and need not say anything.
            self.break_stall(now, if self.started { 0.0 } else { FIRST_GAP });
        }
        self.run_waiting(now);
    }

    fn wake_at(&mut self, at: Instant) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    #[inline(never)]
    fn fail(&mut self, now: Instant, error: PlayerError) {
        tracing::warn!(code = error.code(), "playback failed");
        self.stop_everything(now);
        self.load = Load::Failed;
        self.event(Event::Error { error, fatal: true });
    }

    fn warn(&mut self, error: PlayerError) {
        self.event(Event::Error { error, fatal: false });
    }

    /// Starts a request whose body is needed whole.
    fn fetch_document(
        &mut self,
        now: Instant,
        purpose: Purpose,
        url: String,
        range: Option<(u64, Option<u64>)>,
    ) {
        let kind = match purpose {
            Purpose::Main | Purpose::List(_) | Purpose::Steering | Purpose::Hashes(_) => {
                FetchKind::Playlist
            }
            Purpose::Init(_) => FetchKind::Init,
            Purpose::Key(_) => FetchKind::Key,
            Purpose::Text(..) => FetchKind::Text,
            Purpose::Check(_) => FetchKind::Segment,
        };
        let id =
            self.next_request(FetchRequest { id: RequestId(0), url: url.clone(), range, kind });
        let document = Document {
            purpose,
            url,
            status: None,
            expected: None,
            body: Vec::new(),
            progress_at: now,
        };
        self.documents.insert(id, document);
    }

    fn next_request(&mut self, request: FetchRequest) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.outputs.push_back(Output::Fetch(FetchRequest { id, ..request }));
        id
    }

    fn observe_playhead(&mut self, now: Instant, playhead: Playhead) {
        let moved = playhead.position - self.playhead.position;
        let expected = now.since(self.playhead_at).as_secs_f64() * playhead.rate.max(0.0);
        let jumped =
            playhead.seeking && moved.abs() > 0.05 || moved < -0.25 || moved > expected + 1.5;
        self.playhead = playhead;
        self.playhead_at = now;
        if jumped {
            self.seeked(now);
        }
        if playhead.ready_state >= 3 && !playhead.seeking && !playhead.paused {
            self.started = true;
        }
        self.count_rebuffers(now);
        self.break_stall(now, 0.0);
    }

    /// `currentTime` now: the last report, moved on by the time since.
    fn position(&self, now: Instant) -> f64 {
        let playhead = &self.playhead;
        if playhead.paused || playhead.seeking || playhead.ready_state < 3 {
            return playhead.position;
        }
        playhead.position + now.since(self.playhead_at).as_secs_f64().min(1.0) * playhead.rate
    }

    /// Seconds of media that a second takes: `playbackRate`, where it is more than what brings live viewers nearer to
    /// the edge for a while.
    #[inline(never)]
    fn speed(&self) -> f64 {
        if self.playhead.rate > 1.1 { self.playhead.rate } else { 1.0 }
    }

    /// Seconds that every track can play from the playhead.
    fn buffer_ahead(&self, now: Instant) -> f64 {
        let position = self.position(now);
        self.tracks
            .iter()
            .map(|track| track.buffered.ahead(position))
            .fold(f64::INFINITY, f64::min)
            .min(1e9)
    }

    /// Jumps a hole, wakes a decoder that is stuck; with `least`, only jumps to what is buffered that far ahead or more.
    fn break_stall(&mut self, now: Instant, least: f64) {
        let playhead = self.playhead;
        let Some(lagging) = self.tracks.iter().min_by(|a, b| {
            a.buffered.ahead(playhead.position).total_cmp(&b.buffered.ahead(playhead.position))
        }) else {
            return;
        };
        let start = lagging.buffered.start();
        if least > 0.0 && start.is_none_or(|start| start < playhead.position + least) {
            return;
        }
        let buffered = lagging.buffered.clone();
        // Whether what is appended next belongs before what is buffered behind the hole.
        let fetching_hole = buffered.next_start(playhead.position).is_some_and(|next| {
            match (lagging.cursor, self.cursor_segment(lagging)) {
                (None, _) => true,
                (_, Some((_, segment))) => segment.start < next - 0.1,
                (_, None) => false,
            }
        });
        match self.stall.observe(now, &playhead, &buffered, fetching_hole) {
            Some((cause, StallAction::Reopen)) => self.reopen(now, cause, ""),
            Some((cause, StallAction::JumpHole(to))) => {
                self.record(now, cause, Remedy::Jump);
                self.outputs.push_back(Output::Media(MediaCommand::Seek(to)));
            }
            Some((cause, StallAction::Nudge(to))) => {
                self.record(now, cause, Remedy::Nudge);
                self.outputs.push_back(Output::Media(MediaCommand::Seek(to)));
            }
            None => {}
        }
    }

    fn count_rebuffers(&mut self, now: Instant) {
        let playhead = &self.playhead;
        let starving = self.started
            && !self.ended
            && !playhead.paused
            && !playhead.seeking
            && playhead.ready_state < 3;
        match (starving, self.rebuffering_since) {
            (true, None) => {
                self.rebuffering_since = Some(now);
                self.stats.rebuffers += 1;
            }
            (false, Some(since)) => {
                self.stats.rebuffer_seconds += now.since(since).as_secs_f64();
                self.rebuffering_since = None;
            }
            _ => {}
        }
    }

    /// Tells the page why nothing plays, and when it goes on.
    fn run_waiting(&mut self, now: Instant) {
        let idle = self.ended
            || self.playhead.ready_state >= 3
            || self.buffer_ahead(now) > 0.5 && !self.tracks.is_empty();
        let reason = if idle {
            None
        } else if !self.online {
            Some(WaitingReason::Offline)
        } else if self.origin_failing(now) {
            Some(WaitingReason::OriginUnavailable)
        } else if self.playlist_stale(now) {
            Some(WaitingReason::PlaylistStale)
        } else {
            Some(WaitingReason::Buffering)
        };
        if reason != self.waiting {
            self.waiting = reason;
            self.event(Event::Waiting(reason));
        }
    }

    fn media_failed(&mut self, now: Instant, track: Track, failure: MediaFailure) {
        let Some(state) = self.tracks.iter_mut().find(|state| state.track == track) else { return };
        state.busy = false;
        let change = state.open && matches!(failure, MediaFailure::Unsupported(_));
        if change && self.leave_codecs(now, track) {
            return;
        }
        let Some(state) = self.tracks.iter_mut().find(|state| state.track == track) else { return };
        match failure {
            MediaFailure::QuotaExceeded => {
                state.quota_exceeded(now);
                self.quota_factor = (self.quota_factor * 0.7).max(0.1);
                self.quota_at = now;
                self.record(now, Cause::Quota, Remedy::ShrinkBuffer);
            }
            MediaFailure::Unsupported(reason) => {
                let codecs = if reason.is_empty() { state.mime.clone() } else { reason };
                self.fail(now, PlayerError::UnplayableCodecs { codecs });
            }
            MediaFailure::Decode(reason) => self.reopen(now, Cause::DecodeError, &reason),
            MediaFailure::Closed => state.open = false,
        }
    }

    fn set_p2p(&mut self, now: Instant, mode: P2pMode) {
        let before = std::mem::replace(&mut self.config.p2p, mode);
        if before == mode {
            return;
        }
        if mode == P2pMode::Off {
            self.stop_sharing(now);
            return;
        }
        if self.swarm.is_none() && !matches!(self.load, Load::Nothing | Load::Failed) {
            self.start_sharing(now);
        }
    }

    /// Whether this viewer gives to others, as far as it has a say in it.
    const fn gives(&self) -> bool {
        matches!(self.config.p2p, P2pMode::On)
            && !matches!(self.config.upload_budget_bytes, Some(0))
    }
}

/// One buffer out of several, without a copy when it is one.
fn join(mut parts: Vec<Bytes>) -> Bytes {
    if parts.len() == 1 {
        return parts.swap_remove(0);
    }
    Bytes::from(parts.concat())
}
