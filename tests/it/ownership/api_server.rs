//! An API server in memory, as far as writes of one controller go: creates, merge and JSON patches, status, deletes, with
//! uid and resourceVersion preconditions. It answers the real client, without a socket.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
};

use hyper::{Method, Request, Response, StatusCode};
use kube::client::Body;
use serde_json::{Value, json};

/// Plural, namespace, name.
pub type Place = (String, String, String);

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `POST`, `PATCH`, ...
    pub method: String,
    /// `replicasets`, `services`, ...
    pub plural: String,
    /// The object's name; empty for a create.
    pub name: String,
    /// What was sent.
    pub body: Value,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<Place, Value>,
    version: u64,
    asked: Vec<Asked>,
}

/// The server; clones share its objects.
#[derive(Clone, Default)]
pub struct ApiServer {
    state: Arc<Mutex<State>>,
}

impl ApiServer {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Stores an object as a user's `kubectl replace` or another controller would; gives it as stored.
    pub fn put(&self, plural: &str, object: Value) -> Value {
        let mut state = self.state();
        let place = place(plural, &object);
        let old = state.objects.get(&place).cloned();
        state.store(place, object, old.as_ref())
    }

    /// One object.
    pub fn get(&self, plural: &str, name: &str) -> Option<Value> {
        self.state().objects.get(&(plural.into(), "shop".into(), name.into())).cloned()
    }

    /// The names of all objects of a kind.
    pub fn names(&self, plural: &str) -> Vec<String> {
        self.state().objects.keys().filter(|place| place.0 == plural).map(|place| place.2.clone()).collect()
    }

    /// Removes an object behind everyone's back.
    pub fn remove(&self, plural: &str, name: &str) {
        self.state().objects.remove(&(plural.into(), "shop".into(), name.into()));
    }

    /// What was asked since the last call.
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state().asked)
    }

    /// Reasons and notes of the Events published so far.
    pub fn events(&self) -> Vec<(String, String)> {
        let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let state = self.state();
        let events = state.objects.iter().filter(|(place, _)| place.0 == "events");
        events.map(|(_, event)| (text(event, "reason"), text(event, "note"))).collect()
    }
}

fn place(plural: &str, object: &Value) -> Place {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (plural.to_owned(), text("namespace"), text("name"))
}

impl State {
    fn store(&mut self, place: Place, mut object: Value, old: Option<&Value>) -> Value {
        self.version += 1;
        let meta = &mut object["metadata"];
        meta["resourceVersion"] = self.version.to_string().into();
        let known = |field: &str| old.map(|old| old["metadata"][field].clone()).filter(|value| !value.is_null());
        if meta["uid"].is_null() {
            meta["uid"] = known("uid").unwrap_or_else(|| format!("uid-{}", self.version).into());
        }
        if meta["creationTimestamp"].is_null() {
            meta["creationTimestamp"] = known("creationTimestamp").unwrap_or_else(|| "2026-01-01T00:00:00Z".into());
        }
        self.objects.insert(place, object.clone());
        object
    }

    fn answer(&mut self, request: &Asked, namespace: &str, status: bool, json_patch: bool) -> (StatusCode, Value) {
        let key = |name: &str| (request.plural.clone(), namespace.to_owned(), name.to_owned());
        if request.method == "POST" {
            let mut body = request.body.clone();
            body["metadata"]["namespace"] = namespace.into();
            if body["metadata"]["name"].is_null() {
                let prefix = body["metadata"]["generateName"].as_str().unwrap_or("x-").to_owned();
                body["metadata"]["name"] = format!("{prefix}{}", self.version).into();
            }
            let place = place(&request.plural, &body);
            if self.objects.contains_key(&place) {
                return failure(StatusCode::CONFLICT, "AlreadyExists");
            }
            return (StatusCode::CREATED, self.store(place, body, None));
        }
        let Some(old) = self.objects.get(&key(&request.name)).cloned() else {
            return failure(StatusCode::NOT_FOUND, "NotFound");
        };
        match request.method.as_str() {
            "GET" => (StatusCode::OK, old),
            "DELETE" => {
                let wanted = &request.body["preconditions"]["uid"];
                if !wanted.is_null() && *wanted != old["metadata"]["uid"] {
                    return failure(StatusCode::CONFLICT, "Conflict");
                }
                self.objects.remove(&key(&request.name));
                (StatusCode::OK, old)
            }
            method => {
                let mut new = old.clone();
                if method == "PUT" {
                    new["status"] = request.body["status"].clone();
                    new["metadata"]["resourceVersion"] = request.body["metadata"]["resourceVersion"].clone();
                } else if json_patch {
                    json_patch::patch(
                        &mut new,
                        &serde_json::from_value::<json_patch::Patch>(request.body.clone()).unwrap(),
                    )
                    .unwrap();
                } else {
                    json_patch::merge(&mut new, &request.body);
                }
                let same = |field: &str| new["metadata"][field] == old["metadata"][field];
                if !same("uid") || !same("resourceVersion") {
                    return failure(StatusCode::CONFLICT, "Conflict");
                }
                if !status {
                    new["status"] = old["status"].clone();
                }
                (StatusCode::OK, self.store(key(&request.name), new, Some(&old)))
            }
        }
    }
}

fn failure(code: StatusCode, reason: &str) -> (StatusCode, Value) {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": reason,
        "reason": reason, "code": code.as_u16()});
    (code, body)
}

impl tower::Service<Request<Body>> for ApiServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let bytes = body.collect_bytes().await.unwrap();
            let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            // .../namespaces/NAMESPACE/PLURAL[/NAME[/SUBRESOURCE]]
            let mut path = parts.uri.path().split('/').skip_while(|part| *part != "namespaces").skip(1);
            let mut next = || path.next().unwrap_or_default().to_owned();
            let (namespace, plural, name, subresource) = (next(), next(), next(), next());
            let json_patch =
                parts.headers.get("content-type").is_some_and(|kind| kind == "application/json-patch+json");
            let asked = Asked { method: parts.method.to_string(), plural, name, body };
            let mut state = server.state();
            let (code, answer) = state.answer(&asked, &namespace, subresource == "status", json_patch);
            if parts.method != Method::GET || code != StatusCode::OK {
                tracing::debug!(?asked, %code);
            }
            state.asked.push(asked);
            let answer = Body::from(serde_json::to_vec(&answer).unwrap());
            Ok(Response::builder().status(code).body(answer).unwrap())
        })
    }
}
