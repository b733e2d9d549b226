//! A few ways to take text apart and put it together. The standard library's formatter and its search for
//! substrings do more, and each page would download them.

/// Around the first `mark`.
pub(crate) fn split_at_first<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let windows = text.as_bytes().windows(mark.len().max(1));
    let at = windows.clone().position(|window| window == mark.as_bytes())?;
    // Both ends are borders of characters: what is between them is a text too.
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

/// Text out of bytes that should be UTF-8: each sequence that is not becomes U+FFFD.
pub(crate) fn from_utf8_lossy(mut bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    loop {
        let error = match std::str::from_utf8(bytes) {
            Ok(rest) => {
                text.push_str(rest);
                return text;
            }
            Err(error) => error,
        };
        let (valid, rest) = bytes.split_at(error.valid_up_to());
        text.push_str(std::str::from_utf8(valid).unwrap_or_default());
        text.push(char::REPLACEMENT_CHARACTER);
        bytes = rest.get(error.error_len().unwrap_or(rest.len())..).unwrap_or_default();
    }
}

/// A random letter or digit. `Rng::alphanumeric` gives another one where pointers have another size.
#[inline(never)]
pub(crate) fn random_letter(rng: &mut fastrand::Rng) -> u8 {
    let number = rng.u64(..);
    // The high half of the product, so that each is as likely.
    let carried = ((number & 0xffff_ffff) * 62) >> 32;
    match (((number >> 32) * 62 + carried) >> 32) as u8 {
        capital @ 0..26 => b'A' + capital,
        small @ 26..52 => b'a' + small - 26,
        digit => b'0' + digit - 52,
    }
}

/// Appends a number in decimal, with zeros before it up to this many digits.
pub fn push_decimal(out: &mut String, number: u64, digits: usize) {
    push_digits(out, number, 10, digits);
}

/// Appends a number in hexadecimal with capital letters, the same way.
pub(crate) fn push_hex(out: &mut String, number: u64, digits: usize) {
    push_digits(out, number, 16, digits);
}

fn push_digits(out: &mut String, number: u64, radix: u64, digits: usize) {
    if number >= radix || digits > 1 {
        push_digits(out, number / radix, radix, digits.saturating_sub(1));
    }
    out.push(char::from(b"0123456789ABCDEF"[(number % radix) as usize]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn letters_are_those_of_64_bits() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut oracle = rng.clone();
        for _ in 0..1000 {
            assert_eq!(char::from(random_letter(&mut rng)), oracle.alphanumeric());
        }
    }

    proptest! {
        #[test]
        fn text_is_split_as_the_standard_library_splits_it(text in "[a{$}é]{0,12}", mark in "[a{$é]{1,2}") {
            prop_assert_eq!(split_at_first(&text, &mark), text.split_once(&mark));
        }

        #[test]
        fn bytes_are_read_as_the_standard_library_reads_them(
            bytes in prop::collection::vec(prop::sample::select(&b"a\xc3\xa9\xe2\x82\xf0\x9f\xff"[..]), 0..12),
        ) {
            prop_assert_eq!(from_utf8_lossy(&bytes), String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn numbers_are_written_as_the_standard_library_writes_them(number: u64, shift in 0u32..64) {
            let number = number >> shift;
            let mut text = String::new();
            push_decimal(&mut text, number, 3);
            push_hex(&mut text, number, 2);
            push_decimal(&mut text, number, 1);
            prop_assert_eq!(text, format!("{number:03}{number:02X}{number}"));
        }
    }
}
