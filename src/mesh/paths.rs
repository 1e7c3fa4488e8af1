//! The fields that the spec of a policy or a fault sets, by the paths of the tables; and which there are at all.
//!
//! The CRD's schema says where a list or a map begins: an entry of a list is `[]`, and a map (claims, tags, ports) is one field.

use std::sync::LazyLock;

use serde_json::Value;

use crate::api::crds;

/// Fields of a policy that are no settings of a mesh: they say what the policy is for and how it changes.
const AROUND: [&str; 6] = ["target", "mesh", "profile", "optional", "callers", "change"];
/// The same of a fault.
const AROUND_A_FAULT: [&str; 3] = ["target.service", "mesh", "guard"];

/// Every field of a policy that a mesh has to have an answer for.
pub fn fields() -> Vec<String> {
    let mut found = Vec::new();
    every(&SCHEMA, "", &mut found);
    found
}

/// Every field of a fault that a mesh has to have an answer for.
pub fn fault_fields() -> Vec<String> {
    let mut found = Vec::new();
    every(&FAULT_SCHEMA, "", &mut found);
    found
}

/// The fields that a policy's spec sets, each with its place in the spec (`authorization.allow[0].from[1].cidr`).
pub(super) fn set(spec: &Value) -> Vec<Set> {
    set_by(&SCHEMA, spec)
}

/// The same of a fault's spec.
pub(super) fn set_by_fault(spec: &Value) -> Vec<Set> {
    set_by(&FAULT_SCHEMA, spec)
}

fn set_by(schema: &Value, spec: &Value) -> Vec<Set> {
    let mut found = Vec::new();
    walk(schema, spec, &Set::default(), &mut found);
    found
}

/// A field that is set.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    /// Its path in the tables.
    pub field: String,
    /// Its place in the spec.
    pub place: String,
}

impl Set {
    fn child(&self, name: &str) -> Set {
        Set { field: join(&self.field, name), place: join(&self.place, name) }
    }

    /// The place of a field around this one, in the entries of lists that lead to it.
    pub fn around(&self, field: &str) -> String {
        self.place.split('.').take(field.split('.').count()).collect::<Vec<_>>().join(".")
    }

    fn entry(&self, index: usize) -> Set {
        Set { field: format!("{}[]", self.field), place: format!("{}[{index}]", self.place) }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The schema of the settings in a policy's spec.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| settings("MeshPolicy", &AROUND));
/// The schema of the settings in a fault's spec.
static FAULT_SCHEMA: LazyLock<Value> = LazyLock::new(|| settings("MeshFault", &AROUND_A_FAULT));

fn settings(kind: &str, around: &[&str]) -> Value {
    let mut spec = crds::schema(kind).map(|schema| schema["properties"]["spec"].clone()).unwrap_or_default();
    for field in around {
        let mut names: Vec<&str> = field.split('.').collect();
        let last = names.pop().unwrap_or_default();
        let outer = names.iter().fold(&mut spec, |schema, name| &mut schema["properties"][*name]);
        outer["properties"].as_object_mut().into_iter().for_each(|properties| drop(properties.shift_remove(last)));
    }
    spec
}

fn every(schema: &Value, path: &str, found: &mut Vec<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        properties.iter().for_each(|(name, inner)| every(inner, &join(path, name), found));
    } else if schema["items"]["properties"].is_object() {
        every(&schema["items"], &format!("{path}[]"), found);
    } else {
        found.push(path.to_owned());
    }
}

fn walk(schema: &Value, value: &Value, at: &Set, found: &mut Vec<Set>) {
    match (schema["properties"].as_object(), value) {
        (_, Value::Null) => {}
        (Some(properties), Value::Object(fields)) => {
            for (name, inner) in fields {
                properties.get(name).into_iter().for_each(|schema| walk(schema, inner, &at.child(name), found));
            }
        }
        (None, Value::Array(entries)) if schema["items"]["properties"].is_object() && !entries.is_empty() => {
            for (index, entry) in entries.iter().enumerate() {
                walk(&schema["items"], entry, &at.entry(index), found);
            }
        }
        _ => found.push(at.clone()),
    }
}

/// Takes a field out of a spec, in every entry of the lists on its way. What it leaves empty goes too.
pub(super) fn remove(spec: &mut Value, field: &str) {
    let (first, rest) = field.split_once('.').map_or((field, None), |(first, rest)| (first, Some(rest)));
    let (name, is_list) = first.strip_suffix("[]").map_or((first, false), |name| (name, true));
    let Some(fields) = spec.as_object_mut() else { return };
    match (rest, fields.get_mut(name)) {
        (None, _) => drop(fields.remove(name)),
        (Some(rest), Some(Value::Array(entries))) if is_list => {
            entries.iter_mut().for_each(|entry| remove(entry, rest));
        }
        (Some(rest), Some(inner)) => remove(inner, rest),
        (Some(_), None) => {}
    }
    if fields.get(name).and_then(Value::as_object).is_some_and(serde_json::Map::is_empty) {
        fields.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn set_fields_have_the_paths_of_the_tables() {
        let spec = json!({
            "target": {"service": "web"},
            "mtls": {"mode": "Strict", "ports": {"8081": "Permissive"}},
            "authorization": {"allow": [{"from": [{"service": "a"}, {"cidr": "10.0.0.0/8"}], "claims": {"role": ["x"]}}], "deny": []},
        });
        let mut found: Vec<String> = set(&spec).into_iter().map(|set| format!("{} {}", set.field, set.place)).collect();
        found.sort();
        assert_eq!(
            found,
            [
                "authorization.allow[].claims authorization.allow[0].claims",
                "authorization.allow[].from[].cidr authorization.allow[0].from[1].cidr",
                "authorization.allow[].from[].service authorization.allow[0].from[0].service",
                "authorization.deny authorization.deny",
                "mtls.mode mtls.mode",
                "mtls.ports mtls.ports",
            ]
        );
        let every = fields();
        assert!(!fault_fields().iter().any(|field| field.starts_with("guard") || field == "target.service"));
        assert!(found.iter().all(|found| {
            let field = found.split(' ').next().unwrap();
            every.iter().any(|known| known == field || known.starts_with(&format!("{field}[]")))
        }));
    }

    #[test]
    fn a_removed_field_leaves_the_others() {
        let mut spec = json!({"loadBalancer": {"warmUp": "30s"}, "jwt": [{"issuer": "a", "forward": true}], "mtls": {"mode": "Strict"}});
        remove(&mut spec, "loadBalancer.warmUp");
        remove(&mut spec, "jwt[].forward");
        remove(&mut spec, "egress.allow");
        assert_eq!(spec, json!({"jwt": [{"issuer": "a"}], "mtls": {"mode": "Strict"}}));
    }
}
