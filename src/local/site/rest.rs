//! The API server of a site: the few Kubernetes calls that the commands make, on loopback, for clients with the token.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Query, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::{
    apply::Site,
    handlers,
    kinds::{self, Kind},
    objects::{self, Change},
    refusal::{Refusal, not_found},
};

/// A watch ends after so long when its caller does not say.
const WATCH: u64 = 300;

/// What the handlers share.
#[derive(Clone)]
struct Shared {
    site: Site,
    token: Arc<str>,
    user: Arc<str>,
}

/// The routes. `user` is who holds the token.
pub fn routes(site: Site, token: &str, user: &str) -> Router {
    let shared = Shared { site, token: token.into(), user: user.into() };
    Router::new().fallback(handle).with_state(shared)
}

/// A kubeconfig that leads here.
pub fn kubeconfig(address: std::net::SocketAddr, token: &str, name: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "clusters": [{ "name": name, "cluster": { "server": format!("http://{address}") } }],
        "users": [{ "name": name, "user": { "token": token } }],
        "contexts": [{ "name": name, "context": { "cluster": name, "user": name, "namespace": namespace } }],
    })
}

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
struct ResourcePath<'a> {
    group: &'a str,
    version: &'a str,
    namespace: Option<&'a str>,
    plural: &'a str,
    name: Option<&'a str>,
}

impl<'a> ResourcePath<'a> {
    fn read(path: &'a str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            rest => (None, rest),
        };
        let (plural, name) = match rest {
            [plural] => (*plural, None),
            [plural, name] => (*plural, Some(*name)),
            _ => return None,
        };
        Some(ResourcePath { group, version, namespace, plural, name })
    }

    fn kind(&self) -> Option<&'static Kind> {
        let same = |kind: &&Kind| (kind.group, kind.version, kind.plural) == (self.group, self.version, self.plural);
        kinds::ALL.into_iter().find(same)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Asked {
    watch: Option<String>,
    resource_version: Option<String>,
    timeout_seconds: Option<u64>,
    label_selector: Option<String>,
    field_selector: Option<String>,
    dry_run: Option<String>,
}

async fn handle(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if bearer.and_then(|value| value.strip_prefix("Bearer ")) != Some(&*shared.token) {
        let message = "the token is not that of the kubeconfig in the state folder; use --local";
        return Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized", message).into_response();
    }
    let answered = answer(&shared, &method, uri.path(), asked, &headers, &body);
    answered.unwrap_or_else(IntoResponse::into_response)
}

fn answer(
    shared: &Shared,
    method: &Method,
    path: &str,
    asked: Asked,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response, Refusal> {
    if let Some(review) = review(path, method, &shared.user) {
        return Ok((StatusCode::CREATED, axum::Json(review)).into_response());
    }
    let missing = || Refusal::new(StatusCode::NOT_FOUND, "NotFound", format!("a local rollout has no {path}"));
    let named = ResourcePath::read(path).ok_or_else(missing)?;
    let kind = named.kind().ok_or_else(missing)?;
    let site = &shared.site;
    let here = named.namespace.is_none_or(|namespace| namespace == site.key().namespace);
    let is_tried = asked.dry_run.as_deref() == Some("All");
    match (method.as_str(), named.name) {
        ("GET", None) => Selection::read(&asked, here).and_then(|selection| listed(site, kind, &asked, selection)),
        ("GET", Some(name)) => {
            let found = site.objects().get(kind, name).filter(|_| here).ok_or_else(|| not_found(kind, name))?;
            Ok(axum::Json(&*found).into_response())
        }
        ("PATCH", Some(name)) if kind == kinds::ROLLOUT && here => {
            let how = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            handlers::patch(site, name, how, body, is_tried).map(|object| axum::Json(&*object).into_response())
        }
        ("POST", None) if kind == kinds::COMMAND && here => {
            let object = handlers::command(site, body, is_tried)?;
            Ok((StatusCode::CREATED, axum::Json(&*object)).into_response())
        }
        _ => {
            let message = format!(
                "a local rollout does not support {method} of {}; use its file and 'glidepath local'",
                kind.plural
            );
            Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message))
        }
    }
}

