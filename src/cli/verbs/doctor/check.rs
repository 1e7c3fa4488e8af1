//! One line of `doctor`: what was checked, how it ended, and what to do.

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Well,
    Wrong,
    Absent,
}

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) mark: Mark,
    pub(super) what: String,
    pub(super) todo: Option<String>,
}

impl Check {
    pub(super) fn well(what: impl Into<String>) -> Self {
        Check { mark: Mark::Well, what: what.into(), todo: None }
    }

    pub(super) fn wrong(what: impl Into<String>, todo: impl Into<String>) -> Self {
        Check { mark: Mark::Wrong, what: what.into(), todo: Some(todo.into()) }
    }

    pub(super) fn absent(what: impl Into<String>, todo: impl Into<String>) -> Self {
        Check { mark: Mark::Absent, what: what.into(), todo: Some(todo.into()) }
    }
}
