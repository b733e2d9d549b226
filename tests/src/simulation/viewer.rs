//! One viewer: a core, a media element, its lines, and what was counted.

use player_core::io::{FetchRequest, RequestId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::media::{Element, Sample};
use super::net::{Channel, Downlink, Uplink};
use super::origin::Response;
use super::trace::Trace;

/// What kind of viewer it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Traits {
    pub(super) nat: bool,
    pub(super) blocked: bool,
    pub(super) free_rider: bool,
    pub(super) polluter: bool,
    pub(super) slow: bool,
}

/// A peer connection as the viewer's browser knows it.
#[derive(Debug)]
pub(super) enum Connection {
    Offering,
    /// For the offer of this viewer's connection.
    Answering(u32, u32),
    /// It has taken up an answer.
    Meeting,
    Linked(Box<Channel>),
}

/// A request under way; the response once its head is here.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) request: FetchRequest,
    pub(super) response: Option<Arc<Response>>,
}

/// What the origin knows of a viewer: their one connection, shared by all responses in turns.
#[derive(Debug)]
pub(super) struct Guest {
    /// To the middle of the network, one way (µs).
    pub(super) access: u64,
    pub(super) polluter: bool,
    /// Responses with bytes to send, and how many were sent.
    pub(super) responses: BTreeMap<u64, (Arc<Response>, u64)>,
    /// Given up before they came here.
    pub(super) cancelled: BTreeSet<u64>,
    pub(super) turns: VecDeque<RequestId>,
    /// Bytes that may be in flight: grows as in slow start, up to `most`.
    pub(super) window: u32,
    pub(super) most: u32,
    pub(super) in_flight: u32,
    pub(super) last_arrival: u64,
    /// Waits for its turn at the origin's line.
    pub(super) queued: bool,
    /// The end of its last chunk there.
    pub(super) end: u64,
}

/// What is counted per viewer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) http_media_bytes: u64,
    pub(super) peer_media_bytes: u64,
    pub(super) uploaded_bytes: u64,
    /// Bytes of messages beside their media, sent.
    pub(super) control_bytes: u64,
    pub(super) connections: u32,
    pub(super) failed_connections: u32,
    /// Bytes on the line since the run has settled: media with their headers, and all else; and bytes from peers until then.
    pub(super) line: [u64; 2],
    pub(super) taken_before: u64,
}

pub(super) struct Viewer<E> {
    pub(super) engine: E,
    pub(super) element: Element,
    pub(super) uplink: Uplink,
    pub(super) downlink: Downlink,
    /// To the middle of the network, one way (µs).
    pub(super) access: u64,
    pub(super) traits: Traits,
    pub(super) connections: BTreeMap<u32, Connection>,
    /// Requests under way.
    pub(super) exchanges: BTreeMap<u64, Exchange>,
    /// Has made its first request.
    pub(super) connected: bool,
    /// All chance that it meets with.
    pub(super) rng: fastrand::Rng,
    pub(super) trace: Trace,
    /// Bit per tracker: its connection is open.
    pub(super) trackers: u64,
    /// The tick that is in the queue (µs).
    pub(super) tick_at: Option<u64>,
    pub(super) joined: u64,
    pub(super) counted: Counted,
    /// Seconds behind the live edge, once a second.
    pub(super) latencies: Vec<f32>,
    /// What was seen, if the world says to note it.
    pub(super) samples: Vec<Sample>,
    pub(super) playheads: u32,
    /// Highest request id used so far.
    pub(super) last_request: Option<u64>,
    pub(super) errors: Vec<String>,
}

impl Guest {
    /// A line whose bandwidth-delay product decides the largest window.
    pub(super) fn new(access: u64, polluter: bool, rate_bps: u64, rtt: u64) -> Self {
        let product = rate_bps as f64 / 8e6 * rtt as f64;
        Self {
            access,
            polluter,
            responses: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            turns: VecDeque::new(),
            window: 14_600,
            most: (product * 1.5).clamp(65_536.0, 16_777_216.0) as u32,
            in_flight: 0,
            last_arrival: 0,
            queued: false,
            end: 0,
        }
    }
}
