//! The live refresh: a newly loaded playlist takes the place of the old one and keeps its timeline
//! (RFC 8216 §6.3.4, §6.2.2; delta updates: bis §6.2.5.1).

use std::collections::BTreeMap;

use super::media::{DateAnchor, MediaPlaylist, Segment};
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
        let newer = parse_media(text, url, imports)?;
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
        if forward {
            return Relation::Continues;
        }
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
                before.discontinuity_sequence.saturating_add(u32::from(first.discontinuity));
            Some((expected, first.discontinuity_sequence))
        };
        let Some((old, new)) = common.or_else(follows) else {
            return;
        };
        let shift = i64::from(old) - i64::from(new);
        if shift == 0 {
            return;
        }
        let moved = |value: u32| u32::try_from(i64::from(value) + shift).unwrap_or(0);
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
        let first = newer.media_sequence;
        let end = first.saturating_add(newer.skipped_segments);
        let (Some(from), Some(last)) = (self.index_of(first), self.index_of(end.saturating_sub(1)))
        else {
            return;
        };
        let kept = &self.segments[from..=last];
        let same_base = self.url == newer.url;
        let mut filled = Vec::with_capacity(kept.len() + newer.segments.len());
        // Init sections and key sets of the old playlist come behind those of the new one.
        let init_offset = newer.inits.len() as u32;
        let key_offset = newer.key_sets.len() as u32;
        newer.inits.extend_from_slice(&self.inits);
        newer.key_sets.extend_from_slice(&self.key_sets);
        let moved = |number: u32, offset: u32| if number == 0 { 0 } else { number + offset };
        for segment in kept {
            let uri = if same_base {
                newer.intern(self.segment_uri(segment))
            } else {
                newer.intern(&self.segment_url(segment))
            };
            filled.push(Segment {
                uri,
                title: newer.intern(self.title(segment)),
                init: moved(segment.init, init_offset),
                keys: moved(segment.keys, key_offset),
                ..*segment
            });
        }
        let before = filled[filled.len() - 1];
        // What the skipped tags said still holds, until a tag behind them says otherwise.
        for segment in &mut newer.segments {
            if segment.init == 0 {
                segment.init = before.init;
            }
            if segment.keys == 0 {
                segment.keys = before.keys;
            }
            if segment.bitrate_kbps == 0 {
                segment.bitrate_kbps = before.bitrate_kbps;
            }
        }
        if let Some(open) = &mut newer.open_segment {
            if open.init == 0 {
                open.init = before.init;
            }
            if open.keys == 0 {
                open.keys = before.keys;
            }
        }
        filled.append(&mut newer.segments);
        newer.segments = filled;
        let mut dates: Vec<DateAnchor> = Vec::new();
        for anchor in self.dates.iter().filter(|anchor| anchor.sequence < end) {
            dates.push(DateAnchor { text: newer.intern(self.slice(anchor.text)), ..*anchor });
        }
        newer.dates.retain(|anchor| anchor.sequence >= end);
        dates.append(&mut newer.dates);
        newer.dates = dates;
        newer.skipped_segments = 0;
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

/// How a newly loaded playlist stands to the one before.
enum Relation {
    Continues,
    /// Older than what is known.
    Stale,
    /// Another stream, or the encoder began again.
    Restarted,
}
