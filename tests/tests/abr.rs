//! Adaptive bitrate on lines that change: never behind what hls.js showed on the same lines.

use std::collections::BTreeMap;

use serde::Deserialize;
use tests::abr::{self, Figures};

/// What hls.js showed, as `cargo xtask bench abr --record` wrote it.
#[derive(Deserialize)]
struct Recorded {
    figures: BTreeMap<String, Figures>,
}

#[test]
fn no_line_shows_less_or_switches_or_waits_more_than_with_hlsjs() {
    let text = include_str!("../traces/figures/hlsjs.json");
    let recorded: Recorded = serde_json::from_str(text).expect("recorded figures");
    assert!(recorded.figures.len() >= 5);
    let mut behind = Vec::new();
    for trace in abr::recorded() {
        let ours = Figures::of(&abr::watch(&trace), abr::ladder());
        let other = recorded.figures[&trace.name];
        if ours.mean_bps < other.mean_bps
            || ours.switches > other.switches
            || ours.rebuffer_seconds > other.rebuffer_seconds
            || ours.first_frame > other.first_frame
            || ours.qoe < other.qoe
        {
            behind.push(format!("{}: {ours:?}, hls.js {other:?}", trace.name));
        }
    }
    assert!(behind.is_empty(), "{}", behind.join("\n"));
}
