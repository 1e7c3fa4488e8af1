//! What is wrong with an object, and where.

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, but probably not as meant.
    Warning,
    /// It cannot work: the controller stalls the object.
    Error,
}

impl Severity {
    /// `error` or `warning`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// One thing that is wrong or odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The field, from the object's root: `spec.strategy.canary.steps[2].setWeight`.
    pub path: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong and what to do.
    pub message: String,
}

impl Finding {
    /// A finding that makes the object unusable.
    pub fn error(path: impl Into<String>, message: impl Into<String>) -> Self {
        Finding { path: path.into(), severity: Severity::Error, message: message.into() }
    }

    /// Advice.
    pub fn warning(path: impl Into<String>, message: impl Into<String>) -> Self {
        Finding { path: path.into(), severity: Severity::Warning, message: message.into() }
    }
}
