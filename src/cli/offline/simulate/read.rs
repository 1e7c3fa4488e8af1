//! Reads a scenario with the files that it names, and points at the place of every mistake.

use std::path::Path;

use serde_json::Value;

use super::scenario;
use crate::{
    api::{AnalysisTemplate, ClusterAnalysisTemplate, Rollout, validate::Severity},
    cli::{
        exit::CliError,
        offline::lint::{check, files::Files},
    },
    sim::{
        Setting, actions,
        scenario::{On, Scenario},
    },
    yaml::{self, Document, Position},
};

/// A scenario, ready to be played.
pub struct Loaded {
    /// The file, as it was named.
    pub name: String,
    /// What is played.
    pub setting: Setting,
    /// All objects of its files and of `objects`, as they are written.
    pub objects: Vec<Value>,
    document: Document,
}

impl Loaded {
    /// The position of a field of the scenario.
    pub fn position(&self, path: &str) -> Position {
        self.document.position(path)
    }

    /// Why it is not played here, if it is not.
    pub fn skipped(&self) -> Option<&'static str> {
        (self.setting.scenario.on == Some(On::Cluster)).then_some("it is for a real cluster only (on: cluster)")
    }
}

/// The documents of one file.
struct Source {
    name: String,
    documents: Vec<Document>,
}

/// The scenarios of a file.
pub fn load(path: &Path) -> Result<Vec<Loaded>, CliError> {
    let mut files = Files::default();
    let source = documents(&mut files, path)?;
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    if source.documents.is_empty() {
        return Err(CliError::Failed(format!("{}: there is no Scenario in this file", source.name)));
    }
    source.documents.iter().map(|document| one(&mut files, &source.name, &folder, document)).collect()
}

fn documents(files: &mut Files, path: &Path) -> Result<Source, CliError> {
    let file = files.one(path)?;
    Ok(Source { documents: files.whole_documents(&file)?, name: file.name })
}

fn one(files: &mut Files, name: &str, folder: &Path, document: &Document) -> Result<Loaded, CliError> {
    let kind = document.text("/kind").unwrap_or_default();
    if kind != "Scenario" {
        let at = document.position("kind");
        return Err(CliError::Failed(format!("{name}:{}:{}: kind is \"{kind}\", wanted Scenario", at.line, at.column)));
    }
    let wrong: Vec<String> = errors(name, document, scenario::check(document));
    let scenario = scenario::read(document).ok().filter(|_| wrong.is_empty());
    let Some(scenario) = scenario else { return Err(CliError::Failed(wrong.join("\nerror: "))) };
    let mut sources = vec![Source { name: name.to_owned(), documents: document.clone().into_entries("objects") }];
    for file in &scenario.files {
        sources.push(documents(files, &folder.join(file))?);
    }
    let objects = sources.iter().flat_map(|source| &source.documents).map(|document| document.value.clone()).collect();
    let setting = setting(name, scenario, &sources)?;
    Ok(Loaded { name: name.to_owned(), setting, objects, document: document.clone() })
}

fn errors(name: &str, document: &Document, found: Vec<crate::api::validate::Finding>) -> Vec<String> {
    let errors = found.into_iter().filter(|finding| finding.severity == Severity::Error);
    errors
        .map(|finding| {
            let at = document.position(&finding.path);
            format!("{name}:{}:{}: {}: {}", at.line, at.column, finding.path, finding.message)
        })
        .collect()
}

/// The objects of a Rollout's file, or of its folder.
pub fn rollout_file(path: &Path) -> Result<Setting, CliError> {
    let mut reader = Files::default();
    let mut sources = Vec::new();
    for file in reader.collect(&[path.to_owned()])? {
        sources.push(Source { documents: reader.whole_documents(&file)?, name: file.name });
    }
    setting(&path.display().to_string(), Scenario::default(), &sources)
}

/// Puts the objects where they belong. The Rollout passes the same checks as in `lint`.
fn setting(name: &str, scenario: Scenario, sources: &[Source]) -> Result<Setting, CliError> {
    let placed: Vec<(&str, &Document)> = sources
        .iter()
        .flat_map(|source| source.documents.iter().map(|document| (source.name.as_str(), document)))
        .collect();
    let all: Vec<&Document> = placed.iter().map(|(_, document)| *document).collect();
    let mut wrong = Vec::new();
    for (index, finding) in check::objects(&all) {
        let (name, document) = placed[index];
        wrong.extend(errors(name, document, vec![finding]));
    }
    if !wrong.is_empty() {
        return Err(CliError::Failed(wrong.join("\nerror: ")));
    }
    let mut setting = Setting { scenario, ..Setting::default() };
    for (name, document) in placed {
        place(&mut setting, name, document)?;
    }
    whole(name, &setting)?;
    Ok(setting)
}

fn place(setting: &mut Setting, name: &str, document: &Document) -> Result<(), CliError> {
    let value = &document.value;
    let unreadable = |error: yaml::YamlError| CliError::Failed(format!("{name}: {error}"));
    let object_name = document.text("/metadata/name").unwrap_or_default().to_owned();
    match document.text("/kind").unwrap_or_default() {
        "Rollout" if setting.rollout.is_some() => {
            let at = document.position("kind");
            let message = "a second Rollout is not supported yet; a scenario has one";
            return Err(CliError::Failed(format!("{name}:{}:{}: {message}", at.line, at.column)));
        }
        "Rollout" => setting.rollout = Some(yaml::typed::<Rollout>(value).map_err(unreadable)?),
        "Deployment" => {
            let replicas = actions::replicas_of(value).map_err(|why| {
                let at = document.position("spec.replicas");
                CliError::Failed(format!("{name}:{}:{}: spec.replicas: {why}", at.line, at.column))
            })?;
            let template = value.pointer("/spec/template").cloned().unwrap_or(Value::Null);
            setting.deployment = Some((template, replicas.unwrap_or(1)));
        }
        "AnalysisTemplate" => {
            let template: AnalysisTemplate = yaml::typed(value).map_err(unreadable)?;
            setting.templates.insert(object_name, template.spec);
        }
        "ClusterAnalysisTemplate" => {
            let template: ClusterAnalysisTemplate = yaml::typed(value).map_err(unreadable)?;
            setting.templates.insert(object_name, template.spec.into());
        }
        "HorizontalPodAutoscaler" | "ScaledObject" => {
            let at = document.position("kind");
            let message = "an autoscaler: not supported yet";
            return Err(CliError::Failed(format!("{name}:{}:{}: {message}", at.line, at.column)));
        }
        // Services and routes: the simulator's cluster has what the Rollout names.
        _ => {}
    }
    Ok(())
}

fn whole(name: &str, setting: &Setting) -> Result<(), CliError> {
    let Some(rollout) = &setting.rollout else { return Err(no_rollout(name)) };
    match &rollout.spec.workload_ref {
        Some(workload) if setting.deployment.is_none() => {
            let message = format!("workloadRef names Deployment \"{}\", which is in none of the files", workload.name);
            Err(CliError::Failed(format!("{name}: {message}; add its file")))
        }
        _ => Ok(()),
    }
}

/// Nothing to play.
pub(super) fn no_rollout(name: &str) -> CliError {
    CliError::Failed(format!("{name}: there is no Rollout in its files or objects"))
}
