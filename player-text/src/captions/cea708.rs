//! CEA-708: packets, services and windows (ANSI/CTA-708-E).

use super::REFRESH;
use crate::Cue;
use crate::cutter::{Cutter, Shown};
use crate::markup::{Color, Markup, Style, percent, push_number};

/// Services that are decoded: the six standard ones and ten more.
const SERVICES: usize = 16;
const WINDOWS: usize = 8;
const ROWS: usize = 15;
const COLUMNS: usize = 42;
/// Height of a row in percent of the picture's.
const ROW_HEIGHT: f64 = 5.33;
/// G2: characters beyond Latin-1, from 0x20 on; NUL where there is none.
const G2: [char; 96] = {
    let mut table = ['\0'; 96];
    table[0x00] = ' ';
    table[0x01] = '\u{a0}';
    table[0x05] = '…';
    table[0x0a] = 'Š';
    table[0x0c] = 'Œ';
    table[0x10] = '█';
    table[0x11] = '‘';
    table[0x12] = '’';
    table[0x13] = '“';
    table[0x14] = '”';
    table[0x15] = '•';
    table[0x19] = '™';
    table[0x1a] = 'š';
    table[0x1c] = 'œ';
    table[0x1d] = '℠';
    table[0x1f] = 'Ÿ';
    table[0x56] = '⅛';
    table[0x57] = '⅜';
    table[0x58] = '⅝';
    table[0x59] = '⅞';
    table[0x5a] = '│';
    table[0x5b] = '┐';
    table[0x5c] = '└';
    table[0x5d] = '─';
    table[0x5e] = '┘';
    table[0x5f] = '┌';
    table
};

/// Puts caption channel packets together, and hands their blocks to the services.
#[derive(Debug, Default)]
pub(crate) struct Packets {
    packet: Vec<u8>,
    /// Bytes that the packet will have.
    size: usize,
    services: Vec<Option<Box<Service>>>,
}

impl Packets {
    /// Takes two bytes; `begins`: the first of them is a packet's header.
    pub(crate) fn feed(&mut self, time: f64, pair: [u8; 2], begins: bool, cues: &mut Vec<Cue>) {
        if begins {
            // One that was not finished is shown as far as it came.
            self.finish(time, cues);
            let size = usize::from(pair[0] & 0x3f);
            self.size = if size == 0 { 128 } else { size * 2 };
        } else if self.size == 0 {
            return;
        }
        self.packet.extend(pair);
        if self.packet.len() >= self.size {
            self.finish(time, cues);
        }
    }

    pub(crate) fn refresh(&mut self, time: f64, cues: &mut Vec<Cue>) {
        for service in self.services.iter_mut().flatten() {
            // It is shown from when it began to be written: captions are late anyhow.
            if let Some(at) = service.written.filter(|at| time >= at + REFRESH) {
                service.show(at, cues);
            }
        }
    }

    pub(crate) fn flush(&mut self, time: f64, cues: &mut Vec<Cue>) {
        for service in self.services.iter_mut().flatten() {
            service.cutter.flush(time, &service.name, cues);
        }
    }

    fn finish(&mut self, time: f64, cues: &mut Vec<Cue>) {
        let packet = std::mem::take(&mut self.packet);
        self.size = 0;
        let mut rest = packet.get(1..).unwrap_or(&[]);
        while let Some((head, after)) = rest.split_first() {
            let mut number = usize::from(head >> 5);
            let size = usize::from(head & 0x1f);
            rest = after;
            if number == 7 && size > 0 {
                let Some((extended, after)) = rest.split_first() else { return };
                number = usize::from(extended & 0x3f);
                rest = after;
            }
            // A block of nothing is the packet's padding.
            if number == 0 || size == 0 {
                return;
            }
            let block = &rest[..size.min(rest.len())];
            rest = &rest[block.len()..];
            if number <= SERVICES {
                self.services.resize_with(SERVICES, || None);
                let service =
                    self.services[number - 1].get_or_insert_with(|| Box::new(Service::new(number)));
                service.block(time, block, cues);
            }
        }
    }
}

#[derive(Debug)]
struct Service {
    name: String,
    windows: [Window; WINDOWS],
    current: usize,
    cutter: Cutter,
    written: Option<f64>,
}

#[derive(Debug, Clone, Default)]
struct Window {
    defined: bool,
    visible: bool,
    /// Position in percent of the picture.
    x: f64,
    y: f64,
    /// Which point of the window is there: 0 to 8, row by row.
    anchor: u8,
    rows: usize,
    columns: usize,
    justify: u8,
    row: usize,
    column: usize,
    style: Style,
    cells: Vec<Vec<(char, Style)>>,
}

