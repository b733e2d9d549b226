//! `simulate`: runs real cores on a virtual network and prints what came of it.
//!
//! `cargo run --release -p tests --bin simulate -- --viewers 100 --uplink 2 --scenario live`

#![allow(clippy::print_stdout, reason = "printing the result is what it is for")]

use clap::{Parser, ValueEnum};
use player_core::Player;
use player_core::config::P2pMode;
use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;
use tests::simulation::{
    Bar, Fault, FaultKind, Hashes, MOST_CONTROL, MOST_DUPLICATES, Pollution, Ranges, Report,
    Spread, Title, World, cases,
};

/// A figure of a report.
type Figure<'a> = &'a dyn Fn(&Report) -> f64;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scenario {
    Live,
    Vod,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Lie {
    /// All of these, one polluter each.
    Mixed,
    /// Bytes that mean nothing.
    Noise,
    /// One wrong bit in each piece.
    Flip,
    /// Bytes of another segment.
    Swap,
    /// Pieces that are too short.
    Cut,
    /// Hash lists that are wrong.
    Lists,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Vouch {
    /// Not at all.
    None,
    /// A root for each segment, in the playlist.
    Roots,
    /// SHA-256 of each whole segment, in a file.
    Whole,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A summary and a table of viewers.
    Text,
    /// Everything as JSON, one report per seed.
    Json,
    /// JSON on standard output, the text on standard error.
    Both,
}

/// Runs the real core, many times at once, on a virtual network.
#[derive(Debug, Parser)]
struct Options {
    /// Live, or VOD.
    #[arg(long, value_enum, default_value = "live")]
    scenario: Scenario,
    /// Viewers.
    #[arg(long, default_value_t = 20)]
    viewers: u32,
    /// Virtual seconds.
    #[arg(long, default_value_t = 120.0)]
    seconds: f64,
    /// Parts of each segment of a live stream: a low-latency channel, played four parts behind its edge.
    #[arg(long, default_value_t = 1)]
    parts: u64,
    /// Bitrate of the stream in kbit/s; several make several variants.
    #[arg(long, default_value = "1000", value_delimiter = ',')]
    bitrate: Vec<u64>,
    /// Uplink of each viewer as a multiple of the (first) bitrate.
    #[arg(long, default_value_t = 2.0)]
    uplink: f64,
    /// Downlink of each viewer in Mbit/s.
    #[arg(long, default_value_t = 50.0)]
    downlink: f64,
    /// What a downlink carries in so many seconds it gives at once after a pause, as lines with a token bucket do.
    #[arg(long, default_value_t = 0.0)]
    downlink_burst: f64,
    /// Segment duration in seconds.
    #[arg(long, default_value_t = 4.0)]
    segment: f64,
    /// Duration of the film in seconds (VOD).
    #[arg(long, default_value_t = 60.0)]
    film: f64,
    /// Each viewer seeks to anywhere in the film, on average each so many seconds (VOD).
    #[arg(long, value_name = "SECONDS")]
    seeks: Option<f64>,
    /// How fast viewers play: their `playbackRate`.
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// Segments in the playlist (live).
    #[arg(long, default_value_t = 10)]
    window: u64,
    /// Sound and picture in one file, as ffmpeg writes it: nothing of a segment plays before all of it is there.
    #[arg(long)]
    muxed: bool,
    /// `HOLD-BACK` in seconds (live).
    #[arg(long)]
    hold_back: Option<f64>,
    /// Mean latency between two viewers, one way, in ms.
    #[arg(long, default_value_t = 20.0)]
    latency: f64,
    /// Share of packets lost.
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Seconds between joins.
    #[arg(long, default_value_t = 1.0)]
    spacing: f64,
    /// Joins are a Poisson process.
    #[arg(long)]
    poisson: bool,
    /// Share of viewers that leaves and is replaced in a minute.
    #[arg(long, default_value_t = 0.0)]
    churn: f64,
    /// Share of viewers behind a NAT (two of them cannot connect).
    #[arg(long, default_value_t = 0.0)]
    nat: f64,
    /// Share of viewers that can connect to nobody.
    #[arg(long, default_value_t = 0.0)]
    blocked: f64,
    /// Share of viewers that give nothing.
    #[arg(long, default_value_t = 0.0)]
    free_riders: f64,
    /// Share of viewers that send wrong bytes.
    #[arg(long, default_value_t = 0.0)]
    polluters: f64,
    /// How they lie.
    #[arg(long, value_enum, default_value = "mixed")]
    pollution: Lie,
    /// How playlists vouch for segments.
    #[arg(long, value_enum, default_value = "none")]
    hashes: Vouch,
    /// Share of viewers with a tenth of the uplink.
    #[arg(long, default_value_t = 0.0)]
    slow: f64,
    /// Connections of each viewer at most.
    #[arg(long)]
    neighbours: Option<usize>,
    /// Offers that wait at the tracker at once.
    #[arg(long)]
    offers: Option<usize>,
    /// Bytes that may wait in a data channel's send buffer, in KiB.
    #[arg(long)]
    send_buffer: Option<usize>,
    /// The origin's line in Mbit/s; no limit when it is not given.
    #[arg(long)]
    origin_limit: Option<f64>,
    /// How the origin answers a request for a part of a file.
    #[arg(long, value_enum, default_value = "sized")]
    origin_ranges: Ranges,
    /// The origin answers 503 between these seconds: `FROM-UNTIL`.
    #[arg(long)]
    outage: Option<String>,
    /// Without peers: the baseline.
    #[arg(long)]
    http_only: bool,
    /// Pass each message through the codec.
    #[arg(long)]
    wire: bool,
    /// Write what this viewer's core is told and says to standard error.
    #[arg(long)]
    log: Option<u32>,
    /// Run the cases by which the policy is judged instead, those with at most so many viewers, and print their table:
    /// mean and worst over the seeds.
    #[arg(long, value_name = "VIEWERS", num_args = 0..=1, default_missing_value = "30")]
    table: Option<u32>,
    /// Of the table only the cases whose names contain this.
    #[arg(long, value_name = "NAME", default_value = "")]
    case: String,
    /// Write what came of the (last) run as SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<std::path::PathBuf>,
    /// Threads; as many as there are cores when it is not given and viewers are many. Their number does not change what happens.
    #[arg(long)]
    threads: Option<usize>,
    /// First seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of seeds, from the first on; of the table's cases 20, and 3 with more than 100 viewers, and 1 with more
    /// than 10,000.
    #[arg(long)]
    seeds: Option<u64>,
    /// What to print.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Viewers in the table at most.
    #[arg(long, default_value_t = 40)]
    rows: usize,
}

impl Options {
    fn threads(&self, viewers: u32) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        // A few viewers have too little to do in a step.
        self.threads.unwrap_or_else(|| if viewers < 200 { 1 } else { cores() })
    }

    fn world(&self) -> Result<World, String> {
        let bitrates: Vec<u64> = self.bitrate.iter().map(|kbit| kbit * 1_000).collect();
        let first = *bitrates.first().ok_or("--bitrate is empty")?;
        let film = match self.scenario {
            Scenario::Live => None,
            Scenario::Vod => Some(self.film),
        };
        let mut title = Title::new(bitrates, self.segment, film);
        title.window = self.window.max(1);
        title.hold_back = self.hold_back;
        title.muxed = self.muxed;
        title.parts = self.parts.max(1);
        title.part_hold_back = 4.0 * self.segment / title.parts as f64;
        title.hashes = match self.hashes {
            Vouch::None => Hashes::None,
            Vouch::Roots => Hashes::Roots,
            Vouch::Whole => Hashes::Whole,
        };
        let mut world = World {
            seed: self.seed,
            seconds: self.seconds,
            join_spacing: self.spacing,
            poisson: self.poisson,
            churn_per_minute: self.churn,
            uplink_bps: (first as f64 * self.uplink) as u64,
            downlink_bps: (self.downlink * 1e6) as u64,
            playback_rate: self.rate,
            downlink_burst_us: (self.downlink_burst * 1e6) as u64,
            latency_ms: self.latency,
            loss: self.loss,
            origin_limit_bps: self.origin_limit.map(|megabits| (megabits * 1e6) as u64),
            origin_ranges: self.origin_ranges,
            nat_share: self.nat,
            blocked_share: self.blocked,
            free_rider_share: self.free_riders,
            polluter_share: self.polluters,
            pollution: match self.pollution {
                Lie::Mixed => Pollution::Mixed,
                Lie::Noise => Pollution::Noise,
                Lie::Flip => Pollution::Flip,
                Lie::Swap => Pollution::Swap,
                Lie::Cut => Pollution::Cut,
                Lie::Lists => Pollution::Lists,
            },
            slow_share: self.slow,
            wire: self.wire,
            log: self.log,
            ..World::of(title, self.viewers)
        };
        if let Some(neighbours) = self.neighbours {
            world.config.max_peers = neighbours;
        }
        if let Some(offers) = self.offers {
            world.config.offers = offers;
        }
        if let Some(kibibytes) = self.send_buffer {
            world.config.send_buffer_high = kibibytes << 10;
            world.config.send_buffer_low = (kibibytes << 10) / 8;
        }
        if self.http_only {
            world.config.p2p = P2pMode::Off;
        }
        if let Some(outage) = &self.outage {
            let (from, until) = outage
                .split_once('-')
                .and_then(|(from, until)| Some((from.parse().ok()?, until.parse().ok()?)))
                .ok_or_else(|| format!("--outage {outage}: want FROM-UNTIL in seconds"))?;
            world.faults.push(Fault { from, until, kind: FaultKind::Status(503) });
        }
        Ok(world)
    }
}

/// Mean and worst over several seeds.
fn over_seeds(reports: &[Report]) -> String {
    let mut out = String::new();
    let mut line = |name: &str, of: &dyn Fn(&Report) -> f64| {
        let values: Vec<f64> = reports.iter().map(of).filter(|value| !value.is_nan()).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        if let Some(Spread { max, .. }) = Spread::of(values.clone()) {
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            out.push_str(&format!("{name:<28} mean {mean:.4}, least {least:.4}, most {max:.4}\n"));
        }
    };
    line("origin copies per segment", &|r| r.origin_copies);
    line("  after the last join", &|r| r.late_origin_copies.unwrap_or(f64::NAN));
    line("offload", &|r| r.offload);
    line("rebuffers", &|r| r.rebuffers as f64);
    line("rebuffer seconds", &|r| r.rebuffer_seconds);
    line("first frame p95, s", &|r| r.first_frame.p95);
    line("  after a seek", &|r| r.seek_wait.map_or(f64::NAN, |wait| wait.p95));
    line("live latency p95, s", &|r| r.live_latency.map_or(f64::NAN, |latency| latency.p95));
    line("corrupt bytes", &|r| r.corrupt_bytes as f64);
    line("  without polluters'", &|r| r.honest_origin_copies.unwrap_or(f64::NAN));
    line("victims after 10 s", &|r| r.polluted_pairs.1 as f64);
    line("most wrong pieces", &|r| f64::from(r.polluted_pairs.2));
    line("uplinks, media", &|r| r.uplinks[0]);
    line("uplinks, of use", &|r| r.uplinks[2]);
    line("uplinks, messages", &|r| r.uplinks[1]);
    line("duplicate share", &|r| r.duplicate_share);
    line("control share", &|r| r.control_share);
    out
}

/// Seeds of a case of the table when no number is given.
const fn seeds_of(viewers: u32) -> u64 {
    match viewers {
        ..=100 => 20,
        101..=10_000 => 3,
        _ => 1,
    }
}

/// A bar of at most ten boxes: how near a figure is to what is asked for.
fn bar_of(figure: f64, asked: f64) -> String {
    let share = if asked > 0.0 { figure / asked } else { 0.0 };
    let boxes = (10.0 * share).round().clamp(0.0, 15.0) as usize;
    "▮".repeat(boxes.min(10)) + &"▯".repeat(boxes.saturating_sub(10))
}

/// What the table does not say by itself.
const LEGEND: &str = "\
A case holds if the mean over its seeds is within the bar, no viewer of any seed has a rebuffer, control bytes are at most\n\
2 % and duplicate bytes 1 % of the media bytes (means), no wrong byte is appended, whoever lies is banned within 10 s, and\n\
nobody who stays for 6 s is without a picture. A worst seed that is not within the bar has a \"!\"; it is not what counts.";

/// Runs each case and prints a line of the table for it.
fn table(options: &Options, most: u32) {
    println!(
        "| case | seeds | limit | bar | mean (worst) | of the bar | holds | whole run | rebuffers (worst) | stalled | first frame p95 | control | duplicates |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|"
    );
    let cases = cases(most, &options.case);
    for (place, case) in cases.iter().enumerate() {
        let count = options.seeds.unwrap_or_else(|| seeds_of(case.world.viewers)).max(1);
        #[expect(clippy::disallowed_methods, reason = "how long the simulation itself takes")]
        let begun = Instant::now();
        let run = |seed| {
            let _ = writeln!(
                std::io::stderr(),
                "{} of {}: {}, seed {seed}, {:.0} s",
                place + 1,
                cases.len(),
                case.name,
                begun.elapsed().as_secs_f64()
            );
            let threads = options.threads(case.world.viewers);
            World { seed, ..case.world.clone() }.run_with::<Player>(threads, |_, _| {})
        };
        let reports: Vec<Report> = (options.seed..options.seed + count).map(run).collect();
        let mean = |of: &dyn Fn(&Report) -> f64| {
            reports.iter().map(of).sum::<f64>() / reports.len() as f64
        };
        let worst = |of: &dyn Fn(&Report) -> f64, sign: f64| {
            sign * reports.iter().map(|r| sign * of(r)).fold(f64::NEG_INFINITY, f64::max)
        };
        let settled = |r: &Report| r.late_origin_copies.unwrap_or(r.origin_copies);
        let honest = |r: &Report| r.honest_origin_copies.unwrap_or(r.origin_copies);
        let rebuffers = |r: &Report| r.rebuffers as f64;
        let (bar, of, sign): (String, Figure<'_>, f64) = match case.bar {
            Bar::Copies(most) => (format!("K ≤ {most:.2}"), &settled, 1.0),
            Bar::Honest(most) => (format!("K of the honest ≤ {most:.2}"), &honest, 1.0),
            Bar::Offload(least) => (format!("offload ≥ {least:.2}"), &|r| r.offload, -1.0),
            Bar::FirstFrame(most) => {
                (format!("first frame ≤ {most:.0} s"), &|r| r.first_frame.p95, 1.0)
            }
        };
        let (Bar::Copies(asked)
        | Bar::Offload(asked)
        | Bar::FirstFrame(asked)
        | Bar::Honest(asked)) = case.bar;
        let clean =
            |r: &Report| r.corrupt_bytes == 0 && r.polluted_pairs.1 == 0 && r.without_frame == 0;
        let within = |figure: f64| sign * figure <= sign * asked;
        let control = mean(&|r| r.control_share);
        let duplicates = mean(&|r| r.duplicate_share);
        let holds = within(mean(of))
            && worst(&rebuffers, 1.0) == 0.0
            && control <= MOST_CONTROL
            && duplicates <= MOST_DUPLICATES
            && reports.iter().all(clean);
        println!(
            "| {} | {count} | {} | {bar} | {:.3} ({:.3}{}) | {} | {} | {:.2} | {:.1} ({:.0}) | {:.3} % | {:.2} s | {:.2} % | {:.2} % |",
            case.name,
            case.limit.map_or_else(|| "-".to_owned(), |limit| format!("{limit:.2}")),
            mean(of),
            worst(of, sign),
            if within(worst(of, sign)) { "" } else { " !" },
            bar_of(mean(of), asked),
            if holds { "yes" } else { "no" },
            mean(&|r| r.origin_copies),
            mean(&rebuffers),
            worst(&rebuffers, 1.0),
            100.0 * mean(&|r| r.rebuffer_ratio),
            mean(&|r| r.first_frame.p95),
            100.0 * control,
            100.0 * duplicates,
        );
    }
    println!("\n{LEGEND}");
}

/// Most memory that this process had so far, in MiB; where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes >> 10)
}

