//! Which of two rules gets a request that both match, as the Gateway API ranks them: a rule of ours must not get what the
//! user's route sends elsewhere.
//!
//! An HTTPRoute ranks by path (exact, then the longest prefix), method, and the numbers of headers and of query parameters;
//! a GRPCRoute by the lengths of service and method, and the number of headers; then the earlier rule wins. A rule of ours
//! has what its base has and a header more. So it takes from a sibling just where that outranks the base and not ours: both
//! have the same path and method. Of a regular expression only the same text is known to match the same requests.

use std::cmp::Ordering;

use serde_json::Value;

use super::matches;
use crate::api::traffic::RouteKind;

/// A rule of the user's, and where it stands among them.
#[derive(Clone, Copy)]
pub(super) struct Placed<'v> {
    pub(super) index: usize,
    pub(super) rule: &'v Value,
}

/// The first of the siblings that would lose requests to a rule of ours which directly precedes its base.
pub(super) fn loser<'v>(
    kind: RouteKind,
    base: Placed<'_>,
    ours: &Value,
    siblings: &[Placed<'v>],
) -> Option<Placed<'v>> {
    let (base_matches, own_matches) = (all(kind, base.rule), all(kind, ours));
    let loses = |sibling: &&Placed<'_>| {
        let is_earlier = sibling.index < base.index;
        all(kind, sibling.rule).iter().any(|theirs| {
            let stays = |own: &Value| !overlap(kind, theirs, own) || beats(kind, theirs, own, is_earlier);
            let had = base_matches.iter().any(|base| beats(kind, theirs, base, is_earlier));
            had && !own_matches.iter().all(stays)
        })
    };
    siblings.iter().find(loses).copied()
}

/// The matches of a rule; one without any has one that matches everything.
fn all(kind: RouteKind, rule: &Value) -> Vec<Value> {
    let given = rule["matches"].as_array().filter(|list| !list.is_empty());
    let mut list = given.cloned().unwrap_or_else(|| vec![Value::Object(serde_json::Map::new())]);
    list.iter_mut().for_each(|one| matches::complete(kind, one));
    list
}

fn beats(kind: RouteKind, one: &Value, other: &Value, is_earlier: bool) -> bool {
    match rank(kind, one).cmp(&rank(kind, other)) {
        Ordering::Equal => is_earlier,
        order => order == Ordering::Greater,
    }
}

/// The higher, the more specific.
fn rank(kind: RouteKind, one: &Value) -> [usize; 5] {
    let length = |value: &Value| value.as_str().map_or(0, str::len);
    let count = |field: &str| one[field].as_array().map_or(0, Vec::len);
    match kind {
        RouteKind::Grpc => {
            [length(&one["method"]["service"]), length(&one["method"]["method"]), count("headers"), 0, 0]
        }
        _ => {
            let path = &one["path"];
            let is_exact = usize::from(path["type"] == "Exact");
            let has_method = usize::from(one["method"].is_string());
            [is_exact, length(&path["value"]), has_method, count("headers"), count("queryParams")]
        }
    }
}

/// Whether a request may match both, as far as that can be seen from exact values.
fn overlap(kind: RouteKind, one: &Value, other: &Value) -> bool {
    let path_and_method = match kind {
        RouteKind::Grpc => one["method"] == other["method"],
        _ => one["path"] == other["path"] && one["method"] == other["method"],
    };
    path_and_method && ["headers", "queryParams"].iter().all(|list| may_agree(&one[*list], &other[*list]))
}

/// Whether no name has to have two different exact values.
fn may_agree(one: &Value, other: &Value) -> bool {
    let entries = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let is_exact = |entry: &Value| entry.get("type").is_none_or(|kind| kind == "Exact");
    let name = |entry: &Value| entry["name"].as_str().unwrap_or_default().to_ascii_lowercase();
    let contradict = |one: &Value, other: &Value| {
        name(one) == name(other) && is_exact(one) && is_exact(other) && one["value"] != other["value"]
    };
    let others = entries(other);
    !entries(one).iter().any(|one| others.iter().any(|other| contradict(one, other)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Whether a sibling with these matches loses requests to a rule for testers of the base, which stands second.
    fn loses(kind: RouteKind, index: usize, base: &Value, sibling: &Value) -> bool {
        let mut ours = base.clone();
        for one in ours["matches"].as_array_mut().unwrap() {
            let mut headers = one["headers"].as_array().cloned().unwrap_or_default();
            headers.push(json!({"name": "x-testers", "value": "yes"}));
            one["headers"] = headers.into();
        }
        let siblings = [Placed { index, rule: sibling }];
        loser(kind, Placed { index: 1, rule: base }, &ours, &siblings).is_some()
    }

    fn rule(matches: Value) -> Value {
        json!({ "matches": matches })
    }

    #[test]
    fn a_sibling_of_the_same_path_with_query_parameters_or_a_later_header_loses() {
        let path = json!({"type": "PathPrefix", "value": "/api"});
        let base = rule(json!([{ "path": path }]));
        let query = json!([{"name": "v", "value": "2"}]);
        let header = |name: &str, value: &str| json!([{"name": name, "value": value}]);
        for (index, one, lost) in [
            (0, json!({"path": path, "queryParams": query}), true),
            (2, json!({"path": path, "headers": header("x-beta", "1")}), true),
            (0, json!({"path": path, "headers": header("x-beta", "1")}), false),
            (2, json!({"path": path, "headers": header("X-Testers", "no")}), false),
            (2, json!({"path": path, "headers": header("X-Testers", "yes"), "queryParams": query}), false),
            (2, json!({"path": path, "method": "POST"}), false),
            (2, json!({"path": {"type": "PathPrefix", "value": "/api/v2"}, "queryParams": query}), false),
            (2, json!({"path": {"type": "PathPrefix", "value": "/"}, "headers": header("x-beta", "1")}), false),
            (2, json!({"path": {"type": "Exact", "value": "/api"}, "queryParams": query}), false),
            (2, json!({ "path": path }), false),
        ] {
            assert_eq!(loses(RouteKind::Http, index, &base, &rule(json!([one]))), lost, "{index} {one}");
        }
        let everything = json!({"backendRefs": []});
        let anywhere = rule(json!([{}]));
        assert!(!loses(RouteKind::Http, 2, &anywhere, &everything), "the base had all of its requests");
        let beta = rule(json!([{"queryParams": query}]));
        assert!(loses(RouteKind::Http, 2, &anywhere, &beta), "an absent path is the prefix /");
    }

    #[test]
    fn a_grpc_sibling_of_the_same_method_loses_by_headers() {
        let method = json!({"service": "shop.Cart", "method": "Add"});
        let base = rule(json!([{ "method": method }]));
        let headers = json!([{"name": "tenant", "value": "a"}]);
        for (one, lost) in [
            (json!({"method": method, "headers": headers}), true),
            (json!({"method": {"service": "shop.Cart"}, "headers": headers}), false),
        ] {
            assert_eq!(loses(RouteKind::Grpc, 2, &base, &rule(json!([one]))), lost, "{one}");
        }
    }
}
