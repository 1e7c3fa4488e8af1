//! The ratio judge joined to a metric: windows in, a metric's status out.

use serde::{Deserialize, Serialize};

use self::{before::Before, catastrophic::Crude};
use crate::{
    api::{
        analysis::{Measurement, MetricStatus, RatioMetric, Verdict},
        common::HumanDuration,
    },
    evidence::{
        context::{Context, keep_last},
        defaults::Defaults,
        plan::Answered,
        query::{Answer, ArmCounts, IncrementsQuery, Query},
        silence::Silence,
        texts, windows,
    },
    stats::{Assessment, Counts, RatioConfig, RatioState},
};

mod before;
mod catastrophic;

/// Canary errors that a Fail needs at least.
const MIN_ERRORS: u64 = 3;
/// Windows without a canary request before there is no data.
const SILENT_WINDOWS: i64 = 3;
/// Canary requests that ought to have come before there is no data.
const SILENT_REQUESTS: i64 = 10;

/// What the judge remembers. Times are unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// The end of the last counted window.
    pub through: Option<i64>,
    epoch: u32,
    /// Comparable time of this epoch.
    baked: i64,
    /// Comparable time.
    compared: i64,
    /// Windows that had no series at all, after some that had.
    missed: u32,
    last_canary: Option<i64>,
    last_stable: Option<i64>,
    /// Since when there is nothing to judge, and when to ask again after an error.
    pub silence: Silence,
    /// The test during warm-up.
    pub crude: Crude,
    /// Stable in the hour before, where it sees no comparable traffic now.
    pub before: Before,
    state: RatioState,
}

impl Memory {
    /// At the start of a run.
    pub fn new(epoch: u32) -> Self {
        Memory { epoch, ..Memory::default() }
    }

    /// The end of the next window to read.
    pub fn next_end(&self, context: &Context) -> i64 {
        let window = context.frozen.window;
        self.through.map_or_else(|| windows::first_end(context.started, window), |through| through + window)
    }
}

/// Counts the answered windows and returns the state of the evidence.
pub fn advance(
    metric: &RatioMetric,
    mut status: MetricStatus,
    memory: &mut Memory,
    answers: &[&Answered],
    context: &Context,
) -> MetricStatus {
    let mut config = config(metric, context, memory);
    for answer in answers {
        let Query::Increments(query) = &answer.query else { continue };
        if Before::is_asked_by(query, context) {
            match &answer.result {
                Ok(Answer::Increments { stable, .. }) => memory.before.answered(*stable),
                Ok(Answer::Scalar(_) | Answer::Several(_)) => {
                    memory.silence.failed("got a number instead of counts", context)
                }
                Err(error) => memory.silence.failed(error, context),
            }
            if !memory.before.asked {
                break; // without it nothing can be judged: the windows are asked for again
            }
            config = self::config(metric, context, memory);
            continue;
        }
        if is_crude(query, context) {
            memory.count_crude(query, answer, context);
            continue;
        }
        if query.end.as_second() != memory.next_end(context) {
            continue; // read before: a window is never revised
        }
        match &answer.result {
            Ok(Answer::Increments { canary, stable, notes }) => {
                let counts = joined(*canary, *stable);
                memory.count(&config, counts, context);
                status.measurements.push(measured(query.end, counts, canary.is_some() && stable.is_some()));
                texts::note(&mut status.notes, notes);
                if canary.is_none() && stable.is_none() && memory.compared > 0 {
                    memory.missed += 1;
                    let text =
                        format!("missed: {} windows without any series, past retention or not scraped", memory.missed);
                    texts::note(&mut status.notes, &[text]);
                }
                memory.silence.answered();
            }
            Ok(Answer::Scalar(_) | Answer::Several(_)) => {
                memory.silence.failed("got a number instead of counts", context)
            }
            Err(error) => memory.silence.failed(error, context),
        }
        if memory.silence.errors > 0 {
            break; // later windows wait, so that all are counted in order
        }
    }
    keep_last(&mut status.measurements);
    judge(status, memory, context)
}

/// Whether a question left no young pod out, and so is the test's during warm-up.
fn is_crude(query: &IncrementsQuery, context: &Context) -> bool {
    query.warm_up_seconds == 0 && context.frozen.warm_up > 0
}

impl Memory {
    /// A window without an answer is left out: the judge's own queries report what is wrong with the source.
    fn count_crude(&mut self, query: &IncrementsQuery, answer: &Answered, context: &Context) {
        if let Ok(Answer::Increments { canary, stable, .. }) = &answer.result {
            self.crude.count(query.end.as_second(), joined(*canary, *stable), context);
        }
    }

