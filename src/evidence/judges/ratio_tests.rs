//! Runs whose phi is measured: what waits for it, and what it changes.

use super::*;
use crate::{
    api::{
        analysis::{AnalysisRunStatus, Arms, Bake, Builtin, Counter, Metric, RunPhase, Settings},
        common::HumanDuration,
    },
    evidence::run::{advance, plan},
};

const START: i64 = 1_700_000_000;
/// What a source says of stable's pods.
type Pods = Result<Answer, String>;

fn spec() -> AnalysisRunSpec {
    let builtin = |builtin| Counter { builtin: Some(builtin), prometheus: None };
    let judge =
        RatioMetric { bad: builtin(Builtin::Errors), total: builtin(Builtin::Requests), ..RatioMetric::default() };
    AnalysisRunSpec {
        arms: Arms { namespace: "shop".into(), canary: "web-2".into(), stable: "web-1".into(), ..Arms::default() },
        metrics: vec![Metric { name: "errors".into(), ratio: Some(judge), ..Metric::default() }],
        settings: Settings {
            warm_up: Some(HumanDuration::secs(0)),
            no_data_timeout: Some(HumanDuration::secs(600)),
            bake: Some(Bake { duration: Some(HumanDuration::secs(60)), requests: Some(100) }),
            ..Settings::default()
        },
        background: true,
        ..AnalysisRunSpec::default()
    }
}

/// Six hours in which one of four pods has had all errors, or each its share.
fn history(bad: [u64; 4]) -> Pods {
    let window = || bad.map(|bad| ArmCounts { bad, total: 1_000 }).to_vec();
    Ok(Answer::Spread(Some(std::iter::repeat_with(window).take(72).collect())))
}

/// A run over so many windows with ten bad requests of 200 at the canary; also how many windows of stable's pods were asked
/// for each time.
fn run(windows: i64, counted: &Result<(), String>, pods: &Pods) -> (AnalysisRunStatus, Vec<i64>) {
    let (spec, mut status, mut asked) = (spec(), AnalysisRunStatus::default(), Vec::new());
    for step in 0..windows {
        let now = windows::instant(START + 15 * step);
        let due = plan(&spec, &status, now);
        let said = due.queries.iter().map(|planned| match &planned.query {
            Query::Spread(query) => {
                asked.push((query.window.end.as_second() - query.first_end.as_second()) / 300 + 1);
                pods.clone()
            }
            Query::Increments(_) => counted.clone().map(|()| Answer::Increments {
                canary: Some(ArmCounts { bad: 10, total: 200 }),
                stable: Some(ArmCounts { bad: 2, total: 1_800 }),
                notes: Vec::new(),
            }),
            _ => panic!("a ratio asks for windows"),
        });
        let said = said.collect();
        status = advance(&spec, &status, &due.answered::<String>(said), now);
    }
    (status, asked)
}

fn note(status: &AnalysisRunStatus) -> Option<&str> {
    status.metrics[0].notes.iter().map(String::as_str).find(|note| note.starts_with("phi: "))
}

#[test]
fn errors_in_clusters_are_less_evidence() {
    let (alike, asked) = run(4, &Ok(()), &history([5, 5, 5, 5]));
    assert_eq!((alike.metrics[0].verdict, asked.as_slice()), (Verdict::Fail, [72].as_slice()));
    assert_eq!(note(&alike), Some("phi: 1, measured on stable's pods over 6h"));
    let (clustered, _) = run(4, &Ok(()), &history([20, 0, 0, 0]));
    assert_eq!(clustered.metrics[0].verdict, Verdict::Continue);
    assert_eq!(note(&clustered), Some("phi: 18, measured on stable's pods over 6h"));
}

#[test]
fn a_source_that_fails_is_asked_again_for_all_of_it() {
    let gone = || "cannot reach Prometheus at http://p (connection refused)".to_owned();
    let (status, asked) = run(20, &Err(gone()), &Err(gone()));
    assert_eq!((status.metrics[0].verdict, note(&status)), (Verdict::NoData, None));
    assert!(asked.len() > 4 && asked.iter().all(|windows| *windows == 72), "{asked:?}");
}

#[test]
fn what_a_working_source_refuses_is_halved_and_never_stops_a_run() {
    let too_much = "Prometheus rejected the query (HTTP 422, execution): too many samples";
    let (status, asked) = run(40, &Ok(()), &Err(too_much.to_owned()));
    let asked_alone = asked.iter().take_while(|windows| **windows == 72).count();
    assert_eq!(asked[asked_alone..], [36, 18], "{asked:?}");
    assert_eq!((status.phase, status.metrics[0].verdict), (RunPhase::Finished, Verdict::Fail));
    assert_eq!(note(&status), Some(format!("phi: 2, not measured: {too_much}").as_str()));
}

#[test]
fn a_stable_version_that_is_new_has_no_history() {
    let (status, _) = run(12, &Ok(()), &Ok(Answer::Spread(Some(Vec::new()))));
    assert_eq!(note(&status), Some("phi: 2, stable has no hour of history"));
    let (status, _) = run(12, &Ok(()), &Ok(Answer::Spread(None)));
    assert_eq!(note(&status), None);
}
