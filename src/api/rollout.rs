//! The Rollout: a workload and its release strategy.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    analysis::{Arg, Guards, Prometheus, TemplateRef},
    common::{Delay, HumanDuration},
    metadata::PodMetadata,
    objects::{Services, SwitchedServices, UserObjects},
    pod_count::MOST_PODS,
    status::RolloutStatus,
    strategy::{BlueGreenStrategy, Judged, Strategy},
    traffic::TrafficRouter,
};

/// A workload and its release strategy.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glidepath.dev",
    version = "v1alpha1",
    kind = "Rollout",
    namespaced,
    derive = "PartialEq",
    shortname = "gro",
    category = "glidepath",
    category = "all",
    status = "RolloutStatus",
    doc = "A workload and its release strategy.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Step", type_ = "string", json_path = ".status.stepShown"),
    printcolumn(name = "Weight", type_ = "string", json_path = ".status.weightShown"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.readyShown"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    // An object that was made before this rule has a status, and must still be deletable.
    validation = (
        "has(self.status) || size(self.metadata.name) <= 63",
        "metadata.name must be no more than 63 characters: it is the value of the label glidepath.dev/rollout"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.workloadRef) != has(self.template)", "set either workloadRef, or selector and template"))]
#[x_kube(validation = ("has(self.template) == has(self.selector)", "selector and template must be set together"))]
#[x_kube(validation = (
    "!has(oldSelf.workloadRef) || (has(self.workloadRef) && self.workloadRef.name == oldSelf.workloadRef.name)",
    "workloadRef is immutable: delete the Rollout, which restores the Deployment, and create it again"
))]
#[x_kube(validation = (
    "has(self.class) == has(oldSelf.class) && (!has(self.class) || self.class == oldSelf.class)",
    "class is immutable: two controllers would reconcile the Rollout at once; create it again"
))]
#[x_kube(validation = ("!has(oldSelf.selector) || !has(self.selector) || self.selector == oldSelf.selector", "selector is immutable"))]
#[x_kube(validation = (
    "!has(self.services) || !has(self.services.root) || size(self.services.root) <= 56 || !has(self.traffic) || \
     size(self.traffic) == 0 || (has(self.services.stable) && has(self.services.canary)) || has(self.strategy.blueGreen) || \
     self.traffic.exists(t, has(t.consul) || (has(t.istio) && has(t.istio.destinationRule)))",
    "services.root must be no more than 56 characters because the stable and canary Services are named after it"
))]
pub struct RolloutSpec {
    /// The installation that reconciles this Rollout: the controller that runs with this value of `--class`. If absent,
    /// the one without a class. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub class: Option<String>,
    /// The desired number of pods. Leave it out when an autoscaler owns it through the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = MOST_PODS))]
    pub replicas: Option<u32>,
    /// The Deployment whose pod template is released. It is kept paused while the Rollout exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_ref: Option<WorkloadRef>,
    /// Label selector for the pods of the Rollout, as in a Deployment. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// The pod template, as in a Deployment. It is stored exactly as written: its hash names the revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "raw_object")]
    pub template: Option<serde_json::Value>,
    /// Minimum number of seconds for which a pod must be ready to be considered available. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub min_ready_seconds: Option<u32>,
    /// The number of old ReplicaSets to keep for `undo`. Default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub revision_history_limit: Option<u32>,
    /// Maximum duration of a wait for pods, routes or endpoints before `onFailure` applies. Default 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_deadline: Option<HumanDuration>,
    /// Action on failure: `Rollback` (default), or `Hold`, which suspends the release at its current weight and waits
    /// for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// A rollback to one of the last promoted revisions skips steps and analysis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_window: Option<RollbackWindow>,
    /// Action when an analysis reaches no verdict in time. Default Hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_inconclusive: Option<OnInconclusive>,
    /// When a change of weight counts as complete. Default Settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// While true, no step completes and nothing is promoted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// The Services of the workload. Required with a mesh that splits by Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Services>,
    /// The routers that split traffic, written in this order. If absent, the ratio of replicas approximates the weight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub traffic: Vec<TrafficRouter>,
    /// How long a route must be observed as written before it counts as settled. Default 10s with Istio, else 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<HumanDuration>,
    /// How long an old revision keeps its pods after its traffic has shifted away and settled. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down_delay: Option<HumanDuration>,
    /// Like scaleDownDelay, for the new revision after an abort; `never` keeps its pods for debugging. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_scale_down_delay: Option<Delay>,
    /// Labels and annotations on the new version's pods until it is stable or they are deleted. A change creates no
    /// revision and restarts no pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_metadata: Option<PodMetadata>,
    /// Labels and annotations on the stable version's pods while it is stable, including those of the first deploy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_metadata: Option<PodMetadata>,
    /// The background analysis, which runs from the first step that sends traffic to the end of the rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<BackgroundAnalysis>,
    /// The release strategy.
    pub strategy: Strategy,
}

/// A reference to a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.apiVersion == 'apps/v1' && self.kind == 'Deployment'", "workloadRef must reference an apps/v1 Deployment"))]
pub struct WorkloadRef {
    /// `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// How the Deployment's own pods are scaled down once the Rollout has its own. Default Progressively.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<ScaleDown>,
}

