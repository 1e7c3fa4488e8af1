//! `rateLimit`: an EnvoyFilter that puts Envoy's local rate limit before the router of each pod's inbound listeners.
//!
//! Source: envoyproxy.io, `extensions.filters.http.local_ratelimit.v3.LocalRateLimit`. Without `filter_enabled` and
//! `filter_enforced` it does nothing: both are 0 % by default.

use std::time::Duration;

use serde_json::{Value, json};

use super::kinds::{NETWORKING_V1ALPHA3, inbound_filter, workload_selected};
use crate::{
    api::policy::RateLimit,
    mesh::{
        intent::{Intent, Target},
        plan::{MeshPlan, MeshWrite, Refusal},
    },
};

/// The shortest `fill_interval` that Envoy takes.
const SHORTEST: Duration = Duration::from_millis(50);

pub(super) fn plan(intent: &Intent<'_>) -> MeshPlan {
    let mut plan = MeshPlan::default();
    let Some(limit) = &intent.spec.rate_limit else { return plan };
    if limit.per.get() < SHORTEST {
        let why =
            format!("istio's proxies fill a bucket every 50ms at most, and this is {}; give both for 1s", limit.per);
        plan.refused.push(intent.refusal("rateLimit.per", why));
    }
    plan.refused.extend(narrower(intent));
    let spec = workload_selected(intent, json!({"configPatches": [patch(limit)]}));
    plan.writes.push(MeshWrite::Own(intent.own(NETWORKING_V1ALPHA3, "EnvoyFilter", "rate-limit", spec)));
    plan
}

/// Istio puts every filter that matches into a proxy, so pods of a narrower policy would count with both.
fn narrower(intent: &Intent<'_>) -> Option<Refusal> {
    let others = intent.others.iter().filter(|other| other.sets("rateLimit"));
    let mut inside = others.filter(|other| match intent.target {
        Target::Mesh => other.target.mesh != Some(true),
        Target::Namespace => {
            other.namespace == intent.namespace && other.target.namespace.is_none() && other.target.mesh.is_none()
        }
        Target::Service(_) | Target::Workload(_) => false,
    });
    let other = inside.next()?;
    let why = format!(
        "MeshPolicy {}/{} limits some of these pods, and istio applies both limits to them; remove one",
        other.namespace, other.name
    );
    Some(intent.refusal("rateLimit", why))
}

fn patch(limit: &RateLimit) -> Value {
    let always = |key: &str| json!({"runtime_key": key, "default_value": {"numerator": 100, "denominator": "HUNDRED"}});
    let filter = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "http_local_rate_limiter",
        "token_bucket": {
            "max_tokens": limit.burst.unwrap_or(limit.requests),
            "tokens_per_fill": limit.requests,
            "fill_interval": seconds(limit.per.get()),
        },
        "filter_enabled": always("local_rate_limit_enabled"),
        "filter_enforced": always("local_rate_limit_enforced"),
    });
    inbound_filter("envoy.filters.http.local_ratelimit", &filter)
}

/// A time as protobuf's JSON has it: seconds alone, with a fraction where there is one.
fn seconds(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{}s", time.as_secs()),
        millis => format!("{}.{millis:03}s", time.as_secs()),
    }
}
