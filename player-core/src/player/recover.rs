//! What becomes of what cannot be had or played: it is tried again, taken from another variant or another pathway, or
//! left out. Each step is in the trace with its cause. Nothing here ends playback but a stream that no attempt can decode.

use std::time::Duration;

use super::Player;
use super::load::{Load, backoff};
use super::title::InitKey;
use super::track::{Cursor, Switch, TrackState};
use crate::error::{KeyFault, PlayerError};
use crate::hls::parts::PART;
use crate::io::{MediaCommand, Output, Track};
use crate::ordered::OrderedMap;
use crate::time::Instant;
use crate::trace::{Cause, Incident, Remedy};
use crate::wire::SegmentId;

/// What the origin does not have is asked for again after this long, if it is still wanted.
const MISSING: Duration = Duration::from_secs(60);
/// Requests for one thing that fail, while others are answered, before it counts as missing.
const TRIES: u32 = 4;
/// Failures in a row after which a pathway that is not alone is left.
pub(super) const PATHWAY_TRIES: u32 = 2;
/// A segment this many target durations from the live edge may just not be there yet.
const EDGE: f64 = 3.0;
/// Failures that are remembered, of segments, init sections and keys each.
const MAX_FAILURES: usize = 256;
/// Segments in a row that no attempt can decode before the stream counts as undecodable.
const MAX_BROKEN: u32 = 3;
/// Attempts to go on after the browser could not decode; playing for `FORGIVEN` clears them.
const MAX_REOPENS: u32 = 4;
const FORGIVEN: Duration = Duration::from_secs(30);
/// While the browser says that it is offline, it is not believed once in this time.
const PROBE: Duration = Duration::from_secs(8);
/// Segments that are left out at once at most.
const MAX_SKIPS: usize = 1000;

/// How often something could not be had.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure {
    pub(super) count: u32,
    since: Instant,
    /// Not asked for again before this.
    pub(super) retry_at: Instant,
    /// Until then it counts as not there at all.
    missing_until: Instant,
    /// It came, and was no use: that it comes again says nothing.
    broken: bool,
}

impl Failure {
    pub(super) fn is_missing(&self, now: Instant) -> bool {
        self.missing_until > now
    }

    /// It is there after all. What is wrong with it otherwise is not forgotten by that.
    pub(super) fn came(&mut self) {
        self.missing_until = Instant::default();
    }
}

/// Whether the origin says that it will not serve this, rather than that it cannot now.
pub(super) const fn refuses(status: u16) -> bool {
    status >= 400 && status < 500 && !matches!(status, 408 | 416 | 425 | 429)
}

/// Counts a failure; it is missing after so many, or after a few while other things are answered.
fn note<K: Ord>(
    failures: &mut OrderedMap<K, Failure>,
    key: K,
    now: Instant,
    answered_at: Instant,
    tries: u32,
) -> Failure {
    let first = Failure {
        count: 0,
        since: now,
        retry_at: now,
        missing_until: Instant::default(),
        broken: false,
    };
    let failure = failures.get_or_insert_with(key, || first);
    failure.count += 1;
    failure.retry_at = now + backoff(failure.count);
    if failure.count >= tries || failure.count >= TRIES && answered_at > failure.since {
        failure.missing_until = now + MISSING;
    }
    let noted = *failure;
    while failures.len() > MAX_FAILURES {
        failures.pop_first();
    }
    noted
}

impl Player {
    /// Writes an action into the trace.
    pub(super) fn record(&mut self, now: Instant, cause: Cause, remedy: Remedy) {
        let position = self.position(now);
        tracing::debug!(cause = cause.name(), remedy = remedy.name(), position, "incident");
        self.trace.push(Incident { at: now, position, cause, remedy });
    }

    /// The browser went offline or came back: what was asked for in vain is asked for again at once.
    #[inline(never)]
    pub(super) fn set_online(&mut self, now: Instant, online: bool) {
        if std::mem::replace(&mut self.online, online) == online {
            return;
        }
        self.probe_at = now + PROBE;
        if self.load == Load::Nothing {
            return;
        }
        self.record(now, Cause::Offline, if online { Remedy::Resume } else { Remedy::Park });
        if online {
            self.segment_failures.clear();
            self.title.pathways.forgive();
            self.retry_playlists(now);
        }
    }

