//! The series of a scenario: what queries of the user's own find, as one number, over time, or for each pod.
//!
//! A question that is asked again has the same answer: the random numbers belong to the series, the time and the pod.

use std::ops::RangeInclusive;

use jiff::Timestamp;

use crate::{
    api::analysis::Metric,
    evidence::{PodValue, PodsQuery},
    sim::{
        cluster::SimCluster,
        rng::Rng,
        scenario::Point,
        time::{Millis, millis, moment},
    },
};

/// A series of the scenario under its name.
struct Series<'a> {
    name: &'a str,
    points: &'a [Point],
    seed: u64,
}

/// The one number that the metric which asks this finds.
pub(super) fn scalar(cluster: &SimCluster, asks: impl Fn(&Metric) -> bool, at: Millis) -> Option<f64> {
    series_of(cluster, asks)?.number(at)
}

/// The same over time, in seconds. Before the scenario begins every day was as its first second.
pub(super) fn over_time(
    cluster: &SimCluster,
    query: &str,
    over: RangeInclusive<i64>,
    step_seconds: u32,
) -> Vec<(i64, f64)> {
    let asks = |metric: &Metric| metric.anomaly.as_ref().is_some_and(|anomaly| anomaly.query == query);
    let Some(series) = series_of(cluster, asks) else { return Vec::new() };
    let step = usize::try_from(step_seconds).unwrap_or(usize::MAX).max(1);
    let at = |second: i64| Timestamp::from_second(second).map_or(0, moment);
    over.step_by(step).filter_map(|second| Some((second, series.number(at(second))?))).collect()
}

/// One value per pod of the Rollout that is old enough; nothing where the scenario has no such series.
pub(super) fn of_pods(cluster: &SimCluster, query: &PodsQuery) -> Option<Vec<PodValue>> {
    let asks = |metric: &Metric| metric.gauge.as_ref().is_some_and(|gauge| gauge.query == query.query);
    let series = series_of(cluster, asks)?;
    let at = moment(query.at);
    let namespace = &cluster.key.namespace;
    let value = |(pod, serial, image): (String, u64, &str)| {
        Some(PodValue { namespace: namespace.clone(), pod, value: series.of_pod(at, serial, image)? })
    };
    Some(cluster.scraped_pods(at, Millis::from(query.warm_up_seconds) * 1000).filter_map(value).collect())
}

fn series_of(cluster: &SimCluster, asks: impl Fn(&Metric) -> bool) -> Option<Series<'_>> {
    let metrics = cluster.runs.values().flat_map(|run| &run.spec.metrics);
    let mut names = metrics.filter(|metric| asks(metric)).map(|metric| &metric.name);
    let (name, points) = names.find_map(|name| cluster.laws.series.get_key_value(name))?;
    Some(Series { name, points, seed: cluster.laws.seed })
}

impl Series<'_> {
    fn point(&self, at: Millis) -> Option<&Point> {
        self.points.iter().rev().find(|point| millis(point.at) <= at.max(0))
    }

    fn number(&self, at: Millis) -> Option<f64> {
        let point = self.point(at)?;
        Some(point.value? * self.variation(point, at, 0))
    }

    fn of_pod(&self, at: Millis, serial: u64, image: &str) -> Option<f64> {
        let point = self.point(at)?;
        let value = point.versions.get(image).copied().unwrap_or(point.value);
        Some(value? * self.variation(point, at, serial))
    }

    /// What chance makes of a value, as a factor.
    fn variation(&self, point: &Point, at: Millis, serial: u64) -> f64 {
        if point.sigma <= 0.0 {
            return 1.0;
        }
        let name = self.name.bytes().fold(serial, |hash, byte| hash.rotate_left(7) ^ u64::from(byte));
        (point.sigma * Rng::new(self.seed, name.rotate_left(32) ^ at.cast_unsigned()).normal()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::HumanDuration;

    #[test]
    fn versions_have_values_of_their_own_and_the_rest_has_the_common_one() {
        let versions = [("a:2".to_owned(), Some(450.0)), ("a:3".to_owned(), None)].into();
        let points = [
            Point { value: Some(300.0), versions, ..Point::default() },
            Point { at: HumanDuration::secs(60), value: None, ..Point::default() },
        ];
        let series = Series { name: "memory", points: &points, seed: 1 };
        let values = ["a:1", "a:2", "a:3"].map(|image| series.of_pod(59_999, 1, image));
        assert_eq!(values, [Some(300.0), Some(450.0), None]);
        assert_eq!(
            (series.number(-1), series.number(60_000)),
            (Some(300.0), None),
            "before the scenario it was the same"
        );
    }

    #[test]
    fn chance_varies_values_by_pod_and_time_and_answers_alike_again() {
        let points = [Point { value: Some(100.0), sigma: 0.1, ..Point::default() }];
        let series = Series { name: "memory", points: &points, seed: 1 };
        let value = |minute: i64, pod| series.of_pod(60_000 * minute, pod, "").unwrap().ln() - 100_f64.ln();
        assert_eq!(value(1, 1).to_bits(), value(1, 1).to_bits());
        let drawn: Vec<f64> = (0..1_000).flat_map(|minute| [1, 2].map(|pod| value(minute, pod))).collect();
        let count = drawn.len() as f64;
        let mean = drawn.iter().sum::<f64>() / count;
        let deviation = (drawn.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / count).sqrt();
        assert!(mean.abs() < 0.01 && (deviation - 0.1).abs() < 0.01, "mean {mean}, deviation {deviation}");
        let alike: f64 = (0..1_000).map(|minute| value(minute, 1) * value(minute, 2)).sum::<f64>() / 1_000.0;
        assert!(alike.abs() < 0.001, "pods vary on their own: {alike}");
    }
}
