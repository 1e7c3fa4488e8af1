//! The door to Kubernetes Jobs that measure: each question is one Job, found again by its name.

use async_trait::async_trait;

use super::source::SourceError;
use crate::{api::analysis::JobQuery, evidence::Answer};

/// The run that measures: its Jobs are its own, and run in its namespace.
#[derive(Clone, Copy, Debug)]
pub struct JobOwner<'a> {
    /// The namespace of the AnalysisRun itself, which no text in its spec can change.
    pub namespace: &'a str,
    /// The AnalysisRun.
    pub run: &'a str,
    /// Its uid.
    pub uid: &'a str,
}

/// Runs Jobs.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// What the Job of the measurement at `at` (unix seconds) has come to; it is started if it is not there.
    async fn measure(&self, owner: JobOwner<'_>, query: &JobQuery, at: i64) -> Result<Answer, SourceError>;
}
