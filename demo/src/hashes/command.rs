//! `potluck hash`: writes hash lists for a folder with HLS in it, or for a live playlist as it grows.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Map, Value};

use super::{Digest, Listed, Signer, listed, path_of, tagged};

/// Deepest folder below the one that is named.
const MAX_DEPTH: usize = 8;

/// Where the hashes go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// Into the playlist itself, as tags.
    Tags,
    /// Into a tagged copy of the playlist.
    Copy(PathBuf),
    /// Into a JSON file.
    File(PathBuf),
}

/// Why hashes cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// There is no such file or folder, or it may not be read.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, io::Error),
    /// A file cannot be written.
    #[error("cannot write {0}: {1}")]
    Write(PathBuf, io::Error),
    /// Nothing to do.
    #[error("{0} holds no media playlist: want a folder with .m3u8 files that list segments")]
    NoPlaylist(PathBuf),
    /// It is no media playlist.
    #[error("{0} lists no segments: want a media playlist, not a multivariant one")]
    NoSegments(PathBuf),
    /// A segment is not there.
    #[error(
        "{playlist} lists {uri}, which is not below {root}: hashes are made from the files, so put them there"
    )]
    Outside {
        /// The playlist.
        playlist: PathBuf,
        /// Its segment.
        uri: String,
        /// The folder that is hashed.
        root: PathBuf,
    },
    /// A name that cannot be written into a tag.
    #[error("the name {0} cannot be signed: it has a comma or a quotation mark; rename the file")]
    Name(String),
}

/// What was done to one playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The file that was written.
    pub written: PathBuf,
    /// Segments with an entry.
    pub segments: usize,
    /// Those of them that were hashed now.
    pub hashed: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Segments without an entry: empty, or larger than what is shared.
    pub left_out: usize,
}

/// Hashes files below a folder, each once while it does not change.
pub struct Hasher {
    root: PathBuf,
    /// What names in signatures begin with.
    prefix: String,
    signer: Option<Signer>,
    known: BTreeMap<(String, u64, u64), (SystemTime, u64, Digest)>,
    /// What was written last, by file: it is not written again unchanged.
    written: BTreeMap<PathBuf, String>,
}

impl Hasher {
    /// For files below `root`. With a key entries are signed, for paths that end with `prefix` and the path below `root`.
    #[must_use]
    pub fn new(root: PathBuf, signer: Option<Signer>, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/').to_owned();
        Self { root, prefix, signer, known: BTreeMap::new(), written: BTreeMap::new() }
    }

