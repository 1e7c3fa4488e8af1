//! A metric that compares one number with a fixed limit.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::sources::{
    CloudWatchQuery, DatadogQuery, ExternalQuery, GraphiteQuery, InfluxdbQuery, JobQuery, NewRelicQuery, ONE_SOURCE,
    WebQuery,
};
use crate::api::common::HumanDuration;

/// A condition on a query's result. Exactly one of `query`, `web`, `job`, `datadog`, `newRelic`,
/// `cloudWatch`, `graphite`, `influxdb`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.success) || has(self.failure)", "set a success or a failure condition"))]
#[x_kube(validation = (
    "(has(self.query) ? 1 : 0) + (has(self.web) ? 1 : 0) + (has(self.job) ? 1 : 0) + (has(self.datadog) ? 1 : 0) + (has(self.newRelic) ? 1 : 0) + \
     (has(self.cloudWatch) ? 1 : 0) + (has(self.graphite) ? 1 : 0) + (has(self.influxdb) ? 1 : 0) == 1",
    ONE_SOURCE
))]
pub struct ThresholdMetric {
    /// The PromQL query; its single value is `result`. A result with several series is no data: aggregate it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 8192))]
    pub query: String,
    /// A request to a web endpoint with a JSON response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web: Option<WebQuery>,
    /// A Kubernetes Job, whose exit code is `result`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobQuery>,
    /// A query to Datadog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datadog: Option<DatadogQuery>,
    /// A query to New Relic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_relic: Option<NewRelicQuery>,
    /// Queries to Amazon CloudWatch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_watch: Option<CloudWatchQuery>,
    /// A query to Graphite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graphite: Option<GraphiteQuery>,
    /// A query to InfluxDB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub influxdb: Option<InfluxdbQuery>,
    /// A CEL condition on `result` for a successful measurement, for example `result < 100`. An empty or NaN result is no
    /// data, unless a condition handles it: `default(result, 0) < 100`, `isNaN(result)`, `isInf(result)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub success: Option<String>,
    /// A CEL condition on `result` for a failed measurement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub failure: Option<String>,
    /// The interval between measurements. Default 1m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<HumanDuration>,
    /// The delay before the first measurement. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_delay: Option<HumanDuration>,
    /// The metric passes after this many successful measurements. Default 1 in an analysis step; a background analysis
    /// never ends by count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// The metric fails with more than this many failed measurements. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_limit: Option<u32>,
    /// The metric is inconclusive with more than this many measurements that neither succeeded nor failed. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inconclusive_limit: Option<u32>,
    /// The metric has no data with more than this many consecutive source errors. Default 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_error_limit: Option<u32>,
    /// The metric passes after this many consecutive successful measurements. Off if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_success_limit: Option<u32>,
}

impl ThresholdMetric {
    /// The query to a source other than Prometheus, if that is where its number comes from.
    pub fn external(&self) -> Option<ExternalQuery> {
        let sources = [
            self.web.clone().map(|query| ExternalQuery::Web(Box::new(query))),
            self.job.clone().map(|query| ExternalQuery::Job(Box::new(query))),
            self.datadog.clone().map(|query| ExternalQuery::Datadog(Box::new(query))),
            self.new_relic.clone().map(|query| ExternalQuery::NewRelic(Box::new(query))),
            self.cloud_watch.clone().map(|query| ExternalQuery::CloudWatch(Box::new(query))),
            self.graphite.clone().map(|query| ExternalQuery::Graphite(Box::new(query))),
            self.influxdb.clone().map(|query| ExternalQuery::Influxdb(Box::new(query))),
        ];
        sources.into_iter().flatten().next()
    }

    /// Whether its number comes from exactly one source.
    pub fn has_one_source(&self) -> bool {
        let sources = [
            !self.query.is_empty(),
            self.web.is_some(),
            self.job.is_some(),
            self.datadog.is_some(),
            self.new_relic.is_some(),
            self.cloud_watch.is_some(),
            self.graphite.is_some(),
            self.influxdb.is_some(),
        ];
        sources.into_iter().filter(|given| *given).count() == 1
    }

    /// The texts in which arguments are substituted, each with its field.
    pub fn texts_mut(&mut self) -> Vec<(String, &mut String)> {
        let mut texts = Vec::new();
        if !self.query.is_empty() {
            texts.push(("query".to_owned(), &mut self.query));
        }
        let below = |source: &'static str| move |(field, text)| (format!("{source}.{field}"), text);
        texts.extend(self.web.iter_mut().flat_map(WebQuery::texts_mut).map(below("web")));
        texts.extend(self.job.iter_mut().flat_map(JobQuery::texts_mut).map(below("job")));
        texts.extend(self.datadog.iter_mut().flat_map(DatadogQuery::texts_mut).map(below("datadog")));
        texts.extend(self.new_relic.iter_mut().flat_map(NewRelicQuery::texts_mut).map(below("newRelic")));
        texts.extend(self.cloud_watch.iter_mut().flat_map(CloudWatchQuery::texts_mut).map(below("cloudWatch")));
        texts.extend(self.graphite.iter_mut().flat_map(GraphiteQuery::texts_mut).map(below("graphite")));
        texts.extend(self.influxdb.iter_mut().flat_map(InfluxdbQuery::texts_mut).map(below("influxdb")));
        texts.extend(self.success.as_mut().map(|text| ("success".to_owned(), text)));
        texts.extend(self.failure.as_mut().map(|text| ("failure".to_owned(), text)));
        texts
    }
}
