//! Minimal fragmented MP4 (ISO/IEC 14496-12), written and read back: one AVC track, samples of equal size.

/// Units per second of all tracks here.
pub(crate) const TIMESCALE: u32 = 90_000;
/// Samples per second.
pub(crate) const FRAME_RATE: u32 = 25;
/// Bytes before a segment's first sample: `moof` and the header of `mdat`.
pub(crate) const HEAD_BYTES: usize = 8 + 16 + 8 + 28 + 20 + 24 + 8;

/// What a segment's head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHead {
    /// `mfhd` sequence number.
    pub sequence: u32,
    /// `tfdt` base media decode time, in [`TIMESCALE`].
    pub decode_time: u64,
    /// Samples in the only `trun`.
    pub samples: u32,
    /// Bytes of each sample.
    pub sample_bytes: u32,
    /// Duration of each sample, in [`TIMESCALE`].
    pub sample_duration: u32,
}

impl SegmentHead {
    /// Bytes of the whole segment.
    #[must_use]
    pub const fn segment_bytes(&self) -> usize {
        HEAD_BYTES + self.samples as usize * self.sample_bytes as usize
    }

    /// `moof` and the header of `mdat`.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES);
        container(&mut out, b"moof", |out| {
            full_box(out, b"mfhd", 0, 0, |out| out.extend(self.sequence.to_be_bytes()));
            container(out, b"traf", |out| {
                // default-base-is-moof; default duration and size; non-sync samples.
                full_box(out, b"tfhd", 0, 0x02_0038, |out| {
                    words(out, &[1, self.sample_duration, self.sample_bytes, 0x0101_0000]);
                });
                full_box(out, b"tfdt", 1, 0, |out| out.extend(self.decode_time.to_be_bytes()));
                // Data offset; the first sample is a sync sample.
                full_box(out, b"trun", 0, 5, |out| {
                    words(out, &[self.samples, HEAD_BYTES as u32, 0x0200_0000]);
                });
            });
        });
        words(&mut out, &[8 + self.samples * self.sample_bytes]);
        out.extend(b"mdat");
        debug_assert_eq!(out.len(), HEAD_BYTES);
        out
    }

    /// Reads what [`SegmentHead::write`] wrote; `None` for anything else.
    #[must_use]
    pub fn read(head: &[u8]) -> Option<Self> {
        let head = head.get(..HEAD_BYTES)?;
        let word = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().expect("four bytes"));
        let read = Self {
            sequence: word(20),
            decode_time: u64::from(word(72)) << 32 | u64::from(word(76)),
            samples: word(92),
            sample_bytes: word(52),
            sample_duration: word(48),
        };
        let fits = u64::from(read.samples) * u64::from(read.sample_bytes) < 1 << 31;
        (fits && read.write() == head).then_some(read)
    }
}

/// `ftyp` and `moov` of one video track; `rendition` makes the sections of two renditions differ.
#[must_use]
pub(crate) fn init_section(rendition: u32, width: u16, height: u16) -> Vec<u8> {
    let mut out = Vec::new();
    container(&mut out, b"ftyp", |out| out.extend(b"iso6\0\0\0\0iso6mp41"));
    container(&mut out, b"moov", |out| {
        full_box(out, b"mvhd", 0, 0, |out| {
            words(out, &[0, 0, TIMESCALE, 0, 0x1_0000, 0x100_0000, 0, 0]);
            matrix(out);
            words(out, &[0, 0, 0, 0, 0, 0, 2]);
        });
        container(out, b"trak", |out| {
            full_box(out, b"tkhd", 0, 3, |out| {
                words(out, &[0, 0, 1, 0, 0, 0, 0, 0, 0]);
                matrix(out);
                words(out, &[u32::from(width) << 16, u32::from(height) << 16]);
            });
            container(out, b"mdia", |out| {
                full_box(out, b"mdhd", 0, 0, |out| words(out, &[0, 0, TIMESCALE, 0, 0x55c4_0000]));
                full_box(out, b"hdlr", 0, 0, |out| {
                    words(out, &[0]);
                    out.extend(b"vide");
                    words(out, &[0, 0, 0]);
                    out.extend(b"v\0");
                });
                container(out, b"minf", |out| {
                    full_box(out, b"vmhd", 0, 1, |out| words(out, &[0, 0]));
                    container(out, b"dinf", |out| {
                        full_box(out, b"dref", 0, 0, |out| {
                            words(out, &[1]);
                            full_box(out, b"url ", 0, 1, |_| {});
                        });
                    });
                    container(out, b"stbl", |out| sample_tables(out, width, height));
                });
            });
        });
        container(out, b"mvex", |out| {
            full_box(out, b"trex", 0, 0, |out| words(out, &[1, 1, 0, 0, 0]));
        });
    });
    container(&mut out, b"free", |out| words(out, &[rendition]));
    out
}

