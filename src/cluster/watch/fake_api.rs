//! A small API server for tests of the watches: it lists the given objects, rejects or stays silent as configured, and
//! the test controls its open watches.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::{Future, pending, ready},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    http::{Request, Response},
};
use futures::{
    StreamExt,
    channel::mpsc::{UnboundedSender, unbounded},
    stream,
};
use kube::Client;
use serde_json::{Value, json};
use tower::Service;

/// What is answered at a path.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A list of these objects, as JSON texts; a watch stays open.
    Items(Vec<String>),
    /// A list of these objects; a watch is refused with this code.
    NoWatch(Vec<String>, u16),
    /// A list of these objects whose end never arrives.
    Half(Vec<String>),
    /// The same, and the connection ends.
    Cut(Vec<String>),
    /// One object, for a write.
    Object(String),
    /// Discovery with these plurals.
    Resources(Vec<&'static str>),
    /// This HTTP code.
    Refuse(u16),
    /// No response, ever.
    Silence,
}

type Lines = UnboundedSender<Result<Bytes, Infallible>>;

#[derive(Default)]
struct State {
    answers: HashMap<String, Answer>,
    version: u64,
    watches: HashMap<String, Vec<(String, Lines)>>,
    requests: Vec<String>,
    writes: Vec<(String, Value)>,
}

/// The API server.
#[derive(Clone, Default)]
pub struct FakeApi(Arc<Mutex<State>>);

impl FakeApi {
    /// A client of it.
    pub fn client(&self) -> Client {
        Client::new(self.clone(), "default")
    }

    /// Sets what is answered at a path. Paths that nothing was said of have an empty list, or no discovery.
    pub fn answer(&self, path: &str, answer: Answer) {
        self.0.lock().unwrap().answers.insert(path.to_owned(), answer);
    }

    /// Sets the version of lists.
    pub fn version(&self, version: u64) {
        self.0.lock().unwrap().version = version;
    }

    /// Sends a line to the newest watch at a path.
    pub fn send(&self, path: &str, what: &str, object: &str) {
        let line = format!("{{\"type\":\"{what}\",\"object\":{}}}\n", object.replace('\n', ""));
        let state = self.0.lock().unwrap();
        let (_, lines) = state.watches[path].last().unwrap();
        lines.unbounded_send(Ok(line.into())).unwrap();
    }

    /// Sends a bookmark to the newest watch at a path.
    pub fn bookmark(&self, path: &str, version: u64) {
        let metadata = json!({"metadata": {"resourceVersion": version.to_string()}});
        self.send(path, "BOOKMARK", &metadata.to_string());
    }

    /// Ends all watches at a path.
    pub fn end(&self, path: &str) {
        if let Some(watches) = self.0.lock().unwrap().watches.get_mut(path) {
            watches.iter().for_each(|(_, lines)| lines.close_channel());
        }
    }

    /// From which versions a path was watched, in order.
    pub fn watched_from(&self, path: &str) -> Vec<String> {
        let state = self.0.lock().unwrap();
        state.watches.get(path).into_iter().flatten().map(|(from, _)| from.clone()).collect()
    }

    /// What was patched, by path.
    pub fn writes(&self) -> Vec<(String, Value)> {
        self.0.lock().unwrap().writes.clone()
    }

    /// How many requests began with this path, lists and watches.
    pub fn requests(&self, path: &str) -> usize {
        self.0.lock().unwrap().requests.iter().filter(|asked| asked.starts_with(path)).count()
    }
}

impl State {
    fn answer(&mut self, path: &str, query: &str) -> Option<Response<Body>> {
        self.requests.push(format!("{path}?{query}"));
        let plain = path.split('/').count() <= 4 && path.starts_with("/apis/");
        let default = || if plain { Answer::Refuse(404) } else { Answer::Items(Vec::new()) };
        let watch = query.contains("watch=true");
        Some(match self.answers.get(path).cloned().unwrap_or_else(default) {
            Answer::Items(_) if watch => self.watch(path, query),
            Answer::NoWatch(_, code) if watch => refusal(code),
            Answer::Items(items) | Answer::NoWatch(items, _) => Response::new(self.list(&items).into()),
            Answer::Half(items) => {
                let begun = stream::once(ready(Ok::<_, Infallible>(self.begun(&items))));
                Response::new(Body::from_stream(begun.chain(stream::pending())))
            }
            Answer::Cut(items) => Response::new(self.begun(&items).into()),
            Answer::Resources(plurals) => {
                let resource = |plural: &&str| json!({"name": plural, "singularName": "", "namespaced": true, "kind": if *plural == "routes" { "Route" } else { "" }, "verbs": ["list", "watch"]});
                let resources: Vec<_> = plurals.iter().map(resource).collect();
                Response::new(json!({"groupVersion": "", "resources": resources}).to_string().into())
            }
            Answer::Object(text) => Response::new(text.into()),
            Answer::Refuse(code) => refusal(code),
            Answer::Silence => return None,
        })
    }

    fn list(&self, items: &[String]) -> String {
        let (version, items) = (self.version, items.join(","));
        format!(r#"{{"metadata":{{"resourceVersion":"{version}"}},"items":[{items}]}}"#)
    }

    /// A list without its end.
    fn begun(&self, items: &[String]) -> String {
        self.list(items).trim_end_matches("]}").to_owned()
    }

    fn watch(&mut self, path: &str, query: &str) -> Response<Body> {
        let (lines, stream) = unbounded();
        let from = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion=")).unwrap_or_default();
        self.watches.entry(path.to_owned()).or_default().push((from.to_owned(), lines));
        Response::new(Body::from_stream(stream))
    }
}

fn refusal(code: u16) -> Response<Body> {
    let status =
        json!({"kind": "Status", "status": "Failure", "message": format!("refused with {code}"), "code": code});
    Response::builder().status(code).body(status.to_string().into()).unwrap()
}

impl Service<Request<kube::client::Body>> for FakeApi {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let api = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect_bytes().await.unwrap_or_default();
            let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
            if let Ok(body) = serde_json::from_slice(&body) {
                api.0.lock().unwrap().writes.push((path.to_owned(), body));
            }
            let answer = api.0.lock().unwrap().answer(path, query);
            match answer {
                Some(response) => Ok(response),
                None => pending().await,
            }
        })
    }
}
