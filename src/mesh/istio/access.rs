//! Who may call a target's pods, read from Istio's objects: ours and those of others.
//!
//! Source: istio.io/latest/docs/reference/config/security (PeerAuthentication, AuthorizationPolicy). The narrowest
//! PeerAuthentication applies, of several the oldest; AuthorizationPolicies of the root namespace, the namespace and the pods
//! apply together. A rule with a field that only HTTP has never allows a connection, and denies it without that field.

use serde_json::Value;

use super::{
    hosts,
    kinds::{NETWORKING, SECURITY},
};
use crate::{
    api::address_range::AddressRange,
    mesh::{
        check::{Access, AccessSource, Grant, Operations, Pattern, PlaintextCaller, TlsMode},
        facts::{self, Labels, Service, labels},
        intent::Intent,
        ownership::name,
    },
    router::Objects,
};

/// What the objects say of the target's pods. Of a namespace or mesh: of pods without labels that are selected by none.
pub(super) fn read(intent: &Intent<'_>, objects: &Objects) -> Access {
    let mut access = Access { plaintext: plaintext(intent, objects), ..Access::default() };
    peer_authentication(intent, objects, &mut access);
    for (object, action) in authorization_policies(intent, objects) {
        let grants = grants(object);
        match action {
            "DENY" => access.deny.extend(grants),
            "CUSTOM" => access.external = Some(name(object)),
            "AUDIT" => {}
            _ => access.allow.get_or_insert_default().extend(grants),
        }
    }
    access
}

/// Whether an object's selector selects the target's pods: the labels that are known of them.
fn selects(object: &Value, pods: Option<&Labels>) -> bool {
    let selector = labels(&object["spec"]["selector"]["matchLabels"]);
    pods.map_or_else(|| selector.is_empty(), |pods| facts::selects(&selector, pods))
}

fn has_selector(object: &Value) -> bool {
    object["spec"]["selector"]["matchLabels"].as_object().is_some_and(|labels| !labels.is_empty())
}

fn peer_authentication(intent: &Intent<'_>, objects: &Objects, access: &mut Access) {
    let kind = (SECURITY, "PeerAuthentication");
    let root = intent.facts.root_namespace.as_str();
    let here: Vec<&Value> = objects.of_kind(kind, intent.namespace).collect();
    let of_pods = oldest(here.iter().copied().filter(|one| has_selector(one) && selects(one, intent.selector())));
    let of_namespace = oldest(here.iter().copied().filter(|one| !has_selector(one)));
    let of_mesh = oldest(objects.of_kind(kind, root).filter(|one| !has_selector(one)));
    let narrow_first = [of_pods, of_namespace, of_mesh];
    let set = narrow_first.into_iter().flatten().find_map(|one| mode(&one["spec"]["mtls"]["mode"]));
    access.tls = set.unwrap_or_default();
    let ports = of_pods.and_then(|one| one["spec"]["portLevelMtls"].as_object()).into_iter().flatten();
    access.ports = ports.filter_map(|(port, said)| Some((port.parse().ok()?, mode(&said["mode"])?))).collect();
}

fn oldest<'a>(objects: impl Iterator<Item = &'a Value>) -> Option<&'a Value> {
    // An object that is not created yet, as ours in a plan, is the youngest.
    objects.min_by_key(|object| object["metadata"]["creationTimestamp"].as_str().unwrap_or("9"))
}

/// `UNSET` and nothing inherit.
fn mode(value: &Value) -> Option<TlsMode> {
    match value.as_str()? {
        "STRICT" => Some(TlsMode::Strict),
        "PERMISSIVE" => Some(TlsMode::Permissive),
        "DISABLE" => Some(TlsMode::Disable),
        _ => None,
    }
}

/// The AuthorizationPolicies that are enforced at the target's pods, each with its action.
fn authorization_policies<'a>(
    intent: &'a Intent<'_>,
    objects: &'a Objects,
) -> impl Iterator<Item = (&'a Value, &'a str)> {
    let kind = (SECURITY, "AuthorizationPolicy");
    let root = intent.facts.root_namespace.as_str();
    let of_mesh = objects.of_kind(kind, root).filter(move |_| root != intent.namespace);
    let all = objects.of_kind(kind, intent.namespace).chain(of_mesh);
    let enforced = all.filter(|one| selects(one, intent.selector()) && !is_dry_run(one));
    enforced.map(|one| (one, one["spec"]["action"].as_str().unwrap_or("ALLOW")))
}

fn is_dry_run(object: &Value) -> bool {
    object["metadata"]["annotations"]["istio.io/dry-run"].as_str() == Some("true")
}

