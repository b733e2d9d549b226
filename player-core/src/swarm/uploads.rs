//! What is given, within the limit: of the requests that wait first those that were begun, then blocks that nobody else holds,
//! then what is due soonest, and what goes to those who pass it on.

use crate::ordered::{OrderedMap, OrderedSet, retain};
use crate::queue::Queue;
use std::cmp::Reverse;
use std::time::Duration;

use super::{Peer, RARE, RARE_AFAR, SCARCE};
use crate::config::Config;
use crate::io::ConnectionId;
use crate::store::Store;
use crate::time::Instant;
use crate::wire::{
    BLOCK_BYTES, Capabilities, Message, PIECE_BYTES, RejectReason, RenditionId, SegmentId,
};

/// Requests that wait at once. Few: what waits here cannot be asked of whoever is free.
const MAX_WAITING: usize = 2;
/// The same with those that are wanted at once.
const MAX_URGENT: usize = 8;
/// Requests of one peer that wait at once.
const MAX_OF_ONE: usize = 4;
/// How long a place is kept for peers who were told that there is room, and how many are told of each: what one of them
/// wanted, it may have from another by now.
const INVITATION: Duration = Duration::from_millis(500);
const INVITED: usize = 4;
/// Seconds over which it is measured how busy the line is.
const BUSY_SECONDS: f64 = 8.0;

/// Bytes in all send buffers together: a block that is sent to one peer at full speed can be passed on by it sooner
/// than several that are sent to several peers at once; and news does not wait long behind it.
const MAX_QUEUED: usize = 16 << 10;
/// Where hardly anything of the uplink is left, a request takes the place of one that may begin so much later.
const SOONER: Duration = Duration::from_secs(3);
/// A request that is due so soon goes before others.
const URGENT: Duration = Duration::from_millis(1500);
/// Where uplinks are scarce, who gives nothing has its turn this long.
const ROTATION: Duration = Duration::from_secs(10);
/// Most blocks of which it is remembered how often they were sent.
const MAX_SENT: usize = 2048;

/// A request that waits, or is being answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Upload {
    connection: ConnectionId,
    id: u32,
    segment: SegmentId,
    block: u16,
    /// It is dropped if it has not begun by then; `None`: it is needed now.
    due: Option<Instant>,
    offset: u32,
}

impl Upload {
    pub(super) const fn new(
        connection: ConnectionId,
        id: u32,
        segment: SegmentId,
        block: u16,
        due: Option<Instant>,
    ) -> Self {
        Self { connection, id, segment, block, due, offset: 0 }
    }
}

/// Requests that wait, and the limit.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    waiting: Vec<Upload>,
    /// Who was refused because too many waited: told in this order when there is room again.
    refused: Vec<ConnectionId>,
    /// Who was told so, and until when it is expected to ask.
    invited: Vec<(ConnectionId, Instant)>,
    /// How often each block was sent.
    sent: OrderedMap<(SegmentId, u16), u32>,
    limit_bps: Option<u64>,
    /// Bytes that may be sent now, when there is a limit.
    budget: f64,
    refilled_at: Instant,
    /// Part of the time, lately, in which requests waited for the line.
    busy: f64,
    /// The same with what is in send buffers, and the bytes sent in a second.
    at_work: f64,
    given: f64,
    /// Who is served as if it had given something, and since when.
    optimistic: Option<ConnectionId>,
    rotated_at: Instant,
    seen_at: Instant,
    next_refill: Option<Instant>,
    /// Blocks that others were told of and that are nearly here: what asks for them waits until they are.
    pub(super) promised: OrderedSet<(SegmentId, u16)>,
    /// This viewer has nothing to play itself: only what others need as soon is begun.
    pub(super) short: bool,
}

impl Uploads {
    pub(super) const fn set_limit(&mut self, bps: Option<u64>) {
        self.limit_bps = bps;
    }

    /// Part of the time, lately, in which requests waited for the line.
    pub(super) const fn busy(&self) -> f64 {
        self.busy
    }

