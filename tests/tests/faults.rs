//! Playback never ends for a reason it could have survived. Each test is a row of RELIABILITY.md; `faults_live.rs` and
//! `faults_pathways.rs` have more.

use player_core::io::{Event, Input, WaitingReason};
use player_core::trace::{Cause, Remedy};
use tests::stage::{
    MASTER, Reply, Stage, TARGET, film, film_without, init, init_baseline, master, number,
    playlist, segment, transport_stream,
};

fn has_lost(stage: &Stage, at: f64) -> bool {
    stage.events.iter().any(|(_, event)| {
        matches!(event, Event::Error { error: player_core::PlayerError::SegmentLost { start, .. }, fatal: false } if (*start - at).abs() < 0.1)
    })
}

// Missing segments.

#[test]
fn a_segment_that_only_another_variant_has_is_taken_from_there() {
    let mut stage = Stage::new(MASTER, film_without(10, 2, "v1/s4.", 404));
    stage.run_to_end(60.0);
    assert!(
        stage.trace().contains(&(Cause::SegmentMissing, Remedy::SwitchVariant)),
        "{}",
        stage.story()
    );
    assert!((stage.element.played - 40.0).abs() < 0.3, "{}", stage.story());
    assert_eq!((stage.element.stalls, stage.errors().len()), (0, 0), "{}", stage.story());
    assert_eq!(stage.asked("v0/s4."), 1, "{}", stage.story());
    assert!(stage.asked("v1/s9.") == 1, "it returns to the better one: {}", stage.story());
}

#[test]
fn a_segment_that_nobody_has_is_left_out_and_named() {
    let mut stage = Stage::new(MASTER, film_without(10, 2, "/s4.", 404));
    stage.run_to_end(60.0);
    assert!(has_lost(&stage, 16.0), "{}", stage.story());
    assert!((stage.element.played - 36.0).abs() < 0.5, "{}", stage.story());
    assert!(stage.trace().contains(&(Cause::SegmentMissing, Remedy::Skip)), "{}", stage.story());
    assert!(stage.trace().contains(&(Cause::Hole, Remedy::Jump)), "{}", stage.story());
    assert!(!stage.errors().iter().any(|error| error.ends_with('!')), "{}", stage.story());
}

#[test]
fn a_segment_that_fails_while_others_come_is_left_out_in_the_end() {
    let mut stage = Stage::new(MASTER, film_without(10, 1, "/s4.", 500));
    stage.run_to_end(90.0);
    assert!(has_lost(&stage, 16.0), "{}", stage.story());
    assert!(stage.asked("/s4.") >= 4, "it is tried several times: {}", stage.story());
}

#[test]
fn a_declared_gap_is_filled_from_another_variant_or_stepped_over() {
    for variants in [1, 2] {
        let serve = film(10, variants);
        let mut stage = Stage::new(MASTER, move |_, url| {
            let reply = serve(url);
            match reply {
                Reply::Body(body)
                    if url.ends_with("v0/l.m3u8") && variants == 1
                        || url.ends_with("v1/l.m3u8") =>
                {
                    let text = String::from_utf8_lossy(&body);
                    text.replace("#EXTINF:4.000,\ns4", "#EXT-X-GAP\n#EXTINF:4.000,\ns4").into()
                }
                reply => reply,
            }
        });
        stage.run_to_end(60.0);
        assert_eq!(stage.errors(), Vec::<String>::new(), "{}", stage.story());
        let gaps = if variants == 1 { 1 } else { 0 };
        let played = 40.0 - 4.0 * f64::from(gaps);
        assert!((stage.element.played - played).abs() < 0.5, "{variants}: {}", stage.story());
        assert_eq!(stage.asked("v0/s4."), 1 - gaps as usize, "{variants}: {}", stage.story());
    }
}

#[test]
fn a_film_begins_behind_a_gap_at_its_start() {
    let serve = film(4, 1);
    let mut stage = Stage::new(MASTER, move |_, url| match serve(url) {
        Reply::Body(body) if url.ends_with("v0/l.m3u8") => {
            let text = String::from_utf8_lossy(&body);
            text.replace("#EXTINF:4.000,\ns0", "#EXT-X-GAP\n#EXTINF:4.000,\ns0").into()
        }
        reply => reply,
    });
    stage.until("the film plays", 5.0, |stage| stage.element.played > 0.5);
    assert!(stage.element.position() > 4.0, "{}", stage.story());
    assert!(stage.trace().contains(&(Cause::StartGap, Remedy::Jump)), "{}", stage.story());
    stage.run_to_end(20.0);
}

