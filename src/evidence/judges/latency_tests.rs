//! Runs of a latency metric driven window by window with invented histograms.

use super::*;
use crate::{
    api::{
        analysis::{
            AnalysisRunStatus, Arms, Bake, BuiltinHistogram, Histogram as HistogramOf, LatencySlo, Metric, Pack,
            RunPrometheus, Settings,
        },
        common::{HumanDuration, Percent},
    },
    evidence::{
        query::BucketsQuery,
        restart_tests::{shown, stored},
        run::{advance, plan},
    },
    stats::histogram::{Bucket, bound_at},
};

const START: i64 = 1_700_000_000;
const BOUNDS: [f64; 5] = [0.05, 0.1, 0.25, 0.5, 1.0];

/// Counts between the bounds, the last above them.
type Arm = [u64; 6];

const STABLE: Arm = [90, 450, 333, 26, 1, 0];
const HISTORY: Arm = [9_000, 45_000, 33_300, 2_610, 90, 0];
const GOOD: Arm = [10, 50, 37, 3, 0, 0];
const SLOW: Arm = [2, 25, 53, 18, 2, 0];

fn classic(arm: Arm) -> Histogram {
    let highs = BOUNDS.into_iter().chain([f64::INFINITY]);
    let lows = [0.0].into_iter().chain(BOUNDS);
    Histogram::new(lows.zip(highs).zip(arm).map(|((lo, hi), count)| Bucket { lo, hi, count }))
}

/// The same in exponential buckets: a count at every third bound of schema 3 from 75 ms on.
fn native(arm: Arm) -> Histogram {
    let bucket = |(at, count): (usize, u64)| {
        let index = -30.0 + 3.0 * at as f64;
        Bucket { lo: bound_at(3, index - 1.0), hi: bound_at(3, index), count }
    };
    Histogram::new(arm.into_iter().enumerate().map(bucket).filter(|bucket| bucket.count > 0))
}

type History = dyn Fn(&BucketsQuery) -> Result<Option<Histogram>, String>;

/// What a source answers: to the history by kind, and to windows.
struct World {
    history: Box<History>,
    canary: Option<Histogram>,
    stable: Option<Histogram>,
    error: Option<String>,
}

impl World {
    fn of_classic(canary: Arm) -> World {
        let history = |query: &BucketsQuery| Ok((query.kind != BucketKind::Native).then(|| classic(HISTORY)));
        World { history: Box::new(history), canary: Some(classic(canary)), stable: Some(classic(STABLE)), error: None }
    }

    fn of_native(canary: Arm) -> World {
        let history = |query: &BucketsQuery| {
            Ok(Some(if query.kind == BucketKind::Native { native(HISTORY) } else { classic(HISTORY) }))
        };
        World { history: Box::new(history), canary: Some(native(canary)), stable: Some(native(STABLE)), error: None }
    }

    fn answer(&self, query: &Query) -> Result<Answer, String> {
        let Query::Buckets(query) = query else { panic!("asks {query:?}") };
        let answer = |canary, stable| Answer::Buckets { canary, stable, unit: 1.0, notes: Vec::new() };
        if query.whole_pods {
            return (self.history)(query).map(|stable| answer(None, stable));
        }
        match &self.error {
            Some(error) => Err(error.clone()),
            None => Ok(answer(self.canary.clone(), self.stable.clone())),
        }
    }
}

fn metric() -> LatencyMetric {
    let histogram = HistogramOf { builtin: Some(BuiltinHistogram::Duration), prometheus: None };
    let slo = LatencySlo { under: HumanDuration::secs(1), share: Some(Percent::whole(1)) };
    LatencyMetric { histogram, slo: Some(slo), ..LatencyMetric::default() }
}

fn spec(metric: LatencyMetric) -> AnalysisRunSpec {
    AnalysisRunSpec {
        arms: Arms { namespace: "shop".into(), canary: "web-2".into(), stable: "web-1".into(), ..Arms::default() },
        metrics: vec![Metric { name: "latency".into(), latency: Some(metric), ..Metric::default() }],
        settings: Settings {
            warm_up: Some(HumanDuration::secs(30)),
            no_data_timeout: Some(HumanDuration::secs(120)),
            bake: Some(Bake { duration: Some(HumanDuration::secs(60)), requests: Some(100) }),
            phi: Some(1.0),
            pack: Some(Pack::Application),
            ..Settings::default()
        },
        prometheus: RunPrometheus::controller(),
        background: true,
        ..AnalysisRunSpec::default()
    }
}

fn step(spec: &AnalysisRunSpec, status: &AnalysisRunStatus, world: &World, second: i64) -> AnalysisRunStatus {
    let now = jiff::Timestamp::from_second(START + second).unwrap();
    let plan = plan(spec, status, now);
    let results = plan.queries.iter().map(|planned| world.answer(&planned.query)).collect();
    advance(spec, status, &plan.answered::<String>(results), now)
}

