use proptest::prelude::*;

use super::*;

fn id() -> impl Strategy<Value = [u8; 20]> {
    any::<[u8; 20]>()
}

fn client_message() -> impl Strategy<Value = ClientMessage> {
    let event = prop_oneof![
        Just(None),
        Just(Some(AnnounceEvent::Started)),
        Just(Some(AnnounceEvent::Stopped)),
        Just(Some(AnnounceEvent::Completed)),
    ];
    let offers = prop::collection::vec((id(), any::<String>()), 0..4);
    let secrets = prop::option::of(".{0,60}");
    let secrets = (secrets.clone(), secrets);
    let counts = any::<(u64, u64, Option<u64>, Option<u32>)>();
    let announce = (id(), id(), counts, event, secrets, offers);
    prop_oneof![
        announce.prop_map(
            |(
                info_hash,
                peer_id,
                (uploaded, downloaded, left, numwant),
                event,
                (key, token),
                o,
            )| {
                ClientMessage::Announce(Announce {
                    info_hash: InfoHash(info_hash),
                    peer_id: PeerId(peer_id),
                    uploaded,
                    downloaded,
                    left,
                    event,
                    numwant,
                    key,
                    token,
                    offers: o
                        .into_iter()
                        .map(|(id, sdp)| Offer { offer_id: OfferId(id), sdp })
                        .collect(),
                })
            }
        ),
        (id(), id(), id(), id(), any::<String>()).prop_map(|(a, b, c, d, sdp)| {
            ClientMessage::Answer(Answer {
                info_hash: InfoHash(a),
                peer_id: PeerId(b),
                to_peer_id: PeerId(c),
                offer_id: OfferId(d),
                sdp,
            })
        }),
        prop::collection::vec(id().prop_map(InfoHash), 0..4)
            .prop_map(|info_hashes| ClientMessage::Scrape(Scrape { info_hashes })),
    ]
}

fn server_message() -> impl Strategy<Value = ServerMessage> {
    let counts = any::<(Option<u32>, Option<u32>, Option<u32>, Option<u32>, Option<String>)>();
    let file = any::<(u32, u32, u32)>().prop_map(|(complete, incomplete, downloaded)| ScrapeFile {
        complete,
        incomplete,
        downloaded,
    });
    prop_oneof![
        (id(), counts).prop_map(
            |(hash, (interval, min_interval, complete, incomplete, warning))| {
                ServerMessage::Announce(AnnounceResponse {
                    info_hash: InfoHash(hash),
                    interval,
                    min_interval,
                    complete,
                    incomplete,
                    warning,
                })
            }
        ),
        (id(), id(), id(), any::<String>()).prop_map(|(a, b, c, sdp)| {
            let (info_hash, peer_id, offer_id) = (InfoHash(a), PeerId(b), OfferId(c));
            ServerMessage::Offer(OfferRelay { info_hash, peer_id, offer_id, sdp })
        }),
        (id(), id(), id(), any::<String>()).prop_map(|(a, b, c, sdp)| {
            let (info_hash, peer_id, offer_id) = (InfoHash(a), PeerId(b), OfferId(c));
            ServerMessage::Answer(AnswerRelay { info_hash, peer_id, offer_id, sdp })
        }),
        prop::collection::btree_map(id().prop_map(InfoHash), file, 0..4)
            .prop_map(|files| files.into_iter().collect())
            .prop_map(|files| ServerMessage::Scrape(ScrapeResponse { files })),
        (prop::option::of(id()), any::<(String, Option<u32>)>()).prop_map(
            |(hash, (reason, retry_in))| {
                ServerMessage::Failure(Failure { info_hash: hash.map(InfoHash), reason, retry_in })
            }
        ),
        any::<String>().prop_map(|message| ServerMessage::Warning(Warning { message })),
    ]
}

proptest! {
    #[test]
    fn client_messages_survive_the_way(message in client_message()) {
        prop_assert_eq!(ClientMessage::from_json(&message.to_json()), Ok(message));
    }

    #[test]
    fn server_messages_survive_the_way(message in server_message()) {
        prop_assert_eq!(ServerMessage::from_json(&message.to_json()), Ok(message));
    }

    #[test]
    fn mutilated_text_never_panics(
        message in server_message(),
        at in any::<prop::sample::Index>(),
        junk in any::<char>(),
    ) {
        let mut chars: Vec<char> = message.to_json().chars().collect();
        let at = at.index(chars.len());
        chars[at] = junk;
        let text: String = chars.iter().collect();
        let _ = ServerMessage::from_json(&text);
        let _ = ClientMessage::from_json(&text);
        let cut: String = chars[..at].iter().collect();
        prop_assert!(ServerMessage::from_json(&cut).is_err());
    }
}

const HASH: &str = "P78ZUY66tgmtYL6JoePW";

fn info_hash() -> InfoHash {
    InfoHash(HASH.as_bytes().try_into().unwrap())
}

