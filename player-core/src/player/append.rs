//! From the store into the source buffers.

use std::time::Duration;

use bytes::Bytes;

use super::load::{Load, backoff};
use super::prepare::{Part, Ready};
use super::title::InitKey;
use super::track::{Cursor, Doing, TrackState};
use super::{Player, Purpose, join};
use crate::buffer::Ranges;
use crate::error::PlayerError;
use crate::hls::{Key, MediaPlaylist, Segment};
use crate::io::{MediaCommand, Output, Track, Transmuxed};
use crate::media::{self, Container};
use crate::time::Instant;

/// With less than this buffered, in seconds, a segment is appended while it still arrives.
pub(super) const STARVING: f64 = 2.0;
/// The back buffer is trimmed when it is this much longer than it should be, in seconds.
const TRIM_STEP: f64 = 10.0;
/// Media may end this much before its playlist says, in seconds.
const END_TOLERANCE: f64 = 0.5;
/// A discontinuity continues at what is buffered if that ends this close to where the playlist puts it, in seconds.
const SEAM: f64 = 0.3;

impl Player {
    /// The playhead was set: work out anew what is to be appended.
    pub(super) fn seeked(&mut self, now: Instant) {
        let position = self.playhead.position;
        self.ended = false;
        self.rebuffering_since = None;
        self.latency.moved();
        for track in &mut self.tracks {
            if let Some(switch) = &mut track.switch {
                switch.at = None;
            }
            track.restart();
        }
        if let Some(swarm) = &mut self.swarm {
            let (wanted, title) = (&self.tracks, &self.title);
            // Requests for what is far from the new playhead only stand in the way.
            swarm.cancel(|segment, _| {
                title.find(segment).is_none_or(|(list, found)| {
                    !wanted.iter().any(|track| track.list == list)
                        || found.start + found.duration < position
                        || found.start > position + 60.0
                })
            });
        }
        self.cancel_far_transfers(now, position);
        self.wanted_since.clear();
        self.overdue_since.clear();
    }

    /// Gives each source buffer its next command.
    pub(super) fn run_media(&mut self, now: Instant) {
        if self.load != Load::Playing {
            return;
        }
        for index in 0..self.tracks.len() {
            self.resolve_cursor(now, index);
            self.run_track(now, index);
            if self.load != Load::Playing {
                return;
            }
        }
        let done = !self.ended && self.tracks.iter().all(|track| track.ended && !track.busy);
        if done && !self.tracks.is_empty() {
            if self.tracks.iter().all(|track| track.buffered == Ranges::default()) {
                let url = self.title.url.clone();
                return self.fail(now, PlayerError::PlaylistWithoutMedia { url });
            }
            if !self.tracks.iter().all(|track| track.open) {
                return;
            }
            self.ended = true;
            self.outputs.push_back(Output::Media(MediaCommand::EndOfStream));
        }
    }

    /// A command on a source buffer has ended well.
    pub(super) fn media_done(&mut self, track: Track, buffered: Ranges) {
        let Some(state) = self.tracks.iter_mut().find(|state| state.track == track) else { return };
        state.busy = false;
        state.open = true;
        state.buffered = buffered;
        match std::mem::replace(&mut state.doing, Doing::Other) {
            Doing::Other => {}
            Doing::Init(key) => {
                state.init = Some(key);
                state.appended_init = None;
            }
            Doing::OwnInit(data) => {
                state.init = None;
                state.appended_init = Some(data);
                state.init_stale = false;
            }
            Doing::Media { bytes, last } => {
                if let Some(cursor) = &mut state.cursor {
                    if last {
                        self.deficit = super::schedule::relaxed(self.deficit);
                    }
                    let list = &self.title.lists[state.list];
                    *cursor = cursor.behind(list, cursor.offset + bytes, last);
                }
            }
        }
    }

    pub(super) fn init_failed(&mut self, now: Instant, key: InitKey) {
        self.title.init_requests.remove(&key);
        let failures = self.title.init_failures.get(&key).map_or(0, |(_, failures)| *failures) + 1;
        self.title.init_failures.insert(key, (now + backoff(failures), failures));
    }

    /// The segment at a track's cursor.
    pub(super) fn cursor_segment(&self, track: &TrackState) -> Option<(&MediaPlaylist, &Segment)> {
        let list = &self.title.lists[track.list];
        let segment = list.segment(track.cursor?.sequence)?;
        Some((list.playlist.as_ref()?, segment))
    }

    pub(super) fn init_key(&self, index: usize) -> Option<InitKey> {
        let (playlist, segment) = self.cursor_segment(&self.tracks[index])?;
        let init = playlist.init_of(segment)?;
        Some((init.url.to_string(), init.byte_range.clone().map(|range| (range.start, range.end))))
    }

