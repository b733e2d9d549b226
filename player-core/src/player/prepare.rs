//! From a segment as it came to one that can be appended: decrypted, and turned into fragmented MP4.
//!
//! Peers share the bytes as they came from the origin, so the store holds those; what is prepared is held for the one
//! segment that each track appends next.

use bytes::Bytes;

use super::append::STARVING;
use super::title::InitKey;
use super::track::Placed;
use super::{Player, Purpose, join};
use crate::error::{KeyFault, PlayerError};
use crate::hls::{Key, KeyMethod, MediaPlaylist};
use crate::io::{Cipher, Event, JobId, Output, TextSegment, Track, Transmuxed, TransmuxedInit};
use crate::media::{self, Container, InitSection};
use crate::time::Instant;
use crate::wire::SegmentId;

/// Keys that are kept, and keys whose failures are: those of a live stream change.
const MAX_KEYS: usize = 64;
/// Seconds after which a 33-bit clock of 90 kHz starts again at 0 (ISO/IEC 13818-1 §2.4.3.7).
const CLOCK_WRAP: f64 = (1_u64 << 33) as f64 / 90_000.0;
/// A segment this far, in seconds, from where the one before it ended is there because the clock jumped; so is one that
/// is as far as that was long.
const LEAST_JUMP: f64 = 2.0;
/// What media and playlist may differ by after a seek, in seconds: the lengths in a playlist are rounded, and that adds up.
const MOST_DRIFT: f64 = 30.0;

/// Init sections that are kept; beyond, those that no playlist names any more go.
const MAX_INITS: usize = 64;

/// The segment that a track appends next, or a part of it, as far as it is prepared.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) segment: SegmentId,
    pub(super) part: Part,
    pub(super) stage: Stage,
}

/// Bytes of a segment. Only what is to be transmuxed is taken in parts, while the viewer waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) from: u32,
    pub(super) to: u32,
    /// The segment ends at `to`.
    pub(super) ends: bool,
}

/// How far.
#[derive(Debug)]
pub(super) enum Stage {
    /// The shell is at work.
    Working(JobId),
    /// Decrypted.
    Plain(Bytes),
    /// Turned into fragmented MP4.
    Transmuxed(Transmuxed),
}

/// What a job was for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Job {
    /// Decrypt an init section; or, when this is not empty, make it one of clear samples.
    Init(InitKey, Bytes),
    /// Decrypt or transmux the next segment of a track.
    Segment(Track, SegmentId),
    /// Decrypt a segment of subtitles with the key of this URL.
    Text(TextSegment, String),
    /// Check a segment's signature.
    Signature(SegmentId),
    /// Look for a segment in the cache.
    Recall(SegmentId),
}

/// What to do with a segment.
#[derive(Debug)]
pub(super) enum Ready {
    /// These bytes can be appended behind the playlist's init section.
    Bytes(Bytes),
    /// These can, behind an init section of their own. They were made of that part.
    Transmuxed(Transmuxed, Part),
    /// Not yet, or never: it has been told.
    No,
}

