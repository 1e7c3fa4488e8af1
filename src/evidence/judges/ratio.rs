//! The ratio judge joined to a metric: windows in, a metric's status out.

use serde::{Deserialize, Serialize};

use self::{historical_baseline::HistoricalBaseline, spread::Spread, warm_up_guard::WarmUpGuard};
use super::{
    bake::Bake,
    judge::{Judge, Memory, Problems, Since},
    presence::Presence,
};
use crate::{
    api::{
        analysis::{AnalysisRunSpec, Measurement, MetricStatus, RatioMetric, TrailEvidence, TrailWindow, Verdict},
        reason::MetricReason,
    },
    evidence::{
        context::{Context, keep_last, trail},
        defaults::{Defaults, Frozen},
        dialect::Dialect,
        format,
        no_data::NoData,
        plan::Answered,
        query::{Answer, ArmCounts, IncrementsQuery, Query},
        windows,
    },
    stats::{Counts, RatioConfig, RatioState},
};

mod historical_baseline;
mod spread;
mod warm_up_guard;

/// Canary errors that a Fail needs at least.
const MIN_ERRORS: u64 = 3;

/// The error of an answer to another question.
const NO_COUNTS: &str = "got a number instead of counts";

/// The same of stable's pods.
const NO_SPREAD: &str = "got something else than the counts of pods";

/// What the judge remembers. Times are unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RatioMemory {
    /// The end of the last counted window.
    through: Option<i64>,
    #[serde(flatten)]
    bake: Bake,
    #[serde(flatten)]
    presence: Presence,
    /// Windows that had no series at all, after some that had.
    missed: u32,
    /// Since when there is nothing to judge, and when to ask again after an error.
    silence: NoData,
    /// The test during warm-up.
    crude: WarmUpGuard,
    /// Stable in the hour before, where it sees no comparable traffic now.
    #[serde(skip_serializing_if = "HistoricalBaseline::is_unasked")]
    before: HistoricalBaseline,
    /// How the errors of stable's pods were spread before.
    spread: Spread,
    state: RatioState,
}

impl Judge for RatioMetric {
    type Memory = RatioMemory;

    fn problems(&self, dialect: &dyn Dialect) -> Problems {
        let mut problems = Problems::new();
        let limits = Defaults::ratio(self);
        let mut add = |field: &str, problem: String| problems.push((format!("ratio.{field}"), problem));
        if limits.floor > 0.5 || limits.floor <= 0.0 {
            add("floor", "must be above 0 and at most 50 %".to_owned());
        }
        if limits.pass_ratio.is_nan() || limits.pass_ratio <= limits.r0 {
            add("pass.ratio", format!("{} must be above 1 + tolerance ({})", limits.pass_ratio, limits.r0));
        }
        if limits.ceiling <= limits.floor {
            let (ceiling, floor) = (limits.ceiling * 100.0, limits.floor * 100.0);
            add("pass.ceiling", format!("{ceiling} % must be above the floor ({floor} %)"));
        }
        for (field, counter) in [("bad", &self.bad), ("total", &self.total)] {
            if let Err(problem) = dialect.counter(counter) {
                add(field, problem);
            }
        }
        problems
    }

    fn window(&self, spec: &AnalysisRunSpec, frozen: &Frozen, end: i64) -> Option<IncrementsQuery> {
        Some(windows::question(spec, frozen, [&self.bad, &self.total], end))
    }

    fn takes_alpha(&self) -> bool {
        true
    }

    fn soonest(&self, frozen: &Frozen, _since: Since) -> i64 {
        windows::baked_at(frozen)
    }

    fn begin(&self, context: &Context) -> RatioMemory {
        RatioMemory { bake: Bake::begin(context), ..RatioMemory::default() }
    }

    fn ask(&self, memory: &RatioMemory, spec: &AnalysisRunSpec, context: &Context) -> (Vec<Query>, i64) {
        let (ends, next) = windows::due(memory.next_end(context), &context.frozen, context.now);
        let ask = |end: i64| windows::question(spec, &context.frozen, [&self.bad, &self.total], end);
        let warming = |end: i64| IncrementsQuery { warm_up_seconds: 0, ..ask(end) };
        let crude = if context.frozen.warm_up > 0 { memory.crude.due(context) } else { Vec::new() };
        let before = memory.before.question(spec, self, context);
        let questions = before.into_iter().chain(ends.into_iter().map(ask)).chain(crude.into_iter().map(warming));
        let spread = memory.spread.question(spec, self, context).map(Query::Spread);
        (spread.into_iter().chain(questions.map(Query::Increments)).collect(), next)
    }

