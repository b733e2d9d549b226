//! One peer: what it holds, wants, claims, and how it serves us.

use crate::ordered::{OrderedMap, OrderedSet};
use std::time::Duration;

use bytes::Bytes;

use crate::time::Instant;
use crate::wire::{
    BLOCK_BYTES, Bitfield, Capabilities, HaveEntry, Interest, Message, PIECE_BYTES, PeerId,
    RejectReason, RenditionId, SegmentId, block_len,
};

/// Most segments remembered of one peer; the lowest sequences go first.
const MAX_SEGMENTS: usize = 4096;
/// Most blocks in all of them, in bits of what is remembered: four times what anybody can hold.
const MAX_BLOCKS: usize = 1 << 16;
/// What a peer may say besides the pieces that were asked of it: so much at once, and so much a second after that. A message
/// counts 1, and 1 more for each KiB. The busiest honest ones say a tenth of it.
const ALLOWANCE: f64 = 4096.0;
const ALLOWANCE_RATE: f64 = 512.0;
/// A peer that breaks its word again and again is left alone twice as long each time, but no longer than this many doublings.
const MAX_DOUBLINGS: u32 = 4;
/// Requests in a row for what it said it holds that a peer may refuse for not having it, before that is breaking its word: what
/// it held may have had to make room.
const FREE_REFUSALS: u32 = 4;
/// Most renditions whose interest is remembered of one peer.
const MAX_INTERESTS: usize = 8;
/// Most claims remembered of one peer.
const MAX_CLAIMS: usize = 64;
/// A claim holds no longer than this, whatever it says.
const MAX_CLAIM_MS: u32 = 15_000;
/// A peer whose send buffer has not run empty for this long is given nothing, and what waits in it is not counted.
const UNREAD: Duration = Duration::from_secs(2);
/// So many claims in a row that were not kept, and the next are not believed.
const MAX_BROKEN_CLAIMS: u32 = 4;
/// Most blocks asked of one peer at once. One is enough where the line, and not the distance, is the limit: a block that
/// waits in a queue there cannot be asked of a peer that has it sooner. Where there is hardly another, two are asked for, or
/// the line would wait for each request.
const MAX_PIPELINE: usize = 8;
/// A peer that gives nothing now is left alone this long.
const REJECT_PAUSE: Duration = Duration::from_millis(500);
/// One that has too many requests says when there is room again; it is not asked for this long if it says nothing.
const QUEUE_PAUSE: Duration = Duration::from_secs(3);
/// What has begun to come is believed to take this much longer than it would at its peer's usual rate.
const DOUBT: f64 = 1.5;
/// Seconds before a block is due at which the origin is asked for it, if it is not on its way.
const FALLBACK: f64 = 1.15;
/// The same of a part, or of what is as short, which an origin that is fast enough brings in a round trip.
const FALLBACK_BRIEF: f64 = 0.3;
/// Pieces that may be in the queues of both lines before the first of a block is noticed at its end.
const UNNOTICED: f64 = 6.0;
/// The same of what is brief, for which there is no time to be sure.
const UNNOTICED_BRIEF: f64 = 3.0;
/// First guess of a peer's throughput, in byte/s.
const INITIAL_RATE: f64 = 250_000.0;
/// The same of its line, until one was measured: whoever thinks it too fast asks the origin for what is on its way.
const INITIAL_LINE: f64 = 120_000.0;
/// Seconds that the first block of a peer may be compared with the origin's before it can be played.
const COMPARED: f64 = 0.3;

/// What a peer holds of a segment.
#[derive(Debug, Clone)]
pub(crate) struct PeerSegment {
    pub(crate) tag: u32,
    pub(crate) size: u32,
    pub(crate) blocks: Bitfield,
}

/// What a piece was.
#[derive(Debug)]
pub(super) enum Piece {
    /// More of the block is to come.
    Partial,
    /// The last piece of it is, from one who has sent a right one before.
    Nearly { segment: SegmentId, block: u16 },
    /// The block is whole.
    Whole { segment: SegmentId, block: u16, data: Bytes },
    /// It answers a request that was cancelled.
    Late,
    /// Nobody asked for it, or it does not fit.
    Refused,
}

