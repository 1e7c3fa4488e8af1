//! A route of our own (`createRoute`): made where it is absent, kept as the Rollout asks for it, and left behind when the
//! Rollout goes, leading to the Service that clients use: requests must not lose their way with the release tool.
//!
//! It is known by its label. One rule sends every request to the two Services; what others add to that rule, filters for
//! instance, stays.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{
    backends::{self, Backends},
    error::GatewayError,
    kinds::{GROUP, watched},
    own_rules::{OwnRules, rules},
};
use crate::{
    api::{
        ROLLOUT_LABEL,
        traffic::{CreatedRoute, GatewayRoute, RouteKind, RouteParent},
    },
    engine::Target,
    router::{
        context::{CrossNamespace, RouteContext},
        error::RouteError,
        objects::{ObjectRef, Objects},
    },
};

/// The created route of a Rollout.
#[derive(Clone, Copy)]
pub(super) struct Created<'a> {
    pub(super) ctx: &'a RouteContext,
    pub(super) config: &'a CreatedRoute,
}

impl<'a> Created<'a> {
    /// It as a route to split: all of its rules.
    pub(super) fn route(&self) -> GatewayRoute {
        GatewayRoute { name: self.name().to_owned(), ..GatewayRoute::default() }
    }

    pub(super) fn reference(&self) -> ObjectRef {
        ObjectRef { required: false, ..watched(RouteKind::Http).reference(&self.ctx.namespace, self.name()) }
    }

    /// As it is to be beside weights and own rules; an error where another's has its name.
    pub(super) fn object<'o>(&self, current: &'o Objects) -> Result<Cow<'o, Value>, RouteError> {
        self.may_be_attached()?;
        let Some(found) = self.found(current)? else { return Ok(Cow::Owned(self.first())) };
        let mut next = found.clone();
        self.spec().into_iter().for_each(|(field, value)| set(&mut next["spec"], field, value));
        if !self.splits(found) {
            next["spec"]["rules"] = self.rules();
        }
        Ok(if next == *found { Cow::Borrowed(found) } else { Cow::Owned(next) })
    }

    /// Whether its rules are there and are others': no one knows where they lead.
    pub(super) fn is_overwritten(&self, current: &Objects) -> bool {
        self.found(current).is_ok_and(|found| found.is_some_and(|object| !self.splits(object)))
    }

    /// What it says once the Rollout has gone; none where it is absent or says so already.
    pub(super) fn left(&self, current: &Objects) -> Option<Value> {
        let found = self.found(current).ok()??;
        let shown = String::new();
        let mut next = self.own(&shown).without(found);
        let root = self.ctx.root_service.as_ref().unwrap_or(&self.ctx.stable_service);
        let rules = next.pointer_mut("/spec/rules").and_then(Value::as_array_mut)?;
        rules.iter_mut().for_each(|rule| rule["backendRefs"] = json!([self.backend(root, 1)]));
        (next != *found).then_some(next)
    }

    /// Where Rollouts write nothing of other namespaces, they attach nothing there either. A Gateway says itself which
    /// namespaces' routes it takes.
    fn may_be_attached(&self) -> Result<(), RouteError> {
        let namespace = |parent: &RouteParent| parent.namespace.clone().filter(|name| *name != self.ctx.namespace);
        let mut foreign = self.config.parent_refs.iter().filter_map(|parent| Some((parent, namespace(parent)?)));
        match foreign.next() {
            Some((parent, namespace)) if self.ctx.scope.cross_namespace == CrossNamespace::Deny => {
                let kind = parent.kind.clone().unwrap_or_else(|| "Gateway".to_owned());
                Err(RouteError::CrossNamespaceDenied { kind, namespace, name: parent.name.clone() })
            }
            _ => Ok(()),
        }
    }

    fn name(&self) -> &'a str {
        self.config.name(&self.ctx.rollout_name)
    }

    fn found<'o>(&self, current: &'o Objects) -> Result<Option<&'o Value>, RouteError> {
        let found = current.find(&self.reference());
        let is_ours = |object: &Value| object["metadata"]["labels"][ROLLOUT_LABEL] == self.ctx.rollout_name.as_str();
        match found.is_none_or(is_ours) {
            true => Ok(found),
            false => {
                let route = format!("HTTPRoute {}/{}", self.ctx.namespace, self.name());
                Err(GatewayError::RouteNotOurs { route }.into())
            }
        }
    }

    fn first(&self) -> Value {
        let mut object = json!({
            "apiVersion": watched(RouteKind::Http).newest(),
            "kind": RouteKind::Http.as_str(),
            "metadata": {
                "name": self.name(),
                "namespace": self.ctx.namespace,
                "labels": { ROLLOUT_LABEL: self.ctx.rollout_name },
            },
            "spec": { "rules": self.rules() },
        });
        self.spec().into_iter().for_each(|(field, value)| set(&mut object["spec"], field, value));
        object
    }

    /// The fields beside the rules; null for one that is not to be there.
    fn spec(&self) -> [(&'static str, Value); 2] {
        let parents: Vec<Value> = self.config.parent_refs.iter().map(parent_ref).collect();
        let hostnames = &self.config.hostnames;
        let hostnames = if hostnames.is_empty() { Value::Null } else { json!(hostnames) };
        [("parentRefs", parents.into()), ("hostnames", hostnames)]
    }

    fn rules(&self) -> Value {
        let backends = [self.backend(&self.ctx.stable_service, 1), self.backend(&self.ctx.canary_service, 0)];
        json!([{ "matches": [{ "path": { "type": "PathPrefix", "value": "/" } }], "backendRefs": backends }])
    }

    /// Spelled out as the API server stores it.
    fn backend(&self, service: &str, weight: u32) -> Value {
        json!({ "group": "", "kind": "Service", "name": service, "port": self.config.port, "weight": weight })
    }

    /// Whether it has one rule beside our own, to both Services at the port.
    fn splits(&self, object: &Value) -> bool {
        let shown = String::new();
        let bare = self.own(&shown).without(object);
        let [rule] = rules(&bare) else { return false };
        let leads = |target: Target| {
            let backend = self.backends().find(rule, target);
            backend.is_some_and(|backend| backend["port"] == self.config.port)
        };
        backends::list(rule).len() == 2 && leads(Target::Stable) && leads(Target::Canary)
    }

    fn backends(&self) -> Backends<'a> {
        Backends { ctx: self.ctx, namespace: &self.ctx.namespace }
    }

    fn own<'o>(&self, shown: &'o str) -> OwnRules<'o>
    where
        'a: 'o,
    {
        OwnRules { backends: self.backends(), kind: RouteKind::Http, shown }
    }
}

fn set(spec: &mut Value, field: &str, value: Value) {
    let Some(fields) = spec.as_object_mut() else { return };
    match value {
        Value::Null => drop(fields.shift_remove(field)),
        value => drop(fields.insert(field.to_owned(), value)),
    }
}

/// Spelled out as the API server stores it: group and kind have defaults.
fn parent_ref(parent: &RouteParent) -> Value {
    let kind = parent.kind.as_deref().unwrap_or("Gateway");
    let group = parent.group.as_deref().unwrap_or(if kind == "Service" { "" } else { GROUP });
    let mut value = json!({ "group": group, "kind": kind, "name": parent.name });
    let rest = [
        ("namespace", parent.namespace.as_ref().map(|namespace| json!(namespace))),
        ("sectionName", parent.section_name.as_ref().map(|section| json!(section))),
        ("port", parent.port.map(|port| json!(port))),
    ];
    rest.into_iter().for_each(|(field, given)| set(&mut value, field, given.unwrap_or_default()));
    value
}
