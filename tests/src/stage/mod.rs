//! One viewer on a stage, in virtual time: the real core, a scripted origin, and a media element that behaves as
//! browsers do where it matters for faults. For worlds with peers there is [`simulation`](crate::simulation).

mod element;
mod media;
mod origins;

use player_core::io::{Event, FetchRequest, Input, MediaFailure, Output, RequestId, Track};
use player_core::time::Instant;
use player_core::trace::{Cause, Remedy};
use player_core::{Config, P2pMode, Player};

pub use element::Element;
pub use media::{init, init_baseline, playlist, segment, transport_stream};
pub use origins::{LIVE, Live, MASTER, TARGET, film, film_without, master, number};

/// What the origin answers.
#[derive(Debug, Clone)]
pub enum Reply {
    /// 200 and these bytes.
    Body(Vec<u8>),
    /// 200 and these bytes, spread over so many seconds; the head comes after the first number of milliseconds.
    Slow(Vec<u8>, u64, f64),
    /// This status.
    Status(u16),
    /// No connection.
    Fail,
    /// Nothing, ever.
    Hang,
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self::Body(text.into_bytes())
    }
}

impl From<Vec<u8>> for Reply {
    fn from(body: Vec<u8>) -> Self {
        Self::Body(body)
    }
}

type Origin = Box<dyn FnMut(f64, &str) -> Reply>;

const ANSWER_MICROS: u64 = 20_000;
const MEDIA_MICROS: u64 = 3_000;
const REPORT_MICROS: u64 = 250_000;

/// The stage.
pub struct Stage {
    player: Player,
    now: u64,
    origin: Origin,
    pending: Vec<(u64, u64, Input)>,
    order: u64,
    next_report: u64,
    cancelled: Vec<RequestId>,
    /// What the page sees.
    pub element: Element,
    /// What the page was told, and when.
    pub events: Vec<(f64, Event)>,
    /// What was asked for, and when.
    pub requests: Vec<(f64, String)>,
    /// Most outputs after one input.
    pub most_outputs: usize,
    /// Whether requests reach anybody.
    pub connected: bool,
}

impl Stage {
    /// A viewer without peers who loads `url`; the origin is told the virtual second and the URL.
    pub fn new(url: &str, origin: impl FnMut(f64, &str) -> Reply + 'static) -> Self {
        Self::with(Config { p2p: P2pMode::Off, ..Config::default() }, url, origin)
    }

    /// The same, with a configuration of one's own.
    pub fn with(
        config: Config,
        url: &str,
        origin: impl FnMut(f64, &str) -> Reply + 'static,
    ) -> Self {
        let mut stage = Self {
            player: Player::new(config, 1),
            now: 1_000_000,
            origin: Box::new(origin),
            pending: Vec::new(),
            order: 0,
            next_report: 1_000_000,
            cancelled: Vec::new(),
            element: Element::default(),
            events: Vec::new(),
            requests: Vec::new(),
            most_outputs: 0,
            connected: true,
        };
        stage.tell(Input::Load { url: url.to_owned() });
        stage
    }

