//! What a run asks, and what it was answered.

use jiff::Timestamp;

use super::query::{Answer, Query};

/// What to ask now, and when to look again.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPlan {
    /// The questions, each metric's in time order.
    pub queries: Vec<Planned>,
    /// When the next question falls due, if these are answered. `now` when more are waiting.
    pub wake: Timestamp,
}

/// Who asks in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The metric with this index in the spec.
    Metric(usize),
    /// The count of the canary's share.
    Share,
}

/// A question with its asker.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Whose it is.
    pub asker: Asker,
    /// The question.
    pub query: Query,
}

/// A question with its answer, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// Whose it is.
    pub asker: Asker,
    /// The question.
    pub query: Query,
    /// The answer; an error counts as no data, never as a failure.
    pub result: Result<Answer, String>,
}

impl RunPlan {
    /// The bare questions, for a source.
    pub fn questions(&self) -> Vec<Query> {
        self.queries.iter().map(|planned| planned.query.clone()).collect()
    }

    /// The questions joined with a source's answers, given in the same order. A question without one stays unasked.
    pub fn answered<E: ToString>(self, results: Vec<Result<Answer, E>>) -> Vec<Answered> {
        let join = |(planned, result): (Planned, Result<Answer, E>)| Answered {
            asker: planned.asker,
            query: planned.query,
            result: result.map_err(|error| error.to_string()),
        };
        self.queries.into_iter().zip(results).map(join).collect()
    }
}
