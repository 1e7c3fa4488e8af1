//! What the engine decides from: the spec, its own last status, what was observed, and the time.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use crate::api::{
    RolloutSpec, RolloutStatus,
    analysis::{AnalysisRunStatus, RunPhase, Verdict},
    command::RolloutCommandSpec,
    common::Percent,
    metadata::PodMetadata,
    reason::Reason,
};

use super::decision::GateQuestion;

/// Everything one tick decides from.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// The Rollout's name.
    pub name: &'a str,
    /// Its uid: external effects are keyed by it.
    pub uid: &'a str,
    /// Its metadata.generation.
    pub generation: Option<i64>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether deletion skips the restore (the annotation, or a namespace that goes).
    pub skip_hand_back: bool,
    /// What is wanted.
    pub spec: &'a RolloutSpec,
    /// What was decided last.
    pub status: &'a RolloutStatus,
    /// What was observed.
    pub seen: &'a Seen,
    /// The time.
    pub now: Timestamp,
}

#[cfg(test)]
impl<'a> Input<'a> {
    /// The first tick of a Rollout, in a test.
    pub fn of(spec: &'a RolloutSpec, status: &'a RolloutStatus, seen: &'a Seen) -> Self {
        Input {
            name: "web",
            uid: "uid",
            generation: Some(1),
            deleting: false,
            skip_hand_back: false,
            spec,
            status,
            seen,
            now: Timestamp::UNIX_EPOCH,
        }
    }
}

/// What was observed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The wanted template; `None` when the workload that holds it is missing.
    pub template: Option<TemplateSeen>,
    /// Desired replicas (the spec's, or as first written through `/scale`).
    pub replicas: u32,
    /// Our ReplicaSets.
    pub revisions: Vec<RevisionSeen>,
    /// Our pods one by one; `None` unless a restart is on record (S83).
    pub pods: Option<Vec<PodSeen>>,
    /// The routers' objects as read back. `None` without a mesh.
    pub route: Option<RouteSeen>,
    /// The finest weight that all routers can write; 0 where they can write every one.
    pub grain: Percent,
    /// The stable target: the stable Service (and root with it), or the stable subset. `None` when there is none.
    pub stable_target: Option<TargetSeen>,
    /// The canary target.
    pub canary_target: Option<TargetSeen>,
    /// The referenced Deployment.
    pub workload: Option<WorkloadSeen>,
    /// AnalysisRuns of this Rollout, by name.
    pub runs: BTreeMap<String, RunSeen>,
    /// Commands that have no state yet, oldest first.
    pub commands: Vec<CommandSeen>,
    /// The gate that was asked last, if any since this process began.
    pub gate: Option<GateSeen>,
    /// What stands in the way: invalid spec, missing objects, refused writes of the last tick.
    pub problems: Vec<Problem>,
    /// Whether the spec is invalid, and its objects are those on record: nothing of it is started, and an abort is executed
    /// all the same.
    pub file_invalid: bool,
    /// Whether the spec references other objects than those written to last. Then the spec and everything observed are those
    /// of the old objects, until they are restored (S20).
    pub objects_changed: bool,
    /// Since when this controller decides; `None`: long enough.
    pub deciding_since: Option<Timestamp>,
    /// The selector of all revisions' pods as text, for the scale subresource.
    pub selector: String,
}

impl Seen {
    /// Whether a route keeps sessions.
    pub fn keeps_sessions(&self) -> bool {
        self.route.as_ref().is_some_and(|route| route.keeps_sessions)
    }
}

/// A template as observed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateSeen {
    /// Its revision id.
    pub id: String,
    /// The images of its containers.
    pub images: Vec<String>,
    /// Its `kubectl.kubernetes.io/restartedAt`, which makes no revision (S83).
    pub restarted_at: Option<String>,
}

/// One pod that is not being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSeen {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its revision id.
    pub revision: String,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it is ready.
    pub ready: bool,
}

/// One revision's ReplicaSet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevisionSeen {
    /// The revision id.
    pub id: String,
    /// Its number, from our annotation.
    pub number: u64,
    /// The ReplicaSet's name.
    pub workload: String,
    /// The images of its containers.
    pub images: Vec<String>,
    /// What its spec asks for.
    pub wanted: u32,
    /// Pods that exist.
    pub pods: u32,
    /// Pods that are ready.
    pub ready: u32,
    /// Pods that are ready for minReadySeconds.
    pub available: u32,
    /// Why pods do not come: quota, image pull, unschedulable; as a message.
    pub trouble: Option<String>,
    /// What its pod template carries for a role.
    pub metadata: PodMetadata,
    /// Whether something of that is missing in the template, or any of its pods carries something else.
    pub metadata_astray: bool,
    /// The field manager that set `wanted` last, when it is not ours.
    pub other_manager: Option<String>,
    /// The containers of its template that have ended, in pods that are not going.
    pub terminations: Vec<TerminationSeen>,
}

