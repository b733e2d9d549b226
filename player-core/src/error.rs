//! One error enum per cause. A failed peer is a statistic and a lost network is a pause: neither is here.

use std::fmt;

use crate::text::push_decimal;

/// What the page is told. Each message says what is wrong; [`PlayerError::code`] names it for programs.
#[derive(Debug, Clone, PartialEq)]
pub enum PlayerError {
    /// The playlist's body has no bytes.
    PlaylistEmpty {
        /// Where it came from.
        url: String,
    },
    /// The body is no playlist: HTML, JSON, media.
    NotAPlaylist {
        /// Where it came from.
        url: String,
        /// What it looks like instead.
        reason: String,
    },
    /// The body is larger than [`Config::max_playlist_bytes`](crate::Config::max_playlist_bytes).
    PlaylistTooLarge {
        /// Where it came from.
        url: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// A playlist without segments or variants.
    PlaylistWithoutMedia {
        /// Where it came from.
        url: String,
    },
    /// A variant's playlist is a multivariant playlist again.
    VariantLoop {
        /// Where it came from.
        url: String,
    },
    /// The origin refuses the playlist.
    PlaylistStatus {
        /// Where it was asked for.
        url: String,
        /// HTTP status code.
        status: u16,
    },
    /// The playlist could not be fetched at all. Retried by itself; not fatal.
    PlaylistUnreachable {
        /// Where it was asked for.
        url: String,
    },
    /// No variant that this browser plays.
    UnplayableCodecs {
        /// The variants' codecs.
        codecs: String,
    },
    /// A container that is not supported.
    UnsupportedContainer {
        /// Its name.
        container: String,
    },
    /// A segment of a supported container that cannot be turned into fragmented MP4.
    Transmux {
        /// The transmuxer's words.
        reason: String,
    },
    /// Encryption that is not supported.
    UnsupportedEncryption {
        /// `METHOD` of `EXT-X-KEY`.
        method: String,
    },
    /// A key that cannot be had or used. Retried by itself; not fatal.
    Key {
        /// Where it was asked for.
        url: String,
        /// What is wrong with it.
        fault: KeyFault,
    },
    /// The browser could not decode the stream.
    Decode {
        /// The browser's words.
        reason: String,
    },
    /// A segment without a byte: there is nothing to play in it, and it is stepped over. Not fatal.
    SegmentEmpty {
        /// Where it was asked for.
        url: String,
    },
    /// The origin's bytes of a segment are not those of its hash. They are fetched again; not fatal.
    SegmentSpoiled {
        /// Where it was asked for.
        url: String,
    },
    /// The hash of a segment is not signed with the publisher's key. Its bytes come from the origin alone; not fatal.
    HashUnsigned {
        /// The playlist.
        url: String,
    },
    /// The file with the segments' hashes cannot be had or read. Not fatal.
    HashesUnusable {
        /// Where it was asked for.
        url: String,
    },
    /// A segment that neither the origin nor a peer nor another variant has: playback goes on behind it. Not fatal.
    SegmentLost {
        /// Where it was asked for.
        url: String,
        /// Where the gap begins on the media timeline, in seconds.
        start: f64,
        /// How long the segment would have been, in seconds.
        duration: f64,
    },
    /// A tracker refuses this viewer. Tried again by itself; playback goes on by HTTP, and with peers that are connected.
    TrackerRefused {
        /// Its words.
        reason: String,
    },
    /// The swarm token is none. Nothing is shared; playback goes on by HTTP.
    SwarmToken,
    /// A `trackers` entry is not a `ws:` or `wss:` URL. Playback goes on by HTTP.
    TrackerUrl {
        /// The entry.
        url: String,
    },
}

/// What is wrong with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// It could not be fetched at all.
    NoAnswer,
    /// The origin refuses it, with this HTTP status.
    Status(u16),
    /// It has not 16 bytes for AES-128 and samples, or not 32 for AES-256.
    Length,
    /// What it decrypts has no padding: it is another key, or the segment is damaged.
    Other,
}

