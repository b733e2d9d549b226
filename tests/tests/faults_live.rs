//! Broadcasts whose server, clock or viewer does not keep to the plan.

use player_core::io::{Event, WaitingReason};
use player_core::trace::{Cause, Remedy};
use tests::stage::{LIVE, Live, Reply, Stage, TARGET, init, number, playlist, segment};

fn latency(stage: &Stage) -> f64 {
    stage.stats().live_latency
}

#[test]
fn a_404_at_the_live_edge_is_tried_again() {
    let live = Live { age: 400.0, window: 10, dates: true };
    // Segments turn up two seconds after the playlist names them.
    let mut stage = Stage::new(LIVE, move |now, url| {
        let name = url.rsplit('/').next().unwrap_or_default();
        let early = number(name).is_some_and(|n| (n + 1) as f64 * TARGET + 2.0 > 400.0 + now);
        if early { Reply::Status(404) } else { live.serve(now, url) }
    });
    stage.run(120.0);
    assert!(stage.element.played > 105.0, "{}", stage.story());
    assert_eq!((stage.element.stalls, stage.errors().len()), (0, 0), "{}", stage.story());
}

#[test]
fn rounded_durations_do_not_add_up_over_a_broadcast() {
    // Said: 4 s. True: 4.02 s.
    let mut stage = Stage::new(LIVE, |now, url| {
        let newest = ((400.0 + now) / 4.02) as u64;
        let list: Vec<(&str, f64, String)> =
            (newest - 9..=newest).map(|n| ("", TARGET, format!("s{n}.m4s"))).collect();
        let name = url.rsplit('/').next().unwrap_or_default();
        match name {
            "l.m3u8" => {
                playlist(TARGET, newest - 9, "#EXT-X-MAP:URI=\"i.mp4\"\n", &list, false).into()
            }
            "i.mp4" => init(0).into(),
            _ => segment(number(name).unwrap_or(0) as f64 * 4.02, 4.02, 2000).into(),
        }
    });
    stage.run(3600.0);
    assert_eq!(stage.element.stalls, 0, "{}", stage.story());
    assert!((8.0..20.0).contains(&latency(&stage)), "{} {}", latency(&stage), stage.story());
    // A seek finds its place.
    let to = stage.element.position() - 10.0;
    stage.seek(to);
    stage.run(6.0);
    assert!((stage.element.position() - to - 6.0).abs() < 1.0, "{to} {}", stage.story());
}

#[test]
fn a_broadcast_that_stands_still_is_waited_for_and_goes_on() {
    let live = Live { age: 400.0, window: 10, dates: true };
    // Between 30 and 90 s the playlist does not grow; then it is where it should be.
    let mut stage = Stage::new(LIVE, move |now, url| {
        let now = if (30.0..90.0).contains(&now) { 30.0 } else { now };
        live.serve(now, url)
    });
    stage.run(88.0);
    let said = stage
        .events
        .iter()
        .any(|(_, event)| *event == Event::Waiting(Some(WaitingReason::PlaylistStale)));
    assert!(said, "{}", stage.story());
    let before = stage.requests.len();
    assert!(before < 90, "it is asked with patience: {before}");
    stage.run(60.0);
    assert!(stage.element.played > 70.0, "{}", stage.story());
    assert_eq!(stage.errors(), Vec::<String>::new(), "{}", stage.story());
}

#[test]
fn a_server_that_starts_anew_is_followed() {
    for dates in [true, false] {
        let live = Live { age: 4000.0, window: 10, dates };
        let mut stage = Stage::new(LIVE, move |now, url| {
            if now < 60.0 {
                return live.serve(now, url);
            }
            // Numbers and clock begin again, 12 s before.
            let base = live.newest(60.0) - 2;
            let name = url.rsplit('/').next().unwrap_or_default();
            match name {
                "l.m3u8" => {
                    // At first it has fewer segments than a window.
                    let window = (live.newest(now) - base + 1).min(10);
                    Live { age: live.age, window, dates }.list(now, base).into()
                }
                "i.mp4" => init(1).into(),
                _ => segment(number(name).unwrap_or(0) as f64 * TARGET, TARGET, 2000).into(),
            }
        });
        stage.run(240.0);
        assert!(
            stage.trace().contains(&(Cause::PlaylistReset, Remedy::Restart)),
            "{}",
            stage.story()
        );
        assert!(stage.element.played > 215.0, "{dates}: {}", stage.story());
        assert!(latency(&stage) < 30.0, "{dates}: {} {}", latency(&stage), stage.story());
        assert_eq!(stage.errors(), Vec::<String>::new(), "{}", stage.story());
    }
}

