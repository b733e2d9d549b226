//! The tracker's memory: who is in which swarm, and who gets whose offers. No I/O: messages come in
//! with the socket they came from, messages go out with the socket they go to.

use std::collections::{BTreeMap, BTreeSet};

use player_core::swarm::info_hash;
use player_core::tracker::{
    Announce, AnnounceEvent, AnnounceResponse, Answer, AnswerRelay, ClientMessage, Failure,
    OfferRelay, Scrape, ScrapeFile, ScrapeResponse, ServerMessage,
};
use player_core::wire::{InfoHash, PeerId};

/// Seconds between two announces of a member.
pub const INTERVAL: u32 = 30;
/// Offers that are passed on from one announce.
pub const MAX_OFFERS: usize = 20;
/// Memberships (a peer in a swarm) of one socket.
pub const MAX_MEMBERSHIPS: usize = 32;
/// Members of one swarm.
pub const MAX_MEMBERS: usize = 10_000;
/// Swarms in all.
pub const MAX_SWARMS: usize = 10_000;

/// Names a socket; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Swarms with at least one member.
    pub swarms: usize,
    /// Members of all swarms together.
    pub peers: usize,
}

struct Member {
    socket: SocketId,
    complete: bool,
    /// Place in the swarm's `order`.
    place: usize,
}

/// Each announce costs the same, however large the swarm is.
#[derive(Default)]
struct Swarm {
    members: BTreeMap<PeerId, Member>,
    /// The members in no order, to choose from.
    order: Vec<PeerId>,
    /// Members that have all.
    complete: u32,
    /// How many have said `completed`.
    downloaded: u32,
}

impl Swarm {
    fn counts(&self) -> (u32, u32) {
        (self.complete, self.members.len() as u32 - self.complete)
    }

    /// Adds a member, or moves it to another socket; the socket that it had.
    fn put(&mut self, peer_id: PeerId, socket: SocketId) -> Option<SocketId> {
        if let Some(member) = self.members.get_mut(&peer_id) {
            return Some(std::mem::replace(&mut member.socket, socket));
        }
        let place = self.order.len();
        self.order.push(peer_id);
        self.members.insert(peer_id, Member { socket, complete: false, place });
        None
    }

    /// Says whether a member has all.
    fn set_complete(&mut self, peer_id: PeerId, complete: bool) {
        if let Some(member) = self.members.get_mut(&peer_id)
            && member.complete != complete
        {
            member.complete = complete;
            self.complete = if complete { self.complete + 1 } else { self.complete - 1 };
        }
    }

    fn remove(&mut self, peer_id: PeerId) {
        let Some(member) = self.members.remove(&peer_id) else { return };
        self.complete -= u32::from(member.complete);
        self.order.swap_remove(member.place);
        if let Some(moved) = self.order.get(member.place)
            && let Some(moved) = self.members.get_mut(moved)
        {
            moved.place = member.place;
        }
    }

    /// So many members, none twice and never `but`.
    fn choose(&self, but: PeerId, count: usize, random: &mut fastrand::Rng) -> Vec<SocketId> {
        let others = self.order.len() - usize::from(self.members.contains_key(&but));
        let count = count.min(others);
        let mut chosen = BTreeSet::new();
        let mut sockets = Vec::with_capacity(count);
        if others <= 4 * count {
            let all = self.order.iter().filter(|id| **id != but);
            let ids = random.choose_multiple(all, count);
            sockets.extend(ids.iter().filter_map(|id| Some(self.members.get(id)?.socket)));
        }
        // Most draws are new ones: more than three in four members are not chosen.
        while sockets.len() < count {
            let place = random.usize(..self.order.len());
            let id = self.order[place];
            if id != but
                && chosen.insert(place)
                && let Some(member) = self.members.get(&id)
            {
                sockets.push(member.socket);
            }
        }
        sockets
    }
}

