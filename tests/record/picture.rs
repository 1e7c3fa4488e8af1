//! Which moments of a recording are shown, and for how long.

use anyhow::{Context, Result};

use super::{
    recording::{self, Recording},
    svg,
    terminal::{Cell, Terminal},
};

/// Moments closer together than this are one: no one could read them.
const LEAST: f64 = 0.9;
/// How much faster than it happened it is shown.
const SPEED: f64 = 2.0;
/// How long the end stays, in seconds of the picture.
const END: f64 = 6.0;

/// One moment: the screen, and how long it stays, in seconds of the picture.
pub struct Frame {
    pub screen: Vec<Vec<Cell>>,
    pub lasts: f64,
}

/// Reads a recording and draws it.
pub fn draw(name: &str) -> Result<String> {
    let recording = recording::read(name)?;
    let frames = frames(&recording);
    let rows = frames.iter().map(|frame| used(&frame.screen)).max().context("nothing was recorded")?;
    Ok(svg::draw(&frames, recording.columns, rows))
}

fn used(screen: &[Vec<Cell>]) -> usize {
    screen.iter().rposition(|row| row.iter().any(|cell| cell.char != ' ')).map_or(0, |last| last + 1)
}

fn frames(recording: &Recording) -> Vec<Frame> {
    let mut terminal = Terminal::new(recording.columns, recording.rows);
    let mut frames: Vec<Frame> = Vec::new();
    let mut stood = 0.0;
    for piece in &recording.pieces {
        stood += piece.after;
        if stood >= LEAST && used(terminal.screen()) > 0 {
            show(&mut frames, &terminal, stood / SPEED);
            stood = 0.0;
        }
        terminal.write(&piece.text);
    }
    show(&mut frames, &terminal, END);
    frames
}

fn show(frames: &mut Vec<Frame>, terminal: &Terminal, lasts: f64) {
    match frames.last_mut() {
        Some(last) if last.screen == terminal.screen() => last.lasts += lasts,
        _ => frames.push(Frame { screen: terminal.screen().to_vec(), lasts }),
    }
}
