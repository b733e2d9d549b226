//! What is loaded: the multivariant playlist's variants and renditions, and their media playlists.

use crate::ordered::OrderedMap;

use bytes::Bytes;

use super::pathway::Pathways;
use super::recover::Failure;
use crate::hls::parts::{PART, PartSegment};
use crate::hls::{InitSection, MediaPlaylist, MultivariantPlaylist, Segment};
use crate::io::{AudioInfo, RequestId, VariantInfo};
use crate::media;
use crate::swarm::{parts_id, segment_tag};
use crate::time::Instant;
use crate::wire::{RenditionId, SegmentId};

/// An init section's URL and byte range.
pub(super) type InitKey = (String, Option<(u64, u64)>);

/// Names an init section.
pub(super) fn init_key(init: &InitSection) -> InitKey {
    (init.url.clone(), init.byte_range.as_ref().map(|range| (range.start, range.end)))
}

/// An init section's bytes, and what they say.
#[derive(Debug, Clone)]
pub(super) struct Init {
    /// As the browser gets it.
    pub(super) data: Bytes,
    /// As it came, before it became one of clear samples; empty otherwise.
    pub(super) original: Bytes,
    pub(super) section: media::InitSection,
}

/// A media playlist of the title.
#[derive(Debug)]
pub(super) struct List {
    /// The same number at each peer.
    pub(super) id: RenditionId,
    /// Where it is loaded from.
    pub(super) url: String,
    /// Where it can be had, by pathway.
    pub(super) urls: Vec<(usize, String)>,
    /// The pathway that its playlist came from.
    pub(super) loaded_from: usize,
    /// `STABLE-VARIANT-ID` or `STABLE-RENDITION-ID`.
    pub(super) stable_id: String,
    /// The last one loaded.
    pub(super) playlist: Option<MediaPlaylist>,
    /// Its request under way.
    pub(super) request: Option<RequestId>,
    /// When its last load began.
    pub(super) requested_at: Instant,
    /// When its last load ended, well or not.
    pub(super) loaded_at: Option<Instant>,
    /// When it last had something new.
    pub(super) changed_at: Instant,
    /// When it is to be loaded (again).
    pub(super) reload_at: Option<Instant>,
    /// Loads that failed in a row.
    pub(super) failures: u32,
    /// HTTP status of the last failure, 0 for none.
    pub(super) failed_status: u16,
    /// The last load had nothing new.
    pub(super) unchanged: bool,
    /// The rendition that its parts are in the swarm.
    pub(super) parts_id: RenditionId,
    /// Its parts, ascending in number; the last one may be promised only.
    pub(super) parts: Vec<PartSegment>,
    /// Near the live edge its parts are fetched instead of its segments.
    pub(super) by_parts: bool,
    /// The option.
    pub(super) low_latency: bool,
    /// Segments below this media sequence number need not be looked at to be put together of parts.
    pub(super) assembled: u64,
    /// URI of the newest key that the page was told of.
    pub(super) key_told: String,
}

impl List {
    pub(super) fn new(id: RenditionId, url: String) -> Self {
        Self {
            id,
            parts_id: parts_id(id),
            parts: Vec::new(),
            by_parts: false,
            low_latency: false,
            assembled: 0,
            url,
            urls: Vec::new(),
            loaded_from: 0,
            stable_id: String::new(),
            playlist: None,
            request: None,
            requested_at: Instant::from_micros(0),
            loaded_at: None,
            changed_at: Instant::from_micros(0),
            reload_at: None,
            failures: 0,
            failed_status: 0,
            unchanged: false,
            key_told: String::new(),
        }
    }

    /// Whether the origin refused it for good: another variant has to do.
    pub(super) const fn is_refused(&self) -> bool {
        self.playlist.is_none()
            && self.failures > 0
            && self.failed_status >= 400
            && self.failed_status < 500
    }

    /// Whether it grows.
    pub(super) fn is_live(&self) -> bool {
        self.playlist.as_ref().is_some_and(|playlist| !playlist.end_list)
    }

    /// The segment with this media sequence number, or the part with this number.
    pub(super) fn segment(&self, number: u64) -> Option<&Segment> {
        if number & PART != 0 {
            return self.part(number).map(|part| &part.segment);
        }
        self.playlist.as_ref()?.position_of(number)
    }

    /// The segment to append for this time: around it, or the first one after it; a time within a tenth of a second
    /// of a segment's end belongs to the next.
    pub(super) fn segment_for(&self, time: f64) -> Option<&Segment> {
        if let Some(part) = self.part_for(time) {
            return Some(part);
        }
        let playlist = self.playlist.as_ref()?;
        let first = playlist.segments.first()?;
        if time < first.start {
            return Some(first);
        }
        let index = playlist
            .segments
            .partition_point(|segment| segment.start + segment.duration <= time + 0.1);
        playlist.segments.get(index)
    }

    /// Name of a segment, or of a part, in the swarm.
    pub(super) const fn segment_id(&self, number: u64) -> SegmentId {
        let rendition = if number & PART == 0 { self.id } else { self.parts_id };
        SegmentId { rendition, sequence: number & !PART }
    }

