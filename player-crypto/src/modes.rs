//! Modes of operation (NIST SP 800-38A) on the block cipher of the crate `aes`.

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};

/// A block, and an initialization vector.
pub(crate) type Block = [u8; 16];

/// Blocks that the cipher takes at a time.
const AT_ONCE: usize = 8;

/// The cipher with a key.
pub(crate) enum Aes {
    Short(Aes128),
    Long(Aes256),
}

impl Aes {
    /// With a key of 16 or 32 bytes.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        match key.len() {
            16 => Aes128::new_from_slice(key).ok().map(Self::Short),
            _ => Aes256::new_from_slice(key).ok().map(Self::Long),
        }
    }

    /// Decrypts blocks in CBC mode; `chain` is the vector before and the last block's cipher text after.
    pub(crate) fn decrypt_cbc(&self, chain: &mut Block, blocks: &mut [Block]) {
        for group in blocks.chunks_mut(AT_ONCE) {
            let mut before = [[0; 16]; AT_ONCE];
            let before = &mut before[..group.len()];
            before.copy_from_slice(group);
            let array = Array::cast_slice_from_core_mut(group);
            match self {
                Self::Short(aes) => aes.decrypt_blocks(array),
                Self::Long(aes) => aes.decrypt_blocks(array),
            }
            for (block, cipher) in group.iter_mut().zip(before) {
                xor(block, chain);
                *chain = *cipher;
            }
        }
    }

    fn encrypt(&self, blocks: &mut [Block]) {
        let array = Array::cast_slice_from_core_mut(blocks);
        match self {
            Self::Short(aes) => aes.encrypt_blocks(array),
            Self::Long(aes) => aes.encrypt_blocks(array),
        }
    }
}

/// A key stream in CTR mode. The counter is the low 64 bits of the block (ISO/IEC 23001-7 §9.3).
pub(crate) struct Ctr {
    next: Block,
    stream: [Block; AT_ONCE],
    /// Bytes of `stream` that are used up.
    used: usize,
}

impl Ctr {
    pub(crate) const fn new(iv: Block) -> Self {
        Self { next: iv, stream: [[0; 16]; AT_ONCE], used: AT_ONCE * 16 }
    }

    /// Encrypts or decrypts what comes next.
    pub(crate) fn apply(&mut self, aes: &Aes, mut data: &mut [u8]) {
        while !data.is_empty() {
            if self.used == AT_ONCE * 16 {
                // Small samples are not worth a full round.
                let blocks = data.len().div_ceil(16).min(AT_ONCE);
                let from = AT_ONCE - blocks;
                for block in &mut self.stream[from..] {
                    *block = self.next;
                    let (_, counter) = self.next.split_at_mut(8);
                    let mut number = [0; 8];
                    number.copy_from_slice(counter);
                    let number = u64::from_be_bytes(number).wrapping_add(1);
                    counter.copy_from_slice(&number.to_be_bytes());
                }
                aes.encrypt(&mut self.stream[from..]);
                self.used = from * 16;
            }
            let stream = &self.stream.as_flattened()[self.used..];
            let length = data.len().min(stream.len());
            let (now, later) = data.split_at_mut(length);
            xor(now, stream);
            self.used += length;
            data = later;
        }
    }
}

fn xor(data: &mut [u8], with: &[u8]) {
    for (byte, other) in data.iter_mut().zip(with) {
        *byte ^= other;
    }
}
