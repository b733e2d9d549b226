//! The event queue: what happens next, in virtual time, always in the same order.

use player_core::io::{Input, RequestId, Track};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::net::Frame;
use super::origin::Response;

/// What happens to one viewer. Small, because millions wait in the queue; the few large ones are boxed.
#[derive(Debug)]
pub(super) enum Event {
    /// It opens the page.
    Begin(u32),
    /// It leaves: abruptly, or not.
    Leave(u32, bool),
    /// An action of the scenario's script.
    Script(u32, u32),
    /// The tracker goes down.
    TrackerDown(u32),
    /// `poll_timeout` has come.
    Tick(u32),
    /// The media element reports its state.
    Playhead(u32),
    /// The media element reports a change, out of turn.
    Changed(u32),
    /// A media command is done.
    MediaDone(u32, Track),
    /// Anything that is told to a core without more ado.
    Input(u32, Box<Input>),
    /// A viewer's uplink is free for the next frame.
    Uplink(u32),
    /// A frame reaches its receiver's downlink.
    Arrive { viewer: u32, connection: u32, frame: Box<Frame> },
    /// A frame has passed its receiver's downlink.
    Deliver { viewer: u32, connection: u32, frame: Box<Frame> },
    /// The sender learns that so many bytes have been received.
    Credit { viewer: u32, connection: u32, bytes: u32 },
    /// A send buffer has drained.
    Writable { viewer: u32, connection: u32 },
    /// The data channel opens.
    Established { viewer: u32, connection: u32 },
    /// One end learns that the other has gone.
    PeerGone { viewer: u32, connection: u32 },
    /// A connection attempt that came to nothing is given up.
    ConnectTimeout { viewer: u32, connection: u32 },
    /// A response's head reaches the viewer; `None`: the connection was refused.
    Head { viewer: u32, id: RequestId, response: Option<Arc<Response>> },
    /// Some of a response reaches the viewer's downlink.
    ChunkArrive { viewer: u32, id: RequestId, offset: u32, len: u32 },
    /// It has passed the downlink.
    ChunkDeliver { viewer: u32, id: RequestId, offset: u32, len: u32 },
    /// A message comes back from a tracker.
    FromTracker(u32, Box<(u32, String)>),
    /// The tracker's socket opens, or fails to.
    TrackerOpens { viewer: u32, tracker: u32 },
}

/// What happens to what all viewers share: the origin, the tracker, who is there.
#[derive(Debug)]
pub(super) enum Common {
    /// The next viewer of the plan joins.
    Join,
    /// Churn: some viewer leaves and a new one takes its place.
    Churn,
    /// An action of the scenario's script.
    Script(u32),
    /// A viewer has left by itself.
    Left(u32),
    /// A viewer has closed its last connection to the tracker.
    Forget(u32),
    /// Two viewers' browsers try to reach each other: who took up an answer, and who gave it.
    Meet { ends: [(u32, u32); 2] },
    /// A request reaches the origin.
    Request { viewer: u32, id: RequestId, ask: Box<Ask> },
    /// The origin learns that a request was given up.
    Cancel { viewer: u32, id: RequestId },
    /// The origin learns that so many bytes of its responses have been received.
    Ack { viewer: u32, len: u32 },
    /// The origin's line is free for the next chunk.
    OriginFree,
    /// A message reaches the tracker.
    ToTracker { viewer: u32, tracker: u32, text: Box<str> },
}

/// What is asked of the origin.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) url: String,
    pub(super) range: Option<(u64, Option<u64>)>,
}

struct Entry<T> {
    at: u64,
    sequence: u64,
    event: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.sequence) == (other.at, other.sequence)
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    // Reversed: the heap's greatest is the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

/// µs of one slot of the queue.
const SLOT: u64 = 1 << 9;
/// Slots ahead that have a list of their own: a second and a bit.
const SLOTS: usize = 1 << 11;

