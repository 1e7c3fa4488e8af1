//! The file of a local rollout: checked as `lint` checks it, and for what two addresses cannot do.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{
    api::{
        Rollout, RolloutSpec,
        analysis::{AnalysisTemplateSpec, TemplateRef},
        validate::Finding,
    },
    cli::{
        exit::CliError,
        offline::{
            lint::files::{File, Files},
            objects::{no_rollout, template},
            refusal::Refusal,
        },
    },
    evidence::{BUILTIN_NAMES, builtin},
    local::site::admission::{self, Routing},
    yaml::{self, Document, YamlError},
};

const CANNOT: &str = "cannot release between two addresses with these errors";

/// What the files say.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The Rollout, prepared.
    pub rollout: Rollout,
    /// The templates, by name.
    pub templates: BTreeMap<String, AnalysisTemplateSpec>,
    /// What a reader of the file should know.
    pub notes: Vec<String>,
}

/// Reads and checks the files for what routes.
pub fn load(paths: &[PathBuf], routing: Routing) -> Result<Manifest, CliError> {
    let mut reader = Files::default();
    let files = reader.collect(paths)?;
    parse(&mut reader, &files, routing)
}

fn parse(reader: &mut Files, files: &[File], routing: Routing) -> Result<Manifest, CliError> {
    let mut found = Contents { routing, ..Contents::default() };
    let mut documents: Vec<(&str, Document)> = Vec::new();
    for file in files {
        let read = found.refusal.documents(reader, file);
        documents.extend(read.into_iter().map(|one| (file.name.as_str(), one)));
    }
    let mut notes = Vec::new();
    for (_, document) in documents.iter_mut().filter(|(_, document)| document.value["kind"] == "Rollout") {
        notes = admission::prepare(&mut document.value, routing);
    }
    let placed: Vec<(&str, &Document)> = documents.iter().map(|(name, document)| (*name, document)).collect();
    found.refusal.objects(&placed);
    found.refusal.check(CANNOT)?;
    for (name, document) in &documents {
        found.take(name, document)?;
    }
    let Some((name, document, rollout)) = found.rollout.take() else {
        return Err(no_rollout(files));
    };
    let findings = admission::check(&rollout.spec, routing).into_iter().chain(found.asked_templates(&rollout.spec));
    let findings: Vec<Finding> = findings.collect();
    found.refusal.extend(name, document, findings);
    found.refusal.check(CANNOT)?;
    for (name, _) in found.templates.iter().filter(|(_, template)| template.load.is_some()) {
        notes.push(format!("spec.load of template {name} is not run: local mode starts no Jobs"));
    }
    Ok(Manifest { rollout, templates: found.templates, notes })
}

/// The files as far as they are read.
#[derive(Default)]
struct Contents<'a> {
    routing: Routing,
    rollout: Option<(&'a str, &'a Document, Rollout)>,
    templates: BTreeMap<String, AnalysisTemplateSpec>,
    refusal: Refusal,
}

impl<'a> Contents<'a> {
    fn take(&mut self, name: &'a str, document: &'a Document) -> Result<(), CliError> {
        let wrong = |error: YamlError| Refusal::one(CANNOT, name, document.position(""), "", error.to_string());
        match document.text("/kind").unwrap_or_default() {
            "Rollout" if self.rollout.is_some() => {
                let words = "there are two Rollouts; release each with a local of its own".to_owned();
                return Err(Refusal::one(CANNOT, name, document.position("kind"), "kind", words));
            }
            "Rollout" => self.rollout = Some((name, document, yaml::typed::<Rollout>(&document.value).map_err(wrong)?)),
            _ => {
                if let Some((template, spec)) = template(document).map_err(wrong)? {
                    self.refusal.extend(name, document, admission::check_template(&spec, self.routing));
                    self.templates.insert(template, spec);
                }
            }
        }
        Ok(())
    }

