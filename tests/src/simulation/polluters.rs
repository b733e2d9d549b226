//! Viewers that lie: what they send, and how long others put up with it.

use bytes::Bytes;
use player_core::wire::Message;
use std::collections::BTreeMap;

use super::title::{Title, mix};

/// How a polluter lies. Each keeps to one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pollution {
    /// One after the other, by the order of joining.
    #[default]
    Mixed,
    /// Bytes that mean nothing.
    Noise,
    /// One wrong bit in each piece.
    Flip,
    /// Bytes of another segment.
    Swap,
    /// Pieces that are too short.
    Cut,
    /// Hash lists that are wrong; the bytes are right.
    Lists,
}

impl Pollution {
    /// The way of a certain polluter.
    #[must_use]
    pub const fn of(self, viewer: u32) -> Self {
        match (self, viewer % 5) {
            (Self::Mixed, 0) => Self::Noise,
            (Self::Mixed, 1) => Self::Flip,
            (Self::Mixed, 2) => Self::Swap,
            (Self::Mixed, 3) => Self::Cut,
            (Self::Mixed, _) => Self::Lists,
            (way, _) => way,
        }
    }

    /// What a polluter sends instead, if it is anything else.
    pub(super) fn spoil(self, title: &Title, message: &Message) -> Option<Message> {
        match (self, message) {
            (Self::Lists, Message::HashList { segment, hashes }) => {
                let hashes = hashes.iter().map(|byte| byte ^ 1).collect();
                Some(Message::HashList { segment: *segment, hashes })
            }
            (Self::Lists | Self::Mixed, _) => None,
            (way, Message::Piece { id, offset, data }) => {
                let (id, offset) = (*id, *offset);
                let data: Bytes = match way {
                    Self::Flip => {
                        let mut bytes = data.to_vec();
                        let at =
                            mix(u64::from(id) << 20 | u64::from(offset)) as usize % bytes.len();
                        bytes[at] ^= 4;
                        bytes.into()
                    }
                    Self::Swap => title.filling(u64::from(id), data.len()),
                    Self::Cut if data.len() > 1 => data.slice(..data.len() / 2),
                    _ => data.iter().map(|byte| byte ^ 0x55).collect(),
                };
                Some(Message::Piece { id, offset, data })
            }
            _ => None,
        }
    }
}

/// Wrong pieces that a victim gets of one liar until it is banned: two blocks of them, and what was on its way then.
const PATIENCE: u32 = 16;

/// Who sent wrong bytes to whom: the first time and the last, in µs, and how often.
#[derive(Debug, Default)]
pub(super) struct Lies(BTreeMap<(u32, u32), (u64, u64, u32)>);

impl Lies {
    /// A lie has arrived.
    pub(super) fn told(&mut self, now: u64, victim: u32, liar: u32) {
        let pair = self.0.entry((victim, liar)).or_insert((now, now, 0));
        (pair.1, pair.2) = (now, pair.2 + 1);
    }

    /// Pairs of liar and victim; those in which more lies than it takes got through, the last more than 10 s after
    /// the first; the most pieces of lies that one victim got of one liar.
    ///
    /// Whoever sends one wrong block and is not asked again, because it has nothing that is wanted, is not late.
    pub(super) fn figures(&self) -> (u64, u64, u32) {
        let late = |(first, last, count): &&(u64, u64, u32)| {
            last - first > 10_000_000 && *count > PATIENCE
        };
        let most = self.0.values().map(|pair| pair.2).max().unwrap_or(0);
        (self.0.len() as u64, self.0.values().filter(late).count() as u64, most)
    }
}
