//! Replays a recording that a viewer has sent: `cargo run -p tests --bin replay -- FILE`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tests::replay::{Detail, read, replay};

/// Runs a recorded session through this core, says what it did, and where it did something else than was recorded.
#[derive(Parser)]
struct Options {
    /// What "Save the recording" in the player's statistics gave, or `Recording.end()`.
    file: PathBuf,
    /// Also all that the core said, not only what the page was told.
    #[arg(long)]
    outputs: bool,
    /// Also all that it was told.
    #[arg(long)]
    inputs: bool,
    /// Only what came out, as JSON.
    #[arg(long)]
    json: bool,
}

#[expect(clippy::print_stdout, reason = "this is what it is for")]
fn main() -> ExitCode {
    let options = Options::parse();
    let bytes = match read(&options.file) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("{} cannot be read: {error}", options.file.display());
            return ExitCode::FAILURE;
        }
    };
    let detail = match (options.inputs, options.outputs) {
        (true, _) => Detail::Everything,
        (_, true) => Detail::Outputs,
        _ => Detail::Events,
    };
    let outcome = replay(bytes, detail, |line| {
        if !options.json {
            println!("{line}");
        }
    });
    let (first, times) = (outcome.diverged.first().copied(), outcome.diverged.len());
    if options.json {
        let json = serde_json::json!({
            "players": outcome.players,
            "steps": outcome.steps,
            "outputs": outcome.outputs,
            "diverged": times,
            "firstDivergence": first,
            "broken": outcome.broken.map(|error| error.to_string()),
        });
        println!("{json}");
    } else {
        println!(
            "{} players, {} inputs, {} outputs, {}",
            outcome.players,
            outcome.steps,
            outcome.outputs,
            match first {
                None => "all as they were recorded".to_owned(),
                Some(step) =>
                    format!("other answers than were recorded in {times} steps from {step} on"),
            }
        );
    }
    if outcome.steps == 0 || times > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
