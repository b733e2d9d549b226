//! The origin: films and channels over HTTP, counted, limited and broken on request.

mod count;
mod folder;
mod fragment;
mod limit;
mod live;
mod low_latency;
pub mod package;
mod range;
mod sample;
mod vouch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::time::Instant;

use crate::faults::{Fault, Faults};
use crate::http::tls::TlsError;
use crate::pages::{content_type, decode};
use crate::{State, clock};

pub use package::PackageError;
pub(crate) use vouch::Vouch;

use count::Counters;
use folder::{Content, Folder, Reader};
use limit::Limit;
use live::{Channel, Item};
use low_latency::LowLatency;
use range::{Wanted, wanted};

/// Bytes that are read, limited and sent at once.
const CHUNK: usize = 16 << 10;
/// How often a hanging request looks whether it still has to hang.
const HANG_CHECK: Duration = Duration::from_millis(100);
/// How long a body that will be cut waits for its first half to be written.
const FLUSH: Duration = Duration::from_millis(100);

/// Something to play.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Title {
    /// Its folder's name below `/media`.
    pub id: String,
    /// Its name for people.
    pub title: String,
    /// Path of its multivariant playlist.
    pub src: String,
    /// Whether it never ends.
    pub live: bool,
    /// Path of a picture of it: `poster.jpg` beside the playlist, if there is one.
    pub poster: Option<String>,
}

/// Why the media cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such file or folder, or it may not be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// What was asked for.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The folder has no playlist.
    #[error("{0} holds no HLS: no .m3u8 file that begins with #EXTM3U")]
    NoPlaylist(PathBuf),
    /// The film could not be packaged.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// There can be no TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A word that browsers would not read as an origin or the beginning of an address.
    #[error("{0:?} is no origin and no beginning of an address, such as https://site.example")]
    Setting(String),
}

/// What is below one folder of `/media`.
enum Source {
    Film(Folder),
    Channel(Box<Channel>),
    LowLatency(Box<LowLatency>),
}

/// All that can be played, and what was sent of it.
pub(crate) struct Origin {
    titles: Vec<Title>,
    sources: Vec<(String, Source)>,
    /// How long the channels had run at the start, and when that was on the clock that never jumps.
    started: (Duration, Instant),
    limit: Option<Arc<Limit>>,
    counters: Arc<Counters>,
    faults: Arc<Faults>,
    vouch: Option<Vouch>,
}

impl Origin {
    /// Opens the sample, and `media` when there is any.
    pub(crate) async fn open(
        media: Option<PathBuf>,
        limit_bps: Option<u64>,
        faults: Arc<Faults>,
        progress: impl Fn(&str),
    ) -> Result<Self, OpenError> {
        let mut origin = Self {
            titles: Vec::new(),
            sources: Vec::new(),
            started: (clock::now().saturating_sub(live::EPOCH), Instant::now()),
            limit: limit_bps.map(|bps| Arc::new(Limit::new(bps as f64 / 8.0))),
            counters: Arc::default(),
            faults,
            vouch: None,
        };
        if let Some(path) = media {
            let name = path
                .file_stem()
                .map_or_else(|| "your film".to_owned(), |name| name.to_string_lossy().into_owned());
            let unreadable = |source| OpenError::Unreadable { path: path.clone(), source };
            let root = if tokio::fs::metadata(&path).await.map_err(unreadable)?.is_dir() {
                path
            } else {
                package::package(&path, &std::env::temp_dir(), progress).await?
            };
            let entry = folder::entry(&root).await;
            let entry = entry.ok_or_else(|| OpenError::NoPlaylist(root.clone()))?;
            origin.add("title", &name, "title-live", Folder::Disk(root), entry).await;
        }
        let lake = "A day at the lake";
        origin.add("sample", lake, "live", Folder::Sample, "master.m3u8".to_owned()).await;
        Ok(origin)
    }

