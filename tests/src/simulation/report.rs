//! What came of a run: the figures of the whole, and of each viewer.

use player_core::stats::Stats;
use serde::Serialize;
use std::fmt::Write as _;

use super::media::Sample;
use super::net::peer_wire_bytes;
use super::origin::{Origin, Served};
use super::viewer::Viewer;
use super::world::{Setting, World};

/// Segments published in the last seconds of a run have not reached everyone: they are left out of
/// the figures over late segments.
const SETTLE_SECONDS: f64 = 24.0;

/// Whoever leaves sooner, or joins later before the end, may be without a picture.
const START_SECONDS: f64 = 6.0;

/// One viewer's part.
#[derive(Debug, Clone, Serialize)]
pub struct ViewerReport {
    /// Counted from 0 in the order of joining.
    pub viewer: u32,
    /// Virtual second.
    pub joined: f64,
    /// Virtual second; `None`: stayed to the end.
    pub left: Option<f64>,
    /// NAT, blocked, free rider, polluter, slow: a letter each.
    pub traits: String,
    /// Seconds from joining to the first frame.
    pub first_frame: Option<f64>,
    /// Seconds from each seek of the viewer to the first frame there.
    pub seek_waits: Vec<f64>,
    /// Times that playback stood still for want of data.
    pub rebuffers: u32,
    /// For how long, in seconds.
    pub rebuffer_seconds: f64,
    /// Seconds of media played.
    pub played: f64,
    /// Whether the film's end was reached.
    pub ended: bool,
    /// Playhead when it left or the run ended, in seconds.
    pub position: f64,
    /// Seconds buffered ahead of it then.
    pub buffer_ahead: f64,
    /// Media bytes received from the origin.
    pub http_bytes: u64,
    /// Media bytes received from peers.
    pub peer_bytes: u64,
    /// Media bytes given to peers.
    pub uploaded_bytes: u64,
    /// What its uplink was used for once the run had settled: bytes on the line of media and of all else, and what the
    /// line could have carried.
    pub line: [u64; 3],
    /// Bytes since then that came from peers and were new.
    pub taken: u64,
    /// Bytes of peer messages beside their media, sent.
    pub control_bytes: u64,
    /// Media bytes that it held already, by its own count.
    pub duplicate_bytes: u64,
    /// Bytes from peers that it refused, by its own count.
    pub rejected_bytes: u64,
    /// Appended bytes that the origin would not have served there.
    pub corrupt_bytes: u64,
    /// Appends refused because the buffer was full.
    pub quota_failures: u32,
    /// Data channels that opened.
    pub connections: u32,
    /// Connection attempts that failed.
    pub failed_connections: u32,
    /// Seconds behind the live edge, median.
    pub live_latency: Option<f64>,
    /// The same by its own count, at the end.
    pub reported_latency: Option<f64>,
    /// What was seen, four times a second, if the world says to note it.
    #[serde(skip)]
    pub samples: Vec<Sample>,
    /// Errors that the page was told.
    pub errors: Vec<String>,
}

/// A moment of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Second {
    /// Virtual second.
    pub at: f64,
    /// Viewers.
    pub viewers: usize,
    /// Media bytes that the origin had sent by then.
    pub origin_bytes: u64,
    /// Media bytes that viewers had received from each other by then.
    pub peer_bytes: u64,
    /// Seconds buffered ahead: of 5 %, of half and of 95 % of the viewers at most so much.
    pub ahead: [f64; 3],
}

/// What the origin served of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SegmentReport {
    /// Variant.
    pub variant: u32,
    /// Media sequence number.
    pub sequence: u64,
    /// Virtual second in which it came out, 0 if before the run; of a film the second in which it begins.
    pub published: f64,
    /// Bytes of it that were served, in copies.
    pub copies: f64,
    /// Requests.
    pub requests: u32,
}

/// A distribution, by nearest rank.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// Largest.
    pub max: f64,
}