/// So many windows after the history was answered; START + 40 reads the first.
fn drive(spec: &AnalysisRunSpec, world: &World, windows: i64) -> AnalysisRunStatus {
    let begun = step(spec, &AnalysisRunStatus::default(), world, 0);
    (0..windows).fold(begun, |status, window| step(spec, &status, world, 40 + 15 * window))
}

fn says(status: &AnalysisRunStatus) -> (Verdict, &str) {
    (status.metrics[0].verdict, status.metrics[0].reason.as_str())
}

#[test]
fn the_history_is_asked_first_and_windows_after_it() {
    let spec = spec(metric());
    let world = World::of_classic(GOOD);
    let at = |second| jiff::Timestamp::from_second(START + second).unwrap();
    let first = plan(&spec, &AnalysisRunStatus::default(), at(0));
    let asked = |planned: &crate::evidence::plan::Planned| match &planned.query {
        Query::Buckets(query) => (query.kind.clone(), query.window_seconds, query.end.as_second() - START),
        other => panic!("{other:?}"),
    };
    let kinds: Vec<_> = first.queries.iter().map(asked).collect();
    assert_eq!(kinds, [(BucketKind::Native, 3600, 0), (BucketKind::Classic(vec![]), 3600, 0)]);
    let begun = step(&spec, &AnalysisRunStatus::default(), &world, 0);
    assert_eq!(says(&begun), (Verdict::Continue, "WarmUp"));
    assert!(plan(&spec, &begun, at(39)).queries.is_empty());
    let due = plan(&spec, &begun, at(40));
    assert_eq!(asked(&due.queries[0]), (BucketKind::Classic(BOUNDS.to_vec()), 15, 25));
}

#[test]
fn an_equal_canary_passes_after_the_bake() {
    let status = drive(&spec(metric()), &World::of_classic(GOOD), 30);
    assert_eq!(says(&status), (Verdict::Pass, "NotWorse"), "{:?}", status.metrics[0]);
    let seen = &status.metrics[0];
    assert_eq!(seen.canary, "p50 90 ms, p95 242 ms, p99 417 ms (interpolated)");
    assert_eq!(seen.stable, "p50 90 ms, p95 242 ms, p99 423 ms (interpolated)");
    assert_eq!(seen.notes, ["buckets: classic, 3 bounds from 100 ms to 500 ms"]);
    assert_eq!(seen.measurements.last().unwrap().value, "canary 0/100, stable 0/900 slower than 1 s");
    assert!(seen.comparison.contains("slower than") && seen.comparison.ends_with("p = 1"), "{}", seen.comparison);
}

#[test]
fn a_slower_canary_fails_and_the_bound_that_fired_is_named() {
    let (world, bound) = (World::of_classic(SLOW), "slower than 250 ms: 20.0 % vs 3.0 %, ratio 6.67, 95 % CS ");
    let status = drive(&spec(metric()), &world, 20);
    assert_eq!(says(&status), (Verdict::Fail, "WorseThanStable"), "{:?}", status.metrics[0]);
    let comparison = &status.metrics[0].comparison;
    assert!(comparison.starts_with(bound), "{comparison}");
    assert!(status.message.starts_with("latency failed: canary p50 "), "{}", status.message);
    assert_eq!(status.metrics[0].fail_progress, 1.0);
}

#[test]
fn native_histograms_go_first_and_honor_the_tolerance() {
    let status = drive(&spec(metric()), &World::of_native(SLOW), 20);
    let seen = &status.metrics[0];
    assert_eq!(says(&status), (Verdict::Fail, "WorseThanStable"), "{seen:?}");
    let [slow, other] = ["slower than ", " % slower than "].map(|text| seen.comparison.contains(text));
    assert!(slow && other, "{}", seen.comparison);
    assert!(seen.notes[0].starts_with("buckets: native, "), "{:?}", seen.notes);
    let honored = LatencyMetric { tolerance: Some(Percent::whole(20)), ..metric() };
    let notes = |world: World| drive(&spec(honored.clone()), &world, 2).metrics[0].notes.join("\n");
    assert!(!notes(World::of_native(GOOD)).contains("tolerance"));
    assert!(notes(World::of_classic(GOOD)).contains("tolerance: these buckets cannot honor it"));
}

