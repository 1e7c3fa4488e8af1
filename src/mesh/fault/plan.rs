//! What a fault writes on a mesh, and what is deleted when it is over.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::intent::{FaultIntent, identity};
use crate::{
    api::{MeshFault, fault::MeshFaultSpec},
    mesh::{
        cells::{Becomes, Cell, cell},
        facts::Facts,
        kind::MeshKind,
        ownership::{conflict, is_of_fault},
        paths,
        plan::{MeshPlan, MeshWrite, Refusal},
    },
    router::{ObjectRef, Objects},
};

/// What a fault that ends then writes on a mesh, with `current` the objects of the mesh's kinds in its namespace.
pub fn plan(
    kind: &'static MeshKind,
    fault: &MeshFault,
    until: Timestamp,
    facts: &Facts,
    current: &Objects,
) -> MeshPlan {
    let mut plan = MeshPlan { refused: unfit(kind, &fault.spec), ..MeshPlan::default() };
    match FaultIntent::of(kind.key, fault, until, facts) {
        Ok(intent) if plan.is_clear() => {
            plan.add(kind.provider.fault(&intent, current));
            let own = plan.writes.iter().filter_map(|write| match write {
                MeshWrite::Own(object) => current.replaced_by(object),
                _ => None,
            });
            let taken = own.filter(|there| !is_of_fault(there, intent.fault)).map(|there| conflict(there, ""));
            plan.conflicts.extend(taken.collect::<Vec<_>>());
        }
        Ok(_) => {}
        Err(refusal) => plan.refused.push(refusal),
    }
    plan.whole()
}

/// What to delete once a fault is over or gone.
pub fn end(kind: &'static MeshKind, fault: &MeshFault, current: &Objects) -> Vec<MeshWrite> {
    let (namespace, name) = identity(fault);
    let mut writes = Vec::new();
    for watched in kind.own {
        let own = current.of_kind((&watched.group, &watched.kind), namespace);
        let own = own.filter(|object| is_of_fault(object, name));
        writes.extend(own.map(|object| {
            let called = object["metadata"]["name"].as_str().unwrap_or_default();
            MeshWrite::Delete(ObjectRef { required: false, ..watched.reference(namespace, called) })
        }));
    }
    writes
}

/// The fields that the mesh does not have. A reason is given once, at the first field that has it.
fn unfit(kind: &'static MeshKind, spec: &MeshFaultSpec) -> Vec<Refusal> {
    let written = serde_json::to_value(spec).unwrap_or_default();
    let mut said = BTreeSet::new();
    let refusal = |set: paths::Set| {
        let Some(Cell { path, becomes: Becomes::Refused(why) }) = cell(kind.faults, &set.field) else { return None };
        said.insert(*why).then(|| Refusal {
            field: set.around(path),
            mesh: kind.key,
            why: format!("{} {why}", kind.key),
        })
    };
    // What every fault sets comes last: its effect is what is looked for.
    let mut set = paths::set_by_fault(&written);
    set.sort_by_key(|set| !["delay", "abort"].iter().any(|effect| set.field.starts_with(effect)));
    set.into_iter().filter_map(refusal).collect()
}
