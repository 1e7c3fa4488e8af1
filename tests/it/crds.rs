//! The checked-in CRDs are the generated ones, and small enough for every client.

use std::path::Path;

use glidepath::cli::verbs::crds::files;

/// Each folder, and whether it holds the kinds of mesh policies.
const FOLDERS: [(&str, bool); 2] = [("deploy/crds", false), ("deploy/mesh/crds", true)];
/// `kubectl apply` keeps a copy in an annotation, which is bounded at 256 KiB together with all others.
const MOST_BYTES: usize = 200_000;

#[test]
fn checked_in_crds_are_the_generated_ones() {
    for (folder, mesh) in FOLDERS {
        for (name, generated) in files(mesh).unwrap() {
            let kept = std::fs::read_to_string(place(folder).join(&name)).unwrap_or_default();
            let flag = if mesh { "--mesh " } else { "" };
            assert!(
                kept == generated,
                "{folder}/{name} is not what the types say; regenerate with: cargo run -- crds {flag}--write {folder}"
            );
        }
    }
}

#[test]
fn no_other_file_lies_beside_them_but_the_kustomization() {
    for (folder, mesh) in FOLDERS {
        let generated: Vec<String> = files(mesh).unwrap().into_iter().map(|(name, _)| name).collect();
        for entry in std::fs::read_dir(place(folder)).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            assert!(generated.contains(&name) || name == "kustomization.yaml", "{folder}/{name} has no kind any more");
        }
    }
}

fn place(folder: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

#[test]
fn every_crd_is_small() {
    for (name, text) in [files(false), files(true)].into_iter().flatten().flatten() {
        assert!(text.len() < MOST_BYTES, "{name} has {} bytes; at most {MOST_BYTES} fit", text.len());
    }
}
