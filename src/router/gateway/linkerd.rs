//! Linkerd's own rules for a route that has a Service as its parent, as far as other objects show them: what takes effect
//! instead of the route, and which filters make a backend fail.

use serde_json::Value;

use super::{conditions, kinds::GROUP};

/// The API group of ServiceProfiles.
pub const PROFILES: &str = "linkerd.io";
/// The API group of Linkerd's policies, and of a kind HTTPRoute of its own.
pub const POLICY: &str = "policy.linkerd.io";

/// Why a route does not split the traffic of its Service, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// What there is.
    pub what: String,
    /// What to do.
    pub todo: String,
    /// Whether the route has no effect at all.
    pub overrides: bool,
}

/// A Service that is the parent of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceParent {
    /// The Service's namespace.
    pub namespace: String,
    /// The Service's name.
    pub name: String,
    /// One of its ports; none: all.
    pub port: Option<u64>,
}

impl ServiceParent {
    fn meets(&self, other: &ServiceParent) -> bool {
        let ports = self.port.zip(other.port);
        (&self.namespace, &self.name) == (&other.namespace, &other.name) && ports.is_none_or(|(one, two)| one == two)
    }
}

/// The Services that are parents of a route. The namespace is the route's where it names none.
pub fn parents(route: &Value, namespace: &str) -> Vec<ServiceParent> {
    let all = route["spec"]["parentRefs"].as_array().into_iter().flatten();
    let services = all.filter(|parent| {
        // Linkerd also takes the name that the core group has in its documentation.
        matches!(parent["group"].as_str(), Some("" | "core")) && parent["kind"] == "Service"
    });
    let parent = |parent: &Value| {
        Some(ServiceParent {
            namespace: parent["namespace"].as_str().unwrap_or(namespace).to_owned(),
            name: parent["name"].as_str()?.to_owned(),
            port: parent["port"].as_u64(),
        })
    };
    services.filter_map(parent).collect()
}

/// What of these other objects keeps a route of `namespace` from being used, and what of its own filters.
pub fn obstacles<'o>(route: &Value, namespace: &str, others: impl Iterator<Item = &'o Value>) -> Vec<Obstacle> {
    let of = Route { value: route, shown: shown(route, namespace), parents: parents(route, namespace) };
    let mut all: Vec<Obstacle> = others.filter_map(|other| of.kept_by(other)).collect();
    all.extend(failing_backends(&of));
    all
}

struct Route<'r> {
    value: &'r Value,
    shown: String,
    parents: Vec<ServiceParent>,
}

impl Route<'_> {
    fn kept_by(&self, other: &Value) -> Option<Obstacle> {
        let namespace = other["metadata"]["namespace"].as_str().unwrap_or_default();
        let group = group(other);
        match other["kind"].as_str()? {
            "ServiceProfile" if group == PROFILES => self.overridden_by(other, namespace),
            "HTTPRoute" if group == POLICY => self.beside(other, namespace),
            _ if group == GROUP => self.shadowed_by(other, namespace),
            _ => None,
        }
    }

    /// A profile is named like its Service in the cluster's DNS, and may be in a client's namespace.
    fn overridden_by(&self, profile: &Value, namespace: &str) -> Option<Obstacle> {
        let name = profile["metadata"]["name"].as_str()?;
        let is_of = |parent: &&ServiceParent| name.starts_with(&format!("{}.{}.svc.", parent.name, parent.namespace));
        self.parents.iter().find(is_of)?;
        Some(Obstacle {
            what: format!(
                "ServiceProfile {namespace}/{name} takes effect instead of {}: Linkerd uses no route of a Service that has a ServiceProfile",
                self.shown
            ),
            todo: "delete the ServiceProfile; timeouts and retries can be annotations of the route".to_owned(),
            overrides: true,
        })
    }

    /// Of one Service Linkerd uses the routes of one kind.
    fn shadowed_by(&self, other: &Value, namespace: &str) -> Option<Obstacle> {
        let (own, theirs) = (rank(self.value)?, rank(other)?);
        let parent = self.shared(other, namespace).filter(|_| theirs < own)?;
        let other = shown(other, namespace);
        Some(Obstacle {
            what: format!(
                "{other} takes effect instead of {}: both have Service {}/{} as parent, and Linkerd uses the routes of one kind",
                self.shown, parent.namespace, parent.name
            ),
            todo: format!("list {other} in spec.traffic[].gateway.routes, or delete it"),
            overrides: true,
        })
    }

    /// Linkerd ranks routes of both groups together.
    fn beside(&self, other: &Value, namespace: &str) -> Option<Obstacle> {
        let parent = self.shared(other, namespace).filter(|_| rank(self.value) == Some(1))?;
        Some(Obstacle {
            what: format!(
                "{} of {POLICY} also has Service {}/{} as parent, and Glidepath does not write its weights",
                shown(other, namespace),
                parent.namespace,
                parent.name
            ),
            todo: format!("move its rules to {} ({GROUP})", self.shown),
            overrides: false,
        })
    }

    fn shared(&self, other: &Value, namespace: &str) -> Option<&ServiceParent> {
        let theirs = parents(other, namespace);
        self.parents.iter().find(|parent| theirs.iter().any(|other| parent.meets(other)))
    }
}

