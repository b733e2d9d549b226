//! Segment bytes by (rendition, media sequence, block), within a byte budget.

use crate::ordered::OrderedMap;

use bytes::Bytes;

use crate::io::ConnectionId;
use crate::proof::{Hash, Proof, block_hash, digest, root};
use crate::wire::{BLOCK_BYTES, Bitfield, MAX_SEGMENT_BYTES, SegmentId, block_count, block_len};

/// Where a block's bytes came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The origin.
    Http,
    /// A peer.
    Peer(ConnectionId),
    /// An earlier session, by the cache.
    Cache,
}

/// What is held of one segment.
#[derive(Debug, Clone)]
pub(crate) struct StoredSegment {
    /// Size in bytes.
    pub(crate) size: u32,
    /// Hash of its name and byte range (see [`HaveEntry::tag`](crate::wire::HaveEntry::tag)).
    pub(crate) tag: u32,
    /// Which blocks are here.
    pub(crate) held: Bitfield,
    /// Which of them are what the origin would send, as far as can be told: only these are passed on.
    pub(crate) good: Bitfield,
    /// Bytes that came from the origin, or from the cache.
    pub(crate) http_bytes: u64,
    /// Bytes that came from peers.
    pub(crate) peer_bytes: u64,
    /// What it has to hash to.
    pub(crate) proof: Proof,
    /// The hashes of its blocks are known, and not only its root.
    pub(crate) listed: bool,
    /// It came spoiled, and several had a part in it: the next comes from the origin alone, and tells who it was.
    pub(crate) suspects: Vec<(Source, Hash)>,
    hashes: Vec<Hash>,
    sources: Vec<Source>,
    blocks: Vec<Bytes>,
}

impl StoredSegment {
    /// Which blocks may be appended: bytes of the origin too, while no list says what they should be.
    pub(crate) const fn usable(&self) -> &Bitfield {
        if matches!(self.proof, Proof::Awaited) { &self.held } else { &self.good }
    }

    /// Whether all of it is here and may be appended.
    pub(crate) const fn is_complete(&self) -> bool {
        self.usable().is_full()
    }

    /// The bytes of a block that is passed on.
    pub(crate) fn block(&self, block: u16) -> Option<&Bytes> {
        self.good.has(block).then(|| &self.blocks[usize::from(block)])
    }

    /// Bytes of the blocks that are not held.
    pub(crate) fn missing_bytes(&self) -> u64 {
        u64::from(self.size) - self.http_bytes - self.peer_bytes
    }

    /// How many bytes are held from its beginning on, without a hole.
    pub(crate) fn held_to(&self) -> u32 {
        (u32::from(self.first_missing()) * BLOCK_BYTES).min(self.size)
    }

    /// First block that may not be appended, the block count when all may.
    pub(crate) fn first_missing(&self) -> u16 {
        let usable = self.usable();
        (0..usable.len()).find(|block| !usable.has(*block)).unwrap_or_else(|| usable.len())
    }

    /// The hashes of its blocks, when they are known to be right.
    pub(crate) fn list(&self) -> Option<&[Hash]> {
        self.listed.then_some(&self.hashes)
    }

    /// Who brought a block that is held.
    pub(crate) fn supplier(&self, block: u16) -> Option<Source> {
        self.held.has(block).then(|| self.sources[usize::from(block)])
    }

    fn clear(&mut self) {
        let count = self.held.len();
        self.held = Bitfield::empty(count);
        self.good = Bitfield::empty(count);
        self.blocks.fill(Bytes::new());
        (self.http_bytes, self.peer_bytes) = (0, 0);
    }

    /// Forgets one block.
    fn drop_block(&mut self, block: u16) {
        let count = |bits: &Bitfield| {
            let mut left = Bitfield::empty(bits.len());
            (0..bits.len()).filter(|at| *at != block && bits.has(*at)).for_each(|at| left.set(at));
            left
        };
        let len = self.blocks[usize::from(block)].len() as u64;
        match self.sources[usize::from(block)] {
            Source::Peer(_) => self.peer_bytes -= len,
            Source::Http | Source::Cache => self.http_bytes -= len,
        }
        (self.held, self.good) = (count(&self.held), count(&self.good));
        self.blocks[usize::from(block)] = Bytes::new();
    }

