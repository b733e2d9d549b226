//! What must hold of the real core, on a virtual network.

use player_core::config::P2pMode;
use player_core::io::{Input, Output};
use player_core::stats::Stats;
use player_core::wire::Message;
use player_core::{Config, Instant, Player};
use tests::simulation::{
    Action, Bar, Engine, Fault, FaultKind, MOST_CONTROL, MOST_DUPLICATES, Ranges, Report, Step,
    Title, ViewerReport, World, cases,
};

/// Runs a world, and checks what holds in each.
fn run(world: &World) -> Report {
    run_as::<Player>(world)
}

fn run_as<E: Engine>(world: &World) -> Report {
    // To look into a failure: the number of the viewer whose inputs and outputs to print.
    let log = std::env::var("SIMULATION_LOG").ok().and_then(|viewer| viewer.parse().ok());
    let report = World { log, ..world.clone() }.run::<E>();
    assert_eq!(report.violations, Vec::<String>::new(), "the contract with the shell");
    if world.polluter_share == 0.0 {
        assert_eq!(report.corrupt_bytes, 0, "every appended byte is the origin's");
    }
    report
}

fn text(report: &Report) -> String {
    let errors: Vec<&String> = report.viewers.iter().flat_map(|v| &v.errors).collect();
    format!("{}\n{}\n{errors:?}", report.summary(), report.table(60))
}

/// Everyone who stayed for `seconds` played smoothly.
fn assert_smooth(report: &Report) {
    assert_eq!(report.rebuffers, 0, "{}", text(report));
    for viewer in &report.viewers {
        let until = viewer.left.unwrap_or(report.setting.seconds);
        if until - viewer.joined > 5.0 {
            assert!(viewer.first_frame.is_some(), "viewer {}\n{}", viewer.viewer, text(report));
        }
        assert!(viewer.errors.is_empty(), "{:?}", viewer.errors);
    }
}

fn fault(from: f64, until: f64, kind: FaultKind) -> Fault {
    Fault { from, until, kind }
}

#[test]
fn the_small_cases_of_the_table_hold_with_their_first_seed() {
    let cases = cases(10, "");
    assert!(cases.len() >= 6, "{}", cases.len());
    for case in cases {
        let report = run(&case.world);
        assert_smooth(&report);
        let copies = report.late_origin_copies.unwrap_or(report.origin_copies);
        let within = match case.bar {
            Bar::Copies(most) => copies <= most,
            Bar::Offload(least) => report.offload >= least,
            Bar::FirstFrame(most) => report.first_frame.p95 <= most,
            Bar::Honest(most) => report.honest_origin_copies.is_some_and(|copies| copies <= most),
        };
        let (control, duplicates) = (report.control_share, report.duplicate_share);
        let cheap = control <= MOST_CONTROL && duplicates <= MOST_DUPLICATES;
        assert!(within && cheap, "{}, {:?}\n{}", case.name, case.bar, text(&report));
    }
}

#[test]
fn a_single_viewer_plays_a_film_to_its_end_from_one_copy() {
    let report = run(&World { seconds: 80.0, ..World::vod(1) });
    let viewer = &report.viewers[0];
    assert!(viewer.ended && (viewer.played - 60.0).abs() < 0.1, "{}", text(&report));
    assert_smooth(&report);
    assert!((report.origin_copies - 1.0).abs() < 1e-6, "{}", text(&report));
    assert_eq!(viewer.peer_bytes, 0);
}

#[test]
fn twenty_viewers_of_a_film_cost_the_origin_little() {
    let mut world = World { seconds: 330.0, churn_per_minute: 0.05, ..World::vod(20) };
    world.title = Title::new(vec![1_000_000], 4.0, Some(300.0));
    let report = run(&world);
    assert_smooth(&report);
    assert!(report.origin_copies <= 1.5, "{}", text(&report));
}

#[test]
fn twenty_viewers_of_a_channel_cost_the_origin_little() {
    let world = World { seconds: 120.0, churn_per_minute: 0.05, ..World::live(20) };
    let report = run(&world);
    assert_smooth(&report);
    assert!(report.late_origin_copies.is_some_and(|k| k <= 1.5), "{}", text(&report));
}

#[test]
fn a_second_viewer_takes_most_from_the_first() {
    // Whose turn it is at the origin is a matter of names: of several pairs the mean counts.
    let shares = (1..=5).map(|seed| {
        let world = World { seed, seconds: 80.0, join_spacing: 5.0, ..World::vod(2) };
        let report = run(&world);
        assert_smooth(&report);
        let second = &report.viewers[1];
        let share = second.peer_bytes as f64 / (second.peer_bytes + second.http_bytes) as f64;
        assert!(share >= 0.8, "{share}\n{}", text(&report));
        assert!(report.origin_copies <= 1.1, "{}", text(&report));
        share
    });
    let shares: Vec<f64> = shares.collect();
    assert!(shares.iter().sum::<f64>() / 5.0 >= 0.7, "{shares:?}");
}

