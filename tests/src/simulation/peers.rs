//! Peer connections of a run: offers and answers, channels, and frames on their way.

use bytes::Bytes;
use player_core::io::{ConnectionId, Input};
use player_core::wire::Message;

use super::engine::Engine;
use super::event::{Common, Event};
use super::net::{Channel, Frame, Passage, loss_delay, transmission};
use super::run::Run;
use super::shard::{Shard, place};
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
/// A receiver tells of what it has received by this part of the window.
const CREDITS: u32 = 8;

/// The session description of the simulator: who it is.
fn description(kind: &str, viewer: u32, connection: ConnectionId) -> String {
    format!("{kind} {viewer} {}", connection.0)
}

fn read_description(kind: &str, sdp: &str) -> Option<(u32, u32)> {
    let (viewer, connection) = sdp.strip_prefix(kind)?.trim_start().split_once(' ')?;
    Some((viewer.parse().ok()?, connection.parse().ok()?))
}

impl<E: Engine> Run<'_, E> {
    /// One viewer has taken up another's answer: they get to each other, or not.
    pub(super) fn meet(&mut self, ends: [(u32, u32); 2]) {
        let [(viewer, connection), _] = ends;
        let now = self.now;
        let meets = |state: &Connection| matches!(state, Connection::Meeting);
        let answers = |state: &Connection| match state {
            Connection::Answering(viewer, of) => (*viewer, *of) == ends[0],
            _ => false,
        };
        let end =
            |run: &mut Self, (viewer, connection): (u32, u32), is: &dyn Fn(&Connection) -> bool| {
                let v = run.viewer(viewer)?;
                let there = v.connections.get(&connection).is_some_and(is);
                there.then_some((v.access, v.traits))
            };
        let Some((access, mine)) = end(self, ends[0], &meets) else { return };
        let reached = end(self, ends[1], &answers)
            .filter(|(_, of)| !(mine.blocked || of.blocked || mine.nat && of.nat));
        let Some((peer_access, _)) = reached else {
            let shard = &mut self.shards[place(viewer).0];
            shard.events.push(now + CONNECT_FAILS, Event::ConnectTimeout { viewer, connection });
            return;
        };
        let latency = self.world.peer_latency([access, peer_access]);
        for (mine, theirs) in [(ends[0], ends[1]), (ends[1], ends[0])] {
            let (viewer, connection) = mine;
            let channel = Box::new(Channel::new(theirs, latency));
            if let Some(v) = self.viewer(viewer) {
                v.connections.insert(connection, Connection::Linked(channel));
            }
            let established = Event::Established { viewer, connection };
            self.shards[place(viewer).0].events.push(now + 6 * latency + CONNECT, established);
        }
    }
}

