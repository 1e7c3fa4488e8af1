//! The traffic line of the screen.

use crate::{
    api::{Percent, status::Weights},
    cli::render::{
        paint::{Paint, Tone},
        table::label,
    },
    view::{phrases, traffic::Traffic},
};

/// How many cells a traffic bar has, and how many where there is little room.
const BAR: u32 = 20;
const SHORT_BAR: u32 = 10;
/// Below this many columns there is little room.
const ROOM: usize = 90;

/// What splits the traffic, and how.
pub(super) fn line(traffic: &Traffic, width: usize, paint: Paint) -> String {
    let text = match traffic {
        Traffic::Routes(said) => return weights(said, width, paint) + &extra_routes(said),
        Traffic::Ratio { planned } => format!("planned {}   by the ratio of pods", split(*planned)),
        Traffic::Switch { service, selects } => {
            format!("Service {service} selects {}", phrases::number(selects.as_ref()))
        }
    };
    format!("{}{text}\n", label("traffic"))
}

/// What the routes are meant to say and what they say, as a bar and in numbers.
fn weights(said: &Weights, width: usize, paint: Paint) -> String {
    let shown = said.accepted.unwrap_or(said.desired);
    let seen = said.accepted.map_or_else(|| "not read yet".into(), split);
    let settled = if said.settled { (Tone::Good, "settled") } else { (Tone::Warn, "not settled yet") };
    let settled = paint.text(settled.0, settled.1);
    let planned = split(said.desired);
    let (cells, gap) = if width < ROOM { (SHORT_BAR, "  ") } else { (BAR, "   ") };
    let bar = bar(shown, cells, paint);
    // What was counted says more than what was read back, where there is room for one of them.
    let seen = match said.observed.map(split) {
        Some(counted) if width < ROOM => format!("counted {counted}"),
        Some(counted) => format!("seen {seen}{gap}counted {counted}"),
        None => format!("seen {seen}"),
    };
    format!("{}stable {bar} canary {gap}planned {planned}{gap}{seen}{gap}{settled}\n", label("traffic"))
}

/// Header routes and a mirror, on a line of their own.
fn extra_routes(said: &Weights) -> String {
    let headers = (!said.headers.is_empty()).then(|| format!("by header: {}", said.headers.join(", ")));
    let mirror = said.mirror.map(|share| format!("mirror {share}"));
    let sticky = said.sticky.then(|| "users are sticky".to_owned());
    let parts: Vec<String> = headers.into_iter().chain(mirror).chain(sticky).collect();
    if parts.is_empty() { String::new() } else { format!("{}{}\n", label(""), parts.join("   ")) }
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
