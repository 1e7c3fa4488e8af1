//! A Service is pinned to one revision by one label more in its selector. Where the rest of the selector asks for labels that
//! the revision's pods do not carry, it would be pinned to nothing: that is never written (rule S7).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{labels::Labels, shared::Cluster, snapshot::Snapshot, targets::Split};
use crate::{
    api::{
        REVISION_LABEL,
        metadata::PodMetadata,
        reason::Reason,
        status::{Course, RolloutStatus},
    },
    engine::Problem,
};

impl Cluster {
    /// The first Service that is, or would be, pinned to nothing.
    pub(super) fn excluding_selector(&self, snapshot: &Snapshot) -> Option<Problem> {
        if snapshot.targets.split == Split::Subset {
            return None;
        }
        let wanted = snapshot.template.as_ref().map(|template| template.id.clone());
        let stable = snapshot.rollout.status.as_ref().and_then(|status| status.stable_revision.as_ref());
        let revisions: Vec<String> = wanted.into_iter().chain(stable.map(|stable| stable.id.clone())).collect();
        for name in self.pinned(snapshot) {
            let Some(service) = self.tables.services.get(&snapshot.key.namespace, name) else { continue };
            let mut found = revisions.iter().filter_map(|id| excluding(snapshot, name, &service.value.selector, id));
            if let Some(problem) = found.next() {
                return Some(problem);
            }
        }
        None
    }

    /// The Services that get the label, and root where its selector is copied.
    fn pinned<'a>(&self, snapshot: &'a Snapshot) -> Vec<&'a String> {
        let targets = &snapshot.targets;
        let missing = |name: &&String| self.tables.services.get(&snapshot.key.namespace, name).is_none();
        let made: Vec<&String> = [&targets.stable, &targets.canary].into_iter().flatten().collect();
        let copied = targets.split == Split::Host || made.iter().any(missing);
        let root = targets.root.as_ref().filter(|_| copied);
        made.into_iter().chain(root).collect()
    }
}

/// Whether a Service with this selector would have none of a revision's pods. While a release is under way only its steps
/// wait, so that it can be aborted.
pub(super) fn excluding(snapshot: &Snapshot, service: &str, selector: &Labels, revision: &str) -> Option<Problem> {
    let labels = labels_of(snapshot, revision)?;
    let spec = &snapshot.rollout.spec;
    let roles = [&spec.stable_metadata, &spec.canary_metadata];
    let has =
        |labels: &BTreeMap<String, String>, key: &str, value: &str| labels.get(key).is_some_and(|known| known == value);
    let by_role =
        |key: &str, value: &str| roles.into_iter().flatten().any(|PodMetadata { labels, .. }| has(labels, key, value));
    let astray =
        |(key, value): &(&str, &str)| *key != REVISION_LABEL && !has(&labels, key, value) && !by_role(key, value);
    let keys: Vec<String> = selector.iter().filter(astray).map(|(key, value)| format!("{key}={value}")).collect();
    if keys.is_empty() {
        return None;
    }
    let message = format!(
        "Service/{service} selects {}, which the pods of revision {revision} do not have: it would have no endpoints; remove it from the selector, or add it to the labels of the pod template",
        keys.join(",")
    );
    let blocks_all = snapshot.rollout.status.as_ref().is_none_or(is_at_rest);
    Some(Problem { reason: Reason::SelectorExcludesPods, message, blocks_all })
}

fn is_at_rest(status: &RolloutStatus) -> bool {
    matches!(status.course(), Course::FirstDeploy | Course::Idle)
}

/// What the pods of a revision are labeled with by its template.
fn labels_of(snapshot: &Snapshot, revision: &str) -> Option<BTreeMap<String, String>> {
    let set = snapshot.revisions.iter().find(|entry| entry.value.revision == revision);
    let labeled = match (set, snapshot.template.as_ref().filter(|template| template.id == revision)) {
        (_, Some(template)) => Labeled::deserialize(&template.raw),
        (Some(set), None) => set.value.template.read(),
        (None, None) => return None,
    };
    Some(labeled.unwrap_or_default().metadata.labels)
}

/// Of a template its labels, and nothing else.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Labeled {
    metadata: LabeledMeta,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LabeledMeta {
    labels: BTreeMap<String, String>,
}
