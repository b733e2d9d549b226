//! Audio elementary streams to samples: frames are found across packets, their times counted in samples.

mod ac3;
mod adts;
mod latm;
pub(crate) mod mpeg;
mod opus;

use crate::clock::{HZ, Stamp, Stamps};
use crate::error::TransmuxError;
use crate::mux::{AUDIO, Config, Mux, Sample};

/// A stamp this far (in ticks of 90 kHz) from the counted time is jitter of the multiplexer; farther is a gap.
const JITTER: i64 = 450;
/// Without video, a fragment is written when it has lasted this many seconds' 1/`FRAGMENTS`.
const FRAGMENTS: i64 = 2;
/// The most that is kept while a frame is not found.
const MAX_FRAME: usize = 64 * 1024;

/// How an audio stream is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// AAC in ADTS (ISO/IEC 13818-7 §6.2).
    Adts,
    /// AAC in LATM/LOAS (ISO/IEC 14496-3 §1.7).
    Latm,
    /// MPEG-1 and MPEG-2 audio (ISO/IEC 11172-3, 13818-3).
    Mpeg,
    /// AC-3 and Enhanced AC-3 (ETSI TS 102 366).
    Ac3,
    /// Opus in a transport stream, with this many channels or this channel configuration.
    Opus(u8),
}

/// What is at a place in the stream.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// More bytes are needed to tell.
    More,
    /// No frame.
    Nothing,
    /// A frame.
    Frame(Frame),
}

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    /// Bytes before its payload.
    header: usize,
    /// All its bytes.
    size: usize,
    /// How many audio samples it holds.
    samples: u32,
    /// Samples per second.
    rate: u32,
    /// Changes when the configuration does.
    signature: u32,
}

/// An audio elementary stream.
#[derive(Debug)]
pub(crate) struct Audio {
    format: Format,
    /// Raw audio, not in a transport stream.
    raw: bool,
    /// AAC is to be decoded with spectral band replication.
    he_aac: bool,
    bytes: Vec<u8>,
    stamps: Stamps,
    /// When the next frame begins, in samples.
    next: Option<i64>,
    rate: u32,
    /// The last frame was followed by another.
    locked: bool,
    signature: Option<u32>,
    latm: latm::Latm,
}

impl Audio {
    pub(crate) fn new(format: Format, raw: bool, he_aac: bool) -> Self {
        Self {
            format,
            raw,
            he_aac,
            bytes: Vec::new(),
            stamps: Stamps::default(),
            next: None,
            rate: 0,
            locked: false,
            signature: None,
            latm: latm::Latm::default(),
        }
    }

    /// The format of raw audio, by its first frame.
    pub(crate) fn detect(data: &[u8]) -> Option<Format> {
        (0..data.len()).find_map(|at| {
            let data = &data[at..];
            [Format::Adts, Format::Ac3, Format::Mpeg].into_iter().find(|&format| {
                let mut probe = Self::new(format, true, false);
                match probe.find(data, true) {
                    Ok(Found::Frame(frame)) => {
                        let rest = data.get(frame.size..).unwrap_or(&[]);
                        rest.len() < 8
                            || matches!(probe.find(rest, true), Ok(Found::Frame(_) | Found::More))
                    }
                    // Another layer is told apart from no audio.
                    Err(_) => at == 0,
                    _ => false,
                }
            })
        })
    }

    /// A packet with this time begins with the next byte.
    pub(crate) fn stamp(&mut self, stamp: Stamp) {
        self.stamps.push(self.bytes.len(), stamp);
    }

    pub(crate) const fn format(&self) -> Format {
        self.format
    }

    pub(crate) const fn is_raw(&self) -> bool {
        self.raw
    }

    /// When the next frame begins, in ticks of 90 kHz.
    pub(crate) fn next_ticks(&self) -> Option<i64> {
        Some(self.next? * HZ / i64::from(self.rate.max(1)))
    }

    /// Forgets times and what is not complete.
    pub(crate) fn reset(&mut self) {
        self.drop_partial();
        self.next = None;
    }

