//! Init sections of encrypted MP4: what they say of the encryption, and how they become those of clear samples.

use std::ops::Range;

use crate::CryptoError;
use crate::boxes::{Found, boxes, child, children, u32_at};
use crate::modes::Block;

/// How samples are encrypted: `tenc` or a `seig` group (ISO/IEC 23001-7 §8.2, §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Protection {
    pub(crate) protected: bool,
    /// Bytes of each sample's own initialization vector: 0, 8 or 16.
    pub(crate) iv_size: usize,
    /// The vector of samples without one.
    pub(crate) constant_iv: Option<Block>,
    /// Of so many blocks, the first are encrypted …
    pub(crate) crypt_blocks: u8,
    /// … and these are not; both 0: all are.
    pub(crate) skip_blocks: u8,
}

/// Protection schemes (ISO/IEC 23001-7 §10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Cenc,
    Cens,
    Cbc1,
    Cbcs,
}

/// A track of an init section.
#[derive(Debug, Default)]
pub(crate) struct Track {
    pub(crate) id: u32,
    /// By sample description; none for clear ones.
    pub(crate) entries: Vec<Option<(Scheme, Protection)>>,
    /// `seig` sample groups.
    pub(crate) groups: Vec<Protection>,
    /// Sample description and size where a fragment names none (`trex`).
    pub(crate) default_entry: u32,
    pub(crate) default_size: u32,
}

/// Reads the tracks of an init section; none where there is no `moov`.
pub(crate) fn read(data: &[u8]) -> Result<Vec<Track>, CryptoError> {
    let Some(moov) = child(data, 0..data.len(), b"moov") else { return Ok(Vec::new()) };
    let mut tracks = Vec::new();
    for trak in children(data, moov.body.clone(), *b"trak") {
        let Some(tkhd) = child(data, trak.body.clone(), b"tkhd") else { continue };
        let version = data.get(tkhd.body.start).copied().unwrap_or(0);
        let at = tkhd.body.start + if version == 1 { 20 } else { 12 };
        let Some(id) = u32_at(data, at) else { continue };
        let mut track = Track { id, default_entry: 1, ..Track::default() };
        if let Some(stbl) = sample_table(data, &trak) {
            for entry in sample_entries(data, &stbl) {
                track.entries.push(protection(data, &entry)?);
            }
            track.groups = groups(data, stbl.body);
        }
        tracks.push(track);
    }
    if let Some(mvex) = child(data, moov.body, b"mvex") {
        for trex in children(data, mvex.body, *b"trex") {
            let field = |nth: usize| u32_at(data, trex.body.start + 4 + 4 * nth).unwrap_or(0);
            for track in tracks.iter_mut().filter(|track| track.id == field(0)) {
                track.default_entry = field(1);
                track.default_size = field(3);
            }
        }
    }
    Ok(tracks)
}

/// Makes an init section one of clear samples: encrypted sample entries get their own types, and what tells of the
/// encryption is skipped from now on. False when this is no init section.
pub(crate) fn clear(data: &mut [u8]) -> bool {
    let Some(moov) = child(data, 0..data.len(), b"moov") else { return false };
    for found in boxes(data, moov.body) {
        if found.kind == *b"pssh" {
            found.rename(data, *b"free");
        }
        if found.kind != *b"trak" {
            continue;
        }
        let Some(stbl) = sample_table(data, &found) else { continue };
        for entry in sample_entries(data, &stbl) {
            let Some(inner) = inner(data, &entry) else { continue };
            for sinf in children(data, inner, *b"sinf") {
                if let Some(kind) = original(data, &sinf) {
                    entry.rename(data, kind);
                    sinf.rename(data, *b"free");
                }
            }
        }
        hide(data, stbl.body);
    }
    true
}

/// The `seig` groups that `sgpd` boxes in a range describe (ISO/IEC 14496-12 §8.9.3).
pub(crate) fn groups(data: &[u8], range: Range<usize>) -> Vec<Protection> {
    let mut out = Vec::new();
    for sgpd in children(data, range, *b"sgpd") {
        let at = sgpd.body.start;
        if data.get(at + 4..at + 8) != Some(b"seig") {
            continue;
        }
        let version = data[at];
        let default_length = if version == 1 { u32_at(data, at + 8).unwrap_or(0) } else { 0 };
        let mut at = at + if version == 0 { 8 } else { 12 };
        let count = u32_at(data, at).unwrap_or(0);
        at += 4;
        for _ in 0..count {
            let mut length = default_length as usize;
            if version == 1 && length == 0 {
                length = u32_at(data, at).unwrap_or(0) as usize;
                at += 4;
            }
            let body = data.get(at..sgpd.body.end).unwrap_or_default();
            let Some((group, size)) = seig(body) else { break };
            out.push(group);
            at += if length == 0 { size } else { length };
        }
    }
    out
}

