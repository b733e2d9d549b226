//! What each fuzz target does with its bytes: shared with `tests/tests/corpora.rs`, which does it to the kept ones.

use bytes::Bytes;
use player_core::OrderedMap;
use player_core::hls::{self, MediaPlaylist};
use player_core::recording::{self, Entry};
use player_core::tracker::{ClientMessage, ServerMessage};
use player_core::wire::Message;
use player_crypto::Cipher;
use player_text::segment::Place;
use player_text::{Cue, MAX_CUES, MAX_TEXT, Tap, segment, thumbnails};
use player_transmux::{Transmuxed, Transmuxer};

#[path = "../../player-core/tests/hostile/mod.rs"]
mod hostile;

const URL: &str = "https://media.example/show/index.m3u8?user=ann";

/// Each target by the name of its folder in `corpus`.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All of them.
pub(crate) const TARGETS: [Target; 10] = [
    ("playlist", playlist),
    ("refresh", refresh),
    ("transport_stream", transport_stream),
    ("boxes", boxes),
    ("wire", wire),
    ("tracker", tracker),
    ("core", core),
    ("text", text),
    ("crypto", crypto),
    ("recording", recording),
];

/// A playlist of either kind.
pub(crate) fn playlist(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let imports = OrderedMap::new();
    let _ = hls::parse(&text, URL, &imports);
    let _ = hls::parse_multivariant(&text, URL);
    if let Ok(playlist) = hls::parse_media(&text, URL, &imports) {
        sound(&playlist);
        for segment in &playlist.segments {
            let _ = playlist.segment_url(segment);
            let _ = (playlist.title(segment), playlist.byte_range(segment));
            let _ = (playlist.init_of(segment), playlist.program_date_time(segment));
            for key in playlist.keys_of(segment) {
                let _ = key.iv_of(segment);
            }
        }
    }
}

/// A playlist and what it is reloaded as, divided by zero bytes. Reading only what changed gives the same as reading
/// all.
pub(crate) fn refresh(data: &[u8]) {
    let imports = OrderedMap::new();
    let mut known: Option<(MediaPlaylist, MediaPlaylist)> = None;
    for text in data.split(|byte| *byte == 0) {
        let text = String::from_utf8_lossy(text);
        match &mut known {
            None => {
                if let Ok(first) = hls::parse_media(&text, URL, &imports) {
                    known = Some((first.clone(), first));
                }
            }
            Some((quick, slow)) => {
                let whole = hls::parse_media(&text, URL, &imports);
                let quickly = quick.refresh_text(&text, URL, &imports);
                assert_eq!(quickly.is_ok(), whole.is_ok());
                if let Ok(whole) = whole {
                    slow.refresh(whole);
                }
                sound(quick);
                sound(slow);
                same(quick, slow);
            }
        }
    }
}

/// What holds for each media playlist, whatever its text says.
fn sound(playlist: &MediaPlaylist) {
    for pair in playlist.segments.windows(2) {
        assert!(pair[0].sequence <= pair[1].sequence);
        assert!(pair[0].start <= pair[1].start, "{pair:?}");
    }
    for segment in &playlist.segments {
        assert!(segment.start.is_finite() && segment.duration.is_finite());
        assert!(segment.duration >= 0.0);
    }
}

fn same(one: &MediaPlaylist, other: &MediaPlaylist) {
    assert_eq!(one.segments.len(), other.segments.len());
    for (one_segment, other_segment) in one.segments.iter().zip(&other.segments) {
        assert_eq!(one_segment.sequence, other_segment.sequence);
        assert!((one_segment.start - other_segment.start).abs() < 1e-3);
        assert_eq!(one.segment_url(one_segment), other.segment_url(other_segment));
        assert_eq!(one.byte_range(one_segment), other.byte_range(other_segment));
        assert_eq!(one.keys_of(one_segment), other.keys_of(other_segment));
        assert_eq!(one.init_of(one_segment), other.init_of(other_segment));
        assert_eq!(
            (one_segment.discontinuity, one_segment.discontinuity_sequence, one_segment.gap),
            (other_segment.discontinuity, other_segment.discontinuity_sequence, other_segment.gap),
        );
    }
    assert_eq!((one.end_list, one.parts.len()), (other.end_list, other.parts.len()));
}

/// Segments of a transport stream or of raw audio. The first byte tells how they are cut.
pub(crate) fn transport_stream(data: &[u8]) {
    let Some((&how, data)) = data.split_first() else { return };
    let piece = 1 + usize::from(how) * 7;
    let mut transmuxer = Transmuxer::new();
    let segments =
        if how % 2 == 0 { vec![data] } else { data.chunks(data.len() / 2 + 1).collect() };
    let mut fed = 0;
    let mut out = 0;
    for segment in segments {
        transmuxer.begin(how % 8 == 3);
        for piece in segment.chunks(piece) {
            fed += piece.len();
            let _ = transmuxer.push(piece);
            out += drain(&mut transmuxer);
            assert!(transmuxer.buffered_bytes() <= 8 * fed + 4096, "what is held is what came");
        }
        let _ = transmuxer.end();
        out += drain(&mut transmuxer);
    }
    let _ = transmuxer.finish();
    out += drain(&mut transmuxer);
    assert!(out <= 64 * fed + 4096, "{out} bytes of {fed}");
}

