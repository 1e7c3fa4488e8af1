//! Color for states and bars, and for nothing else.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::LazyLock,
};

use owo_colors::OwoColorize;

use crate::api::{
    analysis::Verdict,
    status::{Outcome, Phase},
};

/// Every code that [`Paint`] writes.
const CODES: [&str; 9] =
    ["\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m", "\x1b[39m", "\x1b[1m", "\x1b[2m", "\x1b[22m", "\x1b[0m"];

/// Stands before every code of ours until it is printed. A file or a server may write the same code, but does not know this:
/// four characters for private use, other ones in each process.
static OURS: LazyLock<String> = LazyLock::new(|| {
    let random = RandomState::new().hash_one("ours");
    let quarter = |at: u32| u32::try_from(random >> (16 * at) & 0x7fff).ok();
    (0..4).filter_map(quarter).filter_map(|number| char::from_u32(0xf_0000 + number)).collect()
});

/// The color code of ours at the start of the text, and how long it is with its mark.
pub fn code_at(text: &str) -> Option<(&'static str, usize)> {
    let marked = text.strip_prefix(OURS.as_str())?;
    let code = CODES.into_iter().find(|code| marked.starts_with(code))?;
    Some((code, OURS.len() + code.len()))
}

/// Whether the text holds a color of ours.
pub fn is_painted(text: &str) -> bool {
    text.contains(OURS.as_str())
}

/// The meaning of a color.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    #[default]
    Plain,
    /// It is well.
    Good,
    /// Needs attention.
    Warn,
    /// It went wrong.
    Bad,
    /// It is under way.
    Busy,
    /// It matters less.
    Dim,
    /// It matters more.
    Strong,
}

impl From<Phase> for Tone {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Healthy => Tone::Good,
            Phase::Progressing => Tone::Busy,
            Phase::Paused => Tone::Warn,
            Phase::Degraded => Tone::Bad,
        }
    }
}

impl From<Outcome> for Tone {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Promoted | Outcome::FastPromoted | Outcome::KeptControl => Tone::Good,
            Outcome::Aborted | Outcome::RolledBack => Tone::Bad,
            Outcome::Superseded => Tone::Warn,
        }
    }
}

impl From<Verdict> for Tone {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Tone::Good,
            Verdict::Fail => Tone::Bad,
            Verdict::Continue => Tone::Busy,
            Verdict::NoData | Verdict::Inconclusive => Tone::Warn,
        }
    }
}

/// Paints, or leaves the text as it is.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    /// Whether colours are wanted.
    pub on: bool,
}

impl Paint {
    /// The text in its tone, as [`printable`](super::printable::printable) passes it on.
    pub fn text(self, tone: Tone, text: &str) -> String {
        if !self.on || tone == Tone::Plain {
            return text.to_owned();
        }
        let of = "x";
        let painted = match tone {
            Tone::Plain => of.to_owned(),
            Tone::Good => of.green().to_string(),
            Tone::Warn => of.yellow().to_string(),
            Tone::Bad => of.red().to_string(),
            Tone::Busy => of.cyan().to_string(),
            Tone::Dim => of.dimmed().to_string(),
            Tone::Strong => of.bold().to_string(),
        };
        let (begin, end) = painted.split_once(of).unwrap_or_default();
        let ours = OURS.as_str();
        format!("{ours}{begin}{text}{ours}{end}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::cli::render::printable::printable;

    #[test]
    fn every_code_is_known_where_output_is_made_printable() {
        for (tone, shown) in [
            (Tone::Plain, "x"),
            (Tone::Good, "\x1b[32mx\x1b[39m"),
            (Tone::Warn, "\x1b[33mx\x1b[39m"),
            (Tone::Bad, "\x1b[31mx\x1b[39m"),
            (Tone::Busy, "\x1b[36mx\x1b[39m"),
            (Tone::Dim, "\x1b[2mx\x1b[0m"),
            (Tone::Strong, "\x1b[1mx\x1b[0m"),
        ] {
            let painted = Paint { on: true }.text(tone, "x");
            assert_eq!(printable(&painted), shown, "{painted:?}");
        }
    }

    /// A reason or a message may hold the very codes that we write: it gets none of them to the terminal.
    #[test]
    fn a_stranger_paints_nothing_among_our_colours() {
        let painted = Paint { on: true }.text(Tone::Bad, "a\x1b[32mfine\x1b[39m");
        let line = format!("{painted} \x1b[1mb\u{f0001}\x1b[0m");
        let shown = "\x1b[31ma\\u001b[32mfine\\u001b[39m\x1b[39m \\u001b[1mb\u{f0001}\\u001b[0m";
        assert_eq!(printable(&line), shown);
    }
}
