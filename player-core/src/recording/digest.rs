//! A check of what a player said: what each output is, and a hash over all that is in it.
//!
//! Session descriptions count by their length and keys not at all, because a replay has neither. Statistics and the text
//! of errors are not looked at.

use bytes::Bytes;

use super::codec::{
    put_bytes, put_flag, put_float, put_number, put_option, put_range, put_text, put_track,
};
use super::mask;
use crate::io::{CacheCommand, Event, FetchKind, MediaCommand, Output, TextSegment, TimelineInfo};

/// The outputs after one input.
#[derive(Debug, Default)]
pub(super) struct Digest {
    pub(super) kinds: Vec<u8>,
    pub(super) hash: u64,
    scratch: Vec<u8>,
}

impl Digest {
    pub(super) fn add(&mut self, output: &Output) {
        self.scratch.clear();
        let kind = describe(&mut self.scratch, output);
        self.kinds.push(kind);
        self.hash = fnv(self.hash ^ u64::from(kind), &self.scratch);
    }

    /// Writes it, and begins anew.
    pub(super) fn put(&mut self, out: &mut Vec<u8>) {
        put_bytes(out, &self.kinds);
        if !self.kinds.is_empty() {
            out.extend(self.hash.to_le_bytes());
        }
        self.kinds.clear();
        self.hash = 0;
    }
}

