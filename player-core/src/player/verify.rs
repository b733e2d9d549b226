//! Whether bytes are what the origin would send: by hashes where the publisher gives some, else by comparing a part of
//! some blocks with the origin's.
//!
//! Only who shares verifies: what is marked `#[inline(never)]` here is loaded with the rest of sharing (see `share.rs`).

use std::time::Duration;

use super::load::backoff;
use super::prepare::Job;
use super::title::Ranges;
use super::{Document, Player, Purpose};
use crate::config::P2pMode;
use crate::error::PlayerError;
use crate::io::{ConnectionId, JobId, Output};
use crate::json::Json;
use crate::ordered::OrderedMap;
use crate::proof::{Entry, Hash, Proof, digest, root};
use crate::stats::Verification;
use crate::store::{Insert, Source};
use crate::swarm::segment_tag;
use crate::time::Instant;
use crate::wire::{BLOCK_BYTES, SegmentId, block_len};

/// Bytes of a block that are compared with the origin's.
const CHECK_BYTES: u32 = 256;
/// One block in so many is checked, beside the first of each peer.
const CHECK_EVERY: u32 = 32;
/// In swarms of more members than this one block is checked in as many more as there are more members: so that checks cost the
/// origin no more than with so many.
const CHECKED: u32 = 256;
/// In a crowd one in so many is checked of those of new peers.
const CROWD_CHECK_EVERY: u32 = 8;
/// For each so many members one in as many more of the new peers is tried: all in smaller swarms.
const TRIED: u32 = 512;
/// Checks may cost this part of what comes from peers. The first block of each peer is checked whatever that costs.
const CHECK_SHARE: u64 = 200;
/// A file of hashes that lacks a segment is loaded again no sooner than this.
const HASHES_RELOAD: Duration = Duration::from_secs(1);
/// Most signatures whose outcome is remembered.
const MAX_SIGNATURES: usize = 1024;

/// A comparison with the origin's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) segment: SegmentId,
    /// First byte, counted from the segment's start.
    pub(super) at: u32,
    /// Whose bytes are held there.
    pub(super) supplier: Source,
    /// Who sent something else.
    pub(super) rival: Option<ConnectionId>,
}

/// A file of hashes.
#[derive(Debug, Default)]
pub(super) struct HashFile {
    /// By the segments' tags.
    entries: OrderedMap<u32, Entry>,
    loading: bool,
    loaded: bool,
    failures: u32,
    /// Not loaded (again) before this.
    rested_at: Instant,
}

/// Whether signatures hold: the digest of what was signed and the signature, and the outcome once it is known.
pub(super) type Signatures = OrderedMap<SegmentId, (Hash, Option<bool>)>;

impl Player {
    /// What a segment has to hash to, and its size if that is said too.
    #[inline(never)]
    pub(super) fn proof_of(&mut self, now: Instant, id: SegmentId) -> (Proof, Option<u32>) {
        let Some(entry) = self.entry_of(now, id) else {
            let unsigned = self.config.publisher_key.is_some();
            let proof = if unsigned { Proof::Awaited } else { Proof::None };
            return (proof, None);
        };
        let key = self.config.publisher_key;
        if key.is_some_and(|key| !self.is_signed(id, &entry, key)) {
            return (Proof::Awaited, None);
        }
        (entry.proof, entry.size)
    }

    /// Makes room for a segment that is to be verified; false when its size is not what it should be.
    pub(super) fn prepare_segment(
        &mut self,
        now: Instant,
        id: SegmentId,
        size: u32,
        tag: u32,
    ) -> bool {
        if self.store.segment(id).is_some_and(|held| held.size == size && held.tag == tag) {
            return true;
        }
        let (proof, known) = match &self.swarm {
            Some(_) => self.proof_of(now, id),
            // Nobody to verify it for, or nobody yet.
            None if self.config.p2p == P2pMode::Off || self.config.trackers.is_empty() => {
                (Proof::None, None)
            }
            None => (Proof::Awaited, None),
        };
        known.is_none_or(|known| known == size) && self.store.prepare(id, size, tag, proof)
    }

