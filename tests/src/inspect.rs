//! A playlist as plain JSON, in the words of the other players' parsers, so that one can be compared with another.
//!
//! Conventions: absent means none; flags are written only when true; `byteRange` is start and exclusive end;
//! `cc` is the discontinuity sequence number; dates are milliseconds since the epoch; implicit IVs are left out.

use std::ops::Range;

use player_core::OrderedMap;
use player_core::hls::{
    self, AttributeList, CodecKind, DateRange, InitSection, Key, MediaPlaylist,
    MultivariantPlaylist, PlaylistKind, Rendition, RenditionKind, Segment, Variant,
};
use serde_json::{Map, Number, Value, json};

/// More entries are shortened to a head and a tail.
const MAX_SEGMENTS: usize = 60;
const HEAD: usize = 12;
const TAIL: usize = 4;

/// Reads the playlist of one case: `kind` (`master`, `media`, or absent to let the text decide), `baseUrl`,
/// `playlist`, `importVariables`. The answer is what was read, or `{"error": …}`.
pub(crate) fn inspect(case: &Value) -> Value {
    let text = |name: &str| case[name].as_str().unwrap_or_default();
    let imports: OrderedMap<String, String> = case["importVariables"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    let (playlist, url) = (text("playlist"), text("baseUrl"));
    let read = match text("kind") {
        "master" => hls::parse_multivariant(playlist, url).map(hls::Playlist::Multivariant),
        "media" => hls::parse_media(playlist, url, &imports).map(hls::Playlist::Media),
        _ => hls::parse(playlist, url, &imports),
    };
    match read {
        Ok(hls::Playlist::Multivariant(playlist)) => multivariant(&playlist),
        Ok(hls::Playlist::Media(playlist)) => media(&playlist, ends_with_uri(text("playlist"))),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

/// A JSON object under construction; `None`, empty texts and false flags are left out.
#[derive(Default)]
struct Object(Map<String, Value>);

impl Object {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn some<T: Into<Value>>(&mut self, name: &str, value: Option<T>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    fn text(&mut self, name: &str, value: &str) {
        self.some(name, Some(value).filter(|value| !value.is_empty()));
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.some(name, value.then_some(true));
    }

    fn number(&mut self, name: &str, value: f64) {
        self.put(name, number(value));
    }

    fn range(&mut self, name: &str, range: Option<&Range<u64>>) {
        self.some(name, range.map(|range| json!([range.start, range.end])));
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}

/// Whole numbers without a fraction; what is not finite is null.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        Value::from(value as i64)
    } else {
        Number::from_f64(value).map_or(Value::Null, Value::Number)
    }
}

fn attributes(list: &AttributeList) -> Value {
    Value::Object(list.iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
}

fn variables(variables: &OrderedMap<String, String>) -> Option<Value> {
    (!variables.is_empty()).then(|| {
        let text = |(name, value): &(String, String)| (name.clone(), value.as_str().into());
        Value::Object(variables.iter().map(text).collect())
    })
}

fn media(playlist: &MediaPlaylist, complete: bool) -> Value {
    let mut out = Object::default();
    let segments = &playlist.segments;
    out.some("version", playlist.version);
    if playlist.states_target_duration() {
        out.number("targetDuration", playlist.target_duration);
    }
    out.some(
        "playlistType",
        playlist.kind.map(|kind| match kind {
            PlaylistKind::Vod => "VOD",
            PlaylistKind::Event => "EVENT",
        }),
    );
    out.put("endList", playlist.end_list);
    out.put("iFramesOnly", playlist.i_frames_only);
    out.some("startTimeOffset", playlist.start.map(|start| number(start.time_offset)));
    out.put("mediaSequence", playlist.media_sequence);
    let mut total: f64 = segments.iter().map(|segment| segment.duration).sum();
    if playlist.states_target_duration() {
        total += playlist.skipped_segments as f64 * playlist.target_duration;
    }
    let timed = total > 0.0;
    let last = segments.last().filter(|_| timed);
    out.put("endSn", last.map_or(0, |last| last.sequence));
    out.put("discontinuitySequence", playlist.discontinuity_sequence);
    let end_cc = playlist
        .open_segment
        .map(|open| open.discontinuity_sequence)
        .or_else(|| segments.last().map(|last| last.discontinuity_sequence))
        .unwrap_or(playlist.discontinuity_sequence);
    out.put("endDiscontinuitySequence", end_cc);
    out.put("segmentCount", segments.len());
    out.put("skippedSegments", playlist.skipped_segments);
    if !playlist.removed_date_ranges.is_empty() {
        out.put("recentlyRemovedDateRanges", playlist.removed_date_ranges.clone());
    }
    let control = playlist.server_control.unwrap_or_default();
    let mut server = Object::default();
    server.put("canBlockReload", control.can_block_reload);
    server.number("canSkipUntil", control.can_skip_until.unwrap_or(0.0));
    server.put("canSkipDateRanges", control.can_skip_date_ranges);
    server.number("holdBack", control.hold_back.unwrap_or(0.0));
    server.number("partHoldBack", control.part_hold_back.unwrap_or(0.0));
    out.put("serverControl", server);
    total += put_parts(&mut out, playlist, complete);
    if total.is_finite() {
        out.number("totalDuration", total);
    }
    out.some("variables", variables(&playlist.variables));
    if !playlist.date_ranges.is_empty() {
        let ranges = playlist.date_ranges.iter().map(|range| (range.id.clone(), date_range(range)));
        out.put("dateRanges", Value::Object(ranges.collect()));
    }
    put_segments(&mut out, playlist);
    out.into()
}

/// Whether nothing but white space follows the last URI.
fn ends_with_uri(text: &str) -> bool {
    text.split(['\r', '\n'])
        .rfind(|line| !line.trim().is_empty())
        .is_some_and(|line| !line.trim().starts_with('#'))
}

/// Low latency: parts, hints, reports. The answer is the duration of the segment that is still being made; the oracle
/// takes the last segment for it when nothing follows (`complete`).
fn put_parts(out: &mut Object, playlist: &MediaPlaylist, complete: bool) -> f64 {
    out.some("partTarget", playlist.part_target.map(number));
    out.put("partCount", playlist.parts.len());
    let parts = playlist.parts.iter().map(|part| {
        let mut one = Object::default();
        one.text("url", &part.url);
        if part.timed {
            one.number("duration", part.duration);
        }
        one.put("index", part.index);
        one.put("segmentSn", part.segment_sequence);
        one.number("offsetInSegment", part.offset);
        one.flag("independent", part.independent);
        one.flag("gap", part.gap && !part.url.is_empty());
        one.range("byteRange", part.byte_range.as_ref());
        Value::from(one)
    });
    out.put("parts", parts.collect::<Vec<_>>());
    out.some("preloadHint", playlist.preload_hints.last().map(|hint| attributes(&hint.attributes)));
    if !playlist.rendition_reports.is_empty() {
        let reports =
            playlist.rendition_reports.iter().map(|report| attributes(&report.attributes));
        out.put("renditionReports", reports.collect::<Vec<_>>());
    }
    if playlist.parts.is_empty() {
        return 0.0;
    }
    let mut hint = Object::default();
    let next = playlist.next_sequence();
    let untimed = playlist.parts.iter().any(|part| part.segment_sequence == next && !part.timed);
    let duration = match playlist.segments.last().filter(|_| complete) {
        Some(last) => {
            hint.put("sn", last.sequence);
            hint.text("url", &playlist.segment_url(last));
            last.duration
        }
        None => {
            hint.put("sn", next);
            playlist.open_segment.map_or(0.0, |open| open.duration)
        }
    };
    if untimed {
        out.put("fragmentHint", hint);
        return f64::NAN;
    }
    hint.number("duration", duration);
    out.put("fragmentHint", hint);
    duration
}

fn put_segments(out: &mut Object, playlist: &MediaPlaylist) {
    let segments = &playlist.segments;
    let skipped = usize::try_from(playlist.skipped_segments).unwrap_or(usize::MAX);
    let count = skipped.saturating_add(segments.len());
    let entry = |index: usize| {
        // Segments that a delta update skips are holes in the numbering.
        let found = if skipped == 0 {
            segments.get(index)
        } else {
            playlist.position_of(playlist.media_sequence.saturating_add(index as u64))
        };
        found.map_or(Value::Null, |found| segment(playlist, found))
    };
    let list = |range: Range<usize>| range.map(entry).collect::<Vec<_>>();
    if count > MAX_SEGMENTS {
        out.put("segmentsTruncated", true);
        out.put("segmentsHead", list(0..HEAD));
        out.put("segmentsTail", list(count - TAIL..count));
    } else {
        out.put("segments", list(0..count));
    }
}

fn segment(playlist: &MediaPlaylist, segment: &Segment) -> Value {
    let mut out = Object::default();
    out.put("sn", segment.sequence);
    out.put("cc", segment.discontinuity_sequence);
    out.number("duration", segment.duration);
    out.number("start", segment.start);
    // The oracle writes the word `undefined` where `EXTINF` has no comma.
    let titled =
        playlist.title(segment).or_else(|| playlist.is_timed(segment).then_some("undefined"));
    out.text("title", titled.unwrap_or_default());
    out.text("uri", playlist.segment_uri(segment));
    out.text("url", &playlist.segment_url(segment));
    out.flag("gap", segment.gap);
    out.flag("discontinuity", segment.discontinuity);
    out.some("pdt", playlist.program_date_time(segment).map(number));
    out.some("rawPdt", playlist.date_text(segment));
    let range = playlist.byte_range(segment);
    out.range("byteRange", range.as_ref());
    if let Some(range) = range {
        out.number("bitrate", (range.end - range.start) as f64 * 8.0 / segment.duration);
    } else if segment.bitrate_kbps > 0 {
        out.number("bitrate", f64::from(segment.bitrate_kbps) * 1000.0);
    }
    out.some("keys", keys(playlist.keys_of(segment)));
    out.some("map", playlist.init_of(segment).map(init));
    out.into()
}

fn init(init: &InitSection) -> Value {
    let mut out = Object::default();
    out.text("url", &init.url);
    out.range("byteRange", init.byte_range.as_ref());
    out.some("keys", keys(&init.keys));
    out.into()
}

/// By key format; those that no player in a browser can use are left out.
fn keys(keys: &[Key]) -> Option<Value> {
    let usable: Map<String, Value> = keys
        .iter()
        .filter(|key| is_usable(key))
        .map(|item| {
            let mut out = key(item);
            out.put("keyFormatVersions", item.format_versions.clone());
            (item.format.clone(), Value::from(out))
        })
        .collect();
    (!usable.is_empty()).then_some(Value::Object(usable))
}

fn is_usable(key: &Key) -> bool {
    let sample = matches!(key.method.as_str(), "SAMPLE-AES" | "SAMPLE-AES-CENC" | "SAMPLE-AES-CTR");
    match key.format.as_str() {
        _ if matches!(key.method.as_str(), "AES-128" | "AES-256" | "AES-256-CTR") => true,
        "identity" => key.method.as_str() == "SAMPLE-AES",
        "com.apple.streamingkeydelivery"
        | "com.microsoft.playready"
        | "urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"
        | "org.w3.clearkey" => sample,
        _ => false,
    }
}

fn key(key: &Key) -> Object {
    let mut out = Object::default();
    out.put("method", key.method.as_str());
    out.text("uri", &key.uri);
    out.put("keyFormat", key.format.as_str());
    if let Some(iv) = key.iv {
        let written = key.iv_text.as_deref().and_then(|text| text.get(2..));
        let digits = written.map_or_else(|| hex(&iv), str::to_ascii_lowercase);
        let pad = if digits.len() % 2 == 1 { "0" } else { "" };
        out.put("iv", format!("{pad}{digits}"));
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn date_range(range: &DateRange) -> Value {
    let mut out = Object::default();
    out.put("valid", range.valid);
    out.some("class", range.class.as_deref());
    out.some("startDate", range.start_date.map(number));
    out.some("endDate", range.end_date.map(number));
    out.some("duration", range.duration.map(number));
    out.some("plannedDuration", range.planned_duration.map(number));
    out.put("endOnNext", range.end_on_next);
    out.put("cue", json!({ "pre": range.cue.pre, "post": range.cue.post, "once": range.cue.once }));
    out.put("isInterstitial", range.is_interstitial());
    out.put("attrs", attributes(&range.attributes));
    out.into()
}

fn multivariant(playlist: &MultivariantPlaylist) -> Value {
    let mut out = Object::default();
    out.put("variantCount", playlist.variants.len());
    out.put("variants", playlist.variants.iter().map(variant).collect::<Vec<_>>());
    out.put("iFrameVariants", playlist.iframe_variants.iter().map(variant).collect::<Vec<_>>());
    let mut counts = Object::default();
    let mut media = Object::default();
    for (kind, name) in [
        (RenditionKind::Audio, "AUDIO"),
        (RenditionKind::Video, "VIDEO"),
        (RenditionKind::Subtitles, "SUBTITLES"),
        (RenditionKind::ClosedCaptions, "CLOSED-CAPTIONS"),
    ] {
        let list = playlist.renditions.iter().filter(|rendition| rendition.kind == kind);
        let list: Vec<Value> = list.map(|one| rendition(playlist, one)).collect();
        if !list.is_empty() {
            counts.put(name, list.len());
            media.put(name, list);
        }
    }
    out.put("mediaCounts", counts);
    out.put("media", media);
    if !playlist.session_data.is_empty() {
        let data = playlist
            .session_data
            .iter()
            .map(|data| (data.id.clone(), attributes(&data.attributes)));
        out.put("sessionData", Value::Object(data.collect()));
    }
    let session_keys: Vec<Value> = playlist
        .session_keys
        .iter()
        .filter(|key| is_usable(key))
        .map(|item| key(item).into())
        .collect();
    if !session_keys.is_empty() {
        out.put("sessionKeys", session_keys);
    }
    out.some("startTimeOffset", playlist.start.map(|start| number(start.time_offset)));
    out.some(
        "contentSteering",
        playlist
            .steering
            .as_ref()
            .map(|steering| json!({ "uri": steering.url, "pathwayId": steering.pathway_id })),
    );
    let mut defined = playlist.variables.clone();
    if playlist.warnings.iter().any(|warning| warning.message.starts_with("EXT-X-DEFINE imports")) {
        // The oracle makes a variable without a name of an import that has no source.
        defined.insert("undefined".to_owned(), String::new());
    }
    out.some("variables", variables(&defined));
    out.into()
}

/// Sample entries that the oracle does not know yet.
const NEWER: &[&str] = &["iamf", "jpeg", "vorb", "vvc1", "vvi1"];

fn is_newer(codec: &str) -> bool {
    codec.get(..4).is_some_and(|entry| NEWER.contains(&entry))
}

fn codecs(variant: &Variant, kind: CodecKind) -> String {
    let known = hls::codecs_of_kind(&variant.codecs, Some(kind)).filter(|codec| !is_newer(codec));
    known.collect::<Vec<_>>().join(",")
}

fn variant(variant: &Variant) -> Value {
    let mut out = Object::default();
    out.text("url", &variant.url);
    let stated = |name: &str| variant.attributes.value(name).is_some();
    if stated("BANDWIDTH") && variant.bandwidth > 0 {
        out.put("bandwidth", variant.bandwidth);
    }
    out.some("averageBandwidth", variant.average_bandwidth);
    if variant.width > 0 || variant.attributes.value("RESOLUTION") == Some("0x0") {
        out.put("width", variant.width);
        out.put("height", variant.height);
    }
    out.text("codecs", &variant.codecs);
    out.text("videoCodec", &codecs(variant, CodecKind::Video));
    out.text("audioCodec", &codecs(variant, CodecKind::Audio));
    out.text("textCodec", &codecs(variant, CodecKind::Text));
    out.text("imageCodec", &codecs(variant, CodecKind::Image));
    let split = variant.codecs.split([',', ' ']).filter(|codec| !codec.is_empty());
    let unknown: Vec<&str> =
        split.filter(|codec| is_newer(codec) || hls::codec_kind(codec).is_none()).collect();
    if !unknown.is_empty() {
        out.put("unknownCodecs", unknown);
    }
    out.some("supplementalCodecs", variant.supplemental_codecs.as_deref());
    out.some("frameRate", Some(variant.frame_rate).filter(|rate| *rate > 0.0).map(number));
    out.some("audioGroup", variant.audio.as_deref());
    out.some("videoGroup", variant.video.as_deref());
    out.some("subtitleGroup", variant.subtitles.as_deref());
    out.some("closedCaptions", variant.closed_captions.as_deref());
    out.some("name", variant.name.as_deref());
    out.some("pathwayId", variant.pathway_id.as_deref());
    out.some("stableVariantId", variant.stable_variant_id.as_deref());
    out.some("videoRange", variant.video_range.as_deref());
    out.some("hdcpLevel", variant.hdcp_level.as_deref());
    out.some("score", variant.score.map(number));
    out.into()
}

fn rendition(playlist: &MultivariantPlaylist, rendition: &Rendition) -> Value {
    let mut out = Object::default();
    out.put("groupId", rendition.group_id.as_str());
    out.put("name", rendition.name.as_str());
    out.some("lang", rendition.language.as_deref());
    out.some("assocLang", rendition.associated_language.as_deref());
    out.some("url", rendition.url.as_deref());
    out.flag("default", rendition.default);
    out.flag("autoselect", rendition.attributes.value("AUTOSELECT") == Some("YES"));
    out.flag("forced", rendition.forced);
    out.some("channels", rendition.channels.as_deref());
    out.some("characteristics", rendition.characteristics.as_deref());
    out.some("instreamId", rendition.instream_id.as_deref());
    if rendition.kind == RenditionKind::Audio {
        // The codec of the first variant with this group; a group that none has: the first variant's.
        let group = Some(rendition.group_id.as_str());
        let owner = playlist.variants.iter().find(|variant| variant.audio.as_deref() == group);
        let owner = owner.or_else(|| playlist.variants.first());
        out.text(
            "audioCodec",
            &owner.map(|variant| codecs(variant, CodecKind::Audio)).unwrap_or_default(),
        );
    }
    out.into()
}
