//! News of blocks: what is held, and in a large swarm what is nearly here. Whoever hears of a rare block while its last piece is
//! under way asks for it in time, and it goes on as soon as it is here: so each of the steps from one viewer to all is shorter by
//! the news' way and the request's.

use std::time::Duration;

use super::uploads::Uploads;
use super::{RARE, RARE_AFAR, SCARCE, Swarm};
use crate::io::ConnectionId;
use crate::ordered::OrderedSet;
use crate::proof::Proof;
use crate::store::{Store, StoredSegment};
use crate::time::Instant;
use crate::wire::{Bitfield, HaveEntry, MAX_HAVE_ENTRIES, Message, SegmentId};

/// News of blocks is gathered this long, so that one message carries several: what is new waits for it at each step.
const HAVE_INTERVAL: Duration = Duration::from_millis(20);
/// News of other blocks is gathered this long.
const IDLE_HAVE_INTERVAL: Duration = Duration::from_secs(1);
/// The same where the others are not connected to each other, and uplinks suffice: whoever is nearest to the edge is to know of
/// all that hold what it lacks.
const AFAR_HAVE_INTERVAL: Duration = Duration::from_millis(250);
/// The same while parts are shared, which are small and due soon.
const HASTY_HAVE_INTERVAL: Duration = Duration::from_millis(10);

impl Swarm {
    /// Tells that blocks of this segment came or went.
    #[inline(never)]
    pub(crate) fn blocks_changed(&mut self, now: Instant, segment: SegmentId, store: &Store) {
        if store.is_complete(segment) {
            // The news of its blocks says that the claim was kept.
            self.claims.remove(&segment);
        }
        if self.ready_peers() == 0 {
            return;
        }
        let here = |block| store.segment(segment).is_some_and(|held| held.good.has(block));
        let promised = &mut self.uploads.promised;
        let kept = promised.iter().find(|(of, block)| *of == segment && here(*block)).copied();
        if let Some(kept) = kept {
            // There was news of it while it came.
            promised.remove(&kept);
            return;
        }
        let blocks = told_of(&self.uploads, segment, store).blocks;
        let rare = (0..blocks.len()).any(|block| blocks.has(block) && self.is_rare(segment, block));
        let wait = if self.haste {
            HASTY_HAVE_INTERVAL
        } else if rare {
            HAVE_INTERVAL
        } else if self.is_full_mesh() || self.uploads.busy() > SCARCE {
            IDLE_HAVE_INTERVAL
        } else {
            AFAR_HAVE_INTERVAL
        };
        self.tell_within(now, segment, wait);
    }

    /// A part is not listed any more: nobody needs to be told that it is not held any more either.
    pub(crate) fn forget(&mut self, part: SegmentId) {
        self.peers.values_mut().for_each(|peer| peer.forget(part));
    }

    /// A block that was asked of a peer is nearly here: if it is a rare one, the others are told now.
    pub(super) fn block_comes(
        &mut self,
        now: Instant,
        segment: SegmentId,
        block: u16,
        store: &Store,
    ) {
        let shown_at_once = |held: &StoredSegment| held.proof == Proof::None || held.listed;
        if !self.is_full_mesh()
            && self.gives()
            && self.uploads.busy() <= SCARCE
            && store.segment(segment).is_some_and(shown_at_once)
            && self.is_rare(segment, block)
            && self.uploads.promised.insert((segment, block))
        {
            self.tell_within(now, segment, HAVE_INTERVAL);
        }
    }

    fn tell_within(&mut self, now: Instant, segment: SegmentId, wait: Duration) {
        self.changed.insert(segment);
        let at = self.news_at.get_or_insert(now + wait);
        *at = (*at).min(now + wait);
    }

    /// Of what does not come any more there is to be news when it is here.
    pub(super) fn settle_promises(&mut self) {
        let Self { uploads, requested, .. } = self;
        uploads.promised.retain(|of| requested.contains(of));
    }

    /// Whether few others hold a block.
    fn is_rare(&self, segment: SegmentId, block: u16) -> bool {
        let holders = self.peers.values().filter(|peer| peer.holds_block(segment, block));
        holders.count() < if self.is_full_mesh() { RARE } else { RARE_AFAR }
    }

    /// Tells all peers what is held of these segments, or only one.
    pub(super) fn send_news(
        &mut self,
        store: &Store,
        of: OrderedSet<SegmentId>,
        to: Option<ConnectionId>,
    ) {
        let of: Vec<SegmentId> = of.into_iter().collect();
        for ids in of.chunk_by(|one, next| one.rendition == next.rendition) {
            for (connection, peer) in &self.peers {
                if !peer.ready || to.is_some_and(|to| to != *connection) {
                    continue;
                }
                let mut entries = Vec::new();
                for (nth, id) in (1..).zip(ids) {
                    let entry = told_of(&self.uploads, *id, store);
                    // Who holds all of it itself has no use for the news.
                    if entry.blocks.is_empty() || !peer.holds_all(*id, &entry) {
                        entries.push(entry);
                    }
                    let last = nth == ids.len();
                    if entries.len() == MAX_HAVE_ENTRIES || last && !entries.is_empty() {
                        let entries = std::mem::take(&mut entries);
                        let rendition = id.rendition;
                        self.outbox.push_back((*connection, Message::Have { rendition, entries }));
                    }
                }
            }
        }
    }
}

/// What others are told of a segment.
fn told_of(uploads: &Uploads, id: SegmentId, store: &Store) -> HaveEntry {
    let sequence = id.sequence;
    let Some(held) = store.segment(id) else {
        return HaveEntry { sequence, tag: 0, size: 1, blocks: Bitfield::empty(1) };
    };
    let mut blocks = held.good.clone();
    for (segment, block) in uploads.promised.iter() {
        if *segment == id {
            blocks.set(*block);
        }
    }
    HaveEntry { sequence, tag: held.tag, size: held.size, blocks }
}
