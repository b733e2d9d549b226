//! The tracker's memory: who is in which swarm, and who gets whose offers. No I/O: messages come in
//! with the socket they came from, messages go out with the socket they go to.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};

use player_core::swarm::info_hash;
use player_core::tracker::{
    Announce, AnnounceEvent, AnnounceResponse, Answer, AnswerRelay, ClientMessage, Failure,
    OfferRelay, Scrape, ScrapeFile, ScrapeResponse, ServerMessage,
};
use player_core::wire::{InfoHash, PeerId};

use super::token::{Door, Pass};

/// Seconds between two announces of a member.
pub const INTERVAL: u32 = 30;
/// Offers that are passed on from one announce.
pub const MAX_OFFERS: usize = 20;
/// Swarms that one socket is in, with one peer in each.
pub const MAX_MEMBERSHIPS: usize = 32;
/// Members of one swarm.
pub const MAX_MEMBERS: usize = 10_000;
/// Swarms in all.
pub const MAX_SWARMS: usize = 20_000;
/// Minutes after which somebody who finds no room should try again.
pub const RETRY_MINUTES: u32 = 5;

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
    /// A hash of the `key` that only the member knows.
    key: Option<u64>,
    /// What let it in, where there is a door.
    pass: Option<Box<Pass>>,
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

    /// The member of this id, which is added if there is none.
    fn member(&mut self, peer_id: PeerId, socket: SocketId, key: Option<u64>) -> &mut Member {
        let order = &mut self.order;
        self.members.entry(peer_id).or_insert_with(|| {
            let place = order.len();
            order.push(peer_id);
            Member { socket, complete: false, key, pass: None, place }
        })
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

    fn remove(&mut self, peer_id: PeerId) -> Option<Member> {
        let member = self.members.remove(&peer_id)?;
        self.complete -= u32::from(member.complete);
        self.order.swap_remove(member.place);
        if let Some(moved) = self.order.get(member.place)
            && let Some(moved) = self.members.get_mut(moved)
        {
            moved.place = member.place;
        }
        Some(member)
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
    memberships: BTreeMap<SocketId, BTreeMap<InfoHash, PeerId>>,
    /// The only ones there may be; all when empty.
    only: BTreeSet<InfoHash>,
    /// Wants to see tokens.
    door: Option<Door>,
    /// When tokens of members expire.
    expiries: BTreeSet<(u64, InfoHash, PeerId)>,
    hasher: RandomState,
    random: fastrand::Rng,
}

type Messages = Vec<(SocketId, ServerMessage)>;

impl Swarms {
    /// No swarms yet. `seed` decides who gets whose offers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            swarms: BTreeMap::new(),
            memberships: BTreeMap::new(),
            only: BTreeSet::new(),
            door: None,
            expiries: BTreeSet::new(),
            hasher: RandomState::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Takes these swarms and no others, by name; all when there are none.
    #[must_use]
    pub fn only(self, names: &[String]) -> Self {
        Self { only: names.iter().map(|name| info_hash(name)).collect(), ..self }
    }

    /// Lets in only who shows a token, if there is a door.
    #[must_use]
    pub fn behind(self, door: Option<Door>) -> Self {
        Self { door, ..self }
    }

    /// Handles one text message of `socket`; the result is what to send to whom, in this order. `now` in seconds since
    /// 1970.
    pub fn handle(&mut self, now: u64, socket: SocketId, text: &str) -> Messages {
        let mut out = self.expire(now);
        let handled = match ClientMessage::from_json(text) {
            Ok(ClientMessage::Announce(announce)) => self.announce(now, socket, announce),
            Ok(ClientMessage::Answer(answer)) => self.answer(socket, answer),
            Ok(ClientMessage::Scrape(scrape)) => Ok(vec![(socket, self.scrape(socket, &scrape))]),
            Err(error) => Err(Failure { reason: error.to_string(), ..Failure::default() }),
        };
        match handled {
            Ok(messages) => out.extend(messages),
            Err(failure) => out.push((socket, ServerMessage::Failure(failure))),
        }
        out
    }

    /// Removes members whose tokens have expired, and tells them.
    fn expire(&mut self, now: u64) -> Messages {
        let mut out = Vec::new();
        while let Some(&(_, info_hash, peer_id)) =
            self.expiries.first().filter(|(expires, ..)| *expires <= now)
        {
            self.expiries.pop_first();
            if let Some(member) = self.remove_member(info_hash, peer_id) {
                if let Some(theirs) = self.memberships.get_mut(&member.socket) {
                    theirs.remove(&info_hash);
                }
                let failure = refusal(info_hash, "the swarm token has expired");
                out.push((member.socket, ServerMessage::Failure(failure)));
            }
        }
        out
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
        now: u64,
        socket: SocketId,
        announce: Announce,
    ) -> Result<Messages, Failure> {
        let (info_hash, peer_id) = (announce.info_hash, announce.peer_id);
        if announce.event == Some(AnnounceEvent::Stopped) {
            if !self.leave(socket, info_hash, peer_id) {
                return Err(refusal(info_hash, "only who has announced can stop"));
            }
            return Ok(vec![(socket, self.response(info_hash))]);
        }
        self.join(now, socket, &announce)?;
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

    fn join(&mut self, now: u64, socket: SocketId, announce: &Announce) -> Result<(), Failure> {
        let (info_hash, peer_id) = (announce.info_hash, announce.peer_id);
        let refuse = |reason| Err(refusal(info_hash, reason));
        let full =
            |reason| Err(Failure { retry_in: Some(RETRY_MINUTES), ..refusal(info_hash, reason) });
        if !self.only.is_empty() && !self.only.contains(&info_hash) {
            return refuse("this tracker does not serve that swarm");
        }
        let known = self.swarms.get(&info_hash).and_then(|swarm| swarm.members.get(&peer_id));
        let pass = match &self.door {
            Some(door) => {
                let before = known.and_then(|member| member.pass.as_deref());
                let pass = door.check(now, info_hash, announce.token.as_deref(), before);
                Some(pass.map_err(|reason| refusal(info_hash, reason))?)
            }
            None => None,
        };
        // A viewer whose network changed comes back on a new socket before the old one is seen to be dead: the new one
        // counts, if it has the key. Peer ids are known to all members, keys to nobody.
        let key = announce.key.as_ref().map(|key| self.hasher.hash_one(key));
        let elsewhere = known.filter(|member| member.socket != socket);
        if elsewhere.is_some_and(|member| key.is_none() || member.key != key) {
            return refuse("that peer id is taken: try again once its other connection has ended");
        }
        let mine = self.memberships.get(&socket);
        match mine.and_then(|mine| mine.get(&info_hash)) {
            Some(mine) if *mine != peer_id => {
                return refuse("this connection is in that swarm by another peer id");
            }
            None if mine.is_some_and(|mine| mine.len() >= MAX_MEMBERSHIPS) => {
                return refuse("too many swarms on one connection");
            }
            _ => {}
        }
        match self.swarms.get(&info_hash) {
            None if self.swarms.len() >= MAX_SWARMS => {
                return full("the tracker has no room for another swarm: try again in 5 minutes");
            }
            Some(swarm) if known.is_none() && swarm.members.len() >= MAX_MEMBERS => {
                return full("the swarm is full: try again in 5 minutes");
            }
            _ => {}
        }
        let old = elsewhere.map(|member| member.socket);
        self.memberships.entry(socket).or_default().insert(info_hash, peer_id);
        if let Some(theirs) = old.and_then(|old| self.memberships.get_mut(&old)) {
            theirs.remove(&info_hash);
        }
        let swarm = self.swarms.entry(info_hash).or_default();
        let member = swarm.member(peer_id, socket, key);
        member.socket = socket;
        let was_complete = member.complete;
        if let Some(pass) = pass {
            let before = member.pass.replace(Box::new(pass)).map(|before| before.expires);
            if before != Some(pass.expires) {
                if let Some(before) = before {
                    self.expiries.remove(&(before, info_hash, peer_id));
                }
                self.expiries.insert((pass.expires, info_hash, peer_id));
            }
        }
        let complete = match announce.left {
            Some(left) => left == 0,
            None => was_complete || announce.event == Some(AnnounceEvent::Completed),
        };
        swarm.set_complete(peer_id, complete);
        if announce.event == Some(AnnounceEvent::Completed) && !was_complete {
            swarm.downloaded = swarm.downloaded.saturating_add(1);
        }
        Ok(())
    }

    /// Whether it was there.
    fn leave(&mut self, socket: SocketId, info_hash: InfoHash, peer_id: PeerId) -> bool {
        let Some(mine) = self.memberships.get_mut(&socket) else { return false };
        if mine.get(&info_hash) != Some(&peer_id) {
            return false;
        }
        mine.remove(&info_hash);
        self.remove_member(info_hash, peer_id).is_some()
    }

    fn remove_member(&mut self, info_hash: InfoHash, peer_id: PeerId) -> Option<Member> {
        let swarm = self.swarms.get_mut(&info_hash)?;
        let member = swarm.remove(peer_id);
        if swarm.members.is_empty() {
            self.swarms.remove(&info_hash);
        }
        if let Some(pass) = member.as_ref().and_then(|member| member.pass.as_deref()) {
            self.expiries.remove(&(pass.expires, info_hash, peer_id));
        }
        member
    }

    fn answer(&self, socket: SocketId, answer: Answer) -> Result<Messages, Failure> {
        let Answer { info_hash, peer_id, to_peer_id, offer_id, sdp } = answer;
        let mine = self.memberships.get(&socket);
        if mine.and_then(|mine| mine.get(&info_hash)) != Some(&peer_id) {
            return Err(refusal(info_hash, "answer from a peer that has not announced"));
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

    /// Only the swarms that were named: the names of all are nobody's business. Where there is a door, only those that it
    /// is in: how many watch is nobody else's business.
    fn scrape(&self, socket: SocketId, scrape: &Scrape) -> ServerMessage {
        let mine = self.memberships.get(&socket);
        let tells = |swarm: &&InfoHash| {
            self.door.is_none() || mine.is_some_and(|mine| mine.contains_key(swarm))
        };
        let files = scrape
            .info_hashes
            .iter()
            .filter(tells)
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

fn refusal(info_hash: InfoHash, reason: &str) -> Failure {
    Failure { info_hash: Some(info_hash), reason: reason.to_owned(), retry_in: None }
}

#[cfg(test)]
#[path = "swarms_tests.rs"]
mod tests;
