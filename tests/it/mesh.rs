//! Meshes: golden folders of policies.
//!
//! A case is a folder `tests/golden/mesh/MESH/CASE` with `input.yaml` (a MeshPolicy, the Services and workloads that it names,
//! and objects of the mesh that are there) and `planned.yaml` (what is written, in order; or what is refused, in conflict, noted).
//! `GLIDEPATH_BLESS=1` writes the second: read it.

mod oracle;

use std::{fmt::Write as _, fs, path::Path};

use glidepath::{
    api::MeshPolicy,
    mesh::{Facts, MESHES, MeshKind, MeshPlan, plan, render},
    router::Objects,
    yaml,
};

#[test]
fn golden_policies_of_every_mesh() {
    let mut wrong = Vec::new();
    for kind in MESHES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mesh").join(kind.key);
        let mut cases: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        cases.sort();
        assert!(cases.len() >= 3, "{}: the golden folder has lost cases", kind.key);
        wrong.extend(cases.iter().filter_map(|case| difference(kind, case)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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

/// What is planned for the policy of a file, as text.
fn planned(kind: &'static MeshKind, input: &str) -> String {
    let documents: Vec<_> = yaml::read(input).unwrap().into_iter().map(|document| document.unwrap().value).collect();
    let mut facts = Facts::default();
    documents.iter().for_each(|object| facts.add(object));
    let current: Objects = documents.iter().cloned().collect();
    let policies = documents.iter().filter(|object| object["kind"] == "MeshPolicy");
    let policies: Vec<MeshPolicy> = policies.map(|policy| yaml::typed(policy).unwrap()).collect();
    assert_eq!(policies.len(), 1, "one policy in a case");
    text(&plan(kind, &policies[0], &facts, &current))
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
