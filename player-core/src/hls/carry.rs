//! Init sections and key sets of an older playlist, taken over by a newer one.

use crate::ordered::OrderedMap;

use super::media::{Applied, MediaPlaylist};

/// Takes over what is applied to segments: by the old playlist's numbers, the new one's.
pub(super) struct Carrier<'a> {
    old: &'a MediaPlaylist,
    pub(super) inits: OrderedMap<u32, u32>,
    pub(super) keys: OrderedMap<u32, u32>,
    /// How many init sections and key sets the new playlist has by itself: those may be the same.
    own: (usize, usize),
    last: (u32, u32),
}

impl<'a> Carrier<'a> {
    pub(super) fn new(old: &'a MediaPlaylist, new: &MediaPlaylist) -> Self {
        Self {
            old,
            inits: OrderedMap::new(),
            keys: OrderedMap::new(),
            own: (new.inits.len(), new.key_sets.len()),
            last: (0, 0),
        }
    }

    /// What `applied` of the old playlist is in the new one.
    pub(super) fn carry(&mut self, applied: u32, new: &mut MediaPlaylist) -> u32 {
        if applied != self.last.0 {
            let Applied { init, keys } = self.old.applied(applied);
            let init = *self.inits.get_or_insert_with(init, || {
                number_in(&mut new.inits, self.own.0, self.old.init_number(init))
            });
            let keys = *self.keys.get_or_insert_with(keys, || {
                let set = (keys as usize).checked_sub(1).and_then(|at| self.old.key_sets.get(at));
                number_in(&mut new.key_sets, self.own.1, set)
            });
            self.last = (applied, new.apply(Applied { init, keys }));
        }
        self.last.1
    }
}

/// Appends unless it is among the first `own`; its number from 1, or 0 for nothing.
fn number_in<T: Clone + PartialEq>(list: &mut Vec<T>, own: usize, item: Option<&T>) -> u32 {
    let Some(item) = item else { return 0 };
    let index = list[..own].iter().position(|other| other == item).unwrap_or_else(|| {
        list.push(item.clone());
        list.len() - 1
    });
    index as u32 + 1
}
