//! AnalysisRuns: made once per key from their templates, given new epochs, stopped (rule S14).

use std::{collections::BTreeMap, sync::Arc};

use kube::{
    Api, ResourceExt,
    api::{Patch, PostParams},
};
use serde_json::{Value, json};

use super::{
    call::read,
    history::evidence_prefix,
    locks::lock,
    records::{CachedRun, EndedRun, KEY, RunningRun, ended_of},
    resources::{MANAGER, runs_resource},
    shared::Cluster,
    snapshot::Snapshot,
    status::status_patch,
    table::{Entry, ObjectKey},
    workload::params,
};
use crate::{
    api::{
        AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate, ROLLOUT_LABEL, Rollout,
        analysis::{
            AnalysisRunSpec, AnalysisRunStatus, AnalysisTemplateSpec, Arms, RunPhase, RunPrometheus, TemplateRef,
            Verdict,
        },
        reason::Reason,
    },
    engine::{RunRequest, RunSeen},
    evidence::{self, resolve::Wanted},
    ports::{RolloutKey, WorldError},
    router,
    source::DIALECT,
};

impl Cluster {
    /// Makes the run, or gives it its epoch.
    pub(super) async fn ensure_run(&self, snapshot: &Snapshot, request: &RunRequest) -> Result<(), WorldError> {
        let namespace = &snapshot.key.namespace;
        match self.tables.runs.get(namespace, &request.name) {
            Some(entry) => {
                if !entry.value.identity.is_some_and(|identity| identity.has(&request.key)) {
                    return Err(not_ours(&request.name));
                }
                let epoch = entry.value.running().map(|running| running.run.spec.epoch);
                if epoch == Some(request.epoch) || entry.value.ended().is_some() {
                    return Ok(());
                }
                let (share, candidate) = (request.share, request.candidate_share());
                let spec = json!({"epoch": request.epoch, "share": share, "candidateShare": candidate});
                self.patch_run(namespace, &request.name, json!({"spec": spec})).await?;
            }
            None => self.create_run(snapshot, request).await?,
        }
        self.judge_soon(namespace, &request.name);
        Ok(())
    }

    /// Whether the run could be made.
    pub(super) async fn check_run(&self, snapshot: &Snapshot, request: &RunRequest) -> Result<(), WorldError> {
        self.resolved(snapshot, request).await.map(|_| ())
    }

    /// Ends a run; its verdict is final.
    pub(super) async fn stop_run(&self, snapshot: &Snapshot, name: &str) -> Result<(), WorldError> {
        let namespace = &snapshot.key.namespace;
        let entry = self.tables.runs.get(namespace, name);
        let stops = |entry: &CachedRun| entry.ended().is_some() || entry.running().is_some_and(|run| run.run.spec.stop);
        if entry.is_none_or(|entry| stops(&entry.value)) {
            return Ok(());
        }
        self.patch_run(namespace, name, json!({"spec": {"stop": true}})).await?;
        self.judge_soon(namespace, name);
        Ok(())
    }

    /// The watch does not report our own write as a change, so the judges are notified here.
    fn judge_soon(&self, namespace: &str, name: &str) {
        self.triggers.run(ObjectKey::new(namespace, name));
    }

    /// Writes what differs of a run's status, on condition that the run is still the one it was computed from. The
    /// watch does not report our own write as a change, so the queue of the Rollout is notified here.
    pub async fn record_run(&self, run: &AnalysisRun, status: &AnalysisRunStatus) -> Result<(), WorldError> {
        let (namespace, name) = (run.namespace().unwrap_or_default(), run.name_any());
        let Some(patch) = status_patch(&run.metadata, &run.status, status)? else { return Ok(()) };
        let api = self.api(&runs_resource(), &namespace);
        let what = format!("write the status of AnalysisRun {namespace}/{name}");
        let written = self.write(&what, api.patch_status(&name, &params(), &Patch::Merge(patch))).await?;
        self.tables.runs.wrote(&written);
        if let Some(rollout) = run.labels().get(ROLLOUT_LABEL) {
            let key = RolloutKey { namespace, name: rollout.clone() };
            if status.phase != RunPhase::Running {
                // From here on the table has its verdict alone.
                let uid = run.metadata.uid.clone().unwrap_or_default();
                self.remember_evidence(&key, &name, uid, status);
            }
            match status.verdict {
                Verdict::Fail => self.triggers.rollout_first(key),
                _ => self.triggers.rollout(key),
            }
        }
        Ok(())
    }

