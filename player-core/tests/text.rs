//! Text in virtual time: which subtitles are shown, which of their segments are fetched and when, date ranges.

mod boxes;
mod page;

use std::collections::BTreeMap;
use std::time::Duration;

use boxes::{boxed, init, moof};
use page::{carried_out, response};
use player_core::config::P2pMode;
use player_core::io::{
    DateRangeInfo, Event, FetchKind, FetchRequest, Input, MediaCommand, Output, Playhead, TextKind,
    TextSegment, TextSource,
};
use player_core::{Config, Instant, Player};

const BASE: &str = "https://o.example/";
const MEDIA: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI=\"i.mp4\"\n";

/// A fragment that starts at this second of the stream's timeline.
fn fragment(second: u32) -> Vec<u8> {
    [moof(second), boxed(b"mdat", &[9; 100])].concat()
}

struct World {
    player: Player,
    now: Instant,
    position: f64,
    seeking: bool,
    files: BTreeMap<String, Vec<u8>>,
    removed: f64,
    buffered: f64,
    fetched: Vec<String>,
    sources: Vec<TextSource>,
    ranges: Vec<DateRangeInfo>,
    texts: Vec<TextSegment>,
    decrypted: Vec<[u8; 16]>,
    errors: Vec<(&'static str, bool)>,
}

impl World {
    /// A film of 60 s whose clock begins at 100 s, with these renditions, in a browser with these languages.
    fn new(renditions: &str, languages: &[&str]) -> Self {
        let languages = languages.iter().map(|language| (*language).to_owned()).collect();
        let config = Config { p2p: P2pMode::Off, languages, ..Config::default() };
        let mut files = BTreeMap::new();
        let variant =
            "#EXT-X-STREAM-INF:BANDWIDTH=500000,CODECS=\"avc1.64001f\",SUBTITLES=\"s\"\nv.m3u8\n";
        files.insert("m.m3u8".to_owned(), ["#EXTM3U\n", renditions, variant].concat().into_bytes());
        let mut video = MEDIA.replace("#EXT-X-MAP", "#EXT-X-PROGRAM-DATE-TIME:2030-01-01T00:00:00Z\n#EXT-X-DATERANGE:ID=\"a\",START-DATE=\"2030-01-01T00:00:10Z\",DURATION=5,X-NOTE=\"b\"\n#EXT-X-DATERANGE:ID=\"c\",START-DATE=\"2030-01-01T00:00:20Z\"\n#EXT-X-MAP");
        let mut text = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n".to_owned();
        for n in 0..15 {
            video += &format!("#EXTINF:4,\n{n}.m4s\n");
            files.insert(format!("{n}.m4s"), fragment(100 + n * 4));
        }
        for n in 0..10 {
            text += &format!("#EXTINF:6,\nt{n}.vtt\n");
            files.insert(format!("t{n}.vtt"), format!("WEBVTT {n}").into_bytes());
        }
        files.insert("v.m3u8".to_owned(), [&video, "#EXT-X-ENDLIST\n"].concat().into_bytes());
        files.insert("t.m3u8".to_owned(), [&text, "#EXT-X-ENDLIST\n"].concat().into_bytes());
        files.insert("i.mp4".to_owned(), init());
        files.insert("steer".to_owned(), b"{\"VERSION\":1,\"TTL\":2}".to_vec());
        // The same on another pathway.
        let copies: Vec<_> =
            files.iter().map(|(name, file)| (["b/", name].concat(), file.clone())).collect();
        files.extend(copies);
        let mut world = Self {
            player: Player::new(config, 1),
            now: Instant::default(),
            position: 0.0,
            seeking: false,
            files,
            removed: 0.0,
            buffered: 0.0,
            fetched: Vec::new(),
            sources: Vec::new(),
            ranges: Vec::new(),
            texts: Vec::new(),
            decrypted: Vec::new(),
            errors: Vec::new(),
        };
        world.tell(Input::Load { url: [BASE, "m.m3u8"].concat() });
        world
    }

    fn change(&mut self, name: &str, from: &str, to: &str) {
        let text = String::from_utf8(self.files[name].clone()).unwrap();
        assert!(text.contains(from), "{text}");
        self.files.insert(name.to_owned(), text.replace(from, to).into_bytes());
    }

    fn tell(&mut self, input: Input) {
        self.player.handle_input(self.now, input);
        let mut outputs = Vec::new();
        while let Some(output) = self.player.poll_output() {
            outputs.push(output);
        }
        for output in outputs {
            self.obey(output);
        }
    }

