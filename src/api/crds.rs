//! The CustomResourceDefinitions that go to the API server, made fit for it.
//!
//! schemars writes JSON Schema; the API server wants a *structural* schema, a stricter dialect. [`all`] walks each derived
//! schema once and takes out what the server forbids (`additionalProperties: false`, `nullable` noise) or does not know
//! (`format: uint32`), and marks values without a type as opaque.

use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use serde_json::{Map, Value};

use super::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate, MeshFault, MeshPolicy, Rollout, RolloutCommand};

/// The number formats that OpenAPI v3 of the API server knows; others only earn warnings.
const KNOWN_FORMATS: [&str; 6] = ["int32", "int64", "float", "double", "date-time", "byte"];
/// Keys under which a schema holds one schema.
const ONE: [&str; 3] = ["items", "additionalProperties", "not"];
/// Keys under which a schema holds a list of schemas.
const LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// Keys that bound what a schema accepts.
const BOUNDS: [&str; 6] = ["maxItems", "maxLength", "minItems", "minLength", "pattern", "x-kubernetes-validations"];

/// What the status remembers of a spec. Its fields are described there, and once is enough: `kubectl apply` keeps a copy of a
/// whole CRD in an annotation, which is bounded.
const ON_RECORD: &str = "/schema/openAPIV3Schema/properties/status/properties/memory/properties/objects";

/// Why a derived schema is not valid for an API server. Always a bug in the types.
#[derive(Debug, thiserror::Error)]
#[error("the schema of {kind} is not a CustomResourceDefinition any more")]
pub struct CrdError {
    kind: String,
    source: serde_json::Error,
}

/// The CRDs of every kind, in the order in which they are printed.
pub fn all() -> Result<Vec<CustomResourceDefinition>, CrdError> {
    [Rollout::crd(), AnalysisTemplate::crd(), ClusterAnalysisTemplate::crd(), AnalysisRun::crd(), RolloutCommand::crd()]
        .into_iter()
        .map(structural)
        .collect()
}

/// The CRD of mesh policies, which only a controller that runs with `--mesh` reconciles.
pub fn mesh() -> Result<Vec<CustomResourceDefinition>, CrdError> {
    [MeshPolicy::crd()].into_iter().map(structural).collect()
}

/// The CRD of faults, which no controller reconciles yet: it is not printed, so that no fault is created that never begins.
pub fn faults() -> Result<Vec<CustomResourceDefinition>, CrdError> {
    [MeshFault::crd()].into_iter().map(structural).collect()
}

/// The file that a CRD is kept in, under `deploy/crds`.
pub fn file_name(crd: &CustomResourceDefinition) -> String {
    format!("{}.yaml", crd.spec.names.plural)
}

/// The kinds with their schemas, in the order of [`all`], [`mesh`] and [`faults`]. Deriving them takes milliseconds, and a file may hold
/// a thousand objects.
static SCHEMAS: LazyLock<Vec<(String, Value)>> =
    LazyLock::new(|| [all(), mesh(), faults()].into_iter().flatten().flatten().filter_map(served).collect());

/// The schema of one kind's objects, as the API server gets it; `None` for a kind that is not ours.
pub fn schema(kind: &str) -> Option<&'static Value> {
    SCHEMAS.iter().find(|(known, _)| known == kind).map(|(_, schema)| schema)
}

/// The names of our kinds.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    SCHEMAS.iter().map(|(kind, _)| kind.as_str())
}

fn served(crd: CustomResourceDefinition) -> Option<(String, Value)> {
    let schema = crd.spec.versions.into_iter().next()?.schema?.open_api_v3_schema?;
    Some((crd.spec.names.kind, serde_json::to_value(schema).ok()?))
}

fn structural(crd: CustomResourceDefinition) -> Result<CustomResourceDefinition, CrdError> {
    let kind = crd.spec.names.kind.clone();
    let wrap = |source| CrdError { kind: kind.clone(), source };
    let mut value = serde_json::to_value(&crd).map_err(wrap)?;
    let versions = value.pointer_mut("/spec/versions").and_then(Value::as_array_mut);
    for version in versions.into_iter().flatten() {
        if let Some(Value::Object(root)) = version.pointer_mut("/schema/openAPIV3Schema") {
            mend(root);
            describe_envelope(root);
        }
        if let Some(Value::Object(record)) = version.pointer_mut(ON_RECORD) {
            children(record).into_iter().for_each(refer_to_spec);
        }
    }
    serde_json::from_value(value).map_err(wrap)
}

/// Fixes one schema and everything below it.
fn mend(schema: &mut Map<String, Value>) {
    if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
        schema.remove("additionalProperties");
    }
    schema.remove("nullable");
    drop_null_from_enum(schema);
    if schema.get("format").and_then(Value::as_str).is_some_and(|format| !KNOWN_FORMATS.contains(&format)) {
        schema.remove("format");
    }
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
    children(schema).into_iter().for_each(|child| {
        mend(child);
        mark_opaque(child);
    });
    alternatives(schema).into_iter().for_each(mend);
}

/// Says where a schema and everything below it is described. What the spec may say was decided when it was written: bounds and
/// rules once more would refuse the record of what a release began with, once a later version of them is narrower.
fn refer_to_spec(schema: &mut Map<String, Value>) {
    if let Some(description) = schema.get_mut("description") {
        *description = "As in the spec.".into();
    }
    BOUNDS.iter().for_each(|bound| drop(schema.remove(*bound)));
    children(schema).into_iter().for_each(refer_to_spec);
}

/// Optional enums are derived as the variants plus `null`; an absent field needs no null.
fn drop_null_from_enum(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(variants)) = schema.get_mut("enum") {
        variants.retain(|variant| !variant.is_null());
    }
}

