//! The counters, put together for the page.

use super::Player;
use crate::stats::{SegmentStats, Stats};
use crate::store::Source;
use crate::time::Instant;
use crate::wire::SegmentId;

/// Seconds around the playhead whose segments are listed.
const AROUND: (f64, f64) = (60.0, 120.0);

impl Player {
    pub(super) fn report(&self, now: Instant) -> Stats {
        let mut stats = self.stats.clone();
        stats.upload_state = "off";
        if self.signaling.is_some() {
            self.report_sharing(&mut stats);
        }
        stats.peer_state = self.peer_state();
        stats.bandwidth_bps = self.bandwidth.bps();
        stats.variant = self
            .tracks
            .first()
            .map_or(0, |track| track.switch.map_or(track.list, |switch| switch.list));
        stats.buffer_ahead = if self.tracks.is_empty() { 0.0 } else { self.buffer_ahead(now) };
        stats.store_bytes = self.store.bytes();
        let live = self.timeline.is_some_and(|timeline| timeline.live);
        stats.live_latency =
            if live { self.live_latency(now).unwrap_or(f64::NAN) } else { f64::NAN };
        if let Some(since) = self.rebuffering_since {
            stats.rebuffer_seconds += now.since(since).as_secs_f64();
        }
        stats.pathway = self.title.pathways.id().to_owned();
        stats.trace = self.trace.all().to_vec();
        stats.segments = self.segment_stats(now);
        stats
    }

    /// Entries in all that the player keeps: what has to stay bounded however long it plays.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let title = &self.title;
        let segments = title.lists.iter().filter_map(|list| list.playlist.as_ref());
        let segments: usize = segments.map(|playlist| playlist.segments.len()).sum();
        let loaded = title.inits.len() + title.keys.len() + title.offsets.len();
        let failures =
            self.segment_failures.len() + title.init_failures.len() + title.key_failures.len();
        let requests = self.documents.len()
            + self.transfers.len()
            + self.jobs.len()
            + title.init_requests.len()
            + title.key_requests.len();
        let plans = self.wanted_since.len()
            + self.overdue_since.len()
            + self.spreading.len()
            + self.handovers.len()
            + self.recalls.len();
        let sharing = self.introduced.len();
        segments
            + loaded
            + failures
            + requests
            + plans
            + sharing
            + self.store.iter().count()
            + self.outputs.len()
            + self.trace.all().len()
    }

    /// Whether a block is held, verified or not.
    #[must_use]
    pub fn holds(&self, segment: SegmentId, block: u16) -> bool {
        self.store.segment(segment).is_some_and(|stored| stored.held.has(block))
    }

    fn segment_stats(&self, now: Instant) -> Vec<SegmentStats> {
        let position = self.position(now);
        let mut stats: Vec<SegmentStats> = Vec::new();
        for (index, list) in self.title.lists.iter().enumerate() {
            let Some(playlist) = &list.playlist else { continue };
            let from = playlist
                .segments
                .partition_point(|segment| segment.start + segment.duration < position - AROUND.0);
            for segment in &playlist.segments[from..] {
                if segment.start >= position + AROUND.1 {
                    break;
                }
                let stored = self.store.segment(list.segment_id(segment.sequence));
                let Some(stored) = stored.filter(|stored| !stored.held.is_empty()) else {
                    continue;
                };
                let cached = stored.supplier(0) == Some(Source::Cache);
                stats.push(SegmentStats {
                    rendition: index as u32,
                    sequence: segment.sequence,
                    start: segment.start,
                    duration: segment.duration,
                    http_bytes: if cached { 0 } else { stored.http_bytes },
                    peer_bytes: stored.peer_bytes,
                    complete: stored.is_complete(),
                });
            }
        }
        stats.sort_by(|a, b| a.start.total_cmp(&b.start));
        stats
    }
}
