//! Numbers as text, without the standard library's formatting code.

/// Appends a number in decimal.
pub(crate) fn decimal(out: &mut String, value: u32) {
    if value >= 10 {
        decimal(out, value / 10);
    }
    out.push(char::from(b'0' + (value % 10) as u8));
}

/// Appends a number in lower-case hexadecimal, with at least `digits` digits.
pub(crate) fn hex(out: &mut String, value: u32, digits: u32) {
    if value >= 16 || digits > 1 {
        hex(out, value >> 4, digits.saturating_sub(1));
    }
    let digit = (value & 15) as u8;
    out.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_expected() {
        let mut out = String::new();
        decimal(&mut out, 0);
        decimal(&mut out, 120);
        out.push(' ');
        hex(&mut out, 0x1f, 2);
        hex(&mut out, 0x4, 2);
        hex(&mut out, 0xb0, 1);
        hex(&mut out, 0, 1);
        assert_eq!(out, "0120 1f04b00");
    }
}
