//! Faults: golden folders `tests/golden/fault/MESH/CASE`, of the same form as those of policies. A fault ends as its status says, else
//! at noon.

use std::{
    fs,
    path::{Path, PathBuf},
};

use glidepath::{
    api::MeshFault,
    mesh::{Facts, MESHES, MeshKind, MeshPlan, MeshWrite, fault},
    router::Objects,
    yaml,
};
use jiff::Timestamp;

struct Input {
    fault: MeshFault,
    facts: Facts,
    current: Objects,
    until: Timestamp,
}

fn read(case: &Path) -> Input {
    let text = fs::read_to_string(case.join("input.yaml")).unwrap();
    let documents: Vec<_> = yaml::read(&text).unwrap().into_iter().map(|document| document.unwrap().value).collect();
    let mut facts = Facts::default();
    documents.iter().for_each(|object| facts.add(object));
    let fault = documents.iter().find(|object| object["kind"] == "MeshFault").unwrap();
    let fault: MeshFault = yaml::typed(fault).unwrap();
    let state = fault.status.as_ref().and_then(|status| status.state.as_ref());
    let until = state.and_then(|state| state.until()).unwrap_or_else(|| "2026-12-01T12:00:00Z".parse().unwrap());
    Input { fault, facts, current: documents.into_iter().collect(), until }
}

fn planned(kind: &'static MeshKind, input: &Input) -> MeshPlan {
    fault::plan(kind, &input.fault, input.until, &input.facts, &input.current)
}

fn cases(kind: &MeshKind) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fault").join(kind.key);
    let mut cases: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

#[test]
fn golden_faults_of_every_mesh() {
    let mut wrong = Vec::new();
    for kind in MESHES {
        let cases = cases(kind);
        assert!(cases.len() >= 2, "{}: the golden folder has lost cases", kind.key);
        for case in cases {
            let text = super::text(&planned(kind, &read(&case)));
            let file = case.join("planned.yaml");
            if std::env::var_os("GLIDEPATH_BLESS").is_some() {
                fs::write(&file, &text).unwrap();
            }
            let wanted = fs::read_to_string(&file).unwrap_or_default();
            if text != wanted {
                wrong.push(format!("{}:\n--- wanted\n{wanted}\n--- planned\n{text}", case.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is written is written again the same, and all of it goes with the fault. Objects of others stay.
#[test]
fn a_fault_leaves_nothing_behind_and_takes_nothing_along() {
    for kind in MESHES {
        for case in cases(kind) {
            let input = read(&case);
            let plan = planned(kind, &input);
            let after = Input { current: plan.after(&input.current), ..read(&case) };
            assert_eq!(planned(kind, &after), plan, "{}", case.display());
            let writes = fault::end(kind, &input.fault, &after.current);
            assert!(writes.iter().all(|write| matches!(write, MeshWrite::Delete(_))), "{writes:?}");
            let ended = MeshPlan { writes, ..MeshPlan::default() }.after(&after.current);
            let is_own = |object: &serde_json::Value| {
                object["metadata"]["labels"]["glidepath.dev/fault"] == *input.fault.metadata.name.as_ref().unwrap()
            };
            let others =
                |objects: &Objects| -> Vec<_> { objects.iter().filter(|object| !is_own(object)).cloned().collect() };
            assert_eq!(ended.iter().filter(|object| is_own(object)).count(), 0, "{}", case.display());
            assert_eq!(others(&ended), others(&input.current), "{}", case.display());
        }
    }
}