    /// Writes hashes for all media playlists below the folder.
    ///
    /// # Errors
    ///
    /// There are none, or files cannot be read or written.
    pub fn folder(&mut self, form: impl Fn(&Path) -> Form) -> Result<Vec<Summary>, HashError> {
        let mut playlists = Vec::new();
        find(&self.root, 0, &mut playlists)
            .map_err(|error| HashError::Read(self.root.clone(), error))?;
        playlists.sort();
        let mut done = Vec::new();
        for playlist in playlists {
            match self.playlist(&playlist, &form(&playlist)) {
                Ok(summary) => done.extend(summary),
                Err(HashError::NoSegments(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if done.is_empty() && self.written.is_empty() {
            return Err(HashError::NoPlaylist(self.root.clone()));
        }
        Ok(done)
    }

    /// Writes hashes for one media playlist; `None` when nothing has changed since the last time.
    ///
    /// # Errors
    ///
    /// It is no media playlist, or files cannot be read or written.
    pub fn playlist(&mut self, playlist: &Path, form: &Form) -> Result<Option<Summary>, HashError> {
        let read = || fs::read_to_string(playlist);
        let found = read().map_err(|error| HashError::Read(playlist.to_owned(), error))?;
        let segments = listed(&found);
        if segments.is_empty() {
            return Err(HashError::NoSegments(playlist.to_owned()));
        }
        let folder = playlist.parent().unwrap_or_else(|| Path::new(""));
        let below = folder.strip_prefix(&self.root).unwrap_or_else(|_| Path::new(""));
        let below = below.to_string_lossy().replace('\\', "/");
        let mut summary =
            Summary { written: playlist.to_owned(), segments: 0, hashed: 0, bytes: 0, left_out: 0 };
        let mut entries = Vec::new();
        for segment in &segments {
            let entry = self.entry(playlist, &below, segment, &mut summary)?;
            summary.segments += usize::from(entry.is_some());
            summary.left_out += usize::from(entry.is_none());
            entries.push(entry);
        }
        let (file, text) = match form {
            Form::Tags => (playlist, tagged(&found, &entries)),
            Form::Copy(copy) => (copy.as_path(), tagged(&found, &entries)),
            Form::File(file) => (file.as_path(), json(&segments, entries)),
        };
        file.clone_into(&mut summary.written);
        let same = self.written.get(file) == Some(&text) && (*form != Form::Tags || found == text);
        if same {
            return Ok(None);
        }
        // While segments were hashed the packager may have written it anew: that must not be undone.
        if *form == Form::Tags && read().is_ok_and(|now| now != found) {
            return self.playlist(playlist, form);
        }
        replace(file, &text).map_err(|error| HashError::Write(file.to_owned(), error))?;
        self.written.insert(file.to_owned(), text);
        // A live playlist's segments go: what is not listed any more is forgotten.
        if self.known.len() > 4 * segments.len() + 65_536 {
            self.known.clear();
        }
        Ok(Some(summary))
    }

    fn entry(
        &mut self,
        playlist: &Path,
        below: &str,
        segment: &Listed,
        summary: &mut Summary,
    ) -> Result<Option<String>, HashError> {
        let outside = || HashError::Outside {
            playlist: playlist.to_owned(),
            uri: segment.uri.clone(),
            root: self.root.clone(),
        };
        let path = path_of(below, &segment.uri).ok_or_else(outside)?;
        let file = self.root.join(decode(&path));
        let read = |error| HashError::Read(file.clone(), error);
        let data = fs::metadata(&file).map_err(read)?;
        let changed = data.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let (from, to) =
            segment.range.as_ref().map_or((0, u64::MAX), |range| (range.start, range.end));
        let key = (path.clone(), from, to);
        let digest = match self.known.get(&key) {
            Some((at, len, digest)) if *at == changed && *len == data.len() => *digest,
            _ => {
                let mut opened = File::open(&file).map_err(read)?;
                // Not in a pipe.
                if from > 0 {
                    opened.seek(SeekFrom::Start(from)).map_err(read)?;
                }
                let digest = Digest::of(opened.take(to - from)).map_err(read)?;
                summary.hashed += 1;
                summary.bytes += digest.size;
                self.known.insert(key, (changed, data.len(), digest));
                digest
            }
        };
        let name = if self.prefix.is_empty() { path } else { format!("{}/{path}", self.prefix) };
        if self.signer.is_some() && name.contains([',', '"']) {
            return Err(HashError::Name(name));
        }
        Ok(digest.is_listable().then(|| digest.entry(&name, self.signer.as_ref())))
    }
}

/// Media files' names have percent escapes in URIs.
fn decode(path: &str) -> String {
    crate::pages::decode(path).unwrap_or_else(|| path.to_owned())
}

/// The file of hashes that the specification describes.
fn json(segments: &[Listed], entries: Vec<Option<String>>) -> String {
    let mut files = Map::new();
    for (segment, entry) in segments.iter().zip(entries) {
        let Some(entry) = entry else { continue };
        let uri = segment.uri.split(['?', '#']).next().unwrap_or_default();
        let name = uri.rsplit('/').next().unwrap_or(uri).to_owned();
        match &segment.range {
            None => _ = files.insert(name, Value::String(entry)),
            Some(range) => {
                let ranges = files.entry(name).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(ranges) = ranges {
                    let key = format!("{}-{}", range.start, range.end.saturating_sub(1));
                    ranges.insert(key, Value::String(entry));
                }
            }
        }
    }
    let mut text = format!("{:#}", Value::Object(files));
    text.push('\n');
    text
}

/// Writes a file at once: whoever reads it sees the old one or the new one.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = file.with_file_name(name);
    fs::write(&beside, text)?;
    fs::rename(&beside, file).inspect_err(|_| _ = fs::remove_file(&beside))
}

fn find(folder: &Path, depth: usize, playlists: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && depth < MAX_DEPTH {
            find(&path, depth + 1, playlists)?;
        } else if path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("m3u8")) {
            playlists.push(path);
        }
    }
    Ok(())
}
