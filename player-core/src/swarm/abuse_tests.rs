//! What a peer may do to a viewer, and where it ends: each bound in virtual time.

use super::*;
use crate::wire::{Bitfield, HaveEntry, PIECE_BYTES, RejectReason, block_count};

const RENDITION: RenditionId = RenditionId(1);
const SEGMENT: SegmentId = segment(5);
const SIZE: u32 = 1 << 20;
const TAG: u32 = 9;
const ATTACKER: ConnectionId = ConnectionId(1);

const fn segment(sequence: u64) -> SegmentId {
    SegmentId { rendition: RENDITION, sequence }
}

fn at(seconds: f64) -> Instant {
    Instant::from_micros((seconds * 1e6) as u64)
}

fn id(connection: ConnectionId) -> PeerId {
    PeerId([connection.0 as u8; 20])
}

fn hello(peer_id: PeerId) -> Message {
    let (info_hash, capabilities) = (InfoHash::default(), capabilities(true));
    Message::Hello(Hello { version: VERSION, capabilities, info_hash, peer_id })
}

fn have(sequence: u64, size: u32) -> HaveEntry {
    HaveEntry { sequence, tag: TAG, size, blocks: Bitfield::full(block_count(size)) }
}

/// A swarm, what this viewer holds, and its peers.
struct World {
    swarm: Swarm,
    store: Store,
}

impl World {
    fn new(peers: u32) -> Self {
        let swarm = Swarm::new(InfoHash::default(), PeerId([99; 20]), true);
        let mut world = Self { swarm, store: Store::default() };
        for number in 1..=peers {
            world.swarm.connected(at(0.0), ConnectionId(number), None);
            world.say(0.0, ConnectionId(number), hello(id(ConnectionId(number))));
        }
        world.sent();
        world
    }

    fn say(&mut self, now: f64, connection: ConnectionId, message: Message) -> Vec<SwarmEvent> {
        self.swarm.message(at(now), connection, message, &self.store)
    }

    /// Whether it is closed and banned for this.
    fn offends(&mut self, now: f64, message: Message) -> bool {
        let closed = self.say(now, ATTACKER, message) == [SwarmEvent::Close];
        closed && self.swarm.reputation.is_banned(&id(ATTACKER))
    }

    fn show(&mut self, now: f64, connection: ConnectionId, entries: Vec<HaveEntry>) {
        self.say(now, connection, Message::Have { rendition: RENDITION, entries });
    }

    /// Asks for what is open of [`SEGMENT`]: the requests.
    fn ask(&mut self, now: f64) -> Vec<(ConnectionId, u32)> {
        let what = Blocks {
            segment: SEGMENT,
            tag: TAG,
            size: SIZE,
            scarce: false,
            brief: false,
            urgent: true,
            deadline: at(now + 60.0),
            first: 0,
            step: Duration::ZERO,
        };
        let mut rng = fastrand::Rng::with_seed(1);
        self.swarm.request_blocks(at(now), &what, &mut rng, |_| true);
        let requests = self.sent().into_iter().filter_map(|(to, message)| match message {
            Message::Request { id, block, .. } if block != u16::MAX => Some((to, id)),
            _ => None,
        });
        requests.collect()
    }

    fn sent(&mut self) -> Vec<(ConnectionId, Message)> {
        std::iter::from_fn(|| self.swarm.poll_message()).collect()
    }

    fn peer(&self, connection: ConnectionId) -> &Peer {
        self.swarm.peers.get(&connection).expect("it is connected")
    }

    /// Holds one block of [`SEGMENT`].
    fn hold(&mut self) {
        self.store.prepare(SEGMENT, SIZE, TAG, crate::proof::Proof::None);
        let data = Bytes::from(vec![7; 64 << 10]);
        self.store.insert(SEGMENT, 0, data, crate::store::Source::Http);
    }
}

fn piece(id: u32, offset: u32, len: usize) -> Message {
    Message::Piece { id, offset, data: Bytes::from(vec![1; len]) }
}

#[test]
fn a_flood_of_messages_bans_its_sender_and_lively_talk_does_not() {
    let mut world = World::new(2);
    let message = |world: &mut World, now, connection, number| {
        world.say(now, connection, Message::Edge { segment: segment(number) })
    };
    for tenth in 0..6000 {
        for number in 0..20 {
            let events = message(&mut world, f64::from(tenth) / 10.0, ConnectionId(2), number);
            assert_eq!(events.len(), 1, "two hundred a second for ten minutes are lively");
        }
    }
    let flooded = (0..10_000)
        .position(|number| message(&mut world, 601.0, ATTACKER, number) == [SwarmEvent::Close]);
    assert_eq!(flooded, Some(4096));
    assert!(world.swarm.reputation.is_banned(&id(ATTACKER)));
    assert!(!world.swarm.reputation.is_banned(&id(ConnectionId(2))));
}

