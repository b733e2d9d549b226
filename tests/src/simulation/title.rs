//! The stream that everyone watches: playlists, init sections and segments, made on demand and never copied.

use bytes::Bytes;
use player_core::proof;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::fmp4::{self, FRAME_RATE, HEAD_BYTES, SegmentHead, TIMESCALE};

/// Media patterns repeat with this period: one block of the peer protocol.
const BLOCK: usize = 64 << 10;
/// How far apart two patterns begin in the filler.
const SHIFT: usize = 64;
/// Bytes that tell patterns apart.
const WORD: usize = 8;
/// Number of patterns.
const PATTERNS: u64 = 1_024;
/// Wall clock of stream time 0, in ms since the Unix epoch (2026-01-01T00:00:00Z).
pub(super) const EPOCH_MS: f64 = 1_767_225_600_000.0;

/// A film or a channel.
#[derive(Debug, Clone)]
pub struct Title {
    /// Bit/s of each variant.
    pub bitrates: Vec<u64>,
    /// Seconds.
    pub segment_seconds: f64,
    /// Segments in all for VOD, `None` for live.
    pub segments: Option<u64>,
    /// Segments in a live playlist.
    pub window: u64,
    /// `HOLD-BACK` of a live playlist, in seconds.
    pub hold_back: Option<f64>,
    /// How long the channel has been on air at virtual time 0, in seconds.
    pub age: f64,
    /// How much segments' sizes vary, 0 to 0.9.
    pub vbr: f64,
    /// Parts of each segment: more than one for a low-latency channel. What is said of segments below holds for parts.
    pub parts: u64,
    /// `PART-HOLD-BACK` in seconds.
    pub part_hold_back: f64,
    /// Seconds from stream time to media timestamps.
    pub timestamp_origin: f64,
    /// Sound and picture in one file, the sound behind the picture, as ffmpeg writes it: nothing of a segment can be
    /// played before all of it is there.
    pub muxed: bool,
    /// How the playlists vouch for segments.
    pub hashes: Hashes,
    filler: Bytes,
    /// Where each pattern begins in it, by the pattern's first bytes.
    patterns: Arc<HashMap<[u8; WORD], usize>>,
}

/// How playlists vouch for segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hashes {
    /// Not at all.
    #[default]
    None,
    /// A root for each segment, in the playlist.
    Roots,
    /// SHA-256 of each segment, in a file beside the playlist.
    Whole,
}

/// A file of the title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    /// The multivariant playlist.
    Multivariant,
    /// A variant's playlist.
    Playlist(u32),
    /// A variant's file of hashes.
    Hashes(u32),
    /// A variant's init section.
    Init(u32),
    /// A segment: variant, media sequence number.
    Segment(u32, u64),
    /// A part: variant, number of the part since the first segment's first.
    Part(u32, u64),
}

impl Title {
    /// A film of `seconds`, or a channel.
    #[must_use]
    pub fn new(bitrates: Vec<u64>, segment_seconds: f64, seconds: Option<f64>) -> Self {
        let mut rng = fastrand::Rng::with_seed(0x0070_6f74_6c75_636b);
        let filler: Vec<u8> = (0..BLOCK + SHIFT * PATTERNS as usize).map(|_| rng.u8(..)).collect();
        let starts = (0..PATTERNS as usize).map(|pattern| pattern * SHIFT);
        let patterns = starts.filter_map(|at| Some((*filler[at..].first_chunk()?, at))).collect();
        Self {
            bitrates,
            segment_seconds,
            segments: seconds.map(|seconds| (seconds / segment_seconds).ceil().max(1.0) as u64),
            window: 10,
            hold_back: None,
            age: 3_600.0,
            vbr: 0.0,
            parts: 1,
            part_hold_back: 0.0,
            timestamp_origin: if seconds.is_some() { 10.0 } else { 0.0 },
            muxed: false,
            hashes: Hashes::None,
            filler: filler.into(),
            patterns: Arc::new(patterns),
        }
    }

    /// A low-latency channel: segments of so many parts.
    #[must_use]
    pub fn low_latency(
        bitrates: Vec<u64>,
        segment_seconds: f64,
        parts: u64,
        part_hold_back: f64,
    ) -> Self {
        Self { parts, part_hold_back, ..Self::new(bitrates, segment_seconds, None) }
    }

    /// Whether the playlist grows.
    #[must_use]
    pub const fn live(&self) -> bool {
        self.segments.is_none()
    }

