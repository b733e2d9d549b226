//! Buffered ranges in seconds, as `SourceBuffer.buffered` gives them.

use std::ops::Range;

/// Holes shorter than this are played over by every browser, in seconds.
pub(crate) const TOLERANCE: f64 = 0.1;

/// Sorted ranges that do not touch.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Ranges(Vec<Range<f64>>);

impl Ranges {
    /// Sorts and joins; drops what is no range.
    pub(crate) fn new(mut ranges: Vec<Range<f64>>) -> Self {
        ranges.retain(|range| {
            range.start.is_finite() && range.end.is_finite() && range.start < range.end
        });
        ranges.sort_unstable_by(|a, b| a.start.total_cmp(&b.start));
        let mut joined: Vec<Range<f64>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.start <= last.end + TOLERANCE => {
                    last.end = last.end.max(range.end)
                }
                _ => joined.push(range),
            }
        }
        Self(joined)
    }

    /// End of the range around `position`, tolerating a small hole at it.
    pub(crate) fn end_at(&self, position: f64) -> Option<f64> {
        self.0
            .iter()
            .find(|range| range.start <= position + TOLERANCE && position < range.end)
            .map(|range| range.end)
    }

    /// Seconds that can be played from `position`.
    pub(crate) fn ahead(&self, position: f64) -> f64 {
        self.end_at(position).map_or(0.0, |end| end - position)
    }

    /// Seconds buffered before `position`.
    pub(crate) fn behind(&self, position: f64) -> f64 {
        let range = self.0.iter().find(|range| range.contains(&position));
        range.map_or(0.0, |range| position - range.start)
    }

    /// Start of the first range after `position`.
    pub(crate) fn next_start(&self, position: f64) -> Option<f64> {
        self.0.iter().map(|range| range.start).find(|start| *start > position)
    }

    /// First second that is buffered.
    pub(crate) fn start(&self) -> Option<f64> {
        self.0.first().map(|range| range.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_behind_ends_where_a_hole_begins() {
        let ranges = Ranges::new(vec![0.0..4.0, 6.0..10.0]);
        assert_eq!([3.0, 5.0, 8.0].map(|at| ranges.behind(at)), [3.0, 0.0, 2.0]);
    }

    #[test]
    fn small_holes_are_played_over() {
        let ranges = Ranges::new(vec![4.05..8.0, 0.0..4.0, 9.0..12.0]);
        assert_eq!(ranges.end_at(0.0), Some(8.0));
        assert_eq!(ranges.end_at(8.95), Some(12.0));
        assert_eq!(ranges.end_at(8.5), None);
        assert_eq!(ranges.next_start(8.5), Some(9.0));
        assert_eq!(ranges.ahead(6.0), 2.0);
    }

    #[test]
    fn what_is_no_range_is_dropped() {
        assert_eq!(Ranges::new(vec![f64::NAN..1.0, 3.0..2.0]), Ranges::default());
    }
}
