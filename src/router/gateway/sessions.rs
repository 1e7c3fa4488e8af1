//! Rules that keep sessions (`sessionPersistence`, GEP-1619): a user with a session stays on their backend, whatever the weights
//! say later, 0 included. It is the user's field and stays as it is.

use serde_json::Value;

const FIELD: &str = "sessionPersistence";
const NAME: &str = "sessionName";
/// The API server accepts so long a name.
const LONGEST: usize = 128;

/// Whether a rule keeps sessions.
pub fn kept_by(rule: &Value) -> bool {
    rule.get(FIELD).is_some_and(|sessions| !sessions.is_null())
}

/// Gives the sessions of a rule that was copied from another a name of their own: by that one's, a tester with a session on
/// stable would stay there, and names must not be reused anyway. Without a name the implementation makes one for each rule.
pub(super) fn rename(rule: &mut Value, own: &str) {
    let Some(Value::String(name)) = rule.get_mut(FIELD).and_then(|sessions| sessions.get_mut(NAME)) else { return };
    let room = LONGEST.saturating_sub(own.len() + 1);
    let kept: String = name.chars().take(room).collect();
    *name = format!("{kept}-{own}");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_copied_rule_keeps_sessions_under_a_name_of_its_own() {
        let renamed = |sessions: Value| {
            let mut rule = json!({ "sessionPersistence": sessions });
            rename(&mut rule, "testers");
            rule["sessionPersistence"].clone()
        };
        let named = |name: &str| json!({"sessionName": name, "type": "Cookie"});
        assert_eq!(renamed(named("cart")), named("cart-testers"));
        assert_eq!(renamed(named(&"n".repeat(128)))["sessionName"].as_str().map(str::len), Some(LONGEST));
        assert_eq!(renamed(json!({"type": "Header"})), json!({"type": "Header"}));
        let mut without = json!({"backendRefs": []});
        rename(&mut without, "testers");
        assert_eq!(without, json!({"backendRefs": []}));
        assert!(
            !kept_by(&without)
                && !kept_by(&json!({"sessionPersistence": null}))
                && kept_by(&json!({"sessionPersistence": {}}))
        );
    }
}
