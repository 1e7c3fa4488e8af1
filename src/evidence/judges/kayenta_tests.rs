//! Runs of a kayenta metric driven judgment by judgment with invented series.

use jiff::Timestamp;

use super::*;
use crate::{
    api::{
        analysis::{AnalysisRunStatus, Arms, KayentaSeries, Metric, NanStrategy, Settings},
        common::{HumanDuration, Percent},
    },
    evidence::{
        query::Answer,
        run::{advance, plan},
    },
};

const START: i64 = 1_700_000_000;

fn series(name: &str) -> KayentaSeries {
    let query = format!("{name}{{namespace=\"${{location}}\",pod=~\"${{scope}}-.*\"}}");
    KayentaSeries { name: name.into(), query, ..KayentaSeries::default() }
}

/// Judged every ten minutes for half an hour.
fn metric(metrics: Vec<KayentaSeries>) -> KayentaMetric {
    KayentaMetric {
        metrics,
        interval: Some(HumanDuration::secs(600)),
        lifetime: Some(HumanDuration::secs(1800)),
        ..KayentaMetric::default()
    }
}

fn spec(judge: KayentaMetric) -> AnalysisRunSpec {
    AnalysisRunSpec {
        arms: Arms { namespace: "shop".into(), canary: "web-2".into(), stable: "web-1".into(), ..Arms::default() },
        metrics: vec![Metric { name: "legacy".into(), kayenta: Some(judge), ..Metric::default() }],
        settings: Settings {
            warm_up: Some(HumanDuration::secs(60)),
            no_data_timeout: Some(HumanDuration::secs(900)),
            ..Settings::default()
        },
        background: true,
        ..AnalysisRunSpec::default()
    }
}