/// Who is asking, as commands put it on record.
fn review(path: &str, method: &Method, user: &str) -> Option<Value> {
    (method == Method::POST && path == "/apis/authentication.k8s.io/v1/selfsubjectreviews").then(|| {
        json!({
            "kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {},
            "status": { "userInfo": { "username": user } },
        })
    })
}

/// Which objects a list or watch is about.
#[derive(Clone, Debug)]
struct Selection {
    here: bool,
    labels: Vec<(String, Option<String>)>,
    fields: Vec<(String, String)>,
}

impl Selection {
    fn read(asked: &Asked, here: bool) -> Result<Self, Refusal> {
        let bad = |text: &str| {
            let message = format!("a local rollout only supports the selectors KEY=VALUE and KEY, not `{text}`");
            Refusal::new(StatusCode::BAD_REQUEST, "BadRequest", message)
        };
        let parts = |text: &Option<String>| -> Vec<String> {
            text.iter().flat_map(|text| text.split(',')).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let plain = |part: &str| !part.contains(['!', '(', ')', ' ']);
        let mut selection = Selection { here, labels: Vec::new(), fields: Vec::new() };
        for part in parts(&asked.label_selector) {
            let pair = part
                .split_once('=')
                .map(|(key, value)| (key.to_owned(), Some(value.trim_start_matches('=').to_owned())));
            let label = pair.unwrap_or_else(|| (part.clone(), None));
            if !plain(&part) {
                return Err(bad(&part));
            }
            selection.labels.push(label);
        }
        for part in parts(&asked.field_selector) {
            let Some((key, value)) = part.split_once('=').filter(|_| plain(&part)) else { return Err(bad(&part)) };
            selection.fields.push((key.to_owned(), value.trim_start_matches('=').to_owned()));
        }
        Ok(selection)
    }

    fn has(&self, object: &Value) -> bool {
        let label = |(key, value): &(String, Option<String>)| {
            let there = object["metadata"]["labels"][key].as_str();
            there.is_some() && (value.is_none() || there == value.as_deref())
        };
        let field = |(key, value): &(String, String)| {
            object.pointer(&format!("/{}", key.replace('.', "/"))).and_then(Value::as_str).unwrap_or_default() == value
        };
        self.here && self.labels.iter().all(label) && self.fields.iter().all(field)
    }
}

fn listed(site: &Site, kind: &'static Kind, asked: &Asked, selection: Selection) -> Result<Response, Refusal> {
    let watch = asked.watch.as_deref().is_some_and(|watch| matches!(watch, "1" | "true"));
    if watch {
        return watched(site, kind, asked, selection);
    }
    let (version, mut items) = site.objects().list(kind);
    items.retain(|object| selection.has(object));
    Ok(axum::Json(objects::list_of(kind, version, &items)).into_response())
}

/// The changes since a version, one JSON document a line, until the time is over.
fn watched(site: &Site, kind: &'static Kind, asked: &Asked, selection: Selection) -> Result<Response, Refusal> {
    let since = asked.resource_version.as_deref().and_then(|version| version.parse().ok());
    let since = since.filter(|since| *since > 0).unwrap_or_else(|| site.objects().version());
    let Some(watch) = site.objects().watch(since) else {
        let message = format!("changes since version {since} are no longer available; list again");
        return Err(Refusal::new(StatusCode::GONE, "Expired", message));
    };
    let until = tokio::time::sleep(Duration::from_secs(asked.timeout_seconds.unwrap_or(WATCH)));
    let all = stream::iter(watch.missed).chain(coming(watch.coming));
    let lines = all
        .filter(move |change| std::future::ready(change.kind == kind && selection.has(&change.object)))
        .map(|change| Ok::<_, Infallible>(line(&change)))
        .take_until(until);
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::from_stream(lines)).into_response())
}

/// Ends when the reader is too slow: it then restarts the watch.
fn coming(receiver: broadcast::Receiver<Change>) -> impl Stream<Item = Change> {
    stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.ok().map(|change| (change, receiver)) })
}

fn line(change: &Change) -> String {
    format!("{}\n", json!({ "type": change.what, "object": &*change.object }))
}

#[cfg(test)]
#[path = "rest_tests.rs"]
mod tests;
