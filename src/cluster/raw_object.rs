//! An object as the API server sends it: JSON text, of which each kind reads what it keeps. One that cannot be read never
//! stops the others (kube rule 7).
//!
//! Its metadata is read apart from the rest, without recursion and without `managedFields`: an object whose content cannot
//! be read still has a name, a version and labels. No tree is built of what is only kept or passed on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kube::{api::TypeMeta, core::ObjectMeta};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Value, value::RawValue};

use super::{nesting::depth, text::Text};

/// Objects nest at most this deep, those in files too. serde_json reads 128 levels, and answers to our own writes carry
/// `managedFields`, which nest a few levels deeper than the object itself. The API server stores up to 10,000 levels.
pub use crate::yaml::DEEPEST;

/// One page of a list, its objects still as text.
#[derive(Deserialize)]
pub struct Page<'a> {
    /// The kind of the list, for instance `RolloutList`.
    #[serde(default)]
    pub kind: String,
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

/// What `kubectl apply` remembers: the object once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object of which only the metadata was read. Half of all events are our own writes coming back, of which that is enough.
pub struct RawObject<'a> {
    metadata: ObjectMeta,
    managed_fields: Option<&'a RawValue>,
    fields: Fields<'a>,
    /// The type of the list that it is from, whose items may bear none.
    types: Option<&'a TypeMeta>,
}

/// The top-level fields of an object.
#[derive(Deserialize)]
#[serde(transparent)]
struct Fields<'a>(#[serde(borrow)] BTreeMap<String, &'a RawValue>);

impl<'a> RawObject<'a> {
    /// Reads the metadata. An error: not even its name can be read.
    pub fn of(text: &'a str) -> Result<Self, String> {
        let fields: Fields<'a> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let meta = fields.0.get("metadata").map_or("{}", |meta| meta.get());
        let meta: Meta<'a> = serde_json::from_str(meta).map_err(|error| format!("metadata: {error}"))?;
        if meta.name.is_none() {
            return Err("it has no metadata.name".to_owned());
        }
        Ok(RawObject { managed_fields: meta.managed_fields, metadata: meta.into(), fields, types: None })
    }

    /// The same of an item of a list, which may lack its type.
    pub fn item(text: &'a str, types: &'a TypeMeta) -> Result<Self, String> {
        Ok(RawObject { types: Some(types), ..RawObject::of(text)? })
    }

    /// Its metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    /// Nothing but its metadata.
    pub fn into_metadata(self) -> ObjectMeta {
        self.metadata
    }

    /// A field as a type that names what it wants; nothing else is built. One that is not there, or is of another shape, is
    /// `None`.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.fields.0.get(name)?.get()).ok()
    }

    /// A field as a type that names what it wants, empty where there is none; nothing else is built. Or why it cannot be
    /// read.
    pub fn read<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, String> {
        let Some(field) = self.fields.0.get(name) else { return Ok(T::default()) };
        let read: Result<Option<T>, _> = serde_json::from_str(field.get());
        match read {
            Ok(read) => Ok(read.unwrap_or_default()),
            Err(error) => readable(name, field).and(Err(format!("{name}: {error}"))),
        }
    }

    /// Who has written it, as `managedFields` says. Anybody may write these: what has another shape says nothing.
    pub fn writers(&self) -> Vec<Writer> {
        self.managed_fields.and_then(|all| serde_json::from_str(all.get()).ok()).unwrap_or_default()
    }

    /// Its text without `managedFields`.
    pub fn json(&self) -> Result<Vec<u8>, String> {
        self.json_of(&self.metadata, |_| true)
    }

    /// One of our own kinds, or the field at fault.
    pub fn decode<K: DeserializeOwned>(&self) -> Result<K, String> {
        decode(&self.json()?)
    }

    /// Its text without `managedFields` and what `kubectl` remembers of it.
    pub fn kept_json(&self) -> Result<Vec<u8>, String> {
        let mut metadata = self.metadata.clone();
        metadata.annotations.as_mut().and_then(|annotations| annotations.remove(LAST_APPLIED));
        self.json_of(&metadata, |_| true)
    }

    /// Its text without its status.
    pub fn text_without_status(&self) -> Result<Text, String> {
        self.json_of(&self.metadata, |name| name != "status").map(Text::from)
    }

    /// Its status, empty when it has none; `None` when it cannot be read.
    pub fn status(&self) -> Option<Value> {
        let text = self.fields.0.get("status").map_or("{}", |status| status.get());
        (depth(text) < DEEPEST).then(|| serde_json::from_str(text).ok()).flatten()
    }

    fn json_of(&self, metadata: &ObjectMeta, keeps: impl Fn(&str) -> bool) -> Result<Vec<u8>, String> {
        let own = |name: &str| self.get::<String>(name);
        let types = own("apiVersion").zip(own("kind"));
        let types = types.or_else(|| self.types.map(|types| (types.api_version.clone(), types.kind.clone())));
        let (api_version, kind) = types.unwrap_or_default();
        let mut fields = BTreeMap::new();
        for (name, field) in self.fields.0.iter().filter(|(name, _)| !FIRST.contains(&name.as_str()) && keeps(name)) {
            fields.insert(name.as_str(), readable(name, field)?);
        }
        serde_json::to_vec(&Whole { api_version, kind, metadata, fields }).map_err(|error| error.to_string())
    }
}

