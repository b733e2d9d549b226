//! The whole contract between the core and the shell that runs it, in one file.
//!
//! The shell (a browser worker, a simulator, a native program) calls
//! [`Player::handle_input`](crate::Player::handle_input) with one [`Input`], then drains
//! [`Player::poll_output`](crate::Player::poll_output) until it is empty, then waits for the next
//! input or for [`Player::poll_timeout`](crate::Player::poll_timeout).

use bytes::Bytes;
use std::ops::Range;

use crate::config::P2pMode;
use crate::error::PlayerError;
use crate::hls::{AttributeList, Key};
use crate::wire::Message;

/// One HTTP request of the core's. Never used twice in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One tracker connection: its position in [`Config::trackers`](crate::Config::trackers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackerId(pub u32);

/// One peer connection, from its offer to its end. Chosen by the core, never used twice in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

/// A piece of work on bytes that the core leaves to the shell: decryption, transmuxing. Never used twice in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u32);

/// Which source buffer: the main one (video, or video and audio muxed), or alternate audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Track {
    /// Video, or video with audio muxed in, or audio when the title has nothing else.
    Main,
    /// An alternate audio rendition (`EXT-X-MEDIA:TYPE=AUDIO` with a URI).
    Audio,
}

/// What the core is told. One input is one mutation; drain the outputs before the next.
#[derive(Debug, Clone)]
pub enum Input {
    // The user and the page.
    /// Load this playlist, forgetting what was loaded before.
    Load {
        /// Absolute URL of a multivariant or a media playlist.
        url: String,
    },
    /// Drop everything: requests, peers, trackers, bytes.
    Unload,
    /// Play this variant from now on (index into [`Event::Variants`]), or choose by itself.
    SelectVariant(Option<usize>),
    /// Play this alternate audio rendition (index into [`Event::AudioRenditions`]).
    SelectAudio(usize),
    /// These are the subtitles whose segments are wanted (indices into [`Event::TextSources`]); others are not.
    SelectText(Vec<usize>),
    /// These variants can't be played any more (indices into [`Event::Variants`]): their keys are not for this display.
    ExcludeVariants(Vec<usize>),
    /// How bytes are shared from now on.
    SetP2p(P2pMode),
    /// Upload limit in bit/s from now on, `None` for no limit.
    SetUploadLimit(Option<u64>),
    /// Bytes of media that may be given from now on, whatever was given before; `None` for no limit.
    SetUploadBudget(Option<u64>),
    /// [`Config::swarm_token`](crate::Config::swarm_token) from now on. One that names the same swarm parts nobody.
    SetSwarmToken(Option<String>),
    /// How much of a picture there is use for; sent when it changes.
    Display(Display),
    /// How well this machine decodes each variant of [`Event::Variants`], in its order: 0 not smoothly, 1 smoothly or
    /// not known, 2 smoothly and at little power.
    DecodingLevels(Vec<u8>),
    /// Frames since the media was opened, shown or dropped, and those dropped (`getVideoPlaybackQuality`).
    Frames {
        /// All.
        total: u32,
        /// Not shown in time.
        dropped: u32,
    },
    /// The browser went offline or came back (`navigator.onLine`).
    Online(bool),

    // HTTP.
    /// The response's head has come.
    FetchHead {
        /// The request it answers.
        id: RequestId,
        /// HTTP status code.
        status: u16,
        /// `Content-Length`, when it is known to count the bytes that will come.
        content_length: Option<u64>,
        /// First byte and total size out of `Content-Range`, for 206.
        content_range: Option<(u64, Option<u64>)>,
        /// `Content-Type`, as sent.
        content_type: Option<String>,
        /// The URL after redirects: relative URIs in a playlist resolve against it (RFC 8216 §4.1).
        url: String,
    },
    /// Some of the body.
    FetchChunk {
        /// The request it belongs to.
        id: RequestId,
        /// The bytes, never empty.
        data: Bytes,
    },
    /// The whole body has come. A body shorter than `Content-Length` is a failure, and the core checks it.
    FetchDone {
        /// The request that ended.
        id: RequestId,
    },
    /// The request failed without (the rest of) a response: DNS, TLS, CORS, reset, offline.
    FetchFailed {
        /// The request that ended.
        id: RequestId,
    },

