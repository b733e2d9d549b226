//! Which renditions are played: the choice of variants and audio, and the start.

use std::time::Duration;

use super::Player;
use super::load::Load;
use super::track::{Switch, TrackState};
use crate::abr::{Situation, select};
use crate::hls::{MediaPlaylist, MultivariantPlaylist, PlaylistKind};
use crate::io::{Event, MediaCommand, Output, TimelineInfo, Track};
use crate::media::{mime_type, track_codecs};
use crate::time::Instant;
use crate::trace::{Cause, Remedy};

/// After a fall no rise follows for so long.
const CALM: Duration = Duration::from_secs(15);

/// A transfer is watched for so long before it is given up for a lower variant's.
const JUDGED_AFTER: Duration = Duration::from_secs(1);

impl Player {
    /// The variant to begin with.
    pub(super) fn preferred_variant(&self, now: Instant) -> Option<usize> {
        if let Some(index) = self.manual_variant.filter(|index| !self.is_unfit(*index)) {
            return Some(index);
        }
        self.best_variant(now, None, &|_| false)
    }

    /// The variant to fetch of those that can be had and are not `excluded`.
    pub(super) fn best_variant(
        &self,
        now: Instant,
        current: Option<usize>,
        excluded: &dyn Fn(usize) -> bool,
    ) -> Option<usize> {
        // Sound of its own, or in the variant: that cannot change while source buffers are open.
        let separate = !self.title.audio_offered.is_empty();
        let unfit = |index: usize| {
            self.is_unfit(index)
                || self.load == Load::Playing && self.offered_audio(index).is_empty() == separate
                || excluded(index)
        };
        self.select(now, current, &unfit)
    }

    fn is_unfit(&self, index: usize) -> bool {
        let list = &self.title.lists[index];
        // One that the origin refuses time and again is not waited for while there are others.
        list.is_refused()
            || list.failures >= 2 && super::recover::refuses(list.failed_status)
            || !self.title.pathways.has(list)
    }

    /// Sets up the tracks that this variant needs; their playlists are loaded next.
    pub(super) fn choose_tracks(&mut self, now: Instant, variant: usize) {
        self.tracks.clear();
        let separate = self.offered_audio(variant);
        let codecs = self.title.variants[variant].codecs.clone();
        let track = |track: Track, list: usize| {
            let codecs = track_codecs(&codecs, track, !separate.is_empty());
            let mime = if codecs.is_empty() { String::new() } else { mime_type(track, &codecs) };
            TrackState::new(track, list, mime)
        };
        self.tracks.push(track(Track::Main, variant));
        if !separate.is_empty() {
            let renditions =
                self.title.multivariant.as_ref().map(|multivariant| &multivariant.renditions);
            let default = separate.iter().position(|place| {
                renditions.is_some_and(|all| {
                    all.get(self.title.audio[*place].0).is_some_and(|one| one.default)
                })
            });
            let selected = default.unwrap_or(0);
            self.tracks.push(track(Track::Audio, self.title.audio[separate[selected]].1));
            self.title.audio_offered = separate;
            let infos = self.title.audio_infos();
            self.event(Event::AudioRenditions(infos));
            self.event(Event::AudioSelected(selected));
        }
        let automatic = self.manual_variant.is_none();
        self.event(Event::VariantSelected { index: variant, automatic });
        if self.title.multivariant.as_ref().is_some_and(MultivariantPlaylist::has_text) {
            self.tell_text_sources();
        }
        self.run_playlists(now);
    }

    /// Opens the media source once all playlists are there.
    pub(super) fn start_when_loaded(&mut self, now: Instant) {
        if self.tracks.iter().any(|track| self.title.lists[track.list].playlist.is_none()) {
            return;
        }
        self.load = Load::Playing;
        let position = self.start_position();
        self.playhead.position = position;
        self.playhead_at = now;
        self.update_timeline(now);
        self.start_at = position;
        if self.swarm.is_some() && self.is_crowd(now) {
            self.start_at_segment();
        }
        self.open_tracks();
    }

