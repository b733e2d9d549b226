//! Dates of `EXT-X-PROGRAM-DATE-TIME` and `EXT-X-DATERANGE`: ISO 8601, read without a calendar library.

use super::number;

/// Milliseconds since the epoch of an ISO 8601 date such as `2010-02-19T14:54:23.031+08:00`
/// (RFC 8216 §4.3.2.6). Without a time zone it is taken as UTC. Digits below a millisecond are dropped.
#[must_use]
pub fn parse_date(text: &str) -> Option<f64> {
    let text = text.trim();
    let mut rest = text;
    let negative = rest.starts_with('-');
    let signed = negative || rest.starts_with('+');
    if signed {
        rest = &rest[1..];
    }
    let year = i64::try_from(digits(&mut rest, if signed { 6 } else { 4 })?).ok()?;
    let year = if negative { -year } else { year };
    // The extended format has hyphens and colons, the basic one has none.
    let mut month = 1;
    let mut day = 1;
    if !rest.is_empty() {
        let extended = eat(&mut rest, "-");
        month = digits(&mut rest, 2)?;
        if !rest.is_empty() && !rest.starts_with(['T', 't', ' ']) {
            if extended != eat(&mut rest, "-") {
                return None;
            }
            day = digits(&mut rest, 2)?;
        }
    }
    if !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) {
        return None;
    }
    let mut milliseconds = days_since_epoch(year, month, day) * 86_400_000;
    if rest.is_empty() {
        return Some(milliseconds as f64);
    }
    if !rest.starts_with(['T', 't', ' ']) {
        return None;
    }
    rest = rest[1..].trim_start();
    let hour = digits(&mut rest, 2)?;
    let extended = eat(&mut rest, ":");
    let minute = digits(&mut rest, 2)?;
    let mut second = 0;
    let mut fraction = 0;
    if (extended && eat(&mut rest, ":"))
        || (!extended && rest.starts_with(|c: char| c.is_ascii_digit()))
    {
        second = digits(&mut rest, 2)?;
        if rest.starts_with(['.', ',']) {
            rest = &rest[1..];
            let length = rest.bytes().take_while(u8::is_ascii_digit).count();
            if length == 0 {
                return None;
            }
            fraction = rest.as_bytes()[..length]
                .iter()
                .chain(b"000")
                .take(3)
                .fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
            rest = &rest[length..];
        }
    }
    if hour > 24 || minute > 59 || second > 60 || (hour == 24 && minute + second + fraction > 0) {
        return None;
    }
    milliseconds += i64::try_from(((hour * 60 + minute) * 60 + second) * 1000 + fraction).ok()?;
    milliseconds -= zone_minutes(rest.trim_start())? * 60_000;
    Some(milliseconds as f64)
}

/// Minutes east of UTC of `Z`, `+hh`, `+hhmm` or `+hh:mm`.
fn zone_minutes(text: &str) -> Option<i64> {
    if text.is_empty() || text.eq_ignore_ascii_case("z") || text.eq_ignore_ascii_case("utc") {
        return Some(0);
    }
    let east = match text.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let mut rest = &text[1..];
    let hours = digits(&mut rest, 2)?;
    eat(&mut rest, ":");
    let minutes = if rest.is_empty() { 0 } else { digits(&mut rest, 2)? };
    if !rest.is_empty() || minutes > 59 {
        return None;
    }
    Some(east * i64::try_from(hours * 60 + minutes).ok()?)
}

fn digits(rest: &mut &str, count: usize) -> Option<u64> {
    let head = rest.get(..count)?;
    if !head.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    *rest = &rest[count..];
    number::integer(head)
}

fn eat(rest: &mut &str, prefix: &str) -> bool {
    let Some(tail) = rest.strip_prefix(prefix) else {
        return false;
    };
    *rest = tail;
    true
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_of_month(year: i64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar: years are counted from March, so that the leap day
/// is a year's last.
fn days_since_epoch(year: i64, month: u64, day: u64) -> i64 {
    let month = month as i64;
    let year = if month > 2 { year } else { year - 1 };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day as i64 - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::parse_date;

    #[test]
    fn dates_with_every_kind_of_zone_are_read() {
        for text in [
            "2010-02-19T14:54:23.031+08:00",
            "2010-02-19T14:54:23.031999+0800",
            "2010-02-19T06:54:23.031Z",
            "2010-02-19T06:54:23.031",
            "20100219T065423.031Z",
            " 2010-02-19 14:54:23,031+08 ",
        ] {
            assert_eq!(parse_date(text), Some(1_266_562_463_031.0), "{text}");
        }
    }

    #[test]
    fn calendar_edges_are_right() {
        assert_eq!(parse_date("1970-01-01"), Some(0.0));
        assert_eq!(parse_date("2000-02-29T00:00Z"), Some(951_782_400_000.0));
        assert_eq!(parse_date("1969-12-31T24:00:00Z"), Some(0.0));
        assert_eq!(parse_date("2024-12-31T23:59:59.9-00:30"), Some(1_735_691_399_900.0));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "now",
            "2001-02-29T00:00Z",
            "2010-13-01",
            "2010-02-19T25:00Z",
            "2010-02-19T14",
            "é010",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }
}
