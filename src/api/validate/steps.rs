//! The steps of a canary: one kind each, weights and pods that fit together, waits that can end.

use super::{ab_test, blue_green, finding::Finding, gates, routes, sticky};
use crate::api::{
    common::Percent,
    rollout::RolloutSpec,
    strategy::{CanaryScale, CanaryStrategy, Observe, Ramp, Step},
};

pub(super) fn check(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    let strategy = &spec.strategy;
    let canary = match (&strategy.canary, &strategy.blue_green, &strategy.ab_test) {
        (Some(canary), None, None) => canary,
        (None, Some(blue_green), None) => return blue_green::check(spec, blue_green, found),
        (None, None, Some(test)) => return ab_test::check(spec, test, found),
        (None, None, None) => {
            return found.push(Finding::error("spec.strategy", "set one strategy: canary, blueGreen or abTest"));
        }
        _ => return found.push(Finding::error("spec.strategy", "has several strategies; set exactly one")),
    };
    for (index, step) in canary.steps.iter().enumerate() {
        let path = format!("spec.strategy.canary.steps[{index}]");
        one_kind(step, &path, found);
        by_itself(spec, step, &path, found);
    }
    dynamic_scale(spec, canary, found);
    scale_under_weight(&canary.steps, found);
    routes::check(spec, &canary.steps, found);
    sticky::canary(spec, canary, found);
    if spec.has_mesh() {
        waits_before_traffic(&canary.steps, found);
    } else {
        ratio_of_replicas(spec, &canary.steps, found);
    }
    analysis_without_traffic(spec, &canary.steps, found);
    analysis_without_observe(spec, &canary.steps, found);
}

fn one_kind(step: &Step, path: &str, found: &mut Vec<Finding>) {
    let kinds = [
        ("setWeight", step.set_weight.is_some()),
        ("pause", step.pause.is_some()),
        ("observe", step.observe.is_some()),
        ("analysis", step.analysis.is_some()),
        ("setCanaryScale", step.set_canary_scale.is_some()),
        ("ramp", step.ramp.is_some()),
        ("setHeaderRoute", step.set_header_route.is_some()),
        ("setMirrorRoute", step.set_mirror_route.is_some()),
        ("gate", step.gate.is_some()),
    ];
    let given: Vec<&str> = kinds.iter().filter(|(_, given)| *given).map(|(kind, _)| *kind).collect();
    let what = match given.len() {
        0 => "this one has none".to_owned(),
        1 => return,
        _ => format!("this one has {}; write a separate list item for each", given.join(" and ")),
    };
    let rule = "a step must have exactly one of setWeight, pause, observe, analysis, setCanaryScale, ramp, setHeaderRoute, \
                setMirrorRoute, gate";
    found.push(Finding::error(path, format!("{rule}: {what}")));
}

fn by_itself(spec: &RolloutSpec, step: &Step, path: &str, found: &mut Vec<Finding>) {
    if let Some(ramp) = &step.ramp {
        check_ramp(ramp, &format!("{path}.ramp"), found);
    }
    if let Some(scale) = &step.set_canary_scale {
        check_scale(spec, scale, &format!("{path}.setCanaryScale"), found);
    }
    if let Some(observe) = &step.observe {
        check_observe(spec, observe, &format!("{path}.observe"), found);
    }
    if let Some(gate) = &step.gate {
        gates::check(gate, &format!("{path}.gate"), found);
    }
    if step.pause.as_ref().and_then(|pause| pause.duration).is_some_and(|duration| duration.get().is_zero()) {
        found.push(Finding::warning(
            format!("{path}.pause.duration"),
            "0 does not wait; remove it to wait for an operator",
        ));
    }
}

fn check_ramp(ramp: &Ramp, path: &str, found: &mut Vec<Finding>) {
    if ramp.by.is_zero() {
        found.push(Finding::error(format!("{path}.by"), "must be above 0, or the ramp never reaches `to`"));
    }
    if ramp.from > ramp.to {
        found.push(Finding::error(
            format!("{path}.from"),
            format!("from ({}) must not be above to ({})", ramp.from, ramp.to),
        ));
    }
    let strides =
        ramp.to.basis_points().saturating_sub(ramp.from.basis_points()).div_ceil(ramp.by.basis_points().max(1));
    if !ramp.by.is_zero() && strides > 200 {
        found
            .push(Finding::error(format!("{path}.by"), format!("makes {strides} increments; at most 200 are allowed")));
    }
}

fn check_scale(spec: &RolloutSpec, scale: &CanaryScale, path: &str, found: &mut Vec<Finding>) {
    let given = [scale.replicas.is_some(), scale.percent.is_some(), scale.match_weight.is_some()];
    if given.iter().filter(|given| **given).count() != 1 {
        found.push(Finding::error(path, "setCanaryScale must have exactly one of replicas, percent, matchWeight"));
    }
    if !spec.has_mesh() {
        found.push(Finding::error(
            path,
            "needs a router under spec.traffic; without one the ratio of replicas determines the weight",
        ));
    }
    if scale.match_weight == Some(false) {
        found.push(Finding::error(format!("{path}.matchWeight"), "can only be true; use replicas or percent instead"));
    }
}

fn check_observe(spec: &RolloutSpec, observe: &Observe, path: &str, found: &mut Vec<Finding>) {
    if spec.analysis.as_ref().is_none_or(|analysis| analysis.templates.is_empty()) {
        found.push(Finding::error(path, "has nothing to observe; set spec.analysis.templates, or use pause"));
    }
    if let (Some(at_least), Some(at_most)) = (observe.at_least, observe.at_most)
        && at_least > at_most
    {
        found.push(Finding::error(
            format!("{path}.atMost"),
            format!("atMost ({at_most}) must not be below atLeast ({at_least})"),
        ));
    }
}

