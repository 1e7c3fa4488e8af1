//! The threshold judge: conditions on single numbers, counted as Argo Rollouts and Flagger users know it.

use serde::{Deserialize, Serialize};

use super::judge::{Judge, Memory, Problems, Since};
use crate::{
    api::{
        analysis::{
            AnalysisRunSpec, Measurement, MetricStatus, ONE_SOURCE, ThresholdMetric, TrailEvidence, TrailWindow,
            Verdict,
        },
        reason::MetricReason,
        validate::source_problems,
    },
    evidence::{
        context::{Context, keep_last, trail},
        defaults::Frozen,
        dialect::Dialect,
        format,
        no_data::NoData,
        plan::Answered,
        query::{Answer, Query},
        windows,
    },
    expr::{self, Condition, ExprError},
};

/// Time between measurements unless the metric says otherwise, in seconds.
const INTERVAL: i64 = 60;
/// What is noted of an answer with several series: the first of them would be any one.
const AGGREGATE: &str = " series; aggregate to one number";
/// Source errors in a row before there is no data.
const ERROR_LIMIT: u32 = 4;

/// What the judge remembers. Times are unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ThresholdMemory {
    /// When the last measurement was due.
    last: Option<i64>,
    epoch: u32,
    good: u32,
    good_in_a_row: u32,
    bad: u32,
    neither: u32,
    /// The last number; `None` when the answer held none.
    value: Option<f64>,
    /// Whether the last measurement says nothing.
    says_nothing: bool,
    /// How many series the last answer had, where it had more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    several: Option<usize>,
    /// A measurement that has begun, and is asked for again.
    #[serde(skip_serializing_if = "Option::is_none")]
    unfinished: Option<Unfinished>,
    /// Since when there is nothing to judge, and when to ask again after an error.
    silence: NoData,
}

/// A measurement that takes longer than an answer may. Times are unix seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Unfinished {
    /// The time that it is for.
    at: i64,
    /// When it is asked for again.
    again: i64,
}

/// Seconds between questions for an unfinished measurement.
const AGAIN: i64 = 5;

impl Judge for ThresholdMetric {
    type Memory = ThresholdMemory;

    fn problems(&self, _dialect: &dyn Dialect) -> Problems {
        let mut problems = Problems::new();
        if !self.has_one_source() {
            problems.push(("threshold".to_owned(), ONE_SOURCE.to_owned()));
        }
        let mut add = |field: &str, problem: String| problems.push((format!("threshold.{field}"), problem));
        for (field, text) in [("success", &self.success), ("failure", &self.failure)] {
            if let Some(Err(error)) = text.as_deref().map(expr::check) {
                add(field, error.to_string());
            }
        }
        if self.success.is_none() && self.failure.is_none() {
            add("success", "set a success or a failure condition".to_owned());
        }
        if let Some(query) = self.external() {
            source_problems(&query).into_iter().for_each(|(field, problem)| add(&field, problem));
        }
        if !self.query.is_empty() && self.query.trim().is_empty() {
            add("query", "is empty".to_owned());
        }
        if self.interval.is_some_and(|interval| interval.get().is_zero() || interval.get().subsec_nanos() != 0) {
            add("interval", "is not a whole number of seconds, at least 1s".to_owned());
        }
        for (field, count) in [("count", self.count), ("consecutiveSuccessLimit", self.consecutive_success_limit)] {
            if count == Some(0) {
                add(field, "must be at least 1".to_owned());
            }
        }
        problems
    }

    fn takes_alpha(&self) -> bool {
        false
    }

    /// The first measurement is made at once.
    fn soonest(&self, _frozen: &Frozen, since: Since) -> i64 {
        let measurements = match (self.consecutive_success_limit, self.count) {
            (Some(in_a_row), Some(count)) => in_a_row.min(count),
            (Some(in_a_row), None) => in_a_row,
            (None, _) => count(self),
        };
        let delay = if since == Since::Start { initial_delay(self) } else { 0 };
        interval(self).saturating_mul(i64::from(measurements.saturating_sub(1))).saturating_add(delay)
    }

    fn begin(&self, context: &Context) -> ThresholdMemory {
        ThresholdMemory { epoch: context.epoch, ..ThresholdMemory::default() }
    }

