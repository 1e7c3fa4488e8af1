//! One tick for one Rollout, whatever happens in it.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::FutureExt;
use tracing::Instrument;

use super::queue::{AsyncWork, Next};
use crate::{
    api::reason::Reason,
    cluster::Cluster,
    engine::{Decision, Notice},
    ports::{Clock, RolloutKey, WorldError},
    reconcile::tick::tick,
    server::Metrics,
};

/// Every Rollout is looked at this often, though nothing changed: a no-op at the fixed point.
const RESYNC: Duration = Duration::from_secs(600);
/// While the watches are not to be relied on nothing is decided, and every Rollout looks again this soon.
const NOT_READY: Duration = Duration::from_secs(1);

/// A tick that takes longer is dropped and retried with backoff: it holds a place that others wait for.
const TICK_DEADLINE: Duration = Duration::from_secs(60);

/// The work on Rollouts.
#[derive(Clone)]
pub struct RolloutWork {
    /// The world.
    pub cluster: Arc<Cluster>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Our own metrics.
    pub metrics: Metrics,
}

#[async_trait]
impl AsyncWork<RolloutKey> for RolloutWork {
    async fn work(&self, key: RolloutKey) -> Next {
        let span = tracing::info_span!("tick", rollout = %key);
        let start = tokio::time::Instant::now();
        let ticking = self.tick(&key).instrument(span.clone());
        let ticked = AssertUnwindSafe(tokio::time::timeout(TICK_DEADLINE, ticking)).catch_unwind().await;
        self.cluster.finish_tick(&key);
        self.metrics.reconciled(start.elapsed());
        span.in_scope(|| match ticked {
            Ok(Ok(Ok(next))) => next,
            Ok(Ok(Err(error))) => self.failed(&key, &error),
            Ok(Err(_)) => {
                self.metrics.tick_failed(&key.namespace, "Timeout");
                tracing::warn!("the tick took longer than 60 s and was canceled; retrying with backoff");
                Next::Failed
            }
            Err(panic) => {
                self.metrics.tick_failed(&key.namespace, "Panic");
                self.report_panic(&key, &panic_text(panic.as_ref()));
                Next::Failed
            }
        })
    }
}

impl RolloutWork {
    /// One tick, and where nothing is left to do what ended long ago is deleted.
    async fn tick(&self, key: &RolloutKey) -> Result<Next, WorldError> {
        let decision = tick(&*self.cluster, key, &*self.clock).await?;
        let quiet = decision.as_ref().is_none_or(|decision| decision.actions.is_empty());
        let unclaimed = if quiet { self.cluster.prune_history(key).await } else { None };
        Ok(match decision {
            Some(decision) => self.next(&decision),
            None => unclaimed.map_or(Next::Forget, Next::After),
        })
    }

    /// A canceled tick is retried soon: what it has observed triggers no further event.
    fn next(&self, decision: &Decision) -> Next {
        if !decision.actions.is_empty() {
            return Next::Soon;
        }
        let Some(wake) = &decision.wake else { return Next::After(RESYNC) };
        let wait = wake.at.duration_since(self.clock.now());
        let wait = Duration::try_from(wait).unwrap_or(Duration::ZERO);
        tracing::debug!(?wait, reason = %wake.reason, "waiting");
        Next::After(wait.clamp(Duration::from_millis(20), RESYNC))
    }

    fn failed(&self, key: &RolloutKey, error: &WorldError) -> Next {
        let reason = match error {
            WorldError::NotReady(message) => {
                tracing::debug!(%message, "not ready; retrying");
                return Next::After(NOT_READY);
            }
            WorldError::Conflict(_) => "Conflict",
            WorldError::Transient(_) => "Transient",
            WorldError::Refused { reason, .. } => reason.as_str(),
        };
        self.metrics.tick_failed(&key.namespace, reason);
        if let WorldError::Conflict(message) = error {
            tracing::debug!(%message, "resourceVersion conflict; retrying");
            return Next::Soon;
        }
        tracing::warn!(%error, "the tick failed; retrying with backoff");
        Next::Failed
    }

    /// A panic is a bug report on that object, not the end of the process (kube rule 7).
    fn report_panic(&self, key: &RolloutKey, text: &str) {
        self.metrics.panicked("Rollout");
        tracing::error!(rollout = %key, panic = %text, "the tick panicked; this is a bug");
        let message = format!("a bug in the controller: {text}; please report it with this Rollout's YAML");
        self.cluster.tell_about(key, &Notice { warning: true, reason: Reason::InternalError, message });
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "unknown panic".into())
}
