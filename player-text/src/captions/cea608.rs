//! CEA-608: one field of line 21, with two caption channels (ANSI/CTA-608-E, 47 CFR 79.101).

use super::REFRESH;
use crate::Cue;
use crate::cutter::{Cutter, Shown};
use crate::markup::{Color, Markup, Style, percent};

const ROWS: usize = 15;
const COLUMNS: usize = 32;
const COLORS: [Color; 7] = [
    Color::White,
    Color::Lime,
    Color::Blue,
    Color::Cyan,
    Color::Red,
    Color::Yellow,
    Color::Magenta,
];
/// Special characters (0x11, 0x30 and on).
const SPECIAL: [char; 16] =
    ['®', '°', '½', '¿', '™', '¢', '£', '♪', 'à', ' ', 'è', 'â', 'ê', 'î', 'ô', 'û'];
/// Extended characters (0x12, then 0x13, each 0x20 and on).
const EXTENDED: [char; 64] = [
    'Á', 'É', 'Ó', 'Ú', 'Ü', 'ü', '‘', '¡', '*', '\'', '—', '©', '℠', '•', '“', '”', 'À', 'Â', 'Ç',
    'È', 'Ê', 'Ë', 'ë', 'Î', 'Ï', 'ï', 'Ô', 'Ù', 'ù', 'Û', '«', '»', 'Ã', 'ã', 'Í', 'Ì', 'ì', 'Ò',
    'ò', 'Õ', 'õ', '{', '}', '\\', '^', '_', '|', '~', 'Ä', 'ä', 'Ö', 'ö', 'ß', '¥', '¤', '¦', 'Å',
    'å', 'Ø', 'ø', '┌', '┐', '└', '┘',
];
const NAMES: [[&str; 2]; 2] = [["CC1", "CC2"], ["CC3", "CC4"]];

type Cell = Option<(char, Style)>;
type Grid = [[Cell; COLUMNS]; ROWS];

/// One field.
#[derive(Debug, Default)]
pub(crate) struct Field {
    channels: [Channel; 2],
    /// The channel that characters are for.
    current: usize,
    /// The last control code, which is sent twice.
    last: Option<[u8; 2]>,
    /// Extended data services, which take characters meanwhile (field 2 only).
    services: bool,
}

impl Field {
    /// Takes a pair of bytes without their parity bits; `number` is 0 for field 1.
    pub(crate) fn feed(&mut self, time: f64, pair: [u8; 2], number: usize, cues: &mut Vec<Cue>) {
        let [first, second] = pair;
        match first {
            0 => {}
            0x01..=0x0f => {
                self.services = first < 0x0f && number == 1;
                self.last = None;
            }
            0x10..=0x1f => {
                self.services = false;
                if self.last.take() == Some(pair) {
                    return;
                }
                self.last = Some(pair);
                self.current = usize::from(first >> 3 & 1);
                let name = NAMES[number][self.current];
                self.channels[self.current].control(time, first & 0x17, second, name, cues);
            }
            _ => {
                self.last = None;
                if !self.services {
                    let channel = &mut self.channels[self.current];
                    for byte in pair.into_iter().filter(|byte| *byte >= 0x20) {
                        channel.put(time, character(byte));
                    }
                }
            }
        }
    }

    /// Shows what has been written lately.
    pub(crate) fn refresh(&mut self, time: f64, number: usize, cues: &mut Vec<Cue>) {
        for (channel, name) in self.channels.iter_mut().zip(NAMES[number]) {
            // It is shown from when it began to be written: captions are late anyhow.
            if let Some(at) = channel.written.filter(|at| time >= at + REFRESH) {
                channel.show(at, name, cues);
            }
        }
    }

