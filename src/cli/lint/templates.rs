//! The AnalysisTemplates that Rollouts name: found in the files or built in, with arguments that fit.

use std::collections::BTreeMap;

use super::schema::nearest;
use crate::{
    api::{
        analysis::{AnalysisTemplateSpec, Arg, Arms, RunPrometheus, TemplateRef},
        rollout::RolloutSpec,
        validate::Finding,
    },
    evidence::{
        BUILTIN_NAMES, builtin,
        resolve::{ResolveError, Wanted, resolve},
    },
};

/// The templates of all files: whether of the cluster's scope, and the name.
pub(super) type Known = BTreeMap<(bool, String), AnalysisTemplateSpec>;

/// Everything wrong with the templates and arguments of a Rollout.
pub(super) fn check(spec: &RolloutSpec, known: &Known) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(analysis) = &spec.analysis {
        used(Place { path: "spec.analysis", goal: false }, &analysis.templates, &analysis.args, known, &mut found);
    }
    for (field, judged) in spec.strategy.judged() {
        let place = Place { path: &format!("spec.strategy.{field}"), goal: field == "abTest.goal" };
        used(place, &judged.templates, &judged.args, known, &mut found);
    }
    found
}

/// Where templates are named.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a str,
    /// Whether they decide an A/B test.
    goal: bool,
}

fn used(place: Place<'_>, templates: &[TemplateRef], args: &[Arg], known: &Known, found: &mut Vec<Finding>) {
    let path = place.path;
    let mut resolved = Vec::new();
    for (index, reference) in templates.iter().enumerate() {
        match find(reference, known) {
            Some(spec) => resolved.push((reference.name.clone(), spec)),
            None => {
                found.push(Finding::error(format!("{path}.templates[{index}].name"), not_found(reference, known)));
            }
        }
    }
    if resolved.len() == templates.len() && !resolved.is_empty() {
        found.extend(arguments(place, resolved, args));
    }
}

fn find(reference: &TemplateRef, known: &Known) -> Option<AnalysisTemplateSpec> {
    let written = known.get(&(reference.cluster_scope, reference.name.clone())).cloned();
    written.or_else(|| builtin(&reference.name))
}

fn not_found(reference: &TemplateRef, known: &Known) -> String {
    let (kind, name) =
        (if reference.cluster_scope { "ClusterAnalysisTemplate" } else { "AnalysisTemplate" }, &reference.name);
    if known.contains_key(&(!reference.cluster_scope, name.clone())) {
        let advice = if reference.cluster_scope { "leave out clusterScope" } else { "set clusterScope: true" };
        return format!("no {kind} \"{name}\" in these files or built in; there is one of the other scope: {advice}");
    }
    let in_files = known.keys().filter(|(scope, _)| *scope == reference.cluster_scope).map(|(_, name)| name.as_str());
    let names: Vec<&str> = in_files.chain(BUILTIN_NAMES).collect();
    let there = nearest(name, &names).map_or_else(
        || names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", "),
        |name| format!("\"{name}\""),
    );
    format!("no {kind} \"{name}\" in these files or built in; there is {there}")
}

/// Resolves as the controller would. What a template has wrong by itself is said at the template.
fn arguments(place: Place<'_>, templates: Vec<(String, AnalysisTemplateSpec)>, args: &[Arg]) -> Vec<Finding> {
    let arms = Arms {
        namespace: "namespace".to_owned(),
        canary: "rollout-canary".to_owned(),
        stable: "rollout-stable".to_owned(),
        canary_service: Some("rollout-canary".to_owned()),
        stable_service: Some("rollout-stable".to_owned()),
    };
    let prometheus = Some(RunPrometheus::controller());
    let wanted = Wanted { templates, args, arms, prometheus, goal: place.goal, ..Wanted::default() };
    let errors = resolve(wanted).err().unwrap_or_default();
    errors.into_iter().filter_map(|error| placed(place.path, &error)).collect()
}

fn placed(path: &str, error: &ResolveError) -> Option<Finding> {
    let field = match error {
        ResolveError::MissingValue { .. } | ResolveError::UnknownArgument { .. } => "args",
        ResolveError::DuplicateMetric(_) | ResolveError::Disagree(_) | ResolveError::NoGoal(_) => "templates",
        _ => return None,
    };
    Some(Finding::error(format!("{path}.{field}"), error.to_string()))
}
