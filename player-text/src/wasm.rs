//! The module's face to JavaScript: bytes in; numbers, a text and bytes out, three lists that tell the cues.

use wasm_bindgen::prelude::*;

use crate::segment::{self, Place};
use crate::{Cue, Tap, thumbnails};

/// Reads text renditions and taps source buffers; what it finds is taken with `numbers`, `text` and `bytes`.
#[wasm_bindgen(js_name = TextReader)]
#[derive(Debug, Default)]
pub struct Binding {
    taps: [Tap; 2],
    numbers: Vec<f64>,
    text: String,
    bytes: Vec<u8>,
}

#[wasm_bindgen(js_class = TextReader)]
impl Binding {
    /// A reader that has seen nothing.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a segment of a text rendition. Seconds; `offset` is `NaN` when it is not known.
    ///
    /// # Errors
    ///
    /// Says what the bytes are instead of subtitles.
    pub fn segment(
        &mut self,
        init: &[u8],
        data: &[u8],
        start: f64,
        end: f64,
        offset: f64,
    ) -> Result<(), String> {
        let cues = segment::read(init, data, Place { start, end, offset })?;
        self.tell(cues);
        Ok(())
    }

    /// Takes what is appended to source buffer 0 (main) or 1 (audio). `offset` is the new `timestampOffset` in
    /// seconds, `NaN` when it stays.
    pub fn append(&mut self, track: usize, data: &[u8], offset: f64) {
        let mut cues = Vec::new();
        if let Some(tap) = self.taps.get_mut(track) {
            tap.append(data, Some(offset).filter(|offset| offset.is_finite()), &mut cues);
        }
        self.tell(cues);
    }

    /// Reads an image playlist or an I-frame playlist; true when more will come. Each thumbnail has the numbers start,
    /// end, first byte and length in its file, left, top, width and height in it, first byte and length of its init
    /// section; and the texts URI and URI of the init section.
    pub fn thumbnails(&mut self, playlist: &str) -> bool {
        let playlist = thumbnails::read(playlist);
        for one in playlist.thumbnails {
            let (init, init_range) = one.init.unwrap_or_default();
            self.numbers.extend([one.start, one.end, one.range.0 as f64, one.range.1 as f64]);
            self.numbers.extend(one.tile.map(f64::from));
            self.numbers.extend([init_range.0 as f64, init_range.1 as f64]);
            self.push(&one.uri);
            self.push(&init);
        }
        !playlist.ended
    }

    /// Takes the first picture out of a fragment: its codec as text, and as bytes the decoder's configuration (of as
    /// many bytes as the one number says) and the coded picture. False when there is none.
    pub fn picture(&mut self, init: &[u8], data: &[u8]) -> bool {
        let Some(picture) = thumbnails::picture(init, data) else { return false };
        self.text = picture.codec;
        self.numbers = vec![picture.config.len() as f64];
        self.bytes = [picture.config, picture.data].concat();
        true
    }

    /// For each cue start, end, and the number of its bytes.
    pub fn numbers(&mut self) -> Vec<f64> {
        std::mem::take(&mut self.numbers)
    }

    /// For each cue channel, id, settings and text, each with a NUL behind it.
    pub fn text(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// All cues' bytes, one behind the other.
    pub fn bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn tell(&mut self, cues: Vec<Cue>) {
        for cue in cues {
            self.numbers.extend([cue.start, cue.end, cue.data.len() as f64]);
            for text in [&cue.channel, &cue.id, &cue.settings, &cue.text] {
                self.push(text);
            }
            self.bytes.extend_from_slice(&cue.data);
        }
    }

    /// Adds a text; a NUL in it would end it too soon.
    fn push(&mut self, text: &str) {
        self.text.extend(
            text.chars().map(|character| if character == '\0' { '\u{fffd}' } else { character }),
        );
        self.text.push('\0');
    }
}
