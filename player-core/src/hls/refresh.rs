//! The live refresh: a newly loaded playlist takes the place of the old one and keeps its timeline
//! (RFC 8216 §6.3.4, §6.2.2; delta updates: bis §6.2.5.1).

use std::collections::BTreeMap;

use super::media::{DateAnchor, MediaPlaylist, Segment};
use super::resume::{Marks, resume};
use super::{ParseError, parse_media};

/// What a refresh changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refresh {
    /// Segments that are new at the end.
    pub added: usize,
    /// Segments that are gone at the beginning.
    pub removed: usize,
    /// Whether anything changed: segments, parts, hints, date ranges, the end.
    pub changed: bool,
    /// The stream began anew: nothing of the old playlist is in the new one, and the timeline starts at 0 again.
    pub reset: bool,
}

impl MediaPlaylist {
    /// Reads a reloaded text and refreshes with it. On an error `self` stays as it is.
    ///
    /// # Errors
    /// When the text is no playlist.
    pub fn refresh_text(
        &mut self,
        text: &str,
        url: &str,
        imports: &BTreeMap<String, String>,
    ) -> Result<Refresh, ParseError> {
        if text.len() == self.loaded
            && self.text.as_bytes().starts_with(text.as_bytes())
            && self.url == url
        {
            return Ok(Refresh::default());
        }
        let newer = match resume(self, text, url, imports) {
            Some(newer) => newer,
            None => parse_media(text, url, imports)?,
        };
        Ok(self.refresh(newer))
    }

    /// `self` becomes `newer`, whose segments are placed on the timeline of `self`: aligned by media sequence; without
    /// overlap by date; else behind the end, a target duration for each segment between. A delta update's skipped
    /// segments are taken from `self`; when they are not there, [`skipped_segments`](Self::skipped_segments) stays
    /// above 0. A media sequence that goes back without the same content is a reset; with the same content it is a
    /// server that lags behind, and `self` stays as it is.
    pub fn refresh(&mut self, mut newer: Self) -> Refresh {
        if self.segments.is_empty() {
            let changed = *self != newer;
            let added = newer.segments.len();
            *self = newer;
            return Refresh { added, changed, ..Refresh::default() };
        }
        match self.relation(&newer) {
            Relation::Stale => return Refresh::default(),
            Relation::Restarted => {
                let refresh = Refresh {
                    added: newer.segments.len(),
                    removed: self.segments.len(),
                    changed: true,
                    reset: true,
                };
                *self = newer;
                return refresh;
            }
            Relation::Continues => {}
        }
        self.carry_date_ranges(&mut newer);
        self.align_discontinuities(&mut newer);
        self.align_time(&mut newer);
        self.carry_dates(&mut newer);
        if newer.skipped_segments > 0 {
            self.fill_skipped(&mut newer);
        }
        let count = |from: &Self, other: &Self, ahead: bool| {
            let edge = if ahead { other.next_sequence() } else { other.first_sequence() };
            let split = from.segments.partition_point(|segment| segment.sequence < edge);
            if ahead { from.segments.len() - split } else { split }
        };
        let added = count(&newer, self, true);
        let removed = count(self, &newer, false);
        let changed = added > 0 || removed > 0 || self.differs(&newer);
        *self = newer;
        Refresh { added, removed, changed, reset: false }
    }

    fn first_sequence(&self) -> u64 {
        self.segments.first().map_or_else(|| self.next_sequence(), |first| first.sequence)
    }

    fn differs(&self, newer: &Self) -> bool {
        self.end_list != newer.end_list
            || self.parts != newer.parts
            || self.preload_hints != newer.preload_hints
            || self.rendition_reports != newer.rendition_reports
            || self.date_ranges != newer.date_ranges
            || self.target_duration != newer.target_duration
            || self
                .segments
                .iter()
                .zip(&newer.segments)
                .any(|(old, new)| old.gap != new.gap || old.duration != new.duration)
    }

    /// Whether two segments of the same number are the same resource. Query strings may differ: they carry tokens.
    fn same_content(&self, old: &Segment, newer: &Self, new: &Segment) -> bool {
        let path = |uri: &str| uri.split(['?', '#']).next().unwrap_or_default().to_owned();
        let (a, b) = (path(self.segment_uri(old)), path(newer.segment_uri(new)));
        // A server may also move to another host: the last path segment has to agree.
        let tail = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        (a == b || tail(&a) == tail(&b)) && self.byte_range(old) == newer.byte_range(new)
    }

