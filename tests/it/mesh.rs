//! Meshes: golden folders of policies.
//!
//! A case is a folder `tests/golden/mesh/MESH/CASE` with `input.yaml` (a MeshPolicy, the Services and workloads that it names,
//! objects of the mesh that are there, and after it other policies) and `planned.yaml` (what is written, in order; or what is
//! refused, in conflict, noted). `GLIDEPATH_BLESS=1` writes the second: read it.

mod faults;
mod foreign;
mod oracle;
mod schemas;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use glidepath::{
    api::MeshPolicy,
    mesh::{Facts, MESHES, MeshKind, MeshPlan, MeshWrite, plan, render},
    router::Objects,
    yaml,
};

#[test]
fn golden_policies_of_every_mesh() {
    let mut wrong = Vec::new();
    for kind in MESHES {
        let cases = cases(kind);
        assert!(cases.len() >= 3, "{}: the golden folder has lost cases", kind.key);
        wrong.extend(cases.iter().filter_map(|case| difference(kind, case)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The golden cases of a mesh.
fn cases(kind: &MeshKind) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mesh").join(kind.key);
    let mut cases: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

#[test]
fn every_planned_object_fits_the_definitions_of_its_mesh() {
    for kind in MESHES {
        let schemas = schemas::of(kind.key);
        for case in cases(kind) {
            let Input { policy, facts, current } = read(&fs::read_to_string(case.join("input.yaml")).unwrap());
            for write in plan(kind, &policy, &facts, &current).writes {
                let (MeshWrite::Own(object) | MeshWrite::Replace(object)) = write else { continue };
                let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
                let key = (text(&object["apiVersion"]), text(&object["kind"]));
                let Some(schema) = schemas.get(&key) else {
                    let is_others =
                        !["policy.linkerd.io", "consul.hashicorp.com"].iter().any(|group| key.0.starts_with(group));
                    assert!(is_others || schemas.is_empty(), "{}: there is no definition of {key:?}", case.display());
                    continue;
                };
                let problems = schemas::problems(schema, &object);
                assert!(problems.is_empty(), "{}: {} {problems:?}", case.display(), object["metadata"]["name"]);
            }
        }
    }
}

/// Once its writes are carried out, a policy wants what is there and nothing else: no deletion, no change of an entry.
#[test]
fn planning_twice_is_the_same() {
    for kind in MESHES {
        for case in cases(kind) {
            let Input { policy, facts, current } = read(&fs::read_to_string(case.join("input.yaml")).unwrap());
            let first = plan(kind, &policy, &facts, &current);
            assert_eq!(first, plan(kind, &policy, &facts, &current), "{}", case.display());
            let after = first.after(&current);
            let second = plan(kind, &policy, &facts, &after);
            let again = |write: &MeshWrite| match write {
                MeshWrite::Own(_) => first.writes.contains(write),
                // The record is there.
                MeshWrite::Fields(_) => true,
                MeshWrite::Replace(_) | MeshWrite::Delete(_) => false,
            };
            assert!(second.writes.iter().all(again), "{}: {:?}", case.display(), second.writes);
            assert_eq!(second.pending(&after), [], "{}", case.display());
            assert_eq!((second.refused, second.conflicts), (first.refused, first.conflicts), "{}", case.display());
        }
    }
}

fn difference(kind: &'static MeshKind, case: &Path) -> Option<String> {
    let planned = planned(kind, &fs::read_to_string(case.join("input.yaml")).unwrap());
    let file = case.join("planned.yaml");
    if std::env::var_os("GLIDEPATH_BLESS").is_some() {
        fs::write(&file, &planned).unwrap();
    }
    let wanted = fs::read_to_string(&file).unwrap_or_default();
    let shown = || format!("{}:\n--- wanted\n{wanted}\n--- planned\n{planned}", case.display());
    (planned != wanted).then(shown)
}

/// What a file says.
struct Input {
    policy: MeshPolicy,
    facts: Facts,
    current: Objects,
}

/// A file whose first policy is planned.
fn read(input: &str) -> Input {
    let documents: Vec<_> = yaml::read(input).unwrap().into_iter().map(|document| document.unwrap().value).collect();
    let mut facts = Facts::default();
    documents.iter().for_each(|object| facts.add(object));
    let policies = documents.iter().filter(|object| object["kind"] == "MeshPolicy");
    let mut policies: Vec<MeshPolicy> = policies.map(|policy| yaml::typed(policy).unwrap()).collect();
    Input { policy: policies.remove(0), facts, current: documents.into_iter().collect() }
}

/// What is planned for the policy of a file, as text.
fn planned(kind: &'static MeshKind, input: &str) -> String {
    let Input { policy, facts, current } = read(input);
    text(&plan(kind, &policy, &facts, &current))
}

fn text(plan: &MeshPlan) -> String {
    let mut text = String::new();
    let lines = plan.refused.iter().map(|refusal| format!("refused: {refusal}"));
    let lines = lines.chain(plan.conflicts.iter().map(|conflict| format!("conflict: {conflict}")));
    for line in lines.chain(plan.notes.iter().map(|note| format!("note: {note}"))) {
        writeln!(text, "# {line}").unwrap();
    }
    text + &render(plan).unwrap()
}