#[test]
fn an_init_section_that_is_missing_costs_its_own_segments_only() {
    let mut stage = Stage::new("https://a.example/l.m3u8", |_, url| {
        let list: Vec<(&str, f64, String)> = (0..9u64)
            .map(|n| {
                let tags = match n {
                    0 => "#EXT-X-MAP:URI=\"i0.mp4\"\n",
                    3 => "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"gone.mp4\"\n",
                    5 => "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"i2.mp4\"\n",
                    _ => "",
                };
                (tags, TARGET, format!("s{n}.m4s"))
            })
            .collect();
        let name = url.rsplit('/').next().unwrap_or_default();
        match name {
            "l.m3u8" => playlist(TARGET, 0, "", &list, true).into(),
            "gone.mp4" => Reply::Status(404),
            "i0.mp4" | "i2.mp4" => init(0).into(),
            _ => segment(number(name).unwrap_or(0) as f64 * TARGET, TARGET, 2000).into(),
        }
    });
    stage.run_to_end(60.0);
    assert!(stage.trace().contains(&(Cause::InitMissing, Remedy::Skip)), "{}", stage.story());
    assert!((stage.element.played - 28.0).abs() < 0.5, "{}", stage.story());
}

#[test]
fn a_key_that_is_refused_for_a_while_is_waited_for() {
    let serve = film(6, 1);
    let mut stage = Stage::new(MASTER, move |now, url| {
        if url.ends_with("k.bin") {
            return if now < 20.0 { Reply::Status(403) } else { vec![7; 16].into() };
        }
        match serve(url) {
            Reply::Body(body) if url.ends_with("l.m3u8") => String::from_utf8_lossy(&body)
                .replace(
                    "#EXTINF:4.000,\ns0",
                    "#EXT-X-KEY:METHOD=AES-128,URI=\"k.bin\"\n#EXTINF:4.000,\ns0",
                )
                .into(),
            reply => reply,
        }
    });
    stage.run(18.0);
    assert_eq!(stage.element.played, 0.0, "{}", stage.story());
    let waits = stage.events.iter().any(|(_, event)| matches!(event, Event::Waiting(Some(_))));
    assert!(waits, "{}", stage.story());
    stage.run_to_end(60.0);
    assert!(!stage.errors().iter().any(|error| error.ends_with('!')), "{}", stage.story());
}

#[test]
fn damaged_transport_streams_cost_a_segment_and_a_damaged_stream_is_named() {
    let run = |damaged: fn(u64) -> bool| {
        let mut stage = Stage::new("https://a.example/l.m3u8", move |_, url| {
            let name = url.rsplit('/').next().unwrap_or_default();
            let list: Vec<(&str, f64, String)> =
                (0..8).map(|n| ("", TARGET, format!("s{n}.ts"))).collect();
            match number(name) {
                None => playlist(TARGET, 0, "", &list, true).into(),
                Some(n) => {
                    transport_stream(&segment(n as f64 * TARGET, TARGET, 2000), damaged(n)).into()
                }
            }
        });
        stage.run(60.0);
        stage
    };
    let one = run(|n| n == 3);
    assert!(one.element.at_end() && has_lost(&one, 12.0), "{}", one.story());
    let all = run(|_| true);
    assert!(all.errors().contains(&"transmux!".to_owned()), "{}", all.story());
}

