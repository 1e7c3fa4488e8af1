//! Every mesh there is, and the plan of a policy on one of them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    cells::{Becomes, Cell, cell, is_within},
    check::{self, Caller, Checked},
    consul,
    facts::{Facts, Service},
    intent::{Intent, Target},
    istio,
    kind::MeshKind,
    leftover, linkerd, others, paths,
    plan::{MeshPlan, MeshWrite, PolicyName, Refusal},
    settings,
};
use crate::{
    api::{MeshPolicy, validate::is_security},
    router::Objects,
    yaml,
};

/// Every mesh, in the order of the documentation.
pub static MESHES: &[MeshKind] = &[istio::KIND, linkerd::KIND, consul::KIND];

/// The mesh of this name.
pub fn mesh(key: &str) -> Option<&'static MeshKind> {
    MESHES.iter().find(|kind| kind.key == key)
}

/// What a policy would write on a mesh, with `current` the objects that the mesh asked for.
pub fn plan(kind: &'static MeshKind, policy: &MeshPolicy, facts: &Facts, current: &Objects) -> MeshPlan {
    let mut plan = MeshPlan::default();
    let Some((spec, fields)) = fitting(kind, policy, &mut plan) else { return plan.whole() };
    let read = match yaml::typed(&spec) {
        Ok(read) => read,
        Err(error) => return refused(kind, plan, "", error.to_string()),
    };
    let root = kind.root_namespace.unwrap_or(&facts.root_namespace);
    match Intent::of((kind.key, root), policy, read, facts) {
        Ok(intent) => {
            plan.conflicts.extend(others::conflicts(policy, &fields, &intent.others));
            plan.add(kind.provider.plan(&intent, current));
            plan.conflicts.extend(leftover::taken(intent.policy, current, &plan.writes));
            let name = PolicyName { namespace: intent.namespace, name: intent.policy };
            plan.writes.extend(leftover::leftovers(kind, name, current, &plan.writes));
        }
        Err(refusal) => plan.refused.push(refusal),
    }
    plan.whole()
}

/// What becomes of the callers of one of the policy's Services under the objects as they would be after a plan. `None` where the
/// mesh's metrics do not say who called.
pub fn check_service(
    kind: &'static MeshKind,
    service: &Service,
    facts: &Facts,
    after: &Objects,
    callers: Vec<Caller>,
) -> Option<Checked> {
    let intent = Intent::for_service(kind.key, service, facts);
    let access = kind.provider.access(&intent, after)?;
    Some(check::check(&access, callers))
}

/// The Services that a policy is for.
pub fn services<'a>(policy: &MeshPolicy, facts: &'a Facts) -> Vec<&'a Service> {
    let (namespace, _) = others::identity(policy);
    let target = Target::of(&policy.spec.target, (namespace, &facts.root_namespace), facts);
    target.map(|target| target.services(namespace, facts)).unwrap_or_default()
}

/// What to write when a policy goes: its objects are deleted, its fields in those of the user's released, its entries in their
/// lists as they were before. `current` are all objects of the mesh's kinds in the policy's namespace.
pub fn hand_back(kind: &'static MeshKind, policy: PolicyName<'_>, current: &Objects) -> Vec<MeshWrite> {
    let mut writes = kind.provider.restore(policy, current);
    writes.extend(leftover::leftovers(kind, policy, current, &[]));
    writes
}

fn refused(kind: &'static MeshKind, mut plan: MeshPlan, field: &str, why: String) -> MeshPlan {
    plan.refused.push(Refusal { field: field.to_owned(), mesh: kind.key, why });
    plan.whole()
}

/// The policy's settings, with those of its profile and presets, without what it calls optional and the mesh does not have; and
/// which fields it sets.
fn fitting(kind: &'static MeshKind, policy: &MeshPolicy, plan: &mut MeshPlan) -> Option<(Value, BTreeSet<String>)> {
    let settings = match settings::of(&policy.spec) {
        Ok(settings) => settings,
        Err(problem) => {
            plan.refused.push(Refusal { field: problem.field.to_owned(), mesh: kind.key, why: problem.why });
            return None;
        }
    };
    let unknown = |optional: &&String| !paths::fields().iter().any(|field| is_within(field, optional));
    for optional in policy.spec.optional.iter().filter(unknown) {
        let why = format!("there is no field {optional}; lists are written like failover[].from");
        plan.refused.push(Refusal { field: "optional".to_owned(), mesh: kind.key, why });
    }
    let (set, mut spec) = (paths::set(&settings.spec), settings.spec);
    let mut said = BTreeSet::new();
    for set in &set {
        let Some(Cell { path, becomes: Becomes::Refused(why) }) = cell(kind.cells, &set.field) else { continue };
        let place = set.around(path);
        if !said.insert(place.clone()) {
            continue;
        }
        let origin = settings.origins.iter().find(|origin| is_within(&set.field, &origin.field));
        let from = origin.map(|origin| format!(" (from {})", origin.from)).unwrap_or_default();
        if policy.spec.optional.iter().any(|optional| is_within(path, optional)) {
            paths::remove(&mut spec, path);
            plan.notes.push(format!("spec.{place}{from} is left out: {} {why}", kind.key));
        } else {
            let or = if is_security(path) { String::new() } else { format!(", or add {path} to spec.optional") };
            let why = format!("{} {why}{from}; remove it{or}", kind.key);
            plan.refused.push(Refusal { field: place, mesh: kind.key, why });
        }
    }
    Some((spec, set.into_iter().map(|set| set.field).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mesh_answers_for_every_field() {
        let (fields, faults) = (paths::fields(), paths::fault_fields());
        assert!(fields.len() > 60, "{fields:?}");
        assert_eq!(faults.len(), 7, "{faults:?}");
        let tables = MESHES.iter().flat_map(|kind| [(kind, kind.cells, &fields), (kind, kind.faults, &faults)]);
        for (kind, cells, fields) in tables {
            let silent: Vec<_> = fields.iter().filter(|field| cell(cells, field).is_none()).collect();
            assert!(silent.is_empty(), "{}: no line in the table for {silent:?}", kind.key);
            let idle: Vec<_> =
                cells.iter().filter(|cell| !fields.iter().any(|field| is_within(field, cell.path))).collect();
            assert!(idle.is_empty(), "{}: there are no such fields: {idle:?}", kind.key);
        }
    }

    #[test]
    fn a_reason_follows_the_meshs_name_and_ends_without_a_full_stop() {
        for kind in MESHES {
            for cell in kind.cells.iter().chain(kind.faults) {
                if let Becomes::Refused(why) = cell.becomes {
                    assert!(
                        why.starts_with("has no") || why.starts_with("cannot") || why.starts_with("always"),
                        "{why}"
                    );
                    assert!(!why.ends_with('.'), "{why}");
                }
            }
        }
    }
}
