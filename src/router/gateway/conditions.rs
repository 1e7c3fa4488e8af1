//! What the implementation says of a route: the conditions Accepted, ResolvedRefs and PartiallyInvalid of each parent
//! (rule S52).

use serde_json::Value;

use super::error::GatewayError;

/// The types of condition that must not be False.
const MUST_HOLD: [&str; 2] = ["Accepted", "ResolvedRefs"];
/// The type of condition that must not be True: rules were dropped, or the route of before stays in force.
const MUST_NOT_HOLD: &str = "PartiallyInvalid";

/// The first condition that says that the object is not used as it is: one that must hold and is False at the generation of
/// the object, or PartiallyInvalid of any generation, as its parent may still use an object of before. Some implementations
/// never set observedGeneration: what they say counts without it. A condition that is absent says nothing, nor does one of a
/// parent that the route no longer names.
pub(super) fn refusal(object: &Value, route: &str) -> Option<GatewayError> {
    first(object, |condition| refuses(object, condition))
        .map(|(parent, condition)| not_accepted(route, parent, condition))
}

/// Whether the implementation may still use the object as it was before: it has not accepted this one, whole. A reference
/// that cannot be resolved is no such case: the rest is used.
pub(super) fn keeps_the_old(object: &Value) -> bool {
    first(object, |condition| condition["type"] != MUST_HOLD[1] && refuses(object, condition)).is_some()
}

fn refuses(object: &Value, condition: &Value) -> bool {
    let generation = number(&object["metadata"]["generation"]);
    let is_current = || observed(condition).is_none_or(|observed| Some(observed) == generation);
    let kind = condition["type"].as_str().unwrap_or_default();
    let is_broken = MUST_HOLD.contains(&kind) && condition["status"] == "False" && is_current();
    is_broken || kind == MUST_NOT_HOLD && condition["status"] == "True"
}

/// The first such condition of a parent that the route names, with that parent's status.
fn first(object: &Value, is_it: impl Fn(&Value) -> bool) -> Option<(&Value, &Value)> {
    let named = |status: &&Value| {
        let parents = object["spec"]["parentRefs"].as_array();
        parents.is_none_or(|all| all.iter().any(|parent| same_parent(object, &status["parentRef"], parent)))
    };
    let mut statuses = object["status"]["parents"].as_array().into_iter().flatten().filter(named);
    statuses.find_map(|status| {
        let condition = status["conditions"].as_array()?.iter().find(|condition| is_it(condition))?;
        Some((status, condition))
    })
}

/// A parent whose implementation says which generation it has seen, and has not seen this one: what that parent's status is.
/// Of several implementations for one parent the newest counts: one that was uninstalled leaves its status behind.
pub(super) fn lagging(object: &Value) -> Option<&Value> {
    let generation = number(&object["metadata"]["generation"])?;
    let mut named = object["spec"]["parentRefs"].as_array().into_iter().flatten();
    named.find_map(|parent| {
        let (seen, status) = newest_seen(object, parent)?;
        (seen < generation).then_some(status)
    })
}

/// The newest generation that any implementation has accepted or refused for a parent.
fn newest_seen<'o>(object: &'o Value, parent: &Value) -> Option<(i64, &'o Value)> {
    let all = object["status"]["parents"].as_array().into_iter().flatten();
    let of_it = all.filter(|one| same_parent(object, &one["parentRef"], parent));
    let seen = of_it.filter_map(|status| {
        let mut conditions = status["conditions"].as_array()?.iter();
        Some((observed(conditions.find(|condition| condition["type"] == MUST_HOLD[0])?)?, status))
    });
    seen.max_by_key(|(generation, _)| *generation)
}

/// Whether two references name one parent. An implementation may write defaults that the route leaves out.
fn same_parent(object: &Value, one: &Value, other: &Value) -> bool {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let text = |of: &Value, field: &str, default: &str| of[field].as_str().unwrap_or(default).to_owned();
    text(one, "kind", "Gateway") == text(other, "kind", "Gateway")
        && text(one, "namespace", namespace) == text(other, "namespace", namespace)
        && ["name", "sectionName", "port"].iter().all(|field| one.get(*field) == other.get(*field))
}

fn observed(condition: &Value) -> Option<i64> {
    number(condition.get("observedGeneration")?)
}

/// Some implementations write the number as text.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// How a parent and its controller are shown: `example.com/gateway` and `Gateway edge`.
pub(super) fn shown(status: &Value) -> (String, String) {
    let kind = status["parentRef"]["kind"].as_str().unwrap_or("Gateway");
    let name = text(&status["parentRef"]["name"]);
    (text(&status["controllerName"]), format!("{} {name}", text(&kind.into())))
}

/// Messages of others are cut: they have no bound.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().chars().take(LONGEST).collect()
}

