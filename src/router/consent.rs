//! Whether the owner of a route object in another namespace lets a Rollout write it (rule S7).
//!
//! The controller may write all namespaces' routes; a user who may create Rollouts in one namespace may not. So an object of
//! another namespace is written only when its owner consents: by an annotation on the object, or by a Gateway API
//! ReferenceGrant in its namespace. Without consent nothing of the object reaches the Rollout's owner, not even whether it
//! exists.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    context::{CrossNamespace, RouteContext},
    error::RouteError,
    kind::{RbacRule, WatchedKind},
    objects::{GRANT_GROUP, ListRef, ObjectRef, Objects, REFERENCE_GRANT},
    resource::group_of,
};

/// The annotation on a route object: the namespaces whose Rollouts may write it, separated by commas; `*` means all.
pub const ALLOW_NAMESPACES: &str = "glidepath.dev/allow-namespaces";

/// The kind of grants, for routers that write objects of other namespaces.
pub(super) const GRANTS: WatchedKind =
    WatchedKind::known(GRANT_GROUP, &["v1", "v1beta1"], REFERENCE_GRANT, "referencegrants");
/// What reading them takes.
pub(super) const RBAC: RbacRule =
    RbacRule { group: GRANT_GROUP, resources: &["referencegrants"], verbs: &["list", "watch"] };

/// The ReferenceGrants of those of these namespaces that are not the Rollout's, each once.
pub(super) fn foreign_grants<'n>(ctx: &RouteContext, namespaces: impl Iterator<Item = &'n String>) -> Vec<ListRef> {
    let foreign: BTreeSet<&String> = namespaces.filter(|namespace| **namespace != ctx.namespace).collect();
    foreign.into_iter().map(|namespace| ListRef::grants(namespace)).collect()
}

/// The object, where this Rollout may write it.
pub fn written<'o>(ctx: &RouteContext, reference: &ObjectRef, current: &'o Objects) -> Result<&'o Value, RouteError> {
    let found = current.find(reference);
    let allowed = found.filter(|object| allows(ctx, reference, object, current));
    allowed.ok_or_else(|| unwritable(ctx, reference))
}

/// Of another namespace's object it is not said whether it exists.
fn unwritable(ctx: &RouteContext, reference: &ObjectRef) -> RouteError {
    let ObjectRef { kind, namespace, name, .. } = reference.clone();
    if namespace == ctx.namespace {
        return RouteError::Missing { kind, namespace, name };
    }
    match ctx.scope.cross_namespace {
        CrossNamespace::Deny => RouteError::CrossNamespaceDenied { kind, namespace, name },
        CrossNamespace::Consent => RouteError::NoConsent { kind, namespace, name, ours: ctx.namespace.clone() },
    }
}

/// Whether the Rollout may write this object.
fn allows(ctx: &RouteContext, reference: &ObjectRef, object: &Value, current: &Objects) -> bool {
    if reference.namespace == ctx.namespace {
        return true;
    }
    let rollout = Referrer { group: "glidepath.dev", kind: "Rollout", namespace: &ctx.namespace };
    let group = group_of(&reference.api_version);
    let granted = || granted(current, &reference.namespace, rollout, (group, &reference.kind, &reference.name));
    ctx.scope.cross_namespace == CrossNamespace::Consent && (annotated(ctx, object) || granted())
}

fn annotated(ctx: &RouteContext, object: &Value) -> bool {
    let list = object["metadata"]["annotations"][ALLOW_NAMESPACES].as_str().unwrap_or_default();
    list.split(',').map(str::trim).any(|allowed| allowed == ctx.namespace || allowed == "*")
}

/// Who refers to an object of another namespace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Referrer<'a> {
    pub(super) group: &'a str,
    pub(super) kind: &'a str,
    pub(super) namespace: &'a str,
}

