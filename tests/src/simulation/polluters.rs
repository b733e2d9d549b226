//! Viewers that lie: what they send, and how long others put up with it.

use bytes::Bytes;
use player_core::wire::Message;
use std::collections::{BTreeMap, BTreeSet};

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
/// What comes in answer to a request that was taken back does not count: nobody looks at it, so nobody can know.
#[derive(Debug, Default)]
pub(super) struct Lies {
    pairs: BTreeMap<(u32, u32), Lied>,
    /// Requests that a victim has taken back.
    cancelled: BTreeSet<(u32, u32, u32)>,
    names: BTreeMap<u32, String>,
    unbanned: u64,
}

#[derive(Debug)]
struct Lied {
    first: u64,
    /// The request that the first lie answers.
    request: Option<u32>,
    count: u32,
    judged: bool,
}

impl Lies {
    /// A polluter says who it is.
    pub(super) fn named(&mut self, liar: u32, name: String) {
        self.names.insert(liar, name);
    }

    /// A lie has arrived.
    pub(super) fn told(&mut self, now: u64, victim: u32, liar: u32, message: &Message) {
        let request = match message {
            Message::Piece { id, .. } => Some(*id),
            _ => None,
        };
        if request.is_some_and(|id| self.cancelled.contains(&(victim, liar, id))) {
            return;
        }
        let lied = Lied { first: now, request, count: 0, judged: false };
        self.pairs.entry((victim, liar)).or_insert(lied).count += 1;
    }

    /// A viewer takes a request back: only a whole block can be known to be wrong.
    pub(super) fn cancelled(&mut self, victim: u32, liar: u32, request: u32) {
        self.cancelled.insert((victim, liar, request));
        let whole = |lied: &Lied| lied.judged || lied.request != Some(request);
        if self.pairs.get(&(victim, liar)).is_some_and(|lied| !whole(lied)) {
            self.pairs.remove(&(victim, liar));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_a_request_that_was_taken_back_is_no_lie() {
        let piece = |id, offset| Message::Piece { id, offset, data: Bytes::from_static(&[1]) };
        let mut lies = Lies::default();
        // Taken back before anything came, and while it came.
        lies.cancelled(1, 2, 7);
        lies.told(5, 1, 2, &piece(7, 0));
        lies.told(6, 1, 2, &piece(8, 0));
        lies.cancelled(1, 2, 8);
        lies.told(7, 1, 2, &piece(8, 1));
        assert_eq!(lies.figures(), (0, 0, 0));
        lies.told(9, 1, 2, &piece(9, 0));
        lies.cancelled(1, 2, 10);
        assert!(!lies.is_due(8 + SOON, 1) && lies.is_due(9 + SOON, 1));
        lies.judge(9 + SOON, 1, &[]);
        assert_eq!(lies.figures(), (1, 1, 1));
    }
}
