//! The traffic line of the screen: what the routes are meant to say, what they say, and what was counted.

use crate::{
    api::{
        Percent, Rollout, RolloutStatus,
        status::{Course, Stage, Weights},
    },
    cli::render::{
        paint::{Paint, Tone},
        table::label,
    },
    view::phrases,
};

/// How many cells a traffic bar has, and how many where there is little room.
const BAR: u32 = 20;
const SHORT_BAR: u32 = 10;
/// Below this many columns there is little room.
const ROOM: usize = 90;
/// What the routes are meant to say and what they say, as a bar and in numbers.
pub(super) fn traffic(rollout: &Rollout, status: &RolloutStatus, width: usize, paint: Paint) -> String {
    if matches!(status.course(), Course::Idle | Course::FirstDeploy) {
        return String::new();
    }
    if rollout.spec.traffic.is_empty() {
        return without_routes(rollout, status);
    }
    let weights = &status.weights;
    let shown = weights.accepted.unwrap_or(weights.desired);
    let seen = weights.accepted.map_or_else(|| "not read yet".into(), split);
    let settled =
        if weights.settled { paint.text(Tone::Good, "settled") } else { paint.text(Tone::Warn, "not settled yet") };
    let planned = split(weights.desired);
    let (cells, gap) = if width < ROOM { (SHORT_BAR, "  ") } else { (BAR, "   ") };
    let bar = bar(shown, cells, paint);
    // What was counted says more than what was read back, where there is room for one of them.
    let seen = match weights.observed.map(split) {
        Some(counted) if width < ROOM => format!("counted {counted}"),
        Some(counted) => format!("seen {seen}{gap}counted {counted}"),
        None => format!("seen {seen}"),
    };
    let mut line = format!("{}stable {bar} canary {gap}planned {planned}{gap}{seen}{gap}{settled}\n", label("traffic"));
    line.push_str(&beside(weights));
    line
}

/// Header routes and a mirror, on a line of their own.
fn beside(weights: &Weights) -> String {
    let headers = (!weights.headers.is_empty()).then(|| format!("by header: {}", weights.headers.join(", ")));
    let mirror = weights.mirror.map(|share| format!("mirror {share}"));
    let sticky = weights.sticky.then(|| "users are sticky".to_owned());
    let parts: Vec<String> = headers.into_iter().chain(mirror).chain(sticky).collect();
    if parts.is_empty() { String::new() } else { format!("{}{}\n", label(""), parts.join("   ")) }
}

/// Without a router the pods are the split, and in blue-green a Service leads to one version.
fn without_routes(rollout: &Rollout, status: &RolloutStatus) -> String {
    let switched = matches!(status.stage(), Some(Stage::MoveStable | Stage::PostAnalysis));
    let text = match &rollout.spec.strategy.blue_green {
        Some(strategy) => {
            let serves = if switched { &status.current_revision } else { &status.stable_revision };
            let service = strategy.active_service.as_deref().unwrap_or_default();
            format!("Service {service} selects {}", phrases::number(serves.as_ref()))
        }
        None => format!("planned {}   by the ratio of pods", split(status.weights.desired)),
    };
    format!("{}{text}\n", label("traffic"))
}

/// `75/25`: stable's share, then canary's.
fn split(canary: Percent) -> String {
    let number = |p: Percent| f64::from(p.basis_points()) / 100.0;
    format!("{}/{}", number(canary.rest()), number(canary))
}

/// A share that is neither none nor all is never drawn as none or all.
fn bar(canary: Percent, all: u32, paint: Paint) -> String {
    let exact = (canary.basis_points() * all + 5_000) / 10_000;
    let cells = match canary.basis_points() {
        0 => 0,
        10_000 => all,
        _ => exact.clamp(1, all - 1),
    };
    let stable = "█".repeat((all - cells) as usize);
    paint.text(Tone::Good, &stable) + &paint.text(Tone::Warn, &"░".repeat(cells as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_share_is_drawn_and_a_large_one_is_not_all() {
        for (points, canary) in [(0, 0), (1, 1), (2500, 5), (9999, 19), (10_000, 20)] {
            let drawn = bar(Percent::from_basis_points(points), BAR, Paint { on: false });
            assert_eq!(drawn.matches('░').count(), canary, "{points}");
            assert_eq!(drawn.chars().count(), 20);
        }
    }
}
