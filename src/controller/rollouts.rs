//! One tick for one Rollout, whatever happens in it.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::FutureExt;
use tracing::Instrument;

use super::queue::AsyncWork;
use crate::{
    api::reason::Reason,
    cluster::Cluster,
    engine::{Decision, Notice},
    ports::{Clock, RolloutKey, WorldError},
    reconcile::{retry::Next, tick::tick},
    server::Metrics,
};

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

    fn next(&self, decision: &Decision) -> Next {
        let next = Next::after_decision(decision, self.clock.now());
        if let (Next::After(wait), Some(wake)) = (next, &decision.wake) {
            tracing::debug!(?wait, reason = %wake.reason, "waiting");
        }
        next
    }

    fn failed(&self, key: &RolloutKey, error: &WorldError) -> Next {
        let reason = match error {
            WorldError::NotReady(_) => None,
            WorldError::Conflict(_) => Some("Conflict"),
            WorldError::Transient(_) | WorldError::Interrupted(_) => Some("Transient"),
            WorldError::Refused { reason, .. } => Some(reason.as_str()),
        };
        reason.iter().for_each(|reason| self.metrics.tick_failed(&key.namespace, reason));
        match error {
            WorldError::NotReady(message) => tracing::debug!(%message, "not ready; retrying"),
            WorldError::Conflict(message) => tracing::debug!(%message, "resourceVersion conflict; retrying"),
            _ => tracing::warn!(%error, "the tick failed; retrying with backoff"),
        }
        Next::after_error(error)
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
