//! Viewers with browsers that take their time, on trackers that forward as `bittorrent-tracker` does.

use crate::ordered::{OrderedMap, OrderedSet};
use crate::tracker::message::ClientMessage;

use super::*;
use crate::tracker::{Failure, Scrape};

pub(super) const HASH: InfoHash = InfoHash([7; 20]);
pub(super) const GATHER: Duration = Duration::from_millis(100);
pub(super) const LATENCY: Duration = Duration::from_millis(50);
pub(super) const URL: &str = "wss://tracker.example/announce";

pub(super) fn seconds(seconds: f64) -> Instant {
    Instant::from_micros((seconds * 1e6) as u64)
}

pub(super) fn peer(number: usize) -> PeerId {
    PeerId([number as u8 + 1; 20])
}

/// What is on its way to a viewer, or from one to a tracker.
#[derive(Debug)]
pub(super) enum Note {
    Opened(TrackerId),
    Closed(TrackerId),
    Text(TrackerId, String),
    ToTracker(TrackerId, String),
    OfferReady(ConnectionId, String),
    AnswerReady(ConnectionId, String),
    ConnectionOpened(ConnectionId),
    /// A neighbour has passed it on.
    Introduction(ConnectionId, Introduction),
}

pub(super) struct Viewer {
    pub(super) signaling: Signaling,
    /// Connections that the browser holds.
    pub(super) held: OrderedSet<ConnectionId>,
    pub(super) open: OrderedMap<ConnectionId, PeerId>,
    pub(super) introduced: OrderedMap<ConnectionId, (PeerId, bool)>,
    pub(super) sent: Vec<(Instant, TrackerId, ClientMessage)>,
    pub(super) most_gathering: usize,
    gathering: usize,
    pub(super) created: usize,
    /// What trackers gave as reasons to refuse it.
    pub(super) refusals: Vec<String>,
}

impl Viewer {
    pub(super) fn announces(&self) -> Vec<(f64, &Announce)> {
        self.sent
            .iter()
            .filter_map(|(at, _, message)| match message {
                ClientMessage::Announce(announce) => Some((at.as_secs_f64(), announce)),
                _ => None,
            })
            .collect()
    }

    pub(super) fn peers(&self) -> Vec<PeerId> {
        self.open.values().copied().collect()
    }

    /// The same by id, one as often as there are connections to it.
    pub(super) fn met(&self) -> Vec<PeerId> {
        let mut peers = self.peers();
        peers.sort();
        peers
    }
}

#[derive(Default)]
pub(super) struct Tracker {
    /// Members in the order of their coming, as numbers of viewers.
    pub(super) members: Vec<usize>,
    pub(super) down: bool,
    pub(super) refuses: bool,
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) viewers: Vec<Viewer>,
    pub(super) trackers: Vec<Tracker>,
    /// By time, then in the order of sending: to which viewer.
    notes: OrderedMap<(Instant, u64), (usize, Note)>,
    pub(super) sent: u64,
    /// Peers between whom no connection ever opens.
    pub(super) blocked: OrderedSet<PeerId>,
}

impl World {
    pub(super) fn new(trackers: usize) -> Self {
        Self {
            now: Instant::default(),
            viewers: Vec::new(),
            trackers: (0..trackers).map(|_| Tracker::default()).collect(),
            notes: OrderedMap::new(),
            sent: 0,
            blocked: OrderedSet::new(),
        }
    }

    pub(super) fn join(&mut self) -> usize {
        let urls = vec![URL.to_owned(); self.trackers.len()];
        self.join_with(&urls)
    }

    pub(super) fn join_with(&mut self, urls: &[String]) -> usize {
        let number = self.viewers.len();
        let signaling = Signaling::new(urls, HASH, peer(number), 5, number as u64);
        self.join_as(signaling)
    }

    pub(super) fn join_as(&mut self, mut signaling: Signaling) -> usize {
        let number = self.viewers.len();
        signaling.start(self.now);
        self.viewers.push(Viewer {
            signaling,
            held: OrderedSet::new(),
            open: OrderedMap::new(),
            introduced: OrderedMap::new(),
            sent: Vec::new(),
            most_gathering: 0,
            gathering: 0,
            created: 0,
            refusals: Vec::new(),
        });
        self.drain(number);
        number
    }

    pub(super) fn tell(&mut self, number: usize, tell: impl FnOnce(&mut Signaling, Instant)) {
        tell(&mut self.viewers[number].signaling, self.now);
        self.drain(number);
    }

