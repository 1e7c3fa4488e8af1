//! The evidence chart: the canary over stable on a logarithmic axis with its always-valid interval, and below it how much of the
//! evidence towards Fail and towards Pass is there.

use super::{
    figure::{Chart, Mark, clock, percent, short},
    panel::{Line, Panel, span},
    scale::Scale,
    svg::{Shape, Svg},
};

const HEIGHT: f64 = 420.0;
const UPPER: (f64, f64) = (30.0, 230.0);
const LOWER: (f64, f64) = (290.0, 390.0);

/// One point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// When, in unix seconds.
    pub at: i64,
    /// The canary over stable, from the start until then.
    pub ratio: Option<f64>,
    /// Its interval: the lower end, and the upper end if there is one.
    pub interval: Option<(f64, Option<f64>)>,
    /// The evidence towards Fail as a share of what is needed, 0 to 1.
    pub fail: f64,
    /// The same towards Pass.
    pub pass: f64,
}

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence<'a> {
    /// The title, for instance the metric's name.
    pub title: &'a str,
    /// The ratio that is accepted, if the judge has one: `1.25`.
    pub tolerance: Option<f64>,
    /// In time order.
    pub points: &'a [Point],
    /// Changes of weight and commands.
    pub marks: &'a [Mark],
}

/// Draws it.
pub fn chart(evidence: &Evidence<'_>) -> Chart {
    let points = evidence.points;
    let mut svg = Svg::new(evidence.title, &description(evidence), HEIGHT);
    let times: Vec<i64> = points.iter().map(|point| point.at).collect();
    upper(&mut svg, evidence, &times);
    lower(&mut svg, evidence, &times);
    Chart {
        svg: svg.finish(),
        head: vec!["UTC", "canary over stable", "interval", "towards Fail", "towards Pass"],
        rows: points.iter().map(row).collect(),
    }
}

fn upper(svg: &mut Svg, evidence: &Evidence<'_>, times: &[i64]) {
    let points = evidence.points;
    let ends = points.iter().filter_map(|point| point.interval);
    let ends = ends.flat_map(|(low, high)| [Some(low), high].into_iter().flatten());
    let ratios = points.iter().filter_map(|point| point.ratio);
    let values: Vec<f64> = ends.chain(ratios).chain(evidence.tolerance).collect();
    let panel = Panel::new(span(times), UPPER, |places| Scale::log(values.iter().copied(), places));
    panel.legend(svg, &[("canary", Shape::Circle, "canary over stable, with its always-valid interval as a band")]);
    panel.grid(svg, short);
    for band in points.split(|point| point.interval.is_none()) {
        let lows = band.iter().filter_map(|point| Some(panel.place(point.at, point.interval?.0)));
        let high = |point: &Point| Some(panel.place(point.at, point.interval?.1.unwrap_or(f64::INFINITY)));
        let highs = band.iter().rev().filter_map(high);
        svg.polygon(&lows.chain(highs).collect::<Vec<_>>(), "band");
    }
    panel.level(svg, 1.0, "", ("as stable", 13.0));
    if let Some(tolerance) = evidence.tolerance {
        panel.level(svg, tolerance, "limit", (&format!("tolerance {}", short(tolerance)), -4.0));
    }
    panel.marks(svg, evidence.marks, true);
    let values: Vec<_> = points.iter().map(|point| (point.at, point.ratio)).collect();
    panel.line(svg, &Line { class: "canary", shape: Shape::Circle, values: &values });
}

fn lower(svg: &mut Svg, evidence: &Evidence<'_>, times: &[i64]) {
    let panel = Panel::new(span(times), LOWER, |places| Scale::linear((0.0, 1.0), places));
    let (fail, pass) = ("evidence towards Fail", "towards Pass, as a share of what is needed");
    panel.legend(svg, &[("fail", Shape::Square, fail), ("pass", Shape::Triangle, pass)]);
    panel.grid(svg, percent);
    panel.marks(svg, evidence.marks, false);
    let line = |svg: &mut Svg, class, shape, value: fn(&Point) -> f64| {
        let values: Vec<_> = evidence.points.iter().map(|point| (point.at, Some(value(point)))).collect();
        panel.line(svg, &Line { class, shape, values: &values });
    };
    line(svg, "fail", Shape::Square, |point| point.fail);
    line(svg, "pass", Shape::Triangle, |point| point.pass);
    panel.times(svg, times);
}

fn row(point: &Point) -> Vec<String> {
    vec![
        clock(point.at),
        point.ratio.map_or_else(|| "-".to_owned(), short),
        point.interval.map_or_else(|| "-".to_owned(), interval),
        percent(point.fail),
        percent(point.pass),
    ]
}

fn interval((low, high): (f64, Option<f64>)) -> String {
    high.map_or_else(|| format!("over {}", short(low)), |high| format!("{} to {}", short(low), short(high)))
}

fn description(evidence: &Evidence<'_>) -> String {
    let Some(last) = evidence.points.last() else { return "No points.".to_owned() };
    let ratio = match (last.ratio, last.interval) {
        (Some(ratio), Some(ends)) => {
            format!("the canary over stable is {}, interval {}; ", short(ratio), interval(ends))
        }
        (None, Some(ends)) => format!("the interval of the canary over stable is {}; ", interval(ends)),
        _ => String::new(),
    };
    format!(
        "{} points until {} UTC. At the end {ratio}{} of the evidence for Fail and {} of that for Pass is there.",
        evidence.points.len(),
        clock(last.at),
        percent(last.fail),
        percent(last.pass)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad() -> Vec<Point> {
        let point = |minute: i64| {
            let share = minute as f64 / 12.0;
            let interval = (minute > 2).then_some((0.4 + 2.2 * share, (minute > 3).then_some(90.0 - 60.0 * share)));
            Point {
                at: 1_795_269_600 + 60 * minute,
                ratio: (minute > 1).then_some(1.0 + 11.0 * share),
                interval,
                fail: share * share,
                pass: 0.0,
            }
        };
        (0..=12).map(point).collect()
    }

    #[test]
    fn a_bad_canary_drawn() {
        let points = bad();
        let marks =
            [Mark { at: points[4].at, label: "25 %".into() }, Mark { at: points[12].at, label: "abort".into() }];
        let drawn =
            chart(&Evidence { title: "errors: evidence", tolerance: Some(1.25), points: &points, marks: &marks });
        assert_eq!(drawn.rows.len(), points.len());
        assert!(drawn.rows.iter().all(|row| row.len() == drawn.head.len()));
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/evidence.svg");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &drawn.svg).unwrap();
        }
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(there, drawn.svg, "docs/evidence.svg is drawn by this test with UPDATE_DOCS=1");
        assert_eq!(
            drawn,
            chart(&Evidence { title: "errors: evidence", tolerance: Some(1.25), points: &points, marks: &marks })
        );
    }

    #[test]
    fn any_numbers_are_drawn() {
        let wild = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -1.0, 1e300];
        let point = |value: f64| Point {
            at: 0,
            ratio: Some(value),
            interval: Some((value, Some(value))),
            fail: value,
            pass: value,
        };
        for points in [vec![], vec![point(1.0)], wild.map(point).to_vec()] {
            let svg = chart(&Evidence { title: "", tolerance: Some(f64::NAN), points: &points, marks: &[] }).svg;
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
