//! MeshFaults: what the CEL rules on the types say, and what CEL cannot.

use std::time::Duration;

use super::finding::Finding;
use crate::api::{
    common::{HumanDuration, Percent},
    fault::{FaultAbort, FaultDelay, FaultGuard, MeshFaultSpec},
};

/// The longest delay of a request: beyond it, callers and proxies have given up.
const LONGEST_DELAY: Duration = Duration::from_secs(300);
/// The shortest: proxies count in milliseconds.
const SHORTEST_DELAY: Duration = Duration::from_millis(1);
/// The shortest fault: its end is known to the second.
const SHORTEST: Duration = Duration::from_secs(1);

/// Everything that is wrong or odd in a fault's spec, for a controller that allows faults of at most `longest`.
pub fn fault(spec: &MeshFaultSpec, longest: HumanDuration) -> Vec<Finding> {
    let mut found = Vec::new();
    if spec.target.service.is_empty() {
        found.push(Finding::error("spec.target.service", "is empty; name a Service of the namespace"));
    }
    if spec.delay.is_none() && spec.abort.is_none() {
        found.push(Finding::error("spec", "does nothing; set delay, abort or both"));
    }
    spec.delay.iter().for_each(|delay| check_delay(delay, &mut found));
    spec.abort.iter().for_each(|abort| check_abort(abort, &mut found));
    duration(spec.duration, longest, &mut found);
    guard(&spec.guard, &mut found);
    found
}

fn check_delay(delay: &FaultDelay, found: &mut Vec<Finding>) {
    let time = delay.fixed.get();
    if time < SHORTEST_DELAY || time > LONGEST_DELAY {
        let message = format!("must be from 1ms to 5m, got {}", delay.fixed);
        found.push(Finding::error("spec.delay.fixed", message));
    }
    share("delay", delay.share, found);
}

fn check_abort(abort: &FaultAbort, found: &mut Vec<Finding>) {
    if abort.status.is_some() == abort.grpc.is_some() {
        found.push(Finding::error("spec.abort", "set either status (HTTP) or grpc"));
    }
    if let Some(status) = abort.status.filter(|status| !(400..=599).contains(status)) {
        let message = format!("must be an error, 400 to 599, got {status}");
        found.push(Finding::error("spec.abort.status", message));
    }
    share("abort", abort.share, found);
}

fn share(of: &str, share: Percent, found: &mut Vec<Finding>) {
    if share.is_zero() {
        let message = format!("no request would have the fault; set a share above 0, or remove {of}");
        found.push(Finding::error(format!("spec.{of}.share"), message));
    }
}

fn duration(duration: HumanDuration, longest: HumanDuration, found: &mut Vec<Finding>) {
    if duration.get() < SHORTEST {
        found.push(Finding::error("spec.duration", format!("must be at least 1s, got {duration}")));
    }
    if duration > longest {
        let message = format!("must be at most {longest}, got {duration}; create another fault when this one is over");
        found.push(Finding::error("spec.duration", message));
    }
}

fn guard(guard: &FaultGuard, found: &mut Vec<Finding>) {
    match (guard.none, guard.is_set()) {
        (None, false) => {
            let message = "set an objective or templates, which end the fault early, or none: true to run it unguarded";
            found.push(Finding::error("spec.guard", message));
        }
        (Some(_), true) => {
            let message = "excludes objective and templates; remove one of the two";
            found.push(Finding::error("spec.guard.none", message));
        }
        (Some(false), false) => {
            found.push(Finding::error("spec.guard.none", "must be true; set an objective or templates instead"));
        }
        _ => {}
    }
    if let Some(objective) = guard.objective.filter(|objective| objective.is_zero() || *objective == Percent::FULL) {
        let message =
            format!("must be above 0 and below 100 %, got {objective}: 100 % leaves no budget, 0 % all of it");
        found.push(Finding::error("spec.guard.objective", message));
    }
    if !guard.of.is_empty() && guard.objective.is_none() {
        found.push(Finding::error("spec.guard.of", "names the Services of an objective; set objective, or remove it"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{api::fault::LONGEST, yaml};

    /// A fault with some fields instead of, or besides, those of one that is fine.
    fn wrong(fields: &Value) -> Vec<String> {
        let mut spec = json!({
            "target": {"service": "payment"}, "delay": {"fixed": "3s", "share": 10}, "duration": "10m",
            "guard": {"objective": 99},
        });
        for (name, value) in fields.as_object().unwrap() {
            spec[name.as_str()] = value.clone();
        }
        let found = fault(&yaml::typed(&spec).unwrap(), LONGEST);
        found.into_iter().map(|finding| finding.path.replace("spec.", "")).collect()
    }

    #[test]
    fn bad_faults_are_refused_by_field() {
        for (fields, path) in [
            (json!({"target": {"service": ""}}), "target.service"),
            (json!({"delay": null}), "spec"),
            (json!({"delay": {"fixed": "0s", "share": 10}}), "delay.fixed"),
            (json!({"delay": {"fixed": "6m", "share": 10}}), "delay.fixed"),
            (json!({"delay": {"fixed": "3s", "share": 0}}), "delay.share"),
            (json!({"abort": {"share": 10}}), "abort"),
            (json!({"abort": {"status": 503, "grpc": "UNAVAILABLE", "share": 10}}), "abort"),
            (json!({"abort": {"status": 200, "share": 10}}), "abort.status"),
            (json!({"abort": {"status": 503, "share": "0%"}}), "abort.share"),
            (json!({"duration": "0s"}), "duration"),
            (json!({"duration": "61m"}), "duration"),
            (json!({"guard": {}}), "guard"),
            (json!({"guard": {"none": true, "objective": 99}}), "guard.none"),
            (json!({"guard": {"none": false}}), "guard.none"),
            (json!({"guard": {"objective": 100}}), "guard.objective"),
            (json!({"guard": {"of": ["checkout"], "templates": [{"name": "errors"}]}}), "guard.of"),
        ] {
            assert_eq!(wrong(&fields), [path], "{fields}");
        }
    }

    #[test]
    fn the_faults_of_the_design_are_fine() {
        for fields in [
            json!({"target": {"service": "payment", "revision": "canary"}}),
            json!({"abort": {"status": 503, "share": "10%"}}),
            json!({"delay": null, "abort": {"grpc": "UNAVAILABLE", "share": 0.01}}),
            json!({"guard": {"objective": "99%", "of": ["checkout"], "templates": [{"name": "errors"}]}}),
            json!({"guard": {"none": true}, "duration": "1h"}),
        ] {
            assert_eq!(wrong(&fields), Vec::<String>::new(), "{fields}");
        }
    }
}
