//! Origins for the [`Stage`](super::Stage): a film and a broadcast.

use super::{Reply, init, playlist, segment};

/// The multivariant playlist of [`film`].
pub const MASTER: &str = "https://a.example/m.m3u8";
/// Seconds of each segment.
pub const TARGET: f64 = 4.0;
/// The media playlist of [`Live`].
pub const LIVE: &str = "https://a.example/live/l.m3u8";

/// A film of so many segments with variants `v0`, `v1`, … at 0.2, 0.4, … Mbit/s.
pub fn film(segments: u64, variants: u32) -> impl Fn(&str) -> Reply {
    move |url: &str| {
        let path = url.split("example/").nth(1).unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        let list: Vec<(&str, f64, String)> =
            (0..segments).map(|n| ("", TARGET, format!("s{n}.m4s"))).collect();
        match path.split_once('/') {
            None => master(variants, "").into(),
            Some((_, "l.m3u8")) => {
                playlist(TARGET, 0, "#EXT-X-MAP:URI=\"i.mp4\"\n", &list, true).into()
            }
            Some((_, "i.mp4")) => init(0).into(),
            Some((_, name)) => match number(name) {
                Some(n) if n < segments => segment(n as f64 * TARGET, TARGET, 2_000).into(),
                _ => Reply::Status(404),
            },
        }
    }
}

/// The same, but whatever is asked for whose URL has `missing` in it is answered with `status`.
pub fn film_without(
    segments: u64,
    variants: u32,
    missing: &'static str,
    status: u16,
) -> impl FnMut(f64, &str) -> Reply {
    let serve = film(segments, variants);
    move |_, url: &str| if url.contains(missing) { Reply::Status(status) } else { serve(url) }
}

/// A multivariant playlist of these variants, behind these tags.
#[must_use]
pub fn master(variants: u32, tags: &str) -> String {
    let mut text = format!("#EXTM3U\n{tags}");
    for n in 0..variants {
        text += &format!(
            "#EXT-X-STREAM-INF:BANDWIDTH={},CODECS=\"avc1.64001f\"\nv{n}/l.m3u8\n",
            200_000 * (n + 1)
        );
    }
    text
}

/// The number in a name like `s12.m4s`.
#[must_use]
pub fn number(name: &str) -> Option<u64> {
    name.strip_prefix('s')?.split('.').next()?.parse().ok()
}

/// A broadcast of segments of 4 s, the newest `window` of them; on air for `age` s at second 0. Segments of before
/// are gone with a window's delay.
#[derive(Debug, Clone, Copy)]
pub struct Live {
    /// Seconds.
    pub age: f64,
    /// Segments in the playlist.
    pub window: u64,
    /// Whether each has its `EXT-X-PROGRAM-DATE-TIME`.
    pub dates: bool,
}

impl Live {
    /// Number of the newest segment at second `now`.
    #[must_use]
    pub fn newest(&self, now: f64) -> u64 {
        ((self.age + now) / TARGET) as u64 - 1
    }

    /// The playlist at second `now`, its numbers counted from `base`.
    #[must_use]
    pub fn list(&self, now: f64, base: u64) -> String {
        let newest = self.newest(now);
        let first = (newest + 1).saturating_sub(self.window);
        let list: Vec<(String, f64, String)> = (first..=newest)
            .map(|n| {
                let ms = (n as f64 * TARGET) as u64;
                let date = format!(
                    "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T{:02}:{:02}:{:02}.000Z\n",
                    ms / 3600,
                    ms / 60 % 60,
                    ms % 60
                );
                (
                    if self.dates { date } else { String::new() },
                    TARGET,
                    format!("s{}.m4s", n - base),
                )
            })
            .collect();
        let list: Vec<(&str, f64, String)> =
            list.iter().map(|(tags, seconds, uri)| (&tags[..], *seconds, uri.clone())).collect();
        playlist(TARGET, first - base, "#EXT-X-MAP:URI=\"i.mp4\"\n", &list, false)
    }

    /// What is answered at second `now`.
    #[must_use]
    pub fn serve(&self, now: f64, url: &str) -> Reply {
        let name = url.rsplit('/').next().unwrap_or_default();
        match name {
            "l.m3u8" => self.list(now, 0).into(),
            "i.mp4" => init(0).into(),
            _ => match number(name) {
                Some(n) if n <= self.newest(now) && n + 2 * self.window > self.newest(now) => {
                    segment(n as f64 * TARGET, TARGET, 2_000).into()
                }
                _ => Reply::Status(404),
            },
        }
    }
}
