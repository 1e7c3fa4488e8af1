//! One look at a policy: read, decide, record, write, until nothing follows.

use std::sync::{Arc, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::{
        FINALIZER, MeshPolicy, SKIP_HAND_BACK,
        policy::{MeshPolicyStatus, PolicyState},
        status::Phase,
    },
    cluster::{
        locks::lock,
        policy_tables::CachedPolicy,
        shared::Cluster,
        table::{Entry, ObjectKey},
    },
    mesh::{
        self, MeshKind, MeshWrite, PolicyName,
        change::Command,
        drive::{self, Look, Metrics, Seen, Specs, spec_id},
    },
    ports::{WorldError, source::Source},
    reconcile::retry::{Next, RESYNC, SHORTEST},
    router::Objects,
};

/// Decisions in one look at most; what is left over is done by the next.
const ROUNDS: usize = 8;
/// So often the same objects are written one after the other before it counts as a fight.
const MOST_REPEATED: u32 = 4;

impl Cluster {
    /// Looks at a policy.
    pub async fn look_at_policy(&self, key: &ObjectKey, source: &dyn Source) -> Result<Next, WorldError> {
        self.is_consistent()?;
        for _ in 0..ROUNDS {
            let Some(entry) = self.policies.table.get(&key.namespace, &key.name) else {
                return Ok(self.forget_policy(key));
            };
            let policy = match &entry.value.0 {
                Ok(policy) => policy,
                Err(why) => {
                    tracing::warn!(policy = %key.name, namespace = %key.namespace, %why, "cannot read the MeshPolicy");
                    return Ok(Next::After(RESYNC));
                }
            };
            let next = if entry.deleting {
                self.hand_back_policy(&entry, policy).await?
            } else {
                self.drive(&entry, policy, source).await?
            };
            if let Some(next) = next {
                return Ok(next);
            }
        }
        Ok(Next::Soon)
    }

    fn forget_policy(&self, key: &ObjectKey) -> Next {
        lock(&self.policies.asked).remove(key);
        lock(&self.policies.failures).remove(key);
        lock(&self.policies.repeated).remove(key);
        lock(&self.policies.specs).retain(|(of, _), _| of != key);
        Next::Forget
    }

    /// One round. `None`: something was recorded or written, from which more may follow.
    async fn drive(
        &self,
        entry: &Arc<Entry<CachedPolicy>>,
        policy: &MeshPolicy,
        source: &dyn Source,
    ) -> Result<Option<Next>, WorldError> {
        let key = &entry.key;
        let around = self.around(key, policy).await?;
        let command = self.policy_command(key);
        // One that is on record was carried out by a controller that died before it could say so.
        let is_new = |name: &str| policy.status.as_ref().and_then(|status| status.command.as_deref()) != Some(name);
        let asks = command.as_ref().filter(|command| is_new(&command.name)).and_then(|command| command.asks());
        let mut look = around.look(self, policy, asks, None);
        if let (Some(ask), Ok(kind)) = (look.ask.take(), around.kind.as_ref()) {
            let answer = self.metrics(source, kind, (key, &spec_id(&policy.spec)), &ask).await;
            look = around.look(self, policy, asks, Some(&answer));
        }
        let Look { mut status, writes, wake, command: answer, .. } = look;
        if let (Some(Ok(())), Some(command)) = (&answer, &command) {
            status.command = Some(command.name.clone());
        }
        if !writes.is_empty() {
            self.keep_spec(entry, policy).await?;
            if self.set_policy_finalizer(entry, policy, true).await? {
                return Ok(None);
            }
        }
        let recorded = self.record_policy(entry, policy, &status).await?;
        if let Some(command) = &command {
            let answer = if is_new(&command.name) { asks.and(answer) } else { Some(Ok(())) };
            self.answer_policy(key, command, answer).await?;
        }
        self.tidy(key, policy, &status).await?;
        if recorded || command.is_some() {
            return Ok(None);
        }
        if !writes.is_empty() {
            self.carry_out(key, policy, &around, &writes).await?;
            return self.has_stayed(key, &writes).map(|()| None);
        }
        lock(&self.policies.failures).remove(key);
        lock(&self.policies.repeated).remove(key);
        Ok(Some(Next::After(after(wake, self.clock.now()))))
    }

