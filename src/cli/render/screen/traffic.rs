//! The traffic line of the screen.

use crate::{
    api::{Percent, status::Weights},
    cli::render::{
        fitted::flow,
        paint::{Paint, Tone},
        table::{Cell, INDENT, chars, label},
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
        Traffic::Routes(said) => return weights(said, width, paint) + &extra_routes(said, width, paint),
        Traffic::Ratio { planned } => format!("planned {}   by the ratio of pods", split(*planned)),
        Traffic::Switch { service, selects } => {
            format!("Service {service} selects {}", phrases::number(selects.as_ref()))
        }
    };
    flow(&[(0, text.into())], &label("traffic"), INDENT, width, paint)
}

/// What the routes are meant to say and what they say, as a bar and in numbers. Where there is little room, what was counted
/// is dropped first, then `settled`; a change that is not settled is always said.
fn weights(said: &Weights, width: usize, paint: Paint) -> String {
    let (cells, gap) = if width < ROOM { (SHORT_BAR, 2) } else { (BAR, 3) };
    let shown = said.accepted.unwrap_or(said.desired);
    let seen = said.accepted.map_or_else(|| "not read yet".into(), split);
    let mut parts = vec![bar_part(shown, cells, paint), format!("planned {}", split(said.desired)).into()];
    parts.push(format!("seen {seen}").into());
    parts.extend(said.observed.map(|counted| Cell::from(format!("counted {}", split(counted)))));
    let (tone, settled) = if said.settled { (Tone::Good, "settled") } else { (Tone::Warn, "not settled yet") };
    parts.push(Cell::toned(tone, settled));
    let is_too_wide = |parts: &[Cell]| {
        INDENT + parts.iter().map(|cell| chars(&cell.text)).sum::<usize>() + gap * (parts.len() - 1) > width
    };
    if said.observed.is_some() && is_too_wide(&parts) {
        parts.remove(3);
    }
    if said.settled && is_too_wide(&parts) {
        parts.pop();
    }
    let parts: Vec<(usize, Cell)> = parts.into_iter().map(|part| (gap, part)).collect();
    flow(&parts, &label("traffic"), INDENT, width, paint)
}

fn bar_part(shown: Percent, cells: u32, paint: Paint) -> Cell {
    let whole = |paint| format!("stable {} canary", bar(shown, cells, paint));
    Cell::painted(whole(Paint { on: false }), whole(paint))
}

/// Header routes and a mirror, on a line of their own.
fn extra_routes(said: &Weights, width: usize, paint: Paint) -> String {
    let headers = (!said.headers.is_empty()).then(|| format!("by header: {}", said.headers.join(", ")));
    let mirror = said.mirror.map(|share| format!("mirror {share}"));
    let sticky = said.sticky.then(|| "users are sticky".to_owned());
    let parts: Vec<(usize, Cell)> =
        headers.into_iter().chain(mirror).chain(sticky).map(|part| (3, part.into())).collect();
    if parts.is_empty() { String::new() } else { flow(&parts, &label(""), INDENT, width, paint) }
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
