//! The manifests in `deploy/` allow what the code does, and nothing like everything.

use std::collections::BTreeSet;

use glidepath::router::ROUTERS;
use serde_json::Value;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");

fn documents(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(format!("{FOLDER}/{file}")).unwrap();
    text.split("\n---\n").map(|document| serde_yaml::from_str(document).unwrap()).collect()
}

fn texts(value: &Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn controller_rules() -> Vec<Value> {
    let role = documents("rbac.yaml").into_iter().find(|d| d["metadata"]["name"] == "glidepath-controller").unwrap();
    role["rules"].as_array().unwrap().clone()
}

#[test]
fn no_role_has_wildcards_or_secrets() {
    for role in documents("rbac.yaml") {
        for rule in role["rules"].as_array().into_iter().flatten() {
            for field in ["apiGroups", "resources", "verbs"] {
                assert!(!texts(&rule[field]).contains("*"), "{rule}");
            }
            assert!(!texts(&rule["resources"]).contains("secrets"), "{rule}");
        }
    }
}

/// Pods are labelled for their role and evicted, never deleted or written whole.
#[test]
fn pods_may_be_patched_and_nothing_more() {
    let rules = controller_rules().into_iter();
    let pods = rules.filter(|rule| texts(&rule["resources"]).contains("pods")).map(|rule| texts(&rule["verbs"]));
    let wanted = ["get", "list", "patch", "watch"].map(str::to_owned);
    assert_eq!(pods.collect::<Vec<_>>(), [BTreeSet::from(wanted)]);
}

#[test]
fn every_router_may_do_what_it_says() {
    let rules = controller_rules();
    for wanted in ROUTERS.iter().flat_map(|router| router.rbac) {
        for resource in wanted.resources {
            let rule = rules.iter().find(|rule| {
                texts(&rule["apiGroups"]).contains(wanted.group) && texts(&rule["resources"]).contains(*resource)
            });
            let granted = rule.map(|rule| texts(&rule["verbs"])).unwrap_or_default();
            let verbs: BTreeSet<String> = wanted.verbs.iter().map(|verb| (*verb).to_owned()).collect();
            assert_eq!(granted, verbs, "{} {resource}", wanted.group);
        }
    }
}

#[test]
fn every_file_of_the_base_is_there_and_every_crd_is_in_it() {
    let base = documents("kustomization.yaml").remove(0);
    let named = texts(&base["resources"]);
    for file in &named {
        assert!(std::path::Path::new(&format!("{FOLDER}/{file}")).is_file(), "{file}");
    }
    for file in std::fs::read_dir(format!("{FOLDER}/crds")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(named.contains(&format!("crds/{name}")), "crds/{name} is not in the base");
    }
}

#[test]
fn s82_the_edit_role_gives_every_command() {
    let documents = documents("rbac.yaml");
    let role = documents.iter().find(|role| role["metadata"]["name"] == "glidepath-edit").unwrap();
    let rules = role["rules"].as_array().unwrap().iter();
    let given: BTreeSet<String> = rules
        .filter(|rule| texts(&rule["verbs"]).contains("update"))
        .flat_map(|rule| texts(&rule["resources"]))
        .collect();
    let schema = schemars::schema_for!(glidepath::api::command::Verb);
    let verbs: Vec<&str> =
        schema.as_value()["oneOf"].as_array().unwrap().iter().filter_map(|v| v["const"].as_str()).collect();
    assert!(verbs.len() >= 7, "{verbs:?}");
    for verb in verbs {
        assert!(given.contains(&format!("rollouts/{verb}")), "{verb} is not in the edit role");
    }
}