/// Whether a ReferenceGrant of the object's namespace allows it: it names who may refer (group, kind, namespace) and to what
/// (group, kind, perhaps a name).
pub(super) fn granted(
    current: &Objects,
    namespace: &str,
    referrer: Referrer<'_>,
    (group, kind, name): (&str, &str, &str),
) -> bool {
    let is_from = |from: &Value| {
        from["group"] == referrer.group && from["kind"] == referrer.kind && from["namespace"] == referrer.namespace
    };
    let is_to = |to: &Value| {
        let named = to["name"].as_str().is_none_or(|named| named == name);
        to["group"] == group && to["kind"] == kind && named
    };
    current.of_kind((GRANT_GROUP, REFERENCE_GRANT), namespace).any(|grant| {
        let entries = |field: &str| grant["spec"][field].as_array().map_or(&[][..], Vec::as_slice);
        entries("from").iter().any(is_from) && entries("to").iter().any(is_to)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::router::context::RouteScope;

    fn context(cross_namespace: CrossNamespace) -> RouteContext {
        let scope = RouteScope { cross_namespace, ..RouteScope::default() };
        RouteContext { namespace: "shop".into(), scope, ..RouteContext::default() }
    }

    fn reference(namespace: &str) -> ObjectRef {
        ObjectRef {
            api_version: "networking.istio.io/v1".into(),
            kind: "VirtualService".into(),
            plural: "virtualservices".into(),
            namespace: namespace.into(),
            name: "ingress".into(),
            required: true,
            is_written: true,
            is_named: false,
        }
    }

    fn annotation(list: &str) -> Value {
        json!({"metadata": {"annotations": {ALLOW_NAMESPACES: list}}})
    }

    #[test]
    fn h7_an_annotation_names_the_namespaces_that_may_write() {
        let cases = [
            ("shop", true),
            ("bank, shop", true),
            ("*", true),
            ("", false),
            ("bank", false),
            ("shopping", false),
            ("shop bank", false),
        ];
        for (list, expected) in cases {
            let ctx = context(CrossNamespace::Consent);
            let object = annotation(list);
            assert_eq!(allows(&ctx, &reference("gateway"), &object, &Objects::default()), expected, "{list:?}");
            let ctx = context(CrossNamespace::Deny);
            assert!(!allows(&ctx, &reference("gateway"), &object, &Objects::default()), "denied for all");
            assert!(allows(&ctx, &reference("shop"), &object, &Objects::default()), "its own namespace");
        }
    }

    #[test]
    fn h7_a_reference_grant_names_who_and_what() {
        let grant = |namespace: &str, from: Value, to: Value| {
            json!({"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": REFERENCE_GRANT,
                "metadata": {"namespace": namespace, "name": "g"}, "spec": {"from": [from], "to": [to]}})
        };
        let from = |namespace: &str| json!({"group": "glidepath.dev", "kind": "Rollout", "namespace": namespace});
        let to = json!({"group": "networking.istio.io", "kind": "VirtualService"});
        let named = |name: &str| json!({"group": "networking.istio.io", "kind": "VirtualService", "name": name});
        let cases = [
            (grant("gateway", from("shop"), to.clone()), true),
            (grant("gateway", from("shop"), named("ingress")), true),
            (grant("gateway", from("shop"), named("other")), false),
            (grant("gateway", from("bank"), to.clone()), false),
            (grant("elsewhere", from("shop"), to.clone()), false),
            (grant("gateway", from("shop"), json!({"group": "", "kind": "Service"})), false),
            (grant("gateway", json!({"group": "", "kind": "Service", "namespace": "shop"}), to), false),
        ];
        for (grant, expected) in cases {
            let current: Objects = [grant.clone()].into_iter().collect();
            let ctx = context(CrossNamespace::Consent);
            assert_eq!(allows(&ctx, &reference("gateway"), &json!({}), &current), expected, "{grant}");
        }
    }

    /// H7: whoever may create objects of any kind of that name could else give consent for the owner.
    #[test]
    fn h7_a_kind_of_another_group_by_the_same_name_is_no_consent() {
        for (group, expected) in [(GRANT_GROUP, true), ("mesh.example.com", false)] {
            let api_version = format!("{group}/v1beta1");
            let grant = json!({"apiVersion": api_version, "kind": REFERENCE_GRANT,
                "metadata": {"namespace": "gateway", "name": "g"},
                "spec": {"from": [{"group": "glidepath.dev", "kind": "Rollout", "namespace": "shop"}],
                    "to": [{"group": "networking.istio.io", "kind": "VirtualService"}]}});
            let current: Objects = [grant].into_iter().collect();
            let ctx = context(CrossNamespace::Consent);
            assert_eq!(allows(&ctx, &reference("gateway"), &json!({}), &current), expected, "{group}");
            let list = ListRef { api_version, ..ListRef::grants("gateway") };
            assert_eq!(list.is_consent(), expected, "{group}");
            let kind = WatchedKind { group: group.into(), ..GRANTS };
            assert_eq!(kind.is_consent(), expected, "{group}");
        }
    }
}
