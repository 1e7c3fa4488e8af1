//! The steps of a canary as the engine walks them: one item per step, ramps with their sub-steps.

use crate::api::{
    common::{HumanDuration, Percent},
    status::State,
    strategy::{AnalysisStep, CanaryScale, Decide, Gate, HeaderRoute, MirrorRoute, Step},
};

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// Move traffic.
    SetWeight(Percent),
    /// Wait for a time, or for an operator.
    Pause(Option<HumanDuration>),
    /// Wait for the background analysis.
    Observe {
        /// No sooner than this.
        at_least: HumanDuration,
        /// Extend once, then the inconclusive policy.
        at_most: HumanDuration,
    },
    /// Wait for an analysis of its own.
    Analysis(AnalysisStep),
    /// Set the canary's pods.
    SetCanaryScale(Scale),
    /// Set a header route, or take it away where it has no match.
    HeaderRoute(HeaderRoute),
    /// Set the mirror; 0 takes it away.
    MirrorRoute(MirrorRoute),
    /// Wait for a word from outside (rule S16).
    Gate(Gate),
    /// Wait for an A/B test's decision (rule S72).
    Decide(Decide),
    /// Weights in strides; even sub-steps move traffic, odd ones wait (rule S17).
    Ramp {
        /// The weights in order.
        weights: Vec<Percent>,
        /// The increment.
        by: Percent,
        /// How long each is held.
        every: HumanDuration,
    },
}

/// What setCanaryScale asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// So many pods.
    Replicas(u32),
    /// This share of the desired replicas.
    Share(Percent),
    /// As many as the weight needs.
    MatchWeight,
}

/// The steps as items. A step without any key (the validator refuses it) is a pause without a duration: the safe reading.
pub fn items(steps: &[Step]) -> Vec<Item> {
    steps.iter().map(item).collect()
}

/// The steps with their weights as routers of this grain write them: rounded toward stable (S50). What would become nothing
/// stays, for the router to refuse it.
pub fn on_grain(mut items: Vec<Item>, grain: Percent) -> Vec<Item> {
    let round = |weight: &mut Percent| {
        let rounded = weight.rounded_down(grain);
        *weight = if rounded.is_zero() { *weight } else { rounded };
    };
    for item in &mut items {
        match item {
            Item::SetWeight(weight) => round(weight),
            Item::Ramp { weights, .. } => weights.iter_mut().for_each(round),
            _ => {}
        }
    }
    items
}

fn item(step: &Step) -> Item {
    if let Some(weight) = step.set_weight {
        Item::SetWeight(weight)
    } else if let Some(observe) = &step.observe {
        Item::Observe { at_least: observe.at_least.unwrap_or_default(), at_most: observe.at_most() }
    } else if let Some(analysis) = &step.analysis {
        Item::Analysis(analysis.clone())
    } else if let Some(scale) = &step.set_canary_scale {
        Item::SetCanaryScale(canary_scale(scale))
    } else if let Some(route) = &step.set_header_route {
        Item::HeaderRoute(route.clone())
    } else if let Some(mirror) = &step.set_mirror_route {
        Item::MirrorRoute(mirror.clone())
    } else if let Some(gate) = &step.gate {
        Item::Gate(gate.clone())
    } else if let Some(decide) = &step.decide {
        Item::Decide(decide.clone())
    } else if let Some(ramp) = &step.ramp {
        Item::Ramp { weights: ramp.weights(), by: ramp.by, every: ramp.every }
    } else {
        Item::Pause(step.pause.as_ref().and_then(|pause| pause.duration))
    }
}

fn canary_scale(scale: &CanaryScale) -> Scale {
    match (scale.replicas, scale.percent) {
        (Some(replicas), _) => Scale::Replicas(replicas),
        (None, Some(share)) => Scale::Share(share),
        (None, None) => Scale::MatchWeight,
    }
}

/// How many sub-steps an item has: 1, or two per weight of a ramp.
pub fn sub_steps(item: &Item) -> u32 {
    match item {
        Item::Ramp { weights, .. } => u32::try_from(weights.len() * 2).unwrap_or(u32::MAX),
        _ => 1,
    }
}

/// The weight that the steps ask for in a state. A shortcut skips what they ask for (S32).
pub fn weight_in(items: &[Item], state: &State) -> Percent {
    state.steps().map_or(Percent::ZERO, |at| weight_at(items, at.step, at.sub_step))
}

/// The weight in force at a step and sub-step: the newest one set up to there.
pub fn weight_at(items: &[Item], step: u32, sub_step: u32) -> Percent {
    let mut weight = Percent::ZERO;
    for (index, item) in (0u32..).zip(items) {
        match item {
            _ if index > step => break,
            Item::SetWeight(set) => weight = *set,
            Item::Ramp { weights, .. } => {
                let reached = if index == step { (sub_step / 2) as usize } else { weights.len() };
                weight = weights.get(reached.min(weights.len().saturating_sub(1))).copied().unwrap_or(weight);
            }
            _ => {}
        }
    }
    weight
}

/// The canary scale in force at a step: the newest one set up to there.
pub fn scale_at(items: &[Item], step: u32) -> Scale {
    let walked = items.iter().take(step as usize + 1).rev();
    walked
        .filter_map(|item| if let Item::SetCanaryScale(scale) = item { Some(*scale) } else { None })
        .next()
        .unwrap_or(Scale::MatchWeight)
}

