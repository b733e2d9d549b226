//! Loading and reloading playlists.

use crate::ordered::OrderedMap;
use std::time::Duration;

use super::low_latency::without_directives;
use super::pathway::Pathways;
use super::recover::{PATHWAY_TRIES, refuses};
use super::title::{List, Title};
use super::{Player, Purpose};
use crate::error::{KeyFault, PlayerError};
use crate::hls::{
    self, Key, MediaPlaylist, MultivariantPlaylist, ParseError, Playlist, RenditionKind,
};
use crate::io::{Event, Output, RequestId, Track, VariantInfo};
use crate::media::{mime_type, track_codecs};
use crate::swarm::rendition_id;
use crate::time::Instant;
use crate::trace::{Cause, Remedy};

/// A playlist or init section whose bytes stop coming for this long has failed.
pub(super) const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// How far loading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// Nothing is loaded.
    Nothing,
    /// The first playlist is on its way, or is tried again then, after so many failures.
    Main { retry_at: Option<Instant>, failures: u32 },
    /// The browser is asked what it plays.
    Codecs,
    /// The media playlists are on their way.
    Lists,
    /// Segments are fetched and appended.
    Playing,
    /// A fatal error has been told.
    Failed,
}

/// Time to wait after the `failures`th failure in a row: 0.5 s doubling to 8 s.
pub(super) fn backoff(failures: u32) -> Duration {
    Duration::from_millis(500u64 << failures.saturating_sub(1).min(4))
}

impl List {
    /// The same of this playlist, or of what is in it: a broadcast is asked for as often as if nothing were new, and at the edge of a
    /// low-latency one there is no time to lose.
    pub(super) fn backoff(&self, failures: u32, parts: bool) -> Duration {
        backoff(failures.min(match self.is_live() {
            true if parts => 2,
            true => 3,
            false => u32::MAX,
        }))
    }
}

impl Player {
    pub(super) fn load(&mut self, now: Instant, url: String) {
        self.unload(now);
        self.title.url.clone_from(&url);
        self.load = Load::Main { retry_at: None, failures: 0 };
        self.fetch_document(now, Purpose::Main, url, None);
        self.start_sharing(now);
    }

    pub(super) fn unload(&mut self, now: Instant) {
        self.stop_everything(now);
        self.load = Load::Nothing;
        self.title = Title::default();
        self.store = crate::store::Store::default();
        self.hash_files.clear();
        self.signatures.clear();
        self.warned_unsigned = false;
        self.stats = crate::stats::Stats::default();
        self.started = false;
        self.ended = false;
        self.waiting = None;
        self.rebuffering_since = None;
        self.latency = super::latency::Controller::default();
        self.timeline = None;
        self.text = super::text::Text::default();
        self.quota_factor = 1.0;
        self.manual_variant = None;
        self.fell_at = None;
        self.fitness = super::fitness::Fitness::of(self.fitness.display);
        self.stall = crate::buffer::StallWatch::default();
        self.trace = crate::trace::Trace::default();
        (self.broken, self.last_broken, self.reopens) = (0, None, 0);
        self.playhead.position = 0.0;
        self.playhead.ready_state = 0;
    }

    pub(super) fn stop_everything(&mut self, now: Instant) {
        self.stop_sharing(now);
        for (request, _) in &self.documents {
            self.outputs.push_back(Output::CancelFetch(*request));
        }
        for (request, _) in &self.transfers {
            self.outputs.push_back(Output::CancelFetch(*request));
        }
        for transfer in std::mem::take(&mut self.transfers).into_values() {
            if transfer.head_at.is_some() {
                self.bandwidth.ended(now);
            }
        }
        self.documents.clear();
        self.jobs.clear();
        self.recalls.clear();
        self.segment_failures.clear();
        self.tracks.clear();
    }

