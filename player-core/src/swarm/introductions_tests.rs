use bytes::Bytes;

use super::*;
use crate::store::Store;
use crate::wire::{Hello, InfoHash, VERSION};

const OWN: PeerId = PeerId([200; 20]);

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

fn id(number: u32) -> PeerId {
    PeerId([number as u8; 20])
}

fn join(swarm: &mut Swarm, number: u32, capabilities: Capabilities) {
    let hello = Hello {
        version: VERSION,
        capabilities,
        info_hash: InfoHash::default(),
        peer_id: id(number),
    };
    swarm.connected(at(0), ConnectionId(number), None);
    swarm.message(at(0), ConnectionId(number), Message::Hello(hello), &Store::default());
}

fn swarm(neighbours: u32) -> Swarm {
    let mut swarm = Swarm::new(InfoHash::default(), OWN, true);
    for number in 1..=neighbours {
        join(&mut swarm, number, Capabilities::INTRODUCTIONS);
    }
    sent(&mut swarm);
    swarm
}

fn sent(swarm: &mut Swarm) -> Vec<(u32, Message)> {
    std::iter::from_fn(|| swarm.poll_message()).map(|(to, message)| (to.0, message)).collect()
}

fn introduction(answer: bool, from: PeerId, to: PeerId, offer: u8) -> Introduction {
    Introduction { answer, from, to, offer: [offer; 20], sdp: Bytes::from_static(b"v=0") }
}

fn tell(swarm: &mut Swarm, now: u64, by: u32, it: Introduction) -> Vec<SwarmEvent> {
    let message = Message::Introduction(Box::new(it));
    swarm.message(at(now), ConnectionId(by), message, &Store::default())
}

#[test]
fn a_newcomer_is_told_of_those_who_are_here_and_they_of_it_soon() {
    let mut swarm = swarm(2);
    swarm.tell_members(at(100));
    sent(&mut swarm);
    join(&mut swarm, 3, Capabilities::INTRODUCTIONS);
    join(&mut swarm, 4, Capabilities::default());
    let members: Vec<_> = sent(&mut swarm)
        .into_iter()
        .filter_map(|(to, message)| match message {
            Message::Members { peers } => Some((to, peers)),
            _ => None,
        })
        .collect();
    assert_eq!(members, [(3, vec![id(1), id(2)])], "who does not understand it is not told");
    swarm.tell_members(at(101));
    assert!(sent(&mut swarm).is_empty(), "news is gathered");
    swarm.tell_members(at(105));
    let news = Message::Members { peers: vec![id(3)] };
    assert_eq!(sent(&mut swarm), [(1, news.clone()), (2, news)]);
}

#[test]
fn offers_and_answers_go_from_neighbour_to_neighbour_once() {
    let mut swarm = swarm(3);
    let offer = introduction(false, id(1), id(2), 7);
    assert!(tell(&mut swarm, 1, 1, offer.clone()).is_empty());
    assert_eq!(sent(&mut swarm), [(2, Message::Introduction(Box::new(offer.clone())))]);
    // A third one can't answer in its place; nor can it be answered by another's word.
    tell(&mut swarm, 2, 3, introduction(true, id(3), id(1), 7));
    tell(&mut swarm, 2, 3, introduction(true, id(2), id(1), 7));
    assert!(sent(&mut swarm).is_empty());
    let answer = introduction(true, id(2), id(1), 7);
    tell(&mut swarm, 2, 2, answer.clone());
    assert_eq!(sent(&mut swarm), [(1, Message::Introduction(Box::new(answer.clone())))]);
    tell(&mut swarm, 2, 2, answer);
    assert!(sent(&mut swarm).is_empty(), "one answer is enough");
    tell(&mut swarm, 3, 1, offer);
    sent(&mut swarm);
    tell(&mut swarm, 33, 2, introduction(true, id(2), id(1), 7));
    assert!(sent(&mut swarm).is_empty(), "it is too late");
}

#[test]
fn what_is_forged_or_for_nobody_here_is_dropped() {
    let mut swarm = swarm(2);
    join(&mut swarm, 3, Capabilities::default());
    sent(&mut swarm);
    for (by, it) in [
        (1, introduction(false, id(2), id(2), 1)),
        (1, introduction(false, id(9), id(2), 2)),
        (1, introduction(false, id(1), id(9), 3)),
        (1, introduction(false, id(1), id(3), 4)),
        (3, introduction(false, id(3), id(1), 5)),
        (2, introduction(true, id(2), id(1), 6)),
    ] {
        assert!(tell(&mut swarm, 1, by, it).is_empty());
        assert!(sent(&mut swarm).is_empty());
    }
    let it = introduction(false, id(9), OWN, 1);
    assert_eq!(tell(&mut swarm, 1, 1, it.clone()), [SwarmEvent::Introduction(Box::new(it))]);
    assert_eq!(tell(&mut swarm, 1, 3, introduction(false, id(9), OWN, 1)), []);
}

