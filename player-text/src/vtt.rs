//! WebVTT files (W3C WebVTT §6), and what HLS adds to them (RFC 8216 §3.5).

use crate::markup::percent;
use crate::number::{decimal, split_at};
use crate::ttml::LINE_HEIGHT;
use crate::{Cue, MAX_CUES, MAX_TEXT, truncate};

/// Longest line that can be a timing or a header, in bytes.
const MAX_LINE: usize = 1024;
/// Most regions of a file.
const MAX_REGIONS: usize = 64;

/// A WebVTT file.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Document {
    /// Its cues, on the file's own timeline.
    pub(crate) cues: Vec<Cue>,
    /// `X-TIMESTAMP-MAP`: what to add to the file's times to get the stream's, in seconds.
    pub(crate) map: Option<f64>,
}

/// Reads a file; `None` when it does not begin with `WEBVTT`.
pub(crate) fn read(text: &str) -> Option<Document> {
    let text = text.trim_start_matches('\u{feff}');
    let rest = text.strip_prefix("WEBVTT")?;
    if !rest.is_empty() && !rest.starts_with([' ', '\t', '\r', '\n']) {
        return None;
    }
    let mut document = Document::default();
    let mut lines = Lines { rest: text };
    // The header ends at the first blank line, or, in files of the field, at the first cue.
    let mut block: Vec<&str> = Vec::new();
    let mut regions: Vec<Region<'_>> = Vec::new();
    let mut header = true;
    loop {
        let line = lines.next();
        let blank = line.is_none_or(str::is_empty);
        let timing = line.is_some_and(|line| line.len() < MAX_LINE && is_timing(line));
        if header {
            if let Some(map) = line.and_then(|line| line.strip_prefix("X-TIMESTAMP-MAP")) {
                document.map = read_map(map);
            }
            header = !blank && !timing;
            if header {
                continue;
            }
        }
        // A second timing line ends a block that no blank line ended; an identifier before it is lost.
        if blank || timing && block.iter().any(|line| is_timing(line)) {
            if block.first().is_some_and(|line| line.trim_end() == "REGION") {
                if regions.len() < MAX_REGIONS {
                    regions.extend(read_region(&block[1..]));
                }
            } else if document.cues.len() < MAX_CUES {
                document.cues.extend(read_block(&block, &regions));
            }
            block.clear();
        }
        match line {
            Some(line) if !blank => block.push(line),
            Some(_) => {}
            None => return Some(document),
        }
    }
}

/// `=LOCAL:00:00:00.000,MPEGTS:900000`, in either order.
fn read_map(text: &str) -> Option<f64> {
    let (mut local, mut mpegts) = (None, None);
    for part in text.trim_start_matches(['=', ':']).split(',') {
        let part = part.trim();
        if let Some(time) = part.strip_prefix("LOCAL:") {
            local = timestamp(time.trim());
        } else if let Some(ticks) = part.strip_prefix("MPEGTS:") {
            mpegts = decimal(ticks);
        }
    }
    // 33 bits: more than that is written by servers that do not let the clock start anew.
    Some(mpegts? / 90_000.0 - local?)
}

fn is_timing(line: &str) -> bool {
    split_at(line, "-->").is_some()
}

/// Where cues may be told to go, in percent of the picture (§3.4).
struct Region<'a> {
    id: &'a str,
    left: f64,
    width: f64,
    bottom: f64,
}