impl Player {
    /// Prepares the segment at a track's cursor once it is there; the part of it that is there for a viewer who waits,
    /// if it needs nothing but to be transmuxed.
    pub(super) fn prepare(&mut self, now: Instant, index: usize) -> Ready {
        let state = &self.tracks[index];
        let Some((playlist, segment)) = self.cursor_segment(state) else { return Ready::No };
        let offset = state.cursor.map_or(0, |cursor| cursor.offset);
        let id = self.title.lists[state.list].segment_id(segment.sequence);
        let has_init = playlist.init_of(segment).is_some();
        let discontinuity = segment.discontinuity;
        let last = playlist.end_list
            && playlist.segments.last().is_some_and(|last| last.sequence == segment.sequence);
        let segment = *segment;
        let keys = playlist.keys_of(&segment).to_vec();
        let clear = keys.is_empty() || Key::are_for_module(&keys);
        let known = |prepared: &&Prepared| prepared.segment == id && prepared.part.from == offset;
        let plain = match state.prepared.as_ref().filter(known) {
            Some(Prepared { stage: Stage::Working(_), .. }) => return Ready::No,
            Some(Prepared { stage: Stage::Transmuxed(done), part, .. }) => {
                return Ready::Transmuxed(done.clone(), *part);
            }
            Some(Prepared { stage: Stage::Plain(plain), .. }) => Some(plain.clone()),
            None => None,
        };
        let waits = state.buffered.ahead(self.position(now)) <= STARVING;
        let Some(stored) = self.store.segment(id) else { return Ready::No };
        let to = stored.held_to();
        let part = Part { from: offset, to, ends: to == stored.size };
        // What is decrypted, or behind an init section of the playlist's, is taken whole.
        let in_parts = clear && !has_init && (waits || offset > 0);
        if to <= offset || !part.ends && !in_parts {
            return Ready::No;
        }
        let data = match plain {
            Some(plain) => plain,
            None if clear => join(self.store.read(id, offset, to)),
            None => {
                let Some((key, cipher, bytes)) = self.usable_key(now, &keys) else {
                    return Ready::No;
                };
                let mut init = Bytes::new();
                if let Some(place) = self.init_key(index).filter(|_| cipher == Cipher::Samples) {
                    match self.title.inits.get(&place) {
                        Some(found) if !found.original.is_empty() => {
                            init = found.original.clone();
                        }
                        Some(_) => {
                            // It came before the playlist said that samples are encrypted.
                            self.title.inits.remove(&place);
                            self.tracks[index].init = None;
                            return Ready::No;
                        }
                        None => return Ready::No,
                    }
                }
                let data = join(self.store.read(id, 0, to));
                let job = Job::Segment(self.tracks[index].track, id);
                let iv = key.iv_of(&segment);
                let job = self.decrypt(job, cipher, bytes, iv, init, data);
                self.tracks[index].prepared =
                    Some(Prepared { segment: id, part, stage: Stage::Working(job) });
                return Ready::No;
            }
        };
        let begins = offset == 0;
        let mut reset = false;
        if begins {
            let container = media::sniff(&data);
            if has_init || container == Container::Fmp4 {
                return if part.ends { Ready::Bytes(data) } else { Ready::No };
            }
            if !matches!(container, Container::MpegTs | Container::RawAudio) {
                if part.ends {
                    self.segment_unusable(now, id, container);
                }
                return Ready::No;
            }
            let state = &mut self.tracks[index];
            let list = &self.title.lists[state.list];
            reset =
                discontinuity || !state.transmuxed_last.is_some_and(|last| list.follows(last, id));
            // It begins with an init section, whatever the parser has by now.
            state.init_stale |= reset;
            state.raw_audio = container == Container::RawAudio;
            state.transmuxed_last = Some(id);
        }
        let track = self.tracks[index].track;
        let job = self.start_job(Job::Segment(track, id));
        self.tracks[index].prepared =
            Some(Prepared { segment: id, part, stage: Stage::Working(job) });
        let (ends, last) = (part.ends, last && part.ends);
        self.outputs.push_back(Output::Transmux { job, track, reset, begins, ends, last, data });
        Ready::No
    }

    /// Bytes have been decrypted, or not.
    pub(super) fn decrypted(&mut self, now: Instant, job: JobId, data: Option<Bytes>) {
        match self.jobs.remove(&job) {
            Some(Job::Init(key, original)) => match data {
                Some(data) if original.is_empty() => self.init_plain(now, key, data),
                Some(data) => self.init_ready(now, key, data, original),
                None => self.init_failed(now, key, 0),
            },
            Some(Job::Segment(track, segment)) => {
                let Some(state) = self.tracks.iter_mut().find(|state| state.track == track) else {
                    return;
                };
                let Some(part) = state.preparing(job) else { return };
                let failed = data.is_none();
                state.prepared =
                    data.map(|data| Prepared { segment, part, stage: Stage::Plain(data) });
                let state = self.tracks.iter().find(|state| state.track == track);
                let keys = state.and_then(|state| self.cursor_segment(state));
                let keys = keys.map(|(playlist, found)| playlist.keys_of(found));
                let key = keys.and_then(|keys| keys.iter().find(|key| key.cipher().is_some()));
                let url = key.map(|key| key.uri.clone());
                if failed {
                    // Damaged bytes, or another key: both are fetched again.
                    if let Some(url) = url {
                        self.key_failed(now, url, KeyFault::Other);
                    }
                    self.segment_unusable(now, segment, Container::Unknown);
                } else if let Some(url) = url {
                    self.title.key_failures.remove(&url);
                }
            }
            // One that does not decrypt is left out.
            Some(Job::Text(segment, url)) => {
                if let Some(data) = data {
                    self.title.key_failures.remove(&url);
                    self.outputs.push_back(Output::Text(TextSegment { data, ..segment }));
                }
            }
            Some(Job::Recall(segment)) if self.swarm.is_some() => {
                self.recalled(now, segment, data);
            }
            Some(Job::Signature(_) | Job::Recall(_)) | None => {}
        }
    }

