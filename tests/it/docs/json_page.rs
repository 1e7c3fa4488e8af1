//! `docs/json.md`: the fields that `-o json` and `-o yaml` print; those of the inspecting verbs from their types.

use glidepath::cli::render::output::{API_VERSION, shapes};
use serde_json::Value;

/// What the document of each kind is.
const KINDS: [(&str, &str); 3] = [
    ("RolloutStatus", "What `glidepath status NAME` shows."),
    ("RolloutHistory", "What `glidepath history NAME` shows."),
    ("RolloutExplanation", "What `glidepath explain NAME` says. All texts are human-readable sentences."),
];

/// Kept by a snapshot of each report and by a test that looks for its fields here (`tests/it/lint.rs`).
const REPORTS: &str = "
## LintReport

What `glidepath lint` found in all files.

| field | |
| --- | --- |
| `errors`, `warnings` | how many findings are errors and warnings |
| `files` | how many files were read |
| `checked` | how many Glidepath objects were checked; 0 fails the command |
| `otherKinds` | how many objects of other kinds there are |
| `findings` | by file, line and column: `file`, `line` and `column` (from 1), `severity` (`error` or `warning`), `path` (the field; empty for a file that cannot be read) and `message` |

## PlanReport

What `glidepath plan` says of each Rollout in the files.

| field | |
| --- | --- |
| `plans` | by file and place in it: `rollout` (its name), `replicas`, `replicasAssumed` (whether neither a file nor `--replicas` gave that number), `mesh` (whether routes split the traffic; otherwise the numbers of pods do), `steps`, `waitsAtLeast` (waiting time of the whole release), `pausesForAPerson`, `podsAtMost`, and `load` (the templates whose Jobs send traffic), `canaryMetadata` and `stableMetadata`, where they are set |

A step has its number as `step` (empty where a line is none of the steps), `notBefore` (waiting time until it begins, at the soonest), `what`,
`detail` (both human-readable) and the canary's `weight`.

## SimulationReport

What `glidepath simulate` played.

| field | |
| --- | --- |
| `passed` | whether every expectation was met, and no invariant broke |
| `scenarios` | of `--scenario`: `file`, `description`, `seed`, `passed`, `failure` (null, or `path`, `line`, `column`, `at`, `wanted`, `seen`, `place`), `end`, `expectationsMet`, `requestsLost`, `versions` (`image`, `requests`, `errors`), `releases` (`image`, `at`, `outcome`, `held`, `ended`, `requests`, `errors`) and `timeline` (`at`, `kind`, `text`). With `--runs`: `runs`, `firstSeed`, `passed` (how many runs), `lastRelease` and `firstFailure`. A scenario for a cluster only has `skipped` |
| `estimates` | of the files of Rollouts: `file`, `rps`, `runs`, `firstSeed`, `rows`, `withoutData` (`metric`, `template`, `required`, `why`), `load` (what is said of the templates whose Jobs are not run; absent without one) and `broken` (invariants that broke: bugs) |

A row has the kind of `version`, `when` its fault begins, and the `result`: `releases`, `outcomes` (the share of each),
`secondsToOutcome` (`p50` and `p90`, or null), and the average `requests` and `errors` of the new version.

## SloReport

What `glidepath slo` counted.

| field | |
| --- | --- |
| `name`, `namespace` | the Rollout, or the template's name |
| `objective`, `periodSeconds` | the share of good events that is wanted, in percent, and over how long |
| `seenSeconds` | how much of the period the counters have series of: less than the period for a younger service, or where Prometheus keeps less |
| `availability`, `within` | the share of good events in the period, in percent, and whether it meets the objective; null without requests |
| `budgetLeft`, `exhaustedInSeconds` | the part of the error budget that is left, in percent (below 0 when it is overspent), and when it is spent at the burn rate of the last hour; null at a burn of 1 or less |
| `burning` | the alerts that are on: `fast` (5m and 1h), `slow` (30m and 6h) |
| `windows` | `seconds`, `bad`, `total`, `burn` (null without events) and `limit` (the burn rate of its alert, or null); the last is the period |
| `notes` | human-readable notes |
| `latency` | null without an objective for response times; else the same of requests slower than `underSeconds`, which are `bad`: their counterpart is `share` instead of `availability` |

## MeshCheckReport

What `glidepath mesh check` says of the callers of each Service that a policy is for.

