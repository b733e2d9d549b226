//! Turns HLS segments that browsers don't play — MPEG-2 transport streams, raw AAC, MP3, AC-3 and Enhanced AC-3 —
//! into fragmented MP4 for Media Source Extensions, while they arrive.
//!
//! No I/O, no clock: bytes go in through [`Transmuxer::push`], results come out of [`Transmuxer::poll`].
//! One [`Transmuxer`] serves one rendition: it remembers, from segment to segment, what the program's streams are,
//! how they are decoded, which turn of the 33-bit clock it is, and what was cut off at a segment's border.
//!
//! ```text
//! begin(discontinuity)
//! push(bytes) …        each followed by poll() until it gives nothing
//! end()                likewise
//! ```
//!
//! Times are the stream's own, in both tracks: audio and video, and all renditions, keep their offsets. No malformed
//! input panics, and what is held is bounded by what came since the last result.

mod audio;
mod avc;
mod bits;
mod clock;
mod error;
mod hevc;
mod mp4;
mod mux;
mod pes;
mod psi;
mod raw;
mod sei;
mod text;
mod tracks;
mod ts;
mod video;
#[cfg(feature = "wasm")]
mod wasm;

use audio::Audio;
pub use error::TransmuxError;
use raw::Raw;
use tracks::Tracks;
use ts::{Demux, PACKET, SYNC};

/// What has become ready.
#[derive(Debug, Clone, PartialEq)]
pub enum Transmuxed {
    /// A new init section (`ftyp` and `moov`), when codecs are first known and when they change; it is for all
    /// fragments that follow. When the *number* of tracks changes, a `SourceBuffer` refuses it: make a new one.
    Init {
        /// The bytes to append.
        data: Vec<u8>,
        /// RFC 6381 codec strings, joined by commas: video first. MP3 is `mp3`, as browsers call it.
        codecs: String,
    },
    /// One fragment (`moof` and `mdat`) of all tracks, at most about half a second of video; the next random access
    /// point begins another. The tracks of one fragment need not cover the same time. Timed metadata that came
    /// since the last one is in `emsg` boxes before it (one tag, version 1, scheme `https://aomedia.org/emsg/ID3`,
    /// its time on the samples' timeline); captions are in the samples, in their SEI messages.
    Media {
        /// The bytes to append.
        data: Vec<u8>,
        /// Earliest presentation time in seconds, on the stream's clock with its turns of 2³³ / 90,000 s counted.
        start: f64,
        /// From there to the latest end, in seconds.
        duration: f64,
    },
}

/// What a segment is.
#[derive(Debug)]
enum Container {
    /// Not known yet: its first bytes.
    Unknown(Vec<u8>),
    Ts,
    Raw(Raw),
    Failed(TransmuxError),
}

/// The most bytes that are looked at to find out what a segment is.
const SNIFFED: usize = 4096;

/// How long, in seconds of media, a segment's end waits for an announced stream that has not come: a part of a
/// segment may lack one.
const PATIENCE: f64 = 1.0;

/// Turns the segments of one rendition into fragmented MP4.
#[derive(Debug)]
pub struct Transmuxer {
    container: Container,
    demux: Demux,
    tracks: Tracks,
}

impl Default for Transmuxer {
    fn default() -> Self {
        Self::new()
    }
}

impl Transmuxer {
    /// A transmuxer that has seen nothing.
    pub fn new() -> Self {
        Self {
            container: Container::Unknown(Vec::new()),
            demux: Demux::default(),
            tracks: Tracks::default(),
        }
    }

    /// What the playlist's `CODECS` says. Only one thing can't be told from the bytes: that AAC is HE-AAC
    /// (`mp4a.40.5`, `mp4a.40.29`). Call it before the first segment.
    pub fn declare(&mut self, codecs: &str) {
        self.tracks.he_aac = codecs.contains("mp4a.40.5") || codecs.contains("mp4a.40.29");
    }

    /// For browsers that take no MP3 in MP4 (Chromium; ask `MediaSource.isTypeSupported`): MP3 without video comes out
    /// as bare frames for a `SourceBuffer` of type `audio/mpeg`. Its init section then is empty, and since frames carry
    /// no times, each fragment's `start` is to be set as `timestampOffset`. Call it before the first segment.
    pub const fn bare_mp3(&mut self, bare: bool) {
        self.tracks.mux.bare_mp3 = bare;
    }

    /// Starts a segment. With `discontinuity` timestamps, streams and partial samples of the last one are forgotten
    /// (what is complete of it comes out still).
    pub fn begin(&mut self, discontinuity: bool) {
        if discontinuity {
            // What was held back is whole now: nothing will continue it.
            let _ = self.demux.finish_all(&mut self.tracks);
            self.tracks.reset();
            self.demux = Demux::default();
        }
        self.demux.begin();
        self.container = Container::Unknown(Vec::new());
    }

    /// Says near which time, in seconds on the stream's clock, the next timestamps are: chooses the turn of the
    /// 33-bit counter. For use after [`begin`](Self::begin): after a seek, or so that two renditions agree.
    /// Raw audio without a time of its own starts there.
    pub fn near(&mut self, seconds: f64) {
        self.tracks.clock.set((seconds * clock::HZ as f64) as i64);
    }

    /// Feeds bytes as they arrive, in any pieces.
    ///
    /// # Errors
    /// When the segment cannot be played; it stays so until the next [`begin`](Self::begin).
    pub fn push(&mut self, data: &[u8]) -> Result<(), TransmuxError> {
        let result = self.feed(data, false);
        self.fail(result)
    }

