//! Kayenta's judge joined to a metric: series of both arms over a lifetime in, a metric's status out.
//!
//! As in Kayenta, data is collected from the end of the warm-up on, and judged anew at each interval: a score below `marginal`
//! fails at once, and the judgment at the end of the lifetime decides. From then on, in a background run, the last lifetime is
//! judged at each interval. A new weight begins a new lifetime.

use serde::{Deserialize, Serialize};

use self::judgment::Judgment;
use super::judge::{Judge, Memory, Problems, Since};
use crate::{
    api::{
        analysis::{AnalysisRunSpec, KayentaMetric, Measurement, MetricStatus, Verdict},
        common::HumanDuration,
        reason::MetricReason,
    },
    evidence::{
        context::{Context, keep_last},
        defaults::{Defaults, Frozen},
        dialect::Dialect,
        format,
        no_data::NoData,
        plan::Answered,
        query::Query,
        windows,
    },
};

mod judgment;

/// What the judge remembers. Times are unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KayentaMemory {
    /// When the last judgment was due.
    last: Option<i64>,
    /// The last judgment.
    judgment: Option<Judgment>,
    /// Whether it is of a whole lifetime.
    decides: bool,
    /// Whether one was below `marginal`.
    failed: bool,
    /// Since when there is nothing to judge, and when to ask again after an error.
    silence: NoData,
}

impl Judge for KayentaMetric {
    type Memory = KayentaMemory;

    fn problems(&self, _dialect: &dyn Dialect) -> Problems {
        let wrong = KayentaMetric::problems(self).into_iter();
        wrong.map(|(field, problem)| (format!("kayenta.{field}"), problem)).collect()
    }

    fn takes_alpha(&self) -> bool {
        false
    }

    /// A warm-up and a lifetime, whose end is read late.
    fn soonest(&self, frozen: &Frozen, _since: Since) -> i64 {
        let lifetime = frozen.warm_up.saturating_add(lifetime(self));
        windows::read_at(lifetime, frozen)
    }

    fn compares_pods(&self) -> bool {
        true
    }

    fn begin(&self, _context: &Context) -> KayentaMemory {
        KayentaMemory::default()
    }

    fn ask(&self, memory: &KayentaMemory, spec: &AnalysisRunSpec, context: &Context) -> (Vec<Query>, i64) {
        let due = memory.due(self, context);
        let read_at = windows::read_at(due, &context.frozen);
        if read_at > context.now.as_second() {
            return (Vec::new(), read_at);
        }
        let start = due.saturating_sub(lifetime(self)).max(data_start(context));
        let arms = [&spec.arms.canary, &spec.arms.stable];
        let question = |text: &str, scope: &str| Query::Range {
            query: text.replace("${scope}", scope).replace("${location}", &spec.arms.namespace),
            start: windows::instant(start),
            end: windows::instant(due),
            step_seconds: u32::try_from(self.step_seconds()).unwrap_or(u32::MAX),
        };
        let both = self.metrics.iter().flat_map(|series| arms.map(|scope| question(&series.query, scope)));
        (both.collect(), read_at.saturating_add(interval(self)))
    }

    fn advance(&self, memory: &mut KayentaMemory, status: &mut MetricStatus, answers: &[&Answered], context: &Context) {
        let due = memory.due(self, context);
        let of_this = |one: &&&Answered| matches!(&one.query, Query::Range { end, .. } if end.as_second() == due);
        let answers: Vec<&Answered> = answers.iter().filter(of_this).copied().collect();
        // They come in the order in which they were asked: series by series, the canary first.
        if !answers.is_empty() && answers.len() == 2 * self.metrics.len() {
            match Judgment::of(self, &answers) {
                Err(error) => memory.silence.failed(&error, context),
                Ok(judgment) => memory.take(self, status, due, judgment, context),
            }
        }
        keep_last(&mut status.measurements);
        judge(self, status, memory, context);
    }

    fn describe(&self, memory: &KayentaMemory, status: &mut MetricStatus, context: &Context) {
        let Some(judgment) = &memory.judgment else { return };
        status.canary = judgment.shown();
        status.comparison = judgment.failing.join("; ");
        let open = !matches!(status.verdict, Verdict::Fail | Verdict::Pass);
        let due = memory.due(self, context).max(data_start(context) + lifetime(self));
        let short = windows::read_at(due, &context.frozen) - context.now.as_second();
        let short = HumanDuration::secs(u64::try_from(short).unwrap_or(0));
        status.needs = (open && !short.get().is_zero()).then(|| format!("the judgment in {short}"));
    }
}

