//! What a page shows of a terminal is what the program prints: each `$ glidepath ...` of a `console` block is run beside the
//! files that the page tells its readers to save, and its lines are compared (`UPDATE_DOCS=1` writes them again).
//!
//! Only what needs neither a cluster nor a running program stands in such blocks; docs/local.md has a test of its own.

use std::path::Path;

use assert_cmd::Command;
use regex::Regex;

use super::page;

/// Pages with the number of the commands that they show.
pub const PAGES: [(&str, usize); 3] = [("README.md", 2), ("docs/getting-started.md", 3), ("docs/simulate.md", 3)];

/// The page with what its commands print, and how many there are.
pub fn run(name: &str) -> (String, usize) {
    let text = super::read(name);
    let folder = tempfile::tempdir().unwrap();
    let (mut written, mut file, mut block): (String, Option<String>, Option<(String, String)>) = Default::default();
    let mut commands = 0;
    for line in text.lines() {
        let fence = line.strip_prefix("```");
        match (fence, &mut block) {
            (Some(language), None) => block = Some((language.to_owned(), String::new())),
            (None, Some((_, lines))) => *lines += &format!("{line}\n"),
            (Some(_), Some((language, lines))) => {
                match (language.as_str(), file.take()) {
                    ("yaml", Some(file)) => std::fs::write(folder.path().join(file), &*lines).unwrap(),
                    ("console", _) => {
                        let typed: Vec<&str> = lines.lines().filter(|line| line.starts_with("$ ")).collect();
                        commands += typed.len();
                        *lines = typed.into_iter().map(|line| with_output(line, folder.path())).collect();
                    }
                    _ => {}
                }
                written += lines;
                block = None;
            }
            (None, None) => file = saved(line).or(file),
        }
        if block.is_none() || fence.is_some() {
            written += &format!("{line}\n");
        }
    }
    (written, commands)
}

/// The file as which the page asks its readers to save the next block.
fn saved(line: &str) -> Option<String> {
    let save = Regex::new(r"[Ss]ave (?:this|it|them) as `([^`]+)`").unwrap();
    Some(save.captures(line)?[1].to_owned())
}

/// A line as typed, and what it prints. Without a terminal nothing is wrapped, and no progress is shown.
fn with_output(line: &str, folder: &Path) -> String {
    let words = page::commands(line).pop().unwrap_or_else(|| panic!("no command of ours: {line}"));
    let mut command = Command::cargo_bin("glidepath").unwrap();
    let output = command.current_dir(folder).args(&words[1..]).output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    format!("{line}\n{}", String::from_utf8(printed).unwrap())
}
