//! A queue on two vectors. The core and its shell keep a few, and the ring of `VecDeque` costs each a KB of WebAssembly.

/// First in, first out, with the API of [`VecDeque`](std::collections::VecDeque) as far as the core uses it. Putting in
/// and taking out take O(1) on average.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue<T> {
    /// What comes next, the first at the end.
    next: Vec<T>,
    /// What comes after that, the last at the end.
    later: Vec<T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Queue<T> {
    /// An empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self { next: Vec::new(), later: Vec::new() }
    }

    /// Number of items.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.next.len() + self.later.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts an item at the end.
    pub fn push_back(&mut self, item: T) {
        self.later.push(item);
    }

    /// Takes out the first.
    pub fn pop_front(&mut self) -> Option<T> {
        if self.next.is_empty() {
            std::mem::swap(&mut self.next, &mut self.later);
            self.next.reverse();
        }
        self.next.pop()
    }

    /// The first.
    #[must_use]
    pub fn front(&self) -> Option<&T> {
        self.next.last().or_else(|| self.later.first())
    }

    /// Keeps the items that `keep` names.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.next.retain(&mut keep);
        self.later.retain(&mut keep);
    }
}

impl<T> Extend<T> for Queue<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        for item in items {
            self.push_back(item);
        }
    }
}

impl<T> Iterator for Queue<T> {
    type Item = T;
    fn next(&mut self) -> Option<T> {
        self.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn a_queue_is_a_vec_deque(actions in prop::collection::vec((0u8..4, 0u8..20), 0..100)) {
            let mut queue = Queue::new();
            let mut oracle = VecDeque::new();
            for (action, item) in actions {
                match action {
                    0 | 1 => {
                        queue.push_back(item);
                        oracle.push_back(item);
                    }
                    2 => prop_assert_eq!(queue.pop_front(), oracle.pop_front()),
                    _ => {
                        queue.retain(|other| *other != item);
                        oracle.retain(|other| *other != item);
                    }
                }
                prop_assert_eq!(queue.front(), oracle.front());
                prop_assert_eq!(queue.len(), oracle.len());
                prop_assert_eq!(queue.is_empty(), oracle.is_empty());
            }
            prop_assert!(queue.eq(oracle));
        }
    }
}
