//! What util-linux `script` wrote down: the bytes that a terminal was sent, and when.

use anyhow::{Context, Result, ensure};

/// A piece of output and the time since the piece before, in seconds.
pub struct Piece {
    pub after: f64,
    pub text: String,
}

/// A recording: the size of its terminal and its pieces.
pub struct Recording {
    pub columns: usize,
    pub rows: usize,
    pub pieces: Vec<Piece>,
}

/// Reads `NAME.out` and `NAME.timing`.
pub fn read(name: &str) -> Result<Recording> {
    let of = |kind: &str| {
        let path = format!("{name}.{kind}");
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    };
    parse(&of("out")?, &of("timing")?)
}

/// The first line names the size (`COLUMNS="100" LINES="30"`) and is no output; the last one is `Script done`.
pub fn parse(out: &str, timing: &str) -> Result<Recording> {
    let (head, output) = out.split_once('\n').context("the recording has no first line")?;
    let size = |key: &str| -> Result<usize> {
        let value = head.split_once(&format!("{key}=\"")).and_then(|(_, rest)| rest.split('"').next());
        value.and_then(|value| value.parse().ok()).with_context(|| format!("the first line does not say {key}"))
    };
    let mut pieces = Vec::new();
    let mut rest = output.as_bytes();
    for line in timing.lines() {
        let (after, bytes) = line.split_once(' ').with_context(|| format!("not a line of timing: {line}"))?;
        let (after, bytes): (f64, usize) = (after.parse()?, bytes.parse()?);
        ensure!(bytes <= rest.len(), "the timing speaks of more bytes than there are");
        let (piece, later) = rest.split_at(bytes);
        rest = later;
        pieces.push(Piece { after, text: String::from_utf8_lossy(piece).into_owned() });
    }
    Ok(Recording { columns: size("COLUMNS")?, rows: size("LINES")?, pieces })
}
