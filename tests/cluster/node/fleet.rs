//! All pods of the cluster: what the API server says about them, and what the harness does in answer.

use super::NODE;
use super::behaviour::Told;
use super::control::PodCount;
use super::pod::{Pod, lock};
use anyhow::{Context, Result};
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{Binding, Pod as Object};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// API calls in flight at most: a fleet of thousands of pods must not bury the API server.
const CALLS: usize = 32;

pub struct Fleet {
    client: Client,
    /// How pods to come behave.
    pub told: Told,
    pods: Mutex<HashMap<String, Arc<Pod>>>,
    gone: Mutex<Vec<PodCount>>,
    next_address: AtomicU32,
    listed: AtomicBool,
    targets_changed: Notify,
    calls: Semaphore,
}

impl Fleet {
    pub fn new(client: Client) -> Self {
        Self {
            client,
            told: Told::default(),
            pods: Mutex::default(),
            gone: Mutex::default(),
            next_address: AtomicU32::new(20),
            listed: AtomicBool::new(false),
            targets_changed: Notify::new(),
            calls: Semaphore::new(CALLS),
        }
    }

    pub fn listed(&self) -> bool {
        self.listed.load(Ordering::Acquire)
    }

    /// The counts of all pods, those gone included.
    pub fn counts(&self, namespace: Option<&str>) -> Vec<PodCount> {
        let wanted = |name: &str| namespace.is_none_or(|wanted| wanted == name);
        // One lock at a time and the present ones first: a pod that goes in between may be seen twice but never missed.
        let present: Vec<_> =
            lock(&self.pods).values().filter(|p| wanted(&p.namespace)).map(|p| p.count(false)).collect();
        let gone: Vec<_> = lock(&self.gone).iter().filter(|count| wanted(&count.namespace)).cloned().collect();
        let key = |count: &PodCount| (count.namespace.clone(), count.pod.clone(), count.address.clone());
        let known: HashSet<_> = gone.iter().map(key).collect();
        present.into_iter().filter(|count| !known.contains(&key(count))).chain(gone).collect()
    }

    fn address(&self) -> Ipv4Addr {
        let n = self.next_address.fetch_add(1, Ordering::Relaxed);
        let [high, low] = [n / 250 % 250 + 1, n % 250 + 1].map(|part| u8::try_from(part).unwrap_or(u8::MAX));
        Ipv4Addr::new(10, 244, high, low)
    }

    fn api(&self, namespace: &str) -> Api<Object> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// Follows the pods of all namespaces forever.
pub async fn follow(fleet: Arc<Fleet>) -> Result<()> {
    let pods: Api<Object> = Api::all(fleet.client.clone());
    let mut seen = HashSet::new();
    let mut events = std::pin::pin!(watcher::watcher(pods, watcher::Config::default()));
    loop {
        match events.try_next().await {
            Ok(Some(Event::Init)) => seen.clear(),
            Ok(Some(Event::InitApply(object))) => {
                seen.insert(object.uid().unwrap_or_default());
                changed(&fleet, &object);
            }
            Ok(Some(Event::InitDone)) => {
                forget_all_but(&fleet, &seen);
                fleet.listed.store(true, Ordering::Release);
            }
            Ok(Some(Event::Apply(object))) => changed(&fleet, &object),
            Ok(Some(Event::Delete(object))) => forget(&fleet, &object.uid().unwrap_or_default()),
            Ok(None) => anyhow::bail!("the watch of pods ended"),
            Err(error) => {
                eprintln!("watch of pods: {error}");
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
    }
}

fn changed(fleet: &Arc<Fleet>, object: &Object) {
    let uid = object.uid().unwrap_or_default();
    let bound = object.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    let deleting = object.metadata.deletion_timestamp.is_some();
    let known = lock(&fleet.pods).get(&uid).cloned();
    let (pod, new) = match known {
        Some(pod) => (pod, false),
        None if !bound && !deleting => {
            spawn("bind", bind(Arc::clone(fleet), object.namespace().unwrap_or_default(), object.name_any()));
            return; // The binding comes back as a change.
        }
        None => {
            let pod = Arc::new(Pod::new(object, &fleet.told));
            lock(&fleet.pods).insert(uid, Arc::clone(&pod));
            (pod, true)
        }
    };
    if deleting {
        if !pod.leaving.swap(true, Ordering::AcqRel) {
            spawn("finish", finish(Arc::clone(fleet), pod));
        }
    } else if new {
        spawn("start", start(Arc::clone(fleet), pod));
    } else {
        pod.obey(object);
    }
}

fn spawn(what: &'static str, work: impl Future<Output = Result<()>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = work.await {
            eprintln!("{what}: {error:#}");
        }
    });
}