    /// A file of hashes has come, or not.
    #[inline(never)]
    pub(super) fn hashes_done(&mut self, now: Instant, url: String, body: Option<&[u8]>) {
        let Some(file) = self.hash_files.get_mut(&url) else { return };
        file.loading = false;
        let entries = body.and_then(read_hashes);
        let Some(entries) = entries else {
            file.failures += 1;
            file.rested_at = now + backoff(file.failures);
            if file.failures == 1 {
                self.warn(PlayerError::HashesUnusable { url });
            }
            return self.renew_proofs(now);
        };
        file.entries = entries;
        (file.loaded, file.failures) = (true, 0);
        file.rested_at = now + HASHES_RELOAD;
        self.renew_proofs(now);
    }

    /// A signature has been checked.
    #[inline(never)]
    pub(super) fn signature_verified(&mut self, now: Instant, job: JobId, valid: bool) {
        let Some(Job::Signature(id)) = self.jobs.remove(&job) else { return };
        if let Some((_, outcome)) = self.signatures.get_mut(&id) {
            *outcome = Some(valid);
        }
        if !valid {
            self.warn_unsigned(id);
        }
        self.renew_proofs(now);
    }

    /// The hashes of a segment's blocks, from a peer.
    pub(super) fn list_come(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        id: SegmentId,
        hashes: &[u8],
    ) {
        let Some(stored) = self.store.segment(id) else { return };
        let Proof::Root(wanted) = stored.proof else { return };
        let (list, _) = hashes.as_chunks::<32>();
        if list.len() != usize::from(stored.held.len()) || root(list) != wanted {
            // Nobody passes on by accident what was compared with the root when it came.
            return self.blame(now, id, &[Source::Peer(connection)], hashes.len(), 2);
        }
        if stored.listed {
            return;
        }
        let outcome = self.store.accept_list(id, list.to_vec());
        self.outcome(now, id, outcome, 0);
    }

    /// What the arrival of bytes meant beyond that they are held: news for peers, and blame.
    pub(super) fn outcome(&mut self, now: Instant, id: SegmentId, outcome: Insert, len: usize) {
        match outcome {
            Insert::Bad(culprits) => self.blame(now, id, &culprits, len, 1),
            Insert::Disputed(_) | Insert::Duplicate | Insert::Refused => return,
            Insert::Added => {}
        }
        if self.swarm.is_some() {
            self.news_of(now, id);
            if self.config.cache_bytes > 0 {
                self.keep_verified(id);
            }
        }
    }

    /// Bytes of a segment have come, or are known to be right.
    #[inline(never)]
    fn news_of(&mut self, now: Instant, id: SegmentId) {
        let Some(segment) = self.store.segment_mut(id) else { return };
        let (some, all) = (!segment.good.is_empty(), segment.good.is_full());
        if all && !segment.suspects.is_empty() {
            let culprits = segment.culprits();
            self.blame(now, id, &culprits, 0, 1);
        }
        if let (true, Some(swarm)) = (some, &mut self.swarm) {
            swarm.blocks_changed(now, id, &self.store);
        }
    }

    /// Whoever sent wrong bytes has to answer for it: a peer is penalised, and the origin is asked again.
    #[inline(never)]
    pub(super) fn blame(
        &mut self,
        now: Instant,
        id: SegmentId,
        culprits: &[Source],
        len: usize,
        weight: u32,
    ) {
        for culprit in culprits {
            match *culprit {
                Source::Http => self.origin_spoiled(now, id),
                // It is asked of others.
                Source::Cache => {}
                Source::Peer(connection) => {
                    let Some(swarm) = &mut self.swarm else { continue };
                    swarm.refused(len);
                    tracing::debug!(connection = connection.0, "wrong bytes");
                    if swarm.offend(now, connection, weight) && swarm.has(connection) {
                        self.drop_peer(now, connection);
                    }
                }
            }
        }
    }

