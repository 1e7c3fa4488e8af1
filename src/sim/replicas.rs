//! One revision's pods: made and taken away as a ReplicaSet does it.

use serde_json::Value;

use crate::{
    api::{metadata::PodMetadata, revision},
    engine::{PodSeen, RevisionSeen, TerminationSeen},
};

use super::{
    pods::Pod,
    time::{Millis, instant},
};

/// A ReplicaSet with its pods.
#[derive(Clone, Debug)]
pub struct Replicas {
    /// The revision id.
    pub id: String,
    /// Its number.
    pub number: u64,
    /// Its name: the arm of the counters.
    pub workload: String,
    /// Its pod template.
    pub template: Value,
    /// What its template carries for its role; pods are born with it.
    pub metadata: PodMetadata,
    /// How many pods are asked for.
    pub wanted: u32,
    /// The pods that exist.
    pub pods: Vec<Pod>,
    /// Pods that found no room.
    pub without_room: u32,
    /// Changes with every change that the API server would report.
    pub version: u64,
}

impl Replicas {
    /// No pods yet.
    pub fn new(id: &str, number: u64, workload: String, template: Value) -> Self {
        let id = id.to_owned();
        let (metadata, pods) = (PodMetadata::default(), Vec::new());
        Replicas { id, number, workload, template, metadata, wanted: 0, pods, without_room: 0, version: 1 }
    }

    /// Takes surplus pods away: those that are not ready first, then the newest.
    pub fn shrink(&mut self, now: Millis) -> Vec<Pod> {
        self.without_room = self.without_room.min(self.wanted.saturating_sub(count(self.pods.len())));
        self.pods.sort_by_key(|pod| (!pod.is_ready(now), pod.born, pod.serial));
        let keep = self.pods.len().min(self.wanted as usize);
        self.pods.split_off(keep)
    }

    /// Pods that are ready.
    pub fn ready(&self, now: Millis) -> u32 {
        count(self.pods.iter().filter(|pod| pod.is_ready(now)).count())
    }

    /// Pods that have been ready for so long.
    pub fn available(&self, now: Millis, min_ready: Millis) -> u32 {
        self.ready(now - min_ready)
    }

    /// The first container's image.
    pub fn image(&self) -> String {
        first_image(&self.template)
    }

    /// How the engine sees its pods one by one.
    pub fn pods_seen(&self, now: Millis) -> impl Iterator<Item = PodSeen> {
        self.pods.iter().map(move |pod| PodSeen {
            name: format!("{}-{}", self.workload, pod.serial),
            uid: pod.uid(),
            revision: self.id.clone(),
            created: instant(pod.born),
            ready: pod.is_ready(now),
        })
    }

    /// The containers that have ended: of each pod the first that the template lists.
    fn terminations(&self) -> Vec<TerminationSeen> {
        let container = self.template.pointer("/spec/containers/0/name").and_then(Value::as_str).unwrap_or("app");
        let ended = self.pods.iter().filter(|pod| pod.restarts > 0).map(|pod| TerminationSeen {
            pod: format!("{}-{}", self.workload, pod.serial),
            container: container.to_owned(),
            ended: pod.restarts,
            restarts: pod.restarts,
            oom_killed: pod.was_oom_killed,
            exit_code: if pod.was_oom_killed { 137 } else { 1 },
            reason: if pod.was_oom_killed { "OOMKilled" } else { "Error" }.to_owned(),
        });
        ended.collect()
    }

    /// How the engine sees it.
    pub fn seen(&self, now: Millis, min_ready: Millis) -> RevisionSeen {
        let room = self.without_room > 0;
        RevisionSeen {
            id: self.id.clone(),
            number: self.number,
            workload: self.workload.clone(),
            images: revision::images(&self.template),
            wanted: self.wanted,
            pods: count(self.pods.len()).saturating_add(self.without_room),
            ready: self.ready(now),
            available: self.available(now, min_ready),
            trouble: room.then(|| format!("{} pods are unschedulable: no room on any node", self.without_room)),
            metadata: self.metadata.clone(),
            other_manager: None,
            terminations: self.terminations(),
            metadata_astray: self.pods.iter().any(|pod| pod.metadata != self.metadata),
        }
    }
}

/// The first container's image.
pub fn first_image(template: &Value) -> String {
    revision::images(template).into_iter().next().unwrap_or_default()
}

/// A length as the API writes counts.
pub fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_that_are_not_ready_go_first_then_the_newest() {
        let mut set = Replicas::new("a", 1, "shop-a".into(), Value::Null);
        for (serial, born, ready) in [(1, 0, Some(1)), (2, 5, Some(6)), (3, 7, None), (4, 3, Some(4))] {
            set.pods.push(Pod::new(serial, 0, born, ready, 0));
        }
        set.wanted = 2;
        let gone: Vec<u64> = set.shrink(10).iter().map(|pod| pod.serial).collect();
        assert_eq!(gone, [2, 3]);
        assert_eq!((set.ready(10), set.available(10, 8)), (2, 1));
    }
}
