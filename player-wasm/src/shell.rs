//! The loop around the core: one input, a full drain of the outputs, one timer.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use js_sys::{Array, ArrayBuffer, Function};
use player_core::io::{ConnectionId, Input, Output, Playhead, RequestId, TrackerId};
use player_core::recording::Recorder;
use player_core::time::Instant;
use player_core::wire::Message;
use player_core::{Config, Player, Queue};
use wasm_bindgen::prelude::*;
use web_sys::{RtcDataChannel, RtcDataChannelState};

use crate::channel::{self, Channel, Link, MAX_UNREAD, Pressure};
use crate::clock::{self, Timer};
use crate::fetch::{Fetch, Promise};
use crate::messages::{
    Object, check_codecs, decrypt_to_js, event_to_js, media_to_js, stats_to_js, text_to_js,
    transmux_to_js, verify_to_js,
};
use crate::socket::Socket;
use crate::table::Table;

/// How often the page gets statistics.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// Something to do. `connection` is the page's number, see [`Shell::here`].
#[derive(Debug)]
pub(crate) enum Task {
    Load {
        url: String,
        start_position: Option<f64>,
        /// The request for `url`, where it was sent before the engine ran.
        response: Option<Promise>,
    },
    Unload,
    Input(Input),
    OfferReady {
        connection: u32,
        sdp: String,
    },
    AnswerReady {
        connection: u32,
        sdp: String,
    },
    Channel {
        connection: u32,
        channel: RtcDataChannel,
    },
    RelayOpen {
        connection: u32,
    },
    RelayMessage {
        connection: u32,
        data: ArrayBuffer,
    },
    RelayBuffered {
        connection: u32,
        amount: u32,
    },
    PeerClosed {
        connection: u32,
    },
    /// Record from the next load on, or give out the rest and stop.
    Record(bool),
}

impl From<Input> for Task {
    fn from(input: Input) -> Self {
        Self::Input(input)
    }
}

/// The core and all that it has in progress. No borrow of a cell is held while JavaScript runs
/// that might come back here.
pub(crate) struct Shell {
    me: Weak<Self>,
    post: Function,
    timer: Timer,
    queue: RefCell<Queue<Task>>,
    running: Cell<bool>,
    /// One for each load: the start position is part of its configuration.
    player: RefCell<Option<Player>>,
    pub(crate) recorder: RefCell<Option<Box<Recorder>>>,
    memory: RefCell<Memory>,
    next_stats: Cell<Instant>,
    /// While a load begins: what its first request is answered with.
    begun: Cell<Option<Promise>>,
    fetches: RefCell<Table<RequestId, Fetch>>,
    sockets: RefCell<Table<TrackerId, Socket>>,
    links: RefCell<Table<ConnectionId, Link>>,
    /// The page's numbers of this load's connections begin here, so that late news of an earlier
    /// load's connections are known as such.
    first_connection: Cell<u32>,
    next_connection: Cell<u32>,
}

/// What outlives a load.
struct Memory {
    config: Config,
    online: bool,
    webrtc: bool,
    playhead: Option<Playhead>,
}

impl Shell {
    pub(crate) fn new(config: Config, post: Function) -> Rc<Self> {
        Rc::new_cyclic(|me: &Weak<Self>| {
            let shell = me.clone();
            let timer = Timer::new(move || {
                if let Some(shell) = shell.upgrade() {
                    shell.wake();
                }
            });
            Self {
                me: me.clone(),
                post,
                timer,
                queue: RefCell::default(),
                running: Cell::new(false),
                player: RefCell::new(None),
                recorder: RefCell::new(None),
                memory: RefCell::new(Memory { config, online: true, webrtc: true, playhead: None }),
                next_stats: Cell::default(),
                begun: Cell::default(),
                fetches: RefCell::default(),
                sockets: RefCell::default(),
                links: RefCell::default(),
                first_connection: Cell::new(0),
                next_connection: Cell::new(0),
            }
        })
    }

    /// Does a task and all that follows from it; one that comes while another is being done waits
    /// for its turn.
    pub(crate) fn give(&self, task: Task) {
        self.queue.borrow_mut().push_back(task);
        if self.running.replace(true) {
            return;
        }
        loop {
            let next = self.queue.borrow_mut().pop_front();
            let Some(task) = next else { break };
            self.take(task);
        }
        self.running.set(false);
        self.arm();
    }