#[test]
fn another_container_and_codec_take_over_before_anything_was_appended() {
    let master = "#EXTM3U\n\
        #EXT-X-STREAM-INF:BANDWIDTH=300000,CODECS=\"av01.0.31M.08\"\nfragments.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=200000,CODECS=\"avc1.64001f\"\ntransport.m3u8\n";
    let list = |map: &str, suffix: &str| {
        let segments: Vec<_> = (0..1).map(|n| ("", TARGET, format!("s{n}.{suffix}"))).collect();
        playlist(TARGET, 0, map, &segments, true)
    };
    let mut stage =
        Stage::new(MASTER, move |_, url| match url.rsplit('/').next().unwrap_or_default() {
            "m.m3u8" => master.to_owned().into(),
            "fragments.m3u8" => list("#EXT-X-MAP:URI=\"i.mp4\"\n", "m4s").into(),
            "transport.m3u8" => list("", "ts").into(),
            "i.mp4" => init(0).into(),
            name if name.ends_with(".ts") => {
                let start = number(name).map_or(0.0, |n| n as f64 * TARGET);
                transport_stream(&segment(start, TARGET, 2000), false).into()
            }
            _ => Reply::Status(404),
        });
    stage.run_to_end(40.0);
    let types = ["video/mp4; codecs=\"av01.0.31M.08\"", "video/mp4; codecs=\"avc1.64001f\""];
    assert_eq!(stage.element.types, types, "{}", stage.story());
    assert!((stage.element.played - 4.0).abs() < 0.3, "{}", stage.story());
}

// The network.

/// A film whose segments come after so many ms and then take so many seconds: for ten seconds, and from then on.
fn film_on_lines(first: (u64, f64), then: (u64, f64)) -> Stage {
    let serve = film(40, 1);
    Stage::new(MASTER, move |seconds, url| match serve(url) {
        Reply::Body(body) if url.ends_with(".m4s") => {
            let (latency, duration) = if seconds < 10.0 { first } else { then };
            Reply::Slow(body, latency, duration)
        }
        reply => reply,
    })
}

#[test]
fn a_slow_answer_that_begins_at_once_is_not_taken_for_a_cache() {
    // Now from near by, and slowly.
    let mut stage = film_on_lines((40, 0.05), (1, 1.0));
    stage.run(8.0);
    let before = stage.stats().bandwidth_bps;
    stage.run(52.0);
    let after = stage.stats().bandwidth_bps;
    assert!(after < before / 4.0, "{before} and then {after}: {}", stage.story());
}

#[test]
fn a_line_that_became_ten_times_faster_is_believed_within_a_few_segments() {
    // From near by, too: that is not the browser's cache.
    let mut stage = film_on_lines((40, 2.0), (1, 0.2));
    stage.run(9.0);
    let before = stage.stats().bandwidth_bps;
    stage.run(21.0);
    let after = stage.stats().bandwidth_bps;
    assert!(after > before * 4.0, "{before} and then {after}: {}", stage.story());
}

#[test]
fn offline_parks_and_resumes_whatever_the_browser_says() {
    for tells in [true, false] {
        let serve = film(20, 1);
        let config = player_core::Config {
            p2p: player_core::P2pMode::Off,
            forward_buffer: 6.0,
            peer_buffer: 6.0,
            ..player_core::Config::default()
        };
        let mut stage = Stage::with(config, MASTER, move |_, url| serve(url));
        stage.run(5.0);
        stage.connected = false;
        if tells {
            stage.tell(Input::Online(false));
        }
        let before = stage.requests.len();
        stage.run(60.0);
        let asked = stage.requests.len() - before;
        assert!(asked < if tells { 9 } else { 25 }, "{asked}: {}", stage.story());
        let reason = if tells { WaitingReason::Offline } else { WaitingReason::OriginUnavailable };
        let said = stage.events.iter().any(|(_, event)| *event == Event::Waiting(Some(reason)));
        assert!(said, "{}", stage.story());
        stage.connected = true;
        if tells {
            stage.tell(Input::Online(true));
        }
        let at = stage.element.position();
        stage.until("it goes on", 10.0, |stage| stage.element.position() > at + 1.0);
        stage.run_to_end(90.0);
        assert!((stage.element.played - 80.0).abs() < 0.5, "{}", stage.story());
        assert!(!stage.errors().iter().any(|error| error.ends_with('!')), "{}", stage.story());
    }
}

#[test]
fn a_browser_that_only_believes_to_be_offline_plays_on() {
    let serve = film(10, 1);
    let config = player_core::Config {
        p2p: player_core::P2pMode::Off,
        forward_buffer: 6.0,
        peer_buffer: 6.0,
        ..player_core::Config::default()
    };
    let mut stage = Stage::with(config, MASTER, move |_, url| serve(url));
    stage.run(5.0);
    stage.tell(Input::Online(false));
    stage.run_to_end(70.0);
}

// Stalls.

