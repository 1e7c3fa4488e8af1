//! The gauge judge joined to a metric: once a minute the values of both arms' pods in, a metric's status out.
//!
//! A minute counts when both arms have a value above 0; all others are left out, with a note that says why: they have no
//! ratio, or none that can be trusted. So a value that is no number, zero or negative never fails or passes anything.

use serde::{Deserialize, Serialize};

use self::arms::{Arm, Missing};
use super::{
    bake::Bake,
    judge::{Judge, Memory, Problems, Since},
};
use crate::{
    api::{
        analysis::{
            AnalysisRunSpec, Builtin, Counter, GaugeDirection, GaugeMetric, GaugePer, Measurement, MetricStatus,
            TrailEvidence, TrailWindow, Verdict,
        },
        common::HumanDuration,
        reason::MetricReason,
    },
    evidence::{
        context::{Context, keep_last, trail},
        defaults::{Defaults, Frozen},
        dialect::Dialect,
        format,
        no_data::NoData,
        plan::Answered,
        query::{IncrementsQuery, PodsQuery, Query},
        windows,
    },
    stats::gauge::{FEWEST_MINUTES, GaugeConfig, GaugeSeen, GaugeState},
};

mod arms;

/// How often values are compared, in seconds.
const MINUTE: i64 = 60;
/// Minutes without a value before there is no data.
const SILENT_MINUTES: i64 = 3;

/// What the judge remembers. Times are unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GaugeMemory {
    /// The last minute that was read.
    through: Option<i64>,
    bake: Bake,
    /// The canary's requests of this epoch, where they are counted.
    requests: u64,
    /// Whether any minute was compared.
    compared: bool,
    last_canary: Option<i64>,
    last_stable: Option<i64>,
    /// Both arms in the last minute that had values.
    canary: Option<Arm>,
    stable: Option<Arm>,
    /// Since when there is nothing to judge, and when to ask again after an error.
    silence: NoData,
    state: GaugeState,
}

impl Judge for GaugeMetric {
    type Memory = GaugeMemory;

    fn problems(&self, _dialect: &dyn Dialect) -> Problems {
        let wrong = GaugeMetric::problems(self).into_iter();
        wrong.map(|(field, problem)| (format!("gauge.{field}"), problem.to_owned())).collect()
    }

    fn window(&self, spec: &AnalysisRunSpec, frozen: &Frozen, end: i64) -> Option<IncrementsQuery> {
        let requests = Counter::of_pack(Builtin::Requests);
        let of_a_minute = || windows::question(spec, &by_minute(frozen), [&requests, &requests], end);
        (self.per.unwrap_or_default() == GaugePer::Request).then(of_a_minute)
    }

    fn takes_alpha(&self) -> bool {
        true
    }

    /// As many minutes as the test needs, or the bake, and the last is read late.
    fn soonest(&self, frozen: &Frozen, _since: Since) -> i64 {
        let baked = frozen.bake_seconds.saturating_add(MINUTE - 1) / MINUTE;
        let minutes = baked.max(FEWEST_MINUTES.cast_signed());
        windows::read_at(minutes.saturating_mul(MINUTE), &by_minute(frozen))
    }

    fn compares_pods(&self) -> bool {
        true
    }

    fn begin(&self, context: &Context) -> GaugeMemory {
        GaugeMemory { bake: Bake::begin(context), ..GaugeMemory::default() }
    }

    fn ask(&self, memory: &GaugeMemory, spec: &AnalysisRunSpec, context: &Context) -> (Vec<Query>, i64) {
        let (ends, next) = windows::due(memory.next_end(context), &by_minute(&context.frozen), context.now);
        let mut queries = Vec::new();
        for end in ends {
            queries.push(Query::Pods(pods(self, spec, &context.frozen, end)));
            queries.extend(self.window(spec, &context.frozen, end).map(Query::Increments));
        }
        (queries, next)
    }

    fn advance(&self, memory: &mut GaugeMemory, status: &mut MetricStatus, answers: &[&Answered], context: &Context) {
        while let Some((pods, requests)) = answers_of(self, answers, memory.next_end(context)) {
            match arms::read(self, pods, requests) {
                Err(error) => {
                    memory.silence.failed(&error, context);
                    break; // later minutes wait, so that all are counted in order
                }
                Ok(minute) => memory.take(self, status, minute, context),
            }
        }
        keep_last(&mut status.measurements);
        judge(self, status, memory, context);
    }