    fn ask(&self, memory: &ThresholdMemory, _spec: &AnalysisRunSpec, context: &Context) -> (Vec<Query>, i64) {
        let next = memory.unfinished.map_or_else(|| memory.next(self, context), |begun| begun.at);
        let due = memory.unfinished.map_or(next, |begun| begun.again);
        if due > context.now.as_second() {
            return (Vec::new(), due);
        }
        let at = windows::instant(next);
        let wake = if self.job.is_some() { context.now.as_second() + AGAIN } else { next + interval(self) };
        let query = match self.external() {
            Some(query) => Query::External { query, at },
            None => Query::Scalar { query: self.query.clone(), at },
        };
        (vec![query], wake)
    }

    fn advance(
        &self,
        memory: &mut ThresholdMemory,
        status: &mut MetricStatus,
        answers: &[&Answered],
        context: &Context,
    ) {
        for answer in answers {
            let Some(at) = answer.query.measured_at() else { continue };
            if memory.last.is_some_and(|last| at.as_second() <= last) {
                continue; // measured before
            }
            // After an error the measurement may still be going on.
            if answer.result.is_ok() {
                memory.unfinished = None;
            }
            match &answer.result {
                Ok(Answer::Several(series)) => {
                    memory.silence.answered();
                    memory.count(at.as_second(), None, None, context);
                    memory.several = Some(*series);
                    let value = several(*series);
                    status.measurements.push(Measurement { at: Some(at), value, verdict: Verdict::NoData });
                }
                Ok(Answer::Unfinished) => {
                    memory.silence.answered();
                    memory.unfinished = Some(Unfinished { at: at.as_second(), again: context.now.as_second() + AGAIN });
                }
                Ok(Answer::Unmeasured(why)) => {
                    memory.last = Some(at.as_second());
                    memory.silence.failed(why, context);
                }
                Ok(Answer::Job(end)) => {
                    self.measure(memory, status, (at, Some(f64::from(end.exit_code))), context);
                    let last = status.measurements.last_mut().filter(|last| last.at == Some(at) && !end.log.is_empty());
                    if let Some(last) = last {
                        last.value = format!("exit code {}: {}", end.exit_code, end.log);
                    }
                }
                Ok(Answer::Scalar(value)) => self.measure(memory, status, (at, *value), context),
                Ok(_) => memory.silence.failed("got counts instead of a number", context),
                Err(error) => memory.silence.failed(error, context),
            }
        }
        keep_last(&mut status.measurements);
        judge(self, status, memory, context);
    }
}

impl ThresholdMetric {
    fn measure(
        &self,
        memory: &mut ThresholdMemory,
        status: &mut MetricStatus,
        (at, value): (jiff::Timestamp, Option<f64>),
        context: &Context,
    ) {
        match signed(self, value) {
            Ok(sign) => {
                let value = value.filter(|value| value.is_finite());
                memory.silence.answered();
                if let Some(value) = value
                    && let Some(trail) = trail(status, context)
                {
                    let before = || evidence(self, memory, context);
                    trail.take(at.as_second(), interval(self), TrailWindow::Value(value), before);
                }
                memory.count(at.as_second(), value, sign, context);
                status.measurements.push(measured(at, value, sign));
            }
            Err(error) => memory.silence.failed(&error.to_string(), context),
        }
    }
}

impl Memory for ThresholdMemory {
    fn silence(&self) -> &NoData {
        &self.silence
    }
}

/// What one number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Good,
    Bad,
    Neither,
}

impl ThresholdMemory {
    /// When the next measurement is due: after a sleep the latest of the missed ones, for numbers of the past are not asked.
    fn next(&self, metric: &ThresholdMetric, context: &Context) -> i64 {
        let first = context.started.as_second() + initial_delay(metric);
        let interval = interval(metric);
        let next = self.last.map_or(first, |last| last + interval);
        let missed = (context.now.as_second() - next).max(0) / interval;
        next + missed * interval
    }
}

