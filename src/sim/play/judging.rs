//! AnalysisRuns are judged when they are due; one question is under way at a time.

use std::task::{Context, Poll, Waker};

use super::{Player, RETRY, SOON};
use crate::{ports::WorldError, sim::time::Millis};

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
        let now = self.now();
        match judging.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(Some(wake))) => drop(self.run_wakes.insert(name.to_owned(), wake)),
            Poll::Ready(Ok(None)) => {}
            Poll::Ready(Err(WorldError::Conflict(_))) => drop(self.run_wakes.insert(name.to_owned(), now + SOON.0)),
            Poll::Ready(Err(_)) => drop(self.run_wakes.insert(name.to_owned(), now + RETRY.0)),
            Poll::Pending if self.process.stalled() == Some(Millis::MAX) => self.die(true),
            Poll::Pending if self.process.is_deposed() => self.lead_anew(),
            Poll::Pending => drop(self.judging.insert(name.to_owned(), judging)),
        }
    }
}