    fn describe(&self, memory: &GaugeMemory, status: &mut MetricStatus, context: &Context) {
        let seen = memory.state.assess(&config(self, context));
        let shown = |arm: &Option<Arm>| arm.as_ref().map(|arm| arm.shown(self)).unwrap_or_default();
        (status.canary, status.stable) = (shown(&memory.canary), shown(&memory.stable));
        status.comparison = comparison(&seen);
        let open = !matches!(status.verdict, Verdict::Fail | Verdict::Pass);
        let needs = needs(self, memory, &seen, context);
        status.needs = (open && !needs.is_empty()).then(|| needs.join(" and "));
        status.fail_progress = seen.fail_share;
        if let Some(trail) = &mut status.trail {
            trail.weigh(evidence(&memory.state, &config(self, context)));
        }
        let tolerated = format!("tolerated: {} %, as stable's pods differ much", format::points(seen.tau));
        if seen.tau > Defaults::gauge(self) {
            format::note(&mut status.notes, &[tolerated]);
        }
    }
}

impl Memory for GaugeMemory {
    fn silence(&self) -> &NoData {
        &self.silence
    }

    fn through(&self) -> Option<i64> {
        self.through
    }
}

impl GaugeMemory {
    fn next_end(&self, context: &Context) -> i64 {
        windows::next_end(self.through, context.started, MINUTE)
    }

    /// Counts the next minute.
    fn take(
        &mut self,
        metric: &GaugeMetric,
        status: &mut MetricStatus,
        minute: Result<(Arm, Arm), Missing>,
        context: &Context,
    ) {
        let end = self.next_end(context);
        self.through = Some(end);
        if self.bake.begins_anew(end - MINUTE, context) {
            self.state.begin_epoch();
            self.requests = 0;
        }
        self.silence.answered();
        let at = Some(windows::instant(end));
        match minute {
            Ok((canary, stable)) => {
                (self.last_canary, self.last_stable, self.compared) = (Some(end), Some(end), true);
                self.bake.add(MINUTE);
                self.requests = self.requests.saturating_add(canary.requests.unwrap_or(0));
                // Without comparable traffic at stable its pods are idle, and no measure of the canary's.
                if !context.one_armed {
                    let config = config(metric, context);
                    if let Some(trail) = trail(status, context) {
                        let window = TrailWindow::Compared { value: canary.value(), reference: stable.value() };
                        trail.take(end, MINUTE, window, || evidence(&self.state, &config));
                    }
                    self.state.observe(&config, arms::minute(&canary, &stable));
                }
                let value = format!("canary {}, stable {}", canary.shown(metric), stable.shown(metric));
                status.measurements.push(Measurement { at, value, verdict: Verdict::Continue });
                (self.canary, self.stable) = (Some(canary), Some(stable));
            }
            Err(missing) => {
                let seen = |there: bool, last: Option<i64>| if there { Some(end) } else { last };
                self.last_canary = seen(missing.canary_is_there, self.last_canary);
                self.last_stable = seen(missing.stable_is_there, self.last_stable);
                status.measurements.push(Measurement { at, value: missing.why.clone(), verdict: Verdict::NoData });
                format::note(&mut status.notes, &[format!("left out: {}", missing.why)]);
            }
        }
    }

    fn is_baked(&self, metric: &GaugeMetric, context: &Context) -> bool {
        let counts = metric.per.unwrap_or_default() == GaugePer::Request;
        let requests = if counts { context.frozen.bake_requests } else { 0 };
        self.bake.has_lasted(context) && self.requests >= requests
    }

    /// What is missing to judge at all.
    fn missing(&self, context: &Context) -> Option<MetricReason> {
        let at = self.through?;
        // Before the first value there was none to be had: pods were new.
        let begun = context.started.as_second() + context.frozen.warm_up;
        let silent = |last: Option<i64>| at - last.unwrap_or(begun) >= SILENT_MINUTES * MINUTE;
        if silent(self.last_canary) {
            Some(MetricReason::NoCanaryValues)
        } else if silent(self.last_stable) {
            Some(MetricReason::NoStableValues)
        } else {
            None
        }
    }
}

/// The grid of minutes. They are read when windows are that end with them.
fn by_minute(frozen: &Frozen) -> Frozen {
    Frozen { window: MINUTE, delay: frozen.delay.saturating_add(frozen.window).saturating_sub(MINUTE), ..*frozen }
}

fn pods(metric: &GaugeMetric, spec: &AnalysisRunSpec, frozen: &Frozen, end: i64) -> PodsQuery {
    let label = |own: &Option<String>, default: &str| own.clone().unwrap_or_else(|| default.to_owned());
    PodsQuery {
        query: metric.query.clone(),
        pod_label: label(&metric.pod_label, "pod"),
        namespace_label: label(&metric.namespace_label, "namespace"),
        arms: spec.arms.clone(),
        at: windows::instant(end),
        warm_up_seconds: u32::try_from(frozen.warm_up).unwrap_or(u32::MAX),
    }
}

