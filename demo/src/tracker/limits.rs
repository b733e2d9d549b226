//! What one address, one socket and all of them together may take of the tracker.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ed25519_compact::PublicKey;
use tokio::time::Instant;

/// Messages that a socket may send at once: an announce, and answers to the offers of those who come together.
const BURST: f64 = 60.0;
/// Messages a second that it may send in the long run.
const RATE: f64 = 5.0;
/// Refused messages after which a socket is closed.
const PATIENCE: u32 = 60;

/// What the tracker takes; the defaults are for a site of its own.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Sockets at once.
    pub sockets: usize,
    /// Sockets of one address at once. Many viewers may share one: a school, a mobile network.
    pub sockets_per_address: usize,
    /// Pages whose viewers are taken, as browsers name them (`https://site.example`); all when empty. Programs that are
    /// no browsers can claim any.
    pub origins: Vec<String>,
    /// Swarms that are taken, by the name that viewers give them (the `swarm` attribute); all when empty.
    pub only_swarms: Vec<String>,
    /// Public keys of those who may let viewers in: each announce has to show a token that one of them signed
    /// (docs/swarm-tokens.md). Nobody needs one when empty.
    pub swarm_keys: Vec<PublicKey>,
    /// How long sockets are waited for.
    pub patience: Patience,
    /// A proxy in front says in `X-Forwarded-For` whom it speaks for.
    pub behind_proxy: bool,
}

/// How long a socket may do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How often a ping asks whether somebody is there.
    pub ping: Duration,
    /// Silence after which nobody is there: neither a message nor the answer to a ping.
    pub silence: Duration,
    /// Somebody is there, but nothing of what was said could be taken: a viewer announces every 30 s.
    pub idle: Duration,
    /// How long one message may take to be written.
    pub write: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { ping: seconds(20), silence: seconds(50), idle: seconds(150), write: seconds(10) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sockets: 20_000,
            sockets_per_address: 200,
            origins: Vec::new(),
            only_swarms: Vec::new(),
            swarm_keys: Vec::new(),
            patience: Patience::default(),
            behind_proxy: false,
        }
    }
}

impl Limits {
    /// Whether viewers of this page are taken. What is no browser has no origin, and is taken only where all are.
    #[must_use]
    pub fn takes_origin(&self, origin: Option<&str>) -> bool {
        let listed = |origin: &str| {
            self.origins.iter().any(|one| one.trim_end_matches('/').eq_ignore_ascii_case(origin))
        };
        self.origins.is_empty() || origin.is_some_and(listed)
    }
}

/// Whom a connection counts for: an address, or the /64 of an IPv6 one, which is what one household has.
#[must_use]
pub fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address @ IpAddr::V4(_) => address,
    }
}

/// Counts sockets by address.
#[derive(Debug, Default)]
pub struct Census {
    sockets: BTreeMap<IpAddr, usize>,
}

impl Census {
    /// Counts one more, unless there are as many as may be.
    pub fn enter(&mut self, address: IpAddr, most: usize) -> bool {
        let count = self.sockets.entry(household(address)).or_default();
        let room = *count < most;
        *count += usize::from(room);
        room
    }

    /// One is gone.
    pub fn leave(&mut self, address: IpAddr) {
        let address = household(address);
        if let Some(count) = self.sockets.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.sockets.remove(&address);
            }
        }
    }
}

/// What the rate of a socket's messages calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is read.
    Take,
    /// It is not read, and the sender is told.
    Refuse,
    /// The sender does not listen: the socket is closed.
    Close,
}

/// The messages of one socket: a bucket that fills with time.
#[derive(Debug)]
pub struct Meter {
    tokens: f64,
    at: Instant,
    refused: u32,
}

impl Meter {
    /// A full bucket.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { tokens: BURST, at: now, refused: 0 }
    }

    /// Counts a message.
    pub fn message(&mut self, now: Instant) -> Verdict {
        let since = now.saturating_duration_since(self.at);
        self.at = now;
        self.tokens = (self.tokens + since.as_secs_f64() * RATE).min(BURST);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Verdict::Take;
        }
        self.refused += 1;
        if self.refused > PATIENCE { Verdict::Close } else { Verdict::Refuse }
    }

    /// How long until a message is taken again.
    #[must_use]
    pub fn wait(&self) -> Duration {
        Duration::from_secs_f64(((1.0 - self.tokens) / RATE).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_so_many_sockets_and_no_more() {
        let mut census = Census::default();
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        assert!(census.enter(one, 2) && census.enter(one, 2));
        assert!(!census.enter(one, 2));
        assert!(census.enter(other, 2));
        census.leave(one);
        assert!(census.enter(one, 2));
        for gone in [one, one, other] {
            census.leave(gone);
        }
        assert!(census.sockets.is_empty(), "nothing is kept of those who left");
    }

    #[test]
    fn a_household_counts_once_however_many_addresses_it_has() {
        let mut census = Census::default();
        assert!(census.enter(address("2001:db8:1:2::1"), 1));
        assert!(!census.enter(address("2001:db8:1:2:ffff::9"), 1));
        assert!(census.enter(address("2001:db8:1:3::1"), 1));
        assert_eq!(household(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }

    #[test]
    fn a_flood_is_refused_and_then_ended_and_a_steady_viewer_never_is() {
        let start = Instant::now();
        let mut meter = Meter::new(start);
        let verdicts: Vec<Verdict> = (0..200).map(|_| meter.message(start)).collect();
        let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count();
        assert_eq!((count(Verdict::Take), count(Verdict::Refuse)), (60, 60));
        assert!(meter.wait() <= Duration::from_millis(200));
        let mut steady = Meter::new(start);
        for message in 0..10_000_u32 {
            let now = start + Duration::from_millis(250) * message;
            assert_eq!(steady.message(now), Verdict::Take);
        }
    }

    #[test]
    fn only_listed_pages_are_taken_where_there_is_a_list() {
        let open = Limits::default();
        assert!(open.takes_origin(None) && open.takes_origin(Some("https://any.example")));
        let listed = Limits { origins: vec!["https://site.example/".into()], ..Limits::default() };
        assert!(listed.takes_origin(Some("https://Site.example")));
        for refused in
            [None, Some("null"), Some("https://site.example.evil"), Some("http://site.example")]
        {
            assert!(!listed.takes_origin(refused), "{refused:?}");
        }
    }
}
