//! A handful of things by their id.

/// What is in progress, a few dozen entries at most: a list that is searched is less code to
/// download than a tree, and no slower.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    entries: Vec<(K, V)>,
}

impl<K: Copy + PartialEq, V> Table<K, V> {
    pub(crate) fn get(&self, key: K) -> Option<&V> {
        self.entries.iter().find(|(other, _)| *other == key).map(|(_, value)| value)
    }

    /// Returns what was there before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let before = self.remove(key);
        self.entries.push((key, value));
        before
    }

    pub(crate) fn remove(&mut self, key: K) -> Option<V> {
        let index = self.entries.iter().position(|(other, _)| *other == key)?;
        Some(self.entries.swap_remove(index).1)
    }

    pub(crate) fn keys(&self) -> Vec<K> {
        self.entries.iter().map(|(key, _)| *key).collect()
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_entry_of_a_key_counts() {
        let mut table = Table::default();
        assert_eq!(table.insert(1, 'a'), None);
        assert_eq!(table.insert(2, 'b'), None);
        assert_eq!(table.insert(1, 'c'), Some('a'));
        assert_eq!((table.get(1), table.get(2), table.get(3)), (Some(&'c'), Some(&'b'), None));
        assert_eq!(table.remove(2), Some('b'));
        assert_eq!(table.remove(2), None);
        assert_eq!(table.keys(), [1]);
    }
}
