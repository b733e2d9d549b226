//! Who supplies what: each missing block has a due time; peers first, the origin when a peer cannot be in time.

use std::time::Duration;

use super::Player;
use super::load::Load;
use super::share::Discovery;
use super::title::Ranges;
use super::transfer::{blocks_to_come, transfer_end};
use crate::hls::parts::part_number;
use crate::media::fragment_end;
use crate::proof::Proof;
use crate::swarm::{ABREAST, Blocks, LAG, STEP_SECONDS, STRAINED_LINE, Swarm, fallback_time};
use crate::time::Instant;
use crate::wire::{BLOCK_BYTES, Interest, SegmentId, block_count};

/// With so much to play there is time for two requests to the origin at once.
const SAFE: Duration = Duration::from_secs(6);
/// Requests to the origin for segments at once.
const PARALLEL: usize = 2;
/// So many requests for parts weigh as much as one for a segment.
const SLOTS: usize = 2;
/// A segment of which blocks turn up at peers is left to whoever fetches it until none has turned up for this long.
const SPREAD_PATIENCE: Duration = Duration::from_millis(2500);
/// Only what is due within this time is fetched by election: until then two leaders who do not know of each other notice
/// what the other brings.
const ELECTION_HORIZON: Duration = Duration::from_secs(20);
/// Among strangers, only what is due within this time is fetched by election.
const STRANGER_HORIZON: Duration = Duration::from_secs(5);
/// For so long after the first of several peers was met, what is due later is left to those who have been there: some are not
/// met yet, and what they hold is still to be heard.
const ACQUAINTED: Duration = Duration::from_secs(2);
/// Seconds of the first segment that are asked of the origin at once; the rest when it is due, if no peer brings it.
const START_AHEAD: f64 = 2.0;
/// Seconds that are asked of it each time the rest is due.
const FILL_AHEAD: f64 = 1.0;
/// With peers for less time than this nothing is said about uplinks by what they don't bring.
const NEWCOMER: Duration = Duration::from_secs(1);
/// With nothing buffered, how long peers that hold a segment are given to bring it before the origin is asked.
const START_GRACE: Duration = Duration::from_millis(1000);
/// A segment that peers hold is asked of the origin no sooner than this before it is due, however slow the origin is.
const COVERED_LEAD: Duration = Duration::from_millis(2500);
/// What is due within this time is asked of peers in playing order.
const URGENT: Duration = Duration::from_millis(2500);
/// How much later an ample origin is asked for it where not everybody is connected: of the blocks that neighbours have yet to
/// bring all but a few come within that time, and in a large swarm a few times as many viewers are many copies.
const STRAGGLERS: Duration = Duration::from_millis(400);
/// The [`LAG`] of parts: two segments.
const PART_LAG: u64 = part_number(2, 0) - part_number(0, 0);
/// A live segment that plays no longer (s) is treated like a part where the origin is ample: its viewers are near the edge.
const BRIEF: f64 = 2.5;
/// How much later than another segment it is asked of the origin, which brings it in a round trip.
const BRIEF_RESERVE: Duration = Duration::from_millis(500);
/// A share is taken only from an origin that is so many times as fast as the stream.
pub(super) const AMPLE: f64 = 4.0;
/// An origin that is not known to take its time is taken to bring parts so many times as fast as the stream.
const QUICK: f64 = 6.0;
/// Seconds of a film that are buffered where uplinks are scarce, and the part of what lies behind that they are at most: all at
/// once would be taken from the origin.
const FILM_RESERVE: (f64, f64) = (6.0, 0.2);
/// What a fallback adds to the share of each segment that is taken from the origin early, per part of a segment.
const DEFICIT_GAIN: f64 = 0.25;
/// What a segment that came without takes off: a part of it, and so much that accidents are forgotten.
const DEFICIT_DECAY: f64 = 0.05;
const DEFICIT_DRAIN: f64 = 0.015;
/// From this share on uplinks are called scarce.
const SCARCE_DEFICIT: f64 = 0.12;
/// Bounds of that share.
const MIN_DEFICIT: f64 = 0.06;
const MAX_DEFICIT: f64 = 0.9;
/// A segment is taken from the origin in so many parts by as many viewers.
const STRIPES: u16 = 8;
/// Whoever begins a segment of a large swarm takes one of so many parts, until all who have begun it too know of each other.
const BEGINNING: u32 = 4;
/// It is taken when the segment is due within this time.
const SHARE_HORIZON: Duration = Duration::from_secs(15);
/// How long the playlist of a variant that is to be fetched next is waited for.
const SWITCH_PATIENCE: Duration = Duration::from_secs(1);
/// While bytes are missing the plan is looked at this often.
const PLAN_INTERVAL: Duration = Duration::from_millis(100);