    /// A block of a peer that no hash vouches for is held: it is believed, or compared with the origin's first.
    pub(super) fn inspect(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        id: SegmentId,
        block: u16,
    ) {
        let Some(stored) = self.store.segment(id) else { return };
        let size = stored.size;
        if stored.proof != Proof::None {
            return;
        }
        let crowd = self.is_crowd(now);
        let Some(swarm) = &mut self.swarm else { return };
        // Where many come at once the origin has no time for all their peers.
        let every = if crowd { CROWD_CHECK_EVERY } else { 1 + swarm.size() as u32 / TRIED };
        let untried = swarm.is_new(connection);
        let new = untried && self.rng.u32(..every) == 0;
        if untried && !new && !crowd {
            // Others try it.
            swarm.check_passed(connection);
        }
        let affordable =
            (self.stats.check_bytes + u64::from(CHECK_BYTES)) * CHECK_SHARE < self.stats.peer_bytes;
        let every = CHECK_EVERY.saturating_mul((swarm.size() as u32).max(CHECKED)) / CHECKED;
        let chosen = affordable && self.rng.u32(..every) == 0;
        let spare = block_len(size, block).saturating_sub(CHECK_BYTES);
        let at = u32::from(block) * BLOCK_BYTES + self.rng.u32(..=spare);
        if new {
            swarm.set_on_trial(connection, true);
        } else {
            self.store.approve(id, block);
        }
        if new || chosen {
            self.check(
                now,
                Check { segment: id, at, supplier: Source::Peer(connection), rival: None },
            );
        }
    }

    /// Two peers sent different bytes for a block: the origin decides.
    pub(super) fn dispute(&mut self, now: Instant, rival: ConnectionId, id: SegmentId, at: u32) {
        let Some(stored) = self.store.segment(id) else { return };
        let block = (at / BLOCK_BYTES) as u16;
        let start = u32::from(block) * BLOCK_BYTES;
        let last = start + block_len(stored.size, block).saturating_sub(CHECK_BYTES);
        let Some(supplier) = stored.supplier(block) else { return };
        self.check(now, Check { segment: id, at: at.min(last), supplier, rival: Some(rival) });
    }

    /// Compares what is held with the origin's.
    pub(super) fn check(&mut self, now: Instant, check: Check) {
        let found = self.title.find(check.segment).and_then(|(list, segment)| {
            let playlist = self.title.lists[list].playlist.as_ref()?;
            let start = playlist.byte_range(segment).map_or(0, |range| range.start);
            Some((playlist.segment_url(segment), start + u64::from(check.at)))
        });
        let size = self.store.segment(check.segment).map_or(0, |segment| segment.size);
        let left = size.saturating_sub(check.at);
        let Some((url, from)) = found.filter(|_| left > 0 && self.title.ranges != Ranges::Ignored)
        else {
            return self.check_done(now, check, None);
        };
        let end = from + u64::from(CHECK_BYTES.min(left));
        self.fetch_document(now, Purpose::Check(check), url, Some((from, Some(end))));
    }

    /// The origin's bytes for a comparison have come; `None` when they cannot be had, and peers have to be believed.
    #[inline(never)]
    pub(super) fn check_done(&mut self, now: Instant, check: Check, body: Option<&[u8]>) {
        let Check { segment: id, at, supplier, rival } = check;
        let len = body.map_or(0, <[u8]>::len);
        self.stats.http_bytes += len as u64;
        self.stats.check_bytes += len as u64;
        let block = (at / BLOCK_BYTES) as u16;
        let held = self.store.peek(id, at, at.saturating_add(len as u32), supplier);
        let right = body.zip(held).map(|(body, held)| body == &held[..]);
        if let (Some(swarm), Source::Peer(connection)) = (&mut self.swarm, supplier) {
            swarm.set_on_trial(connection, false);
            if right == Some(true) {
                swarm.check_passed(connection);
            }
        }
        if right == Some(false) {
            // What else it sent is no better.
            for changed in self.store.drop_from(supplier) {
                if let Some(swarm) = &mut self.swarm {
                    swarm.blocks_changed(now, changed, &self.store);
                }
            }
            return self.blame(now, id, &[supplier], BLOCK_BYTES as usize, 2);
        }
        self.store.approve(id, block);
        self.outcome(now, id, Insert::Added, 0);
        if let (Some(rival), Some(true)) = (rival, right) {
            self.blame(now, id, &[Source::Peer(rival)], BLOCK_BYTES as usize, 2);
        }
    }

