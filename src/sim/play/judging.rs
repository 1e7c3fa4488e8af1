//! AnalysisRuns are judged when they are due; one question is under way at a time.

use std::task::{Context, Poll, Waker};

use super::Player;
use crate::{
    ports::WorldError,
    reconcile::retry::Next,
    sim::time::{Millis, later},
};

impl Player {
    pub(super) fn due_run(&self, now: Millis) -> Option<String> {
        let answered = self.process.stalled().is_none_or(|until| until <= now);
        let waiting = self.judging.keys().next().filter(|_| answered);
        let due = self.run_wakes.iter().find(|(name, at)| **at <= now && !self.judging.contains_key(*name));
        // One question is under way at a time.
        let due = due.filter(|_| self.judging.is_empty());
        waiting.or(due.map(|(name, _)| name)).cloned()
    }

    pub(super) fn judge(&mut self, name: &str) {
        self.run_wakes.remove(name);
        let (process, run) = (self.process.clone(), name.to_owned());
        let mut judging =
            self.judging.remove(name).unwrap_or_else(|| Box::pin(async move { process.judge(&run).await }));
        match judging.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(judged) => self.judged(name, judged),
            Poll::Pending if self.process.stalled() == Some(Millis::MAX) => self.die(true),
            Poll::Pending if self.process.is_deposed() => self.lead_anew(),
            Poll::Pending => drop(self.judging.insert(name.to_owned(), judging)),
        }
    }

    fn judged(&mut self, name: &str, judged: Result<Option<Millis>, WorldError>) {
        let wake = match judged {
            Ok(wake) => {
                self.run_retries.remove(name);
                wake
            }
            Err(error) => {
                let retries = self.run_retries.entry(name.to_owned()).or_default();
                let wait = retries.wait(Next::after_error(&error));
                wait.map(|wait| later(self.now(), wait))
            }
        };
        self.run_wakes.extend(wake.map(|wake| (name.to_owned(), wake)));
    }
}
