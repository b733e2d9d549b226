//! The live refresh: a newly loaded playlist takes the place of the old one and keeps its timeline
//! (RFC 8216 §6.3.4, §6.2.2; delta updates: bis §6.2.5.1).

use crate::ordered::OrderedMap;

use super::carry::Carrier;
use super::media::{Applied, DateAnchor, MediaPlaylist, Segment};
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
    #[inline(never)]
    pub fn refresh_text(
        &mut self,
        text: &str,
        url: &str,
        imports: &OrderedMap<String, String>,
    ) -> Result<Refresh, ParseError> {
        if text.len() == self.loaded
            && self.text.as_bytes().starts_with(text.as_bytes())
            && self.url == url
        {
            return Ok(Refresh::default());
        }
        // What does not begin as a playlist is no playlist, whatever is the same in it.
        let resumed = text.starts_with("#EXTM3U").then(|| resume(self, text, url, imports));
        let newer = match resumed.flatten() {
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
    #[inline(never)]
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
        if forward {
            // Names may change at each load, with tokens in them. With another date too, it is another segment.
            let date = |(old, new)| self.program_date_time(old).zip(newer.program_date_time(new));
            let redated = common
                .and_then(date)
                .is_some_and(|(old, new)| (old - new).abs() > 1000.0 * self.target_duration);
            return if redated && !same { Relation::Restarted } else { Relation::Continues };
        }
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
            // Without any segment, what is still being made has to be placed.
            let open = newer.open_segment.map(|open| (open.sequence, open.start, None));
            let first = newer.segments.first();
            let first = first.map(|one| (one.sequence, one.start, newer.program_date_time(one)));
            let (sequence, start, date) = first.or(open)?;
            let last = self.segments.last()?;
            let gap = sequence.saturating_sub(last.sequence).saturating_sub(1);
            let stepped = last.end() + gap as f64 * newer.target_duration;
            let dated = date
                .zip(self.program_date_time(last))
                .map(|(new, old)| last.start + (new - old) / 1000.0)
                // A date that puts the segment before the end that is known is a wrong clock.
                .filter(|dated| gap > 0 && *dated >= last.end() - 0.5);
            Some(dated.unwrap_or(stepped) - start)
        });
        newer.shift(shift.unwrap_or(0.0));
    }

    /// Moves the playlist on the media timeline.
    pub(crate) fn shift(&mut self, seconds: f64) {
        self.shift_from(0, seconds);
    }

    /// Moves the segments from this media sequence number on.
    pub(crate) fn shift_from(&mut self, sequence: u64, seconds: f64) {
        if seconds == 0.0 {
            return;
        }
        for segment in self.segments.iter_mut().filter(|one| one.sequence >= sequence) {
            segment.start += seconds;
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
            newer.dates.insert(0, DateAnchor { sequence: first.sequence, date });
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
        let mut carrier = Carrier::new(self, newer);
        for segment in kept {
            let url = (!same_base).then(|| self.segment_url(segment));
            let uri = url.as_deref().unwrap_or_else(|| self.segment_uri(segment));
            let uri = Self::copy_lines(&self.text, segment.uri, uri, &mut newer.text);
            let applied = carrier.carry(segment.applied, newer);
            filled.push(Segment { uri, applied, ..*segment });
        }
        filled.append(&mut newer.segments);
        filled.sort_unstable_by_key(|segment| segment.sequence);
        // What is listed before the skipped ones does not know how long those are.
        let mut end = f64::MIN;
        for segment in &mut filled {
            if segment.start < end - 0.001 {
                segment.start = end;
            }
            end = segment.end();
        }
        newer.segments = filled;
        newer.inherit();
        let mut dates: Vec<DateAnchor> = Vec::new();
        for anchor in &self.dates {
            let filled = newer.position_of(anchor.sequence).is_some();
            if filled && !newer.dates.iter().any(|known| known.sequence == anchor.sequence) {
                dates.push(*anchor);
            }
        }
        newer.dates.append(&mut dates);
        newer.dates.sort_unstable_by_key(|anchor| anchor.sequence);
        newer.skipped_segments = 0;
        // Its text lacks the skipped segments: the next reload is read whole.
        newer.marks = Marks::default();
        newer.text.shrink_to_fit();
        newer.shrink();
        if let Some(open) = &mut newer.open_segment {
            open.start = newer.segments.last().map_or(open.start, Segment::end);
        }
    }

    /// What the tags of skipped segments said holds on, until a tag behind them says otherwise.
    fn inherit(&mut self) {
        let (mut last, mut bitrate) = (Applied::default(), 0);
        let mut inherit = |playlist: &mut Self, index: u32| {
            let own = playlist.applied(index);
            let or = |own: u32, last: u32| if own == 0 { last } else { own };
            last = Applied { init: or(own.init, last.init), keys: or(own.keys, last.keys) };
            if last == own { index } else { playlist.apply(last) }
        };
        let mut segments = std::mem::take(&mut self.segments);
        for segment in &mut segments {
            segment.applied = inherit(self, segment.applied);
            if segment.bitrate_kbps == 0 {
                segment.bitrate_kbps = bitrate;
            }
            bitrate = segment.bitrate_kbps;
        }
        self.segments = segments;
        if let Some(mut open) = self.open_segment {
            open.applied = inherit(self, open.applied);
            self.open_segment = Some(open);
        }
    }

    /// A delta update names only date ranges that changed.
    fn carry_date_ranges(&self, newer: &mut Self) {
        if newer.skipped_segments == 0 {
            return;
        }
        let mut ranges = self.date_ranges.clone();
        ranges.retain(|range| !newer.removed_date_ranges.contains(&range.id));
        let index: OrderedMap<String, usize> =
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

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://a.example/live/index.m3u8";

    fn read(text: &str) -> MediaPlaylist {
        parse_media(text, URL, &OrderedMap::new()).expect("a playlist")
    }

    fn live(first: u64, names: &[&str]) -> MediaPlaylist {
        let mut text = format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:{first}\n");
        for name in names {
            text += &format!("#EXTINF:4,\n{name}\n");
        }
        read(&text)
    }

    fn starts(playlist: &MediaPlaylist) -> Vec<(u64, f64)> {
        playlist.segments.iter().map(|segment| (segment.sequence, segment.start)).collect()
    }

    #[test]
    fn a_sliding_window_keeps_its_timeline() {
        let mut playlist = live(10, &["a", "b", "c"]);
        let refresh = playlist.refresh(live(12, &["c", "d"]));
        assert_eq!(refresh, Refresh { added: 1, removed: 2, changed: true, reset: false });
        assert_eq!(starts(&playlist), [(12, 8.0), (13, 12.0)]);
    }

    #[test]
    fn a_window_that_was_missed_is_placed_by_distance_or_by_date() {
        let mut playlist = live(10, &["a", "b"]);
        playlist.refresh(live(15, &["f"]));
        assert_eq!(starts(&playlist), [(15, 20.0)]);

        let dated = |sequence: u64, second: u32| {
            read(&format!(
                "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:{sequence}\n\
                 #EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:{second:02}Z\n#EXTINF:4,\n{sequence}.ts\n"
            ))
        };
        let mut playlist = dated(10, 0);
        playlist.refresh(dated(15, 18));
        assert_eq!(starts(&playlist), [(15, 18.0)]);
        // A clock that went back is not believed.
        playlist.refresh(dated(17, 3));
        assert_eq!(starts(&playlist), [(17, 26.0)]);
    }

    #[test]
    fn an_older_playlist_of_the_same_stream_is_ignored() {
        let mut playlist = live(10, &["a", "b", "c"]);
        let before = playlist.clone();
        assert_eq!(playlist.refresh(live(9, &["z", "a?other=token"])), Refresh::default());
        assert_eq!(playlist, before);
    }

    #[test]
    fn numbers_that_begin_again_are_a_reset() {
        let mut playlist = live(100, &["a", "b"]);
        let refresh = playlist.refresh(live(0, &["x"]));
        assert_eq!(refresh, Refresh { added: 1, removed: 2, changed: true, reset: true });
        assert_eq!(starts(&playlist), [(0, 0.0)]);
        // Also when the numbers overlap.
        let mut playlist = live(1, &["a", "b", "c"]);
        assert!(playlist.refresh(live(0, &["x", "y"])).reset);
    }

    #[test]
    fn a_server_that_forgets_its_discontinuities_does_not_confuse_the_count() {
        let text = |first: u64, seam: &str, rest: &str| {
            format!(
                "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:{first}\n\
                 #EXTINF:4,\n{first}.ts\n{seam}{rest}"
            )
        };
        let mut playlist =
            read(&text(0, "#EXT-X-DISCONTINUITY\n", "#EXTINF:4,\n1.ts\n#EXTINF:4,\n2.ts\n"));
        playlist.refresh(read(&text(
            1,
            "",
            "#EXTINF:4,\n2.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:4,\n3.ts\n",
        )));
        let counts: Vec<u64> =
            playlist.segments.iter().map(|segment| segment.discontinuity_sequence).collect();
        assert_eq!(counts, [1, 1, 2]);
    }

    const FULL: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:10\n\
        #EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00Z\n#EXT-X-MAP:URI=\"init.mp4\"\n\
        #EXT-X-KEY:METHOD=AES-128,URI=\"key\"\n#EXT-X-DATERANGE:ID=\"old\",START-DATE=\"2026-01-01\"\n\
        #EXT-X-DATERANGE:ID=\"kept\",START-DATE=\"2026-01-01\"\n\
        #EXTINF:4,ten\n10.mp4\n#EXTINF:4,\n11.mp4\n#EXT-X-DISCONTINUITY\n#EXTINF:4,\n12.mp4\n";

    #[test]
    fn a_delta_update_is_completed_from_what_is_known() {
        let mut playlist = read(FULL);
        let delta = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:11\n\
            #EXT-X-SKIP:SKIPPED-SEGMENTS=2,RECENTLY-REMOVED-DATERANGES=\"old\"\n#EXTINF:4,\n13.mp4\n\
            #EXT-X-DATERANGE:ID=\"kept\",DURATION=9\n#EXT-X-PART:DURATION=1,URI=\"14.0.mp4\"\n";
        let refresh = playlist.refresh_text(delta, URL, &OrderedMap::new()).expect("a playlist");
        assert_eq!(refresh, Refresh { added: 1, removed: 1, changed: true, reset: false });
        assert_eq!(starts(&playlist), [(11, 4.0), (12, 8.0), (13, 12.0)]);
        assert_eq!(playlist.skipped_segments, 0);
        let last = playlist.segments[2];
        assert_eq!(last.discontinuity_sequence, 1);
        assert_eq!(playlist.keys_of(&last)[0].uri, "https://a.example/live/key");
        assert_eq!(
            playlist.init_of(&last).map(|init| init.url.as_str()),
            Some("https://a.example/live/init.mp4")
        );
        assert_eq!(playlist.segment_url(&playlist.segments[0]), "https://a.example/live/11.mp4");
        assert_eq!(
            playlist.program_date_time(&last),
            playlist.program_date_time(&playlist.segments[0]).map(|d| d + 8000.0)
        );
        assert_eq!(playlist.open_segment.map(|open| open.start), Some(16.0));
        let ranges: Vec<_> =
            playlist.date_ranges.iter().map(|range| (range.id.as_str(), range.duration)).collect();
        assert_eq!(ranges, [("kept", Some(9.0))]);
        // The next one, delta on delta, does not pile up what is no longer used.
        for sequence in 14..40_u64 {
            let first = sequence - 2;
            let delta = format!(
                "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:{first}\n\
                 #EXT-X-SKIP:SKIPPED-SEGMENTS=2\n#EXTINF:4,\n{sequence}.mp4\n"
            );
            playlist.refresh_text(&delta, URL, &OrderedMap::new()).expect("a playlist");
        }
        assert_eq!(
            (playlist.inits.len(), playlist.key_sets.len(), playlist.segments.len()),
            (1, 1, 3)
        );
        assert_eq!(playlist.end(), 120.0);
    }

    #[test]
    fn skipped_segments_keep_title_hash_and_date() {
        let mut playlist = read(
            "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,zero\n0.mp4\n\
             #EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:04Z\n#EXT-X-POTLUCK-HASH:ROOT=0x01\n# a remark\n\
             #EXT-X-PART:DURATION=4,URI=\"1.0.mp4\"\n#EXTINF:4,one, still one \n1.mp4\n#EXTINF:4\n2.mp4\n",
        );
        let delta = |count: u64| {
            format!(
                "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-SKIP:SKIPPED-SEGMENTS={count}\n\
                 #EXT-X-POTLUCK-HASH:ROOT=0x{count}\n#EXTINF:4,last\n{count}.mp4\n#EXT-X-POTLUCK-HASH:ROOT=0x9"
            )
        };
        for count in 3..6 {
            playlist.refresh_text(&delta(count), URL, &OrderedMap::new()).expect("a playlist");
            assert_eq!(playlist.segments.len() as u64, count + 1);
            let of = |index: usize| {
                let one = &playlist.segments[index];
                (playlist.title(one), playlist.hash_text(one), playlist.date_text(one))
            };
            assert_eq!(of(0), (Some("zero"), "", None));
            assert_eq!(of(1), (Some("one, still one "), "ROOT=0x01", Some("2026-01-01T00:00:04Z")));
            assert_eq!(of(2), (None, "", None));
            assert_eq!(of(count as usize), (Some("last"), &*format!("ROOT=0x{count}"), None));
        }
    }

    #[test]
    fn dates_move_with_their_segments() {
        let mut playlist = read(FULL);
        let date = playlist.program_date_time(&playlist.segments[1]);
        playlist.shift(100.0);
        assert_eq!(playlist.program_date_time(&playlist.segments[1]), date);
        assert_eq!(date.and_then(|date| playlist.time_of(date)), Some(104.0));
    }

    #[test]
    fn a_delta_update_of_what_is_not_known_says_that_it_is_incomplete() {
        let mut playlist = read(FULL);
        let delta = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:40\n\
            #EXT-X-SKIP:SKIPPED-SEGMENTS=2\n#EXTINF:4,\n42.mp4\n";
        playlist.refresh_text(delta, URL, &OrderedMap::new()).expect("a playlist");
        assert_eq!(playlist.skipped_segments, 2);
    }

    #[test]
    fn a_window_past_its_only_date_keeps_the_date() {
        let mut playlist = read(FULL);
        playlist.refresh(live(11, &["11.mp4", "12.mp4", "13.mp4"]));
        let date = playlist.program_date_time(&playlist.segments[0]);
        assert_eq!(date, super::super::parse_date("2026-01-01T00:00:04Z"));
    }
}