    fn relation(&self, newer: &Self) -> Relation {
        let forward = newer.media_sequence >= self.media_sequence
            && newer.next_sequence() >= self.next_sequence();
        // The latest common segment is the best witness: the earliest may be the only one that both have.
        let common = newer
            .segments
            .iter()
            .rev()
            .find_map(|new| self.position_of(new.sequence).map(|old| (old, new)));
        let same = common.is_some_and(|(old, new)| self.same_content(old, newer, new));
        if !same && (common.is_some() || newer.next_sequence() <= self.media_sequence) {
            return Relation::Restarted;
        }
        if newer.next_sequence() < self.next_sequence() && !newer.end_list {
            return Relation::Stale;
        }
        Relation::Continues
    }

    /// Moves the segments of `newer` to where `self` has them.
    fn align_time(&self, newer: &mut Self) {
        let common = newer
            .segments
            .iter()
            .find_map(|new| self.position_of(new.sequence).map(|old| old.start - new.start));
        let shift = common.or_else(|| {
            let first = newer.segments.first()?;
            let last = self.segments.last()?;
            let gap = first.sequence.saturating_sub(last.sequence).saturating_sub(1);
            let stepped = last.end() + gap as f64 * newer.target_duration - first.start;
            let dated = newer
                .program_date_time(first)
                .zip(self.program_date_time(last))
                .map(|(new, old)| last.start + (new - old) / 1000.0 - first.start);
            // A date that puts the segment before the end that is known is a wrong clock.
            Some(
                dated
                    .filter(|dated| first.start + dated >= last.end() - 0.5 && gap > 0)
                    .unwrap_or(stepped),
            )
        });
        newer.shift(shift.unwrap_or(0.0));
    }

    fn shift(&mut self, seconds: f64) {
        if seconds == 0.0 {
            return;
        }
        for segment in &mut self.segments {
            segment.start += seconds;
        }
        for anchor in &mut self.dates {
            anchor.start += seconds;
        }
        if let Some(open) = &mut self.open_segment {
            open.start += seconds;
        }
    }

    /// Servers forget `EXT-X-DISCONTINUITY-SEQUENCE`, and a delta update leaves out the discontinuities that it skips.
    fn align_discontinuities(&self, newer: &mut Self) {
        let common = newer.segments.iter().find_map(|new| {
            self.position_of(new.sequence)
                .map(|old| (old.discontinuity_sequence, new.discontinuity_sequence))
        });
        let follows = || {
            let first = newer.segments.first()?;
            let before = self.position_of(first.sequence.checked_sub(1)?)?;
            let expected =
                before.discontinuity_sequence.saturating_add(u64::from(first.discontinuity));
            Some((expected, first.discontinuity_sequence))
        };
        let Some((old, new)) = common.or_else(follows) else {
            return;
        };
        if old == new {
            return;
        }
        let moved = |value: u64| value.saturating_sub(new).saturating_add(old);
        for segment in &mut newer.segments {
            segment.discontinuity_sequence = moved(segment.discontinuity_sequence);
        }
        if let Some(open) = &mut newer.open_segment {
            open.discontinuity_sequence = moved(open.discontinuity_sequence);
        }
    }

    /// A window that slid past its only date still has dates.
    fn carry_dates(&self, newer: &mut Self) {
        let Some(first) = newer.segments.first() else {
            return;
        };
        let dated = newer.dates.first().is_some_and(|anchor| anchor.sequence <= first.sequence);
        let known = self.position_of(first.sequence).and_then(|old| self.program_date_time(old));
        let trusted = self.dates.first().is_some_and(|anchor| anchor.sequence <= first.sequence);
        if let Some(date) = known
            && !dated
            && (trusted || newer.dates.is_empty())
        {
            newer.dates.insert(
                0,
                DateAnchor { sequence: first.sequence, start: first.start, date, text: (0, 0) },
            );
        }
    }