    // Trackers.
    /// The tracker's WebSocket is open.
    TrackerOpened(TrackerId),
    /// A text message from the tracker.
    TrackerMessage(TrackerId, String),
    /// The WebSocket closed or could not be opened.
    TrackerClosed(TrackerId),

    // Peers.
    /// The browser has no WebRTC, or it is blocked: no peers in this session.
    WebRtcUnavailable,
    /// The offer that [`Output::CreateOffer`] asked for, with all candidates gathered.
    OfferReady {
        /// The connection it belongs to.
        connection: ConnectionId,
        /// Its session description.
        sdp: String,
    },
    /// The answer that [`Output::CreateAnswer`] asked for, with all candidates gathered.
    AnswerReady {
        /// The connection it belongs to.
        connection: ConnectionId,
        /// Its session description.
        sdp: String,
    },
    /// The data channel is open.
    PeerConnected(ConnectionId),
    /// One binary message from a peer, as it came: hostile until decoded.
    PeerFrame(ConnectionId, Bytes),
    /// One message from a peer, decoded already (a simulator saves the bytes' way).
    PeerMessage(ConnectionId, Message),
    /// How many bytes wait in the data channel's send buffer. Sent when it fell below
    /// [`Config::send_buffer_low`](crate::Config::send_buffer_low).
    PeerWritable(ConnectionId),
    /// The connection failed or closed.
    PeerClosed(ConnectionId),

    // Media.
    /// Which of the MIME types of [`Output::CheckCodecs`] can be played, in its order.
    CodecSupport(Vec<bool>),
    /// The [`MediaCommand`] in progress on this track is done; the track's buffered ranges in seconds.
    MediaDone {
        /// The track whose command is done.
        track: Track,
        /// `SourceBuffer.buffered`, in seconds.
        buffered: Vec<Range<f64>>,
    },
    /// The [`MediaCommand`] in progress on this track failed.
    MediaFailed {
        /// The track whose command failed.
        track: Track,
        /// Why.
        failure: MediaFailure,
    },
    /// What [`Output::Decrypt`] asked for; `None` when the bytes do not decrypt with this key. Or what
    /// [`CacheCommand::Recall`] asked for, which is hostile until verified; `None` when the cache does not have it.
    Decrypted {
        /// The job that is done.
        job: JobId,
        /// The plain bytes, padding removed; or the segment.
        data: Option<Bytes>,
    },
    /// What [`Output::Transmux`] asked for; or why it cannot be had.
    Transmuxed {
        /// The job that is done.
        job: JobId,
        /// The segment as fragmented MP4.
        result: Result<Transmuxed, String>,
    },
    /// What [`Output::VerifySignature`] asked for.
    SignatureVerified {
        /// The job that is done.
        job: JobId,
        /// Whether the signature holds.
        valid: bool,
    },
    /// The media element's state: sent at least 4 times a second while it plays, and at once when
    /// `paused`, `rate` or `seeking` changes.
    Playhead(Playhead),

    /// Nothing happened but time: [`Player::poll_timeout`](crate::Player::poll_timeout) has come.
    Tick,
}

/// How much of a picture there is use for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Display {
    /// The element's width in device pixels; 0 sets no limit.
    pub width: u32,
    /// Its height in device pixels; 0 sets no limit.
    pub height: u32,
    /// The screen shows a high dynamic range.
    pub hdr: bool,
    /// The viewer wants to save data.
    pub save_data: bool,
}

/// How segments are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    /// AES in CBC mode with PKCS #7 padding (RFC 8216 §5.2).
    AesCbc,
    /// AES in CTR mode; the counter is the low 64 bits of the initialization vector's block.
    AesCtr,
    /// Samples, with AES-128: SAMPLE-AES in transport streams and raw audio, Common Encryption in fragmented MP4. An
    /// init section becomes one of clear samples.
    Samples,
}