#[derive(Debug)]
struct Asked {
    segment: SegmentId,
    block: u16,
    len: u32,
    sent_at: Instant,
    /// If nothing of it has come by then, nothing will: its peer has dropped it. `None`: it is kept.
    begins_by: Option<Instant>,
    /// When its first piece came, and its last one so far.
    begun_at: Instant,
    piece_at: Instant,
    data: Vec<u8>,
}

impl Asked {
    /// Byte/s at which its pieces have come, once there are two: for how long the first was on its way is not known.
    fn line(&self) -> Option<f64> {
        let sending = self.piece_at.since(self.begun_at).as_secs_f64();
        let behind = self.data.len().saturating_sub(PIECE_BYTES as usize) as f64;
        (sending > 0.0).then(|| (behind / sending).min(50e6))
    }
}

/// One peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: Option<PeerId>,
    /// It said hello.
    pub(crate) ready: bool,
    pub(crate) opened_at: Instant,
    pub(crate) capabilities: Capabilities,
    /// Nothing is asked of it until then.
    pub(crate) slow_until: Instant,
    /// That is because it had no room for a request that may wait. For one that may not, it has more.
    pub(super) full: bool,
    /// It has said nothing since it let a request stand for too long: it may be gone.
    pub(super) silent: bool,
    /// How often in a row it was left alone for not giving what it said it has, and how often it refused that.
    failures: u32,
    refusals: u32,
    /// Claims in a row of which nothing had come when it was due.
    broken_claims: u32,
    /// What it may still say without being asked, as of then.
    allowance: (f64, Instant),
    /// Bytes of pieces believed to be in the send buffer, and since when there are any.
    pub(crate) queued: usize,
    pub(super) queued_since: Instant,
    /// Bytes of hash lists that it was given in the second since then.
    pub(super) lists: (usize, Instant),
    /// Blocks of it that were compared with the origin's and were right. Only without hash lists.
    pub(crate) checks_passed: u32,
    /// It has sent a wrong block.
    pub(super) suspect: bool,
    /// A block of it is being compared, and nothing is asked of it until that is done: it is new.
    pub(crate) on_trial: bool,
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
    /// To whom it is connected, as it says.
    pub(super) members: OrderedSet<PeerId>,
    /// Offers of it that were heeded since then.
    pub(super) offers: (u32, Instant),
    segments: OrderedMap<SegmentId, PeerSegment>,
    /// Blocks of all of them, held or not.
    blocks: usize,
    interests: OrderedMap<RenditionId, Interest>,
    claims: OrderedMap<SegmentId, (u32, Instant)>,
    asked: OrderedMap<u32, Asked>,
    next_request: u32,
    last_progress: Instant,
    /// When it last said anything.
    pub(super) heard_at: Instant,
    /// Byte/s from request to last piece, smoothed.
    rate: f64,
    /// Byte/s from first to last piece, smoothed: what it gives once it is our turn. Another's until it was measured.
    pub(super) line: f64,
    pub(super) line_known: bool,
    /// Seconds from request to first piece, smoothed; 0 when unknown.
    rtt: f64,
    /// The shortest of them: without anybody else's bytes in the queue.
    min_rtt: f64,
}

impl Peer {
    pub(super) fn new(now: Instant, introduced: Option<PeerId>) -> Self {
        Self {
            id: introduced,
            ready: false,
            opened_at: now,
            capabilities: Capabilities::default(),
            slow_until: Instant::default(),
            full: false,
            silent: false,
            failures: 0,
            refusals: 0,
            broken_claims: 0,
            allowance: (ALLOWANCE, now),
            queued: 0,
            queued_since: now,
            lists: (0, now),
            checks_passed: 0,
            suspect: false,
            on_trial: false,
            received_bytes: 0,
            sent_bytes: 0,
            members: OrderedSet::new(),
            offers: (0, now),
            segments: OrderedMap::new(),
            blocks: 0,
            interests: OrderedMap::new(),
            claims: OrderedMap::new(),
            asked: OrderedMap::new(),
            next_request: 0,
            last_progress: now,
            heard_at: now,
            rate: INITIAL_RATE,
            line: INITIAL_LINE,
            line_known: false,
            rtt: 0.0,
            min_rtt: 0.0,
        }
    }

