//! Media playlists (RFC 8216 §4.3.2, §4.3.3, §4.3.5; bis §4.4.3 to §4.4.5): what was read, and how to ask for it.
//!
//! The text is kept once. A [`Segment`] is 64 bytes: numbers, and where its URI is in that text. Its tags are the lines
//! above, and what few ask for is looked up there.

use crate::io::Cipher;
use crate::ordered::OrderedMap;
use std::ops::Range;

use super::attributes::AttributeList;
use super::date_range::DateRange;
use super::lines::find_terminator;
use super::parts::part_of;
use super::url::resolve;
use super::{Start, Warning};

/// A list of segments.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MediaPlaylist {
    /// The playlist's own URL.
    pub url: String,
    /// `EXT-X-VERSION`.
    pub version: Option<u32>,
    /// `EXT-X-TARGETDURATION` in seconds, at least 1. Without the tag: the longest segment, rounded up.
    pub target_duration: f64,
    /// `EXT-X-MEDIA-SEQUENCE`: the number of the first segment, skipped ones included.
    pub media_sequence: u64,
    /// `EXT-X-DISCONTINUITY-SEQUENCE`.
    pub discontinuity_sequence: u64,
    /// `EXT-X-ENDLIST`: nothing will be added.
    pub end_list: bool,
    /// `EXT-X-PLAYLIST-TYPE`.
    pub kind: Option<PlaylistKind>,
    /// `EXT-X-START`.
    pub start: Option<Start>,
    /// `EXT-X-I-FRAMES-ONLY`.
    pub i_frames_only: bool,
    /// `EXT-X-INDEPENDENT-SEGMENTS`.
    pub independent_segments: bool,
    /// `EXT-X-SERVER-CONTROL`.
    pub server_control: Option<ServerControl>,
    /// `PART-TARGET` of `EXT-X-PART-INF` in seconds.
    pub part_target: Option<f64>,
    /// `EXT-X-PRELOAD-HINT` in the playlist's order.
    pub preload_hints: Vec<PreloadHint>,
    /// `EXT-X-RENDITION-REPORT` in the playlist's order.
    pub rendition_reports: Vec<RenditionReport>,
    /// Segments that `EXT-X-SKIP` stands for and that are not in `segments`. After a [`refresh`](Self::refresh) it
    /// is 0, unless the skipped segments were not known: then the whole playlist has to be loaded.
    pub skipped_segments: u64,
    /// `RECENTLY-REMOVED-DATERANGES` of `EXT-X-SKIP`.
    pub removed_date_ranges: Vec<String>,
    /// `EXT-X-DATERANGE`, tags of the same id merged, in the order of their first tags.
    pub date_ranges: Vec<DateRange>,
    /// The segments, ascending in sequence and start.
    pub segments: Vec<Segment>,
    /// `EXT-X-PART` of the segments near the live edge and of the one that is still being made.
    pub parts: Vec<Part>,
    /// The segment after the last one, when the playlist has tags or parts of it but not yet its URI.
    pub open_segment: Option<OpenSegment>,
    /// `EXT-X-DEFINE`.
    pub variables: OrderedMap<String, String>,
    /// `EXT-X-POTLUCK-HASHES`: absolute URL of a file with the segments' hashes (docs/hash-lists.md).
    pub hashes_url: Option<String>,
    /// What did not conform.
    pub warnings: Vec<Warning>,
    pub(super) has_target_duration: bool,
    pub(super) text: String,
    /// How much of `text` is the playlist as it was loaded; behind it are strings that were made.
    pub(super) loaded: usize,
    pub(super) inits: Vec<InitSection>,
    pub(super) key_sets: Vec<Vec<Key>>,
    pub(super) applied: Vec<Applied>,
    pub(super) dates: Vec<DateAnchor>,
    /// What an incremental refresh needs to know of this text.
    pub(super) marks: super::resume::Marks,
}