    /// Opens source buffers as soon as every track's MIME type is known.
    pub(super) fn open_tracks(&mut self) {
        if self.load != Load::Playing
            || self.tracks.iter().any(|track| track.mime.is_empty() || track.opening)
        {
            return;
        }
        let mut tracks = Vec::new();
        for track in &self.tracks {
            tracks.push((track.track, track.mime.clone()));
        }
        self.outputs.push_back(Output::Media(MediaCommand::Open(tracks)));
        for track in &mut self.tracks {
            track.opening = true;
            track.busy = true;
        }
        if let Some(timeline) = self.timeline {
            self.tell_duration(&timeline);
        }
        if self.start_at > 0.0 {
            self.outputs.push_back(Output::Media(MediaCommand::Seek(self.start_at)));
        }
    }

    pub(super) fn select_variant(&mut self, now: Instant, index: Option<usize>) {
        self.manual_variant = index.filter(|index| {
            self.title.variants.get(*index).is_some_and(|variant| variant.playable)
        });
        let Some(index) = self.manual_variant else { return };
        if self.load == Load::Playing {
            self.begin_switch(0, index);
        } else if self.load == Load::Lists {
            self.choose_tracks(now, index);
        }
    }

    /// These variants may not be shown here: others are played.
    pub(super) fn exclude_variants(&mut self, now: Instant, indices: &[usize]) {
        for index in indices {
            if let Some(variant) = self.title.variants.get_mut(*index) {
                variant.playable = false;
            }
        }
        self.manual_variant = None;
        let Some(best) = self.preferred_variant(now) else { return };
        let variants = self.title.variants.clone();
        self.event(Event::Variants(variants));
        if self.load == Load::Playing {
            if indices.contains(&self.tracks[0].list) {
                self.begin_switch(0, best);
            }
        } else if self.load == Load::Lists {
            self.choose_tracks(now, best);
        }
    }

    pub(super) fn select_audio(&mut self, _now: Instant, index: usize) {
        let Some(place) = self.title.audio_offered.get(index).copied() else { return };
        let list = self.title.audio[place].1;
        if let Some(track) = self.tracks.iter().position(|track| track.track == Track::Audio) {
            self.begin_switch(track, list);
            self.event(Event::AudioSelected(index));
            if self.title.multivariant.as_ref().is_some_and(MultivariantPlaylist::has_text) {
                self.tell_text_sources();
            }
        }
    }

    /// Chooses a variant for the next segments, and carries out switches whose playlist has come.
    pub(super) fn run_choice(&mut self, now: Instant) {
        if self.load != Load::Playing {
            return;
        }
        // With one variant there is no choice.
        let choice = self.title.variants.len() > 1;
        if choice && self.tracks[0].switch.is_none() && !self.tracks[0].ended {
            let state = &self.tracks[0];
            let current = state.list;
            let next = self.cursor_segment(state).map(|(_, segment)| segment.start);
            // What lacks the next segment is no choice: the one in use may be a stopgap for it.
            let lacks = |index: usize| {
                index != current && next.is_some_and(|at| self.lacks_at(now, index, at + 0.01))
            };
            let best = match self.manual_variant {
                Some(manual) if self.is_unfit(manual) || lacks(manual) => Some(current),
                Some(manual) => Some(manual),
                None => self.best_variant(now, Some(current), &lacks),
            };
            if let Some(best) = best.filter(|best| *best != current) {
                let bitrate = |index: usize| self.title.variants[index].bitrate_bps;
                if bitrate(best) < bitrate(current) {
                    self.fell_at = Some(now);
                }
                self.begin_switch(0, best);
                if self.manual_variant.is_some()
                    && let Some(switch) = &mut self.tracks[0].switch
                {
                    switch.at = next;
                }
                self.run_playlists(now);
            }
        }
        for index in 0..self.tracks.len() {
            self.resolve_switch(now, index);
        }
    }

