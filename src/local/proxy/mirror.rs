//! Mirrored requests: the canary gets a copy, and what it answers is counted and discarded.

use http_body_util::{BodyExt, Limited};
use hyper::{
    Request,
    body::{Body, Incoming},
    header::{HeaderName, HeaderValue},
};

use super::body::{AnyBody, broken, streamed, whole};

/// A larger body is not copied to the canary.
pub const COPIED_BODY: usize = 64 * 1024;
/// The header of a copied request.
pub const MIRRORED: HeaderName = HeaderName::from_static("x-glidepath-mirror");

/// The request and its copy. A body that is too large, or of unknown length, is not copied.
pub async fn doubled(request: Request<Incoming>) -> (Request<AnyBody>, Option<Request<AnyBody>>) {
    let small = request.body().size_hint().upper().is_some_and(|size| size <= COPIED_BODY as u64);
    if !small {
        return (request.map(streamed), None);
    }
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, COPIED_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        // The client disconnected: the version sees a broken body.
        Err(error) => return (Request::from_parts(head, broken(error)), None),
    };
    let mut copy = Request::from_parts(head.clone(), whole(body.clone()));
    copy.headers_mut().insert(MIRRORED, HeaderValue::from_static("true"));
    (Request::from_parts(head, whole(body)), Some(copy))
}
