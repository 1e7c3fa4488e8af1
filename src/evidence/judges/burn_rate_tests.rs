//! Burn rate metrics driven minute by minute with invented counts.

use super::*;
use crate::{
    api::{
        analysis::{AnalysisRunStatus, Arms, Bake, Metric, RatioMetric, Settings},
        common::Percent,
    },
    evidence::{
        judges::frozen,
        query::{Answer, ArmCounts, Scope},
        restart_tests::{shown, stored},
        run::{advance, plan},
        windows::instant,
    },
};

const START: i64 = 1_700_000_000 / 60 * 60;

fn judge(scope: Option<BurnScope>) -> BurnRateMetric {
    BurnRateMetric { objective: Percent::from_basis_points(9_990), scope, ..BurnRateMetric::default() }
}

fn spec(judge: BurnRateMetric) -> AnalysisRunSpec {
    let metric = Metric { name: "availability".into(), burn_rate: Some(judge), ..Metric::default() };
    AnalysisRunSpec {
        arms: Arms { namespace: "shop".into(), canary: "web-2".into(), stable: "web-1".into(), ..Arms::default() },
        metrics: vec![metric],
        settings: Settings {
            warm_up: Some(HumanDuration::secs(60)),
            bake: Some(Bake { duration: Some(HumanDuration::secs(120)), requests: Some(100) }),
            phi: Some(1.0),
            ..Settings::default()
        },
        background: true,
        ..AnalysisRunSpec::default()
    }
}

/// A world: the service's and the canary's error rates by the second since START.
struct World<'a> {
    service: &'a dyn Fn(i64) -> f64,
    canary: &'a dyn Fn(i64) -> f64,
}

const CALM: World<'static> = World { service: &|_| 0.0, canary: &|_| 0.0 };

impl World<'_> {
    /// 3,000 requests of the service a minute, 300 of the canary.
    fn answer(&self, query: &IncrementsQuery) -> Answer {
        let end = query.end.as_second() - START;
        let minutes = (end - i64::from(query.window_seconds)..end).step_by(60);
        let bad = |rate: &dyn Fn(i64) -> f64, requests: f64| minutes.clone().map(|at| rate(at) * requests).sum::<f64>();
        let count = minutes.clone().count() as u64;
        if query.scope == Scope::Service {
            let counts = ArmCounts { bad: bad(self.service, 3_000.0).round() as u64, total: 3_000 * count };
            return Answer::Events { counts: Some(counts), notes: Vec::new() };
        }
        let canary = ArmCounts { bad: bad(self.canary, 300.0).round() as u64, total: 300 * count };
        Answer::Increments { canary: Some(canary), stable: None, notes: Vec::new() }
    }
}

fn look(spec: &AnalysisRunSpec, status: &AnalysisRunStatus, second: i64, world: &World<'_>) -> AnalysisRunStatus {
    let plan = plan(spec, status, instant(START + second));
    let answer = |query: &Query| match query {
        Query::Increments(query) => Ok(world.answer(query)),
        other => Err(format!("{other:?}")),
    };
    let results = plan.queries.iter().map(|planned| answer(&planned.query)).collect();
    advance(spec, status, &plan.answered::<String>(results), instant(START + second))
}

/// One look in each minute, when its window can be read.
fn drive(
    spec: &AnalysisRunSpec,
    minutes: std::ops::Range<i64>,
    from: AnalysisRunStatus,
    world: &World<'_>,
) -> AnalysisRunStatus {
    minutes.fold(from, |status, minute| look(spec, &status, minute * 60 + 20, world))
}

fn begun(spec: &AnalysisRunSpec, minutes: i64, world: &World<'_>) -> AnalysisRunStatus {
    drive(spec, 0..minutes, AnalysisRunStatus::default(), world)
}

fn says(status: &AnalysisRunStatus) -> (Verdict, &str) {
    (status.metrics[0].verdict, status.metrics[0].reason.as_str())
}

