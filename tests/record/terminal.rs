//! A terminal in memory, as far as Glidepath writes to one: text, colors, and moving back over what was written.

/// How a character looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Look {
    /// The number of the color (31 is red), 0 for the terminal's own.
    pub color: u8,
    pub bold: bool,
    pub dim: bool,
}

/// One character of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cell {
    pub char: char,
    pub look: Look,
}

const BLANK: Cell = Cell { char: ' ', look: Look { color: 0, bold: false, dim: false } };

/// The screen and where the cursor is.
#[derive(Clone, Debug)]
pub struct Terminal {
    columns: usize,
    screen: Vec<Vec<Cell>>,
    row: usize,
    column: usize,
    look: Look,
}

impl Terminal {
    pub fn new(columns: usize, rows: usize) -> Self {
        Terminal { columns, screen: vec![vec![BLANK; columns]; rows], row: 0, column: 0, look: Look::default() }
    }

    /// The rows, from the top.
    pub fn screen(&self) -> &[Vec<Cell>] {
        &self.screen
    }

    /// What is seen, without blanks at the ends of lines.
    pub fn text(&self) -> String {
        let line = |row: &Vec<Cell>| row.iter().map(|cell| cell.char).collect::<String>().trim_end().to_owned();
        self.screen.iter().map(line).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    /// Takes what a program writes.
    pub fn write(&mut self, text: &str) {
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\n' => self.line_feed(),
                '\r' => self.column = 0,
                '\x1b' if chars.peek() == Some(&'[') => {
                    chars.next();
                    let mut parameters = String::new();
                    let end = loop {
                        match chars.next() {
                            Some(c) if c.is_ascii_digit() || c == ';' || c == '?' => parameters.push(c),
                            other => break other,
                        }
                    };
                    self.control(end.unwrap_or('m'), &parameters);
                }
                c => self.put(c),
            }
        }
    }

    fn put(&mut self, char: char) {
        if self.column == self.columns {
            self.column = 0;
            self.line_feed();
        }
        self.screen[self.row][self.column] = Cell { char, look: self.look };
        self.column += 1;
    }

    fn line_feed(&mut self) {
        if self.row + 1 < self.screen.len() {
            self.row += 1;
        } else {
            self.screen.remove(0);
            self.screen.push(vec![BLANK; self.columns]);
        }
    }

    fn control(&mut self, end: char, parameters: &str) {
        let number: usize = parameters.parse().unwrap_or(0);
        match end {
            'A' => self.row = self.row.saturating_sub(number.max(1)),
            'K' => self.screen[self.row][self.column.min(self.columns - 1)..].fill(BLANK),
            'J' => {
                self.screen[self.row][self.column.min(self.columns - 1)..].fill(BLANK);
                self.screen[self.row + 1..].iter_mut().for_each(|row| row.fill(BLANK));
            }
            'm' => parameters.split(';').for_each(|code| self.paint(code.parse().unwrap_or(0))),
            // Anything else would make a wrong picture.
            other => panic!("this terminal does not know ESC [ {parameters} {other}"),
        }
    }

    fn paint(&mut self, code: u8) {
        match code {
            0 => self.look = Look::default(),
            1 => self.look.bold = true,
            2 => self.look.dim = true,
            22 => (self.look.bold, self.look.dim) = (false, false),
            30..=37 => self.look.color = code,
            39 => self.look.color = 0,
            other => panic!("this terminal does not know the look {other}"),
        }
    }
}
