//! Adaptive bitrate on lines that change, in virtual time: `cargo xtask bench abr` runs it beside hls.js.
//!
//! `traces` writes the bandwidth traces, `spec` prints film and lines for another player, and `compare` reads what that
//! one showed and prints the figures of both, as JSON. Both take a folder with other traces than those of `tests/traces`.
#![allow(clippy::print_stdout, reason = "a command-line program talks on standard output")]

use serde::Deserialize;
use serde_json::json;
use tests::abr::{self, Figures};
use tests::simulation::Sample;

/// What another player showed on a trace.
#[derive(Deserialize)]
struct Other {
    trace: String,
    samples: Vec<Sample>,
}

fn main() -> Result<(), String> {
    let command = std::env::args().nth(1).unwrap_or_default();
    let traces = || match std::env::args_os().nth(2) {
        Some(folder) => abr::read_folder(folder.as_ref()),
        None => Ok(abr::recorded()),
    };
    match command.as_str() {
        "traces" => {
            for trace in abr::generate() {
                let text = serde_json::to_string(&trace).map_err(|error| error.to_string())?;
                let file = abr::folder().join(&trace.name).with_extension("json");
                std::fs::write(&file, text + "\n")
                    .map_err(|error| format!("{}: {error}", file.display()))?;
            }
        }
        "spec" => println!("{}", abr::spec(&traces()?)),
        "compare" => {
            let others: Vec<Other> = serde_json::from_reader(std::io::stdin())
                .map_err(|error| format!("what the other player showed: {error}"))?;
            let pairs = traces()?.into_iter().map(|trace| {
                let samples = abr::watch(&trace);
                let ours = Figures::of(&samples, abr::ladder());
                let other = others.iter().find(|other| other.trace == trace.name);
                let hlsjs = other.map(|other| Figures::of(&other.samples, abr::ladder()));
                json!({ "trace": trace.name, "ours": ours, "hlsjs": hlsjs, "samples": samples })
            });
            println!("{}", serde_json::Value::Array(pairs.collect()));
        }
        _ => return Err("say traces, spec or compare".to_owned()),
    }
    Ok(())
}
