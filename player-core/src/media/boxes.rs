//! ISO BMFF boxes (ISO/IEC 14496-12): the few that tell when a fragment starts and what is in it.

use bytes::Bytes;

/// What a segment's first bytes look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Container {
    /// Fragmented MP4.
    Fmp4,
    /// MPEG-2 transport stream.
    MpegTs,
    /// Raw AAC, MP3 or AC-3, with or without an ID3 tag before it.
    RawAudio,
    /// WebVTT text.
    WebVtt,
    /// A web page where media should be: an error page, a login form.
    Html,
    /// None of these.
    Unknown,
}

impl Container {
    /// Its name in an error message.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fmp4 => "fragmented MP4",
            Self::MpegTs => "MPEG-2 transport streams",
            Self::RawAudio => "raw audio",
            Self::WebVtt => "WebVTT text",
            Self::Html => "a web page",
            Self::Unknown => "of an unknown format",
        }
    }
}

/// One track of an init section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InitTrack {
    /// `track_ID`.
    pub(crate) id: u32,
    /// Ticks per second (`mdhd`).
    pub(crate) timescale: u32,
    /// Ticks that the edit list shows all samples earlier, or later if negative.
    pub(crate) skipped: i64,
    /// Ticks of the empty edits in that.
    pub(crate) empty: i64,
    /// Whether its handler is `vide`.
    pub(crate) video: bool,
    /// Its codec string for a MIME type (RFC 6381), empty when unknown.
    pub(crate) codec: String,
    /// Whether its samples are encrypted.
    pub(crate) encrypted: bool,
}

/// What an init section (`EXT-X-MAP`) says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct InitSection {
    /// Its video and audio tracks.
    pub(crate) tracks: Vec<InitTrack>,
}

impl InitSection {
    /// Codec strings of all tracks, joined with commas; empty when one is unknown.
    pub(crate) fn codecs(&self) -> String {
        if self.tracks.iter().any(|track| track.codec.is_empty()) {
            return String::new();
        }
        let codecs: Vec<&str> = self.tracks.iter().map(|track| track.codec.as_str()).collect();
        codecs.join(",")
    }

    /// Whether it has empty edits.
    pub(crate) fn is_late(&self) -> bool {
        self.tracks.iter().any(|track| track.empty > 0)
    }
}

/// Names a segment's container by its first bytes.
pub(crate) fn sniff(data: &[u8]) -> Container {
    let kind = data.get(4..8).unwrap_or_default();
    if matches!(kind, b"ftyp" | b"styp" | b"moov" | b"moof" | b"sidx" | b"emsg" | b"prft" | b"free")
    {
        return Container::Fmp4;
    }
    if data.first() == Some(&0x47) && data.get(188).is_none_or(|sync| *sync == 0x47) {
        return Container::MpegTs;
    }
    if data.starts_with(b"ID3")
        || matches!(data, [0xff, second, ..] if second & 0xe0 == 0xe0)
        || data.starts_with(&[0x0b, 0x77])
    {
        return Container::RawAudio;
    }
    let text = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    if text.starts_with(b"WEBVTT") {
        return Container::WebVtt;
    }
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'<') => Container::Html,
        _ => Container::Unknown,
    }
}

/// Reads `moov`; `None` when there is none with a video or audio track.
pub(crate) fn read_init(data: &[u8]) -> Option<InitSection> {
    let moov = child(data, b"moov")?;
    let timescale = child(moov, b"mvhd").and_then(|header| dated(header, 12));
    let mut tracks = Vec::new();
    for (kind, trak) in boxes(moov) {
        if kind == *b"trak"
            && let Some(track) = read_track(trak, timescale.unwrap_or(1))
        {
            tracks.push(track);
        }
    }
    (!tracks.is_empty()).then_some(InitSection { tracks })
}

/// When the first fragment in `data` is presented, in seconds of its own timeline: the earliest
/// presentation time of the first video track, else of the first track. `None` while the `moof` is not
/// there in whole.
pub(crate) fn presentation_start(init: &InitSection, data: &[u8]) -> Option<f64> {
    let moof = child(data, b"moof")?;
    let mut best: Option<(bool, f64)> = None;
    for (_, traf) in boxes(moof).filter(|(kind, _)| kind == b"traf") {
        let Some((id, start)) = fragment_start(traf) else { continue };
        let Some(track) = init.tracks.iter().find(|track| track.id == id) else { continue };
        let start = start.saturating_sub(track.skipped);
        let seconds = start as f64 / f64::from(track.timescale.max(1));
        let better = best.is_none_or(|(video, earliest)| match (track.video, video) {
            (true, false) => true,
            (false, true) => false,
            _ => seconds < earliest,
        });
        if better {
            best = Some((track.video, seconds));
        }
    }
    best.map(|(_, seconds)| seconds)
}

