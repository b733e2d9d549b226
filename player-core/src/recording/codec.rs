//! A configuration and inputs as bytes, and back.
//!
//! | field | bytes |
//! |---|---|
//! | number, id, index | LEB128 |
//! | `f64` | eight, little-endian |
//! | flag | `0` or `1` |
//! | text, bytes, list | its length as a number, then itself |
//! | something that may be missing | a flag, then itself if it is there |
//!
//! An input begins with its number in [`put_input`]; its fields follow in the order in which [`Input`] has them.

use std::ops::Range;

use bytes::Bytes;

use super::mask;
use crate::config::{Config, P2pMode};
use crate::io::{
    ConnectionId, Display, Input, JobId, MediaFailure, Playhead, RequestId, Track, TrackerId,
    Transmuxed, TransmuxedInit,
};

/// Why bytes are no recording, or not a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// It begins with something else.
    #[error("this is no recording of version 1")]
    NotARecording,
    /// It ends within an entry.
    #[error("the recording ends in the middle of an entry")]
    CutShort,
    /// A field has a value that it cannot have.
    #[error("the recording is damaged")]
    Damaged,
}

type Read<T> = Result<T, RecordingError>;

pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

pub(super) fn put_flag(out: &mut Vec<u8>, flag: bool) {
    out.push(flag.into());
}

/// One that is no number has one form only: machines differ in the bits of it.
pub(super) fn put_float(out: &mut Vec<u8>, number: f64) {
    let bits = if number.is_nan() { f64::NAN.to_bits() } else { number.to_bits() };
    out.extend(bits.to_le_bytes());
}

pub(super) fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: fn(&mut Vec<u8>, T)) {
    put_flag(out, value.is_some());
    if let Some(value) = value {
        put(out, value);
    }
}

pub(super) fn put_track(out: &mut Vec<u8>, track: Track) {
    out.push(track as u8);
}

/// A byte range of a request or an answer.
pub(super) fn put_range(out: &mut Vec<u8>, range: Option<(u64, Option<u64>)>) {
    put_option(out, range, |out, (first, rest)| {
        put_number(out, first);
        put_option(out, rest, put_number);
    });
}

fn put_indices(out: &mut Vec<u8>, indices: &[usize]) {
    put_number(out, indices.len() as u64);
    indices.iter().for_each(|index| put_number(out, *index as u64));
}

fn put_texts(out: &mut Vec<u8>, texts: &[String]) {
    put_number(out, texts.len() as u64);
    texts.iter().for_each(|text| put_text(out, text));
}

fn put_mode(out: &mut Vec<u8>, mode: P2pMode) {
    out.push(mode as u8);
}

pub(super) fn put_config(out: &mut Vec<u8>, config: &Config) {
    put_mode(out, config.p2p);
    put_option(out, config.upload_limit_bps, put_number);
    put_option(out, config.upload_budget_bytes, put_number);
    put_texts(out, &config.trackers);
    put_option(out, config.swarm.as_deref(), put_text);
    put_option(out, config.swarm_token.as_deref(), put_text);
    put_number(out, config.min_viewers.into());
    put_texts(out, &config.languages);
    put_option(out, config.start_position, put_float);
    put_float(out, config.initial_bandwidth_bps);
    put_float(out, config.forward_buffer);
    put_float(out, config.peer_buffer);
    put_flag(out, config.low_latency);
    put_option(out, config.live_latency, put_float);
    put_float(out, config.live_rate);
    put_number(out, config.forward_buffer_bytes);
    put_float(out, config.back_buffer);
    put_number(out, config.back_buffer_bytes);
    put_number(out, config.store_bytes);
    for number in [
        config.max_peers,
        config.offers,
        config.send_buffer_high,
        config.send_buffer_low,
        config.max_playlist_bytes,
    ] {
        put_number(out, number as u64);
    }
    put_option(out, config.hashes.as_deref(), put_text);
    put_option(out, config.publisher_key, |out, key| out.extend(key));
    put_number(out, config.cache_bytes);
}

