//! Metrics that a strategy names to be judged.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::analysis::{Arg, TemplateRef};

/// An analysis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("size(self.templates) > 0", "set at least one template"))]
pub struct Judged {
    /// The templates whose metrics are judged together.
    #[schemars(length(max = 16))]
    pub templates: Vec<TemplateRef>,
    /// Values for the arguments of the templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub args: Vec<Arg>,
}