impl Window {
    fn clear(&mut self) {
        self.cells.clear();
        self.row = 0;
        self.column = 0;
    }

    fn put(&mut self, character: char) {
        if !self.defined {
            return;
        }
        let row = self.row.min(ROWS - 1);
        if self.cells.len() <= row {
            self.cells.resize_with(row + 1, Vec::new);
        }
        let line = &mut self.cells[row];
        let column = self.column.min(COLUMNS - 1);
        if line.len() <= column {
            line.resize(column + 1, (' ', Style::default()));
        }
        line[column] = (character, self.style);
        self.column = column + 1;
    }

    fn carriage_return(&mut self) {
        self.column = 0;
        if self.row + 1 < self.rows.clamp(1, ROWS) {
            self.row += 1;
        } else if !self.cells.is_empty() {
            // Full: it rolls up.
            self.cells.remove(0);
            self.cells.resize_with(self.row.min(ROWS - 1), Vec::new);
        }
    }

    fn compose(&self) -> Option<(String, String)> {
        let filled =
            |line: &&Vec<(char, Style)>| line.iter().any(|(character, _)| *character != ' ');
        let lines: Vec<_> = self.cells.iter().filter(filled).collect();
        if !self.visible || !self.defined || lines.is_empty() {
            return None;
        }
        let mut markup = Markup::default();
        for (number, line) in lines.iter().enumerate() {
            if number > 0 {
                markup.push('\n', Style::default());
            }
            let end = line.iter().rposition(|(character, _)| *character != ' ').unwrap_or(0);
            for (character, style) in &line[..=end] {
                let lost = *character == ' ' && markup.ends_blank();
                markup.push(if lost { '\u{a0}' } else { *character }, *style);
            }
        }
        let mut settings = String::new();
        let rows = self.rows.clamp(lines.len(), ROWS) as f64;
        let height = rows * ROW_HEIGHT;
        let top = match self.anchor / 3 {
            0 => self.y,
            1 => self.y - height / 2.0,
            _ => self.y - height,
        };
        // A window rolls up from its bottom.
        let first = self.cells.iter().position(|line| filled(&line)).unwrap_or(0);
        let line = top + first as f64 * ROW_HEIGHT;
        percent(&mut settings, "line", line.min(95.0 - lines.len() as f64 * ROW_HEIGHT));
        percent(&mut settings, "position", self.x);
        settings.push_str(match self.anchor % 3 {
            0 => " align:start",
            1 => " align:center",
            _ => " align:end",
        });
        Some((settings, markup.finish()))
    }
}

impl Service {
    fn new(number: usize) -> Self {
        let mut name = String::from("SERVICE");
        push_number(&mut name, number as u32);
        Self {
            name,
            windows: Default::default(),
            current: 0,
            cutter: Cutter::default(),
            written: None,
        }
    }

    fn block(&mut self, time: f64, block: &[u8], cues: &mut Vec<Cue>) {
        let mut rest = block;
        while let Some((code, after)) = rest.split_first() {
            rest = self.code(time, *code, after, cues);
        }
    }