/// `EXT-X-PLAYLIST-TYPE` (RFC 8216 §4.3.3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaylistKind {
    /// Never changes.
    Vod,
    /// Only grows.
    Event,
}

/// `EXT-X-SERVER-CONTROL` (bis §4.4.3.8). Times in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ServerControl {
    /// The server answers `_HLS_msn` and `_HLS_part` when that media exists.
    pub can_block_reload: bool,
    /// The server answers `_HLS_skip` with a delta update of what is older than this.
    pub can_skip_until: Option<f64>,
    /// Delta updates leave out date ranges too.
    pub can_skip_date_ranges: bool,
    /// How far from the end to play.
    pub hold_back: Option<f64>,
    /// How far from the end to play when playing parts.
    pub part_hold_back: Option<f64>,
}

/// A media segment (RFC 8216 §3).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// Media sequence number.
    pub sequence: u64,
    /// Seconds on the media timeline: 0 at the first segment of the first playlist that was loaded.
    pub start: f64,
    /// `EXTINF` in seconds.
    pub duration: f64,
    /// Discontinuities before it, `EXT-X-DISCONTINUITY-SEQUENCE` included.
    pub discontinuity_sequence: u64,
    /// `EXT-X-BITRATE` in kbit/s, 0 if unknown.
    pub bitrate_kbps: u32,
    /// `EXT-X-DISCONTINUITY` is directly before it.
    pub discontinuity: bool,
    /// `EXT-X-GAP`: it is absent, and not to be loaded.
    pub gap: bool,
    /// It has an `EXTINF` with a duration.
    pub(super) timed: bool,
    /// It has an `EXT-X-POTLUCK-HASH`.
    pub(super) hashed: bool,
    pub(super) range_start: u64,
    /// [`u64::MAX`] in `range_start` means: no byte range.
    pub(super) range_end: u64,
    /// Where its URI begins in the text; it goes to the line's end, and its tags are above it.
    pub(super) uri: u32,
    /// Index of what it is applied to it in the playlist's [`Applied`]; 0 for nothing.
    pub(super) applied: u32,
}

/// Ten thousand of them are kept for a channel that can be rewound by half a day.
const _: () = assert!(size_of::<Segment>() == 64);

/// What `EXT-X-MAP` and `EXT-X-KEY` say of a run of segments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Applied {
    /// Number of the init section from 1; 0 for none.
    pub(super) init: u32,
    /// Number of the key set from 1; 0 when no key tag was read.
    pub(super) keys: u32,
}

impl Segment {
    /// Where it ends on the media timeline, in seconds.
    #[must_use]
    pub fn end(&self) -> f64 {
        self.start + self.duration
    }
}

/// `EXT-X-MAP`: what a segment needs in front of it (RFC 8216 §4.3.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitSection {
    /// Absolute URL.
    pub url: String,
    /// The bytes of the resource that it is; all if `None`.
    pub byte_range: Option<Range<u64>>,
    /// The keys that it is encrypted with.
    pub keys: Vec<Key>,
}

/// `EXT-X-KEY` or `EXT-X-SESSION-KEY` (RFC 8216 §4.3.2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// `METHOD`, never `NONE`.
    pub method: KeyMethod,
    /// Absolute URL of the key; empty if absent.
    pub uri: String,
    /// `IV`, padded on the left. `None`: see [`Key::iv_of`].
    pub iv: Option<[u8; 16]>,
    /// `IV` as written, where it has not the 32 digits that it should have.
    pub iv_text: Option<String>,
    /// `KEYFORMAT`; `identity` if absent.
    pub format: String,
    /// `KEYFORMATVERSIONS`; 1 if absent.
    pub format_versions: Vec<u32>,
    /// `KEYID`, not in the RFC but in the field (Widevine).
    pub key_id: Option<String>,
}