    /// Forgets what is not complete.
    pub(crate) fn drop_partial(&mut self) {
        self.bytes.clear();
        self.stamps.clear();
        self.locked = false;
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn find(&mut self, data: &[u8], last: bool) -> Result<Found, TransmuxError> {
        match self.format {
            Format::Adts => Ok(adts::find(data)),
            Format::Latm => Ok(self.latm.find(data)),
            Format::Mpeg => mpeg::find(data),
            Format::Ac3 => Ok(ac3::find(data, last)),
            Format::Opus(_) => Ok(opus::find(data)),
        }
    }

    fn config(&self, frame: &[u8]) -> Option<Config> {
        match self.format {
            Format::Adts => adts::config(frame, self.he_aac),
            Format::Latm => self.latm.config(),
            Format::Mpeg => mpeg::config(frame),
            Format::Ac3 => ac3::config(frame),
            Format::Opus(channels) => opus::config(channels),
        }
    }

    /// More of the stream; with `last` its end for now.
    pub(crate) fn push(
        &mut self,
        mux: &mut Mux,
        data: &[u8],
        last: bool,
    ) -> Result<(), TransmuxError> {
        self.bytes.extend_from_slice(data);
        let bytes = std::mem::take(&mut self.bytes);
        let mut at = 0;
        let result = loop {
            let rest = &bytes[at..];
            let frame = match self.find(rest, last) {
                Ok(Found::Frame(frame)) if frame.size <= rest.len() => frame,
                Ok(Found::Frame(_) | Found::More) => break Ok(()),
                Ok(Found::Nothing) => {
                    self.locked = false;
                    at += 1;
                    continue;
                }
                // Damage, rather than another codec.
                Err(_) if self.locked || self.signature.is_some() => {
                    self.locked = false;
                    at += 1;
                    continue;
                }
                Err(error) => break Err(error),
            };
            if !self.locked || self.signature != Some(frame.signature) {
                // A header by chance is not followed by another.
                match self.find(&rest[frame.size..], last) {
                    Ok(Found::More) if !last => break Ok(()),
                    Ok(Found::Frame(_) | Found::More) => {}
                    _ if rest.len() == frame.size && last => {}
                    _ => {
                        self.locked = false;
                        at += 1;
                        continue;
                    }
                }
            }
            let data = &rest[..frame.size];
            let begins = self.signature.is_none() && !self.locked;
            self.locked = true;
            if !(self.raw && begins && self.format == Format::Mpeg && mpeg::is_info(data)) {
                self.frame(mux, at, data, frame);
            }
            at += frame.size;
        };
        self.bytes = bytes;
        self.bytes.drain(..at);
        self.stamps.rebase(at);
        if self.bytes.len() > MAX_FRAME {
            self.drop_partial();
            return Err(TransmuxError::Oversized { limit: MAX_FRAME });
        }
        result
    }

    /// One whole frame that begins at `at`.
    fn frame(&mut self, mux: &mut Mux, at: usize, data: &[u8], frame: Frame) {
        if self.signature != Some(frame.signature) || !mux.is_configured(AUDIO) {
            let Some(config) = self.config(data) else { return };
            mux.configure(AUDIO, Some(config));
            self.signature = Some(frame.signature);
        }
        let rate = i64::from(frame.rate.max(1));
        if self.rate != frame.rate {
            let old = i64::from(self.rate.max(1));
            self.next = self.next.map(|next| next * rate / old);
            self.rate = frame.rate;
        }
        if let Some(stamp) = self.stamps.take(at) {
            let counted = self.next.map(|next| next * HZ / rate);
            if counted.is_none_or(|counted| (counted - stamp.pts).abs() > JITTER) {
                self.next = Some((stamp.pts * rate + HZ / 2).div_euclid(HZ));
            }
        }
        // Not placed yet: no packet began since.
        let Some(dts) = self.next else { return };
        self.next = Some(dts + i64::from(frame.samples));
        // MP4 has no decoding times before zero.
        if dts < 0 {
            return;
        }
        let run = &mut mux.runs[AUDIO].data;
        let before = run.len();
        if self.format == Format::Latm {
            // The look at the next frame may have taken its place.
            self.latm.find(data);
            self.latm.payload(run);
        } else {
            run.extend_from_slice(&data[frame.header.min(data.len())..]);
        }
        let size = (run.len() - before) as u32;
        let sample = Sample { size, dts, composition: 0, duration: frame.samples, key: true };
        mux.push(AUDIO, sample);
        if !mux.awaited[crate::mux::VIDEO]
            && !mux.is_configured(crate::mux::VIDEO)
            && mux.pending(AUDIO) * FRAGMENTS >= rate
        {
            mux.cut(false);
        }
    }
}
