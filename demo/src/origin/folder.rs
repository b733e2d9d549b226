//! Where media files come from: the program itself, or a folder on disk.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use axum::body::Bytes;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::sample;
use crate::pages::file_inside;

/// A playlist on disk is read whole; more than this is none.
const MAX_PLAYLIST_BYTES: u64 = 16 << 20;

/// A tree of media files.
#[derive(Debug, Clone)]
pub(crate) enum Folder {
    /// The embedded sample.
    Sample,
    /// A folder on disk.
    Disk(PathBuf),
}

/// One body, held or readable.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Held in memory.
    Memory(Bytes),
    /// A file of so many bytes.
    File(PathBuf, u64),
}

impl Folder {
    /// The content of `name`, a path with `/` that cannot lead out of the folder.
    pub(crate) async fn open(&self, name: &str) -> Option<Content> {
        match self {
            Self::Sample => {
                sample::file(name).map(|bytes| Content::Memory(Bytes::from_static(bytes)))
            }
            Self::Disk(root) => {
                let (path, data) = file_inside(root, name).await?;
                Some(Content::File(path, data.len()))
            }
        }
    }

    /// A playlist's text.
    pub(crate) async fn playlist(&self, name: &str) -> Option<String> {
        match self.open(name).await? {
            Content::Memory(bytes) => String::from_utf8(bytes.to_vec()).ok(),
            Content::File(_, len) if len > MAX_PLAYLIST_BYTES => None,
            Content::File(path, _) => tokio::fs::read_to_string(path).await.ok(),
        }
    }
}

impl Content {
    /// Its size in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, len) => *len,
        }
    }

    /// All of it, if that is no more than `most`.
    pub(crate) async fn bytes(self, most: usize) -> Option<Bytes> {
        match self {
            Self::Memory(bytes) => Some(bytes),
            Self::File(_, len) if len > most as u64 => None,
            Self::File(path, _) => tokio::fs::read(path).await.ok().map(Bytes::from),
        }
    }

    /// A reader of these bytes of it.
    pub(crate) async fn reader(self, range: Range<u64>) -> io::Result<Reader> {
        match self {
            Self::Memory(bytes) => {
                Ok(Reader::Memory(bytes.slice(range.start as usize..range.end as usize)))
            }
            Self::File(path, _) => {
                let mut file = File::open(&path).await?;
                file.seek(io::SeekFrom::Start(range.start)).await?;
                Ok(Reader::File(file, range.end - range.start))
            }
        }
    }
}

/// Bytes on their way out.
pub(crate) enum Reader {
    /// The rest of them.
    Memory(Bytes),
    /// A file at its position, and how many bytes are left to read.
    File(File, u64),
}

impl Reader {
    /// Whether all has been read.
    pub(crate) const fn is_empty(&self) -> bool {
        match self {
            Self::Memory(bytes) => bytes.is_empty(),
            Self::File(_, left) => *left == 0,
        }
    }

    /// Up to `most` bytes; `None` at the end.
    pub(crate) async fn next(&mut self, most: usize) -> io::Result<Option<Bytes>> {
        match self {
            Self::Memory(bytes) if bytes.is_empty() => Ok(None),
            Self::Memory(bytes) => Ok(Some(bytes.split_to(most.min(bytes.len())))),
            Self::File(_, 0) => Ok(None),
            Self::File(file, left) => {
                let want = (most as u64).min(*left) as usize;
                let mut buffer = vec![0; want];
                let count = file.read(&mut buffer).await?;
                if count == 0 {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file shrank"));
                }
                buffer.truncate(count);
                *left -= count as u64;
                Ok(Some(buffer.into()))
            }
        }
    }
}

/// The multivariant playlist of an HLS folder: `master.m3u8`, else `index.m3u8`, else the first
/// playlist in it that has variants, else the first playlist at all.
pub(crate) async fn entry(root: &Path) -> Option<String> {
    let mut names: Vec<String> = std::fs::read_dir(root)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.to_ascii_lowercase().ends_with(".m3u8") && !name.starts_with('.'))
        .collect();
    names.sort_by_key(|name| (name != "master.m3u8", name != "index.m3u8", name.clone()));
    let folder = Folder::Disk(root.to_owned());
    let mut first = None;
    for name in names {
        let text = folder.playlist(&name).await.unwrap_or_default();
        if !text.trim_start_matches('\u{feff}').starts_with("#EXTM3U") {
            continue;
        }
        if text.contains("#EXT-X-STREAM-INF") || name == "master.m3u8" {
            return Some(name);
        }
        first = first.or(Some(name));
    }
    first
}