#[test]
fn a_histogram_without_buckets_is_no_data_with_the_reason() {
    let empty = |found: Option<Histogram>| World {
        history: Box::new(move |query| Ok(found.clone().filter(|_| query.kind != BucketKind::Native))),
        ..World::of_classic(GOOD)
    };
    let few = classic([1, 2, 3, 0, 0, 0]);
    let alike = Histogram::new([Bucket { lo: 0.0, hi: f64::INFINITY, count: 5_000 }]);
    for (found, note) in [
        (
            None,
            "histogram: stable has no series of it with buckets; check its name, its labels and that stable has requests \
             (Prometheus 2.42 cannot subtract native histograms)",
        ),
        (Some(few), "histogram: stable had 6 requests before the run; bounds are chosen by at least 100"),
        (
            Some(alike),
            "histogram: no bucket bound has from 0.05 % to 60 % of stable's requests above it; use finer buckets",
        ),
    ] {
        let (spec, world) = (spec(metric()), empty(found));
        let status = drive(&spec, &world, 3);
        assert_eq!(says(&status), (Verdict::NoData, "NoHistogram"));
        assert_eq!(status.metrics[0].notes, [note]);
        let later = drive(&spec, &world, 12);
        assert_eq!(says(&later), (Verdict::Inconclusive, "NoHistogram"), "it lasts");
        // Stable gets requests: bounds are chosen by those, and windows after them are judged.
        let resumed =
            (0..40).fold(later, |status, window| step(&spec, &status, &World::of_classic(GOOD), 250 + 15 * window));
        assert_eq!(says(&resumed), (Verdict::Pass, "NotWorse"), "{:?}", resumed.metrics[0]);
        assert!(!resumed.metrics[0].notes.iter().any(|note| note.starts_with("histogram")));
    }
}

#[test]
fn after_an_empty_hour_six_are_asked_for_and_then_each_minute() {
    let spec = spec(metric());
    let world = World { history: Box::new(|_| Ok(None)), ..World::of_classic(GOOD) };
    let mut status = AnalysisRunStatus::default();
    let mut asked = Vec::new();
    for second in (0..400).step_by(5) {
        let now = jiff::Timestamp::from_second(START + second).unwrap();
        for planned in plan(&spec, &status, now).queries {
            let Query::Buckets(query) = planned.query else { panic!("no buckets") };
            asked.push((query.window_seconds, query.end.as_second() - START));
        }
        status = step(&spec, &status, &world, second);
    }
    asked.dedup();
    assert_eq!(asked[..4], [(3600, 0), (21_600, 0), (3600, 60), (3600, 120)]);
}

#[test]
fn a_source_error_is_retried_and_is_no_history() {
    let spec = spec(metric());
    let failing = World { history: Box::new(|_| Err("connection refused".into())), ..World::of_classic(GOOD) };
    let status = step(&spec, &AnalysisRunStatus::default(), &failing, 0);
    assert_eq!(says(&status), (Verdict::NoData, "SourceError"));
    assert_eq!(status.metrics[0].notes, ["source: connection refused"]);
    let back = (1..30).fold(status, |status, window| step(&spec, &status, &World::of_classic(GOOD), 40 + 15 * window));
    assert_eq!(says(&back), (Verdict::Pass, "NotWorse"), "{:?}", back.metrics[0]);
}

#[test]
fn a_source_that_does_not_know_native_histograms_gives_classic_ones() {
    let history = |query: &BucketsQuery| match query.kind {
        BucketKind::Native => Err("unknown function histogram_count".to_owned()),
        BucketKind::Classic(_) => Ok(Some(classic(HISTORY))),
    };
    let world = World { history: Box::new(history), ..World::of_classic(GOOD) };
    let status = drive(&spec(metric()), &world, 40);
    assert_eq!(says(&status), (Verdict::Pass, "NotWorse"), "{:?}", status.metrics[0]);
}

#[test]
fn errors_and_missing_arms_are_no_data() {
    let spec = spec(metric());
    let run = |change: fn(&mut World), windows: i64| {
        let mut world = World::of_classic(GOOD);
        let fine = drive(&spec, &world, 2);
        change(&mut world);
        let status = (2..2 + windows).fold(fine, |status, window| step(&spec, &status, &world, 40 + 15 * window));
        (status.metrics[0].verdict, status.metrics[0].reason.to_string())
    };
    let no_data = |reason: &str| (Verdict::NoData, reason.to_owned());
    assert_eq!(run(|world| world.error = Some("timed out".into()), 3), no_data("SourceError"));
    assert_eq!(run(|world| world.canary = None, 5), no_data("NoCanaryRequests"));
    assert_eq!(run(|world| world.stable = None, 5), no_data("NoBaseline"));
    let others = || Histogram::new([Bucket { lo: 0.01, hi: 3.0, count: 100 }]);
    let hidden = |world: &mut World| world.canary = Some(Histogram::new([Bucket { lo: 0.01, hi: 3.0, count: 100 }]));
    assert_eq!(others().above(0.25), None);
    assert_eq!(run(hidden, 5), no_data("NoHistogram"));
}

