//! HTTP of a run: requests, and responses on their way through the origin's line and the viewer's.

use std::cmp::Reverse;
use std::sync::Arc;

use player_core::io::{FetchKind, FetchRequest, Input, RequestId};

use super::engine::Engine;
use super::event::{Ask, Common, Event};
use super::net::{Passage, http_wire_bytes, loss_delay, transmission};
use super::origin::{Answer, Body, Response};
use super::run::Run;
use super::shard::{Shard, place};
use super::viewer::Exchange;

/// Largest part of a response that is delivered at once.
const CHUNK: u64 = 16 << 10;

/// Bytes of the chunk that begins at `offset` of a response that ends at `to`. Chunks end where a block does: no block is
/// cut where it need not be.
fn next_chunk(offset: u64, to: u64) -> u64 {
    (CHUNK - offset % CHUNK).min(to - offset)
}

/// The origin's end.
impl<E: Engine> Run<'_, E> {
    pub(super) fn request_arrives(&mut self, viewer: u32, id: RequestId, ask: Box<Ask>) {
        let latency = self.origin_latency(viewer);
        let now = self.now;
        let Some(guest) = self.guests[viewer as usize].as_deref_mut() else { return };
        if guest.cancelled.remove(&id.0) {
            return;
        }
        let seconds = now as f64 / 1e6;
        let response = match self.origin.answer(&self.world.title, seconds, &ask.url, ask.range) {
            Answer::Silence => return,
            Answer::Later(at) => {
                let at = ((at * 1e6).ceil() as u64).max(now + 1_000);
                self.events.push(at, Common::Request { viewer, id, ask });
                return;
            }
            Answer::Refused => None,
            Answer::Response(response) => {
                self.origin.count_request(&response.body);
                let response = Arc::new(response);
                if response.to > response.from {
                    guest.turns.push_back(id);
                    guest.responses.insert(id.0, (Arc::clone(&response), 0));
                }
                Some(response)
            }
        };
        let head = Event::Head { viewer, id, response };
        self.shards[place(viewer).0].events.push(now + latency, head);
        self.serve_http(viewer);
    }

    pub(super) fn cancelled(&mut self, viewer: u32, id: RequestId) {
        let Some(guest) = self.guests[viewer as usize].as_deref_mut() else { return };
        if guest.responses.remove(&id.0).is_none() {
            guest.cancelled.insert(id.0);
        }
    }

    /// Sends what a viewer's window allows.
    fn serve_http(&mut self, viewer: u32) {
        if self.world.origin_limit_bps.is_some() {
            self.queue_at_origin(viewer);
            self.serve_origin();
        } else {
            while self.send_chunk(viewer).is_some() {}
        }
    }

    /// Puts a viewer's next chunk into the origin's queue.
    fn queue_at_origin(&mut self, viewer: u32) {
        let line = &mut self.origin_line;
        let Some(guest) = self.guests[viewer as usize].as_deref_mut() else { return };
        if guest.queued || guest.in_flight >= guest.window {
            return;
        }
        let next = guest.turns.iter().find_map(|id| {
            let (response, sent) = guest.responses.get(&id.0)?;
            Some(next_chunk(response.from + sent, response.to))
        });
        let Some(len) = next else { return };
        guest.queued = true;
        guest.end = guest.end.max(line.served) + http_wire_bytes(len);
        line.count += 1;
        line.turns.push(Reverse((guest.end, line.count, viewer)));
    }

    /// Serves viewers while the origin's line is free.
    pub(super) fn serve_origin(&mut self) {
        let Some(rate) = self.world.origin_limit_bps else { return };
        let now = self.now;
        while self.origin_line.busy_until <= now
            && let Some(Reverse((end, _, viewer))) = self.origin_line.turns.pop()
        {
            self.origin_line.served = end;
            if let Some(wire) = self.send_chunk(viewer) {
                self.origin_line.busy_until = now + transmission(wire, rate);
            }
            if let Some(guest) = self.guests[viewer as usize].as_deref_mut() {
                guest.queued = false;
                self.queue_at_origin(viewer);
            }
        }
        if !self.origin_line.turns.is_empty() && !self.origin_line.awaited {
            self.origin_line.awaited = true;
            self.events.push(self.origin_line.busy_until, Common::OriginFree);
        }
    }

    /// Sends the next chunk to a viewer, if there is one and its window is open: bytes on the wire.
    fn send_chunk(&mut self, viewer: u32) -> Option<u64> {
        let latency = self.origin_latency(viewer);
        let guest = self.guests[viewer as usize].as_deref_mut()?;
        while guest.in_flight < guest.window {
            let id = guest.turns.pop_front()?;
            let Some((response, sent)) = guest.responses.get_mut(&id.0) else { continue };
            let offset = response.from + *sent;
            let len = next_chunk(offset, response.to);
            *sent += len;
            self.origin.count_bytes(&response.body, response.content_type, len, guest.polluter);
            if offset + len < response.to {
                guest.turns.push_back(id);
            } else {
                guest.responses.remove(&id.0);
            }
            guest.in_flight += len as u32;
            let wire = http_wire_bytes(len);
            let packets = len.div_ceil(1_430);
            let delay = loss_delay(&mut self.rng, self.world.loss, packets, 2 * latency);
            let arrival = (self.now + latency + delay).max(guest.last_arrival);
            guest.last_arrival = arrival;
            let chunk = Event::ChunkArrive { viewer, id, offset: offset as u32, len: len as u32 };
            self.shards[place(viewer).0].events.push(arrival, chunk);
            return Some(wire);
        }
        None
    }

    pub(super) fn acknowledged(&mut self, viewer: u32, len: u32) {
        let Some(guest) = self.guests[viewer as usize].as_deref_mut() else { return };
        guest.in_flight = guest.in_flight.saturating_sub(len);
        guest.window = guest.window.saturating_add(len).min(guest.most);
        self.serve_http(viewer);
    }

    /// One way between a viewer and the origin or the tracker (µs).
    pub(super) fn origin_latency(&self, viewer: u32) -> u64 {
        let access = self.guests[viewer as usize].as_deref().map_or(0, |guest| guest.access);
        self.world.origin_latency(access)
    }
}

