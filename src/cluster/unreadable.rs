//! Objects that cannot be decoded: such a Rollout reports it in its conditions and does not block others (kube rule 7).
//!
//! A status of a newer version means "wait": this version does not know its values, so it neither shifts traffic,
//! scales pods nor executes commands, and writes nothing of the status but the condition that reports this.

use serde_json::{Value, json};

use super::raw_object::RawObject;
use crate::api::{
    Rollout,
    reason::{ConditionType, Reason},
    status::RolloutStatus,
};

/// Why a Rollout cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Unreadable {
    /// A CamelCase reason.
    pub reason: Reason,
    /// The field at fault.
    pub message: String,
    /// Whether its status can be read, and so may be written.
    knows_status: bool,
    /// Its conditions as they are.
    conditions: Vec<Value>,
}

impl Unreadable {
    /// A Rollout with a fault in it.
    pub fn of(object: &RawObject<'_>, fault: String) -> Self {
        let bare = object.text_without_status();
        let in_status = bare.is_ok_and(|bare| bare.read::<Rollout>().is_ok());
        let reason = if in_status { Reason::StatusFromNewerVersion } else { Reason::Invalid };
        Unreadable::new(reason, fault, object.status().as_ref())
    }

    /// A Rollout that is nested too deep to be read at all.
    pub fn too_deep(object: &RawObject<'_>, why: &str) -> Self {
        // A status that could not be taken out of the object may hold anything.
        let status = object.status().unwrap_or(Value::Null);
        Unreadable::new(Reason::Invalid, why.to_owned(), Some(&status))
    }

    fn new(reason: Reason, message: String, status: Option<&Value>) -> Self {
        let conditions = status.and_then(|status| status.get("conditions")?.as_array().cloned()).unwrap_or_default();
        let knows_status = status.is_none_or(|status| serde_json::from_value::<RolloutStatus>(status.clone()).is_ok());
        Unreadable { reason, message, knows_status, conditions }
    }

    /// A Rollout that cannot be read for a reason that is not its status.
    pub fn invalid(fault: String) -> Self {
        Unreadable::new(Reason::Invalid, fault, None)
    }

    /// The human-readable message, with what to do.
    pub(super) fn text(&self) -> String {
        if self.reason == Reason::Invalid {
            return format!("this controller cannot decode the Rollout: {}; fix the field", self.message);
        }
        format!(
            "{}: the status was written by a newer version of the controller, or edited; traffic, pods and status are not changed and commands wait until a version that knows this value runs again",
            self.message
        )
    }

    /// What to write into the status; `None` when it is there already.
    pub(super) fn patch(&self, now: jiff::Timestamp) -> Option<Value> {
        let text = self.text();
        let mut conditions = self.conditions.clone();
        conditions.retain(|condition| condition["type"] != ConditionType::Reconciling.as_str());
        for (type_, status) in [(ConditionType::Stalled, "True"), (ConditionType::Ready, "False")] {
            set(&mut conditions, &type_, status, (&self.reason, &text), now);
        }
        if conditions == self.conditions {
            return None;
        }
        let words = json!({"phase": "Degraded", "reason": self.reason, "message": text});
        let mut status = if self.knows_status { words } else { json!({}) };
        status["conditions"] = conditions.into();
        Some(status)
    }
}

