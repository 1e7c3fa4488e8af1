//! The one gRPC method of a pod, `/shop.Web/Watch`: a stream of messages, each with the pod's version and its number in the
//! stream. It ends after as many as the header `x-messages` says, or, as a server's that is terminated, with the pod.

use super::pod::Pod;
use futures::stream::{self, Stream, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::http::{HeaderMap, HeaderValue};
use hyper::{Request, Response};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// The path of the method.
pub const WATCH: &str = "/shop.Web/Watch";
/// The header by which a caller wants no more than so many messages.
pub const MESSAGES: &str = "x-messages";
/// The media type of a call, by which a pod tells one from an HTTP request.
pub const GRPC: &str = "application/grpc";
/// Between two messages of a stream.
const PERIOD: Duration = Duration::from_millis(50);

/// A response's body of any kind.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

/// Whether a request is a call.
pub fn is_call(request: &Request<Incoming>) -> bool {
    let media = request.headers().get("content-type").and_then(|value| value.to_str().ok());
    media.is_some_and(|media| media.starts_with(GRPC))
}

/// The answer to a call: status 12 (unimplemented) for any other method.
pub fn answer(pod: &Arc<Pod>, request: &Request<Incoming>) -> Response<Body> {
    let known = request.uri().path() == WATCH;
    let most = if known { wanted(request) } else { 0 };
    let end = stream::once(async move { Ok(Frame::trailers(trailers(if known { "0" } else { "12" }))) });
    let body = messages(Arc::clone(pod), most).map(|message| Ok(Frame::data(message))).chain(end);
    let mut response = Response::new(StreamBody::new(body).boxed_unsync());
    response.headers_mut().insert("content-type", HeaderValue::from_static(GRPC));
    response
}

fn wanted(request: &Request<Incoming>) -> u64 {
    let said = request.headers().get(MESSAGES).and_then(|value| value.to_str().ok());
    said.and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}

/// The first at once, then one in each period, until the pod is closed.
fn messages(pod: Arc<Pod>, most: u64) -> impl Stream<Item = Bytes> {
    stream::unfold((pod, 0), move |(pod, number)| async move {
        if number == most {
            return None;
        }
        if number > 0 {
            tokio::select! {
                () = pod.closed.cancelled() => return None,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
        let message = framed(&format!("{} {number}", pod.orders.version));
        Some((message, (pod, number + 1)))
    })
}

/// A message behind its length, uncompressed.
fn framed(text: &str) -> Bytes {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[0], length.as_slice(), text.as_bytes()].concat().into()
}

fn trailers(status: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(hyper::http::HeaderName::from_static("grpc-status"), HeaderValue::from_static(status))])
}