/// Writes an input; `secret` bytes are replaced by as many zeros.
pub(super) fn put_input(out: &mut Vec<u8>, input: &Input, secret: bool) {
    let mut kind = |kind: u8| out.push(kind);
    match input {
        Input::Load { url } => {
            kind(0);
            put_text(out, url);
        }
        Input::Unload => kind(1),
        Input::SelectVariant(index) => {
            kind(2);
            put_option(out, index.map(|index| index as u64), put_number);
        }
        Input::SelectAudio(index) => {
            kind(3);
            put_number(out, *index as u64);
        }
        Input::SelectText(indices) => {
            kind(4);
            put_indices(out, indices);
        }
        Input::ExcludeVariants(indices) => {
            kind(5);
            put_indices(out, indices);
        }
        Input::SetP2p(mode) => {
            kind(6);
            put_mode(out, *mode);
        }
        Input::SetUploadLimit(bps) => {
            kind(7);
            put_option(out, *bps, put_number);
        }
        Input::Display(Display { width, height, hdr, save_data }) => {
            kind(8);
            put_number(out, (*width).into());
            put_number(out, (*height).into());
            put_flag(out, *hdr);
            put_flag(out, *save_data);
        }
        Input::DecodingLevels(levels) => {
            kind(9);
            put_bytes(out, levels);
        }
        Input::Frames { total, dropped } => {
            kind(10);
            put_number(out, (*total).into());
            put_number(out, (*dropped).into());
        }
        Input::Online(online) => {
            kind(11);
            put_flag(out, *online);
        }
        Input::FetchHead { id, status, content_length, content_range, content_type, url } => {
            kind(12);
            put_number(out, id.0);
            put_number(out, (*status).into());
            put_option(out, *content_length, put_number);
            put_range(out, *content_range);
            put_option(out, content_type.as_deref(), put_text);
            put_text(out, url);
        }
        Input::FetchChunk { id, data } => {
            kind(13);
            put_number(out, id.0);
            put_number(out, data.len() as u64);
            if secret {
                out.resize(out.len() + data.len(), 0);
            } else {
                out.extend_from_slice(data);
            }
        }
        Input::FetchDone { id } => {
            kind(14);
            put_number(out, id.0);
        }
        Input::FetchFailed { id } => {
            kind(15);
            put_number(out, id.0);
        }
        Input::TrackerOpened(id) => {
            kind(16);
            put_number(out, id.0.into());
        }
        Input::TrackerMessage(id, text) => {
            kind(17);
            put_number(out, id.0.into());
            put_bytes(out, &mask::json(text));
        }
        Input::TrackerClosed(id) => {
            kind(18);
            put_number(out, id.0.into());
        }
        Input::WebRtcUnavailable => kind(19),
        Input::OfferReady { connection, sdp } => {
            kind(20);
            put_number(out, connection.0.into());
            put_number(out, sdp.len() as u64);
            mask::text(out, sdp);
        }
        Input::AnswerReady { connection, sdp } => {
            kind(21);
            put_number(out, connection.0.into());
            put_number(out, sdp.len() as u64);
            mask::text(out, sdp);
        }
        Input::PeerConnected(id) => {
            kind(22);
            put_number(out, id.0.into());
        }
        Input::PeerFrame(id, frame) => {
            kind(23);
            put_number(out, id.0.into());
            put_bytes(out, &mask::frame(frame));
        }
        Input::PeerMessage(id, message) => {
            kind(23);
            put_number(out, id.0.into());
            put_bytes(out, &mask::message(message));
        }
        Input::PeerWritable(id) => {
            kind(24);
            put_number(out, id.0.into());
        }
        Input::PeerClosed(id) => {
            kind(25);
            put_number(out, id.0.into());
        }
        Input::CodecSupport(supported) => {
            kind(26);
            put_number(out, supported.len() as u64);
            supported.iter().for_each(|plays| put_flag(out, *plays));
        }
        Input::MediaDone { track, buffered } => {
            kind(27);
            put_track(out, *track);
            put_number(out, buffered.len() as u64);
            for range in buffered {
                put_float(out, range.start);
                put_float(out, range.end);
            }
        }
        Input::MediaFailed { track, failure } => {
            kind(28);
            put_track(out, *track);
            let (which, words) = match failure {
                MediaFailure::QuotaExceeded => (0, ""),
                MediaFailure::Unsupported(words) => (1, words.as_str()),
                MediaFailure::Decode(words) => (2, words.as_str()),
                MediaFailure::Closed => (3, ""),
            };
            out.push(which);
            put_text(out, words);
        }
        Input::Decrypted { job, data } => {
            kind(29);
            put_number(out, job.0.into());
            put_option(out, data.as_deref(), put_bytes);
        }
        Input::Transmuxed { job, result } => {
            kind(30);
            put_number(out, job.0.into());
            put_flag(out, result.is_ok());
            match result {
                Ok(Transmuxed { init, media, start }) => {
                    put_option(out, init.as_ref(), |out, init| {
                        put_bytes(out, &init.data);
                        put_text(out, &init.codecs);
                    });
                    put_bytes(out, media);
                    put_float(out, *start);
                }
                Err(words) => put_text(out, words),
            }
        }
        Input::SignatureVerified { job, valid } => {
            kind(31);
            put_number(out, job.0.into());
            put_flag(out, *valid);
        }
        Input::Playhead(playhead) => {
            kind(32);
            put_float(out, playhead.position);
            put_float(out, playhead.rate);
            put_flag(out, playhead.paused);
            put_flag(out, playhead.seeking);
            out.push(playhead.ready_state);
            put_float(out, playhead.wall_clock_ms);
        }
        Input::Tick => kind(33),
        Input::SetUploadBudget(bytes) => {
            kind(34);
            put_option(out, *bytes, put_number);
        }
        Input::SetSwarmToken(token) => {
            kind(35);
            put_option(out, token.as_deref(), put_text);
        }
    }
}

