//! Pod templates, checked as the API server checks a Deployment's.
//!
//! The template is opaque in our CRD, so the API server stores whatever a Rollout says and refuses the ReplicaSet later. What
//! it always refuses is an error here: a wrong type, a field that Kubernetes does not know (`kubectl apply` refuses one in a
//! Deployment), and what its validation says of names, ports, volumes, probes, resources and selectors. The controller does
//! not run these checks: the API server has the last word there, and may be newer than the table of [`fields`].
//!
//! [`shape`] walks the template along the table of types and hands each object to the rules of its type.

mod bounds;
mod containers;
mod fields;
mod labels;
mod pod;
mod quantity;
mod read;
mod resources;
mod selectors;
mod shape;
mod volumes;

use serde_json::Value;

use crate::api::validate::Finding;

const TEMPLATE: &str = "spec.template";
const SELECTOR: &str = "spec.selector";

/// Everything that is wrong with the pod template and the selector of a Rollout's or Deployment's spec.
pub(super) fn check(spec: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    let (template, selector) = (&spec["template"], &spec["selector"]);
    shape::walk("PodTemplateSpec", template, TEMPLATE, &mut found);
    shape::walk("LabelSelector", selector, SELECTOR, &mut found);
    if template.is_object() {
        selectors::excludes(selector, &template["metadata"]["labels"], SELECTOR, &mut found);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::*;

    /// A folder of many Rollouts is checked while a developer waits.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the time that it takes is what is tested")]
    fn five_hundred_templates_are_checked_within_seconds() {
        let container = |index: usize| {
            json!({"name": format!("c{index}"), "image": "i:1", "env": vec![json!({"name": "A", "value": "b"}); 50],
                "volumeMounts": [{"name": "a", "mountPath": "/a"}], "resources": {"limits": {"memory": "1Gi"}}})
        };
        let containers: Vec<Value> = (0..20).map(container).collect();
        let spec = json!({"selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"volumes": [{"name": "a"}], "containers": containers}}});
        let began = Instant::now();
        for _ in 0..500 {
            assert_eq!(check(&spec), []);
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}