/// A segment that is to be appended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want {
    pub(super) id: SegmentId,
    pub(super) list: usize,
    pub(super) sequence: u64,
    pub(super) tag: u32,
    /// When the first of it that is not appended is due.
    pub(super) deadline: Instant,
    /// It is to be here so long before, so that a film plays on when the origin is slow or away for a while.
    reserve: Duration,
    /// Seconds that all of it plays.
    duration: f64,
    /// Seconds of it that are behind the playhead.
    played: f64,
    /// Bytes by the variant's bit rate, for when the size is not known.
    pub(super) estimate: u64,
    /// It is near enough for the origin to be asked.
    pub(super) near: bool,
    /// It is the segment that its track waits for.
    pub(super) first: bool,
    /// It can be appended while it arrives: each block has a due time of its own.
    begun: bool,
    pub(super) live: bool,
    playhead: u64,
    /// It is a part: little time is left, and it is small.
    pub(super) part: bool,
    /// The part is only promised.
    hint: bool,
}

impl Want {
    /// How much longer a peer's window may be by now than it has said: a film's is as it says.
    const fn lag(&self) -> u64 {
        match (self.live, self.part) {
            (false, _) => 0,
            (true, false) => LAG,
            // Numbers of parts leap at each segment.
            (true, true) => PART_LAG,
        }
    }

    /// Time between the due times of two blocks of the segment, which has `size` bytes.
    fn step(&self, size: u32) -> Duration {
        let count = f64::from(block_count(size).max(1));
        Duration::from_secs_f64(if self.begun {
            self.duration.clamp(0.0, 60.0) / count
        } else {
            0.0
        })
    }

    /// Which of `count` blocks is due at the deadline, when all up to `missing` can be appended: whatever is before the
    /// playhead is due no later than what is under it.
    fn due_first(&self, missing: u16, count: u16) -> u16 {
        missing.max((self.played / self.duration.max(0.1) * f64::from(count)) as u16)
    }
}

impl Player {
    /// Looks at all that is missing, and asks peers and the origin for it.
    pub(super) fn run_transfers(&mut self, now: Instant) {
        self.missing.clear();
        if self.load != Load::Playing {
            return;
        }
        let mut wants = self.wants(now);
        if self.swarm.is_some() {
            self.tell_interest(&wants);
        }
        wants.retain(|want| !self.store.is_complete(want.id));
        wants.sort_unstable_by_key(|want| (want.deadline, want.id));
        if self.config.cache_bytes > 0 && self.swarm.is_some() {
            self.look_up(now, &mut wants);
        }
        self.make_room(now);
        if wants.is_empty() {
            return;
        }
        self.wake_at(now + PLAN_INTERVAL);
        let discovery = if self.swarm.is_some() {
            self.look_at_line(now, &wants[0]);
            self.ask_around(now, &wants)
        } else {
            Discovery::Alone
        };
        let crowd = discovery != Discovery::Alone && self.run_crowd(now);
        let mut missing = 0;
        for want in &wants {
            missing += self.missing_bytes(want.id, want.estimate);
            if self.is_fetching(want.id) || self.comes_behind(want.list, want.sequence) {
                continue;
            }
            if self.slots() >= SLOTS * PARALLEL.max(self.tracks.len()) && !want.hint {
                break;
            }
            if !self.may_add(now, want, &wants) {
                continue;
            }
            let failure = self.segment_failures.get(&want.id);
            if let Some(at) = failure.map(|failure| failure.retry_at).filter(|at| *at > now) {
                self.wake_at(at);
                continue;
            }
            if self.title.pathways.is_moving(&self.title.lists[want.list]) || !self.may_fetch(now) {
                continue;
            }
            match discovery {
                _ if self.is_for_origin(want.id) => self.fetch_directly(now, want),
                Discovery::Alone => self.fetch_directly(now, want),
                // A thin line is left to what is due next.
                _ if want.deadline > self.horizon => {}
                _ if crowd && !want.part && self.may_begin(want.id) => {
                    self.fetch_in_crowd(now, want)
                }
                Discovery::Pending => _ = self.fetch_if_due(now, want, missing),
                Discovery::Ready => {
                    if !self.fetch_if_due(now, want, missing) {
                        self.fetch_if_elected(now, want);
                    }
                }
            }
        }
        if self.swarm.is_some() {
            self.forget_unwanted(&wants);
        }
        self.missing = wants;
    }