#[test]
fn reads_the_response_of_bittorrent_tracker() {
    let text = format!(
        r#"{{"complete":1,"incomplete":2,"action":"announce","interval":120,"info_hash":"{HASH}"}}"#
    );
    let Ok(ServerMessage::Announce(response)) = ServerMessage::from_json(&text) else {
        panic!("not an announce response")
    };
    assert_eq!(response.info_hash, info_hash());
    assert_eq!(response.interval, Some(120));
    assert_eq!(response.swarm_size(), Some(3));
}

#[test]
fn reads_the_announce_of_bittorrent_tracker() {
    let text = format!(
        r#"{{"numwant":1,"uploaded":0,"downloaded":0,"left":null,"event":"started","action":"announce",
        "info_hash":"{HASH}","peer_id":"-PM0203-LocalPeer001","unknown":[{{"a":1}}],
        "offers":[{{"offer":{{"type":"offer","sdp":"v=0\r\n"}},
        "offer_id":"^i+\u00a4\u00b3\u00f5\u00a6\u00cb[\u008e\u00c5\u000e`\u00c1g\u00a7P\u00ea\u00e5\u0003"}}]}}"#
    );
    let Ok(ClientMessage::Announce(announce)) = ClientMessage::from_json(&text) else {
        panic!("not an announce")
    };
    assert_eq!(announce.left, None);
    assert_eq!(announce.event, Some(AnnounceEvent::Started));
    assert_eq!(announce.offers[0].sdp, "v=0\r\n");
    assert_eq!(announce.offers[0].offer_id.0[3], 0xa4);
}

#[test]
fn writes_an_answer_as_an_announce() {
    let answer = ClientMessage::Answer(Answer {
        info_hash: info_hash(),
        peer_id: PeerId([b'a'; 20]),
        to_peer_id: PeerId([b'b'; 20]),
        offer_id: OfferId([b'c'; 20]),
        sdp: "v=0\r\n".to_owned(),
    });
    assert_eq!(
        answer.to_json(),
        r#"{"action":"announce","info_hash":"P78ZUY66tgmtYL6JoePW","peer_id":"aaaaaaaaaaaaaaaaaaaa","to_peer_id":"bbbbbbbbbbbbbbbbbbbb","offer_id":"cccccccccccccccccccc","answer":{"type":"answer","sdp":"v=0\r\n"}}"#
    );
}

#[test]
fn reads_a_scrape_of_one_swarm() {
    let text = format!(r#"{{"action":"scrape","info_hash":"{HASH}"}}"#);
    let Ok(ClientMessage::Scrape(scrape)) = ClientMessage::from_json(&text) else {
        panic!("not a scrape")
    };
    assert_eq!(scrape.info_hashes, [info_hash()]);
}

#[test]
fn a_failure_is_read_with_or_without_its_swarm() {
    for text in [
        r#"{"failure reason":"no"}"#.to_owned(),
        format!(r#"{{"action":"announce","info_hash":"{HASH}","failure reason":"no"}}"#),
    ] {
        let Ok(ServerMessage::Failure(failure)) = ServerMessage::from_json(&text) else {
            panic!("not a failure")
        };
        assert_eq!(failure.reason, "no");
    }
}

#[test]
fn what_is_too_long_is_refused() {
    let long = " ".repeat(MAX_MESSAGE_BYTES + 1);
    assert_eq!(
        ServerMessage::from_json(&long),
        Err(TrackerMessageError::TooLarge { len: MAX_MESSAGE_BYTES + 1 })
    );
    let relay = |len| {
        ServerMessage::Offer(OfferRelay {
            info_hash: InfoHash([1; 20]),
            peer_id: PeerId([2; 20]),
            offer_id: OfferId([3; 20]),
            sdp: "x".repeat(len),
        })
    };
    assert!(ServerMessage::from_json(&relay(MAX_SDP_BYTES).to_json()).is_ok());
    assert_eq!(
        ServerMessage::from_json(&relay(MAX_SDP_BYTES + 1).to_json()),
        Err(TrackerMessageError::TooMuch("offer"))
    );
    let offer = Offer { offer_id: OfferId([3; 20]), sdp: String::new() };
    let announce = |offers| {
        ClientMessage::Announce(Announce {
            offers: vec![offer.clone(); offers],
            ..Announce::default()
        })
    };
    assert!(ClientMessage::from_json(&announce(MAX_OFFERS).to_json()).is_ok());
    assert_eq!(
        ClientMessage::from_json(&announce(MAX_OFFERS + 1).to_json()),
        Err(TrackerMessageError::TooMuch("offers"))
    );
}

#[test]
fn deep_nesting_costs_only_the_message() {
    let deep = format!(r#"{{"action":"announce","x":{}"#, "[".repeat(100_000));
    assert!(ServerMessage::from_json(&deep).is_err());
    assert!(ClientMessage::from_json(&deep).is_err());
}
