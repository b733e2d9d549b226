//! Byte stream to samples: NAL units are found across packets, grouped into access units, written with lengths.

use crate::avc;
use crate::bits::start_code;
use crate::clock::{HZ, Stamp, Stamps};
use crate::error::TransmuxError;
use crate::hevc;
use crate::mux::{Mux, Sample, VIDEO};
use crate::sei;

/// The largest NAL unit.
const MAX_NAL: usize = 16 << 20;
/// The largest parameter set and the most of one kind.
const MAX_SET: usize = 4096;
const MAX_SETS: usize = 64;
/// A frame's duration when there is nothing to tell it: 29.97 frames a second.
const FRAME: u32 = 3003;
/// No frame lasts longer than this; a gap does.
const MAX_FRAME: i64 = 10 * HZ;
/// A fragment is written when it has lasted this long, or at the next random access point.
const FRAGMENT: i64 = HZ / 2;

/// What a NAL unit is to the sample that holds it.
enum Unit {
    /// Part of a picture.
    Slice { first: bool, key: bool, intra: bool, field: Option<(u32, bool)> },
    /// The access unit delimiter.
    Delimiter,
    /// A parameter set of kind 0 (VPS), 1 (SPS) or 2 (PPS).
    Set(usize),
    /// Supplemental information.
    Sei,
    /// Not needed for decoding.
    Other,
}

/// What came since the last slice and belongs to the next picture, if one begins.
#[derive(Debug, Default)]
struct Prefix {
    /// Where its first NAL unit is in the byte stream.
    at: Option<usize>,
    delimiter: bool,
    has_sps: bool,
    recovery: bool,
    /// Parameter sets that differ from those in use, with lengths.
    sets: Vec<u8>,
}

/// The picture that is being put together at the end of the track's data.
#[derive(Debug, Clone, Copy)]
struct Picture {
    stamp: Stamp,
    key: bool,
    field: Option<(u32, bool)>,
    size: usize,
}

/// A video elementary stream.
#[derive(Debug, Default)]
pub(crate) struct Video {
    hevc: bool,
    bytes: Vec<u8>,
    /// Where the search for start codes goes on.
    scanned: usize,
    /// Where the NAL unit begins that is not complete yet.
    nal: Option<usize>,
    stamps: Stamps,
    prefix: Prefix,
    picture: Option<Picture>,
    /// Duration of the last frame.
    frame: u32,
    /// The last picture's times, to go on from.
    last: Option<Stamp>,
    /// What decoding times are moved by so that none is negative; presentation times stay.
    shift: i64,
    sets: [Vec<Vec<u8>>; 3],
    /// The parameter sets of the last configuration are those in `sets`.
    configured: bool,
    avc: Option<avc::Sps>,
    /// The sequence parameter set in use, in `sets[1]`.
    active: usize,
}

impl Video {
    pub(crate) fn new(hevc: bool) -> Self {
        Self { hevc, frame: FRAME, ..Self::default() }
    }

    pub(crate) const fn is_hevc(&self) -> bool {
        self.hevc
    }

    /// A packet with these times begins with the next byte.
    pub(crate) fn stamp(&mut self, stamp: Stamp) {
        self.stamps.push(self.bytes.len(), stamp);
    }

    /// More of the byte stream.
    pub(crate) fn push(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
    }

    /// Whether enough has come to look for NAL units in between.
    pub(crate) const fn is_ripe(&self) -> bool {
        self.bytes.len() - self.scanned > 128 * 1024
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + self.prefix.sets.len()
    }

    /// Takes out what NAL units are complete. With `last` the byte stream ends here.
    pub(crate) fn scan(&mut self, mux: &mut Mux, last: bool) -> Result<(), TransmuxError> {
        let mut bytes = std::mem::take(&mut self.bytes);
        while let Some(at) = start_code(&bytes, self.scanned) {
            if let Some(start) = self.nal {
                self.unit(mux, &bytes[start..at.max(start)], start);
            }
            self.nal = Some(at + 3);
            self.scanned = at + 3;
        }
        if last {
            if let Some(start) = self.nal.take() {
                self.unit(mux, &bytes[start..], start);
            }
            self.finish(mux, None);
            // What prefixes no picture is of no use.
            mux.runs[VIDEO].data.truncate(mux.runs[VIDEO].complete);
            self.prefix = Prefix::default();
            bytes.clear();
            self.scanned = 0;
            self.stamps.clear();
            self.bytes = bytes;
            return Ok(());
        }
        // A start code may be cut off at the end.
        self.scanned = self.scanned.max(bytes.len().saturating_sub(2));
        let done = self.nal.unwrap_or(self.scanned);
        if done > 64 * 1024 && done > bytes.len() / 2 || self.nal.is_none() {
            bytes.drain(..done);
            self.scanned -= done;
            self.nal = self.nal.map(|at| at - done);
            self.stamps.rebase(done);
            self.prefix.at = self.prefix.at.map(|at| at.saturating_sub(done));
        }
        let open = bytes.len() - self.nal.unwrap_or(0);
        self.bytes = bytes;
        if open > MAX_NAL || mux.runs[VIDEO].data.len() - mux.runs[VIDEO].complete > 2 * MAX_NAL {
            self.reset(mux);
            return Err(TransmuxError::Oversized { limit: MAX_NAL });
        }
        Ok(())
    }