/// All swarms.
pub struct Swarms {
    swarms: BTreeMap<InfoHash, Swarm>,
    memberships: BTreeMap<SocketId, BTreeSet<(InfoHash, PeerId)>>,
    /// The only ones there may be; all when empty.
    only: BTreeSet<InfoHash>,
    random: fastrand::Rng,
}

impl Swarms {
    /// No swarms yet. `seed` decides who gets whose offers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            swarms: BTreeMap::new(),
            memberships: BTreeMap::new(),
            only: BTreeSet::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Takes these swarms and no others, by name; all when there are none.
    #[must_use]
    pub fn only(self, names: &[String]) -> Self {
        Self { only: names.iter().map(|name| info_hash(name)).collect(), ..self }
    }

    /// Handles one text message of `socket`; the result is what to send to whom, in this order.
    pub fn handle(&mut self, socket: SocketId, text: &str) -> Vec<(SocketId, ServerMessage)> {
        let handled = match ClientMessage::from_json(text) {
            Ok(ClientMessage::Announce(announce)) => self.announce(socket, announce),
            Ok(ClientMessage::Answer(answer)) => self.answer(socket, answer),
            Ok(ClientMessage::Scrape(scrape)) => Ok(vec![(socket, self.scrape(&scrape))]),
            Err(error) => Err(Failure { info_hash: None, reason: error.to_string() }),
        };
        handled.unwrap_or_else(|failure| vec![(socket, ServerMessage::Failure(failure))])
    }

    /// Removes the members that announced through `socket`.
    pub fn close(&mut self, socket: SocketId) {
        for (info_hash, peer_id) in self.memberships.remove(&socket).unwrap_or_default() {
            self.remove_member(info_hash, peer_id);
        }
    }

    /// How many swarms and members there are.
    #[must_use]
    pub fn size(&self) -> Size {
        Size {
            swarms: self.swarms.len(),
            peers: self.swarms.values().map(|swarm| swarm.members.len()).sum(),
        }
    }

    fn announce(
        &mut self,
        socket: SocketId,
        announce: Announce,
    ) -> Result<Vec<(SocketId, ServerMessage)>, Failure> {
        let (info_hash, peer_id) = (announce.info_hash, announce.peer_id);
        if announce.event == Some(AnnounceEvent::Stopped) {
            self.leave(socket, info_hash, peer_id);
            return Ok(vec![(socket, self.response(info_hash))]);
        }
        self.join(socket, &announce)?;
        let mut out = vec![(socket, self.response(info_hash))];
        let Some(swarm) = self.swarms.get(&info_hash) else { return Ok(out) };
        let wanted = announce.numwant.map_or(usize::MAX, |count| count as usize);
        let count = wanted.min(announce.offers.len()).min(MAX_OFFERS);
        let chosen = swarm.choose(peer_id, count, &mut self.random);
        for (to, offer) in chosen.into_iter().zip(announce.offers) {
            let relay = OfferRelay { info_hash, peer_id, offer_id: offer.offer_id, sdp: offer.sdp };
            out.push((to, ServerMessage::Offer(relay)));
        }
        Ok(out)
    }

