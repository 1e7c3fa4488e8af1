//! Numbers from Prometheus servers over their HTTP API: by POST, in fair turns by namespace with at most four questions at
//! a time per server, each evaluated at its own time, passing failures retried, answers bounded. Windows that are alike are
//! asked for together, and who asks for the same number shares one request. Every question is answered within [`ROUND`], be
//! it by an error.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use futures::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use tokio::{sync::oneshot, time::Instant};

use self::{
    answer::{Answerer, Failed, Samples, Series},
    ask::Ask,
    flights::Flights,
    gather::{Asked, Gather, Window},
    range::{RangeAsk, only_series},
};
use super::{
    outbound::Outbound,
    servers::{OwnPrometheus, Server, Servers},
};
use crate::{
    evidence::{Answer, Query},
    ports::{
        secrets::Secrets,
        source::{Asking, Fault, Source, SourceError},
    },
    reconcile::turns::{Class, NoTurn, Rules, Turns},
};

mod answer;
mod ask;
mod buckets;
mod dialect;
mod flights;
mod gather;
mod pack;
mod pods;
mod promql;
mod range;
mod selector;
mod service_names;
mod shown;
mod spread;
mod together;

pub use dialect::PromQl;
pub use shown::texts;

/// How long a question may take in all, with its turn and its retries: less than [`crate::ports::source::ASKING`].
const ROUND: Duration = Duration::from_secs(28);
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(25);
/// How much earlier than that Prometheus is asked to time out an evaluation, with an error.
const MARGIN: Duration = Duration::from_secs(1);
/// So long a window waits for others like it before all are asked together.
const GATHER: Duration = Duration::from_millis(200);
/// How often a passing failure is retried within one question.
const RETRIES: usize = 2;
/// How servers are shared.
const RULES: Rules = Rules {
    at_once: 4,
    per_lane: 3,
    waiting: 512,
    failures: 3,
    rest: Duration::from_secs(5),
    longest_rest: Duration::from_secs(60),
};

/// How long things may take.
#[derive(Clone, Copy, Debug)]
struct Times {
    round: Duration,
    request: Duration,
    margin: Duration,
    gather: Duration,
}

/// How long things take where many runs ask.
const TIMES: Times = Times { round: ROUND, request: TIMEOUT, margin: MARGIN, gather: GATHER };

/// The Prometheus servers that runs name.
pub struct PrometheusSource {
    servers: Servers,
    asker: Arc<Asker>,
}

struct Asker {
    times: Times,
    turns: Turns,
    gather: Gather,
    flights: Flights,
}

/// Reads an answer: who gave it, its HTTP status, its body.
type Reader<T> = fn(Answerer<'_>, u16, &[u8]) -> Result<T, Failed>;

/// On whose behalf something is asked.
struct Behalf<'a> {
    namespaces: &'a [&'a str],
    class: Class,
    deadline: Instant,
}

impl PrometheusSource {
    /// A source under a policy. `own` is what runs ask that name no server of their own.
    pub fn new(outbound: Outbound, own: Option<OwnPrometheus>, secrets: Arc<dyn Secrets>) -> Self {
        Self::with_times(outbound, own, secrets, TIMES)
    }

    /// A source for a single run: a window waits for no others.
    pub fn for_one(outbound: Outbound, own: Option<OwnPrometheus>, secrets: Arc<dyn Secrets>) -> Self {
        Self::with_times(outbound, own, secrets, Times { gather: Duration::ZERO, ..TIMES })
    }

    fn with_times(outbound: Outbound, own: Option<OwnPrometheus>, secrets: Arc<dyn Secrets>, times: Times) -> Self {
        let servers = Servers::new(outbound, own, secrets, times.request);
        let asker = Asker { times, turns: Turns::new(RULES), gather: Gather::default(), flights: Flights::default() };
        PrometheusSource { servers, asker: Arc::new(asker) }
    }

    /// The server that is asked, or an error by the deadline.
    async fn server(&self, asking: &Asking<'_>, deadline: Instant) -> Result<Arc<Server>, SourceError> {
        let found = tokio::time::timeout_at(deadline, self.servers.find(asking)).await;
        let late = || Err(SourceError::new(Fault::Silent, "its Secrets could not be read in time".to_owned()));
        found.unwrap_or_else(|_| late())
    }

