//! What a segment's bytes have to hash to: `docs/hash-lists.md` is the specification.

use sha2::{Digest, Sha256};

use crate::text::push_decimal;
use crate::wire::MAX_SEGMENT_BYTES;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// What is known of a segment's bytes before they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Proof {
    /// Nothing: spot checks have to do.
    #[default]
    None,
    /// There should be a hash, and it is not here (yet), or its signature does not hold: only the origin is believed,
    /// and nothing is passed on.
    Awaited,
    /// The root over the hashes of its blocks.
    Root(Hash),
    /// SHA-256 of the whole segment.
    Whole(Hash),
}

/// What a publisher says of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its hash.
    pub proof: Proof,
    /// Its size in bytes; known with a root.
    pub size: Option<u32>,
    /// What its signature covers beside hash and size: the end of the segment's path, as the publisher names it.
    pub name: String,
    /// Ed25519 signature over [`Entry::message`] (RFC 8032 §5.1).
    pub signature: Option<[u8; 64]>,
}

impl Entry {
    /// Reads the attributes of `EXT-X-POTLUCK-HASH`, or 64 hexadecimal digits: SHA-256 of a whole segment, as PeerTube
    /// writes it.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        let mut entry =
            Self { proof: Proof::None, size: None, name: String::new(), signature: None };
        if let Some(hash) = hexadecimal(text) {
            entry.proof = Proof::Whole(hash);
            return Some(entry);
        }
        for attribute in text.split(',') {
            let (name, value) = attribute.split_at_checked(attribute.find('=')?)?;
            let mut value = value[1..].trim_ascii();
            let digits = value.strip_prefix("0x");
            match name.trim_ascii() {
                "ROOT" => entry.proof = Proof::Root(hexadecimal(digits?)?),
                "SIZE" => {
                    let size = u32::try_from(crate::hls::number::integer(value)?).ok()?;
                    entry.size = (1..=MAX_SEGMENT_BYTES).contains(&size).then_some(size);
                }
                "NAME" => {
                    while let Some(bare) =
                        value.strip_prefix('"').or_else(|| value.strip_suffix('"'))
                    {
                        value = bare;
                    }
                    value.clone_into(&mut entry.name);
                }
                "SIGNATURE" => entry.signature = Some(hexadecimal(digits?)?),
                _ => {}
            }
        }
        (entry.proof != Proof::None && entry.size.is_some()).then_some(entry)
    }

    /// What is signed: a line that says what it is, then name, size and root, a line each.
    #[must_use]
    pub fn message(&self) -> String {
        let mut out = ["potluck hash 1\n", &self.name, "\n"].concat();
        push_decimal(&mut out, self.size.unwrap_or(0).into(), 1);
        out.push('\n');
        if let Proof::Root(hash) | Proof::Whole(hash) = &self.proof {
            push_hexadecimal(&mut out, hash);
        }
        out.push('\n');
        out
    }

    /// Whether the signature's name is the end of this path.
    #[must_use]
    pub fn names(&self, path: &str) -> bool {
        !self.name.is_empty()
            && path
                .strip_suffix(self.name.as_str())
                .is_some_and(|before| matches!(before.as_bytes(), [] | [.., b'/']))
    }
}

/// The hash of a block: SHA-256 over a zero byte and the block (RFC 6962 §2.1).
#[must_use]
pub fn block_hash(block: &[u8]) -> Hash {
    digest(&[&[0], block])
}

/// The root over the hashes of a segment's blocks (RFC 6962 §2.1).
#[must_use]
pub fn root(blocks: &[Hash]) -> Hash {
    let mut level = blocks.to_vec();
    while level.len() > 1 {
        // The last of an odd number goes up as it is: the same tree as that of the RFC's recursion.
        let mut up = Vec::new();
        for pair in level.chunks(2) {
            up.push(match pair {
                [left, right] => digest(&[&[1], left, right]),
                rest => rest[0],
            });
        }
        level = up;
    }
    level.first().copied().unwrap_or_default()
}

/// SHA-256 over parts.
#[must_use]
pub fn digest(parts: &[&[u8]]) -> Hash {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update(part);
    }
    sha.finalize().into()
}

/// Exactly `2 N` hexadecimal digits.
#[must_use]
pub fn hexadecimal<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    hexadecimal_into(text, &mut out)?;
    Some(out)
}

#[inline(never)]
fn hexadecimal_into(text: &str, out: &mut [u8]) -> Option<()> {
    if text.len() != 2 * out.len() {
        return None;
    }
    for (place, digit) in text.bytes().enumerate() {
        out[place / 2] = out[place / 2] << 4 | (digit as char).to_digit(16)? as u8;
    }
    Some(())
}

/// Appends two lower-case hexadecimal digits for each byte.
pub fn push_hexadecimal(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            out.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
