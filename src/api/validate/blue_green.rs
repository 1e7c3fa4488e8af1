//! A blue-green strategy: the Services it switches, a preview that fits, analyses that can say something.

use super::{finding::Finding, routes};
use crate::api::{rollout::RolloutSpec, strategy::BlueGreenStrategy};

const PATH: &str = "spec.strategy.blueGreen";

pub(super) fn check(spec: &RolloutSpec, strategy: &BlueGreenStrategy, found: &mut Vec<Finding>) {
    services(spec, strategy, found);
    preview(spec, strategy, found);
    reached(spec, strategy, found);
    if spec.analysis.as_ref().is_some_and(|analysis| !analysis.templates.is_empty()) {
        found.push(Finding::error(
            "spec.analysis.templates",
            "a blue-green release has no steps with traffic to analyze; use prePromotionAnalysis and postPromotionAnalysis",
        ));
    }
    if let Some(promotion) = &strategy.auto_promotion
        && promotion.enabled == Some(false)
        && promotion.after.is_some()
    {
        found.push(Finding::error(
            format!("{PATH}.autoPromotion.after"),
            "has no effect while enabled is false, which requires manual promotion",
        ));
    }
}

fn services(spec: &RolloutSpec, strategy: &BlueGreenStrategy, found: &mut Vec<Finding>) {
    if !spec.has_mesh() && strategy.active_service.is_none() {
        found.push(Finding::error(
            format!("{PATH}.activeService"),
            "set the Service that clients use; without a router in spec.traffic its selector is switched",
        ));
    }
    if strategy.active_service.is_some() && strategy.active_service == strategy.preview_service {
        found.push(Finding::error(
            format!("{PATH}.previewService"),
            "active and preview must be two different Services",
        ));
    }
}

/// Header routes and mirrored traffic can reach the preview, if a mesh can distinguish requests (rule S63).
fn reached(spec: &RolloutSpec, strategy: &BlueGreenStrategy, found: &mut Vec<Finding>) {
    routes::matches_at(&strategy.preview_match, &format!("{PATH}.previewMatch"), found);
    if !strategy.preview_match.is_empty() {
        routes::needs_mesh(spec, &format!("{PATH}.previewMatch"), found);
    }
    if let Some(mirror) = &strategy.preview_mirror {
        let path = format!("{PATH}.previewMirror");
        routes::needs_mesh(spec, &path, found);
        routes::matches(&mirror.matches, &path, found);
        if mirror.percent.is_zero() {
            found.push(Finding::error(format!("{path}.percent"), "mirrors nothing; remove previewMirror"));
        }
    }
}

fn preview(spec: &RolloutSpec, strategy: &BlueGreenStrategy, found: &mut Vec<Finding>) {
    let path = format!("{PATH}.previewReplicas");
    match (strategy.preview_replicas, spec.replicas) {
        (Some(0), _) => found.push(Finding::error(path, "must be at least 1: a preview needs a pod")),
        (Some(preview), Some(replicas)) if preview > replicas && replicas > 0 => {
            // An autoscaler may write spec.replicas: nothing that it writes makes a file invalid.
            let message =
                format!("{preview} is more than spec.replicas ({replicas}): the preview gets {replicas} pods");
            found.push(Finding::warning(path, message));
        }
        _ => {}
    }
}