/// Sets a condition among others, of which some may have fields that this version does not know.
fn set(
    conditions: &mut Vec<Value>,
    type_: &ConditionType,
    status: &str,
    (reason, message): (&Reason, &str),
    now: jiff::Timestamp,
) {
    let known = conditions.iter_mut().find(|condition| condition["type"] == type_.as_str());
    let since =
        known.as_ref().filter(|known| known["status"] == status).map(|known| known["lastTransitionTime"].clone());
    let since = since.unwrap_or_else(|| json!(now));
    let fields =
        json!({"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": since});
    match known {
        Some(known) => json_patch::merge(known, &fields),
        None => conditions.push(fields),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{
        cached_rollout::CachedRollout,
        table::{Row, kept},
    };

    fn object(spec: Value, status: Value) -> Value {
        json!({
            "apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "web", "namespace": "shop"}, "spec": spec, "status": status})
    }

    fn unreadable(object: &Value) -> Unreadable {
        *kept::<CachedRollout>(object).read().unwrap_err()
    }

    fn now() -> jiff::Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    /// What the API server makes of it.
    fn merged(mut status: Value, patch: &Value) -> Value {
        json_patch::merge(&mut status, patch);
        status
    }

    /// M14: of a status that a newer version wrote, nothing changes but the conditions that say so.
    #[test]
    fn a_status_of_a_newer_version_is_kept_but_for_its_conditions() {
        let drift = json!({"type": "RouteDrift", "status": "True", "reason": "x", "message": "", "severity": "new",
            "lastTransitionTime": "2025-01-01T00:00:00Z"});
        let status = json!({"phase": "Progressing", "course": "Baking", "stepIndex": 3, "oven": {"degrees": 180},
            "weights": {"desired": "25%"}, "conditions": [drift]});
        let object = object(json!({"strategy": {"canary": {"steps": []}}}), status.clone());
        let fault = unreadable(&object);
        assert_eq!(fault.reason, Reason::StatusFromNewerVersion);
        assert!(fault.text().contains("Baking"), "{}", fault.text());
        let mut after = merged(status.clone(), &fault.patch(now()).unwrap());
        let conditions = after["conditions"].as_array().unwrap().clone();
        assert_eq!(
            conditions.iter().map(|c| c["type"].clone()).collect::<Vec<_>>(),
            ["RouteDrift", "Stalled", "Ready"]
        );
        assert_eq!(conditions[0], drift, "also in what only the newer version knows");
        after["conditions"] = status["conditions"].clone();
        assert_eq!(after.to_string(), status.to_string());
    }

    #[test]
    fn it_is_written_once_also_after_a_restart() {
        let mut bad = object(json!({"settle": 5}), json!({"phase": "Healthy"}));
        let fault = unreadable(&bad);
        assert_eq!(fault.reason, Reason::Invalid);
        bad["status"] = merged(bad["status"].clone(), &fault.patch(now()).unwrap());
        assert_eq!(bad["status"]["phase"], "Degraded");
        assert_eq!(unreadable(&bad).patch(now()), None);
        bad["spec"]["settle"] = json!(6);
        let later = unreadable(&bad).patch("2026-02-01T00:00:00Z".parse().unwrap());
        let (before, after) = (&bad["status"]["conditions"][0], &later.as_ref().unwrap()["conditions"][0]);
        assert_ne!(before["message"], after["message"]);
        assert_eq!(before["lastTransitionTime"], after["lastTransitionTime"], "it was Stalled before");
    }

    #[test]
    fn a_fault_in_the_spec_writes_no_phase_over_a_status_that_is_unknown() {
        let fault = unreadable(&object(json!({"settle": 5}), json!({"phase": "Baking"})));
        assert_eq!(fault.reason, Reason::Invalid);
        assert_eq!(fault.patch(now()).unwrap().as_object().unwrap().len(), 1);
    }

    #[test]
    fn a_spec_that_is_too_deep_writes_a_phase_where_the_status_can_be_read() {
        let nested = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        for (status, fields) in [(nested(140), 1), (r#"{"phase":"Healthy"}"#.to_owned(), 4)] {
            let text = format!(r#"{{"metadata":{{"name":"web"}},"spec":{},"status":{status}}}"#, nested(140));
            let row = Row::<CachedRollout>::of(&RawObject::of(&text).unwrap());
            assert!(row.fault().unwrap().contains("levels deep"), "{:?}", row.fault());
            let fault = Unreadable::too_deep(&RawObject::of(&text).unwrap(), row.fault().unwrap());
            assert_eq!(fault.patch(now()).unwrap().as_object().unwrap().len(), fields, "{status}");
        }
    }
}
