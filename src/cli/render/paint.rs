//! Color for states and bars, and for nothing else.

use std::sync::atomic::{AtomicBool, Ordering};

use owo_colors::OwoColorize;

use crate::api::{
    analysis::Verdict,
    status::{Outcome, Phase},
};

/// Every code that [`Paint`] writes.
const CODES: [&str; 9] =
    ["\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m", "\x1b[39m", "\x1b[1m", "\x1b[2m", "\x1b[22m", "\x1b[0m"];

/// Whether this process has painted anything. Before that a code can only come from a file or a server.
static PAINTED: AtomicBool = AtomicBool::new(false);

/// The color code at the start of the text, if colors are enabled.
pub fn code_at(text: &str) -> Option<&'static str> {
    let code = CODES.into_iter().find(|code| text.starts_with(code))?;
    PAINTED.load(Ordering::Relaxed).then_some(code)
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
    /// The text in its tone.
    pub fn text(self, tone: Tone, text: &str) -> String {
        if !self.on {
            return text.to_owned();
        }
        PAINTED.store(true, Ordering::Relaxed);
        match tone {
            Tone::Plain => text.to_owned(),
            Tone::Good => text.green().to_string(),
            Tone::Warn => text.yellow().to_string(),
            Tone::Bad => text.red().to_string(),
            Tone::Busy => text.cyan().to_string(),
            Tone::Dim => text.dimmed().to_string(),
            Tone::Strong => text.bold().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_known_where_output_is_made_printable() {
        for tone in [Tone::Good, Tone::Warn, Tone::Bad, Tone::Busy, Tone::Dim, Tone::Strong] {
            let painted = Paint { on: true }.text(tone, "x");
            assert_eq!(crate::cli::render::printable::printable(&painted), painted, "{painted:?}");
        }
    }
}
