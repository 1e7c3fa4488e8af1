//! `lint` against the real API server, which has the last word on pod templates.

#[path = "../it/pod_cases.rs"]
mod pod_cases;

use crate::kubectl::feed;
use crate::lane;
use pod_cases::{Case, cases, errors};
use serde_json::json;

/// A Deployment with the template of every case is refused exactly when `lint` reports an error for a Rollout with it.
#[test]
fn lint_and_the_api_server_agree_on_pod_templates() {
    let (cases, folder) = (cases(), tempfile::tempdir().unwrap());
    let errors = errors(&cases, folder.path());
    let disagreed: Vec<String> = cases
        .iter()
        .filter_map(|case| match (dry_run(case), errors[&case.name].as_slice()) {
            (Ok(()), []) | (Err(_), [_, ..]) => None,
            (Ok(()), [error, ..]) => Some(format!("{}: the API server takes it, lint: {error}", case.name)),
            (Err(refusal), []) => Some(format!("{}: lint takes it, the API server: {refusal}", case.name)),
        })
        .collect();
    assert!(disagreed.is_empty(), "{}", disagreed.join("\n"));
}

/// What `kubectl apply` would do with it.
fn dry_run(case: &Case) -> Result<(), String> {
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": case.name, "namespace": "default"},
        "spec": {"selector": case.selector, "template": case.template},
    });
    let args = ["apply", "--dry-run=server", "-f", "-"];
    feed(lane().folder(), &args, &deployment.to_string()).map(drop).map_err(|error| format!("{error:#}"))
}
