//! The module's face to JavaScript: a whole segment in, fragmented MP4 out.

use wasm_bindgen::prelude::*;

use crate::{Transmuxed, Transmuxer};

/// Turns a track's segments into fragmented MP4, one after the other.
#[wasm_bindgen(js_name = Transmuxer)]
#[derive(Debug, Default)]
pub struct Binding {
    transmuxer: Transmuxer,
    init: Option<Vec<u8>>,
    codecs: String,
    media: Vec<u8>,
    start: Option<f64>,
}

#[wasm_bindgen(js_class = Transmuxer)]
impl Binding {
    /// A transmuxer that has seen nothing.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a whole segment. `reset`: it does not follow the one before. `last`: none follows it.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the segment.
    pub fn transmux(&mut self, data: &[u8], reset: bool, last: bool) -> Result<(), String> {
        self.init = None;
        self.media.clear();
        self.start = None;
        if reset {
            self.transmuxer = Transmuxer::new();
        }
        self.transmuxer.begin(false);
        self.media.reserve(data.len());
        let fed = self.transmuxer.push(data).and_then(|()| self.transmuxer.end());
        self.drain();
        if last {
            // What was held back for a segment to come is whole now.
            let _ = self.transmuxer.finish();
            self.drain();
        }
        fed.map_err(|error| error.to_string())
    }

    /// The init section that the last segment's fragments need; nothing: the same as before.
    pub fn init(&mut self) -> Option<Vec<u8>> {
        self.init.take()
    }

    /// Codecs of the init section, separated by commas.
    pub fn codecs(&self) -> String {
        self.codecs.clone()
    }

    /// The last segment's fragments.
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
                Transmuxed::Init { data, codecs } => {
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
