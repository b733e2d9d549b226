//! Which key and which job an encrypted stream gets.

mod boxes;
mod page;

use boxes::{boxed, init_of, moof};
use bytes::Bytes;
use page::{carried_out, response};
use player_core::error::{KeyFault, PlayerError};
use player_core::io::{Cipher, Event, FetchRequest, Input, JobId, MediaCommand, Output};
use player_core::time::Instant;
use player_core::{Config, Player};

/// An init section of encrypted video (ISO/IEC 14496-12 §8.12), whose sample entry has this type.
fn init(entry: &[u8; 4]) -> Vec<u8> {
    init_of(entry, &boxed(b"sinf", &boxed(b"frma", b"avc1")))
}

/// A fragment with this in it.
fn segment(filler: u8) -> Vec<u8> {
    [moof(0), boxed(b"mdat", &[filler; 5000])].concat()
}

/// A decryption that was asked for.
#[derive(Debug)]
struct Work {
    job: JobId,
    cipher: Cipher,
    key: Bytes,
    iv: [u8; 16],
    init: Bytes,
    data: Bytes,
}

/// A player, and what it asks for. Files are answered at once; decryptions when the test wants.
struct World {
    player: Player,
    now: Instant,
    files: Vec<(&'static str, Vec<u8>)>,
    asked: Vec<String>,
    work: Vec<Work>,
    appended: Vec<Bytes>,
    events: Vec<Event>,
}

impl World {
    fn new(playlist: &str, files: &[(&'static str, Vec<u8>)]) -> Self {
        let files = [&[("m.m3u8", playlist.as_bytes().to_vec())], files].concat();
        let mut world = Self {
            player: Player::new(Config::default(), 7),
            now: Instant::default(),
            files,
            asked: Vec::new(),
            work: Vec::new(),
            appended: Vec::new(),
            events: Vec::new(),
        };
        world.tell(Input::Load { url: "https://o.example/m.m3u8".into() });
        for _ in 0..40 {
            world.now += std::time::Duration::from_millis(50);
            world.tell(Input::Tick);
        }
        world
    }

    fn tell(&mut self, input: Input) {
        self.player.handle_input(self.now, input);
        let mut answers = Vec::new();
        while let Some(output) = self.player.poll_output() {
            match output {
                Output::Fetch(request) => answers.extend(self.answer(request)),
                Output::Decrypt { job, cipher, key, iv, init, data } => {
                    self.work.push(Work { job, cipher, key, iv, init, data });
                }
                Output::Event(event) => self.events.push(event),
                output => {
                    answers.extend(carried_out(&output, &(0.0..4.0)));
                    if let Output::Media(MediaCommand::Append { data, .. }) = output {
                        self.appended.push(data);
                    }
                }
            }
        }
        for answer in answers {
            self.tell(answer);
        }
    }

    fn answer(&mut self, request: FetchRequest) -> Vec<Input> {
        self.asked.push(request.url.clone());
        let name = request.url.rsplit('/').next().unwrap_or_default();
        match self.files.iter().find(|(known, _)| *known == name) {
            Some((_, body)) => response(request, body).into(),
            None => vec![Input::FetchFailed { id: request.id }],
        }
    }

    fn decrypted(&mut self, work: &Work, data: Option<&[u8]>) {
        let data = data.map(Bytes::copy_from_slice);
        self.tell(Input::Decrypted { job: work.job, data });
    }

    fn asked_for(&self, name: &str) -> usize {
        self.asked.iter().filter(|url| url.ends_with(name)).count()
    }

    fn key_faults(&self) -> Vec<KeyFault> {
        let fault = |event: &Event| match event {
            Event::Error { error: PlayerError::Key { fault, .. }, fatal: false } => Some(*fault),
            _ => None,
        };
        self.events.iter().filter_map(fault).collect()
    }
}

fn playlist(keys: &str) -> String {
    format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:5\n#EXT-X-MAP:URI=\"i.mp4\"\n{keys}#EXTINF:4,\n5.m4s\n#EXT-X-ENDLIST\n"
    )
}

const WIDEVINE: &str = "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"data:text/plain;base64,AAAA\",IV=0x0A,KEYFORMAT=\"urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed\"\n";

#[test]
fn samples_are_decrypted_with_their_init_section_and_appended_behind_a_clear_one() {
    let keys = "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"k\"\n";
    let files = [("i.mp4", init(b"encv")), ("5.m4s", segment(1)), ("k", vec![3; 16])];
    let mut world = World::new(&playlist(keys), &files);
    let clearing = world.work.remove(0);
    assert_eq!((clearing.cipher, &clearing.data[..]), (Cipher::Samples, &init(b"encv")[..]));
    world.decrypted(&clearing, Some(&init(b"avc1")));
    let work = world.work.remove(0);
    assert_eq!((work.cipher, &work.key[..]), (Cipher::Samples, &[3; 16][..]));
    assert_eq!((&work.init[..], &work.data[..]), (&init(b"encv")[..], &segment(1)[..]));
    world.decrypted(&work, Some(&segment(2)));
    assert_eq!(world.appended, [Bytes::from(init(b"avc1")), Bytes::from(segment(2))]);
    assert!(!world.events.iter().any(|event| matches!(event, Event::ModuleKeys { .. })));
}

#[test]
fn a_whole_segment_without_an_iv_has_its_media_sequence_number() {
    let keys = "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n";
    let list = playlist(keys).replace("#EXT-X-MAP:URI=\"i.mp4\"\n", "");
    let world = World::new(&list, &[("5.m4s", segment(1)), ("k", vec![3; 16])]);
    let work = &world.work[0];
    assert_eq!((work.cipher, work.iv), (Cipher::AesCbc, 5_u128.to_be_bytes()));
}

#[test]
fn an_identity_key_is_taken_before_those_of_modules_with_its_own_vector() {
    let keys = format!("{WIDEVINE}#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"k\",IV=0x0B\n");
    let files = [("i.mp4", init(b"encv")), ("5.m4s", segment(1)), ("k", vec![3; 16])];
    let mut world = World::new(&playlist(&keys), &files);
    let clearing = world.work.remove(0);
    world.decrypted(&clearing, Some(&init(b"avc1")));
    assert_eq!(world.work[0].iv, 11_u128.to_be_bytes());
}

#[test]
fn what_only_a_module_decrypts_is_appended_as_it_came_and_the_page_is_told_of_its_keys() {
    let files = [("i.mp4", init(b"encv")), ("5.m4s", segment(1))];
    let world = World::new(&playlist(WIDEVINE), &files);
    assert!(world.work.is_empty(), "{:?}", world.work);
    assert_eq!(world.appended, [Bytes::from(init(b"encv")), Bytes::from(segment(1))]);
    let told = world.events.iter().filter_map(|event| match event {
        Event::ModuleKeys { variant, keys } => Some((*variant, keys.len())),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [(Some(0), 1), (None, 0)]);
}

#[test]
fn a_key_that_is_none_is_told_once_and_asked_for_again() {
    for (method, length) in [("AES-128", 32), ("AES-256", 16), ("SAMPLE-AES", 32), ("AES-128", 5)] {
        let keys = format!("#EXT-X-KEY:METHOD={method},URI=\"k\"\n");
        let list = playlist(&keys).replace("#EXT-X-MAP:URI=\"i.mp4\"\n", "");
        let mut world = World::new(&list, &[("5.m4s", segment(1)), ("k", vec![3; length])]);
        for _ in 0..100 {
            world.now += std::time::Duration::from_millis(100);
            world.tell(Input::Tick);
        }
        assert_eq!(world.key_faults(), [KeyFault::Length], "{method} {length}");
        assert!((2..10).contains(&world.asked_for("/k")), "{}", world.asked_for("/k"));
        assert!(world.work.is_empty());
    }
}

#[test]
fn a_segment_that_does_not_decrypt_is_fetched_again_with_its_key() {
    let keys = "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n";
    let list = playlist(keys).replace("#EXT-X-MAP:URI=\"i.mp4\"\n", "");
    let mut world = World::new(&list, &[("5.m4s", segment(1)), ("k", vec![3; 16])]);
    for times in 2..4 {
        let work = world.work.remove(0);
        world.decrypted(&work, None);
        for _ in 0..100 {
            world.now += std::time::Duration::from_millis(100);
            world.tell(Input::Tick);
        }
        assert_eq!(world.key_faults(), [KeyFault::Other], "it is told once");
        let asked = (world.asked_for("/k"), world.asked_for("5.m4s"), world.work.len());
        assert_eq!(asked, (times, times, 1));
    }
}

#[test]
fn variants_that_may_not_be_shown_are_left() {
    let variant = |name: &str, bitrate: u32| {
        format!("#EXT-X-STREAM-INF:BANDWIDTH={bitrate},CODECS=\"avc1.64001f\"\n{name}\n")
    };
    let list =
        format!("#EXTM3U\n{}{}", variant("low.m3u8", 100_000), variant("high.m3u8", 200_000));
    let media = playlist("").into_bytes();
    let files = [
        ("low.m3u8", media.clone()),
        ("high.m3u8", media),
        ("i.mp4", init(b"avc1")),
        ("5.m4s", segment(1)),
    ];
    let mut world = World::new(&list, &files);
    let selected = |world: &World| {
        world.events.iter().rev().find_map(|event| match event {
            Event::VariantSelected { index, .. } => Some(*index),
            _ => None,
        })
    };
    assert_eq!(selected(&world), Some(1));
    world.tell(Input::ExcludeVariants(vec![1, 99]));
    assert_eq!(selected(&world), Some(0));
    // When none is left the page has the last word.
    world.tell(Input::ExcludeVariants(vec![0]));
    assert_eq!(selected(&world), Some(0));
}
