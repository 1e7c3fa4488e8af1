//! Whether Consul has what a custom resource says: the condition Synced of consul-k8s (rule S52).
//!
//! It is also how consul-k8s reports that the entry in Consul has another owner: one that was written through the HTTP API, or
//! one of another namespace. Then the custom resource has no effect.

use serde_json::Value;

use super::error::ConsulError;

/// Messages of others are cut: they have no bound.
const LONGEST: usize = 200;

/// Why the object is not in force: Synced is not True. Without the condition consul-k8s has not seen the object.
pub(super) fn refusal(object: &Value, place: String) -> Option<ConsulError> {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let why = match conditions.find(|condition| condition["type"] == "Synced") {
        Some(condition) if condition["status"] == "True" => return None,
        Some(condition) => said(condition),
        None => "it has no condition Synced; check that consul-k8s runs and watches its namespace".to_owned(),
    };
    Some(ConsulError::NotSynced { place, why })
}

fn said(condition: &Value) -> String {
    let text = |field: &str| condition[field].as_str().unwrap_or_default().chars().take(LONGEST).collect::<String>();
    let message = Some(text("message")).filter(|message| !message.is_empty());
    let message = message.map(|message| format!(": {message}")).unwrap_or_default();
    format!("Synced is {} ({}){message}", text("status"), text("reason"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn s52_an_object_is_in_force_once_consul_k8s_says_so() {
        let of = |conditions: Value| {
            let object = json!({"status": {"conditions": conditions}});
            refusal(&object, "ServiceSplitter shop/web".to_owned()).map(|error| error.to_string())
        };
        assert_eq!(of(json!([{"type": "Synced", "status": "True"}])), None);
        let taken = json!([{"type": "Synced", "status": "False", "reason": "ExternallyManagedConfigError",
            "message": "config entry already exists in Consul"}]);
        let wanted = "ServiceSplitter shop/web is not in force in Consul: Synced is False (ExternallyManagedConfigError): config entry already exists in Consul";
        assert_eq!(of(taken).as_deref(), Some(wanted));
        let unknown = of(json!([{"type": "Synced", "status": "Unknown", "message": "x".repeat(1000)}])).unwrap();
        assert!(unknown.contains("Synced is Unknown ()") && unknown.len() < 300, "{unknown}");
        assert!(of(json!(null)).unwrap().contains("has no condition Synced"));
    }
}
