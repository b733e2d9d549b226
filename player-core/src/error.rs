//! One error enum per cause. A failed peer is a statistic and a lost network is a pause: neither is here.

/// What the page is told. Each message says what is wrong; [`PlayerError::code`] names it for programs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlayerError {
    /// The playlist's body has no bytes.
    #[error("the playlist {url} is empty")]
    PlaylistEmpty {
        /// Where it came from.
        url: String,
    },
    /// The body is no playlist: HTML, JSON, media.
    #[error("{url} is not an HLS playlist: {reason}")]
    NotAPlaylist {
        /// Where it came from.
        url: String,
        /// What it looks like instead.
        reason: String,
    },
    /// The body is larger than [`Config::max_playlist_bytes`](crate::Config::max_playlist_bytes).
    #[error("the playlist {url} is larger than {limit} bytes")]
    PlaylistTooLarge {
        /// Where it came from.
        url: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// A playlist without segments or variants.
    #[error("the playlist {url} lists nothing to play")]
    PlaylistWithoutMedia {
        /// Where it came from.
        url: String,
    },
    /// A variant's playlist is a multivariant playlist again.
    #[error("the variant {url} is a multivariant playlist again, not a media playlist")]
    VariantLoop {
        /// Where it came from.
        url: String,
    },
    /// The origin refuses the playlist.
    #[error("the playlist {url} could not be loaded: HTTP status {status}")]
    PlaylistStatus {
        /// Where it was asked for.
        url: String,
        /// HTTP status code.
        status: u16,
    },
    /// The playlist could not be fetched at all. Retried by itself; not fatal.
    #[error(
        "the playlist {url} could not be loaded: no answer, or one that this page may not read (CORS)"
    )]
    PlaylistUnreachable {
        /// Where it was asked for.
        url: String,
    },
    /// No variant that this browser plays.
    #[error("this browser plays none of the stream's codecs: {codecs}")]
    UnplayableCodecs {
        /// The variants' codecs.
        codecs: String,
    },
    /// A container that is not supported.
    #[error("segments of this stream are {container}, which is not supported")]
    UnsupportedContainer {
        /// Its name.
        container: String,
    },
    /// Encryption that is not supported.
    #[error("this stream is encrypted with {method}, which is not supported")]
    UnsupportedEncryption {
        /// `METHOD` of `EXT-X-KEY`.
        method: String,
    },
    /// The browser could not decode the stream.
    #[error("the stream could not be decoded: {reason}")]
    Decode {
        /// The browser's words.
        reason: String,
    },
    /// A segment without a byte: there is nothing to play in it, and it is stepped over. Not fatal.
    #[error("the segment {url} is empty")]
    SegmentEmpty {
        /// Where it was asked for.
        url: String,
    },
    /// A `trackers` entry is not a `ws:` or `wss:` URL. Playback goes on by HTTP.
    #[error("{url:?} is not a tracker's URL: it has to begin with ws:// or wss://")]
    TrackerUrl {
        /// The entry.
        url: String,
    },
}

impl PlayerError {
    /// A stable name for programs: `potluck-video`'s `error.code` text.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::PlaylistEmpty { .. } => "playlist-empty",
            Self::NotAPlaylist { .. } => "not-a-playlist",
            Self::PlaylistTooLarge { .. } => "playlist-too-large",
            Self::PlaylistWithoutMedia { .. } => "playlist-without-media",
            Self::VariantLoop { .. } => "variant-loop",
            Self::PlaylistStatus { .. } => "playlist-status",
            Self::PlaylistUnreachable { .. } => "playlist-unreachable",
            Self::UnplayableCodecs { .. } => "unplayable-codecs",
            Self::UnsupportedContainer { .. } => "unsupported-container",
            Self::UnsupportedEncryption { .. } => "unsupported-encryption",
            Self::Decode { .. } => "decode",
            Self::SegmentEmpty { .. } => "segment-empty",
            Self::TrackerUrl { .. } => "tracker-url",
        }
    }
}
