//! The checked-in CRDs are the generated ones, and small enough for every client.

use std::path::Path;

use glidepath::cli::verbs::crds::files;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/crds");
/// `kubectl apply` keeps a copy in an annotation, which is bounded at 256 KiB together with all others.
const MOST_BYTES: usize = 200_000;

#[test]
fn checked_in_crds_are_the_generated_ones() {
    for (name, generated) in files().unwrap() {
        let kept = std::fs::read_to_string(Path::new(FOLDER).join(&name)).unwrap_or_default();
        assert!(
            kept == generated,
            "deploy/crds/{name} is not what the types say; regenerate with: cargo run -- crds --write deploy/crds"
        );
    }
}

#[test]
fn no_other_file_lies_beside_them_but_the_kustomization() {
    let generated: Vec<String> = files().unwrap().into_iter().map(|(name, _)| name).collect();
    for entry in std::fs::read_dir(FOLDER).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(generated.contains(&name) || name == "kustomization.yaml", "deploy/crds/{name} has no kind any more");
    }
}

#[test]
fn every_crd_is_small() {
    for (name, text) in files().unwrap() {
        assert!(text.len() < MOST_BYTES, "{name} has {} bytes; at most {MOST_BYTES} fit", text.len());
    }
}