/// FNV-1a of 64 bits, going on from another hash.
fn fnv(from: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(from ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Media: by length and hash, to save a copy.
fn put_hash(out: &mut Vec<u8>, data: &Bytes) {
    put_number(out, data.len() as u64);
    out.extend(fnv(0, data).to_le_bytes());
}

/// Names of the kinds of outputs, by the numbers that [`describe`] gives.
pub(super) const KINDS: [&str; 34] = [
    "fetch",
    "cancel fetch",
    "open tracker",
    "send to tracker",
    "close tracker",
    "create offer",
    "create answer",
    "accept answer",
    "close peer",
    "send to peer",
    "check codecs",
    "decrypt",
    "transmux",
    "verify signature",
    "text segment",
    "open media",
    "set duration",
    "set live seekable",
    "append",
    "reset parser",
    "change type",
    "remove",
    "end of stream",
    "seek",
    "set rate",
    "variants",
    "renditions, texts, dates or keys",
    "variant or audio selected",
    "timeline",
    "waiting",
    "error",
    "fatal error",
    "look in the cache",
    "keep in the cache",
];

/// Writes what is in an output; which kind it is.
fn describe(out: &mut Vec<u8>, output: &Output) -> u8 {
    match output {
        Output::Fetch(request) => {
            put_number(out, request.id.0);
            put_text(out, &request.url);
            put_range(out, request.range);
            out.push(match request.kind {
                FetchKind::Playlist => 0,
                FetchKind::Init => 1,
                FetchKind::Key => 2,
                FetchKind::Segment => 3,
                FetchKind::Text => 4,
            });
            0
        }
        Output::CancelFetch(id) => {
            put_number(out, id.0);
            1
        }
        Output::OpenTracker(id, url) => {
            put_number(out, id.0.into());
            put_text(out, url);
            2
        }
        Output::SendTracker(id, text) => {
            put_number(out, id.0.into());
            put_bytes(out, &mask::json_without(text));
            3
        }
        Output::CloseTracker(id) => {
            put_number(out, id.0.into());
            4
        }
        Output::CreateOffer(id) => {
            put_number(out, id.0.into());
            5
        }
        Output::CreateAnswer(id, sdp) => {
            put_number(out, id.0.into());
            put_number(out, sdp.len() as u64);
            6
        }
        Output::AcceptAnswer(id, sdp) => {
            put_number(out, id.0.into());
            put_number(out, sdp.len() as u64);
            7
        }
        Output::ClosePeer(id) => {
            put_number(out, id.0.into());
            8
        }
        Output::SendPeer(id, message) => {
            put_number(out, id.0.into());
            put_bytes(out, &mask::message(message));
            9
        }
        Output::CheckCodecs(types) => {
            types.iter().for_each(|mime| put_text(out, mime));
            10
        }
        Output::Decrypt { job, cipher: _, key, iv, init, data } => {
            put_number(out, job.0.into());
            put_number(out, key.len() as u64);
            put_bytes(out, iv);
            put_hash(out, init);
            put_hash(out, data);
            11
        }
        Output::Transmux { job, track, reset, begins, ends, last, data } => {
            put_number(out, job.0.into());
            put_track(out, *track);
            [reset, begins, ends, last].into_iter().for_each(|flag| put_flag(out, *flag));
            put_hash(out, data);
            12
        }
        Output::VerifySignature { job, key, signature, message } => {
            put_number(out, job.0.into());
            put_bytes(out, key);
            put_bytes(out, signature);
            put_text(out, message);
            13
        }
        Output::Text(TextSegment { source, start, end, offset, init, data }) => {
            put_number(out, *source as u64);
            [start, end, offset].into_iter().for_each(|time| put_float(out, *time));
            put_hash(out, init);
            put_hash(out, data);
            14
        }
        Output::Cache(CacheCommand::Recall { job, hash }) => {
            put_number(out, job.0.into());
            put_bytes(out, hash);
            32
        }
        // The hash stands for the bytes.
        Output::Cache(CacheCommand::Keep { hash, data, limit: _ }) => {
            put_bytes(out, hash);
            put_number(out, data.len() as u64);
            33
        }
        Output::Media(command) => describe_command(out, command),
        Output::Event(event) => describe_event(out, event),
    }
}

fn describe_command(out: &mut Vec<u8>, command: &MediaCommand) -> u8 {
    match command {
        MediaCommand::Open(tracks) => {
            for (track, mime) in tracks {
                put_track(out, *track);
                put_text(out, mime);
            }
            15
        }
        MediaCommand::SetDuration(seconds) => {
            put_float(out, *seconds);
            16
        }
        MediaCommand::SetLiveSeekable(start, end) => {
            put_float(out, *start);
            put_float(out, *end);
            17
        }
        MediaCommand::Append { track, data, timestamp_offset } => {
            put_track(out, *track);
            put_hash(out, data);
            put_option(out, *timestamp_offset, put_float);
            18
        }
        MediaCommand::ResetParser(track) => {
            put_track(out, *track);
            19
        }
        MediaCommand::ChangeType(track, mime) => {
            put_track(out, *track);
            put_text(out, mime);
            20
        }
        MediaCommand::Remove(track, start, end) => {
            put_track(out, *track);
            put_float(out, *start);
            put_float(out, *end);
            21
        }
        MediaCommand::EndOfStream => 22,
        MediaCommand::Seek(position) => {
            put_float(out, *position);
            23
        }
        MediaCommand::SetRate(rate) => {
            put_float(out, *rate);
            24
        }
    }
}

fn describe_event(out: &mut Vec<u8>, event: &Event) -> u8 {
    match event {
        Event::Variants(variants) => {
            for variant in variants {
                put_number(out, variant.id.into());
                put_number(out, variant.bitrate_bps);
                put_flag(out, variant.playable);
            }
            25
        }
        Event::AudioRenditions(renditions) => {
            renditions.iter().for_each(|rendition| put_text(out, &rendition.name));
            26
        }
        Event::TextSources(sources) => {
            for source in sources {
                put_text(out, &source.url);
                put_flag(out, source.chosen);
            }
            26
        }
        Event::DateRanges(ranges) => {
            for range in ranges {
                put_float(out, range.start);
                put_float(out, range.end);
            }
            26
        }
        Event::ModuleKeys { variant, keys } => {
            put_number(out, variant.map_or(0, |variant| variant as u64 + 1));
            keys.iter().for_each(|key| put_text(out, &key.uri));
            26
        }
        Event::VariantSelected { index, automatic } => {
            put_number(out, *index as u64);
            put_flag(out, *automatic);
            27
        }
        Event::AudioSelected(index) => {
            put_number(out, *index as u64);
            27
        }
        Event::Timeline(info) => {
            let TimelineInfo { live, duration, seekable_start, seekable_end, .. } = info;
            put_flag(out, *live);
            let rest = [info.live_position, info.target_duration, info.target_live_window];
            [*duration, *seekable_start, *seekable_end]
                .into_iter()
                .chain(rest)
                .for_each(|number| put_float(out, number));
            28
        }
        Event::Waiting(reason) => {
            out.push(reason.map_or(0, |reason| reason as u8 + 1));
            29
        }
        Event::Error { error, fatal } => {
            put_text(out, error.code());
            30 + u8::from(*fatal)
        }
    }
}
