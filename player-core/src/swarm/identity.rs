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

/// A media playlist's id: a hash of its `STABLE-VARIANT-ID` or `STABLE-RENDITION-ID` (RFC 8216bis §4.4.6), and without one of
/// its path as seen from the main playlist's folder, so that hosts, and tokens in the query or in front of the path, may differ from
/// viewer to viewer. `nth` counts the playlists before it of the same name.
#[must_use]
pub fn rendition_id(url: &str, main: &str, stable_id: Option<&str>, nth: u32) -> RenditionId {
    let (url, main) = (path(url).as_bytes(), path(main).as_bytes());
    let same = url.iter().zip(main).take_while(|(one, other)| one == other).count();
    let folder = url[..same].iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    RenditionId(hash32(stable_id.map_or(&url[folder..], str::as_bytes), nth))
}

/// What the parts of a media playlist are in the swarm: a rendition of their own.
#[must_use]
pub fn parts_id(list: RenditionId) -> RenditionId {
    RenditionId(hash32(b"/parts", list.0))
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

    /// The id of a playlist without a stable one.
    fn id(url: &str, main: &str) -> RenditionId {
        rendition_id(url, main, None, 0)
    }

    #[test]
    fn hosts_and_tokens_do_not_change_a_rendition() {
        let known =
            id("https://a.example/hls/v/720.m3u8?token=1", "https://a.example/hls/all.m3u8");
        for (url, main) in [
            ("http://cdn.example:8080/hls/v/720.m3u8#x", "https://a.example/hls/all.m3u8?token=2"),
            (
                "https://a.example/exp=9~mac=7f/hls/v/720.m3u8",
                "https://a.example/exp=9~mac=7f/hls/",
            ),
            ("https://a.example/exp=9~mac=é/v/720.m3u8", "https://a.example/exp=9~mac=é/all.m3u8"),
            ("v/720.m3u8", "all.m3u8"),
        ] {
            assert_eq!(known, id(url, main), "{url}");
        }
        for (url, main) in [
            ("https://a.example/hls/v/480.m3u8", "https://a.example/hls/all.m3u8"),
            ("https://a.example/hls/720.m3u8", "https://a.example/hls/all.m3u8"),
            ("https://a.example/hls/w/720.m3u8", "https://a.example/hls/v/all.m3u8"),
        ] {
            assert_ne!(known, id(url, main), "{url}");
        }
        let main = "https://a.example/hls/all.m3u8";
        assert_ne!(known, rendition_id("https://a.example/hls/v/720.m3u8", main, None, 1));
        // Played without a multivariant playlist.
        let alone = "https://a.example/1f/720.m3u8";
        assert_eq!(id(alone, alone), id("/2e/720.m3u8", "/2e/720.m3u8"));
    }

    #[test]
    fn a_stable_id_names_a_rendition_wherever_it_is() {
        let stable = |url, of| rendition_id(url, "/all.m3u8", Some(of), 0);
        assert_eq!(stable("/8a7f/v.m3u8", "hd"), stable("https://cdn.example/91cc.m3u8", "hd"));
        assert_ne!(stable("/8a7f/v.m3u8", "hd"), stable("/8a7f/v.m3u8", "sd"));
    }

    #[test]
    fn parts_are_of_another_rendition() {
        let list = id("/720.m3u8", "/all.m3u8");
        assert_ne!(parts_id(list), list);
        assert_ne!(parts_id(list), parts_id(id("/480.m3u8", "/all.m3u8")));
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
