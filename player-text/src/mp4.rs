//! The boxes of fragmented MP4 that text, captions and events need (ISO/IEC 14496-12).

/// Most tracks of an init section, and most boxes in one another.
const MAX_TRACKS: usize = 16;
/// Most samples of one fragment.
const MAX_SAMPLES: u32 = 100_000;

/// A track of an init section.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Track {
    pub(crate) id: u32,
    /// The sample entry's type; for encrypted tracks that of the plain one.
    pub(crate) codec: [u8; 4],
    pub(crate) timescale: u32,
    /// Bytes of the length before each NAL unit, 0 for what has none.
    pub(crate) nal_length: usize,
    /// What a decoder needs: the body of `avcC`, or empty.
    pub(crate) config: Vec<u8>,
    /// Ticks that the edit list shows all samples earlier, or later if negative.
    skipped: f64,
    default_duration: u32,
    default_size: u32,
}

/// A sample, with times in seconds of the stream's timeline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample<'a> {
    pub(crate) track: u32,
    /// When it is presented.
    pub(crate) time: f64,
    pub(crate) duration: f64,
    pub(crate) data: &'a [u8],
}

/// `emsg` (ISO/IEC 23009-1 §5.10.3.3).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) scheme: String,
    pub(crate) value: String,
    /// Seconds; relative to the fragment's start in version 0.
    pub(crate) time: f64,
    pub(crate) relative: bool,
    /// Seconds; infinite when unknown.
    pub(crate) duration: f64,
    pub(crate) id: u32,
    pub(crate) data: Vec<u8>,
}

/// A box: its type and what is in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Boxed<'a> {
    pub(crate) kind: [u8; 4],
    /// Bytes of header and body.
    pub(crate) size: usize,
    pub(crate) body: &'a [u8],
}

/// The box at the beginning; `None` when it is not all there.
pub(crate) fn first_box(data: &[u8]) -> Option<Boxed<'_>> {
    let kind = data.get(4..8)?.try_into().ok()?;
    let (header, size) = match u32_at(data, 0)? {
        0 => (8, data.len()),
        1 => (16, usize::try_from(u64_at(data, 8)?).ok()?),
        size => (8, size as usize),
    };
    (size >= header).then_some(())?;
    Some(Boxed { kind, size, body: data.get(header..size)? })
}

/// The boxes inside.
pub(crate) fn boxes(data: &[u8]) -> impl Iterator<Item = Boxed<'_>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let found = first_box(rest)?;
        rest = &rest[found.size..];
        Some(found)
    })
}

/// The first box of this type inside.
pub(crate) fn find<'a>(data: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(data).find(|found| found.kind == *kind).map(|found| found.body)
}

/// The tracks of an init section.
pub(crate) fn read_init(data: &[u8]) -> Vec<Track> {
    find(data, b"moov").map(read_movie).unwrap_or_default()
}

/// The tracks of a `moov` box's body.
pub(crate) fn read_movie(movie: &[u8]) -> Vec<Track> {
    let defaults = |id: u32| {
        let extends = boxes(find(movie, b"mvex").unwrap_or(&[]));
        let mut extends = extends.filter(|found| found.kind == *b"trex").map(|found| found.body);
        let extend = extends.find(|body| u32_at(body, 4) == Some(id));
        extend.and_then(|body| Some((u32_at(body, 12)?, u32_at(body, 16)?))).unwrap_or_default()
    };
    let tracks = boxes(movie).filter(|found| found.kind == *b"trak");
    let scale = find(movie, b"mvhd").and_then(timescale).unwrap_or(1).max(1);
    let tracks = tracks.filter_map(|found| {
        let mut track = read_track(found.body)?;
        let ticks = f64::from(track.timescale) / f64::from(scale);
        track.skipped =
            find(found.body, b"edts").and_then(|edts| skipped(edts, ticks)).unwrap_or(0.0);
        (track.default_duration, track.default_size) = defaults(track.id);
        Some(track)
    });
    tracks.take(MAX_TRACKS).collect()
}

