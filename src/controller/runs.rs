//! Active AnalysisRuns: query, judge, write what users and decisions depend on (otherwise at most once a minute).
//!
//! A question that gets no answer is an answer too: it is counted, logged when a run's trouble begins and ends, and judged
//! as no data. No round is dropped.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::{FutureExt, future::join_all};
use jiff::Timestamp;

use super::{load, queue::AsyncWork};
use crate::{
    api::{
        AnalysisRun,
        analysis::{AnalysisRunStatus, ExternalQuery, JobQuery},
    },
    cluster::{
        Cluster,
        records::CachedRun,
        table::{Entry, ObjectKey},
    },
    evidence::{Answer, Query},
    ports::{
        Clock, Source, SourceError, WorldError,
        jobs::{JobOwner, Jobs},
        source::{ASKING, Asking, Fault, asked},
    },
    reconcile::{
        retry::Next,
        runs::Judged,
        turns::{Class, Rules, Turns},
    },
    server::Metrics,
};

/// Runs that are worked on at the same time: most of them wait for a place among those that ask.
pub const AT_ONCE: usize = 4096;
/// Runs that ask at the same time. Those that wait together are asked for together, and one namespace whose sources hang
/// leaves half of the places to the others.
const PLACES: Rules = Rules {
    at_once: 2048,
    per_lane: 1024,
    waiting: AT_ONCE,
    failures: u32::MAX,
    rest: Duration::ZERO,
    longest_rest: Duration::ZERO,
};

/// What has been judged.
type Memory = HashMap<ObjectKey, Known>;

/// A run as it was left.
struct Known {
    /// Of which object.
    uid: Option<String>,
    judged: Judged,
    /// When its load is looked at again, if it has one.
    load_due: Option<Timestamp>,
}

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
    judged: Arc<Mutex<Memory>>,
    /// Who asks when.
    places: Arc<Turns>,
}

