//! Numbers and places in text, without the standard library's exact but large readers and searchers.

/// Digits with or without a sign and a fraction; no exponent. As exact as times and lengths need.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    let text = text.trim();
    let (digits, sign) = match text.strip_prefix('-') {
        Some(digits) => (digits, -1.0),
        None => (text, 1.0),
    };
    let (mut number, mut scale, mut any) = (0.0, 0.0, false);
    for byte in digits.bytes() {
        match byte {
            b'0'..=b'9' => {
                number = number * 10.0 + f64::from(byte - b'0');
                scale *= 10.0;
                any = true;
            }
            b'.' if scale == 0.0 => scale = 1.0,
            _ => return None,
        }
    }
    let number = if scale > 1.0 { number / scale } else { number };
    (any && number.is_finite()).then_some(number * sign)
}

/// What is before and behind the first `mark`.
pub(crate) fn split_at<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let at = text.as_bytes().windows(mark.len()).position(|bytes| bytes == mark.as_bytes())?;
    Some((&text[..at], &text[at + mark.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_as_they_are_written() {
        assert_eq!(decimal("12.25"), Some(12.25));
        assert_eq!(decimal(" -0.5"), Some(-0.5));
        assert_eq!(decimal("1.100"), Some(1.1));
        assert_eq!(decimal(".5"), Some(0.5));
        for text in ["", ".", "1e5", "1.2.3", "x", "--1"] {
            assert_eq!(decimal(text), None, "{text}");
        }
        assert_eq!(decimal(&"9".repeat(400)), None);
    }

    #[test]
    fn text_is_split_at_the_first_mark() {
        assert_eq!(split_at("ä-->b-->c", "-->"), Some(("ä", "b-->c")));
        assert_eq!(split_at("--", "-->"), None);
    }
}
