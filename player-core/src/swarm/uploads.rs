//! What is given: requests in the order they came, a few peers at a time, within the limit.

use crate::ordered::{OrderedMap, OrderedSet};
use std::collections::VecDeque;
use std::time::Duration;

use super::Peer;
use crate::io::ConnectionId;
use crate::store::Store;
use crate::time::Instant;
use crate::wire::{BLOCK_BYTES, Message, PIECE_BYTES, RejectReason, SegmentId};

/// Requests of one peer that wait at once.
const MAX_WAITING: usize = 32;
/// Peers that are served at once: a few finish sooner than many, and can serve others then.
const SLOTS: usize = 4;

#[derive(Debug)]
struct Upload {
    connection: ConnectionId,
    id: u32,
    segment: SegmentId,
    block: u16,
    offset: u32,
}

/// Requests that wait, and the limit.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    waiting: VecDeque<Upload>,
    limit_bps: Option<u64>,
    /// Bytes that may be sent now, when there is a limit.
    budget: f64,
    refilled_at: Instant,
    next_refill: Option<Instant>,
}

impl Uploads {
    pub(super) const fn set_limit(&mut self, bps: Option<u64>) {
        self.limit_bps = bps;
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.next_refill
    }

    /// Takes a request; why not, if not.
    pub(super) fn request(
        &mut self,
        connection: ConnectionId,
        id: u32,
        segment: SegmentId,
        block: u16,
        upload: bool,
        store: &Store,
    ) -> Option<RejectReason> {
        if !upload {
            return Some(RejectReason::Choked);
        }
        if store.segment(segment).and_then(|held| held.block(block)).is_none() {
            return Some(RejectReason::NotHeld);
        }
        if self.waiting.iter().filter(|upload| upload.connection == connection).count()
            >= MAX_WAITING
        {
            return Some(RejectReason::TooMany);
        }
        self.waiting.push_back(Upload { connection, id, segment, block, offset: 0 });
        None
    }

    pub(super) fn cancel(&mut self, connection: ConnectionId, id: u32) {
        self.waiting.retain(|upload| upload.connection != connection || upload.id != id);
    }

    pub(super) fn forget(&mut self, connection: ConnectionId) {
        self.waiting.retain(|upload| upload.connection != connection);
    }

    /// Sends pieces; the bytes of media sent.
    pub(super) fn run(
        &mut self,
        now: Instant,
        peers: &mut OrderedMap<ConnectionId, Peer>,
        store: &Store,
        high: usize,
        low: usize,
        outbox: &mut VecDeque<(ConnectionId, Message)>,
    ) -> u64 {
        self.refill(now);
        let mut sent = 0;
        let mut slots: OrderedSet<ConnectionId> = peers
            .iter()
            .filter(|(_, peer)| peer.queued > 0)
            .map(|(connection, _)| *connection)
            .collect();
        let mut kept = VecDeque::with_capacity(self.waiting.len());
        while let Some(mut upload) = self.waiting.pop_front() {
            let Some(peer) = peers.get_mut(&upload.connection) else { continue };
            let slot = slots.contains(&upload.connection) || slots.len() < SLOTS;
            let Some(block) =
                store.segment(upload.segment).and_then(|held| held.block(upload.block))
            else {
                outbox.push_back((
                    upload.connection,
                    Message::Reject { id: upload.id, reason: RejectReason::NotHeld },
                ));
                continue;
            };
            let mut whole = false;
            while slot && peer.queued < high && (self.limit_bps.is_none() || self.budget > 0.0) {
                let from = upload.offset as usize;
                let to = (from + PIECE_BYTES as usize).min(block.len());
                let data = block.slice(from..to);
                let len = data.len();
                slots.insert(upload.connection);
                // The send buffer tells when it has drained to the low mark; a piece below that says nothing.
                if len > low {
                    peer.queued += len;
                }
                peer.sent_bytes += len as u64;
                sent += len as u64;
                self.budget -= len as f64;
                outbox.push_back((
                    upload.connection,
                    Message::Piece { id: upload.id, offset: upload.offset, data },
                ));
                upload.offset = to as u32;
                if to == block.len() {
                    whole = true;
                    break;
                }
            }
            if !whole {
                kept.push_back(upload);
            }
        }
        self.waiting = kept;
        self.next_refill =
            (self.limit_bps.is_some() && self.budget <= 0.0 && !self.waiting.is_empty())
                .then(|| now + Duration::from_millis(50));
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
