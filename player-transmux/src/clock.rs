//! The stream's clock: 90 kHz, 33 bits in the stream, 64 bits here.

/// Ticks per second of a transport stream's timestamps.
pub(crate) const HZ: i64 = 90_000;
/// What the counter wraps at (ISO/IEC 13818-1 §2.4.3.7).
const WRAP: i64 = 1 << 33;

/// When a sample is decoded and shown, in unrolled ticks of 90 kHz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) pts: i64,
    pub(crate) dts: i64,
}

/// Unrolls timestamps: each is taken as the one nearest to the last.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    last: Option<i64>,
}

impl Clock {
    /// Forgets the last timestamp: the next one counts as it is.
    pub(crate) const fn reset(&mut self) {
        self.last = None;
    }

    /// Where the next timestamp is expected, in unrolled ticks.
    pub(crate) const fn set(&mut self, ticks: i64) {
        self.last = Some(ticks);
    }

    /// The last timestamp, if there was one.
    pub(crate) const fn last(&self) -> Option<i64> {
        self.last
    }

    /// Unrolls the timestamps of one PES packet.
    pub(crate) fn stamp(&mut self, pts: u64, dts: Option<u64>) -> Stamp {
        let near = self.last;
        let pts = Self::nearest(near, pts);
        // A decoding time is near its own presentation time, whatever came before.
        let dts = dts.map_or(pts, |dts| Self::nearest(Some(pts), dts));
        self.last = Some(dts);
        Stamp { pts, dts }
    }

    fn nearest(last: Option<i64>, raw: u64) -> i64 {
        let raw = (raw & (WRAP as u64 - 1)) as i64;
        let Some(last) = last else { return raw };
        let ahead = (raw - last).rem_euclid(WRAP);
        if ahead < WRAP / 2 { last + ahead } else { last + ahead - WRAP }
    }
}

/// The stamps of PES packets that began in a buffer, by the offset where their data begins.
#[derive(Debug, Default)]
pub(crate) struct Stamps(Vec<(usize, Stamp)>);

impl Stamps {
    pub(crate) fn push(&mut self, offset: usize, stamp: Stamp) {
        // A packet without data in it says nothing.
        if self.0.last().is_some_and(|&(last, _)| last == offset) {
            self.0.pop();
        }
        self.0.push((offset, stamp));
    }

    /// The stamp of an access unit that begins at `offset`: its packet's, when it is the first to begin in it
    /// (ISO/IEC 13818-1 §2.4.3.7).
    pub(crate) fn take(&mut self, offset: usize) -> Option<Stamp> {
        let passed = self.0.iter().take_while(|&&(at, _)| at <= offset).count();
        self.0.drain(..passed).next_back().map(|(_, stamp)| stamp)
    }

    /// The buffer's first `bytes` are gone.
    pub(crate) fn rebase(&mut self, bytes: usize) {
        for (offset, _) in &mut self.0 {
            *offset = offset.saturating_sub(bytes);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_go_on_after_the_counter_wraps() {
        let mut clock = Clock::default();
        let near_end = (1 << 33) - 3000;
        assert_eq!(clock.stamp(near_end, None).pts, near_end as i64);
        assert_eq!(clock.stamp(3000, None).pts, (1 << 33) + 3000);
        let late = clock.stamp(6000, Some(near_end + 1000));
        assert_eq!(late, Stamp { pts: (1 << 33) + 6000, dts: (1 << 33) - 2000 });
    }

    #[test]
    fn a_decoding_time_before_zero_is_negative() {
        let mut clock = Clock::default();
        let first = clock.stamp(0, Some((1 << 33) - 3000));
        assert_eq!(first, Stamp { pts: 0, dts: -3000 });
    }

    #[test]
    fn an_expected_time_chooses_the_turn() {
        let mut clock = Clock::default();
        clock.set(3 << 33);
        assert_eq!(clock.stamp(9000, None).pts, (3 << 33) + 9000);
    }

    #[test]
    fn a_stamp_belongs_to_the_first_unit_that_begins_after_it() {
        let stamp = |pts| Stamp { pts, dts: pts };
        let mut stamps = Stamps::default();
        stamps.push(0, stamp(1));
        stamps.push(10, stamp(2));
        stamps.push(10, stamp(3));
        assert_eq!(stamps.take(4), Some(stamp(1)));
        assert_eq!(stamps.take(5), None);
        stamps.rebase(6);
        assert_eq!(stamps.take(3), None);
        assert_eq!(stamps.take(4), Some(stamp(3)));
    }
}
