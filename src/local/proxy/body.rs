//! Bodies of either side as one type.

use std::task::Poll;

use futures::stream::poll_fn;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame, Incoming};

/// Why a body broke off.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A body of either side.
pub type AnyBody = BoxBody<Bytes, BodyError>;

/// Passed on as it arrives, trailers included.
pub fn streamed(body: Incoming) -> AnyBody {
    body.map_err(Into::into).boxed()
}

/// These bytes.
pub fn whole(bytes: Bytes) -> AnyBody {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

/// A body that breaks off at once.
pub fn broken(error: BodyError) -> AnyBody {
    let mut error = Some(error);
    let frames = poll_fn(move |_| Poll::Ready(error.take().map(Err::<Frame<Bytes>, _>)));
    BoxBody::new(StreamBody::new(frames))
}