    fn advance(&self, memory: &mut RatioMemory, status: &mut MetricStatus, answers: &[&Answered], context: &Context) {
        memory.take_spread(answers, context);
        let context = &memory.spread.measured(context);
        // All evidence is weighed alike: without phi nothing is counted, and the windows are asked for again.
        let answers = if memory.spread.is_known(context) { answers } else { &[] };
        for answer in answers {
            let Query::Increments(query) = &answer.query else { continue };
            if HistoricalBaseline::is_asked_by(query, context) {
                memory.take_before(answer, context);
                if !memory.before.asked {
                    break; // without it nothing can be judged: the windows are asked for again
                }
            } else if is_crude(query, context) {
                memory.count_crude(query, answer, context);
            } else if query.end.as_second() == memory.next_end(context) {
                memory.take_window(&config(self, context, memory), status, answer, context);
                if memory.silence.errors > 0 {
                    break; // later windows wait, so that all are counted in order
                }
            } // else it was read before: a window is never revised
        }
        keep_last(&mut status.measurements);
        judge(status, memory, context);
    }

    fn log_e(&self, memory: &RatioMemory, context: &Context) -> Option<f64> {
        let context = &memory.spread.measured(context);
        Some(memory.state.log_e_fail(&config(self, context, memory)))
    }

    fn describe(&self, memory: &RatioMemory, status: &mut MetricStatus, context: &Context) {
        let context = &memory.spread.measured(context);
        format::note(&mut status.notes, memory.spread.note(context).as_slice());
        let config = config(self, context, memory);
        let seen = if memory.crude.fails() { memory.crude.seen(context) } else { memory.state.assess(&config) };
        status.canary = format::rate(seen.counts.kc, seen.counts.nc);
        status.stable = match &memory.before {
            before if context.one_armed => format!("{} in the hour before", format::rate(before.bad, before.total)),
            _ => format::rate(seen.counts.kb, seen.counts.nb),
        };
        status.comparison = format::comparison(&seen);
        let (requests, forecast) = (seen.epoch_counts.nc, seen.canary_requests_needed);
        let needs = memory.bake.needs(requests, forecast, "a lower canary error rate", context);
        let open = !matches!(status.verdict, Verdict::Fail | Verdict::Pass);
        status.needs = (open && !needs.is_empty()).then(|| needs.join(" and "));
        status.fail_progress = seen.fail_share;
        if let Some(trail) = &mut status.trail {
            trail.weigh(evidence((seen.fail_share, seen.pass_share)));
        }
    }
}

impl Memory for RatioMemory {
    fn silence(&self) -> &NoData {
        &self.silence
    }

    fn through(&self) -> Option<i64> {
        self.through
    }
}

impl RatioMemory {
    /// The end of the next window to read.
    fn next_end(&self, context: &Context) -> i64 {
        windows::next_end(self.through, context.started, context.frozen.window)
    }
}

/// Whether a question left no young pod out, and so is the test's during warm-up.
fn is_crude(query: &IncrementsQuery, context: &Context) -> bool {
    query.warm_up_seconds == 0 && context.frozen.warm_up > 0
}

impl RatioMemory {
    /// A window without an answer is left out: the judge's own queries report what is wrong with the source.
    fn count_crude(&mut self, query: &IncrementsQuery, answer: &Answered, context: &Context) {
        if let Ok(Answer::Increments { canary, stable, .. }) = &answer.result {
            self.crude.count(query.end.as_second(), joined(*canary, *stable), context);
        }
    }

    fn take_spread(&mut self, answers: &[&Answered], context: &Context) {
        let answer = answers.iter().find(|answer| matches!(answer.query, Query::Spread(_)));
        match answer.map(|answer| &answer.result) {
            Some(Ok(Answer::Spread(windows))) => self.spread.answered(windows.as_deref()),
            Some(Ok(_)) => self.silence.failed(NO_SPREAD, context),
            Some(Err(error)) => {
                self.silence.failed(error, context);
                if answers.iter().any(|answer| answer.result.is_ok()) {
                    self.spread.refused(error);
                }
            }
            None => {}
        }
    }

    fn take_before(&mut self, answer: &Answered, context: &Context) {
        match &answer.result {
            Ok(Answer::Increments { stable, .. }) => self.before.answered(*stable),
            Ok(_) => self.silence.failed(NO_COUNTS, context),
            Err(error) => self.silence.failed(error, context),
        }
    }

