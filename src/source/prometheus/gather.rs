//! Gathers windows that several runs ask for at the same moment, so that runs which are alike share their queries
//! (analysis.md section 2): all windows lie on one clock grid.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::oneshot, time::Instant};

use super::promql;
use crate::{
    evidence::{Answer, IncrementsQuery},
    ports::SourceError,
};

/// Questions that one pair of queries answers at most: a bound on the text and on the series behind it.
pub const TOGETHER: usize = 32;

/// A window that is waited for.
pub struct Asked {
    /// The question.
    pub query: IncrementsQuery,
    /// For whom.
    pub namespace: String,
    /// When an answer is of no use any more.
    pub deadline: Instant,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Answer, SourceError>>,
}

/// What waits to be asked, by server. It is taken a moment after the first came, so nothing stays behind.
#[derive(Default)]
pub struct Gather {
    waiting: Mutex<HashMap<String, Vec<Asked>>>,
}

impl Gather {
    /// Adds a question. `true`: it is the first that waits for this server, so the caller has to [`Gather::take`] it.
    pub fn add(&self, server: &str, asked: Asked) -> bool {
        let mut waiting = self.lock();
        let all = waiting.entry(server.to_owned()).or_default();
        all.push(asked);
        all.len() == 1
    }

    /// Everything that waits for a server, in groups that one pair of queries answers.
    pub fn take(&self, server: &str) -> Vec<Vec<Asked>> {
        let all = self.lock().remove(server).unwrap_or_default();
        let mut groups: Vec<Vec<Asked>> = Vec::new();
        for asked in all {
            let fits = |group: &&mut Vec<Asked>| {
                group.len() < TOGETHER
                    && group.first().is_some_and(|first| promql::are_alike(&first.query, &asked.query))
            };
            match groups.iter_mut().find(fits) {
                Some(group) => group.push(asked),
                None => groups.push(vec![asked]),
            }
        }
        groups
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Asked>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
