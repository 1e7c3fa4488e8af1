//! An API server of a few objects, and a Rollout on it, for tests of what is read and written, and by whom.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use axum::http::{Method, Request, Response};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{locks::lock, snapshot::Snapshot, triggers::Triggers, *};
use crate::{
    api::{FINALIZER, Percent},
    engine::{Action, GateAnswer, GateQuestion, RouteIntent},
    ports::{Clock, GateAsker, Observation, RolloutKey, World, WorldError},
    reconcile::GateDesk,
    router::GroupResource,
};

/// The Rollout.
pub const ROLLOUT: &str = "/apis/glidepath.dev/v1alpha1/namespaces/shop/rollouts/web";
/// Its route.
pub const ROUTE: &str = "/apis/networking.istio.io/v1/namespaces/shop/virtualservices/web";
/// Its stable Service.
pub const SERVICE: &str = "/api/v1/namespaces/shop/services/web-stable";

/// Objects by path: read, and written on condition of their version.
#[derive(Clone, Default)]
pub struct ApiServer {
    pub objects: Arc<Mutex<BTreeMap<String, Value>>>,
    pub requests: Arc<Mutex<Vec<String>>>,
}

impl ApiServer {
    fn client(&self) -> Client {
        let server = self.clone();
        let answer = move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        };
        Client::new(tower::service_fn(answer), "shop")
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let body = request.into_body().collect_bytes().await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let version = body["metadata"]["resourceVersion"].as_str().unwrap_or("none").to_owned();
        lock(&self.requests).push(format!("{method} {path} at {version}"));
        let mut objects = lock(&self.objects);
        if method == Method::POST {
            let name = body["metadata"]["name"].as_str().unwrap_or_default();
            return match objects.insert(format!("{path}/{name}"), body.clone()) {
                None => answer(&body),
                Some(_) => status(409),
            };
        }
        // A status is a part of its object, unless a test stores it apart.
        let whole = path.strip_suffix("/status").filter(|_| !objects.contains_key(&path));
        let path = whole.map_or(path.clone(), str::to_owned);
        let Some(stored) = objects.get_mut(&path) else { return status(404) };
        if method == Method::GET {
            return answer(stored);
        }
        if method == Method::DELETE {
            return objects.remove(&path).map_or_else(|| status(404), |gone| answer(&gone));
        }
        if stored["metadata"]["resourceVersion"] != version.as_str() {
            return status(409);
        }
        match method {
            Method::PUT => *stored = body,
            _ => json_patch::merge(stored, &body),
        }
        let next = version.parse::<u64>().unwrap() + 1;
        stored["metadata"]["resourceVersion"] = next.to_string().into();
        answer(stored)
    }

    /// Another client changes it.
    pub fn change(&self, path: &str, field: &str, value: Value) -> Value {
        let mut objects = lock(&self.objects);
        let object = objects.get_mut(path).unwrap();
        *object.pointer_mut(field).unwrap() = value;
        let version = object["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap() + 1;
        object["metadata"]["resourceVersion"] = version.to_string().into();
        object.clone()
    }

    pub fn requested(&self, what: &str) -> Vec<String> {
        lock(&self.requests).iter().filter(|line| line.starts_with(what)).cloned().collect()
    }
}

fn answer(object: &Value) -> Response<Body> {
    Response::new(Body::from(object.to_string().into_bytes()))
}

fn status(code: u16) -> Response<Body> {
    let reason = if code == 404 { "NotFound" } else { "Conflict" };
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "reason": reason,
        "code": code});
    Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap()
}

struct NoGates;

#[async_trait]
impl GateAsker for NoGates {
    async fn ask(&self, _: &str, _: &GateQuestion) -> GateAnswer {
        unreachable!("no gate is asked here")
    }
}

struct Quiet;

impl Triggers for Quiet {
    fn rollout(&self, _: RolloutKey) {}
    fn rollout_first(&self, _: RolloutKey) {}
    fn rollout_counts(&self, _: RolloutKey) {}
    fn run(&self, _: table::ObjectKey) {}
    fn policy(&self, _: table::ObjectKey) {}
}

