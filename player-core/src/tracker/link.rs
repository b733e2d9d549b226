//! One tracker of a session: its socket, when it is tried again, and when it is announced to.

use std::time::Duration;

use super::message::{AnnounceResponse, Failure};
use crate::io::ConnectionId;
use crate::queue::Queue;
use crate::time::Instant;

/// How long a socket may take to open.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);
/// A tracker that says nothing for this long after an announce is taken for gone.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(45);
/// The interval until a tracker has told its own.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(120);
/// The first announce waits for offers that are being gathered for this long: an announce for the swarm's size and another
/// with offers cost the tracker twice as much.
const FIRST_OFFERS: Duration = Duration::from_millis(300);
const MIN_INTERVAL: u32 = 10;
const MAX_INTERVAL: u32 = 600;
/// No tracker is left alone for longer.
const MAX_RETRY_MINUTES: u32 = 60;
/// Most announces whose response is waited for; older ones are forgotten.
const MAX_IN_FLIGHT: usize = 8;
/// So many members have to say that the origin is overrun, and one in so many; half as many once that was so.
const MIN_OVERRUN: u32 = 5;
const OVERRUN_SHARE: u32 = 6;
/// Offers that a tracker brings are counted for so long, to bound them; more than so many are a crowd's.
const RELAY_INTERVAL: Duration = Duration::from_secs(10);
const CALM: u32 = 2;
/// So many offers between two responses say nothing: one comes of those who have been there, another of chance.
const USUAL: u32 = 2;
/// By how much a swarm has grown for each offer beyond those: the root of e.
const GROWTH: (u32, u32) = (33, 20);
/// At most so many offers count.
const MAX_GROWTHS: u32 = 14;
/// Swarms of fewer members are small: each connection counts, and an origin that is slow need not be so for a crowd.
pub(crate) const FEW: u32 = 10;
/// Only swarms of so many members are thought to have grown.
const LARGE: u32 = 64;
/// Most characters kept of a tracker's words.
const MAX_FAILURE_CHARS: usize = 200;

/// A socket's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Socket {
    Closed { retry_at: Option<Instant> },
    Opening { until: Instant },
    Open,
}

/// An announce whose response has not come.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) at: Instant,
    /// The offers in it, in their order.
    pub(super) offers: Vec<ConnectionId>,
}

/// What a link's timers ask for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Open,
    /// Give the socket up.
    Close,
}

/// One tracker.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) url: String,
    pub(super) socket: Socket,
    /// Attempts that ended without any response, in a row.
    attempts: u32,
    /// An announce has been sent on this socket and was not refused.
    pub(super) announced: bool,
    /// When the first response since the start has come.
    pub(super) answered_at: Option<Instant>,
    pub(super) in_flight: Queue<Sent>,
    heard: Instant,
    /// Offers of others that it has brought since then.
    relayed: (u32, Instant),
    /// The same since its last response.
    came: u32,
    /// When the next announce goes out, with or without offers.
    pub(super) next_announce: Instant,
    /// From when on an announce with offers may go out ahead of that; `None`: not at all.
    pub(super) offers_at: Option<Instant>,
    /// How often offers went out ahead of time, in a row.
    hungry: u32,
    interval: Duration,
    min_interval: Duration,
    /// How long the tracker wants to be left alone after it refused.
    retry_in: Duration,
    /// Members of the swarm, ourselves included, by the last response and by who came since.
    pub(super) swarm_size: Option<u32>,
    /// So many of them have said that the origin is overrun that it is no fault of their own lines.
    pub(super) overrun: bool,
    /// Why the last announce was refused.
    pub(super) failure: Option<String>,
}

