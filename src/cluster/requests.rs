//! Instrumentation of every request: it is counted by verb, resource and code, and its response carries the server's
//! time.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::http::{Method, Request, Response, header::DATE};
use kube::client::Body;
use tower::{Layer, Service};

use super::server_clock::ServerClock;
use crate::{metrics::Metrics, ports::Clock};

/// Puts the watcher around a client's stack.
#[derive(Clone)]
pub struct WatchRequests {
    /// Where requests are counted.
    pub metrics: Metrics,
    /// Our own time.
    pub clock: Arc<dyn Clock>,
    /// Where it is compared with the server's.
    pub server: ServerClock,
}

impl<S> Layer<S> for WatchRequests {
    type Service = Watched<S>;
    fn layer(&self, inner: S) -> Watched<S> {
        Watched { inner, watch: self.clone() }
    }
}

/// A watched stack.
#[derive(Clone)]
pub struct Watched<S> {
    inner: S,
    watch: WatchRequests,
}

impl<S, B> Service<Request<Body>> for Watched<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (resource, named) = resource(request.uri().path());
        let verb = verb(request.method(), named, request.uri().query().unwrap_or_default());
        let WatchRequests { metrics, clock, server } = self.watch.clone();
        let sent = clock.now();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            metrics.requested(verb, resource, answer.as_ref().map_or(0, |response| response.status().as_u16()));
            let date = answer.as_ref().ok().and_then(|response| response.headers().get(DATE)?.to_str().ok());
            if let Some(date) = date {
                server.said(date, sent, clock.now());
            }
            answer
        })
    }
}

fn verb(method: &Method, named: bool, query: &str) -> &'static str {
    let watches = query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1");
    match method.as_str() {
        "GET" if watches => "watch",
        "GET" if named => "get",
        "GET" => "list",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "other",
    }
}

/// The resource of a request's path, as RBAC names it (`rollouts/status`), and whether the path names one object.
fn resource(path: &str) -> (String, bool) {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let kinds = match parts.as_slice() {
        ["api", _, kinds @ ..] | ["apis", _, _, kinds @ ..] => kinds,
        _ => return (String::new(), true),
    };
    match kinds {
        ["namespaces", _, kind, name @ ..] | [kind, name @ ..] => match name {
            [] => ((*kind).to_owned(), false),
            [_] => ((*kind).to_owned(), true),
            [_, subresource, ..] => (format!("{kind}/{subresource}"), true),
        },
        [] => (String::new(), true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_as_rbac_names_them() {
        let cases = [
            ("GET", "/api/v1/pods", "watch=true", "watch", "pods"),
            ("GET", "/apis/glidepath.dev/v1alpha1/rollouts", "limit=250", "list", "rollouts"),
            ("GET", "/api/v1/namespaces/shop", "", "get", "namespaces"),
            ("POST", "/apis/apps/v1/namespaces/shop/replicasets", "", "create", "replicasets"),
            (
                "PUT",
                "/apis/glidepath.dev/v1alpha1/namespaces/shop/rollouts/web/status",
                "",
                "update",
                "rollouts/status",
            ),
            ("PATCH", "/api/v1/namespaces/shop/services/web", "fieldManager=glidepath", "patch", "services"),
            ("GET", "/version", "", "get", ""),
        ];
        for (method, path, query, wanted_verb, wanted_resource) in cases {
            let (resource, named) = resource(path);
            let verb = verb(&method.parse().unwrap(), named, query);
            assert_eq!((verb, resource.as_str()), (wanted_verb, wanted_resource), "{method} {path}");
        }
    }
}
