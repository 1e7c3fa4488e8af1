//! Colour for state words and bars, and for nothing else.

use owo_colors::OwoColorize;

/// What a piece of text says by its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    #[default]
    Plain,
    /// It is well.
    Good,
    /// A person should look.
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
