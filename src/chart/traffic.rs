//! The traffic chart: the canary's weight over time, as steps.

use super::{
    figure::{Chart, clock, percent},
    panel::{Line, Panel, span},
    scale::Scale,
    svg::{Shape, Svg},
};

const HEIGHT: f64 = 180.0;
const AREA: (f64, f64) = (30.0, 150.0);

/// Draws the weights: each holds from its time (unix seconds) until the next; the last one until `end`. A weight is a share,
/// 0 to 1.
pub fn chart(title: &str, weights: &[(i64, f64)], end: i64) -> Chart {
    let highest = weights.iter().map(|(_, weight)| *weight).filter(|weight| weight.is_finite()).fold(0.0_f64, f64::max);
    let description = format!("At most {}.", percent(highest));
    let mut svg = Svg::new(title, &description, HEIGHT);
    let times: Vec<i64> = weights.iter().map(|(at, _)| *at).chain([end]).collect();
    let panel = Panel::new(span(&times), AREA, |places| Scale::linear((0.0, 1.0), places));
    panel.legend(&mut svg, &[("canary", Shape::Circle, "the canary's share of traffic, as planned")]);
    panel.grid(&mut svg, percent);
    let steps: Vec<_> = steps(weights, end).into_iter().map(|place| panel.place(place.0, place.1)).collect();
    svg.polyline(&steps, "canary");
    let values: Vec<_> = weights.iter().map(|(at, weight)| (*at, Some(*weight))).collect();
    for value in values.chunks(1) {
        panel.line(&mut svg, &Line { class: "canary", shape: Shape::Circle, values: value });
    }
    panel.times(&mut svg, &times);
    Chart {
        svg: svg.finish(),
        head: vec!["UTC", "canary"],
        rows: weights.iter().map(|(at, weight)| vec![clock(*at), percent(*weight)]).collect(),
    }
}

/// The corners of the steps.
fn steps(weights: &[(i64, f64)], end: i64) -> Vec<(i64, f64)> {
    let nexts = weights.iter().skip(1).map(|(at, _)| *at).chain([end]);
    weights.iter().zip(nexts).flat_map(|((at, weight), next)| [(*at, *weight), (next.max(*at), *weight)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_steps() {
        let start = 1_795_269_600;
        let weights = [(start, 0.05), (start + 300, 0.25), (start + 900, 0.0)];
        let drawn = chart("traffic", &weights, start + 960);
        insta::assert_snapshot!("traffic", drawn.svg);
        assert_eq!(drawn.rows[1], ["14:05:00", "25 %"]);
        assert_eq!(steps(&weights[..2], start + 400).len(), 4);
        assert!(!chart("none", &[], 0).svg.contains("NaN"));
    }
}
