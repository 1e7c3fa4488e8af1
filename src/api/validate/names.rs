//! Names: of our objects, of those that a Rollout refers to, and of those that are derived from them.

use serde_json::Value;

use super::finding::Finding;
use crate::api::{
    ROLLOUT_LABEL,
    fault::FAULT_LABEL,
    names::{self, MOST_LABEL, NameError, label, label_value, qualified_name, subdomain},
    objects::Services,
    rollout::RolloutSpec,
    traffic::{CreatedRoute, TrafficRouter},
};

/// What is wrong with an object's own name. That of a Rollout or a fault is also the value of a label.
pub fn name(kind: &str, name: &str) -> Vec<Finding> {
    let path = "metadata.name";
    let size = name.chars().count();
    match subdomain(name) {
        Err(error) => vec![Finding::error(path, invalid(name, &error))],
        Ok(()) => {
            let label = label_of(kind).filter(|_| size > MOST_LABEL);
            let too_long = |label: &str| {
                format!(
                    "\"{name}\" is invalid: must be no more than {MOST_LABEL} characters, got {size}: it is the value of \
                     the label {label}"
                )
            };
            label.map(|label| Finding::error(path, too_long(label))).into_iter().collect()
        }
    }
}

/// The label whose value is the name of an object of this kind.
fn label_of(kind: &str) -> Option<&'static str> {
    match kind {
        "Rollout" => Some(ROLLOUT_LABEL),
        "MeshFault" => Some(FAULT_LABEL),
        _ => None,
    }
}

/// What the API server refuses in an object's metadata: names, labels, keys of annotations.
pub fn object_metadata(kind: &str, metadata: &Value) -> Vec<Finding> {
    let text = |field: &str| metadata.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let mut found = text("name").map(|own| name(kind, own)).unwrap_or_default();
    if let Some(base) = text("generateName").filter(|_| text("name").is_none()) {
        let whole = if base.ends_with('-') { format!("{base}x") } else { base.to_owned() };
        found.extend(
            subdomain(&whole).err().map(|error| Finding::error("metadata.generateName", invalid(base, &error))),
        );
    }
    if let Some(namespace) = text("namespace") {
        named(namespace, "metadata.namespace", label, &mut found);
    }
    for (key, value) in entries(metadata, "labels") {
        let path = format!("metadata.labels.{key}");
        if let Err(why) = qualified_name(key) {
            found.push(Finding::error(&path, format!("\"{key}\" is not a valid key for a label: {why}")));
        }
        match value.as_str().map(label_value) {
            Some(Ok(())) => {}
            Some(Err(why)) => found.push(Finding::error(&path, format!("{value} is not a valid label value: {why}"))),
            None => found.push(Finding::error(&path, format!("must be a string (quote it), got {value}"))),
        }
    }
    for (key, value) in entries(metadata, "annotations") {
        let path = format!("metadata.annotations.{key}");
        if let Err(why) = qualified_name(key) {
            found.push(Finding::error(&path, format!("\"{key}\" is not a valid key for an annotation: {why}")));
        }
        if !value.is_string() {
            found.push(Finding::error(&path, format!("must be a string (quote it), got {value}")));
        }
    }
    found
}

fn entries<'a>(metadata: &'a Value, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    metadata.get(field).and_then(Value::as_object).into_iter().flatten()
}

/// The names that a Rollout's spec refers to, and those of the Services that are made for it.
pub(super) fn check(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    if let Some(workload) = &spec.workload_ref {
        named(&workload.name, "spec.workloadRef.name", subdomain, found);
    }
    if let Some(strategy) = &spec.strategy.blue_green {
        let fields = [("activeService", &strategy.active_service), ("previewService", &strategy.preview_service)];
        for (field, name) in fields {
            service(name, &format!("spec.strategy.blueGreen.{field}"), found);
        }
    }
    if let Some(services) = &spec.services {
        for (field, name) in [("root", &services.root), ("stable", &services.stable), ("canary", &services.canary)] {
            service(name, &format!("spec.services.{field}"), found);
        }
        derived(spec, services, found);
    }
    routers(spec, found);
    traefik(spec, found);
    smi(spec, found);
    nginx(spec, found);
    consul(spec, found);
    custom(spec, found);
}

