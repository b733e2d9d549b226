//! A live channel out of a film: its segments, looped without end, in a window that slides with the
//! clock. What the window shows is a function of the time alone.

use std::collections::BTreeMap;
use std::time::Duration;

use hls_m3u8::tags::{ExtXMap, ExtXProgramDateTime};
use hls_m3u8::{MediaPlaylist, MediaSegment};

use super::folder::Folder;
use crate::clock::rfc3339;

/// When every channel began, since the Unix epoch: the start of 2026. Fixed, so that media sequences
/// go on where they were when the server starts anew under a viewer.
pub(crate) const EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// Segments in the window.
const WINDOW: u64 = 6;
/// How far the lengths of one segment may be apart in two renditions.
const TOLERANCE: Duration = Duration::from_millis(100);

/// A channel that never ends.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    folder: Folder,
    pub(super) entry: String,
    pub(super) multivariant: String,
    /// Length of each segment of one loop.
    pub(super) lengths: Vec<Duration>,
    /// Media playlists by their name below the folder.
    pub(super) renditions: BTreeMap<String, Rendition>,
    /// Segments in the window.
    window: u64,
}

/// One rendition's files, named as its playlist names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rendition {
    pub(super) init: Option<String>,
    pub(super) segments: Vec<(String, Duration)>,
}

/// What a name of the channel stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// A playlist, written now.
    Playlist(String),
    /// A file of the film's folder.
    File(String),
}

/// The segments that are listed at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// Media sequence of the first.
    pub(super) first: u64,
    /// How many.
    pub(super) count: u64,
}

impl Window {
    /// Media sequence of the segment that is being shown.
    pub(super) const fn end(&self) -> u64 {
        self.first + self.count
    }
}

impl Channel {
    /// Makes a channel of a film, if its playlists are simple: complete, plain segments without
    /// keys, byte ranges or discontinuities, equally long in all renditions.
    pub(crate) async fn of(folder: Folder, entry: String) -> Option<Self> {
        Self::with_window(folder, entry, WINDOW).await
    }

    /// The same, with so many segments in the window.
    pub(super) async fn with_window(folder: Folder, entry: String, window: u64) -> Option<Self> {
        let multivariant = folder.playlist(&entry).await?;
        let mut renditions = BTreeMap::new();
        for name in media_playlists(&multivariant)? {
            renditions.insert(name.clone(), Rendition::read(&folder.playlist(&name).await?)?);
        }
        let lengths: Vec<Duration> =
            renditions.values().next()?.segments.iter().map(|segment| segment.1).collect();
        let alike = |rendition: &Rendition| {
            rendition.segments.len() == lengths.len()
                && rendition
                    .segments
                    .iter()
                    .zip(&lengths)
                    .all(|(a, b)| a.1.abs_diff(*b) < TOLERANCE)
        };
        // A loop shorter than its window would list one file twice.
        let simple = lengths.len() as u64 > window && renditions.values().all(alike);
        simple.then_some(Self { folder, entry, multivariant, lengths, renditions, window })
    }

    /// The folder that its files come from.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// What `name` stands for at `age`, the time since [`EPOCH`].
    pub(crate) fn find(&self, name: &str, age: Duration) -> Option<Item> {
        if name == self.entry {
            return Some(Item::Playlist(self.multivariant.clone()));
        }
        let window = self.window(age);
        if let Some(rendition) = self.renditions.get(name) {
            return self.playlist(name, rendition, window).map(Item::Playlist);
        }
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        for (playlist, rendition) in &self.renditions {
            if playlist.rsplit_once('/').map_or("", |parts| parts.0) != folder {
                continue;
            }
            let named = |file: &str| {
                Item::File(if folder.is_empty() { file.into() } else { format!("{folder}/{file}") })
            };
            if rendition.init.as_deref() == Some(file) {
                return Some(named(file));
            }
            // Two renditions of one folder are told apart by their playlists' names.
            let stem = prefix(playlist);
            let Some(rest) = file.strip_prefix(&stem) else { continue };
            let Some((digits, extension)) = rest.split_once('.') else { continue };
            let Some(number) = digits.parse::<u64>().ok().filter(|n| n.to_string() == digits)
            else {
                continue;
            };
            let (uri, _) = &rendition.segments[(number % self.lengths.len() as u64) as usize];
            let listed = number < window.end();
            // RFC 8216 §6.2.2 asks for the length of the longest playlist that had them.
            let kept = number + 2 * self.window >= window.first;
            if listed && kept && extension == ending(uri) {
                return Some(named(uri));
            }
        }
        None
    }

    /// The window at `age`. It is full from the beginning, as if the channel had run before.
    pub(super) fn window(&self, age: Duration) -> Window {
        let elapsed = (self.preroll() + age).as_nanos();
        let round = self.start_of(self.lengths.len() as u64).as_nanos();
        let (rounds, rest) = ((elapsed / round) as u64, elapsed % round);
        let mut done = rounds * self.lengths.len() as u64;
        let mut end = 0;
        for length in &self.lengths {
            end += length.as_nanos();
            if end > rest {
                break;
            }
            done += 1;
        }
        Window { first: done.saturating_sub(self.window), count: self.window.min(done) }
    }

