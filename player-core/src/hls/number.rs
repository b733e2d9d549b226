//! Numbers as they are written in playlists, read leniently: a leading number counts, what follows is ignored.

/// The leading decimal integer; `None` without a digit. Too large becomes the largest (RFC 8216 §4.2 allows 64 bits).
pub(crate) fn integer(text: &str) -> Option<u64> {
    integer_prefix(text.trim_ascii_start()).map(|(value, _)| value)
}

/// The leading decimal integer and what follows it.
pub(super) fn integer_prefix(text: &str) -> Option<(u64, &str)> {
    let bytes = text.as_bytes();
    let mut value = 0_u64;
    let mut end = 0;
    while let Some(digit @ b'0'..=b'9') = bytes.get(end) {
        let digit = u64::from(digit - b'0');
        value = if value < u64::MAX / 10 {
            value * 10 + digit
        } else {
            value.saturating_mul(10).saturating_add(digit)
        };
        end += 1;
    }
    (end > 0).then(|| (value, &text[end..]))
}

/// The leading decimal number with its sign and fraction, as `decimal-floating-point` and
/// `signed-decimal-floating-point`; `None` without a digit. Always finite.
pub(crate) fn float(text: &str) -> Option<f64> {
    let text = text.trim_ascii_start();
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (value, _) = decimal(unsigned)?;
    Some(if negative { -value } else { value })
}

/// The leading unsigned decimal number and what follows it. Always finite.
pub(super) fn decimal(text: &str) -> Option<(f64, &str)> {
    let bytes = text.as_bytes();
    let mut mantissa = 0_u64;
    let mut exponent = 0_i32;
    let mut end = 0;
    let mut digits = false;
    let mut point = false;
    while let Some(&byte) = bytes.get(end) {
        if byte.is_ascii_digit() {
            digits = true;
            // Further digits than 19 are too small to matter.
            if mantissa < MAX_MANTISSA / 10 {
                mantissa = mantissa * 10 + u64::from(byte - b'0');
                exponent = exponent.saturating_sub(i32::from(point));
            } else {
                exponent = exponent.saturating_add(i32::from(!point));
            }
        } else if byte == b'.' && !point {
            point = true;
        } else {
            break;
        }
        end += 1;
    }
    digits.then(|| (scale(mantissa, exponent).min(1e300), &text[end..]))
}

/// The mantissa has 19 digits at most.
const MAX_MANTISSA: u64 = 10_000_000_000_000_000_000;

/// `mantissa` · 10^`exponent`, rounded to nearest if the exponent is from -22 to 0. The standard library's parser
/// rounds everything to nearest, and brings tables that alone are a tenth of what a page downloads.
fn scale(mantissa: u64, exponent: i32) -> f64 {
    let power = (0..exponent.unsigned_abs().min(350)).fold(1.0, |power, _| power * 10.0);
    let high = mantissa as f64;
    if exponent > 0 {
        return high * power;
    }
    let quotient = high / power;
    if exponent < -22 {
        return quotient;
    }
    // The power is exact, the quotient is not: what is left over corrects it.
    let low = mantissa.wrapping_sub(high as u64).cast_signed() as f64;
    let (product, error) = product(quotient, power);
    quotient + ((high - product) - error + low) / power
}

/// A product and what rounding took from it (T. J. Dekker, "A floating-point technique for extending the available
/// precision", 1971).
fn product(a: f64, b: f64) -> (f64, f64) {
    let halves = |number: f64| {
        let scaled = number * 134_217_729.0;
        let high = scaled - (scaled - number);
        (high, number - high)
    };
    let product = a * b;
    let ((a_high, a_low), (b_high, b_low)) = (halves(a), halves(b));
    let error = a_high * b_high - product + a_high * b_low + a_low * b_high + a_low * b_low;
    (product, error)
}

/// `n[@o]`, a length and maybe an offset (RFC 8216 §4.3.2.2).
pub(super) fn byte_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (length, rest) = integer_prefix(text.trim_ascii_start())?;
    let offset = rest.trim_ascii_start().strip_prefix('@').and_then(integer);
    Some((length, offset))
}

/// `0x…` of up to 16 bytes, padded on the left (RFC 8216 §4.2, §4.3.2.4). Longer ones keep their last 16 bytes.
pub(super) fn hexadecimal(text: &str) -> Option<[u8; 16]> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_u128;
    for byte in digits.bytes() {
        value = value << 4 | u128::from(char::from(byte).to_digit(16)?);
    }
    Some(value.to_be_bytes())
}

/// `WIDTHxHEIGHT` (RFC 8216 §4.2).
pub(super) fn resolution(text: &str) -> Option<(u32, u32)> {
    let (width, rest) = integer_prefix(text)?;
    let (height, rest) = integer_prefix(rest.strip_prefix('x')?)?;
    if !rest.is_empty() {
        return None;
    }
    Some((u32::try_from(width).ok()?, u32::try_from(height).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_decimal_of_19_digits_is_rounded_as_the_standard_library_does(
            mantissa in 0..MAX_MANTISSA,
            fewer in 0_u32..19,
            point in 0_usize..19,
        ) {
            let mut text = (mantissa / 10_u64.pow(fewer)).to_string();
            text.insert(point.min(text.len()), '.');
            prop_assert_eq!(float(&text), text.parse().ok(), "{}", text);
        }
    }

    #[test]
    fn decimals_are_rounded_as_the_standard_library_does() {
        for text in [
            "9.009",
            "0.1",
            "5.005",
            "10",
            "6.",
            ".5",
            "123456789.123456",
            "3.14159265358979323846",
            "0.000000000000000012345",
            "9007199254740993",
            "4503599627370496.5",
        ] {
            assert_eq!(float(text), text.parse().ok(), "{text}");
        }
        assert_eq!(float("-15.5s"), Some(-15.5));
        assert_eq!(float("1e9"), Some(1.0));
        assert_eq!(float("nan"), None);
        assert_eq!(float("."), None);
        assert!(float(&"9".repeat(400)).is_some_and(f64::is_finite));
    }

    #[test]
    fn integers_saturate() {
        assert_eq!(integer("18446744073709551616"), Some(u64::MAX));
        assert_eq!(integer(" 7.9"), Some(7));
        assert_eq!(integer("-1"), None);
        assert_eq!(byte_range("100@5000000000"), Some((100, Some(5_000_000_000))));
        assert_eq!(byte_range("100@"), Some((100, None)));
        assert_eq!(resolution("1920x1080"), Some((1920, 1080)));
        assert_eq!(resolution("1920"), None);
    }

    #[test]
    fn short_hexadecimals_are_padded_on_the_left() {
        assert_eq!(hexadecimal("0x2").map(|iv| iv[15]), Some(2));
        assert_eq!(hexadecimal("0X00112233445566778899aabbccddeeff").map(|iv| iv[1]), Some(0x11));
        assert_eq!(hexadecimal("0xzz"), None);
        assert_eq!(hexadecimal("12"), None);
    }
}
