//! What the codec strings of `CODECS` are (RFC 6381, the MP4 registration authority's sample entries).

/// The kind of track that a codec string describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CodecKind {
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// Subtitles.
    Text,
    /// Still pictures, as in an I-frame playlist of JPEG images.
    Image,
}

const AUDIO: &[&str] = &[
    "a3ds", "ac-3", "ac-4", "alac", "alaw", "dra1", "dts+", "dts-", "dtsc", "dtse", "dtsh", "dtsx",
    "ec-3", "enca", "fLaC", "flac", "FLAC", "g719", "g726", "m4ae", "mha1", "mha2", "mhm1", "mhm2",
    "mlpa", "mp4a", "raw ", "Opus", "opus", "samr", "sawb", "sawp", "sevc", "sqcp", "ssmv", "twos",
    "ulaw", "iamf", "vorb",
];

const VIDEO: &[&str] = &[
    "avc1", "avc2", "avc3", "avc4", "avcp", "av01", "dav1", "drac", "dva1", "dvav", "dvh1", "dvhe",
    "encv", "hev1", "hvc1", "mjp2", "mp4v", "mvc1", "mvc2", "mvc3", "mvc4", "resv", "rv60", "s263",
    "svc1", "svc2", "vc-1", "vp08", "vp09", "vvc1", "vvi1",
];

const TEXT: &[&str] = &["stpp", "wvtt"];

const IMAGE: &[&str] = &["mjpg", "jpeg"];

/// The kind of one codec string, by its sample entry: `avc1.64001f` is video. `None` if it is not known.
#[must_use]
pub fn codec_kind(codec: &str) -> Option<CodecKind> {
    let entry = codec.get(..4)?;
    [
        (CodecKind::Audio, AUDIO),
        (CodecKind::Video, VIDEO),
        (CodecKind::Text, TEXT),
        (CodecKind::Image, IMAGE),
    ]
    .into_iter()
    .find(|(_, entries)| entries.contains(&entry))
    .map(|(kind, _)| kind)
}

/// The codecs of one kind (`None`: those of no known kind) in a `CODECS` value, in its order.
pub fn codecs_of_kind(codecs: &str, kind: Option<CodecKind>) -> impl Iterator<Item = &str> {
    codecs.split([',', ' ']).filter(move |codec| !codec.is_empty() && codec_kind(codec) == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_are_sorted_by_their_sample_entry() {
        let codecs = "mp4a.40.2, avc1.64001f,wvtt,é";
        assert_eq!(
            codecs_of_kind(codecs, Some(CodecKind::Video)).collect::<Vec<_>>(),
            ["avc1.64001f"]
        );
        assert_eq!(
            codecs_of_kind(codecs, Some(CodecKind::Audio)).collect::<Vec<_>>(),
            ["mp4a.40.2"]
        );
        assert_eq!(codecs_of_kind(codecs, None).collect::<Vec<_>>(), ["é"]);
    }
}