    /// The runs that count as evidence, by name: those at work, and the ended ones of this attempt while a decision may
    /// rest on them. A run that is another's, or was made by hand, is none.
    pub(super) async fn runs_seen(
        &self,
        key: &RolloutKey,
        rollout: &Rollout,
    ) -> Result<BTreeMap<String, RunSeen>, WorldError> {
        let uid = rollout.metadata.uid.as_deref().unwrap_or_default();
        let ours = |entry: &Entry<CachedRun>| entry.value.identity.is_some_and(|identity| identity.is_of(uid));
        let mut seen = BTreeMap::new();
        for entry in self.tables.runs.group(&key.namespace, &key.name) {
            if let Some(running) = entry.value.running().filter(|_| ours(&entry)) {
                seen.insert(entry.key.name.clone(), running_seen(running));
            }
        }
        let Some(prefix) = evidence_prefix(key, rollout) else {
            lock(&self.evidence).remove(key);
            return Ok(seen);
        };
        if let Some(known) = lock(&self.evidence).get_mut(key) {
            known.retain(|name, _| name.starts_with(&prefix));
        }
        for entry in self.tables.runs.named(&key.namespace, &ended_of(&key.name), &prefix) {
            let Some(ended) = entry.value.ended().filter(|_| ours(&entry)) else { continue };
            let Some(status) = self.evidence_of(key, &entry).await? else { continue };
            let EndedRun { phase, verdict, epoch, .. } = ended;
            let run = RunSeen { phase, verdict, epoch_wanted: epoch, stop: phase == RunPhase::Stopped, status };
            seen.insert(entry.key.name.clone(), run);
        }
        Ok(seen)
    }

    /// What an ended run has found: known when it ended under our eyes, else read once. `None`: it is gone.
    async fn evidence_of(
        &self,
        key: &RolloutKey,
        entry: &Entry<CachedRun>,
    ) -> Result<Option<Arc<AnalysisRunStatus>>, WorldError> {
        let name = &entry.key.name;
        let same = |(uid, status): &(String, Arc<AnalysisRunStatus>)| (*uid == entry.uid).then(|| Arc::clone(status));
        if let Some(known) = lock(&self.evidence).get(key).and_then(|known| same(known.get(name)?)) {
            return Ok(Some(known));
        }
        let Some(run) = self.ended_run(entry).await? else { return Ok(None) };
        Ok(Some(self.remember_evidence(key, name, entry.uid.clone(), &run.status.unwrap_or_default())))
    }

    /// The whole of an ended run, of which the table has its outcome alone. `None`: it is gone.
    pub async fn ended_run(&self, entry: &Entry<CachedRun>) -> Result<Option<AnalysisRun>, WorldError> {
        let (namespace, name) = (&entry.key.namespace, &entry.key.name);
        let api = self.api(&runs_resource(), namespace);
        let found = read(&format!("get AnalysisRun {namespace}/{name}"), api.get_opt(name)).await?;
        let Some(found) = found.filter(|found| found.metadata.uid.as_ref() == Some(&entry.uid)) else {
            return Ok(None);
        };
        found.object()?.decode().map(Some).map_err(WorldError::Transient)
    }

    fn remember_evidence(
        &self,
        key: &RolloutKey,
        name: &str,
        uid: String,
        status: &AnalysisRunStatus,
    ) -> Arc<AnalysisRunStatus> {
        let shown = Arc::new(status.shown());
        let mut evidence = lock(&self.evidence);
        evidence.entry(key.clone()).or_default().insert(name.to_owned(), (uid, Arc::clone(&shown)));
        shown
    }

    async fn patch_run(&self, namespace: &str, name: &str, patch: Value) -> Result<(), WorldError> {
        let api = self.api(&runs_resource(), namespace);
        let what = format!("patch AnalysisRun {namespace}/{name}");
        let written = self.write(&what, api.patch(name, &params(), &Patch::Merge(patch))).await?;
        self.tables.runs.wrote(&written);
        Ok(())
    }

    async fn create_run(&self, snapshot: &Snapshot, request: &RunRequest) -> Result<(), WorldError> {
        let spec = self.resolved(snapshot, request).await?;
        let resource = runs_resource();
        let (namespace, name) = (&snapshot.key.namespace, &request.name);
        let body = json!({
            "apiVersion": resource.api_version, "kind": resource.kind,
            "metadata": {
                "name": name, "namespace": namespace, "labels": {ROLLOUT_LABEL: snapshot.key.name},
                "annotations": {KEY: request.key}, "ownerReferences": [snapshot.owner(true)],
            },
            "spec": spec,
        });
        let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        let api = self.api(&resource, namespace);
        let written = self.write(&format!("create AnalysisRun {namespace}/{name}"), api.create(&params, &body)).await?;
        self.tables.runs.wrote(&written);
        Ok(())
    }