/// A container of a pod that has ended at least once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TerminationSeen {
    /// The pod's name.
    pub pod: String,
    /// The container's name.
    pub container: String,
    /// How often it has ended, whether or not it has started again.
    pub ended: u32,
    /// How often it was started again.
    pub restarts: u32,
    /// Whether it was OOM-killed the last time.
    pub oom_killed: bool,
    /// Its last exit code.
    pub exit_code: i32,
    /// The kubelet's word for its last end: `Error`, `Completed`.
    pub reason: String,
}

/// The routers' objects as read back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteSeen {
    /// The canary's weight in all of them; `None` when it cannot be read or they disagree.
    pub weight: Option<Percent>,
    /// The lowest and the highest weight of the canary in any of them, where they disagree.
    pub disagreement: Option<(Percent, Percent)>,
    /// The names of our header routes that are in any of them, sorted.
    pub headers: Vec<String>,
    /// The share that any of them copies to the canary.
    pub mirror: Option<Percent>,
    /// Whether any of them keeps users on the version of their first answer.
    pub sticky: bool,
    /// Whether anything we own in them differs from the plan for that weight.
    pub drifted: bool,
    /// Whether any of them keeps sessions: their users stay where they are when the weight changes.
    pub keeps_sessions: bool,
    /// Who else wrote our fields, if known.
    pub other_manager: Option<String>,
    /// Where one object cannot be read: whether another does not lead to stable alone yet, and can be made to.
    pub returnable: bool,
    /// Some of them cannot be seen at all: what they say is not known.
    pub unseen: bool,
    /// Why the proxies may still use the routes as they were before, where their controllers say that: in words.
    pub pending: Option<String>,
}

impl RouteSeen {
    /// Whether the canary has routes beside its weight.
    pub fn has_extra_routes(&self) -> bool {
        !self.headers.is_empty() || self.mirror.is_some() || self.sticky
    }

    /// The canary's weight in the route that sends it the most; `None` when they cannot be read.
    pub fn highest(&self) -> Option<Percent> {
        self.weight.or(self.disagreement.map(|(_, highest)| highest))
    }

    /// The canary's weight in the route that sends it the least; `None` when they cannot be read.
    pub fn lowest(&self) -> Option<Percent> {
        self.weight.or(self.disagreement.map(|(lowest, _)| lowest))
    }

    /// Whether routes that cannot be read send nothing we know of: an object is missing, and the others have returned.
    pub fn sends_nothing_known(&self) -> bool {
        self.highest().is_none() && !self.returnable && !self.unseen
    }

    /// Whether they say, as read back, that no request reaches the canary.
    pub fn leads_to_stable_alone(&self) -> bool {
        self.weight == Some(Percent::ZERO) && !self.has_extra_routes()
    }
}

/// A Service or subset as observed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetSeen {
    /// The revision id that its selector names; `None` before it names any, or when the object is absent.
    pub revision: Option<String>,
    /// Ready endpoints by revision id. `None` where endpoints cannot be told apart (subset split: pods stand in for them).
    pub endpoints: Option<BTreeMap<String, u32>>,
    /// The field manager that set the selector last, when it is not ours.
    pub other_manager: Option<String>,
}

/// The referenced Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadSeen {
    /// What its spec asks for.
    pub wanted: u32,
    /// Its own pods that exist.
    pub pods: u32,
    /// Its own pods that are available.
    pub available: u32,
    /// Whether its own controller is held still.
    pub paused: bool,
    /// The field manager that set its replicas or `paused` last, when it is not ours.
    pub other_manager: Option<String>,
}

/// An AnalysisRun.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunSeen {
    /// Whether it continues.
    pub phase: RunPhase,
    /// Its verdict.
    pub verdict: Verdict,
    /// The epoch of its spec.
    pub epoch_wanted: u32,
    /// Whether it is asked to stop.
    pub stop: bool,
    /// What it has found, without the judges' memory.
    pub status: Arc<AnalysisRunStatus>,
}

/// A gate that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateSeen {
    /// The question.
    pub question: GateQuestion,
    /// The answer; `None` while it is being asked.
    pub answer: Option<GateAnswer>,
}

impl GateSeen {
    /// Whether it is this question that was asked, and not one of another step or an earlier time.
    pub fn is_about(&self, question: &GateQuestion) -> bool {
        let asked = &self.question;
        (&asked.key, asked.since, asked.number, &asked.url)
            == (&question.key, question.since, question.number, &question.url)
    }
}

/// What a gate said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateAnswer {
    /// The release may continue.
    Yes,
    /// It may not, and why.
    No(String),
    /// Neither: what came instead.
    Unclear(String),
}

/// A command that waits to be executed.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandSeen {
    /// The object's uid.
    pub uid: String,
    /// The object's name.
    pub name: String,
    /// When it was created.
    pub created: Timestamp,
    /// What it asks for.
    pub spec: RolloutCommandSpec,
}

/// A blocker that an operator has to fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A CamelCase reason, for instance `MissingService`.
    pub reason: Reason,
    /// What is wrong, where, and what to do.
    pub message: String,
    /// Whether nothing at all may be written (an invalid spec, a claimed object); else only steps are stopped.
    pub blocks_all: bool,
}
