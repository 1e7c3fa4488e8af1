//! What evidence costs: one window of the ratio test, one of a run, and one of 10,000 runs with five metrics each.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use glidepath::{
    api::{
        HumanDuration,
        analysis::{AnalysisRunSpec, AnalysisRunStatus, Verdict},
    },
    evidence::{Answer, ArmCounts, BucketKind, Histogram, PodValue, Query, run::Live},
    stats::{Counts, RatioConfig, RatioState},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

const WINDOW: SignedDuration = SignedDuration::from_secs(15);
/// An hour: by then a ratio has as many restarts as it will ever have.
const WINDOWS: usize = 240;
const RUNS: usize = 10_000;

pub fn benchmarks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("judges");
    group.bench_function("one window of the ratio test", |bencher| {
        let (config, window) = (RatioConfig::DEFAULT, Counts { kc: 1, nc: 75, kb: 7, nb: 675 });
        let mut state = RatioState::new();
        (0..WINDOWS).for_each(|_| state.observe(&config, window, 15));
        bencher.iter(|| black_box(&mut state).observe(&config, black_box(window), 15));
    });
    for (name, spec) in [("one ratio metric", ratio()), ("five metrics", five())] {
        let mut run = Run::after_an_hour(&spec);
        group.bench_function(format!("one window of a run with {name}"), |bencher| bencher.iter(|| run.window(&spec)));
        group.bench_function(format!("the status of a run with {name}"), |bencher| {
            bencher.iter(|| black_box(run.live.recorded(&spec)));
        });
    }
    let spec = five();
    let started = Run::after_an_hour(&spec);
    let status = started.live.recorded(&spec);
    let fleet =
        || -> Vec<Run> { (0..RUNS).map(|_| Run { live: Live::of(&spec, status.clone()), now: started.now }).collect() };
    let mut runs = fleet();
    group.sample_size(10).throughput(Throughput::Elements(RUNS as u64));
    group.bench_function("one window of 10,000 runs with five metrics", |bencher| {
        bencher.iter_batched(|| (), |()| runs.iter_mut().for_each(|run| run.window(&spec)), BatchSize::PerIteration);
    });
    group.finish();
}

/// A run in progress, and the time there.
struct Run {
    live: Live,
    now: Timestamp,
}

impl Run {
    fn after_an_hour(spec: &AnalysisRunSpec) -> Self {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let mut run = Run { live: Live::of(spec, AnalysisRunStatus::default()), now };
        (0..WINDOWS).for_each(|_| run.window(spec));
        let status = run.live.recorded(spec);
        let judged = |verdict| matches!(verdict, Verdict::Continue | Verdict::Pass);
        assert!(status.metrics.iter().all(|metric| judged(metric.verdict)), "{status:#?}");
        run
    }

    /// Asks what is due and judges it, as the controller does every window.
    fn window(&mut self, spec: &AnalysisRunSpec) {
        let plan = self.live.plan(spec, self.now);
        let answers = plan.queries.iter().map(|planned| Ok::<_, String>(answer(&planned.query))).collect();
        self.live.advance(spec, &plan.answered(answers), self.now);
        self.now = self.now.saturating_add(WINDOW).unwrap();
    }
}

/// Two versions that are alike: 1 % of errors, ten pods.
fn answer(query: &Query) -> Answer {
    let arm = |bad, total| Some(ArmCounts { bad, total });
    match query {
        Query::Increments(_) => Answer::Increments { canary: arm(1, 75), stable: arm(7, 675), notes: Vec::new() },
        Query::Buckets(query) if query.kind == BucketKind::Native => {
            Answer::Buckets { canary: None, stable: None, unit: 1.0, notes: Vec::new() }
        }
        Query::Buckets(_) => {
            let (canary, stable) = (times(75), times(675));
            Answer::Buckets { canary, stable, unit: 1.0, notes: Vec::new() }
        }
        Query::Pods(_) => {
            let pod = |arm: &str, number: u32| PodValue {
                namespace: "shop".into(),
                pod: format!("web-{arm}-{number}"),
                value: 0.2 + 0.001 * f64::from(number),
            };
            Answer::Pods((0..10).map(|number| pod(if number < 2 { "2" } else { "1" }, number)).collect())
        }
        Query::Scalar { .. } => Answer::Scalar(Some(12.0)),
        other => panic!("no metric here asks {other:?}"),
    }
}

/// Requests by response time, in ten buckets.
fn times(total: u64) -> Option<Histogram> {
    let below =
        [(0.005, 4), (0.01, 12), (0.025, 30), (0.05, 50), (0.1, 72), (0.25, 88), (0.5, 95), (1.0, 98), (2.5, 99)];
    let counts = below.into_iter().map(|(bound, percent)| (bound, total * percent / 100));
    Histogram::cumulative(counts.chain([(f64::INFINITY, total)]))
}

fn spec(metrics: serde_json::Value) -> AnalysisRunSpec {
    let mut spec: AnalysisRunSpec = serde_json::from_value(json!({
        "arms": {"namespace": "shop", "canary": "web-2", "stable": "web-1"},
        "metrics": metrics, "background": true,
        "settings": {"phi": 1.5, "pack": "application"},
    }))
    .unwrap();
    spec.settings.warm_up = Some(HumanDuration::secs(30));
    spec
}

fn ratio() -> AnalysisRunSpec {
    let counted = json!({"bad": {"builtin": "errors"}, "total": {"builtin": "requests"}});
    spec(json!([{"name": "errors", "ratio": counted}]))
}

fn five() -> AnalysisRunSpec {
    let counted = json!({"bad": {"builtin": "errors"}, "total": {"builtin": "requests"}});
    spec(json!([
        {"name": "errors", "ratio": counted},
        {"name": "timeouts", "ratio": counted},
        {"name": "latency", "latency": {"histogram": {"builtin": "duration"}}},
        {"name": "cpu", "gauge": {"query": "sum by (namespace, pod) (rate(cpu[2m]))"}},
        {"name": "queue", "threshold": {"query": "queue", "success": "result < 100", "interval": "15s"}},
    ]))
}