async fn bind(fleet: Arc<Fleet>, namespace: String, name: String) -> Result<()> {
    let binding: Binding = serde_json::from_value(json!({
        "metadata": {"name": name}, "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
    }))?;
    let _turn = fleet.calls.acquire().await?;
    let answer: kube::Result<Value> =
        fleet.api(&namespace).create_subresource("binding", &name, &PostParams::default(), &binding).await;
    settle(answer).with_context(|| format!("cannot bind {namespace}/{name}"))
}

async fn start(fleet: Arc<Fleet>, pod: Arc<Pod>) -> Result<()> {
    tokio::time::sleep(pod.orders.start_delay).await;
    if pod.leaving.load(Ordering::Acquire) {
        return Ok(());
    }
    let address = fleet.address();
    Arc::clone(&pod).serve(address).await?;
    // The address is this pod's alone: it is set once.
    let _ = pod.address.set(address);
    let status = Patch::Merge(status(&pod, address));
    let turn = fleet.calls.acquire().await?;
    let answer = fleet.api(&pod.namespace).patch_status(&pod.name, &PatchParams::default(), &status).await;
    drop(turn);
    settle(answer).with_context(|| format!("cannot report {}/{} running", pod.namespace, pod.name))?;
    pod.ready.store(!pod.orders.never_ready, Ordering::Release);
    fleet.targets_changed.notify_one();
    Ok(())
}

fn status(pod: &Pod, address: Ipv4Addr) -> Value {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let ready = if pod.orders.never_ready { "False" } else { "True" };
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "lastTransitionTime": now});
    let containers: Vec<_> = pod.containers.iter().map(|(name, image)| json!({
        "name": name, "ready": ready == "True", "started": true, "restartCount": 0, "image": image, "imageID": image,
        "state": {"running": {"startedAt": now}},
    })).collect();
    json!({"status": {
        "phase": "Running", "hostIP": "10.244.0.1", "podIP": address, "podIPs": [{"ip": address}], "startTime": now,
        "conditions": [condition("PodScheduled", "True"), condition("Initialized", "True"),
            condition("ContainersReady", ready), condition("Ready", ready)],
        "containerStatuses": containers,
    }})
}

/// Serves on for the drain time, then closes the address and lets the API server forget the pod.
async fn finish(fleet: Arc<Fleet>, pod: Arc<Pod>) -> Result<()> {
    if pod.address.get().is_some() {
        tokio::time::sleep(pod.orders.drain).await;
    }
    pod.closed.cancel();
    let turn = fleet.calls.acquire().await?;
    let exactly = Preconditions { uid: Some(pod.uid.clone()), resource_version: None };
    let now = DeleteParams::default().grace_period(0).preconditions(exactly);
    let answer = fleet.api(&pod.namespace).delete(&pod.name, &now).await;
    drop(turn);
    settle(answer).with_context(|| format!("cannot finish {}/{}", pod.namespace, pod.name))
}

/// A pod that went away or was bound in the meantime is no failure: the watch reports what is true.
fn settle<T>(answer: kube::Result<T>) -> kube::Result<()> {
    match answer {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error),
    }
}

fn forget(fleet: &Fleet, uid: &str) {
    let mut pods = lock(&fleet.pods);
    if let Some(pod) = pods.remove(uid) {
        pod.closed.cancel();
        lock(&fleet.gone).push(pod.count(true));
        fleet.targets_changed.notify_one();
    }
}

fn forget_all_but(fleet: &Fleet, seen: &HashSet<String>) {
    let lost: Vec<_> = lock(&fleet.pods).keys().filter(|uid| !seen.contains(*uid)).cloned().collect();
    lost.iter().for_each(|uid| forget(fleet, uid));
}

/// Writes the scrape targets after each change, at most five times a second and each time whole.
pub async fn write_targets(fleet: Arc<Fleet>, file: &Path) -> Result<()> {
    let draft = file.with_extension("draft");
    loop {
        tokio::fs::write(&draft, serde_json::to_vec(&targets(&fleet))?).await.context("cannot write the targets")?;
        tokio::fs::rename(&draft, file).await?;
        fleet.targets_changed.notified().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn targets(fleet: &Fleet) -> Vec<Value> {
    let is_label = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let target = |pod: &Arc<Pod>| {
        let address = pod.address.get()?;
        let mut labels = serde_json::Map::new();
        labels.extend(pod.labels.iter().filter(|(k, _)| is_label(k)).map(|(k, v)| (k.clone(), json!(v))));
        labels.insert("namespace".into(), json!(pod.namespace));
        labels.insert("pod".into(), json!(pod.name));
        Some(json!({"targets": [format!("{address}:{}", pod.orders.port)], "labels": labels}))
    };
    lock(&fleet.pods).values().filter_map(target).collect()
}
