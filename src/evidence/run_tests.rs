//! Runs driven window by window with invented answers.

use proptest::prelude::*;

use super::*;
use crate::{
    api::{
        analysis::{
            Arms, Bake, Builtin, Counter, Pack, RatioMetric, RunPrometheus, Settings, ThresholdMetric, TrailWindow,
        },
        common::HumanDuration,
    },
    evidence::{
        query::{Answer, ArmCounts},
        restart_tests::{shown, stored},
    },
};

const START: i64 = 1_700_000_000;
const GOOD: Window = Window::Counts([0, 200, 2, 1800]);
const BAD: Window = Window::Counts([10, 200, 2, 1800]);
const IDLE_CANARY: Window = Window::Counts([0, 0, 2, 1800]);
const IDLE_STABLE: Window = Window::Counts([0, 200, 0, 0]);

/// What a source says of one window.
#[derive(Clone, Debug)]
enum Window {
    /// Canary bad and total, stable bad and total.
    Counts([u64; 4]),
    Gone,
    Number(f64),
    Series(usize),
    Empty,
}

fn answer(window: &Window) -> Result<Answer, String> {
    match window {
        Window::Counts([kc, nc, kb, nb]) => Ok(Answer::Increments {
            canary: (*nc > 0).then_some(ArmCounts { bad: *kc, total: *nc }),
            stable: (*nb > 0).then_some(ArmCounts { bad: *kb, total: *nb }),
            notes: vec![],
        }),
        Window::Gone => Err("cannot reach Prometheus at http://p (connection refused)".into()),
        Window::Number(value) => Ok(Answer::Scalar(Some(*value))),
        Window::Series(count) => Ok(Answer::Several(*count)),
        Window::Empty => Ok(Answer::Scalar(None)),
    }
}

fn ratio(name: &str) -> Metric {
    let builtin = |builtin| Counter { builtin: Some(builtin), prometheus: None };
    let judge =
        RatioMetric { bad: builtin(Builtin::Errors), total: builtin(Builtin::Requests), ..RatioMetric::default() };
    Metric { name: name.into(), ratio: Some(judge), ..Metric::default() }
}

fn threshold(judge: ThresholdMetric) -> Metric {
    let interval = judge.interval.or(Some(HumanDuration::secs(15)));
    Metric {
        name: "queue".into(),
        threshold: Some(ThresholdMetric { query: "q".into(), interval, ..judge }),
        ..Metric::default()
    }
}

