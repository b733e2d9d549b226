//! Partial segments as segments of their own (bis §4.4.4.9): with numbers beside those of whole segments, and with the
//! part that a preload hint promises behind them (bis §4.4.5.3).

use super::media::{MediaPlaylist, PreloadKind, Segment};

/// Marks the number of a part: below it are its segment's media sequence number and its index.
pub(crate) const PART: u64 = 1 << 63;
/// Bits of the index.
const INDEX_BITS: u32 = 10;
/// Longest segment in parts; what is beyond has no number of its own.
const MAX_INDEX: u32 = (1 << INDEX_BITS) - 1;
/// Highest media sequence number whose parts have numbers.
const MAX_SEQUENCE: u64 = (1 << (62 - INDEX_BITS)) - 1;

/// The number of a part.
pub(crate) const fn part_number(sequence: u64, index: u32) -> u64 {
    PART | (sequence << INDEX_BITS) | index as u64
}

/// Media sequence number and index of a part's number; `None` for a whole segment's.
pub(crate) const fn part_of(number: u64) -> Option<(u64, u32)> {
    if number & PART == 0 {
        return None;
    }
    let number = number & !PART;
    Some((number >> INDEX_BITS, number as u32 & MAX_INDEX))
}

/// A part as a segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PartSegment {
    /// Its `sequence` is its [`part_number`]. The end of its byte range is [`u64::MAX`] while it is not known.
    pub(crate) segment: Segment,
    /// Playback can begin with it.
    pub(crate) independent: bool,
    /// It is only promised: asked for, it comes as soon as it is made.
    pub(crate) hint: bool,
}

impl MediaPlaylist {
    /// Where the last segment or part ends on the media timeline, in seconds.
    #[must_use]
    pub fn edge(&self) -> f64 {
        self.open_segment.map_or(0.0, |open| open.start + open.duration).max(self.end())
    }

    /// The listed parts, ascending, and behind them the one that is hinted at.
    pub(crate) fn part_segments(&mut self) -> Vec<PartSegment> {
        let mut all: Vec<PartSegment> = Vec::new();
        for part in std::mem::take(&mut self.parts) {
            if let Some(parent) = self.parent(part.segment_sequence)
                && part.index <= MAX_INDEX
            {
                let range = part.byte_range.as_ref().map(|range| (range.start, range.end));
                let segment = Segment {
                    sequence: part_number(parent.sequence, part.index),
                    start: parent.start + part.offset,
                    duration: part.duration,
                    discontinuity: parent.discontinuity && part.index == 0,
                    gap: part.gap,
                    ..self.part_segment(&parent, &part.url, range)
                };
                // The first frame of a segment is one to begin with: without that nobody could join.
                let independent = part.independent || part.index == 0;
                all.push(PartSegment { segment, independent, hint: false });
            }
            self.parts.push(part);
        }
        all.extend(self.hinted(all.last()));
        all
    }

    fn hinted(&mut self, last: Option<&PartSegment>) -> Option<PartSegment> {
        // An init section that is to come means that the part behind it cannot be placed yet.
        let new_init = self.preload_hints.iter().any(|hint| hint.kind == PreloadKind::Map);
        let hint = self.preload_hints.iter().find(|hint| hint.kind == PreloadKind::Part)?;
        if self.end_list || new_init {
            return None;
        }
        let next = self.next_sequence();
        let index = match last.and_then(|last| part_of(last.segment.sequence)) {
            Some((sequence, index)) if sequence == next => index + 1,
            _ => 0,
        };
        let mut parent = match self.parent(next) {
            Some(parent) => parent,
            None => {
                let before = *self.segments.last()?;
                Segment { sequence: next, start: before.end(), ..before }
            }
        };
        if next > MAX_SEQUENCE || index > MAX_INDEX {
            return None;
        }
        parent.start = self.edge();
        let (url, from) = (hint.url.clone(), hint.byte_range_start);
        let range = match hint.byte_range_length {
            Some(length) => Some((from, from.saturating_add(length).min(u64::MAX - 1))),
            None if from > 0 => Some((from, u64::MAX)),
            None => None,
        };
        let segment = Segment {
            sequence: part_number(next, index),
            start: parent.start,
            duration: self.part_target.unwrap_or(1.0),
            discontinuity: false,
            gap: false,
            ..self.part_segment(&parent, &url, range)
        };
        Some(PartSegment { segment, independent: index == 0, hint: true })
    }

