//! `verification: observed`: who counts the requests, and that those of a weight can be told from others.

use super::finding::Finding;
use crate::api::{
    rollout::{RolloutSpec, Verification},
    strategy::{CanaryStrategy, Step},
    traffic::TrafficRouter,
};

pub(super) fn check(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    if spec.verification != Some(Verification::Observed) {
        return;
    }
    if let Some(missing) = missing(spec) {
        found.push(Finding::error("spec.verification", format!("observed {missing}")));
    } else if let Some(canary) = &spec.strategy.canary {
        weights_alone(canary, found);
    }
}

/// Requests are counted by the background analysis, by the arms of a mesh.
fn missing(spec: &RolloutSpec) -> Option<&'static str> {
    match (spec.has_mesh(), spec.background().is_some()) {
        (false, _) => Some("needs a router in spec.traffic: without a mesh the share of requests is not measured"),
        (true, false) => {
            Some("needs spec.analysis (or an A/B test's guardrails), whose AnalysisRun counts the requests")
        }
        (true, true) if spec.traffic.iter().all(TrafficRouter::splits_connections_alone) => {
            Some("counts requests, and the routes in spec.traffic split connections; use settled")
        }
        (true, true) => None,
    }
}

/// What a header selects and what is copied reaches the canary whatever the weight is, so a weight beside it could never be
/// verified.
fn weights_alone(canary: &CanaryStrategy, found: &mut Vec<Finding>) {
    let mut beside = Beside::default();
    for (index, step) in canary.steps.iter().enumerate() {
        beside.take(step);
        let field = if step.ramp.is_some() { "ramp" } else { "setWeight" };
        let moves = step.set_weight.is_some() || step.ramp.is_some();
        if let Some((what, end)) = beside.first().filter(|_| moves) {
            let message = format!(
                "cannot be compared with the share of requests (verification: observed) while {what} is in effect, which sends \
                 others to the canary; end it before ({end}), or set spec.verification to settled"
            );
            return found.push(Finding::error(format!("spec.strategy.canary.steps[{index}].{field}"), message));
        }
    }
}

/// What is in effect beside the weight.
#[derive(Default)]
struct Beside<'a> {
    headers: Vec<&'a str>,
    mirror: bool,
}

impl<'a> Beside<'a> {
    fn take(&mut self, step: &'a Step) {
        if let Some(route) = &step.set_header_route {
            self.headers.retain(|name| *name != route.name);
            self.headers.extend((!route.matches.is_empty()).then_some(route.name.as_str()));
        }
        if let Some(mirror) = &step.set_mirror_route {
            self.mirror = !mirror.percent.is_zero();
        }
    }

    /// What it is, and the step that ends it.
    fn first(&self) -> Option<(String, String)> {
        let header = self.headers.first();
        let header =
            header.map(|name| (format!("the header route `{name}`"), format!("setHeaderRoute: {{name: {name}}}")));
        header.or_else(|| self.mirror.then(|| ("the mirror".to_owned(), "setMirrorRoute: {percent: 0}".to_owned())))
    }
}
