//! The drawings of a report: a metric's evidence and rates, and the weights.

use crate::{
    api::analysis::{TrailPoint, TrailWindow},
    chart::{
        evidence::{self, Evidence, Point},
        figure::{Chart, Mark},
        rates::{self, Stretch},
        traffic,
    },
    view::report::{
        run::{Counted, MetricPart},
        story::Report,
    },
};

/// The weights of the release, if any are recorded.
pub(super) fn weights(report: &Report) -> Option<Chart> {
    if report.weights.is_empty() {
        return None;
    }
    let steps: Vec<(i64, f64)> =
        report.weight_steps().into_iter().map(|(at, weight)| (at.as_second(), weight.share())).collect();
    Some(traffic::chart("Traffic: the canary's weight", &steps, report.until().as_second()))
}

/// A metric's charts: the evidence, then the rates or the values. None without a course.
pub(super) fn of_metric(metric: &MetricPart, marks: &[Mark]) -> Vec<Chart> {
    if metric.points.is_empty() {
        return Vec::new();
    }
    let name = &metric.status.name;
    let title = format!("{name}: evidence");
    let points = evidence_points(&metric.points);
    let marks = within(marks, &metric.points);
    let evidence = Evidence { title: &title, tolerance: metric.tolerance, points: &points, marks: &marks };
    let mut charts = vec![evidence::chart(&evidence)];
    let stretches: Vec<Stretch> = metric.points.iter().filter_map(stretch).collect();
    let values: Vec<(i64, f64)> = metric.points.iter().filter_map(value).collect();
    if !stretches.is_empty() {
        let what = match metric.counts {
            Counted::Failures => "share of bad events",
            Counted::Conversions => "conversion rate",
        };
        charts.push(rates::chart(&format!("{name}: {what}"), &stretches, &marks));
    }
    if !values.is_empty() {
        charts.push(rates::values(&format!("{name}: measured value"), &values, &marks));
    }
    charts
}

/// Changes of weight and the end, as marks.
pub(super) fn marks(report: &Report) -> Vec<Mark> {
    let weights = report.weights.iter();
    let weights = weights.map(|weight| Mark { at: weight.at.as_second(), label: weight.weight.to_string() });
    let commands = report.commands.iter();
    let commands = commands.map(|command| Mark { at: command.at.as_second(), label: command.verb.as_str().to_owned() });
    let mut marks: Vec<Mark> = weights.chain(commands).collect();
    marks.sort_by_key(|mark| mark.at);
    marks
}

fn within(marks: &[Mark], points: &[TrailPoint]) -> Vec<Mark> {
    let Some((first, last)) = points.first().zip(points.last()) else { return Vec::new() };
    let times = first.at.as_second()..=last.at.as_second();
    marks.iter().filter(|mark| times.contains(&mark.at)).cloned().collect()
}

/// The ratio is that of all counts until then.
fn evidence_points(points: &[TrailPoint]) -> Vec<Point> {
    let mut sums = [0_u64; 4];
    let point = |point: &TrailPoint| {
        if let Some(TrailWindow::Counts { canary: [kc, nc], stable: [kb, nb] }) = point.window {
            sums.iter_mut().zip([kc, nc, kb, nb]).for_each(|(sum, count)| *sum = sum.saturating_add(count));
        }
        Point {
            at: point.at.as_second(),
            ratio: ratio(sums),
            interval: point.evidence.interval,
            fail: point.evidence.fail,
            pass: point.evidence.pass,
        }
    };
    points.iter().map(point).collect()
}

fn ratio([kc, nc, kb, nb]: [u64; 4]) -> Option<f64> {
    let is_known = nc > 0 && kb > 0 && nb > 0;
    is_known.then(|| (kc as f64 / nc as f64) / (kb as f64 / nb as f64))
}

fn stretch(point: &TrailPoint) -> Option<Stretch> {
    match point.window {
        Some(TrailWindow::Counts { canary, stable }) => Some(Stretch { at: point.at.as_second(), canary, stable }),
        _ => None,
    }
}

fn value(point: &TrailPoint) -> Option<(i64, f64)> {
    match point.window {
        Some(TrailWindow::Value(value)) => Some((point.at.as_second(), value)),
        _ => None,
    }
}