#[test]
fn who_meets_a_peer_that_has_it_all_takes_the_first_seconds_from_the_origin_and_no_more() {
    for seed in 1..=6 {
        let world = World { seed, uplink_bps: 4_000_000, join_spacing: 10.0, ..World::vod(2) };
        let report = run(&world);
        assert_smooth(&report);
        // Four blocks of the first segment, which play two seconds, and the initialization section.
        let from_origin = report.viewers[1].http_bytes;
        assert!(from_origin < 5 * 65_536, "{from_origin}\n{}", text(&report));
    }
}

#[test]
fn two_viewers_of_a_film_give_to_each_other_where_uplinks_just_suffice() {
    for seed in 1..=3 {
        let mut world = World { seed, seconds: 180.0, join_spacing: 5.0, ..World::vod(2) };
        world.title = Title::new(vec![1_000_000], 4.0, Some(150.0));
        world.uplink_bps = 1_000_000;
        let report = run(&world);
        assert_smooth(&report);
        // The half of what headers leave of its uplink, 46 %, is the most that the first alone could bring the second.
        assert!(report.offload >= 0.45, "{}", text(&report));
        let gives = |of: &ViewerReport| of.uploaded_bytes > 3_000_000;
        assert!(report.viewers.iter().all(gives), "{}", text(&report));
    }
}

#[test]
fn a_peer_that_falls_silent_costs_nobody_a_standstill() {
    // What became of it is not known for the time it takes a browser to call the connection lost, or ever.
    for dead_after in [14.0, 1e4] {
        for (muxed, vanishes) in (0..24).map(|step| (step % 2 == 0, 16.0 + f64::from(step) * 0.37))
        {
            let mut world = World { seconds: 70.0, join_spacing: 6.0, dead_after, ..World::vod(2) };
            world.title.muxed = muxed;
            world.config.forward_buffer = 8.0;
            world.config.peer_buffer = 10.0;
            world.script = vec![Step { at: vanishes, action: Action::Vanish(0) }];
            let report = run(&world);
            assert_eq!(report.rebuffers, 0, "{dead_after} {muxed} {vanishes}\n{}", text(&report));
        }
    }
}

#[test]
fn a_swarm_that_loses_its_tracker_makes_its_mesh_whole_and_keeps_it() {
    let mut world = World { seconds: 75.0, join_spacing: 0.25, ..World::live(16) };
    // All have announced themselves, and most know a few of the others.
    world.script = vec![Step { at: 4.5, action: Action::Tracker(false) }];
    let gone = [(20.0, 3), (22.0, 7), (24.0, 0), (26.0, 12)];
    world.script.extend(gone.map(|(at, viewer)| Step { at, action: Action::Vanish(viewer) }));
    let report = run(&world);
    assert_smooth(&report);
    assert!(report.late_origin_copies.is_some_and(|k| k <= 1.3), "{}", text(&report));
    for viewer in report.viewers.iter().filter(|viewer| viewer.left.is_none()) {
        assert!(viewer.connections >= 15, "viewer {}\n{}", viewer.viewer, text(&report));
    }
}

#[test]
fn joining_costs_the_tracker_a_few_messages() {
    let report = run(&World { seconds: 59.0, join_spacing: 2.5, ..World::live(20) });
    assert_smooth(&report);
    for viewer in &report.viewers {
        assert!(viewer.connections >= 19, "viewer {}\n{}", viewer.viewer, text(&report));
    }
    // An announce of each, and the answers to its two offers, or to one of them once the swarm is settled: 57 if all were.
    assert!(report.tracker_messages <= 54, "{}", text(&report));
}

#[test]
fn what_came_late_while_others_joined_makes_nobody_ask_for_more_afterwards() {
    let mut world = World { seed: 6, seconds: 90.0, join_spacing: 2.0 / 3.0, ..World::live(30) };
    world.title.hold_back = Some(14.0);
    let report = run(&world);
    assert_smooth(&report);
    assert!(report.late_origin_copies.is_some_and(|k| k <= 1.05), "{}", text(&report));
}

/// The first thirteen are all connected to each other before the others come.
fn outgrown() -> World {
    let mut world = World { seconds: 90.0, ..World::live(40) };
    world.config.max_peers = 12;
    world
}

#[test]
fn a_swarm_that_outgrows_its_mesh_stays_one() {
    let report = run(&outgrown());
    assert_smooth(&report);
    let copies = report.late_origin_copies.unwrap();
    assert!(copies < 2.4, "{copies} copies\n{}", text(&report));
    // Whoever leads brings the first of a segment, and others a block or two each.
    for segment in &report.segments {
        if (48.0..72.0).contains(&segment.published) {
            assert!(segment.requests >= 5, "{segment:?}\n{}", text(&report));
        }
    }
}

/// A player that brings nothing of what others leave to it.
struct Heedless(Player);

impl Engine for Heedless {
    fn new(config: Config, seed: u64) -> Self {
        Self(Player::new(config, seed))
    }