#[test]
fn four_windows_and_the_period_are_asked_at_the_start_and_four_a_minute() {
    let spec = spec(judge(Some(BurnScope::Service)));
    let lengths = |status: &AnalysisRunStatus, second: i64| -> Vec<u32> {
        let planned = plan(&spec, status, instant(START + second)).queries;
        let length = |query: &Query| match query {
            Query::Increments(query) => query.window_seconds,
            other => panic!("{other:?}"),
        };
        planned.iter().map(|planned| length(&planned.query)).collect()
    };
    assert_eq!(lengths(&AnalysisRunStatus::default(), 20), [300, 1_800, 3_600, 21_600, 2_592_000]);
    let status = begun(&spec, 1, &CALM);
    assert_eq!(lengths(&status, 60), Vec::<u32>::new(), "the minute is not over, or not read yet");
    assert_eq!(lengths(&status, 75), [300, 1_800, 3_600, 21_600]);
    assert_eq!(lengths(&status, 1_000).len(), 4, "after a sleep only the last look");
    assert_eq!(lengths(&status, 3_700).len(), 5, "the period again after an hour");
}

#[test]
fn a_service_within_its_budget_passes_after_the_bake() {
    let spec = spec(judge(None));
    assert_eq!(says(&begun(&spec, 1, &CALM)), (Verdict::Continue, "WarmUp"));
    let status = begun(&spec, 5, &CALM);
    assert_eq!(says(&status), (Verdict::Pass, "WithinBudget"));
    let metric = &status.metrics[0];
    assert_eq!(metric.comparison, "service 100 % over 30d, budget left 100 %, burn 1h 0.0x, 5m 0.0x");
    assert!(metric.canary.starts_with("0 % (0/") && metric.canary.ends_with("burn 0.0x"), "{}", metric.canary);
    let size = serde_json::to_string(&metric.accumulator).unwrap().len();
    assert!(size < 4_096, "{size} bytes");
}

#[test]
fn a_new_weight_bakes_anew() {
    let mut spec = spec(judge(None));
    let status = begun(&spec, 5, &CALM);
    spec.epoch = 1;
    let status = drive(&spec, 5..7, status, &CALM);
    assert_eq!(says(&status), (Verdict::Continue, "Bake"));
    assert_eq!(says(&drive(&spec, 7..9, status, &CALM)), (Verdict::Pass, "WithinBudget"));
}

/// The damage that a comparison of the versions cannot see: both are bad.
#[test]
fn a_fast_burn_of_the_service_fails_the_release() {
    let spec = spec(judge(Some(BurnScope::Service)));
    // 10 % errors from minute 10 on: 14.4 times 0.1 % of the hour is reached nine minutes later.
    let world = World { service: &|at| if at >= 600 { 0.1 } else { 0.0 }, canary: &|_| 0.0 };
    let before = begun(&spec, 18, &world);
    assert_eq!(says(&before), (Verdict::Pass, "WithinBudget"));
    let status = drive(&spec, 18..21, before, &world);
    assert_eq!(says(&status), (Verdict::Fail, "ServiceBurns"));
    assert!(
        status
            .message
            .starts_with("availability failed: the service burns its error budget too fast: service 100 % over 30d"),
        "{}",
        status.message
    );
    assert!(status.message.contains("burn 1h 1") && status.message.contains("5m 100x"), "{}", status.message);
}

#[test]
fn a_slow_burn_takes_hours_and_shows_its_windows() {
    let spec = spec(judge(Some(BurnScope::Service)));
    // 7 times the budget, less than the fast alert's 14.4.
    let world = World { service: &|at| if at >= 0 { 0.007 } else { 0.0065 }, canary: &|_| 0.0 };
    let status = begun(&spec, 3, &world);
    assert_eq!(says(&status).0, Verdict::Inconclusive, "6h and 30m are above 6 since long before");
    let slow = World { service: &|at| if at >= 120 { 0.007 } else { 0.0 }, canary: &|_| 0.0 };
    let early = begun(&spec, 200, &slow);
    assert_eq!(says(&early), (Verdict::Pass, "WithinBudget"), "3h of 6h");
    let late = drive(&spec, 200..320, early, &slow);
    assert_eq!(says(&late), (Verdict::Fail, "ServiceBurns"));
    assert!(late.message.contains("burn 6h 6.0x, 30m 7.0x, 1h 7.0x, 5m 7.0x"), "{}", late.message);
}

