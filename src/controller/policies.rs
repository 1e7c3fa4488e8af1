//! Mesh policies: one look after the other, whatever happens in it.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::FutureExt;
use tracing::Instrument;

use super::queue::AsyncWork;
use crate::{
    cluster::{Cluster, table::ObjectKey},
    ports::{Source, WorldError},
    reconcile::retry::Next,
    server::Metrics,
};

/// A look that takes longer is dropped and retried with backoff. It may ask the metrics of many Services.
const DEADLINE: Duration = Duration::from_secs(120);

/// The work on MeshPolicies.
#[derive(Clone)]
pub struct PolicyWork {
    /// The world.
    pub cluster: Arc<Cluster>,
    /// Where callers and denials come from.
    pub source: Arc<dyn Source>,
    /// Our own metrics.
    pub metrics: Metrics,
}

#[async_trait]
impl AsyncWork<ObjectKey> for PolicyWork {
    async fn work(&self, key: ObjectKey) -> Next {
        let span = tracing::info_span!("policy", namespace = %key.namespace, name = %key.name);
        let look = self.cluster.look_at_policy(&key, self.source.as_ref()).instrument(span.clone());
        let looked = AssertUnwindSafe(tokio::time::timeout(DEADLINE, look)).catch_unwind().await;
        span.in_scope(|| match looked {
            Ok(Ok(Ok(next))) => next,
            Ok(Ok(Err(error))) => {
                report(&error);
                Next::after_error(&error)
            }
            Ok(Err(_)) => {
                tracing::warn!("the look took longer than {} s and was canceled; retrying", DEADLINE.as_secs());
                Next::Failed
            }
            Err(_) => {
                self.metrics.panicked("MeshPolicy");
                tracing::error!("the look at the MeshPolicy panicked; this is a bug");
                Next::Failed
            }
        })
    }
}

fn report(error: &WorldError) {
    match error {
        WorldError::NotReady(message) => tracing::debug!(%message, "not ready; retrying"),
        WorldError::Conflict(message) => tracing::debug!(%message, "resourceVersion conflict; retrying"),
        _ => tracing::warn!(%error, "the look failed; retrying with backoff"),
    }
}
