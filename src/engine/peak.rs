//! How many pods a release has before it is played: at each of its steps, and at most at a time. The arithmetic is the one
//! by which the pods are brought up.

use crate::api::{Percent, RolloutSpec, strategy::CanaryStrategy};

use super::{
    draft::Split,
    items::{self, Item},
    replicas::{self, Needs, Pods, Slack, pods_for},
};

/// A release of a spec with so many replicas.
#[derive(Clone, Debug)]
pub struct Release<'a> {
    spec: &'a RolloutSpec,
    split: Split,
    replicas: u32,
    items: Vec<Item>,
}

impl<'a> Release<'a> {
    /// Of this spec, with this many replicas.
    pub fn of(spec: &'a RolloutSpec, replicas: u32) -> Self {
        let items = items::items(&spec.strategy.steps());
        Release { spec, split: Split::of(spec), replicas, items }
    }

    /// Its steps.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// How traffic gets to one version or the other.
    pub fn split(&self) -> Split {
        self.split
    }

    /// The pods of the new version at a step and sub-step.
    pub fn canary_pods(&self, step: u32, sub_step: u32) -> u32 {
        let weight = items::weight_at(&self.items, step, sub_step);
        if self.split == Split::Ratio {
            return replicas::split(self.replicas, weight, self.slack().surge).0;
        }
        pods_for(&Needs::at_step(self.spec, &self.items, step, self.replicas), weight).canary
    }

    /// The most pods of all versions at a time, from the first step to the end of the promotion. No quota below it is enough
    /// for every course that the release may take: new pods may be slow, and an operator may promote at any step.
    pub fn most_pods(&self) -> u32 {
        if self.split == Split::Ratio {
            return self.most_by_ratio();
        }
        let canary = self.sub_steps().map(|(step, sub_step)| self.canary_pods(step, sub_step)).max().unwrap_or(0);
        // Stable has all its pods at the first step at the latest, and the promotion waits for as many of the new version.
        self.replicas.saturating_add(canary.max(self.replicas))
    }

    fn sub_steps(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        (0u32..)
            .zip(&self.items)
            .flat_map(|(step, item)| (0..items::sub_steps(item)).map(move |sub_step| (step, sub_step)))
    }

    fn slack(&self) -> Slack {
        let canary = self.spec.strategy.canary.as_ref();
        canary.map_or_else(
            || Slack::of(&CanaryStrategy::default(), self.replicas),
            |canary| Slack::of(canary, self.replicas),
        )
    }

    /// Plays the moves towards every weight in turn with pods that become available as late as can be.
    fn most_by_ratio(&self) -> u32 {
        let slack = self.slack();
        let mut weights: Vec<Percent> =
            self.sub_steps().map(|(step, sub_step)| items::weight_at(&self.items, step, sub_step)).collect();
        weights.push(Percent::FULL);
        weights.dedup();
        let mut pods = Late { stable: full(self.replicas), canary: full(0), most: self.replicas };
        for weight in weights {
            let target = replicas::split(self.replicas, weight, slack.surge);
            while pods.most < self.replicas.saturating_add(slack.surge) && pods.moves(self.replicas, target, slack) {}
        }
        pods.most
    }
}

fn full(pods: u32) -> Pods {
    Pods { wanted: pods, available: pods }
}

/// Two versions whose new pods become available only when nothing moves without them.
struct Late {
    stable: Pods,
    canary: Pods,
    most: u32,
}

impl Late {
    /// One move towards the target. `false`: it is reached.
    fn moves(&mut self, replicas: u32, target: (u32, u32), slack: Slack) -> bool {
        let next = replicas::next_move(replicas, target, slack, self.stable, self.canary, &[]);
        let late = |pods: Pods, wanted: u32| Pods { wanted, available: pods.available.min(wanted) };
        let (stable, canary) = (late(self.stable, next.stable), late(self.canary, next.canary));
        if (stable, canary) == (self.stable, self.canary) {
            let all = (full(stable.wanted), full(canary.wanted));
            let waited = all != (self.stable, self.canary);
            (self.stable, self.canary) = all;
            return waited;
        }
        (self.stable, self.canary) = (stable, canary);
        self.most = self.most.max(stable.wanted.saturating_add(canary.wanted));
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(strategy: serde_json::Value, mesh: bool) -> RolloutSpec {
        let mut spec = json!({"strategy": strategy});
        if mesh {
            spec["traffic"] = json!([{"istio": {"virtualServices": [{"name": "web"}]}}]);
        }
        serde_json::from_value(spec).unwrap()
    }

    // W7.
    #[test]
    fn w7_the_pods_that_there_will_be() {
        let canary = |steps| json!({"canary": {"steps": steps, "maxSurge": "40%"}});
        for (strategy, mesh, replicas, first, most) in [
            (canary(json!([{"setCanaryScale": {"replicas": 50}}])), true, 10, 50, 60),
            (canary(json!([{"setWeight": 5}])), true, 10, 1, 20),
            (json!({"canary": {"minPodsPerRevision": 4, "steps": [{"setWeight": 1}]}}), true, 10, 4, 20),
            (canary(json!([{"setMirrorRoute": {"percent": 30}}])), true, 10, 3, 20),
            (json!({"blueGreen": {"previewReplicas": 2}}), false, 8, 2, 16),
            (json!({"blueGreen": {"previewReplicas": 9}}), false, 4, 4, 8),
            (json!({"blueGreen": {}}), true, 4, 4, 8),
            (canary(json!([{"setWeight": 20}])), false, 10, 2, 14),
            (canary(json!([{"setWeight": 20}])), false, 0, 0, 0),
            (json!({"canary": {"maxSurge": 100_000, "steps": [{"setWeight": 50}]}}), false, 4, 2, 5),
            (json!({"canary": {"maxSurge": 100_000, "steps": []}}), false, 4, 0, 7),
            (json!({"canary": {"maxSurge": 0, "maxUnavailable": 2, "steps": [{"setWeight": 50}]}}), false, 4, 2, 4),
        ] {
            let spec = spec(strategy.clone(), mesh);
            let release = Release::of(&spec, replicas);
            let seen = (release.canary_pods(0, 0), release.most_pods());
            assert_eq!(seen, (first, most), "{strategy}");
        }
    }
}
