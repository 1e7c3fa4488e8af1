//! `telemetry`: a Telemetry with tracing and access logs.

use serde_json::{Map, Value, json};

use super::kinds::{TELEMETRIES, TELEMETRY_V1, others_for_the_same_pods, selected};
use crate::{
    api::policy::{AccessLog, Telemetry, TelemetryTag},
    mesh::{
        intent::Intent,
        plan::{MeshPlan, MeshWrite},
    },
    router::Objects,
};

/// Istio's own provider of access logs, which is always there: the proxy's standard output.
const LOG: &str = "envoy";
/// Requests that failed. A connection that failed has no response, and flags that say why.
const ERRORS: &str = "has(response.code) && response.code > 0 ? response.code >= 500 : response.flags != 0";

pub(super) fn plan(intent: &Intent<'_>, current: &Objects) -> MeshPlan {
    let mut plan = MeshPlan::default();
    let Some(telemetry) = &intent.spec.telemetry else { return plan };
    let mut spec = json!({});
    if let Some(tracing) = tracing(telemetry) {
        spec["tracing"] = json!([tracing]);
    }
    if let Some(log) = telemetry.access_log {
        spec["accessLogging"] = json!([logging(log)]);
    }
    if spec.as_object().is_some_and(Map::is_empty) {
        return plan;
    }
    plan.conflicts.extend(others_for_the_same_pods(intent, current, &TELEMETRIES, "spec"));
    let spec = selected(intent, spec);
    plan.writes.push(MeshWrite::Own(intent.own(TELEMETRY_V1, "Telemetry", "telemetry", spec)));
    plan
}

fn tracing(telemetry: &Telemetry) -> Option<Value> {
    let mut tracing = Value::Null;
    if let Some(provider) = &telemetry.provider {
        tracing["providers"] = json!([{"name": provider}]);
    }
    if let Some(sampling) = telemetry.sampling {
        tracing["randomSamplingPercentage"] = json!(sampling);
    }
    if !telemetry.tags.is_empty() {
        let tags = telemetry.tags.iter().map(|(name, tag)| (name.clone(), tag_of(tag)));
        tracing["customTags"] = Value::Object(tags.collect());
    }
    (!tracing.is_null()).then_some(tracing)
}

fn tag_of(tag: &TelemetryTag) -> Value {
    match &tag.header {
        Some(header) => json!({"header": {"name": header}}),
        None => json!({"literal": {"value": tag.literal}}),
    }
}

fn logging(log: AccessLog) -> Value {
    let providers = json!([{"name": LOG}]);
    match log {
        AccessLog::All => json!({"providers": providers}),
        AccessLog::Errors => json!({"providers": providers, "filter": {"expression": ERRORS}}),
        AccessLog::None => json!({"disabled": true}),
    }
}