    /// Adds a film, and the channel that loops it if it can be looped.
    async fn add(&mut self, id: &str, name: &str, live: &str, folder: Folder, entry: String) {
        let poster = folder.open("poster.jpg").await.map(|_| format!("/media/{id}/poster.jpg"));
        let title = |id: &str, title: String, live| Title {
            id: id.to_owned(),
            title,
            src: format!("/media/{id}/{entry}"),
            live,
            poster: poster.clone(),
        };
        self.titles.push(title(id, name.to_owned(), false));
        self.sources.push((id.to_owned(), Source::Film(folder.clone())));
        if let Some(channel) = Channel::of(folder.clone(), entry.clone()).await {
            self.titles.push(title(live, format!("{name}, live"), true));
            self.sources.push((live.to_owned(), Source::Channel(Box::new(channel))));
        }
        if let Some(channel) = LowLatency::of(folder, entry.clone()).await {
            let id = format!("{live}-low-latency");
            self.titles.push(title(&id, format!("{name}, live with low latency"), true));
            self.sources.push((id, Source::LowLatency(Box::new(channel))));
        }
    }

    /// The same, with hashes in its playlists or without.
    pub(crate) fn vouching(self, vouch: Option<Vouch>) -> Self {
        Self { vouch, ..self }
    }

    /// What can be played.
    pub(crate) fn titles(&self) -> &[Title] {
        &self.titles
    }

    /// What was sent since the start or the last reset.
    pub(crate) fn counters(&self) -> impl Serialize + use<> {
        self.counters.snapshot()
    }

    /// Counts from zero again.
    pub(crate) fn reset(&self) {
        self.counters.reset();
    }

    /// What `path`, below `/media/`, stands for, as it is served; else the HTTP status to answer with. Waits for what
    /// will be there soon.
    async fn find(&self, path: &str, query: &str) -> Result<Content, u16> {
        let content = self.file(path, query).await?;
        match &self.vouch {
            Some(vouch) if path.ends_with(".m3u8") => Ok(vouch.tagged(self, path, content).await),
            _ => Ok(content),
        }
    }

    /// The same without hashes in it.
    async fn file(&self, path: &str, query: &str) -> Result<Content, u16> {
        const GONE: u16 = 404;
        let (id, name) = path.split_once('/').ok_or(GONE)?;
        let source = self.sources.iter().find(|source| source.0 == id).ok_or(GONE)?;
        let age = || self.started.0 + self.started.1.elapsed();
        match &source.1 {
            Source::Film(folder) => folder.open(name).await.ok_or(GONE),
            Source::Channel(channel) => match channel.find(name, age()).ok_or(GONE)? {
                Item::Playlist(text) => Ok(Content::Memory(text.into())),
                Item::File(name) => channel.folder().open(&name).await.ok_or(GONE),
            },
            Source::LowLatency(channel) => {
                if query.contains("_HLS_skip=") {
                    self.counters.delta_update();
                }
                let mut held = false;
                loop {
                    match channel.find(name, query, age()) {
                        low_latency::Answer::Content(content) => return Ok(content),
                        low_latency::Answer::File(name) => {
                            return channel.folder().open(&name).await.ok_or(GONE);
                        }
                        low_latency::Answer::Error(status) => return Err(status),
                        low_latency::Answer::Later(at) => {
                            if !std::mem::replace(&mut held, true) {
                                self.counters.held(path);
                            }
                            let at = self.started.1 + at.saturating_sub(self.started.0);
                            tokio::time::sleep_until(at + Duration::from_millis(1)).await;
                        }
                    }
                }
            }
        }
    }
}

