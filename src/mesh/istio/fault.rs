//! A fault on Istio (rule F1): an EnvoyFilter that puts three filters before the router of the pods' inbound listeners.
//!
//! The first removes Envoy's fault headers, whoever sent them, and adds ours until the fault is over; Envoy's own `fault` filter
//! acts on them for a share of the requests; the last removes them again, so that no pod sees or forwards one. Inbound, because
//! a VirtualService's `fault` is in the caller's proxy, before its retries and timeouts, which are what the fault is to try out.
//! The end is in the filter: it needs neither istiod nor a controller.
//!
//! Sources: envoyproxy.io, `extensions.filters.http.fault.v3.HTTPFault` ("controlling fault injection via HTTP headers") and the
//! Lua filter, whose `timestamp()` is in milliseconds.

use serde_json::{Value, json};

use super::kinds::{NETWORKING_V1ALPHA3, inbound_filter};
use crate::{
    api::Percent,
    mesh::{
        fault::intent::FaultIntent,
        plan::{MeshPlan, MeshWrite},
    },
};

const DELAY: &str = "x-envoy-fault-delay-request";
const ABORT: &str = "x-envoy-fault-abort-request";
const ABORT_GRPC: &str = "x-envoy-fault-abort-grpc-request";
/// Every header that Envoy's filter reads.
const HEADERS: [&str; 7] = [
    DELAY,
    "x-envoy-fault-delay-request-percentage",
    ABORT,
    "x-envoy-fault-abort-request-percentage",
    ABORT_GRPC,
    "x-envoy-fault-throughput-response",
    "x-envoy-fault-throughput-response-percentage",
];

pub(super) fn plan(intent: &FaultIntent<'_>) -> MeshPlan {
    let patches = [
        ("glidepath.fault.begin", lua(&gate(intent))),
        ("glidepath.fault", fault(intent)),
        ("glidepath.fault.end", lua(&script(""))),
    ];
    let spec = json!({
        "workloadSelector": {"labels": intent.pods},
        "configPatches": patches.map(|(name, config)| inbound_filter(name, &config)),
    });
    let object = intent.own(NETWORKING_V1ALPHA3, "EnvoyFilter", spec);
    MeshPlan { writes: vec![MeshWrite::Own(object)], ..MeshPlan::default() }
}

/// The script that adds the headers until the end.
fn gate(intent: &FaultIntent<'_>) -> String {
    let delay = intent.spec.delay.as_ref().map(|delay| (DELAY, delay.fixed.get().as_millis().to_string()));
    let status = intent.spec.abort.as_ref().and_then(|abort| Some((ABORT, abort.status?.to_string())));
    let grpc = intent.spec.abort.as_ref().and_then(|abort| Some((ABORT_GRPC, abort.grpc?.code().to_string())));
    let set = [delay, status, grpc].into_iter().flatten();
    let adds: String = set.map(|(name, value)| format!("    headers:add(\"{name}\", \"{value}\")\n")).collect();
    let (until, millis) = (intent.until, intent.until.as_millisecond());
    script(&format!("  -- until {until}\n  if handle:timestamp() < {millis} then\n{adds}  end\n"))
}

/// A script that removes every fault header, and then does this.
fn script(then: &str) -> String {
    let removes: String = HEADERS.iter().map(|name| format!("  headers:remove(\"{name}\")\n")).collect();
    format!("function envoy_on_request(handle)\n  local headers = handle:headers()\n{removes}{then}end\n")
}

fn lua(script: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
        "default_source_code": {"inline_string": script},
    })
}

/// What the fault is comes with the headers, for which share of the requests is here.
fn fault(intent: &FaultIntent<'_>) -> Value {
    let mut filter = json!({"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"});
    if let Some(delay) = &intent.spec.delay {
        filter["delay"] = json!({"header_delay": {}, "percentage": percentage(delay.share)});
    }
    if let Some(abort) = &intent.spec.abort {
        filter["abort"] = json!({"header_abort": {}, "percentage": percentage(abort.share)});
    }
    filter
}

fn percentage(share: Percent) -> Value {
    json!({"numerator": share.basis_points(), "denominator": "TEN_THOUSAND"})
}
