//! Reads the text of a media playlist, line by line, in one pass.

use crate::ordered::OrderedMap;
use std::borrow::Cow;

use super::attributes::Attributes;
use super::carry::Carrier;
use super::date::parse_date;
use super::date_range::DateRange;
use super::lines::{Line, Lines};
use super::media::{
    Applied, DateAnchor, InitSection, Key, KeyMethod, MediaPlaylist, OpenSegment, Part,
    PlaylistKind, PreloadHint, PreloadKind, RenditionReport, Segment, ServerControl, first_line,
};
use super::number;
use super::resume::Marks;
use super::url::resolve;
use super::variables::Variables;
use super::{Start, Warning};

/// More would only cost memory.
const MAX_WARNINGS: usize = 64;
/// Seconds. Longer durations are mistakes; the bound keeps sums exact.
const MAX_DURATION: f64 = 1e9;
/// A delta update can't skip more: nobody keeps so many segments.
const MAX_SKIPPED: u64 = 1 << 32;

#[cfg(test)]
thread_local! {
    /// How many lines have been read: what a refresh costs, without a clock.
    pub(super) static LINES_READ: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Reads a whole media playlist.
pub(super) fn read(text: &str, url: &str, imports: &OrderedMap<String, String>) -> MediaPlaylist {
    let mut reader = Reader::new(text, url, imports);
    for line in Lines::new(text) {
        reader.read_line(line);
    }
    reader.finish()
}

pub(super) fn push_warning(warnings: &mut Vec<Warning>, line: u32, message: &'static str) {
    // In a page nobody is shown the words: there they would only be a download.
    let message = if cfg!(target_arch = "wasm32") { "" } else { message };
    if warnings.len() < MAX_WARNINGS {
        warnings.push(Warning { line, message });
    }
}

/// `EXT-X-START`.
pub(super) fn read_start(value: &str, variables: &mut Variables) -> Option<Start> {
    let attributes = Attributes::read(value, variables);
    Some(Start {
        time_offset: attributes.float("TIME-OFFSET")?,
        precise: attributes.yes("PRECISE"),
    })
}

/// `EXT-X-KEY` and `EXT-X-SESSION-KEY`; `None` for the method `NONE`.
#[inline(never)]
pub(super) fn read_key(
    attributes: &Attributes<'_>,
    base: &str,
) -> Result<Option<Key>, &'static str> {
    let method = attributes.filled("METHOD").ok_or("a key without METHOD")?;
    if method == "NONE" {
        return Ok(None);
    }
    let mut format_versions: Vec<u32> = attributes
        .filled("KEYFORMATVERSIONS")
        .unwrap_or("1")
        .split('/')
        .filter_map(|version| u32::try_from(number::integer(version)?).ok())
        .collect();
    format_versions.shrink_to_fit();
    let mut uri = attributes.filled("URI").map(|uri| resolve(base, uri)).unwrap_or_default();
    uri.shrink_to_fit();
    Ok(Some(Key {
        method: KeyMethod::from_name(method),
        uri,
        iv: attributes.text("IV").and_then(number::hexadecimal),
        iv_text: attributes.string("IV").filter(|text| text.len() != 34),
        format: attributes.filled("KEYFORMAT").unwrap_or("identity").to_owned(),
        format_versions,
        key_id: attributes.string("KEYID"),
    }))
}

/// What the tags since the last URI say about the next segment.
#[derive(Debug, Clone, Default)]
struct Pending {
    /// A tag of the next segment was read.
    begun: bool,
    duration: Option<f64>,
    timed: bool,
    hashed: bool,
    /// Length and maybe offset.
    byte_range: Option<(u64, Option<u64>)>,
    discontinuity: bool,
    gap: bool,
    date: Option<f64>,
    /// Parts so far: count, seconds, end of the last byte range.
    parts: u32,
    parts_duration: f64,
    part_end: u64,
}