    /// Forgets what is not complete; parameter sets stay.
    pub(crate) fn reset(&mut self, mux: &mut Mux) {
        let run = &mut mux.runs[VIDEO];
        run.data.truncate(run.complete);
        self.bytes.clear();
        self.scanned = 0;
        self.nal = None;
        self.stamps.clear();
        self.prefix = Prefix::default();
        self.picture = None;
        self.last = None;
        self.shift = 0;
    }

    /// What a NAL unit is, by its header.
    fn classify(&self, nal: &[u8]) -> Unit {
        let Some(&head) = nal.first() else { return Unit::Other };
        if self.hevc {
            let kind = head >> 1 & 63;
            let layer = (head & 1) << 5 | nal.get(1).map_or(0, |byte| byte >> 3);
            return match kind {
                _ if layer != 0 || nal.len() < 3 => Unit::Other,
                0..=31 => Unit::Slice {
                    first: nal[2] & 0x80 != 0,
                    key: (16..=23).contains(&kind),
                    intra: false,
                    field: None,
                },
                32..=34 => Unit::Set(usize::from(kind - 32)),
                35 => Unit::Delimiter,
                39 => Unit::Sei,
                _ => Unit::Other,
            };
        }
        match head & 31 {
            kind @ (1 | 2 | 5) => {
                let slice = avc::slice(nal, self.avc.as_ref());
                Unit::Slice {
                    first: slice.first,
                    key: kind == 5,
                    intra: slice.intra,
                    field: slice.field,
                }
            }
            // Data partitions B and C follow their partition A.
            3 | 4 => Unit::Slice { first: false, key: false, intra: false, field: None },
            6 => Unit::Sei,
            7 => Unit::Set(1),
            8 => Unit::Set(2),
            9 => Unit::Delimiter,
            _ => Unit::Other,
        }
    }

    /// Takes one NAL unit that began at `at`.
    fn unit(&mut self, mux: &mut Mux, nal: &[u8], at: usize) {
        let end = nal.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let nal = &nal[..end];
        let unit = self.classify(nal);
        if !matches!(unit, Unit::Slice { .. } | Unit::Other) {
            self.prefix.at.get_or_insert(at);
        }
        match unit {
            Unit::Slice { first, key, intra, field } => {
                let second = match (self.picture.and_then(|picture| picture.field), field) {
                    (Some((frame, bottom)), Some((number, other))) => {
                        frame == number && bottom != other
                    }
                    _ => false,
                };
                if self.picture.is_none() || ((first || self.prefix.delimiter) && !second) {
                    let start = self.prefix.at.unwrap_or(at);
                    let key = key || intra && (self.prefix.recovery || self.prefix.has_sps);
                    self.begin(mux, start, key, field);
                } else if second && let Some(picture) = &mut self.picture {
                    picture.field = None;
                }
                if let Some(picture) = &mut self.picture {
                    let run = &mut mux.runs[VIDEO];
                    run.data.extend_from_slice(&std::mem::take(&mut self.prefix.sets));
                    write(&mut run.data, nal);
                    picture.size = run.data.len() - run.complete;
                }
                self.prefix = Prefix::default();
            }
            Unit::Delimiter => self.prefix.delimiter = true,
            Unit::Set(kind) => self.set(kind, nal),
            Unit::Sei => {
                self.prefix.recovery |= !self.hevc && sei::recovery(nal);
                write(&mut mux.runs[VIDEO].data, nal);
            }
            Unit::Other => {}
        }
    }

