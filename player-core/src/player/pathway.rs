//! Pathways: the places that the same playlists can be had from. Those of content steering (RFC 8216bis §4.4.6.6, §7),
//! and redundant streams, which differ in their URIs only and count as pathways too. A variant has one list here,
//! with one URL for each pathway.

use std::time::Duration;

use super::title::{List, Ranges};
use super::{Player, Purpose};
use crate::hls::{self, MultivariantPlaylist, Rendition, Variant};
use crate::io::Output;
use crate::ordered::OrderedMap;
use crate::steering::{self, Clone, Manifest};
use crate::time::Instant;
use crate::trace::{Cause, Remedy};

/// Pathways at most, clones included.
const MAX_PATHWAYS: usize = 16;
/// A pathway that failed is not used for this long; twice as long each time after, up to 16 times.
const PENALTY: Duration = Duration::from_secs(60);
const MAX_DOUBLINGS: u32 = 4;
/// Without a word from the steering server it is asked again after this long (RFC 8216bis §7.1).
const DEFAULT_TTL: u64 = 300;

/// The pathways of a title; one without an id when it has none.
#[derive(Debug, Default)]
pub(super) struct Pathways {
    all: Vec<Pathway>,
    /// Places in `all`, the best first.
    order: Vec<usize>,
    current: usize,
    steering: Option<Steering>,
}

#[derive(Debug, Default)]
struct Pathway {
    id: String,
    /// Not used before this.
    penalty_until: Instant,
    penalties: u32,
}

#[derive(Debug)]
struct Steering {
    url: String,
    /// When the manifest is to be loaded next; `None` while it is on its way, and after the server wants no more.
    reload_at: Option<Instant>,
}

/// Where else a list can be had, by its own URL.
pub(super) type Alternatives = OrderedMap<String, Vec<(usize, String)>>;

impl Pathways {
    /// Whether there is more than one way, now or perhaps soon.
    pub(super) fn is_choice(&self) -> bool {
        self.steering.is_some() || self.all.len() > 1
    }

    /// Finds the pathways of a playlist, and leaves of each set of variants and renditions that differ in nothing
    /// else the first.
    pub(super) fn of(playlist: &mut MultivariantPlaylist, now: Instant) -> (Self, Alternatives) {
        let mut found = Self::default();
        let mut urls = Alternatives::new();
        let mut kept: Vec<Variant> = Vec::new();
        // Groups that are another pathway's version of a group that is kept.
        let mut groups: Vec<(usize, String, String)> = Vec::new();
        for variant in std::mem::take(&mut playlist.variants) {
            let stated = variant.pathway_id.as_deref();
            let taken = |known: &Variant, id: &str| {
                let place = found.place(id);
                let all = urls.get(&known.url).into_iter().flatten();
                all.map(|(place, _)| Some(*place)).any(|known| known == place)
            };
            let same = kept.iter().find(|known| {
                is_redundant(known, &variant) && stated.is_none_or(|id| !taken(known, id))
            });
            // Without an id it is the pathway `.` (RFC 8216bis §4.4.6.2), and the next of the same kind another.
            let mut id = stated.unwrap_or(".").to_owned();
            while stated.is_none() && same.is_some_and(|known| taken(known, &id)) {
                id.push('.');
            }
            let Some(place) = found.add(&id) else { continue };
            let Some(known) = same else {
                let own = urls.get_or_insert_with(variant.url.clone(), Vec::new);
                own.push((place, variant.url.clone()));
                kept.push(variant);
                continue;
            };
            for (known, other) in [
                (&known.audio, &variant.audio),
                (&known.subtitles, &variant.subtitles),
                (&known.video, &variant.video),
            ] {
                if let (Some(known), Some(other)) = (known, other) {
                    groups.push((place, known.clone(), other.clone()));
                }
            }
            let known = known.url.clone();
            urls.get_or_insert_with(known, Vec::new).push((place, variant.url));
        }
        let used = |group: &String| {
            let named = |variant: &Variant| {
                [&variant.audio, &variant.subtitles, &variant.video].contains(&&Some(group.clone()))
            };
            kept.iter().any(named)
        };
        let mut renditions: Vec<Rendition> = Vec::new();
        for rendition in std::mem::take(&mut playlist.renditions) {
            let Some(url) = &rendition.url else {
                renditions.push(rendition);
                continue;
            };
            let mapped = groups.iter().find(|(.., other)| *other == rendition.group_id);
            let stated = rendition.pathway_id.as_deref().and_then(|id| found.place(id));
            let group = mapped.map_or(&rendition.group_id, |(_, known, _)| known);
            let same = renditions.iter().find(|known| {
                known.group_id == *group
                    && (known.kind, &known.name) == (rendition.kind, &rendition.name)
                    && known.language == rendition.language
            });
            let place = stated.or_else(|| Some(mapped?.0));
            if let (Some(same), Some(place)) = (same.and_then(|same| same.url.as_ref()), place)
                && same != url
            {
                urls.get_or_insert_with(same.clone(), Vec::new).push((place, url.clone()));
                if !used(&rendition.group_id) || stated.is_some() {
                    continue;
                }
            }
            let first = stated.unwrap_or(0);
            let own = urls.get_or_insert_with(url.clone(), Vec::new);
            if own.is_empty() {
                own.push((first, url.clone()));
            }
            renditions.push(rendition);
        }
        playlist.variants = kept;
        playlist.renditions = renditions;
        if let Some(stated) = &playlist.steering {
            found.current = found.place(&stated.pathway_id).unwrap_or(0);
            found.steering = Some(Steering { url: stated.url.clone(), reload_at: Some(now) });
        }
        // Until the server says otherwise, the one it names is the best.
        found.order = (0..found.all.len()).collect();
        found.order.sort_by_key(|place| *place != found.current);
        (found, urls)
    }