    /// Counts the answer about the next window.
    fn take_window(&mut self, config: &RatioConfig, status: &mut MetricStatus, answer: &Answered, context: &Context) {
        let (canary, stable, notes) = match &answer.result {
            Ok(Answer::Increments { canary, stable, notes }) => (*canary, *stable, notes),
            Ok(_) => return self.silence.failed(NO_COUNTS, context),
            Err(error) => return self.silence.failed(error, context),
        };
        let (end, counts) = (windows::instant(self.next_end(context)), joined(canary, stable));
        if let Some(trail) = trail(status, context) {
            let seen = TrailWindow::Counts { canary: [counts.kc, counts.nc], stable: [counts.kb, counts.nb] };
            trail.phi = Some(context.frozen.phi);
            trail.take(end.as_second(), context.frozen.window, seen, || evidence(self.state.shares(config)));
        }
        self.count(config, counts, context);
        status.measurements.push(measured(end, counts, canary.is_some() && stable.is_some()));
        format::note(&mut status.notes, notes);
        if canary.is_none() && stable.is_none() && self.presence.compared > 0 {
            self.missed += 1;
            let text = format!("missed: {} windows without any series, past retention or not scraped", self.missed);
            format::note(&mut status.notes, &[text]);
        }
        self.silence.answered();
    }

    fn count(&mut self, config: &RatioConfig, window: Counts, context: &Context) {
        let end = self.next_end(context);
        let length = context.frozen.window;
        if self.bake.begins_anew(end - length, context) {
            self.state.begin_epoch();
        }
        self.state.observe(config, window, length.unsigned_abs());
        if self.presence.count(end, [window.nc, window.nb], context) {
            self.bake.add(length);
        }
        self.through = Some(end);
    }
}

/// The verdict alone: the displayed numbers cost more and are computed only when needed ([`Judge::describe`]).
fn judge(status: &mut MetricStatus, memory: &mut RatioMemory, context: &Context) {
    if context.one_armed {
        format::note(
            &mut status.notes,
            &["OneArmed: no comparable traffic at stable; judged by floor and ceiling".to_owned()],
        );
    }
    let standing = standing(memory, context);
    memory.silence.conclude(standing, status, context);
}

fn standing(memory: &RatioMemory, context: &Context) -> (Verdict, MetricReason) {
    let passes = memory.bake.is_current(context) && memory.state.passes();
    let requests = || memory.state.counts().nc;
    if memory.crude.fails() {
        (Verdict::Fail, MetricReason::Catastrophic)
    } else if memory.state.fails() {
        (Verdict::Fail, MetricReason::WorseThanStable)
    } else if passes && memory.bake.is_over(memory.state.epoch_counts().nc, context) {
        (Verdict::Pass, MetricReason::NotWorse)
    } else if memory.silence.errors > 0 {
        (Verdict::NoData, MetricReason::SourceError)
    } else if let Some(missing) =
        memory.through.and_then(|through| memory.presence.missing(through, requests(), context))
    {
        (Verdict::NoData, missing)
    } else if memory.presence.compared == 0 {
        (Verdict::Continue, MetricReason::WarmUp)
    } else if passes {
        (Verdict::Continue, MetricReason::Bake)
    } else {
        (Verdict::Continue, MetricReason::Undecided)
    }
}

/// The shares of what a Fail and a Pass need, for the trail. The interval follows from the counts ([`with_intervals`]).
///
/// [`with_intervals`]: crate::evidence::with_intervals
fn evidence((fail, pass): (f64, f64)) -> TrailEvidence {
    TrailEvidence { fail, pass, interval: None }
}

fn config(metric: &RatioMetric, context: &Context, memory: &RatioMemory) -> RatioConfig {
    let (limits, frozen) = (Defaults::ratio(metric), &context.frozen);
    // Without a concurrent baseline the canary may be as bad as stable was, plus the tolerance.
    let floor = if context.one_armed { limits.floor.max(limits.r0 * memory.before.rate()) } else { limits.floor };
    RatioConfig {
        r0: limits.r0,
        floor,
        one_armed: context.one_armed,
        pass_ratio: limits.pass_ratio,
        ceiling: Some(limits.ceiling),
        phi: frozen.phi,
        alpha: frozen.alpha,
        beta: frozen.beta,
        min_errors: MIN_ERRORS,
    }
}

fn joined(canary: Option<ArmCounts>, stable: Option<ArmCounts>) -> Counts {
    let (canary, stable) = (canary.unwrap_or_default(), stable.unwrap_or_default());
    Counts { kc: canary.bad, nc: canary.total, kb: stable.bad, nb: stable.total }
}

fn measured(end: jiff::Timestamp, counts: Counts, both: bool) -> Measurement {
    let value = format!("canary {}/{}, stable {}/{}", counts.kc, counts.nc, counts.kb, counts.nb);
    let verdict = if both && counts.is_comparable() { Verdict::Continue } else { Verdict::NoData };
    Measurement { at: Some(end), value, verdict }
}

#[cfg(test)]
#[path = "ratio_tests.rs"]
mod tests;
