//! `docs/architecture.md` says what is so: the drawing is the one in `src/lib.rs`, files, folders and functions that it
//! names exist, and each walk is short enough to be followed.
//!
//! In a walk, each numbered line begins with a file, `src/engine/mod.rs::step`, and may name more functions of that file,
//! `release()`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use regex::Regex;

use crate::docs::read;

const PAGE: &str = "docs/architecture.md";
/// The most files in the numbered lines of a walk.
const MOST_FILES: usize = 20;

/// A file, with one of its functions or without.
static FILE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(src/[a-z0-9_/]+\.rs)(?:::([a-z0-9_]+))?$").unwrap());
static FOLDER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^src/[a-z0-9_/]+/$").unwrap());
/// A function of the file that a line begins with.
static FUNCTION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^([a-z0-9_]+)\(\)$").unwrap());
static NUMBERED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[0-9]+\. ").unwrap());
static TOTAL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"has ([0-9]+) files in all").unwrap());

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The texts in backticks.
fn spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The files that a text names, each with the function that is named with it.
fn files(text: &str) -> Vec<(String, Option<String>)> {
    let named = spans(text).into_iter().filter_map(|span| FILE.captures(span));
    named.map(|found| (found[1].to_owned(), found.get(2).map(|name| name.as_str().to_owned()))).collect()
}

fn distinct(text: &str) -> BTreeSet<String> {
    files(text).into_iter().map(|(file, _)| file).collect()
}

fn has_function(file: &str, name: &str) -> bool {
    Regex::new(&format!(r"\bfn {name}\b")).unwrap().is_match(&read(file))
}

/// The sections that follow a change through the code, each with its title.
fn walks(page: &str) -> Vec<(String, String)> {
    let sections = page.split("\n## ").filter(|section| section.starts_with("Walk "));
    sections.filter_map(|section| section.split_once('\n')).map(|(title, text)| (title.into(), text.into())).collect()
}

/// The numbered lines of a section, each with the lines that continue it.
fn steps(section: &str) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    for line in section.lines() {
        if NUMBERED.is_match(line) {
            steps.push(line.to_owned());
        } else if let Some(step) = steps.last_mut().filter(|_| line.starts_with("   ")) {
            step.push(' ');
            step.push_str(line.trim());
        }
    }
    steps
}

#[test]
fn the_drawing_is_the_one_in_lib_rs() {
    let lib = read("src/lib.rs");
    let drawing: Vec<&str> = lib
        .lines()
        .skip_while(|line| *line != "//! ```text")
        .take_while(|line| *line != "//! ```")
        .map(|line| line.strip_prefix("//! ").unwrap_or_default())
        .collect();
    assert!(drawing.len() > 10, "src/lib.rs draws no layers");
    assert!(read(PAGE).contains(&drawing.join("\n")), "copy the drawing of src/lib.rs to {PAGE}");
}

#[test]
fn every_file_folder_and_function_that_the_page_names_exists() {
    let page = read(PAGE);
    let mut wrong = Vec::new();
    for (file, function) in files(&page) {
        if !root(&file).is_file() {
            wrong.push(format!("there is no file {file}"));
        } else if let Some(name) = function.filter(|name| !has_function(&file, name)) {
            wrong.push(format!("{file} has no fn {name}"));
        }
    }
    let folders = spans(&page).into_iter().filter(|span| FOLDER.is_match(span) && !root(span).is_dir());
    wrong.extend(folders.map(|folder| format!("there is no folder {folder}")));
    assert!(wrong.is_empty(), "{PAGE}:\n{}", wrong.join("\n"));
}

#[test]
fn every_folder_of_src_is_on_the_page() {
    let page = read(PAGE);
    let entries = std::fs::read_dir(root("src")).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap());
    let missing: Vec<String> = folders.filter(|name| !page.contains(&format!("`src/{name}/`"))).collect();
    assert!(missing.is_empty(), "{PAGE} does not say what these folders of src are for: {missing:?}");
}

#[test]
fn each_walk_names_its_functions_and_has_at_most_20_files() {
    let walks = walks(&read(PAGE));
    assert_eq!(walks.len(), 3, "walks in {PAGE}");
    for (title, section) in walks {
        let steps = steps(&section);
        assert!(steps.len() > 10, "{title}: only {} lines", steps.len());
        for step in &steps {
            let (file, _) = files(step).into_iter().next().unwrap_or_else(|| panic!("{title}: no file in: {step}"));
            for found in spans(step).into_iter().filter_map(|span| FUNCTION.captures(span)) {
                let name = &found[1];
                assert!(has_function(&file, name), "{title}: {file} has no fn {name}");
            }
        }
        let numbered = distinct(&steps.join("\n")).len();
        assert!(numbered <= MOST_FILES, "{title}: {numbered} files");
        let all = distinct(&section).len();
        let total = TOTAL.captures(&section).map(|found| found[1].to_owned());
        assert_eq!(total, Some(all.to_string()), "{title}: the number of files in all");
    }
}

#[test]
fn the_lines_of_a_walk_are_read_with_what_continues_them() {
    let text = "\n## Walk 1: x\n\nWords.\n\n1. `src/a.rs::b` calls\n   `c()`.\n2. `src/d.rs`\n\nIt has 2 files in all.\n\n## Y\n";
    let walks = walks(text);
    assert_eq!((walks.len(), walks[0].0.as_str()), (1, "Walk 1: x"));
    assert_eq!(steps(&walks[0].1), ["1. `src/a.rs::b` calls `c()`.", "2. `src/d.rs`"]);
    assert_eq!(files(text), [("src/a.rs".to_owned(), Some("b".to_owned())), ("src/d.rs".to_owned(), None)]);
}
