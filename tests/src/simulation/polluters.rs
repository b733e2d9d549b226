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

/// µs within which a victim is to ban whoever lied to it.
const SOON: u64 = 10_000_000;

/// Who sent wrong bytes to whom: the first time, in µs, and how often; and how polluters are named in statistics.
#[derive(Debug, Default)]
pub(super) struct Lies {
    pairs: BTreeMap<(u32, u32), Lied>,
    names: BTreeMap<u32, String>,
    unbanned: u64,
}

#[derive(Debug)]
struct Lied {
    first: u64,
    count: u32,
    judged: bool,
}

impl Lies {
    /// A polluter says who it is.
    pub(super) fn named(&mut self, liar: u32, name: String) {
        self.names.insert(liar, name);
    }

    /// A lie has arrived.
    pub(super) fn told(&mut self, now: u64, victim: u32, liar: u32) {
        let lied = Lied { first: now, count: 0, judged: false };
        self.pairs.entry((victim, liar)).or_insert(lied).count += 1;
    }

    /// Whether it is time to look whom a victim has banned.
    pub(super) fn is_due(&self, now: u64, victim: u32) -> bool {
        self.of(victim).any(|(_, lied)| !lied.judged && now >= lied.first + SOON)
    }

    /// These are banned by a victim now.
    pub(super) fn judge(&mut self, now: u64, victim: u32, banned: &[String]) {
        for ((_, liar), lied) in self.pairs.range_mut((victim, 0)..=(victim, u32::MAX)) {
            if !lied.judged && now >= lied.first + SOON {
                lied.judged = true;
                let is_banned = self.names.get(liar).is_some_and(|name| banned.contains(name));
                self.unbanned += u64::from(!is_banned);
            }
        }
    }

    /// Pairs of liar and victim; those in which the liar was not banned 10 s after its first lie; the most pieces of lies
    /// that one victim got of one liar.
    pub(super) fn figures(&self) -> (u64, u64, u32) {
        let most = self.pairs.values().map(|lied| lied.count).max().unwrap_or(0);
        (self.pairs.len() as u64, self.unbanned, most)
    }

    fn of(&self, victim: u32) -> impl Iterator<Item = (&(u32, u32), &Lied)> {
        self.pairs.range((victim, 0)..=(victim, u32::MAX))
    }
}
