//! Which destination of a route is ours: Istio's reading of host names.

use serde_json::Value;

use crate::{engine::Target, router::context::RouteContext};

/// One of the two places that traffic is split between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arm {
    /// The full host name.
    pub(super) host: String,
    /// The subset, where it splits by subset.
    pub(super) subset: Option<String>,
}

/// Both places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arms {
    pub(super) stable: Arm,
    pub(super) canary: Arm,
}

impl Arms {
    /// Split by Service: the subset that a user's destination names, if any, is the user's.
    pub(super) fn by_host(ctx: &RouteContext) -> Self {
        let arm = |service: &str| Arm { host: full(ctx, service, &ctx.namespace), subset: None };
        Arms { stable: arm(&ctx.stable_service), canary: arm(&ctx.canary_service) }
    }

    pub(super) fn of(&self, target: Target) -> &Arm {
        match target {
            Target::Stable => &self.stable,
            Target::Canary => &self.canary,
        }
    }
}

impl Arm {
    /// Whether an entry of a route's `route` list, in an object of `namespace`, sends to this place.
    pub(super) fn receives(&self, ctx: &RouteContext, namespace: &str, entry: &Value) -> bool {
        let destination = &entry["destination"];
        let same_host = destination["host"].as_str().is_some_and(|host| full(ctx, host, namespace) == self.host);
        same_host && (self.subset.is_none() || destination["subset"].as_str() == self.subset.as_deref())
    }

    /// Whether an entry of an object in another namespace names this host as Kubernetes would understand it in ours, and
    /// Istio does not: `x.ns`, `x.ns.svc`, or the bare `x`.
    pub(super) fn nearly_receives(&self, ctx: &RouteContext, entry: &Value) -> bool {
        let suffix = format!(".svc.{}", ctx.scope.cluster_domain);
        let Some(short) = self.host.strip_suffix(&suffix) else { return false };
        let bare = short.split('.').next().unwrap_or(short);
        let named = entry["destination"]["host"].as_str();
        named.is_some_and(|host| host == short || host == bare || host == format!("{short}.svc"))
    }

    /// `checkout-canary.shop.svc.cluster.local`, with the subset where there is one.
    pub(super) fn shown(&self) -> String {
        match &self.subset {
            Some(subset) => format!("`{}` subset `{subset}`", self.host),
            None => format!("`{}`", self.host),
        }
    }

    /// The host as written from `namespace`.
    pub(super) fn spelled_in(&self, ctx: &RouteContext, namespace: &str) -> &str {
        let suffix = format!(".{namespace}.svc.{}", ctx.scope.cluster_domain);
        self.host.strip_suffix(&suffix).unwrap_or(&self.host)
    }
}

/// A host as Istio understands it in an object of `namespace`: a name without a dot is a Service of that namespace,
/// everything else is used as it is.
pub(super) fn full(ctx: &RouteContext, host: &str, namespace: &str) -> String {
    if host.contains('.') || host == "*" {
        return host.to_owned();
    }
    format!("{host}.{namespace}.svc.{}", ctx.scope.cluster_domain)
}
