//! What is appended to a source buffer, watched for captions and events.

use crate::captions::{Captions, Codec, cc_data};
use crate::mp4::{self, Event, Track, first_box};
use crate::{Cue, MAX_CUES, id3};

/// Longest fragment that is put together from several appends, in bytes.
const MAX_PENDING: usize = 32 << 20;
/// Most events that wait for the fragment which they are relative to.
const MAX_RELATIVE: usize = 64;

/// Watches one source buffer.
#[derive(Debug, Default)]
pub struct Tap {
    /// A fragment that is not all there yet.
    pending: Vec<u8>,
    tracks: Vec<Track>,
    /// `timestampOffset` in seconds.
    offset: f64,
    relative: Vec<Event>,
    captions: Captions,
}

impl Tap {
    /// Takes what is appended; `offset` is the new `timestampOffset` in seconds, `None` when it stays.
    pub fn append(&mut self, data: &[u8], offset: Option<f64>, cues: &mut Vec<Cue>) {
        let begins = matches!(
            data.get(4..8),
            Some(b"ftyp" | b"styp" | b"moov" | b"moof" | b"emsg" | b"sidx" | b"prft")
        );
        if let Some(offset) = offset.filter(|offset| offset.is_finite()) {
            self.offset = offset;
        }
        if offset.is_some() || begins {
            self.pending.clear();
        }
        if self.pending.is_empty() {
            let used = self.read(data, cues);
            self.keep(&data[used..]);
        } else if self.pending.len() + data.len() <= MAX_PENDING {
            let mut pending = std::mem::take(&mut self.pending);
            pending.extend_from_slice(data);
            let used = self.read(&pending, cues);
            pending.drain(..used);
            self.pending = pending;
        } else {
            self.pending.clear();
        }
    }

    fn keep(&mut self, rest: &[u8]) {
        if rest.len() <= MAX_PENDING {
            self.pending.extend_from_slice(rest);
        }
    }

    /// Reads whole boxes; returns how many bytes they had.
    fn read(&mut self, data: &[u8], cues: &mut Vec<Cue>) -> usize {
        let mut at = 0;
        while let Some(found) = first_box(&data[at..]) {
            match &found.kind {
                b"moov" => self.tracks = mp4::read_movie(found.body),
                b"emsg" => {
                    if let Some(event) = mp4::read_event(found.body) {
                        if !event.relative {
                            tell(event, self.offset, cues);
                        } else if self.relative.len() < MAX_RELATIVE {
                            self.relative.push(event);
                        }
                    }
                }
                b"moof" => {
                    // Its samples are behind it.
                    let behind = &data[at + found.size..];
                    if behind.len() < 8 || first_box(behind).is_none() {
                        return at;
                    }
                    self.fragment(&data[at..], found.body, cues);
                }
                _ => {}
            }
            at += found.size;
        }
        at
    }

    fn fragment(&mut self, data: &[u8], moof: &[u8], cues: &mut Vec<Cue>) {
        let mut first = f64::INFINITY;
        let mut end = f64::NEG_INFINITY;
        // Samples come in the order of decoding, captions in that of presentation.
        let mut pictures: Vec<(f64, Vec<[u8; 3]>)> = Vec::new();
        let offset = self.offset;
        let tracks = &self.tracks;
        mp4::read_fragment(data, moof, tracks, &mut |sample| {
            first = first.min(sample.time);
            let Some(track) = tracks.iter().find(|track| track.id == sample.track) else { return };
            let codec = match &track.codec {
                b"avc1" | b"avc3" | b"dva1" | b"dvav" => Codec::Avc,
                b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" => Codec::Hevc,
                _ => return,
            };
            end = end.max(sample.time + sample.duration);
            let mut triplets = Vec::new();
            cc_data(sample.data, track.nal_length, codec, &mut triplets);
            if !triplets.is_empty() {
                pictures.push((sample.time, triplets));
            }
        });
        pictures.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (time, triplets) in &pictures {
            self.captions.feed(time + offset, triplets, cues);
        }
        if !pictures.is_empty() {
            self.captions.flush(end + offset, cues);
        }
        let base = if first.is_finite() { first } else { 0.0 };
        for event in self.relative.drain(..) {
            tell(event, base + offset, cues);
        }
    }
}

/// An event as cues: an ID3 tag by its frames, others whole.
fn tell(event: Event, offset: f64, cues: &mut Vec<Cue>) {
    if cues.len() >= MAX_CUES {
        return;
    }
    let start = event.time + offset;
    let end = start + event.duration;
    if event.data.starts_with(b"ID3") {
        return id3::read(&event.data, start, end, cues);
    }
    let id = [event.scheme.as_str(), "\n", &event.value].concat().replace('\0', "\u{fffd}");
    cues.push(Cue { start, end, channel: "emsg".into(), id, data: event.data, ..Cue::default() });
}
