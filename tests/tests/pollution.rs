//! Viewers that send wrong bytes, on a virtual network: what the others append, and how long they put up with it.

use player_core::Player;
use tests::simulation::{Hashes, Pollution, Report, World};

/// A channel with one to three liars among ten viewers.
fn run(hashes: Hashes, pollution: Pollution) -> Report {
    let mut world = World { seconds: 60.0, polluter_share: 0.2, pollution, ..World::live(10) };
    world.title.hashes = hashes;
    for seed in 1..20 {
        world.seed = seed;
        let report = world.run::<Player>();
        assert_eq!(report.violations, Vec::<String>::new());
        let liars = report.viewers.iter().filter(|viewer| viewer.traits.contains('p')).count();
        if (1..=3).contains(&liars) && report.polluted_pairs.0 > 0 {
            return report;
        }
    }
    panic!("no seed has liars whom somebody asked")
}

fn text(report: &Report) -> String {
    let errors: Vec<&String> = report.viewers.iter().flat_map(|v| &v.errors).collect();
    format!("{}\n{}\n{errors:?}", report.summary(), report.table(60))
}

#[test]
fn with_hash_lists_no_wrong_byte_is_appended_and_liars_are_banned() {
    for pollution in
        [Pollution::Noise, Pollution::Flip, Pollution::Swap, Pollution::Cut, Pollution::Lists]
    {
        let report = run(Hashes::Roots, pollution);
        let (_, late, _) = report.polluted_pairs;
        assert_eq!((report.corrupt_bytes, late), (0, 0), "{pollution:?}\n{}", text(&report));
        assert_eq!(report.rebuffers, 0, "{pollution:?}\n{}", text(&report));
        // Whoever is banned everywhere takes a copy of its own.
        assert!(
            report.honest_origin_copies.is_some_and(|copies| copies <= 2.0),
            "{pollution:?}\n{}",
            text(&report)
        );
    }
}

#[test]
fn a_tenth_of_liars_costs_the_honest_nothing() {
    let (mut all, mut pairs) = (Vec::new(), 0);
    for seed in 1..=6 {
        let mut world = World { seed, seconds: 75.0, polluter_share: 0.1, ..World::live(20) };
        world.title.hashes = Hashes::Roots;
        let report = world.run::<Player>();
        assert_eq!(report.violations, Vec::<String>::new());
        let (lied_to, unbanned, _) = report.polluted_pairs;
        pairs += lied_to;
        assert_eq!(
            (unbanned, report.corrupt_bytes, report.rebuffers),
            (0, 0, 0),
            "{}",
            text(&report)
        );
        let links = report.viewers.iter().map(|viewer| viewer.connections).max();
        assert!(links <= Some(60), "banned peers come back over and over: {}", text(&report));
        all.push((report.late_origin_copies, report.honest_origin_copies));
    }
    assert!(pairs >= 20, "hardly anybody was lied to");
    // Whom everybody has banned takes a copy of its own: with two of twenty that is three.
    let mean = |of: Vec<Option<f64>>| of.into_iter().flatten().sum::<f64>() / all.len() as f64;
    assert!(mean(all.iter().map(|(_, honest)| *honest).collect()) <= 1.5, "{all:?}");
    assert!(mean(all.iter().map(|(k, _)| *k).collect()) <= 3.0, "{all:?}");
}

#[test]
fn with_hashes_of_whole_segments_no_wrong_byte_is_appended() {
    let report = run(Hashes::Whole, Pollution::Flip);
    assert_eq!((report.corrupt_bytes, report.rebuffers), (0, 0), "{}", text(&report));
}

#[test]
fn spot_checks_find_who_sends_nothing_but_noise() {
    let report = run(Hashes::None, Pollution::Noise);
    let (_, late, _) = report.polluted_pairs;
    assert_eq!((report.corrupt_bytes, late), (0, 0), "{}", text(&report));
}

#[test]
fn honest_viewers_share_as_much_with_hash_lists_as_without() {
    let copies = |hashes| {
        let mut world = World { seconds: 60.0, ..World::live(8) };
        world.title.hashes = hashes;
        let report = world.run::<Player>();
        assert_eq!((report.corrupt_bytes, report.rebuffers), (0, 0), "{}", text(&report));
        report.late_origin_copies.expect("segments after the last join")
    };
    let (with, without) = (copies(Hashes::Roots), copies(Hashes::None));
    assert!(with <= without + 0.3, "{with} copies with hash lists, {without} without");
}
