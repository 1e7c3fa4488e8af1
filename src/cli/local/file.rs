//! The file of a local rollout: checked as `lint` checks it, and for what two addresses cannot do.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use crate::{
    api::{
        AnalysisTemplate, ClusterAnalysisTemplate, Rollout, RolloutSpec,
        analysis::{AnalysisTemplateSpec, TemplateRef},
        validate::{Finding, Severity},
    },
    cli::{
        exit::CliError,
        offline::lint::{check, files::Files},
    },
    evidence::{BUILTIN_NAMES, builtin},
    local::site::admission,
    yaml::{self, Document, YamlError},
};

/// What the file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The Rollout, prepared.
    pub rollout: Rollout,
    /// The templates, by name.
    pub templates: BTreeMap<String, AnalysisTemplateSpec>,
    /// What a reader of the file should know.
    pub notes: Vec<String>,
}

/// Reads and checks the file.
pub fn load(path: &Path) -> Result<Manifest, CliError> {
    let file = Files::default().one(path)?;
    parse(&file.text, &file.name)
}

fn parse(text: &str, name: &str) -> Result<Manifest, CliError> {
    let unreadable = |error: &YamlError| {
        let at = error.position();
        CliError::Failed(format!("{name}:{}:{}: not readable as YAML: {error}", at.line, at.column))
    };
    let mut documents: Vec<Document> = Vec::new();
    for document in yaml::read(text).map_err(|error| unreadable(&error))? {
        documents.push(document.map_err(|error| unreadable(&error))?);
    }
    let mut notes = Vec::new();
    for document in documents.iter_mut().filter(|document| document.value["kind"] == "Rollout") {
        notes = admission::prepare(&mut document.value);
    }
    let mut file = File { name, rollout: None, templates: BTreeMap::new(), found: Vec::new() };
    let all: Vec<&Document> = documents.iter().collect();
    for (index, finding) in check::objects(&all) {
        if finding.severity == Severity::Error {
            file.point(all[index], vec![finding]);
        }
    }
    file.complain()?;
    for document in &documents {
        file.take(document)?;
    }
    let Some((document, rollout)) = file.rollout.take() else {
        return Err(CliError::Failed(format!("{name}: there is no Rollout in this file")));
    };
    let findings = admission::check(&rollout.spec).into_iter().chain(file.asked_templates(&rollout.spec)).collect();
    file.point(document, findings);
    file.complain()?;
    Ok(Manifest { rollout, templates: file.templates, notes })
}

/// The file as far as it is read.
struct File<'a> {
    name: &'a str,
    rollout: Option<(&'a Document, Rollout)>,
    templates: BTreeMap<String, AnalysisTemplateSpec>,
    found: Vec<String>,
}

impl<'a> File<'a> {
    fn wrong(&self, error: &dyn std::fmt::Display) -> CliError {
        CliError::Failed(format!("{}: {error}; 'glidepath lint {0}' shows the line", self.name))
    }

    fn take(&mut self, document: &'a Document) -> Result<(), CliError> {
        let value = document.value.clone();
        match value["kind"].as_str().unwrap_or_default() {
            "Rollout" if self.rollout.is_some() => {
                let words = "there are two Rollouts; put each into a separate file";
                return Err(CliError::Failed(format!("{}: {words}", self.name)));
            }
            "Rollout" => {
                let rollout = yaml::typed::<Rollout>(&value).map_err(|error| self.wrong(&error))?;
                self.rollout = Some((document, rollout));
            }
            "AnalysisTemplate" => {
                let template: AnalysisTemplate = yaml::typed(&value).map_err(|error| self.wrong(&error))?;
                self.keep(document, &value, template.spec);
            }
            "ClusterAnalysisTemplate" => {
                let template: ClusterAnalysisTemplate = yaml::typed(&value).map_err(|error| self.wrong(&error))?;
                self.keep(document, &value, template.spec.into());
            }
            _ => {}
        }
        Ok(())
    }

    fn keep(&mut self, document: &Document, value: &Value, spec: AnalysisTemplateSpec) {
        self.point(document, admission::check_template(&spec));
        self.templates.insert(value["metadata"]["name"].as_str().unwrap_or_default().to_owned(), spec);
    }

    /// All that is wrong, at once.
    fn complain(&self) -> Result<(), CliError> {
        if self.found.is_empty() {
            return Ok(());
        }
        Err(CliError::Failed(format!(
            "{} cannot be released between two addresses:\n{}",
            self.name,
            self.found.join("\n")
        )))
    }

    fn point(&mut self, document: &Document, findings: Vec<Finding>) {
        for finding in findings {
            let at = document.position(&finding.path);
            let Finding { path, message, .. } = finding;
            self.found.push(format!("{}:{}:{}  error   {path}: {message}", self.name, at.line, at.column));
        }
    }

    /// Templates that the Rollout names and that are not in this file: the built-in ones that count what the proxy counts.
    fn asked_templates(&self, spec: &RolloutSpec) -> Vec<Finding> {
        let elsewhere =
            named_templates(spec).into_iter().filter(|(_, named)| !self.templates.contains_key(&named.name));
        let finding = |(path, named): (String, TemplateRef)| {
            let name = named.name;
            // One that is nowhere is found by the checks of `lint`.
            let spec = builtin(&name)?;
            let first = admission::check_template(&spec).into_iter().next()?;
            let usable = BUILTIN_NAMES
                .into_iter()
                .filter(|name| builtin(name).is_some_and(|spec| admission::check_template(&spec).is_empty()));
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

    fn file(spec: &str) -> String {
        format!("apiVersion: glidepath.dev/v1alpha1\nkind: Rollout\nmetadata: {{name: web}}\nspec:\n{spec}")
    }

    #[test]
    fn a_file_becomes_a_rollout_with_its_templates() {
        let text = file(
            "  analysis: {templates: [{name: golden-signals}, {name: own}]}\n  strategy: {canary: {steps: [{setWeight: 10}]}}\n",
        ) + "---\napiVersion: glidepath.dev/v1alpha1\nkind: AnalysisTemplate\nmetadata: {name: own}\nspec:\n  metrics: \
               [{name: e, ratio: {bad: {builtin: errors}, total: {builtin: requests}}}]\n---\nkind: Service\n";
        let manifest = parse(&text, "web.yaml").unwrap();
        assert!(manifest.templates.contains_key("own") && manifest.templates.len() == 1);
        assert_eq!(manifest.rollout.spec.replicas, Some(1));
    }

    #[test]
    fn what_cannot_be_done_is_pointed_at() {
        let two = file("  strategy: {canary: {}}\n---\n") + &file("  strategy: {canary: {}}\n");
        for (text, said) in [
            ("kind: Service\n".to_owned(), "web.yaml: there is no Rollout"),
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
            let error = parse(&text, "web.yaml").unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