#[test]
fn a_stuck_decoder_is_nudged_and_then_opened_anew() {
    for (seeks, last) in [(2, Remedy::Nudge), (9, Remedy::Reopen)] {
        let serve = film(10, 1);
        let mut stage = Stage::new(MASTER, move |_, url| serve(url));
        stage.element.stuck = Some((10.0, seeks));
        stage.run_to_end(90.0);
        let trace = stage.trace();
        // A seek that does not end is the same decoder.
        let decoder = |cause| matches!(cause, Cause::Decoder | Cause::Seek);
        let of = |remedy| trace.iter().filter(|one| decoder(one.0) && one.1 == remedy).count();
        assert!(of(last) >= 1, "{}", stage.story());
        assert_eq!(of(Remedy::Nudge), if seeks == 2 { 2 } else { 3 }, "{}", stage.story());
        assert_eq!(stage.element.opens, if seeks == 2 { 1 } else { 2 }, "{}", stage.story());
    }
}

#[test]
fn a_stream_that_begins_late_is_started_at_its_first_frame() {
    let mut stage = Stage::new("https://a.example/l.m3u8", |_, url| {
        let name = url.rsplit('/').next().unwrap_or_default();
        let list: Vec<(&str, f64, String)> = (0..6)
            .map(|n| (if n == 0 { "#EXT-X-GAP\n" } else { "" }, TARGET, format!("s{n}.m4s")))
            .collect();
        match number(name) {
            Some(n) => segment(n as f64 * TARGET, TARGET, 2000).into(),
            None if name == "i.mp4" => init(0).into(),
            None => playlist(TARGET, 0, "#EXT-X-MAP:URI=\"i.mp4\"\n", &list, true).into(),
        }
    });
    stage.run_to_end(60.0);
    assert!(stage.trace().contains(&(Cause::StartGap, Remedy::Jump)), "{}", stage.story());
    assert!((stage.element.played - 20.0).abs() < 0.3, "{}", stage.story());
}

#[test]
fn a_segment_that_cannot_be_decoded_is_left_behind_and_a_stream_that_cannot_ends() {
    let serve = film(20, 1);
    let mut stage = Stage::new(MASTER, move |_, url| serve(url));
    stage.element.poison = vec![39.0..41.0];
    stage.run_to_end(120.0);
    assert!(stage.trace().contains(&(Cause::DecodeError, Remedy::Reopen)), "{}", stage.story());
    assert!((stage.element.played - 76.0).abs() < 1.0, "{}", stage.story());

    let serve = film(20, 1);
    let mut stage = Stage::new(MASTER, move |_, url| serve(url));
    stage.element.poison = vec![0.0..1e9];
    stage.run(60.0);
    assert_eq!(stage.errors().last().map(String::as_str), Some("decode!"), "{}", stage.story());
    assert!(stage.element.opens <= 4, "{}", stage.story());
}

// The buffer.

#[test]
fn a_full_buffer_shrinks_and_grows_again_and_never_loses_what_plays() {
    let serve = film(150, 1);
    let mut stage = Stage::new(MASTER, move |_, url| serve(url));
    // Five segments.
    stage.element.quota = 5 * 8_200;
    stage.run(120.0);
    assert!(
        stage.element.refused > 0 && stage.trace().contains(&(Cause::Quota, Remedy::ShrinkBuffer))
    );
    assert_eq!(
        (stage.element.stalls, stage.element.removed_playhead),
        (0, false),
        "{}",
        stage.story()
    );
    // Back and forth: what lies ahead makes room too.
    stage.seek(40.0);
    stage.run(3.0);
    stage.seek(100.0);
    stage.run(20.0);
    let refused = stage.element.refused;
    stage.element.quota = 0;
    stage.run(300.0);
    assert_eq!((stage.element.refused, stage.element.removed_playhead), (refused, false));
    assert!(stage.element.bytes() > 5 * 8_200, "it grew again: {}", stage.story());
}

