//! The route objects of a Rollout, judged by the router that will write them.

use serde_json::Value;

use super::{
    named_routes::{Named, named},
    objects::{Found, Objects, Rollout},
};
use crate::{
    api::{self, strategy::HeaderRoute, validate::Finding},
    cluster::targets::route_context,
    engine::{RouteIntent, stickiness},
    ports::RolloutKey,
    router::{self, ConsulError, CustomError, GatewayError, RouteError, RouteScope},
};

/// Where kubectl puts what names no namespace.
const DEFAULT: &str = "default";

/// Each route object, and what else the entry names, as far as they are in the files.
pub(super) fn check(rollout: &Rollout<'_>, files: &Objects<'_>, found: &mut Found) {
    for (index, entry) in rollout.spec.traffic.iter().enumerate() {
        let path = format!("spec.traffic[{index}]");
        found.extend(
            named(entry, &path)
                .iter()
                .filter_map(|route| judged(rollout, files, route))
                .map(|one| (rollout.index, one)),
        );
        let rule = entry.istio.as_ref().and_then(|istio| istio.destination_rule.as_ref());
        if let Some(words) = rule.and_then(|rule| files.near("DestinationRule", &rule.name)) {
            found.push((rollout.index, Finding::warning(format!("{path}.istio.destinationRule.name"), words)));
        }
    }
}

/// What the router says of one route object.
fn judged(rollout: &Rollout<'_>, files: &Objects<'_>, route: &Named<'_>) -> Option<Finding> {
    let own = files.namespace(rollout.index);
    let namespace = route.namespace.or(own);
    let Some(index) = files.find(rollout.index, route.group, route.kind, route.name, namespace) else {
        let words = files.near(route.kind, route.name).filter(|_| !route.is_optional)?;
        return Some(Finding::warning(format!("{}{}", route.path, route.name_field), words));
    };
    let object = &files.document(index).value;
    // A patch of an overlay has no routes.
    let lists = route.lists.iter().filter_map(|list| object["spec"].pointer(list));
    if !lists.into_iter().any(|list| list.is_array() || list.is_object()) {
        return None;
    }
    let rule = match route.rule {
        None => None,
        // Only the rule knows the host.
        Some(name) => {
            let rule = files.find(rollout.index, route.group, "DestinationRule", name, own)?;
            Some(&files.document(rule).value).filter(|rule| rule["spec"]["subsets"].is_array())
        }
    };
    let namespace = own.unwrap_or(DEFAULT);
    let place = route.namespace.unwrap_or(namespace);
    let mut objects: router::Objects = rule.map(|rule| placed(rule, namespace)).into_iter().collect();
    if route.is_listed {
        let all = files.all(rollout.index, route.group, route.kind, own);
        all.into_iter().for_each(|index| objects.insert(placed(&files.document(index).value, namespace)));
    }
    if let Some((name, of)) = route.root {
        let root = files.find(rollout.index, route.group, route.kind, name, of.or(own));
        let root = root.map(|index| placed(&files.document(index).value, of.unwrap_or(namespace)));
        root.into_iter().for_each(|root| objects.insert(root));
    }
    objects.insert(placed(object, place));
    let refused = refusals(rollout, route, namespace, &objects);
    let (field, message) = refused.iter().find_map(|error| said(error, route, object))?;
    Some(Finding::error(format!("{}{field}", route.path), message))
}

/// The object in the namespace that it will be in.
fn placed(object: &Value, namespace: &str) -> Value {
    let mut object = object.clone();
    object["metadata"]["namespace"] = namespace.into();
    object
}

/// Why the router cannot write this object.
fn refusals(rollout: &Rollout<'_>, route: &Named<'_>, namespace: &str, objects: &router::Objects) -> Vec<RouteError> {
    let spec = api::RolloutSpec { traffic: vec![route.alone.clone()], ..rollout.spec.clone() };
    let key = RolloutKey { namespace: namespace.to_owned(), name: rollout.name.to_owned() };
    let context = route_context(&key, &api::Rollout::new(rollout.name, spec.clone()), &RouteScope::default());
    let routers = router::routers(&spec);
    routers.first().map(|router| router.plan_all(&context, objects, &everything(&spec)).refused).unwrap_or_default()
}

