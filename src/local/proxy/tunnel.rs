//! Upgrades of HTTP/1.1 (RFC 9110 section 7.8), such as WebSocket: once the backend has switched protocols, bytes pass
//! both ways until one side hangs up.

use http_body_util::BodyExt;
use hyper::{
    Request, Response, Version,
    body::Incoming,
    header::{self, HeaderValue},
    upgrade::{self, OnUpgrade},
};
use hyper_util::rt::TokioIo;
use tokio_util::task::TaskTracker;

use super::{
    backend::Open,
    body::{AnyBody, BodyError},
    headers::{connection_options, drop_hop_by_hop},
};
use crate::local::serve::Peer;

/// The protocol that a caller offers to switch to, and its side of the tunnel.
pub struct Upgrade {
    protocol: HeaderValue,
    caller: OnUpgrade,
    tunnels: TaskTracker,
}

impl Upgrade {
    /// The offer of a request. One of h2c is ignored, as it may be: its connection would carry many requests to the
    /// backend of the first.
    pub fn offered(request: &mut Request<Incoming>) -> Option<Upgrade> {
        let headers = request.headers();
        let protocol = headers.get(header::UPGRADE)?.clone();
        let h2c = protocol.to_str().ok()?.split(',').any(|name| name.trim().eq_ignore_ascii_case("h2c"));
        let meant = connection_options(headers).iter().any(|option| option == "upgrade");
        if request.version() != Version::HTTP_11 || h2c || !meant {
            return None;
        }
        let tunnels = request.extensions().get::<Peer>()?.tunnels.clone();
        Some(Upgrade { protocol, caller: upgrade::on(request), tunnels })
    }

    /// The request with the offer, to the backend.
    pub fn offer<B>(&self, mut request: Request<B>) -> Request<B> {
        request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        request.headers_mut().insert(header::UPGRADE, self.protocol.clone());
        request
    }

    /// The backend has taken the offer. The tunnel is an open request there, and of the caller's server, which waits
    /// for it when it is drained.
    pub fn taken(self, mut response: Response<Incoming>, open: Open) -> Response<AnyBody> {
        let backend = upgrade::on(&mut response);
        let (mut head, body) = response.into_parts();
        let protocol = head.headers.get(header::UPGRADE).cloned().unwrap_or(self.protocol);
        drop_hop_by_hop(&mut head.headers, Version::HTTP_11);
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers.insert(header::UPGRADE, protocol);
        self.tunnels.spawn(tunnel(self.caller, backend, open));
        Response::from_parts(head, body.map_err(BodyError::from).boxed())
    }
}

async fn tunnel(caller: OnUpgrade, backend: OnUpgrade, _open: Open) {
    let passed = async {
        let (caller, backend) = tokio::try_join!(caller, backend)?;
        let (mut caller, mut backend) = (TokioIo::new(caller), TokioIo::new(backend));
        tokio::io::copy_bidirectional(&mut caller, &mut backend).await?;
        Ok::<(), BodyError>(())
    };
    if let Err(error) = passed.await {
        tracing::debug!(%error, "a tunnel ended early");
    }
}
