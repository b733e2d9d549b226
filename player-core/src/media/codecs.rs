//! Codec strings (RFC 6381) out of sample entries, and MIME types out of codec strings.

use super::boxes::{child, u32_at};
use crate::io::Track;
use crate::text::{push_decimal, push_hex};

/// MIME type of a track's fragmented MP4; or of something else, when `codecs` is one.
pub(crate) fn mime_type(track: Track, codecs: &str) -> String {
    if codecs.contains('/') {
        return codecs.to_owned();
    }
    let audio_only = track == Track::Audio
        || (!codecs.is_empty() && codecs.split(',').all(|codec| is_audio(codec.trim())));
    let mut mime = String::from(if audio_only { "audio/mp4" } else { "video/mp4" });
    if !codecs.is_empty() {
        mime.push_str("; codecs=\"");
        for (nth, codec) in codecs.split(',').map(str::trim).enumerate() {
            if nth > 0 {
                mime.push(',');
            }
            // Browsers know MPEG audio layer 3 in MP4 by this name alone.
            mime.push_str(if is_mp3(codec) { "mp3" } else { codec });
        }
        mime.push('"');
    }
    mime
}

fn is_mp3(codec: &str) -> bool {
    ["mp3", "mp4a.40.34", "mp4a.69", "mp4a.6B", "mp4a.6b"].contains(&codec)
}

/// Those of a variant's `CODECS` that are in this track, when audio comes in a rendition of its own. None for MP3 alone:
/// not every browser takes it in MP4, so what there is of it tells how it is appended.
pub(crate) fn track_codecs(codecs: &str, track: Track, separate_audio: bool) -> String {
    let mut wanted = Vec::new();
    for codec in codecs.split(',') {
        let codec = codec.trim();
        let here = !separate_audio || is_audio(codec) == (track == Track::Audio);
        if here && !codec.is_empty() && !is_text(codec) {
            wanted.push(codec);
        }
    }
    if wanted.iter().all(|codec| is_mp3(codec)) {
        return String::new();
    }
    wanted.join(",")
}

fn is_audio(codec: &str) -> bool {
    let kind = codec.split('.').next().unwrap_or_default().to_ascii_lowercase();
    matches!(
        kind.as_str(),
        "mp4a"
            | "ac-3"
            | "ec-3"
            | "ac-4"
            | "opus"
            | "flac"
            | "alac"
            | "mp3"
            | "vorbis"
            | "dtsc"
            | "dtse"
            | "dtsx"
    )
}

fn is_text(codec: &str) -> bool {
    let kind = codec.split('.').next().unwrap_or_default();
    matches!(kind, "stpp" | "wvtt" | "tx3g")
}

/// Codec string of a sample entry; empty when this module does not know it.
pub(super) fn sample_entry_codec(kind: &[u8; 4], entry: &[u8], video: bool) -> String {
    // Visual sample entries have 78 bytes before their boxes, audio ones 28 (ISO/IEC 14496-12 §12.1.3, §12.2.3).
    let inner = entry.get(if video { 78 } else { 28 }..).unwrap_or_default();
    // An encrypted one has its own type in `frma` (ISO/IEC 14496-12 §8.12.2).
    let own = child(inner, b"sinf").and_then(|sinf| child(sinf, b"frma")?.first_chunk());
    let kind = own.unwrap_or(kind);
    match kind {
        b"avc1" | b"avc3" => {
            let Some([_, profile, compatibility, level, ..]) = child(inner, b"avcC") else {
                return String::new();
            };
            let mut codec = String::from(if kind == b"avc1" { "avc1." } else { "avc3." });
            for byte in [profile, compatibility, level] {
                push_byte(&mut codec, *byte);
            }
            codec
        }
        b"hvc1" | b"hev1" => {
            child(inner, b"hvcC").and_then(|hvcc| hevc_codec(kind, hvcc)).unwrap_or_default()
        }
        b"mp4a" => child(inner, b"esds").map_or_else(|| "mp4a.40.2".into(), aac_codec),
        b"av01" => child(inner, b"av1C").and_then(av1_codec).unwrap_or_default(),
        b"vp09" => child(inner, b"vpcC").and_then(vp9_codec).unwrap_or_default(),
        b"Opus" => "opus".into(),
        b"fLaC" => "flac".into(),
        b"ac-3" | b"ec-3" | b"alac" => kind.iter().copied().map(char::from).collect(),
        _ => String::new(),
    }
}

/// `hvc1.A.B.Cx.D` (ISO/IEC 14496-15 annex E.3).
fn hevc_codec(kind: &[u8; 4], hvcc: &[u8]) -> Option<String> {
    let general = *hvcc.get(1)?;
    let mut codec = String::from(if kind == b"hvc1" { "hvc1." } else { "hev1." });
    codec.push_str(["", "A", "B", "C"][usize::from(general >> 6)]);
    push_decimal(&mut codec, (general & 0x1f).into(), 1);
    codec.push('.');
    push_hex(&mut codec, u32_at(hvcc, 2)?.reverse_bits().into(), 1);
    codec.push_str(if general & 0x20 == 0 { ".L" } else { ".H" });
    push_decimal(&mut codec, (*hvcc.get(12)?).into(), 1);
    let constraints = hvcc.get(6..12)?;
    let last = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    for byte in &constraints[..last] {
        codec.push('.');
        push_byte(&mut codec, *byte);
    }
    Some(codec)
}

