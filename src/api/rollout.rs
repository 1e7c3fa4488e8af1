//! The Rollout: a workload and how its next version is released.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    analysis::{Arg, Prometheus, TemplateRef},
    common::{Delay, HumanDuration},
    metadata::PodMetadata,
    pod_count::MOST_PODS,
    status::RolloutStatus,
    strategy::{BlueGreenStrategy, Judged, Strategy},
    traffic::TrafficRouter,
};

/// A workload and how its next version is released.
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
    doc = "A workload and how its next version is released, step by step.",
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
#[x_kube(validation = ("has(self.workloadRef) != has(self.template)", "give either workloadRef, or selector and template"))]
#[x_kube(validation = ("has(self.template) == has(self.selector)", "selector and template go together"))]
#[x_kube(validation = (
    "!has(oldSelf.workloadRef) || (has(self.workloadRef) && self.workloadRef.name == oldSelf.workloadRef.name)",
    "workloadRef is immutable: delete the Rollout, which gives the Deployment back, and create it anew"
))]
#[x_kube(validation = (
    "has(self.class) == has(oldSelf.class) && (!has(self.class) || self.class == oldSelf.class)",
    "class is immutable: two controllers would act on the Rollout at once; create it anew"
))]
#[x_kube(validation = ("!has(oldSelf.selector) || !has(self.selector) || self.selector == oldSelf.selector", "selector is immutable"))]
#[x_kube(validation = (
    "!has(self.services) || !has(self.services.root) || size(self.services.root) <= 56 || !has(self.traffic) || \
     size(self.traffic) == 0 || (has(self.services.stable) && has(self.services.canary)) || has(self.strategy.blueGreen) || \
     self.traffic.exists(t, has(t.istio) && has(t.istio.destinationRule))",
    "services.root must be no more than 56 characters where the stable and canary Services are named after it"
))]
pub struct RolloutSpec {
    /// The installation that acts on it: the controller that runs with `--class` and this name. Absent: the one without a
    /// class. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub class: Option<String>,
    /// How many pods are wanted. Absent when an autoscaler owns it through the scale subresource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = MOST_PODS))]
    pub replicas: Option<u32>,
    /// The Deployment whose pod template is released. Its own controller is held still meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_ref: Option<WorkloadRef>,
    /// Which pods belong to the Rollout, as in a Deployment. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// The pod template, as in a Deployment. Kept exactly as written: its hash names the revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "raw_object")]
    pub template: Option<serde_json::Value>,
    /// How long a pod must be ready before it counts as available, in seconds. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub min_ready_seconds: Option<u32>,
    /// How many old ReplicaSets are kept for `undo`. Default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub revision_history_limit: Option<u32>,
    /// How long one wait for pods, routes or endpoints may take before `onFailure` applies. Default 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_deadline: Option<HumanDuration>,
    /// What a failure does: `Rollback` (default) or `Hold`, which stops, keeps the traffic as it is and waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// Going back to one of the last promoted revisions skips steps and analysis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_window: Option<RollbackWindow>,
    /// What no verdict in time does. Default Hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_inconclusive: Option<OnInconclusive>,
    /// When a weight counts as in force. Default Settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// Completes no step and promotes nothing while true.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// The Services of the workload. Needed with a mesh that splits by Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Services>,
    /// The routers that split traffic, written in order. Absent: the ratio of replicas is the split.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub traffic: Vec<TrafficRouter>,
    /// How long an accepted route must stand before it counts as settled. Default 10s with Istio, else 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<HumanDuration>,
    /// How long an old revision keeps its pods after its last traffic is settled away. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down_delay: Option<HumanDuration>,
    /// The same after an abort; `never` keeps the pods for debugging. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_scale_down_delay: Option<Delay>,
    /// What pods of the new version carry until it is stable or they go. It makes no revision and restarts nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_metadata: Option<PodMetadata>,
    /// What pods of the stable version carry as long as it is that, also those of the first deploy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_metadata: Option<PodMetadata>,
    /// The analysis that runs from the first step that sends traffic to the end of the rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<BackgroundAnalysis>,
    /// How the next version is released.
    pub strategy: Strategy,
}

