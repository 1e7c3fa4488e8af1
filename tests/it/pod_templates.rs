//! Pod templates: `lint` says what the API server would refuse, and takes what it takes.

use std::collections::BTreeSet;

use assert_cmd::Command;

use crate::pod_cases::{cases, errors};

// W8.
#[test]
fn w8_pod_templates_are_checked_as_the_api_server_would() {
    let (cases, folder) = (cases(), tempfile::tempdir().unwrap());
    let errors = errors(&cases, folder.path());
    let names: BTreeSet<&String> = cases.iter().map(|case| &case.name).collect();
    assert!(names.len() == cases.len() && cases.len() > 120, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let found = &errors[&case.name];
        let right = match &case.says {
            None => found.is_empty(),
            Some(says) => found.iter().any(|error| error.contains(says)),
        };
        if !right {
            wrong.push(format!("{}: wanted {:?}, got {found:#?}", case.name, case.says));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One mistake is one finding, so that it is clear what to fix. A few are two: a selector cannot match what is no text.
#[test]
fn one_mistake_in_a_template_is_reported_once() {
    let (cases, folder) = (cases(), tempfile::tempdir().unwrap());
    let twice = ["label-key", "selector-label-number"];
    let errors = errors(&cases, folder.path());
    let many: Vec<_> =
        errors.iter().filter(|(name, errors)| errors.len() > 1 && !twice.contains(&name.as_str())).collect();
    assert!(many.is_empty(), "{many:#?}");
}

#[test]
fn the_template_of_an_adopted_deployment_is_checked_too() {
    let rollout = "apiVersion: glidepath.dev/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec:\n  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: NAME}\n  strategy: {canary: {steps: []}}\n";
    let deployment = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: 1.10}]}}\n";
    for (name, code) in [("web", 1), ("other", 0)] {
        let text = rollout.replace("NAME", name) + deployment;
        let mut lint = Command::cargo_bin("glidepath").unwrap();
        let output = lint.args(["lint", "-"]).write_stdin(text).assert().code(code).get_output().clone();
        let said = String::from_utf8(output.stdout).unwrap();
        let wanted = "13:78  error   spec.template.spec.containers[0].image: must be a string (quote it), got 1.10\n";
        assert_eq!(said.contains(wanted), code == 1, "{said}");
    }
}
