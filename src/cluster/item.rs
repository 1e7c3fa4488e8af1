//! One object of a list, an event or a response, decoded separately: one that cannot be decoded never stops the others
//! (kube rule 7).
//!
//! Its metadata is read apart from the rest, without recursion, and of `managedFields`' field sets only the names of the
//! spec's fields: an object whose content cannot be read still has a name, a version and labels.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, OwnerReference, Time};
use kube::{
    api::{DynamicObject, TypeMeta},
    core::ObjectMeta,
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Map, Value, json, value::RawValue};

use super::nesting::depth;

/// Objects nest at most this deep, those in files too. serde_json reads 128 levels, and answers to our own writes carry
/// `managedFields`, which nest a few levels deeper than the object itself. The API server stores up to 10,000 levels.
pub use crate::yaml::DEEPEST;

/// One page of a list, its objects still as text.
#[derive(Deserialize)]
pub struct Page<'a> {
    /// The version of the list and the way to the next page.
    #[serde(default)]
    pub metadata: PageMeta,
    #[serde(default, borrow)]
    items: Option<Vec<&'a RawValue>>,
}

/// What a page says of its list.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PageMeta {
    /// The version of the whole list.
    pub resource_version: Option<String>,
    /// The token of the next page.
    #[serde(rename = "continue")]
    pub next: Option<String>,
}

impl Page<'_> {
    /// Its objects, each as JSON text.
    pub fn items(&self) -> impl Iterator<Item = &str> {
        self.items.iter().flatten().map(|raw| raw.get())
    }
}

/// An object as it came.
#[derive(Clone, Debug)]
pub enum Item {
    /// All of it, but for what is deeper in the field sets of `managedFields`.
    Whole(Box<DynamicObject>),
    /// Its metadata, and why the rest cannot be read.
    Unread(Box<Unread>),
}

/// An object that cannot be read.
#[derive(Clone, Debug)]
pub struct Unread {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its status, empty when it has none; `None` when it cannot be read.
    pub status: Option<Value>,
    /// Why it cannot be read.
    pub why: String,
}

/// The top-level fields of an object, still as text.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Fields<'a>(#[serde(borrow)] BTreeMap<String, &'a RawValue>);

impl Fields<'_> {
    /// A field as a type that names what it wants; nothing else is built.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }
}

/// An object of which only the metadata was read. Half of all events are our own writes coming back, of which that is enough.
pub struct Head<'a> {
    metadata: ObjectMeta,
    fields: Fields<'a>,
}

impl<'a> Head<'a> {
    /// Reads the metadata. An error: not even its name can be read.
    pub fn read(raw: &'a str) -> Result<Self, String> {
        let fields: Fields<'a> = serde_json::from_str(raw).map_err(|error| error.to_string())?;
        let meta = fields.0.get("metadata").map_or("{}", |meta| meta.get());
        let meta: Meta = serde_json::from_str(meta).map_err(|error| format!("metadata: {error}"))?;
        if meta.name.is_none() {
            return Err("it has no metadata.name".to_owned());
        }
        Ok(Head { metadata: meta.into(), fields })
    }

    /// Its metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    /// Reads the rest, of which `brief` may say that some fields are enough.
    pub fn rest(self, types: &TypeMeta, brief: impl Fn(&Fields<'_>) -> Option<Map<String, Value>>) -> Item {
        let Head { metadata, fields } = self;
        match brief(&fields).map_or_else(|| content(&fields), Ok) {
            Ok(data) => Item::Whole(Box::new(whole(metadata, data, types))),
            Err(why) => Item::Unread(Box::new(Unread { metadata, status: readable_status(&fields), why })),
        }
    }
}

impl Item {
    /// Reads one object; items of a list may lack their type. An error: not even its name can be read.
    pub fn read(raw: &str, types: &TypeMeta) -> Result<Item, String> {
        Ok(Head::read(raw)?.rest(types, |_| None))
    }

    /// Its metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Item::Whole(object) => &object.metadata,
            Item::Unread(unread) => &unread.metadata,
        }
    }
}

fn whole(metadata: ObjectMeta, mut data: Map<String, Value>, types: &TypeMeta) -> DynamicObject {
    let text = |field: Option<Value>| field.and_then(|v| v.as_str().map(str::to_owned));
    let own = (text(data.shift_remove("apiVersion")), text(data.shift_remove("kind")));
    let types = match own {
        (Some(api_version), Some(kind)) => TypeMeta { api_version, kind },
        _ => types.clone(),
    };
    DynamicObject { types: Some(types), metadata, data: Value::Object(data) }
}

/// Everything but the metadata.
fn content(fields: &Fields<'_>) -> Result<Map<String, Value>, String> {
    let mut data = Map::new();
    for (name, field) in fields.0.iter().filter(|(name, _)| *name != "metadata") {
        let depth = depth(field.get()) + 1;
        if depth > DEEPEST {
            return Err(format!("{name}: it is nested {depth} levels deep, more than the limit of {DEEPEST}"));
        }
        let value = serde_json::from_str(field.get()).map_err(|error| format!("{name}: {error}"))?;
        data.insert(name.clone(), value);
    }
    Ok(data)
}

/// The status of an object whose other fields cannot be read.
fn readable_status(fields: &Fields<'_>) -> Option<Value> {
    let raw = fields.0.get("status").map_or("{}", |status| status.get());
    (depth(raw) < DEEPEST).then(|| serde_json::from_str(raw).ok()).flatten()
}

/// What is read of every object's metadata. Fields that are not named here are skipped without recursion.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    finalizers: Option<Vec<String>>,
    owner_references: Option<Vec<OwnerReference>>,
    managed_fields: Option<Vec<Writer>>,
}