| field | |
| --- | --- |
| `services` | by policy and Service: `service`, `sinceSeconds` (how far back was looked), `verdict` and `callers` |

A verdict is `Allowed` (every caller may call), `Cut` (at least one may not), `Depends` or `Unknown` (no caller was seen). A caller has
its `workload` (`namespace/name`; empty where metrics do not know it), `principal` (null without an identity), `mutualTLS`, `protocol`
(`HTTP` or `TCP`), `count` of requests or connections, `lastSeen` (or null), and the `answer` (`Allowed`, `Cut`, `Depends`) with its
`reason`: why it would be cut, human-readable, or what it depends on; null where it is allowed.
";

/// What stands before the fields.
fn head() -> String {
    format!(
        "# JSON shapes

This page is generated by a test from the types themselves: `UPDATE_DOCS=1 cargo test --test it docs`.

`status NAME`, `history NAME` and `explain NAME` with `-o json` or `-o yaml` print one document each, with what the screen
shows; `slo` one of its service; `lint`, `plan` and `simulate` one for all files. `get -o json` prints the Rollouts as they are stored, whose fields the
[reference](reference.md#rollout) describes.

```sh
glidepath status web -o json
glidepath history web --limit 1 -o json
glidepath explain web -o yaml
```

Every document has these fields:

| field | |
| --- | --- |
| `apiVersion` | `{API_VERSION}`. Fields may be added to a version; they are renamed or removed, or mean something else, only in another one. |
| `kind` | `RolloutStatus`, `RolloutHistory`, `RolloutExplanation`, `LintReport`, `PlanReport`, `SimulationReport`, `SloReport` or `MeshCheckReport` |
| `name`, `namespace` | of the Rollout, in the first three |

Times are RFC 3339, percentages are numbers, lengths of time are whole seconds. Fields marked optional are absent when there is
nothing to say. Texts called human-readable may change at any time; scripts should use the other fields.
"
    )
}

pub fn text() -> String {
    let mut out = head();
    for ((kind, schema), (name, words)) in shapes().iter().zip(KINDS) {
        assert_eq!(*kind, name, "every kind is introduced");
        out += &format!("\n## {kind}\n\n{words}\n");
        object(schema, None, &mut out);
    }
    out + REPORTS
}

/// The fields of one object as a table, then those of the objects in it.
fn object(schema: &Value, path: Option<&str>, out: &mut String) {
    let Some(fields) = schema["properties"].as_object() else { return };
    *out += &path.map(|path| format!("\n### {path}\n")).unwrap_or_default();
    *out += "\n| field | type | |\n| --- | --- | --- |\n";
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in fields {
        let optional = if required.contains(&name.as_str()) { "" } else { ", optional" };
        let meaning = field["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
        *out += &format!("| `{name}` | {}{optional} | {meaning} |\n", type_of(field));
    }
    for (name, field) in fields {
        let path = path.map_or_else(|| name.clone(), |path| format!("{path}.{name}"));
        let field = present(field);
        match field["type"].as_str() {
            Some("array") => object(&field["items"], Some(&format!("{path}[]")), out),
            _ => object(field, Some(&path), out),
        }
    }
}

/// A field that may be absent is its type or null.
fn present(field: &Value) -> &Value {
    let variants = field["anyOf"].as_array().into_iter().flatten();
    variants.into_iter().find(|variant| variant["type"] != "null").unwrap_or(field)
}

fn type_of(field: &Value) -> String {
    let field = present(field);
    let variants = values(field);
    if !variants.is_empty() {
        return variants.join(", ");
    }
    let types: Vec<&str> = match &field["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).filter(|type_| *type_ != "null").collect(),
        type_ => type_.as_str().into_iter().collect(),
    };
    match types.first().copied() {
        Some("array") => format!("list of {}", type_of(&field["items"])),
        Some("string") if field["format"] == "date-time" => "time".to_owned(),
        Some(other) => other.to_owned(),
        None => "number".to_owned(),
    }
}

/// The values of an enumeration.
fn values(field: &Value) -> Vec<String> {
    let constants = field["oneOf"].as_array().into_iter().flatten();
    let constants = constants.flat_map(|variant| values(variant).into_iter().chain(constant(variant)));
    let listed = field["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).map(quoted);
    listed.chain(constants).collect()
}

fn constant(variant: &Value) -> Option<String> {
    variant["const"].as_str().map(quoted)
}

fn quoted(text: &str) -> String {
    format!("`{text}`")
}
