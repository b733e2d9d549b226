//! A tracker that relays offers and answers, speaking the same messages as the real one.

use player_core::tracker::{
    AnnounceEvent, AnnounceResponse, AnswerRelay, ClientMessage, Failure, OfferRelay,
    ScrapeResponse, ServerMessage,
};
use player_core::wire::{InfoHash, PeerId};
use std::collections::BTreeMap;

/// A member of a swarm.
#[derive(Debug, Clone, Copy)]
struct Member {
    peer_id: PeerId,
    viewer: u32,
    complete: bool,
}

/// A swarm's members. A hundred thousand announce themselves again and again: what is looked through is small.
#[derive(Debug, Default)]
struct Members {
    all: Vec<Member>,
    /// The viewer of each.
    viewers: Vec<u32>,
    by_id: BTreeMap<PeerId, u32>,
    complete: u32,
}

impl Members {
    fn add(&mut self, member: Member) {
        self.complete += u32::from(member.complete);
        self.viewers.push(member.viewer);
        self.by_id.insert(member.peer_id, member.viewer);
        self.all.push(member);
    }

    fn remove(&mut self, viewer: u32) {
        while let Some(at) = self.viewers.iter().position(|other| *other == viewer) {
            self.viewers.remove(at);
            let member = self.all.remove(at);
            self.complete -= u32::from(member.complete);
            self.by_id.remove(&member.peer_id);
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.all.swap(a, b);
        self.viewers.swap(a, b);
    }
}

/// A tracker.
pub(super) struct Tracker {
    rng: fastrand::Rng,
    interval: u32,
    swarms: BTreeMap<InfoHash, Members>,
    /// Messages received.
    pub(super) messages: u64,
    /// Offers handed on.
    pub(super) offers: u64,
}

impl Tracker {
    pub(super) const fn new(rng: fastrand::Rng, interval: u32) -> Self {
        Self { rng, interval, swarms: BTreeMap::new(), messages: 0, offers: 0 }
    }

    /// Takes a message of a viewer; what is to be sent, and to whom.
    pub(super) fn receive(&mut self, viewer: u32, text: &str) -> Vec<(u32, String)> {
        self.messages += 1;
        let message = match ClientMessage::from_json(text) {
            Ok(message) => message,
            Err(error) => {
                let failure =
                    Failure { info_hash: None, reason: error.to_string(), retry_in: None };
                return vec![(viewer, ServerMessage::Failure(failure).to_json())];
            }
        };
        let mut out = Vec::new();
        match message {
            ClientMessage::Announce(announce) => {
                let members = self.swarms.entry(announce.info_hash).or_default();
                members.remove(viewer);
                if announce.event == Some(AnnounceEvent::Stopped) {
                    return out;
                }
                let wanted = announce.numwant.map_or(usize::MAX, |n| n as usize);
                let wanted = announce.offers.len().min(wanted).min(members.all.len());
                // The first `wanted` members after a partial shuffle are a fair draw.
                for index in 0..wanted {
                    let other = self.rng.usize(index..members.all.len());
                    members.swap(index, other);
                }
                for (offer, member) in announce.offers.into_iter().zip(&members.all[..wanted]) {
                    self.offers += 1;
                    let relay = OfferRelay {
                        info_hash: announce.info_hash,
                        peer_id: announce.peer_id,
                        offer_id: offer.offer_id,
                        sdp: offer.sdp,
                    };
                    out.push((member.viewer, ServerMessage::Offer(relay).to_json()));
                }
                let complete = announce.left == Some(0);
                members.add(Member { peer_id: announce.peer_id, viewer, complete });
                let seeds = members.complete;
                let response = AnnounceResponse {
                    info_hash: announce.info_hash,
                    interval: Some(self.interval),
                    complete: Some(seeds),
                    incomplete: Some(members.all.len() as u32 - seeds),
                    ..AnnounceResponse::default()
                };
                out.push((viewer, ServerMessage::Announce(response).to_json()));
            }
            ClientMessage::Answer(answer) => {
                let members = self.swarms.get(&answer.info_hash);
                let to = members.and_then(|members| members.by_id.get(&answer.to_peer_id));
                if let Some(to) = to {
                    let relay = AnswerRelay {
                        info_hash: answer.info_hash,
                        peer_id: answer.peer_id,
                        offer_id: answer.offer_id,
                        sdp: answer.sdp,
                    };
                    out.push((*to, ServerMessage::Answer(relay).to_json()));
                }
            }
            ClientMessage::Scrape(_) => {
                let scrape = ServerMessage::Scrape(ScrapeResponse::default());
                out.push((viewer, scrape.to_json()));
            }
        }
        out
    }

    /// A viewer's connection has closed.
    pub(super) fn forget(&mut self, viewer: u32) {
        for members in self.swarms.values_mut() {
            members.remove(viewer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use player_core::tracker::{Announce, Answer, Offer, OfferId};

    fn announce(id: u8, offers: u8) -> String {
        let offer = |n| Offer { offer_id: OfferId([n; 20]), sdp: format!("offer {n}") };
        ClientMessage::Announce(Announce {
            info_hash: InfoHash([9; 20]),
            peer_id: PeerId([id; 20]),
            numwant: Some(u32::from(offers)),
            offers: (0..offers).map(offer).collect(),
            ..Announce::default()
        })
        .to_json()
    }

    fn read(text: &str) -> ServerMessage {
        ServerMessage::from_json(text).expect("a tracker's message")
    }

    #[test]
    fn offers_go_to_members_and_answers_come_back() {
        let mut tracker = Tracker::new(fastrand::Rng::with_seed(1), 60);
        assert_eq!(tracker.receive(0, &announce(1, 2)).len(), 1, "nobody to offer to");
        tracker.receive(1, &announce(2, 0));
        let sent = tracker.receive(2, &announce(3, 5));
        assert_eq!(sent.len(), 3, "an offer to each of two, and the response");
        let mut receivers: Vec<u32> = sent[..2].iter().map(|(viewer, _)| *viewer).collect();
        receivers.sort_unstable();
        assert_eq!(receivers, [0, 1]);
        let ServerMessage::Announce(response) = read(&sent[2].1) else { panic!("{sent:?}") };
        assert_eq!(response.swarm_size(), Some(3));
        let ServerMessage::Offer(offer) = read(&sent[0].1) else { panic!("{sent:?}") };
        let answer = ClientMessage::Answer(Answer {
            info_hash: offer.info_hash,
            peer_id: PeerId([1; 20]),
            to_peer_id: offer.peer_id,
            offer_id: offer.offer_id,
            sdp: "answer".to_owned(),
        });
        let sent = tracker.receive(0, &answer.to_json());
        assert_eq!(sent[0].0, 2);
        assert!(matches!(read(&sent[0].1), ServerMessage::Answer(_)));
        tracker.forget(2);
        assert!(tracker.receive(0, &answer.to_json()).is_empty(), "who left gets nothing");
        assert!(matches!(read(&tracker.receive(0, "{").remove(0).1), ServerMessage::Failure(_)));
    }
}
