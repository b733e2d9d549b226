//! What one host does not have comes from another: redundant streams, pathways and their steering server.

use player_core::io::Event;
use player_core::trace::{Cause, Remedy};
use std::cell::Cell;
use std::rc::Rc;
use tests::stage::{MASTER, Reply, Stage, film};

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
    stage.run_to_end(120.0);
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
    stage.run_to_end(60.0);
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
    stage.run_to_end(90.0);
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
