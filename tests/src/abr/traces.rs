//! Bandwidth traces: kbit/s of each second. They lie in `tests/traces`, and are made here, by seed.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A line that changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Trace {
    /// Its name, and its file's.
    pub name: String,
    /// How it is made.
    pub model: String,
    /// What its chance comes from.
    pub seed: u64,
    /// kbit/s of each second; behind the last it begins again.
    pub kbps: Vec<u64>,
}

/// Seconds of each trace.
const SECONDS: usize = 320;

/// Where the traces lie.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("traces")
}

/// The traces that lie in `tests/traces`, in the order of their names.
///
/// # Panics
/// When they cannot be read.
#[must_use]
pub fn recorded() -> Vec<Trace> {
    let files = std::fs::read_dir(folder()).expect("tests/traces can be listed");
    let mut traces: Vec<Trace> = files
        .map(|file| file.expect("a file").path())
        .filter(|path| path.is_file())
        .map(|path| {
            let text = std::fs::read_to_string(path).expect("a trace");
            serde_json::from_str(&text).expect("a trace is JSON")
        })
        .collect();
    traces.sort_by(|a, b| a.name.cmp(&b.name));
    traces
}

/// Traces of a folder, in the order of their names: as those of `tests/traces`, or recorded ones as public data sets have
/// them, with a line of two columns for each measurement: seconds from the start, and the Mbit/s up to then.
///
/// # Errors
/// Names what cannot be read.
pub fn read_folder(folder: &Path) -> Result<Vec<Trace>, String> {
    let files = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()));
    let mut traces = Vec::new();
    for file in files? {
        let path = file.map_err(|error| error.to_string())?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_file() || name.starts_with('.') {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?;
        let trace = if path.extension().is_some_and(|extension| extension == "json") {
            serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))?
        } else {
            let kbps = seconds_of(&text).ok_or_else(|| {
                format!("{name}: each line has to have two numbers: seconds, and Mbit/s up to then")
            })?;
            Trace { name, model: "recorded".to_owned(), seed: 0, kbps }
        };
        traces.push(trace);
    }
    traces.sort_by(|a, b| a.name.cmp(&b.name));
    if traces.is_empty() { Err(format!("{}: no traces", folder.display())) } else { Ok(traces) }
}

/// kbit/s of each second, out of columns.
fn seconds_of(text: &str) -> Option<Vec<u64>> {
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut points = Vec::new();
    for line in lines {
        let mut columns = line.split([',', ';', ' ', '\t']).filter(|column| !column.is_empty());
        let (at, mbps): (f64, f64) = (columns.next()?.parse().ok()?, columns.next()?.parse().ok()?);
        let forward = points.last().is_none_or(|(last, _)| at >= *last);
        (forward && (0.0..=86_400.0).contains(&at) && (0.0..=1e5).contains(&mbps)).then_some(())?;
        points.push((at, mbps));
    }
    let end = points.last()?.0.floor().max(1.0) as usize;
    let mut kbits = vec![0.0; end];
    let mut from = 0.0_f64;
    for (to, mbps) in points {
        while from < to.min(end as f64) {
            let second = from as usize;
            let until = to.min((second + 1) as f64);
            kbits[second] += (until - from) * mbps * 1000.0;
            from = until;
        }
    }
    Some(kbits.into_iter().map(|kbit| kbit.round() as u64).collect())
}

/// The traces as they are made.
#[must_use]
pub fn generate() -> Vec<Trace> {
    vec![
        make("steady", 1, "3 Mbit/s, each second up to 3 % more or less", |_, chance| {
            3000.0 * (1.0 + 0.06 * (chance.f64() - 0.5))
        }),
        make(
            "step",
            2,
            "6 Mbit/s, from 100 s on 1.2 Mbit/s, from 200 s on 6 Mbit/s, up to 5 % more or less",
            {
                |second, chance| {
                    let rate = if (100..200).contains(&second) { 1200.0 } else { 6000.0 };
                    rate * (1.0 + 0.1 * (chance.f64() - 0.5))
                }
            },
        ),
        make(
            "oscillating",
            3,
            "a sine between 1 and 5 Mbit/s with a period of 40 s, up to 10 % more or less",
            |second, chance| {
                let phase = second as f64 / 40.0 * std::f64::consts::TAU;
                (3000.0 + 2000.0 * phase.sin()) * (1.0 + 0.2 * (chance.f64() - 0.5))
            },
        ),
        lte(),
        hspa(),
        spiky(),
    ]
}