    fn handle_input(&mut self, now: Instant, input: Input) {
        if !matches!(input, Input::PeerMessage(_, Message::Handover { .. })) {
            self.0.handle_input(now, input);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.0.poll_output()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }

    fn stats(&self, now: Instant) -> Stats {
        self.0.stats(now)
    }
}

#[test]
fn what_is_left_to_the_heedless_whoever_leads_brings() {
    let report = run_as::<Heedless>(&outgrown());
    assert_smooth(&report);
    let copies = report.late_origin_copies.unwrap();
    assert!(copies < 2.4, "{copies} copies\n{}", text(&report));
}

#[test]
fn live_with_peers_is_no_later_than_without() {
    let world = World { seconds: 60.0, ..World::live(3) };
    let with = run(&world);
    let mut world = world;
    world.config.p2p = P2pMode::Off;
    let without = run(&world);
    assert_smooth(&with);
    assert_smooth(&without);
    let [with, without] = [with, without].map(|report| report.live_latency.expect("it plays").p50);
    assert!(with <= without + 0.5, "{with} s with peers, {without} s without");
}

#[test]
fn a_seed_replays_bit_for_bit_and_another_does_not() {
    let world =
        |seed| World { seed, seconds: 40.0, loss: 0.005, churn_per_minute: 0.5, ..World::live(8) };
    let (first, again, other) = (run(&world(1)), run(&world(1)), run(&world(2)));
    assert_eq!(first.trace_hash, again.trace_hash);
    assert_eq!((first.outputs, first.events), (again.outputs, again.events));
    assert_ne!(first.trace_hash, other.trace_hash);
}

#[test]
fn threads_change_nothing() {
    let world = World {
        seconds: 30.0,
        join_spacing: 0.2,
        loss: 0.005,
        nat_share: 0.3,
        churn_per_minute: 1.5,
        origin_limit_bps: Some(10_000_000),
        ..World::live(30)
    };
    let [one, two, five] = [1, 2, 5].map(|threads| {
        let mut progress = Vec::new();
        let report = world.run_with::<Player>(threads, |second, viewers| {
            progress.push((second, viewers));
        });
        (format!("{report:?}"), progress, report)
    });
    assert!(one.2.offload > 0.3, "{}", text(&one.2));
    assert!(one.2.viewers.len() > 35, "some leave");
    assert!((&one.0, &one.1) == (&two.0, &two.1), "{}\n{}", text(&one.2), text(&two.2));
    assert!((&one.0, &one.1) == (&five.0, &five.1), "{}\n{}", text(&one.2), text(&five.2));
}

#[test]
fn messages_through_the_codec_change_nothing() {
    let world = |wire| World { wire, seconds: 40.0, churn_per_minute: 0.3, ..World::vod(6) };
    let (plain, wire) = (run(&world(false)), run(&world(true)));
    assert!(plain.offload > 0.2, "{}", text(&plain));
    assert_eq!(plain.trace_hash, wire.trace_hash);
}

#[test]
fn viewers_who_join_at_an_origin_with_a_thin_line_wait_for_nothing_that_is_due_later() {
    // Six times the stream's rate for eight viewers within as many seconds. A whole segment of the last two who join takes a third
    // of the line for 2 s.
    for (muxed, most, mean) in [(false, 1.8, 0.8), (true, 2.8, 2.0)] {
        let mut late = Vec::new();
        let mut first_frame = 0.0;
        for seed in 1..=20 {
            let mut world =
                World { seed, seconds: 15.0, origin_limit_bps: Some(6_000_000), ..World::live(8) };
            (world.title.window, world.title.muxed) = (6, muxed);
            let report = run(&world);
            assert_smooth(&report);
            first_frame += report.first_frame.p95 / 20.0;
            if report.first_frame.p95 > most {
                late.push(text(&report));
            }
        }
        assert_eq!(late.len(), 0, "{}", late.join("\n"));
        assert!(first_frame <= mean, "muxed: {muxed}, {first_frame} s");
    }
}

#[test]
fn a_few_viewers_carry_each_other_where_the_origin_cannot_serve_them_all() {
    // Four times the stream's rate for eight. If each asks for what it lacks, nobody gets it in time, a sixth of the first minute
    // and more of the next is standing still, and the uplinks lie idle, for ever.
    let mut standing = 0.0;
    for seed in 1..=8 {
        let world =
            World { seed, seconds: 60.0, origin_limit_bps: Some(4_000_000), ..World::live(8) };
        let report = run(&world);
        standing += report.rebuffer_ratio / 8.0;
        assert!(report.rebuffer_ratio <= 0.006, "{}", text(&report));
        assert!(report.first_frame.p95 <= 6.0, "{}", text(&report));
        assert!(report.late_origin_copies.is_some_and(|k| k <= 1.3), "{}", text(&report));
    }
    assert!(standing <= 0.002, "{standing}");
}

#[test]
fn a_few_viewers_far_from_the_edge_do_not_stand_still_where_the_origin_is_thin() {
    let (mut stalled, mut duplicates) = (0.0, 0.0);
    for seed in 1..=8 {
        let mut world = World { seed, seconds: 40.0, ..World::live(8) };
        world.origin_limit_bps = Some(6_000_000);
        world.title.hold_back = Some(14.0);
        let report = run(&world);
        stalled += report.rebuffer_seconds;
        duplicates += report.duplicate_share / 8.0;
    }
    // 12 s if nobody may be asked for a block that is late, and the origin not either while peers hold it.
    assert!(stalled < 1.0, "nothing moved for {stalled} s");
    // 1.4 % if a response goes on through what peers have brought meanwhile.
    assert!(duplicates < 0.007, "{:.2} % of the media came twice", 100.0 * duplicates);
}

#[test]
fn so_do_those_of_a_film_and_of_a_low_latency_channel() {
    let film = World { seconds: 70.0, ..World::vod(8) };
    let title = Title::low_latency(vec![1_000_000], 4.0, 10, 1.6);
    let channel = World { seconds: 60.0, ..World::of(title, 8) };
    for mut world in [film, channel] {
        world.origin_limit_bps = Some(4_000_000);
        let mut copies = 0.0;
        for seed in 1..=4 {
            let report = run(&World { seed, ..world.clone() });
            // An eighth of the time, and half of it, if each asks for what it lacks.
            assert!(report.rebuffer_ratio <= 0.01, "{}", text(&report));
            copies += report.origin_copies / 4.0;
        }
        assert!(copies <= 1.6, "{copies}");
    }
}

#[test]
fn viewers_whose_own_lines_are_thin_see_as_much_as_without_peers() {
    // Twice the stream's rate, and 1.4 times it. If what peers send ahead of time delays what is due, and their share of the line is
    // taken for a crowd's, the first pictures take up to 6 s, and each viewer stands still for a seventh of the time.
    for (ratio, standing, later) in [(2.0, 0.001, 0.3), (1.4, 0.005, 0.8)] {
        let title = Title::new(vec![3_000_000], 4.0, Some(200.0));
        let channel = Title::new(vec![3_000_000], 4.0, None);
        for title in [title, channel] {
            let mut world = World { seconds: 70.0, join_spacing: 2.0, ..World::of(title, 10) };
            world.downlink_bps = (3e6 * ratio) as u64;
            let shared = run(&world);
            world.config.p2p = P2pMode::Off;
            let alone = run(&world);
            assert_smooth(&alone);
            assert!(shared.rebuffer_ratio <= standing, "{ratio}\n{}", text(&shared));
            let wait = shared.first_frame.p95 - alone.first_frame.p95;
            assert!(wait <= later, "{ratio}, {wait} s\n{}", text(&shared));
            assert!(shared.origin_copies <= alone.origin_copies / 2.5, "{}", text(&shared));
        }
    }
}

#[test]
fn viewers_whose_own_lines_are_thin_see_the_variant_that_fits_and_do_not_stand_still() {
    // If the origin's share of a line that peers' bytes fill is taken for all that it can bring, viewers fall to a variant
    // that leaves it half empty, rise again, and stand still as often as there are viewers.
    for downlink_mbps in [3.5, 8.0] {
        let (mut standing, mut share) = (0.0, 0.0);
        for seed in 1..=4 {
            let title = Title::new(vec![500_000, 1_000_000, 2_500_000, 5_000_000], 4.0, None);
            let mut world =
                World { seed, seconds: 80.0, join_spacing: 2.0, ..World::of(title, 10) };
            world.downlink_bps = (downlink_mbps * 1e6) as u64;
            let media = |report: &Report| {
                let bytes = |v: &ViewerReport| (v.http_bytes + v.peer_bytes) as f64 / v.played;
                report.viewers.iter().map(bytes).sum::<f64>()
            };
            let shared = run(&world);
            world.config.p2p = P2pMode::Off;
            standing += shared.rebuffer_ratio / 4.0;
            share += media(&shared) / media(&run(&world)) / 4.0;
        }
        assert!(standing <= 0.005, "{downlink_mbps} Mbit/s: {standing}");
        assert!(share >= 0.7, "{downlink_mbps} Mbit/s: {share}");
    }
}

#[test]
fn a_line_that_gives_at_once_what_it_has_saved_up_is_not_taken_for_fast() {
    // What single blocks come at, after a pause, says nothing of what the line carries (a token bucket, as most providers have).
    // If it counts, viewers choose variants of more than twice that, and stand still for a tenth of the time and more.
    let mut standing = 0.0;
    for downlink_mbps in [2.0, 3.5, 5.0] {
        for film_seconds in [None, Some(200.0)] {
            let bitrates = vec![500_000, 1_000_000, 2_500_000, 5_000_000];
            let title = Title::new(bitrates, 4.0, film_seconds);
            let mut world = World { seconds: 80.0, join_spacing: 2.0, ..World::of(title, 10) };
            world.downlink_bps = (downlink_mbps * 1e6) as u64;
            world.downlink_burst_us = 300_000;
            standing += run(&world).rebuffer_ratio / 6.0;
        }
    }
    assert!(standing <= 0.01, "{standing}");
}

#[test]
fn viewers_who_join_leave_new_segments_to_those_who_have_been_there() {
    // Six viewers of a channel, one a second, while two segments are published.
    let mut copies = 0.0;
    for seed in 1..=6 {
        let mut world = World { seed, seconds: 20.0, ..World::live(6) };
        world.title.window = 6;
        let report = run(&world);
        assert_smooth(&report);
        let all = report.origin_media_bytes as f64;
        copies += all / 500_012.0 - report.distinct_segments as f64;
    }
    // Half a segment each, with which they begin, and a few blocks; not the new segments twice.
    assert!(copies / 6.0 <= 4.3, "{:.2} copies beyond one of each segment", copies / 6.0);
}

#[test]
fn an_origin_that_is_out_for_five_seconds_is_not_noticed() {
    for kind in [FaultKind::Status(503), FaultKind::Truncate, FaultKind::Gone] {
        let mut world = World { seconds: 90.0, ..World::vod(2) };
        world.faults = vec![fault(8.0, 13.0, kind)];
        let report = run(&world);
        assert_smooth(&report);
        assert!(report.viewers.iter().all(|v| v.ended), "{kind:?}\n{}", text(&report));
    }
}

#[test]
fn viewers_of_a_film_whose_uplinks_do_not_suffice_hold_a_reserve() {
    // If what peers cannot bring is asked of the origin at the last moment that is safe, two seconds are buffered all along,
    // and all stand still when the origin is out for five.
    let mut copies = 0.0;
    for (viewers, uplink) in [(2, 0.5), (5, 0.7), (10, 1.0)] {
        let title = Title::new(vec![1_000_000], 4.0, Some(160.0));
        let mut world = World { seconds: 200.0, join_spacing: 5.0, ..World::of(title, viewers) };
        world.uplink_bps = (1e6 * uplink) as u64;
        world.faults = vec![fault(110.0, 115.0, FaultKind::Status(503))];
        let report = run(&world);
        assert_smooth(&report);
        copies += report.origin_copies;
    }
    // Hardly more than what they ask for at the last moment.
    assert!(copies <= 7.0, "{copies}");
}

#[test]
fn an_origin_that_ignores_ranges_sends_each_segment_about_once_all_the_same() {
    // It answers a request for some blocks with the whole file: 38 and 27 copies if they are asked for nevertheless.
    let channel = World { seconds: 60.0, origin_ranges: Ranges::Ignored, ..World::live(8) };
    let report = run(&channel);
    assert_smooth(&report);
    assert!(report.late_origin_copies.is_some_and(|k| k <= 1.1), "{}", text(&report));

    let title = Title::new(vec![1_000_000], 4.0, Some(120.0));
    let film = World { seconds: 100.0, join_spacing: 4.0, ..World::of(title, 6) };
    let report = run(&World { origin_ranges: Ranges::Ignored, ..film });
    assert_smooth(&report);
    assert!(report.origin_copies <= 1.4, "{}", text(&report));

    // 222 s if each block is drawn for, and whoever asks for one of them brings all.
    let crowd = World { seconds: 50.0, join_spacing: 0.05, ..World::live(60) };
    let limit = Some(20_000_000);
    let report = run(&World { origin_ranges: Ranges::Ignored, origin_limit_bps: limit, ..crowd });
    assert!(report.rebuffer_seconds < 30.0, "{}", text(&report));
}

#[test]
fn an_origin_whose_sizes_cannot_be_seen_is_asked_for_segments_whole_at_first() {
    // A part would be taken for all of its segment: wrong bytes, then a stream that cannot be decoded.
    let hidden = |world: World| World { origin_ranges: Ranges::Unsized, ..world };
    let report = run(&hidden(World { seconds: 60.0, ..World::live(8) }));
    assert_smooth(&report);
    assert!(report.late_origin_copies.is_some_and(|k| k <= 1.1), "{}", text(&report));

    let mut partial = World { seconds: 60.0, ..World::live(30) };
    partial.config.max_peers = 10;
    let report = run(&hidden(partial));
    assert_smooth(&report);
    assert!(report.origin_copies <= 4.0, "{}", text(&report));

    let scarce = World { seconds: 60.0, uplink_bps: 500_000, ..World::live(8) };
    assert_smooth(&run(&hidden(scarce)));

    let title = Title::new(vec![1_000_000], 4.0, Some(120.0));
    let film = World { seconds: 100.0, join_spacing: 4.0, ..World::of(title, 6) };
    let report = run(&hidden(film));
    assert_smooth(&report);
    assert!(report.origin_copies <= 1.4, "{}", text(&report));
}

#[test]
fn an_origin_that_compresses_segments_unseen_is_asked_for_them_as_they_are() {
    // More came than `Content-Length` said, and what did was left out: a stream that cannot be decoded.
    for (viewers, most) in [(1, 0.0), (8, 3.0)] {
        let world = World { seconds: 60.0, origin_compresses: true, ..World::live(viewers) };
        let report = run(&world);
        assert!(report.rebuffer_seconds <= most, "{}", text(&report));
        let errors = report.viewers.iter().all(|viewer| viewer.errors.is_empty());
        assert!(errors && report.without_frame == 0, "{}", text(&report));
    }
}

#[test]
fn an_origin_that_hangs_is_given_up_and_asked_again() {
    let mut world = World { seconds: 120.0, ..World::vod(1) };
    world.faults = vec![fault(6.0, 11.0, FaultKind::Hang)];
    let report = run(&world);
    assert!(report.viewers[0].ended, "{}", text(&report));
}

#[test]
fn an_origin_is_asked_for_what_scarce_uplinks_lack_though_its_line_is_thin() {
    let seconds = 100.0;
    let mut stalled = 0.0;
    for seed in 1..3 {
        let mut world = World { seed, seconds, uplink_bps: 500_000, ..World::live(12) };
        world.origin_limit_bps = Some(12_000_000);
        world.title.hold_back = Some(14.0);
        stalled += run(&world).rebuffer_seconds;
    }
    // 7 % of the time if all wait for peers as a crowd does.
    let share = stalled / (2.0 * 12.0 * seconds);
    assert!(share < 0.02, "{:.1} % of the time nothing moved", 100.0 * share);
}

#[test]
fn segments_of_a_second_or_two_are_shared_though_their_viewers_are_near_the_edge() {
    // 5.2, 3.1 and 3.0 copies if peers were relied on for no longer than where there is time.
    for (viewers, segment, hold_back, most) in
        [(8, 1.0, 3.0, 1.4), (12, 1.0, 4.0, 1.2), (8, 2.0, 4.0, 1.45)]
    {
        let mut copies = 0.0;
        for seed in 1..=16 {
            let mut title = Title::new(vec![1_000_000], segment, None);
            title.hold_back = Some(hold_back);
            let report = run(&World { seed, seconds: 60.0, ..World::of(title, viewers) });
            assert_smooth(&report);
            copies += report.late_origin_copies.expect("segments come out after the last join");
        }
        let copies = copies / 16.0;
        assert!(copies <= most, "{viewers} viewers, {segment} s: {copies}");
    }
}

#[test]
fn an_origin_of_a_broadcast_that_is_back_is_asked_again_soon() {
    let mut world = World { seconds: 80.0, ..World::live(10) };
    world.faults = vec![fault(40.0, 50.0, FaultKind::Status(503))];
    let report = run(&world);
    // What has been published before plays until second 48. 6.4 s if it is asked every eight seconds by then.
    assert!(report.rebuffer_seconds / 10.0 < 2.0, "{}", text(&report));
}

#[test]
fn an_origin_gone_for_good_is_replaced_by_a_peer_that_has_everything() {
    let mut world = World { seconds: 160.0, join_spacing: 60.0, ..World::vod(2) };
    // The first has watched it all when the second joins; ten seconds later the origin goes.
    world.faults = vec![fault(70.0, 1e9, FaultKind::Gone)];
    let report = run(&world);
    assert_eq!(report.rebuffers, 0, "{}", text(&report));
    assert!(report.viewers[1].ended, "{}", text(&report));
}

#[test]
fn a_viewer_without_origin_and_peers_waits_and_recovers() {
    let mut world = World { seconds: 300.0, ..World::vod(1) };
    world.title = Title::new(vec![1_000_000], 4.0, Some(160.0));
    world.faults = vec![fault(5.0, 120.0, FaultKind::Status(503))];
    let report = run(&world);
    let viewer = &report.viewers[0];
    assert!(viewer.ended && viewer.rebuffers >= 1, "{}", text(&report));
    assert!(viewer.rebuffer_seconds < 120.0, "{}", text(&report));
}

#[test]
fn a_peer_that_leaves_in_the_middle_is_not_noticed() {
    for action in [Action::Leave(0), Action::Vanish(0)] {
        let mut world = World { seconds: 90.0, join_spacing: 5.0, ..World::vod(2) };
        world.script = vec![Step { at: 30.0, action }];
        let report = run(&world);
        assert_smooth(&report);
        assert!(report.viewers[1].ended, "{action:?}\n{}", text(&report));
    }
}

#[test]
fn without_a_tracker_it_plays_from_the_origin() {
    for at in [0.0, 10.0] {
        let mut world = World { seconds: 80.0, ..World::vod(3) };
        world.script = vec![Step { at, action: Action::Tracker(false) }];
        let report = run(&world);
        assert_smooth(&report);
        assert!(report.viewers.iter().all(|v| v.ended), "{}", text(&report));
        if at == 0.0 {
            assert!((report.origin_copies - 3.0).abs() < 0.05, "{}", text(&report));
        }
    }
}

#[test]
fn a_full_source_buffer_is_lived_with() {
    let mut world = World { seconds: 110.0, ..World::vod(1) };
    world.title = Title::new(vec![4_000_000], 4.0, Some(90.0));
    // Twelve seconds of it.
    world.quota_bytes = Some(6_000_000);
    let report = run(&world);
    let viewer = &report.viewers[0];
    assert!(viewer.quota_failures > 0, "the case is the one meant\n{}", text(&report));
    assert!(viewer.ended, "{}", text(&report));
    assert_smooth(&report);
}

#[test]
fn seeks_forward_and_back_find_their_place() {
    for seed in [1, 2, 3, 13, 16, 20, 24] {
        let mut world = World { seed, seconds: 90.0, join_spacing: 3.0, ..World::vod(3) };
        world.title = Title::new(vec![1_000_000], 4.0, Some(120.0));
        let seek = |at, viewer, to| Step { at, action: Action::Seek(viewer, to) };
        world.script = vec![
            seek(10.0, 0, 70.0),
            seek(20.0, 0, 2.0),
            seek(21.0, 0, 50.0),
            seek(21.1, 0, 90.0),
            seek(25.0, 1, 100.0),
            // Into the last block of the last segment, which peers bring block by block.
            seek(40.0, 2, 119.5),
        ];
        let report = run(&world);
        assert_smooth(&report);
        let [first, second, third] = [0, 1, 2].map(|index: usize| &report.viewers[index]);
        assert!(first.ended && second.ended && third.ended, "{}", text(&report));
        // 10 s, 10 s, 1 s, nothing, and 30 s to the end, less what each seek waits.
        assert!((49.0..52.0).contains(&first.played), "{}", text(&report));
    }
}

#[test]
fn whoever_seeks_waits_hardly_longer_than_without_peers() {
    let mut waits = [0.0; 2];
    for seed in 1..=2 {
        let mut world = World { seed, seconds: 150.0, join_spacing: 2.0, ..World::vod(10) };
        world.title = Title::new(vec![2_000_000], 4.0, Some(300.0));
        world.uplink_bps = 4_000_000;
        let mut world = world.with_seeks(20.0);
        let shared = run(&world);
        world.config.p2p = P2pMode::Off;
        let alone = run(&world);
        for (total, report) in waits.iter_mut().zip([&shared, &alone]) {
            *total += report.seek_wait.unwrap().p95 / 2.0;
        }
        assert_eq!(shared.rebuffers, 0, "{}", text(&shared));
        assert!(shared.origin_copies <= alone.origin_copies / 4.0, "{}", text(&shared));
    }
    assert!(waits[0] <= waits[1] + 0.1, "{waits:?} s");
}

#[test]
fn at_twice_the_speed_a_variant_is_chosen_that_comes_in_time() {
    for downlink_bps in [5_000_000, 8_000_000] {
        let mut world = World { downlink_bps, seconds: 100.0, join_spacing: 5.0, ..World::vod(8) };
        world.title = Title::new(vec![500_000, 1_000_000, 2_500_000, 5_000_000], 4.0, Some(240.0));
        world.uplink_bps = 1_000_000;
        world.playback_rate = 2.0;
        let report = run(&world);
        assert_eq!(report.rebuffers, 0, "{}", text(&report));
        let better: usize = report.segments.iter().filter(|of| of.variant > 0).count();
        assert!(better > 40, "{better} segments\n{}", text(&report));
    }
}

#[test]
fn a_seek_behind_the_live_window_does_not_end_the_show() {
    let mut world = World { seconds: 60.0, ..World::live(2) };
    world.script = vec![Step { at: 20.0, action: Action::Seek(0, 0.0) }];
    let report = run(&world);
    assert!(report.viewers[0].played > 40.0, "{}", text(&report));
}

#[test]
fn a_pause_longer_than_the_live_window_ends_in_the_window() {
    let mut world = World { seconds: 120.0, ..World::live(1) };
    world.script = vec![
        Step { at: 15.0, action: Action::Pause(0, true) },
        Step { at: 90.0, action: Action::Pause(0, false) },
    ];
    let report = run(&world);
    assert!(report.viewers[0].played > 35.0, "{}", text(&report));
}

#[test]
fn several_variants_share_and_switch() {
    let mut world = World { seconds: 120.0, join_spacing: 2.0, ..World::vod(4) };
    world.title = Title::new(vec![500_000, 1_000_000, 3_000_000], 4.0, Some(90.0));
    world.uplink_bps = 6_000_000;
    world.script = vec![
        Step { at: 30.0, action: Action::SelectVariant(0, Some(0)) },
        Step { at: 50.0, action: Action::SelectVariant(0, None) },
    ];
    let report = run(&world);
    assert_smooth(&report);
    assert!(report.viewers.iter().all(|v| v.ended), "{}", text(&report));
    let variants = report.segments.iter().map(|segment| segment.variant);
    let variants: std::collections::BTreeSet<u32> = variants.collect();
    assert!(variants.len() >= 2, "{variants:?}");
}

#[test]
fn loss_and_distance_cost_no_smoothness() {
    let world = World {
        loss: 0.01,
        latency_ms: 80.0,
        origin_latency_ms: 60.0,
        seconds: 90.0,
        ..World::live(10)
    };
    let report = run(&world);
    assert_smooth(&report);
    assert!(report.late_origin_copies.is_some_and(|k| k <= 2.0), "{}", text(&report));
}

#[test]
fn free_riders_and_viewers_nobody_reaches_are_carried() {
    let report = run(&World {
        seconds: 100.0,
        free_rider_share: 0.3,
        blocked_share: 0.1,
        nat_share: 0.2,
        ..World::live(20)
    });
    let with = |letter| report.viewers.iter().filter(|v| v.traits.contains(letter)).count();
    // Chance says who, not how many.
    assert_eq!([with('f'), with('b'), with('n')], [6, 2, 4]);
    assert_smooth(&report);
    let copies = report.late_origin_copies.expect("live");
    // A third gives nothing and a tenth is out of reach: still half of what it costs without peers, and nobody stalls.
    assert!(copies <= 9.0, "{}", text(&report));
}

#[test]
fn scarce_uplinks_carry_what_is_needed_and_little_else() {
    // Copies at most, of which headers leave 10.8 and 1.5 as the limit; and what part of the uplinks is of use.
    for (ratio, most, least) in [(0.5, 13.0, 0.8), (1.0, 2.3, 0.9)] {
        let mut world = World { seconds: 80.0, seed: 3, ..World::live(20) };
        world.title.hold_back = Some(14.0);
        world.uplink_bps = (1e6 * ratio) as u64;
        let report = run(&world);
        assert_smooth(&report);
        assert!(report.late_origin_copies.is_some_and(|k| k <= most), "{}", text(&report));
        assert!(report.duplicate_share <= 0.012, "{}", text(&report));
        let [media, messages, used] = report.uplinks;
        assert!(used >= least && used <= media + 0.01 && messages < 0.08, "{}", text(&report));
    }
}

#[test]
fn whoever_is_furthest_from_the_edge_has_something_to_give_as_well() {
    let mut world = World { seconds: 60.0, join_spacing: 0.2, ..World::live(100) };
    world.title.hold_back = Some(14.0);
    world.uplink_bps = 1_000_000;
    world.config.max_peers = 30;
    let report = run(&world);
    assert_smooth(&report);
    // Of the uplinks; 91 % if all asked for what they play next.
    assert!(report.uplinks[0] > 0.93, "{}", text(&report));
}

#[test]
fn uplinks_too_slow_for_a_block_hold_up_nobody() {
    let mut world = World { seconds: 80.0, seed: 3, slow_share: 0.25, ..World::live(12) };
    world.title.hold_back = Some(14.0);
    let report = run(&world);
    assert_smooth(&report);
    // 2.65 if they gave what they can.
    assert!(report.late_origin_copies.is_some_and(|k| k <= 1.7), "{}", text(&report));
    assert!(report.duplicate_share <= 0.008, "{}", text(&report));
}

#[test]
fn whoever_has_given_all_that_it_may_only_takes() {
    let mut world = World { seconds: 90.0, ..World::vod(4) };
    world.config.upload_budget_bytes = Some(1_000_000);
    let report = run(&world);
    assert_smooth(&report);
    let given: Vec<u64> = report.viewers.iter().map(|v| v.uploaded_bytes).collect();
    // To the end of the piece that was begun.
    assert!(given.iter().all(|bytes| *bytes < 1_000_000 + (16 << 10)), "{given:?}");
    assert!(given.iter().any(|bytes| *bytes >= 1_000_000), "{given:?}");
}

#[test]
fn uplinks_that_do_not_suffice_cost_copies_and_not_smoothness() {
    let mut world = World { seconds: 100.0, ..World::live(10) };
    world.uplink_bps = 500_000;
    let report = run(&world);
    assert_smooth(&report);
    // Half of it has to come from the origin.
    assert!(report.late_origin_copies.is_some_and(|k| k < 9.0), "{}", text(&report));
}

fn crowd(origin_limit_bps: Option<u64>) -> Report {
    let mut world = World { seconds: 16.0, join_spacing: 0.01, ..World::live(150) };
    world.title.hold_back = Some(14.0);
    world.origin_limit_bps = origin_limit_bps;
    run(&world)
}

#[test]
fn many_who_come_at_once_start_by_each_other_where_the_origin_cannot_serve_them() {
    // Each asking for what it needs first would take the line of the origin for seconds, before anybody has anything whole.
    let report = crowd(Some(20_000_000));
    let started = report.viewers.iter().filter(|viewer| viewer.first_frame.is_some()).count();
    assert_eq!(started, 150, "{}", text(&report));
    assert!(report.first_frame.p95 <= 6.0, "{}", text(&report));
    assert!(report.rebuffers <= 1, "{}", text(&report));
    assert!(report.offload >= 0.9, "{}", text(&report));
}

#[test]
fn what_is_published_in_a_crowd_is_brought_in_once_and_in_time() {
    // A hundred a second, until the origin can send each a fifteenth of the stream. Three segments are published by those who
    // have all come, and seen to their end.
    let mut world = World { seconds: 38.0, join_spacing: 0.01, seed: 2, ..World::live(300) };
    world.title.hold_back = Some(14.0);
    world.origin_limit_bps = Some(20_000_000);
    let report = run(&world);
    let started = report.viewers.iter().filter(|viewer| viewer.first_frame.is_some()).count();
    assert_eq!(started, 300, "{}", text(&report));
    assert!(report.first_frame.p95 <= 6.0, "{}", text(&report));
    assert_eq!(report.rebuffers, 0, "{}", text(&report));
    assert!(report.late_origin_copies.is_some_and(|k| k < 3.0), "{}", text(&report));
}

#[test]
fn many_who_come_at_once_wait_for_nobody_where_the_origin_suffices() {
    let report = crowd(None);
    assert!(report.first_frame.p95 <= 1.0, "{}", text(&report));
    assert_eq!(report.rebuffers, 0, "{}", text(&report));
}

#[test]
fn viewers_far_from_an_ample_origin_do_not_take_the_distance_for_a_crowd() {
    // Over 350 ms there and back the first third of a second of a fast line brings less than plays meanwhile.
    let world =
        World { seconds: 24.0, join_spacing: 0.5, origin_latency_ms: 175.0, ..World::live(20) };
    let report = run(&world);
    assert!(report.first_frame.p95 <= 4.0, "{}", text(&report));
    assert_eq!(report.rebuffers, 0, "{}", text(&report));
}
