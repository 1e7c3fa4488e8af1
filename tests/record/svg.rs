//! Frames as one SVG that moves on its own: lines that occur again are drawn once and used again.

use std::{collections::HashMap, fmt::Write};

use super::{
    picture::Frame,
    terminal::{Cell, Look},
};

const CHAR: f64 = 8.0;
const LINE: f64 = 18.0;
const MARGIN: f64 = 16.0;

/// The picture of all frames, one after the other, forever. What shows no movement shows the last frame.
pub fn draw(frames: &[Frame], columns: usize, rows: usize) -> String {
    let (width, height) = (columns as f64 * CHAR + 2.0 * MARGIN, rows as f64 * LINE + 2.0 * MARGIN);
    let all: f64 = frames.iter().map(|frame| frame.lasts).sum();
    let mut lines = Lines::default();
    let mut shown = String::new();
    let mut begin = 0.0;
    for (index, frame) in frames.iter().enumerate() {
        let end = begin + frame.lasts;
        let last = index + 1 == frames.len();
        let visibility = if last { "visible" } else { "hidden" };
        let _ =
            write!(shown, "<g visibility=\"{visibility}\">{}", times(begin / all, end / all, all, index == 0, last));
        for (row, cells) in frame.screen.iter().enumerate().take(rows) {
            if let Some(id) = lines.id(cells) {
                let _ = write!(shown, "<use href=\"#l{id}\" y=\"{}\"/>", row as f64 * LINE);
            }
        }
        shown.push_str("</g>\n");
        begin = end;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xml:space=\"preserve\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <!-- Drawn by the example \"record\" from a recording of a real release: see tests/record/. -->\n\
         <style>text{{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre;fill:#d7dae0}}\
         .b{{font-weight:700;fill:#fff}}.d{{fill:#868c98}}.c31{{fill:#f2777a}}.c32{{fill:#7ec07e}}.c33{{fill:#e6b450}}.c36{{fill:#5fc4d6}}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#1d2027\"/>\n<defs>\n{}</defs>\n\
         <g transform=\"translate({MARGIN} {MARGIN})\">\n{shown}</g>\n</svg>\n",
        lines.drawn
    )
}

/// When a frame is seen. Times are shares of the whole.
fn times(begin: f64, end: f64, all: f64, first: bool, last: bool) -> String {
    let (values, keys) = match (first, last) {
        (true, true) => return String::new(),
        (true, false) => ("visible;hidden", format!("0;{end:.4}")),
        (false, true) => ("hidden;visible", format!("0;{begin:.4}")),
        (false, false) => ("hidden;visible;hidden", format!("0;{begin:.4};{end:.4}")),
    };
    format!(
        "<animate attributeName=\"visibility\" values=\"{values}\" keyTimes=\"{keys}\" calcMode=\"discrete\" dur=\"{all:.1}s\" repeatCount=\"indefinite\"/>"
    )
}

/// The lines that were drawn already.
#[derive(Default)]
struct Lines {
    ids: HashMap<Vec<Cell>, usize>,
    drawn: String,
}

impl Lines {
    /// The line's number; `None` for an empty one.
    fn id(&mut self, cells: &[Cell]) -> Option<usize> {
        let length = cells.iter().rposition(|cell| cell.char != ' ')? + 1;
        let cells = &cells[..length];
        let next = self.ids.len();
        let id = *self.ids.entry(cells.to_vec()).or_insert(next);
        if id == next {
            let _ = writeln!(self.drawn, "<text id=\"l{id}\" y=\"{}\">{}</text>", LINE * 0.75, runs(cells));
        }
        Some(id)
    }
}

/// Runs of one look, each at its own place: fonts differ in the width of what is not a letter.
fn runs(cells: &[Cell]) -> String {
    let mut out = String::new();
    let mut from = 0;
    while from < cells.len() {
        let look = cells[from].look;
        let length = cells[from..].iter().take_while(|cell| cell.look == look).count();
        let text: String = cells[from..from + length].iter().map(|cell| escaped(cell.char)).collect();
        let width = length as f64 * CHAR;
        let x = from as f64 * CHAR;
        if !text.trim().is_empty() {
            let class = class(look);
            let _ = write!(out, "<tspan x=\"{x}\" textLength=\"{width}\"{class}>{text}</tspan>");
        }
        from += length;
    }
    out
}

fn class(look: Look) -> String {
    let mut names = Vec::new();
    if look.color != 0 {
        names.push(format!("c{}", look.color));
    }
    if look.bold {
        names.push("b".to_owned());
    }
    if look.dim {
        names.push("d".to_owned());
    }
    if names.is_empty() { String::new() } else { format!(" class=\"{}\"", names.join(" ")) }
}

fn escaped(c: char) -> String {
    match c {
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        '&' => "&amp;".into(),
        c => c.into(),
    }
}
