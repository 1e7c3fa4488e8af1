//! A day of ten metrics of all judges that have a trail.

use jiff::Timestamp;
use serde_json::json;

use crate::{
    api::analysis::{AnalysisRunSpec, AnalysisRunStatus, Trail},
    evidence::{Answer, ArmCounts, PodValue, Query, Scope, run::Live},
    stats::histogram::{Bucket, Histogram},
};

const START: i64 = 1_700_000_000;
const DAY: i64 = 86_400;
const WINDOW: usize = 15;

fn spec() -> AnalysisRunSpec {
    let builtin = json!({"bad": {"builtin": "errors"}, "total": {"builtin": "requests"}});
    let judges = [
        ("ratio", builtin),
        ("latency", json!({"histogram": {"builtin": "duration"}})),
        ("gauge", json!({"query": "sum by (namespace, pod) (container_memory_working_set_bytes)"})),
        ("anomaly", json!({"query": "sum(rate(http_requests_total[1m]))"})),
        ("burnRate", json!({"objective": "99.9%"})),
    ];
    let metric = |number: usize, (kind, judge): &(&str, serde_json::Value)| json!({"name": format!("{kind}-of-a-long-name-{number}"), *kind: judge});
    let metrics: Vec<_> = (0..2).flat_map(|number| judges.iter().map(move |judge| metric(number, judge))).collect();
    serde_json::from_value(json!({
        "arms": {"namespace": "shop", "canary": "web-2", "stable": "web-1"},
        "metrics": metrics,
        "settings": {"phi": 1, "pack": "application"},
        "background": true,
    }))
    .unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

fn histogram(counts: [u64; 4]) -> Histogram {
    let bounds = [0.0, 0.1, 0.25, 0.5, f64::INFINITY];
    let bucket = |(pair, count): (&[f64], u64)| Bucket { lo: pair[0], hi: pair[1], count };
    Histogram::new(bounds.windows(2).zip(counts).map(bucket))
}

fn answer(query: &Query) -> Result<Answer, String> {
    let notes = Vec::new();
    match query {
        Query::Increments(query) if query.scope == Scope::Arms => {
            let bad = query.end.as_second().unsigned_abs() / 15 % 3;
            let [canary, stable] = [(bad, 1_000), (8 + bad, 9_000)].map(|(bad, total)| Some(ArmCounts { bad, total }));
            Ok(Answer::Increments { canary, stable, notes })
        }
        Query::Increments(query) => {
            let total = 700 * u64::from(query.window_seconds);
            Ok(Answer::Events { counts: Some(ArmCounts { bad: total / 2_000, total }), notes })
        }
        Query::Buckets(_) => {
            let canary = Some(histogram([512, 312, 141, 35]));
            Ok(Answer::Buckets { canary, stable: Some(histogram([4_612, 2_811, 1_273, 304])), unit: 1.0, notes })
        }
        Query::Pods(query) => {
            let noise = 1.0 + (query.at.as_second() / 60 % 7) as f64 / 100.0;
            let pod = |(pod, value): (&str, f64)| PodValue { namespace: "shop".into(), pod: pod.into(), value };
            Ok(Answer::Pods([("web-2-abcde", 345_678_901.0 * noise), ("web-1-abcde", 333_222_111.0)].map(pod).to_vec()))
        }
        Query::Range { start, end, step_seconds, .. } => {
            let times = (start.as_second()..=end.as_second()).step_by(*step_seconds as usize);
            Ok(Answer::Series(times.map(|second| (second, 1_234.5 + (second / 60 % 11) as f64)).collect()))
        }
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn a_day_of_all_judges_fits_into_64_kib_with_a_course_of_each() {
    let mut spec = spec();
    let mut live = Live::of(&spec, AnalysisRunStatus::default());
    for second in (0..=DAY).step_by(WINDOW) {
        spec.epoch = u32::try_from(second / (3 * 3_600)).unwrap();
        let plan = live.plan(&spec, at(second));
        let results = plan.queries.iter().map(|planned| answer(&planned.query)).collect();
        live.advance(&spec, &plan.answered(results), at(second));
    }
    let status = live.recorded(&spec);
    let bytes = serde_json::to_vec(&status).unwrap().len();
    assert!(bytes < 64 << 10, "{bytes} bytes");
    let points =
        |metric: &crate::api::analysis::MetricStatus| metric.trail.as_deref().map_or(0, |trail| trail.points().len());
    let all: Vec<(String, usize)> = status.metrics.iter().map(|metric| (metric.name.clone(), points(metric))).collect();
    assert!(all.iter().all(|(_, points)| *points >= 10), "{all:?}");
    let read: AnalysisRunStatus = serde_json::from_slice(&serde_json::to_vec(&status).unwrap()).unwrap();
    let again = Live::of(&spec, read).recorded(&spec);
    let trails = |status: &AnalysisRunStatus| -> Vec<Option<Box<Trail>>> {
        status.metrics.iter().map(|metric| metric.trail.clone()).collect()
    };
    assert_eq!(trails(&again), trails(&status), "a restart ends with the same trails");
}
