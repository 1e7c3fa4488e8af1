//! What one tick sees, gathered from the tables: the Rollout, its revisions, targets, routes, runs and commands.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::Patch;
use serde_json::{Value, json};

use super::{
    cached_pod::CachedPod,
    findings::is_file_invalid,
    kinds::{CachedDeployment, CachedReplicaSet},
    locks::lock,
    recent::Decoded,
    resources::rollouts,
    routes::routing,
    shared::Cluster,
    snapshot::{Snapshot, WantedTemplate},
    table::Entry,
    targets::{self, Split, Targets},
    terminations_seen,
    traffic::Traffic,
    unavailable::Unavailable,
    workload::params,
};
use crate::{
    api::{FINALIZER, REVISION_LABEL, Rollout, command::CommandState, reason::Reason, revision},
    engine::{
        self, CommandSeen, Notice, PodSeen, RevisionSeen, RouteIntent, RouteSeen, Seen, Target, TargetSeen,
        TemplateSeen, WorkloadSeen, items,
    },
    ports::{Observation, RolloutKey, WorldError},
    reconcile::replicas::{self, Count},
    router::{self, Objects, RouteContext, RouteError, Router},
};

impl Cluster {
    /// The Rollout with all that can be seen around it.
    pub(super) async fn observe_rollout(
        &self,
        key: &RolloutKey,
    ) -> Result<Option<Observation<Arc<Snapshot>>>, WorldError> {
        self.look_first(key).await?;
        let Some(entry) = self.tables.rollouts.get(&key.namespace, &key.name) else {
            lock(&self.deferred).remove(key);
            lock(&self.pending_summary).remove(key);
            lock(&self.evidence).remove(key);
            lock(&self.strays).remove(key);
            lock(&self.looked_in).remove(key);
            self.gates.forget(key);
            self.refuse_orphaned_commands(key).await?;
            return Ok(None);
        };
        if !self.serves(&key.namespace, &key.name) {
            return Ok(None);
        }
        let decoded = match self.recent.read(&entry) {
            Ok(decoded) => decoded,
            Err(fault) => {
                self.report_unreadable(key, &fault).await;
                return Ok(None);
            }
        };
        let rollout = Arc::clone(&decoded.rollout);
        let ours = rollout.metadata.finalizers.iter().flatten().any(|name| name == FINALIZER);
        let deleting = rollout.metadata.deletion_timestamp.is_some();
        if deleting && !ours {
            return Ok(None);
        }
        let mut rollout = if deleting { rollout } else { self.prepared(rollout, ours).await? };
        if rollout.spec.replicas.is_none()
            && let Some(count) = self.absent_replicas(key, &rollout)
        {
            Arc::make_mut(&mut rollout).spec.replicas = Some(count.get());
        }
        let mut decoded = decoded.with(rollout);
        let (rollout, findings) = (&decoded.rollout, decoded.findings());
        let old = rollout.status.as_ref().and_then(|status| rollout.spec.on_old_objects(status));
        // An invalid file takes no objects over: until it is fixed those on record are the ones that count.
        let objects_changed = old.is_some() && findings.is_none();
        if let Some(spec) = old {
            let replaced = Rollout { spec, ..Rollout::clone(rollout) };
            decoded = decoded.with(Arc::new(replaced));
        }
        let observe = || Snapshot { objects_changed, ..self.take_snapshot(key, &decoded) };
        let mut snapshot = observe();
        let mut seen = self.seen(&snapshot);
        let blocked = findings.is_some() || seen.problems.iter().any(|problem| problem.blocks_all);
        if !deleting && !blocked && self.keep_in_step(&snapshot).await? {
            snapshot = observe();
            seen = self.seen(&snapshot);
        }
        let runs = self.runs_seen(key, &snapshot.rollout).await?;
        let mut seen = Seen { runs, ..seen };
        // Problems are reported for the current spec, not for what it replaces.
        seen.problems.splice(0..0, findings);
        seen.file_invalid = is_file_invalid(&snapshot.rollout, &seen.problems);
        Ok(Some(Observation { rollout: Arc::clone(&snapshot.rollout), seen, snapshot: Arc::new(snapshot) }))
    }