/// Where the first fragment of a segment ends: behind its first `mdat`, which need not be there in whole.
pub(crate) fn fragment_end(data: &[u8]) -> Option<u64> {
    let mut end = 0;
    loop {
        let at = usize::try_from(end).ok()?;
        let size = u32_at(data, at)?;
        // A box as long as a file, or of more than 4 GiB, is no fragment that plays while it comes.
        end += u64::from((size >= 8).then_some(size)?);
        if data.get(at + 4..at + 8)? == b"mdat" {
            return Some(end);
        }
    }
}

fn read_track(trak: &[u8], movie: u32) -> Option<InitTrack> {
    let id = dated(child(trak, b"tkhd")?, 12)?;
    let mdia = child(trak, b"mdia")?;
    let timescale = dated(child(mdia, b"mdhd")?, 12)?;
    let video = match child(mdia, b"hdlr")?.get(8..12)? {
        b"vide" => true,
        b"soun" => false,
        _ => return None,
    };
    let stsd = child(child(child(mdia, b"minf")?, b"stbl")?, b"stsd")?;
    let entry = boxes(stsd.get(8..)?).next();
    let encrypted = entry.is_some_and(|(kind, _)| matches!(&kind, b"encv" | b"enca"));
    let codec = entry
        .map(|(kind, entry)| super::codecs::sample_entry_codec(&kind, entry, video))
        .unwrap_or_default();
    let edits = child(trak, b"edts").and_then(|edts| read_edits(child(edts, b"elst")?));
    let (empty, _, time) = edits.unwrap_or_default();
    let empty = empty as f64 * f64::from(timescale) / f64::from(movie.max(1));
    let empty = empty.round() as i64;
    Some(InitTrack { id, timescale, skipped: time - empty, empty, video, codec, encrypted })
}

/// A field behind the dates of a header box, which are longer in version 1: at `at` in version 0.
fn dated(header: &[u8], at: usize) -> Option<u32> {
    u32_at(header, at + 8 * usize::from(*header.first()? == 1))
}

/// What an edit list does to the start (ISO/IEC 14496-12 §8.6.6): how long nothing is shown (`media_time` -1), in ticks of
/// the movie; where in `elst` the first edit with media is (0: there is none), behind which browsers heed nothing in
/// fragmented MP4; and its `media_time`.
fn read_edits(elst: &[u8]) -> Option<(u64, usize, i64)> {
    let (mut empty, mut at) = (0u64, 8);
    for _ in 0..u32_at(elst, 4)? {
        let wide = elst.first() == Some(&1);
        let (duration, time) = if wide {
            (u64_at(elst, at)?, u64_at(elst, at + 8)? as i64)
        } else {
            (u32_at(elst, at)?.into(), (u32_at(elst, at + 4)? as i32).into())
        };
        if time >= 0 {
            return Some((empty, at, time));
        }
        empty = empty.saturating_add(duration);
        at += if wide { 20 } else { 12 };
    }
    Some((empty, 0, 0))
}

/// An init section without empty edits: of two browsers one heeds those. [`delayed`] does what they say.
#[inline(never)]
pub(crate) fn without_empty_edits(data: &[u8]) -> Bytes {
    let mut out = data.to_vec();
    for (_, trak) in boxes(child(data, b"moov").unwrap_or_default()) {
        let edts = child(trak, b"edts").unwrap_or_default();
        let elst = child(edts, b"elst").unwrap_or_default();
        let Some((_, from, _)) = read_edits(elst) else { continue };
        let at = place(data, elst);
        if from > 0 {
            out.copy_within(at + from..at + elst.len(), at + 8);
            // One edit, and behind it bytes that nobody reads.
            out[at + 7] = 1;
        } else {
            let at = place(data, edts);
            out[at - 4..at].copy_from_slice(b"free");
        }
    }
    Bytes::from(out)
}

