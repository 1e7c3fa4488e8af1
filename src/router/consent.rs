//! Whether the owner of a route object in another namespace lets a Rollout write it (rule S7).
//!
//! The controller may write all namespaces' routes; a user who may create Rollouts in one namespace may not. So an object of
//! another namespace is written only when its owner consents: by an annotation on the object, or by a Gateway API
//! ReferenceGrant in its namespace. Without consent nothing of the object reaches the Rollout's owner, not even whether it
//! exists.

use serde_json::Value;

use super::{
    context::{CrossNamespace, RouteContext},
    error::RouteError,
    objects::{ObjectRef, Objects, REFERENCE_GRANT},
};

/// The annotation on a route object: the namespaces whose Rollouts may write it, separated by commas; `*` means all.
pub const ALLOW_NAMESPACES: &str = "glidepath.dev/allow-namespaces";

/// The object, where this Rollout may write it.
pub fn written<'o>(ctx: &RouteContext, reference: &ObjectRef, current: &'o Objects) -> Result<&'o Value, RouteError> {
    let found = current.get(&reference.kind, &reference.namespace, &reference.name);
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
    let granted = || current.of_kind(REFERENCE_GRANT, &reference.namespace).any(|grant| grants(ctx, reference, grant));
    ctx.scope.cross_namespace == CrossNamespace::Consent && (annotated(ctx, object) || granted())
}

fn annotated(ctx: &RouteContext, object: &Value) -> bool {
    let list = object["metadata"]["annotations"][ALLOW_NAMESPACES].as_str().unwrap_or_default();
    list.split(',').map(str::trim).any(|allowed| allowed == ctx.namespace || allowed == "*")
}

/// A grant names who may refer (group, kind, namespace) and to what (group, kind, perhaps a name).
fn grants(ctx: &RouteContext, reference: &ObjectRef, grant: &Value) -> bool {
    let entries = |field: &str| grant["spec"][field].as_array().map_or(&[][..], Vec::as_slice);
    let group = reference.api_version.split('/').next().unwrap_or_default();
    let from = entries("from").iter().any(|from| {
        from["group"] == "glidepath.dev" && from["kind"] == "Rollout" && from["namespace"] == ctx.namespace.as_str()
    });
    let to = entries("to").iter().any(|to| {
        let name = to["name"].as_str().is_none_or(|name| name == reference.name);
        to["group"] == group && to["kind"] == reference.kind.as_str() && name
    });
    from && to
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
            json!({"kind": REFERENCE_GRANT, "metadata": {"namespace": namespace, "name": "g"},
                "spec": {"from": [from], "to": [to]}})
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
}
