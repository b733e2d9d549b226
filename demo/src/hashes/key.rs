//! The publisher's key: a file with the secret half, and what it signs.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use ed25519_compact::{KeyPair, Seed};
use player_core::proof::{hexadecimal, push_hexadecimal};

/// First line of a key file.
const HEAD: &str = "potluck secret key 1";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file is there already.
    #[error("{0} is there already: a key that is replaced cannot be had back; name another file")]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("cannot write {0}: {1}")]
    Write(PathBuf, io::Error),
    /// The file cannot be read.
    #[error("cannot read {0}: {1}; `potluck keygen FILE` makes one")]
    Read(PathBuf, io::Error),
    /// The file is something else.
    #[error("{0} is no key of Potluck's: want the file that `potluck keygen FILE` wrote")]
    NoKey(PathBuf),
}

/// Signs with the publisher's key.
#[derive(Clone)]
pub struct Signer(KeyPair);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.public_key())
    }
}

impl Signer {
    /// Reads a key file.
    ///
    /// # Errors
    ///
    /// It is missing, or no key file.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| KeyError::Read(path.to_owned(), error))?;
        let seed = text.strip_prefix(HEAD).and_then(|rest| hexadecimal::<32>(rest.trim()));
        let seed = seed.ok_or_else(|| KeyError::NoKey(path.to_owned()))?;
        Ok(Self::from_seed(seed))
    }

    /// The key whose secret half is this.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(KeyPair::from_seed(Seed::new(seed)))
    }

    /// The secret half.
    pub(crate) fn seed(&self) -> [u8; 32] {
        *self.0.sk.seed()
    }

    /// 64 hexadecimal digits: for `publisher-key`.
    #[must_use]
    pub fn public_key(&self) -> String {
        let mut text = String::new();
        push_hexadecimal(&mut text, &self.0.pk[..]);
        text
    }

    /// An Ed25519 signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        *self.0.sk.sign(message, None)
    }
}

/// Makes a key, and writes it into a new file that only its owner may read.
///
/// # Errors
///
/// The file is there already, or cannot be written.
pub fn generate(path: &Path) -> Result<Signer, KeyError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyError::Exists(path.to_owned()),
        _ => KeyError::Write(path.to_owned(), error),
    })?;
    let seed = Seed::generate();
    let mut text = format!("{HEAD}\n");
    push_hexadecimal(&mut text, &seed[..]);
    text.push('\n');
    file.write_all(text.as_bytes()).map_err(|error| KeyError::Write(path.to_owned(), error))?;
    Ok(Signer(KeyPair::from_seed(seed)))
}
