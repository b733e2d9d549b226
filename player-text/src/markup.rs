//! WebVTT cue text out of characters with a style (WebVTT §3.3).

/// How a character looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) italic: bool,
    pub(crate) bold: bool,
    pub(crate) underline: bool,
    pub(crate) color: Color,
}

/// The colours that WebVTT has classes for (WebVTT §5.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Color {
    #[default]
    White,
    Lime,
    Blue,
    Cyan,
    Red,
    Yellow,
    Magenta,
    Black,
}

impl Color {
    const fn class(self) -> &'static str {
        match self {
            Self::White => "white",
            Self::Lime => "lime",
            Self::Blue => "blue",
            Self::Cyan => "cyan",
            Self::Red => "red",
            Self::Yellow => "yellow",
            Self::Magenta => "magenta",
            Self::Black => "black",
        }
    }
}

/// Cue text under construction.
#[derive(Debug, Default)]
pub(crate) struct Markup {
    text: String,
    style: Style,
}

impl Markup {
    /// Adds a character.
    pub(crate) fn push(&mut self, character: char, style: Style) {
        // White space looks the same in every style, unless it is underlined.
        if style != self.style
            && (!character.is_whitespace() || style.underline || self.style.underline)
        {
            self.close();
            self.open(style);
        }
        match character {
            '&' => self.text.push_str("&amp;"),
            '<' => self.text.push_str("&lt;"),
            '>' => self.text.push_str("&gt;"),
            '\0' => self.text.push('\u{fffd}'),
            other => self.text.push(other),
        }
    }

    /// Bytes so far.
    pub(crate) const fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether the last character is white space, or there is none.
    pub(crate) fn ends_blank(&self) -> bool {
        self.text.ends_with([' ', '\n', '\u{a0}']) || self.text.is_empty()
    }

    /// Drops spaces at the end.
    pub(crate) fn trim_line(&mut self) {
        while self.text.ends_with(' ') {
            self.text.pop();
        }
    }

    /// The cue text.
    pub(crate) fn finish(mut self) -> String {
        self.close();
        self.text
    }

    fn open(&mut self, style: Style) {
        for (on, tag) in [(style.italic, "<i>"), (style.bold, "<b>"), (style.underline, "<u>")] {
            if on {
                self.text.push_str(tag);
            }
        }
        if style.color != Color::White {
            self.text.push_str("<c.");
            self.text.push_str(style.color.class());
            self.text.push('>');
        }
        self.style = style;
    }

    fn close(&mut self) {
        let style = self.style;
        if style.color != Color::White {
            self.text.push_str("</c>");
        }
        for (on, tag) in [(style.underline, "</u>"), (style.bold, "</b>"), (style.italic, "</i>")] {
            if on {
                self.text.push_str(tag);
            }
        }
        self.style = Style::default();
    }
}

/// A percentage for cue settings, to a tenth.
pub(crate) fn percent(out: &mut String, name: &str, value: f64) {
    let tenths = (value.clamp(0.0, 100.0) * 10.0).round() as u32;
    if !out.is_empty() {
        out.push(' ');
    }
    out.push_str(name);
    out.push(':');
    push_number(out, tenths / 10);
    if !tenths.is_multiple_of(10) {
        out.push('.');
        push_number(out, tenths % 10);
    }
    out.push('%');
}

/// Writes a number without the standard library's formatter.
pub(crate) fn push_number(out: &mut String, number: u32) {
    if number >= 10 {
        push_number(out, number / 10);
    }
    out.push(char::from(b'0' + (number % 10) as u8));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_become_tags_that_nest_and_text_cannot_become_a_tag() {
        let mut markup = Markup::default();
        let italic = Style { italic: true, ..Style::default() };
        let yellow = Style { italic: true, color: Color::Yellow, ..Style::default() };
        let plain = Style::default();
        let styled = [("a<b>&", plain), (" c", italic), ("d", yellow)];
        for (character, style) in styled
            .iter()
            .flat_map(|(text, style)| text.chars().map(|character| (character, *style)))
        {
            markup.push(character, style);
        }
        assert_eq!(markup.finish(), "a&lt;b&gt;&amp; <i>c</i><i><c.yellow>d</c></i>");
    }

    #[test]
    fn percentages_are_bounded_and_rounded_to_tenths() {
        let mut out = String::new();
        percent(&mut out, "line", 33.333);
        percent(&mut out, "size", 120.0);
        percent(&mut out, "position", f64::NAN);
        assert_eq!(out, "line:33.3% size:100% position:0%");
    }
}
