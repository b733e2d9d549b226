//! What waits to be written to slow sockets: bounded for each, and for all together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

/// Messages that wait for one socket; more are dropped.
const MESSAGES: usize = 256;
/// Bytes that wait for one socket; what is beyond is dropped. Some twenty offers.
const BYTES: usize = 128 << 10;
/// Bytes that wait for all sockets together.
const PILE: usize = 64 << 20;

/// Bytes that wait for all sockets.
#[derive(Debug, Default)]
pub(super) struct Pile(AtomicUsize);

#[derive(Debug)]
struct Counts {
    mine: AtomicUsize,
    all: Arc<Pile>,
}

impl Counts {
    /// Counts so many bytes more, if they fit.
    fn add(&self, bytes: usize) -> bool {
        let fit = |count: &AtomicUsize, most: usize| {
            let more = |now: usize| now.checked_add(bytes).filter(|then| *then <= most);
            count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
        };
        if !fit(&self.mine, BYTES) {
            return false;
        }
        let fits = fit(&self.all.0, PILE);
        if !fits {
            self.mine.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }

    fn remove(&self, bytes: usize) {
        self.mine.fetch_sub(bytes, Ordering::Relaxed);
        self.all.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A message that waits; it counts until it is dropped.
#[derive(Debug)]
struct Letter {
    text: String,
    counts: Arc<Counts>,
}

impl Drop for Letter {
    fn drop(&mut self) {
        self.counts.remove(self.text.len());
    }
}

/// Where messages for a socket are put.
#[derive(Debug)]
pub(super) struct Outbox {
    sender: mpsc::Sender<Letter>,
    counts: Arc<Counts>,
}

/// Where they are taken from.
#[derive(Debug)]
pub(super) struct Waiting(mpsc::Receiver<Letter>);

/// The two ends of a socket's queue.
pub(super) fn new(all: Arc<Pile>) -> (Outbox, Waiting) {
    let (sender, receiver) = mpsc::channel(MESSAGES);
    let counts = Arc::new(Counts { mine: AtomicUsize::new(0), all });
    (Outbox { sender, counts }, Waiting(receiver))
}

impl Outbox {
    /// Puts a message behind the others; whether there was room.
    pub(super) fn put(&self, text: String) -> bool {
        if !self.counts.add(text.len()) {
            return false;
        }
        self.sender.try_send(Letter { text, counts: self.counts.clone() }).is_ok()
    }
}

impl Waiting {
    /// The next message; `None` when the outbox is gone and the last one has been taken.
    pub(super) async fn recv(&mut self) -> Option<String> {
        self.0.recv().await.map(|mut letter| {
            letter.counts.remove(letter.text.len());
            std::mem::take(&mut letter.text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_socket_keeps_so_many_bytes_and_those_beyond_are_dropped() {
        let pile = Arc::new(Pile::default());
        let (outbox, mut waiting) = new(pile.clone());
        let letter = "x".repeat(30 << 10);
        let put = (0..10).filter(|_| outbox.put(letter.clone())).count();
        assert_eq!(put, 4);
        assert!(outbox.put("small".to_owned()), "an answer still fits");
        assert_eq!(pile.0.load(Ordering::Relaxed), 4 * (30 << 10) + 5);
        assert_eq!(now(waiting.recv()).as_deref(), Some(&*letter));
        assert!(outbox.put(letter), "what was taken has made room");
        drop((outbox, waiting));
        assert_eq!(pile.0.load(Ordering::Relaxed), 0, "what was never taken counts no more");
    }

    #[test]
    fn a_queue_of_small_messages_ends_too() {
        let pile = Arc::new(Pile::default());
        let (outbox, waiting) = new(pile.clone());
        assert_eq!((0..1000).filter(|_| outbox.put("x".to_owned())).count(), MESSAGES);
        assert_eq!(pile.0.load(Ordering::Relaxed), MESSAGES);
        drop(waiting);
        assert!(!outbox.put("x".to_owned()));
        assert_eq!(pile.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn all_slow_sockets_together_keep_so_many_bytes() {
        let pile = Arc::new(Pile::default());
        let letter = "x".repeat(BYTES);
        let sockets: Vec<_> = (0..1000).map(|_| new(pile.clone())).collect();
        let put = sockets.iter().filter(|(outbox, _)| outbox.put(letter.clone())).count();
        assert_eq!(put, PILE / BYTES);
        assert!(!sockets[999].0.put(letter), "one that has nothing waits too");
        drop(sockets);
        assert_eq!(pile.0.load(Ordering::Relaxed), 0);
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }
}
