//! Adaptive bitrate on lines that change, in virtual time: `cargo xtask bench abr` runs it beside hls.js.
//!
//! `traces` writes the bandwidth traces, `spec` prints film and lines for another player, and `run` what a viewer of
//! ours sees, as JSON.
#![allow(clippy::print_stdout, reason = "a command-line program talks on standard output")]

use serde_json::json;
use tests::abr::{self, Figures};

fn main() -> Result<(), String> {
    let command = std::env::args().nth(1).unwrap_or_default();
    match command.as_str() {
        "traces" => {
            for trace in abr::generate() {
                let text = serde_json::to_string(&trace).map_err(|error| error.to_string())?;
                let file = abr::folder().join(&trace.name).with_extension("json");
                std::fs::write(&file, text + "\n")
                    .map_err(|error| format!("{}: {error}", file.display()))?;
            }
        }
        "spec" => println!("{}", abr::spec()),
        "run" => {
            let runs = abr::recorded().into_iter().map(|trace| {
                let samples = abr::watch(&trace);
                let figures = Figures::of(&samples, abr::ladder());
                json!({ "trace": trace.name, "figures": figures, "samples": samples })
            });
            println!("{}", serde_json::Value::Array(runs.collect()));
        }
        _ => return Err("say traces, spec or run".to_owned()),
    }
    Ok(())
}
