//! Segments' bytes from the origin.

use std::time::Duration;

use bytes::Bytes;

use super::load::DOCUMENT_TIMEOUT;
use super::title::Ranges;
use super::verify::is_partial;
use super::{Document, Player, Purpose};
use crate::error::PlayerError;
use crate::io::{FetchKind, FetchRequest, Output, RequestId};
use crate::store::{Insert, Source};
use crate::time::Instant;
use crate::wire::{BLOCK_BYTES, MAX_SEGMENT_BYTES, SegmentId, block_count, block_len};

/// A response that takes longer than this is no cache's, however soon its head came.
const CACHE_TIME: Duration = Duration::from_millis(50);
/// A segment's response that stays away, or stops coming, for this long has failed.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(5);

/// A comparison with the origin's bytes that takes longer has failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a claim holds without news, in ms.
const CLAIM_MS: u32 = 5000;
/// A claim is made again after this, while nothing of it can be shown.
const CLAIM_AGAIN: Duration = Duration::from_millis(2500);

/// A request for (the rest of) a segment.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) segment: SegmentId,
    pub(super) tag: u32,
    /// First byte wanted, counted from the segment's start; at a block's start.
    pub(super) from: u32,
    /// One past the last byte wanted; `None`: the segment's end.
    pub(super) to: Option<u32>,
    /// First byte of the segment in its file (`EXT-X-BYTERANGE`), and its size if it is a part of a file.
    file_start: u64,
    file_size: Option<u64>,
    url: String,
    /// It was asked for before it was listed: the origin answers when it is made.
    pub(super) hint: bool,
    /// One past the last byte of its file that was asked for; `None`: the file's end.
    end: Option<u64>,
    /// What comes is of this part and of those behind it.
    pub(super) open_ended: bool,
    /// Bytes of the segment that have come, counted from its start: the next byte's place.
    at: u32,
    /// Bytes of the body to drop: the origin ignores ranges.
    skip: u64,
    /// Size of the segment in bytes, once it is known.
    size: Option<u32>,
    /// Bytes that do not fill a block yet (all of the body while the size is not known).
    rest: Vec<u8>,
    pub(super) started_at: Instant,
    pub(super) head_at: Option<Instant>,
    /// Bytes that had come of anything when its head did.
    pub(super) line_bytes: u64,
    /// The same of what the origin sent.
    pub(super) http_bytes: u64,
    progress_at: Instant,
    claimed_at: Instant,
}

impl Player {
    /// Whether a segment is on its way from the origin.
    pub(super) fn is_fetching(&self, segment: SegmentId) -> bool {
        self.transfers.values().any(|transfer| transfer.segment == segment)
    }

    /// Whether the origin has failed lately and not answered since.
    pub(super) fn origin_failing(&self, now: Instant) -> bool {
        let failing = |failures: u32| failures >= 1;
        matches!(self.load, super::load::Load::Main { failures, .. } if failing(failures))
            || self
                .segment_failures
                .values()
                .any(|failure| failing(failure.count) && !failure.is_missing(now))
            || self.title.lists.iter().any(|list| list.request.is_none() && failing(list.failures))
            || self
                .transfers
                .values()
                .any(|transfer| now.since(transfer.progress_at) > Duration::from_secs(3))
            || !self.title.init_failures.is_empty() && self.buffer_ahead(now) <= 0.0
    }

    /// Seconds until a transfer will be through, by what it has brought so far.
    pub(super) fn seconds_to_come(&self, now: Instant, transfer: &Transfer) -> f64 {
        self.seconds_until(now, transfer, transfer.to)
    }

    /// Seconds until a transfer would have brought its segment up to there; `None`: all of it.
    pub(super) fn seconds_until(&self, now: Instant, transfer: &Transfer, to: Option<u32>) -> f64 {
        let end = to.or(transfer.size).map_or(0, u64::from);
        transfer_end(now, transfer, end, self.bandwidth.bps()).since(now).as_secs_f64()
    }

