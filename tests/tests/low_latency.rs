//! What must hold of low-latency channels, on a virtual network.

use player_core::Player;
use tests::simulation::{Report, Title, World};

/// A channel of 4 s segments in ten parts, at 1 Mbit/s.
fn channel(viewers: u32) -> World {
    let title = Title::low_latency(vec![1_000_000], 4.0, 10, 1.6);
    World { seconds: 60.0, ..World::of(title, viewers) }
}

fn run(world: &World) -> Report {
    let log = std::env::var("SIMULATION_LOG").ok().and_then(|viewer| viewer.parse().ok());
    let report = World { log, ..world.clone() }.run::<Player>();
    assert_eq!(report.violations, Vec::<String>::new(), "the contract with the shell");
    assert_eq!(report.corrupt_bytes, 0, "every appended byte is the origin's");
    report
}

fn text(report: &Report) -> String {
    let errors: Vec<&String> = report.viewers.iter().flat_map(|v| &v.errors).collect();
    let (blocking, delta) = (report.blocking_reloads, report.delta_updates);
    let hinted = report.hinted_parts;
    format!(
        "{}\n{blocking} blocking reloads, {delta} delta updates, {hinted} hinted parts\n{}\n{errors:?}",
        report.summary(),
        report.table(20)
    )
}

fn assert_low(report: &Report, most: f64) {
    let latency = report.live_latency.expect("it plays");
    assert!(latency.p95 <= most, "{latency:?}\n{}", text(report));
    assert_eq!(report.rebuffers, 0, "{}", text(report));
}

#[test]
fn a_single_viewer_is_close_to_the_edge_and_asks_for_each_part_before_it_is_made() {
    let report = run(&channel(1));
    assert_low(&report, 3.0);
    assert!(report.hinted_parts > 100, "{}", text(&report));
    assert!(report.blocking_reloads > 100, "{}", text(&report));
    assert!(report.delta_updates > 50, "{}", text(&report));
    assert!((report.origin_copies - 1.0).abs() < 0.01, "{}", text(&report));
}

#[test]
fn eight_viewers_share_the_parts() {
    let report = run(&World { seconds: 90.0, ..channel(8) });
    assert_low(&report, 3.0);
    assert!(report.offload > 0.5, "{}", text(&report));
}