/// Reads what the functions above write.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    left: Bytes,
}

impl Reader {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { left: bytes }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.left.is_empty()
    }

    pub(super) fn take(&mut self, len: usize) -> Read<Bytes> {
        if len > self.left.len() {
            return Err(RecordingError::CutShort);
        }
        Ok(self.left.split_to(len))
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let bytes = self.take(N)?;
        bytes[..].try_into().map_err(|_| RecordingError::Damaged)
    }

    pub(super) fn byte(&mut self) -> Read<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn number(&mut self) -> Read<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = u64::from(self.byte()?);
            number |= (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(RecordingError::Damaged)
    }

    fn small<T: TryFrom<u64>>(&mut self) -> Read<T> {
        T::try_from(self.number()?).map_err(|_| RecordingError::Damaged)
    }

    pub(super) fn fixed(&mut self) -> Read<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn float(&mut self) -> Read<f64> {
        Ok(f64::from_bits(self.fixed()?))
    }

    fn flag(&mut self) -> Read<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(RecordingError::Damaged),
        }
    }

    pub(super) fn bytes(&mut self) -> Read<Bytes> {
        let len = self.small()?;
        self.take(len)
    }

    fn text(&mut self) -> Read<String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| RecordingError::Damaged)
    }

    fn option<T>(&mut self, read: fn(&mut Self) -> Read<T>) -> Read<Option<T>> {
        Ok(if self.flag()? { Some(read(self)?) } else { None })
    }

    /// Each item has a byte at least, so that a length alone makes nobody allocate.
    fn list<T>(&mut self, read: fn(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let len: usize = self.small()?;
        if len > self.left.len() {
            return Err(RecordingError::CutShort);
        }
        let mut items = Vec::new();
        for _ in 0..len {
            items.push(read(self)?);
        }
        Ok(items)
    }

    fn track(&mut self) -> Read<Track> {
        match self.byte()? {
            0 => Ok(Track::Main),
            1 => Ok(Track::Audio),
            _ => Err(RecordingError::Damaged),
        }
    }

    fn mode(&mut self) -> Read<P2pMode> {
        match self.byte()? {
            0 => Ok(P2pMode::On),
            1 => Ok(P2pMode::Off),
            2 => Ok(P2pMode::DownloadOnly),
            _ => Err(RecordingError::Damaged),
        }
    }

    fn range(&mut self) -> Read<Option<(u64, Option<u64>)>> {
        self.option(|input| Ok((input.number()?, input.option(Self::number)?)))
    }

    fn request(&mut self) -> Read<RequestId> {
        Ok(RequestId(self.number()?))
    }

    fn tracker(&mut self) -> Read<TrackerId> {
        Ok(TrackerId(self.small()?))
    }

    fn connection(&mut self) -> Read<ConnectionId> {
        Ok(ConnectionId(self.small()?))
    }

    fn job(&mut self) -> Read<JobId> {
        Ok(JobId(self.small()?))
    }

    pub(super) fn config(&mut self) -> Read<Config> {
        Ok(Config {
            p2p: self.mode()?,
            upload_limit_bps: self.option(Self::number)?,
            upload_budget_bytes: self.option(Self::number)?,
            trackers: self.list(Self::text)?,
            swarm: self.option(Self::text)?,
            swarm_token: self.option(Self::text)?,
            min_viewers: self.small()?,
            languages: self.list(Self::text)?,
            start_position: self.option(Self::float)?,
            initial_bandwidth_bps: self.float()?,
            forward_buffer: self.float()?,
            peer_buffer: self.float()?,
            low_latency: self.flag()?,
            live_latency: self.option(Self::float)?,
            live_rate: self.float()?,
            forward_buffer_bytes: self.number()?,
            back_buffer: self.float()?,
            back_buffer_bytes: self.number()?,
            store_bytes: self.number()?,
            max_peers: self.small()?,
            offers: self.small()?,
            send_buffer_high: self.small()?,
            send_buffer_low: self.small()?,
            max_playlist_bytes: self.small()?,
            hashes: self.option(Self::text)?,
            publisher_key: self.option(Self::array)?,
            cache_bytes: self.number()?,
        })
    }

    pub(super) fn input(&mut self) -> Read<Input> {
        Ok(match self.byte()? {
            0 => Input::Load { url: self.text()? },
            1 => Input::Unload,
            2 => Input::SelectVariant(self.option(Self::small)?),
            3 => Input::SelectAudio(self.small()?),
            4 => Input::SelectText(self.list(Self::small)?),
            5 => Input::ExcludeVariants(self.list(Self::small)?),
            6 => Input::SetP2p(self.mode()?),
            7 => Input::SetUploadLimit(self.option(Self::number)?),
            8 => Input::Display(Display {
                width: self.small()?,
                height: self.small()?,
                hdr: self.flag()?,
                save_data: self.flag()?,
            }),
            9 => Input::DecodingLevels(self.bytes()?.to_vec()),
            10 => Input::Frames { total: self.small()?, dropped: self.small()? },
            11 => Input::Online(self.flag()?),
            12 => Input::FetchHead {
                id: self.request()?,
                status: self.small()?,
                content_length: self.option(Self::number)?,
                content_range: self.range()?,
                content_type: self.option(Self::text)?,
                url: self.text()?,
            },
            13 => Input::FetchChunk { id: self.request()?, data: self.bytes()? },
            14 => Input::FetchDone { id: self.request()? },
            15 => Input::FetchFailed { id: self.request()? },
            16 => Input::TrackerOpened(self.tracker()?),
            17 => Input::TrackerMessage(self.tracker()?, self.text()?),
            18 => Input::TrackerClosed(self.tracker()?),
            19 => Input::WebRtcUnavailable,
            20 => Input::OfferReady { connection: self.connection()?, sdp: self.text()? },
            21 => Input::AnswerReady { connection: self.connection()?, sdp: self.text()? },
            22 => Input::PeerConnected(self.connection()?),
            23 => Input::PeerFrame(self.connection()?, self.bytes()?),
            24 => Input::PeerWritable(self.connection()?),
            25 => Input::PeerClosed(self.connection()?),
            26 => Input::CodecSupport(self.list(Self::flag)?),
            27 => Input::MediaDone {
                track: self.track()?,
                buffered: self
                    .list(|input| Ok(Range { start: input.float()?, end: input.float()? }))?,
            },
            28 => {
                let track = self.track()?;
                let (which, words) = (self.byte()?, self.text()?);
                let failure = match which {
                    0 => MediaFailure::QuotaExceeded,
                    1 => MediaFailure::Unsupported(words),
                    2 => MediaFailure::Decode(words),
                    3 => MediaFailure::Closed,
                    _ => return Err(RecordingError::Damaged),
                };
                Input::MediaFailed { track, failure }
            }
            29 => Input::Decrypted { job: self.job()?, data: self.option(Self::bytes)? },
            30 => Input::Transmuxed {
                job: self.job()?,
                result: if self.flag()? { Ok(self.transmuxed()?) } else { Err(self.text()?) },
            },
            31 => Input::SignatureVerified { job: self.job()?, valid: self.flag()? },
            32 => Input::Playhead(Playhead {
                position: self.float()?,
                rate: self.float()?,
                paused: self.flag()?,
                seeking: self.flag()?,
                ready_state: self.byte()?,
                wall_clock_ms: self.float()?,
            }),
            33 => Input::Tick,
            34 => Input::SetUploadBudget(self.option(Self::number)?),
            35 => Input::SetSwarmToken(self.option(Self::text)?),
            _ => return Err(RecordingError::Damaged),
        })
    }

    fn transmuxed(&mut self) -> Read<Transmuxed> {
        Ok(Transmuxed {
            init: self.option(|input| {
                Ok(TransmuxedInit { data: input.bytes()?, codecs: input.text()? })
            })?,
            media: self.bytes()?,
            start: self.float()?,
        })
    }
}
