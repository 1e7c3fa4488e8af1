//! The door to numbers: who answers the questions of `evidence`.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    api::analysis::RunPrometheus,
    evidence::{Answer, Query},
};

/// All answers for one look at a run come within this time, or are errors of their questions.
pub const ASKING: Duration = Duration::from_secs(30);

/// Who asks, and whom.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The run's namespace: its share of a source, and where its Secrets are.
    pub namespace: &'a str,
    /// The Prometheus that the run names.
    pub prometheus: &'a RunPrometheus,
}

/// What kind of failure an error is, for counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing came in time.
    Silent,
    /// Nobody could be reached.
    Unreachable,
    /// The source does not answer this question, or not so that it can be used.
    Refused,
    /// We do not ask: the address, or the credentials, are not to be used.
    Denied,
    /// It waits behind others of its namespace, or the source failed it too often.
    Busy,
}

impl Fault {
    /// As a label of a counter.
    pub fn label(self) -> &'static str {
        match self {
            Fault::Silent => "Timeout",
            Fault::Unreachable => "Unreachable",
            Fault::Refused => "Refused",
            Fault::Denied => "Denied",
            Fault::Busy => "Busy",
        }
    }
}

/// Why a question has no answer. It counts as NoData, never as a failure.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{message}")]
pub struct SourceError {
    /// The kind.
    pub fault: Fault,
    /// Human-readable: it is shown in a status, so it contains no credentials and no text of other servers.
    pub message: String,
}

impl SourceError {
    /// An error of this kind.
    pub fn new(fault: Fault, message: String) -> Self {
        SourceError { fault, message }
    }
}

/// A place that has numbers: Prometheus, the demo's own counters, the simulator.
#[async_trait]
pub trait Source: Send + Sync {
    /// Answers each question, in order. One failing question does not fail the others.
    async fn answer(&self, asking: &Asking<'_>, queries: &[Query]) -> Vec<Result<Answer, SourceError>>;

    /// The samples of a query in PromQL, each with its label `arm`.
    async fn samples(
        &self,
        _asking: &Asking<'_>,
        _query: &str,
        _at: Timestamp,
    ) -> Result<Vec<(String, f64)>, SourceError> {
        Err(SourceError::new(Fault::Refused, "this source has no Prometheus".to_owned()))
    }
}

/// Sends the queries; a query without a response in time is an error: none is lost silently (H5).
pub async fn asked(source: &dyn Source, asking: &Asking<'_>, queries: &[Query]) -> Vec<Result<Answer, SourceError>> {
    if queries.is_empty() {
        return Vec::new();
    }
    let in_time = tokio::time::timeout(ASKING, source.answer(asking, queries)).await;
    let mut answers = in_time.unwrap_or_default();
    answers.resize_with(queries.len(), || {
        let message = format!("no response from Prometheus within {} s", ASKING.as_secs());
        Err(SourceError::new(Fault::Silent, message))
    });
    answers
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        api::{
            HumanDuration,
            analysis::{AnalysisRunSpec, AnalysisRunStatus, Builtin, Counter, Metric, RatioMetric, Settings, Verdict},
        },
        evidence::run::Live,
    };

    /// Accepts every question and never answers.
    struct Hangs;

    #[async_trait]
    impl Source for Hangs {
        async fn answer(&self, _: &Asking<'_>, _: &[Query]) -> Vec<Result<Answer, SourceError>> {
            std::future::pending().await
        }
    }

    fn spec() -> AnalysisRunSpec {
        let builtin = |builtin| Counter { builtin: Some(builtin), prometheus: None };
        let judge =
            RatioMetric { bad: builtin(Builtin::Errors), total: builtin(Builtin::Requests), ..RatioMetric::default() };
        let no_data_timeout = Some(HumanDuration::secs(20));
        AnalysisRunSpec {
            metrics: vec![Metric { name: "errors".into(), ratio: Some(judge), ..Metric::default() }],
            settings: Settings { no_data_timeout, ..Settings::default() },
            ..AnalysisRunSpec::default()
        }
    }

    /// H5: such a round was dropped without a status, a note or a log line, and came back ever less often.
    #[tokio::test(start_paused = true)]
    async fn a_source_that_hangs_is_no_data_and_after_no_data_timeout_inconclusive() {
        let spec = spec();
        let mut live = Live::of(&spec, AnalysisRunStatus::default());
        let began = tokio::time::Instant::now();
        let now = || Timestamp::from_second(1_700_000_000 + began.elapsed().as_secs().cast_signed()).unwrap();
        let prometheus = RunPrometheus::controller();
        let asking = Asking { namespace: "shop", prometheus: &prometheus };
        let mut seen = Vec::new();
        while began.elapsed() < Duration::from_secs(240) && live.status().verdict != Verdict::Inconclusive {
            let plan = live.plan(&spec, now());
            let wake = plan.wake;
            let answers = asked(&Hangs, &asking, &plan.questions()).await;
            live.advance(&spec, &plan.answered(answers), now());
            seen.push(live.status().verdict);
            let wait = Duration::try_from(wake.duration_since(now())).unwrap_or_default();
            tokio::time::sleep(wait.max(Duration::from_millis(50))).await;
        }
        let status = live.recorded(&spec);
        assert_eq!(
            (status.verdict, status.metrics[0].reason.as_str()),
            (Verdict::Inconclusive, "SourceError"),
            "{seen:?}"
        );
        assert!(seen.contains(&Verdict::NoData) || seen.len() <= 3, "{seen:?}");
        assert!(status.message.contains("no response from Prometheus within 30 s"), "{}", status.message);
        assert_eq!(status.metrics[0].notes, ["source: no response from Prometheus within 30 s"]);
    }
}