    /// Whether a request may be made. An offline browser makes none, but for a probe now and then: some claim to be
    /// offline who are not.
    pub(super) fn may_fetch(&mut self, now: Instant) -> bool {
        if self.online {
            return true;
        }
        if self.probe_at > now {
            self.wake_at(self.probe_at);
            return false;
        }
        self.probe_at = now + PROBE;
        true
    }

    /// A segment could not be had, or is no media; `status` 0 when there was no answer.
    #[inline(never)]
    pub(super) fn note_segment_failure(&mut self, now: Instant, segment: SegmentId, status: u16) {
        let lists = self.title.lists.iter().enumerate();
        let known = lists.filter_map(|(index, list)| Some((index, list.number(segment)?))).next();
        // A server names a segment before all of its machines have it.
        let edge = known.is_some_and(|(index, number)| {
            let list = &self.title.lists[index];
            let playlist = list.playlist.as_ref().filter(|playlist| !playlist.end_list);
            playlist.zip(list.segment(number)).is_some_and(|(playlist, found)| {
                found.start >= playlist.end() - EDGE * playlist.target_duration
            })
        });
        let tries = match refuses(status) {
            true if edge => TRIES,
            true => 1,
            false => u32::MAX,
        };
        let failure =
            note(&mut self.segment_failures, segment, now, self.answered_at_origin, tries);
        tracing::debug!(
            sequence = segment.sequence,
            status,
            count = failure.count,
            "segment failed"
        );
        if let Some((list, number)) = known {
            if let Some(failure) = self.segment_failures.get_mut(&segment) {
                let wait = self.title.lists[list].backoff(failure.count, number & PART != 0);
                failure.retry_at = now + wait;
            }
            if edge {
                self.reload_by(list, now + Duration::from_millis(500));
            }
        }
        if !refuses(status) && failure.count >= PATHWAY_TRIES {
            self.leave_pathway(now, Cause::PathwayFailed);
        }
    }

    /// All of a segment's bytes have come.
    pub(super) fn segment_came(&mut self, segment: SegmentId) {
        if self.segment_failures.get(&segment).is_some_and(|failure| !failure.broken) {
            self.segment_failures.remove(&segment);
        }
    }

    #[inline(never)]
    pub(super) fn keep_failure(&mut self, segment: SegmentId) {
        if let Some(failure) = self.segment_failures.get_mut(&segment) {
            failure.broken = true;
        }
    }

    /// A segment has no bytes at all: there is nothing to play in it.
    #[inline(never)]
    pub(super) fn segment_empty(&mut self, now: Instant, segment: SegmentId, url: String) {
        note(&mut self.segment_failures, segment, now, now, 1);
        self.warn(PlayerError::SegmentEmpty { url });
    }

    /// A segment came whole and cannot be turned into something to append: after a second try it is left out. When
    /// that is so of several in a row, the stream cannot be played.
    #[inline(never)]
    pub(super) fn segment_broken(&mut self, now: Instant, segment: SegmentId, error: PlayerError) {
        self.store.remove(segment);
        let failure = note(&mut self.segment_failures, segment, now, self.answered_at_origin, 2);
        self.keep_failure(segment);
        let lists = &self.title.lists;
        for state in &mut self.tracks {
            let Some(cursor) = &mut state.cursor else { continue };
            if lists[state.list].segment_id(cursor.sequence) == segment && cursor.offset > 0 {
                // Part of it has been appended: it begins anew.
                cursor.offset = 0;
                state.reset_needed = true;
            }
        }
        self.broken += u32::from(failure.count == 2);
        if self.broken >= MAX_BROKEN {
            return self.fail(now, error);
        }
        self.last_broken = Some(error);
        self.wake_at(failure.retry_at);
    }

    #[inline(never)]
    pub(super) fn init_failed(&mut self, now: Instant, key: InitKey, status: u16) {
        self.title.init_requests.remove(&key);
        let tries = if refuses(status) { 1 } else { u32::MAX };
        let answered_at = self.answered_at_origin;
        let failure = note(&mut self.title.init_failures, key, now, answered_at, tries);
        if !refuses(status) && failure.count >= PATHWAY_TRIES {
            self.leave_pathway(now, Cause::PathwayFailed);
        }
    }

