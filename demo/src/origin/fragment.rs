//! Cuts a segment of fragmented MP4 into shorter fragments at frame borders (ISO/IEC 14496-12 §8.8).

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;

/// What an init section says of a track: what its samples are unless a fragment says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrackInfo {
    timescale: u32,
    duration: u32,
    size: u32,
    flags: u32,
}

/// A fragment that can be sent by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// `moof` and `mdat`.
    pub(crate) bytes: Bytes,
    /// Length of its pictures.
    pub(crate) length: Duration,
    /// It begins with a key frame.
    pub(crate) independent: bool,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    duration: u32,
    size: u32,
    flags: u32,
    composition: u32,
    /// Where its bytes are in the segment.
    at: usize,
}

#[derive(Debug)]
struct TrackRun {
    id: u32,
    info: TrackInfo,
    /// Decode time of the first sample.
    start: u64,
    samples: Vec<Sample>,
}

/// The tracks of an init section by their ids; `None` when it is none.
pub(crate) fn tracks(init: &[u8]) -> Option<BTreeMap<u32, TrackInfo>> {
    let moov = child(init, b"moov")?;
    let mut tracks = BTreeMap::new();
    for (_, trak) in boxes(moov).filter(|(kind, _)| kind == b"trak") {
        let header = child(trak, b"tkhd")?;
        let id = word(header, if header.first()? == &1 { 20 } else { 12 })?;
        let media = child(child(trak, b"mdia")?, b"mdhd")?;
        let timescale = word(media, if media.first()? == &1 { 20 } else { 12 })?;
        tracks.insert(id, TrackInfo { timescale, duration: 0, size: 0, flags: 0 });
    }
    for (_, trex) in boxes(child(moov, b"mvex")?).filter(|(kind, _)| kind == b"trex") {
        if let Some(info) = tracks.get_mut(&word(trex, 4)?) {
            (info.duration, info.size, info.flags) =
                (word(trex, 12)?, word(trex, 16)?, word(trex, 20)?);
        }
    }
    (!tracks.is_empty() && tracks.values().all(|info| info.timescale > 0)).then_some(tracks)
}

/// Cuts `segment` into fragments of at most `longest`, of whole frames of its first track. The others' samples go where
/// they are decoded. `None` when it is not as simple as segments mostly are.
pub(crate) fn split(
    segment: &[u8],
    tracks: &BTreeMap<u32, TrackInfo>,
    longest: Duration,
) -> Option<Vec<Fragment>> {
    let runs = read(segment, tracks)?;
    let lead = runs.first()?;
    let seconds = |ticks: u64, run: &TrackRun| ticks as f64 / f64::from(run.info.timescale);
    // Half a tick of tolerance: a third of a second is no round number.
    let most = longest.as_secs_f64() + 0.5 / f64::from(lead.info.timescale);
    let mut cuts = vec![0];
    let mut length = 0_u64;
    for (index, sample) in lead.samples.iter().enumerate() {
        if length > 0 && seconds(length + u64::from(sample.duration), lead) > most {
            cuts.push(index);
            length = 0;
        }
        length += u64::from(sample.duration);
    }
    cuts.push(lead.samples.len());
    let mut taken = vec![0; runs.len()];
    let mut ends = vec![0_u64; runs.len()];
    let mut fragments = Vec::new();
    for (number, cut) in cuts.windows(2).enumerate() {
        let ticks: u64 = lead.samples[cut[0]..cut[1]].iter().map(|s| u64::from(s.duration)).sum();
        let before: u64 = lead.samples[..cut[1]].iter().map(|s| u64::from(s.duration)).sum();
        let end = seconds(lead.start + before, lead);
        let last = cut[1] == lead.samples.len();
        let mut pieces = Vec::new();
        for (index, run) in runs.iter().enumerate() {
            let (from, start) = (taken[index], ends[index]);
            while let Some(sample) = run.samples.get(taken[index])
                && (last || seconds(run.start + ends[index], run) < end - 1e-6)
            {
                ends[index] += u64::from(sample.duration);
                taken[index] += 1;
            }
            if taken[index] > from {
                pieces.push((run, run.start + start, &run.samples[from..taken[index]]));
            }
        }
        fragments.push(Fragment {
            bytes: write(segment, number as u32 + 1, &pieces)?.into(),
            length: Duration::from_secs_f64(seconds(ticks, lead)),
            // sample_is_non_sync_sample.
            independent: lead.samples.get(cut[0])?.flags & 0x1_0000 == 0,
        });
    }
    Some(fragments)
}