    /// The number of what is in the swarm under this name, if it is one of this list.
    pub(super) fn number(&self, id: SegmentId) -> Option<u64> {
        if id.rendition == self.id {
            Some(id.sequence)
        } else {
            (id.rendition == self.parts_id).then_some(id.sequence | PART)
        }
    }

    /// Whether one segment or part comes right after another.
    pub(super) fn follows(&self, last: SegmentId, id: SegmentId) -> bool {
        self.number(last).is_some_and(|last| self.segment_id(self.next(last)) == id)
    }

    /// A segment's tag.
    pub(super) fn tag(&self, segment: &Segment) -> u32 {
        self.playlist.as_ref().map_or(0, |playlist| {
            let mut range = playlist.byte_range(segment).map(|range| (range.start, range.end));
            if let Some(range) = range.as_mut().filter(|_| segment.sequence & PART != 0) {
                // A hint may not tell the end.
                range.1 = range.0;
            }
            segment_tag(playlist.segment_uri(segment), range)
        })
    }
}

/// How a request for a part of a file is answered.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ranges {
    /// With that part, and the file's size in `Content-Range`.
    #[default]
    Sized,
    /// With that part only: another site's `Content-Range` cannot be seen unless it says so (it is no CORS-safelisted
    /// header). Until a segment's size is known it is asked for as a whole.
    Unsized,
    /// With the whole file: whole segments are asked for, and nothing is compared.
    Ignored,
}

impl Ranges {
    /// Whether all of a segment comes where a part of it is wanted.
    pub(super) const fn bring_all(self, size_known: bool) -> bool {
        // Where the size counts it takes the place of the answer that tells it.
        self as u8 > size_known as u8
    }
}

/// What is loaded.
#[derive(Debug, Default)]
pub(super) struct Title {
    /// The URL that the page named.
    pub(super) url: String,
    /// Where its playlists can be had from.
    pub(super) pathways: Pathways,
    /// How the present pathway has answered requests for parts of files.
    pub(super) ranges: Ranges,
    /// It compresses what is asked for without a range, and says so to pages of its own site only.
    pub(super) compresses: bool,
    /// The multivariant playlist, when there is one.
    pub(super) multivariant: Option<MultivariantPlaylist>,
    /// Bit rate of what was appended lately, in bit/s; 0 when nothing was.
    pub(super) measured_bps: u64,
    /// What the page shows of the variants. Variant `n`'s media playlist is `lists[n]`.
    pub(super) variants: Vec<VariantInfo>,
    /// Media playlists: first the variants', then the alternate audio renditions'.
    pub(super) lists: Vec<List>,
    /// Alternate audio renditions with a playlist, as (index into the multivariant playlist's renditions, into `lists`).
    pub(super) audio: Vec<(usize, usize)>,
    /// Those that the current variant's group offers, as places in `audio`.
    pub(super) audio_offered: Vec<usize>,
    /// Init sections that have been loaded.
    pub(super) inits: OrderedMap<InitKey, Init>,
    /// Init sections on their way.
    pub(super) init_requests: OrderedMap<InitKey, RequestId>,
    /// Init sections that failed.
    pub(super) init_failures: OrderedMap<InitKey, Failure>,
    /// Keys by their URL (RFC 8216 §4.3.2.4).
    pub(super) keys: OrderedMap<String, Bytes>,
    /// Keys on their way.
    pub(super) key_requests: Vec<String>,
    /// Keys that failed.
    pub(super) key_failures: OrderedMap<String, Failure>,
    /// `timestampOffset` by discontinuity sequence, in seconds: the same for all renditions (RFC 8216 §6.2.4).
    pub(super) offsets: OrderedMap<u64, f64>,
}

impl Title {
    /// The list and the segment or part that is in the swarm under this name.
    pub(super) fn find(&self, id: SegmentId) -> Option<(usize, &Segment)> {
        self.lists
            .iter()
            .enumerate()
            .find_map(|(index, list)| Some((index, list.segment(list.number(id)?)?)))
    }

    /// The same as list and number.
    pub(super) fn place(&self, id: SegmentId) -> Option<(usize, u64)> {
        let (list, _) = self.find(id)?;
        Some((list, self.lists[list].number(id)?))
    }

    /// The audio renditions of a variant's group, as the page shows them.
    pub(super) fn audio_infos(&self) -> Vec<AudioInfo> {
        let Some(multivariant) = &self.multivariant else { return Vec::new() };
        let mut infos = Vec::new();
        for place in &self.audio_offered {
            if let Some(audio) = self.audio.get(*place)
                && let Some(rendition) = multivariant.renditions.get(audio.0)
            {
                infos.push(AudioInfo {
                    name: rendition.name.to_string(),
                    language: language(rendition),
                    default: rendition.default,
                });
            }
        }
        infos
    }
}

fn language(rendition: &crate::hls::Rendition) -> String {
    rendition.language.as_deref().unwrap_or_default().to_owned()
}
