//! One analysis of a release, with its metrics: the numbers at the end, their course, and what they mean in a sentence.

use jiff::Timestamp;
use kube::ResourceExt;

use super::sources::Sources;
use crate::{
    api::{
        AnalysisRun, ROLLOUT_LABEL,
        analysis::{
            AnalysisRunSpec, BurnScope, GaugeDirection, GaugeMetric, Metric, MetricStatus, RunPhase, Trail, TrailPoint,
            TrailWindow, Verdict,
        },
        status::RevisionRef,
    },
    evidence::{defaults::Defaults, with_intervals},
    view::metric_words::metric_words,
};

/// One AnalysisRun.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPart {
    /// Its name.
    pub name: String,
    /// When it began.
    pub started_at: Timestamp,
    /// The end of the last counted window.
    pub through: Option<Timestamp>,
    /// Its phase.
    pub phase: RunPhase,
    /// Its verdict.
    pub verdict: Verdict,
    /// Its message.
    pub message: String,
    /// Its metrics.
    pub metrics: Vec<MetricPart>,
    /// What it judges by, arguments substituted.
    pub spec: AnalysisRunSpec,
}

/// One metric of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricPart {
    /// Its numbers.
    pub status: MetricStatus,
    /// The course of its evidence.
    pub points: Vec<TrailPoint>,
    /// The ratio of canary and stable that is accepted, where its judge has one.
    pub tolerance: Option<f64>,
    /// What it counts, where it counts.
    pub counts: Counted,
    /// What its value is and what that is compared with, where it measures two numbers.
    pub compares: Option<[&'static str; 2]>,
    /// What its numbers mean.
    pub sentence: String,
}

/// What the counts of a metric are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Bad events out of all.
    Failures,
    /// Requests slower than a bound, out of all.
    Slow,
    /// Users, and those who converted.
    Conversions,
}

/// The runs that judged this revision between two times, oldest first.
pub(super) fn of_release(
    sources: &Sources<'_>,
    revision: &RevisionRef,
    from: Timestamp,
    until: Option<Timestamp>,
) -> Vec<RunPart> {
    let name = sources.rollout.metadata.name.as_deref().unwrap_or_default();
    let workload = format!("{name}-{}", revision.id);
    let is_its = |run: &&AnalysisRun| {
        run.labels().get(ROLLOUT_LABEL).is_some_and(|label| label == name) && run.spec.arms.canary == workload
    };
    let parts = sources.runs.iter().filter(is_its).filter_map(RunPart::of);
    let in_time = |part: &RunPart| part.started_at >= from && until.is_none_or(|until| part.started_at <= until);
    let mut parts: Vec<RunPart> = parts.filter(in_time).collect();
    parts.sort_by(|one, other| (one.started_at, &one.name).cmp(&(other.started_at, &other.name)));
    parts
}

impl RunPart {
    /// Of a run that has begun.
    fn of(run: &AnalysisRun) -> Option<RunPart> {
        let status = run.status.as_ref()?;
        let created = || run.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let part = |metric: &MetricStatus| {
            let spec = run.spec.metrics.iter().find(|spec| spec.name == metric.name);
            MetricPart::of(metric, spec, &run.spec)
        };
        Some(RunPart {
            name: run.name_any(),
            started_at: status.started_at.or_else(created)?,
            through: status.windows_through,
            phase: status.phase,
            verdict: status.verdict,
            message: status.message.clone(),
            metrics: status.metrics.iter().map(part).collect(),
            spec: run.spec.clone(),
        })
    }
}

impl MetricPart {
    fn of(status: &MetricStatus, spec: Option<&Metric>, run: &AnalysisRunSpec) -> MetricPart {
        let trail = status.trail.as_deref();
        let (words, comparison) = (metric_words(status), &status.comparison);
        let is_said = comparison.is_empty() || words.contains(comparison.as_str());
        MetricPart {
            points: match (trail, spec) {
                (Some(trail), Some(spec)) => with_intervals(run, spec, trail),
                (trail, _) => trail.map(Trail::points).unwrap_or_default(),
            },
            counts: counted(spec),
            compares: spec.and_then(compares),
            tolerance: spec.and_then(tolerance),
            sentence: if is_said { words } else { format!("{words} Compared: {comparison}.") },
            status: status.clone(),
        }
    }

    /// The canary's bad events and events, where failures are counted.
    pub fn canary_counts(&self) -> Option<(u64, u64)> {
        let failures = self.points.iter().filter(|_| self.counts == Counted::Failures);
        let counts = failures.filter_map(|point| match point.window {
            Some(TrailWindow::Counts { canary, .. }) => Some(canary),
            _ => None,
        });
        counts.fold(None, |sum: Option<(u64, u64)>, [bad, total]| {
            let (all_bad, all) = sum.unwrap_or_default();
            Some((all_bad.saturating_add(bad), all.saturating_add(total)))
        })
    }

    /// The end of the first stretch of time in which a canary request went wrong.
    pub(super) fn first_bad(&self) -> Option<Timestamp> {
        let is_bad =
            |point: &&TrailPoint| matches!(point.window, Some(TrailWindow::Counts { canary: [bad, _], .. }) if bad > 0);
        self.points.iter().find(is_bad).map(|point| point.at)
    }
}

fn counted(spec: Option<&Metric>) -> Counted {
    match spec {
        Some(Metric { conversion: Some(_), .. }) => Counted::Conversions,
        Some(Metric { latency: Some(_), .. }) => Counted::Slow,
        _ => Counted::Failures,
    }
}

fn compares(spec: &Metric) -> Option<[&'static str; 2]> {
    let burns = spec.burn_rate.as_ref().is_some_and(|burn| !burn.judges(BurnScope::Canary));
    match spec {
        Metric { gauge: Some(_), .. } => Some(["canary", "stable"]),
        Metric { anomaly: Some(_), .. } => Some(["value", "usual"]),
        _ => burns.then_some(["burn rate", "limit"]),
    }
}

/// A ratio's accepted one; a gauge's, which of one that may not fall is below 1.
fn tolerance(spec: &Metric) -> Option<f64> {
    let gauge = |gauge: &GaugeMetric| {
        let most = 1.0 + Defaults::gauge(gauge);
        if gauge.direction == Some(GaugeDirection::Decrease) { 1.0 / most } else { most }
    };
    let ratio = spec.ratio.as_ref().map(|ratio| Defaults::ratio(ratio).r0);
    ratio.or_else(|| spec.gauge.as_ref().map(gauge))
}
