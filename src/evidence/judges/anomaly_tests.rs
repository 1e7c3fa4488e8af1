//! Anomaly metrics driven minute by minute, against a number with a daily course.

use super::*;
use crate::{
    api::{
        analysis::{AnalysisRunStatus, Metric, OnAnomaly},
        common::HumanDuration,
    },
    evidence::{
        restart_tests::stored,
        run::{advance, plan},
    },
};

const START: i64 = 1_700_000_000 / 60 * 60;
const DAY: i64 = 86_400;

fn spec(judge: AnomalyMetric) -> AnalysisRunSpec {
    let judge = AnomalyMetric { query: "q".into(), ..judge };
    let metric = Metric { name: "traffic".into(), anomaly: Some(judge), ..Metric::default() };
    AnalysisRunSpec { metrics: vec![metric], background: true, ..AnalysisRunSpec::default() }
}

/// About 100 at the same time of each day, a bit apart.
fn usual(second: i64) -> f64 {
    100.0 + (second / 60 % 7) as f64 - 3.0 + (second / DAY % 3) as f64
}

/// A world: its number at a second, if it has one.
type World<'a> = &'a dyn Fn(i64) -> Option<f64>;

fn answer(query: &Query, world: World<'_>) -> Result<Answer, String> {
    let Query::Range { start, end, step_seconds, .. } = query else { return Err("not a range".into()) };
    let times = (start.as_second()..=end.as_second()).step_by(*step_seconds as usize);
    Ok(Answer::Series(times.filter_map(|at| Some((at, world(at)?))).collect()))
}

fn look(spec: &AnalysisRunSpec, status: &AnalysisRunStatus, second: i64, world: World<'_>) -> AnalysisRunStatus {
    let plan = plan(spec, status, instant(START + second));
    let results = plan.queries.iter().map(|planned| answer(&planned.query, world)).collect();
    // The answers take a while.
    advance(spec, status, &plan.answered(results), instant(START + second + 20))
}

fn drive(
    spec: &AnalysisRunSpec,
    minutes: std::ops::Range<i64>,
    from: AnalysisRunStatus,
    world: World<'_>,
) -> AnalysisRunStatus {
    minutes.fold(from, |status, minute| look(spec, &status, minute * 60 + 5, world))
}

fn says(status: &AnalysisRunStatus) -> (Verdict, &str) {
    (status.metrics[0].verdict, status.metrics[0].reason.as_str())
}

/// From a second after the start on, times this.
fn from(second: i64, factor: f64) -> impl Fn(i64) -> Option<f64> {
    move |at| Some(usual(at) * if at >= START + second { factor } else { 1.0 })
}

#[test]
fn the_history_is_asked_once_for_half_an_hour_and_then_only_what_is_new() {
    let spec = spec(AnomalyMetric::default());
    let fresh = AnalysisRunStatus::default();
    let first = plan(&spec, &fresh, instant(START + 5));
    assert_eq!(first.queries.len(), 1 + 7, "the last five minutes, and seven days");
    let span = |query: &Query| match query {
        Query::Range { start, end, .. } => (start.as_second() - START, end.as_second() - START),
        other => panic!("{other:?}"),
    };
    let spans: Vec<(i64, i64)> = first.queries.iter().map(|planned| span(&planned.query)).collect();
    assert_eq!(spans[0], (-240, 0));
    assert_eq!(spans[1], (-240 - DAY - 900, -240 - DAY + 29 * 60 + 900));
    assert_eq!(first.wake, instant(START + 60));
    let status = drive(&spec, 0..26, fresh, &|at| Some(usual(at)));
    let next = plan(&spec, &status, instant(START + 26 * 60 + 5));
    assert_eq!(next.queries.len(), 1 + 7, "the half hour is over: it began five minutes before the start");
    let early =
        plan(&spec, &drive(&spec, 0..10, AnalysisRunStatus::default(), &|at| Some(usual(at))), instant(START + 605));
    assert_eq!(early.queries.len(), 1);
}

