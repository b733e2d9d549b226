//! Decrypts HLS segments with keys that a playlist names (`KEYFORMAT="identity"`), where the browser does not:
//! whole segments on pages that have no WebCrypto, and samples everywhere.
//!
//! No I/O and no state: each call has all that it needs. What is decrypted keeps its length and its place, in every
//! container: boxes and tables that told of encryption are renamed, not removed. So nothing has to be put together
//! anew, and no input makes more than was there. No malformed input panics, and the work is bounded by its length.

mod boxes;
mod fragment;
mod init;
mod modes;
mod samples;
mod ts;
#[cfg(feature = "wasm")]
mod wasm;

use modes::{Aes, Block, Ctr};

/// How bytes are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    /// A whole segment in CBC mode, with PKCS #7 padding (RFC 8216 §5.2).
    Cbc,
    /// A whole segment in CTR mode; the counter is the low 64 bits of the initialization vector's block.
    Ctr,
    /// Samples: in a transport stream or raw audio as Apple's "MPEG-2 Stream Encryption Format for HTTP Live
    /// Streaming" has it, in MP4 by Common Encryption (ISO/IEC 23001-7).
    Samples,
}

/// Why bytes cannot be decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CryptoError {
    /// A key of another length than the cipher's.
    KeyLength,
    /// No whole number of blocks, or no padding behind the last: damaged, or another key.
    Padding,
    /// Neither MP4 nor a transport stream nor audio frames.
    Container,
    /// MP4 that does not say where its samples are, or tells more than there is.
    Boxes,
    /// A protection scheme that is none of `cenc`, `cens`, `cbc1` and `cbcs`.
    Scheme,
}

impl CryptoError {
    /// In words, for an error message.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::KeyLength => "the key has another length than its method needs",
            Self::Padding => "the bytes are damaged, or encrypted with another key",
            Self::Container => "neither MP4 nor a transport stream nor audio frames",
            Self::Boxes => "the boxes of an encrypted fragment are damaged",
            Self::Scheme => "an unknown protection scheme",
        }
    }
}

impl std::fmt::Display for CryptoError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for CryptoError {}

/// Decrypts `data` where it lies.
///
/// `key` has 16 or 32 bytes, for samples 16. `iv` is the playlist's, which samples in MP4 do not need: they bring
/// their own. `init` is the init section of a fragment of MP4, as it came; empty otherwise. An init section itself
/// (`data` with a `moov`) becomes one of clear samples, for what [`decrypt`] makes of its fragments.
///
/// # Errors
/// Says what is wrong; `data` may then be decrypted in part.
pub fn decrypt(
    cipher: Cipher,
    key: &[u8],
    iv: &[u8; 16],
    init: &[u8],
    data: &mut Vec<u8>,
) -> Result<(), CryptoError> {
    let aes = Aes::new(key).ok_or(CryptoError::KeyLength)?;
    match cipher {
        Cipher::Cbc => {
            let (blocks, rest) = data.as_chunks_mut::<16>();
            if !rest.is_empty() {
                return Err(CryptoError::Padding);
            }
            aes.decrypt_cbc(&mut Block::from(*iv), blocks);
            let padding = data.last().copied().filter(|length| (1..=16).contains(length));
            let padding = padding.ok_or(CryptoError::Padding)?;
            let end = data.len() - usize::from(padding);
            if data[end..].iter().any(|byte| *byte != padding) {
                return Err(CryptoError::Padding);
            }
            data.truncate(end);
            Ok(())
        }
        Cipher::Ctr => {
            Ctr::new(*iv).apply(&aes, data);
            Ok(())
        }
        Cipher::Samples if key.len() != 16 => Err(CryptoError::KeyLength),
        Cipher::Samples => match data.get(4..8) {
            Some(
                b"ftyp" | b"styp" | b"moof" | b"moov" | b"sidx" | b"emsg" | b"prft" | b"free"
                | b"skip" | b"uuid" | b"mdat",
            ) => {
                if init::clear(data) {
                    return Ok(());
                }
                fragment::decrypt(&aes, iv, &init::read(init)?, data)
            }
            _ => ts::decrypt(&aes, iv, data),
        },
    }
}
