//! What `-o json` and `-o yaml` of the inspecting verbs print: an envelope, and a shape for each verb.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Serialize;
use serde_json::Value;

use crate::api::Rollout;

/// The version of the shapes. Fields may be added to it; removing or renaming one needs another version.
pub const API_VERSION: &str = "glidepath.dev/cli/v1";

/// What a verb prints of one Rollout.
pub trait Shape: Serialize + JsonSchema {
    /// Its kind.
    const KIND: &'static str;
}

/// A shape in its envelope.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a, T> {
    api_version: &'static str,
    kind: &'static str,
    name: &'a str,
    namespace: &'a str,
    #[serde(flatten)]
    shape: &'a T,
}

/// The document of a Rollout.
pub fn document<T: Shape>(rollout: &Rollout, shape: &T) -> Result<Value, serde_json::Error> {
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let namespace = rollout.metadata.namespace.as_deref().unwrap_or("default");
    serde_json::to_value(Document { api_version: API_VERSION, kind: T::KIND, name, namespace, shape })
}

/// The JSON schema of a shape's own fields, for the reference.
pub fn schema<T: Shape>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}