fn read_region<'a>(lines: &[&'a str]) -> Option<Region<'a>> {
    let (mut id, mut width, mut rows) = ("", 100.0, 3.0);
    let (mut anchor, mut viewport) = ((0.0, 100.0), (0.0, 100.0));
    let settings = lines.iter().flat_map(|line| line.split_ascii_whitespace());
    for (name, value) in settings.filter_map(|setting| split_at(setting, ":")) {
        let pair = || {
            let (x, y) = value.split_once(',')?;
            Some((percentage(x)?, percentage(y)?))
        };
        match name {
            "id" => id = value,
            "width" => width = percentage(value).unwrap_or(width),
            "lines" => rows = decimal(value).filter(|rows| *rows >= 0.0).unwrap_or(rows),
            "regionanchor" => anchor = pair().unwrap_or(anchor),
            "viewportanchor" => viewport = pair().unwrap_or(viewport),
            _ => {}
        }
    }
    let left = viewport.0 - width * anchor.0 / 100.0;
    let bottom = viewport.1 + rows * LINE_HEIGHT * (1.0 - anchor.1 / 100.0);
    (!id.is_empty()).then_some(Region { id, left, width, bottom })
}

fn percentage(text: &str) -> Option<f64> {
    decimal(text.strip_suffix('%')?).filter(|value| (0.0..=100.0).contains(value))
}