    /// A document other than a segment has come whole.
    pub(super) fn document_done(&mut self, now: Instant, id: RequestId) {
        let Some(document) = self.documents.remove(&id) else { return };
        let status = document.status.unwrap_or(0);
        if !(200..300).contains(&status)
            || document.expected.is_some_and(|size| size > document.body.len() as u64)
        {
            let status = if (200..300).contains(&status) { 0 } else { status };
            self.document_failed(now, document.purpose, document.url, status);
            return;
        }
        self.answered_at_origin = now;
        self.stats.playlist_bytes += match document.purpose {
            Purpose::Main | Purpose::List(_) | Purpose::Hashes(_) => document.body.len() as u64,
            _ => 0,
        };
        match document.purpose {
            Purpose::Main => self.main_done(now, &document.body, document.url),
            Purpose::List(list) => self.list_done(now, list, &document.body, &document.url),
            Purpose::Init(key) => self.init_done(now, key, document.body),
            Purpose::Key(url) => self.key_done(now, url, document.body),
            Purpose::Text(source, sequence) => {
                self.text_done(now, source, sequence, document.body.into());
            }
            Purpose::Hashes(url) => self.hashes_done(now, url, Some(&document.body)),
            Purpose::Check(check) => self.check_done(now, check, Some(&document.body)),
            Purpose::Steering => self.steering_done(now, &document.url, Ok(&document.body)),
        }
    }

    /// A document could not be had; `status` 0 when there was no answer.
    #[inline(never)]
    pub(super) fn document_failed(
        &mut self,
        now: Instant,
        purpose: Purpose,
        url: String,
        status: u16,
    ) {
        match purpose {
            Purpose::Main => {
                if refuses(status) {
                    self.fail(now, PlayerError::PlaylistStatus { url, status });
                    return;
                }
                let Load::Main { failures, .. } = self.load else { return };
                let failures = failures + 1;
                self.load = Load::Main { retry_at: Some(now + backoff(failures)), failures };
                if failures == 1 {
                    self.warn(unreachable(url, status));
                }
            }
            Purpose::List(list) => {
                self.list_failed(now, list, unreachable(url, status), status, refuses(status));
            }
            Purpose::Init(key) => self.init_failed(now, key, status),
            Purpose::Key(url) => {
                let fault = if status == 0 { KeyFault::NoAnswer } else { KeyFault::Status(status) };
                self.key_failed(now, url, fault);
            }
            Purpose::Steering => self.steering_done(now, &url, Err(status)),
            Purpose::Text(source, sequence) => self.text_failed(now, source, sequence),
            Purpose::Hashes(url) => self.hashes_done(now, url, None),
            Purpose::Check(check) => self.check_done(now, check, None),
        }
    }

    /// Tries again whatever waits for its turn: the network is back.
    pub(super) fn retry_playlists(&mut self, now: Instant) {
        if let Load::Main { retry_at: Some(at), .. } = &mut self.load {
            *at = now;
        }
        for list in &mut self.title.lists {
            if list.request.is_none() && list.failures > 0 {
                list.reload_at = Some(now);
            }
        }
        self.title.init_failures.clear();
        self.title.key_failures.clear();
    }

    /// Starts the loads that are due.
    pub(super) fn run_playlists(&mut self, now: Instant) {
        if let Load::Main { retry_at: Some(at), failures } = self.load {
            if at <= now && self.may_fetch(now) {
                self.load = Load::Main { retry_at: None, failures };
                let url = self.title.url.clone();
                self.fetch_document(now, Purpose::Main, url, None);
            } else {
                self.wake_at(at);
            }
        }
        for index in self.lists_in_use() {
            let list = &self.title.lists[index];
            if list.request.is_some() || list.is_refused() {
                continue;
            }
            let due = match (&list.playlist, list.reload_at) {
                (None, None) => now,
                (Some(_), None) => continue,
                (_, Some(at)) => at,
            };
            if due > now {
                self.wake_at(due);
                continue;
            }
            if !self.may_fetch(now) {
                continue;
            }
            let (url, held_back) = self.reload_url(now, index);
            self.title.lists[index].reload_at = None;
            self.title.lists[index].requested_at = now;
            let id = RequestId(self.next_request);
            self.fetch_document(now, Purpose::List(index), url, None);
            self.title.lists[index].request = Some(id);
            if held_back {
                self.hold_open(now, index, id);
            }
        }
    }

