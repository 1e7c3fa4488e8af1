//! Numbers from elsewhere than Prometheus: each source with its query, its own file below.

mod cloud_watch;
mod datadog;
mod graphite;
mod influxdb;
mod interval;
mod job;
mod new_relic;
mod web;

pub use cloud_watch::{CloudWatchQuery, Dimension, MetricDataQuery, MetricStat, ONE_CALCULATION, StatMetric};
pub use datadog::{DatadogQuery, DatadogSecretRef};
pub use graphite::GraphiteQuery;
pub use influxdb::InfluxdbQuery;
pub use job::{JobQuery, LONGEST_JOB};
pub(super) use job::{raw_object, template_problems, template_texts};
pub use new_relic::{NewRelicQuery, NewRelicRegion};
pub use web::{WebMethod, WebQuery};

/// The message for a threshold with no source or with several.
pub const ONE_SOURCE: &str = "set exactly one of query, web, job, datadog, newRelic, cloudWatch, graphite and influxdb";

/// A query to a source other than Prometheus.
#[derive(Clone, Debug, PartialEq)]
pub enum ExternalQuery {
    /// A web endpoint with a JSON response.
    Web(Box<WebQuery>),
    /// A Kubernetes Job.
    Job(Box<JobQuery>),
    /// Datadog.
    Datadog(Box<DatadogQuery>),
    /// New Relic.
    NewRelic(Box<NewRelicQuery>),
    /// Amazon CloudWatch.
    CloudWatch(Box<CloudWatchQuery>),
    /// Graphite.
    Graphite(Box<GraphiteQuery>),
    /// InfluxDB.
    Influxdb(Box<InfluxdbQuery>),
}

impl ExternalQuery {
    /// What is queried, in messages.
    pub fn name(&self) -> &'static str {
        match self {
            ExternalQuery::Web(_) => "a web endpoint",
            ExternalQuery::Job(_) => "a Kubernetes Job",
            ExternalQuery::Datadog(_) => "Datadog",
            ExternalQuery::NewRelic(_) => "New Relic",
            ExternalQuery::CloudWatch(_) => "CloudWatch",
            ExternalQuery::Graphite(_) => "Graphite",
            ExternalQuery::Influxdb(_) => "InfluxDB",
        }
    }

    /// Whether it is asked for the time of the measurement, so that a past one can be judged. The others answer for the
    /// present, whatever time is meant.
    pub fn knows_the_past(&self) -> bool {
        matches!(self, ExternalQuery::Datadog(_) | ExternalQuery::CloudWatch(_) | ExternalQuery::Graphite(_))
    }
}
