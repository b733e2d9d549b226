//! The tracker over real WebSockets.

mod common;

use std::time::Duration;

use common::{Running, options, start};
use demo::Options;
use demo::tracker::limits::{Limits, Patience};
use futures_util::{SinkExt, StreamExt};
use player_core::tracker::{
    Announce, AnnounceEvent, Answer, ClientMessage, Offer, OfferId, ServerMessage,
};
use player_core::wire::{InfoHash, PeerId};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const SWARM: InfoHash = InfoHash([0xf7; 20]);

struct Viewer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    id: PeerId,
}

impl Viewer {
    async fn join(server: &Running, number: u8) -> Self {
        let url = format!("ws://{}/announce", server.address);
        let socket = connect_async(url).await.expect("a socket").0;
        let mut viewer = Self { socket, id: PeerId([number; 20]) };
        viewer.say(&viewer.announce(0)).await;
        assert!(matches!(viewer.hear().await, Some(ServerMessage::Announce(_))));
        viewer
    }

    fn announce(&self, offers: u8) -> ClientMessage {
        let offer = |number: u8| Offer {
            offer_id: OfferId([number; 20]),
            sdp: format!("offer {number} of {}", self.id.0[0]),
        };
        ClientMessage::Announce(Announce {
            info_hash: SWARM,
            peer_id: self.id,
            left: Some(1),
            event: (offers == 0).then_some(AnnounceEvent::Started),
            numwant: Some(u32::from(offers)),
            offers: (0..offers).map(offer).collect(),
            ..Announce::default()
        })
    }

    async fn say(&mut self, message: &ClientMessage) {
        self.socket.send(Message::text(message.to_json())).await.expect("an open socket");
    }

