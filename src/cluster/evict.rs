//! Evictions: a pod goes as its disruption budgets allow (rule S83).

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Error,
    api::{DeleteParams, EvictParams, Preconditions},
};

use super::{call::is_missing, shared::Cluster, snapshot::Snapshot};
use crate::{api::reason::Reason, ports::WorldError};

impl Cluster {
    /// Evicts exactly this pod; a deleted one counts as evicted. A disruption budget that allows no eviction is
    /// reported at once: this client does not retry, which the other would do silently for the whole call timeout.
    pub(super) async fn evict(&self, snapshot: &Snapshot, pod: &str, uid: &str) -> Result<(), WorldError> {
        let namespace = &snapshot.key.namespace;
        let api: Api<Pod> = Api::namespaced(self.no_retry.clone(), namespace);
        let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        let delete_options = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let params = EvictParams { delete_options: Some(delete_options), ..EvictParams::default() };
        let answer = self
            .write(&format!("evict pod {namespace}/{pod}"), async {
                match api.evict(pod, &params).await {
                    Err(Error::Api(status)) if status.code == 429 => Ok(Some(status.message)),
                    answer => answer.map(|_| None),
                }
            })
            .await;
        match answer {
            Ok(None) => Ok(()),
            Ok(Some(refusal)) => Err(WorldError::Refused {
                reason: Reason::DisruptionBudget,
                message: format!("restarting: pod {pod} cannot be evicted yet: {refusal}"),
            }),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
