//! Gateway API's route kinds, as the API server is asked for them.

use crate::{
    api::{Percent, traffic::RouteKind},
    router::{kind::WatchedKind, objects::GRANT_GROUP},
};

pub(super) const GROUP: &str = GRANT_GROUP;
/// The finest weight.
pub(super) const GRAIN: Percent = Percent::whole(1);

/// The newest version is planned for; the older ones that a cluster may serve instead have the same fields.
pub(super) const fn watched(kind: RouteKind) -> WatchedKind {
    let (versions, kind, plural): (&[&str], _, _) = match kind {
        RouteKind::Http => (&["v1", "v1beta1"], "HTTPRoute", "httproutes"),
        RouteKind::Grpc => (&["v1", "v1alpha2"], "GRPCRoute", "grpcroutes"),
        RouteKind::Tcp => (&["v1", "v1alpha2"], "TCPRoute", "tcproutes"),
        RouteKind::Tls => (&["v1", "v1alpha3", "v1alpha2"], "TLSRoute", "tlsroutes"),
    };
    WatchedKind::known(GROUP, versions, kind, plural)
}

/// Why a route of this kind has weights alone, or no sticky cookie.
pub(super) fn limit(kind: RouteKind, is_sticky: bool) -> Option<&'static str> {
    match kind {
        RouteKind::Tcp | RouteKind::Tls => Some("it splits connections, by weight alone"),
        RouteKind::Grpc if is_sticky => Some("gRPC clients keep no cookies"),
        RouteKind::Http | RouteKind::Grpc => None,
    }
}
