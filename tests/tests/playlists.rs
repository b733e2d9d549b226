//! The playlist reader against golden playlists, against a corpus of playlists from the field, against another
//! reader, and against noise.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hls_m3u8::tags::VariantStream;
use hls_m3u8::{MasterPlaylist, MediaPlaylist};
use player_core::OrderedMap;
use player_core::hls::{self, Playlist};
use proptest::prelude::*;
use serde_json::{Value, json};

#[path = "../src/inspect.rs"]
mod inspect;

/// Where each golden playlist was loaded from.
const URL: &str = "https://media.example/show/index.m3u8?user=ann%20b";

/// The golden playlists that conform to RFC 8216 and use no tag of its successor.
const CONFORMING: &[&str] = &[
    "vod-plain",
    "vod-fmp4-byte-ranges",
    "live-window",
    "event-with-dates",
    "aes-128-rotation",
    "drm-keys-of-two-formats",
    "multivariant-plain",
    "multivariant-renditions",
];

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("playlists")
}

/// Name and text of each golden playlist.
fn golden() -> Vec<(String, String)> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(golden_folder()).expect("the golden folder can be listed") {
        let path = entry.expect("a folder entry").path();
        if path.is_dir() {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let text = fs::read_to_string(path.join("input.m3u8")).expect("input.m3u8 can be read");
            cases.push((name, text));
        }
    }
    cases.sort();
    cases
}

