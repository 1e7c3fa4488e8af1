//! The page of rules names, under each rule, the scenarios that play it and the tests that prove it. The links are
//! gathered from the files themselves: `UPDATE_DOCS=1 cargo test --test it semantics` writes them again.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    docs::{read, same},
    scenarios,
};

const PAGE: &str = "docs/semantics.md";
/// How the lines begin that are written by this test.
const LINKS: [&str; 3] = ["*Scenarios:*", "*No scenario:*", "*Tests:*"];

/// What proves a rule.
#[derive(Default)]
struct Proof {
    scenarios: BTreeSet<String>,
    /// Why there is no scenario.
    none: Option<String>,
    /// Names of tests by file.
    tests: BTreeMap<String, BTreeSet<String>>,
}

impl Proof {
    fn lines(&self) -> Vec<String> {
        let link = |name: &String| format!("[{name}](../tests/scenarios/{name}.yaml)");
        let scenarios: Vec<String> = self.scenarios.iter().map(link).collect();
        let named =
            |tests: &BTreeSet<String>| tests.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let tests = self.tests.iter().map(|(file, tests)| format!("[{file}](../{file}) {}", named(tests)));
        let tests = tests.collect::<Vec<_>>().join("; ");
        let mut lines = Vec::new();
        if !scenarios.is_empty() {
            lines.push(format!("{} {}", LINKS[0], scenarios.join(", ")));
        }
        lines.extend(self.none.as_ref().map(|reason| format!("{} {reason}", LINKS[1])));
        if !tests.is_empty() {
            lines.push(format!("{} {tests}", LINKS[2]));
        }
        lines
    }
}

/// The proofs of every rule.
fn proofs() -> BTreeMap<u32, Proof> {
    let mut proofs: BTreeMap<u32, Proof> =
        scenarios::RULES.into_iter().flatten().map(|rule| (rule, Proof::default())).collect();
    for (name, rules) in scenarios::rules() {
        for rule in rules {
            proofs.get_mut(&rule).unwrap().scenarios.insert(name.clone());
        }
    }
    for (rule, reason) in scenarios::uncovered() {
        proofs.get_mut(&rule).unwrap().none = Some(reason);
    }
    for file in ["src", "tests"].into_iter().flat_map(|folder| sources(&root().join(folder))) {
        let name = file.strip_prefix(root()).unwrap().display().to_string();
        for (test, rules) in tests_with_rules(&std::fs::read_to_string(&file).unwrap()) {
            for rule in rules {
                // A name may represent something else that is counted, as in `s3_...` of a service: only rules are
                // taken.
                let Some(proof) = proofs.get_mut(&rule) else { continue };
                proof.tests.entry(name.clone()).or_default().insert(test.clone());
            }
        }
    }
    proofs
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Tests that name rules: by their own name (`s13_s82_...`), or in the comment before them (`(S39)`, `rule S39`).
fn tests_with_rules(text: &str) -> Vec<(String, BTreeSet<u32>)> {
    let in_comment = regex::Regex::new(r"\bS([1-9][0-9]?)\b").unwrap();
    let declared = regex::Regex::new(r"^\s*(?:pub )?(?:async )?fn (\w+)\(").unwrap();
    let (mut found, mut comment, mut is_test) = (Vec::new(), BTreeSet::new(), false);
    for line in text.lines() {
        let bare = line.trim();
        if let Some(words) = bare.strip_prefix("///") {
            comment.extend(in_comment.captures_iter(words).map(|rule| rule[1].parse::<u32>().unwrap()));
        } else if bare.starts_with("#[") {
            is_test |= bare == "#[test]" || bare.starts_with("#[tokio::test");
        } else {
            if let Some(name) = declared.captures(line).filter(|_| is_test).map(|found| found[1].to_owned()) {
                let rules: BTreeSet<u32> = rules_of_name(&name).chain(comment.iter().copied()).collect();
                found.extend((!rules.is_empty()).then_some((name, rules)));
            }
            (comment, is_test) = (BTreeSet::new(), false);
        }
    }
    found
}

/// `s13_s82_a_promote_...` names S13 and S82.
fn rules_of_name(name: &str) -> impl Iterator<Item = u32> {
    name.split('_').map_while(|part| part.strip_prefix('s')?.parse().ok())
}

/// The page with the links of these proofs in place of its own.
fn linked(page: &str, proofs: &BTreeMap<u32, Proof>) -> String {
    let (mut out, mut links): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let end = |out: &mut Vec<String>, links: &mut Vec<String>| {
        while out.last().is_some_and(String::is_empty) {
            out.pop();
        }
        for link in links.drain(..) {
            out.extend([String::new(), link]);
        }
        out.push(String::new());
    };
    for line in page.lines().filter(|line| !LINKS.iter().any(|begin| line.starts_with(begin))) {
        if line.starts_with('#') {
            end(&mut out, &mut links);
        }
        if let Some(rule) = line.strip_prefix("### S").and_then(|rule| rule.parse::<u32>().ok()) {
            links = proofs.get(&rule).map(Proof::lines).unwrap_or_default();
        }
        // Blank lines between links go with them.
        let double = line.is_empty() && out.last().is_some_and(String::is_empty);
        out.extend((!double).then(|| line.to_owned()));
    }
    end(&mut out, &mut links);
    out.join("\n").trim_start().to_owned()
}

#[test]
fn every_rule_is_on_the_page_with_what_proves_it() {
    let (page, proofs) = (read(PAGE), proofs());
    let listed: Vec<u32> = page.lines().filter_map(|line| line.strip_prefix("### S")?.parse().ok()).collect();
    let known: Vec<u32> = proofs.keys().copied().collect();
    assert_eq!(listed, known, "{PAGE} lists other rules than there are");
    let bare: Vec<&u32> = proofs.iter().filter(|(_, proof)| proof.lines().is_empty()).map(|(rule, _)| rule).collect();
    assert!(bare.is_empty(), "nothing proves these rules: {bare:?}");
    same(PAGE, &linked(&page, &proofs), "semantics");
}

#[test]
fn tests_name_rules_by_their_names_and_their_comments() {
    let text = "/// Twice (S39), and rule S8.\n#[test]\nfn s13_s82_meant() {}\n\nfn s4_no_test() {}\n/// S5\nstruct S6;\n\
                #[tokio::test(start_paused = true)]\nasync fn small_words() {}\n";
    assert_eq!(tests_with_rules(text), [("s13_s82_meant".to_owned(), BTreeSet::from([8, 13, 39, 82]))]);
}

#[test]
fn links_take_the_place_of_older_ones() {
    let proof = Proof { scenarios: ["a".to_owned(), "b".to_owned()].into(), ..Proof::default() };
    let page = "# T\n\n### S1\n\nWords.\n\n*Tests:* old\n\n## Next\n\nEnd.\n";
    let wanted = "# T\n\n### S1\n\nWords.\n\n\
                  *Scenarios:* [a](../tests/scenarios/a.yaml), [b](../tests/scenarios/b.yaml)\n\n## Next\n\nEnd.\n";
    let proofs = BTreeMap::from([(1, proof)]);
    assert_eq!(linked(page, &proofs), wanted);
    assert_eq!(linked(wanted, &proofs), wanted, "once is as good as twice");
}