    /// Starts a request for bytes `from..to` of a segment, and tells peers of it if the rest will be asked for too
    /// (`claim`).
    pub(super) fn start_transfer(
        &mut self,
        now: Instant,
        list: usize,
        sequence: u64,
        from: u32,
        to: Option<u32>,
        claim: bool,
    ) {
        let list = &self.title.lists[list];
        let Some((playlist, segment)) = list.playlist.as_ref().zip(list.segment(sequence)) else {
            return;
        };
        let id = list.segment_id(sequence);
        let tag = list.tag(segment);
        let file = playlist.byte_range(segment);
        let file_start = file.as_ref().map_or(0, |range| range.start);
        let open_ended = file.as_ref().is_some_and(|range| range.end == u64::MAX);
        let file_size = file.as_ref().filter(|_| !open_ended).map(|range| range.end - range.start);
        let size = self.store.segment(id).map(|stored| stored.size);
        let all = self.title.ranges.bring_all(size.is_some() || file.is_some());
        // All of a segment tells its size; no more of it is read than is wanted.
        let ends = !all || from == 0 && self.title.ranges == Ranges::Unsized;
        let (from, to) = if ends { (from, to) } else { (0, None) };
        let range = match (&file, from, to) {
            (None, 0, None) => None,
            (None, ..) if all => None,
            (None, ..) => Some((u64::from(from), to.map(u64::from))),
            (Some(file), ..) => Some((
                file.start + u64::from(from),
                to.map(|to| file.start + u64::from(to)).or_else(|| file_size.map(|_| file.end)),
            )),
        };
        let hint = list.is_hint(sequence);
        // What is only promised may take a target duration.
        let patience = if hint { playlist.target_duration.clamp(0.0, 60.0) } else { 0.0 };
        let progress_at = now + Duration::from_secs_f64(patience);
        let url = playlist.segment_url(segment);
        // What is asked for by a range comes as it is, and not compressed (Fetch, "HTTP-network-or-cache fetch").
        let as_it_is = self.title.compresses || self.title.ranges == Ranges::Unsized;
        let range = range.or_else(|| as_it_is.then_some((0, None)));
        let end = range.and_then(|(_, end)| end);
        let request =
            FetchRequest { id: RequestId(0), url: url.clone(), range, kind: FetchKind::Segment };
        let request = self.next_request(request);
        self.stats.http_requests += 1;
        self.transfers.insert(
            request,
            Transfer {
                segment: id,
                tag,
                from,
                to,
                file_start,
                file_size,
                url,
                hint,
                end,
                open_ended,
                at: from,
                skip: 0,
                size,
                rest: Vec::new(),
                started_at: now,
                head_at: None,
                line_bytes: 0,
                http_bytes: 0,
                progress_at,
                claimed_at: now,
            },
        );
        let held = self.store.segment(id);
        if let (true, Some(swarm)) = (claim, &mut self.swarm) {
            swarm.claim_missing(id, tag, held, CLAIM_MS);
        }
    }

