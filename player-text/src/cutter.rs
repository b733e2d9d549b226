//! From what is on a screen now to cues that say from when to when it was.

use crate::{Cue, MAX_CUES};

/// What a screen shows: texts, each with its cue settings.
pub(crate) type Shown = Vec<(String, String)>;

/// Cuts what a screen shows into cues.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    shown: Shown,
    since: f64,
}

impl Cutter {
    /// The screen shows this from now on.
    pub(crate) fn change(&mut self, now: f64, shown: Shown, channel: &str, cues: &mut Vec<Cue>) {
        if shown != self.shown {
            self.flush(now, channel, cues);
            self.shown = shown;
        }
    }

    /// Tells what is shown so far, and goes on: what comes next with the same text goes on from it.
    pub(crate) fn flush(&mut self, now: f64, channel: &str, cues: &mut Vec<Cue>) {
        if now > self.since && cues.len() < MAX_CUES {
            cues.extend(self.shown.iter().map(|(settings, text)| Cue {
                start: self.since,
                end: now,
                channel: channel.to_owned(),
                settings: settings.clone(),
                text: text.clone(),
                ..Cue::default()
            }));
        }
        self.since = now;
    }
}
