//! Arguments of templates: `{{args.name}}` in any text of a metric or a load, and the values put in their place.

use std::collections::BTreeMap;

use regex::{Captures, Regex};

use crate::api::analysis::{AnalysisTemplateSpec, Arg, Load};

use super::error::ResolveError;

/// The arguments that a field of a template uses, for instance `metrics[0].threshold.success`, in the order of its text.
pub fn arguments_of(template: &AnalysisTemplateSpec, field: &str) -> Vec<String> {
    let mut metrics = template.metrics.clone();
    let mut names = Vec::new();
    for (index, metric) in metrics.iter_mut().enumerate() {
        for (text_field, text) in metric.texts_mut() {
            if format!("metrics[{index}].{text_field}").starts_with(field) {
                // With no argument declared every one that is used is named.
                names.extend(substitute(text, &BTreeMap::new(), &|_| false).1);
            }
        }
    }
    for (text_field, text) in template.load.clone().iter_mut().flat_map(Load::texts_mut) {
        if text_field.starts_with(field) {
            names.extend(substitute(text, &BTreeMap::new(), &|_| false).1);
        }
    }
    names
}

/// Values for arguments that no template has.
pub(super) fn unknown_arguments(templates: &[(String, AnalysisTemplateSpec)], given: &[Arg]) -> Vec<ResolveError> {
    let known: Vec<&str> = templates.iter().flat_map(|(_, spec)| &spec.args).map(|arg| arg.name.as_str()).collect();
    let unknown = given.iter().filter(|arg| !known.contains(&arg.name.as_str()));
    let error = |arg: &Arg| {
        // Longer ones are not near, and the distance costs the product of both lengths.
        let alike = |known: &&&str| known.len().abs_diff(arg.name.len()) <= 8;
        let near = known.iter().filter(alike).find(|known| strsim::damerau_levenshtein(known, &arg.name) <= 2);
        let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        ResolveError::UnknownArgument { arg: arg.name.clone(), hint }
    };
    unknown.map(error).collect()
}

/// The template with its arguments put in literally.
pub(super) fn fill(
    name: &str,
    template: &AnalysisTemplateSpec,
    given: &[Arg],
) -> (AnalysisTemplateSpec, Vec<ResolveError>) {
    let mut errors = Vec::new();
    let mut values = BTreeMap::new();
    for arg in &template.args {
        let value = given.iter().find(|given| given.name == arg.name).and_then(|given| given.value.clone());
        match value.or_else(|| arg.value.clone()) {
            Some(value) => drop(values.insert(arg.name.clone(), value)),
            None => errors.push(ResolveError::MissingValue { template: name.to_owned(), arg: arg.name.clone() }),
        }
    }
    let declared = |arg: &str| template.args.iter().any(|known| known.name == arg);
    let mut filled = template.clone();
    let mut put = |field: String, text: &mut String| {
        let (put_in, undeclared) = substitute(text, &values, &declared);
        *text = put_in;
        let error = |arg| ResolveError::Undeclared { template: name.to_owned(), field: field.clone(), arg };
        errors.extend(undeclared.into_iter().map(error));
    };
    for (index, metric) in filled.metrics.iter_mut().enumerate() {
        let texts = metric.texts_mut().into_iter();
        texts.for_each(|(field, text)| put(format!("metrics[{index}].{field}"), text));
    }
    filled.load.iter_mut().flat_map(Load::texts_mut).for_each(|(field, text)| put(field, text));
    (filled, errors)
}

/// The text with values in place of `{{args.name}}`, and the names that are not declared.
fn substitute(text: &str, values: &BTreeMap<String, String>, declared: &dyn Fn(&str) -> bool) -> (String, Vec<String>) {
    let Ok(place) = Regex::new(r"\{\{\s*args\.([A-Za-z0-9_.-]+)\s*\}\}") else { return (text.to_owned(), Vec::new()) };
    let mut undeclared = Vec::new();
    let put_in = place.replace_all(text, |found: &Captures<'_>| {
        let name = &found[1];
        if !declared(name) {
            undeclared.push(name.to_owned());
        }
        values.get(name).cloned().unwrap_or_else(|| found[0].to_owned())
    });
    (put_in.into_owned(), undeclared)
}
