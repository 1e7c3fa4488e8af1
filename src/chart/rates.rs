//! The rates chart: the share of bad events of both arms in each stretch of time, or one measured value.

use super::{
    figure::{Chart, Mark, clock, percent, short},
    panel::{Line, Panel, span},
    scale::{Scale, round_up},
    svg::{Shape, Svg},
};

const HEIGHT: f64 = 220.0;
const AREA: (f64, f64) = (30.0, 190.0);

/// One stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stretch {
    /// Its end, in unix seconds.
    pub at: i64,
    /// The canary's bad events and events.
    pub canary: [u64; 2],
    /// Stable's.
    pub stable: [u64; 2],
}

/// Draws the rates of both arms.
pub fn chart(title: &str, stretches: &[Stretch], marks: &[Mark]) -> Chart {
    let canary: Vec<_> = stretches.iter().map(|stretch| (stretch.at, rate(stretch.canary))).collect();
    let stable: Vec<_> = stretches.iter().map(|stretch| (stretch.at, rate(stretch.stable))).collect();
    let sum = |arm: fn(&Stretch) -> [u64; 2]| {
        let of =
            |index: usize| stretches.iter().filter_map(|s| arm(s).get(index).copied()).fold(0, u64::saturating_add);
        rate([of(0), of(1)]).map_or_else(|| "no requests".to_owned(), percent)
    };
    let description = format!("Canary {}, stable {} over all.", sum(|s| s.canary), sum(|s| s.stable));
    let lines = [
        Drawn { class: "canary", shape: Shape::Circle, name: "canary", values: canary },
        Drawn { class: "stable", shape: Shape::Square, name: "stable", values: stable },
    ];
    Chart {
        svg: drawn(title, &description, &lines, marks, percent),
        head: vec!["UTC", "canary part", "canary total", "canary", "stable part", "stable total", "stable"],
        rows: stretches.iter().map(row).collect(),
    }
}

/// What is drawn of numbers that are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared<'a> {
    /// What the number is, and what it is compared with.
    pub names: [&'static str; 2],
    /// When, in unix seconds, the number, and what it is compared with, if there is something.
    pub values: &'a [(i64, f64, Option<f64>)],
}

/// Draws a number beside what it is compared with.
pub fn compared(title: &str, compared: &Compared<'_>, marks: &[Mark]) -> Chart {
    let Compared { names: [name, other], values } = *compared;
    let shown = |reference: Option<f64>| reference.map_or_else(|| "-".to_owned(), short);
    let last = values.last().map_or_else(
        || "No points.".to_owned(),
        |(_, value, reference)| format!("At the end {name} {}, {other} {}.", short(*value), shown(*reference)),
    );
    let first = values.iter().map(|(at, value, _)| (*at, Some(*value))).collect();
    let second = values.iter().map(|(at, _, reference)| (*at, *reference)).collect();
    let lines = [
        Drawn { class: "canary", shape: Shape::Circle, name, values: first },
        Drawn { class: "stable", shape: Shape::Square, name: other, values: second },
    ];
    Chart {
        svg: drawn(title, &last, &lines, marks, short),
        head: vec!["UTC", name, other],
        rows: values.iter().map(|(at, value, reference)| vec![clock(*at), short(*value), shown(*reference)]).collect(),
    }
}

/// Draws one measured value.
pub fn values(title: &str, values: &[(i64, f64)], marks: &[Mark]) -> Chart {
    let last =
        values.last().map_or_else(|| "No points.".to_owned(), |(_, value)| format!("At the end {}.", short(*value)));
    let values_of = values.iter().map(|(at, value)| (*at, Some(*value))).collect();
    let line = Drawn { class: "canary", shape: Shape::Circle, name: "value", values: values_of };
    Chart {
        svg: drawn(title, &last, &[line], marks, short),
        head: vec!["UTC", "value"],
        rows: values.iter().map(|(at, value)| vec![clock(*at), short(*value)]).collect(),
    }
}

