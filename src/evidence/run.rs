//! One AnalysisRun's step, in two halves with the asking between them.
//!
//! [`plan`] returns the queries to run now; the driver sends them to a [`crate::evidence`] source; [`advance`] takes
//! the results and returns the next status. Both are pure: the same spec, status, answers and time give the same
//! result, so that a controller that restarts, or sleeps and reads the missed windows back, ends with the same
//! evidence.

use jiff::Timestamp;

use crate::{
    api::{
        analysis::{AnalysisRunSpec, AnalysisRunStatus, LoadStatus, Metric, MetricStatus, RunPhase, Verdict},
        reason::MetricReason,
    },
    stats::ebh,
};

use super::{
    context::Context,
    defaults::Defaults,
    judges::{Memory, frozen, judge_of},
    load,
    memory::{Kept, NO_JUDGE},
    no_data::source_error,
    plan::{Answered, Asker, Planned, RunPlan},
    query::Query,
    room, sample_ratio, windows,
};

/// Questions of one look at a run: what is left over is asked in the next, which follows at once.
const MOST_QUESTIONS: usize = 128;
/// When a run that has ended is looked at again, in seconds: it asks nothing.
const ENDED: i64 = 3600;

/// A run's status with its judges' memories at hand: they are read from a recorded status once, not at every window.
#[derive(Debug)]
pub struct Live {
    /// The status without the memories.
    status: AnalysisRunStatus,
    /// Each metric's, in the spec's order.
    memories: Vec<Kept>,
    /// When results were last processed: the displayed numbers are computed when the status is written.
    taken: Option<Timestamp>,
    keeps_trails: bool,
}

/// The queries to run now, for a caller with a recorded status only.
#[cfg(test)]
pub(super) fn plan(spec: &AnalysisRunSpec, status: &AnalysisRunStatus, now: Timestamp) -> RunPlan {
    Live::of(spec, status.clone()).plan(spec, now)
}

/// The next status for the record, with the answers taken in.
#[cfg(test)]
pub(super) fn advance(
    spec: &AnalysisRunSpec,
    status: &AnalysisRunStatus,
    answers: &[Answered],
    now: Timestamp,
) -> AnalysisRunStatus {
    let mut live = Live::of(spec, status.clone());
    live.advance(spec, answers, now);
    live.recorded(spec)
}

impl Live {
    /// Takes a recorded status up.
    pub fn of(spec: &AnalysisRunSpec, mut status: AnalysisRunStatus) -> Live {
        let take = |metric: &Metric| {
            let known = status.metrics.iter_mut().find(|known| known.name == metric.name);
            Kept::take(metric, known)
        };
        let memories = spec.metrics.iter().map(take).collect();
        Live { status, memories, taken: None, keeps_trails: true }
    }

    /// Without the course of the evidence: where it is not read, it need not be computed.
    pub fn without_trails(self) -> Live {
        Live { keeps_trails: false, ..self }
    }

    /// Verdicts and times. The judges' state and the displayed numbers are only in [`Live::recorded`].
    pub fn status(&self) -> &AnalysisRunStatus {
        &self.status
    }

    /// Takes up what is known of the loads, and says whether it must go on record.
    pub fn set_load(&mut self, load: Vec<LoadStatus>) -> bool {
        let changes = self.status.load != load;
        self.status.load = load;
        changes
    }

    /// The status for the record.
    pub fn recorded(&self, spec: &AnalysisRunSpec) -> AnalysisRunStatus {
        let mut status = self.status.clone();
        let context = self.taken.map(|at| Context::of(spec, &status, at));
        for (metric, kept) in spec.metrics.iter().zip(&self.memories) {
            if let Some(known) = status.metrics.iter_mut().find(|known| known.name == metric.name) {
                known.accumulator = kept.written(metric);
                if let (Some(context), Some(judge), Some(memory)) = (&context, judge_of(metric), kept.memory()) {
                    judge.describes(memory, known, &of_metric(context, spec, metric));
                }
            }
        }
        if self.taken.is_some() && status.phase != RunPhase::Stopped {
            let moved = context.map(|context| self.moved(spec, &context)).unwrap_or_default();
            status.message = message(spec, &status) + &moved + &load::sentence(&status.load);
        }
        room::fit(&mut status);
        status
    }

    /// `; moved: errors, latency`: of several required tests those whose evidence counts for all of them together, by e-BH.
    /// A metric alone says it by its verdict.
    fn moved(&self, spec: &AnalysisRunSpec, context: &Context) -> String {
        let tests = spec.metrics.iter().zip(&self.memories).filter(|(metric, _)| metric.is_required());
        let weighed = tests.filter_map(|(metric, kept)| {
            Some((metric.name.as_str(), judge_of(metric)?.weighs(kept.memory()?, &of_metric(context, spec, metric))?))
        });
        let (names, log_e): (Vec<&str>, Vec<f64>) = weighed.unzip();
        if names.len() < 2 {
            return String::new();
        }
        let alpha = spec.settings.alpha.or(Defaults::settings().alpha).unwrap_or(0.05);
        let named = names.into_iter().zip(ebh::moved(&log_e, alpha)).filter(|(_, moved)| *moved);
        let named: Vec<&str> = named.map(|(name, _)| name).collect();
        if named.is_empty() { String::new() } else { format!("; moved: {}", named.join(", ")) }
    }

