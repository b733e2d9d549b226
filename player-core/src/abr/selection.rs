//! Which variant the next segment is fetched of.

use crate::io::VariantInfo;

/// What the choice depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation {
    /// Throughput of the origin, bit/s.
    pub(crate) bandwidth_bps: f64,
    /// Seconds that can be played without another byte.
    pub(crate) buffer_ahead: f64,
    /// Seconds of the longest segment.
    pub(crate) target_duration: f64,
    /// The variant in use; `None` before the first segment.
    pub(crate) current: Option<usize>,
}

/// Part of the measured throughput that a variant in use may take.
const KEEP: f64 = 0.95;
/// Part that a higher variant may take.
const UP: f64 = 0.7;
/// Part that the first variant may take, when only a guess is there.
const START: f64 = 0.8;
/// Seconds of buffer above which a falling estimate alone does not lower the variant.
const COMFORTABLE: f64 = 15.0;

/// Index of the variant to fetch, among the playable and not excluded; `None` when there is none.
pub(crate) fn select(
    variants: &[VariantInfo],
    excluded: &dyn Fn(usize) -> bool,
    situation: &Situation,
) -> Option<usize> {
    let mut usable: Vec<usize> = (0..variants.len())
        .filter(|index| variants[*index].playable && !excluded(*index))
        .collect();
    usable.sort_unstable_by_key(|index| (variants[*index].bitrate_bps, *index));
    let lowest = *usable.first()?;
    let best = |share: f64| {
        let limit = situation.bandwidth_bps * share;
        usable
            .iter()
            .rev()
            .copied()
            .find(|index| variants[*index].bitrate_bps as f64 <= limit)
            .unwrap_or(lowest)
    };
    let Some(current) = situation.current.filter(|current| usable.contains(current)) else {
        return Some(best(START));
    };
    let bitrate = |index: usize| variants[index].bitrate_bps;
    let up = best(UP);
    if bitrate(up) > bitrate(current) {
        // A rise needs a buffer to fall back on while the larger segment is on its way.
        let ready = situation.buffer_ahead >= 1.5 * situation.target_duration;
        return Some(if ready { up } else { current });
    }
    let keep = best(KEEP);
    if bitrate(keep) < bitrate(current) && situation.buffer_ahead < COMFORTABLE {
        return Some(keep);
    }
    Some(current)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variants() -> Vec<VariantInfo> {
        [300_000, 800_000, 2_000_000]
            .into_iter()
            .enumerate()
            .map(|(index, bitrate_bps)| VariantInfo {
                id: index as u32,
                bitrate_bps,
                width: 0,
                height: 0,
                frame_rate: 0.0,
                codecs: String::new(),
                playable: true,
            })
            .collect()
    }

    fn situation(bandwidth_bps: f64, buffer_ahead: f64, current: Option<usize>) -> Situation {
        Situation { bandwidth_bps, buffer_ahead, target_duration: 4.0, current }
    }

    #[test]
    fn the_first_variant_fits_the_guess() {
        assert_eq!(select(&variants(), &|_| false, &situation(2e6, 0.0, None)), Some(1));
        assert_eq!(select(&variants(), &|_| false, &situation(1e5, 0.0, None)), Some(0));
    }

    #[test]
    fn a_rise_needs_a_margin_and_a_buffer() {
        assert_eq!(select(&variants(), &|_| false, &situation(5e6, 2.0, Some(0))), Some(0));
        assert_eq!(select(&variants(), &|_| false, &situation(5e6, 8.0, Some(0))), Some(2));
        assert_eq!(select(&variants(), &|_| false, &situation(2.1e6, 8.0, Some(1))), Some(1));
    }

    #[test]
    fn a_fall_waits_while_the_buffer_is_comfortable() {
        assert_eq!(select(&variants(), &|_| false, &situation(1e6, 20.0, Some(2))), Some(2));
        assert_eq!(select(&variants(), &|_| false, &situation(1e6, 8.0, Some(2))), Some(1));
    }

    #[test]
    fn what_cannot_be_played_is_never_chosen() {
        let mut all = variants();
        all[2].playable = false;
        assert_eq!(select(&all, &|index| index == 1, &situation(9e6, 20.0, Some(1))), Some(0));
        assert_eq!(select(&all, &|_| true, &situation(9e6, 20.0, None)), None);
    }
}
