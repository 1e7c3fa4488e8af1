//! What stands in a Rollout's way, in words that its owner can act on.

use super::{Cluster, observe::Around, references, targets::Split};
use crate::{
    api::{
        Rollout,
        validate::{self, Severity},
    },
    engine::Problem,
    router::RouteError,
};

impl Cluster {
    /// Everything that can be told before anything is written.
    pub(super) fn problems(&self, around: &Around, route: Option<&RouteError>) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(invalid(around));
        problems.extend(self.claims(around));
        problems.extend(missing_workload(around));
        problems.extend(self.missing_root(around));
        problems.extend(route.map(|error| problem(error.reason(), error.to_string(), false)));
        problems
    }

    /// Rule S7: each object has one Rollout, the oldest that names it.
    fn claims(&self, around: &Around) -> Option<Problem> {
        for (plural, namespace, name) in references::exclusive(&around.key, &around.rollout) {
            for other in self.references.of(&plural, &namespace, &name) {
                if other == around.key {
                    continue;
                }
                let Some(entry) = self.tables.rollouts.get(&other.namespace, &other.name) else { continue };
                let Ok(rival) = &entry.value.rollout else { continue };
                let claims =
                    references::exclusive(&other, rival).contains(&(plural.clone(), namespace.clone(), name.clone()));
                if claims && age(rival) < age(&around.rollout) {
                    let message = format!(
                        "{plural}/{name} belongs to Rollout {other} already; name another one or delete that Rollout"
                    );
                    return Some(problem("ClaimedBy", message, true));
                }
            }
        }
        None
    }

    fn missing_root(&self, around: &Around) -> Option<Problem> {
        let named = around.rollout.spec.services.as_ref()?.root.as_ref();
        match named {
            Some(root) if self.tables.services.get(&around.key.namespace, root).is_none() => {
                let message = format!("Missing Service/{root}: services.root names it; create it or mend the name");
                Some(problem("MissingService", message, false))
            }
            None if around.targets.split == Split::Host => {
                let message = "services.root is needed to split traffic by Service; name the Service that callers use";
                Some(problem("MissingService", message.to_owned(), false))
            }
            _ => None,
        }
    }
}

/// What `lint` says, in the same words.
fn invalid(around: &Around) -> Option<Problem> {
    let findings = validate::rollout(&around.rollout.spec);
    let errors: Vec<String> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| format!("{}: {}", finding.path, finding.message))
        .collect();
    (!errors.is_empty()).then(|| problem("InvalidSpec", errors.join("; "), true))
}

fn missing_workload(around: &Around) -> Option<Problem> {
    let workload = around.rollout.spec.workload_ref.as_ref().filter(|_| around.workload.is_none())?;
    let message = format!("Missing Deployment/{}: workloadRef names it; create it or mend the name", workload.name);
    Some(problem("MissingWorkload", message, false))
}

fn problem(reason: &str, message: String, blocks_all: bool) -> Problem {
    Problem { reason: reason.to_owned(), message, blocks_all }
}

/// Older first; the uid decides between twins.
fn age(rollout: &Rollout) -> (Option<jiff::Timestamp>, &str) {
    let created = rollout.metadata.creation_timestamp.as_ref().map(|time| time.0);
    (created, rollout.metadata.uid.as_deref().unwrap_or_default())
}