fn read_track(track: &[u8]) -> Option<Track> {
    let header = find(track, b"tkhd")?;
    let id = u32_at(header, if header.first() == Some(&1) { 20 } else { 12 })?;
    let media = find(track, b"mdia")?;
    let timescale = timescale(find(media, b"mdhd")?)?;
    let entry = first_box(find(find(find(media, b"minf")?, b"stbl")?, b"stsd")?.get(8..)?)?;
    let mut codec = entry.kind;
    // A visual sample entry has 78 bytes before its boxes (§12.1.3).
    let inside = entry.body.get(78..).unwrap_or(&[]);
    if codec == *b"encv"
        && let Some(format) = find(inside, b"sinf").and_then(|sinf| find(sinf, b"frma"))
    {
        codec = format.get(..4)?.try_into().ok()?;
    }
    let length = |kind: &[u8; 4], at: usize| {
        let byte = find(inside, kind)?.get(at)?;
        Some(usize::from(byte & 3) + 1)
    };
    let nal_length = length(b"avcC", 4).or_else(|| length(b"hvcC", 21)).unwrap_or(0);
    let config = find(inside, b"avcC").unwrap_or(&[]).to_vec();
    (timescale > 0).then_some(())?;
    Some(Track {
        config,
        id,
        codec,
        timescale,
        nal_length,
        skipped: 0.0,
        default_duration: 0,
        default_size: 0,
    })
}

fn timescale(header: &[u8]) -> Option<u32> {
    u32_at(header, if header.first() == Some(&1) { 20 } else { 12 })
}

/// Empty edits (`media_time` -1; `ticks` of the media for each of the movie), and the first one with media (§8.6.6).
fn skipped(edts: &[u8], ticks: f64) -> Option<f64> {
    let elst = find(edts, b"elst")?;
    let (wide, mut empty, mut at) = (elst.first() == Some(&1), 0.0, 8);
    for _ in 0..u32_at(elst, 4)? {
        let (duration, time) = if wide {
            (u64_at(elst, at)?, u64_at(elst, at + 8)? as i64)
        } else {
            (u32_at(elst, at)?.into(), i64::from(u32_at(elst, at + 4)? as i32))
        };
        if time >= 0 {
            return Some(time as f64 - empty);
        }
        empty += (duration as f64 * ticks).round();
        at += if wide { 20 } else { 12 };
    }
    Some(-empty)
}

/// Calls `each` with the samples of all fragments in `data`.
pub(crate) fn read_fragments<'a>(
    data: &'a [u8],
    tracks: &[Track],
    mut each: impl FnMut(Sample<'a>),
) {
    let mut at = 0;
    while let Some(found) = data.get(at..).and_then(first_box) {
        if found.kind == *b"moof" {
            read_fragment(&data[at..], found.body, tracks, &mut each);
        }
        at += found.size;
    }
}

/// The samples of one fragment; `data` begins with its `moof`, and has the bytes behind it.
pub(crate) fn read_fragment<'a>(
    data: &'a [u8],
    moof: &[u8],
    tracks: &[Track],
    each: &mut impl FnMut(Sample<'a>),
) {
    let mut left = MAX_SAMPLES;
    // Without an offset samples follow those of the run before, the first the head of `mdat`.
    let mut at = first_box(data).map_or(0, |found| found.size + 8);
    for traf in boxes(moof).filter(|found| found.kind == *b"traf").take(MAX_TRACKS) {
        read_run_group(data, traf.body, tracks, &mut at, &mut left, each);
    }
}