/// What came of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The world.
    pub setting: Setting,
    /// Origin copies per segment: bytes of segments served over bytes of distinct segments served.
    pub origin_copies: f64,
    /// The same over segments published after the last planned join (live only).
    pub late_origin_copies: Option<f64>,
    /// The same without what polluters asked for: whom all others have banned has nobody but the origin.
    pub honest_origin_copies: Option<f64>,
    /// Bytes from peers over all media bytes received.
    pub offload: f64,
    /// Segments that the origin served at all.
    pub distinct_segments: u64,
    /// Bytes of segments that the origin put on the line.
    pub origin_media_bytes: u64,
    /// Bytes of playlists that the origin put on the line.
    pub origin_playlist_bytes: u64,
    /// Requests that the origin answered or failed to.
    pub origin_requests: u64,
    /// Playlists that were asked for with `_HLS_msn`, and with `_HLS_skip`.
    pub blocking_reloads: u64,
    /// Delta updates among them.
    pub delta_updates: u64,
    /// Playlists of a low-latency channel that were asked for without `_HLS_msn`.
    pub plain_playlists: u64,
    /// Parts that were asked for before they were made.
    pub hinted_parts: u64,
    /// Requests that it failed or refused.
    pub origin_failed_requests: u64,
    /// Times that playback stood still, all viewers.
    pub rebuffers: u64,
    /// For how long, in seconds, all viewers.
    pub rebuffer_seconds: f64,
    /// Stalled time over stalled and played time.
    pub rebuffer_ratio: f64,
    /// Viewers who saw no frame, though they stayed for [`START_SECONDS`].
    pub without_frame: u64,
    /// Seconds from joining to the first frame.
    pub first_frame: Spread,
    /// Seconds from a viewer's seek to the first frame there.
    pub seek_wait: Option<Spread>,
    /// Seconds behind the live edge (live only).
    pub live_latency: Option<Spread>,
    /// Duplicate bytes over media bytes received.
    pub duplicate_share: f64,
    /// Bytes of peer messages beside their media over media bytes received.
    pub control_share: f64,
    /// Bytes refused by receivers, all viewers.
    pub rejected_bytes: u64,
    /// Appended bytes that the origin would not have served there, all viewers.
    pub corrupt_bytes: u64,
    /// Pairs of a polluter and an honest viewer that got wrong bytes of it; those in which
    /// it had not banned it 10 s after the first of them; the most wrong pieces in one pair.
    pub polluted_pairs: (u64, u64, u32),
    /// Of what all uplinks could carry once the run had settled: what they carried of media, of all else, and what of the
    /// media was of use, each with its headers.
    pub uplinks: [f64; 3],
    /// Jain's index of bytes given, over viewers that can give and stayed for at least half the run.
    pub upload_fairness: f64,
    /// Messages that the tracker received.
    pub tracker_messages: u64,
    /// Offers that it relayed.
    pub offers_relayed: u64,
    /// Virtual second of the last planned join.
    pub last_join: f64,
    /// Equal for two runs whose cores said the same at the same times.
    pub trace_hash: u64,
    /// Outputs of all cores.
    pub outputs: u64,
    /// Events of the simulation.
    pub events: u64,
    /// Where a core broke the contract with its shell.
    pub violations: Vec<String>,
    /// Each viewer.
    pub viewers: Vec<ViewerReport>,
    /// Each segment.
    pub segments: Vec<SegmentReport>,
    /// Each virtual second.
    pub seconds: Vec<Second>,
}

/// What a run knows at its end.
pub(super) struct Raw<'a> {
    pub(super) world: &'a World,
    pub(super) viewers: Vec<ViewerReport>,
    pub(super) origin: &'a Origin,
    pub(super) last_join: f64,
    pub(super) trace_hash: u64,
    pub(super) outputs: u64,
    pub(super) events: u64,
    pub(super) tracker_messages: u64,
    pub(super) offers_relayed: u64,
    pub(super) violations: Vec<String>,
    pub(super) lies: (u64, u64, u32),
    pub(super) seconds: Vec<Second>,
}

