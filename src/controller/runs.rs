//! Active AnalysisRuns: query, judge, write what users and decisions depend on (otherwise at most once a minute).
//!
//! A question that gets no answer is an answer too: it is counted, logged when a run's trouble begins and ends, and judged
//! as no data. No round is dropped.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::FutureExt;
use jiff::Timestamp;

use super::queue::{AsyncWork, Next};
use crate::{
    api::{
        AnalysisRun,
        analysis::{AnalysisRunStatus, RunPhase},
    },
    cluster::{Cluster, table::ObjectKey},
    evidence::{Answer, Query, run},
    ports::{
        Clock, Source, SourceError, WorldError,
        source::{Asking, Fault, asked},
    },
    reconcile::{
        runs::{is_old, told},
        turns::{Class, Rules, Turns},
    },
    server::Metrics,
};

/// Runs that are worked on at the same time: most of them wait for a place among those that ask.
pub const AT_ONCE: usize = 4096;
/// Runs that ask at the same time. Those that wait together are asked for together, and one namespace whose sources hang
/// leaves half of the places to the others.
const PLACES: Rules = Rules {
    at_once: 256,
    per_lane: 128,
    waiting: AT_ONCE,
    failures: u32::MAX,
    rest: Duration::ZERO,
    longest_rest: Duration::ZERO,
};

/// The work on AnalysisRuns.
#[derive(Clone)]
pub struct RunWork {
    /// The world.
    pub cluster: Arc<Cluster>,
    /// Where numbers come from.
    pub source: Arc<dyn Source>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Our own numbers.
    pub metrics: Metrics,
    /// What has been judged and not yet been written. A restart reads these windows again.
    live: Arc<Mutex<HashMap<ObjectKey, Live>>>,
    /// Who asks when.
    places: Arc<Turns>,
}

/// A run as it was judged last.
#[derive(Debug)]
pub struct Live {
    uid: String,
    judged: run::Live,
    written: Timestamp,
}

#[async_trait]
impl AsyncWork<ObjectKey> for RunWork {
    async fn work(&self, key: ObjectKey) -> Next {
        match AssertUnwindSafe(self.judge(&key)).catch_unwind().await {
            Ok(Ok(next)) => next,
            Ok(Err(WorldError::Conflict(_))) => Next::Soon,
            Ok(Err(error)) => {
                tracing::warn!(run = %key.name, namespace = %key.namespace, %error, "cannot write the AnalysisRun");
                Next::Failed
            }
            Err(_) => {
                self.metrics.panicked("AnalysisRun");
                tracing::error!(run = %key.name, namespace = %key.namespace, "judging the AnalysisRun panicked; this is a bug");
                Next::Failed
            }
        }
    }
}

impl RunWork {
    /// Work that has not begun.
    pub fn new(cluster: Arc<Cluster>, source: Arc<dyn Source>, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        RunWork { cluster, source, clock, metrics, live: Arc::default(), places: Arc::new(Turns::new(PLACES)) }
    }

    async fn judge(&self, key: &ObjectKey) -> Result<Next, WorldError> {
        let entry = self.cluster.tables().runs.get(&key.namespace, &key.name).filter(|entry| !entry.deleting);
        let entry = entry.filter(|entry| self.cluster.serves(&key.namespace, entry.value.rollout()));
        let Some(run) = entry.as_ref().and_then(|entry| entry.value.running()).map(|running| &running.run) else {
            self.forget(key);
            return Ok(Next::Forget);
        };
        let (mut judging, written) = self.newest(key, run);
        if judging.status().phase != RunPhase::Running {
            return Ok(Next::Forget);
        }
        let before = told(judging.status());
        let asked_at = self.clock.now();
        let plan = judging.plan(&run.spec, asked_at);
        let wake = plan.wake;
        let answers = self.ask(key, run, &plan.questions()).await;
        let failed_before = errors_in_a_row(judging.status());
        self.tell(key, failed_before, &answers);
        let now = self.clock.now().max(asked_at);
        judging.advance(&run.spec, &plan.answered(answers), now);
        // Not all metrics are asked each time: one that fails still is not over.
        if failed_before > 0 && errors_in_a_row(judging.status()) == 0 {
            tracing::info!(run = %key.name, namespace = %key.namespace, "Prometheus queries succeed again");
        }
        if let Some(through) = judging.status().windows_through {
            self.metrics.judged(Duration::try_from(now.duration_since(through)).unwrap_or(Duration::ZERO));
        }
        let write = run.status.is_none() || before != told(judging.status()) || is_old(&run.spec, written, now);
        if write {
            // A write that loses its race must not lose what was judged: the windows are asked for again.
            self.cluster.record_run(run, &judging.recorded(&run.spec)).await?;
        }
        if judging.status().phase != RunPhase::Running {
            return Ok(Next::Forget);
        }
        self.keep(key, run, judging, if write { now } else { written });
        let wait = Duration::try_from(wake.duration_since(now)).unwrap_or(Duration::ZERO);
        Ok(Next::After(wait.max(Duration::from_millis(50))))
    }

    /// Every question gets an answer, or an error within a bounded time.
    async fn ask(&self, key: &ObjectKey, run: &AnalysisRun, questions: &[Query]) -> Vec<Result<Answer, SourceError>> {
        if questions.is_empty() {
            return Vec::new();
        }
        let asking = Asking { namespace: &key.namespace, prometheus: &run.spec.prometheus };
        self.metrics.asked(questions.len());
        match self.places.enter("runs", &[&key.namespace], Class::Guardrail).await {
            Ok(place) => {
                let answers = asked(self.source.as_ref(), &asking, questions).await;
                place.ended(true);
                answers
            }
            Err(no) => questions.iter().map(|_| Err(SourceError::new(Fault::Busy, no.to_string()))).collect(),
        }
    }

    /// Counts the answers, and logs the beginning of a run's trouble with its source.
    fn tell(&self, key: &ObjectKey, failed_before: u32, answers: &[Result<Answer, SourceError>]) {
        for answer in answers {
            self.metrics.answered(answer.as_ref().map_or_else(|error| error.fault.label(), |_| "OK"));
        }
        let failed = answers.iter().filter_map(|answer| answer.as_ref().err()).collect::<Vec<_>>();
        let (run, namespace, of) = (&key.name, &key.namespace, answers.len());
        if let Some(error) = failed.first().filter(|_| failed_before == 0) {
            tracing::warn!(%run, %namespace, failed = failed.len(), of, %error, "Prometheus queries failed");
        }
    }

    /// Takes out what is in memory when it is of this object and no older than the record; else the record is read.
    fn newest(&self, key: &ObjectKey, run: &AnalysisRun) -> (run::Live, Timestamp) {
        let recorded = run.status.as_ref().and_then(|status| status.windows_through);
        let known = self.live.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        match known.filter(|live| Some(&live.uid) == run.metadata.uid.as_ref()) {
            Some(live) if live.judged.status().windows_through >= recorded => (live.judged, live.written),
            _ => (run::Live::of(&run.spec, run.status.clone().unwrap_or_default()), Timestamp::MIN),
        }
    }

    fn keep(&self, key: &ObjectKey, run: &AnalysisRun, judged: run::Live, written: Timestamp) {
        let uid = run.metadata.uid.clone().unwrap_or_default();
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.insert(key.clone(), Live { uid, judged, written });
    }

    fn forget(&self, key: &ObjectKey) {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// The most questions in a row that a metric of this run had no answer to.
fn errors_in_a_row(status: &AnalysisRunStatus) -> u32 {
    status.metrics.iter().map(|metric| metric.errors_in_a_row).max().unwrap_or_default()
}