#[async_trait]
impl AsyncWork<ObjectKey> for RunWork {
    async fn work(&self, key: ObjectKey) -> Next {
        match AssertUnwindSafe(self.judge(&key)).catch_unwind().await {
            Ok(Ok(next)) => next,
            Ok(Err(error)) => {
                if !matches!(error, WorldError::Conflict(_)) {
                    tracing::warn!(run = %key.name, namespace = %key.namespace, %error, "cannot write the AnalysisRun");
                }
                Next::after_error(&error)
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
        RunWork { cluster, source, clock, metrics, judged: Arc::default(), places: Arc::new(Turns::new(PLACES)) }
    }

    async fn judge(&self, key: &ObjectKey) -> Result<Next, WorldError> {
        let entry = self.cluster.tables().runs.get(&key.namespace, &key.name).filter(|entry| !entry.deleting);
        let entry = entry.filter(|entry| self.cluster.serves(&key.namespace, entry.value.rollout()));
        let Some(run) = entry.as_ref().and_then(|entry| entry.value.running()).map(|running| &running.run) else {
            self.forget(key);
            return match entry {
                Some(entry) if entry.value.has_work() => self.stop_load(&entry).await,
                _ => Ok(Next::Forget),
            };
        };
        let known = self.take(key, run);
        let mut load_due = known.as_ref().and_then(|known| known.load_due);
        let mut judged = Judged::newest(known.map(|known| known.judged), &run.spec, run.status.as_ref());
        let failed_before = errors_in_a_row(judged.status());
        let source = Asked { work: self, key, uid: run.metadata.uid.as_deref().unwrap_or_default(), failed_before };
        let look = judged.look(&run.spec, run.status.is_some(), &source, &|| self.clock.now()).await;
        // Not all metrics are asked each time: one that fails still is not over.
        if failed_before > 0 && errors_in_a_row(judged.status()) == 0 {
            tracing::info!(run = %key.name, namespace = %key.namespace, "Prometheus queries succeed again");
        }
        let now = self.clock.now();
        if let Some(through) = judged.status().windows_through {
            self.metrics.judged(Duration::try_from(now.duration_since(through)).unwrap_or(Duration::ZERO));
        }
        if let Some(status) = look.record {
            self.cluster.record_run(run, &status).await?;
        }
        let Some(wake) = look.wake else {
            // From here on its load is work of its own.
            let has_load = judged.status().load.iter().any(|load| load.job.is_some());
            return Ok(if has_load { Next::After(Duration::ZERO) } else { Next::Forget });
        };
        if load_due.is_none_or(|due| due <= now) {
            load_due = load::keep(&self.cluster, run, &mut judged, now).await;
        }
        let wake = load_due.map_or(wake, |due| wake.min(due));
        let uid = run.metadata.uid.clone();
        self.judged_all().insert(key.clone(), Known { uid, judged, load_due });
        Ok(Next::After(Duration::try_from(wake.duration_since(now)).unwrap_or(Duration::ZERO)))
    }

    /// Ends the synthetic traffic of a run that has ended.
    async fn stop_load(&self, entry: &Entry<CachedRun>) -> Result<Next, WorldError> {
        let Some(run) = self.cluster.ended_run(entry).await? else { return Ok(Next::Forget) };
        let load = load::stop(&self.cluster, &run).await?;
        let status = AnalysisRunStatus { load, ..run.status.clone().unwrap_or_default() };
        self.cluster.record_run(&run, &status).await?;
        Ok(Next::Forget)
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

    /// Takes out what is in memory of this very object.
    fn take(&self, key: &ObjectKey, run: &AnalysisRun) -> Option<Known> {
        self.judged_all().remove(key).filter(|known| known.uid == run.metadata.uid)
    }

    fn judged_all(&self) -> MutexGuard<'_, Memory> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, key: &ObjectKey) {
        self.judged_all().remove(key);
    }
}

/// The source as one run asks it: in its turn, and counted.
struct Asked<'a> {
    work: &'a RunWork,
    key: &'a ObjectKey,
    uid: &'a str,
    failed_before: u32,
}

impl Asked<'_> {
    /// The answers: Jobs are the cluster's own, all else is asked of the source.
    ///
    /// Whose Secrets are read, and where Jobs run, is the namespace of the run itself: that of its arms is a text that
    /// whoever made the run has written.
    async fn answers(&self, asking: &Asking<'_>, questions: &[Query]) -> Vec<Result<Answer, SourceError>> {
        let namespace = self.key.namespace.as_str();
        let owner = JobOwner { namespace, run: &self.key.name, uid: self.uid };
        let (jobs, rest): (Vec<_>, Vec<_>) =
            questions.iter().map(job_of).zip(questions).partition(|(job, _)| job.is_some());
        let rest: Vec<Query> = rest.into_iter().map(|(_, query)| query.clone()).collect();
        let asking = in_namespace(asking, namespace);
        let jobs = jobs.into_iter().filter_map(|(job, _)| job);
        let measured = join_all(jobs.map(|(query, at)| async move {
            let late =
                || SourceError::new(Fault::Silent, "the API server took too long to answer for a Job".to_owned());
            let measured = tokio::time::timeout(ASKING, self.work.cluster.measure(owner, query, at)).await;
            measured.unwrap_or_else(|_| Err(late()))
        }));
        let (measured, rest) = tokio::join!(measured, asked(self.work.source.as_ref(), &asking, &rest));
        let (mut measured, mut rest) = (measured.into_iter(), rest.into_iter());
        let lost = || Err(SourceError::new(Fault::Refused, "the query was not answered".to_owned()));
        let next = |question: &Query| if job_of(question).is_some() { measured.next() } else { rest.next() };
        questions.iter().map(next).map(|answer| answer.unwrap_or_else(lost)).collect()
    }
}

fn in_namespace<'a>(asking: &Asking<'a>, namespace: &'a str) -> Asking<'a> {
    Asking { namespace, ..*asking }
}

/// The Job that a question asks for, and the time of its measurement in unix seconds.
fn job_of(question: &Query) -> Option<(&JobQuery, i64)> {
    match question {
        Query::External { query: ExternalQuery::Job(query), at } => Some((query, at.as_second())),
        _ => None,
    }
}

#[async_trait]
impl Source for Asked<'_> {
    /// Every question gets an answer, or an error within a bounded time.
    async fn answer(&self, asking: &Asking<'_>, questions: &[Query]) -> Vec<Result<Answer, SourceError>> {
        let Asked { work, key, failed_before, .. } = self;
        work.metrics.asked(questions.len());
        let answers = match work.places.enter("runs", &[&key.namespace], Class::Guardrail).await {
            Ok(place) => {
                let answers = self.answers(asking, questions).await;
                place.ended(true);
                answers
            }
            Err(no) => questions.iter().map(|_| Err(SourceError::new(Fault::Busy, no.to_string()))).collect(),
        };
        work.tell(key, *failed_before, &answers);
        answers
    }
}

/// The most questions in a row that a metric of this run had no answer to.
fn errors_in_a_row(status: &AnalysisRunStatus) -> u32 {
    status.metrics.iter().map(|metric| metric.errors_in_a_row).max().unwrap_or_default()
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod load_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::analysis::RunPrometheus;

    /// A run made by hand may name any namespace for its arms; Secrets are read in its own.
    #[test]
    fn secrets_and_jobs_are_those_of_the_runs_own_namespace() {
        let prometheus = RunPrometheus::controller();
        let asking = Asking { namespace: "kube-system", prometheus: &prometheus };
        assert_eq!(in_namespace(&asking, "shop").namespace, "shop");
    }
}
