//! The route objects of a Rollout, judged by the router that will write them.

use serde_json::Value;

use super::objects::{Found, Objects, Rollout};
use crate::{
    api::{
        self,
        strategy::HeaderRoute,
        traffic::{IstioTraffic, TrafficRouter, VirtualServiceRef},
        validate::Finding,
    },
    cluster::targets::route_context,
    engine::RouteIntent,
    ports::RolloutKey,
    router::{self, RouteError, RouteScope},
};

const ISTIO: &str = "networking.istio.io";
/// Where kubectl puts what names no namespace.
const DEFAULT: &str = "default";

/// Each VirtualService and the DestinationRule, as far as they are in the files.
pub(super) fn check(rollout: &Rollout<'_>, files: &Objects<'_>, found: &mut Found) {
    let routers = rollout.spec.traffic.iter().enumerate();
    for (index, istio) in routers.filter_map(|(index, entry)| Some((index, entry.istio.as_ref()?))) {
        let path = format!("spec.traffic[{index}].istio");
        for (number, reference) in istio.virtual_services.iter().enumerate() {
            let path = format!("{path}.virtualServices[{number}]");
            found.extend(route(rollout, files, (istio, reference), &path).map(|one| (rollout.index, one)));
        }
        if let Some(words) = istio.destination_rule.as_ref().and_then(|rule| files.near("DestinationRule", &rule.name))
        {
            found.push((rollout.index, Finding::warning(format!("{path}.destinationRule.name"), words)));
        }
    }
}

/// What the router says of one VirtualService.
fn route(
    rollout: &Rollout<'_>,
    files: &Objects<'_>,
    (istio, reference): (&IstioTraffic, &VirtualServiceRef),
    path: &str,
) -> Option<Finding> {
    let own = files.namespace(rollout.index);
    let namespace = reference.namespace.as_deref().or(own);
    let Some(index) = files.find(rollout.index, ISTIO, "VirtualService", &reference.name, namespace) else {
        return files
            .near("VirtualService", &reference.name)
            .map(|words| Finding::warning(format!("{path}.name"), words));
    };
    let object = &files.document(index).value;
    // A patch of an overlay has no routes.
    if !object["spec"]["http"].is_array() {
        return None;
    }
    let rule = istio
        .destination_rule
        .as_ref()
        .map(|rule| files.find(rollout.index, ISTIO, "DestinationRule", &rule.name, own));
    let rule = match rule {
        None => None,
        // Only the rule knows the host.
        Some(None) => return None,
        Some(Some(index)) => Some(&files.document(index).value).filter(|rule| rule["spec"]["subsets"].is_array()),
    };
    let namespace = own.unwrap_or(DEFAULT);
    let place = reference.namespace.as_deref().unwrap_or(namespace);
    let objects: router::Objects =
        [placed(object, place)].into_iter().chain(rule.map(|rule| placed(rule, namespace))).collect();
    let error = refusal(rollout, (istio, reference), namespace, &objects)?;
    let (field, message) = said(&error, reference, object)?;
    Some(Finding::error(format!("{path}{field}"), message))
}

/// The object in the namespace that it will be in.
fn placed(object: &Value, namespace: &str) -> Value {
    let mut object = object.clone();
    object["metadata"]["namespace"] = namespace.into();
    object
}

/// Why the router cannot write this VirtualService.
fn refusal(
    rollout: &Rollout<'_>,
    (istio, reference): (&IstioTraffic, &VirtualServiceRef),
    namespace: &str,
    objects: &router::Objects,
) -> Option<RouteError> {
    let alone = IstioTraffic { virtual_services: vec![reference.clone()], ..istio.clone() };
    let spec = api::RolloutSpec {
        traffic: vec![TrafficRouter { istio: Some(alone), ..TrafficRouter::default() }],
        ..rollout.spec.clone()
    };
    let headers: Vec<HeaderRoute> = spec
        .strategy
        .steps()
        .iter()
        .filter_map(|step| step.set_header_route.clone())
        .filter(|route| !route.matches.is_empty())
        .collect();
    let key = RolloutKey { namespace: namespace.to_owned(), name: rollout.name.to_owned() };
    let context = route_context(&key, &api::Rollout::new(rollout.name, spec.clone()), &RouteScope::default());
    let intent = RouteIntent { headers, ..RouteIntent::default() };
    router::routers(&spec).first()?.plan(&context, objects, &intent).err()
}

/// The field below the reference that the error concerns, and the error on one line. Consent is given in the cluster.
fn said(error: &RouteError, reference: &VirtualServiceRef, object: &Value) -> Option<(String, String)> {
    match error {
        RouteError::NoConsent { .. } | RouteError::Missing { .. } | RouteError::NotOurs { .. } => None,
        RouteError::RouteNotFound { route, .. } => {
            let index = reference.routes.iter().position(|name| name == route)?;
            Some((format!(".routes[{index}]"), error.to_string()))
        }
        RouteError::StableDestinationMissing { place, wanted, hint, .. }
        | RouteError::CanaryDestinationMissing { place, wanted, hint, .. } => {
            let message = format!("{place} has no destination {wanted}{hint}; its destinations are {}", hosts(object));
            Some((String::new(), message))
        }
        _ => Some((String::new(), error.to_string())),
    }
}

/// The destinations of all routes, as they are written.
fn hosts(object: &Value) -> String {
    let routes = object["spec"]["http"].as_array().into_iter().flatten();
    let entries = routes.flat_map(|route| route["route"].as_array().into_iter().flatten());
    let mut names: Vec<String> = Vec::new();
    for name in entries.filter_map(|entry| shown(&entry["destination"])) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn shown(destination: &Value) -> Option<String> {
    let host = destination["host"].as_str()?;
    let subset = destination["subset"].as_str().map(|subset| format!(" subset `{subset}`"));
    Some(format!("`{host}`{}", subset.unwrap_or_default()))
}
