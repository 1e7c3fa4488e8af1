//! What may be in the dependency tree, and that nothing is in it for nothing: the essentials of `cargo deny check` and `cargo
//! machete` from what cargo itself knows, on every machine and without a network. `deny.toml` is the one list of what is allowed.
//! `make lint-code` runs cargo-deny too where it is installed: it also knows advisories, and other systems' dependencies.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    sync::OnceLock,
};

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const POLICY: &str = include_str!("../../deny.toml");
const LOCK: &str = include_str!("../../Cargo.lock");

/// What cargo answers.
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(ROOT).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What cargo knows of the tree for this machine: all of it was fetched to build this test.
fn metadata() -> &'static Value {
    static METADATA: OnceLock<Value> = OnceLock::new();
    METADATA.get_or_init(|| {
        let version = cargo(&["-vV"]);
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        let arguments = ["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", host];
        serde_json::from_str(&cargo(&arguments)).unwrap()
    })
}

fn packages() -> impl Iterator<Item = &'static Value> {
    metadata()["packages"].as_array().unwrap().iter()
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

/// The lines of a list in `deny.toml`, an entry each.
fn policy(list: &str) -> Vec<&'static str> {
    let (_, rest) = POLICY.split_once(&format!("\n{list} = [")).unwrap_or_else(|| panic!("deny.toml has no {list}"));
    rest.split_once("\n]").unwrap().0.lines().skip(1).map(str::trim).collect()
}

/// The text in quotes after this.
fn quoted<'t>(line: &'t str, after: &str) -> &'t str {
    let (_, rest) = line.split_once(&format!("{after}\"")).unwrap_or_else(|| panic!("{line} has no {after}"));
    rest.split('"').next().unwrap()
}

#[test]
fn every_license_is_allowed() {
    let line = POLICY.lines().find(|line| line.starts_with("allow = [")).unwrap();
    let allowed: BTreeSet<&str> = line.split('"').skip(1).step_by(2).collect();
    let refused: Vec<String> = packages()
        .filter(|package| !is_licensed(text(package, "license"), &allowed))
        .map(|package| format!("{} is licensed {}", text(package, "name"), package["license"]))
        .collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

/// Whether an SPDX expression can be met. `OR` binds less than `AND`; `/` is an old way to write `OR`.
fn is_licensed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let all = |part: &str| split(part, " AND ").iter().all(|one| is_term_licensed(one.trim(), allowed));
    split(&expression.replace('/', " OR "), " OR ").iter().any(|part| all(part))
}

fn is_term_licensed(term: &str, allowed: &BTreeSet<&str>) -> bool {
    match term.strip_prefix('(').and_then(|term| term.strip_suffix(')')) {
        Some(inner) => is_licensed(inner, allowed),
        None => allowed.contains(term),
    }
}

/// The parts of an expression between operators that are in no brackets.
fn split(expression: &str, operator: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for part in expression.split(operator) {
        let last = parts.last_mut().unwrap();
        if last.matches('(').count() > last.matches(')').count() {
            *last += &format!("{operator}{part}");
        } else if parts == [""] {
            parts = vec![part.to_owned()];
        } else {
            parts.push(part.to_owned());
        }
    }
    parts
}

