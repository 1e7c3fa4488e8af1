//! A number from Amazon CloudWatch.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::interval::seconds;
use crate::api::{analysis::auth::AwsSecretRef, common::HumanDuration};

/// The message for a query with no calculation or with two.
pub const ONE_CALCULATION: &str = "set exactly one of expression and metricStat";

/// A number from Amazon CloudWatch: the last value of the only query that returns data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchQuery {
    /// The region, for example `eu-west-1`.
    #[schemars(length(min = 1, max = 64))]
    pub region: String,
    /// The queries of `GetMetricData`.
    #[schemars(length(min = 1, max = 16))]
    pub metric_data_queries: Vec<MetricDataQuery>,
    /// The range before the measurement that is queried. Default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<HumanDuration>,
    /// The base URL, for example of a VPC endpoint. Default `https://monitoring.REGION.amazonaws.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub address: Option<String>,
    /// The Secret with the keys of an identity that may call `cloudwatch:GetMetricData`.
    pub secret_ref: AwsSecretRef,
}

/// One query of `GetMetricData`. Exactly one of `expression`, `metricStat`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.expression) != has(self.metricStat)", ONE_CALCULATION))]
pub struct MetricDataQuery {
    /// Its ID, by which expressions name it.
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[a-z][a-zA-Z0-9_]*$"))]
    pub id: String,
    /// Metric math, for example `errors / requests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub expression: Option<String>,
    /// A statistic of one metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_stat: Option<MetricStat>,
    /// The granularity of an expression in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub period: Option<u32>,
    /// Whether its value is the result. Default true; set `false` in all but one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_data: Option<bool>,
}

/// A statistic of one metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricStat {
    /// The metric.
    pub metric: StatMetric,
    /// The granularity in seconds: 60 or a multiple of it, below that for high-resolution metrics.
    #[schemars(range(min = 1, max = 86400))]
    pub period: u32,
    /// The statistic, for example `Sum` or `p99`.
    #[schemars(length(min = 1, max = 64))]
    pub stat: String,
    /// The unit, for example `Seconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub unit: Option<String>,
}

/// A metric of CloudWatch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatMetric {
    /// Its namespace, for example `AWS/ApplicationELB`.
    #[schemars(length(min = 1, max = 255))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(min = 1, max = 255))]
    pub metric_name: String,
    /// Its dimensions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 30))]
    pub dimensions: Vec<Dimension>,
}

/// A dimension of a metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dimension {
    /// Its name.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Its value.
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,
}

impl MetricDataQuery {
    /// Whether its value is the result.
    pub fn returns_data(&self) -> bool {
        self.return_data.unwrap_or(true)
    }
}

impl CloudWatchQuery {
    /// The seconds of the range.
    pub fn seconds(&self) -> i64 {
        seconds(self.interval)
    }

    /// The texts in which arguments are substituted, each with its field.
    pub fn texts_mut(&mut self) -> Vec<(String, &mut String)> {
        let mut texts = Vec::new();
        for (index, query) in self.metric_data_queries.iter_mut().enumerate() {
            let field = format!("metricDataQueries[{index}]");
            texts.extend(query.expression.as_mut().map(|text| (format!("{field}.expression"), text)));
            let Some(stat) = &mut query.metric_stat else { continue };
            let metric = format!("{field}.metricStat.metric");
            for (number, dimension) in stat.metric.dimensions.iter_mut().enumerate() {
                texts.push((format!("{metric}.dimensions[{number}].value"), &mut dimension.value));
            }
            texts.push((format!("{metric}.metricName"), &mut stat.metric.metric_name));
        }
        texts
    }
}
