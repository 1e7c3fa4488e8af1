//! What is recorded of a policy: its status, its finalizer, the answers to its commands, events.

use kube::{
    Resource,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    api::{
        FINALIZER, MeshPolicy,
        command::{CommandState, Verb},
        policy::MeshPolicyStatus,
        reason::Reason,
    },
    cluster::{
        call::is_missing,
        policy_tables::CachedPolicy,
        records::{CachedCommand, ended_of, of_policy},
        resources::{commands, policies},
        shared::Cluster,
        status::status_patch,
        table::{Entry, ObjectKey},
        workload::params,
    },
    engine::Notice,
    mesh::{
        change::{Command, Refused},
        drive::reason,
    },
    ports::WorldError,
};

/// So many answered commands of a policy are kept.
const COMMANDS: usize = 10;

impl Cluster {
    /// Writes what differs from the status that was observed.
    pub(super) async fn record_policy(
        &self,
        entry: &Entry<CachedPolicy>,
        policy: &MeshPolicy,
        status: &MeshPolicyStatus,
    ) -> Result<bool, WorldError> {
        let Some(patch) = status_patch(&policy.metadata, &policy.status, status)? else {
            return Ok(false);
        };
        let key = &entry.key;
        let what = format!("write the status of MeshPolicy {}/{}", key.namespace, key.name);
        let api = self.api(&policies(), &key.namespace);
        let written = self.write(&what, api.patch_status(&key.name, &params(), &Patch::Merge(patch))).await?;
        self.policies.table.wrote(&written);
        self.tell_of_policy(policy, status);
        Ok(true)
    }

    /// An event for another phase.
    fn tell_of_policy(&self, policy: &MeshPolicy, status: &MeshPolicyStatus) {
        let before = policy.status.as_ref().and_then(|status| status.phase);
        if before == status.phase {
            return;
        }
        let reason = reason(status.phase);
        let warning = !matches!(reason, Reason::PolicyInForce | Reason::PolicyChanging);
        let notice = Notice { warning, reason, message: status.message.clone() };
        self.events.send_about(&policy.object_ref(&()), &notice);
    }

    /// A deleted policy stays until its objects are restored.
    pub(super) async fn set_policy_finalizer(
        &self,
        entry: &Entry<CachedPolicy>,
        policy: &MeshPolicy,
        present: bool,
    ) -> Result<bool, WorldError> {
        let there = policy.metadata.finalizers.clone().unwrap_or_default();
        if there.iter().any(|name| name == FINALIZER) == present {
            return Ok(false);
        }
        let mut finalizers: Vec<String> = there.into_iter().filter(|name| name != FINALIZER).collect();
        finalizers.extend(present.then(|| FINALIZER.to_owned()));
        let key = &entry.key;
        let metadata = json!({"uid": entry.uid, "resourceVersion": entry.version, "finalizers": finalizers});
        let what = format!("write the finalizer of MeshPolicy {}/{}", key.namespace, key.name);
        let api = self.api(&policies(), &key.namespace);
        let patch = Patch::Merge(json!({"metadata": metadata}));
        match self.write(&what, api.patch(&key.name, &PatchParams::default(), &patch)).await {
            Ok(written) if present => self.policies.table.wrote(&written),
            Ok(_) => drop(self.policies.table.gone(&key.namespace, &key.name)),
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// The oldest command for a policy that is not answered.
    pub(super) fn policy_command(&self, key: &ObjectKey) -> Option<PolicyCommand> {
        let mut waiting = self.tables.commands.group(&key.namespace, &of_policy(&key.name));
        waiting.sort_by(|a, b| (a.created, &a.key.name).cmp(&(b.created, &b.key.name)));
        let first = waiting.into_iter().find(|entry| entry.value.spec.is_some() && !entry.deleting)?;
        let verb = first.value.spec.as_ref()?.verb;
        Some(PolicyCommand { name: first.key.name.clone(), verb })
    }

    /// Says what became of a command.
    pub(super) async fn answer_policy(
        &self,
        key: &ObjectKey,
        command: &PolicyCommand,
        answer: Option<Result<(), Refused>>,
    ) -> Result<(), WorldError> {
        let (state, message) = match answer {
            Some(Ok(())) => (CommandState::Done, "carried out".to_owned()),
            Some(Err(refused)) => (CommandState::Refused, refused.to_string()),
            None => {
                let takes = "a MeshPolicy takes promote, abort and retry";
                (CommandState::Refused, format!("there is no {} of a MeshPolicy; {takes}", command.verb.as_str()))
            }
        };
        self.answer_command(&key.namespace, &command.name, state, &message).await?;
        self.prune_policy_commands(key).await
    }

    async fn prune_policy_commands(&self, key: &ObjectKey) -> Result<(), WorldError> {
        let mut answered: Vec<std::sync::Arc<Entry<CachedCommand>>> =
            self.tables.commands.group(&key.namespace, &ended_of(&of_policy(&key.name)));
        answered.sort_by(|a, b| (b.created, &b.key.name).cmp(&(a.created, &a.key.name)));
        let surplus = answered.get(COMMANDS..).unwrap_or_default();
        self.delete_some(&commands(), &self.tables.commands, surplus).await
    }
}

/// A command for a policy.
#[derive(Clone, Debug)]
pub(super) struct PolicyCommand {
    /// The name of the RolloutCommand.
    pub name: String,
    verb: Verb,
}

impl PolicyCommand {
    /// What it asks for; `None` for a verb that is only for releases.
    pub fn asks(&self) -> Option<Command> {
        match self.verb {
            Verb::Promote => Some(Command::Promote),
            Verb::Abort => Some(Command::Abort),
            Verb::Retry => Some(Command::Retry),
            Verb::Pause | Verb::Resume | Verb::Undo | Verb::Restart => None,
        }
    }
}
