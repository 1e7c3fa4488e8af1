//! What the steps of a Rollout need of its routers: checked before the first deploy, with the same messages in `lint`
//! and in the controller.

use super::{custom, gateway, istio, kind::Capabilities, nginx, registry::ROUTERS, weights::on_grain};
use crate::api::{
    Percent, RolloutSpec,
    strategy::{RequestMatch, Step},
    validate::Finding,
};

/// What a Rollout asks of a router that cannot do it.
pub fn unmet(spec: &RolloutSpec) -> Vec<Finding> {
    let mut abilities: Vec<(&str, Capabilities)> = Vec::new();
    for kind in ROUTERS {
        let built = spec.traffic.iter().filter_map(kind.build);
        for can in built.map(|router| (kind.key, router.declared().unwrap_or(kind.capabilities))) {
            if !abilities.contains(&can) {
                abilities.push(can);
            }
        }
    }
    let of_kinds = abilities.into_iter().flat_map(|(key, can)| unmet_by(key, can, spec));
    of_kinds
        .chain(nginx::unmet(spec))
        .chain(gateway::unmet(spec))
        .chain(istio::unmet(spec))
        .chain(custom::unmet(spec))
        .collect()
}

fn unmet_by(router: &str, can: Capabilities, spec: &RolloutSpec) -> Vec<Finding> {
    let mut needs = Needs { router, can, found: Vec::new() };
    let strategy = &spec.strategy;
    let steps = strategy.canary.iter().flat_map(|canary| &canary.steps).enumerate();
    steps.for_each(|(index, step)| needs.step(step, &format!("spec.strategy.canary.steps[{index}]")));
    if strategy.canary.as_ref().is_some_and(|canary| canary.sticky.is_some()) && !can.sticky {
        needs.cannot("spec.strategy.canary.sticky", "route users by sticky cookie");
    }
    if let Some(blue_green) = &strategy.blue_green {
        needs.matches(&blue_green.preview_match, "spec.strategy.blueGreen.previewMatch");
        if let Some(mirror) = &blue_green.preview_mirror {
            needs.mirror(&mirror.matches, "spec.strategy.blueGreen.previewMirror");
        }
    }
    if let Some(test) = &strategy.ab_test {
        needs.matches(&test.matches, "spec.strategy.abTest.match");
        test.weight.into_iter().for_each(|weight| needs.weight(weight, "spec.strategy.abTest.weight"));
        if test.sticky.is_some() && !can.sticky {
            needs.cannot("spec.strategy.abTest.sticky", "route users by sticky cookie");
        }
    }
    needs.found
}

struct Needs<'a> {
    router: &'a str,
    can: Capabilities,
    found: Vec<Finding>,
}

