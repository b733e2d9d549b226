//! Potluck's commands: `cargo xtask demo | test | build | bench | sample`.
//!
//! Each does its own set-up, prints a heading and the seconds for each step, and when a step
//! fails says which command failed and what to do about it.
#![allow(clippy::print_stdout, reason = "a command-line program talks on standard output")]
#![allow(clippy::disallowed_methods, reason = "only the core has to do without a clock")]

mod bench;
mod build;
mod check;
mod demo;
mod imports;
mod licence;
mod names;
mod order;
mod parts;
mod sample;
mod size;
mod split;
mod step;
mod supply;
mod system;

use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Builds, checks and runs Potluck.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build everything and serve it on http://localhost:8080.
    Demo {
        /// Arguments for the server: `cargo xtask demo -- --help` lists them.
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Set up and run every check.
    Test {
        /// Leave out the tests in real browsers.
        #[arg(long)]
        quick: bool,
    },
    /// Build the player into www/dist.
    Build,
    /// Measure.
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
    /// Compare what the wasm modules import with `www/imports.txt`.
    Imports {
        /// Write the list anew.
        #[arg(long)]
        renew: bool,
    },
    /// Check where dependencies come from, what they may be, and what is known against them.
    Supply,
    /// Generate the demo's sample film again (needs ffmpeg).
    Sample,
}

#[derive(Subcommand)]
enum Bench {
    /// Bytes that a page downloads, against the budget.
    Size,
    /// Time to the first picture, and the main thread's time while playing, beside hls.js.
    FirstFrame(bench::FirstFrame),
    /// Accessibility and best practices of the demo's pages and of the iframe, as Lighthouse judges them.
    Lighthouse(bench::Lighthouse),
    /// Adaptive bitrate on lines that change, beside hls.js, in virtual time.
    Abr(bench::Abr),
    /// Reading a long playlist, beside hls.js and m3u8-parser.
    Playlists(bench::Playlists),
    /// Many clients of the demo's tracker and of npm's.
    Tracker(bench::Tracker),
    /// What the origin sends to a swarm of real browsers, beside hls.js and p2p-media-loader (Linux, as root).
    Swarm(bench::Swarm),
    /// A live channel for an hour, with everything that can go wrong: whether anything grows, and whether anybody waits.
    Soak(bench::Soak),
    /// How fast MPEG-TS becomes fragmented MP4, beside hls.js and mux.js (needs ffmpeg).
    Transmux(bench::Transmux),
}

fn main() -> ExitCode {
    let root = root();
    let outcome = match Cli::parse().command {
        Command::Demo { args } => demo::run_server(&root, &args),
        Command::Test { quick } => check::run_all(&root, quick),
        Command::Build => build::player(&root),
        Command::Bench { what: Bench::Size } => {
            build::player(&root).and_then(|()| size::print(&root))
        }
        Command::Bench { what: Bench::FirstFrame(options) } => bench::first_frame(&root, &options),
        Command::Bench { what: Bench::Lighthouse(options) } => bench::lighthouse(&root, &options),
        Command::Bench { what: Bench::Swarm(options) } => bench::swarm(&root, &options),
        Command::Bench { what: Bench::Transmux(options) } => bench::transmux(&root, &options),
        Command::Bench { what: Bench::Abr(options) } => bench::abr(&root, &options),
        Command::Bench { what: Bench::Playlists(options) } => bench::playlists(&root, &options),
        Command::Bench { what: Bench::Soak(options) } => bench::soak(&root, &options),
        Command::Bench { what: Bench::Tracker(options) } => bench::tracker(&root, &options),
        Command::Imports { renew } => {
            build::player(&root).and_then(|()| imports::check(&root, renew))
        }
        Command::Supply => supply::check(&root),
        Command::Sample => sample::generate(&root),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // A summary that counts failures is an outcome with nothing more to say.
            if !message.is_empty() {
                eprintln!("\nfailed: {message}");
            }
            ExitCode::FAILURE
        }
    }
}

/// The project's folder: the parent of this crate's.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
