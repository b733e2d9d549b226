//! From the store into the source buffers.

use std::time::Duration;

use bytes::Bytes;

use super::load::Load;
use super::prepare::{Part, Ready};
use super::title::{InitKey, init_key};
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
/// Playback that stands still goes on when its segment is seen to come so many times faster than it plays.
const MARGIN: f64 = 3.0;
/// For the first picture: all of the segment, of which the origin was asked for the first only.
const FIRST_MARGIN: f64 = 2.0;
/// Seconds behind the playhead that are appended with what is under it, when that is within a segment.
const FIRST_AHEAD: f64 = 0.5;
/// The back buffer is trimmed when it is this much longer than it should be, in seconds.
const TRIM_STEP: f64 = 10.0;
/// Seconds of back buffer that are kept when the buffer is full.
const FULL_BACK: f64 = 3.0;
/// Seconds that are kept at least where it is not known where segments start.
const UNKNOWN_BACK: f64 = 12.0;
/// A segment may start this much before its playlist says, in seconds.
const SLACK: f64 = 0.1;
/// After the buffer was full, bytes are appended in pieces of this size.
const PIECE: u32 = 1 << 20;
/// Less is buffered after the buffer was full; after this long without, a little more again.
const QUOTA_RECOVERY: Duration = Duration::from_secs(30);
/// A segment this much off where its playlist has it moves the playlist, in seconds.
const DRIFT: f64 = 0.1;
/// A segment this much off begins a timeline of its own, be it declared or not, in seconds.
const UNDECLARED: f64 = 10.0;
/// Discontinuities whose place is remembered.
const MAX_OFFSETS: usize = 64;
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
            swarm.cancel(&|segment, _, _| {
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
        if self.quota_factor < 1.0 && now.since(self.quota_at) > QUOTA_RECOVERY {
            self.quota_factor = (self.quota_factor + 0.1).min(1.0);
            self.quota_at = now;
        }
        for index in 0..self.tracks.len() {
            self.resolve_cursor(now, index);
            self.run_lack(now, index);
            self.run_track(now, index);
            if self.load != Load::Playing {
                return;
            }
        }
        let done = !self.ended && self.tracks.iter().all(|track| track.ended && !track.busy);
        if done && !self.tracks.is_empty() {
            if self.tracks.iter().all(|track| track.buffered == Ranges::default()) {
                let url = self.title.url.clone();
                let without = PlayerError::PlaylistWithoutMedia { url };
                let error = self.last_broken.take().unwrap_or(without);
                return self.fail(now, error);
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
                        self.broken = 0;
                        let list = &self.title.lists[state.list];
                        let id = list.segment_id(cursor.sequence);
                        self.segment_failures.remove(&id);
                        let stored = self.store.segment(id).zip(list.segment(cursor.sequence));
                        if let (Some((stored, segment)), Track::Main) = (stored, track) {
                            let seconds = segment.duration.max(0.1);
                            let bps = (f64::from(stored.size) * 8.0 / seconds) as u64;
                            let known = self.title.measured_bps;
                            self.title.measured_bps =
                                if known == 0 { bps } else { (known * 3 + bps) / 4 };
                        }
                        self.deficit = super::schedule::relaxed(self.deficit);
                    }
                    let list = &self.title.lists[state.list];
                    *cursor = cursor.behind(list, cursor.offset + bytes, last);
                }
            }
        }
    }

    /// The segment at a track's cursor.
    pub(super) fn cursor_segment(&self, track: &TrackState) -> Option<(&MediaPlaylist, &Segment)> {
        let list = &self.title.lists[track.list];
        let segment = list.segment(track.cursor?.sequence)?;
        Some((list.playlist.as_ref()?, segment))
    }

    pub(super) fn init_key(&self, index: usize) -> Option<InitKey> {
        let (playlist, segment) = self.cursor_segment(&self.tracks[index])?;
        playlist.init_of(segment).map(init_key)
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
        let ended = playlist.end_list
            && cursor.sequence > last.sequence
            && list.segment(cursor.sequence).is_none();
        let state = &mut self.tracks[index];
        if Some(cursor) != state.cursor && state.cursor.is_some_and(|before| before.offset > 0) {
            state.reset_needed = true;
        }
        state.cursor = Some(cursor);
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
        if let Some((from, to)) = self.removal(index, position) {
            self.tracks[index].trim = false;
            return self.command(index, Doing::Other, MediaCommand::Remove(track, from, to));
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
        let data = if init.section.is_late() { media::delayed(&init.section, &data) } else { data };
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
            if (state.appended_init.is_some() || state.switched) && mime != state.mime {
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
        let mut available = stored.held_to();
        let ahead = state.buffered.ahead(position);
        // Playback that stands still goes on once the segment will come faster than it plays, and not with a last frame or
        // two of what is there of it.
        let there = f64::from(available) / f64::from(size.max(1)) * segment.duration;
        let waits = ahead > STARVING
            || ahead < 0.1
                && (position > start && there < position - start + FIRST_AHEAD
                    || self.transfers.values().any(|transfer| {
                        let slow = |seconds, margin| seconds * margin > segment.duration;
                        // Before the first picture the origin was asked for the first of it only.
                        transfer.segment == id
                            && !transfer.hint
                            && (slow(self.seconds_to_come(now, transfer), MARGIN)
                                || !self.started
                                    && slow(self.seconds_until(now, transfer, None), FIRST_MARGIN))
                    }));
        let Some(key) = self.init_key(index) else { return };
        let Some(init) = self.title.inits.get(&key) else { return };
        let late = init.section.is_late();
        let waits_for_more =
            !self.started && self.swarm.is_some() && self.holds_back(now, state.list, id);
        if available <= cursor.offset
            || cursor.offset == 0 && (!whole && (waits || late) || waits_for_more)
        {
            return;
        }
        if self.quota_factor < 1.0 && !late {
            available = available.min(cursor.offset.saturating_add(PIECE));
        }
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
        let data = if late { media::delayed(&init.section, &data) } else { data };
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
        let known = self.title.offsets.get(&discontinuity).copied();
        let Some(first) = first else { return known };
        let offset = match known.filter(|known| (first + known - start).abs() < UNDECLARED) {
            Some(known) => known,
            None => self.seam(index, start, discontinuity).unwrap_or(start) - first,
        };
        self.keep_offset(discontinuity, offset);
        self.settle(index, first + offset - start);
        Some(offset)
    }

    pub(super) fn keep_offset(&mut self, discontinuity: u64, offset: f64) {
        self.title.offsets.insert(discontinuity, offset);
        while self.title.offsets.len() > MAX_OFFSETS {
            self.title.offsets.pop_first();
        }
    }

    /// The segment at the cursor starts so much later than its playlist says: durations there are rounded. In hours of
    /// a broadcast that would add up.
    pub(super) fn settle(&mut self, index: usize, late: f64) {
        let state = &self.tracks[index];
        if !(DRIFT..UNDECLARED).contains(&late.abs()) {
            return;
        }
        let (list, Some(cursor)) = (state.list, state.cursor) else { return };
        let list = &mut self.title.lists[list];
        if let Some(playlist) = &mut list.playlist {
            // What is over was right; a broadcast moves as a whole, so that it is found again when it is read anew.
            let from = if playlist.end_list { cursor.sequence } else { 0 };
            playlist.shift_from(from, late);
            for part in &mut list.parts {
                part.segment.start += late;
            }
        }
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
        // What changes inside a rendition, the playlist's CODECS do not tell.
        let before = state.init.as_ref().and_then(|key| self.title.inits.get(key));
        let changed = before.is_some_and(|before| before.section.codecs() != codecs);
        let own = listed.is_empty() || changed && !codecs.is_empty();
        let codecs = if own { codecs } else { listed };
        let mime = media::mime_type(track, &codecs);
        if (state.init.is_some() || state.switched) && !codecs.is_empty() && mime != state.mime {
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
        if let Some(at) = self.title.init_failures.get(&key).map(|failure| failure.retry_at)
            && at > now
        {
            return self.wake_at(at);
        }
        if !self.may_fetch(now) {
            return;
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

    /// What is to be removed from a source buffer: the back buffer's beginning when it is too long, and after the buffer
    /// was full, what else there is of it, or what lies ahead without a connection to what is appended next.
    fn removal(&self, index: usize, position: f64) -> Option<(f64, f64)> {
        let state = &self.tracks[index];
        let first = state.buffered.start()?;
        let behind = self.within_bytes(self.config.back_buffer, self.config.back_buffer_bytes);
        let behind = if state.trim { FULL_BACK } else { behind * self.quota_factor };
        // Browsers remove to the next random access point: where a segment starts is one (W3C Media Source Extensions
        // §3.5.9). Inside a segment, what is playing would go with it.
        let list = &self.title.lists[state.list];
        let known = list.playlist.as_ref().and_then(|it| it.segment_at(position - behind));
        let unknown = position - behind.max(UNKNOWN_BACK);
        let until = known.map_or(unknown, |one| one.start - SLACK);
        let step = if state.trim { 0.0 } else { TRIM_STEP };
        if until > first + step {
            return Some((0.0, until));
        }
        let next = self.cursor_segment(state).map(|(_, segment)| segment.start);
        let ahead = next.filter(|_| state.trim)?.max(position);
        state.buffered.next_start(ahead + 1.0).map(|from| (from - SLACK, f64::INFINITY))
    }

    /// Seconds of forward buffer in the media element, bounded in bytes too.
    fn append_ahead(&self, playlist: &MediaPlaylist) -> f64 {
        let ahead = self.config.forward_buffer.max(self.config.peer_buffer);
        let ahead = self.within_bytes(ahead, self.config.forward_buffer_bytes);
        (ahead * self.quota_factor).max(playlist.target_duration.min(4.0))
    }

    /// So many seconds, but no more than `bytes` hold at the variant's bit rate, as it is said or as it was seen.
    fn within_bytes(&self, seconds: f64, bytes: u64) -> f64 {
        let variant = self.tracks.first().and_then(|track| self.title.variants.get(track.list));
        match variant.map_or(0, |variant| variant.bitrate_bps).max(self.title.measured_bps) {
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
                self.keep_failure(id);
                self.wake_at(now + Duration::from_millis(500));
            }
        }
    }

    /// Keeps the store within its budget: what is furthest behind the playhead goes first, then what is furthest ahead.
    pub(super) fn make_room(&mut self, now: Instant) {
        if self.store.bytes() <= self.config.store_bytes {
            return;
        }
        let position = self.position(now);
        let title = &self.title;
        let tracks = &self.tracks;
        let dropped = self.store.evict(self.config.store_bytes, |id| {
            let Some((index, segment)) = title.find(id) else { return Some(u64::MAX) };
            let behind = position - (segment.start + segment.duration);
            let used = tracks.iter().any(|track| {
                track.list == index || track.switch.is_some_and(|switch| switch.list == index)
            });
            if behind > 0.0 || !used {
                return Some(1_000_000 + behind.abs() as u64);
            }
            // Of what is to come, the next half minute is never dropped.
            (segment.start > position + 30.0).then_some((segment.start - position) as u64)
        });
        if let Some(swarm) = &mut self.swarm {
            for id in dropped {
                swarm.blocks_changed(now, id, &self.store);
            }
        }
    }
}
