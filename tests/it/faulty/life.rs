//! What else lives in a cluster: ReplicaSets and Deployments that make pods, pods that come up, Services whose endpoints
//! follow, and the garbage collector. One look does what is due; everything is written like any other change.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    cluster::FaultyCluster,
    faults::dice,
    store::{Key, Store, collect_garbage, count, text},
};

/// How often the controllers of the cluster look.
const LOOK: Duration = Duration::from_millis(250);

/// What they remember.
#[derive(Debug, Default)]
pub struct Life {
    /// When a pod becomes ready, by uid.
    ready_at: BTreeMap<String, Duration>,
    seen: Option<u64>,
    pods: u64,
    /// Images that never become ready.
    pub broken: BTreeSet<String>,
    /// How long a pod takes to become ready, at least.
    pub startup: Duration,
}

/// Lives until the cluster is dropped.
pub async fn live(cluster: Arc<FaultyCluster>) {
    loop {
        let (now, time, seed) = (cluster.now(), cluster.time(), cluster.seed);
        cluster.with(|c| {
            let due = c.life.ready_at.values().any(|at| *at <= now);
            if due || c.life.seen != Some(c.store.watched) {
                c.life.look(&mut c.store, now, time, seed);
                c.life.seen = Some(c.store.watched);
            }
        });
        sleep(LOOK).await;
    }
}

impl Life {
    fn look(&mut self, store: &mut Store, now: Duration, time: Timestamp, seed: u64) {
        collect_garbage(store, time);
        deployments(store, time);
        self.replica_sets(store, now, time, seed);
        self.readiness(store, now, time);
        statuses(store, time);
        endpoints(store, time);
    }

    /// Each ReplicaSet has as many pods as it wants.
    fn replica_sets(&mut self, store: &mut Store, now: Duration, time: Timestamp, seed: u64) {
        let sets: Vec<(Key, Arc<Value>)> =
            store.all("replicasets").map(|(key, set)| (key.clone(), Arc::clone(set))).collect();
        for (key, set) in sets {
            let mut pods = pods_of(store, &set);
            let wanted = count(&set, "/spec/replicas") as usize;
            for _ in pods.len()..wanted {
                self.pods += 1;
                let name = format!("{}-{}", key.name, self.pods);
                let pod = store.put(&Key { plural: "pods", name, ..key.clone() }, pod(&key, &set), time);
                let uid = text(&pod, "/metadata/uid").to_owned();
                let image = text(&pod, "/spec/containers/0/image");
                if !self.broken.contains(image) {
                    let startup = self.startup + Duration::from_millis(dice(seed, (&uid, "startup")) % 3_000);
                    self.ready_at.insert(uid, now + startup);
                }
            }
            // Those that are not ready go first, then the youngest.
            pods.sort_by_key(|(key, pod)| (is_ready(pod), std::cmp::Reverse(key.name.len()), key.name.clone()));
            let spare = pods.len().saturating_sub(wanted);
            pods.iter().take(spare).for_each(|(key, _)| store.delete(key, time));
        }
    }

    /// Pods whose time has come are ready.
    fn readiness(&mut self, store: &mut Store, now: Duration, time: Timestamp) {
        let due: BTreeSet<String> =
            self.ready_at.iter().filter(|(_, at)| **at <= now).map(|(uid, _)| uid.clone()).collect();
        let pods: Vec<Key> = store
            .all("pods")
            .filter(|(_, pod)| due.contains(text(pod, "/metadata/uid")))
            .map(|(key, _)| key.clone())
            .collect();
        pods.iter().for_each(|key| set_ready(store, key, true, time));
        self.ready_at.retain(|uid, _| !due.contains(uid));
    }

    /// After a restore kubelets report what they run: a pod that was not ready in the backup comes up all the same.
    pub fn restored(&mut self, store: &Store, now: Duration) {
        for (_, pod) in store.all("pods").filter(|(_, pod)| !is_ready(pod)) {
            if !self.broken.contains(text(pod, "/spec/containers/0/image")) {
                self.ready_at.entry(text(pod, "/metadata/uid").to_owned()).or_insert(now + self.startup);
            }
        }
    }

    /// A pod fails, and comes back later.
    pub fn crash(&mut self, store: &mut Store, key: &Key, back_at: Duration, time: Timestamp) {
        let Some(pod) = store.get(key) else { return };
        self.ready_at.insert(text(pod, "/metadata/uid").to_owned(), back_at);
        set_ready(store, key, false, time);
    }
}

fn pod(set_key: &Key, set: &Value) -> Value {
    let template = &set["spec"]["template"];
    json!({
        "metadata": {"labels": template["metadata"]["labels"], "annotations": template["metadata"]["annotations"],
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set_key.name,
                "uid": set["metadata"]["uid"], "controller": true}]},
        "spec": template["spec"],
        "status": {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]},
    })
}

