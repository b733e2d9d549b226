//! Every option with its default and unit.

/// How bytes are shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum P2pMode {
    /// Take from peers and give to them.
    #[default]
    On,
    /// Neither peers nor trackers are contacted.
    Off,
    /// Take from peers, give nothing.
    DownloadOnly,
}

/// Every option. Set once, before the first input; the few that change while playing have an
/// [`Input`](crate::Input).
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// How bytes are shared.
    pub p2p: P2pMode,
    /// Upload limit in bit/s, `None` for no limit.
    pub upload_limit_bps: Option<u64>,
    /// Bytes of media that may be given in all, `None` for no limit. It falls as they are given; at 0 this viewer takes
    /// only, and its peers know.
    pub upload_budget_bytes: Option<u64>,
    /// WebSocket URLs of WebTorrent trackers.
    pub trackers: Vec<String>,
    /// Names the swarm; `None`: the playlist's URL without query and fragment.
    pub swarm: Option<String>,
    /// Names the swarm instead, and lets into it (docs/swarm-tokens.md). With one that names none, nothing is shared.
    pub swarm_token: Option<String>,
    /// Connections are made only while a tracker counts so many viewers in the swarm, this one included.
    pub min_viewers: u32,
    /// Languages that the viewer reads, the best first (RFC 5646 tags).
    pub languages: Vec<String>,
    /// Start position in seconds, `None`: the playlist's (`EXT-X-START`), else the beginning or the live edge.
    pub start_position: Option<f64>,
    /// First guess of the origin's throughput, in bit/s.
    pub initial_bandwidth_bps: f64,
    /// Seconds of forward buffer the origin is asked for.
    pub forward_buffer: f64,
    /// Seconds of forward buffer that peers are asked for.
    pub peer_buffer: f64,
    /// Whether the parts of a low-latency playlist are played (RFC 8216bis §4.4.4.9).
    pub low_latency: bool,
    /// Seconds behind the live edge to play at; `None`: what the playlist asks for.
    pub live_latency: Option<f64>,
    /// How much faster or slower than normal a live stream may play to keep its latency; 0 for not at all.
    pub live_rate: f64,
    /// Bytes of forward buffer at most, appended and not.
    pub forward_buffer_bytes: u64,
    /// Seconds of back buffer kept in the media element.
    pub back_buffer: f64,
    /// Bytes of back buffer at most.
    pub back_buffer_bytes: u64,
    /// Bytes of segments kept in memory to share, the forward buffer included.
    pub store_bytes: u64,
    /// Peer connections at most. Thirty are looked for; the rest is room for those who come later.
    pub max_peers: usize,
    /// Offers that wait at the tracker at once.
    pub offers: usize,
    /// Bytes that may wait in a data channel's send buffer before pieces pause.
    pub send_buffer_high: usize,
    /// When the send buffer has fallen to this many bytes, the shell says `PeerWritable`.
    pub send_buffer_low: usize,
    /// URL of a file with the segments' hashes (docs/hash-lists.md), for playlists that do not name one.
    pub hashes: Option<String>,
    /// Bytes that verified segments may take in a cache across sessions; 0: there is none.
    pub cache_bytes: u64,
    /// Only hashes that are signed with this Ed25519 key count.
    pub publisher_key: Option<[u8; 32]>,
    /// Largest playlist accepted, in bytes.
    pub max_playlist_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            p2p: P2pMode::On,
            upload_limit_bps: None,
            upload_budget_bytes: None,
            trackers: Vec::new(),
            swarm: None,
            swarm_token: None,
            min_viewers: 0,
            languages: Vec::new(),
            start_position: None,
            initial_bandwidth_bps: 1_200_000.0,
            forward_buffer: 30.0,
            peer_buffer: 60.0,
            low_latency: true,
            live_latency: None,
            live_rate: 0.05,
            forward_buffer_bytes: 48 << 20,
            back_buffer: 30.0,
            back_buffer_bytes: 24 << 20,
            store_bytes: 96 << 20,
            max_peers: 40,
            offers: 10,
            send_buffer_high: 32 << 10,
            send_buffer_low: 8 << 10,
            hashes: None,
            cache_bytes: 0,
            publisher_key: None,
            max_playlist_bytes: 8 << 20,
        }
    }
}
