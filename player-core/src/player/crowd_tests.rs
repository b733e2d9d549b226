//! What a newcomer believes of the origin, where many come at once.

use super::super::live_session::Session;
use super::AMPLE_BYTES;
use crate::wire::{Message, PeerId};

#[test]
fn single_blocks_that_come_fast_say_nothing_against_a_crowd_but_many_do() {
    let mut session = Session::of(150, 50, 1000, 0.0..0.0);
    assert!(session.player.is_overrun(session.now), "the tracker says so");
    while session.player.stats.http_bytes <= AMPLE_BYTES {
        assert!(session.player.is_overrun(session.now), "{:?}", session.fetched);
        assert!(!session.player.started, "{:?}", session.fetched);
        session.pass(0.02);
    }
    assert!(session.fetched.len() > 3, "{:?}", session.fetched);
    assert!(!session.player.is_overrun(session.now), "{:?}", session.fetched);
}

#[test]
fn who_was_told_of_a_few_hears_from_neighbours_that_there_are_many() {
    let mut session = Session::of(3, 0, 1000, 0.0..0.0);
    session.pass(2.1);
    assert!(!session.player.is_among_many());
    let peers = (20..29).map(|number| PeerId([number; 20])).collect();
    session.told(Message::Members { peers });
    session.pass(2.1);
    assert!(session.player.is_among_many());
}
