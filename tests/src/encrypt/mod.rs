//! Encrypts streams as packagers do, so that tests have some: samples in transport streams (SAMPLE-AES) and in
//! fragmented MP4 (Common Encryption). What it makes is checked against ffmpeg, which decrypts both.

mod fmp4;
mod ts;

pub use fmp4::{Auxiliary, Plan, Scheme, encrypt_init, encrypt_segment};
pub use ts::encrypt_ts;

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};

/// A block, a key, an initialization vector.
pub type Block = [u8; 16];

/// AES-128 in the direction that players do not need.
struct Encryptor(Aes128);

impl Encryptor {
    fn new(key: &Block) -> Self {
        Self(Aes128::new(&Array::from(*key)))
    }

    /// The next block in CBC mode.
    fn cbc(&self, chain: &mut Block, block: &mut [u8]) {
        for (byte, before) in block.iter_mut().zip(*chain) {
            *byte ^= before;
        }
        let mut array = Array::try_from(&*block).expect("a block has 16 bytes");
        self.0.encrypt_block(&mut array);
        block.copy_from_slice(&array);
        chain.copy_from_slice(&array);
    }

    /// Bytes in CTR mode, from this place of the key stream.
    fn ctr(&self, iv: &Block, place: &mut usize, bytes: &mut [u8]) {
        for byte in bytes {
            let counter = u128::from_be_bytes(*iv) + (*place / 16) as u128;
            let mut array = Array::from(counter.to_be_bytes());
            self.0.encrypt_block(&mut array);
            *byte ^= array[*place % 16];
            *place += 1;
        }
    }
}