    /// Asks peers, where there are any, and takes this viewer's share from the origin.
    #[inline(never)]
    fn ask_around(&mut self, now: Instant, wants: &[Want]) -> Discovery {
        let discovery = self.discovery(now);
        if discovery == Discovery::Pending {
            // Who else holds what may still be told; what is due next does not wait for that.
            self.ask_peers(now, &wants[0]);
        }
        if discovery == Discovery::Ready {
            // Before peers are asked for it: what the origin brings, they need not send.
            for want in wants {
                if self.is_open(now, want)
                    && !self.fetch_handed_over(now, want)
                    && !self.open_segment(now, want)
                {
                    self.fetch_share(now, want);
                }
            }
            // Whoever holds nothing that the others lack asks for what is new first, to have something for them.
            let spare = |swarm: &Swarm| wants[0].live && swarm.has_spare_uplink();
            let newest = self.swarm.as_ref().is_some_and(spare);
            let is_soon = |want: &&Want| !newest || want.deadline <= now + URGENT;
            let soon = wants.iter().take_while(is_soon).count();
            for at in 0..wants.len() {
                let want = &wants[if at < soon { at } else { soon + wants.len() - 1 - at }];
                let able = |swarm: &Swarm| swarm.any_can_be_asked(now, want.deadline);
                if !self.swarm.as_ref().is_some_and(able) {
                    break;
                }
                self.ask_peers(now, want);
            }
        }
        discovery
    }

    /// Whether a request for (some of) a segment can be made now.
    #[inline(never)]
    fn is_open(&mut self, now: Instant, want: &Want) -> bool {
        let failure = self.segment_failures.get(&want.id);
        want.deadline <= self.horizon
            && !self.is_fetching(want.id)
            && self.title.ranges != Ranges::Ignored
            && !self.is_for_origin(want.id)
            && !self.comes_behind(want.list, want.sequence)
            && self.slots() < SLOTS * PARALLEL.max(self.tracks.len())
            && failure.is_none_or(|failure| failure.retry_at <= now)
            && !self.title.pathways.is_moving(&self.title.lists[want.list])
            && self.may_fetch(now)
    }

    /// The segments between the cursors and the horizon, of every track.
    fn wants(&self, now: Instant) -> Vec<Want> {
        let position = self.position(now);
        let rate = if self.playhead.rate > 0.0 { self.playhead.rate } else { 1.0 };
        let sharing = self.swarm.is_some();
        let mut near = self.config.forward_buffer * self.quota_factor;
        let horizon = self.config.peer_buffer.max(near);
        if !sharing {
            // Whoever has no peers buffers for the line's bad times what peers would have been asked for.
            near = horizon;
        }
        let mut wants = Vec::new();
        let delay = if sharing && !self.started { self.crowd_delay(now) } else { 0.0 };
        let scarce = sharing && self.is_scarce(now);
        for track in &self.tracks {
            let Some(cursor) = track.cursor else { continue };
            let mut list = track.list;
            let mut sequence = cursor.sequence;
            let mut first = true;
            let mut bytes = 0;
            let playing = track.buffered.ahead(position) > 0.05;
            let (most, share) = FILM_RESERVE;
            let reserve = if scarce && !self.title.lists[list].is_live() {
                (track.buffered.behind(position) * share).min(most)
            } else {
                0.0
            };
            loop {
                let lists = &self.title.lists;
                if let Some(switch) = track.switch
                    && let (Some(at), Some(segment)) = (switch.at, lists[list].segment(sequence))
                    && list != switch.list
                    && segment.start >= at - 0.05
                {
                    let Some(next) = lists[switch.list].segment_for(at) else { break };
                    list = switch.list;
                    sequence = next.sequence;
                }
                let Some(segment) = lists[list].segment(sequence) else { break };
                let ahead = segment.start - position;
                if ahead > horizon && !first || bytes > self.config.forward_buffer_bytes {
                    break;
                }
                let id = lists[list].segment_id(sequence);
                let estimate = self.estimate(list, segment.duration);
                bytes += self.store.segment(id).map_or(estimate, |stored| u64::from(stored.size));
                let playhead = lists[list].playhead(position, sequence);
                if !segment.gap {
                    let begun = sharing
                        && id.rendition == lists[list].id
                        && self.plays_as_it_comes(list, sequence, &track.mime);
                    let mut due = ahead;
                    if begun && let Some(stored) = self.store.segment(id) {
                        let here = f64::from(stored.first_missing()) / f64::from(stored.held.len());
                        due += here * segment.duration;
                    }
                    let due =
                        if playing || !first || due > ahead { (due / rate).max(0.0) } else { 0.0 };
                    wants.push(Want {
                        id,
                        list,
                        sequence,
                        tag: lists[list].tag(segment),
                        deadline: now + Duration::from_secs_f64((due + delay).min(3600.0)),
                        reserve: Duration::from_secs_f64(reserve),
                        duration: segment.duration,
                        played: -ahead,
                        estimate,
                        near: ahead <= near,
                        first,
                        begun,
                        live: lists[list].is_live(),
                        playhead: playhead.min(id.sequence),
                        part: id.rendition != lists[list].id,
                        hint: lists[list].is_hint(sequence),
                    });
                    first = false;
                }
                sequence = lists[list].next(sequence);
            }
        }
        wants
    }

