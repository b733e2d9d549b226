//! Closed captions in a video's SEI: CEA-608 (ANSI/CTA-608-E) and CEA-708 (ANSI/CTA-708-E), by ATSC A/53 part 4.

mod cea608;
mod cea708;
mod sei;

use crate::Cue;

pub use sei::{Codec, cc_data};

/// Text that is being written is shown anew at most this often, in seconds.
const REFRESH: f64 = 0.3;
/// Longer without media is a jump: what was on the screen is gone, in seconds.
const JUMP: f64 = 2.0;

/// Decodes the captions of a video, in the order of presentation.
#[derive(Debug, Default)]
pub struct Captions {
    fields: [cea608::Field; 2],
    packets: cea708::Packets,
    at: f64,
}

impl Captions {
    /// Takes the `cc_data` of the picture that is presented at `time` (s).
    pub fn feed(&mut self, time: f64, data: &[[u8; 3]], cues: &mut Vec<Cue>) {
        if !(self.at - 0.001..=self.at + JUMP).contains(&time) {
            let at = self.at;
            self.flush(at, cues);
            *self = Self::default();
        }
        self.at = time;
        for [marker, first, second] in data {
            // cc_valid
            if marker & 4 == 0 {
                continue;
            }
            match marker & 3 {
                field @ 0..=1 => {
                    let pair = [first & 0x7f, second & 0x7f];
                    self.fields[usize::from(field)].feed(time, pair, usize::from(field), cues);
                }
                kind => self.packets.feed(time, [*first, *second], kind == 3, cues),
            }
        }
        for (number, field) in self.fields.iter_mut().enumerate() {
            field.refresh(time, number, cues);
        }
        self.packets.refresh(time, cues);
    }

    /// Tells what is on the screens at `time` (s), the end of what has been fed.
    pub fn flush(&mut self, time: f64, cues: &mut Vec<Cue>) {
        self.at = self.at.max(time);
        for (number, field) in self.fields.iter_mut().enumerate() {
            field.flush(time, number, cues);
        }
        self.packets.flush(time, cues);
    }
}
