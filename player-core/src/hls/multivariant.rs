//! Multivariant playlists (RFC 8216 §4.3.4, bis §4.4.6).

use crate::ordered::OrderedMap;

use super::attributes::{AttributeList, Attributes};
use super::lines::Lines;
use super::media::Key;
use super::number;
use super::reader::{read_key, read_start};
use super::url::resolve;
use super::variables::Variables;
use super::{Start, Warning};

/// A list of variants and of renditions to go with them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MultivariantPlaylist {
    /// The playlist's own URL.
    pub url: String,
    /// `EXT-X-VERSION`.
    pub version: Option<u32>,
    /// `EXT-X-STREAM-INF` in the playlist's order, also those whose codecs are not known.
    pub variants: Vec<Variant>,
    /// `EXT-X-MEDIA` in the playlist's order.
    pub renditions: Vec<Rendition>,
    /// `EXT-X-I-FRAME-STREAM-INF` in the playlist's order.
    pub iframe_variants: Vec<Variant>,
    /// `EXT-X-IMAGE-STREAM-INF`, which is not in the RFC but in the field, in the playlist's order.
    pub image_variants: Vec<Variant>,
    /// `EXT-X-SESSION-DATA` in the playlist's order.
    pub session_data: Vec<SessionData>,
    /// `EXT-X-SESSION-KEY` in the playlist's order.
    pub session_keys: Vec<Key>,
    /// `EXT-X-START`.
    pub start: Option<Start>,
    /// `EXT-X-CONTENT-STEERING`.
    pub steering: Option<Steering>,
    /// `EXT-X-DEFINE`: what media playlists may import.
    pub variables: OrderedMap<String, String>,
    /// `EXT-X-INDEPENDENT-SEGMENTS`: each segment of each variant can be decoded by itself.
    pub independent_segments: bool,
    /// What did not conform.
    pub warnings: Vec<Warning>,
}

impl MultivariantPlaylist {
    /// Whether there are subtitles, captions, chapters or thumbnails in it.
    pub(crate) fn has_text(&self) -> bool {
        let text = |kind| matches!(kind, RenditionKind::Subtitles | RenditionKind::ClosedCaptions);
        self.renditions.iter().any(|rendition| text(rendition.kind))
            || !self.session_data.is_empty()
            || !self.image_variants.is_empty()
            || !self.iframe_variants.is_empty()
    }
}

/// A variant stream, or an I-frame one (RFC 8216 §4.3.4.2, §4.3.4.3).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Variant {
    /// Absolute URL of its media playlist.
    pub url: String,
    /// Peak bit rate in bit/s; the average if only that is known, 0 if neither is.
    pub bandwidth: u64,
    /// Average bit rate in bit/s.
    pub average_bandwidth: Option<u64>,
    /// `CODECS`, separated by commas; empty if unknown.
    pub codecs: String,
    /// `SUPPLEMENTAL-CODECS`, as written.
    pub supplemental_codecs: Option<String>,
    /// Pixels; 0 if unknown.
    pub width: u32,
    /// Pixels; 0 if unknown.
    pub height: u32,
    /// Frames per second; 0 if unknown.
    pub frame_rate: f64,
    /// Group of its audio renditions.
    pub audio: Option<String>,
    /// Group of its video renditions.
    pub video: Option<String>,
    /// Group of its subtitles.
    pub subtitles: Option<String>,
    /// Group of its closed captions; `NONE` says that it has none.
    pub closed_captions: Option<String>,
    /// `NAME`, which is not in the RFC but in the field.
    pub name: Option<String>,
    /// `PATHWAY-ID`, for content steering; `None` is the pathway `.`.
    pub pathway_id: Option<String>,
    /// `STABLE-VARIANT-ID`.
    pub stable_variant_id: Option<String>,
    /// `VIDEO-RANGE`: `SDR`, `HLG` or `PQ`.
    pub video_range: Option<String>,
    /// `HDCP-LEVEL`.
    pub hdcp_level: Option<String>,
    /// `ALLOWED-CPC`.
    pub allowed_cpc: Option<String>,
    /// `REQ-VIDEO-LAYOUT`.
    pub video_layout: Option<String>,
    /// `SCORE`: the server's preference, higher is better.
    pub score: Option<f64>,
    /// `PROGRAM-ID`, from versions before 6.
    pub program_id: Option<u64>,
    /// All attributes as written.
    pub attributes: AttributeList,
}