/// The answers about the minute that ends at `end`, if all are there.
fn answers_of<'a>(
    metric: &GaugeMetric,
    answers: &[&'a Answered],
    end: i64,
) -> Option<(&'a Answered, Option<&'a Answered>)> {
    let pods = answers.iter().find(|one| matches!(&one.query, Query::Pods(query) if query.at.as_second() == end))?;
    let counted = |one: &&&Answered| matches!(&one.query, Query::Increments(query) if query.end.as_second() == end);
    let requests = match metric.per.unwrap_or_default() {
        GaugePer::Pod => None,
        GaugePer::Request => Some(*answers.iter().find(counted)?),
    };
    Some((pods, requests))
}

/// The verdict alone.
fn judge(metric: &GaugeMetric, status: &mut MetricStatus, memory: &mut GaugeMemory, context: &Context) {
    if context.one_armed {
        let note = "OneArmed: no comparable traffic at stable, so its pods are no measure; use a threshold";
        format::note(&mut status.notes, &[note.to_owned()]);
    }
    let standing = standing(metric, memory, context);
    memory.silence.conclude(standing, status, context);
}

fn standing(metric: &GaugeMetric, memory: &GaugeMemory, context: &Context) -> (Verdict, MetricReason) {
    let passes = memory.bake.is_current(context) && memory.state.passes();
    if memory.state.fails() {
        (Verdict::Fail, MetricReason::WorseThanStable)
    } else if passes && memory.is_baked(metric, context) {
        (Verdict::Pass, MetricReason::NotWorse)
    } else if memory.silence.errors > 0 {
        (Verdict::NoData, MetricReason::SourceError)
    } else if context.one_armed {
        (Verdict::NoData, MetricReason::NoBaseline)
    } else if let Some(missing) = memory.missing(context) {
        (Verdict::NoData, missing)
    } else if !memory.compared {
        (Verdict::Continue, MetricReason::WarmUp)
    } else if passes {
        (Verdict::Continue, MetricReason::Bake)
    } else {
        (Verdict::Continue, MetricReason::Undecided)
    }
}

/// `ratio 1.3, 95 % CS 1.1-1.5, p = 0.002`.
fn comparison(seen: &GaugeSeen) -> String {
    let mut parts = Vec::new();
    if let Some(ratio) = seen.ratio {
        parts.push(format!("ratio {}", format::ratio(ratio)));
        parts.extend(seen.interval.map(|interval| format!("95 % CS {interval}")));
        parts.push(format::p_value(seen.p));
    }
    parts.join(", ")
}

/// What a Pass still needs, one part each; none when it has all.
fn needs(metric: &GaugeMetric, memory: &GaugeMemory, seen: &GaugeSeen, context: &Context) -> Vec<String> {
    let current = memory.bake.is_current(context);
    let (minutes, requests) = if current { (seen.minutes_of_weight, memory.requests) } else { (0, 0) };
    let fewest = FEWEST_MINUTES.saturating_sub(minutes);
    let short = memory.bake.missing_seconds(context).div_ceil(60);
    let forecast = seen.minutes_needed.filter(|_| current);
    let more = fewest.max(short).max(forecast.unwrap_or(0));
    let mut parts = Vec::new();
    if current && fewest == 0 && forecast.is_none() {
        let way = match metric.direction.unwrap_or_default() {
            GaugeDirection::Increase => "lower",
            GaugeDirection::Decrease => "higher",
        };
        parts.push(format!("a {way} value of the canary"));
    }
    parts.extend((more > 0).then(|| format!("about {} more with values of both", HumanDuration::secs(more * 60))));
    let missing = context.frozen.bake_requests.saturating_sub(requests);
    let counts = metric.per.unwrap_or_default() == GaugePer::Request && missing > 0;
    parts.extend(counts.then(|| format!("about {} more canary requests", format::about(missing))));
    parts
}

/// For the trail.
fn evidence(state: &GaugeState, config: &GaugeConfig) -> TrailEvidence {
    let (fail, pass) = state.shares(config);
    let interval = state.ratio(config).and_then(|(_, interval)| interval);
    TrailEvidence { fail, pass, interval: interval.map(|interval| (interval.low, interval.high)) }
}

fn config(metric: &GaugeMetric, context: &Context) -> GaugeConfig {
    GaugeConfig {
        tolerance: Defaults::gauge(metric),
        lower_is_worse: metric.direction == Some(GaugeDirection::Decrease),
        alpha: context.frozen.alpha,
        beta: context.frozen.beta,
    }
}

#[cfg(test)]
#[path = "gauge_tests.rs"]
mod tests;
