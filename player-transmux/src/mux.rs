//! Samples in, init sections and fragments out.

use std::collections::VecDeque;

use crate::Transmuxed;
use crate::clock::HZ;
use crate::mp4::{self, Piece};
use crate::ts::MAX_TAG;

/// The video track's place.
pub(crate) const VIDEO: usize = 0;
/// The audio track's place.
pub(crate) const AUDIO: usize = 1;

/// How a track is decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// RFC 6381 codec string.
    pub(crate) codec: String,
    /// The whole sample entry box.
    pub(crate) entry: Vec<u8>,
    /// Ticks per second.
    pub(crate) timescale: u32,
    /// Width and height as shown; none for audio.
    pub(crate) size: Option<(u32, u32)>,
}

/// One sample; times in the track's timescale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) size: u32,
    pub(crate) dts: i64,
    pub(crate) composition: i32,
    pub(crate) duration: u32,
    pub(crate) key: bool,
}

/// A track's samples that are not written yet. Data past `complete` belongs to a sample still being put together.
#[derive(Debug, Default)]
pub(crate) struct Run {
    samples: Vec<Sample>,
    pub(crate) data: Vec<u8>,
    pub(crate) complete: usize,
}

/// Gathers both tracks' samples and cuts them into fragments.
#[derive(Debug, Default)]
pub(crate) struct Mux {
    pub(crate) runs: [Run; 2],
    configs: [Option<Config>; 2],
    written: [Option<Config>; 2],
    /// Tracks that the first init section waits for.
    pub(crate) awaited: [bool; 2],
    sequence: u32,
    /// MP3 without video comes out as it is.
    pub(crate) bare_mp3: bool,
    /// Timed metadata since the last fragment, in `emsg` boxes; when the first of it applies, and how much came.
    events: Vec<u8>,
    events_start: i64,
    events_count: u32,
    pub(crate) queue: VecDeque<Transmuxed>,
}

/// The most bytes of timed metadata that wait for a fragment; what comes then is left out.
const MAX_EVENTS: usize = 2 * MAX_TAG;

impl Mux {
    /// How a track's samples from now on are decoded. What came before is written first.
    pub(crate) fn configure(&mut self, track: usize, config: Option<Config>) {
        if self.configs[track] != config {
            // A track's first configuration has no samples before it.
            if self.configs[track].is_some() {
                self.cut(true);
            }
            self.configs[track] = config;
        }
    }

    pub(crate) const fn is_configured(&self, track: usize) -> bool {
        self.configs[track].is_some()
    }

    /// Adds a sample whose data is the first `sample.size` bytes past the track's complete ones.
    pub(crate) fn push(&mut self, track: usize, sample: Sample) {
        let run = &mut self.runs[track];
        run.complete += sample.size as usize;
        run.samples.push(sample);
    }

    /// Timed metadata, an ID3 tag, that applies from `pts` (ticks of 90 kHz) on.
    pub(crate) fn event(&mut self, pts: i64, tag: &[u8]) {
        if self.events.len() + tag.len() > MAX_EVENTS {
            return;
        }
        if self.events.is_empty() {
            self.events_start = pts;
        }
        mp4::event(&mut self.events, pts, self.events_count, tag);
        self.events_count = self.events_count.wrapping_add(1);
    }

    /// Hands out timed metadata that no fragment follows.
    pub(crate) fn flush_events(&mut self) {
        if self.events.is_empty() || self.written == [None, None] {
            return;
        }
        let events = std::mem::take(&mut self.events);
        if self.is_bare() {
            return;
        }
        if let Some(Transmuxed::Media { data, .. }) = self.queue.back_mut() {
            data.extend_from_slice(&events);
        } else {
            let start = self.events_start as f64 / HZ as f64;
            self.queue.push_back(Transmuxed::Media { data: events, start, duration: 0.0 });
        }
    }

    /// How long a track's unwritten samples last, in its ticks.
    pub(crate) fn pending(&self, track: usize) -> i64 {
        match self.runs[track].samples.as_slice() {
            [first, .., last] => last.dts - first.dts + i64::from(last.duration),
            _ => 0,
        }
    }

    /// How long the longer track's unwritten samples last.
    pub(crate) fn seconds(&self) -> f64 {
        let of = |track: usize| {
            let config = self.configs[track].as_ref();
            config.map_or(0.0, |config| self.pending(track) as f64 / f64::from(config.timescale))
        };
        of(VIDEO).max(of(AUDIO))
    }

