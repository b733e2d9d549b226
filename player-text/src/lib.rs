//! Subtitles, captions, timed metadata and thumbnails: from a stream's bytes to cues that a browser shows.
//!
//! Two ways in: [`segment::read`] takes a segment of a subtitle rendition (WebVTT, IMSC1 text, either of them in
//! fragmented MP4), and [`Tap`] takes what is appended to a source buffer (CEA-608 and CEA-708 in the video's SEI,
//! `emsg` boxes). [`thumbnails::read`] reads image and I-frame playlists. Everything comes out as [`Cue`]s on the
//! player's timeline.
//!
//! All input is hostile: nothing in it makes this crate panic, and what is kept of it is bounded by named constants.

pub mod captions;
mod cutter;
mod id3;
mod markup;
mod mp4;
mod number;
pub mod segment;
mod tap;
pub mod thumbnails;
mod ttml;
mod vtt;
#[cfg(feature = "wasm")]
mod wasm;
mod wvtt;
mod xml;

pub use tap::Tap;

/// Something to show, or to tell the page, for a while.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cue {
    /// Seconds on the player's timeline.
    pub start: f64,
    /// Seconds; infinite when nobody said how long.
    pub end: f64,
    /// Where it belongs: empty for the rendition's own cues, `CC1` to `CC4`, `SERVICE1` and so on for captions,
    /// `emsg` and `id3` for metadata.
    pub channel: String,
    /// Cue identifier; for `emsg` its scheme and value, separated by a line break; for ID3 the frame's key.
    pub id: String,
    /// WebVTT cue settings, such as `line:80% align:start`; for ID3 the frame's description or owner.
    pub settings: String,
    /// WebVTT cue text; for ID3 the frame's text.
    pub text: String,
    /// Metadata that is no text.
    pub data: Vec<u8>,
}

/// Most cues that one segment or append can bring.
pub const MAX_CUES: usize = 10_000;
/// Longest cue text in bytes.
pub const MAX_TEXT: usize = 16 * 1024;

/// Seconds after which a 33-bit clock of 90 kHz starts again at 0 (ISO/IEC 13818-1 §2.4.3.7).
pub(crate) const CLOCK_WRAP: f64 = (1_u64 << 33) as f64 / 90_000.0;

/// Cuts a text to at most `most` bytes, at a character's border.
pub(crate) fn truncate(text: &mut String, most: usize) {
    if text.len() > most {
        let mut end = most;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
}
