//! The desk of gates (rule S16): it waits for the endpoints' responses, so that no tick does.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::turns::{Class, Rules, Turns};
use crate::{
    engine::{GateAnswer, GateQuestion, GateSeen},
    ports::{GateAsker, RolloutKey},
};

/// How places are shared: an endpoint that hangs takes none from other namespaces.
const RULES: Rules = Rules {
    at_once: 32,
    per_lane: 8,
    waiting: 512,
    failures: u32::MAX,
    rest: Duration::ZERO,
    longest_rest: Duration::ZERO,
};

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

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;

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
