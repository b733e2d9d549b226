//! What `potluck` does beside serving: `hash` and `keygen`.

use std::error::Error;
use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use demo::hashes::{Form, HashError, Hasher, Signer, Summary, generate};

/// How often a live playlist is looked at.
const LOOK: Duration = Duration::from_millis(250);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Write hash lists, by which viewers verify what they get of each other (docs/hash-lists.md).
    Hash(Hash),
    /// Make a key to sign hash lists with, and print its public half.
    Keygen {
        /// Where the secret half goes: a new file.
        file: PathBuf,
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
                    "The public key goes onto the page: publisher-key=\"{}\"",
                    signer.public_key()
                )?;
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
            let ended = std::fs::read_to_string(&playlist)
                .is_ok_and(|text| text.contains("#EXT-X-ENDLIST"));
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
