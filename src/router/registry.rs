//! Every router there is, and those of a Rollout.

use super::{
    consul, custom, gateway, istio,
    kind::{Router, RouterKind},
    nginx, smi, traefik,
};
use crate::api::{Percent, RolloutSpec, analysis::Pack, traffic::TrafficRouter};

/// Every router, in the order of the documentation.
pub static ROUTERS: &[RouterKind] =
    &[istio::KIND, gateway::KIND, traefik::KIND, smi::KIND, nginx::KIND, consul::KIND, custom::KIND];

/// The routers of a Rollout, in the order they are written. Empty: the ratio of replicas is the split.
pub fn routers(spec: &RolloutSpec) -> Vec<Box<dyn Router>> {
    named(spec).map(|(_, router)| router).collect()
}

/// The finest weight that every one of these routers can write; 0 without a router.
pub fn grain(routers: &[Box<dyn Router>]) -> Percent {
    let of_kind = |key| ROUTERS.iter().find(|kind| kind.key == key).map(|kind| kind.capabilities);
    let able = routers.iter().filter_map(|router| router.declared().or_else(|| of_kind(router.key())));
    able.map(|able| able.grain).max().unwrap_or_default()
}

/// How the proxies of a Rollout's first router count requests; none without a router.
pub fn pack(spec: &RolloutSpec) -> Option<Pack> {
    named(spec).map(|(kind, router)| router.pack().unwrap_or(kind.pack)).next()
}

/// The router of an entry; none where it has no key that we know.
pub fn routers_of(entry: &TrafficRouter) -> impl Iterator<Item = Box<dyn Router>> {
    ROUTERS.iter().filter_map(|kind| (kind.build)(entry))
}

fn named(spec: &RolloutSpec) -> impl Iterator<Item = (&'static RouterKind, Box<dyn Router>)> {
    let all = |entry| ROUTERS.iter().map(move |kind| (kind, entry));
    spec.traffic.iter().flat_map(all).filter_map(|(kind, entry)| Some((kind, (kind.build)(entry)?)))
}
