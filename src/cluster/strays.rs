//! ReplicaSets that bear a Rollout's label and are not its own: what has been said of them.

use std::collections::BTreeSet;

/// ReplicaSets that bear a Rollout's label without being controlled by it, by uid.
#[derive(Debug, Default)]
pub(super) struct Strays {
    /// An event has named them.
    pub(super) reported: BTreeSet<String>,
    /// They were looked at whole and cannot be adopted.
    pub(super) refused: BTreeSet<String>,
}