impl ThresholdMemory {
    fn count(&mut self, at: i64, value: Option<f64>, sign: Option<Sign>, context: &Context) {
        if self.epoch != context.epoch && at >= context.epoch_since.as_second() {
            (self.epoch, self.good, self.good_in_a_row) = (context.epoch, 0, 0);
        }
        (self.last, self.value, self.several) = (Some(at), value, None);
        self.says_nothing = sign.is_none();
        let Some(sign) = sign else { return };
        self.good_in_a_row = if sign == Sign::Good { self.good_in_a_row.saturating_add(1) } else { 0 };
        let counter = match sign {
            Sign::Good => &mut self.good,
            Sign::Bad => &mut self.bad,
            Sign::Neither => &mut self.neither,
        };
        *counter = counter.saturating_add(1);
    }
}

fn judge(metric: &ThresholdMetric, status: &mut MetricStatus, memory: &mut ThresholdMemory, context: &Context) {
    let standing = standing(metric, memory, context);
    memory.silence.conclude(standing, status, context);
    let (verdict, evidence) = (status.verdict, evidence(metric, memory, context));
    status.canary = memory.value.map(format::number).unwrap_or_default();
    status.comparison = condition_text(metric);
    status.needs = needs(metric, memory, context).filter(|_| matches!(verdict, Verdict::Continue | Verdict::NoData));
    status.fail_progress = evidence.fail;
    if let Some(trail) = &mut status.trail {
        trail.weigh(evidence);
    }
    status.notes.retain(|note| !note.ends_with(AGGREGATE));
    status.notes.extend(memory.several.map(several));
}

fn several(series: usize) -> String {
    format!("{series}{AGGREGATE}")
}

fn standing(metric: &ThresholdMetric, memory: &ThresholdMemory, context: &Context) -> (Verdict, MetricReason) {
    let in_a_row = metric.consecutive_success_limit.is_some_and(|limit| memory.good_in_a_row >= limit);
    let enough = in_a_row
        || (metric.consecutive_success_limit.is_none() || metric.count.is_some()) && memory.good >= count(metric);
    if memory.bad > metric.failure_limit.unwrap_or(0) {
        (Verdict::Fail, MetricReason::TooManyFailures)
    } else if memory.neither > metric.inconclusive_limit.unwrap_or(0) {
        (Verdict::Inconclusive, MetricReason::TooManyInconclusive)
    } else if memory.epoch == context.epoch && enough {
        (Verdict::Pass, MetricReason::EnoughSuccesses)
    } else if memory.silence.errors > metric.consecutive_error_limit.unwrap_or(ERROR_LIMIT) {
        (Verdict::NoData, MetricReason::SourceError)
    } else if memory.several.is_some() {
        (Verdict::NoData, MetricReason::SeveralSeries)
    } else if memory.says_nothing {
        (Verdict::NoData, MetricReason::NoResult)
    } else if memory.last.is_none() {
        (Verdict::Continue, MetricReason::NotMeasured)
    } else {
        (Verdict::Continue, MetricReason::Undecided)
    }
}

/// The failed and the successful measurements as shares of what is needed.
fn evidence(metric: &ThresholdMetric, memory: &ThresholdMemory, context: &Context) -> TrailEvidence {
    let failure_limit = metric.failure_limit.unwrap_or(0);
    let (have, needed, _) = successes(metric, memory, context);
    TrailEvidence {
        fail: (f64::from(memory.bad) / (f64::from(failure_limit) + 1.0)).min(1.0),
        pass: (f64::from(have) / f64::from(needed.max(1))).min(1.0),
        interval: None,
    }
}

/// The successful measurements of this epoch, how many a Pass needs, and whether in a row.
fn successes(metric: &ThresholdMetric, memory: &ThresholdMemory, context: &Context) -> (u32, u32, &'static str) {
    let (have, needed, how) = match metric.consecutive_success_limit {
        Some(limit) if metric.count.is_none() => (memory.good_in_a_row, limit, " in a row"),
        _ => (memory.good, count(metric), ""),
    };
    (if memory.epoch == context.epoch { have } else { 0 }, needed, how)
}

fn needs(metric: &ThresholdMetric, memory: &ThresholdMemory, context: &Context) -> Option<String> {
    let (have, needed, how) = successes(metric, memory, context);
    let short = needed.saturating_sub(have);
    let plural = if short == 1 { "" } else { "s" };
    (short > 0).then(|| format!("{short} more successful measurement{plural}{how}"))
}