/// Has what tells of encrypted samples in a range skipped.
pub(crate) fn hide(data: &mut [u8], range: Range<usize>) {
    for found in boxes(data, range) {
        let at = found.body.start;
        let hidden = match &found.kind {
            b"senc" | b"saiz" | b"saio" => true,
            b"sgpd" | b"sbgp" => data.get(at + 4..at + 8) == Some(b"seig"),
            _ => false,
        };
        if hidden {
            found.rename(data, *b"free");
        }
    }
}

fn sample_table(data: &[u8], trak: &Found) -> Option<Found> {
    let mdia = child(data, trak.body.clone(), b"mdia")?;
    let minf = child(data, mdia.body, b"minf")?;
    child(data, minf.body, b"stbl")
}

fn sample_entries(data: &[u8], stbl: &Found) -> Vec<Found> {
    let stsd = child(data, stbl.body.clone(), b"stsd");
    stsd.map(|stsd| boxes(data, stsd.body.start + 8..stsd.body.end)).unwrap_or_default()
}

/// The boxes in an encrypted sample entry: visual ones have 78 bytes before them, audio ones 28
/// (ISO/IEC 14496-12 §12.1.3, §12.2.3), others 8.
fn inner(data: &[u8], entry: &Found) -> Option<Range<usize>> {
    let skip = match &entry.kind {
        b"encv" => 78,
        // QuickTime's versions 1 and 2 have more fields.
        b"enca" => match data.get(entry.body.start + 9)? {
            1 => 44,
            2 => 64,
            _ => 28,
        },
        b"enct" | b"encs" => 8,
        _ => return None,
    };
    Some(entry.body.start + skip..entry.body.end)
}

/// The type of the clear sample entry (`frma`).
fn original(data: &[u8], sinf: &Found) -> Option<[u8; 4]> {
    let frma = child(data, sinf.body.clone(), b"frma")?;
    data.get(frma.body.start..frma.body.start + 4)?.try_into().ok()
}

fn protection(data: &[u8], entry: &Found) -> Result<Option<(Scheme, Protection)>, CryptoError> {
    let Some(sinf) = inner(data, entry).and_then(|inner| child(data, inner, b"sinf")) else {
        return Ok(None);
    };
    let schm = child(data, sinf.body.clone(), b"schm").ok_or(CryptoError::Scheme)?;
    let scheme = match data.get(schm.body.start + 4..schm.body.start + 8) {
        Some(b"cenc") => Scheme::Cenc,
        Some(b"cens") => Scheme::Cens,
        Some(b"cbc1") => Scheme::Cbc1,
        Some(b"cbcs") => Scheme::Cbcs,
        _ => return Err(CryptoError::Scheme),
    };
    let tenc = child(data, sinf.body, b"schi").and_then(|schi| child(data, schi.body, b"tenc"));
    // Behind version and flags, a `tenc` is laid out as a `seig` entry.
    let found = tenc.and_then(|tenc| seig(data.get(tenc.body.start + 4..tenc.body.end)?));
    let (protection, _) = found.ok_or(CryptoError::Boxes)?;
    Ok(Some((scheme, protection)))
}

/// A `CencSampleEncryptionInformationGroupEntry` and its size.
fn seig(body: &[u8]) -> Option<(Protection, usize)> {
    let head = body.first_chunk::<20>()?;
    let [_, pattern, protected, iv_size] = [head[0], head[1], head[2], head[3]];
    let mut size = 20;
    let mut constant_iv = None;
    if protected == 1 && iv_size == 0 {
        let length = usize::from(*body.get(20)?);
        constant_iv = Some(padded(body.get(21..21 + length)?)?);
        size += 1 + length;
    }
    let protection = Protection {
        protected: protected == 1,
        iv_size: usize::from(iv_size),
        constant_iv,
        crypt_blocks: pattern >> 4,
        skip_blocks: pattern & 15,
    };
    matches!(iv_size, 0 | 8 | 16).then_some((protection, size))
}

/// A vector of 8 or 16 bytes as a block: short ones have zeros behind them (ISO/IEC 23001-7 §9.2).
pub(crate) fn padded(iv: &[u8]) -> Option<Block> {
    let mut block = [0; 16];
    if !matches!(iv.len(), 8 | 16) {
        return None;
    }
    block.get_mut(..iv.len())?.copy_from_slice(iv);
    Some(block)
}
