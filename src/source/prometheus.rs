//! Numbers from a Prometheus server over its HTTP API: by POST, at most four questions at a time per address, each
//! evaluated at its own time, transient errors retried, answers bounded.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use prometheus_http_query::Client;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::{
    evidence::{Answer, Query, promql},
    ports::source::{Source, SourceError},
};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Questions at a time per address.
const AT_ONCE: usize = 4;
/// The largest answer read, in bytes: aggregated answers are a few hundred.
const LARGEST: usize = 4 << 20;
/// How often a transient error is retried within one question.
const RETRIES: usize = 2;
/// What to do about an address that does not answer.
const REMEDY: &str = "set --prometheus or analysis.prometheus.address; 'glidepath doctor' checks it";

/// The Prometheus servers that runs name.
pub struct PrometheusSource {
    http: reqwest::Client,
    gates: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// Why no client can be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client for Prometheus")]
pub struct SetUpError(#[source] reqwest::Error);

/// One HTTP question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Ask {
    text: String,
    at: Timestamp,
}

/// Labels that matter (`arm`) and the value.
type Samples = Vec<(String, f64)>;

/// A failed question and whether asking again may help.
#[derive(Clone, Debug)]
struct Failed {
    message: String,
    transient: bool,
}

impl PrometheusSource {
    /// A source over a client of its own.
    pub fn new() -> Result<Self, SetUpError> {
        // An error means that this process has a provider already, which serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder().timeout(TIMEOUT).connect_timeout(Duration::from_secs(5)).build();
        Ok(PrometheusSource { http: http.map_err(SetUpError)?, gates: Mutex::default() })
    }

    fn gate(&self, address: &str) -> Arc<Semaphore> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.entry(address.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))).clone()
    }

    /// Asks once per distinct question, within the address's gate.
    async fn ask_all(&self, address: &str, asks: Vec<Ask>) -> HashMap<Ask, Result<Samples, Failed>> {
        let gate = self.gate(address);
        let one = |ask: Ask| {
            let gate = gate.clone();
            async move {
                let _permit = gate.acquire().await;
                let answer = self.ask_patiently(address, &ask).await;
                (ask, answer)
            }
        };
        stream::iter(asks).map(one).buffer_unordered(AT_ONCE).collect().await
    }

    async fn ask_patiently(&self, address: &str, ask: &Ask) -> Result<Samples, Failed> {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(2))
            .with_jitter()
            .with_max_times(RETRIES);
        let attempt = || self.ask(address, ask);
        attempt.retry(backoff).when(|failed| failed.transient).await
    }

    async fn ask(&self, address: &str, ask: &Ask) -> Result<Samples, Failed> {
        let client = Client::from(self.http.clone(), address)
            .map_err(|error| lasting(format!("`{address}` is no URL ({error}); {REMEDY}")))?;
        // The builder's `at` takes whole seconds, which is what windows end at.
        let request = client.query(&ask.text).at(ask.at.as_second()).timeout(TIMEOUT.as_secs().cast_signed());
        let response = request.post_raw().await.map_err(|error| unreachable(address, &error))?;
        let status = response.status();
        let body = bounded(address, response).await?;
        read(address, status, &body)
    }
}

#[async_trait]
impl Source for PrometheusSource {
    async fn answer(&self, address: &str, queries: &[Query]) -> Vec<Result<Answer, SourceError>> {
        let planned: Vec<Result<Vec<Ask>, SourceError>> = queries.iter().map(asks).collect();
        let mut distinct: Vec<Ask> = Vec::new();
        for ask in planned.iter().flatten().flatten() {
            if !distinct.contains(ask) {
                distinct.push(ask.clone());
            }
        }
        let answers = self.ask_all(address, distinct).await;
        let got = |ask: &Ask| match answers.get(ask) {
            Some(Ok(samples)) => Ok(samples.clone()),
            Some(Err(failed)) => Err(SourceError(failed.message.clone())),
            None => Err(SourceError("the question was not asked".to_owned())),
        };
        planned.into_iter().zip(queries).map(|(asks, query)| joined(query, asks?.iter().map(got))).collect()
    }
}

/// The HTTP questions behind a question: bad and total, or the one text.
fn asks(query: &Query) -> Result<Vec<Ask>, SourceError> {
    match query {
        Query::Increments(window) => {
            let text = promql::increments(window).map_err(|error| SourceError(error.to_string()))?;
            Ok(vec![Ask { text: text.bad, at: window.end }, Ask { text: text.total, at: window.end }])
        }
        Query::Scalar { query, at } => Ok(vec![Ask { text: query.clone(), at: *at }]),
    }
}

