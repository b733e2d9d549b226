//! The peer protocol's bytes, version 1. One frame is one message of a reliable, ordered data channel
//! that keeps message borders. This table is the specification.
//!
//! | type   | message  | fields, in this order                                                       |
//! |--------|----------|-----------------------------------------------------------------------------|
//! | `0x00` | hello    | version `u8` (not 0), capabilities `v32`, info hash `20`, peer id `20`       |
//! | `0x01` | have     | rendition `f32`, number of entries `v32` (0 to 256), the entries             |
//! | `0x02` | interest | rendition `f32`, playhead `v64`, last `v64`                                  |
//! | `0x03` | request  | id `v32`, rendition `f32`, sequence `v64`, block `v16`, due in ms `v32`       |
//! | `0x04` | piece    | id `v32`, offset in the block `v32`, data: the rest, 16384 bytes or the end of the block |
//! | `0x05` | cancel   | id `v32`                                                                     |
//! | `0x06` | reject   | id `v32`, reason `u8`: 0 not held, 1 choked, 2 too many                      |
//! | `0x07` | claim    | rendition `f32`, sequence `v64`, time to live in ms `v32` (0 withdraws)      |
//! | `0x08` | edge     | rendition `f32`, sequence `v64`                                              |
//! | `0x09` | goodbye  | none                                                                         |
//! | `0x0a` | ask for a hash list | rendition `f32`, sequence `v64`                                  |
//! | `0x0b` | hash list | rendition `f32`, sequence `v64`, hashes: the rest, 32 bytes for each block, 1 to 4096 |
//! | `0x0c`, `0x0d` | | not assigned: an error, the connection is closed                       |
//! | `0x0e` | members  | number of peers `v32` (1 to 64), peer ids `20` each                          |
//! | `0x0f` | offer passed on | from `20`, to `20`, offer `20`, session description: the rest, 1 to 8192 bytes |
//! | `0x10` | answer passed on | the same                                                            |
//! | `0x11`…`0x3f` | | not assigned: an error, the connection is closed                             |
//! | `0x40` | handover | rendition `f32`, sequence `v64`, size `v32` (1 to 2^28), first block `v16`, number of blocks `v16` |
//! | `0x41`…`0xff` | | not assigned: skipped, whatever the bytes behind the type                    |
//!
//! Types of fields:
//! - `u8`: one byte. `20`: twenty bytes, as they are.
//! - `f32`: four bytes, little-endian: for numbers that are hashes.
//! - `v16`, `v32`, `v64`: a LEB128 number (seven bits per byte, the low ones first, the high bit set on all
//!   bytes but the last) that fits in as many bits, in the fewest bytes possible.
//!
//! One entry of a have:
//!
//! | field    | type   | meaning                                                                         |
//! |----------|--------|---------------------------------------------------------------------------------|
//! | sequence | `v64`  | first entry: the media sequence number; others: what it exceeds the last by, less 1 |
//! | tag      | `f32`  | hash of the segment's name and byte range                                       |
//! | size     | `v32`  | bytes of the segment, 1 to 2^28                                                 |
//! | form     | `u8`   | 0: no block is held, 1: all are, 2: a bitfield follows                          |
//! | bitfield | bytes  | form 2 only: `ceil(blocks / 8)` bytes, block 0 in the lowest bit of the first   |
//!
//! A segment has `ceil(size / 65536)` blocks. Spare bits of a bitfield are 0, and a bitfield is never
//! all zeros or all ones in its blocks: those have forms of their own. So a message has one encoding only.
//!
//! A frame has at most [`MAX_FRAME_BYTES`] bytes and nothing after its last field, except that a hello
//! of a higher version may carry more, which is skipped: both sides speak the lower version from then on.
//!
//! A request that has not begun to be answered after its "due in ms" is forgotten at both ends, without a message; with 0
//! it stands until it is answered or cancelled. A have without entries tells a peer whose request was refused as one too
//! many that there is room again.
//!
//! Hash lists (`docs/hash-lists.md`): a peer that understands them sets bit 2 of its capabilities
//! ([`Capabilities::HASH_LISTS`]), and `0x0a` and `0x0b` are sent only when both peers set it. Whoever does not have
//! the list, or not verified, does not answer.
//!
//! Introductions (`docs/introductions.md`): bit 4 ([`Capabilities::INTRODUCTIONS`]) is for `0x0e` to `0x10` what bit 2 is for
//! those.

