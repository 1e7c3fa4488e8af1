//! AnalysisRuns and RolloutCommands as kept: whole while they are at work, and a few bytes once they have ended. There are
//! thousands of ended ones in a busy cluster, and they are grouped apart, so that no observation walks over them.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use jiff::Timestamp;
use kube::core::ObjectMeta;
use serde::Deserialize;
use serde_json::Value;

use super::{
    kinds::controller,
    raw_object::{RawObject, decode},
    table::{Kept, mark},
};
use crate::api::{
    AnalysisRun, ROLLOUT_LABEL,
    analysis::{AnalysisRunStatus, RunPhase, Verdict},
    command::{CommandState, RolloutCommandSpec},
};

/// The annotation on a run that names `uid/revision/step/attempt`.
pub const KEY: &str = "glidepath.dev/run-key";

/// The group of what has ended; no Rollout's name has a slash.
const ENDED: &str = "/ended";

/// The group of a Rollout's ended runs, and of its answered commands.
pub fn ended_of(rollout: &str) -> String {
    format!("{rollout}{ENDED}")
}

/// What the group of a policy's commands begins with; no Rollout's name has a slash.
const POLICY: &str = "MeshPolicy/";

/// The group of a policy's commands.
pub fn of_policy(policy: &str) -> String {
    format!("{POLICY}{policy}")
}

fn group_of(rollout: &str, ended: bool) -> Box<str> {
    if ended { ended_of(rollout).into() } else { rollout.into() }
}

/// An AnalysisRun.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedRun {
    group: Box<str>,
    /// Whose evidence it is; `None` where owner and key do not say so.
    pub identity: Option<RunIdentity>,
    /// The object while it runs, its outcome afterwards.
    pub state: RunState,
}

/// An AnalysisRun at work, or what is left of it.
#[derive(Clone, Debug, PartialEq)]
pub enum RunState {
    /// It measures.
    Running(Box<RunningRun>),
    /// It has ended.
    Ended(EndedRun),
    /// The field at fault.
    Unreadable(Box<str>),
}

/// An AnalysisRun at work.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningRun {
    /// The object.
    pub run: AnalysisRun,
    /// What the engine is shown of its status.
    pub shown: Arc<AnalysisRunStatus>,
}

/// What counts of an ended run; its metrics stay in the object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EndedRun {
    /// Finished or stopped.
    pub phase: RunPhase,
    /// Its final verdict.
    pub verdict: Verdict,
    /// The epoch of its Pass evidence.
    pub epoch: u32,
    /// Whether a Job of its load is still on record: it is to be deleted.
    pub has_load: bool,
}

impl EndedRun {
    /// Whether it counts towards `successfulRunHistoryLimit`.
    pub fn succeeded(self) -> bool {
        !matches!(self.verdict, Verdict::Fail | Verdict::Inconclusive)
    }
}

/// Whose evidence a run is: by its controller and its key together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunIdentity {
    owner: u64,
    key: u64,
}

impl RunIdentity {
    /// What owner and key say, where both name the same Rollout.
    fn of(meta: &ObjectMeta) -> Option<Self> {
        let owner = controller(meta).filter(|owner| owner.kind == "Rollout")?;
        let key = mark(meta.annotations.as_ref(), KEY)?;
        let (uid, _) = key.split_once('/')?;
        (uid == owner.uid).then(|| RunIdentity { owner: digest(uid), key: digest(key) })
    }

    /// Whether the Rollout of this uid made it.
    pub fn is_of(self, uid: &str) -> bool {
        self.owner == digest(uid)
    }

    /// Whether it was made for this key.
    pub fn has(self, key: &str) -> bool {
        self.key == digest(key)
    }
}

/// Uids and ids are compared and never shown: eight bytes of each do.
fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

impl CachedRun {
    /// The Rollout that it says it belongs to.
    pub fn rollout(&self) -> &str {
        self.group.strip_suffix(ENDED).unwrap_or(&self.group)
    }

    /// The object, while it runs.
    pub fn running(&self) -> Option<&RunningRun> {
        match &self.state {
            RunState::Running(running) => Some(running),
            _ => None,
        }
    }

    /// The field at fault.
    pub fn unreadable(&self) -> Option<&str> {
        match &self.state {
            RunState::Unreadable(why) => Some(why),
            _ => None,
        }
    }

    /// Whether there is work to do on it: it measures, or its load is to be stopped.
    pub fn has_work(&self) -> bool {
        self.running().is_some() || self.ended().is_some_and(|ended| ended.has_load)
    }

