//! The objects of `www/src/internal/protocol.ts`, to and from the core's types.

use bytes::Bytes;
use js_sys::{Array, ArrayBuffer, Reflect, Uint8Array};
use player_core::Config;
use player_core::config::P2pMode;
use player_core::hls::{AttributeList, Key};
use player_core::io::{
    AudioInfo, Cipher, DateRangeInfo, Display, Event, Input, JobId, MediaCommand, MediaFailure,
    Playhead, TextKind, TextSegment, TextSource, TimelineInfo, Track, Transmuxed, TransmuxedInit,
    VariantInfo, WaitingReason,
};
use player_core::proof::hexadecimal;
use player_core::stats::{PeerStats, SegmentStats, Stats};
use player_core::trace::Incident;
use wasm_bindgen::prelude::*;

use crate::clock::wall_clock_ms;
use crate::shell::Task;

#[wasm_bindgen]
extern "C" {
    /// A `MessageEvent` of a socket or a channel.
    pub(crate) type Message;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn data(this: &Message) -> JsValue;
}

/// A message under construction.
#[derive(Debug)]
pub(crate) struct Object(js_sys::Object);

impl Object {
    /// A message of this type.
    pub(crate) fn new(kind: &str) -> Self {
        Self::plain().with("type", kind)
    }

    /// An object inside a message.
    fn plain() -> Self {
        Self(js_sys::Object::new())
    }

    /// The same with one field more.
    pub(crate) fn with(self, key: &str, value: impl Into<JsValue>) -> Self {
        // Cannot fail: the object is our own and not frozen.
        let _ = Reflect::set(&self.0, &key.into(), &value.into());
        self
    }

    pub(crate) fn as_js(&self) -> &JsValue {
        &self.0
    }
}

impl From<Object> for JsValue {
    fn from(object: Object) -> Self {
        object.0.into()
    }
}

/// The fields of a message that came: hostile until read.
struct Fields<'a>(&'a JsValue);

impl Fields<'_> {
    fn value(&self, key: &str) -> JsValue {
        Reflect::get(self.0, &key.into()).unwrap_or(JsValue::UNDEFINED)
    }

    fn text(&self, key: &str) -> Option<String> {
        self.value(key).as_string()
    }

    /// A list of texts; empty when it is none.
    fn texts(&self, key: &str) -> Vec<String> {
        let mut texts = Vec::new();
        if let Ok(list) = self.value(key).dyn_into::<Array>() {
            for text in list.iter() {
                if let Some(text) = text.as_string() {
                    texts.push(text);
                }
            }
        }
        texts
    }

    /// A list of numbers; whatever else is in it counts as none.
    fn numbers(&self, key: &str) -> Option<Vec<f64>> {
        let list: Array = self.value(key).dyn_into().ok()?;
        let mut numbers = Vec::new();
        for number in list.iter() {
            numbers.push(number.as_f64().unwrap_or(f64::NAN));
        }
        Some(numbers)
    }

    /// A list of indices.
    fn indices(&self, key: &str) -> Option<Vec<usize>> {
        let mut indices = Vec::new();
        for number in self.numbers(key)? {
            if !number.is_nan() {
                indices.push(number as usize);
            }
        }
        Some(indices)
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.value(key).as_f64()
    }

    /// A whole number, as ids and indices are.
    fn index(&self, key: &str) -> Option<u32> {
        let number = self.number(key)?;
        let index = number as u32;
        (f64::from(index) == number).then_some(index)
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.value(key).as_bool()
    }

    fn bytes(&self, key: &str) -> Option<Bytes> {
        let data: Uint8Array = self.value(key).dyn_into().ok()?;
        Some(Bytes::from(data.to_vec()))
    }

    fn track(&self) -> Option<Track> {
        match self.text("track")?.as_str() {
            "main" => Some(Track::Main),
            "audio" => Some(Track::Audio),
            _ => None,
        }
    }
}

