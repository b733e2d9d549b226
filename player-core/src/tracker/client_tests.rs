//! Each behaviour, in virtual time.

use std::time::Duration;

use proptest::prelude::*;

use super::offers::{MAX_INTRODUCING, MAX_RELAYED, MAX_SHUNNED};
use super::pool::{FIRST, MAX_GATHERING};
use super::*;
use crate::tracker::message::ClientMessage;
use crate::tracker::{Announce, AnswerRelay, Failure, OfferRelay};
use crate::wire::MAX_SDP_BYTES;
use world::*;

#[path = "gate_tests.rs"]
mod gate;
#[path = "overrun_tests.rs"]
mod overrun;
#[path = "spare_tests.rs"]
mod spare;
#[path = "client_world.rs"]
mod world;

#[test]
fn a_newcomer_announces_once_with_two_offers() {
    let mut world = World::new(1);
    let first = world.join();
    world.run(5.0);
    let second = world.join();
    world.run(2.0);
    let announces = world.viewers[second].announces();
    assert_eq!(announces.len(), 1);
    let (at, announce) = announces[0];
    assert_eq!(announce.event, Some(AnnounceEvent::Started));
    assert_eq!((announce.offers.len(), announce.numwant), (FIRST, Some(FIRST as u32)));
    assert!(at < 5.3, "offers went out at {at} s");
    assert_eq!(world.viewers[first].peers(), [peer(second)]);
    assert_eq!(world.viewers[second].peers(), [peer(first)]);
    let introduced: Vec<_> = world.viewers[second].introduced.values().collect();
    assert_eq!(introduced, [&(peer(first), true)]);
    let status = world.viewers[second].signaling.status();
    assert!(status.reachable && status.answered && status.failure.is_none());
    assert_eq!(status.swarm_size, 2);
}

