//! A pod of one of our revisions, as it is kept: whether it is ready, and why it does not come up.

use kube::core::ObjectMeta;
use serde::{Deserialize, de::IgnoredAny};

use super::{
    kinds::Condition,
    raw_object::RawObject,
    table::{Kept, mark},
    termination::{End, Ends, Termination},
};
use crate::api::{
    REVISION_ANNOTATION, REVISION_LABEL,
    metadata::{Carried, Mark},
};

/// A pod of one of our revisions.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedPod {
    /// The revision id.
    pub revision: String,
    /// Its ReplicaSet.
    pub owner: String,
    /// Why it does not come up.
    pub trouble: Option<String>,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether it says its revision to a mesh that reads annotations.
    pub is_annotated: bool,
    /// Stands for what it carries for a role.
    pub carried: Mark,
    /// Its containers that have ended; none of a pod that the cluster itself ends.
    pub terminations: Box<[Termination]>,
}

impl Kept for CachedPod {
    fn is_selected(meta: &ObjectMeta) -> bool {
        mark(meta.labels.as_ref(), REVISION_LABEL).is_some()
    }

    fn keep(object: &RawObject<'_>) -> Result<Self, String> {
        let meta = object.metadata();
        let (labels, annotations) = (meta.labels.as_ref(), meta.annotations.as_ref());
        let status: PodStatus = object.read("status")?;
        let revision = mark(labels, REVISION_LABEL).unwrap_or_default().to_owned();
        Ok(CachedPod {
            is_annotated: mark(annotations, REVISION_ANNOTATION) == Some(revision.as_str()),
            revision,
            owner: owner(meta, "ReplicaSet").unwrap_or_default(),
            ready: status.condition("Ready").is_some_and(|ready| ready.status == "True"),
            trouble: status.trouble(),
            carried: Carried::by(labels, annotations).mark(),
            terminations: status.terminations(),
        })
    }
    fn group(&self) -> Option<&str> {
        Some(&self.owner)
    }
}

/// What we read of a pod's status.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    phase: String,
    conditions: Vec<Condition>,
    init_container_statuses: Vec<ContainerStatus>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
    state: ContainerState,
    last_state: ContainerState,
    restart_count: u32,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContainerState {
    waiting: Option<Waiting>,
    running: Option<IgnoredAny>,
    terminated: Option<End>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Waiting {
    reason: String,
    message: String,
}

impl PodStatus {
    fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }

    /// A pod whose containers restart themselves fails only by the node: evicted, preempted, shut down.
    fn terminations(&self) -> Box<[Termination]> {
        let disrupted = self.condition("DisruptionTarget").is_some_and(|condition| condition.status == "True");
        if disrupted || self.phase == "Failed" {
            return Box::default();
        }
        Termination::all(self.container_statuses.iter().map(|status| Ends {
            name: &status.name,
            last: status.state.terminated.as_ref().or(status.last_state.terminated.as_ref()),
            restarts: status.restart_count,
            is_running: status.state.running.is_some(),
        }))
    }

    /// Unschedulable, an image that cannot be pulled, a container that crashes.
    fn trouble(&self) -> Option<String> {
        let unscheduled = self.condition("PodScheduled").filter(|condition| condition.status == "False");
        let unscheduled = unscheduled.map(|condition| format!("{}: {}", condition.reason, condition.message));
        let mut containers = self.init_container_statuses.iter().chain(&self.container_statuses);
        unscheduled.or_else(|| containers.find_map(ContainerStatus::trouble))
    }
}

impl ContainerStatus {
    fn trouble(&self) -> Option<String> {
        let Waiting { reason, message } = self.state.waiting.as_ref()?;
        if matches!(reason.as_str(), "" | "ContainerCreating" | "PodInitializing") {
            return None;
        }
        let message = if message.is_empty() { String::new() } else { format!(": {message}") };
        Some(format!("{reason} in container {}{message}", self.name))
    }
}

fn owner(meta: &ObjectMeta, kind: &str) -> Option<String> {
    let owners = meta.owner_references.as_deref()?;
    owners.iter().find(|owner| owner.kind == kind).map(|owner| owner.name.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::table::kept;

    #[test]
    fn pods_tell_why_they_do_not_come() {
        let cases = [
            (
                json!({"status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": "0/3 nodes are available"}]}}),
                Some("Unschedulable: 0/3 nodes are available"),
            ),
            (
                json!({"status": {"containerStatuses": [{"name": "app", "state": {"waiting": {"reason": "ImagePullBackOff",
                "message": "no such image"}}}]}}),
                Some("ImagePullBackOff in container app: no such image"),
            ),
            (
                json!({"status": {"containerStatuses": [{"name": "app", "state": {"waiting": {"reason": "ContainerCreating"}}}]}}),
                None,
            ),
            (json!({"status": {"containerStatuses": [{"name": "app", "state": {"running": {}}}]}}), None),
        ];
        for (data, expected) in cases {
            let pod = json!({"metadata": {"name": "a"}, "status": data["status"]});
            assert_eq!(kept::<CachedPod>(&pod).trouble.as_deref(), expected, "{data}");
        }
    }
}