    /// What to ask now. Nothing once the run has ended or is asked to stop.
    pub fn plan(&self, spec: &AnalysisRunSpec, now: Timestamp) -> RunPlan {
        let status = &self.status;
        if status.phase != RunPhase::Running {
            return RunPlan { queries: Vec::new(), wake: windows::instant(now.as_second() + ENDED) };
        }
        if spec.stop {
            return RunPlan { queries: Vec::new(), wake: now };
        }
        let context = Context::of(spec, status, now);
        let mut queries = Vec::new();
        let mut wake = now.as_second() + ENDED;
        for (index, (metric, kept)) in spec.metrics.iter().zip(&self.memories).enumerate() {
            let (own, next) = asked(spec, metric, kept, &of_metric(&context, spec, metric));
            wake = wake.min(next);
            queries.extend(own.into_iter().map(|query| Planned { asker: Asker::Metric(index), query }));
        }
        let (own, next) = sample_ratio::asked(spec, status, &context);
        wake = wake.min(next);
        queries.extend(own.into_iter().map(|query| Planned { asker: Asker::Share, query }));
        // Guardrails first: a release may have to be rolled back because of them. The order of each metric's stays.
        queries.sort_by_key(|planned| planned.query.measured_at().is_some());
        let more = queries.len() > MOST_QUESTIONS;
        queries.truncate(MOST_QUESTIONS);
        RunPlan { queries, wake: if more { now } else { windows::instant(wake).max(now) } }
    }

    /// Takes the answers in.
    pub fn advance(&mut self, spec: &AnalysisRunSpec, answers: &[Answered], now: Timestamp) {
        let next = &mut self.status;
        if next.phase != RunPhase::Running {
            return;
        }
        if spec.stop {
            next.phase = RunPhase::Stopped;
            next.message = format!("stopped at {}", word(next.verdict));
            return;
        }
        let context = Context { keeps_trails: self.keeps_trails, ..Context::of(spec, next, now) };
        next.share = sample_ratio::counted(spec, next, &answers_of(answers, Asker::Share), &context);
        next.started_at = Some(context.started);
        (next.epoch, next.epoch_since) = (context.epoch, Some(context.epoch_since));
        let mut known = std::mem::take(&mut next.metrics);
        for (index, (metric, kept)) in spec.metrics.iter().zip(&mut self.memories).enumerate() {
            let place = known.iter().position(|known| known.name == metric.name);
            let status = place.map(|place| known.swap_remove(place)).unwrap_or_default();
            let own = answers_of(answers, Asker::Metric(index));
            next.metrics.push(judged(metric, status, kept, &own, &of_metric(&context, spec, metric)));
        }
        next.windows_through = self.memories.iter().filter_map(Kept::through).min().map(windows::instant);
        next.verdict = overall(&next.metrics);
        self.taken = Some(now);
        if is_over(spec, next) {
            next.phase = RunPhase::Finished;
        }
    }
}

/// The context with the metric's part of alpha.
fn of_metric(context: &Context, spec: &AnalysisRunSpec, metric: &Metric) -> Context {
    Context { frozen: frozen(spec, metric), ..*context }
}

/// A background run continues after a Pass, and after an A/B test's Fail, which is a regular result: the caller decides
/// whether the test has lasted long enough. Any other Fail ends a run.
fn is_over(spec: &AnalysisRunSpec, next: &AnalysisRunStatus) -> bool {
    let fails_for_good = |metric: &Metric| {
        !judge_of(metric).is_some_and(|judge| judge.decides())
            && metric.is_required()
            && find(next, metric).is_some_and(|status| status.verdict == Verdict::Fail)
    };
    match next.verdict {
        Verdict::Fail => !spec.background || spec.metrics.iter().any(fails_for_good),
        Verdict::Pass => !spec.background,
        _ => false,
    }
}

fn answers_of(answers: &[Answered], asker: Asker) -> Vec<&Answered> {
    answers.iter().filter(|answered| answered.asker == asker).collect()
}

fn find<'a>(status: &'a AnalysisRunStatus, metric: &Metric) -> Option<&'a MetricStatus> {
    status.metrics.iter().find(|known| known.name == metric.name)
}