/// A Deployment by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.apiVersion == 'apps/v1' && self.kind == 'Deployment'", "workloadRef names an apps/v1 Deployment"))]
pub struct WorkloadRef {
    /// `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// How the Deployment's own pods go once the Rollout has its own. Default Progressively.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<ScaleDown>,
}

/// How the pods of an adopted Deployment go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScaleDown {
    /// They stay.
    Never,
    /// All at once when our own pods are available.
    OnSuccess,
    /// One by one as our own become available.
    #[default]
    Progressively,
}

/// The Services of the workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Services {
    /// The Service that callers use. It exists already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub root: Option<String>,
    /// The Service of the stable version; created and owned when absent. Default `<root>-stable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub stable: Option<String>,
    /// The Service of the new version; created and owned when absent. Default `<root>-canary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub canary: Option<String>,
}

/// The analysis behind the steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "has(self.prometheus) || has(self.successfulRunHistoryLimit) || has(self.unsuccessfulRunHistoryLimit) || \
     (has(self.templates) && size(self.templates) > 0)",
    "name at least one template"
))]
pub struct BackgroundAnalysis {
    /// The templates whose metrics are judged together. A blue-green release and an A/B test name theirs in the strategy and
    /// have none here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub templates: Vec<TemplateRef>,
    /// Values for the templates' arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub args: Vec<Arg>,
    /// The index (from 0) of the step it starts with. Default: the first that sends traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting_step: Option<u32>,
    /// The Prometheus of these metrics. Default: the controller's `--prometheus`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// How many ended AnalysisRuns of this Rollout are kept that did not fail. Default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000))]
    pub successful_run_history_limit: Option<u32>,
    /// How many are kept that failed or were inconclusive. Default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000))]
    pub unsuccessful_run_history_limit: Option<u32>,
}

/// The user's objects that a Rollout writes to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UserObjects {
    /// As in the spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<Services>,
    /// As in the spec.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub traffic: Vec<TrafficRouter>,
    /// The Services of a blue-green strategy, in place of which a canary has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<SwitchedServices>,
}

/// The Services of a blue-green strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SwitchedServices {
    /// As in the strategy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// As in the strategy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<String>,
}

impl RolloutSpec {
    /// Whether a mesh splits the traffic, as opposed to the ratio of replicas.
    pub fn has_mesh(&self) -> bool {
        !self.traffic.is_empty()
    }

    /// The analysis behind the steps: the file's, or an A/B test's guardrails. A blue-green release has none.
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

    /// The user's objects that this spec writes to (rule S20).
    pub fn objects(&self) -> UserObjects {
        let blue_green = self.strategy.blue_green.as_ref().map(|strategy| SwitchedServices {
            active: strategy.active_service.clone(),
            preview: strategy.preview_service.clone(),
        });
        UserObjects { services: self.services.clone(), traffic: self.traffic.clone(), blue_green }
    }

    /// This spec as if it still wrote to the objects that were written to last, where it names others now (rule S20).
    pub fn on_old_objects(&self, status: &RolloutStatus) -> Option<RolloutSpec> {
        let old = status.memory.objects.as_ref().filter(|old| **old != self.objects())?;
        Some(self.with_objects(old))
    }

    /// This spec as far as objects go, if it still wrote to these. It has no steps.
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

/// How far back the short way goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackWindow {
    /// So many of the revisions that were promoted before the stable one.
    #[schemars(range(min = 1, max = 20))]
    pub revisions: u32,
}

/// What a failure does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnFailure {
    /// All traffic returns to stable.
    #[default]
    Rollback,
    /// Everything stays as it is, and a person decides.
    Hold,
}

/// When a weight counts as in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verification {
    /// When the routes say so and have for as long as `settle`.
    #[default]
    Settled,
    /// When requests were counted to fall that way, too: by the background analysis, in a mesh.
    Observed,
}

/// What no verdict in time does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnInconclusive {
    /// Everything stays as it is, and a person decides.
    #[default]
    Hold,
    /// All traffic returns to stable.
    Abort,
    /// The wait ends as if it had passed.
    Promote,
}

fn raw_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}