/// Settings that put a cue of so many lines at the bottom of its region, which not all browsers know; those that it has
/// where it has none, or a place of its own.
fn settle(settings: &str, regions: &[Region<'_>], lines: usize) -> String {
    let value = |name: &str| {
        let mut settings = settings.split_ascii_whitespace().filter_map(|one| split_at(one, ":"));
        settings.find(|(found, _)| *found == name).map(|(_, value)| value)
    };
    let region = value("region").and_then(|id| regions.iter().rfind(|region| region.id == id));
    let own = ["line", "size", "vertical"].iter().any(|name| value(name).is_some());
    let Some(region) = region.filter(|_| !own) else { return settings.to_owned() };
    let align = value("align").unwrap_or("center");
    let position = match (value("position").and_then(percentage), align) {
        (Some(position), _) => position,
        (None, "start" | "left") => 0.0,
        (None, "end" | "right") => 100.0,
        (None, _) => 50.0,
    };
    let mut out = String::new();
    let line = region.bottom - lines.min(100) as f64 * LINE_HEIGHT;
    percent(&mut out, "line", line);
    percent(&mut out, "position", region.left + region.width * position / 100.0);
    percent(&mut out, "size", region.width);
    [out.as_str(), " align:", align].concat()
}

fn read_block(lines: &[&str], regions: &[Region<'_>]) -> Option<Cue> {
    let at = lines.iter().take(2).position(|line| is_timing(line))?;
    let (start, rest) = split_at(lines[at], "-->")?;
    let rest = rest.trim_start();
    let (end, settings) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let (start, end) = (timestamp(start.trim())?, timestamp(end)?);
    if end <= start {
        return None;
    }
    let mut text = String::new();
    for line in &lines[at + 1..] {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(line);
        if text.len() > MAX_TEXT {
            break;
        }
    }
    truncate(&mut text, MAX_TEXT);
    let mut settings = settings.trim().to_owned();
    truncate(&mut settings, MAX_LINE);
    let settings = settle(&settings, regions, lines.len() - at - 1);
    let mut id = if at == 1 { lines[0].to_owned() } else { String::new() };
    truncate(&mut id, MAX_LINE);
    Some(Cue { start, end, id, settings, text: text.replace('\0', "\u{fffd}"), ..Cue::default() })
}

/// `[hours:]minutes:seconds.fraction` in seconds; a comma before the fraction is tolerated.
pub(crate) fn timestamp(text: &str) -> Option<f64> {
    let mut seconds = 0.0;
    let mut parts = 0;
    for part in text.split(':') {
        parts += 1;
        // Some write a comma before the fraction.
        let number = match part.split_once(',') {
            Some((whole, fraction)) => decimal(&[whole, ".", fraction].concat()),
            None => decimal(part),
        };
        seconds = seconds * 60.0 + number.filter(|number| *number >= 0.0)?;
    }
    (2..=3).contains(&parts).then_some(seconds)
}

/// Lines that end with a carriage return, a line feed, or both.
struct Lines<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let Some(end) = self.rest.bytes().position(|byte| byte == b'\n' || byte == b'\r') else {
            return Some(std::mem::take(&mut self.rest));
        };
        let line = &self.rest[..end];
        let after = &self.rest[end..];
        self.rest = after.strip_prefix("\r\n").unwrap_or_else(|| &after[1..]);
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cues(text: &str) -> Vec<(f64, f64, String)> {
        let document = read(text).unwrap();
        document.cues.into_iter().map(|cue| (cue.start, cue.end, cue.text)).collect()
    }

    #[test]
    fn cues_have_times_settings_identifiers_and_lines() {
        let text = "WEBVTT - a film\r\n\r\nNOTE --> no\r\n\r\n7\r\n00:01.500 --> 01:00:02.000 line:0 align:left\r\n<i>Hello</i>\r\nworld\r\n\r\n00:00:03.000 --> 00:00:04.000\r\nBye";
        let document = read(text).unwrap();
        assert_eq!(document.cues.len(), 2);
        let cue = &document.cues[0];
        assert_eq!((cue.start, cue.end), (1.5, 3602.0));
        assert_eq!((cue.id.as_str(), cue.settings.as_str()), ("7", "line:0 align:left"));
        assert_eq!(cue.text, "<i>Hello</i>\nworld");
        assert_eq!(document.cues[1].text, "Bye");
    }

    #[test]
    fn cues_are_put_where_their_region_is() {
        let head = "WEBVTT\n\nREGION\nid:left width:40% lines:3 regionanchor:0%,100%\nviewportanchor:10%,90%\n\nREGION\nid:plain\n\nREGION\nwidth:1%\n\n";
        let settings = |cue: &str| {
            let text = [head, "00:01.000 --> 00:02.000 ", cue, "\nmore\n\n"].concat();
            read(&text).unwrap().cues[0].settings.clone()
        };
        assert_eq!(
            settings("region:left align:start\na"),
            "line:79.3% position:10% size:40% align:start"
        );
        assert_eq!(settings("region:left\na"), "line:79.3% position:30% size:40% align:center");
        assert_eq!(
            settings("region:left position:25%"),
            "line:84.7% position:20% size:40% align:center"
        );
        assert_eq!(
            settings("region:plain align:end"),
            "line:94.7% position:100% size:100% align:end"
        );
        for unchanged in
            ["region:none line:0", "region:left line:0", "region:left size:50%", "align:end"]
        {
            assert_eq!(settings(unchanged), unchanged);
        }
    }

    #[test]
    fn a_timestamp_map_is_read_in_either_order() {
        let map = |line: &str| read(&["WEBVTT\n", line, "\n\n"].concat()).unwrap().map;
        assert_eq!(map("X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:900000"), Some(10.0));
        assert_eq!(map("X-TIMESTAMP-MAP=MPEGTS:324000000, LOCAL:01:00:00.000"), Some(0.0));
        assert_eq!(map("X-TIMESTAMP-MAP=MPEGTS:x,LOCAL:00:00.000"), None);
        assert_eq!(map("Kind: captions"), None);
    }

    #[test]
    fn files_of_the_field_are_tolerated() {
        assert_eq!(
            cues("WEBVTT\n00:01.000 --> 00:02.000\na\n00:03.000 --> 00:04,000\nb"),
            [(1.0, 2.0, "a".into()), (3.0, 4.0, "b".into())]
        );
        assert_eq!(
            cues("\u{feff}WEBVTT\r\r00:01.000-->00:02.000\ra\r\r"),
            [(1.0, 2.0, "a".into())]
        );
    }

    #[test]
    fn what_is_no_webvtt_is_refused_and_bad_cues_are_left_out() {
        assert_eq!(read("WEBVTTX\n"), None);
        assert_eq!(read("<html>"), None);
        assert!(
            cues("WEBVTT\n\n00:05.000 --> 00:05.000\nno time\n\n0:x --> 1:2\nbad\n\n--> \n")
                .is_empty()
        );
        assert!(cues("WEBVTT\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:a\n").is_empty());
    }
}
