//! What the simulator drives: anything with the core's loop.

use bytes::Bytes;
use player_core::io::{Input, Output};
use player_core::stats::Stats;
use player_core::time::Instant;
use player_core::{Config, Player};

/// A player without I/O. Baselines and test doubles implement it beside the real core.
pub trait Engine: Send {
    /// A new player; `seed` is its only randomness.
    fn new(config: Config, seed: u64) -> Self;
    /// One mutation.
    fn handle_input(&mut self, now: Instant, input: Input);
    /// The next output, until there is none.
    fn poll_output(&mut self) -> Option<Output>;
    /// When it wants a tick.
    fn poll_timeout(&self) -> Option<Instant>;
    /// Its own counters.
    fn stats(&self, now: Instant) -> Stats;
    /// Offers each block that it keeps, to be replaced by equal bytes that others keep too.
    fn share_bytes(&mut self, _share: impl FnMut(&mut Bytes)) {}
}

impl Engine for Player {
    fn new(config: Config, seed: u64) -> Self {
        Self::new(config, seed)
    }

    fn handle_input(&mut self, now: Instant, input: Input) {
        self.handle_input(now, input);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.poll_output()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn stats(&self, now: Instant) -> Stats {
        self.stats(now)
    }

    fn share_bytes(&mut self, share: impl FnMut(&mut Bytes)) {
        self.share_bytes(share);
    }
}