    /// Where a list is to be loaded from now; its place is the current pathway's, or that of the first there is.
    pub(super) fn locate<'a>(&self, urls: &'a [(usize, String)]) -> Option<&'a (usize, String)> {
        urls.iter().find(|(place, _)| *place == self.current).or_else(|| urls.first())
    }

    /// Whether a variant can be had on the current pathway.
    pub(super) fn has(&self, list: &List) -> bool {
        list.urls.is_empty() || list.urls.iter().any(|(place, _)| *place == self.current)
    }

    /// Whether a list's playlist is of another pathway than the one it is loaded from now.
    pub(super) fn is_moving(&self, list: &List) -> bool {
        self.locate(&list.urls).is_some_and(|(place, _)| *place != list.loaded_from)
    }

    /// The current pathway's id, when there is a choice.
    pub(super) fn id(&self) -> &str {
        let id = self.all.get(self.current).map_or("", |pathway| &pathway.id);
        if self.all.len() > 1 || self.steering.is_some() { id } else { "" }
    }

    /// Forgets penalties: what failed may have done so for want of a network.
    pub(super) fn forgive(&mut self) {
        for pathway in &mut self.all {
            pathway.penalty_until = Instant::default();
        }
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.all.iter().position(|known| known.id == id)
    }

    fn add(&mut self, id: &str) -> Option<usize> {
        if let Some(place) = self.place(id) {
            return Some(place);
        }
        let place = self.all.len();
        (place < MAX_PATHWAYS).then(|| {
            self.all.push(Pathway { id: id.to_owned(), ..Pathway::default() });
            place
        })
    }

    fn best(&self, now: Instant) -> Option<usize> {
        self.order.iter().copied().find(|place| self.all[*place].penalty_until <= now)
    }
}

/// Whether two variants are the same but for where they are: the same stable id, or the same in all that they say.
fn is_redundant(a: &Variant, b: &Variant) -> bool {
    if a.url == b.url || a.bandwidth == 0 {
        return false;
    }
    if a.pathway_id.is_some() && a.pathway_id == b.pathway_id {
        return false;
    }
    if let (Some(a), Some(b)) = (&a.stable_variant_id, &b.stable_variant_id) {
        return a == b;
    }
    const GROUPS: [&str; 3] = ["AUDIO", "SUBTITLES", "VIDEO"];
    // Groups carry the pathway in their names, or else are the same.
    let moved = a.pathway_id != b.pathway_id || hls::host(&a.url) != hls::host(&b.url);
    let stated = |variant: &Variant| -> Vec<(String, String)> {
        let all = variant.attributes.iter();
        let all = all.filter(|(name, _)| {
            let own = ["PATHWAY-ID", "STABLE-VARIANT-ID"].contains(name);
            !(own || moved && GROUPS.contains(name))
        });
        let mut all: Vec<(String, String)> =
            all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        all.sort_unstable();
        all
    };
    stated(a) == stated(b)
}

impl Player {
    /// The current pathway fails: another one, or false when there is none.
    #[inline(never)]
    pub(super) fn leave_pathway(&mut self, now: Instant, cause: Cause) -> bool {
        let pathways = &mut self.title.pathways;
        if pathways.all.len() < 2 || !self.online {
            return false;
        }
        let current = pathways.current;
        let pathway = &mut pathways.all[current];
        pathway.penalty_until = now + PENALTY * 2u32.pow(pathway.penalties.min(MAX_DOUBLINGS));
        pathway.penalties += 1;
        let stranded = self.tracks.iter().any(|track| {
            let list = &self.title.lists[track.list];
            list.playlist.is_some() && self.title.pathways.is_moving(list)
        });
        let pathways = &self.title.pathways;
        let best = pathways.best(now).or_else(|| {
            // The one that was fled to has nothing at all: back to where there was something.
            let others = pathways.order.iter().copied().filter(|place| *place != current);
            others.min_by_key(|place| pathways.all[*place].penalty_until).filter(|_| stranded)
        });
        let Some(best) = best else { return false };
        self.record(now, cause, Remedy::SwitchPathway);
        self.take_pathway(now, best);
        true
    }

