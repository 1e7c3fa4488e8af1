//! Objects that cannot be decoded: such a Rollout reports it in its conditions and does not block others (kube rule 7).
//!
//! A status of a newer version means "wait": this version does not know its values, so it neither shifts traffic,
//! scales pods nor executes commands, and writes nothing of the status but the condition that reports this.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{decode::decode, item::Unread};
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
    pub fn of(object: &DynamicObject, fault: String) -> Self {
        let mut bare = object.clone();
        let status = bare.data.as_object_mut().and_then(|fields| fields.shift_remove("status"));
        let in_status = decode::<Rollout>(&bare).is_ok();
        Unreadable::new(
            if in_status { Reason::StatusFromNewerVersion } else { Reason::Invalid },
            fault,
            status.as_ref(),
        )
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

impl From<&Unread> for Unreadable {
    fn from(object: &Unread) -> Self {
        // A status that could not be taken out of the object may hold anything.
        let status = object.status.clone().unwrap_or(Value::Null);
        Unreadable::new(Reason::Invalid, object.why.clone(), Some(&status))
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
    use crate::cluster::item::watched;

    fn object(spec: Value, status: Value) -> DynamicObject {
        watched(&json!({
            "apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "web", "namespace": "shop"}, "spec": spec, "status": status}))
    }

    fn unreadable(object: &DynamicObject) -> Unreadable {
        Unreadable::of(object, decode::<Rollout>(object).unwrap_err())
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
        bad.data["status"] = merged(bad.data["status"].clone(), &fault.patch(now()).unwrap());
        assert_eq!(bad.data["status"]["phase"], "Degraded");
        assert_eq!(unreadable(&bad).patch(now()), None);
        bad.data["spec"]["settle"] = json!(6);
        let later = unreadable(&bad).patch("2026-02-01T00:00:00Z".parse().unwrap());
        let (before, after) = (&bad.data["status"]["conditions"][0], &later.as_ref().unwrap()["conditions"][0]);
        assert_ne!(before["message"], after["message"]);
        assert_eq!(before["lastTransitionTime"], after["lastTransitionTime"], "it was Stalled before");
    }

    #[test]
    fn a_fault_in_the_spec_writes_no_phase_over_a_status_that_is_unknown() {
        let fault = unreadable(&object(json!({"settle": 5}), json!({"phase": "Baking"})));
        assert_eq!(fault.reason, Reason::Invalid);
        assert_eq!(fault.patch(now()).unwrap().as_object().unwrap().len(), 1);
        let metadata = object(json!({}), json!({})).metadata;
        let deep = Unread { metadata, status: None, why: "spec: it nests 140 levels deep".into() };
        assert_eq!(Unreadable::from(&deep).patch(now()).unwrap().as_object().unwrap().len(), 1);
        let deep = Unread { status: Some(json!({"phase": "Healthy"})), ..deep };
        assert_eq!(Unreadable::from(&deep).patch(now()).unwrap()["phase"], "Degraded");
    }
}
