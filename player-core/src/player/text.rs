//! Text: which sources there are, which is shown at first, and the segments of subtitles near the playhead.

use bytes::Bytes;

use super::load::backoff;
use super::prepare::{Job, unsupported};
use super::title::{InitKey, List};
use super::{Player, Purpose};
use crate::hls::{AttributeList, Key, RenditionKind};
use crate::io::{Cipher, DateRangeInfo, Event, Output, TextKind, TextSegment, TextSource, Track};
use crate::time::Instant;

/// Subtitles are fetched this far ahead of the playhead, in seconds.
const TEXT_AHEAD: f64 = 30.0;
/// Most subtitles that are fetched at once.
const MAX_FEEDS: usize = 8;
/// A segment that failed this often is left out.
const MAX_FAILURES: u32 = 4;
/// So many segments are remembered as given out.
const MAX_GIVEN: usize = 4096;
/// Most date ranges of a playlist that are told, the last ones.
const MAX_DATE_RANGES: usize = 1000;

/// What a title has of text.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// The places of the sources' playlists in the title's lists; `None` for what is none to be fetched here.
    lists: Vec<Option<usize>>,
    feeds: Vec<Feed>,
}

/// Subtitles that are wanted.
#[derive(Debug)]
struct Feed {
    /// Index into the sources.
    source: usize,
    /// Place of the playlist in the title's lists.
    list: usize,
    /// A request is under way.
    busy: bool,
    failures: u32,
    retry_at: Instant,
    /// The init section that was asked for last, and its bytes once they are there.
    init: Option<(InitKey, Option<Bytes>)>,
    /// Media sequence numbers of the segments that have been given out.
    given: Vec<u64>,
}

impl Text {
    /// Whether any subtitles are fetched.
    pub(super) fn is_fetched(&self) -> bool {
        !self.feeds.is_empty()
    }
}

impl Player {
    /// Tells the page what text there is, and which is to be shown (bis §4.4.6.1): in the best of the viewer's languages
    /// if the stream has a default, or sound in a language that is none of the viewer's; else the default.
    #[inline(never)]
    pub(super) fn tell_text_sources(&mut self) {
        let Some(multivariant) = &self.title.multivariant else { return };
        let heard = self.heard_language().unwrap_or_default();
        let known = |language: &str| {
            let mut own = self.config.languages.iter();
            own.position(|own| same_language(own, language)).unwrap_or(usize::MAX)
        };
        let mut sources: Vec<TextSource> = Vec::new();
        let mut add = |kind, url: &str, attributes: &AttributeList, chosen| {
            sources.push(TextSource {
                kind,
                url: url.to_owned(),
                attributes: attributes.clone(),
                chosen,
            });
        };
        let mut default = false;
        // Language, default, place.
        let mut best = (usize::MAX, true, usize::MAX);
        let mut place = 0;
        for rendition in &multivariant.renditions {
            let kind = match rendition.kind {
                RenditionKind::Subtitles => TextKind::Subtitles,
                RenditionKind::ClosedCaptions => TextKind::Captions,
                _ => continue,
            };
            let language = rendition.language.as_deref().unwrap_or_default();
            if rendition.autoselect && !rendition.forced {
                default |= rendition.default;
                best = best.min((known(language), !rendition.default, place));
            }
            // What is essential is shown in the language that is heard.
            let chosen = rendition.forced && (heard.is_empty() || same_language(language, heard));
            let url = rendition.url.as_deref().unwrap_or_default();
            add(kind, url, &rendition.attributes, chosen);
            place += 1;
        }
        for data in &multivariant.session_data {
            if let Some(url) = data.url.as_deref().filter(|_| data.id == CHAPTERS) {
                add(TextKind::Chapters, url, &data.attributes, false);
            }
        }
        for (kind, variants) in [
            (TextKind::Images, &multivariant.image_variants),
            (TextKind::IFrames, &multivariant.iframe_variants),
        ] {
            for variant in variants {
                add(kind, &variant.url, &variant.attributes, false);
            }
        }
        let (rank, other, place) = best;
        let foreign = !heard.is_empty() && known(heard) == usize::MAX;
        if (!other || rank < usize::MAX && (default || foreign))
            && let Some(source) = sources.get_mut(place)
        {
            source.chosen = true;
        }
        if !sources.is_empty() {
            let list = |source: &TextSource| {
                let subtitles = source.kind == TextKind::Subtitles;
                let named = |list: &List| list.urls.iter().any(|(_, url)| *url == source.url);
                self.title.lists.iter().position(named).filter(|_| subtitles)
            };
            self.text.lists = sources.iter().map(list).collect();
            self.event(Event::TextSources(sources));
        }
    }