impl ViewerReport {
    pub(super) fn new<E>(
        index: u32,
        viewer: &Viewer<E>,
        stats: &Stats,
        (settled, now): (Option<u64>, u64),
        gone: bool,
    ) -> Self {
        let watched = &viewer.element.watched;
        let stalled = viewer.element.stalled_since().map_or(0, |since| now.saturating_sub(since));
        let traits = &viewer.traits;
        let letters = [
            (traits.nat, 'n'),
            (traits.blocked, 'b'),
            (traits.free_rider, 'f'),
            (traits.polluter, 'p'),
            (traits.slow, 's'),
        ];
        let seconds = |micros: u64| micros as f64 / 1e6;
        let latencies = viewer.latencies.iter().map(|latency| f64::from(*latency)).collect();
        let present = settled.map_or(0, |at| now.saturating_sub(at.max(viewer.joined)));
        let gives = !(traits.blocked || traits.free_rider);
        let could = if gives { viewer.uplink.rate_bps / 8 * present / 1_000_000 } else { 0 };
        Self {
            viewer: index,
            joined: seconds(viewer.joined),
            left: gone.then(|| seconds(now)),
            traits: letters.iter().filter(|(has, _)| *has).map(|(_, letter)| letter).collect(),
            first_frame: watched.first_frame.map(|at| seconds(at - viewer.joined)),
            seek_waits: viewer.element.seek_waits.iter().map(|wait| seconds(*wait)).collect(),
            rebuffers: watched.rebuffers,
            rebuffer_seconds: seconds(watched.rebuffer_micros + stalled),
            played: watched.played_micros as f64 / 1e6,
            ended: watched.ended,
            position: viewer.element.position(),
            buffer_ahead: viewer.element.buffer_ahead(),
            http_bytes: viewer.counted.http_media_bytes,
            peer_bytes: viewer.counted.peer_media_bytes,
            uploaded_bytes: viewer.counted.uploaded_bytes,
            line: [viewer.counted.line[0], viewer.counted.line[1], could],
            taken: stats.peer_bytes - viewer.counted.taken_before.min(stats.peer_bytes),
            control_bytes: viewer.counted.control_bytes,
            duplicate_bytes: stats.duplicate_bytes,
            rejected_bytes: stats.rejected_bytes,
            corrupt_bytes: watched.corrupt_bytes,
            quota_failures: watched.quota_failures,
            connections: viewer.counted.connections,
            failed_connections: viewer.counted.failed_connections,
            live_latency: Spread::of(latencies).map(|spread| spread.p50),
            reported_latency: Some(stats.live_latency).filter(|latency| latency.is_finite()),
            samples: viewer.samples.clone(),
            errors: viewer.errors.clone(),
        }
    }
}

impl ViewerReport {
    /// Whether it saw nothing, in a run of so many seconds, though it had the time.
    fn waits_in_vain(&self, seconds: f64) -> bool {
        let stayed = self.left.unwrap_or(seconds) - self.joined;
        self.first_frame.is_none() && stayed >= START_SECONDS
    }
}

impl Spread {
    /// Of these values; `None` of none.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let rank = |share: f64| {
            let index = (values.len() as f64 * share).ceil() as usize;
            values.get(index.saturating_sub(1)).copied()
        };
        Some(Self { p50: rank(0.5)?, p95: rank(0.95)?, max: rank(1.0)? })
    }
}