impl<E: Engine> Shard<'_, E> {
    pub(super) fn create_offer(&mut self, viewer: u32, connection: ConnectionId) {
        self.begin_connection(viewer, connection, Connection::Offering);
        let sdp = description("offer", viewer, connection);
        self.gathered(viewer, Input::OfferReady { connection, sdp });
    }

    pub(super) fn create_answer(&mut self, viewer: u32, connection: ConnectionId, sdp: &str) {
        let Some((peer, other)) = read_description("offer", sdp) else {
            self.violate(viewer, "an answer to what is no offer");
            return;
        };
        self.begin_connection(viewer, connection, Connection::Answering(peer, other));
        let sdp = description("answer", viewer, connection);
        self.gathered(viewer, Input::AnswerReady { connection, sdp });
        let connection = connection.0;
        self.events.push(self.now + ANSWER_FAILS, Event::ConnectTimeout { viewer, connection });
    }

    /// Says so once candidates have been gathered.
    fn gathered(&mut self, viewer: u32, ready: Input) {
        let Some(v) = self.viewer(viewer) else { return };
        let gather = GATHER / 2 + v.rng.u64(..GATHER);
        self.events.push(self.now + gather, Event::Input(viewer, Box::new(ready)));
    }

    fn begin_connection(&mut self, viewer: u32, connection: ConnectionId, state: Connection) {
        let Some(v) = self.viewer(viewer) else { return };
        if v.connections.insert(connection.0, state).is_some() {
            self.violate(viewer, "a connection id is used twice");
        }
    }

    pub(super) fn accept_answer(&mut self, viewer: u32, connection: ConnectionId, sdp: &str) {
        let Some(peer) = read_description("answer", sdp) else {
            self.violate(viewer, "accepts what is no answer");
            return;
        };
        let Some(v) = self.viewer(viewer) else { return };
        match v.connections.get_mut(&connection.0) {
            Some(state @ Connection::Offering) => *state = Connection::Meeting,
            _ => {
                self.violate(viewer, "accepts an answer for a connection that made no offer");
                return;
            }
        }
        let ends = [(viewer, connection.0), peer];
        self.send_common(self.now, Common::Meet { ends });
    }

    pub(super) fn established(&mut self, viewer: u32, connection: u32) {
        let Some(v) = self.viewer(viewer) else { return };
        let Some(Connection::Linked(channel)) = v.connections.get_mut(&connection) else { return };
        channel.established = true;
        v.counted.connections += 1;
        self.tell(viewer, Input::PeerConnected(ConnectionId(connection)));
    }

    pub(super) fn connect_timeout(&mut self, viewer: u32, connection: u32) {
        let Some(v) = self.viewer(viewer) else { return };
        match v.connections.get(&connection) {
            None | Some(Connection::Linked(_)) => {}
            Some(_) => {
                v.connections.remove(&connection);
                v.counted.failed_connections += 1;
                self.tell(viewer, Input::PeerClosed(ConnectionId(connection)));
            }
        }
    }

    pub(super) fn close_peer(&mut self, viewer: u32, connection: ConnectionId) {
        let Some(v) = self.viewer(viewer) else { return };
        if let Some(Connection::Linked(channel)) = v.connections.remove(&connection.0) {
            self.close_channel(&channel, 0);
        }
    }

    /// One end closes; the other learns of it after the latency and `notice` µs.
    pub(super) fn close_channel(&mut self, channel: &Channel, notice: u64) {
        let (viewer, connection) = (channel.peer, channel.other);
        let at = self.now + channel.latency + notice;
        self.send(viewer, at, Event::PeerGone { viewer, connection });
    }

    pub(super) fn peer_gone(&mut self, viewer: u32, connection: u32) {
        let Some(v) = self.viewer(viewer) else { return };
        if v.connections.remove(&connection).is_some() {
            self.tell(viewer, Input::PeerClosed(ConnectionId(connection)));
        }
    }

    pub(super) fn send_peer(&mut self, viewer: u32, connection: ConnectionId, message: Message) {
        let world = self.world;
        let Some(v) = self.viewer(viewer) else { return };
        let channel = match v.connections.get_mut(&connection.0) {
            Some(Connection::Linked(channel)) if channel.established => channel,
            _ => {
                self.violate(viewer, "a message on a connection that is not open");
                return;
            }
        };
        let lie = if v.traits.polluter {
            world.pollution.of(viewer).spoil(&world.title, &message)
        } else {
            None
        };
        let lies = lie.is_some();
        let message = lie.unwrap_or(message);
        let mut len = message.encoded_len() as u32;
        if matches!(message, Message::Introduction(_)) {
            len += DESCRIPTION;
        }
        let taken_back = match &message {
            Message::Cancel { id } if world.polluter_share > 0.0 => Some((channel.peer, *id)),
            _ => None,
        };
        v.counted.control_bytes += u64::from(len);
        if let Message::Piece { data, .. } = &message {
            v.counted.control_bytes -= data.len() as u64;
        }
        channel.buffered += len as usize;
        channel.unreported += len as usize;
        channel.waiting.push_back(Box::new(Frame { message, len, wire: 0, lies }));
        if !channel.queued && channel.in_flight < world.channel_window {
            channel.queued = true;
            v.uplink.turns.push_back(connection.0);
        }
        if let Some((peer, id)) = taken_back {
            self.lies.cancelled(viewer, peer, id);
        }
        self.serve_uplink(viewer);
    }

    /// Puts frames on a viewer's line, one channel after the other, while the line is free.
    pub(super) fn serve_uplink(&mut self, viewer: u32) {
        let (now, world, settled) = (self.now, self.world, self.settled_at.is_some());
        let low = world.config.send_buffer_low;
        loop {
            let Some(v) = self.viewer(viewer) else { return };
            let uplink = &mut v.uplink;
            if uplink.busy_until >= now + QUANTUM {
                break;
            }
            let Some(connection) = uplink.turns.pop_front() else { break };
            let Some(Connection::Linked(channel)) = v.connections.get_mut(&connection) else {
                continue;
            };
            let Some(mut frame) = channel.waiting.pop_front() else {
                channel.queued = false;
                continue;
            };
            let (wire, packets) = channel.fill(frame.len.into());
            frame.wire = wire as u32;
            let piece = match &frame.message {
                Message::Piece { data, .. } => {
                    v.counted.uploaded_bytes += data.len() as u64;
                    true
                }
                _ => false,
            };
            if settled {
                v.counted.line[usize::from(!piece)] += wire;
            }
            uplink.busy_until = uplink.busy_until.max(now) + transmission(wire, uplink.rate_bps);
            let latency = channel.latency;
            let delay = loss_delay(&mut v.rng, world.loss, packets, 2 * latency);
            let arrival = (uplink.busy_until + latency + delay).max(channel.last_arrival);
            channel.last_arrival = arrival;
            channel.buffered -= frame.len as usize;
            channel.in_flight += frame.len;
            // As the browser's shell does: also when the line is faster than the sender, and the
            // buffer never was above the mark.
            let drained = channel.unreported > low && channel.buffered <= low;
            if drained {
                channel.unreported = 0;
            }
            channel.queued =
                !channel.waiting.is_empty() && channel.in_flight < world.channel_window;
            if channel.queued && channel.shares_packet() {
                uplink.turns.push_front(connection);
            } else {
                channel.room = 0;
                if channel.queued {
                    uplink.turns.push_back(connection);
                }
            }
            let sent_at = uplink.busy_until;
            let (peer, other) = (channel.peer, channel.other);
            self.send(peer, arrival, Event::Arrive { viewer: peer, connection: other, frame });
            if drained {
                self.events.push(sent_at, Event::Writable { viewer, connection });
            }
        }
        let Some(v) = self.viewer(viewer) else { return };
        if !v.uplink.turns.is_empty() && !v.uplink.awaited {
            v.uplink.awaited = true;
            let free_at = v.uplink.busy_until;
            self.events.push(free_at, Event::Uplink(viewer));
        }
    }

    pub(super) fn writable(&mut self, viewer: u32, connection: u32) {
        let open = self.viewer(viewer).is_some_and(|v| v.connections.contains_key(&connection));
        if open {
            self.tell(viewer, Input::PeerWritable(ConnectionId(connection)));
        }
    }

    pub(super) fn arrive(&mut self, viewer: u32, connection: u32, frame: Box<Frame>) {
        let now = self.now;
        let Some(v) = self.viewer(viewer) else { return };
        if !v.connections.contains_key(&connection) {
            return;
        }
        match v.downlink.take(now, frame.wire) {
            Passage::AtOnce => self.deliver(viewer, connection, *frame),
            Passage::At(at) => self.events.push(at, Event::Deliver { viewer, connection, frame }),
        }
    }

    pub(super) fn deliver(&mut self, viewer: u32, connection: u32, frame: Frame) {
        let world = self.world;
        let now = self.now;
        let Some(v) = self.viewer(viewer) else { return };
        let Some(Connection::Linked(channel)) = v.connections.get_mut(&connection) else { return };
        let (peer, other, latency) = (channel.peer, channel.other, channel.latency);
        channel.received += frame.len;
        let mut credit = None;
        if channel.received >= world.channel_window / CREDITS {
            credit = Some(std::mem::take(&mut channel.received));
        }
        let honest = !v.traits.polluter;
        let mut bytes = 0;
        match &frame.message {
            Message::Piece { data, .. } => bytes = data.len() as u64,
            Message::Hello(hello) if world.polluter_share > 0.0 => {
                self.lies.named(peer, hello.peer_id.short_name());
            }
            _ => {}
        }
        if bytes > 0 {
            self.peer_bytes += bytes;
            if let Some(v) = self.viewer(viewer) {
                v.counted.peer_media_bytes += bytes;
            }
        }
        if frame.lies && honest {
            self.lies.told(now, viewer, peer, &frame.message);
        }
        if let Some(bytes) = credit {
            let event = Event::Credit { viewer: peer, connection: other, bytes };
            self.send(peer, now + latency, event);
        }
        let connection = ConnectionId(connection);
        let input = if world.wire {
            Input::PeerFrame(connection, Bytes::from(frame.message.encode()))
        } else {
            Input::PeerMessage(connection, frame.message)
        };
        self.tell(viewer, input);
    }

    pub(super) fn credit(&mut self, viewer: u32, connection: u32, bytes: u32) {
        let window = self.world.channel_window;
        let Some(v) = self.viewer(viewer) else { return };
        let Some(Connection::Linked(channel)) = v.connections.get_mut(&connection) else { return };
        channel.in_flight = channel.in_flight.saturating_sub(bytes);
        if !channel.queued && !channel.waiting.is_empty() && channel.in_flight < window {
            channel.queued = true;
            v.uplink.turns.push_back(connection);
            self.serve_uplink(viewer);
        }
    }
}
