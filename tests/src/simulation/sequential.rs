//! A player simple enough to trust, to check the simulator with: fetches one segment after the
//! other from the origin, appends it, and says its name to every peer.

use bytes::{Bytes, BytesMut};
use player_core::Config;
use player_core::io::{
    ConnectionId, FetchKind, FetchRequest, Input, MediaCommand, Output, RequestId, Track, TrackerId,
};
use player_core::stats::Stats;
use player_core::time::Instant;
use player_core::tracker::{Announce, Answer, ClientMessage, Offer, OfferId, ServerMessage};
use player_core::wire::{InfoHash, Message, PeerId};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::engine::Engine;

const SWARM: InfoHash = InfoHash([7; 20]);
const BASE: &str = "https://origin.example/title/v0/";
/// Pieces sent to each peer.
const PIECES: u32 = 40;

#[derive(Default)]
pub(super) struct Sequential {
    outputs: VecDeque<Output>,
    requests: u64,
    body: BytesMut,
    whole: bool,
    segments: VecDeque<String>,
    seen: Option<String>,
    live: bool,
    ended: bool,
    busy: bool,
    queue: VecDeque<Bytes>,
    current: Option<(RequestId, String)>,
    retry: Option<Instant>,
    offset: f64,
    peer_id: PeerId,
    offers: BTreeMap<OfferId, ConnectionId>,
    answers: BTreeMap<ConnectionId, (PeerId, OfferId)>,
    connections: u32,
    pub(super) stats: Stats,
    received: BTreeMap<ConnectionId, u32>,
}

impl Sequential {
    fn get(&mut self, url: String, kind: FetchKind) {
        let id = RequestId(self.requests);
        self.requests += 1;
        self.body.clear();
        self.current = Some((id, url.clone()));
        self.outputs.push_back(Output::Fetch(FetchRequest { id, url, range: None, kind }));
    }

    fn next(&mut self, now: Instant) {
        if self.current.is_some() || self.retry.is_some() || self.ended {
            return;
        }
        if let Some(name) = self.segments.pop_front() {
            self.get(format!("{BASE}{name}"), FetchKind::Segment);
        } else if self.live {
            self.retry = Some(now + Duration::from_secs(1));
        } else {
            self.ended = true;
        }
    }

    fn append(&mut self) {
        if self.busy {
            return;
        }
        if let Some(data) = self.queue.pop_front() {
            self.busy = true;
            let timestamp_offset = Some(self.offset);
            let append = MediaCommand::Append { track: Track::Main, data, timestamp_offset };
            self.outputs.push_back(Output::Media(append));
        } else if self.ended {
            self.outputs.push_back(Output::Media(MediaCommand::EndOfStream));
        }
    }

    fn body_done(&mut self, now: Instant, url: &str) {
        let body = self.body.split().freeze();
        if url.ends_with("m3u8") {
            let text = String::from_utf8_lossy(&body).into_owned();
            let names = text.lines().filter(|line| line.ends_with(".m4s")).map(str::to_owned);
            let mut names: VecDeque<String> = names.collect();
            self.live = !text.contains("ENDLIST");
            if self.live && self.seen.is_none() {
                names.drain(..names.len().saturating_sub(4));
            }
            if let Some(seen) = &self.seen
                && let Some(index) = names.iter().position(|name| name == seen)
            {
                names.drain(..=index);
            }
            if let Some(last) = names.back() {
                self.seen = Some(last.clone());
            }
            if self.seen.is_some() && self.stats.http_requests == 0 {
                self.stats.http_requests = 1;
                let first = names.front().map_or("", String::as_str);
                let number = first.trim_start_matches('s').trim_end_matches(".m4s");
                // VOD media time begins at 10 s, and live plays at the stream's own time.
                self.offset = if self.live { 0.0 } else { -10.0 };
                if self.live {
                    let start = number.parse::<f64>().unwrap_or(0.0) * 4.0;
                    self.outputs.push_back(Output::Media(MediaCommand::Seek(start)));
                } else {
                    let seconds = names.len() as f64 * 4.0;
                    self.outputs.push_back(Output::Media(MediaCommand::SetDuration(seconds)));
                }
                self.segments = names;
                self.get(format!("{BASE}init.mp4"), FetchKind::Init);
                return;
            }
            self.segments = names;
        } else {
            self.queue.push_back(body);
            self.append();
        }
        self.next(now);
    }

