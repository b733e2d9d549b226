//! Transport streams that arrive slowly: a real engine and a real transmuxer, in virtual time.

use std::time::Duration;

use bytes::Bytes;
use player_core::io::{
    FetchKind, FetchRequest, Input, MediaCommand, Output, Playhead, Track, Transmuxed as Done,
    TransmuxedInit,
};
use player_core::{Config, Instant, Player};
use player_transmux::{Transmuxed, Transmuxer};
use tests::transport_stream;

const SEGMENTS: u64 = 4;
const PICTURES: u64 = 100;
const SECONDS: f64 = 4.0;

/// Where the stream's own clock begins.
const CLOCK: u64 = 900_000;

/// What was appended, and when.
struct Append {
    at: Duration,
    bytes: usize,
    offset: Option<f64>,
}

/// One viewer of four segments, and the line that they come by.
struct World {
    player: Player,
    now: Instant,
    began: Instant,
    requests: Vec<(FetchRequest, usize)>,
    transmuxer: Transmuxer,
    /// For each job: whether the segment began and ended with it, and its bytes.
    jobs: Vec<(bool, bool, usize)>,
    appends: Vec<Append>,
    media: Vec<u8>,
    answers: Vec<Input>,
    /// Seconds that have been appended.
    buffered: f64,
    ended: bool,
    /// Which segment comes for which.
    files: [u64; SEGMENTS as usize],
}

impl World {
    fn new(codecs: bool) -> Self {
        let attributes = if codecs { ",CODECS=\"avc1.64001e\"" } else { "" };
        let mut world = Self {
            player: Player::new(Config::default(), 7),
            now: Instant::default(),
            began: Instant::default(),
            requests: Vec::new(),
            transmuxer: Transmuxer::new(),
            jobs: Vec::new(),
            appends: Vec::new(),
            media: Vec::new(),
            answers: Vec::new(),
            buffered: 0.0,
            ended: false,
            files: std::array::from_fn(|at| at as u64),
        };
        world.tell(Input::Load { url: "https://o.example/m.m3u8".into() });
        let playlist = format!("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=800000{attributes}\na.m3u8\n");
        world.document(&playlist);
        let mut list = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n".to_owned();
        for at in 0..SEGMENTS {
            list += &format!("#EXTINF:{SECONDS},\n{at}.ts\n");
        }
        list += "#EXT-X-ENDLIST\n";
        world.document(&list);
        world
    }

    /// Answers the request for a playlist.
    fn document(&mut self, text: &str) {
        let (request, _) = self.requests.remove(0);
        assert_eq!(request.kind, FetchKind::Playlist);
        let body = Bytes::copy_from_slice(text.as_bytes());
        let head = head(&request, body.len());
        self.tell(head);
        self.tell(Input::FetchChunk { id: request.id, data: body });
        self.tell(Input::FetchDone { id: request.id });
    }

    fn tell(&mut self, input: Input) {
        self.answers.insert(0, input);
        while let Some(input) = self.answers.pop() {
            self.player.handle_input(self.now, input);
            while let Some(output) = self.player.poll_output() {
                self.obey(output);
            }
        }
    }

    fn obey(&mut self, output: Output) {
        match output {
            Output::Fetch(request) => self.requests.push((request, 0)),
            Output::CancelFetch(id) => self.requests.retain(|(request, _)| request.id != id),
            Output::CheckCodecs(types) => {
                self.answers.insert(0, Input::CodecSupport(vec![true; types.len()]));
            }
            Output::Transmux { job, reset, begins, ends, last, data, .. } => {
                self.jobs.push((begins, ends, data.len()));
                let result = Ok(self.transmux(reset, begins, ends, last, &data));
                self.answers.insert(0, Input::Transmuxed { job, result });
            }
            Output::Media(MediaCommand::Open(_) | MediaCommand::ResetParser(_)) => self.done(),
            Output::Media(MediaCommand::Append { data, timestamp_offset, .. }) => {
                let fragments = fragments(&data);
                if fragments > 0 {
                    self.appends.push(Append {
                        at: self.now.since(self.began),
                        bytes: data.len(),
                        offset: timestamp_offset,
                    });
                }
                self.buffered += f64::from(samples(&data)) / 25.0;
                self.media.extend_from_slice(&data);
                self.done();
            }
            Output::Media(MediaCommand::EndOfStream) => self.ended = true,
            Output::Event(player_core::io::Event::Error { error, .. }) => panic!("{error}"),
            _ => {}
        }
    }

    fn done(&mut self) {
        let buffered = if self.buffered > 0.0 { vec![0.0..self.buffered] } else { Vec::new() };
        self.answers.insert(0, Input::MediaDone { track: Track::Main, buffered });
    }

    fn transmux(&mut self, reset: bool, begins: bool, ends: bool, last: bool, data: &[u8]) -> Done {
        if reset {
            self.transmuxer = Transmuxer::new();
        }
        if begins {
            self.transmuxer.begin(false);
        }
        self.transmuxer.push(data).expect("a transport stream");
        if ends {
            self.transmuxer.end().expect("a transport stream");
        }
        if last {
            self.transmuxer.finish().expect("a transport stream");
        }
        let mut done = Done { init: None, media: Bytes::new(), start: 0.0 };
        let mut media = Vec::new();
        while let Some(ready) = self.transmuxer.poll() {
            match ready {
                Transmuxed::Init { data, codecs } => {
                    done.init = Some(TransmuxedInit { data: data.into(), codecs });
                }
                Transmuxed::Media { data, start, .. } => {
                    if media.is_empty() {
                        done.start = start;
                    }
                    media.extend(data);
                }
            }
        }
        done.media = media.into();
        done
    }

