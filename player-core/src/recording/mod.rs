//! Recordings: all that a player was told, and a check of what it said, as bytes that can be replayed elsewhere.
//!
//! The same configuration, seed and inputs give the same outputs, bit for bit. So a recording of a viewer's session is a
//! bug report that can be run again, as often as it takes. A [`Recorder`] writes one beside a player, [`entries`] reads
//! it, and a [`Replay`] gives it to a player of its own and says where that says something else.
//!
//! A recording is a list of entries; this table is the specification of version 1. Recordings may be put one behind the
//! other.
//!
//! | first byte | entry     | what follows                                                                           |
//! |------------|-----------|----------------------------------------------------------------------------------------|
//! | `0x50`     | beginning | `OTLUCKR`, and the version as `u8`. Time begins at 0 again                               |
//! | `0x01`     | player    | a player takes the place of the last one: its seed `f64`, its [`Config`]                  |
//! | `0x02`     | step      | microseconds since the step before `v`, the [`Input`], the number of outputs `v`, a byte for what each is; if there are any, a hash `f64` of all of them |
//! | `0x03`     | full      | nothing: no more was recorded                                                           |
//!
//! `v` is a LEB128 number, `f64` eight bytes, little-endian. Inputs and configuration are in `codec.rs`, what is hashed
//! of outputs in `digest.rs`.
//!
//! **What is not in it.** Nobody's network address: session descriptions have their length and nothing else, wherever they
//! are, and so have strings of trackers that the core does not read (`mask.rs`). No keys that a stream loads. All else is
//! there as it came: URLs with their query, playlists, and the media.

mod codec;
mod digest;
mod mask;
mod replay;
#[cfg(test)]
mod tests;

use crate::config::Config;
use crate::io::{FetchKind, Input, Output, RequestId};
use crate::time::Instant;

pub use codec::RecordingError;
pub use replay::{Divergence, Entry, Replay, Said, entries};

/// Bytes of one recording at most, about: nothing is recorded beyond.
pub const MAX_RECORDING_BYTES: usize = 128 << 20;
/// Requests for keys at once whose answers are left out; further ones would be recorded.
const MAX_KEYS: usize = 256;

const BEGINNING: &[u8; 9] = b"POTLUCKR\x01";
const PLAYER: u8 = 1;
const STEP: u8 = 2;
const FULL: u8 = 3;

/// Writes a recording, entry by entry. To be told of a player before its first input, of each input before the player is,
/// and of each output.
#[derive(Debug)]
pub struct Recorder {
    out: Vec<u8>,
    /// Bytes that were taken.
    taken: usize,
    last: Instant,
    /// A player has begun.
    begun: bool,
    full: bool,
    /// An input is written whose outputs are not.
    open: bool,
    outputs: digest::Digest,
    keys: Vec<RequestId>,
}

impl Default for Recorder {
    #[inline(never)]
    fn default() -> Self {
        Self {
            out: BEGINNING.to_vec(),
            taken: 0,
            last: Instant::default(),
            begun: false,
            full: false,
            open: false,
            outputs: digest::Digest::default(),
            keys: Vec::new(),
        }
    }
}

impl Recorder {
    /// A player begins, with this configuration and seed.
    #[inline(never)]
    pub fn player(&mut self, config: &Config, seed: u64) {
        self.close();
        if self.full {
            return;
        }
        self.begun = true;
        self.keys.clear();
        self.out.push(PLAYER);
        self.out.extend(seed.to_le_bytes());
        codec::put_config(&mut self.out, config);
    }

    /// The player is told this.
    #[inline(never)]
    pub fn input(&mut self, now: Instant, input: &Input) {
        self.close();
        if !self.begun || self.full {
            return;
        }
        if self.taken + self.out.len() > MAX_RECORDING_BYTES {
            self.full = true;
            self.out.push(FULL);
            return;
        }
        self.out.push(STEP);
        codec::put_number(&mut self.out, now.since(self.last).as_micros() as u64);
        self.last = now;
        let secret = match input {
            Input::FetchChunk { id, .. } => self.keys.contains(id),
            Input::FetchDone { id } | Input::FetchFailed { id } => {
                self.keys.retain(|key| key != id);
                false
            }
            _ => false,
        };
        codec::put_input(&mut self.out, input, secret);
        self.open = true;
    }

    /// The player said this.
    #[inline(never)]
    pub fn output(&mut self, output: &Output) {
        if !self.open {
            return;
        }
        match output {
            Output::Fetch(request)
                if request.kind == FetchKind::Key && self.keys.len() < MAX_KEYS =>
            {
                self.keys.push(request.id);
            }
            Output::CancelFetch(id) => self.keys.retain(|key| key != id),
            _ => {}
        }
        self.outputs.add(output);
    }

    /// Bytes that wait to be [taken](Self::take), about.
    #[must_use]
    pub const fn pending(&self) -> usize {
        self.out.len()
    }

    /// What was written since the last time. To be called between one input's last output and the next input.
    #[must_use]
    #[inline(never)]
    pub fn take(&mut self) -> Vec<u8> {
        self.close();
        self.taken += self.out.len();
        std::mem::take(&mut self.out)
    }

    /// Writes what followed the last input.
    fn close(&mut self) {
        if std::mem::take(&mut self.open) {
            self.outputs.put(&mut self.out);
        }
    }
}