    pub(super) fn fetch_head(
        &mut self,
        now: Instant,
        id: RequestId,
        status: u16,
        content_length: Option<u64>,
        content_range: Option<(u64, Option<u64>)>,
        url: String,
    ) {
        if !self.online {
            // Whatever the browser says of the network: something answered.
            self.set_online(now, true);
        }
        if let Some(document) = self.documents.get_mut(&id) {
            let known =
                content_length.is_some_and(|size| size > self.config.max_playlist_bytes as u64);
            document.status = Some(status);
            document.expected = content_length;
            document.progress_at = now;
            if !url.is_empty() {
                document.url = url;
            }
            if status == 200 && !is_partial(document, status) {
                self.title.ranges = Ranges::Ignored;
            }
            if known && (200..300).contains(&status) {
                self.document_too_large(now, id);
            } else if !(200..300).contains(&status) || !is_partial(document, status) {
                self.outputs.push_back(Output::CancelFetch(id));
                self.document_done(now, id);
            }
            return;
        }
        let Some(transfer) = self.transfers.get_mut(&id) else { return };
        let waited = now.since(transfer.started_at);
        transfer.progress_at = now;
        if !(200..300).contains(&status) {
            self.outputs.push_back(Output::CancelFetch(id));
            return self.transfer_failed(now, id, status);
        }
        if !transfer.hint {
            // A hint's answer comes as fast as the media is made: that says nothing of the line.
            transfer.head_at = self.bandwidth.head(now, waited).then_some(now);
            transfer.line_bytes = self.line.bytes;
            transfer.http_bytes = self.stats.http_bytes;
        }
        let wanted = transfer.file_start + u64::from(transfer.from);
        let first =
            if status == 206 { content_range.map_or(wanted, |(first, _)| first) } else { 0 };
        if first > wanted {
            self.outputs.push_back(Output::CancelFetch(id));
            return self.transfer_failed(now, id, status);
        }
        transfer.skip = wanted - first;
        let end = content_length.map(|length| first + length);
        // The segment's size: of its byte range, of the whole file, or still unknown. A part that is shorter than what was
        // asked for, or asked for up to the end, ends with the file.
        let more = transfer.end.is_some_and(|asked| end.is_none_or(|end| end >= asked));
        let whole_file = match (status, content_range) {
            (206, Some((_, Some(total)))) => Some(total),
            (206, _) => end.filter(|_| !more),
            _ => end,
        };
        let size = transfer
            .file_size
            .or_else(|| whole_file.map(|size| size.saturating_sub(transfer.file_start)));
        let unknown = size.is_none() && transfer.size.is_none() && !transfer.open_ended;
        if first < wanted || status == 200 && more && end > transfer.end {
            self.title.ranges = Ranges::Ignored;
        } else if status == 206 && more && unknown {
            // How much of the segment comes cannot be seen: it is asked for so that it can.
            self.title.ranges = Ranges::Unsized;
            let bytes = Some((transfer.from, transfer.to));
            return self.ask_instead(now, id, bytes);
        }
        if let Some(size) = size.filter(|_| !transfer.open_ended) {
            self.transfer_sized(now, id, size);
        }
    }

    /// Ends a transfer, and asks for these bytes of its segment, if any. What was claimed of it is still brought.
    fn ask_instead(&mut self, now: Instant, id: RequestId, bytes: Option<(u32, Option<u32>)>) {
        let segment = self.transfers.get(&id).map(|transfer| transfer.segment);
        self.outputs.push_back(Output::CancelFetch(id));
        self.end_transfer(now, id);
        if let (Some((from, to)), Some(segment)) = (bytes, segment)
            && let Some((list, number)) = self.title.place(segment)
        {
            self.start_transfer(now, list, number, from, to, false);
        }
    }

    pub(super) fn fetch_chunk(&mut self, now: Instant, id: RequestId, data: &Bytes) {
        if let Some(document) = self.documents.get_mut(&id) {
            document.progress_at = now;
            document.body.extend_from_slice(data);
            if document.body.len() > self.config.max_playlist_bytes {
                self.document_too_large(now, id);
            }
            return;
        }
        let Some(transfer) = self.transfers.get_mut(&id) else { return };
        transfer.progress_at = now;
        self.line.received(now, data.len());
        // Alone a line is idle only behind whole segments, and what a newcomer gets fast it believes at once.
        let pauses = self.started && self.swarm.is_some();
        let recent_bps = if pauses { self.line.recent_bps(now) } else { f64::INFINITY };
        if transfer.head_at.is_some() {
            self.bandwidth.received(now, data.len(), recent_bps);
        } else if !transfer.hint && now.since(transfer.started_at) >= CACHE_TIME {
            let came = (transfer.at - transfer.from) as usize + transfer.rest.len() + data.len();
            self.bandwidth.began(transfer.started_at);
            self.bandwidth.received(now, came, recent_bps);
            transfer.head_at = Some(transfer.started_at);
        }
        self.stats.http_bytes += data.len() as u64;
        let skipped = transfer.skip.min(data.len() as u64);
        transfer.skip -= skipped;
        transfer.rest.extend_from_slice(&data[skipped as usize..]);
        if transfer.rest.len() > MAX_SEGMENT_BYTES as usize {
            self.outputs.push_back(Output::CancelFetch(id));
            return self.transfer_failed(now, id, 0);
        }
        if transfer.open_ended {
            return self.carve(now, id);
        }
        let came = u64::from(transfer.at) + transfer.rest.len() as u64;
        let over = transfer.size.is_some_and(|size| came > size.into());
        if !(over && self.ask_uncompressed(now, id)) {
            self.store_blocks(now, id);
        }
    }

