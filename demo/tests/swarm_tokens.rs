//! Swarm tokens over real WebSockets, and what the tracker writes down of those who come.
#![allow(clippy::disallowed_methods, reason = "only the core has to do without a clock")]

mod common;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{Running, options, start};
use demo::Options;
use demo::hashes::Signer;
use demo::tracker::limits::Limits;
use demo::tracker::token;
use futures_util::{SinkExt as _, StreamExt as _};
use player_core::tracker::{Announce, Answer, ClientMessage, Offer, OfferId, ServerMessage};
use player_core::wire::{InfoHash, PeerId};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn site() -> Signer {
    Signer::from_seed([7; 32])
}

/// A token for a swarm that is good for so many seconds.
fn token_for(swarm: InfoHash, seconds: u64) -> String {
    token::issue_for(&site(), swarm, Duration::from_secs(seconds))
}

async fn private(name: &str) -> (Running, InfoHash) {
    let key = token::public_key(&site().public_key()).unwrap();
    let limits = Limits { swarm_keys: vec![key], ..Limits::default() };
    let server = start(Options { tracker: limits, ..options(name) }).await;
    (server, token::swarm_of(&site(), "the film"))
}

async fn connect(server: &Running) -> Socket {
    connect_async(format!("ws://{}/announce", server.address)).await.expect("a socket").0
}

fn announce(number: u8, swarm: InfoHash, token: Option<String>, offers: u8) -> ClientMessage {
    let offer =
        |id: u8| Offer { offer_id: OfferId([id; 20]), sdp: format!("offer {id} of {number}") };
    ClientMessage::Announce(Announce {
        info_hash: swarm,
        peer_id: PeerId([number; 20]),
        left: Some(1),
        numwant: Some(offers.into()),
        token,
        offers: (0..offers).map(offer).collect(),
        ..Announce::default()
    })
}

async fn say(socket: &mut Socket, message: &ClientMessage) {
    socket.send(Message::text(message.to_json())).await.expect("an open socket");
}

