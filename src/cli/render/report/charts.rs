//! The drawings of a report: a metric's evidence and rates, and the weights.

use crate::{
    api::analysis::{TrailPoint, TrailWindow},
    chart::{
        evidence::{self, Evidence, Point},
        figure::{Chart, Mark},
        rates::{self, Compared, Stretch},
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
    let values: Vec<(i64, f64, Option<f64>)> = metric.points.iter().filter_map(value).collect();
    if !stretches.is_empty() {
        let what = match metric.counts {
            Counted::Failures => "share of bad events",
            Counted::Slow => "share of slow requests",
            Counted::Conversions => "conversion rate",
        };
        charts.push(rates::chart(&format!("{name}: {what}"), &stretches, &marks));
    }
    charts.extend(measured(metric, &values, &marks));
    charts
}

/// The measured value, beside what it is compared with.
fn measured(metric: &MetricPart, values: &[(i64, f64, Option<f64>)], marks: &[Mark]) -> Option<Chart> {
    let title = format!("{}: measured value", metric.status.name);
    match metric.compares {
        _ if values.is_empty() => None,
        Some(names) => Some(rates::compared(&title, &Compared { names, values }, marks)),
        None => {
            let values: Vec<(i64, f64)> = values.iter().map(|(at, value, _)| (*at, *value)).collect();
            Some(rates::values(&title, &values, marks))
        }
    }
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

/// The ratio is that of all counts until then, or where values are compared the middle of its interval.
fn evidence_points(points: &[TrailPoint]) -> Vec<Point> {
    let mut sums = [0_u64; 4];
    let point = |point: &TrailPoint| {
        if let Some(TrailWindow::Counts { canary: [kc, nc], stable: [kb, nb] }) = point.window {
            sums.iter_mut().zip([kc, nc, kb, nb]).for_each(|(sum, count)| *sum = sum.saturating_add(count));
        }
        Point {
            at: point.at.as_second(),
            ratio: ratio(sums).or_else(|| middle(point)),
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

/// The geometric mean of values has an interval that is as far from it on both sides, on a logarithmic axis.
fn middle(point: &TrailPoint) -> Option<f64> {
    let compares = matches!(point.window, Some(TrailWindow::Compared { .. }));
    let (low, high) = point.evidence.interval.filter(|_| compares)?;
    high.map(|high| (low * high).sqrt())
}

fn stretch(point: &TrailPoint) -> Option<Stretch> {
    match point.window {
        Some(TrailWindow::Counts { canary, stable }) => Some(Stretch { at: point.at.as_second(), canary, stable }),
        _ => None,
    }
}

fn value(point: &TrailPoint) -> Option<(i64, f64, Option<f64>)> {
    let at = point.at.as_second();
    match point.window {
        Some(TrailWindow::Value(value)) => Some((at, value, None)),
        Some(TrailWindow::Compared { value, reference }) => Some((at, value, Some(reference))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::api::analysis::{MetricStatus, TrailEvidence};

    fn metric(compares: Option<[&'static str; 2]>, window: impl Fn(u32) -> TrailWindow) -> MetricPart {
        let point = |minute: u32| TrailPoint {
            from: Timestamp::from_second(i64::from(minute) * 60).unwrap(),
            at: Timestamp::from_second(i64::from(minute) * 60 + 60).unwrap(),
            window: Some(window(minute)),
            evidence: TrailEvidence { fail: 0.5, pass: 0.0, interval: (minute > 1).then_some((0.5, Some(8.0))) },
        };
        MetricPart {
            status: MetricStatus { name: "memory".into(), ..MetricStatus::default() },
            points: (0..4).map(point).collect(),
            tolerance: Some(1.2),
            counts: Counted::Failures,
            compares,
            sentence: String::new(),
        }
    }

    #[test]
    fn a_gauge_has_its_evidence_and_both_values() {
        let gauge = metric(Some(["canary", "stable"]), |minute| TrailWindow::Compared {
            value: 200.0 + f64::from(minute),
            reference: 100.0,
        });
        let [evidence, values] = of_metric(&gauge, &[]).try_into().unwrap();
        let ratios: Vec<&str> = evidence.rows.iter().map(|row| row[1].as_str()).collect();
        assert_eq!(ratios, ["-", "-", "2", "2"], "the middle of its interval");
        assert_eq!(
            (values.head, values.rows[3][1..].to_vec()),
            (vec!["UTC", "canary", "stable"], vec!["203".into(), "100".into()])
        );
        assert!(values.svg.contains("memory: measured value"));
    }

    #[test]
    fn a_number_alone_has_one_line() {
        let threshold = metric(None, |_| TrailWindow::Value(7.0));
        let [evidence, values] = of_metric(&threshold, &[]).try_into().unwrap();
        assert!(evidence.rows.iter().all(|row| row[1] == "-") && values.head == ["UTC", "value"]);
    }

    #[test]
    fn slow_requests_are_called_so() {
        let counts = TrailWindow::Counts { canary: [1, 100], stable: [1, 900] };
        let latency = MetricPart { counts: Counted::Slow, ..metric(None, |_| counts) };
        let [_, shares] = of_metric(&latency, &[]).try_into().unwrap();
        assert!(shares.svg.contains("memory: share of slow requests"));
        assert_eq!(latency.canary_counts(), None, "they are no failures");
    }
}