use bytes::Bytes;

use super::message::{
    BLOCK_BYTES, Bitfield, Capabilities, HaveEntry, Hello, InfoHash, Interest, Introduction,
    MAX_HAVE_ENTRIES, MAX_LIST_BYTES, MAX_MEMBERS, MAX_SDP_BYTES, MAX_SEGMENT_BYTES, Message,
    PIECE_BYTES, PeerId, RejectReason, RenditionId, SegmentId, VERSION, block_count,
};

/// Longest frame, in bytes: a have of 256 entries with the longest bitfields fits.
pub const MAX_FRAME_BYTES: usize = 144 << 10;

const HELLO: u8 = 0x00;
const HAVE: u8 = 0x01;
const INTEREST: u8 = 0x02;
const REQUEST: u8 = 0x03;
const PIECE: u8 = 0x04;
const CANCEL: u8 = 0x05;
const REJECT: u8 = 0x06;
const CLAIM: u8 = 0x07;
const EDGE: u8 = 0x08;
const GOODBYE: u8 = 0x09;
const LIST_REQUEST: u8 = 0x0a;
const HASH_LIST: u8 = 0x0b;
const MEMBERS: u8 = 0x0e;
pub(crate) const OFFER: u8 = 0x0f;
pub(crate) const ANSWER: u8 = 0x10;
/// Where the session description begins in a frame of [`OFFER`] or [`ANSWER`]: behind the type and three ids.
pub(crate) const DESCRIPTION_AT: usize = 1 + 3 * 20;
const HANDOVER: u8 = 0x40;
/// Types from here on may be skipped by those who don't know them: all that are not known here, and [`HANDOVER`].
pub(crate) const OPTIONAL: u8 = 0x41;

/// The shortest entry: sequence 1, tag 4, size 1, form 1.
const MIN_ENTRY_BYTES: usize = 7;

const BLOCKS_NONE: u8 = 0;
const BLOCKS_ALL: u8 = 1;
const BLOCKS_SOME: u8 = 2;

/// Why a frame is no message. Whoever sends one is not spoken to any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Longer than [`MAX_FRAME_BYTES`].
    #[error("the frame has {0} bytes, more than {MAX_FRAME_BYTES}")]
    TooLong(usize),
    /// It ends within a field, or before it.
    #[error("the frame ends too early")]
    Truncated,
    /// Bytes follow the last field.
    #[error("{0} bytes follow the end of the message")]
    Trailing(usize),
    /// A type below `0x40` that this version does not have.
    #[error("the message type {0:#04x} is unknown")]
    UnknownType(u8),
    /// A number in more bytes than it needs, or beyond the field's range.
    #[error("a number is too large or not in its shortest form")]
    Number,
    /// A field's value is not allowed.
    #[error("{0} is out of range")]
    OutOfRange(&'static str),
}

