//! One source buffer: what it holds, and what is appended next.

use std::time::Duration;

use bytes::Bytes;

use super::prepare::{Part, Prepared, Stage};
use super::title::{InitKey, List};
use crate::buffer::Ranges;
use crate::io::{JobId, Track, TransmuxedInit};
use crate::time::Instant;
use crate::wire::SegmentId;

/// After a full buffer, appending waits this long.
const QUOTA_PAUSE: Duration = Duration::from_secs(1);

/// The segment that is appended next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Its media sequence number, in the track's list.
    pub(super) sequence: u64,
    /// Bytes of it that have been appended.
    pub(super) offset: u32,
}

impl Cursor {
    /// The one behind what was appended: at this offset, or at the list's next segment.
    pub(super) fn behind(self, list: &List, offset: u32, ends: bool) -> Self {
        if ends {
            Self { sequence: list.next(self.sequence), offset: 0 }
        } else {
            Self { offset, ..self }
        }
    }
}

/// A change of rendition that takes place at a point of the timeline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Switch {
    /// Place of its playlist in the title's lists.
    pub(super) list: usize,
    /// Segments that start from here on (s) are of the new rendition; `None` until its playlist is there.
    pub(super) at: Option<f64>,
}

/// What is being done to the source buffer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Doing {
    /// Opening, trimming, resetting, changing type.
    Other,
    /// Appending an init section.
    Init(InitKey),
    /// Appending an init section of a transmuxed segment.
    OwnInit(Bytes),
    /// Appending this many bytes of the cursor's segment; `last` with its end.
    Media { bytes: u32, last: bool },
}

/// Where a transmuxed segment went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Placed {
    pub(super) segment: SegmentId,
    /// What was added to its times.
    pub(super) offset: f64,
    /// Where it begins on the timeline.
    pub(super) start: f64,
    /// What the playlist says of its length.
    pub(super) duration: f64,
}

/// One source buffer.
#[derive(Debug)]
pub(super) struct TrackState {
    pub(super) track: Track,
    /// Place of the playlist in use in the title's lists.
    pub(super) list: usize,
    pub(super) switch: Option<Switch>,
    pub(super) cursor: Option<Cursor>,
    /// MIME type of the source buffer; empty until it is known.
    pub(super) mime: String,
    /// The source buffer was asked for.
    pub(super) opening: bool,
    /// The source buffer is there.
    pub(super) open: bool,
    /// A command is in progress.
    pub(super) busy: bool,
    pub(super) doing: Doing,
    /// The parser has seen part of a segment that will not be finished.
    pub(super) reset_needed: bool,
    /// Another list has taken the place of the one that the source buffer was opened for.
    pub(super) switched: bool,
    /// The init section the parser has.
    pub(super) init: Option<InitKey>,
    /// The next segment or part of it, decrypted or transmuxed.
    pub(super) prepared: Option<Prepared>,
    /// The last segment that was transmuxed.
    pub(super) transmuxed_last: Option<SegmentId>,
    /// Segments are raw audio, without a clock.
    pub(super) raw_audio: bool,
    /// The init section of transmuxed segments.
    pub(super) own_init: Option<TransmuxedInit>,
    /// Which of them was appended last.
    pub(super) appended_init: Option<Bytes>,
    /// The parser may have another: one that came with fragments.
    pub(super) init_stale: bool,
    /// The last segment that was transmuxed and appended, as far as that went.
    pub(super) placed: Option<Placed>,
    /// Discontinuity sequence of the last segment appended.
    pub(super) discontinuity: Option<u64>,
    pub(super) buffered: Ranges,
    /// The last segment of a finished playlist has been appended.
    pub(super) ended: bool,
    /// Nothing is appended before this.
    pub(super) paused_until: Instant,
    /// The buffer was full: trim behind the playhead before the next append.
    pub(super) trim: bool,
}

impl TrackState {
    pub(super) fn new(track: Track, list: usize, mime: String) -> Self {
        Self {
            track,
            list,
            switch: None,
            cursor: None,
            mime,
            opening: false,
            open: false,
            busy: false,
            doing: Doing::Other,
            reset_needed: false,
            switched: false,
            init: None,
            prepared: None,
            transmuxed_last: None,
            raw_audio: false,
            own_init: None,
            appended_init: None,
            init_stale: false,
            placed: None,
            discontinuity: None,
            buffered: Ranges::default(),
            ended: false,
            paused_until: Instant::default(),
            trim: false,
        }
    }

    /// Forgets what would come next: it is worked out from the playhead again.
    pub(super) fn restart(&mut self) {
        let appending = matches!(self.doing, Doing::Media { .. }) && self.busy;
        if self.cursor.is_some_and(|cursor| cursor.offset > 0) || appending {
            self.reset_needed = true;
        }
        if appending {
            // It ends after the cursor was set anew, and must not move that.
            self.doing = Doing::Other;
        }
        self.cursor = None;
        self.ended = false;
        self.prepared = None;
        self.transmuxed_last = None;
    }

    /// What this job is for, if its result is still wanted.
    pub(super) fn preparing(&self, job: JobId) -> Option<Part> {
        let prepared = self.prepared.as_ref()?;
        matches!(prepared.stage, Stage::Working(of) if of == job).then_some(prepared.part)
    }

    /// The buffer is full.
    pub(super) fn quota_exceeded(&mut self, now: Instant) {
        self.paused_until = now + QUOTA_PAUSE;
        self.trim = true;
        if let Doing::Media { .. } = self.doing {
            // Nothing of the append was kept (W3C Media Source Extensions §3.5.4): it is repeated.
            self.doing = Doing::Other;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_append_under_way_has_no_say_in_what_comes_after_a_restart() {
        let mut track = TrackState::new(Track::Main, 0, String::new());
        track.cursor = Some(Cursor { sequence: 7, offset: 65_536 });
        track.busy = true;
        track.doing = Doing::Media { bytes: 1000, last: true };
        track.restart();
        assert!(track.reset_needed, "the parser has half a segment");
        assert_eq!((track.cursor, &track.doing), (None, &Doing::Other));
    }
}
