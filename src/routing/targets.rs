//! What a Rollout's traffic is split between: two Services, two subsets, or nothing but replica counts (rule S6). The same
//! for every world.

use crate::api::{RolloutSpec, traffic::TrafficRouter};

/// How traffic is distinguished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// By the ratio of pods behind one Service.
    Replicas,
    /// By Service host: stable and canary Services; root is pinned to stable.
    Host,
    /// By subset of a DestinationRule or of a resolver of Consul; Services stay as they are.
    Subset,
    /// Blue-green without a router: the active Service selects one or the other.
    Switch,
}

/// The Services that play a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// How traffic is distinguished.
    pub split: Split,
    /// The Service that callers use.
    pub root: Option<String>,
    /// The stable Service, where there is one.
    pub stable: Option<String>,
    /// The canary Service, where there is one.
    pub canary: Option<String>,
}

/// Reads the targets out of a spec.
pub fn of(spec: &RolloutSpec) -> Targets {
    let services = spec.services.clone().unwrap_or_default();
    let subset = spec.traffic.iter().any(TrafficRouter::splits_by_subset);
    let blue_green = spec.strategy.blue_green.as_ref();
    let split = match (spec.traffic.is_empty(), subset, blue_green) {
        (true, _, None) => Split::Replicas,
        (true, _, Some(_)) => Split::Switch,
        (false, true, _) => Split::Subset,
        (false, false, _) => Split::Host,
    };
    let (active, preview) = blue_green
        .map(|strategy| (strategy.active_service.clone(), strategy.preview_service.clone()))
        .unwrap_or_default();
    let root = if split == Split::Switch { active.clone() } else { services.root.clone() };
    let with_suffix = |suffix: &str| services.root.as_ref().map(|root| format!("{root}-{suffix}"));
    let (stable, canary) = match split {
        Split::Replicas => (services.stable, services.canary),
        Split::Host => (
            active.or(services.stable).or_else(|| with_suffix("stable")),
            preview.or(services.canary).or_else(|| with_suffix("canary")),
        ),
        Split::Subset => (None, None),
        Split::Switch => (active, preview),
    };
    Targets { split, root, stable, canary }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn s6_services_by_split() {
        let istio = |rule: bool| {
            let mut istio = json!({"virtualServices": [{"name": "v"}]});
            if rule {
                istio["destinationRule"] = json!({"name": "d", "stableSubset": "s", "canarySubset": "c"});
            }
            json!([{ "istio": istio }])
        };
        let cases = [
            (json!([]), json!({"root": "web"}), (Split::Replicas, None, None)),
            (json!([]), json!({"root": "web", "canary": "c"}), (Split::Replicas, None, Some("c"))),
            (istio(false), json!({"root": "web"}), (Split::Host, Some("web-stable"), Some("web-canary"))),
            (istio(false), json!({"root": "web", "stable": "s"}), (Split::Host, Some("s"), Some("web-canary"))),
            (istio(true), json!({"root": "web"}), (Split::Subset, None, None)),
            (json!([{"consul": {"service": "web"}}]), json!({}), (Split::Subset, None, None)),
        ];
        for (traffic, services, (split, stable, canary)) in cases {
            let spec: RolloutSpec = serde_json::from_value(
                json!({"strategy": {"canary": {"steps": []}}, "traffic": traffic, "services": services}),
            )
            .unwrap();
            let targets = of(&spec);
            assert_eq!((targets.split, targets.stable.as_deref(), targets.canary.as_deref()), (split, stable, canary));
        }
    }

    #[test]
    fn s60_a_switch_has_the_active_service_and_perhaps_a_preview() {
        let strategy = json!({"blueGreen": {"activeService": "web", "previewService": "web-preview"}});
        let spec: RolloutSpec = serde_json::from_value(json!({"strategy": strategy})).unwrap();
        let targets = of(&spec);
        let names = (targets.root.as_deref(), targets.stable.as_deref(), targets.canary.as_deref());
        assert_eq!((targets.split, names), (Split::Switch, (Some("web"), Some("web"), Some("web-preview"))));
    }
}
