//! A container that has ended, as it is kept of a pod for the guards (rule S21): nothing is kept of one that has never ended,
//! which nearly all are.

use serde::Deserialize;

/// The most containers of a pod that are kept, and the longest word for an end.
const MOST_CONTAINERS: usize = 64;
const LONGEST_REASON: usize = 40;

/// A container that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Termination {
    /// Its name.
    pub container: Box<str>,
    /// The kubelet's word for its last end.
    pub reason: Box<str>,
    /// How often it was started again.
    pub restarts: u32,
    /// Whether it has not been started again since.
    pub is_down: bool,
    /// Its last exit code.
    pub exit_code: i32,
}

/// The end of a container, as we read it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct End {
    exit_code: i32,
    reason: String,
}

/// What the status of a container says of its ends.
pub(super) struct Ends<'a> {
    pub name: &'a str,
    /// The last one.
    pub last: Option<&'a End>,
    pub restarts: u32,
    pub is_running: bool,
}

impl Termination {
    /// `None` for a container that has never ended. The kubelet counts a restart when the container is created again; while
    /// it backs off, the last end is one more than the restarts.
    fn of(status: &Ends<'_>) -> Option<Self> {
        let Ends { last, restarts, .. } = *status;
        if last.is_none() && restarts == 0 {
            return None;
        }
        let word = |end: &End| end.reason.chars().filter(char::is_ascii_alphanumeric).take(LONGEST_REASON).collect();
        Some(Termination {
            container: status.name.into(),
            reason: last.map(word).unwrap_or_else(String::new).into(),
            restarts,
            is_down: last.is_some() && !status.is_running,
            exit_code: last.map_or(0, |end| end.exit_code),
        })
    }

    /// Of all containers of a pod.
    pub(super) fn all<'a>(statuses: impl Iterator<Item = Ends<'a>>) -> Box<[Termination]> {
        statuses.filter_map(|status| Termination::of(&status)).take(MOST_CONTAINERS).collect()
    }
}