impl Key {
    /// How this player decrypts with it: an `identity` key (RFC 8216 §4.3.2.4) of a known method. `None` where only a
    /// module of the browser can, or nobody.
    #[must_use]
    pub fn cipher(&self) -> Option<Cipher> {
        if !self.format.eq_ignore_ascii_case("identity") || self.uri.is_empty() {
            return None;
        }
        match self.method {
            KeyMethod::Aes128 | KeyMethod::Aes256 => Some(Cipher::AesCbc),
            KeyMethod::Aes256Ctr => Some(Cipher::AesCtr),
            KeyMethod::Other(_) => None,
            _ => Some(Cipher::Samples),
        }
    }

    /// Whether samples encrypted with these keys, each of another format, are left to a module of the browser.
    #[must_use]
    pub fn are_for_module(keys: &[Self]) -> bool {
        let sample = |key: &Self| {
            use KeyMethod::{SampleAes, SampleAesCenc, SampleAesCtr};
            matches!(key.method, SampleAes | SampleAesCtr | SampleAesCenc)
        };
        keys.iter().all(|key| key.cipher().is_none()) && keys.iter().any(sample)
    }

    /// The initialization vector of a segment: the attribute, or its media sequence number (RFC 8216 §5.2).
    #[must_use]
    pub fn iv_of(&self, segment: &Segment) -> [u8; 16] {
        // A part has its segment's.
        let sequence = part_of(segment.sequence).map_or(segment.sequence, |(sequence, _)| sequence);
        self.iv.unwrap_or_else(|| u128::from(sequence).to_be_bytes())
    }
}

/// How a segment is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyMethod {
    /// Whole segments, AES-128 CBC.
    Aes128,
    /// Whole segments, AES-256 CBC.
    Aes256,
    /// Whole segments, AES-256 CTR.
    Aes256Ctr,
    /// Samples, as Apple's sample encryption or `cbcs`.
    SampleAes,
    /// Samples, `cenc`.
    SampleAesCtr,
    /// Samples, `cenc` under an older name.
    SampleAesCenc,
    /// Something that this reader does not know.
    Other(String),
}

impl KeyMethod {
    pub(super) fn from_name(name: &str) -> Self {
        match name {
            "AES-128" => Self::Aes128,
            "AES-256" => Self::Aes256,
            "AES-256-CTR" => Self::Aes256Ctr,
            "SAMPLE-AES" => Self::SampleAes,
            "SAMPLE-AES-CTR" => Self::SampleAesCtr,
            "SAMPLE-AES-CENC" => Self::SampleAesCenc,
            other => Self::Other(other.to_owned()),
        }
    }

    /// As in the playlist.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Aes128 => "AES-128",
            Self::Aes256 => "AES-256",
            Self::Aes256Ctr => "AES-256-CTR",
            Self::SampleAes => "SAMPLE-AES",
            Self::SampleAesCtr => "SAMPLE-AES-CTR",
            Self::SampleAesCenc => "SAMPLE-AES-CENC",
            Self::Other(name) => name,
        }
    }
}

/// A partial segment (bis §4.4.4.9).
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Media sequence number of its segment.
    pub segment_sequence: u64,
    /// Its place in the segment, from 0.
    pub index: u32,
    /// Absolute URL; empty (and `gap` set) if the tag has none.
    pub url: String,
    /// Seconds.
    pub duration: f64,
    /// Whether the tag has a `DURATION`, as it must.
    pub timed: bool,
    /// Seconds from the segment's beginning.
    pub offset: f64,
    /// It has an independent frame.
    pub independent: bool,
    /// It is absent, and not to be loaded.
    pub gap: bool,
    /// The bytes of the resource that it is; all if `None`.
    pub byte_range: Option<Range<u64>>,
}

/// The segment that is still being made: its place is known, its URI is not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpenSegment {
    /// Media sequence number.
    pub sequence: u64,
    /// Seconds on the media timeline.
    pub start: f64,
    /// Seconds so far, all its parts.
    pub duration: f64,
    /// Discontinuities before it.
    pub discontinuity_sequence: u64,
    pub(super) applied: u32,
}

