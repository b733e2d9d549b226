//! Counters that every figure is computed from.

use crate::trace::Incident;

/// Where a segment's bytes came from.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SegmentStats {
    /// Which variant (or audio rendition): the id of its playlist.
    pub rendition: u32,
    /// Its media sequence number.
    pub sequence: u64,
    /// Start on the media timeline, in seconds.
    pub start: f64,
    /// Duration in seconds.
    pub duration: f64,
    /// Bytes from the origin. With none of peers either, it came from the cache.
    pub http_bytes: u64,
    /// Bytes from peers.
    pub peer_bytes: u64,
    /// Whether all of it is held.
    pub complete: bool,
}

/// One connected peer.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PeerStats {
    /// A number for display, no address.
    pub id: u32,
    /// Bytes of media received from it.
    pub received_bytes: u64,
    /// Bytes of media sent to it.
    pub sent_bytes: u64,
    /// Smoothed time from request to first piece, in ms; 0 when unknown.
    pub rtt_ms: f64,
    /// Wrong blocks that it sent.
    pub bad_blocks: u32,
}

/// What vouches for bytes of peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verification {
    /// A part of some blocks is compared with the origin's.
    #[default]
    SpotChecks,
    /// Each block, by a hash list.
    List,
    /// Each block, by a hash list that the publisher has signed.
    Signed,
    /// Each whole segment, by its hash.
    Segment,
    /// Nothing yet: the hashes are missing, or their signature does not hold. Nothing is taken from peers.
    Awaited,
}

impl Verification {
    /// A stable name for programs: `stats.verified`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SpotChecks => "spot-checks",
            Self::List => "list",
            Self::Signed => "signed",
            Self::Segment => "segment",
            Self::Awaited => "awaited",
        }
    }
}

/// Why there are no peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PeerState {
    /// Sharing is switched off.
    #[default]
    Off,
    /// No tracker is configured, or none of the URLs is one.
    NoTracker,
    /// The browser has no WebRTC, or it is blocked.
    WebRtcUnavailable,
    /// No tracker could be reached yet; retried by itself.
    TrackerUnreachable,
    /// The tracker refused the announce.
    TrackerRefused,
    /// Waiting for the tracker or for a connection.
    Connecting,
    /// The tracker answered and knows nobody else here.
    Alone,
    /// The tracker knows fewer viewers than [`Config::min_viewers`](crate::Config::min_viewers).
    Few,
    /// At least one peer is connected.
    Connected,
}

impl PeerState {
    /// A stable name for programs: `stats.peerState`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::NoTracker => "no-tracker",
            Self::WebRtcUnavailable => "webrtc-unavailable",
            Self::TrackerUnreachable => "tracker-unreachable",
            Self::TrackerRefused => "tracker-refused",
            Self::Connecting => "connecting",
            Self::Alone => "alone",
            Self::Few => "few",
            Self::Connected => "connected",
        }
    }
}

/// A snapshot of the counters since [`Input::Load`](crate::Input::Load).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stats {
    /// Media bytes from the origin (init sections and segments).
    pub http_bytes: u64,
    /// Media bytes from peers that were used.
    pub peer_bytes: u64,
    /// Media bytes from the cache across sessions.
    pub cache_bytes: u64,
    /// Media bytes given to peers.
    pub uploaded_bytes: u64,
    /// Media bytes that came though they were held already.
    pub duplicate_bytes: u64,
    /// Bytes from peers that were refused: not asked for, or not what was asked for.
    pub rejected_bytes: u64,
    /// Bytes of peer messages that carry no media, both ways.
    pub control_bytes: u64,
    /// Playlist bytes.
    pub playlist_bytes: u64,
    /// HTTP requests for media.
    pub http_requests: u64,
    /// Connected peers.
    pub peers: Vec<PeerStats>,
    /// Peers that are banned for wrong bytes, by the last eight characters of their ids.
    pub banned_peers: Vec<String>,
    /// What vouches for bytes of peers, at the segment that is appended next.
    pub verified: Verification,
    /// Bytes of the origin that were fetched to check peers', part of `http_bytes`.
    pub check_bytes: u64,
    /// Why there are none, or that there are.
    pub peer_state: PeerState,
    /// `on`: peers are given what they ask for; or why not, as a stable name for programs: `off` (see `peer_state`),
    /// `download-only`, `budget` ([`Config::upload_budget_bytes`](crate::Config::upload_budget_bytes)), `slow` (this uplink
    /// carries less than a third of the stream, and of what others' do).
    pub upload_state: &'static str,
    /// The tracker's own words, when it refused.
    pub tracker_failure: Option<String>,
    /// Members of the swarm, as the tracker counts.
    pub swarm_size: u32,
    /// Seconds behind the live edge; `NaN` when not live.
    pub live_latency: f64,
    /// Estimated throughput of the origin, bit/s.
    pub bandwidth_bps: f64,
    /// Index of the variant being fetched.
    pub variant: usize,
    /// Seconds that can be played without another byte.
    pub buffer_ahead: f64,
    /// Bytes of segments held in memory.
    pub store_bytes: u64,
    /// Times that playback stopped for want of bytes after it had begun.
    pub rebuffers: u32,
    /// Seconds it stood still for that.
    pub rebuffer_seconds: f64,
    /// The pathway in use (RFC 8216bis §4.4.6.6); empty when there is no choice.
    pub pathway: String,
    /// What was done about faults lately, and why; the oldest first.
    pub trace: Vec<Incident>,
    /// The last segments around the playhead and where their bytes came from, by start.
    pub segments: Vec<SegmentStats>,
}