fn set_ready(store: &mut Store, key: &Key, ready: bool, time: Timestamp) {
    let status = if ready { "True" } else { "False" };
    store.edit(key, time, |pod| {
        pod["status"] = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": status}]});
    });
}

/// Whether a pod serves.
pub fn is_ready(pod: &Value) -> bool {
    text(pod, "/status/conditions/0/status") == "True"
}

/// A ReplicaSet's pods that are not being deleted.
pub fn pods_of(store: &Store, set: &Value) -> Vec<(Key, Arc<Value>)> {
    let uid = &set["metadata"]["uid"];
    let owned = store.all("pods").filter(|(_, pod)| pod["metadata"]["ownerReferences"][0]["uid"] == *uid);
    owned.map(|(key, pod)| (key.clone(), Arc::clone(pod))).collect()
}

/// Counts of each ReplicaSet and Deployment.
fn statuses(store: &mut Store, time: Timestamp) {
    let sets: Vec<(Key, Arc<Value>)> =
        store.all("replicasets").map(|(key, set)| (key.clone(), Arc::clone(set))).collect();
    let mut by_owner: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (key, set) in sets {
        let pods = pods_of(store, &set);
        let ready = pods.iter().filter(|(_, pod)| is_ready(pod)).count();
        let owner = text(&set, "/metadata/ownerReferences/0/uid").to_owned();
        let of_owner = by_owner.entry(owner).or_default();
        *of_owner = (of_owner.0 + pods.len(), of_owner.1 + ready);
        store.edit(&key, time, |set| set["status"] = counts(pods.len(), ready, set));
    }
    let deployments: Vec<Key> = store.all("deployments").map(|(key, _)| key.clone()).collect();
    for key in deployments {
        let uid = store.get(&key).map(|object| text(object, "/metadata/uid").to_owned()).unwrap_or_default();
        let (pods, ready) = by_owner.get(&uid).copied().unwrap_or_default();
        store.edit(&key, time, |deployment| deployment["status"] = counts(pods, ready, deployment));
    }
}

fn counts(pods: usize, ready: usize, object: &Value) -> Value {
    json!({"replicas": pods, "readyReplicas": ready, "availableReplicas": ready, "fullyLabeledReplicas": pods,
        "observedGeneration": object["metadata"]["generation"]})
}

/// A Deployment has one ReplicaSet of its own, as many pods as it wants, and new ones for a new template unless it is
/// paused.
fn deployments(store: &mut Store, time: Timestamp) {
    let all: Vec<(Key, Arc<Value>)> = store.all("deployments").map(|(key, d)| (key.clone(), Arc::clone(d))).collect();
    for (key, deployment) in all {
        let set_key = Key { plural: "replicasets", name: format!("{}-own", key.name), ..key.clone() };
        let paused = deployment["spec"]["paused"] == true;
        let mut set = store.get(&set_key).map(|set| (**set).clone()).unwrap_or_else(|| {
            json!({"metadata": {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": key.name,
                "uid": deployment["metadata"]["uid"], "controller": true}]},
                "spec": {"selector": deployment["spec"]["selector"], "template": deployment["spec"]["template"]}})
        });
        set["spec"]["replicas"] = deployment["spec"]["replicas"].clone();
        if !paused {
            set["spec"]["template"] = deployment["spec"]["template"].clone();
        }
        store.put(&set_key, set, time);
    }
}

/// The slices of every Service name the pods that it selects.
fn endpoints(store: &mut Store, time: Timestamp) {
    let services: Vec<(Key, Value)> =
        store.all("services").map(|(key, service)| (key.clone(), service["spec"]["selector"].clone())).collect();
    for (key, selector) in services {
        let Some(selector) = selector.as_object().filter(|selector| !selector.is_empty()) else { continue };
        let selected = |pod: &Value| selector.iter().all(|(name, value)| pod["metadata"]["labels"][name] == *value);
        let pods = store.all("pods").filter(|(place, pod)| place.namespace == key.namespace && selected(pod));
        let endpoints: Vec<Value> = pods
            .map(|(place, pod)| {
                json!({"addresses": ["10.0.0.1"], "conditions": {"ready": is_ready(pod)},
                "targetRef": {"kind": "Pod", "name": place.name, "namespace": place.namespace}})
            })
            .collect();
        let slice_key = Key { plural: "endpointslices", name: format!("{}-slice", key.name), ..key.clone() };
        let uid = store.get(&key).map(|service| service["metadata"]["uid"].clone()).unwrap_or_default();
        let mut slice = store.get(&slice_key).map(|slice| (**slice).clone()).unwrap_or_else(super::store::empty);
        slice["metadata"]["labels"]["kubernetes.io/service-name"] = key.name.clone().into();
        slice["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "v1", "kind": "Service", "name": key.name, "uid": uid}]);
        slice["addressType"] = "IPv4".into();
        slice["endpoints"] = endpoints.into();
        store.put(&slice_key, slice, time);
    }
}