    /// On first sight: our finalizer (S40), and the number of replicas where an autoscaler will own it (S8).
    async fn prepared(&self, rollout: Arc<Rollout>, has_finalizer: bool) -> Result<Arc<Rollout>, WorldError> {
        let key = RolloutKey::of(&rollout);
        let mut patch = json!({});
        if !has_finalizer {
            let mut all = rollout.metadata.finalizers.clone().unwrap_or_default();
            all.push(FINALIZER.into());
            patch["metadata"]["finalizers"] = all.into();
        }
        let count = if rollout.spec.replicas.is_none() { self.absent_replicas(&key, &rollout) } else { None };
        if let Some(count) = count {
            patch["spec"]["replicas"] = count.get().into();
        }
        if patch.as_object().is_none_or(|fields| fields.is_empty()) {
            return Ok(rollout);
        }
        patch["metadata"]["uid"] = rollout.metadata.uid.clone().into();
        patch["metadata"]["resourceVersion"] = rollout.metadata.resource_version.clone().into();
        let api = self.api(&rollouts(), &key.namespace);
        let what = format!("prepare Rollout {key}");
        let written = self.write(&what, api.patch(&key.name, &params(), &Patch::Merge(patch))).await?;
        self.wrote_rollout(&written);
        if let Some(message) = count.and_then(Count::notice) {
            self.events.send(&rollout, &Notice { warning: true, reason: Reason::ReplicasRestored, message });
        }
        written.object()?.decode().map(Arc::new).map_err(WorldError::Transient)
    }

    /// The replacement for an absent `spec.replicas`.
    fn absent_replicas(&self, key: &RolloutKey, rollout: &Rollout) -> Option<Count> {
        // Those without a controller are about to be adopted.
        let uid = rollout.metadata.uid.as_deref().unwrap_or_default();
        let mut sets = self.tables.replica_sets.group(&key.namespace, &key.name);
        sets.retain(|entry| !entry.deleting && (entry.value.controller.is_none() || entry.value.is_controlled_by(uid)));
        let deployment = rollout.spec.workload_ref.as_ref();
        let deployment = deployment.and_then(|workload| self.tables.deployments.get(&key.namespace, &workload.name));
        let wanted = sets.iter().map(|entry| entry.value.wanted);
        replicas::absent(rollout, wanted, deployment.map(|entry| entry.value.wanted))
    }

    /// Its ReplicaSets: those that it controls. A label can be copied from anywhere.
    fn revisions_of(&self, key: &RolloutKey, rollout: &Rollout) -> Vec<Arc<Entry<CachedReplicaSet>>> {
        let uid = rollout.metadata.uid.as_deref().unwrap_or_default();
        let mut revisions = self.tables.replica_sets.group(&key.namespace, &key.name);
        revisions.retain(|entry| !entry.deleting && entry.value.is_controlled_by(uid));
        revisions
    }

    fn take_snapshot(&self, key: &RolloutKey, decoded: &Decoded) -> Snapshot {
        let rollout = Arc::clone(&decoded.rollout);
        let uid = rollout.metadata.uid.clone().unwrap_or_default();
        let revisions = self.revisions_of(key, &rollout);
        let workload = rollout.spec.workload_ref.as_ref();
        let workload = workload.and_then(|workload| self.tables.deployments.get(&key.namespace, &workload.name));
        let selector = match (&rollout.spec.selector, &workload) {
            (Some(selector), _) => selector.clone(),
            (None, Some(workload)) => workload.value.selector.clone(),
            (None, None) => LabelSelector::default(),
        };
        let (routers, context) = routing(key, &rollout, &self.settings.routes);
        let targets = targets::of(&rollout.spec);
        Snapshot {
            objects_changed: false,
            uid,
            version: rollout.metadata.resource_version.clone().unwrap_or_default(),
            traffic: self.observe_traffic(key, &targets, &routers, &context),
            targets,
            template: decoded.template().or_else(|| wanted_template(workload.as_deref(), &revisions)),
            key: key.clone(),
            rollout,
            selector,
            revisions,
            workload,
            routers,
            context,
        }
    }

    /// What the tables hold of a Rollout's traffic now.
    fn observe_traffic(
        &self,
        key: &RolloutKey,
        targets: &Targets,
        routers: &[Box<dyn Router>],
        context: &RouteContext,
    ) -> Traffic {
        let (routes, other_manager) = self.route_objects(routers, context);
        let names = [&targets.root, &targets.stable, &targets.canary].into_iter().flatten();
        let services = names.filter_map(|name| Some((name.clone(), self.tables.services.get(&key.namespace, name)?)));
        Traffic::new(routes, other_manager, services.collect())
    }

    fn seen(&self, snapshot: &Snapshot) -> Seen {
        let objects = snapshot.traffic.routes();
        let unavailable = self.unavailable(snapshot);
        let (route, error) = read_routes(snapshot, &unavailable, &objects);
        Seen {
            template: snapshot.template.as_ref().map(|t| TemplateSeen {
                id: t.id.clone(),
                images: revision::images(&t.raw),
                restarted_at: restarted_at(snapshot),
            }),
            replicas: snapshot.desired_replicas(),
            revisions: snapshot.revisions.iter().map(|entry| self.revision_seen(entry)).collect(),
            pods: self.pods_seen(snapshot),
            stable_target: self.target_seen(snapshot, &objects, Target::Stable),
            canary_target: self.target_seen(snapshot, &objects, Target::Canary),
            workload: snapshot.workload.as_deref().map(workload_seen),
            runs: BTreeMap::new(),
            commands: self.commands_seen(&snapshot.key),
            gate: self.gates.seen(&snapshot.key),
            problems: self.problems(snapshot, &unavailable, error.as_ref()),
            objects_changed: snapshot.objects_changed,
            file_invalid: false,
            deciding_since: self.deciding_since.get().copied(),
            selector: selector_text(&snapshot.selector),
            grain: router::grain(&snapshot.routers),
            route,
        }
    }

