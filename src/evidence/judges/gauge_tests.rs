//! Runs of a gauge metric driven minute by minute with invented pods.

use jiff::Timestamp;

use super::*;
use crate::{
    api::{
        analysis::{AnalysisRunStatus, Arms, Bake, Metric, Settings},
        common::HumanDuration,
    },
    evidence::{
        query::{Answer, ArmCounts, PodValue},
        restart_tests::{shown, stored},
        run::{Live, advance, plan},
    },
};

const START: i64 = 1_700_000_040; // on the grid of minutes

fn spec(judge: GaugeMetric) -> AnalysisRunSpec {
    let gauge = GaugeMetric { query: "cpu".into(), ..judge };
    AnalysisRunSpec {
        arms: Arms { namespace: "shop".into(), canary: "web-2".into(), stable: "web-1".into(), ..Arms::default() },
        metrics: vec![Metric { name: "cpu".into(), gauge: Some(gauge), ..Metric::default() }],
        settings: Settings {
            warm_up: Some(HumanDuration::secs(60)),
            no_data_timeout: Some(HumanDuration::secs(240)),
            bake: Some(Bake { duration: Some(HumanDuration::secs(600)), requests: Some(100) }),
            ..Settings::default()
        },
        background: true,
        ..AnalysisRunSpec::default()
    }
}

/// What a source says of one minute: values of the canary's and of stable's pods, and their requests.
#[derive(Clone)]
struct Said {
    canary: Vec<f64>,
    stable: Vec<f64>,
    requests: [u64; 2],
}

fn said(canary: &[f64], stable: &[f64]) -> Said {
    Said { canary: canary.to_vec(), stable: stable.to_vec(), requests: [100, 900] }
}

fn answer(query: &Query, said: &Said) -> Result<Answer, String> {
    let of = |set: &str, values: &[f64]| {
        let one = |(index, value): (usize, &f64)| PodValue {
            namespace: "shop".into(),
            pod: format!("{set}-{index:05}"),
            value: *value,
        };
        values.iter().enumerate().map(one).collect::<Vec<_>>()
    };
    match query {
        Query::Pods(_) => {
            let others = [("shop", "web-10-00000"), ("cart", "web-2-00000"), ("shop", "web-2"), ("shop", "web-2-a-b")];
            let foreign =
                others.map(|(namespace, pod)| PodValue { namespace: namespace.into(), pod: pod.into(), value: 1e9 });
            Ok(Answer::Pods([of("web-2", &said.canary), of("web-1", &said.stable), foreign.to_vec()].concat()))
        }
        Query::Increments(_) => {
            let [canary, stable] = said.requests.map(|total| Some(ArmCounts { bad: 0, total }));
            Ok(Answer::Increments { canary, stable, notes: vec![] })
        }
        _ => unreachable!(),
    }
}

/// Steps once a minute, after each was read; the answers change a little, as values do.
fn drive(spec: &AnalysisRunSpec, minutes: &[Said]) -> AnalysisRunStatus {
    resume(spec, AnalysisRunStatus::default(), minutes, 0)
}

fn resume(spec: &AnalysisRunSpec, mut status: AnalysisRunStatus, minutes: &[Said], from: usize) -> AnalysisRunStatus {
    let at = |second: i64| Timestamp::from_second(START + second).unwrap();
    let empty = Vec::<Result<Answer, String>>::new();
    if from == 0 && status.started_at.is_none() {
        let begin = plan(spec, &status, at(0));
        status = advance(spec, &status, &begin.answered(empty), at(0));
    }
    for (index, minute) in minutes.iter().enumerate() {
        let now = at(75 + 60 * (from + index) as i64);
        let due = plan(spec, &status, now);
        let results = due.queries.iter().map(|planned| answer(&planned.query, minute)).collect();
        status = advance(spec, &status, &due.answered(results), now);
    }
    status
}

/// The same minute with a little noise in the canary.
fn noisy(minute: &Said, minutes: usize) -> Vec<Said> {
    let with = |index: usize| {
        let noise = [0.97, 1.02, 1.0, 0.98, 1.03][index % 5];
        Said { canary: minute.canary.iter().map(|value| value * noise).collect(), ..minute.clone() }
    };
    (0..minutes).map(with).collect()
}

fn says(status: &AnalysisRunStatus) -> (Verdict, &str) {
    (status.metrics[0].verdict, status.metrics[0].reason.as_str())
}

#[test]
fn a_minute_is_asked_for_once_it_is_over_and_scraped() {
    let spec = spec(GaugeMetric { pod_label: Some("exported_pod".into()), ..GaugeMetric::default() });
    let begun = drive(&spec, &[]);
    let at = |second: i64| Timestamp::from_second(START + second).unwrap();
    let early = plan(&spec, &begun, at(74));
    assert_eq!((early.queries.len(), early.wake), (0, at(75)));
    let due = plan(&spec, &begun, at(75));
    let Query::Pods(query) = &due.queries[0].query else { panic!("not of pods") };
    assert_eq!((query.at, query.warm_up_seconds, query.query.as_str()), (at(60), 60, "cpu"));
    assert_eq!((query.pod_label.as_str(), query.namespace_label.as_str()), ("exported_pod", "namespace"));
    assert_eq!((due.queries.len(), due.wake), (1, at(135)));
}

