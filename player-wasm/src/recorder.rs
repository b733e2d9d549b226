//! Recordings (`player_core::recording`): written beside the core, and handed to the page piece by piece, so that they do
//! not take the engine's memory. A part of its own: see `parts.rs`.

use js_sys::Uint8Array;
use player_core::io::Input;
use player_core::recording::Recorder;
use player_core::time::Instant;

use crate::messages::Object;
use crate::shell::Shell;

/// Bytes that are handed over at once, about.
const PIECE_BYTES: usize = 256 << 10;

impl Shell {
    /// Begins a recording with the next load; or gives out what there is, and ends it.
    #[inline(never)]
    pub(crate) fn record(&self, on: bool) {
        let recorder = self.recorder.replace(on.then(Box::default));
        if let Some(mut recorder) = recorder {
            self.post_recording(&mut recorder, true);
        }
    }

    /// Writes down what the core is about to be told.
    #[inline(never)]
    pub(crate) fn record_input(&self, recorder: &mut Recorder, now: Instant, input: &Input) {
        // A piece ends between two inputs: what follows this one is not known yet.
        if recorder.pending() > PIECE_BYTES {
            self.post_recording(recorder, false);
        }
        recorder.input(now, input);
    }

    fn post_recording(&self, recorder: &mut Recorder, last: bool) {
        let data = Uint8Array::from(&recorder.take()[..]);
        let buffer = data.buffer();
        let message = Object::new("recording").with("data", data).with("last", last);
        self.post(&message, Some(&buffer));
    }
}
