//! Peer connections of a run: offers and answers, links, and frames on their way.

use bytes::Bytes;
use player_core::io::{ConnectionId, Input};
use player_core::wire::Message;

use super::engine::Engine;
use super::event::{Event, LinkId};
use super::net::{
    Direction, End, Frame, Link, Passage, loss_delay, peer_packets, peer_wire_bytes, transmission,
};
use super::run::Run;
use super::viewer::Connection;

/// µs to gather candidates.
const GATHER: u64 = 80_000;
/// µs that a connection takes beside its three round trips: checks, certificates.
const CONNECT: u64 = 200_000;
/// µs until a browser gives up connecting.
const CONNECT_FAILS: u64 = 15_000_000;
/// µs until an answer that nobody took up is given up.
const ANSWER_FAILS: u64 = 30_000_000;
/// Bytes of a browser's session description, beyond those of the simulator's.
const DESCRIPTION: u32 = 1_000;
/// Frames are put on the line together as long as they fill less than this (µs): saves events.
const QUANTUM: u64 = 1_000;

/// The session description of the simulator: who it is.
fn description(kind: &str, viewer: u32, connection: ConnectionId) -> String {
    format!("{kind} {viewer} {}", connection.0)
}

fn read_description(kind: &str, sdp: &str) -> Option<(u32, u32)> {
    let (viewer, connection) = sdp.strip_prefix(kind)?.trim_start().split_once(' ')?;
    Some((viewer.parse().ok()?, connection.parse().ok()?))
}