/// All that the strategy may ask for beside a weight.
fn everything(spec: &api::RolloutSpec) -> RouteIntent {
    let steps = spec.strategy.steps();
    let mut headers: Vec<HeaderRoute> = Vec::new();
    for route in steps.iter().filter_map(|step| step.set_header_route.as_ref()) {
        if !route.matches.is_empty() && headers.iter().all(|known| known.name != route.name) {
            headers.push(route.clone());
        }
    }
    let mut mirrors = steps.iter().rev().filter_map(|step| step.set_mirror_route.as_ref());
    let mirror = mirrors.find(|mirror| !mirror.percent.is_zero()).cloned();
    let sticky = stickiness(spec, "lint".to_owned());
    // A canary's last weight has the most routes for sticky users.
    let canary = sticky.as_ref().and_then(|sticky| sticky.weights.last().copied()).unwrap_or_default();
    RouteIntent { canary, headers, mirror, sticky }
}

/// The field below the reference that the error concerns, and the error on one line. Consent is given in the cluster, and
/// what a router cannot do is said of the step that asks for it.
fn said(error: &RouteError, route: &Named<'_>, object: &Value) -> Option<(String, String)> {
    match error {
        RouteError::NoConsent { .. }
        | RouteError::Missing { .. }
        | RouteError::NotOurs { .. }
        | RouteError::Unsupported { .. }
        | RouteError::ConnectionsOnly { .. }
        | RouteError::MatchNotExpressible { .. }
        | RouteError::Custom(CustomError::Invalid { .. })
        | RouteError::Gateway(GatewayError::BackendNotGranted { .. }) => None,
        RouteError::RouteNotFound { route: name, .. }
        | RouteError::Gateway(GatewayError::RuleNotFound { rule: name, .. }) => {
            let index = route.names.iter().position(|known| known == name)?;
            Some((format!(".{}[{index}]", route.names_field), error.to_string()))
        }
        RouteError::StableDestinationMissing { place, wanted, hint, .. }
        | RouteError::CanaryDestinationMissing { place, wanted, hint, .. } => {
            let there = shown(&hosts(object));
            Some((String::new(), format!("{place} has no destination {wanted}{hint}; its destinations are {there}")))
        }
        RouteError::Gateway(GatewayError::BackendMissing { place, service, .. }) => {
            let there = shown(&backends(object));
            let message =
                format!("{place} has no backendRef to Service {service}; the route's backendRefs are {there}");
            Some((String::new(), message))
        }
        RouteError::Consul(ConsulError::SplitMissing { place, what, .. }) => {
            Some((String::new(), format!("{place} has no split for {what}")))
        }
        RouteError::Consul(ConsulError::SubsetMissing { place, subset, exist, .. }) => {
            Some((String::new(), format!("{place} has no subset `{subset}`; it has {exist}")))
        }
        RouteError::EntryMissing { place, service, list, .. } if route.alone.custom.is_some() => {
            Some((String::new(), format!("{place} has a list at {list} without an entry for Service `{service}`")))
        }
        RouteError::EntryMissing { place, service, list, .. } => {
            let there = shown(&entries(object));
            let message = format!("{place} has no entry for Service `{service}` in {list}; its entries are {there}");
            Some((String::new(), message))
        }
        _ => Some((String::new(), error.to_string())),
    }
}

/// The destinations of all routes of a VirtualService, as they are written.
fn hosts(object: &Value) -> Vec<String> {
    let routes = ["http", "tcp", "tls"].into_iter().flat_map(|protocol| list(&object["spec"][protocol]));
    routes.flat_map(|route| list(&route["route"])).filter_map(|entry| destination(&entry["destination"])).collect()
}

fn destination(destination: &Value) -> Option<String> {
    let host = destination["host"].as_str()?;
    let subset = destination["subset"].as_str().map(|subset| format!(" subset `{subset}`"));
    Some(format!("`{host}`{}", subset.unwrap_or_default()))
}

/// The backends of all rules of a route, by name.
fn backends(object: &Value) -> Vec<String> {
    let entries = list(&object["spec"]["rules"]).flat_map(|rule| list(&rule["backendRefs"]));
    entries.filter_map(|entry| Some(format!("`{}`", entry["name"].as_str()?))).collect()
}

/// The Services of a list of weights: of a TraefikService by `name`, of a TrafficSplit by `service`.
fn entries(object: &Value) -> Vec<String> {
    let spec = &object["spec"];
    let all = list(&spec["weighted"]["services"]).map(|entry| &entry["name"]);
    let all = all.chain(list(&spec["backends"]).map(|entry| &entry["service"]));
    all.filter_map(|name| Some(format!("`{}`", name.as_str()?))).collect()
}

/// Each name once.
fn shown(all: &[String]) -> String {
    let first = all.iter().enumerate().filter(|(index, name)| !all[..*index].contains(name));
    let names: Vec<&str> = first.map(|(_, name)| name.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
