//! What the engine's larger actions do to the cluster.

use serde_json::Value;

use crate::{
    api::{metadata::PodMetadata, reason::Reason},
    engine::{Action, GateAnswer, GateQuestion, Restore, RouteIntent, RunRequest, Seen, Target},
    ports::{WorldError, gate},
    reconcile::runs,
    sim::{cluster::SimCluster, replicas::Replicas, time::millis},
    source::DIALECT,
};

pub(super) fn refused(reason: Reason, message: String) -> WorldError {
    WorldError::Refused { reason, message }
}

pub(super) fn ensure_revision(
    cluster: &mut SimCluster,
    id: &str,
    number: u64,
    replicas: u32,
) -> Result<(), WorldError> {
    if let Some(known) = cluster.sets.iter_mut().find(|set| set.id == id) {
        known.number = number;
        known.version += 1;
        return Ok(());
    }
    let Some((_, template)) = cluster.wanted_template().filter(|(wanted, _)| wanted == id) else {
        let message = format!("the ReplicaSet of revision {id} is gone, and the template has changed");
        return Err(refused(Reason::RevisionLost, message));
    };
    let (workload, template) = (format!("{}-{id}", cluster.key.name), template.clone());
    cluster.sets.push(Replicas::new(id, number, workload, template));
    cluster.scale(id, replicas);
    cluster.news = true;
    Ok(())
}

/// The template and the pods carry this for their role.
pub(super) fn label(cluster: &mut SimCluster, id: &str, metadata: &PodMetadata) {
    let Some(set) = cluster.sets.iter_mut().find(|set| set.id == id) else { return };
    set.metadata.clone_from(metadata);
    set.pods.iter_mut().for_each(|pod| pod.metadata.clone_from(metadata));
    set.version += 1;
    cluster.news = true;
}

/// What a gate answers now.
pub(super) fn gate_answer(cluster: &SimCluster, question: &GateQuestion) -> GateAnswer {
    let answers = cluster.laws.gates.get(&question.gate).map(Vec::as_slice).unwrap_or_default();
    let Some(last) = answers.iter().rfind(|answer| millis(answer.at) <= cluster.now) else {
        return GateAnswer::Unclear("it cannot be reached: connection refused".into());
    };
    let body = match &last.body {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    gate::reading(last.status, &body)
}

pub(super) fn ensure_run(cluster: &mut SimCluster, request: &RunRequest) -> Result<(), WorldError> {
    if let Some(run) = cluster.runs.get_mut(&request.name) {
        (run.spec.epoch, run.spec.share) = (request.epoch, request.share);
        run.spec.candidate_share = request.candidate_share();
    } else {
        let Some(rollout) = &cluster.rollout else { return Ok(()) };
        let run = runs::freeze(&cluster.key, rollout, request, &cluster.templates, DIALECT)?;
        cluster.runs.insert(request.name.clone(), run);
    }
    cluster.runs_due.insert(request.name.clone());
    Ok(())
}

pub(super) fn check_run(cluster: &SimCluster, request: &RunRequest) -> Result<(), WorldError> {
    let Some(rollout) = &cluster.rollout else { return Ok(()) };
    runs::freeze(&cluster.key, rollout, request, &cluster.templates, DIALECT).map(|_| ())
}

pub(super) fn hand_back(cluster: &mut SimCluster, stage: Restore) {
    match stage {
        Restore::Workload => {
            let stable = cluster.status().stable_revision.map(|stable| stable.id).unwrap_or_default();
            let template = cluster.set(&stable).map(|set| set.template.clone());
            let replicas = cluster.rollout.as_ref().and_then(|rollout| rollout.spec.replicas);
            cluster.write_deployment(replicas, false, template);
        }
        Restore::Objects | Restore::Unreferenced => {
            let stable_alone = RouteIntent::default();
            if cluster.has_mesh() {
                cluster.write_route(&stable_alone);
            }
            cluster.move_target(true, None);
            cluster.move_target(false, None);
        }
        Restore::Finalizer => {
            for id in cluster.sets.iter().map(|set| set.id.clone()).collect::<Vec<_>>() {
                cluster.remove_set(&id);
            }
            cluster.rollout = None;
        }
    }
}

/// Puts what an action wrote into an older observation.
pub(super) fn merge_written(seen: &mut Seen, fresh: Seen, action: &Action) {
    match action {
        Action::EnsureRevision { id, .. } | Action::EnsureReplicas { id, .. } => {
            let Some(now) = fresh.revisions.into_iter().find(|revision| revision.id == *id) else { return };
            match seen.revisions.iter_mut().find(|revision| revision.id == *id) {
                Some(known) => (known.wanted, known.number) = (now.wanted, now.number),
                None => seen.revisions.push(now),
            }
        }
        Action::EnsureMetadata { id, .. } => {
            let known = seen.revisions.iter_mut().find(|revision| revision.id == *id);
            if let (Some(known), Some(now)) = (known, fresh.revisions.into_iter().find(|revision| revision.id == *id)) {
                (known.metadata, known.metadata_astray) = (now.metadata, now.metadata_astray);
            }
        }
        Action::EnsureTarget { target: Target::Stable, .. } => {
            if let (Some(known), Some(now)) = (&mut seen.stable_target, fresh.stable_target) {
                known.revision = now.revision;
            }
        }
        Action::EnsureTarget { .. } => {
            if let (Some(known), Some(now)) = (&mut seen.canary_target, fresh.canary_target) {
                known.revision = now.revision;
            }
        }
        Action::EnsureRoute(_) => seen.route = fresh.route,
        Action::EnsureWorkload { .. } | Action::Restore(_) => {
            if let (Some(known), Some(now)) = (&mut seen.workload, fresh.workload) {
                (known.wanted, known.paused) = (now.wanted, now.paused);
            }
        }
        Action::AskGate(_) => seen.gate = fresh.gate,
        Action::CheckRun(_) => {}
        Action::EnsureRun(_) | Action::StopRun { .. } => seen.runs = fresh.runs,
        Action::AnswerCommand { name, .. } => seen.commands.retain(|command| command.name != *name),
        Action::RemoveRevision { id } => seen.revisions.retain(|revision| revision.id != *id),
        Action::Evict { uid, .. } => seen.pods.iter_mut().flatten().for_each(|pod| pod.ready &= pod.uid != *uid),
    }
}