/// A question about a window of each metric, as its judge asks it an hour after the start: for people who want to ask it too.
pub fn questions(spec: &AnalysisRunSpec, started: Timestamp) -> Vec<(&str, Query)> {
    let status = AnalysisRunStatus {
        started_at: Some(started),
        epoch: spec.epoch,
        epoch_since: Some(started),
        ..AnalysisRunStatus::default()
    };
    let context = Context::of(spec, &status, windows::instant(started.as_second().saturating_add(3600)));
    let first = |metric: &Metric| {
        let (all, _) = asked(spec, metric, &Kept::take(metric, None), &of_metric(&context, spec, metric));
        all.into_iter().find(|query| !matches!(query, Query::Spread(_)))
    };
    spec.metrics.iter().filter_map(|metric| Some((metric.name.as_str(), first(metric)?))).collect()
}

/// A metric's due questions, and when the next one is.
fn asked(spec: &AnalysisRunSpec, metric: &Metric, kept: &Kept, context: &Context) -> (Vec<Query>, i64) {
    let nothing = (Vec::new(), i64::MAX);
    let Some(judge) = judge_of(metric) else { return nothing };
    let look = |memory: &dyn Memory| (judge.asks(memory, spec, context), memory.silence().clone());
    let Some(((queries, next), silence)) = kept.look(judge, context, look) else { return nothing };
    let now = context.now.as_second();
    let times_out = silence.since.map(|since| since + context.frozen.no_data_timeout).filter(|at| *at > now);
    match silence.retry_at {
        Some(retry) if retry > now => (Vec::new(), retry.min(times_out.unwrap_or(retry))),
        _ => (queries, next.min(times_out.unwrap_or(next))),
    }
}

fn judged(
    metric: &Metric,
    mut status: MetricStatus,
    kept: &mut Kept,
    answers: &[&Answered],
    context: &Context,
) -> MetricStatus {
    status.name.clone_from(&metric.name);
    status.required = metric.is_required();
    match advanced(metric, &mut status, kept, answers, context) {
        Ok(()) => status,
        Err(error) => unreadable(status, error),
    }
}

fn advanced(
    metric: &Metric,
    status: &mut MetricStatus,
    kept: &mut Kept,
    answers: &[&Answered],
    context: &Context,
) -> Result<(), String> {
    let judge = judge_of(metric).ok_or(NO_JUDGE)?;
    let memory = kept.change(judge, context)?;
    judge.advances(memory, status, answers, context).map_err(|error| error.to_string())
}

/// Evidence that cannot be decoded is not silently reset: the metric waits for an operator.
fn unreadable(mut status: MetricStatus, error: String) -> MetricStatus {
    (status.verdict, status.reason) = (Verdict::Inconclusive, MetricReason::MemoryUnreadable);
    status.needs = Some("a new attempt: the stored evidence cannot be decoded".to_owned());
    status.notes = vec![error];
    status
}

/// The verdict over the required metrics.
fn overall(metrics: &[MetricStatus]) -> Verdict {
    let required = || metrics.iter().filter(|metric| metric.required);
    for verdict in [Verdict::Fail, Verdict::Inconclusive, Verdict::NoData] {
        if required().any(|metric| metric.verdict == verdict) {
            return verdict;
        }
    }
    // Without a required metric nothing was proved.
    if required().next().is_some() && required().all(|metric| metric.verdict == Verdict::Pass) {
        Verdict::Pass
    } else {
        Verdict::Continue
    }
}

fn message(spec: &AnalysisRunSpec, status: &AnalysisRunStatus) -> String {
    if status.verdict == Verdict::Pass {
        return "all required metrics passed".to_owned();
    }
    let decisive = |known: &&MetricStatus| known.required && known.verdict == status.verdict;
    let judge = |known: &MetricStatus| spec.metrics.iter().find(|metric| metric.name == known.name).and_then(judge_of);
    let own = |known: &MetricStatus| judge(known)?.sentence(known);
    let sentences = status.metrics.iter().filter(decisive).map(|known| own(known).unwrap_or_else(|| sentence(known)));
    sentences.collect::<Vec<_>>().join("; ")
}

fn sentence(metric: &MetricStatus) -> String {
    let MetricStatus { name, verdict, reason, canary, stable, comparison, needs, .. } = metric;
    let seen: Vec<&str> = [canary.as_str(), comparison.as_str()].into_iter().filter(|text| !text.is_empty()).collect();
    match verdict {
        Verdict::Fail if stable.is_empty() => format!("{name} failed: {}", seen.join(", ")),
        Verdict::Fail => format!("{name} failed: canary {canary}, stable {stable}, {comparison}"),
        Verdict::NoData | Verdict::Inconclusive => {
            let error = source_error(metric).map(|error| format!(": {error}")).unwrap_or_default();
            format!("{name} has no verdict ({reason}){error}")
        }
        _ if *reason == MetricReason::WarmUp => format!("{name} waits for its first comparable window"),
        _ => needs.as_ref().map_or_else(|| format!("{name} continues"), |needs| format!("{name} needs {needs}")),
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NoData => "NoData",
        Verdict::Continue => "Continue",
        Verdict::Pass => "Pass",
        Verdict::Fail => "Fail",
        Verdict::Inconclusive => "Inconclusive",
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
