//! What only Linkerd's installation or the pods' annotations set, and values that Linkerd has without a setting.

use crate::{
    api::policy::{AccessLog, Algorithm, TlsVersion},
    mesh::{
        intent::{Intent, Target},
        plan::MeshPlan,
    },
};

pub(super) fn plan(intent: &Intent<'_>) -> MeshPlan {
    let mut plan = MeshPlan::default();
    let spec = &intent.spec;
    if spec.mtls.as_ref().and_then(|mtls| mtls.min_version) == Some(TlsVersion::V1_2) {
        let why = "linkerd always uses TLS 1.3 between its proxies; set \"1.3\" or remove it";
        plan.refused.push(intent.refusal("mtls.minVersion", why));
    }
    let algorithm = spec.load_balancer.as_ref().and_then(|balancer| balancer.algorithm);
    if algorithm.is_some_and(|algorithm| algorithm != Algorithm::LeastRequest) {
        let why = "linkerd always balances by the load and the latency of pods; set LeastRequest or remove it";
        plan.refused.push(intent.refusal("loadBalancer.algorithm", why));
    }
    match spec.telemetry.as_ref().and_then(|telemetry| telemetry.access_log) {
        Some(AccessLog::Errors) => {
            let why = "linkerd logs all requests or none; set all or none";
            plan.refused.push(intent.refusal("telemetry.accessLog", why));
        }
        Some(log) => plan.notes.push(access_log(intent, if log == AccessLog::All { "json" } else { "\"\"" })),
        None => {}
    }
    plan
}

/// A proxy reads it when its pod starts.
fn access_log(intent: &Intent<'_>, format: &str) -> String {
    match intent.target {
        Target::Mesh => format!("set in Linkerd's Helm values: proxy: {{accessLog: {format}}}"),
        Target::Namespace => {
            format!(
                "set as an annotation of the namespace, for pods that start: config.linkerd.io/access-log: {format}"
            )
        }
        Target::Service(_) | Target::Workload(_) => {
            format!("set as an annotation of the pods' template: config.linkerd.io/access-log: {format}")
        }
    }
}
