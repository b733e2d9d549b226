//! HLS playlists: a tolerant reader for multivariant and media playlists, their URLs, and the live refresh.
//!
//! Follows RFC 8216 and its successor draft-pantos-hls-rfc8216bis ("bis" below). A playlist from the field is
//! often not quite conforming: the reader takes what it understands, notes the rest in `warnings`, and refuses
//! only what is no playlist at all. Nothing in a playlist's text can make it panic.

mod attributes;
mod carry;
mod codecs;
mod date;
mod date_range;
mod lines;
mod media;
mod multivariant;
pub(crate) mod number;
pub(crate) mod parts;
mod reader;
mod refresh;
mod resume;
mod url;
mod variables;

use crate::ordered::OrderedMap;

pub use attributes::AttributeList;
pub use codecs::{CodecKind, codec_kind, codecs_of_kind};
pub use date::parse_date;
pub use date_range::{Cue, DateRange};
pub use media::{
    DateAnchor, InitSection, Key, KeyMethod, MediaPlaylist, OpenSegment, Part, PlaylistKind,
    PreloadHint, PreloadKind, RenditionReport, Segment, ServerControl,
};
pub use multivariant::{
    MultivariantPlaylist, Rendition, RenditionKind, SessionData, Steering, Variant,
};
pub use refresh::Refresh;
pub use url::resolve;
pub(crate) use url::{host, with_host, with_parameter};

use crate::text::split_at_first;
use lines::Lines;

/// A playlist of either kind.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
pub enum Playlist {
    /// A list of variants and renditions (RFC 8216 §4.3.4).
    Multivariant(MultivariantPlaylist),
    /// A list of segments (RFC 8216 §4.3.2 and §4.3.3).
    Media(MediaPlaylist),
}

/// `EXT-X-START`: where playback is meant to begin (RFC 8216 §4.3.5.2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Start {
    /// Seconds from the playlist's beginning, or, when negative, from its end.
    pub time_offset: f64,
    /// Whether frames before the offset should not be shown.
    pub precise: bool,
}

/// Something in a playlist that does not conform and was worked around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warning {
    /// Line number, from 1.
    pub line: u32,
    /// What is wrong; empty in WebAssembly.
    pub message: &'static str,
}

/// Why a text can't be played as a playlist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Nothing but white space.
    #[error("the playlist is empty")]
    Empty,
    /// The first line is not `#EXTM3U` (RFC 8216 §4.3.1.1).
    #[error("it looks like {looks_like}, its first line is not #EXTM3U")]
    NotAPlaylist {
        /// What the text looks like instead, such as `a web page (HTML)`.
        looks_like: String,
    },
    /// A multivariant playlist without variants, or an ended media playlist without segments.
    #[error("the playlist lists nothing to play")]
    NothingToPlay,
}

/// Reads a playlist of either kind.
///
/// `url` is the playlist's final URL, the base of relative URIs. `imports` are the multivariant playlist's
/// variables, for `EXT-X-DEFINE:IMPORT` in a media playlist; empty otherwise.
///
/// A live media playlist (no `EXT-X-ENDLIST`) that has no segment yet is not an error: it is to be reloaded.
///
/// # Errors
/// When the text is no playlist or lists nothing to play.
pub fn parse(
    text: &str,
    url: &str,
    imports: &OrderedMap<String, String>,
) -> Result<Playlist, ParseError> {
    let text = check_header(text)?;
    if is_media(text) {
        let playlist = reader::read(text, url, imports);
        if playlist.is_empty() && (playlist.end_list || !playlist.has_target_duration) {
            return Err(ParseError::NothingToPlay);
        }
        Ok(Playlist::Media(playlist))
    } else {
        let playlist = multivariant::read(text, url);
        if playlist.variants.is_empty() {
            return Err(ParseError::NothingToPlay);
        }
        Ok(Playlist::Multivariant(playlist))
    }
}

/// Reads a text as a media playlist, whatever tags it has; for callers that know which kind they asked for.
/// A playlist without segments is not an error here.
///
/// # Errors
/// When the text is no playlist.
pub fn parse_media(
    text: &str,
    url: &str,
    imports: &OrderedMap<String, String>,
) -> Result<MediaPlaylist, ParseError> {
    let text = check_header(text)?;
    Ok(reader::read(text, url, imports))
}

/// Reads a text as a multivariant playlist, whatever tags it has. One without variants is not an error here.
///
/// # Errors
/// When the text is no playlist.
pub fn parse_multivariant(text: &str, url: &str) -> Result<MultivariantPlaylist, ParseError> {
    let text = check_header(text)?;
    Ok(multivariant::read(text, url))
}

