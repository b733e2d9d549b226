//! What befalls the machine and the tab: sleep, background, a wrong clock. Each test is a row of RELIABILITY.md.

use player_core::Player;
use tests::simulation::World;
use tests::stage::{LIVE, Live, MASTER, Stage, film};

#[test]
fn a_film_goes_on_where_it_was_after_each_hour_of_sleep() {
    let origin = film(30, 2);
    let mut stage = Stage::new(MASTER, move |_, url| origin(url));
    stage.run(10.0);
    for _ in 0..3 {
        let at = stage.element.position();
        stage.sleep(3600.0);
        stage.run(10.0);
        assert!((stage.element.position() - at - 10.0).abs() < 1.0, "{}", stage.story());
    }
    assert_eq!((stage.element.stalls, stage.errors().len()), (0, 0), "{}", stage.story());
    stage.run_to_end(120.0);
}

#[test]
fn a_laptop_that_opens_its_eyes_for_a_second_every_hour_is_not_confused() {
    let live = Live { age: 8000.0, window: 10, dates: true };
    let mut stage = Stage::new(LIVE, move |now, url| live.serve(now, url));
    stage.run(30.0);
    for _ in 0..12 {
        stage.sleep(3600.0);
        stage.run(1.0);
    }
    let played = stage.element.played;
    stage.run(60.0);
    assert!(stage.element.played > played + 45.0, "{}", stage.story());
    assert!(stage.stats().live_latency < 40.0, "{}", stage.story());
    assert!(!stage.errors().iter().any(|error| error.ends_with('!')), "{}", stage.story());
}

#[test]
fn a_tab_in_the_background_plays_on_with_timers_of_a_second() {
    let live = Live { age: 400.0, window: 10, dates: true };
    let mut stage = Stage::new(LIVE, move |now, url| live.serve(now, url));
    stage.run(20.0);
    let played = stage.element.played;
    stage.run_in_background(600);
    assert!(stage.element.played > played + 595.0, "{}", stage.story());
    assert_eq!((stage.element.stalls, stage.errors().len()), (0, 0), "{}", stage.story());
    stage.run(20.0);
    assert!(stage.stats().live_latency < 25.0, "{}", stage.story());
}

#[test]
fn a_clock_that_is_wrong_by_a_day_changes_nothing_of_a_broadcast() {
    let run = |clock_error| {
        let report = World { clock_error, seconds: 60.0, ..World::live(3) }.run::<Player>();
        assert_eq!(report.violations, Vec::<String>::new());
        assert_eq!(report.rebuffers, 0, "{}", report.summary());
        report
    };
    let right = run(0.0);
    for clock_error in [-86_400.0, 86_400.0] {
        let wrong = run(clock_error);
        assert_eq!(wrong.trace_hash, right.trace_hash, "viewers did something else");
        for viewer in &wrong.viewers {
            let (real, told) = (viewer.live_latency.unwrap(), viewer.reported_latency.unwrap());
            // Without a clock to go by, what passed before publication is not known.
            assert!((real - told).abs() < 5.0, "{real} s, and {told} s by its own count");
        }
    }
}
