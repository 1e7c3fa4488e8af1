//! Measurements that take longer than an answer may.

use jiff::Timestamp;
use serde_json::json;

use crate::{
    api::analysis::{AnalysisRunSpec, AnalysisRunStatus, Metric, ThresholdMetric, Verdict},
    evidence::{Answer, JobEnd, Query, run::Live},
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn spec() -> AnalysisRunSpec {
    let job = json!({"template": {"spec": {"containers": [{"name": "test"}]}}});
    let threshold: ThresholdMetric =
        serde_json::from_value(json!({"job": job, "success": "result == 0", "interval": "10s", "failureLimit": 1}))
            .unwrap();
    let metric = Metric { name: "smoke".into(), threshold: Some(threshold), ..Metric::default() };
    AnalysisRunSpec { metrics: vec![metric], ..AnalysisRunSpec::default() }
}

#[test]
fn an_unfinished_measurement_is_asked_for_again_at_its_own_time_and_counts_once() {
    let spec = spec();
    let mut live = Live::of(&spec, AnalysisRunStatus::default());
    let mut look = |second: i64, answer: Answer| {
        let plan = live.plan(&spec, at(second));
        let asked: Vec<Timestamp> = plan.questions().iter().filter_map(Query::measured_at).collect();
        let (results, wake) = (asked.iter().map(|_| Ok::<_, String>(answer.clone())).collect(), plan.wake);
        live.advance(&spec, &plan.answered(results), at(second));
        // Another controller has the record alone.
        live = Live::of(&spec, live.recorded(&spec));
        (asked, wake, live.status().clone())
    };
    let (first, wake, status) = look(0, Answer::Unfinished);
    assert_eq!((first.len(), wake, status.verdict), (1, at(5), Verdict::Continue));
    assert_eq!(look(3, Answer::Unfinished).0, [], "not yet");
    for second in [5, 10, 35] {
        assert_eq!(look(second, Answer::Unfinished).0, first, "the same measurement, however long it takes");
    }
    let failed = Answer::Job(JobEnd { exit_code: 2, log: "no such host".into() });
    let (asked, _, status) = look(40, failed.clone());
    let measured = &status.metrics[0].measurements;
    assert_eq!((asked, measured.len()), (first.clone(), 1));
    assert_eq!((measured[0].value.as_str(), measured[0].verdict), ("exit code 2: no such host", Verdict::Fail));
    assert_eq!(status.verdict, Verdict::Continue, "one failure is allowed");
    let (next, _, status) = look(50, failed);
    assert!(next.len() == 1 && next != first);
    assert_eq!((status.verdict, status.metrics[0].measurements.len()), (Verdict::Fail, 2));
}

#[test]
fn a_measurement_that_was_never_made_is_over_and_no_failure() {
    let spec = spec();
    let mut live = Live::of(&spec, AnalysisRunStatus::default());
    let mut look = |second: i64, result: Result<Answer, String>| {
        let plan = live.plan(&spec, at(second));
        let asked: Vec<Timestamp> = plan.questions().iter().filter_map(Query::measured_at).collect();
        let results = asked.iter().map(|_| result.clone()).collect();
        live.advance(&spec, &plan.answered(results), at(second));
        (asked, live.status().clone())
    };
    let (first, _) = look(0, Ok(Answer::Unfinished));
    let (asked, status) = look(5, Err("no answer from the API server".into()));
    assert_eq!((asked, status.verdict), (first.clone(), Verdict::Continue));
    let (again, _) = look(60, Ok(Answer::Unmeasured("the Job did not end within 120 s (job.timeout)".into())));
    assert_eq!(again, first, "an error does not end it");
    let (next, status) = look(180, Ok(Answer::Unfinished));
    assert!(next.len() == 1 && next != first, "{next:?}");
    assert_eq!((status.verdict, status.metrics[0].measurements.len()), (Verdict::Continue, 0));
}