fn read_run_group<'a>(
    data: &'a [u8],
    traf: &[u8],
    tracks: &[Track],
    at: &mut usize,
    left: &mut u32,
    each: &mut impl FnMut(Sample<'a>),
) -> Option<()> {
    let mut header = Fields::new(find(traf, b"tfhd")?);
    let flags = header.u32()?;
    let id = header.u32()?;
    let track = tracks.iter().find(|track| track.id == id)?;
    // A base in the file is not the fragment's: such a file is not made for streaming, and the browser refuses it.
    header.skip(if flags & 1 != 0 { 8 } else { 0 } + if flags & 2 != 0 { 4 } else { 0 });
    let duration = header.when(flags & 8)?.unwrap_or(track.default_duration);
    let size = header.when(flags & 0x10)?.unwrap_or(track.default_size);
    let decode = find(traf, b"tfdt")?;
    let mut time = match decode.first()? {
        1 => u64_at(decode, 4)?,
        _ => u64::from(u32_at(decode, 4)?),
    };
    let scale = f64::from(track.timescale);
    for run in boxes(traf).filter(|found| found.kind == *b"trun") {
        let mut fields = Fields::new(run.body);
        let flags = fields.u32()?;
        let count = fields.u32()?;
        if let Some(offset) = fields.when(flags & 1)? {
            *at = offset as usize;
        }
        fields.when(flags & 4)?;
        for _ in 0..count {
            *left = left.checked_sub(1)?;
            let duration = fields.when(flags & 0x100)?.unwrap_or(duration);
            let size = fields.when(flags & 0x200)?.unwrap_or(size) as usize;
            fields.when(flags & 0x400)?;
            let shift = fields.when(flags & 0x800)?.unwrap_or(0);
            // Version 0 says unsigned, and writers put negative ones there all the same.
            let presented = time as f64 + f64::from(shift as i32) - track.skipped;
            let end = at.checked_add(size)?;
            each(Sample {
                track: id,
                time: presented / scale,
                duration: f64::from(duration) / scale,
                data: data.get(*at..end)?,
            });
            *at = end;
            time = time.saturating_add(u64::from(duration));
        }
    }
    Some(())
}

/// Reads an `emsg` box's body.
pub(crate) fn read_event(body: &[u8]) -> Option<Event> {
    let mut fields = Fields::new(body);
    let version = fields.u32()? >> 24;
    let mut event = Event {
        scheme: String::new(),
        value: String::new(),
        time: 0.0,
        relative: version == 0,
        duration: f64::INFINITY,
        id: 0,
        data: Vec::new(),
    };
    if version == 0 {
        event.scheme = fields.text()?;
        event.value = fields.text()?;
    }
    let scale = f64::from(fields.u32()?.max(1));
    let time = match version {
        0 => f64::from(fields.u32()?),
        1 => fields.u32()? as f64 * 2_f64.powi(32) + f64::from(fields.u32()?),
        _ => return None,
    };
    event.time = time / scale;
    let duration = fields.u32()?;
    if duration < u32::MAX {
        event.duration = f64::from(duration) / scale;
    }
    event.id = fields.u32()?;
    if version == 1 {
        event.scheme = fields.text()?;
        event.value = fields.text()?;
    }
    event.data = fields.rest.to_vec();
    Some(event)
}

/// Big-endian fields, one after the other.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    fn u32(&mut self) -> Option<u32> {
        let value = u32_at(self.rest, 0)?;
        self.rest = &self.rest[4..];
        Some(value)
    }

    /// The next field if a flag says that it is there. `None` when it is not.
    #[expect(clippy::option_option, reason = "the outer one is for `?`")]
    fn when(&mut self, flag: u32) -> Option<Option<u32>> {
        if flag == 0 { Some(None) } else { Some(Some(self.u32()?)) }
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or(&[]);
    }

    /// Text that a NUL ends.
    fn text(&mut self) -> Option<String> {
        let end = self.rest.iter().position(|byte| *byte == 0)?;
        let text = String::from_utf8_lossy(&self.rest[..end.min(crate::MAX_TEXT)]).into_owned();
        self.rest = &self.rest[end + 1..];
        Some(text)
    }
}

pub(crate) fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(data.get(at..at.checked_add(8)?)?.try_into().ok()?))
}