/// The next message, if there is one within so many milliseconds.
async fn hear(socket: &mut Socket, millis: u64) -> Option<ServerMessage> {
    let wait = Duration::from_millis(millis);
    loop {
        match tokio::time::timeout(wait, socket.next()).await.ok()?? {
            Ok(Message::Text(text)) => return ServerMessage::from_json(text.as_str()).ok(),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

async fn refused(socket: &mut Socket, message: &ClientMessage) -> String {
    say(socket, message).await;
    match hear(socket, 10_000).await {
        Some(ServerMessage::Failure(failure)) => failure.reason,
        other => panic!("{other:?} and no refusal"),
    }
}

#[tokio::test]
async fn who_has_a_token_meets_others_and_who_has_none_meets_nobody() {
    let (server, swarm) = private("door").await;
    let mut first = connect(&server).await;
    let mut second = connect(&server).await;
    let mut stranger = connect(&server).await;
    for (number, socket) in [(1, &mut first), (2, &mut second)] {
        say(socket, &announce(number, swarm, Some(token_for(swarm, 600)), 0)).await;
        assert!(matches!(hear(socket, 10_000).await, Some(ServerMessage::Announce(_))));
    }
    // He knows the swarm, the tracker, and how tokens look.
    let reason = refused(&mut stranger, &announce(3, swarm, None, 5)).await;
    assert_eq!(reason, "this tracker wants a swarm token");
    let own = token::issue(&Signer::from_seed([8; 32]), swarm, u64::MAX);
    let reason = refused(&mut stranger, &announce(3, swarm, Some(own), 5)).await;
    assert!(reason.contains("not signed"), "{reason}");
    let other = InfoHash([4; 20]);
    let reason = refused(&mut stranger, &announce(3, swarm, Some(token_for(other, 600)), 5)).await;
    assert!(reason.contains("another swarm"), "{reason}");

    say(&mut second, &announce(2, swarm, Some(token_for(swarm, 900)), 5)).await;
    let Some(ServerMessage::Announce(response)) = hear(&mut second, 10_000).await else {
        panic!("a new token is refused");
    };
    assert_eq!(response.swarm_size(), Some(2), "the stranger counts");
    let Some(ServerMessage::Offer(offer)) = hear(&mut first, 10_000).await else {
        panic!("no offer");
    };
    assert_eq!(offer.sdp, "offer 0 of 2");
    assert_eq!(hear(&mut first, 300).await, None, "an offer of the stranger's");
    assert_eq!(hear(&mut stranger, 300).await, None, "somebody's offer");
    let answer = Answer {
        info_hash: swarm,
        peer_id: PeerId([3; 20]),
        to_peer_id: PeerId([2; 20]),
        offer_id: offer.offer_id,
        sdp: "the stranger's".into(),
    };
    refused(&mut stranger, &ClientMessage::Answer(answer)).await;
    assert_eq!(hear(&mut second, 300).await, None, "an answer of the stranger's");
}

#[tokio::test]
async fn an_expired_token_ends_a_membership() {
    let (server, swarm) = private("expiry").await;
    let mut first = connect(&server).await;
    let mut second = connect(&server).await;
    say(&mut first, &announce(1, swarm, Some(token_for(swarm, 2)), 0)).await;
    assert!(matches!(hear(&mut first, 10_000).await, Some(ServerMessage::Announce(_))));
    tokio::time::sleep(Duration::from_millis(2100)).await;
    say(&mut second, &announce(2, swarm, Some(token_for(swarm, 600)), 3)).await;
    let Some(ServerMessage::Announce(response)) = hear(&mut second, 10_000).await else {
        panic!("it is refused");
    };
    assert_eq!(response.swarm_size(), Some(1));
    let Some(ServerMessage::Failure(failure)) = hear(&mut first, 10_000).await else {
        panic!("it is not told");
    };
    assert_eq!(failure.reason, "the swarm token has expired");
    assert_eq!(hear(&mut first, 300).await, None, "an offer for one who was put out");
}

/// A running `potluck` whose log is kept.
struct Program {
    child: std::process::Child,
    log: std::thread::JoinHandle<String>,
    port: u16,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_potluck"))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .env("RUST_LOG", "trace")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("potluck");
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut port = None;
        let mut out = BufReader::new(child.stdout.take().unwrap());
        for line in out.by_ref().lines() {
            let line = line.expect("text");
            port = line.split_once("http://localhost:").map(|it| it.1.to_owned());
            if port.is_some() {
                break;
            }
        }
        let port = port.and_then(|port| port.parse().ok()).expect("a port");
        // It has more to say, and would end if nobody listened.
        std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
        Self { child, log, port }
    }

    /// Ends it; everything that it logged.
    fn end(mut self) -> String {
        self.child.kill().expect("it runs");
        self.child.wait().expect("an end");
        self.log.join().expect("a log")
    }
}

/// A description of a session as browsers write it, with this address and these credentials in it.
fn description(address: &str, secret: &str) -> String {
    format!(
        "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n\
         c=IN IP4 {address}\r\na=candidate:1 1 udp 2113937151 {address} 50123 typ host\r\na=ice-ufrag:{secret}\r\n\
         a=ice-pwd:{secret}{secret}\r\na=fingerprint:sha-256 AB:CD:EF\r\n"
    )
}

#[tokio::test]
async fn neither_addresses_nor_descriptions_nor_peer_ids_are_logged_or_counted() {
    let site = site();
    let program = Program::start(&["--swarm-key", &site.public_key(), "--behind-proxy"]);
    let swarm = token::swarm_of(&site, "the film");
    let (offers_from, answers_from) = ("203.0.113.77", "198.51.100.99");
    let mut ports = Vec::new();
    let mut sockets = Vec::new();
    for address in [offers_from, answers_from] {
        let url = format!("ws://127.0.0.1:{}/announce", program.port);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
        request.headers_mut().insert("origin", "https://page-of-a-viewer.example".parse().unwrap());
        let socket = connect_async(request).await.expect("a socket").0;
        let MaybeTlsStream::Plain(stream) = socket.get_ref() else { panic!("no TLS here") };
        ports.push(stream.local_addr().unwrap().port());
        sockets.push(socket);
    }
    let [offering, answering] = &mut sockets[..] else { unreachable!() };
    let join = |id: &[u8; 20], offers: Vec<Offer>| {
        ClientMessage::Announce(Announce {
            info_hash: swarm,
            peer_id: PeerId(*id),
            numwant: Some(offers.len() as u32),
            key: Some("KeyOfAViewer".to_owned()),
            token: Some(token_for(swarm, 600)),
            offers,
            ..Announce::default()
        })
    };
    let (first, second) = (b"-PL0100-FirstViewer1", b"-PL0100-OtherViewer2");
    say(answering, &join(second, Vec::new())).await;
    assert!(matches!(hear(answering, 10_000).await, Some(ServerMessage::Announce(_))));
    let offer = Offer {
        offer_id: OfferId(*b"OfferOfOneWhoWatches"),
        sdp: description(offers_from, "UfragOfOffer"),
    };
    say(offering, &join(first, vec![offer])).await;
    assert!(matches!(hear(offering, 10_000).await, Some(ServerMessage::Announce(_))));
    let Some(ServerMessage::Offer(offer)) = hear(answering, 10_000).await else {
        panic!("no offer");
    };
    let answer = Answer {
        info_hash: swarm,
        peer_id: PeerId(*second),
        to_peer_id: offer.peer_id,
        offer_id: offer.offer_id,
        sdp: description(answers_from, "UfragOfAnswer"),
    };
    say(answering, &ClientMessage::Answer(answer.clone())).await;
    assert!(matches!(hear(offering, 10_000).await, Some(ServerMessage::Answer(_))));
    // What is refused is not quoted either.
    let foreign = Answer { peer_id: PeerId(*first), ..answer };
    for text in [
        ClientMessage::Answer(foreign).to_json(),
        format!("{{\"action\":\"{offers_from}\"}}"),
        format!("{{\"action\":\"announce\",\"info_hash\":\"{answers_from}\"}}"),
        format!("UfragOfOffer {offers_from}"),
    ] {
        answering.send(Message::text(text)).await.unwrap();
        assert!(matches!(hear(answering, 10_000).await, Some(ServerMessage::Failure(_))));
    }
    for _ in 0..80 {
        let text = description(offers_from, "UfragOfOffer");
        offering.send(Message::text(text)).await.unwrap();
    }
    let _ = answering.send(Message::text(offers_from.repeat(20_000))).await;
    while hear(offering, 1000).await.is_some() {}

    let url = format!("127.0.0.1:{}", program.port);
    let stats = tokio::task::spawn_blocking(move || http(&url, "/api/stats")).await.unwrap();
    drop(sockets);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let log = program.end();
    assert!(log.contains("a tracker socket opened"), "nothing was logged:\n{log}");
    let mut never: Vec<String> = [
        offers_from,
        answers_from,
        "UfragOf",
        "candidate",
        "a=ice",
        "FirstViewer",
        "OtherViewer",
        "OfferOfOne",
        "KeyOfAViewer",
        "page-of-a-viewer",
        "v=0",
    ]
    .map(str::to_owned)
    .to_vec();
    never.extend(ports.iter().map(|port| format!("127.0.0.1:{port}")));
    never.push(token_for(swarm, 0)[..40].to_owned());
    for word in never {
        for (what, text) in [("the log", &log), ("the metrics", &stats)] {
            let line = text.lines().find(|line| line.contains(&word));
            assert_eq!(line, None, "{word} is in {what}");
        }
    }
    assert!(stats.contains("\"swarms\":1"), "{stats}");
}

fn http(address: &str, path: &str) -> String {
    use std::io::Write as _;
    let mut stream = std::net::TcpStream::connect(address).expect("a connection");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a response");
    text
}

/// What a site does: a key, and with it a token, by the program itself.
#[test]
fn the_program_issues_tokens_that_its_tracker_takes() {
    let folder = std::env::temp_dir().join(format!("potluck-token-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let key = folder.join("site.key");
    let _ = std::fs::remove_file(&key);
    let potluck = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_potluck"));
        command.args(arguments).output().expect("potluck")
    };
    let path = key.to_str().unwrap();
    assert!(potluck(&["keygen", path]).status.success());
    let done = potluck(&["token", path, "film/42", "--for", "90s"]);
    let token = String::from_utf8(done.stdout).unwrap();
    let signer = Signer::read(&key).unwrap();
    let swarm = token::swarm_of(&signer, "film/42");
    let door = token::Door::new(&[token::public_key(&signer.public_key()).unwrap()]).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let pass = door.check(now, swarm, Some(token.trim_end()), None).expect("a right token");
    assert!((now + 60..=now + 90).contains(&pass.expires), "{}", pass.expires);
    for wrong in [&["token", path, "x", "--for", "soon"][..], &["token", "/nowhere", "x"]] {
        let done = potluck(wrong);
        assert!(!done.status.success() && done.stdout.is_empty());
        assert!(!done.stderr.is_empty(), "no reason");
    }
    let both = potluck(&["--swarm-key", &signer.public_key(), "--only-swarm", "x"]);
    assert!(!both.status.success());
    std::fs::remove_dir_all(folder).unwrap();
}