#[test]
fn twice_as_much_fails_with_its_numbers() {
    let status = drive(&spec(GaugeMetric::default()), &noisy(&said(&[200.0, 220.0], &[100.0, 104.0, 96.0]), 14));
    assert_eq!(says(&status), (Verdict::Fail, "WorseThanStable"));
    let metric = &status.metrics[0];
    assert_eq!((metric.canary.as_str(), metric.stable.as_str()), ("210 (2 pods)", "100 (3 pods)"));
    assert_eq!(metric.comparison, "ratio 2.1, 95 % CS 2-2.2, p < 0.000001");
    assert_eq!((metric.fail_progress, metric.needs.clone()), (1.0, None));
    assert!(status.message.starts_with("cpu failed: canary 210 (2 pods), stable 100 (3 pods), ratio"));
}

#[test]
fn the_same_passes_after_the_bake_and_says_what_it_waits_for() {
    let minutes = noisy(&said(&[100.0, 101.0], &[100.0, 104.0, 96.0]), 11);
    let spec = spec(GaugeMetric::default());
    let early = drive(&spec, &minutes[..3]);
    assert_eq!(says(&early), (Verdict::Continue, "Undecided"));
    assert_eq!(early.metrics[0].needs.as_deref(), Some("about 7m more with values of both"));
    let waits = drive(&spec, &minutes[..9]);
    assert_eq!(says(&waits), (Verdict::Continue, "Bake"));
    let passed = drive(&spec, &minutes);
    assert_eq!((passed.phase, says(&passed)), (crate::api::analysis::RunPhase::Running, (Verdict::Pass, "NotWorse")));
    // A new weight needs a Pass of its own.
    let next = AnalysisRunSpec { epoch: 1, ..spec };
    let anew = resume(&next, passed, &noisy(&said(&[100.0], &[100.0]), 2), minutes.len());
    assert_eq!(says(&anew), (Verdict::Continue, "Undecided"));
}

#[test]
fn per_request_each_arm_is_divided_by_its_requests() {
    let spec = spec(GaugeMetric { per: Some(GaugePer::Request), ..GaugeMetric::default() });
    // The canary's pod works half as much, on a tenth of the requests: five times as much for each.
    let status = drive(&spec, &noisy(&said(&[50.0], &[100.0]), 14));
    assert_eq!(says(&status), (Verdict::Fail, "WorseThanStable"));
    assert_eq!(status.metrics[0].stable, "0.1111 per request (1 pod)");
    let idle = Said { requests: [0, 900], ..said(&[50.0], &[100.0]) };
    let status = drive(&spec, &vec![idle; 6]);
    assert_eq!(says(&status), (Verdict::NoData, "NoCanaryValues"));
    assert!(status.metrics[0].notes.contains(&"left out: canary had no request".to_owned()));
}

/// Nothing that is no ratio ever decides, however long it lasts.
#[test]
fn values_without_a_ratio_are_left_out_with_the_reason() {
    let nan = f64::NAN;
    for (canary, stable, reason, note) in [
        (vec![], vec![1.0], "NoCanaryValues", "left out: no pod of canary has a value"),
        (vec![1.0], vec![], "NoStableValues", "left out: no pod of stable has a value"),
        (vec![nan, f64::INFINITY], vec![1.0], "NoCanaryValues", "left out: no pod of canary has a value"),
        (vec![0.0, 0.0], vec![1.0], "NoCanaryValues", "left out: the value of canary is 0, which has no ratio"),
        (vec![9.0], vec![0.0], "NoStableValues", "left out: the value of stable is 0, which has no ratio"),
        (
            vec![-3.0, 9.0],
            vec![1.0],
            "NoCanaryValues",
            "left out: canary has a negative value, which has no ratio; use a threshold",
        ),
    ] {
        let judge = GaugeMetric::default();
        let status = drive(&spec(judge.clone()), &vec![said(&canary, &stable); 5]);
        assert_eq!(says(&status), (Verdict::NoData, reason), "{canary:?} {stable:?}");
        assert!(status.metrics[0].notes.contains(&note.to_owned()), "{:?}", status.metrics[0].notes);
        let long = drive(&spec(judge), &vec![said(&canary, &stable); 60]);
        assert_eq!(says(&long), (Verdict::Inconclusive, reason), "{canary:?} {stable:?}");
    }
}