/// The viewer's end.
impl<E: Engine> Shard<'_, E> {
    /// One way between a viewer and the origin or the tracker (µs).
    pub(super) fn origin_latency(&mut self, viewer: u32) -> u64 {
        let access = self.viewer(viewer).map_or(0, |v| v.access);
        self.world.origin_latency(access)
    }

    pub(super) fn fetch(&mut self, viewer: u32, request: FetchRequest) {
        let latency = self.origin_latency(viewer);
        let think = (self.world.origin_think_ms * 1e3) as u64;
        let Some(v) = self.viewer(viewer) else { return };
        let id = request.id;
        let used = v.last_request.is_some_and(|last| id.0 <= last);
        v.last_request = v.last_request.max(Some(id.0));
        // The first request sets up TCP and TLS first.
        let setup = if v.connected { 0 } else { 4 * latency };
        v.connected = true;
        let ask = Box::new(Ask { url: request.url.clone(), range: request.range });
        v.exchanges.insert(id.0, Exchange { request, response: None });
        if used {
            self.violate(viewer, "request ids do not ascend");
        }
        let at = self.now + setup + latency + think;
        self.send_common(at, Common::Request { viewer, id, ask });
    }

    pub(super) fn cancel_fetch(&mut self, viewer: u32, id: RequestId) {
        let Some(v) = self.viewer(viewer) else { return };
        if v.exchanges.remove(&id.0).is_some() {
            self.send_common(self.now, Common::Cancel { viewer, id });
        }
    }

    pub(super) fn head_arrives(
        &mut self,
        viewer: u32,
        id: RequestId,
        response: Option<Arc<Response>>,
    ) {
        let compresses = self.world.origin_compresses;
        let Some(v) = self.viewer(viewer) else { return };
        let Some(exchange) = v.exchanges.get_mut(&id.0) else { return };
        let Some(response) = response else {
            v.exchanges.remove(&id.0);
            self.tell(viewer, Input::FetchFailed { id });
            return;
        };
        let empty = response.to == response.from;
        // Of what is compressed only the length tells.
        let compressed =
            compresses && exchange.request.range.is_none() && response.content_type == "video/mp4";
        let length = response.length - if compressed { response.length / 20 } else { 0 };
        let head = Input::FetchHead {
            id,
            status: response.status,
            content_length: Some(length),
            content_range: response.range.map(|(first, size)| (first, Some(size))),
            content_type: Some(response.content_type.to_owned()),
            url: exchange.request.url.clone(),
        };
        exchange.response = Some(response);
        self.tell(viewer, head);
        if empty
            && let Some(v) = self.viewer(viewer)
            && v.exchanges.remove(&id.0).is_some()
        {
            self.tell(viewer, Input::FetchDone { id });
        }
    }

    pub(super) fn chunk_arrives(&mut self, viewer: u32, id: RequestId, offset: u32, len: u32) {
        let now = self.now;
        let Some(v) = self.viewer(viewer) else { return };
        match v.downlink.take(now, http_wire_bytes(u64::from(len)) as u32) {
            Passage::AtOnce => self.chunk_delivered(viewer, id, offset, len),
            Passage::At(at) => {
                self.events.push(at, Event::ChunkDeliver { viewer, id, offset, len });
            }
        }
    }

    pub(super) fn chunk_delivered(&mut self, viewer: u32, id: RequestId, offset: u32, len: u32) {
        let latency = self.origin_latency(viewer);
        self.send_common(self.now + latency, Common::Ack { viewer, len });
        let title = &self.world.title;
        let Some(v) = self.viewer(viewer) else { return };
        let Some(Exchange { request, response: Some(response) }) = v.exchanges.get(&id.0) else {
            return;
        };
        let (from, to) = (u64::from(offset), u64::from(offset) + u64::from(len));
        let media = request.kind != FetchKind::Playlist;
        let (last, truncated) = (to == response.to, response.truncated);
        let mut parts: [Option<bytes::Bytes>; 2] = [None, None];
        match &response.body {
            Body::Bytes(body) | Body::Whole { data: body, .. } => {
                parts[0] = Some(body.slice(from as usize..to as usize))
            }
            Body::Segment { variant, sequence, head } => {
                let mut next = 0;
                title.slices((*variant, *sequence), head, from, to, |part| {
                    parts[next] = Some(part);
                    next += 1;
                });
            }
        }
        if media {
            v.counted.http_media_bytes += u64::from(len);
        }
        for data in parts.into_iter().flatten() {
            if self.viewer(viewer).is_some_and(|v| v.exchanges.contains_key(&id.0)) {
                self.tell(viewer, Input::FetchChunk { id, data });
            }
        }
        if last
            && let Some(v) = self.viewer(viewer)
            && v.exchanges.remove(&id.0).is_some()
        {
            let end = if truncated { Input::FetchFailed { id } } else { Input::FetchDone { id } };
            self.tell(viewer, end);
        }
    }
}
