//! The latency judge joined to a metric: histograms of windows in, a metric's status out.

use serde::{Deserialize, Serialize};

use self::{
    choice::{Choice, Chosen},
    shown::Times,
    slow::{configs, pass_config, seen_at},
};
use super::{
    bake::Bake,
    judge::{Judge, Memory, Problems, Since},
    presence::Presence,
};
use crate::{
    api::{
        analysis::{
            AnalysisRunSpec, Builtin, Counter, LatencyMetric, Measurement, MetricStatus, PrometheusCounter,
            PrometheusHistogram, TrailEvidence, TrailWindow, Verdict,
        },
        reason::MetricReason,
    },
    evidence::{
        context::{Context, keep_last, trail},
        defaults::{Defaults, Frozen},
        dialect::Dialect,
        format,
        no_data::NoData,
        plan::Answered,
        query::{Answer, BucketKind, IncrementsQuery, Query},
        windows,
    },
    stats::{Counts, LatencyAssessment, LatencyState, Slow, bounds::Bound, histogram::Histogram},
};

mod choice;
mod shown;
mod slow;

/// Windows in a row whose buckets show none of the bounds, before there is no data.
const HIDDEN_WINDOWS: u32 = 3;

/// What the judge remembers. Times are unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LatencyMemory {
    /// The end of the last counted window.
    through: Option<i64>,
    bake: Bake,
    /// Windows in a row with requests of both arms whose buckets show none of the bounds.
    hidden: u32,
    presence: Presence,
    /// The canary's requests in comparable time.
    requests: u64,
    /// Since when there is nothing to judge, and when to ask again after an error.
    silence: NoData,
    /// What is tested.
    choice: Choice,
    /// The canary's response times, and stable's.
    times: [Times; 2],
    state: LatencyState,
}

impl Judge for LatencyMetric {
    type Memory = LatencyMemory;

    fn problems(&self, dialect: &dyn Dialect) -> Problems {
        let wrong = LatencyMetric::problems(self).into_iter().map(|(field, problem)| (field, problem.to_owned()));
        let unread = dialect.histogram(&self.histogram).err().map(|problem| ("histogram", problem));
        wrong.chain(unread).map(|(field, problem)| (format!("latency.{field}"), problem)).collect()
    }

    /// The arms of a histogram are distinguished as those of a counter from the same place.
    fn window(&self, spec: &AnalysisRunSpec, frozen: &Frozen, end: i64) -> Option<IncrementsQuery> {
        let counter = |own: &PrometheusHistogram| PrometheusCounter {
            counter: own.histogram.clone(),
            pod_label: own.pod_label.clone(),
            namespace_label: own.namespace_label.clone(),
        };
        let own = self.histogram.prometheus.as_ref().map(counter);
        let requests = match own {
            Some(own) => Counter { builtin: None, prometheus: Some(own) },
            None => Counter::of_pack(Builtin::Requests),
        };
        Some(windows::question(spec, frozen, [&requests, &requests], end))
    }

    fn takes_alpha(&self) -> bool {
        true
    }

    fn soonest(&self, frozen: &Frozen, _since: Since) -> i64 {
        windows::baked_at(frozen)
    }

    fn begin(&self, context: &Context) -> LatencyMemory {
        LatencyMemory { bake: Bake::begin(context), ..LatencyMemory::default() }
    }

    fn ask(&self, memory: &LatencyMemory, spec: &AnalysisRunSpec, context: &Context) -> (Vec<Query>, i64) {
        let Some(chosen) = memory.choice.frozen() else { return memory.choice.ask(self, spec, context) };
        let (ends, next) = windows::due(memory.next_end(chosen, context), &context.frozen, context.now);
        let kind = || match chosen.native {
            true => BucketKind::Native,
            false => BucketKind::Classic(chosen.bounds.read.clone()),
        };
        let ask = |end| Query::Buckets(choice::question(self, spec, context, kind(), end));
        (ends.into_iter().map(ask).collect(), next)
    }

    fn advance(&self, memory: &mut LatencyMemory, status: &mut MetricStatus, answers: &[&Answered], context: &Context) {
        match memory.choice.frozen().cloned() {
            None => memory.choice.take(self, answers, &mut memory.silence, context),
            Some(chosen) => {
                for answer in answers {
                    let Query::Buckets(query) = &answer.query else { continue };
                    if query.whole_pods || query.end.as_second() != memory.next_end(&chosen, context) {
                        continue; // read before: a window is never revised
                    }
                    memory.take_window(self, &chosen, status, answer, context);
                    if memory.silence.errors > 0 {
                        break; // later windows wait, so that all are counted in order
                    }
                }
            }
        }
        keep_last(&mut status.measurements);
        judge(self, status, memory, context);
    }

