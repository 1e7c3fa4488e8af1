//! Ambient mode: without a waypoint ztunnel forwards connections and reads no VirtualService, so weights have no effect.

use serde_json::Value;

const MODE: &str = "istio.io/dataplane-mode";
const WAYPOINT: &str = "istio.io/use-waypoint";
const SIDECAR: &str = "sidecar.istio.io/inject";

/// The labels that decide it; `null` where the object is not known.
#[derive(Clone, Copy, Debug)]
pub struct AmbientLabels<'l> {
    /// Those of the namespace.
    pub namespace: &'l Value,
    /// Those of the Service that callers use.
    pub service: &'l Value,
    /// Those of the Rollout's pods.
    pub pods: &'l Value,
}

impl AmbientLabels<'_> {
    /// Whether the pods are in ambient mode, and their Service has no waypoint.
    pub fn lack_a_waypoint(&self) -> bool {
        let mode = text(self.pods, MODE).or_else(|| text(self.namespace, MODE));
        let waypoint = text(self.service, WAYPOINT).or_else(|| text(self.namespace, WAYPOINT));
        let has_sidecar = text(self.pods, SIDECAR) == Some("true");
        mode == Some("ambient") && !has_sidecar && waypoint.is_none_or(|waypoint| waypoint == "none")
    }
}

/// What a Rollout does about it.
pub const REMEDY: &str = "deploy a waypoint and label the Service or its namespace istio.io/use-waypoint; in ambient mode the router `gateway` is the better choice";

fn text<'l>(labels: &'l Value, key: &str) -> Option<&'l str> {
    labels.get(key).and_then(Value::as_str)
}

/// Whether a VirtualService is for the callers inside of the mesh, rather than for gateways alone. One without hosts says
/// nothing of that itself: it is for whom its root is.
pub fn is_for_the_mesh(virtual_service: &Value) -> bool {
    if is_delegate(virtual_service) {
        return false;
    }
    let gateways = virtual_service["spec"]["gateways"].as_array().filter(|gateways| !gateways.is_empty());
    gateways.is_none_or(|gateways| gateways.iter().any(|gateway| gateway == "mesh"))
}

/// Whether requests reach a VirtualService by way of another alone.
pub fn is_delegate(virtual_service: &Value) -> bool {
    virtual_service["spec"]["hosts"].as_array().is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_in_ambient_mode_need_a_waypoint() {
        let (none, ambient) = (json!(null), json!({MODE: "ambient"}));
        let waypoint = json!({WAYPOINT: "waypoint"});
        for (namespace, service, pods, lack) in [
            (&none, &none, &none, false),
            (&ambient, &none, &none, true),
            (&none, &none, &ambient, true),
            (&ambient, &none, &json!({MODE: "none"}), false),
            (&ambient, &none, &json!({SIDECAR: "true"}), false),
            (&ambient, &waypoint, &none, false),
            (&ambient, &json!({WAYPOINT: "none"}), &none, true),
            (&json!({MODE: "ambient", WAYPOINT: "w"}), &none, &none, false),
            (&json!({MODE: "ambient", WAYPOINT: "w"}), &json!({WAYPOINT: "none"}), &none, true),
        ] {
            let labels = AmbientLabels { namespace, service, pods };
            assert_eq!(labels.lack_a_waypoint(), lack, "{labels:?}");
        }
    }

    #[test]
    fn a_virtual_service_for_gateways_alone_needs_no_waypoint() {
        for (gateways, mesh) in
            [(json!(null), true), (json!([]), true), (json!(["edge"]), false), (json!(["edge", "mesh"]), true)]
        {
            assert_eq!(is_for_the_mesh(&json!({"spec": {"hosts": ["web"], "gateways": gateways}})), mesh);
            assert!(!is_for_the_mesh(&json!({"spec": {"gateways": gateways}})), "a delegate does not say it");
        }
    }
}