    /// Tells the core something.
    pub(crate) fn input(&self, input: Input) {
        self.give(Task::Input(input));
    }

    /// A request came to its end.
    pub(crate) fn fetch_ended(&self, id: RequestId, input: Input) {
        let ended = self.fetches.borrow_mut().remove(id);
        drop(ended);
        self.input(input);
    }

    /// A tracker's socket closed by itself.
    pub(crate) fn tracker_closed(&self, tracker: TrackerId) {
        let closed = self.sockets.borrow_mut().remove(tracker);
        drop(closed);
        self.input(Input::TrackerClosed(tracker));
    }

    /// A channel closed by itself, or its peer sent what cannot be: the page closes the connection.
    pub(crate) fn link_broke(&self, connection: ConnectionId) {
        if self.close_link(connection) {
            self.input(Input::PeerClosed(connection));
        }
    }

    /// A channel's buffer fell below the low mark.
    pub(crate) fn buffer_fell(&self, connection: ConnectionId) {
        if let Some(Link::Channel(channel)) = self.links.borrow().get(connection) {
            channel.fell();
        }
        self.input(Input::PeerWritable(connection));
    }

    fn take(&self, task: Task) {
        match task {
            Task::Load { url, start_position, response } => {
                self.load(url, start_position, response);
            }
            Task::Unload => self.unload(),
            Task::Input(input) => {
                self.remember(&input);
                self.feed(input);
            }
            Task::OfferReady { connection, sdp } => {
                if let Some(connection) = self.here(connection) {
                    self.feed(Input::OfferReady { connection, sdp });
                }
            }
            Task::AnswerReady { connection, sdp } => {
                if let Some(connection) = self.here(connection) {
                    self.feed(Input::AnswerReady { connection, sdp });
                }
            }
            Task::Channel { connection, channel } => self.adopt(connection, channel),
            Task::RelayOpen { connection } => {
                if let Some(connection) = self.here(connection) {
                    let relay = Link::Relay(Pressure::default());
                    self.links.borrow_mut().insert(connection, relay);
                    self.feed(Input::PeerConnected(connection));
                }
            }
            Task::RelayMessage { connection, data } => {
                if let Some(connection) = self.here(connection) {
                    match channel::bytes(&data) {
                        Some(bytes) => self.feed(Input::PeerFrame(connection, bytes)),
                        None => self.link_broke(connection),
                    }
                }
            }
            Task::RelayBuffered { connection, amount } => {
                let Some(connection) = self.here(connection) else { return };
                if amount as usize > MAX_UNREAD {
                    return self.link_broke(connection);
                }
                let low = self.memory.borrow().config.send_buffer_low;
                let report = match self.links.borrow().get(connection) {
                    Some(Link::Relay(pressure)) => pressure.is_low(amount as usize, low),
                    _ => false,
                };
                if report {
                    self.feed(Input::PeerWritable(connection));
                }
            }
            Task::PeerClosed { connection } => {
                let Some(connection) = self.here(connection) else { return };
                let closed = self.links.borrow_mut().remove(connection);
                drop(closed);
                self.feed(Input::PeerClosed(connection));
            }
            Task::Record(on) => self.record(on),
        }
    }

    fn load(&self, url: String, start_position: Option<f64>, response: Option<Promise>) {
        self.unload();
        self.first_connection.set(self.next_connection.get());
        let mut before = Vec::new();
        let config = {
            let memory = self.memory.borrow();
            if !memory.online {
                before.push(Input::Online(false));
            }
            if !memory.webrtc {
                before.push(Input::WebRtcUnavailable);
            }
            // What the element does stays, where it was in the last title does not.
            if let Some(playhead) = memory.playhead {
                let wall_clock_ms = clock::wall_clock_ms();
                before.push(Input::Playhead(Playhead {
                    rate: playhead.rate,
                    paused: playhead.paused,
                    wall_clock_ms,
                    ..Playhead::default()
                }));
            }
            Config { start_position, ..memory.config.clone() }
        };
        let seed = clock::seed();
        if let Some(recorder) = &mut *self.recorder.borrow_mut() {
            recorder.player(&config, seed);
        }
        *self.player.borrow_mut() = Some(Player::new(config, seed));
        self.next_stats.set(clock::now() + STATS_INTERVAL);
        for input in before {
            self.feed(input);
        }
        self.begun.set(response);
        self.feed(Input::Load { url });
        self.begun.take();
    }

