//! A segment of a subtitle rendition, whatever its format, on the player's timeline.

use crate::{CLOCK_WRAP, Cue, mp4, ttml, vtt, wvtt};

/// Where a segment lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Where the playlist has it, in seconds on the player's timeline.
    pub start: f64,
    /// Where it ends there.
    pub end: f64,
    /// What to add to the stream's own times to get the player's, in seconds; `NaN` when that is not known.
    pub offset: f64,
}

/// Cues may lie this far beside their segment, in seconds.
const SLACK: f64 = 1.0;

/// Reads a segment; `init` is its init section, empty where it has none.
///
/// # Errors
/// Names what the bytes look like when they are no subtitles.
pub fn read(init: &[u8], data: &[u8], place: Place) -> Result<Vec<Cue>, &'static str> {
    let mut cues = if data.get(4..8).is_some_and(|kind| kind.iter().all(u8::is_ascii_alphanumeric))
        && !init.is_empty()
    {
        fragments(init, data, place)?
    } else {
        let text = String::from_utf8_lossy(data);
        if let Some(document) = vtt::read(&text) {
            let shift = match document.map {
                Some(map) if place.offset.is_finite() => {
                    mapped(&document.cues, map + place.offset, place)
                }
                _ => guessed(&document.cues, place),
            };
            shifted(document.cues, shift)
        } else if text.trim_start_matches('\u{feff}').trim_start().starts_with('<') {
            let cues = ttml::read(&text).ok_or("XML without subtitles")?;
            let shift = guessed(&cues, place);
            shifted(cues, shift)
        } else if text.trim().is_empty() {
            Vec::new()
        } else {
            return Err("neither WebVTT nor TTML");
        }
    };
    cues.retain(|cue| cue.end > cue.start && cue.start.is_finite());
    Ok(cues)
}

/// WebVTT or TTML in fragmented MP4 (ISO/IEC 14496-30).
fn fragments(init: &[u8], data: &[u8], place: Place) -> Result<Vec<Cue>, &'static str> {
    let tracks = mp4::read_init(init);
    let Some(track) = tracks.iter().find(|track| matches!(&track.codec, b"wvtt" | b"stpp")) else {
        return Err("MP4 without a text track");
    };
    let mut cues = Vec::new();
    let mut first = None;
    mp4::read_fragments(data, &tracks, |sample| {
        if sample.track != track.id {
            return;
        }
        first = first.or(Some(sample.time));
        if track.codec == *b"wvtt" {
            wvtt::read(sample.data, sample.time, sample.time + sample.duration, &mut cues);
        } else if let Some(found) = ttml::read(&String::from_utf8_lossy(sample.data)) {
            // Times in a document are the track's; some writers begin each document at 0.
            let within = |shift: f64| {
                let (start, end) = (sample.time - SLACK, sample.time + sample.duration + SLACK);
                found.iter().any(|cue| cue.start + shift < end && cue.end + shift > start)
            };
            let shift = if within(0.0) || !within(sample.time) { 0.0 } else { sample.time };
            cues.extend(shifted(found, shift));
        }
        cues.truncate(crate::MAX_CUES);
    });
    let offset = if place.offset.is_finite() {
        let first = first.unwrap_or(0.0) + place.offset;
        place.offset - ((first - place.start) / CLOCK_WRAP).round() * CLOCK_WRAP
    } else {
        place.start - first.unwrap_or(place.start)
    };
    Ok(shifted(cues, offset))
}

/// The shift of a segment with a timestamp map: the clock may have started anew between map and segment (RFC 8216 §3.5).
fn mapped(cues: &[Cue], shift: f64, place: Place) -> f64 {
    let first = cues.first().map_or(0.0, |cue| cue.start) + shift;
    shift - ((first - place.start) / CLOCK_WRAP).round() * CLOCK_WRAP
}

/// The shift of a segment without a map. The player's timeline is what most writers mean; RFC 8216 §3.5 says that time 0
/// is the stream's timestamp 0; and some begin each segment at 0. Whichever puts cues into the segment is right.
fn guessed(cues: &[Cue], place: Place) -> f64 {
    let fits = |shift: f64| {
        cues.iter().any(|cue| {
            cue.start + shift < place.end + SLACK && cue.end + shift > place.start - SLACK
        })
    };
    let guesses = [0.0, place.offset, place.start];
    guesses.into_iter().find(|shift| shift.is_finite() && fits(*shift)).unwrap_or(0.0)
}

fn shifted(mut cues: Vec<Cue>, shift: f64) -> Vec<Cue> {
    for cue in &mut cues {
        cue.start += shift;
        cue.end += shift;
    }
    cues
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(text: &str, place: Place) -> Vec<f64> {
        read(&[], text.as_bytes(), place)
            .unwrap()
            .iter()
            .map(|cue| (cue.start * 1000.0).round() / 1000.0)
            .collect()
    }

    const AT_20: Place = Place { start: 20.0, end: 26.0, offset: -10.0 };

    #[test]
    fn a_timestamp_map_puts_cues_on_the_timeline_of_the_video() {
        let text = "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:900000\n\n00:21.500 --> 00:22.000\na\n";
        assert_eq!(starts(text, AT_20), [21.5]);
        // The stream of a fixture whose clock begins at 140 s: local time 1 h is timestamp 3600 s.
        let text = "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:01:00:00.000,MPEGTS:324000000\n\n02:22.000 --> 02:24.000\na\n";
        assert_eq!(starts(text, Place { start: 2.0, end: 4.0, offset: -140.0 }), [2.0]);
    }

    #[test]
    fn a_clock_that_starts_anew_between_map_and_segment_is_followed() {
        // The map was stamped 6 s before the clock's end, the segment lies 4 s after it: the video's offset has it
        // counted on.
        let before = (1_u64 << 33) - 6 * 90_000;
        let text = [
            "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:",
            &before.to_string(),
            "\n\n00:10.000 --> 00:11.000\na\n",
        ]
        .concat();
        let place = Place { start: 10.0, end: 12.0, offset: 6.0 - CLOCK_WRAP };
        assert_eq!(starts(&text, place), [10.0]);
        // And where the video began after it: its offset is that of the new turn.
        assert_eq!(starts(&text, Place { offset: 6.0, ..place }), [10.0]);
    }

    #[test]
    fn without_a_map_times_are_the_playlists_or_the_streams_or_the_segments() {
        let text = |time: &str| ["WEBVTT\n\n00:", time, ".000 --> 00:", time, ".900\na\n"].concat();
        assert_eq!(starts(&text("21"), AT_20), [21.0]);
        assert_eq!(starts(&text("35"), AT_20), [25.0]);
        assert_eq!(starts(&text("03"), AT_20), [23.0]);
    }

    #[test]
    fn a_segment_without_cues_or_without_bytes_is_no_error() {
        assert_eq!(read(&[], b"WEBVTT\n", AT_20), Ok(Vec::new()));
        assert_eq!(read(&[], b"", AT_20), Ok(Vec::new()));
        assert!(read(&[], b"not found", AT_20).is_err());
    }
}
