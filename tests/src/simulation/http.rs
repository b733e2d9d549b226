//! HTTP of a run: requests, and responses on their way through the origin's line and the viewer's.

use std::cmp::Reverse;

use player_core::io::{FetchKind, FetchRequest, Input, RequestId};

use super::engine::Engine;
use super::event::Event;
use super::net::{Passage, http_wire_bytes, loss_delay, transmission};
use super::origin::{Answer, Body};
use super::run::Run;
use super::viewer::Exchange;

/// Largest part of a response that is delivered at once.
const CHUNK: u64 = 16 << 10;

/// Bytes of the chunk that begins at `offset` of a response that ends at `to`. Chunks end where a block does: no block is
/// cut where it need not be.
fn next_chunk(offset: u64, to: u64) -> u64 {
    (CHUNK - offset % CHUNK).min(to - offset)
}

impl<E: Engine> Run<'_, E> {
    /// One way between a viewer and the origin or the tracker (µs).
    pub(super) fn origin_latency(&mut self, viewer: u32) -> u64 {
        let beyond = (self.world.origin_latency_ms * 1e3) as u64;
        beyond + self.viewer(viewer).map_or(0, |v| v.access)
    }

    pub(super) fn fetch(&mut self, viewer: u32, request: FetchRequest) {
        let latency = self.origin_latency(viewer);
        let think = (self.world.origin_think_ms * 1e3) as u64;
        let Some(v) = self.viewer(viewer) else { return };
        let id = request.id;
        let used = v.last_request.is_some_and(|last| id.0 <= last);
        v.last_request = v.last_request.max(Some(id.0));
        // The first request sets up TCP and TLS first.
        let setup = if v.http.connected { 0 } else { 4 * latency };
        v.http.connected = true;
        v.http.exchanges.insert(id.0, Exchange::Asked(request));
        if used {
            self.violate(viewer, "request ids do not ascend");
        }
        self.events.push(self.now + setup + latency + think, Event::Request { viewer, id });
    }

    pub(super) fn request_arrives(&mut self, viewer: u32, id: RequestId) {
        let latency = self.origin_latency(viewer);
        let now = self.now;
        let Some(v) = self.viewers[viewer as usize].as_deref_mut() else { return };
        let Some(exchange) = v.http.exchanges.get_mut(&id.0) else { return };
        let Exchange::Asked(request) = exchange else { return };
        let request = request.clone();
        let seconds = now as f64 / 1e6;
        match self.origin.answer(&self.world.title, seconds, &request.url, request.range) {
            Answer::Silence => *exchange = Exchange::Silent,
            Answer::Later(at) => {
                let at = ((at * 1e6).ceil() as u64).max(now + 1_000);
                self.events.push(at, Event::Request { viewer, id });
            }
            Answer::Refused => {
                *exchange = Exchange::Refused;
                self.events.push(now + latency, Event::Head { viewer, id });
            }
            Answer::Response(response) => {
                self.origin.count_request(&response.body);
                if response.to > response.from {
                    v.http.turns.push_back(id);
                }
                let response = Box::new(response);
                *exchange = Exchange::Answered { request, response, sent: 0 };
                self.events.push(now + latency, Event::Head { viewer, id });
                self.serve_http(viewer);
            }
        }
    }

    pub(super) fn head_arrives(&mut self, viewer: u32, id: RequestId) {
        let Some(v) = self.viewer(viewer) else { return };
        match v.http.exchanges.get(&id.0) {
            Some(Exchange::Refused) => {
                v.http.exchanges.remove(&id.0);
                self.tell(viewer, Input::FetchFailed { id });
            }
            Some(Exchange::Answered { request, response, .. }) => {
                let empty = response.to == response.from;
                let head = Input::FetchHead {
                    id,
                    status: response.status,
                    content_length: Some(response.length),
                    content_range: response.range.map(|(first, size)| (first, Some(size))),
                    content_type: Some(response.content_type.to_owned()),
                    url: request.url.clone(),
                };
                self.tell(viewer, head);
                if empty
                    && let Some(v) = self.viewer(viewer)
                    && v.http.exchanges.remove(&id.0).is_some()
                {
                    self.tell(viewer, Input::FetchDone { id });
                }
            }
            Some(Exchange::Asked(_) | Exchange::Silent) | None => {}
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
        let Some(v) = self.viewers.get_mut(viewer as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        let http = &mut v.http;
        if http.queued || http.in_flight >= http.window {
            return;
        }
        let next = http.turns.iter().find_map(|id| match http.exchanges.get(&id.0) {
            Some(Exchange::Answered { response, sent, .. }) => {
                Some(next_chunk(response.from + sent, response.to))
            }
            _ => None,
        });
        let Some(len) = next else { return };
        http.queued = true;
        http.end = http.end.max(line.served) + http_wire_bytes(len);
        line.count += 1;
        line.turns.push(Reverse((http.end, line.count, viewer)));
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
            if let Some(v) = self.viewer(viewer) {
                v.http.queued = false;
                self.queue_at_origin(viewer);
            }
        }
        if !self.origin_line.turns.is_empty() && !self.origin_line.awaited {
            self.origin_line.awaited = true;
            self.events.push(self.origin_line.busy_until, Event::OriginFree);
        }
    }

    /// Sends the next chunk to a viewer, if there is one and its window is open: bytes on the wire.
    fn send_chunk(&mut self, viewer: u32) -> Option<u64> {
        let latency = self.origin_latency(viewer);
        let v = self.viewers.get_mut(viewer as usize)?.as_deref_mut()?;
        let http = &mut v.http;
        while http.in_flight < http.window {
            let id = http.turns.pop_front()?;
            let Some(Exchange::Answered { response, sent, .. }) = http.exchanges.get_mut(&id.0)
            else {
                continue;
            };
            let offset = response.from + *sent;
            let len = next_chunk(offset, response.to);
            *sent += len;
            let to_polluter = v.traits.polluter;
            self.origin.count_bytes(&response.body, response.content_type, len, to_polluter);
            if offset + len < response.to {
                http.turns.push_back(id);
            }
            http.in_flight += len as u32;
            let wire = http_wire_bytes(len);
            let packets = len.div_ceil(1_430);
            let delay = loss_delay(&mut self.rng, self.world.loss, packets, 2 * latency);
            let arrival = (self.now + latency + delay).max(http.last_arrival);
            http.last_arrival = arrival;
            let chunk = Event::ChunkArrive { viewer, id, offset: offset as u32, len: len as u32 };
            self.events.push(arrival, chunk);
            return Some(wire);
        }
        None
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
        self.events.push(self.now + latency, Event::Ack { viewer, len });
        let title = &self.world.title;
        let Some(v) = self.viewer(viewer) else { return };
        let Some(Exchange::Answered { request, response, .. }) = v.http.exchanges.get(&id.0) else {
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
            if self.viewer(viewer).is_some_and(|v| v.http.exchanges.contains_key(&id.0)) {
                self.tell(viewer, Input::FetchChunk { id, data });
            }
        }
        if last
            && let Some(v) = self.viewer(viewer)
            && v.http.exchanges.remove(&id.0).is_some()
        {
            let end = if truncated { Input::FetchFailed { id } } else { Input::FetchDone { id } };
            self.tell(viewer, end);
        }
    }

    pub(super) fn acknowledged(&mut self, viewer: u32, len: u32) {
        let Some(v) = self.viewer(viewer) else { return };
        v.http.in_flight = v.http.in_flight.saturating_sub(len);
        v.http.window = v.http.window.saturating_add(len).min(v.http.most);
        self.serve_http(viewer);
    }
}
