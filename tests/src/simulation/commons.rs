//! Blocks that many viewers hold, kept once: thousands of stores in one process would not fit otherwise. Most are a piece of
//! the title's filler; the others, which hold a head, are kept here.

use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use super::title::{Title, mix};

/// Sweeps between two clearings of what nobody holds any more.
const CLEAR_EVERY: u32 = 1_000;

/// Hashes one word by mixing it.
#[derive(Debug, Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = mix(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = mix(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.0 = mix(word as u64);
    }
}

type Mixed = BuildHasherDefault<Mixer>;

/// One copy of each block.
#[derive(Debug, Default)]
pub(super) struct Commons {
    blocks: HashMap<u64, Vec<Bytes>, Mixed>,
    /// Where the kept ones lie: most blocks that are offered have been offered before.
    places: HashSet<usize, Mixed>,
    sweeps: u32,
}

impl Commons {
    /// Puts the kept copy in the place of an equal one, or keeps this one.
    pub(super) fn share(&mut self, title: &Title, data: &mut Bytes) {
        if title.is_filler(data) || self.places.contains(&place(data)) {
            return;
        }
        if let Some(filler) = title.filler_like(data) {
            *data = filler;
            return;
        }
        let kept = self.blocks.entry(key(data)).or_default();
        match kept.iter().find(|kept| *kept == data) {
            Some(same) => *data = same.clone(),
            None => {
                self.places.insert(place(data));
                kept.push(data.clone());
            }
        }
    }

    /// Drops what nobody else holds, now and then.
    pub(super) fn swept(&mut self) {
        self.sweeps += 1;
        if self.sweeps.is_multiple_of(CLEAR_EVERY) {
            self.blocks.retain(|_, kept| {
                kept.retain(|data| {
                    let used = !data.is_unique();
                    if !used {
                        self.places.remove(&place(data));
                    }
                    used
                });
                !kept.is_empty()
            });
        }
    }
}

/// Where a block lies. No other block lies there while this one is kept.
fn place(data: &Bytes) -> usize {
    data.as_ptr() as usize
}

/// Tells most blocks apart by a few of their bytes.
fn key(data: &Bytes) -> u64 {
    let word = |at: usize| {
        let mut word = [0; 8];
        let bytes = &data[at.min(data.len())..(at + 8).min(data.len())];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    };
    let middle = data.len() / 2;
    mix(word(0) ^ mix(word(64) ^ mix(word(middle) ^ mix(word(middle + 512) ^ data.len() as u64))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_blocks_become_one_and_others_stay() {
        let mut commons = Commons::default();
        let mut blocks: Vec<Bytes> =
            [1_u8, 1, 2].iter().map(|byte| Bytes::from(vec![*byte; 70_000])).collect();
        // Differs where the key does not look.
        let mut odd = vec![1; 70_000];
        odd[30_000] = 9;
        blocks.push(odd.clone().into());
        let title = Title::new(vec![1_000_000], 4.0, None);
        blocks.iter_mut().for_each(|block| commons.share(&title, block));
        assert_eq!(blocks[0].as_ptr(), blocks[1].as_ptr());
        assert_eq!(blocks[3], odd);
        assert_eq!(commons.blocks.values().map(Vec::len).sum::<usize>(), 3);
        let mut filler = Bytes::from(title.filling(7, 60_000).to_vec());
        commons.share(&title, &mut filler);
        assert_eq!(filler.as_ptr(), title.filling(7, 60_000).as_ptr());
        blocks.truncate(1);
        (0..CLEAR_EVERY).for_each(|_| commons.swept());
        assert_eq!(commons.blocks.values().map(Vec::len).sum::<usize>(), 1);
    }
}
