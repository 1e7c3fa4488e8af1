//! What several routers of one Rollout show together.

use super::{context::RouteContext, error::RouteError, kind::Router, objects::Objects};
use crate::{
    api::Percent,
    engine::{RouteIntent, RouteSeen},
};

/// What all routers of a Rollout show together; `None` without any.
pub fn read_all(
    routers: &[Box<dyn Router>],
    ctx: &RouteContext,
    current: &Objects,
    known: &RouteIntent,
) -> Result<Option<RouteSeen>, RouteError> {
    if let Some(mixed) = mixed(routers, ctx, current) {
        return Err(mixed);
    }
    let mut together: Option<RouteSeen> = None;
    for router in routers {
        let seen = router.read(ctx, current, known)?;
        together = Some(match together {
            None => seen,
            Some(before) => RouteSeen {
                weight: before.weight.filter(|weight| seen.weight == Some(*weight)),
                disagreement: disagreement(&before, &seen),
                drifted: before.drifted
                    || seen.drifted
                    || (before.weight, &before.headers, before.mirror, before.sticky)
                        != (seen.weight, &seen.headers, seen.mirror, seen.sticky),
                headers: union(before.headers, seen.headers),
                mirror: before.mirror.or(seen.mirror),
                sticky: before.sticky || seen.sticky,
                keeps_sessions: before.keeps_sessions || seen.keeps_sessions,
                other_manager: before.other_manager.or(seen.other_manager),
                returnable: false,
                unseen: false,
                pending: None,
            },
        });
    }
    Ok(together)
}

/// Routes of two routers for the callers inside of one mesh: it uses those of one of them.
fn mixed(routers: &[Box<dyn Router>], ctx: &RouteContext, current: &Objects) -> Option<RouteError> {
    if routers.len() < 2 {
        return None;
    }
    let inside: Vec<(&str, String)> =
        routers.iter().filter_map(|router| Some((router.key(), router.mesh_route(ctx, current)?))).collect();
    let (key, one) = inside.first()?;
    let (_, other) = inside.iter().find(|(other, _)| other != key)?;
    let (one, other) = (one.clone(), other.clone());
    Some(RouteError::MixedRoutes { one, other })
}

/// The lowest and the highest weight of two routers that do not say the same.
fn disagreement(one: &RouteSeen, other: &RouteSeen) -> Option<(Percent, Percent)> {
    let lowest = one.lowest().zip(other.lowest()).map(|(one, other)| one.min(other))?;
    let highest = one.highest().zip(other.highest()).map(|(one, other)| one.max(other))?;
    (one.weight.is_none() || one.weight != other.weight).then_some((lowest, highest))
}

fn union(mut all: Vec<String>, more: Vec<String>) -> Vec<String> {
    all.extend(more);
    all.sort();
    all.dedup();
    all
}