    /// Part of the time, lately, in which the line was at work, and its byte/s then.
    pub(super) fn line(&self) -> (f64, f64) {
        (self.at_work, self.given / self.at_work)
    }

    /// Whether a peer has asked for something that it has not got yet.
    pub(super) fn is_for(&self, connection: ConnectionId) -> bool {
        self.waiting.iter().any(|upload| upload.connection == connection)
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.next_refill
    }

    /// Takes a request; if not all can wait, who is refused, and why. A block that nobody else can give takes the place of
    /// one that others can, and one that hardly anybody can, that of one that many can; who passes it on, that of one who
    /// does not; and, where hardly anything of the uplink is left, what has to begin sooner, that of what may wait.
    pub(super) fn request(
        &mut self,
        request: Upload,
        upload: bool,
        peers: &OrderedMap<ConnectionId, Peer>,
        store: &Store,
    ) -> Option<(ConnectionId, u32, RejectReason)> {
        let (connection, id) = (request.connection, request.id);
        if !upload {
            return Some((connection, id, RejectReason::Choked));
        }
        if !self.comes(&request)
            && store.segment(request.segment).and_then(|held| held.block(request.block)).is_none()
        {
            return Some((connection, id, RejectReason::NotHeld));
        }
        retain(&mut self.invited, |(other, _)| *other != connection);
        let most = if request.due.is_some() { MAX_WAITING } else { MAX_URGENT };
        let own = self.waiting.iter().filter(|upload| upload.connection == connection).count();
        if self.waiting.len() >= most || own >= MAX_OF_ONE {
            let waits = |of: &Upload| of.segment == request.segment && of.block == request.block;
            // Others that so many hold yield to it.
            let common = match self.copies(&request, peers) {
                0 if !self.waiting.iter().any(waits) => 1,
                copies if copies <= RARE as u32 => RARE_AFAR as u32,
                _ => u32::MAX,
            };
            let rank = self.rank(connection, peers);
            let soon = request.due.unwrap_or_default() + SOONER;
            let spreads = self.gives(connection, peers);
            let spare = |of: &Upload| {
                let theirs = self.rank(of.connection, peers);
                let sooner = self.busy > SCARCE && rank == theirs && of.due > Some(soon);
                let least = if sooner { 1 } else { common };
                let yields =
                    of.due.is_some() && least < u32::MAX && self.copies(of, peers) >= least;
                let ends = of.due.is_some() && spreads && !self.gives(of.connection, peers);
                of.offset == 0 && (rank > theirs || yields || ends)
            };
            let place = self.waiting.iter().rposition(spare).filter(|_| own < MAX_OF_ONE);
            let mut refused = request;
            if let Some(at) = place {
                refused = std::mem::replace(&mut self.waiting[at], request);
                self.admit(connection);
            }
            if !self.refused.contains(&refused.connection) {
                self.refused.push(refused.connection);
            }
            return Some((refused.connection, refused.id, RejectReason::TooMany));
        }
        self.admit(connection);
        self.waiting.push(request);
        None
    }

    /// Whether the block that is asked for is nearly here.
    fn comes(&self, of: &Upload) -> bool {
        self.promised.contains(&(of.segment, of.block))
    }

    /// How many others hold a block, as far as is known. One that nobody does has to go out once before anything else: only
    /// then can others help.
    fn copies(&self, of: &Upload, peers: &OrderedMap<ConnectionId, Peer>) -> u32 {
        let mut copies = 0;
        for (_, peer) in peers {
            copies += u32::from(peer.holds_block(of.segment, of.block));
        }
        self.sent.get(&(of.segment, of.block)).copied().unwrap_or(0).max(copies)
    }

    /// Who is served first where hardly anything of the uplink is left: who has given something, then who could.
    fn rank(&self, connection: ConnectionId, peers: &OrderedMap<ConnectionId, Peer>) -> u8 {
        let Some(peer) = peers.get(&connection).filter(|_| self.busy > SCARCE) else { return 0 };
        if peer.received_bytes > 0 || self.optimistic == Some(connection) {
            return 2;
        }
        self.gives(connection, peers).into()
    }