/// How an adopted Deployment's own pods are scaled down once the Rollout has its own. Default Progressively.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScaleDown {
    /// They are not scaled down.
    Never,
    /// All at once when the Rollout's pods are available.
    OnSuccess,
    /// Step by step as the Rollout's pods become available.
    #[default]
    Progressively,
}

/// The background analysis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "has(self.prometheus) || has(self.guards) || has(self.successfulRunHistoryLimit) || has(self.unsuccessfulRunHistoryLimit) || \
     (has(self.templates) && size(self.templates) > 0)",
    "set at least one template"
))]
pub struct BackgroundAnalysis {
    /// The templates whose metrics are judged together. Blue-green and A/B strategies set their templates in the
    /// strategy instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub templates: Vec<TemplateRef>,
    /// Values for the arguments of the templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub args: Vec<Arg>,
    /// The index (from 0) of the step at which it starts. Default: the first step that sends traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting_step: Option<u32>,
    /// The Prometheus server to query. Default: the controller's `--prometheus`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// Limits on OOM kills and restarts of the new version's containers. They hold for every release with a stable version
    /// to return to, with or without templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guards: Option<Guards>,
    /// The number of finished AnalysisRuns to keep that did not fail. Default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000))]
    pub successful_run_history_limit: Option<u32>,
    /// The number of finished AnalysisRuns to keep that failed or were inconclusive. Default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000))]
    pub unsuccessful_run_history_limit: Option<u32>,
}

impl RolloutSpec {
    /// The maximum duration of a wait for pods, routes or endpoints before `onFailure` applies.
    pub fn progress_deadline(&self) -> HumanDuration {
        self.progress_deadline.unwrap_or(HumanDuration::secs(600))
    }

    /// Whether a mesh splits the traffic, as opposed to the ratio of replicas.
    pub fn has_mesh(&self) -> bool {
        !self.traffic.is_empty()
    }

    /// The background analysis: the spec's, or an A/B test's guardrails. A blue-green release has none.
    pub fn background(&self) -> Option<Judged> {
        if let Some(test) = &self.strategy.ab_test {
            return test.guardrails.clone();
        }
        // A section that sets an address or history limits for the analyses of the steps has no templates.
        let analysis = self.analysis.as_ref().filter(|analysis| !analysis.templates.is_empty())?;
        if self.strategy.blue_green.is_some() {
            return None;
        }
        Some(Judged { templates: analysis.templates.clone(), args: analysis.args.clone() })
    }

    /// What the containers of the new version may do before the release fails.
    pub fn guards(&self) -> Guards {
        self.analysis.as_ref().and_then(|analysis| analysis.guards.clone()).unwrap_or_default()
    }

    /// The user's objects that this spec writes to (rule S20).
    pub fn objects(&self) -> UserObjects {
        let blue_green = self.strategy.blue_green.as_ref().map(|strategy| SwitchedServices {
            active: strategy.active_service.clone(),
            preview: strategy.preview_service.clone(),
        });
        UserObjects { services: self.services.clone(), traffic: self.traffic.clone(), blue_green }
    }

    /// This spec with the objects that were last written to, if it names others now (rule S20).
    pub fn on_old_objects(&self, status: &RolloutStatus) -> Option<RolloutSpec> {
        let old = status.memory.objects.as_ref().filter(|old| !old.are_those_of(&self.objects()))?;
        Some(self.with_objects(old))
    }

    /// The object references of this spec, replaced by these. It has no steps.
    fn with_objects(&self, objects: &UserObjects) -> RolloutSpec {
        let strategy = match &objects.blue_green {
            Some(services) => Strategy {
                blue_green: Some(BlueGreenStrategy {
                    active_service: services.active.clone(),
                    preview_service: services.preview.clone(),
                    ..BlueGreenStrategy::default()
                }),
                ..Strategy::default()
            },
            None => Strategy { canary: Some(self.strategy.canary.clone().unwrap_or_default()), ..Strategy::default() },
        };
        RolloutSpec { services: objects.services.clone(), traffic: objects.traffic.clone(), strategy, ..self.clone() }
    }
}

/// How far back a fast rollback goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackWindow {
    /// The number of revisions promoted before the stable one.
    #[schemars(range(min = 1, max = 20))]
    pub revisions: u32,
}

/// Action on failure: `Rollback` (default), or `Hold`, which suspends the release at its current weight and waits for an
/// operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnFailure {
    /// Roll back: all traffic shifts to stable.
    #[default]
    Rollback,
    /// Suspend the release at its current weight until an operator decides.
    Hold,
}

/// When a change of weight counts as complete: `settled` (default) once the routes have been observed as written for
/// `settle`, or `observed` once the measured share of requests matches, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verification {
    /// When the routes have been observed as written for `settle`.
    #[default]
    Settled,
    /// When, in addition, the measured share of requests matches the weight. Requires a mesh and a background analysis.
    Observed,
}

/// Action when an analysis reaches no verdict in time: `Hold` (default) waits for an operator, `Abort` rolls back,
/// `Promote` continues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnInconclusive {
    /// Suspend the release at its current weight until an operator decides.
    #[default]
    Hold,
    /// Roll back: all traffic shifts to stable.
    Abort,
    /// Continue as if the analysis had passed.
    Promote,
}

fn raw_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}