#[test]
fn without_an_slo_bound_nothing_passes_and_it_says_what_is_missing() {
    let slo = LatencySlo { under: HumanDuration::secs(5), share: None };
    let status = drive(&spec(LatencyMetric { slo: Some(slo), ..metric() }), &World::of_classic(GOOD), 40);
    assert_eq!(says(&status), (Verdict::Continue, "Undecided"));
    assert_eq!(status.metrics[0].needs.as_deref(), Some("a bucket bound of at least 5s"));
    let without = drive(&spec(LatencyMetric { slo: None, ..metric() }), &World::of_classic(GOOD), 60);
    assert_eq!(says(&without), (Verdict::Pass, "NotWorse"), "{:?}", without.metrics[0]);
}

#[test]
fn one_armed_is_compared_with_the_hour_before() {
    let run = |canary| {
        let spec = AnalysisRunSpec { one_armed: true, ..spec(metric()) };
        drive(&spec, &World { stable: None, ..World::of_classic(canary) }, 40)
    };
    let (good, slow) = (run(GOOD), run(SLOW));
    assert_eq!(says(&good), (Verdict::Pass, "NotWorse"), "{:?}", good.metrics[0]);
    assert_eq!(says(&slow), (Verdict::Fail, "WorseThanStable"), "{:?}", slow.metrics[0]);
    assert!(slow.metrics[0].comparison.contains(" % before, p "), "{}", slow.metrics[0].comparison);
}

#[test]
fn a_restart_at_any_window_changes_nothing() {
    let spec = spec(metric());
    let world = World::of_native(GOOD);
    let straight = drive(&spec, &world, 25);
    let mut status = stored(&step(&spec, &AnalysisRunStatus::default(), &world, 0));
    for window in 0..25 {
        status = stored(&step(&spec, &status, &world, 40 + 15 * window));
    }
    assert_eq!(shown(&status), shown(&straight));
    assert_eq!(shown(&status).metrics[0].measurements.len(), 20);
}

#[test]
fn the_memory_of_a_day_is_bounded() {
    let spec = spec(LatencyMetric { slo: None, ..metric() });
    let world = World::of_native(GOOD);
    let mut status = step(&spec, &AnalysisRunStatus::default(), &world, 0);
    let mut live = crate::evidence::run::Live::of(&spec, status.clone());
    let mut second = 40;
    while second < 86_400 {
        let now = jiff::Timestamp::from_second(START + second).unwrap();
        let plan = live.plan(&spec, now);
        let results = plan.queries.iter().map(|planned| world.answer(&planned.query)).collect();
        live.advance(&spec, &plan.answered::<String>(results), now);
        second += 300;
    }
    status = live.recorded(&spec);
    let size = serde_json::to_string(&status).unwrap().len();
    assert!(size < 24 * 1024, "{size} bytes");
}

/// What charts are drawn from: slow requests at one bound, that of the Pass, and the evidence of all bounds.
#[test]
fn the_trail_keeps_the_slow_requests_at_the_bound_of_the_pass() {
    let under = HumanDuration::from(std::time::Duration::from_millis(500));
    let slo = LatencySlo { under, share: Some(Percent::whole(1)) };
    let spec = spec(LatencyMetric { slo: Some(slo), ..metric() });
    let course = |canary| {
        let status = drive(&spec, &World::of_classic(canary), 12);
        let metric = status.metrics[0].clone();
        let points = crate::evidence::with_intervals(&spec, &spec.metrics[0], metric.trail.as_ref().unwrap());
        (metric, points)
    };
    let (metric, points) = course([10, 48, 36, 4, 2, 0]);
    let counts = points.iter().map(|point| match point.window {
        Some(TrailWindow::Counts { canary, stable }) => [canary[0], canary[1], stable[0], stable[1]],
        _ => panic!("no counts: {point:?}"),
    });
    let sums = counts.fold([0; 4], |sum, counts| std::array::from_fn(|index| sum[index] + counts[index]));
    let windows = points.len() as u64;
    assert_eq!(sums, [2 * windows, 100 * windows, windows, 900 * windows], "above half a second");
    assert!(windows >= 2 && points[0].evidence.fail < 1.0, "{points:?}");
    let last = points.last().unwrap().evidence;
    assert_eq!((last.fail, metric.fail_progress), (1.0, 1.0));
    let (low, high) = last.interval.unwrap();
    assert!(low > 1.0 && low < 18.0 && high.is_none_or(|high| high > 18.0), "{low} {high:?}");
    let (_, points) = course(GOOD);
    assert_eq!((points.last().unwrap().evidence.fail, points.last().unwrap().evidence.pass), (0.0, 1.0));
    assert!(points[2].evidence.pass < 1.0, "it took some windows");
}