    #[inline(never)]
    pub(super) fn select_text(&mut self, sources: &[usize]) {
        self.text.feeds.retain(|feed| sources.contains(&feed.source));
        for source in sources {
            let known = self.text.feeds.iter().any(|feed| feed.source == *source);
            let Some(Some(list)) = self.text.lists.get(*source).copied() else { continue };
            if known || self.text.feeds.len() >= MAX_FEEDS {
                continue;
            }
            self.text.feeds.push(Feed {
                source: *source,
                list,
                busy: false,
                failures: 0,
                retry_at: Instant::default(),
                init: None,
                given: Vec::new(),
            });
        }
    }

    /// Adds the playlists of the subtitles that are wanted, but for those that cannot be had.
    pub(super) fn add_text_lists(&self, lists: &mut Vec<usize>) {
        for feed in &self.text.feeds {
            if !self.title.lists[feed.list].is_refused() {
                lists.push(feed.list);
            }
        }
    }

    /// Fetches what is wanted next of each subtitles.
    #[inline(never)]
    pub(super) fn run_text(&mut self, now: Instant) {
        for index in 0..self.text.feeds.len() {
            self.run_feed(now, index);
        }
    }

    fn run_feed(&mut self, now: Instant, index: usize) -> Option<()> {
        let feed = self.text.feeds.get(index)?;
        let list = &self.title.lists[feed.list];
        // On another pathway its segments have other URLs; without a playlist there, those that are known.
        if feed.busy || list.failures == 0 && self.title.pathways.is_moving(list) {
            return None;
        }
        if feed.retry_at > now {
            let at = feed.retry_at;
            self.wake_at(at);
            return None;
        }
        let source = feed.source;
        let (sequence, _) = self.next_text(now, feed)?;
        let playlist = self.title.lists[feed.list].playlist.as_ref()?;
        let segment = playlist.position_of(sequence)?;
        let mut request = (
            playlist.segment_url(segment),
            playlist.byte_range(segment).map(|range| (range.start, Some(range.end))),
            Some(sequence),
        );
        let keys = playlist.keys_of(segment).to_vec();
        let init = playlist.init_of(segment).map(|init| {
            (init.url.clone(), init.byte_range.clone().map(|range| (range.start, range.end)))
        });
        let there = feed.init.as_ref().filter(|(_, data)| data.is_some()).map(|(key, _)| key);
        if let Some(init) = init.filter(|init| there != Some(init)) {
            request = (init.0.clone(), init.1.map(|(start, end)| (start, Some(end))), None);
            self.text.feeds[index].init = Some((init, None));
        } else if !keys.is_empty() {
            // The key first: then the segment can be decrypted when it comes.
            self.text_key(now, source, &keys)?;
        }
        self.text.feeds[index].busy = true;
        let (url, range, sequence) = request;
        self.fetch_document(now, Purpose::Text(source, sequence), url, range);
        None
    }

    /// The segment that is wanted next, and its offset.
    fn next_text(&self, now: Instant, feed: &Feed) -> Option<(u64, f64)> {
        let position = self.position(now);
        let playlist = self.title.lists[feed.list].playlist.as_ref()?;
        let from = playlist.segments.partition_point(|segment| segment.end() <= position - 0.1);
        let near = playlist.segments[from..].iter();
        let mut near = near.take_while(|segment| segment.start < position + TEXT_AHEAD);
        let next = near.find(|segment| !segment.gap && !feed.given.contains(&segment.sequence))?;
        let offset = self.text_offset(next.start, next.discontinuity_sequence);
        // The video's first segment says what its clock is. What has no clock, such as raw audio, never does.
        let main = self.tracks.first()?;
        (offset.is_finite() || main.buffered.ahead(position) > 0.0)
            .then_some((next.sequence, offset))
    }

    /// What to add to the stream's times at `start` to get the player's; `NaN` when it is not known.
    fn text_offset(&self, start: f64, discontinuity: u64) -> f64 {
        let offsets = &self.title.offsets;
        let video = || {
            let list = &self.title.lists[self.tracks.first()?.list];
            offsets.get(&list.segment_for(start)?.discontinuity_sequence)
        };
        offsets.get(&discontinuity).or_else(video).copied().unwrap_or(f64::NAN)
    }