/// Set `UPDATE_GOLDEN=1` to write what is read now; review the difference before committing it.
#[test]
fn golden_playlists_are_read_as_expected() {
    let cases = golden();
    assert!(cases.len() >= 33, "golden playlists are missing");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for (name, text) in cases {
        let case =
            json!({ "baseUrl": URL, "playlist": text, "importVariables": { "token": "s3cret" } });
        let read = inspect::inspect(&case);
        let path = golden_folder().join(&name).join("expected.json");
        if update {
            let pretty = serde_json::to_string_pretty(&read).expect("JSON");
            fs::write(&path, pretty + "\n").expect("expected.json can be written");
            continue;
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        let expected: Value = serde_json::from_str(&expected).unwrap_or_default();
        let mut differences = Vec::new();
        compare(&expected, &read, "", &mut differences);
        if !differences.is_empty() {
            wrong.push(format!("{name}: {}", differences.join("; ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The corpus is not part of the project: it is beside it, or absent.
#[test]
fn playlists_from_the_field_are_read_as_other_players_do() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus/playlists.jsonl");
    let Ok(corpus) = fs::read_to_string(&path) else {
        eprintln!("skipped: no corpus at {}", path.display());
        return;
    };
    let mut wrong = Vec::new();
    let mut agreed = 0;
    for line in corpus.lines() {
        let case: Value = serde_json::from_str(line).expect("a case is JSON");
        // Every case is read, whatever its tier: none may panic.
        let read = inspect::inspect(&case);
        if !matches!(case["tier"].as_str(), Some("A" | "B")) {
            continue;
        }
        let mut differences = Vec::new();
        compare(&case["expect"], &read, "", &mut differences);
        if differences.is_empty() {
            agreed += 1;
        } else {
            wrong.push(format!("{}: {}", case["name"], differences.join("; ")));
        }
    }
    assert!(wrong.is_empty(), "{agreed} agree, {} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(agreed > 0, "the corpus has no case that has to agree");
}

/// Where other readers differ, what ours does is written down, with the clause that says so.
#[test]
fn each_case_in_which_readers_differ_is_decided() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus/playlists.jsonl");
    let Ok(corpus) = fs::read_to_string(&path) else {
        eprintln!("skipped: no corpus at {}", path.display());
        return;
    };
    let decisions = include_str!("../playlists/DECISIONS.md");
    let (_, table) = decisions.split_once("readers differ\n\nThe corpus").expect("the table");
    // Field, and whether ours differs from hls.js in it.
    let rows: BTreeMap<&str, bool> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(field, rest)| (field, rest.starts_with(" (own)")))
        .collect();
    let plain = |path: &str| {
        let mut out = String::new();
        let mut inside = false;
        for character in path.trim_start_matches('.').chars() {
            match character {
                '[' => inside = true,
                ']' => inside = false,
                _ if !inside => out.push(character),
                _ => {}
            }
        }
        out.replace("segmentsHead", "segments").replace("segmentsTail", "segments")
    };
    let mut open = Vec::new();
    let mut decided = 0;
    for line in corpus.lines() {
        let case: Value = serde_json::from_str(line).expect("a case is JSON");
        if case["tier"] != "C" {
            continue;
        }
        let before = open.len();
        for difference in case["disagree"].as_array().into_iter().flatten() {
            let field = plain(difference["field"].as_str().unwrap_or_default());
            if !rows.contains_key(field.as_str()) {
                open.push(format!("{}: no row for {field}", case["name"]));
            }
        }
        let mut differences = Vec::new();
        compare(&case["expect"], &inspect::inspect(&case), "", &mut differences);
        for difference in differences {
            let field = plain(difference.split(':').next().unwrap_or_default());
            let own = |(row, own): (&&str, &bool)| {
                *own && field
                    .strip_prefix(row)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            if !rows.iter().any(own) {
                open.push(format!("{}: {difference}", case["name"]));
            }
        }
        decided += usize::from(open.len() == before);
    }
    assert!(open.is_empty(), "{decided} are decided, these are not:\n{}", open.join("\n"));
    assert!(decided > 0, "the corpus has no case in which readers differ");
}

/// Lists where two JSON values differ. Numbers may differ in the last digits, as sums do.
fn compare(expected: &Value, read: &Value, path: &str, out: &mut Vec<String>) {
    match (expected, read) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
                let absent = Value::String("absent".to_owned());
                let (a, b) = (a.get(name).unwrap_or(&absent), b.get(name).unwrap_or(&absent));
                compare(a, b, &format!("{path}.{name}"), out);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                compare(a, b, &format!("{path}[{index}]"), out);
            }
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap_or_default(), b.as_f64().unwrap_or_default());
            // Dates are near 1e12 milliseconds: a hundredth of one is exact enough.
            if (a - b).abs() > a.abs().max(1.0) * 1e-9 && (a - b).abs() > 0.01 {
                out.push(format!("{path}: {a} expected, {b} read"));
            }
        }
        _ if expected != read => out.push(format!("{path}: {expected} expected, {read} read")),
        _ => {}
    }
}

#[test]
fn conforming_playlists_are_read_as_hls_m3u8_reads_them() {
    let golden: BTreeMap<String, String> = golden().into_iter().collect();
    for name in CONFORMING {
        let text = &golden[*name];
        match hls::parse(text, URL, &OrderedMap::new()).expect(name) {
            Playlist::Media(read) => {
                assert!(read.warnings.is_empty(), "{name}: {:?}", read.warnings);
                same_media(name, text, &read);
            }
            Playlist::Multivariant(read) => {
                assert!(read.warnings.is_empty(), "{name}: {:?}", read.warnings);
                same_multivariant(name, text, &read);
            }
        }
    }
}

fn same_media(name: &str, text: &str, read: &hls::MediaPlaylist) {
    let other = MediaPlaylist::try_from(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(read.media_sequence, other.media_sequence as u64, "{name}");
    assert_eq!(read.discontinuity_sequence, other.discontinuity_sequence as u64, "{name}");
    assert_eq!(read.end_list, other.has_end_list, "{name}");
    assert_eq!(read.target_duration, other.target_duration.as_secs_f64(), "{name}");
    assert_eq!(read.segments.len(), other.segments.num_elements(), "{name}");
    for (segment, other) in read.segments.iter().zip(other.segments.values()) {
        let place = format!("{name}, segment {}", segment.sequence);
        assert_eq!(segment.sequence, other.number() as u64, "{place}");
        assert!(
            (segment.duration - other.duration.duration().as_secs_f64()).abs() < 1e-6,
            "{place}"
        );
        assert_eq!(read.segment_uri(segment), other.uri().as_ref(), "{place}");
        assert_eq!(segment.discontinuity, other.has_discontinuity, "{place}");
        let range = read.byte_range(segment).map(|range| (range.start, range.end));
        let other_range = other.byte_range.as_ref().map(|range| {
            (range.start().expect("explicit or continued") as u64, range.end() as u64)
        });
        assert_eq!(range, other_range, "{place}");
        let keys = other.keys.iter().filter_map(|key| key.as_ref());
        let mut keys: Vec<String> = keys.map(|key| hls::resolve(URL, key.uri())).collect();
        let mut own: Vec<String> =
            read.keys_of(segment).iter().map(|key| key.uri.clone()).collect();
        keys.sort();
        own.sort();
        assert_eq!(own, keys, "{place}");
    }
}

fn same_multivariant(name: &str, text: &str, read: &hls::MultivariantPlaylist) {
    let other = MasterPlaylist::try_from(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let own = read.variants.iter().chain(&read.iframe_variants);
    let own = own.map(|variant| {
        let resolution =
            (variant.width > 0).then_some((variant.width as usize, variant.height as usize));
        (variant.url.clone(), variant.bandwidth, resolution, variant.codecs.clone())
    });
    let (streams, iframes): (Vec<_>, Vec<_>) = other
        .variant_streams
        .iter()
        .partition(|variant| matches!(variant, VariantStream::ExtXStreamInf { .. }));
    let others = streams.into_iter().chain(iframes).map(|variant| {
        let (uri, data) = match variant {
            VariantStream::ExtXIFrame { uri, stream_data } => (uri, stream_data),
            VariantStream::ExtXStreamInf { uri, stream_data, .. } => (uri, stream_data),
        };
        let resolution = data.resolution().map(|size| (size.width(), size.height()));
        let codecs = data.codecs().map(ToString::to_string).unwrap_or_default();
        (hls::resolve(URL, uri), data.bandwidth(), resolution, codecs)
    });
    assert_eq!(own.collect::<Vec<_>>(), others.collect::<Vec<_>>(), "{name}");
    let own =
        read.renditions.iter().map(|one| (one.group_id.clone(), one.name.clone(), one.default));
    let others = other
        .media
        .iter()
        .map(|one| (one.group_id().to_string(), one.name().to_string(), one.is_default));
    assert_eq!(own.collect::<Vec<_>>(), others.collect::<Vec<_>>(), "{name}");
}

/// Everything that a player asks of a playlist; the answers do not matter here.
fn exercise(text: &str, url: &str) {
    let imports = OrderedMap::from_iter([("token".to_owned(), "\u{e9}{$token}".to_owned())]);
    let _ = inspect::inspect(&json!({ "baseUrl": url, "playlist": text }));
    let _ = hls::parse_multivariant(text, url);
    let Ok(playlist) = hls::parse_media(text, url, &imports) else {
        return;
    };
    let mut last = f64::NEG_INFINITY;
    for segment in &playlist.segments {
        assert!(segment.start >= last && segment.duration >= 0.0 && segment.end().is_finite());
        last = segment.start;
        let _ = playlist.segment_url(segment);
        let _ = playlist.program_date_time(segment);
        assert!(playlist.byte_range(segment).is_none_or(|range| range.start <= range.end));
        assert_eq!(
            playlist.position_of(segment.sequence).map(|found| found.sequence),
            Some(segment.sequence)
        );
    }
    let _ = playlist.segment_at(playlist.end() / 2.0);
}

/// Pieces that a playlist is made of, whole and broken.
fn piece() -> impl Strategy<Value = String> {
    let tags = proptest::sample::select(vec![
        "#EXTM3U",
        "#EXTINF:4,\na.ts",
        "#EXTINF:",
        "#EXT-X-MEDIA-SEQUENCE:18446744073709551615",
        "#EXT-X-GAP",
        "#EXT-X-DISCONTINUITY-SEQUENCE:18446744073709551615",
        "#EXT-X-DISCONTINUITY",
        "#EXT-X-ENDLIST",
        "#EXT-X-SKIP:SKIPPED-SEGMENTS=18446744073709551615",
        "#EXT-X-SKIP:SKIPPED-SEGMENTS=3",
        "#EXT-X-BYTERANGE:18446744073709551615@18446744073709551615",
        "#EXT-X-BYTERANGE:18446744073709551615",
        "#EXT-X-MAP:URI=\"\u{e9}\",BYTERANGE=\"18446744073709551615@1\"",
        "#EXT-X-KEY:METHOD=AES-128,URI=\"",
        "#EXT-X-PART:DURATION=1e9,URI=\"p\",BYTERANGE=\"18446744073709551615\"",
        "#EXT-X-TARGETDURATION:99999999999",
        "#EXT-X-PROGRAM-DATE-TIME:+275760-09-13T00:00:00Z",
        "#EXT-X-DATERANGE:ID=\"a\",START-DATE=\"2026-01-01\"",
        "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"{$a}\"",
        "{$a}{$",
        "#EXT-X-DEFINE:IMPORT=\"token\"",
        "{$token}.ts",
        "#EXT-X-STREAM-INF:BANDWIDTH=1",
        "#EXT-X-MEDIA:TYPE=AUDIO,=\"",
        "#EXT-X-I-FRAMES-ONLY",
        "\u{feff}",
        "\r",
        "#EXT-X-BITRATE:99999999999",
        "#EXT-X-START:TIME-OFFSET=-9e999",
        "#EXT-X-SERVER-CONTROL:HOLD-BACK=-1",
        "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"x\"",
        "#EXT-X-RENDITION-REPORT:",
        "#EXT-X-SESSION-KEY:METHOD=NONE",
    ])
    .prop_map(str::to_owned);
    prop_oneof![8 => tags, 1 => "\\PC{0,12}", 1 => "[#:=\",0-9.@x-]{0,16}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_playlist_never_panics(
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, piece()), 1..8),
    ) {
        let cases = golden();
        let mut text: Vec<char> = which.get(&cases).1.chars().collect();
        for (at, cut, insert) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + cut).min(text.len());
            text.splice(at..end, insert.chars());
        }
        let mutated: String = text.into_iter().collect();
        exercise(&mutated, URL);
        exercise(&format!("#EXTM3U\n{mutated}"), &mutated);
    }

    #[test]
    fn lines_in_any_order_never_panic(pieces in prop::collection::vec(piece(), 0..40)) {
        exercise(&format!("#EXTM3U\n{}", pieces.join("\n")), "https://a.example/b");
        exercise(&pieces.concat(), "");
    }

    #[test]
    fn a_reload_with_anything_never_panics(
        first in prop::collection::vec(piece(), 0..30),
        then in prop::collection::vec(prop::collection::vec(piece(), 0..30), 1..4),
    ) {
        let text = |pieces: &[String]| format!("#EXTM3U\n{}", pieces.join("\n"));
        let imports = OrderedMap::new();
        let mut playlist = hls::parse_media(&text(&first), URL, &imports).expect("it has a header");
        for pieces in then {
            playlist.refresh_text(&text(&pieces), URL, &imports).expect("it has a header");
            prop_assert!(playlist.segments.is_sorted_by_key(|segment| segment.sequence));
            for segment in &playlist.segments {
                let _ = (playlist.segment_url(segment), playlist.keys_of(segment), playlist.init_of(segment));
                let _ = (playlist.program_date_time(segment), playlist.title(segment));
            }
        }
    }

    #[test]
    fn resolving_never_panics_and_is_stable(base in "\\PC{0,24}", reference in "\\PC{0,24}") {
        let once = hls::resolve(&base, &reference);
        let _ = hls::resolve(&once, &reference);
        let absolute = hls::resolve("https://a.example/b/c?d", &reference);
        prop_assert_eq!(hls::resolve("https://x.example/", &absolute), absolute);
    }
}
