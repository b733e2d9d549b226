//! Lines and links: what bytes wait for on their way from one viewer to another.
//!
//! Each viewer has an uplink, which serves its data channels in turns, frame by frame, and a
//! downlink, which is one queue. Channels are reliable and ordered: a lost packet is a delay of one
//! round trip for all that follows it. A channel has a window of bytes in flight. Messages that wait behind each other share
//! packets, as SCTP bundles them.

use player_core::wire::Message;
use std::collections::VecDeque;
use std::sync::Arc;

/// Headers per packet of a data channel: IP, UDP, DTLS, SCTP and its chunk.
const PEER_HEADERS: u64 = 93;
/// Payload per packet of a data channel.
const PEER_PAYLOAD: u64 = 1_120;
/// Of these headers, that of the chunk: one for each message that shares a packet (RFC 9260 §3.3.1).
const CHUNK_HEADER: u64 = 16;
/// Headers per packet of HTTP over TLS over TCP, records included.
const HTTP_HEADERS: u64 = 66;
/// Payload per packet of HTTP.
const HTTP_PAYLOAD: u64 = 1_430;
/// Frames up to this size pass an idle downlink at once: a queue entry less for each small message.
const SMALL: u32 = 1_500;

/// Bytes on the wire for a message of `len` bytes on a data channel.
pub(super) const fn peer_wire_bytes(len: u64) -> u64 {
    len + len.div_ceil(PEER_PAYLOAD) * PEER_HEADERS
}

/// Bytes that a message of `len` bytes takes in a packet it shares: chunks are filled up to four bytes.
const fn chunk_bytes(len: u64) -> u64 {
    (len + CHUNK_HEADER).next_multiple_of(4)
}

/// Bytes on the wire for `len` bytes of a response.
pub(super) const fn http_wire_bytes(len: u64) -> u64 {
    len + len.div_ceil(HTTP_PAYLOAD) * HTTP_HEADERS
}

/// µs that `bytes` take at `rate` bit/s.
pub(super) const fn transmission(bytes: u64, rate_bps: u64) -> u64 {
    (bytes * 8_000_000).div_ceil(rate_bps)
}

/// Delay by loss for `packets` packets: one round trip if any of them is lost.
pub(super) fn loss_delay(rng: &mut fastrand::Rng, loss: f64, packets: u64, rtt: u64) -> u64 {
    if loss <= 0.0 {
        return 0;
    }
    let lost = 1.0 - (1.0 - loss).powi(packets as i32);
    // A retransmission can be lost again, at the same odds per packet.
    let mut delay = 0;
    let mut odds = lost;
    while rng.f64() < odds && delay < 20 * rtt {
        delay += rtt;
        odds = loss;
    }
    delay
}

/// µs of one step of a line that changes.
const STEP: u64 = 1_000_000;

/// When `bytes` that start at `now` have passed a line whose rate changes each second, over and over.
fn passed(now: u64, bytes: u64, rates_bps: &[u64]) -> u64 {
    let (mut at, mut left) = (now, u128::from(bytes) * 8_000_000);
    loop {
        let rate = u128::from(rates_bps[(at / STEP) as usize % rates_bps.len()].max(1_000));
        let span = STEP - at % STEP;
        if rate * u128::from(span) >= left {
            return at + left.div_ceil(rate) as u64;
        }
        left -= rate * u128::from(span);
        at += span;
    }
}

/// A viewer's downlink: one queue for all that comes.
#[derive(Debug, Clone)]
pub(super) struct Downlink {
    pub(super) rate_bps: u64,
    /// Its rate in each second, if it changes.
    trace: Option<Arc<[u64]>>,
    /// What it carries in so much time (µs) it gives at once after a pause, as a token bucket does.
    burst: u64,
    /// When what has come has passed: before now, by `burst` at most, where it has saved something up.
    free_at: u64,
}

/// How a frame passes a downlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    AtOnce,
    At(u64),
}

impl Downlink {
    pub(super) const fn new(rate_bps: u64, trace: Option<Arc<[u64]>>, burst: u64) -> Self {
        Self { rate_bps, trace, burst, free_at: 0 }
    }

    /// Takes `wire` bytes that arrive now; when they have passed.
    pub(super) fn take(&mut self, now: u64, wire: u32) -> Passage {
        let idle = self.free_at < now;
        let from = self.free_at.max(now.saturating_sub(self.burst));
        self.free_at = match &self.trace {
            Some(rates) => passed(from, u64::from(wire), rates),
            None => from + transmission(u64::from(wire), self.rate_bps),
        };
        if idle && wire <= SMALL { Passage::AtOnce } else { Passage::At(self.free_at.max(now)) }
    }
}

/// A viewer's uplink: serves the directions that have something to send, in turns.
#[derive(Debug)]
pub(super) struct Uplink {
    pub(super) rate_bps: u64,
    pub(super) busy_until: u64,
    /// An event will say when it is free.
    pub(super) awaited: bool,
    /// Connections that have a turn.
    pub(super) turns: VecDeque<u32>,
}

impl Uplink {
    pub(super) const fn new(rate_bps: u64) -> Self {
        Self { rate_bps, busy_until: 0, awaited: false, turns: VecDeque::new() }
    }
}

