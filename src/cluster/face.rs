//! What callers see of a Service, and a Service that we make copies from root: ports, affinity, address families, traffic
//! policies, labels and annotations. Not what is root's alone: addresses, node ports, load balancers, other tools' marks.

use std::collections::BTreeMap;

use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::api::revision;

/// The annotation on a Service that we made: which face of root it copies.
pub const COPIED_FACE: &str = "glidepath.dev/copied-from-root";

/// Fields of the spec that may change later. `externalTrafficPolicy` is refused on a Service of type ClusterIP.
const FIELDS: [&str; 5] = [
    "sessionAffinity",
    "sessionAffinityConfig",
    "internalTrafficPolicy",
    "publishNotReadyAddresses",
    "trafficDistribution",
];
/// Fields of the spec that are given at birth and stay.
const FIELDS_AT_BIRTH: [&str; 2] = ["ipFamilies", "ipFamilyPolicy"];
const PORT_FIELDS: [&str; 5] = ["name", "port", "protocol", "targetPort", "appProtocol"];

/// Domains whose labels and annotations say who owns an object, or ask for something that only one object may have: an
/// address, a DNS name, a load balancer.
const NOT_COPIED: [&str; 18] = [
    "glidepath.dev",
    "kubectl.kubernetes.io",
    "config.kubernetes.io",
    "endpoints.kubernetes.io",
    "service.beta.kubernetes.io",
    "external-dns.alpha.kubernetes.io",
    "argoproj.io",
    "fluxcd.io",
    "helm.sh",
    "k14s.io",
    "carvel.dev",
    "pulumi.com",
    "cattle.io",
    "flagger.app",
    "cloud.google.com",
    "networking.gke.io",
    "metallb.io",
    "metallb.universe.tf",
];
const NOT_COPIED_LABELS: [&str; 1] = ["app.kubernetes.io/managed-by"];

/// What a Service made from this one copies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceFace {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    spec: Map<String, Value>,
    at_birth: Map<String, Value>,
}

impl ServiceFace {
    /// Reads it out of a Service.
    pub fn of(meta: &ObjectMeta, given: &Map<String, Value>) -> Self {
        let fields = |names: &[&str]| -> Map<String, Value> {
            names.iter().filter_map(|name| Some(((*name).to_owned(), given.get(*name)?.clone()))).collect()
        };
        let mut spec = fields(&FIELDS);
        spec.insert("ports".into(), copied_ports(given.get("ports")));
        let mut at_birth = fields(&FIELDS_AT_BIRTH);
        if given.get("clusterIP").is_some_and(|ip| ip == "None") {
            at_birth.insert("clusterIP".into(), "None".into());
        }
        let copied = |marks: &Option<BTreeMap<String, String>>| -> BTreeMap<String, String> {
            let marks = marks.iter().flatten().filter(|(name, _)| is_copied(name));
            marks.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let (labels, annotations) = (copied(&meta.labels), copied(&meta.annotations));
        ServiceFace { labels, annotations, spec, at_birth }
    }

    /// A short name of it, together with the selector that goes with it.
    pub fn id(&self, selector: &BTreeMap<String, String>) -> String {
        let ServiceFace { labels, annotations, spec, .. } = self;
        revision::id(&json!({"labels": labels, "annotations": annotations, "spec": spec, "selector": selector}))
    }

    /// Labels, without ours.
    pub fn labels(&self) -> Value {
        json!(self.labels)
    }

    /// Annotations, with the note of what was copied.
    pub fn annotations(&self, id: &str) -> Value {
        let mut annotations = json!(self.annotations);
        annotations[COPIED_FACE] = id.into();
        annotations
    }

    /// The spec of a new Service.
    pub fn new_spec(&self) -> Value {
        Value::Object(
            self.at_birth.iter().chain(&self.spec).map(|(name, value)| (name.clone(), value.clone())).collect(),
        )
    }

    /// The merge patch of an existing one's spec: what root has no longer goes.
    pub fn spec_patch(&self) -> Value {
        let mut patch: Map<String, Value> = FIELDS.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
        patch.extend(self.spec.clone());
        Value::Object(patch)
    }
}

fn is_copied(name: &str) -> bool {
    let domain = name.split_once('/').map_or("", |(domain, _)| domain);
    let of = |owner: &&str| domain == *owner || domain.strip_suffix(*owner).is_some_and(|rest| rest.ends_with('.'));
    !NOT_COPIED_LABELS.contains(&name) && !NOT_COPIED.iter().any(of)
}

/// What callers see of root's ports; node ports are not shared.
fn copied_ports(ports: Option<&Value>) -> Value {
    let copy = |port: &Value| -> Value {
        PORT_FIELDS.iter().filter_map(|field| Some(((*field).to_owned(), port.get(*field)?.clone()))).collect()
    };
    Value::Array(ports.and_then(Value::as_array).into_iter().flatten().map(copy).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Finding L12.
    #[test]
    fn l12_a_made_service_has_roots_face_and_nothing_that_is_roots_alone() {
        let root = json!({
            "metadata": {"name": "web",
                "labels": {"team": "shop", "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "web-1"},
                "annotations": {"networking.istio.io/exportTo": ".", "meta.helm.sh/release-name": "web",
                    "kubectl.kubernetes.io/last-applied-configuration": "{}", "argocd.argoproj.io/tracking-id": "a",
                    "external-dns.alpha.kubernetes.io/hostname": "web.example.com"}},
            "spec": {"type": "LoadBalancer", "clusterIP": "None", "clusterIPs": ["None"], "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}, "ipFamilies": ["IPv6"],
                "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Local", "externalTrafficPolicy": "Local",
                "publishNotReadyAddresses": true, "loadBalancerIP": "1.2.3.4", "healthCheckNodePort": 30001,
                "ports": [{"name": "http", "port": 80, "targetPort": "web", "nodePort": 30080, "protocol": "TCP",
                    "appProtocol": "http"}]},
        });
        let meta: ObjectMeta = serde_json::from_value(root["metadata"].clone()).unwrap();
        let face = ServiceFace::of(&meta, root["spec"].as_object().unwrap());
        assert_eq!(face.labels(), json!({"team": "shop"}));
        let annotations = json!({"networking.istio.io/exportTo": ".", COPIED_FACE: "x"});
        assert_eq!(face.annotations("x"), annotations);
        let expected = json!({"ipFamilies": ["IPv6"], "ipFamilyPolicy": "SingleStack", "clusterIP": "None",
            "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
            "internalTrafficPolicy": "Local", "publishNotReadyAddresses": true,
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "web", "appProtocol": "http"}]});
        assert_eq!(face.new_spec(), expected);
        assert_eq!(face.spec_patch()["trafficDistribution"], Value::Null);
        assert!(face.spec_patch().get("clusterIP").is_none(), "it cannot be changed");
    }
}
