//! The user's objects that a Rollout writes to.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::traffic::TrafficRouter;

/// The Services of the workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Services {
    /// The Service that clients use. It must exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub root: Option<String>,
    /// The Service of the stable version; created if it does not exist. Default `<root>-stable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub stable: Option<String>,
    /// The Service of the new version; created if it does not exist. Default `<root>-canary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub canary: Option<String>,
}

/// The user's objects that a Rollout writes to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UserObjects {
    /// As in the spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<Services>,
    /// As in the spec.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub traffic: Vec<TrafficRouter>,
    /// The Services of a blue-green strategy; absent for a canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<SwitchedServices>,
}

impl UserObjects {
    /// Whether both are the same objects. What a created route is attached to is a field of it that can change.
    pub fn are_those_of(&self, other: &UserObjects) -> bool {
        let named = |objects: &UserObjects| {
            let mut named = objects.clone();
            let created = named.traffic.iter_mut().filter_map(|entry| entry.gateway.as_mut()?.create_route.as_mut());
            created.for_each(|route| (route.parent_refs, route.hostnames) = Default::default());
            named
        };
        named(self) == named(other)
    }
}

/// The Services of a blue-green strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SwitchedServices {
    /// As in the strategy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// As in the strategy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn s20_a_created_route_that_is_attached_elsewhere_is_the_same_object() {
        let with = |created: Value| -> UserObjects {
            serde_json::from_value(json!({"traffic": [{"gateway": {"createRoute": created}}]})).unwrap()
        };
        let edge = with(json!({"parentRefs": [{"name": "edge"}], "port": 80}));
        let other = with(json!({"parentRefs": [{"name": "other"}], "hostnames": ["a.example.com"], "port": 80}));
        assert!(edge.are_those_of(&other));
        assert!(!edge.are_those_of(&with(json!({"parentRefs": [{"name": "edge"}], "port": 80, "name": "web"}))));
        assert!(!edge.are_those_of(&UserObjects::default()));
    }
}