/// A message of the page or of the media sink; `None` when it is not one.
pub(crate) fn task_from_js(message: &JsValue) -> Option<Task> {
    let fields = Fields(message);
    let task = match fields.text("type")?.as_str() {
        "load" => {
            let start_position = fields.number("startPosition").filter(|start| start.is_finite());
            let response = fields.value("response");
            let response = response.is_object().then(|| response.unchecked_into());
            Task::Load { url: fields.text("url")?, start_position, response }
        }
        "unload" => Task::Unload,
        "select-variant" => {
            let index = fields.number("index")?;
            let choice = if index < 0.0 { None } else { Some(fields.index("index")? as usize) };
            Input::SelectVariant(choice).into()
        }
        "select-audio" => Input::SelectAudio(fields.index("index")? as usize).into(),
        "select-text" => Input::SelectText(fields.indices("sources")?).into(),
        "exclude-variants" => Input::ExcludeVariants(fields.indices("indices")?).into(),
        "p2p" => Input::SetP2p(p2p_mode(&fields.text("mode")?)?).into(),
        "swarm-token" => Input::SetSwarmToken(fields.text("token")).into(),
        "upload-limit" => Input::SetUploadLimit(bits(fields.number("bps"))).into(),
        "upload-budget" => Input::SetUploadBudget(bits(fields.number("bytes"))).into(),
        "display" => Input::Display(Display {
            width: fields.index("width")?,
            height: fields.index("height")?,
            hdr: fields.flag("hdr")?,
            save_data: fields.flag("saveData")?,
        })
        .into(),
        "decoding-levels" => {
            let mut levels = Vec::new();
            for level in fields.numbers("levels")? {
                levels.push(if level.is_nan() { 1 } else { level as u8 });
            }
            Input::DecodingLevels(levels).into()
        }
        "frames" => {
            let (total, dropped) = (fields.index("total")?, fields.index("dropped")?);
            Input::Frames { total, dropped }.into()
        }
        "online" => Input::Online(fields.flag("online")?).into(),
        "playhead" => Input::Playhead(playhead(&fields)?).into(),
        "webrtc-unavailable" => Input::WebRtcUnavailable.into(),
        "record" => Task::Record(fields.flag("on")?),
        "codec-support" => {
            let list: Array = fields.value("supported").dyn_into().ok()?;
            let mut supported = Vec::new();
            for plays in list.iter() {
                supported.push(plays.is_truthy());
            }
            Input::CodecSupport(supported).into()
        }
        "media-done" => {
            let mut ranges = Vec::new();
            for pair in fields.numbers("buffered")?.as_chunks::<2>().0 {
                ranges.push(pair[0]..pair[1]);
            }
            Input::MediaDone { track: fields.track()?, buffered: ranges }.into()
        }
        "media-failed" => {
            let words = fields.text("message").unwrap_or_default();
            let failure = match fields.text("failure")?.as_str() {
                "quota-exceeded" => MediaFailure::QuotaExceeded,
                "unsupported" => MediaFailure::Unsupported(words),
                "decode" => MediaFailure::Decode(words),
                "closed" => MediaFailure::Closed,
                _ => return None,
            };
            Input::MediaFailed { track: fields.track()?, failure }.into()
        }
        "decrypted" => {
            Input::Decrypted { job: JobId(fields.index("job")?), data: fields.bytes("data") }.into()
        }
        "signature-verified" => Input::SignatureVerified {
            job: JobId(fields.index("job")?),
            valid: fields.flag("valid")?,
        }
        .into(),
        "transmuxed" => {
            let job = JobId(fields.index("job")?);
            let result = match fields.bytes("media") {
                Some(media) => Ok(Transmuxed {
                    init: fields.bytes("init").map(|data| TransmuxedInit {
                        data,
                        codecs: fields.text("codecs").unwrap_or_default(),
                    }),
                    media,
                    start: fields.number("start").filter(|start| start.is_finite())?,
                }),
                None => Err(fields.text("error").unwrap_or_default()),
            };
            Input::Transmuxed { job, result }.into()
        }
        kind => connection_task(kind, fields.index("connection")?, &fields)?,
    };
    Some(task)
}

