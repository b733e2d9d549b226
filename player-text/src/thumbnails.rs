//! Image playlists (`EXT-X-IMAGES-ONLY`, Roku's and others' extension) and I-frame playlists, as pictures at times.

use crate::number::decimal;
use crate::{MAX_CUES, mp4};

/// A picture for a while.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Thumbnail {
    /// Seconds from the playlist's beginning.
    pub start: f64,
    /// Seconds.
    pub end: f64,
    /// Its file, as the playlist has it.
    pub uri: String,
    /// First byte and length of it in the file; a length of 0 means all of it.
    pub range: (u64, u64),
    /// Left, top, width and height in the image in pixels; a width of 0 means all of it.
    pub tile: [u32; 4],
    /// The init section's file and bytes, for an I-frame in fragmented MP4.
    pub init: Option<(String, (u64, u64))>,
}

/// What a playlist shows, and whether more will come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Playlist {
    /// In the order of their times.
    pub thumbnails: Vec<Thumbnail>,
    /// `EXT-X-ENDLIST`.
    pub ended: bool,
}

/// Reads a playlist.
#[must_use]
pub fn read(text: &str) -> Playlist {
    let mut playlist = Playlist::default();
    let mut time = 0.0;
    let mut duration = 0.0;
    let mut range = (0, 0);
    let mut next = 0;
    let mut init = None;
    let mut tiles = None;
    for line in text.lines().map(str::trim) {
        if let Some(value) = line.strip_prefix("#EXTINF:") {
            let value = value.split(',').next().unwrap_or_default();
            duration =
                decimal(value).filter(|seconds| (0.0..86_400.0).contains(seconds)).unwrap_or(0.0);
        } else if let Some(value) = line.strip_prefix("#EXT-X-BYTERANGE:") {
            range = byte_range(value, next);
        } else if let Some(value) = line.strip_prefix("#EXT-X-MAP:") {
            let bytes = attribute(value, "BYTERANGE").map_or((0, 0), |range| byte_range(range, 0));
            init = attribute(value, "URI").map(|uri| (uri.to_owned(), bytes));
        } else if let Some(value) = line.strip_prefix("#EXT-X-TILES:") {
            tiles = Tiles::read(value);
        } else if line == "#EXT-X-ENDLIST" {
            playlist.ended = true;
        } else if !line.is_empty() && !line.starts_with('#') {
            let whole = Thumbnail {
                start: time,
                end: time + duration,
                uri: line.to_owned(),
                range,
                init: init.clone(),
                ..Thumbnail::default()
            };
            match &tiles {
                Some(tiles) => tiles.cut(&whole, &mut playlist.thumbnails),
                None => playlist.thumbnails.push(whole),
            }
            if playlist.thumbnails.len() > MAX_CUES {
                playlist.thumbnails.truncate(MAX_CUES);
                return playlist;
            }
            time += duration;
            next = range.0.saturating_add(range.1);
            range = (0, 0);
        }
    }
    playlist
}

/// A picture for a decoder of video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Its codec (RFC 6381).
    pub codec: String,
    /// What the decoder has to know first (`avcC`).
    pub config: Vec<u8>,
    /// The coded picture.
    pub data: Vec<u8>,
}