#[test]
fn endless_lists_are_cut_off_soon_and_little_of_them_is_remembered() {
    let mut world = World::new(1);
    let mut sequence = 0;
    let lists = (0..1000).position(|_| {
        let entries = (sequence..sequence + 256).map(|sequence| have(sequence, 256 << 20));
        sequence += 256;
        world.offends(0.0, Message::Have { rendition: RENDITION, entries: entries.collect() })
    });
    assert!(lists.is_some_and(|lists| lists < 70), "after {lists:?} lists of 256 segments");
    let held = (0..sequence).filter(|number| world.peer(ATTACKER).holds_any(segment(*number)));
    assert_eq!(held.count(), (1 << 16) / 4096, "of the largest segments few are remembered");
}

#[test]
fn a_block_cannot_come_byte_by_byte() {
    let mut world = World::new(1);
    world.show(0.0, ATTACKER, vec![have(5, SIZE)]);
    let (_, request) = world.ask(0.0)[0];
    assert!(world.offends(0.1, piece(request, 0, 1)));
}

#[test]
fn who_begins_blocks_and_does_not_end_them_is_asked_less_and_less() {
    let mut world = World::new(1);
    world.show(0.0, ATTACKER, vec![have(5, SIZE)]);
    let mut asked = Vec::new();
    for tenth in 0..6000 {
        let now = f64::from(tenth) / 10.0;
        world.swarm.tick(at(now), &world.store);
        for (_, request) in world.ask(now) {
            asked.push(now);
            world.say(now, ATTACKER, piece(request, 0, PIECE_BYTES as usize));
        }
        // It is there, and says so.
        world.show(now, ATTACKER, vec![have(5, SIZE)]);
    }
    assert!((4..10).contains(&asked.len()), "asked at {asked:?}");
    assert!(asked.last().is_some_and(|at| *at > 200.0), "it is not given up: {asked:?}");
}

#[test]
fn who_refuses_what_it_says_it_holds_is_asked_less_and_less() {
    let mut world = World::new(1);
    let mut asked = 0;
    for tenth in 0..600 {
        let now = f64::from(tenth) / 10.0;
        world.swarm.tick(at(now), &world.store);
        world.show(now, ATTACKER, vec![have(5, SIZE)]);
        for (_, id) in world.ask(now) {
            asked += 1;
            world.say(now, ATTACKER, Message::Reject { id, reason: RejectReason::NotHeld });
        }
    }
    assert!((8..16).contains(&asked), "asked {asked} times in a minute");
}

#[test]
fn blocks_sent_again_are_put_up_with_for_a_while() {
    let mut world = World::new(1);
    world.show(0.0, ATTACKER, vec![have(5, SIZE)]);
    let (_, request) = world.ask(0.0)[0];
    for offset in (0..4).map(|piece| piece * PIECE_BYTES) {
        world.say(0.1, ATTACKER, piece(request, offset, PIECE_BYTES as usize));
    }
    let again = (0..1000).position(|_| world.offends(0.2, piece(request, 0, PIECE_BYTES as usize)));
    // As much may cross a cancel: eight blocks.
    assert!(again.is_some_and(|pieces| (32..300).contains(&pieces)), "after {again:?} pieces");
}

#[test]
fn a_piece_that_was_never_asked_for_bans() {
    let mut world = World::new(1);
    assert!(world.offends(0.0, piece(7, 0, PIECE_BYTES as usize)));
}

#[test]
fn claims_that_come_to_nothing_are_not_believed_for_long() {
    let mut world = World::new(2);
    let honest = ConnectionId(2);
    let mut believed = (0, 0);
    for number in 0..20 {
        let now = number as f64 * 4.0;
        let claim = |number| Message::Claim { segment: segment(number), ttl_ms: 5000 };
        world.say(now, ATTACKER, claim(number));
        world.say(now, honest, claim(number + 100));
        believed.0 += u32::from(world.swarm.claimed(at(now), segment(number)).is_some());
        believed.1 += u32::from(world.swarm.claimed(at(now), segment(number + 100)).is_some());
        // The one comes too late now and then, the other never.
        world.swarm.claim_missing(segment(number), TAG, None, 5000);
        if number % 2 == 0 {
            world.swarm.claim_missing(segment(number + 100), TAG, None, 5000);
        }
        world.show(now + 1.0, honest, vec![have(number + 100, SIZE)]);
    }
    assert_eq!(believed, (4, 20));
}

#[test]
fn a_claim_made_and_taken_back_over_and_over_is_passed_on_a_few_times() {
    let mut world = World::new(2);
    world.swarm.set_size(100, 100);
    for _ in 0..2000 {
        for ttl_ms in [5000, 0] {
            world.say(1.0, ATTACKER, Message::Claim { segment: SEGMENT, ttl_ms });
        }
    }
    let passed_on = world.sent().iter().filter(|(to, _)| *to != ATTACKER).count();
    assert!((8..150).contains(&passed_on), "passed on {passed_on} times");
    assert!(world.swarm.reputation.is_banned(&id(ATTACKER)));
}