/// Segments and URIs are kept as 32-bit ranges of the text.
const MAX_TEXT: usize = 1 << 30;

/// The text without a byte order mark. After white space, which is tolerated, it has to begin with `#EXTM3U`.
fn check_header(text: &str) -> Result<&str, ParseError> {
    let text = text.trim_start_matches('\u{feff}');
    let body = text.trim_start();
    if body.is_empty() {
        return Err(ParseError::Empty);
    }
    let looks_like = if text.len() > MAX_TEXT {
        "a file of more than 1 GiB"
    } else if body.starts_with("#EXTM3U") {
        return Ok(text);
    } else {
        guess(body)
    };
    Err(ParseError::NotAPlaylist { looks_like: looks_like.to_owned() })
}

/// Names the usual wrong answers of a server: error pages, API answers, media files.
fn guess(text: &str) -> &'static str {
    let begins = |prefix: &str| {
        text.as_bytes()
            .get(..prefix.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    // An invalid byte arrives as U+FFFD when the caller decodes leniently.
    let odd = text.chars().take(512).filter(|c| *c == '\u{fffd}' || *c < '\t').count();
    if begins("<!doctype html") || begins("<html") || begins("<head") || begins("<body") {
        "a web page (HTML)"
    } else if begins("<MPD") || (begins("<?xml") && split_at_first(text, "<MPD").is_some()) {
        "a DASH manifest"
    } else if begins("<") {
        "XML"
    } else if begins("{") || begins("[") {
        "JSON"
    } else if begins("WEBVTT") {
        "WebVTT subtitles"
    } else if begins("#EXT") {
        "a playlist that lost its beginning"
    } else if odd > 2 || begins("G@") || text.get(4..8) == Some("ftyp") {
        "binary data"
    } else {
        "plain text"
    }
}

/// A playlist with segments, or with tags that only a media playlist has, is a media playlist (RFC 8216 §4).
fn is_media(text: &str) -> bool {
    let mut variants = false;
    let mut media_tag = false;
    for line in Lines::new(text) {
        let Some(tag) = line.text.trim_start().strip_prefix("#EXT") else {
            continue;
        };
        if tag.starts_with("INF:") || tag.starts_with("-X-TARGETDURATION:") {
            return true;
        }
        variants |= tag.starts_with("-X-STREAM-INF:");
        media_tag |= ["-X-MEDIA-SEQUENCE:", "-X-PART:", "-X-PART-INF:", "-X-SKIP:", "-X-ENDLIST"]
            .iter()
            .any(|prefix| tag.starts_with(prefix));
    }
    media_tag && !variants
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks_like(text: &str) -> String {
        match parse(text, "http://a/b", &OrderedMap::new()) {
            Err(ParseError::NotAPlaylist { looks_like }) => looks_like,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_what_is_not_a_playlist() {
        assert_eq!(looks_like("\n<!DOCTYPE HTML><p>404"), "a web page (HTML)");
        assert_eq!(looks_like("{\"error\":1}"), "JSON");
        assert_eq!(looks_like("<?xml version='1.0'?><MPD/>"), "a DASH manifest");
        assert_eq!(looks_like("G@\u{0}\u{1}"), "binary data");
        assert_eq!(looks_like("#EXTINF:4,\na.ts"), "a playlist that lost its beginning");
        assert_eq!(looks_like("Not found"), "plain text");
    }

    #[test]
    fn an_empty_text_is_its_own_error() {
        assert_eq!(parse("\u{feff} \r\n", "", &OrderedMap::new()), Err(ParseError::Empty));
    }

    #[test]
    fn an_ended_playlist_without_segments_has_nothing_to_play_and_a_live_one_is_waited_for() {
        let ended = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-ENDLIST\n";
        assert_eq!(parse(ended, "", &OrderedMap::new()), Err(ParseError::NothingToPlay));
        let live = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n";
        assert!(matches!(parse(live, "", &OrderedMap::new()), Ok(Playlist::Media(_))));
        assert_eq!(parse("#EXTM3U\n", "", &OrderedMap::new()), Err(ParseError::NothingToPlay));
    }

    #[test]
    fn a_byte_order_mark_and_blank_lines_before_the_header_are_skipped() {
        let text = "\u{feff}\r\n#EXTM3U\r\n#EXTINF:4,\r\na.ts\r\n";
        assert!(
            matches!(parse(text, "http://a/", &OrderedMap::new()), Ok(Playlist::Media(m)) if m.segments.len() == 1)
        );
    }
}
