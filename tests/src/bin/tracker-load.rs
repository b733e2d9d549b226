//! Many WebSocket clients of one tracker: how long it takes to answer their announces. Prints JSON.
//!
//! `cargo xtask bench tracker` runs it against the demo's tracker and npm's.

#![allow(clippy::disallowed_methods, reason = "only the core has to do without a clock")]

use std::io::{Write as _, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use futures_util::{SinkExt as _, StreamExt as _};
use player_core::tracker::{Announce, AnnounceEvent, ClientMessage, Offer, OfferId, ServerMessage};
use player_core::wire::{InfoHash, PeerId};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Semaphore};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Connections that are opened at once.
const OPENING: usize = 64;
/// An answer that takes longer counts as lost.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Parser)]
struct Arguments {
    /// The tracker: ws://127.0.0.1:8080/announce.
    url: String,
    #[arg(long, default_value_t = 10_000)]
    clients: u32,
    /// Members of each swarm.
    #[arg(long, default_value_t = 1000)]
    swarm: u32,
    /// Offers in each announce.
    #[arg(long, default_value_t = 5)]
    offers: u8,
    /// Announces a second, all clients together.
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// Seconds to measure, once all have joined.
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
}

#[derive(Default)]
struct Tally {
    /// Seconds from an announce to its answer.
    times: Mutex<Vec<f64>>,
    relayed: AtomicU64,
    lost: AtomicU64,
    failed: AtomicU64,
}

struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    number: u32,
}

impl Client {
    fn announce(&self, arguments: &Arguments, event: Option<AnnounceEvent>) -> String {
        let mut info_hash = [0xa5; 20];
        info_hash[..4].copy_from_slice(&(self.number / arguments.swarm.max(1)).to_le_bytes());
        let mut peer_id = *b"-PL0100-000000000000";
        peer_id[8..16].copy_from_slice(format!("{:08}", self.number).as_bytes());
        let offers = (0..arguments.offers).map(|number| Offer {
            offer_id: OfferId([number; 20]),
            // About what a data channel's offer has.
            sdp: "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n".to_owned() + &"a=x\r\n".repeat(90),
        });
        ClientMessage::Announce(Announce {
            info_hash: InfoHash(info_hash),
            peer_id: PeerId(peer_id),
            left: Some(1),
            numwant: Some(arguments.offers.into()),
            offers: offers.collect(),
            event,
            ..Announce::default()
        })
        .to_json()
    }

    /// Announces; the seconds until the answer came.
    async fn ask(&mut self, text: String, tally: &Tally) -> Option<f64> {
        let begun = Instant::now();
        self.socket.send(Message::text(text)).await.ok()?;
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await.ok()??;
            let Ok(Message::Text(text)) = next else { continue };
            match ServerMessage::from_json(text.as_str()) {
                Ok(ServerMessage::Announce(_)) => return Some(begun.elapsed().as_secs_f64()),
                Ok(ServerMessage::Offer(_)) => {
                    tally.relayed.fetch_add(1, Ordering::Relaxed);
                }
                Ok(ServerMessage::Failure(_)) => {
                    tally.failed.fetch_add(1, Ordering::Relaxed);
                    return None;
                }
                _ => {}
            }
        }
    }

    /// Hears what comes between two announces.
    async fn listen(&mut self, time: Duration, tally: &Tally) {
        let until = tokio::time::Instant::now() + time;
        while let Ok(Some(next)) = tokio::time::timeout_at(until, self.socket.next()).await {
            match next {
                Ok(Message::Text(_)) => tally.relayed.fetch_add(1, Ordering::Relaxed),
                Ok(_) => continue,
                Err(_) => return,
            };
        }
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let arguments = Arc::new(Arguments::parse());
    let tally = Arc::new(Tally::default());
    let opening = Arc::new(Semaphore::new(OPENING));
    let begun = Instant::now();
    let joins: Vec<_> = (0..arguments.clients)
        .map(|number| {
            let (arguments, tally, opening) = (arguments.clone(), tally.clone(), opening.clone());
            tokio::spawn(async move {
                let _turn = opening.acquire_owned().await.ok()?;
                let socket = connect_async(&arguments.url).await.ok()?.0;
                let mut client = Client { socket, number };
                let hello = client.announce(&arguments, Some(AnnounceEvent::Started));
                client.ask(hello, &tally).await?;
                Some(client)
            })
        })
        .collect();
    let mut clients = Vec::new();
    for join in joins {
        clients.extend(join.await.ok().flatten());
    }
    let joined = clients.len();
    let join_seconds = begun.elapsed().as_secs_f64();
    tally.relayed.store(0, Ordering::Relaxed);
    let interval = joined as f64 / arguments.rate;
    let end = Instant::now() + Duration::from_secs_f64(arguments.seconds);
    let tasks: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(place, mut client)| {
            let (arguments, tally) = (arguments.clone(), tally.clone());
            tokio::spawn(async move {
                let mut wait = interval * place as f64 / joined as f64;
                loop {
                    let left = end.saturating_duration_since(Instant::now());
                    client.listen(Duration::from_secs_f64(wait).min(left), &tally).await;
                    if Instant::now() >= end {
                        return;
                    }
                    let text = client.announce(&arguments, None);
                    match client.ask(text, &tally).await {
                        Some(seconds) => tally.times.lock().await.push(seconds),
                        None => {
                            tally.lost.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    wait = interval;
                }
            })
        })
        .collect();
    for task in tasks {
        let _ = task.await;
    }
    let mut times = tally.times.lock().await;
    times.sort_by(f64::total_cmp);
    let quantile = |share: f64| {
        let at = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
        times.get(at).map(|seconds| (seconds * 1e5).round() / 100.0)
    };
    let report = json!({
        "joined": joined,
        "joinSeconds": join_seconds,
        "announces": times.len(),
        "p50Ms": quantile(0.5),
        "p95Ms": quantile(0.95),
        "p99Ms": quantile(0.99),
        "relayedOffers": tally.relayed.load(Ordering::Relaxed),
        "lost": tally.lost.load(Ordering::Relaxed),
        "refused": tally.failed.load(Ordering::Relaxed),
    });
    writeln!(stdout(), "{report}")
}