impl Message {
    /// The message's frame.
    ///
    /// The sender sees to it that a have is ascending and has at most [`MAX_HAVE_ENTRIES`] entries, and
    /// that a piece has 1 to [`PIECE_BYTES`] bytes; the receiver would refuse any other.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        match self {
            Self::Hello(hello) => {
                out.push(HELLO);
                out.push(hello.version);
                put_number(&mut out, hello.capabilities.0.into());
                out.extend_from_slice(&hello.info_hash.0);
                out.extend_from_slice(&hello.peer_id.0);
            }
            Self::Have { rendition, entries } => {
                debug_assert!(entries.len() <= MAX_HAVE_ENTRIES, "a have with too many entries");
                debug_assert!(
                    entries.windows(2).all(|pair| pair[0].sequence < pair[1].sequence),
                    "a have whose entries do not ascend"
                );
                out.push(HAVE);
                put_hash(&mut out, rendition.0);
                put_number(&mut out, entries.len() as u64);
                let mut next = 0;
                for entry in entries {
                    put_number(&mut out, entry.sequence.wrapping_sub(next));
                    next = entry.sequence.wrapping_add(1);
                    put_entry(&mut out, entry);
                }
            }
            Self::Interest(interest) => {
                out.push(INTEREST);
                put_hash(&mut out, interest.rendition.0);
                put_number(&mut out, interest.playhead);
                put_number(&mut out, interest.last);
            }
            Self::Request { id, segment, block, due_ms } => {
                out.push(REQUEST);
                put_number(&mut out, (*id).into());
                put_segment(&mut out, *segment);
                put_number(&mut out, (*block).into());
                put_number(&mut out, (*due_ms).into());
            }
            Self::Piece { id, offset, data } => {
                out.push(PIECE);
                put_number(&mut out, (*id).into());
                put_number(&mut out, (*offset).into());
                out.extend_from_slice(data);
            }
            Self::Cancel { id } => {
                out.push(CANCEL);
                put_number(&mut out, (*id).into());
            }
            Self::Reject { id, reason } => {
                out.push(REJECT);
                put_number(&mut out, (*id).into());
                out.push(match reason {
                    RejectReason::NotHeld => 0,
                    RejectReason::Choked => 1,
                    RejectReason::TooMany => 2,
                });
            }
            Self::Claim { segment, ttl_ms } => {
                out.push(CLAIM);
                put_segment(&mut out, *segment);
                put_number(&mut out, (*ttl_ms).into());
            }
            Self::Handover { segment, size, first, count } => {
                out.push(HANDOVER);
                put_segment(&mut out, *segment);
                for number in [*size, (*first).into(), (*count).into()] {
                    put_number(&mut out, number.into());
                }
            }
            Self::Edge { segment } => {
                out.push(EDGE);
                put_segment(&mut out, *segment);
            }
            Self::Goodbye => out.push(GOODBYE),
            Self::ListRequest { segment } => {
                out.push(LIST_REQUEST);
                put_segment(&mut out, *segment);
            }
            Self::HashList { segment, hashes } => {
                out.push(HASH_LIST);
                put_segment(&mut out, *segment);
                out.extend_from_slice(hashes);
            }
            Self::Members { peers } => {
                out.push(MEMBERS);
                put_number(&mut out, peers.len() as u64);
                for peer in peers {
                    out.extend_from_slice(&peer.0);
                }
            }
            Self::Introduction(it) => {
                out.push(if it.answer { ANSWER } else { OFFER });
                for id in [&it.from.0, &it.to.0, &it.offer] {
                    out.extend_from_slice(id);
                }
                out.extend_from_slice(&it.sdp);
            }
            Self::Unknown { kind } => out.push(*kind),
        }
        out
    }

    /// Reads a frame. A piece's data is a slice of it, not a copy.
    pub fn decode(frame: Bytes) -> Result<Self, WireError> {
        if frame.len() > MAX_FRAME_BYTES {
            return Err(WireError::TooLong(frame.len()));
        }
        let mut input = Reader { frame: &frame, at: 0 };
        let kind = input.byte()?;
        let message = match kind {
            HELLO => {
                let hello = input.hello()?;
                if hello.version > VERSION {
                    return Ok(Self::Hello(hello));
                }
                Self::Hello(hello)
            }
            HAVE => Self::Have { rendition: RenditionId(input.hash()?), entries: input.entries()? },
            INTEREST => Self::Interest(Interest {
                rendition: RenditionId(input.hash()?),
                playhead: input.number()?,
                last: input.number()?,
            }),
            REQUEST => Self::Request {
                id: input.number32()?,
                segment: input.segment()?,
                block: input.number16()?,
                due_ms: input.number32()?,
            },
            PIECE => {
                let (id, offset) = (input.number32()?, input.number32()?);
                let data = frame.slice(input.at..);
                let len = data.len() as u64;
                if len == 0 || len > PIECE_BYTES.into() {
                    return Err(WireError::OutOfRange("the length of a piece"));
                }
                if u64::from(offset) + len > BLOCK_BYTES.into() {
                    return Err(WireError::OutOfRange("the offset of a piece"));
                }
                return Ok(Self::Piece { id, offset, data });
            }
            CANCEL => Self::Cancel { id: input.number32()? },
            REJECT => Self::Reject {
                id: input.number32()?,
                reason: match input.byte()? {
                    0 => RejectReason::NotHeld,
                    1 => RejectReason::Choked,
                    2 => RejectReason::TooMany,
                    _ => return Err(WireError::OutOfRange("the reason of a reject")),
                },
            },
            CLAIM => Self::Claim { segment: input.segment()?, ttl_ms: input.number32()? },
            HANDOVER => Self::Handover {
                segment: input.segment()?,
                size: input.size()?,
                first: input.number16()?,
                count: input.number16()?,
            },
            EDGE => Self::Edge { segment: input.segment()? },
            GOODBYE => Self::Goodbye,
            LIST_REQUEST => Self::ListRequest { segment: input.segment()? },
            HASH_LIST => {
                let segment = input.segment()?;
                let hashes = frame.slice(input.at..);
                let whole = hashes.len().is_multiple_of(32);
                if hashes.is_empty() || hashes.len() > MAX_LIST_BYTES || !whole {
                    return Err(WireError::OutOfRange("the length of a hash list"));
                }
                return Ok(Self::HashList { segment, hashes });
            }
            MEMBERS => {
                let count = input.number32()? as usize;
                if count == 0 || count > MAX_MEMBERS {
                    return Err(WireError::OutOfRange("the number of members"));
                }
                let ids = input.bytes(20 * count)?;
                let mut peers = Vec::with_capacity(count);
                for id in ids.as_chunks::<20>().0 {
                    peers.push(PeerId(*id));
                }
                Self::Members { peers }
            }
            OFFER | ANSWER => {
                let (from, to) = (PeerId(input.array()?), PeerId(input.array()?));
                let offer = input.array()?;
                let sdp = frame.slice(input.at..);
                if sdp.is_empty() || sdp.len() > MAX_SDP_BYTES {
                    return Err(WireError::OutOfRange("the length of a session description"));
                }
                let answer = kind == ANSWER;
                return Ok(Self::Introduction(Box::new(Introduction {
                    answer,
                    from,
                    to,
                    offer,
                    sdp,
                })));
            }
            OPTIONAL.. => return Ok(Self::Unknown { kind }),
            _ => return Err(WireError::UnknownType(kind)),
        };
        match frame.len() - input.at {
            0 => Ok(message),
            rest => Err(WireError::Trailing(rest)),
        }
    }

    /// How many bytes the frame has.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let number = |value: u64| (64 - (value | 1).leading_zeros()).div_ceil(7) as usize;
        let small = |value: u32| number(value.into());
        let of = |segment: &SegmentId| 4 + number(segment.sequence);
        1 + match self {
            Self::Hello(hello) => 41 + small(hello.capabilities.0),
            Self::Have { entries, .. } => {
                let mut next = 0;
                let mut len = 4 + number(entries.len() as u64);
                for HaveEntry { sequence, size, blocks, .. } in entries {
                    len += number(sequence.wrapping_sub(next)) + 5 + small(*size);
                    next = sequence.wrapping_add(1);
                    if !blocks.is_empty() && !blocks.is_full() {
                        len += usize::from(blocks.len()).div_ceil(8);
                    }
                }
                len
            }
            Self::Interest(interest) => 4 + number(interest.playhead) + number(interest.last),
            Self::Request { id, segment, block, due_ms } => {
                small(*id) + of(segment) + small((*block).into()) + small(*due_ms)
            }
            Self::Piece { id, offset, data } => small(*id) + small(*offset) + data.len(),
            Self::Cancel { id } => small(*id),
            Self::Reject { id, .. } => small(*id) + 1,
            Self::Claim { segment, ttl_ms } => of(segment) + small(*ttl_ms),
            Self::Handover { segment, size, first, count } => {
                of(segment) + small(*size) + small((*first).into()) + small((*count).into())
            }
            Self::Edge { segment } | Self::ListRequest { segment } => of(segment),
            Self::HashList { segment, hashes } => of(segment) + hashes.len(),
            Self::Members { peers } => number(peers.len() as u64) + 20 * peers.len(),
            Self::Introduction(it) => DESCRIPTION_AT - 1 + it.sdp.len(),
            Self::Goodbye | Self::Unknown { .. } => 0,
        }
    }
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_hash(out: &mut Vec<u8>, hash: u32) {
    out.extend_from_slice(&hash.to_le_bytes());
}

