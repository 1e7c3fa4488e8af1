//! What the engine decides: the next status, actions as desired states, when to look again, and which events to emit.

use jiff::Timestamp;

use crate::api::{
    RolloutStatus,
    analysis::{Arg, TemplateRef},
    command::CommandState,
    common::Percent,
    metadata::PodMetadata,
    reason::{Reason, WakeReason},
    status::RevisionRef,
    strategy::{HeaderRoute, MirrorRoute},
};

pub use super::{stickiness::Stickiness, target::Target};

/// The outcome of one tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// The next status. It never claims what was not done: it speaks of what was seen.
    pub status: RolloutStatus,
    /// What must be so, in the order it should be written.
    pub actions: Vec<Action>,
    /// When to look again without an outside event.
    pub wake: Option<Wake>,
    /// Transitions, for events and logs.
    pub notices: Vec<Notice>,
}

/// When to look again, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wake {
    /// The time.
    pub at: Timestamp,
    /// Why.
    pub reason: WakeReason,
}

/// A transition worth an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether it is a warning.
    pub warning: bool,
    /// A CamelCase reason.
    pub reason: Reason,
    /// A human-readable message.
    pub message: String,
}

/// What the routes should say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteIntent {
    /// The canary target's share; the stable target has the rest.
    pub canary: Percent,
    /// Requests that go to the canary target by what they carry, in order, names unique, each with a match.
    pub headers: Vec<HeaderRoute>,
    /// Requests that are copied to the canary target; above 0 %.
    pub mirror: Option<MirrorRoute>,
    /// Users stay on one version.
    pub sticky: Option<Stickiness>,
}

impl RouteIntent {
    /// A split by weight alone.
    pub fn weight(canary: Percent) -> Self {
        RouteIntent { canary, ..RouteIntent::default() }
    }

    /// Whether no request reaches the canary target.
    pub fn is_nothing(&self) -> bool {
        self.canary.is_zero() && self.is_weight_alone()
    }

    /// Whether nothing leads to the canary target beside the weight.
    pub fn is_weight_alone(&self) -> bool {
        self.headers.is_empty() && self.mirror.is_none() && self.sticky.is_none()
    }
}

/// What a run that decides an A/B test has to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Goal {
    /// The share of the users that the candidate is to get, where they are drawn by weight.
    pub candidate_share: Option<Percent>,
}

/// A run that should exist.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunRequest {
    /// The object's name.
    pub name: String,
    /// `uid/revision/step/attempt`: the same key never starts two runs.
    pub key: String,
    /// Whose metrics.
    pub templates: Vec<TemplateRef>,
    /// Values for arguments.
    pub args: Vec<Arg>,
    /// Goes on until it is stopped.
    pub background: bool,
    /// The revision id of the canary arm.
    pub canary: String,
    /// The revision id of the stable arm.
    pub stable: String,
    /// Counts settled changes of weight.
    pub epoch: u32,
    /// Whether the stable side sees no comparable traffic.
    pub one_armed: bool,
    /// The canary's planned share of the requests in this epoch, where it can be counted.
    pub share: Option<Percent>,
    /// It decides an A/B test.
    pub goal: Option<Goal>,
}

impl RunRequest {
    /// The share of users planned for the candidate of an A/B test.
    pub fn candidate_share(&self) -> Option<Percent> {
        self.goal.and_then(|goal| goal.candidate_share)
    }
}

/// A question to a gate's endpoint (rule S16).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GateQuestion {
    /// `uid/revision/step/attempt`: after a yes it is not asked again.
    pub key: String,
    /// When the step began: a step that begins anew asks anew.
    pub since: Timestamp,
    /// How often it was asked before in this step.
    pub number: u32,
    /// The gate's name.
    pub gate: String,
    /// Whom to ask.
    pub url: String,
    /// The Rollout's name.
    pub rollout: String,
    /// The revision that is being released.
    pub revision: RevisionRef,
    /// The images of its containers.
    pub images: Vec<String>,
    /// The step's index, from 0.
    pub step: u32,
    /// The attempt.
    pub attempt: u32,
}

/// A desired state. Carrying one out twice changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A ReplicaSet for this revision exists, made from the wanted template, and bears this number.
    EnsureRevision {
        /// The revision id.
        id: String,
        /// Its number.
        number: u64,
        /// How many pods it asks for when it is made; one that exists keeps its count.
        replicas: u32,
    },
    /// The revision's ReplicaSet asks for so many pods.
    EnsureReplicas {
        /// The revision id.
        id: String,
        /// How many pods.
        replicas: u32,
    },
    /// The revision's pods, those that are there and those to come, carry this for their role, and nothing else that was
    /// ever added for one.
    EnsureMetadata {
        /// The revision id.
        id: String,
        /// Labels and annotations.
        metadata: PodMetadata,
    },
    /// The target selects this revision.
    EnsureTarget {
        /// Which target.
        target: Target,
        /// The revision id.
        revision: String,
    },
    /// All routers' objects say this: one write per object, all of them even if one fails.
    EnsureRoute(RouteIntent),
    /// The referenced Deployment is held still and asks for so many pods of its own.
    EnsureWorkload {
        /// How many pods; `None` leaves them.
        replicas: Option<u32>,
        /// Whether its own controller is held still.
        paused: bool,
    },
    /// This gate has been asked, or is being asked.
    AskGate(GateQuestion),
    /// This AnalysisRun exists, with this epoch.
    EnsureRun(RunRequest),
    /// This AnalysisRun could be made: its templates are there, and its arguments fit. Nothing is written.
    CheckRun(RunRequest),
    /// This AnalysisRun has ended.
    StopRun {
        /// Its name.
        name: String,
    },
    /// This command has been answered.
    AnswerCommand {
        /// The object's name.
        name: String,
        /// What became of it.
        state: CommandState,
        /// Why.
        message: String,
    },
    /// This pod goes, as far as its disruption budget allows (rule S83).
    Evict {
        /// Its name.
        pod: String,
        /// Its uid: another pod of this name stays.
        uid: String,
    },
    /// This old revision's ReplicaSet is gone.
    RemoveRevision {
        /// The revision id.
        id: String,
    },
    /// Objects are restored as they were found, then the finalizer is removed (rule S40).
    Restore(Restore),
}

/// The stages of restoring objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restore {
    /// The Deployment gets stable's template, is released and scaled to N.
    Workload,
    /// Routes and selectors are as the user had them.
    Objects,
    /// The same for objects that the spec no longer references, while the Rollout stays (rule S20).
    Unreferenced,
    /// Our finalizer is removed.
    Finalizer,
}
