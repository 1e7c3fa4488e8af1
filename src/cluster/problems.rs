//! What blocks a Rollout, with what its owner can do.

use super::{
    findings::blocking, references, shared::Cluster, snapshot::Snapshot, targets::Split, unavailable::Unavailable,
};
use crate::{
    api::{Rollout, reason::Reason, validate},
    engine::Problem,
    ports::RolloutKey,
    router::RouteError,
};

impl Cluster {
    /// All problems that can be found before anything is written.
    pub(super) fn problems(
        &self,
        snapshot: &Snapshot,
        unavailable: &Unavailable,
        route: Option<&RouteError>,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(unavailable.problem(snapshot));
        problems.extend(self.unreadable_objects(snapshot));
        problems.extend(self.claims(snapshot));
        problems.extend(missing_workload(snapshot));
        problems.extend(selected_metadata(snapshot));
        problems.extend(self.autoscaled(snapshot));
        problems.extend(self.missing_root(snapshot));
        problems.extend(self.excluding_selector(snapshot));
        problems.extend(self.unannotated_stable(snapshot));
        problems.extend(route.map(|error| problem(error.reason(), error.to_string(), false)));
        problems
    }

    /// Rule S7: each object, and each pod, has one Rollout: of those that name it, the one that comes first.
    fn claims(&self, snapshot: &Snapshot) -> Option<Problem> {
        let earlier = |other: &RolloutKey| {
            if *other == snapshot.key {
                return None;
            }
            let entry = self.tables.rollouts.get(&other.namespace, &other.name)?;
            self.recent.rollout(&entry).filter(|rival| turn(rival) < turn(&snapshot.rollout))
        };
        for object in references::exclusive(&snapshot.key, &snapshot.rollout) {
            let (plural, namespace, name) = &object;
            for other in self.references.of(plural, namespace, name) {
                let rival = earlier(&other);
                if rival.is_some_and(|rival| references::exclusive(&other, &rival).contains(&object)) {
                    let message = format!(
                        "{plural}/{name} already belongs to Rollout {other}; use another one or delete that Rollout"
                    );
                    return Some(problem(Reason::ClaimedBy, message, true));
                }
            }
        }
        let other = self.references.overlapping(&snapshot.key).into_iter().find(|other| earlier(other).is_some())?;
        let message = format!(
            "the selector overlaps with that of Rollout {other}: one selects the other's pods; add a distinct label to the pods of each and select by it, or delete one of the two"
        );
        Some(problem(Reason::ClaimedBy, message, true))
    }

    /// Rule S7: an autoscaler of the Deployment would fight over its pods. Before the Deployment is taken over nothing is
    /// written; afterwards no step completes. KEDA's ScaledObjects make such an autoscaler too.
    fn autoscaled(&self, snapshot: &Snapshot) -> Option<Problem> {
        let workload = &snapshot.rollout.spec.workload_ref.as_ref()?.name;
        let autoscaler = self.tables.autoscalers.group(&snapshot.key.namespace, workload).into_iter().next()?;
        let message = format!(
            "HorizontalPodAutoscaler/{} scales Deployment/{workload}; point its scaleTargetRef at this Rollout \
             (apiVersion: glidepath.dev/v1alpha1, kind: Rollout, name: {}) or delete it; {} until then",
            autoscaler.key.name,
            snapshot.key.name,
            if adopted(snapshot) { "no step completes" } else { "the Deployment is not changed" },
        );
        Some(problem(Reason::AutoscaledWorkload, message, !adopted(snapshot)))
    }

    fn missing_root(&self, snapshot: &Snapshot) -> Option<Problem> {
        let (named, field) = match snapshot.targets.split {
            Split::Switch => (snapshot.targets.root.as_ref(), "activeService"),
            _ => (snapshot.rollout.spec.services.as_ref()?.root.as_ref(), "services.root"),
        };
        match named {
            Some(root) if self.tables.services.get(&snapshot.key.namespace, root).is_none() => {
                let message = format!("Missing Service/{root}: referenced by {field}; create it or fix the name");
                Some(problem(Reason::MissingService, message, false))
            }
            _ => None, // where it is needed, the validator says so
        }
    }
}

/// Problems of the Deployment, with the messages of `lint` for the Rollout's own selector and template.
fn selected_metadata(snapshot: &Snapshot) -> Option<Problem> {
    let workload = snapshot.workload.as_ref()?;
    let mut found = validate::selected_by(&snapshot.rollout.spec, &workload.value.selector);
    let template = snapshot.template.as_ref().map(|template| &template.raw["metadata"]);
    let path = format!("Deployment/{}: spec.template.metadata", workload.key.name);
    found.extend(template.map(|metadata| validate::own_keys(&path, metadata)).unwrap_or_default());
    blocking(&found)
}

fn missing_workload(snapshot: &Snapshot) -> Option<Problem> {
    let workload = snapshot.rollout.spec.workload_ref.as_ref().filter(|_| snapshot.workload.is_none())?;
    let message = format!("Missing Deployment/{}: referenced by workloadRef; create it or fix the name", workload.name);
    Some(problem(Reason::MissingWorkload, message, false))
}

/// Whether the Deployment's pods are replaced by ours already.
fn adopted(snapshot: &Snapshot) -> bool {
    snapshot.rollout.status.as_ref().is_some_and(|status| status.memory.adopted)
}

fn problem(reason: Reason, message: String, blocks_all: bool) -> Problem {
    Problem { reason, message, blocks_all }
}

/// Who has a stable revision comes first: its pods serve. Then the older; times are whole seconds, so the uid decides between
/// two of the same second. The name never does.
fn turn(rollout: &Rollout) -> (bool, Option<jiff::Timestamp>, &str) {
    let stable = rollout.status.as_ref().is_some_and(|status| status.stable_revision.is_some());
    let created = rollout.metadata.creation_timestamp.as_ref().map(|time| time.0);
    (!stable, created, rollout.metadata.uid.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rollout(name: &str, uid: &str, created: &str, stable: bool) -> Rollout {
        let status = stable.then(|| json!({"stableRevision": {"id": "a", "number": 1}}));
        serde_json::from_value(json!({
            "apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout",
            "metadata": {"name": name, "uid": uid, "creationTimestamp": created},
            "spec": {"strategy": {"canary": {"steps": []}}}, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn s7_who_has_a_stable_revision_comes_first_then_the_older_then_the_uid_and_never_the_name() {
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
        let serving = rollout("z", "9", late, true);
        let old = rollout("y", "8", early, false);
        let twin = rollout("a", "9", early, false);
        let young = rollout("b", "1", late, false);
        let mut all = [&young, &twin, &old, &serving];
        all.sort_by(|a, b| turn(a).cmp(&turn(b)));
        let names = all.map(|rollout| rollout.metadata.name.as_deref().unwrap());
        assert_eq!(names, ["z", "y", "a", "b"]);
    }
}