/// What a rendition carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RenditionKind {
    /// Sound.
    Audio,
    /// Pictures, such as another camera.
    Video,
    /// Subtitles.
    Subtitles,
    /// Captions inside the video.
    ClosedCaptions,
}

/// `EXT-X-MEDIA` (RFC 8216 §4.3.4.1).
#[derive(Debug, Clone, PartialEq)]
pub struct Rendition {
    /// `TYPE`.
    pub kind: RenditionKind,
    /// Absolute URL of its media playlist; `None` if it is inside the variant.
    pub url: Option<String>,
    /// `GROUP-ID`; empty if absent.
    pub group_id: String,
    /// `NAME`; the language if absent, else empty.
    pub name: String,
    /// `LANGUAGE`, an RFC 5646 tag.
    pub language: Option<String>,
    /// `ASSOC-LANGUAGE`.
    pub associated_language: Option<String>,
    /// `STABLE-RENDITION-ID`.
    pub stable_rendition_id: Option<String>,
    /// To be played unless the viewer chooses otherwise.
    pub default: bool,
    /// May be chosen by the viewer's system settings. `DEFAULT=YES` implies it.
    pub autoselect: bool,
    /// Subtitles that are essential to understand the programme.
    pub forced: bool,
    /// `INSTREAM-ID`, such as `CC1`.
    pub instream_id: Option<String>,
    /// `CHARACTERISTICS`, uniform type identifiers separated by commas.
    pub characteristics: Option<String>,
    /// `CHANNELS`, such as `6` or `16/JOC`.
    pub channels: Option<String>,
    /// `BIT-DEPTH`.
    pub bit_depth: Option<u64>,
    /// `SAMPLE-RATE` in Hz.
    pub sample_rate: Option<u64>,
    /// `PATHWAY-ID`, not in the RFC for renditions but in the field.
    pub pathway_id: Option<String>,
    /// All attributes as written.
    pub attributes: AttributeList,
}

/// `EXT-X-SESSION-DATA` (RFC 8216 §4.3.4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionData {
    /// `DATA-ID`.
    pub id: String,
    /// `VALUE`.
    pub value: Option<String>,
    /// Absolute URL of the data.
    pub url: Option<String>,
    /// `LANGUAGE`.
    pub language: Option<String>,
    /// All attributes as written.
    pub attributes: AttributeList,
}

/// `EXT-X-CONTENT-STEERING` (bis §4.4.6.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steering {
    /// Absolute URL of the steering manifest.
    pub url: String,
    /// The pathway to begin with; `.` if not given.
    pub pathway_id: String,
}

/// Reads a multivariant playlist.
pub(super) fn read(text: &str, url: &str) -> MultivariantPlaylist {
    let mut reader = Reader {
        playlist: MultivariantPlaylist { url: url.to_owned(), ..MultivariantPlaylist::default() },
        variables: Variables::default(),
        pending: None,
        line: 0,
    };
    for line in Lines::new(text) {
        reader.line = line.number;
        reader.read_line(line.text);
        if std::mem::take(&mut reader.variables.missing) {
            reader.warn("a variable is used that no EXT-X-DEFINE before it defines");
        }
    }
    if reader.pending.is_some() {
        reader.warn("EXT-X-STREAM-INF without a URI after it");
    }
    reader.playlist.variables = reader.variables.map;
    reader.playlist
}