/// Backends with a filter that Linkerd does not know: each request to one is answered with an error.
fn failing_backends(route: &Route<'_>) -> Vec<Obstacle> {
    if !conditions::is_linkerd(route.value) {
        return Vec::new();
    }
    let rules = route.value["spec"]["rules"].as_array().into_iter().flatten();
    let backends = rules.flat_map(|rule| rule["backendRefs"].as_array().into_iter().flatten());
    let unknown = |backend: &Value| {
        let mut filters = backend["filters"].as_array()?.iter().filter_map(|filter| filter["type"].as_str());
        let filter = filters.find(|filter| !KNOWN_FILTERS.contains(filter))?;
        let name = backend["name"].as_str().unwrap_or("?");
        Some(Obstacle {
            what: format!(
                "{}: Linkerd fails each request to backend {name}, because it does not know its filter {filter}",
                route.shown
            ),
            todo: "remove the filter".to_owned(),
            overrides: false,
        })
    };
    backends.filter_map(unknown).collect()
}

/// Those of its newest version; older ones know fewer.
const KNOWN_FILTERS: [&str; 3] = ["RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect"];

/// The place of a kind among those of one Service: the first that there is takes effect.
fn rank(route: &Value) -> Option<usize> {
    let kinds = ["GRPCRoute", "HTTPRoute", "TLSRoute", "TCPRoute"];
    kinds.iter().position(|kind| route["kind"] == *kind)
}

fn group(object: &Value) -> &str {
    object["apiVersion"].as_str().and_then(|version| version.split_once('/')).map_or("", |(group, _)| group)
}

fn shown(route: &Value, namespace: &str) -> String {
    let text = |value: &'_ Value| value.as_str().unwrap_or("?").to_owned();
    format!("{} {namespace}/{}", text(&route["kind"]), text(&route["metadata"]["name"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn route(kind: &str, name: &str, parent: Value) -> Value {
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind,
            "metadata": {"name": name, "namespace": "shop"}, "spec": {"parentRefs": [parent]}})
    }

    fn service(port: Value) -> Value {
        json!({"group": "core", "kind": "Service", "name": "web", "port": port})
    }

    fn profile(name: &str) -> Value {
        json!({"apiVersion": "linkerd.io/v1alpha2", "kind": "ServiceProfile", "metadata": {"name": name, "namespace": "clients"}})
    }

    fn found(route: &Value, other: &Value) -> Vec<String> {
        obstacles(route, "shop", std::iter::once(other)).into_iter().map(|one| one.what).collect()
    }

    #[test]
    fn a_service_profile_overrides_the_routes_of_its_service_alone() {
        let http = route("HTTPRoute", "web", service(json!(80)));
        let what = "ServiceProfile clients/web.shop.svc.cluster.local takes effect instead of HTTPRoute shop/web: Linkerd uses no route of a Service that has a ServiceProfile";
        assert_eq!(found(&http, &profile("web.shop.svc.cluster.local")), [what]);
        assert_eq!(found(&http, &profile("web.shop.svc.example.org")).len(), 1, "whatever the cluster's domain");
        for other in ["web-canary.shop.svc.cluster.local", "web.bank.svc.cluster.local", "web"] {
            assert!(found(&http, &profile(other)).is_empty(), "{other}");
        }
        let gateway = route("HTTPRoute", "web", json!({"name": "web"}));
        assert!(found(&gateway, &profile("web.shop.svc.cluster.local")).is_empty(), "its parent is a Gateway");
        let mut foreign = profile("web.shop.svc.cluster.local");
        foreign["apiVersion"] = json!("example.com/v1");
        assert!(found(&http, &foreign).is_empty());
    }

    #[test]
    fn of_one_service_the_routes_of_one_kind_take_effect() {
        let kinds = ["GRPCRoute", "HTTPRoute", "TLSRoute", "TCPRoute"];
        for (one, own) in kinds.iter().enumerate() {
            for (other, theirs) in kinds.iter().enumerate() {
                let (own, theirs) = (route(own, "a", service(json!(80))), route(theirs, "b", service(json!(null))));
                assert_eq!(!found(&own, &theirs).is_empty(), other < one, "{own} {theirs}");
            }
        }
        let http = route("HTTPRoute", "a", service(json!(80)));
        assert!(found(&http, &route("GRPCRoute", "b", service(json!(81)))).is_empty(), "another port");
        let elsewhere = json!({"group": "", "kind": "Service", "name": "web", "namespace": "bank"});
        assert!(found(&http, &route("GRPCRoute", "b", elsewhere)).is_empty());
    }

    #[test]
    fn a_route_of_linkerds_own_group_is_beside_ours() {
        let mut own = route("HTTPRoute", "old", service(json!(80)));
        own["apiVersion"] = json!("policy.linkerd.io/v1beta3");
        let what = "HTTPRoute shop/old of policy.linkerd.io also has Service shop/web as parent, and Glidepath does not write its weights";
        assert_eq!(found(&route("HTTPRoute", "web", service(json!(80))), &own), [what]);
        assert!(found(&route("GRPCRoute", "web", service(json!(80))), &own).is_empty(), "it has no effect there");
    }

    #[test]
    fn a_filter_that_linkerd_does_not_know_makes_its_backend_fail() {
        let mut http = route("HTTPRoute", "web", service(json!(80)));
        let filters = |kind: &str| json!([{"backendRefs": [{"name": "web-stable"}, {"name": "web-canary", "filters": [{"type": kind}]}]}]);
        http["spec"]["rules"] = filters("URLRewrite");
        assert!(found(&http, &json!({})).is_empty(), "another mesh may know it");
        http["status"] = json!({"parents": [{"controllerName": "linkerd.io/policy-controller"}]});
        let what = "HTTPRoute shop/web: Linkerd fails each request to backend web-canary, because it does not know its filter URLRewrite";
        assert_eq!(found(&http, &json!({})), [what]);
        http["spec"]["rules"] = filters("RequestHeaderModifier");
        assert!(found(&http, &json!({})).is_empty());
    }
}
