//! What a newcomer believes of the origin, where many come at once.

use super::super::live_session::Session;
use super::AMPLE_BYTES;

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
