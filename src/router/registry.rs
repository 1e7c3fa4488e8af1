//! Every router there is, and those of a Rollout.

use super::{
    istio,
    kind::{Router, RouterKind},
};
use crate::api::RolloutSpec;

/// Every router, in the order of the documentation.
pub static ROUTERS: &[RouterKind] = &[istio::KIND];

/// The routers of a Rollout, in the order they are written. Empty: the ratio of replicas is the split.
pub fn routers(spec: &RolloutSpec) -> Vec<Box<dyn Router>> {
    spec.traffic.iter().flat_map(|entry| ROUTERS.iter().filter_map(|kind| (kind.build)(entry))).collect()
}