fn sample_tables(out: &mut Vec<u8>, width: u16, height: u16) {
    full_box(out, b"stsd", 0, 0, |out| {
        words(out, &[1]);
        container(out, b"avc1", |out| {
            words(out, &[0, 1, 0, 0, 0, 0]);
            out.extend(width.to_be_bytes());
            out.extend(height.to_be_bytes());
            words(out, &[0x48_0000, 0x48_0000, 0]);
            out.extend([0, 1]);
            out.extend([0; 32]);
            out.extend([0, 0x18, 0xff, 0xff]);
            container(out, b"avcC", |out| {
                // High profile, level 3.1; one parameter set of each kind, just long enough to be one.
                out.extend([1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 0x1f]);
                out.extend([1, 0, 2, 0x68, 0xee]);
            });
        });
    });
    for kind in [b"stts", b"stsc", b"stco"] {
        full_box(out, kind, 0, 0, |out| words(out, &[0]));
    }
    full_box(out, b"stsz", 0, 0, |out| words(out, &[0, 0]));
}

fn matrix(out: &mut Vec<u8>) {
    words(out, &[0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000]);
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        out.extend(word.to_be_bytes());
    }
}

fn container(out: &mut Vec<u8>, kind: &[u8; 4], body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    words(out, &[0]);
    out.extend(kind);
    body(out);
    let size = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

fn full_box(
    out: &mut Vec<u8>,
    kind: &[u8; 4],
    version: u8,
    flags: u32,
    body: impl FnOnce(&mut Vec<u8>),
) {
    container(out, kind, |out| {
        words(out, &[u32::from(version) << 24 | flags]);
        body(out);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes(data: &[u8]) -> Vec<(String, usize)> {
        let mut at = 0;
        let mut found = Vec::new();
        while at < data.len() {
            let size = u32::from_be_bytes(data[at..at + 4].try_into().unwrap()) as usize;
            found.push((String::from_utf8(data[at + 4..at + 8].to_vec()).unwrap(), size));
            at += size;
        }
        assert_eq!(at, data.len(), "boxes end where the data ends");
        found
    }

    fn inside<'a>(data: &'a [u8], kind: &str) -> &'a [u8] {
        let mut at = 0;
        for (found, size) in boxes(data) {
            if found == kind {
                return &data[at + 8..at + size];
            }
            at += size;
        }
        panic!("no {kind}");
    }

    #[test]
    fn a_head_reads_back_as_it_was_written() {
        let head = SegmentHead {
            sequence: 7,
            decode_time: 5 << 33,
            samples: 100,
            sample_bytes: 5_000,
            sample_duration: 3_600,
        };
        let bytes = head.write();
        assert_eq!(bytes.len(), HEAD_BYTES);
        assert_eq!(SegmentHead::read(&bytes), Some(head));
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 0x40;
            assert_ne!(SegmentHead::read(&other), Some(head), "byte {at} matters");
        }
        assert_eq!(SegmentHead::read(&bytes[..50]), None);
        assert_eq!(boxes(&bytes[..HEAD_BYTES - 8])[0].0, "moof");
    }

    #[test]
    fn an_init_section_nests_as_the_standard_says() {
        let init = init_section(3, 1280, 720);
        let kinds: Vec<_> = boxes(&init).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, ["ftyp", "moov", "free"]);
        let moov = inside(&init, "moov");
        assert_eq!(inside(moov, "mvhd").len(), 100);
        let trak = inside(moov, "trak");
        assert_eq!(inside(trak, "tkhd").len(), 84);
        let mdia = inside(trak, "mdia");
        assert_eq!(inside(mdia, "mdhd")[12..16], TIMESCALE.to_be_bytes());
        let stbl = inside(inside(mdia, "minf"), "stbl");
        let stsd = inside(stbl, "stsd");
        let avc1 = inside(&stsd[8..], "avc1");
        assert_eq!(avc1[24..28], [5, 0, 2, 208], "width and height");
        assert_eq!(boxes(&avc1[78..])[0].0, "avcC");
        assert_eq!(boxes(inside(moov, "mvex"))[0], ("trex".to_owned(), 32));
        assert_ne!(init, init_section(4, 1280, 720));
    }
}
