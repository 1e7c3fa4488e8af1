//! The door to gates (rule S16): who asks their endpoints, and what a response means, in every world.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

pub use crate::engine::{GateAnswer, GateQuestion};

/// Speaks with gates' endpoints.
#[async_trait]
pub trait GateAsker: Send + Sync {
    /// One question. It comes back within a bounded time, with [`GateAnswer::Unclear`] where nothing else can be said.
    async fn ask(&self, namespace: &str, question: &GateQuestion) -> GateAnswer;
}

/// The longest reason that is kept, in characters.
const LONGEST_REASON: usize = 200;

/// What an endpoint may say in its body.
#[derive(Debug, Deserialize)]
struct Said {
    #[serde(default)]
    allow: Option<bool>,
    #[serde(default)]
    reason: Option<Value>,
}

/// What an HTTP answer means (rule S16). A release continues only on an explicit approval: 2xx with nothing in its
/// body, with `OK`, or with `{"allow": true}`. An unknown body may be a denial in another format or a truncated
/// response, so the request is retried (L4).
pub fn reading(status: u16, body: &str) -> GateAnswer {
    if !(200..300).contains(&status) {
        return GateAnswer::Unclear(format!("it responded HTTP {status}"));
    }
    let body = body.trim();
    if body.is_empty() || body == "{}" || body.eq_ignore_ascii_case("ok") {
        return GateAnswer::Yes;
    }
    match serde_json::from_str::<Said>(body) {
        Ok(Said { allow: Some(true), .. }) => GateAnswer::Yes,
        Ok(Said { allow: Some(false), reason }) => GateAnswer::No(one_line(reason.as_ref())),
        _ => GateAnswer::Unclear(format!(
            "it responded HTTP {status} with an unknown body; respond with {{\"allow\": true}} or false"
        )),
    }
}

/// The reason as displayed.
fn one_line(reason: Option<&Value>) -> String {
    let text = reason.and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_REASON)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s16_status_and_body_are_read_as_documented() {
        let no = |why: &str| GateAnswer::No(why.to_owned());
        let unclear = |status: u16| GateAnswer::Unclear(format!("it responded HTTP {status}"));
        let confused = reading(200, "?");
        let GateAnswer::Unclear(words) = &confused else { panic!("{confused:?}") };
        assert!(words.starts_with("it responded HTTP 200 with an unknown body; respond with"), "{words}");
        for (status, body, wanted) in [
            (200, "", GateAnswer::Yes),
            (204, "", GateAnswer::Yes),
            (200, "ok", GateAnswer::Yes),
            (202, r#"{"allow": true}"#, GateAnswer::Yes),
            (200, " OK\n", GateAnswer::Yes),
            (200, "{}", GateAnswer::Yes),
            (200, r#"{"pending": true}"#, confused.clone()),
            (200, r#"{"allow": false}"#, no("")),
            (299, r#"{"reason": "freeze", "allow": false, "until": 5}"#, no("freeze")),
            (200, "{\"allow\": false, \"reason\": \"a\\u001b[2J\\n b\"}", no("a[2J b")),
            (200, r#"{"allow": false, "reason": {"code": 5}}"#, no("")),
            // A denial in another format, or a truncated one, is not an approval (L4).
            (200, r#"{"allow": "false"}"#, confused.clone()),
            (200, r#"{"allowed": false}"#, confused.clone()),
            (200, r#"{"allow": false"#, confused.clone()),
            (200, r#"{"allow": true, "allow": false}"#, confused.clone()),
            (200, "denied", confused.clone()),
            (200, "false", confused.clone()),
            (200, "[]", confused.clone()),
            (200, "<html>maintenance</html>", confused.clone()),
            (302, "", unclear(302)),
            (404, r#"{"allow": false}"#, unclear(404)),
            (500, r#"{"allow": true}"#, unclear(500)),
        ] {
            assert_eq!(reading(status, body), wanted, "{status} {body}");
        }
    }
}