#[test]
fn a_flood_is_cut_off_and_memory_is_bounded() {
    let mut swarm = swarm(20);
    let mut passed = 0;
    for round in 0..100_u32 {
        for by in 1..=20 {
            let mut it = introduction(false, id(by), id(by % 20 + 1), 0);
            it.offer[..8].copy_from_slice(&[round.to_le_bytes(), by.to_le_bytes()].concat());
            tell(&mut swarm, 1, by, it);
            passed += sent(&mut swarm).len();
        }
    }
    assert_eq!(passed, MAX_PASSED_ON);
    let to_us = (0..100).filter(|offer| {
        !tell(&mut swarm, 50, 1, introduction(false, id(99), OWN, *offer)).is_empty()
    });
    assert_eq!(to_us.count(), ALLOWANCE as usize);
    for number in 0..100_u8 {
        let peers =
            (0..64).map(|of| PeerId([number.wrapping_mul(64).wrapping_add(of); 20])).collect();
        swarm.message(at(60), ConnectionId(1), Message::Members { peers }, &Store::default());
    }
    assert!(swarm.peers[&ConnectionId(1)].members.len() <= MAX_MEMBERS);
    let mut rng = fastrand::Rng::with_seed(1);
    for round in 0..1000 {
        let peers = vec![PeerId(std::array::from_fn(|_| rng.u8(..)))];
        swarm.message(at(60), ConnectionId(2), Message::Members { peers }, &Store::default());
        swarm.acquaintance(at(60 + round / 100), &mut rng, |_| false);
    }
    assert!(swarm.introductions.tried.len() <= MAX_TRIED);
}

#[test]
fn an_acquaintance_is_tried_again_only_when_it_is_named_again() {
    let mut swarm = swarm(2);
    let mut rng = fastrand::Rng::with_seed(1);
    let mut next = |swarm: &mut Swarm, now, known: &[PeerId]| {
        swarm.acquaintance(at(now), &mut rng, |id| known.contains(id))
    };
    assert_eq!(next(&mut swarm, 1, &[]), None);
    let name = |swarm: &mut Swarm| {
        let peers = vec![OWN, id(8), id(9)];
        swarm.message(at(1), ConnectionId(1), Message::Members { peers }, &Store::default());
    };
    name(&mut swarm);
    assert_eq!(next(&mut swarm, 1, &[id(9)]), Some((ConnectionId(1), id(8))));
    assert_eq!(next(&mut swarm, 2, &[id(9)]), None, "it may still answer");
    assert_eq!(next(&mut swarm, 32, &[id(9)]), Some((ConnectionId(1), id(8))));
    assert_eq!(next(&mut swarm, 70, &[id(9)]), None, "it seems to have gone");
    name(&mut swarm);
    assert_eq!(next(&mut swarm, 71, &[id(9)]), Some((ConnectionId(1), id(8))));
}

#[test]
fn who_is_one_too_many_is_known_to_many_and_neither_near_nor_generous() {
    let mut swarm = swarm(8);
    let mut rng = fastrand::Rng::with_seed(1);
    let members = |ids: &[u32]| Message::Members { peers: ids.iter().map(|of| id(*of)).collect() };
    for by in 1..=5 {
        swarm.message(at(1), ConnectionId(by), members(&[6, 7, 8]), &Store::default());
    }
    swarm.message(at(1), ConnectionId(6), members(&[7]), &Store::default());
    assert_eq!(swarm.one_too_many(at(100), 8, &mut rng), None, "there is room");
    let spared = |swarm: &Swarm, rng: &mut _| swarm.one_too_many(at(100), 7, rng).map(|of| of.0);
    assert_eq!(spared(&swarm, &mut rng), Some(7));
    swarm.peers.get_mut(&ConnectionId(7)).unwrap().queued = 1;
    assert!(matches!(spared(&swarm, &mut rng), Some(6 | 8)), "something is on its way to it");
    swarm.peers.get_mut(&ConnectionId(7)).unwrap().queued = 0;
    swarm.peers.get_mut(&ConnectionId(7)).unwrap().received_bytes = 1;
    swarm.peers.get_mut(&ConnectionId(1)).unwrap().received_bytes = 1;
    assert!(matches!(spared(&swarm, &mut rng), Some(6 | 8)), "it gives more than most");
    assert_eq!(swarm.one_too_many(at(3), 7, &mut rng), None, "all have just come");
}

#[test]
fn a_swarm_is_as_large_as_neighbours_say() {
    let mut swarm = swarm(2);
    let peers = (2..=9).map(id).collect();
    swarm.message(at(1), ConnectionId(1), Message::Members { peers }, &Store::default());
    swarm.tell_members(at(10));
    swarm.set_size(3, 3);
    assert_eq!(swarm.size(), 10, "two neighbours, seven whom they name, and this one");
    swarm.set_size(50, 50);
    assert_eq!(swarm.size(), 50);
    swarm.closed(at(11), ConnectionId(2));
    swarm.closed(at(11), ConnectionId(1));
    swarm.tell_members(at(20));
    swarm.set_size(1, 1);
    assert_eq!(swarm.size(), 1, "who named them has gone");
}
