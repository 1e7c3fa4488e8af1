//! Which backend of a rule is ours: Gateway API's reading of a backendRef.

use serde_json::{Value, json};

use crate::{engine::Target, router::context::RouteContext};

/// The stable and the canary Service, as a route of `namespace` refers to them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backends<'a> {
    pub(super) ctx: &'a RouteContext,
    pub(super) namespace: &'a str,
}

impl<'a> Backends<'a> {
    /// The Service's name.
    pub(super) fn service(&self, target: Target) -> &'a str {
        match target {
            Target::Stable => &self.ctx.stable_service,
            Target::Canary => &self.ctx.canary_service,
        }
    }

    /// Whether a backendRef leads there: a Service (the default kind) of the Rollout's namespace (default: the route's).
    pub(super) fn leads_to(&self, backend: &Value, target: Target) -> bool {
        let text = |field: &str, default| match backend.get(field) {
            None | Some(Value::Null) => Some(default),
            Some(value) => value.as_str(),
        };
        text("group", "") == Some("")
            && text("kind", "Service") == Some("Service")
            && text("namespace", self.namespace) == Some(self.ctx.namespace.as_str())
            && backend["name"].as_str() == Some(self.service(target))
    }

    /// Whether it leads to either.
    pub(super) fn is_ours(&self, backend: &Value) -> bool {
        [Target::Stable, Target::Canary].into_iter().any(|target| self.leads_to(backend, target))
    }

    /// The backendRef of a rule that leads there.
    pub(super) fn find<'r>(&self, rule: &'r Value, target: Target) -> Option<&'r Value> {
        list(rule).iter().find(|backend| self.leads_to(backend, target))
    }

    /// YAML for the missing backendRef, with the port of the one that is there. A mesh needs the port.
    pub(super) fn lines(&self, rule: &Value, target: Target) -> String {
        let (other, weight) = match target {
            Target::Stable => (Target::Canary, 1),
            Target::Canary => (Target::Stable, 0),
        };
        let sibling = self.find(rule, other);
        let mut lines = format!("- name: {}\n", self.service(target));
        if self.namespace != self.ctx.namespace {
            lines += &format!("  namespace: {}\n", self.ctx.namespace);
        }
        match sibling.and_then(|backend| backend["port"].as_u64()) {
            Some(port) => lines += &format!("  port: {port}\n"),
            None => lines += "  port: 80\n",
        }
        lines + &format!("  weight: {weight}")
    }

    /// What a filter refers to: the same object as a backendRef, without weight and filters. Spelled out as the API server
    /// stores it, so that what is read back equals what was written.
    pub(super) fn reference(backend: &Value) -> Value {
        let mut reference = json!({ "group": "", "kind": "Service" });
        for field in ["name", "namespace", "port"] {
            if let Some(value) = backend.get(field).filter(|value| !value.is_null()) {
                reference[field] = value.clone();
            }
        }
        reference
    }
}

/// The backendRefs of a rule.
pub(super) fn list(rule: &Value) -> &[Value] {
    rule["backendRefs"].as_array().map_or(&[], Vec::as_slice)
}