/// The fields that every object has.
const FIRST: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// An object as it is kept.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    api_version: String,
    kind: String,
    metadata: &'a ObjectMeta,
    #[serde(flatten)]
    fields: BTreeMap<&'a str, &'a RawValue>,
}

/// A field that can be read: not nested too deep.
fn readable<'a>(name: &str, field: &'a RawValue) -> Result<&'a RawValue, String> {
    let depth = depth(field.get()) + 1;
    if depth > DEEPEST {
        return Err(format!("{name}: it is nested {depth} levels deep, more than the limit of {DEEPEST}"));
    }
    Ok(field)
}

/// Reads one of our own kinds from its text; the message names the field at fault.
pub fn decode<K: DeserializeOwned>(json: &[u8]) -> Result<K, String> {
    serde_json::from_slice(json).or_else(|_| {
        // A text does not say which field is at fault.
        let value: Value = by_field(&mut serde_json::Deserializer::from_slice(json))?;
        by_field(value)
    })
}

fn by_field<'de, K: DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<K, String>
where
    D::Error: Display,
{
    serde_path_to_error::deserialize(from).map_err(|error| format!("{}: {}", error.path(), error.inner()))
}

/// What is read of every object's metadata. Fields that are not named here are skipped without recursion.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta<'a> {
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
    #[serde(borrow)]
    managed_fields: Option<&'a RawValue>,
}

/// An entry of `managedFields`. Its field set nests as deep as the object: of it only the fields of the spec are read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Writer {
    /// The field manager.
    pub manager: Option<String>,
    /// When it wrote last.
    #[serde(deserialize_with = "time")]
    pub time: Option<Timestamp>,
    /// The fields of the spec that it owns, one level of them.
    #[serde(rename = "fieldsV1", deserialize_with = "spec_fields")]
    pub spec_fields: BTreeSet<String>,
}

/// What is no time is none.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

/// The fields of `{"f:spec": {"f:replicas": {}}}`; a field set of another shape owns nothing.
fn spec_fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    #[derive(Deserialize)]
    struct FieldSet {
        #[serde(rename = "f:spec")]
        spec: BTreeMap<String, IgnoredAny>,
    }
    let raw = <&RawValue>::deserialize(deserializer)?;
    let set: Option<FieldSet> = serde_json::from_str(raw.get()).ok();
    let names = set.into_iter().flat_map(|set| set.spec.into_keys());
    Ok(names.filter_map(|name| name.strip_prefix("f:").map(str::to_owned)).collect())
}