#[test]
fn the_first_announce_waits_for_offers_for_three_tenths_of_a_second() {
    let mut signaling = Signaling::new(&[URL.to_owned()], HASH, peer(0), 5, 1);
    signaling.start(seconds(0.0));
    signaling.opened(seconds(1.0), TrackerId(0));
    let announced = |signaling: &mut Signaling| {
        std::iter::from_fn(|| signaling.poll_output())
            .any(|output| matches!(output, SignalingOutput::Send(..)))
    };
    assert!(!announced(&mut signaling));
    assert_eq!(signaling.poll_timeout(), Some(seconds(1.3)));
    signaling.handle_timeout(seconds(1.3));
    assert!(announced(&mut signaling));
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

/// A tracker's word that the swarm has so many members.
fn members(number: u32) -> ServerMessage {
    ServerMessage::Announce(AnnounceResponse {
        info_hash: HASH,
        incomplete: Some(number),
        ..AnnounceResponse::default()
    })
}

#[test]
fn offers_are_gathered_a_few_at_a_time() {
    let mut world = World::new(1);
    world.join_as(Signaling::new(&[URL.to_owned()], HASH, peer(0), 10, 1));
    world.run(10.0);
    assert_eq!(world.viewers[0].created, FIRST);
    world.text(0, &members(1000));
    world.run(10.0);
    assert_eq!(world.viewers[0].created, 10);
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
    assert_eq!(world.viewers[0].created, FIRST, "offers that nobody got are reused");
    // One is gathered anew at last.
    world.run(100.0);
    assert_eq!(world.viewers[0].created, FIRST + 1);
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
    assert_eq!(world.viewers[second].created, 5, "one was used, and not replaced");
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
        assert!(peers.len() >= 5, "{peers:?}");
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
            viewer.introduced.get(connection).expect("known").1
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
    let offer = world.viewers[1].announces()[0].1.offers.clone();
    let used = world.viewers[1].open.keys().next().unwrap().0 as usize;
    let unused = offer[1 - used].offer_id;
    let introduced = world.viewers[1].introduced.len();
    let answer = |info_hash, peer_id, offer_id| {
        let sdp = "9 0 1 0".to_owned();
        ServerMessage::Answer(AnswerRelay { info_hash, peer_id, offer_id, sdp })
    };
    world.text(1, &answer(HASH, peer(8), OfferId([0; 20])));
    world.text(1, &answer(HASH, peer(8), offer[used].offer_id));
    world.text(1, &answer(InfoHash([9; 20]), peer(8), unused));
    world.text(1, &answer(HASH, peer(1), unused));
    assert_eq!(world.viewers[1].introduced.len(), introduced);
    // The offer itself was good.
    let mut good = answer(HASH, peer(8), unused);
    if let ServerMessage::Answer(answer) = &mut good {
        answer.sdp = format!("0 99 1 {}", 1 - used);
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
fn neither_offers_nor_answers_of_a_shunned_peer_are_taken() {
    let mut world = World::new(1);
    world.join();
    world.run(1.0);
    world.join();
    // Each has offers, and may get the other's.
    world.viewers[0].signaling.shun(peer(1));
    world.run(60.0);
    assert!(world.viewers[0].introduced.is_empty(), "an offer was answered");
    let ours = world.viewers[0].signaling.connections.values().find_map(|stage| match stage {
        Stage::Ready { offer, .. } => Some(offer.offer_id),
        _ => None,
    });
    let answer = ServerMessage::Answer(AnswerRelay {
        info_hash: HASH,
        peer_id: peer(1),
        offer_id: ours.expect("an offer is ready"),
        sdp: "1 9 0 0".to_owned(),
    });
    world.text(0, &answer);
    assert!(world.viewers[0].introduced.is_empty(), "an answer was accepted");
    assert!(world.viewers[0].announces().len() <= 4, "it looks for a peer that it does not want");
    for number in 2..1000_u32 {
        let mut id = [0; 20];
        id[..4].copy_from_slice(&number.to_be_bytes());
        world.viewers[0].signaling.shun(PeerId(id));
    }
    assert!(world.viewers[0].signaling.shunned.len() <= MAX_SHUNNED);
}

/// Three viewers: the first and the last know only the one between them, and the tracker is gone.
fn chain() -> (World, ConnectionId) {
    let mut world = World::new(1);
    for number in 0..3_usize {
        world.trackers[0].members = number.checked_sub(1).into_iter().collect();
        world.join();
        world.run(1.0);
    }
    world.trackers[0].down = true;
    world.run(30.0);
    assert_eq!(world.viewers[0].peers(), [peer(1)]);
    assert_eq!(world.viewers[2].peers(), [peer(1)]);
    let neighbour = *world.viewers[2].open.keys().next().unwrap();
    (world, neighbour)
}

#[test]
fn a_neighbour_introduces_two_without_any_tracker() {
    let (mut world, neighbour) = chain();
    assert!(world.viewers[2].signaling.may_introduce(world.now));
    world.tell(2, |signaling, now| signaling.introduce(now, neighbour, peer(0)));
    assert!(world.viewers[2].signaling.knows(&peer(0)));
    world.run(2.0);
    assert_eq!(world.viewers[0].met(), [peer(1), peer(2)]);
    assert_eq!(world.viewers[2].met(), [peer(0), peer(1)]);
}

#[test]
fn two_that_are_introduced_to_each_other_at_once_keep_one_connection() {
    let (mut world, neighbour) = chain();
    let other = *world.viewers[0].open.keys().next().unwrap();
    world.tell(2, |signaling, now| signaling.introduce(now, neighbour, peer(0)));
    world.tell(0, |signaling, now| signaling.introduce(now, other, peer(2)));
    world.run(5.0);
    assert_eq!(world.viewers[0].met(), [peer(1), peer(2)]);
    assert_eq!(world.viewers[2].met(), [peer(0), peer(1)]);
}

#[test]
fn an_answer_counts_only_from_whom_the_offer_was_passed_on_to() {
    let (mut world, neighbour) = chain();
    let introduced = world.viewers[2].introduced.len();
    world.viewers[0].open = OrderedMap::new();
    world.tell(2, |signaling, now| signaling.introduce(now, neighbour, peer(0)));
    let passed_on = |stage: &Stage| match stage {
        Stage::Announced { offer, to: Some(_), .. } => Some(offer.offer_id),
        _ => None,
    };
    let offer = world.viewers[2].signaling.connections.values().find_map(passed_on).unwrap();
    let answer = |from, offer: OfferId| Introduction {
        answer: true,
        from,
        to: peer(2),
        offer: offer.0,
        sdp: "0 9 2 0".into(),
    };
    for it in [answer(peer(5), offer), answer(peer(0), OfferId([9; 20]))] {
        world.tell(2, |signaling, now| signaling.introduction(now, neighbour, &it));
    }
    let mut unreadable = answer(peer(0), offer);
    unreadable.sdp = vec![0xff].into();
    world.tell(2, |signaling, now| signaling.introduction(now, neighbour, &unreadable));
    // Nor by a tracker.
    let (info_hash, sdp) = (HASH, "0 9 2 0".to_owned());
    let by_tracker = AnswerRelay { info_hash, peer_id: peer(0), offer_id: offer, sdp };
    world.text(2, &ServerMessage::Answer(by_tracker));
    assert_eq!(world.viewers[2].introduced.len(), introduced);
}

#[test]
fn one_neighbour_brings_a_few_strangers_at_a_time() {
    let (mut world, neighbour) = chain();
    let before = world.viewers[2].held.len();
    for number in 10..90 {
        let it = Introduction {
            answer: false,
            from: peer(number),
            to: peer(2),
            offer: [number as u8; 20],
            sdp: format!("{number} 0").into(),
        };
        world.tell(2, |signaling, now| signaling.introduction(now, neighbour, &it));
    }
    let held = world.viewers[2].held.len();
    assert!((1..=MAX_INTRODUCING).contains(&(held - before)), "{before}, then {held}");
    world.tell(2, |signaling, now| {
        signaling.set_wanted(0);
        signaling.stop(now);
    });
    let it = Introduction {
        answer: false,
        from: peer(99),
        to: peer(2),
        offer: [1; 20],
        sdp: "99 0".into(),
    };
    let introduced = world.viewers[2].introduced.len();
    world.tell(2, |signaling, now| signaling.introduction(now, neighbour, &it));
    assert_eq!(world.viewers[2].introduced.len(), introduced, "whoever left is not introduced");
}

#[test]
fn an_incoming_offer_that_comes_to_nothing_is_closed_after_15_seconds() {
    let mut world = World::new(1);
    world.join();
    world.run(1.0);
    let message = stranger(5, 1);
    world.text(0, &message);
    let connection = *world.viewers[0].introduced.keys().next().expect("it is answered");
    world.run(14.0);
    assert!(world.viewers[0].held.contains(&connection));
    world.run(2.0);
    assert!(!world.viewers[0].held.contains(&connection));
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
    assert!((1.5..=3.0).contains(&(times[1] - times[0])), "{times:?}");
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
    world.blocked = [peer(0), peer(1)].into_iter().collect();
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
        let was = matches!(
            world.viewers[0].signaling.links.get(&TrackerId(0)).expect("known").socket,
            Socket::Closed { .. }
        );
        world.run(0.1);
        let link = &world.viewers[0].signaling.links.get(&TrackerId(0)).expect("known");
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
    world.text(0, &ServerMessage::Failure(Failure { info_hash: None, reason, retry_in: None }));
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
        let message = stranger(number, number as u8 | 0x80);
        world.text(0, &message);
    }
    assert_eq!(world.viewers[0].introduced.len(), MAX_PENDING);
    world.run(20.0);
    assert!(world.viewers[0].held.len() <= 5);
}

#[test]
fn offers_that_come_to_nothing_at_once_cost_a_bounded_number_of_connections() {
    let mut world = World::new(1);
    world.join();
    world.run(5.0);
    let signaling = &mut world.viewers[0].signaling;
    let (mut made, mut now) = (0, 10.0);
    for number in 0..3000_u32 {
        now += 0.01;
        let mut id = [0; 20];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let offer_id = OfferId([b'x'; 20]);
        let relay =
            OfferRelay { info_hash: HASH, peer_id: PeerId(id), offer_id, sdp: "v=0".into() };
        let text = ServerMessage::Offer(relay).to_json();
        signaling.message(seconds(now), TrackerId(0), &text);
        while let Some(output) = signaling.poll_output() {
            if let SignalingOutput::CreateAnswer(connection, _) = output {
                made += 1;
                // The browser refuses the description.
                signaling.connection_closed(seconds(now), connection);
            }
        }
    }
    assert_eq!(made, 3 * MAX_RELAYED, "in half a minute");
}

#[test]
fn descriptions_that_would_make_the_browser_work_are_not_given_to_it() {
    let mut world = World::new(1);
    world.join();
    world.run(5.0);
    let signaling = &mut world.viewers[0].signaling;
    let ordinary = format!("v=0\r\nm=application 9\r\n{}", "a=candidate:1\r\n".repeat(64));
    let videos = "v=0\r\n".to_owned() + &"m=video 9\r\n".repeat(100);
    let crowded = ordinary.clone() + "a=candidate:1\r\n";
    let long = "v=0\r\n".to_owned() + &"x".repeat(MAX_SDP_BYTES);
    for (number, sdp) in [videos, crowded, long, ordinary].into_iter().enumerate() {
        let offer_id = OfferId([b'x'; 20]);
        let relay = OfferRelay { info_hash: HASH, peer_id: peer(7), offer_id, sdp };
        signaling.message(seconds(6.0), TrackerId(0), &ServerMessage::Offer(relay).to_json());
        let taken = std::iter::from_fn(|| signaling.poll_output())
            .any(|output| matches!(output, SignalingOutput::CreateAnswer(..)));
        assert_eq!(taken, number == 3, "description {number}");
    }
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
    assert_eq!(closed.count(), FIRST);
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

proptest! {
    #[test]
    fn whatever_comes_nothing_panics_or_piles_up(
        inputs in prop::collection::vec((0_u8..14, 0_u32..40, 0_u64..20_000), 1..300),
        seed: u64,
    ) {
        let urls = vec![URL.to_owned(); 2];
        let mut signaling = Signaling::new(&urls, HASH, peer(20), 5, seed);
        let mut now = seconds(1.0);
        let mut offer_ids = vec![OfferId::default()];
        for (kind, id, millis) in inputs {
            let (tracker, connection) = (TrackerId(id % 3), ConnectionId(id));
            let peer_id = peer(id as usize);
            let offer_id = offer_ids[id as usize % offer_ids.len()];
            let (info_hash, sdp) = (HASH, "sdp".to_owned());
            let text = match kind {
                10 => ServerMessage::Offer(OfferRelay { info_hash, peer_id, offer_id, sdp }),
                11 => ServerMessage::Answer(AnswerRelay { info_hash, peer_id, offer_id, sdp }),
                12 => ServerMessage::Failure(Failure { info_hash: None, reason: sdp, retry_in: None }),
                _ => ServerMessage::Announce(AnnounceResponse {
                    info_hash,
                    interval: Some(id),
                    incomplete: Some(id % 7),
                    ..AnnounceResponse::default()
                }),
            };
            match kind {
                0 if id == 0 => signaling.stop(now),
                0 | 1 => signaling.start(now),
                2 => signaling.opened(now, tracker),
                3 if id < 8 => signaling.closed(now, tracker),
                3 | 4 => signaling.offer_ready(now, connection, "sdp".to_owned()),
                5 => signaling.answer_ready(now, connection, "sdp".to_owned()),
                6 => signaling.connection_opened(now, connection),
                7 => signaling.connection_closed(now, connection),
                8 => signaling.set_wanted(id as usize / 2),
                9 => now += Duration::from_millis(millis),
                _ => signaling.message(now, tracker, &text.to_json()),
            }
            signaling.handle_timeout(now);
            prop_assert!(signaling.poll_timeout().is_none_or(|at| at > now));
            while let Some(output) = signaling.poll_output() {
                if let SignalingOutput::Send(_, text) = output
                    && let Ok(ClientMessage::Announce(announce)) = ClientMessage::from_json(&text)
                {
                    offer_ids.extend(announce.offers.iter().map(|offer| offer.offer_id));
                }
            }
            let census = signaling.census(now);
            prop_assert!(census.gathering <= MAX_GATHERING);
            prop_assert!(census.gathering + census.ready + census.announced <= 10);
            let known = census.connecting + census.open;
            prop_assert!(census.connecting <= MAX_PENDING && signaling.peers.len() == known);
            prop_assert!(signaling.links.values().all(|link| link.in_flight.len() <= 8));
        }
    }
}

#[test]
fn offers_that_come_tell_how_much_a_large_swarm_has_grown() {
    for (told, grown) in [(100, 100 * 4..100 * 5), (30, 30..31), (7, 10..11)] {
        let mut world = World::new(1);
        world.join();
        world.run(1.0);
        world.text(0, &members(told));
        assert_eq!(world.viewers[0].signaling.status().estimate, told);
        for number in 1..=5 {
            world.text(0, &stranger(number, number as u8));
        }
        // Five offers are three halves of an e: two may come anyway. Of few members they tell that there are more than few.
        let status = world.viewers[0].signaling.status();
        assert!(grown.contains(&status.estimate), "{} of {told}", status.estimate);
        assert_eq!(status.swarm_size, told);
        world.text(0, &members(2 * told));
        assert_eq!(world.viewers[0].signaling.status().estimate, 2 * told);
    }
}

#[test]
fn who_has_enough_of_a_large_swarm_makes_one_offer_an_announce_and_others_as_many_as_they_have() {
    for (peers, offers) in [(20, 1), (3, 5)] {
        let mut world = World::new(1);
        world.join();
        world.run(1.0);
        world.tell(0, |signaling, now| {
            signaling.set_wanted(20);
            signaling.handle_timeout(now);
        });
        for number in 1..=peers {
            world.text(0, &stranger(number, number as u8));
            let last = world.viewers[0].introduced.keys().last().copied();
            let connection = last.expect("the offer is answered");
            world.tell(0, |signaling, now| signaling.connection_opened(now, connection));
        }
        world.text(0, &members(1000));
        world.run(130.0);
        let announces = world.viewers[0].announces();
        let later =
            announces.iter().find(|(at, announce)| *at > 1.0 && !announce.offers.is_empty());
        assert_eq!(later.expect("an announce").1.offers.len(), offers, "{peers} peers");
    }
}
