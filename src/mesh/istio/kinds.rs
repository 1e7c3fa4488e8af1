//! The kinds of Istio that policies write, and what they have in common.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    api::HumanDuration,
    mesh::{
        durations::in_one_unit,
        intent::{Intent, Target},
        ownership::{conflict, is_own},
        plan::Conflict,
    },
    router::{Objects, WatchedKind},
};

/// The group of Istio's security kinds.
pub(super) const SECURITY: &str = "security.istio.io";
/// The version of them that is written.
pub(super) const SECURITY_V1: &str = "security.istio.io/v1";
/// The group of what steers the proxies.
pub(super) const NETWORKING: &str = "networking.istio.io";
/// The version of it that is written.
pub(super) const NETWORKING_V1: &str = "networking.istio.io/v1";
/// The only version of EnvoyFilter.
pub(super) const NETWORKING_V1ALPHA3: &str = "networking.istio.io/v1alpha3";
/// The group of Telemetry.
pub(super) const TELEMETRY: &str = "telemetry.istio.io";
/// The version of it that is written.
pub(super) const TELEMETRY_V1: &str = "telemetry.istio.io/v1";
/// The group of Gateway API, whose routes Istio takes for Services too.
pub(super) const GATEWAY: &str = "gateway.networking.k8s.io";

const STEERING: &[&str] = &["v1", "v1beta1", "v1alpha3"];

/// Who needs mutual TLS.
pub(super) const PEER_AUTHENTICATIONS: WatchedKind =
    WatchedKind::known(SECURITY, &["v1", "v1beta1"], "PeerAuthentication", "peerauthentications");
/// Who may call.
pub(super) const AUTHORIZATION_POLICIES: WatchedKind =
    WatchedKind::known(SECURITY, &["v1", "v1beta1"], "AuthorizationPolicy", "authorizationpolicies");
/// Whose tokens are checked.
pub(super) const REQUEST_AUTHENTICATIONS: WatchedKind =
    WatchedKind::known(SECURITY, &["v1", "v1beta1"], "RequestAuthentication", "requestauthentications");
/// How a caller's proxy treats a host: connections, breaker, load balancer.
pub(super) const DESTINATION_RULES: WatchedKind =
    WatchedKind::known(NETWORKING, STEERING, "DestinationRule", "destinationrules");
/// Where requests go, with retries and timeouts.
pub(super) const VIRTUAL_SERVICES: WatchedKind =
    WatchedKind::known(NETWORKING, STEERING, "VirtualService", "virtualservices");
/// What a proxy may reach.
pub(super) const SIDECARS: WatchedKind = WatchedKind::known(NETWORKING, STEERING, "Sidecar", "sidecars");
/// Hosts outside of the mesh.
pub(super) const SERVICE_ENTRIES: WatchedKind =
    WatchedKind::known(NETWORKING, STEERING, "ServiceEntry", "serviceentries");
/// Parts of a proxy's configuration.
pub(super) const ENVOY_FILTERS: WatchedKind =
    WatchedKind::known(NETWORKING, &["v1alpha3"], "EnvoyFilter", "envoyfilters");
/// Traces and logs.
pub(super) const TELEMETRIES: WatchedKind =
    WatchedKind::known(TELEMETRY, &["v1", "v1alpha1"], "Telemetry", "telemetries");
/// Gateway API's routes.
pub(super) const HTTP_ROUTES: WatchedKind = WatchedKind::known(GATEWAY, &["v1", "v1beta1"], "HTTPRoute", "httproutes");

/// A spec with the field `selector` of Istio's policies; without one, it is for all pods of the namespace.
pub(super) fn selected(intent: &Intent<'_>, mut spec: Value) -> Value {
    if let Some(labels) = intent.selector() {
        spec["selector"] = json!({"matchLabels": labels});
    }
    spec
}

/// The same with `workloadSelector`, as the networking kinds call it.
pub(super) fn workload_selected(intent: &Intent<'_>, mut spec: Value) -> Value {
    if let Some(labels) = intent.selector() {
        spec["workloadSelector"] = json!({"labels": labels});
    }
    spec
}

/// Whether an object of a kind that selects pods, by the labels at `selector`, is for exactly the target's pods.
pub(super) fn is_for_the_same_pods(intent: &Intent<'_>, object: &Value, selector: &str) -> bool {
    let theirs = object["spec"].pointer(selector).and_then(Value::as_object).filter(|labels| !labels.is_empty());
    theirs.map(|labels| Value::Object(labels.clone())) == intent.selector().map(|labels| json!(labels))
}

/// Objects of others for the same pods, of a kind of which Istio uses one, the oldest: ours could be without effect.
pub(super) fn others_for_the_same_pods(
    intent: &Intent<'_>,
    current: &Objects,
    kind: &WatchedKind,
    field: &str,
) -> Vec<Conflict> {
    let same = |object: &&Value| {
        is_for_the_same_pods(intent, object, "/selector/matchLabels") && !is_own(object, intent.policy)
    };
    let pods = match intent.target {
        Target::Namespace | Target::Mesh => "all pods",
        Target::Service(_) | Target::Workload(_) => "the same pods",
    };
    let found = current.of_kind((&kind.group, &kind.kind), intent.namespace).filter(same);
    found.map(|object| conflict(object, format!("{field} of {pods}"))).collect()
}

/// A time as Istio's resources take it: `30s`, `25ms`. Nothing finer.
pub(super) fn time(time: HumanDuration) -> Value {
    json!(in_one_unit(time))
}

/// Whether a time can be written: Istio refuses what is shorter than a millisecond.
pub(super) fn is_writable(time: HumanDuration) -> bool {
    time.get() >= Duration::from_millis(1)
}

/// A patch of an EnvoyFilter: an HTTP filter before the router of the pods' inbound listeners.
pub(super) fn inbound_filter(name: &str, config: &Value) -> Value {
    json!({
        "applyTo": "HTTP_FILTER",
        "match": {
            "context": "SIDECAR_INBOUND",
            "listener": {"filterChain": {"filter": {
                "name": "envoy.filters.network.http_connection_manager",
                "subFilter": {"name": "envoy.filters.http.router"},
            }}},
        },
        "patch": {"operation": "INSERT_BEFORE", "value": {"name": name, "typed_config": config}},
    })
}
