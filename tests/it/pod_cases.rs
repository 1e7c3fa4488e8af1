//! The cases of `tests/golden/lint/pods.yaml`: pod templates, and what `lint` says about each.

use std::{collections::BTreeMap, path::Path};

use glidepath::{cli::offline::lint::lint, yaml};
use serde_json::{Value, json};

/// A pod template with its selector.
pub struct Case {
    pub name: String,
    pub selector: Value,
    pub template: Value,
    /// What is said about it; nothing for one that is taken.
    pub says: Option<String>,
}

/// All of them, in the order of the file.
pub fn cases() -> Vec<Case> {
    let cases: Vec<Value> = yaml::read_one(include_str!("../golden/lint/pods.yaml")).unwrap();
    let base = cases.iter().find_map(|case| case.get("base")).unwrap();
    cases.iter().map(|case| read(case, base)).collect()
}

fn read(case: &Value, base: &Value) -> Case {
    let mut template = base["template"].clone();
    json_patch::merge(&mut template["metadata"], case.get("metadata").unwrap_or(&json!({})));
    json_patch::merge(&mut template["spec"]["containers"][0], case.get("container").unwrap_or(&json!({})));
    json_patch::merge(&mut template["spec"], case.get("pod").unwrap_or(&json!({})));
    Case {
        name: case["name"].as_str().unwrap().to_owned(),
        selector: case.get("selector").unwrap_or(&base["selector"]).clone(),
        template,
        says: case["says"].as_str().map(str::to_owned),
    }
}

/// The errors that `lint` reports for a Rollout of each case, by the case's name: `path: message`.
pub fn errors(cases: &[Case], folder: &Path) -> BTreeMap<String, Vec<String>> {
    for case in cases {
        let rollout = json!({
            "apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": case.name},
            "spec": {"selector": case.selector, "template": case.template, "strategy": {"canary": {"steps": []}}},
        });
        std::fs::write(folder.join(format!("{}.json", case.name)), rollout.to_string()).unwrap();
    }
    let report = lint(&[folder.to_owned()]).unwrap();
    let mut errors: BTreeMap<String, Vec<String>> = cases.iter().map(|case| (case.name.clone(), Vec::new())).collect();
    for finding in report.findings.into_iter().filter(|finding| finding.severity == "error") {
        let name = Path::new(&finding.file).file_stem().unwrap().to_string_lossy().into_owned();
        errors.entry(name).or_default().push(format!("{}: {}", finding.path, finding.message));
    }
    errors
}
