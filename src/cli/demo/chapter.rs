//! One chapter of the demo: which version is released, and how that ended.

use jiff::SignedDuration;

use crate::{
    api::status::{HistoryEntry, Outcome},
    local::pods::Behaviour,
};

/// One version and its description.
pub struct Chapter {
    /// A short description.
    pub title: String,
    /// How its pods behave.
    pub behaviour: Behaviour,
    /// How it should end; `None` for the first deploy, which has no history.
    pub expected: Option<Outcome>,
}

/// How a chapter ended.
pub struct Ending {
    /// The chapter.
    pub chapter: Chapter,
    /// From the release to the end.
    pub took: SignedDuration,
    /// What became of it.
    pub how: How,
}

/// The ways a chapter ends.
#[derive(Debug, PartialEq)]
pub enum How {
    /// The first version serves.
    Deployed,
    /// The rollout is over.
    Over(Box<HistoryEntry>),
    /// It is held until an operator decides; the reason.
    Held(String),
    /// Somebody pressed ctrl-c.
    Interrupted,
}

impl Ending {
    /// Whether it ended as the story has it.
    pub fn as_told(&self) -> bool {
        match (&self.how, self.chapter.expected) {
            (How::Deployed, None) => true,
            (How::Over(entry), Some(expected)) => entry.outcome == expected,
            _ => false,
        }
    }
}