/// A message about a connection: there are some only for whoever shares.
#[inline(never)]
fn connection_task(kind: &str, connection: u32, fields: &Fields<'_>) -> Option<Task> {
    Some(match kind {
        "offer-ready" => Task::OfferReady { connection, sdp: fields.text("sdp")? },
        "answer-ready" => Task::AnswerReady { connection, sdp: fields.text("sdp")? },
        "peer-channel" => {
            Task::Channel { connection, channel: fields.value("channel").dyn_into().ok()? }
        }
        "relay-open" => Task::RelayOpen { connection },
        "relay-message" => {
            Task::RelayMessage { connection, data: fields.value("data").dyn_into().ok()? }
        }
        "relay-buffered" => Task::RelayBuffered { connection, amount: fields.index("amount")? },
        "peer-closed" => Task::PeerClosed { connection },
        _ => return None,
    })
}

fn playhead(fields: &Fields<'_>) -> Option<Playhead> {
    Some(Playhead {
        position: fields.number("position").filter(|position| position.is_finite())?,
        rate: fields.number("rate").filter(|rate| rate.is_finite())?,
        paused: fields.flag("paused")?,
        seeking: fields.flag("seeking")?,
        ready_state: fields.index("readyState")?.min(4) as u8,
        wall_clock_ms: wall_clock_ms(),
    })
}

fn p2p_mode(name: &str) -> Option<P2pMode> {
    match name {
        "on" => Some(P2pMode::On),
        "off" => Some(P2pMode::Off),
        "download-only" => Some(P2pMode::DownloadOnly),
        _ => None,
    }
}

/// A rate in bit/s, or bytes; `None` for no limit.
fn bits(limit: Option<f64>) -> Option<u64> {
    limit.filter(|limit| limit.is_finite()).map(|limit| limit as u64)
}

/// A count; the largest for what is no number.
fn f64_to_count(number: f64) -> u32 {
    if number.is_nan() { u32::MAX } else { number as u32 }
}

/// An `EngineConfig`.
pub(crate) fn config_from_js(config: &JsValue) -> Result<Config, String> {
    let fields = Fields(config);
    let mode = fields.text("p2p").ok_or("config.p2p is missing")?;
    let mut config = Config {
        p2p: p2p_mode(&mode).ok_or_else(|| ["config.p2p is unknown: ", &mode].concat())?,
        upload_limit_bps: bits(fields.number("uploadLimitBps")),
        trackers: fields.texts("trackers"),
        languages: fields.texts("languages"),
        swarm: fields.text("swarm"),
        swarm_token: fields.text("swarmToken"),
        // Nobody is exposed by a typing error: what is no number is never reached.
        min_viewers: fields.number("minViewers").map_or(0, f64_to_count),
        cache_bytes: bits(fields.number("cacheBytes")).unwrap_or(0),
        hashes: fields.text("hashes"),
        publisher_key: fields.text("publisherKey").and_then(|text| hexadecimal(&text)),
        ..Config::default()
    };
    if let Some(tuning) = js_sys::Object::try_from(&fields.value("tuning")) {
        for entry in js_sys::Object::entries(tuning).iter() {
            let entry: Array = entry.unchecked_into();
            let name = entry.get(0).as_string().unwrap_or_default();
            let value = entry.get(1).as_f64().filter(|value| *value >= 0.0);
            let value = value.ok_or_else(|| ["config.tuning is no number: ", &name].concat())?;
            tune(&mut config, &name, value)?;
        }
    }
    Ok(config)
}

/// Sets one numeric option by its name in camelCase.
fn tune(config: &mut Config, name: &str, value: f64) -> Result<(), String> {
    match name {
        "initialBandwidthBps" => config.initial_bandwidth_bps = value,
        "forwardBuffer" => config.forward_buffer = value,
        "lowLatency" => config.low_latency = value != 0.0,
        "liveLatency" => config.live_latency = Some(value),
        "liveRate" => config.live_rate = value,
        "peerBuffer" => config.peer_buffer = value,
        "forwardBufferBytes" => config.forward_buffer_bytes = value as u64,
        "backBuffer" => config.back_buffer = value,
        "storeBytes" => config.store_bytes = value as u64,
        "maxPeers" => config.max_peers = value as usize,
        "offers" => config.offers = value as usize,
        "sendBufferHigh" => config.send_buffer_high = value as usize,
        "sendBufferLow" => config.send_buffer_low = value as usize,
        "maxPlaylistBytes" => config.max_playlist_bytes = value as usize,
        _ => return Err(["config.tuning is unknown: ", name].concat()),
    }
    Ok(())
}

