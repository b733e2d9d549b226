//! A few ways to take text apart and put it together. The standard library's formatter and its search for
//! substrings do more, and each page would download them.

/// Around the first `mark`.
pub(crate) fn split_at_first<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let windows = text.as_bytes().windows(mark.len().max(1));
    let at = windows.clone().position(|window| window == mark.as_bytes())?;
    // Both ends are borders of characters: what is between them is a text too.
    Some((text.get(..at)?, text.get(at + mark.len()..)?))
}

/// Appends a number in decimal, with zeros before it up to this many digits.
pub(crate) fn push_decimal(out: &mut String, number: u64, digits: usize) {
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

    proptest! {
        #[test]
        fn text_is_split_as_the_standard_library_splits_it(text in "[a{$}é]{0,12}", mark in "[a{$é]{1,2}") {
            prop_assert_eq!(split_at_first(&text, &mark), text.split_once(&mark));
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
