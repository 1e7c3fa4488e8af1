//! A VirtualService without hosts, to which the http routes of a root VirtualService delegate. Istio joins each match of the
//! root's route with each of the delegate's and drops those pairs that conflict, without a word; so what would be dropped is
//! refused. The rules are those of Istio's `mergeVirtualServices`.

use serde_json::Value;

use super::kinds::VIRTUAL_SERVICES;
use crate::{
    api::traffic::RootRef,
    router::{context::RouteContext, objects::ObjectRef},
};

/// A root VirtualService, which is only read.
pub(super) fn root_reference(ctx: &RouteContext, root: &RootRef) -> ObjectRef {
    let namespace = root.namespace.as_ref().unwrap_or(&ctx.namespace);
    ObjectRef { is_written: false, ..VIRTUAL_SERVICES.reference(namespace, &root.name) }
}

/// Whether a VirtualService delegates to this one.
pub fn delegates_to(root: &Value, namespace: &str, name: &str) -> bool {
    Delegated::of(root, namespace, name).is_some()
}

/// What a root delegates to one VirtualService: of each such route its matches.
pub(super) struct Delegated<'r> {
    routes: Vec<Vec<&'r Value>>,
}

/// A match without conditions.
static EVERYTHING: Value = Value::Null;

impl<'r> Delegated<'r> {
    /// What a root delegates to this VirtualService; `None`: nothing.
    pub(super) fn of(root: &'r Value, namespace: &str, name: &str) -> Option<Self> {
        let own = root["metadata"]["namespace"].as_str().unwrap_or_default();
        let is_meant = |route: &&Value| {
            let delegate = &route["delegate"];
            delegate["name"] == name && delegate["namespace"].as_str().unwrap_or(own) == namespace
        };
        let all = root["spec"]["http"].as_array().into_iter().flatten();
        let routes: Vec<Vec<&Value>> = all.filter(is_meant).map(matches).collect();
        (!routes.is_empty()).then_some(Delegated { routes })
    }

    /// Whether some request reaches a route of the delegate.
    pub(super) fn reaches(&self, route: &Value) -> bool {
        self.routes.iter().any(|root| survivors(root, route) > 0)
    }

    /// Whether a route that was made from `base` by joining its matches with others gets what it was made for: as much of it
    /// is left as of the base.
    pub(super) fn reaches_as(&self, route: &Value, base: &Value) -> bool {
        let times = matches(route).len() / matches(base).len().max(1);
        self.routes.iter().all(|root| survivors(root, route) == survivors(root, base) * times)
    }
}

fn matches(route: &Value) -> Vec<&Value> {
    match route["match"].as_array() {
        Some(list) if !list.is_empty() => list.iter().collect(),
        _ => vec![&EVERYTHING],
    }
}

/// How many pairs Istio keeps.
fn survivors(root: &[&Value], route: &Value) -> usize {
    let leaves = matches(route);
    root.iter().map(|root| leaves.iter().filter(|leaf| !conflict(root, leaf)).count()).sum()
}

fn conflict(root: &Value, leaf: &Value) -> bool {
    let texts = ["uri", "scheme", "method", "authority"];
    let lists = ["headers", "withoutHeaders", "queryParams"];
    let in_list = |list: &str| {
        let mut leaves = leaf[list].as_object().into_iter().flatten();
        leaves.any(|(key, leaf)| texts_conflict(&root[list][key.as_str()], leaf))
    };
    let ports = root["port"].as_u64().zip(leaf["port"].as_u64());
    texts.iter().any(|field| texts_conflict(&root[*field], &leaf[*field]))
        || lists.into_iter().any(in_list)
        || is_true(&root["ignoreUriCase"]) != is_true(&leaf["ignoreUriCase"])
        || ports.is_some_and(|(root, leaf)| root != leaf)
        || sources_conflict(root, leaf)
}

fn is_true(flag: &Value) -> bool {
    flag.as_bool().unwrap_or_default()
}

