//! The peer protocol's messages, version 1.

use bytes::Bytes;

/// Version of the protocol that this crate speaks.
pub const VERSION: u8 = 1;
/// Unit of request, of availability and of verification, in bytes. A segment's last block may be shorter.
pub const BLOCK_BYTES: u32 = 64 << 10;
/// Most bytes of media in one [`Message::Piece`], so that control messages never wait behind a large one.
pub const PIECE_BYTES: u32 = 16 << 10;
/// Largest segment that is shared, in bytes; bounds a bitfield to 512 bytes.
pub const MAX_SEGMENT_BYTES: u32 = 256 << 20;
/// Longest hash list, in bytes: that of the largest segment.
pub const MAX_LIST_BYTES: usize = (MAX_SEGMENT_BYTES / BLOCK_BYTES) as usize * 32;
/// Most peers in one [`Message::Members`].
pub const MAX_MEMBERS: usize = 64;
/// Longest session description that is passed on, in bytes.
pub const MAX_SDP_BYTES: usize = 8 << 10;
/// Most segments in one [`Message::Have`].
pub const MAX_HAVE_ENTRIES: usize = 256;

/// A member of a swarm (`peer_id`, BEP 3). Fresh in each session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PeerId(pub [u8; 20]);

impl PeerId {
    /// Its last eight characters: what tells peers apart on a page.
    #[must_use]
    pub fn short_name(&self) -> String {
        let mut name = String::new();
        for byte in &self.0[12..] {
            name.push(char::from(byte & 0x7f));
        }
        name
    }

    /// What tells it apart from others: chance made it.
    pub(crate) fn number(&self) -> (u64, u32) {
        let [.., a, b, c, d] = self.0;
        (
            self.0[8..].first_chunk().map_or(0, |it| u64::from_be_bytes(*it)),
            u32::from_be_bytes([a, b, c, d]),
        )
    }
}

/// A swarm (`info_hash`, BEP 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct InfoHash(pub [u8; 20]);

/// A media playlist of the title, the same number at each peer: a hash of what the playlist is
/// (see `swarm::rendition_id`), so that variants share one swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RenditionId(pub u32);

/// A segment of the title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SegmentId {
    /// Which media playlist.
    pub rendition: RenditionId,
    /// Media sequence number (RFC 8216 §3).
    pub sequence: u64,
}

/// One message on a data channel. The channel is reliable and ordered, and keeps message borders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// First message of each side.
    Hello(Hello),
    /// What the sender holds of some segments of one rendition: a delta, each entry replaces what was
    /// known of its segment. After the hello come the entries of all that is held.
    Have {
        /// The rendition.
        rendition: RenditionId,
        /// By ascending sequence; at most [`MAX_HAVE_ENTRIES`].
        entries: Vec<HaveEntry>,
    },
    /// What the sender wants of a rendition: its playhead's segment and the last it would fetch now.
    Interest(Interest),
    /// Asks for one block; answered by pieces, or by a reject.
    Request {
        /// Chosen by the sender, unique among its outstanding requests on this channel.
        id: u32,
        /// The segment.
        segment: SegmentId,
        /// Index of the block in the segment.
        block: u16,
        /// In how many milliseconds the sender needs it.
        due_ms: u32,
    },
    /// Bytes of a requested block. The pieces of a block come in order.
    Piece {
        /// The request it answers.
        id: u32,
        /// First byte, counted from the block's start.
        offset: u32,
        /// The bytes, at most [`PIECE_BYTES`].
        data: Bytes,
    },
    /// The request is no longer wanted.
    Cancel {
        /// The request.
        id: u32,
    },
    /// The request will not be answered.
    Reject {
        /// The request.
        id: u32,
        /// Why.
        reason: RejectReason,
    },
    /// "I fetch this from the origin": others wait for its blocks.
    Claim {
        /// The segment.
        segment: SegmentId,
        /// How long the claim holds without news, in ms; 0 withdraws it.
        ttl_ms: u32,
    },
    /// "Fetch these blocks from the origin in my place": from whoever has claimed the segment, to one who wants it too.
    Handover {
        /// The segment.
        segment: SegmentId,
        /// Its size in bytes, 1 to [`MAX_SEGMENT_BYTES`].
        size: u32,
        /// The first block.
        first: u16,
        /// How many there are, the first included.
        count: u16,
    },
    /// The newest media sequence number that the sender has seen in a live playlist.
    Edge {
        /// The newest segment.
        segment: SegmentId,
    },
    /// The sender leaves; nothing more will come.
    Goodbye,
    /// Asks for the hashes of a segment's blocks; answered by a [`Message::HashList`] if they are known and verified.
    ListRequest {
        /// The segment.
        segment: SegmentId,
    },
    /// The hashes of a segment's blocks.
    HashList {
        /// The segment.
        segment: SegmentId,
        /// 32 bytes for each block, 1 to [`MAX_LIST_BYTES`] / 32 of them.
        hashes: Bytes,
    },
    /// Peers that the sender is connected to and can introduce: all of them behind the hello, new ones later.
    Members {
        /// At most [`MAX_MEMBERS`].
        peers: Vec<PeerId>,
    },
    /// An offer or an answer that a common neighbour passes on.
    Introduction(Box<Introduction>),
    /// A type that this version does not know, from a newer peer: skipped.
    Unknown {
        /// Its type byte.
        kind: u8,
    },
}

