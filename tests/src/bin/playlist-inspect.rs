//! Reads cases as JSON lines on stdin (`kind`, `baseUrl`, `playlist`, `importVariables`) and writes what the player's
//! own reader makes of each, as JSON lines on stdout.

use std::io::{BufRead, Write};

use serde_json::{Value, json};

#[path = "../inspect.rs"]
mod inspect;

fn main() -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = match serde_json::from_str::<Value>(&line) {
            Ok(case) => inspect::inspect(&case),
            Err(error) => json!({ "error": format!("the line is no JSON: {error}") }),
        };
        writeln!(out, "{answer}")?;
    }
    out.flush()
}
