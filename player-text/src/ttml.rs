//! TTML as IMSC1 text has it (W3C IMSC 1.1, TTML2): paragraphs with times, in regions, with a little style.

use crate::markup::{Color, Markup, Style, percent};
use crate::number::decimal;
use crate::xml::{Node, Reader};
use crate::{Cue, MAX_CUES, MAX_TEXT, truncate};

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 64;
/// Most styles and regions.
const MAX_DEFINITIONS: usize = 1000;
/// Height of a line of text in a browser, in percent of the picture's.
pub(crate) const LINE_HEIGHT: f64 = 5.33;

type Attributes<'a> = Vec<(&'a str, String)>;

/// Reads a document; `None` when it is not TTML. Times are the document's.
pub(crate) fn read(text: &str) -> Option<Vec<Cue>> {
    let mut document = Document::default();
    let mut root = false;
    for node in Reader::new(text) {
        match node {
            Node::Start { name, attributes, closed } => {
                root |= name == "tt";
                if !root || document.stack.len() >= MAX_DEPTH {
                    return None;
                }
                document.open(name, attributes);
                if closed {
                    document.close();
                }
            }
            Node::End => document.close(),
            Node::Text(text) => document.text(&text),
        }
    }
    // What was cut off is shown as far as it came.
    while !document.stack.is_empty() {
        document.close();
    }
    root.then_some(document.cues)
}

