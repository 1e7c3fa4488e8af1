//! What the objects of the mesh have to say in a state of the change, as writes.

use super::{
    narrow,
    seen::{Seen, Specs, spec_id},
};
use crate::{
    api::{MeshPolicy, policy::MeshPolicySpec},
    mesh::{
        MeshKind, MeshPlan, MeshWrite, PolicyName,
        change::{Desired, Settings},
        hand_back, plan,
    },
    router::Objects,
};

/// The writes of a state, those first that are safe first. A spec that is on no record leaves the objects as they are.
pub(super) fn writes(
    seen: &Seen<'_>,
    kind: &'static MeshKind,
    settings: &Settings,
    desired: &Desired,
) -> Vec<MeshWrite> {
    let name = seen.policy.metadata.name.as_deref().unwrap_or_default();
    let mut writes = match desired {
        Desired::InForce(spec) => in_force(seen, kind, spec.as_deref()),
        // No mesh counts denials for this version, so nothing is audited.
        Desired::Audit(_) => return Vec::new(),
        Desired::Wave(id, wave) => match spec(seen, id) {
            Some(spec) => self::wave(seen, kind, settings, &spec, *wave),
            None => return Vec::new(),
        },
    };
    let namespace = seen.policy.metadata.namespace.as_deref().unwrap_or_default();
    let gone = narrow::narrow_leftovers(kind, PolicyName { namespace, name }, seen.objects, &writes);
    writes.extend(gone);
    writes
}

/// What takes everything of a policy away that is deleted, as far as it is still there.
pub fn released(kind: &'static MeshKind, policy: PolicyName<'_>, objects: &Objects) -> Vec<MeshWrite> {
    let mut writes = hand_back(kind, policy, objects);
    writes.extend(narrow::narrow_leftovers(kind, policy, objects, &[]));
    MeshPlan { writes, ..MeshPlan::default() }.pending(objects)
}

fn in_force(seen: &Seen<'_>, kind: &'static MeshKind, id: Option<&str>) -> Vec<MeshWrite> {
    let metadata = &seen.policy.metadata;
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let name = metadata.name.as_deref().unwrap_or_default();
    match id.map(|id| spec(seen, id)) {
        None => hand_back(kind, PolicyName { namespace, name }, seen.objects),
        Some(None) => Vec::new(),
        Some(Some(spec)) => of_spec(seen, kind, &spec).writes,
    }
}

/// The workloads up to a wave have the spec, the others what is in force; with the last wave all have it.
fn wave(
    seen: &Seen<'_>,
    kind: &'static MeshKind,
    settings: &Settings,
    spec: &MeshPolicySpec,
    wave: u32,
) -> Vec<MeshWrite> {
    let namespace = seen.policy.metadata.namespace.as_deref().unwrap_or_default();
    let workloads = narrow::workloads(namespace, spec, seen.facts);
    let count = u32::try_from(workloads.len()).unwrap_or(u32::MAX);
    if wave >= settings.last_wave(count) {
        return of_spec(seen, kind, spec).writes;
    }
    let reached = settings.waves.get(wave as usize).map_or(count, |wave| wave.of(count));
    let in_force = seen.policy.status.as_ref().and_then(|status| status.in_force.as_deref());
    let mut writes = match in_force {
        Some(id) => self::in_force(seen, kind, Some(id)),
        None => Vec::new(),
    };
    let narrow = workloads.into_iter().take(reached as usize);
    writes.extend(narrow.flat_map(|workload| narrow::writes(seen, kind, spec, workload)));
    writes
}

/// The plan of a spec of this policy.
pub(super) fn of_spec(seen: &Seen<'_>, kind: &'static MeshKind, spec: &MeshPolicySpec) -> MeshPlan {
    let policy = MeshPolicy { metadata: seen.policy.metadata.clone(), spec: spec.clone(), status: None };
    plan(kind, &policy, seen.facts, seen.objects)
}

fn spec(seen: &Seen<'_>, id: &str) -> Option<MeshPolicySpec> {
    let known: &Specs = seen.specs;
    if spec_id(&seen.policy.spec) == id { Some(seen.policy.spec.clone()) } else { known.get(id).cloned() }
}
