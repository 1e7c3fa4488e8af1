//! The controller's own metrics, in the OpenMetrics text format. Labels are kind, namespace, phase, reason, verb, resource
//! and code; never object names.

use std::{
    collections::BTreeMap,
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

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

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NamespaceLabel {
    namespace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    namespace: String,
    reason: String,
}

type Seconds = Gauge<f64, AtomicU64>;

/// What is read off when the metrics are scraped.
#[derive(Debug, Default)]
pub struct Scrape {
    /// Rollouts by phase and namespace.
    pub rollouts: BTreeMap<(String, String), i64>,
    /// Rollouts that are due or being reconciled.
    pub queue: usize,
    /// How long the oldest due key of each queue waits, by the kind of its objects.
    pub oldest_due: Vec<(&'static str, Duration)>,
    /// How long ago each watch was last heard of, by kind.
    pub watch_ages: Vec<(String, Duration)>,
    /// How often each was closed because it was silent, by kind.
    pub silences: Vec<(String, u64)>,
}

/// The metrics of this process.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    rollouts: Family<RolloutLabels, Gauge>,
    reconcile: Histogram,
    failures: Family<EndLabels, Counter>,
    refusals: Family<EndLabels, Counter>,
    panics: Family<KindLabel, Counter>,
    requests: Family<RequestLabels, Counter>,
    queue: Gauge,
    oldest_due: Family<KindLabel, Seconds>,
    watch_age: Family<KindLabel, Seconds>,
    silences: Family<KindLabel, Counter>,
    evidence_lag: Histogram,
    queries: Counter,
    answers: Family<ReasonLabel, Counter>,
    steps: Family<NamespaceLabel, Counter>,
    ended: Family<EndLabels, Counter>,
    repairs: Family<NamespaceLabel, Counter>,
    leader: Gauge,
    transitions: Gauge,
    renewals: Family<ReasonLabel, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let ticks = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
        let lags = [1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];
        let mut metrics = Metrics {
            registry: Arc::default(),
            rollouts: Family::default(),
            reconcile: Histogram::new(ticks),
            failures: Family::default(),
            refusals: Family::default(),
            panics: Family::default(),
            requests: Family::default(),
            queue: Gauge::default(),
            oldest_due: Family::default(),
            watch_age: Family::default(),
            silences: Family::default(),
            evidence_lag: Histogram::new(lags),
            queries: Counter::default(),
            answers: Family::default(),
            steps: Family::default(),
            ended: Family::default(),
            repairs: Family::default(),
            leader: Gauge::default(),
            transitions: Gauge::default(),
            renewals: Family::default(),
        };
        metrics.registry = Arc::new(metrics.registered());
        metrics
    }
}

impl Metrics {
    fn registered(&self) -> Registry {
        let mut all = Registry::with_prefix("glidepath");
        all.register("rollouts", "Rollouts by phase", self.rollouts.clone());
        all.register_with_unit("reconcile_duration", "Duration of one tick", Unit::Seconds, self.reconcile.clone());
        all.register("tick_failures", "Failed ticks; Conflict is a resourceVersion conflict", self.failures.clone());
        all.register("actions_refused", "Actions rejected by the API server or by a rule", self.refusals.clone());
        all.register("panics", "Panics in the controller, by the kind of object", self.panics.clone());
        all.register("api_requests", "Requests to the API server", self.requests.clone());
        all.register("queue_depth", "Rollouts that are due or being reconciled", self.queue.clone());
        let help = "Time for which the oldest due object has been waiting in the queue";
        all.register_with_unit("queue_oldest_due", help, Unit::Seconds, self.oldest_due.clone());
        let help = "Time since the last response on a watch";
        all.register_with_unit("watch_age", help, Unit::Seconds, self.watch_age.clone());
        all.register(
            "watch_silences",
            "Watches closed because they did not end at their timeout",
            self.silences.clone(),
        );
        let help = "Age of the newest sample when a run is judged";
        all.register_with_unit("evidence_lag", help, Unit::Seconds, self.evidence_lag.clone());
        all.register("prometheus_queries", "Queries sent to metric sources", self.queries.clone());
        all.register("source_requests", "Results of queries to metric sources", self.answers.clone());
        all.register("steps_completed", "Completed steps", self.steps.clone());
        all.register("rollouts_ended", "Completed releases by outcome", self.ended.clone());
        all.register(
            "route_repairs",
            "Routes that another field manager changed and that were repaired",
            self.repairs.clone(),
        );
        all.register("leader", "Whether this process is the leader", self.leader.clone());
        all.register("lease_transitions", "Number of times the Lease has changed its holder", self.transitions.clone());
        all.register("lease_requests", "Requests for the Lease by result", self.renewals.clone());
        all
    }

    /// One tick took this long.
    pub fn reconciled(&self, took: Duration) {
        self.reconcile.observe(took.as_secs_f64());
    }

    /// A tick in this namespace failed.
    pub fn tick_failed(&self, namespace: &str, reason: &str) {
        let labels = EndLabels { namespace: namespace.to_owned(), reason: reason.to_owned() };
        self.failures.get_or_create(&labels).inc();
    }

    /// What a Rollout of this namespace needed was refused.
    pub fn action_refused(&self, namespace: &str, reason: &str) {
        let labels = EndLabels { namespace: namespace.to_owned(), reason: reason.to_owned() };
        self.refusals.get_or_create(&labels).inc();
    }