    /// Templates that the Rollout names and that are not in this file: the built-in ones that count what the proxy counts.
    fn asked_templates(&self, spec: &RolloutSpec) -> Vec<Finding> {
        let elsewhere =
            named_templates(spec).into_iter().filter(|(_, named)| !self.templates.contains_key(&named.name));
        let finding = |(path, named): (String, TemplateRef)| {
            let name = named.name;
            // One that is nowhere is found by the checks of `lint`.
            let spec = builtin(&name)?;
            let first = admission::check_template(&spec, self.routing).into_iter().next()?;
            let usable = BUILTIN_NAMES.into_iter().filter(|name| {
                builtin(name).is_some_and(|spec| admission::check_template(&spec, self.routing).is_empty())
            });
            let usable: Vec<&str> = usable.collect();
            Some(Finding::error(
                path,
                format!(
                    "the built-in \"{name}\" {}; built-in templates for local mode: {}",
                    first.message,
                    usable.join(", ")
                ),
            ))
        };
        elsewhere.filter_map(finding).collect()
    }
}

/// Every template that the spec names, with the field that does.
fn named_templates(spec: &RolloutSpec) -> Vec<(String, TemplateRef)> {
    let mut named = Vec::new();
    let mut add = |path: String, templates: &[TemplateRef]| {
        for (index, template) in templates.iter().enumerate() {
            named.push((format!("{path}.templates[{index}].name"), template.clone()));
        }
    };
    if let Some(analysis) = &spec.analysis {
        add("spec.analysis".into(), &analysis.templates);
    }
    for (index, step) in spec.strategy.canary.iter().flat_map(|canary| &canary.steps).enumerate() {
        if let Some(analysis) = &step.analysis {
            add(format!("spec.strategy.canary.steps[{index}].analysis"), &analysis.templates);
        }
    }
    for (field, judged) in spec.strategy.ab_test.iter().flat_map(|test| test.analyses()) {
        add(format!("spec.strategy.abTest.{field}"), &judged.templates);
    }
    for (field, analysis) in spec.strategy.blue_green.iter().flat_map(|strategy| strategy.analyses()) {
        add(format!("spec.strategy.blueGreen.{field}"), &analysis.templates);
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Manifest, CliError> {
        let mut reader = Files::default();
        let file = reader.read("web.yaml", text.as_bytes())?;
        parse(&mut reader, &[file], Routing::Proxy)
    }

    fn file(spec: &str) -> String {
        format!("apiVersion: glidepath.dev/v1alpha1\nkind: Rollout\nmetadata: {{name: web}}\nspec:\n{spec}")
    }

    #[test]
    fn a_file_becomes_a_rollout_with_its_templates() {
        let text = file(
            "  analysis: {templates: [{name: golden-signals}, {name: own}]}\n  strategy: {canary: {steps: [{setWeight: 10}]}}\n",
        ) + "---\napiVersion: glidepath.dev/v1alpha1\nkind: AnalysisTemplate\nmetadata: {name: own}\nspec:\n  metrics: \
               [{name: e, ratio: {bad: {builtin: errors}, total: {builtin: requests}}}]\n---\nkind: Service\n";
        let manifest = parsed(&text).unwrap();
        assert!(manifest.templates.contains_key("own") && manifest.templates.len() == 1);
        assert_eq!(manifest.rollout.spec.replicas, Some(1));
    }

    #[test]
    fn what_cannot_be_done_is_pointed_at() {
        let two = file("  strategy: {canary: {}}\n---\n") + &file("  strategy: {canary: {}}\n");
        for (text, said) in [
            ("kind: Service\n".to_owned(), "there is no Rollout in web.yaml"),
            (two, "two Rollouts"),
            (
                file("  strategy:\n    canary:\n      steps:\n        - setCanaryScale: {replicas: 2}\n"),
                "web.yaml:8:11  error   spec.strategy.canary.steps[0].setCanaryScale: there is one process",
            ),
            (
                file(
                    "  analysis:\n    templates:\n      - name: success-rate\n    args: [{name: selector, value: x}]\n  strategy: {canary: {}}\n",
                ),
                "web.yaml:7:9  error   spec.analysis.templates[0].name: the built-in \"success-rate\" queries Prometheus",
            ),
            (
                file("  analysis: {templates: [{name: mine}]}\n  strategy: {canary: {}}\n"),
                "no AnalysisTemplate \"mine\" in these files or built in",
            ),
        ] {
            let error = parsed(&text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
