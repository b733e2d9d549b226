//! The counters, put together for the page.

use super::Player;
use crate::stats::{SegmentStats, Stats};
use crate::time::Instant;

/// Seconds around the playhead whose segments are listed.
const AROUND: (f64, f64) = (60.0, 120.0);

impl Player {
    pub(super) fn report(&self, now: Instant) -> Stats {
        let mut stats = self.stats.clone();
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
        stats.live_latency = self.live_latency(now).unwrap_or(f64::NAN);
        if let Some(since) = self.rebuffering_since {
            stats.rebuffer_seconds += now.since(since).as_secs_f64();
        }
        stats.segments = self.segment_stats(now);
        stats
    }

    /// Seconds between what is being published and the playhead: by wall clock where the playlist has dates, else to
    /// the end of the newest segment, counting the time since the playlist changed.
    fn live_latency(&self, now: Instant) -> Option<f64> {
        let track = self.tracks.first()?;
        let list = &self.title.lists[track.list];
        let playlist = list.playlist.as_ref().filter(|playlist| !playlist.end_list)?;
        let position = self.position(now);
        if let Some(segment) = playlist.segment_at(position)
            && let Some(date) = playlist.program_date_time(segment)
            && self.playhead.wall_clock_ms > 0.0
        {
            let shown = date + (position - segment.start) * 1000.0;
            let wall =
                self.playhead.wall_clock_ms + now.since(self.playhead_at).as_secs_f64() * 1000.0;
            let latency = (wall - shown) / 1000.0;
            // A clock that is off by hours says nothing.
            if (-1.0..7200.0).contains(&latency) {
                return Some(latency);
            }
        }
        Some(playlist.end() - position + now.since(list.changed_at).as_secs_f64())
    }

    fn segment_stats(&self, now: Instant) -> Vec<SegmentStats> {
        let position = self.position(now);
        let mut stats: Vec<SegmentStats> = Vec::new();
        for (index, list) in self.title.lists.iter().enumerate() {
            let Some(playlist) = &list.playlist else { continue };
            let from = playlist
                .segments
                .partition_point(|segment| segment.start + segment.duration < position - AROUND.0);
            let segments = playlist.segments[from..]
                .iter()
                .take_while(|segment| segment.start < position + AROUND.1);
            stats.extend(segments.filter_map(|segment| {
                let stored = self.store.segment(list.segment_id(segment.sequence))?;
                (!stored.held.is_empty()).then(|| SegmentStats {
                    rendition: index as u32,
                    sequence: segment.sequence,
                    start: segment.start,
                    duration: segment.duration,
                    http_bytes: stored.http_bytes,
                    peer_bytes: stored.peer_bytes,
                    complete: stored.is_complete(),
                })
            }));
        }
        stats.sort_by(|a, b| a.start.total_cmp(&b.start));
        stats
    }
}
