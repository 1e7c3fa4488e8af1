//! Numbers from InfluxDB 2, by Flux through `POST /api/v2/query` (docs.influxdata.com, "Query with the InfluxDB API").

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use serde_json::json;

use super::http::Http;
use crate::{api::analysis::InfluxdbQuery, evidence::Answer, ports::source::SourceError};

/// The last `_value` of the query's only table.
pub async fn ask(http: &Http, namespace: &str, query: &InfluxdbQuery) -> Result<Answer, SourceError> {
    let call = http.below(namespace, "influxdb", &query.address, &["api", "v2", "query"])?;
    let token = http.access().text(call.reader(), &query.secret_ref, "token").await?;
    let call = http.authenticated(call, None, query.tls.as_ref()).await?;
    let dialect = json!({"header": true, "annotations": [], "delimiter": ","});
    let body = json!({"query": query.query, "type": "flux", "dialect": dialect}).to_string();
    let accept = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/csv"))]);
    let call = call
        .query(&[("org", &query.org)])
        .post("application/json", body.into_bytes())
        .headers(accept)
        .secret_header("authorization", &format!("Token {token}"))?;
    let body = http.send(&call).await?;
    read(&body).map_err(|why| call.unusable(why))
}

/// Reads CSV: a header, then rows; another header where the columns change. The number of a table distinguishes it.
fn read(body: &[u8]) -> Result<Answer, &'static str> {
    const NO_VALUE: &str = "its response has no table with a _value";
    let mut rows = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(body);
    let (mut header, mut last): (Option<(usize, usize)>, Option<String>) = (None, None);
    let mut tables = std::collections::BTreeSet::new();
    for row in rows.records() {
        let row = row.map_err(|_| "its response is not CSV")?;
        let column = |name: &str| row.iter().position(|cell| cell == name);
        if let (Some(value), Some(table)) = (column("_value"), column("table")) {
            header = Some((value, table));
            continue;
        }
        if row.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let (value, table) = header.ok_or(NO_VALUE)?;
        let (Some(value), Some(table)) = (row.get(value), row.get(table)) else { return Err(NO_VALUE) };
        tables.insert(table.to_owned());
        last = Some(value.trim().to_owned());
    }
    match (tables.len(), last) {
        (0 | 1, None) => Ok(Answer::Scalar(None)),
        (0 | 1, Some(text)) if text.is_empty() => Ok(Answer::Scalar(None)),
        (0 | 1, Some(text)) => {
            let number: f64 = text.parse().map_err(|_| "the last _value is not a number")?;
            Ok(Answer::Scalar(Some(number).filter(|number| number.is_finite())))
        }
        (several, _) => Ok(Answer::Several(several)),
    }
}
