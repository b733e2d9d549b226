//! The door: which connections come in, over TLS or not, how many, and how long each may dawdle.
//!
//! axum's own loop has no limits. This one ends a request whose head does not come, a reader who does not read, and a
//! visitor with too many connections; what is behind it never hears of them.

mod pace;
pub(crate) mod policy;
pub mod tls;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tower_service::Service as _;

use crate::tracker::limits::Census;
use pace::Paced;
use tls::Tls;

/// Bytes of a request's line and headers together.
const MAX_HEAD: usize = 16 << 10;
/// Header lines of a request.
const MAX_HEADERS: usize = 64;
/// How long open requests may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(2);
/// A pause when the system has no more file descriptors.
const EXHAUSTED: Duration = Duration::from_millis(200);
/// What somebody hears for whom there is no room.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// Who may come in, and what browsers are told about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Connections at once. Those that became sockets of the tracker count there, no longer here.
    pub connections: usize,
    /// Connections of one address (an IPv6 /64) at once.
    pub connections_per_address: usize,
    /// How long the head of a request may take to come, which is also how long a connection may idle, and a body of a
    /// request.
    pub head: Duration,
    /// How long a reader may lag behind [`Self::slowest`] before the connection ends.
    pub patience: Duration,
    /// The slowest reader that is waited for, in bytes a second.
    pub slowest: u64,
    /// All connections come from a proxy, which counts its own.
    pub behind_proxy: bool,
    /// Certificate chain and private key, in PEM: then all is spoken over TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Pages that may read what is served, as browsers name them (`https://site.example`); all when empty.
    pub cors_origins: Vec<String>,
    /// Pages that may show the iframe's page; all when empty.
    pub embed_on: Vec<String>,
    /// What the iframe's page plays: addresses that begin so; all when empty.
    pub embed_src: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_address: 512,
            head: Duration::from_secs(20),
            patience: Duration::from_secs(30),
            slowest: 1 << 10,
            behind_proxy: false,
            tls: None,
            cors_origins: Vec::new(),
            embed_on: Vec::new(),
            embed_src: Vec::new(),
        }
    }
}

/// How many are in.
#[derive(Default)]
struct House {
    census: Mutex<(usize, Census)>,
}

impl House {
    fn census(&self) -> MutexGuard<'_, (usize, Census)> {
        self.census.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets somebody in, if there is room.
    fn enter(self: &Arc<Self>, address: IpAddr, settings: &Settings) -> Option<Guest> {
        let mut census = self.census();
        let most =
            if settings.behind_proxy { usize::MAX } else { settings.connections_per_address };
        if census.0 >= settings.connections || !census.1.enter(address, most) {
            return None;
        }
        census.0 += 1;
        Some(Guest { house: self.clone(), address })
    }
}

/// A connection's place, given back when dropped.
struct Guest {
    house: Arc<House>,
    address: IpAddr,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut census = self.house.census();
        census.0 -= 1;
        census.1.leave(self.address);
    }
}

/// Serves `router` on `listener` until `stop` is ready, then lets open requests end for two seconds.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    settings: Arc<Settings>,
    tls: Option<Tls>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let house = Arc::new(House::default());
    let (stopping, stopped) = watch::channel(());
    // Each connection holds a sender: when the last is gone, the receiver hears it.
    let (open, mut all_gone) = mpsc::channel::<()>(1);
    let mut stop = pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Somebody who left before the door was open, or a system with too much to do: neither is for ever.
                    tracing::debug!(%error, "a connection could not be accepted");
                    sleep(EXHAUSTED).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let Some(guest) = house.enter(peer.ip(), &settings) else {
            // At best they hear it; nobody waits for them to listen.
            if tls.is_none() {
                let _ = stream.try_write(FULL);
            }
            continue;
        };
        let visit = Visit {
            peer,
            router: router.clone(),
            settings: settings.clone(),
            stopped: stopped.clone(),
        };
        let (tls, open) = (tls.clone(), open.clone());
        tokio::spawn(async move {
            visit.take(stream, tls).await;
            drop((guest, open));
        });
    }
    drop((listener, open, stopped));
    let _ = stopping.send(());
    let _ = timeout(GRACE, all_gone.recv()).await;
    Ok(())
}

/// One connection's course.
struct Visit {
    peer: SocketAddr,
    router: Router,
    settings: Arc<Settings>,
    stopped: watch::Receiver<()>,
}

impl Visit {
    async fn take(self, stream: TcpStream, tls: Option<Tls>) {
        // Small answers, such as playlists and messages of the tracker, go out at once.
        let _ = stream.set_nodelay(true);
        let stream = Paced::new(stream, self.settings.patience, self.settings.slowest);
        match tls {
            None => self.converse(stream, false).await,
            Some(tls) => match timeout(self.settings.head, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.converse(stream, true).await,
                Ok(Err(error)) => tracing::debug!(%error, "no TLS came about"),
                Err(_) => tracing::debug!("no TLS came about in time"),
            },
        }
    }

    async fn converse(
        mut self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        secure: bool,
    ) {
        let (peer, router) = (self.peer, self.router);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            if secure {
                request.extensions_mut().insert(Secure);
            }
            router.clone().call(request.map(Body::new))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.settings.head)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            _ = self.stopped.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// Marks a request that came over TLS.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Secure;