    /// Does one code, and returns what is behind it.
    fn code<'a>(&mut self, time: f64, code: u8, rest: &'a [u8], cues: &mut Vec<Cue>) -> &'a [u8] {
        let behind = |bytes: usize| rest.get(bytes..).unwrap_or(&[]);
        let window = &mut self.windows[self.current];
        match code {
            // Backspace, form feed, carriage return, horizontal carriage return
            0x08 => {
                window.column = window.column.saturating_sub(1);
                if let Some(line) = window.cells.get_mut(window.row) {
                    line.truncate(window.column);
                }
                self.touch(time);
            }
            0x0c => {
                window.clear();
                self.touch(time);
            }
            0x0d => {
                window.carriage_return();
                self.touch(time);
            }
            0x0e => {
                window.column = 0;
                if let Some(line) = window.cells.get_mut(window.row) {
                    line.clear();
                }
                self.touch(time);
            }
            0x10 => return self.extended(time, rest),
            0x11..=0x17 => return behind(1),
            0x18 => {
                if let Some([high, low]) = rest.first_chunk::<2>() {
                    let character = char::from_u32(u32::from(*high) << 8 | u32::from(*low));
                    self.put(
                        time,
                        character.filter(|character| *character != '\0').unwrap_or('\u{fffd}'),
                    );
                }
                return behind(2);
            }
            0x19..=0x1f => return behind(2),
            0x20..=0x7e => self.put(time, char::from(code)),
            0x7f => self.put(time, '♪'),
            0x80..=0x87 => self.current = usize::from(code & 7),
            // Clear, display, hide, toggle, delete windows
            0x88..=0x8c => {
                let Some(bits) = rest.first() else { return &[] };
                for (number, window) in self.windows.iter_mut().enumerate() {
                    if bits >> number & 1 == 0 {
                        continue;
                    }
                    match code {
                        0x88 => window.clear(),
                        0x89 => window.visible = true,
                        0x8a => window.visible = false,
                        0x8b => window.visible = !window.visible,
                        _ => *window = Window::default(),
                    }
                }
                self.show(time, cues);
                return behind(1);
            }
            // Delay, and its end: what comes later is there later anyhow.
            0x8d => return behind(1),
            0x8f => {
                self.windows = Default::default();
                self.current = 0;
                self.show(time, cues);
            }
            // Pen attributes, pen colour, pen location, window attributes
            0x90 => {
                if let Some([_, second]) = rest.first_chunk::<2>() {
                    window.style.italic = second & 0x80 != 0;
                    window.style.underline = second & 0x40 != 0;
                }
                return behind(2);
            }
            0x91 => {
                if let Some(foreground) = rest.first() {
                    window.style.color = color(*foreground);
                }
                return behind(3);
            }
            0x92 => {
                if let Some([row, column]) = rest.first_chunk::<2>() {
                    window.row = usize::from(row & 0xf).min(ROWS - 1);
                    window.column = usize::from(column & 0x3f).min(COLUMNS - 1);
                }
                return behind(2);
            }
            0x97 => {
                if let Some(third) = rest.get(2) {
                    window.justify = third & 3;
                }
                return behind(4);
            }
            0x98..=0x9f => {
                if let Some(parameters) = rest.first_chunk::<6>() {
                    self.define(usize::from(code & 7), parameters);
                    self.show(time, cues);
                }
                return behind(6);
            }
            0xa0..=0xff => self.put(time, char::from(code)),
            _ => {}
        }
        rest
    }

    /// The sets behind EXT1.
    fn extended<'a>(&mut self, time: f64, rest: &'a [u8]) -> &'a [u8] {
        let Some((code, rest)) = rest.split_first() else { return &[] };
        let skip = match code {
            0x08..=0x0f => 1,
            0x10..=0x17 => 2,
            0x18..=0x1f => 3,
            0x80..=0x87 => 4,
            0x88..=0x8f => 5,
            // Of a length that follows.
            0x90..=0x9f => 1 + rest.first().map_or(0, |head| usize::from(head & 0x1f)),
            0x20..=0x7f => {
                let character = G2[usize::from(code - 0x20)];
                self.put(time, if character == '\0' { '_' } else { character });
                0
            }
            0xa0..=0xff => {
                self.put(time, '_');
                0
            }
            _ => 0,
        };
        rest.get(skip..).unwrap_or(&[])
    }

    fn define(&mut self, number: usize, parameters: &[u8; 6]) {
        let [first, vertical, horizontal, rows, columns, _] = *parameters;
        let relative = vertical & 0x80 != 0;
        let window = &mut self.windows[number];
        if !window.defined {
            *window = Window { defined: true, ..Window::default() };
        }
        window.visible = first & 0x20 != 0;
        // Cells of a grid of 75 rows and 210 columns, or percent.
        let (height, width) = if relative { (100.0, 100.0) } else { (75.0, 210.0) };
        window.y = f64::from(vertical & 0x7f) * 100.0 / height;
        window.x = f64::from(horizontal) * 100.0 / width;
        window.anchor = (rows >> 4).min(8);
        window.rows = usize::from(rows & 0xf) + 1;
        window.columns = usize::from(columns & 0x3f) + 1;
        self.current = number;
    }

    fn put(&mut self, time: f64, character: char) {
        self.windows[self.current].put(character);
        self.touch(time);
    }

    fn touch(&mut self, time: f64) {
        if self.windows[self.current].visible {
            self.written = self.written.or(Some(time));
        }
    }

    fn show(&mut self, time: f64, cues: &mut Vec<Cue>) {
        self.written = None;
        let shown: Shown = self.windows.iter().filter_map(Window::compose).collect();
        self.cutter.change(time, shown, &self.name, cues);
    }
}

