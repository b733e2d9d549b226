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
    /// Ticks of media that the edit list leaves out at the start: browsers show all that much earlier.
    pub(crate) skipped: i64,
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
    let tracks: Vec<InitTrack> = boxes(moov)
        .filter(|(kind, _)| kind == b"trak")
        .filter_map(|(_, trak)| read_track(trak))
        .collect();
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

fn read_track(trak: &[u8]) -> Option<InitTrack> {
    let header = child(trak, b"tkhd")?;
    let id = match header.first()? {
        1 => u32_at(header, 20)?,
        _ => u32_at(header, 12)?,
    };
    let mdia = child(trak, b"mdia")?;
    let mdhd = child(mdia, b"mdhd")?;
    let timescale = match mdhd.first()? {
        1 => u32_at(mdhd, 20)?,
        _ => u32_at(mdhd, 12)?,
    };
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
    let skipped = child(trak, b"edts").and_then(first_edit).unwrap_or(0).max(0);
    Some(InitTrack { id, timescale, skipped, video, codec, encrypted })
}

/// `media_time` of the first edit (ISO/IEC 14496-12 §8.6.6), which is all that browsers heed in fragmented MP4: priming
/// samples, or the decoder's delay; -1 for an empty edit.
fn first_edit(edts: &[u8]) -> Option<i64> {
    let elst = child(edts, b"elst")?;
    u32_at(elst, 4).filter(|entries| *entries > 0)?;
    Some(match elst.first()? {
        1 => u64_at(elst, 16)? as i64,
        _ => i64::from(u32_at(elst, 12)? as i32),
    })
}

/// An init section without the edit lists that begin with an empty edit: of two browsers one moves all samples by it, the
/// other does not, and fragments have their times anyhow.
pub(crate) fn without_empty_edits(data: Bytes) -> Bytes {
    let mut places = Vec::new();
    for (kind, trak) in child(&data, b"moov").into_iter().flat_map(boxes) {
        if &kind == b"trak"
            && let Some(edts) = child(trak, b"edts")
            && first_edit(edts).is_some_and(|time| time < 0)
        {
            // Where its type is, before its content.
            places.push(edts.as_ptr() as usize - data.as_ptr() as usize - 4);
        }
    }
    if places.is_empty() {
        return data;
    }
    let mut out = data.to_vec();
    for at in places {
        if let Some(kind) = out.get_mut(at..at + 4).filter(|kind| kind == b"edts") {
            kind.copy_from_slice(b"free");
        }
    }
    Bytes::from(out)
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
    std::iter::from_fn(move || {
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
        data = &data[size..];
        Some((kind, content))
    })
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
        let entry = |version: u8, time: i64| {
            let mut elst = vec![version, 0, 0, 0, 0, 0, 0, 1];
            if version == 1 {
                elst.extend(0u64.to_be_bytes());
                elst.extend(time.to_be_bytes());
            } else {
                elst.extend(0u32.to_be_bytes());
                elst.extend((time as i32).to_be_bytes());
            }
            elst.extend([0, 1, 0, 0]);
            boxed(b"elst", &elst)
        };
        for (version, time, start) in [(0, 2000, 88.0), (1, 2000, 88.0), (0, 0, 90.0)] {
            let mut init = init();
            init.tracks[0].skipped = first_edit(&entry(version, time)).expect("an edit");
            assert_eq!(presentation_start(&init, &fragment(90_000, &[0])), Some(start));
        }
        assert_eq!(first_edit(&boxed(b"elst", &[0; 8])), None, "no edits at all");
        let moov = |time: i64| {
            let edts = boxed(b"edts", &entry(0, time));
            Bytes::from(boxed(b"moov", &boxed(b"trak", &edts)))
        };
        assert_eq!(without_empty_edits(moov(2000)), moov(2000));
        let without = without_empty_edits(moov(-1));
        assert_eq!(&without[20..24], b"free");
        assert_eq!((&without[..20], &without[24..]), (&moov(-1)[..20], &moov(-1)[24..]));
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
            let _ = presentation_start(&init(), &data);
            let _ = fragment_end(&data);
            let _ = presentation_start(&init(), data.get(at..).unwrap_or_default());
            let _ = sniff(&data);
        }
    }
}