/// Serves `/media/…`: GET and HEAD, whole or one range.
pub(crate) async fn serve(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let origin = &state.origin;
    let url = request.uri().path();
    let fault = origin.faults.find(url);
    if let Some((id, fault)) = fault {
        match fault {
            Fault::Status(code) => {
                origin.counters.error();
                return StatusCode::from_u16(code)
                    .unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
                    .into_response();
            }
            Fault::Hang => {
                while origin.faults.active(id) {
                    tokio::time::sleep(HANG_CHECK).await;
                }
                return broken();
            }
            Fault::Close => return broken(),
            Fault::Truncate | Fault::Slow(_) | Fault::Spoil => {}
        }
    }
    let path = decode(url).unwrap_or_default();
    let query = request.uri().query().unwrap_or_default();
    let content = match origin.find(path.trim_start_matches("/media/"), query).await {
        Ok(content) => content,
        Err(status) => {
            origin.counters.error();
            return StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND).into_response();
        }
    };
    let len = content.len();
    // Of other methods a range means nothing (RFC 9110 §14.2).
    let header = request.headers().get(header::RANGE).filter(|_| request.method() == Method::GET);
    let header = header.and_then(|value| value.to_str().ok());
    let (status, range) = match wanted(header, len) {
        Wanted::Whole => (StatusCode::OK, 0..len),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Unsatisfiable => {
            origin.counters.error();
            let range = (header::CONTENT_RANGE, format!("bytes */{len}"));
            return (StatusCode::RANGE_NOT_SATISFIABLE, [range]).into_response();
        }
    };
    let body = if request.method() == Method::HEAD {
        Body::empty()
    } else {
        origin.counters.request(url, len);
        let Ok(reader) = content.reader(range.clone()).await else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let cut = matches!(fault, Some((_, Fault::Truncate)));
        let slow = match fault {
            Some((_, Fault::Slow(rate))) => Some(Limit::new(rate as f64)),
            _ => None,
        };
        Sending {
            reader,
            spoiled: matches!(fault, Some((_, Fault::Spoil))) && range.end == len,
            left: if cut { (range.end - range.start) / 2 } else { u64::MAX },
            limits: (origin.limit.clone(), slow),
            counters: origin.counters.clone(),
            path: url.to_owned(),
        }
        .body()
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(Path::new(&path))));
    headers.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // Each request is to reach the counters: they say how often the origin served a segment.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = format!("bytes {}-{}/{len}", range.start, range.end - 1).parse()
    {
        headers.insert(header::CONTENT_RANGE, value);
    }
    response
}

/// A body on its way.
struct Sending {
    reader: Reader,
    /// Bytes until the connection breaks, when it is to break.
    left: u64,
    /// The last byte is to be another.
    spoiled: bool,
    limits: (Option<Arc<Limit>>, Option<Limit>),
    counters: Arc<Counters>,
    path: String,
}

impl Sending {
    fn body(self) -> Body {
        Body::from_stream(stream::unfold(Some(self), |sending| async {
            let mut sending = sending?;
            match sending.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(sending))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }))
    }

    async fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        let most = CHUNK.min(usize::try_from(self.left).unwrap_or(CHUNK));
        if most == 0 {
            // An error drops what waits to be written: let the first half go out before.
            tokio::time::sleep(FLUSH).await;
            return Err(cut());
        }
        // A slow body comes in small pieces, several a second.
        let most = match &self.limits.1 {
            Some(slow) => most.min(slow.bytes_in(Duration::from_millis(200))),
            None => most,
        };
        let Some(mut bytes) = self.reader.next(most).await? else { return Ok(None) };
        if self.spoiled && self.reader.is_empty() {
            let mut other = bytes.to_vec();
            if let Some(last) = other.last_mut() {
                *last ^= 1;
            }
            bytes = other.into();
        }
        if let Some(limit) = &self.limits.0 {
            limit.take(bytes.len()).await;
        }
        if let Some(limit) = &self.limits.1 {
            limit.take(bytes.len()).await;
        }
        self.left = self.left.saturating_sub(bytes.len() as u64);
        self.counters.sent(&self.path, bytes.len() as u64);
        Ok(Some(bytes))
    }
}

/// A response whose connection ends before its body.
fn broken() -> Response {
    let body = Body::from_stream(stream::once(async { Err::<Bytes, _>(cut()) }));
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("1"));
    response
}

fn cut() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "a fault cuts this response")
}