    /// `Content-Length` is not the size: it may count compressed bytes. Whether it is asked for as it is now.
    fn ask_uncompressed(&mut self, now: Instant, id: RequestId) -> bool {
        let Some(transfer) = self.transfers.get(&id) else { return false };
        let whole = transfer.from == 0 && transfer.end.is_none();
        let asks = whole && !self.title.compresses;
        if asks {
            self.title.compresses = true;
            self.store.remove(transfer.segment);
            let bytes = Some((transfer.from, transfer.to));
            self.ask_instead(now, id, bytes);
        }
        asks
    }

    pub(super) fn fetch_done(&mut self, now: Instant, id: RequestId) {
        if self.documents.contains_key(&id) {
            return self.document_done(now, id);
        }
        let Some(transfer) = self.transfers.get(&id) else { return };
        if transfer.size.is_none() {
            let size = u64::from(transfer.from) + transfer.rest.len() as u64;
            self.transfer_sized(now, id, size);
            self.store_blocks(now, id);
        }
        let Some(transfer) = self.transfers.get(&id) else { return };
        // A range was asked for before the size was known: it may end behind the segment.
        let size = transfer.size.unwrap_or(0);
        if transfer.at < transfer.to.map_or(size, |to| to.min(size)) {
            return self.transfer_failed(now, id, 0);
        }
        self.end_transfer(now, id);
    }

    pub(super) fn fetch_failed(&mut self, now: Instant, id: RequestId) {
        if let Some(document) = self.documents.remove(&id) {
            let Document { purpose, url, .. } = document;
            return self.document_failed(now, purpose, url, 0);
        }
        if self.transfers.contains_key(&id) {
            self.transfer_failed(now, id, 0);
        }
    }

    /// Gives up requests that have stood still for too long.
    pub(super) fn expire_requests(&mut self, now: Instant) {
        let mut stale = Vec::new();
        for (id, document) in &self.documents {
            // A block waits for its check: then it had better be believed.
            let check = matches!(document.purpose, Purpose::Check(_));
            let patience = if check { CHECK_TIMEOUT } else { DOCUMENT_TIMEOUT };
            if now.since(document.progress_at) > patience {
                stale.push(*id);
            }
        }
        for id in stale {
            self.outputs.push_back(Output::CancelFetch(id));
            self.fetch_failed(now, id);
        }
        let latency = Duration::from_secs_f64(4.0 * self.bandwidth.latency().min(5.0));
        let patience = TRANSFER_TIMEOUT.max(latency);
        let mut stale = Vec::new();
        for (id, transfer) in &self.transfers {
            if now.since(transfer.progress_at) > patience {
                stale.push(*id);
            }
        }
        for id in stale {
            self.outputs.push_back(Output::CancelFetch(id));
            self.transfer_failed(now, id, 0);
        }
    }

    /// Cancels transfers of segments that the playhead has left.
    pub(super) fn cancel_far_transfers(&mut self, now: Instant, position: f64) {
        let mut far = Vec::new();
        for (id, transfer) in &self.transfers {
            if self.title.find(transfer.segment).is_none_or(|(_, found)| {
                found.start + found.duration < position || found.start > position + 30.0
            }) {
                far.push(*id);
            }
        }
        for id in far {
            self.cancel_transfer(now, id);
        }
    }

    /// Stops a transfer whose bytes are not needed any more.
    pub(super) fn cancel_transfer(&mut self, now: Instant, id: RequestId) {
        self.outputs.push_back(Output::CancelFetch(id));
        if let Some(segment) = self.transfers.get(&id).map(|transfer| transfer.segment)
            && let Some(swarm) = &mut self.swarm
            && !self.store.is_complete(segment)
        {
            swarm.claim(segment, 0);
        }
        self.end_transfer(now, id);
    }

