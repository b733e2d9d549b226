//! What both containers feed: the clock, the elementary streams, the fragments.

use crate::audio::Audio;
use crate::clock::Clock;
use crate::error::TransmuxError;
use crate::mux::Mux;
use crate::video::Video;

/// The streams of a rendition.
#[derive(Debug, Default)]
pub(crate) struct Tracks {
    pub(crate) clock: Clock,
    pub(crate) mux: Mux,
    pub(crate) video: Option<Video>,
    pub(crate) audio: Option<Audio>,
    /// AAC is to be decoded with spectral band replication.
    pub(crate) he_aac: bool,
}

impl Tracks {
    /// Nothing comes after: hands out what is complete.
    pub(crate) fn finish(&mut self) -> Result<(), TransmuxError> {
        let mut result = Ok(());
        if let Some(video) = &mut self.video {
            result = video.scan(&mut self.mux, true);
        }
        if let Some(audio) = &mut self.audio {
            let ended = audio.push(&mut self.mux, &[], true);
            result = result.and(ended);
            audio.drop_partial();
        }
        self.mux.cut(true);
        result
    }

    /// Forgets times and what is not complete.
    pub(crate) fn reset(&mut self) {
        self.clock.reset();
        if let Some(video) = &mut self.video {
            video.reset(&mut self.mux);
        }
        if let Some(audio) = &mut self.audio {
            audio.reset();
        }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.mux.bytes()
            + self.video.as_ref().map_or(0, Video::bytes)
            + self.audio.as_ref().map_or(0, Audio::bytes)
    }
}
