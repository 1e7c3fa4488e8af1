//! Numbers from Graphite, by its render API (graphite.readthedocs.io, "The Render URL API").

use jiff::Timestamp;
use serde::Deserialize;

use super::http::Http;
use crate::{api::analysis::GraphiteQuery, evidence::Answer, ports::source::SourceError};

/// One series of a response: points are pairs of a value or `null` and a time in seconds.
#[derive(Deserialize)]
struct Series {
    datapoints: Vec<(Option<f64>, f64)>,
}

/// The last point of the target's only series.
pub async fn ask(http: &Http, namespace: &str, query: &GraphiteQuery, at: Timestamp) -> Result<Answer, SourceError> {
    let call = http.below(namespace, "graphite", &query.address, &["render"])?;
    let (from, until) = (at.as_second() - query.seconds(), at.as_second());
    let call = call.query(&[
        ("target", &query.target),
        ("from", &from.to_string()),
        ("until", &until.to_string()),
        ("format", "json"),
    ]);
    let call = http.authenticated(call, query.auth.as_ref(), query.tls.as_ref()).await?;
    let series: Vec<Series> = call.json(&http.send(&call).await?)?;
    Ok(match series.as_slice() {
        [] => Answer::Scalar(None),
        [only] => Answer::Scalar(only.datapoints.iter().rev().find_map(|point| point.0)),
        several => Answer::Several(several.len()),
    })
}