/// A segment whose tracks are so much later as their empty edits are long.
#[inline(never)]
pub(crate) fn delayed(init: &InitSection, data: &[u8]) -> Bytes {
    let mut out = data.to_vec();
    for (kind, moof) in boxes(data) {
        let inside = if &kind == b"moof" { moof } else { &[] };
        for (_, traf) in boxes(inside) {
            let id = child(traf, b"tfhd").and_then(|tfhd| u32_at(tfhd, 4));
            let track = init.tracks.iter().find(|track| Some(track.id) == id);
            let Some((track, tfdt)) = track.zip(child(traf, b"tfdt")) else { continue };
            let size = if tfdt.first() == Some(&1) { 8 } else { 4 };
            // In version 0 there is only the lower half; before it are version and flags, which do not matter.
            let Some(time) = u64_at(tfdt, size - 4) else { continue };
            let later = time.wrapping_add(track.empty as u64).to_be_bytes();
            let at = place(data, tfdt) + 4;
            out[at..at + size].copy_from_slice(&later[8 - size..]);
        }
    }
    Bytes::from(out)
}

/// Where a box's content is.
fn place(data: &[u8], content: &[u8]) -> usize {
    content.as_ptr() as usize - data.as_ptr() as usize
}

/// (`track_ID`, earliest presentation time in ticks) of a `traf` box's content.
fn fragment_start(traf: &[u8]) -> Option<(u32, i64)> {
    let tfhd = child(traf, b"tfhd")?;
    let id = u32_at(tfhd, 4)?;
    let default_duration = tfhd_default_duration(tfhd);
    let tfdt = child(traf, b"tfdt")?;
    let base = match tfdt.first()? {
        1 => i64::try_from(u64_at(tfdt, 4)?).ok()?,
        _ => i64::from(u32_at(tfdt, 4)?),
    };
    let earliest =
        child(traf, b"trun").and_then(|trun| earliest_offset(trun, default_duration)).unwrap_or(0);
    Some((id, base.saturating_add(earliest)))
}

fn tfhd_default_duration(tfhd: &[u8]) -> i64 {
    let flags = u32_at(tfhd, 0).unwrap_or(0);
    let mut at = 8;
    if flags & 0x1 != 0 {
        at += 8;
    }
    if flags & 0x2 != 0 {
        at += 4;
    }
    if flags & 0x8 == 0 {
        return 0;
    }
    u32_at(tfhd, at).map_or(0, i64::from)
}

/// Earliest presentation of a run's samples, in ticks after its first decode time (ISO/IEC 14496-12 §8.8.8).
fn earliest_offset(trun: &[u8], default_duration: i64) -> Option<i64> {
    let version = *trun.first()?;
    let flags = u32_at(trun, 0)?;
    if flags & 0x800 == 0 {
        return Some(0);
    }
    let samples = u32_at(trun, 4)?;
    let mut at = 8 + if flags & 0x1 != 0 { 4 } else { 0 } + if flags & 0x4 != 0 { 4 } else { 0 };
    let mut decode = 0i64;
    let mut earliest = i64::MAX;
    // Reordering never reaches further than a few frames.
    for _ in 0..samples.min(32) {
        let mut duration = default_duration;
        if flags & 0x100 != 0 {
            duration = i64::from(u32_at(trun, at)?);
            at += 4;
        }
        at += if flags & 0x200 != 0 { 4 } else { 0 } + if flags & 0x400 != 0 { 4 } else { 0 };
        let raw = u32_at(trun, at)?;
        at += 4;
        let offset = if version == 0 { i64::from(raw) } else { i64::from(raw as i32) };
        earliest = earliest.min(decode.saturating_add(offset));
        decode = decode.saturating_add(duration);
    }
    (earliest != i64::MAX).then_some(earliest)
}

/// The boxes of a container's content, as (type, content). A box that is cut off ends the list.
pub(super) fn boxes(mut data: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || next_box(&mut data))
}

#[inline(never)]
fn next_box<'a>(data: &mut &'a [u8]) -> Option<([u8; 4], &'a [u8])> {
    let mut size = u64::from(u32_at(data, 0)?);
    let kind: [u8; 4] = data.get(4..8)?.try_into().ok()?;
    let mut header = 8;
    if size == 1 {
        size = u64_at(data, 8)?;
        header = 16;
    } else if size == 0 {
        size = data.len() as u64;
    }
    let size = usize::try_from(size).ok()?;
    let content = data.get(header..size)?;
    *data = &data[size..];
    Some((kind, content))
}

/// Content of the first child box of this type.
pub(super) fn child<'a>(data: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(data).find(|(found, _)| found == kind).map(|(_, content)| content)
}