#[test]
fn the_size_that_most_peers_tell_counts() {
    let mut world = World::new(3);
    world.show(0.0, ATTACKER, vec![have(5, 200 << 20)]);
    world.show(0.0, ConnectionId(2), vec![have(5, SIZE)]);
    world.show(0.0, ConnectionId(3), vec![have(5, SIZE)]);
    let offer = world.swarm.offer(SEGMENT, TAG, None).expect("they hold it");
    assert_eq!((offer.size, offer.covered), (SIZE, true));
}

#[test]
fn nobody_calls_himself_another_than_he_was_introduced_as() {
    let mut world = World::new(0);
    world.swarm.connected(at(0.0), ATTACKER, Some(PeerId([3; 20])));
    assert_eq!(world.say(0.1, ATTACKER, hello(PeerId([4; 20]))), [SwarmEvent::Close]);
    assert_eq!(world.swarm.ready_peers(), 0);
}

#[test]
fn of_two_connections_of_one_peer_id_the_first_stays() {
    let mut world = World::new(1);
    world.swarm.connected(at(1.0), ConnectionId(2), None);
    assert_eq!(world.say(1.0, ConnectionId(2), hello(id(ATTACKER))), [SwarmEvent::Close]);
    assert_eq!(world.swarm.ready_peers(), 1);
}

#[test]
fn who_does_not_read_keeps_nobody_else_waiting_and_is_closed() {
    let mut world = World::new(2);
    world.hold();
    let request = |id| Message::Request { id, segment: SEGMENT, block: 0, due_ms: 0 };
    let mut got = 0;
    let mut closed_at = None;
    for tenth in 0..300 {
        let now = f64::from(tenth) / 10.0;
        // The first one never drains its buffer.
        world.say(now, ATTACKER, request(tenth));
        if tenth > 10 {
            world.say(now, ConnectionId(2), request(tenth));
        }
        world.swarm.upload(at(now), &world.store, &Config::default());
        world.swarm.writable(ConnectionId(2));
        let pieces = world.sent().into_iter().filter(|(to, message)| {
            *to == ConnectionId(2) && matches!(message, Message::Piece { .. })
        });
        got += if closed_at.is_none() { pieces.count() } else { 0 };
        if closed_at.is_none() && !world.swarm.tick(at(now), &world.store).is_empty() {
            closed_at = Some(now);
            world.swarm.closed(at(now), ATTACKER);
        }
    }
    assert!(got > 100, "the other got {got} pieces");
    assert!(closed_at.is_some_and(|at| at < 22.0), "closed at {closed_at:?}");
}

#[test]
fn a_connection_without_a_hello_counts_until_it_is_closed() {
    let mut world = World::new(1);
    world.swarm.connected(at(0.0), ConnectionId(7), None);
    assert_eq!((world.swarm.connections(), world.swarm.ready_peers()), (2, 1));
    let close = world.swarm.tick(at(10.2), &world.store);
    assert_eq!(close, [ConnectionId(7)]);
}

#[test]
fn nobody_takes_all_places_in_the_queue() {
    let mut world = World::new(2);
    world.hold();
    let request = |id| Message::Request { id, segment: SEGMENT, block: 0, due_ms: 0 };
    for id in 0..20 {
        world.say(0.0, ATTACKER, request(id));
    }
    world.say(0.0, ConnectionId(2), request(0));
    let sent = world.sent();
    let refused = |connection| sent.iter().filter(|(to, _)| *to == connection).count();
    assert_eq!((refused(ATTACKER), refused(ConnectionId(2))), (16, 0));
}

#[test]
fn a_holder_that_gives_no_list_is_asked_less_and_less() {
    let mut world = World::new(2);
    let mut rng = fastrand::Rng::with_seed(1);
    let mut asked = 0;
    for number in 0..60_u32 {
        let wanted = segment(number.into());
        for connection in [ATTACKER, ConnectionId(2)] {
            world.show(f64::from(number), connection, vec![have(number.into(), SIZE)]);
        }
        for step in [0.0, 0.5, 1.0, 1.5] {
            let now = f64::from(number) * 2.0 + step;
            world.swarm.request_list(at(now), wanted, TAG, &mut rng);
            for (to, _) in world.sent() {
                asked += u32::from(to == ATTACKER);
                if to != ATTACKER {
                    let hashes = Bytes::from(vec![0; 32]);
                    world.say(now, to, Message::HashList { segment: wanted, hashes });
                }
            }
        }
    }
    assert!((2..30).contains(&asked), "asked for {asked} lists");
}