    /// Keeps a parameter set; those that change between random access points go into the samples.
    fn set(&mut self, kind: usize, nal: &[u8]) {
        if nal.len() > MAX_SET || nal.len() < 4 - usize::from(kind == 2) {
            return;
        }
        if kind == 1 {
            let whole = if self.hevc {
                hevc::sps(nal).is_some()
            } else {
                let sps = avc::sps(nal);
                self.avc = sps.or(self.avc);
                sps.is_some()
            };
            if !whole {
                return;
            }
            self.prefix.has_sps = true;
        }
        let id = set_id(nal, kind, self.hevc);
        let hevc = self.hevc;
        let sets = &mut self.sets[kind];
        let known = sets.iter().position(|set| set_id(set, kind, hevc) == id);
        let place = known.unwrap_or(sets.len());
        if kind == 1 && place < MAX_SETS {
            self.configured &= self.active == place;
            self.active = place;
        }
        match sets.get_mut(place) {
            Some(set) if set.as_slice() == nal => return,
            Some(set) => *set = nal.to_vec(),
            None if place < MAX_SETS => sets.push(nal.to_vec()),
            None => return,
        }
        self.configured = false;
        if self.prefix.sets.len() < MAX_SETS * MAX_SET {
            write(&mut self.prefix.sets, nal);
        }
    }

    /// A picture begins with the NAL unit at `start`.
    fn begin(&mut self, mux: &mut Mux, start: usize, key: bool, field: Option<(u32, bool)>) {
        let stamp = self.stamps.take(start).or_else(|| {
            // No time of its own: one frame after the last.
            self.last.map(|last| {
                let step = i64::from(self.frame);
                Stamp { pts: last.pts + step, dts: last.dts + step }
            })
        });
        self.finish(mux, stamp);
        if !self.configured && (key || !mux.is_configured(VIDEO)) {
            self.configure(mux);
        }
        let Some(stamp) = stamp.filter(|_| mux.is_configured(VIDEO)) else {
            // Neither parameters nor time: the picture cannot be placed.
            let run = &mut mux.runs[VIDEO];
            run.data.truncate(run.complete);
            return;
        };
        if key && mux.runs[VIDEO].complete > 0 {
            mux.cut(false);
        }
        self.last = Some(stamp);
        self.picture = Some(Picture { stamp, key, field, size: 0 });
    }

    /// Ends the picture; `next` is when the next one is decoded.
    fn finish(&mut self, mux: &mut Mux, next: Option<Stamp>) {
        let Some(picture) = self.picture.take() else { return };
        let Stamp { pts, dts } = picture.stamp;
        if let Some(next) = next {
            let duration = next.dts - dts;
            if (1..=MAX_FRAME).contains(&duration) {
                self.frame = duration as u32;
            }
        }
        if dts + self.shift < 0 {
            self.shift = -dts;
        }
        let dts = dts + self.shift;
        let composition = (pts - dts).clamp(-i64::from(i32::MAX), i64::from(i32::MAX)) as i32;
        mux.push(
            VIDEO,
            Sample {
                size: picture.size as u32,
                dts,
                composition,
                duration: self.frame,
                key: picture.key,
            },
        );
        if mux.pending(VIDEO) >= FRAGMENT {
            mux.cut(false);
        }
    }

    fn configure(&mut self, mux: &mut Mux) {
        let [vps, all_sps, pps] = [0, 1, 2]
            .map(|kind: usize| self.sets[kind].iter().map(Vec::as_slice).collect::<Vec<_>>());
        let Some(&sps_nal) = all_sps.get(self.active) else { return };
        if pps.is_empty() || (self.hevc && vps.is_empty()) {
            return;
        }
        let config = if self.hevc {
            hevc::sps(sps_nal).map(|sps| hevc::config(&sps, [&vps, &all_sps, &pps]))
        } else {
            avc::sps(sps_nal).map(|sps| avc::config(&sps, sps_nal, &all_sps, &pps))
        };
        if config.is_some() {
            mux.configure(VIDEO, config);
            self.configured = true;
            // They are in the init section.
            self.prefix.sets.clear();
        }
    }
}

/// Appends a NAL unit after its length in four bytes.
fn write(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend_from_slice(&(nal.len() as u32).to_be_bytes());
    out.extend_from_slice(nal);
}

/// A parameter set's own number, as what it is replaced by.
fn set_id(nal: &[u8], kind: usize, hevc: bool) -> u32 {
    let data = crate::bits::unescape(nal.get(..nal.len().min(128)).unwrap_or(&[]), 128);
    let mut bits = crate::bits::Bits::new(&data);
    match (hevc, kind) {
        (false, 1) => {
            bits.skip(32);
            bits.ue()
        }
        (false, _) => {
            bits.skip(8);
            bits.ue()
        }
        (true, 0) => {
            bits.skip(16);
            bits.read(4)
        }
        (true, 1) => hevc::sps_id(&data),
        (true, _) => {
            bits.skip(16);
            bits.ue()
        }
    }
}
