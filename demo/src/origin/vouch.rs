//! Hashes in the playlists that are served, made from the files they list when they are asked for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;

use super::Origin;
use super::folder::Content;
use crate::hashes::{Digest, Signer, listed, path_of, tagged};
use crate::pages::decode;

/// Most files whose hashes are remembered; more than any film here has.
const MAX_KNOWN: usize = 100_000;

/// What files hash to, each hashed once, and who signs for it.
#[derive(Debug)]
pub(crate) struct Vouch {
    signer: Option<Signer>,
    /// By path, first byte and end. Files do not change while they are served.
    known: Mutex<HashMap<(String, u64, u64), Digest>>,
}

impl Vouch {
    /// Nothing is hashed yet.
    pub(crate) fn new(signer: Option<Signer>) -> Self {
        Self { signer, known: Mutex::default() }
    }

    /// A playlist with an entry for each of its segments that is a file of the same title.
    pub(crate) async fn tagged(&self, origin: &Origin, path: &str, content: Content) -> Content {
        let len = content.len();
        let Some(text) = read(content.clone(), 0, len).await else { return content };
        let Ok(text) = String::from_utf8(text) else { return content };
        let folder = path.rsplit_once('/').map_or("", |parts| parts.0);
        let mut entries = Vec::new();
        for segment in listed(&text) {
            let range = segment.range.map_or((0, u64::MAX), |range| (range.start, range.end));
            let entry = match path_of(folder, &segment.uri) {
                Some(name) => self.entry(origin, &name, range).await,
                None => None,
            };
            entries.push(entry);
        }
        if entries.is_empty() {
            return content;
        }
        Content::Memory(Bytes::from(tagged(&text, &entries)))
    }

    async fn entry(&self, origin: &Origin, name: &str, range: (u64, u64)) -> Option<String> {
        let key = (name.to_owned(), range.0, range.1);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known().get(&key).copied();
        let digest = match found {
            Some(digest) => digest,
            None => {
                let content = origin.file(&decode(name)?, "").await.ok()?;
                let end = content.len().min(range.1);
                let bytes = read(content, range.0.min(end), end).await?;
                let digest = Digest::of(bytes.as_slice()).ok()?;
                let mut known = known();
                if known.len() >= MAX_KNOWN {
                    known.clear();
                }
                known.insert(key, digest);
                digest
            }
        };
        digest.is_listable().then(|| digest.entry(name, self.signer.as_ref()))
    }
}

/// Bytes of a file, all at once: playlists and segments fit into memory.
async fn read(content: Content, from: u64, to: u64) -> Option<Vec<u8>> {
    let mut reader = content.reader(from..to).await.ok()?;
    let mut bytes = Vec::new();
    while let Some(some) = reader.next(1 << 20).await.ok()? {
        bytes.extend_from_slice(&some);
    }
    Some(bytes)
}
