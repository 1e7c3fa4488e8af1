//! The door to gates (rule S16): an asker that speaks with endpoints, and the desk where questions wait for their answers,
//! so that no tick does.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::RolloutKey;
use crate::engine::GateSeen;
pub use crate::engine::{GateAnswer, GateQuestion};

/// Endpoints that are asked at the same time.
const AT_ONCE: usize = 32;

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
    at_once: Semaphore,
}

impl GateDesk {
    /// A desk on which nothing lies yet.
    pub fn new(asker: Arc<dyn GateAsker>) -> Arc<Self> {
        Arc::new(GateDesk { asker, asked: Mutex::default(), at_once: Semaphore::new(AT_ONCE) })
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
            let answer = {
                let _permit = desk.at_once.acquire().await;
                desk.asker.ask(&key.namespace, &question).await
            };
            let mut asked = desk.asked();
            // Another question has taken its place when the Rollout went on meanwhile.
            if let Some(seen) = asked.get_mut(&key).filter(|seen| seen.question == question) {
                seen.answer = Some(answer);
                drop(asked);
                answered();
            }
        });
    }

    /// Clears away what lies here for a Rollout that is gone.
    pub fn forget(&self, key: &RolloutKey) {
        self.asked().remove(key);
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<RolloutKey, GateSeen>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an endpoint may say in its body.
#[derive(Debug, Default, Deserialize)]
struct Said {
    #[serde(default)]
    allow: Option<bool>,
    #[serde(default)]
    reason: Option<String>,
}

/// What an HTTP answer means (rule S16).
pub fn reading(status: u16, body: &str) -> GateAnswer {
    if !(200..300).contains(&status) {
        return GateAnswer::Unclear(format!("it answered HTTP {status}"));
    }
    // A body that is something else (`ok`, nothing, a page) says nothing against the status.
    match serde_json::from_str::<Said>(body) {
        Ok(Said { allow: Some(false), reason }) => GateAnswer::No(reason.unwrap_or_default()),
        _ => GateAnswer::Yes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s16_status_and_body_are_read_as_documented() {
        let no = |why: &str| GateAnswer::No(why.to_owned());
        let unclear = |status: u16| GateAnswer::Unclear(format!("it answered HTTP {status}"));
        for (status, body, wanted) in [
            (200, "", GateAnswer::Yes),
            (204, "", GateAnswer::Yes),
            (200, "ok", GateAnswer::Yes),
            (202, r#"{"allow": true}"#, GateAnswer::Yes),
            (200, r#"{"pending": true}"#, GateAnswer::Yes),
            (200, r#"{"allow": false}"#, no("")),
            (299, r#"{"reason": "freeze", "allow": false, "until": 5}"#, no("freeze")),
            (200, r#"{"allow": "false"}"#, GateAnswer::Yes),
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