    /// A segment has been turned into fragmented MP4, or not.
    pub(super) fn transmuxed(
        &mut self,
        now: Instant,
        job: JobId,
        result: Result<Transmuxed, String>,
    ) {
        let Some(Job::Segment(track, segment)) = self.jobs.remove(&job) else { return };
        let Some(index) = self.tracks.iter().position(|state| state.track == track) else { return };
        let state = &mut self.tracks[index];
        let Some(part) = state.preparing(job) else { return };
        let done = match result {
            Ok(done) => done,
            Err(reason) => {
                state.prepared = None;
                state.transmuxed_last = None;
                return self.segment_broken(now, segment, PlayerError::Transmux { reason });
            }
        };
        if let Some(init) = &done.init {
            state.own_init = Some(init.clone());
            if state.mime.is_empty() {
                state.mime = media::mime_type(track, &init.codecs);
            }
        }
        state.prepared = Some(Prepared { segment, part, stage: Stage::Transmuxed(done) });
        self.open_tracks();
    }

    /// An init section has come: it is read, once it is decrypted.
    pub(super) fn init_done(&mut self, now: Instant, key: InitKey, body: Vec<u8>) {
        self.stats.http_bytes += body.len() as u64;
        let body = Bytes::from(body);
        let keys = self.playlists_with(&key).map(|(_, init)| init.keys.clone()).next();
        let keys = keys.unwrap_or_default();
        let whole = |key: &Key| matches!(key.cipher(), Some(Cipher::AesCbc | Cipher::AesCtr));
        if keys.is_empty() || !keys.iter().any(whole) {
            return self.init_plain(now, key, body);
        }
        match self.usable_key(now, &keys) {
            Some((found, cipher, bytes)) => {
                let iv = found.iv.unwrap_or_default();
                self.decrypt(Job::Init(key, Bytes::new()), cipher, bytes, iv, Bytes::new(), body);
            }
            // The key is on its way: the section is asked for again once it may be there.
            None => self.init_failed(now, key, 0),
        }
    }

    /// An init section is there, decrypted if it was encrypted as a whole.
    fn init_plain(&mut self, now: Instant, key: InitKey, body: Bytes) {
        let samples = self.playlists_with(&key).any(|(playlist, _)| {
            let mut keys = playlist.key_sets().iter().flatten();
            keys.any(|key| key.cipher() == Some(Cipher::Samples))
        });
        if !samples {
            return self.init_ready(now, key, body, Bytes::new());
        }
        // No key is needed for that.
        let none = Bytes::from_static(&[0; 16]);
        let job = Job::Init(key, body.clone());
        self.decrypt(job, Cipher::Samples, none, [0; 16], Bytes::new(), body);
    }

    /// The playlists that have this init section.
    fn playlists_with(
        &self,
        key: &InitKey,
    ) -> impl Iterator<Item = (&MediaPlaylist, &crate::hls::InitSection)> {
        self.title.lists.iter().filter_map(move |list| {
            let playlist = list.playlist.as_ref()?;
            let init = playlist.init_sections().iter().find(|init| {
                init.url == key.0
                    && init.byte_range.as_ref().map(|range| (range.start, range.end)) == key.1
            })?;
            Some((playlist, init))
        })
    }

    /// A key has come.
    #[inline(never)]
    pub(super) fn key_done(&mut self, now: Instant, url: String, body: Vec<u8>) {
        self.title.key_requests.retain(|known| *known != url);
        if !matches!(body.len(), 16 | 32) {
            return self.key_failed(now, url, KeyFault::Length);
        }
        // It may be as useless as the one before: its failures count until something is decrypted with it.
        if let Some(failure) = self.title.key_failures.get_mut(&url) {
            failure.came();
        }
        if self.title.keys.len() >= MAX_KEYS {
            // Those still in use are asked for once more.
            self.title.keys.clear();
        }
        self.title.keys.insert(url, Bytes::from(body));
        // Init sections that waited for it need wait no longer.
        self.title.init_failures.clear();
    }

    /// Where the transmuxed segment at a track's cursor goes, whose first sample is shown at `first` of its own timeline.
    pub(super) fn place(&mut self, index: usize, id: SegmentId, first: f64) -> Option<Placed> {
        let state = &self.tracks[index];
        let (_, segment) = self.cursor_segment(state)?;
        let (start, duration) = (segment.start, segment.duration);
        let discontinuity = segment.discontinuity_sequence;
        let place =
            |offset: f64| Some(Placed { segment: id, offset, start: first + offset, duration });
        if state.raw_audio {
            // Raw audio has no clock: each segment is put where the playlist has it.
            return place(start - first);
        }
        let list = &self.title.lists[state.list];
        let before = state.placed.filter(|last| {
            list.follows(last.segment, id) && state.discontinuity == Some(discontinuity)
        });
        let offset = match (before, self.title.offsets.get(&discontinuity)) {
            (Some(last), _) => last.offset,
            (None, Some(offset)) => *offset,
            (None, None) => self.seam(index, start, discontinuity).unwrap_or(start) - first,
        };
        if !self.title.offsets.contains_key(&discontinuity) {
            self.keep_offset(discontinuity, offset);
        }
        // After a seek the transmuxer cannot know how often the clock has started anew.
        let offset = offset - ((first + offset - start) / CLOCK_WRAP).round() * CLOCK_WRAP;
        // The clock may jump without a discontinuity: the segment goes where it belongs by the playlist.
        let (expected, most) = match before {
            Some(last) => (last.start + last.duration, last.duration.max(LEAST_JUMP)),
            None => (start, MOST_DRIFT.max(2.0 * duration)),
        };
        let jumps = (first + offset - expected).abs() > most;
        let offset = if jumps { expected - first } else { offset };
        self.settle(index, first + offset - start);
        place(offset)
    }