    /// A key could not be had, or used.
    #[inline(never)]
    pub(super) fn key_failed(&mut self, now: Instant, url: String, fault: KeyFault) {
        self.title.keys.remove(&url);
        self.title.key_requests.retain(|known| *known != url);
        let refused = matches!(fault, KeyFault::Status(status) if refuses(status));
        let tries = if refused { 1 } else { u32::MAX };
        let answered_at = self.answered_at_origin;
        let failure = note(&mut self.title.key_failures, url.clone(), now, answered_at, tries);
        if failure.count == 1 {
            self.warn(PlayerError::Key { url, fault });
        }
    }

    /// Why a segment cannot be had, if so.
    pub(super) fn lack(&self, now: Instant, list: usize, sequence: u64) -> Option<Cause> {
        let list = &self.title.lists[list];
        let (playlist, segment) = list.playlist.as_ref().zip(list.segment(sequence))?;
        if segment.gap {
            return Some(Cause::DeclaredGap);
        }
        let missing = |failure: Option<&Failure>| failure.is_some_and(|one| one.is_missing(now));
        let id = list.segment_id(sequence);
        if missing(self.segment_failures.get(&id)) && !self.store.is_complete(id) {
            let held = self.store.segment(id);
            let offer =
                self.swarm.as_ref().and_then(|swarm| swarm.offer(id, list.tag(segment), held));
            if !offer.is_some_and(|offer| offer.covered) {
                return Some(Cause::SegmentMissing);
            }
        }
        let init = playlist.init_of(segment).map(super::title::init_key);
        if init.is_some_and(|key| missing(self.title.init_failures.get(&key))) {
            return Some(Cause::InitMissing);
        }
        let keys = playlist.keys_of(segment);
        let lost = |uri: &String| missing(self.title.key_failures.get(uri));
        let key = keys.iter().find(|key| key.cipher().is_some());
        key.is_some_and(|key| lost(&key.uri)).then_some(Cause::KeyMissing)
    }

    /// Whether a list has nothing to play for this time.
    #[inline(never)]
    pub(super) fn lacks_at(&self, now: Instant, list: usize, time: f64) -> bool {
        let segment = self.title.lists[list].segment_for(time).map(|segment| segment.sequence);
        segment.is_some_and(|sequence| self.lack(now, list, sequence).is_some())
    }

    /// A track whose next segment cannot be had: another variant, another pathway, or on without it.
    pub(super) fn run_lack(&mut self, now: Instant, index: usize) {
        for _ in 0..MAX_SKIPS {
            let state = &self.tracks[index];
            let (current, switch) = (state.list, state.switch);
            let Some(cursor) = state.cursor else { return };
            let Some(cause) = self.lack(now, current, cursor.sequence) else { return };
            let list = &self.title.lists[current];
            let Some(segment) = list.segment(cursor.sequence) else { return };
            let (start, duration) = (segment.start, segment.duration);
            let state = &self.tracks[index];
            if let Some(switch) = switch {
                let fine = self.title.lists[switch.list].failures == 0
                    && !self.lacks_at(now, switch.list, start);
                if fine {
                    // The way out is on its way.
                    self.tracks[index].switch = Some(Switch { at: Some(start), ..switch });
                    return;
                }
            } else if state.track == Track::Main
                && let Some(other) = self.substitute(now, start + 0.01)
            {
                self.record(now, cause, Remedy::SwitchVariant);
                self.begin_switch(index, other);
                if let Some(switch) = &mut self.tracks[index].switch {
                    switch.at = Some(start);
                }
                return;
            }
            if cause != Cause::DeclaredGap && self.leave_pathway(now, cause) {
                return;
            }
            let list = &self.title.lists[current];
            let end = list.playlist.as_ref().map_or(0, crate::hls::MediaPlaylist::next_sequence);
            let mut next = list.next(cursor.sequence);
            if matches!(cause, Cause::InitMissing | Cause::KeyMissing) {
                // It concerns all until another takes its place; when there is none, it is waited for.
                let other = (next..end).find(|at| self.lack(now, current, *at) != Some(cause));
                let Some(other) = other else { return };
                next = other;
            }
            if cause != Cause::DeclaredGap {
                let list = &self.title.lists[current];
                let lost = list.playlist.as_ref().zip(list.segment(cursor.sequence));
                if let Some(url) = lost.map(|(playlist, segment)| playlist.segment_url(segment)) {
                    self.warn(PlayerError::SegmentLost { url, start, duration });
                }
            }
            self.record(now, cause, Remedy::Skip);
            let state = &mut self.tracks[index];
            state.reset_needed |= cursor.offset > 0;
            state.prepared = None;
            state.cursor = Some(Cursor { sequence: next, offset: 0 });
            let over = self.title.lists[current].playlist.as_ref().is_some_and(|it| it.end_list);
            let list = &self.title.lists[current];
            self.tracks[index].ended = over && list.segment(next).is_none();
        }
    }

