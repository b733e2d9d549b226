//! Potluck's engine, without I/O.
//!
//! [`Player`] takes [`Input`]s and gives [`Output`]s; a shell (the browser worker in `player-wasm`, the virtual network
//! in `tests`) carries them out. One input is one mutation, followed by a full drain of the outputs:
//!
//! ```text
//! player.handle_input(now, input);
//! while let Some(output) = player.poll_output() { /* carry it out */ }
//! // wait for the next input, or until player.poll_timeout()
//! ```
//!
//! There is no I/O, no clock and no randomness in here: time comes with each input, the seed with [`Player::new`], maps
//! are ordered. The same inputs give the same outputs, bit for bit. Nothing that a server, a peer or a page sends may
//! panic: an error is bad input, a panic a broken invariant.

// What tests inside and outside share names the crate as those outside do.
#[cfg(test)]
extern crate self as player_core;

mod abr;
mod buffer;
pub mod config;
pub mod error;
pub mod hls;
pub mod io;
mod json;
mod media;
mod ordered;
mod player;
pub mod proof;
mod queue;
pub mod recording;
pub mod stats;
mod steering;
mod store;
pub mod swarm;
pub mod text;
pub mod time;
pub mod trace;
pub mod tracker;
pub mod wire;

pub use config::{Config, P2pMode};
pub use error::PlayerError;
pub use io::{Input, Output};
pub use ordered::{OrderedMap, OrderedSet};
pub use player::Player;
pub use queue::Queue;
pub use stats::Stats;
pub use time::Instant;

/// When a segment of fragmented MP4 starts, in seconds of its own timeline, as the player reads it. For fuzzing.
#[doc(hidden)]
pub fn read_fmp4(init: &[u8], segment: &[u8]) -> Option<f64> {
    let _ = media::sniff(segment);
    let (init, segment) = without_empty_edits(init, segment)?;
    let init = media::read_init(&init)?;
    let _ = media::mime_type(io::Track::Main, &init.codecs());
    media::presentation_start(&init, &segment)
}

/// An init section and a segment as browsers get them if edit lists have empty edits. For tests.
#[doc(hidden)]
pub fn without_empty_edits(init: &[u8], segment: &[u8]) -> Option<(bytes::Bytes, bytes::Bytes)> {
    let section = media::read_init(init)?;
    Some((media::without_empty_edits(init), media::delayed(&section, segment)))
}