impl Needs<'_> {
    fn step(&mut self, step: &Step, path: &str) {
        step.set_weight.into_iter().for_each(|weight| self.weight(weight, &format!("{path}.setWeight")));
        if let Some(ramp) = &step.ramp {
            ramp.weights().into_iter().take(1).for_each(|weight| self.weight(weight, &format!("{path}.ramp.from")));
            self.weight(ramp.to, &format!("{path}.ramp.to"));
        }
        if let Some(route) = &step.set_header_route {
            self.matches(&route.matches, &format!("{path}.setHeaderRoute.match"));
        }
        if let Some(mirror) = &step.set_mirror_route {
            self.mirror(&mirror.matches, &format!("{path}.setMirrorRoute"));
        }
    }

    fn mirror(&mut self, matches: &[RequestMatch], path: &str) {
        if !self.can.mirror {
            self.cannot(path, "mirror requests");
        }
        self.matches(matches, &format!("{path}.match"));
    }

    fn matches(&mut self, matches: &[RequestMatch], path: &str) {
        if !self.can.header && matches.iter().any(|one| one.header.is_some()) {
            self.cannot(path, "route by header");
        }
        if !self.can.cookie && matches.iter().any(|one| one.cookie.is_some()) {
            self.cannot(path, "route by cookie");
        }
    }

    fn weight(&mut self, weight: Percent, path: &str) {
        match on_grain(weight, self.can.grain) {
            Err(error) => self.found.push(Finding::error(path, error.to_string())),
            Ok(rounded) if rounded != weight => {
                let message = format!(
                    "{weight} is finer than the resolution of {} ({}); it is rounded down to {rounded}",
                    self.router, self.can.grain
                );
                self.found.push(Finding::warning(path, message));
            }
            Ok(_) => {}
        }
    }

    fn cannot(&mut self, path: &str, what: &str) {
        self.found.push(Finding::error(path, format!("the router {} cannot {what}", self.router)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(can: Capabilities, strategy: &serde_json::Value) -> String {
        let traffic = json!([{"istio": {"virtualServices": [{"name": "web"}]}}]);
        let spec: RolloutSpec = serde_json::from_value(json!({"strategy": strategy, "traffic": traffic})).unwrap();
        let shown = |one: &Finding| format!("{} {}: {}\n", one.severity.as_str(), one.path, one.message);
        unmet_by("simple", can, &spec).iter().map(shown).collect()
    }

    #[test]
    fn what_a_router_cannot_do_is_said_before_the_first_deploy() {
        let can = Capabilities { grain: Percent::whole(1), header: false, cookie: false, mirror: false, sticky: false };
        let all = Capabilities {
            grain: Percent::from_basis_points(1),
            header: true,
            cookie: true,
            mirror: true,
            sticky: true,
        };
        let header = json!([{"header": {"name": "a", "exact": "b"}}]);
        let cookie = json!([{"cookie": {"name": "a", "exact": "b"}}]);
        let steps = |step| json!({"canary": {"steps": [step]}});
        let goal = json!({"templates": [{"name": "t"}]});
        let at = "spec.strategy.canary.steps[0]";
        for (strategy, wanted) in [
            (
                steps(json!({"setWeight": 0.5})),
                format!("error {at}.setWeight: 0.5 % is finer than the router's resolution of 1 %"),
            ),
            (
                steps(json!({"setWeight": 12.5})),
                format!(
                    "warning {at}.setWeight: 12.5 % is finer than the resolution of simple (1 %); it is rounded down to 12 %"
                ),
            ),
            (
                steps(json!({"ramp": {"from": 0.5, "to": 50, "by": 5, "every": "1m"}})),
                format!("error {at}.ramp.from: 0.5 %"),
            ),
            (
                steps(json!({"setHeaderRoute": {"name": "x", "match": header}})),
                format!("error {at}.setHeaderRoute.match: the router simple cannot route by header"),
            ),
            (
                steps(json!({"setHeaderRoute": {"name": "x", "match": cookie}})),
                format!("error {at}.setHeaderRoute.match: the router simple cannot route by cookie"),
            ),
            (
                steps(json!({"setMirrorRoute": {"percent": 5}})),
                format!("error {at}.setMirrorRoute: the router simple cannot mirror requests"),
            ),
            (
                json!({"blueGreen": {"previewMatch": header}}),
                "error spec.strategy.blueGreen.previewMatch: the router simple cannot".into(),
            ),
            (
                json!({"blueGreen": {"previewMirror": {"percent": 5}}}),
                "error spec.strategy.blueGreen.previewMirror: the router simple cannot".into(),
            ),
            (
                json!({"canary": {"sticky": {"cookie": "v"}, "steps": [{"setWeight": 5}]}}),
                "error spec.strategy.canary.sticky: the router simple cannot route users".into(),
            ),
            (
                json!({"abTest": {"weight": 50, "goal": goal, "sticky": {"cookie": "v"}}}),
                "error spec.strategy.abTest.sticky: the router simple cannot route users".into(),
            ),
        ] {
            let said = found(can, &strategy);
            assert!(said.contains(&wanted), "{strategy}\nwanted: {wanted}\ngot:\n{said}");
            assert_eq!(found(all, &strategy), "", "{strategy}");
        }
    }
}