struct Reader {
    playlist: MultivariantPlaylist,
    variables: Variables,
    /// The variant whose URI comes next.
    pending: Option<Variant>,
    line: u32,
}

impl Reader {
    fn warn(&mut self, message: &'static str) {
        super::reader::push_warning(&mut self.playlist.warnings, self.line, message);
    }

    fn read_line(&mut self, line: &str) {
        let line = line.trim();
        let Some(tag) = line.strip_prefix('#') else {
            if !line.is_empty() {
                self.read_uri(line);
            }
            return;
        };
        let Some(tag) = tag.strip_prefix("EXT-X-") else {
            return;
        };
        let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
        match name.trim_end() {
            "STREAM-INF" => {
                let variant = self.read_variant(value);
                if self.pending.replace(variant).is_some() {
                    self.warn("EXT-X-STREAM-INF without a URI after it");
                }
            }
            "I-FRAME-STREAM-INF" => {
                let variant = self.read_picture_variant(value);
                self.playlist.iframe_variants.extend(variant);
            }
            "IMAGE-STREAM-INF" => {
                let variant = self.read_picture_variant(value);
                self.playlist.image_variants.extend(variant);
            }
            "MEDIA" => self.read_rendition(value),
            "SESSION-DATA" => self.read_session_data(value),
            "SESSION-KEY" => {
                let attributes = Attributes::read(value, &mut self.variables);
                match read_key(&attributes, &self.playlist.url) {
                    Ok(Some(key)) => self.playlist.session_keys.push(key),
                    Ok(None) => self.warn("EXT-X-SESSION-KEY with the method NONE"),
                    Err(message) => self.warn(message),
                }
            }
            "CONTENT-STEERING" => {
                let attributes = Attributes::read(value, &mut self.variables);
                if let Some(uri) = attributes.filled("SERVER-URI") {
                    self.playlist.steering = Some(Steering {
                        url: resolve(&self.playlist.url, uri),
                        pathway_id: attributes.filled("PATHWAY-ID").unwrap_or(".").to_owned(),
                    });
                } else {
                    self.warn("EXT-X-CONTENT-STEERING without SERVER-URI");
                }
            }
            "DEFINE" => {
                let attributes = Attributes::read(value, &mut self.variables);
                // A multivariant playlist has nothing to import from.
                let defined =
                    self.variables.define(&attributes, &self.playlist.url, &OrderedMap::new());
                if let Err(message) = defined {
                    self.warn(message);
                }
            }
            "START" => match read_start(value, &mut self.variables) {
                Some(start) => self.playlist.start = Some(start),
                None => self.warn("EXT-X-START without TIME-OFFSET"),
            },
            "VERSION" => {
                self.playlist.version =
                    number::integer(value).and_then(|version| u32::try_from(version).ok());
            }
            "INDEPENDENT-SEGMENTS" => self.playlist.independent_segments = true,
            _ => {}
        }
    }

    fn read_uri(&mut self, line: &str) {
        let Some(mut variant) = self.pending.take() else {
            self.warn("a URI without EXT-X-STREAM-INF before it");
            return;
        };
        variant.url = resolve(&self.playlist.url, &self.variables.substitute(line));
        self.playlist.variants.push(variant);
    }

