//! Rules of Gateway API routes that keep sessions: users with one do not follow the weights.

use serde_json::Value;

use super::{
    named_routes::{Named, named},
    objects::{Found, Objects, Rollout},
};
use crate::{
    api::{
        names::{canary_service, stable_service},
        validate::Finding,
    },
    router::gateway::sessions::kept_by,
};

/// Each route of an entry in which a rule to split keeps sessions.
pub(super) fn check(rollout: &Rollout<'_>, files: &Objects<'_>, found: &mut Found) {
    for (index, entry) in rollout.spec.traffic.iter().enumerate().filter(|(_, entry)| entry.gateway.is_some()) {
        for route in named(entry, &format!("spec.traffic[{index}]")) {
            let namespace = route.namespace.or(files.namespace(rollout.index));
            let Some(object) = files.find(rollout.index, route.group, route.kind, route.name, namespace) else {
                continue;
            };
            let rules = files.document(object).value["spec"]["rules"].as_array().into_iter().flatten();
            let Some(number) =
                rules.enumerate().find_map(|(number, rule)| splits(rollout, &route, rule).then_some(number))
            else {
                continue;
            };
            let message = format!(
                "rule {} of {} \"{}\" keeps sessions (sessionPersistence): a user with one follows neither a weight nor an abort \
                 until its pod is gone, and the counted share of requests is not compared with the weight",
                number + 1,
                route.kind,
                route.name
            );
            found.push((rollout.index, Finding::warning(&route.path, message)));
        }
    }
}

/// Whether a rule is one to split, and keeps sessions.
fn splits(rollout: &Rollout<'_>, route: &Named<'_>, rule: &Value) -> bool {
    let services = rollout.spec.services.as_ref();
    let ours = [services.and_then(stable_service), services.and_then(canary_service)];
    let mut to = rule["backendRefs"].as_array().into_iter().flatten().filter_map(|backend| backend["name"].as_str());
    let is_chosen = match (route.names, rule["name"].as_str()) {
        ([], _) => to.any(|name| ours.iter().flatten().any(|own| own == name)),
        (names, name) => name.is_some_and(|name| names.iter().any(|known| known == name)),
    };
    is_chosen && kept_by(rule)
}
