//! The simulator's Prometheus: what the pods have counted, and the series of the scenario ([`series`]).

use super::{Process, series};
use crate::{
    api::analysis::{Builtin, Counter, Metric},
    evidence::{Answer, ArmCounts, BucketKind, BucketsQuery, IncrementsQuery, Query, Scope},
    ports::source::{Asking, Fault, Source, SourceError},
    sim::{
        cluster::SimCluster,
        latency::TimesQuery,
        scenario::FaultKind,
        time::{Millis, moment},
    },
};
use async_trait::async_trait;

#[async_trait]
impl Source for Process {
    async fn answer(&self, _: &Asking<'_>, queries: &[Query]) -> Vec<Result<Answer, SourceError>> {
        let slow = {
            let mut cluster = self.cluster();
            let now = cluster.now;
            let slow = cluster.faults.strikes(FaultKind::PrometheusSlow, now);
            slow.then(|| now + cluster.faults.slowness())
        };
        if let Some(until) = slow {
            self.stand_still(until).await;
        }
        let mut cluster = self.cluster();
        queries.iter().map(|query| answer(&mut cluster, query)).collect()
    }
}

fn answer(cluster: &mut SimCluster, query: &Query) -> Result<Answer, SourceError> {
    let now = cluster.now;
    if cluster.faults.strikes(FaultKind::PrometheusDown, now) {
        return Err(SourceError::new(
            Fault::Unreachable,
            "cannot reach Prometheus: connection refused (a fault of the scenario)".into(),
        ));
    }
    match query {
        Query::Increments(query) => Ok(increments(cluster, query)),
        Query::Buckets(query) if query.scope != Scope::Arms => {
            Err(SourceError::new(Fault::Refused, "the simulator has no histogram of a whole service".to_owned()))
        }
        Query::Buckets(query) => Ok(buckets(cluster, query)),
        Query::Scalar { query, at } => {
            let asks = |metric: &Metric| metric.threshold.as_ref().is_some_and(|threshold| threshold.query == *query);
            Ok(Answer::Scalar(series::scalar(cluster, asks, moment(*at))))
        }
        Query::External { query, at } => {
            let asks =
                |metric: &Metric| metric.threshold.as_ref().is_some_and(|own| own.external().as_ref() == Some(query));
            Ok(Answer::Scalar(series::scalar(cluster, asks, moment(*at))))
        }
        Query::Range { query, start, end, step_seconds } => {
            let over = start.as_second()..=end.as_second();
            Ok(Answer::Series(series::over_time(cluster, query, over, *step_seconds)))
        }
        Query::Pods(query) => series::of_pods(cluster, query).map(Answer::Pods).ok_or_else(no_gauge),
        Query::Spread(_) => Ok(Answer::Spread(None)), // requests are drawn for a version, not for each pod
        #[expect(unreachable_patterns, reason = "the judges learn questions before the simulator does")]
        _ => Err(SourceError::new(Fault::Refused, "the simulator cannot answer this kind of question yet".into())),
    }
}

fn no_gauge() -> SourceError {
    let why = "the scenario has no series for this gauge; set world.series under the metric's name";
    SourceError::new(Fault::Refused, why.to_owned())
}

fn increments(cluster: &SimCluster, query: &IncrementsQuery) -> Answer {
    let (window, warm_up) = (Millis::from(query.window_seconds) * 1000, Millis::from(query.warm_up_seconds) * 1000);
    let end = moment(query.end);
    // A counter of the user's own counts what the world has: bad answers, and all; users who converted, and all.
    let pick = |counter: &Counter, own: fn(&ArmCounts) -> u64, counts: &ArmCounts| match counter.builtin {
        Some(Builtin::Requests) => counts.total,
        Some(Builtin::Errors) => counts.bad,
        None => own(counts),
    };
    if query.scope != Scope::Arms {
        let counted = cluster.service_increments(end, window);
        let pair = |counts: &ArmCounts| ArmCounts {
            bad: pick(&query.bad, |counts| counts.bad, counts),
            total: pick(&query.total, |counts| counts.total, counts),
        };
        return Answer::Events { counts: counted.map(|counted| pair(&counted.answers)), notes: Vec::new() };
    }
    let arm = |workload: &str| {
        let counted = cluster.increments(workload, end, window, warm_up)?;
        let counts = counted.answers;
        if query.bad_comes_later {
            return Some(ArmCounts { bad: counted.converted, total: counted.users });
        }
        let bad = pick(&query.bad, |counts| counts.bad, &counts);
        Some(ArmCounts { bad, total: pick(&query.total, |counts| counts.total, &counts) })
    };
    Answer::Increments { canary: arm(&query.arms.canary), stable: arm(&query.arms.stable), notes: Vec::new() }
}

/// Whatever the histogram is called: each version has one.
fn buckets(cluster: &SimCluster, query: &BucketsQuery) -> Answer {
    let millis = |seconds: u32| Millis::from(seconds) * 1000;
    let window = TimesQuery {
        end: moment(query.end),
        length: millis(query.window_seconds),
        warm_up: millis(query.warm_up_seconds),
        whole_pods: query.whole_pods,
        native: query.kind == BucketKind::Native,
    };
    let [canary, stable] =
        [&query.arms.canary, &query.arms.stable].map(|workload| cluster.response_times(workload, &window));
    Answer::Buckets { canary, stable, unit: 1.0, notes: Vec::new() }
}