    /// All blocks are here: whether they are what they should be, and if not, whose fault it is.
    #[inline(never)]
    fn check_whole(&mut self) -> Result<(), Vec<Source>> {
        let right = match self.proof {
            Proof::Root(hash) => root(&self.hashes) == hash,
            Proof::Whole(hash) => {
                let mut parts: Vec<&[u8]> = Vec::new();
                for block in &self.blocks {
                    parts.push(block);
                }
                digest(&parts) == hash
            }
            Proof::None | Proof::Awaited => return Ok(()),
        };
        if right {
            self.good = self.held.clone();
            self.listed = matches!(self.proof, Proof::Root(_));
            return Ok(());
        }
        let first = self.sources[0];
        let culprits = if self.sources.iter().all(|source| *source == first) {
            vec![first]
        } else {
            self.suspects.clear();
            for (source, block) in self.sources.iter().zip(&self.blocks) {
                self.suspects.push((*source, block_hash(block)));
            }
            Vec::new()
        };
        self.clear();
        Err(culprits)
    }

    /// Now that it is right: who sent other bytes before.
    #[inline(never)]
    pub(crate) fn culprits(&mut self) -> Vec<Source> {
        let suspects = std::mem::take(&mut self.suspects);
        let mut culprits = Vec::new();
        for ((source, hash), block) in suspects.iter().zip(&self.blocks) {
            if *hash != block_hash(block) && !culprits.contains(source) {
                culprits.push(*source);
            }
        }
        culprits
    }
}

