//! `docs/reference.md`: every field that people write, from the CustomResourceDefinitions.

use glidepath::api::crds;
use serde_json::Value;

const HEAD: &str = "# Reference of the kinds

This page is written by a test from the CustomResourceDefinitions: `UPDATE_DOCS=1 cargo test --test it docs`. `kubectl
explain rollout.spec` says the same in a cluster. A field exists only when it works.

Durations are texts like `90s`, `5m`, `1h30m` or `500ms`. Percentages are numbers (`5`, `0.25`) or texts (`25%`).

## What is read from files

`lint`, `plan`, `simulate`, `local` and `demo` read YAML and JSON in UTF-8, within bounds, so that a file of a stranger can be
checked: what is over one is refused with its place before memory is taken for it.

| of | at most |
| --- | --- |
| all files of a call (`simulate`: of a scenario with its files) | 32 MiB, 10,000 documents (entries of a `List` among them), 2,700,000 values, 64 MiB of texts |
| a document | 4 MiB, 400,000 values, 8 MiB of texts: what aliases (`*name`) stand for is counted each time |
| a text, a key | 1 MiB, 4,096 bytes |
| maps and lists in one another | 100 levels, as in the controller |

Values are texts, numbers, lists, `true`, `false`, `null`, and maps, which count twice. Of one object at most
1,000 fields that do not fit its schema are printed.
";

/// The kinds that people write, and what this page says before their fields.
const KINDS: [(&str, &str); 3] = [
    ("Rollout", "A workload and how its next version is released."),
    (
        "AnalysisTemplate",
        "Metrics and how they are judged, for the Rollouts of one namespace. A `ClusterAnalysisTemplate` has the same fields and\n\
         is for all namespaces. [analysis.md](analysis.md) says what the judges do.",
    ),
    (
        "RolloutCommand",
        "A command as `glidepath promote` and the others record it. Its spec never changes; its status says what became of it.",
    ),
];

/// Objects of Kubernetes itself, which its own reference describes.
const FOREIGN: [&str; 2] = ["spec.selector", "spec.template"];

pub fn text() -> String {
    let mut out = HEAD.to_owned();
    for (kind, words) in KINDS {
        let schema = crds::schema(kind).unwrap();
        out += &format!("\n## {kind}\n\n{words}\n");
        object(&schema["properties"]["spec"], "spec", &mut out);
    }
    out
}

/// The fields of one object as a table, then those of the objects in it.
fn object(schema: &Value, path: &str, out: &mut String) {
    let Some(fields) = schema["properties"].as_object() else { return };
    *out += &format!("\n### {path}\n\n| field | type | |\n| --- | --- | --- |\n");
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in fields {
        let needed = if required.contains(&name.as_str()) { ", required" } else { "" };
        let meaning = field["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
        *out += &format!("| `{name}` | {}{needed} | {meaning} |\n", type_of(field));
    }
    let rules =
        schema["x-kubernetes-validations"].as_array().into_iter().flatten().filter_map(|r| r["message"].as_str());
    let rules: Vec<&str> = rules.collect();
    if !rules.is_empty() {
        *out += &format!("\nRules: {}.\n", rules.join("; "));
    }
    for (name, field) in fields {
        let path = format!("{path}.{name}");
        if FOREIGN.contains(&path.as_str()) {
            continue;
        }
        match field["type"].as_str() {
            Some("array") => object(&field["items"], &format!("{path}[]"), out),
            _ => object(field, &path, out),
        }
    }
}

fn type_of(field: &Value) -> String {
    let texts = |key: &str| -> Vec<String> {
        field[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(|text| format!("`{text}`")).collect()
    };
    let variants = texts("enum");
    if !variants.is_empty() {
        return variants.join(", ");
    }
    let of = match field["type"].as_str() {
        Some("array") => format!("list of {}", type_of(&field["items"])),
        Some("object") => "object".to_owned(),
        Some("string") if field["pattern"].as_str().is_some_and(|pattern| pattern.contains("(ms|s|m|h|d)")) => {
            "duration".to_owned()
        }
        Some("string") => "text".to_owned(),
        Some("integer") => "whole number".to_owned(),
        Some(other) => other.to_owned(),
        None => "number or text".to_owned(),
    };
    match (field["minimum"].as_f64(), field["maximum"].as_f64()) {
        (Some(least), Some(most)) => format!("{of}, {least} to {most}"),
        (Some(least), None) if least > 0.0 => format!("{of}, at least {least}"),
        _ => of,
    }
}