    /// How much had been shown when the channel began.
    pub(super) fn preroll(&self) -> Duration {
        self.lengths.iter().take(self.window as usize).sum()
    }

    /// When segment `number` starts, from the first one's start.
    pub(super) fn start_of(&self, number: u64) -> Duration {
        let count = self.lengths.len() as u64;
        let round: Duration = self.lengths.iter().sum();
        let rounds = u32::try_from(number / count).unwrap_or(u32::MAX);
        round.saturating_mul(rounds)
            + self.lengths.iter().take((number % count) as usize).sum::<Duration>()
    }

    /// The longest segment in whole seconds (RFC 8216 §4.3.3.1).
    pub(super) fn target_duration(&self) -> u64 {
        let lengths = self.renditions.values().flat_map(|r| &r.segments).map(|s| s.1);
        lengths.max().unwrap_or_default().as_secs_f64().round().max(1.0) as u64
    }

    fn playlist(&self, name: &str, rendition: &Rendition, window: Window) -> Option<String> {
        let count = self.lengths.len() as u64;
        let mut segments = Vec::new();
        for number in window.first..window.first + window.count {
            let (uri, length) = &rendition.segments[(number % count) as usize];
            // A segment is listed when it has been shown to its end, as from an encoder.
            let date = (EPOCH + self.start_of(number)).saturating_sub(self.preroll());
            let mut segment = MediaSegment::builder();
            segment
                .duration(*length)
                // A name of its own for each occurrence: no cache and no peer mixes two rounds.
                .uri(format!("{}{number}.{}", prefix(name), ending(uri)))
                .program_date_time(ExtXProgramDateTime::new(rfc3339(date)))
                // Timestamps begin anew with each round.
                .has_discontinuity(number > 0 && number % count == 0);
            if number == window.first
                && let Some(init) = &rendition.init
            {
                segment.map(ExtXMap::new(init.as_str()));
            }
            segments.push(segment.build().ok()?);
        }
        MediaPlaylist::builder()
            .target_duration(Duration::from_secs(self.target_duration()))
            .media_sequence(usize::try_from(window.first).ok()?)
            .discontinuity_sequence(usize::try_from(removed(window.first, count)).ok()?)
            .has_independent_segments(true)
            .segments(segments)
            .build()
            .ok()
            .map(|playlist| playlist.to_string())
    }
}

/// Discontinuities before segment `first`: one at the start of each round but the first
/// (RFC 8216 §6.2.2).
pub(super) fn removed(first: u64, count: u64) -> u64 {
    first.saturating_sub(1) / count
}

/// How the names of a rendition's live segments begin.
pub(super) fn prefix(playlist: &str) -> String {
    let file = playlist.rsplit('/').next().unwrap_or(playlist);
    let stem = file.rsplit_once('.').map_or(file, |parts| parts.0);
    if stem == "index" { "seg-".to_owned() } else { format!("{stem}-seg-") }
}

pub(super) fn ending(uri: &str) -> &str {
    uri.rsplit_once('.').map_or("bin", |parts| parts.1)
}

/// The media playlists that a multivariant playlist names, all of them local and each one once.
pub(super) fn media_playlists(text: &str) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let uri = if let Some(attributes) = line.strip_prefix("#EXT-X-MEDIA:") {
            match attributes.split_once("URI=\"").and_then(|rest| rest.1.split_once('"')) {
                Some((uri, _)) => uri,
                None => continue,
            }
        } else if line.starts_with('#') {
            continue;
        } else {
            line
        };
        if !local(uri) {
            return None;
        }
        if !names.iter().any(|name| name == uri) {
            names.push(uri.to_owned());
        }
    }
    text.contains("#EXT-X-STREAM-INF").then_some(names)
}

fn local(uri: &str) -> bool {
    !uri.starts_with('/') && !uri.contains([':', '?', '#', '%', '\\']) && !uri.contains("..")
}

impl Rendition {
    /// Reads a media playlist; `None` when it has anything that a loop would break.
    fn read(text: &str) -> Option<Self> {
        let mut rendition = Self::default();
        let mut length = None;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(value) = line.strip_prefix("#EXTINF:") {
                let seconds = value.split(',').next()?.trim().parse::<f64>().ok()?;
                let good = seconds.is_finite() && (0.1..=60.0).contains(&seconds);
                length = Some(good.then(|| Duration::from_secs_f64(seconds))?);
            } else if let Some(value) = line.strip_prefix("#EXT-X-MAP:") {
                let uri = value.strip_prefix("URI=\"")?.strip_suffix('"')?;
                // One init section for all, in the playlist's own folder.
                if rendition.init.is_some() || !local(uri) || uri.contains('/') {
                    return None;
                }
                rendition.init = Some(uri.to_owned());
            } else if ["#EXT-X-KEY", "#EXT-X-BYTERANGE", "#EXT-X-DISCONTINUITY", "#EXT-X-GAP"]
                .iter()
                .any(|tag| line.starts_with(tag))
            {
                return None;
            } else if !line.starts_with('#') {
                if !local(line) || line.contains('/') {
                    return None;
                }
                rendition.segments.push((line.to_owned(), length.take()?));
            }
        }
        (text.contains("#EXT-X-ENDLIST") && !rendition.segments.is_empty()).then_some(rendition)
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