    /// The samples of a query, each with its label `arm`.
    pub async fn samples(
        &self,
        asking: &Asking<'_>,
        query: String,
        at: Timestamp,
    ) -> Result<Vec<(String, f64)>, SourceError> {
        let deadline = Instant::now() + self.asker.times.round;
        let server = self.server(asking, deadline).await?;
        let answer = self.asker.number(&server, asking.namespace, deadline, Ask { text: query, at }).await;
        answer.map_err(|failed| failed.error())
    }

    async fn answer_one(
        &self,
        server: &Arc<Server>,
        namespace: &str,
        query: &Query,
        deadline: Instant,
    ) -> Result<Answer, SourceError> {
        match query {
            Query::Scalar { query, at } => {
                let ask = Ask { text: query.clone(), at: *at };
                only_number(&self.asker.number(server, namespace, deadline, ask).await)
            }
            Query::External { .. } => {
                Err(SourceError::new(Fault::Refused, "a Prometheus answers no query of another source".to_owned()))
            }
            Query::Range { query, start, end, step_seconds } => {
                let ask = RangeAsk { text: query.clone(), start: *start, end: *end, step_seconds: *step_seconds };
                self.asker.series(server, namespace, deadline, &ask).await
            }
            Query::Pods(query) => {
                let ask = Ask { text: pods::text(query), at: query.at };
                let samples = self.asker.number(server, namespace, deadline, ask).await;
                let pods = samples.and_then(|samples| pods::read(query, samples));
                pods.map(Answer::Pods).map_err(|failed| failed.error())
            }
            Query::Increments(window) => {
                self.in_time(server, namespace, Window::Increments(window.clone()), deadline).await
            }
            Query::Buckets(window) => self.in_time(server, namespace, Window::Buckets(window.clone()), deadline).await,
            Query::Spread(window) => self.in_time(server, namespace, Window::Spread(window.clone()), deadline).await,
        }
    }

    /// A window's answer, or an error by the deadline.
    async fn in_time(
        &self,
        server: &Arc<Server>,
        namespace: &str,
        window: Window,
        deadline: Instant,
    ) -> Result<Answer, SourceError> {
        let answered = self.window(server, namespace, window, deadline);
        let lost = || Err(SourceError::new(Fault::Refused, "the query was not answered".to_owned()));
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(answer) => answer.unwrap_or_else(|_| lost()),
            Err(_) => Err(Failed::silent(server, self.asker.times.round).error()),
        }
    }

    /// Adds a window to those that are asked together; the answer comes.
    fn window(
        &self,
        server: &Arc<Server>,
        namespace: &str,
        query: Window,
        deadline: Instant,
    ) -> oneshot::Receiver<Result<Answer, SourceError>> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked { query, namespace: namespace.to_owned(), deadline, answer };
        if self.asker.gather.add(&server.key, asked) {
            let (asker, server) = (Arc::clone(&self.asker), Arc::clone(server));
            tokio::spawn(async move {
                tokio::time::sleep(asker.times.gather).await;
                let groups = asker.gather.take(&server.key).into_iter();
                futures::future::join_all(groups.map(|group| asker.answer_together(&server, group))).await;
            });
        }
        answered
    }
}

impl Asker {
    /// Asks once per distinct question.
    async fn ask_all(
        &self,
        server: &Server,
        behalf: &Behalf<'_>,
        asks: Vec<Ask>,
    ) -> HashMap<Ask, Result<Samples, Failed>> {
        let one = |ask: Ask| async move {
            let answer = self.ask_in_time(server, behalf, &ask, answer::read).await;
            (ask, answer)
        };
        let all = asks.len().max(1);
        stream::iter(asks).map(one).buffer_unordered(all).collect().await
    }

    async fn ask_in_time<T>(
        &self,
        server: &Server,
        behalf: &Behalf<'_>,
        ask: &Ask,
        read: Reader<T>,
    ) -> Result<T, Failed> {
        let answer = tokio::time::timeout_at(behalf.deadline, self.ask_in_turn(server, behalf, ask, read)).await;
        answer.unwrap_or_else(|_| Err(Failed::silent(server, self.times.round)))
    }

    /// Asks for the one series of a query.
    async fn series(
        &self,
        server: &Server,
        namespace: &str,
        deadline: Instant,
        ask: &RangeAsk,
    ) -> Result<Answer, SourceError> {
        let namespaces = [namespace];
        let behalf = Behalf { namespaces: &namespaces, class: Class::Measurement, deadline };
        Ok(only_series(self.all_series(server, &behalf, ask).await.map_err(|failed| failed.error())?))
    }

