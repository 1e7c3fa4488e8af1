//! What is wrong with the `custom` entries of a Rollout, found before the first deploy.

use super::{error::CustomError, headers::Headers, matched, shape::Shape};
use crate::{
    api::{RolloutSpec, validate::Finding},
    router::asked::matches,
};

/// Every field of a `custom` entry that is at fault, and every match that an entry has no form for.
pub fn unmet(spec: &RolloutSpec) -> Vec<Finding> {
    let entries = spec.traffic.iter().enumerate().filter_map(|(index, entry)| Some((index, entry.custom.as_ref()?)));
    let found = entries.flat_map(|(index, entry)| {
        let defects = Shape::of(entry).err().unwrap_or_default();
        let at = move |field: &str| format!("spec.traffic[{index}].custom.{field}");
        defects.into_iter().map(move |defect| Finding::error(at(defect.field), defect.message))
    });
    found.chain(unsaid(spec)).collect()
}

/// Matches of the strategy for which an entry that has header routes says no form. What one without cannot do is its
/// capability.
fn unsaid(spec: &RolloutSpec) -> impl Iterator<Item = Finding> {
    let shapes = spec.traffic.iter().filter_map(|entry| Shape::of(entry.custom.as_ref()?).ok());
    let all: Vec<Headers> = shapes.filter_map(|shape| shape.headers).collect();
    matches(&spec.strategy).into_iter().filter_map(move |(path, route, own)| {
        let field = all.iter().find_map(|headers| headers.entry(&own).err()).filter(|_| own.header.is_some())?;
        let error = CustomError::Undeclared { route, what: matched::shown(&own), field };
        Some(Finding::error(path, error.to_string()))
    })
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
            own(&json!({"headers": {"allOf": "when", "exact": {"header": "{name}", "is": "{value}"}}})),
            own(&json!({"headers": {"anyOf": "if", "allOf": "all.of", "ruleName": "id", "precedence": ["path"],
                "regex": {"header": {"type": "Regex", "name": "{name}", "like": "{value}", "full": true}}}})),
            json!({"preset": "contour", "name": "web"}),
            json!({"preset": "kuma", "name": "web", "backends": {"path": "spec.to[*].rules[*].default.backendRefs",
                "service": "name", "serviceValue": "{service}_{namespace}_svc_8080"}}),
        ] {
            assert_eq!(found(&entry), Vec::<String>::new(), "{entry}");
        }
    }

    #[test]
    fn every_field_at_fault_is_named() {
        let exact = json!({"header": "{name}", "is": "{value}"});
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
            (json!({"headers": {"allOf": "when"}}), "headers: set at least one of exact, prefix and regex"),
            (json!({"headers": {"allOf": "when[0]", "exact": exact}}), "headers.allOf: `when[0]` is not a field"),
            (json!({"headers": {"anyOf": "", "allOf": "a", "exact": exact}}), "headers.anyOf: `` is not a field"),
            (json!({"headers": {"allOf": "backends", "exact": exact}}), "headers.allOf: `backends` is the list of the"),
            (
                json!({"headers": {"allOf": "when", "prefix": {"name": "{name}"}}}),
                "headers.prefix: not a match of a header: one field must be \"{name}\" and one \"{value}\"",
            ),
            (
                json!({"headers": {"allOf": "when", "exact": exact, "precedence": ["a.b"]}}),
                "headers.precedence: `a.b` is not the name of a field",
            ),
            (
                json!({"backends": {"path": "spec.backends"}, "headers": {"allOf": "when", "exact": exact}}),
                "headers: `spec.backends` leads to no list of rules",
            ),
            (
                json!({"backends": null, "fields": {"canary": "spec.a"}, "headers": {"allOf": "when", "exact": exact}}),
                "headers: header routes are rules beside others: they need backends, not fields",
            ),
            (
                json!({"apiVersion": "projectcontour.io/v1", "kind": "HTTPProxy", "headers": {"allOf": "when", "exact": exact}}),
                "headers: the preset `contour` says it for HTTPProxy; remove this",
            ),
            (
                json!({"preset": "apisix", "apiVersion": null, "kind": null, "headers": {"allOf": "when", "exact": exact}}),
                "headers: the preset `apisix` has no header routes for ApisixRoute; remove this",
            ),
        ] {
            let found = found(&own(&changes));
            let wanted = format!("spec.traffic[0].custom.{wanted}");
            assert!(found.len() == 1 && found[0].starts_with(&wanted), "{changes}\nwanted: {wanted}\ngot: {found:#?}");
        }
    }

    #[test]
    fn every_match_without_a_form_is_named() {
        let headers = json!({"headers": {"allOf": "when", "exact": {"header": "{name}", "is": "{value}"}}});
        let found = |entry: &Value, strategy: &Value| -> Vec<String> {
            let traffic = json!([{"custom": entry}]);
            let spec: RolloutSpec = serde_json::from_value(json!({"strategy": strategy, "traffic": traffic})).unwrap();
            crate::router::unmet(&spec).iter().map(|one| format!("{}: {}", one.path, one.message)).collect()
        };
        let one = |how: &str, value: &str| json!([{"header": {"name": "a", how: value}}]);
        let step =
            |matches: &Value| json!({"canary": {"steps": [{"setHeaderRoute": {"name": "testers", "match": matches}}]}});
        let goal = json!({"templates": [{"name": "t"}]});
        let at = "spec.strategy.canary.steps[0].setHeaderRoute.match";
        let needs = |what: &str, field: &str| {
            format!("matches {what}, for which the router custom needs spec.traffic[].custom.headers.{field}")
        };
        for (strategy, wanted) in [
            (step(&one("exact", "b")), None),
            (
                step(&one("exact", "")),
                Some(format!("{at}[0]: header route `testers` {}", needs("header `a` by an empty value", "regex"))),
            ),
            (
                step(&one("prefix", "b")),
                Some(format!("{at}[0]: header route `testers` {}", needs("header `a` by a prefix", "prefix"))),
            ),
            (
                step(&one("regex", "b")),
                Some(format!(
                    "{at}[0]: header route `testers` {}",
                    needs("header `a` by a regular expression", "regex")
                )),
            ),
            (
                step(&json!([{"cookie": {"name": "a", "exact": "b"}}])),
                Some(format!("{at}: the router custom cannot route by cookie")),
            ),
            (
                json!({"blueGreen": {"activeService": "a", "previewMatch": one("regex", "b")}}),
                Some("spec.strategy.blueGreen.previewMatch[0]: ".to_owned()),
            ),
            (
                json!({"abTest": {"match": one("regex", "b"), "goal": goal}}),
                Some("spec.strategy.abTest.match[0]: ".to_owned()),
            ),
        ] {
            let said = found(&own(&headers), &strategy);
            assert_eq!(said.len(), usize::from(wanted.is_some()), "{said:?}");
            assert!(wanted.iter().all(|wanted| said[0].starts_with(wanted.as_str())), "{said:?}\n{wanted:?}");
            assert_eq!(found(&json!({"preset": "kuma", "name": "web"}), &strategy), Vec::<String>::new());
            // Lists elsewhere are in rules of another shape.
            let elsewhere =
                json!({"preset": "kuma", "name": "web", "backends": {"path": "spec.x[*].y", "service": "z"}});
            for without in [json!({"preset": "apisix", "name": "web"}), elsewhere] {
                let refused = found(&without, &strategy);
                assert!(
                    refused.len() == 1 && refused[0].contains(": the router custom cannot route by "),
                    "{refused:?}"
                );
            }
        }
    }
}
