//! The documents say what is so: their files lint, their commands parse, their links lead somewhere, and the four
//! reference pages are what the program says about itself (`UPDATE_DOCS=1 cargo test --test it docs` writes them
//! again).

mod cli_page;
mod console;
mod json_page;
mod page;
mod policies_page;
mod reference_page;
mod routers_page;

use std::{collections::BTreeSet, path::PathBuf};

use glidepath::{
    api::reason::{ConditionType, MetricReason, Reason},
    cli::{offline::lint::lint, render::paint::Paint, root::command},
};
use page::{Block, Page};

fn root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn pages() -> Vec<Page> {
    let mut names = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned).to_vec();
    for entry in std::fs::read_dir(root("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            names.push(format!("docs/{name}"));
        }
    }
    names.sort();
    names.iter().map(|name| Page::read(&root(""), name)).collect()
}

/// Blocks of a language on all pages.
fn blocks(languages: &[&str]) -> Vec<(Page, Block)> {
    let of = |page: Page| page.blocks().into_iter().map(move |block| (page.clone(), block)).collect::<Vec<_>>();
    pages().into_iter().flat_map(of).filter(|(_, block)| languages.contains(&block.language.as_str())).collect()
}

/// All Rust files below a folder, as one text.
fn sources(folder: PathBuf) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: PathBuf| match path.is_dir() {
        true => sources(path),
        false if path.extension().is_some_and(|e| e == "rs") => std::fs::read_to_string(path).unwrap(),
        false => String::new(),
    };
    entries.map(text).collect()
}

/// A claim of the threat model is valid only as long as its test exists.
#[test]
fn every_test_that_the_security_page_names_is_there() {
    let code = sources(root("src")) + &sources(root("tests"));
    let page = std::fs::read_to_string(root("SECURITY.md")).unwrap();
    let named: BTreeSet<&str> =
        page.split('`').skip(1).step_by(2).filter(|word| word.matches('_').count() > 2).collect();
    assert!(named.len() > 15, "{named:?}");
    for name in named {
        assert!(code.contains(&format!("fn {name}(")), "{name} is no test any more");
    }
}

/// Users search for the words that they see.
#[test]
fn every_reason_and_condition_that_a_page_names_is_there() {
    let mut named = 0;
    let is_reason = |word: &str| Reason::ALL.contains(&word.into()) || MetricReason::ALL.contains(&word.into());
    for page in pages() {
        let text = std::fs::read_to_string(root(&page.name)).unwrap();
        for word in named_after("reason `", &text) {
            assert!(is_reason(word), "{}: there is no reason {word}", page.name);
            named += 1;
        }
        for word in named_after("condition `", &text) {
            assert!(ConditionType::ALL.contains(&word.into()), "{}: there is no condition {word}", page.name);
            named += 1;
        }
    }
    assert!(named > 10, "only {named} are named");
}

/// The words in backticks after this text.
fn named_after<'t>(before: &str, text: &'t str) -> Vec<&'t str> {
    text.split(before).skip(1).filter_map(|rest| rest.split('`').next()).collect()
}

#[test]
fn every_file_in_the_documents_lints_without_an_error() {
    let mut checked = 0;
    for page in pages() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Vec::new();
        for block in page.blocks().into_iter().filter(|block| block.language == "yaml") {
            assert!(!block.text.contains("glidepath.dev") || block.text.contains("apiVersion"), "{}", page.at(&block));
            // The name says where the block is, and the blocks of one page may use each other's templates.
            let path = folder.path().join(format!("{}-line-{}.yaml", page.name.replace('/', "-"), block.line));
            std::fs::write(&path, &block.text).unwrap();
            files.push(path);
        }
        if files.is_empty() {
            continue;
        }
        let report = lint(&files).unwrap();
        assert_eq!(report.errors(), 0, "{}", report.text(Paint { on: false }));
        checked += report.checked;
    }
    assert!(checked >= 5, "only {checked} objects of ours are in the documents");
}

#[test]
fn every_command_in_the_documents_is_one_that_the_program_takes() {
    let mut taken = 0;
    for (page, block) in blocks(&["sh", "bash", "console"]) {
        for words in page::commands(&block.text) {
            parses(&words, &page.at(&block));
            taken += 1;
        }
    }
    assert!(taken >= 12, "only {taken} commands are in the documents");
}

#[test]
fn every_verb_named_in_a_sentence_exists() {
    let root = command();
    let named = |verb: &clap::Command| verb.get_visible_aliases().chain([verb.get_name()]).map(str::to_owned).collect();
    let verbs: BTreeSet<String> = root.get_subcommands().flat_map::<Vec<String>, _>(named).collect();
    let mut named = 0;
    for page in pages() {
        for (line, code) in page.inline_code() {
            let Some(rest) = code.strip_prefix("glidepath ") else { continue };
            let Some(verb) = rest.split_whitespace().find(|word| !word.starts_with('-')) else { continue };
            assert!(verbs.contains(verb), "{}:{line}: there is no verb {verb}", page.name);
            named += 1;
        }
    }
    assert!(named >= 20, "only {named} verbs are named");
}