    /// The work on an object of this kind panicked.
    pub fn panicked(&self, kind: &str) {
        self.panics.get_or_create(&KindLabel { kind: kind.to_owned() }).inc();
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

    /// A metric source answered one of them (`OK`), or there was this kind of error.
    pub fn answered(&self, reason: &'static str) {
        self.answers.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// A run was judged by evidence that ends so long ago.
    pub fn judged(&self, lag: Duration) {
        self.evidence_lag.observe(lag.as_secs_f64());
    }

    /// Rollouts of this namespace completed so many steps.
    pub fn steps_completed(&self, namespace: &str, steps: u32) {
        self.steps.get_or_create(&NamespaceLabel { namespace: namespace.to_owned() }).inc_by(steps.into());
    }

    /// A release ended.
    pub fn release_ended(&self, namespace: &str, outcome: String) {
        self.ended.get_or_create(&EndLabels { namespace: namespace.to_owned(), reason: outcome }).inc();
    }

    /// A route that was changed from outside was written back.
    pub fn route_repaired(&self, namespace: &str) {
        self.repairs.get_or_create(&NamespaceLabel { namespace: namespace.to_owned() }).inc();
    }

    /// Whether this process leads.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// The Lease as it was last seen has changed hands so often.
    pub fn lease_seen(&self, transitions: i32) {
        self.transitions.set(transitions.into());
    }

    /// A request for the Lease ended like this.
    pub fn lease_requested(&self, result: &'static str) {
        self.renewals.get_or_create(&ReasonLabel { reason: result }).inc();
    }

    /// All metrics as text.
    pub fn text(&self, scrape: &Scrape) -> String {
        self.rollouts.clear();
        for ((phase, namespace), count) in &scrape.rollouts {
            let labels = RolloutLabels { phase: phase.clone(), namespace: namespace.clone() };
            self.rollouts.get_or_create(&labels).set(*count);
        }
        self.queue.set(i64::try_from(scrape.queue).unwrap_or(i64::MAX));
        for (kind, age) in &scrape.oldest_due {
            self.oldest_due.get_or_create(&KindLabel { kind: (*kind).to_owned() }).set(age.as_secs_f64());
        }
        self.watch_age.clear();
        for (kind, age) in &scrape.watch_ages {
            self.watch_age.get_or_create(&KindLabel { kind: kind.clone() }).set(age.as_secs_f64());
        }
        for (kind, times) in &scrape.silences {
            let counter = self.silences.get_or_create(&KindLabel { kind: kind.clone() });
            counter.inner().fetch_max(*times, Ordering::Relaxed);
        }
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# {error}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// With one sample of each metric: one without samples is not in the text.
    fn text() -> String {
        let metrics = Metrics::default();
        metrics.reconciled(Duration::from_millis(3));
        metrics.tick_failed("shop", "Forbidden");
        metrics.action_refused("shop", "QuotaExceeded");
        metrics.panicked("Rollout");
        metrics.requested("patch", "rollouts/status".into(), 200);
        metrics.asked(2);
        metrics.answered("OK");
        metrics.judged(Duration::from_secs(7));
        metrics.steps_completed("shop", 1);
        metrics.release_ended("shop", "Promoted".into());
        metrics.route_repaired("shop");
        metrics.leads(true);
        metrics.lease_seen(4);
        metrics.lease_requested("OK");
        metrics.text(&Scrape {
            rollouts: BTreeMap::from([(("Healthy".into(), "shop".into()), 3)]),
            queue: 1,
            oldest_due: vec![("Rollout", Duration::from_secs(2))],
            watch_ages: vec![("Pod".into(), Duration::from_millis(1_500))],
            silences: vec![("Pod".into(), 2)],
        })
    }

    #[test]
    fn m13_the_names_people_put_on_dashboards() {
        let text = text();
        for line in [
            "glidepath_rollouts{phase=\"Healthy\",namespace=\"shop\"} 3",
            "glidepath_reconcile_duration_seconds_count 1",
            "glidepath_tick_failures_total{namespace=\"shop\",reason=\"Forbidden\"} 1",
            "glidepath_actions_refused_total{namespace=\"shop\",reason=\"QuotaExceeded\"} 1",
            "glidepath_panics_total{kind=\"Rollout\"} 1",
            "glidepath_api_requests_total{verb=\"patch\",resource=\"rollouts/status\",code=\"200\"} 1",
            "glidepath_queue_depth 1",
            "glidepath_queue_oldest_due_seconds{kind=\"Rollout\"} 2.0",
            "glidepath_watch_age_seconds{kind=\"Pod\"} 1.5",
            "glidepath_watch_silences_total{kind=\"Pod\"} 2",
            "glidepath_evidence_lag_seconds_sum 7.0",
            "glidepath_prometheus_queries_total 2",
            "glidepath_source_requests_total{reason=\"OK\"} 1",
            "glidepath_steps_completed_total{namespace=\"shop\"} 1",
            "glidepath_rollouts_ended_total{namespace=\"shop\",reason=\"Promoted\"} 1",
            "glidepath_route_repairs_total{namespace=\"shop\"} 1",
            "glidepath_leader 1",
            "glidepath_lease_transitions 4",
            "glidepath_lease_requests_total{reason=\"OK\"} 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    /// The page lists what there is, and nothing else.
    #[test]
    fn m13_the_documentation_lists_every_metric() {
        let text = text();
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let registered: BTreeSet<String> = types
            .map(|line| {
                let (name, kind) = line.split_once(' ').unwrap();
                if kind == "counter" { format!("{name}_total") } else { name.to_owned() }
            })
            .collect();
        let page = include_str!("../docs/metrics.md");
        let section = page.split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `glidepath_"));
        let listed: BTreeSet<String> =
            rows.map(|row| format!("glidepath_{}", row.split(['{', '`']).next().unwrap())).collect();
        assert_eq!(listed, registered, "docs/metrics.md");
        for word in page.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| word.starts_with("glidepath_"))
        {
            let metric = word.trim_end_matches("_bucket");
            assert!(registered.contains(metric), "docs/metrics.md queries {word}, which is not exported");
        }
    }
}
