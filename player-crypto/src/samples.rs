//! One sample, by its scheme (ISO/IEC 23001-7 §9, §10).

use crate::init::{Protection, Scheme};
use crate::modes::{Aes, Block, Ctr};

/// Decrypts one sample, part by part.
pub(crate) struct SampleCipher<'a> {
    aes: &'a Aes,
    scheme: Scheme,
    protection: Protection,
    iv: Block,
    chain: Block,
    stream: Ctr,
}

impl<'a> SampleCipher<'a> {
    /// With the sample's initialization vector.
    pub(crate) const fn new(
        aes: &'a Aes,
        scheme: Scheme,
        protection: Protection,
        iv: Block,
    ) -> Self {
        Self { aes, scheme, protection, iv, chain: iv, stream: Ctr::new(iv) }
    }

    /// Decrypts the protected part of the next subsample, or all of a sample that has none.
    pub(crate) fn apply(&mut self, mut data: &mut [u8]) {
        match self.scheme {
            Scheme::Cenc => return self.stream.apply(self.aes, data),
            // Each subsample begins with the vector anew (§10.4.2); in the others one stream runs through.
            Scheme::Cbcs => self.chain = self.iv,
            Scheme::Cens | Scheme::Cbc1 => {}
        }
        let (crypt, skip) = match (self.protection.crypt_blocks, self.protection.skip_blocks) {
            (0, _) | (_, 0) => (data.len() / 16, 0),
            (crypt, skip) => (usize::from(crypt), usize::from(skip)),
        };
        // What is less than a block at the end is clear.
        while data.len() >= 16 {
            let length = crypt.min(data.len() / 16) * 16;
            let (now, later) = data.split_at_mut(length);
            if self.scheme == Scheme::Cens {
                self.stream.apply(self.aes, now);
            } else {
                self.aes.decrypt_cbc(&mut self.chain, now.as_chunks_mut().0);
            }
            let clear = (skip * 16).min(later.len());
            data = &mut later[clear..];
        }
    }
}