#[test]
fn every_example_of_the_help_is_one_that_the_program_takes() {
    let mut root = command();
    root.build();
    let mut taken = 0;
    let mut open: Vec<clap::Command> = vec![root];
    while let Some(verb) = open.pop() {
        let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default().replace("\\\n   ", "");
        // What a line says about its command is behind a gap.
        let lines = help.lines().filter(|line| line.starts_with("  ") && line.contains("glidepath "));
        for line in lines.filter(|line| !line.trim_start().starts_with('\'')) {
            let typed = line.trim().split("   ").next().unwrap_or_default();
            for words in page::commands(typed) {
                parses(&words, verb.get_name());
                taken += 1;
            }
        }
        open.extend(verb.get_subcommands().cloned());
    }
    assert!(taken >= 20, "only {taken} examples were found");
}

fn parses(words: &[String], at: &str) {
    if let Err(error) = command().try_get_matches_from(words) {
        let fine =
            [clap::error::ErrorKind::DisplayHelp, clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
        assert!(fine.contains(&error.kind()), "{at}: {}\n{error}", words.join(" "));
    }
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let mut followed = 0;
    for page in &pages {
        for (line, target) in page.links() {
            if target.contains("://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target.as_str(), ""));
            let path = if file.is_empty() { page.name.clone() } else { page.beside(file) };
            assert!(root(&path).exists(), "{}:{line}: {path} does not exist", page.name);
            if !heading.is_empty() {
                let there = Page::read(&root(""), &path).headings();
                assert!(there.contains(heading), "{}:{line}: {path} has no heading #{heading}", page.name);
            }
            followed += 1;
        }
    }
    assert!(followed >= 15, "only {followed} links were followed");
}

/// What people asked who saw the project for the first time.
const ASKED: [&str; 16] = [
    "install",
    "upgrade",
    "remove",
    "without a mesh",
    "routers",
    "Deployments",
    "authentication",
    "judged",
    "roll back",
    "Argo CD",
    "Flux",
    "CI",
    "promote",
    "monitor",
    "notified",
    "fields",
];

#[test]
fn what_newcomers_ask_has_a_heading_that_answers_it() {
    let readme = Page::read(&root(""), "README.md");
    for asked in ASKED {
        let rows = readme.rows();
        let row = rows.iter().find(|row| row[0].contains(asked) && row[0].ends_with('?'));
        let answer = &row.unwrap_or_else(|| panic!("README.md has no question about {asked}"))[1];
        let targets = page::targets(answer);
        assert!(!targets.is_empty(), "the question about {asked} leads nowhere");
        for target in targets {
            let (file, heading) = target.split_once('#').unwrap_or((target.as_str(), ""));
            let page = Page::read(&root(""), if file.is_empty() { "README.md" } else { file });
            let text =
                if heading.is_empty() { std::fs::read_to_string(root(file)).unwrap() } else { page.section(heading) };
            let words = text.split_whitespace().count();
            assert!(words >= 20, "{target} answers the question about {asked} in {words} words");
        }
    }
}

#[test]
fn what_pages_show_of_a_terminal_is_what_is_printed() {
    for (name, number) in console::PAGES {
        let (text, commands) = console::run(name);
        assert_eq!(commands, number, "{name}");
        same(name, &text, "docs");
    }
}

#[test]
fn the_page_of_commands_is_what_the_program_says() {
    same("docs/cli.md", &cli_page::text(), "docs");
}

#[test]
fn the_page_of_json_shapes_is_what_the_types_say() {
    same("docs/json.md", &json_page::text(), "docs");
}

#[test]
fn the_reference_is_what_the_definitions_say() {
    same("docs/reference.md", &reference_page::text(), "docs");
}

#[test]
fn the_page_of_routers_is_what_the_table_says() {
    same("docs/routers.md", &routers_page::text(), "docs");
}

#[test]
fn the_page_of_policies_is_what_the_tables_say() {
    same("docs/policies.md", &policies_page::text(), "docs");
}

/// A page as it is.
pub fn read(name: &str) -> String {
    std::fs::read_to_string(root(name)).unwrap_or_default()
}

/// Compares a page with what it should be, or writes it; `filter` names the tests that do.
pub fn same(name: &str, wanted: &str, filter: &str) {
    let path = root(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, wanted).unwrap();
    }
    let there = read(name);
    let first = there.lines().zip(wanted.lines()).position(|(there, wanted)| there != wanted);
    let line = first.unwrap_or_else(|| there.lines().count().min(wanted.lines().count()));
    assert!(
        there == wanted,
        "{name}:{} is not what the program says; write it anew: UPDATE_DOCS=1 cargo test --test it {filter}",
        line + 1
    );
}
