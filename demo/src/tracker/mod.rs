//! The WebTorrent tracker: [`swarms`] decides, [`limits`] bounds, this file moves text between them and the sockets.

pub mod limits;
pub mod swarms;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use player_core::tracker::{Failure, MAX_MESSAGE_BYTES, ServerMessage};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::State;
use limits::{Census, Limits, Meter, Verdict};
use swarms::{Size, SocketId, Swarms};

/// Messages that wait for a slow socket; more are dropped.
const QUEUE: usize = 256;
/// Bytes that are read at once: each open socket keeps so many.
const READ_BUFFER: usize = 4 << 10;
/// Seconds after which somebody who finds the tracker full should try again.
const RETRY: &str = "60";
/// How often a ping asks whether somebody is there.
const PING: Duration = Duration::from_secs(20);
/// Silence after which nobody is there.
const SILENCE: Duration = Duration::from_secs(50);
/// How long one message may take to be written.
const WRITE: Duration = Duration::from_secs(10);

/// The tracker and its open sockets.
pub(crate) struct Tracker {
    limits: Limits,
    room: Mutex<Room>,
}

struct Room {
    swarms: Swarms,
    /// Where each open socket's messages wait. Dropping it closes the socket.
    sockets: BTreeMap<SocketId, mpsc::Sender<String>>,
    census: Census,
    next: u64,
    up: bool,
}

impl Tracker {
    /// An empty tracker.
    pub(crate) fn new(seed: u64, limits: Limits) -> Self {
        let swarms = Swarms::new(seed).only(&limits.only_swarms);
        let sockets = BTreeMap::new();
        let room = Room { swarms, sockets, census: Census::default(), next: 0, up: true };
        Self { limits, room: Mutex::new(room) }
    }

    /// Takes sockets, or closes all and refuses new ones.
    pub(crate) fn set_up(&self, up: bool) {
        self.room().up = up;
        if !up {
            self.close_all();
        }
    }

    /// Closes all sockets.
    pub(crate) fn close_all(&self) {
        self.room().sockets.clear();
    }

    /// How large the swarms are, and how many sockets are open.
    pub(crate) fn size(&self) -> (Size, usize) {
        let room = self.room();
        (room.swarms.size(), room.sockets.len())
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a socket; why not, if not.
    fn open(&self, address: IpAddr) -> Result<Place, &'static str> {
        let mut room = self.room();
        if !room.up {
            return Err("the tracker is closed");
        }
        if room.sockets.len() >= self.limits.sockets {
            return Err("the tracker is full");
        }
        if !room.census.enter(address, self.limits.sockets_per_address) {
            return Err("too many connections from this address");
        }
        room.next += 1;
        let socket = SocketId(room.next);
        let (sender, receiver) = mpsc::channel(QUEUE);
        room.sockets.insert(socket, sender);
        Ok(Place { socket, address, outgoing: receiver })
    }

    fn message(&self, socket: SocketId, text: &str) {
        let mut room = self.room();
        for (to, message) in room.swarms.handle(socket, text) {
            if let Some(sender) = room.sockets.get(&to)
                && sender.try_send(message.to_json()).is_err()
            {
                tracing::debug!(socket = to.0, "a message was dropped: the socket is too slow");
            }
        }
    }

    fn close(&self, place: &Place) {
        let mut room = self.room();
        room.sockets.remove(&place.socket);
        room.census.leave(place.address);
        room.swarms.close(place.socket);
    }

    /// Whom a request counts for: behind a proxy, the last address that it adds.
    fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
        forwarded
            .filter(|_| self.limits.behind_proxy)
            .and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok())
            .unwrap_or_else(|| peer.ip())
    }
}

/// An open socket's place.
struct Place {
    socket: SocketId,
    address: IpAddr,
    outgoing: mpsc::Receiver<String>,
}

/// `/announce`: one viewer's connection.
pub(crate) async fn announce(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        let words = "this is a WebTorrent tracker: connect with a WebSocket";
        return (StatusCode::UPGRADE_REQUIRED, words).into_response();
    };
    let tracker = state.tracker.clone();
    let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
    if !tracker.limits.takes_origin(origin) {
        let words = "this tracker is not for pages of that origin";
        return (StatusCode::FORBIDDEN, words).into_response();
    }
    let mut place = match tracker.open(tracker.client(peer, &headers)) {
        Ok(place) => Open { tracker: tracker.clone(), place },
        Err(reason) => {
            let retry = [(header::RETRY_AFTER, RETRY)];
            return (StatusCode::SERVICE_UNAVAILABLE, retry, reason).into_response();
        }
    };
    upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .read_buffer_size(READ_BUFFER)
        .on_upgrade(async move |socket| converse(&tracker, &mut place.place, socket).await)
}

/// Gives a place back, whether the socket was ever upgraded or not.
struct Open {
    tracker: Arc<Tracker>,
    place: Place,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.tracker.close(&self.place);
    }
}

async fn converse(tracker: &Tracker, place: &mut Place, mut socket: WebSocket) {
    let id = place.socket;
    tracing::debug!(socket = id.0, "a tracker socket opened");
    let mut pings = interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    let mut meter = Meter::new(heard);
    loop {
        let send = tokio::select! {
            incoming = socket.recv() => match incoming {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let text = match &message {
                        Message::Text(text) => text.as_str(),
                        // Some clients send JSON in binary frames.
                        Message::Binary(bytes) => std::str::from_utf8(bytes).unwrap_or(""),
                        Message::Close(_) => break,
                        Message::Ping(_) | Message::Pong(_) => continue,
                    };
                    match meter.message(heard) {
                        Verdict::Take => {
                            tracker.message(id, text);
                            continue;
                        }
                        Verdict::Refuse => {
                            let seconds = meter.wait().as_secs_f64().ceil();
                            let reason = format!("too many messages: try again in {seconds} s");
                            let failure = Failure { info_hash: None, reason };
                            Message::Text(ServerMessage::Failure(failure).to_json().into())
                        }
                        Verdict::Close => Message::Close(None),
                    }
                }
                Some(Err(_)) | None => break,
            },
            text = place.outgoing.recv() => match text {
                Some(text) => Message::Text(text.into()),
                None => Message::Close(None),
            },
            _ = pings.tick() => {
                if heard.elapsed() > SILENCE {
                    break;
                }
                Message::Ping(axum::body::Bytes::new())
            }
        };
        let closing = matches!(send, Message::Close(_));
        let sent = timeout(WRITE, socket.send(send)).await;
        if closing || !matches!(sent, Ok(Ok(()))) {
            break;
        }
    }
    tracing::debug!(socket = id.0, "a tracker socket closed");
}
