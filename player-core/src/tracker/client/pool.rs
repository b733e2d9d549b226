//! What is due: sockets, announces, and the pool of offers that wait to be handed out.

use std::time::Duration;

use super::stage::{CONNECT_TIMEOUT, Census, Stage};
use super::{MAX_PENDING, Signaling, SignalingOutput};
use crate::io::TrackerId;
use crate::time::Instant;
use crate::tracker::link::{Due, Link, backoff};
use crate::tracker::message::{Announce, AnnounceEvent, Offer};

/// Offers whose candidates are gathered at the same time.
pub(super) const MAX_GATHERING: usize = 4;
/// A viewer without peers makes another offer beside one that has had no answer for this long.
const OFFER_PATIENCE: Duration = Duration::from_secs(5);
/// How long a ready offer waits for those that are still gathering.
const GATHER_PATIENCE: Duration = Duration::from_millis(500);
/// With fewer peers than this (or than the swarm has), offers go out ahead of the tracker's interval: news of who fetches
/// what travels one hop, so a small swarm is to be a full mesh.
pub(super) const FEW_PEERS: usize = 30;
/// Offers of a newcomer, until a tracker has said how many members there are: neighbours make the other introductions, and
/// each offer costs the tracker an answer.
pub(super) const FIRST: usize = 2;
/// How the names of an announce's offers begin: of the first, which whoever gets it answers, and of the others, which are
/// answered only where the swarm is not settled. With the first alone six viewers take .02, twenty .1 copies more while
/// they come.
const MAIN: u8 = b'A';
pub(super) const SPARE: u8 = b'+';
/// Offers in each announce of a viewer who has enough peers: in a large swarm it and whoever takes the offer
/// give up the neighbour of least use for another, now and then.
const MIXED: usize = 1;

/// Later than all else.
const NEVER: Instant = Instant::from_micros(u64::MAX);

/// Whether offers should go out ahead of the interval.
enum Hunger {
    No,
    /// Connections on their way may do.
    Later,
    Yes,
}

impl Signaling {
    /// Members besides ourselves, as far as trackers tell.
    pub(super) fn others(&self) -> usize {
        self.told().unwrap_or(FEW_PEERS)
    }

    /// The same, `None` while no tracker has said anything.
    fn told(&self) -> Option<usize> {
        let mut most = None;
        for link in self.links.values() {
            most = most.max(link.others());
        }
        most.map(|others| others as usize)
    }

