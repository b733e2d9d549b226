//! Dates of `EXT-X-PROGRAM-DATE-TIME` and `EXT-X-DATERANGE`: ISO 8601, read without a calendar library.

/// Milliseconds since the epoch of an ISO 8601 date such as `2010-02-19T14:54:23.031+08:00`
/// (RFC 8216 §4.3.2.6). Without a time zone it is taken as UTC. Digits below a millisecond are dropped.
#[must_use]
pub fn parse_date(text: &str) -> Option<f64> {
    let mut rest = Cursor(text.trim_ascii().as_bytes());
    let negative = rest.0.first() == Some(&b'-');
    let signed = negative || rest.0.first() == Some(&b'+');
    if signed {
        rest.skip();
    }
    let year = rest.digits(if signed { 6 } else { 4 })?;
    let year = if negative { -year } else { year };
    // The extended format has hyphens and colons, the basic one has none.
    let mut month = 1;
    let mut day = 1;
    if !rest.0.is_empty() {
        let extended = rest.eat(b'-');
        month = rest.digits(2)?;
        if !rest.0.is_empty() && !rest.at_time() {
            if extended != rest.eat(b'-') {
                return None;
            }
            day = rest.digits(2)?;
        }
    }
    if !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) {
        return None;
    }
    let milliseconds = days_since_epoch(year, month, day) * 86_400_000;
    if rest.0.is_empty() {
        return Some(milliseconds as f64);
    }
    if !rest.at_time() {
        return None;
    }
    rest.skip();
    let time = rest.time()?;
    let zone = rest.zone_minutes()?;
    Some((milliseconds + time - zone * 60_000) as f64)
}

/// What is left of a date. Works on bytes: live playlists have a date for each segment.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn skip(&mut self) {
        self.0 = self.0.get(1..).unwrap_or_default();
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = matches!(self.0.first(), Some(first) if *first == byte);
        if found {
            self.skip();
        }
        found
    }

    fn at_time(&self) -> bool {
        matches!(self.0.first(), Some(b'T' | b't' | b' '))
    }

    /// Exactly so many digits.
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (head, tail) = self.0.split_at_checked(count)?;
        let mut value = 0;
        for byte in head {
            if !byte.is_ascii_digit() {
                return None;
            }
            value = value * 10 + i64::from(byte - b'0');
        }
        self.0 = tail;
        Some(value)
    }

    /// `hh:mm[:ss[.f…]]` or `hhmm[ss[.f…]]`, in milliseconds.
    fn time(&mut self) -> Option<i64> {
        let hour = self.digits(2)?;
        let extended = self.eat(b':');
        let minute = self.digits(2)?;
        let mut milliseconds = 0;
        let more = matches!(self.0.first(), Some(b'0'..=b'9'));
        if (extended && self.eat(b':')) || (!extended && more) {
            let second = self.digits(2)?;
            if second > 60 {
                return None;
            }
            milliseconds = second * 1000;
            if matches!(self.0.first(), Some(b'.' | b',')) {
                self.skip();
                milliseconds += self.fraction()?;
            }
        }
        let midnight = hour == 24 && minute == 0 && milliseconds == 0;
        if minute > 59 || (hour > 23 && !midnight) {
            return None;
        }
        Some((hour * 60 + minute) * 60_000 + milliseconds)
    }

    /// At least one digit, as milliseconds.
    fn fraction(&mut self) -> Option<i64> {
        let mut weight = 100;
        let mut value = 0;
        let mut any = false;
        while let Some(digit @ b'0'..=b'9') = self.0.first() {
            value += weight * i64::from(digit - b'0');
            weight /= 10;
            any = true;
            self.skip();
        }
        any.then_some(value)
    }

    /// Minutes east of UTC of `Z`, `+hh`, `+hhmm` or `+hh:mm`; 0 when nothing is left.
    fn zone_minutes(&mut self) -> Option<i64> {
        let text = self.0.trim_ascii_start();
        let east = match text.first() {
            None => return Some(0),
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(_) => {
                let utc = text.eq_ignore_ascii_case(b"z") || text.eq_ignore_ascii_case(b"utc");
                return utc.then_some(0);
            }
        };
        self.0 = &text[1..];
        let hours = self.digits(2)?;
        self.eat(b':');
        let minutes = if self.0.is_empty() { 0 } else { self.digits(2)? };
        (self.0.is_empty() && minutes <= 59).then_some(east * (hours * 60 + minutes))
    }
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar: years are counted from March, so that the leap day
/// is a year's last.
const fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
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
