//! Everything the watches have seen, by kind.

use std::collections::BTreeMap;

use super::{
    kinds::{AutoscalerKept, DeploymentKept, PodKept, ReplicaSetKept, RolloutKept, RouteKept, ServiceKept, SliceKept},
    records::{CommandKept, RunKept},
    table::Table,
};

/// A table of each kind.
#[derive(Debug, Default)]
pub struct Tables {
    /// Rollouts.
    pub rollouts: Table<RolloutKept>,
    /// Our ReplicaSets, grouped by Rollout.
    pub replica_sets: Table<ReplicaSetKept>,
    /// Services.
    pub services: Table<ServiceKept>,
    /// EndpointSlices, grouped by Service.
    pub slices: Table<SliceKept>,
    /// Pods of our revisions, grouped by ReplicaSet.
    pub pods: Table<PodKept>,
    /// Deployments.
    pub deployments: Table<DeploymentKept>,
    /// HorizontalPodAutoscalers, grouped by the Deployment that they scale.
    pub autoscalers: Table<AutoscalerKept>,
    /// AnalysisRuns, grouped by Rollout; those that have ended apart.
    pub runs: Table<RunKept>,
    /// RolloutCommands, grouped by Rollout; those that are answered apart.
    pub commands: Table<CommandKept>,
    /// Routers' objects by the plural of their kind.
    pub routes: BTreeMap<&'static str, Table<RouteKept>>,
}
