//! The headers that a proxy takes away and the ones that it adds.

use std::net::SocketAddr;

use hyper::{
    HeaderMap, Request, Version,
    header::{self, HeaderValue},
};

use crate::local::serve::Peer;

/// What a request carries on: without the headers of the connection it came on, and with forwarding headers.
pub fn prepare<B>(request: &mut Request<B>) {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.address);
    let authority = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    let version = request.version();
    let headers = request.headers_mut();
    drop_hop_by_hop(headers, version);
    // It has been answered on the way in.
    headers.remove(header::EXPECT);
    if let Some(peer) = peer {
        append_peer(headers, peer);
    }
    if let Some(host) = headers.get(header::HOST).cloned().or_else(|| authority.clone()) {
        headers.entry("x-forwarded-host").or_insert(host);
    }
    // HTTP/2 keeps the name of the host in the URI.
    if let Some(authority) = authority.filter(|_| version != Version::HTTP_2) {
        headers.entry(header::HOST).or_insert(authority);
    }
    headers.entry("x-forwarded-proto").or_insert(HeaderValue::from_static("http"));
}

fn append_peer(headers: &mut HeaderMap, peer: SocketAddr) {
    let before = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let chain: Vec<String> = before.map(str::to_owned).chain([peer.ip().to_canonical().to_string()]).collect();
    if let Ok(value) = HeaderValue::from_str(&chain.join(", ")) {
        headers.insert("x-forwarded-for", value);
    }
}

/// Headers that belong to one connection (RFC 9110 section 7.6.1) are not passed on. In HTTP/2 there are none of them
/// (RFC 9113 section 8.2.2): its `te: trailers`, which gRPC servers insist on, is meant for the backend.
pub fn drop_hop_by_hop(headers: &mut HeaderMap, version: Version) {
    if version == Version::HTTP_2 {
        return;
    }
    let always = ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];
    for name in connection_options(headers).iter().map(String::as_str).chain(always) {
        headers.remove(name);
    }
}

/// What the Connection header names, in lower case.
pub fn connection_options(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase())).collect()
}
