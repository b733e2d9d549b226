//! What a recording leaves out: whatever tells where somebody is.
//!
//! Session descriptions are replaced by as many letters, so that a player that is told of them does what it did: it never
//! looks into one.

use std::ops::Range;

use crate::wire::{ANSWER, DESCRIPTION_AT, Message, OFFER, OPTIONAL};

/// What stands for what is left out.
const MASK: u8 = b'x';

/// Names of a tracker's texts that are kept: what the core reads, and no address is in.
const KEPT: [&[u8]; 7] =
    [b"action", b"info_hash", b"peer_id", b"to_peer_id", b"offer_id", b"type", b"event"];

/// Writes a session description's stand-in.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    out.resize(out.len() + text.len(), MASK);
}

/// A frame of a peer without session descriptions.
pub(super) fn frame(frame: &[u8]) -> Vec<u8> {
    let mut masked = frame.to_vec();
    let Some(kind) = frame.first() else { return masked };
    let from = match *kind {
        OFFER | ANSWER => DESCRIPTION_AT,
        // Skipped by the core, whatever is in it.
        OPTIONAL.. => 1,
        _ => return masked,
    };
    if let Some(rest) = masked.get_mut(from..) {
        // One that is no text is not passed on, and must not become one.
        let stand_in = if std::str::from_utf8(rest).is_ok() { MASK } else { 0xff };
        rest.fill(stand_in);
    }
    masked
}

/// A message's frame without session descriptions.
pub(super) fn message(message: &Message) -> Vec<u8> {
    frame(&message.encode())
}

/// A tracker's message: JSON, or what is sent in its place. Each text whose name is not among [`KEPT`] is masked, and
/// nothing changes its place.
pub(super) fn json(text: &str) -> Vec<u8> {
    let mut out = text.as_bytes().to_vec();
    for_each_text(text.as_bytes(), |inside| mask_string(&mut out[inside]));
    out
}

/// A message to a tracker, without the texts that [`json`] masks: what a session description needs in JSON differs from
/// what its stand-in needs.
pub(super) fn json_without(text: &str) -> Vec<u8> {
    let (text, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    for_each_text(text, |inside| {
        out.extend_from_slice(&text[at..inside.start]);
        at = inside.end;
    });
    out.extend_from_slice(&text[at..]);
    out
}

/// Calls `mask` with the places of texts that are not kept, without their quotation marks.
fn for_each_text(text: &[u8], mut mask: impl FnMut(Range<usize>)) {
    let mut name = 0..0;
    let mut at = 0;
    while let Some(open) = position(text, at, |byte| byte == b'"') {
        let inside = open + 1..closing(text, open + 1);
        at = inside.end + 1;
        let next = position(text, at, |byte| !byte.is_ascii_whitespace());
        if next.is_some_and(|next| text[next] == b':') {
            name = inside;
        } else if !KEPT.contains(&&text[name.clone()]) {
            mask(inside);
        }
    }
}

/// Where a string ends that goes on at `at`: at its quotation mark, or where the text ends.
fn closing(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn position(text: &[u8], from: usize, is: impl Fn(u8) -> bool) -> Option<usize> {
    text.iter().skip(from).position(|byte| is(*byte)).map(|at| at + from)
}

/// Masks what is between the quotation marks. Escapes stay escapes, so that the text has as many bytes when it is read.
fn mask_string(text: &mut [u8]) {
    let mut at = 0;
    while at < text.len() {
        if text[at] != b'\\' {
            text[at] = MASK;
            at += 1;
        } else if let Some([b'u', digits @ ..]) = text.get_mut(at + 1..at + 6)
            && digits.iter().all(u8::is_ascii_hexdigit)
        {
            digits.copy_from_slice(b"0078");
            at += 6;
        } else {
            at += if text.get(at + 1).is_some_and(u8::is_ascii) { 2 } else { 1 };
        }
    }
}