/// Takes what is ready: whole boxes.
fn drain(transmuxer: &mut Transmuxer) -> usize {
    let mut bytes = 0;
    while let Some(ready) = transmuxer.poll() {
        let data = match ready {
            Transmuxed::Init { data, .. } => data,
            Transmuxed::Media { data, start, duration } => {
                assert!(start.is_finite() && duration >= 0.0, "{start} {duration}");
                data
            }
        };
        let mut at = 0;
        while let Some(size) = data.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
            at += u32::from_be_bytes(*size).max(8) as usize;
        }
        assert_eq!(at, data.len(), "boxes fill what comes out");
        bytes += data.len();
    }
    bytes
}

/// An init section and a segment of fragmented MP4. The first two bytes tell where one ends.
pub(crate) fn boxes(data: &[u8]) {
    let Some((init, data)) = halves(data) else { return };
    let start = player_core::read_fmp4(init, data);
    assert!(start.is_none_or(f64::is_finite));
}

/// A message of a peer: what can be read survives being written.
pub(crate) fn wire(data: &[u8]) {
    if let Ok(message) = Message::decode(Bytes::copy_from_slice(data))
        // Of a type that is not known nothing is kept.
        && !matches!(message, Message::Unknown { .. })
    {
        let again = Message::decode(Bytes::from(message.encode()));
        assert_eq!(again.ok(), Some(message));
    }
}

/// A message of a tracker, or of its client: what can be read survives being written.
pub(crate) fn tracker(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(message) = ServerMessage::from_json(&text) {
        let again = ServerMessage::from_json(&message.to_json());
        assert_eq!(again.ok(), Some(message));
    }
    if let Ok(message) = ClientMessage::from_json(&text) {
        let again = ClientMessage::from_json(&message.to_json());
        assert_eq!(again.ok(), Some(message));
    }
}

/// Most throws of the dice in one world.
const MAX_THROWS: usize = 400;

/// A core in a world that does what the bytes say, eight for each thing that happens; the first eight are the core's
/// seed, and whether it plays already. What must hold is checked after each of them.
pub(crate) fn core(data: &[u8]) {
    let Some((seed, data)) = data.split_first_chunk::<8>() else { return };
    let mut world = hostile::World::new(u64::from_le_bytes(*seed), None);
    if seed[0].is_multiple_of(2) {
        world.warm_up();
    }
    let (throws, _) = data.as_chunks::<8>();
    for &[action, choice, a, b, c, d, e, f] in throws.iter().take(MAX_THROWS) {
        let number = u32::from_le_bytes([a, b, c, d]);
        world.step((action, choice, number, u16::from_le_bytes([e, f])));
    }
}

/// Where the bytes of a target are cut in two: its first two bytes tell.
fn halves(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[high, low], data) = data.split_first_chunk::<2>()?;
    let at = usize::from(u16::from_be_bytes([high, low])).min(data.len());
    Some(data.split_at(at))
}

/// An init section and a segment of subtitles, and the same as what is appended to a source buffer. Both as a playlist
/// of thumbnails too.
pub(crate) fn text(data: &[u8]) {
    let Some((init, data)) = halves(data) else { return };
    for offset in [f64::NAN, 0.0, -1e9] {
        let place = Place { start: 10.0, end: 16.0, offset };
        for init in [init, &[]] {
            let cues = segment::read(init, data, place).unwrap_or_default();
            sensible(&cues, MAX_CUES);
            assert!(cues.iter().all(|cue| cue.end > cue.start && cue.start.is_finite()));
        }
    }
    let mut cues: Vec<Cue> = Vec::new();
    let mut tap = Tap::default();
    tap.append(init, None, &mut cues);
    let (head, tail) = data.split_at(data.len() / 2);
    tap.append(head, Some(0.0), &mut cues);
    tap.append(tail, None, &mut cues);
    tap.append(data, Some(5.0), &mut cues);
    sensible(&cues, 4 * MAX_CUES);
    let playlist = thumbnails::read(&String::from_utf8_lossy(data));
    assert!(playlist.thumbnails.len() <= MAX_CUES);
    let _ = thumbnails::picture(init, data);
}

fn sensible(cues: &[Cue], most: usize) {
    assert!(cues.len() <= most, "{} cues", cues.len());
    for cue in cues {
        assert!(!cue.start.is_nan() && !cue.end.is_nan(), "{cue:?}");
        assert!(cue.text.len() <= MAX_TEXT, "{} bytes of text", cue.text.len());
    }
}

/// An init section and a segment, decrypted in each way. Nothing gets longer, and what is in place stays in place.
pub(crate) fn crypto(data: &[u8]) {
    let Some((init, data)) = halves(data) else { return };
    let (key, iv) = ([7; 32], [9; 16]);
    for (cipher, key) in [
        (Cipher::Samples, &key[..16]),
        (Cipher::Cbc, &key[..16]),
        (Cipher::Cbc, &key[..]),
        (Cipher::Ctr, &key[..16]),
        (Cipher::Samples, &key[..]),
        (Cipher::Ctr, &key[..5]),
    ] {
        let mut out = data.to_vec();
        let done = player_crypto::decrypt(cipher, key, &iv, init, &mut out);
        let padding = if cipher == Cipher::Cbc { 16 } else { 0 };
        assert!(out.len() <= data.len() && out.len() + padding >= data.len(), "{done:?}");
        let mut init = init.to_vec();
        let _ = player_crypto::decrypt(cipher, key, &iv, &[], &mut init);
    }
}

/// A recording that somebody sends in.
pub(crate) fn recording(data: &[u8]) {
    for (seen, entry) in recording::entries(Bytes::copy_from_slice(data)).enumerate() {
        assert!(seen <= data.len(), "each entry takes bytes");
        if let Ok(Entry::Step { said, .. }) = entry {
            let _ = said.kinds().count();
        }
    }
}
