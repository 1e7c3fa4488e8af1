//! One fault per target: which faults are about the same pods, and which of them has to wait.

use super::intent::identity;
use crate::{
    api::{MeshFault, fault::FaultState},
    mesh::facts::Facts,
};

/// Another fault.
#[derive(Clone, Copy, Debug)]
pub struct Competitor<'a> {
    /// It, with the status that was recorded last.
    pub fault: &'a MeshFault,
    /// Whether an object of it is on the mesh.
    pub is_written: bool,
}

/// Whether a fault has to wait for another one of its target: for one that is active or still on the mesh, and for an older one that
/// waits itself. Whoever asks has to see what it recorded and wrote itself.
pub fn is_busy<'a>(fault: &MeshFault, others: impl IntoIterator<Item = Competitor<'a>>, facts: &Facts) -> bool {
    let mut rivals = others
        .into_iter()
        .filter(|other| identity(other.fault) != identity(fault) && is_same_target(other.fault, fault, facts));
    rivals.any(|other| {
        let state = other.fault.status.as_ref().and_then(|status| status.state.as_ref());
        other.is_written
            || match state {
                Some(FaultState::Active(_)) => true,
                Some(FaultState::Ended(_)) => false,
                Some(FaultState::Pending(_)) | None => age(other.fault) < age(fault),
            }
    })
}

/// Whether two faults are about the same pods: of one Service, or of two that select pods of one workload.
pub fn is_same_target(one: &MeshFault, other: &MeshFault, facts: &Facts) -> bool {
    let namespace = identity(one).0;
    if namespace != identity(other).0 {
        return false;
    }
    let (one, other) = (&one.spec.target.service, &other.spec.target.service);
    let of = |name: &str| facts.service(namespace, name);
    one == other
        || of(one).zip(of(other)).is_some_and(|(one, other)| {
            let mut pods = facts.workloads(namespace, &one.selector);
            pods.any(|pod| facts.workloads(namespace, &other.selector).any(|also| also == pod))
        })
}

/// The order of their creation; one from a file, without a time, is younger than any in the cluster.
fn age(fault: &MeshFault) -> (bool, Option<jiff::Timestamp>, &str) {
    let created = fault.metadata.creation_timestamp.as_ref().map(|time| time.0);
    (created.is_none(), created, identity(fault).1)
}
