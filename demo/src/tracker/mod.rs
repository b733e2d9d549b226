//! The WebTorrent tracker: [`swarms`] decides, [`limits`] bounds, [`token`] opens the door, [`outbox`] keeps what waits for slow
//! sockets, this file moves text between them and the sockets.
//!
//! Nothing of what viewers say is logged: sockets have numbers, and neither addresses nor descriptions of sessions are
//! written anywhere.

pub mod limits;
mod outbox;
pub mod swarms;
pub mod token;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use player_core::tracker::{Failure, ServerMessage};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::{State, clock};
use limits::{Census, Limits, Meter, Verdict};
use outbox::{Outbox, Pile, Waiting};
use swarms::{Size, SocketId, Swarms};
use token::Door;

/// Longest message that is read, in bytes: an announce has at most 20 offers that count.
const MESSAGE_BYTES: usize = 128 << 10;
/// Bytes that are read at once: each open socket keeps so many.
const READ_BUFFER: usize = 4 << 10;
/// Minutes after which somebody who finds the tracker full should try again.
const RETRY_MINUTES: u32 = 1;
/// Sockets beyond the limit that are opened to be told so: a page cannot see why a WebSocket was refused.
const DOORSTEP: usize = 64;
/// How long it may take to tell them.
const FAREWELL: Duration = Duration::from_secs(5);
/// RFC 6455 §7.4, registered as "Try Again Later".
const TRY_AGAIN_LATER: u16 = 1013;

/// Why nobody is let in while the tracker is switched off.
const CLOSED: &str = "the tracker is closed";

/// The tracker and its open sockets.
pub(crate) struct Tracker {
    limits: Limits,
    room: Mutex<Room>,
    /// All that waits for slow sockets.
    pile: Arc<Pile>,
    doorstep: Arc<Semaphore>,
}

struct Room {
    swarms: Swarms,
    /// Where each open socket's messages wait. Dropping it closes the socket.
    sockets: BTreeMap<SocketId, Outbox>,
    census: Census,
    next: u64,
    up: bool,
}

impl Tracker {
    /// An empty tracker.
    pub(crate) fn new(seed: u64, limits: Limits) -> Self {
        let door = Door::new(&limits.swarm_keys);
        let swarms = Swarms::new(seed).only(&limits.only_swarms).behind(door);
        let sockets = BTreeMap::new();
        let room = Room { swarms, sockets, census: Census::default(), next: 0, up: true };
        let doorstep = Arc::new(Semaphore::new(DOORSTEP));
        Self { limits, room: Mutex::new(room), pile: Arc::default(), doorstep }
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
            return Err(CLOSED);
        }
        if room.sockets.len() >= self.limits.sockets {
            return Err("the tracker is full: try again in a minute");
        }
        if !room.census.enter(address, self.limits.sockets_per_address) {
            return Err("too many connections from this address: try again in a minute");
        }
        room.next += 1;
        let socket = SocketId(room.next);
        let (outbox, outgoing) = outbox::new(self.pile.clone());
        room.sockets.insert(socket, outbox);
        Ok(Place { socket, address, outgoing })
    }

    /// Does what a message asks for; whether it was taken.
    fn message(&self, socket: SocketId, text: &str) -> bool {
        let now = clock::now().as_secs();
        let mut room = self.room();
        let mut taken = true;
        for (to, message) in room.swarms.handle(now, socket, text) {
            taken &= to != socket || !matches!(message, ServerMessage::Failure(_));
            if let Some(outbox) = room.sockets.get(&to)
                && !outbox.put(message.to_json())
            {
                tracing::debug!(socket = to.0, "a message was dropped: the socket is too slow");
            }
        }
        taken
    }

    fn close(&self, place: &mut Place) {
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
    outgoing: Waiting,
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
            let permit = tracker.doorstep.clone().try_acquire_owned();
            if let Some(permit) = permit.ok().filter(|_| reason != CLOSED) {
                return upgrade
                    .max_message_size(MESSAGE_BYTES)
                    .on_upgrade(|socket| send_away(socket, reason, permit));
            }
            let retry = [(header::RETRY_AFTER, (RETRY_MINUTES * 60).to_string())];
            return (StatusCode::SERVICE_UNAVAILABLE, retry, reason).into_response();
        }
    };
    upgrade
        .max_message_size(MESSAGE_BYTES)
        .max_frame_size(MESSAGE_BYTES)
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
        self.tracker.close(&mut self.place);
    }
}

/// Says why somebody is not let in, and when to come again.
async fn send_away(mut socket: WebSocket, reason: &str, permit: OwnedSemaphorePermit) {
    let failure =
        Failure { info_hash: None, reason: reason.to_owned(), retry_in: Some(RETRY_MINUTES) };
    let text = ServerMessage::Failure(failure).to_json();
    let close = CloseFrame { code: TRY_AGAIN_LATER, reason: reason.into() };
    let farewell = async {
        for message in [Message::Text(text.into()), Message::Close(Some(close))] {
            socket.send(message).await?;
        }
        // What it says meanwhile is read and dropped: a connection that ends with bytes unread takes what was sent along.
        while let Some(Ok(_)) = socket.recv().await {}
        Ok::<_, axum::Error>(())
    };
    let _ = timeout(FAREWELL, farewell).await;
    drop(permit);
}

async fn converse(tracker: &Tracker, place: &mut Place, mut socket: WebSocket) {
    let id = place.socket;
    tracing::debug!(socket = id.0, "a tracker socket opened");
    let patience = tracker.limits.patience;
    let mut pings = interval(patience.ping);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    let mut useful = heard;
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
                            if tracker.message(id, text) {
                                useful = heard;
                            }
                            continue;
                        }
                        Verdict::Refuse => {
                            let seconds = meter.wait().as_secs_f64().ceil();
                            let reason = format!("too many messages: try again in {seconds} s");
                            let failure = Failure { info_hash: None, reason, retry_in: None };
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
                if heard.elapsed() > patience.silence || useful.elapsed() > patience.idle {
                    break;
                }
                Message::Ping(axum::body::Bytes::new())
            }
        };
        let closing = matches!(send, Message::Close(_));
        let sent = timeout(patience.write, socket.send(send)).await;
        if closing || !matches!(sent, Ok(Ok(()))) {
            break;
        }
    }
    tracing::debug!(socket = id.0, "a tracker socket closed");
}