    /// What vouches for the segment that is appended next.
    pub(super) fn verification(&self) -> Verification {
        let segment = self.tracks.first().and_then(|track| {
            let list = &self.title.lists[track.list];
            let cursor = track.cursor?.sequence;
            let known = |sequence| self.store.segment(list.segment_id(sequence));
            known(cursor).or_else(|| known(cursor.wrapping_sub(1)))
        });
        match segment.map(|segment| segment.proof) {
            None | Some(Proof::None) => Verification::SpotChecks,
            Some(Proof::Awaited) => Verification::Awaited,
            Some(Proof::Whole(_)) => Verification::Segment,
            Some(Proof::Root(_)) if self.config.publisher_key.is_some() => Verification::Signed,
            Some(Proof::Root(_)) => Verification::List,
        }
    }

    /// Whether a segment's beginning can be appended before the rest is there.
    pub(super) fn may_begin(&self, id: SegmentId) -> bool {
        if let Some(stored) = self.store.segment(id) {
            return stored.listed || matches!(stored.proof, Proof::None | Proof::Awaited);
        }
        let Some((list, segment)) = self.title.find(id) else { return true };
        let Some(playlist) = &self.title.lists[list].playlist else { return true };
        !playlist.is_hashed(segment)
            && playlist.hashes_url.is_none()
            && self.config.hashes.is_none()
    }

    /// Whether the origin has to bring a segment, whoever has it: some peer sent it wrong, and it cannot be told which;
    /// or a publisher's key is asked for, and its list is not signed with that.
    pub(super) fn is_for_origin(&self, id: SegmentId) -> bool {
        let unsigned = self.warned_unsigned;
        self.store.segment(id).map_or(unsigned, |stored| {
            !stored.suspects.is_empty() || unsigned && stored.proof == Proof::Awaited
        })
    }

    /// The segment of the origin is not what it should be.
    #[inline(never)]
    pub(super) fn origin_spoiled(&mut self, now: Instant, id: SegmentId) {
        self.cancel_requests(now, id);
        self.note_segment_failure(now, id, 0);
        let first = self.segment_failures.get(&id).is_some_and(|failure| failure.count == 1);
        if let (Some(url), true) = (self.url_of(id), first) {
            self.warn(PlayerError::SegmentSpoiled { url });
        }
    }

    /// Gives up what is asked of the origin of a segment.
    #[inline(never)]
    pub(super) fn cancel_requests(&mut self, now: Instant, id: SegmentId) {
        let mut requests = Vec::new();
        for (request, transfer) in &self.transfers {
            if transfer.segment == id {
                requests.push(*request);
            }
        }
        for request in requests {
            self.cancel_transfer(now, request);
        }
    }

    fn url_of(&self, id: SegmentId) -> Option<String> {
        let (list, segment) = self.title.find(id)?;
        Some(self.title.lists[list].playlist.as_ref()?.segment_url(segment))
    }

    /// What the publisher says of a segment. While a file that may have it is on its way, that there is something.
    fn entry_of(&mut self, now: Instant, id: SegmentId) -> Option<Entry> {
        let (list, segment) = self.title.find(id)?;
        let list = &self.title.lists[list];
        // Parts of low-latency streams have no hashes of their own.
        let playlist = list.playlist.as_ref().filter(|_| list.id == id.rendition)?;
        let written = playlist.hash_text(segment);
        if !written.is_empty() {
            return Entry::read(written);
        }
        let url = playlist.hashes_url.as_ref().or(self.config.hashes.as_ref())?.clone();
        let (tag, grows) = (list.tag(segment), !playlist.end_list);
        let file = self.hash_files.get_or_insert_with(url.clone(), HashFile::default);
        if let Some(entry) = file.entries.get(&tag) {
            return Some(entry.clone());
        }
        let wanted = file.failures > 0 || !file.loaded || grows;
        if wanted && !file.loading {
            if file.rested_at <= now {
                file.loading = true;
                self.fetch_document(now, Purpose::Hashes(url.clone()), url.clone(), None);
            } else {
                let at = file.rested_at;
                self.wake_at(at);
            }
        }
        let file = self.hash_files.get(&url)?;
        let awaited = file.failures == 0 && (!file.loaded || grows);
        awaited.then(|| Entry {
            proof: Proof::Awaited,
            size: None,
            name: String::new(),
            signature: None,
        })
    }

