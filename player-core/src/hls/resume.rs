//! Incremental refresh: what a reloaded text has in common with the text before is taken over, not read again.
//!
//! A live playlist of hours changes by one segment at a reload. The text between the URI of its first segment and the
//! end of the common part is compared as bytes, and the segments of that part are copied with their ranges moved.

use crate::ordered::OrderedMap;

use super::lines::Lines;
use super::media::{DateAnchor, MediaPlaylist, Segment};
use super::reader::Reader;

/// What of a text can be taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// Offsets of lines between segments that do not belong to one: date ranges, which are read again.
    pub(super) replay: Vec<u32>,
    /// Offset of the first line behind the first segment that depends on its place: what follows is read again.
    pub(super) barrier: u32,
}

/// Reads `text`, a reload of `old`. `None` when it has to be read from its beginning.
pub(super) fn resume(
    old: &MediaPlaylist,
    text: &str,
    url: &str,
    imports: &OrderedMap<String, String>,
) -> Option<MediaPlaylist> {
    if old.url != url || !old.variables.is_empty() {
        return None;
    }
    let mut reader = Reader::new(text, url, imports);
    let mut lines = Lines::new(text);
    while reader.playlist.segments.is_empty() {
        reader.read_line(lines.next()?);
    }
    let first = reader.playlist.segments[0];
    let index = old.index_of(first.sequence)?;
    let known = old.segments[index];
    if !same(old, &known, &reader, &first) {
        return None;
    }
    // Both offsets are right behind the URI of the same segment.
    let (from, to) = (old.uri_end(&known), first.uri + reader.uri_at(first.uri).len() as u32);
    let limit = (old.marks.barrier as usize).min(old.loaded);
    let before = old.text.as_bytes().get(from as usize..limit)?;
    let after = text.as_bytes().get(to as usize..)?;
    let common = from.checked_add(u32::try_from(common_prefix(before, after)).ok()?)?;
    // The line end behind the last URI has to be in the common part too, or the URI may go on.
    let tail = &old.segments[index + 1..];
    let tail = &tail[..tail.partition_point(|segment| old.uri_end(segment) < common)];
    let last = tail.last()?;
    let end = old.uri_end(last);
    let moved = |offset: u32| offset.wrapping_sub(from).wrapping_add(to);

    reader.take_over(old, &first, &known, tail, &moved);
    let behind =
        |date: &&DateAnchor| date.sequence > known.sequence && date.sequence <= last.sequence;
    reader.playlist.dates.extend(old.dates.iter().filter(behind));
    for offset in old.marks.replay.iter().filter(|offset| (from..end).contains(*offset)) {
        reader.read_line(Lines::from(text, moved(*offset) as usize).next()?);
    }
    for line in Lines::from(text, moved(end) as usize) {
        reader.read_line(line);
    }
    // The lines were not counted: a warning would name a wrong one.
    reader.playlist.warnings.is_empty().then(|| reader.finish())
}

/// Whether the first segment of the new text is the known one in all that the segments behind it build on.
fn same(old: &MediaPlaylist, known: &Segment, reader: &Reader<'_>, first: &Segment) -> bool {
    let new = &reader.playlist;
    (known.uri as usize) < old.loaded
        && old.segment_uri(known) == reader.uri_at(first.uri)
        && known.duration == first.duration
        && known.range_end == first.range_end
        && known.bitrate_kbps == first.bitrate_kbps
        && old.init_of(known) == new.init_of(first)
        && (old.applied(known.applied).keys == 0) == (new.applied(first.applied).keys == 0)
        && old.keys_of(known) == new.keys_of(first)
        && new.skipped_segments == 0
        && new.variables.is_empty()
        && new.warnings.is_empty()
}

