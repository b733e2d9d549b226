//! Potluck in one process: an HLS origin (films and a live channel), a WebTorrent tracker and the
//! pages that play from them.
//!
//! ```text
//! /                 front page, player, worker, wasm      pages
//! /media/…          playlists and segments                origin
//! /announce         WebSocket, WebTorrent                 tracker
//! /services/oembed  how other sites show a title          cards
//! /api/…            titles, statistics, switches          api
//! ```
//!
//! [`Server::open`] reads what there is to serve, [`Server::serve`] serves it on a listener until
//! told to stop.

mod api;
mod cards;
mod clock;
mod faults;
pub mod hashes;
pub mod origin;
mod pages;
pub mod tracker;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use tokio::net::TcpListener;

pub use origin::{OpenError, Title};

use faults::Faults;
use origin::Origin;
use tracker::Tracker;

/// How long requests may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// What to serve.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// An HLS folder, or a film that ffmpeg packages; the embedded sample is served in any case.
    pub media: Option<PathBuf>,
    /// What all media responses together may send, in bit/s; `None`: as fast as they go.
    pub origin_limit_bps: Option<u64>,
    /// Folder of the built pages.
    pub www: PathBuf,
    /// Whether the playlists that are served vouch for their segments (`docs/hash-lists.md`).
    pub hashes: bool,
    /// Signs what they say.
    pub signer: Option<hashes::Signer>,
    /// What the tracker takes.
    pub tracker: tracker::limits::Limits,
    /// Whether `/api/faults` and `/api/tracker` may break things on purpose.
    pub faults: bool,
}

/// What the routes share.
struct State {
    origin: Origin,
    tracker: Arc<Tracker>,
    faults: Arc<Faults>,
    faults_allowed: bool,
    www: PathBuf,
}

/// Everything that is served, ready to be served.
pub struct Server {
    state: Arc<State>,
}

impl Server {
    /// Reads the media, packaging a film if need be. `progress` is told what takes time.
    ///
    /// # Errors
    ///
    /// The media are missing, are no HLS, or could not be packaged.
    pub async fn open(options: Options, progress: impl Fn(&str)) -> Result<Self, OpenError> {
        let faults = Arc::new(Faults::default());
        let origin =
            Origin::open(options.media, options.origin_limit_bps, faults.clone(), progress).await?;
        let vouch = options.hashes.then(|| origin::Vouch::new(options.signer));
        let origin = origin.vouching(vouch);
        Ok(Self {
            state: Arc::new(State {
                origin,
                tracker: Arc::new(Tracker::new(clock::seed(), options.tracker)),
                faults,
                faults_allowed: options.faults,
                www: options.www,
            }),
        })
    }

    /// What can be played.
    #[must_use]
    pub fn titles(&self) -> &[Title] {
        self.state.origin.titles()
    }

    /// Serves on `listener` until `stop` is ready, then lets open requests end for two seconds.
    ///
    /// # Errors
    ///
    /// The listener failed.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let (told, stopped) = tokio::sync::oneshot::channel();
        let state = self.state.clone();
        let service = self.router().into_make_service_with_connect_info::<SocketAddr>();
        let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
            stop.await;
            // Sockets never end by themselves.
            state.tracker.close_all();
            let _ = told.send(());
        });
        tokio::select! {
            result = async { serving.await } => result,
            () = async {
                if stopped.await.is_ok() {
                    tokio::time::sleep(GRACE).await;
                } else {
                    std::future::pending::<()>().await;
                }
            } => Ok(()),
        }
    }

    fn router(&self) -> Router {
        let mut router = Router::new()
            .route("/media/{*path}", get(origin::serve))
            .route("/announce", any(tracker::announce))
            .route("/services/oembed", get(cards::oembed))
            .route("/api/titles", get(api::titles))
            .route("/api/stats", get(api::stats))
            .route("/api/stats/reset", post(api::reset));
        if self.state.faults_allowed {
            router = router
                .route("/api/faults", post(api::faults))
                .route("/api/tracker", post(api::tracker));
        }
        router
            .fallback(pages::serve)
            .layer(DefaultBodyLimit::max(64 << 10))
            .layer(from_fn(share))
            .with_state(self.state.clone())
    }
}

/// Lets pages of other origins read what is served (Fetch §3.2), never with credentials.
async fn share(request: Request, next: Next) -> Response {
    let preflight = request.method() == Method::OPTIONS;
    let mut response =
        if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Content-Length, Content-Range, Accept-Ranges"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    headers.insert("timing-allow-origin", HeaderValue::from_static("*"));
    if preflight {
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, HEAD, OPTIONS"),
        );
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Range"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    }
    response
}
