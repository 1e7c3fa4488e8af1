//! What is counted: a request when its answer is over, as an error when that was one of the server's.
//!
//! An answer that breaks off is an error too. What a caller gives up on is none.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http_body_util::combinators::BoxBody;
use hyper::{
    HeaderMap, Response,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
};

use super::{
    backend::{Backend, Open},
    body::{AnyBody, BodyError},
};
use crate::local::counters::Series;

/// The gRPC statuses that are the server's fault, as Istio's metrics are read in a cluster (`analysis/packs/istio.yaml`):
/// unknown, deadline exceeded, internal, unavailable and data loss.
const GRPC_ERRORS: [&str; 5] = ["2", "4", "13", "14", "15"];

/// Counts one request when it is over.
pub struct Counted {
    series: Option<Arc<Series>>,
    /// Whether the answer is an error.
    pub bad: bool,
}

impl Counted {
    /// A request to this backend, no error so far.
    pub fn at(backend: &Backend) -> Self {
        Counted { series: backend.series.clone(), bad: false }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(series) = &self.series {
            series.count(self.bad);
        }
    }
}

/// An answer that is counted, and whose request is open, until its last byte is passed on.
pub fn passed(response: Response<Incoming>, mut counted: Counted, open: Open) -> Response<AnyBody> {
    counted.bad = response.status().is_server_error() || is_grpc_error(response.headers());
    response.map(|body| BoxBody::new(Passed { body, counted, _open: open }))
}

/// gRPC answers 200 and says in a trailer how it went, or in a header when there is no message.
fn is_grpc_error(fields: &HeaderMap) -> bool {
    let status = fields.get("grpc-status").and_then(|status| status.to_str().ok());
    status.is_some_and(|status| GRPC_ERRORS.contains(&status))
}

struct Passed {
    body: Incoming,
    counted: Counted,
    _open: Open,
}

impl Body for Passed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.counted.bad |= match &polled {
            Poll::Ready(Some(Ok(frame))) => frame.trailers_ref().is_some_and(is_grpc_error),
            Poll::Ready(Some(Err(_))) => true,
            _ => false,
        };
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