    fn describe(&self, memory: &LatencyMemory, status: &mut MetricStatus, context: &Context) {
        let Some(chosen) = memory.choice.frozen() else { return };
        let seen = memory.assess(self, chosen, context);
        let [canary, stable] = &memory.times;
        (status.canary, status.stable) = (canary.text(chosen), stable.text(chosen));
        let bound = seen.bound.and_then(|bound| chosen.bounds.tested.get(bound));
        status.comparison = bound.map(|bound| compared(self, chosen, bound, &seen, context)).unwrap_or_default();
        let needs = needs(self, memory, chosen, &seen, context);
        let open = !matches!(status.verdict, Verdict::Fail | Verdict::Pass);
        status.needs = (open && !needs.is_empty()).then(|| needs.join(" and "));
        status.fail_progress = seen.fail_share;
        if let Some(trail) = &mut status.trail {
            trail.weigh(memory.evidence(self, chosen, context));
        }
    }
}

impl Memory for LatencyMemory {
    fn silence(&self) -> &NoData {
        &self.silence
    }

    fn through(&self) -> Option<i64> {
        self.through
    }
}

impl LatencyMemory {
    /// The end of the next window to read: those that chose the bounds are not judged by them.
    fn next_end(&self, chosen: &Chosen, context: &Context) -> i64 {
        let first = context.started.max(windows::instant(chosen.since));
        windows::next_end(self.through, first, context.frozen.window)
    }

    /// Counts the answer about the next window.
    fn take_window(
        &mut self,
        metric: &LatencyMetric,
        chosen: &Chosen,
        status: &mut MetricStatus,
        answer: &Answered,
        context: &Context,
    ) {
        let (canary, stable, notes) = match &answer.result {
            Ok(Answer::Buckets { canary, stable, notes, .. }) => (canary, stable, notes),
            Ok(_) => return self.silence.failed("got another answer than a histogram", context),
            Err(error) => return self.silence.failed(error, context),
        };
        let none = Histogram::default();
        let arms = [canary.as_ref().unwrap_or(&none), stable.as_ref().unwrap_or(&none)];
        let end = self.next_end(chosen, context);
        let (tested, pass) = seen_at(metric, chosen, arms, context);
        // One bound for the whole course, so that its counts add up.
        let drawn = if chosen.bounds.pass.is_some() { pass.window } else { tested.last().and_then(|slow| slow.window) };
        if let Some(counts) = drawn
            && let Some(trail) = trail(status, context)
        {
            let window = TrailWindow::Counts { canary: [counts.kc, counts.nc], stable: [counts.kb, counts.nb] };
            trail.phi = Some(context.frozen.phi);
            trail.take(end, context.frozen.window, window, || self.evidence(metric, chosen, context));
        }
        self.count(&tested, &pass, chosen, (end, arms), context);
        let shown = pass.window.zip(chosen.bounds.pass.map(|bound| format::time(bound.at * chosen.unit)));
        status.measurements.push(measured(end, arms, shown));
        format::note(&mut status.notes, notes);
        self.silence.answered();
    }

    fn count(
        &mut self,
        tested: &[Slow],
        pass: &Slow,
        chosen: &Chosen,
        (end, arms): (i64, [&Histogram; 2]),
        context: &Context,
    ) {
        let length = context.frozen.window;
        if self.bake.begins_anew(end - length, context) {
            self.state.begin_epoch();
        }
        self.through = Some(end);
        if self.presence.count(end, arms.map(Histogram::total), context) {
            let hidden = tested.iter().all(|bound| bound.window.is_none());
            self.hidden = if hidden { self.hidden.saturating_add(1) } else { 0 };
            self.bake.add(if hidden { 0 } else { length });
            self.requests = self.requests.saturating_add(arms[0].total());
            for (times, window) in self.times.iter_mut().zip(arms) {
                times.add(window, &chosen.bounds.read);
            }
        }
        self.state.observe(tested, pass, length.unsigned_abs());
    }

    fn assess(&self, metric: &LatencyMetric, chosen: &Chosen, context: &Context) -> LatencyAssessment {
        self.state.assess(&configs(metric, chosen, context), &pass_config(metric, chosen, context))
    }

