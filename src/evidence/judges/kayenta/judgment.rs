//! One judgment: every series of both arms classified, and the score.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    api::analysis::{KayentaDirection, KayentaMetric, KayentaSeries, NanStrategy, Outliers},
    evidence::{
        format,
        plan::Answered,
        query::{Answer, Query},
    },
    stats::kayenta::{Classification, Group, Judged, OUTLIER_FACTOR, Rules, classify, score, without_outliers},
};

/// What came of all series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Judgment {
    /// 0 to 100; `None` without data, or without that of a series that must have some.
    pub(super) score: Option<f64>,
    passed: usize,
    judged: usize,
    /// Series that failed, in words.
    pub(super) failing: Vec<String>,
    /// Series without data, in words.
    pub(super) missing: Vec<String>,
}

impl Judgment {
    /// Of the answers, two for each series: the canary's, then stable's. An error where one was not answered.
    pub(super) fn of(metric: &KayentaMetric, answers: &[&Answered]) -> Result<Judgment, String> {
        let mut judgment = Judgment::default();
        let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
        let (mut critical, mut must_have) = (false, false);
        for (series, pair) in metric.metrics.iter().zip(answers.chunks_exact(2)) {
            let name = series.group.as_deref().unwrap_or_default();
            let group = groups.entry(name).or_default();
            group.weight = metric.group_weights.get(name).map(|weight| f64::from(*weight));
            match classified(series, pair)? {
                Ok(judged) => {
                    let passes = judged.class == Classification::Pass;
                    group.judged += 1;
                    group.passed += u32::from(passes);
                    judgment.judged += 1;
                    judgment.passed += usize::from(passes);
                    if !passes {
                        judgment.failing.push(failure(series, &judged));
                        critical |= series.critical;
                    }
                }
                Err(why) => {
                    judgment.missing.push(format!("{}: {why}", series.name));
                    must_have |= series.must_have_data;
                }
            }
        }
        let groups: Vec<Group> = groups.into_values().collect();
        let score = score(&groups).map(|score| if critical { 0.0 } else { score });
        judgment.score = score.filter(|_| !must_have);
        Ok(judgment)
    }

    /// `score 83 (5 of 6)`.
    pub(super) fn shown(&self) -> String {
        match self.score {
            Some(score) => format!("score {} ({} of {})", format::number(score), self.passed, self.judged),
            None => "no data".to_owned(),
        }
    }
}

/// `latency high: +22.5, 98 % CI +6 to +39, p = 0.02`.
fn failure(series: &KayentaSeries, judged: &Judged) -> String {
    let way = if judged.class == Classification::Low { "low" } else { "high" };
    let critical = if series.critical { " (critical)" } else { "" };
    let shift = judged.shift.map(|shift| {
        let [estimate, low, high] = [shift.estimate, shift.low, shift.high].map(signed);
        format!(": {estimate}, 98 % CI {low} to {high}, {}", format::p_value(judged.p))
    });
    format!("{}{critical} {way}{}", series.name, shift.unwrap_or_default())
}

fn signed(value: f64) -> String {
    let plus = if value > 0.0 { "+" } else { "" };
    format!("{plus}{}", format::number(value))
}

/// A series' result, or why it has none.
fn classified(series: &KayentaSeries, pair: &[&Answered]) -> Result<Result<Judged, String>, String> {
    let [canary, stable] = pair else { return Err("a question was not answered".to_owned()) };
    let (canary, stable) = (points(canary)?, points(stable)?);
    let (canary, stable) = match (canary, stable) {
        (Ok(canary), Ok(stable)) => (canary, stable),
        (Err(why), _) | (_, Err(why)) => return Ok(Err(why)),
    };
    if canary.numbers.is_empty() && stable.numbers.is_empty() {
        return Ok(Err("no values".to_owned())); // none to replace, either
    }
    let judged = classify(&prepared(series, canary), &prepared(series, stable), &rules(series));
    Ok(match judged.class {
        Classification::NoData => Err("too few values".to_owned()),
        _ => Ok(judged),
    })
}

/// A series' numbers.
struct Points {
    numbers: Vec<f64>,
    /// How many points there could be.
    expected: usize,
}

/// What was answered; why it cannot be used, where it is not one series.
fn points(answered: &Answered) -> Result<Result<Points, String>, String> {
    let Query::Range { start, end, step_seconds, .. } = &answered.query else {
        return Err("got the answer to another question".to_owned());
    };
    let seconds = end.as_second().saturating_sub(start.as_second());
    let expected = usize::try_from(seconds / i64::from((*step_seconds).max(1)) + 1).unwrap_or(0);
    match answered.result.as_ref().map_err(Clone::clone)? {
        Answer::Series(values) => {
            let numbers = values.iter().map(|(_, value)| *value).filter(|value| value.is_finite()).take(expected);
            Ok(Ok(Points { numbers: numbers.collect(), expected }))
        }
        Answer::Several(series) => Ok(Err(format!("{series} series; aggregate to one"))),
        _ => Err("got another answer than a series".to_owned()),
    }
}

fn prepared(series: &KayentaSeries, points: Points) -> Vec<f64> {
    let mut numbers = points.numbers;
    if series.nan_strategy == Some(NanStrategy::Replace) {
        numbers.resize(points.expected.max(numbers.len()), 0.0);
    }
    if series.outliers == Some(Outliers::Remove) {
        numbers = without_outliers(&numbers, OUTLIER_FACTOR);
    }
    numbers
}

fn rules(series: &KayentaSeries) -> Rules {
    let (direction, size) = (series.direction.unwrap_or_default(), series.effect_size.unwrap_or_default());
    Rules {
        increase: direction != KayentaDirection::Decrease,
        decrease: direction != KayentaDirection::Increase,
        allowed_increase: size.allowed_increase.unwrap_or(1.0),
        allowed_decrease: size.allowed_decrease.unwrap_or(1.0),
    }
}
