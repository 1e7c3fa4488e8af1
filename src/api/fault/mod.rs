//! MeshFault: delays and errors that a Service's pods answer with for a while, and what guards them.
//!
//! Immutable: one object is one experiment, its uid is the fault's id, and another experiment is another object. The fault ends
//! by itself at a time that is fixed when it begins (rule F1).

mod state;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use state::{
    Active, EndReason, Ended, Evidence, FaultPhase, FaultResult, FaultState, MeshFaultStatus, Pending, PendingReason,
};

use super::{
    analysis::TemplateRef,
    common::{HumanDuration, Percent},
};

/// The label on objects that a fault wrote: its name.
pub const FAULT_LABEL: &str = "glidepath.dev/fault";
/// The label of a namespace whose pods may have faults, with the value [`ALLOWED`].
pub const FAULTS_LABEL: &str = "glidepath.dev/faults";
/// The value of [`FAULTS_LABEL`] that allows them.
pub const ALLOWED: &str = "allowed";
/// The longest fault where the controller is not configured otherwise.
pub const LONGEST: HumanDuration = HumanDuration::secs(3600);

/// A percentage above 0, as a number or a string.
const SOME: &str = r"^(100(\.0{1,2})?|[1-9][0-9]?(\.[0-9]{1,2})?|0?\.(0[1-9]|[1-9][0-9]?)) ?%?$";

/// Delays and errors of a Service's pods, for a while.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glidepath.dev",
    version = "v1alpha1",
    kind = "MeshFault",
    namespaced,
    derive = "PartialEq",
    shortname = "gmf",
    category = "glidepath",
    status = "MeshFaultStatus",
    doc = "Delays and errors of a Service's pods for a while, to see whether its callers survive them. They end by themselves.",
    printcolumn(name = "Service", type_ = "string", json_path = ".spec.target.service"),
    printcolumn(name = "Revision", type_ = "string", json_path = ".spec.target.revision"),
    printcolumn(name = "For", type_ = "string", json_path = ".spec.duration"),
    printcolumn(name = "Waits-For", type_ = "string", json_path = ".status.state.pending.because"),
    printcolumn(name = "Until", type_ = "string", json_path = ".status.state.active.until"),
    printcolumn(name = "Result", type_ = "string", json_path = ".status.state.ended.result"),
    printcolumn(name = "Because", type_ = "string", json_path = ".status.state.ended.because", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self == oldSelf", "a fault's spec never changes; create another fault"))]
#[x_kube(validation = ("has(self.delay) || has(self.abort)", "set delay, abort or both"))]
pub struct MeshFaultSpec {
    /// Whose requests are delayed or aborted.
    pub target: FaultTarget,
    /// The mesh that gets the objects, for example `istio`. If absent, the one that is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub mesh: Option<String>,
    /// Requests that wait before they reach the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<FaultDelay>,
    /// Requests that are answered with an error and do not reach the pod. Chosen independently of those that wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<FaultAbort>,
    /// How long the fault takes, from when it begins; at most 1h unless the controller allows more.
    pub duration: HumanDuration,
    /// What ends the fault early.
    pub guard: FaultGuard,
}

/// Pods of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FaultTarget {
    /// A Service of the fault's namespace.
    #[schemars(length(min = 1, max = 63))]
    pub service: String,
    /// Which of its pods: `any` (default), or those of a Rollout's `stable` or `canary` revision.
    #[serde(default)]
    pub revision: FaultRevision,
}

/// Which pods of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FaultRevision {
    /// All of them.
    #[default]
    Any,
    /// Those of the Rollout's stable revision.
    Stable,
    /// Those of the revision that the Rollout releases.
    Canary,
}

/// Requests that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FaultDelay {
    /// How long each of them waits: from 1ms to 5m.
    pub fixed: HumanDuration,
    /// The share of requests, above 0 %.
    #[schemars(extend("minimum" = 0, "exclusiveMinimum" = true, "pattern" = SOME))]
    pub share: Percent,
}

/// Requests that fail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.status) != has(self.grpc)", "set either status or grpc"))]
pub struct FaultAbort {
    /// The HTTP status that they are answered with, 400 to 599.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 400, max = 599))]
    pub status: Option<u16>,
    /// The gRPC status that they are answered with, by name, for example `UNAVAILABLE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcStatus>,
    /// The share of requests, above 0 %.
    #[schemars(extend("minimum" = 0, "exclusiveMinimum" = true, "pattern" = SOME))]
    pub share: Percent,
}

/// The errors of gRPC. Source: grpc.io/docs/guides/status-codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GrpcStatus {
    /// The caller canceled the call.
    Cancelled = 1,
    /// An error of which nothing is known.
    Unknown = 2,
    /// An argument is wrong, whatever the state of the system.
    InvalidArgument = 3,
    /// The deadline is over.
    DeadlineExceeded = 4,
    /// What was asked for is not there.
    NotFound = 5,
    /// What was to be made is there.
    AlreadyExists = 6,
    /// The caller may not do it.
    PermissionDenied = 7,
    /// A quota or a resource is used up.
    ResourceExhausted = 8,
    /// The system is not in the state that the call needs.
    FailedPrecondition = 9,
    /// The call was aborted, for example by a conflict.
    Aborted = 10,
    /// The call went past the valid range.
    OutOfRange = 11,
    /// The method does not exist.
    Unimplemented = 12,
    /// An invariant is broken.
    Internal = 13,
    /// The service is unavailable at the moment.
    Unavailable = 14,
    /// Data is lost.
    DataLoss = 15,
    /// The caller is not authenticated.
    Unauthenticated = 16,
}

impl GrpcStatus {
    /// Its number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// What ends the fault early: an error budget that burns, templates that fail, or nothing, which must be written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
// A percentage has no type in the schema, so a rule in CEL cannot name it.
#[schemars(extend("oneOf" = [
    {"required": ["none"]},
    {"anyOf": [{"required": ["objective"]}, {"required": ["templates"]}]},
]))]
#[x_kube(validation = (
    "!has(self.none) || (!has(self.templates) && !has(self.of))",
    "none: true runs the fault unguarded; remove it, or the guard"
))]
pub struct FaultGuard {
    /// The objective whose error budget must not burn, for example `99%` of requests without an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<Percent>,
    /// The Services whose budget it is: those that call the target. Default: the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63)))]
    pub of: Vec<String>,
    /// AnalysisTemplates that must not fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub templates: Vec<TemplateRef>,
    /// `true`: nothing ends the fault early but `stop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [true]))]
    pub none: Option<bool>,
}

impl FaultGuard {
    /// Whether anything guards the fault.
    pub fn is_set(&self) -> bool {
        self.objective.is_some() || !self.templates.is_empty()
    }
}
