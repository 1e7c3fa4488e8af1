//! Reusable metrics with arguments, of a namespace or of the cluster, and how they are named.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{load::Load, metric::Metric, settings::Settings};

/// Valid argument names: only these are recognized in `{{args.NAME}}`.
pub const ARGUMENT_NAME: &str = "^[A-Za-z0-9_.-]+$";

/// Reusable metrics with arguments, for the Rollouts of one namespace.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glidepath.dev",
    version = "v1alpha1",
    kind = "AnalysisTemplate",
    namespaced,
    derive = "PartialEq",
    shortname = "gat",
    category = "glidepath",
    doc = "Reusable metrics and how they are judged, for the Rollouts of one namespace.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisTemplateSpec {
    /// Arguments, referenced as `{{args.name}}` in the metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub args: Vec<Arg>,
    /// The metrics. All are evaluated in every window.
    #[schemars(length(max = 32))]
    pub metrics: Vec<Metric>,
    /// Settings of the judges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// Synthetic traffic while the analysis runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
}

/// Reusable metrics with arguments, for the Rollouts of the whole cluster.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glidepath.dev",
    version = "v1alpha1",
    kind = "ClusterAnalysisTemplate",
    derive = "PartialEq",
    shortname = "gcat",
    category = "glidepath",
    doc = "Reusable metrics and how they are judged, for the Rollouts of the whole cluster.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterAnalysisTemplateSpec {
    /// Arguments, referenced as `{{args.name}}` in the metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub args: Vec<Arg>,
    /// The metrics. All are evaluated in every window.
    #[schemars(length(max = 32))]
    pub metrics: Vec<Metric>,
    /// Settings of the judges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// Synthetic traffic while the analysis runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
}

impl From<ClusterAnalysisTemplateSpec> for AnalysisTemplateSpec {
    fn from(spec: ClusterAnalysisTemplateSpec) -> Self {
        AnalysisTemplateSpec { args: spec.args, metrics: spec.metrics, settings: spec.settings, load: spec.load }
    }
}

/// A named value. In a template, the value is the default; an argument without a value is required.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Arg {
    /// The argument's name.
    #[schemars(length(min = 1, max = 63), regex(pattern = ARGUMENT_NAME))]
    pub name: String,
    /// Its value, substituted literally.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub value: Option<String>,
}

/// A reference to a template: an AnalysisTemplate in the namespace, or a ClusterAnalysisTemplate with `clusterScope`,
/// else the built-in one of this name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateRef {
    /// The template's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Whether the name refers to a ClusterAnalysisTemplate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cluster_scope: bool,
}
