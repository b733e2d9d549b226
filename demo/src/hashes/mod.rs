//! Hash lists (`docs/hash-lists.md`): what they say of a segment, and how they get into playlists.

mod command;
mod key;

use std::io::{self, Read};
use std::ops::Range;

use player_core::proof::{Entry, Hash, Proof, block_hash, push_hexadecimal, root};
use player_core::wire::{BLOCK_BYTES, MAX_SEGMENT_BYTES};

pub use command::{Form, HashError, Hasher, Summary};
pub use key::{KeyError, Signer, generate};

/// The tag in front of each segment.
const TAG: &str = "#EXT-X-POTLUCK-HASH:";

/// What is said of a segment's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    /// The root over its blocks' hashes.
    pub root: Hash,
    /// Bytes.
    pub size: u64,
}

impl Digest {
    /// Reads all that there is.
    ///
    /// # Errors
    ///
    /// Reading fails.
    pub fn of(mut reader: impl Read) -> io::Result<Self> {
        let mut blocks = Vec::new();
        let mut size = 0;
        let mut block = Vec::with_capacity(BLOCK_BYTES as usize);
        loop {
            block.clear();
            let count = reader.by_ref().take(BLOCK_BYTES.into()).read_to_end(&mut block)?;
            if count == 0 {
                break;
            }
            size += count as u64;
            blocks.push(block_hash(&block));
        }
        Ok(Self { root: root(&blocks), size })
    }

    /// Whether segments of this size are shared at all.
    #[must_use]
    pub fn is_listable(&self) -> bool {
        (1..=u64::from(MAX_SEGMENT_BYTES)).contains(&self.size)
    }

    /// The entry for a segment. `name` is the end of its path, which a signature covers.
    #[must_use]
    pub fn entry(&self, name: &str, signer: Option<&Signer>) -> String {
        let mut text = String::from("ROOT=0x");
        push_hexadecimal(&mut text, &self.root);
        text += &format!(",SIZE={}", self.size);
        if let Some(signer) = signer {
            let entry = Entry {
                proof: Proof::Root(self.root),
                size: u32::try_from(self.size).ok(),
                name: name.to_owned(),
                signature: None,
            };
            text += &format!(",NAME=\"{name}\",SIGNATURE=0x");
            push_hexadecimal(&mut text, &signer.sign(entry.message().as_bytes()));
        }
        text
    }
}

/// A segment as a media playlist lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its URI as written.
    pub uri: String,
    /// The bytes of the file that it is; all if `None`.
    pub range: Option<Range<u64>>,
}

/// The segments of a media playlist; none of a multivariant one.
#[must_use]
pub fn listed(text: &str) -> Vec<Listed> {
    let mut segments = Vec::new();
    let (mut segment, mut range, mut end) = (false, None, 0_u64);
    for line in text.lines().map(str::trim) {
        if line.starts_with("#EXTINF") {
            segment = true;
        } else if let Some(value) = line.strip_prefix("#EXT-X-BYTERANGE:") {
            let (length, start) = value.split_once('@').unwrap_or((value, ""));
            let length: u64 = length.trim().parse().unwrap_or(0);
            let start: u64 = start.trim().parse().unwrap_or(end);
            range = Some(start..start.saturating_add(length));
        } else if !line.is_empty() && !line.starts_with('#') {
            if segment {
                end = range.as_ref().map_or(0, |range: &Range<u64>| range.end);
                segments.push(Listed { uri: line.to_owned(), range: range.take() });
            }
            (segment, range) = (false, None);
        }
    }
    segments
}

/// The playlist with these entries for its segments, in their order, instead of those that it had.
#[must_use]
pub fn tagged(text: &str, entries: &[Option<String>]) -> String {
    let mut out = String::with_capacity(text.len() + entries.len() * 120);
    let mut entries = entries.iter();
    let mut segment = false;
    for line in text.lines() {
        let bare = line.trim();
        if bare.starts_with(TAG) {
            continue;
        }
        segment |= bare.starts_with("#EXTINF");
        if segment && !bare.is_empty() && !bare.starts_with('#') {
            segment = false;
            if let Some(Some(entry)) = entries.next() {
                out.push_str(TAG);
                out.push_str(entry);
                out.push('\n');
            }
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// A path of segments below a folder: without `.`, never out of it, and not on another host.
#[must_use]
pub fn path_of(folder: &str, uri: &str) -> Option<String> {
    let uri = uri.split(['?', '#']).next().unwrap_or(uri);
    if uri.contains("://") || uri.starts_with('/') || uri.contains('\\') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in uri.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
