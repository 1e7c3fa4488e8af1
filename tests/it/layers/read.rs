//! Reads `src` as these tests need it: the product's files, their code without comments and tests, and what they name.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use regex::Regex;

const SRC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

/// A module that is compiled for tests alone, in a file of its own.
static TEST_MODULE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"#\[cfg\(test\)\]\s*(?:#\[path = "([^"]+)"\]\s*)?(?:pub(?:\([^)]*\))? )?mod (\w+);"#).unwrap()
});
/// The tests at a file's end.
static TESTS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?s)#\[cfg\(test\)\]\s*mod \w+ \{.*").unwrap());

/// One file of the product.
pub struct File {
    /// Below `src`: `cluster/watch/mod.rs`.
    pub path: String,
    /// Its code, without comments and without tests.
    pub code: String,
}

impl File {
    /// Its module: `cluster`, `watch`. None for `main.rs` and `lib.rs`.
    pub fn module(&self) -> Vec<String> {
        let stem = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        if matches!(stem, "main" | "lib") { Vec::new() } else { stem.split('/').map(str::to_owned).collect() }
    }
}

/// The folder that a file is in; empty for `src` itself.
pub fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Every file of the product: all but those that are compiled for tests alone.
pub fn product() -> Vec<File> {
    let mut all = Vec::new();
    let mut of_tests = BTreeSet::new();
    for path in files(Path::new(SRC)) {
        let text = std::fs::read_to_string(&path).unwrap();
        of_tests.extend(TEST_MODULE.captures_iter(&text).map(|found| {
            let file = found.get(1).map_or_else(|| format!("{}.rs", &found[2]), |path| path.as_str().to_owned());
            let beside = found.get(1).is_some() || path.file_stem().is_some_and(|stem| stem == "mod" || stem == "lib");
            if beside { path.with_file_name(file) } else { path.with_extension("").join(file) }
        }));
        all.push((path, text));
    }
    for path in &of_tests {
        assert!(path.exists(), "{} is declared for tests and is not there", path.display());
    }
    all.retain(|(path, _)| !of_tests.contains(path));
    let file = |(path, text): &(PathBuf, String)| File {
        path: path.strip_prefix(SRC).unwrap().to_string_lossy().into_owned(),
        code: code(text),
    };
    all.iter().map(file).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|kind| kind == "rs") => files.push(path),
                false => {}
            }
        }
    }
    files.sort();
    files
}

fn code(text: &str) -> String {
    let product = TESTS.replace(text, "");
    let product = TEST_MODULE.replace_all(&product, "");
    product.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The paths in a use tree, written out: `a::{b, c::d}` gives `a::b` and `a::c::d`.
pub fn paths(tree: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for entry in entries(tree) {
        let (path, inner) = match entry.split_once('{') {
            Some((path, inner)) => (path, Some(inner.strip_suffix('}').unwrap_or(inner))),
            None => (entry.split(" as ").next().unwrap_or_default(), None),
        };
        let path: Vec<String> =
            path.split("::").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        match inner {
            None => all.push(path),
            Some(inner) => all.extend(paths(inner).into_iter().map(|rest| [path.clone(), rest].concat())),
        }
    }
    all
}

/// The comma-separated entries of a use tree.
fn entries(tree: &str) -> Vec<String> {
    let mut entries = vec![String::new()];
    let mut depth = 0;
    for c in tree.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match c {
            ',' if depth == 0 => entries.push(String::new()),
            _ => entries.last_mut().unwrap().push(if c.is_whitespace() { ' ' } else { c }),
        }
    }
    entries.into_iter().map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty()).collect()
}

#[test]
fn use_trees_are_written_out() {
    let tree = "crate::{\n    api::{self, Rollout as R, status::{A, B}},\n    engine,\n}";
    let all: Vec<String> = paths(tree).iter().map(|path| path.join("::")).collect();
    let wanted =
        ["crate::api::self", "crate::api::Rollout", "crate::api::status::A", "crate::api::status::B", "crate::engine"];
    assert_eq!(all, wanted);
}

#[test]
fn files_of_tests_are_known_by_their_declaration_and_not_by_their_name() {
    let product: Vec<String> = product().into_iter().map(|file| file.path).collect();
    let is_there = |path: &str| product.iter().any(|file| file == path);
    assert!(is_there("engine/ab_test.rs") && is_there("cluster/mod.rs") && is_there("main.rs"));
    for path in ["yaml/tests.rs", "evidence/run_tests.rs", "cluster/watch/fake_api.rs", "view/samples.rs"] {
        assert!(!is_there(path) && Path::new(SRC).join(path).exists(), "{path}");
    }
    let text = "#[cfg(test)]\nmod fake;\nuse a::b; // c\n#[cfg(test)]\nmod tests {\n use super::*;\n}\n";
    assert_eq!(code(text).trim(), "use a::b;");
}