    /// A list that cannot be had is replaced by another variant's (or audio's); false when there is none.
    #[inline(never)]
    pub(super) fn replace_list(&mut self, now: Instant, list: usize) -> bool {
        for index in 0..self.tracks.len() {
            let switching = self.tracks[index].switch.is_some_and(|switch| switch.list == list);
            if switching {
                self.tracks[index].switch = None;
                self.manual_variant = None;
                let current = self.tracks[index].list;
                if self.tracks[index].track == Track::Main {
                    self.event(Event::VariantSelected { index: current, automatic: true });
                }
                return true;
            }
        }
        let Some(track) = self.tracks.iter().position(|track| track.list == list) else {
            return true;
        };
        if self.tracks[track].track == Track::Audio {
            let other = self.title.audio_offered.iter().map(|place| self.title.audio[*place].1);
            let Some(other) =
                other.into_iter().find(|other| !self.title.lists[*other].is_refused())
            else {
                return false;
            };
            self.tracks[track].list = other;
            return true;
        }
        self.manual_variant = None;
        let Some(other) = self.preferred_variant(now) else { return false };
        self.choose_tracks(now, other);
        true
    }

    /// What can be seeked to, when it has changed.
    pub(super) fn update_timeline(&mut self, now: Instant) {
        let Some(track) = self.tracks.first() else { return };
        let list = &self.title.lists[track.list];
        let Some(playlist) = &list.playlist else { return };
        let live = !playlist.end_list;
        let start = playlist.segments.first().map_or(0.0, |segment| segment.start);
        let end = playlist.edge();
        let window = match (live, playlist.kind) {
            (false, _) => f64::NAN,
            (true, Some(PlaylistKind::Event)) => f64::INFINITY,
            (true, _) if end - start > 60.0 => end - start,
            (true, _) => 0.0,
        };
        let timeline = TimelineInfo {
            live,
            duration: if live { f64::INFINITY } else { end },
            seekable_start: start,
            seekable_end: end,
            live_position: (end - list.hold_back()).max(start),
            target_duration: playlist.target_duration,
            target_live_window: window,
        };
        let same = self.timeline.is_some_and(|known| {
            known.live == timeline.live
                && known.seekable_start == start
                && known.seekable_end == end
        });
        if same || self.load != Load::Playing {
            return;
        }
        // What is buffered of it is played to its end.
        let lost = live
            && self.started
            && self.position(now) < start - 1.0
            && self.buffer_ahead(now) < 0.5;
        self.timeline = Some(timeline);
        self.event(Event::Timeline(timeline));
        if self.tracks[0].opening {
            self.tell_duration(&timeline);
        }
        if lost {
            // The window has moved past the playhead: what is there can never be fetched again. A viewer far behind
            // the edge stays as close to where they were as can be; one near it follows it.
            let oldest = start + 3.0 * timeline.target_duration;
            let rewinds = timeline.target_live_window > 0.0 && oldest < timeline.live_position;
            let to = if rewinds { oldest } else { timeline.live_position };
            self.record(now, Cause::WindowPassed, Remedy::Jump);
            self.outputs.push_back(Output::Media(MediaCommand::Seek(to)));
        }
    }

    fn tell_duration(&mut self, timeline: &TimelineInfo) {
        self.outputs.push_back(Output::Media(MediaCommand::SetDuration(timeline.duration)));
        if timeline.live {
            let seekable =
                MediaCommand::SetLiveSeekable(timeline.seekable_start, timeline.seekable_end);
            self.outputs.push_back(Output::Media(seekable));
        }
    }

    /// `EXT-X-START`, the page's wish, the beginning, or hold back before the live edge.
    fn start_position(&self) -> f64 {
        let Some(list) = self.tracks.first().map(|track| &self.title.lists[track.list]) else {
            return 0.0;
        };
        let Some(playlist) = &list.playlist else { return 0.0 };
        let start = playlist.segments.first().map_or(0.0, |segment| segment.start);
        let end = playlist.edge();
        let latest = if playlist.end_list { end } else { (end - list.hold_back()).max(start) };
        if let Some(position) = self.config.start_position {
            return position.clamp(start, end);
        }
        let declared =
            playlist.start.or_else(|| self.title.multivariant.as_ref().and_then(|all| all.start));
        // RFC 8216 §4.3.5.2: negative counts from the end.
        match declared.map(|start| start.time_offset).filter(|offset| offset.is_finite()) {
            Some(offset) if offset < 0.0 => (end + offset).clamp(start, end),
            Some(offset) => (start + offset).clamp(start, latest),
            None if playlist.end_list => start,
            None => latest,
        }
    }

