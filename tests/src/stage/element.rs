//! A media element with up to two source buffers. Each segment begins with its only random access point, so what is
//! removed in a segment's middle is removed to its end, as Media Source Extensions have it.

use player_core::io::{MediaCommand, MediaFailure, Playhead, Track};
use std::fmt;
use std::ops::Range;

use crate::simulation::fmp4::{HEAD_BYTES, SegmentHead, TIMESCALE};

/// Holes up to this many seconds are played over.
const TOLERANCE: f64 = 0.05;
/// What has to be there for playback to go on, in seconds.
const START: f64 = 0.1;

type Outcome = Result<(), MediaFailure>;

#[derive(Default)]
struct Buffer {
    rest: Vec<u8>,
    /// Segments: start, end, bytes.
    runs: Vec<(f64, f64, u64)>,
    offset: f64,
    mime: String,
}

/// The element.
#[derive(Default)]
pub struct Element {
    buffers: Vec<(Track, Buffer)>,
    position: f64,
    at: f64,
    /// Set by the viewer.
    pub paused: bool,
    seeking: bool,
    failed: bool,
    duration: f64,
    ended: bool,
    /// It has begun, as it does by itself once it can play.
    begun: bool,
    /// What it fires events for, as last seen.
    told: (u8, bool, bool),
    opened: bool,
    /// Seconds of media that were played.
    pub played: f64,
    /// Times that playback stood still after it had begun, but for seeks.
    pub stalls: u32,
    /// Bytes that a source buffer takes; 0 for no limit.
    pub quota: u64,
    /// Appends that were refused for that.
    pub refused: u32,
    /// Media times (s) whose frames the browser cannot decode.
    pub poison: Vec<Range<f64>>,
    /// The decoder sticks here until the playhead is set beyond it, or for good with `u32::MAX`: position, seeks.
    pub stuck: Option<(f64, u32)>,
    /// MIME types: of `Open` and of `ChangeType`, in order.
    pub types: Vec<String>,
    /// Times that a media source was opened.
    pub opens: u32,
    /// The playhead was inside what a removal took.
    pub removed_playhead: bool,
    /// The furthest that a source buffer ever reached behind the playhead, in seconds.
    pub longest_back: f64,
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges: Vec<_> = self.buffers.iter().map(|(track, _)| self.buffered(*track)).collect();
        write!(f, "position {} seeking {} buffered {ranges:?}", self.position, self.seeking)?;
        write!(f, " played {} stalls {} opens {}", self.played, self.stalls, self.opens)?;
        write!(f, " types {:?}", self.types)
    }
}

impl Element {
    /// `currentTime`.
    #[must_use]
    pub const fn position(&self) -> f64 {
        self.position
    }

    /// Whether the end was played.
    #[must_use]
    pub fn at_end(&self) -> bool {
        self.ended && self.position >= self.end() - 0.1 && self.end() > 0.0
    }

    /// What a track has.
    #[must_use]
    pub fn buffered(&self, track: Track) -> Vec<Range<f64>> {
        let mut ranges: Vec<Range<f64>> = Vec::new();
        let Some((_, buffer)) = self.buffers.iter().find(|(known, _)| *known == track) else {
            return ranges;
        };
        let mut runs = buffer.runs.clone();
        runs.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (start, end, _) in runs {
            match ranges.last_mut() {
                Some(last) if start <= last.end + 0.001 => last.end = last.end.max(end),
                _ => ranges.push(start..end),
            }
        }
        ranges
    }

    /// Where each of a track's segments begins, in seconds.
    #[must_use]
    pub fn starts(&self, track: Track) -> Vec<f64> {
        let found = self.buffers.iter().find(|(known, _)| *known == track);
        let mut starts: Vec<f64> =
            found.map_or(Vec::new(), |(_, buffer)| buffer.runs.iter().map(|run| run.0).collect());
        starts.sort_by(f64::total_cmp);
        starts
    }

