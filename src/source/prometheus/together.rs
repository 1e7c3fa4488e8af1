//! Windows that are alike are asked for together: one query, or a pair, for all who wait. When a server refuses it, the
//! group is halved.

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;

use super::{
    Asker, Behalf,
    answer::{Failed, Samples, Series},
    ask::Ask,
    buckets::{self, BucketSamples},
    gather::{Asked, Window},
    promql, spread,
};
use crate::{
    evidence::{Answer, BucketsQuery, IncrementsQuery, SpreadQuery},
    ports::source::{Fault, SourceError},
    reconcile::turns::Class,
    source::servers::Server,
};

/// What a group of windows was answered.
enum Sampled {
    /// Bad events, and all.
    Increments(Samples, Samples),
    Buckets(BucketSamples),
    Spread(Vec<Series>),
    /// Pods are not distinguished.
    NoPods,
}

impl Sampled {
    /// One window's part of it.
    fn answer(&self, window: &Window) -> Result<Answer, promql::PromqlError> {
        match (self, window) {
            (Sampled::Increments(bad, total), Window::Increments(query)) => promql::counts(query, bad, total),
            (Sampled::Buckets(samples), Window::Buckets(query)) => buckets::answer(query, samples),
            (Sampled::Spread(series), Window::Spread(query)) => spread::answer(query, series),
            (Sampled::NoPods, Window::Spread(_)) => Ok(Answer::Spread(None)),
            _ => Err(promql::PromqlError::NoCounter), // a group has windows of one kind
        }
    }
}

impl Asker {
    /// Asks for windows that are alike. When a server refuses them together they are asked for in halves: it may limit the
    /// samples of one query.
    pub(super) fn answer_together<'a>(&'a self, server: &'a Server, group: Vec<Asked>) -> BoxFuture<'a, ()> {
        async move {
            let (group, answers) = self.ask_together(server, group).await;
            match answers {
                Err(failed) if failed.splits() && group.len() > 1 => {
                    let mut first = group;
                    let second = first.split_off(first.len() / 2);
                    let halves = [first, second].map(|half| self.answer_together(server, half));
                    futures::future::join_all(halves).await;
                }
                Err(failed) => group.into_iter().for_each(|asked| {
                    drop(asked.answer.send(Err(failed.error())));
                }),
                Ok(sampled) => group.into_iter().for_each(|asked| {
                    let unusable = |error: promql::PromqlError| SourceError::new(Fault::Refused, error.to_string());
                    drop(asked.answer.send(sampled.answer(&asked.query).map_err(unusable)));
                }),
            }
        }
        .boxed()
    }

    /// The group's samples, of whichever kind its windows are.
    async fn ask_together(&self, server: &Server, group: Vec<Asked>) -> (Vec<Asked>, Result<Sampled, Failed>) {
        let mut namespaces: Vec<&str> = group.iter().map(|asked| asked.namespace.as_str()).collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        let Some(first) = group.first() else { return (group, Ok(Sampled::Buckets(Vec::new()))) };
        let behalf = Behalf { namespaces: &namespaces, class: Class::Guardrail, deadline: first.deadline };
        let increments = group.iter().filter_map(|asked| asked.query.increments());
        let histograms = group.iter().filter_map(|asked| asked.query.buckets());
        let spreads = group.iter().filter_map(|asked| asked.query.spread());
        let sampled = match first.query {
            Window::Increments(_) => self.counters(server, &behalf, &increments.collect::<Vec<_>>()).await,
            Window::Buckets(_) => self.histograms(server, &behalf, &histograms.collect::<Vec<_>>()).await,
            Window::Spread(_) => self.spreads(server, &behalf, &spreads.collect::<Vec<_>>()).await,
        };
        (group, sampled)
    }

    async fn counters(
        &self,
        server: &Server,
        behalf: &Behalf<'_>,
        windows: &[&IncrementsQuery],
    ) -> Result<Sampled, Failed> {
        let text = promql::increments(windows).map_err(|error| Failed::lasting(error.to_string()))?;
        let end = windows.first().map_or(Timestamp::UNIX_EPOCH, |window| window.end);
        let asks = [text.bad, text.total].map(|text| Ask { text, at: end });
        let mut distinct = asks.to_vec();
        distinct.dedup();
        let answers = self.ask_all(server, behalf, distinct).await;
        let lost = || Err(Failed::lasting("the query was not sent".to_owned()));
        let [bad, total] = asks.map(|ask| answers.get(&ask).cloned().unwrap_or_else(lost));
        Ok(Sampled::Increments(bad?, total?))
    }

    async fn histograms(
        &self,
        server: &Server,
        behalf: &Behalf<'_>,
        windows: &[&BucketsQuery],
    ) -> Result<Sampled, Failed> {
        let text = buckets::text(windows).map_err(|error| Failed::lasting(error.to_string()))?;
        let at = windows.first().map_or(Timestamp::UNIX_EPOCH, |window| window.end);
        self.ask_in_time(server, behalf, &Ask { text, at }, buckets::read).await.map(Sampled::Buckets)
    }

    async fn spreads(&self, server: &Server, behalf: &Behalf<'_>, windows: &[&SpreadQuery]) -> Result<Sampled, Failed> {
        let ask = spread::ask(windows).map_err(|error| Failed::lasting(error.to_string()))?;
        let Some(ask) = ask else { return Ok(Sampled::NoPods) };
        self.all_series(server, behalf, &ask).await.map(Sampled::Spread)
    }
}
