//! What the small world holds of pods and runs.

use jiff::Timestamp;

use glidepath::api::{common::Percent, metadata::PodMetadata};

#[derive(Clone, Debug, Default)]
pub(super) struct ReplicaSet {
    pub(super) metadata: PodMetadata,
    pub(super) number: u64,
    pub(super) wanted: u32,
    /// Another writer set `wanted` last.
    pub(super) rescaled: bool,
    pub(super) pods: Vec<SimPod>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct SimPod {
    pub(super) serial: u64,
    pub(super) created: Timestamp,
    /// When it becomes ready; `None`: never.
    pub(super) ready_at: Option<Timestamp>,
    /// How often its container was restarted, and whether it was OOM-killed the last time.
    pub(super) restarts: u32,
    pub(super) oom_killed: bool,
}

impl SimPod {
    pub(super) fn new(serial: u64, created: Timestamp, ready_at: Option<Timestamp>) -> Self {
        SimPod { serial, created, ready_at, restarts: 0, oom_killed: false }
    }
}

#[derive(Clone, Debug)]
pub(super) struct SimRun {
    pub(super) canary: String,
    pub(super) epoch: u32,
    pub(super) share: Option<Percent>,
    pub(super) goal: bool,
    pub(super) stop: bool,
}

pub(super) fn is_ready(pod: &SimPod, now: Timestamp) -> bool {
    pod.ready_at.is_some_and(|at| at <= now)
}

pub(super) fn ready(set: &ReplicaSet, now: Timestamp) -> u32 {
    u32::try_from(set.pods.iter().filter(|pod| is_ready(pod, now)).count()).unwrap_or(u32::MAX)
}