impl Link {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            socket: Socket::Closed { retry_at: None },
            attempts: 0,
            announced: false,
            answered_at: None,
            in_flight: Queue::new(),
            heard: Instant::default(),
            relayed: (0, Instant::default()),
            came: 0,
            next_announce: Instant::default(),
            offers_at: None,
            hungry: 0,
            interval: DEFAULT_INTERVAL,
            min_interval: Duration::ZERO,
            retry_in: Duration::ZERO,
            swarm_size: None,
            overrun: false,
            failure: None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.socket == Socket::Open
    }

    /// Members besides ourselves, when known.
    pub(super) fn others(&self) -> Option<u32> {
        self.swarm_size.map(|size| size.saturating_sub(1))
    }

    /// It has brought an offer; returns how many in the last [`RELAY_INTERVAL`].
    pub(super) fn brought_offer(&mut self, now: Instant) -> u32 {
        if now.since(self.relayed.1) >= RELAY_INTERVAL {
            self.relayed = (0, now);
        }
        self.relayed.0 = self.relayed.0.saturating_add(1);
        self.came = self.came.saturating_add(1);
        self.relayed.0
    }

    /// Members by now, ourselves included. A newcomer makes two offers, to members that chance chooses: while a swarm
    /// grows to e times its size, each member gets so many. In a small one they tell that it is not small any more.
    pub(super) fn estimate(&self) -> u32 {
        let mut size = self.swarm_size.unwrap_or(0);
        if size >= LARGE {
            for _ in 0..self.came.saturating_sub(USUAL).min(MAX_GROWTHS) {
                size = size.max(size.saturating_mul(GROWTH.0) / GROWTH.1);
            }
        } else if self.came > 2 * USUAL {
            size = size.max(FEW);
        }
        size
    }

    /// The swarm is not small, and there is no crowd: a newcomer needs one neighbour to begin with, who introduces it to others.
    pub(super) fn is_settled(&self, now: Instant) -> bool {
        let old = self.answered_at.is_some_and(|at| now.since(at) >= RELAY_INTERVAL);
        old && self.relayed.0 <= CALM && self.swarm_size >= Some(FEW) && !self.overrun
    }

    /// So many others have been met: the swarm has grown since the last response.
    pub(super) fn grown(&mut self, others: usize) {
        let met = u32::try_from(others).unwrap_or(u32::MAX).saturating_add(1);
        self.swarm_size = self.swarm_size.map(|size| size.max(met));
    }

    pub(super) fn open(&mut self, now: Instant) {
        self.socket = Socket::Opening { until: now + OPEN_TIMEOUT };
    }

    /// The socket is open. Where offers are being gathered, the first announce waits for them a little.
    pub(super) fn opened(&mut self, now: Instant, gathering: bool) {
        self.socket = Socket::Open;
        self.announced = false;
        self.heard = now;
        self.next_announce = if gathering { now + FIRST_OFFERS } else { now };
        self.offers_at = Some(now);
        self.hungry = 0;
    }

    /// The socket is gone; returns the offers in announces that had no response.
    pub(super) fn closed(&mut self, now: Instant, rng: &mut fastrand::Rng) -> Vec<ConnectionId> {
        // Those who were sent away together are not to come back together.
        let wait = backoff(self.attempts, rng) + self.retry_in;
        self.socket = Socket::Closed { retry_at: Some(now + wait) };
        self.retry_in = Duration::ZERO;
        self.attempts = self.attempts.saturating_add(1);
        self.offers_at = None;
        let mut offers = Vec::new();
        while !self.in_flight.is_empty() {
            offers.append(&mut self.oldest());
        }
        offers
    }

    /// Back to the state before the start.
    pub(super) fn reset(&mut self) {
        *self = Self::new(std::mem::take(&mut self.url));
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// An announce with these offers has been sent.
    pub(super) fn sent(&mut self, now: Instant, offers: Vec<ConnectionId>) {
        self.announced = true;
        self.next_announce = now + self.interval;
        self.offers_at = if offers.is_empty() { self.offers_at.or(Some(now)) } else { None };
        if self.in_flight.len() == MAX_IN_FLIGHT {
            self.in_flight.pop_front();
        }
        self.in_flight.push_back(Sent { at: now, offers });
    }

    /// The offers in the oldest announce that has had no response, which is forgotten.
    fn oldest(&mut self) -> Vec<ConnectionId> {
        self.in_flight.pop_front().map(|sent| sent.offers).unwrap_or_default()
    }

    /// A response has come; returns the offers in the announce that it answers.
    pub(super) fn responded(
        &mut self,
        now: Instant,
        response: &AnnounceResponse,
    ) -> Vec<ConnectionId> {
        self.attempts = 0;
        self.answered_at.get_or_insert(now);
        self.failure = None;
        self.retry_in = Duration::ZERO;
        self.swarm_size = response.swarm_size();
        self.came = 0;
        let said = response.complete.unwrap_or(0);
        let share = OVERRUN_SHARE * (1 + u32::from(self.overrun));
        self.overrun =
            said >= MIN_OVERRUN && said.saturating_mul(share) >= self.swarm_size.unwrap_or(0);
        if let Some(interval) = response.interval {
            self.interval = seconds(interval.clamp(MIN_INTERVAL, MAX_INTERVAL));
        }
        self.min_interval = seconds(response.min_interval.unwrap_or(0).min(MAX_INTERVAL));
        if let Some(sent) = self.in_flight.front() {
            self.next_announce = sent.at + self.interval.max(self.min_interval);
        }
        self.oldest()
    }

    /// The announce was refused; returns the offers in it.
    pub(super) fn refused(&mut self, now: Instant, failure: &Failure) -> Vec<ConnectionId> {
        self.failure = Some(failure.reason.chars().take(MAX_FAILURE_CHARS).collect());
        self.announced = false;
        self.offers_at = None;
        self.retry_in = seconds(failure.retry_in.unwrap_or(0).min(MAX_RETRY_MINUTES) * 60);
        self.next_announce = now + self.interval.max(self.retry_in);
        self.oldest()
    }

    /// Asks for the swarm's size ahead of the interval: it may have grown.
    pub(super) fn ask_soon(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        let delay = Duration::from_secs_f64(spread(2.0, 5.0, rng)).max(self.min_interval);
        self.next_announce = self.next_announce.min(now + delay);
    }

    /// Lets offers go out ahead of the interval, in a while that grows each time.
    pub(super) fn hurry(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        let delay = spread(1.5, 2.5, rng) * f64::from(1_u32 << self.hungry.min(5));
        self.hungry = self.hungry.saturating_add(1);
        let delay = Duration::from_secs_f64(delay).min(self.interval).max(self.min_interval);
        self.offers_at = Some(now + delay);
    }

    /// As [`Link::hurry`], with the shortest while again.
    pub(super) fn hurry_afresh(&mut self, now: Instant, rng: &mut fastrand::Rng) {
        self.hungry = 0;
        self.hurry(now, rng);
    }

    /// What the socket's timers ask for.
    pub(super) fn due(&mut self, now: Instant) -> Due {
        match self.socket {
            Socket::Closed { retry_at: Some(at) } if at <= now => Due::Open,
            Socket::Opening { until } if until <= now => Due::Close,
            Socket::Open => {
                while let Some(at) = self.in_flight.front().map(|sent| sent.at)
                    && at + RESPONSE_TIMEOUT <= now
                {
                    if self.heard <= at {
                        return Due::Close;
                    }
                    self.in_flight.pop_front();
                }
                Due::Nothing
            }
            _ => Due::Nothing,
        }
    }

    /// When the socket's timers or the regular announce are due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.socket {
            Socket::Closed { retry_at } => retry_at,
            Socket::Opening { until } => Some(until),
            Socket::Open => {
                let response = self.in_flight.front().map(|sent| sent.at + RESPONSE_TIMEOUT);
                Some(response.map_or(self.next_announce, |at| at.min(self.next_announce)))
            }
        }
    }
}

/// How long to wait after so many failures in a row: 1 s, 2 s, 4 s … 60 s, give or take a fifth.
pub(super) fn backoff(failures: u32, rng: &mut fastrand::Rng) -> Duration {
    let seconds = f64::from(1_u32 << failures.min(6)) * spread(0.8, 1.2, rng);
    Duration::from_secs_f64(seconds.min(60.0))
}

fn spread(from: f64, to: f64, rng: &mut fastrand::Rng) -> f64 {
    from + (to - from) * rng.f64()
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}