/// Stable cannot follow the weight while the canary's pods do not (rule S15), nor without weights.
fn dynamic_scale(spec: &RolloutSpec, canary: &CanaryStrategy, found: &mut Vec<Finding>) {
    if !canary.dynamic_stable_scale {
        return;
    }
    if !spec.has_mesh() {
        found.push(Finding::error(
            "spec.strategy.canary.dynamicStableScale",
            "needs a router under spec.traffic; without one the ratio of replicas determines the weight",
        ));
    }
    for (index, step) in canary.steps.iter().enumerate() {
        if step.set_canary_scale.as_ref().is_some_and(|scale| scale.replicas.is_some() || scale.percent.is_some()) {
            found.push(Finding::error(
                format!("spec.strategy.canary.steps[{index}].setCanaryScale"),
                "conflicts with dynamicStableScale, which scales the canary to its weight; remove one of the two",
            ));
        }
    }
}

/// setCanaryScale is sticky: below the weight's share the canary is overloaded, at 0 it has no pod to respond (rule
/// S15).
fn scale_under_weight(steps: &[Step], found: &mut Vec<Finding>) {
    let mut weight = Percent::ZERO;
    let mut scale: Option<&CanaryScale> = None;
    for (index, step) in steps.iter().enumerate() {
        let path = format!("spec.strategy.canary.steps[{index}]");
        let reached = step.set_weight.or(step.ramp.as_ref().map(|ramp| ramp.to));
        weight = reached.unwrap_or(weight);
        scale = step.set_canary_scale.as_ref().or(scale);
        if reached.is_none() && step.set_canary_scale.is_none() {
            continue;
        }
        let Some(scale) = scale else { continue };
        let none = scale.replicas == Some(0) || scale.percent.is_some_and(Percent::is_zero);
        if none && !weight.is_zero() {
            found.push(Finding::error(
                path,
                format!("0 canary pods cannot serve {weight} of the traffic; scale the canary first"),
            ));
        } else if scale.percent.is_some_and(|percent| percent < weight) {
            let percent = scale.percent.unwrap_or_default();
            found.push(Finding::warning(
                path,
                format!(
                    "{percent} of the pods for {weight} of the traffic: each canary pod gets more than a stable one"
                ),
            ));
        }
    }
}

/// With a mesh nothing is running before the first step that needs pods, so nothing can be analysed (rule S10).
fn waits_before_traffic(steps: &[Step], found: &mut Vec<Finding>) {
    for (index, step) in steps.iter().enumerate() {
        if sends_traffic(step) {
            return;
        }
        if step.observe.is_some() {
            found.push(Finding::warning(
                format!("spec.strategy.canary.steps[{index}].observe"),
                "comes before the first step that sends traffic: there is no evidence yet",
            ));
        }
    }
}

/// Without a mesh the ratio of replicas approximates the weight (rule S54), as well as so few pods can.
fn ratio_of_replicas(spec: &RolloutSpec, steps: &[Step], found: &mut Vec<Finding>) {
    let Some(replicas) = spec.replicas.filter(|replicas| *replicas > 0) else { return };
    for (index, step) in steps.iter().enumerate() {
        let Some(weight) = step.set_weight.filter(|weight| !weight.is_zero()) else { continue };
        let surge = spec.strategy.canary.as_ref().and_then(|canary| canary.max_surge);
        let extra = surge.map_or(1, |surge| surge.round_up(replicas).min(1));
        let least = 1.0 / (f64::from(replicas) + f64::from(extra));
        if weight.share() < least * 0.75 {
            found.push(Finding::warning(
                format!("spec.strategy.canary.steps[{index}].setWeight"),
                format!(
                    "without a router the smallest share of {replicas} pods is about {:.0} %; {weight} needs a mesh or {} pods",
                    least * 100.0,
                    (1.0 / weight.share()).ceil()
                ),
            ));
        }
    }
}

fn analysis_without_traffic(spec: &RolloutSpec, steps: &[Step], found: &mut Vec<Finding>) {
    if spec.analysis.is_some() && !steps.iter().any(sends_traffic) {
        let path = if steps.is_empty() { "spec.analysis" } else { "spec.strategy.canary.steps" };
        found.push(Finding::warning(
            path,
            "no step sends traffic to the new version, so the analysis never starts; add a setWeight above 0",
        ));
    }
}

/// Steps by time do not wait for a Pass (rule S14).
fn analysis_without_observe(spec: &RolloutSpec, steps: &[Step], found: &mut Vec<Finding>) {
    let observed = steps.iter().any(|step| step.observe.is_some());
    if spec.analysis.is_some() && !observed && steps.iter().any(sends_traffic) {
        found.push(Finding::warning(
            "spec.analysis",
            "no step observes it: weights rise by time alone as long as it does not fail, and only the promotion waits for \
             a Pass; add an observe step after the first setWeight",
        ));
    }
}

fn sends_traffic(step: &Step) -> bool {
    step.set_header_route.as_ref().is_some_and(|route| !route.matches.is_empty())
        || step.set_mirror_route.as_ref().is_some_and(|mirror| !mirror.percent.is_zero())
        || step.set_weight.is_some_and(|weight| !weight.is_zero())
        || step.ramp.as_ref().is_some_and(|ramp| !ramp.to.is_zero())
}
