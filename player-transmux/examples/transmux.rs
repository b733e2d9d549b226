//! Transmuxes segments, one after another, into a file, or measures how fast that goes:
//! `transmux OUT.mp4 SEGMENT…` or `transmux --speed SEGMENT…` (build with `--release`).

use std::fs;
use std::time::Duration;

use player_transmux::{Transmuxed, Transmuxer};

#[allow(clippy::disallowed_methods)]
fn main() {
    let mut words = std::env::args().skip(1);
    let Some(out) = words.next() else {
        eprintln!("transmux OUT.mp4 SEGMENT…  or  transmux --speed SEGMENT…");
        return;
    };
    let mut segments = Vec::new();
    for path in words {
        match fs::read(&path) {
            Ok(bytes) => segments.push(bytes),
            Err(error) => eprintln!("{path}: {error}"),
        }
    }
    if out != "--speed" {
        let made = transmux(&segments, true);
        if let Err(error) = fs::write(&out, made) {
            eprintln!("{out}: {error}");
        }
        return;
    }
    let bytes: usize = segments.iter().map(Vec::len).sum();
    let (mut best, mut total, mut runs) = (Duration::MAX, Duration::ZERO, 0u32);
    while total < Duration::from_secs(3) {
        let start = std::time::Instant::now();
        let made = transmux(&segments, false);
        let took = start.elapsed();
        assert!(!made.is_empty(), "nothing came out");
        best = best.min(took);
        total += took;
        runs += 1;
    }
    let rate = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    eprintln!(
        "{bytes} bytes: best {:.0} MB/s, mean of {runs} runs {:.0} MB/s",
        rate(best),
        rate(total / runs)
    );
}

fn transmux(segments: &[Vec<u8>], tell: bool) -> Vec<u8> {
    let mut transmuxer = Transmuxer::new();
    let mut out = Vec::new();
    for segment in segments {
        transmuxer.begin(false);
        for piece in segment.chunks(64 * 1024) {
            if let Err(error) = transmuxer.push(piece) {
                eprintln!("{error}");
                break;
            }
            drain(&mut transmuxer, &mut out, tell);
        }
        if let Err(error) = transmuxer.end() {
            eprintln!("{error}");
        }
        drain(&mut transmuxer, &mut out, tell);
    }
    if let Err(error) = transmuxer.finish() {
        eprintln!("{error}");
    }
    drain(&mut transmuxer, &mut out, tell);
    out
}

fn drain(transmuxer: &mut Transmuxer, out: &mut Vec<u8>, tell: bool) {
    while let Some(result) = transmuxer.poll() {
        match result {
            Transmuxed::Init { data, codecs } => {
                out.extend(data);
                if tell {
                    eprintln!("init: {codecs}");
                }
            }
            Transmuxed::Media { data, start, duration } => {
                out.extend(&data);
                if tell {
                    eprintln!("media: {start:.3} s, {duration:.3} s, {} bytes", data.len());
                }
            }
        }
    }
}