/// A segment as fragmented MP4, or what is complete after a part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Transmuxed {
    /// The init section that its fragments need; `None`: the same as before. One that is needed from the middle on is
    /// among the fragments.
    pub init: Option<TransmuxedInit>,
    /// Its fragments. May be empty.
    pub media: Bytes,
    /// Earliest presentation time in seconds of the stream's own timeline, if there are fragments.
    pub start: f64,
}

/// An init section made for a segment that came without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransmuxedInit {
    /// `ftyp` and `moov`.
    pub data: Bytes,
    /// Its tracks' codecs (RFC 6381), separated by commas. Or the MIME type of what is no MP4, has no times, and is appended
    /// without an init section: MP3 as it is.
    pub codecs: String,
}

/// The media element's state.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Playhead {
    /// `currentTime`, in seconds.
    pub position: f64,
    /// `playbackRate`.
    pub rate: f64,
    /// `paused`.
    pub paused: bool,
    /// `seeking`: the page (or the viewer) set `currentTime` and no frame has come yet.
    pub seeking: bool,
    /// `readyState`, 0 to 4.
    pub ready_state: u8,
    /// Wall-clock time in ms since the Unix epoch, for live latency by `EXT-X-PROGRAM-DATE-TIME`.
    pub wall_clock_ms: f64,
}

/// Why a media command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaFailure {
    /// `QuotaExceededError`: the browser's buffer is full.
    QuotaExceeded,
    /// The browser does not play this MIME type.
    Unsupported(String),
    /// The bytes could not be decoded, or the element has an error; the browser's words.
    Decode(String),
    /// The media source was closed or detached under us; the shell will say `Load` again if it wants more.
    Closed,
}

/// What the shell is to do.
#[derive(Debug, Clone)]
pub enum Output {
    /// Start an HTTP GET.
    Fetch(FetchRequest),
    /// Abort it; nothing more is said about this request.
    CancelFetch(RequestId),
    /// Open a WebSocket to this tracker.
    OpenTracker(TrackerId, String),
    /// Send a text message.
    SendTracker(TrackerId, String),
    /// Close it; nothing more is said about this connection until it is opened again.
    CloseTracker(TrackerId),
    /// Create a connection with one data channel and gather all candidates; answer with [`Input::OfferReady`].
    CreateOffer(ConnectionId),
    /// Create a connection for this offer and gather all candidates; answer with [`Input::AnswerReady`].
    CreateAnswer(ConnectionId, String),
    /// Apply this answer to the connection's offer.
    AcceptAnswer(ConnectionId, String),
    /// Close and forget; nothing more is said about this connection.
    ClosePeer(ConnectionId),
    /// Send a message (see [`Message::encode`](crate::wire::Message::encode)).
    SendPeer(ConnectionId, Message),
    /// Say which of these MIME types play (`MediaSource.isTypeSupported`): [`Input::CodecSupport`].
    CheckCodecs(Vec<String>),
    /// Decrypt a segment or an init section: [`Input::Decrypted`].
    Decrypt {
        /// Named in the answer.
        job: JobId,
        /// How.
        cipher: Cipher,
        /// 16 or 32 bytes.
        key: Bytes,
        /// Initialization vector.
        iv: [u8; 16],
        /// For [`Cipher::Samples`] in fragmented MP4: the init section as it came; else empty.
        init: Bytes,
        /// The encrypted bytes.
        data: Bytes,
    },
    /// Turn a segment (MPEG-2 TS or raw audio), or the next part of one, into fragmented MP4: [`Input::Transmuxed`].
    Transmux {
        /// Named in the answer.
        job: JobId,
        /// The segments of a track come in order.
        track: Track,
        /// This one does not follow the one before: forget what was left of that.
        reset: bool,
        /// A segment begins with these bytes.
        begins: bool,
        /// It ends with them.
        ends: bool,
        /// No segment follows it: give out what would be kept for the next.
        last: bool,
        /// The segment, or a part of it: parts come in order.
        data: Bytes,
    },
    /// Check an Ed25519 signature (RFC 8032 §5.1.7): [`Input::SignatureVerified`].
    VerifySignature {
        /// Named in the answer.
        job: JobId,
        /// The public key.
        key: [u8; 32],
        /// The signature.
        signature: [u8; 64],
        /// What is signed.
        message: String,
    },
    /// Something for the cache across sessions.
    Cache(CacheCommand),
    /// Something for Media Source Extensions.
    Media(MediaCommand),
    /// A segment of subtitles, to be read and shown.
    Text(TextSegment),
    /// Something for the page.
    Event(Event),
}