fn routers(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    for (index, entry) in spec.traffic.iter().enumerate() {
        let path = format!("spec.traffic[{index}]");
        for (number, reference) in entry.istio.iter().flat_map(|istio| &istio.virtual_services).enumerate() {
            let path = format!("{path}.istio.virtualServices[{number}]");
            route(&reference.name, reference.namespace.as_deref(), &path, found);
            if let Some(root) = &reference.delegate_of {
                route(&root.name, root.namespace.as_deref(), &format!("{path}.delegateOf"), found);
            }
        }
        for (number, reference) in entry.gateway.iter().flat_map(|gateway| &gateway.routes).enumerate() {
            let path = format!("{path}.gateway.routes[{number}]");
            route(&reference.name, reference.namespace.as_deref(), &path, found);
        }
        if let Some(created) = entry.gateway.as_ref().and_then(|gateway| gateway.create_route.as_ref()) {
            created_route(created, &format!("{path}.gateway.createRoute"), found);
        }
        if let Some(rule) = entry.istio.as_ref().and_then(|istio| istio.destination_rule.as_ref()) {
            named(&rule.name, &format!("{path}.istio.destinationRule.name"), subdomain, found);
        }
    }
}

/// A route that Glidepath makes, with all that it names.
fn created_route(created: &CreatedRoute, path: &str, found: &mut Vec<Finding>) {
    if let Some(name) = &created.name {
        named(name, &format!("{path}.name"), subdomain, found);
    }
    for (number, parent) in created.parent_refs.iter().enumerate() {
        route(&parent.name, parent.namespace.as_deref(), &format!("{path}.parentRefs[{number}]"), found);
    }
    for (number, hostname) in created.hostnames.iter().enumerate() {
        let bare = hostname.strip_prefix("*.").unwrap_or(hostname);
        named(bare, &format!("{path}.hostnames[{number}]"), subdomain, found);
    }
}

/// A route object of the user's.
fn route(name: &str, namespace: Option<&str>, path: &str, found: &mut Vec<Finding>) {
    named(name, &format!("{path}.name"), subdomain, found);
    if let Some(namespace) = namespace {
        named(namespace, &format!("{path}.namespace"), label, found);
    }
}

fn traefik(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    let entries = spec.traffic.iter().enumerate().filter_map(|(index, entry)| Some((index, entry.traefik.as_ref()?)));
    for (index, traefik) in entries {
        for (number, reference) in traefik.services.iter().enumerate() {
            let path = format!("spec.traffic[{index}].traefik.services[{number}]");
            named(&reference.name, &format!("{path}.name"), subdomain, found);
            if let Some(namespace) = &reference.namespace {
                named(namespace, &format!("{path}.namespace"), label, found);
            }
        }
    }
}

fn smi(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    let entries = spec.traffic.iter().enumerate().filter_map(|(index, entry)| Some((index, entry.smi.as_ref()?)));
    for (index, smi) in entries {
        for (number, reference) in smi.traffic_splits.iter().enumerate() {
            let path = format!("spec.traffic[{index}].smi.trafficSplits[{number}].name");
            named(&reference.name, &path, subdomain, found);
        }
    }
}

fn custom(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    let entries = spec.traffic.iter().enumerate().filter_map(|(index, entry)| Some((index, entry.custom.as_ref()?)));
    for (index, custom) in entries {
        route(&custom.name, custom.namespace.as_deref(), &format!("spec.traffic[{index}].custom"), found);
    }
}

fn nginx(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    let entries = spec.traffic.iter().enumerate().filter_map(|(index, entry)| Some((index, entry.nginx.as_ref()?)));
    for (index, nginx) in entries {
        named(&nginx.ingress, &format!("spec.traffic[{index}].nginx.ingress"), subdomain, found);
        named(nginx.annotation_prefix(), &format!("spec.traffic[{index}].nginx.annotationPrefix"), subdomain, found);
    }
}