fn joined(
    query: &Query,
    mut answers: impl Iterator<Item = Result<Samples, SourceError>>,
) -> Result<Answer, SourceError> {
    let mut next = || answers.next().unwrap_or_else(|| Err(SourceError("an answer is missing".to_owned())));
    match query {
        Query::Increments(_) => {
            let (bad, total) = (next()?, next()?);
            Ok(promql::counts(&bad, &total))
        }
        Query::Scalar { .. } => {
            let first = next()?.first().map(|sample| sample.1);
            Ok(Answer::Scalar(first.filter(|value| !value.is_nan())))
        }
    }
}

/// Prometheus's answer, as far as it is used. Values are [time, "number"].
#[derive(Deserialize)]
struct Envelope {
    status: String,
    #[serde(default)]
    data: Option<Data>,
    #[serde(default)]
    error: Option<String>,
    #[serde(rename = "errorType", default)]
    error_type: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Sample>),
    Scalar((f64, String)),
    Matrix(serde::de::IgnoredAny),
    String(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Sample {
    #[serde(default)]
    metric: HashMap<String, String>,
    #[serde(default)]
    value: Option<(f64, String)>,
}

fn read(address: &str, status: reqwest::StatusCode, body: &[u8]) -> Result<Samples, Failed> {
    let Ok(envelope) = serde_json::from_slice::<Envelope>(body) else {
        let message = format!("{address} answered HTTP {} and not as Prometheus does; {REMEDY}", status.as_u16());
        return Err(Failed { message, transient: status.is_server_error() || status.as_u16() == 429 });
    };
    if envelope.status != "success" {
        let kind = envelope.error_type.unwrap_or_default();
        let message =
            format!("Prometheus at {address} refused the query: {kind}: {}", envelope.error.unwrap_or_default());
        return Err(Failed {
            message,
            transient: matches!(kind.as_str(), "timeout" | "unavailable" | "canceled" | "internal"),
        });
    }
    if let Some(partial) = envelope.warnings.iter().find(|warning| warning.to_lowercase().contains("partial")) {
        return Err(lasting(format!("{address} gave a part of the data only: {partial}")));
    }
    match envelope.data {
        Some(Data::Vector(samples)) => samples.into_iter().map(sample).collect(),
        Some(Data::Scalar(value)) => Ok(vec![(String::new(), number(&value.1)?)]),
        _ => Err(lasting("the query gives no instant vector or scalar; aggregate it to one number".to_owned())),
    }
}

fn sample(sample: Sample) -> Result<(String, f64), Failed> {
    let value =
        sample.value.ok_or_else(|| lasting("the query gives histograms; aggregate it to one number".to_owned()))?;
    Ok((sample.metric.get("arm").cloned().unwrap_or_default(), number(&value.1)?))
}

/// `NaN`, `+Inf` and `-Inf` as Prometheus writes them are read as well.
fn number(text: &str) -> Result<f64, Failed> {
    text.parse().map_err(|_| lasting(format!("`{text}` is not a number")))
}

async fn bounded(address: &str, mut response: reqwest::Response) -> Result<Vec<u8>, Failed> {
    let mut body = Vec::new();
    loop {
        let chunk = response
            .chunk()
            .await
            .map_err(|error| transient(format!("Prometheus at {address} broke off: {}", cause(&error))))?;
        let Some(chunk) = chunk else { return Ok(body) };
        if body.len() + chunk.len() > LARGEST {
            return Err(lasting(format!(
                "Prometheus at {address} answered more than {} MiB; aggregate the query",
                LARGEST >> 20
            )));
        }
        body.extend_from_slice(&chunk);
    }
}

fn unreachable(address: &str, error: &prometheus_http_query::Error) -> Failed {
    if let prometheus_http_query::Error::Prometheus(refused) = error {
        return lasting(format!("Prometheus at {address} refused the query: {refused}"));
    }
    transient(format!("cannot reach Prometheus at {address} ({}); {REMEDY}", cause(error)))
}

/// The innermost cause, without the operating system's number: `connection refused`.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    let mut timed_out = false;
    while let Some(source) = innermost.source() {
        innermost = source;
        timed_out |= innermost.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout);
    }
    if timed_out {
        return format!("no answer within {} s", TIMEOUT.as_secs());
    }
    let text = innermost.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

fn transient(message: String) -> Failed {
    Failed { message, transient: true }
}

fn lasting(message: String) -> Failed {
    Failed { message, transient: false }
}

#[cfg(test)]
#[path = "prometheus_tests.rs"]
mod tests;
