//! Playback never ends for a reason it could have survived. Each test is a row of RELIABILITY.md.

use player_core::io::{Event, Input, WaitingReason};
use player_core::trace::{Cause, Remedy};
use std::cell::Cell;
use std::rc::Rc;
use tests::stage::{Reply, Stage, init, init_baseline, playlist, segment, transport_stream};

const MASTER: &str = "https://a.example/m.m3u8";
const TARGET: f64 = 4.0;

/// A film of so many segments with variants `v0`, `v1`, … at 0.2, 0.4, … Mbit/s.
fn film(segments: u64, variants: u32) -> impl Fn(&str) -> Reply {
    move |url: &str| {
        let path = url.split("example/").nth(1).unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        let list: Vec<(&str, f64, String)> =
            (0..segments).map(|n| ("", TARGET, format!("s{n}.m4s"))).collect();
        match path.split_once('/') {
            None => master(variants, "").into(),
            Some((_, "l.m3u8")) => {
                playlist(TARGET, 0, "#EXT-X-MAP:URI=\"i.mp4\"\n", &list, true).into()
            }
            Some((_, "i.mp4")) => init(0).into(),
            Some((_, name)) => match number(name) {
                Some(n) if n < segments => segment(n as f64 * TARGET, TARGET, 2_000).into(),
                _ => Reply::Status(404),
            },
        }
    }
}

fn master(variants: u32, tags: &str) -> String {
    let mut text = format!("#EXTM3U\n{tags}");
    for n in 0..variants {
        text += &format!(
            "#EXT-X-STREAM-INF:BANDWIDTH={},CODECS=\"avc1.64001f\"\nv{n}/l.m3u8\n",
            200_000 * (n + 1)
        );
    }
    text
}

fn number(name: &str) -> Option<u64> {
    name.strip_prefix('s')?.split('.').next()?.parse().ok()
}

/// A broadcast of segments of 4 s, the newest `window` of them; on air for `age` s at second 0. Segments of before
/// are gone with a window's delay.
struct Live {
    age: f64,
    window: u64,
    dates: bool,
}

impl Live {
    fn newest(&self, now: f64) -> u64 {
        ((self.age + now) / TARGET) as u64 - 1
    }

    fn list(&self, now: f64, base: u64) -> String {
        let newest = self.newest(now);
        let first = (newest + 1).saturating_sub(self.window);
        let list: Vec<(String, f64, String)> = (first..=newest)
            .map(|n| {
                let ms = (n as f64 * TARGET) as u64;
                let date = format!(
                    "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T{:02}:{:02}:{:02}.000Z\n",
                    ms / 3600,
                    ms / 60 % 60,
                    ms % 60
                );
                (
                    if self.dates { date } else { String::new() },
                    TARGET,
                    format!("s{}.m4s", n - base),
                )
            })
            .collect();
        let list: Vec<(&str, f64, String)> =
            list.iter().map(|(tags, seconds, uri)| (&tags[..], *seconds, uri.clone())).collect();
        playlist(TARGET, first - base, "#EXT-X-MAP:URI=\"i.mp4\"\n", &list, false)
    }

    fn serve(&self, now: f64, url: &str) -> Reply {
        let name = url.rsplit('/').next().unwrap_or_default();
        match name {
            "l.m3u8" => self.list(now, 0).into(),
            "i.mp4" => init(0).into(),
            _ => match number(name) {
                Some(n) if n <= self.newest(now) && n + 2 * self.window > self.newest(now) => {
                    segment(n as f64 * TARGET, TARGET, 2_000).into()
                }
                _ => Reply::Status(404),
            },
        }
    }
}

const LIVE: &str = "https://a.example/live/l.m3u8";

fn latency(stage: &Stage) -> f64 {
    stage.stats().live_latency
}

fn ends(stage: &mut Stage, seconds: f64) {
    stage.until("the end", seconds, |stage| stage.element.at_end());
}

fn has_lost(stage: &Stage, at: f64) -> bool {
    stage.events.iter().any(|(_, event)| {
        matches!(event, Event::Error { error: player_core::PlayerError::SegmentLost { start, .. }, fatal: false } if (*start - at).abs() < 0.1)
    })
}

// Missing segments.

#[test]
fn a_segment_that_only_another_variant_has_is_taken_from_there() {
    let serve = film(10, 2);
    let mut stage =
        Stage::new(
            MASTER,
            move |_, url| {
                if url.contains("v1/s4.") { Reply::Status(404) } else { serve(url) }
            },
        );
    ends(&mut stage, 60.0);
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
    let serve = film(10, 2);
    let mut stage =
        Stage::new(
            MASTER,
            move |_, url| {
                if url.contains("/s4.") { Reply::Status(404) } else { serve(url) }
            },
        );
    ends(&mut stage, 60.0);
    assert!(has_lost(&stage, 16.0), "{}", stage.story());
    assert!((stage.element.played - 36.0).abs() < 0.5, "{}", stage.story());
    assert!(stage.trace().contains(&(Cause::SegmentMissing, Remedy::Skip)), "{}", stage.story());
    assert!(stage.trace().contains(&(Cause::Hole, Remedy::Jump)), "{}", stage.story());
    assert!(!stage.errors().iter().any(|error| error.ends_with('!')), "{}", stage.story());
}

