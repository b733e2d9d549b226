//! A run as a picture: copies of each segment, what is buffered, what the origin sends, and who brings the bytes.

use std::fmt::Write as _;

use super::report::{Report, Second};

/// Size of one of the four panels, and what is around its drawing, in pixels.
const PANEL: (f64, f64) = (420.0, 190.0);
const LEFT: f64 = 44.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 26.0;
/// Points of a line at most.
const POINTS: usize = 140;

/// Colours that can be told apart on white and on black.
const STYLE: &str = "<style>text{font:12px system-ui,sans-serif;fill:#556}.t{font-weight:600;fill:#223}\
.g{stroke:#8886;fill:none}.a{stroke:#e4572e;fill:none;stroke-width:1.6}.b{stroke:#4c78a8;fill:none;stroke-width:1.6}\
.c{stroke:#9aa5b1;fill:none;stroke-width:1.6}.d{fill:#e4572e}\
@media(prefers-color-scheme:dark){text{fill:#9ab}.t{fill:#eef}}</style>";

/// One panel: where it is, and how values become places.
struct Panel {
    left: f64,
    top: f64,
    across: (f64, f64),
    up: (f64, f64),
    /// By powers of two.
    log: bool,
}

impl Panel {
    fn new(place: usize, across: (f64, f64), up: (f64, f64), log: bool) -> Self {
        let (width, height) = PANEL;
        Self {
            left: (place % 2) as f64 * width + LEFT,
            top: (place / 2) as f64 * height + TOP,
            across,
            up,
            log,
        }
    }

    const fn size() -> (f64, f64) {
        (PANEL.0 - LEFT - 14.0, PANEL.1 - TOP - BOTTOM)
    }

    fn x(&self, value: f64) -> f64 {
        let share = (value - self.across.0) / (self.across.1 - self.across.0).max(1e-9);
        self.left + share.clamp(0.0, 1.0) * Self::size().0
    }

    fn y(&self, value: f64) -> f64 {
        let of = |value: f64| if self.log { value.max(1e-3).log2() } else { value };
        let (low, high) = (of(self.up.0), of(self.up.1));
        let share = (of(value) - low) / (high - low).max(1e-9);
        self.top + (1.0 - share.clamp(0.0, 1.0)) * Self::size().1
    }

    /// Title, lines at `ticks`, and the first and last value across.
    fn frame(&self, out: &mut String, title: &str, ticks: &[f64]) {
        let (width, height) = Self::size();
        let _ = write!(
            out,
            "<text class=\"t\" x=\"{:.0}\" y=\"{:.0}\">{title}</text>",
            self.left,
            self.top - 12.0
        );
        for tick in ticks {
            let y = self.y(*tick);
            let _ = write!(
                out,
                "<path class=\"g\" d=\"M{:.0} {y:.0}h{width:.0}\"/><text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{tick}</text>",
                self.left,
                self.left - 6.0,
                y + 4.0
            );
        }
        for (x, value, anchor) in
            [(self.left, self.across.0, "start"), (self.left + width, self.across.1, "end")]
        {
            let _ = write!(
                out,
                "<text x=\"{x:.0}\" y=\"{:.0}\" text-anchor=\"{anchor}\">{value:.0} s</text>",
                self.top + height + 18.0
            );
        }
    }

    fn line(&self, out: &mut String, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        let mut path = String::new();
        for (x, y) in points {
            let _ = write!(path, " {:.0},{:.1}", self.x(x), self.y(y));
        }
        let _ = write!(out, "<polyline class=\"{class}\" points=\"{}\"/>", path.trim_start());
    }
}

/// About three round values up to `most`.
fn ticks(most: f64) -> Vec<f64> {
    let raw = most.max(1e-3) / 3.0;
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|of| of * power).into_iter().find(|step| *step >= raw);
    let step = step.unwrap_or(raw);
    (0..5).map(|at| f64::from(at) * step).filter(|tick| *tick <= most * 1.01).collect()
}