    /// Requests under way, in [`SLOTS`].
    fn slots(&self) -> usize {
        let weight = |transfer: &super::transfer::Transfer| {
            let part =
                self.title.lists.iter().any(|list| list.parts_id == transfer.segment.rendition);
            if part { 1 } else { SLOTS }
        };
        self.transfers.values().filter(|transfer| !transfer.hint).map(weight).sum()
    }

    /// Whether a segment plays while it arrives. Where sound lies behind the picture, nothing does before its fragment is
    /// whole; how long fragments are is seen in the segment itself, or in the one before.
    #[inline(never)]
    fn plays_as_it_comes(&self, list: usize, sequence: u64, mime: &str) -> bool {
        let list = &self.title.lists[list];
        let plain = list.playlist.as_ref().zip(list.segment(sequence)).is_some_and(
            |(playlist, segment)| {
                playlist.keys_of(segment).is_empty()
                    && playlist.init_of(segment).is_some()
                    && self.may_begin(list.segment_id(sequence))
            },
        );
        if !plain || mime.contains(';') && !mime.contains(',') {
            return plain;
        }
        [sequence, sequence.wrapping_sub(1)].into_iter().any(|sequence| {
            let id = list.segment_id(sequence);
            let head = self.store.read(id, 0, BLOCK_BYTES);
            let end = head.first().and_then(|head| fragment_end(head));
            let size = self.store.segment(id).map_or(0, |stored| stored.size);
            end.is_some_and(|end| 2 * end <= u64::from(size))
        })
    }

    pub(super) fn estimate(&self, list: usize, duration: f64) -> u64 {
        let bitrate = self.title.variants.get(list).map_or(0, |variant| variant.bitrate_bps);
        let bitrate = match bitrate {
            0 if list < self.title.variants.len() => 2_000_000,
            0 => 128_000,
            bitrate => bitrate,
        };
        (bitrate as f64 / 8.0 * duration.clamp(0.0, 60.0)) as u64
    }

    pub(super) fn missing_bytes(&self, id: SegmentId, estimate: u64) -> u64 {
        self.store.segment(id).map_or(estimate, crate::store::StoredSegment::missing_bytes)
    }

    #[inline(never)]
    fn tell_interest(&mut self, wants: &[Want]) {
        let Some(swarm) = &mut self.swarm else { return };
        let variant = wants.first().and_then(|want| self.title.variants.get(want.list));
        swarm.set_byte_rate(variant.map_or(0.0, |variant| variant.bitrate_bps as f64 / 8.0));
        for of in wants.chunk_by(|one, next| one.id.rendition == next.id.rendition) {
            if let (Some(first), Some(last)) = (of.first(), of.last()) {
                let rendition = first.id.rendition;
                let (playhead, last) = (first.playhead, last.id.sequence);
                swarm.set_interest(Interest { rendition, playhead, last }, first.lag());
            }
        }
    }

