//! The door to numbers: who answers the questions of `evidence`.

use async_trait::async_trait;

use crate::evidence::{Answer, Query};

/// Why a question has no answer. It counts as NoData, never as a failure.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct SourceError(pub String);

/// A place that has numbers: Prometheus, the demo's own counters, the simulator.
#[async_trait]
pub trait Source: Send + Sync {
    /// Answers each question, in order. One failing question does not fail the others.
    async fn answer(&self, address: &str, queries: &[Query]) -> Vec<Result<Answer, SourceError>>;
}
