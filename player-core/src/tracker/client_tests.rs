//! Viewers with browsers that take their time, on trackers that forward as `bittorrent-tracker` does.

use std::collections::BTreeSet;

use super::*;
use crate::tracker::{OfferRelay, Scrape, ServerMessage};

const HASH: InfoHash = InfoHash([7; 20]);
const GATHER: Duration = Duration::from_millis(100);
const LATENCY: Duration = Duration::from_millis(50);
const URL: &str = "wss://tracker.example/announce";

fn seconds(seconds: f64) -> Instant {
    Instant::from_micros((seconds * 1e6) as u64)
}

fn peer(number: usize) -> PeerId {
    PeerId([number as u8 + 1; 20])
}

/// What is on its way to a viewer, or from one to a tracker.
#[derive(Debug)]
enum Note {
    Opened(TrackerId),
    Closed(TrackerId),
    Text(TrackerId, String),
    ToTracker(TrackerId, String),
    OfferReady(ConnectionId, String),
    AnswerReady(ConnectionId, String),
    ConnectionOpened(ConnectionId),
}

struct Viewer {
    signaling: Signaling,
    /// Connections that the browser holds.
    held: BTreeSet<ConnectionId>,
    open: BTreeMap<ConnectionId, PeerId>,
    introduced: BTreeMap<ConnectionId, (PeerId, bool)>,
    sent: Vec<(Instant, TrackerId, ClientMessage)>,
    most_gathering: usize,
    gathering: usize,
    created: usize,
}

impl Viewer {
    fn announces(&self) -> Vec<(f64, &Announce)> {
        self.sent
            .iter()
            .filter_map(|(at, _, message)| match message {
                ClientMessage::Announce(announce) => Some((at.as_secs_f64(), announce)),
                _ => None,
            })
            .collect()
    }

    fn peers(&self) -> Vec<PeerId> {
        self.open.values().copied().collect()
    }
}

#[derive(Default)]
struct Tracker {
    /// Members in the order of their coming, as numbers of viewers.
    members: Vec<usize>,
    down: bool,
    refuses: bool,
}

struct World {
    now: Instant,
    viewers: Vec<Viewer>,
    trackers: Vec<Tracker>,
    /// By time, then in the order of sending: to which viewer.
    notes: BTreeMap<(Instant, u64), (usize, Note)>,
    sent: u64,
    /// Peers between whom no connection ever opens.
    blocked: BTreeSet<PeerId>,
}

impl World {
    fn new(trackers: usize) -> Self {
        Self {
            now: Instant::default(),
            viewers: Vec::new(),
            trackers: (0..trackers).map(|_| Tracker::default()).collect(),
            notes: BTreeMap::new(),
            sent: 0,
            blocked: BTreeSet::new(),
        }
    }

    fn join(&mut self) -> usize {
        let urls = vec![URL.to_owned(); self.trackers.len()];
        self.join_with(&urls)
    }

    fn join_with(&mut self, urls: &[String]) -> usize {
        let number = self.viewers.len();
        let mut signaling = Signaling::new(urls, HASH, peer(number), 5, number as u64);
        signaling.start(self.now);
        self.viewers.push(Viewer {
            signaling,
            held: BTreeSet::new(),
            open: BTreeMap::new(),
            introduced: BTreeMap::new(),
            sent: Vec::new(),
            most_gathering: 0,
            gathering: 0,
            created: 0,
        });
        self.drain(number);
        number
    }

    fn tell(&mut self, number: usize, tell: impl FnOnce(&mut Signaling, Instant)) {
        tell(&mut self.viewers[number].signaling, self.now);
        self.drain(number);
    }

    fn post(&mut self, after: Duration, to: usize, note: Note) {
        self.sent += 1;
        self.notes.insert((self.now + after, self.sent), (to, note));
    }