    /// Bytes that a source buffer holds, the fullest.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let bytes = |buffer: &Buffer| buffer.runs.iter().map(|run| run.2).sum::<u64>();
        self.buffers.iter().map(|(_, buffer)| bytes(buffer)).max().unwrap_or(0)
    }

    /// What the page says of it.
    pub(super) fn playhead(&mut self) -> Playhead {
        let ahead = self.ahead();
        let stuck = self.stuck.is_some_and(|(at, _)| self.position >= at);
        let ready = match ahead {
            _ if !self.opened || self.buffers.iter().all(|(_, buffer)| buffer.runs.is_empty()) => 0,
            a if a <= 0.0 => 1,
            _ if stuck => 2,
            a if a < START && !self.ended => 2,
            _ => 4,
        };
        Playhead {
            position: self.position,
            rate: 1.0,
            paused: self.stands(),
            seeking: self.seeking,
            ready_state: ready,
            wall_clock_ms: 1_767_225_600_000.0 + self.at * 1000.0,
        }
    }

    /// Whether the page says nothing of it until something happens.
    pub(super) fn stands(&self) -> bool {
        self.paused || !self.begun || self.at_end()
    }

    /// Whether it has fired an event since the last look.
    pub(super) fn changed(&mut self) -> bool {
        let Playhead { ready_state, seeking, paused, .. } = self.playhead();
        let now = (ready_state, seeking, paused);
        std::mem::replace(&mut self.told, now) != now
    }

    pub(super) fn seek(&mut self, to: f64) {
        self.position = to.max(0.0);
        self.seeking = self.opened;
        if let Some((at, seeks)) = &mut self.stuck
            && *seeks < u32::MAX
        {
            *seeks = seeks.saturating_sub(1);
            if *seeks == 0 || to < *at {
                self.stuck = None;
            }
        }
    }

    pub(super) const fn wake(&mut self, now: f64) {
        self.at = now;
    }

    pub(super) fn advance(&mut self, now: f64) {
        let elapsed = now - self.at;
        self.at = now;
        let mut ahead = self.ahead();
        if let Some((at, _)) = self.stuck {
            ahead = ahead.min((at - self.position).max(0.0));
        }
        self.begun |= ahead >= START || self.ended && ahead > 0.0;
        if self.paused || self.failed || elapsed <= 0.0 {
            return;
        }
        if self.seeking {
            self.seeking = ahead < START && !(self.ended && ahead > 0.0);
            return;
        }
        if ahead <= 0.0 {
            return;
        }
        let step = elapsed.min(ahead);
        let behind = self.position;
        self.position += step;
        self.played += step;
        if ahead - elapsed <= 0.0 && behind > 0.0 && !self.at_end() {
            self.stalls += 1;
        }
        for (_, buffer) in &self.buffers {
            for run in &buffer.runs {
                self.longest_back = self.longest_back.max(self.position - run.0);
            }
        }
    }

    /// Does what the core says; how it ended, for each track that wants to know.
    pub(super) fn command(&mut self, command: MediaCommand) -> Vec<(Track, Outcome)> {
        let broken = || Err(MediaFailure::Decode("the element has an error".to_owned()));
        match command {
            MediaCommand::Open(tracks) => {
                self.opens += 1;
                self.opened = true;
                self.failed = false;
                self.ended = false;
                self.position = 0.0;
                self.seeking = false;
                if self.opens > 1 && self.stuck.is_some_and(|(_, seeks)| seeks < u32::MAX) {
                    self.stuck = None;
                }
                self.types.extend(tracks.iter().map(|(_, mime)| mime.clone()));
                let buffer = |mime| Buffer { mime, ..Buffer::default() };
                self.buffers =
                    tracks.into_iter().map(|(track, mime)| (track, buffer(mime))).collect();
                self.buffers.iter().map(|(track, _)| (*track, Ok(()))).collect()
            }
            MediaCommand::SetDuration(to) => {
                self.duration = to;
                Vec::new()
            }
            MediaCommand::Append { track, data, timestamp_offset } => {
                let outcome = if self.failed { broken() } else { Ok(()) };
                let outcome = outcome.and_then(|()| self.append(track, &data, timestamp_offset));
                self.failed |= matches!(outcome, Err(MediaFailure::Decode(_)));
                vec![(track, outcome)]
            }
            MediaCommand::Remove(track, from, to) => {
                self.remove(track, from, to);
                vec![(track, if self.failed { broken() } else { Ok(()) })]
            }
            MediaCommand::ResetParser(track) => {
                self.buffer(track).rest.clear();
                vec![(track, if self.failed { broken() } else { Ok(()) })]
            }
            MediaCommand::ChangeType(track, mime) => {
                self.types.push(mime.clone());
                let buffer = self.buffer(track);
                buffer.rest.clear();
                buffer.mime = mime;
                vec![(track, if self.failed { broken() } else { Ok(()) })]
            }
            MediaCommand::EndOfStream => {
                self.ended = true;
                Vec::new()
            }
            MediaCommand::Seek(to) => {
                self.seek(to);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn buffer(&mut self, track: Track) -> &mut Buffer {
        let found = self.buffers.iter_mut().find(|(known, _)| *known == track);
        &mut found.expect("the core uses what it has opened").1
    }

    fn end(&self) -> f64 {
        let ends = self.buffers.iter().flat_map(|(_, buffer)| &buffer.runs).map(|run| run.1);
        ends.fold(0.0, f64::max)
    }

    /// Seconds that all tracks can play.
    fn ahead(&self) -> f64 {
        let position = self.position;
        let of = |track: Track| {
            let mut at = position;
            for range in self.buffered(track) {
                if range.start <= at + TOLERANCE && at < range.end {
                    at = range.end;
                }
            }
            at - position
        };
        let tracks = self.buffers.iter().map(|(track, _)| of(*track));
        let ahead = tracks.fold(f64::INFINITY, f64::min);
        if ahead.is_finite() { ahead } else { 0.0 }
    }

    fn append(&mut self, track: Track, data: &[u8], offset: Option<f64>) -> Outcome {
        let quota = self.quota;
        let poison = self.poison.clone();
        let buffer = self.buffer(track);
        let held: u64 = buffer.runs.iter().map(|run| run.2).sum();
        if quota > 0 && held + data.len() as u64 > quota {
            self.refused += 1;
            return Err(MediaFailure::QuotaExceeded);
        }
        if let Some(offset) = offset {
            buffer.offset = offset;
        }
        buffer.rest.extend_from_slice(data);
        loop {
            let rest = &buffer.rest;
            let Some(kind) = rest.get(4..8) else { return Ok(()) };
            let word = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
            if kind != b"moof" {
                if ![&b"ftyp"[..], b"moov", b"free", b"styp"].contains(&kind) {
                    return Err(MediaFailure::Decode("no box".to_owned()));
                }
                if rest.len() < word {
                    return Ok(());
                }
                buffer.rest.drain(..word);
                continue;
            }
            let Some(head) = rest.get(..HEAD_BYTES) else { return Ok(()) };
            let Some(head) = SegmentHead::read(head) else {
                return Err(MediaFailure::Decode("no segment".to_owned()));
            };
            let start = head.decode_time as f64 / f64::from(TIMESCALE);
            if poison.iter().any(|range| range.contains(&start)) {
                return Err(MediaFailure::Decode("poison".to_owned()));
            }
            let start = start + buffer.offset;
            let each = f64::from(head.sample_duration) / f64::from(TIMESCALE);
            let came = (rest.len() - HEAD_BYTES) / head.sample_bytes as usize;
            let samples = came.min(head.samples as usize);
            let end = start + samples as f64 * each;
            let size = (samples * head.sample_bytes as usize) as u64;
            // New frames replace those at their time.
            buffer.runs.retain(|run| run.0 < start - 0.001 || run.0 >= end - 0.001);
            for run in &mut buffer.runs {
                if run.0 < start && run.1 > start {
                    run.1 = start;
                }
            }
            if samples > 0 {
                buffer.runs.push((start, end, size));
            }
            if rest.len() < head.segment_bytes() {
                return Ok(());
            }
            buffer.rest.drain(..head.segment_bytes());
        }
    }

    fn remove(&mut self, track: Track, from: f64, to: f64) {
        let position = self.position;
        let mut removed_playhead = false;
        let buffer = self.buffer(track);
        for run in &mut buffer.runs {
            if run.1 <= from || run.0 >= to {
                continue;
            }
            // To the next random access point: all of the segment from there.
            let cut = run.0.max(from);
            removed_playhead |= (cut..run.1).contains(&position);
            let share = (cut - run.0) / (run.1 - run.0);
            *run = (run.0, cut, (run.2 as f64 * share) as u64);
        }
        buffer.runs.retain(|run| run.1 > run.0 + 0.001);
        self.removed_playhead |= removed_playhead;
    }
}