    pub(crate) fn rtt_ms(&self) -> f64 {
        self.rtt * 1000.0
    }

    /// What it holds of a segment, if it is the file with this tag.
    pub(crate) fn segment(&self, id: SegmentId, tag: u32) -> Option<&PeerSegment> {
        self.segments.get(&id).filter(|segment| segment.tag == tag)
    }

    /// Whether it holds a block of a segment, of whatever file.
    pub(super) fn holds_block(&self, id: SegmentId, block: u16) -> bool {
        self.segments.get(&id).is_some_and(|of| of.blocks.has(block))
    }

    /// Whether it holds all that `entry` tells of.
    pub(super) fn holds_all(&self, id: SegmentId, entry: &HaveEntry) -> bool {
        self.segment(id, entry.tag).is_some_and(|of| {
            of.size == entry.size
                && (0..entry.blocks.len())
                    .all(|block| !entry.blocks.has(block) || of.blocks.has(block))
        })
    }

    pub(super) fn holds_any(&self, id: SegmentId) -> bool {
        self.segments.contains_key(&id)
    }

    /// Whether it has shown that it knows of a claim on a segment, or of one as strong; without one, of the segment.
    pub(super) fn knows(&self, id: SegmentId, claim: Option<(Instant, u32)>) -> bool {
        let (now, least_ms) = claim.unwrap_or_default();
        self.claimed(now, id).map_or_else(|| self.holds_any(id), |(ttl_ms, _)| ttl_ms >= least_ms)
    }

    /// The playhead of one that can fetch and give, and wants a segment, or will when its window is this much longer.
    pub(super) fn awaits(&self, id: SegmentId, lag: u64) -> Option<u64> {
        let both = Capabilities::UPLOAD.with(Capabilities::ORIGIN);
        let of = self.interest(id.rendition)?;
        let wants = of.playhead <= id.sequence && id.sequence <= of.last.saturating_add(lag);
        (wants && self.ready && self.capabilities.contains(both)).then_some(of.playhead)
    }

    /// The same of one that has nothing of it, and is not silent.
    pub(super) fn lacks(&self, id: SegmentId, lag: u64) -> Option<u64> {
        self.awaits(id, lag).filter(|_| !self.silent && !self.holds_any(id))
    }

    pub(super) fn interest(&self, rendition: RenditionId) -> Option<&Interest> {
        self.interests.get(&rendition)
    }

    /// Its claim on a segment: for how many ms it made it, and until when it holds.
    pub(super) fn claimed(&self, now: Instant, id: SegmentId) -> Option<(u32, Instant)> {
        self.claims.get(&id).copied().filter(|(_, until)| *until > now)
    }

    pub(super) fn learn(&mut self, now: Instant, rendition: RenditionId, entries: Vec<HaveEntry>) {
        for HaveEntry { sequence, tag, size, blocks } in entries {
            let id = SegmentId { rendition, sequence };
            if blocks.is_empty() {
                self.forget(id);
                continue;
            }
            // A claim that shows blocks is being kept: it holds on. A whole segment needs no claim.
            if let Some((ttl_ms, until)) = self.claims.get_mut(&id) {
                *until = now + Duration::from_millis((*ttl_ms).into());
                self.broken_claims = 0;
                if blocks.is_full() {
                    self.claims.remove(&id);
                }
            }
            self.blocks += usize::from(blocks.len());
            if let Some(of) = self.segments.insert(id, PeerSegment { tag, size, blocks }) {
                self.blocks -= usize::from(of.blocks.len());
            }
        }
        while self.segments.len() > MAX_SEGMENTS || self.blocks > MAX_BLOCKS {
            let Some((id, _)) = self.segments.first_key_value() else { break };
            self.forget(*id);
        }
    }

    /// It holds nothing of a segment.
    pub(super) fn forget(&mut self, id: SegmentId) {
        if let Some(of) = self.segments.remove(&id) {
            self.blocks -= usize::from(of.blocks.len());
        }
    }