/// The routes in force at a step beside its weight: header routes in the order they were set, and the mirror (rule S15).
pub fn routes_at(items: &[Item], step: u32) -> (Vec<HeaderRoute>, Option<MirrorRoute>) {
    let (mut headers, mut mirror): (Vec<HeaderRoute>, Option<MirrorRoute>) = (Vec::new(), None);
    for item in items.iter().take(step as usize + 1) {
        match item {
            Item::HeaderRoute(route) => {
                headers.retain(|known| known.name != route.name);
                headers.extend((!route.matches.is_empty()).then(|| route.clone()));
            }
            Item::MirrorRoute(set) => mirror = (!set.percent.is_zero()).then(|| set.clone()),
            _ => {}
        }
    }
    (headers, mirror)
}

/// Every header route that any step sets. A name stands for one match (the validator sees to that).
pub fn header_routes(items: &[Item]) -> Vec<HeaderRoute> {
    let set = items.iter().filter_map(|item| match item {
        Item::HeaderRoute(route) if !route.matches.is_empty() => Some(route.clone()),
        _ => None,
    });
    let mut routes: Vec<HeaderRoute> = Vec::new();
    for route in set {
        if routes.iter().all(|known| known.name != route.name) {
            routes.push(route);
        }
    }
    routes
}

/// The first step that sends traffic to the canary, if any does.
pub fn first_traffic(items: &[Item]) -> Option<u32> {
    (0u32..).zip(items).find_map(|(index, item)| {
        let sends = match item {
            Item::SetWeight(weight) => !weight.is_zero(),
            Item::Ramp { weights, .. } => weights.iter().any(|weight| !weight.is_zero()),
            Item::HeaderRoute(route) => !route.matches.is_empty(),
            Item::MirrorRoute(mirror) => !mirror.percent.is_zero(),
            _ => false,
        };
        sends.then_some(index)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::strategy::{Ramp, RequestMatch};

    fn ramp(from: u32, to: u32, by: u32) -> Ramp {
        Ramp {
            from: Percent::whole(from),
            to: Percent::whole(to),
            by: Percent::whole(by),
            every: HumanDuration::secs(60),
        }
    }

    #[test]
    fn s17_a_ramp_is_clamped_to_its_end() {
        for (given, wanted) in
            [(ramp(10, 35, 10), vec![10, 20, 30, 35]), (ramp(5, 5, 1), vec![5]), (ramp(0, 50, 50), vec![0, 50])]
        {
            assert_eq!(given.weights(), wanted.into_iter().map(Percent::whole).collect::<Vec<_>>());
        }
    }

    #[test]
    fn s50_weights_are_rounded_toward_stable_and_never_to_nothing() {
        let weights = |points: &[u32]| points.iter().copied().map(Percent::from_basis_points).collect::<Vec<_>>();
        let ramp = |points| Item::Ramp { weights: weights(points), by: Percent::ZERO, every: HumanDuration::secs(60) };
        let items =
            vec![Item::SetWeight(Percent::from_basis_points(1_250)), Item::Pause(None), ramp(&[50, 1_099, 2_000])];
        let rounded = [Item::SetWeight(Percent::whole(12)), Item::Pause(None), ramp(&[50, 1_000, 2_000])];
        assert_eq!(on_grain(items.clone(), Percent::whole(1)), rounded);
        assert_eq!(on_grain(items.clone(), Percent::ZERO), items, "without a router");
    }

    #[test]
    fn s15_routes_hold_until_they_are_taken_away() {
        let route = |name: &str, matches: usize| {
            let matches = vec![RequestMatch::default(); matches];
            Item::HeaderRoute(HeaderRoute { name: name.into(), matches })
        };
        let mirror = |percent| Item::MirrorRoute(MirrorRoute { percent: Percent::whole(percent), matches: vec![] });
        let items = vec![route("a", 1), mirror(10), route("b", 1), route("a", 0), Item::Pause(None), mirror(0)];
        let names = |step| {
            let (headers, mirror) = routes_at(&items, step);
            (headers.into_iter().map(|h| h.name).collect::<Vec<_>>().join(","), mirror.is_some())
        };
        let wanted = [("a", false), ("a", true), ("a,b", true), ("b", true), ("b", true), ("b", false), ("b", false)];
        for (step, (headers, mirror)) in (0u32..).zip(wanted) {
            assert_eq!(names(step), (headers.to_owned(), mirror), "step {step}");
        }
        assert_eq!(first_traffic(&items), Some(0));
    }

    #[test]
    fn the_newest_weight_up_to_a_step_is_in_force() {
        let items = vec![
            Item::Pause(None),
            Item::SetWeight(Percent::whole(5)),
            Item::Pause(None),
            item(&Step { ramp: Some(ramp(10, 20, 10)), ..Step::default() }),
            Item::Pause(None),
        ];
        for (step, sub, wanted) in
            [(0, 0, 0), (1, 0, 5), (2, 0, 5), (3, 0, 10), (3, 1, 10), (3, 2, 20), (3, 3, 20), (4, 0, 20), (5, 0, 20)]
        {
            assert_eq!(weight_at(&items, step, sub), Percent::whole(wanted), "step {step}.{sub}");
        }
        assert_eq!(first_traffic(&items), Some(1));
    }
}