    /// A segment or an init section has come.
    #[inline(never)]
    pub(super) fn text_done(
        &mut self,
        now: Instant,
        source: usize,
        sequence: Option<u64>,
        data: Bytes,
    ) {
        self.stats.http_bytes += data.len() as u64;
        let Some(feed) = self.text.feeds.iter_mut().find(|feed| feed.source == source) else {
            return;
        };
        feed.busy = false;
        feed.failures = 0;
        let Some(sequence) = sequence else {
            if let Some((_, init)) = &mut feed.init {
                *init = Some(data);
            }
            return;
        };
        feed.give(sequence);
        let init = feed.init.as_ref().and_then(|(_, data)| data.clone()).unwrap_or_default();
        let list = feed.list;
        let Some(playlist) = &self.title.lists[list].playlist else { return };
        let Some(segment) = playlist.position_of(sequence) else { return };
        let keys = playlist.keys_of(segment).to_vec();
        let segment = *segment;
        let (start, end) = (segment.start, segment.end());
        let offset = self.text_offset(start, segment.discontinuity_sequence);
        let found = TextSegment { source, start, end, offset, init, data };
        if keys.is_empty() {
            self.outputs.push_back(Output::Text(found));
        } else if let Some((key, cipher, bytes)) = self.text_key(now, source, &keys) {
            let (iv, data) = (key.iv_of(&segment), found.data.clone());
            self.decrypt(Job::Text(found, key.uri), cipher, bytes, iv, Bytes::new(), data);
        }
    }

    /// The key of subtitles. Those that nobody here can decrypt are left out: the film goes on without.
    fn text_key(
        &mut self,
        now: Instant,
        source: usize,
        keys: &[Key],
    ) -> Option<(Key, Cipher, Bytes)> {
        if keys.iter().any(|key| key.cipher().is_some()) {
            return self.usable_key(now, keys);
        }
        self.text.feeds.retain(|feed| feed.source != source);
        self.warn(unsupported(keys));
        None
    }

    /// A segment or an init section could not be had: later, or not at all.
    #[inline(never)]
    pub(super) fn text_failed(&mut self, now: Instant, source: usize, sequence: Option<u64>) {
        let Some(feed) = self.text.feeds.iter_mut().find(|feed| feed.source == source) else {
            return;
        };
        feed.busy = false;
        feed.failures += 1;
        feed.retry_at = now + backoff(feed.failures);
        if let Some(sequence) = sequence.filter(|_| feed.failures >= MAX_FAILURES) {
            feed.failures = 0;
            feed.give(sequence);
        }
    }

    /// Tells the page the date ranges of a playlist that has changed (bis §4.4.5.1).
    #[inline(never)]
    pub(super) fn tell_date_ranges(&mut self, list: usize) {
        let Some(playlist) = &self.title.lists[list].playlist else { return };
        let place = |date: f64| playlist.time_of(date);
        let ranges = &playlist.date_ranges;
        let mut told = Vec::new();
        for range in &ranges[ranges.len().saturating_sub(MAX_DATE_RANGES)..] {
            let Some(start) = range.start_date.and_then(place) else { continue };
            let planned = start + range.planned_duration.unwrap_or(f64::INFINITY);
            let end = range.end_date.and_then(place).unwrap_or(planned);
            told.push(DateRangeInfo { start, end, attributes: range.attributes.clone() });
        }
        if !told.is_empty() {
            self.event(Event::DateRanges(told));
        }
    }

    /// The language of the sound.
    fn heard_language(&self) -> Option<&str> {
        let renditions = &self.title.multivariant.as_ref()?.renditions;
        let track = self.tracks.iter().find(|track| track.track == Track::Audio);
        let list = track.map(|track| track.switch.map_or(track.list, |switch| switch.list));
        let place = self.title.audio.iter().find(|(_, of)| Some(*of) == list);
        let rendition = match place {
            Some((index, _)) => renditions.get(*index),
            // Sound in the variant itself.
            None => renditions.iter().find(|one| one.kind == RenditionKind::Audio && one.default),
        };
        rendition?.language.as_deref()
    }
}

impl Feed {
    fn give(&mut self, sequence: u64) {
        if self.given.len() >= MAX_GIVEN {
            self.given.remove(0);
        }
        self.given.push(sequence);
    }
}

/// Apple's chapters (`EXT-X-SESSION-DATA`).
const CHAPTERS: &str = "com.apple.hls.chapters";

/// Whether two RFC 5646 tags name one language, whatever their regions.
fn same_language(a: &str, b: &str) -> bool {
    let primary = |tag: &str| tag.find('-').unwrap_or(tag.len());
    a[..primary(a)].eq_ignore_ascii_case(&b[..primary(b)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_do_not_tell_languages_apart() {
        assert!(same_language("en-US", "EN"));
        assert!(!same_language("en", "eng-x"));
        assert!(!same_language("", "de"));
    }
}