    /// Whether a peer passes on what it gets, as far as it says, or has its turn as if it did.
    fn gives(&self, connection: ConnectionId, peers: &OrderedMap<ConnectionId, Peer>) -> bool {
        let able = |peer: &Peer| peer.capabilities.contains(Capabilities::UPLOAD);
        self.optimistic == Some(connection) || peers.get(&connection).is_some_and(able)
    }

    /// Gives the next of those who have given nothing its turn.
    fn rotate(&mut self, now: Instant, peers: &OrderedMap<ConnectionId, Peer>) {
        if now.since(self.rotated_at) < ROTATION {
            return;
        }
        self.rotated_at = now;
        let before = self.optimistic.take();
        let poor = |id: &&ConnectionId| self.rank(**id, peers) < 2;
        let behind = peers.keys().filter(|id| Some(**id) > before).find(poor);
        self.optimistic = behind.or_else(|| peers.keys().find(poor)).copied();
    }

    /// Takes back a request of a peer, or all of them.
    pub(super) fn cancel(&mut self, connection: ConnectionId, id: Option<u32>) {
        let meant = |upload: &Upload| id.is_none_or(|id| id == upload.id);
        retain(&mut self.waiting, |of| of.connection != connection || !meant(of));
    }

    /// Refuses what waits: nothing is given any more.
    pub(super) fn end(&mut self, outbox: &mut Queue<(ConnectionId, Message)>) {
        self.refused.clear();
        for Upload { connection, id, .. } in self.waiting.drain(..) {
            outbox.push_back((connection, Message::Reject { id, reason: RejectReason::Choked }));
        }
    }

    pub(super) fn forget(&mut self, connection: ConnectionId) {
        self.cancel(connection, None);
        self.admit(connection);
    }

    /// It need not be told that there is room.
    fn admit(&mut self, connection: ConnectionId) {
        retain(&mut self.refused, |other| *other != connection);
    }

    /// Tells those who were refused that there is room again, those first who pass on what they get.
    fn invite(
        &mut self,
        now: Instant,
        peers: &OrderedMap<ConnectionId, Peer>,
        outbox: &mut Queue<(ConnectionId, Message)>,
    ) {
        retain(&mut self.invited, |(_, until)| *until > now);
        while self.waiting.len() + self.invited.len() / INVITED < MAX_WAITING {
            let mut best = None;
            for (at, connection) in self.refused.iter().enumerate() {
                let rank = (self.rank(*connection, peers), self.gives(*connection, peers));
                let place = (Reverse(rank), at);
                best = Some(best.map_or(place, |best| place.min(best)));
            }
            let Some((_, at)) = best else { break };
            let connection = self.refused.remove(at);
            self.invited.push((connection, now + INVITATION));
            let rendition = RenditionId(0);
            outbox.push_back((connection, Message::Have { rendition, entries: Vec::new() }));
        }
    }