    /// The next message; `None` when the socket has closed.
    async fn hear(&mut self) -> Option<ServerMessage> {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(10), self.socket.next());
            match next.await.expect("a message in time") {
                Some(Ok(Message::Text(text))) => {
                    return Some(ServerMessage::from_json(text.as_str()).expect("a message"));
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }
}

#[tokio::test]
async fn offers_and_answers_are_relayed() {
    let server = start(options("relay")).await;
    let mut first = Viewer::join(&server, 1).await;
    let mut second = Viewer::join(&server, 2).await;
    second.say(&second.announce(3)).await;
    let Some(ServerMessage::Announce(response)) = second.hear().await else {
        panic!("no response");
    };
    assert_eq!((response.interval, response.incomplete), (Some(30), Some(2)));

    let Some(ServerMessage::Offer(offer)) = first.hear().await else { panic!("no offer") };
    assert_eq!((offer.peer_id, offer.info_hash), (second.id, SWARM));
    assert_eq!(offer.sdp, "offer 0 of 2");
    let answer = ClientMessage::Answer(Answer {
        info_hash: SWARM,
        peer_id: first.id,
        to_peer_id: offer.peer_id,
        offer_id: offer.offer_id,
        sdp: "the answer".into(),
    });
    first.say(&answer).await;
    let Some(ServerMessage::Answer(answer)) = second.hear().await else { panic!("no answer") };
    assert_eq!((answer.peer_id, answer.sdp.as_str()), (first.id, "the answer"));
    assert_eq!(answer.offer_id, OfferId([0; 20]));
    let stats = server.fetch("/api/stats").await.json();
    assert_eq!(stats["tracker"], serde_json::json!({"swarms": 1, "peers": 2, "sockets": 2}));
}

#[tokio::test]
async fn a_viewer_who_closes_is_gone() {
    let server = start(options("gone")).await;
    let mut stays = Viewer::join(&server, 1).await;
    let mut goes = Viewer::join(&server, 2).await;
    goes.socket.close(None).await.unwrap();
    while goes.hear().await.is_some() {}
    for _ in 0..100 {
        stays.say(&stays.announce(1)).await;
        let Some(ServerMessage::Announce(response)) = stays.hear().await else { panic!("none") };
        if response.incomplete == Some(1) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the closed viewer is still counted");
}

#[tokio::test]
async fn bad_messages_hear_why_and_huge_ones_end_the_connection() {
    let server = start(options("bad")).await;
    let mut viewer = Viewer::join(&server, 1).await;
    viewer.socket.send(Message::text("{\"action\":\"dance\"}")).await.unwrap();
    let Some(ServerMessage::Failure(failure)) = viewer.hear().await else { panic!("no failure") };
    assert!(failure.reason.contains("action"), "{}", failure.reason);
    viewer.socket.send(Message::binary(vec![0xff; 10])).await.unwrap();
    assert!(matches!(viewer.hear().await, Some(ServerMessage::Failure(_))));
    let _ = viewer.socket.send(Message::text("x".repeat(300 << 10))).await;
    assert_eq!(viewer.hear().await, None);
}

#[tokio::test]
async fn the_tracker_can_be_switched_off_and_on() {
    let server = start(options("switch")).await;
    let mut viewer = Viewer::join(&server, 1).await;
    server.post("/api/tracker", "{\"up\":false}").await;
    assert_eq!(viewer.hear().await, None);
    let url = format!("ws://{}/announce", server.address);
    assert!(connect_async(&url).await.is_err());
    server.post("/api/tracker", "{\"up\":true}").await;
    Viewer::join(&server, 1).await;
    assert_eq!(server.fetch("/announce").await.status, 426);
}

#[tokio::test]
async fn stopping_ends_open_sockets_in_time() {
    let mut server = start(options("stop")).await;
    let mut viewer = Viewer::join(&server, 1).await;
    server.stop();
    assert_eq!(viewer.hear().await, None);
    let ended = tokio::time::timeout(Duration::from_secs(5), &mut server.task).await;
    ended.expect("an end in time").expect("no panic").expect("no error");
}

/// The HTTP status that a WebSocket is refused with, and when to come again.
async fn refusal(
    server: &Running,
    headers: &[(&'static str, &str)],
) -> Option<(u16, Option<String>)> {
    let mut request = format!("ws://{}/announce", server.address).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match connect_async(request).await {
        Ok(_) => None,
        Err(tungstenite::Error::Http(response)) => {
            let retry = response.headers().get("retry-after");
            Some((response.status().as_u16(), retry.map(|it| it.to_str().unwrap().to_owned())))
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_flood_hears_when_to_try_again_and_is_then_cut_off() {
    let server = start(options("flood")).await;
    let mut honest = Viewer::join(&server, 1).await;
    let mut flood = Viewer::join(&server, 2).await;
    let text = flood.announce(0).to_json();
    for _ in 0..100 {
        flood.socket.send(Message::text(text.clone())).await.expect("an open socket");
    }
    let mut refused = 0;
    for _ in 0..100 {
        if let Some(ServerMessage::Failure(failure)) = flood.hear().await {
            assert!(failure.reason.starts_with("too many messages: try again in "), "{failure:?}");
            refused += 1;
        }
    }
    assert!((20..=41).contains(&refused), "{refused}");
    for _ in 0..300 {
        // It may have been cut off by now.
        let _ = flood.socket.send(Message::text(text.clone())).await;
    }
    while flood.hear().await.is_some() {}
    honest.say(&honest.announce(1)).await;
    assert!(matches!(honest.hear().await, Some(ServerMessage::Announce(_))));
}

#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    let limits =
        Limits { sockets: 5, sockets_per_address: 2, behind_proxy: true, ..Limits::default() };
    let server = start(Options { tracker: limits, ..options("addresses") }).await;
    let mut open = Vec::new();
    for address in ["spoofed, 192.0.2.1", "192.0.2.1"] {
        let mut request =
            format!("ws://{}/announce", server.address).into_client_request().unwrap();
        request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
        open.push(connect_async(request).await.expect("a socket").0);
    }
    // A page learns nothing of why a WebSocket is refused: so it is opened, told, and closed.
    let reason = "too many connections from this address: try again in a minute";
    assert_eq!(sent_away(&server, "192.0.2.9, 192.0.2.1").await.as_deref(), Some(reason));
    assert_eq!(sent_away(&server, "192.0.2.2").await, None, "another address has room");
    drop(open.pop());
    for attempt in 0.. {
        // Its place is free once the server has seen it go.
        if sent_away(&server, "192.0.2.1").await.is_none() {
            break;
        }
        assert!(attempt < 100, "the place of a socket that closed stays taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Announces from an address; the reason with which it is sent away, if it is.
async fn sent_away(server: &Running, address: &str) -> Option<String> {
    let mut request = format!("ws://{}/announce", server.address).into_client_request().unwrap();
    request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
    let socket = connect_async(request).await.expect("a socket").0;
    let mut viewer = Viewer { socket, id: PeerId([9; 20]) };
    // It does not wait to be spoken to, and what it says must not cost it the reason.
    viewer.say(&viewer.announce(5)).await;
    let Some(ServerMessage::Failure(failure)) = viewer.hear().await else { return None };
    assert_eq!(failure.retry_in, Some(1), "minutes");
    match viewer.socket.next().await {
        Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1013),
        other => panic!("{other:?} and not a close"),
    }
    Some(failure.reason)
}

#[tokio::test]
async fn a_full_tracker_says_so_and_those_inside_notice_nothing() {
    let limits = Limits { sockets: 2, ..Limits::default() };
    let server = start(Options { tracker: limits, ..options("full") }).await;
    let mut first = Viewer::join(&server, 1).await;
    let mut second = Viewer::join(&server, 2).await;
    let reason = sent_away(&server, "192.0.2.1").await;
    assert_eq!(reason.as_deref(), Some("the tracker is full: try again in a minute"));
    // Who does not take leave is kept on the doorstep for a while, and there is only so much room there.
    let mut crowd = Vec::new();
    for _ in 0..1000 {
        let url = format!("ws://{}/announce", server.address);
        crowd.push(connect_async(url).await);
        if matches!(crowd.last(), Some(Err(_))) {
            break;
        }
    }
    let Some(Err(tungstenite::Error::Http(response))) = crowd.last() else {
        panic!("a thousand sockets stand at the door");
    };
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "60");
    second.say(&second.announce(3)).await;
    assert!(matches!(second.hear().await, Some(ServerMessage::Announce(_))));
    assert!(matches!(first.hear().await, Some(ServerMessage::Offer(_))));
}

#[tokio::test]
async fn nobody_hijacks_the_answers_of_another() {
    let server = start(options("thief")).await;
    let mut owner = Viewer::join(&server, 1).await;
    let mut other = Viewer::join(&server, 2).await;
    let url = format!("ws://{}/announce", server.address);
    let socket = connect_async(url).await.expect("a socket").0;
    // It has seen the owner's peer id in an offer, as all members do.
    let mut thief = Viewer { socket, id: owner.id };
    thief.say(&thief.announce(3)).await;
    let Some(ServerMessage::Failure(failure)) = thief.hear().await else { panic!("it is taken") };
    assert!(failure.reason.starts_with("that peer id is taken"), "{}", failure.reason);
    owner.say(&owner.announce(1)).await;
    assert!(matches!(owner.hear().await, Some(ServerMessage::Announce(_))));
    let Some(ServerMessage::Offer(offer)) = other.hear().await else { panic!("no offer") };
    let answer = ClientMessage::Answer(Answer {
        info_hash: SWARM,
        peer_id: other.id,
        to_peer_id: offer.peer_id,
        offer_id: offer.offer_id,
        sdp: "for the owner".into(),
    });
    other.say(&answer).await;
    let Some(ServerMessage::Answer(answer)) = owner.hear().await else { panic!("no answer") };
    assert_eq!(answer.sdp, "for the owner");
}

/// Waits until so many sockets are open.
async fn until_sockets(server: &Running, count: u64) {
    for attempt in 0.. {
        let stats = server.fetch("/api/stats").await.json();
        if stats["tracker"]["sockets"] == count {
            return;
        }
        assert!(attempt < 400, "{} and not {count} sockets", stats["tracker"]["sockets"]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn who_is_silent_and_who_says_nothing_of_use_is_dropped() {
    let millis = Duration::from_millis;
    let patience = Patience {
        ping: millis(50),
        silence: millis(1500),
        idle: millis(1500),
        ..Patience::default()
    };
    let limits = Limits { patience, ..Limits::default() };
    let server = start(Options { tracker: limits, ..options("idle") }).await;
    let mut member = Viewer::join(&server, 1).await;
    let url = format!("ws://{}/announce", server.address);
    // One never reads, so it never answers a ping; one answers them all, and asks for what nobody understands.
    let silent = connect_async(&url).await.expect("a socket").0;
    let mut useless = connect_async(&url).await.expect("a socket").0;
    let babble = tokio::spawn(async move {
        for _ in 0..1000 {
            if useless.send(Message::text("{\"action\":\"dance\"}")).await.is_err() {
                return true;
            }
            while let Ok(Some(heard)) = tokio::time::timeout(millis(100), useless.next()).await {
                if !matches!(heard, Ok(Message::Text(_) | Message::Ping(_))) {
                    return true;
                }
            }
        }
        false
    });
    let mut open = 3;
    for _ in 0..200 {
        member.say(&member.announce(1)).await;
        assert!(matches!(member.hear().await, Some(ServerMessage::Announce(_))), "it was dropped");
        open = server.fetch("/api/stats").await.json()["tracker"]["sockets"].as_u64().unwrap();
        if open == 1 {
            break;
        }
        // Five messages a second are taken.
        tokio::time::sleep(millis(200)).await;
    }
    assert_eq!(open, 1, "the silent one or the useless one is still there");
    assert!(babble.await.unwrap());
    drop(silent);
}

#[tokio::test]
async fn who_does_not_read_is_dropped_and_delays_nobody() {
    let patience = Patience { write: Duration::from_millis(500), ..Patience::default() };
    let limits = Limits { patience, ..Limits::default() };
    let server = start(Options { tracker: limits, ..options("slow") }).await;
    let connection = tokio::net::TcpSocket::new_v4().unwrap();
    connection.set_recv_buffer_size(4096).unwrap();
    let stream = connection.connect(server.address).await.unwrap();
    let url = format!("ws://{}/announce", server.address);
    let (mut slow, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    let announce = Announce { info_hash: SWARM, peer_id: PeerId([9; 20]), ..Announce::default() };
    slow.send(Message::text(ClientMessage::Announce(announce).to_json())).await.unwrap();
    until_sockets(&server, 1).await;
    // It reads nothing from here on, and gets more than the system keeps for it.
    let mut senders = Vec::new();
    for number in 1..=6 {
        let mut viewer = Viewer::join(&server, number).await;
        let mut offer = viewer.announce(3);
        if let ClientMessage::Announce(announce) = &mut offer {
            announce.offers.iter_mut().for_each(|offer| offer.sdp = "v=0 ".repeat(7500));
        }
        senders.push(tokio::spawn(async move {
            for _ in 0..50 {
                viewer.say(&offer).await;
                while !matches!(viewer.hear().await, Some(ServerMessage::Announce(_))) {}
            }
            viewer
        }));
    }
    let mut viewers = Vec::new();
    for sender in senders {
        viewers.push(sender.await.expect("an answer to each announce, in time"));
    }
    until_sockets(&server, viewers.len() as u64).await;
    drop(slow);
}

#[tokio::test]
async fn only_the_pages_and_swarms_that_are_listed_are_served() {
    let limits = Limits {
        origins: vec!["https://site.example".to_owned()],
        only_swarms: vec!["the film".to_owned()],
        ..Limits::default()
    };
    let server = start(Options { tracker: limits, ..options("listed") }).await;
    assert_eq!(refusal(&server, &[]).await, Some((403, None)));
    assert_eq!(refusal(&server, &[("origin", "https://other.example")]).await, Some((403, None)));
    let mut request = format!("ws://{}/announce", server.address).into_client_request().unwrap();
    request.headers_mut().insert("origin", "https://site.example".parse().unwrap());
    let socket = connect_async(request).await.expect("a socket").0;
    let mut viewer = Viewer { socket, id: PeerId([1; 20]) };
    viewer.say(&viewer.announce(0)).await;
    let Some(ServerMessage::Failure(failure)) = viewer.hear().await else { panic!("it is served") };
    assert_eq!(failure.reason, "this tracker does not serve that swarm");
    let info_hash = player_core::swarm::info_hash("the film");
    viewer
        .say(&ClientMessage::Announce(Announce {
            info_hash,
            peer_id: viewer.id,
            ..Announce::default()
        }))
        .await;
    assert!(matches!(viewer.hear().await, Some(ServerMessage::Announce(_))));
}