    /// What is left of it, once it has ended.
    pub fn ended(&self) -> Option<EndedRun> {
        match &self.state {
            RunState::Ended(ended) => Some(*ended),
            _ => None,
        }
    }
}

impl Kept for CachedRun {
    const RECORDS: bool = true;

    /// Of an ended run nothing is read but its outcome; its metrics and reports are the larger part of a list.
    fn keep(object: &RawObject<'_>) -> Result<Self, String> {
        let meta = object.metadata();
        let state = match object.get("status").and_then(RunWords::ended) {
            Some(ended) => RunState::Ended(ended),
            None => at_work(object)?,
        };
        let rollout = mark(meta.labels.as_ref(), ROLLOUT_LABEL).unwrap_or_default();
        let group = group_of(rollout, matches!(state, RunState::Ended(_)));
        Ok(CachedRun { group, identity: RunIdentity::of(meta), state })
    }
    fn keep_unread(object: &RawObject<'_>, why: &str) -> Option<Self> {
        let rollout = mark(object.metadata().labels.as_ref(), ROLLOUT_LABEL).unwrap_or_default();
        let state = RunState::Unreadable(why.into());
        Some(CachedRun { group: group_of(rollout, false), identity: None, state })
    }
    fn group(&self) -> Option<&str> {
        Some(&self.group)
    }
}

/// The parts of a run's status that say how it ended: to decode thousands of ended runs whole would take seconds at each
/// start. Each is read by itself: a newer version may have other words.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RunWords {
    phase: Value,
    verdict: Value,
    epoch: Value,
    load: Value,
}

impl RunWords {
    fn ended(self) -> Option<EndedRun> {
        let phase = RunPhase::deserialize(self.phase).ok().filter(|phase| *phase != RunPhase::Running)?;
        let verdict = Verdict::deserialize(self.verdict).unwrap_or_default();
        let epoch = self.epoch.as_u64().and_then(|epoch| u32::try_from(epoch).ok()).unwrap_or(0);
        let jobs = self.load.as_array().is_some_and(|loads| loads.iter().any(|load| load["job"].is_string()));
        Some(EndedRun { phase, verdict, epoch, has_load: jobs })
    }
}

fn at_work(object: &RawObject<'_>) -> Result<RunState, String> {
    Ok(match decode::<AnalysisRun>(&object.json()?) {
        Ok(run) => {
            let shown = run.status.as_ref().map(AnalysisRunStatus::shown).unwrap_or_default();
            RunState::Running(Box::new(RunningRun { run, shown: Arc::new(shown) }))
        }
        Err(message) => RunState::Unreadable(message.into()),
    })
}

/// A RolloutCommand.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedCommand {
    group: Box<str>,
    /// What it asks for, until it has a state, also one that a newer version wrote.
    pub spec: Option<Box<RolloutCommandSpec>>,
    /// Its result, if this version knows the value.
    pub state: Option<CommandState>,
    /// When it was answered.
    pub taken_at: Option<Timestamp>,
}

impl CachedCommand {
    /// The Rollout that it is for.
    pub fn rollout(&self) -> &str {
        self.group.strip_suffix(ENDED).unwrap_or(&self.group)
    }

    /// The policy that it is for, and no Rollout.
    pub fn policy(&self) -> Option<&str> {
        self.rollout().strip_prefix(POLICY)
    }
}

/// The parts of a command's status that we read, each by itself: a newer version may have other words.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CommandWords {
    state: Option<Value>,
    taken_at: Option<Value>,
}

/// Whom a command is for.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Addressee {
    kind: Option<String>,
    rollout: String,
}

impl Addressee {
    fn group(&self) -> String {
        if self.kind.as_deref() == Some("MeshPolicy") { of_policy(&self.rollout) } else { self.rollout.clone() }
    }
}

impl Kept for CachedCommand {
    const RECORDS: bool = true;

