//! Fragments of encrypted MP4: where the samples are (ISO/IEC 14496-12 §8.8), and what each is encrypted with
//! (ISO/IEC 23001-7 §7).

use crate::CryptoError;
use crate::boxes::{Found, boxes, child, children, u16_at, u32_at};
use crate::init::{Protection, Scheme, Track, groups, hide, padded};
use crate::modes::{Aes, Block};
use crate::samples::SampleCipher;

/// Group numbers above this are of the fragment's own groups (ISO/IEC 14496-12 §8.9.4).
const OWN_GROUPS: u32 = 0x1_0000;

/// Decrypts the samples of a segment, and has what told of their encryption skipped.
///
/// `iv` is for samples that nobody gives a vector.
pub(crate) fn decrypt(
    aes: &Aes,
    iv: &Block,
    tracks: &[Track],
    data: &mut [u8],
) -> Result<(), CryptoError> {
    // No sample is decrypted twice: what tells of more bytes than there are lies.
    let mut budget = Budget { bytes: data.len(), samples: data.len() };
    for moof in children(data, 0..data.len(), *b"moof") {
        for found in boxes(data, moof.body.clone()) {
            match &found.kind {
                b"pssh" => found.rename(data, *b"free"),
                b"traf" => traf(aes, iv, tracks, data, moof.start, &found, &mut budget)?,
                _ => {}
            }
        }
    }
    Ok(())
}

struct Budget {
    bytes: usize,
    samples: usize,
}

/// `tfhd`, as far as it is needed.
struct Header {
    track: u32,
    base: usize,
    entry: Option<u32>,
    size: Option<u32>,
}

fn header(data: &[u8], moof: usize, tfhd: &Found) -> Option<Header> {
    let at = tfhd.body.start;
    let flags = u32_at(data, at)?;
    let mut next = at + 8;
    let mut field = |flag: u32, size: usize| {
        let there = flags & flag != 0;
        let at = next;
        next += if there { size } else { 0 };
        there.then_some(at)
    };
    // Media source extensions allow no base but the fragment itself.
    let _ = field(0x1, 8);
    let entry = field(0x2, 4).and_then(|at| u32_at(data, at));
    let _ = field(0x8, 4);
    let size = field(0x10, 4).and_then(|at| u32_at(data, at));
    Some(Header { track: u32_at(data, at + 4)?, base: moof, entry, size })
}

fn traf(
    aes: &Aes,
    iv: &Block,
    tracks: &[Track],
    data: &mut [u8],
    moof: usize,
    traf: &Found,
    budget: &mut Budget,
) -> Result<(), CryptoError> {
    let tfhd = child(data, traf.body.clone(), b"tfhd").ok_or(CryptoError::Boxes)?;
    let header = header(data, moof, &tfhd).ok_or(CryptoError::Boxes)?;
    let Some(track) = tracks.iter().find(|track| track.id == header.track) else { return Ok(()) };
    let entry = header.entry.unwrap_or(track.default_entry).max(1) as usize - 1;
    let entry = track.entries.get(entry).or_else(|| track.entries.first());
    let Some((scheme, default)) = entry.copied().flatten() else { return Ok(()) };
    let mut auxiliary = Auxiliary::find(data, traf, header.base);
    let own_groups = groups(data, traf.body.clone());
    let mut membership = Membership::find(data, traf);
    let mut at = header.base;
    for trun in children(data, traf.body.clone(), *b"trun") {
        let head = trun.body.start;
        let flags = u32_at(data, head).ok_or(CryptoError::Boxes)?;
        let count = u32_at(data, head + 4).ok_or(CryptoError::Boxes)?;
        let mut record = head + 8;
        if flags & 0x1 != 0 {
            let offset = u32_at(data, record).ok_or(CryptoError::Boxes)? as i32;
            let moved = header.base.checked_add_signed(offset as isize);
            at = moved.ok_or(CryptoError::Boxes)?;
            record += 4;
        }
        record += if flags & 0x4 != 0 { 4 } else { 0 };
        auxiliary.begin_run(data);
        let has = |flag: u32| if flags & flag != 0 { 4 } else { 0 };
        for _ in 0..count {
            let size = if flags & 0x200 != 0 {
                u32_at(data, record + has(0x100)).filter(|_| record < trun.body.end)
            } else {
                Some(header.size.unwrap_or(track.default_size))
            };
            let size = size.ok_or(CryptoError::Boxes)? as usize;
            record += has(0x100) + has(0x200) + has(0x400) + has(0x800);
            budget.samples = budget.samples.checked_sub(1).ok_or(CryptoError::Boxes)?;
            budget.bytes = budget.bytes.checked_sub(size).ok_or(CryptoError::Boxes)?;
            let end = at.checked_add(size).filter(|end| *end <= data.len());
            let end = end.ok_or(CryptoError::Boxes)?;
            let protection = match membership.next(data) {
                0 => Some(default),
                own if own > OWN_GROUPS => own_groups.get((own - OWN_GROUPS) as usize - 1).copied(),
                group => track.groups.get(group as usize - 1).copied(),
            };
            let protection = protection.ok_or(CryptoError::Boxes)?;
            auxiliary
                .sample(aes, iv, (scheme, protection), data, at..end)
                .ok_or(CryptoError::Boxes)?;
            at = end;
        }
    }
    hide(data, traf.body.clone());
    Ok(())
}