    fn revision_seen(&self, entry: &Entry<CachedReplicaSet>) -> RevisionSeen {
        let set = &entry.value;
        let pods = || self.tables.pods.group(&entry.key.namespace, &entry.key.name);
        let trouble = set.failure.clone().or_else(|| {
            (set.available < set.wanted).then(|| pods().iter().find_map(|pod| pod.value.trouble.clone())).flatten()
        });
        RevisionSeen {
            id: set.revision.clone(),
            number: set.number,
            workload: entry.key.name.clone(),
            images: set.images.clone(),
            wanted: set.wanted,
            pods: set.pods,
            ready: set.ready,
            available: set.available,
            trouble,
            metadata: set.carried.added().given,
            metadata_astray: self.metadata_astray(entry),
            other_manager: set.other_manager.clone(),
            terminations: terminations_seen::seen(set, &pods()),
        }
    }

    /// The pods one by one, while a restart is on record: they are not needed otherwise.
    fn pods_seen(&self, snapshot: &Snapshot) -> Option<Vec<PodSeen>> {
        snapshot.rollout.status.as_ref()?.state.restart()?;
        let sets = snapshot.revisions.iter();
        let pods = sets.flat_map(|set| self.tables.pods.group(&set.key.namespace, &set.key.name));
        let seen = pods.filter(|pod| !pod.deleting).map(|pod| PodSeen {
            name: pod.key.name.clone(),
            uid: pod.uid.clone(),
            revision: pod.value.revision.clone(),
            created: pod.created.unwrap_or(jiff::Timestamp::UNIX_EPOCH),
            ready: pod.value.ready,
        });
        Some(seen.collect())
    }

    fn target_seen(&self, snapshot: &Snapshot, objects: &Objects, target: Target) -> Option<TargetSeen> {
        let targets = &snapshot.targets;
        if targets.split == Split::Subset {
            return snapshot.routers.iter().find_map(|router| router.target(&snapshot.context, objects, target));
        }
        let name = if target == Target::Stable { targets.stable.as_ref() } else { targets.canary.as_ref() }?;
        let mut revision = selected_revision(snapshot, name);
        if let (Target::Stable, Split::Host, Some(root)) = (target, targets.split, &targets.root)
            && selected_revision(snapshot, root) != revision
        {
            // Root and stable move together: until both have moved the target selects nothing that could be relied on.
            revision = None;
        }
        let endpoints = self.endpoints(snapshot, name);
        let service = self.tables.services.get(&snapshot.key.namespace, name);
        let other_manager = service.and_then(|service| service.value.other_manager.clone());
        Some(TargetSeen { revision, endpoints: Some(endpoints), other_manager })
    }

    /// Ready endpoints of a Service by revision; pods of no revision of ours are counted under the empty name.
    fn endpoints(&self, snapshot: &Snapshot, service: &str) -> BTreeMap<String, u32> {
        let namespace = &snapshot.key.namespace;
        let is_ours = |pod: &CachedPod| snapshot.revisions.iter().any(|entry| entry.key.name == pod.owner);
        let mut pods: Vec<String> =
            self.tables.slices.group(namespace, service).iter().flat_map(|slice| slice.value.ready.clone()).collect();
        pods.sort();
        pods.dedup();
        let mut counts = BTreeMap::new();
        for pod in pods {
            let pod = self.tables.pods.get(namespace, &pod).filter(|pod| is_ours(&pod.value));
            let revision = pod.map(|pod| pod.value.revision.clone());
            *counts.entry(revision.unwrap_or_default()).or_insert(0) += 1;
        }
        counts
    }

    fn commands_seen(&self, key: &RolloutKey) -> Vec<CommandSeen> {
        let waiting = self.tables.commands.group(&key.namespace, &key.name);
        let mut commands: Vec<CommandSeen> = waiting
            .iter()
            .filter_map(|entry| {
                Some(CommandSeen {
                    uid: entry.uid.clone(),
                    name: entry.key.name.clone(),
                    created: entry.created.unwrap_or(jiff::Timestamp::UNIX_EPOCH),
                    spec: entry.value.spec.as_deref()?.clone(),
                })
            })
            .collect();
        commands.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
        commands
    }

