//! The module's face to JavaScript.

#![allow(unreachable_pub, reason = "wasm-bindgen exports it")]

use wasm_bindgen::prelude::*;

use crate::{Cipher, CryptoError};

/// Decrypts bytes; see [`crate::decrypt`]. `cipher` is `aes-cbc`, `aes-ctr` or `samples`, `iv` has 16 bytes.
///
/// Nothing: the bytes are damaged, or the key is another.
///
/// # Errors
/// For an unknown protection scheme.
#[wasm_bindgen]
pub fn decrypt(
    cipher: &str,
    key: &[u8],
    iv: &[u8],
    init: &[u8],
    mut data: Vec<u8>,
) -> Result<Option<Vec<u8>>, String> {
    let cipher = match cipher {
        "aes-cbc" => Cipher::Cbc,
        "aes-ctr" => Cipher::Ctr,
        _ => Cipher::Samples,
    };
    let iv = iv.first_chunk().copied().unwrap_or_default();
    match crate::decrypt(cipher, key, &iv, init, &mut data) {
        Ok(()) => Ok(Some(data)),
        Err(error @ CryptoError::Scheme) => Err(error.message().to_owned()),
        Err(_) => Ok(None),
    }
}