#[test]
fn a_segment_that_fails_while_others_come_is_left_out_in_the_end() {
    let serve = film(10, 1);
    let mut stage =
        Stage::new(
            MASTER,
            move |_, url| {
                if url.contains("/s4.") { Reply::Status(500) } else { serve(url) }
            },
        );
    ends(&mut stage, 90.0);
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
        ends(&mut stage, 60.0);
        assert_eq!(stage.errors(), Vec::<String>::new(), "{}", stage.story());
        let gaps = if variants == 1 { 1 } else { 0 };
        let played = 40.0 - 4.0 * f64::from(gaps);
        assert!((stage.element.played - played).abs() < 0.5, "{variants}: {}", stage.story());
        assert_eq!(stage.asked("v0/s4."), 1 - gaps as usize, "{variants}: {}", stage.story());
    }
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
    ends(&mut stage, 60.0);
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
    ends(&mut stage, 60.0);
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

// The network.

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
        ends(&mut stage, 90.0);
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
    ends(&mut stage, 70.0);
}

// Pathways.

const REDUNDANT: &str = "#EXTM3U\n\
    #EXT-X-STREAM-INF:BANDWIDTH=200000,CODECS=\"avc1.64001f\"\nhttps://a.example/v0/l.m3u8\n\
    #EXT-X-STREAM-INF:BANDWIDTH=200000,CODECS=\"avc1.64001f\"\nhttps://b.example/v0/l.m3u8\n";

#[test]
fn redundant_streams_are_one_variant_and_stand_in_for_each_other() {
    let serve = film(40, 1);
    let dead = Rc::new(Cell::new(false));
    let is_dead = dead.clone();
    let mut stage = Stage::new(MASTER, move |_, url| {
        if is_dead.get() && url.contains("a.example") {
            return Reply::Fail;
        }
        if url == MASTER { REDUNDANT.to_owned().into() } else { serve(url) }
    });
    stage.run(10.0);
    let variants = stage.events.iter().find_map(|(_, event)| match event {
        Event::Variants(variants) => Some(variants.len()),
        _ => None,
    });
    assert_eq!(variants, Some(1));
    assert_eq!(stage.asked("b.example"), 0, "{}", stage.story());
    dead.set(true);
    stage.run(30.0);
    assert!(
        stage.trace().contains(&(Cause::PathwayFailed, Remedy::SwitchPathway)),
        "{}",
        stage.story()
    );
    assert!(stage.asked("b.example/v0/s") > 3, "{}", stage.story());
    dead.set(false);
    ends(&mut stage, 120.0);
    assert_eq!(stage.element.stalls, 0, "{}", stage.story());
    assert!((stage.element.played - 160.0).abs() < 0.5, "{}", stage.story());
    // The penalty is over, and the first is the best again.
    assert_eq!(stage.stats().pathway, ".", "{}", stage.story());
    let last = stage.requests.iter().rfind(|(_, url)| url.contains("/s39."));
    assert!(last.is_some_and(|(_, url)| url.contains("a.example")), "{}", stage.story());
}

#[test]
fn a_missing_segment_is_taken_from_another_pathway_before_it_is_left_out() {
    let serve = film(10, 1);
    let mut stage = Stage::new(MASTER, move |_, url| match url {
        MASTER => REDUNDANT.to_owned().into(),
        _ if url.contains("a.example/v0/s4.") => Reply::Status(404),
        _ => serve(url),
    });
    ends(&mut stage, 60.0);
    assert!((stage.element.played - 40.0).abs() < 0.3, "{}", stage.story());
    assert_eq!((stage.element.stalls, stage.errors().len()), (0, 0), "{}", stage.story());
    assert!(stage.asked("b.example/v0/s4.") == 1, "{}", stage.story());
}

#[test]
fn variants_that_differ_are_no_redundant_streams() {
    let text = "#EXTM3U\n\
        #EXT-X-STREAM-INF:BANDWIDTH=200000,CODECS=\"avc1.64001f\",NAME=\"left\"\nl/l.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=200000,CODECS=\"avc1.64001f\",NAME=\"right\"\nr/l.m3u8\n\
        #EXT-X-STREAM-INF:BANDWIDTH=300000,CODECS=\"avc1.64001f\"\nv/l.m3u8\n";
    let serve = film(4, 1);
    let mut stage =
        Stage::new(
            MASTER,
            move |_, url| {
                if url == MASTER { text.to_owned().into() } else { serve(url) }
            },
        );
    stage.run(5.0);
    let all = stage
        .events
        .iter()
        .any(|(_, event)| matches!(event, Event::Variants(all) if all.len() == 3));
    assert!(all, "{}", stage.story());
}