/// Whether Linkerd is among the implementations: it turns a backend with a filter that it does not know into failures.
pub(super) fn is_linkerd(object: &Value) -> bool {
    let mut parents = object["status"]["parents"].as_array().into_iter().flatten();
    parents.any(|parent| parent["controllerName"] == "linkerd.io/policy-controller")
}

/// The longest text of others that is shown.
const LONGEST: usize = 200;

fn not_accepted(route: &str, parent: &Value, condition: &Value) -> GatewayError {
    let (controller, parent) = shown(parent);
    let message = Some(text(&condition["message"])).filter(|message| !message.is_empty());
    let message = message.map(|message| format!(": {message}")).unwrap_or_default();
    GatewayError::NotAccepted {
        route: route.to_owned(),
        by: format!(" by {controller} for {parent}"),
        condition: format!("{} is {}", text(&condition["type"]), text(&condition["status"])),
        why: format!(" ({}){message}", text(&condition["reason"])),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(status: Value) -> Option<String> {
        let object = json!({"metadata": {"generation": 7}, "status": status});
        refusal(&object, "HTTPRoute shop/web").map(|error| error.to_string())
    }

    #[test]
    fn s52_a_condition_that_is_false_at_our_generation_refuses() {
        let parent = |condition: Value| {
            json!({"parents": [{"parentRef": {"name": "edge"}, "controllerName": "example.com/gateway",
                "conditions": [{"type": "Programmed", "status": "False"}, condition]}]})
        };
        let refs = |status: &str, observed: Value| {
            parent(json!({"type": "ResolvedRefs", "status": status, "reason": "InvalidKind", "message": "no such kind",
                "observedGeneration": observed}))
        };
        let wanted = "HTTPRoute shop/web is not accepted by example.com/gateway for Gateway edge: ResolvedRefs is False \
                      (InvalidKind): no such kind";
        assert_eq!(said(refs("False", json!(7))).as_deref(), Some(wanted));
        assert_eq!(said(refs("False", json!(null))).as_deref(), Some(wanted), "Linkerd sets no observedGeneration");
        for status in [refs("False", json!(6)), refs("True", json!(7)), refs("Unknown", json!(7)), json!(null)] {
            assert_eq!(said(status.clone()), None, "{status}");
        }
        let bare = said(parent(json!({"type": "Accepted", "status": "False", "reason": "NotAllowedByListeners"})));
        assert!(bare.unwrap().ends_with("Accepted is False (NotAllowedByListeners)"));
    }

    fn waits(parents: &[Value]) -> bool {
        let spec = json!({"parentRefs": [{"name": "edge", "sectionName": "https"}, {"name": "mesh"}]});
        let metadata = json!({"namespace": "shop", "generation": 7});
        lagging(&json!({"metadata": metadata, "spec": spec, "status": {"parents": parents}})).is_some()
    }

    #[test]
    fn s52_a_parent_that_has_not_seen_our_generation_is_waited_for() {
        let parent = |name: Value, observed: Value| {
            json!({"parentRef": name, "conditions": [{"type": "Accepted", "status": "True", "observedGeneration": observed},
                {"type": "Programmed", "status": "True", "observedGeneration": 1}]})
        };
        let edge = |observed| parent(json!({"name": "edge", "sectionName": "https", "kind": "Gateway"}), observed);
        let mesh = |observed| parent(json!({"name": "mesh"}), observed);
        assert!(waits(&[edge(json!(6)), mesh(json!(7))]));
        assert!(waits(&[edge(json!(7)), mesh(json!("6"))]), "a number may be text");
        let away = |field: &str, value: &str| {
            let mut other = mesh(json!(7));
            other["parentRef"][field] = value.into();
            [mesh(json!(6)), other]
        };
        assert!(waits(&away("namespace", "infra")) && waits(&away("kind", "Service")), "another parent of the name");
        assert!(!waits(&away("namespace", "shop")) && !waits(&away("kind", "Gateway")), "written out by one of two");
        for ready in [
            vec![],
            vec![edge(json!(7)), mesh(json!(8))],
            vec![edge(json!("7")), mesh(json!(null))],
            vec![edge(json!(3)), edge(json!(7))],
            vec![parent(json!({"name": "gone"}), json!(3))],
        ] {
            assert!(!waits(&ready), "{ready:?}");
        }
    }

    #[test]
    fn s52_a_route_that_is_used_in_part_is_not_accepted_whatever_the_generation() {
        let partly = |status: &str, observed: Value| {
            json!({"parents": [{"conditions": [{"type": "Accepted", "status": "True", "observedGeneration": 7},
                {"type": "PartiallyInvalid", "status": status, "reason": "UnsupportedValue", "message": "Dropped Rule 2",
                    "observedGeneration": observed}]}]})
        };
        for observed in [json!(7), json!(6), json!(null)] {
            let refused = said(partly("True", observed.clone())).unwrap();
            assert!(refused.ends_with("PartiallyInvalid is True (UnsupportedValue): Dropped Rule 2"), "{refused}");
            assert_eq!(said(partly("False", observed)), None);
        }
    }
}
