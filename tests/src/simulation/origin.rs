//! The HTTP origin: what it answers, what it has served, and how it fails.

use bytes::Bytes;
use serde::Serialize;
use std::collections::BTreeMap;

use super::title::{File, Hashes, Title};

/// How the origin fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum FaultKind {
    /// Answers with this status.
    Status(u16),
    /// Takes the request and says nothing.
    Hang,
    /// Ends media bodies at half their length, as a broken connection does.
    Truncate,
    /// Refuses connections.
    Gone,
}

/// A time in which the origin fails.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fault {
    /// First second.
    pub from: f64,
    /// First second without it again.
    pub until: f64,
    /// How.
    pub kind: FaultKind,
}

/// How an origin answers a request for a part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Ranges {
    /// With that part and the file's size.
    Sized,
    /// With that part; its `Content-Range` is not to be seen, as that of another site that does not expose it.
    Unsized,
    /// With the whole file.
    Ignored,
}

/// A response's body.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Bytes(Bytes),
    Segment {
        variant: u32,
        sequence: u64,
        head: Bytes,
    },
    /// All of a segment whose parts are `Segment`s.
    Whole {
        variant: u32,
        sequence: u64,
        parts: u64,
        data: Bytes,
    },
}

/// What the origin answers.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Nothing, ever.
    Silence,
    /// Nothing before this virtual second: it is held back until there is something to say.
    Later(f64),
    /// A connection error.
    Refused,
    /// A response.
    Response(Response),
}

#[derive(Debug, Clone)]
pub(super) struct Response {
    pub(super) status: u16,
    /// First byte and size of the whole file, for 206.
    pub(super) range: Option<(u64, u64)>,
    /// The length that the head promises.
    pub(super) length: u64,
    pub(super) content_type: &'static str,
    pub(super) body: Body,
    /// Bytes of `body` to send: from, to.
    pub(super) from: u64,
    pub(super) to: u64,
    /// The connection breaks at `to`.
    pub(super) truncated: bool,
}

/// What was served of one segment.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Served {
    /// Bytes put on the line.
    pub(super) bytes: u64,
    /// Those of them that polluters asked for.
    pub(super) to_polluters: u64,
    /// Requests.
    pub(super) requests: u32,
}

/// The origin.
pub(super) struct Origin {
    faults: Vec<Fault>,
    ranges: Ranges,
    /// By variant, and whether it is the file of hashes: for which newest segment it was made.
    playlists: BTreeMap<(u32, bool), (u64, Bytes)>,
    multivariant: Bytes,
    inits: Vec<Bytes>,
    /// The head of each segment asked for, written once.
    heads: BTreeMap<(u32, u64), Bytes>,
    /// Media served, by segment.
    pub(super) served: BTreeMap<(u32, u64), Served>,
    pub(super) media_bytes: u64,
    pub(super) init_bytes: u64,
    pub(super) playlist_bytes: u64,
    pub(super) requests: u64,
    pub(super) failed_requests: u64,
    /// Playlists asked for with `_HLS_msn`, and with `_HLS_skip`.
    pub(super) blocking_reloads: u64,
    pub(super) delta_updates: u64,
    /// Playlists of a low-latency channel asked for without `_HLS_msn`.
    pub(super) plain_playlists: u64,
    /// Parts that were asked for before they were made.
    pub(super) hints: std::collections::BTreeSet<(u32, u64)>,
}

impl Origin {
    pub(super) fn new(title: &Title, faults: Vec<Fault>, ranges: Ranges) -> Self {
        Self {
            faults,
            ranges,
            playlists: BTreeMap::new(),
            multivariant: title.multivariant().into(),
            inits: (0..title.bitrates.len()).map(|v| title.init(v as u32).into()).collect(),
            heads: BTreeMap::new(),
            served: BTreeMap::new(),
            media_bytes: 0,
            init_bytes: 0,
            playlist_bytes: 0,
            requests: 0,
            failed_requests: 0,
            blocking_reloads: 0,
            delta_updates: 0,
            plain_playlists: 0,
            hints: std::collections::BTreeSet::new(),
        }
    }