    /// Ends the segment: what is complete comes out. A frame whose end isn't known — its packet says that it goes on, or
    /// fills its last transport packet to the brim — waits for the next segment, or for [`finish`](Self::finish).
    ///
    /// # Errors
    /// When the segment had nothing to play: no tables, no frames.
    pub fn end(&mut self) -> Result<(), TransmuxError> {
        let result = self.feed(&[], true);
        let mux = &mut self.tracks.mux;
        let known = [0, 1].map(|track| mux.is_configured(track));
        let announced = mux.awaited != [false; 2];
        // A stream that is announced and doesn't come is not waited for when the other has come for a while.
        if mux.seconds() >= PATIENCE {
            mux.awaited = known;
        }
        mux.cut(false);
        mux.flush_events();
        let result = match (&self.container, result) {
            (Container::Unknown(_), result) | (_, result @ Err(_)) => result,
            _ if announced && known == [false; 2] => Err(TransmuxError::NoSamples),
            _ => Ok(()),
        };
        self.fail(result)
    }

    /// After the last segment's [`end`](Self::end): nothing will follow, so what was held back comes out.
    ///
    /// # Errors
    /// When that cannot be played.
    pub fn finish(&mut self) -> Result<(), TransmuxError> {
        let result = self.demux.finish_all(&mut self.tracks);
        self.tracks.mux.flush_events();
        result
    }

    /// What has become ready, in order.
    pub fn poll(&mut self) -> Option<Transmuxed> {
        self.tracks.mux.queue.pop_front()
    }

    /// Bytes held: unfinished samples and what was not polled yet.
    pub fn buffered_bytes(&self) -> usize {
        let head = match &self.container {
            Container::Unknown(head) => head.len(),
            Container::Raw(raw) => raw.bytes(),
            Container::Ts | Container::Failed(_) => 0,
        };
        head + self.demux.bytes() + self.tracks.bytes()
    }

    fn fail(&mut self, result: Result<(), TransmuxError>) -> Result<(), TransmuxError> {
        if let Err(error) = result {
            self.container = Container::Failed(error);
        }
        result
    }

    fn feed(&mut self, data: &[u8], last: bool) -> Result<(), TransmuxError> {
        if let Container::Unknown(head) = &mut self.container {
            head.extend_from_slice(data);
            if head.is_empty() {
                return Ok(());
            }
            let was_raw = self.tracks.audio.as_ref().is_some_and(Audio::is_raw);
            let Some(found) = sniff(head, last, was_raw) else { return Ok(()) };
            let head = std::mem::take(head);
            let start = match found? {
                Sniffed::Ts(offset) => {
                    if was_raw {
                        self.tracks.finish()?;
                        self.tracks.audio = None;
                        self.tracks.mux.configure(mux::AUDIO, None);
                    }
                    self.container = Container::Ts;
                    self.demux.align(offset)
                }
                Sniffed::Raw => {
                    if !was_raw {
                        self.demux.finish_all(&mut self.tracks)?;
                        self.demux = Demux::default();
                        self.tracks.audio = None;
                        self.tracks.video = None;
                        self.tracks.mux.configure(mux::VIDEO, None);
                    }
                    self.container = Container::Raw(Raw::default());
                    0
                }
            };
            return self.route(&head[start..], last);
        }
        self.route(data, last)
    }

    fn route(&mut self, data: &[u8], last: bool) -> Result<(), TransmuxError> {
        match &mut self.container {
            Container::Unknown(_) => Ok(()),
            Container::Failed(error) => Err(*error),
            Container::Raw(raw) => raw.push(&mut self.tracks, data, last),
            Container::Ts => {
                self.demux.push(&mut self.tracks, data)?;
                if last { self.demux.end(&mut self.tracks) } else { Ok(()) }
            }
        }
    }
}

enum Sniffed {
    /// A transport stream whose first packet begins here.
    Ts(usize),
    Raw,
}

/// What a segment is, by its first bytes; none while more are needed.
fn sniff(head: &[u8], last: bool, was_raw: bool) -> Option<Result<Sniffed, TransmuxError>> {
    let enough = last || head.len() >= SNIFFED;
    if head.len() < 12 && !enough {
        return None;
    }
    if head.starts_with(b"ID3") {
        return Some(Ok(Sniffed::Raw));
    }
    if let Some(b"ftyp" | b"styp" | b"moof" | b"moov" | b"sidx" | b"emsg" | b"prft") =
        head.get(4..8)
    {
        return Some(Err(TransmuxError::AlreadyMp4));
    }
    let limit = head.len().min(SNIFFED);
    for at in (0..limit).filter(|&at| head[at] == SYNC) {
        let next = |packets: usize| head.get(at + packets * PACKET).map(|&byte| byte == SYNC);
        // The first byte is no accident as often as another.
        let votes = if at == 0 { next(1) } else { next(1).and_then(|one| Some(one && next(2)?)) };
        match votes {
            Some(true) => return Some(Ok(Sniffed::Ts(at))),
            None if last && at == 0 => return Some(Ok(Sniffed::Ts(0))),
            None if at == 0 => return None,
            _ => {}
        }
    }
    if (enough || matches!(head[0], 0xff | 0x0b)) && Audio::detect(&head[..limit]).is_some() {
        return Some(Ok(Sniffed::Raw));
    }
    enough.then_some(if was_raw { Ok(Sniffed::Raw) } else { Err(TransmuxError::UnknownContainer) })
}
