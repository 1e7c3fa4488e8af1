//! What a Rollout's traffic is split between: two Services, two subsets, or nothing but replica counts (rule S6).

pub use crate::routing::targets::{Split, Targets, of};
use crate::{
    api::Rollout,
    ports::RolloutKey,
    router::{RouteContext, RouteScope},
};

/// Whom the routers plan for. With a subset split both hosts are the root.
pub fn route_context(key: &RolloutKey, rollout: &Rollout, scope: &RouteScope) -> RouteContext {
    let targets = of(&rollout.spec);
    let root_service = targets.root.clone();
    let root = targets.root.unwrap_or_default();
    RouteContext {
        namespace: key.namespace.clone(),
        root_service,
        stable_service: targets.stable.unwrap_or_else(|| root.clone()),
        canary_service: targets.canary.unwrap_or(root),
        scope: scope.clone(),
        rollout_name: key.name.clone(),
        rollout_uid: rollout.metadata.uid.clone().unwrap_or_default(),
    }
}
