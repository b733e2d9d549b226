//! Segment bytes by (rendition, media sequence, block), within a byte budget.

use crate::ordered::OrderedMap;

use bytes::Bytes;

use crate::wire::{BLOCK_BYTES, Bitfield, MAX_SEGMENT_BYTES, SegmentId, block_count, block_len};

/// Where a block's bytes came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The origin.
    Http,
    /// A peer.
    Peer,
}

/// What is held of one segment.
#[derive(Debug, Clone)]
pub(crate) struct StoredSegment {
    /// Size in bytes.
    pub(crate) size: u32,
    /// Hash of its name and byte range (see [`HaveEntry::tag`](crate::wire::HaveEntry::tag)).
    pub(crate) tag: u32,
    /// Which blocks are held.
    pub(crate) held: Bitfield,
    /// Bytes that came from the origin.
    pub(crate) http_bytes: u64,
    /// Bytes that came from peers.
    pub(crate) peer_bytes: u64,
    blocks: Vec<Bytes>,
}

impl StoredSegment {
    /// Whether all of it is held.
    pub(crate) fn is_complete(&self) -> bool {
        self.held.is_full()
    }

    /// The bytes of a held block.
    pub(crate) fn block(&self, block: u16) -> Option<&Bytes> {
        self.held.has(block).then(|| &self.blocks[usize::from(block)])
    }

    /// Bytes of the blocks that are not held.
    pub(crate) fn missing_bytes(&self) -> u64 {
        u64::from(self.size) - self.http_bytes - self.peer_bytes
    }

    /// How many bytes are held from its beginning on, without a hole.
    pub(crate) fn held_to(&self) -> u32 {
        (u32::from(self.first_missing()) * BLOCK_BYTES).min(self.size)
    }

    /// First block that is not held, the block count when all are.
    pub(crate) fn first_missing(&self) -> u16 {
        (0..self.held.len()).find(|block| !self.held.has(*block)).unwrap_or_else(|| self.held.len())
    }
}

/// What a block's arrival did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Insert {
    /// It is held now.
    Added,
    /// It was held already.
    Duplicate,
    /// It does not fit the segment.
    Refused,
}

/// All that is held, in a byte budget.
#[derive(Debug, Clone, Default)]
pub(crate) struct Store {
    segments: OrderedMap<SegmentId, StoredSegment>,
    bytes: u64,
}

impl Store {
    /// Bytes held.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is held of a segment.
    pub(crate) fn segment(&self, id: SegmentId) -> Option<&StoredSegment> {
        self.segments.get(&id)
    }