    /// Asks peers for the missing blocks of a segment, but for those that are on their way from the origin.
    #[inline(never)]
    pub(super) fn ask_peers(&mut self, now: Instant, want: &Want) {
        let Some(swarm) = &mut self.swarm else { return };
        if want.deadline > self.horizon {
            return;
        }
        let held = self.store.segment(want.id);
        if held.is_none() {
            let Some(offer) = swarm.offer(want.id, want.tag, held) else { return };
            // Where the publisher tells the size, peers have no say in it.
            let size = self.proof_of(now, want.id).1.unwrap_or(offer.size);
            if !self.prepare_segment(now, want.id, size, want.tag) {
                return;
            }
        }
        // In a crowd what peers hold is left to them, however late.
        let scarce = now >= self.overrun_until && self.is_scarce(now);
        let brief = self.is_brief(want);
        let (Some(stored), Some(swarm)) = (self.store.segment(want.id), &mut self.swarm) else {
            return;
        };
        let size = stored.size;
        match stored.proof {
            _ if !stored.suspects.is_empty() => return,
            Proof::Awaited => return,
            Proof::Root(_) if !stored.listed => {
                return swarm.request_list(now, want.id, want.tag, &mut self.rng);
            }
            _ => {}
        }
        let bandwidth = self.bandwidth.bps();
        let transfer = self.transfers.iter().find(|(_, transfer)| transfer.segment == want.id);
        let coming = transfer.map(|(_, transfer)| {
            let end = transfer.to.unwrap_or(size).into();
            let late = transfer_end(now, transfer, end, bandwidth) > want.deadline;
            (blocks_to_come(transfer), late)
        });
        let count = block_count(size);
        let slack = want.deadline.since(now);
        let urgent = slack < URGENT;
        let blocks = Blocks {
            segment: want.id,
            tag: want.tag,
            size,
            urgent,
            scarce: scarce && !want.part,
            brief,
            deadline: want.deadline,
            first: want.due_first(stored.first_missing(), count),
            step: want.step(size),
        };
        swarm.request_blocks(now, &blocks, &mut self.rng, |block| {
            if stored.held.has(block) {
                return false;
            }
            match &coming {
                // The origin brings it; if it will be late, peers help from the far end.
                Some((range, late)) if range.contains(&block) => {
                    *late && block > range.start + 1 && block + 1 >= count / 2
                }
                _ => true,
            }
        });
    }

    /// Whether the origin may be asked for this besides what is on its way: for one segment until playback is safe, then for
    /// two. What is due later would share the line with what is due next.
    fn may_add(&self, now: Instant, want: &Want, wants: &[Want]) -> bool {
        let safe = wants.iter().any(|first| first.first && first.deadline > now + SAFE);
        let most = match (want.part, safe) {
            (true, _) => SLOTS * PARALLEL,
            (false, true) => PARALLEL,
            (false, false) => 1,
        };
        let same_list = self
            .transfers
            .values()
            .filter(|transfer| transfer.segment.rendition == want.id.rendition && !transfer.hint)
            .count();
        want.hint || same_list < most
    }

    /// Nobody to share with: the origin is asked in order.
    fn fetch_directly(&mut self, now: Instant, want: &Want) {
        if !want.near {
            return;
        }
        // A switch that waits for its playlist will say what to fetch; it is not waited for long, and not where the edge
        // is near.
        let undecided = self.tracks.iter().any(|track| {
            let pending = track.switch.filter(|switch| switch.at.is_none());
            track.list == want.list
                && !want.live
                && pending.is_some_and(|switch| {
                    let list = &self.title.lists[switch.list];
                    list.request.is_some() && now.since(list.requested_at) < SWITCH_PATIENCE
                })
        });
        if undecided {
            return;
        }
        self.fetch_missing(now, want, true, None);
    }