fn put_segment(out: &mut Vec<u8>, segment: SegmentId) {
    put_hash(out, segment.rendition.0);
    put_number(out, segment.sequence);
}

fn put_entry(out: &mut Vec<u8>, entry: &HaveEntry) {
    put_hash(out, entry.tag);
    put_number(out, entry.size.into());
    if entry.blocks.is_empty() {
        out.push(BLOCKS_NONE);
    } else if entry.blocks.is_full() {
        out.push(BLOCKS_ALL);
    } else {
        out.push(BLOCKS_SOME);
        out.extend_from_slice(&entry.blocks.to_bytes());
    }
}

/// Reads fields one after the other.
struct Reader<'a> {
    frame: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let bytes = self.frame.get(self.at..self.at + len).ok_or(WireError::Truncated)?;
        self.at += len;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        self.bytes(N)?.try_into().map_err(|_| WireError::Truncated)
    }

    fn byte(&mut self) -> Result<u8, WireError> {
        Ok(self.array::<1>()?[0])
    }

    fn hash(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    fn number(&mut self) -> Result<u64, WireError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte holds one bit; a last byte of zero says nothing.
            if (shift == 63 && bits > 1) || (byte == 0 && shift > 0) {
                return Err(WireError::Number);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(WireError::Number)
    }

    fn number32(&mut self) -> Result<u32, WireError> {
        u32::try_from(self.number()?).map_err(|_| WireError::Number)
    }

    fn number16(&mut self) -> Result<u16, WireError> {
        u16::try_from(self.number()?).map_err(|_| WireError::Number)
    }

    /// A segment's size.
    fn size(&mut self) -> Result<u32, WireError> {
        let size = self.number32()?;
        if size == 0 || size > MAX_SEGMENT_BYTES {
            return Err(WireError::OutOfRange("the size of a segment"));
        }
        Ok(size)
    }

    fn segment(&mut self) -> Result<SegmentId, WireError> {
        Ok(SegmentId { rendition: RenditionId(self.hash()?), sequence: self.number()? })
    }

    fn hello(&mut self) -> Result<Hello, WireError> {
        let version = self.byte()?;
        if version == 0 {
            return Err(WireError::OutOfRange("the version"));
        }
        Ok(Hello {
            version,
            capabilities: Capabilities(self.number32()?),
            info_hash: InfoHash(self.array()?),
            peer_id: PeerId(self.array()?),
        })
    }

    fn entries(&mut self) -> Result<Vec<HaveEntry>, WireError> {
        let count = self.number32()? as usize;
        if count > MAX_HAVE_ENTRIES {
            return Err(WireError::OutOfRange("the number of entries"));
        }
        // Checked before anything is allocated for them.
        if count * MIN_ENTRY_BYTES > self.frame.len() - self.at {
            return Err(WireError::Truncated);
        }
        let mut entries = Vec::with_capacity(count);
        let mut next = Some(0_u64);
        for _ in 0..count {
            let delta = self.number()?;
            let sequence = next.and_then(|next| next.checked_add(delta));
            let sequence = sequence.ok_or(WireError::OutOfRange("a sequence"))?;
            next = sequence.checked_add(1);
            entries.push(self.entry(sequence)?);
        }
        Ok(entries)
    }

    fn entry(&mut self, sequence: u64) -> Result<HaveEntry, WireError> {
        let tag = self.hash()?;
        let size = self.size()?;
        let len = block_count(size);
        let blocks = match self.byte()? {
            BLOCKS_NONE => Bitfield::empty(len),
            BLOCKS_ALL => Bitfield::full(len),
            BLOCKS_SOME => {
                let bytes = self.bytes(usize::from(len).div_ceil(8))?;
                Bitfield::from_bytes(len, bytes)
                    .filter(|blocks| !blocks.is_empty() && !blocks.is_full())
                    .ok_or(WireError::OutOfRange("a bitfield"))?
            }
            _ => return Err(WireError::OutOfRange("the form of a bitfield")),
        };
        Ok(HaveEntry { sequence, tag, size, blocks })
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