    /// An init section for a transmuxed segment, if the parser has another.
    pub(super) fn own_init(&self, index: usize) -> Option<TransmuxedInit> {
        let state = &self.tracks[index];
        let init = state.own_init.as_ref()?;
        let known = !state.init_stale && state.appended_init.as_ref() == Some(&init.data);
        (!known).then(|| init.clone())
    }

    fn init_ready(&mut self, now: Instant, key: InitKey, body: Bytes, original: Bytes) {
        self.title.init_requests.remove(&key);
        let Some(section) = media::read_init(&body) else {
            let container = media::sniff(&body);
            if container == Container::Html {
                return self.init_failed(now, key, 0);
            }
            let container = container.name().to_owned();
            return self.fail(now, PlayerError::UnsupportedContainer { container });
        };
        let mut body = body;
        if section.is_late() {
            body = media::without_empty_edits(&body);
        }
        self.know_codecs(&key, &section);
        if section.tracks.iter().any(|track| track.encrypted) {
            // Not every playlist tells; and the browser itself may say nothing.
            self.event(Event::ModuleKeys { variant: None, keys: Vec::new() });
        }
        if self.title.inits.len() >= MAX_INITS {
            let lists = &self.title.lists;
            self.title.inits.retain(|known, _| {
                let playlists = lists.iter().filter_map(|list| list.playlist.as_ref());
                let mut named = playlists.flat_map(|playlist| playlist.init_sections());
                named.any(|init| super::title::init_key(init) == *known)
            });
        }
        self.title.init_failures.remove(&key);
        self.title.inits.insert(key, super::title::Init { data: body, original, section });
        self.open_tracks();
    }

    fn know_codecs(&mut self, key: &InitKey, section: &InitSection) {
        let codecs = section.codecs();
        for index in 0..self.tracks.len() {
            if self.tracks[index].mime.is_empty() && self.init_key(index).as_ref() == Some(key) {
                self.tracks[index].mime = media::mime_type(self.tracks[index].track, &codecs);
            }
        }
    }

    /// The first key that this player can use, once its bytes are there.
    #[inline(never)]
    pub(super) fn usable_key(
        &mut self,
        now: Instant,
        keys: &[Key],
    ) -> Option<(Key, Cipher, Bytes)> {
        let Some((key, cipher)) = keys.iter().find_map(|key| Some((key, key.cipher()?))) else {
            self.fail(now, unsupported(keys));
            return None;
        };
        let url = &key.uri;
        if let Some(bytes) = self.title.keys.get(url) {
            let long = matches!(key.method, KeyMethod::Aes256 | KeyMethod::Aes256Ctr);
            if bytes.len() == if long { 32 } else { 16 } {
                return Some((key.clone(), cipher, bytes.clone()));
            }
            self.key_failed(now, url.clone(), KeyFault::Length);
        }
        let failure = self.title.key_failures.get(url);
        let waits = failure.map(|failure| failure.retry_at).filter(|at| *at > now);
        if let Some(at) = waits {
            self.wake_at(at);
        } else if !self.title.key_requests.contains(url) && self.may_fetch(now) {
            self.title.key_requests.push(url.clone());
            self.fetch_document(now, Purpose::Key(url.clone()), url.clone(), None);
        }
        None
    }

    pub(super) fn decrypt(
        &mut self,
        job: Job,
        cipher: Cipher,
        key: Bytes,
        iv: [u8; 16],
        init: Bytes,
        data: Bytes,
    ) -> JobId {
        let job = self.start_job(job);
        self.outputs.push_back(Output::Decrypt { job, cipher, key, iv, init, data });
        job
    }

    pub(super) fn start_job(&mut self, job: Job) -> JobId {
        let id = JobId(self.next_job);
        self.next_job = self.next_job.wrapping_add(1);
        self.jobs.insert(id, job);
        id
    }
}

/// None of these keys is one that this player can use.
#[inline(never)]
pub(super) fn unsupported(keys: &[Key]) -> PlayerError {
    let method = keys.first().map_or("an unknown method", |key| key.method.as_str());
    PlayerError::UnsupportedEncryption { method: method.to_owned() }
}