/// How many bytes agree.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let length = a.len().min(b.len());
    let (words_a, _) = a[..length].as_chunks::<16>();
    let (words_b, _) = b[..length].as_chunks::<16>();
    let start = 16 * words_a.iter().zip(words_b).take_while(|(a, b)| a == b).count();
    start + a[start..length].iter().zip(&b[start..length]).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hls::{Refresh, parse_media};

    const URL: &str = "https://a.example/live.m3u8";

    /// A window of `count` segments from `first`, with a bit of everything that goes between segments.
    fn window(first: u64, count: u64) -> String {
        let mut text = format!(
            "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:{first}\n\
             #EXT-X-DISCONTINUITY-SEQUENCE:{}\n#EXT-X-BITRATE:900\n",
            first.div_ceil(7)
        );
        // What held before the window: a key, the map that was read under it, the key since.
        let key = |of: u64| format!("#EXT-X-KEY:METHOD=AES-128,URI=\"key{}\"\n", of / 9 * 9);
        if first > 0 {
            let map = (first - 1) / 5 * 5;
            text += &format!("{}#EXT-X-MAP:URI=\"init{map}.mp4\"\n{}", key(map), key(first - 1));
        }
        for sequence in first..first + count {
            if sequence % 9 == 0 {
                text += &key(sequence);
            }
            if sequence % 5 == 0 {
                text += &format!("#EXT-X-MAP:URI=\"init{sequence}.mp4\"\n");
            }
            if sequence % 7 == 0 {
                text += "#EXT-X-DISCONTINUITY\n";
            }
            if sequence % 4 == 0 || sequence == first {
                let seconds = sequence * 4;
                text += &format!(
                    "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:{:02}:{:02}Z\n",
                    seconds / 60 % 60,
                    seconds % 60
                );
            }
            if sequence % 6 == 0 {
                text += &format!(
                    "#EXT-X-DATERANGE:ID=\"r{sequence}\",START-DATE=\"2026-01-01T00:00:00Z\"\n"
                );
            }
            if sequence % 3 != 0 {
                text += &format!("#EXT-X-POTLUCK-HASH:ROOT=0x{sequence}\n");
            }
            text += &format!("#EXTINF:4,t{sequence}\nsegment-{sequence}.mp4\n");
        }
        text
    }

    /// What can be asked of a playlist, without the places where it keeps it.
    fn view(playlist: &MediaPlaylist) -> Vec<String> {
        let of = |segment: &Segment| {
            format!(
                "{} {} {} {} {} {} {:?} {:?} {:?} {:?} {:?} {:?}",
                segment.sequence,
                playlist.hash_text(segment),
                segment.start,
                segment.duration,
                segment.discontinuity_sequence,
                segment.discontinuity,
                playlist.segment_url(segment),
                playlist.title(segment),
                playlist.init_of(segment),
                playlist.keys_of(segment),
                playlist.program_date_time(segment),
                playlist.date_text(segment),
            )
        };
        let mut view: Vec<String> = playlist.segments.iter().map(of).collect();
        view.push(format!("{:?} {:?}", playlist.date_ranges, playlist.open_segment));
        view.push(format!("{:?} {:?}", playlist.parts, playlist.end_list));
        view
    }

    #[test]
    fn a_resumed_playlist_is_the_one_that_is_read_whole() {
        let none = OrderedMap::new();
        for (first, next) in [(0, 0), (0, 1), (3, 8), (10, 15), (14, 21), (18, 36), (1, 40)] {
            let old = parse_media(&window(first, 50), URL, &none).expect("a playlist");
            let text = window(next, 52) + "#EXT-X-PART:DURATION=1,URI=\"p\"\n";
            let resumed =
                resume(&old, &text, URL, &none).unwrap_or_else(|| panic!("{first} to {next}"));
            let whole = parse_media(&text, URL, &none).expect("a playlist");
            assert_eq!(view(&resumed), view(&whole), "{first} to {next}");
            // And once more, from a resumed playlist.
            let again = window(next + 2, 55);
            let resumed =
                resume(&resumed, &again, URL, &none).unwrap_or_else(|| panic!("again from {next}"));
            assert_eq!(view(&resumed), view(&parse_media(&again, URL, &none).expect("a playlist")));
        }
    }

    #[test]
    fn refreshing_with_a_text_is_refreshing_with_its_playlist() {
        let none = OrderedMap::new();
        let mut by_text = parse_media(&window(5, 40), URL, &none).expect("a playlist");
        let mut by_playlist = by_text.clone();
        for first in [5, 6, 9, 20, 21, 70, 2] {
            let text = window(first, 40);
            let a = by_text.refresh_text(&text, URL, &none).expect("a playlist");
            let b = by_playlist.refresh(parse_media(&text, URL, &none).expect("a playlist"));
            assert_eq!(a, b, "{first}");
            assert_eq!(view(&by_text), view(&by_playlist), "{first}");
        }
    }

    #[test]
    fn what_changed_before_the_common_part_is_seen() {
        let none = OrderedMap::new();
        let old = parse_media(&window(1, 30), URL, &none).expect("a playlist");
        let other_key = window(1, 31).replacen("\"key0\"", "\"other\"", 1);
        assert!(resume(&old, &other_key, URL, &none).is_none());
        let other_name = window(1, 31).replacen("segment-1.mp4", "else-1.mp4", 1);
        assert!(resume(&old, &other_name, URL, &none).is_none());
        // A change in the middle ends the common part there.
        let gap = window(1, 31).replacen("#EXTINF:4,t20\n", "#EXT-X-GAP\n#EXTINF:4,t20\n", 1);
        let resumed = resume(&old, &gap, URL, &none).expect("it overlaps");
        assert_eq!(view(&resumed), view(&parse_media(&gap, URL, &none).expect("a playlist")));
        assert!(resumed.segments[19].gap);
    }

    #[test]
    fn a_playlist_that_did_not_change_says_so() {
        let none = OrderedMap::new();
        let text = window(1, 30);
        let mut playlist = parse_media(&text, URL, &none).expect("a playlist");
        let refresh = playlist.refresh_text(&text, URL, &none);
        assert_eq!(refresh, Ok(Refresh::default()));
        let refresh = playlist.refresh_text(&(text + "# comment\n"), URL, &none);
        assert_eq!(refresh, Ok(Refresh::default()));
    }

    /// Lines that `refresh` reads.
    fn lines_of(refresh: impl FnOnce()) -> usize {
        let before = super::super::reader::LINES_READ.get();
        refresh();
        super::super::reader::LINES_READ.get() - before
    }

    #[test]
    fn a_refresh_of_ten_thousand_segments_reads_what_changed() {
        let none = OrderedMap::new();
        let count = 10_000;
        let mut playlist = parse_media(&window(1, count), URL, &none).expect("a playlist");
        let text = window(1, count + 1);
        let lines = lines_of(|| {
            let refresh = playlist.refresh_text(&text, URL, &none).expect("a playlist");
            assert_eq!((refresh.added, refresh.removed), (1, 0));
        });
        // The head up to the first segment, the date ranges, which are merged anew, and the last segment.
        let ranges = count as usize / 6;
        assert!(
            (ranges..ranges + 30).contains(&lines),
            "{lines} lines of {}",
            text.lines().count()
        );
        // A window that slides, without date ranges.
        let plain = |first: u64| window(first, count).replace("#EXT-X-DATERANGE", "#DATERANGE");
        let mut playlist = parse_media(&plain(1), URL, &none).expect("a playlist");
        for first in 2..5 {
            let text = plain(first);
            let lines = lines_of(|| {
                let refresh = playlist.refresh_text(&text, URL, &none).expect("a playlist");
                assert_eq!((refresh.added, refresh.removed), (1, 1));
            });
            assert!(lines < 30, "{lines} lines");
        }
    }

    #[test]
    fn a_refresh_of_a_low_latency_playlist_reads_the_segments_with_parts_and_a_delta_update_itself()
    {
        let none = OrderedMap::new();
        let text = |parts: u64| {
            let mut text = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-PART-INF:PART-TARGET=1\n\
                #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24,PART-HOLD-BACK=3\n"
                .to_owned();
            let write = |text: &mut String, sequence: u64, count: u64| {
                for part in 0..count {
                    *text += &format!("#EXT-X-PART:DURATION=1,URI=\"{sequence}.{part}.mp4\"\n");
                }
            };
            let (open, count) = (parts / 4, parts % 4);
            for sequence in 0..open {
                if sequence + 3 >= open {
                    write(&mut text, sequence, 4);
                }
                text += &format!("#EXTINF:4,\n{sequence}.mp4\n");
            }
            write(&mut text, open, count);
            text
        };
        let mut playlist = parse_media(&text(40_000), URL, &none).expect("a playlist");
        for parts in 40_001..40_010 {
            let next = text(parts);
            let lines = lines_of(|| _ = playlist.refresh_text(&next, URL, &none));
            assert!(lines < 40, "{lines} lines");
            assert_eq!(playlist.edge(), parts as f64);
        }
        // A delta update names the last six segments.
        let whole = text(40_012);
        let at = whole.find("#EXTINF:4,\n9997.mp4").expect("it is there");
        let parts = whole[..at].rfind("9996.mp4\n").expect("it is there") + 9;
        let delta = format!(
            "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-SKIP:SKIPPED-SEGMENTS=9997\n{}",
            &whole[parts..]
        );
        let lines = lines_of(|| {
            let refresh = playlist.refresh_text(&delta, URL, &none).expect("a playlist");
            assert_eq!((refresh.added, refresh.removed), (1, 0));
        });
        assert!(lines < 40, "{lines} lines");
        assert_eq!(playlist.segments.len(), 10_003);
        assert_eq!(playlist.segment_uri(&playlist.segments[9996]), "9996.mp4");
    }
}