    pub(super) fn post(&mut self, after: Duration, to: usize, note: Note) {
        self.sent += 1;
        self.notes.insert((self.now + after, self.sent), (to, note));
    }

    pub(super) fn drain(&mut self, number: usize) {
        while let Some(output) = self.viewers[number].signaling.poll_output() {
            let viewer = &mut self.viewers[number];
            match output {
                SignalingOutput::Open(id, _) => {
                    let down = self.trackers[id.0 as usize].down;
                    let note = if down { Note::Closed(id) } else { Note::Opened(id) };
                    self.post(LATENCY, number, note);
                }
                SignalingOutput::Send(id, text) => {
                    let message = ClientMessage::from_json(&text).unwrap();
                    viewer.sent.push((self.now, id, message));
                    self.post(LATENCY, number, Note::ToTracker(id, text));
                }
                SignalingOutput::Close(id) => {
                    self.trackers[id.0 as usize].members.retain(|member| *member != number);
                }
                SignalingOutput::CreateOffer(connection) => {
                    viewer.held.insert(connection);
                    viewer.created += 1;
                    viewer.gathering += 1;
                    viewer.most_gathering = viewer.most_gathering.max(viewer.gathering);
                    let sdp = format!("{number} {}", connection.0);
                    self.post(GATHER, number, Note::OfferReady(connection, sdp));
                }
                SignalingOutput::CreateAnswer(connection, offer) => {
                    viewer.held.insert(connection);
                    let sdp = format!("{number} {} {offer}", connection.0);
                    self.post(GATHER, number, Note::AnswerReady(connection, sdp));
                }
                SignalingOutput::AcceptAnswer(connection, sdp) => {
                    assert!(viewer.held.contains(&connection));
                    let ids: Vec<u32> = sdp.split(' ').map(|id| id.parse().unwrap()).collect();
                    assert_eq!(
                        ids[2..],
                        [number as u32, connection.0],
                        "an answer to another offer"
                    );
                    if !self.blocked.contains(&peer(number)) {
                        let other = ids[0] as usize;
                        self.post(LATENCY, number, Note::ConnectionOpened(connection));
                        self.post(LATENCY, other, Note::ConnectionOpened(ConnectionId(ids[1])));
                    }
                }
                SignalingOutput::ClosePeer(connection) => {
                    assert!(viewer.held.remove(&connection), "closed twice");
                    assert!(
                        !viewer.open.contains_key(&connection),
                        "an open connection was closed"
                    );
                }
                SignalingOutput::Refused(reason) => viewer.refusals.push(reason),
                SignalingOutput::Introduce(neighbour, it) => {
                    // The neighbour passes it on at once, if it is connected to whom it is for.
                    let between = viewer.open[&neighbour];
                    let to = usize::from(it.to.0[0]) - 1;
                    let known = self.viewers[to].open.iter().find(|(_, peer)| *peer == between);
                    if let Some(connection) = known.map(|(connection, _)| *connection) {
                        self.post(2 * LATENCY, to, Note::Introduction(connection, it));
                    }
                }
                SignalingOutput::Introduced { connection, peer, offered } => {
                    assert!(viewer.held.contains(&connection));
                    viewer.introduced.insert(connection, (peer, offered));
                }
            }
        }
        let deadline = self.viewers[number].signaling.poll_timeout();
        assert!(
            deadline.is_none_or(|at| at > self.now),
            "a timer is due right after it was handled"
        );
    }

    pub(super) fn deliver(&mut self, to: usize, note: Note) {
        let viewer = &mut self.viewers[to];
        match note {
            Note::Opened(id) => self.tell(to, |signaling, now| signaling.opened(now, id)),
            Note::Closed(id) => self.tell(to, |signaling, now| signaling.closed(now, id)),
            Note::Text(id, text) => {
                self.tell(to, |signaling, now| signaling.message(now, id, &text))
            }
            Note::OfferReady(connection, sdp) => {
                viewer.gathering -= 1;
                self.tell(to, |signaling, now| signaling.offer_ready(now, connection, sdp));
            }
            Note::AnswerReady(connection, sdp) => {
                self.tell(to, |signaling, now| signaling.answer_ready(now, connection, sdp));
            }
            Note::ConnectionOpened(connection) => {
                if viewer.held.contains(&connection) {
                    let other = viewer.introduced.get(&connection).expect("known").0;
                    viewer.open.insert(connection, other);
                    self.tell(to, |signaling, now| signaling.connection_opened(now, connection));
                }
            }
            Note::Introduction(neighbour, it) => {
                self.tell(to, |signaling, now| signaling.introduction(now, neighbour, &it));
            }
            Note::ToTracker(id, text) => {
                self.track(id, to, ClientMessage::from_json(&text).unwrap())
            }
        }
    }