    fn obey(&mut self, output: Output) {
        match output {
            Output::Fetch(request) => self.answer(request),
            Output::Decrypt { job, iv, data, .. } => {
                self.decrypted.push(iv);
                self.tell(Input::Decrypted { job, data: Some(data) });
            }
            Output::Text(segment) => self.texts.push(segment),
            Output::Event(Event::TextSources(sources)) => self.sources = sources,
            Output::Event(Event::DateRanges(ranges)) => self.ranges = ranges,
            Output::Event(Event::Error { error, fatal }) => self.errors.push((error.code(), fatal)),
            output => {
                match &output {
                    Output::Media(MediaCommand::Append { data, .. })
                        if data.get(4..8) == Some(b"moof") =>
                    {
                        self.buffered += 4.0;
                    }
                    Output::Media(MediaCommand::Remove(_, _, until)) => self.removed = *until,
                    _ => {}
                }
                for answer in carried_out(&output, &(self.removed..self.buffered)) {
                    self.tell(answer);
                }
            }
        }
    }

    fn answer(&mut self, request: FetchRequest) {
        let name = request.url.strip_prefix(BASE).unwrap();
        let name = name.split('?').next().unwrap_or_default().to_owned();
        assert_eq!(request.range, None);
        if request.kind == FetchKind::Text {
            self.fetched.push(name.clone());
        }
        if let Some(body) = self.files.get(&name) {
            response(request, body).into_iter().for_each(|answer| self.tell(answer));
        } else {
            self.tell(Input::FetchHead {
                id: request.id,
                status: 404,
                content_length: Some(0),
                content_range: None,
                content_type: None,
                url: request.url,
            });
        }
    }

    fn steer(&mut self, priority: &str) {
        let manifest = format!("{{\"VERSION\":1,\"TTL\":2,\"PATHWAY-PRIORITY\":{priority}}}");
        self.files.insert("steer".into(), manifest.into_bytes());
    }

    fn play(&mut self, seconds: f64) {
        for _ in 0..(seconds * 10.0) as u32 {
            self.now += Duration::from_millis(100);
            self.position += 0.1;
            let playhead = Playhead {
                position: self.position,
                rate: 1.0,
                seeking: std::mem::take(&mut self.seeking),
                ready_state: 4,
                ..Playhead::default()
            };
            self.tell(Input::Playhead(playhead));
        }
    }

    fn chosen(&self) -> Vec<&str> {
        self.sources
            .iter()
            .filter(|source| source.chosen)
            .map(|source| source.attributes.value("NAME").unwrap_or_default())
            .collect()
    }

    fn given(&self) -> Vec<&str> {
        self.texts.iter().map(|text| std::str::from_utf8(&text.data).unwrap()).collect()
    }
}

fn subtitles(name: &str, language: &str, more: &str) -> String {
    format!(
        "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"{name}\",LANGUAGE=\"{language}\",URI=\"t.m3u8\"{more}\n"
    )
}

#[test]
fn subtitles_that_are_wanted_are_fetched_near_the_playhead_and_only_once() {
    let mut world = World::new(&subtitles("English", "en", ""), &[]);
    world.play(1.0);
    assert_eq!(world.sources.len(), 1);
    assert_eq!((world.sources[0].kind, world.sources[0].chosen), (TextKind::Subtitles, false));
    assert_eq!(world.fetched, [""; 0], "nobody wants them");
    world.tell(Input::SelectText(vec![0]));
    world.play(1.0);
    // The playhead is at 2 s, and 30 s ahead are fetched.
    assert_eq!(world.fetched, ["t0.vtt", "t1.vtt", "t2.vtt", "t3.vtt", "t4.vtt", "t5.vtt"]);
    let first = &world.texts[0];
    assert_eq!((first.source, first.start, first.end, first.offset), (0, 0.0, 6.0, -100.0));
    world.position = 50.0;
    world.seeking = true;
    world.play(5.0);
    world.position = 10.0;
    world.seeking = true;
    world.play(20.0);
    let mut once = world.fetched.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), world.fetched.len(), "{:?}", world.fetched);
    assert_eq!(world.given().len(), 10);
    // Switched off, nothing more is fetched; on again, they are given out anew.
    world.tell(Input::SelectText(Vec::new()));
    world.play(1.0);
    assert_eq!(world.texts.len(), 10);
    world.tell(Input::SelectText(vec![0, 7]));
    world.play(1.0);
    assert!(world.texts.len() > 10);
    assert_eq!(world.errors, []);
}

