//! The manifests in `deploy/` allow what the code does, and nothing like everything.

use std::collections::{BTreeMap, BTreeSet};

use glidepath::{
    mesh::{MESHES, fields},
    router::{ROUTERS, custom::presets},
};
use serde_json::{Value, json};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");

fn documents(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(format!("{FOLDER}/{file}")).unwrap();
    text.split("\n---\n").map(|document| serde_yaml::from_str(document).unwrap()).collect()
}

fn texts(value: &Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn controller_rules() -> Vec<Value> {
    rules_of("glidepath-controller")
}

fn rules_of(name: &str) -> Vec<Value> {
    role(name)["rules"].as_array().unwrap().clone()
}

fn role(name: &str) -> Value {
    documents("rbac.yaml").into_iter().find(|d| d["kind"] == "ClusterRole" && d["metadata"]["name"] == name).unwrap()
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

/// What the adapters send, resource by resource; a verb more would be a gift to whoever steals the token. The faulty API server
/// and the end-to-end tests run the controller with exactly these rules, so one too few fails there.
const SENT: [(&str, &str); 31] = [
    ("rollouts", "get list patch watch"),
    ("rollouts/status", "patch"),
    ("analysistemplates", "get"),
    ("clusteranalysistemplates", "get"),
    ("analysisruns", "create delete get list patch watch"),
    ("analysisruns/status", "patch"),
    ("rolloutcommands", "delete list watch"),
    ("rolloutcommands/status", "patch"),
    ("replicasets", "create delete get list patch watch"),
    ("deployments", "list patch watch"),
    ("horizontalpodautoscalers", "list watch"),
    ("services", "create list patch watch"),
    ("pods", "get list patch watch"),
    ("pods/eviction", "create"),
    ("endpointslices", "list watch"),
    ("events", "create"),
    ("customresourcedefinitions", "list watch"),
    ("virtualservices", "list update watch"),
    ("destinationrules", "create delete list update watch"),
    ("traefikservices", "list update watch"),
    ("trafficsplits", "list update watch"),
    ("ingresses", "create delete list update watch"),
    ("servicesplitters", "list update watch"),
    ("serviceresolvers", "list update watch"),
    ("servicerouters", "create delete list update watch"),
    ("servicedefaults", "list watch"),
    ("proxydefaults", "list watch"),
    ("httproutes", "list update watch"),
    ("grpcroutes", "list update watch"),
    ("tcproutes", "list update watch"),
    ("tlsroutes", "list update watch"),
];

#[test]
fn the_controller_may_do_what_it_does_and_no_more() {
    let mut granted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for rule in controller_rules() {
        for resource in texts(&rule["resources"]) {
            granted.entry(resource).or_default().extend(texts(&rule["verbs"]));
        }
    }
    granted.remove("referencegrants"); // only where Gateway API is installed: the routers' test has it
    let words = |verbs: &str| verbs.split(' ').map(str::to_owned).collect();
    let sent: BTreeMap<String, BTreeSet<String>> =
        SENT.iter().map(|(resource, verbs)| ((*resource).to_owned(), words(verbs))).collect();
    assert_eq!(granted, sent);
    let leader = documents("rbac.yaml").into_iter().find(|d| d["kind"] == "Role").unwrap();
    assert_eq!(texts(&leader["rules"][0]["verbs"]), words("create get update"));
}

/// Jobs are opt-in: the role exists, holds what is sent, and is bound to no one.
#[test]
fn the_rights_to_jobs_are_bound_to_no_one() {
    let all = documents("rbac.yaml");
    let role = all.iter().find(|d| d["metadata"]["name"] == "glidepath-jobs").unwrap();
    let rules = role["rules"].as_array().unwrap().iter().map(|rule| (texts(&rule["resources"]), texts(&rule["verbs"])));
    let of = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(
        rules.collect::<Vec<_>>(),
        [(of(&["jobs"]), of(&["create", "delete", "get"])), (of(&["pods/log"]), of(&["get"]))]
    );
    assert!(all.iter().all(|document| document["roleRef"]["name"] != "glidepath-jobs"));
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
    let rules = [controller_rules(), rules_of("glidepath-presets")].concat();
    let mut said: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
    for wanted in ROUTERS.iter().flat_map(|router| router.rbac) {
        for resource in wanted.resources {
            let verbs = wanted.verbs.iter().map(|verb| (*verb).to_owned());
            said.entry((wanted.group, resource)).or_default().extend(verbs);
        }
    }
    for ((group, resource), verbs) in said {
        let about =
            |rule: &&Value| texts(&rule["apiGroups"]).contains(group) && texts(&rule["resources"]).contains(resource);
        let granted: BTreeSet<String> = rules.iter().filter(about).flat_map(|rule| texts(&rule["verbs"])).collect();
        assert_eq!(granted, verbs, "{group} {resource}");
    }
}

/// Without --mesh none of it is granted; with it, what the meshes and the adapter say, and no more.
#[test]
fn every_mesh_may_do_what_it_says_and_no_more() {
    type Rights = BTreeMap<(String, String), BTreeSet<String>>;
    let granted = |name: &str| -> Rights {
        let all = documents("mesh/rbac.yaml");
        let role = all.iter().find(|d| d["kind"] == "ClusterRole" && d["metadata"]["name"] == name).unwrap();
        let mut granted = Rights::new();
        for rule in role["rules"].as_array().unwrap() {
            for (group, resource) in texts(&rule["apiGroups"])
                .iter()
                .flat_map(|group| texts(&rule["resources"]).into_iter().map(move |resource| (group.clone(), resource)))
            {
                granted.entry((group, resource)).or_default().extend(texts(&rule["verbs"]));
            }
        }
        granted
    };
    let words = |verbs: &str| verbs.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
    let ours = [
        ("glidepath.dev", "meshpolicies", "list watch patch"),
        ("glidepath.dev", "meshpolicies/status", "patch"),
        ("apps", "controllerrevisions", "get create delete"),
        ("apps", "statefulsets", "list watch"),
        ("apps", "daemonsets", "list watch"),
        ("", "serviceaccounts", "list watch"),
    ];
    let mut said: Rights =
        ours.iter().map(|(group, resource, verbs)| (((*group).into(), (*resource).into()), words(verbs))).collect();
    for rule in MESHES.iter().flat_map(|mesh| mesh.rbac) {
        for resource in rule.resources {
            let verbs = rule.verbs.iter().map(|verb| (*verb).to_owned());
            said.entry((rule.group.to_owned(), (*resource).to_owned())).or_default().extend(verbs);
        }
    }
    // An EnvoyFilter can change anything in a proxy: to write them is granted namespace by namespace.
    let envoy_filters = ("networking.istio.io".to_owned(), "envoyfilters".to_owned());
    said.insert(envoy_filters.clone(), words("list watch"));
    assert_eq!(granted("glidepath-mesh"), said);
    let optional = Rights::from([(envoy_filters, words("create update delete"))]);
    assert_eq!(granted("glidepath-mesh-envoyfilters"), optional);
    let bound: Vec<Value> = documents("mesh/rbac.yaml").into_iter().filter(|d| d["roleRef"].is_object()).collect();
    assert!(bound.len() == 1 && bound[0]["roleRef"]["name"] == "glidepath-mesh");
}

/// A right to MeshPolicies is none to what no section says: every section is asked for, and the admin role has them all.
#[test]
fn every_section_of_a_policy_takes_a_right_of_its_own() {
    let sections: BTreeSet<String> = fields()
        .iter()
        .filter_map(|field| field.split(['.', '[']).next().map(str::to_owned))
        .chain(["profile".to_owned()])
        .collect();
    let policy = documents("mesh/admission.yaml").remove(0);
    let asked = policy["spec"]["validations"].as_array().unwrap().iter().map(|validation| {
        let expression = validation["expression"].as_str().unwrap();
        let section = expression.split("has(spec.").nth(1).unwrap().split(')').next().unwrap();
        assert!(expression.contains(&format!("subresource('{section}')")), "{expression}");
        section.to_owned()
    });
    assert_eq!(asked.collect::<BTreeSet<_>>(), sections);
    let all = documents("mesh/rbac.yaml");
    let admin = all.iter().find(|d| d["metadata"]["name"] == "glidepath-mesh-edit").unwrap();
    let rules = admin["rules"].as_array().unwrap().iter().filter(|rule| texts(&rule["verbs"]).len() == 1);
    let granted: BTreeSet<String> = rules.flat_map(|rule| texts(&rule["resources"])).collect();
    for section in sections {
        assert!(granted.contains(&format!("meshpolicies/{section}")), "{section}");
    }
}

/// Whoever may create ClusterRoles grants a kind that no release knows; what presets write is granted the same way.
#[test]
fn kinds_of_custom_are_granted_by_roles_with_a_label() {
    let collected = role("glidepath-custom-routes");
    let label = &collected["aggregationRule"]["clusterRoleSelectors"][0]["matchLabels"];
    assert_eq!(*label, json!({"glidepath.dev/aggregate-to-controller": "true"}));
    assert_eq!(role("glidepath-presets")["metadata"]["labels"], *label);
    let bound = documents("rbac.yaml").into_iter().find(|d| d["roleRef"]["name"] == "glidepath-custom-routes").unwrap();
    assert_eq!(bound["subjects"][0]["name"], "glidepath");
    let granted: BTreeSet<String> =
        rules_of("glidepath-presets").iter().flat_map(|rule| texts(&rule["resources"])).collect();
    let written: BTreeSet<String> = presets().map(|preset| preset.kind.plural.to_string()).collect();
    assert_eq!(granted, written);
}

/// The files of a folder but for its kustomization.
fn manifests(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(format!("{FOLDER}/{folder}")).unwrap().map(|entry| entry.unwrap());
    let names = entries.filter(|entry| entry.path().is_file()).map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".yaml") && name != "kustomization.yaml").collect()
}

