//! The right form of a value of the wrong type: `pause: 5m` is `pause: {duration: 5m}`.

use serde_json::Value;

/// Fields that hold an object and are often written as its one value, with the field that the value belongs to.
const SHORT: [(&str, &str); 7] = [
    ("guard", "objective"),
    ("observe", "atLeast"),
    ("pause", "duration"),
    ("rollbackWindow", "revisions"),
    ("setMirrorRoute", "percent"),
    ("sticky", "cookie"),
    ("autoPromotion", "enabled"),
];

/// `; write pause: {duration: 5m}`, or nothing where no form is near.
pub(super) fn advice(schema: &Value, wanted: &str, value: &Value, path: &str) -> String {
    let form = match wanted {
        "object" => object(schema, value, path),
        "array" => list(schema, value),
        "boolean" => value.as_str().filter(|text| matches!(*text, "true" | "false")).map(str::to_owned),
        "integer" => value.as_str().filter(|text| text.parse::<i64>().is_ok()).map(str::to_owned),
        "number" => value.as_str().filter(|text| text.parse::<f64>().is_ok()).map(str::to_owned),
        _ => None,
    };
    form.map(|form| format!("; write {}{form}", before(path))).unwrap_or_default()
}

/// What stands before the value: its key, or the dash of a list's entry.
fn before(path: &str) -> String {
    if path.ends_with(']') { "- ".to_owned() } else { format!("{}: ", key(path)) }
}

fn key(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn object(schema: &Value, value: &Value, path: &str) -> Option<String> {
    let value = scalar(value)?;
    let field = match key(path) {
        "setCanaryScale" if value.parse::<u32>().is_ok() => "replicas",
        "setCanaryScale" if value.ends_with('%') => "percent",
        "autoPromotion" if value != "true" && value != "false" => "after",
        "guard" if value == "none" => return Some("{none: true}".to_owned()),
        "analysis" => return Some(format!("{{templates: [{{name: {value}}}]}}")),
        key => SHORT.iter().find(|(known, _)| *known == key).map_or("name", |(_, field)| field),
    };
    is_enough(schema, field).then(|| format!("{{{field}: {}}}", with_unit(field, value)))
}

/// Whether the object needs no other field than this one.
fn is_enough(schema: &Value, field: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    schema.get("properties").is_some_and(|fields| fields.get(field).is_some())
        && required.into_iter().all(|name| name == field)
}

/// A number of a duration is one of seconds, as other tools read it.
fn with_unit(field: &str, value: String) -> String {
    let is_duration = ["duration", "atLeast", "after"].contains(&field);
    if is_duration && value.parse::<f64>().is_ok() { format!("{value}s") } else { value }
}

fn list(schema: &Value, value: &Value) -> Option<String> {
    let entry = schema.get("items")?;
    let names = |field: &str| entry.get("properties").is_some_and(|fields| fields.get(field).is_some());
    if let Value::Object(fields) = value {
        let named = fields.iter().map(|(name, value)| Some(format!("{{name: {name}, value: {}}}", scalar(value)?)));
        return match named.collect::<Option<Vec<_>>>() {
            Some(named) if names("name") && names("value") => Some(format!("[{}]", named.join(", "))),
            _ => fields.keys().next().map(|first| format!("a list, whose entries begin with a dash: `- {first}: ...`")),
        };
    }
    let value = scalar(value)?;
    if entry.get("type").and_then(Value::as_str) == Some("string") {
        return Some(format!("[{value}]"));
    }
    is_enough(entry, "name").then(|| format!("[{{name: {value}}}]"))
}

/// A scalar as it would stand in a flow.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./%".contains(c);
            Some(if !text.is_empty() && text.chars().all(plain) { text.clone() } else { value.to_string() })
        }
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{api::crds, cli::offline::lint::schema};

    #[test]
    fn a_value_of_the_wrong_type_is_shown_in_the_right_form() {
        for (spec, form) in [
            (json!({"strategy": {"canary": {"steps": [{"pause": "5m"}]}}}), "; write pause: {duration: 5m}"),
            (json!({"strategy": {"canary": {"steps": [{"pause": 300}]}}}), "; write pause: {duration: 300s}"),
            (json!({"strategy": {"canary": {"steps": [{"observe": "5m"}]}}}), "; write observe: {atLeast: 5m}"),
            (
                json!({"strategy": {"canary": {"steps": [{"setCanaryScale": 3}]}}}),
                "; write setCanaryScale: {replicas: 3}",
            ),
            (
                json!({"strategy": {"canary": {"steps": [{"setCanaryScale": "20%"}]}}}),
                "; write setCanaryScale: {percent: 20%}",
            ),
            (
                json!({"strategy": {"canary": {"steps": [{"analysis": "load"}]}}}),
                "; write analysis: {templates: [{name: load}]}",
            ),
            (
                json!({"strategy": {"canary": {"steps": {"setWeight": 5}}}}),
                "; write steps: a list, whose entries begin with a dash: `- setWeight: ...`",
            ),
            (json!({"strategy": {"blueGreen": {"autoPromotion": false}}}), "; write autoPromotion: {enabled: false}"),
            (json!({"strategy": {"blueGreen": {"autoPromotion": "30s"}}}), "; write autoPromotion: {after: 30s}"),
            (json!({"rollbackWindow": 3}), "; write rollbackWindow: {revisions: 3}"),
            (json!({"analysis": {"templates": ["errors"]}}), "; write - {name: errors}"),
            (json!({"analysis": {"templates": "errors"}}), "; write templates: [{name: errors}]"),
            (
                json!({"analysis": {"args": {"app": "web", "port": 80}}}),
                "; write args: [{name: app, value: web}, {name: port, value: 80}]",
            ),
            (
                json!({"traffic": [{"istio": {"virtualServices": [{"name": "a", "routes": "primary"}]}}]}),
                "; write routes: [primary]",
            ),
            (json!({"replicas": "4"}), "; write replicas: 4"),
            (json!({"paused": "true"}), "; write paused: true"),
        ] {
            let found = schema::check(crds::schema("Rollout").unwrap(), &json!({"spec": spec}));
            let said: Vec<&str> = found.iter().map(|one| one.message.as_str()).collect();
            assert!(said.iter().any(|message| message.ends_with(form)), "{spec}: {said:?}");
        }
        let found = schema::check(
            crds::schema("Rollout").unwrap(),
            &json!({"spec": {"replicas": "four", "workloadRef": "web", "template": 3}}),
        );
        assert!(!found.iter().any(|one| one.message.contains("; write")), "{found:?}");
    }

    #[test]
    fn a_guard_of_a_fault_is_shown_in_the_right_form() {
        for (guard, form) in
            [(json!("none"), "; write guard: {none: true}"), (json!("99%"), "; write guard: {objective: 99%}")]
        {
            let fault = json!({"spec": {"target": {"service": "payment"}, "duration": "1m", "guard": guard}});
            let found = schema::check(crds::schema("MeshFault").unwrap(), &fault);
            let said = found.iter().find(|finding| finding.path == "spec.guard").map(|finding| &finding.message);
            assert!(said.is_some_and(|said| said.ends_with(form)), "{guard}: {found:?}");
        }
    }
}