#[test]
fn the_default_is_shown_unless_the_viewer_reads_another_language() {
    let both = [
        subtitles("English", "en-US", ",DEFAULT=YES,AUTOSELECT=YES"),
        subtitles("Deutsch", "de", ",AUTOSELECT=YES"),
        subtitles("Signs", "de", ",AUTOSELECT=YES,FORCED=YES"),
    ]
    .concat();
    assert_eq!(World::new(&both, &[]).chosen(), ["English", "Signs"]);
    assert_eq!(World::new(&both, &["de-AT", "en"]).chosen(), ["Deutsch", "Signs"]);
    assert_eq!(World::new(&both, &["fr"]).chosen(), ["English", "Signs"]);
}

#[test]
fn without_a_default_subtitles_are_shown_for_sound_that_the_viewer_does_not_understand() {
    let sound =
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"Svenska\",LANGUAGE=\"sv\",DEFAULT=YES\n";
    let text = [
        sound.to_owned(),
        subtitles("English", "en", ",AUTOSELECT=YES"),
        subtitles("Svenska", "sv", ""),
        subtitles("Skyltar", "sv", ",FORCED=YES"),
        subtitles("Signs", "en", ",FORCED=YES"),
    ]
    .concat();
    assert_eq!(World::new(&text, &["en"]).chosen(), ["English", "Skyltar"]);
    assert_eq!(World::new(&text, &["sv"]).chosen(), ["Skyltar"]);
    assert_eq!(World::new(&text, &["fr"]).chosen(), ["Skyltar"]);
}

#[test]
fn captions_chapters_and_pictures_are_told_too() {
    let text = [
        subtitles("English", "en", ""),
        subtitles("English", "en", "").replace("\"s\"", "\"t\""),
        "#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"c\",NAME=\"English\",LANGUAGE=\"en\",INSTREAM-ID=\"CC1\"\n".to_owned(),
        "#EXT-X-SESSION-DATA:DATA-ID=\"com.apple.hls.chapters\",URI=\"c.json\"\n".to_owned(),
        "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9,CODECS=\"avc1.64001f\",URI=\"i.m3u8\"\n".to_owned(),
        "#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=9,CODECS=\"jpeg\",URI=\"big.m3u8\"\n".to_owned(),
        "#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=8,CODECS=\"jpeg\",URI=\"small.m3u8\"\n".to_owned(),
    ]
    .concat();
    let world = World::new(&text, &[]);
    let told: Vec<_> = world
        .sources
        .iter()
        .map(|source| {
            (source.kind, source.attributes.value("NAME").unwrap_or_default(), source.url.as_str())
        })
        .collect();
    assert_eq!(
        told,
        [
            (TextKind::Subtitles, "English", "https://o.example/t.m3u8"),
            (TextKind::Subtitles, "English", "https://o.example/t.m3u8"),
            (TextKind::Captions, "English", ""),
            (TextKind::Chapters, "", "https://o.example/c.json"),
            (TextKind::Images, "", "https://o.example/big.m3u8"),
            (TextKind::Images, "", "https://o.example/small.m3u8"),
            (TextKind::IFrames, "", "https://o.example/i.m3u8"),
        ]
    );
}

#[test]
fn subtitles_that_cannot_be_had_do_not_end_playback() {
    let mut world = World::new(&subtitles("English", "en", ""), &[]);
    world.files.remove("t1.vtt");
    world.tell(Input::SelectText(vec![0]));
    world.play(10.0);
    assert!(world.given().contains(&"WEBVTT 2"), "one that fails is left out: {:?}", world.fetched);
    assert!(
        world.fetched.iter().filter(|name| *name == "t1.vtt").count() > 1,
        "after some attempts"
    );
    assert_eq!(world.errors, []);
    let mut world = World::new(&subtitles("English", "en", ""), &[]);
    world.files.remove("t.m3u8");
    world.tell(Input::SelectText(vec![0]));
    world.play(20.0);
    assert!(
        world.errors.len() <= 1 && world.errors.iter().all(|(_, fatal)| !fatal),
        "{:?}",
        world.errors
    );
    assert!(world.buffered > 40.0, "{}", world.buffered);
}

