//! Figures of one run, from what was seen four times a second.

use serde::{Deserialize, Serialize};

use crate::simulation::Sample;

/// Seconds between two samples.
const EVERY: f64 = 0.25;

/// What a viewer saw on one line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Bit/s of the variant on screen, mean over the time that it played.
    pub mean_bps: f64,
    /// Changes of the variant on screen.
    pub switches: u32,
    /// Seconds that playback stood still after its first frame.
    pub rebuffer_seconds: f64,
    /// Seconds to the first frame.
    pub first_frame: f64,
    /// One number: Mbit/s of each second played, less 6.5 (the best variant's) for each second stood still, less the
    /// step in Mbit/s of each switch (X. Yin et al., "A control-theoretic approach for dynamic adaptive video streaming
    /// over HTTP", 2015, with its weights), over the seconds played; switches count by the segment.
    pub qoe: f64,
}

impl Figures {
    /// Figures of what was seen of a film in these variants.
    #[must_use]
    pub fn of(samples: &[Sample], ladder: &[u64]) -> Self {
        let mbps = |variant: u32| ladder[variant as usize] as f64 / 1e6;
        let first = samples.iter().position(|sample| sample.variant.is_some());
        let seen = &samples[first.unwrap_or(samples.len())..];
        let end = seen.iter().rposition(|sample| sample.variant.is_some()).map_or(0, |end| end + 1);
        let seen = &seen[..end];
        let played: Vec<u32> = seen.iter().filter_map(|sample| sample.variant).collect();
        let seconds = played.len() as f64 * EVERY;
        let quality: f64 = played.iter().map(|variant| mbps(*variant) * EVERY).sum();
        let stood = (seen.len() - played.len()) as f64 * EVERY;
        let steps = played.windows(2).filter(|pair| pair[0] != pair[1]);
        let (mut switches, mut steps_mbps) = (0, 0.0);
        for pair in steps {
            switches += 1;
            steps_mbps += (mbps(pair[0]) - mbps(pair[1])).abs();
        }
        let best = ladder.iter().max().copied().unwrap_or(0) as f64 / 1e6;
        // A segment's step in quality weighs as much as the same for as long as the segment lasts.
        let qoe = (quality - best * stood - 4.0 * steps_mbps) / seconds.max(EVERY);
        Self {
            mean_bps: quality * 1e6 / seconds.max(EVERY),
            switches,
            rebuffer_seconds: stood,
            first_frame: seen.first().map_or(f64::INFINITY, |sample| sample.at),
            qoe,
        }
    }
}
