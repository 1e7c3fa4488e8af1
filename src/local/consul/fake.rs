//! A Consul in this process, written from the documentation of its HTTP API: config entries with CAS and their validation,
//! the compiled chain, the agent's services. What it does wrong is set by a test.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, put},
};
use serde_json::{Map, Value, json};

use super::{
    access::{Access, Names},
    client::Client,
};

/// What it does instead of what it is asked.
#[derive(Clone, Debug, Default)]
pub enum Fault {
    #[default]
    None,
    /// To calls whose line contains the text: this status and body.
    Answers(&'static str, u16, String),
    /// Never.
    Silent,
    /// Another writer changes each entry before each write.
    Rival,
}

#[derive(Default)]
pub struct Store {
    pub entries: BTreeMap<(String, String), Value>,
    pub services: Map<String, Value>,
    /// Every call: method, path and query.
    pub calls: Vec<String>,
    pub tokens: Vec<String>,
    pub fault: Fault,
    index: u64,
}

/// A running one.
#[derive(Clone)]
pub struct Fake {
    pub address: String,
    store: Arc<Mutex<Store>>,
}

impl Fake {
    pub async fn start() -> Fake {
        let store: Arc<Mutex<Store>> = Arc::default();
        let routes = Router::new()
            .route("/v1/config", put(write))
            .route("/v1/config/{kind}/{name}", get(read).delete(delete))
            .route("/v1/discovery-chain/{name}", get(chain))
            .route("/v1/health/{way}/{name}", get(health))
            .route("/v1/agent/services", get(services))
            .route("/v1/agent/service/register", put(register))
            .route("/v1/agent/service/deregister/{id}", put(deregister))
            .layer(axum::middleware::from_fn_with_state(store.clone(), faulty))
            .with_state(store.clone());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Fake { address, store }
    }

    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn client(&self, variables: &[(&str, &str)]) -> Client {
        let names = Names { datacenter: Some("dc2".into()), ..Names::default() };
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned());
        let access = Access::new(&self.address, names, variable).unwrap();
        Client::with_timeout(access, Duration::from_millis(700)).unwrap()
    }

    pub fn fails(&self, fault: Fault) {
        self.store().fault = fault;
    }

    /// An entry as a user writes it.
    pub fn put(&self, entry: Value) {
        self.store().put(entry);
    }

    pub fn entry(&self, kind: &str) -> Option<Value> {
        self.store().entries.get(&(kind.to_owned(), "web".to_owned())).cloned()
    }

    /// The calls that change something.
    pub fn writes(&self) -> Vec<String> {
        self.store().calls.iter().filter(|call| !call.starts_with("GET")).cloned().collect()
    }
}

impl Store {
    fn put(&mut self, mut entry: Value) {
        let key = ["Kind", "Name"].map(|field| entry[field].as_str().unwrap_or_default().to_owned());
        let key = (key[0].clone(), key[1].clone());
        let same = |there: &Value| {
            let mut there = there.clone();
            let fields = there.as_object_mut().unwrap();
            fields.retain(|name, _| !matches!(name.as_str(), "CreateIndex" | "ModifyIndex"));
            there == entry
        };
        if self.entries.get(&key).is_some_and(same) {
            return;
        }
        self.index += 1;
        entry["ModifyIndex"] = self.index.into();
        entry["CreateIndex"] = 1.into();
        self.entries.insert(key, entry);
    }

    /// Every entry as another writer leaves it that writes them all.
    fn touch(&mut self) {
        self.index += 1;
        let index = self.index;
        self.entries.values_mut().for_each(|entry| entry["ModifyIndex"] = index.into());
    }

    fn of(&self, kind: &str, name: &str) -> Option<&Value> {
        self.entries.get(&(kind.to_owned(), name.to_owned()))
    }

    /// What Consul validates of a splitter.
    fn refusal(&self, entry: &Value) -> Option<String> {
        if entry["Kind"] != "service-splitter" {
            return None;
        }
        let splits = entry["Splits"].as_array().cloned().unwrap_or_default();
        let sum: f64 = splits.iter().filter_map(|split| split["Weight"].as_f64()).sum();
        if (sum - 100.0).abs() > 0.000_001 {
            return Some(format!("the sum of all split weights must be 100, not {sum}"));
        }
        if self.of("service-defaults", "web").is_none_or(|defaults| defaults["Protocol"] != "http") {
            return Some("service \"web\" has protocol \"tcp\", which is incompatible with defined splitter".into());
        }
        let subsets =
            self.of("service-resolver", "web").map(|resolver| resolver["Subsets"].clone()).unwrap_or_default();
        let unknown = splits.iter().find(|split| subsets.get(split["ServiceSubset"].as_str().unwrap_or("")).is_none());
        unknown.map(|split| format!("service \"web\" does not have a subset named {}", split["ServiceSubset"]))
    }
}

