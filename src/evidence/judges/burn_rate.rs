//! The burn rate judge joined to a metric: how fast the error budget of a service level objective is spent, by the service
//! as a whole and by the canary alone. A burn that was there before the analysis began is no fault of the release: the verdict
//! is Inconclusive then, so that nothing is promoted until it ends.

use serde::{Deserialize, Serialize};

use self::{
    canary::{CanaryBurn, MINUTE},
    service::{ServiceBurn, State},
};
use super::judge::{Judge, Memory, Problems, Since};
use crate::{
    api::{
        analysis::{AnalysisRunSpec, BurnRateMetric, BurnScope, MetricStatus, TrailEvidence, Verdict},
        common::HumanDuration,
        reason::MetricReason,
    },
    evidence::{
        context::{Context, keep_last},
        defaults::{Defaults, Frozen},
        dialect::Dialect,
        no_data::NoData,
        plan::Answered,
        query::{IncrementsQuery, Query},
        windows,
    },
};

mod canary;
mod service;

/// What the judge remembers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BurnRateMemory {
    service: ServiceBurn,
    canary: CanaryBurn,
    /// Since when there is nothing to judge, and when to ask again after an error.
    silence: NoData,
}

impl Judge for BurnRateMetric {
    type Memory = BurnRateMemory;

    fn problems(&self, dialect: &dyn Dialect) -> Problems {
        let own = BurnRateMetric::problems(self).into_iter();
        let mut problems: Problems = own.map(|(field, problem)| (format!("burnRate.{field}"), problem)).collect();
        for (field, counter) in [("bad", &self.bad), ("total", &self.total)] {
            if let Some(Err(problem)) = counter.as_ref().map(|counter| dialect.counter(counter)) {
                problems.push((format!("burnRate.{field}"), problem));
            }
        }
        problems
    }

    fn window(&self, spec: &AnalysisRunSpec, frozen: &Frozen, end: i64) -> Option<IncrementsQuery> {
        let question = question(self, spec, frozen, end);
        Some(if self.judges(BurnScope::Canary) { question } else { windows::of_service(question, 300) })
    }

    /// Its test of the canary is one of the coarse ones; the service's burn is a limit and no test.
    fn takes_alpha(&self) -> bool {
        false
    }

    fn takes_reserve(&self) -> bool {
        self.judges(BurnScope::Canary)
    }

    /// Whole minutes as long as the bake, and the last is read late.
    fn soonest(&self, frozen: &Frozen, _since: Since) -> i64 {
        let minutes = frozen.bake_seconds.saturating_add(MINUTE - 1) / MINUTE + 1;
        windows::read_at(minutes.saturating_mul(MINUTE), frozen)
    }

    fn begin(&self, _context: &Context) -> BurnRateMemory {
        BurnRateMemory::default()
    }

    fn ask(&self, memory: &BurnRateMemory, spec: &AnalysisRunSpec, context: &Context) -> (Vec<Query>, i64) {
        let of = |end: i64| question(self, spec, &context.frozen, end);
        let (mut questions, mut next) = (Vec::new(), i64::MAX);
        if self.judges(BurnScope::Canary) {
            let (ends, later) = memory.canary.due(context);
            questions.extend(ends.into_iter().map(of));
            next = later;
        }
        if self.judges(BurnScope::Service) {
            let (windows, later) = memory.service.due(&Defaults::burn_rate(self), context);
            questions.extend(windows.into_iter().map(|(end, seconds)| windows::of_service(of(end), seconds)));
            next = next.min(later);
        }
        (questions.into_iter().map(Query::Increments).collect(), next)
    }

    fn advance(
        &self,
        memory: &mut BurnRateMemory,
        status: &mut MetricStatus,
        answers: &[&Answered],
        context: &Context,
    ) {
        let slo = Defaults::burn_rate(self);
        let alone = !self.judges(BurnScope::Canary) && !answers.is_empty();
        let before = alone.then(|| (memory.service.through(), evidence(self, memory, context)));
        let beside = memory.service.progress(&slo);
        let taken = memory.service.take(&slo, answers, context, &mut status.notes);
        if let Some((_, before)) = before.filter(|(looked, _)| *looked != memory.service.through()) {
            memory.service.draw(&slo, status, before, context);
        }
        let config = canary::config(&slo, &context.frozen);
        let counted = memory.canary.take(&config, beside, answers, status, context);
        match taken.and(counted) {
            Err(error) => memory.silence.failed(&error, context),
            Ok(()) if !answers.is_empty() => memory.silence.answered(),
            Ok(()) => {}
        }
        keep_last(&mut status.measurements);
        let standing = standing(self, memory, context);
        memory.silence.conclude(standing, status, context);
    }

