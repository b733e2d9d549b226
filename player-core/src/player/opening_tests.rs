//! Of a large swarm, whoever is to bring a segment's first block does so at once, and nobody else.

use super::super::live_session::{Range, Session, URL};
use crate::swarm::{Swarm, info_hash, rendition_id};
use crate::wire::{BLOCK_BYTES, Message, SegmentId};
use crate::{Config, Player};

const MEMBERS: u32 = 200_000;

/// What the origin is asked for of this segment as soon as a peer tells of it: by one who has watched for a while.
fn fetched(edge: u64, hashed: bool) -> Vec<Range> {
    let mut session = Session::of(MEMBERS, 0, edge - 3, 0.0..40.0);
    session.hashed = hashed;
    session.pass(4.0);
    for _ in 0..2 {
        session.edge += 1;
        session.pass(4.0);
    }
    session.edge = edge;
    let segment = SegmentId { rendition: rendition_id(URL, URL, None, 0), sequence: edge };
    session.told(Message::Edge { segment });
    session.pass(0.3);
    session.fetched.iter().filter(|(number, _)| *number == edge).map(|(_, range)| *range).collect()
}

/// The first segment from a number on that the player of a [`Session`] is to open, or not.
fn number(opens: bool) -> u64 {
    let player = Player::new(Config::default(), 7);
    let mut swarm = Swarm::new(info_hash(URL), player.peer_id, true);
    swarm.set_size(MEMBERS as usize, MEMBERS as usize);
    let rendition = rendition_id(URL, URL, None, 0);
    (1000..)
        .find(|sequence| swarm.opens(SegmentId { rendition, sequence: *sequence }, 8) == opens)
        .unwrap()
}

#[test]
fn who_is_to_open_a_segment_brings_its_first_block_at_once_and_nobody_else() {
    let first = Some((0, Some(u64::from(BLOCK_BYTES))));
    let (own, other) = (number(true), number(false));
    assert_eq!(fetched(own, false), [first]);
    assert_eq!(fetched(other, false), [], "it is not this viewer's turn");
    assert_eq!(fetched(own, true), [], "nothing of it could be passed on");
}
