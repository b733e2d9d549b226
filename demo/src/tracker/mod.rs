//! The WebTorrent tracker: [`swarms`] decides, this file moves text between it and the sockets.

pub mod swarms;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State as Shared;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use player_core::tracker::MAX_MESSAGE_BYTES;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::State;
use swarms::{Size, SocketId, Swarms};

/// Messages that wait for a slow socket; more are dropped.
const QUEUE: usize = 256;
/// Sockets at once.
const MAX_SOCKETS: usize = 20_000;
/// How often a ping asks whether somebody is there.
const PING: Duration = Duration::from_secs(20);
/// Silence after which nobody is there.
const SILENCE: Duration = Duration::from_secs(50);
/// How long one message may take to be written.
const WRITE: Duration = Duration::from_secs(10);

/// The tracker and its open sockets.
pub(crate) struct Tracker {
    room: Mutex<Room>,
}

struct Room {
    swarms: Swarms,
    /// Where each open socket's messages wait. Dropping it closes the socket.
    sockets: BTreeMap<SocketId, mpsc::Sender<String>>,
    next: u64,
    up: bool,
}

impl Tracker {
    /// An empty tracker.
    pub(crate) fn new(seed: u64) -> Self {
        let swarms = Swarms::new(seed);
        Self { room: Mutex::new(Room { swarms, sockets: BTreeMap::new(), next: 0, up: true }) }
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

    fn open(&self) -> Option<(SocketId, mpsc::Receiver<String>)> {
        let mut room = self.room();
        if !room.up || room.sockets.len() >= MAX_SOCKETS {
            return None;
        }
        room.next += 1;
        let socket = SocketId(room.next);
        let (sender, receiver) = mpsc::channel(QUEUE);
        room.sockets.insert(socket, sender);
        Some((socket, receiver))
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

    fn close(&self, socket: SocketId) {
        let mut room = self.room();
        room.sockets.remove(&socket);
        room.swarms.close(socket);
    }
}

/// `/announce`: one viewer's connection.
pub(crate) async fn announce(
    Shared(state): Shared<Arc<State>>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        let words = "this is a WebTorrent tracker: connect with a WebSocket";
        return (StatusCode::UPGRADE_REQUIRED, words).into_response();
    };
    let tracker = state.tracker.clone();
    if !tracker.room().up {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| converse(tracker, socket))
}

async fn converse(tracker: Arc<Tracker>, mut socket: WebSocket) {
    let Some((id, mut outgoing)) = tracker.open() else { return };
    tracing::debug!(socket = id.0, "a tracker socket opened");
    let mut pings = interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    loop {
        let send = tokio::select! {
            incoming = socket.recv() => match incoming {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    match message {
                        Message::Text(text) => tracker.message(id, text.as_str()),
                        // Some clients send JSON in binary frames.
                        Message::Binary(bytes) => {
                            tracker.message(id, std::str::from_utf8(&bytes).unwrap_or(""));
                        }
                        Message::Close(_) => break,
                        Message::Ping(_) | Message::Pong(_) => {}
                    }
                    continue;
                }
                Some(Err(_)) | None => break,
            },
            text = outgoing.recv() => match text {
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
    tracker.close(id);
    tracing::debug!(socket = id.0, "a tracker socket closed");
}