fn read(segment: &[u8], tracks: &BTreeMap<u32, TrackInfo>) -> Option<Vec<TrackRun>> {
    let mut runs: Vec<TrackRun> = Vec::new();
    let mut at = 0;
    for (kind, content) in boxes(segment) {
        let moof_at = at;
        at = content.as_ptr() as usize - segment.as_ptr() as usize + content.len();
        if &kind != b"moof" {
            continue;
        }
        for (_, traf) in boxes(content).filter(|(kind, _)| kind == b"traf") {
            let header = child(traf, b"tfhd")?;
            let (flags, id) = (word(header, 0)?, word(header, 4)?);
            let mut info = *tracks.get(&id)?;
            if flags & 1 != 0 {
                return None;
            }
            let mut field = 8 + if flags & 2 != 0 { 4 } else { 0 };
            for (bit, value) in
                [(8, &mut info.duration), (0x10, &mut info.size), (0x20, &mut info.flags)]
            {
                if flags & bit != 0 {
                    *value = word(header, field)?;
                    field += 4;
                }
            }
            let time = child(traf, b"tfdt")?;
            let start = match time.first()? {
                1 => u64::from(word(time, 4)?) << 32 | u64::from(word(time, 8)?),
                _ => u64::from(word(time, 4)?),
            };
            let known = runs.iter().position(|run| run.id == id);
            let index = known.unwrap_or(runs.len());
            if known.is_none() {
                runs.push(TrackRun { id, info, start, samples: Vec::new() });
            }
            let mut data = None;
            for (_, trun) in boxes(traf).filter(|(kind, _)| kind == b"trun") {
                read_run(trun, moof_at, info, &mut data, &mut runs[index].samples)?;
            }
        }
    }
    let whole = runs.iter().flat_map(|run| &run.samples).all(|sample| {
        sample.at.checked_add(sample.size as usize).is_some_and(|end| end <= segment.len())
    });
    (whole && runs.iter().all(|run| !run.samples.is_empty())).then_some(runs)
}

fn read_run(
    trun: &[u8],
    moof_at: usize,
    info: TrackInfo,
    data: &mut Option<usize>,
    samples: &mut Vec<Sample>,
) -> Option<()> {
    let (flags, count) = (word(trun, 0)? & 0xff_ffff, word(trun, 4)?);
    let mut field = 8;
    let mut next = |present: bool| {
        if !present {
            return Some(None);
        }
        field += 4;
        word(trun, field - 4).map(Some)
    };
    if let Some(offset) = next(flags & 1 != 0)? {
        *data = Some(moof_at.checked_add_signed(offset as i32 as isize)?);
    }
    let first = next(flags & 4 != 0)?;
    for index in 0..count {
        let duration = next(flags & 0x100 != 0)?.unwrap_or(info.duration);
        let size = next(flags & 0x200 != 0)?.unwrap_or(info.size);
        let own = next(flags & 0x400 != 0)?;
        let composition = next(flags & 0x800 != 0)?.unwrap_or(0);
        let flags = own.or_else(|| first.filter(|_| index == 0)).unwrap_or(info.flags);
        let at = (*data)?;
        *data = Some(at.checked_add(size as usize)?);
        samples.push(Sample { duration, size, flags, composition, at });
    }
    Some(())
}