    /// The size of a part in an open-ended response is known: true when it is here whole.
    pub(super) fn part_sized(&mut self, now: Instant, id: RequestId, size: u64) -> bool {
        if self.transfers.get(&id).is_some_and(|transfer| transfer.size.is_none()) {
            self.transfer_sized(now, id, size);
        }
        self.store_blocks(now, id);
        self.transfers.get(&id).is_some_and(|of| of.size.is_some_and(|size| of.at >= size))
    }

    fn transfer_failed(&mut self, now: Instant, id: RequestId, status: u16) {
        let Some(segment) = self.transfers.get(&id).map(|transfer| transfer.segment) else {
            return;
        };
        if status == 416 {
            // It has another size than was said.
            self.store.remove(segment);
        }
        self.note_segment_failure(now, segment, status);
        if let Some(swarm) = &mut self.swarm {
            swarm.claim(segment, 0);
        }
        self.end_transfer(now, id);
    }

    fn end_transfer(&mut self, now: Instant, id: RequestId) {
        let Some(transfer) = self.transfers.remove(&id) else { return };
        if transfer.head_at.is_some() {
            self.bandwidth.ended(now);
        }
        if self.store.is_complete(transfer.segment) {
            self.answered_at_origin = now;
            self.segment_came(transfer.segment);
        }
    }

    /// The segment's size is known now: make room.
    fn transfer_sized(&mut self, now: Instant, id: RequestId, size: u64) {
        let Some(transfer) = self.transfers.get_mut(&id) else { return };
        let (segment, tag) = (transfer.segment, transfer.tag);
        if size == 0 {
            let url = transfer.url.clone();
            self.outputs.push_back(Output::CancelFetch(id));
            self.end_transfer(now, id);
            return self.segment_empty(now, segment, url);
        }
        let fits = u32::try_from(size).is_ok_and(|size| {
            // A size that a peer told wrongly is dropped with the bytes.
            transfer.size = Some(size);
            true
        });
        let known = u32::try_from(size).unwrap_or(0);
        let prepared = fits && self.prepare_segment(now, segment, known, tag);
        if fits && !prepared && known <= MAX_SEGMENT_BYTES && self.swarm.is_some() {
            if !self.ask_uncompressed(now, id) {
                self.origin_spoiled(now, segment);
            }
            return;
        }
        if !prepared {
            self.outputs.push_back(Output::CancelFetch(id));
            self.transfer_failed(now, id, 0);
        }
    }

    /// Moves what fills blocks from a transfer into the store.
    fn store_blocks(&mut self, now: Instant, id: RequestId) {
        let Some(transfer) = self.transfers.get_mut(&id) else { return };
        let Some(size) = transfer.size else { return };
        let segment = transfer.segment;
        let mut stored = Vec::new();
        let mut used = 0;
        while transfer.at < size {
            let block = (transfer.at / BLOCK_BYTES) as u16;
            let len = block_len(size, block) as usize;
            let Some(data) = transfer.rest.get(used..used + len) else { break };
            stored.push((block, Bytes::copy_from_slice(data)));
            used += len;
            transfer.at += len as u32;
        }
        transfer.rest.drain(..used);
        let mut added = false;
        for (block, data) in stored {
            let len = data.len();
            let outcome = self.store.insert(segment, block, data, Source::Http);
            if let (Insert::Duplicate, Some(swarm)) = (&outcome, &mut self.swarm) {
                swarm.count_duplicate(len);
            }
            added |= outcome == Insert::Added;
            self.outcome(now, segment, outcome, len);
            if let Some(swarm) = &mut self.swarm
                && swarm.is_requested(segment, block)
            {
                swarm.cancel(&|asked, which, _| asked == segment && which == block);
            }
        }
        // What cannot be shown yet cannot prolong the claim either.
        if let (true, Some(swarm), Some(transfer)) =
            (added, &mut self.swarm, self.transfers.get_mut(&id))
            && now.since(transfer.claimed_at) > CLAIM_AGAIN
            && self.store.segment(segment).is_some_and(|stored| stored.good.is_empty())
        {
            transfer.claimed_at = now;
            swarm.claim(segment, CLAIM_MS);
        }
        self.skip_held(now, id);
    }

