//! Traffic routing with a kind that Glidepath does not know: the Rollout says where its weights are.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Traffic routing with any kind of object that holds weights: a preset, or what the fields say. A field that is set
/// overrides that of the preset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "has(self.preset) || (has(self.apiVersion) && has(self.kind) && (has(self.backends) || has(self.fields)))",
    "set a preset, or apiVersion, kind and one of backends and fields"
))]
#[x_kube(validation = ("!(has(self.backends) && has(self.fields))", "set one of backends and fields"))]
pub struct CustomTraffic {
    /// A mesh or gateway whose kind and paths Glidepath knows: `apisix`, `contour`, `gloo`, `gloo-upstream-group`, `kuma` or
    /// `kuma-labels`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub preset: Option<String>,
    /// API group and version of the object, for example `mesh.example.com/v1`. Groups of Kubernetes itself, of Glidepath and
    /// of the other routers are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 317))]
    pub api_version: Option<String>,
    /// Its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub kind: Option<String>,
    /// The resource of the kind in the API's paths, as `kubectl api-resources` lists it. Default: the regular plural of the
    /// kind in lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub plural: Option<String>,
    /// The name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace. Default: the Rollout's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// Lists of backends in which one entry names the stable Service and one the canary Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backends: Option<CustomBackends>,
    /// Fields that hold the weights of the object itself, for a kind without a list of backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<CustomFields>,
    /// How header routes are written: each is a copy of a rule, one of the entries of the last list in the path of `backends`,
    /// before that rule. Default: those of the preset; header routes are refused where there is neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<CustomHeaders>,
    /// What all weights add up to, for a kind that requires a fixed sum: 100, 1000 or 10000. Default: 100 with `fields`;
    /// with `backends` weights are relative and have no fixed sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub total: Option<u32>,
    /// A CEL condition on `object`, of which it sees `metadata.generation` and `status`: whether the mesh uses what was
    /// written, for example `object.status.observedGeneration == object.metadata.generation`. The step waits until it is true.
    /// Default: the weights count once they are written and the mesh has had time to settle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub verified: Option<String>,
}

/// Where the lists of backends are and what an entry looks like. A path is field names joined by dots; `[*]` behind a list
/// means each of its entries and `[name=checkout]` those whose field has this text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomBackends {
    /// The path of the lists, for example `spec.routes[*].services`. Lists that name neither Service stay as they are.
    #[schemars(length(min = 1, max = 512))]
    pub path: String,
    /// The field of an entry that names the Service, for example `name`, `destination.ref.name` or
    /// `labels['example.com/name']`.
    #[schemars(length(min = 1, max = 253))]
    pub service: String,
    /// What that field says for a Service, if it is not its name: `{service}` and `{namespace}` stand for the name and the
    /// namespace, as in `{service}_{namespace}_svc_8080`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub service_value: Option<String>,
    /// The field of an entry that names the Service's namespace. An entry without it means the namespace of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub namespace: Option<String>,
    /// The field of an entry that holds its weight, a whole number. Default `weight`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub weight: Option<String>,
    /// The weight of an entry that has none. Default: such an entry is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    pub default_weight: Option<u32>,
}

/// The fields that hold the weights. Each path leads to one field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomFields {
    /// The path of the canary's weight, for example `spec.canaryWeight` or `spec.routes[name=main].canary.weight`.
    #[schemars(length(min = 1, max = 512))]
    pub canary: String,
    /// The path of the stable weight, which gets the rest of the total. Default: there is no such field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub stable: Option<String>,
}

/// How a rule says which headers a request must have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomHeaders {
    /// The field of a rule that lists alternatives. Default: a rule has none, and is one itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub any_of: Option<String>,
    /// The field of an alternative that lists what all must match.
    #[schemars(length(min = 1, max = 253))]
    pub all_of: String,
    /// An entry of that list for a header with a value, for example `{name: "{name}", exact: "{value}"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "raw_object")]
    pub exact: Option<Value>,
    /// The same for the beginning of a value. Default: by `regex`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "raw_object")]
    pub prefix: Option<Value>,
    /// The same for an RE2 regular expression, by which cookies are matched, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "raw_object")]
    pub regex: Option<Value>,
    /// The field of a rule that holds its name, where names are unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub rule_name: Option<String>,
    /// For a mesh that orders rules by how specific they are: the fields that it compares before it counts headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub precedence: Vec<String>,
}

fn raw_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}
