//! The walk along the table of types: wrong types, unknown fields, missing ones; each object goes to the rules of its type.

use serde_json::{Map, Value};

use super::{
    bounds, containers,
    fields::{self, Field},
    labels, pod, quantity, resources, selectors, volumes,
};
use crate::{
    api::validate::Finding,
    cli::offline::lint::schema::{article, hint, kind_of},
    yaml::join,
};

/// Required by the API definition, but the API server takes an absent one for zero, an empty text or an empty object.
const DEFAULTED: [&str; 6] = [
    "EvictionResponder.priority",
    "HTTPHeader.value",
    "Sysctl.value",
    "ISCSIVolumeSource.lun",
    "LocalObjectReference.name",
    "PreferredSchedulingTerm.preference",
];
/// The API server does not look at who owns a pod template.
const UNCHECKED: [&str; 2] = ["OwnerReference", "ManagedFieldsEntry"];

/// What is wrong with a value of this type, and below it.
pub(super) fn walk(kind: &'static str, value: &Value, path: &str, found: &mut Vec<Finding>) {
    // As the API server reads it, an explicit null is an absent field.
    if value.is_null() {
        return;
    }
    if let Some(item) = inner(kind, '[', ']') {
        return items(item, value, path, found);
    }
    if let Some(item) = inner(kind, '{', '}') {
        return match value {
            Value::Object(entries) => {
                entries.iter().for_each(|(key, value)| walk(item, value, &join(path, key), found))
            }
            other => found.push(wanted("object", other, path)),
        };
    }
    match (fields::of(kind), value) {
        (None, _) => found.extend(simple(kind, value).map(|message| Finding::error(path, message))),
        (Some(fields), Value::Object(object)) => {
            members(kind, fields, object, path, found);
            rules(kind, value, path, found);
        }
        (Some(_), other) => found.push(wanted("object", other, path)),
    }
}

fn inner(kind: &'static str, open: char, close: char) -> Option<&'static str> {
    kind.strip_prefix(open)?.strip_suffix(close)
}

fn items(item: &'static str, value: &Value, path: &str, found: &mut Vec<Finding>) {
    let Value::Array(entries) = value else { return found.push(wanted("array", value, path)) };
    for (index, entry) in entries.iter().enumerate() {
        let path = format!("{path}[{index}]");
        match entry {
            // Where every field may be absent, so may all of them.
            Value::Null if fields::of(item).is_some() && item != "LocalObjectReference" => {
                found.push(Finding::error(path, "this entry is empty; write its fields or remove it"));
            }
            entry => walk(item, entry, &path, found),
        }
    }
}

fn members(
    kind: &'static str,
    fields: &'static [Field],
    object: &Map<String, Value>,
    path: &str,
    found: &mut Vec<Finding>,
) {
    for (key, value) in object {
        match fields.iter().find(|field| field.name == key) {
            Some(field) => walk(field.kind, value, &join(path, key), found),
            None => {
                let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
                found.push(Finding::error(join(path, key), format!("unknown field{}", hint(key, &names))));
            }
        }
    }
    let checked = |field: &&Field| {
        field.required && !UNCHECKED.contains(&kind) && !DEFAULTED.contains(&format!("{kind}.{}", field.name).as_str())
    };
    for field in fields.iter().filter(checked) {
        match object.get(field.name) {
            None | Some(Value::Null) => found.push(Finding::error(join(path, field.name), "is missing")),
            Some(Value::String(text)) if text.is_empty() => {
                found.push(Finding::error(join(path, field.name), "is empty"));
            }
            Some(_) => {}
        }
    }
}

/// Why this is not a value of a type without fields.
fn simple(kind: &str, value: &Value) -> Option<String> {
    let whole = |least: i64, most: i64| match whole(value) {
        None => Some(format!("must be {}, got {}", article("integer"), kind_of(value))),
        Some(number) => {
            (!(least..=most).contains(&number)).then(|| format!("{number} is too large for a field of {kind}"))
        }
    };
    let is = |fits: bool, wanted: &str| (!fits).then(|| format!("must be {wanted}, got {}", kind_of(value)));
    match kind {
        "text" if value.is_object() || value.is_array() => is(false, "a string"),
        "text" => is(value.is_string(), article("string")),
        "boolean" => is(value.is_boolean(), article("boolean")),
        "int32" => whole(i32::MIN.into(), i32::MAX.into()),
        "int64" => whole(i64::MIN, i64::MAX),
        "IntOrString" if value.is_string() => None,
        "IntOrString" if value.is_number() => whole(i32::MIN.into(), i32::MAX.into()),
        "IntOrString" => is(false, "an integer or a string"),
        "Quantity" => quantity::parse(value).err(),
        _ => None,
    }
}

/// A whole number: kubectl sends `8080.0` as 8080.
fn whole(value: &Value) -> Option<i64> {
    let exact = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 9e15);
    value.as_i64().or(exact.map(|number| number as i64))
}

fn wanted(kind: &str, value: &Value, path: &str) -> Finding {
    Finding::error(path, format!("must be {}, got {}", article(kind), kind_of(value)))
}

/// What the API server's validation says of an object of this type.
fn rules(kind: &'static str, object: &Value, path: &str, found: &mut Vec<Finding>) {
    bounds::check(kind, object, path, found);
    match kind {
        "ObjectMeta" => labels::metadata(object, path, found),
        "PodSpec" => pod::check(object, path, found),
        "Container" => containers::check(object, path, found),
        "ContainerPort" => containers::port_name(object, "name", path, found),
        "HTTPGetAction" | "TCPSocketAction" => containers::port_name(object, "port", path, found),
        "ExecAction" => containers::command(object, path, found),
        "EnvVar" => containers::variable(object, path, found),
        "VolumeMount" => volumes::mount(object, path, found),
        "Volume" | "VolumeProjection" => volumes::one_source(object, path, found),
        "ResourceRequirements" => resources::check(object, path, found),
        "LabelSelector" => labels::map(&object["matchLabels"], &format!("{path}.matchLabels"), found),
        "LabelSelectorRequirement" | "NodeSelectorRequirement" => selectors::requirement(kind, object, path, found),
        "Toleration" => selectors::toleration(object, path, found),
        _ => {}
    }
}
