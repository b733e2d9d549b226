//! What `potluck` does beside serving: `hash`, `keygen` and `token`.

use std::error::Error;
use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use demo::hashes::{Form, HashError, Hasher, Signer, Summary, generate};
use demo::tracker::token;

/// How often a live playlist is looked at.
const LOOK: Duration = Duration::from_millis(250);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Write hash lists, by which viewers verify what they get of each other (docs/hash-lists.md).
    Hash(Hash),
    /// Make a key to sign hash lists and swarm tokens with, and print its public half.
    Keygen {
        /// Where the secret half goes: a new file.
        file: PathBuf,
    },
    /// Print a token that lets into the swarm of a title (docs/swarm-tokens.md), for the page's `swarm-token`.
    Token {
        /// The site's secret key (see `potluck keygen`).
        key: PathBuf,
        /// Which swarm: whatever names the title. Viewers of one title share; nobody without the key can tell its swarm.
        title: String,
        /// How long it lets in (90s, 30m, 6h, 7d).
        #[arg(long = "for", value_name = "TIME", default_value = "6h", value_parser = duration)]
        time: Duration,
    },
}

#[derive(Args)]
pub(crate) struct Hash {
    /// A folder with HLS in it: all its media playlists get hashes.
    #[arg(required_unless_present = "follow", conflicts_with = "follow")]
    folder: Option<PathBuf>,
    /// A live media playlist: it gets hashes as it grows, until ctrl-c or its end.
    #[arg(long, value_name = "PLAYLIST")]
    follow: Option<PathBuf>,
    /// Sign with the key in this file.
    #[arg(long, value_name = "KEYFILE")]
    sign: Option<PathBuf>,
    /// What signed names begin with, before the path below the folder: how the title's folder is called in its URL.
    #[arg(long, value_name = "NAME", default_value = "")]
    name: String,
    /// Write a JSON file of this name beside each playlist, and leave the playlist alone.
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    file: Option<String>,
    /// With --follow: write a copy of the playlist there, and leave the playlist alone.
    #[arg(long, value_name = "PLAYLIST", requires = "follow")]
    output: Option<PathBuf>,
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Hash(hash) => hash.run(),
            Self::Keygen { file } => {
                let signer = generate(&file)?;
                let mut out = stdout().lock();
                writeln!(
                    out,
                    "The secret key is in {}: keep it, and keep it to yourself.",
                    file.display()
                )?;
                writeln!(
                    out,
                    "The public key goes onto the page, if it signs hash lists: publisher-key=\"{}\"",
                    signer.public_key()
                )?;
                writeln!(
                    out,
                    "and to the tracker, if it signs swarm tokens: potluck --swarm-key {}",
                    signer.public_key()
                )?;
                Ok(())
            }
            Self::Token { key, title, time } => {
                let signer = Signer::read(&key)?;
                let swarm = token::swarm_of(&signer, &title);
                let token = token::issue_for(&signer, swarm, time);
                writeln!(stdout(), "{token}")?;
                Ok(())
            }
        }
    }
}

impl Hash {
    fn run(self) -> Result<(), Box<dyn Error>> {
        let signer = self.sign.as_deref().map(Signer::read).transpose()?;
        let signed = signer.is_some();
        let file = self.file.clone();
        let form = |playlist: &Path| match &file {
            Some(name) => Form::File(playlist.with_file_name(name)),
            None => Form::Tags,
        };
        if let Some(folder) = self.folder {
            let mut hasher = Hasher::new(folder, signer, &self.name);
            for summary in hasher.folder(form)? {
                tell(&summary, signed)?;
            }
            return Ok(());
        }
        let Some(playlist) = self.follow else { return Ok(()) };
        let form = self.output.map_or_else(|| form(&playlist), Form::Copy);
        let root = playlist.parent().unwrap_or_else(|| Path::new("")).to_owned();
        let mut hasher = Hasher::new(root, signer, &self.name);
        let mut failing = false;
        loop {
            // Before it is hashed: what is added meanwhile must not be left out because it ends the stream.
            let ended = std::fs::read_to_string(&playlist)
                .is_ok_and(|text| text.contains("#EXT-X-ENDLIST"));
            match hasher.playlist(&playlist, &form) {
                Ok(summary) => {
                    failing = false;
                    if let Some(summary) = summary {
                        tell(&summary, signed)?;
                    }
                }
                // The packager may be about to write it, or to remove a segment.
                Err(error @ (HashError::Read(..) | HashError::NoSegments(_))) => {
                    if !std::mem::replace(&mut failing, true) {
                        writeln!(stdout(), "{error}; trying again until it is there")?;
                    }
                }
                Err(error) => return Err(error.into()),
            }
            if ended && !failing {
                writeln!(stdout(), "{} has ended", playlist.display())?;
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
    }
}

fn tell(summary: &Summary, signed: bool) -> std::io::Result<()> {
    let Summary { written, segments, hashed, bytes, left_out } = summary;
    let how = if signed { ", signed" } else { "" };
    let mut out = stdout().lock();
    write!(
        out,
        "{}: {segments} segments{how}; hashed {hashed} now, {:.1} MB",
        written.display(),
        *bytes as f64 / 1e6
    )?;
    if *left_out > 0 {
        write!(out, "; {left_out} left out: empty, or larger than 256 MiB")?;
    }
    writeln!(out)
}

/// A time with its unit.
fn duration(text: &str) -> Result<Duration, String> {
    let seconds = match text.chars().next_back() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => 0,
    };
    let number = text.get(..text.len().saturating_sub(1)).and_then(|number| number.parse().ok());
    // Whatever is longer than a century is a mistake.
    number
        .and_then(|number: u64| number.checked_mul(seconds))
        .filter(|seconds| (1..100 * 366 * 86_400).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| "want a time such as 90s, 30m, 6h or 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("6h", 21_600), ("7d", 604_800)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "h", "6", "6x", "-6h", "0h", "1.5h", "6 h", "99999999d", "6é"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }
}
