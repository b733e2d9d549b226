//! Low-latency HLS: at the live edge a segment's parts are fetched instead of the segment (bis §4.4.4.9, §6.3).
//!
//! A part is a segment of its own with a number of its own (see [`part_number`]), so that cursors, requests, the store
//! and the swarm treat it like any other.

use std::time::Duration;

use bytes::Bytes;

use super::title::List;
use super::{Player, join};
use crate::hls::parts::{PART, PartSegment, part_number, part_of};
use crate::hls::{KeyMethod, Segment};
use crate::io::{ConnectionId, RequestId};
use crate::proof::Proof;
use crate::store::Source;
use crate::text::{push_decimal, split_at_first};
use crate::time::Instant;
use crate::wire::BLOCK_BYTES;

/// Parts are fetched up to this many target durations behind where a viewer at the live edge plays, and once they are,
/// up to [`LEAVE`].
const ENTER: f64 = 1.5;
/// Further behind, whole segments are.
const LEAVE: f64 = 2.5;

impl List {
    /// The part with this number.
    pub(super) fn part(&self, number: u64) -> Option<&PartSegment> {
        let at = self.parts.binary_search_by_key(&number, |part| part.segment.sequence).ok()?;
        self.parts.get(at)
    }

    /// Whether this is the part that is only promised.
    pub(super) fn is_hint(&self, number: u64) -> bool {
        number & PART != 0 && self.part(number).is_some_and(|part| part.hint)
    }

    /// What follows a segment or part. It may not be listed yet.
    pub(super) fn next(&self, number: u64) -> u64 {
        let Some((sequence, index)) = part_of(number) else {
            return self.first_of(number.saturating_add(1));
        };
        let next = part_number(sequence, index.saturating_add(1));
        let more = self.part(next).is_some();
        let closed = self.segment(sequence).is_some();
        if more || !closed { next } else { self.first_of(sequence + 1) }
    }

    /// Where a cursor that was set to `number` stands now that the list may have changed; `None` when that is gone.
    /// `begun`: part of it has been appended.
    pub(super) fn follow(&self, number: u64, begun: bool) -> Option<u64> {
        let first = self.playlist.as_ref()?.segments.first()?.sequence;
        let Some((sequence, index)) = part_of(number) else {
            let number = if begun { number } else { self.first_of(number) };
            return (number >= first).then_some(number);
        };
        if index == 0 && !begun && !self.by_parts {
            return (sequence >= first).then_some(sequence);
        }
        if self.part(number).is_some() || self.segment(sequence).is_none() && sequence >= first {
            return Some(number);
        }
        // The segment is whole, with fewer parts than were thought, unless they are too old to be listed.
        let before = part_number(sequence, index.checked_sub(1)?);
        self.part(before).map(|_| self.next(before))
    }

    /// The part to begin with for this time: the last independent one before it.
    pub(super) fn part_for(&self, time: f64) -> Option<&Segment> {
        let playlist = self.playlist.as_ref().filter(|_| self.by_parts)?;
        if time >= playlist.edge() - 0.1 {
            return None;
        }
        let mut before = self.parts.iter().rev().filter(|part| part.segment.start <= time + 0.1);
        before.find(|part| part.independent && !part.hint).map(|part| &part.segment)
    }

    /// What begins at this time: a segment or an independent part, which may be promised only.
    fn beginning(&self, at: f64) -> Option<&Segment> {
        let begins = |segment: &&Segment| (segment.start - at).abs() < 0.05;
        let parts = self.parts.iter().filter(|part| self.by_parts && part.independent);
        let part = parts.map(|part| &part.segment).find(begins);
        part.or_else(|| self.segment_for(at).filter(begins))
    }

    /// Sequence, in the swarm, of what is played at `position`, as one of the rendition of `number`.
    pub(super) fn playhead(&self, position: f64, number: u64) -> u64 {
        if number & PART != 0 {
            let at = self.parts.partition_point(|part| part.segment.end() <= position);
            return self.parts.get(at).map_or(number, |part| part.segment.sequence) & !PART;
        }
        let playlist = self.playlist.as_ref();
        playlist
            .and_then(|playlist| playlist.segment_at(position))
            .map_or(number, |segment| segment.sequence)
    }

    /// Whether its parts can be played: there are some, and none is encrypted as a whole, which needs the part before.
    pub(super) fn has_parts(&self) -> bool {
        let Some(playlist) = self.playlist.as_ref().filter(|_| !self.parts.is_empty()) else {
            return false;
        };
        let whole = |method: &KeyMethod| {
            matches!(method, KeyMethod::Aes128 | KeyMethod::Aes256 | KeyMethod::Aes256Ctr)
        };
        self.parts
            .iter()
            .all(|part| !playlist.keys_of(&part.segment).iter().any(|key| whole(&key.method)))
    }