    /// Loads the steering manifest when it is due, and goes to the best pathway.
    #[inline(never)]
    pub(super) fn run_pathways(&mut self, now: Instant) {
        if let Some(steering) = &mut self.title.pathways.steering
            && let Some(at) = steering.reload_at
        {
            if at > now {
                self.wake_at(at);
            } else if self.may_fetch(now) {
                let url = self.steering_url();
                if let Some(steering) = &mut self.title.pathways.steering {
                    steering.reload_at = None;
                }
                self.fetch_document(now, Purpose::Steering, url, None);
            }
        }
        let pathways = &self.title.pathways;
        if pathways.all.len() > 1
            && let Some(best) = pathways.best(now).filter(|best| *best != pathways.current)
        {
            self.record(now, Cause::Steering, Remedy::SwitchPathway);
            self.take_pathway(now, best);
        }
    }

    /// The manifest's URL with what the server is to know (RFC 8216bis §7.1).
    fn steering_url(&self) -> String {
        let pathways = &self.title.pathways;
        let url = pathways.steering.as_ref().map_or("", |steering| &steering.url);
        if url.starts_with("data:") {
            return url.to_owned();
        }
        let id = pathways.all.get(pathways.current).map_or("", |pathway| &pathway.id);
        let url = hls::with_parameter(url, "_HLS_pathway", id);
        if !self.bandwidth.is_measured() {
            return url;
        }
        let mut throughput = String::new();
        crate::text::push_decimal(&mut throughput, self.bandwidth.bps() as u64, 1);
        hls::with_parameter(&url, "_HLS_throughput", &throughput)
    }

    /// The steering manifest has come, or not: `status` is that of its failure.
    #[inline(never)]
    pub(super) fn steering_done(&mut self, now: Instant, url: &str, answer: Result<&[u8], u16>) {
        let manifest = answer.ok().and_then(steering::read);
        let pathways = &mut self.title.pathways;
        let Some(known) = &mut pathways.steering else { return };
        // 410: the server wants to be left alone for the rest of the session (RFC 8216bis §7.1).
        let ttl = manifest.as_ref().and_then(|manifest| manifest.ttl).unwrap_or(DEFAULT_TTL);
        let wait = Duration::from_secs(ttl.clamp(1, 86_400));
        known.reload_at = (answer != Err(410)).then(|| now + wait);
        let Some(Manifest { reload_uri, priority, clones, .. }) = manifest else { return };
        if let Some(uri) = reload_uri {
            known.url = hls::resolve(url, &uri);
        }
        for clone in &clones {
            self.clone_pathway(clone);
        }
        let pathways = &mut self.title.pathways;
        let rank = |place: &usize| {
            let id = &pathways.all[*place].id;
            priority.iter().position(|known| known == id).unwrap_or(usize::MAX)
        };
        // Those that it does not name are what is left when all it names fail.
        let mut order: Vec<usize> = (0..pathways.all.len()).collect();
        order.sort_by_key(rank);
        pathways.order = order;
    }

    /// A new pathway like one that is known, with other URLs (RFC 8216bis §7.2).
    fn clone_pathway(&mut self, clone: &Clone) {
        let pathways = &mut self.title.pathways;
        let Some(base) = pathways.place(&clone.base_id) else { return };
        if pathways.place(&clone.id).is_some() {
            return;
        }
        let Some(place) = pathways.add(&clone.id) else { return };
        let variants = self.title.variants.len();
        for (index, list) in self.title.lists.iter_mut().enumerate() {
            let Some((_, url)) = list.urls.iter().find(|(place, _)| *place == base) else {
                continue;
            };
            let url = clone.url(url, &list.stable_id, index < variants);
            list.urls.push((place, url));
        }
    }

    #[inline(never)]
    fn take_pathway(&mut self, now: Instant, place: usize) {
        self.title.pathways.current = place;
        (self.title.ranges, self.title.compresses) = (Ranges::default(), false);
        self.segment_failures.clear();
        self.title.init_failures.clear();
        self.title.key_failures.clear();
        for index in 0..self.title.lists.len() {
            let list = &mut self.title.lists[index];
            let Some((_, url)) = self.title.pathways.locate(&list.urls) else { continue };
            if list.url == *url {
                continue;
            }
            list.url.clone_from(url);
            (list.failures, list.failed_status) = (0, 0);
            list.reload_at = list.playlist.is_some().then_some(now);
            if let Some(request) = list.request.take()
                && self.documents.remove(&request).is_some()
            {
                self.outputs.push_back(Output::CancelFetch(request));
            }
        }
        // A variant that is not there is left with the next choice.
        self.wake_at(now);
    }
}
