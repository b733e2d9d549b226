//! Writing ISO BMFF boxes (ISO/IEC 14496-12, -14, -15): init sections and fragments.

use crate::clock::HZ;
use crate::mux::{Config, Sample};

/// A writer of boxes.
pub(crate) struct Boxes(pub(crate) Vec<u8>);

impl Boxes {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Opens a box; returns what [`close`](Self::close) needs.
    pub(crate) fn open(&mut self, kind: &[u8; 4]) -> usize {
        let at = self.0.len();
        self.u32(0);
        self.bytes(kind);
        at
    }

    /// Opens a box with version and flags.
    pub(crate) fn open_full(&mut self, kind: &[u8; 4], version: u8, flags: u32) -> usize {
        let at = self.open(kind);
        self.u32(u32::from(version) << 24 | flags);
        at
    }

    pub(crate) fn close(&mut self, at: usize) {
        let size = (self.0.len() - at) as u32;
        self.patch(at, size);
    }

    pub(crate) fn patch(&mut self, at: usize, value: u32) {
        if let Some(place) = self.0.get_mut(at..at + 4) {
            place.copy_from_slice(&value.to_be_bytes());
        }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn zeros(&mut self, count: usize) {
        self.0.resize(self.0.len() + count, 0);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// A box with nothing but version, flags and `words`.
    fn words(&mut self, kind: &[u8; 4], flags: u32, words: &[u32]) {
        let at = self.open_full(kind, 0, flags);
        for &word in words {
            self.u32(word);
        }
        self.close(at);
    }
}

/// A video sample entry (ISO/IEC 14496-12 §12.1.3) with its configuration box and, where pixels are not
/// square, `pasp`.
pub(crate) fn video_entry(
    kind: &[u8; 4],
    (width, height): (u32, u32),
    (horizontal, vertical): (u32, u32),
    config_kind: &[u8; 4],
    config: &[u8],
) -> Vec<u8> {
    let mut out = Boxes::new();
    let entry = out.open(kind);
    out.zeros(6);
    out.u16(1); // data_reference_index
    out.zeros(16);
    out.u16(width.min(65_535) as u16);
    out.u16(height.min(65_535) as u16);
    out.u32(0x48_0000); // 72 dpi
    out.u32(0x48_0000);
    out.u32(0);
    out.u16(1); // frame_count
    out.zeros(32); // compressorname
    out.u16(24); // depth
    out.u16(0xffff);
    let at = out.open(config_kind);
    out.bytes(config);
    out.close(at);
    if horizontal != vertical {
        let at = out.open(b"pasp");
        out.u32(horizontal);
        out.u32(vertical);
        out.close(at);
    }
    out.close(entry);
    out.0
}

/// An audio sample entry (ISO/IEC 14496-12 §12.2.3) with its configuration box.
pub(crate) fn audio_entry(
    kind: &[u8; 4],
    channels: u8,
    rate: u32,
    config_kind: &[u8; 4],
    config: &[u8],
) -> Vec<u8> {
    let mut out = Boxes::new();
    let entry = out.open(kind);
    out.zeros(6);
    out.u16(1); // data_reference_index
    out.zeros(8);
    out.u16(u16::from(channels));
    out.u16(16); // bits per sample
    out.u32(0);
    out.u32(if rate < 1 << 16 { rate << 16 } else { 0 });
    let at = out.open(config_kind);
    out.bytes(config);
    out.close(at);
    out.close(entry);
    out.0
}

/// The payload of an `esds` box (ISO/IEC 14496-14 §5.6, -1 §7.2.6) for an object type and its specific info.
pub(crate) fn esds(object_type: u8, info: &[u8]) -> Vec<u8> {
    let info_size = info.len() as u8;
    let info_descriptor = if info.is_empty() { 0 } else { 2 + info_size };
    let mut out = vec![0, 0, 0, 0];
    out.extend([0x03, 3 + 2 + 13 + info_descriptor + 3, 0, 0, 0]); // ES_Descriptor
    out.extend([0x04, 13 + info_descriptor, object_type, 0x15]); // DecoderConfigDescriptor, audio
    out.extend([0; 11]); // buffer size, maximum and average bitrate: unknown
    if !info.is_empty() {
        out.extend([0x05, info_size]); // DecoderSpecificInfo
        out.extend_from_slice(info);
    }
    out.extend([0x06, 1, 2]); // SLConfigDescriptor: MP4
    out
}

/// An init section for the tracks that have a configuration; a track's ID is its place plus one.
pub(crate) fn init(tracks: &[Option<Config>]) -> Vec<u8> {
    let mut out = Boxes::new();
    let at = out.open(b"ftyp");
    out.bytes(b"iso6\0\0\0\0iso6mp41");
    out.close(at);
    let moov = out.open(b"moov");
    let at = out.open_full(b"mvhd", 0, 0);
    out.zeros(8);
    out.u32(90_000);
    out.u32(0); // duration: told by the fragments
    out.u32(0x1_0000); // rate 1
    out.u16(0x100); // volume 1
    out.zeros(10);
    matrix(&mut out);
    out.zeros(24);
    out.u32(tracks.len() as u32 + 1);
    out.close(at);
    let configured =
        || tracks.iter().zip(1u32..).filter_map(|(config, id)| Some((config.as_ref()?, id)));
    for (config, id) in configured() {
        track(&mut out, config, id);
    }
    let at = out.open(b"mvex");
    for (_, id) in configured() {
        out.words(b"trex", 0, &[id, 1, 0, 0, 0]);
    }
    out.close(at);
    out.close(moov);
    out.0
}

fn matrix(out: &mut Boxes) {
    for word in [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000] {
        out.u32(word);
    }
}

fn track(out: &mut Boxes, config: &Config, id: u32) {
    let video = config.size.is_some();
    let (width, height) = config.size.unwrap_or((0, 0));
    let trak = out.open(b"trak");
    let at = out.open_full(b"tkhd", 0, 3); // enabled, in the movie
    out.zeros(8);
    out.u32(id);
    out.zeros(20);
    out.u16(if video { 0 } else { 0x100 }); // volume
    out.zeros(2);
    matrix(out);
    out.u32(width << 16);
    out.u32(height << 16);
    out.close(at);
    let mdia = out.open(b"mdia");
    out.words(b"mdhd", 0, &[0, 0, config.timescale, 0, 0x55c4_0000]); // language: und
    let at = out.open_full(b"hdlr", 0, 0);
    out.zeros(4);
    out.bytes(if video { b"vide" } else { b"soun" });
    out.zeros(13);
    out.close(at);
    let minf = out.open(b"minf");
    if video {
        out.words(b"vmhd", 1, &[0, 0]);
    } else {
        out.words(b"smhd", 0, &[0]);
    }
    let dinf = out.open(b"dinf");
    let at = out.open_full(b"dref", 0, 0);
    out.u32(1);
    out.words(b"url ", 1, &[]);
    out.close(at);
    out.close(dinf);
    let stbl = out.open(b"stbl");
    let at = out.open_full(b"stsd", 0, 0);
    out.u32(1);
    out.bytes(&config.entry);
    out.close(at);
    out.words(b"stts", 0, &[0]);
    out.words(b"stsc", 0, &[0]);
    out.words(b"stsz", 0, &[0, 0]);
    out.words(b"stco", 0, &[0]);
    out.close(stbl);
    out.close(minf);
    out.close(mdia);
    out.close(trak);
}

/// One track's share of a fragment.
pub(crate) struct Piece<'a> {
    pub(crate) track: u32,
    pub(crate) video: bool,
    pub(crate) samples: &'a [Sample],
    pub(crate) data: &'a [u8],
}

/// Depends on no other sample; a sample for random access.
const SYNC: u32 = 0x0200_0000;
/// Depends on others; no sample for random access.
const NOT_SYNC: u32 = 0x0101_0000;

/// Whose ID3 tags are ("Carriage of ID3 Timed Metadata in CMAF", AOM).
const ID3_SCHEME: &[u8] = b"https://aomedia.org/emsg/ID3\0";

/// Appends an event message (`emsg`, ISO/IEC 23009-1 §5.10.3.3, version 1) with an ID3 tag that applies from `pts`
/// (ticks of 90 kHz) on.
pub(crate) fn event(out: &mut Vec<u8>, pts: i64, id: u32, tag: &[u8]) {
    let mut boxes = Boxes(std::mem::take(out));
    let at = boxes.open_full(b"emsg", 1, 0);
    boxes.u32(HZ as u32);
    boxes.bytes(&pts.max(0).to_be_bytes());
    boxes.u32(u32::MAX); // duration: not known
    boxes.u32(id);
    boxes.bytes(ID3_SCHEME);
    boxes.bytes(&[0]); // value: none
    boxes.bytes(tag);
    boxes.close(at);
    *out = boxes.0;
}

/// A fragment, `moof` and `mdat`, of the tracks' samples, each piece without gaps in time, behind `events`.
pub(crate) fn fragment(events: &[u8], sequence: u32, pieces: &[Piece<'_>]) -> Vec<u8> {
    let bytes: usize = pieces.iter().map(|piece| piece.data.len()).sum();
    let samples: usize = pieces.iter().map(|piece| piece.samples.len()).sum();
    let room = events.len() + bytes + samples * 16 + pieces.len() * 100 + 64;
    let mut out = Boxes(Vec::with_capacity(room));
    out.bytes(events);
    let moof = out.open(b"moof");
    out.words(b"mfhd", 0, &[sequence]);
    let mut offsets = [0; 2];
    for (piece, offset) in pieces.iter().zip(&mut offsets) {
        let first = piece.samples.first();
        let duration = first.map_or(0, |sample| sample.duration);
        let even = piece.samples.iter().all(|sample| sample.duration == duration);
        let traf = out.open(b"traf");
        // default-base-is-moof, default duration, default flags
        out.words(
            b"tfhd",
            0x02_0028,
            &[piece.track, duration, if piece.video { NOT_SYNC } else { SYNC }],
        );
        let at = out.open_full(b"tfdt", 1, 0);
        out.bytes(&first.map_or(0, |sample| sample.dts.max(0)).to_be_bytes());
        out.close(at);
        // data offset, sizes; durations unless all alike; for video flags and composition offsets
        let flags = 0x201 | if even { 0 } else { 0x100 } | if piece.video { 0xc00 } else { 0 };
        let at = out.open_full(b"trun", 1, flags);
        out.u32(piece.samples.len() as u32);
        *offset = out.0.len();
        out.u32(0);
        for sample in piece.samples {
            if !even {
                out.u32(sample.duration);
            }
            out.u32(sample.size);
            if piece.video {
                out.u32(if sample.key { SYNC } else { NOT_SYNC });
                out.u32(sample.composition as u32);
            }
        }
        out.close(at);
        out.close(traf);
    }
    out.close(moof);
    let mut start = out.0.len() - moof + 8;
    for (piece, offset) in pieces.iter().zip(offsets) {
        out.patch(offset, start as u32);
        start += piece.data.len();
    }
    let mdat = out.open(b"mdat");
    for piece in pieces {
        out.bytes(piece.data);
    }
    out.close(mdat);
    out.0
}