    /// The live playlist is said to have grown: look soon.
    pub(super) fn reload_by(&mut self, list: usize, at: Instant) {
        let list = &mut self.title.lists[list];
        if list.request.is_none() && list.is_live() {
            list.reload_at = Some(list.reload_at.map_or(at, |due| due.min(at)));
        }
    }

    /// Whether the playlist in use should have grown long ago.
    pub(super) fn playlist_stale(&self, now: Instant) -> bool {
        self.tracks.iter().any(|track| {
            let list = &self.title.lists[track.list];
            list.playlist.as_ref().is_some_and(|playlist| {
                !playlist.end_list
                    && now.since(list.changed_at).as_secs_f64()
                        > 3.0 * playlist.target_duration.max(1.0)
            })
        })
    }

    fn lists_in_use(&self) -> Vec<usize> {
        let mut lists = Vec::new();
        for track in &self.tracks {
            lists.push(track.list);
            if let Some(switch) = &track.switch {
                lists.push(switch.list);
            }
        }
        self.add_text_lists(&mut lists);
        lists.sort_unstable();
        lists.dedup();
        lists
    }

    fn main_done(&mut self, now: Instant, body: &[u8], url: String) {
        let playlist = match parse(body, &url, &OrderedMap::new()) {
            Ok(playlist) => playlist,
            Err(error) => return self.fail(now, error),
        };
        match playlist {
            Playlist::Multivariant(playlist) => self.multivariant_done(now, playlist),
            Playlist::Media(playlist) => {
                let mut list = List::new(rendition_id(&url, &url, None, 0), url);
                list.loaded_at = Some(now);
                // It is here: choosing the tracks must not ask for it again.
                list.reload_at = Some(now + DOCUMENT_TIMEOUT);
                self.title.lists.push(list);
                self.title.variants.push(VariantInfo {
                    id: 0,
                    bitrate_bps: 0,
                    width: 0,
                    height: 0,
                    frame_rate: 0.0,
                    codecs: String::new(),
                    playable: true,
                });
                self.load = Load::Lists;
                self.choose_tracks(now, 0);
                self.media_playlist_done(now, 0, playlist);
            }
        }
    }

    fn multivariant_done(&mut self, now: Instant, mut playlist: MultivariantPlaylist) {
        if playlist.variants.is_empty() {
            return self.fail(now, PlayerError::PlaylistWithoutMedia { url: playlist.url });
        }
        let (pathways, urls) = Pathways::of(&mut playlist, now);
        let mut seen: OrderedMap<crate::wire::RenditionId, u32> = OrderedMap::new();
        // Variants first: their numbers are the lists'. Then what goes with them.
        let mut named = Vec::new();
        for one in &playlist.variants {
            named.push((&one.url, &one.stable_variant_id));
        }
        for kind in [RenditionKind::Audio, RenditionKind::Subtitles] {
            for (index, rendition) in playlist.renditions.iter().enumerate() {
                let Some(url) = rendition.url.as_ref().filter(|_| rendition.kind == kind) else {
                    continue;
                };
                if kind == RenditionKind::Audio {
                    self.title.audio.push((index, named.len()));
                }
                named.push((url, &rendition.stable_rendition_id));
            }
        }
        let mut lists = Vec::new();
        for (url, stable_id) in named {
            let id = |nth| rendition_id(url, &playlist.url, stable_id.as_deref(), nth);
            let nth = seen.get_or_insert_with(id(0), Default::default);
            let id = id(*nth);
            *nth += 1;
            let mut list = List::new(id, url.clone());
            list.urls = urls.get(url).cloned().unwrap_or_default();
            list.stable_id = stable_id.clone().unwrap_or_default();
            if let Some((place, url)) = pathways.locate(&list.urls) {
                list.loaded_from = *place;
                list.url.clone_from(url);
            }
            lists.push(list);
        }
        self.title.lists = lists;
        self.title.pathways = pathways;
        let (mut variants, mut mime_types) = (Vec::new(), Vec::new());
        for (id, variant) in (0..).zip(&playlist.variants) {
            variants.push(VariantInfo {
                id,
                bitrate_bps: variant.bandwidth,
                width: variant.width,
                height: variant.height,
                frame_rate: variant.frame_rate,
                codecs: variant.codecs.clone(),
                playable: true,
            });
            let codecs = track_codecs(&variant.codecs, Track::Main, false);
            mime_types.push(mime_type(Track::Main, &codecs));
        }
        self.title.variants = variants;
        let mut keys = Vec::new();
        for key in &playlist.session_keys {
            if Key::are_for_module(std::slice::from_ref(key)) {
                keys.push(key.clone());
            }
        }
        if !keys.is_empty() {
            self.event(Event::ModuleKeys { variant: None, keys });
        }
        self.title.multivariant = Some(playlist);
        self.load = Load::Codecs;
        self.outputs.push_back(Output::CheckCodecs(mime_types));
    }