#[test]
fn what_is_as_usual_passes_after_five_minutes() {
    let spec = spec(AnomalyMetric::default());
    let world = |at| Some(usual(at));
    let status = drive(&spec, 0..3, AnalysisRunStatus::default(), &world);
    assert_eq!(says(&status), (Verdict::Continue, "Undecided"));
    assert_eq!(status.metrics[0].needs.as_deref(), Some("4 more minutes as usual"));
    let status = drive(&spec, 3..7, status, &world);
    assert_eq!(says(&status), (Verdict::Pass, "Usual"));
    assert!(status.metrics[0].canary.contains(", usually 10"), "{}", status.metrics[0].canary);
    let size = serde_json::to_string(&status.metrics[0].accumulator).unwrap().len();
    assert!(size < 4_096, "{size} bytes");
}

#[test]
fn an_incident_before_the_start_is_found_at_once_and_holds_until_it_ends() {
    let spec = spec(AnomalyMetric::default());
    let incident = |at: i64| Some(usual(at) * if (START - 600..START + 300).contains(&at) { 1.5 } else { 1.0 });
    let status = drive(&spec, 0..1, AnalysisRunStatus::default(), &incident);
    assert_eq!(says(&status), (Verdict::Inconclusive, "Anomalous"));
    assert!(status.message.starts_with("traffic is anomalous: 147, usually 101, z 1"), "{}", status.message);
    let status = drive(&spec, 1..12, status, &incident);
    assert_eq!(says(&status), (Verdict::Pass, "Usual"), "it is over");
}

#[test]
fn a_rise_and_a_fall_are_found_in_three_minutes_and_abort_only_when_asked_to() {
    for (factor, on_anomaly, verdict) in [
        (1.5, None, Verdict::Inconclusive),
        (0.5, None, Verdict::Inconclusive),
        (1.5, Some(OnAnomaly::Hold), Verdict::Inconclusive),
        (1.5, Some(OnAnomaly::Abort), Verdict::Fail),
    ] {
        let spec = spec(AnomalyMetric { on_anomaly, ..AnomalyMetric::default() });
        let world = from(600, factor);
        let status = drive(&spec, 0..12, AnalysisRunStatus::default(), &world);
        assert_eq!(says(&status), (Verdict::Pass, "Usual"), "two minutes are not enough");
        let status = drive(&spec, 12..13, status, &world);
        assert_eq!(says(&status), (verdict, "Anomalous"), "{factor} {on_anomaly:?}");
    }
}

#[test]
fn without_three_days_there_is_no_history() {
    let spec = spec(AnomalyMetric::default());
    let two_days = |at: i64| (at > START - 2 * DAY - 3_600).then(|| usual(at));
    let status = drive(&spec, 0..8, AnalysisRunStatus::default(), &two_days);
    assert_eq!(says(&status), (Verdict::Inconclusive, "NoHistory"));
    assert!(status.message.contains("set required: false"), "{}", status.message);
    let four_days = |at: i64| (at > START - 4 * DAY - 3_600).then(|| usual(at));
    assert_eq!(says(&drive(&spec, 0..8, AnalysisRunStatus::default(), &four_days)), (Verdict::Pass, "Usual"));
}

#[test]
fn an_empty_answer_and_an_error_are_no_data() {
    let spec = spec(AnomalyMetric::default());
    let nothing = |at: i64| (at < START - 3_600).then(|| usual(at));
    let status = drive(&spec, 0..2, AnalysisRunStatus::default(), &nothing);
    assert_eq!(says(&status), (Verdict::NoData, "NoResult"));
    let failing = |second: i64| {
        let plan = plan(&spec, &AnalysisRunStatus::default(), instant(START + second));
        let results = plan.queries.iter().map(|_| Err("no".to_owned())).collect();
        advance(&spec, &AnalysisRunStatus::default(), &plan.answered::<String>(results), instant(START + second))
    };
    let status = failing(5);
    assert_eq!(says(&status), (Verdict::NoData, "SourceError"));
    assert_eq!(status.metrics[0].notes, ["source: no"]);
    let later = look(&spec, &status, 40, &|at| Some(usual(at)));
    assert_eq!(says(&later), (Verdict::Continue, "Undecided"), "it is asked again");
}