    /// Another variant that may have what the one in use lacks at this time.
    fn substitute(&self, now: Instant, time: f64) -> Option<usize> {
        let current = self.tracks.first()?.list;
        self.best_variant(now, None, &|index| {
            index == current
                || self.title.lists[index].failures > 0
                || self.lacks_at(now, index, time)
        })
    }

    /// The browser could not decode, or stands still for good: the media source is opened again at the playhead; if
    /// that does not help, behind the segment there, then with another variant. After that, what cannot be decoded is
    /// the end, and what only stands still is left to the viewer.
    #[inline(never)]
    pub(super) fn reopen(&mut self, now: Instant, cause: Cause, reason: &str) {
        if self.load != Load::Playing {
            return self.fail(now, PlayerError::Decode { reason: reason.to_owned() });
        }
        if now.since(self.reopened_at) > FORGIVEN {
            self.reopens = 0;
        }
        self.reopened_at = now;
        self.reopens += 1;
        let mut position = self.playhead.position;
        if self.reopens >= MAX_REOPENS {
            self.record(now, cause, Remedy::GiveUp);
            if cause == Cause::DecodeError {
                self.fail(now, PlayerError::Decode { reason: reason.to_owned() });
            }
            return;
        }
        if self.reopens >= 2 {
            // What is appended next, or what is played, is what cannot be decoded.
            let state = &self.tracks[0];
            let list = &self.title.lists[state.list];
            let at = state.buffered.end_at(position).unwrap_or(position);
            let broken = list.segment_for(if cause == Cause::DecodeError { at } else { position });
            if let Some((id, end)) = broken.map(|one| (list.segment_id(one.sequence), one.end())) {
                note(&mut self.segment_failures, id, now, now, 1);
                self.store.remove(id);
                if at - position < 0.5 {
                    position = end + 0.01;
                }
                self.record(now, cause, Remedy::Skip);
            }
        }
        if self.reopens >= 3
            && let Some(other) = self.substitute(now, position)
        {
            self.record(now, cause, Remedy::SwitchVariant);
            self.tracks[0].list = other;
        }
        self.record(now, cause, Remedy::Reopen);
        for index in 0..self.tracks.len() {
            let state = &self.tracks[index];
            let mut fresh = TrackState::new(state.track, state.list, state.mime.clone());
            fresh.own_init.clone_from(&state.own_init);
            self.tracks[index] = fresh;
            if let Some(codecs) = self.codecs_at(index, position) {
                self.tracks[index].mime =
                    crate::media::mime_type(self.tracks[index].track, &codecs);
            }
        }
        self.ended = false;
        self.playhead.position = position;
        self.playhead_at = now;
        self.start_at = position;
        self.open_tracks();
        self.outputs.push_back(Output::Media(MediaCommand::Seek(position)));
    }

    /// The browser does not take the codecs that come next: another variant, or on behind them. False when there is
    /// neither.
    #[inline(never)]
    pub(super) fn leave_codecs(&mut self, now: Instant, track: Track) -> bool {
        let Some(index) = self.tracks.iter().position(|state| state.track == track) else {
            return false;
        };
        let (Some(key), Some(cursor)) = (self.init_key(index), self.tracks[index].cursor) else {
            return false;
        };
        note(&mut self.title.init_failures, key, now, now, 1);
        let list = self.tracks[index].list;
        let end = self.title.lists[list].playlist.as_ref().map_or(0, |it| it.next_sequence());
        let start = self.cursor_segment(&self.tracks[index]).map_or(0.0, |(_, it)| it.start);
        track == Track::Main && self.substitute(now, start + 0.01).is_some()
            || (cursor.sequence..end).any(|at| self.lack(now, list, at).is_none())
    }

    /// Codecs of a track at this time, by its init section.
    fn codecs_at(&self, index: usize, time: f64) -> Option<String> {
        let list = &self.title.lists[self.tracks[index].list];
        let playlist = list.playlist.as_ref()?;
        let init = playlist.init_of(list.segment_for(time)?)?;
        let codecs = self.title.inits.get(&super::title::init_key(init))?.section.codecs();
        (!codecs.is_empty()).then_some(codecs)
    }
}