    /// The browser has said what it plays.
    pub(super) fn codec_support(&mut self, now: Instant, supported: &[bool]) {
        if self.load != Load::Codecs {
            return;
        }
        for (variant, supported) in self.title.variants.iter_mut().zip(supported) {
            // Without codecs the segments have to tell.
            let untold = track_codecs(&variant.codecs, Track::Main, false).is_empty();
            variant.playable = *supported || untold;
        }
        if !self.title.variants.iter().any(|variant| variant.playable) {
            let mut codecs: Vec<&str> =
                self.title.variants.iter().map(|variant| variant.codecs.as_str()).collect();
            codecs.sort_unstable();
            codecs.dedup();
            let codecs = codecs.join("; ");
            return self.fail(now, PlayerError::UnplayableCodecs { codecs });
        }
        self.load = Load::Lists;
        let variants = self.title.variants.clone();
        self.event(Event::Variants(variants));
        if let Some(first) = self.preferred_variant(now) {
            self.choose_tracks(now, first);
        }
    }

    fn list_done(&mut self, now: Instant, index: usize, body: &[u8], url: &str) {
        self.title.lists[index].request = None;
        let url = without_directives(url);
        let variables = self
            .title
            .multivariant
            .as_ref()
            .map(|multivariant| multivariant.variables.clone())
            .unwrap_or_default();
        let held_back = self.title.lists[index].hold_back();
        if let Some(playlist) = &mut self.title.lists[index].playlist {
            // A reload: only what changed is read.
            let Ok(text) = std::str::from_utf8(body) else {
                let error = not_utf8(url);
                return self.list_failed(now, index, error, 0, false);
            };
            let before = playlist.segments.last().map(|last| {
                let date =
                    playlist.program_date_time(last).map(|date| date + last.duration * 1000.0);
                (last.end(), date)
            });
            match playlist.refresh_text(text, url, &variables) {
                Ok(refresh) if refresh.reset => {
                    follow(playlist, before, held_back);
                    self.playlist_reset(now, index);
                    self.list_loaded(now, index, true, true);
                }
                Ok(refresh) => {
                    self.list_loaded(now, index, refresh.changed || refresh.added > 0, false)
                }
                Err(error) => self.list_failed(now, index, playlist_error(error, url), 0, false),
            }
            return;
        }
        match parse(body, url, &variables) {
            Ok(Playlist::Media(playlist)) => self.media_playlist_done(now, index, playlist),
            Ok(Playlist::Multivariant(_)) => {
                self.list_failed(
                    now,
                    index,
                    PlayerError::VariantLoop { url: url.into() },
                    400,
                    true,
                );
            }
            Err(error) => self.list_failed(now, index, error, 400, true),
        }
    }

    /// The first version of a media playlist.
    fn media_playlist_done(&mut self, now: Instant, index: usize, mut playlist: MediaPlaylist) {
        if playlist.segments.is_empty() && playlist.end_list {
            let error = PlayerError::PlaylistWithoutMedia { url: playlist.url };
            return self.list_failed(now, index, error, 400, true);
        }
        if playlist.i_frames_only {
            // They are for seeking (RFC 8216 §4.3.3.6), and often no whole fragments.
            let container = "single pictures for seeking (EXT-X-I-FRAMES-ONLY)".to_owned();
            let error = PlayerError::UnsupportedContainer { container };
            return self.list_failed(now, index, error, 400, true);
        }
        let reference = self.title.lists.iter().enumerate().filter(|(other, _)| *other != index);
        if let Some(reference) = reference.filter_map(|(_, list)| list.playlist.as_ref()).next() {
            align(&mut playlist, reference);
        }
        self.title.lists[index].playlist = Some(playlist);
        self.list_loaded(now, index, true, false);
        if self.load == Load::Lists {
            self.start_when_loaded(now);
        }
    }

