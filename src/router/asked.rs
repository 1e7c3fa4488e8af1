//! What a strategy asks of routes that is more than weights, each with the field that asks for it.

use crate::api::strategy::{RequestMatch, Strategy};

/// Something that is more than weights.
#[derive(Debug)]
pub(super) struct Asked {
    /// The field that asks for it.
    pub(super) field: String,
    /// `header route`, `mirror` or `sticky cookie`.
    pub(super) what: &'static str,
    /// Whether it is a sticky cookie.
    pub(super) is_sticky: bool,
}

/// All that a strategy asks for.
pub(super) fn asked(strategy: &Strategy) -> Vec<Asked> {
    let ask = |field: String, what| Asked { field, what, is_sticky: false };
    let mut all = Vec::new();
    for (index, step) in strategy.steps().iter().enumerate() {
        let [header, mirror] = fields(strategy, index);
        let is_set = step.set_header_route.as_ref().is_some_and(|route| !route.matches.is_empty());
        all.extend(is_set.then(|| ask(header, "header route")));
        let is_set = step.set_mirror_route.as_ref().is_some_and(|mirror| !mirror.percent.is_zero());
        all.extend(is_set.then(|| ask(mirror, "mirror")));
    }
    let canary = strategy.canary.as_ref().is_some_and(|canary| canary.sticky.is_some());
    let test = strategy.ab_test.as_ref().is_some_and(|test| test.sticky.is_some());
    for (is_asked, field) in [(canary, "spec.strategy.canary.sticky"), (test, "spec.strategy.abTest.sticky")] {
        let ask = || Asked { field: field.to_owned(), what: "sticky cookie", is_sticky: true };
        all.extend(is_asked.then(ask));
    }
    all
}

/// Every match of a header route that a strategy asks for, with its field and the name of the route.
pub(super) fn matches(strategy: &Strategy) -> Vec<(String, String, RequestMatch)> {
    let mut all = Vec::new();
    for (index, step) in strategy.steps().iter().enumerate() {
        let Some(route) = &step.set_header_route else { continue };
        let [field, _] = fields(strategy, index);
        let list = if strategy.canary.is_some() { format!("{field}.match") } else { field };
        let numbered = route.matches.iter().enumerate();
        all.extend(numbered.map(|(number, own)| (format!("{list}[{number}]"), route.name.clone(), own.clone())));
    }
    all
}

/// The fields that the header route and the mirror of a step come from.
fn fields(strategy: &Strategy, index: usize) -> [String; 2] {
    match (&strategy.canary, &strategy.blue_green) {
        (Some(_), _) => {
            ["setHeaderRoute", "setMirrorRoute"].map(|field| format!("spec.strategy.canary.steps[{index}].{field}"))
        }
        (None, Some(_)) => ["previewMatch", "previewMirror"].map(|field| format!("spec.strategy.blueGreen.{field}")),
        (None, None) => ["match", "match"].map(|field| format!("spec.strategy.abTest.{field}")),
    }
}
