//! Parts that are byte ranges of one growing file, and hints without an end: one response brings part after part.

use bytes::Bytes;
use player_core::io::{FetchKind, FetchRequest, Input, MediaCommand, Output, Playhead};
use player_core::time::Instant;
use player_core::{Config, Player};
use tests::simulation::Title;

/// Media sequence of the segment that is being made, and its parts.
const OPEN: u64 = 2;
const PARTS: u64 = 4;

/// A core and the bytes that it had appended.
struct Viewer {
    player: Player,
    now: u64,
    requests: Vec<FetchRequest>,
    appended: Vec<u8>,
}

impl Viewer {
    fn tell(&mut self, input: Input) {
        self.now += 1_000;
        self.player.handle_input(Instant::from_micros(self.now), input);
        let mut done = Vec::new();
        while let Some(output) = self.player.poll_output() {
            match output {
                Output::Fetch(request) => self.requests.push(request),
                Output::CancelFetch(id) => self.requests.retain(|request| request.id != id),
                Output::Media(MediaCommand::Open(tracks)) => {
                    done.extend(tracks.into_iter().map(|(track, _)| track));
                }
                Output::Media(MediaCommand::Append { track, data, .. }) => {
                    self.appended.extend(&data);
                    done.push(track);
                }
                _ => {}
            }
        }
        for track in done {
            self.tell(Input::MediaDone { track, buffered: Vec::new() });
        }
    }

    /// The open request that `which` names.
    fn take(&mut self, which: impl Fn(&FetchRequest) -> bool) -> FetchRequest {
        let at = self.requests.iter().position(which);
        let at = at.unwrap_or_else(|| panic!("no such request in {:#?}", self.requests));
        self.requests.remove(at)
    }

    fn head(&mut self, request: &FetchRequest, length: Option<u64>) {
        let range = request.range.map(|(from, _)| (from, None));
        self.tell(Input::FetchHead {
            id: request.id,
            status: if range.is_some() { 206 } else { 200 },
            content_length: length,
            content_range: range,
            content_type: None,
            url: request.url.clone(),
        });
    }

    fn answer(&mut self, request: &FetchRequest, body: Bytes) {
        self.head(request, Some(body.len() as u64));
        self.tell(Input::FetchChunk { id: request.id, data: body });
        self.tell(Input::FetchDone { id: request.id });
    }
}

fn part(title: &Title, index: u64) -> Bytes {
    title.unit(0, OPEN * PARTS + index).into()
}

/// The playlist when so many parts of the open segment are out.
fn playlist(title: &Title, parts: u64) -> Bytes {
    let mut text =
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-VERSION:9\n#EXT-X-PART-INF:PART-TARGET=1\n\
        #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=3\n#EXT-X-MAP:URI=\"init.mp4\"\n\
        #EXTINF:4,\ns0.m4s\n#EXTINF:4,\ns1.m4s\n"
            .to_owned();
    let mut at = 0;
    for index in 0..parts {
        let size = part(title, index).len();
        text += &format!("#EXT-X-PART:DURATION=1,URI=\"s2.m4s\",BYTERANGE={size}@{at}\n");
        at += size;
    }
    text += &format!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"s2.m4s\",BYTERANGE-START={at}\n");
    text.into()
}

#[test]
fn one_open_ended_response_brings_the_parts_that_are_listed_later() {
    let title = Title::low_latency(vec![200_000], 4.0, PARTS, 3.0);
    let config = Config { p2p: player_core::config::P2pMode::Off, ..Config::default() };
    let mut viewer = Viewer {
        player: Player::new(config, 1),
        now: 0,
        requests: Vec::new(),
        appended: Vec::new(),
    };
    let url = "https://origin.example/title/v0/index.m3u8";
    viewer.tell(Input::Load { url: url.to_owned() });
    let main = viewer.take(|request| request.kind == FetchKind::Playlist);
    viewer.answer(&main, playlist(&title, 1));
    let init = viewer.take(|request| request.kind == FetchKind::Init);
    viewer.answer(&init, title.init(0).into());
    let position = 6.0;
    let playhead = Playhead { position, rate: 1.0, paused: true, ..Playhead::default() };
    viewer.tell(Input::Playhead(playhead));
    // Three seconds behind the edge is in a whole segment; then comes the part, and the hint without an end.
    let whole = viewer.take(|request| request.url.ends_with("s1.m4s"));
    viewer.answer(&whole, title.whole(0, 1));
    let sizes: Vec<u64> = (0..PARTS).map(|index| part(&title, index).len() as u64).collect();
    let first = viewer.take(|request| request.range == Some((0, Some(sizes[0]))));
    viewer.answer(&first, part(&title, 0));
    let hint = viewer.take(|request| request.range == Some((sizes[0], None)));
    viewer.head(&hint, None);
    for index in 1..PARTS {
        // The end of the part comes with the beginning of the next one, as it is made.
        let mut data = part(&title, index).to_vec();
        if index == 1 {
            data.truncate(data.len() - 50);
        } else {
            let before = part(&title, index - 1);
            data.splice(0..0, before[before.len() - 50..].iter().copied());
            if index + 1 < PARTS {
                data.truncate(data.len() - 50);
            }
        }
        viewer.tell(Input::FetchChunk { id: hint.id, data: data.into() });
        // The next request for the playlist is due half a part after the last.
        viewer.now += 500_000;
        viewer.tell(Input::Tick);
        let reload = viewer.take(|request| request.kind == FetchKind::Playlist);
        let wanted = format!("?_HLS_msn=2&_HLS_part={index}");
        assert!(reload.url.ends_with(&wanted), "{}", reload.url);
        viewer.answer(&reload, playlist(&title, index + 1));
        let segments: Vec<_> =
            viewer.requests.iter().filter(|request| request.kind == FetchKind::Segment).collect();
        assert!(segments.is_empty(), "part {index} is asked for twice: {segments:#?}");
    }
    let mut wanted = title.init(0);
    wanted.extend(title.whole(0, 1));
    wanted.extend(title.whole(0, OPEN));
    assert_eq!(viewer.appended.len(), wanted.len());
    assert!(viewer.appended == wanted, "what was appended is what the origin made, in order");
}