pub(super) fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(data.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let mut out = (content.len() as u32 + 8).to_be_bytes().to_vec();
        out.extend_from_slice(kind);
        out.extend_from_slice(content);
        out
    }

    fn fragment(base: u64, composition: &[i32]) -> Vec<u8> {
        let tfhd = boxed(
            b"tfhd",
            &[&[0, 0, 0, 8][..], &1u32.to_be_bytes(), &1000u32.to_be_bytes()].concat(),
        );
        let tfdt = boxed(b"tfdt", &[&[1, 0, 0, 0][..], &base.to_be_bytes()].concat());
        let mut trun = vec![1, 0, 8, 0];
        trun.extend_from_slice(&(composition.len() as u32).to_be_bytes());
        for offset in composition {
            trun.extend_from_slice(&offset.to_be_bytes());
        }
        let trun = boxed(b"trun", &trun);
        boxed(b"moof", &boxed(b"traf", &[tfhd, tfdt, trun].concat()))
    }

    fn init() -> InitSection {
        InitSection {
            tracks: vec![InitTrack {
                id: 1,
                timescale: 1000,
                skipped: 0,
                empty: 0,
                video: true,
                codec: String::new(),
                encrypted: false,
            }],
        }
    }

    #[test]
    fn a_fragment_starts_at_its_earliest_presentation_time() {
        // Decode order I P B B: the first frame shown is the I frame, 2,000 ticks after its decode time.
        assert_eq!(presentation_start(&init(), &fragment(90_000, &[2000, 4000, 0, 0])), Some(92.0));
        assert_eq!(presentation_start(&init(), &fragment(90_000, &[-1000, 0])), Some(89.0));
    }

    #[test]
    fn events_and_clock_times_before_a_fragment_are_passed_over() {
        let data = [boxed(b"prft", &[0; 24]), boxed(b"emsg", &[1; 60]), fragment(90_000, &[0])];
        let data = data.concat();
        assert_eq!(sniff(&data), Container::Fmp4);
        assert_eq!(presentation_start(&init(), &data), Some(90.0));
    }

    /// `moov` with a track per list of edits (duration in ms, media time), 1,000 ticks a second and in version 0 or 1.
    fn movie(version: u8, tracks: &[&[(u32, i64)]]) -> Vec<u8> {
        let words = |words: &[u32]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_be_bytes()).collect()
        };
        let mut moov = boxed(b"mvhd", &words(&[0, 0, 0, 1000]));
        for (id, edits) in (1..).zip(tracks) {
            let mut elst = words(&[u32::from(version) << 24, edits.len() as u32]);
            for (duration, time) in *edits {
                if version == 1 {
                    elst.extend(u64::from(*duration).to_be_bytes());
                    elst.extend(time.to_be_bytes());
                } else {
                    elst.extend(duration.to_be_bytes());
                    elst.extend((*time as i32).to_be_bytes());
                }
                elst.extend([0, 1, 0, 0]);
            }
            let stbl = boxed(b"stbl", &boxed(b"stsd", &[0; 8]));
            let mdia = [
                boxed(b"mdhd", &words(&[0, 0, 0, 1000])),
                boxed(b"hdlr", b"\0\0\0\0\0\0\0\0vide"),
                boxed(b"minf", &stbl),
            ];
            let mut trak = boxed(b"tkhd", &words(&[0, 0, 0, id]));
            if !edits.is_empty() {
                trak.extend(boxed(b"edts", &boxed(b"elst", &elst)));
            }
            trak.extend(boxed(b"mdia", &mdia.concat()));
            moov.extend(boxed(b"trak", &trak));
        }
        [boxed(b"ftyp", b"isom"), boxed(b"moov", &moov)].concat()
    }

    #[test]
    fn a_fragment_ends_behind_its_media_data() {
        let head = [boxed(b"styp", &[0; 16]), fragment(90_000, &[0])].concat();
        let whole = [head.clone(), boxed(b"mdat", &[1; 100]), boxed(b"moof", &[])].concat();
        let end = head.len() as u64 + 108;
        assert_eq!(fragment_end(&whole), Some(end));
        assert_eq!(fragment_end(&whole[..head.len() + 20]), Some(end));
        assert_eq!(fragment_end(&whole[..head.len() + 4]), None);
        assert_eq!(fragment_end(&[0, 0, 0, 1, b'm', b'd', b'a', b't']), None);
        assert_eq!(fragment_end(&[]), None);
    }

    #[test]
    fn an_edit_list_moves_the_start() {
        for (edits, start) in [
            (&[][..], 90.0),
            (&[(0, 0)], 90.0),
            (&[(0, 2000)], 88.0),
            (&[(900, -1)], 90.9),
            (&[(900, -1), (0, 0)], 90.9),
            (&[(900, -1), (100, -1), (0, 2500), (0, 7)], 88.5),
        ] {
            for version in [0, 1] {
                let init = read_init(&movie(version, &[edits])).expect("a track");
                assert_eq!(
                    presentation_start(&init, &fragment(90_000, &[0])),
                    Some(start),
                    "{edits:?}"
                );
                let plain = without_empty_edits(&movie(version, &[edits]));
                let again = read_init(&plain).expect("the same track");
                assert_eq!(again.tracks[0].empty, 0, "{edits:?}: no empty edit is left");
                let delayed = delayed(&init, &fragment(90_000, &[0]));
                assert_eq!(presentation_start(&again, &delayed), Some(start), "{edits:?}");
            }
        }
        let none = boxed(b"moov", &boxed(b"trak", &boxed(b"edts", &boxed(b"elst", &[0; 8]))));
        assert_eq!(read_init(&none), None, "no edits at all, and no track");
    }

    #[test]
    fn each_track_has_its_own_edits() {
        let moov = movie(0, &[&[(900, -1), (0, 0)], &[(29, -1), (0, 5)], &[], &[(0, 20)]]);
        let shifts = |init: &[u8]| -> Vec<(i64, i64)> {
            let tracks = read_init(init).expect("four tracks").tracks;
            tracks.iter().map(|track| (track.empty, track.skipped)).collect()
        };
        assert_eq!(shifts(&moov), [(900, -900), (29, -24), (0, 0), (0, 20)]);
        let plain = without_empty_edits(&moov);
        assert_eq!(shifts(&plain), [(0, 0), (0, 5), (0, 0), (0, 20)]);
        assert_eq!(plain.len(), moov.len(), "nothing moves");
        // 32 bits and 64, in one segment.
        let short = boxed(
            b"traf",
            &[boxed(b"tfhd", &[0, 0, 0, 0, 0, 0, 0, 2]), boxed(b"tfdt", &[0, 0, 0, 0, 0, 0, 1, 0])]
                .concat(),
        );
        let data =
            [fragment(90_000, &[0]), boxed(b"mdat", &[1; 20]), boxed(b"moof", &short)].concat();
        let later = delayed(&read_init(&moov).expect("four tracks"), &data);
        assert_eq!(presentation_start(&init(), &later), Some(90.9));
        assert_eq!(later[later.len() - 4..], (256u32 + 29).to_be_bytes());
        let same = later.iter().zip(&data).filter(|(one, other)| one == other).count();
        assert!(same >= data.len() - 5 && later.len() == data.len(), "nothing else changes");
    }

    #[test]
    fn a_fragment_that_is_cut_off_has_no_start_yet() {
        let whole = fragment(90_000, &[0]);
        assert_eq!(presentation_start(&init(), &whole[..whole.len() - 1]), None);
    }

    #[test]
    fn containers_are_told_apart_by_their_first_bytes() {
        assert_eq!(sniff(&fragment(0, &[0])), Container::Fmp4);
        let mut ts = vec![0; 400];
        ts[0] = 0x47;
        ts[188] = 0x47;
        assert_eq!(sniff(&ts), Container::MpegTs);
        assert_eq!(sniff(b"WEBVTT\n"), Container::WebVtt);
        assert_eq!(sniff(b"\n <html>"), Container::Html);
        assert_eq!(sniff(b"ID3\x04"), Container::RawAudio);
        assert_eq!(sniff(b""), Container::Unknown);
    }

    proptest! {
        #[test]
        fn damaged_boxes_never_panic(mut data in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..200) {
            let whole = fragment(1, &[1, 2, 3]);
            let end = (at + whole.len()).min(data.len());
            if at < end {
                data[at..end].copy_from_slice(&whole[..end - at]);
            }
            let _ = read_init(&data);
            let _ = without_empty_edits(&data);
            let _ = delayed(&init(), &data);
            let _ = presentation_start(&init(), &data);
            let _ = fragment_end(&data);
            let _ = presentation_start(&init(), data.get(at..).unwrap_or_default());
            let _ = sniff(&data);
        }
    }
}
