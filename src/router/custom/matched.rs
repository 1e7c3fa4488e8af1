//! What a match says, for display and for comparison.

use serde_json::Value;

use crate::api::strategy::RequestMatch;

/// ``header `x-tester` by regex``.
pub(super) fn shown(own: &RequestMatch) -> String {
    match (&own.cookie, &own.header) {
        (Some(cookie), _) => format!("cookie `{}`", cookie.name),
        (None, Some(header)) => {
            let how = match (&header.exact, &header.prefix) {
                (Some(value), _) | (None, Some(value)) if value.is_empty() => "an empty value",
                (Some(_), _) => "its whole value",
                (None, Some(_)) => "a prefix",
                (None, None) => "a regular expression",
            };
            format!("header `{}` by {how}", header.name)
        }
        (None, None) => "nothing".to_owned(),
    }
}

/// A value without the fields that say nothing: an API server may add or drop them.
pub(super) fn pruned(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().map(|(field, inner)| (field.clone(), pruned(inner)));
            Value::Object(kept.filter(|(_, inner)| !says_nothing(inner)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(pruned).collect()),
        other => other.clone(),
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_says_nothing_is_dropped_within_objects() {
        let value = json!([{"a": "", "b": {"c": null, "d": false}, "e": [0, {}], "f": 0, "g": true, "h": "x"}]);
        assert_eq!(pruned(&value), json!([{"e": [0, {}], "g": true, "h": "x"}]));
    }
}