    /// Finds the segment to append next, when it is not known or not there any more.
    fn resolve_cursor(&mut self, now: Instant, index: usize) {
        let position = self.position(now);
        let state = &self.tracks[index];
        let list = &self.title.lists[state.list];
        let Some(playlist) = &list.playlist else { return };
        let Some(last) = playlist.segments.last() else { return };
        let follow = |cursor: Cursor| {
            let number = list.follow(cursor.sequence, cursor.offset > 0)?;
            let offset = if number == cursor.sequence { cursor.offset } else { 0 };
            Some(Cursor { sequence: number, offset })
        };
        let cursor = match state.cursor.and_then(follow) {
            Some(cursor) => cursor,
            None => {
                let held = state.buffered.end_at(position);
                // Whoever seeks to the very end is shown the last segment.
                let at_end = || {
                    let missing = state.buffered.end_at(playlist.end() - END_TOLERANCE).is_none();
                    (playlist.end_list && missing).then_some(last)
                };
                let Some(segment) = list.segment_for(held.unwrap_or(position)).or_else(at_end)
                else {
                    let sequence = last.sequence + 1;
                    let ended = playlist.end_list;
                    let state = &mut self.tracks[index];
                    state.cursor = Some(Cursor { sequence, offset: 0 });
                    state.ended = ended;
                    return;
                };
                Cursor { sequence: segment.sequence, offset: 0 }
            }
        };
        // Declared gaps are stepped over (RFC 8216bis §4.4.4.7).
        let mut sequence = cursor.sequence;
        while list.segment(sequence).is_some_and(|segment| segment.gap)
            || self
                .segment_failures
                .get(&list.segment_id(sequence))
                .is_some_and(|failure| failure.empty)
        {
            sequence = list.next(sequence);
        }
        let ended =
            playlist.end_list && sequence > last.sequence && list.segment(sequence).is_none();
        let state = &mut self.tracks[index];
        if Some(cursor) != state.cursor && state.cursor.is_some_and(|before| before.offset > 0) {
            state.reset_needed = true;
        }
        state.cursor =
            Some(if sequence == cursor.sequence { cursor } else { Cursor { sequence, offset: 0 } });
        state.ended = ended;
    }

    fn run_track(&mut self, now: Instant, index: usize) {
        let position = self.position(now);
        self.request_init(now, index);
        let state = &self.tracks[index];
        if state.busy {
            return;
        }
        if !state.open {
            // Without `CODECS` and init section the segment itself has to tell what it is.
            if !state.opening && state.mime.is_empty() && self.init_key(index).is_none() {
                self.run_prepared(now, index);
            }
            return;
        }
        let track = state.track;
        if state.reset_needed {
            self.tracks[index].reset_needed = false;
            return self.command(index, Doing::Other, MediaCommand::ResetParser(track));
        }
        if let Some(until) = self.trim_until(index, position) {
            self.tracks[index].trim = false;
            return self.command(index, Doing::Other, MediaCommand::Remove(track, 0.0, until));
        }
        if state.paused_until > now {
            let until = state.paused_until;
            return self.wake_at(until);
        }
        let Some((playlist, segment)) = self.cursor_segment(state) else { return };
        if self.title.lists[state.list].is_hint(segment.sequence) {
            // Where it belongs is known when it is listed.
            return;
        }
        if segment.start > position + self.append_ahead(playlist) {
            return;
        }
        let keys = playlist.keys_of(segment);
        let whole = !keys.is_empty() && !Key::are_for_module(keys);
        if whole || playlist.init_of(segment).is_none() {
            return self.run_prepared(now, index);
        }
        self.append_as_it_comes(now, index);
    }

    /// Has what comes next prepared, and appends it once that is done and the source buffer is there.
    fn run_prepared(&mut self, now: Instant, index: usize) {
        loop {
            let ready = self.prepare(now, index);
            let open = self.tracks[index].open;
            match ready {
                // Nothing in it was complete; what there is comes with the next.
                Ready::Transmuxed(done, part) if done.media.is_empty() => {
                    let state = &mut self.tracks[index];
                    let list = &self.title.lists[state.list];
                    state.cursor =
                        state.cursor.map(|cursor| cursor.behind(list, part.to, part.ends));
                    if part.ends {
                        return;
                    }
                }
                Ready::Transmuxed(done, part) if open => {
                    return self.append_transmuxed(index, done, part);
                }
                Ready::Bytes(data) if open => return self.append_whole(now, index, data),
                _ => return,
            }
        }
    }