/// H10: deleting the controller must not delete the kinds, and every Rollout with them.
#[test]
fn the_kinds_are_a_base_of_their_own_and_both_bases_are_whole() {
    for folder in [".", "crds"] {
        let base = documents(&format!("{folder}/kustomization.yaml")).remove(0);
        assert_eq!(texts(&base["resources"]), manifests(folder), "deploy/{folder}");
    }
}

/// L5: what a node drain, a full cluster, or a curious neighbor may do to the controller.
#[test]
fn the_controller_is_protected_as_a_cluster_service() {
    let pod = |file: &str| documents(file).remove(0);
    let labels = &pod("deployment.yaml")["spec"]["template"]["metadata"]["labels"].clone();
    for (file, selector) in
        [("networkpolicy.yaml", "/spec/podSelector"), ("poddisruptionbudget.yaml", "/spec/selector")]
    {
        assert_eq!(&pod(file).pointer(selector).unwrap()["matchLabels"], labels, "{file}");
    }
    let spec = &pod("deployment.yaml")["spec"]["template"]["spec"].clone();
    assert_eq!(spec["priorityClassName"], pod("priorityclass.yaml")["metadata"]["name"]);
    let spread = &spec["topologySpreadConstraints"][0];
    assert_eq!(
        (&spread["whenUnsatisfiable"], &spread["labelSelector"]["matchLabels"]),
        (&"DoNotSchedule".into(), labels)
    );
}

/// C1: Debian's slim images have no CA certificates.
#[test]
fn the_image_has_ca_certificates_and_no_root() {
    let text = std::fs::read_to_string(format!("{FOLDER}/Dockerfile")).unwrap();
    let last = text.rsplit("FROM ").next().unwrap();
    assert!(last.contains("ca-certificates") && last.contains("USER 65532"), "{last}");
    assert!(last.contains("ENV MIMALLOC_ALLOW_THP=0"), "huge pages take half as much memory again: {last}");
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
