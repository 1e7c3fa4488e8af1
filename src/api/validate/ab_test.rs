//! An A/B test: one way to split users, a router that can, a goal, and times in order.

use super::{finding::Finding, routes, sticky};
use crate::api::{
    common::Percent,
    rollout::RolloutSpec,
    strategy::{AbTestStrategy, Sticky},
};

const PATH: &str = "spec.strategy.abTest";

pub(super) fn check(spec: &RolloutSpec, test: &AbTestStrategy, found: &mut Vec<Finding>) {
    if !spec.has_mesh() {
        found.push(Finding::error(PATH, "needs a router under spec.traffic: the ratio of pods cannot assign users"));
    }
    split(test, found);
    if let Some(cookie) = &test.sticky {
        stickiness(test, cookie, found);
        sticky::not_observed(spec, found);
    }
    let (least, most) = (test.min_duration.unwrap_or_default(), test.max_duration());
    if least > most {
        let message = format!("maxDuration ({most}) must not be below minDuration ({least})");
        found.push(Finding::error(format!("{PATH}.maxDuration"), message));
    }
    if spec.analysis.as_ref().is_some_and(|analysis| !analysis.templates.is_empty()) {
        let message = "an A/B test uses spec.strategy.abTest.guardrails; set the templates there";
        found.push(Finding::error("spec.analysis.templates", message));
    }
}

fn split(test: &AbTestStrategy, found: &mut Vec<Finding>) {
    match (test.matches.is_empty(), test.weight) {
        (true, None) => {
            found.push(Finding::error(PATH, "set match or weight, to select who is routed to the candidate"))
        }
        (false, Some(_)) => {
            found.push(Finding::error(format!("{PATH}.weight"), "match and weight are mutually exclusive"))
        }
        (true, Some(weight)) if weight.is_zero() || weight == Percent::FULL => {
            let message =
                format!("{weight} leaves one variant without users; use a value between 0 and 100 %, ideally 50 %");
            found.push(Finding::error(format!("{PATH}.weight"), message));
        }
        _ => routes::matches(&test.matches, PATH, found),
    }
}

fn stickiness(test: &AbTestStrategy, cookie: &Sticky, found: &mut Vec<Finding>) {
    if test.weight.is_none() {
        found.push(Finding::error(
            format!("{PATH}.sticky"),
            "requires weight: with match, a user's header or cookie already selects the variant",
        ));
    }
    sticky::cookie(cookie, &format!("{PATH}.sticky"), found);
}
