//! WebVTT in MP4 (ISO/IEC 14496-30 §7): each sample is a list of boxes, one for each cue that is shown then.

use crate::mp4::{boxes, find};
use crate::{Cue, MAX_CUES, MAX_TEXT};

/// Adds the cues of a sample. A cue that goes on from the sample before is made longer.
pub(crate) fn read(sample: &[u8], start: f64, end: f64, cues: &mut Vec<Cue>) {
    for found in boxes(sample).filter(|found| found.kind == *b"vttc") {
        let text = |kind| {
            let text = find(found.body, kind).unwrap_or(&[]);
            String::from_utf8_lossy(&text[..text.len().min(MAX_TEXT)]).replace('\0', "\u{fffd}")
        };
        let cue = Cue {
            start,
            end,
            id: text(b"iden"),
            settings: text(b"sttg"),
            text: text(b"payl"),
            ..Cue::default()
        };
        // A cue is cut at each point where another begins or ends (§7.4).
        let same = |other: &&mut Cue| {
            (other.end - start).abs() < 0.002
                && (&other.text, &other.settings, &other.id) == (&cue.text, &cue.settings, &cue.id)
        };
        if let Some(before) = cues.iter_mut().rev().take(8).find(same) {
            before.end = end;
        } else if cues.len() < MAX_CUES {
            cues.push(cue);
        }
    }
}