/// Something for the cache across sessions. It knows segments by what they hash to (`docs/hash-lists.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheCommand {
    /// Look for a segment: [`Input::Decrypted`].
    Recall {
        /// Named in the answer.
        job: JobId,
        /// Its root, or its hash.
        hash: [u8; 32],
    },
    /// Keep a segment that has been verified, in the place of what is there under its name. What was written first goes first
    /// when there is no room within `limit`.
    Keep {
        /// Its root, or its hash.
        hash: [u8; 32],
        /// All of it.
        data: Bytes,
        /// Bytes that all segments in the cache may take ([`Config::cache_bytes`](crate::Config::cache_bytes)).
        limit: u64,
    },
}

/// An HTTP GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// Named in each input about it.
    pub id: RequestId,
    /// Absolute URL.
    pub url: String,
    /// For a `Range` header: first byte, and one past the last (`None`: to the end).
    pub range: Option<(u64, Option<u64>)>,
    /// What is fetched: for priorities and logs.
    pub kind: FetchKind,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchKind {
    /// A multivariant or media playlist.
    Playlist,
    /// An init section (`EXT-X-MAP`).
    Init,
    /// A key (`EXT-X-KEY`).
    Key,
    /// A segment, or a part of its bytes.
    Segment,
    /// A segment or init section of subtitles.
    Text,
}

/// Something for Media Source Extensions. At most one `Append`, `Remove`, `ChangeType` or
/// `ResetParser` is in progress on a track; the shell ends it with [`Input::MediaDone`] or
/// [`Input::MediaFailed`]. The other commands have no answer.
#[derive(Debug, Clone)]
pub enum MediaCommand {
    /// Open a media source with these source buffers (`track`, MIME type), replacing any before it.
    /// Each track is ended with one `MediaDone` when its buffer is ready.
    Open(Vec<(Track, String)>),
    /// `MediaSource.duration`, in seconds; infinite for live.
    SetDuration(f64),
    /// `setLiveSeekableRange`, in seconds.
    SetLiveSeekable(f64, f64),
    /// Append bytes with this `timestampOffset` (s); `None` leaves it as it is (inside a segment).
    Append {
        /// Where.
        track: Track,
        /// Init section or media bytes.
        data: Bytes,
        /// `SourceBuffer.timestampOffset`, in seconds.
        timestamp_offset: Option<f64>,
    },
    /// `SourceBuffer.abort()`: forget a segment that was appended in part.
    ResetParser(Track),
    /// `SourceBuffer.changeType()`.
    ChangeType(Track, String),
    /// `SourceBuffer.remove()`, in seconds.
    Remove(Track, f64, f64),
    /// `MediaSource.endOfStream()`.
    EndOfStream,
    /// Set `currentTime`, in seconds.
    Seek(f64),
    /// Set `playbackRate`: small catch-up changes at the live edge.
    SetRate(f64),
}

/// Something for the page.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The playlist's variants, in the playlist's order.
    Variants(Vec<VariantInfo>),
    /// The alternate audio renditions of the current variant's group.
    AudioRenditions(Vec<AudioInfo>),
    /// Where text and pictures at times come from, renditions first in the playlist's order, so that those which groups
    /// repeat are there again. Sent when there are any; and again, with another choice, when the language that is heard
    /// changes.
    TextSources(Vec<TextSource>),
    /// The playlist's date ranges, all that it has; sent when it has new ones.
    DateRanges(Vec<DateRangeInfo>),
    /// The variant whose segments are fetched from now on, and whether the core chose it.
    VariantSelected {
        /// Index into [`Event::Variants`].
        index: usize,
        /// False after [`Input::SelectVariant`] with an index.
        automatic: bool,
    },
    /// The alternate audio rendition in use, index into [`Event::AudioRenditions`].
    AudioSelected(usize),
    /// What can be seeked to; sent when it changes.
    Timeline(TimelineInfo),
    /// The player waits for bytes, with the reason to show; `None` when it goes on.
    Waiting(Option<WaitingReason>),
    /// Keys that only a content decryption module of the browser can have, as far as the playlists name them.
    ModuleKeys {
        /// Index into [`Event::Variants`] of the variant whose samples they are for; `None`: several, or audio.
        variant: Option<usize>,
        /// One for each key and key format.
        keys: Vec<Key>,
    },
    /// Something went wrong. Fatal: nothing plays until the next [`Input::Load`].
    Error {
        /// What.
        error: PlayerError,
        /// Whether playback has ended with it.
        fatal: bool,
    },
}

