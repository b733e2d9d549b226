//! Peers that say nothing any more, and whose connection has not ended yet.

use super::*;
use crate::wire::{Bitfield, HaveEntry, PIECE_BYTES, RejectReason};

const RENDITION: RenditionId = RenditionId(1);
const SEGMENT: SegmentId = SegmentId { rendition: RENDITION, sequence: 5 };
const SIZE: u32 = 1 << 20;

fn at(seconds: f64) -> Instant {
    Instant::from_micros((seconds * 1e6) as u64)
}

/// A peer that says hello and shows all of [`SEGMENT`].
fn join(swarm: &mut Swarm, store: &Store, connection: ConnectionId) {
    let id = PeerId([connection.0 as u8; 20]);
    let hello = Hello {
        version: VERSION,
        capabilities: capabilities(true),
        info_hash: InfoHash::default(),
        peer_id: id,
    };
    swarm.connected(at(0.0), connection, None);
    swarm.message(at(0.0), connection, Message::Hello(hello), store);
    let blocks = Bitfield::full((SIZE >> 16) as u16);
    let entries = vec![HaveEntry { sequence: SEGMENT.sequence, tag: 9, size: SIZE, blocks }];
    swarm.message(at(0.0), connection, Message::Have { rendition: RENDITION, entries }, store);
}

fn ask(swarm: &mut Swarm, now: f64) -> Vec<(ConnectionId, Message)> {
    let mut rng = fastrand::Rng::with_seed(1);
    let what = Blocks {
        segment: SEGMENT,
        tag: 9,
        size: SIZE,
        scarce: false,
        brief: false,
        urgent: true,
        deadline: at(now + 10.0),
        first: 0,
        step: Duration::ZERO,
    };
    swarm.request_blocks(at(now), &what, &mut rng, |_| true);
    drain(swarm)
}

fn drain(swarm: &mut Swarm) -> Vec<(ConnectionId, Message)> {
    std::iter::from_fn(|| swarm.poll_message()).collect()
}

#[test]
fn a_silent_peer_is_given_up_until_it_speaks() {
    let store = Store::default();
    let mut swarm = Swarm::new(InfoHash::default(), PeerId([9; 20]), true);
    let silent = ConnectionId(1);
    join(&mut swarm, &store, silent);
    drain(&mut swarm);
    assert_eq!(ask(&mut swarm, 1.0).len(), 1, "one block is asked of it");
    assert!(swarm.offer(SEGMENT, 9, None).is_some_and(|offer| offer.covered));

    let mut probes = 0;
    for tenth in 11..600 {
        let now = f64::from(tenth) / 10.0;
        swarm.tick(at(now), &store);
        let sent = drain(&mut swarm);
        probes += sent.iter().filter(|(_, it)| matches!(it, Message::Request { .. })).count();
        if now > 5.1 {
            assert!(ask(&mut swarm, now).is_empty(), "nothing more is asked of it at {now} s");
            assert_eq!(swarm.offer(SEGMENT, 9, None), None, "it is not counted on at {now} s");
            assert!(!swarm.is_requested(SEGMENT, 0));
        }
    }
    assert_eq!(probes, 6, "it is asked every 8 s whether it is still there");

    let reject = Message::Reject { id: 1, reason: RejectReason::NotHeld };
    swarm.message(at(60.0), silent, reject, &store);
    assert!(swarm.offer(SEGMENT, 9, None).is_some_and(|offer| offer.covered), "it has spoken");
    swarm.tick(at(70.0), &store);
    assert_eq!(ask(&mut swarm, 70.0).len(), 1, "and is asked again");
}

#[test]
fn a_peer_that_is_still_there_says_so_when_it_is_asked() {
    let store = Store::default();
    let mut swarm = Swarm::new(InfoHash::default(), PeerId([9; 20]), true);
    let other = ConnectionId(1);
    join(&mut swarm, &store, other);
    drain(&mut swarm);
    let probe = Peer::new(at(0.0), None).probe();
    let Message::Request { id, .. } = probe else { panic!("{probe:?}") };
    swarm.message(at(1.0), other, Message::decode(probe.encode().into()).unwrap(), &store);
    let answer = Message::Reject { id, reason: RejectReason::NotHeld };
    assert_eq!(drain(&mut swarm), [(other, answer)]);
}

#[test]
fn what_a_silent_peer_was_asked_for_is_asked_of_another() {
    let store = Store::default();
    let mut swarm = Swarm::new(InfoHash::default(), PeerId([9; 20]), true);
    join(&mut swarm, &store, ConnectionId(1));
    drain(&mut swarm);
    assert_eq!(ask(&mut swarm, 1.0).len(), 1);
    join(&mut swarm, &store, ConnectionId(2));
    swarm.tick(at(5.1), &store);
    drain(&mut swarm);
    let asked = ask(&mut swarm, 5.2);
    let [(ConnectionId(2), Message::Request { id, block: 0, .. })] = asked[..] else {
        panic!("{asked:?}")
    };
    let data = Bytes::from(vec![1; PIECE_BYTES as usize]);
    swarm.message(at(5.3), ConnectionId(2), Message::Piece { id, offset: 0, data }, &store);
    swarm.tick(at(5.4), &store);
    assert!(swarm.is_requested(SEGMENT, 0), "the one that answers is not given up");
}
