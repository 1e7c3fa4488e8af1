//! Reads a scenario with the files that it names, and points at the place of every mistake.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::scenario;
use crate::{
    api::Rollout,
    cli::{
        exit::CliError,
        offline::{lint::files::Files, objects::template, refusal::Refusal},
    },
    sim::{
        Setting, actions,
        scenario::{On, Scenario},
    },
    yaml::{self, Document, Position},
};

const CANNOT: &str = "cannot simulate with these errors";

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
    let mut refusal = Refusal::default();
    let documents = refusal.documents(files, &file);
    refusal.check(CANNOT)?;
    Ok(Source { documents, name: file.name })
}

fn one(files: &mut Files, name: &str, folder: &Path, document: &Document) -> Result<Loaded, CliError> {
    let kind = document.text("/kind").unwrap_or_default();
    if kind != "Scenario" {
        let message = format!("is \"{kind}\", wanted Scenario; estimate the outcomes of a Rollout without --scenario");
        return Err(Refusal::one(CANNOT, name, document.position("kind"), "kind", message));
    }
    let mut refusal = Refusal::default();
    refusal.extend(name, document, scenario::check(document));
    refusal.check(CANNOT)?;
    let scenario = scenario::read(document)
        .map_err(|error| Refusal::one(CANNOT, name, document.position(""), "", error.to_string()))?;
    let mut sources = vec![Source { name: name.to_owned(), documents: document.clone().into_entries("objects") }];
    for file in &scenario.files {
        sources.push(documents(files, &folder.join(file))?);
    }
    let objects = sources.iter().flat_map(|source| &source.documents).map(|document| document.value.clone()).collect();
    let placed = placed(&sources);
    let mut refusal = Refusal::default();
    refusal.objects(&placed);
    refusal.check(CANNOT)?;
    let setting = setting(name, scenario, placed.into_iter())?;
    Ok(Loaded { name: name.to_owned(), setting, objects, document: document.clone() })
}

/// Every Rollout of the files with what it needs, and what it is called here.
pub(super) fn rollout_files(paths: &[PathBuf]) -> Result<Vec<(String, Setting)>, CliError> {
    let mut reader = Files::default();
    let (mut sources, mut refusal) = (Vec::new(), Refusal::default());
    for file in reader.collect(paths)? {
        sources.push(Source { documents: refusal.documents(&mut reader, &file), name: file.name });
    }
    let placed = placed(&sources);
    refusal.objects(&placed);
    refusal.check(CANNOT)?;
    let is_rollout = |document: &Document| document.text("/kind") == Some("Rollout");
    let rollouts: Vec<usize> = (0..placed.len()).filter(|index| is_rollout(placed[*index].1)).collect();
    if rollouts.is_empty() {
        let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        return Err(no_rollout(&names.join(", ")));
    }
    let alone = rollouts.len() == 1;
    rollouts
        .into_iter()
        .map(|index| {
            let (file, rollout) = placed[index];
            let others = placed.iter().enumerate().filter(|(other, (_, document))| {
                *other == index || !is_rollout(document) && !is_deployment_of_another(document, rollout)
            });
            let setting = setting(file, Scenario::default(), others.map(|(_, one)| *one))?;
            let name = rollout.text("/metadata/name").unwrap_or_default();
            Ok((if alone { file.to_owned() } else { format!("{file} ({name})") }, setting))
        })
        .collect()
}

fn is_deployment_of_another(document: &Document, rollout: &Document) -> bool {
    let adopted = rollout.text("/spec/workloadRef/name");
    document.text("/kind") == Some("Deployment") && document.text("/metadata/name") != adopted
}

/// The documents with the names of their files.
fn placed(sources: &[Source]) -> Vec<(&str, &Document)> {
    let all = sources.iter().flat_map(|source| source.documents.iter().map(|one| (source.name.as_str(), one)));
    all.collect()
}

/// Puts the objects where they belong.
fn setting<'a>(
    name: &str,
    scenario: Scenario,
    placed: impl Iterator<Item = (&'a str, &'a Document)>,
) -> Result<Setting, CliError> {
    let mut setting = Setting { scenario, ..Setting::default() };
    for (name, document) in placed {
        place(&mut setting, name, document)?;
    }
    whole(name, &setting)?;
    Ok(setting)
}

fn place(setting: &mut Setting, name: &str, document: &Document) -> Result<(), CliError> {
    let value = &document.value;
    let refused = |path: &str, message: String| Refusal::one(CANNOT, name, document.position(path), path, message);
    let unreadable = |error: yaml::YamlError| refused("", error.to_string());
    match document.text("/kind").unwrap_or_default() {
        "Rollout" if setting.rollout.is_some() => {
            let message = "a second Rollout is not supported yet; a scenario has one";
            return Err(refused("kind", message.to_owned()));
        }
        "Rollout" => setting.rollout = Some(yaml::typed::<Rollout>(value).map_err(unreadable)?),
        "Deployment" => {
            let replicas = actions::replicas_of(value).map_err(|why| refused("spec.replicas", why.to_string()))?;
            let template = value.pointer("/spec/template").cloned().unwrap_or(Value::Null);
            setting.deployment = Some((template, replicas.unwrap_or(1)));
        }
        "HorizontalPodAutoscaler" | "ScaledObject" => {
            return Err(refused("kind", "an autoscaler: not supported yet".to_owned()));
        }
        // Services and routes: the simulator's cluster has what the Rollout names.
        _ => setting.templates.extend(template(document).map_err(unreadable)?),
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
