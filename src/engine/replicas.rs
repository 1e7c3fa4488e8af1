//! Replica arithmetic (semantics.md section 5): how many pods each revision gets, and how they move there.

use crate::api::{RolloutSpec, common::Percent, pod_count::PodCount, strategy::CanaryStrategy};

use super::items::{self, Item, Scale};

/// What the pods of both roles depend on beside the weight, with a mesh or by Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Desired replicas.
    pub replicas: u32,
    /// What setCanaryScale asks for.
    pub scale: Scale,
    /// The least pods of a revision that gets traffic.
    pub min_pods: u32,
    /// Whether stable gives up the pods that its share does not need.
    pub dynamic: bool,
    /// Whether requests go to the canary by what they carry.
    pub headers: bool,
    /// The share of requests that is copied to the canary.
    pub mirror: Percent,
}

impl Needs {
    /// Before the first step, or without any.
    pub fn before_steps(spec: &RolloutSpec, replicas: u32) -> Needs {
        let canary = spec.strategy.canary.as_ref();
        Needs {
            replicas,
            scale: Scale::MatchWeight,
            min_pods: canary.and_then(|canary| canary.min_pods_per_revision).unwrap_or(1),
            dynamic: !spec.traffic.is_empty() && canary.is_some_and(|canary| canary.dynamic_stable_scale),
            headers: false,
            mirror: Percent::ZERO,
        }
    }

    /// At a step, with what the steps up to it have set. A preview has at most the desired replicas: an autoscaler may go
    /// below what the spec says (S8, S60).
    pub fn at_step(spec: &RolloutSpec, items: &[Item], step: u32, replicas: u32) -> Needs {
        let (headers, mirror) = items::routes_at(items, step);
        let scale = match items::scale_at(items, step) {
            Scale::Replicas(pods) if spec.strategy.blue_green.is_some() => Scale::Replicas(pods.min(replicas)),
            scale => scale,
        };
        Needs {
            scale,
            headers: !headers.is_empty(),
            mirror: mirror.map_or(Percent::ZERO, |mirror| mirror.percent),
            ..Needs::before_steps(spec, replicas)
        }
    }
}

/// The pods that both roles need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodsNeeded {
    /// Of the canary.
    pub canary: u32,
    /// Of stable.
    pub stable: u32,
}

impl PodsNeeded {
    /// The most pods at once on the way from these to the next: a role grows before the other one shrinks.
    pub fn peak(self, next: PodsNeeded) -> u64 {
        u64::from(self.canary.max(next.canary)) + u64::from(self.stable.max(next.stable))
    }
}

/// The pods that both roles need at a weight: the one formula for weights, header routes, mirrors and scales (S10, S15, S51,
/// S55). Exactly what setCanaryScale asked for is enough for all of them.
pub fn pods_for(needs: &Needs, weight: Percent) -> PodsNeeded {
    let replicas = needs.replicas;
    let at_least = |pods: u32| pods.max(needs.min_pods).min(replicas);
    let canary = match needs.scale {
        _ if replicas == 0 => 0,
        Scale::Replicas(pods) => pods,
        Scale::Share(share) => share.ceil_of(replicas),
        Scale::MatchWeight => {
            let routed = weight.max(needs.mirror).ceil_of(replicas).max(u32::from(needs.headers));
            // A floor for whoever gets traffic, not a reason to have pods.
            if routed == 0 { 0 } else { at_least(routed) }
        }
    };
    let stable = if needs.dynamic { at_least(weight.rest().ceil_of(replicas)) } else { replicas };
    PodsNeeded { canary, stable }
}

/// Pods that a weight needs beside a mesh: `ceil(w * N / 100)`, at least 1 when it gets traffic.
pub fn for_weight(replicas: u32, weight: Percent) -> u32 {
    weight.ceil_of(replicas)
}

/// Pods of the canary with a mesh: what its weight needs, or what setCanaryScale asks for.
pub fn canary_with_mesh(replicas: u32, weight: Percent, scale: Scale) -> u32 {
    match scale {
        Scale::MatchWeight => for_weight(replicas, weight),
        Scale::Replicas(pods) => pods,
        Scale::Share(share) => share.ceil_of(replicas),
    }
}

/// How far replicas may leave the desired count while they move, in pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slack {
    /// Above.
    pub surge: u32,
    /// Below.
    pub unavailable: u32,
}

