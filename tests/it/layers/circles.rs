//! No file needs one that needs it: a circle of files can only be understood, moved and tested as a whole.
//!
//! A file needs another when its `use` lines, or paths in its code, end there. A type that two files need goes into a third,
//! below both; a `mod.rs` declares and re-exports, and the files beside it import from where a thing is written.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::LazyLock,
};

use regex::Regex;

use super::read::{File, folder, paths, product};

/// Which file needs which.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Circles inside a folder that are left: how the paths of their files begin, and why. An entry goes when its last circle is opened.
type Left = (&'static [&'static str], &'static str);

const LEFT: [Left; 1] = [(&["engine/"], "one draft is handed to all of it")];

static USE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\buse ([^;]+);").unwrap());
static VISIBILITY: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"pub\(in [\w:]+\)").unwrap());
static INLINE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(?:crate|super|self)(?:::\w+)+").unwrap());
static BARE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?:^|[^\w:])([a-z_]\w*)::").unwrap());
static CHILD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bmod (\w+);").unwrap());

/// Every path that a file's code names, as it stands there.
fn named(code: &str) -> Vec<Vec<String>> {
    let code = VISIBILITY.replace_all(code, "pub");
    let mut all: Vec<Vec<String>> = USE.captures_iter(&code).flat_map(|found| paths(&found[1])).collect();
    let rest = USE.replace_all(&code, "");
    all.extend(INLINE.find_iter(&rest).flat_map(|found| paths(found.as_str())));
    let children: BTreeSet<&str> = CHILD.captures_iter(&rest).map(|found| found.get(1).unwrap().as_str()).collect();
    let bare = BARE.captures_iter(&rest).map(|found| found.get(1).unwrap().as_str());
    all.extend(bare.filter(|name| children.contains(name)).map(|name| vec![name.to_owned()]));
    all
}

/// The module that a path ends in, or at which it leaves the modules for a type or a function.
fn target(module: &[String], path: &[String], files: &HashMap<Vec<String>, String>) -> Option<Vec<String>> {
    let mut at = module.to_vec();
    let mut path = path;
    match path.first().map(String::as_str) {
        Some("crate") => (at, path) = (Vec::new(), &path[1..]),
        Some("self") => path = &path[1..],
        Some("super") => {
            while path.first().is_some_and(|name| name == "super") {
                at.pop();
                path = &path[1..];
            }
        }
        Some(first) if files.contains_key(&[module, &[first.to_owned()]].concat()) => {}
        _ => return None,
    }
    let mut found = files.contains_key(&at).then(|| at.clone());
    for name in path {
        at.push(name.clone());
        if files.contains_key(&at) {
            found = Some(at.clone());
        }
    }
    found
}

fn graph(product: &[File]) -> Graph {
    let modules = product.iter().filter(|file| !file.module().is_empty());
    let files: HashMap<Vec<String>, String> = modules.map(|file| (file.module(), file.path.clone())).collect();
    let mut graph = Graph::new();
    for file in product {
        let module = file.module();
        let targets = named(&file.code).into_iter().filter_map(|path| target(&module, &path, &files));
        let needs = targets.map(|module| files[&module].clone()).filter(|needed| *needed != file.path);
        graph.insert(file.path.clone(), needs.collect());
    }
    graph
}

/// The shortest way from one file to another, both included.
fn way(graph: &Graph, from: &str, to: &str) -> Option<Vec<String>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut next = VecDeque::from([from]);
    while let Some(at) = next.pop_front() {
        if at == to {
            let back = std::iter::successors(Some(at), |at| before.get(at).copied());
            let mut way: Vec<String> = back.map(str::to_owned).collect();
            way.reverse();
            return Some(way);
        }
        for needed in &graph[at] {
            if needed != from && !before.contains_key(needed.as_str()) {
                before.insert(needed, at);
                next.push_back(needed);
            }
        }
    }
    None
}

