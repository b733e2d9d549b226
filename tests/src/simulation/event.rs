//! The event queue: what happens next, in virtual time, always in the same order.

use player_core::io::{Input, RequestId, Track};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A link and its generation: a slot is used again after its link has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LinkId {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// What happens. Small, because millions wait in the queue; the few large ones are boxed.
#[derive(Debug)]
pub(super) enum Event {
    /// The next viewer of the plan joins.
    Join,
    /// Churn: some viewer leaves and a new one takes its place.
    Churn,
    /// An action of the scenario's script.
    Script(u32),
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
    /// A frame reaches its receiver's downlink; its size on the wire.
    Arrive { link: LinkId, side: u8, wire: u32 },
    /// A frame has passed its receiver's downlink.
    Deliver { link: LinkId, side: u8 },
    /// A send buffer has drained.
    Writable { link: LinkId, side: u8 },
    /// The data channel opens at both ends.
    Established(LinkId),
    /// One end learns that the other has gone.
    PeerGone { link: LinkId, side: u8 },
    /// A connection attempt that came to nothing is given up.
    ConnectTimeout { viewer: u32, connection: u32 },
    /// A request reaches the origin.
    Request { viewer: u32, id: RequestId },
    /// A response's head reaches the viewer.
    Head { viewer: u32, id: RequestId },
    /// The origin's line is free for the next chunk.
    OriginFree,
    /// Some of a response reaches the viewer's downlink.
    ChunkArrive { viewer: u32, id: RequestId, offset: u32, len: u32 },
    /// It has passed the downlink.
    ChunkDeliver { viewer: u32, id: RequestId, offset: u32, len: u32 },
    /// The origin learns that it has.
    Ack { viewer: u32, len: u32 },
    /// A message reaches the tracker.
    ToTracker { viewer: u32, tracker: u32, text: Box<str> },
    /// A message comes back from it.
    FromTracker { viewer: u32, tracker: u32, text: Box<str> },
    /// The tracker's socket opens, or fails to.
    TrackerOpens { viewer: u32, tracker: u32 },
}

struct Entry {
    at: u64,
    sequence: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.sequence) == (other.at, other.sequence)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
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
pub(super) struct EventQueue {
    /// All that happens before the end of the current slot.
    current: BinaryHeap<Entry>,
    /// The current slot, counted from 0.
    slot: u64,
    /// What happens in the slots after it, each at its number modulo `SLOTS`.
    ahead: Vec<Vec<Entry>>,
    /// How many there are in `ahead`.
    waiting: usize,
    later: BinaryHeap<Entry>,
    sequence: u64,
}

impl Default for EventQueue {
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

impl EventQueue {
    /// Lets `event` happen at `at` (µs).
    pub(super) fn push(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.place(Entry { at, sequence: self.sequence, event });
    }

    /// The next event, if it is not after `end`.
    pub(super) fn pop_until(&mut self, end: u64) -> Option<(u64, Event)> {
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

    fn place(&mut self, entry: Entry) {
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
                let Some((at, Event::Tick(which))) = queue.pop_until(u64::MAX) else { break };
                now = at;
                popped.push((at, which));
            }
        }
        pushed.sort_unstable();
        assert_eq!(popped.len(), 15_000);
        assert_eq!(popped, pushed);
    }
}
