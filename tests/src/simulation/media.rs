//! A media element with its source buffer: takes the core's media commands, reads the bytes as a
//! demuxer would, compares them with what the origin serves, and plays in virtual time.

use bytes::Bytes;
use player_core::io::{MediaCommand, MediaFailure, Playhead, Track};
use serde::{Deserialize, Serialize};
use std::ops::Range;

use super::fmp4::{HEAD_BYTES, SegmentHead, TIMESCALE};
use super::title::Title;

/// Ranges closer than this are one (µs): rounding of time stamps.
const GAP: i64 = 1_000;
/// What has to be buffered ahead of the playhead before it moves (µs).
const START_AHEAD: i64 = 100_000;

/// What was buffered of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    start: i64,
    end: i64,
    bytes: i64,
    variant: u32,
    sequence: u64,
    /// `timestampOffset` it was appended with.
    shift: i64,
}

/// Where the demuxer is in the bytes that it is given.
#[derive(Debug)]
enum Demuxer {
    /// Collecting an init section or a segment's head.
    Head(Vec<u8>),
    /// In a segment's `mdat`; `at` counts from the segment's start.
    Data { head: SegmentHead, sequence: u64, at: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No frame yet, or none since the last seek.
    Waiting,
    Playing,
    /// Out of data since (µs).
    Stalled(u64),
    Ended,
}

/// What one viewer saw.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Watched {
    /// Time of the first frame (µs).
    pub(super) first_frame: Option<u64>,
    pub(super) rebuffers: u32,
    pub(super) rebuffer_micros: u64,
    /// Media time played (µs).
    pub(super) played_micros: i64,
    /// Appended bytes that the origin would not have served there.
    pub(super) corrupt_bytes: u64,
    pub(super) appended_bytes: u64,
    pub(super) quota_failures: u32,
    pub(super) ended: bool,
}

/// What a viewer sees at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Virtual second.
    pub at: f64,
    /// Seconds buffered ahead.
    pub ahead: f64,
    /// The variant on screen, while it plays.
    pub variant: Option<u32>,
}

/// How a command ended, and what is buffered then, in seconds.
pub(super) type Finished = (Result<(), MediaFailure>, Vec<Range<f64>>);

/// A media element and its source buffers.
pub(super) struct Element {
    tracks: Vec<Track>,
    /// The command in progress on the main track and how it ends.
    pending: Option<Result<(), MediaFailure>>,
    opening: u8,
    demuxer: Demuxer,
    variant: Option<u32>,
    shift: i64,
    runs: Vec<Run>,
    quota: Option<i64>,
    duration: i64,
    end_of_stream: bool,
    state: State,
    position: i64,
    at: u64,
    rate: f64,
    paused: bool,
    seeking: bool,
    pub(super) watched: Watched,
    /// How long the viewer waited after each seek of theirs (µs), and when the last one began.
    pub(super) seek_waits: Vec<u64>,
    sought_at: Option<u64>,
    /// The page has to be told of the playhead at once.
    pub(super) changed: bool,
    /// Where the core broke its contract.
    pub(super) violations: Vec<String>,
}