    /// The origin is asked at the last moment that is safe.
    #[inline(never)]
    fn fetch_if_due(&mut self, now: Instant, want: &Want, missing: u64) -> bool {
        let Some(swarm) = &self.swarm else { return false };
        if !want.first && !self.bandwidth.is_measured() {
            // The guess says nothing of when it is too late; the first segment will.
            return false;
        }
        let jitter = f64::from(
            (want.id.sequence as u32).wrapping_mul(0x9e37_79b9) ^ u32::from(self.peer_id.0[9]),
        ) / 4e9;
        // What peers send while the origin does, it would send without them.
        let mut bps = if want.part { self.bandwidth.bps() } else { self.line_bps() };
        let slow = self.takes_time(want);
        if self.overrun_until > Instant::default() || want.part && !slow {
            // Were what a crowd measured believed, all would ask early, and the origin would stay overrun.
            let times = if want.part { QUICK } else { AMPLE };
            bps = bps.max(times * self.estimate(want.list, 8.0) as f64);
        }
        let by = want.deadline - want.reserve;
        let mut at = fallback_time(by, missing, bps, self.bandwidth.latency(), jitter.fract());
        let brief = self.is_brief(want);
        if brief && !slow {
            // All of its slack is hardly more than the reserve of a segment.
            at = (at + BRIEF_RESERVE).min(want.deadline);
        }
        if at > now && want.deadline > now {
            self.wake_at(at);
            return false;
        }
        let held = self.store.segment(want.id);
        let covered = swarm.offer(want.id, want.tag, held).is_some_and(|offer| offer.covered);
        if covered {
            // An origin that is slow because all ask it at once only gets slower when they ask it sooner.
            at = at.max(by - COVERED_LEAD);
            if !brief && !swarm.is_full_mesh() && self.is_ample(want) {
                at += STRAGGLERS;
            }
        }
        if want.deadline <= now && covered && !self.is_ample(want) {
            // Nothing is buffered here. Peers that hold it all may be as quick as a slow origin.
            at = *self.overdue_since.get_or_insert_with(want.id, || now) + START_GRACE;
        }
        if at > now {
            self.wake_at(at);
            return false;
        }
        let (size, first) = held.map_or((0, 0), |held| {
            (held.size, want.due_first(held.first_missing(), held.held.len()))
        });
        let late = |block: u16| {
            let due = want.deadline + want.step(size) * u32::from(block.saturating_sub(first));
            let deadline = due.max(now + Duration::from_millis(500));
            !self
                .swarm
                .as_ref()
                .is_some_and(|swarm| swarm.arrives_by(now, want.id, block, deadline))
        };
        // Of what plays while it arrives only the blocks that are due first: peers may bring the others in time.
        let mut end = u16::MAX;
        if want.begun {
            let (count, next) = held.map_or_else(
                || (want.estimate.div_ceil(BLOCK_BYTES.into()) as f64, 0),
                |held| (f64::from(held.held.len()), held.first_missing()),
            );
            let blocks = |seconds: f64| (seconds / want.duration.max(0.1) * count).ceil() as u16;
            end = next.max(blocks(want.played)).saturating_add(blocks(FILL_AHEAD).max(1));
            if !self.started {
                end = end.max(blocks(want.played + START_AHEAD));
            }
            if held.is_none() && f64::from(end) + 1.0 < count {
                let to = Some(u32::from(end) * BLOCK_BYTES);
                self.start_transfer(now, want.list, want.sequence, 0, to, true);
                return true;
            }
        }
        let mut late_blocks = Vec::new();
        if let Some(held) = held {
            for block in 0..held.held.len().min(end) {
                if !held.held.has(block) && late(block) {
                    late_blocks.push(block);
                }
            }
        }
        if held.is_some() && late_blocks.is_empty() {
            return false;
        }
        let settled = swarm.ready_since().is_some_and(|since| now.since(since) > NEWCOMER);
        if settled && covered {
            let share = late_blocks.len() as f64
                / held.map_or(1.0, |held| f64::from(held.held.len().max(1)));
            self.deficit = (self.deficit + DEFICIT_GAIN * share).min(MAX_DEFICIT);
        }
        if settled && want.part {
            self.latency.part_late(now);
        }
        self.fetch_missing(now, want, true, Some(&late_blocks))
    }

