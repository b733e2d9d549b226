//! The module's face to JavaScript: a segment or a part of one in, fragmented MP4 out.

use wasm_bindgen::prelude::*;

use crate::{TransmuxError, Transmuxed, Transmuxer};

/// Turns a track's segments into fragmented MP4, one after the other.
#[wasm_bindgen(js_name = Transmuxer)]
#[derive(Debug, Default)]
pub struct Binding {
    transmuxer: Transmuxer,
    bare_mp3: bool,
    init: Option<Vec<u8>>,
    codecs: String,
    media: Vec<u8>,
    start: Option<f64>,
}

#[wasm_bindgen(js_class = Transmuxer)]
impl Binding {
    /// A transmuxer that has seen nothing. `bare_mp3`: the browser takes no MP3 in MP4, but does so by itself.
    #[wasm_bindgen(constructor)]
    pub fn new(bare_mp3: bool) -> Self {
        let mut new = Self { bare_mp3, ..Self::default() };
        new.transmuxer.bare_mp3(bare_mp3);
        new
    }

    /// Takes a segment or the next part of one. `reset`: it does not follow the one before. `begins`, `ends`: the
    /// segment does so with these bytes. `last`: no segment follows.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the segment.
    pub fn transmux(
        &mut self,
        data: &[u8],
        reset: bool,
        begins: bool,
        ends: bool,
        last: bool,
    ) -> Result<(), String> {
        self.init = None;
        self.media.clear();
        self.start = None;
        if reset {
            self.transmuxer = Transmuxer::new();
            self.transmuxer.bare_mp3(self.bare_mp3);
        }
        if begins {
            self.transmuxer.begin(false);
        }
        self.media.reserve(data.len());
        let mut fed = self.transmuxer.push(data);
        if ends && fed.is_ok() {
            fed = self.transmuxer.end();
        }
        self.drain();
        if last {
            // What was held back for a segment to come is whole now.
            let _ = self.transmuxer.finish();
            self.drain();
        }
        fed.map_err(TransmuxError::text)
    }

    /// The init section that the last call's fragments need; nothing: the same as before.
    pub fn init(&mut self) -> Option<Vec<u8>> {
        self.init.take()
    }

    /// Codecs of the init section, separated by commas; or the type of what is no MP4.
    pub fn codecs(&self) -> String {
        self.codecs.clone()
    }

    /// What the last call completed.
    pub fn media(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.media)
    }

    /// Their earliest presentation time, in seconds of the stream's own timeline.
    pub fn start(&self) -> f64 {
        self.start.unwrap_or(0.0)
    }

    fn drain(&mut self) {
        while let Some(ready) = self.transmuxer.poll() {
            match ready {
                // From the middle on another is needed: it goes in between.
                Transmuxed::Init { data, .. } if !self.media.is_empty() => {
                    self.media.extend_from_slice(&data);
                }
                Transmuxed::Init { data, codecs } => {
                    // Bare frames are of a type of their own.
                    let codecs = if data.is_empty() { "audio/mpeg".to_owned() } else { codecs };
                    self.init = Some(data);
                    self.codecs = codecs;
                }
                Transmuxed::Media { data, start, .. } => {
                    self.start = Some(self.start.map_or(start, |first| first.min(start)));
                    self.media.extend_from_slice(&data);
                }
            }
        }
    }
}