    /// Writes one after the other; the first that fails ends it, and is on record until they are done.
    async fn carry_out(
        &self,
        key: &ObjectKey,
        policy: &MeshPolicy,
        around: &Around,
        writes: &[MeshWrite],
    ) -> Result<(), WorldError> {
        let Ok(kind) = around.kind else { return Ok(()) };
        for write in writes {
            if let Err(error) = self.write_mesh(policy, kind.kinds, &around.objects, write).await {
                if !matches!(error, WorldError::Conflict(_)) {
                    lock(&self.policies.failures).insert(key.clone(), error.to_string());
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// What is written again and again does not stay as it is written: another writer is at work, and is not fought.
    fn has_stayed(&self, key: &ObjectKey, writes: &[MeshWrite]) -> Result<(), WorldError> {
        let names: Vec<String> = writes.iter().map(MeshWrite::name).collect();
        let mut repeated = lock(&self.policies.repeated);
        let known = repeated.entry(key.clone()).or_default();
        if known.0 != names {
            *known = (names, 0);
        }
        known.1 += 1;
        if known.1 < MOST_REPEATED {
            return Ok(());
        }
        let why = format!("{} does not stay as it is written: another writer changes it", known.0.join(", "));
        drop(repeated);
        lock(&self.policies.failures).insert(key.clone(), why.clone());
        Err(WorldError::Transient(why))
    }

    /// The record of a spec that was in force, or was tried, and that nothing leads to any more.
    async fn tidy(&self, key: &ObjectKey, policy: &MeshPolicy, now: &MeshPolicyStatus) -> Result<(), WorldError> {
        let before = policy.status.as_ref();
        let of = |status: &MeshPolicyStatus| {
            let tried = status.state.as_ref().map(PolicyState::spec).map(str::to_owned);
            tried.into_iter().chain(status.in_force.clone()).chain(status.former.clone()).collect::<Vec<_>>()
        };
        let kept = of(now);
        let gone = before.map(of).unwrap_or_default().into_iter().filter(|id| !kept.contains(id));
        for id in gone {
            self.drop_spec(key, &id).await?;
        }
        Ok(())
    }

    /// What is around a policy.
    async fn around(&self, key: &ObjectKey, policy: &MeshPolicy) -> Result<Around, WorldError> {
        let kind = self.mesh_of(policy)?;
        let root = self.root_of(kind.as_ref().ok().copied());
        let objects = match &kind {
            Ok(kind) => self.mesh_objects(kind, key, &root)?,
            Err(_) => Objects::default(),
        };
        let specs = self.specs(key, policy).await?;
        let failure = lock(&self.policies.failures).get(key).cloned();
        Ok(Around { kind, objects, specs, releasing: self.releasing(key, policy), failure })
    }

    fn root_of(&self, kind: Option<&MeshKind>) -> String {
        let facts = self.policies.facts.read().unwrap_or_else(PoisonError::into_inner);
        kind.and_then(|kind| kind.root_namespace).unwrap_or(&facts.root_namespace).to_owned()
    }

    /// The Rollout of the target, or of a caller that the policy names, that is in progress (rule F4).
    fn releasing(&self, key: &ObjectKey, policy: &MeshPolicy) -> Option<String> {
        let mut names: Vec<String> = policy.spec.callers.clone();
        let facts = self.policies.facts.read().unwrap_or_else(PoisonError::into_inner);
        names.extend(mesh::services(policy, &facts).into_iter().map(|service| service.name.clone()));
        drop(facts);
        let rollouts = names.iter().flat_map(|name| self.references.of("services", &key.namespace, name));
        let in_progress = |phase: Option<Phase>| matches!(phase, Some(Phase::Progressing | Phase::Paused));
        let mut busy = rollouts.filter(|rollout| {
            let entry = self.tables.rollouts.get(&rollout.namespace, &rollout.name);
            entry.is_some_and(|entry| in_progress(entry.value.phase))
        });
        busy.next().map(|rollout| rollout.to_string())
    }

    /// A deleted policy: everything is as it was before, and then it goes.
    async fn hand_back_policy(
        &self,
        entry: &Arc<Entry<CachedPolicy>>,
        policy: &MeshPolicy,
    ) -> Result<Option<Next>, WorldError> {
        let key = &entry.key;
        if !policy.metadata.finalizers.iter().flatten().any(|name| name == FINALIZER) {
            return Ok(Some(Next::After(RESYNC)));
        }
        let annotations = policy.metadata.annotations.as_ref();
        if annotations.and_then(|all| all.get(SKIP_HAND_BACK)).is_some_and(|value| value == "true") {
            self.set_policy_finalizer(entry, policy, false).await?;
            return Ok(Some(self.forget_policy(key)));
        }
        let mesh = policy.status.as_ref().and_then(|status| status.mesh.as_deref()).and_then(mesh::mesh);
        let kind = match mesh {
            Some(kind) => Some(kind),
            None => self.mesh_of(policy)?.ok(),
        };
        if let Some(kind) = kind {
            let objects = self.mesh_objects(kind, key, &self.root_of(Some(kind)))?;
            let name = PolicyName { namespace: &key.namespace, name: &key.name };
            let writes = drive::released(kind, name, &objects);
            if !writes.is_empty() {
                for write in &writes {
                    self.write_mesh(policy, kind.kinds, &objects, write).await?;
                }
                return Ok(None);
            }
        }
        self.set_policy_finalizer(entry, policy, false).await?;
        Ok(Some(self.forget_policy(key)))
    }
}

/// What is around a policy in the cluster.
struct Around {
    kind: Result<&'static MeshKind, String>,
    objects: Objects,
    specs: Specs,
    releasing: Option<String>,
    failure: Option<String>,
}

impl Around {
    fn look(
        &self,
        cluster: &Cluster,
        policy: &MeshPolicy,
        command: Option<Command>,
        metrics: Option<&Result<Metrics, String>>,
    ) -> Look {
        let facts = cluster.policies.facts.read().unwrap_or_else(PoisonError::into_inner);
        let seen = Seen {
            now: cluster.clock.now(),
            policy,
            kind: self.kind.as_ref().map(|kind| *kind).map_err(String::as_str),
            specs: &self.specs,
            facts: &facts,
            objects: &self.objects,
            metrics: metrics.map(|answer| answer.as_ref().map_err(String::as_str)),
            releasing: self.releasing.as_deref(),
            failure: self.failure.as_deref(),
            command,
        };
        drive::look(&seen)
    }
}

fn after(wake: Option<Timestamp>, now: Timestamp) -> std::time::Duration {
    let wait = wake.map(|wake| wake.duration_since(now)).unwrap_or(SignedDuration::MAX);
    std::time::Duration::try_from(wait).unwrap_or_default().clamp(SHORTEST, RESYNC)
}