    fn join(&mut self, socket: SocketId, announce: &Announce) -> Result<(), Failure> {
        let (info_hash, peer_id) = (announce.info_hash, announce.peer_id);
        let refuse =
            |reason: &str| Failure { info_hash: Some(info_hash), reason: reason.to_owned() };
        if !self.only.is_empty() && !self.only.contains(&info_hash) {
            return Err(refuse("this tracker does not serve that swarm"));
        }
        let mine = self.memberships.entry(socket).or_default();
        if !mine.contains(&(info_hash, peer_id)) && mine.len() >= MAX_MEMBERSHIPS {
            return Err(refuse("too many swarms on one connection"));
        }
        if !self.swarms.contains_key(&info_hash) && self.swarms.len() >= MAX_SWARMS {
            return Err(refuse(
                "the tracker has no room for another swarm: try again in 5 minutes",
            ));
        }
        let swarm = self.swarms.entry(info_hash).or_default();
        if !swarm.members.contains_key(&peer_id) && swarm.members.len() >= MAX_MEMBERS {
            return Err(refuse("the swarm is full: try again in 5 minutes"));
        }
        mine.insert((info_hash, peer_id));
        let known = swarm.put(peer_id, socket);
        let was_complete = swarm.members.get(&peer_id).is_some_and(|member| member.complete);
        let complete = match announce.left {
            Some(left) => left == 0,
            None => was_complete || announce.event == Some(AnnounceEvent::Completed),
        };
        swarm.set_complete(peer_id, complete);
        if announce.event == Some(AnnounceEvent::Completed) && !was_complete {
            swarm.downloaded = swarm.downloaded.saturating_add(1);
        }
        // A viewer whose network changed comes back on a new socket before the old one is seen to
        // be dead: the new one counts.
        if let Some(old) = known.filter(|old| *old != socket)
            && let Some(theirs) = self.memberships.get_mut(&old)
        {
            theirs.remove(&(info_hash, peer_id));
        }
        Ok(())
    }

    fn leave(&mut self, socket: SocketId, info_hash: InfoHash, peer_id: PeerId) {
        let mine = self.memberships.get_mut(&socket);
        if mine.is_some_and(|mine| mine.remove(&(info_hash, peer_id))) {
            self.remove_member(info_hash, peer_id);
        }
    }

    fn remove_member(&mut self, info_hash: InfoHash, peer_id: PeerId) {
        if let Some(swarm) = self.swarms.get_mut(&info_hash) {
            swarm.remove(peer_id);
            if swarm.members.is_empty() {
                self.swarms.remove(&info_hash);
            }
        }
    }

    fn answer(
        &self,
        socket: SocketId,
        answer: Answer,
    ) -> Result<Vec<(SocketId, ServerMessage)>, Failure> {
        let Answer { info_hash, peer_id, to_peer_id, offer_id, sdp } = answer;
        let mine = self.memberships.get(&socket);
        if !mine.is_some_and(|mine| mine.contains(&(info_hash, peer_id))) {
            let reason = "answer from a peer that has not announced".to_owned();
            return Err(Failure { info_hash: Some(info_hash), reason });
        }
        // Whoever made the offer may have left since: nobody's fault.
        let to = self.swarms.get(&info_hash).and_then(|swarm| swarm.members.get(&to_peer_id));
        Ok(to
            .map(|member| {
                let relay = AnswerRelay { info_hash, peer_id, offer_id, sdp };
                (member.socket, ServerMessage::Answer(relay))
            })
            .into_iter()
            .collect())
    }

    fn response(&self, info_hash: InfoHash) -> ServerMessage {
        let (complete, incomplete) = self.swarms.get(&info_hash).map_or((0, 0), Swarm::counts);
        ServerMessage::Announce(AnnounceResponse {
            info_hash,
            interval: Some(INTERVAL),
            complete: Some(complete),
            incomplete: Some(incomplete),
            ..AnnounceResponse::default()
        })
    }

    /// Only the swarms that were named: the names of all are nobody's business.
    fn scrape(&self, scrape: &Scrape) -> ServerMessage {
        let files = scrape
            .info_hashes
            .iter()
            .map(|info_hash| {
                let swarm = self.swarms.get(info_hash);
                let (complete, incomplete) = swarm.map_or((0, 0), Swarm::counts);
                let downloaded = swarm.map_or(0, |swarm| swarm.downloaded);
                (*info_hash, ScrapeFile { complete, incomplete, downloaded })
            })
            .collect();
        ServerMessage::Scrape(ScrapeResponse { files })
    }
}

#[cfg(test)]
#[path = "swarms_tests.rs"]
mod tests;