    /// Writes what is complete; unless `force`d, only when each awaited track is known.
    pub(crate) fn cut(&mut self, force: bool) {
        let waits = (0..2).any(|track| self.awaited[track] && self.configs[track].is_none());
        if (waits && !force) || self.runs.iter().all(|run| run.samples.is_empty()) {
            return;
        }
        if self.written != self.configs {
            self.written.clone_from(&self.configs);
            let codecs: Vec<&str> =
                self.configs.iter().flatten().map(|config| config.codec.as_str()).collect();
            let codecs = codecs.join(",");
            let data = if self.is_bare() { Vec::new() } else { mp4::init(&self.configs) };
            self.queue.push_back(Transmuxed::Init { data, codecs });
        }
        // A gap or a step back in a track's times needs a fragment of its own.
        let mut next = [(0, 0); 2];
        loop {
            let mut pieces = Vec::with_capacity(2);
            let (mut start, mut end) = (f64::MAX, f64::MIN);
            for (track, (sample, byte)) in next.iter_mut().enumerate() {
                let Some(config) = &self.configs[track] else { continue };
                let run = &self.runs[track];
                let samples = unbroken(run.samples.get(*sample..).unwrap_or(&[]));
                if samples.is_empty() {
                    continue;
                }
                let bytes = samples.iter().map(|sample| sample.size as usize).sum::<usize>();
                let Some(data) = run.data.get(*byte..*byte + bytes) else { continue };
                for sample in samples {
                    let pts = (sample.dts + i64::from(sample.composition)) as f64;
                    let timescale = f64::from(config.timescale);
                    start = start.min(pts / timescale);
                    end = end.max((pts + f64::from(sample.duration)) / timescale);
                }
                *sample += samples.len();
                *byte += bytes;
                pieces.push(Piece {
                    track: track as u32 + 1,
                    video: config.size.is_some(),
                    samples,
                    data,
                });
            }
            if pieces.is_empty() {
                break;
            }
            self.sequence = self.sequence.wrapping_add(1);
            let data = match pieces.first() {
                Some(piece) if self.is_bare() => piece.data.to_vec(),
                _ => mp4::fragment(&std::mem::take(&mut self.events), self.sequence, &pieces),
            };
            self.queue.push_back(Transmuxed::Media { data, start, duration: end - start });
        }
        for run in &mut self.runs {
            run.samples.clear();
            run.data.drain(..run.complete);
            run.complete = 0;
        }
    }

    /// Whether what comes out is MP3 frames and no MP4.
    fn is_bare(&self) -> bool {
        let audio = self.configs[AUDIO].as_ref();
        self.bare_mp3
            && self.configs[VIDEO].is_none()
            && audio.is_some_and(|config| config.codec == crate::audio::mpeg::CODEC)
    }

    /// Bytes held for samples and results.
    pub(crate) fn bytes(&self) -> usize {
        let queued = self.queue.iter().map(|result| match result {
            Transmuxed::Init { data, .. } | Transmuxed::Media { data, .. } => data.len(),
        });
        let held = self.runs.iter().map(|run| run.data.len() + run.samples.len() * 32);
        queued.chain(held).sum::<usize>() + self.events.len()
    }
}

/// The first samples, as far as each begins when the one before it ends.
fn unbroken(samples: &[Sample]) -> &[Sample] {
    let joins = samples
        .windows(2)
        .take_while(|pair| pair[0].dts + i64::from(pair[0].duration) == pair[1].dts)
        .count();
    &samples[..samples.len().min(joins + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audio(codec: &str) -> Config {
        Config {
            codec: codec.to_owned(),
            entry: mp4::audio_entry(b"mp4a", 2, 1000, b"esds", &[]),
            timescale: 1000,
            size: None,
        }
    }

    fn sample(dts: i64) -> Sample {
        Sample { size: 1, dts, composition: 0, duration: 10, key: true }
    }

    fn push(mux: &mut Mux, dts: i64) {
        mux.runs[AUDIO].data.push(7);
        mux.push(AUDIO, sample(dts));
    }

    #[test]
    fn a_gap_splits_a_fragment() {
        let mut mux = Mux::default();
        mux.configure(AUDIO, Some(audio("a")));
        for dts in [0, 10, 20, 500, 510, 30] {
            push(&mut mux, dts);
        }
        mux.cut(false);
        let times: Vec<(f64, f64)> = mux
            .queue
            .iter()
            .filter_map(|result| match result {
                Transmuxed::Media { start, duration, .. } => Some((*start, *duration)),
                _ => None,
            })
            .collect();
        assert_eq!(times.len(), 3);
        assert_eq!(times[0], (0.0, 0.03));
        assert!((times[1].0 - 0.5).abs() < 1e-9 && (times[1].1 - 0.02).abs() < 1e-9);
        assert!((times[2].0 - 0.03).abs() < 1e-9);
    }

    #[test]
    fn the_first_init_section_waits_for_each_awaited_track() {
        let mut mux = Mux { awaited: [true, true], ..Mux::default() };
        mux.configure(AUDIO, Some(audio("a")));
        push(&mut mux, 0);
        mux.cut(false);
        assert!(mux.queue.is_empty());
        mux.cut(true);
        assert!(matches!(mux.queue.front(), Some(Transmuxed::Init { .. })));
    }

    #[test]
    fn a_new_configuration_comes_after_the_samples_of_the_old() {
        let mut mux = Mux::default();
        mux.configure(AUDIO, Some(audio("a")));
        push(&mut mux, 0);
        mux.configure(AUDIO, Some(audio("b")));
        push(&mut mux, 10);
        mux.cut(false);
        let order: Vec<&str> = mux
            .queue
            .iter()
            .map(|result| match result {
                Transmuxed::Init { codecs, .. } => codecs.as_str(),
                _ => "media",
            })
            .collect();
        assert_eq!(order, ["a", "media", "b", "media"]);
    }

    #[test]
    fn a_fragment_points_at_its_data() {
        let samples = [sample(90), sample(100)];
        let data = mp4::fragment(
            &[],
            3,
            &[Piece { track: 2, video: false, samples: &samples, data: &[0xaa, 0xbb] }],
        );
        let moof = u32::from_be_bytes([data[0], data[1], data[2], data[3]]) as usize;
        assert_eq!(&data[moof + 4..moof + 8], b"mdat");
        assert_eq!(data.len(), moof + 10);
        let trun = data.windows(4).position(|window| window == b"trun").unwrap_or(0);
        let offset = u32::from_be_bytes([
            data[trun + 12],
            data[trun + 13],
            data[trun + 14],
            data[trun + 15],
        ]);
        assert_eq!(data[offset as usize..], [0xaa, 0xbb]);
    }
}
