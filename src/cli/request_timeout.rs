//! How long one call to the API server may take, from connecting to the last byte of the answer. kube's own client would wait
//! for a silent server without end.

use std::{
    str::FromStr,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use http_body_util::{BodyExt, Either, Full};
use hyper::{
    Request, Response,
    body::{Body, Bytes},
};
use kube::client::Body as Sent;
use tokio::time::{Instant, timeout_at};
use tower::{BoxError, Layer, Service};

use super::render::waiting::while_waiting;
use crate::api::{HumanDuration, common::DurationError};

/// `--request-timeout`: the time for one call; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTimeout(HumanDuration);

impl Default for RequestTimeout {
    /// As the controller's.
    fn default() -> Self {
        RequestTimeout(HumanDuration::secs(15))
    }
}

impl FromStr for RequestTimeout {
    type Err = DurationError;

    /// As kubectl reads it: a duration with units, or a bare number of seconds.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<u32>() {
            Ok(seconds) => Ok(RequestTimeout(HumanDuration::secs(seconds.into()))),
            Err(_) => text.parse().map(RequestTimeout),
        }
    }
}

impl RequestTimeout {
    fn limit(self) -> Option<HumanDuration> {
        Some(self.0).filter(|limit| !limit.get().is_zero())
    }

    /// When a call that begins now must be over. Without a limit: in a year.
    fn ends(self) -> Instant {
        const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
        Instant::now() + self.limit().map_or(NEVER, |limit| limit.get().min(NEVER))
    }
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
#[error("no response within {0}")]
struct NoResponse(HumanDuration);

/// Holds every call of a client to its time, and says on a terminal that it is waited for.
#[derive(Clone, Debug)]
pub struct InTime {
    /// The time for one call.
    pub timeout: RequestTimeout,
    /// The API server's address, for what is said.
    pub address: String,
}

impl<S> Layer<S> for InTime {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { inner, limit: self.clone() }
    }
}

/// A client whose calls end in time.
pub struct Limited<S> {
    inner: S,
    limit: InTime,
}

/// The body of an answer: whole, or that of a watch as it comes.
type Received<B> = Either<Full<Bytes>, B>;

impl<S, B> Service<Request<Sent>> for Limited<S>
where
    S: Service<Request<Sent>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Received<B>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Sent>) -> Self::Future {
        let is_watch = is_watch(&request);
        let (answer, ends, timeout) = (self.inner.call(request), self.limit.timeout.ends(), self.limit.timeout);
        let what = format!("waiting for the API server at {}", self.limit.address);
        let read = async move {
            let response = answer.await.map_err(Into::into)?;
            if is_watch {
                return Ok(response.map(Either::Right));
            }
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(Into::into)?;
            Ok(Response::from_parts(head, Either::Left(Full::new(body.to_bytes()))))
        };
        async move {
            let read = timeout_at(ends, read);
            while_waiting(&what, read).await.unwrap_or_else(|_| Err(NoResponse(timeout.0).into()))
        }
        .boxed()
    }
}

/// A watch lasts as long as it is wanted: only its beginning is waited for.
fn is_watch<B>(request: &Request<B>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|part| matches!(part, "watch=true" | "watch=1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_kubectl_reads_it() {
        let limit = |text: &str| text.parse::<RequestTimeout>().map(|read| read.limit().map(HumanDuration::get));
        for (text, seconds) in
            [("10s", Some(10)), ("1m", Some(60)), ("1m30s", Some(90)), ("7", Some(7)), ("0", None), ("0s", None)]
        {
            assert_eq!(limit(text), Ok(seconds.map(Duration::from_secs)), "{text}");
        }
        for text in ["-1", "soon", "10x", "1.5", ""] {
            assert!(limit(text).is_err(), "{text}");
        }
        assert_eq!(RequestTimeout::default().limit(), Some(HumanDuration::secs(15)));
    }

    #[test]
    fn a_watch_is_told_by_its_query() {
        for (uri, watch) in
            [("/a?watch=true&b=1", true), ("/a?b=watch", false), ("/a?limit=5&watch=true", true), ("/watch", false)]
        {
            assert_eq!(is_watch(&Request::builder().uri(uri).body(()).unwrap()), watch, "{uri}");
        }
    }
}