    /// The run's frozen spec, or what is wrong with its templates.
    async fn resolved(&self, snapshot: &Snapshot, request: &RunRequest) -> Result<AnalysisRunSpec, WorldError> {
        let mut templates = Vec::new();
        for wanted in &request.templates {
            templates.push((wanted.name.clone(), self.template(&snapshot.key.namespace, wanted).await?));
        }
        let background = snapshot.rollout.spec.analysis.as_ref();
        let named = background.and_then(|analysis| analysis.prometheus.as_ref()).map(RunPrometheus::from);
        let wanted = Wanted {
            templates,
            args: &request.args,
            pack: router::pack(&snapshot.rollout.spec),
            arms: self.arms(snapshot, request)?,
            prometheus: named.or_else(|| self.settings.has_prometheus.then(RunPrometheus::controller)),
            background: request.background,
            epoch: request.epoch,
            one_armed: request.one_armed,
            share: request.share,
            candidate_share: request.candidate_share(),
            goal: request.goal.is_some(),
            runs_in_attempt: runs_in_attempt(snapshot),
        };
        evidence::resolve(wanted, DIALECT).map_err(|errors| WorldError::invalid_analysis(&errors))
    }

    /// The two sides by the names of their ReplicaSets. One may have been made a moment ago, in this very tick.
    fn arms(&self, snapshot: &Snapshot, request: &RunRequest) -> Result<Arms, WorldError> {
        let set_of = |id: &str| {
            let missing = || WorldError::Conflict(format!("revision {id} has no ReplicaSet to measure yet"));
            self.replica_set(snapshot, id).map(|entry| entry.key.name.clone()).ok_or_else(missing)
        };
        Ok(Arms {
            namespace: snapshot.key.namespace.clone(),
            canary: set_of(&request.canary)?,
            stable: set_of(&request.stable)?,
            canary_service: snapshot.targets.canary.clone(),
            stable_service: snapshot.targets.stable.clone(),
            canary_pods: None,
        })
    }

    /// The namespace's template, or the cluster's where that is meant, else the one built into the binary.
    async fn template(&self, namespace: &str, wanted: &TemplateRef) -> Result<AnalysisTemplateSpec, WorldError> {
        let name = &wanted.name;
        let found = if wanted.cluster_scope {
            let api: Api<ClusterAnalysisTemplate> = Api::all(self.client.clone());
            let found = read(&format!("get ClusterAnalysisTemplate {name}"), api.get_opt(name)).await?;
            found.map(|template| template.spec.into())
        } else {
            let api: Api<AnalysisTemplate> = Api::namespaced(self.client.clone(), namespace);
            let found = read(&format!("get AnalysisTemplate {namespace}/{name}"), api.get_opt(name)).await?;
            found.map(|template| template.spec)
        };
        found.or_else(|| evidence::builtin(name)).ok_or_else(|| {
            let kind = if wanted.cluster_scope { "ClusterAnalysisTemplate" } else { "AnalysisTemplate" };
            let built_in = evidence::BUILTIN_NAMES.join(", ");
            let message = format!("Missing {kind}/{name}; create it, fix the name, or use a built-in one ({built_in})");
            WorldError::Refused { reason: Reason::MissingTemplate, message }
        })
    }
}

fn running_seen(running: &RunningRun) -> RunSeen {
    let RunningRun { run, shown } = running;
    let (phase, verdict) = (shown.phase, shown.verdict);
    RunSeen { phase, verdict, epoch_wanted: run.spec.epoch, stop: run.spec.stop, status: Arc::clone(shown) }
}

/// A run that bears the name of ours and was not made for this attempt of this Rollout (its key or owner says so).
fn not_ours(name: &str) -> WorldError {
    WorldError::Refused {
        reason: Reason::Conflict,
        message: format!("AnalysisRun {name} is not this Rollout's; delete it"),
    }
}

/// How many runs one attempt may have: they share alpha.
fn runs_in_attempt(snapshot: &Snapshot) -> u32 {
    let spec = &snapshot.rollout.spec;
    // A test's goal decides nothing about failures, and its guardrails are the background.
    let own = if spec.strategy.ab_test.is_some() { 0 } else { spec.strategy.judged().len() };
    u32::try_from(own).unwrap_or(u32::MAX).saturating_add(u32::from(spec.background().is_some()))
}