    fn announce(&mut self, offers: Vec<Offer>) {
        let numwant = Some(offers.len() as u32);
        let (info_hash, peer_id) = (SWARM, self.peer_id);
        let announce = Announce { info_hash, peer_id, numwant, offers, ..Announce::default() };
        let text = ClientMessage::Announce(announce).to_json();
        self.outputs.push_back(Output::SendTracker(TrackerId(0), text));
    }

    fn tracker_says(&mut self, text: &str) {
        match ServerMessage::from_json(text) {
            Ok(ServerMessage::Offer(offer)) => {
                let connection = ConnectionId(self.connections);
                self.connections += 1;
                self.answers.insert(connection, (offer.peer_id, offer.offer_id));
                self.outputs.push_back(Output::CreateAnswer(connection, offer.sdp));
            }
            Ok(ServerMessage::Answer(answer)) => {
                if let Some(connection) = self.offers.remove(&answer.offer_id) {
                    self.outputs.push_back(Output::AcceptAnswer(connection, answer.sdp));
                }
            }
            _ => {}
        }
    }

    fn peer_says(&mut self, connection: ConnectionId, message: &Message) {
        if let Message::Piece { id, data, .. } = message {
            let next = self.received.entry(connection).or_default();
            assert_eq!((*id, data.len()), (*next, 16_384), "pieces come whole and in order");
            *next += 1;
            self.stats.peer_bytes += data.len() as u64;
        }
    }
}

impl Engine for Sequential {
    fn new(config: Config, seed: u64) -> Self {
        let mut id = [0; 20];
        id[..8].copy_from_slice(&seed.to_le_bytes());
        let mut player = Self { peer_id: PeerId(id), ..Self::default() };
        if config.p2p != player_core::config::P2pMode::Off {
            let url = config.trackers[0].clone();
            player.outputs.push_back(Output::OpenTracker(TrackerId(0), url));
        }
        player
    }

    fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Load { .. } => {
                let open = MediaCommand::Open(vec![(Track::Main, "video/mp4".to_owned())]);
                self.outputs.push_back(Output::Media(open));
                self.busy = true;
                self.get(format!("{BASE}index.m3u8"), FetchKind::Playlist);
            }
            Input::FetchHead { status, .. } => self.whole = status == 200,
            Input::FetchChunk { id, data } => {
                assert_eq!(self.current.as_ref().map(|(id, _)| *id), Some(id));
                self.stats.http_bytes += data.len() as u64;
                self.body.extend_from_slice(&data);
            }
            Input::FetchDone { .. } if self.whole => {
                if let Some((_, url)) = self.current.take() {
                    self.body_done(now, &url);
                }
            }
            Input::FetchDone { .. } | Input::FetchFailed { .. } => {
                self.retry = Some(now + Duration::from_millis(500));
            }
            Input::MediaDone { .. } => {
                self.busy = false;
                self.append();
            }
            Input::Tick if self.retry.take().is_some() => {
                let again = self.current.take().map(|(_, url)| url);
                let url = again.unwrap_or_else(|| format!("{BASE}index.m3u8"));
                self.get(url, FetchKind::Segment);
            }
            Input::TrackerOpened(_) => {
                for _ in 0..3 {
                    let connection = ConnectionId(self.connections);
                    self.connections += 1;
                    self.outputs.push_back(Output::CreateOffer(connection));
                }
            }
            Input::OfferReady { connection, sdp } => {
                let offer_id = OfferId([connection.0 as u8; 20]);
                self.offers.insert(offer_id, connection);
                self.announce(vec![Offer { offer_id, sdp }]);
            }
            Input::AnswerReady { connection, sdp } => {
                let (to_peer_id, offer_id) = self.answers[&connection];
                let (info_hash, peer_id) = (SWARM, self.peer_id);
                let answer = Answer { info_hash, peer_id, to_peer_id, offer_id, sdp };
                let text = ClientMessage::Answer(answer).to_json();
                self.outputs.push_back(Output::SendTracker(TrackerId(0), text));
            }
            Input::TrackerMessage(_, text) => self.tracker_says(&text),
            Input::PeerConnected(connection) => {
                self.stats.swarm_size += 1;
                for id in 0..PIECES {
                    let data = Bytes::from(vec![id as u8; 16_384]);
                    let piece = Message::Piece { id, offset: 0, data };
                    self.outputs.push_back(Output::SendPeer(connection, piece));
                }
            }
            Input::PeerWritable(_) => self.stats.control_bytes += 1,
            Input::PeerMessage(connection, message) => self.peer_says(connection, &message),
            Input::PeerFrame(connection, frame) => {
                let message = Message::decode(frame).expect("a frame of the simulator's");
                self.peer_says(connection, &message);
            }
            _ => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.retry
    }

    fn stats(&self, _now: Instant) -> Stats {
        self.stats.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Action, Fault, FaultKind, Step, World};
    use super::*;

    #[test]
    fn one_viewer_plays_a_film_to_its_end() {
        let world = World { seconds: 80.0, ..World::vod(1) };
        let report = world.run::<Sequential>();
        let viewer = &report.viewers[0];
        assert!(viewer.ended && (viewer.played - 60.0).abs() < 0.05, "{viewer:?}");
        assert_eq!((viewer.rebuffers, viewer.corrupt_bytes), (0, 0));
        assert!((report.origin_copies - 1.0).abs() < 1e-9);
        assert_eq!(viewer.http_bytes, report.origin_media_bytes + world.title.init(0).len() as u64);
        // Setup 4, playlist 2, init 2 and the first bytes 2 one-way trips, and three times thinking.
        let first = viewer.first_frame.unwrap();
        assert!((0.15..0.6).contains(&first), "{first}");
        assert_eq!(report.violations, Vec::<String>::new());
    }

    #[test]
    fn live_keeps_its_distance_from_the_edge() {
        let world = World { seconds: 60.0, ..World::live(3) };
        let report = world.run::<Sequential>();
        assert_eq!(report.rebuffers, 0, "{}", report.table(9));
        // It starts with the last four segments: 12 to 16 s and a bit behind the edge.
        let latency = report.live_latency.unwrap();
        assert!((15.9..20.1).contains(&latency.p50), "{latency:?}");
        assert!((report.late_origin_copies.unwrap() - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_narrow_line_to_the_origin_makes_viewers_wait() {
        let mut world = World { seconds: 60.0, join_spacing: 0.0, ..World::vod(10) };
        world.origin_limit_bps = Some(5_000_000);
        let report = world.run::<Sequential>();
        // Half of what ten viewers need: as much standing still as playing.
        assert!((0.35..0.6).contains(&report.rebuffer_ratio), "{}", report.summary());
        let megabytes = report.origin_media_bytes as f64 / 1e6;
        assert!((33.0..37.5).contains(&megabytes), "5 Mbit/s for 60 s less headers: {megabytes}");
        let http: Vec<f64> = report.viewers.iter().map(|v| v.http_bytes as f64).collect();
        assert!(super::super::jain(&http) > 0.98, "{http:?}");
    }

    #[test]
    fn a_slow_downlink_makes_its_viewer_wait() {
        let mut world = World { seconds: 60.0, ..World::vod(1) };
        world.downlink_bps = 500_000;
        let report = world.run::<Sequential>();
        let bytes = report.viewers[0].http_bytes as f64;
        assert!((3.3e6..3.7e6).contains(&bytes), "{bytes}");
        assert!(report.rebuffers > 0);
    }

    #[test]
    fn an_uplink_bounds_what_its_viewer_gives() {
        // Three viewers, a link between each two, 40 pieces of 16 KiB each way.
        let mut world = World { seconds: 4.0, join_spacing: 0.3, ..World::vod(3) };
        world.uplink_bps = 2_000_000;
        let early = world.run::<Sequential>();
        assert!(early.viewers.iter().all(|v| v.uploaded_bytes < 4 * 270_000), "{}", early.table(9));
        world.seconds = 20.0;
        let late = world.run::<Sequential>();
        let links: u32 = late.viewers.iter().map(|v| v.connections).sum();
        let pieces = u64::from(links * PIECES) * 16_384;
        assert!(links >= 4, "{}", late.table(9));
        assert_eq!(late.viewers.iter().map(|v| v.peer_bytes).sum::<u64>(), pieces);
        assert_eq!(late.viewers.iter().map(|v| v.uploaded_bytes).sum::<u64>(), pieces);
    }

    #[test]
    fn the_same_seed_gives_the_same_run_and_another_seed_another() {
        let world = |seed, wire| World {
            seed,
            wire,
            loss: 0.01,
            churn_per_minute: 0.5,
            seconds: 40.0,
            ..World::vod(8)
        };
        let hash = |seed, wire| world(seed, wire).run::<Sequential>().trace_hash;
        assert_eq!(hash(1, false), hash(1, false));
        assert_eq!(hash(1, false), hash(1, true));
        assert_ne!(hash(1, false), hash(2, false));
    }

    #[test]
    fn loss_delays_and_loses_nothing() {
        let world = |loss| World { loss, seconds: 30.0, ..World::vod(3) }.run::<Sequential>();
        let (clean, lossy) = (world(0.0), world(0.05));
        let sum = |report: &super::super::Report| -> (u64, u32) {
            let viewers = report.viewers.iter();
            viewers.fold((0, 0), |sum, v| (sum.0 + v.peer_bytes, sum.1 + v.connections))
        };
        for report in [&clean, &lossy] {
            let (bytes, connections) = sum(report);
            assert_eq!(bytes, u64::from(connections * PIECES) * 16_384);
        }
        assert!(lossy.first_frame.max > clean.first_frame.max);
    }

    #[test]
    fn poisson_arrivals_are_spread_by_chance_about_their_mean_and_repeat_with_the_seed() {
        let gaps = |seed, poisson| -> Vec<f64> {
            let world =
                World { seed, poisson, join_spacing: 0.1, seconds: 20.0, ..World::vod(100) };
            let report = world.run::<Sequential>();
            let joined: Vec<f64> = report.viewers.iter().map(|viewer| viewer.joined).collect();
            assert_eq!(joined.len(), 100);
            joined.windows(2).map(|two| two[1] - two[0]).collect()
        };
        let spread = |gaps: &[f64]| {
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>();
            (mean, (variance / gaps.len() as f64).sqrt() / mean)
        };
        let first = gaps(1, true);
        assert_eq!(first, gaps(1, true));
        assert_ne!(first, gaps(2, true));
        // Times between events of a Poisson process deviate by as much as their mean.
        let (mean, deviation) = spread(&first);
        assert!((0.08..0.12).contains(&mean), "{mean}");
        assert!((0.75..1.25).contains(&deviation), "{deviation}");
        let (mean, deviation) = spread(&gaps(1, false));
        assert!((mean - 0.1).abs() < 1e-6 && deviation < 1e-3, "{mean} {deviation}");
    }

    #[test]
    fn nobody_connects_through_two_nats() {
        let mut world = World { seconds: 30.0, ..World::vod(4) };
        world.nat_share = 1.0;
        let report = world.run::<Sequential>();
        assert!(report.viewers.iter().all(|v| v.connections == 0));
        assert!(report.viewers.iter().any(|v| v.failed_connections > 0));
    }

    #[test]
    fn faults_of_the_origin_reach_the_viewer() {
        let mut world = World { seconds: 70.0, ..World::vod(1) };
        world.faults = [(1.0, FaultKind::Status(503)), (8.0, FaultKind::Truncate)]
            .map(|(from, kind)| Fault { from, until: from + 5.0, kind })
            .to_vec();
        let report = world.run::<Sequential>();
        assert!(report.origin_failed_requests >= 5, "{}", report.summary());
        assert_eq!(report.corrupt_bytes, 0);
    }

    #[test]
    fn scripted_viewers_seek_pause_and_leave() {
        let mut world = World { seconds: 40.0, ..World::vod(2) };
        let step = |at, action| Step { at, action };
        world.script = vec![
            step(5.0, Action::Seek(0, 40.0)),
            step(8.0, Action::Pause(0, true)),
            step(9.0, Action::Vanish(1)),
            step(10.0, Action::Tracker(false)),
        ];
        let report = world.run::<Sequential>();
        let viewer = &report.viewers[0];
        assert!((42.0..43.5).contains(&viewer.position), "{viewer:?}");
        assert_eq!(viewer.rebuffers, 0);
        assert_eq!(report.viewers[1].left, Some(9.0));
    }
}
