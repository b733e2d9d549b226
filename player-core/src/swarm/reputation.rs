//! Who has sent wrong bytes. It is remembered for the session, by the peer's id, and by its connection until it has said
//! which id that is.

use std::time::Duration;

use crate::io::ConnectionId;
use crate::ordered::OrderedMap;
use crate::time::Instant;
use crate::wire::PeerId;

/// With its second wrong block a peer is banned. What a data channel delivers is what was sent, so one is a lie
/// already; the other allows for bytes that went wrong at their origin.
const BANNED: u32 = 2;
/// A peer that sent a wrong block, and has not sent a right one by then, is banned too.
const TRIAL: Duration = Duration::from_secs(6);
/// Most peers remembered.
const MAX_PEERS: usize = 1024;

/// What is known of peers' honesty.
#[derive(Debug, Default)]
pub(crate) struct Reputation {
    names: OrderedMap<ConnectionId, PeerId>,
    offences: OrderedMap<PeerId, u32>,
    /// Who has to show by when that its wrong block was an accident.
    trials: OrderedMap<PeerId, Instant>,
}

impl Reputation {
    /// The peer at the other end of a connection said who it is.
    pub(super) fn met(&mut self, connection: ConnectionId, peer: PeerId) {
        self.names.insert(connection, peer);
        if self.names.len() > MAX_PEERS {
            self.names.pop_first();
        }
    }

    /// A peer sent wrong bytes, be it gone by now. Whether it is banned.
    pub(crate) fn offend(&mut self, now: Instant, connection: ConnectionId, weight: u32) -> bool {
        let Some(peer) = self.names.get(&connection).copied() else { return false };
        let offences = self.offences.get_or_insert_with(peer, || 0);
        *offences = offences.saturating_add(weight);
        let banned = *offences >= BANNED;
        if banned {
            self.trials.remove(&peer);
        } else {
            self.trials.insert(peer, now + TRIAL);
        }
        if self.offences.len() > MAX_PEERS {
            // Ids are free: whoever floods the list with new ones has to send a wrong block for each.
            self.offences.pop_first();
        }
        if self.trials.len() > MAX_PEERS {
            self.trials.pop_first();
        }
        banned
    }

    /// A peer sent a block that is right.
    #[inline(never)]
    pub(crate) fn redeem(&mut self, connection: ConnectionId) {
        if let Some(peer) = self.names.get(&connection) {
            self.trials.remove(peer);
        }
    }

    /// Bans those who did not show in time that they are honest, and names them.
    pub(super) fn judge(&mut self, now: Instant) -> Vec<PeerId> {
        let mut late = Vec::new();
        for (peer, until) in &self.trials {
            if *until <= now {
                late.push(*peer);
            }
        }
        for peer in &late {
            self.trials.remove(peer);
            self.offences.insert(*peer, BANNED);
        }
        late
    }

    /// How many wrong blocks the peer of a connection has sent.
    pub(super) fn offences(&self, connection: ConnectionId) -> u32 {
        self.names.get(&connection).and_then(|peer| self.offences.get(peer)).copied().unwrap_or(0)
    }

    /// Whether nothing is taken from a peer, and nothing given to it.
    pub(crate) fn is_banned(&self, peer: &PeerId) -> bool {
        self.offences.get(peer).is_some_and(|offences| *offences >= BANNED)
    }

    /// Those who are.
    pub(crate) fn banned(&self) -> impl Iterator<Item = PeerId> {
        self.offences.iter().filter(|(_, offences)| *offences >= BANNED).map(|(peer, _)| *peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_micros(0);

    #[test]
    fn the_second_wrong_block_bans_whatever_connection_it_comes_by() {
        let mut reputation = Reputation::default();
        let (liar, honest) = (PeerId([1; 20]), PeerId([2; 20]));
        reputation.met(ConnectionId(1), liar);
        reputation.met(ConnectionId(2), honest);
        assert!(!reputation.offend(NOW, ConnectionId(1), 1));
        reputation.met(ConnectionId(3), liar);
        assert!(reputation.offend(NOW, ConnectionId(3), 1));
        assert!(reputation.is_banned(&liar) && !reputation.is_banned(&honest));
        assert_eq!(reputation.banned().collect::<Vec<_>>(), [liar]);
    }

    #[test]
    fn one_wrong_block_bans_who_sends_no_right_one_soon() {
        let mut reputation = Reputation::default();
        let (liar, unlucky) = (PeerId([1; 20]), PeerId([2; 20]));
        for (connection, peer) in [(1, liar), (2, unlucky)] {
            reputation.met(ConnectionId(connection), peer);
            reputation.offend(NOW, ConnectionId(connection), 1);
        }
        assert_eq!(reputation.judge(NOW + TRIAL / 2), []);
        reputation.redeem(ConnectionId(2));
        assert_eq!(reputation.judge(NOW + TRIAL), [liar]);
        assert!(reputation.is_banned(&liar) && !reputation.is_banned(&unlucky));
        assert!(reputation.offend(NOW + TRIAL, ConnectionId(2), 1), "there is one accident only");
    }

    #[test]
    fn memory_is_bounded() {
        let mut reputation = Reputation::default();
        for number in 0..3000_u32 {
            let mut id = [0; 20];
            id[..4].copy_from_slice(&number.to_be_bytes());
            reputation.met(ConnectionId(number), PeerId(id));
            reputation.offend(NOW, ConnectionId(number), 2);
        }
        assert!(reputation.names.len() <= MAX_PEERS && reputation.offences.len() <= MAX_PEERS);
        assert!(reputation.trials.len() <= MAX_PEERS);
        assert!(reputation.offend(NOW, ConnectionId(2999), 1));
    }
}
