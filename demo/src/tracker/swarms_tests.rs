use super::*;
use player_core::tracker::{Offer, OfferId};

use super::super::token;
use crate::hashes::Signer;

const SWARM: InfoHash = InfoHash([7; 20]);
/// Seconds since 1970.
const NOW: u64 = 1_800_000_000;

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
    swarms.handle(NOW, peer(number).0, &ClientMessage::Announce(message).to_json())
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
    let out = swarms.handle(NOW, SocketId(2), &answer(2, 1));
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
    assert_eq!(swarms.handle(NOW, SocketId(2), &answer(2, 5)), [], "nobody there");
    let out = swarms.handle(NOW, SocketId(2), &answer(1, 2));
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
    swarms.handle(NOW, SocketId(2), &ClientMessage::Announce(stop(1)).to_json());
    assert_eq!(swarms.size(), Size { swarms: 1, peers: 3 });
    say(&mut swarms, 1, stop(1));
    assert_eq!(swarms.size(), Size { swarms: 1, peers: 2 });
    swarms.close(SocketId(2));
    swarms.close(SocketId(3));
    assert_eq!(swarms.size(), Size::default());
}

fn with_key(number: u8, key: &str) -> Announce {
    Announce { key: Some(key.to_owned()), ..announce(number, 0) }
}

#[test]
fn a_peer_that_comes_back_on_a_new_socket_survives_the_old_ones_end() {
    let mut swarms = Swarms::new(1);
    say(&mut swarms, 1, with_key(1, "secret"));
    let again = ClientMessage::Announce(with_key(1, "secret")).to_json();
    swarms.handle(NOW, SocketId(50), &again);
    swarms.close(SocketId(1));
    assert_eq!(swarms.size().peers, 1);
    let relayed = offers(&say(&mut swarms, 2, announce(2, 1)));
    assert_eq!(relayed[0].0, 50);
}

#[test]
fn nobody_takes_the_place_of_another_whose_peer_id_he_knows() {
    let mut swarms = Swarms::new(1);
    say(&mut swarms, 1, with_key(1, "secret"));
    say(&mut swarms, 2, announce(2, 0));
    for thief in [with_key(1, "guessed"), with_key(1, ""), announce(1, 3), announce(2, 3)] {
        let text = ClientMessage::Announce(thief).to_json();
        let out = swarms.handle(NOW, SocketId(66), &text);
        assert!(failure(&out).starts_with("that peer id is taken"), "{out:?}");
    }
    // What is meant for the two still goes to them.
    for (socket, from) in offers(&say(&mut swarms, 3, announce(3, 5))) {
        assert!([1, 2].contains(&socket), "{socket} got {from}");
    }
    let answer = ClientMessage::Answer(Answer {
        info_hash: SWARM,
        peer_id: peer(3).1,
        to_peer_id: peer(1).1,
        offer_id: OfferId([9; 20]),
        sdp: "answer".into(),
    });
    assert_eq!(swarms.handle(NOW, SocketId(3), &answer.to_json())[0].0, SocketId(1));
    // Once the owner has gone, the id is nobody's.
    swarms.close(SocketId(1));
    let text = ClientMessage::Announce(with_key(1, "mine now")).to_json();
    let out = swarms.handle(NOW, SocketId(66), &text);
    assert!(matches!(out[0].1, ServerMessage::Announce(_)), "{out:?}");
}

#[test]
fn one_connection_is_in_a_swarm_once_however_many_peers_it_claims_to_be() {
    let mut swarms = Swarms::new(1);
    say(&mut swarms, 1, announce(1, 0));
    for number in 2..=200 {
        let text = ClientMessage::Announce(announce(number, 0)).to_json();
        assert!(failure(&swarms.handle(NOW, SocketId(1), &text)).contains("another peer id"));
    }
    assert_eq!(swarms.size(), Size { swarms: 1, peers: 1 });
}

#[test]
fn a_full_swarm_says_when_to_come_again_and_its_members_stay() {
    let mut swarms = Swarms::new(1);
    let join = |swarms: &mut Swarms, number: usize| {
        let mut id = [0; 20];
        id[..8].copy_from_slice(&(number as u64).to_le_bytes());
        let message = Announce { peer_id: PeerId(id), ..announce(1, 0) };
        let text = ClientMessage::Announce(message).to_json();
        swarms.handle(NOW, SocketId(number as u64), &text)
    };
    for number in 0..MAX_MEMBERS {
        assert!(matches!(join(&mut swarms, number)[0].1, ServerMessage::Announce(_)));
    }
    let [(_, ServerMessage::Failure(failure))] = &join(&mut swarms, MAX_MEMBERS)[..] else {
        panic!("it is taken");
    };
    assert_eq!(failure.reason, "the swarm is full: try again in 5 minutes");
    assert_eq!(failure.retry_in, Some(5));
    assert!(matches!(join(&mut swarms, 7)[0].1, ServerMessage::Announce(_)));
    let other = Announce { info_hash: InfoHash([8; 20]), ..announce(3, 0) };
    let text = ClientMessage::Announce(other).to_json();
    let out = swarms.handle(NOW, SocketId(u64::MAX), &text);
    assert!(matches!(out[0].1, ServerMessage::Announce(_)), "another swarm has room");
}

