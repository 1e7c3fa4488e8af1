//! What one tick has observed around a Rollout: its writes are planned on this and conditional on its versions.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

use super::{
    kinds::{CachedDeployment, CachedReplicaSet},
    resources::rollouts,
    table::Entry,
    targets::Targets,
    traffic::Traffic,
};
use crate::{
    api::Rollout,
    ports::RolloutKey,
    router::{RouteContext, Router},
};

/// The template that is wanted.
#[derive(Clone, Debug)]
pub struct WantedTemplate {
    /// Its revision id.
    pub id: String,
    /// The template itself.
    pub raw: Value,
}

/// What one tick has observed, with the versions that its writes are conditioned on.
#[derive(Debug)]
pub struct Snapshot {
    /// The Rollout's key.
    pub key: RolloutKey,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion.
    pub version: String,
    /// The object.
    pub rollout: Arc<Rollout>,
    /// Whether its objects are those on record, which the spec does not name any more.
    pub objects_changed: bool,
    /// Its Services and split.
    pub targets: Targets,
    /// Which pods belong to it.
    pub selector: LabelSelector,
    /// The wanted template.
    pub template: Option<Arc<WantedTemplate>>,
    /// Its ReplicaSets.
    pub revisions: Vec<Arc<Entry<CachedReplicaSet>>>,
    /// The referenced Deployment.
    pub workload: Option<Arc<Entry<CachedDeployment>>>,
    /// Its routers.
    pub routers: Vec<Box<dyn Router>>,
    /// Whom they plan for.
    pub context: RouteContext,
    /// Its routes and Services.
    pub traffic: Traffic,
}

impl Snapshot {
    /// An ownerReference to the Rollout.
    pub fn owner(&self, controller: bool) -> Value {
        let resource = rollouts();
        json!({"apiVersion": resource.api_version, "kind": resource.kind, "name": self.key.name, "uid": self.uid,
            "controller": controller})
    }

    /// How many pods are wanted.
    pub fn desired_replicas(&self) -> u32 {
        self.rollout.spec.replicas.unwrap_or(1)
    }
}