    /// What a viewer takes from the origin early because it is its part: of a segment that somebody has begun to fetch
    /// and has not claimed, the stripes in whose order this viewer is the first; of what was out before it came, all that is not asked
    /// for, where uplinks have nothing to spare; and where they have proved not to suffice, as many more copies of each
    /// stripe as they lack, so that the origin is asked evenly, peers do not send what comes too late, and what one viewer
    /// takes helps the others.
    #[inline(never)]
    fn fetch_share(&mut self, now: Instant, want: &Want) -> bool {
        if !want.near || want.part || want.deadline > now + SHARE_HORIZON {
            return false;
        }
        let (Some(swarm), Some(stored)) = (&self.swarm, self.store.segment(want.id)) else {
            return false;
        };
        // What did not come though lines have something to spare was an accident.
        let accident = !swarm.lines_below(STRAINED_LINE);
        // Uplinks with nothing to spare would take from the others what they give to one who comes.
        let lack = match self.deficit {
            _ if !self.is_ample(want) => 0.0,
            _ if want.live && swarm.is_older(want.id) && swarm.is_thin(now) => 1.0,
            deficit if deficit >= MIN_DEFICIT && !accident => deficit,
            _ => 0.0,
        };
        let open = want.live
            && stored.proof == Proof::None
            && swarm.is_full_mesh()
            && swarm.claimed(now, want.id).is_none()
            && !swarm.offer(want.id, want.tag, Some(stored)).is_some_and(|offer| offer.covered);
        if lack == 0.0 && !open {
            return false;
        }
        let count = stored.held.len();
        let mut blocks = Vec::new();
        let mut last = (u16::MAX, 0, 0);
        for block in 0..count {
            if stored.held.has(block) || swarm.is_requested(want.id, block) {
                continue;
            }
            let stripe = stripe_of(block, count);
            if last.0 != stripe {
                let (rank, all) = swarm.stripe_rank(want.id, stripe);
                last = (stripe, rank, all);
            }
            let (_, rank, all) = last;
            // Of a fraction, a stripe now and then.
            let dither = (want.id.sequence as u32)
                .wrapping_mul(0x9e37_79b9)
                .wrapping_add(u32::from(stripe).wrapping_mul(0x85eb_ca6b));
            let copies = lack * all as f64 + f64::from(dither) / 4_294_967_296.0;
            if lack > 0.0 && copies >= rank as f64 + 1.0
                || open && rank == 0 && !swarm.is_held(want.id, block)
            {
                blocks.push(block);
            }
        }
        if blocks.is_empty() {
            return false;
        }
        self.fetch_missing(now, want, false, Some(&blocks))
    }

    /// Whether some of a segment is worth bringing: nothing of it is here, there is time for others to bring the rest, and what comes
    /// can be passed on at once.
    pub(super) fn may_split(&mut self, now: Instant, want: &Want) -> bool {
        let early = want.deadline > now + STRANGER_HORIZON;
        let new = want.live && !want.part && early && self.store.segment(want.id).is_none();
        new && !self.title.ranges.bring_all(false) && self.proof_of(now, want.id).0 == Proof::None
    }

    /// Whether peers are relied on for longer than usual, since there is little time anyway: it is a part, or nearly one.
    fn is_brief(&self, want: &Want) -> bool {
        want.part || want.live && want.duration <= BRIEF && self.is_ample(want)
    }

    /// Whether the origin is so fast that there is always time to ask it later.
    pub(super) fn is_ample(&self, want: &Want) -> bool {
        let bitrate = self.title.variants.get(want.list).map_or(0, |variant| variant.bitrate_bps);
        self.bandwidth.bps() >= AMPLE * self.speed() * bitrate.max(500_000) as f64
    }