/// `EXT-X-PRELOAD-HINT` (bis §4.4.5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreloadHint {
    /// `TYPE`.
    pub kind: PreloadKind,
    /// Absolute URL; empty if the tag has none.
    pub url: String,
    /// `BYTERANGE-START`, 0 if absent.
    pub byte_range_start: u64,
    /// `BYTERANGE-LENGTH`; to the resource's end if `None`.
    pub byte_range_length: Option<u64>,
    /// All attributes as written.
    pub attributes: AttributeList,
}

/// What a preload hint is a hint of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreloadKind {
    /// The next partial segment.
    Part,
    /// An init section.
    Map,
    /// The tag has no type that is known, or no URI: of no use.
    Unknown,
}

/// `EXT-X-RENDITION-REPORT` (bis §4.4.5.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenditionReport {
    /// Absolute URL of the other rendition's playlist.
    pub url: String,
    /// `LAST-MSN`.
    pub last_sequence: Option<u64>,
    /// `LAST-PART`.
    pub last_part: Option<u64>,
    /// All attributes as written.
    pub attributes: AttributeList,
}

/// A date that a segment is given by `EXT-X-PROGRAM-DATE-TIME`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DateAnchor {
    /// The segment's media sequence number.
    pub sequence: u64,
    /// Milliseconds since the epoch.
    pub date: f64,
}