    /// Answers a request at virtual time `now` (s).
    pub(super) fn answer(
        &mut self,
        title: &Title,
        now: f64,
        url: &str,
        range: Option<(u64, Option<u64>)>,
    ) -> Answer {
        self.requests += 1;
        let fault = self.faults.iter().find(|fault| (fault.from..fault.until).contains(&now));
        let fault = fault.map(|fault| fault.kind);
        match fault {
            Some(FaultKind::Gone) => {
                self.failed_requests += 1;
                return Answer::Refused;
            }
            Some(FaultKind::Hang) => {
                self.failed_requests += 1;
                return Answer::Silence;
            }
            Some(FaultKind::Status(status)) => return self.error(status),
            Some(FaultKind::Truncate) | None => {}
        }
        let (size, content_type, body) = match title.file(url) {
            Some(File::Multivariant) => {
                let text = self.multivariant.clone();
                (text.len() as u64, "application/vnd.apple.mpegurl", Body::Bytes(text))
            }
            Some(File::Playlist(variant)) if title.parts > 1 => {
                let directive = |name: &str| {
                    let query = url.split_once('?')?.1;
                    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
                };
                let number =
                    |name: &str| directive(name).and_then(|value| value.parse::<u64>().ok());
                let wanted = number("_HLS_msn").map(|sequence| {
                    let part = number("_HLS_part").unwrap_or(title.parts - 1);
                    sequence * title.parts + part
                });
                self.plain_playlists += u64::from(wanted.is_none());
                if let Some(unit) = wanted {
                    if unit >= title.units(now) + 3 * title.parts {
                        return self.error(400);
                    }
                    self.blocking_reloads += 1;
                    if unit >= title.units(now) {
                        self.requests -= 1;
                        self.blocking_reloads -= 1;
                        return Answer::Later((unit + 1) as f64 * title.unit_seconds() - title.age);
                    }
                }
                let delta = directive("_HLS_skip").is_some();
                self.delta_updates += u64::from(delta);
                let text = Bytes::from(title.playlist_since(variant, now, delta));
                (text.len() as u64, "application/vnd.apple.mpegurl", Body::Bytes(text))
            }
            Some(File::Part(variant, unit)) => {
                let (oldest, next) = (title.oldest(now) * title.parts, title.units(now));
                if unit < oldest || unit > next {
                    return self.error(404);
                }
                if unit == next {
                    self.requests -= 1;
                    self.hints.insert((variant, unit));
                    return Answer::Later((unit + 1) as f64 * title.unit_seconds() - title.age);
                }
                let head = title.head(variant, unit).write().into();
                let size = title.segment_bytes(variant, unit);
                (size, "video/mp4", Body::Segment { variant, sequence: unit, head })
            }
            Some(File::Segment(variant, sequence))
                if title.parts > 1
                    && (title.oldest(now)..=title.newest(now)).contains(&sequence) =>
            {
                let data = title.whole(variant, sequence);
                let parts = title.parts;
                let body = Body::Whole { variant, sequence, parts, data: data.clone() };
                (data.len() as u64, "video/mp4", body)
            }
            Some(file @ (File::Playlist(variant) | File::Hashes(variant))) => {
                let newest = title.newest(now);
                let hashes = matches!(file, File::Hashes(_));
                // Without hashes all variants' playlists are the same.
                let key = if title.hashes == Hashes::None { 0 } else { variant };
                let text = match self.playlists.get(&(key, hashes)) {
                    Some((of, text)) if *of == newest => text.clone(),
                    _ => {
                        let text = Bytes::from(match file {
                            File::Hashes(_) => title.hash_file(variant, now),
                            _ => title.playlist(variant, now),
                        });
                        self.playlists.insert((key, hashes), (newest, text.clone()));
                        text
                    }
                };
                (text.len() as u64, "application/vnd.apple.mpegurl", Body::Bytes(text))
            }
            Some(File::Init(variant)) => {
                let init = self.inits[variant as usize].clone();
                (init.len() as u64, "video/mp4", Body::Bytes(init))
            }
            Some(File::Segment(variant, sequence))
                if (title.oldest(now)..=title.newest(now)).contains(&sequence) =>
            {
                let head = self
                    .heads
                    .entry((variant, sequence))
                    .or_insert_with(|| title.head(variant, sequence).write().into())
                    .clone();
                let size = title.segment_bytes(variant, sequence);
                (size, "video/mp4", Body::Segment { variant, sequence, head })
            }
            Some(File::Segment(..)) | None => return self.error(404),
        };
        let range = range.filter(|_| self.ranges != Ranges::Ignored);
        let (from, to) = match range {
            Some((first, last)) => (first, last.unwrap_or(size).min(size)),
            None => (0, size),
        };
        if from >= to {
            return self.error(416);
        }
        let media = !matches!(body, Body::Bytes(_));
        let truncated = media && fault == Some(FaultKind::Truncate);
        Answer::Response(Response {
            status: if range.is_some() { 206 } else { 200 },
            range: range.filter(|_| self.ranges == Ranges::Sized).map(|(first, _)| (first, size)),
            length: to - from,
            content_type,
            body,
            from,
            to: if truncated { from + (to - from) / 2 } else { to },
            truncated,
        })
    }

