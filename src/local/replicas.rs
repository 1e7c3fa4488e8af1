//! One revision's pods: which exist, which are ready, and which of them go first when there are too many.

use jiff::Timestamp;

use super::{
    pods::{Behaviour, Pod},
    proxy::Backend,
};
use crate::{api::metadata::PodMetadata, engine::RevisionSeen};

/// A revision with its pods: what a ReplicaSet is in a cluster.
pub struct Replicas {
    /// The revision id.
    pub id: String,
    /// Its number.
    pub number: u64,
    /// Its name: the arm of the counters.
    pub workload: String,
    /// The images of its containers.
    pub images: Vec<String>,
    /// How its pods answer.
    pub behaviour: Behaviour,
    /// How many pods are asked for.
    pub wanted: u32,
    /// Why pods do not start, human-readable.
    pub trouble: Option<String>,
    /// What its pods would carry for their role in a cluster; here they are only ports.
    pub metadata: PodMetadata,
    pods: Vec<Slot>,
}

/// A pod's place.
struct Slot {
    serial: u64,
    state: State,
}

enum State {
    Starting,
    Ready { pod: Pod, since: Timestamp },
    Going,
}

/// What must happen to reach the wanted count.
#[derive(Default)]
pub struct Moves {
    /// Pods to start, by serial.
    pub start: Vec<u64>,
    /// Pods to drain, by serial. They are out of [`Replicas::endpoints`] already.
    pub drain: Vec<(u64, Pod)>,
}

impl Replicas {
    /// No pods yet.
    pub fn new(id: &str, number: u64, workload: String, images: Vec<String>, behaviour: Behaviour) -> Self {
        let id = id.to_owned();
        let (metadata, pods) = (PodMetadata::default(), Vec::new());
        Replicas { id, number, workload, images, behaviour, wanted: 0, trouble: None, metadata, pods }
    }

    /// Asks for so many pods; the caller carries the moves out. Pods that are not ready yet go first, then the newest.
    pub fn scale(&mut self, wanted: u32, serials: &mut u64) -> Moves {
        self.wanted = wanted;
        let mut moves = Moves::default();
        let wanted = wanted as usize;
        while self.staying() < wanted {
            *serials += 1;
            self.pods.push(Slot { serial: *serials, state: State::Starting });
            moves.start.push(*serials);
        }
        while self.staying() > wanted {
            let starting = self.pods.iter().rposition(|slot| matches!(slot.state, State::Starting));
            let ready = || self.pods.iter().rposition(|slot| matches!(slot.state, State::Ready { .. }));
            let Some(slot) = starting.or_else(ready).and_then(|at| self.pods.get_mut(at)) else { break };
            if let State::Ready { pod, .. } = std::mem::replace(&mut slot.state, State::Going) {
                moves.drain.push((slot.serial, pod));
            }
        }
        moves
    }

    fn staying(&self) -> usize {
        self.pods.iter().filter(|slot| !matches!(slot.state, State::Going)).count()
    }

    /// A pod is up. Returns it if it is no longer desired.
    pub fn started(&mut self, serial: u64, pod: Pod, now: Timestamp) -> Result<(), Pod> {
        match self.pods.iter_mut().find(|slot| slot.serial == serial) {
            Some(slot) if matches!(slot.state, State::Starting) => {
                slot.state = State::Ready { pod, since: now };
                Ok(())
            }
            _ => Err(pod),
        }
    }

    /// A pod is gone.
    pub fn gone(&mut self, serial: u64) {
        self.pods.retain(|slot| slot.serial != serial);
    }

    /// The ready pods.
    pub fn endpoints(&self) -> Vec<Backend> {
        self.ready().map(|(pod, _)| pod.backend()).collect()
    }

    fn ready(&self) -> impl Iterator<Item = (&Pod, Timestamp)> {
        self.pods.iter().filter_map(|slot| match &slot.state {
            State::Ready { pod, since } => Some((pod, *since)),
            _ => None,
        })
    }

    /// How the engine sees it.
    pub fn seen(&self, min_ready_seconds: u32, now: Timestamp) -> RevisionSeen {
        let long_enough = |since: Timestamp| now.duration_since(since).as_secs() >= i64::from(min_ready_seconds);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        RevisionSeen {
            id: self.id.clone(),
            number: self.number,
            workload: self.workload.clone(),
            images: self.images.clone(),
            wanted: self.wanted,
            pods: count(self.pods.len()),
            ready: count(self.ready().count()),
            available: count(self.ready().filter(|(_, since)| long_enough(*since)).count()),
            trouble: self.trouble.clone(),
            metadata: self.metadata.clone(),
            other_manager: None,
            terminations: Vec::new(),
            metadata_astray: false,
        }
    }
}