/// A circle by each pair of files that need each other, in one line each.
fn circles(graph: &Graph, is_wrong: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for (file, needs) in graph {
        for needed in needs.iter().filter(|needed| is_wrong(file, needed)) {
            let Some(way) = way(graph, needed, file) else { continue };
            if told.insert(way.iter().cloned().collect::<BTreeSet<_>>()) {
                found.push(format!("{file} -> {}", way.join(" -> ")));
            }
        }
    }
    found
}

fn across(one: &str, other: &str) -> bool {
    folder(one) != folder(other)
}

/// Whether an entry of a list of what is left covers both.
fn is_left(left: &[Left], file: &str, needed: &str) -> bool {
    let covers =
        |(begins, _): &Left| [file, needed].iter().all(|path| begins.iter().any(|begin| path.starts_with(begin)));
    left.iter().any(covers)
}

#[test]
fn no_circle_leads_through_two_folders() {
    let found = circles(&graph(&product()), across);
    assert!(found.is_empty(), "circles of files of different folders:\n{}", found.join("\n"));
}

#[test]
fn circles_inside_a_folder_are_those_that_are_left() {
    let found = circles(&graph(&product()), |file, needed| !across(file, needed) && !is_left(&LEFT, file, needed));
    assert!(found.is_empty(), "circles of files:\n{}", found.join("\n"));
}

#[test]
fn what_is_left_is_still_there() {
    let graph = graph(&product());
    let there = |left: Left| {
        let is_one = |file: &str, needed: &str| !across(file, needed) && is_left(&[left], file, needed);
        assert!(!circles(&graph, is_one).is_empty(), "{left:?} has no such circle any more: take it out of the list");
    };
    LEFT.into_iter().for_each(there);
}

#[test]
fn circles_are_found_and_named() {
    let graph = |lines: &[(&str, &[&str])]| -> Graph {
        let names = |files: &[&str]| files.iter().map(|file| (*file).to_owned()).collect();
        lines.iter().map(|(file, needs)| ((*file).to_owned(), names(needs))).collect()
    };
    let straight = graph(&[("a/mod.rs", &["a/b.rs"]), ("a/b.rs", &["c.rs"]), ("c.rs", &[])]);
    assert_eq!(circles(&straight, |_, _| true), Vec::<String>::new());
    let round = graph(&[("a/mod.rs", &["a/b.rs"]), ("a/b.rs", &["c.rs"]), ("c.rs", &["a/mod.rs"])]);
    assert_eq!(circles(&round, across), ["a/b.rs -> c.rs -> a/mod.rs -> a/b.rs"]);
    let inside = graph(&[("a/x.rs", &["a/y.rs"]), ("a/y.rs", &["a/x.rs"])]);
    assert_eq!(circles(&inside, across), Vec::<String>::new());
    assert_eq!(circles(&inside, |_, _| true), ["a/x.rs -> a/y.rs -> a/x.rs"]);
}

#[test]
fn needs_are_read_from_use_lines_paths_and_declared_modules() {
    let file = |path: &str, code: &str| File { path: path.to_owned(), code: code.to_owned() };
    let product = [
        file("lib.rs", "pub mod a;"),
        file("a/mod.rs", "mod b;\nmod c;\npub use b::B;\nfn f() { c::g(); other::h() }"),
        file("a/b.rs", "use super::c::{self, C};\npub(in crate::a) struct B(super::d::D);"),
        file("a/c.rs", "use std::fmt;\nuse crate::{\n    a::d::{D, E},\n};"),
        file("a/d.rs", ""),
    ];
    let graph = graph(&product);
    let needs = |path: &str| graph[path].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(needs("a/mod.rs"), ["a/b.rs", "a/c.rs"]);
    assert_eq!(needs("a/b.rs"), ["a/c.rs", "a/d.rs"]);
    assert_eq!(needs("a/c.rs"), ["a/d.rs"]);
    assert_eq!(needs("a/d.rs"), Vec::<&str>::new());
}