#[test]
fn spdx_expressions_are_read() {
    let allowed = BTreeSet::from(["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]);
    for good in ["MIT", "GPL-3.0 OR MIT", "GPL-3.0/MIT", "MIT AND (X OR ISC)", "Apache-2.0 WITH LLVM-exception OR X"] {
        assert!(is_licensed(good, &allowed), "{good}");
    }
    for bad in ["", "X", "MIT AND X", "(MIT OR ISC) AND X", "X OR ISC AND X", "Apache-2.0"] {
        assert!(!is_licensed(bad, &allowed), "{bad}");
    }
}

/// One TLS stack, one crypto provider: on every system, so in all of the lock file.
#[test]
fn nothing_banned_is_in_the_tree() {
    let banned: Vec<&str> = policy("deny").iter().map(|line| quoted(line, "name = ")).collect();
    assert!(banned.contains(&"openssl-sys") && banned.contains(&"aws-lc-sys"), "{banned:?}");
    for name in banned {
        assert!(
            !LOCK.contains(&format!("name = \"{name}\"\n")),
            "{name} is in the tree; deny.toml says why it must not"
        );
    }
}

#[test]
fn everything_comes_from_the_one_registry() {
    let sources: BTreeSet<&str> = packages().map(|package| text(package, "source")).collect();
    let foreign: Vec<&&str> =
        sources.iter().filter(|source| !source.is_empty() && !source.starts_with("registry+")).collect();
    assert!(foreign.is_empty() && sources.len() == 2, "{sources:?}");
}

/// Every second version of a crate in the program is one that `deny.toml` names, and what it names is still there.
#[test]
fn no_crate_is_built_in_twice_by_accident() {
    let skipped: Vec<&str> = policy("skip").iter().map(|line| quoted(line, "crate = ")).collect();
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, version) in built_in() {
        versions.entry(name).or_default().insert(version);
    }
    let is = |spec: &str, name: &str, version: &str| {
        let (crate_name, prefix) = spec.split_once(':').unwrap();
        crate_name == name && (version == prefix || version.starts_with(&format!("{prefix}.")))
    };
    for (name, versions) in &versions {
        let more = versions.iter().filter(|version| !skipped.iter().any(|spec| is(spec, name, version))).count();
        assert!(
            more <= 1,
            "{name} is there as {versions:?}; align them, or name the older in deny.toml with who wants it"
        );
    }
    for spec in skipped {
        let there =
            versions.iter().any(|(name, all)| all.len() > 1 && all.iter().any(|version| is(spec, name, version)));
        assert!(there, "deny.toml skips {spec}, which is not there twice any more");
    }
}

/// Names and versions of what the program is built from: what tests alone need, and the features they turn on, left out.
fn built_in() -> Vec<(String, String)> {
    let arguments = ["tree", "--offline", "--locked", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"];
    let tree = cargo(&arguments);
    let package = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.trim_start_matches('v').to_owned()))
    };
    tree.lines().filter_map(package).collect()
}

/// A dependency that nothing names is compiled and audited for nothing.
#[test]
fn every_dependency_is_named_by_the_code() {
    let folders = BTreeMap::from([("", vec!["src"]), ("dev", vec!["src", "tests"])]);
    let code: BTreeMap<&str, String> =
        folders.into_iter().map(|(kind, folders)| (kind, folders.into_iter().map(sources).collect())).collect();
    let own = packages().find(|package| text(package, "name") == "glidepath").unwrap();
    let unused: Vec<&str> = own["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|dependency| !is_named(text(dependency, "name"), &code[text(dependency, "kind")]))
        .map(|dependency| text(dependency, "name"))
        .collect();
    assert!(unused.is_empty(), "no code names {unused:?}: remove them from Cargo.toml");
}

/// Whether the code, without comments, has a path that begins with the crate's name.
fn is_named(package: &str, code: &str) -> bool {
    let name = package.replace('-', "_");
    let boundary = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(&name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let imported = before.ends_with("use ") && after.starts_with([';', ' ', ':']);
        boundary(before.chars().next_back()) && (after.starts_with("::") || imported)
    })
}

fn sources(folder: &str) -> String {
    fn read(folder: &Path, code: &mut String) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                read(&entry, code);
            } else if entry.extension().is_some_and(|kind| kind == "rs") {
                let text = fs::read_to_string(&entry).unwrap();
                let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
                code.extend(lines.flat_map(|line| [line, "\n"]));
            }
        }
    }
    let mut code = String::new();
    read(&Path::new(ROOT).join(folder), &mut code);
    code
}

#[test]
fn a_crate_is_named_by_paths_and_imports_alone() {
    for code in ["use json_patch::Patch;", "json_patch::patch(x)", "use json_patch;", "use json_patch as j;"] {
        assert!(is_named("json-patch", code), "{code}");
    }
    for code in ["my_json_patch::x()", "let json_patch = 1;", "x.json_patch()", "use other::json_patch;"] {
        assert!(!is_named("json-patch", code), "{code}");
    }
}