impl Memory for KayentaMemory {
    fn silence(&self) -> &NoData {
        &self.silence
    }
}

impl KayentaMemory {
    /// When the next judgment is due: after a sleep the latest of the missed ones, as each judges all data so far.
    fn due(&self, metric: &KayentaMetric, context: &Context) -> i64 {
        let (start, interval) = (data_start(context), interval(metric));
        let next = self.last.filter(|last| *last > start).map_or(start + interval, |last| last + interval);
        let read_at = windows::read_at(next, &context.frozen);
        next + (context.now.as_second() - read_at).max(0) / interval * interval
    }

    fn take(
        &mut self,
        metric: &KayentaMetric,
        status: &mut MetricStatus,
        due: i64,
        judgment: Judgment,
        context: &Context,
    ) {
        let limits = Defaults::kayenta(metric);
        self.silence.answered();
        self.last = Some(due);
        self.decides = due - data_start(context) >= lifetime(metric);
        let verdict = match judgment.score {
            None => Verdict::NoData,
            Some(score) if score >= limits.pass => Verdict::Pass,
            Some(score) if score >= limits.marginal => Verdict::Inconclusive,
            Some(_) => Verdict::Fail,
        };
        self.failed |= verdict == Verdict::Fail;
        status.measurements.push(Measurement { at: Some(windows::instant(due)), value: judgment.shown(), verdict });
        if !judgment.missing.is_empty() {
            format::note(&mut status.notes, &[format!("no data: {}", judgment.missing.join("; "))]);
        } else {
            status.notes.retain(|note| !note.starts_with("no data: "));
        }
        self.judgment = Some(judgment);
    }
}

fn judge(metric: &KayentaMetric, status: &mut MetricStatus, memory: &mut KayentaMemory, context: &Context) {
    let limits = Defaults::kayenta(metric);
    let below = memory.judgment.as_ref().and_then(|judgment| judgment.score).map_or(0.0, |score| 100.0 - score);
    status.fail_progress =
        if memory.failed { 1.0 } else { (below / (100.0 - limits.marginal).max(1.0)).clamp(0.0, 1.0) };
    let standing = standing(metric, memory, context);
    memory.silence.conclude(standing, status, context);
}

fn standing(metric: &KayentaMetric, memory: &KayentaMemory, context: &Context) -> (Verdict, MetricReason) {
    let limits = Defaults::kayenta(metric);
    // A judgment of an earlier weight's data decides nothing but a Fail.
    let current = memory.last.is_some_and(|last| last > data_start(context));
    let judgment = memory.judgment.as_ref().filter(|_| current);
    let score = judgment.and_then(|judgment| judgment.score);
    if memory.failed {
        return (Verdict::Fail, MetricReason::ScoreTooLow);
    }
    if let Some(score) = score.filter(|_| memory.decides) {
        return match score >= limits.pass {
            true => (Verdict::Pass, MetricReason::NotWorse),
            false => (Verdict::Inconclusive, MetricReason::MarginalScore),
        };
    }
    if memory.silence.errors > 0 {
        (Verdict::NoData, MetricReason::SourceError)
    } else if context.one_armed {
        (Verdict::NoData, MetricReason::NoBaseline)
    } else if judgment.is_some() && score.is_none() {
        (Verdict::NoData, MetricReason::NoResult)
    } else if judgment.is_none() {
        (Verdict::Continue, MetricReason::NotMeasured)
    } else {
        (Verdict::Continue, MetricReason::Undecided)
    }
}

/// The data of this weight, whose pods are warm.
fn data_start(context: &Context) -> i64 {
    context.started.max(context.epoch_since).as_second().saturating_add(context.frozen.warm_up)
}

fn lifetime(metric: &KayentaMetric) -> i64 {
    metric.lifetime_seconds().cast_signed().max(1)
}

fn interval(metric: &KayentaMetric) -> i64 {
    metric.interval_seconds().cast_signed().max(1)
}

#[cfg(test)]
#[path = "kayenta_tests.rs"]
mod tests;
