//! What the entries of a timeline do to the world, and the faults that come by themselves.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use super::{
    cluster::SimCluster,
    replicas::first_image,
    scenario::{CommandEntry, Entry, FaultKind, FaultTarget},
    time::instant,
};
use crate::{
    api::{
        AnalysisTemplate, ClusterAnalysisTemplate, Percent, Rollout, RolloutStatus,
        command::{RolloutCommandSpec, Verb},
        pod_count::MOST_PODS,
        status::RevisionRef,
    },
    engine::RouteIntent,
};

/// What can be applied and deleted.
const APPLIED: &str = "Rollout, Deployment, Service, VirtualService, AnalysisTemplate and ClusterAnalysisTemplate";

/// Executes an entry. Returns its description, or why it failed.
pub fn apply(cluster: &mut SimCluster, entry: &Entry) -> Result<String, String> {
    if let Some(deploy) = &entry.deploy {
        deploy_image(cluster, &deploy.image)?;
        return Ok(format!("deploy {}", deploy.image));
    }
    if let Some(patch) = &entry.patch {
        patch_rollout(cluster, patch)?;
        return Ok(format!("patch {}", cut(&patch.to_string(), 80)));
    }
    if let Some(object) = &entry.apply {
        return apply_object(cluster, object);
    }
    if let Some(delete) = &entry.delete {
        return delete_object(cluster, &delete.kind, &delete.name);
    }
    if let Some(replicas) = entry.scale {
        let rollout = cluster.rollout.as_mut().ok_or("the Rollout is gone")?;
        rollout.spec.replicas = Some(replicas);
        cluster.touch_spec();
        return Ok(format!("scale to {replicas}"));
    }
    if let Some(command) = &entry.command {
        return give(cluster, command);
    }
    Err("the entry is empty".to_owned())
}

/// A text that does not fill the screen.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most).chain("...".chars()).collect() }
}

fn deploy_image(cluster: &mut SimCluster, image: &str) -> Result<(), String> {
    let of_deployment = cluster.rollout.as_ref().is_none_or(|rollout| rollout.spec.workload_ref.is_some());
    if of_deployment {
        let deployment = cluster.deployment.as_ref().ok_or("the Deployment is gone")?;
        let (mut template, paused) = (deployment.template.clone(), deployment.paused);
        set_image(&mut template, image)?;
        cluster.write_deployment(None, paused, Some(template));
        return Ok(());
    }
    let template = cluster.rollout.as_mut().and_then(|rollout| rollout.spec.template.as_mut());
    set_image(template.ok_or("the Rollout has no template")?, image)?;
    cluster.touch_spec();
    Ok(())
}

/// The image of the first container.
pub fn set_image(template: &mut Value, image: &str) -> Result<(), String> {
    let place =
        template.pointer_mut("/spec/containers/0/image").ok_or("the template has no container with an image")?;
    *place = Value::from(image);
    Ok(())
}

/// A merge patch (RFC 7386), as `kubectl patch --type merge` writes it.
fn patch_rollout(cluster: &mut SimCluster, patch: &Value) -> Result<(), String> {
    let rollout = cluster.rollout.as_ref().ok_or("the Rollout is gone")?;
    let mut value = serde_json::to_value(rollout).map_err(|error| error.to_string())?;
    json_patch::merge(&mut value, patch);
    let patched: Rollout =
        serde_json::from_value(value).map_err(|error| format!("the patched Rollout is invalid: {error}"))?;
    cluster.rollout = Some(patched);
    cluster.touch_spec();
    Ok(())
}

fn apply_object(cluster: &mut SimCluster, object: &Value) -> Result<String, String> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (kind, name) = (text("/kind"), text("/metadata/name"));
    let unreadable = |error: serde_json::Error| format!("{kind} {name} is invalid: {error}");
    match kind.as_str() {
        "Rollout" => {
            let new: Rollout = serde_json::from_value(object.clone()).map_err(unreadable)?;
            if name != cluster.key.name {
                return Err(format!("a scenario has one Rollout, {}; this one is called {name}", cluster.key.name));
            }
            let image = first_image(new.spec.template.as_ref().unwrap_or(&Value::Null));
            match &mut cluster.rollout {
                Some(rollout) => {
                    rollout.spec = new.spec;
                    cluster.touch_spec();
                }
                None => cluster.create(new),
            }
            let with = if image.is_empty() { String::new() } else { format!(" with {image}") };
            return Ok(format!("apply Rollout {name}{with}"));
        }
        "AnalysisTemplate" => {
            let new: AnalysisTemplate = serde_json::from_value(object.clone()).map_err(unreadable)?;
            cluster.templates.insert(name.clone(), new.spec);
        }
        "ClusterAnalysisTemplate" => {
            let new: ClusterAnalysisTemplate = serde_json::from_value(object.clone()).map_err(unreadable)?;
            cluster.templates.insert(name.clone(), new.spec.into());
        }
        "Service" | "VirtualService" => {
            cluster.missing.remove(&(kind.clone(), name.clone()));
        }
        "Deployment" => apply_deployment(cluster, object)?,
        _ => return Err(format!("a {kind} has no effect in the simulation; supported kinds: {APPLIED}")),
    }
    cluster.news = true;
    Ok(format!("apply {kind} {name}"))
}

