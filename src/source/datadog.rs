//! Numbers from Datadog, by its API's `GET /api/v1/query` (docs.datadoghq.com/api/latest/metrics/#query-timeseries-points).

use jiff::Timestamp;
use serde::Deserialize;

use super::http::Http;
use crate::{
    api::analysis::{DatadogQuery, SecretKeyRef},
    evidence::Answer,
    ports::source::SourceError,
};

/// The site of the United States.
const ADDRESS: &str = "https://api.datadoghq.com";

/// A response: the status is `ok` or `error`, and points are pairs of milliseconds and a value or `null`.
#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    series: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    pointlist: Vec<(f64, Option<f64>)>,
}

/// The last point of the query's only series.
pub async fn ask(http: &Http, namespace: &str, query: &DatadogQuery, at: Timestamp) -> Result<Answer, SourceError> {
    let address = query.address.as_deref().unwrap_or(ADDRESS);
    let call = http.below(namespace, "datadog", address, &["api", "v1", "query"])?;
    let key = |key: &Option<String>| SecretKeyRef { name: query.secret_ref.name.clone(), key: key.clone() };
    let api_key = http.access().text(call.reader(), &key(&query.secret_ref.api_key_key), "api-key").await?;
    let app_key = http.access().text(call.reader(), &key(&query.secret_ref.app_key_key), "app-key").await?;
    let (from, to) = (at.as_second() - query.seconds(), at.as_second());
    let call = call
        .query(&[("from", &from.to_string()), ("to", &to.to_string()), ("query", &query.query)])
        .secret_header("dd-api-key", &api_key)?
        .secret_header("dd-application-key", &app_key)?;
    let response: Response = call.json(&http.send(&call).await?)?;
    if response.status.is_some_and(|status| status != "ok") {
        return Err(call.unusable("it rejected the query"));
    }
    Ok(match response.series.as_slice() {
        [] => Answer::Scalar(None),
        [only] => Answer::Scalar(only.pointlist.iter().rev().find_map(|point| point.1)),
        several => Answer::Several(several.len()),
    })
}