    /// Lets the core say goodbye, then ends what it may have left.
    fn unload(&self) {
        self.feed(Input::Unload);
        self.player.replace(None);
        drop((self.fetches.take(), self.sockets.take()));
        let left = self.links.borrow().keys();
        for connection in left {
            self.close_link(connection);
        }
    }

    /// Keeps what a later load has to know as well.
    fn remember(&self, input: &Input) {
        let memory = &mut *self.memory.borrow_mut();
        match input {
            Input::SetP2p(mode) => memory.config.p2p = *mode,
            Input::SetUploadLimit(limit) => memory.config.upload_limit_bps = *limit,
            Input::SetUploadBudget(bytes) => memory.config.upload_budget_bytes = *bytes,
            Input::SetSwarmToken(token) => memory.config.swarm_token.clone_from(token),
            Input::Online(online) => memory.online = *online,
            Input::WebRtcUnavailable => memory.webrtc = false,
            Input::Playhead(playhead) => memory.playhead = Some(*playhead),
            _ => {}
        }
    }

    /// One input, then a full drain.
    fn feed(&self, input: Input) {
        match &mut *self.player.borrow_mut() {
            Some(player) => {
                let now = clock::now();
                if let Some(recorder) = &mut *self.recorder.borrow_mut() {
                    self.record_input(recorder, now, &input);
                }
                player.handle_input(now, input);
            }
            None => return,
        }
        loop {
            let output = self.player.borrow_mut().as_mut().and_then(Player::poll_output);
            let Some(output) = output else { break };
            if let Some(recorder) = &mut *self.recorder.borrow_mut() {
                recorder.output(&output);
            }
            self.perform(output);
        }
    }

    fn perform(&self, output: Output) {
        match output {
            Output::Fetch(request) => {
                let id = request.id;
                let fetch = Fetch::start(self.me.clone(), request, self.begun.take());
                self.fetches.borrow_mut().insert(id, fetch);
            }
            Output::CancelFetch(id) => {
                let cancelled = self.fetches.borrow_mut().remove(id);
                drop(cancelled);
            }
            Output::OpenTracker(tracker, url) => match Socket::open(&self.me, tracker, &url) {
                Some(socket) => {
                    let before = self.sockets.borrow_mut().insert(tracker, socket);
                    drop(before);
                }
                None => self.input(Input::TrackerClosed(tracker)),
            },
            Output::SendTracker(tracker, text) => {
                // A socket that is not open is about to say that it closed.
                if let Some(socket) = self.sockets.borrow().get(tracker) {
                    socket.send(&text);
                }
            }
            Output::CloseTracker(tracker) => {
                let closed = self.sockets.borrow_mut().remove(tracker);
                drop(closed);
            }
            Output::CreateOffer(connection) => {
                let message = self.open_link("create-offer", connection);
                self.post(&message, None);
            }
            Output::CreateAnswer(connection, sdp) => {
                let message = self.open_link("create-answer", connection).with("sdp", sdp);
                self.post(&message, None);
            }
            Output::AcceptAnswer(connection, sdp) => {
                let message = self.about("accept-answer", connection).with("sdp", sdp);
                self.post(&message, None);
            }
            Output::ClosePeer(connection) => {
                self.close_link(connection);
            }
            Output::SendPeer(connection, message) => self.send(connection, &message),
            Output::Decrypt { job, cipher, key, iv, init, data } => {
                let (message, buffer) = decrypt_to_js(job, cipher, &key, iv, &init, &data);
                self.post(&message, Some(&buffer));
            }
            Output::Transmux { job, track, reset, begins, ends, last, data } => {
                let how = [reset, begins, ends, last];
                let (message, buffer) = transmux_to_js(job, track, how, &data);
                self.post(&message, Some(&buffer));
            }
            Output::Text(segment) => {
                let (message, buffer) = text_to_js(&segment);
                self.post(&message, Some(&buffer));
            }
            Output::VerifySignature { job, key, signature, message } => {
                self.post(&verify_to_js(job, &key, &signature, message.as_bytes()), None);
            }
            Output::Cache(command) => self.cache(command),
            Output::CheckCodecs(mime_types) => self.post(&check_codecs(&mime_types), None),
            Output::Media(command) => {
                let (message, transfer) = media_to_js(command);
                self.post(&message, transfer.as_ref());
            }
            Output::Event(event) => self.post(&event_to_js(&event), None),
        }
    }

