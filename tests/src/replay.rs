//! Runs a recording of a viewer's session again, and says what the core did.

use std::fmt::Write as _;
use std::io::{self, Read as _};

use flate2::read::MultiGzDecoder;
use player_core::io::{Event, Input, MediaCommand, Output};
use player_core::recording::{Divergence, Entry, RecordingError, Replay, entries};
use player_core::time::Instant;

/// How much is told of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Events for the page, and what is wrong.
    Events,
    /// All outputs.
    Outputs,
    /// All inputs and outputs.
    Everything,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Players, one for each load.
    pub players: usize,
    /// Inputs.
    pub steps: usize,
    /// Outputs.
    pub outputs: usize,
    /// The first steps in which this core said something else than the recorded one, and how many there are.
    pub diverged: Vec<usize>,
    /// Why the recording ends before its end.
    pub broken: Option<RecordingError>,
}

/// The bytes of a file as the player gives it out: compressed by gzip, or not.
///
/// # Errors
/// When the file cannot be read, or its compression is damaged.
pub fn read(path: &std::path::Path) -> io::Result<Vec<u8>> {
    let bytes = std::fs::read(path)?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut out = Vec::new();
    MultiGzDecoder::new(&bytes[..]).read_to_end(&mut out)?;
    Ok(out)
}

/// Replays a recording; `tell` is given each line of the story.
pub fn replay(recording: Vec<u8>, detail: Detail, mut tell: impl FnMut(&str)) -> Outcome {
    let mut outcome = Outcome::default();
    let mut replay = Replay::default();
    let mut last = Instant::default();
    for entry in entries(recording.into()) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                tell(&format!("the recording ends here: {error}"));
                outcome.broken = Some(error);
                break;
            }
        };
        match &entry {
            Entry::Player { config, seed } => {
                finish(&replay, last, &mut tell);
                outcome.players += 1;
                tell(&format!("player {}, seed {seed:#x}, {config:?}", outcome.players));
            }
            Entry::Step { now, input, .. } => {
                last = *now;
                outcome.steps += 1;
                if detail == Detail::Everything || matches!(**input, Input::Load { .. }) {
                    tell(&format!("{} > {}", at(last), short(input)));
                }
            }
            Entry::Full => tell("the recording was full: it ends here"),
        }
        let (outputs, divergence) = replay.step(entry);
        outcome.outputs += outputs.len();
        for output in &outputs {
            if detail >= Detail::Outputs || matches!(output, Output::Event(_)) {
                tell(&format!("{} < {}", at(last), describe(output)));
            }
        }
        if let Some(Divergence { then, now }) = divergence {
            if outcome.diverged.is_empty() {
                let list = |said: &player_core::recording::Said| {
                    said.kinds().collect::<Vec<_>>().join(", ")
                };
                tell(&format!(
                    "{} ! step {}: another answer than was recorded\n  then [{}]\n  now  [{}]",
                    at(last),
                    outcome.steps,
                    list(&then),
                    list(&now)
                ));
            }
            outcome.diverged.push(outcome.steps);
        }
    }
    finish(&replay, last, &mut tell);
    outcome
}

/// What a player has come to: its counters and what it did about faults.
fn finish(replay: &Replay, now: Instant, tell: &mut impl FnMut(&str)) {
    let Some(player) = replay.player() else { return };
    let stats = player.stats(now);
    for incident in &stats.trace {
        tell(&format!("fault {incident:?}"));
    }
    tell(&format!(
        "{} in the end: {} bytes by HTTP, {} from peers, {} given, {} rebuffers of {:.1} s",
        at(now),
        stats.http_bytes,
        stats.peer_bytes,
        stats.uploaded_bytes,
        stats.rebuffers,
        stats.rebuffer_seconds
    ));
}

fn at(now: Instant) -> String {
    format!("{:10.3}", now.as_secs_f64())
}

/// `Debug`, cut where it gets long: media are in there.
fn short(value: &impl std::fmt::Debug) -> String {
    struct Cut(String);
    impl std::fmt::Write for Cut {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            // An error ends the formatting.
            if self.0.len() > 200 {
                return Err(std::fmt::Error);
            }
            self.0.push_str(text);
            Ok(())
        }
    }
    let mut cut = Cut(String::new());
    if write!(cut, "{value:?}").is_err() {
        cut.0.push('…');
    }
    cut.0
}

fn describe(output: &Output) -> String {
    match output {
        Output::Fetch(request) => {
            format!("fetch {} {:?} {} {:?}", request.id.0, request.kind, request.url, request.range)
        }
        Output::Media(MediaCommand::Append { track, data, timestamp_offset }) => {
            format!("append {track:?} {} bytes, offset {timestamp_offset:?}", data.len())
        }
        Output::Event(Event::Error { error, fatal }) => {
            format!("{} {}: {error}", if *fatal { "error" } else { "warning" }, error.code())
        }
        Output::Event(event) => short(event),
        output => short(output),
    }
}