#[test]
fn a_burn_before_the_analysis_holds_the_release_and_does_not_fail_it() {
    let spec = spec(judge(Some(BurnScope::Service)));
    let world = World { service: &|at| if (-1_800..600).contains(&at) { 0.1 } else { 0.0 }, canary: &|_| 0.0 };
    let status = begun(&spec, 5, &world);
    assert_eq!(says(&status), (Verdict::Inconclusive, "BurnedBefore"));
    assert!(
        status.message.contains("before this analysis began") && status.message.contains("nothing is promoted"),
        "{}",
        status.message
    );
    let status = drive(&spec, 5..90, status, &world);
    assert_eq!(says(&status), (Verdict::Pass, "WithinBudget"), "it is over");
    // What burns after that is another burn.
    let again = World { service: &|at| if at >= 5_400 { 0.1 } else { (world.service)(at) }, canary: &|_| 0.0 };
    assert_eq!(says(&drive(&spec, 90..120, status, &again)), (Verdict::Fail, "ServiceBurns"));
}

/// The alert was not on at the start, since the hour was still good, but its cause was there.
#[test]
fn a_burn_that_began_just_before_the_analysis_is_not_its_fault() {
    let spec = spec(judge(Some(BurnScope::Service)));
    let world = World { service: &|at| if at >= -240 { 0.1 } else { 0.0 }, canary: &|_| 0.0 };
    assert_eq!(says(&begun(&spec, 4, &world)).0, Verdict::Pass);
    assert_eq!(says(&begun(&spec, 12, &world)), (Verdict::Inconclusive, "BurnedBefore"));
}

#[test]
fn a_canary_that_burns_fails_by_itself() {
    let spec = spec(judge(None));
    let world = World { service: &|_| 0.0, canary: &|at| if at >= 300 { 0.1 } else { 0.0 } };
    let before = begun(&spec, 6, &world);
    assert_eq!(says(&before), (Verdict::Pass, "WithinBudget"));
    let status = drive(&spec, 6..9, before, &world);
    assert_eq!(says(&status), (Verdict::Fail, "CanaryBurns"));
    assert!(
        status.message.contains("the canary burns the error budget: ") && status.message.contains(" in 5m, burn "),
        "{}",
        status.message
    );
    let service = self::spec(judge(Some(BurnScope::Service)));
    assert_eq!(says(&begun(&service, 9, &world)), (Verdict::Pass, "WithinBudget"), "it is not looked at");
}

/// A burn of 20 is above the limit and nine events are few.
#[test]
fn a_canary_with_few_bad_events_does_not_fail() {
    let spec = spec(judge(Some(BurnScope::Canary)));
    let world = World { service: &|_| 0.0, canary: &|at| if (300..600).contains(&at) { 0.006 } else { 0.0 } };
    let status = begun(&spec, 11, &world);
    assert_eq!(says(&status).0, Verdict::Pass, "{}", status.metrics[0].canary);
}

#[test]
fn without_requests_there_is_no_data() {
    let empty = |spec: &AnalysisRunSpec, minutes: i64| {
        (0..minutes).fold(AnalysisRunStatus::default(), |status, minute| {
            let now = instant(START + minute * 60 + 20);
            let plan = plan(spec, &status, now);
            let none = |query: &Query| match query {
                Query::Increments(query) if query.scope == Scope::Service => {
                    Answer::Events { counts: None, notes: Vec::new() }
                }
                _ => Answer::Increments { canary: None, stable: None, notes: Vec::new() },
            };
            let results = plan.queries.iter().map(|planned| Ok::<_, String>(none(&planned.query))).collect();
            advance(spec, &status, &plan.answered(results), now)
        })
    };
    assert_eq!(says(&empty(&spec(judge(None)), 2)), (Verdict::NoData, "NoRequests"));
    let canary = spec(judge(Some(BurnScope::Canary)));
    assert_eq!(says(&empty(&canary, 3)), (Verdict::Continue, "WarmUp"));
    assert_eq!(says(&empty(&canary, 8)), (Verdict::NoData, "NoCanaryRequests"));
    assert_eq!(says(&empty(&canary, 20)), (Verdict::Inconclusive, "NoCanaryRequests"));
}

#[test]
fn an_error_is_no_data_and_the_period_alone_is_only_not_shown() {
    let spec = spec(judge(Some(BurnScope::Service)));
    let with = |refused: &dyn Fn(u32) -> bool| {
        let plan = plan(&spec, &AnalysisRunStatus::default(), instant(START + 20));
        let answer = |query: &Query| match query {
            Query::Increments(query) if refused(query.window_seconds) => Err("too much".to_owned()),
            Query::Increments(query) => Ok(CALM.answer(query)),
            other => Err(format!("{other:?}")),
        };
        let results = plan.queries.iter().map(|planned| answer(&planned.query)).collect();
        advance(&spec, &AnalysisRunStatus::default(), &plan.answered::<String>(results), instant(START + 20))
    };
    let status = with(&|seconds| seconds == 21_600);
    assert_eq!(
        (says(&status), status.metrics[0].notes.as_slice()),
        ((Verdict::NoData, "SourceError"), ["source: too much".to_owned()].as_slice())
    );
    let status = with(&|seconds| seconds == 2_592_000);
    assert_eq!(says(&status), (Verdict::Continue, "Bake"));
    assert_eq!(status.metrics[0].canary, "service 100 % over 1h, burn 1h 0.0x, 5m 0.0x", "the budget is not claimed");
}

