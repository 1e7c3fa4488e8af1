//! Runs of an A/B test driven window by window with invented answers.

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::{
    api::{
        analysis::{
            AnalysisRunSpec, AnalysisRunStatus, Arms, Builtin, Counter, Metric, PrometheusCounter, RatioMetric,
            RunPhase, Settings,
        },
        common::HumanDuration,
    },
    evidence::{
        judges::frozen,
        query::{ArmCounts, IncrementsQuery},
        restart_tests::{shown, stored},
        run::{advance as step_run, plan},
    },
};

/// On the grid of 15 s.
const START: i64 = 1_700_000_010;
/// The warm-up of 30 s leaves out two windows; the third ends here.
const FIRST_END: i64 = 45;
/// How much later than its end a window is read: one window, and four in which a change of weight would settle.
const LAG: i64 = 75;

/// Conversions and users of the candidate and of the control; `None` where no series is.
type Window = [Option<[u64; 2]>; 2];

const ALIKE: Window = both(30, 300, 30, 300);
const BETTER: Window = both(36, 300, 30, 300);
const WORSE: Window = both(24, 300, 30, 300);

const fn both(kc: u64, nc: u64, kb: u64, nb: u64) -> Window {
    [Some([kc, nc]), Some([kb, nb])]
}

fn counter(text: &str) -> Counter {
    Counter { builtin: None, prometheus: Some(PrometheusCounter::of(text)) }
}

fn goal() -> Metric {
    let judge = ConversionMetric {
        successes: counter("orders_total"),
        trials: counter("visitors_total"),
        ..ConversionMetric::default()
    };
    Metric { name: "orders".into(), conversion: Some(judge), ..Metric::default() }
}

