//! Sticky users: a cookie that browsers take, and for a canary weights that only rise.

use super::finding::Finding;
use crate::api::{
    common::Percent,
    rollout::{RolloutSpec, Verification},
    strategy::{CanaryStrategy, MOST_STICKY_WEIGHTS, Step, Sticky},
};

const CANARY: &str = "spec.strategy.canary";

/// The cookie of the `sticky` at `path`.
pub(super) fn cookie(sticky: &Sticky, path: &str, found: &mut Vec<Finding>) {
    // RFC 6265: a cookie's name is a token.
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if sticky.cookie.is_empty() || !sticky.cookie.chars().all(token) {
        let message =
            format!("`{}` is not a valid cookie name: use letters, digits and -_.!#$%&'*+^`|~ only", sticky.cookie);
        found.push(Finding::error(format!("{path}.cookie"), message));
    }
    if sticky.ttl.is_some_and(|ttl| ttl.get().is_zero()) {
        found.push(Finding::error(format!("{path}.ttl"), "must be above 0, or no user is sticky"));
    }
}

/// The canary's.
pub(super) fn canary(spec: &RolloutSpec, canary: &CanaryStrategy, found: &mut Vec<Finding>) {
    let Some(sticky) = &canary.sticky else { return };
    let path = format!("{CANARY}.sticky");
    if !spec.has_mesh() {
        let message = "needs a router under spec.traffic: the ratio of pods cannot assign users";
        found.push(Finding::error(&path, message));
    }
    cookie(sticky, &path, found);
    not_observed(spec, found);
    let weights = canary.partial_weights().len();
    if weights == 0 {
        let message = "has no effect: no step sets a weight between 0 and 100 %; add one or remove sticky";
        found.push(Finding::error(&path, message));
    }
    if weights > MOST_STICKY_WEIGHTS {
        let message = format!(
            "the steps have {weights} weights between 0 and 100 %, and at most {MOST_STICKY_WEIGHTS} are allowed: users of \
             each earlier weight need a route; use fewer and larger increments"
        );
        found.push(Finding::error(&path, message));
    }
    rising(&canary.steps, found);
    without_mirror(&canary.steps, found);
}

/// Requests of users who stay do not fall as the weight says: a step would wait for it without end.
pub(super) fn not_observed(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    if spec.verification == Some(Verification::Observed) {
        let message = "observed compares shares of requests, and a sticky cookie splits users; use settled";
        found.push(Finding::error("spec.verification", message));
    }
}

/// Users who have seen the canary stay with it, so its share cannot fall before the release ends.
fn rising(steps: &[Step], found: &mut Vec<Finding>) {
    let mut before = Percent::ZERO;
    for (index, step) in steps.iter().enumerate() {
        let (field, first) = match (step.set_weight, &step.ramp) {
            (Some(weight), _) => ("setWeight", weight),
            (None, Some(ramp)) => ("ramp.from", ramp.from),
            (None, None) => continue,
        };
        if first < before {
            let message = format!(
                "{first} is below the {before} of an earlier step, and with sticky users who have seen the new version stay \
                 on it; let the weights rise, or remove sticky"
            );
            found.push(Finding::error(format!("{CANARY}.steps[{index}].{field}"), message));
        }
        before = before.max(step.ramp.as_ref().map_or(first, |ramp| ramp.to));
    }
}

/// A mirror would copy the requests of users without a cookie alone.
fn without_mirror(steps: &[Step], found: &mut Vec<Finding>) {
    let (mut weight, mut mirror) = (Percent::ZERO, None);
    for (index, step) in steps.iter().enumerate() {
        if let Some(set) = &step.set_mirror_route {
            mirror = (!set.percent.is_zero()).then_some(index);
        }
        weight = step.set_weight.or(step.ramp.as_ref().map(|ramp| ramp.to)).unwrap_or(weight);
        if let Some(mirrored) = mirror.filter(|_| !weight.is_zero()) {
            let message =
                "cannot be in effect while users are sticky; end it (percent: 0) before the first weight above 0";
            found.push(Finding::error(format!("{CANARY}.steps[{mirrored}].setMirrorRoute"), message));
            mirror = None;
        }
    }
}