    #[inline(never)]
    fn send(&self, connection: ConnectionId, message: &Message) {
        let frame = message.encode();
        let outcome = match self.links.borrow().get(connection) {
            Some(Link::Channel(channel)) => channel.send(&frame),
            Some(Link::Relay(pressure)) => {
                pressure.sent(frame.len());
                Ok(false)
            }
            Some(Link::Pending) | None => return,
        };
        match outcome {
            Ok(true) => self.input(Input::PeerWritable(connection)),
            Err(_) => self.link_broke(connection),
            Ok(false) => self.relay(connection, &frame),
        }
    }

    /// Has the page send, when the channel is the page's.
    fn relay(&self, connection: ConnectionId, frame: &[u8]) {
        let relayed = matches!(self.links.borrow().get(connection), Some(Link::Relay(_)));
        if relayed {
            let data = channel::buffer(frame);
            self.post(&self.about("relay-send", connection).with("data", &data), Some(&data));
        }
    }

    #[inline(never)]
    fn adopt(&self, number: u32, channel: RtcDataChannel) {
        let Some(connection) = self.here(number) else {
            channel.close();
            return;
        };
        let low = self.memory.borrow().config.send_buffer_low;
        let channel = Channel::adopt(&self.me, connection, channel, low);
        let state = channel.state();
        self.links.borrow_mut().insert(connection, Link::Channel(channel));
        match state {
            RtcDataChannelState::Connecting => {}
            RtcDataChannelState::Open => self.feed(Input::PeerConnected(connection)),
            _ => self.link_broke(connection),
        }
    }

    fn open_link(&self, kind: &str, connection: ConnectionId) -> Object {
        self.links.borrow_mut().insert(connection, Link::Pending);
        let number = self.number(connection);
        self.next_connection.set(self.next_connection.get().max(number.wrapping_add(1)));
        self.about(kind, connection)
    }

    /// Forgets a connection and has the page close it; false when it was forgotten before.
    fn close_link(&self, connection: ConnectionId) -> bool {
        let link = self.links.borrow_mut().remove(connection);
        if link.is_some() {
            self.post(&self.about("close-peer", connection), None);
        }
        link.is_some()
    }

    /// The connection that the page means, if it is one of this load and not closed yet.
    fn here(&self, number: u32) -> Option<ConnectionId> {
        let id = ConnectionId(number.checked_sub(self.first_connection.get())?);
        self.links.borrow().get(id).is_some().then_some(id)
    }

    /// The page's number for a connection.
    fn number(&self, connection: ConnectionId) -> u32 {
        self.first_connection.get().wrapping_add(connection.0)
    }

    fn about(&self, kind: &str, connection: ConnectionId) -> Object {
        Object::new(kind).with("connection", self.number(connection))
    }

    pub(crate) fn post(&self, message: &Object, transfer: Option<&ArrayBuffer>) {
        let list = transfer.map_or_else(Array::new, |buffer| Array::of1(buffer));
        if let Err(error) = self.post.call2(&JsValue::UNDEFINED, message.as_js(), &list) {
            web_sys::console::error_2(&"potluck: a message was refused".into(), &error);
        }
    }

    /// The timer's time has come, or a little less.
    fn wake(&self) {
        self.timer.fired();
        let now = clock::now();
        if now >= self.next_stats.get() {
            let stats = self.player.borrow().as_ref().map(|player| player.stats(now));
            if let Some(stats) = stats {
                self.post(&stats_to_js(&stats), None);
            }
            self.next_stats.set(now + STATS_INTERVAL);
        }
        let timeout = self.player.borrow().as_ref().and_then(Player::poll_timeout);
        if timeout.is_some_and(|at| at <= now) {
            self.input(Input::Tick);
        } else {
            self.arm();
        }
    }

    /// Arms the one timer, while something is loaded.
    fn arm(&self) {
        let Some(timeout) = self.player.borrow().as_ref().map(Player::poll_timeout) else { return };
        let stats = self.next_stats.get();
        self.timer.arm(timeout.map_or(stats, |timeout| timeout.min(stats)));
    }
}

impl std::fmt::Debug for Shell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shell").finish_non_exhaustive()
    }
}