/// Why nothing plays, while the player keeps trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitingReason {
    /// Bytes are on their way.
    Buffering,
    /// The origin does not answer, or with errors, and no peer has the bytes; retried by itself.
    OriginUnavailable,
    /// The browser is offline.
    Offline,
    /// The live playlist does not grow any more; retried by itself.
    PlaylistStale,
}

/// A variant stream, for menus.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantInfo {
    /// Stable while the title is loaded.
    pub id: u32,
    /// Peak bit/s (`BANDWIDTH`), 0 when unknown.
    pub bitrate_bps: u64,
    /// Pixels, 0 when unknown.
    pub width: u32,
    /// Pixels, 0 when unknown.
    pub height: u32,
    /// `FRAME-RATE`, 0 when unknown.
    pub frame_rate: f64,
    /// `CODECS`, as in the playlist.
    pub codecs: String,
    /// Whether this browser plays it.
    pub playable: bool,
}

/// An alternate audio rendition, for menus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioInfo {
    /// `NAME`.
    pub name: String,
    /// `LANGUAGE`, empty when unknown.
    pub language: String,
    /// `DEFAULT=YES`.
    pub default: bool,
}

/// A source of text, or of pictures at times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextSource {
    /// What it is.
    pub kind: TextKind,
    /// Absolute URL, empty for captions.
    pub url: String,
    /// All attributes of its tag as written: `NAME`, `LANGUAGE`, `FORCED`, `INSTREAM-ID` and so on.
    pub attributes: AttributeList,
    /// To be shown unless the viewer chooses otherwise.
    pub chosen: bool,
}

/// What a source of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    /// A rendition with segments of its own.
    Subtitles,
    /// CEA-608 or CEA-708 in the video.
    Captions,
    /// Apple's chapters, as JSON.
    Chapters,
    /// A playlist of images.
    Images,
    /// A playlist of I-frames.
    IFrames,
}

/// A segment of subtitles.
#[derive(Debug, Clone, PartialEq)]
pub struct TextSegment {
    /// Index into [`Event::TextSources`].
    pub source: usize,
    /// Seconds, where the playlist has it.
    pub start: f64,
    /// Seconds.
    pub end: f64,
    /// What to add to the stream's times to get the player's, in seconds; `NaN` when it is not known.
    pub offset: f64,
    /// Its init section, empty when it has none.
    pub init: Bytes,
    /// Its bytes.
    pub data: Bytes,
}

/// A date range on the player's timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct DateRangeInfo {
    /// Seconds.
    pub start: f64,
    /// Seconds; infinite while it is not known.
    pub end: f64,
    /// All attributes as written, `ID` among them.
    pub attributes: AttributeList,
}

/// What can be seeked to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimelineInfo {
    /// Whether the playlist still grows.
    pub live: bool,
    /// Seconds; infinite for live.
    pub duration: f64,
    /// First second that can be seeked to.
    pub seekable_start: f64,
    /// Last second that can be seeked to: the live edge, or the end.
    pub seekable_end: f64,
    /// For live: where a viewer who follows plays, hold back before the live edge.
    pub live_position: f64,
    /// Seconds, the longest segment (`EXT-X-TARGETDURATION`).
    pub target_duration: f64,
    /// How much can be rewound: `f64::INFINITY` for EVENT, 0 when the window is too short to seek in, `NaN` for VOD
    /// (the media element extension `targetLiveWindow`).
    pub target_live_window: f64,
}