    /// Puts the segments that a delta update skips in front of it.
    fn fill_skipped(&self, newer: &mut Self) {
        // The numbers that are missing between the playlist's first and its last.
        let mut kept: Vec<&Segment> = Vec::new();
        let mut expected = newer.media_sequence;
        let next = newer.next_sequence();
        for sequence in newer.segments.iter().map(|segment| segment.sequence).chain([next]) {
            let from = self.segments.partition_point(|old| old.sequence < expected);
            let to = self.segments.partition_point(|old| old.sequence < sequence);
            kept.extend(self.segments.get(from..to).unwrap_or_default());
            expected = sequence.saturating_add(1);
        }
        let missing = newer.skipped_segments.saturating_sub(kept.len() as u64);
        if kept.is_empty() || missing > 0 {
            return;
        }
        let same_base = self.url == newer.url;
        let mut filled = Vec::with_capacity(kept.len() + newer.segments.len());
        // The old playlist's init sections and key sets that are still used, by their old numbers.
        let mut inits = BTreeMap::new();
        let mut key_sets = BTreeMap::new();
        for segment in kept {
            let uri = if same_base {
                newer.intern(self.segment_uri(segment))
            } else {
                newer.intern(&self.segment_url(segment))
            };
            // With its comma: that is what tells a title from none.
            newer.intern(if self.title(segment).is_some() { "," } else { " " });
            let title = newer.intern(self.title(segment).unwrap_or_default());
            let title = if self.is_timed(segment) { title } else { (0, 0) };
            let init = *inits.entry(segment.init).or_insert_with(|| {
                self.init_number(segment.init).map_or(0, |init| push_new(&mut newer.inits, init))
            });
            let keys = *key_sets.entry(segment.keys).or_insert_with(|| {
                let index = (segment.keys as usize).checked_sub(1);
                let set = index.and_then(|index| self.key_sets.get(index));
                set.map_or(0, |set| push_new(&mut newer.key_sets, set))
            });
            filled.push(Segment { uri, title, init, keys, ..*segment });
        }
        filled.append(&mut newer.segments);
        filled.sort_by_key(|segment| segment.sequence);
        newer.segments = filled;
        newer.inherit();
        let mut dates: Vec<DateAnchor> = Vec::new();
        for anchor in &self.dates {
            let filled = newer.position_of(anchor.sequence).is_some();
            if filled && !newer.dates.iter().any(|known| known.sequence == anchor.sequence) {
                let text = newer.intern(self.slice(anchor.text));
                dates.push(DateAnchor { text, ..*anchor });
            }
        }
        newer.dates.append(&mut dates);
        newer.dates.sort_by_key(|anchor| anchor.sequence);
        newer.skipped_segments = 0;
        // Its text lacks the skipped segments: the next reload is read whole.
        newer.marks = Marks::default();
        if let Some(open) = &mut newer.open_segment {
            open.start = newer.segments.last().map_or(open.start, Segment::end);
        }
    }

    /// What the tags of skipped segments said holds on, until a tag behind them says otherwise.
    fn inherit(&mut self) {
        let (mut init, mut keys, mut bitrate) = (0, 0, 0);
        for segment in &mut self.segments {
            for (value, last) in [
                (&mut segment.init, &mut init),
                (&mut segment.keys, &mut keys),
                (&mut segment.bitrate_kbps, &mut bitrate),
            ] {
                if *value == 0 {
                    *value = *last;
                }
                *last = *value;
            }
        }
        if let Some(open) = &mut self.open_segment {
            open.init = if open.init == 0 { init } else { open.init };
            open.keys = if open.keys == 0 { keys } else { open.keys };
        }
    }

    /// A delta update names only date ranges that changed.
    fn carry_date_ranges(&self, newer: &mut Self) {
        if newer.skipped_segments == 0 {
            return;
        }
        let mut ranges = self.date_ranges.clone();
        ranges.retain(|range| !newer.removed_date_ranges.contains(&range.id));
        let index: BTreeMap<String, usize> =
            ranges.iter().enumerate().map(|(index, range)| (range.id.clone(), index)).collect();
        for range in std::mem::take(&mut newer.date_ranges) {
            if let Some(known) = index.get(&range.id).and_then(|index| ranges.get_mut(*index)) {
                let mut merged = known.clone();
                merged.merge(&range);
                if merged.valid {
                    *known = merged;
                }
            } else if range.valid {
                ranges.push(range);
            }
        }
        newer.date_ranges = ranges;
    }
}

/// Appends unless it is there; its number from 1.
fn push_new<T: Clone + PartialEq>(list: &mut Vec<T>, item: &T) -> u32 {
    let index = list.iter().position(|other| other == item).unwrap_or_else(|| {
        list.push(item.clone());
        list.len() - 1
    });
    index as u32 + 1
}

/// How a newly loaded playlist stands to the one before.
enum Relation {
    Continues,
    /// Older than what is known.
    Stale,
    /// Another stream, or the encoder began again.
    Restarted,
}