    fn error(&mut self, status: u16) -> Answer {
        self.failed_requests += 1;
        Answer::Response(Response {
            status,
            range: None,
            length: 0,
            content_type: "text/plain",
            body: Body::Bytes(Bytes::new()),
            from: 0,
            to: 0,
            truncated: false,
        })
    }

    /// Counts a request for media.
    pub(super) fn count_request(&mut self, body: &Body) {
        if let Body::Segment { variant, sequence, .. } = body {
            self.served.entry((*variant, *sequence)).or_default().requests += 1;
        }
    }

    /// Counts bytes put on the line.
    pub(super) fn count_bytes(
        &mut self,
        body: &Body,
        content_type: &str,
        bytes: u64,
        to_polluter: bool,
    ) {
        if !matches!(body, Body::Bytes(_)) {
            self.media_bytes += bytes;
        }
        match body {
            Body::Segment { variant, sequence, .. } => {
                let served = self.served.entry((*variant, *sequence)).or_default();
                served.bytes += bytes;
                served.to_polluters += if to_polluter { bytes } else { 0 };
            }
            Body::Whole { variant, sequence, parts, .. } => {
                // Spread over the parts: the sum is what counts.
                for unit in sequence * parts..(sequence + 1) * parts {
                    self.served.entry((*variant, unit)).or_default().bytes += bytes / parts;
                }
            }
            Body::Bytes(_) if content_type == "video/mp4" => self.init_bytes += bytes,
            Body::Bytes(_) => self.playlist_bytes += bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(answer: Answer) -> Response {
        match answer {
            Answer::Response(response) => response,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ranges_and_errors_are_answered_as_http_says() {
        let title = Title::new(vec![1_000_000], 4.0, Some(20.0));
        let mut origin = Origin::new(&title, Vec::new(), Ranges::Sized);
        let url = "https://origin.example/title/v0/s2.m4s";
        let size = title.segment_bytes(0, 2);
        let whole = response(origin.answer(&title, 0.0, url, None));
        assert_eq!((whole.status, whole.length, whole.range), (200, size, None));
        let part = response(origin.answer(&title, 0.0, url, Some((100, Some(300)))));
        assert_eq!((part.status, part.length, part.range), (206, 200, Some((100, size))));
        assert_eq!((part.from, part.to), (100, 300));
        let rest = response(origin.answer(&title, 0.0, url, Some((100, None))));
        assert_eq!(rest.to, size);
        assert_eq!(response(origin.answer(&title, 0.0, url, Some((size, None)))).status, 416);
        assert_eq!(response(origin.answer(&title, 0.0, "https://else.example/", None)).status, 404);
    }

    #[test]
    fn faults_hold_for_their_time() {
        let title = Title::new(vec![1_000_000], 4.0, Some(20.0));
        let fault = |from, until, kind| Fault { from, until, kind };
        let faults = vec![
            fault(1.0, 2.0, FaultKind::Status(503)),
            fault(2.0, 3.0, FaultKind::Hang),
            fault(3.0, 4.0, FaultKind::Truncate),
            fault(4.0, 5.0, FaultKind::Gone),
        ];
        let mut origin = Origin::new(&title, faults, Ranges::Sized);
        let url = "https://origin.example/title/v0/s0.m4s";
        assert_eq!(response(origin.answer(&title, 0.5, url, None)).status, 200);
        assert_eq!(response(origin.answer(&title, 1.5, url, None)).status, 503);
        assert!(matches!(origin.answer(&title, 2.5, url, None), Answer::Silence));
        let cut = response(origin.answer(&title, 3.5, url, None));
        assert!(cut.truncated && cut.to < cut.length);
        assert!(matches!(origin.answer(&title, 4.5, url, None), Answer::Refused));
        assert_eq!(response(origin.answer(&title, 5.0, url, None)).status, 200);
    }

    #[test]
    fn live_segments_come_and_go() {
        let mut title = Title::new(vec![1_000_000], 4.0, None);
        title.age = 400.0;
        let mut origin = Origin::new(&title, Vec::new(), Ranges::Sized);
        let mut status = |now, sequence| {
            let url = format!("https://origin.example/title/v0/s{sequence}.m4s");
            response(origin.answer(&title, now, &url, None)).status
        };
        assert_eq!(status(0.0, 100), 404, "not yet");
        assert_eq!(status(4.0, 100), 200);
        assert_eq!(status(4.0 + 19.0 * 4.0, 100), 200);
        assert_eq!(status(4.0 + 20.0 * 4.0, 100), 404, "no more");
    }
}
