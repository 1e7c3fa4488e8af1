//! Traefik: weights of a weighted TraefikService.

use serde_json::Value;

use super::{
    consent,
    context::RouteContext,
    kind::{Capabilities, RbacRule, Router, RouterKind, WatchedKind},
    weighted_list::{GRAIN, ListForm, WeightedLists, whole},
};
use crate::api::{analysis::Pack, traffic::TraefikTraffic};

const GROUP: &str = "traefik.io";

const TRAEFIK_SERVICE: WatchedKind = WatchedKind::known(GROUP, &["v1alpha1"], "TraefikService", "traefikservices");

/// Traefik in the registry.
pub const KIND: RouterKind = RouterKind {
    key: "traefik",
    summary: "Traefik: weights of a weighted TraefikService",
    docs: DOCS,
    example: EXAMPLE,
    capabilities: Capabilities { grain: GRAIN, header: false, cookie: false, mirror: false, sticky: false },
    pack: Pack::Traefik,
    rbac: &[
        RbacRule { group: GROUP, resources: &["traefikservices"], verbs: &["list", "watch", "update"] },
        consent::RBAC,
    ],
    watches: &[TRAEFIK_SERVICE, consent::GRANTS],
    build: |entry| entry.traefik.clone().map(|config| Box::new(WeightedLists(Traefik { config })) as Box<dyn Router>),
};

const DOCS: &str = "\
Your IngressRoute sends to a TraefikService with `spec.weighted.services`, which lists the stable and the canary Service. \
Only the weights of this list are written: whole numbers, 100 in total, or 10,000 where a weight is finer than 1 %. \
Other services keep their share of the list, and the rest is split between ours. An entry without `weight` counts 1, as \
in Traefik.

Entries of kind `TraefikService` and those of another namespace are never ours. A TraefikService of another namespace is \
written only when its owner consents: by the annotation `glidepath.dev/allow-namespaces: shop` on it (a list, or `*`), \
or by a Gateway API ReferenceGrant there, from Rollouts of `shop` to TraefikServices. \
`controller --cross-namespace=deny` forbids it for all.

Header and cookie routes, mirrors and sticky cookies are rejected when the Rollout is validated: a \
weighted TraefikService has weights alone. Its own `spec.weighted.sticky` stays as it is; users whom it keeps on stable \
do not follow the weights.

The group is `traefik.io` (Traefik 2.10 and later); `traefik.containo.us` is not read.";

const EXAMPLE: &str = "\
traefik:
  services:
    - name: checkout
";

/// One `traefik` entry of `spec.traffic`.
#[derive(Debug)]
struct Traefik {
    config: TraefikTraffic,
}

impl ListForm for Traefik {
    const KEY: &'static str = KIND.key;
    const KIND: &'static WatchedKind = &TRAEFIK_SERVICE;
    const LIST: &'static str = "/spec/weighted/services";

    fn named(&self) -> Vec<(Option<&str>, &str)> {
        self.config.services.iter().map(|one| (one.namespace.as_deref(), one.name.as_str())).collect()
    }

    fn sends_to(&self, ctx: &RouteContext, namespace: &str, entry: &Value, service: &str) -> bool {
        let is_service = entry["kind"].as_str().is_none_or(|kind| kind == "Service");
        let named = entry["name"].as_str() == Some(service);
        is_service && named && entry["namespace"].as_str().unwrap_or(namespace) == ctx.namespace
    }

    fn weight(&self, entry: &Value) -> Option<u64> {
        match &entry["weight"] {
            Value::Null => Some(1),
            weight => whole(weight),
        }
    }

    fn write(&self, _version: &str, entry: &mut Value, weight: u64) {
        if let Some(fields) = entry.as_object_mut() {
            fields.insert("weight".to_owned(), weight.into());
        }
    }

    fn lines(&self, ctx: &RouteContext, namespace: &str, service: &str, sibling: Option<&Value>) -> String {
        let mut lines = format!("- name: {service}\n");
        if namespace != ctx.namespace {
            lines += &format!("  namespace: {}\n", ctx.namespace);
        }
        let port = sibling.map(|entry| &entry["port"]).filter(|port| port.is_u64() || port.is_string());
        lines + &port.map(|port| format!("  port: {}\n", text(port))).unwrap_or_default()
    }
}

fn text(port: &Value) -> String {
    port.as_str().map_or_else(|| port.to_string(), str::to_owned)
}
