//! Everything the watches have seen, by kind.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::{
    cached_pod::CachedPod,
    cached_rollout::CachedRollout,
    kinds::{CachedAutoscaler, CachedDeployment, CachedReplicaSet, CachedRoute, CachedService, CachedSlice},
    records::{CachedCommand, CachedRun},
    table::Table,
};
use crate::router::GroupResource;

/// A table of each kind.
#[derive(Debug, Default)]
pub struct Tables {
    /// Rollouts.
    pub rollouts: Table<CachedRollout>,
    /// Our ReplicaSets, grouped by Rollout.
    pub replica_sets: Table<CachedReplicaSet>,
    /// Services.
    pub services: Table<CachedService>,
    /// EndpointSlices, grouped by Service.
    pub slices: Table<CachedSlice>,
    /// Pods of our revisions, grouped by ReplicaSet.
    pub pods: Table<CachedPod>,
    /// Deployments.
    pub deployments: Table<CachedDeployment>,
    /// HorizontalPodAutoscalers, grouped by the Deployment that they scale.
    pub autoscalers: Table<CachedAutoscaler>,
    /// AnalysisRuns, grouped by Rollout; those that have ended apart.
    pub runs: Table<CachedRun>,
    /// RolloutCommands, grouped by Rollout; those that are answered apart.
    pub commands: Table<CachedCommand>,
    /// Routers' objects by their kind.
    pub routes: RouteTables,
}

/// Routers' objects. Kinds are added while the process runs, as Rollouts name them.
#[derive(Debug, Default)]
pub struct RouteTables {
    tables: RwLock<BTreeMap<GroupResource, Arc<Table<CachedRoute>>>>,
}

impl RouteTables {
    /// The objects of a kind; `None` where the kind is not watched.
    pub fn get(&self, resource: &GroupResource) -> Option<Arc<Table<CachedRoute>>> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).get(resource).cloned()
    }

    /// Makes a table for a kind that has none.
    pub fn add(&self, resource: GroupResource) {
        self.tables.write().unwrap_or_else(PoisonError::into_inner).entry(resource).or_default();
    }
}