#[test]
fn encrypted_subtitles_are_decrypted_and_an_init_section_comes_with_them() {
    let mut world = World::new(&subtitles("English", "en", ""), &[]);
    world.change(
        "t.m3u8",
        "#EXTINF:6,\nt1.vtt",
        "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXT-X-MAP:URI=\"ti.mp4\"\n#EXTINF:6,\nt1.vtt",
    );
    world.files.insert("k".into(), vec![7; 16]);
    world.files.insert("ti.mp4".into(), b"init".to_vec());
    world.tell(Input::SelectText(vec![0]));
    world.play(2.0);
    assert_eq!(world.fetched[..3], ["t0.vtt", "ti.mp4", "t1.vtt"]);
    assert_eq!((&world.texts[0].init[..], &world.texts[1].init[..]), (&b""[..], &b"init"[..]));
    assert_eq!(world.decrypted[0], 1_u128.to_be_bytes(), "by media sequence number");
    assert!(world.given().contains(&"WEBVTT 1"));
}

#[test]
fn subtitles_that_nobody_can_decrypt_are_lost_and_the_film_goes_on() {
    for key in [
        "METHOD=XOR,URI=\"k\"",
        "METHOD=SAMPLE-AES,URI=\"skd://k\",KEYFORMAT=\"com.apple.streamingkeydelivery\"",
    ] {
        let mut world = World::new(&subtitles("English", "en", ""), &[]);
        world.change(
            "t.m3u8",
            "#EXTINF:6,\nt1.vtt",
            &format!("#EXT-X-KEY:{key}\n#EXTINF:6,\nt1.vtt"),
        );
        world.tell(Input::SelectText(vec![0]));
        world.play(20.0);
        assert_eq!(world.given(), ["WEBVTT 0"], "what is clear is shown");
        assert_eq!(world.errors, [("unsupported-encryption", false)]);
        assert!(world.buffered > 40.0, "{}", world.buffered);
    }
}

#[test]
fn a_key_of_subtitles_that_comes_right_later_leaves_nothing_behind() {
    let entries = |bad: bool| {
        let mut world = World::new(&subtitles("English", "en", ""), &[]);
        world.change(
            "t.m3u8",
            "#EXTINF:6,\nt0.vtt",
            "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXTINF:6,\nt0.vtt",
        );
        world.files.insert("k".into(), vec![7; if bad { 5 } else { 16 }]);
        world.tell(Input::SelectText(vec![0]));
        world.play(3.0);
        assert_eq!(world.errors, if bad { vec![("key", false)] } else { Vec::new() });
        world.files.insert("k".into(), vec![7; 16]);
        world.play(10.0);
        assert!(world.given().contains(&"WEBVTT 1"), "{:?}", world.given());
        world.player.footprint()
    };
    assert_eq!(entries(true), entries(false));
}

#[test]
fn subtitles_follow_the_pathway() {
    let there = "#EXT-X-CONTENT-STEERING:SERVER-URI=\"steer\",PATHWAY-ID=\"B\"\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s2\",NAME=\"English\",LANGUAGE=\"en\",URI=\"b/t.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=500000,CODECS=\"avc1.64001f\",SUBTITLES=\"s2\",PATHWAY-ID=\"B\"\nb/v.m3u8\n";
    let mut world = World::new(&[there, &subtitles("English", "en", "")].concat(), &[]);
    world.steer("[\"B\",\".\"]");
    assert_eq!(world.sources.len(), 1, "one source, with two places: {:?}", world.sources);
    world.tell(Input::SelectText(vec![0]));
    world.play(2.0);
    assert!(world.fetched.contains(&"b/t0.vtt".to_owned()), "{:?}", world.fetched);
    // The steering server sends viewers elsewhere.
    world.steer("[\".\",\"B\"]");
    world.play(5.0);
    world.fetched.clear();
    world.play(40.0);
    assert!(world.buffered > 40.0, "{}", world.buffered);
    for segment in ["t7.vtt", "t8.vtt", "t9.vtt"] {
        assert!(world.fetched.contains(&segment.to_owned()), "{:?}", world.fetched);
    }
}

#[test]
fn date_ranges_are_put_on_the_timeline() {
    let mut world = World::new("", &[]);
    world.play(1.0);
    let told: Vec<_> = world
        .ranges
        .iter()
        .map(|range| (range.start, range.end, range.attributes.value("X-NOTE")))
        .collect();
    assert_eq!(told, [(10.0, 15.0, Some("b")), (20.0, f64::INFINITY, None)]);
}