    /// Lets `bytes` of what was asked first come, and time pass.
    fn pass(&mut self, millis: u64, bytes: usize, position: f64) {
        self.now += Duration::from_millis(millis);
        // An element that has something ahead and does not move would be a decoder that is stuck.
        let ready_state = if position + 0.1 < self.buffered { 4 } else { 2 };
        let playhead = Playhead { position, rate: 1.0, ready_state, ..Playhead::default() };
        self.tell(Input::Playhead(playhead));
        let Some((request, sent)) = self.requests.first().cloned() else { return };
        let name = request.url.rsplit('/').next().unwrap_or_default();
        let at: u64 = name.trim_end_matches(".ts").parse().expect("a segment");
        let body = segment(self.files[at as usize]);
        if sent == 0 {
            let head = head(&request, body.len());
            self.tell(head);
        }
        let end = (sent + bytes).min(body.len());
        if let Some((_, sent)) = self.requests.iter_mut().find(|(known, _)| known.id == request.id)
        {
            *sent = end;
        }
        self.tell(Input::FetchChunk {
            id: request.id,
            data: Bytes::copy_from_slice(&body[sent..end]),
        });
        if end == body.len() {
            self.requests.retain(|(known, _)| known.id != request.id);
            self.tell(Input::FetchDone { id: request.id });
        }
    }
}

fn segment(at: u64) -> Vec<u8> {
    transport_stream::segment(CLOCK + at * PICTURES * 3600, PICTURES, 4000)
}

fn head(request: &FetchRequest, length: usize) -> Input {
    assert_eq!(request.range, None);
    Input::FetchHead {
        id: request.id,
        status: 200,
        content_length: Some(length as u64),
        content_range: None,
        content_type: None,
        url: request.url.clone(),
    }
}

/// How many fragments there are.
fn fragments(data: &[u8]) -> usize {
    data.windows(4).filter(|window| *window == b"moof").count()
}

/// How many samples their runs have.
fn samples(data: &[u8]) -> u32 {
    let runs = data.windows(12).filter(|window| window.starts_with(b"trun"));
    runs.map(|run| u32::from_be_bytes([run[8], run[9], run[10], run[11]])).sum()
}

#[test]
fn the_first_pictures_are_appended_while_their_segment_arrives() {
    for codecs in [true, false] {
        let mut world = World::new(codecs);
        let size = segment(0).len();
        // A segment takes ten seconds, and is played as far as it is there.
        let mut position: f64 = 0.0;
        for _ in 0..100 {
            world.pass(100, size / 100 + 1, position);
            position = (position + 0.1).min(world.buffered);
        }
        let first = world.appends.first().expect("something is appended");
        assert!(first.at < Duration::from_secs(3), "after {:?} of ten seconds", first.at);
        assert_eq!(first.offset, Some(-(CLOCK as f64) / 90_000.0), "it is put at the start");
        let begun = world.jobs.iter().filter(|(begins, ..)| *begins).count();
        let ended = world.jobs.iter().filter(|(_, ends, _)| *ends).count();
        assert_eq!((begun, ended), (1, 1), "the jobs of one segment: {:?}", world.jobs);
        assert!(world.jobs.len() > 3, "{:?}", world.jobs);
        assert_eq!(world.jobs.iter().map(|(.., bytes)| bytes).sum::<usize>(), size);
        for append in &world.appends[1..] {
            assert_eq!(append.offset, None, "the rest goes where the first went");
            assert!(append.bytes > 0);
        }
        // What was held back for the next segment comes with it.
        assert!(samples(&world.media) >= PICTURES as u32 - 1, "{}", samples(&world.media));
    }
}

#[test]
fn parts_hold_what_the_whole_holds() {
    let mut slow = World::new(true);
    let mut position = 0.0;
    while !slow.ended {
        slow.pass(100, 9_000, position);
        position = (slow.buffered - 0.5).max(0.0);
        assert!(slow.now.since(slow.began) < Duration::from_secs(600), "it comes to its end");
    }
    assert_eq!(samples(&slow.media), (SEGMENTS * PICTURES) as u32);
    assert!(slow.jobs.len() > 3 * SEGMENTS as usize, "{:?}", slow.jobs);
    assert_eq!(slow.buffered, SEGMENTS as f64 * SECONDS);
}

#[test]
fn a_viewer_with_enough_ahead_takes_segments_whole() {
    let mut world = World::new(true);
    while !world.ended {
        world.pass(100, 100_000, 0.0);
        assert!(world.now.since(world.began) < Duration::from_secs(600), "it comes to its end");
    }
    let later = world.jobs.iter().filter(|(begins, ends, _)| *begins && *ends).count();
    assert_eq!(later as u64, SEGMENTS - 1, "{:?}", world.jobs);
    assert_eq!(samples(&world.media), (SEGMENTS * PICTURES) as u32);
}

#[test]
fn a_clock_that_jumps_without_a_discontinuity_does_not_move_the_segment() {
    let mut world = World::new(true);
    // The third segment has the first one's times again.
    world.files = [0, 1, 0, 1];
    while !world.ended {
        world.pass(100, 500_000, 0.0);
        assert!(world.now.since(world.began) < Duration::from_secs(600), "it comes to its end");
    }
    let offsets: Vec<f64> = world.appends.iter().filter_map(|append| append.offset).collect();
    let first = -(CLOCK as f64) / 90_000.0;
    let later = first + 2.0 * SECONDS;
    let expected = [first, first, later, later];
    let near = |(one, other): (&f64, &f64)| (one - other).abs() < 0.1;
    assert_eq!(offsets.len(), 4, "{offsets:?}");
    assert!(offsets.iter().zip(&expected).all(near), "{offsets:?} instead of {expected:?}");
}