    /// Virtual seconds since the start.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.now as f64 / 1e6 - 1.0
    }

    /// Lets so many seconds pass.
    pub fn run(&mut self, seconds: f64) {
        let end = self.now + (seconds * 1e6) as u64;
        loop {
            let tick = self.player.poll_timeout().map_or(u64::MAX, Instant::as_micros);
            let first = self.pending.iter().map(|(at, ..)| *at).min().unwrap_or(u64::MAX);
            let at = tick.max(self.now + 1).min(first).min(self.next_report).max(self.now);
            if at > end {
                break;
            }
            self.now = at;
            self.element.advance(at as f64 / 1e6);
            if first <= at {
                let key = |entry: &(u64, u64, Input)| (entry.0, entry.1);
                let place = (0..self.pending.len()).min_by_key(|n| key(&self.pending[*n]));
                let (.., input) = self.pending.swap_remove(place.expect("there is one"));
                if let Some(input) = self.fresh(input) {
                    self.tell(input);
                }
            } else if self.next_report <= at {
                self.next_report = at + REPORT_MICROS;
                // The page says something four times a second while the element plays, else only at its events.
                if self.element.changed() || !self.element.stands() {
                    self.report();
                }
            } else if self.element.changed() {
                self.report();
            } else {
                self.tell(Input::Tick);
            }
        }
        self.now = end;
        self.element.advance(end as f64 / 1e6);
        if self.element.changed() || !self.element.stands() {
            self.report();
        }
    }

    /// Runs until the condition holds, for at most so many seconds; panics when it does not.
    pub fn until(&mut self, what: &str, seconds: f64, mut condition: impl FnMut(&Self) -> bool) {
        let end = self.seconds() + seconds;
        while !condition(self) {
            assert!(self.seconds() < end, "{what} did not happen\n{}", self.story());
            self.run(0.25);
        }
    }

    /// Runs to the end of what is played, for at most so many seconds; panics when it does not get there.
    pub fn run_to_end(&mut self, seconds: f64) {
        self.until("the end", seconds, |stage| stage.element.at_end());
    }

    /// The machine sleeps: time passes, and nothing else does.
    pub fn sleep(&mut self, seconds: f64) {
        self.now += (seconds * 1e6) as u64;
        self.next_report = self.now;
        self.element.wake(self.now as f64 / 1e6);
        self.tell(Input::Tick);
    }

    /// Runs as a tab does that nobody looks at: the element plays on, and everything else happens once a second.
    pub fn run_in_background(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.now += 1_000_000;
            self.element.advance(self.now as f64 / 1e6);
            let now = self.now;
            self.pending.sort_by_key(|(at, order, _)| (*at, *order));
            let come = self.pending.partition_point(|(at, ..)| *at <= now);
            for (.., input) in self.pending.drain(..come).collect::<Vec<_>>() {
                if let Some(input) = self.fresh(input) {
                    self.tell(input);
                }
            }
            self.tell(Input::Tick);
            self.report();
        }
        self.next_report = self.now;
    }

    /// The viewer sets `currentTime`.
    pub fn seek(&mut self, to: f64) {
        self.element.seek(to);
        self.report();
    }

    /// The viewer pauses or goes on.
    pub fn pause(&mut self, paused: bool) {
        self.element.paused = paused;
        self.report();
    }

    /// Any input.
    pub fn tell(&mut self, input: Input) {
        let now = Instant::from_micros(self.now);
        self.player.handle_input(now, input);
        let mut outputs = 0;
        while let Some(output) = self.player.poll_output() {
            outputs += 1;
            self.carry_out(output);
        }
        self.most_outputs = self.most_outputs.max(outputs);
    }

    /// The core's counters.
    #[must_use]
    pub fn stats(&self) -> player_core::Stats {
        self.player.stats(Instant::from_micros(self.now))
    }

    /// Entries in all of the core's maps and lists.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.player.footprint() + self.pending.len()
    }

    /// What was done about faults.
    #[must_use]
    pub fn trace(&self) -> Vec<(Cause, Remedy)> {
        self.stats().trace.iter().map(|one| (one.cause, one.remedy)).collect()
    }

    /// Codes of the errors that the page was told, fatal ones with a `!`.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        let errors = self.events.iter().filter_map(|(_, event)| match event {
            Event::Error { error, fatal } => {
                Some(format!("{}{}", error.code(), if *fatal { "!" } else { "" }))
            }
            _ => None,
        });
        errors.collect()
    }

    /// Requests whose URL contains `part`.
    #[must_use]
    pub fn asked(&self, part: &str) -> usize {
        self.requests.iter().filter(|(_, url)| url.contains(part)).count()
    }

    /// All that happened, for a failed assertion.
    #[must_use]
    pub fn story(&self) -> String {
        let from = self.requests.len().saturating_sub(40);
        format!(
            "at {} s: {:?}\ntrace {:?}\nerrors {:?}\nrequests {:?}\nevents {:?}",
            self.seconds(),
            self.element,
            self.stats().trace,
            self.errors(),
            &self.requests[from..],
            &self.events[self.events.len().saturating_sub(20)..],
        )
    }

    fn report(&mut self) {
        let playhead = self.element.playhead();
        self.tell(Input::Playhead(playhead));
    }

    /// An answer as it is when it arrives: nothing more is said of a request that was taken back.
    fn fresh(&self, input: Input) -> Option<Input> {
        let id = match &input {
            Input::FetchHead { id, .. }
            | Input::FetchChunk { id, .. }
            | Input::FetchDone { id }
            | Input::FetchFailed { id } => *id,
            _ => return Some(input),
        };
        (!self.cancelled.contains(&id)).then_some(input)
    }

    fn later(&mut self, micros: u64, input: Input) {
        self.order += 1;
        self.pending.push((self.now + micros, self.order, input));
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Fetch(request) => self.fetch(request),
            Output::CancelFetch(id) => {
                self.cancelled.push(id);
                if self.cancelled.len() > 64 {
                    self.cancelled.remove(0);
                }
            }
            Output::CheckCodecs(types) => {
                let supported = types.iter().map(|mime| !mime.contains("hvc1")).collect();
                self.later(MEDIA_MICROS, Input::CodecSupport(supported));
            }
            Output::Media(command) => {
                for (track, outcome) in self.element.command(command) {
                    self.answer(track, outcome);
                }
            }
            Output::Transmux { job, data, .. } => {
                let result = media::transmux(&data);
                self.later(MEDIA_MICROS, Input::Transmuxed { job, result });
            }
            Output::Decrypt { job, data, .. } => {
                self.later(MEDIA_MICROS, Input::Decrypted { job, data: Some(data) });
            }
            Output::Event(event) => {
                let seconds = self.seconds();
                self.events.push((seconds, event));
            }
            _ => {}
        }
    }

    fn answer(&mut self, track: Track, outcome: Result<(), MediaFailure>) {
        let input = match outcome {
            Ok(()) => Input::MediaDone { track, buffered: self.element.buffered(track) },
            Err(failure) => Input::MediaFailed { track, failure },
        };
        self.later(MEDIA_MICROS, input);
    }

    fn fetch(&mut self, request: FetchRequest) {
        let FetchRequest { id, url, range, .. } = request;
        let seconds = self.seconds();
        self.requests.push((seconds, url.clone()));
        let reply = if self.connected { (self.origin)(seconds, &url) } else { Reply::Fail };
        let (mut head_micros, mut body_micros) = (ANSWER_MICROS, 1);
        let (status, body) = match reply {
            Reply::Body(body) => (200, body),
            Reply::Slow(body, head_ms, seconds) => {
                (head_micros, body_micros) = (head_ms * 1000, (seconds * 1e6) as u64);
                (200, body)
            }
            Reply::Status(status) => (status, Vec::new()),
            Reply::Fail => return self.later(ANSWER_MICROS, Input::FetchFailed { id }),
            Reply::Hang => return,
        };
        let size = body.len() as u64;
        let (first, end) = range.map_or((0, size), |(from, to)| (from, to.unwrap_or(size)));
        let part = body.get(first as usize..end.min(size) as usize).map(<[u8]>::to_vec);
        let ranged = range.is_some() && status == 200;
        let (status, part) = match part {
            Some(part) if ranged => (206, part),
            Some(part) => (status, part),
            None => (416, Vec::new()),
        };
        let head = Input::FetchHead {
            id,
            status,
            content_length: Some(part.len() as u64),
            content_range: (status == 206).then_some((first, Some(size))),
            content_type: None,
            url,
        };
        self.later(head_micros, head);
        let chunks = part.chunks(part.len().div_ceil(if body_micros > 1 { 50 } else { 1 }).max(1));
        let count = chunks.len() as u64;
        for (nth, chunk) in chunks.enumerate() {
            let after = head_micros + body_micros * (nth as u64 + 1) / count;
            self.later(after, Input::FetchChunk { id, data: chunk.to_vec().into() });
        }
        self.later(head_micros + body_micros + 1, Input::FetchDone { id });
    }
}
