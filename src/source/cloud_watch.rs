//! Numbers from Amazon CloudWatch, by `GetMetricData` in the JSON protocol of its API, signed (docs.aws.amazon.com, "GetMetricData").

use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{credentials::Credentials, http::Http};
use crate::{
    api::analysis::{CloudWatchQuery, MetricDataQuery, MetricStat},
    evidence::Answer,
    ports::source::SourceError,
};

/// The operation's name in the JSON protocol.
const TARGET: &str = "GraniteServiceVersion20100801.GetMetricData";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    #[serde(default)]
    metric_data_results: Vec<Series>,
}

/// One result: values from new to old, as they are asked for. The status is `Complete`, `PartialData`, `InternalError` or
/// `Forbidden`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Series {
    #[serde(default)]
    values: Vec<f64>,
    #[serde(default)]
    status_code: Option<String>,
}

/// The last value of the only query that returns data.
pub async fn ask(http: &Http, namespace: &str, query: &CloudWatchQuery, at: Timestamp) -> Result<Answer, SourceError> {
    let usual = || format!("https://monitoring.{}.amazonaws.com", query.region);
    let address = query.address.clone().unwrap_or_else(usual);
    let call = http.below(namespace, "cloudWatch", &address, &[])?;
    let keys =
        http.access().aws(call.reader(), &query.secret_ref, query.region.clone(), "monitoring".to_owned()).await?;
    let target = (HeaderName::from_static("x-amz-target"), HeaderValue::from_static(TARGET));
    let call = call
        .post("application/x-amz-json-1.0", body(query, at).to_string().into_bytes())
        .headers(HeaderMap::from_iter([target]))
        .credentials(Some(Credentials::SigV4(keys)));
    let response: Response = call.json(&http.send(&call).await?)?;
    match response.metric_data_results.as_slice() {
        [] => Ok(Answer::Scalar(None)),
        [only] if only.status_code.as_deref().is_some_and(|status| status != "Complete") => {
            Err(call.unusable("it returned partial data"))
        }
        [only] => Ok(Answer::Scalar(only.values.first().copied().filter(|value| value.is_finite()))),
        several => Ok(Answer::Several(several.len())),
    }
}

fn body(query: &CloudWatchQuery, at: Timestamp) -> Value {
    json!({
        "StartTime": at.as_second() - query.seconds(),
        "EndTime": at.as_second(),
        "ScanBy": "TimestampDescending",
        "MetricDataQueries": query.metric_data_queries.iter().map(data_query).collect::<Vec<_>>(),
    })
}

fn data_query(query: &MetricDataQuery) -> Value {
    let mut written = json!({"Id": query.id, "ReturnData": query.returns_data()});
    let fields = [
        ("Expression", query.expression.as_ref().map(|text| json!(text))),
        ("MetricStat", query.metric_stat.as_ref().map(stat)),
        ("Period", query.period.map(|period| json!(period))),
    ];
    set(&mut written, fields);
    written
}

fn stat(stat: &MetricStat) -> Value {
    let dimensions: Vec<Value> =
        stat.metric.dimensions.iter().map(|one| json!({"Name": one.name, "Value": one.value})).collect();
    let metric =
        json!({"Namespace": stat.metric.namespace, "MetricName": stat.metric.metric_name, "Dimensions": dimensions});
    let mut written = json!({"Metric": metric, "Period": stat.period, "Stat": stat.stat});
    set(&mut written, [("Unit", stat.unit.as_ref().map(|unit| json!(unit)))]);
    written
}

fn set<const N: usize>(object: &mut Value, fields: [(&str, Option<Value>); N]) {
    let Some(object) = object.as_object_mut() else { return };
    object.extend(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
}
