//! ISO BMFF boxes (ISO/IEC 14496-12 §4.2) by their place, so that what is found can be changed where it lies.

use std::ops::Range;

/// A box: its type, where its type is written, and its content.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) kind: [u8; 4],
    /// Where the whole box begins.
    pub(crate) start: usize,
    pub(crate) body: Range<usize>,
}

impl Found {
    /// Gives the box another type; as `free` it is skipped.
    pub(crate) fn rename(&self, data: &mut [u8], kind: [u8; 4]) {
        if let Some(place) = data.get_mut(self.start + 4..self.start + 8) {
            place.copy_from_slice(&kind);
        }
    }
}

/// The boxes in a range, in order; one that is cut off ends the list.
pub(crate) fn boxes(data: &[u8], range: Range<usize>) -> Vec<Found> {
    let mut out = Vec::new();
    let (mut at, end) = (range.start, range.end.min(data.len()));
    while let Some(found) = at.checked_add(8).filter(|head| *head <= end).and_then(|_| {
        let mut size = u64::from(u32_at(data, at)?);
        let kind: [u8; 4] = data.get(at + 4..at + 8)?.try_into().ok()?;
        let mut header = 8;
        if size == 1 {
            size = u64::from(u32_at(data, at + 8)?) << 32 | u64::from(u32_at(data, at + 12)?);
            header = 16;
        } else if size == 0 {
            size = (end - at) as u64;
        }
        let size =
            usize::try_from(size).ok().filter(|size| *size >= header && *size <= end - at)?;
        Some(Found { kind, start: at, body: at + header..at + size })
    }) {
        at = found.body.end;
        out.push(found);
    }
    out
}

/// The first box of this type in a range.
pub(crate) fn child(data: &[u8], range: Range<usize>, kind: &[u8; 4]) -> Option<Found> {
    boxes(data, range).into_iter().find(|found| found.kind == *kind)
}

/// The boxes of this type in a range.
pub(crate) fn children(data: &[u8], range: Range<usize>, kind: [u8; 4]) -> Vec<Found> {
    let mut found = boxes(data, range);
    found.retain(|found| found.kind == kind);
    found
}

pub(crate) fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(data.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

pub(crate) fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