fn make(
    name: &str,
    seed: u64,
    model: &str,
    mut rate: impl FnMut(usize, &mut fastrand::Rng) -> f64,
) -> Trace {
    let mut chance = fastrand::Rng::with_seed(seed);
    let kbps = (0..SECONDS).map(|second| rate(second, &mut chance).round().max(0.0) as u64);
    Trace { name: name.to_owned(), model: model.to_owned(), seed, kbps: kbps.collect() }
}

/// A normal deviate of mean 0 and deviation 1.
fn normal(chance: &mut fastrand::Rng) -> f64 {
    (-2.0 * (1.0 - chance.f64()).ln()).sqrt() * (std::f64::consts::TAU * chance.f64()).cos()
}

/// A logarithm that wanders back to its mean: correlation from second to second, and deviation.
fn wander(chance: &mut fastrand::Rng, state: &mut f64, correlation: f64, deviation: f64) -> f64 {
    *state = correlation * *state
        + deviation * (1.0 - correlation * correlation).sqrt() * normal(chance);
    state.exp()
}

/// A phone that moves in a cell, and from one to the next.
fn lte() -> Trace {
    let (mut slow, mut fast, mut handover) = (0.0, 0.0, 0_u32);
    make(
        "lte",
        4,
        "log-normal around 4.5 Mbit/s: shadowing (deviation 0.5, correlation 0.95 a second) times fading (0.3, 0.3), \
         and with odds of 1 in 40 a second a handover of 1 to 3 s at a tenth",
        move |_, chance| {
            if handover > 0 {
                handover -= 1;
            } else if chance.f64() < 1.0 / 40.0 {
                handover = chance.u32(1..=3);
            }
            let rate =
                4500.0 * wander(chance, &mut slow, 0.95, 0.5) * wander(chance, &mut fast, 0.3, 0.3);
            if handover > 0 { rate / 10.0 } else { rate.min(30_000.0) }
        },
    )
}

/// A slow line with long troughs.
fn hspa() -> Trace {
    let (mut slow, mut fast) = (0.0, 0.0);
    make(
        "hspa",
        5,
        "log-normal around 1.3 Mbit/s: shadowing (deviation 0.5, correlation 0.97 a second) times fading (0.2, 0.5)",
        move |_, chance| {
            1300.0 * wander(chance, &mut slow, 0.97, 0.5) * wander(chance, &mut fast, 0.5, 0.2)
        },
    )
}

/// A good line that others burst into, and that bursts itself.
fn spiky() -> Trace {
    let mut burst = (0_u32, 1.0);
    make(
        "spiky",
        6,
        "4 Mbit/s, up to 10 % more or less; with odds of 1 in 15 a second, 2 to 5 s at a tenth (two of three) or at four times that",
        move |_, chance| {
            if burst.0 > 0 {
                burst.0 -= 1;
            } else if chance.f64() < 1.0 / 15.0 {
                let factor = if chance.u32(..3) < 2 { 0.1 } else { 4.0 };
                burst = (chance.u32(2..=5), factor);
            }
            let rate = 4000.0 * (1.0 + 0.2 * (chance.f64() - 0.5));
            if burst.0 > 0 { rate * burst.1 } else { rate }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_the_rate_of_each_second() {
        let text = "# s Mbit/s\n0.5\t2\n1.0, 4\n\n3.5 1.5\n4.2 9\n";
        assert_eq!(seconds_of(text), Some(vec![3000, 1500, 1500, 5250]));
        for odd in ["", "1", "1 x", "2 1\n1 1", "-1 1", "1 -1", "1 nan", "1e99 1"] {
            assert_eq!(seconds_of(odd), None, "{odd}");
        }
    }

    #[test]
    fn the_traces_are_the_ones_that_their_seeds_give() {
        let mut made = generate();
        made.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(recorded(), made, "cargo run -p tests --bin abr -- traces writes them");
    }
}