fn consul(spec: &RolloutSpec, found: &mut Vec<Finding>) {
    let entries = spec.traffic.iter().enumerate().filter_map(|(index, entry)| Some((index, entry.consul.as_ref()?)));
    for (index, consul) in entries {
        let path = format!("spec.traffic[{index}].consul");
        named(&consul.service, &format!("{path}.service"), subdomain, found);
        if let Some(namespace) = &consul.namespace {
            named(namespace, &format!("{path}.namespace"), label, found);
        }
        for (field, subset) in [("stableSubset", &consul.stable_subset), ("canarySubset", &consul.canary_subset)] {
            service(subset, &format!("{path}.{field}"), found);
        }
    }
}

/// An empty one has its own message.
fn service(name: &Option<String>, path: &str, found: &mut Vec<Finding>) {
    if let Some(name) = name.as_deref().filter(|name| !name.is_empty()) {
        named(name, path, label, found);
    }
}

fn named(name: &str, path: &str, rule: fn(&str) -> Result<(), NameError>, found: &mut Vec<Finding>) {
    if let Err(error) = rule(name) {
        found.push(Finding::error(path, invalid(name, &error)));
    }
}

fn invalid(name: &str, error: &NameError) -> String {
    format!("\"{name}\" is invalid: {error}")
}

/// Where traffic is split by Service, the two that the file does not name are called after root.
fn derived(spec: &RolloutSpec, services: &Services, found: &mut Vec<Finding>) {
    let by_subset = spec.traffic.iter().any(TrafficRouter::splits_by_subset);
    if !spec.has_mesh() || by_subset || services.root.as_deref().is_none_or(|root| label(root).is_err()) {
        return;
    }
    let blue_green = spec.strategy.blue_green.as_ref();
    let given = [
        services.stable.as_ref().or(blue_green.and_then(|strategy| strategy.active_service.as_ref())),
        services.canary.as_ref().or(blue_green.and_then(|strategy| strategy.preview_service.as_ref())),
    ];
    let made = [("stable", names::stable_service(services)), ("canary", names::canary_service(services))];
    for ((field, name), _) in made.into_iter().zip(given).filter(|(_, given)| given.is_none()) {
        let Some(name) = name.filter(|name| name.len() > MOST_LABEL) else { continue };
        let message = format!(
            "the {field} Service made from it, \"{name}\", would have {} characters; a Service's name has no more than \
             {MOST_LABEL}: give services.{field} a name of its own",
            name.len()
        );
        found.push(Finding::error("spec.services.root", message));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(found: Vec<Finding>) -> String {
        found.iter().map(|finding| format!("{}: {}\n", finding.path, finding.message)).collect()
    }

    // W5 (4), M15.
    #[test]
    fn m15_names_that_the_api_server_refuses_are_refused() {
        let long = "x".repeat(64);
        for (metadata, wanted) in [
            (json!({"name": "Web_Shop"}), "metadata.name: \"Web_Shop\" is invalid: a lowercase RFC 1123 subdomain"),
            (json!({"name": "../../etc"}), "metadata.name: \"../../etc\" is invalid: a lowercase RFC 1123"),
            (json!({"name": "x".repeat(254)}), "must be no more than 253 characters, got 254"),
            (json!({"name": long}), "must be no more than 63 characters, got 64: it is the value of the label"),
            (json!({"generateName": "Web-"}), "metadata.generateName: \"Web-\" is invalid"),
            (
                json!({"name": "web", "namespace": "a.b"}),
                "metadata.namespace: \"a.b\" is invalid: a lowercase RFC 1123 label",
            ),
            (json!({"name": "web", "labels": {"a b": "c"}}), "metadata.labels.a b: \"a b\" is not a valid key"),
            (json!({"name": "web", "labels": {"a": "b c"}}), "metadata.labels.a: \"b c\" is not a valid label value"),
            (
                json!({"name": "web", "annotations": {"a/b/c": ""}}),
                "metadata.annotations.a/b/c: \"a/b/c\" is not a valid key",
            ),
        ] {
            let found = shown(object_metadata("Rollout", &metadata));
            assert!(found.contains(wanted), "{metadata}\n{found}");
        }
        for good in [
            json!({"name": "a.b-c", "namespace": "shop"}),
            json!({"generateName": "web-"}),
            json!({"name": "x".repeat(63)}),
        ] {
            assert_eq!(object_metadata("Rollout", &good), []);
        }
        assert_eq!(name("AnalysisTemplate", &long), [], "only a Rollout's name is a label's value");
    }
}
