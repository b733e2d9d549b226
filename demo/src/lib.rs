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
pub mod http;
pub mod origin;
mod pages;
pub mod tracker;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};
use tokio::net::TcpListener;

pub use origin::{OpenError, Title};

use faults::Faults;
use origin::Origin;
use tracker::Tracker;

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
    /// Which connections are taken, and what browsers are told.
    pub http: http::Settings,
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
    settings: Arc<http::Settings>,
}

/// Everything that is served, ready to be served.
pub struct Server {
    state: Arc<State>,
    tls: Option<http::tls::Tls>,
}

impl Server {
    /// Reads the media, packaging a film if need be. `progress` is told what takes time.
    ///
    /// # Errors
    ///
    /// The media are missing, are no HLS, or could not be packaged; or a setting cannot be used.
    pub async fn open(options: Options, progress: impl Fn(&str)) -> Result<Self, OpenError> {
        http::policy::check(&options.http).map_err(OpenError::Setting)?;
        let tls = options.http.tls.as_ref();
        let tls =
            tls.map(|(certificate, key)| http::tls::Tls::open(certificate, key)).transpose()?;
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
                settings: Arc::new(options.http),
            }),
            tls,
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
        let state = self.state.clone();
        let stop = async move {
            stop.await;
            // Sockets never end by themselves.
            state.tracker.close_all();
        };
        let settings = self.state.settings.clone();
        http::serve(listener, self.router(), settings, self.tls, stop).await
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
            .layer(from_fn_with_state(self.state.clone(), http::policy::apply))
            .with_state(self.state.clone())
    }
}
