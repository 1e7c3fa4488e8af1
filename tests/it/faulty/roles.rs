//! The roles of `deploy/rbac.yaml`: what they do not grant is refused, as the real authorizer does, and is a failure of the
//! test, for the controller sends nothing that it may not.

use std::{collections::BTreeSet, sync::LazyLock};

use serde::Deserialize;

use super::verbs::Call;

#[derive(Deserialize)]
struct Role {
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
}

/// Group, resource and verb of everything that the controller's roles grant.
static GRANTED: LazyLock<BTreeSet<(String, String, String)>> = LazyLock::new(|| {
    let text = include_str!("../../../deploy/rbac.yaml");
    let roles = text.split("\n---\n").map(|document| serde_yaml::from_str::<Role>(document).unwrap());
    let ours = ["glidepath-controller", "glidepath-leader", "glidepath-presets"];
    let ours = roles.filter(|role| role.kind.ends_with("Role") && ours.contains(&role.metadata.name.as_str()));
    ours.flat_map(|role| role.rules).flat_map(granted).collect()
});

fn granted(rule: Rule) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    for group in &rule.api_groups {
        for resource in &rule.resources {
            all.extend(rule.verbs.iter().map(|verb| (group.clone(), resource.clone(), verb.clone())));
        }
    }
    all
}

/// What a call needs and the roles do not grant.
pub fn lacks(call: &Call) -> Option<String> {
    let resource = match call.subresource.as_str() {
        "" => call.kind.plural.to_owned(),
        subresource => format!("{}/{subresource}", call.kind.plural),
    };
    let verb = call.verb();
    let needed = (call.kind.group.to_owned(), resource, verb.to_owned());
    (!GRANTED.contains(&needed)).then(|| format!("deploy/rbac.yaml does not grant {verb} on {}", needed.1))
}