fn spec(share: Option<u32>) -> AnalysisRunSpec {
    AnalysisRunSpec {
        arms: Arms { namespace: "shop".into(), canary: "web-2".into(), stable: "web-1".into(), ..Arms::default() },
        metrics: vec![goal()],
        settings: Settings {
            warm_up: Some(HumanDuration::secs(30)),
            no_data_timeout: Some(HumanDuration::secs(120)),
            ..Settings::default()
        },
        background: true,
        candidate_share: share.map(Percent::whole),
        ..AnalysisRunSpec::default()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

fn answer(window: Window) -> Answer {
    let of = |side: Option<[u64; 2]>| side.map(|[bad, total]| ArmCounts { bad, total });
    Answer::Increments { canary: of(window[0]), stable: of(window[1]), notes: vec![] }
}

/// One step; each due window is asked by the second of its end after START.
fn step(
    spec: &AnalysisRunSpec,
    status: &AnalysisRunStatus,
    source: &dyn Fn(i64) -> Result<Window, String>,
    second: i64,
) -> AnalysisRunStatus {
    let due = plan(spec, status, at(second));
    let said = |query: &Query| match query {
        Query::Increments(IncrementsQuery { end, .. }) => source(end.as_second() - START).map(answer),
        Query::Spread(_) => Ok(Answer::Spread(None)),
        _ => panic!("a conversion and its guardrails ask for windows"),
    };
    let results = due.queries.iter().map(|planned| said(&planned.query)).collect();
    step_run(spec, status, &due.answered(results), at(second))
}

/// Steps of 15 s over these seconds.
fn over(
    spec: &AnalysisRunSpec,
    status: AnalysisRunStatus,
    seconds: std::ops::RangeInclusive<i64>,
    source: impl Fn(i64) -> Result<Window, String>,
) -> AnalysisRunStatus {
    seconds.step_by(15).fold(status, |status, second| step(spec, &status, &source, second))
}

/// So many counted windows, all alike.
fn drive(spec: &AnalysisRunSpec, window: Window, count: i64) -> AnalysisRunStatus {
    let last = FIRST_END + LAG + 15 * (count - 1);
    over(spec, AnalysisRunStatus::default(), 0..=last, |_| Ok(window))
}

fn says(status: &AnalysisRunStatus) -> (Verdict, &str) {
    (status.metrics[0].verdict, status.metrics[0].reason.as_str())
}

fn has_note(status: &AnalysisRunStatus, text: &str) -> bool {
    status.metrics[0].notes.iter().any(|note| note.contains(text))
}

#[test]
fn windows_are_asked_for_both_variants_alike_after_the_warm_up_and_late() {
    let spec = spec(Some(50));
    let begun = step(&spec, &AnalysisRunStatus::default(), &|_| Ok(ALIKE), 0);
    assert_eq!(says(&begun), (Verdict::Continue, "WarmUp"));
    let early = plan(&spec, &begun, at(FIRST_END + LAG - 1));
    assert_eq!((early.queries.len(), early.wake), (0, at(FIRST_END + LAG)));
    let due = plan(&spec, &begun, at(FIRST_END + LAG));
    let Query::Increments(query) = &due.queries[0].query else { panic!("not a window") };
    assert_eq!((query.end, query.warm_up_seconds, query.bad_comes_later), (at(FIRST_END), 0, true));
    assert_eq!((&query.bad, &query.total), (&counter("orders_total"), &counter("visitors_total")));
}

#[test]
fn a_better_candidate_wins_and_the_run_goes_on() {
    let status = drive(&spec(Some(50)), BETTER, 80);
    assert_eq!((status.phase, says(&status)), (RunPhase::Running, (Verdict::Pass, "CandidateWins")));
    let metric = &status.metrics[0];
    assert_eq!((metric.canary.as_str(), metric.stable.as_str()), ("12.00 % (2,880/24,000)", "10.00 % (2,400/24,000)"));
    assert!(metric.comparison.starts_with("lift +20.0 %, 95 % CS +"), "{}", metric.comparison);
    assert_eq!(metric.needs, None);
    assert!(has_note(&status, "split: planned 50 %, seen 50.00 % of 48,000 users, E = 0."), "{:?}", metric.notes);
    assert!(has_note(&status, "best: the candidate with 100 %"), "{:?}", metric.notes);
    let later = over(&spec(Some(50)), status, FIRST_END + LAG + 1200..=FIRST_END + LAG + 1500, |_| Ok(BETTER));
    assert_eq!(later.metrics[0].canary, "12.00 % (3,636/30,300)", "it goes on counting");
}

#[test]
fn a_better_control_wins_and_the_run_goes_on() {
    let status = drive(&spec(Some(50)), WORSE, 80);
    assert_eq!((status.phase, says(&status)), (RunPhase::Running, (Verdict::Fail, "ControlWins")));
    assert!(status.message.starts_with("orders: the control wins: candidate 8.00 % ("), "{}", status.message);
    assert_eq!(status.metrics[0].fail_progress, 1.0);
    let later = over(&spec(Some(50)), status, FIRST_END + LAG + 1200..=FIRST_END + LAG + 1500, |_| Ok(WORSE));
    assert_eq!(later.metrics[0].stable, "10.00 % (3,030/30,300)");
    let as_a_step = AnalysisRunSpec { background: false, ..spec(Some(50)) };
    assert_eq!(drive(&as_a_step, WORSE, 80).phase, RunPhase::Finished, "a step ends with its verdict");
}

#[test]
fn a_failed_guardrail_still_ends_the_run() {
    let judge = RatioMetric { bad: counter("bad"), total: counter("all"), ..RatioMetric::default() };
    let mut spec = spec(Some(50));
    spec.metrics.push(Metric { name: "errors".into(), ratio: Some(judge), ..Metric::default() });
    let status = drive(&spec, both(90, 300, 30, 300), 20);
    assert_eq!((status.phase, status.verdict), (RunPhase::Finished, Verdict::Fail));
    assert_eq!(status.metrics[1].verdict, Verdict::Fail);
}

#[test]
fn no_difference_and_too_little_to_say_are_told_apart() {
    let settled = drive(&spec(Some(50)), both(3_000, 30_000, 3_000, 30_000), 60);
    assert_eq!((settled.phase, says(&settled)), (RunPhase::Running, (Verdict::Inconclusive, "NoDifference")));
    assert!(settled.message.starts_with("orders shows no relevant difference: lift +0.0 %"), "{}", settled.message);
    let open = drive(&spec(Some(50)), ALIKE, 60);
    assert_eq!(says(&open), (Verdict::Continue, "Undecided"));
    let needs = open.metrics[0].needs.clone().unwrap();
    assert!(needs.starts_with("about ") && needs.ends_with(" more users"), "{needs}");
    let few = drive(&spec(Some(50)), both(1, 100, 30, 100), 99);
    assert_eq!(says(&few), (Verdict::Continue, "Undecided"), "99 conversions decide nothing");
    assert!(few.metrics[0].needs.as_deref().unwrap().starts_with("1 more conversion of the candidate"));
    assert_eq!(says(&drive(&spec(Some(50)), both(1, 100, 30, 100), 100)), (Verdict::Fail, "ControlWins"));
}

#[test]
fn s71_a_broken_split_is_invalid_before_anything_else() {
    let status = drive(&spec(Some(50)), both(45, 250, 30, 350), 40);
    assert_eq!((status.phase, says(&status)), (RunPhase::Running, (Verdict::Inconclusive, "Invalid")));
    // Frozen at the look that found it.
    let text = &status.metrics[0].comparison;
    assert!(text.starts_with("planned 50 %, seen 41.67 % of 1,200 users, E = "), "{text}");
    assert_eq!(status.message, format!("orders: users were not assigned as planned: {text}"));
    let by_header = drive(&spec(None), both(45, 250, 30, 350), 40);
    assert_eq!(says(&by_header), (Verdict::Pass, "CandidateWins"));
    assert!(has_note(&by_header, "split: not checked"), "{:?}", by_header.metrics[0].notes);
}

#[test]
fn conversions_may_outnumber_the_users_of_their_window() {
    let source = |end: i64| Ok(if (end / 15) % 2 == 0 { both(0, 60, 0, 60) } else { both(12, 2, 12, 2) });
    let status = over(&spec(Some(50)), AnalysisRunStatus::default(), 0..=FIRST_END + LAG + 15 * 19, source);
    assert_eq!(status.metrics[0].canary, "19.35 % (120/620)");
}

#[test]
fn a_window_counts_for_both_variants_or_for_none() {
    let source = |end: i64| match end {
        60 | 75 => Ok([None, Some([30, 300])]),
        90 => Ok([None, None]),
        _ => Ok(ALIKE),
    };
    let status = over(&spec(Some(50)), AnalysisRunStatus::default(), 0..=FIRST_END + LAG + 15 * 9, source);
    assert_eq!(
        (&status.metrics[0].canary[..], &status.metrics[0].stable[..]),
        ("10.00 % (210/2,100)", "10.00 % (210/2,100)")
    );
    assert!(has_note(&status, "excluded: 2 windows"), "{:?}", status.metrics[0].notes);
    assert!(has_note(&status, "missed: 1 window "), "{:?}", status.metrics[0].notes);
}

/// The candidate is lost and recovers (S56): in between, control receives all users.
#[test]
fn windows_around_a_change_of_weight_count_for_neither() {
    let (lost, noticed, back) = (600, 630, 900);
    let source = |end: i64| Ok(if (lost..back).contains(&end) { both(0, 0, 60, 600) } else { ALIKE });
    let (half, none) = (spec(Some(50)), AnalysisRunSpec { epoch: 1, ..spec(Some(0)) });
    let again = AnalysisRunSpec { epoch: 2, ..spec(Some(50)) };
    let status = over(&half, AnalysisRunStatus::default(), 0..=noticed - 15, source);
    let status = over(&none, status, noticed..=back, source);
    let status = over(&again, status, back + 15..=3_000, source);
    assert_eq!(status.metrics[0].reason, MetricReason::Undecided, "{:?}", status.metrics[0].notes);
    assert!(has_note(&status, "split: planned 50 %, seen 50.00 %"), "{:?}", status.metrics[0].notes);
}

#[test]
fn without_users_there_is_no_data_and_no_verdict_is_lost() {
    let idle = [Some([0, 0]), Some([3, 30])];
    let silent = drive(&spec(None), idle, 8);
    assert_eq!(says(&silent), (Verdict::NoData, "NoCandidateUsers"));
    assert_eq!(says(&drive(&spec(None), [Some([3, 30]), None], 8)), (Verdict::NoData, "NoControlUsers"));
    let long = drive(&spec(None), idle, 20);
    assert_eq!((long.phase, says(&long)), (RunPhase::Running, (Verdict::Inconclusive, "NoCandidateUsers")));
    let decided = drive(&spec(Some(50)), BETTER, 80);
    let from = FIRST_END + LAG + 15 * 80;
    let night = over(&spec(Some(50)), decided, from..=from + 1_200, |_| Ok(both(0, 0, 0, 0)));
    assert_eq!(says(&night), (Verdict::Pass, "CandidateWins"), "a quiet night takes nothing back");
}

#[test]
fn source_errors_are_no_data_and_nothing_is_lost() {
    let spec = spec(Some(50));
    let last = FIRST_END + LAG + 15 * 29;
    let failing = over(&spec, AnalysisRunStatus::default(), 0..=FIRST_END + LAG + 15, |end| match end {
        FIRST_END => Ok(BETTER),
        _ => Err("no route to host".to_owned()),
    });
    assert_eq!(says(&failing), (Verdict::NoData, "SourceError"));
    assert!(failing.message.ends_with("no route to host"), "{}", failing.message);
    let back = over(&spec, failing, last - 15..=last, |_| Ok(BETTER));
    assert_eq!(back.metrics[0].canary, drive(&spec, BETTER, 30).metrics[0].canary);
}

#[test]
fn alpha_is_shared_with_the_guardrails() {
    let mut both = spec(None);
    assert_eq!(frozen(&both, &both.metrics[0]).alpha_conversion, 0.05);
    both.metrics.push(Metric { name: "errors".into(), ratio: Some(RatioMetric::default()), ..Metric::default() });
    let frozen = frozen(&both, &both.metrics[0]);
    assert!((frozen.alpha_conversion + frozen.alpha + frozen.alpha_catastrophic - 0.05).abs() < 1e-12);
    let builtin = |builtin| Counter { builtin: Some(builtin), prometheus: None };
    both.metrics[1].ratio = Some(RatioMetric {
        bad: builtin(Builtin::Errors),
        total: builtin(Builtin::Requests),
        ..RatioMetric::default()
    });
    let shown = drive(&both, BETTER, 10).metrics[0].comparison.clone();
    assert!(shown.contains("97.5 % CS"), "{shown}");
}

fn any_window() -> impl Strategy<Value = Window> {
    let side = || prop::option::weighted(0.9, (0_u64..40, 0_u64..300).prop_map(|(k, n)| [k, n]));
    (side(), side()).prop_map(|(candidate, control)| [candidate, control])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_after_every_window_changes_nothing(windows in prop::collection::vec(any_window(), 1..80), change in 0_usize..80) {
        let source = |end: i64| Ok(windows[usize::try_from(end / 15).unwrap() % windows.len()]);
        let mut kept = AnalysisRunStatus::default();
        let mut restarted = AnalysisRunStatus::default();
        for index in 0..windows.len() {
            let spec = AnalysisRunSpec { epoch: u32::from(index >= change), ..spec(Some(50)) };
            kept = step(&spec, &kept, &source, 15 * index as i64);
            restarted = stored(&step(&spec, &restarted, &source, 15 * index as i64));
            prop_assert_eq!(shown(&kept), shown(&restarted));
        }
        prop_assert!(serde_json::to_string(&restarted).unwrap().len() < 8_192);
    }

    #[test]
    fn sleeping_through_windows_changes_nothing(windows in prop::collection::vec(any_window(), 1..60)) {
        let source = |end: i64| Ok(windows[usize::try_from(end / 15).unwrap() % windows.len()]);
        let last = FIRST_END + LAG + 15 * windows.len() as i64;
        let awake = over(&spec(Some(50)), AnalysisRunStatus::default(), 0..=last, source);
        let mut asleep = over(&spec(Some(50)), AnalysisRunStatus::default(), 0..=0, source);
        while !plan(&spec(Some(50)), &asleep, at(last)).queries.is_empty() {
            asleep = step(&spec(Some(50)), &asleep, &source, last);
        }
        let state = |status: &AnalysisRunStatus| status.metrics[0].accumulator.clone().unwrap()["state"].clone();
        prop_assert_eq!(state(&awake), state(&asleep));
    }
}