    /// Whether it reads what it is sent.
    pub(super) fn reads(&self, now: Instant) -> bool {
        self.queued == 0 || now.since(self.queued_since) < UNREAD
    }

    /// Whether it may say this much more, of which it was asked for nothing.
    pub(super) fn may_say(&mut self, now: Instant, bytes: usize) -> bool {
        let (left, at) = self.allowance;
        let left = (left + now.since(at).as_secs_f64() * ALLOWANCE_RATE).min(ALLOWANCE);
        self.allowance = (left - 1.0 - (bytes >> 10) as f64, now);
        self.allowance.0 >= 0.0
    }

    /// It did not give what it said it has: it is asked nothing for a while, longer each time in a row.
    pub(super) fn fail(&mut self, now: Instant, pause: Duration) {
        self.slow_until = now + pause * (1 << self.failures.min(MAX_DOUBLINGS));
        self.full = false;
        self.failures += 1;
    }

    pub(super) fn set_interest(&mut self, interest: Interest) {
        if self.interests.len() >= MAX_INTERESTS
            && !self.interests.contains_key(&interest.rendition)
        {
            self.interests.pop_first();
        }
        self.interests.insert(interest.rendition, interest);
    }

    /// Whether the claim is believed.
    pub(super) fn claim(&mut self, now: Instant, segment: SegmentId, ttl_ms: u32) -> bool {
        self.claims.retain(|_, (_, until)| *until > now);
        if ttl_ms == 0 {
            self.claims.remove(&segment);
        }
        let believed =
            ttl_ms > 0 && self.claims.len() < MAX_CLAIMS && self.broken_claims < MAX_BROKEN_CLAIMS;
        if believed {
            let ttl_ms = ttl_ms.min(MAX_CLAIM_MS);
            self.claims.insert(segment, (ttl_ms, now + Duration::from_millis(ttl_ms.into())));
        }
        believed
    }

    /// The origin has to be asked for a segment: if this peer said that it does so, it should have shown some by now.
    pub(super) fn doubt_claim(&mut self, segment: SegmentId) {
        if self.claims.contains_key(&segment) && !self.holds_any(segment) {
            self.broken_claims += 1;
        }
    }

    /// Whether it can be asked for one more block; of two at once, however near it is, where peers are `few` and it has given
    /// one. Whether that may wait, or not (`urgent`).
    pub(super) fn can_be_asked(&self, now: Instant, few: bool, urgent: bool) -> bool {
        let rate = self.rate.min(self.line);
        let gives = self.line_known && self.failures + self.refusals == 0;
        let least = if few && gives { 2 } else { 1 };
        let pipeline = (rate * self.min_rtt / f64::from(BLOCK_BYTES)).ceil() as usize;
        self.ready
            && self.capabilities.contains(Capabilities::UPLOAD)
            && (now >= self.slow_until || urgent && self.full)
            && !self.silent
            && !self.on_trial
            && self.asked.len() < pipeline.clamp(least, MAX_PIPELINE)
    }

    /// Seconds until one more block of it would be here.
    pub(super) fn eta(&self) -> f64 {
        self.rtt.max(0.02) + (self.awaited() + f64::from(BLOCK_BYTES)) / self.rate
    }

    /// Bytes that it was asked for and has not sent yet.
    pub(super) fn awaited(&self) -> f64 {
        self.asked.values().map(|asked| f64::from(asked.len) - asked.data.len() as f64).sum()
    }

    /// Seconds from when the first byte of a block is sent until it is noticed here: what may be in the queues of both lines.
    pub(super) fn notice(&self, brief: bool) -> f64 {
        let pieces = if brief { UNNOTICED_BRIEF } else { UNNOTICED };
        (pieces * f64::from(PIECE_BYTES) / self.line + self.min_rtt).clamp(0.05, 5.0)
    }

    /// Seconds before a block is due by which it has to have begun to come, or the origin is asked.
    pub(super) fn lead(&self) -> f64 {
        FALLBACK.max(DOUBT * f64::from(BLOCK_BYTES) / self.line) + self.compared()
    }