/// Events by time, and by the order they were put in where times are equal.
///
/// A heap of all events would miss the cache at each of its levels with thousands of viewers. So only those of the
/// current slot are in a heap; those of the next second lie unsorted, by slot, and the others in a second heap.
pub(super) struct EventQueue<T> {
    /// All that happens before the end of the current slot.
    current: BinaryHeap<Entry<T>>,
    /// The current slot, counted from 0.
    slot: u64,
    /// What happens in the slots after it, each at its number modulo `SLOTS`.
    ahead: Vec<Vec<Entry<T>>>,
    /// How many there are in `ahead`.
    waiting: usize,
    later: BinaryHeap<Entry<T>>,
    sequence: u64,
}

impl<T> Default for EventQueue<T> {
    fn default() -> Self {
        Self {
            current: BinaryHeap::new(),
            slot: 0,
            ahead: (0..SLOTS).map(|_| Vec::new()).collect(),
            waiting: 0,
            later: BinaryHeap::new(),
            sequence: 0,
        }
    }
}

impl<T> EventQueue<T> {
    /// Lets `event` happen at `at` (µs).
    pub(super) fn push(&mut self, at: u64, event: T) {
        self.sequence += 1;
        self.place(Entry { at, sequence: self.sequence, event });
    }

    /// Nothing happens before that time (µs).
    pub(super) fn earliest(&self) -> u64 {
        match self.current.peek() {
            Some(entry) => entry.at,
            None if self.waiting > 0 => (self.slot + 1) * SLOT,
            None => self.later.peek().map_or(u64::MAX, |entry| entry.at),
        }
    }

    /// The next event, if it is not after `end`.
    pub(super) fn pop_until(&mut self, end: u64) -> Option<(u64, T)> {
        while self.current.is_empty() {
            if self.waiting > 0 {
                self.slot += 1;
            } else {
                self.slot = self.later.peek()?.at / SLOT;
            }
            let due = &mut self.ahead[self.slot as usize % SLOTS];
            self.waiting -= due.len();
            // The heap's own memory goes back to the slot, for what comes next.
            let mut entries = std::mem::take(due);
            *due = std::mem::take(&mut self.current).into_vec();
            let horizon = (self.slot + SLOTS as u64) * SLOT;
            while self.later.peek().is_some_and(|entry| entry.at < horizon) {
                let Some(entry) = self.later.pop() else { break };
                if entry.at / SLOT <= self.slot {
                    entries.push(entry);
                } else {
                    self.place(entry);
                }
            }
            self.current = BinaryHeap::from(entries);
        }
        if self.current.peek()?.at > end {
            return None;
        }
        self.current.pop().map(|entry| (entry.at, entry.event))
    }

    fn place(&mut self, entry: Entry<T>) {
        let slot = entry.at / SLOT;
        if slot <= self.slot {
            self.current.push(entry);
        } else if slot < self.slot + SLOTS as u64 {
            self.ahead[slot as usize % SLOTS].push(entry);
            self.waiting += 1;
        } else {
            self.later.push(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_they_were_put_in() {
        let mut queue = EventQueue::default();
        queue.push(20, Event::Tick(0));
        queue.push(10, Event::Tick(1));
        queue.push(10, Event::Tick(2));
        queue.push(99, Event::Tick(3));
        let mut order = Vec::new();
        while let Some((at, Event::Tick(viewer))) = queue.pop_until(50) {
            order.push((at, viewer));
        }
        assert_eq!(order, [(10, 1), (10, 2), (20, 0)]);
    }

    #[test]
    fn events_near_and_far_come_in_one_order() {
        let mut queue = EventQueue::default();
        let mut rng = fastrand::Rng::with_seed(3);
        let (mut now, mut pushed, mut popped) = (0, Vec::new(), Vec::new());
        for round in 0..20_000 {
            // Most are near, some are minutes away, some are now.
            let most = 1 << rng.u32(..27);
            let wait = rng.u64(..most);
            if round < 15_000 {
                queue.push(now + wait, Event::Tick(round));
                pushed.push((now + wait, round));
            }
            if round % 3 > 0 || round >= 15_000 {
                let earliest = queue.earliest();
                let Some((at, Event::Tick(which))) = queue.pop_until(u64::MAX) else { break };
                assert!(earliest <= at && earliest + SLOT > now, "{now} {earliest} {at}");
                now = at;
                popped.push((at, which));
            }
        }
        pushed.sort_unstable();
        assert_eq!(popped.len(), 15_000);
        assert_eq!(popped, pushed);
    }
}