/// A tracker with a door, its key, and a swarm.
fn private() -> (Swarms, Signer, InfoHash) {
    let signer = Signer::from_seed([5; 32]);
    let door = Door::new(&[token::public_key(&signer.public_key()).unwrap()]);
    let swarm = token::swarm_of(&signer, "the film");
    (Swarms::new(1).behind(door), signer, swarm)
}

/// An announce, with a token that is good for so many seconds.
fn shown(signer: &Signer, info_hash: InfoHash, number: u8, seconds: u64, offers: u8) -> Announce {
    let token = token::issue(signer, info_hash, NOW + seconds);
    Announce { info_hash, token: Some(token), ..announce(number, offers) }
}

#[test]
fn without_a_token_nobody_reaches_anybody_or_learns_of_anybody() {
    let (mut swarms, signer, info_hash) = private();
    for number in 1..=2 {
        say(&mut swarms, number, shown(&signer, info_hash, number, 60, 0));
    }
    let relayed = offers(&say(&mut swarms, 2, shown(&signer, info_hash, 2, 60, 3)));
    assert_eq!(relayed.len(), 1, "members meet");
    let foreign = Signer::from_seed([6; 32]);
    for stranger in [
        Announce { info_hash, ..announce(9, 5) },
        shown(&foreign, info_hash, 9, 60, 5),
        Announce { info_hash, ..shown(&signer, InfoHash([1; 20]), 9, 60, 5) },
        Announce { info_hash, event: Some(AnnounceEvent::Stopped), ..announce(9, 5) },
    ] {
        let out = say(&mut swarms, 9, stranger);
        assert!(!failure(&out).is_empty(), "no offers, no sizes");
    }
    let answer = ClientMessage::Answer(Answer {
        info_hash,
        peer_id: peer(9).1,
        to_peer_id: peer(1).1,
        offer_id: OfferId([9; 20]),
        sdp: "answer".into(),
    });
    assert!(failure(&swarms.handle(NOW, SocketId(9), &answer.to_json())).contains("not announced"));
    let scrape = ClientMessage::Scrape(Scrape { info_hashes: vec![info_hash] }).to_json();
    let sizes = |swarms: &mut Swarms, socket| match &swarms.handle(NOW, socket, &scrape)[..] {
        [(_, ServerMessage::Scrape(response))] => response.files.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(sizes(&mut swarms, SocketId(9)), 0);
    assert_eq!(sizes(&mut swarms, SocketId(1)), 1);
    assert_eq!(swarms.size().peers, 2);
    assert!(!swarms.memberships.contains_key(&SocketId(9)), "nothing is kept of strangers");
}

#[test]
fn who_does_not_renew_a_token_is_put_out_when_it_expires() {
    let (mut swarms, signer, info_hash) = private();
    for number in 1..=3 {
        say(&mut swarms, number, shown(&signer, info_hash, number, 60, 0));
    }
    // The second shows a new one in time.
    say(&mut swarms, 2, shown(&signer, info_hash, 2, 600, 0));
    let newcomer = ClientMessage::Announce(shown(&signer, info_hash, 4, 600, 5)).to_json();
    let out = swarms.handle(NOW + 60, SocketId(4), &newcomer);
    let told: Vec<u64> = out
        .iter()
        .filter_map(|(to, message)| match message {
            ServerMessage::Failure(failure) => {
                assert_eq!(failure.reason, "the swarm token has expired");
                Some(to.0)
            }
            _ => None,
        })
        .collect();
    assert_eq!(told, [1, 3]);
    assert_eq!(offers(&out).iter().map(|offer| offer.0).collect::<Vec<_>>(), [2]);
    assert_eq!(swarms.size().peers, 2);
    let old = ClientMessage::Announce(shown(&signer, info_hash, 1, 60, 5)).to_json();
    assert!(failure(&swarms.handle(NOW + 60, SocketId(1), &old)).contains("expired"));
    for socket in 1..=4 {
        swarms.close(SocketId(socket));
    }
    assert!(swarms.expiries.is_empty() && swarms.swarms.is_empty(), "nothing is kept");
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
    let out = swarms.handle(NOW, SocketId(9), &scrape);
    let ServerMessage::Scrape(response) = &out[0].1 else { panic!("{out:?}") };
    let expected = ScrapeFile { complete: 2, incomplete: 0, downloaded: 1 };
    assert_eq!(response.files[&SWARM], expected);
}

#[test]
fn bad_messages_fail_with_a_reason() {
    let mut swarms = Swarms::new(1);
    for text in ["", "{}", "[]", "\"announce\"", "{\"action\":\"announce\"}", "{\"action\":7}"] {
        assert!(!failure(&swarms.handle(NOW, SocketId(1), text)).is_empty(), "{text}");
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

/// What the tracker remembers agrees with itself, and with which sockets are open.
fn balanced(swarms: &Swarms, open: &[SocketId]) {
    let mut members = 0;
    for (info_hash, swarm) in &swarms.swarms {
        assert!(!swarm.members.is_empty() && swarm.members.len() == swarm.order.len());
        let complete = swarm.members.values().filter(|member| member.complete).count();
        assert_eq!(swarm.complete as usize, complete);
        for (peer_id, member) in &swarm.members {
            members += 1;
            assert_eq!(swarm.order[member.place], *peer_id);
            assert!(open.contains(&member.socket), "a member of a socket that has closed");
            assert_eq!(swarms.memberships[&member.socket].get(info_hash), Some(peer_id));
            if let Some(pass) = member.pass.as_deref() {
                assert!(swarms.expiries.contains(&(pass.expires, *info_hash, *peer_id)));
            }
        }
    }
    let theirs: usize = swarms.memberships.values().map(BTreeMap::len).sum();
    assert_eq!((theirs, swarms.size().peers), (members, members));
    assert_eq!(swarms.expiries.len(), if swarms.door.is_some() { members } else { 0 });
}

#[test]
fn whatever_is_said_in_whatever_order_the_books_balance_and_nothing_is_left() {
    let mut most = Size::default();
    for seed in 0..60 {
        let mut dice = fastrand::Rng::with_seed(seed);
        let (mut swarms, signer, info_hash) = private();
        if seed % 2 == 0 {
            swarms = Swarms::new(seed);
        }
        let hashes = [info_hash, InfoHash([8; 20]), InfoHash([9; 20])];
        let mut open: Vec<SocketId> = (0..8).map(SocketId).collect();
        let mut next = 8;
        let mut now = NOW;
        for _ in 0..300 {
            now += dice.u64(..20);
            let at = dice.usize(..open.len());
            let socket = open[at];
            let info_hash = hashes[dice.usize(..3)];
            let peer_id = PeerId([dice.u8(1..10); 20]);
            let message = match dice.u8(..16) {
                0 => {
                    swarms.close(socket);
                    open[at] = SocketId(next);
                    next += 1;
                    balanced(&swarms, &open);
                    continue;
                }
                1..4 => ClientMessage::Answer(Answer {
                    info_hash,
                    peer_id,
                    to_peer_id: PeerId([dice.u8(1..10); 20]),
                    offer_id: OfferId([1; 20]),
                    sdp: "sdp".to_owned(),
                }),
                4 => ClientMessage::Scrape(Scrape { info_hashes: hashes.to_vec() }),
                _ => {
                    let seconds = now - NOW + dice.u64(..90);
                    ClientMessage::Announce(Announce {
                        info_hash,
                        peer_id,
                        left: [None, Some(0), Some(1)][dice.usize(..3)],
                        event: [
                            None,
                            Some(AnnounceEvent::Started),
                            Some(AnnounceEvent::Completed),
                            Some(AnnounceEvent::Stopped),
                        ][dice.usize(..4)],
                        key: [None, Some("a".to_owned()), Some("b".to_owned())][dice.usize(..3)]
                            .clone(),
                        numwant: dice.bool().then(|| dice.u32(..)),
                        ..shown(&signer, info_hash, 1, seconds, dice.u8(..30))
                    })
                }
            };
            let mut text = message.to_json().into_bytes();
            if dice.u8(..8) == 0 {
                let place = dice.usize(..text.len());
                text[place] = dice.u8(..);
                text.truncate(dice.usize(place..=text.len()));
            }
            let out = swarms.handle(now, socket, &String::from_utf8_lossy(&text));
            for (to, message) in &out {
                assert!(open.contains(to), "a message to a socket that has closed");
                assert!(*to != socket || !matches!(message, ServerMessage::Offer(_)));
            }
            assert!(offers(&out).len() <= MAX_OFFERS);
            balanced(&swarms, &open);
            let size = swarms.size();
            most = if size.peers > most.peers { size } else { most };
        }
        open.iter().for_each(|socket| swarms.close(*socket));
        balanced(&swarms, &[]);
        assert!(swarms.memberships.is_empty() && swarms.swarms.is_empty());
    }
    assert!(most.peers > 8, "at most {most:?}: hardly anybody was let in");
}
