//! The door to whoever looks at Rollouts again when something has changed.

use super::table::ObjectKey;
use crate::ports::RolloutKey;

/// The receivers of change notifications.
pub trait Triggers: Send + Sync {
    /// A Rollout, or something around it, changed.
    fn rollout(&self, key: RolloutKey);
    /// Someone gave the Rollout a command, or its analysis failed: it goes before the others that are due.
    fn rollout_first(&self, key: RolloutKey);
    /// Counts around a Rollout changed: pods, endpoints. They come in bursts.
    fn rollout_counts(&self, key: RolloutKey);
    /// An AnalysisRun changed.
    fn run(&self, key: ObjectKey);
    /// A MeshPolicy, or something around it, changed.
    fn policy(&self, key: ObjectKey);
}