/// What a block's arrival did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Insert {
    /// It is held now.
    Added,
    /// It was held already.
    Duplicate,
    /// It was held already, and is not the same from this byte of the segment on.
    Disputed(u32),
    /// It does not fit the segment.
    Refused,
    /// Bytes were wrong and are not held (any more). Whose they were, if that is known.
    Bad(Vec<Source>),
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

    /// The same, to change it.
    pub(crate) fn segment_mut(&mut self, id: SegmentId) -> Option<&mut StoredSegment> {
        self.segments.get_mut(&id)
    }

    /// Everything, by rendition and sequence.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, (SegmentId, StoredSegment)> {
        self.segments.iter()
    }

    /// Whether all of a segment is here and may be appended.
    pub(crate) fn is_complete(&self, id: SegmentId) -> bool {
        self.segments.get(&id).is_some_and(StoredSegment::is_complete)
    }

    /// Makes room for a segment of this size, which has to hash to this. A segment known with another size or tag is
    /// dropped: it is another file. False when the size cannot be stored.
    pub(crate) fn prepare(&mut self, id: SegmentId, size: u32, tag: u32, proof: Proof) -> bool {
        if size == 0 || size > MAX_SEGMENT_BYTES {
            return false;
        }
        if self.segments.get(&id).is_some_and(|held| held.size == size && held.tag == tag) {
            return true;
        }
        self.remove(id);
        let count = block_count(size);
        let blocks = usize::from(count);
        let segment = StoredSegment {
            size,
            tag,
            held: Bitfield::empty(count),
            good: Bitfield::empty(count),
            http_bytes: 0,
            peer_bytes: 0,
            proof,
            listed: false,
            suspects: Vec::new(),
            hashes: vec![[0; 32]; if matches!(proof, Proof::Root(_)) { blocks } else { 0 }],
            sources: vec![Source::Http; blocks],
            blocks: vec![Bytes::new(); blocks],
        };
        self.segments.insert(id, segment);
        true
    }

    /// Keeps a block of a prepared segment, if it is what it should be or nobody can tell yet. Without a hash, bytes of
    /// a peer are not good before [`Store::approve`].
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
        let index = usize::from(block);
        let from_peer = matches!(source, Source::Peer(_));
        if segment.held.has(block) {
            let known = &segment.blocks[index];
            if segment.proof != Proof::None || *known == data {
                if segment.proof == Proof::None && !from_peer {
                    segment.good.set(block);
                }
                return Insert::Duplicate;
            }
            let before = segment.sources[index];
            if from_peer {
                let same = known.iter().zip(&data).take_while(|(a, b)| a == b).count();
                return Insert::Disputed(u32::from(block) * BLOCK_BYTES + same as u32);
            }
            // The origin is right.
            if before != Source::Http {
                segment.peer_bytes -= u64::from(len);
                segment.http_bytes += u64::from(len);
            }
            (segment.sources[index], segment.blocks[index]) = (Source::Http, data);
            segment.good.set(block);
            return Insert::Bad(vec![before]);
        }
        // What cannot be verified by block is not taken from peers: it could not be told who lied.
        let unknown = matches!(segment.proof, Proof::Root(_)) && !segment.listed;
        if from_peer && (unknown || segment.proof == Proof::Awaited) {
            return Insert::Refused;
        }
        let mut good = !from_peer && segment.proof == Proof::None;
        if let Proof::Root(_) = segment.proof {
            let hash = block_hash(&data);
            if segment.listed {
                if segment.hashes[index] != hash {
                    return Insert::Bad(vec![source]);
                }
                good = true;
            }
            segment.hashes[index] = hash;
        }
        segment.held.set(block);
        if good {
            segment.good.set(block);
        }
        segment.blocks[index] = data;
        segment.sources[index] = source;
        if from_peer {
            segment.peer_bytes += u64::from(len);
        } else {
            segment.http_bytes += u64::from(len);
        }
        self.bytes += u64::from(len);
        self.check(id)
    }

    /// Checks a segment that is whole.
    fn check(&mut self, id: SegmentId) -> Insert {
        let Some(segment) = self.segments.get_mut(&id) else { return Insert::Refused };
        let bytes = segment.http_bytes + segment.peer_bytes;
        if matches!(segment.proof, Proof::Root(_) | Proof::Whole(_))
            && segment.held.is_full()
            && !segment.good.is_full()
            && let Err(culprits) = segment.check_whole()
        {
            self.bytes -= bytes;
            return Insert::Bad(culprits);
        }
        Insert::Added
    }

    /// A peer's block turned out right, or has to be believed.
    pub(crate) fn approve(&mut self, id: SegmentId, block: u16) {
        if let Some(segment) = self.segments.get_mut(&id)
            && segment.proof == Proof::None
            && segment.held.has(block)
        {
            segment.good.set(block);
        }
    }

    /// The hashes of a segment's blocks, which its root vouches for. Returns what is wrong of what is held.
    pub(crate) fn accept_list(&mut self, id: SegmentId, hashes: Vec<Hash>) -> Insert {
        let Some(segment) = self.segments.get_mut(&id) else { return Insert::Refused };
        if segment.listed || hashes.len() != segment.blocks.len() {
            return Insert::Duplicate;
        }
        let own = std::mem::replace(&mut segment.hashes, hashes);
        segment.listed = true;
        let before = segment.missing_bytes();
        let mut bad = Vec::new();
        for block in 0..segment.held.len() {
            if !segment.held.has(block) {
                continue;
            }
            let index = usize::from(block);
            if own[index] == segment.hashes[index] {
                segment.good.set(block);
            } else {
                bad.push(segment.sources[index]);
                segment.drop_block(block);
            }
        }
        self.bytes -= segment.missing_bytes() - before;
        if bad.is_empty() { Insert::Added } else { Insert::Bad(bad) }
    }

    /// What a segment has to hash to is known now.
    pub(crate) fn set_proof(&mut self, id: SegmentId, proof: Proof) -> Insert {
        let Some(segment) = self.segments.get_mut(&id) else { return Insert::Refused };
        if segment.proof == proof || segment.listed {
            return Insert::Duplicate;
        }
        segment.proof = proof;
        match proof {
            Proof::Root(_) => {
                segment.hashes.clear();
                for block in &segment.blocks {
                    segment.hashes.push(block_hash(block));
                }
            }
            // Nothing but the origin was believed so far.
            Proof::None => segment.good = segment.held.clone(),
            Proof::Whole(_) | Proof::Awaited => {}
        }
        self.check(id)
    }

    /// Forgets what a peer sent that no hash vouches for; the segments it was in.
    pub(crate) fn drop_from(&mut self, source: Source) -> Vec<SegmentId> {
        let mut changed = Vec::new();
        for (id, segment) in &mut self.segments {
            if segment.proof != Proof::None {
                continue;
            }
            let before = segment.missing_bytes();
            for block in 0..segment.held.len() {
                if segment.held.has(block) && segment.sources[usize::from(block)] == source {
                    segment.drop_block(block);
                }
            }
            let dropped = segment.missing_bytes() - before;
            if dropped > 0 {
                self.bytes -= dropped;
                changed.push(*id);
            }
        }
        changed
    }

    /// Bytes `from..to` of a segment, block by block; stops at the first that may not be appended.
    pub(crate) fn read(&self, id: SegmentId, from: u32, to: u32) -> Vec<Bytes> {
        let Some(segment) = self.segments.get(&id) else {
            return Vec::new();
        };
        let mut out = Vec::new();
        let mut at = from;
        while at < to.min(segment.size) {
            let index = (at / BLOCK_BYTES) as u16;
            if !segment.usable().has(index) {
                break;
            }
            let block = &segment.blocks[usize::from(index)];
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

    /// Bytes of one block, `from..to` counted from the segment's start, if they are this source's; good or not.
    pub(crate) fn peek(&self, id: SegmentId, from: u32, to: u32, source: Source) -> Option<Bytes> {
        let segment = self.segments.get(&id)?;
        let index = (from / BLOCK_BYTES) as usize;
        let inside = (from % BLOCK_BYTES) as usize;
        let block = segment.blocks.get(index).filter(|_| segment.sources[index] == source)?;
        let end = inside + to.checked_sub(from)? as usize;
        (end <= block.len()).then(|| block.slice(inside..end))
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
        let mut order = Vec::new();
        for (id, _) in &self.segments {
            if let Some(cost) = cost(*id) {
                order.push((cost, *id));
            }
        }
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
        assert!(store.prepare(id(1), BLOCK_BYTES + 10, 5, Proof::None));
        assert_eq!(store.insert(id(1), 1, block(10), Source::Peer(ConnectionId(1))), Insert::Added);
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
        store.prepare(id(1), 10, 5, Proof::None);
        store.insert(id(1), 0, block(10), Source::Http);
        store.prepare(id(1), 10, 5, Proof::None);
        assert!(store.is_complete(id(1)));
        store.prepare(id(1), 10, 6, Proof::None);
        assert!(!store.is_complete(id(1)));
        assert_eq!(store.bytes(), 0);
        assert!(!store.prepare(id(2), 0, 5, Proof::None), "an empty segment is none");
    }

    #[test]
    fn the_costliest_go_first_and_the_needed_stay() {
        let mut store = Store::default();
        for sequence in 0..4 {
            store.prepare(id(sequence), 100, 0, Proof::None);
            store.insert(id(sequence), 0, block(100), Source::Http);
        }
        let dropped = store.evict(150, |id| (id.sequence != 0).then_some(10 - id.sequence));
        assert_eq!(dropped, [id(1), id(2), id(3)]);
        assert_eq!(store.bytes(), 100);
    }

    fn peer(number: u32) -> Source {
        Source::Peer(ConnectionId(number))
    }

    fn bytes(len: u32, seed: u8) -> Bytes {
        (0..len).map(|at| (at as u8).wrapping_mul(31) ^ seed).collect()
    }

    /// A segment of two blocks, their hashes, and the root over them.
    fn two_blocks() -> ([Bytes; 2], Vec<Hash>, Proof) {
        let blocks = [bytes(BLOCK_BYTES, 1), bytes(500, 2)];
        let hashes: Vec<Hash> = blocks.iter().map(|block| block_hash(block)).collect();
        let proof = Proof::Root(root(&hashes));
        (blocks, hashes, proof)
    }

    #[test]
    fn with_a_list_each_block_is_judged_as_it_comes() {
        let ([first, second], hashes, proof) = two_blocks();
        let mut store = Store::default();
        store.prepare(id(1), BLOCK_BYTES + 500, 5, proof);
        assert_eq!(store.insert(id(1), 1, second.clone(), peer(1)), Insert::Refused, "no list");
        // What the origin sent waits for the list.
        assert_eq!(store.insert(id(1), 0, first, Source::Http), Insert::Added);
        assert!(store.segment(id(1)).is_some_and(|held| held.block(0).is_none()));
        assert_eq!(store.accept_list(id(1), hashes), Insert::Added);
        assert!(store.segment(id(1)).is_some_and(|held| held.block(0).is_some()));
        let bad = store.insert(id(1), 1, bytes(500, 3), peer(1));
        assert_eq!(bad, Insert::Bad(vec![peer(1)]));
        assert_eq!(store.bytes(), u64::from(BLOCK_BYTES));
        assert_eq!(store.insert(id(1), 1, second, peer(2)), Insert::Added);
        assert!(store.is_complete(id(1)));
    }

    #[test]
    fn a_list_shows_what_the_origin_sent_wrong() {
        let ([first, _], hashes, proof) = two_blocks();
        let mut store = Store::default();
        store.prepare(id(1), BLOCK_BYTES + 500, 5, proof);
        store.insert(id(1), 0, bytes(BLOCK_BYTES, 9), Source::Http);
        assert_eq!(store.accept_list(id(1), hashes), Insert::Bad(vec![Source::Http]));
        assert_eq!(store.bytes(), 0);
        assert_eq!(store.insert(id(1), 0, first, Source::Http), Insert::Added);
    }

    #[test]
    fn a_segment_of_the_origin_makes_its_own_list_or_is_dropped_whole() {
        let ([first, second], hashes, proof) = two_blocks();
        let mut store = Store::default();
        store.prepare(id(1), BLOCK_BYTES + 500, 5, proof);
        store.insert(id(1), 0, first.clone(), Source::Http);
        let wrong = store.insert(id(1), 1, bytes(500, 9), Source::Http);
        assert_eq!(wrong, Insert::Bad(vec![Source::Http]));
        assert_eq!(store.bytes(), 0);
        store.insert(id(1), 0, first, Source::Http);
        assert_eq!(store.insert(id(1), 1, second, Source::Http), Insert::Added);
        assert_eq!(store.segment(id(1)).and_then(StoredSegment::list), Some(&hashes[..]));
        assert!(store.is_complete(id(1)));
    }

    #[test]
    fn whole_segments_are_used_when_they_are_right_and_then_show_who_lied_before() {
        let ([first, second], _, _) = two_blocks();
        let mut store = Store::default();
        store.prepare(id(1), BLOCK_BYTES + 500, 5, Proof::Whole(digest(&[&first, &second])));
        store.insert(id(1), 0, first.clone(), peer(1));
        assert!(store.segment(id(1)).is_some_and(|held| held.first_missing() == 0));
        let spoiled = store.insert(id(1), 1, bytes(500, 9), peer(2));
        assert_eq!(spoiled, Insert::Bad(Vec::new()), "one of two");
        assert_eq!(store.bytes(), 0);
        store.insert(id(1), 0, first, Source::Http);
        store.insert(id(1), 1, second, Source::Http);
        assert!(store.is_complete(id(1)));
        let culprits = store.segment_mut(id(1)).map(StoredSegment::culprits);
        assert_eq!(culprits, Some(vec![peer(2)]));
    }

    #[test]
    fn without_hashes_a_peers_block_waits_to_be_approved() {
        let mut store = Store::default();
        store.prepare(id(1), 20, 5, Proof::None);
        store.insert(id(1), 0, bytes(20, 1), peer(1));
        assert!(!store.is_complete(id(1)));
        store.approve(id(1), 0);
        assert!(store.is_complete(id(1)));
        assert_eq!(store.drop_from(peer(1)), [id(1)]);
        assert_eq!(store.bytes(), 0);
    }

    #[test]
    fn while_hashes_are_awaited_only_the_origin_is_believed_and_nothing_passed_on() {
        let ([first, second], _, proof) = two_blocks();
        let mut store = Store::default();
        store.prepare(id(1), BLOCK_BYTES + 500, 5, Proof::Awaited);
        assert_eq!(store.insert(id(1), 0, first.clone(), peer(1)), Insert::Refused);
        store.insert(id(1), 0, first, Source::Http);
        store.insert(id(1), 1, second, Source::Http);
        assert!(store.is_complete(id(1)));
        assert!(store.segment(id(1)).is_some_and(|held| held.block(0).is_none()));
        assert_eq!(store.set_proof(id(1), proof), Insert::Added);
        assert!(store.segment(id(1)).is_some_and(|held| held.block(0).is_some()));
    }
}