pub(super) struct Reader<'a> {
    pub(super) playlist: MediaPlaylist,
    text: &'a str,
    imports: &'a OrderedMap<String, String>,
    variables: Variables,
    pending: Pending,
    /// Number of the segment that comes next.
    sequence: u64,
    /// Where it begins.
    time: f64,
    discontinuity_sequence: u64,
    /// End of the last segment's byte range.
    range_end: u64,
    applied: Applied,
    bitrate_kbps: u32,
    date_range_index: OrderedMap<String, usize>,
    line: u32,
    /// Where the line begins.
    offset: usize,
    /// Strings made by variables; appended to the text at the end.
    made: String,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, url: &str, imports: &'a OrderedMap<String, String>) -> Self {
        Self {
            playlist: MediaPlaylist {
                url: url.to_owned(),
                // About one segment in 64 bytes; one reallocation corrects a bad guess.
                segments: Vec::with_capacity((text.len() / 64).min(1 << 16)),
                marks: Marks { replay: Vec::new(), barrier: u32::MAX },
                ..MediaPlaylist::default()
            },
            text,
            imports,
            variables: Variables::default(),
            pending: Pending::default(),
            sequence: 0,
            time: 0.0,
            discontinuity_sequence: 0,
            range_end: 0,
            applied: Applied::default(),
            bitrate_kbps: 0,
            date_range_index: OrderedMap::new(),
            line: 0,
            offset: 0,
            made: String::new(),
        }
    }

    pub(super) fn read_line(&mut self, line: Line<'a>) {
        #[cfg(test)]
        LINES_READ.with(|count| count.set(count.get() + 1));
        self.line = line.number;
        self.offset = line.offset;
        // Bytes, not characters: most of the time of reading a playlist is spent here.
        let text = line.text.trim_ascii_start();
        match text.as_bytes() {
            [b'#', b'E', b'X', b'T', ..] => self.read_tag(&text[4..]),
            [b'#', ..] | [] => {}
            // White space behind it belongs to the URI as written; resolving it drops it.
            _ => self.read_uri(text),
        }
        if self.variables.missing {
            self.variables.missing = false;
            self.warn("a variable is used that no EXT-X-DEFINE before it defines");
        }
    }

    /// Everything behind `#EXT`. The tags of each segment come first.
    fn read_tag(&mut self, tag: &'a str) {
        let name = match tag.as_bytes() {
            [b'I', b'N', b'F', b':', ..] => return self.read_duration(&tag[4..]),
            [b'-', b'X', b'-', ..] => &tag[3..],
            _ => return,
        };
        let (name, value) = match position(name, b':') {
            Some(colon) => (&name[..colon], &name[colon + 1..]),
            None => (name, ""),
        };
        match name.trim_ascii_end() {
            "PROGRAM-DATE-TIME" => self.read_date(value),
            "BYTERANGE" => {
                self.pending.begun = true;
                self.pending.byte_range = number::byte_range(value);
                if self.pending.byte_range.is_none() {
                    self.warn("EXT-X-BYTERANGE without a length");
                }
            }
            "DISCONTINUITY" => {
                self.pending.begun = true;
                self.pending.discontinuity = true;
                self.discontinuity_sequence = self.discontinuity_sequence.saturating_add(1);
            }
            "GAP" => {
                self.pending.begun = true;
                self.pending.gap = true;
            }
            "KEY" => self.read_key(value),
            "MAP" => self.read_map(value),
            "BITRATE" => match number::integer(value) {
                Some(bitrate) => self.bitrate_kbps = u32::try_from(bitrate).unwrap_or(u32::MAX),
                None => self.warn("EXT-X-BITRATE without a number"),
            },
            "PART" => self.read_part(value),
            "POTLUCK-HASH" => {
                self.pending.begun = true;
                self.pending.hashed = true;
            }
            "DATERANGE" => {
                if !self.playlist.segments.is_empty() {
                    self.playlist.marks.replay.push(self.offset as u32);
                }
                self.read_date_range(value);
            }
            name => self.read_playlist_tag(name, value),
        }
    }

    /// Tags that say something about the whole playlist.
    fn read_playlist_tag(&mut self, name: &str, value: &'a str) {
        match name {
            "INDEPENDENT-SEGMENTS" => self.playlist.independent_segments = true,
            "TARGETDURATION" => self.read_target_duration(value),
            "MEDIA-SEQUENCE" => match number::integer(value) {
                Some(_) if !self.playlist.segments.is_empty() => {
                    self.warn("EXT-X-MEDIA-SEQUENCE behind the first segment");
                }
                Some(sequence) => {
                    self.playlist.media_sequence = sequence;
                    self.sequence = sequence.saturating_add(self.playlist.skipped_segments);
                }
                None => self.warn("EXT-X-MEDIA-SEQUENCE without a number"),
            },
            "DISCONTINUITY-SEQUENCE" => match number::integer(value) {
                Some(sequence) => self.set_discontinuity_sequence(sequence),
                None => self.warn("EXT-X-DISCONTINUITY-SEQUENCE without a number"),
            },
            "VERSION" => {
                self.playlist.version =
                    number::integer(value).and_then(|version| u32::try_from(version).ok());
            }
            "ENDLIST" => self.playlist.end_list = true,
            "PLAYLIST-TYPE" => {
                let value = value.trim();
                if value.eq_ignore_ascii_case("VOD") {
                    self.playlist.kind = Some(PlaylistKind::Vod);
                } else if value.eq_ignore_ascii_case("EVENT") {
                    self.playlist.kind = Some(PlaylistKind::Event);
                } else {
                    self.warn("EXT-X-PLAYLIST-TYPE is neither VOD nor EVENT");
                }
            }
            "I-FRAMES-ONLY" => self.playlist.i_frames_only = true,
            "START" => match read_start(value, &mut self.variables) {
                Some(start) => self.playlist.start = Some(start),
                None => self.warn("EXT-X-START without TIME-OFFSET"),
            },
            "DEFINE" => {
                let attributes = Attributes::read(value, &mut self.variables);
                let defined = self.variables.define(&attributes, &self.playlist.url, self.imports);
                if let Err(message) = defined {
                    self.warn(message);
                }
            }
            "SERVER-CONTROL" => {
                let attributes = Attributes::read(value, &mut self.variables);
                let seconds = |name| attributes.float(name).filter(|seconds| *seconds > 0.0);
                let can_skip_until = seconds("CAN-SKIP-UNTIL");
                self.playlist.server_control = Some(ServerControl {
                    can_block_reload: attributes.yes("CAN-BLOCK-RELOAD"),
                    can_skip_until,
                    can_skip_date_ranges: can_skip_until.is_some()
                        && attributes.yes("CAN-SKIP-DATERANGES"),
                    hold_back: seconds("HOLD-BACK"),
                    part_hold_back: seconds("PART-HOLD-BACK"),
                });
            }
            "PART-INF" => {
                let attributes = Attributes::read(value, &mut self.variables);
                self.playlist.part_target =
                    attributes.float("PART-TARGET").filter(|target| *target > 0.0);
            }
            "PRELOAD-HINT" => self.read_preload_hint(value),
            "RENDITION-REPORT" => self.read_rendition_report(value),
            "SKIP" => self.read_skip(value),
            "POTLUCK-HASHES" => {
                let attributes = Attributes::read(value, &mut self.variables);
                self.playlist.hashes_url =
                    attributes.filled("URI").map(|uri| resolve(&self.playlist.url, uri));
            }
            _ => return,
        }
        self.set_barrier();
    }

    /// From this line on, a reload is read again and not resumed.
    fn set_barrier(&mut self) {
        if !self.playlist.segments.is_empty() {
            let barrier = &mut self.playlist.marks.barrier;
            *barrier = (*barrier).min(self.offset as u32);
        }
    }

    fn warn(&mut self, message: &'static str) {
        self.set_barrier();
        push_warning(&mut self.playlist.warnings, self.line, message);
    }

    /// A tag that comes too late holds for the segments before it all the same: it is the playlist's number.
    fn set_discontinuity_sequence(&mut self, sequence: u64) {
        let Some(first) = self.playlist.segments.first() else {
            self.playlist.discontinuity_sequence = sequence;
            self.discontinuity_sequence = sequence;
            return;
        };
        let first = first.discontinuity_sequence;
        for segment in &mut self.playlist.segments {
            segment.discontinuity_sequence =
                segment.discontinuity_sequence.saturating_sub(first).saturating_add(sequence);
        }
        self.discontinuity_sequence =
            self.discontinuity_sequence.saturating_sub(first).saturating_add(sequence);
        self.playlist.discontinuity_sequence = sequence;
        self.warn("EXT-X-DISCONTINUITY-SEQUENCE behind the first segment");
    }

    /// Where a slice of the text is in it.
    fn place_of(&self, slice: &str) -> u32 {
        // Both are in the same allocation; the subtraction is the slice's offset.
        (slice.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize) as u32
    }

    /// The URI at this place, as written.
    pub(super) fn uri_at(&self, place: u32) -> &'a str {
        self.text.get(place as usize..).map_or("", first_line)
    }

    /// Goes on behind segments of an older playlist that this text has too. `first` is the only segment so far and
    /// `known` the same one in `old`; `moved` moves an offset of the old text to this one.
    pub(super) fn take_over(
        &mut self,
        old: &MediaPlaylist,
        first: &Segment,
        known: &Segment,
        segments: &[Segment],
        moved: &impl Fn(u32) -> u32,
    ) {
        let time = first.start - known.start;
        let (from, to) = (old.applied(known.applied), self.playlist.applied(first.applied));
        let mut carrier = Carrier::new(old, &self.playlist);
        carrier.inits.insert(from.init, to.init);
        carrier.keys.insert(from.keys, to.keys);
        self.playlist.segments.reserve(segments.len());
        for segment in segments {
            let applied = carrier.carry(segment.applied, &mut self.playlist);
            self.playlist.segments.push(Segment {
                start: segment.start + time,
                discontinuity_sequence: segment
                    .discontinuity_sequence
                    .saturating_sub(known.discontinuity_sequence)
                    .saturating_add(first.discontinuity_sequence),
                uri: moved(segment.uri),
                applied,
                ..*segment
            });
        }
        if let Some(last) = self.playlist.segments.last() {
            self.applied = self.playlist.applied(last.applied);
            self.bitrate_kbps = last.bitrate_kbps;
            self.range_end = last.range_end;
            self.discontinuity_sequence = last.discontinuity_sequence;
            self.sequence = last.sequence.saturating_add(1);
            self.time = last.end();
        }
    }

    fn read_duration(&mut self, value: &str) {
        self.pending.begun = true;
        let value = value.trim_ascii_start();
        if let Some((duration, _)) = number::decimal(value) {
            self.pending.duration = Some(duration.min(MAX_DURATION));
            self.pending.timed = true;
        } else {
            self.warn("EXTINF without a duration");
        }
    }

    fn read_date(&mut self, value: &str) {
        self.pending.begun = true;
        match parse_date(value) {
            date @ Some(_) => self.pending.date = date,
            None => self.warn("EXT-X-PROGRAM-DATE-TIME is no date"),
        }
    }

    fn read_target_duration(&mut self, value: &str) {
        if self.playlist.has_target_duration {
            self.warn("EXT-X-TARGETDURATION appears again");
            return;
        }
        match number::integer(value) {
            Some(seconds) => {
                self.playlist.target_duration = (seconds as f64).clamp(1.0, MAX_DURATION);
                self.playlist.has_target_duration = true;
            }
            None => self.warn("EXT-X-TARGETDURATION without a number"),
        }
    }

    fn read_uri(&mut self, uri: &'a str) {
        let pending = std::mem::take(&mut self.pending);
        let duration = match pending.duration {
            Some(duration) => duration,
            None if pending.parts > 0 => pending.parts_duration,
            None => {
                self.warn("a segment without EXTINF");
                0.0
            }
        };
        let (range_start, range_end) = match pending.byte_range {
            Some((length, offset)) => {
                let start = offset.unwrap_or(self.range_end).min(u64::MAX - 1);
                (start, start.saturating_add(length))
            }
            None => (u64::MAX, 0),
        };
        self.range_end = range_end;
        let place = self.place_of(uri);
        let uri = match self.variables.substitute(uri) {
            Cow::Borrowed(_) => place,
            Cow::Owned(uri) => {
                let made = MediaPlaylist::copy_lines(self.text, place, &uri, &mut self.made);
                self.text.len() as u32 + 1 + made
            }
        };
        if let Some(date) = pending.date {
            self.playlist.dates.push(DateAnchor { sequence: self.sequence, date });
        }
        let applied = self.playlist.apply(self.applied);
        self.playlist.segments.push(Segment {
            sequence: self.sequence,
            start: self.time,
            duration,
            discontinuity_sequence: self.discontinuity_sequence,
            bitrate_kbps: self.bitrate_kbps,
            discontinuity: pending.discontinuity,
            gap: pending.gap,
            timed: pending.timed,
            hashed: pending.hashed,
            range_start,
            range_end,
            uri,
            applied,
        });
        self.time += duration;
        self.sequence = self.sequence.saturating_add(1);
    }

    fn read_key(&mut self, value: &str) {
        let attributes = Attributes::read(value, &mut self.variables);
        let key = match read_key(&attributes, &self.playlist.url) {
            Ok(key) => key,
            Err(message) => {
                self.warn(message);
                return;
            }
        };
        let current = self.playlist.key_set(self.applied.keys);
        let set = match key {
            None => Vec::new(),
            // A key holds until the next one of the same format (RFC 8216 §4.3.2.4).
            Some(key) => {
                if current.contains(&key) {
                    return;
                }
                let mut set = Vec::new();
                for other in current {
                    if other.format != key.format {
                        set.push(other.clone());
                    }
                }
                set.push(key);
                set.shrink_to_fit();
                set
            }
        };
        if self.applied.keys == 0 || self.playlist.key_set(self.applied.keys) != set {
            self.playlist.key_sets.push(set);
            self.applied.keys = self.playlist.key_sets.len() as u32;
        }
    }

    fn read_map(&mut self, value: &str) {
        let attributes = Attributes::read(value, &mut self.variables);
        let Some(uri) = attributes.filled("URI") else {
            self.warn("EXT-X-MAP without URI");
            return;
        };
        let byte_range = attributes.byte_range("BYTERANGE").map(|(length, offset)| {
            let start = offset.unwrap_or(0);
            start..start.saturating_add(length)
        });
        let init = InitSection {
            url: resolve(&self.playlist.url, uri),
            byte_range,
            keys: self.playlist.key_set(self.applied.keys).to_vec(),
        };
        if self.playlist.init_number(self.applied.init) != Some(&init) {
            self.playlist.inits.push(init);
            self.applied.init = self.playlist.inits.len() as u32;
        }
    }

    fn read_part(&mut self, value: &str) {
        let attributes = Attributes::read(value, &mut self.variables);
        let uri = attributes.filled("URI");
        let duration = attributes.float("DURATION");
        if uri.is_none() || duration.is_none() {
            self.warn("EXT-X-PART without URI or DURATION");
        }
        self.set_barrier();
        let pending = &mut self.pending;
        pending.begun = true;
        let byte_range = attributes.byte_range("BYTERANGE").map(|(length, offset)| {
            let start = offset.unwrap_or(pending.part_end);
            start..start.saturating_add(length)
        });
        pending.part_end = byte_range.as_ref().map_or(0, |range| range.end);
        let part = Part {
            segment_sequence: self.sequence,
            index: pending.parts,
            url: uri.map(|uri| resolve(&self.playlist.url, uri)).unwrap_or_default(),
            duration: duration.unwrap_or(0.0).clamp(0.0, MAX_DURATION),
            timed: duration.is_some(),
            offset: pending.parts_duration,
            independent: attributes.yes("INDEPENDENT"),
            gap: attributes.yes("GAP") || uri.is_none(),
            byte_range,
        };
        pending.parts = pending.parts.saturating_add(1);
        pending.parts_duration += part.duration;
        self.playlist.parts.push(part);
    }

    fn read_date_range(&mut self, value: &str) {
        let attributes = Attributes::read(value, &mut self.variables);
        let Some(range) = DateRange::read(&attributes) else {
            self.warn("EXT-X-DATERANGE without ID");
            return;
        };
        let ranges = &mut self.playlist.date_ranges;
        let known = self.date_range_index.get(&range.id).and_then(|index| ranges.get_mut(*index));
        let valid = if let Some(known) = known {
            let mut merged = known.clone();
            merged.merge(&range);
            let valid = merged.valid;
            if valid {
                *known = merged;
            }
            valid
        } else {
            let valid = range.valid;
            if valid || self.playlist.skipped_segments > 0 {
                self.date_range_index.insert(range.id.clone(), ranges.len());
                ranges.push(range);
            }
            valid
        };
        if !valid {
            self.warn("EXT-X-DATERANGE does not conform");
        }
    }

    fn read_preload_hint(&mut self, value: &str) {
        let attributes = Attributes::read(value, &mut self.variables);
        let uri = attributes.filled("URI");
        let kind = match attributes.text("TYPE") {
            Some("PART") if uri.is_some() => PreloadKind::Part,
            Some("MAP") if uri.is_some() => PreloadKind::Map,
            _ => {
                self.warn("EXT-X-PRELOAD-HINT without a TYPE that is known or without URI");
                PreloadKind::Unknown
            }
        };
        self.playlist.preload_hints.push(PreloadHint {
            kind,
            url: uri.map(|uri| resolve(&self.playlist.url, uri)).unwrap_or_default(),
            byte_range_start: attributes.integer("BYTERANGE-START").unwrap_or(0),
            byte_range_length: attributes.integer("BYTERANGE-LENGTH"),
            attributes: attributes.to_list(),
        });
    }

    fn read_rendition_report(&mut self, value: &str) {
        let attributes = Attributes::read(value, &mut self.variables);
        self.playlist.rendition_reports.push(RenditionReport {
            url: resolve(&self.playlist.url, attributes.text("URI").unwrap_or_default()),
            last_sequence: attributes.integer("LAST-MSN"),
            last_part: attributes.integer("LAST-PART"),
            attributes: attributes.to_list(),
        });
    }

    fn read_skip(&mut self, value: &str) {
        let attributes = Attributes::read(value, &mut self.variables);
        if let Some(removed) = attributes.filled("RECENTLY-REMOVED-DATERANGES") {
            self.playlist.removed_date_ranges.extend(removed.split('\t').map(str::to_owned));
        }
        let Some(skipped) = attributes.integer("SKIPPED-SEGMENTS") else {
            self.warn("EXT-X-SKIP without SKIPPED-SEGMENTS");
            return;
        };
        if self.playlist.skipped_segments > 0 {
            self.warn("EXT-X-SKIP appears again");
        }
        // The numbers of the skipped segments are left out; refreshing fills the hole.
        let skipped = skipped.min(MAX_SKIPPED);
        self.playlist.skipped_segments = self.playlist.skipped_segments.saturating_add(skipped);
        self.sequence = self.sequence.saturating_add(skipped);
    }

    pub(super) fn finish(mut self) -> MediaPlaylist {
        let pending = &self.pending;
        if pending.begun {
            self.playlist.open_segment = Some(OpenSegment {
                sequence: self.sequence,
                start: self.time,
                duration: pending.duration.unwrap_or(0.0).max(pending.parts_duration),
                discontinuity_sequence: self.discontinuity_sequence,
                applied: self.playlist.apply(self.applied),
            });
            if let Some(date) = pending.date {
                self.playlist.dates.push(DateAnchor { sequence: self.sequence, date });
            }
        }
        let mut playlist = self.playlist;
        if !playlist.has_target_duration {
            push_warning(&mut playlist.warnings, self.line, "no EXT-X-TARGETDURATION");
            let longest =
                playlist.segments.iter().map(|segment| segment.duration).fold(1.0, f64::max);
            playlist.target_duration = longest.ceil();
        }
        playlist.variables = self.variables.map;
        playlist.loaded = self.text.len();
        // The line end keeps what comes behind it from the last line.
        playlist.text = [self.text, "\n", &self.made].concat();
        if playlist.i_frames_only {
            find_init_sections(&mut playlist);
        }
        playlist.shrink();
        playlist
    }
}

