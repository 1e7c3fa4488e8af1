//! How the evidence of each metric of the current release developed, for sparklines.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::api::{AnalysisRun, Rollout};

/// The evidence towards Fail of each metric in the course of its analysis, as shares of what is needed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Courses(BTreeMap<String, Vec<f64>>);

impl Courses {
    /// Of the current revision's AnalysisRuns. Where several have a metric of one name, the newest counts.
    pub fn of(rollout: &Rollout, runs: &[AnalysisRun]) -> Self {
        let name = rollout.metadata.name.as_deref().unwrap_or_default();
        let current = rollout.status.as_ref().and_then(|status| status.current_revision.as_ref());
        let Some(current) = current else { return Courses::default() };
        let workload = format!("{name}-{}", current.id);
        let its = runs.iter().filter(|run| run.spec.arms.canary == workload).filter_map(|run| run.status.as_ref());
        let mut its: Vec<_> = its.collect();
        its.sort_by_key(|status| status.started_at.unwrap_or(Timestamp::MIN));
        let metrics = its.into_iter().flat_map(|status| &status.metrics);
        let course = |trail: &crate::api::analysis::Trail| {
            trail.points().iter().map(|point| point.evidence.fail).collect::<Vec<f64>>()
        };
        let known = metrics.filter_map(|metric| Some((metric.name.clone(), course(metric.trail.as_ref()?))));
        Courses(known.filter(|(_, shares)| !shares.is_empty()).collect())
    }

    /// Of one metric; nothing where none is recorded.
    pub fn of_metric(&self, name: &str) -> &[f64] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;

    #[test]
    fn the_newest_run_of_the_current_revision_counts() {
        let rollout = samples::observing().rollout;
        let mut runs = samples::runs();
        let course = |runs: &[AnalysisRun]| Courses::of(&rollout, runs).of_metric("errors").to_vec();
        let now = course(&runs);
        assert_eq!(now.len(), 12);
        let mut older = runs[0].clone();
        let status = older.status.as_mut().unwrap();
        status.started_at = Some(samples::ago(100_000));
        status.metrics[0].trail.as_mut().unwrap().weigh(Default::default());
        runs.push(older);
        assert_eq!(course(&runs), now);
        runs.iter_mut().for_each(|run| run.spec.arms.canary = "checkout-b7d0c41hze".into());
        assert!(course(&runs).is_empty(), "of another revision");
    }
}