/// A `MediaCommand`, or `seek` or `rate` for the page; and what to transfer with it.
pub(crate) fn media_to_js(command: MediaCommand) -> (Object, Option<ArrayBuffer>) {
    let on = |kind: &str, track: Track| Object::new(kind).with("track", track_name(track));
    let object = match command {
        MediaCommand::Open(tracks) => {
            let track = |(track, mime): &(Track, String)| {
                Object::plain().with("track", track_name(*track)).with("mimeType", mime)
            };
            Object::new("media-open").with("tracks", list(&tracks, track))
        }
        MediaCommand::SetDuration(seconds) => {
            Object::new("media-duration").with("duration", seconds)
        }
        MediaCommand::SetLiveSeekable(start, end) => {
            Object::new("media-live-seekable").with("start", start).with("end", end)
        }
        MediaCommand::Append { track, data, timestamp_offset } => {
            let data = Uint8Array::from(&data[..]);
            let buffer = data.buffer();
            let offset = timestamp_offset.map_or(JsValue::NULL, JsValue::from_f64);
            let object =
                on("media-append", track).with("data", data).with("timestampOffset", offset);
            return (object, Some(buffer));
        }
        MediaCommand::ResetParser(track) => on("media-reset-parser", track),
        MediaCommand::ChangeType(track, mime) => {
            on("media-change-type", track).with("mimeType", mime)
        }
        MediaCommand::Remove(track, start, end) => {
            on("media-remove", track).with("start", start).with("end", end)
        }
        MediaCommand::EndOfStream => Object::new("media-end-of-stream"),
        MediaCommand::Seek(position) => Object::new("seek").with("position", position),
        MediaCommand::SetRate(rate) => Object::new("rate").with("rate", rate),
    };
    (object, None)
}

/// `decrypt`, and the buffer to transfer with it.
pub(crate) fn decrypt_to_js(
    job: JobId,
    cipher: Cipher,
    key: &[u8],
    iv: [u8; 16],
    init: &[u8],
    data: &[u8],
) -> (Object, ArrayBuffer) {
    let data = Uint8Array::from(data);
    let buffer = data.buffer();
    let object = Object::new("decrypt")
        .with("job", job.0)
        .with(
            "cipher",
            match cipher {
                Cipher::AesCbc => "aes-cbc",
                Cipher::AesCtr => "aes-ctr",
                Cipher::Samples => "samples",
            },
        )
        .with("key", Uint8Array::from(key))
        .with("iv", Uint8Array::from(&iv[..]))
        .with("init", Uint8Array::from(init))
        .with("data", data);
    (object, buffer)
}

/// `transmux`, and the buffer to transfer with it. `how`: reset, begins, ends, last.
pub(crate) fn transmux_to_js(
    job: JobId,
    track: Track,
    how: [bool; 4],
    data: &[u8],
) -> (Object, ArrayBuffer) {
    let data = Uint8Array::from(data);
    let [reset, begins, ends, last] = how;
    let buffer = data.buffer();
    let object = Object::new("transmux")
        .with("job", job.0)
        .with("track", track_name(track))
        .with("reset", reset)
        .with("begins", begins)
        .with("ends", ends)
        .with("last", last)
        .with("data", data);
    (object, buffer)
}

/// `text-segment`, and the buffer to transfer with it.
pub(crate) fn text_to_js(segment: &TextSegment) -> (Object, ArrayBuffer) {
    let data = Uint8Array::from(&segment.data[..]);
    let buffer = data.buffer();
    let object = Object::new("text-segment")
        .with("source", segment.source as f64)
        .with("start", segment.start)
        .with("end", segment.end)
        .with("offset", segment.offset)
        .with("init", Uint8Array::from(&segment.init[..]))
        .with("data", data);
    (object, buffer)
}