    /// Seconds that a request for a block may wait in its queue: until it is certain that nothing is on its way, there has
    /// to be time to ask the origin.
    pub(super) fn slack(&self, now: Instant, deadline: Instant, brief: bool) -> f64 {
        let lead = if brief { FALLBACK_BRIEF } else { self.lead() };
        deadline.since(now).as_secs_f64() - self.notice(brief) - lead
    }

    /// Seconds for which a block is held before it can be played.
    const fn compared(&self) -> f64 {
        if self.line_known { 0.0 } else { COMPARED }
    }

    /// Whether a block that was asked for may still begin to come.
    pub(super) fn may_begin(&self, now: Instant, segment: SegmentId, block: u16) -> bool {
        self.asked.iter().any(|(_, asked)| {
            asked.segment == segment
                && asked.block == block
                && asked.data.is_empty()
                && asked.begins_by.is_some_and(|by| now < by)
        })
    }

    /// Forgets the requests that its peer has dropped, since their time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<(u32, (SegmentId, u16))> {
        self.give_up(|asked| asked.data.is_empty() && asked.begins_by.is_some_and(|by| by <= now))
    }

    /// When a block that has begun to come will be here whole; `None` also when its next piece should have come.
    pub(super) fn arrival(&self, now: Instant, segment: SegmentId, block: u16) -> Option<Instant> {
        let (_, asked) = self.asked.iter().find(|(_, asked)| {
            asked.segment == segment && asked.block == block && !asked.data.is_empty()
        })?;
        // Where the line is slower than usual, or than was guessed, the pieces that have come show it.
        let line = asked.line().map_or(self.line, |line| line.min(self.line));
        let after = |bytes: f64| {
            asked.piece_at + Duration::from_secs_f64((DOUBT * bytes / line).min(3600.0))
        };
        let left = f64::from(asked.len) - asked.data.len() as f64;
        // Two pieces may be in one queue of its sender.
        (after(left.min(f64::from(2 * PIECE_BYTES))) >= now)
            .then(|| after(left) + Duration::from_secs_f64(self.compared()))
    }

    /// Notes a request; the id to send.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        segment: SegmentId,
        block: u16,
        size: u32,
        begins_by: Option<Instant>,
    ) -> u32 {
        let id = self.next_request;
        self.next_request = self.next_request.wrapping_add(1);
        if self.asked.is_empty() {
            self.last_progress = now;
        }
        let len = block_len(size, block);
        self.asked.insert(
            id,
            Asked {
                segment,
                block,
                len,
                sent_at: now,
                begins_by,
                begun_at: now,
                piece_at: now,
                data: Vec::new(),
            },
        );
        id
    }

    pub(super) fn piece(&mut self, now: Instant, id: u32, offset: u32, data: &Bytes) -> Piece {
        let Some(asked) = self.asked.get_mut(&id) else {
            // The answer to a cancelled request crosses the cancel; an id that was never used is a lie.
            return if self.next_request.wrapping_sub(id).wrapping_sub(1) < 1 << 16 {
                Piece::Late
            } else {
                Piece::Refused
            };
        };
        // In pieces of any length a block could come byte by byte.
        let whole = asked.len.saturating_sub(offset).min(PIECE_BYTES) as usize;
        if data.len() != whole || whole == 0 || offset as usize != asked.data.len() {
            return Piece::Refused;
        }
        let waited = now.since(asked.sent_at).as_secs_f64();
        if offset == 0 {
            self.min_rtt = if self.min_rtt == 0.0 { waited } else { self.min_rtt.min(waited) };
            if self.asked.len() == 1 || self.rtt == 0.0 {
                self.rtt =
                    if self.rtt == 0.0 { waited } else { self.rtt + (waited - self.rtt) * 0.3 };
            }
            let asked = self.asked.get_mut(&id);
            if let Some(asked) = asked {
                asked.begun_at = now;
                asked.data.reserve_exact(asked.len as usize);
            }
        }
        self.received_bytes += data.len() as u64;
        let Some(asked) = self.asked.get_mut(&id) else { return Piece::Refused };
        asked.data.extend_from_slice(data);
        asked.piece_at = now;
        let since = asked.sent_at.max(self.last_progress);
        let left = asked.len.saturating_sub(asked.data.len() as u32);
        if left > 0 {
            let nearly = left <= PIECE_BYTES && self.line_known && !self.suspect;
            return if nearly {
                Piece::Nearly { segment: asked.segment, block: asked.block }
            } else {
                Piece::Partial
            };
        }
        let Some(asked) = self.asked.remove(&id) else { return Piece::Refused };
        if let Some(sample) = asked.line() {
            let known = std::mem::replace(&mut self.line_known, true);
            self.line += (sample - self.line) * if known { 0.3 } else { 1.0 };
        }
        let seconds = (now.since(since).as_secs_f64()
            - if since == asked.sent_at { self.rtt } else { 0.0 })
        .max(0.001);
        let sample = (f64::from(asked.len) / seconds).min(50e6);
        self.rate += (sample - self.rate) * 0.3;
        self.last_progress = now;
        (self.failures, self.refusals) = (0, 0);
        Piece::Whole { segment: asked.segment, block: asked.block, data: asked.data.into() }
    }

    /// It will not answer this request: what it was for.
    pub(super) fn rejected(
        &mut self,
        now: Instant,
        id: u32,
        reason: RejectReason,
    ) -> Option<(SegmentId, u16)> {
        let asked = self.asked.remove(&id)?;
        self.last_progress = now;
        // A refusal waits for nobody: it tells the distance better than a block that did.
        let waited = now.since(asked.sent_at).as_secs_f64();
        if self.min_rtt == 0.0 || waited < self.min_rtt {
            self.min_rtt = waited;
        }
        self.full = reason == RejectReason::TooMany && asked.begins_by.is_some();
        match reason {
            // It is asked for this segment again only after news of it.
            RejectReason::NotHeld => {
                self.forget(asked.segment);
                self.refusals += 1;
                if self.refusals > FREE_REFUSALS {
                    self.fail(now, REJECT_PAUSE);
                }
            }
            RejectReason::Choked => self.slow_until = now + REJECT_PAUSE,
            RejectReason::TooMany => self.slow_until = now + QUEUE_PAUSE,
        }
        Some((asked.segment, asked.block))
    }

    /// Whether it has sent nothing for too long.
    pub(super) fn stalled(&self, now: Instant, timeout: Duration) -> bool {
        self.asked.iter().any(|(_, asked)| {
            // What has begun has to go on; what waits in a queue may wait while its peer is alive.
            let since = if !asked.data.is_empty() {
                asked.piece_at
            } else if asked.begins_by.is_some() {
                asked.sent_at.max(self.heard_at)
            } else {
                asked.sent_at.max(self.last_progress)
            };
            now.since(since) > timeout
        })
    }

    /// A request that can only be refused, to hear whether it is still there.
    pub(super) fn probe(&mut self) -> Message {
        let id = self.next_request;
        self.next_request = self.next_request.wrapping_add(1);
        Message::Request { id, segment: SegmentId::default(), block: u16::MAX, due_ms: 0 }
    }

    /// Forgets all requests: their ids and what they were for.
    pub(super) fn cancel_all(&mut self) -> Vec<(u32, (SegmentId, u16))> {
        self.rate = (self.rate / 2.0).max(10_000.0);
        self.give_up(|_| true)
    }

    /// Forgets the requests that `which` names: their ids and what they were for.
    pub(super) fn cancel(
        &mut self,
        which: &dyn Fn(SegmentId, u16, bool) -> bool,
    ) -> Vec<(u32, (SegmentId, u16))> {
        self.give_up(|asked| which(asked.segment, asked.block, !asked.data.is_empty()))
    }

    fn give_up(&mut self, which: impl Fn(&Asked) -> bool) -> Vec<(u32, (SegmentId, u16))> {
        let mut gone = Vec::new();
        for (id, asked) in &self.asked {
            if which(asked) {
                gone.push((*id, (asked.segment, asked.block)));
            }
        }
        for (id, _) in &gone {
            self.asked.remove(id);
        }
        gone
    }

    /// What was asked of it.
    pub(super) fn requests(&self) -> impl Iterator<Item = (SegmentId, u16)> {
        self.asked.values().map(|asked| (asked.segment, asked.block))
    }
}