    /// Seconds behind the live edge (bis §4.4.3.8; without it three target durations, or three parts).
    pub(super) fn hold_back(&self) -> f64 {
        let Some(playlist) = &self.playlist else { return 0.0 };
        let control = playlist.server_control.unwrap_or_default();
        let target = playlist.target_duration;
        if self.low_latency && self.has_parts() {
            let part = playlist.part_target.unwrap_or(target / 4.0);
            return control.part_hold_back.unwrap_or(3.0 * part).max(2.0 * part);
        }
        control.hold_back.unwrap_or(3.0 * target).max(target)
    }

    /// Number of the first part of a segment, if parts are fetched and it has one; else of the segment.
    fn first_of(&self, sequence: u64) -> u64 {
        let first = part_number(sequence, 0);
        if self.by_parts && sequence < 1 << 50 && self.part(first).is_some() {
            first
        } else {
            sequence
        }
    }
}

impl Player {
    /// Decides where parts are fetched, and makes whole segments of those that are there.
    #[inline(never)]
    pub(super) fn run_low_latency(&mut self, now: Instant) {
        let position = self.position(now);
        for index in 0..self.title.lists.len() {
            let list = &self.title.lists[index];
            if list.parts.is_empty() {
                continue;
            }
            let used = self.tracks.iter().any(|track| {
                track.list == index || track.switch.is_some_and(|switch| switch.list == index)
            });
            let by_parts = used
                && list.low_latency
                && list.playlist.as_ref().is_some_and(|playlist| {
                    let reach = if list.by_parts { LEAVE } else { ENTER };
                    let reach = list.hold_back() + reach * playlist.target_duration;
                    !playlist.end_list && playlist.edge() - position <= reach
                })
                && list.has_parts();
            if by_parts && !list.by_parts && list.request.is_none() {
                let at = list.requested_at;
                self.title.lists[index].by_parts = true;
                self.reload_by(index, at + self.reload_interval(index, true));
            }
            self.title.lists[index].by_parts = by_parts;
            self.assemble(now, index);
        }
        if let Some(swarm) = &mut self.swarm {
            swarm.set_haste(self.title.lists.iter().any(|list| list.by_parts));
        }
    }

    /// Where a track that plays parts goes over to another rendition: with the last independent part of the other behind
    /// what is there of its own or nearly there, or else with the first that is known, so that it is fetched in time.
    #[inline(never)]
    pub(super) fn switch_by_parts(
        &mut self,
        now: Instant,
        track: usize,
        frontier: f64,
        late: bool,
    ) {
        let state = &mut self.tracks[track];
        let Some(switch) = &mut state.switch else { return };
        switch.at = None;
        let (old, new) = (&self.title.lists[state.list], &self.title.lists[switch.list]);
        let begins = |at: f64| new.beginning(at).map(|first| (at, Some(first.sequence)));
        let mut at = frontier;
        let (mut found, mut here) = (begins(at), true);
        let from = old.parts.partition_point(|part| part.segment.start < frontier - 0.05);
        for part in &old.parts[from..] {
            let id = old.segment_id(part.segment.sequence);
            here &= self.store.is_complete(id) || !late && self.is_fetching(id);
            if part.hint || !here && (late || found.is_some()) {
                break;
            }
            at = part.segment.end();
            found = begins(at).or(found);
        }
        if let Some(found) = found {
            self.switch_at(now, track, found, frontier, late);
        }
    }

    /// The URL to (re)load a playlist by (bis §6.2.5), and whether the server holds the answer back until there is news.
    pub(super) fn reload_url(&self, now: Instant, index: usize) -> (String, bool) {
        let list = &self.title.lists[index];
        let Some((sequence, part)) = self.reload_target(index).filter(|_| list.failures == 0)
        else {
            return (list.url.clone(), false);
        };
        let mut url = list.url.split('#').next().unwrap_or_default().to_owned();
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str("_HLS_msn=");
        push_decimal(&mut url, sequence, 1);
        if let Some(part) = part {
            url.push_str("&_HLS_part=");
            push_decimal(&mut url, part, 1);
        }
        let playlist = list.playlist.as_ref();
        let skip = playlist.and_then(|playlist| Some((playlist, playlist.server_control?)));
        if let Some((playlist, control)) = skip
            && let Some(until) = control.can_skip_until
            && playlist.skipped_segments == 0
            // bis §6.3.7: what is older than half the skip boundary may lack what is left out.
            && list.loaded_at.is_some_and(|at| now.since(at).as_secs_f64() < until / 2.0)
            && playlist.segments.first().is_some_and(|first| first.end() < playlist.end() - until)
        {
            url.push_str(if control.can_skip_date_ranges {
                "&_HLS_skip=v2"
            } else {
                "&_HLS_skip=YES"
            });
        }
        (url, playlist.is_some())
    }

