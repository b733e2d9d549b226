use super::*;
use player_core::tracker::{Offer, OfferId};

const SWARM: InfoHash = InfoHash([7; 20]);

fn peer(number: u8) -> (SocketId, PeerId) {
    (SocketId(u64::from(number)), PeerId([number; 20]))
}

fn announce(number: u8, offers: u8) -> Announce {
    Announce {
        info_hash: SWARM,
        peer_id: peer(number).1,
        left: Some(1),
        numwant: Some(u32::from(offers)),
        offers: (0..offers)
            .map(|offer| Offer { offer_id: OfferId([offer; 20]), sdp: format!("sdp {offer}") })
            .collect(),
        ..Announce::default()
    }
}

fn say(swarms: &mut Swarms, number: u8, message: Announce) -> Vec<(SocketId, ServerMessage)> {
    swarms.handle(peer(number).0, &ClientMessage::Announce(message).to_json())
}

fn offers(out: &[(SocketId, ServerMessage)]) -> Vec<(u64, String)> {
    out.iter()
        .filter_map(|(to, message)| match message {
            ServerMessage::Offer(relay) => Some((to.0, relay.sdp.clone())),
            _ => None,
        })
        .collect()
}

fn failure(out: &[(SocketId, ServerMessage)]) -> &str {
    match out {
        [(_, ServerMessage::Failure(failure))] => &failure.reason,
        other => panic!("{other:?} is no failure"),
    }
}

#[test]
fn each_offer_goes_to_another_member_and_none_back() {
    let mut swarms = Swarms::new(1);
    for number in 1..=6 {
        say(&mut swarms, number, announce(number, 0));
    }
    let out = say(&mut swarms, 1, announce(1, 4));
    let ServerMessage::Announce(response) = &out[0].1 else {
        panic!("{:?} is no response", out[0])
    };
    assert_eq!((response.interval, response.incomplete), (Some(30), Some(6)));
    let relayed = offers(&out);
    let receivers: BTreeSet<u64> = relayed.iter().map(|offer| offer.0).collect();
    assert_eq!(relayed.len(), 4);
    assert_eq!(receivers.len(), 4);
    assert!(!receivers.contains(&1));
}

#[test]
fn no_more_offers_are_passed_on_than_wanted_there_are_members_or_the_limit() {
    let mut swarms = Swarms::new(1);
    for number in 1..=30 {
        say(&mut swarms, number, announce(number, 0));
    }
    let relayed =
        |swarms: &mut Swarms, number, message| offers(&say(swarms, number, message)).len();
    assert_eq!(relayed(&mut swarms, 1, Announce { numwant: Some(2), ..announce(1, 5) }), 2);
    assert_eq!(relayed(&mut swarms, 1, announce(1, 40)), MAX_OFFERS);
    let lonely = Announce { info_hash: InfoHash([8; 20]), ..announce(1, 5) };
    assert_eq!(relayed(&mut swarms, 1, lonely), 0);
}

#[test]
fn every_member_is_chosen_at_some_time() {
    let mut swarms = Swarms::new(3);
    for number in 1..=8 {
        say(&mut swarms, number, announce(number, 0));
    }
    let mut chosen = BTreeSet::new();
    for _ in 0..200 {
        chosen
            .extend(offers(&say(&mut swarms, 1, announce(1, 1))).into_iter().map(|offer| offer.0));
    }
    assert_eq!(chosen, (2..=8).collect());
}

#[test]
fn an_answer_goes_to_the_offers_maker() {
    let mut swarms = Swarms::new(1);
    say(&mut swarms, 1, announce(1, 0));
    say(&mut swarms, 2, announce(2, 0));
    let answer = |from: u8, to: u8| {
        ClientMessage::Answer(Answer {
            info_hash: SWARM,
            peer_id: peer(from).1,
            to_peer_id: peer(to).1,
            offer_id: OfferId([9; 20]),
            sdp: "answer".into(),
        })
        .to_json()
    };
    let out = swarms.handle(SocketId(2), &answer(2, 1));
    assert_eq!(
        out,
        [(
            SocketId(1),
            ServerMessage::Answer(AnswerRelay {
                info_hash: SWARM,
                peer_id: peer(2).1,
                offer_id: OfferId([9; 20]),
                sdp: "answer".into(),
            })
        )]
    );
    assert_eq!(swarms.handle(SocketId(2), &answer(2, 5)), [], "nobody there");
    let out = swarms.handle(SocketId(2), &answer(1, 2));
    assert!(failure(&out).contains("not announced"), "in another peer's name");
}

#[test]
fn members_go_when_they_stop_or_their_socket_closes() {
    let mut swarms = Swarms::new(1);
    for number in 1..=3 {
        say(&mut swarms, number, announce(number, 0));
    }
    let stop = |number| Announce { event: Some(AnnounceEvent::Stopped), ..announce(number, 0) };
    // Nobody can stop another.
    swarms.handle(SocketId(2), &ClientMessage::Announce(stop(1)).to_json());
    assert_eq!(swarms.size(), Size { swarms: 1, peers: 3 });
    say(&mut swarms, 1, stop(1));
    assert_eq!(swarms.size(), Size { swarms: 1, peers: 2 });
    swarms.close(SocketId(2));
    swarms.close(SocketId(3));
    assert_eq!(swarms.size(), Size::default());
}

#[test]
fn a_peer_that_comes_back_on_a_new_socket_survives_the_old_ones_end() {
    let mut swarms = Swarms::new(1);
    say(&mut swarms, 1, announce(1, 0));
    swarms.handle(SocketId(50), &ClientMessage::Announce(announce(1, 0)).to_json());
    swarms.close(SocketId(1));
    assert_eq!(swarms.size().peers, 1);
    let relayed = offers(&say(&mut swarms, 2, announce(2, 1)));
    assert_eq!(relayed[0].0, 50);
}

#[test]
fn complete_members_are_counted_apart() {
    let mut swarms = Swarms::new(1);
    say(&mut swarms, 1, announce(1, 0));
    say(&mut swarms, 2, Announce { left: Some(0), ..announce(2, 0) });
    let done = Announce { event: Some(AnnounceEvent::Completed), left: Some(0), ..announce(1, 0) };
    say(&mut swarms, 1, done.clone());
    say(&mut swarms, 1, done);
    let scrape = ClientMessage::Scrape(Scrape { info_hashes: vec![SWARM] }).to_json();
    let out = swarms.handle(SocketId(9), &scrape);
    let ServerMessage::Scrape(response) = &out[0].1 else { panic!("{out:?}") };
    let expected = ScrapeFile { complete: 2, incomplete: 0, downloaded: 1 };
    assert_eq!(response.files[&SWARM], expected);
}

#[test]
fn bad_messages_fail_with_a_reason() {
    let mut swarms = Swarms::new(1);
    for text in ["", "{}", "[]", "\"announce\"", "{\"action\":\"announce\"}", "{\"action\":7}"] {
        assert!(!failure(&swarms.handle(SocketId(1), text)).is_empty(), "{text}");
    }
    assert_eq!(swarms.size(), Size::default());
}

#[test]
fn one_socket_cannot_fill_the_tracker() {
    let mut swarms = Swarms::new(1);
    for number in 0..200_u8 {
        let message = Announce { info_hash: InfoHash([number; 20]), ..announce(1, 0) };
        let out = say(&mut swarms, 1, message);
        assert_eq!(
            matches!(out[0].1, ServerMessage::Failure(_)),
            usize::from(number) >= MAX_MEMBERSHIPS
        );
    }
    assert_eq!(swarms.size().peers, MAX_MEMBERSHIPS);
}
