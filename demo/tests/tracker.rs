//! The tracker over real WebSockets.

mod common;

use std::time::Duration;

use common::{Running, options, start};
use demo::Options;
use demo::tracker::limits::Limits;
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
    let from = |address: &'static str| [("x-forwarded-for", address)];
    let mut open = Vec::new();
    for address in ["spoofed, 192.0.2.1", "192.0.2.1"] {
        let mut request =
            format!("ws://{}/announce", server.address).into_client_request().unwrap();
        request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
        open.push(connect_async(request).await.expect("a socket").0);
    }
    let full = Some((503, Some("60".to_owned())));
    assert_eq!(refusal(&server, &from("192.0.2.9, 192.0.2.1")).await, full);
    assert_eq!(refusal(&server, &from("192.0.2.2")).await, None, "another address has room");
    drop(open.pop());
    for attempt in 0.. {
        // Its place is free once the server has seen it go.
        if refusal(&server, &from("192.0.2.1")).await.is_none() {
            break;
        }
        assert!(attempt < 100, "the place of a socket that closed stays taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
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