/// The rules of a policy. ALLOW without rules allows nothing, as no grant does.
fn grants(object: &Value) -> Vec<Grant> {
    let rules = object["spec"]["rules"].as_array().into_iter().flatten();
    let grant = |rule: &Value| Grant {
        object: name(object),
        from: entries(&rule["from"], "source").map(source).collect(),
        to: entries(&rule["to"], "operation").map(operation).collect(),
        when: rule["when"].as_array().into_iter().flatten().map(condition).collect(),
    };
    rules.map(grant).collect()
}

fn entries<'a>(list: &'a Value, field: &'a str) -> impl Iterator<Item = &'a Value> {
    list.as_array().into_iter().flatten().map(move |entry| &entry[field])
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn patterns(value: &Value) -> Vec<Pattern> {
    texts(value).map(Pattern::of).collect()
}

fn source(value: &Value) -> AccessSource {
    let addresses = |field: &str| texts(&value[field]).filter_map(AddressRange::of).collect();
    let has = |field: &str| value[field].as_array().is_some_and(|list| !list.is_empty());
    let tokens = ["requestPrincipals", "notRequestPrincipals"].into_iter().any(has);
    let forwarded = ["remoteIpBlocks", "notRemoteIpBlocks"].into_iter().any(has);
    let mut principals = patterns(&value["principals"]);
    // `namespace/name` of ServiceAccounts, which newer versions of Istio take.
    principals.extend(texts(&value["serviceAccounts"]).filter_map(account));
    AccessSource {
        principals,
        not_principals: patterns(&value["notPrincipals"]),
        namespaces: patterns(&value["namespaces"]),
        not_namespaces: patterns(&value["notNamespaces"]),
        addresses: addresses("ipBlocks"),
        not_addresses: addresses("notIpBlocks"),
        depends: [(tokens, "tokens"), (forwarded, "forwarded addresses")]
            .into_iter()
            .filter_map(|(is_set, on)| is_set.then_some(on))
            .collect(),
    }
}

fn account(text: &str) -> Option<Pattern> {
    let (namespace, name) = text.split_once('/')?;
    Some(Pattern::Suffix(format!("/ns/{namespace}/sa/{name}")))
}

fn operation(value: &Value) -> Operations {
    let ports = |field: &str| texts(&value[field]).filter_map(|port| port.parse().ok()).collect();
    let http = [
        ("methods", "methods"),
        ("notMethods", "methods"),
        ("paths", "paths"),
        ("notPaths", "paths"),
        ("hosts", "hosts"),
        ("notHosts", "hosts"),
    ];
    let is_set = |field: &str| value[field].as_array().is_some_and(|list| !list.is_empty());
    Operations {
        ports: ports("ports"),
        not_ports: ports("notPorts"),
        http: http.into_iter().filter_map(|(field, on)| is_set(field).then_some(on)).collect(),
    }
}

/// What a condition depends on: `request.auth.claims[role]` is a claim.
fn condition(value: &Value) -> &'static str {
    let key = value["key"].as_str().unwrap_or_default();
    match () {
        () if key.starts_with("request.auth") => "claims",
        () if key.starts_with("request.headers") => "headers",
        () => "conditions",
    }
}

/// DestinationRules that take mutual TLS away from callers of the target. Istio looks for a rule in the caller's namespace, then
/// in the Service's, then in the root namespace.
fn plaintext(intent: &Intent<'_>, objects: &Objects) -> Vec<PlaintextCaller> {
    let services = intent.services();
    let kind = (NETWORKING, "DestinationRule");
    let rules = objects.iter().filter(|object| {
        object["kind"].as_str() == Some(kind.1)
            && object["apiVersion"].as_str().is_some_and(|version| version.starts_with(NETWORKING))
    });
    let off = rules.filter(|rule| {
        let mode = rule["spec"]["trafficPolicy"]["tls"]["mode"].as_str();
        mode.is_some_and(|mode| mode != "ISTIO_MUTUAL")
    });
    let of_target = off.filter(|rule| {
        let namespace = rule["metadata"]["namespace"].as_str().unwrap_or_default();
        let host = rule["spec"]["host"].as_str().unwrap_or_default();
        services.iter().any(|service| is_host(host, namespace, service, intent))
    });
    let everywhere = [intent.namespace, intent.facts.root_namespace.as_str()];
    let told = |rule: &Value| {
        let namespace = rule["metadata"]["namespace"].as_str().unwrap_or_default();
        PlaintextCaller {
            object: name(rule),
            namespace: (!everywhere.contains(&namespace)).then(|| namespace.to_owned()),
        }
    };
    of_target.map(told).collect()
}

/// Whether a host of a DestinationRule is the Service: its short name in its namespace, its long one, or a wildcard.
fn is_host(host: &str, namespace: &str, service: &Service, intent: &Intent<'_>) -> bool {
    let long = service.host(intent.facts);
    let of_service = format!("{}.{}", service.name, service.namespace);
    hosts::full_in(intent, host, namespace) == long
        || hosts::is_wildcard_of(host, &long)
        || host == of_service
        || host.strip_suffix(".svc") == Some(&of_service)
}