const STEERED: &str = "#EXTM3U\n#EXT-X-CONTENT-STEERING:SERVER-URI=\"https://s.example/steer?x=1\",PATHWAY-ID=\"A\"\n\
    #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"aud-a\",NAME=\"en\",DEFAULT=YES,URI=\"https://a.example/au/l.m3u8\"\n\
    #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"aud-b\",NAME=\"en\",DEFAULT=YES,URI=\"https://b.example/au/l.m3u8\"\n\
    #EXT-X-STREAM-INF:BANDWIDTH=200000,CODECS=\"avc1.64001f,mp4a.40.2\",AUDIO=\"aud-a\",PATHWAY-ID=\"A\",STABLE-VARIANT-ID=\"v\"\nhttps://a.example/v0/l.m3u8\n\
    #EXT-X-STREAM-INF:BANDWIDTH=200000,CODECS=\"avc1.64001f,mp4a.40.2\",AUDIO=\"aud-b\",PATHWAY-ID=\"B\",STABLE-VARIANT-ID=\"v\"\nhttps://b.example/v0/l.m3u8\n";

#[test]
fn the_steering_server_moves_pictures_and_sound() {
    let serve = film(40, 1);
    let mut stage = Stage::new(MASTER, move |now, url| {
        if url == MASTER {
            return STEERED.to_owned().into();
        }
        if url.contains("s.example") {
            let order = match now {
                ..20.0 => "[\"A\",\"B\"]",
                ..60.0 => "[\"B\",\"A\"]",
                _ => "[\"C\",\"B\"]",
            };
            return format!(
                "{{\"VERSION\":1,\"TTL\":10,\"RELOAD-URI\":\"again\",\"PATHWAY-PRIORITY\":{order},\
                 \"PATHWAY-CLONES\":[{{\"BASE-ID\":\"B\",\"ID\":\"C\",\"URI-REPLACEMENT\":\
                 {{\"HOST\":\"c.example\",\"PARAMS\":{{\"t\":\"1\"}}}}}}]}}"
            )
            .into();
        }
        serve(url)
    });
    stage.run(18.0);
    let steering: Vec<&String> =
        stage.requests.iter().map(|(_, url)| url).filter(|url| url.contains("s.example")).collect();
    assert_eq!(steering[0], "https://s.example/steer?x=1&_HLS_pathway=A");
    assert!(
        steering[1].starts_with("https://s.example/again?_HLS_pathway=A&_HLS_throughput="),
        "{steering:?}"
    );
    assert_eq!(stage.asked("b.example"), 0, "{}", stage.story());
    stage.run(30.0);
    assert_eq!(stage.stats().pathway, "B");
    assert!(
        stage.asked("b.example/v0/s") > 0 && stage.asked("b.example/au/s") > 0,
        "{}",
        stage.story()
    );
    stage.run(40.0);
    assert_eq!(stage.stats().pathway, "C");
    assert!(stage.asked("c.example/au/l.m3u8?t=1") == 1, "{}", stage.story());
    ends(&mut stage, 90.0);
    assert_eq!((stage.element.stalls, stage.errors().len()), (0, 0), "{}", stage.story());
    assert!((stage.element.played - 160.0).abs() < 0.5, "{}", stage.story());
}

#[test]
fn a_steering_server_that_says_gone_is_left_alone_and_one_that_fails_is_asked_again() {
    for (status, asked) in [(410, 1), (503, 3)] {
        let serve = film(200, 1);
        let mut stage = Stage::new(MASTER, move |_, url| match url {
            MASTER => STEERED.to_owned().into(),
            _ if url.contains("s.example") => Reply::Status(status),
            _ => serve(url),
        });
        stage.run(650.0);
        assert_eq!(stage.asked("s.example"), asked, "{status}: {}", stage.story());
        assert_eq!(stage.element.stalls, 0, "{}", stage.story());
    }
}

// Stalls.

#[test]
fn a_stuck_decoder_is_nudged_and_then_opened_anew() {
    for (seeks, last) in [(2, Remedy::Nudge), (9, Remedy::Reopen)] {
        let serve = film(10, 1);
        let mut stage = Stage::new(MASTER, move |_, url| serve(url));
        stage.element.stuck = Some((10.0, seeks));
        ends(&mut stage, 90.0);
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
    ends(&mut stage, 60.0);
    assert!(stage.trace().contains(&(Cause::StartGap, Remedy::Jump)), "{}", stage.story());
    assert!((stage.element.played - 20.0).abs() < 0.3, "{}", stage.story());
}

#[test]
fn a_segment_that_cannot_be_decoded_is_left_behind_and_a_stream_that_cannot_ends() {
    let serve = film(20, 1);
    let mut stage = Stage::new(MASTER, move |_, url| serve(url));
    stage.element.poison = vec![39.0..41.0];
    ends(&mut stage, 120.0);
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
        ends(&mut stage, 200.0);
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
    ends(&mut stage, 60.0);
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

// Live.

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
    ends(&mut stage, 120.0);
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
