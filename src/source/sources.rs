//! Every source behind one door: each question goes to the source that it is for.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    cloud_watch, datadog, graphite, http::Http, influxdb, new_relic, outbound::Outbound, prometheus::PrometheusSource,
    servers::OwnPrometheus, web,
};
use crate::{
    api::analysis::ExternalQuery,
    evidence::{Answer, Query},
    ports::{
        secrets::Secrets,
        source::{Asking, Fault, Source, SourceError},
    },
};

/// How long a question may take in all: less than [`crate::ports::source::ASKING`].
const ROUND: Duration = Duration::from_secs(28);

/// Prometheus and all others.
pub struct Sources {
    prometheus: PrometheusSource,
    http: Http,
}

impl Sources {
    /// Sources under a policy. `own` is the Prometheus of runs that name none.
    pub fn new(outbound: Outbound, own: Option<OwnPrometheus>, secrets: Arc<dyn Secrets>) -> Self {
        let http = Http::new(outbound.clone(), Arc::clone(&secrets));
        Sources { prometheus: PrometheusSource::new(outbound, own, secrets), http }
    }

    /// The same for a single run, which waits for no others.
    pub fn for_one(outbound: Outbound, own: Option<OwnPrometheus>, secrets: Arc<dyn Secrets>) -> Self {
        let http = Http::new(outbound.clone(), Arc::clone(&secrets));
        Sources { prometheus: PrometheusSource::for_one(outbound, own, secrets), http }
    }

    async fn external(&self, namespace: &str, query: &ExternalQuery, at: Timestamp) -> Result<Answer, SourceError> {
        match query {
            ExternalQuery::Web(query) => web::ask(&self.http, namespace, query).await,
            ExternalQuery::Job(_) => Err(SourceError::new(
                Fault::Refused,
                "a job metric is measured only by the controller in a cluster".to_owned(),
            )),
            ExternalQuery::Datadog(query) => datadog::ask(&self.http, namespace, query, at).await,
            ExternalQuery::NewRelic(query) => new_relic::ask(&self.http, namespace, query).await,
            ExternalQuery::CloudWatch(query) => cloud_watch::ask(&self.http, namespace, query, at).await,
            ExternalQuery::Graphite(query) => graphite::ask(&self.http, namespace, query, at).await,
            ExternalQuery::Influxdb(query) => influxdb::ask(&self.http, namespace, query).await,
        }
    }

    async fn external_in_time(&self, namespace: &str, query: &Query) -> Option<Result<Answer, SourceError>> {
        let Query::External { query, at } = query else { return None };
        let late =
            || SourceError::new(Fault::Silent, format!("the source did not respond within {} s", ROUND.as_secs()));
        let answer = tokio::time::timeout(ROUND, self.external(namespace, query, *at)).await;
        Some(answer.unwrap_or_else(|_| Err(late())))
    }
}

#[async_trait]
impl Source for Sources {
    async fn answer(&self, asking: &Asking<'_>, queries: &[Query]) -> Vec<Result<Answer, SourceError>> {
        let is_external = |query: &Query| matches!(query, Query::External { .. });
        let own: Vec<Query> = queries.iter().filter(|query| !is_external(query)).cloned().collect();
        let prometheus = async {
            // A run that asks others alone needs no Prometheus.
            if own.is_empty() { Vec::new() } else { self.prometheus.answer(asking, &own).await }
        };
        let one = |query| self.external_in_time(asking.namespace, query);
        let external = futures::future::join_all(queries.iter().map(one));
        let (prometheus, external) = tokio::join!(prometheus, external);
        let mut prometheus = prometheus.into_iter();
        let lost = || Err(SourceError::new(Fault::Refused, "the query was not answered".to_owned()));
        external.into_iter().map(|answer| answer.or_else(|| prometheus.next()).unwrap_or_else(lost)).collect()
    }

    async fn samples(
        &self,
        asking: &Asking<'_>,
        query: &str,
        at: Timestamp,
    ) -> Result<Vec<(String, f64)>, SourceError> {
        self.prometheus.samples(asking, query.to_owned(), at).await
    }
}

#[cfg(test)]
#[path = "sources_tests.rs"]
mod tests;