impl PlayerError {
    /// What is wrong, in words for a human.
    #[must_use]
    #[inline(never)]
    pub fn message(&self) -> String {
        let mut number = String::new();
        let parts: [&str; 5] = match self {
            Self::PlaylistEmpty { url } => ["the playlist ", url, " is empty", "", ""],
            Self::NotAPlaylist { url, reason } => {
                [url, " is not an HLS playlist: ", reason, "", ""]
            }
            Self::PlaylistTooLarge { url, limit } => {
                push_decimal(&mut number, *limit as u64, 1);
                ["the playlist ", url, " is larger than ", &number, " bytes"]
            }
            Self::PlaylistWithoutMedia { url } => {
                ["the playlist ", url, " lists nothing to play", "", ""]
            }
            Self::VariantLoop { url } => [
                "the variant ",
                url,
                " is a multivariant playlist again, not a media playlist",
                "",
                "",
            ],
            Self::PlaylistStatus { url, status } => {
                push_decimal(&mut number, (*status).into(), 1);
                ["the playlist ", url, " could not be loaded: HTTP status ", &number, ""]
            }
            Self::PlaylistUnreachable { url } => [
                "the playlist ",
                url,
                " could not be loaded: no answer, or one that this page may not read (CORS)",
                "",
                "",
            ],
            Self::UnplayableCodecs { codecs } => {
                ["this browser plays none of the stream's codecs: ", codecs, "", "", ""]
            }
            Self::UnsupportedContainer { container } => {
                ["segments of this stream are ", container, ", which is not supported", "", ""]
            }
            Self::Transmux { reason } => {
                ["a segment could not be turned into fragmented MP4: ", reason, "", "", ""]
            }
            Self::UnsupportedEncryption { method } => {
                ["this stream is encrypted with ", method, ", which is not supported", "", ""]
            }
            Self::Key { url, fault } => {
                let words = match fault {
                    KeyFault::NoAnswer => {
                        " could not be loaded: no answer, or one that this page may not read (CORS)"
                    }
                    KeyFault::Status(status) => {
                        push_decimal(&mut number, (*status).into(), 1);
                        " could not be loaded: HTTP status "
                    }
                    KeyFault::Length => " has another length than its method needs",
                    KeyFault::Other => " does not decrypt its segment, or that is damaged",
                };
                ["the key ", url, words, &number, ""]
            }
            Self::Decode { reason } => ["the stream could not be decoded: ", reason, "", "", ""],
            Self::SegmentEmpty { url } => ["the segment ", url, " is empty", "", ""],
            Self::SegmentSpoiled { url } => [
                "the segment ",
                url,
                " is not what its hash says: it is fetched again (if it was changed on purpose, write the hashes anew \
                 with `potluck hash`)",
                "",
                "",
            ],
            Self::HashUnsigned { url } => [
                "hashes of ",
                url,
                " are not signed with the publisher's key: nothing is shared until they are",
                "",
                "",
            ],
            Self::HashesUnusable { url } => [
                "the file of hashes ",
                url,
                " could not be loaded or read: bytes of peers are only checked at random",
                "",
                "",
            ],
            Self::SegmentLost { url, start, duration } => {
                push_decimal(&mut number, duration.clamp(0.0, 1e9).round() as u64, 1);
                number.push_str(" s at ");
                push_decimal(&mut number, start.clamp(0.0, 1e9) as u64, 1);
                ["the segment ", url, " could not be had: ", &number, " s are left out"]
            }
            Self::TrackerRefused { reason } => {
                ["the tracker refuses this viewer: ", reason, "", "", ""]
            }
            Self::SwarmToken => [
                "the swarm token is none, so nothing is shared: `potluck token` writes them",
                "",
                "",
                "",
                "",
            ],
            Self::TrackerUrl { url } => [
                "\"",
                url,
                "\" is not a tracker's URL: it has to begin with ws:// or wss://",
                "",
                "",
            ],
        };
        parts.concat()
    }

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
            Self::Transmux { .. } => "transmux",
            Self::UnsupportedEncryption { .. } => "unsupported-encryption",
            Self::Key { .. } => "key",
            Self::Decode { .. } => "decode",
            Self::SegmentEmpty { .. } => "segment-empty",
            Self::SegmentSpoiled { .. } => "segment-spoiled",
            Self::HashUnsigned { .. } => "hash-unsigned",
            Self::HashesUnusable { .. } => "hashes-unusable",
            Self::SegmentLost { .. } => "segment-lost",
            Self::TrackerRefused { .. } => "tracker-refused",
            Self::SwarmToken => "swarm-token",
            Self::TrackerUrl { .. } => "tracker-url",
        }
    }
}

impl fmt::Display for PlayerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for PlayerError {}
