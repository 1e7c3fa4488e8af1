//! Our own numbers, in the OpenMetrics text format. Labels never hold object names.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RolloutLabels {
    phase: String,
    namespace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    verb: &'static str,
    resource: String,
    code: String,
}

/// The metrics of this process.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    rollouts: Family<RolloutLabels, Gauge>,
    reconcile: Histogram,
    requests: Family<RequestLabels, Counter>,
    queue: Gauge,
    leader: Gauge,
    queries: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
        let reconcile = Histogram::new(seconds);
        let (rollouts, requests) = (Family::default(), Family::default());
        let (queue, leader, queries) = (Gauge::default(), Gauge::default(), Counter::default());
        let mut registry = Registry::with_prefix("glidepath");
        registry.register("rollouts", "Rollouts by phase", rollouts.clone());
        registry.register_with_unit("reconcile_duration", "Time of one tick", Unit::Seconds, reconcile.clone());
        registry.register("api_requests", "Requests to the API server", requests.clone());
        registry.register("queue_depth", "Rollouts that are due or being worked on", queue.clone());
        registry.register("leader", "Whether this process holds the Lease", leader.clone());
        registry.register("prometheus_queries", "Questions asked of metric sources", queries.clone());
        Metrics { registry: Arc::new(registry), rollouts, reconcile, requests, queue, leader, queries }
    }
}

impl Metrics {
    /// One tick took this long.
    pub fn reconciled(&self, took: Duration) {
        self.reconcile.observe(took.as_secs_f64());
    }

    /// One request to the API server was answered (or not: code 0). The resource is named as RBAC names it.
    pub fn requested(&self, verb: &'static str, resource: String, code: u16) {
        let labels = RequestLabels { verb, resource, code: code.to_string() };
        self.requests.get_or_create(&labels).inc();
    }

    /// So many questions went to a metric source.
    pub fn asked(&self, questions: usize) {
        self.queries.inc_by(questions as u64);
    }

    /// Whether this process leads.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// All numbers as text; the counts of Rollouts by phase and namespace and the queue are taken now.
    pub fn text(&self, rollouts: &BTreeMap<(String, String), i64>, queue: usize) -> String {
        self.rollouts.clear();
        for ((phase, namespace), count) in rollouts {
            let labels = RolloutLabels { phase: phase.clone(), namespace: namespace.clone() };
            self.rollouts.get_or_create(&labels).set(*count);
        }
        self.queue.set(i64::try_from(queue).unwrap_or(i64::MAX));
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# {error}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_people_put_on_dashboards() {
        let metrics = Metrics::default();
        metrics.reconciled(Duration::from_millis(3));
        metrics.requested("patch", "rollouts/status".into(), 200);
        metrics.leads(true);
        metrics.asked(2);
        let text = metrics.text(&BTreeMap::from([(("Healthy".into(), "shop".into()), 3)]), 1);
        for line in [
            "glidepath_rollouts{phase=\"Healthy\",namespace=\"shop\"} 3",
            "glidepath_reconcile_duration_seconds_count 1",
            "glidepath_api_requests_total{verb=\"patch\",resource=\"rollouts/status\",code=\"200\"} 1",
            "glidepath_queue_depth 1",
            "glidepath_leader 1",
            "glidepath_prometheus_queries_total 2",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