    fn count(&mut self, config: &RatioConfig, window: Counts, context: &Context) {
        let end = self.next_end(context);
        let length = context.frozen.window;
        if self.epoch != context.epoch && end - length >= context.epoch_since.as_second() {
            self.state.begin_epoch();
            (self.epoch, self.baked) = (context.epoch, 0);
        }
        self.state.observe(config, window, length.unsigned_abs());
        if window.nc > 0 {
            self.last_canary = Some(end);
        }
        if window.nb > 0 {
            self.last_stable = Some(end);
        }
        if window.is_comparable() || (context.one_armed && window.nc > 0) {
            self.baked += length;
            self.compared += length;
        }
        self.through = Some(end);
    }

    /// Whether this epoch has lasted long enough and seen requests enough for a Pass.
    fn is_baked(&self, context: &Context) -> bool {
        let frozen = &context.frozen;
        self.baked >= frozen.bake_seconds && self.state.epoch_counts().nc >= frozen.bake_requests
    }

    /// What is missing to judge at all.
    fn missing(&self, context: &Context) -> Option<&'static str> {
        let frozen = &context.frozen;
        let at = self.through?;
        // Before the first request there was none to be had: pods were new.
        let begun = context.started.as_second() + frozen.warm_up;
        let ten = i64::try_from(self.state.counts().nc).unwrap_or(i64::MAX).max(1);
        let allowed_silence = (SILENT_WINDOWS * frozen.window).max(SILENT_REQUESTS.saturating_mul(self.compared) / ten);
        let silent = |last: Option<i64>| at - last.unwrap_or(begun) >= allowed_silence;
        if silent(self.last_canary) {
            Some("NoCanaryRequests")
        } else if silent(self.last_stable) && !context.one_armed {
            Some("NoBaseline")
        } else {
            None
        }
    }
}

/// The verdict alone: the displayed numbers cost more and are computed only when needed ([`describe`]).
fn judge(mut status: MetricStatus, memory: &mut Memory, context: &Context) -> MetricStatus {
    let (verdict, reason) = standing(memory, context);
    let (verdict, reason) = memory.silence.timed(verdict, reason, context);
    status.verdict = verdict;
    status.reason = reason.to_owned();
    if context.one_armed {
        texts::note(
            &mut status.notes,
            &["OneArmed: no comparable traffic at stable; judged by floor and ceiling".to_owned()],
        );
    }
    status.errors_in_a_row = memory.silence.errors;
    memory.silence.told(&mut status.notes);
    status
}

fn standing(memory: &Memory, context: &Context) -> (Verdict, &'static str) {
    let passes = memory.epoch == context.epoch && memory.state.passes();
    if memory.crude.fails() {
        (Verdict::Fail, "Catastrophic")
    } else if memory.state.fails() {
        (Verdict::Fail, "WorseThanStable")
    } else if passes && memory.is_baked(context) {
        (Verdict::Pass, "NotWorse")
    } else if memory.silence.errors > 0 {
        (Verdict::NoData, "SourceError")
    } else if let Some(missing) = memory.missing(context) {
        (Verdict::NoData, missing)
    } else if memory.compared == 0 {
        (Verdict::Continue, "WarmUp")
    } else if passes {
        (Verdict::Continue, "Bake")
    } else {
        (Verdict::Continue, "Undecided")
    }
}

/// What is displayed next to the verdict.
pub fn describe(metric: &RatioMetric, status: &mut MetricStatus, memory: &Memory, context: &Context) {
    let config = config(metric, context, memory);
    let seen = if memory.crude.fails() { memory.crude.seen(context) } else { memory.state.assess(&config) };
    status.canary = texts::rate(seen.counts.kc, seen.counts.nc);
    status.stable = match &memory.before {
        before if context.one_armed => format!("{} in the hour before", texts::rate(before.bad, before.total)),
        _ => texts::rate(seen.counts.kb, seen.counts.nb),
    };
    status.comparison = texts::comparison(&seen);
    let needs = needs(memory, &seen, context);
    let open = !matches!(status.verdict, Verdict::Fail | Verdict::Pass);
    status.needs = (open && !needs.is_empty()).then(|| needs.join(" and "));
    status.fail_progress = seen.fail_share;
}

/// What a Pass still needs, one part each; none when it has all.
fn needs(memory: &Memory, seen: &Assessment, context: &Context) -> Vec<String> {
    let frozen = &context.frozen;
    let current = memory.epoch == context.epoch;
    let (requests, baked) = if current { (seen.epoch_counts.nc, memory.baked) } else { (0, 0) };
    let mut parts = Vec::new();
    match seen.canary_requests_needed.filter(|_| current) {
        Some(needed) => {
            let needed = needed.max(frozen.bake_requests.saturating_sub(requests));
            parts.extend((needed > 0).then(|| format!("about {} more canary requests", texts::about(needed))));
        }
        None if current => parts.push("a lower canary error rate".to_owned()),
        None => parts.push("traffic at the new weight".to_owned()),
    }
    let short = u64::try_from(frozen.bake_seconds - baked).unwrap_or(0);
    parts.extend((short > 0).then(|| format!("{} more of counted time", HumanDuration::secs(short))));
    parts
}

fn config(metric: &RatioMetric, context: &Context, memory: &Memory) -> RatioConfig {
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