#[test]
fn a_pod_with_two_series_is_ambiguous() {
    let spec = spec(GaugeMetric::default());
    let begun = drive(&spec, &[]);
    let now = Timestamp::from_second(START + 75).unwrap();
    let due = plan(&spec, &begun, now);
    let pod = |pod: &str| PodValue { namespace: String::new(), pod: pod.into(), value: 1.0 };
    let answer = Answer::Pods(vec![pod("web-2-a"), pod("web-2-a"), pod("web-1-a")]);
    let status = advance(&spec, &begun, &due.answered(vec![Ok::<_, String>(answer)]), now);
    let note = "left out: pod web-2-a has several series; aggregate them, as in sum by (namespace, pod) (...)";
    assert_eq!(status.metrics[0].notes, [note]);
    assert_eq!(status.metrics[0].measurements[0].verdict, Verdict::NoData);
}

#[test]
fn a_source_that_fails_is_no_data_and_the_minute_is_asked_for_again() {
    let spec = spec(GaugeMetric::default());
    let begun = drive(&spec, &[]);
    let at = |second: i64| Timestamp::from_second(START + second).unwrap();
    let due = plan(&spec, &begun, at(75));
    let failed = advance(&spec, &begun, &due.answered(vec![Err::<Answer, _>("no response".to_owned())]), at(75));
    assert_eq!(says(&failed), (Verdict::NoData, "SourceError"));
    let again = plan(&spec, &failed, at(95));
    let Query::Pods(query) = &again.queries[0].query else { panic!("not of pods") };
    assert_eq!(query.at, at(60));
}

#[test]
fn without_traffic_at_stable_there_is_nothing_to_compare_with() {
    let spec = AnalysisRunSpec { one_armed: true, ..spec(GaugeMetric::default()) };
    let status = drive(&spec, &noisy(&said(&[900.0], &[1.0, 1.1]), 30));
    assert_eq!(says(&status), (Verdict::Inconclusive, "NoBaseline"));
    assert!(status.metrics[0].notes[0].starts_with("OneArmed"), "{:?}", status.metrics[0].notes);
}

/// A controller that slept reads the minutes back and ends with the same evidence.
#[test]
fn missed_minutes_are_read_back_in_order() {
    let spec = spec(GaugeMetric::default());
    let minute = said(&[150.0, 140.0], &[100.0, 110.0]);
    let awake = drive(&spec, &vec![minute.clone(); 12]);
    let mut slept = drive(&spec, &vec![minute.clone(); 3]);
    let now = Timestamp::from_second(START + 75 + 60 * 11).unwrap();
    let due = plan(&spec, &slept, now);
    assert_eq!(due.queries.len(), 9);
    let results = due.queries.iter().map(|planned| answer(&planned.query, &minute)).collect();
    slept = advance(&spec, &slept, &due.answered(results), now);
    assert_eq!(slept.metrics[0].accumulator, awake.metrics[0].accumulator);
    assert!(serde_json::to_string(&slept.metrics[0].accumulator).unwrap().len() < 2_000);
}

#[test]
fn the_trail_keeps_both_values_and_the_interval() {
    let spec = spec(GaugeMetric::default());
    let status = drive(&spec, &noisy(&said(&[200.0, 220.0], &[100.0, 104.0, 96.0]), 14));
    let points = status.metrics[0].trail.as_ref().unwrap().points();
    assert_eq!(points.len(), 8, "it ends with its Fail");
    assert_eq!(points[2].window, Some(TrailWindow::Compared { value: 210.0, reference: 100.0 }));
    assert!(points[3].evidence.fail < 1.0 && points[7].evidence.fail == 1.0, "{points:?}");
    let (low, high) = points[7].evidence.interval.unwrap();
    let shown = format!("95 % CS {}", crate::stats::Interval { low, high });
    assert!(status.metrics[0].comparison.contains(&shown), "{shown} is not in {}", status.metrics[0].comparison);
    let alike = drive(&spec, &noisy(&said(&[100.0], &[100.0, 104.0, 96.0]), 14));
    assert_eq!(alike.metrics[0].trail.as_ref().unwrap().points()[13].evidence.pass, 1.0);
    let nothing = drive(&spec, &noisy(&said(&[], &[100.0]), 5));
    assert_eq!(nothing.metrics[0].trail, None, "minutes without a ratio have no point");
}

/// A process that never stops, and one that knows no more than what is on record after each minute.
#[test]
fn a_restart_at_any_minute_changes_nothing() {
    let spec = spec(GaugeMetric { per: Some(GaugePer::Request), ..GaugeMetric::default() });
    let minutes = noisy(&said(&[12.0, 13.0], &[100.0, 104.0, 96.0]), 14);
    let at = |minute: usize| Timestamp::from_second(START + 75 + 60 * minute as i64).unwrap();
    let mut restarted = drive(&spec, &[]);
    let mut live = Live::of(&spec, restarted.clone());
    for (index, minute) in minutes.iter().enumerate() {
        let due = live.plan(&spec, at(index));
        let results = due.queries.iter().map(|planned| answer(&planned.query, minute)).collect();
        live.advance(&spec, &due.answered::<String>(results), at(index));
        restarted = stored(&resume(&spec, stored(&restarted), std::slice::from_ref(minute), index));
    }
    assert_eq!(shown(&restarted), shown(&live.recorded(&spec)));
    assert_ne!(restarted.metrics[0].verdict, Verdict::NoData);
}