/// Where an ASCII byte is first.
fn position(text: &str, byte: u8) -> Option<usize> {
    text.as_bytes().iter().position(|other| *other == byte)
}

/// In an I-frame playlist without `EXT-X-MAP`, the init section is what a resource has before its first I-frame
/// (RFC 8216 §4.3.3.6).
fn find_init_sections(playlist: &mut MediaPlaylist) {
    let mut known: OrderedMap<String, u32> = OrderedMap::new();
    for index in 0..playlist.segments.len() {
        let segment = playlist.segments[index];
        let Some(range) = playlist.byte_range(&segment) else {
            continue;
        };
        let applied = playlist.applied(segment.applied);
        if applied.init > 0 {
            continue;
        }
        let uri = playlist.segment_uri(&segment);
        let init = if let Some(init) = known.get(uri) {
            *init
        } else {
            let uri = uri.to_owned();
            let init = if range.start == 0 {
                0
            } else {
                playlist.inits.push(InitSection {
                    url: resolve(&playlist.url, &uri),
                    byte_range: Some(0..range.start),
                    keys: playlist.keys_of(&segment).to_vec(),
                });
                playlist.inits.len() as u32
            };
            known.insert(uri, init);
            init
        };
        playlist.segments[index].applied = playlist.apply(Applied { init, ..applied });
    }
}