#[test]
fn a_restart_changes_nothing() {
    let spec = spec(judge(None));
    let world = World {
        service: &|at| if at >= 600 { 0.02 } else { 0.0 },
        canary: &|at| if at >= 300 { 0.012 } else { 0.001 },
    };
    let whole = begun(&spec, 14, &world);
    let halfway = stored(&begun(&spec, 8, &world));
    assert_eq!(shown(&drive(&spec, 8..14, halfway, &world)), shown(&whole));
}

#[test]
fn the_counters_are_the_packs_unless_they_are_set() {
    let spec = spec(judge(None));
    let query = question(&judge(None), &spec, &frozen(&spec, &spec.metrics[0]), START);
    let builtin = (query.bad.builtin.is_some(), query.total.builtin.is_some());
    assert_eq!((builtin, query.window_seconds, query.warm_up_seconds), ((true, true), 60, 60));
}

/// All tests together spend alpha: nine tenths the metrics, the rest the coarse tests.
#[test]
fn a_burn_rate_takes_its_alpha_from_the_tenth_that_is_kept() {
    let ratio = Metric { name: "errors".into(), ratio: Some(RatioMetric::default()), ..Metric::default() };
    let mut spec = spec(judge(None));
    let alone = frozen(&spec, &spec.metrics[0]);
    assert!((alone.alpha_catastrophic - 0.005).abs() < 1e-12);
    spec.metrics.push(ratio);
    let [burn, ratio] = [0, 1].map(|index| frozen(&spec, &spec.metrics[index]));
    let spent = ratio.alpha + ratio.alpha_catastrophic + burn.alpha_catastrophic;
    assert!((spent - 0.05).abs() < 1e-12 && (ratio.alpha - 0.045).abs() < 1e-12, "{spent}");
    spec.metrics[0].burn_rate = Some(judge(Some(BurnScope::Service)));
    let ratio = frozen(&spec, &spec.metrics[1]);
    assert!((ratio.alpha_catastrophic - 0.005).abs() < 1e-12, "the service's burn is no test");
}

#[test]
fn the_trail_keeps_the_canarys_events_or_the_services_burn() {
    use crate::api::analysis::TrailWindow;
    let bad =
        World { service: &|at| if at >= 600 { 0.02 } else { 0.0 }, canary: &|at| if at >= 600 { 0.05 } else { 0.0 } };
    let course = |scope| {
        let status = begun(&spec(judge(scope)), 16, &bad);
        (status.metrics[0].fail_progress, status.metrics[0].trail.as_ref().unwrap().points())
    };
    let (progress, points) = course(None);
    let counts = points.iter().map(|point| match point.window {
        Some(TrailWindow::Counts { canary, .. }) => canary,
        other => panic!("{other:?}"),
    });
    let [bad, all] = counts.fold([0, 0], |[bad, all], [more, total]| [bad + more, all + total]);
    assert!(bad > 0 && bad % 15 == 0 && all == 300 * points.len() as u64, "{bad} of {all}");
    let last = points.last().unwrap().evidence;
    assert!((last.fail - progress).abs() < 0.01 && last.fail > 0.5 && points[3].evidence.fail == 0.0, "{points:?}");
    let (_, points) = course(Some(BurnScope::Service));
    let burns: Vec<f64> = points
        .iter()
        .map(|point| match point.window {
            Some(TrailWindow::Compared { value, reference: 14.4 }) => value,
            Some(TrailWindow::Value(value)) => panic!("{value} without its limit"),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(burns[2] == 0.0 && *burns.last().unwrap() > 10.0, "{burns:?}");
    let baked = [0, 1, 8].map(|index| points[index].evidence.pass);
    assert_eq!(baked, [0.0, 0.33, 1.0], "0, 40 seconds and all of two minutes");
}
