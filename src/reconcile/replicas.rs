//! What an absent `spec.replicas` means (rule S8), the same in every world: the last known count, and never 0.
//!
//! After adoption the referenced Deployment is at 0 because we scaled it there, so its count means nothing any more.

use crate::api::Rollout;

/// The count that is written in place of an absent one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// The field was removed: the last known count.
    Kept(u32),
    /// The field was removed while the Rollout was scaled to zero: what a Deployment would get.
    Restarted,
    /// There was no count yet.
    First(u32),
}

impl Count {
    /// How many pods.
    pub fn get(self) -> u32 {
        match self {
            Count::Kept(count) | Count::First(count) => count,
            Count::Restarted => 1,
        }
    }

    /// What is reported as `ReplicasRestored`; nothing about a first count.
    pub fn notice(self) -> Option<String> {
        match self {
            Count::Kept(count) => Some(format!("spec.replicas was removed; kept {count}")),
            Count::Restarted => Some("spec.replicas was removed while scaled to 0; set to 1".to_owned()),
            Count::First(_) => None,
        }
    }
}

/// The count in place of an absent one. `sets` is what each of our ReplicaSets asks for, `deployment` the count of the
/// referenced Deployment where it can be seen. `None`: nothing is known yet, so nothing may be written.
pub fn absent(rollout: &Rollout, sets: impl Iterator<Item = u32>, deployment: Option<u32>) -> Option<Count> {
    let sets: Vec<u32> = sets.collect();
    let recorded = rollout.status.as_ref().map_or(0, |status| status.desired_replicas);
    let known = if recorded > 0 { recorded } else { asked_for(rollout, &sets) };
    if known > 0 {
        return Some(Count::Kept(known));
    }
    if !sets.is_empty() {
        return Some(Count::Restarted);
    }
    match &rollout.spec.workload_ref {
        None => Some(Count::First(1)),
        // A Deployment that cannot be seen yet must not be taken for one pod.
        Some(_) => deployment.map(|count| Count::First(count.max(1))),
    }
}

/// With a router stable alone has all pods; without one they are shared out between the revisions.
fn asked_for(rollout: &Rollout, sets: &[u32]) -> u32 {
    if rollout.spec.has_mesh() {
        sets.iter().copied().max().unwrap_or(0)
    } else {
        sets.iter().copied().fold(0, u32::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rollout(adopts: bool, recorded: Option<u32>) -> Rollout {
        let workload = adopts.then(|| json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}));
        let spec = json!({"workloadRef": workload, "strategy": {"canary": {"steps": []}}});
        let mut rollout = Rollout::new("web", serde_json::from_value(spec).unwrap());
        rollout.status = recorded.map(|count| serde_json::from_value(json!({"desiredReplicas": count})).unwrap());
        rollout
    }

    /// Finding C4.
    #[test]
    fn c4_an_absent_count_is_the_last_known_one_and_never_zero() {
        for (adopts, recorded, sets, deployment, expected) in [
            (false, None, vec![], None, Some(Count::First(1))),
            (true, None, vec![], None, None),
            (true, None, vec![], Some(4), Some(Count::First(4))),
            (true, None, vec![], Some(0), Some(Count::First(1))),
            (true, Some(4), vec![4], Some(0), Some(Count::Kept(4))),
            (true, Some(4), vec![4, 2], None, Some(Count::Kept(4))),
            (true, None, vec![3, 1], Some(0), Some(Count::Kept(4))),
            (false, Some(4), vec![4], None, Some(Count::Kept(4))),
            (false, Some(0), vec![0], None, Some(Count::Restarted)),
        ] {
            let found = absent(&rollout(adopts, recorded), sets.iter().copied(), deployment);
            assert_eq!(found, expected, "{adopts} {recorded:?} {sets:?} {deployment:?}");
        }
    }
}
