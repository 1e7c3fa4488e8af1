//! What is wrong with the `custom` entries of a Rollout, found before the first deploy.

use super::shape::Shape;
use crate::api::{RolloutSpec, validate::Finding};

/// Every field of a `custom` entry that is at fault.
pub fn unmet(spec: &RolloutSpec) -> Vec<Finding> {
    let entries = spec.traffic.iter().enumerate().filter_map(|(index, entry)| Some((index, entry.custom.as_ref()?)));
    let found = entries.flat_map(|(index, entry)| {
        let defects = Shape::of(entry).err().unwrap_or_default();
        let at = move |field: &str| format!("spec.traffic[{index}].custom.{field}");
        defects.into_iter().map(move |defect| Finding::error(at(defect.field), defect.message))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn found(entry: &Value) -> Vec<String> {
        let traffic = json!([{"custom": entry}]);
        let spec: RolloutSpec =
            serde_json::from_value(json!({"strategy": {"canary": {"steps": []}}, "traffic": traffic})).unwrap();
        unmet(&spec).iter().map(|one| format!("{}: {}", one.path, one.message)).collect()
    }

    fn own(changes: &Value) -> Value {
        let mut entry = json!({"apiVersion": "mesh.example.com/v1", "kind": "Route", "name": "web",
            "backends": {"path": "spec.routes[*].backends", "service": "name"}});
        json_patch::merge(&mut entry, changes);
        entry
    }

    #[test]
    fn an_entry_that_says_where_its_weights_are_is_valid() {
        for entry in [
            own(&json!({})),
            own(&json!({"total": 1000, "plural": "routes", "verified": "has(object.status)"})),
            own(&json!({"backends": null, "fields": {"canary": "spec.canary.weight", "stable": "spec.stable.weight"}})),
            json!({"preset": "contour", "name": "web"}),
            json!({"preset": "kuma", "name": "web", "backends": {"path": "spec.to[*].rules[*].default.backendRefs",
                "service": "name", "serviceValue": "{service}_{namespace}_svc_8080"}}),
        ] {
            assert_eq!(found(&entry), Vec::<String>::new(), "{entry}");
        }
    }

    #[test]
    fn every_field_at_fault_is_named() {
        for (changes, wanted) in [
            (json!({"backends": null}), "backends: set one of backends and fields"),
            (json!({"fields": {"canary": "spec.a"}}), "fields: set one of backends and fields"),
            (
                json!({"apiVersion": "apps/v1"}),
                "apiVersion: objects of apps/v1 cannot be written: the group belongs to",
            ),
            (json!({"kind": null}), "kind: \"\" is not a kind"),
            (json!({"preset": "envoy"}), "preset: there is no preset `envoy`; there are apisix, contour, gloo"),
            (json!({"total": 256}), "total: 256 cannot express every percent; use 100, 1000 or 10000"),
            (json!({"verified": "status == 1"}), "verified: `status` is unknown"),
            (
                json!({"backends": {"path": "metadata.annotations"}}),
                "backends.path: `metadata.annotations` begins with",
            ),
            (json!({"backends": {"path": "spec[0]"}}), "backends.path: `spec[0]` is not a path"),
            (json!({"backends": {"service": "a b"}}), "backends.service: `a b` is not a field"),
            (json!({"backends": {"serviceValue": "web"}}), "backends.serviceValue: \"web\" is the same for both"),
            (json!({"backends": null, "fields": {"canary": "spec.a[*]"}}), "fields.canary: `spec.a[*]` must end with"),
            (
                json!({"backends": null, "fields": {"canary": "spec.a", "stable": "spec.a"}}),
                "fields.stable: stable and",
            ),
        ] {
            let found = found(&own(&changes));
            let wanted = format!("spec.traffic[0].custom.{wanted}");
            assert!(found.len() == 1 && found[0].starts_with(&wanted), "{changes}\nwanted: {wanted}\ngot: {found:#?}");
        }
    }
}