/// Jain's index: 1 when all give the same, 1/n when one gives all.
#[must_use]
pub fn jain(values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    let squares: f64 = values.iter().map(|value| value * value).sum();
    if squares > 0.0 { sum * sum / (values.len() as f64 * squares) } else { 1.0 }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

impl Report {
    pub(super) fn new(raw: Raw<'_>) -> Self {
        let Raw { world, viewers, origin, .. } = &raw;
        let title = &world.title;
        let size = |(variant, sequence): (u32, u64)| title.segment_bytes(variant, sequence) as f64;
        let copies = |of: &mut dyn Iterator<Item = (&(u32, u64), &Served)>, honest: bool| {
            let (mut served, mut distinct) = (0.0, 0.0);
            for (segment, bytes) in of {
                served += (bytes.bytes - if honest { bytes.to_polluters } else { 0 }) as f64;
                distinct += size(*segment);
            }
            (distinct > 0.0).then(|| served / distinct)
        };
        let sum = |of: fn(&ViewerReport) -> f64| viewers.iter().map(of).sum::<f64>();
        let http = sum(|v| v.http_bytes as f64);
        let peer = sum(|v| v.peer_bytes as f64);
        let stalled = sum(|v| v.rebuffer_seconds);
        let late = |honest: bool| {
            let mut late = origin.served.iter().filter(|((_, sequence), _)| {
                let published = title.published(*sequence);
                published > raw.last_join && published < world.seconds - SETTLE_SECONDS
            });
            if title.live() { copies(&mut late, honest) } else { None }
        };
        let stays = |v: &&ViewerReport| {
            let until = v.left.unwrap_or(world.seconds);
            !v.traits.contains(['b', 'f', 's']) && until - v.joined >= world.seconds / 2.0
        };
        let given: Vec<f64> =
            viewers.iter().filter(stays).map(|v| v.uploaded_bytes as f64).collect();
        let first_frames = viewers.iter().filter_map(|v| v.first_frame).collect();
        let seek_waits = viewers.iter().flat_map(|v| v.seek_waits.iter().copied()).collect();
        Self {
            setting: world.setting(),
            origin_copies: copies(&mut origin.served.iter(), false).unwrap_or(0.0),
            late_origin_copies: late(false),
            honest_origin_copies: late(true),
            offload: ratio(peer, peer + http),
            distinct_segments: origin.served.len() as u64,
            origin_media_bytes: origin.served.values().map(|served| served.bytes).sum(),
            origin_playlist_bytes: origin.playlist_bytes,
            origin_requests: origin.requests,
            blocking_reloads: origin.blocking_reloads,
            delta_updates: origin.delta_updates,
            plain_playlists: origin.plain_playlists,
            hinted_parts: origin.hints.len() as u64,
            origin_failed_requests: origin.failed_requests,
            rebuffers: viewers.iter().map(|v| u64::from(v.rebuffers)).sum(),
            rebuffer_seconds: stalled,
            rebuffer_ratio: ratio(stalled, stalled + sum(|v| v.played)),
            without_frame: viewers.iter().filter(|v| v.waits_in_vain(world.seconds)).count() as u64,
            first_frame: Spread::of(first_frames).unwrap_or_default(),
            seek_wait: Spread::of(seek_waits),
            live_latency: Spread::of(viewers.iter().filter_map(|v| v.live_latency).collect()),
            duplicate_share: ratio(sum(|v| v.duplicate_bytes as f64), peer + http),
            control_share: ratio(sum(|v| v.control_bytes as f64), peer + http),
            rejected_bytes: viewers.iter().map(|v| v.rejected_bytes).sum(),
            corrupt_bytes: viewers.iter().map(|v| v.corrupt_bytes).sum(),
            polluted_pairs: raw.lies,
            uplinks: {
                let could = sum(|v| v.line[2] as f64);
                let taken = peer_wire_bytes(sum(|v| v.taken as f64) as u64) as f64;
                [sum(|v| v.line[0] as f64), sum(|v| v.line[1] as f64), taken]
                    .map(|bytes| ratio(bytes, could))
            },
            upload_fairness: jain(&given),
            tracker_messages: raw.tracker_messages,
            offers_relayed: raw.offers_relayed,
            last_join: raw.last_join,
            trace_hash: raw.trace_hash,
            outputs: raw.outputs,
            events: raw.events,
            segments: origin
                .served
                .iter()
                .map(|(id, served)| SegmentReport {
                    variant: id.0,
                    sequence: id.1,
                    published: if title.live() {
                        title.published(id.1).max(0.0)
                    } else {
                        id.1 as f64 * title.segment_seconds
                    },
                    copies: served.bytes as f64 / size(*id),
                    requests: served.requests,
                })
                .collect(),
            seconds: raw.seconds,
            violations: raw.violations,
            viewers: raw.viewers,
        }
    }

    /// The figures as lines of text.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(out, "{name:<28} {value}");
        };
        let spread = |s: &Spread| format!("p50 {:.3}, p95 {:.3}, max {:.3}", s.p50, s.p95, s.max);
        line("origin copies per segment", format!("{:.3}", self.origin_copies));
        if let Some(late) = self.late_origin_copies {
            line("  after the last join", format!("{late:.3}"));
        }
        line("offload", format!("{:.4}", self.offload));
        line("rebuffers", format!("{} ({:.1} s)", self.rebuffers, self.rebuffer_seconds));
        line("first frame, s", spread(&self.first_frame));
        if let Some(wait) = &self.seek_wait {
            line("first frame after a seek, s", spread(wait));
        }
        line("viewers without a frame", self.without_frame.to_string());
        if let Some(latency) = &self.live_latency {
            line("live latency, s", spread(latency));
        }
        line("duplicate bytes, %", format!("{:.2}", 100.0 * self.duplicate_share));
        line("control bytes, %", format!("{:.2}", 100.0 * self.control_share));
        line("rejected, corrupt bytes", format!("{}, {}", self.rejected_bytes, self.corrupt_bytes));
        if self.polluted_pairs.0 > 0 {
            let (pairs, late, most) = self.polluted_pairs;
            line(
                "polluters' victims",
                format!("{pairs}, {late} after 10 s, {most} pieces at most"),
            );
            if let Some(copies) = self.honest_origin_copies {
                line("  copies for the honest", format!("{copies:.3}"));
            }
        }
        let [media, other, used] = self.uplinks.map(|share| 100.0 * share);
        line("uplinks, %", format!("{media:.1} media, {used:.1} of use; {other:.1} messages"));
        line("upload fairness (Jain)", format!("{:.3}", self.upload_fairness));
        line("tracker messages, offers", {
            format!("{}, {}", self.tracker_messages, self.offers_relayed)
        });
        line("events, outputs", format!("{}, {}", self.events, self.outputs));
        line("trace", format!("{:016x}", self.trace_hash));
        for violation in self.violations.iter().take(10) {
            line("broken contract", violation.clone());
        }
        out
    }

    /// The viewers as a table, at most `most` of them.
    #[must_use]
    pub fn table(&self, most: usize) -> String {
        let mut out = String::from(
            "viewer  joined    left kind  first  rebuf  rebuf s   played     http     peer       up  links latency\n",
        );
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        for v in self.viewers.iter().take(most) {
            let _ = writeln!(
                out,
                "{:>6} {:>7.1} {:>7} {:>4} {:>6} {:>6} {:>8.2} {:>8.1} {:>8.2} {:>8.2} {:>8.2} {:>6} {:>7}",
                v.viewer,
                v.joined,
                v.left.map_or_else(|| "-".to_owned(), |at| format!("{at:.1}")),
                if v.traits.is_empty() { "-" } else { &v.traits },
                v.first_frame.map_or_else(|| "-".to_owned(), |s| format!("{s:.2}")),
                v.rebuffers,
                v.rebuffer_seconds,
                v.played,
                megabytes(v.http_bytes),
                megabytes(v.peer_bytes),
                megabytes(v.uploaded_bytes),
                v.connections,
                v.live_latency.map_or_else(|| "-".to_owned(), |s| format!("{s:.2}")),
            );
        }
        if self.viewers.len() > most {
            let _ = writeln!(out, "… and {} more", self.viewers.len() - most);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_are_by_nearest_rank() {
        let spread = Spread::of((1..=100).rev().map(f64::from).collect()).unwrap();
        assert_eq!(spread, Spread { p50: 50.0, p95: 95.0, max: 100.0 });
        assert_eq!(Spread::of(vec![7.0]).unwrap().p95, 7.0);
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn jain_tells_fair_from_unfair() {
        assert!((jain(&[3.0; 10]) - 1.0).abs() < 1e-12);
        assert!((jain(&[1.0, 0.0, 0.0, 0.0]) - 0.25).abs() < 1e-12);
    }
}