impl Slack {
    /// Resolved as a Deployment does: surge rounds up, unavailable down, 25 % by default, never both 0.
    pub fn of(strategy: &CanaryStrategy, replicas: u32) -> Slack {
        let quarter = PodCount::Share(25);
        let surge = strategy.max_surge.unwrap_or(quarter).round_up(replicas);
        let unavailable = strategy.max_unavailable.unwrap_or(quarter).round_down(replicas).min(replicas);
        Slack { surge, unavailable: if surge == 0 && unavailable == 0 { 1 } else { unavailable } }
    }
}

/// Canary and stable pods that approximate a weight without a mesh.
pub fn split(replicas: u32, weight: Percent, surge: u32) -> (u32, u32) {
    if weight.is_zero() {
        return (0, replicas);
    }
    if weight == Percent::FULL || replicas == 0 {
        return (replicas, 0);
    }
    let points = u64::from(weight.basis_points());
    let product = u64::from(replicas) * points;
    let (floor, ceil) = ((product / 10_000) as u32, product.div_ceil(10_000) as u32);
    // An exact half prefers the larger canary; otherwise the earlier candidate wins a tie.
    let canaries = if product % 10_000 == 5_000 { [ceil, floor] } else { [floor, ceil] };
    let totals = [replicas, replicas.saturating_add(1)];
    let totals = if surge > 0 { &totals[..] } else { &totals[..1] };
    let alone = replicas == 1 && surge == 0;
    let mut best: Option<(u32, u32, u64)> = None;
    for &total in totals {
        for canary in canaries {
            if !alone && (canary == 0 || canary >= total) {
                continue;
            }
            let off = (u64::from(canary) * 10_000).abs_diff(points * u64::from(total));
            // |canary/total - w| compared without division: off1/total1 < off2/total2
            let closer = best.is_none_or(|(_, other, worst)| off * u64::from(other) < worst * u64::from(total));
            if closer {
                best = Some((canary, total, off));
            }
        }
    }
    best.map_or((ceil.min(replicas), replicas - ceil.min(replicas)), |(canary, total, _)| (canary, total - canary))
}

/// One revision's pods: asked for, and available.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pods {
    /// Asked for.
    pub wanted: u32,
    /// Available.
    pub available: u32,
}

impl Pods {
    /// Available pods that are also asked for: a pod that is on its way out does not count.
    fn counted(self) -> u32 {
        self.available.min(self.wanted)
    }
}

/// The next replica counts on the way to a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Of stable.
    pub stable: u32,
    /// Of the canary.
    pub canary: u32,
    /// Of each older revision, in the order given.
    pub older: Vec<u32>,
}