    /// The segment that parts belong to: a listed one, or the one that is still being made.
    fn parent(&self, sequence: u64) -> Option<Segment> {
        if sequence > MAX_SEQUENCE {
            return None;
        }
        if let Some(known) = self.position_of(sequence) {
            return Some(*known);
        }
        let open = self.open_segment.filter(|open| open.sequence == sequence)?;
        let before = self.segments.last();
        let discontinuity = before
            .is_some_and(|before| before.discontinuity_sequence != open.discontinuity_sequence);
        Some(Segment {
            sequence,
            start: open.start,
            duration: open.duration,
            discontinuity_sequence: open.discontinuity_sequence,
            bitrate_kbps: before.map_or(0, |before| before.bitrate_kbps),
            discontinuity,
            gap: false,
            timed: false,
            hashed: false,
            range_start: u64::MAX,
            range_end: 0,
            uri: 0,
            applied: open.applied,
        })
    }

    fn part_segment(&mut self, parent: &Segment, url: &str, range: Option<(u64, u64)>) -> Segment {
        let (range_start, range_end) = range.unwrap_or((u64::MAX, 0));
        let uri = self.intern(url);
        Segment { uri, timed: false, hashed: false, range_start, range_end, ..*parent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hls::parse_media;
    use crate::ordered::OrderedMap;

    fn read(tail: &str) -> MediaPlaylist {
        let text = format!(
            "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-PART-INF:PART-TARGET=1\n#EXT-X-MEDIA-SEQUENCE:7\n\
             #EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:4,\n7.mp4\n{tail}"
        );
        parse_media(&text, "https://a.example/live/index.m3u8", &OrderedMap::new())
            .expect("a playlist")
    }

    type View = (u64, u32, f64, String, Option<(u64, u64)>, bool);

    fn view(playlist: &mut MediaPlaylist) -> Vec<View> {
        let parts = playlist.part_segments();
        parts
            .iter()
            .map(|part| {
                let (sequence, index) = part_of(part.segment.sequence).expect("a part");
                let range =
                    playlist.byte_range(&part.segment).map(|range| (range.start, range.end));
                assert_eq!(
                    playlist.init_of(&part.segment).map(|init| init.url.as_str()),
                    Some("https://a.example/live/init.mp4")
                );
                let url = playlist.segment_url(&part.segment);
                (sequence, index, part.segment.start, url, range, part.hint)
            })
            .collect()
    }

    #[test]
    fn parts_and_the_hinted_one_are_placed_on_the_timeline() {
        let mut playlist = read(
            "#EXT-X-PART:DURATION=2,URI=\"8.0.mp4\",INDEPENDENT=YES\n#EXT-X-PART:DURATION=2,URI=\"8.1.mp4\"\n\
             #EXTINF:4,\n8.mp4\n#EXT-X-PART:DURATION=1,URI=\"9.0.mp4\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"9.1.mp4\"\n",
        );
        let url = |name: &str| format!("https://a.example/live/{name}.mp4");
        assert_eq!(
            view(&mut playlist),
            [
                (8, 0, 4.0, url("8.0"), None, false),
                (8, 1, 6.0, url("8.1"), None, false),
                (9, 0, 8.0, url("9.0"), None, false),
                (9, 1, 9.0, url("9.1"), None, true),
            ]
        );
        assert_eq!(playlist.edge(), 9.0);
    }

    #[test]
    fn a_hint_behind_a_whole_segment_is_the_next_ones_first_part() {
        let mut playlist = read(
            "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"8.mp4\",BYTERANGE-START=0,BYTERANGE-LENGTH=900\n",
        );
        let url = "https://a.example/live/8.mp4".to_owned();
        assert_eq!(view(&mut playlist), [(8, 0, 4.0, url, Some((0, 900)), true)]);
        let mut playlist = read(
            "#EXT-X-PART:DURATION=1,URI=\"8.mp4\",BYTERANGE=900@0\n\
             #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"8.mp4\",BYTERANGE-START=900\n",
        );
        let parts = view(&mut playlist);
        assert_eq!(parts[1].4, Some((900, u64::MAX)), "its end is not known");
    }

    #[test]
    fn a_part_behind_an_init_section_that_is_to_come_is_not_guessed_at() {
        let mut playlist = read(
            "#EXT-X-PRELOAD-HINT:TYPE=MAP,URI=\"init2.mp4\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"8.0.mp4\"\n",
        );
        assert_eq!(view(&mut playlist), []);
    }

    #[test]
    fn numbers_of_parts_ascend_and_stand_beside_those_of_segments() {
        assert_eq!(part_of(part_number(77, 3)), Some((77, 3)));
        assert_eq!(part_of(77), None);
        assert!(part_number(77, 1023) < part_number(78, 0));
    }
}