/// What a result says; nothing where it is no number and no condition handles that: NaN and a division by zero say nothing
/// about the service.
fn signed(metric: &ThresholdMetric, value: Option<f64>) -> Result<Option<Sign>, ExprError> {
    let conditions = [&metric.success, &metric.failure].map(|text| text.as_deref().map(Condition::compile).transpose());
    let [success, failure] = conditions;
    let (success, failure) = (success?, failure?);
    let is_number = value.is_some_and(f64::is_finite);
    let handles = |condition: &Option<Condition>| condition.as_ref().is_some_and(Condition::handles_no_number);
    if !is_number && !handles(&success) && !handles(&failure) {
        return Ok(None);
    }
    // A condition that does not handle it does not hold.
    let holds = |condition: &Option<Condition>| {
        let asked = |condition: &Condition| match is_number || condition.handles_no_number() {
            true => condition.holds(value.unwrap_or(f64::NAN)),
            false => Ok(false),
        };
        condition.as_ref().map(asked).transpose()
    };
    Ok(Some(match (holds(&success)?, holds(&failure)?) {
        (_, Some(true)) | (Some(false), None) => Sign::Bad,
        (Some(true), _) | (None, Some(false)) => Sign::Good,
        (Some(false), Some(false)) | (None, None) => Sign::Neither,
    }))
}

fn condition_text(metric: &ThresholdMetric) -> String {
    let success = metric.success.iter().map(|text| format!("requires {text}"));
    success.chain(metric.failure.iter().map(|text| format!("fails if {text}"))).collect::<Vec<_>>().join(", ")
}

fn measured(at: jiff::Timestamp, value: Option<f64>, sign: Option<Sign>) -> Measurement {
    let verdict = match sign {
        None => Verdict::NoData,
        Some(Sign::Good) => Verdict::Pass,
        Some(Sign::Bad) => Verdict::Fail,
        Some(Sign::Neither) => Verdict::Inconclusive,
    };
    Measurement { at: Some(at), value: value.map_or_else(|| "no result".to_owned(), format::number), verdict }
}

/// Seconds before the first measurement.
fn initial_delay(metric: &ThresholdMetric) -> i64 {
    metric.initial_delay.map_or(0, |delay| delay.get().as_secs().cast_signed())
}

/// Seconds between measurements.
fn interval(metric: &ThresholdMetric) -> i64 {
    metric.interval.map_or(INTERVAL, |interval| interval.get().as_secs().cast_signed()).max(1)
}

fn count(metric: &ThresholdMetric) -> u32 {
    metric.count.unwrap_or(1)
}

#[cfg(test)]
#[path = "threshold_job_tests.rs"]
mod job_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(success: &str, failure: &str) -> ThresholdMetric {
        let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        ThresholdMetric { success: set(success), failure: set(failure), ..ThresholdMetric::default() }
    }

    #[test]
    fn a_result_is_good_bad_neither_or_says_nothing() {
        let (nan, inf) = (Some(f64::NAN), Some(f64::INFINITY));
        let (good, bad, neither) = (Some(Sign::Good), Some(Sign::Bad), Some(Sign::Neither));
        for (success, failure, value, says) in [
            ("result < 5", "", Some(1.0), good),
            ("result < 5", "", Some(5.0), bad),
            ("", "result > 5", Some(5.0), good),
            ("", "result > 5", Some(6.0), bad),
            ("result < 5", "result > 9", Some(7.0), neither),
            // What is no number says nothing, unless a condition handles it.
            ("result < 5", "", None, None),
            ("result < 5", "", nan, None),
            ("result < 5", "result >= 5", inf, None),
            ("default(result, 0) < 5", "", None, good),
            ("default(result, 0) < 5", "", nan, good),
            ("default(result, 9) < 5", "", None, bad),
            ("default(result, 0) < 5", "", inf, bad),
            ("!isNaN(result) && result < 5", "", nan, bad),
            ("isNaN(result) || result < 5", "", Some(7.0), bad),
            ("result < 5", "isNaN(result)", None, bad),
            ("result < 5", "isNaN(result)", inf, neither),
            ("result < 5", "isInf(result)", inf, bad),
            ("default(result, 0) < 5", "result > 5", None, good),
        ] {
            assert_eq!(signed(&metric(success, failure), value), Ok(says), "{success} {failure} of {value:?}");
        }
    }
}