/// A message on its way.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) message: Message,
    pub(super) len: u32,
    /// Bytes on the wire.
    pub(super) wire: u32,
    /// It is a polluter's.
    pub(super) lies: bool,
}

/// One end of a connection between two viewers: what it sends, and what it has received.
#[derive(Debug)]
pub(super) struct Channel {
    /// The other end: a viewer, and its number for the connection.
    pub(super) peer: u32,
    pub(super) other: u32,
    /// One way (µs).
    pub(super) latency: u64,
    pub(super) established: bool,
    /// Not yet on the line. Frames are boxed: most of them wait for a moment only, and there are many channels.
    pub(super) waiting: VecDeque<Box<Frame>>,
    /// Bytes waiting: `bufferedAmount`.
    pub(super) buffered: usize,
    /// Bytes accepted since the sender was last told that its buffer is low.
    pub(super) unreported: usize,
    /// Bytes on the line or received, as far as the sender knows.
    pub(super) in_flight: u32,
    pub(super) last_arrival: u64,
    /// Has a turn at the uplink.
    pub(super) queued: bool,
    /// Bytes left in the packet that is being filled.
    pub(super) room: u64,
    /// Bytes received of which the other end has not been told.
    pub(super) received: u32,
}

impl Channel {
    pub(super) const fn new((peer, other): (u32, u32), latency: u64) -> Self {
        Self {
            peer,
            other,
            latency,
            established: false,
            waiting: VecDeque::new(),
            buffered: 0,
            unreported: 0,
            in_flight: 0,
            last_arrival: 0,
            queued: false,
            room: 0,
            received: 0,
        }
    }

    /// Puts a message of `len` bytes into the packet that is being filled, or into new ones: bytes on the wire, and how
    /// many packets are new.
    pub(super) fn fill(&mut self, len: u64) -> (u64, u64) {
        if self.fits(len) {
            self.room -= chunk_bytes(len);
            return (chunk_bytes(len), 0);
        }
        let packets = len.div_ceil(PEER_PAYLOAD);
        self.room = packets * PEER_PAYLOAD - len;
        (peer_wire_bytes(len), packets)
    }

    /// Whether what goes out next fits into the packet that is being filled (RFC 9260 §6.10).
    pub(super) fn shares_packet(&self) -> bool {
        self.waiting.front().is_some_and(|next| self.fits(next.len.into()))
    }

    const fn fits(&self, len: u64) -> bool {
        chunk_bytes(len) <= self.room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_downlink_is_one_queue() {
        let mut line = Downlink::new(8_000_000, None, 0);
        assert_eq!(line.take(10, 100), Passage::AtOnce);
        // The small one occupied the line for 100 µs all the same.
        assert_eq!(line.take(50, 16_000), Passage::At(16_110));
        assert_eq!(line.take(60, 100), Passage::At(16_210), "nothing overtakes");
        assert_eq!(line.take(20_000, 16_000), Passage::At(36_000));
    }

    #[test]
    fn a_downlink_gives_at_once_what_it_has_saved_up() {
        let mut line = Downlink::new(8_000_000, None, 20_000);
        assert_eq!(line.take(100_000, 16_000), Passage::At(100_000), "of 20,000 bytes");
        assert_eq!(line.take(100_000, 16_000), Passage::At(112_000), "and the rest of them");
        assert_eq!(line.take(117_000, 16_000), Passage::At(128_000), "5,000 more since");
    }

    #[test]
    fn loss_is_delay_at_its_odds() {
        let mut rng = fastrand::Rng::with_seed(1);
        assert_eq!(loss_delay(&mut rng, 0.0, 1_000, 50), 0);
        let delayed = (0..10_000).filter(|_| loss_delay(&mut rng, 0.01, 15, 50) > 0).count();
        assert!((1_250..1_550).contains(&delayed), "1 - .99^15 = .14, got {delayed} of 10000");
    }

    #[test]
    fn wire_bytes_count_headers_per_packet() {
        assert_eq!(peer_wire_bytes(1), 94);
        assert_eq!(peer_wire_bytes(1_120 * 3), 1_120 * 3 + 279);
        assert_eq!(transmission(125_000, 1_000_000), 1_000_000);
    }

    #[test]
    fn short_messages_share_the_rest_of_a_packet() {
        let mut channel = Channel::new((0, 0), 0);
        assert_eq!(channel.fill(1_120 + 1_000), (1_120 + 1_000 + 2 * 93, 2));
        assert_eq!(channel.fill(50), (68, 0), "a chunk of its own, filled up to four bytes");
        assert_eq!(channel.room, 52);
        assert_eq!(channel.fill(50), (143, 1), "what does not fit begins a packet");
        assert_eq!(channel.fill(50), (68, 0));
    }

    #[test]
    fn a_line_that_changes_takes_as_long_as_its_seconds_say() {
        let rates = [8_000_000, 0, 4_000_000];
        // 1.5 Mbyte: a second at 8 Mbit/s, a second at nothing (1 kbit/s), then one at 4 Mbit/s.
        assert_eq!(passed(0, 1_000_000, &rates), 1_000_000);
        assert_eq!(passed(0, 1_500_000, &rates), 2_999_750);
        assert_eq!(passed(2_500_000, 500_000, &rates), 3_250_000, "and from the beginning again");
    }
}