    /// Ends a transfer whose rest is not wanted, or has been brought by peers meanwhile, and asks anew behind what they have where
    /// that is quicker than to wait until it has come again.
    fn skip_held(&mut self, now: Instant, id: RequestId) {
        let Some(transfer) = self.transfers.get(&id) else { return };
        let Some(stored) = self.store.segment(transfer.segment) else { return };
        let coming = blocks_to_come(transfer);
        let (first, end) = (coming.start, coming.end.min(stored.held.len()));
        let next = (first..end).find(|block| !stored.held.has(*block));
        let runs_on = transfer.to.is_some() && transfer.end.is_none();
        if first >= end && !runs_on || next == Some(first) || transfer.open_ended {
            return;
        }
        let rest = match next {
            None => None,
            Some(_) if self.title.ranges == Ranges::Ignored => return,
            Some(next) => {
                let (from, to) = (u32::from(next) * BLOCK_BYTES, transfer.to);
                let seconds = now.since(transfer.started_at).as_secs_f64();
                let skipped = f64::from(from - transfer.at) - transfer.rest.len() as f64;
                if skipped * seconds <= transfer.came() as f64 * self.bandwidth.latency() {
                    return;
                }
                Some((from, to))
            }
        };
        self.ask_instead(now, id, rest);
    }

    #[inline(never)]
    fn document_too_large(&mut self, now: Instant, id: RequestId) {
        let Some(document) = self.documents.remove(&id) else { return };
        self.outputs.push_back(Output::CancelFetch(id));
        let error = PlayerError::PlaylistTooLarge {
            url: document.url,
            limit: self.config.max_playlist_bytes,
        };
        match document.purpose {
            Purpose::Main => self.fail(now, error),
            Purpose::List(list) => self.list_failed(now, list, error, 400, true),
            Purpose::Init(key) => self.init_failed(now, key, 400),
            Purpose::Key(url) => self.key_failed(now, url, crate::error::KeyFault::Status(400)),
            Purpose::Steering => self.steering_done(now, "", Err(400)),
            Purpose::Text(source, sequence) => self.text_failed(now, source, sequence),
            Purpose::Hashes(url) => self.hashes_done(now, url, None),
            Purpose::Check(check) => self.check_done(now, check, None),
        }
    }
}

impl Transfer {
    /// Bytes that have come.
    pub(super) const fn came(&self) -> usize {
        (self.at - self.from) as usize + self.rest.len()
    }

    /// Whether more than a quarter of a block has come that is not whole yet.
    pub(super) const fn is_in_block(&self) -> bool {
        self.rest.len() > BLOCK_BYTES as usize / 4
    }

    /// What comes from now on is of this part, which begins at `file_start` of the file.
    pub(super) fn go_on_with(&mut self, segment: SegmentId, tag: u32, file_start: u64) {
        (self.segment, self.tag, self.file_start) = (segment, tag, file_start);
        (self.from, self.at, self.size) = (0, 0, None);
    }
}

/// First and one past the last block of a transfer that are still to come; empty once all have.
pub(super) fn blocks_to_come(transfer: &Transfer) -> std::ops::Range<u16> {
    let first = (transfer.at / BLOCK_BYTES) as u16;
    let end = transfer.to.or(transfer.size).map_or(u16::MAX, block_count);
    first..end.max(first)
}

/// When a transfer will have brought its segment up to `end`, at this throughput (bit/s) until it has shown its own.
pub(super) fn transfer_end(
    now: Instant,
    transfer: &Transfer,
    end: u64,
    bandwidth_bps: f64,
) -> Instant {
    let left = end.saturating_sub(u64::from(transfer.at)) as f64 * 8.0;
    let measured = transfer.head_at.map(|head_at| {
        let seconds = now.since(head_at).as_secs_f64();
        f64::from(transfer.at - transfer.from) * 8.0 / seconds.max(0.05)
    });
    let bps = measured.filter(|bps| *bps > 0.0).unwrap_or(bandwidth_bps).max(1000.0);
    now + Duration::from_secs_f64((left / bps).min(3600.0))
}