/// The first picture of a fragment, which may end behind that picture. Only H.264 so far.
#[must_use]
pub fn picture(init: &[u8], data: &[u8]) -> Option<Picture> {
    let tracks = mp4::read_init(init);
    let track = tracks.iter().find(|track| track.config.len() > 4)?;
    let mut first = None;
    // An I-frame's byte range ends within `mdat`: what is behind it was not fetched.
    mp4::read_fragments(data, &tracks, |sample| {
        if sample.track == track.id && first.is_none() {
            first = Some(sample.data.to_vec());
        }
    });
    let mut codec = String::from("avc1.");
    for byte in &track.config[1..4] {
        for digit in [byte >> 4, byte & 15] {
            codec.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    Some(Picture { codec, config: track.config.clone(), data: first? })
}

/// `EXT-X-TILES`: an image of several pictures.
#[derive(Debug, PartialEq)]
struct Tiles {
    width: u32,
    height: u32,
    columns: u32,
    rows: u32,
    /// Seconds of one picture; 0 when the image's time is shared out evenly.
    duration: f64,
}

impl Tiles {
    fn read(text: &str) -> Option<Self> {
        let pair = |name: &str| {
            let (a, b) = attribute(text, name)?.split_once('x')?;
            let number = |text: &str| {
                text.parse::<u32>().ok().filter(|number| (1..=65_535).contains(number))
            };
            Some((number(a)?, number(b)?))
        };
        let ((width, height), (columns, rows)) = (pair("RESOLUTION")?, pair("LAYOUT")?);
        let duration = attribute(text, "DURATION").and_then(decimal);
        let duration =
            duration.filter(|seconds| *seconds > 0.0 && seconds.is_finite()).unwrap_or(0.0);
        Some(Self { width, height, columns, rows, duration })
    }

    fn cut(&self, whole: &Thumbnail, out: &mut Vec<Thumbnail>) {
        let count = self.columns.saturating_mul(self.rows);
        let seconds = whole.end - whole.start;
        let each = if self.duration > 0.0 { self.duration } else { seconds / f64::from(count) };
        for place in 0..count {
            let start = whole.start + f64::from(place) * each;
            if start >= whole.end - 0.001 || out.len() > MAX_CUES {
                break;
            }
            let left = (place % self.columns).saturating_mul(self.width);
            let top = (place / self.columns).saturating_mul(self.height);
            let tile = [left, top, self.width, self.height];
            out.push(Thumbnail {
                start,
                end: (start + each).min(whole.end),
                tile,
                ..whole.clone()
            });
        }
    }
}

/// `length[@offset]`.
fn byte_range(text: &str, next: u64) -> (u64, u64) {
    let (length, offset) = text.split_once('@').unwrap_or((text, ""));
    let offset = offset.trim().parse().unwrap_or(next);
    (offset, length.trim().parse().unwrap_or(0))
}

/// An attribute's value, without its quotes (RFC 8216 §4.2).
fn attribute<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = text;
    while let Some((key, after)) = rest.split_once('=') {
        let (value, tail) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        if key.trim_matches([',', ' ']) == name {
            return Some(value);
        }
        rest = tail;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_cut_row_by_row_as_long_as_the_image_lasts() {
        let text = "#EXTM3U\n#EXT-X-TARGETDURATION:30\n#EXT-X-IMAGES-ONLY\n#EXT-X-TILES:RESOLUTION=160x90,LAYOUT=2x2,DURATION=5\n#EXTINF:20,\na.jpg\n#EXTINF:12,\nb.jpg\n#EXT-X-ENDLIST\n";
        let playlist = read(text);
        assert!(playlist.ended);
        let told: Vec<_> = playlist
            .thumbnails
            .iter()
            .map(|one| (one.start, one.end, one.uri.as_str(), one.tile))
            .collect();
        assert_eq!(told.len(), 7);
        assert_eq!(told[0], (0.0, 5.0, "a.jpg", [0, 0, 160, 90]));
        assert_eq!(told[3], (15.0, 20.0, "a.jpg", [160, 90, 160, 90]));
        assert_eq!(told[6], (30.0, 32.0, "b.jpg", [0, 90, 160, 90]));
    }

    #[test]
    fn i_frames_have_their_bytes_and_their_init_section() {
        let text = "#EXTM3U\n#EXT-X-I-FRAMES-ONLY\n#EXT-X-MAP:URI=\"i,a.mp4\",BYTERANGE=\"700@0\"\n#EXTINF:2.0,\n#EXT-X-BYTERANGE:100@700\nv.mp4\n#EXTINF:2.5,\n#EXT-X-BYTERANGE:50\nv.mp4\n";
        let playlist = read(text);
        assert_eq!(playlist.thumbnails.len(), 2);
        assert_eq!(playlist.thumbnails[0].range, (700, 100));
        assert_eq!(playlist.thumbnails[1].range, (800, 50));
        assert_eq!((playlist.thumbnails[1].start, playlist.thumbnails[1].end), (2.0, 4.5));
        assert_eq!(playlist.thumbnails[1].init, Some(("i,a.mp4".into(), (0, 700))));
    }

    #[test]
    fn a_layout_of_any_size_is_bounded() {
        let text = "#EXT-X-TILES:RESOLUTION=65535x65535,LAYOUT=65535x65535\n#EXTINF:80000,\na\n#EXTINF:80000,\nb\n";
        assert_eq!(read(text).thumbnails.len(), MAX_CUES);
    }
}