    /// Media sequence number and part that the next version of a playlist is to have.
    fn reload_target(&self, index: usize) -> Option<(u64, Option<u64>)> {
        let list = &self.title.lists[index];
        let Some(playlist) = &list.playlist else {
            // Another rendition tells how far this one is (bis §4.4.5.4): no cache can answer with an older one.
            let bare = |url: &str| url.split(['?', '#']).next().unwrap_or_default().to_owned();
            let others = self.title.lists.iter().filter_map(|list| list.playlist.as_ref());
            return others
                .filter(|other| other.server_control.is_some_and(|one| one.can_block_reload))
                .flat_map(|other| &other.rendition_reports)
                .filter(|report| bare(&report.url) == bare(&list.url))
                .filter_map(|report| Some((report.last_sequence?, report.last_part)))
                .max();
        };
        if playlist.end_list || !playlist.server_control?.can_block_reload {
            return None;
        }
        let next = playlist.next_sequence();
        if !list.by_parts {
            return Some((next, None));
        }
        let last = list.parts.iter().rev().find(|part| !part.hint);
        let part = match last.and_then(|last| part_of(last.segment.sequence)) {
            Some((sequence, index)) if sequence == next => u64::from(index) + 1,
            _ => 0,
        };
        Some((next, Some(part)))
    }

    /// A request whose answer the server holds back is waited for a target duration longer.
    #[inline(never)]
    pub(super) fn hold_open(&mut self, now: Instant, index: usize, request: RequestId) {
        let target =
            self.title.lists[index].playlist.as_ref().map_or(0.0, |list| list.target_duration);
        if let Some(document) = self.documents.get_mut(&request) {
            document.progress_at = now + Duration::from_secs_f64(target.clamp(0.0, 60.0));
        }
    }

    /// When to load a live playlist again, counted from its last request (bis §6.3.4).
    pub(super) fn reload_interval(&self, index: usize, changed: bool) -> Duration {
        let list = &self.title.lists[index];
        let Some(playlist) = &list.playlist else { return Duration::ZERO };
        if playlist.skipped_segments > 0 {
            // What a delta update left out is not known: the whole list is needed now.
            return Duration::ZERO;
        }
        // After the target duration, after half of it when nothing had changed.
        let target = playlist.target_duration.clamp(0.5, 60.0);
        let part =
            playlist.part_target.filter(|_| list.by_parts).map(|part| part.clamp(0.1, target));
        let blocks = playlist.server_control.is_some_and(|control| control.can_block_reload);
        let seconds = match (blocks, changed) {
            // At once: the server waits. Not faster than there can be news, if it does not.
            (true, true) => part.unwrap_or(target) / 2.0,
            (true, false) => part.unwrap_or(target / 2.0),
            (false, true) => part.unwrap_or(target),
            (false, false) => part.unwrap_or(target / 2.0),
        };
        Duration::from_secs_f64(seconds)
    }

    /// Takes over the parts of a playlist that has been read.
    #[inline(never)]
    pub(super) fn parts_loaded(&mut self, now: Instant, index: usize) {
        let list = &mut self.title.lists[index];
        let Some(playlist) = &mut list.playlist else { return };
        list.low_latency = self.config.low_latency;
        let parts = playlist.part_segments();
        let before = std::mem::replace(&mut list.parts, parts);
        for old in before {
            let id = list.segment_id(old.segment.sequence);
            if list.part(old.segment.sequence).is_some_and(|part| !part.hint) {
                if old.hint {
                    // It is there now: whatever kept it from coming early is forgotten.
                    self.segment_failures.remove(&id);
                }
                continue;
            }
            let whole = part_of(old.segment.sequence)
                .is_some_and(|(sequence, _)| self.store.is_complete(list.segment_id(sequence)));
            if whole {
                self.store.remove(id);
            }
            if let Some(swarm) = &mut self.swarm {
                swarm.forget(id);
            }
        }
        // A hint that was not kept.
        let title = &self.title;
        let parts_id = title.lists[index].parts_id;
        let broken = self.transfers.iter().filter(|(_, transfer)| {
            transfer.segment.rendition == parts_id
                && transfer.hint
                && title
                    .find(transfer.segment)
                    .is_none_or(|(list, part)| title.lists[list].tag(part) != transfer.tag)
        });
        let broken: Vec<RequestId> = broken.map(|(id, _)| *id).collect();
        for id in broken {
            self.cancel_transfer(now, id);
        }
        let open: Vec<RequestId> =
            self.transfers.iter().filter(|(_, of)| of.open_ended).map(|(id, _)| *id).collect();
        for id in open {
            self.carve(now, id);
        }
    }