    /// The variant that is best to fetch, of those that can be played and are not `unfit`.
    fn select(
        &self,
        now: Instant,
        current: Option<usize>,
        unfit: &dyn Fn(usize) -> bool,
    ) -> Option<usize> {
        let rungs = self.rungs(unfit);
        let list = self.tracks.first().map(|track| &self.title.lists[track.list]);
        let playlist = list.and_then(|list| list.playlist.as_ref());
        let edge = playlist.filter(|playlist| !playlist.end_list).map(MediaPlaylist::edge);
        let reach = self.config.forward_buffer * self.quota_factor;
        // Who wants to save data is given what half of the line carries, who plays at twice the speed needs twice as much.
        let thrift = if self.fitness.display.save_data { 0.5 } else { 1.0 } / self.speed();
        let (bps, slow_bps) = self.reliable_bps();
        let situation = Situation {
            bandwidth_bps: bps * thrift,
            slow_bps: slow_bps * thrift,
            buffer_ahead: if current.is_some() { self.buffer_ahead(now) } else { 0.0 },
            reach: edge.map_or(reach, |edge| reach.min(edge - self.position(now))),
            target_duration: playlist.map_or(4.0, |playlist| playlist.target_duration),
            settled: self.fell_at.is_none_or(|at| now.since(at) >= CALM),
            late: self.late_by(now),
            current,
        };
        select(&rungs, &situation)
    }

    /// When the segment that is needed next comes too late: what a lower variant's may take a second to be in time,
    /// in bit/s.
    fn late_by(&self, now: Instant) -> Option<f64> {
        let track = self.tracks.first()?;
        let (_, segment) = self.cursor_segment(track)?;
        let id = self.title.lists[track.list].segment_id(segment.sequence);
        let mut transfers = self.transfers.values();
        let transfer = transfers.find(|transfer| transfer.segment == id && !transfer.hint)?;
        let estimate = self.estimate(track.list, segment.duration);
        let recent_bps = self.line.recent_bps(now);
        // A line that brings less than the variant plays is late with all that is missing, be it asked for or not.
        let short = self.swarm.is_some()
            && self.bandwidth.sends_for(now) >= JUDGED_AFTER
            && recent_bps * segment.duration < estimate as f64 * 8.0 * self.speed();
        if !short && now.since(transfer.started_at) < JUDGED_AFTER {
            return None;
        }
        let mut left = self.seconds_to_come(now, transfer);
        let mut bps = self.reliable_bps().0;
        if short {
            let missing = self.missing_bytes(id, estimate) as f64;
            left = left.max(missing * 8.0 / recent_bps.max(1.0));
            bps = bps.min(recent_bps);
        }
        // It is played while it comes, from when its time has come: half of it has to be there by its middle.
        let due = (segment.start + segment.duration / 2.0 - self.position(now)) / self.speed();
        // Playlist, init section and segment are a round trip each.
        let time = due.max(left / 2.0) - 3.0 * self.bandwidth.latency();
        (left > due).then(|| bps * time.max(0.0) / segment.duration.max(0.1))
    }

    /// Places in `title.audio` of the renditions that come with a variant; none when audio is in the variant itself.
    fn offered_audio(&self, variant: usize) -> Vec<usize> {
        let Some(multivariant) = &self.title.multivariant else { return Vec::new() };
        let Some(found) = multivariant.variants.get(variant) else { return Vec::new() };
        let Some(group) = &found.audio else { return Vec::new() };
        let main = track_codecs(&found.codecs, Track::Main, true);
        if !found.codecs.is_empty() && main.is_empty() {
            return Vec::new();
        }
        let mut offered = Vec::new();
        for (place, (rendition, _)) in self.title.audio.iter().enumerate() {
            if multivariant.renditions[*rendition].group_id == *group {
                offered.push(place);
            }
        }
        // A default rendition without a URI is the variant's own sound (RFC 8216 §4.3.4.1).
        let inside = multivariant.renditions.iter().any(|rendition| {
            rendition.group_id == *group
                && rendition.kind == crate::hls::RenditionKind::Audio
                && rendition.url.is_none()
                && rendition.default
        });
        if inside { Vec::new() } else { offered }
    }