    /// A media playlist has been read, whether with news or not.
    fn list_loaded(&mut self, now: Instant, index: usize, changed: bool, reset: bool) {
        let list = &mut self.title.lists[index];
        list.failures = 0;
        list.failed_status = 0;
        list.loaded_from =
            self.title.pathways.locate(&list.urls).map_or(list.loaded_from, |(place, _)| *place);
        list.loaded_at = Some(now);
        list.unchanged = !changed;
        if changed {
            list.changed_at = now;
        }
        let playlist = list.playlist.as_ref();
        let live = playlist.is_some_and(MediaPlaylist::is_live);
        let named = |list: &MediaPlaylist| !list.parts.is_empty() || !list.preload_hints.is_empty();
        if changed && (live && playlist.is_some_and(named) || !list.parts.is_empty()) {
            self.parts_loaded(now, index);
        }
        if live && self.tracks.first().is_some_and(|track| track.list == index) {
            self.edge_loaded(now, index, changed, reset);
        }
        let wait = live.then(|| self.reload_interval(index, changed));
        let list = &mut self.title.lists[index];
        let Some(playlist) = &list.playlist else { return };
        list.reload_at = wait.map(|wait| (list.requested_at + wait).max(now));
        let newest = playlist.segments.last().map(|segment| segment.sequence);
        let module = |keys: &&Vec<Key>| Key::are_for_module(keys);
        let told = playlist.key_sets().iter().rfind(module).and_then(|keys| keys.first());
        if let Some(told) = told.filter(|key| key.uri != list.key_told) {
            list.key_told.clone_from(&told.uri);
            let mut keys = Vec::new();
            for set in playlist.key_sets().iter().filter(module) {
                keys.extend_from_slice(set);
            }
            let variant = Some(index).filter(|index| *index < self.title.variants.len());
            self.outputs.push_back(Output::Event(Event::ModuleKeys { variant, keys }));
        }
        let (id, live) = (list.id, !playlist.end_list);
        if let (Some(sequence), true, Some(swarm)) = (newest, live && changed, &mut self.swarm) {
            swarm.set_edge(crate::wire::SegmentId { rendition: id, sequence });
        }
        if reset {
            for track in self.tracks.iter_mut().filter(|track| track.list == index) {
                track.restart();
            }
        }
        if self.tracks.iter().any(|track| track.list == index) {
            self.update_timeline(now);
            let list = &self.title.lists[index];
            if changed && list.playlist.as_ref().is_some_and(|list| !list.date_ranges.is_empty()) {
                self.tell_date_ranges(index);
            }
        }
    }

    /// A live playlist began anew: its numbers name other segments from now on.
    #[inline(never)]
    fn playlist_reset(&mut self, now: Instant, index: usize) {
        self.record(now, Cause::PlaylistReset, Remedy::Restart);
        self.title.offsets.clear();
        let (whole, parts) = (self.title.lists[index].id, self.title.lists[index].parts_id);
        let of = |id: &crate::wire::SegmentId| id.rendition == whole || id.rendition == parts;
        let held: Vec<crate::wire::SegmentId> =
            self.store.iter().map(|(id, _)| *id).filter(of).collect();
        for id in held {
            self.store.remove(id);
            if let Some(swarm) = &mut self.swarm {
                swarm.blocks_changed(now, id, &self.store);
            }
        }
        self.segment_failures.retain(|id, _| !of(id));
        let transfers = self.transfers.iter();
        let old: Vec<RequestId> =
            transfers.filter(|(_, one)| of(&one.segment)).map(|(id, _)| *id).collect();
        for id in old {
            self.cancel_transfer(now, id);
        }
    }