impl MediaPlaylist {
    /// Neither segments nor parts, nor skipped ones.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.parts.is_empty() && self.skipped_segments == 0
    }

    /// A segment's absolute URL.
    #[must_use]
    pub fn segment_url(&self, segment: &Segment) -> String {
        resolve(&self.url, self.segment_uri(segment))
    }

    /// A segment's URI as written, variables replaced.
    #[must_use]
    pub fn segment_uri<'a>(&'a self, segment: &Segment) -> &'a str {
        self.text.get(segment.uri as usize..).map_or("", first_line)
    }

    /// Where the line of its URI ends in the text.
    pub(super) fn uri_end(&self, segment: &Segment) -> u32 {
        segment.uri + self.segment_uri(segment).len() as u32
    }

    /// Whether the segment has an `EXT-X-POTLUCK-HASH`.
    pub(crate) const fn is_hashed(&self, segment: &Segment) -> bool {
        segment.hashed
    }

    /// Attributes of a segment's `EXT-X-POTLUCK-HASH` (docs/hash-lists.md), as written; empty without the tag.
    #[must_use]
    pub fn hash_text<'a>(&'a self, segment: &Segment) -> &'a str {
        if segment.hashed { self.tag_of(segment, HASH_TAG).unwrap_or_default() } else { "" }
    }

    /// The title behind `EXTINF`'s comma, as written; mostly empty. `None` without a comma.
    #[must_use]
    pub fn title<'a>(&'a self, segment: &Segment) -> Option<&'a str> {
        let tag = if segment.timed { self.tag_of(segment, DURATION_TAG) } else { None };
        tag?.split_once(',').map(|(_, title)| title)
    }

    /// Whether the segment has an `EXTINF` tag with a duration.
    #[must_use]
    pub const fn is_timed(&self, segment: &Segment) -> bool {
        segment.timed
    }

    fn tag_of(&self, segment: &Segment, name: &str) -> Option<&str> {
        tag_above(&self.text, segment.uri, name)
    }

    /// Whether the playlist has an `EXT-X-TARGETDURATION` tag.
    #[must_use]
    pub const fn states_target_duration(&self) -> bool {
        self.has_target_duration
    }

    /// The bytes of the resource that the segment is; all if `None` (RFC 8216 §4.3.2.2).
    #[must_use]
    pub fn byte_range(&self, segment: &Segment) -> Option<Range<u64>> {
        (segment.range_start != u64::MAX).then_some(segment.range_start..segment.range_end)
    }

    /// What the segment needs in front of it.
    #[must_use]
    pub fn init_of(&self, segment: &Segment) -> Option<&InitSection> {
        self.init_number(self.applied(segment.applied).init)
    }

    /// The keys that the segment is encrypted with, one per key format; empty when it is clear.
    #[must_use]
    pub fn keys_of(&self, segment: &Segment) -> &[Key] {
        self.key_set(self.applied(segment.applied).keys)
    }

    /// The keys of all segments, listed and past.
    #[must_use]
    pub fn key_sets(&self) -> &[Vec<Key>] {
        &self.key_sets
    }

    /// What the segment that is still being made needs in front of it.
    #[must_use]
    pub fn open_init(&self) -> Option<&InitSection> {
        self.init_number(self.applied(self.open_segment?.applied).init)
    }

    /// The keys that the segment that is still being made is encrypted with.
    #[must_use]
    pub fn open_keys(&self) -> &[Key] {
        let applied = self.open_segment.map_or(0, |open| open.applied);
        self.key_set(self.applied(applied).keys)
    }

    /// Each init section in the playlist's order.
    #[must_use]
    pub fn init_sections(&self) -> &[InitSection] {
        &self.inits
    }

    /// The segment's date in milliseconds since the epoch, from its own `EXT-X-PROGRAM-DATE-TIME`, or from the
    /// nearest one before it, or else after it (RFC 8216 §4.3.2.6, §6.3.3).
    #[must_use]
    pub fn program_date_time(&self, segment: &Segment) -> Option<f64> {
        let after = self.dates.partition_point(|anchor| anchor.sequence <= segment.sequence);
        let anchor = self.dates.get(after.saturating_sub(1))?;
        Some(anchor.date + (segment.start - self.start_of(anchor)?) * 1000.0)
    }

    /// The segment's own `EXT-X-PROGRAM-DATE-TIME` as written.
    #[must_use]
    pub fn date_text(&self, segment: &Segment) -> Option<&str> {
        self.dates.binary_search_by_key(&segment.sequence, |anchor| anchor.sequence).ok()?;
        self.tag_of(segment, DATE_TAG)
    }

    /// Where a date is on the media timeline in seconds, by the nearest stated one before it, or else after it.
    #[must_use]
    pub fn time_of(&self, date: f64) -> Option<f64> {
        let before = self.dates.iter().rfind(|anchor| anchor.date <= date);
        let anchor = before.or_else(|| self.dates.first())?;
        Some(self.start_of(anchor)? + (date - anchor.date) / 1000.0)
    }

    fn start_of(&self, anchor: &DateAnchor) -> Option<f64> {
        let known = self.position_of(anchor.sequence).map(|segment| segment.start);
        let open = || self.open_segment.filter(|open| open.sequence == anchor.sequence);
        known.or_else(|| open().map(|open| open.start))
    }

    /// Where the last segment ends on the media timeline, in seconds; 0 without segments.
    #[must_use]
    pub fn end(&self) -> f64 {
        self.segments.last().map_or(0.0, Segment::end)
    }

    /// The media sequence number after the last segment.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.segments.last().map_or_else(
            || self.media_sequence.saturating_add(self.skipped_segments),
            |last| last.sequence.saturating_add(1),
        )
    }

    /// The segment with this media sequence number.
    #[must_use]
    pub fn position_of(&self, sequence: u64) -> Option<&Segment> {
        let index = self.index_of(sequence)?;
        self.segments.get(index)
    }

    /// The segment that is played at a time on the media timeline. Between two segments: the later one.
    #[must_use]
    pub fn segment_at(&self, time: f64) -> Option<&Segment> {
        let first = self.segments.first()?;
        if time.is_nan() || time < first.start {
            return None;
        }
        let index = self.segments.partition_point(|segment| segment.end() <= time);
        self.segments.get(index)
    }

    /// Whether segments may still be added.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        !self.end_list
    }

    pub(super) fn index_of(&self, sequence: u64) -> Option<usize> {
        // Sequence numbers are consecutive, unless a refresh left a hole.
        let first = self.segments.first()?.sequence;
        let guess = usize::try_from(sequence.checked_sub(first)?).ok()?;
        if self.segments.get(guess).is_some_and(|segment| segment.sequence == sequence) {
            return Some(guess);
        }
        self.segments.binary_search_by_key(&sequence, |segment| segment.sequence).ok()
    }

    /// What is applied by its index.
    pub(super) fn applied(&self, index: u32) -> Applied {
        self.applied.get(index as usize).copied().unwrap_or_default()
    }

    /// The index of what is applied from here on.
    pub(super) fn apply(&mut self, applied: Applied) -> u32 {
        if applied == Applied::default() {
            return 0;
        }
        if self.applied.is_empty() {
            self.applied.push(Applied::default());
        }
        if self.applied.last() != Some(&applied) {
            self.applied.push(applied);
        }
        (self.applied.len() - 1) as u32
    }

    /// What tells the segment from others in `out`, as it is kept of segments whose text is left: their tags that are
    /// asked for, and their URI. The place of the URI.
    #[inline(never)]
    pub(super) fn copy_lines(text: &str, at: u32, uri: &str, out: &mut String) -> u32 {
        for name in [DURATION_TAG, HASH_TAG, DATE_TAG] {
            if let Some(value) = tag_above(text, at, name) {
                out.push_str(name);
                push_line(out, value);
            }
        }
        push_line(out, uri)
    }

    pub(super) fn init_number(&self, number: u32) -> Option<&InitSection> {
        self.inits.get((number as usize).checked_sub(1)?)
    }

    pub(super) fn key_set(&self, number: u32) -> &[Key] {
        (number as usize)
            .checked_sub(1)
            .and_then(|index| self.key_sets.get(index))
            .map_or(&[], Vec::as_slice)
    }

    /// Keeps a URI that is not in the loaded text.
    pub(super) fn intern(&mut self, uri: &str) -> u32 {
        push_line(&mut self.text, uri)
    }

    /// Gives back the memory that the long lists have to spare.
    pub(super) fn shrink(&mut self) {
        self.segments.shrink_to_fit();
        self.dates.shrink_to_fit();
    }
}