    /// What a tracker does with a message.
    pub(super) fn track(&mut self, id: TrackerId, from: usize, message: ClientMessage) {
        let tracker = &mut self.trackers[id.0 as usize];
        if tracker.down {
            return;
        }
        match message {
            ClientMessage::Announce(announce) => {
                if tracker.refuses {
                    let reason = "not on my list".to_owned();
                    let failure = Failure { info_hash: Some(HASH), reason, retry_in: None };
                    let text = ServerMessage::Failure(failure).to_json();
                    return self.post(LATENCY, from, Note::Text(id, text));
                }
                tracker.members.retain(|member| *member != from);
                let others = tracker.members.clone();
                if announce.event != Some(AnnounceEvent::Stopped) {
                    tracker.members.push(from);
                }
                let response = ServerMessage::Announce(AnnounceResponse {
                    info_hash: HASH,
                    interval: Some(120),
                    complete: Some(0),
                    incomplete: Some(tracker.members.len() as u32),
                    ..AnnounceResponse::default()
                });
                self.post(LATENCY, from, Note::Text(id, response.to_json()));
                for (offer, to) in announce.offers.into_iter().zip(others) {
                    let Offer { offer_id, sdp } = offer;
                    let (info_hash, peer_id) = (HASH, announce.peer_id);
                    let relay = OfferRelay { info_hash, peer_id, offer_id, sdp };
                    let text = ServerMessage::Offer(relay).to_json();
                    self.post(LATENCY, to, Note::Text(id, text));
                }
            }
            ClientMessage::Answer(answer) => {
                let to = tracker.members.iter().find(|member| peer(**member) == answer.to_peer_id);
                let Some(to) = to.copied() else { return };
                let Answer { info_hash, peer_id, offer_id, sdp, .. } = answer;
                let relay = AnswerRelay { info_hash, peer_id, offer_id, sdp };
                self.post(LATENCY, to, Note::Text(id, ServerMessage::Answer(relay).to_json()));
            }
            ClientMessage::Scrape(Scrape { .. }) => unreachable!(),
        }
    }

    pub(super) fn run_until(&mut self, end: Instant) {
        loop {
            let note = self.notes.keys().next().map(|(at, _)| *at);
            let timers = self.viewers.iter().map(|viewer| viewer.signaling.poll_timeout());
            let (number, timer) = timers.enumerate().filter_map(|(i, at)| Some((i, at?))).fold(
                (0, None),
                |least: (usize, Option<Instant>), (i, at)| {
                    if least.1.is_none_or(|least| at < least) { (i, Some(at)) } else { least }
                },
            );
            let Some(next) = note.into_iter().chain(timer).min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if note.is_some_and(|at| at <= next) {
                let (_, (to, note)) = self.notes.pop_first().unwrap();
                self.deliver(to, note);
            } else {
                self.tell(number, |signaling, now| signaling.handle_timeout(now));
            }
        }
        self.now = end;
    }

    pub(super) fn run(&mut self, for_seconds: f64) {
        self.run_until(self.now + Duration::from_secs_f64(for_seconds));
    }

    /// The other side went away: the browser says that the connection failed.
    pub(super) fn hang_up(&mut self, number: usize) {
        let viewer = &mut self.viewers[number];
        let open = std::mem::take(&mut viewer.open);
        for connection in open.into_keys() {
            self.viewers[number].held.remove(&connection);
            self.tell(number, |signaling, now| signaling.connection_closed(now, connection));
        }
    }

    pub(super) fn text(&mut self, number: usize, message: &ServerMessage) {
        let text = message.to_json();
        self.tell(number, |signaling, now| signaling.message(now, TrackerId(0), &text));
    }
}

/// An offer of someone who is no viewer.
pub(super) fn stranger(number: usize, offer: u8) -> ServerMessage {
    ServerMessage::Offer(OfferRelay {
        info_hash: HASH,
        peer_id: peer(number),
        offer_id: OfferId([offer; 20]),
        sdp: format!("{number} 0"),
    })
}