fn write(segment: &[u8], number: u32, pieces: &[(&TrackRun, u64, &[Sample])]) -> Option<Vec<u8>> {
    let bytes_of = |samples: &[Sample]| samples.iter().map(|s| s.size as usize).sum::<usize>();
    let trafs: usize =
        pieces.iter().map(|(_, _, samples)| 8 + 16 + 20 + 20 + 16 * samples.len()).sum();
    let moof = 8 + 16 + trafs;
    let media: usize = pieces.iter().map(|(_, _, samples)| bytes_of(samples)).sum();
    let mut out = Vec::with_capacity(moof + 8 + media);
    let word = |out: &mut Vec<u8>, value: u32| out.extend(value.to_be_bytes());
    let open = |out: &mut Vec<u8>, size: usize, kind: &[u8; 4]| {
        out.extend((size as u32).to_be_bytes());
        out.extend(kind);
    };
    open(&mut out, moof, b"moof");
    open(&mut out, 16, b"mfhd");
    word(&mut out, 0);
    word(&mut out, number);
    let mut data = moof + 8;
    for (run, start, samples) in pieces {
        open(&mut out, 8 + 16 + 20 + 20 + 16 * samples.len(), b"traf");
        open(&mut out, 16, b"tfhd");
        // default-base-is-moof
        word(&mut out, 0x02_0000);
        word(&mut out, run.id);
        open(&mut out, 20, b"tfdt");
        word(&mut out, 0x0100_0000);
        out.extend(start.to_be_bytes());
        open(&mut out, 20 + 16 * samples.len(), b"trun");
        // Version 1: composition offsets have a sign. Data offset; duration, size, flags and offset of each sample.
        word(&mut out, 0x0100_0f01);
        word(&mut out, samples.len() as u32);
        word(&mut out, data as u32);
        for sample in *samples {
            for value in [sample.duration, sample.size, sample.flags, sample.composition] {
                word(&mut out, value);
            }
        }
        data += bytes_of(samples);
    }
    open(&mut out, 8 + media, b"mdat");
    for (_, _, samples) in pieces {
        for sample in *samples {
            out.extend(segment.get(sample.at..sample.at + sample.size as usize)?);
        }
    }
    Some(out)
}

/// The boxes of a container's content, as (type, content).
fn boxes(mut data: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let size = word(data, 0)? as usize;
        let kind: [u8; 4] = data.get(4..8)?.try_into().ok()?;
        let content = data.get(8..size)?;
        data = &data[size..];
        Some((kind, content))
    })
}

fn child<'a>(data: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(data).find(|(found, _)| found == kind).map(|(_, content)| content)
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::sample;

    #[test]
    fn a_segment_in_parts_has_the_same_frames() {
        let tracks = tracks(sample::file("480p/init.mp4").unwrap()).unwrap();
        let whole = sample::file("480p/001.m4s").unwrap();
        let parts = split(whole, &tracks, Duration::from_nanos(333_333_334)).unwrap();
        assert_eq!(parts.len(), 12);
        assert!(parts[0].independent && !parts[1].independent);
        let length: f64 = parts.iter().map(|part| part.length.as_secs_f64()).sum();
        assert!((length - 4.0).abs() < 1e-6, "{length}");
        let read_all = |data: &[u8]| read(data, &tracks).unwrap();
        let before = read_all(whole);
        // One after the other they are a segment again.
        let joined: Vec<u8> = parts.iter().flat_map(|part| part.bytes.to_vec()).collect();
        let after = read_all(&joined);
        for (a, b) in before.iter().zip(&after) {
            assert_eq!((a.id, a.start, a.samples.len()), (b.id, b.start, b.samples.len()));
            for (x, y) in a.samples.iter().zip(&b.samples) {
                assert_eq!(
                    (x.duration, x.size, x.flags, x.composition),
                    (y.duration, y.size, y.flags, y.composition)
                );
                let bytes = |data: &[u8], s: &Sample| data[s.at..s.at + s.size as usize].to_vec();
                assert_eq!(bytes(whole, x), bytes(&joined, y));
            }
        }
        // Each one says itself when it begins.
        let second = read_all(&parts[1].bytes);
        assert_eq!(second[0].start, before[0].start + 8 * 512);
    }

    #[test]
    fn what_is_no_segment_is_not_cut() {
        let tracks = tracks(sample::file("480p/init.mp4").unwrap()).unwrap();
        let whole = sample::file("480p/001.m4s").unwrap();
        for end in [0, 7, 100, 900, 1900, whole.len() / 2] {
            assert_eq!(split(&whole[..end], &tracks, Duration::from_secs(1)), None, "{end}");
        }
        assert_eq!(super::tracks(whole), None);
    }
}
