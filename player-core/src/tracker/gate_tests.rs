//! Swarms that are too small to share in, and trackers that want to see a token.

use super::*;
use crate::tracker::message::ClientMessage;

/// A viewer who wants so many in the swarm.
fn join_gated(world: &mut World, min_viewers: u32) -> usize {
    let number = world.viewers.len();
    let signaling = Signaling::new(&[URL.to_owned()], HASH, peer(number), 5, number as u64);
    world.join_as(signaling.with_min_viewers(min_viewers))
}

fn refuse(world: &mut World, reason: &str, retry_in: Option<u32>) {
    let failure = Failure { info_hash: Some(HASH), reason: reason.to_owned(), retry_in };
    world.text(0, &ServerMessage::Failure(failure));
}

#[test]
fn below_so_many_viewers_no_candidate_is_gathered_and_from_then_on_they_share() {
    let mut world = World::new(1);
    for _ in 0..2 {
        join_gated(&mut world, 3);
    }
    world.run(600.0);
    for viewer in &world.viewers {
        assert_eq!(viewer.created, 0, "an offer was gathered");
        assert!(viewer.introduced.is_empty() && viewer.held.is_empty());
        assert!(viewer.announces().iter().all(|(_, announce)| announce.offers.is_empty()));
        assert!(viewer.signaling.status().gated && viewer.signaling.status().answered);
        assert!(viewer.announces().len() <= 8, "{} announces", viewer.announces().len());
    }
    join_gated(&mut world, 3);
    world.run(30.0);
    for viewer in &world.viewers {
        assert_eq!(viewer.peers().len(), 2, "{:?}", viewer.peers());
        assert!(!viewer.signaling.status().gated);
    }
}

#[test]
fn offers_of_others_do_not_open_the_gate() {
    let mut world = World::new(1);
    join_gated(&mut world, 3);
    world.run(1.0);
    for second in 0..60 {
        for number in 1..=4 {
            world.text(0, &stranger(number, second * 4 + number as u8));
        }
        let before = world.viewers[0].signaling.may_introduce(world.now);
        assert!(!before, "a neighbour could pass an offer on");
        world.run(1.0);
    }
    let viewer = &world.viewers[0];
    assert!(viewer.introduced.is_empty() && viewer.held.is_empty() && viewer.created == 0);
    let asked = viewer.announces().len();
    assert!((10..=32).contains(&asked), "the tracker was asked {asked} times in a minute");
}

#[test]
fn a_swarm_that_shrinks_keeps_its_connections_and_makes_no_new_ones() {
    let mut world = World::new(1);
    for _ in 0..3 {
        join_gated(&mut world, 3);
    }
    world.run(60.0);
    assert_eq!(world.viewers[0].peers().len(), 2);
    world.tell(2, |signaling, now| signaling.stop(now));
    world.run(130.0);
    assert!(world.viewers[0].signaling.status().gated);
    let created = world.viewers[0].created;
    world.run(700.0);
    let viewer = &world.viewers[0];
    assert!(viewer.open.values().any(|other| *other == peer(1)), "{:?}", viewer.open);
    assert_eq!(viewer.created, created, "an offer was gathered");
    assert_eq!(viewer.held.len(), viewer.open.len(), "an offer is kept ready");
}

#[test]
fn a_new_token_is_shown_at_once_and_parts_nobody() {
    let mut world = World::new(1);
    for _ in 0..2 {
        let number = world.join();
        world.tell(number, |signaling, now| signaling.set_token(now, Some("first".into())));
    }
    world.run(20.0);
    assert_eq!(world.viewers[0].peers().len(), 1);
    let told = world.viewers[0].sent.len();
    world.tell(0, |signaling, now| signaling.set_token(now, Some("second".into())));
    world.run(0.2);
    let (_, _, message) = &world.viewers[0].sent[told];
    let ClientMessage::Announce(announce) = message else { panic!("{message:?}") };
    assert_eq!((announce.token.as_deref(), announce.event), (Some("second"), None));
    world.run(200.0);
    assert_eq!(world.viewers[0].peers().len(), 1, "the connection has been closed");
    let later = world.viewers[0].announces();
    assert!(later.len() > 2);
    assert_eq!(later.last().unwrap().1.token.as_deref(), Some("second"));
}

#[test]
fn a_refused_token_is_told_once_and_another_one_is_tried_at_once() {
    let mut world = World::new(1);
    world.trackers[0].refuses = true;
    world.join();
    world.run(400.0);
    assert_eq!(world.viewers[0].refusals, ["not on my list"]);
    world.trackers[0].refuses = false;
    world.tell(0, |signaling, now| signaling.set_token(now, Some("right".into())));
    world.run(0.5);
    assert_eq!(world.viewers[0].signaling.status().failure, None);
    // Refused again: that is news.
    refuse(&mut world, "not on my list", None);
    assert_eq!(world.viewers[0].refusals.len(), 2);
}

#[test]
fn trackers_know_a_viewer_again_by_a_key_that_no_other_has() {
    let mut world = World::new(1);
    for _ in 0..3 {
        world.join();
    }
    world.run(300.0);
    let keys: Vec<std::collections::BTreeSet<String>> = world
        .viewers
        .iter()
        .map(|viewer| viewer.announces().iter().map(|it| it.1.key.clone().unwrap()).collect())
        .collect();
    assert!(keys.iter().all(|keys| keys.len() == 1 && keys.first().unwrap().len() == 32));
    assert_eq!(keys.iter().flatten().collect::<std::collections::BTreeSet<_>>().len(), 3);
}

#[test]
fn a_tracker_that_is_full_is_left_alone_for_as_long_as_it_says() {
    let mut world = World::new(1);
    world.join();
    world.run(1.0);
    world.trackers[0].down = true;
    refuse(&mut world, "the tracker is full", Some(5));
    world.tell(0, |signaling, now| signaling.closed(now, TrackerId(0)));
    world.trackers[0].down = false;
    world.run(299.0);
    assert!(!world.viewers[0].signaling.status().reachable, "it came back too soon");
    world.run(5.0);
    assert!(world.viewers[0].signaling.status().answered);
    assert_eq!(world.viewers[0].signaling.status().failure, None);
    // Nobody is sent away for ever.
    refuse(&mut world, "come again some time", Some(u32::MAX));
    world.tell(0, |signaling, now| signaling.closed(now, TrackerId(0)));
    world.run(3602.0);
    assert!(world.viewers[0].signaling.status().reachable);
}