    /// The origin is asked when it is this viewer's turn.
    #[inline(never)]
    pub(super) fn fetch_if_elected(&mut self, now: Instant, want: &Want) {
        let Some(swarm) = &self.swarm else { return };
        let mut horizon = now + ELECTION_HORIZON;
        if !want.live && swarm.is_strained() {
            // When the foremost viewer of a film needs it, all who take turns with it look at it.
            let behind = swarm.foremost(want.id, want.playhead) - want.playhead;
            horizon += Duration::from_secs_f64(want.duration.clamp(0.0, 60.0))
                * behind.min(ABREAST) as u32;
        }
        if !want.near || want.deadline > horizon {
            return;
        }
        let held = self.store.segment(want.id);
        let early = want.deadline > now + COVERED_LEAD;
        if early && held.is_some() && swarm.leads(now, want.id) {
            return self.lead_on(now, want);
        }
        // While most members are not met yet, one of them may hold or fetch what seems to be nobody's.
        let others = swarm.size().saturating_sub(1).min(self.config.max_peers);
        if swarm.ready_peers() * 2 < others && want.deadline > now + STRANGER_HORIZON {
            self.wake_at(want.deadline - STRANGER_HORIZON);
            return;
        }
        let new = swarm.ready_since().is_some_and(|since| now.since(since) < ACQUAINTED);
        if new && others > 1 && self.is_ample(want) {
            return;
        }
        if let Some((_, until)) = swarm.claimed(now, want.id) {
            self.wake_at(until);
            self.wanted_since.insert(want.id, until);
            return;
        }
        let offer = swarm.offer(want.id, want.tag, held);
        let here = held.map_or(0, |held| held.held.count());
        if offer.is_some() || here > 0 {
            if offer.is_some_and(|offer| offer.covered) {
                self.wanted_since.remove(&want.id);
                return;
            }
            // Part of it is out there: somebody fetches it, be it out of earshot. While more of it turns up it is
            // left to them.
            let spread = offer.map_or(here, |offer| offer.known);
            let (known, since) = self.spreading.get_or_insert_with(want.id, || (0, now));
            if spread > *known {
                (*known, *since) = (spread, now);
            }
            let patience = *since + SPREAD_PATIENCE;
            if patience > now {
                self.wanted_since.insert(want.id, patience);
                self.wake_at(patience);
                return;
            }
        }
        let meshed = want.live && !want.part && swarm.is_full_mesh();
        let gap = held.filter(|_| meshed).and_then(|held| {
            let missing = |block: &u16| !held.held.has(*block) && !swarm.is_held(want.id, *block);
            (0..held.held.len()).find(missing).map(|block| stripe_of(block, held.held.len()))
        });
        let wait = match gap {
            // All hold some of it: the order of what is missing counts.
            Some(stripe) => {
                Duration::from_secs_f64(STEP_SECONDS * swarm.stripe_rank(want.id, stripe).0 as f64)
            }
            None => swarm.turn(want.id, want.playhead, want.lag()),
        };
        let since = *self.wanted_since.get_or_insert_with(want.id, || now);
        let turn = since + wait;
        if turn > now {
            self.wake_at(turn);
            return;
        }
        // Where uplinks are scarce it would take one viewer too long to give all of it to the others. So it takes the
        // first of it, which tells them how large it is, and they take their stripes. Where not everybody hears everybody,
        // another may be about to begin: each takes a quarter, and one of them the rest. What is verified as a whole only,
        // one has to have first.
        if self.may_split(now, want) {
            let count = want.estimate.div_ceil(BLOCK_BYTES.into()) as u32;
            if count > 1 && (!meshed || self.is_scarce(now)) {
                let parts = if meshed { STRIPES.into() } else { BEGINNING };
                let to = Some(count.div_ceil(parts) * BLOCK_BYTES);
                return self.start_transfer(now, want.list, want.sequence, 0, to, !meshed);
            }
        }
        self.fetch_missing(now, want, true, None);
    }

    /// Asks the origin for the missing blocks, all of them or of `which`: the first run of them. What peers were asked for of it
    /// is taken back, so that they do not send it for nothing.
    pub(super) fn fetch_missing(
        &mut self,
        now: Instant,
        want: &Want,
        claim: bool,
        which: Option<&[u16]>,
    ) -> bool {
        let (mut from, mut to) = (0, None);
        let mut run = 0..u16::MAX;
        if let Some(stored) = self.store.segment(want.id) {
            let mut missing = (0..stored.held.len()).filter(|block| {
                !stored.held.has(*block) && which.is_none_or(|which| which.contains(block))
            });
            let Some(first) = missing.next() else { return false };
            run = first..first + 1;
            for block in missing {
                if block > run.end {
                    break;
                }
                run.end = block + 1;
            }
            from = u32::from(first) * BLOCK_BYTES;
            to = (run.end < stored.held.len()).then(|| u32::from(run.end) * BLOCK_BYTES);
        }
        if let Some(swarm) = &mut self.swarm {
            // A part is small, and due: of what has begun to come either way, the first is the one.
            swarm.cancel(&|segment, block, begun| {
                segment == want.id && run.contains(&block) && !(begun && want.part)
            });
        }
        self.start_transfer(now, want.list, want.sequence, from, to, claim);
        true
    }

    /// Whether uplinks have nothing to spare, here or, by what they fail to bring, elsewhere.
    #[inline(never)]
    pub(super) fn is_scarce(&self, now: Instant) -> bool {
        self.deficit >= SCARCE_DEFICIT
            || self.swarm.as_ref().is_some_and(|swarm| swarm.is_scarce(now))
    }
}

/// Which stripe of a segment of `count` blocks a block is of.
fn stripe_of(block: u16, count: u16) -> u16 {
    (u32::from(block) * u32::from(STRIPES) / u32::from(count.max(1))) as u16
}

/// The share of the origin after one more segment has been appended.
pub(super) fn relaxed(deficit: f64) -> f64 {
    (deficit * (1.0 - DEFICIT_DECAY) - DEFICIT_DRAIN).max(0.0)
}