/// An element that is open.
#[derive(Debug, Clone, Default)]
struct Element {
    name: String,
    /// `xml:id`, while it is a style or a region.
    id: String,
    begin: f64,
    end: f64,
    style: Style,
    /// `text-align`, `display-align`, `origin`, `extent` and `display` in effect.
    layout: Layout,
    region: String,
    preserve: bool,
    hidden: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Layout {
    align: Option<String>,
    display_align: Option<String>,
    origin: Option<(f64, f64)>,
    extent: Option<(f64, f64)>,
}

/// What text shows at the same time, in the same place.
#[derive(Debug)]
struct Run {
    begin: f64,
    end: f64,
    settings: Layout,
    text: Markup,
}

#[derive(Debug, Default)]
struct Document<'a> {
    stack: Vec<Element>,
    styles: Vec<(String, Attributes<'a>)>,
    regions: Vec<(String, Attributes<'a>)>,
    runs: Vec<Run>,
    cues: Vec<Cue>,
    frame_rate: f64,
    tick_rate: f64,
    /// Pixels of the root container, for lengths in pixels.
    root: Option<(f64, f64)>,
    /// Columns and rows, for lengths in cells.
    cells: (f64, f64),
}

impl<'a> Document<'a> {
    fn open(&mut self, name: &str, attributes: Attributes<'a>) {
        let value = |key: &str| {
            attributes.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
        };
        let parent = self
            .stack
            .last()
            .cloned()
            .unwrap_or_else(|| Element { end: f64::INFINITY, ..Element::default() });
        if name == "tt" {
            self.read_root(&value);
        }
        let mut element = Element {
            name: name.to_owned(),
            id: value("id").unwrap_or_default().to_owned(),
            ..parent.clone()
        };
        if let Some(space) = value("space") {
            element.preserve = space == "preserve";
        }
        match name {
            "style" if parent.name == "region" => {
                if let Some((_, region)) = self.regions.iter_mut().rfind(|(id, _)| *id == parent.id)
                {
                    region.extend(attributes);
                }
            }
            "style" if self.styles.len() < MAX_DEFINITIONS => {
                self.styles.push((element.id.clone(), attributes));
            }
            "region" if self.regions.len() < MAX_DEFINITIONS => {
                self.regions.push((element.id.clone(), attributes));
            }
            "br" => self.push('\n'),
            "body" | "div" | "p" | "span" => {
                let time = |key: &str| value(key).and_then(|text| self.time(text));
                if let Some(begin) = time("begin") {
                    element.begin = parent.begin + begin;
                }
                let end = time("end").map(|end| parent.begin + end);
                let duration = time("dur").map(|duration| element.begin + duration);
                for limit in [end, duration].into_iter().flatten() {
                    element.end = element.end.min(limit);
                }
                if let Some(region) = value("region") {
                    element.region = region.to_owned();
                    if let Some(attributes) = find(&self.regions, region).cloned() {
                        element.layout = Layout::default();
                        self.apply(&attributes, &mut element, 0);
                    }
                }
                self.apply(&attributes, &mut element, 0);
            }
            _ => {}
        }
        self.stack.push(element);
    }

    fn close(&mut self) {
        let Some(element) = self.stack.pop() else { return };
        if element.name == "p" {
            self.flush();
        }
    }

    fn text(&mut self, text: &str) {
        let Some(element) = self.stack.last() else { return };
        if !matches!(element.name.as_str(), "p" | "span") {
            return;
        }
        let preserve = element.preserve;
        for character in text.chars() {
            match character {
                '\r' => {}
                ' ' | '\n' | '\t' if !preserve => self.push(' '),
                other => self.push(other),
            }
        }
    }

    /// Adds a character to what is shown along with the element that is open.
    fn push(&mut self, character: char) {
        let Some(element) = self.stack.last() else { return };
        if element.hidden {
            return;
        }
        let same = self.runs.last().is_some_and(|run| {
            (run.begin, run.end) == (element.begin, element.end) && run.settings == element.layout
        });
        if !same {
            if character == ' ' || self.runs.len() >= MAX_CUES {
                return;
            }
            let (begin, end) = (element.begin, element.end);
            self.runs.push(Run {
                begin,
                end,
                settings: element.layout.clone(),
                text: Markup::default(),
            });
        }
        let (style, preserve) = (element.style, element.preserve);
        let Some(run) = self.runs.last_mut().filter(|run| run.text.len() < MAX_TEXT) else {
            return;
        };
        if character == '\n' {
            run.text.trim_line();
        } else if character == ' ' && !preserve && run.text.ends_blank() {
            return;
        }
        run.text.push(character, style);
    }

    /// Makes cues of a paragraph that has ended.
    fn flush(&mut self) {
        for run in std::mem::take(&mut self.runs) {
            let text = run.text.finish();
            let mut text = text.trim_matches([' ', '\n']).to_owned();
            truncate(&mut text, MAX_TEXT);
            if text.is_empty() || run.end <= run.begin || self.cues.len() >= MAX_CUES {
                continue;
            }
            let settings = settings(&run.settings, text.lines().count());
            self.cues.push(Cue {
                start: run.begin,
                end: run.end,
                settings,
                text,
                ..Cue::default()
            });
        }
    }

    fn read_root<'v>(&mut self, value: &impl Fn(&str) -> Option<&'v str>) {
        let number = |key: &str| value(key).and_then(decimal);
        let positive = |number: &f64| number.is_finite() && *number > 0.0;
        let multiplier = value("frameRateMultiplier").and_then(|text| {
            let (over, under) = text.split_once([' ', ':'])?;
            Some(decimal(over)? / decimal(under)?)
        });
        let rate = number("frameRate").filter(positive);
        self.frame_rate = rate.unwrap_or(30.0) * multiplier.filter(positive).unwrap_or(1.0);
        let ticks = rate.map_or(1.0, |_| self.frame_rate);
        self.tick_rate = number("tickRate").filter(positive).unwrap_or(ticks);
        self.root = value("extent").and_then(|text| {
            let (width, height) = text.split_once(' ')?;
            let pixels = |text: &str| decimal(text.trim().strip_suffix("px")?).filter(positive);
            Some((pixels(width)?, pixels(height)?))
        });
        let cells = value("cellResolution").and_then(|text| {
            let (columns, rows) = text.split_once(' ')?;
            Some((decimal(columns).filter(positive)?, decimal(rows).filter(positive)?))
        });
        self.cells = cells.unwrap_or((32.0, 15.0));
    }

    /// Takes up the style attributes, and before them those of the styles they refer to.
    fn apply(&self, attributes: &Attributes<'_>, element: &mut Element, depth: usize) {
        for (_, value) in attributes.iter().filter(|(name, _)| *name == "style") {
            for id in value.split_ascii_whitespace().take(16) {
                if let Some(style) = find(&self.styles, id).filter(|_| depth < 4) {
                    self.apply(style, element, depth + 1);
                }
            }
        }
        for (name, value) in attributes {
            let value = value.trim();
            match *name {
                "fontStyle" => element.style.italic = matches!(value, "italic" | "oblique"),
                "fontWeight" => element.style.bold = value == "bold",
                "textDecoration" => element.style.underline = value == "underline",
                "color" => element.style.color = color(value),
                "textAlign" => element.layout.align = Some(value.to_owned()),
                "displayAlign" => element.layout.display_align = Some(value.to_owned()),
                "origin" => element.layout.origin = self.pair(value),
                "extent" => element.layout.extent = self.pair(value),
                "display" | "visibility" => element.hidden |= matches!(value, "none" | "hidden"),
                _ => {}
            }
        }
    }

    /// Two lengths, in percent of the picture.
    fn pair(&self, text: &str) -> Option<(f64, f64)> {
        let (x, y) = text.split_once(char::is_whitespace)?;
        let length = |text: &str, pixels: Option<f64>, cells: f64| {
            let text = text.trim();
            let number = |suffix: &str| decimal(text.strip_suffix(suffix)?);
            let percent = number("%")
                .or_else(|| Some(number("px")? * 100.0 / pixels?))
                .or_else(|| Some(number("c")? * 100.0 / cells))
                .or_else(|| {
                    number("vw")
                        .or_else(|| number("vh"))
                        .or_else(|| number("rw"))
                        .or_else(|| number("rh"))
                });
            percent.filter(|percent| percent.is_finite())
        };
        let root = self.root;
        Some((
            length(x, root.map(|root| root.0), self.cells.0)?,
            length(y, root.map(|root| root.1), self.cells.1)?,
        ))
    }

    /// A time expression in seconds (TTML2 §12.3.1).
    fn time(&self, text: &str) -> Option<f64> {
        let text = text.trim();
        let seconds = if text.contains(':') {
            let mut parts = text.split(':');
            let hours = decimal(parts.next()?)?;
            let minutes = decimal(parts.next()?)?;
            let seconds = decimal(parts.next()?)?;
            let frames = parts.next().map_or(Some(0.0), decimal)?;
            hours * 3600.0 + minutes * 60.0 + seconds + frames / self.frame_rate
        } else {
            let digits =
                text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
            let number = decimal(&text[..digits])?;
            number
                * match &text[digits..] {
                    "h" => 3600.0,
                    "m" => 60.0,
                    "s" => 1.0,
                    "ms" => 0.001,
                    "f" => 1.0 / self.frame_rate,
                    "t" => 1.0 / self.tick_rate,
                    _ => return None,
                }
        };
        (seconds.is_finite() && seconds >= 0.0).then_some(seconds)
    }
}

/// The style or region with this name.
fn find<'d, 'a>(defined: &'d [(String, Attributes<'a>)], id: &str) -> Option<&'d Attributes<'a>> {
    defined.iter().rfind(|(name, _)| name == id).map(|(_, attributes)| attributes)
}

