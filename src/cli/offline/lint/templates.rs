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
        resolve::{self, ResolveError, Wanted},
    },
    router,
    routing::targets,
    source::DIALECT,
};

/// The templates of all files: whether of the cluster's scope, and the name.
pub(super) type Known = BTreeMap<(bool, String), AnalysisTemplateSpec>;

/// Everything wrong with the templates and arguments of a Rollout.
pub(super) fn check(spec: &RolloutSpec, known: &Known) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(analysis) = &spec.analysis {
        let place = TemplateUse { path: "spec.analysis", goal: false };
        used(place, spec, (&analysis.templates, &analysis.args), known, &mut found);
    }
    for (field, judged) in spec.strategy.judged() {
        let place = TemplateUse { path: &format!("spec.strategy.{field}"), goal: field == "abTest.goal" };
        used(place, spec, (&judged.templates, &judged.args), known, &mut found);
    }
    found
}

/// Where templates are named.
#[derive(Clone, Copy)]
struct TemplateUse<'a> {
    path: &'a str,
    /// Whether they decide an A/B test.
    goal: bool,
}

fn used(
    place: TemplateUse<'_>,
    spec: &RolloutSpec,
    (templates, args): (&[TemplateRef], &[Arg]),
    known: &Known,
    found: &mut Vec<Finding>,
) {
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
        found.extend(arguments(place, spec, resolved, args));
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
        let advice = if reference.cluster_scope { "remove clusterScope" } else { "set clusterScope: true" };
        return format!("no {kind} \"{name}\" in these files or built in; there is one of the other scope: {advice}");
    }
    let in_files = known.keys().filter(|(scope, _)| *scope == reference.cluster_scope).map(|(_, name)| name.as_str());
    let mut names: Vec<&str> = in_files.collect();
    // A file's own template of a built-in name takes its place.
    let others: Vec<&str> = BUILTIN_NAMES.into_iter().filter(|name| !names.contains(name)).collect();
    names.extend(others);
    let there = nearest(name, &names).map_or_else(
        || names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", "),
        |name| format!("\"{name}\""),
    );
    format!("no {kind} \"{name}\" in these files or built in; there is {there}")
}

/// Resolves as the controller does, with the arguments filled in. What is wrong with a template itself is reported at
/// the template.
fn arguments(
    place: TemplateUse<'_>,
    spec: &RolloutSpec,
    templates: Vec<(String, AnalysisTemplateSpec)>,
    args: &[Arg],
) -> Vec<Finding> {
    let by_itself: Vec<ResolveError> =
        templates.iter().flat_map(|(name, template)| resolve::check(name, template, DIALECT)).collect();
    let targets = targets::of(spec);
    let arms = Arms {
        namespace: "namespace".to_owned(),
        canary: "rollout-canary".to_owned(),
        stable: "rollout-stable".to_owned(),
        canary_service: targets.canary,
        stable_service: targets.stable,
        canary_pods: None,
    };
    let wanted = Wanted {
        templates: templates.clone(),
        args,
        arms,
        pack: router::pack(spec),
        prometheus: Some(RunPrometheus::controller()),
        one_armed: spec.strategy.blue_green.is_some(),
        goal: place.goal,
        ..Wanted::default()
    };
    let errors = resolve::resolve(wanted, DIALECT).err().unwrap_or_default();
    let of_a_text =
        |error: &ResolveError| matches!(error, ResolveError::Invalid { .. } | ResolveError::Undeclared { .. });
    let new = errors.iter().filter(|error| !(of_a_text(error) && by_itself.contains(error)));
    new.filter_map(|error| placed(place.path, error, &templates, args)).collect()
}

/// The finding at the argument that makes the error, or else at the list that it concerns. A text with an argument that has
/// no value is not judged: that it has none is said already.
fn placed(
    path: &str,
    error: &ResolveError,
    templates: &[(String, AnalysisTemplateSpec)],
    args: &[Arg],
) -> Option<Finding> {
    let at = |field: &str| Some(Finding::error(format!("{path}.{field}"), error.to_string()));
    match error {
        ResolveError::MissingValue { .. } => at("args"),
        ResolveError::UnknownArgument { arg, .. } => match args.iter().position(|given| given.name == *arg) {
            Some(index) => at(&format!("args[{index}].name")),
            None => at("args"),
        },
        ResolveError::Invalid { template, field, .. } => {
            let (_, spec) = templates.iter().find(|(name, _)| name == template)?;
            let used = resolve::arguments_of(spec, field);
            let given = args.iter().enumerate().find(|(_, arg)| arg.value.is_some() && used.contains(&arg.name));
            let has_value =
                |name: &String| args.iter().chain(&spec.args).any(|arg| arg.name == *name && arg.value.is_some());
            match given {
                _ if !used.iter().all(has_value) => None,
                None => at("templates"),
                Some((index, arg)) => {
                    let value = arg.value.as_deref().unwrap_or_default();
                    let message = format!("argument {} is \"{value}\": {error}", arg.name);
                    Some(Finding::error(format!("{path}.args[{index}].value"), message))
                }
            }
        }
        _ => at("templates"),
    }
}