    /// The URL to load.
    #[must_use]
    pub const fn url(&self) -> &'static str {
        "https://origin.example/title/master.m3u8"
    }

    /// The file that a URL names.
    #[must_use]
    pub fn file(&self, url: &str) -> Option<File> {
        let path = url.strip_prefix("https://origin.example/title/")?;
        let path = path.split(['?', '#']).next()?;
        if path == "master.m3u8" {
            return Some(File::Multivariant);
        }
        let (folder, name) = path.split_once('/')?;
        let variant: u32 = folder.strip_prefix('v')?.parse().ok()?;
        if variant as usize >= self.bitrates.len() {
            return None;
        }
        match name {
            "index.m3u8" => Some(File::Playlist(variant)),
            "init.mp4" => Some(File::Init(variant)),
            "hashes.json" if self.hashes == Hashes::Whole => Some(File::Hashes(variant)),
            _ => {
                let name = name.strip_prefix('s')?.strip_suffix(".m4s")?;
                if let Some((sequence, part)) = name.split_once('.') {
                    let (sequence, part): (u64, u64) = (sequence.parse().ok()?, part.parse().ok()?);
                    let inside = self.parts > 1 && part < self.parts;
                    return inside.then_some(File::Part(variant, sequence * self.parts + part));
                }
                let sequence = name.parse().ok()?;
                self.segments
                    .is_none_or(|count| sequence < count)
                    .then_some(File::Segment(variant, sequence))
            }
        }
    }

    /// The newest segment that is out at virtual time `now` (s).
    #[must_use]
    pub fn newest(&self, now: f64) -> u64 {
        match self.segments {
            Some(count) => count - 1,
            None => (((self.age + now) / self.segment_seconds + 1e-9).floor() as u64).max(1) - 1,
        }
    }

    /// The oldest segment that the origin still has at virtual time `now` (s): live segments are kept
    /// for two windows.
    #[must_use]
    pub fn oldest(&self, now: f64) -> u64 {
        if self.live() { (self.newest(now) + 1).saturating_sub(2 * self.window) } else { 0 }
    }

    /// Virtual time (s) at which a live segment is published.
    #[must_use]
    pub fn published(&self, sequence: u64) -> f64 {
        (sequence + 1) as f64 * self.unit_seconds() - self.age
    }

    /// Seconds of what has a head of its own: a segment, or a part.
    #[must_use]
    pub fn unit_seconds(&self) -> f64 {
        self.segment_seconds / self.parts as f64
    }

    /// Parts that are out at virtual time `now` (s), all since the first.
    #[must_use]
    pub fn units(&self, now: f64) -> u64 {
        ((self.age + now) / self.unit_seconds() + 1e-9).floor() as u64
    }

    /// What the segment's head says.
    #[must_use]
    pub fn head(&self, variant: u32, sequence: u64) -> SegmentHead {
        let samples = (self.unit_seconds() * f64::from(FRAME_RATE)).round().max(1.0) as u32;
        let ticks = (self.unit_seconds() * f64::from(TIMESCALE)).round() as u64;
        let bytes = self.bitrates[variant as usize] as f64 * self.unit_seconds() / 8.0;
        let swing = (mix(sequence ^ 0x51e) % 2_001) as f64 / 1_000.0 - 1.0;
        let bytes = bytes * (1.0 + self.vbr * swing) - HEAD_BYTES as f64;
        let origin = (self.timestamp_origin * f64::from(TIMESCALE)) as u64;
        SegmentHead {
            sequence: sequence as u32,
            decode_time: origin + sequence * ticks,
            samples,
            sample_bytes: ((bytes / f64::from(samples)).round() as u32).max(16),
            sample_duration: (ticks / u64::from(samples)) as u32,
        }
    }

    /// Bytes of a segment.
    #[must_use]
    pub fn segment_bytes(&self, variant: u32, sequence: u64) -> u64 {
        self.head(variant, sequence).segment_bytes() as u64
    }

    /// Bytes `from..to` of a segment, piece by piece. `head` is its head as written.
    pub fn slices(
        &self,
        (variant, sequence): (u32, u64),
        head: &Bytes,
        from: u64,
        to: u64,
        mut each: impl FnMut(Bytes),
    ) {
        let (mut at, to) = (from as usize, to as usize);
        if at < head.len() && at < to {
            let end = head.len().min(to);
            each(head.slice(at..end));
            at = end;
        }
        while at < to {
            let (block, start) = (at / BLOCK, at % BLOCK);
            let len = (BLOCK - start).min(to - at);
            let shift = pattern(variant, sequence, block as u64) * SHIFT + start;
            each(self.filler.slice(shift..shift + len));
            at += len;
        }
    }

    /// Whether `data` is what stands at `at` in a segment, beyond its head.
    #[must_use]
    pub fn matches(&self, variant: u32, sequence: u64, at: usize, data: &[u8]) -> bool {
        let (mut at, mut data) = (at, data);
        while !data.is_empty() {
            let (block, start) = (at / BLOCK, at % BLOCK);
            let len = (BLOCK - start).min(data.len());
            let shift = pattern(variant, sequence, block as u64) * SHIFT + start;
            if self.filler[shift..shift + len] != data[..len] {
                return false;
            }
            (at, data) = (at + len, &data[len..]);
        }
        true
    }

    /// A variant's init section.
    #[must_use]
    pub fn init(&self, variant: u32) -> Vec<u8> {
        let height = 360 + 180 * variant as u16;
        fmp4::init_section(variant, height / 9 * 16, height)
    }

    /// The multivariant playlist.
    #[must_use]
    pub fn multivariant(&self) -> String {
        let mut out = String::from("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n");
        let sound = if self.muxed { ",mp4a.40.2" } else { "" };
        for (variant, bitrate) in self.bitrates.iter().enumerate() {
            let height = 360 + 180 * variant;
            let peak = (*bitrate as f64 * (1.0 + self.vbr)).ceil() as u64;
            let _ = write!(
                out,
                "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={bitrate},\
                 CODECS=\"avc1.64001f{sound}\",RESOLUTION={}x{height},FRAME-RATE=25.000\nv{variant}/index.m3u8\n",
                height / 9 * 16
            );
        }
        out
    }

    /// Bytes as they stand in some segment or other.
    #[must_use]
    pub fn filling(&self, number: u64, len: usize) -> Bytes {
        let shift = (mix(number) % PATTERNS) as usize * SHIFT;
        self.filler.slice(shift..shift + len.min(BLOCK))
    }

    /// Whether bytes are a piece of the filler, and not of a copy.
    #[must_use]
    pub fn is_filler(&self, data: &[u8]) -> bool {
        self.filler.as_ptr_range().contains(&data.as_ptr())
    }

    /// The piece of the filler that is equal to a block, if there is one.
    #[must_use]
    pub fn filler_like(&self, data: &[u8]) -> Option<Bytes> {
        let at = *self.patterns.get(data.first_chunk::<WORD>()?)?;
        let end = at + data.len();
        (self.filler.get(at..end)? == data).then(|| self.filler.slice(at..end))
    }

    /// A segment's bytes, in pieces of a block of the peer protocol each.
    fn blocks(&self, variant: u32, sequence: u64) -> Vec<Vec<u8>> {
        let head = Bytes::from(self.head(variant, sequence).write());
        let size = self.segment_bytes(variant, sequence);
        let mut bytes = Vec::with_capacity(size as usize);
        self.slices((variant, sequence), &head, 0, size, |piece| bytes.extend_from_slice(&piece));
        bytes.chunks(BLOCK).map(<[u8]>::to_vec).collect()
    }

    /// A segment's `EXT-X-POTLUCK-HASH`.
    #[must_use]
    pub fn hash_tag(&self, variant: u32, sequence: u64) -> String {
        let hashes: Vec<_> =
            self.blocks(variant, sequence).iter().map(|block| proof::block_hash(block)).collect();
        let mut root = String::new();
        proof::push_hexadecimal(&mut root, &proof::root(&hashes));
        format!("#EXT-X-POTLUCK-HASH:ROOT=0x{root},SIZE={}", self.segment_bytes(variant, sequence))
    }

    /// A variant's file of hashes at virtual time `now` (s).
    #[must_use]
    pub fn hash_file(&self, variant: u32, now: f64) -> String {
        let mut out = String::from("{");
        for sequence in self.sequences(now) {
            let bytes = self.blocks(variant, sequence).concat();
            let mut hash = String::new();
            proof::push_hexadecimal(&mut hash, &proof::digest(&[&bytes]));
            let comma = if out.len() > 1 { "," } else { "" };
            let _ = write!(out, "{comma}\"s{sequence}.m4s\":\"{hash}\"");
        }
        out.push('}');
        out
    }

    /// What is in a playlist at virtual time `now` (s).
    fn sequences(&self, now: f64) -> std::ops::RangeInclusive<u64> {
        let newest = self.newest(now);
        let first = if self.live() { (newest + 1).saturating_sub(self.window) } else { 0 };
        first..=newest
    }

    /// A variant's playlist at virtual time `now` (s).
    #[must_use]
    pub fn playlist(&self, variant: u32, now: f64) -> String {
        self.playlist_since(variant, now, false)
    }

    /// The same; as a delta update if `delta`.
    #[must_use]
    pub fn playlist_since(&self, variant: u32, now: f64, delta: bool) -> String {
        let (first, newest) = self.sequences(now).into_inner();
        let mut out = format!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{first}\n",
            self.segment_seconds.ceil()
        );
        match (self.live(), self.hold_back) {
            _ if self.parts > 1 => {
                let _ = writeln!(
                    out,
                    "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={},PART-HOLD-BACK={}\n\
                     #EXT-X-PART-INF:PART-TARGET={}",
                    6.0 * self.segment_seconds,
                    self.part_hold_back,
                    self.unit_seconds()
                );
            }
            (false, _) => out.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n"),
            (true, Some(seconds)) => {
                let _ = writeln!(out, "#EXT-X-SERVER-CONTROL:HOLD-BACK={seconds}");
            }
            (true, None) => {}
        }
        if self.hashes == Hashes::Whole {
            out.push_str("#EXT-X-POTLUCK-HASHES:URI=\"hashes.json\"\n");
        }
        out.push_str("#EXT-X-MAP:URI=\"init.mp4\"\n");
        let skipped = (newest + 1).saturating_sub(7).saturating_sub(first);
        let first = if delta && skipped > 0 {
            let _ = writeln!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}");
            first + skipped
        } else {
            first
        };
        for sequence in first..=newest {
            if self.hashes == Hashes::Roots && self.parts == 1 {
                let _ = writeln!(out, "{}", self.hash_tag(variant, sequence));
            }
            if self.parts > 1 && sequence + 3 > newest {
                self.write_parts(&mut out, sequence, self.parts);
            }
            if self.live() {
                let start = sequence as f64 * self.segment_seconds;
                let _ = writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", date(EPOCH_MS + start * 1e3));
            }
            let _ = write!(out, "#EXTINF:{:.3},\ns{sequence}.m4s\n", self.segment_seconds);
        }
        if !self.live() {
            out.push_str("#EXT-X-ENDLIST\n");
        }
        if self.parts > 1 {
            let (open, part) = (self.units(now) / self.parts, self.units(now) % self.parts);
            self.write_parts(&mut out, open, part);
            let _ = writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"s{open}.{part}.m4s\"");
            // The last part that there is.
            let last = self.units(now).saturating_sub(1);
            for variant in 0..self.bitrates.len() {
                let _ = writeln!(
                    out,
                    "#EXT-X-RENDITION-REPORT:URI=\"../v{variant}/index.m3u8\",LAST-MSN={},LAST-PART={}",
                    last / self.parts,
                    last % self.parts
                );
            }
        }
        out
    }

    fn write_parts(&self, out: &mut String, sequence: u64, count: u64) {
        for part in 0..count {
            let independent = if part == 0 { ",INDEPENDENT=YES" } else { "" };
            let _ = writeln!(
                out,
                "#EXT-X-PART:DURATION={},URI=\"s{sequence}.{part}.m4s\"{independent}",
                self.unit_seconds()
            );
        }
    }

    /// A whole segment of a channel in parts: one after the other.
    #[must_use]
    pub fn whole(&self, variant: u32, sequence: u64) -> Bytes {
        let mut out = Vec::new();
        for unit in sequence * self.parts..(sequence + 1) * self.parts {
            out.extend(self.unit(variant, unit));
        }
        out.into()
    }

    /// A part's bytes.
    #[must_use]
    pub fn unit(&self, variant: u32, unit: u64) -> Vec<u8> {
        let head = Bytes::from(self.head(variant, unit).write());
        let mut out = Vec::new();
        let size = self.segment_bytes(variant, unit);
        self.slices((variant, unit), &head, 0, size, |piece| out.extend_from_slice(&piece));
        out
    }
}