    /// A command for a Rollout that is not there gets an answer too (rule S81).
    async fn refuse_orphaned_commands(&self, key: &RolloutKey) -> Result<(), WorldError> {
        for command in self.commands_seen(key) {
            let message = format!("there is no Rollout {} in namespace {}", key.name, key.namespace);
            self.answer_command(&key.namespace, &command.name, CommandState::Refused, &message).await?;
        }
        Ok(())
    }
}

fn restarted_at(snapshot: &Snapshot) -> Option<String> {
    let own = snapshot.rollout.spec.template.as_ref().and_then(revision::restarted_at).map(str::to_owned);
    own.or_else(|| snapshot.workload.as_ref()?.value.restarted_at.clone())
}

fn selected_revision(snapshot: &Snapshot, service: &str) -> Option<String> {
    snapshot.traffic.service(service)?.value.selector.get(REVISION_LABEL).map(str::to_owned)
}

/// Rule S1: a Deployment's template is compared with our ReplicaSets' first, and the hash only names a new one.
fn wanted_template(
    workload: Option<&Entry<CachedDeployment>>,
    revisions: &[Arc<Entry<CachedReplicaSet>>],
) -> Option<Arc<WantedTemplate>> {
    let workload = workload?;
    let raw: Value = workload.value.template.read().ok()?;
    let known = revisions.iter().find(|entry| entry.value.template == workload.value.template);
    let id = known.map_or_else(|| revision::id(&raw), |entry| entry.value.revision.clone());
    Some(Arc::new(WantedTemplate { id, raw }))
}

fn read_routes(
    snapshot: &Snapshot,
    unavailable: &Unavailable,
    objects: &Objects,
) -> (Option<RouteSeen>, Option<RouteError>) {
    if snapshot.routers.is_empty() {
        return (None, None);
    }
    let returnable = || {
        let back = RouteIntent::default();
        let plans = |router: &dyn Router| router.plan_all(&snapshot.context, objects, &back);
        unavailable.others(&snapshot.routers).into_iter().any(|router| !plans(router).writes.is_empty())
    };
    if !unavailable.is_none() {
        return (Some(RouteSeen { unseen: true, returnable: returnable(), ..RouteSeen::default() }), None);
    }
    match router::read_all(&snapshot.routers, &snapshot.context, objects, &known_routes(snapshot)) {
        Ok(seen) => {
            let other_manager = snapshot.traffic.other_manager.clone();
            let routers = || snapshot.routers.iter();
            let not_accepted = routers().find_map(|router| router.not_accepted(&snapshot.context, objects));
            let pending = routers().find_map(|router| router.pending(&snapshot.context, objects));
            let other_manager = |seen: &mut RouteSeen| seen.other_manager.take().or(other_manager);
            let seen = seen.map(|mut seen| RouteSeen { other_manager: other_manager(&mut seen), pending, ..seen });
            (seen, not_accepted)
        }
        Err(error) => (Some(RouteSeen { returnable: returnable(), ..RouteSeen::default() }), Some(error)),
    }
}

/// All header routes, the mirror and the stickiness that the steps have by now.
fn known_routes(snapshot: &Snapshot) -> RouteIntent {
    let steps = items::items(&snapshot.rollout.spec.strategy.steps());
    let status = snapshot.rollout.status.as_ref();
    let (_, mirror) = items::routes_at(&steps, status.map_or(0, |status| status.step_index));
    let sticky = status.and_then(|status| engine::stickiness_of_release(&snapshot.rollout.spec, status));
    RouteIntent { headers: items::header_routes(&steps), mirror, sticky, ..RouteIntent::default() }
}

fn workload_seen(entry: &Entry<CachedDeployment>) -> WorkloadSeen {
    let CachedDeployment { wanted, pods, available, paused, .. } = entry.value;
    let other_manager = entry.value.other_manager.clone();
    WorkloadSeen { wanted, pods, available, paused, other_manager }
}

/// A selector as the scale subresource wants it: `app=web,tier in (a,b)`.
fn selector_text(selector: &LabelSelector) -> String {
    let labels = selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    let expressions = selector.match_expressions.iter().flatten().map(|e| {
        let values = e.values.clone().unwrap_or_default().join(",");
        match e.operator.as_str() {
            "In" => format!("{} in ({values})", e.key),
            "NotIn" => format!("{} notin ({values})", e.key),
            "DoesNotExist" => format!("!{}", e.key),
            _ => e.key.clone(),
        }
    });
    labels.chain(expressions).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_read_as_the_scale_subresource_wants_them() {
        let selector: LabelSelector =
            serde_json::from_value(json!({"matchLabels": {"app": "web"}, "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]}, {"key": "x", "operator": "DoesNotExist"}]}))
            .unwrap();
        assert_eq!(selector_text(&selector), "app=web,tier in (a,b),!x");
    }
}