/// WebVTT settings that put text about where the region has it.
fn settings(layout: &Layout, lines: usize) -> String {
    let mut out = String::new();
    let align = match layout.align.as_deref() {
        Some("left" | "start" | "justify") => "start",
        Some("right" | "end") => "end",
        Some("center") => "center",
        _ if layout.origin.is_some() => "start",
        _ => "center",
    };
    if let (Some((x, y)), Some((width, height))) = (layout.origin, layout.extent) {
        let text = lines as f64 * LINE_HEIGHT;
        let line = match layout.display_align.as_deref() {
            Some("center") => y + (height - text) / 2.0,
            Some("after") => y + height - text,
            _ => y,
        };
        let position = match align {
            "start" => x,
            "end" => x + width,
            _ => x + width / 2.0,
        };
        percent(&mut out, "line", line.min(100.0 - text));
        percent(&mut out, "position", position);
        percent(&mut out, "size", width);
    }
    if align != "center" {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str("align:");
        out.push_str(align);
    }
    out
}

/// The nearest colour that WebVTT has a class for.
fn color(text: &str) -> Color {
    let hex = text.strip_prefix('#').filter(|hex| hex.len() >= 6 && hex.is_ascii());
    let component = |at: usize| hex.and_then(|hex| u8::from_str_radix(&hex[at..at + 2], 16).ok());
    if let (Some(red), Some(green), Some(blue)) = (component(0), component(2), component(4)) {
        return match (red > 127, green > 127, blue > 127) {
            (true, true, true) => Color::White,
            (true, true, false) => Color::Yellow,
            (true, false, true) => Color::Magenta,
            (true, false, false) => Color::Red,
            (false, true, true) => Color::Cyan,
            (false, true, false) => Color::Lime,
            (false, false, true) => Color::Blue,
            (false, false, false) => Color::Black,
        };
    }
    match text {
        "yellow" => Color::Yellow,
        "magenta" | "fuchsia" => Color::Magenta,
        "red" => Color::Red,
        "cyan" | "aqua" => Color::Cyan,
        "lime" | "green" => Color::Lime,
        "blue" => Color::Blue,
        "black" => Color::Black,
        _ => Color::White,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(head: &str, body: &str) -> Vec<Cue> {
        read(&["<tt xmlns=\"http://www.w3.org/ns/ttml\" xmlns:tts=\"x\" ttp:frameRate=\"25\" ttp:tickRate=\"1000\"><head>", head, "</head><body>", body, "</body></tt>"].concat()).unwrap()
    }

    fn shown(cues: &[Cue]) -> Vec<(f64, f64, &str)> {
        cues.iter().map(|cue| (cue.start, cue.end, cue.text.as_str())).collect()
    }

    #[test]
    fn paragraphs_become_cues_at_their_times() {
        let cues = document(
            "",
            "<div begin=\"10s\"><p begin=\"00:00:01.5\" end=\"00:00:03:05\">one<br/> two</p> <p begin=\"4000t\" dur=\"25f\"> a \n b</p></div>",
        );
        assert_eq!(shown(&cues), [(11.5, 13.2, "one\ntwo"), (14.0, 15.0, "a b")]);
    }

    #[test]
    fn styles_are_taken_from_references_and_attributes() {
        let cues = document(
            "<styling><style xml:id=\"s\" tts:fontStyle=\"italic\"/><style xml:id=\"y\" style=\"s\" tts:color=\"#ffff00ff\"/></styling>",
            "<div><p begin=\"1s\" end=\"2s\">a <span style=\"y\">b</span> <span tts:fontWeight=\"bold\">&lt;c&gt;</span></p></div>",
        );
        assert_eq!(cues[0].text, "a <i><c.yellow>b </c></i><b>&lt;c&gt;</b>");
    }

    #[test]
    fn regions_become_positions() {
        let region = |align: &str| {
            ["<layout><region xml:id=\"r\" tts:origin=\"10% 80%\" tts:extent=\"80% 10%\" tts:displayAlign=\"", align, "\"><style tts:textAlign=\"center\"/></region></layout>"].concat()
        };
        let body = "<div><p region=\"r\" begin=\"1s\" end=\"2s\">a</p></div>";
        assert_eq!(document(&region("before"), body)[0].settings, "line:80% position:50% size:80%");
        assert_eq!(
            document(&region("after"), body)[0].settings,
            "line:84.7% position:50% size:80%"
        );
        assert_eq!(document("", body)[0].settings, "");
    }

    #[test]
    fn spans_with_times_are_cues_of_their_own() {
        let cues = document(
            "",
            "<div><p begin=\"5s\" end=\"9s\"><span begin=\"0s\" end=\"1s\">a</span> <span begin=\"1s\" end=\"3s\">b</span></p></div>",
        );
        assert_eq!(shown(&cues), [(5.0, 6.0, "a"), (6.0, 8.0, "b")]);
    }

    #[test]
    fn what_is_no_ttml_is_refused_and_what_is_cut_off_is_shown() {
        assert_eq!(read("<html><p>a</p></html>"), None);
        assert_eq!(
            shown(&read("<tt><body><div><p begin=\"1s\" end=\"2s\">a").unwrap()),
            [(1.0, 2.0, "a")]
        );
        let deep = ["<tt>", &"<div>".repeat(1000)].concat();
        assert_eq!(read(&deep), None);
    }
}