type Shared = State<Arc<Mutex<Store>>>;

fn lock(store: &Arc<Mutex<Store>>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn faulty(State(store): Shared, request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    let is_write = request.method() != Method::GET;
    let fault = {
        let mut store = lock(&store);
        let token = request.headers().get("x-consul-token").and_then(|token| token.to_str().ok());
        store.tokens.extend(token.map(str::to_owned));
        store.calls.push(line.clone());
        store.fault.clone()
    };
    match fault {
        Fault::Answers(part, status, body) if line.contains(part) => {
            (StatusCode::from_u16(status).unwrap(), [("location", "/elsewhere")], body).into_response()
        }
        Fault::Silent => std::future::pending().await,
        Fault::Rival if is_write => {
            lock(&store).touch();
            next.run(request).await
        }
        _ => next.run(request).await,
    }
}

async fn read(State(store): Shared, Path((kind, name)): Path<(String, String)>) -> Response {
    match lock(&store).of(&kind, &name) {
        Some(entry) => axum::Json(entry.clone()).into_response(),
        None => (StatusCode::NOT_FOUND, format!("Config entry not found for \"{kind}\" / \"{name}\"")).into_response(),
    }
}

/// Whether the condition of a write holds.
fn holds(current: Option<&Value>, query: &HashMap<String, String>) -> bool {
    let index = current.and_then(|entry| entry["ModifyIndex"].as_u64()).unwrap_or(0);
    query.get("cas").is_none_or(|cas| cas.parse() == Ok(index))
}

async fn write(State(store): Shared, Query(query): Query<HashMap<String, String>>, body: Bytes) -> Response {
    let entry: Value = serde_json::from_slice(&body).unwrap();
    let mut store = lock(&store);
    let [kind, name] = ["Kind", "Name"].map(|field| entry[field].as_str().unwrap_or_default());
    if !holds(store.of(kind, name), &query) {
        return axum::Json(false).into_response();
    }
    if let Some(why) = store.refusal(&entry) {
        return (StatusCode::INTERNAL_SERVER_ERROR, why).into_response();
    }
    store.put(entry);
    axum::Json(true).into_response()
}

async fn delete(
    State(store): Shared,
    Path(key): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let mut store = lock(&store);
    let done = holds(store.entries.get(&key), &query);
    if done {
        store.entries.remove(&key);
    }
    axum::Json(done).into_response()
}

async fn chain(State(store): Shared, Path(name): Path<String>) -> Response {
    let store = lock(&store);
    let resolver = |subset: &str| format!("resolver:{subset}.{name}.default.default.dc1");
    let target = |subset: &str| format!("{subset}.{name}.default.default.dc1");
    let mut nodes = Map::new();
    let mut targets = Map::new();
    for subset in ["stable", "canary"] {
        nodes.insert(resolver(subset), json!({ "Type": "resolver", "Resolver": { "Target": target(subset) } }));
        targets.insert(target(subset), json!({ "ServiceSubset": subset, "Service": name }));
    }
    let mut start = resolver("stable");
    if let Some(splitter) = store.of("service-splitter", &name) {
        let splits = splitter["Splits"].as_array().cloned().unwrap_or_default();
        let split = |split: &Value| {
            let next = resolver(split["ServiceSubset"].as_str().unwrap_or_default());
            json!({ "Weight": split["Weight"], "NextNode": next })
        };
        start = format!("splitter:{name}.default.default");
        let splits: Vec<Value> = splits.iter().map(split).collect();
        nodes.insert(start.clone(), json!({ "Type": "splitter", "Splits": splits }));
    }
    axum::Json(json!({ "Chain": {
        "ServiceName": name, "Protocol": "http", "StartNode": start, "Nodes": nodes, "Targets": targets,
    } }))
    .into_response()
}

async fn health(State(store): Shared, Path((_, name)): Path<(String, String)>) -> Response {
    let store = lock(&store);
    let ours = store.services.values().filter(|service| service["Service"] == name.as_str());
    let all: Vec<Value> = ours.map(|service| json!({ "Service": service })).collect();
    axum::Json(all).into_response()
}

async fn services(State(store): Shared) -> Response {
    axum::Json(lock(&store).services.clone()).into_response()
}

async fn register(State(store): Shared, _: HeaderMap, body: Bytes) -> Response {
    let mut service: Value = serde_json::from_slice(&body).unwrap();
    service["Service"] = service["Name"].clone();
    let id = service["ID"].as_str().unwrap().to_owned();
    lock(&store).services.insert(id, service);
    StatusCode::OK.into_response()
}

async fn deregister(State(store): Shared, Path(id): Path<String>) -> Response {
    let removed = lock(&store).services.remove(&id);
    if removed.is_some() { StatusCode::OK.into_response() } else { StatusCode::NOT_FOUND.into_response() }
}