/// An entry of `managedFields`. Its field set nests as deep as the object: of it only the fields of the spec are read.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Writer {
    manager: Option<String>,
    operation: Option<String>,
    subresource: Option<String>,
    /// Anybody may write this field, so it is not trusted to be a time.
    time: Option<String>,
    #[serde(rename = "fieldsV1", deserialize_with = "spec_fields")]
    spec_fields: Option<FieldsV1>,
}

/// The owned fields of a spec, one level of them: `{"f:spec": {"f:replicas": {}}}`.
#[derive(Deserialize)]
struct SpecFields {
    #[serde(rename = "f:spec", default)]
    spec: BTreeMap<String, IgnoredAny>,
}

/// Anybody may write a field set, so one of another shape owns nothing.
fn spec_fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<FieldsV1>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    let owned = serde_json::from_str::<SpecFields>(raw.get()).ok().filter(|owned| !owned.spec.is_empty());
    Ok(owned.map(|owned| {
        let names: Map<String, Value> = owned.spec.into_keys().map(|name| (name, json!({}))).collect();
        FieldsV1(json!({ "f:spec": names }))
    }))
}

impl From<Meta> for ObjectMeta {
    fn from(meta: Meta) -> Self {
        ObjectMeta {
            name: meta.name,
            namespace: meta.namespace,
            uid: meta.uid,
            resource_version: meta.resource_version,
            generation: meta.generation,
            creation_timestamp: meta.creation_timestamp,
            deletion_timestamp: meta.deletion_timestamp,
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: meta.owner_references,
            managed_fields: meta.managed_fields.map(|all| all.into_iter().map(ManagedFieldsEntry::from).collect()),
            ..ObjectMeta::default()
        }
    }
}

impl From<Writer> for ManagedFieldsEntry {
    fn from(writer: Writer) -> Self {
        let time = writer.time.and_then(|time| time.parse::<Timestamp>().ok());
        ManagedFieldsEntry {
            manager: writer.manager,
            operation: writer.operation,
            subresource: writer.subresource,
            time: time.map(Time),
            fields_v1: writer.spec_fields,
            ..ManagedFieldsEntry::default()
        }
    }
}

/// An object as a list or a watch decodes it.
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "for tests")]
pub fn watched(object: &Value) -> DynamicObject {
    let Item::Whole(object) = Item::read(&object.to_string(), &TypeMeta::default()).unwrap() else {
        unreachable!("it can be read")
    };
    *object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types() -> TypeMeta {
        TypeMeta { api_version: "glidepath.dev/v1alpha1".into(), kind: "Rollout".into() }
    }

    fn nested(levels: usize) -> String {
        format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
    }

    fn rollout(template: &str, fields: &str) -> String {
        format!(
            r#"{{"metadata":{{"name":"a","namespace":"n","uid":"u","resourceVersion":"7","labels":{{"team":"x"}},
            "managedFields":[{{"manager":"kubectl","time":"2026-01-01T00:00:00Z","fieldsV1":{fields}}}]}},
            "spec":{{"template":{template}}},"status":{{"phase":"Healthy","conditions":[{{"type":"Ready"}}]}}}}"#
        )
    }

    /// C3.
    #[test]
    fn an_object_that_nests_too_deep_still_has_its_name_and_status() {
        for levels in [99, 140, 9_000, 100_000] {
            let Item::Unread(unread) = Item::read(&rollout(&nested(levels), &nested(levels)), &types()).unwrap() else {
                panic!("{levels} levels were read")
            };
            assert_eq!(unread.metadata.name.as_deref(), Some("a"));
            assert_eq!(unread.metadata.resource_version.as_deref(), Some("7"));
            assert_eq!(unread.metadata.labels.unwrap()["team"], "x");
            assert_eq!(unread.status.unwrap()["conditions"][0]["type"], "Ready");
            assert!(unread.why.contains(&format!("spec: it is nested {} levels", levels + 2)), "{}", unread.why);
        }
    }

    #[test]
    fn an_object_is_read_whole_but_for_the_depth_of_field_sets() {
        let fields = format!(r#"{{"f:status":{{}},"f:spec":{{"f:replicas":{{}},"f:template":{}}}}}"#, nested(5_000));
        let Item::Whole(object) = Item::read(&rollout(&nested(98), &fields), &types()).unwrap() else {
            panic!("not read")
        };
        assert_eq!(object.types.unwrap().kind, "Rollout");
        assert_eq!(object.data.pointer("/status/phase").unwrap(), "Healthy");
        let writer = &object.metadata.managed_fields.unwrap()[0];
        let owned = FieldsV1(json!({"f:spec": {"f:replicas": {}, "f:template": {}}}));
        assert_eq!((writer.manager.as_deref(), &writer.fields_v1), (Some("kubectl"), &Some(owned)));
        assert_eq!(writer.time.as_ref().unwrap().0, "2026-01-01T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn a_field_set_of_another_shape_owns_nothing() {
        for fields in ["null", "7", r#""f:spec""#, "[]", r#"{"f:spec":7}"#, r#"{"f:spec":{}}"#, &nested(5_000)] {
            let item = Item::read(&rollout("{}", fields), &types()).unwrap();
            assert_eq!(item.metadata().managed_fields.as_ref().unwrap()[0].fields_v1, None, "{fields}");
        }
    }

    #[test]
    fn what_json_allows_and_rust_does_not_is_the_objects_own_trouble() {
        for bad in ["1e999", r#""\ud800""#] {
            let item = Item::read(&rollout(bad, "{}"), &types()).unwrap();
            assert!(matches!(item, Item::Unread(_)), "{bad}");
        }
        assert!(Item::read(r#"{"metadata":{}}"#, &types()).is_err());
        assert!(Item::read(r#"{"metadata":{"name":"a"},"status":7}"#, &types()).is_ok());
    }
}