const fn micros(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

const fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

impl Element {
    pub(super) const fn new(now: u64, quota: Option<u64>, rate: f64) -> Self {
        Self {
            tracks: Vec::new(),
            pending: None,
            opening: 0,
            demuxer: Demuxer::Head(Vec::new()),
            variant: None,
            shift: 0,
            runs: Vec::new(),
            quota: match quota {
                Some(bytes) => Some(bytes as i64),
                None => None,
            },
            duration: i64::MAX,
            end_of_stream: false,
            state: State::Waiting,
            position: 0,
            at: now,
            rate,
            paused: false,
            seeking: false,
            seek_waits: Vec::new(),
            sought_at: None,
            watched: Watched {
                first_frame: None,
                rebuffers: 0,
                rebuffer_micros: 0,
                played_micros: 0,
                corrupt_bytes: 0,
                appended_bytes: 0,
                quota_failures: 0,
                ended: false,
            },
            changed: false,
            violations: Vec::new(),
        }
    }

    /// Does what the core says; the track that owes a `MediaDone` or `MediaFailed`, if any.
    pub(super) fn command(
        &mut self,
        title: &Title,
        now: u64,
        command: MediaCommand,
    ) -> Option<Track> {
        self.advance(now);
        let track = match command {
            MediaCommand::Open(tracks) => {
                self.tracks = tracks.into_iter().map(|(track, _)| track).collect();
                self.opening = self.tracks.len() as u8;
                self.pending = None;
                self.runs.clear();
                self.demuxer = Demuxer::Head(Vec::new());
                // A position set before there is any media is where playback will begin; one set in
                // the media before is gone with it.
                if self.variant.take().is_some() {
                    self.position = 0;
                    self.seeking = false;
                }
                self.duration = i64::MAX;
                self.shift = 0;
                self.end_of_stream = false;
                self.state = State::Waiting;
                None
            }
            MediaCommand::SetDuration(to) => {
                self.duration = if to.is_finite() { micros(to) } else { i64::MAX };
                None
            }
            MediaCommand::SetLiveSeekable(..) => None,
            MediaCommand::Append { track, data, timestamp_offset } => {
                self.begin(track, "Append");
                let outcome = self.append(title, &data, timestamp_offset);
                self.pending = Some(outcome);
                Some(track)
            }
            MediaCommand::ResetParser(track) => {
                self.begin(track, "ResetParser");
                self.demuxer = Demuxer::Head(Vec::new());
                self.pending = Some(Ok(()));
                Some(track)
            }
            MediaCommand::ChangeType(track, _) => {
                self.begin(track, "ChangeType");
                self.demuxer = Demuxer::Head(Vec::new());
                self.pending = Some(Ok(()));
                Some(track)
            }
            MediaCommand::Remove(track, from, to) => {
                self.begin(track, "Remove");
                if from.is_nan() || to <= from {
                    self.violations.push(format!("Remove({from}, {to}) removes nothing"));
                }
                self.cut(micros(from), if to.is_finite() { micros(to) } else { i64::MAX });
                self.pending = Some(Ok(()));
                Some(track)
            }
            MediaCommand::EndOfStream => {
                self.end_of_stream = true;
                self.duration = self.runs.last().map_or(0, |run| run.end);
                None
            }
            MediaCommand::Seek(to) => {
                self.seek(now, to);
                None
            }
            MediaCommand::SetRate(rate) => {
                self.changed |= rate.to_bits() != self.rate.to_bits();
                self.rate = rate;
                None
            }
        };
        self.settle(now);
        track
    }

    /// Sets `currentTime`, for the core or for the viewer.
    pub(super) fn seek(&mut self, now: u64, to: f64) {
        self.advance(now);
        if !to.is_finite() {
            self.violations.push(format!("seek to {to}"));
            return;
        }
        if let State::Stalled(since) = self.state {
            self.watched.rebuffer_micros += now - since;
        }
        self.position = micros(to).clamp(0, self.duration.max(0));
        self.seeking = self.variant.is_some();
        self.state = State::Waiting;
        self.changed = true;
        self.settle(now);
    }

    /// Sets `currentTime`, for the viewer: how long they wait is noted.
    pub(super) fn seek_by_viewer(&mut self, now: u64, to: f64) {
        self.sought_at = Some(now);
        self.seek(now, to);
    }

    /// Pauses or plays, for the viewer.
    pub(super) fn pause(&mut self, now: u64, paused: bool) {
        self.advance(now);
        self.changed |= self.paused != paused;
        self.paused = paused;
        if paused && self.state == State::Playing {
            self.state = State::Waiting;
        }
        self.settle(now);
    }

    /// How the command in progress on `track` ended, and the track's buffered ranges.
    pub(super) fn finish(&mut self) -> Option<Finished> {
        let outcome = if self.opening > 0 {
            self.opening -= 1;
            Ok(())
        } else {
            self.pending.take()?
        };
        Some((outcome, self.buffered().map(|(a, b)| seconds(a)..seconds(b)).collect()))
    }

    /// Tracks of the last `Open`.
    pub(super) fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The element's state as the page reads it.
    pub(super) fn playhead(&mut self, now: u64, wall_clock_ms: f64) -> Playhead {
        self.advance(now);
        let ahead = self.ahead();
        let ready_state = match ahead {
            _ if self.variant.is_none() => 0,
            None => 1,
            Some(_) if self.end_of_stream => 4,
            Some(..40_000) => 2,
            Some(..2_000_000) => 3,
            Some(_) => 4,
        };
        Playhead {
            position: seconds(self.position),
            rate: self.rate,
            paused: self.paused || self.state == State::Ended,
            seeking: self.seeking,
            ready_state,
            wall_clock_ms,
        }
    }

    /// Stream time at the playhead (s), while it plays.
    pub(super) fn stream_time(&self, title: &Title) -> Option<f64> {
        if self.state != State::Playing {
            return None;
        }
        let index = self.runs.partition_point(|run| run.start <= self.position);
        let run = self.runs[..index].last()?;
        Some(seconds(self.position - run.shift) - title.timestamp_origin)
    }

    /// Whether it is out of data now, since when (µs).
    pub(super) const fn stalled_since(&self) -> Option<u64> {
        match self.state {
            State::Stalled(since) => Some(since),
            _ => None,
        }
    }

    /// The playhead, in seconds.
    pub(super) const fn position(&self) -> f64 {
        seconds(self.position)
    }

    /// What is seen now.
    pub(super) fn sample(&self, now: u64) -> Sample {
        let index = self.runs.partition_point(|run| run.start <= self.position);
        let run = self.runs[..index].last().filter(|_| self.state == State::Playing);
        let variant = run.map(|run| run.variant);
        Sample { at: now as f64 / 1e6, ahead: self.buffer_ahead(), variant }
    }

    /// Seconds that can be played without another byte.
    pub(super) fn buffer_ahead(&self) -> f64 {
        seconds(self.ahead().unwrap_or(0))
    }

    /// Lets time pass: a stall or the end is noted at the moment it happened.
    pub(super) fn advance(&mut self, now: u64) {
        let elapsed = now.saturating_sub(self.at);
        let from = self.at;
        self.at = now;
        if self.state != State::Playing || elapsed == 0 {
            return;
        }
        let step = (elapsed as f64 * self.rate) as i64;
        let ahead = self.ahead().unwrap_or(0);
        if step < ahead {
            self.position += step;
            self.watched.played_micros += step;
            return;
        }
        self.position += ahead;
        self.watched.played_micros += ahead;
        if self.position + 50_000 >= self.duration {
            self.state = State::Ended;
            self.watched.ended = true;
            self.changed = true;
        } else {
            let after = if self.rate > 0.0 { (ahead as f64 / self.rate) as u64 } else { elapsed };
            self.state = State::Stalled(from + after);
            self.watched.rebuffers += 1;
            self.changed = true;
        }
    }

    /// Begins or goes on playing when there is enough.
    fn settle(&mut self, now: u64) {
        if self.paused || matches!(self.state, State::Playing | State::Ended) && !self.seeking {
            return;
        }
        let Some(ahead) = self.ahead() else { return };
        let whole = self.position + ahead + 50_000 >= self.duration;
        if ahead < START_AHEAD && !(whole && ahead > 0) {
            return;
        }
        if let State::Stalled(since) = self.state {
            self.watched.rebuffer_micros += now - since;
        }
        if let Some(at) = self.sought_at.take() {
            self.seek_waits.push(now - at);
        }
        self.changed |= self.state != State::Playing;
        self.seeking = false;
        self.state = State::Playing;
        self.at = now;
        self.watched.first_frame.get_or_insert(now);
    }

    /// Buffered time from the playhead on (µs), `None` when it stands in no range.
    fn ahead(&self) -> Option<i64> {
        let position = self.position;
        self.buffered()
            .find(|(start, end)| *start <= position + GAP && position <= *end)
            .map(|(_, end)| end - position)
    }

    fn buffered(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        let mut runs = self.runs.iter().peekable();
        std::iter::from_fn(move || {
            let first = runs.next()?;
            let mut end = first.end;
            while let Some(next) = runs.next_if(|next| next.start <= end + GAP) {
                end = end.max(next.end);
            }
            Some((first.start, end))
        })
    }

    fn begin(&mut self, track: Track, what: &str) {
        if !self.tracks.contains(&track) {
            self.violations.push(format!("{what} on {track:?}, which is not open"));
        }
        if self.opening > 0 || self.pending.is_some() {
            self.violations
                .push(format!("{what} on {track:?} while another command is in progress"));
        }
    }

    fn append(
        &mut self,
        title: &Title,
        data: &Bytes,
        offset: Option<f64>,
    ) -> Result<(), MediaFailure> {
        self.end_of_stream = false;
        if let Some(offset) = offset {
            let shift = micros(offset);
            if shift != self.shift && matches!(self.demuxer, Demuxer::Data { .. }) {
                self.violations.push("timestampOffset changed inside a segment".to_owned());
            }
            self.shift = shift;
        }
        if let Some(quota) = self.quota {
            self.make_room(quota - data.len() as i64);
            if self.runs.iter().map(|run| run.bytes).sum::<i64>() + data.len() as i64 > quota {
                self.watched.quota_failures += 1;
                return Err(MediaFailure::QuotaExceeded);
            }
        }
        self.watched.appended_bytes += data.len() as u64;
        let mut rest = data.as_ref();
        while !rest.is_empty() {
            match &mut self.demuxer {
                Demuxer::Head(collected) => {
                    let wanted = match collected.get(4..8).or_else(|| rest.get(4..8)) {
                        Some(b"ftyp") => title.init(0).len(),
                        Some(b"moof") => HEAD_BYTES,
                        None => 8,
                        Some(_) => {
                            self.watched.corrupt_bytes += rest.len() as u64;
                            return Err(MediaFailure::Decode("unknown box".to_owned()));
                        }
                    };
                    let take = wanted.saturating_sub(collected.len()).min(rest.len());
                    collected.extend_from_slice(&rest[..take]);
                    rest = &rest[take..];
                    if collected.len() >= wanted && wanted > 8 {
                        let collected = std::mem::take(collected);
                        self.head(title, &collected)?;
                    }
                }
                Demuxer::Data { head, sequence, at } => {
                    let take = (head.segment_bytes() - *at).min(rest.len());
                    let variant = self.variant.unwrap_or(0);
                    if !title.matches(variant, *sequence, *at, &rest[..take]) {
                        self.watched.corrupt_bytes += take as u64;
                    }
                    let (head, sequence, from) = (*head, *sequence, *at);
                    *at += take;
                    rest = &rest[take..];
                    if from + take == head.segment_bytes() {
                        self.demuxer = Demuxer::Head(Vec::new());
                    }
                    let end = from + take;
                    if !title.muxed {
                        self.buffer(&head, sequence, from, end);
                    } else if end == head.segment_bytes() {
                        self.buffer(&head, sequence, HEAD_BYTES, end);
                    }
                }
            }
        }
        Ok(())
    }

    /// An init section, or a segment's head, has come.
    fn head(&mut self, title: &Title, data: &[u8]) -> Result<(), MediaFailure> {
        let wrong = |element: &mut Self, what: &str| {
            element.watched.corrupt_bytes += data.len() as u64;
            Err(MediaFailure::Decode(what.to_owned()))
        };
        if &data[4..8] == b"ftyp" {
            let variants = 0..title.bitrates.len() as u32;
            let Some(variant) = variants.into_iter().find(|v| title.init(*v) == data) else {
                return wrong(self, "an init section of no variant");
            };
            if self.variant.replace(variant).is_none() && self.position > 0 {
                self.seeking = true;
                self.changed = true;
            }
            return Ok(());
        }
        let Some(head) = SegmentHead::read(data) else {
            return wrong(self, "a segment's head does not parse");
        };
        let Some(variant) = self.variant else {
            return wrong(self, "a segment before any init section");
        };
        let origin = (title.timestamp_origin * f64::from(TIMESCALE)) as u64;
        let ticks = (title.unit_seconds() * f64::from(TIMESCALE)).round() as u64;
        let sequence = head.decode_time.saturating_sub(origin) / ticks;
        if head != title.head(variant, sequence) {
            return wrong(self, "a segment's head is not what the origin serves for this variant");
        }
        self.demuxer = Demuxer::Data { head, sequence, at: HEAD_BYTES };
        Ok(())
    }

    /// Bytes `from..to` of a segment have come: whole samples become playable.
    fn buffer(&mut self, head: &SegmentHead, sequence: u64, from: usize, to: usize) {
        let sample = head.sample_bytes as usize;
        let (first, last) = ((from - HEAD_BYTES) / sample, (to - HEAD_BYTES) / sample);
        if first == last {
            return;
        }
        let time = |index: usize| {
            let ticks = head.decode_time + index as u64 * u64::from(head.sample_duration);
            (ticks as i128 * 1_000_000 / i128::from(TIMESCALE)) as i64 + self.shift
        };
        let run = Run {
            start: time(first),
            end: time(last),
            bytes: ((last - first) * sample) as i64,
            variant: self.variant.unwrap_or(0),
            sequence,
            shift: self.shift,
        };
        self.cut(run.start, run.end);
        let index = self.runs.partition_point(|other| other.start < run.start);
        if let Some(before) = index.checked_sub(1).map(|index| &mut self.runs[index])
            && before.end == run.start
            && (before.sequence, before.variant, before.shift)
                == (run.sequence, run.variant, run.shift)
        {
            before.end = run.end;
            before.bytes += run.bytes;
        } else {
            self.runs.insert(index, run);
        }
    }

    /// Forgets what is buffered between two times.
    fn cut(&mut self, from: i64, to: i64) {
        let mut index = self.runs.partition_point(|run| run.end <= from);
        while let Some(run) = self.runs.get_mut(index).filter(|run| run.start < to) {
            let old = *run;
            let share = |part: i64| old.bytes * part / (old.end - old.start);
            match (old.start < from, old.end > to) {
                (false, false) => {
                    self.runs.remove(index);
                    continue;
                }
                (true, false) => {
                    run.end = from;
                    run.bytes = share(from - old.start);
                }
                (false, true) => {
                    run.start = to;
                    run.bytes = share(old.end - to);
                }
                (true, true) => {
                    run.end = from;
                    run.bytes = share(from - old.start);
                    let tail = Run { start: to, bytes: share(old.end - to), ..old };
                    self.runs.insert(index + 1, tail);
                    return;
                }
            }
            index += 1;
        }
    }

    /// Forgets played segments from the front until at most `limit` bytes are left, as browsers do
    /// before they refuse an append.
    fn make_room(&mut self, limit: i64) {
        let mut held: i64 = self.runs.iter().map(|run| run.bytes).sum();
        while held > limit
            && let Some(run) = self.runs.first().filter(|run| run.end + 1_000_000 < self.position)
        {
            held -= run.bytes;
            self.runs.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Rig {
        title: Title,
        element: Element,
        now: u64,
    }

    impl Rig {
        fn new(quota: Option<u64>) -> Self {
            let title = Title::new(vec![1_000_000, 2_000_000], 4.0, Some(60.0));
            let mut rig = Self { title, element: Element::new(0, quota, 1.0), now: 0 };
            rig.command(MediaCommand::Open(vec![(Track::Main, "video/mp4".to_owned())]));
            rig.element.finish();
            rig.command(MediaCommand::SetDuration(60.0));
            rig.append(rig.title.init(0), None).unwrap();
            rig
        }

        fn command(&mut self, command: MediaCommand) -> Option<Track> {
            self.element.command(&self.title, self.now, command)
        }

        fn append(&mut self, data: Vec<u8>, offset: Option<f64>) -> Result<(), MediaFailure> {
            let data = Bytes::from(data);
            let append =
                MediaCommand::Append { track: Track::Main, data, timestamp_offset: offset };
            assert_eq!(self.command(append), Some(Track::Main));
            self.element.finish().unwrap().0
        }

        fn segment(&self, variant: u32, sequence: u64) -> Vec<u8> {
            let head = Bytes::from(self.title.head(variant, sequence).write());
            let size = self.title.segment_bytes(variant, sequence);
            let mut out = Vec::new();
            self.title.slices((variant, sequence), &head, 0, size, |b| out.extend_from_slice(&b));
            out
        }

        fn at(&mut self, seconds: f64) -> Playhead {
            self.now = (seconds * 1e6) as u64;
            self.element.playhead(self.now, 0.0)
        }

        fn buffered(&self) -> Vec<(i64, i64)> {
            self.element.buffered().collect()
        }
    }

    #[test]
    fn it_plays_what_is_buffered_stalls_and_goes_on() {
        let mut rig = Rig::new(None);
        assert_eq!(rig.at(1.0).ready_state, 1);
        let segment = rig.segment(0, 0);
        rig.append(segment[..60_000].to_vec(), Some(-10.0)).unwrap();
        assert_eq!(rig.element.watched.first_frame, Some(1_000_000), "a part of a segment plays");
        rig.append(segment[60_000..].to_vec(), None).unwrap();
        assert_eq!(rig.buffered(), [(0, 4_000_000)]);
        let playhead = rig.at(4.0);
        assert!((playhead.position - 3.0).abs() < 1e-6);
        let playhead = rig.at(7.0);
        assert!((playhead.position - 4.0).abs() < 1e-6, "it stands at the end of the buffer");
        assert_eq!(rig.element.watched.rebuffers, 1);
        assert_eq!(rig.element.stalled_since(), Some(5_000_000));
        rig.append(rig.segment(0, 1), None).unwrap();
        assert_eq!(rig.element.watched.rebuffer_micros, 2_000_000);
        assert!((rig.at(8.0).position - 5.0).abs() < 1e-6);
        assert_eq!(rig.element.watched.corrupt_bytes, 0);
        assert!(rig.element.violations.is_empty());
    }

    #[test]
    fn the_end_is_no_rebuffer() {
        let mut rig = Rig::new(None);
        for sequence in 0..15 {
            rig.append(rig.segment(0, sequence), Some(-10.0)).unwrap();
        }
        rig.command(MediaCommand::EndOfStream);
        let playhead = rig.at(100.0);
        assert!(playhead.paused && (playhead.position - 60.0).abs() < 1e-6);
        assert!(rig.element.watched.ended);
        assert_eq!(rig.element.watched.rebuffers, 0);
    }

    #[test]
    fn wrong_bytes_are_seen() {
        let mut rig = Rig::new(None);
        let mut bad = rig.segment(0, 0);
        bad[300_000] ^= 1;
        rig.append(bad, Some(-10.0)).unwrap();
        assert!(rig.element.watched.corrupt_bytes > 0);
        // The other variant's segment behind this variant's init section.
        assert!(matches!(rig.append(rig.segment(1, 1), None), Err(MediaFailure::Decode(_))));
        let mut rig = Rig::new(None);
        assert!(matches!(rig.append(vec![0x3c; 500], None), Err(MediaFailure::Decode(_))));
        // A segment with its second half exchanged for another segment's.
        let mut rig = Rig::new(None);
        let (mut a, b) = (rig.segment(0, 0), rig.segment(0, 1));
        a[200_000..].copy_from_slice(&b[200_000..]);
        rig.append(a, Some(-10.0)).unwrap();
        assert!(rig.element.watched.corrupt_bytes > 0);
    }

    #[test]
    fn removing_cuts_ranges_and_seeking_waits_for_data() {
        let mut rig = Rig::new(None);
        for sequence in 0..5 {
            rig.append(rig.segment(0, sequence), Some(-10.0)).unwrap();
        }
        rig.command(MediaCommand::Remove(Track::Main, 6.0, 10.0));
        rig.element.finish();
        assert_eq!(rig.buffered(), [(0, 6_000_000), (10_000_000, 20_000_000)]);
        rig.element.changed = false;
        rig.command(MediaCommand::Seek(8.0));
        assert!(rig.element.changed);
        assert!(rig.at(1.0).seeking);
        rig.append(rig.segment(0, 2), None).unwrap();
        assert!(!rig.at(1.0).seeking);
        assert!((rig.at(3.0).position - 10.0).abs() < 1e-6);
        assert_eq!(rig.element.watched.rebuffers, 0, "waiting for a seek is none");
    }

    #[test]
    fn a_position_set_before_the_media_opens_is_where_it_begins() {
        let mut rig = Rig::new(None);
        rig.element = Element::new(0, None, 1.0);
        rig.command(MediaCommand::Seek(20.0));
        rig.command(MediaCommand::Open(vec![(Track::Main, "video/mp4".to_owned())]));
        rig.element.finish();
        assert!(!rig.at(0.5).seeking);
        rig.append(rig.title.init(0), None).unwrap();
        assert!(rig.at(1.0).seeking, "with the metadata it seeks there");
        rig.append(rig.segment(0, 5), Some(-10.0)).unwrap();
        assert!((rig.at(2.0).position - 21.0).abs() < 1e-6);
        rig.command(MediaCommand::Open(vec![(Track::Main, "video/mp4".to_owned())]));
        assert!(rig.at(2.0).position == 0.0, "other media begins at its beginning");
    }

    #[test]
    fn a_full_buffer_refuses_and_makes_room_behind_the_playhead() {
        let mut rig = Rig::new(Some(1_200_000));
        rig.append(rig.segment(0, 0), Some(-10.0)).unwrap();
        rig.append(rig.segment(0, 1), None).unwrap();
        assert_eq!(rig.append(rig.segment(0, 2), None), Err(MediaFailure::QuotaExceeded));
        rig.at(5.5);
        rig.append(rig.segment(0, 2), None).unwrap();
        assert_eq!(rig.buffered(), [(4_000_000, 12_000_000)]);
        assert_eq!(rig.element.watched.quota_failures, 1);
    }

    #[test]
    fn a_second_command_in_progress_is_a_violation() {
        let mut rig = Rig::new(None);
        rig.command(MediaCommand::Remove(Track::Main, 0.0, 1.0));
        rig.command(MediaCommand::Remove(Track::Main, 1.0, 2.0));
        assert_eq!(rig.element.violations.len(), 1);
    }
}
