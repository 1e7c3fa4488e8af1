//! Autoscalers in the files: what they scale must be the Rollout, not the Deployment that it adopted, nor a file's number.

use super::objects::{Found, Objects, Rollout, is_of, is_same};
use crate::api::{GROUP, validate::Finding};

/// The kinds that have a `scaleTargetRef`, with their groups.
const SCALERS: [(&str, &str); 2] = [("autoscaling", "HorizontalPodAutoscaler"), ("keda.sh", "ScaledObject")];
const TARGET: &str = "spec.scaleTargetRef";
const OURS: &str = "{apiVersion: glidepath.dev/v1alpha1, kind: Rollout, name: ";

/// What an autoscaler has to do with a Rollout.
pub(super) struct Scaled<'a> {
    index: usize,
    name: &'a str,
    deployment: Option<String>,
    has_replicas: bool,
}

impl<'a> Scaled<'a> {
    /// Of this Rollout.
    pub fn of(rollout: &Rollout<'a>) -> Scaled<'a> {
        Scaled {
            index: rollout.index,
            name: rollout.name,
            deployment: rollout.spec.workload_ref.as_ref().map(|workload| workload.name.clone()),
            has_replicas: rollout.spec.replicas.is_some(),
        }
    }
}

/// Every autoscaler of the files.
pub(super) fn check(rollouts: &[Scaled<'_>], files: &Objects<'_>, found: &mut Found) {
    for (index, (_, document)) in files.documents.iter().enumerate() {
        let version = document.text("/apiVersion").unwrap_or_default();
        let kind = document.text("/kind").unwrap_or_default();
        if SCALERS.iter().any(|(group, known)| is_of(version, group) && *known == kind) {
            scaler(index, kind, rollouts, files, found);
        }
    }
}

fn scaler(index: usize, kind: &str, rollouts: &[Scaled<'_>], files: &Objects<'_>, found: &mut Found) {
    let document = files.document(index);
    let text = |field: &str| document.text(&format!("/spec/scaleTargetRef/{field}"));
    let Some(name) = text("name") else { return };
    let beside = |one: &&Scaled<'_>| {
        files.is_beside(one.index, index) && is_same(files.namespace(one.index), files.namespace(index))
    };
    let mut near = rollouts.iter().filter(beside);
    match (text("kind").unwrap_or("Deployment"), text("apiVersion").unwrap_or("apps/v1")) {
        ("Deployment", _) => {
            let adopts = |one: &&Scaled<'_>| one.deployment.as_deref() == Some(name);
            let instead =
                |one: &&Scaled<'_>| one.name == name && one.deployment.is_none() && !files.has("Deployment", name);
            if let Some(rollout) = near.find(|one| adopts(one) || instead(one)) {
                let message = format!(
                    "scales Deployment \"{name}\", but the pods are those of Rollout \"{0}\"; write {OURS}{0}}}",
                    rollout.name
                );
                found.push((index, Finding::error(TARGET, message)));
            }
        }
        ("Rollout", version) => match near.find(|one| one.name == name) {
            Some(_) if !is_of(version, GROUP) => {
                let message = format!("names a Rollout of {version}; write {OURS}{name}}}");
                found.push((index, Finding::error(format!("{TARGET}.apiVersion"), message)));
            }
            Some(rollout) if rollout.has_replicas => {
                let by = document.text("/metadata/name").unwrap_or_default();
                let message = format!(
                    "{kind} \"{by}\" scales this Rollout, and every apply of this file would undo it; remove replicas"
                );
                found.push((rollout.index, Finding::warning("spec.replicas", message)));
            }
            Some(_) => {}
            None => {
                let words = files.near("Rollout", name);
                found.extend(words.map(|words| (index, Finding::warning(format!("{TARGET}.name"), words))));
            }
        },
        _ => {}
    }
}
