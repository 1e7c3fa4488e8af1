//! What the API server reports of all namespaces: one watch per kind, shared by everything that is played.

use super::at_path;
use crate::node;
use ::glidepath::api::{Rollout, RolloutCommand};
use anyhow::{Context, Result};
use futures::StreamExt;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::reflector::{self, Lookup, Store, reflector};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// All lists have come by then.
const LISTED: Duration = Duration::from_secs(60);

/// Everything that is looked at.
pub struct Eyes {
    pub client: Client,
    rollouts: Store<Rollout>,
    commands: Store<RolloutCommand>,
    sets: Store<ReplicaSet>,
    services: Store<Service>,
    deployments: Store<Deployment>,
    routes: Store<DynamicObject>,
    rules: Store<DynamicObject>,
    told: Arc<Mutex<HashMap<String, Told>>>,
    changed: watch::Sender<u64>,
}

/// An event of a Rollout, and when it was heard of.
#[derive(Debug, Clone)]
pub struct Told {
    pub namespace: String,
    pub at: Instant,
    pub warning: bool,
    pub reason: String,
    pub note: String,
}

impl Eyes {
    /// Opens the watches and waits until each has its first list.
    pub async fn open(kubeconfig: &Path) -> Result<Self> {
        let client = node::client(kubeconfig).await?;
        let (changed, _) = watch::channel(0);
        let istio = |kind: &str| ApiResource::from_gvk(&GroupVersionKind::gvk("networking.istio.io", "v1", kind));
        let eyes = Self {
            rollouts: follow(&client, &(), &changed),
            commands: follow(&client, &(), &changed),
            sets: follow(&client, &(), &changed),
            services: follow(&client, &(), &changed),
            deployments: follow(&client, &(), &changed),
            routes: follow(&client, &istio("VirtualService"), &changed),
            rules: follow(&client, &istio("DestinationRule"), &changed),
            told: listen(&client, &changed),
            changed,
            client,
        };
        let listed = async {
            eyes.rollouts.wait_until_ready().await.context("the watch of Rollouts ended")?;
            eyes.sets.wait_until_ready().await.context("the watch of ReplicaSets ended")?;
            eyes.routes.wait_until_ready().await.context("the watch of VirtualServices ended")
        };
        let late = "no list within a minute: is there an object that cannot be read?";
        tokio::time::timeout(LISTED, listed).await.context(late)??;
        Ok(eyes)
    }

    /// Tells of every change of anything.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub fn rollout(&self, namespace: &str, name: &str) -> Option<Arc<Rollout>> {
        one(&self.rollouts, namespace, name)
    }

    pub fn command(&self, namespace: &str, name: &str) -> Option<Arc<RolloutCommand>> {
        one(&self.commands, namespace, name)
    }

    pub fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>> {
        one(&self.services, namespace, name)
    }

    pub fn deployment(&self, namespace: &str, name: &str) -> Option<Arc<Deployment>> {
        one(&self.deployments, namespace, name)
    }

    /// The spec of a VirtualService.
    pub fn route(&self, namespace: &str, name: &str) -> Option<Value> {
        one(&self.routes, namespace, name).map(|object| at_path(&object.data, "/spec"))
    }

    /// The spec of a DestinationRule.
    pub fn rule(&self, namespace: &str, name: &str) -> Option<Value> {
        one(&self.rules, namespace, name).map(|object| at_path(&object.data, "/spec"))
    }

    /// All ReplicaSets of a namespace.
    pub fn sets(&self, namespace: &str) -> Vec<Arc<ReplicaSet>> {
        let all = self.sets.state().into_iter();
        all.filter(|set| set.metadata.namespace.as_deref() == Some(namespace)).collect()
    }

    /// The events of a namespace's Rollouts, oldest first.
    pub fn told(&self, namespace: &str) -> Vec<Told> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut own: Vec<Told> = told.values().filter(|told| told.namespace == namespace).cloned().collect();
        own.sort_by_key(|told| told.at);
        own
    }
}

fn one<K: Lookup<DynamicType: Eq + Hash + Clone> + Clone>(
    store: &Store<K>,
    namespace: &str,
    name: &str,
) -> Option<Arc<K>> {
    store.find(|object| object.namespace().as_deref() == Some(namespace) && object.name().as_deref() == Some(name))
}

/// Keeps a store of all objects of one kind up to date for as long as the runtime lives.
fn follow<K>(client: &Client, kind: &K::DynamicType, changed: &watch::Sender<u64>) -> Store<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Eq + Hash + Clone + Send + Sync,
{
    let writer = reflector::store::Writer::new(kind.clone());
    let store = writer.as_reader();
    let api: Api<K> = Api::all_with(client.clone(), kind);
    let changed = changed.clone();
    tokio::spawn(async move {
        let stream = watcher::watcher(api, watcher::Config::default()).default_backoff();
        let mut stream = std::pin::pin!(reflector(writer, stream));
        while stream.next().await.is_some() {
            changed.send_modify(|number| *number += 1);
        }
    });
    store
}

/// Hears the events of Rollouts, each once.
fn listen(client: &Client, changed: &watch::Sender<u64>) -> Arc<Mutex<HashMap<String, Told>>> {
    let told: Arc<Mutex<HashMap<String, Told>>> = Arc::default();
    let (heard, changed, api) = (Arc::clone(&told), changed.clone(), Api::<Event>::all(client.clone()));
    tokio::spawn(async move {
        let stream = watcher::watcher(api, watcher::Config::default()).default_backoff().applied_objects();
        let mut stream = std::pin::pin!(stream);
        while let Some(event) = stream.next().await {
            let Ok(event) = event else { continue };
            let about = event.regarding.clone().unwrap_or_default();
            if about.kind.as_deref() != Some("Rollout") {
                continue;
            }
            let one = Told {
                namespace: about.namespace.unwrap_or_default(),
                at: Instant::now(),
                warning: event.type_.as_deref() == Some("Warning"),
                reason: event.reason.clone().unwrap_or_default(),
                note: event.note.clone().unwrap_or_default(),
            };
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.entry(event.metadata.uid.unwrap_or_default()).or_insert(one);
            changed.send_modify(|number| *number += 1);
        }
    });
    told
}
