//! What pods carry for their role: written into a ReplicaSet's pod template, for the pods to come, and into the pods that
//! are there. Neither restarts anything.

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{api::Patch, core::ObjectMeta};
use serde_json::json;

use super::{
    cached_pod::CachedPod,
    call::{is_missing, read},
    kinds::CachedReplicaSet,
    resources::resource,
    revisions::template_of,
    shared::Cluster,
    snapshot::Snapshot,
    table::Entry,
    workload::params,
};
use crate::api::reason::Reason;
use crate::{
    api::metadata::{Added, Carried, Mark, PodMetadata},
    ports::WorldError,
};

/// So many pods are written to at a time.
const AT_ONCE: usize = 8;

impl Cluster {
    /// Template first: a pod that is created in the meantime already has it, or differs from it and is found the next
    /// time.
    pub(super) async fn ensure_metadata(
        &self,
        snapshot: &Snapshot,
        id: &str,
        metadata: &PodMetadata,
    ) -> Result<(), WorldError> {
        let Some(set) = self.replica_set(snapshot, id) else {
            return Err(WorldError::Conflict(format!("revision {id} has no ReplicaSet")));
        };
        let template = template_of(&set)?;
        let wanted = Added::to(&template, metadata.clone());
        if set.value.carried.mark() != Mark::of(&wanted) {
            self.patch_template(&set, &wanted).await?;
        }
        let pods = self.tables.pods.group(&set.key.namespace, &set.key.name);
        let others = pods.into_iter().filter(|pod| !pod.deleting && pod.value.carried != Mark::of(&wanted));
        let writes = others.map(|pod| {
            let (set, wanted) = (&set.value, &wanted);
            async move { self.patch_pod(&pod, set, wanted).await }
        });
        let answers: Vec<_> = stream::iter(writes).buffer_unordered(AT_ONCE).collect().await;
        answers.into_iter().collect()
    }

    /// On the very object that was observed: what is said to have been added must be what was.
    async fn patch_template(&self, set: &Entry<CachedReplicaSet>, wanted: &Added) -> Result<(), WorldError> {
        let patch = set.value.carried.added().patch_to(wanted);
        let patch = json!({
            "metadata": set.condition(),
            "spec": {"template": {"metadata": patch}},
        });
        self.patch_replica_set(set, patch).await
    }

    /// A pod that is gone by now needs nothing. What was added to it is usually what its template had until now; else the
    /// pod itself is asked.
    async fn patch_pod(
        &self,
        pod: &Entry<CachedPod>,
        set: &CachedReplicaSet,
        wanted: &Added,
    ) -> Result<(), WorldError> {
        let (namespace, name) = (&pod.key.namespace, &pod.key.name);
        let api = self.api(&resource::<Pod>(), namespace);
        let known =
            [Mark::NOTHING, set.carried.mark()].contains(&pod.value.carried) && pod.value.carried != Mark::ASTRAY;
        let (version, added) = if known {
            (pod.version.clone(), set.carried.added())
        } else {
            let found = read(&format!("get pod {namespace}/{name}"), api.get_opt(name)).await?;
            let Some(found) = found.filter(|found| found.metadata.uid.as_ref() == Some(&pod.uid)) else {
                return Ok(());
            };
            let (labels, annotations) = (found.metadata.labels.as_ref(), found.metadata.annotations.as_ref());
            let added = Carried::by(labels, annotations).added();
            (found.metadata.resource_version.clone().unwrap_or_default(), added)
        };
        let mut patch = added.patch_to(wanted);
        patch["uid"] = pod.uid.as_str().into();
        patch["resourceVersion"] = version.into();
        let patch = json!({"metadata": patch});
        let what = format!("patch pod {namespace}/{name}");
        match self.write(&what, api.patch(name, &params(), &Patch::Merge(patch))).await {
            Ok(written) => {
                self.tables.pods.wrote(&written);
                kept_as_written(&written.metadata, wanted)
            }
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether a revision's pods, or its template itself, carry something else than what was added to the template.
    pub(super) fn metadata_astray(&self, set: &Entry<CachedReplicaSet>) -> bool {
        let mark = set.value.carried.mark();
        let pods = || self.tables.pods.group(&set.key.namespace, &set.key.name);
        mark == Mark::ASTRAY || pods().iter().any(|pod| !pod.deleting && pod.value.carried != mark)
    }
}

/// An admission webhook that removes what was written would make us write it forever: it is reported, and retries back
/// off.
fn kept_as_written(written: &ObjectMeta, wanted: &Added) -> Result<(), WorldError> {
    let (labels, annotations) = (written.labels.as_ref(), written.annotations.as_ref());
    if Carried::by(labels, annotations).mark() == Mark::of(wanted) {
        return Ok(());
    }
    let name = written.name.as_deref().unwrap_or_default();
    Err(WorldError::Refused {
        reason: Reason::MetadataChanged,
        message: format!(
            "pod {name} does not keep the labels and annotations of its role: an admission webhook changes them; exclude them from the webhook, or remove them from canaryMetadata and stableMetadata"
        ),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value};

    use super::*;

    #[test]
    fn a_pod_that_does_not_keep_what_was_written_is_told() {
        let added = Added::to(&json!({}), from_value(json!({"labels": {"role": "canary"}})).unwrap());
        let pod = |labels: Value| -> ObjectMeta {
            let annotations = json!({crate::api::metadata::METADATA_ANNOTATION: added.text()});
            from_value(json!({"name": "web-1", "labels": labels, "annotations": annotations})).unwrap()
        };
        assert!(kept_as_written(&pod(json!({"role": "canary"})), &added).is_ok());
        let WorldError::Refused { reason, message } = kept_as_written(&pod(json!({})), &added).unwrap_err() else {
            panic!("a refusal")
        };
        assert!(reason == Reason::MetadataChanged && message.starts_with("pod web-1 does not keep"), "{message}");
    }
}