#[test]
fn the_back_buffer_is_bounded_in_seconds_and_in_bytes() {
    for (rate, most) in
        [(2_000, 30.0 + 10.0 + 2.0 * TARGET), (1_000_000, 24.0 + 10.0 + 2.0 * TARGET)]
    {
        // No bit rate is named: it is measured.
        let mut stage = Stage::new("https://a.example/l.m3u8", move |_, url| {
            let name = url.rsplit('/').next().unwrap_or_default();
            let list: Vec<(&str, f64, String)> =
                (0..40).map(|n| ("", TARGET, format!("s{n}.m4s"))).collect();
            match number(name) {
                Some(n) => segment(n as f64 * TARGET, TARGET, rate).into(),
                None if name == "i.mp4" => init(0).into(),
                None => playlist(TARGET, 0, "#EXT-X-MAP:URI=\"i.mp4\"\n", &list, true).into(),
            }
        });
        stage.run_to_end(200.0);
        assert!(
            stage.element.longest_back <= most,
            "{} {}",
            stage.element.longest_back,
            stage.story()
        );
        assert_eq!(
            (stage.element.stalls, stage.element.removed_playhead),
            (0, false),
            "{}",
            stage.story()
        );
    }
}

// Discontinuities.

#[test]
fn a_codec_change_at_a_discontinuity_changes_the_type() {
    let mut stage = Stage::new(MASTER, |_, url| {
        let name = url.rsplit('/').next().unwrap_or_default();
        let list: Vec<(&str, f64, String)> = (0..9u64)
            .map(|n| {
                let tags = match n {
                    0 | 6 => "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"i0.mp4\"\n",
                    3 => "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"i1.mp4\"\n",
                    _ => "",
                };
                (tags, TARGET, format!("s{n}.m4s"))
            })
            .collect();
        match name {
            "m.m3u8" => master(1, "").into(),
            "l.m3u8" => playlist(TARGET, 0, "", &list, true).into(),
            "i0.mp4" => init(0).into(),
            "i1.mp4" => init_baseline(1).into(),
            _ => {
                // Each part has a clock of its own.
                let n = number(name).unwrap_or(0);
                segment((n % 3) as f64 * TARGET + 1000.0 * (n / 3) as f64, TARGET, 2000).into()
            }
        }
    });
    stage.run_to_end(60.0);
    let codecs: Vec<bool> =
        stage.element.types.iter().map(|mime| mime.contains("42c01e")).collect();
    assert_eq!(codecs, [false, true, false], "{}", stage.story());
    assert!((stage.element.played - 36.0).abs() < 0.3, "{}", stage.story());
    assert_eq!((stage.element.stalls, stage.errors().len()), (0, 0), "{}", stage.story());
}

#[test]
fn discontinuities_of_pictures_and_sound_at_slightly_different_times_stay_in_sync() {
    // Pictures: 3 segments of 4 s; sound: 3 of 3.9 s. Then a new clock, in which both begin at 500 s.
    let mut stage = Stage::new(MASTER, |_, url| {
        let name = url.rsplit('/').next().unwrap_or_default();
        let sound = url.contains("/au/");
        let each = if sound { 3.9 } else { TARGET };
        let list: Vec<(&str, f64, String)> = (0..6u64)
            .map(|n| {
                (if n == 3 { "#EXT-X-DISCONTINUITY\n" } else { "" }, each, format!("s{n}.m4s"))
            })
            .collect();
        match name {
            "m.m3u8" => "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"g\",NAME=\"en\",DEFAULT=YES,URI=\"au/l.m3u8\"\n\
                #EXT-X-STREAM-INF:BANDWIDTH=200000,CODECS=\"avc1.64001f,mp4a.40.2\",AUDIO=\"g\"\nv0/l.m3u8\n".to_owned().into(),
            "l.m3u8" => playlist(TARGET, 0, "#EXT-X-MAP:URI=\"i.mp4\"\n", &list, true).into(),
            "i.mp4" => init(0).into(),
            _ => {
                let n = number(name).unwrap_or(0);
                let clock = if n < 3 { 0.0 } else { 500.0 };
                segment((n % 3) as f64 * each + clock, each, 2000).into()
            }
        }
    });
    stage.run(10.0);
    let starts = |track| -> Vec<f64> {
        stage.element.starts(track).iter().map(|start| (start * 10.0).round() / 10.0).collect()
    };
    let [pictures, sound] =
        [player_core::io::Track::Main, player_core::io::Track::Audio].map(starts);
    assert_eq!(pictures[3], sound[3], "one clock: {pictures:?} {sound:?}");
    stage.until("it plays nearly to its end", 60.0, |stage| stage.element.position() > 22.0);
    assert_eq!(stage.errors(), Vec::<String>::new(), "{}", stage.story());
}