/// A Rollout with a route and a Service, all of them in the tables as they are on the server.
pub struct Shop {
    pub server: ApiServer,
    pub cluster: Arc<Cluster>,
    pub fence: Fence,
    pub key: RolloutKey,
}

pub fn world() -> Shop {
    let server = ApiServer::default();
    let objects = [
        (
            ROLLOUT,
            json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout",
                "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "resourceVersion": "5", "generation": 1,
                    "finalizers": [FINALIZER]},
                "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}},
                    "template": {"metadata": {"labels": {"app": "web"}},
                        "spec": {"containers": [{"name": "app", "image": "shop/web:1"}]}},
                    "services": {"root": "web", "stable": "web-stable", "canary": "web-canary"},
                    "strategy": {"canary": {"steps": [{"setWeight": 20}]}},
                    "traffic": [{"istio": {"virtualServices": [{"name": "web"}]}}]}}),
        ),
        (
            ROUTE,
            json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
                "metadata": {"name": "web", "namespace": "shop", "uid": "u2", "resourceVersion": "10"},
                "spec": {"hosts": ["web"], "http": [{"name": "all", "route": [
                    {"destination": {"host": "web-stable"}, "weight": 100},
                    {"destination": {"host": "web-canary"}, "weight": 0}]}]}}),
        ),
        (
            SERVICE,
            json!({"apiVersion": "v1", "kind": "Service",
                "metadata": {"name": "web-stable", "namespace": "shop", "uid": "u3", "resourceVersion": "20"},
                "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}),
        ),
    ];
    *lock(&server.objects) = objects.into_iter().map(|(path, object)| (path.to_owned(), object)).collect();
    let fence = Fence::default();
    let client = server.client();
    let events = EventSender::start(client.clone(), &fence, None);
    let clock: Arc<dyn Clock> = Arc::new(crate::clock::SystemClock);
    let (settings, desk) = (Settings::default(), GateDesk::new(Arc::new(NoGates)));
    let clients = (client.clone(), client);
    let cluster = Cluster::new(clients, settings, clock, events, Arc::new(Quiet), desk, fence.clone());
    let key = RolloutKey { namespace: "shop".into(), name: "web".into() };
    let world = Shop { server, cluster: Arc::new(cluster), fence, key };
    for path in [ROLLOUT, ROUTE, SERVICE] {
        let object = lock(&world.server.objects)[path].clone();
        world.watch_brings(&object);
    }
    world
}

impl Shop {
    pub fn watch_brings(&self, object: &Value) {
        let text = object.to_string();
        let shown = raw_object::RawObject::of(&text).unwrap();
        let tables = self.cluster.tables();
        match object["kind"].as_str().unwrap() {
            "Rollout" => drop(tables.rollouts.seen(table::Row::of(&shown))),
            "Service" => drop(tables.services.seen(table::Row::of(&shown))),
            "AnalysisRun" => drop(tables.runs.seen(table::Row::of(&shown))),
            "ReplicaSet" => drop(tables.replica_sets.seen(table::Row::of(&shown))),
            "Pod" => drop(tables.pods.seen(table::Row::of(&shown))),
            "RolloutCommand" => drop(tables.commands.seen(table::Row::of(&shown))),
            kind => {
                let plural = format!("{}s", kind.to_lowercase());
                let resource = GroupResource::of(object["apiVersion"].as_str().unwrap(), &plural);
                drop(tables.routes.get(&resource).unwrap().seen(table::Row::of(&shown)));
            }
        }
    }

    pub fn lead(&self, term: u64) {
        self.fence.hold(Term(term), Instant::now() + Duration::from_secs(10));
    }

    pub async fn observe(&self) -> Option<Observation<Arc<Snapshot>>> {
        self.cluster.observe(&self.key).await.unwrap()
    }

    pub async fn shift(&self, observation: &Observation<Arc<Snapshot>>, percent: u32) -> Result<(), WorldError> {
        let intent = RouteIntent::weight(Percent::whole(percent));
        self.cluster.carry_out(observation, &Action::EnsureRoute(intent)).await
    }

    /// Stores an object, and has the watch bring it.
    pub fn add(&self, path: &str, object: Value) {
        self.watch_brings(&object);
        lock(&self.server.objects).insert(path.to_owned(), object);
    }
}
