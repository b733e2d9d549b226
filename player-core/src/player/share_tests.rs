//! How many connections a newcomer begins.

use super::super::live_session::Session;
use super::FIRST_CONNECTIONS;

#[test]
fn few_connections_are_begun_before_the_first_picture_and_more_afterwards() {
    for (shown, until) in [(true, 0.04), (false, 1.1)] {
        let mut session = Session::of(9, 0, 1000, 0.0..0.0);
        session.pass(0.2);
        assert!((1..=FIRST_CONNECTIONS).contains(&session.offers), "{}", session.offers);
        session.appended = shown;
        session.pass(until);
        assert_eq!(session.player.started, shown);
        assert!(session.offers > FIRST_CONNECTIONS, "{}", session.offers);
    }
}

#[test]
fn in_a_swarm_that_may_become_a_crowd_all_are_begun_at_once() {
    let session = Session::of(10, 0, 1000, 0.0..0.0);
    assert!(session.offers > FIRST_CONNECTIONS, "{}", session.offers);
}
