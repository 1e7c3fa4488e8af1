//! Gathers windows that several runs ask for at the same moment, so that runs which are alike share their queries
//! (analysis.md section 2): all windows lie on one clock grid.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::oneshot, time::Instant};

use super::{buckets, promql, spread};
use crate::{
    evidence::{Answer, BucketsQuery, IncrementsQuery, SpreadQuery},
    ports::SourceError,
};

/// Questions that one query, or a pair, answers at most: a bound on the text and on the series behind it.
pub const TOGETHER: usize = 256;

/// A question about a window.
#[derive(Clone)]
pub enum Window {
    /// Of counters.
    Increments(IncrementsQuery),
    /// Of a histogram.
    Buckets(BucketsQuery),
    /// Of each of stable's pods, over many windows.
    Spread(SpreadQuery),
}

impl Window {
    /// The question, if it is one of counters.
    pub fn increments(&self) -> Option<&IncrementsQuery> {
        if let Window::Increments(query) = self { Some(query) } else { None }
    }

    /// The question, if it is one of a histogram.
    pub fn buckets(&self) -> Option<&BucketsQuery> {
        if let Window::Buckets(query) = self { Some(query) } else { None }
    }

    /// The question, if it is one of stable's pods.
    pub fn spread(&self) -> Option<&SpreadQuery> {
        if let Window::Spread(query) = self { Some(query) } else { None }
    }

    /// Whether the same queries can answer both.
    fn is_like(&self, other: &Window) -> bool {
        match (self, other) {
            (Window::Increments(one), Window::Increments(other)) => promql::are_alike(one, other),
            (Window::Buckets(one), Window::Buckets(other)) => buckets::are_alike(one, other),
            (Window::Spread(one), Window::Spread(other)) => spread::are_alike(one, other),
            _ => false,
        }
    }
}

/// A window that is waited for.
pub struct Asked {
    /// The question.
    pub query: Window,
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

    /// Everything that waits for a server, in groups that the same queries answer.
    pub fn take(&self, server: &str) -> Vec<Vec<Asked>> {
        let all = self.lock().remove(server).unwrap_or_default();
        let mut groups: Vec<Vec<Asked>> = Vec::new();
        for asked in all {
            let fits = |group: &&mut Vec<Asked>| {
                group.len() < TOGETHER && group.first().is_some_and(|first| first.query.is_like(&asked.query))
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
