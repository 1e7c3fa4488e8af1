//! The patches that put old faults back fit the tree: `make reintroduced` takes too long to find out in each test run.

use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The text that each hunk of a patch wants to find, with its file.
fn wanted(patch: &str) -> Vec<(String, String)> {
    let (mut file, mut hunks) = (String::new(), Vec::new());
    for line in patch.lines() {
        if let Some(path) = line.strip_prefix("--- a/") {
            file = path.to_owned();
        } else if line.starts_with("@@") {
            hunks.push((file.clone(), String::new()));
        } else if let (Some((_, text)), Some(old)) = (hunks.last_mut(), line.strip_prefix([' ', '-']))
            && !line.starts_with("---")
        {
            text.push_str(old);
            text.push('\n');
        }
    }
    hunks
}

#[test]
fn every_old_fault_can_be_put_back_into_this_tree() {
    let folder = Path::new(ROOT).join("tests/it/faulty/reintroduced");
    let patches = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let patches: Vec<_> = patches.filter(|path| path.extension().is_some_and(|kind| kind == "patch")).collect();
    assert!(patches.len() >= 7, "{patches:?}");
    for patch in patches {
        let hunks = wanted(&std::fs::read_to_string(&patch).unwrap());
        assert!(!hunks.is_empty(), "{} changes nothing", patch.display());
        for (file, text) in hunks {
            let found = std::fs::read_to_string(Path::new(ROOT).join(&file)).unwrap();
            assert!(found.contains(&text), "{} does not apply to {file}:\n{text}", patch.display());
        }
    }
}