    fn keep(object: &RawObject<'_>) -> Result<Self, String> {
        let said: CommandWords = object.read("status")?;
        let addressee: Addressee = object.read("spec")?;
        Ok(CachedCommand {
            group: group_of(&addressee.group(), said.state.is_some()),
            spec: if said.state.is_none() { object.get("spec").map(Box::new) } else { None },
            taken_at: said.taken_at.and_then(|time| serde_json::from_value(time).ok()),
            state: said.state.and_then(|state| serde_json::from_value(state).ok()),
        })
    }
    fn group(&self) -> Option<&str> {
        Some(&self.group)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::table::kept;

    fn run(phase: &str, owner: &str, key: &str) -> CachedRun {
        let owners = json!([{"apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "name": "web", "uid": owner,
            "controller": true}]);
        kept(&json!({
            "metadata": {"name": "web-2-1-background", "ownerReferences": owners, "annotations": {KEY: key},
                "labels": {ROLLOUT_LABEL: "web"}},
            "status": {"phase": phase, "verdict": "Fail", "epoch": 3, "message": "x".repeat(5_000)},
        }))
    }

    /// Finding C5: what is kept of 20,000 ended runs and 10,000 commands stays within a few megabytes.
    #[test]
    fn c5_an_ended_run_and_an_answered_command_are_kept_in_a_few_bytes() {
        let ended = run("Finished", "u1", "u1/abc/background/1/0");
        let expected = EndedRun { phase: RunPhase::Finished, verdict: Verdict::Fail, epoch: 3, has_load: false };
        assert_eq!((ended.ended(), ended.rollout(), ended.group()), (Some(expected), "web", Some("web/ended")));
        assert!(!expected.succeeded());
        let size = size_of::<CachedRun>().max(size_of::<CachedCommand>());
        assert!(size <= 80, "{size} bytes, besides the name of the group");
        assert!(size_of::<super::super::table::Entry<CachedRun>>() <= 256);
    }

    /// A controller that takes over deletes what its predecessor could not.
    #[test]
    fn an_ended_run_has_work_while_a_job_of_its_load_is_on_record() {
        let has_work = |load: Value| {
            kept::<CachedRun>(&json!({"metadata": {"name": "a"}, "status": {"phase": "Stopped", "load": load}}))
                .has_work()
        };
        assert!(has_work(json!([{"started": 2}, {"job": "web-2", "started": 1}])));
        assert!(
            !has_work(json!([{"started": 2}])) && !has_work(json!({"job": "a newer form"})) && !has_work(json!(null))
        );
    }

    /// A list holds tens of thousands: the metrics of those that have ended are never built.
    #[test]
    fn of_an_ended_run_nothing_but_its_outcome_is_read() {
        let read = |phase: &str| {
            let deep = format!("{}1{}", "[".repeat(9_000), "]".repeat(9_000));
            let status = format!(r#"{{"phase":"{phase}","verdict":"Fail","epoch":3,"metrics":{deep}}}"#);
            let raw = format!(r#"{{"metadata":{{"name":"web-1"}},"spec":{{"metrics":{deep}}},"status":{status}}}"#);
            CachedRun::keep(&RawObject::of(&raw).unwrap())
        };
        let outcome = EndedRun { phase: RunPhase::Stopped, verdict: Verdict::Fail, epoch: 3, has_load: false };
        assert_eq!(read("Stopped").unwrap().ended(), Some(outcome));
        assert!(read("Running").unwrap_err().contains("levels deep"), "of a run at work all counts");
    }

    /// Finding M9.
    #[test]
    fn m9_a_run_is_evidence_only_where_owner_and_key_agree() {
        let identity = |owner: &str, key: &str| run("Running", owner, key).identity;
        let ours = identity("u1", "u1/abc/background/1/0").unwrap();
        assert!(ours.is_of("u1") && ours.has("u1/abc/background/1/0"));
        assert!(!ours.is_of("u2") && !ours.has("u1/abc/background/2/0"));
        assert_eq!(identity("u2", "u1/abc/background/1/0"), None, "the key is another Rollout's");
        assert_eq!(identity("u1", "by hand"), None);
    }

    #[test]
    fn a_command_for_a_policy_is_none_of_a_rollouts() {
        let command = |kind: Value| {
            let spec = json!({"kind": kind, "rollout": "web", "verb": "abort"});
            kept::<CachedCommand>(&json!({"metadata": {"name": "c"}, "spec": spec}))
        };
        let policy = command(json!("MeshPolicy"));
        assert_eq!((policy.policy(), policy.group()), (Some("web"), Some(of_policy("web").as_str())));
        for kind in [json!("Rollout"), json!(null)] {
            assert_eq!((command(kind.clone()).policy(), command(kind).rollout()), (None, "web"));
        }
    }

    /// M14: a command that a newer version has answered is not carried out again.
    #[test]
    fn a_command_whose_state_is_unknown_counts_as_answered() {
        let command = |status: Value| {
            let spec = json!({"rollout": "web", "verb": "abort"});
            let object = json!({"metadata": {"name": "c"}, "spec": spec, "status": status});
            kept::<CachedCommand>(&object)
        };
        assert!(command(json!({})).spec.is_some());
        assert_eq!(command(json!({"state": "Taken"})).spec, None);
        assert_eq!(command(json!({"state": "Deferred"})).spec, None);
    }
}