    /// For the trail. The interval follows from the counts at its bound ([`with_intervals`]).
    ///
    /// [`with_intervals`]: crate::evidence::with_intervals
    fn evidence(&self, metric: &LatencyMetric, chosen: &Chosen, context: &Context) -> TrailEvidence {
        let pass = pass_config(metric, chosen, context);
        let (fail, pass) = self.state.shares(&configs(metric, chosen, context), &pass);
        TrailEvidence { fail, pass, interval: None }
    }
}

/// The verdict alone: the displayed numbers cost more and are computed only when needed ([`Judge::describe`]).
fn judge(metric: &LatencyMetric, status: &mut MetricStatus, memory: &mut LatencyMemory, context: &Context) {
    format::note(&mut status.notes, &notes(metric, memory, context));
    let standing = standing(memory, context);
    memory.silence.conclude(standing, status, context);
    if memory.choice.frozen().is_some() {
        status.notes.retain(|note| !note.starts_with("histogram: "));
    }
}

fn standing(memory: &LatencyMemory, context: &Context) -> (Verdict, MetricReason) {
    let passes = memory.bake.is_current(context) && memory.state.passes();
    let unreadable = memory.choice.missing().is_some() || memory.hidden >= HIDDEN_WINDOWS;
    if memory.state.fails() {
        (Verdict::Fail, MetricReason::WorseThanStable)
    } else if passes && memory.bake.is_over(memory.state.epoch_counts().nc, context) {
        (Verdict::Pass, MetricReason::NotWorse)
    } else if memory.silence.errors > 0 {
        (Verdict::NoData, MetricReason::SourceError)
    } else if unreadable {
        (Verdict::NoData, MetricReason::NoHistogram)
    } else if let Some(missing) = memory.through.and_then(|at| memory.presence.missing(at, memory.requests, context)) {
        (Verdict::NoData, missing)
    } else if memory.presence.compared == 0 {
        (Verdict::Continue, MetricReason::WarmUp)
    } else if passes {
        (Verdict::Continue, MetricReason::Bake)
    } else {
        (Verdict::Continue, MetricReason::Undecided)
    }
}

/// What a Pass still needs, one part each; none when it has all.
fn needs(
    metric: &LatencyMetric,
    memory: &LatencyMemory,
    chosen: &Chosen,
    seen: &LatencyAssessment,
    context: &Context,
) -> Vec<String> {
    if let (None, Some(slo)) = (chosen.bounds.pass, &metric.slo) {
        return vec![format!("a bucket bound of at least {}", slo.under)];
    }
    memory.bake.needs(seen.epoch_counts.nc, seen.canary_requests_needed, "fewer slow canary requests", context)
}

fn notes(metric: &LatencyMetric, memory: &LatencyMemory, context: &Context) -> Vec<String> {
    let Some(chosen) = memory.choice.frozen() else { return memory.choice.missing().into_iter().collect() };
    let mut notes = vec![shown::chosen(chosen)];
    let limits = Defaults::latency(metric);
    let first = chosen.bounds.tested.first();
    let honored = first.is_some_and(|bound| chosen.bounds.pair(bound.at, limits.tolerance, None).r0 == 1.0);
    if metric.tolerance.is_some() && !honored {
        notes.push(
            "tolerance: these buckets cannot honor it; up to 1.25 times as many slow requests as stable's are accepted"
                .to_owned(),
        );
    }
    if memory.hidden >= HIDDEN_WINDOWS {
        notes.push(
            "canary: its buckets have none of stable's bounds; export the same buckets from both versions".to_owned(),
        );
    }
    if context.one_armed {
        notes.push("OneArmed: no comparable traffic at stable; compared with its response times before".to_owned());
    }
    notes
}

fn compared(
    metric: &LatencyMetric,
    chosen: &Chosen,
    bound: &Bound,
    seen: &LatencyAssessment,
    context: &Context,
) -> String {
    let pair = chosen.bounds.pair(bound.at, Defaults::latency(metric).tolerance, None);
    shown::comparison(seen, pair, context.one_armed.then_some(bound.before), chosen.unit)
}

fn measured(end: i64, arms: [&Histogram; 2], shown: Option<(Counts, String)>) -> Measurement {
    let [canary, stable] = arms.map(Histogram::total);
    let verdict = if canary > 0 && stable > 0 { Verdict::Continue } else { Verdict::NoData };
    let value = match shown {
        Some((counts, bound)) => {
            format!("canary {}/{}, stable {}/{} slower than {bound}", counts.kc, counts.nc, counts.kb, counts.nb)
        }
        None => format!("canary {canary}, stable {stable} requests"),
    };
    Measurement { at: Some(windows::instant(end)), value, verdict }
}

#[cfg(test)]
#[path = "latency_tests.rs"]
mod tests;
