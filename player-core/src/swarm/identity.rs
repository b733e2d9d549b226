//! Names that every member of a swarm derives alike.

use sha2::{Digest, Sha256};

use crate::proof::hexadecimal;
use crate::text::split_at_first;
use crate::wire::{InfoHash, RenditionId};

/// The swarm's info hash: the first 20 bytes of SHA-256 over a prefix, the protocol's version and the swarm's id.
#[must_use]
pub fn info_hash(swarm: &str) -> InfoHash {
    let digest = Sha256::digest([b"potluck:1:".as_slice(), swarm.as_bytes()].concat());
    let mut hash = [0; 20];
    hash.copy_from_slice(&digest[..20]);
    InfoHash(hash)
}

/// The info hash that a swarm token names (docs/swarm-tokens.md): its first 40 digits. Only the tracker can tell whether
/// the rest is right. `None`: it is no token.
#[must_use]
pub fn token_swarm(token: &str) -> Option<InfoHash> {
    let name = token.get(..41)?.strip_suffix('.')?;
    hexadecimal(name).map(InfoHash)
}

/// A media playlist's id: a hash of its URL's path, so that hosts and tokens may differ. `nth` counts the
/// playlists before it with the same path.
#[must_use]
pub fn rendition_id(url: &str, nth: u32) -> RenditionId {
    RenditionId(hash32(path(url).as_bytes(), nth))
}

/// A segment's tag: a hash of its file name and byte range, so that peers whose playlists differ do not mix bytes.
#[must_use]
pub fn segment_tag(uri: &str, byte_range: Option<(u64, u64)>) -> u32 {
    let path = path(uri);
    let name = path.rsplit('/').next().unwrap_or(path);
    let (start, end) = byte_range.unwrap_or_default();
    hash32(name.as_bytes(), (start ^ end.rotate_left(16) ^ (start >> 32) ^ (end >> 24)) as u32)
}

/// The path of a URL or of a relative reference, without host, query and fragment.
fn path(url: &str) -> &str {
    let url = &url[..url.find(['?', '#']).unwrap_or(url.len())];
    let Some((_, rest)) = split_at_first(url, "://") else { return url };
    rest.find('/').map_or("/", |at| &rest[at..])
}

/// FNV-1a, finished so that close names end far apart.
fn hash32(bytes: &[u8], salt: u32) -> u32 {
    let mut hash = 0x811c_9dc5u32;
    for byte in bytes.iter().copied().chain(salt.to_le_bytes()) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    hash ^= hash >> 15;
    hash = hash.wrapping_mul(0x2c1b_3c6d);
    hash ^ (hash >> 13)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_tokens_do_not_change_a_rendition() {
        let id = rendition_id("https://a.example/hls/720.m3u8?token=1", 0);
        assert_eq!(id, rendition_id("http://cdn.example:8080/hls/720.m3u8#x", 0));
        assert_ne!(id, rendition_id("https://a.example/hls/480.m3u8", 0));
        assert_ne!(id, rendition_id("https://a.example/hls/720.m3u8", 1));
    }

    #[test]
    fn another_file_or_range_is_another_tag() {
        let tag = segment_tag("seg-1.m4s?x=1", None);
        assert_eq!(tag, segment_tag("https://cdn.example/v/seg-1.m4s", None));
        assert_ne!(tag, segment_tag("seg-2.m4s", None));
        assert_ne!(
            segment_tag("all.mp4", Some((0, 100))),
            segment_tag("all.mp4", Some((100, 200)))
        );
    }

    #[test]
    fn a_token_names_a_swarm_and_anything_else_none() {
        let name = "000102030405060708090a0b0c0d0e0f10111213";
        let named = Some(InfoHash(std::array::from_fn(|byte| byte as u8)));
        assert_eq!(token_swarm(&format!("{name}.1700000000.00")), named);
        assert_eq!(token_swarm(&format!("{name}.")), named);
        for wrong in
            ["", name, "x", &format!("{name}0."), &format!("{}g.1.00", &name[1..]), &"é".repeat(41)]
        {
            assert_eq!(token_swarm(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn swarms_have_hashes_of_their_own() {
        assert_ne!(info_hash("a"), info_hash("b"));
    }
}
