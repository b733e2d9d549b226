//! `cargo xtask bench first-frame | lighthouse | swarm | transmux | abr | playlists | tracker | soak`: Potluck beside other
//! players, in real browsers and in Node.
//!
//! The measuring is done by the package in `tests/bench`; this sets it up and hands it the options.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use serde_json::{Value, json};

use crate::build;
use crate::step::{cargo, run, step};
use crate::{demo, system};

/// Options of `cargo xtask bench first-frame`.
#[derive(Args)]
pub(crate) struct FirstFrame {
    /// Starts of each player.
    #[arg(long, default_value_t = 10)]
    runs: u32,
    /// Seconds of playing over which the main thread is measured.
    #[arg(long, default_value_t = 20)]
    play_seconds: u32,
    /// Times that each player's playing is measured.
    #[arg(long, default_value_t = 3)]
    play_runs: u32,
    /// Players by turns: potluck, potluck-player (the same with controls), hlsjs. The last is what the others are compared with.
    #[arg(long, value_delimiter = ',', value_name = "NAMES", default_value = "potluck,hlsjs")]
    engines: Vec<String>,
}

/// Options of `cargo xtask bench swarm`.
#[derive(Args)]
pub(crate) struct Swarm {
    /// Viewers, each a Chromium in a network namespace of its own.
    #[arg(long, default_value_t = 6)]
    viewers: u32,
    /// What each viewer can send, in Mbit/s; the stream has about 1.
    #[arg(long, default_value_t = 2.0)]
    uplink: f64,
    /// What each viewer can receive, in Mbit/s.
    #[arg(long, default_value_t = 50.0)]
    downlink: f64,
    /// A live channel with six segments of 4 s in its playlist, in place of a film.
    #[arg(long)]
    live: bool,
    /// What the origin can send of media, in Mbit/s, all viewers together; no limit when it is not given.
    #[arg(long, value_name = "MBPS")]
    origin_limit: Option<f64>,
    /// Players: potluck, hlsjs, p2pml (p2p-media-loader with hls.js), p2pml-peertube (as PeerTube sets it for live).
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    engines: Option<Vec<String>>,
    /// Seconds after the last viewer has joined.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Milliseconds between two joins; 1000 for live and 4000 for a film when it is not given.
    #[arg(long, value_name = "MS")]
    stagger: Option<u32>,
    /// Draw the cases measured so far into this file.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "docs/bench-swarm.svg")]
    plot: Option<PathBuf>,
}

/// Options of `cargo xtask bench transmux`.
#[derive(Args)]
pub(crate) struct Transmux {
    /// Times that each transmuxer does the film.
    #[arg(long, default_value_t = 15)]
    runs: u32,
}

/// MPEG-TS to fragmented MP4: the transmuxer's module, hls.js's and mux.js by turns.
pub(crate) fn transmux(root: &Path, options: &Transmux) -> Result<(), String> {
    set_up(root)?;
    let kept = std::env::var_os("POTLUCK_WWW").map(PathBuf::from);
    let www = kept.unwrap_or_else(|| root.join("www/dist"));
    measure(root, "transmux.mjs", &json!({ "www": www, "runs": options.runs.max(1) }))
}

/// Options of `cargo xtask bench lighthouse`.
#[derive(Args)]
pub(crate) struct Lighthouse {
    /// The least score, of 100, that is no failure.
    #[arg(long, default_value_t = 95)]
    at_least: u32,
}

/// Accessibility and best practices of the demo's pages and the iframe, by Lighthouse.
pub(crate) fn lighthouse(root: &Path, options: &Lighthouse) -> Result<(), String> {
    set_up(root)?;
    step("compile the server", || demo::server(root))?;
    let options = json!({ "server": server(root), "atLeast": options.at_least });
    measure(root, "lighthouse.mjs", &options)
}

/// The demo server's program.
fn server(root: &Path) -> PathBuf {
    let program = format!("potluck{}", std::env::consts::EXE_SUFFIX);
    build::target_folder(root).join("debug").join(program)
}

/// Time to the first picture, and the cost of playing, of Potluck and hls.js by turns.
pub(crate) fn first_frame(root: &Path, options: &FirstFrame) -> Result<(), String> {
    set_up(root)?;
    step("compile the server", || demo::server(root))?;
    measure(
        root,
        "first-frame.mjs",
        &json!({
            "server": server(root),
            "runs": options.runs.max(1),
            "playSeconds": options.play_seconds.max(1),
            "playRuns": options.play_runs.max(1),
            "engines": options.engines,
        }),
    )
}

/// A swarm of each player, one after the other, on the same lines.
pub(crate) fn swarm(root: &Path, options: &Swarm) -> Result<(), String> {
    set_up(root)?;
    measure(
        root,
        "swarm.mjs",
        &json!({
            "target": build::target_folder(root),
            "viewers": options.viewers,
            "uplink": options.uplink,
            "downlink": options.downlink,
            "live": options.live,
            "originLimit": options.origin_limit,
            "engines": options.engines,
            "seconds": options.seconds,
            "stagger": options.stagger.unwrap_or(if options.live { 1000 } else { 4000 }),
            "plot": options.plot.as_ref().map(|file| root.join(file)),
        }),
    )
}

/// Options of `cargo xtask bench abr`.
#[derive(Args)]
pub(crate) struct Abr {
    /// Draw what both players showed into this file.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "docs/bench-abr.svg")]
    plot: Option<PathBuf>,
    /// Keep hls.js's figures for the test that ours are no worse.
    #[arg(long, conflicts_with = "traces")]
    record: bool,
    /// A folder with recorded lines in place of those of `tests/traces`: in each file lines of seconds and Mbit/s.
    #[arg(long, value_name = "FOLDER")]
    traces: Option<PathBuf>,
}