impl From<Meta<'_>> for ObjectMeta {
    fn from(meta: Meta<'_>) -> Self {
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
            ..ObjectMeta::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

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
            let text = rollout(&nested(levels), &nested(levels));
            let object = RawObject::of(&text).unwrap();
            assert_eq!(object.metadata().name.as_deref(), Some("a"));
            assert_eq!(object.metadata().resource_version.as_deref(), Some("7"));
            assert_eq!(object.metadata().labels.as_ref().unwrap()["team"], "x");
            assert_eq!(object.status().unwrap()["conditions"][0]["type"], "Ready");
            let why = object.json().unwrap_err();
            assert!(why.contains(&format!("spec: it is nested {} levels", levels + 2)), "{why}");
            if levels > 128 {
                assert_eq!(object.read::<Map<String, Value>>("spec").unwrap_err(), why);
            }
        }
    }

    #[test]
    fn an_object_is_read_whole_but_for_the_depth_of_field_sets() {
        let fields = format!(r#"{{"f:status":{{}},"f:spec":{{"f:replicas":{{}},"f:template":{}}}}}"#, nested(5_000));
        let text = rollout(&nested(98), &fields);
        let types = TypeMeta { api_version: "glidepath.dev/v1alpha1".into(), kind: "Rollout".into() };
        let object = RawObject::item(&text, &types).unwrap();
        let whole: Value = object.decode().unwrap();
        assert_eq!((&whole["kind"], &whole["status"]["phase"]), (&json!("Rollout"), &json!("Healthy")));
        assert_eq!(whole["metadata"].get("managedFields"), None);
        let writer = object.writers().pop().unwrap();
        let owned = BTreeSet::from(["replicas", "template"].map(str::to_owned));
        assert_eq!((writer.manager.as_deref(), writer.spec_fields), (Some("kubectl"), owned));
        assert_eq!(writer.time, Some("2026-01-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_field_set_of_another_shape_owns_nothing() {
        for fields in ["null", "7", r#""f:spec""#, "[]", r#"{"f:spec":7}"#, r#"{"f:spec":{}}"#, &nested(5_000)] {
            let text = rollout("{}", fields);
            let writer = RawObject::of(&text).unwrap().writers().pop().unwrap();
            assert_eq!((writer.manager.as_deref(), writer.spec_fields.len()), (Some("kubectl"), 0), "{fields}");
        }
        for managed in ["null", "7", "[7]", r#"[{"manager":"x","time":7}]"#] {
            let text = format!(r#"{{"metadata":{{"name":"a","managedFields":{managed}}}}}"#);
            let writers = RawObject::of(&text).unwrap().writers();
            assert!(writers.iter().all(|writer| writer.time.is_none()), "{managed}: {writers:?}");
        }
    }

    #[test]
    fn an_object_bears_its_own_type_before_that_of_its_list() {
        let types = TypeMeta { api_version: "v1".into(), kind: "Service".into() };
        for (own, expected) in [("", "Service"), (r#""apiVersion":"v2","kind":"Pod","#, "Pod")] {
            let text = format!(r#"{{{own}"metadata":{{"name":"a"}},"spec":null}}"#);
            let whole: Value = RawObject::item(&text, &types).unwrap().decode().unwrap();
            assert_eq!(whole["kind"], expected);
        }
    }

    #[test]
    fn what_json_allows_and_rust_does_not_is_the_objects_own_trouble() {
        for bad in ["1e999", r#""\ud800""#] {
            let text = rollout(bad, "{}");
            let object = RawObject::of(&text).unwrap();
            assert!(object.read::<Map<String, Value>>("spec").is_err(), "{bad}");
            let why = object.decode::<Value>().unwrap_err();
            assert!(why.starts_with("spec.template: "), "{bad}: {why}");
        }
        assert!(RawObject::of(r#"{"metadata":{}}"#).is_err());
        assert!(RawObject::of(r#"{"metadata":{"name":"a"},"status":7}"#).is_ok());
    }

    #[test]
    fn a_field_that_is_not_there_is_empty_and_one_of_another_shape_says_so() {
        let object = RawObject::of(r#"{"metadata":{"name":"a"},"endpoints":null,"spec":7}"#).unwrap();
        for name in ["endpoints", "status"] {
            assert_eq!(object.read::<Vec<Value>>(name), Ok(Vec::new()), "{name}");
        }
        let why = object.read::<Map<String, Value>>("spec").unwrap_err();
        assert!(why.starts_with("spec: invalid type"), "{why}");
        assert_eq!(object.get::<String>("spec"), None);
    }
}
