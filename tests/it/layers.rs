//! The layers hold: which module of `src` may name which, and what the pure ones may not name at all.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

const SRC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

/// Each top-level module and those it may name besides itself. An arrow points only downward (lib.rs draws it).
const MAY_NAME: [(&str, &[&str]); 17] = [
    ("api", &[]),
    ("yaml", &[]),
    ("stats", &[]),
    ("metrics", &[]),
    ("expr", &["api"]),
    ("evidence", &["api", "stats", "expr", "yaml"]),
    ("engine", &["api", "stats", "expr", "evidence"]),
    ("ports", &["api", "evidence", "engine"]),
    ("clock", &["ports"]),
    ("router", &["api", "engine", "ports", "yaml"]),
    ("source", &["api", "evidence", "ports"]),
    ("cluster", &["metrics", "api", "engine", "evidence", "ports", "router", "clock", "yaml"]),
    ("sim", &["api", "engine", "evidence", "ports", "stats"]),
    ("local", &["api", "clock", "engine", "evidence", "ports", "stats"]),
    ("server", &["metrics", "cluster"]),
    (
        "controller",
        &["api", "metrics", "clock", "cluster", "engine", "evidence", "ports", "router", "server", "source", "yaml"],
    ),
    (
        "cli",
        &[
            "api",
            "clock",
            "cluster",
            "controller",
            "engine",
            "evidence",
            "expr",
            "local",
            "ports",
            "router",
            "server",
            "sim",
            "source",
            "yaml",
        ],
    ),
];

/// Modules without I/O, clocks and randomness.
const PURE: [&str; 5] = ["api", "stats", "expr", "evidence", "engine"];
/// What they may not name. kube's derives, its CEL and its plain types are fine; its client is not.
const IMPURE: [&str; 12] = [
    "kube::Client",
    "kube::client",
    "kube::Api",
    "kube::api::Api",
    "kube::runtime",
    "tokio::",
    "reqwest",
    "hyper",
    "std::time::Instant",
    "std::time::SystemTime",
    "rand::",
    "std::fs",
];

fn sources() -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::from(SRC)];
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

/// The top-level module a file belongs to; none for `main.rs` and `lib.rs`.
fn module(path: &Path) -> Option<String> {
    let first = path.strip_prefix(SRC).unwrap().components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    let name = first.trim_end_matches(".rs").to_owned();
    (name != "main" && name != "lib").then_some(name)
}

/// The code without comments, and without the tests at a file's end: those may use what they need.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    if is_of_tests(path) {
        return String::new();
    }
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    let lines = text[..end].lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// Files of tests have names of their own; `ab_test.rs` is about A/B tests.
fn is_of_tests(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_string_lossy();
    name == "tests" || name.ends_with("_tests")
}

/// The first names after each `crate::`, with those of `use crate::{a::.., b}`.
fn named(code: &str) -> BTreeSet<String> {
    let word =
        |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => drop(found.insert(word(rest))),
            Some(group) => found.extend(top_level(group).iter().map(|entry| word(entry))),
        }
    }
    found.remove("");
    found
}

/// The comma-separated entries of a use group, up to its closing brace.
fn top_level(group: &str) -> Vec<String> {
    let mut entries = vec![String::new()];
    let mut depth = 0;
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => entries.push(String::new()),
            _ if depth == 0 => entries.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    entries
}

#[test]
fn arrows_point_only_downward() {
    let allowed: HashMap<&str, &[&str]> = MAY_NAME.into_iter().collect();
    let there: BTreeSet<String> = sources().iter().filter_map(|path| module(path)).collect();
    let known = MAY_NAME.iter().flat_map(|(name, may)| may.iter().chain([name]));
    let mut wrong: Vec<String> =
        known.filter(|name| !there.contains(**name)).map(|name| format!("there is no module {name}")).collect();
    for (module, may) in MAY_NAME {
        let circle = may.iter().filter(|name| allowed.get(*name).is_some_and(|may| may.contains(&module)));
        wrong.extend(circle.map(|name| format!("{module} and {name} may name each other")));
    }
    for path in sources() {
        let Some(module) = module(&path) else { continue };
        let Some(may) = allowed.get(module.as_str()) else {
            wrong.push(format!("src/{module} has no row in MAY_NAME"));
            continue;
        };
        for name in named(&code(&path)) {
            let is_module = allowed.contains_key(name.as_str());
            if is_module && name != module && !may.contains(&name.as_str()) {
                wrong.push(format!("{} names crate::{name}, which {module} may not", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_modules_name_no_client_runtime_clock_or_dice() {
    let mut wrong = Vec::new();
    for path in sources() {
        if module(&path).is_none_or(|module| !PURE.contains(&module.as_str())) {
            continue;
        }
        let code = code(&path);
        wrong.extend(
            IMPURE.iter().filter(|name| code.contains(**name)).map(|name| format!("{}: {name}", path.display())),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_one_module_reads_yaml() {
    let names = |path: &&PathBuf| ["serde_yaml", "yaml_rust2"].iter().any(|name| code(path).contains(name));
    let sources = sources();
    let readers: Vec<&PathBuf> = sources.iter().filter(names).collect();
    let elsewhere: Vec<_> = readers.iter().filter(|path| !path.starts_with(Path::new(SRC).join("yaml"))).collect();
    assert!(elsewhere.is_empty() && !readers.is_empty(), "use crate::yaml instead: {elsewhere:?}");
}

#[test]
fn the_readers_of_this_test_read_what_it_should() {
    let code = "use crate::{api::{common, x::y}, engine::step,\n ports};\nfn f() { crate::stats::mean() }";
    assert_eq!(named(code), ["api", "engine", "ports", "stats"].map(str::to_owned).into());
}