    async fn all_series(&self, server: &Server, behalf: &Behalf<'_>, ask: &RangeAsk) -> Result<Vec<Series>, Failed> {
        let asked = self.in_turn(server, behalf, || ask.of(server, self.times.request, self.times.margin));
        let answer = tokio::time::timeout_at(behalf.deadline, asked).await;
        answer.unwrap_or_else(|_| Err(Failed::silent(server, self.times.round)))
    }

    /// Asks for a number, or waits for whoever has asked for the same.
    async fn number(
        self: &Arc<Self>,
        server: &Arc<Server>,
        namespace: &str,
        deadline: Instant,
        ask: Ask,
    ) -> Result<Samples, Failed> {
        let begin = |ask: &Ask| {
            let (asker, server, ask, namespace) =
                (Arc::clone(self), Arc::clone(server), ask.clone(), namespace.to_owned());
            async move {
                let namespaces = [namespace.as_str()];
                let behalf = Behalf { namespaces: &namespaces, class: Class::Measurement, deadline };
                asker.ask_in_time(&server, &behalf, &ask, answer::read).await
            }
            .boxed()
        };
        self.flights.ask(&server.key, ask, begin).await
    }

    async fn ask_in_turn<T>(
        &self,
        server: &Server,
        behalf: &Behalf<'_>,
        ask: &Ask,
        read: Reader<T>,
    ) -> Result<T, Failed> {
        self.in_turn(server, behalf, || self.ask(server, ask, read)).await
    }

    /// Dropped while a request is under way, the turn counts as one that nothing came back from.
    async fn in_turn<T, F: Future<Output = Result<T, Failed>>>(
        &self,
        server: &Server,
        behalf: &Behalf<'_>,
        attempt: impl FnMut() -> F,
    ) -> Result<T, Failed> {
        let turn = self.turns.enter(&server.origin, behalf.namespaces, behalf.class).await;
        let turn = turn.map_err(|no: NoTurn| Failed::busy(server, &no))?;
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(2))
            .with_jitter()
            .with_max_times(RETRIES);
        let answer = attempt.retry(backoff).when(Failed::is_passing).await;
        turn.ended(!answer.as_ref().is_err_and(Failed::is_outage));
        answer
    }

    async fn ask<T>(&self, server: &Server, ask: &Ask, read: Reader<T>) -> Result<T, Failed> {
        let evaluation = self.times.request.saturating_sub(self.times.margin);
        let (time, timeout) = (ask.at.as_second().to_string(), format!("{}ms", evaluation.as_millis()));
        let form = [("query", ask.text.as_str()), ("time", &time), ("timeout", &timeout)];
        let (status, body) = ask::received(server, server.query(&form).await, self.times.request, ask::LARGEST).await?;
        read(Answerer { name: &server.name, remedy: server.remedy }, status, &body)
    }
}

#[async_trait]
impl Source for PrometheusSource {
    async fn answer(&self, asking: &Asking<'_>, queries: &[Query]) -> Vec<Result<Answer, SourceError>> {
        let deadline = Instant::now() + self.asker.times.round;
        let server = match self.server(asking, deadline).await {
            Ok(server) => server,
            Err(error) => return queries.iter().map(|_| Err(error.clone())).collect(),
        };
        let one = |query| self.answer_one(&server, asking.namespace, query, deadline);
        futures::future::join_all(queries.iter().map(one)).await
    }
}

/// The samples in an HTTP answer that somebody holds already, each with its label `arm`.
pub fn read_answer(status: u16, body: &[u8]) -> Result<Vec<(String, f64)>, SourceError> {
    let from = Answerer { name: "Prometheus", remedy: "check its address" };
    answer::read(from, status, body).map_err(|failed| failed.error())
}

/// The one sample's number: nothing for an empty answer and for NaN, and for several series their count, since none of them
/// is the one that was meant.
fn only_number(answer: &Result<Samples, Failed>) -> Result<Answer, SourceError> {
    Ok(match answer.as_ref().map_err(Failed::error)?.as_slice() {
        [] => Answer::Scalar(None),
        [(_, value)] => Answer::Scalar(Some(*value).filter(|value| !value.is_nan())),
        several => Answer::Several(several.len()),
    })
}

#[cfg(test)]
#[path = "prometheus_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "prometheus_auth_tests.rs"]
mod auth_tests;