#[test]
fn several_series_are_ambiguous() {
    let spec = spec(AnomalyMetric::default());
    let plan = plan(&spec, &AnalysisRunStatus::default(), instant(START));
    let results = plan.queries.iter().map(|_| Ok::<_, String>(Answer::Several(3))).collect();
    let status = advance(&spec, &AnalysisRunStatus::default(), &plan.answered(results), instant(START));
    assert_eq!(says(&status), (Verdict::NoData, "SeveralSeries"));
}

#[test]
fn an_answer_that_is_missing_is_asked_for_again() {
    let spec = spec(AnomalyMetric::default());
    let mut plan = plan(&spec, &AnalysisRunStatus::default(), instant(START));
    plan.queries.truncate(4);
    let results = plan.queries.iter().map(|planned| answer(&planned.query, &|at| Some(usual(at)))).collect();
    let status = advance(&spec, &AnalysisRunStatus::default(), &plan.answered(results), instant(START));
    assert_eq!(says(&status), (Verdict::Continue, "NotMeasured"));
    assert_eq!(super::super::super::run::plan(&spec, &status, instant(START)).queries.len(), 8);
}

#[test]
fn a_restart_changes_nothing() {
    let spec = spec(AnomalyMetric::default());
    let world = from(600, 1.5);
    let whole = drive(&spec, 0..14, AnalysisRunStatus::default(), &world);
    let halfway = stored(&drive(&spec, 0..7, AnalysisRunStatus::default(), &world));
    assert_eq!(says(&drive(&spec, 7..14, halfway, &world)), says(&whole));
}

#[test]
fn what_cannot_be_judged_is_refused_with_its_field() {
    let of = |judge: AnomalyMetric| -> Vec<String> {
        let problems = Judge::problems(&judge, crate::source::DIALECT);
        problems.into_iter().map(|(field, problem)| format!("{field}: {problem}")).collect()
    };
    let hours = |hours: u64| Some(HumanDuration::secs(hours * 3_600));
    let judge = || AnomalyMetric { query: "up".into(), ..AnomalyMetric::default() };
    assert_eq!(of(judge()), Vec::<String>::new());
    assert_eq!(of(AnomalyMetric::default()), ["anomaly.query: is empty"]);
    assert_eq!(of(AnomalyMetric { season: hours(1), ..judge() }).len(), 1);
    assert_eq!(
        of(AnomalyMetric { season: hours(24), lookback: hours(48), ..judge() }),
        ["anomaly.lookback: must be 3 to 28 times the season"]
    );
    assert_eq!(of(AnomalyMetric { season: hours(2), ..judge() }), Vec::<String>::new());
}

#[test]
fn the_trail_keeps_the_number_beside_what_is_usual() {
    let spec = spec(AnomalyMetric::default());
    let status = drive(&spec, 0..16, AnalysisRunStatus::default(), &from(600, 1.5));
    let points = status.metrics[0].trail.as_ref().unwrap().points();
    assert_eq!(points.len(), 20, "four minutes before the start too");
    let compared = |index: usize| match points[index].window {
        Some(TrailWindow::Compared { value, reference }) => (value, reference),
        other => panic!("{other:?}"),
    };
    let ((calm, before), (high, after)) = (compared(10), compared(19));
    assert!((calm - before).abs() < 6.0 && high > 1.4 * after, "{points:?}");
    let evidence = |index: usize| (points[index].evidence.fail, points[index].evidence.pass);
    assert_eq!((evidence(12), evidence(19)), ((0.0, 1.0), (1.0, 0.0)));
    let young = |at: i64| (at >= START - 3_600).then(|| usual(at));
    let status = drive(&spec, 0..6, AnalysisRunStatus::default(), &young);
    let points = status.metrics[0].trail.as_ref().unwrap().points();
    assert!(
        points.iter().all(|point| matches!(point.window, Some(TrailWindow::Value(_)))),
        "without history: {points:?}"
    );
}