/// Tags that are looked up above a segment's URI.
const DURATION_TAG: &str = "#EXTINF:";
const HASH_TAG: &str = "#EXT-X-POTLUCK-HASH:";
const DATE_TAG: &str = "#EXT-X-PROGRAM-DATE-TIME:";

/// Up to the end of the line.
pub(super) fn first_line(text: &str) -> &str {
    &text[..find_terminator(text.as_bytes())]
}

/// Appends a line, whatever line ends are inside of it; where it begins.
fn push_line(out: &mut String, line: &str) -> u32 {
    let start = out.len() as u32;
    for character in line.chars().filter(|character| !matches!(character, '\n' | '\r')) {
        out.push(character);
    }
    out.push('\n');
    start
}

/// The value of the last tag with this name between a URI and the one before it.
#[inline(never)]
fn tag_above<'a>(text: &'a str, uri: u32, name: &str) -> Option<&'a str> {
    let mut above = text.get(..uri as usize)?;
    loop {
        // The white space in front of the URI itself is the first line.
        let end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let start = above.as_bytes().iter().rposition(end).map_or(0, |end| end + 1);
        let line = above[start..].trim_ascii_start();
        if line.len() > name.len() && line.starts_with(name) {
            return Some(&line[name.len()..]);
        }
        if start == 0 || !(line.is_empty() || line.starts_with('#')) {
            return None;
        }
        above = &above[..start - 1];
    }
}
