//! What belongs to a Rollout and what does not: the real adapters against an API server in memory.

mod api_server;
mod class;
mod history;
mod replicas;
mod services;
mod sets;

use std::sync::{Arc, Mutex};

use api_server::ApiServer;
use async_trait::async_trait;
use glidepath::{
    api::Rollout,
    cluster::{
        Cluster, EventSender, Fence, Settings,
        raw_object::RawObject,
        table::{Kept, ObjectKey, Row, Table},
        watch::Triggers,
    },
    engine::Decision,
    ports::{
        Clock, GateAsker, RolloutKey, WorldError,
        gate::{GateAnswer, GateQuestion},
    },
    reconcile::{GateDesk, tick::tick},
};
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};

/// A cluster with one controller, whose watches are played by hand.
struct Shop {
    server: ApiServer,
    cluster: Cluster,
    clock: Arc<Hands>,
    triggered: Arc<Rung>,
}

/// A clock that moves by hand.
struct Hands(Mutex<Timestamp>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// Who was to be looked at.
#[derive(Default)]
struct Rung(Mutex<Vec<String>>);

impl Triggers for Rung {
    fn rollout(&self, key: RolloutKey) {
        self.0.lock().unwrap().push(key.name);
    }
    fn rollout_first(&self, key: RolloutKey) {
        self.rollout(key);
    }
    fn rollout_counts(&self, key: RolloutKey) {
        self.rollout(key);
    }
    fn run(&self, _: ObjectKey) {}
    fn policy(&self, _: ObjectKey) {}
}

struct NoGates;

#[async_trait]
impl GateAsker for NoGates {
    async fn ask(&self, _: &str, _: &GateQuestion) -> GateAnswer {
        GateAnswer::Yes
    }
}

impl Shop {
    fn new() -> Self {
        Shop::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let server = ApiServer::default();
        let client = Client::new(server.clone(), "shop");
        let clock = Arc::new(Hands(Mutex::new("2026-01-01T01:00:00Z".parse().unwrap())));
        let triggered = Arc::new(Rung::default());
        let fence = Fence::default();
        fence.open();
        let cluster = Cluster::new(
            (client.clone(), client.clone()),
            settings,
            Arc::<Hands>::clone(&clock),
            EventSender::start(client, &fence, None),
            Arc::<Rung>::clone(&triggered),
            GateDesk::new(Arc::new(NoGates)),
            fence,
        );
        Shop { server, cluster, clock, triggered }
    }

    /// Stores an object; the watch brings it.
    fn put(&self, plural: &str, object: Value) -> Value {
        let stored = self.server.put(plural, object);
        self.bring(plural, &stored);
        stored
    }

    /// Changes an object as a user's merge patch does.
    fn edit(&self, plural: &str, name: &str, patch: &Value) -> Value {
        let mut object = self.server.get(plural, name).unwrap();
        json_patch::merge(&mut object, patch);
        self.put(plural, object)
    }

    fn bring(&self, plural: &str, object: &Value) {
        let tables = self.cluster.tables();
        match plural {
            "rollouts" => see(&tables.rollouts, object),
            "replicasets" => see(&tables.replica_sets, object),
            "services" => see(&tables.services, object),
            "deployments" => see(&tables.deployments, object),
            "analysisruns" => see(&tables.runs, object),
            "rolloutcommands" => see(&tables.commands, object),
            "pods" => see(&tables.pods, object),
            "endpointslices" => see(&tables.slices, object),
            other => panic!("no table for {other}"),
        }
    }

    /// One tick, as the controller's queue runs it.
    async fn tick(&self, name: &str) -> Result<Option<Decision>, WorldError> {
        let key = key(name);
        tick(&self.cluster, &key, &*self.clock).await
    }

    /// Ticks until pods and status no longer change; pods come at once.
    async fn settle(&self, name: &str) {
        for _ in 0..20 {
            let before = (self.server.get("rollouts", name), self.counts());
            drop(self.tick(name).await);
            self.play_pods();
            self.wait(20);
            if before == (self.server.get("rollouts", name), self.counts()) {
                return;
            }
        }
    }

    /// All ReplicaSets have the pods that they ask for.
    fn play_pods(&self) {
        for name in self.server.names("replicasets") {
            let set = self.server.get("replicasets", &name).unwrap();
            let wanted = set["spec"]["replicas"].clone();
            if set["status"]["availableReplicas"] != wanted {
                let status = json!({"replicas": wanted, "readyReplicas": wanted, "availableReplicas": wanted});
                self.edit("replicasets", &name, &json!({"status": status}));
            }
        }
    }

    /// The Deployment `web` of four pods becomes the Rollout's, and its own pods go as it is scaled down.
    async fn adopt_deployment(&self) {
        self.put("deployments", deployment("web", 4));
        self.put("rollouts", adopting("web", "web"));
        for _ in 0..12 {
            self.settle("web").await;
            let own = self.server.get("deployments", "web").unwrap()["spec"]["replicas"].clone();
            self.edit("deployments", "web", &json!({"status": {"replicas": own, "availableReplicas": own}}));
        }
    }

    /// Settles in a cluster where Services have the endpoints that they select.
    async fn settle_with_endpoints(&self, name: &str) {
        for _ in 0..3 {
            self.settle(name).await;
            self.play_endpoints();
        }
        self.settle(name).await;
    }

    /// Every ReplicaSet has one pod that is ready, and every Service that selects a revision lists its pod.
    fn play_endpoints(&self) {
        for set in self.server.names("replicasets") {
            let owner = self.server.get("replicasets", &set).unwrap();
            let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "controller": true,
                "uid": owner["metadata"]["uid"]});
            let labels = self.server.get("replicasets", &set).unwrap()["metadata"]["labels"].clone();
            self.put(
                "pods",
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("{set}-0"),
                "namespace": "shop", "labels": labels, "ownerReferences": [owner]},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
            );
        }
        for service in self.server.names("services") {
            let selector = self.server.get("services", &service).unwrap()["spec"]["selector"].clone();
            let revision = selector["glidepath.dev/revision"].as_str().unwrap_or_default().to_owned();
            let sets = self.server.names("replicasets").into_iter().filter(|set| set.ends_with(&revision));
            let endpoints: Vec<Value> =
                sets.map(|set| json!({"targetRef": {"kind": "Pod", "name": format!("{set}-0")}})).collect();
            self.put(
                "endpointslices",
                json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {"name": format!("{service}-1"), "namespace": "shop",
                    "labels": {"kubernetes.io/service-name": service}}, "endpoints": endpoints}),
            );
        }
    }

    fn wait(&self, seconds: i64) {
        *self.clock.0.lock().unwrap() += jiff::SignedDuration::from_secs(seconds);
    }

    /// What each ReplicaSet asks for.
    fn counts(&self) -> Vec<(String, u64)> {
        let wanted = |name: &String| self.server.get("replicasets", name).unwrap()["spec"]["replicas"].as_u64();
        self.server.names("replicasets").into_iter().map(|name| (name.clone(), wanted(&name).unwrap())).collect()
    }

    /// The pods that all ReplicaSets ask for.
    fn pods(&self) -> u64 {
        self.counts().into_iter().map(|(_, count)| count).sum()
    }

    fn status(&self, name: &str) -> Value {
        self.server.get("rollouts", name).unwrap()["status"].clone()
    }

    /// Notes of the events of one reason.
    async fn events(&self, reason: &str) -> Vec<String> {
        // They are published in the background.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        self.server.events().into_iter().filter(|(found, _)| found == reason).map(|(_, note)| note).collect()
    }
}

fn see<T: Kept>(table: &Table<T>, object: &Value) {
    let text = object.to_string();
    table.seen(Row::of(&RawObject::of(&text).unwrap()));
}

fn key(name: &str) -> RolloutKey {
    RolloutKey { namespace: "shop".into(), name: name.into() }
}

/// A Rollout with its own template, `replicas` pods, and one step that waits for the operator.
fn rollout(name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": template(name, "1"),
            "strategy": {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}},
        },
    })
}

fn template(app: &str, version: &str) -> Value {
    json!({"metadata": {"labels": {"app": app}},
        "spec": {"containers": [{"name": "app", "image": format!("shop/{app}:{version}")}]}})
}

/// The same for a Deployment's pods.
fn adopting(name: &str, deployment: &str) -> Value {
    let mut rollout = rollout(name, 4);
    let spec = rollout["spec"].as_object_mut().unwrap();
    spec.retain(|field, _| field == "strategy");
    spec.insert("workloadRef".into(), json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment}));
    rollout
}

fn deployment(name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template(name, "1")},
        "status": {"replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas},
    })
}

/// Whether a stored Rollout is what the API server would take.
fn typed(object: &Value) -> Rollout {
    serde_json::from_value(object.clone()).unwrap()
}
