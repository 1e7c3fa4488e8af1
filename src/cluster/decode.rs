//! Reads one of our own kinds out of a raw object.

use kube::core::{DynamicObject, ObjectMeta, TypeMeta};
use serde::Serialize;
use serde_json::Value;

use super::text::Text;

/// What `kubectl apply` remembers: the object once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object as it is kept.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: ObjectMeta,
    #[serde(flatten)]
    data: &'a Value,
}

/// The text of an object without `managedFields` and what `kubectl` remembers of it.
pub fn text(object: &DynamicObject) -> Text {
    let mut metadata = pruned(&object.metadata);
    metadata.annotations.as_mut().and_then(|annotations| annotations.remove(LAST_APPLIED));
    whole(object, metadata)
}

/// The text of an object without `managedFields`.
pub fn without_managed_fields(object: &DynamicObject) -> Text {
    whole(object, pruned(&object.metadata))
}

fn whole(object: &DynamicObject, metadata: ObjectMeta) -> Text {
    let (api_version, kind) = object.types.as_ref().map_or(("", ""), |types| (&types.api_version, &types.kind));
    Text::of(&Whole { api_version, kind, metadata, data: &object.data })
}

/// Reads one of our own kinds; the message names the field at fault.
pub fn decode<K: serde::de::DeserializeOwned>(object: &DynamicObject) -> Result<K, String> {
    let mut value = object.data.clone();
    if let Some(map) = value.as_object_mut() {
        map.insert(
            "metadata".into(),
            serde_json::to_value(pruned(&object.metadata)).map_err(|error| error.to_string())?,
        );
        // Items of a list bear no type; the derived kinds want one.
        if let Some(TypeMeta { api_version, kind }) = object.types.clone() {
            map.insert("apiVersion".into(), api_version.into());
            map.insert("kind".into(), kind.into());
        }
    }
    serde_path_to_error::deserialize(value).map_err(|error| format!("{}: {}", error.path(), error.inner()))
}

/// Metadata without managedFields, which are the larger half of most objects.
fn pruned(meta: &ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        generation: meta.generation,
        creation_timestamp: meta.creation_timestamp.clone(),
        deletion_timestamp: meta.deletion_timestamp.clone(),
        labels: meta.labels.clone(),
        annotations: meta.annotations.clone(),
        finalizers: meta.finalizers.clone(),
        owner_references: meta.owner_references.clone(),
        ..ObjectMeta::default()
    }
}