/// Which pattern fills a block.
fn pattern(variant: u32, sequence: u64, block: u64) -> usize {
    (mix(mix(sequence).wrapping_add(u64::from(variant) << 32 | block)) % PATTERNS) as usize
}

/// Stirs a number: the finaliser of the SplitMix64 generator.
pub(super) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// ISO 8601 with milliseconds, UTC.
fn date(unix_ms: f64) -> String {
    let ms = unix_ms.round() as i64;
    let (days, ms) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    // Days since 0000-03-01 of the proleptic Gregorian calendar, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) =
        if month < 10 { (year + era * 400, month + 3) } else { (year + era * 400 + 1, month - 9) };
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        ms / 3_600_000,
        ms / 60_000 % 60,
        ms / 1_000 % 60,
        ms % 1_000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(title: &Title, sequence: u64, cut: u64) -> Vec<u8> {
        let head = Bytes::from(title.head(0, sequence).write());
        let size = title.segment_bytes(0, sequence);
        let mut out = Vec::new();
        title.slices((0, sequence), &head, 0, cut, |piece| out.extend_from_slice(&piece));
        title.slices((0, sequence), &head, cut, size, |piece| out.extend_from_slice(&piece));
        out
    }

    #[test]
    fn slices_make_the_same_segment_however_they_are_cut() {
        let title = Title::new(vec![1_000_000], 4.0, Some(60.0));
        let size = title.segment_bytes(0, 3) as usize;
        assert!((480_000..520_000).contains(&size), "{size}");
        let all = whole(&title, 3, 0);
        assert_eq!(all.len(), size);
        for cut in [1, 50, 112, 113, 65_535, 65_536, 65_537, 300_000] {
            assert_eq!(whole(&title, 3, cut), all);
        }
        assert!(title.matches(0, 3, HEAD_BYTES, &all[HEAD_BYTES..]));
        assert!(!title.matches(0, 4, HEAD_BYTES, &all[HEAD_BYTES..]), "another segment");
        assert!(!title.matches(0, 3, 65_536, &all[131_072..196_608]), "another block");
    }

    #[test]
    fn a_live_playlist_slides() {
        let mut title = Title::new(vec![1_000_000], 4.0, None);
        title.window = 3;
        title.age = 40.0;
        assert_eq!(title.newest(0.0), 9);
        assert_eq!(title.newest(3.99), 9);
        assert_eq!(title.newest(4.0), 10);
        assert!((title.published(10) - 4.0).abs() < 1e-9);
        let text = title.playlist(0, 4.0);
        assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:8\n"));
        assert!(text.contains("#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:40.000Z\n"));
        assert!(text.ends_with("s10.m4s\n"));
    }

    #[test]
    fn playlists_are_what_an_independent_reader_takes() {
        let vod = Title::new(vec![1_000_000, 3_000_000], 4.0, Some(60.0));
        let master = vod.multivariant();
        let master = hls_m3u8::MasterPlaylist::try_from(master.as_str()).expect("multivariant");
        assert_eq!(master.variant_streams.len(), 2);
        let text = vod.playlist(0, 0.0);
        let media = hls_m3u8::MediaPlaylist::try_from(text.as_str()).expect("media");
        assert_eq!(media.segments.num_elements(), 15);
        let live = Title::new(vec![1_000_000], 4.0, None).playlist(0, 17.0);
        hls_m3u8::MediaPlaylist::try_from(live.as_str()).expect("live");
    }

    #[test]
    fn dates_follow_the_calendar() {
        assert_eq!(date(0.0), "1970-01-01T00:00:00.000Z");
        assert_eq!(date(1_709_208_000_123.0), "2024-02-29T12:00:00.123Z");
        assert_eq!(date(EPOCH_MS), "2026-01-01T00:00:00.000Z");
    }

    #[test]
    fn urls_name_files() {
        let title = Title::new(vec![1, 2], 4.0, Some(8.0));
        let base = "https://origin.example/title/";
        assert_eq!(title.file(title.url()), Some(File::Multivariant));
        assert_eq!(title.file(&format!("{base}v1/index.m3u8?x")), Some(File::Playlist(1)));
        assert_eq!(title.file(&format!("{base}v0/s1.m4s")), Some(File::Segment(0, 1)));
        assert_eq!(title.file(&format!("{base}v0/s2.m4s")), None);
        assert_eq!(title.file(&format!("{base}v2/init.mp4")), None);
    }
}
