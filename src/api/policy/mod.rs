//! MeshPolicy: what surrounds a release (security, resilience, egress, telemetry), in one file for every mesh.
//!
//! One file per group of sections. A field of a section becomes a field of the mesh or is refused with the reason: which of
//! the two is in the table of each mesh, under `src/mesh/`.

mod authorization;
mod change;
mod mtls;
mod resilience;
mod state;
mod status;
mod surroundings;
mod target;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

pub use authorization::{AccessRule, Authorization, GrpcMethod, Jwt, Operation, Source};
pub use change::{Change, OnRejection, Wave};
pub use mtls::{Mtls, MtlsMode, TlsVersion};
pub use resilience::{
    Algorithm, Breaker, BreakerPreset, Connections, FailoverRule, Hash, HttpCookie, KeepAlive, LoadBalancer, RateLimit,
    Retries, RetryOn, RetryPreset, Timeouts,
};
pub use state::{Baking, Held, HeldAt, HoldReason, InWave, Phase, PolicyState, RevertReason, Reverted, Since, Until};
pub use status::{CallerOnRecord, MeshPolicyStatus};
pub use surroundings::{AccessLog, Egress, EgressDefault, ExternalHost, Telemetry, TelemetryTag};
pub use target::PolicyTarget;

/// Security, resilience, egress and telemetry of one target.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glidepath.dev",
    version = "v1alpha1",
    kind = "MeshPolicy",
    namespaced,
    derive = "PartialEq",
    shortname = "gmp",
    category = "glidepath",
    status = "MeshPolicyStatus",
    doc = "Security, resilience, egress and telemetry of a Service, a workload, a namespace or a mesh, for any mesh.",
    printcolumn(name = "Mesh", type_ = "string", json_path = ".status.mesh"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct MeshPolicySpec {
    /// What the policy is for. Of two policies for one section the one with the narrower target applies.
    pub target: PolicyTarget,
    /// The mesh that gets the objects, for example `istio`. If absent, the one that is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub mesh: Option<String>,
    /// The profile that gives the fields that this policy leaves out: `dev`, `staging` or `prod`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub profile: Option<String>,
    /// Fields that may be missing on a mesh, by path within the spec, for example `loadBalancer.warmUp`. Without this, a field
    /// that the mesh does not have refuses the whole policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    pub optional: Vec<String>,
    /// Mutual TLS of the target's pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtls: Option<Mtls>,
    /// Who may call the target, and for what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// Issuers of JSON Web Tokens whose tokens are checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub jwt: Vec<Jwt>,
    /// Limits and options of connections to the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<Connections>,
    /// The circuit breaker: when a pod of the target is ejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
    /// How requests are distributed over the target's pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
    /// Which failed requests are sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// How long requests and connections may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
    /// How many requests each of the target's pods takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Which hosts outside of the mesh the target may call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Egress>,
    /// Which locality takes over when one has no healthy pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub failover: Vec<FailoverRule>,
    /// Traces and access logs of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    /// The Services that call the target, for meshes that keep limits with the caller. If absent, those that were seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    pub callers: Vec<String>,
    /// How a change of this policy is checked, rolled out and reverted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
}
