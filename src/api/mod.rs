//! The kinds of `glidepath.dev/v1alpha1` and their validation.
//!
//! Doc comments here are what `kubectl explain` prints: meaning, units, ranges, defaults. CEL rules on the types hold
//! what the API server can check; everything else is [`validate`], shared by `lint` and the controller, so that both
//! report the same messages.

pub mod address;
pub mod address_range;
pub mod analysis;
pub mod command;
pub mod common;
pub mod conditions;
pub mod crds;
pub mod fault;
pub mod metadata;
pub mod names;
pub mod objects;
pub mod pod_count;
pub mod policy;
pub mod reason;
pub mod revision;
pub mod rollout;
pub mod status;
pub mod strategy;
pub mod traffic;
pub mod validate;

pub use analysis::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate};
pub use command::RolloutCommand;
pub use common::{HumanDuration, Percent};
pub use fault::MeshFault;
pub use policy::MeshPolicy;
pub use rollout::{Rollout, RolloutSpec};
pub use status::RolloutStatus;

/// The API group of every kind.
pub const GROUP: &str = "glidepath.dev";
/// The label that names the revision on ReplicaSets and pods (rule S2).
pub const REVISION_LABEL: &str = "glidepath.dev/revision";
/// The annotation that names the revision on pods where a mesh reads annotations and not our label: Consul puts it into the Meta
/// of a pod's instance, under the key `glidepath_revision`.
pub const REVISION_ANNOTATION: &str = "consul.hashicorp.com/service-meta-glidepath_revision";
/// The label that names the owning Rollout on objects that Glidepath creates.
pub const ROLLOUT_LABEL: &str = "glidepath.dev/rollout";
/// The annotation on ReplicaSets that holds the revision's number.
pub const NUMBER_ANNOTATION: &str = "glidepath.dev/number";
/// An annotation on the Rollout of a `glidepath local`: the option by which commands reach it.
pub const LOCAL_OPTION: &str = "glidepath.dev/local-option";
/// The finalizer that lets a deleted Rollout hand its objects back (rule S40).
pub const FINALIZER: &str = "glidepath.dev/hand-back";
/// An annotation `"true"` on a Rollout that skips the hand-back on deletion (rule S40).
pub const SKIP_HAND_BACK: &str = "glidepath.dev/skip-hand-back";