    /// One response to an open-ended hint brings part after part (bis §4.4.5.3): where one ends is known when it is
    /// listed, and what follows belongs to the next.
    #[inline(never)]
    pub(super) fn carve(&mut self, now: Instant, id: RequestId) {
        while let Some(transfer) = self.transfers.get(&id)
            && let Some((index, segment)) = self.title.find(transfer.segment)
            && let list = &self.title.lists[index]
            && let Some(playlist) = &list.playlist
            && let Some(range) = playlist.byte_range(segment).filter(|range| range.end < u64::MAX)
        {
            let (number, uri) = (segment.sequence, playlist.segment_uri(segment));
            let next = list.part(list.next(number)).map(|part| part.segment).filter(|next| {
                playlist.segment_uri(next) == uri
                    && playlist.byte_range(next).is_some_and(|next| next.start == range.end)
            });
            let next = next.map(|next| (list.segment_id(next.sequence), list.tag(&next)));
            if !self.part_sized(now, id, range.end - range.start) {
                return;
            }
            let Some((segment, tag)) = next else { return };
            if let Some(transfer) = self.transfers.get_mut(&id) {
                transfer.go_on_with(segment, tag, range.end);
            }
            if let Some(swarm) = &mut self.swarm {
                swarm.claim(segment, 5000);
            }
        }
    }

    /// Whether a hinted part will come out of a response that brings the part before it.
    pub(super) fn comes_behind(&self, list: usize, number: u64) -> bool {
        let list = &self.title.lists[list];
        list.is_hint(number)
            && self.transfers.values().any(|transfer| {
                transfer.open_ended
                    && list.number(transfer.segment).is_some_and(|other| list.next(other) == number)
            })
    }

    /// When all parts of a listed segment are held, the segment is: peers further behind want it whole.
    fn assemble(&mut self, now: Instant, index: usize) {
        let list = &self.title.lists[index];
        let begun = list.parts.iter().filter_map(|part| part_of(part.segment.sequence));
        let mut begun = begun.filter(|of| of.1 == 0 && of.0 >= list.assembled).map(|of| of.0);
        let of = |sequence: u64| {
            let mine = move |part: &&PartSegment| {
                part_of(part.segment.sequence).is_some_and(|of| of.0 == sequence)
            };
            list.parts.iter().filter(mine)
        };
        let complete = |sequence: &u64| {
            let Some(whole) = list.segment(*sequence) else { return false };
            let seconds: f64 = of(*sequence).map(|part| part.segment.duration).sum();
            let first = of(*sequence).next();
            first.is_some_and(|part| part.segment.sequence == part_number(*sequence, 0))
                && (seconds - whole.duration).abs() < 0.1
                && self.store.segment(list.segment_id(*sequence)).is_none()
                && of(*sequence)
                    .all(|part| self.store.is_complete(list.segment_id(part.segment.sequence)))
        };
        let Some(sequence) = begun.find(complete) else { return };
        let (id, tag) = (list.segment_id(sequence), list.segment(sequence).map(|of| list.tag(of)));
        let held = || {
            of(sequence).filter_map(|part| {
                let id = list.segment_id(part.segment.sequence);
                Some((id, self.store.segment(id)?))
            })
        };
        let size: u32 = held().map(|(_, of)| of.size).fold(0, u32::saturating_add);
        let from_peers: u64 = held().map(|(_, of)| of.peer_bytes).sum();
        let data = join(held().flat_map(|(id, of)| self.store.read(id, 0, of.size)).collect());
        if self.prepare_segment(now, id, size, tag.unwrap_or_default()) {
            // What can be verified is verified as if it came from the origin: who sent what is not known any more.
            let unproven = self.store.segment(id).is_some_and(|held| held.proof == Proof::None);
            let from_peers = unproven && from_peers * 2 > u64::from(size);
            let nobody = Source::Peer(ConnectionId(u32::MAX));
            let source = if from_peers { nobody } else { Source::Http };
            for (block, data) in data.chunks(BLOCK_BYTES as usize).enumerate() {
                self.store.insert(id, block as u16, Bytes::copy_from_slice(data), source);
                self.store.approve(id, block as u16);
            }
            if let Some(swarm) = &mut self.swarm {
                swarm.blocks_changed(now, id, &self.store);
            }
        }
        self.title.lists[index].assembled = sequence + 1;
    }
}

/// A playlist's URL as it was before [`Player::reload_url`]: all versions have one base.
pub(super) fn without_directives(url: &str) -> &str {
    let before = |mark: &str| split_at_first(url, mark).map(|(before, _)| before);
    before("?_HLS_").or_else(|| before("&_HLS_")).unwrap_or(url)
}