/// Where each sample's vector and subsamples are told.
struct Auxiliary {
    /// Where the next sample's are; none when samples have none.
    at: Option<usize>,
    /// From a `senc`: whether samples have subsamples.
    senc: Option<bool>,
    /// Where `saiz` has the next sample's size, or what all have.
    sizes: Option<(u8, usize)>,
    /// Where `saio` has the next run's offset, how many are left, and their width.
    offsets: (usize, u32, usize),
    base: usize,
}

impl Auxiliary {
    fn find(data: &[u8], traf: &Found, base: usize) -> Self {
        let mut out = Self { at: None, senc: None, sizes: None, offsets: (0, 0, 4), base };
        if let Some(senc) = child(data, traf.body.clone(), b"senc") {
            let flags = u32_at(data, senc.body.start).unwrap_or(0);
            out.senc = Some(flags & 2 != 0);
            out.at = Some(senc.body.start + 8);
            return out;
        }
        // Behind version and flags, a type is named where the lowest flag is set.
        let skip = |found: &Found| {
            let typed = u32_at(data, found.body.start).unwrap_or(0) & 1 != 0;
            found.body.start + if typed { 12 } else { 4 }
        };
        if let Some(saiz) = child(data, traf.body.clone(), b"saiz") {
            let at = skip(&saiz);
            out.sizes = data.get(at).map(|size| (*size, at + 5));
        }
        if let Some(saio) = child(data, traf.body.clone(), b"saio") {
            let at = skip(&saio);
            let wide = data.get(saio.body.start).is_some_and(|version| *version == 1);
            let count = u32_at(data, at).unwrap_or(0);
            out.offsets = (at + 4, count, if wide { 8 } else { 4 });
        }
        out
    }

    /// The next run of samples begins, with an offset of its own if `saio` has one left.
    fn begin_run(&mut self, data: &[u8]) {
        let (at, left, width) = self.offsets;
        if left == 0 {
            return;
        }
        self.offsets = (at + width, left - 1, width);
        // An offset of more than 32 bits leads out of any segment.
        let offset = u32_at(data, at + width - 4).map(|offset| offset as usize);
        self.at = offset.and_then(|offset| self.base.checked_add(offset));
    }

    /// Decrypts the next sample. None when what is told leads out of the data or of the sample.
    fn sample(
        &mut self,
        aes: &Aes,
        iv: &Block,
        (scheme, protection): (Scheme, Protection),
        data: &mut [u8],
        place: std::ops::Range<usize>,
    ) -> Option<()> {
        let mut end = data.len();
        let mut subsamples = self.senc.unwrap_or(false);
        if let Some((all, at)) = &mut self.sizes {
            let size = if *all == 0 { *data.get(*at)? } else { *all };
            *at += 1;
            end = self.at?.checked_add(usize::from(size))?;
            subsamples = usize::from(size) > protection.iv_size;
        }
        if self.at.is_none() && protection.iv_size > 0 {
            // Samples whose vectors are told nowhere cannot be encrypted.
            return Some(());
        }
        let mut next = self.at.unwrap_or(0);
        let own = data.get(next..next.checked_add(protection.iv_size)?);
        let vector = match own? {
            [] => protection.constant_iv.unwrap_or(*iv),
            own => padded(own)?,
        };
        next += protection.iv_size;
        if !protection.protected {
            // A clear sample in a protected track may be listed all the same.
            if self.sizes.is_some() {
                self.at = Some(end);
            } else if subsamples && self.at.is_some() {
                let count = usize::from(u16_at(data, next)?);
                self.at = Some(next + 2 + 6 * count);
            }
            return Some(());
        }
        let mut cipher = SampleCipher::new(aes, scheme, protection, vector);
        if !subsamples {
            cipher.apply(&mut data[place]);
        } else {
            let count = u16_at(data, next)?;
            next += 2;
            let mut at = place.start;
            for _ in 0..count {
                if next + 6 > end {
                    return None;
                }
                at = at.checked_add(usize::from(u16_at(data, next)?))?;
                let part = at..at.checked_add(u32_at(data, next + 2)? as usize)?;
                next += 6;
                at = part.end;
                if at > place.end {
                    return None;
                }
                cipher.apply(&mut data[part]);
            }
        }
        if self.sizes.is_some() {
            next = end;
        }
        self.at = self.at.map(|_| next);
        Some(())
    }
}

/// Which `seig` group each sample is in (`sbgp`); 0 for none.
struct Membership {
    at: usize,
    runs: u32,
    left: u32,
    group: u32,
}

impl Membership {
    fn find(data: &[u8], traf: &Found) -> Self {
        let found = children(data, traf.body.clone(), *b"sbgp")
            .into_iter()
            .find(|sbgp| data.get(sbgp.body.start + 4..sbgp.body.start + 8) == Some(b"seig"));
        let (at, runs) = found.map_or((0, 0), |sbgp| {
            let version = data[sbgp.body.start];
            let at = sbgp.body.start + if version == 1 { 12 } else { 8 };
            (at + 4, u32_at(data, at).unwrap_or(0))
        });
        Self { at, runs, left: 0, group: 0 }
    }

    fn next(&mut self, data: &[u8]) -> u32 {
        while self.left == 0 {
            if self.runs == 0 {
                return 0;
            }
            self.runs -= 1;
            let (Some(count), Some(group)) = (u32_at(data, self.at), u32_at(data, self.at + 4))
            else {
                self.runs = 0;
                return 0;
            };
            (self.left, self.group) = (count, group);
            self.at += 8;
        }
        self.left -= 1;
        self.group
    }
}
