//! Byte ranges of a request (RFC 9110 §14.2), one at a time.

use std::ops::Range;

/// What to send of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it, status 200.
    Whole,
    /// These bytes, status 206.
    Part(Range<u64>),
    /// Nothing fits, status 416.
    Unsatisfiable,
}

/// Reads a `Range` header for a body of `len` bytes. What is no single byte range is ignored, as
/// RFC 9110 §14.2 allows: the whole body answers it.
pub(crate) fn wanted(header: Option<&str>, len: u64) -> Wanted {
    let Some(spec) = header.and_then(|value| value.trim().strip_prefix("bytes=")) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = spec.split_once('-') else { return Wanted::Whole };
    let (first, last) = (first.trim(), last.trim());
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(first) || !digits(last) || (first.is_empty() && last.is_empty()) {
        return Wanted::Whole;
    }
    // More digits than a u64 has is a position beyond any body.
    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    if first.is_empty() {
        let count = number(last).min(len);
        return if count == 0 { Wanted::Unsatisfiable } else { Wanted::Part(len - count..len) };
    }
    let first = number(first);
    let end = if last.is_empty() { len } else { number(last).saturating_add(1).min(len) };
    if !last.is_empty() && number(last) < first {
        return Wanted::Whole;
    }
    if first >= len { Wanted::Unsatisfiable } else { Wanted::Part(first..end) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_ranges_are_served() {
        assert_eq!(wanted(Some("bytes=0-0"), 10), Wanted::Part(0..1));
        assert_eq!(wanted(Some("bytes=4-"), 10), Wanted::Part(4..10));
        assert_eq!(wanted(Some("bytes=4-99"), 10), Wanted::Part(4..10));
        assert_eq!(wanted(Some("bytes=-3"), 10), Wanted::Part(7..10));
        assert_eq!(wanted(Some("bytes=-30"), 10), Wanted::Part(0..10));
        assert_eq!(wanted(Some("bytes=0-99999999999999999999999"), 10), Wanted::Part(0..10));
    }

    #[test]
    fn ranges_beyond_the_end_are_unsatisfiable() {
        for spec in ["bytes=10-", "bytes=10-11", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(wanted(Some(spec), 10), Wanted::Unsatisfiable, "{spec}");
        }
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn what_is_no_single_range_is_ignored() {
        for spec in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-4",
            "bytes=0-1,3-4",
            "items=0-1",
            "bytes=+1-2",
        ] {
            assert_eq!(wanted(Some(spec), 10), Wanted::Whole, "{spec}");
        }
        assert_eq!(wanted(None, 10), Wanted::Whole);
    }
}
