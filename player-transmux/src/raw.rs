//! Raw audio segments: ID3 tags, then frames (RFC 8216 §3.4).

use crate::audio::Audio;
use crate::clock::Stamp;
use crate::error::TransmuxError;
use crate::mux::{AUDIO, VIDEO};
use crate::tracks::Tracks;
use crate::ts::MAX_TAG;

/// The owner of the private frame that has the first sample's time.
const OWNER: &[u8] = b"com.apple.streaming.transportStreamTimestamp\0";
/// How many bytes tell what audio it is.
const ENOUGH: usize = 4096;

/// The state of a raw audio segment.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    /// Tags and the first bytes, until it is known what they are.
    head: Vec<u8>,
    begun: bool,
    timed: bool,
}

impl Raw {
    /// Bytes held.
    pub(crate) const fn bytes(&self) -> usize {
        self.head.len()
    }

    pub(crate) fn push(
        &mut self,
        tracks: &mut Tracks,
        data: &[u8],
        last: bool,
    ) -> Result<(), TransmuxError> {
        if !self.begun {
            self.head.extend_from_slice(data);
            if !self.begin(tracks, last)? {
                return Ok(());
            }
            let head = std::mem::take(&mut self.head);
            return Self::audio(tracks, &head, last);
        }
        Self::audio(tracks, data, last)
    }

    fn audio(tracks: &mut Tracks, data: &[u8], last: bool) -> Result<(), TransmuxError> {
        match &mut tracks.audio {
            Some(audio) => audio.push(&mut tracks.mux, data, last),
            None => Ok(()),
        }
    }

    /// Takes tags and finds out what audio follows; false while that is not known.
    fn begin(&mut self, tracks: &mut Tracks, last: bool) -> Result<bool, TransmuxError> {
        while self.head.starts_with(b"ID3") {
            let Some(&[_, _, _, _, _, flags, a, b, c, d]) = self.head.first_chunk::<10>() else {
                return Ok(false);
            };
            let size =
                [a, b, c, d].iter().fold(0, |size, &byte| size << 7 | usize::from(byte & 127));
            let size = 10 + size + if flags & 0x10 != 0 { 10 } else { 0 };
            if size > MAX_TAG {
                return Err(TransmuxError::Oversized { limit: MAX_TAG });
            }
            if self.head.len() < size {
                return Ok(false);
            }
            let tag: Vec<u8> = self.head.drain(..size).collect();
            // A tag begins a segment of whole frames.
            if let Some(audio) = &mut tracks.audio
                && !self.timed
            {
                audio.drop_partial();
            }
            self.tag(tracks, &tag);
        }
        if tracks.audio.is_none() || self.timed {
            match Audio::detect(&self.head) {
                Some(format) => {
                    let same = tracks.audio.as_ref().is_some_and(|audio| audio.format() == format);
                    if !same {
                        tracks.finish()?;
                        tracks.mux.configure(AUDIO, None);
                        tracks.audio = Some(Audio::new(format, true, tracks.he_aac));
                    }
                    tracks.mux.awaited[VIDEO] = false;
                    tracks.mux.awaited[AUDIO] = true;
                }
                None if last || self.head.len() >= ENOUGH => {
                    return Err(TransmuxError::UnknownContainer);
                }
                None => return Ok(false),
            }
        }
        if let Some(audio) = &mut tracks.audio {
            // Without a time of its own a segment goes on where the last one ended.
            if self.timed || audio.next_ticks().is_none() {
                let pts = tracks.clock.last().unwrap_or(0);
                audio.stamp(Stamp { pts, dts: pts });
            }
        }
        self.begun = true;
        Ok(true)
    }

    fn tag(&mut self, tracks: &mut Tracks, data: &[u8]) {
        let time = data
            .windows(OWNER.len())
            .position(|window| window == OWNER)
            .and_then(|at| data.get(at + OWNER.len()..)?.first_chunk::<8>());
        let pts = match time {
            Some(time) => {
                self.timed = true;
                tracks.clock.stamp(u64::from_be_bytes(*time), None).pts
            }
            None => {
                let next = tracks.audio.as_ref().and_then(Audio::next_ticks);
                next.or_else(|| tracks.clock.last()).unwrap_or(0)
            }
        };
        tracks.mux.event(pts, data);
    }
}
