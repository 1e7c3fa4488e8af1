//! The only place where a site changes: everything behind one lock, persisted in the folder, and published to the
//! proxy, the API and the terminal.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;
use tokio::sync::{Notify, mpsc};

use super::{
    admission::Routing,
    folder::FolderError,
    health::Health,
    kinds,
    objects::Objects,
    placement::{Endpoint, Placement},
};
use crate::{
    api::{NUMBER_ANNOTATION, REVISION_LABEL, ROLLOUT_LABEL, Rollout, analysis::AnalysisTemplateSpec},
    engine::Notice,
    local::{
        consul::Mesh,
        counters::{Counters, Series},
        proxy::{Backend, Choice, Proxy, Table},
    },
    ports::{Clock, RolloutKey, Source},
    reconcile::GateDesk,
};

/// Which version is where.
pub const PLACEMENT: &str = "site";

/// What there is to print.
#[derive(Clone, Debug)]
pub enum News {
    /// A transition.
    Notice(Timestamp, Notice),
    /// A tick is over, and its transitions came before: the Rollout as it is now.
    Ticked(Box<Rollout>),
}

/// What all handles of a site share.
pub struct Inner {
    pub key: RolloutKey,
    pub clock: Arc<dyn Clock>,
    pub objects: Objects,
    pub counters: Arc<Counters>,
    /// Where numbers come from: the counters of the proxy, or a server.
    pub source: Arc<dyn Source>,
    pub proxy: Arc<Proxy>,
    /// What routes in place of the proxy.
    pub mesh: Option<Mesh>,
    /// Whether a server of metrics is known.
    pub has_metrics: bool,
    pub backends: [Backend; 2],
    pub option: String,
    pub gates: Arc<GateDesk>,
    pub state: Mutex<State>,
    pub changed: Arc<Notify>,
    pub news: mpsc::UnboundedSender<News>,
    /// Since when this process decides, where another one did before.
    pub deciding_since: Option<Timestamp>,
}

/// What changes.
pub struct State {
    pub placement: Placement,
    pub health: [Health; 2],
    pub templates: BTreeMap<String, AnalysisTemplateSpec>,
    series: BTreeMap<String, Arc<Series>>,
    serial: u64,
    kept: Option<Placement>,
}

impl State {
    /// Nothing is known of the addresses yet.
    pub fn new(placement: Placement, templates: BTreeMap<String, AnalysisTemplateSpec>) -> Self {
        State { placement, health: Default::default(), templates, series: BTreeMap::new(), serial: 0, kept: None }
    }
}

impl Inner {
    /// What routes here.
    pub fn routing(&self) -> Routing {
        match &self.mesh {
            Some(_) => Routing::Consul { has_metrics: self.has_metrics },
            None => Routing::Proxy,
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn time(&self) -> Time {
        Time(self.clock.now())
    }

    /// Persists which version is where, and publishes it to the proxy and the API.
    pub fn keep(&self, state: &mut State) -> Result<(), FolderError> {
        self.count(state);
        self.reroute(state);
        if state.kept.as_ref() != Some(&state.placement) {
            self.objects.folder().write(PLACEMENT, &state.placement)?;
            state.kept = Some(state.placement.clone());
        }
        self.publish(state)
    }

    /// Each time that a version comes up it begins a series of its own, as a pod does.
    fn count(&self, state: &mut State) {
        let State { placement, health, series, .. } = state;
        for version in &placement.versions {
            let ready = placement.is_ready(version, health);
            if ready && !series.contains_key(&version.id) {
                let workload = format!("{}-{}", self.key.name, version.id);
                series.insert(version.id.clone(), self.counters.series(&workload));
            } else if let (false, Some(ended)) = (ready, series.get(&version.id)) {
                ended.end();
                series.remove(&version.id);
            }
        }
    }

    fn reroute(&self, state: &State) {
        let placement = &state.placement;
        let target = |id: Option<&String>| {
            let version = placement.version(id?)?;
            let series = state.series.get(&version.id).cloned();
            Some(vec![self.backends[version.place].counted_in(series)])
        };
        // What --stable names is in use before the engine has looked at it.
        let stable = target(placement.stable.as_ref()).unwrap_or_else(|| vec![self.backends[0].clone()]);
        let choice = Choice::new(&placement.route.clone().unwrap_or_default().into());
        self.proxy.set(Table { stable, canary: target(placement.canary.as_ref()), choice });
    }

    /// The versions as ReplicaSets, which is what the commands look for.
    fn publish(&self, state: &State) -> Result<(), FolderError> {
        let uid = self.objects.get(kinds::ROLLOUT, &self.key.name);
        let uid = uid.as_ref().map(|rollout| rollout["metadata"]["uid"].clone()).unwrap_or_default();
        let placement = &state.placement;
        for version in &placement.versions {
            let name = format!("{}-{}", self.key.name, version.id);
            let ready = u32::from(placement.is_ready(version, &state.health));
            let Endpoint { address, .. } = &placement.places[version.place];
            let object = json!({
                "metadata": {
                    "name": name, "namespace": self.key.namespace, "uid": name, "creationTimestamp": version.created,
                    "labels": { REVISION_LABEL: version.id, ROLLOUT_LABEL: self.key.name },
                    "annotations": { NUMBER_ANNOTATION: version.number.to_string(), "glidepath.dev/address": address },
                    "ownerReferences": [{
                        "apiVersion": kinds::ROLLOUT.api_version(), "kind": "Rollout", "name": self.key.name, "uid": uid,
                        "controller": true,
                    }],
                },
                "spec": { "replicas": version.wanted, "selector": {}, "template": version.template },
                "status": { "replicas": ready, "readyReplicas": ready, "availableReplicas": ready },
            });
            self.objects.put(kinds::REPLICA_SET, &object)?;
        }
        let known = |name: &str| placement.versions.iter().any(|version| name.ends_with(&version.id));
        for old in self.objects.list(kinds::REPLICA_SET).1 {
            let name = old["metadata"]["name"].as_str().unwrap_or_default();
            if !known(name) {
                self.objects.remove(kinds::REPLICA_SET, name)?;
            }
        }
        Ok(())
    }

    /// Reports a transition: an Event, and a line on the terminal.
    pub fn tell(&self, state: &mut State, notice: Notice) {
        let now = self.clock.now();
        state.serial += 1;
        let name = format!("{}.{:x}.{}", self.key.name, now.as_millisecond(), state.serial);
        let event = json!({
            "metadata": { "name": name, "namespace": self.key.namespace },
            "involvedObject": {
                "apiVersion": kinds::ROLLOUT.api_version(), "kind": "Rollout",
                "name": self.key.name, "namespace": self.key.namespace,
            },
            "type": if notice.warning { "Warning" } else { "Normal" },
            "reason": notice.reason, "message": notice.message, "count": 1,
            "source": { "component": "glidepath" },
            "firstTimestamp": now, "lastTimestamp": now,
        });
        if let Err(error) = self.objects.put(kinds::EVENT, &event) {
            tracing::warn!(%error, "an event is not kept");
        }
        // Nobody reads any more: the site is ending.
        let _ = self.news.send(News::Notice(now, notice));
    }
}