fn apply_deployment(cluster: &mut SimCluster, object: &Value) -> Result<(), String> {
    let template = object.pointer("/spec/template").ok_or("the Deployment has no spec.template")?.clone();
    let replicas = replicas_of(object)?;
    match &cluster.deployment {
        Some(known) => {
            let paused = known.paused;
            cluster.write_deployment(replicas, paused, Some(template));
        }
        None => cluster.create_deployment(template, replicas.unwrap_or(1)),
    }
    Ok(())
}

/// The `spec.replicas` of a workload or of a patch to it, if it has some.
///
/// # Errors
/// Why it is no number of pods.
pub fn replicas_of(object: &Value) -> Result<Option<u32>, String> {
    match object.pointer("/spec/replicas") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let pods = value.as_u64().and_then(|pods| u32::try_from(pods).ok()).filter(|pods| *pods <= MOST_PODS);
            pods.map(Some).ok_or_else(|| format!("{value} is not a number of pods from 0 to {MOST_PODS}"))
        }
    }
}

fn delete_object(cluster: &mut SimCluster, kind: &str, name: &str) -> Result<String, String> {
    match kind {
        "Rollout" => {
            let now = instant(cluster.now);
            let rollout = cluster.rollout.as_mut().ok_or("the Rollout is gone already")?;
            rollout.metadata.deletion_timestamp = Some(Time(now));
            cluster.touch_spec();
        }
        "AnalysisTemplate" | "ClusterAnalysisTemplate" => {
            cluster.templates.remove(name).ok_or_else(|| format!("there is no {kind} {name}"))?;
        }
        "Service" | "VirtualService" => {
            cluster.missing.insert((kind.to_owned(), name.to_owned()));
        }
        "Deployment" => cluster.remove_deployment().ok_or("the Deployment is gone already")?,
        _ => return Err(format!("a {kind} has no effect in the simulation; supported kinds: {APPLIED}")),
    }
    cluster.news = true;
    Ok(format!("delete {kind} {name}"))
}

/// A command; what the entry does not say is what is true at this moment.
fn give(cluster: &mut SimCluster, entry: &CommandEntry) -> Result<String, String> {
    let named = |number: &str| cluster.sets.iter().find(|set| format!("r{}", set.number) == number);
    let spec = command(entry, &cluster.key.name, &cluster.status(), |number| named(number).map(|set| set.id.clone()));
    cluster.command(spec);
    Ok(said(entry))
}

/// The same for every world: `numbered` gives the id of a revision such as `r2`.
pub fn command(
    entry: &CommandEntry,
    rollout: &str,
    status: &RolloutStatus,
    numbered: impl Fn(&str) -> Option<String>,
) -> RolloutCommandSpec {
    let current = status.current_revision.as_ref().map(|revision| revision.id.clone());
    let meant = entry.revision.as_ref().map(|named| numbered(named).unwrap_or_else(|| named.clone()));
    let promote = entry.verb == Verb::Promote;
    RolloutCommandSpec {
        kind: None,
        rollout: rollout.to_owned(),
        verb: entry.verb,
        revision: meant.or(current),
        attempt: entry.attempt.or(promote.then_some(status.attempt)),
        step: entry.step.or(promote.then_some(status.step_index)),
        sub_step: (promote && entry.step.is_none()).then_some(status.sub_step()),
        stage: status.stage().filter(|_| promote && entry.step.is_none()),
        full: entry.full,
        to_step: entry.to_step,
        to_revision: entry.to_revision,
        reason: entry.reason.clone(),
        requested_by: Some("scenario".into()),
    }
}

/// The description of a command.
pub fn said(entry: &CommandEntry) -> String {
    let full = if entry.full { " --full" } else { "" };
    format!("command {}{full}", entry.verb.as_str())
}

/// Somebody else writes the routes: another weight, and our header routes and mirror are gone.
pub fn drift(cluster: &mut SimCluster) {
    if cluster.has_mesh() {
        let by = u32::try_from(1 + cluster.faults.below(FaultKind::RouteDrift, 10_000)).unwrap_or(1);
        let other = (cluster.route.weight.basis_points() + by) % 10_001;
        cluster.write_route(&RouteIntent::weight(Percent::from_basis_points(other)));
    }
}

/// Pods crash.
pub fn crash(cluster: &mut SimCluster, kind: FaultKind, target: &FaultTarget) {
    let status = cluster.status();
    let id = |revision: Option<RevisionRef>| revision.map(|revision| revision.id);
    let (stable, current) = (id(status.stable_revision), id(status.current_revision));
    let canary = current.filter(|current| Some(current) != stable.as_ref());
    let hit = match target.revision.as_deref() {
        Some("stable") => stable,
        Some("canary") => canary,
        Some(number) => cluster.sets.iter().find(|set| format!("r{}", set.number) == number).map(|set| set.id.clone()),
        None => canary.or(stable),
    };
    if let Some(id) = hit {
        cluster.crash(&id, target.count.unwrap_or(1), kind);
    }
}