    /// Does what is due, then finds out when something will be.
    pub(super) fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.running {
            self.expire(now);
            self.fill_pool(now);
            let ids: Vec<TrackerId> = self.links.keys().copied().collect();
            for id in ids {
                self.announce_if_due(now, id);
            }
        }
        self.deadline = self.running.then(|| self.next_deadline(now)).flatten();
    }

    fn expire(&mut self, now: Instant) {
        let mut gathering_failed = false;
        for connection in self.connections() {
            if let Some(stage) = self.connections.get(&connection)
                && stage.deadline().is_some_and(|at| at <= now)
            {
                gathering_failed |= matches!(stage, Stage::Gathering { .. });
                self.close(connection);
            }
        }
        if gathering_failed {
            self.gathering_failed(now);
        }
        let mut unanswered = Vec::new();
        for (id, link) in &mut self.links {
            match link.due(now) {
                Due::Nothing => {}
                Due::Open => {
                    link.open(now);
                    self.outputs.push_back(SignalingOutput::Open(*id, link.url.clone()));
                }
                Due::Close => {
                    self.outputs.push_back(SignalingOutput::Close(*id));
                    unanswered.append(&mut link.closed(now, &mut self.rng));
                }
            }
        }
        self.take_back(now, &unanswered);
    }

    fn fill_pool(&mut self, now: Instant) {
        if self.wanted == 0 || self.is_gated() {
            for connection in self.connections() {
                let stage = self.connections.get(&connection);
                if matches!(stage, Some(Stage::Gathering { .. } | Stage::Ready { .. })) {
                    self.close(connection);
                }
            }
        }
        while now >= self.gather_at && self.pool_lacks(&self.census(now)) {
            let until = now + CONNECT_TIMEOUT;
            let connection = self.connect(Stage::Gathering { until });
            self.outputs.push_back(SignalingOutput::CreateOffer(connection));
        }
    }

    /// Whether another offer should be gathered now.
    fn pool_lacks(&self, census: &Census) -> bool {
        let outstanding = census.gathering + census.ready + census.announced;
        !self.links.is_empty()
            && !self.is_gated()
            && census.gathering < MAX_GATHERING
            && census.gathering + census.ready + census.fresh < self.offers.min(self.sought(census))
            && outstanding < 2 * self.offers
    }

    fn announce_if_due(&mut self, now: Instant, id: TrackerId) {
        let census = self.census(now);
        let hunger = match self.links.get(&id) {
            Some(link) if link.is_open() => self.hunger(&census, link),
            _ => return,
        };
        let Some(link) = self.links.get_mut(&id) else { return };
        let mut due = link.next_announce <= now;
        if !due && link.offers_at.is_some_and(|at| at <= now) {
            match hunger {
                Hunger::No => link.offers_at = None,
                Hunger::Later => link.hurry_afresh(now, &mut self.rng),
                Hunger::Yes => due = self.pool_is_ready(now, &census),
            }
        }
        if due {
            self.announce(now, id);
        }
    }

    fn hunger(&self, census: &Census, link: &Link) -> Hunger {
        let others = link.others().map_or(FEW_PEERS, |others| others as usize);
        let enough = self.enough(census, others);
        if self.wanted == 0 || census.open >= enough {
            Hunger::No
        } else if self.acquainted || census.open + census.connecting + census.introducing >= enough
        {
            Hunger::Later
        } else {
            Hunger::Yes
        }
    }

    /// Connections that are looked for in a swarm of so many others: all of them, or else as many as leave room for those
    /// who come later and look for us. If nobody left room, those who came first would be a circle of their own.
    pub(super) fn enough(&self, census: &Census, others: usize) -> usize {
        let others = others.saturating_sub(self.shunned.len());
        let room = census.open + self.wanted;
        if others <= room { others.min(FEW_PEERS) } else { FEW_PEERS.min(room * 2 / 5) }
    }

    /// Whether the ready offers should go now rather than wait for those that are still gathering.
    fn pool_is_ready(&self, now: Instant, census: &Census) -> bool {
        census.ready > 0
            && self.free(census) > 0
            && (census.gathering == 0
                || self.oldest_ready().is_some_and(|since| since + GATHER_PATIENCE <= now))
    }

    fn oldest_ready(&self) -> Option<Instant> {
        let mut oldest = None;
        for stage in self.connections.values() {
            if let Stage::Ready { since, .. } = stage {
                oldest = Some(oldest.map_or(*since, |oldest: Instant| oldest.min(*since)));
            }
        }
        oldest
    }

    /// Announces with as many of the ready offers as there is room for peers.
    fn announce(&mut self, now: Instant, id: TrackerId) {
        let room = self.sought(&self.census(now));
        let mut offers = Vec::<Offer>::new();
        let mut offered = Vec::new();
        for (connection, stage) in &mut self.connections {
            if offers.len() < room
                && let Stage::Ready { offer, since } = stage
            {
                offer.offer_id.0[0] = if offers.is_empty() { MAIN } else { SPARE };
                offers.push(offer.clone());
                offered.push(*connection);
                *stage =
                    Stage::Announced { offer: offer.clone(), since: *since, at: now, to: None };
            }
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        let event = (!link.announced).then_some(AnnounceEvent::Started);
        link.sent(now, offered);
        self.send_announce(id, event, offers);
    }

    pub(super) fn send_announce(
        &mut self,
        id: TrackerId,
        event: Option<AnnounceEvent>,
        offers: Vec<Offer>,
    ) {
        let announce = Announce {
            info_hash: self.info_hash,
            peer_id: self.peer_id,
            uploaded: self.uploaded,
            downloaded: self.downloaded,
            // A stream is never complete, and a tracker may keep complete members from each other: so those who are count for
            // something else.
            left: Some(u64::from(!self.overrun)),
            event,
            numwant: Some(offers.len() as u32),
            key: Some(self.key.clone()),
            token: self.token.clone(),
            offers,
        };
        self.outputs.push_back(SignalingOutput::Send(id, announce.to_json()));
    }

    fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let census = self.census(now);
        let mut due = NEVER;
        for stage in self.connections.values() {
            due = due.min(stage.deadline().unwrap_or(NEVER));
            if let Stage::Announced { at, .. } = stage
                && *at + OFFER_PATIENCE > now
            {
                due = due.min(*at + OFFER_PATIENCE);
            }
        }
        if self.pool_lacks(&census) {
            due = due.min(self.gather_at);
        }
        for link in self.links.values() {
            due = due.min(link.deadline().unwrap_or(NEVER));
            match link.offers_at.filter(|_| link.is_open()) {
                Some(at) if at > now => due = due.min(at),
                // Due already, but the pool is not ready.
                Some(_) if census.gathering > 0 && self.free(&census) > 0 => {
                    due =
                        due.min(self.oldest_ready().map_or(NEVER, |since| since + GATHER_PATIENCE));
                }
                _ => {}
            }
        }
        (due < NEVER).then_some(due)
    }

    pub(super) fn census(&self, now: Instant) -> Census {
        let mut census = Census::default();
        for stage in self.connections.values() {
            match stage {
                Stage::Gathering { .. } => census.gathering += 1,
                Stage::Ready { .. } => census.ready += 1,
                Stage::Announced { at, to, .. } => {
                    let fresh = usize::from(*at + OFFER_PATIENCE > now);
                    census.announced += 1;
                    census.fresh += fresh;
                    census.introducing += if to.is_some() { fresh } else { 0 };
                }
                Stage::Answering { .. } | Stage::Connecting { .. } => census.connecting += 1,
                Stage::Open { .. } => census.open += 1,
            }
        }
        census
    }

    /// How many more connections may be on their way.
    pub(super) fn free(&self, census: &Census) -> usize {
        self.wanted.min(MAX_PENDING).saturating_sub(census.connecting)
    }

    /// How many peers may be made an offer: few at first, and with enough peers only so many that the mesh stays mixed.
    fn sought(&self, census: &Census) -> usize {
        let most = match self.told() {
            None => FIRST,
            Some(others) if census.open + census.connecting >= self.enough(census, others) => MIXED,
            Some(_) => usize::MAX,
        };
        self.free(census).min(most)
    }

    pub(super) fn gathering_failed(&mut self, now: Instant) {
        self.gather_at = now + backoff(self.gather_failures, &mut self.rng);
        self.gather_failures = self.gather_failures.saturating_add(1);
    }
}