    /// Whether an entry is signed with this key, as far as is known.
    fn is_signed(&mut self, id: SegmentId, entry: &Entry, key: [u8; 32]) -> bool {
        if entry.proof == Proof::Awaited {
            return false;
        }
        let path = self.url_of(id).unwrap_or_default();
        let path = &path[..path.find(['?', '#']).unwrap_or(path.len())];
        let named = entry.names(path);
        let (Some(signature), true) = (entry.signature, named) else {
            let new = self.signatures.insert(id, ([0; 32], Some(false))).is_none();
            if new {
                self.warn_unsigned(id);
            }
            return false;
        };
        let message = entry.message();
        let what = digest(&[message.as_bytes(), &signature]);
        if let Some((known, outcome)) = self.signatures.get(&id)
            && *known == what
        {
            return *outcome == Some(true);
        }
        let job = self.start_job(Job::Signature(id));
        self.signatures.insert(id, (what, None));
        if self.signatures.len() > MAX_SIGNATURES {
            self.signatures.pop_first();
        }
        self.outputs.push_back(Output::VerifySignature { job, key, signature, message });
        false
    }

    fn warn_unsigned(&mut self, id: SegmentId) {
        if std::mem::replace(&mut self.warned_unsigned, true) {
            return;
        }
        let url = self.title.find(id).map(|(list, _)| self.title.lists[list].url.clone());
        let url = url.unwrap_or_default();
        self.warn(PlayerError::HashUnsigned { url });
    }

    /// Something is known that was awaited.
    pub(super) fn renew_proofs(&mut self, now: Instant) {
        let mut awaited = Vec::new();
        for (id, segment) in self.store.iter() {
            if segment.proof == Proof::Awaited {
                awaited.push(*id);
            }
        }
        for id in awaited {
            let (proof, size) = self.proof_of(now, id);
            if size.is_some_and(|size| self.store.segment(id).is_some_and(|held| held.size != size))
            {
                self.store.remove(id);
                self.origin_spoiled(now, id);
                continue;
            }
            let outcome = self.store.set_proof(id, proof);
            self.outcome(now, id, outcome, 0);
        }
    }
}

/// Whether a document's answer can be used for a comparison: only a part of the file can.
pub(super) const fn is_partial(document: &Document, status: u16) -> bool {
    !matches!(document.purpose, Purpose::Check(_)) || status == 206
}

/// Reads a file of hashes: an object of file names, each with an entry, or with an object of byte ranges
/// (`FIRST-LAST`), each with an entry.
fn read_hashes(body: &[u8]) -> Option<OrderedMap<u32, Entry>> {
    use crate::tracker::json::{Fields, read_document};
    let value = read_document(body)?;
    let mut entries = OrderedMap::new();
    let mut put = |name: &str, range: Option<(u64, u64)>, value: &Json| {
        if let Some(entry) = value.text().and_then(Entry::read) {
            entries.insert(segment_tag(name, range), entry);
        }
    };
    for (name, value) in Fields::of(&value)?.entries() {
        let Some(ranges) = Fields::of(value) else {
            put(name, None, value);
            continue;
        };
        for (range, value) in ranges.entries() {
            let number = crate::hls::number::integer;
            let Some((first, last)) = range.split_once('-') else { continue };
            if let (Some(first), Some(last)) = (number(first), number(last)) {
                put(name, Some((first, last.saturating_add(1))), value);
            }
        }
    }
    Some(entries)
}