    /// Sends pieces; the bytes of media sent. What was begun is finished first, but before the next piece of what many hold and
    /// is not due soon comes what hardly anybody holds; then what nobody else holds goes to those who pass it on; then, where
    /// hardly anything of the uplink is left, comes what those ask for who give; then what is due soon; then what goes to those
    /// who pass it on; then the block that the fewest hold; then the request that came first. So what is new doubles with each
    /// step, and does not wait behind what is out there.
    pub(super) fn run(
        &mut self,
        now: Instant,
        peers: &mut OrderedMap<ConnectionId, Peer>,
        store: &Store,
        config: &Config,
        outbox: &mut Queue<(ConnectionId, Message)>,
    ) -> u64 {
        self.refill(now);
        let passed = now.since(self.seen_at).as_secs_f64().min(1.0) / BUSY_SECONDS;
        self.busy += (f64::from(u8::from(!self.waiting.is_empty())) - self.busy) * passed;
        let at_work = !self.waiting.is_empty() || peers.values().any(|peer| peer.queued > 0);
        self.at_work += (f64::from(u8::from(at_work)) - self.at_work) * passed;
        self.given -= self.given * passed;
        self.seen_at = now;
        self.rotate(now, peers);
        retain(&mut self.waiting, |of| of.offset > 0 || of.due.is_none_or(|due| now < due));
        self.next_refill = None;
        if self.waiting.is_empty() && self.refused.is_empty() {
            return 0;
        }
        // Whoever does not read is no reason to give the others nothing.
        let mut queued = 0;
        for (connection, peer) in &*peers {
            if peer.reads(now) {
                queued += peer.queued;
            } else {
                self.forget(*connection);
            }
        }
        if self.waiting.is_empty() {
            return 0;
        }
        let mut sent = 0;
        let (high, low) = (config.send_buffer_high, config.send_buffer_low);
        while queued < MAX_QUEUED && config.upload_budget_bytes.is_none_or(|left| sent < left) {
            if self.limit_bps.is_some() && self.budget <= 0.0 {
                self.next_refill =
                    (!self.waiting.is_empty()).then(|| now + Duration::from_millis(50));
                break;
            }
            let is_urgent = |of: &Upload| of.due.is_none_or(|due| due < now + URGENT);
            let parks = |of: &Upload| {
                of.offset > 0 && !is_urgent(of) && self.copies(of, peers) >= RARE_AFAR as u32
            };
            let parked = self.waiting.iter().any(parks);
            let mut best = None;
            for (at, upload) in self.waiting.iter().enumerate() {
                let urgent = is_urgent(upload);
                if self.comes(upload)
                    || self.short && upload.offset == 0 && !urgent
                    || peers.get(&upload.connection).is_none_or(|peer| peer.queued >= high)
                {
                    continue;
                }
                let copies = self.copies(upload, peers);
                let due = upload.due.filter(|_| urgent).unwrap_or_default();
                let ends = !self.gives(upload.connection, peers);
                let rank = Reverse(self.rank(upload.connection, peers));
                let later = ends || copies > 0;
                let turn = match upload.offset {
                    0 if parked && !ends && copies <= RARE as u32 => 1,
                    0 => 3,
                    _ if parks(upload) => 2,
                    _ => 0,
                };
                let place = (turn, later, rank, !urgent, due, ends, copies, at);
                best = Some(best.map_or(place, |best| place.min(best)));
            }
            let Some((.., at)) = best else { break };
            let upload = &mut self.waiting[at];
            let (connection, id) = (upload.connection, upload.id);
            let block = store.segment(upload.segment).and_then(|held| held.block(upload.block));
            let (Some(block), Some(peer)) = (block, peers.get_mut(&connection)) else {
                outbox
                    .push_back((connection, Message::Reject { id, reason: RejectReason::NotHeld }));
                self.waiting.remove(at);
                continue;
            };
            let from = upload.offset;
            let to = (from as usize + PIECE_BYTES as usize).min(block.len());
            let data = block.slice(from as usize..to);
            let len = data.len();
            // The send buffer tells when it has drained to the low mark; a piece below that says nothing.
            if len > low {
                if peer.queued == 0 {
                    peer.queued_since = now;
                }
                peer.queued += len;
                queued += len;
            }
            peer.sent_bytes += len as u64;
            sent += len as u64;
            self.budget -= len as f64;
            upload.offset = to as u32;
            let whole = to == block.len();
            if from == 0 {
                *self.sent.get_or_insert_with((upload.segment, upload.block), || 0) += 1;
                if self.sent.len() > MAX_SENT {
                    self.sent.pop_first();
                }
            }
            outbox.push_back((connection, Message::Piece { id, offset: from, data }));
            if whole {
                self.waiting.remove(at);
            }
        }
        self.invite(now, peers, outbox);
        self.given += sent as f64 / BUSY_SECONDS;
        sent
    }

    fn refill(&mut self, now: Instant) {
        let Some(bps) = self.limit_bps else { return };
        let rate = bps as f64 / 8.0;
        self.budget = (self.budget + now.since(self.refilled_at).as_secs_f64() * rate)
            .min(rate.min(f64::from(BLOCK_BYTES)));
        self.refilled_at = now;
    }
}
