//! The door to gates (rule S16): a client of the endpoints, and a desk that waits for their responses, so that no tick
//! does.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use super::{
    turns::{Class, Rules, Turns},
    world::RolloutKey,
};
use crate::engine::GateSeen;
pub use crate::engine::{GateAnswer, GateQuestion};

/// How places are shared: an endpoint that hangs takes none from other namespaces.
const RULES: Rules = Rules {
    at_once: 32,
    per_lane: 8,
    waiting: 512,
    failures: u32::MAX,
    rest: Duration::ZERO,
    longest_rest: Duration::ZERO,
};

/// Speaks with gates' endpoints.
#[async_trait]
pub trait GateAsker: Send + Sync {
    /// One question. It comes back within a bounded time, with [`GateAnswer::Unclear`] where nothing else can be said.
    async fn ask(&self, namespace: &str, question: &GateQuestion) -> GateAnswer;
}

/// What a process has asked and been answered, the newest of each Rollout.
pub struct GateDesk {
    asker: Arc<dyn GateAsker>,
    asked: Mutex<HashMap<RolloutKey, GateSeen>>,
    turns: Turns,
}

impl GateDesk {
    /// A desk on which nothing lies yet.
    pub fn new(asker: Arc<dyn GateAsker>) -> Arc<Self> {
        Arc::new(GateDesk { asker, asked: Mutex::default(), turns: Turns::new(RULES) })
    }

    /// What was asked last for a Rollout.
    pub fn seen(&self, key: &RolloutKey) -> Option<GateSeen> {
        self.asked().get(key).cloned()
    }

    /// Sees to it that the question is asked once; `answered` is called when its answer lies here.
    pub fn ensure_asked(
        self: &Arc<Self>,
        key: &RolloutKey,
        question: &GateQuestion,
        answered: impl FnOnce() + Send + 'static,
    ) {
        {
            let mut asked = self.asked();
            if asked.get(key).is_some_and(|seen| seen.is_about(question)) {
                return;
            }
            asked.insert(key.clone(), GateSeen { question: question.clone(), answer: None });
        }
        let (desk, key, question) = (Arc::clone(self), key.clone(), question.clone());
        tokio::spawn(async move {
            let answer = desk.ask(&key.namespace, &question).await;
            let mut asked = desk.asked();
            // Another question has replaced it if the Rollout has moved on in the meantime.
            if let Some(seen) = asked.get_mut(&key).filter(|seen| seen.question == question) {
                seen.answer = Some(answer);
                drop(asked);
                answered();
            }
        });
    }

    async fn ask(&self, namespace: &str, question: &GateQuestion) -> GateAnswer {
        match self.turns.enter("gates", &[namespace], Class::Guardrail).await {
            Ok(turn) => {
                let answer = self.asker.ask(namespace, question).await;
                turn.ended(true);
                answer
            }
            Err(no) => GateAnswer::Unclear(no.to_string()),
        }
    }

    /// Clears away what lies here for a Rollout that is gone.
    pub fn forget(&self, key: &RolloutKey) {
        self.asked().remove(key);
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<RolloutKey, GateSeen>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    struct Slow {
        asked: Mutex<u32>,
        go: tokio::sync::Notify,
    }

    #[async_trait]
    impl GateAsker for Slow {
        async fn ask(&self, _: &str, _: &GateQuestion) -> GateAnswer {
            *self.asked.lock().unwrap() += 1;
            self.go.notified().await;
            GateAnswer::Yes
        }
    }

    #[tokio::test]
    async fn a_question_is_asked_once_and_its_answer_kept_for_it_alone() {
        let slow = Arc::new(Slow { asked: Mutex::default(), go: tokio::sync::Notify::new() });
        let desk = GateDesk::new(slow.clone());
        let key = RolloutKey { namespace: "shop".into(), name: "web".into() };
        let question = GateQuestion { key: "k".into(), ..GateQuestion::default() };
        let (sent, mut heard) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..3 {
            let sent = sent.clone();
            desk.ensure_asked(&key, &question, move || sent.send(()).unwrap());
        }
        assert_eq!(desk.seen(&key).unwrap().answer, None, "a tick does not wait for it");
        slow.go.notify_one();
        heard.recv().await.unwrap();
        assert_eq!((desk.seen(&key).unwrap().answer, *slow.asked.lock().unwrap()), (Some(GateAnswer::Yes), 1));
        let again = GateQuestion { number: 1, ..question.clone() };
        assert!(!desk.seen(&key).unwrap().is_about(&again));
        let sent_again = sent.clone();
        desk.ensure_asked(&key, &again, move || sent_again.send(()).unwrap());
        assert_eq!(desk.seen(&key).unwrap(), GateSeen { question: again, answer: None });
        slow.go.notify_one();
        heard.recv().await.unwrap();
        desk.forget(&key);
        assert_eq!(desk.seen(&key), None);
    }
}
