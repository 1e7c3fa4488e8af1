//! The layers hold: which module of `src` may name which, and what the pure ones may not name at all.

mod circles;
mod read;

use std::collections::{BTreeSet, HashMap};

use read::{File, paths, product};

/// Each top-level module and those it may name besides itself. An arrow points only downward (lib.rs draws it).
const MAY_NAME: [(&str, &[&str]); 22] = [
    ("api", &[]),
    ("yaml", &[]),
    ("stats", &[]),
    ("metrics", &[]),
    ("chart", &[]),
    ("expr", &["api"]),
    ("evidence", &["api", "stats", "expr", "yaml"]),
    ("engine", &["api", "stats", "expr", "evidence"]),
    ("ports", &["api", "evidence", "engine"]),
    ("routing", &["api"]),
    ("view", &["api", "evidence", "engine"]),
    ("reconcile", &["api", "evidence", "engine", "ports"]),
    ("clock", &["ports"]),
    ("router", &["api", "engine", "expr", "ports", "yaml"]),
    ("mesh", &["api", "router", "yaml"]),
    ("source", &["api", "evidence", "ports", "reconcile", "yaml"]),
    (
        "cluster",
        &[
            "metrics",
            "api",
            "engine",
            "evidence",
            "mesh",
            "ports",
            "reconcile",
            "router",
            "routing",
            "source",
            "clock",
            "yaml",
        ],
    ),
    ("sim", &["api", "engine", "evidence", "ports", "reconcile", "routing", "source", "stats"]),
    ("local", &["api", "clock", "engine", "evidence", "ports", "reconcile", "router", "routing", "source", "stats"]),
    ("server", &["metrics", "cluster"]),
    (
        "controller",
        &[
            "api",
            "metrics",
            "clock",
            "cluster",
            "engine",
            "evidence",
            "ports",
            "reconcile",
            "router",
            "server",
            "source",
            "yaml",
        ],
    ),
    (
        "cli",
        &[
            "api",
            "chart",
            "clock",
            "cluster",
            "controller",
            "engine",
            "evidence",
            "expr",
            "local",
            "mesh",
            "ports",
            "reconcile",
            "router",
            "routing",
            "server",
            "sim",
            "source",
            "view",
            "yaml",
        ],
    ),
];

/// The top-level module a file belongs to; none for `main.rs` and `lib.rs`.
fn module(file: &File) -> Option<String> {
    file.module().into_iter().next()
}

/// Modules without I/O, clocks and randomness.
const PURE: [&str; 8] = ["api", "stats", "expr", "evidence", "engine", "mesh", "view", "chart"];
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

/// The first names after each `crate::`, with those of `use crate::{a::.., b}`.
fn named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at..];
        let end = match rest.strip_prefix("crate::{") {
            Some(_) => rest.find(';'),
            None => rest.find(|c: char| !c.is_alphanumeric() && !"_:".contains(c)),
        };
        let path = &rest[..end.unwrap_or(rest.len())];
        found.extend(paths(path).into_iter().filter_map(|path| path.into_iter().nth(1)));
    }
    found
}

#[test]
fn arrows_point_only_downward() {
    let allowed: HashMap<&str, &[&str]> = MAY_NAME.into_iter().collect();
    let product = product();
    let there: BTreeSet<String> = product.iter().filter_map(module).collect();
    let known = MAY_NAME.iter().flat_map(|(name, may)| may.iter().chain([name]));
    let mut wrong: Vec<String> =
        known.filter(|name| !there.contains(**name)).map(|name| format!("there is no module {name}")).collect();
    for (module, may) in MAY_NAME {
        let circle = may.iter().filter(|name| allowed.get(*name).is_some_and(|may| may.contains(&module)));
        wrong.extend(circle.map(|name| format!("{module} and {name} may name each other")));
    }
    for file in &product {
        let Some(module) = module(file) else { continue };
        let Some(may) = allowed.get(module.as_str()) else {
            wrong.push(format!("src/{module} has no row in MAY_NAME"));
            continue;
        };
        for name in named(&file.code) {
            let is_module = allowed.contains_key(name.as_str());
            if is_module && name != module && !may.contains(&name.as_str()) {
                wrong.push(format!("{} names crate::{name}, which {module} may not", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_modules_name_no_client_runtime_clock_or_dice() {
    let mut wrong = Vec::new();
    for file in product().iter().filter(|file| module(file).is_some_and(|module| PURE.contains(&module.as_str()))) {
        let there = IMPURE.iter().filter(|name| file.code.contains(**name));
        wrong.extend(there.map(|name| format!("{}: {name}", file.path)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_one_module_reads_yaml() {
    let names = |file: &&File| ["serde_yaml", "yaml_rust2"].iter().any(|name| file.code.contains(name));
    let product = product();
    let readers: Vec<&File> = product.iter().filter(names).collect();
    let elsewhere: Vec<&str> =
        readers.iter().map(|file| file.path.as_str()).filter(|path| !path.starts_with("yaml/")).collect();
    assert!(elsewhere.is_empty() && !readers.is_empty(), "use crate::yaml instead: {elsewhere:?}");
}

#[test]
fn the_readers_of_this_test_read_what_it_should() {
    let code = "use crate::{api::{common, x::y}, engine::step,\n ports};\nfn f() { crate::stats::mean() }";
    assert_eq!(named(code), ["api", "engine", "ports", "stats"].map(str::to_owned).into());
}