/// An offer or an answer (WebRTC) of two peers that are not connected yet, on its way by a neighbour of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// It is the answer.
    pub answer: bool,
    /// Who made it.
    pub from: PeerId,
    /// For whom it is.
    pub to: PeerId,
    /// Names the offer: the answer has the same.
    pub offer: [u8; 20],
    /// The session description, at most [`MAX_SDP_BYTES`].
    pub sdp: Bytes,
}

/// First message of each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// The sender's highest version; both sides speak the lower of the two.
    pub version: u8,
    /// What the sender can do.
    pub capabilities: Capabilities,
    /// The swarm, to notice a wrong introduction.
    pub info_hash: InfoHash,
    /// The sender.
    pub peer_id: PeerId,
}

/// What a peer can do, as bits; unknown bits are kept and ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(pub u32);

impl Capabilities {
    /// Answers requests.
    pub const UPLOAD: Self = Self(1);
    /// Fetches from the origin (not set by a peer on a metered line).
    pub const ORIGIN: Self = Self(1 << 1);
    /// Understands hash lists.
    pub const HASH_LISTS: Self = Self(1 << 2);
    /// Introduces peers to each other, and lets itself be introduced.
    pub const INTRODUCTIONS: Self = Self(1 << 4);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of bits.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a peer holds of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HaveEntry {
    /// Media sequence number.
    pub sequence: u64,
    /// Hash of the segment's file name and byte range: peers whose playlists differ do not mix bytes.
    pub tag: u32,
    /// Size in bytes, 1 to [`MAX_SEGMENT_BYTES`].
    pub size: u32,
    /// The blocks held, or of which hardly anything is still to come: a request for one of those waits for it. Empty when the
    /// segment was dropped.
    pub blocks: Bitfield,
}

/// What a peer wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    /// The rendition it plays.
    pub rendition: RenditionId,
    /// The segment at its playhead.
    pub playhead: u64,
    /// The last segment in its window.
    pub last: u64,
}

impl Interest {
    /// Whether the window covers a segment.
    pub(crate) const fn covers(&self, sequence: u64) -> bool {
        self.playhead <= sequence && sequence <= self.last
    }
}

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectReason {
    /// The block is not held (any more).
    NotHeld,
    /// The sender gives nothing now.
    Choked,
    /// Too many requests are outstanding.
    TooMany,
}

/// Which blocks of a segment are held. Bit 0 is the first block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bitfield {
    len: u16,
    held: Held,
}

/// "None", "all" and some of up to 64 blocks need no memory: nearly every bitfield is one of them, and a few bytes from
/// a peer cannot make us allocate many. `Few` and `Many` always have a bit set and a bit clear, and `Many` is for more
/// than 64 blocks, so that equal means equal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Held {
    #[default]
    None,
    Few(u64),
    Many(Vec<u64>),
    All,
}

impl Bitfield {
    /// `len` blocks, none held.
    #[must_use]
    pub const fn empty(len: u16) -> Self {
        Self { len, held: Held::None }
    }

    /// `len` blocks, all held.
    #[must_use]
    pub const fn full(len: u16) -> Self {
        Self { len, held: if len == 0 { Held::None } else { Held::All } }
    }

    /// `len` blocks out of `ceil(len / 8)` bytes, the first block in the lowest bit of the first byte;
    /// `None` when their number differs or a bit beyond the end is set.
    #[must_use]
    pub fn from_bytes(len: u16, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != usize::from(len).div_ceil(8) {
            return None;
        }
        let mut words = vec![0_u64; bytes.len().div_ceil(8)];
        for (index, byte) in bytes.iter().enumerate() {
            words[index / 8] |= u64::from(*byte) << (index % 8 * 8);
        }
        let spare = len % 64;
        if spare != 0 && words.last().is_some_and(|word| word >> spare != 0) {
            return None;
        }
        let held = if words.len() > 1 {
            Held::Many(words)
        } else {
            Held::Few(words.first().copied().unwrap_or(0))
        };
        let mut bits = Self { len, held };
        bits.settle();
        Some(bits)
    }

