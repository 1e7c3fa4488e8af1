//! Numbers from a Prometheus server over its HTTP API: by POST, at most four questions at a time per address, each
//! evaluated at its own time, transient errors retried, answers bounded. Windows that are alike are asked for together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use jiff::Timestamp;
use prometheus_http_query::Client;
use serde::Deserialize;
use tokio::sync::{Semaphore, oneshot};

use super::gather::{Asked, Gather};
use crate::{
    evidence::{Answer, IncrementsQuery, Query, promql},
    ports::source::{Source, SourceError},
};

/// How long an answer may take: less than a run waits for all of its answers.
const TIMEOUT: Duration = Duration::from_secs(25);
/// How long Prometheus may evaluate a query: it gives up, and says so, before we do.
const EVALUATION: Duration = Duration::from_secs(24);
/// Questions at a time per address.
const AT_ONCE: usize = 4;
/// The largest answer read, in bytes: aggregated answers are a few hundred.
const LARGEST: usize = 4 << 20;
/// How often a transient error is retried within one question.
const RETRIES: usize = 2;
/// What to do about an address that does not answer.
const REMEDY: &str = "set --prometheus or analysis.prometheus.address; 'glidepath doctor' checks it";

/// So long a window waits for others like it before all are asked together.
const GATHER: Duration = Duration::from_millis(200);

/// The Prometheus servers that runs name.
pub struct PrometheusSource {
    asker: Arc<Asker>,
}

struct Asker {
    http: reqwest::Client,
    gates: Mutex<HashMap<String, Arc<Semaphore>>>,
    gather: Gather,
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
        let asker = Asker { http: http.map_err(SetUpError)?, gates: Mutex::default(), gather: Gather::default() };
        Ok(PrometheusSource { asker: Arc::new(asker) })
    }

    /// Hands a window over to those that are asked together; the answer comes.
    fn window(&self, address: &str, query: IncrementsQuery) -> oneshot::Receiver<Result<Answer, SourceError>> {
        let (answer, answered) = oneshot::channel();
        if self.asker.gather.add(address, Asked { query, answer }) {
            let (asker, address) = (Arc::clone(&self.asker), address.to_owned());
            tokio::spawn(async move {
                tokio::time::sleep(GATHER).await;
                let groups = asker.gather.take(&address).into_iter();
                futures::future::join_all(groups.map(|group| asker.answer_together(&address, group))).await;
            });
        }
        answered
    }
}

impl Asker {
    fn gate(&self, address: &str) -> Arc<Semaphore> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.entry(address.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))).clone()
    }

    /// Asks for windows that are alike. When a server refuses them together they are asked for in halves: it may limit the
    /// samples of one query.
    fn answer_together<'a>(&'a self, address: &'a str, group: Vec<Asked>) -> BoxFuture<'a, ()> {
        async move {
            let (group, answers) = self.ask_together(address, group).await;
            match answers {
                Err(failed) if !failed.transient && group.len() > 1 => {
                    let mut first = group;
                    let second = first.split_off(first.len() / 2);
                    futures::future::join(self.answer_together(address, first), self.answer_together(address, second))
                        .await;
                }
                Err(failed) => group.into_iter().for_each(|asked| {
                    drop(asked.answer.send(Err(SourceError(failed.message.clone()))));
                }),
                Ok((bad, total)) => group.into_iter().for_each(|asked| {
                    let answer = promql::counts(&asked.query, &bad, &total);
                    drop(asked.answer.send(answer.map_err(|error| SourceError(error.to_string()))));
                }),
            }
        }
        .boxed()
    }

    async fn ask_together(&self, address: &str, group: Vec<Asked>) -> (Vec<Asked>, Result<(Samples, Samples), Failed>) {
        let queries: Vec<&IncrementsQuery> = group.iter().map(|asked| &asked.query).collect();
        let (Some(end), text) = (queries.first().map(|query| query.end), promql::increments(&queries)) else {
            return (group, Ok((Vec::new(), Vec::new())));
        };
        let answers = match text {
            Err(error) => Err(lasting(error.to_string())),
            Ok(text) => {
                let asks = [text.bad, text.total].map(|text| Ask { text, at: end });
                let mut distinct = asks.to_vec();
                distinct.dedup();
                let answers = self.ask_all(address, distinct).await;
                let got = |ask: &Ask| answers.get(ask).cloned().unwrap_or_else(|| Err(lasting("not asked".to_owned())));
                got(&asks[0]).and_then(|bad| Ok((bad, got(&asks[1])?)))
            }
        };
        (group, answers)
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
        // The builder's `at` takes whole seconds, which is what windows end at; its `timeout` takes milliseconds.
        let evaluation = i64::try_from(EVALUATION.as_millis()).unwrap_or(i64::MAX);
        let request = client.query(&ask.text).at(ask.at.as_second()).timeout(evaluation);
        let response = request.post_raw().await.map_err(|error| unreachable(address, &error))?;
        let status = response.status();
        let body = bounded(address, response).await?;
        read(address, status, &body)
    }
}

#[async_trait]
impl Source for PrometheusSource {
    async fn answer(&self, address: &str, queries: &[Query]) -> Vec<Result<Answer, SourceError>> {
        let mut distinct: Vec<Ask> = Vec::new();
        let windows: Vec<_> = queries
            .iter()
            .map(|query| match query {
                Query::Increments(window) => Some(self.window(address, window.clone())),
                Query::Scalar { .. } => None,
            })
            .collect();
        let scalar = |query: &Query| match query {
            Query::Scalar { query, at } => Some(Ask { text: query.clone(), at: *at }),
            Query::Increments(_) => None,
        };
        for ask in queries.iter().filter_map(scalar) {
            if !distinct.contains(&ask) {
                distinct.push(ask);
            }
        }
        let numbers = self.asker.ask_all(address, distinct).await;
        let mut answers = Vec::new();
        for (query, window) in queries.iter().zip(windows) {
            let lost = || Err(SourceError("the question was not answered".to_owned()));
            answers.push(match (scalar(query), window) {
                (Some(ask), _) => numbers.get(&ask).map_or_else(lost, first_number),
                (None, Some(window)) => window.await.unwrap_or_else(|_| lost()),
                (None, None) => lost(),
            });
        }
        answers
    }
}

/// The first sample's number; `None` for an empty answer and for NaN.
fn first_number(answer: &Result<Samples, Failed>) -> Result<Answer, SourceError> {
    let samples = answer.as_ref().map_err(|failed| SourceError(failed.message.clone()))?;
    Ok(Answer::Scalar(samples.first().map(|sample| sample.1).filter(|value| !value.is_nan())))
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