    fn read_variant(&mut self, value: &str) -> Variant {
        let attributes = Attributes::read(value, &mut self.variables);
        let average_bandwidth = attributes.integer("AVERAGE-BANDWIDTH");
        let bandwidth = attributes.integer("BANDWIDTH").filter(|bandwidth| *bandwidth > 0);
        if bandwidth.is_none() {
            self.warn("a variant without BANDWIDTH");
        }
        let (width, height) =
            attributes.text("RESOLUTION").and_then(number::resolution).unwrap_or_default();
        Variant {
            url: String::new(),
            bandwidth: bandwidth.or(average_bandwidth).unwrap_or(0),
            average_bandwidth,
            codecs: attributes.string("CODECS").unwrap_or_default(),
            supplemental_codecs: attributes.string("SUPPLEMENTAL-CODECS"),
            width,
            height,
            frame_rate: attributes.float("FRAME-RATE").unwrap_or(0.0).max(0.0),
            audio: attributes.string("AUDIO"),
            video: attributes.string("VIDEO"),
            subtitles: attributes.string("SUBTITLES"),
            closed_captions: attributes.string("CLOSED-CAPTIONS"),
            name: attributes.string("NAME"),
            pathway_id: attributes.string("PATHWAY-ID"),
            stable_variant_id: attributes.string("STABLE-VARIANT-ID"),
            video_range: attributes.string("VIDEO-RANGE"),
            hdcp_level: attributes.string("HDCP-LEVEL"),
            allowed_cpc: attributes.string("ALLOWED-CPC"),
            video_layout: attributes.string("REQ-VIDEO-LAYOUT"),
            score: attributes.float("SCORE"),
            program_id: attributes.integer("PROGRAM-ID"),
            attributes: attributes.to_list(),
        }
    }

    fn read_picture_variant(&mut self, value: &str) -> Option<Variant> {
        let mut variant = self.read_variant(value);
        let Some(uri) = variant.attributes.value("URI").filter(|uri| !uri.is_empty()) else {
            self.warn("a stream of pictures without URI");
            return None;
        };
        variant.url = resolve(&self.playlist.url, uri);
        Some(variant)
    }

    fn read_rendition(&mut self, value: &str) {
        let attributes = Attributes::read(value, &mut self.variables);
        let kind = match attributes.text("TYPE") {
            Some("AUDIO") => RenditionKind::Audio,
            Some("VIDEO") => RenditionKind::Video,
            Some("SUBTITLES") => RenditionKind::Subtitles,
            Some("CLOSED-CAPTIONS") => RenditionKind::ClosedCaptions,
            _ => {
                self.warn("EXT-X-MEDIA without a TYPE that is known");
                return;
            }
        };
        let language = attributes.string("LANGUAGE");
        let default = attributes.yes("DEFAULT");
        self.playlist.renditions.push(Rendition {
            kind,
            url: attributes.filled("URI").map(|uri| resolve(&self.playlist.url, uri)),
            group_id: attributes.string("GROUP-ID").unwrap_or_default(),
            name: attributes.string("NAME").or_else(|| language.clone()).unwrap_or_default(),
            language,
            associated_language: attributes.string("ASSOC-LANGUAGE"),
            stable_rendition_id: attributes.string("STABLE-RENDITION-ID"),
            default,
            autoselect: default || attributes.yes("AUTOSELECT"),
            forced: attributes.yes("FORCED"),
            instream_id: attributes.string("INSTREAM-ID"),
            characteristics: attributes.string("CHARACTERISTICS"),
            channels: attributes.string("CHANNELS"),
            bit_depth: attributes.integer("BIT-DEPTH"),
            sample_rate: attributes.integer("SAMPLE-RATE"),
            pathway_id: attributes.string("PATHWAY-ID"),
            attributes: attributes.to_list(),
        });
        if attributes.filled("GROUP-ID").is_none() || attributes.filled("NAME").is_none() {
            self.warn("EXT-X-MEDIA without GROUP-ID or NAME");
        }
    }

    fn read_session_data(&mut self, value: &str) {
        let attributes = Attributes::read(value, &mut self.variables);
        let Some(id) = attributes.filled("DATA-ID") else {
            self.warn("EXT-X-SESSION-DATA without DATA-ID");
            return;
        };
        self.playlist.session_data.push(SessionData {
            id: id.to_owned(),
            value: attributes.text("VALUE").map(str::to_owned),
            url: attributes.filled("URI").map(|uri| resolve(&self.playlist.url, uri)),
            language: attributes.string("LANGUAGE"),
            attributes: attributes.to_list(),
        });
    }
}