/// The nearest colour that WebVTT has a class for: two bits each of red, green and blue.
const fn color(bits: u8) -> Color {
    match (bits >> 4 & 3 > 1, bits >> 2 & 3 > 1, bits & 3 > 1) {
        (true, true, true) => Color::White,
        (true, true, false) => Color::Yellow,
        (true, false, true) => Color::Magenta,
        (true, false, false) => Color::Red,
        (false, true, true) => Color::Cyan,
        (false, true, false) => Color::Lime,
        (false, false, true) => Color::Blue,
        (false, false, false) => Color::Black,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet with one block.
    fn packet(service: u8, block: &[u8]) -> Vec<[u8; 2]> {
        let mut bytes = vec![0];
        if service > 6 {
            bytes.extend([7 << 5 | block.len() as u8, service]);
        } else {
            bytes.push(service << 5 | block.len() as u8);
        }
        bytes.extend_from_slice(block);
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        bytes[0] = (bytes.len() / 2) as u8;
        bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect()
    }

    fn feed(packets: &mut Packets, time: f64, pairs: &[[u8; 2]]) -> Vec<Cue> {
        let mut cues = Vec::new();
        for (number, pair) in pairs.iter().enumerate() {
            packets.feed(time, *pair, number == 0, &mut cues);
        }
        packets.refresh(time, &mut cues);
        cues
    }

    /// Window 0, two rows, its lower middle at 50 % and 90 %.
    const DEFINE: [u8; 7] = [0x98, 0x20, 0x80 | 90, 50, 7 << 4 | 1, 31, 0];

    #[test]
    fn a_window_is_shown_while_it_is_visible() {
        let mut packets = Packets::default();
        let hidden = [0x98, 0x00, 0x80 | 90, 50, 7 << 4 | 1, 31, 0];
        assert_eq!(feed(&mut packets, 1.0, &packet(1, &[&hidden[..], b"Hi <3\rx"].concat())), []);
        assert_eq!(feed(&mut packets, 2.0, &packet(1, &[0x89, 1])), []);
        let cues = feed(&mut packets, 4.0, &packet(1, &[0x8a, 1]));
        assert_eq!(cues.len(), 1);
        assert_eq!((cues[0].start, cues[0].end), (2.0, 4.0));
        assert_eq!((cues[0].channel.as_str(), cues[0].text.as_str()), ("SERVICE1", "Hi &lt;3\nx"));
        assert_eq!(cues[0].settings, "line:79.3% position:50% align:center");
    }

    #[test]
    fn a_visible_window_rolls_up_and_is_shown_as_it_is_written() {
        let mut packets = Packets::default();
        feed(&mut packets, 1.0, &packet(2, &[&DEFINE[..], b"one\rtwo"].concat()));
        feed(&mut packets, 1.5, &packet(2, &[0x0e]));
        let mut cues = feed(&mut packets, 2.0, &packet(2, b"2\rthree"));
        cues.extend(feed(&mut packets, 2.5, &[]));
        cues.extend(feed(&mut packets, 3.0, &packet(2, &[0x8f])));
        let told: Vec<_> = cues.iter().map(|cue| (cue.start, cue.end, cue.text.as_str())).collect();
        assert_eq!(told, [(1.0, 2.0, "one"), (2.0, 3.0, "2\nthree")]);
        assert_eq!(cues[0].channel, "SERVICE2");
    }

    #[test]
    fn pens_and_character_sets_are_understood() {
        let mut packets = Packets::default();
        // Italic and yellow; é of Latin-1; … of G2; a sixteen-bit character; a reserved code that is skipped.
        let block = [
            &DEFINE[..],
            &[
                0x90, 5, 0x80, 0x91, 0x3c, 0, 0, 0xe9, 0x10, 0x25, 0x18, 0x20, 0xac, 0x10, 0x90, 1,
                9, b'z',
            ],
        ]
        .concat();
        feed(&mut packets, 1.0, &packet(9, &block));
        let cues = feed(&mut packets, 2.0, &packet(9, &[0x8c, 0xff]));
        assert_eq!(cues, [], "it had not been shown yet");
        feed(&mut packets, 3.0, &packet(9, &block));
        feed(&mut packets, 4.0, &[]);
        let cues = feed(&mut packets, 5.0, &packet(9, &[0x8c, 0xff]));
        assert_eq!(
            (cues[0].channel.as_str(), cues[0].text.as_str()),
            ("SERVICE9", "<i><c.yellow>é…€z</c></i>")
        );
    }
}
