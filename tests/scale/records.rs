//! The records of one release: each status that was written, with the fields that it changed.

use std::{fmt, time::Duration};

use glidepath::api::RolloutStatus;
use serde_json::Value;

/// One written status beside the one before it.
#[derive(Debug, Clone)]
pub struct Record {
    /// Since the first record of the release.
    at: Duration,
    status: RolloutStatus,
    changed: Vec<String>,
}

impl Record {
    /// What a write of `new` over `old` changed; `None` when it changed nothing.
    pub fn of(at: Duration, old: &RolloutStatus, new: &RolloutStatus) -> Option<Self> {
        let mut changed = Vec::new();
        differences("", &serde_json::to_value(old).ok()?, &serde_json::to_value(new).ok()?, &mut changed);
        (!changed.is_empty()).then(|| Record { at, status: new.clone(), changed })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { at, status, changed } = self;
        let at = at.as_secs_f64();
        let phase = status.phase.unwrap_or_default();
        let (step, weight, reason) = (&status.step_shown, &status.weight_shown, &status.reason);
        writeln!(f, "{at:6.1} s  {phase:?}, step {step} at {weight}, {reason}: {}", status.message)?;
        writeln!(f, "          {}", changed.join(" "))
    }
}

/// The paths of the fields in which two values differ. Lists are compared as a whole.
fn differences(path: &str, old: &Value, new: &Value, paths: &mut Vec<String>) {
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        if old != new {
            paths.push(path.to_owned());
        }
        return;
    };
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    for name in after.keys().chain(gone) {
        let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let (old, new) = (before.get(name).unwrap_or(&Value::Null), after.get(name).unwrap_or(&Value::Null));
        differences(&at, old, new, paths);
    }
}