fn spec(metrics: Vec<Metric>) -> AnalysisRunSpec {
    AnalysisRunSpec {
        arms: Arms { namespace: "shop".into(), canary: "web-2".into(), stable: "web-1".into(), ..Arms::default() },
        metrics,
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

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

/// One step at a time: everything due gets `window`.
fn step(spec: &AnalysisRunSpec, status: &AnalysisRunStatus, window: &Window, now: Timestamp) -> AnalysisRunStatus {
    let plan = plan(spec, status, now);
    let results = plan.queries.iter().map(|_| answer(window)).collect();
    advance(spec, status, &plan.answered::<String>(results), now)
}

/// A run that begins at START and is stepped once per window, 15 s each; START + 40 reads the first.
fn drive(spec: &AnalysisRunSpec, windows: &[Window]) -> AnalysisRunStatus {
    let begun = step(spec, &AnalysisRunStatus::default(), &Window::Empty, at(0));
    resume(spec, begun, windows, 0)
}

fn resume(spec: &AnalysisRunSpec, status: AnalysisRunStatus, windows: &[Window], from: usize) -> AnalysisRunStatus {
    let time = |index: usize| at(40 + 15 * (from + index) as i64);
    windows.iter().enumerate().fold(status, |status, (index, window)| step(spec, &status, window, time(index)))
}

fn says(status: &AnalysisRunStatus) -> (Verdict, &str) {
    (status.metrics[0].verdict, status.metrics[0].reason.as_str())
}

#[test]
fn the_first_window_lies_after_the_start_and_is_read_a_window_later() {
    let spec = spec(vec![ratio("errors")]);
    let begun = step(&spec, &AnalysisRunStatus::default(), &GOOD, at(0));
    assert_eq!((begun.started_at, says(&begun)), (Some(at(0)), (Verdict::Continue, "WarmUp")));
    // 1_700_000_000 is 5 s short of the grid: the first whole window ends 25 s in hence is read after 40 s.
    let early = plan(&spec, &begun, at(39));
    assert_eq!((early.queries.len(), early.wake), (0, at(40)));
    let due = plan(&spec, &begun, at(40));
    let Query::Increments(query) = &due.queries[0].query else { panic!("not a window") };
    assert_eq!((query.end.as_second() % 15, query.end, due.wake), (0, at(25), at(55)));
    assert_eq!((query.window_seconds, query.warm_up_seconds, query.pack), (15, 30, Pack::Application));
}

#[test]
fn a_good_canary_passes_after_the_bake_and_goes_on_in_the_background() {
    let spec = spec(vec![ratio("errors")]);
    let three = drive(&spec, &vec![GOOD; 3]);
    assert_eq!(says(&three), (Verdict::Continue, "Undecided"));
    let status = drive(&spec, &vec![GOOD; 20]);
    assert_eq!(
        (status.phase, status.verdict, says(&status)),
        (RunPhase::Running, Verdict::Pass, (Verdict::Pass, "NotWorse"))
    );
    assert_eq!(status.message, "all required metrics passed");
    let metric = &status.metrics[0];
    assert_eq!((metric.canary.as_str(), metric.stable.as_str()), ("0 % (0/4,000)", "0.11 % (40/36,000)"));
    assert!(metric.comparison.contains("95 % CS") && metric.comparison.ends_with("p = 1"), "{}", metric.comparison);
    assert_eq!((metric.needs.clone(), metric.measurements.len()), (None, 20));
    assert_eq!(metric.measurements[19].value, "canary 0/200, stable 2/1800");
    assert_eq!(status.windows_through, Some(at(25 + 19 * 15)));
}

/// A source that sees nothing but pods that are too young to count.
fn drive_young(spec: &AnalysisRunSpec, young: &Window, steps: usize) -> AnalysisRunStatus {
    let begun = step(spec, &AnalysisRunStatus::default(), &Window::Empty, at(0));
    (0..steps).fold(begun, |status, index| {
        let now = at(40 + 15 * index as i64);
        let plan = plan(spec, &status, now);
        let of = |planned: &Planned| match &planned.query {
            Query::Increments(query) if query.warm_up_seconds == 0 => answer(young),
            _ => answer(&Window::Counts([0; 4])),
        };
        let results = plan.queries.iter().map(of).collect();
        advance(spec, &status, &plan.answered::<String>(results), now)
    })
}

#[test]
fn windows_without_any_series_are_counted_as_missed() {
    let windows = [vec![GOOD; 3], vec![Window::Counts([0; 4]); 2], vec![GOOD; 3]].concat();
    let notes = &drive(&spec(vec![ratio("errors")]), &windows).metrics[0].notes;
    assert!(notes.iter().any(|note| note.starts_with("missed: 2 windows")), "{notes:?}");
    let idle = drive(&spec(vec![ratio("errors")]), &[IDLE_CANARY; 3]);
    assert!(!idle.metrics[0].notes.iter().any(|note| note.starts_with("missed")), "idle is not missed");
}

/// One-armed, with these counts of stable in the hour before, and of the canary in each window.
fn drive_alone(before: Result<[u64; 2], &str>, canary: [u64; 2], steps: usize) -> AnalysisRunStatus {
    let spec = AnalysisRunSpec { one_armed: true, ..spec(vec![ratio("errors")]) };
    (0..steps).fold(AnalysisRunStatus::default(), |status, index| {
        let now = at(15 * index as i64);
        let plan = plan(&spec, &status, now);
        let of = |planned: &Planned| match &planned.query {
            Query::Increments(query) if query.window_seconds == 3600 => {
                before.map_err(str::to_owned).and_then(|[bad, total]| answer(&Window::Counts([0, 0, bad, total])))
            }
            _ => answer(&Window::Counts([canary[0], canary[1], 0, 0])),
        };
        let results = plan.queries.iter().map(of).collect();
        advance(&spec, &status, &plan.answered(results), now)
    })
}

#[test]
fn without_a_baseline_the_hour_before_is_the_measure() {
    let verdict = |before, canary| drive_alone(before, canary, 80);
    let clean = verdict(Ok([2, 1800]), [0, 200]);
    assert_eq!(says(&clean), (Verdict::Pass, "NotWorse"));
    assert!(clean.metrics[0].notes[0].starts_with("OneArmed"), "{:?}", clean.metrics[0].notes);
    assert_eq!(clean.metrics[0].stable, "0.11 % (2/1,800) in the hour before");
    assert_eq!(verdict(Ok([2, 1800]), [4, 200]).verdict, Verdict::Fail);
    // A service that answers 3 % with errors all the time is no worse for it.
    let ever = verdict(Ok([540, 18_000]), [6, 200]);
    assert_ne!(ever.verdict, Verdict::Fail, "{}", ever.message);
    assert_eq!(verdict(Ok([0, 0]), [4, 200]).verdict, Verdict::Fail, "unknown before: the floor alone");
    assert_eq!(verdict(Ok([2, 1800]), [0, 0]).metrics[0].reason, MetricReason::NoCanaryRequests);
    let unknown = drive_alone(Err("no route to host"), [4, 200], 8);
    assert_eq!(says(&unknown), (Verdict::NoData, "SourceError"), "nothing is judged before the answer");
}

#[test]
fn a_plainly_broken_canary_fails_while_its_pods_warm_up() {
    let spec = spec(vec![ratio("errors")]);
    let status = drive_young(&spec, &Window::Counts([120, 200, 2, 1800]), 1);
    assert_eq!((status.phase, says(&status)), (RunPhase::Finished, (Verdict::Fail, "Catastrophic")));
    assert!(status.message.contains("60.00 % (120/200)"), "{}", status.message);
    // Worse, but not plainly broken: that is for the judge, after the warm-up.
    for young in [BAD, Window::Counts([12, 200, 25, 1800]), Window::Gone] {
        let status = drive_young(&spec, &young, 8);
        assert_ne!(status.verdict, Verdict::Fail, "{young:?}");
    }
}

#[test]
fn windows_after_the_warm_up_are_asked_for_once() {
    let spec = spec(vec![ratio("errors")]);
    let begun = step(&spec, &AnalysisRunStatus::default(), &GOOD, at(0));
    let crude = |plan: &RunPlan| {
        let young = |planned: &&Planned| matches!(&planned.query, Query::Increments(q) if q.warm_up_seconds == 0);
        plan.queries.iter().filter(young).count()
    };
    // The warm-up of 30 s touches the windows that end after 25 and 40 s; none later.
    assert_eq!(crude(&plan(&spec, &begun, at(200))), 2);
    let read = step(&spec, &begun, &GOOD, at(200));
    assert_eq!(crude(&plan(&spec, &read, at(215))), 0);
    let mut raised = spec.clone();
    raised.epoch += 1;
    let raised_status = step(&raised, &read, &GOOD, at(215));
    assert!(crude(&plan(&raised, &raised_status, at(270))) > 0, "a new weight brings new pods");
}

#[test]
fn what_is_needed_is_told() {
    let mut spec = spec(vec![ratio("errors")]);
    let two = drive(&spec, &vec![GOOD; 2]);
    let needs = two.metrics[0].needs.clone().unwrap();
    assert!(
        needs.starts_with("about ") && needs.ends_with("more canary requests and 30s more of counted time"),
        "{needs}"
    );
    assert_eq!(two.message, format!("errors needs {needs}"));
    spec.settings.bake = Some(Bake { duration: Some(HumanDuration::secs(3600)), requests: None });
    let long = drive(&spec, &vec![GOOD; 20]);
    assert_eq!(says(&long), (Verdict::Continue, "Bake"));
    assert_eq!(long.metrics[0].needs.as_deref(), Some("55m more of counted time"));
}

#[test]
fn a_bad_canary_fails_and_ends_the_run() {
    let status = drive(&spec(vec![ratio("errors")]), &vec![BAD; 8]);
    assert_eq!(
        (status.phase, status.verdict, says(&status)),
        (RunPhase::Finished, Verdict::Fail, (Verdict::Fail, "WorseThanStable"))
    );
    assert!(status.message.starts_with("errors failed: canary 5.00 % ("), "{}", status.message);
    assert_eq!(status.metrics[0].fail_progress, 1.0);
    let spec = spec(vec![ratio("errors")]);
    assert_eq!(plan(&spec, &status, at(900)).queries, vec![]);
    assert_eq!(advance(&spec, &status, &[], at(900)), status);
}

#[test]
fn a_step_ends_with_its_pass() {
    let spec = AnalysisRunSpec { background: false, ..spec(vec![ratio("errors")]) };
    let status = drive(&spec, &vec![GOOD; 20]);
    assert_eq!((status.phase, status.verdict), (RunPhase::Finished, Verdict::Pass));
}

#[test]
fn without_traffic_there_is_no_verdict_and_data_brings_it_back() {
    let spec = spec(vec![ratio("errors")]);
    for (window, reason) in [(IDLE_CANARY, "NoCanaryRequests"), (IDLE_STABLE, "NoBaseline")] {
        let warm = drive(&spec, &vec![window.clone(); 4]);
        assert_eq!(says(&warm), (Verdict::Continue, "WarmUp"), "{reason}");
        let silent = drive(&spec, &vec![window.clone(); 6]);
        assert_eq!((silent.verdict, says(&silent)), (Verdict::NoData, (Verdict::NoData, reason)));
        let long = drive(&spec, &vec![window.clone(); 16]);
        assert_eq!(
            (long.phase, long.verdict, says(&long)),
            (RunPhase::Running, Verdict::Inconclusive, (Verdict::Inconclusive, reason))
        );
        let back = resume(&spec, long, &[GOOD], 16);
        assert_eq!(says(&back), (Verdict::Continue, "Undecided"));
    }
}

#[test]
fn source_errors_are_no_data_and_nothing_is_lost() {
    let spec = spec(vec![ratio("errors")]);
    let failing = drive(&spec, &[GOOD, Window::Gone]);
    assert_eq!(says(&failing), (Verdict::NoData, "SourceError"));
    assert_eq!(failing.metrics[0].errors_in_a_row, 1);
    assert_eq!(
        failing.message,
        "errors has no verdict (SourceError): cannot reach Prometheus at http://p (connection refused)"
    );
    let back = step(&spec, &failing, &GOOD, at(40 + 15 * 19));
    let undisturbed = drive(&spec, &vec![GOOD; 20]);
    assert_eq!(back.metrics, undisturbed.metrics);
    let down = drive(&spec, &vec![Window::Gone; 16]);
    assert_eq!(says(&down), (Verdict::Inconclusive, "SourceError"));
}

#[test]
fn a_sleeper_reads_the_missed_windows_back_in_order() {
    let spec = spec(vec![ratio("errors")]);
    let begun = step(&spec, &AnalysisRunStatus::default(), &GOOD, at(0));
    let late = at(40 + 15 * 29);
    let first = plan(&spec, &begun, late);
    let crude = 2; // those of the warm-up, for the catastrophic test
    assert_eq!((first.queries.len(), first.wake), (20 + crude, late));
    let once = step(&spec, &begun, &GOOD, late);
    let twice = step(&spec, &once, &GOOD, late);
    assert_eq!(twice.metrics, drive(&spec, &vec![GOOD; 30]).metrics);
    assert_eq!(plan(&spec, &twice, late).queries, vec![]);
}

#[test]
fn a_window_is_never_counted_twice() {
    let spec = spec(vec![ratio("errors")]);
    let status = drive(&spec, &vec![GOOD; 3]);
    let again = Answered {
        asker: Asker::Metric(0),
        query: Query::Increments(
            judge_of(&spec.metrics[0]).unwrap().window(&spec, &frozen(&spec, &spec.metrics[0]), START + 25).unwrap(),
        ),
        result: answer(&BAD),
    };
    assert_eq!(advance(&spec, &status, &[again], at(71)), status);
}

#[test]
fn a_new_epoch_starts_pass_anew_and_keeps_fail_evidence() {
    let mut spec = spec(vec![ratio("errors")]);
    let passed = drive(&spec, &vec![GOOD; 20]);
    spec.epoch = 1;
    let now = at(40 + 15 * 20);
    let after = step(&spec, &passed, &GOOD, now);
    // The window read now lies before the change: it is no Pass evidence of the new epoch.
    assert_eq!((after.epoch, after.epoch_since, after.verdict), (1, Some(now), Verdict::Continue));
    assert_eq!(after.metrics[0].needs.as_deref(), Some("traffic at the new weight and 1m more of counted time"));
    let again = resume(&spec, after, &vec![GOOD; 20], 21);
    assert_eq!(again.verdict, Verdict::Pass);
    assert_eq!(again.metrics[0].canary, "0 % (0/8,200)");
    // Latched: what comes later in the same epoch does not take the Pass away.
    let idle = resume(&spec, again, &vec![IDLE_CANARY; 9], 41);
    assert_eq!(idle.verdict, Verdict::Pass);
}

#[test]
fn a_stopped_run_asks_nothing_and_is_no_success() {
    let mut spec = spec(vec![ratio("errors")]);
    let silent = drive(&spec, &vec![IDLE_CANARY; 6]);
    spec.stop = true;
    assert_eq!(plan(&spec, &silent, at(500)), RunPlan { queries: vec![], wake: at(500) });
    let stopped = advance(&spec, &silent, &[], at(500));
    assert_eq!((stopped.phase, stopped.verdict), (RunPhase::Stopped, Verdict::NoData));
}

#[test]
fn only_required_metrics_decide_and_share_alpha() {
    let advisory = Metric { required: Some(false), ..ratio("shadow") };
    let both = spec(vec![ratio("errors"), advisory]);
    for metric in &both.metrics {
        assert!((frozen(&both, metric).alpha - 0.045).abs() < 1e-12, "{}", metric.name);
    }
    let begun = step(&both, &AnalysisRunStatus::default(), &GOOD, at(0));
    let planned = plan(&both, &begun, at(40 + 15 * 7));
    let results = planned
        .queries
        .iter()
        .map(|query| answer(if query.asker == Asker::Metric(0) { &GOOD } else { &BAD }))
        .collect();
    let status = advance(&both, &begun, &planned.answered::<String>(results), at(40 + 15 * 7));
    assert_eq!((status.metrics[1].verdict, status.phase), (Verdict::Fail, RunPhase::Running));
    assert_ne!(status.verdict, Verdict::Fail);
    let two = spec(vec![ratio("a"), ratio("b")]);
    assert!((frozen(&two, &two.metrics[0]).alpha - 0.0225).abs() < 1e-12);
}

#[test]
fn alpha_is_divided_by_weight() {
    let heavy = Metric { weight: Some(3), ..ratio("errors") };
    let both = spec(vec![heavy, ratio("timeouts")]);
    let alpha: Vec<f64> = both.metrics.iter().map(|metric| frozen(&both, metric).alpha).collect();
    assert!((alpha[0] - 0.75 * 0.045).abs() < 1e-12 && (alpha[1] - 0.25 * 0.045).abs() < 1e-12, "{alpha:?}");
}

/// Ten metrics over a day, with errors, several weights and every note: what is on record stays small.
#[test]
fn a_day_of_ten_metrics_fits_into_64_kib() {
    let mut spec = spec((0..10).map(|index| ratio(&format!("errors-of-a-long-name-{index}"))).collect());
    let mut live = Live::of(&spec, AnalysisRunStatus::default());
    let (day, window) = (24 * 3600, 15);
    for second in (0..=day).step_by(window) {
        spec.epoch = u32::try_from(second / (3 * 3600)).unwrap();
        let plan = live.plan(&spec, at(second));
        let errors = (second.unsigned_abs() / 15) % 3;
        let counts = [errors, 1_000, 8 + errors, 9_000];
        let results = plan.queries.iter().map(|_| answer(&Window::Counts(counts))).collect();
        live.advance(&spec, &plan.answered::<String>(results), at(second));
    }
    let status = live.recorded(&spec);
    assert!(status.windows_through.unwrap() >= at(day - 60), "{:?}", status.windows_through);
    let bytes = serde_json::to_vec(&status).unwrap().len();
    assert!(bytes < 64 << 10, "{bytes} bytes");
    let trails = status.metrics.iter().map(|metric| metric.trail.as_ref().unwrap().points().len());
    assert!(trails.min().unwrap() >= 3, "the trails take what is left");
    // A restart ends with the same trails.
    let again = Live::of(&spec, stored(&status)).recorded(&spec);
    let trails = |status: &AnalysisRunStatus| status.metrics.iter().map(|m| m.trail.clone()).collect::<Vec<_>>();
    assert_eq!(trails(&again), trails(&status));
}

/// A run under way is continued by another version of the controller.
#[test]
fn the_record_of_a_ratio_keeps_its_fields() {
    let status = drive(&spec(vec![ratio("errors")]), &vec![GOOD; 3]);
    let record = status.metrics[0].accumulator.clone().unwrap();
    let (last, end) = (record["lastCanary"].as_i64(), record["through"].as_i64());
    assert!(last.is_some() && last == end && record["lastStable"].as_i64() == end, "{record}");
    assert_eq!(
        (record["epoch"].as_i64(), record["baked"].as_i64(), record["compared"].as_i64()),
        (Some(0), Some(45), Some(45))
    );
}

#[test]
fn memory_that_cannot_be_read_is_not_begun_anew() {
    let spec = spec(vec![ratio("errors")]);
    let mut status = drive(&spec, &vec![GOOD; 2]);
    status.metrics[0].accumulator = Some(serde_json::json!({"state": 7}));
    let next = step(&spec, &status, &GOOD, at(90));
    assert_eq!(says(&next), (Verdict::Inconclusive, "MemoryUnreadable"));
    assert_eq!(next.metrics[0].accumulator, status.metrics[0].accumulator);
}

#[test]
fn thresholds_count_measurements() {
    let below = || Some("result < 100".to_owned());
    let base =
        || ThresholdMetric { success: below(), count: Some(3), failure_limit: Some(1), ..ThresholdMetric::default() };
    let (good, bad) = (|| Window::Number(5.0), || Window::Number(500.0));
    let between = || ThresholdMetric { failure: Some("result > 200".into()), inconclusive_limit: Some(1), ..base() };
    let in_a_row =
        || ThresholdMetric { consecutive_success_limit: Some(2), count: None, failure_limit: Some(9), ..base() };
    for (judge, windows, expected) in [
        (base(), vec![good(); 2], (Verdict::Continue, "Undecided")),
        (base(), vec![good(); 3], (Verdict::Pass, "EnoughSuccesses")),
        (base(), vec![good(), bad(), good(), good()], (Verdict::Pass, "EnoughSuccesses")),
        (base(), vec![good(), bad(), bad()], (Verdict::Fail, "TooManyFailures")),
        (between(), vec![Window::Number(150.0); 2], (Verdict::Inconclusive, "TooManyInconclusive")),
        (in_a_row(), vec![good(), bad(), good()], (Verdict::Continue, "Undecided")),
        (in_a_row(), vec![good(), bad(), good(), good()], (Verdict::Pass, "EnoughSuccesses")),
        (base(), vec![good(), Window::Empty], (Verdict::NoData, "NoResult")),
        (base(), vec![Window::Number(f64::INFINITY)], (Verdict::NoData, "NoResult")),
        (base(), vec![Window::Empty; 12], (Verdict::Inconclusive, "NoResult")),
    ] {
        let status = drive(&spec(vec![threshold(judge)]), &windows);
        assert_eq!(says(&status), expected, "{windows:?}");
    }
}

#[test]
fn thresholds_tell_what_they_saw_and_need() {
    let judge = ThresholdMetric { success: Some("result < 0.5".into()), count: Some(3), ..ThresholdMetric::default() };
    let spec = spec(vec![threshold(judge)]);
    let status = drive(&spec, &[Window::Number(0.12345)]);
    let metric = &status.metrics[0];
    assert_eq!((metric.canary.as_str(), metric.comparison.as_str()), ("0.1235", "requires result < 0.5"));
    assert_eq!(metric.needs.as_deref(), Some("2 more successful measurements"));
    let failed = drive(&spec, &[Window::Number(3.0)]);
    assert_eq!(failed.message, "queue failed: 3, requires result < 0.5");
}

#[test]
fn a_threshold_waits_for_its_delay_and_forgives_a_few_errors() {
    let delay = Some(HumanDuration::secs(100));
    let judge = ThresholdMetric {
        success: Some("result < 1".into()),
        initial_delay: delay,
        consecutive_error_limit: Some(2),
        ..ThresholdMetric::default()
    };
    let spec = spec(vec![threshold(judge)]);
    let begun = step(&spec, &AnalysisRunStatus::default(), &Window::Gone, at(0));
    let waiting = plan(&spec, &begun, at(99));
    assert_eq!((waiting.queries.len(), waiting.wake), (0, at(100)));
    let mut status = begun;
    let mut now = at(100);
    let mut verdicts = vec![];
    for _ in 0..3 {
        status = step(&spec, &status, &Window::Gone, now);
        verdicts.push(status.verdict);
        now = plan(&spec, &status, now).wake;
    }
    assert_eq!(verdicts, [Verdict::Continue, Verdict::Continue, Verdict::NoData]);
}

fn any_window() -> impl Strategy<Value = Window> {
    prop_oneof![
        6 => (0_u64..4, 0_u64..300, 0_u64..4, 0_u64..3000).prop_map(|(kc, nc, kb, nb)| Window::Counts([kc, nc, kb, nb])),
        1 => Just(Window::Gone),
        1 => Just(GOOD),
        1 => Just(IDLE_CANARY),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_after_every_window_changes_nothing(windows in prop::collection::vec(any_window(), 1..120), change in 0_usize..120) {
        let mut spec = spec(vec![ratio("errors")]);
        let mut undisturbed = step(&spec, &AnalysisRunStatus::default(), &GOOD, at(0));
        let mut restarted = stored(&undisturbed);
        for (index, window) in windows.iter().enumerate() {
            spec.epoch = u32::from(index >= change);
            let now = at(40 + 15 * index as i64);
            undisturbed = step(&spec, &undisturbed, window, now);
            restarted = stored(&step(&spec, &restarted, window, now));
            prop_assert_eq!(shown(&undisturbed), shown(&restarted));
        }
        prop_assert!(serde_json::to_string(&restarted).unwrap().len() < 16_384);
    }

    #[test]
    fn sleeping_through_windows_changes_nothing(windows in prop::collection::vec(any_window(), 1..60)) {
        let windows: Vec<Window> = windows.into_iter().filter(|window| !matches!(window, Window::Gone)).collect();
        let spec = spec(vec![ratio("errors")]);
        let awake = drive(&spec, &windows);
        let mut status = step(&spec, &AnalysisRunStatus::default(), &GOOD, at(0));
        let late = at(40 + 15 * (windows.len() as i64 - 1));
        loop {
            let due = plan(&spec, &status, late);
            if due.queries.is_empty() {
                break;
            }
            let index = |query: &Query| match query {
                Query::Increments(query) => ((query.end.as_second() - START - 25) / 15) as usize,
                other => unreachable!("ratio metrics ask for windows, not {other:?}"),
            };
            let results = due.queries.iter().map(|planned| answer(&windows[index(&planned.query)])).collect();
            status = advance(&spec, &status, &due.answered::<String>(results), late);
        }
        let evidence = |status: &AnalysisRunStatus| status.metrics[0].accumulator.clone().map(|value| value["state"].clone());
        if awake.phase == RunPhase::Running && status.phase == RunPhase::Running {
            prop_assert_eq!(evidence(&awake), evidence(&status));
        }
        prop_assert_eq!(awake.verdict == Verdict::Fail, status.verdict == Verdict::Fail);
    }
}

/// The first of twelve series was judged as if it were the one that was meant.
#[test]
fn several_series_are_no_data_until_the_query_gives_one() {
    let limits = ThresholdMetric { success: Some("result < 100".into()), count: Some(2), ..ThresholdMetric::default() };
    let spec = spec(vec![threshold(limits)]);
    let status = drive(&spec, &[Window::Series(12), Window::Series(12), Window::Series(12)]);
    assert_eq!(says(&status), (Verdict::NoData, "SeveralSeries"));
    let metric = &status.metrics[0];
    assert_eq!(metric.notes, ["12 series; aggregate to one number"]);
    assert_eq!(metric.measurements.last().unwrap().value, "12 series; aggregate to one number");
    let lasting = drive(&spec, &vec![Window::Series(12); 12]);
    assert_eq!(says(&lasting), (Verdict::Inconclusive, "SeveralSeries"), "after noDataTimeout");
    let well = resume(&spec, status, &[Window::Number(5.0), Window::Number(5.0)], 3);
    assert_eq!((says(&well), well.metrics[0].notes.len()), ((Verdict::Pass, "EnoughSuccesses"), 0));
}

/// H6: a run with many metrics, or one that slept, asked for everything at once.
#[test]
fn one_look_asks_a_bounded_number_of_questions_and_guardrails_first() {
    let mut metrics: Vec<Metric> = (0..4)
        .map(|number| {
            let limits = ThresholdMetric { success: Some("result < 100".into()), ..ThresholdMetric::default() };
            Metric { name: format!("queue-{number}"), ..threshold(limits) }
        })
        .collect();
    metrics.extend((0..10).map(|number| ratio(&format!("errors-{number}"))));
    let spec = spec(metrics);
    let mut status = step(&spec, &AnalysisRunStatus::default(), &GOOD, at(0));
    let later = at(40 + 15 * 19);
    let (mut asked, mut looks) = (0, 0);
    loop {
        let plan = plan(&spec, &status, later);
        assert!(plan.queries.len() <= 128, "{}", plan.queries.len());
        if plan.queries.is_empty() {
            break;
        }
        let first_scalar = plan.queries.iter().position(|planned| matches!(planned.query, Query::Scalar { .. }));
        let guardrails = plan.queries.iter().filter(|planned| matches!(planned.query, Query::Increments(_))).count();
        assert!(first_scalar.is_none_or(|first| first == guardrails), "guardrails come first");
        assert!(looks < 2 || plan.wake >= later);
        (asked, looks) = (asked + plan.queries.len(), looks + 1);
        let results = plan.queries.iter().map(|planned| match planned.query {
            Query::Increments(_) => answer(&GOOD),
            _ => answer(&Window::Number(1.0)),
        });
        let results = results.collect();
        status = advance(&spec, &status, &plan.answered::<String>(results), later);
    }
    assert!(asked > 200 && looks >= 2, "{asked} questions in {looks} looks");
    let through = status.windows_through;
    assert_eq!(through, Some(at(25 + 15 * 19)), "nothing is left out");
}

#[test]
fn of_several_tests_those_that_moved_are_named() {
    let both = spec(vec![ratio("errors"), ratio("lost-orders")]);
    let run = |answers: [&Window; 2]| {
        let mut status = step(&both, &AnalysisRunStatus::default(), &Window::Empty, at(0));
        for index in 0..8 {
            let now = at(40 + 15 * index);
            let plan = plan(&both, &status, now);
            let of = |planned: &crate::evidence::plan::Planned| match planned.asker {
                Asker::Metric(metric) => answer(answers[metric]),
                Asker::Share => answer(&Window::Empty),
            };
            let results = plan.queries.iter().map(of).collect();
            status = advance(&both, &status, &plan.answered::<String>(results), now);
        }
        status.message
    };
    assert!(run([&BAD, &BAD]).ends_with("; moved: errors, lost-orders"), "{}", run([&BAD, &BAD]));
    assert!(run([&GOOD, &BAD]).ends_with("; moved: lost-orders"), "{}", run([&GOOD, &BAD]));
    assert!(!run([&GOOD, &GOOD]).contains("moved"));
    let alone = drive(&spec(vec![ratio("errors")]), &[BAD, BAD, BAD, BAD]);
    assert!(!alone.message.contains("moved"), "its verdict says it: {}", alone.message);
}

/// What charts are drawn from: every window is counted in it, and its last point has the evidence that is shown.
#[test]
fn the_trail_keeps_counts_and_evidence() {
    let spec = spec(vec![ratio("errors")]);
    let mut windows = vec![GOOD; 80];
    windows.extend(vec![BAD; 6]);
    let status = drive(&spec, &windows);
    let metric = &status.metrics[0];
    let points = crate::evidence::with_intervals(&spec, &spec.metrics[0], metric.trail.as_ref().unwrap());
    assert!((30..=60).contains(&points.len()), "{}", points.len());
    let counts = points.iter().map(|point| match point.window {
        Some(TrailWindow::Counts { canary, stable }) => [canary[0], canary[1], stable[0], stable[1]],
        _ => panic!("no counts: {point:?}"),
    });
    let sums = counts.fold([0; 4], |sum, counts| std::array::from_fn(|index| sum[index] + counts[index]));
    let counted = status.metrics[0].canary.clone();
    assert_eq!(metric.verdict, Verdict::Fail, "{metric:?}");
    assert!(sums[0] >= 10 && sums[1] % 200 == 0 && sums[3] % 1800 == 0, "{sums:?}");
    assert!(counted.ends_with(&format!("({}/{})", sums[0], crate::evidence::grouped(sums[1]))), "{counted} {sums:?}");
    let last = points.last().unwrap().evidence;
    assert_eq!(last.fail, 1.0);
    // Of all windows, most of which were good: the restarts of the test found the bad ones.
    let (low, high) = last.interval.unwrap();
    let shown = format!("95 % CS {}", crate::stats::Interval { low, high });
    assert!(metric.comparison.contains(&shown), "{shown} is not in {}", metric.comparison);
    assert!(points.iter().any(|point| point.evidence.pass == 1.0), "it had passed before: {points:?}");
}

#[test]
fn the_trail_of_a_threshold_keeps_the_values() {
    let judge = ThresholdMetric {
        success: Some("result < 100".into()),
        failure_limit: Some(3),
        count: Some(10),
        ..ThresholdMetric::default()
    };
    let spec = spec(vec![threshold(judge)]);
    let status = drive(&spec, &[Window::Number(5.0), Window::Number(120.0), Window::Empty, Window::Number(130.0)]);
    let points = status.metrics[0].trail.as_ref().unwrap().points();
    let last = points.last().unwrap();
    assert_eq!((last.window, last.evidence.fail), (Some(TrailWindow::Value(130.0)), 0.5));
    assert!(points.iter().all(|point| point.evidence.interval.is_none()));
}

/// An abort is read by people: its message has the numbers, and nothing where there are none.
#[test]
fn a_failure_says_its_numbers() {
    let judge = ThresholdMetric { success: Some("result < 100".into()), ..ThresholdMetric::default() };
    let failed = drive(&spec(vec![threshold(judge)]), &[Window::Number(120.0)]);
    assert_eq!(failed.message, "queue failed: 120, requires result < 100");
    let failed = drive(&spec(vec![ratio("errors")]), &[GOOD, BAD, BAD, BAD]);
    assert!(failed.message.starts_with("errors failed: canary "), "{}", failed.message);
    assert!(failed.message.contains(", stable 0.11 % (") && failed.message.contains("95 % CS"), "{}", failed.message);
}

/// A question of each metric, for a report.
#[test]
fn each_metric_has_a_question_that_people_can_ask() {
    let spec = spec(vec![ratio("errors"), threshold(ThresholdMetric::default())]);
    let asked = questions(&spec, at(0));
    assert_eq!(asked.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["errors", "queue"]);
    assert!(matches!(asked[0].1, Query::Increments(_)) && matches!(asked[1].1, Query::Scalar { .. }));
}