fn mark_opaque(schema: &mut Map<String, Value>) {
    let typed = ["type", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"];
    let composed = LISTS.iter().any(|key| schema.contains_key(*key));
    if !composed && !typed.iter().any(|key| schema.contains_key(*key)) {
        schema.insert("x-kubernetes-preserve-unknown-fields".to_owned(), Value::Bool(true));
    }
}

/// The schemas of what is in a value.
fn children(schema: &mut Map<String, Value>) -> Vec<&mut Map<String, Value>> {
    let mut found = Vec::new();
    for (key, value) in schema.iter_mut() {
        let key = key.as_str();
        if key == "properties" {
            found.extend(
                value.as_object_mut().into_iter().flat_map(|all| all.values_mut()).filter_map(Value::as_object_mut),
            );
        } else if ONE.contains(&key) {
            found.extend(value.as_object_mut());
        }
    }
    found
}

/// Further conditions on the same value, which have no type of their own.
fn alternatives(schema: &mut Map<String, Value>) -> Vec<&mut Map<String, Value>> {
    let lists = schema.iter_mut().filter(|(key, _)| LISTS.contains(&key.as_str()));
    lists.flat_map(|(_, list)| list.as_array_mut().into_iter().flatten()).filter_map(Value::as_object_mut).collect()
}

/// `kubectl explain` prints these three for every kind of Kubernetes itself; the derive leaves them out.
fn describe_envelope(root: &mut Map<String, Value>) {
    let Some(Value::Object(properties)) = root.get_mut("properties") else { return };
    for (name, schema_type) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
        properties.entry(name).or_insert_with(|| serde_json::json!({ "type": schema_type }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the API server refuses in a structural schema, searched over every schema of every kind.
    fn faults(path: &str, schema: &Map<String, Value>, found: &mut Vec<String>) {
        if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
            found.push(format!("{path}: additionalProperties false"));
        }
        if schema.contains_key("properties") && schema.contains_key("additionalProperties") {
            found.push(format!("{path}: properties and additionalProperties"));
        }
        if schema.contains_key("$ref") || schema.contains_key("nullable") {
            found.push(format!("{path}: $ref or nullable"));
        }
        if schema.get("type").is_some_and(Value::is_array) {
            found.push(format!("{path}: list of types"));
        }
        let int_or_string = schema.get("x-kubernetes-int-or-string").is_some();
        let opaque = schema.get("x-kubernetes-preserve-unknown-fields").is_some();
        if !schema.contains_key("type") && !int_or_string && !opaque {
            found.push(format!("{path}: no type"));
        }
        for alternative in LISTS.iter().filter_map(|list| schema.get(*list)?.as_array()).flatten() {
            let beyond = ["type", "description", "default", "x-kubernetes-preserve-unknown-fields"];
            let has = beyond.into_iter().filter(|key| alternative.get(key).is_some());
            found.extend(has.map(|key| format!("{path}: {key} in an alternative")));
        }
        if let Some(Value::Object(properties)) = schema.get("properties") {
            for (name, child) in properties {
                faults(&format!("{path}.{name}"), child.as_object().unwrap(), found);
            }
        }
        if let Some(Value::Object(items)) = schema.get("items") {
            faults(&format!("{path}[]"), items, found);
        }
    }

    #[test]
    fn every_schema_is_structural() {
        let mut found = Vec::new();
        for kind in kinds() {
            faults(kind, schema(kind).unwrap().as_object().unwrap(), &mut found);
        }
        assert!(found.is_empty(), "the API server would refuse:\n{}", found.join("\n"));
    }

    #[test]
    fn every_field_is_described_for_kubectl_explain() {
        fn undescribed(path: &str, schema: &Value, found: &mut Vec<String>) {
            for (name, child) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                let path = format!("{path}.{name}");
                if child.get("description").is_none() && !path.contains("elector.match") {
                    found.push(path.clone());
                }
                undescribed(&path, child, found);
                undescribed(&path, child.get("items").unwrap_or(&Value::Null), found);
            }
        }
        for kind in kinds() {
            let mut found = Vec::new();
            let schema = schema(kind).unwrap();
            undescribed("spec", &schema["properties"]["spec"], &mut found);
            undescribed("status", &schema["properties"]["status"], &mut found);
            assert!(found.is_empty(), "{kind}: no description for {found:?}");
        }
    }

    /// M7: 44 ms each were spent per document.
    #[test]
    fn schemas_are_built_once() {
        assert!(std::ptr::eq(schema("Rollout").unwrap(), schema("Rollout").unwrap()));
        assert_eq!(
            kinds().count(),
            [all(), mesh(), super::faults()].into_iter().flatten().flatten().count(),
            "every kind has a schema"
        );
    }

    #[test]
    fn times_are_date_times_and_bounds_survive() {
        let schema = schema("Rollout").unwrap();
        let status = &schema["properties"]["status"]["properties"];
        assert_eq!(status["waitingFor"]["properties"]["since"]["format"], "date-time");
        assert_eq!(schema["properties"]["spec"]["properties"]["replicas"]["maximum"].as_f64(), Some(100_000.0));
    }

    #[test]
    fn short_names_and_categories_are_those_people_type() {
        let every = [all(), mesh(), super::faults()].into_iter().flatten().flatten();
        let names: Vec<_> = every.map(|crd| crd.spec.names).collect();
        let short: Vec<_> = names.iter().flat_map(|n| n.short_names.clone().unwrap_or_default()).collect();
        assert_eq!(short, ["gro", "gat", "gcat", "gar", "groc", "gmp", "gmf"]);
        for name in &names {
            assert!(name.categories.as_ref().unwrap().contains(&"glidepath".to_owned()), "{}", name.kind);
        }
    }
}
