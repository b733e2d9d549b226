//! Reading a recording, and running it again.

use bytes::Bytes;

use super::codec::{Reader, RecordingError};
use super::digest::{Digest, KINDS};
use super::{BEGINNING, FULL, PLAYER, STEP};
use crate::config::Config;
use crate::io::{Input, Output};
use crate::player::Player;
use crate::time::Instant;

/// One entry of a recording.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A player begins.
    Player {
        /// Its configuration.
        config: Box<Config>,
        /// Its seed.
        seed: u64,
    },
    /// It was told something.
    Step {
        /// When.
        now: Instant,
        /// What.
        input: Box<Input>,
        /// A check of what it said.
        said: Said,
    },
    /// More than a recording may have came behind this: no more was recorded.
    Full,
}

/// A check of what a player said after an input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    kinds: Vec<u8>,
    hash: u64,
}

impl Said {
    /// Of these outputs.
    #[must_use]
    pub fn of(outputs: &[Output]) -> Self {
        let mut digest = Digest::default();
        outputs.iter().for_each(|output| digest.add(output));
        Self { kinds: digest.kinds, hash: digest.hash }
    }

    /// What each output was, for a reader.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.kinds.iter().map(|kind| KINDS.get(usize::from(*kind)).copied().unwrap_or("unknown"))
    }
}

/// The entries of a recording in turn. Behind an error there are no more.
pub fn entries(bytes: Bytes) -> impl Iterator<Item = Result<Entry, RecordingError>> {
    let mut reader = Some(Reader::new(bytes));
    let mut last = None;
    std::iter::from_fn(move || {
        let entry = next(reader.as_mut()?, &mut last);
        if !matches!(entry, Some(Ok(_))) {
            reader = None;
        }
        entry
    })
}

fn next(reader: &mut Reader, last: &mut Option<u64>) -> Option<Result<Entry, RecordingError>> {
    while !reader.is_at_end() {
        match entry(reader, last) {
            Ok(Some(entry)) => return Some(Ok(entry)),
            Ok(None) => {}
            Err(error) => return Some(Err(error)),
        }
    }
    None
}

/// The next entry; `None` for a beginning.
fn entry(reader: &mut Reader, last: &mut Option<u64>) -> Result<Option<Entry>, RecordingError> {
    let kind = reader.byte()?;
    if kind == BEGINNING[0] {
        let rest = reader.take(BEGINNING.len() - 1).map_err(|_| RecordingError::NotARecording)?;
        if rest[..] != BEGINNING[1..] {
            return Err(RecordingError::NotARecording);
        }
        *last = Some(0);
        return Ok(None);
    }
    let before = last.ok_or(RecordingError::NotARecording)?;
    match kind {
        PLAYER => {
            let seed = reader.fixed()?;
            Ok(Some(Entry::Player { config: Box::new(reader.config()?), seed }))
        }
        STEP => {
            let now = before.saturating_add(reader.number()?);
            *last = Some(now);
            let input = Box::new(reader.input()?);
            let kinds = reader.bytes()?.to_vec();
            let hash = if kinds.is_empty() { 0 } else { reader.fixed()? };
            let said = Said { kinds, hash };
            Ok(Some(Entry::Step { now: Instant::from_micros(now), input, said }))
        }
        FULL => Ok(Some(Entry::Full)),
        _ => Err(RecordingError::Damaged),
    }
}

/// A player that is told what another one was told.
#[derive(Debug, Default)]
pub struct Replay {
    player: Option<Player>,
}

/// A step in which a replay said something else than the recorded player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// What was said then.
    pub then: Said,
    /// What is said now.
    pub now: Said,
}

impl Replay {
    /// Does what an entry says; what the player answers, and whether that is something else than was recorded.
    pub fn step(&mut self, entry: Entry) -> (Vec<Output>, Option<Divergence>) {
        match entry {
            Entry::Player { config, seed } => {
                self.player = Some(Player::new(*config, seed));
                (Vec::new(), None)
            }
            Entry::Step { now, input, said } => {
                let Some(player) = &mut self.player else { return (Vec::new(), None) };
                player.handle_input(now, *input);
                let outputs: Vec<Output> = std::iter::from_fn(|| player.poll_output()).collect();
                let is = Said::of(&outputs);
                let divergence = (is != said).then_some(Divergence { then: said, now: is });
                (outputs, divergence)
            }
            Entry::Full => (Vec::new(), None),
        }
    }

    /// The player that plays now.
    #[must_use]
    pub const fn player(&self) -> Option<&Player> {
        self.player.as_ref()
    }
}