    fn drain(&mut self, number: usize) {
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

    fn deliver(&mut self, to: usize, note: Note) {
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
                    let other = viewer.introduced[&connection].0;
                    viewer.open.insert(connection, other);
                    self.tell(to, |signaling, now| signaling.connection_opened(now, connection));
                }
            }
            Note::ToTracker(id, text) => {
                self.track(id, to, ClientMessage::from_json(&text).unwrap())
            }
        }
    }

    /// What a tracker does with a message.
    fn track(&mut self, id: TrackerId, from: usize, message: ClientMessage) {
        let tracker = &mut self.trackers[id.0 as usize];
        if tracker.down {
            return;
        }
        match message {
            ClientMessage::Announce(announce) => {
                if tracker.refuses {
                    let reason = "not on my list".to_owned();
                    let failure = crate::tracker::Failure { info_hash: Some(HASH), reason };
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

    fn run_until(&mut self, end: Instant) {
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

    fn run(&mut self, for_seconds: f64) {
        self.run_until(self.now + Duration::from_secs_f64(for_seconds));
    }

    /// The other side went away: the browser says that the connection failed.
    fn hang_up(&mut self, number: usize) {
        let viewer = &mut self.viewers[number];
        let open = std::mem::take(&mut viewer.open);
        for connection in open.into_keys() {
            self.viewers[number].held.remove(&connection);
            self.tell(number, |signaling, now| signaling.connection_closed(now, connection));
        }
    }

    fn text(&mut self, number: usize, message: &ServerMessage) {
        let text = message.to_json();
        self.tell(number, |signaling, now| signaling.message(now, TrackerId(0), &text));
    }
}

/// An offer of someone who is no viewer.
fn stranger(number: usize, offer: u8) -> ServerMessage {
    ServerMessage::Offer(OfferRelay {
        info_hash: HASH,
        peer_id: peer(number),
        offer_id: OfferId([offer; 20]),
        sdp: format!("{number} 0"),
    })
}

#[test]
fn the_first_announce_does_not_wait_for_offers_and_a_newcomer_announces_again_with_them() {
    let mut world = World::new(1);
    let first = world.join();
    world.run(5.0);
    let second = world.join();
    world.run(2.0);
    let announces = world.viewers[second].announces();
    assert_eq!(announces[0].1.event, Some(AnnounceEvent::Started));
    assert!(announces[0].0 < 5.1 && announces[0].1.offers.is_empty());
    assert_eq!((announces[1].1.event, announces[1].1.offers.len()), (None, 5));
    assert_eq!(announces[1].1.numwant, Some(5));
    assert!(announces[1].0 < 5.6, "offers went out at {} s", announces[1].0);
    assert_eq!(world.viewers[first].peers(), [peer(second)]);
    assert_eq!(world.viewers[second].peers(), [peer(first)]);
    let introduced: Vec<_> = world.viewers[second].introduced.values().collect();
    assert_eq!(introduced, [&(peer(first), true)]);
    let status = world.viewers[second].signaling.status();
    assert!(status.reachable && status.answered && status.failure.is_none());
    assert_eq!(status.swarm_size, 2);
}

#[test]
fn offers_go_with_the_first_announce_when_they_are_ready_by_then() {
    let mut signaling = Signaling::new(&[URL.to_owned()], HASH, peer(0), 2, 1);
    signaling.start(seconds(0.0));
    for connection in 0..2 {
        signaling.offer_ready(seconds(0.1), ConnectionId(connection), "sdp".to_owned());
    }
    while signaling.poll_output().is_some() {}
    signaling.opened(seconds(1.0), TrackerId(0));
    let Some(SignalingOutput::Send(_, text)) = signaling.poll_output() else {
        panic!("no announce")
    };
    let Ok(ClientMessage::Announce(announce)) = ClientMessage::from_json(&text) else {
        panic!("not an announce")
    };
    assert_eq!((announce.event, announce.offers.len()), (Some(AnnounceEvent::Started), 2));
    assert_ne!(announce.offers[0].offer_id, announce.offers[1].offer_id);
}

#[test]
fn offers_are_gathered_a_few_at_a_time() {
    let mut world = World::new(1);
    world.join();
    world.run(10.0);
    assert_eq!(world.viewers[0].created, 5);
    assert_eq!(world.viewers[0].most_gathering, MAX_GATHERING);
}

#[test]
fn a_viewer_alone_keeps_its_offers_and_announces_at_the_interval_only() {
    let mut world = World::new(1);
    world.join();
    world.run(280.0);
    let times: Vec<f64> = world.viewers[0].announces().iter().map(|(at, _)| *at).collect();
    assert_eq!(times.len(), 3, "{times:?}");
    assert!((times[1] - times[0] - 120.0).abs() < 0.01);
    assert_eq!(world.viewers[0].created, 5, "offers that nobody got are reused");
    // They are gathered anew at last.
    world.run(100.0);
    assert_eq!(world.viewers[0].created, 10);
}

#[test]
fn offers_that_nobody_got_go_to_another_tracker() {
    let mut world = World::new(2);
    world.join();
    world.trackers[0].members.clear();
    world.run(3.0);
    // From now on only the second tracker knows the first viewer.
    world.trackers[0].members.clear();
    let second = world.join();
    world.run(2.0);
    assert_eq!(world.viewers[second].peers(), [peer(0)]);
    assert_eq!(world.viewers[second].created, 6, "one was used and replaced");
}

#[test]
fn a_peer_found_by_two_trackers_is_connected_once() {
    let mut world = World::new(2);
    world.join();
    world.run(3.0);
    world.join();
    world.run(300.0);
    assert_eq!(world.viewers[0].peers(), [peer(1)]);
    assert_eq!(world.viewers[1].peers(), [peer(0)]);
}

#[test]
fn a_swarm_finds_itself() {
    let mut world = World::new(1);
    for _ in 0..12 {
        world.join();
        world.run(0.3);
    }
    world.run(60.0);
    for viewer in &world.viewers {
        let mut peers = viewer.peers();
        peers.sort();
        peers.dedup();
        assert_eq!(peers.len(), viewer.open.len(), "two connections to one peer");
        assert!(peers.len() >= FEW_PEERS, "{peers:?}");
        assert!(viewer.held.len() <= viewer.open.len() + 10);
    }
}

#[test]
fn of_two_crossing_connections_both_sides_keep_the_one_of_the_smaller_id() {
    for seconds_apart in [0.0, 0.05, 0.1, 0.15, 0.2, 0.25] {
        let mut world = World::new(1);
        world.join();
        world.run(seconds_apart);
        world.join();
        world.run(0.0);
        // Both are members before either has offers.
        world.trackers[0].members = vec![0, 1];
        world.run(5.0);
        assert_eq!(world.viewers[0].peers(), [peer(1)], "{seconds_apart} s apart");
        assert_eq!(world.viewers[1].peers(), [peer(0)], "{seconds_apart} s apart");
        let offered = |viewer: &Viewer| {
            let connection = viewer.open.keys().next().unwrap();
            viewer.introduced[connection].1
        };
        assert_ne!(offered(&world.viewers[0]), offered(&world.viewers[1]));
        let crossed = world.viewers[0].introduced.len() + world.viewers[1].introduced.len() > 2;
        assert!(!crossed || offered(&world.viewers[0]), "{seconds_apart} s apart");
        if seconds_apart == 0.0 {
            assert!(crossed, "the connections did not cross");
        }
    }
}

#[test]
fn an_answer_to_an_unknown_used_or_foreign_offer_is_ignored() {
    let mut world = World::new(1);
    world.join();
    world.run(1.0);
    world.join();
    world.run(2.0);
    let offer = world.viewers[1].announces()[1].1.offers.clone();
    let used = world.viewers[1].open.keys().next().unwrap().0 as usize;
    let introduced = world.viewers[1].introduced.len();
    let answer = |info_hash, peer_id, offer_id| {
        let sdp = "9 0 1 0".to_owned();
        ServerMessage::Answer(AnswerRelay { info_hash, peer_id, offer_id, sdp })
    };
    world.text(1, &answer(HASH, peer(8), OfferId([0; 20])));
    world.text(1, &answer(HASH, peer(8), offer[used].offer_id));
    world.text(1, &answer(InfoHash([9; 20]), peer(8), offer[4].offer_id));
    world.text(1, &answer(HASH, peer(1), offer[4].offer_id));
    assert_eq!(world.viewers[1].introduced.len(), introduced);
    // The offer itself was good.
    let mut good = answer(HASH, peer(8), offer[4].offer_id);
    if let ServerMessage::Answer(answer) = &mut good {
        answer.sdp = "0 99 1 4".to_owned();
    }
    world.text(1, &good);
    assert_eq!(world.viewers[1].introduced.len(), introduced + 1);
}

#[test]
fn offers_of_ourselves_of_known_peers_and_beyond_what_is_wanted_are_ignored() {
    let mut world = World::new(1);
    world.join();
    world.run(1.0);
    world.viewers[0].signaling.set_wanted(2);
    world.tell(0, |signaling, now| signaling.handle_timeout(now));
    let own = stranger(0, 1);
    world.text(0, &own);
    assert!(world.viewers[0].introduced.is_empty());
    for (from, offer, introduced) in [(5, 2, 1), (5, 3, 1), (6, 4, 2), (7, 5, 2)] {
        let message = stranger(from, offer);
        world.text(0, &message);
        assert_eq!(world.viewers[0].introduced.len(), introduced, "offer {offer}");
    }
    world.viewers[0].signaling.set_wanted(0);
    world.tell(0, |signaling, now| signaling.handle_timeout(now));
    world.run(30.0);
    let message = stranger(8, 6);
    world.text(0, &message);
    assert_eq!(world.viewers[0].introduced.len(), 2);
}

#[test]
fn an_incoming_offer_that_comes_to_nothing_is_closed_after_15_seconds() {
    let mut world = World::new(1);
    world.join();
    world.run(1.0);
    let before = world.viewers[0].held.len();
    let message = stranger(5, 1);
    world.text(0, &message);
    world.run(14.0);
    assert_eq!(world.viewers[0].held.len(), before + 1);
    world.run(2.0);
    assert_eq!(world.viewers[0].held.len(), before);
    // The same peer may try again.
    world.text(0, &message);
    assert_eq!(world.viewers[0].introduced.len(), 2);
}

#[test]
fn offers_without_an_answer_are_replaced_and_announced_sooner_while_there_are_no_peers() {
    let mut world = World::new(1);
    world.join();
    world.run(1.0);
    world.viewers[0].signaling.set_wanted(0);
    world.tell(0, |signaling, now| signaling.handle_timeout(now));
    assert!(world.viewers[0].held.is_empty(), "nothing is wanted, nothing is kept");
    let second = world.join();
    world.run(119.0);
    let times: Vec<f64> = world.viewers[second]
        .announces()
        .iter()
        .filter(|(_, announce)| !announce.offers.is_empty())
        .map(|(at, _)| *at)
        .collect();
    assert!((4..=8).contains(&times.len()), "{times:?}");
    assert!((5.0..=8.5).contains(&(times[1] - times[0])), "{times:?}");
    assert!(world.viewers[second].held.len() <= 10);
    assert!(world.viewers[0].announces().iter().skip(2).all(|(_, a)| a.offers.is_empty()));
    // Then there is room again, and the two meet.
    world.viewers[0].signaling.set_wanted(5);
    world.tell(0, |signaling, now| signaling.handle_timeout(now));
    world.run(20.0);
    assert_eq!(world.viewers[second].peers(), [peer(0)]);
}

#[test]
fn a_viewer_that_lost_its_last_peer_announces_within_seconds() {
    let mut world = World::new(1);
    world.join();
    world.run(1.0);
    world.join();
    world.run(20.0);
    world.join();
    world.run(20.0);
    let before = world.viewers[0].announces().len();
    world.hang_up(0);
    world.hang_up(1);
    world.hang_up(2);
    world.run(10.0);
    assert!(world.viewers[0].announces().len() > before);
    assert_eq!(world.viewers[0].open.len(), 2);
}

#[test]
fn connections_that_never_open_are_closed_and_tried_again() {
    let mut world = World::new(1);
    world.join();
    world.run(1.0);
    world.join();
    world.blocked = [peer(0), peer(1)].into();
    world.run(60.0);
    let tries = world.viewers[1].introduced.len();
    assert!((2..=8).contains(&tries), "{tries} tries");
    assert!(world.viewers.iter().all(|viewer| viewer.open.is_empty()));
    world.blocked.clear();
    world.run(60.0);
    assert_eq!(world.viewers[0].peers(), [peer(1)]);
}

#[test]
fn stopping_says_so_closes_the_socket_and_drops_offers_but_no_open_connection() {
    let mut world = World::new(1);
    world.join();
    world.run(1.0);
    world.join();
    world.run(1.0);
    world.viewers[1].signaling.update_totals(1000, 50);
    world.tell(1, Signaling::stop);
    world.run(1.0);
    let (_, last) = *world.viewers[1].announces().last().unwrap();
    assert_eq!(last.event, Some(AnnounceEvent::Stopped));
    assert_eq!((last.downloaded, last.uploaded), (1000, 50));
    assert_eq!(world.viewers[1].held, world.viewers[1].open.keys().copied().collect());
    assert!(world.viewers[1].signaling.poll_timeout().is_none());
    assert_eq!(world.viewers[1].signaling.status(), TrackerStatus::default());
    // Started again, it knows whom it has, and numbers go on.
    world.tell(1, Signaling::start);
    world.run(200.0);
    assert_eq!(world.viewers[1].open.len(), 1);
    assert_eq!(world.viewers[1].signaling.status().swarm_size, 2);
}

#[test]
fn a_tracker_that_is_down_is_tried_again_more_and_more_seldom() {
    let mut world = World::new(1);
    world.trackers[0].down = true;
    world.join();
    let mut opened = Vec::new();
    for tenth in 0..3000 {
        let was =
            matches!(world.viewers[0].signaling.links[&TrackerId(0)].socket, Socket::Closed { .. });
        world.run(0.1);
        let link = &world.viewers[0].signaling.links[&TrackerId(0)];
        if was && matches!(link.socket, Socket::Opening { .. }) || tenth == 0 {
            opened.push(world.now.as_secs_f64());
        }
    }
    let first_minute = opened.iter().filter(|at| **at < 60.0).count();
    assert!((3..=8).contains(&first_minute), "{opened:?}");
    assert!(opened.iter().filter(|at| **at >= 120.0).count() <= 5, "{opened:?}");
    assert!(!world.viewers[0].signaling.status().reachable);
    world.trackers[0].down = false;
    world.run(61.0);
    assert!(world.viewers[0].signaling.status().answered);
    // A lost connection is tried again soon.
    world.tell(0, |signaling, now| signaling.closed(now, TrackerId(0)));
    world.trackers[0].members.clear();
    world.run(1.5);
    assert_eq!(world.trackers[0].members, [0]);
    let (_, last) = *world.viewers[0].announces().last().unwrap();
    assert_eq!(last.event, Some(AnnounceEvent::Started));
}

#[test]
fn a_tracker_that_falls_silent_is_opened_anew() {
    let mut world = World::new(1);
    world.join();
    world.run(1.0);
    // It takes announces and says nothing.
    world.trackers[0].down = true;
    world.run(120.0 + 44.0);
    assert!(world.viewers[0].signaling.status().reachable);
    world.run(1.0);
    assert!(!world.viewers[0].signaling.status().reachable);
    world.trackers[0].down = false;
    world.run(10.0);
    assert!(world.viewers[0].signaling.status().reachable);
}

#[test]
fn a_refusal_is_reported_and_costs_the_other_tracker_nothing() {
    let mut world = World::new(2);
    world.trackers[0].refuses = true;
    world.join();
    world.run(3.0);
    world.join();
    world.run(3.0);
    let status = world.viewers[1].signaling.status();
    assert_eq!(status.failure.as_deref(), Some("not on my list"));
    assert_eq!(world.viewers[1].peers(), [peer(0)]);
    let refused = world.viewers[1].sent.iter().filter(|(_, id, _)| *id == TrackerId(0)).count();
    assert!(refused <= 2, "{refused} announces to a tracker that refuses");
    world.trackers[0].refuses = false;
    world.run(130.0);
    assert_eq!(world.viewers[1].signaling.status().failure, None);
}

#[test]
fn hostile_text_costs_only_that_message() {
    let mut world = World::new(1);
    world.join();
    world.run(1.0);
    let before = world.viewers[0].signaling.status();
    for text in ["", "{", "null", "[[[[", "{\"action\":\"announce\"}", "{\"action\":7}", "\u{0}"] {
        world.tell(0, |signaling, now| signaling.message(now, TrackerId(0), text));
        world.tell(0, |signaling, now| signaling.message(now, TrackerId(9), text));
    }
    let long = "x".repeat(1 << 20);
    world.tell(0, |signaling, now| signaling.message(now, TrackerId(0), &long));
    let huge = format!(
        r#"{{"action":"announce","info_hash":"{}","interval":1e300,"min interval":-4,"complete":99999999999,"incomplete":4}}"#,
        "\u{7}".repeat(20).replace('\u{7}', "\\u0007")
    );
    world.tell(0, |signaling, now| signaling.message(now, TrackerId(0), &huge));
    assert_eq!(world.viewers[0].signaling.status().swarm_size, u32::MAX);
    let reason = "é".repeat(5000);
    world.text(0, &ServerMessage::Failure(crate::tracker::Failure { info_hash: None, reason }));
    assert_eq!(world.viewers[0].signaling.status().failure.unwrap().chars().count(), 200);
    world.run(700.0);
    assert_eq!(world.viewers[0].signaling.status().swarm_size, before.swarm_size);
}

#[test]
fn a_flood_of_offers_leaves_a_bounded_number_pending() {
    let mut world = World::new(1);
    world.join();
    world.run(1.0);
    for number in 1..200 {
        let message = stranger(number, number as u8);
        world.text(0, &message);
    }
    assert_eq!(world.viewers[0].introduced.len(), MAX_PENDING);
    world.run(20.0);
    assert!(world.viewers[0].held.len() <= 5);
}

#[test]
fn a_browser_that_cannot_offer_is_asked_less_and_less() {
    let mut signaling = Signaling::new(&[URL.to_owned()], HASH, peer(0), 5, 1);
    signaling.start(seconds(0.0));
    signaling.opened(seconds(0.0), TrackerId(0));
    let mut asked = 0;
    let mut now = seconds(0.0);
    while now < seconds(300.0) {
        while let Some(output) = signaling.poll_output() {
            if let SignalingOutput::CreateOffer(connection) = output {
                asked += 1;
                signaling.connection_closed(now, connection);
            }
        }
        now = signaling.poll_timeout().unwrap();
        signaling.handle_timeout(now);
    }
    assert!((5..=40).contains(&asked), "{asked} times in 5 minutes");
}

#[test]
fn offers_that_are_never_gathered_are_given_up() {
    let mut signaling = Signaling::new(&[URL.to_owned()], HASH, peer(0), 5, 1);
    signaling.start(seconds(0.0));
    while signaling.poll_output().is_some() {}
    signaling.handle_timeout(seconds(15.0));
    let closed = std::iter::from_fn(|| signaling.poll_output())
        .filter(|output| matches!(output, SignalingOutput::ClosePeer(_)));
    assert_eq!(closed.count(), MAX_GATHERING);
    signaling.offer_ready(seconds(15.1), ConnectionId(0), "late".to_owned());
    assert!(signaling.connections.is_empty());
}

#[test]
fn only_websocket_urls_are_trackers_and_numbers_stay_positions() {
    let urls = ["https://a", "wss://b", "ws://", "udp://c", "WS://d", "wsss://e", "é"];
    let urls: Vec<String> = urls.into_iter().map(str::to_owned).collect();
    let mut signaling = Signaling::new(&urls, HASH, peer(0), 0, 1);
    assert_eq!(signaling.bad_urls(), ["https://a", "ws://", "udp://c", "wsss://e", "é"]);
    signaling.start(seconds(0.0));
    let outputs: Vec<_> = std::iter::from_fn(|| signaling.poll_output()).collect();
    assert_eq!(
        outputs,
        [
            SignalingOutput::Open(TrackerId(1), "wss://b".to_owned()),
            SignalingOutput::Open(TrackerId(4), "WS://d".to_owned())
        ]
    );
}

#[test]
fn connections_are_numbered_on_from_an_earlier_session() {
    let mut signaling = Signaling::new(&[URL.to_owned()], HASH, peer(0), 1, 1)
        .with_first_connection(ConnectionId(40));
    signaling.start(seconds(0.0));
    let outputs: Vec<_> = std::iter::from_fn(|| signaling.poll_output()).collect();
    assert_eq!(outputs.last(), Some(&SignalingOutput::CreateOffer(ConnectionId(40))));
    assert_eq!(signaling.next_connection(), ConnectionId(41));
}

#[test]
fn the_same_seed_and_inputs_give_the_same_outputs() {
    let run = || {
        let mut world = World::new(2);
        for _ in 0..5 {
            world.join();
            world.run(0.7);
        }
        world.run(100.0);
        world.viewers.into_iter().map(|viewer| viewer.sent).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}