    /// Appends a decrypted segment behind the playlist's init section.
    fn append_whole(&mut self, now: Instant, index: usize, data: Bytes) {
        let state = &self.tracks[index];
        let Some((_, segment)) = self.cursor_segment(state) else { return };
        let (start, discontinuity) = (segment.start, segment.discontinuity_sequence);
        let id = self.title.lists[state.list].segment_id(segment.sequence);
        let Some(key) = self.init_key(index) else {
            let container = media::sniff(&data).name().to_owned();
            return self.fail(now, PlayerError::UnsupportedContainer { container });
        };
        let Some(init) = self.title.inits.get(&key) else { return };
        if state.init.as_ref() != Some(&key) {
            return self.append_init(index, key);
        }
        let first = media::presentation_start(&init.section, &data);
        let Some(offset) = self.offset(index, start, discontinuity, first) else {
            return self.segment_unusable(now, id, media::sniff(&data));
        };
        let doing = Doing::Media { bytes: data.len() as u32, last: true };
        self.append_media(index, data, Some(offset), discontinuity, doing);
    }

    /// Appends a transmuxed segment or part, and before it its init section if the parser has another.
    fn append_transmuxed(&mut self, index: usize, done: Transmuxed, part: Part) {
        let state = &self.tracks[index];
        let track = state.track;
        let Some((_, segment)) = self.cursor_segment(state) else { return };
        let discontinuity = segment.discontinuity_sequence;
        let id = self.title.lists[state.list].segment_id(segment.sequence);
        if let Some(init) = self.own_init(index) {
            let mime = media::mime_type(track, &init.codecs);
            if state.appended_init.is_some() && mime != state.mime {
                self.tracks[index].mime.clone_from(&mime);
                return self.command(index, Doing::Other, MediaCommand::ChangeType(track, mime));
            }
            let data = init.data;
            let command =
                MediaCommand::Append { track, data: data.clone(), timestamp_offset: None };
            return self.command(index, Doing::OwnInit(data), command);
        }
        // Parts go where the first that had something in it went.
        let placed = self.tracks[index].placed;
        let offset = if part.from > 0 && placed.is_some_and(|placed| placed.segment == id) {
            None
        } else {
            let placed = self.place(index, id, done.start);
            self.tracks[index].placed = placed;
            // What has no times begins where it is put.
            let bare = self.tracks[index].mime.starts_with("audio/mpeg");
            placed.map(|placed| if bare { placed.start } else { placed.offset })
        };
        let doing = Doing::Media { bytes: part.to - part.from, last: part.ends };
        self.append_media(index, done.media, offset, discontinuity, doing);
    }

    /// Appends what is there of a segment of fragmented MP4: all of it, or its beginning while the viewer waits.
    fn append_as_it_comes(&mut self, now: Instant, index: usize) {
        let position = self.position(now);
        let state = &self.tracks[index];
        let (Some((_, segment)), Some(cursor)) = (self.cursor_segment(state), state.cursor) else {
            return;
        };
        let (start, discontinuity) = (segment.start, segment.discontinuity_sequence);
        let id = self.title.lists[state.list].segment_id(cursor.sequence);
        let Some(stored) = self.store.segment(id) else { return };
        let whole = stored.is_complete();
        let size = stored.size;
        let available = stored.held_to();
        let waits = state.buffered.ahead(position) > STARVING;
        if available <= cursor.offset || !whole && cursor.offset == 0 && waits {
            return;
        }
        let Some(key) = self.init_key(index) else { return };
        let Some(init) = self.title.inits.get(&key) else { return };
        let data = join(self.store.read(id, cursor.offset, available));
        let doing = Doing::Media { bytes: data.len() as u32, last: available == size };
        if cursor.offset > 0 {
            return self.append_media(index, data, None, discontinuity, doing);
        }
        let container = media::sniff(&data);
        if container != Container::Fmp4 {
            if whole {
                self.segment_unusable(now, id, container);
            }
            return;
        }
        if state.init.as_ref() != Some(&key) {
            return self.append_init(index, key);
        }
        let first = media::presentation_start(&init.section, &data);
        match self.offset(index, start, discontinuity, first) {
            Some(offset) => self.append_media(index, data, Some(offset), discontinuity, doing),
            None if whole => self.segment_unusable(now, id, Container::Unknown),
            None => {}
        }
    }

    fn append_media(
        &mut self,
        index: usize,
        data: Bytes,
        offset: Option<f64>,
        discontinuity: u64,
        doing: Doing,
    ) {
        let track = self.tracks[index].track;
        self.tracks[index].discontinuity = Some(discontinuity);
        self.command(index, doing, MediaCommand::Append { track, data, timestamp_offset: offset });
    }