/// Where requests come from: the root's namespace must be repeated, its labels and gateways not contradicted.
fn sources_conflict(root: &Value, leaf: &Value) -> bool {
    let namespace = root["sourceNamespace"].as_str().filter(|namespace| !namespace.is_empty());
    let mut labels = leaf["sourceLabels"].as_object().into_iter().flatten();
    let names = |value: &'_ Value| -> Vec<Value> { value["gateways"].as_array().cloned().unwrap_or_default() };
    let (ours, theirs) = (names(leaf), names(root));
    namespace.is_some_and(|namespace| leaf["sourceNamespace"] != namespace)
        || labels.any(|(key, value)| root["sourceLabels"].get(key.as_str()).is_some_and(|known| known != value))
        || (!theirs.is_empty() && ours.iter().any(|gateway| !theirs.contains(gateway)))
}

/// How a text must read.
fn parts(text: &Value) -> [Option<&str>; 3] {
    ["exact", "prefix", "regex"].map(|field| text[field].as_str().filter(|part| !part.is_empty()))
}

fn texts_conflict(root: &Value, leaf: &Value) -> bool {
    if !root.is_object() || !leaf.is_object() {
        return false;
    }
    match (parts(root), parts(leaf)) {
        ([Some(root), _, None], [leaf, None, None]) => leaf != Some(root),
        ([None, Some(root), None], [Some(leaf), None, None] | [None, Some(leaf), None]) => !leaf.starts_with(root),
        // A regular expression goes with nothing else.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_delegates_match_must_be_within_its_roots() {
        let uri = |kind: &str, text: &str| json!({"uri": {kind: text}});
        for (root, leaf, conflicts) in [
            (json!({}), uri("regex", "/a.*"), false),
            (uri("prefix", "/a"), json!({}), false),
            (uri("prefix", "/a"), uri("prefix", "/a/b"), false),
            (uri("prefix", "/a/b"), uri("prefix", "/a"), true),
            (uri("prefix", "/a"), uri("exact", "/a/b"), false),
            (uri("prefix", "/a"), uri("exact", "/b"), true),
            (uri("exact", "/a"), uri("exact", "/a"), false),
            (uri("exact", "/a"), uri("exact", "/b"), true),
            (uri("exact", "/a"), uri("prefix", "/a"), true),
            (uri("regex", "/a"), uri("exact", "/a"), true),
            (uri("prefix", "/a"), uri("regex", "/a.*"), true),
            (json!({"headers": {"x": {"exact": "1"}}}), json!({"headers": {"y": {"exact": "2"}}}), false),
            (json!({"headers": {"x": {"exact": "1"}}}), json!({"headers": {"x": {"exact": "2"}}}), true),
            (json!({"port": 80}), json!({"port": 81}), true),
            (json!({"port": 80}), json!({}), false),
            (json!({"ignoreUriCase": true}), json!({}), true),
            (json!({"sourceNamespace": "shop"}), json!({}), true),
            (json!({"sourceNamespace": "shop"}), json!({"sourceNamespace": "shop"}), false),
            (json!({"sourceLabels": {"a": "b"}}), json!({"sourceLabels": {"a": "c"}}), true),
            (json!({"gateways": ["one", "two"]}), json!({"gateways": ["two"]}), false),
            (json!({"gateways": ["one"]}), json!({"gateways": ["two"]}), true),
        ] {
            assert_eq!(conflict(&root, &leaf), conflicts, "{root} {leaf}");
        }
    }

    #[test]
    fn what_was_made_from_a_route_must_be_left_as_the_route_is() {
        let root = json!({"metadata": {"namespace": "edge"}, "spec": {"http": [
            {"match": [{"uri": {"prefix": "/a"}}, {"headers": {"x": {"exact": "1"}}}], "delegate": {"name": "web", "namespace": "shop"}},
            {"delegate": {"name": "other", "namespace": "shop"}},
        ]}});
        let delegated = Delegated::of(&root, "shop", "web").unwrap();
        let base = json!({"match": [{"uri": {"prefix": "/a/b"}}]});
        let with = |header: &str| json!({"match": [{"uri": {"prefix": "/a/b"}, "headers": {header: {"exact": "2"}}}]});
        assert!(delegated.reaches(&base) && delegated.reaches_as(&with("y"), &base));
        assert!(!delegated.reaches_as(&with("x"), &base));
        let elsewhere = json!({"match": [{"uri": {"prefix": "/b"}, "headers": {"x": {"exact": "3"}}}]});
        assert!(!delegated.reaches(&elsewhere));
        assert!(Delegated::of(&root, "edge", "web").is_none(), "another namespace");
    }
}
