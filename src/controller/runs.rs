//! AnalysisRuns at work: ask, judge, write what people and decisions rest on (at most once a minute otherwise).

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
    api::{AnalysisRun, analysis::RunPhase},
    cluster::{Cluster, table::ObjectKey},
    evidence::run,
    ports::{
        Clock, Source, WorldError,
        runs::{is_old, told},
    },
    server::Metrics,
};

/// One run's questions together take no longer.
const ASKING: Duration = Duration::from_secs(30);

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
    pub live: Arc<Mutex<HashMap<ObjectKey, Live>>>,
}

/// A run as it was judged last.
#[derive(Clone, Debug)]
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
                tracing::warn!(run = %key.name, namespace = %key.namespace, %error, "cannot record the run");
                Next::Failed
            }
            Err(_) => {
                self.metrics.panicked("AnalysisRun");
                tracing::error!(run = %key.name, namespace = %key.namespace, "a bug: judging the run panicked");
                Next::Failed
            }
        }
    }
}

impl RunWork {
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
        let questions = plan.questions();
        self.metrics.asked(questions.len());
        let answers = self.source.answer(&run.spec.prometheus.address, &questions);
        let Ok(answers) = tokio::time::timeout(ASKING, answers).await else { return Ok(Next::Failed) };
        answers.iter().for_each(|answer| self.metrics.answered(answer.is_ok()));
        let now = self.clock.now().max(asked_at);
        judging.advance(&run.spec, &plan.answered(answers), now);
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