/// `verify`.
pub(crate) fn verify_to_js(job: JobId, key: &[u8], signature: &[u8], message: &[u8]) -> Object {
    Object::new("verify")
        .with("job", job.0)
        .with("key", Uint8Array::from(key))
        .with("signature", Uint8Array::from(signature))
        .with("message", Uint8Array::from(message))
}

/// `check-codecs`.
pub(crate) fn check_codecs(mime_types: &[String]) -> Object {
    Object::new("check-codecs").with("mimeTypes", list(mime_types, String::as_str))
}

/// An event for the page.
pub(crate) fn event_to_js(event: &Event) -> Object {
    match event {
        Event::Variants(variants) => {
            Object::new("variants").with("variants", list(variants, variant))
        }
        Event::AudioRenditions(renditions) => {
            Object::new("audio-renditions").with("renditions", list(renditions, audio))
        }
        Event::TextSources(sources) => {
            Object::new("text-sources").with("sources", list(sources, text_source))
        }
        Event::DateRanges(ranges) => {
            Object::new("text-date-ranges").with("ranges", list(ranges, date_range))
        }
        Event::VariantSelected { index, automatic } => Object::new("variant-selected")
            .with("index", *index as f64)
            .with("automatic", *automatic),
        Event::AudioSelected(index) => Object::new("audio-selected").with("index", *index as f64),
        Event::Timeline(info) => timeline(info),
        Event::Waiting(reason) => {
            let reason = reason.map_or(JsValue::NULL, |reason| reason_name(reason).into());
            Object::new("waiting").with("reason", reason)
        }
        Event::ModuleKeys { variant, keys } => Object::new("module-keys")
            .with("variant", variant.map_or(-1.0, |index| index as f64))
            .with("keys", list(keys, key)),
        Event::Error { error, fatal } => Object::new("error")
            .with("code", error.code())
            .with("message", error.message())
            .with("fatal", *fatal),
    }
}

/// `stats`.
pub(crate) fn stats_to_js(stats: &Stats) -> Object {
    let failure = stats.tracker_failure.as_deref();
    let karma = Object::plain()
        .with("given", stats.uploaded_bytes as f64)
        .with("taken", stats.peer_bytes as f64);
    let object = Object::plain()
        .with("httpBytes", stats.http_bytes as f64)
        .with("peerBytes", stats.peer_bytes as f64)
        .with("cacheBytes", stats.cache_bytes as f64)
        .with("uploadedBytes", stats.uploaded_bytes as f64)
        .with("duplicateBytes", stats.duplicate_bytes as f64)
        .with("rejectedBytes", stats.rejected_bytes as f64)
        .with("controlBytes", stats.control_bytes as f64)
        .with("playlistBytes", stats.playlist_bytes as f64)
        .with("httpRequests", stats.http_requests as f64)
        .with("peers", stats.peers.len() as f64)
        .with("peerList", list(&stats.peers, peer))
        .with("karma", karma)
        .with("bannedPeers", list(&stats.banned_peers, String::as_str))
        .with("verified", stats.verified.name())
        .with("checkBytes", stats.check_bytes as f64)
        .with("peerState", stats.peer_state.name())
        .with("uploadState", stats.upload_state)
        .with("trackerFailure", failure.map_or(JsValue::NULL, JsValue::from_str))
        .with("swarmSize", stats.swarm_size)
        .with("liveLatency", stats.live_latency)
        .with("bandwidth", stats.bandwidth_bps)
        .with("rendition", stats.variant as f64)
        .with("bufferAhead", stats.buffer_ahead)
        .with("storeBytes", stats.store_bytes as f64)
        .with("rebuffers", stats.rebuffers)
        .with("rebufferSeconds", stats.rebuffer_seconds)
        .with("pathway", stats.pathway.as_str())
        .with("trace", list(&stats.trace, incident))
        .with("segments", list(&stats.segments, segment));
    Object::new("stats").with("stats", object)
}