    /// Everything, by rendition and sequence.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&SegmentId, &StoredSegment)> {
        self.segments.iter()
    }

    /// Whether all of a segment is held.
    pub(crate) fn is_complete(&self, id: SegmentId) -> bool {
        self.segments.get(&id).is_some_and(StoredSegment::is_complete)
    }

    /// Makes room for a segment of this size. A segment known with another size or tag is dropped: it is
    /// another file. False when the size cannot be stored.
    pub(crate) fn prepare(&mut self, id: SegmentId, size: u32, tag: u32) -> bool {
        if size == 0 || size > MAX_SEGMENT_BYTES {
            return false;
        }
        if self.segments.get(&id).is_some_and(|held| held.size == size && held.tag == tag) {
            return true;
        }
        self.remove(id);
        let count = block_count(size);
        let segment = StoredSegment {
            size,
            tag,
            held: Bitfield::empty(count),
            http_bytes: 0,
            peer_bytes: 0,
            blocks: vec![Bytes::new(); usize::from(count)],
        };
        self.segments.insert(id, segment);
        true
    }

    /// Keeps a block of a prepared segment.
    pub(crate) fn insert(
        &mut self,
        id: SegmentId,
        block: u16,
        data: Bytes,
        source: Source,
    ) -> Insert {
        let Some(segment) = self.segments.get_mut(&id) else {
            return Insert::Refused;
        };
        let len = block_len(segment.size, block);
        if len == 0 || data.len() as u64 != u64::from(len) {
            return Insert::Refused;
        }
        if segment.held.has(block) {
            return Insert::Duplicate;
        }
        segment.held.set(block);
        segment.blocks[usize::from(block)] = data;
        match source {
            Source::Http => segment.http_bytes += u64::from(len),
            Source::Peer => segment.peer_bytes += u64::from(len),
        }
        self.bytes += u64::from(len);
        Insert::Added
    }

    /// Bytes `from..to` of a segment, block by block; stops at the first that is not held.
    pub(crate) fn read(&self, id: SegmentId, from: u32, to: u32) -> Vec<Bytes> {
        let Some(segment) = self.segments.get(&id) else {
            return Vec::new();
        };
        let mut out = Vec::new();
        let mut at = from;
        while at < to.min(segment.size) {
            let Some(block) = segment.block((at / BLOCK_BYTES) as u16) else { break };
            let inside = at % BLOCK_BYTES;
            let len = (block.len() as u32 - inside).min(to - at);
            out.push(block.slice(inside as usize..(inside + len) as usize));
            at += len;
        }
        out
    }

    /// Lets `share` put equal bytes that are kept elsewhere in the place of each block.
    pub(crate) fn share_bytes(&mut self, share: &mut dyn FnMut(&mut Bytes)) {
        for segment in self.segments.values_mut() {
            segment.blocks.iter_mut().filter(|data| !data.is_empty()).for_each(&mut *share);
        }
    }

    /// Forgets a segment.
    pub(crate) fn remove(&mut self, id: SegmentId) -> bool {
        let Some(segment) = self.segments.remove(&id) else {
            return false;
        };
        self.bytes -= segment.http_bytes + segment.peer_bytes;
        true
    }

    /// Forgets segments until the budget is met, those with the highest `cost` first; `None` keeps one for sure.
    /// Returns what was dropped.
    pub(crate) fn evict(
        &mut self,
        budget: u64,
        cost: impl Fn(SegmentId) -> Option<u64>,
    ) -> Vec<SegmentId> {
        if self.bytes <= budget {
            return Vec::new();
        }
        let mut order: Vec<(u64, SegmentId)> =
            self.segments.keys().filter_map(|id| cost(*id).map(|cost| (cost, *id))).collect();
        order.sort_unstable();
        let mut dropped = Vec::new();
        while self.bytes > budget {
            let Some((_, id)) = order.pop() else { break };
            self.remove(id);
            dropped.push(id);
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::RenditionId;

    fn id(sequence: u64) -> SegmentId {
        SegmentId { rendition: RenditionId(1), sequence }
    }

    fn block(len: u32) -> Bytes {
        Bytes::from(vec![7; len as usize])
    }

    #[test]
    fn a_segment_is_complete_when_its_last_block_has_come() {
        let mut store = Store::default();
        assert!(store.prepare(id(1), BLOCK_BYTES + 10, 5));
        assert_eq!(store.insert(id(1), 1, block(10), Source::Peer), Insert::Added);
        assert_eq!(store.insert(id(1), 1, block(10), Source::Http), Insert::Duplicate);
        assert_eq!(
            store.insert(id(1), 0, block(10), Source::Http),
            Insert::Refused,
            "the wrong length"
        );
        assert_eq!(
            store.insert(id(1), 2, block(10), Source::Http),
            Insert::Refused,
            "beyond the end"
        );
        assert!(!store.is_complete(id(1)));
        assert_eq!(store.insert(id(1), 0, block(BLOCK_BYTES), Source::Http), Insert::Added);
        assert!(store.is_complete(id(1)));
        assert_eq!(store.bytes(), u64::from(BLOCK_BYTES) + 10);
        let read: usize = store.read(id(1), 100, BLOCK_BYTES + 5).iter().map(Bytes::len).sum();
        assert_eq!(read, BLOCK_BYTES as usize - 95);
    }

    #[test]
    fn another_size_or_tag_is_another_file() {
        let mut store = Store::default();
        store.prepare(id(1), 10, 5);
        store.insert(id(1), 0, block(10), Source::Http);
        store.prepare(id(1), 10, 5);
        assert!(store.is_complete(id(1)));
        store.prepare(id(1), 10, 6);
        assert!(!store.is_complete(id(1)));
        assert_eq!(store.bytes(), 0);
        assert!(!store.prepare(id(2), 0, 5), "an empty segment is none");
    }

    #[test]
    fn the_costliest_go_first_and_the_needed_stay() {
        let mut store = Store::default();
        for sequence in 0..4 {
            store.prepare(id(sequence), 100, 0);
            store.insert(id(sequence), 0, block(100), Source::Http);
        }
        let dropped = store.evict(150, |id| (id.sequence != 0).then_some(10 - id.sequence));
        assert_eq!(dropped, [id(1), id(2), id(3)]);
        assert_eq!(store.bytes(), 100);
    }
}
