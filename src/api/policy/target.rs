//! What a policy is for.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What a policy is for. Exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.service), has(self.workload), has(self.namespace), has(self.mesh)].exists_one(set, set)",
    "set one of service, workload, namespace and mesh"
))]
pub struct PolicyTarget {
    /// A Service of the policy's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub service: Option<String>,
    /// Pods of the policy's namespace, by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minProperties" = 1, "maxProperties" = 16))]
    pub workload: Option<BTreeMap<String, String>>,
    /// `true`: the policy's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [true]))]
    pub namespace: Option<bool>,
    /// `true`: the whole mesh. Only in the mesh's root namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [true]))]
    pub mesh: Option<bool>,
}