/// `mp4a.OO.A`: object type indication and audio object type (ISO/IEC 14496-1 §7.2.6).
fn aac_codec(esds: &[u8]) -> String {
    // The decoder config descriptor's tag is 4, its length one to four bytes.
    let descriptor = |data: &[u8], tag: u8| -> Option<usize> {
        let at = data.iter().position(|byte| *byte == tag)?;
        let length = data.get(at + 1..)?.iter().take(4).position(|byte| byte & 0x80 == 0)?;
        Some(at + 1 + length + 1)
    };
    let body = esds.get(4..).unwrap_or_default();
    let found = descriptor(body, 4).and_then(|at| {
        let object_type = *body.get(at)?;
        let rest = body.get(at + 13..)?;
        let audio = rest.get(descriptor(rest, 5)?).map(|byte| byte >> 3);
        Some((object_type, audio))
    });
    match found {
        Some((0x40, Some(audio))) if audio != 31 && audio != 0 => {
            let mut codec = String::from("mp4a.40.");
            push_decimal(&mut codec, audio.into(), 1);
            codec
        }
        Some((0x40, _)) | None => "mp4a.40.2".into(),
        Some((object_type, _)) => {
            let mut codec = String::from("mp4a.");
            push_byte(&mut codec, object_type);
            codec
        }
    }
}

/// `av01.P.LLT.DD` (AV1 ISOBMFF §5).
fn av1_codec(av1c: &[u8]) -> Option<String> {
    let (profile_level, flags) = (*av1c.get(1)?, *av1c.get(2)?);
    let tier = if flags & 0x80 == 0 { "M." } else { "H." };
    let depth = match (flags & 0x40 != 0, flags & 0x20 != 0) {
        (true, true) => "12",
        (true, false) => "10",
        _ => "08",
    };
    let mut codec = String::from("av01.");
    push_decimal(&mut codec, (profile_level >> 5).into(), 1);
    codec.push('.');
    push_decimal(&mut codec, (profile_level & 0x1f).into(), 2);
    codec.push_str(tier);
    codec.push_str(depth);
    Some(codec)
}

/// `vp09.PP.LL.DD` (VP9 ISOBMFF).
fn vp9_codec(vpcc: &[u8]) -> Option<String> {
    let mut codec = String::from("vp09");
    for number in [*vpcc.get(4)?, *vpcc.get(5)?, *vpcc.get(6)? >> 4] {
        codec.push('.');
        push_decimal(&mut codec, number.into(), 2);
    }
    Some(codec)
}

fn push_byte(text: &mut String, byte: u8) {
    for digit in [byte >> 4, byte & 15] {
        text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separate_audio_takes_its_codecs_out_of_the_variants() {
        let codecs = "avc1.64001f, mp4a.40.2,stpp.ttml.im1t";
        assert_eq!(track_codecs(codecs, Track::Main, true), "avc1.64001f");
        assert_eq!(track_codecs(codecs, Track::Audio, true), "mp4a.40.2");
        assert_eq!(track_codecs(codecs, Track::Main, false), "avc1.64001f,mp4a.40.2");
    }

    #[test]
    fn a_mime_type_is_audio_when_nothing_is_video() {
        assert_eq!(mime_type(Track::Main, "mp4a.40.2"), "audio/mp4; codecs=\"mp4a.40.2\"");
        assert_eq!(
            mime_type(Track::Main, "avc1.64001f,mp4a.40.2"),
            "video/mp4; codecs=\"avc1.64001f,mp4a.40.2\""
        );
        assert_eq!(mime_type(Track::Main, ""), "video/mp4");
        assert_eq!(
            mime_type(Track::Main, "avc1.64001f, mp4a.40.34"),
            "video/mp4; codecs=\"avc1.64001f,mp3\""
        );
    }

    #[test]
    fn an_avc_sample_entry_names_its_profile_and_level() {
        let mut entry = vec![0; 78];
        entry.extend_from_slice(&[0, 0, 0, 12, b'a', b'v', b'c', b'C', 1, 0x64, 0, 0x1f]);
        assert_eq!(sample_entry_codec(b"avc1", &entry, true), "avc1.64001f");
        assert_eq!(sample_entry_codec(b"avc1", &entry[..80], true), "");
    }

    #[test]
    fn an_encrypted_sample_entry_names_what_is_encrypted() {
        let mut entry = vec![0; 78];
        entry.extend_from_slice(b"\0\0\0\x14sinf\0\0\0\x0cfrmaavc1");
        entry.extend_from_slice(&[0, 0, 0, 12, b'a', b'v', b'c', b'C', 1, 0x64, 0, 0x1f]);
        assert_eq!(sample_entry_codec(b"encv", &entry, true), "avc1.64001f");
    }

    #[test]
    fn an_aac_sample_entry_names_its_object_type() {
        let esds = [
            0, 0, 0, 0, 3, 0x19, 0, 1, 0, 4, 0x11, 0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5,
            2, 0x2b, 0x92,
        ];
        assert_eq!(aac_codec(&esds), "mp4a.40.5");
    }

    #[test]
    fn av1_and_vp9_configurations_name_profile_level_and_depth() {
        assert_eq!(av1_codec(&[0x81, 0x08, 0x40, 0]).as_deref(), Some("av01.0.08M.10"));
        assert_eq!(av1_codec(&[0x81, 0x2d, 0xe0, 0]).as_deref(), Some("av01.1.13H.12"));
        assert_eq!(vp9_codec(&[1, 0, 0, 0, 2, 31, 0xa2]).as_deref(), Some("vp09.02.31.10"));
        assert_eq!(vp9_codec(&[1, 0, 0, 0, 2, 31]), None);
    }

    #[test]
    fn an_hevc_sample_entry_names_profile_tier_level_and_constraints() {
        let hvcc = [1, 1, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 93, 0];
        assert_eq!(hevc_codec(b"hvc1", &hvcc).as_deref(), Some("hvc1.1.6.L93.b0"));
    }
}
