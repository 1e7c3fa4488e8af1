//! Planned objects against the meshes' own CustomResourceDefinitions: a field that one lacks would be pruned without a word, and a
//! pruned field of a security rule opens a door. The definitions are in `GLIDEPATH_CRDS`, or in `../shared/crds` beside this
//! checkout; elsewhere there is nothing to check against.

use std::{collections::BTreeMap, fs, path::Path, path::PathBuf};

use serde_json::Value;

/// The schemas of a mesh's kinds by `apiVersion` and kind; none where its definitions are not at hand.
pub fn of(mesh: &str) -> BTreeMap<(String, String), Value> {
    let named = std::env::var_os("GLIDEPATH_CRDS").filter(|value| !value.is_empty());
    let root = named.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/crds"), PathBuf::from);
    let mut schemas = BTreeMap::new();
    let files = fs::read_dir(root.join(mesh)).into_iter().flatten().map(|entry| entry.unwrap().path());
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml")) {
        let text = fs::read_to_string(file).unwrap();
        for document in serde_yaml::Deserializer::from_str(&text) {
            add(&mut schemas, &<Value as serde::Deserialize>::deserialize(document).unwrap());
        }
    }
    schemas
}

fn add(schemas: &mut BTreeMap<(String, String), Value>, definition: &Value) {
    let spec = &definition["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for version in spec["versions"].as_array().into_iter().flatten() {
        let api_version = format!("{}/{}", text(&spec["group"]), text(&version["name"]));
        schemas.insert((api_version, text(&spec["names"]["kind"])), version["schema"]["openAPIV3Schema"].clone());
    }
}

/// What an API server would refuse or prune in an object.
pub fn problems(schema: &Value, object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut schema = schema.clone();
    for field in ["apiVersion", "kind", "metadata"] {
        schema["properties"][field] = serde_json::json!({"x-kubernetes-preserve-unknown-fields": true});
    }
    walk(&schema, object, "", &mut found);
    found
}

fn walk(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        _ => true,
    };
    let allowed = schema["enum"].as_array().is_none_or(|allowed| allowed.contains(value));
    if !fits || !allowed {
        found.push(format!("{at}: {value} is not {} {}", schema["type"], schema["enum"]));
    }
    let size = value.as_array().map(Vec::len).or_else(|| value.as_str().map(str::len)).unwrap_or_default() as u64;
    for (least, most) in [("minItems", "maxItems"), ("minLength", "maxLength")] {
        if schema[least].as_u64().is_some_and(|least| size < least)
            || schema[most].as_u64().is_some_and(|most| size > most)
        {
            found.push(format!("{at}: has a size of {size}"));
        }
    }
    let lacks = |required: &Value| required.as_str().is_some_and(|name| value.get(name).is_none());
    if let Some(missing) = schema["required"].as_array().into_iter().flatten().find(|name| lacks(name)) {
        found.push(format!("{at}: lacks {missing}"));
    }
    if let Some(forms) = schema["oneOf"].as_array() {
        let has_all = |form: &&Value| !form["required"].as_array().into_iter().flatten().any(&lacks);
        if forms.iter().filter(has_all).count() != 1 {
            found.push(format!("{at}: is not one of {forms:?}"));
        }
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        let known = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
        match known {
            Some(known) => walk(known, inner, &format!("{at}.{name}"), found),
            None => found.push(format!("{at}.{name}: there is no such field")),
        }
    }
    for (index, inner) in value.as_array().into_iter().flatten().enumerate() {
        walk(&schema["items"], inner, &format!("{at}[{index}]"), found);
    }
}

#[test]
fn an_unknown_field_is_seen() {
    let schema = serde_json::json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["port"],
        "properties": {"port": {"type": "integer"}, "labels": {"type": "object", "additionalProperties": {"type": "string"}}}}}});
    let object = |spec: Value| serde_json::json!({"apiVersion": "v1", "spec": spec});
    assert!(problems(&schema, &object(serde_json::json!({"port": 1, "labels": {"a": "b"}}))).is_empty());
    let wrong = problems(&schema, &object(serde_json::json!({"accessPolicy": "deny", "labels": {"a": 1}})));
    assert_eq!(wrong.len(), 3, "{wrong:?}");
}