/// One line, how it is drawn, and what it is called.
struct Drawn {
    class: &'static str,
    shape: Shape,
    name: &'static str,
    values: Vec<(i64, Option<f64>)>,
}

fn drawn(title: &str, description: &str, lines: &[Drawn], marks: &[Mark], number: fn(f64) -> String) -> String {
    let mut svg = Svg::new(title, description, HEIGHT);
    let known = || lines.iter().flat_map(|line| line.values.iter().filter_map(|(_, value)| *value));
    let high = known().filter(|value| value.is_finite()).fold(0.0_f64, f64::max);
    let low = known().filter(|value| value.is_finite()).fold(0.0_f64, f64::min);
    let low = if low < 0.0 { -round_up(-low) } else { 0.0 };
    let times: Vec<i64> = lines.first().map(|line| line.values.iter().map(|(at, _)| *at).collect()).unwrap_or_default();
    let panel = Panel::new(span(&times), AREA, |places| Scale::linear((low, round_up(high)), places));
    let legend: Vec<_> = lines.iter().map(|line| (line.class, line.shape, line.name)).collect();
    if lines.len() > 1 {
        panel.legend(&mut svg, &legend);
    }
    panel.grid(&mut svg, number);
    panel.marks(&mut svg, marks, true);
    for Drawn { class, shape, values, .. } in lines {
        panel.line(&mut svg, &Line { class, shape: *shape, values });
    }
    panel.times(&mut svg, &times);
    svg.finish()
}

fn rate([bad, all]: [u64; 2]) -> Option<f64> {
    (all > 0).then(|| (bad as f64 / all as f64).min(1.0))
}

fn row(stretch: &Stretch) -> Vec<String> {
    let shown = |arm| rate(arm).map_or_else(|| "-".to_owned(), percent);
    let ([canary_bad, canary_all], [stable_bad, stable_all]) = (stretch.canary, stretch.stable);
    vec![
        clock(stretch.at),
        canary_bad.to_string(),
        canary_all.to_string(),
        shown(stretch.canary),
        stable_bad.to_string(),
        stable_all.to_string(),
        shown(stretch.stable),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_both_arms() {
        let stretch = |minute: i64| Stretch {
            at: 1_795_269_600 + 60 * minute,
            canary: if minute == 3 { [0, 0] } else { [u64::try_from(minute).unwrap(), 300] },
            stable: [2, 2_700],
        };
        let stretches: Vec<_> = (0..8).map(stretch).collect();
        let drawn = chart("errors", &stretches, &[]);
        insta::assert_snapshot!("rates", drawn.svg);
        assert_eq!(drawn.rows[3][..4], ["14:03:00", "0", "0", "-"]);
        assert_eq!(drawn.rows[7][3], "2.33 %");
    }

    #[test]
    fn any_values_are_drawn() {
        for list in [vec![], vec![(0, f64::NAN)], vec![(1, -4.0), (2, 1e300), (3, f64::INFINITY)]] {
            let svg = values("queue", &list, &[]).svg;
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            let pairs: Vec<_> = list.iter().map(|(at, value)| (*at, *value, Some(-value))).collect();
            let names = ["canary", "stable"];
            let svg = compared("memory", &Compared { names, values: &pairs }, &[]).svg;
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn a_number_is_drawn_beside_what_is_usual() {
        let minute = |minute: i64| {
            let usual = (minute != 2).then_some(100.0);
            (1_795_269_600 + 60 * minute, if minute < 5 { 101.0 } else { 180.0 }, usual)
        };
        let values: Vec<_> = (0..8).map(minute).collect();
        let drawn = compared("traffic", &Compared { names: ["value", "usual"], values: &values }, &[]);
        insta::assert_snapshot!("compared", drawn.svg);
        assert_eq!(drawn.head, ["UTC", "value", "usual"]);
        assert_eq!((drawn.rows[2][2].as_str(), drawn.rows[7][1].as_str()), ("-", "180"));
    }
}