/// Every n-th second, so that a line has few points, with the span to the one before it.
fn thinned(seconds: &[Second]) -> Vec<(&Second, &Second)> {
    let step = seconds.len().div_ceil(POINTS).max(1);
    let kept: Vec<&Second> = seconds.iter().step_by(step).collect();
    kept.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

impl Report {
    /// The run as SVG.
    #[must_use]
    pub fn plot(&self) -> String {
        let (width, height) = (2.0 * PANEL.0, 2.0 * PANEL.1 + 8.0);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\
             <title>{} viewers on a simulated network</title>{STYLE}",
            self.setting.viewers
        );
        let across = (0.0, self.setting.seconds);
        let seconds = thinned(&self.seconds);
        let rate = |a: u64, b: u64, from: &Second, to: &Second| {
            (b - a) as f64 * 8.0 / (to.at - from.at).max(1e-9) / 1e6
        };

        let most = self.segments.iter().map(|segment| segment.copies).fold(2.0, f64::max);
        let mut powers: Vec<f64> = (0..12).map(|power| f64::from(1 << power)).collect();
        powers.retain(|power| *power <= most * 2.0);
        let panel = Panel::new(0, across, (1.0, powers.last().copied().unwrap_or(2.0)), true);
        let thin: Vec<f64> =
            powers.iter().copied().step_by(powers.len().div_ceil(5).max(1)).collect();
        let title = if self.setting.live {
            "Copies of each segment, by when it came out"
        } else {
            "Copies of each segment, by its place in the film"
        };
        panel.frame(&mut out, title, &thin);
        for segment in &self.segments {
            let (x, y) = (panel.x(segment.published), panel.y(segment.copies));
            let _ = write!(out, "<circle class=\"d\" cx=\"{x:.0}\" cy=\"{y:.1}\" r=\"2.5\"/>");
        }

        let most = self.seconds.iter().map(|second| second.ahead[2]).fold(1.0, f64::max);
        let panel = Panel::new(1, across, (0.0, most), false);
        panel.frame(&mut out, "Seconds buffered: 5 %, half, 95 % of the viewers", &ticks(most));
        for (which, class) in ["a", "b", "c"].into_iter().enumerate() {
            panel.line(&mut out, class, seconds.iter().map(|(_, s)| (s.at, s.ahead[which])));
        }

        let rates: Vec<(f64, f64)> = seconds
            .iter()
            .map(|(a, b)| (b.at, rate(a.origin_bytes, b.origin_bytes, a, b)))
            .collect();
        let most = rates.iter().map(|(_, rate)| *rate).fold(1.0, f64::max);
        let panel = Panel::new(2, across, (0.0, most), false);
        panel.frame(&mut out, "Mbit/s of media from the origin, to all viewers", &ticks(most));
        panel.line(&mut out, "a", rates.into_iter());

        let panel = Panel::new(3, across, (0.0, 100.0), false);
        panel.frame(&mut out, "Of 100 bytes, so many come from viewers", &[0.0, 50.0, 100.0]);
        let share = |(a, b): &(&Second, &Second)| {
            let peers = rate(a.peer_bytes, b.peer_bytes, a, b);
            let all = peers + rate(a.origin_bytes, b.origin_bytes, a, b);
            (all > 0.0).then(|| (b.at, 100.0 * peers / all))
        };
        panel.line(&mut out, "b", seconds.iter().filter_map(share));
        out.push_str("</svg>\n");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::World;
    use super::*;
    use player_core::Player;

    #[test]
    fn a_run_becomes_a_small_picture() {
        let report = World { seconds: 40.0, ..World::live(4) }.run::<Player>();
        assert!(report.seconds.len() >= 39, "{}", report.seconds.len());
        let svg = report.plot();
        assert!(svg.len() < 20_000, "{}", svg.len());
        assert_eq!(svg.matches("<polyline").count(), 5);
        assert!(svg.matches("<circle").count() >= report.segments.len());
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(10.0), [0.0, 5.0, 10.0]);
        assert_eq!(ticks(64.0), [0.0, 50.0]);
        assert_eq!(ticks(0.5), [0.0, 0.2, 0.4]);
    }
}
