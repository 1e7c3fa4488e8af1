//! Traffic routing with ingress-nginx: a canary Ingress next to the user's.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The prefix of ingress-nginx' annotations, where its controller was not started with another.
pub const ANNOTATION_PREFIX: &str = "nginx.ingress.kubernetes.io";

/// Traffic routing with ingress-nginx.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NginxTraffic {
    /// The Ingress, in the Rollout's namespace, whose paths lead to the stable Service. It is only read: Glidepath makes
    /// and deletes a canary Ingress `<rollout>-<ingress>-canary` next to it.
    #[schemars(length(min = 1, max = 180))]
    pub ingress: String,
    /// The prefix of the annotations, if ingress-nginx runs with another `--annotations-prefix`. Default
    /// `nginx.ingress.kubernetes.io`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub annotation_prefix: Option<String>,
}

impl NginxTraffic {
    /// The prefix of the annotations.
    pub fn annotation_prefix(&self) -> &str {
        self.annotation_prefix.as_deref().unwrap_or(ANNOTATION_PREFIX)
    }
}