fn variant(info: &VariantInfo) -> Object {
    Object::plain()
        .with("id", info.id)
        .with("bitrate", info.bitrate_bps as f64)
        .with("width", info.width)
        .with("height", info.height)
        .with("frameRate", info.frame_rate)
        .with("codecs", &info.codecs)
        .with("playable", info.playable)
}

fn audio(info: &AudioInfo) -> Object {
    Object::plain()
        .with("name", &info.name)
        .with("language", &info.language)
        .with("default", info.default)
}

fn text_source(source: &TextSource) -> Object {
    let kind = match source.kind {
        TextKind::Subtitles => "subtitles",
        TextKind::Captions => "captions",
        TextKind::Chapters => "chapters",
        TextKind::Images => "images",
        TextKind::IFrames => "iframes",
    };
    Object::plain()
        .with("kind", kind)
        .with("url", &source.url)
        .with("attributes", attributes(&source.attributes))
        .with("chosen", source.chosen)
}

fn date_range(range: &DateRangeInfo) -> Object {
    Object::plain()
        .with("start", range.start)
        .with("end", range.end)
        .with("attributes", attributes(&range.attributes))
}

fn attributes(list: &AttributeList) -> Object {
    list.iter().fold(Object::plain(), |object, (name, value)| object.with(name, value))
}

fn key(key: &Key) -> Object {
    Object::plain()
        .with("method", key.method.as_str())
        .with("format", &key.format)
        .with("uri", &key.uri)
        .with("keyId", key.key_id.as_deref().unwrap_or_default())
}

fn timeline(info: &TimelineInfo) -> Object {
    Object::new("timeline")
        .with("live", info.live)
        .with("duration", info.duration)
        .with("seekableStart", info.seekable_start)
        .with("seekableEnd", info.seekable_end)
        .with("livePosition", info.live_position)
        .with("targetDuration", info.target_duration)
        .with("targetLiveWindow", info.target_live_window)
}

fn peer(peer: &PeerStats) -> Object {
    Object::plain()
        .with("id", peer.id)
        .with("receivedBytes", peer.received_bytes as f64)
        .with("sentBytes", peer.sent_bytes as f64)
        .with("rttMs", peer.rtt_ms)
        .with("badBlocks", peer.bad_blocks)
}

fn incident(incident: &Incident) -> Object {
    Object::plain()
        .with("at", incident.at.as_secs_f64())
        .with("position", incident.position)
        .with("cause", incident.cause.name())
        .with("action", incident.remedy.name())
}

fn segment(segment: &SegmentStats) -> Object {
    Object::plain()
        .with("rendition", segment.rendition)
        .with("sequence", segment.sequence as f64)
        .with("start", segment.start)
        .with("duration", segment.duration)
        .with("httpBytes", segment.http_bytes as f64)
        .with("peerBytes", segment.peer_bytes as f64)
        .with("complete", segment.complete)
}

fn track_name(track: Track) -> &'static str {
    match track {
        Track::Main => "main",
        Track::Audio => "audio",
    }
}

fn reason_name(reason: WaitingReason) -> &'static str {
    match reason {
        WaitingReason::Buffering => "buffering",
        WaitingReason::OriginUnavailable => "origin-unavailable",
        WaitingReason::Offline => "offline",
        WaitingReason::PlaylistStale => "playlist-stale",
    }
}

fn list<'a, T, V: Into<JsValue>>(items: &'a [T], convert: impl Fn(&'a T) -> V) -> Array {
    items.iter().map(|item| convert(item).into()).collect::<Array>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tuning_sets_the_option_it_names() {
        let mut config = Config::default();
        tune(&mut config, "forwardBuffer", 12.5).unwrap();
        tune(&mut config, "maxPeers", 3.0).unwrap();
        assert_eq!((config.forward_buffer, config.max_peers), (12.5, 3));
        assert!(tune(&mut config, "forward_buffer", 1.0).is_err());
    }

    #[test]
    fn modes_are_read_by_their_names() {
        assert_eq!(p2p_mode("download-only"), Some(P2pMode::DownloadOnly));
        assert_eq!(p2p_mode("On"), None);
    }
}
