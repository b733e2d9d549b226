//! A limit on what the origin sends: one queue for all responses.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How much may be sent at once after a pause.
const BURST: Duration = Duration::from_millis(50);

/// A token bucket, kept as the time at which it is full.
pub(crate) struct Limit {
    bytes_per_second: f64,
    next: Mutex<Instant>,
}

impl Limit {
    /// A limit of so many bytes a second, at least one.
    pub(crate) fn new(bytes_per_second: f64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1.0), next: Mutex::new(Instant::now()) }
    }

    /// How many bytes may be sent in `time`, at least one.
    pub(crate) fn bytes_in(&self, time: Duration) -> usize {
        ((self.bytes_per_second * time.as_secs_f64()) as usize).max(1)
    }

    /// Waits until `bytes` may be sent. Callers are served in the order in which they come.
    pub(crate) async fn take(&self, bytes: usize) {
        let cost = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        let start = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let start = (*next).max(now.checked_sub(BURST).unwrap_or(now));
            *next = start + cost;
            start + cost
        };
        tokio::time::sleep_until(start).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test(start_paused = true)]
    async fn two_takers_share_one_rate() {
        let limit = Arc::new(Limit::new(100_000.0));
        let began = Instant::now();
        let taker = |limit: Arc<Limit>| async move {
            for _ in 0..50 {
                limit.take(10_000).await;
            }
        };
        tokio::join!(taker(limit.clone()), taker(limit.clone()));
        // A million bytes at 100,000 a second.
        let took = began.elapsed().as_secs_f64();
        assert!((9.9..10.1).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_saves_up_no_more_than_a_burst() {
        let limit = Limit::new(100_000.0);
        tokio::time::advance(Duration::from_secs(60)).await;
        let began = Instant::now();
        limit.take(100_000).await;
        assert!(began.elapsed() >= Duration::from_secs(1) - BURST);
    }
}