    fn describe(&self, memory: &BurnRateMemory, status: &mut MetricStatus, context: &Context) {
        let slo = Defaults::burn_rate(self);
        let service = memory.service.shown(&slo);
        let by_canary = self.judges(BurnScope::Canary);
        (status.canary, status.comparison) = match by_canary {
            true => (memory.canary.shown(&slo), service),
            false => (service, String::new()),
        };
        let evidence = evidence(self, memory, context);
        status.fail_progress = evidence.fail;
        if let Some(trail) = &mut status.trail {
            trail.weigh(evidence);
        }
        let left = u64::try_from(context.frozen.bake_seconds - baked(self, memory, context)).unwrap_or(0);
        let bakes = status.verdict == Verdict::Continue && left > 0;
        status.needs = bakes.then(|| format!("{} more at this weight", HumanDuration::secs(left)));
    }

    fn sentence(&self, status: &MetricStatus) -> Option<String> {
        let MetricStatus { name, canary, comparison, .. } = status;
        let service = if comparison.is_empty() { canary } else { comparison };
        match status.reason {
            MetricReason::ServiceBurns => {
                Some(format!("{name} failed: the service burns its error budget too fast: {service}"))
            }
            MetricReason::CanaryBurns => Some(format!("{name} failed: the canary burns the error budget: {canary}")),
            MetricReason::BurnedBefore => Some(format!(
                "{name}: the service burned its error budget too fast before this analysis began: {service}; nothing is \
                 promoted until it ends"
            )),
            _ => None,
        }
    }
}

impl Memory for BurnRateMemory {
    fn silence(&self) -> &NoData {
        &self.silence
    }
}

/// The canary's and stable's events in the minute that ends at `end`.
fn question(metric: &BurnRateMetric, spec: &AnalysisRunSpec, frozen: &Frozen, end: i64) -> IncrementsQuery {
    let (bad, total) = metric.counters();
    let minute = u32::try_from(MINUTE).unwrap_or(u32::MAX);
    IncrementsQuery { window_seconds: minute, ..windows::question(spec, frozen, [&bad, &total], end) }
}

/// How long the current weight was looked at, in seconds.
fn baked(metric: &BurnRateMetric, memory: &BurnRateMemory, context: &Context) -> i64 {
    let canary = metric.judges(BurnScope::Canary).then(|| memory.canary.through());
    let service = metric.judges(BurnScope::Service).then(|| memory.service.through());
    let through = canary.into_iter().chain(service).min().flatten();
    through.map_or(0, |through| context.weight_lasted(through))
}

/// For the trail: the nearest burn, and the part of the bake that is over.
fn evidence(metric: &BurnRateMetric, memory: &BurnRateMemory, context: &Context) -> TrailEvidence {
    let slo = Defaults::burn_rate(metric);
    let config = canary::config(&slo, &context.frozen);
    let canary = if metric.judges(BurnScope::Canary) { memory.canary.progress(&config) } else { 0.0 };
    let pass = context.part_of_bake(baked(metric, memory, context));
    TrailEvidence { fail: canary.max(memory.service.progress(&slo)), pass, interval: None }
}

fn standing(metric: &BurnRateMetric, memory: &BurnRateMemory, context: &Context) -> (Verdict, MetricReason) {
    let slo = Defaults::burn_rate(metric);
    let by_canary = metric.judges(BurnScope::Canary);
    let service = if metric.judges(BurnScope::Service) { memory.service.state(&slo) } else { State::Calm };
    if by_canary && memory.canary.fails(&slo, &canary::config(&slo, &context.frozen)) {
        return (Verdict::Fail, MetricReason::CanaryBurns);
    }
    match service {
        State::Burns => return (Verdict::Fail, MetricReason::ServiceBurns),
        State::BurnedBefore => return (Verdict::Inconclusive, MetricReason::BurnedBefore),
        _ if memory.silence.errors > 0 => return (Verdict::NoData, MetricReason::SourceError),
        State::NotMeasured => return (Verdict::Continue, MetricReason::NotMeasured),
        State::Silent => return (Verdict::NoData, MetricReason::NoRequests),
        State::Calm => {}
    }
    if by_canary && !memory.canary.has_requests() {
        return match memory.canary.is_due(context) {
            true => (Verdict::NoData, MetricReason::NoCanaryRequests),
            false => (Verdict::Continue, MetricReason::WarmUp),
        };
    }
    match baked(metric, memory, context) >= context.frozen.bake_seconds {
        true => (Verdict::Pass, MetricReason::WithinBudget),
        false => (Verdict::Continue, MetricReason::Bake),
    }
}

#[cfg(test)]
#[path = "burn_rate_tests.rs"]
mod tests;