    /// Tells what is shown.
    pub(crate) fn flush(&mut self, time: f64, number: usize, cues: &mut Vec<Cue>) {
        for (channel, name) in self.channels.iter_mut().zip(NAMES[number]) {
            channel.cutter.flush(time, name, cues);
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    /// Nothing yet, or text that is not captions.
    #[default]
    Off,
    PopOn,
    /// With so many rows.
    RollUp(usize),
    PaintOn,
}

#[derive(Debug)]
struct Channel {
    mode: Mode,
    shown: Box<Grid>,
    hidden: Box<Grid>,
    row: usize,
    column: usize,
    style: Style,
    cutter: Cutter,
    /// Since when there are characters on the screen that have not been told.
    written: Option<f64>,
}

impl Default for Channel {
    fn default() -> Self {
        let grid = || Box::new([[None; COLUMNS]; ROWS]);
        Self {
            mode: Mode::Off,
            shown: grid(),
            hidden: grid(),
            row: ROWS - 1,
            column: 0,
            style: Style::default(),
            cutter: Cutter::default(),
            written: None,
        }
    }
}

impl Channel {
    /// A control code, its first byte without the channel's bit.
    fn control(&mut self, time: f64, first: u8, second: u8, name: &str, cues: &mut Vec<Cue>) {
        match (first, second) {
            (0x14 | 0x15, 0x20..=0x2f) => self.command(time, second, name, cues),
            (0x17, 0x21..=0x23) => {
                self.column = (self.column + usize::from(second - 0x20)).min(COLUMNS - 1)
            }
            (0x11, 0x20..=0x2f) => {
                let color = usize::from(second >> 1 & 7);
                // Italics keep the colour.
                match COLORS.get(color) {
                    Some(color) => self.style = Style { color: *color, ..Style::default() },
                    None => self.style.italic = true,
                }
                self.style.underline = second & 1 != 0;
                self.put(time, ' ');
            }
            (0x11, 0x30..=0x3f) => self.put(time, SPECIAL[usize::from(second - 0x30)]),
            (0x12 | 0x13, 0x20..=0x3f) => {
                // It takes the place of the plain character before it.
                self.column = self.column.saturating_sub(1);
                self.put(
                    time,
                    EXTENDED[usize::from(first - 0x12) * 32 + usize::from(second - 0x20)],
                );
            }
            (_, 0x40..=0x7f) => self.address(first, second),
            _ => {}
        }
    }

    /// A preamble address code: row, and colour or indent.
    fn address(&mut self, first: u8, second: u8) {
        const FIRST_ROWS: [usize; 8] = [11, 1, 3, 12, 14, 5, 7, 9];
        let group = usize::from(first & 7);
        let second_row = group > 0 && second & 0x20 != 0;
        let row = FIRST_ROWS[group] - 1 + usize::from(second_row);
        if let Mode::RollUp(rows) = self.mode {
            // The window moves along with its base row.
            let base = row.max(rows - 1);
            if base != self.row {
                let from = (self.row + 1).saturating_sub(rows);
                let mut window: Vec<_> = self.shown[from..=self.row].to_vec();
                self.shown[from..=self.row].fill([None; COLUMNS]);
                window.reverse();
                for (up, line) in window.into_iter().enumerate().take(base + 1) {
                    self.shown[base - up] = line;
                }
            }
            self.row = base;
        } else {
            self.row = row;
        }
        let kind = usize::from(second >> 1 & 0xf);
        self.style = Style { underline: second & 1 != 0, ..Style::default() };
        self.column = 0;
        match kind {
            0..=6 => self.style.color = COLORS[kind],
            7 => self.style.italic = true,
            _ => self.column = (kind - 8) * 4,
        }
    }

    fn command(&mut self, time: f64, code: u8, name: &str, cues: &mut Vec<Cue>) {
        match code {
            // Resume caption loading
            0x20 => self.mode = Mode::PopOn,
            // Backspace
            0x21 => {
                self.column = self.column.saturating_sub(1);
                let (row, column) = (self.row, self.column);
                self.grid()[row][column] = None;
                self.touch(time);
            }
            // Delete to end of row
            0x24 => {
                let (row, column) = (self.row, self.column);
                self.grid()[row][column..].fill(None);
                self.touch(time);
            }
            // Roll-up captions with 2, 3 or 4 rows
            0x25..=0x27 => {
                let rows = usize::from(code - 0x23);
                if !matches!(self.mode, Mode::RollUp(_)) {
                    *self.shown = [[None; COLUMNS]; ROWS];
                    *self.hidden = [[None; COLUMNS]; ROWS];
                    self.row = ROWS - 1;
                    self.column = 0;
                    self.show(time, name, cues);
                }
                self.row = self.row.max(rows - 1);
                self.mode = Mode::RollUp(rows);
            }
            // Resume direct captioning
            0x29 => self.mode = Mode::PaintOn,
            // Text restart, resume text display
            0x2a | 0x2b => self.mode = Mode::Off,
            // Erase displayed memory
            0x2c => {
                *self.shown = [[None; COLUMNS]; ROWS];
                self.show(time, name, cues);
            }
            // Carriage return
            0x2d => {
                if let Mode::RollUp(rows) = self.mode {
                    let top = (self.row + 1).saturating_sub(rows);
                    self.shown[top..=self.row].rotate_left(1);
                    self.shown[self.row].fill(None);
                    // What scrolled in from above the window is not part of it.
                    self.shown[..top].fill([None; COLUMNS]);
                    self.column = 0;
                    self.show(time, name, cues);
                }
            }
            // Erase non-displayed memory
            0x2e => *self.hidden = [[None; COLUMNS]; ROWS],
            // End of caption
            0x2f => {
                std::mem::swap(&mut self.shown, &mut self.hidden);
                self.mode = Mode::PopOn;
                self.show(time, name, cues);
            }
            _ => {}
        }
    }

    /// Where characters go.
    fn grid(&mut self) -> &mut Grid {
        if self.mode == Mode::PopOn { &mut self.hidden } else { &mut self.shown }
    }

    fn put(&mut self, time: f64, character: char) {
        if self.mode == Mode::Off {
            return;
        }
        let (row, column, style) = (self.row, self.column, self.style);
        self.grid()[row][column] = Some((character, style));
        self.column = (column + 1).min(COLUMNS - 1);
        self.touch(time);
    }

    fn touch(&mut self, time: f64) {
        if self.mode != Mode::PopOn {
            self.written = self.written.or(Some(time));
        }
    }

    fn show(&mut self, time: f64, name: &str, cues: &mut Vec<Cue>) {
        self.written = None;
        self.cutter.change(time, compose(&self.shown), name, cues);
    }
}

/// What a grid shows: each block of rows is a text.
fn compose(grid: &Grid) -> Shown {
    let blank =
        |row: &[Cell; COLUMNS]| row.iter().flatten().all(|(character, _)| *character == ' ');
    let mut shown = Shown::new();
    let mut row = 0;
    while row < ROWS {
        let end = row + grid[row..].iter().take_while(|row| !blank(row)).count();
        if end == row {
            row += 1;
            continue;
        }
        let rows = &grid[row..end];
        let filled = |cell: &Cell| cell.is_some_and(|(character, _)| character != ' ');
        let indent = |row: &[Cell; COLUMNS]| row.iter().position(filled).unwrap_or(0);
        let left = rows.iter().map(indent).min().unwrap_or(0);
        let mut markup = Markup::default();
        for (number, cells) in rows.iter().enumerate() {
            if number > 0 {
                markup.push('\n', Style::default());
            }
            let last = cells.iter().rposition(filled).unwrap_or(0);
            for cell in &cells[left..=last.max(left)] {
                // A space at a line's beginning has to keep its width.
                let (character, style) = cell.unwrap_or((' ', Style::default()));
                let lost = character == ' ' && markup.ends_blank();
                markup.push(if lost { '\u{a0}' } else { character }, style);
            }
        }
        let mut settings = String::new();
        // The safe area: 80 % of the picture, in its middle.
        percent(&mut settings, "line", 10.0 + row as f64 * 80.0 / ROWS as f64);
        percent(&mut settings, "position", 10.0 + left as f64 * 80.0 / COLUMNS as f64);
        settings.push_str(" align:start");
        shown.push((settings, markup.finish()));
        row = end;
    }
    shown
}

/// A plain character: ASCII, but for these.
const fn character(byte: u8) -> char {
    match byte {
        0x2a => 'á',
        0x5c => 'é',
        0x5e => 'í',
        0x5f => 'ó',
        0x60 => 'ú',
        0x7b => 'ç',
        0x7c => '÷',
        0x7d => 'Ñ',
        0x7e => 'ñ',
        0x7f => '█',
        other => other as char,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds pairs, one a frame of 30 a second, from second 1 on.
    fn play(pairs: &[[u8; 2]]) -> Vec<Cue> {
        let mut field = Field::default();
        let mut cues = Vec::new();
        let mut time = 1.0;
        for pair in pairs {
            field.feed(time, *pair, 0, &mut cues);
            field.refresh(time, 0, &mut cues);
            time += 1.0 / 30.0;
        }
        field.flush(time, 0, &mut cues);
        cues
    }

    fn text(words: &str) -> Vec<[u8; 2]> {
        words
            .as_bytes()
            .chunks(2)
            .map(|pair| [pair[0], pair.get(1).copied().unwrap_or(0)])
            .collect()
    }

    fn twice(pair: [u8; 2]) -> Vec<[u8; 2]> {
        vec![pair, pair]
    }

    fn texts(cues: &[Cue]) -> Vec<&str> {
        cues.iter().map(|cue| cue.text.as_str()).collect()
    }

    #[test]
    fn a_pop_on_caption_is_shown_from_its_end_code_until_it_is_erased() {
        let pairs = [
            twice([0x14, 0x20]),
            twice([0x14, 0x2e]),
            // Row 14, indent 4, and row 15 in yellow.
            twice([0x14, 0x52]),
            text("Hello"),
            twice([0x14, 0x6a]),
            text("world"),
            twice([0x14, 0x2f]),
            vec![[0, 0]; 28],
            twice([0x14, 0x2c]),
            vec![[0, 0]; 10],
        ]
        .concat();
        let cues = play(&pairs);
        assert_eq!(cues.len(), 1, "{cues:?}");
        assert_eq!(cues[0].text, "\u{a0}\u{a0}\u{a0}\u{a0}Hello\n<c.yellow>world</c>");
        assert_eq!(cues[0].settings, "line:79.3% position:10% align:start");
        assert_eq!(cues[0].channel, "CC1");
        assert!((cues[0].start - (1.0 + 14.0 / 30.0)).abs() < 0.001, "{}", cues[0].start);
        assert!((cues[0].end - cues[0].start - 1.0).abs() < 0.001, "{}", cues[0].end);
    }

    #[test]
    fn roll_up_captions_scroll_within_their_rows() {
        let mut pairs = [twice([0x14, 0x25]), twice([0x14, 0x2d]), twice([0x14, 0x70])].concat();
        for words in ["one ", "two ", "six "] {
            pairs.extend(text(words));
            pairs.extend(vec![[0, 0]; 15]);
            pairs.extend(twice([0x14, 0x2d]));
        }
        let cues = play(&pairs);
        let texts = texts(&cues);
        assert!(texts.contains(&"one\ntwo"), "{texts:?}");
        assert!(texts.contains(&"two\nsix"), "{texts:?}");
        assert!(!texts.iter().any(|text| text.contains("one\ntwo\nsix")), "{texts:?}");
        assert!(
            cues.windows(2).all(|pair| pair[0].end <= pair[1].start + 1e-9),
            "one after the other"
        );
    }

    #[test]
    fn paint_on_captions_appear_as_they_are_written_and_special_characters_are_shown() {
        let pairs = [
            twice([0x14, 0x29]),
            twice([0x11, 0x40]),
            // é by itself, a note, and an extended Ä that takes the place of A.
            text("\u{5c}a"),
            twice([0x11, 0x37]),
            text("A\0"),
            twice([0x13, 0x30]),
            // Backspace takes the x away.
            text("x\0"),
            twice([0x14, 0x21]),
            vec![[0, 0]; 12],
        ]
        .concat();
        let cues = play(&pairs);
        assert_eq!(cues.last().unwrap().text, "éa♪Ä");
        assert_eq!(cues.last().unwrap().settings, "line:10% position:10% align:start");
    }

    #[test]
    fn channels_and_services_are_kept_apart() {
        let mut field = Field::default();
        let mut cues = Vec::new();
        let pairs = [
            twice([0x1c, 0x29]),
            text("cc4\0"),
            // Extended data in between.
            vec![[0x01, 0x03], *b"NO", [0x0f, 0x1d]],
            twice([0x15, 0x29]),
            text("cc3\0"),
        ]
        .concat();
        for pair in &pairs {
            field.feed(0.0, *pair, 1, &mut cues);
        }
        field.refresh(1.0, 1, &mut cues);
        field.flush(2.0, 1, &mut cues);
        let told: Vec<_> =
            cues.iter().map(|cue| (cue.channel.as_str(), cue.text.as_str())).collect();
        assert_eq!(told, [("CC3", "cc3"), ("CC4", "cc4")]);
    }

    #[test]
    fn text_that_is_no_caption_is_not_shown() {
        let cues = play(&[twice([0x14, 0x2a]), text("news"), vec![[0, 0]; 20]].concat());
        assert_eq!(cues, []);
    }
}