#[test]
fn whoever_sleeps_an_hour_wakes_at_the_live_edge_or_where_they_were() {
    for (window, behind) in [(10, 0.0), (1500, 600.0)] {
        let live = Live { age: 8000.0, window, dates: true };
        let mut stage = Stage::new(LIVE, move |now, url| live.serve(now, url));
        stage.run(30.0);
        if behind > 0.0 {
            let to = stage.element.position() - behind;
            stage.seek(to);
            stage.run(10.0);
        }
        let (at, played) = (stage.element.position(), stage.element.played);
        stage.sleep(3600.0);
        stage.run(60.0);
        assert!(stage.element.played > played + 45.0, "{window}: {}", stage.story());
        if behind > 0.0 {
            assert!((stage.element.position() - at - 60.0).abs() < 8.0, "{}", stage.story());
        } else {
            assert!(latency(&stage) < 40.0, "{} {}", latency(&stage), stage.story());
        }
        assert!(!stage.errors().iter().any(|error| error.ends_with('!')), "{}", stage.story());
    }
}

#[test]
fn a_pause_that_the_window_outruns_goes_on_as_near_as_can_be() {
    let live = Live { age: 8000.0, window: 75, dates: true };
    let mut stage = Stage::new(LIVE, move |now, url| live.serve(now, url));
    stage.run(30.0);
    stage.pause(true);
    stage.run(900.0);
    stage.pause(false);
    let played = stage.element.played;
    stage.run(90.0);
    assert!(stage.element.played > played + 75.0, "{}", stage.story());
    // It had 300 s, and stays far behind.
    assert!(latency(&stage) > 200.0, "{} {}", latency(&stage), stage.story());
}

#[test]
fn an_event_that_grows_is_played_from_its_edge_and_rewound_to_its_beginning() {
    let mut stage = Stage::new(LIVE, |now, url| {
        let newest = ((120.0 + now) / TARGET) as u64;
        let over = now > 100.0;
        let newest = if over { 55 } else { newest };
        let list: Vec<(&str, f64, String)> =
            (0..=newest).map(|n| ("", TARGET, format!("s{n}.m4s"))).collect();
        let name = url.rsplit('/').next().unwrap_or_default();
        let head = "#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-MAP:URI=\"i.mp4\"\n";
        match name {
            "l.m3u8" => playlist(TARGET, 0, head, &list, over).into(),
            "i.mp4" => init(0).into(),
            _ => segment(number(name).unwrap_or(0) as f64 * TARGET, TARGET, 2000).into(),
        }
    });
    stage.run(20.0);
    assert!(stage.element.position() > 110.0, "{}", stage.story());
    stage.seek(0.0);
    stage.run(10.0);
    assert!((stage.element.position() - 10.0).abs() < 1.0, "{}", stage.story());
    stage.seek(200.0);
    stage.run_to_end(120.0);
}

#[test]
fn six_hours_of_a_broadcast_take_no_more_memory_than_ten_minutes() {
    let live = Live { age: 8000.0, window: 10, dates: true };
    let mut stage = Stage::new(LIVE, move |now, url| {
        // Now and then something is missing.
        let name = url.rsplit('/').next().unwrap_or_default();
        if number(name).is_some_and(|n| n % 97 == 0) {
            Reply::Status(404)
        } else {
            live.serve(now, url)
        }
    });
    stage.run(600.0);
    let (mut most, mut bytes) = (0, 0);
    for _ in 0..6 * 60 {
        stage.run(60.0);
        most = most.max(stage.footprint());
        bytes = bytes.max(stage.stats().store_bytes);
        stage.requests.clear();
        stage.events.clear();
    }
    // The store keeps segments to share; here a few KB each, so that it never gets full: it is counted apart.
    assert!(most < 6_500, "{most}");
    assert!(stage.most_outputs < 100, "{}", stage.most_outputs);
    assert!(bytes < 64 << 20, "{bytes}");
    assert!(stage.element.bytes() < 400_000, "{}", stage.element.bytes());
    assert!(stage.element.played > 6.0 * 3600.0 * 0.98, "{}", stage.element.played);
    assert!(latency(&stage) < 20.0, "{}", latency(&stage));
}