    #[inline(never)]
    pub(super) fn list_failed(
        &mut self,
        now: Instant,
        index: usize,
        error: PlayerError,
        status: u16,
        permanent: bool,
    ) {
        let list = &mut self.title.lists[index];
        list.request = None;
        list.failures += 1;
        list.failed_status = status;
        list.loaded_at = Some(now);
        list.reload_at = Some(now + list.backoff(list.failures, list.by_parts));
        let (failures, known) = (list.failures, list.playlist.is_some());
        if failures >= PATHWAY_TRIES || permanent && !known {
            let in_use = self.tracks.iter().any(|track| {
                track.list == index || track.switch.is_some_and(|switch| switch.list == index)
            });
            if in_use && self.leave_pathway(now, Cause::PlaylistMissing) {
                return;
            }
        }
        if known {
            // A live playlist that fails for a while is a pause, not an end.
            return;
        }
        if !permanent {
            if failures == 1 {
                self.warn(error);
            }
            return;
        }
        let list = &mut self.title.lists[index];
        list.failed_status = 400;
        let replaced = self.replace_list(now, index);
        if replaced { self.warn(error) } else { self.fail(now, error) }
    }
}

fn unreachable(url: String, status: u16) -> PlayerError {
    if status == 0 {
        PlayerError::PlaylistUnreachable { url }
    } else {
        PlayerError::PlaylistStatus { url, status }
    }
}

fn not_utf8(url: &str) -> PlayerError {
    PlayerError::NotAPlaylist { url: url.into(), reason: "it is not UTF-8 text".into() }
}

fn parse(
    body: &[u8],
    url: &str,
    variables: &OrderedMap<String, String>,
) -> Result<Playlist, PlayerError> {
    let text = std::str::from_utf8(body).map_err(|_| not_utf8(url))?;
    hls::parse(text, url, variables).map_err(|error| playlist_error(error, url))
}

#[inline(never)]
fn playlist_error(error: ParseError, url: &str) -> PlayerError {
    let url = url.to_owned();
    match error {
        ParseError::Empty => PlayerError::PlaylistEmpty { url },
        ParseError::NotAPlaylist { looks_like } => {
            PlayerError::NotAPlaylist { url, reason: ["it looks like ", &looks_like].concat() }
        }
        ParseError::NothingToPlay => PlayerError::PlaylistWithoutMedia { url },
    }
}

/// Puts a playlist on another's timeline: by program date time, else by media sequence, else by the end.
fn align(playlist: &mut MediaPlaylist, reference: &MediaPlaylist) {
    let (Some(first), Some(known)) = (playlist.segments.first(), reference.segments.first()) else {
        return;
    };
    let dates = (playlist.program_date_time(first), reference.program_date_time(known));
    // Where a discontinuity begins in both is the same moment (RFC 8216 §6.2.4).
    let seam = || {
        let mut seams = playlist.segments.iter().filter(|one| one.discontinuity);
        seams.find_map(|one| {
            let same = |other: &&hls::Segment| {
                other.discontinuity && other.discontinuity_sequence == one.discontinuity_sequence
            };
            Some(reference.segments.iter().find(same)?.start - one.start)
        })
    };
    let shift = if let (Some(date), Some(known_date)) = dates {
        (date - known_date) / 1000.0 + known.start - first.start
    } else if playlist.end_list && reference.end_list {
        0.0
    } else if let Some(seam) = seam() {
        seam
    } else if let Some(same) = reference.position_of(first.sequence) {
        same.start - first.start
    } else if let Some(same) = playlist.position_of(known.sequence) {
        known.start - same.start
    } else {
        reference.end() - playlist.end()
    };
    if shift.is_finite() {
        playlist.shift(shift);
    }
}

/// Puts a playlist that began anew behind the end of the one before it (`before`: that end in seconds, and its date):
/// by date, else so that its live position continues there.
fn follow(playlist: &mut MediaPlaylist, before: Option<(f64, Option<f64>)>, held_back: f64) {
    let (Some((end, date)), Some(first)) = (before, playlist.segments.first()) else { return };
    let dated = date.zip(playlist.program_date_time(first));
    let dated = dated.map(|(before, date)| end + (date - before) / 1000.0);
    let skipped = (playlist.end() - held_back - first.start).max(0.0);
    let at = dated.filter(|at| *at >= end - 0.5 && *at < end + 86_400.0).unwrap_or(end - skipped);
    playlist.shift(at - first.start);
}
