//! What the origin has sent: each figure about offload is computed from these.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// Paths that are counted one by one. A live channel makes new ones for as long as it runs, so the
/// oldest go first.
const MAX_PATHS: usize = 5_000;

/// Counters of one path.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct PathCount {
    /// GET requests that were answered with content.
    requests: u64,
    /// Body bytes handed to connections.
    bytes: u64,
    /// Size of the whole content, at the last request.
    size: u64,
    #[serde(skip)]
    order: u64,
}

/// Counters since the start or the last reset.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Snapshot {
    /// Bytes of segments and init sections.
    media_bytes: u64,
    /// Requests for segments and init sections.
    media_requests: u64,
    /// Bytes of playlists.
    playlist_bytes: u64,
    /// Requests for playlists.
    playlist_requests: u64,
    /// Playlists and parts that were asked for before they were there: those requests waited.
    held_playlists: u64,
    held_parts: u64,
    /// Requests for delta updates.
    delta_updates: u64,
    /// Requests that were answered with an error.
    errors: u64,
    /// The same by path.
    paths: BTreeMap<String, PathCount>,
    #[serde(skip)]
    order: u64,
}

/// Counters that responses share.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<Snapshot>);

impl Counters {
    /// A request for `path`, whose content has `size` bytes, is answered.
    pub(crate) fn request(&self, path: &str, size: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if playlist(path) {
            counts.playlist_requests += 1;
        } else {
            counts.media_requests += 1;
        }
        counts.order += 1;
        let order = counts.order;
        if counts.paths.len() >= MAX_PATHS && !counts.paths.contains_key(path) {
            let oldest = counts.paths.iter().min_by_key(|path| path.1.order);
            if let Some(oldest) = oldest.map(|path| path.0.clone()) {
                counts.paths.remove(&oldest);
            }
        }
        let count = counts.paths.entry(path.to_owned()).or_default();
        count.requests += 1;
        count.size = size;
        count.order = order;
    }

    /// So many bytes of `path` go out.
    pub(crate) fn sent(&self, path: &str, bytes: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if playlist(path) {
            counts.playlist_bytes += bytes;
        } else {
            counts.media_bytes += bytes;
        }
        if let Some(count) = counts.paths.get_mut(path) {
            count.bytes += bytes;
        }
    }

    /// A request for what is not there yet is held open.
    pub(crate) fn held(&self, path: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if playlist(path) {
            counts.held_playlists += 1;
        } else {
            counts.held_parts += 1;
        }
    }

    /// A delta update is asked for.
    pub(crate) fn delta_update(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).delta_updates += 1;
    }

    /// A request is answered with an error.
    pub(crate) fn error(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).errors += 1;
    }

    /// A copy of all counters.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts from zero again.
    pub(crate) fn reset(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Snapshot::default();
    }
}

fn playlist(path: &str) -> bool {
    path.ends_with(".m3u8") || path.ends_with(".m3u")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn playlists_and_media_are_counted_apart() {
        let counters = Counters::default();
        counters.request("/media/a/index.m3u8", 100);
        counters.sent("/media/a/index.m3u8", 100);
        counters.request("/media/a/0.m4s", 4_000);
        counters.sent("/media/a/0.m4s", 1_000);
        counters.error();
        let counts = counters.snapshot();
        assert_eq!((counts.playlist_requests, counts.playlist_bytes), (1, 100));
        assert_eq!((counts.media_requests, counts.media_bytes, counts.errors), (1, 1_000, 1));
        let path = &counts.paths["/media/a/0.m4s"];
        assert_eq!((path.requests, path.bytes, path.size), (1, 1_000, 4_000));
        counters.reset();
        assert!(counters.snapshot().paths.is_empty());
    }

    #[test]
    fn the_number_of_paths_is_bounded() {
        let counters = Counters::default();
        for index in 0..MAX_PATHS + 10 {
            counters.request(&format!("/media/live/seg-{index}.m4s"), 1);
        }
        let counts = counters.snapshot();
        assert_eq!(counts.paths.len(), MAX_PATHS);
        assert!(!counts.paths.contains_key("/media/live/seg-9.m4s"));
        assert!(counts.paths.contains_key("/media/live/seg-10.m4s"));
    }
}