impl<E: Engine> Run<'_, E> {
    pub(super) fn create_offer(&mut self, viewer: u32, connection: ConnectionId) {
        self.begin_connection(viewer, connection, Connection::Offering);
        let sdp = description("offer", viewer, connection);
        let ready = Box::new(Input::OfferReady { connection, sdp });
        let gather = GATHER / 2 + self.rng.u64(..GATHER);
        self.events.push(self.now + gather, Event::Input(viewer, ready));
    }

    pub(super) fn create_answer(&mut self, viewer: u32, connection: ConnectionId, sdp: &str) {
        let Some((peer, other)) = read_description("offer", sdp) else {
            self.violate(viewer, "an answer to what is no offer");
            return;
        };
        self.begin_connection(viewer, connection, Connection::Answering(peer, other));
        let sdp = description("answer", viewer, connection);
        let ready = Box::new(Input::AnswerReady { connection, sdp });
        let gather = GATHER / 2 + self.rng.u64(..GATHER);
        self.events.push(self.now + gather, Event::Input(viewer, ready));
        self.time_out(viewer, connection.0, ANSWER_FAILS);
    }

    fn begin_connection(&mut self, viewer: u32, connection: ConnectionId, state: Connection) {
        let Some(v) = self.viewer(viewer) else { return };
        if v.connections.insert(connection.0, state).is_some() {
            self.violate(viewer, "a connection id is used twice");
        }
    }

    fn time_out(&mut self, viewer: u32, connection: u32, after: u64) {
        self.events.push(self.now + after, Event::ConnectTimeout { viewer, connection });
    }

    pub(super) fn accept_answer(&mut self, viewer: u32, connection: ConnectionId, sdp: &str) {
        let Some((peer, other)) = read_description("answer", sdp) else {
            self.violate(viewer, "accepts what is no answer");
            return;
        };
        let Some(v) = self.viewer(viewer) else { return };
        if v.connections.get(&connection.0) != Some(&Connection::Offering) {
            self.violate(viewer, "accepts an answer for a connection that made no offer");
            return;
        }
        let (mine, my_access) = (v.traits, v.access);
        let reachable = self.viewer(peer).filter(|p| {
            p.connections.get(&other) == Some(&Connection::Answering(viewer, connection.0))
                && !(mine.blocked || p.traits.blocked || mine.nat && p.traits.nat)
        });
        let Some(p) = reachable else {
            self.time_out(viewer, connection.0, CONNECT_FAILS);
            return;
        };
        let latency = my_access + p.access;
        let end = |viewer, connection| End { viewer, connection, open: true };
        let id = self.links.insert(Link {
            ends: [end(viewer, connection), end(peer, ConnectionId(other))],
            directions: [Direction::default(), Direction::default()],
            established: false,
            latency,
            closing: false,
        });
        for (side, (viewer, connection)) in
            [(viewer, connection.0), (peer, other)].iter().enumerate()
        {
            if let Some(v) = self.viewer(*viewer) {
                v.connections.insert(*connection, Connection::Linked(id, side as u8));
            }
        }
        self.events.push(self.now + 6 * latency + CONNECT, Event::Established(id));
    }

    pub(super) fn established(&mut self, id: LinkId) {
        let Some(link) = self.links.find(id) else { return };
        if link.closing {
            return;
        }
        link.established = true;
        for end in link.ends {
            if let Some(v) = self.viewer(end.viewer) {
                v.counted.connections += 1;
            }
            self.tell(end.viewer, Input::PeerConnected(end.connection));
        }
    }

    pub(super) fn connect_timeout(&mut self, viewer: u32, connection: u32) {
        let Some(v) = self.viewer(viewer) else { return };
        match v.connections.get(&connection) {
            None | Some(Connection::Linked(..)) => {}
            Some(Connection::Offering | Connection::Answering(..)) => {
                v.connections.remove(&connection);
                v.counted.failed_connections += 1;
                self.tell(viewer, Input::PeerClosed(ConnectionId(connection)));
            }
        }
    }

    pub(super) fn close_peer(&mut self, viewer: u32, connection: ConnectionId) {
        let Some(v) = self.viewer(viewer) else { return };
        match v.connections.remove(&connection.0) {
            Some(Connection::Linked(link, side)) => {
                self.close_link(link, side, 0);
            }
            Some(Connection::Offering | Connection::Answering(..)) | None => {}
        }
    }

    /// One end closes; the other learns of it after the latency and `notice` µs.
    pub(super) fn close_link(&mut self, id: LinkId, side: u8, notice: u64) {
        let now = self.now;
        let Some(link) = self.links.find(id) else { return };
        link.ends[usize::from(side)].open = false;
        let direction = &mut link.directions[usize::from(side)];
        direction.waiting.clear();
        direction.buffered = 0;
        if !link.closing {
            link.closing = true;
            let at = now + link.latency + notice;
            self.events.push(at, Event::PeerGone { link: id, side: 1 - side });
        }
    }

    pub(super) fn peer_gone(&mut self, id: LinkId, side: u8) {
        let Some(link) = self.links.find(id) else { return };
        let end = link.ends[usize::from(side)];
        self.links.remove(id);
        if end.open
            && let Some(v) = self.viewer(end.viewer)
        {
            v.connections.remove(&end.connection.0);
            self.tell(end.viewer, Input::PeerClosed(end.connection));
        }
    }

    pub(super) fn send_peer(&mut self, viewer: u32, connection: ConnectionId, message: Message) {
        let window = self.world.channel_window;
        let Some(v) = self.viewers[viewer as usize].as_deref_mut() else { return };
        let linked = match v.connections.get(&connection.0) {
            Some(Connection::Linked(id, side)) => Some((*id, *side)),
            _ => None,
        };
        let link = linked.and_then(|(id, side)| Some((id, side, self.links.find(id)?)));
        let Some((id, side, link)) = link.filter(|(_, _, link)| link.established) else {
            self.violate(viewer, "a message on a connection that is not open");
            return;
        };
        let lie = if v.traits.polluter {
            self.world.pollution.of(viewer).spoil(&self.world.title, &message)
        } else {
            None
        };
        let lies = lie.is_some();
        if v.traits.polluter
            && let Message::Hello(hello) = &message
        {
            self.lies.named(viewer, hello.peer_id.short_name());
        }
        let message = lie.unwrap_or(message);
        let mut len = message.encoded_len() as u32;
        if matches!(message, Message::Introduction(_)) {
            len += DESCRIPTION;
        }
        let message = match message {
            Message::Piece { id, offset, data } => {
                v.counted.control_bytes += u64::from(len) - data.len() as u64;
                Message::Piece { id, offset, data }
            }
            other => {
                v.counted.control_bytes += u64::from(len);
                other
            }
        };
        let direction = &mut link.directions[usize::from(side)];
        direction.buffered += len as usize;
        direction.unreported += len as usize;
        direction.waiting.push_back(Frame { message, len, lies });
        if !direction.queued && direction.in_flight < window {
            direction.queued = true;
            v.uplink.turns.push_back((id, side));
        }
        self.serve_uplink(viewer);
    }

    /// Puts frames on a viewer's line, one channel after the other, while the line is free.
    pub(super) fn serve_uplink(&mut self, viewer: u32) {
        let now = self.now;
        let low = self.world.config.send_buffer_low;
        let Some(v) = self.viewers[viewer as usize].as_deref_mut() else { return };
        let uplink = &mut v.uplink;
        while uplink.busy_until < now + QUANTUM
            && let Some((id, side)) = uplink.turns.pop_front()
        {
            let Some(link) = self.links.find(id) else { continue };
            let latency = link.latency;
            let direction = &mut link.directions[usize::from(side)];
            let Some(frame) = direction.waiting.pop_front() else {
                direction.queued = false;
                continue;
            };
            let len = u64::from(frame.len);
            let wire = peer_wire_bytes(len);
            if self.settled_at.is_some() {
                let kind = usize::from(!matches!(frame.message, Message::Piece { .. }));
                v.counted.line[kind] += wire;
            }
            uplink.busy_until = uplink.busy_until.max(now) + transmission(wire, uplink.rate_bps);
            let delay = loss_delay(&mut self.rng, self.world.loss, peer_packets(len), 2 * latency);
            let arrival = (uplink.busy_until + latency + delay).max(direction.last_arrival);
            direction.last_arrival = arrival;
            direction.buffered -= frame.len as usize;
            direction.in_flight += frame.len;
            direction.flying.push_back(frame);
            // As the browser's shell does: also when the line is faster than the sender, and the
            // buffer never was above the mark.
            let drained = direction.unreported > low && direction.buffered <= low;
            if drained {
                direction.unreported = 0;
            }
            direction.queued =
                !direction.waiting.is_empty() && direction.in_flight < self.world.channel_window;
            if direction.queued {
                uplink.turns.push_back((id, side));
            }
            let arrive = Event::Arrive { link: id, side, wire: wire as u32 };
            self.events.push(arrival, arrive);
            if drained {
                self.events.push(uplink.busy_until, Event::Writable { link: id, side });
            }
        }
        if !uplink.turns.is_empty() && !uplink.awaited {
            uplink.awaited = true;
            self.events.push(uplink.busy_until, Event::Uplink(viewer));
        }
    }

    pub(super) fn writable(&mut self, id: LinkId, side: u8) {
        let Some(link) = self.links.find(id) else { return };
        let end = link.ends[usize::from(side)];
        if end.open {
            self.tell(end.viewer, Input::PeerWritable(end.connection));
        }
    }

    pub(super) fn arrive(&mut self, id: LinkId, side: u8, wire: u32) {
        let now = self.now;
        let Some(link) = self.links.find(id) else { return };
        let receiver = link.ends[usize::from(1 - side)];
        if !receiver.open {
            link.directions[usize::from(side)].flying.pop_front();
            return;
        }
        let Some(v) = self.viewer(receiver.viewer) else { return };
        match v.downlink.take(now, wire) {
            Passage::AtOnce => self.deliver(id, side),
            Passage::At(at) => self.events.push(at, Event::Deliver { link: id, side }),
        }
    }

    pub(super) fn deliver(&mut self, id: LinkId, side: u8) {
        let window = self.world.channel_window;
        let Some(link) = self.links.find(id) else { return };
        let [sender, receiver] = [link.ends[usize::from(side)], link.ends[usize::from(1 - side)]];
        let direction = &mut link.directions[usize::from(side)];
        let Some(frame) = direction.flying.pop_front() else { return };
        if !receiver.open {
            return;
        }
        direction.in_flight -= frame.len;
        let resumes = !direction.queued
            && !direction.waiting.is_empty()
            && direction.in_flight < window
            && sender.open;
        direction.queued |= resumes;
        let honest = self.viewer(receiver.viewer).is_some_and(|v| !v.traits.polluter);
        if frame.lies && honest {
            self.lies.told(self.now, receiver.viewer, sender.viewer);
        }
        if let Message::Piece { data, .. } = &frame.message {
            let bytes = data.len() as u64;
            self.peer_bytes += bytes;
            if let Some(v) = self.viewer(receiver.viewer) {
                v.counted.peer_media_bytes += bytes;
            }
            if let Some(v) = self.viewer(sender.viewer) {
                v.counted.uploaded_bytes += bytes;
            }
        }
        if resumes {
            if let Some(v) = self.viewer(sender.viewer) {
                v.uplink.turns.push_back((id, side));
            }
            self.serve_uplink(sender.viewer);
        }
        let input = if self.world.wire {
            Input::PeerFrame(receiver.connection, Bytes::from(frame.message.encode()))
        } else {
            Input::PeerMessage(receiver.connection, frame.message)
        };
        self.tell(receiver.viewer, input);
    }
}
