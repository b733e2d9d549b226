//! The cache across sessions: what is kept there, and what is looked for there before anybody else is asked.
//!
//! Only what a hash vouches for is kept, under that hash. Whatever else may write to the cache, so what comes out of it is
//! verified again before it is appended or offered to peers; the shell does the reading and writing. Hashes are read by
//! who shares only, and so only they have a cache.

use std::time::Duration;

use bytes::Bytes;

use super::prepare::Job;
use super::schedule::Want;
use super::{Player, join};
use crate::io::{CacheCommand, Output};
use crate::proof::Proof;
use crate::store::{Insert, Source};
use crate::time::Instant;
use crate::wire::{BLOCK_BYTES, SegmentId, block_count};

/// The hash of a segment, and then the cache, are waited for no longer than this.
const PATIENCE: Duration = Duration::from_secs(1);

impl Player {
    /// Looks for segments in the cache, and leaves those out that it may still bring.
    #[inline(never)]
    pub(super) fn look_up(&mut self, now: Instant, wants: &mut Vec<Want>) {
        self.recalls.retain(|id, _| wants.iter().any(|want| want.id == *id));
        wants.retain(|want| {
            let until = self.recall(now, want.id);
            if until > now {
                self.wake_at(until);
            }
            until <= now
        });
    }

    /// Asks the cache for a segment, once its hash is known; until when it is waited for.
    fn recall(&mut self, now: Instant, id: SegmentId) -> Instant {
        let new = !self.recalls.contains_key(&id);
        // Films that are not encrypted.
        let playlist = self.title.find(id).and_then(|(list, segment)| {
            self.title.lists[list].playlist.as_ref().filter(|list| list.keys_of(segment).is_empty())
        });
        let begun = self.store.segment(id).is_some_and(|stored| !stored.held.is_empty());
        if new && (begun || !playlist.is_some_and(|list| list.end_list)) {
            return now;
        }
        let mut until = *self.recalls.get_or_insert_with(id, || now + PATIENCE);
        let asks = |job: &Job| matches!(job, Job::Recall(of) if *of == id);
        if until > now && !self.jobs.values().any(asks) {
            match self.proof_of(now, id).0 {
                Proof::Root(hash) | Proof::Whole(hash) => {
                    let job = self.start_job(Job::Recall(id));
                    self.outputs.push_back(Output::Cache(CacheCommand::Recall { job, hash }));
                }
                Proof::None => {
                    until = now;
                    self.recalls.insert(id, now);
                }
                Proof::Awaited => {}
            }
        }
        until
    }

    /// The cache has answered.
    #[inline(never)]
    pub(super) fn recalled(&mut self, now: Instant, id: SegmentId, data: Option<Bytes>) {
        // Whatever comes of it, it is not waited for any more.
        let waited = self.recalls.get_mut(&id).is_some_and(|at| std::mem::replace(at, now) > now);
        let (Some(data), Some((list, segment))) = (data, self.title.find(id)) else { return };
        let tag = self.title.lists[list].tag(segment);
        let size = u32::try_from(data.len()).unwrap_or(0);
        if !waited
            || matches!(self.proof_of(now, id).0, Proof::None | Proof::Awaited)
            || !self.prepare_segment(now, id, size, tag)
        {
            return;
        }
        for block in 0..block_count(size) {
            let from = block as usize * BLOCK_BYTES as usize;
            let data = data.slice(from..data.len().min(from + BLOCK_BYTES as usize));
            self.store.insert(id, block, data, Source::Cache);
        }
        if !self.store.is_complete(id) {
            // Somebody has altered it: it comes from elsewhere, and then takes this one's place.
            self.store.remove(id);
            return;
        }
        // What was there is not written again.
        self.recalls.remove(&id);
        self.stats.cache_bytes += u64::from(size);
        self.outcome(now, id, Insert::Added, 0);
    }

    /// Keeps a segment that was looked for in vain, has come whole, and is verified.
    #[inline(never)]
    pub(super) fn keep_verified(&mut self, id: SegmentId) {
        let limit = self.config.cache_bytes;
        if self.store.is_complete(id)
            && self.recalls.remove(&id).is_some()
            && let Some(stored) = self.store.segment(id)
            && let Proof::Root(hash) | Proof::Whole(hash) = stored.proof
            && u64::from(stored.size) <= limit
        {
            let data = join(self.store.read(id, 0, stored.size));
            self.outputs.push_back(Output::Cache(CacheCommand::Keep { hash, data, limit }));
        }
    }
}