    /// The bytes that [`Bitfield::from_bytes`] reads.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::from(self.len).div_ceil(8)];
        for block in (0..self.len).filter(|block| self.has(*block)) {
            bytes[usize::from(block / 8)] |= 1 << (block % 8);
        }
        bytes
    }

    /// Number of blocks, held or not.
    #[must_use]
    pub const fn len(&self) -> u16 {
        self.len
    }

    /// Whether no block is held.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self.held, Held::None)
    }

    /// Whether every block is held.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self.held, Held::All) || self.len == 0
    }

    /// Number of blocks held.
    #[must_use]
    pub fn count(&self) -> u16 {
        match self.held {
            Held::All => self.len,
            _ => self.words().iter().map(|word| word.count_ones() as u16).sum(),
        }
    }

    /// Whether this block is held; false beyond the end.
    #[must_use]
    pub fn has(&self, block: u16) -> bool {
        block < self.len
            && match &self.held {
                Held::All => true,
                _ => {
                    let word = self.words().get(usize::from(block / 64));
                    word.is_some_and(|word| word >> (block % 64) & 1 == 1)
                }
            }
    }

    /// Marks a block as held; ignored beyond the end.
    pub fn set(&mut self, block: u16) {
        if block < self.len
            && let Some(word) = self.words_mut().get_mut(usize::from(block / 64))
        {
            *word |= 1 << (block % 64);
            self.settle();
        }
    }

    /// Marks all blocks that `other` holds, if that is of as many blocks.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.len != self.len {
            return;
        }
        if other.is_full() {
            self.held = Held::All;
        }
        for (word, more) in self.words_mut().iter_mut().zip(other.words()) {
            *word |= more;
        }
        self.settle();
    }

    /// The bits, if some are set and some are not.
    const fn words(&self) -> &[u64] {
        match &self.held {
            Held::None | Held::All => &[],
            Held::Few(word) => std::slice::from_ref(word),
            Held::Many(words) => words.as_slice(),
        }
    }

    /// The bits, to set some of them; none if all are set.
    fn words_mut(&mut self) -> &mut [u64] {
        if self.is_empty() {
            self.held = if self.len > 64 {
                Held::Many(vec![0; usize::from(self.len).div_ceil(64)])
            } else {
                Held::Few(0)
            };
        }
        match &mut self.held {
            Held::None | Held::All => &mut [],
            Held::Few(word) => std::slice::from_mut(word),
            Held::Many(words) => words,
        }
    }

    /// Gives "none" and "all" their own forms.
    fn settle(&mut self) {
        let count = self.count();
        if count == 0 {
            self.held = Held::None;
        } else if count == self.len {
            self.held = Held::All;
        }
    }
}

/// Number of blocks in a segment of `size` bytes.
#[must_use]
pub const fn block_count(size: u32) -> u16 {
    size.div_ceil(BLOCK_BYTES) as u16
}

/// Size in bytes of one block of a segment; 0 beyond its end.
#[must_use]
pub const fn block_len(size: u32, block: u16) -> u32 {
    let start = block as u32 * BLOCK_BYTES;
    let left = size.saturating_sub(start);
    if left < BLOCK_BYTES { left } else { BLOCK_BYTES }
}

impl std::fmt::Debug for PeerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PeerId({:02x}{:02x}…)", self.0[8], self.0[9])
    }
}

impl std::fmt::Debug for InfoHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InfoHash({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bitfield_filled_block_by_block_equals_a_full_one() {
        for len in [0, 1, 63, 64, 65, 4096] {
            let mut bits = Bitfield::empty(len);
            assert!(bits.is_empty());
            for block in 0..len {
                assert_eq!(bits.count(), block);
                bits.set(block);
            }
            assert!(bits.is_full());
            assert_eq!(bits, Bitfield::full(len));
        }
    }

    #[test]
    fn blocks_beyond_the_end_are_neither_held_nor_set() {
        let mut bits = Bitfield::full(10);
        bits.set(10);
        assert!(!bits.has(10));
        assert_eq!(bits, Bitfield::full(10));
        assert_eq!(Bitfield::from_bytes(10, &[0, 0b100]), None);
        assert_eq!(Bitfield::from_bytes(10, &[0]), None);
    }

    #[test]
    fn the_blocks_of_a_segment_add_up_to_its_size() {
        for size in [1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, MAX_SEGMENT_BYTES] {
            let sum: u32 = (0..block_count(size)).map(|block| block_len(size, block)).sum();
            assert_eq!(sum, size);
            assert_eq!(block_len(size, block_count(size)), 0);
        }
    }

    proptest! {
        #[test]
        fn merged_bitfields_hold_what_either_holds(held in prop::collection::vec(any::<(bool, bool)>(), 0..200)) {
            let of = |which: fn(&(bool, bool)) -> bool| {
                let mut bits = Bitfield::empty(held.len() as u16);
                held.iter().enumerate().filter(|(_, held)| which(held)).for_each(|(block, _)| bits.set(block as u16));
                bits
            };
            let mut both = of(|held| held.0);
            both.merge(&of(|held| held.1));
            prop_assert_eq!(both, of(|held| held.0 || held.1));
        }

        #[test]
        fn a_bitfield_survives_its_bytes(held in prop::collection::vec(any::<bool>(), 0..300)) {
            let mut bits = Bitfield::empty(held.len() as u16);
            for block in held.iter().enumerate().filter(|(_, held)| **held).map(|(block, _)| block) {
                bits.set(block as u16);
            }
            prop_assert_eq!(usize::from(bits.count()), held.iter().filter(|held| **held).count());
            prop_assert_eq!(Bitfield::from_bytes(bits.len(), &bits.to_bytes()), Some(bits));
        }
    }
}