fn main() -> Result<(), String> {
    let options = Options::parse();
    if let Some(most) = options.table {
        table(&options, most);
        return Ok(());
    }
    let terminal = std::io::stderr().is_terminal();
    let threads = options.threads(options.viewers);
    let mut reports = Vec::new();
    for seed in options.seed..options.seed + options.seeds.unwrap_or(1).max(1) {
        let mut world = World { seed, ..options.world()? };
        if let Some(every) = options.seeks {
            if world.title.live() {
                return Err("--seeks wants a film: --scenario vod".to_owned());
            }
            world = world.with_seeks(every);
        }
        #[expect(clippy::disallowed_methods, reason = "how long the simulation itself takes")]
        let begun = Instant::now();
        let report = world.run_with::<Player>(threads, |second, viewers| {
            if terminal || second % 10 == 0 {
                let line = format!(
                    "seed {seed}: {second} of {:.0} s, {viewers} viewers, {:.1} s",
                    world.seconds,
                    begun.elapsed().as_secs_f64()
                );
                let end = if terminal { "\r" } else { "\n" };
                let _ = write!(std::io::stderr(), "{line}{end}");
            }
        });
        if terminal {
            let _ = writeln!(std::io::stderr());
        }
        let _ = writeln!(
            std::io::stderr(),
            "seed {seed}: {:.1} s, at most {} MiB of memory",
            begun.elapsed().as_secs_f64(),
            peak_memory().map_or_else(|| "?".to_owned(), |mebibytes| mebibytes.to_string())
        );
        if let Some(file) = &options.plot {
            std::fs::write(file, report.plot())
                .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        }
        let text = format!("seed {seed}\n{}\n{}", report.summary(), report.table(options.rows));
        match options.format {
            Format::Text => println!("{text}"),
            Format::Json => {}
            Format::Both => {
                let _ = writeln!(std::io::stderr(), "{text}");
            }
        }
        if !matches!(options.format, Format::Text) {
            let json = serde_json::to_string(&report).map_err(|error| error.to_string())?;
            println!("{json}");
        }
        reports.push(report);
    }
    if reports.len() > 1 {
        let summary = over_seeds(&reports);
        match options.format {
            Format::Text => println!("{} seeds\n{summary}", reports.len()),
            Format::Json | Format::Both => {
                let _ = write!(std::io::stderr(), "{summary}");
            }
        }
    }
    Ok(())
}