    /// `timestampOffset` of a segment that is to start at `start`: all of a discontinuity's segments have one, which is
    /// found by the first of them (`first`: its earliest presentation time).
    fn offset(
        &mut self,
        index: usize,
        start: f64,
        discontinuity: u64,
        first: Option<f64>,
    ) -> Option<f64> {
        if let Some(known) = self.title.offsets.get(&discontinuity) {
            return Some(*known);
        }
        let offset = self.seam(index, start, discontinuity).unwrap_or(start) - first?;
        self.title.offsets.insert(discontinuity, offset);
        while self.title.offsets.len() > 64 {
            self.title.offsets.pop_first();
        }
        Some(offset)
    }

    /// Where the buffer ends, when a discontinuity begins so close to it that it is to continue there.
    pub(super) fn seam(&self, index: usize, start: f64, discontinuity: u64) -> Option<f64> {
        let state = &self.tracks[index];
        let end =
            state.buffered.end_at(start - 2.0 * SEAM).filter(|end| (end - start).abs() < SEAM);
        end.filter(|_| state.discontinuity.is_some_and(|last| last != discontinuity))
    }

    fn append_init(&mut self, index: usize, key: InitKey) {
        let Some(init) = self.title.inits.get(&key) else { return };
        let (data, codecs) = (init.data.clone(), init.section.codecs());
        let state = &self.tracks[index];
        let track = state.track;
        let known = self.title.variants.get(state.list).filter(|_| track == Track::Main);
        let separate = self.tracks.len() > 1;
        let listed = known
            .map(|variant| media::track_codecs(&variant.codecs, track, separate))
            .unwrap_or_default();
        let codecs = if listed.is_empty() { codecs } else { listed };
        let mime = media::mime_type(track, &codecs);
        if state.init.is_some() && !codecs.is_empty() && mime != state.mime {
            self.tracks[index].mime.clone_from(&mime);
            return self.command(index, Doing::Other, MediaCommand::ChangeType(track, mime));
        }
        self.command(
            index,
            Doing::Init(key),
            MediaCommand::Append { track, data, timestamp_offset: None },
        );
    }

    fn command(&mut self, index: usize, doing: Doing, command: MediaCommand) {
        self.tracks[index].busy = true;
        self.tracks[index].doing = doing;
        self.outputs.push_back(Output::Media(command));
    }

    fn request_init(&mut self, now: Instant, index: usize) {
        let Some(key) = self.init_key(index) else { return };
        if self.title.inits.contains_key(&key) || self.title.init_requests.contains_key(&key) {
            return;
        }
        if let Some((at, _)) = self.title.init_failures.get(&key)
            && *at > now
        {
            let at = *at;
            return self.wake_at(at);
        }
        let (url, range) = key.clone();
        let id = crate::io::RequestId(self.next_request);
        self.fetch_document(
            now,
            Purpose::Init(key.clone()),
            url,
            range.map(|(start, end)| (start, Some(end))),
        );
        self.title.init_requests.insert(key, id);
    }

    /// Where the back buffer is to end, when it is too long (or the buffer was full).
    fn trim_until(&self, index: usize, position: f64) -> Option<f64> {
        let state = &self.tracks[index];
        let first = state.buffered.start()?;
        if state.trim {
            let until = position - 3.0;
            return (until > first).then_some(until);
        }
        let behind = self.within_bytes(self.config.back_buffer, self.config.back_buffer_bytes);
        let until = position - behind;
        (until > first + TRIM_STEP).then_some(until)
    }

    /// Seconds of forward buffer in the media element, bounded in bytes too.
    fn append_ahead(&self, playlist: &MediaPlaylist) -> f64 {
        let ahead = self.config.forward_buffer.max(self.config.peer_buffer);
        let ahead = self.within_bytes(ahead, self.config.forward_buffer_bytes);
        (ahead * self.quota_factor).max(playlist.target_duration.min(4.0))
    }

    /// So many seconds, but no more than `bytes` hold at the variant's bit rate.
    fn within_bytes(&self, seconds: f64, bytes: u64) -> f64 {
        let variant = self.tracks.first().and_then(|track| self.title.variants.get(track.list));
        match variant.map_or(0, |variant| variant.bitrate_bps) {
            0 => seconds,
            bitrate => seconds.min(bytes as f64 * 8.0 / bitrate as f64),
        }
    }

    /// A segment that came whole but is no media that can be placed.
    pub(super) fn segment_unusable(
        &mut self,
        now: Instant,
        id: crate::wire::SegmentId,
        container: Container,
    ) {
        match container {
            Container::MpegTs | Container::RawAudio | Container::WebVtt => {
                let container = container.name().to_owned();
                self.fail(now, PlayerError::UnsupportedContainer { container });
            }
            // An error page, or garbage, from the origin or a peer: it is fetched again.
            _ => {
                self.store.remove(id);
                self.note_segment_failure(now, id, 0);
                self.wake_at(now + Duration::from_millis(500));
            }
        }
    }
}