/// Options of `cargo xtask bench playlists`.
#[derive(Args)]
pub(crate) struct Playlists {
    /// Segments of the playlist.
    #[arg(long, default_value_t = 10_000)]
    segments: u32,
    /// Times that each reader reads it.
    #[arg(long, default_value_t = 30)]
    runs: u32,
}

/// Adaptive bitrate on lines that change, in virtual time: the core in the simulator, and hls.js whole.
pub(crate) fn abr(root: &Path, options: &Abr) -> Result<(), String> {
    packages(root)?;
    step("compile the simulator", || {
        let mut cargo = cargo(root);
        cargo.args(["build", "--quiet", "-p", "tests", "--bin", "abr"]);
        run(&mut cargo, "the compiler's messages above say why")
    })?;
    let program = format!("abr{}", std::env::consts::EXE_SUFFIX);
    let record = options.record.then(|| root.join("tests/traces/figures/hlsjs.json"));
    let folder = options.traces.as_ref().map(std::path::absolute).transpose();
    let folder = folder.map_err(|error| format!("the folder with traces: {error}"))?;
    measure(
        root,
        "abr.mjs",
        &json!({
            "program": build::target_folder(root).join("debug").join(program),
            "plot": options.plot.as_ref().map(|file| root.join(file)),
            "record": record,
            "folder": folder,
        }),
    )
}

/// Reading a long playlist: the reader as it is shipped, hls.js and m3u8-parser.
pub(crate) fn playlists(root: &Path, options: &Playlists) -> Result<(), String> {
    packages(root)?;
    step("set up", || build::set_up(root))?;
    let wasm = step("compile the reader to WebAssembly", || build::bare(root, "parse-bench"))?;
    measure(
        root,
        "playlists.mjs",
        &json!({ "wasm": wasm, "segments": options.segments.max(1), "runs": options.runs.max(1) }),
    )
}

/// Options of `cargo xtask bench tracker`.
#[derive(Args)]
pub(crate) struct Tracker {
    /// WebSockets that are open at once.
    #[arg(long, default_value_t = 10_000)]
    clients: u32,
    /// Members of each swarm.
    #[arg(long, default_value_t = 1000)]
    swarm: u32,
    /// Announces a second, all clients together.
    #[arg(long, default_value_t = 300)]
    rate: u32,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Measure aquatic_ws too: some 300 crates to fetch and to compile, and a Linux with io_uring.
    #[arg(long)]
    aquatic: bool,
}

/// Many clients of the demo's tracker, of npm's bittorrent-tracker, and of aquatic_ws.
pub(crate) fn tracker(root: &Path, options: &Tracker) -> Result<(), String> {
    packages(root)?;
    step("compile the trackers' client and the server", || {
        let mut cargo = cargo(root);
        cargo.args(["build", "--quiet", "--release", "-p", "demo", "-p", "tests"]);
        cargo.args(["--bin", "potluck", "--bin", "tracker-load"]);
        run(&mut cargo, "the compiler's messages above say why")
    })?;
    let aquatic = build::target_folder(root).join("aquatic");
    if options.aquatic {
        step("compile aquatic_ws", || {
            let mut cargo = cargo(root);
            cargo.args(["build", "--quiet", "--locked", "--release"]);
            cargo.args(["--manifest-path", "tests/bench/aquatic/Cargo.toml", "--target-dir"]);
            run(cargo.arg(&aquatic), "the compiler's messages above say why")
        })?;
    }
    measure(
        root,
        "tracker.mjs",
        &json!({
            "aquatic": options.aquatic.then(|| aquatic.join("release/aquatic")),
            "programs": build::target_folder(root).join("release"),
            "clients": options.clients,
            "swarm": options.swarm,
            "rate": options.rate,
            "seconds": options.seconds,
        }),
    )
}

/// Options of `cargo xtask bench soak`.
#[derive(Args)]
pub(crate) struct Soak {
    /// Minutes.
    #[arg(long, default_value_t = 60)]
    minutes: u32,
}

/// One viewer of a live channel, for long, while others come and go and servers fail.
pub(crate) fn soak(root: &Path, options: &Soak) -> Result<(), String> {
    set_up(root)?;
    step("set up the browsers", || {
        system::browsers().and_then(|()| build::npm_ci(&root.join("tests/browser")))
    })?;
    step("compile the server", || demo::server(root))?;
    measure(root, "soak.mjs", &json!({ "minutes": options.minutes.max(3) }))
}

fn packages(root: &Path) -> Result<(), String> {
    step("set up", || {
        system::node()?;
        build::npm_ci(&folder(root))
    })
}

/// The packages, and the player as it is built: what is measured is what is there.
fn set_up(root: &Path) -> Result<(), String> {
    packages(root)?;
    let kept = std::env::var_os("POTLUCK_WWW").map(PathBuf::from);
    let built = kept.clone().unwrap_or_else(|| root.join("www/dist"));
    if built.join("potluck.wasm").is_file() {
        let built = built.display();
        println!(
            "\n    {built} is measured as it is; `cargo xtask build` brings www/dist up to date"
        );
        return Ok(());
    }
    match kept {
        Some(kept) => Err(format!("POTLUCK_WWW: there is no built player in {}", kept.display())),
        None => build::player(root),
    }
}

/// Becomes the measuring program, so that whoever stops this one stops that, and it can clean up.
fn measure(root: &Path, script: &str, options: &Value) -> Result<(), String> {
    let mut node = Command::new("node");
    node.current_dir(folder(root)).arg(script).arg(options.to_string());
    demo::serve(&mut node).map_err(|error| format!("node could not be started: {error}"))
}

fn folder(root: &Path) -> PathBuf {
    root.join("tests/bench")
}
