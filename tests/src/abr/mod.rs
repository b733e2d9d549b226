//! Adaptive bitrate on lines that change: what a viewer of the real core sees, in virtual time, beside what hls.js
//! shows on the same lines (`tests/bench/abr.mjs`).

mod figures;
mod traces;

use player_core::Player;
use player_core::config::P2pMode;
use serde_json::{Value, json};

pub use figures::Figures;
pub use traces::{Trace, folder, generate, read_folder, recorded};

use crate::simulation::{Sample, Title, World};

/// Bit/s of the film's variants.
const LADDER: [u64; 6] = [400_000, 800_000, 1_500_000, 2_500_000, 4_000_000, 6_500_000];
/// Seconds of each segment.
const SEGMENT_SECONDS: f64 = 4.0;
/// Seconds of the film.
const FILM_SECONDS: f64 = 300.0;
/// How much segments' sizes vary.
const VBR: f64 = 0.25;
/// Bit/s that both players take for granted at the start.
const FIRST_GUESS_BPS: f64 = 1_200_000.0;
/// Seconds until a run ends, however much has been seen.
const PATIENCE: f64 = 600.0;

/// The film.
#[must_use]
pub fn film() -> Title {
    let mut title = Title::new(LADDER.to_vec(), SEGMENT_SECONDS, Some(FILM_SECONDS));
    title.vbr = VBR;
    title.timestamp_origin = 0.0;
    title
}

/// One viewer alone, on a line that changes.
#[must_use]
pub fn world(trace: &Trace) -> World {
    let mut world = World::of(film(), 1);
    world.seconds = PATIENCE;
    world.downlink_trace = Some(trace.kbps.iter().map(|kbps| kbps * 1000).collect());
    world.config.p2p = P2pMode::Off;
    world.config.initial_bandwidth_bps = FIRST_GUESS_BPS;
    world.latency_ms = 0.0;
    world.origin_latency_ms = 20.0;
    world.leave_at_end = true;
    world.record = true;
    world
}

/// What the viewer saw, four times a second.
///
/// # Panics
/// When the run broke a rule that holds in every world.
#[must_use]
pub fn watch(trace: &Trace) -> Vec<Sample> {
    let report = world(trace).run::<Player>();
    assert!(report.violations.is_empty(), "{:?}", report.violations);
    assert_eq!(report.corrupt_bytes, 0);
    report.viewers[0].samples.clone()
}

/// Everything that the program for hls.js needs to show the same film on these lines.
#[must_use]
pub fn spec(traces: &[Trace]) -> Value {
    let title = film();
    let count = title.segments.unwrap_or(0);
    let variants: Vec<Value> = (0..LADDER.len() as u32)
        .map(|variant| {
            let heads: Vec<String> =
                (0..count).map(|sequence| hex(&title.head(variant, sequence).write())).collect();
            let bytes: Vec<u64> =
                (0..count).map(|sequence| title.segment_bytes(variant, sequence)).collect();
            json!({ "init": hex(&title.init(variant)), "heads": heads, "bytes": bytes })
        })
        .collect();
    let setting = world(&Trace::default());
    json!({
        "url": title.url(),
        "multivariant": title.multivariant(),
        "playlist": title.playlist(0, 0.0),
        "ladder": LADDER,
        "segmentSeconds": SEGMENT_SECONDS,
        "filmSeconds": FILM_SECONDS,
        "patience": PATIENCE,
        "firstGuess": FIRST_GUESS_BPS,
        // One way.
        "latencyMs": setting.origin_latency_ms,
        "thinkMs": setting.origin_think_ms,
        "variants": variants,
        "traces": traces,
    })
}

/// The bitrates of the ladder, for figures.
#[must_use]
pub const fn ladder() -> &'static [u64] {
    &LADDER
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