/// One move without a mesh: up within the surge, stable first; then older revisions and the drained sides shrink, never
/// under `N - unavailable` available pods in total.
pub fn next_move(replicas: u32, target: (u32, u32), slack: Slack, stable: Pods, canary: Pods, older: &[Pods]) -> Move {
    let (canary_target, stable_target) = target;
    let ceiling = replicas.saturating_add(slack.surge);
    let sum = |count: fn(Pods) -> u32| {
        older.iter().map(|pods| count(*pods)).fold(count(stable).saturating_add(count(canary)), u32::saturating_add)
    };
    let mut room = ceiling.saturating_sub(sum(|pods| pods.wanted));
    let mut grow = |pods: Pods, target: u32| {
        let more = target.saturating_sub(pods.wanted).min(room);
        room -= more;
        pods.wanted + more
    };
    let grown_stable = grow(stable, stable_target);
    let grown_canary = grow(canary, canary_target);

    let mut spare = sum(Pods::counted).saturating_sub(replicas.saturating_sub(slack.unavailable));
    let mut shrink = |pods: Pods, wanted: u32, target: u32| {
        let surplus = wanted.saturating_sub(target);
        // Pods that are not available serve no one: they go first and cost nothing.
        let idle = pods.wanted.saturating_sub(pods.counted()).min(surplus);
        let serving = (surplus - idle).min(spare);
        spare -= serving;
        wanted - idle - serving
    };
    let older: Vec<u32> = older.iter().map(|pods| shrink(*pods, pods.wanted, 0)).collect();
    let mut next_stable = shrink(stable, grown_stable, stable_target);
    let mut next_canary = shrink(canary, grown_canary, canary_target);

    // Above the ceiling (after a scale-down, or both sides full): pods that serve no one go, whatever the targets.
    let others = older.iter().copied().fold(0, u32::saturating_add);
    let mut excess = next_stable.saturating_add(next_canary).saturating_add(others).saturating_sub(ceiling);
    for (next, pods) in [(&mut next_canary, canary), (&mut next_stable, stable)] {
        let idle = next.saturating_sub(pods.counted()).min(excess);
        *next -= idle;
        excess -= idle;
    }
    Move { stable: next_stable, canary: next_canary, older }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn s54_the_golden_splits() {
        for (replicas, weight, surge, canary, stable) in [
            (1, 49, 0, 0, 1),
            (1, 50, 0, 1, 0),
            (1, 1, 1, 1, 1),
            (2, 1, 0, 1, 1),
            (2, 1, 1, 1, 2),
            (2, 99, 1, 2, 1),
            (3, 33, 0, 1, 2),
            (3, 50, 0, 2, 1),
            (3, 25, 1, 1, 3),
            (3, 34, 1, 1, 2),
            (3, 50, 1, 2, 2),
            (10, 1, 0, 1, 9),
            (10, 14, 0, 1, 9),
            (10, 15, 0, 2, 8),
            (10, 99, 0, 9, 1),
            (10, 1, 1, 1, 10),
            (10, 18, 1, 2, 9),
            (10, 20, 1, 2, 8),
            (10, 24, 1, 3, 8),
            (10, 99, 1, 10, 1),
        ] {
            assert_eq!(split(replicas, Percent::whole(weight), surge), (canary, stable), "{replicas},{weight},{surge}");
        }
    }

    #[test]
    fn the_golden_moves() {
        let pods = |wanted, available| Pods { wanted, available };
        for (n, w, surge, unavailable, stable, canary, wanted) in [
            (10, 20, 2, 0, pods(10, 10), pods(0, 0), (10, 2)),
            (10, 20, 2, 0, pods(10, 10), pods(2, 2), (8, 2)),
            (10, 20, 0, 2, pods(10, 10), pods(0, 0), (8, 0)),
            (10, 50, 2, 1, pods(10, 10), pods(0, 0), (9, 2)),
            (10, 100, 3, 0, pods(7, 8), pods(6, 3), (7, 6)),
            (10, 100, 1, 0, pods(10, 2), pods(10, 8), (2, 9)),
            (10, 30, 0, 3, pods(8, 5), pods(4, 4), (7, 3)),
            (10, 5, 0, 1, pods(10, 10), pods(0, 0), (9, 0)),
            (10, 5, 0, 1, pods(9, 9), pods(0, 0), (9, 1)),
            (1, 51, 0, 1, pods(1, 1), pods(0, 0), (0, 0)),
            (1, 51, 0, 1, pods(0, 0), pods(0, 0), (0, 1)),
            (4, 0, 1, 0, pods(0, 0), pods(4, 4), (1, 4)),
            (4, 0, 1, 0, pods(1, 0), pods(4, 4), (1, 4)),
            (4, 0, 1, 0, pods(1, 1), pods(4, 4), (1, 3)),
        ] {
            let moved =
                next_move(n, split(n, Percent::whole(w), surge), Slack { surge, unavailable }, stable, canary, &[]);
            assert_eq!((moved.stable, moved.canary), wanted, "{n},{w},{surge},{unavailable}; {stable:?}, {canary:?}");
        }
    }

    proptest! {
        /// Whatever the start, moves that come true end at the split and never take available pods under the minimum.
        #[test]
        fn moves_converge_and_keep_the_minimum(
            n in 1u32..40, w in 0u32..=100, surge in 0u32..5, unavailable in 0u32..5,
            stable in 0u32..40, canary in 0u32..40, old in 0u32..20,
        ) {
            let slack = Slack { surge, unavailable: if surge == 0 { unavailable.max(1) } else { unavailable }.min(n) };
            let target = split(n, Percent::whole(w), slack.surge);
            let (mut stable, mut canary, mut old) = (stable, canary, old);
            for _ in 0..200 {
                let full = |wanted| Pods { wanted, available: wanted };
                let before = stable + canary + old;
                let moved = next_move(n, target, slack, full(stable), full(canary), &[full(old)]);
                let kept = moved.stable.min(stable) + moved.canary.min(canary) + moved.older[0].min(old);
                prop_assert!(kept >= before.min(n - slack.unavailable));
                (stable, canary, old) = (moved.stable, moved.canary, moved.older[0]);
            }
            prop_assert_eq!((canary, stable, old), (target.0, target.1, 0));
        }
    }
}