    pub(super) fn begin_switch(&mut self, track: usize, list: usize) {
        let state = &mut self.tracks[track];
        if state.switch.is_some_and(|switch| switch.list == list) {
            return;
        }
        state.switch = (state.list != list).then_some(Switch { list, at: None });
        if state.track == Track::Main {
            let automatic = self.manual_variant.is_none();
            self.event(Event::VariantSelected { index: list, automatic });
        }
    }

    /// Fixes where a switch takes place once the new playlist is there, and carries it out when the cursor is there.
    fn resolve_switch(&mut self, now: Instant, track: usize) {
        let Some(switch) = self.tracks[track].switch else { return };
        let list = &self.title.lists[switch.list];
        let Some(playlist) = &list.playlist else { return };
        // A live playlist that was loaded long ago does not know the edge.
        let stale = !playlist.end_list
            && list.loaded_at.is_none_or(|at| {
                let unit = playlist.part_target.filter(|_| list.by_parts);
                now.since(at).as_secs_f64()
                    > unit.map_or(2.0 * playlist.target_duration, |part| 3.0 * part).max(1.0)
            });
        let moving = self.title.pathways.is_moving(list);
        if stale || moving {
            if list.request.is_none() {
                self.title.lists[switch.list].reload_at = Some(now);
            }
            return;
        }
        let target = playlist.target_duration;
        let position = self.position(now);
        let late = track == 0 && switch.at.is_none() && self.late_by(now).is_some();
        let by_hand = self.manual_variant.is_some() || self.tracks[track].track == Track::Audio;
        let state = &self.tracks[track];
        let old = &self.title.lists[state.list];
        // A segment that was appended in part counts as not appended: what is missing of it would be a hole.
        let cursor_start = state
            .cursor
            .and_then(|cursor| old.segment(cursor.sequence))
            .map(|segment| segment.start);
        let Some(frontier) =
            cursor_start.or_else(|| state.buffered.end_at(position)).or(Some(position))
        else {
            return;
        };
        if old.by_parts {
            return self.switch_by_parts(now, track, frontier, late);
        }
        let at = switch.at.unwrap_or_else(|| {
            if by_hand {
                // Soon, but not so soon that the playhead runs into what is being replaced.
                return frontier.min(position + target.clamp(1.0, 6.0));
            }
            // Whatever of the old rendition is there or nearly there is played.
            let Some(playlist) = &old.playlist else { return frontier };
            let from = playlist.segments.partition_point(|segment| segment.start < frontier - 0.05);
            let mut at = frontier;
            for segment in &playlist.segments[from..] {
                let id = old.segment_id(segment.sequence);
                if !self.store.is_complete(id) && (late || !self.is_fetching(id)) {
                    break;
                }
                at = segment.start + segment.duration;
            }
            at
        });
        let first = self.title.lists[switch.list].segment_for(at).map(|segment| segment.sequence);
        self.switch_at(now, track, (at, first), frontier, late);
    }

    /// Goes over to another rendition, with the segment or part of this number, once all before is appended.
    #[inline(never)]
    pub(super) fn switch_at(
        &mut self,
        now: Instant,
        track: usize,
        (at, first): (f64, Option<u64>),
        frontier: f64,
        late: bool,
    ) {
        let state = &mut self.tracks[track];
        let Some(switch) = &mut state.switch else { return };
        switch.at = Some(at);
        let list = switch.list;
        if late {
            self.give_up_old(now, track);
        }
        let Some(sequence) = first.filter(|_| at <= frontier + 0.05) else { return };
        let state = &mut self.tracks[track];
        state.restart();
        state.list = list;
        state.switched = true;
        state.switch = None;
        state.cursor = Some(super::track::Cursor { sequence, offset: 0 });
        // The end may have been told already: what is appended now opens the stream again.
        self.ended = false;
        self.update_timeline(now);
    }

    /// What is on its way of a track's rendition, which is left since it is late.
    #[inline(never)]
    fn give_up_old(&mut self, now: Instant, track: usize) {
        let list = &self.title.lists[self.tracks[track].list];
        let renditions = [list.id, list.parts_id];
        let mut given_up = Vec::new();
        for (id, one) in &self.transfers {
            if renditions.contains(&one.segment.rendition) {
                given_up.push(*id);
            }
        }
        for id in given_up {
            self.cancel_transfer(now, id);
        }
    }
}