/// How many times stable's values the canary's are, by series; NaN: it has none.
type World<'a> = &'a [(&'a str, f64)];

fn answer(query: &Query, world: World<'_>) -> Result<Answer, String> {
    let Query::Range { query, start, end, step_seconds } = query else { panic!("not a range") };
    let (_, times) = world.iter().find(|(name, _)| query.starts_with(name)).expect("a series that is known");
    let times = if query.contains("web-2") { *times } else { 1.0 };
    if times.is_nan() {
        return Ok(Answer::Series(vec![]));
    }
    let noise = |index: usize| 1.0 + [0.03, -0.05, 0.01, 0.04, -0.02, -0.01, 0.02][index % 7];
    let seconds = (start.as_second()..=end.as_second()).step_by(*step_seconds as usize);
    Ok(Answer::Series(seconds.enumerate().map(|(index, at)| (at, 100.0 * times * noise(index))).collect()))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

/// The status after so many judgments, each read as soon as it can be.
fn drive(spec: &AnalysisRunSpec, judgments: usize, world: World<'_>) -> AnalysisRunStatus {
    let begin = plan(spec, &AnalysisRunStatus::default(), at(0));
    let mut status =
        advance(spec, &AnalysisRunStatus::default(), &begin.answered(Vec::<Result<Answer, String>>::new()), at(0));
    for index in 1..=judgments {
        let now = at(60 + 600 * index as i64 + 15);
        let due = plan(spec, &status, now);
        let results = due.queries.iter().map(|planned| answer(&planned.query, world)).collect();
        status = advance(spec, &status, &due.answered(results), now);
    }
    status
}

fn says(status: &AnalysisRunStatus) -> (Verdict, &str, &str) {
    let metric = &status.metrics[0];
    (metric.verdict, metric.reason.as_str(), metric.canary.as_str())
}

#[test]
fn both_arms_are_asked_for_each_series() {
    let spec = spec(metric(vec![series("cpu"), series("errors")]));
    let begun = drive(&spec, 0, &[]);
    assert_eq!((plan(&spec, &begun, at(674)).queries.len(), plan(&spec, &begun, at(674)).wake), (0, at(675)));
    let due = plan(&spec, &begun, at(675));
    let Query::Range { query, start, end, step_seconds } = &due.queries[3].query else { panic!("not a range") };
    assert_eq!(query, "errors{namespace=\"shop\",pod=~\"web-1-.*\"}");
    assert_eq!((due.queries.len(), *start, *end, *step_seconds), (4, at(60), at(660), 60));
}

#[test]
fn the_last_judgment_decides_and_a_score_below_marginal_fails_at_once() {
    let four = || metric(["a", "b", "c", "d"].map(series).to_vec());
    let like: World<'_> = &[("a", 1.0), ("b", 1.0), ("c", 1.0), ("d", 1.0)];
    let one: World<'_> = &[("a", 2.0), ("b", 1.0), ("c", 1.0), ("d", 1.0)];
    let two: World<'_> = &[("a", 2.0), ("b", 0.5), ("c", 1.0), ("d", 1.0)];
    let spec = spec(four());
    assert_eq!(says(&drive(&spec, 2, like)), (Verdict::Continue, "Undecided", "score 100 (4 of 4)"));
    assert_eq!(says(&drive(&spec, 3, like)), (Verdict::Pass, "NotWorse", "score 100 (4 of 4)"));
    assert_eq!(says(&drive(&spec, 2, one)), (Verdict::Continue, "Undecided", "score 75 (3 of 4)"));
    assert_eq!(says(&drive(&spec, 3, one)), (Verdict::Inconclusive, "MarginalScore", "score 75 (3 of 4)"));
    let failed = drive(&spec, 1, two);
    assert_eq!(says(&failed), (Verdict::Fail, "ScoreTooLow", "score 50 (2 of 4)"));
    let comparison = &failed.metrics[0].comparison;
    assert!(comparison.starts_with("a high: +10") && comparison.contains("; b low: -"), "{comparison}");
    assert!(failed.message.starts_with("legacy failed: score 50 (2 of 4), a high"), "{}", failed.message);
    assert_eq!(drive(&spec, 2, like).metrics[0].needs.as_deref(), Some("the judgment in 10m"));
}

#[test]
fn a_critical_series_alone_fails_and_weights_count() {
    let critical = KayentaSeries { critical: true, ..series("a") };
    let world: World<'_> = &[("a", 2.0), ("b", 1.0), ("c", 1.0), ("d", 1.0), ("e", 1.0)];
    let many = |first| [vec![first], ["b", "c", "d", "e"].map(series).to_vec()].concat();
    assert_eq!(says(&drive(&spec(metric(many(critical))), 1, world)).1, "ScoreTooLow");
    assert_eq!(says(&drive(&spec(metric(many(series("a")))), 1, world)).1, "Undecided");
    let light = KayentaSeries { group: Some("odd".into()), ..series("a") };
    let weights = [("odd".to_owned(), 4)].into_iter().collect();
    let judge = KayentaMetric { group_weights: weights, ..metric(many(light)) };
    assert_eq!(says(&drive(&spec(judge), 3, world)), (Verdict::Pass, "NotWorse", "score 96 (4 of 5)"));
}

#[test]
fn without_data_there_is_no_verdict() {
    let nan = f64::NAN;
    let must = KayentaSeries { must_have_data: true, ..series("a") };
    for (judge, world, says_so) in [
        (metric(vec![series("a")]), &[("a", nan)], (Verdict::NoData, "NoResult", "no data")),
        (metric(vec![must.clone()]), &[("a", nan)], (Verdict::NoData, "NoResult", "no data")),
    ] {
        let status = drive(&spec(judge), 3, world);
        assert_eq!(says(&status).0, Verdict::Inconclusive, "it lasts");
        assert_eq!((says(&status).1, says(&status).2), (says_so.1, says_so.2));
        assert_eq!(status.metrics[0].notes, ["no data: a: too few values"]);
    }
    let world: World<'_> = &[("a", nan), ("b", 1.0)];
    let may = drive(&spec(metric(vec![series("a"), series("b")])), 3, world);
    assert_eq!(says(&may), (Verdict::Pass, "NotWorse", "score 100 (1 of 1)"));
    let not = drive(&spec(metric(vec![must, series("b")])), 1, world);
    assert_eq!(says(&not), (Verdict::NoData, "NoResult", "no data"));
    // A series that has no points while nothing happens: they are 0, and stable's are not.
    let zero = KayentaSeries { nan_strategy: Some(NanStrategy::Replace), ..series("a") };
    assert_eq!(says(&drive(&spec(metric(vec![zero])), 1, world)).1, "ScoreTooLow");
}

#[test]
fn several_series_and_a_failing_source_are_no_data() {
    let spec = spec(metric(vec![series("a")]));
    let begun = drive(&spec, 0, &[]);
    let due = || plan(&spec, &begun, at(675));
    let several = due().answered(vec![Ok::<_, String>(Answer::Several(3)), Ok(Answer::Several(2))]);
    let status = advance(&spec, &begun, &several, at(675));
    assert_eq!(says(&status), (Verdict::NoData, "NoResult", "no data"));
    assert_eq!(status.metrics[0].notes, ["no data: a: 3 series; aggregate to one"]);
    let failed = due().answered(vec![Ok(Answer::Series(vec![])), Err("no response".to_owned())]);
    let status = advance(&spec, &begun, &failed, at(675));
    assert_eq!((says(&status).0, says(&status).1), (Verdict::NoData, "SourceError"));
    assert_eq!(plan(&spec, &status, at(700)).queries.len(), 2, "it is asked for again");
}

#[test]
fn a_new_weight_begins_a_new_lifetime() {
    let world: World<'_> = &[("a", 1.0)];
    let judge = metric(vec![series("a")]);
    let passed = drive(&spec(judge.clone()), 3, world);
    assert_eq!(says(&passed).0, Verdict::Pass);
    let next = AnalysisRunSpec { epoch: 1, ..spec(judge) };
    let empty = Vec::<Result<Answer, String>>::new();
    let status = advance(&next, &passed, &plan(&next, &passed, at(2000)).answered(empty), at(2000));
    assert_eq!((says(&status).0, says(&status).1), (Verdict::Continue, "NotMeasured"));
    assert_eq!(plan(&next, &status, at(2000)).wake, at(2000 + 60 + 600 + 15));
}

#[test]
fn problems_name_the_field() {
    let odd = |judge: KayentaMetric| {
        KayentaMetric::problems(&judge).into_iter().map(|(field, problem)| format!("{field}: {problem}"))
    };
    let base = || metric(vec![series("a")]);
    let plain = KayentaSeries { query: "cpu".into(), ..series("a") };
    for (judge, problem) in [
        (metric(vec![]), "metrics: set at least one"),
        (metric(vec![series("a"), series("a")]), "metrics[1].name: there are two metrics \"a\""),
        (metric(vec![plain]), "metrics[0].query: does not contain ${scope}"),
        (KayentaMetric { marginal: Some(Percent::whole(96)), ..base() }, "marginal: must be at most pass"),
        (KayentaMetric { step: Some(HumanDuration::secs(4)), ..base() }, "step: a lifetime has more than 360 points"),
        (KayentaMetric { interval: Some(HumanDuration::secs(3600)), ..base() }, "interval: must be at least step"),
        (
            KayentaMetric { group_weights: [("x".into(), 5)].into_iter().collect(), ..base() },
            "groupWeights: no metric is in",
        ),
    ] {
        let found: Vec<String> = odd(judge).collect();
        assert!(found.iter().any(|found| found.starts_with(problem)), "{problem}: {found:?}");
    }
    assert_eq!(KayentaMetric::problems(&base()), []);
}
