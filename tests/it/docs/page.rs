//! What is on a page of Markdown: code blocks, code in sentences, links and headings.

use std::{collections::BTreeSet, path::Path};

/// One page.
#[derive(Clone)]
pub struct Page {
    /// Its path from the root of the repository.
    pub name: String,
    text: String,
}

/// A fenced block of code.
pub struct Block {
    pub language: String,
    /// The line of its first line, from 1.
    pub line: usize,
    pub text: String,
}

impl Page {
    pub fn read(root: &Path, name: &str) -> Page {
        let text = std::fs::read_to_string(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Page { name: name.to_owned(), text }
    }

    pub fn at(&self, block: &Block) -> String {
        format!("{}:{}", self.name, block.line)
    }

    /// A path that the page gives, from the root.
    pub fn beside(&self, file: &str) -> String {
        let folder = Path::new(&self.name).parent().unwrap_or(Path::new(""));
        folder.join(file).display().to_string()
    }

    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (index, line) in self.text.lines().enumerate() {
            match (line.trim_start().strip_prefix("```"), &mut open) {
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(language), None) => {
                    open = Some(Block { language: language.trim().to_owned(), line: index + 2, text: String::new() });
                }
                (None, Some(block)) => block.text.push_str(&format!("{line}\n")),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block of code has no end", self.name);
        blocks
    }

    /// Lines outside blocks of code, with their numbers.
    fn prose(&self) -> Vec<(usize, String)> {
        let mut inside = false;
        let mut lines = Vec::new();
        for (index, line) in self.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                inside = !inside;
            } else if !inside {
                lines.push((index + 1, line.to_owned()));
            }
        }
        lines
    }

    pub fn inline_code(&self) -> Vec<(usize, String)> {
        let of = |(number, line): (usize, String)| {
            line.split('`').skip(1).step_by(2).map(|code| (number, code.to_owned())).collect::<Vec<_>>()
        };
        self.prose().into_iter().flat_map(of).collect()
    }

    pub fn links(&self) -> Vec<(usize, String)> {
        let of = |(number, line): (usize, String)| targets(&line).into_iter().map(move |target| (number, target));
        self.prose().into_iter().flat_map(of).collect()
    }

    /// Headings as links name them.
    pub fn headings(&self) -> BTreeSet<String> {
        self.prose().iter().filter_map(|(_, line)| anchor(line)).collect()
    }

    /// The lines of a table whose first cell is not a heading or a rule, in cells.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        self.prose().iter().filter(|(_, line)| line.starts_with("| ")).map(|(_, line)| cells(line)).collect()
    }

    /// The page below a heading, up to the next.
    pub fn part(&self, heading: &str) -> Page {
        let (mut inside, mut there) = (false, false);
        let of_part = |line: &&str| {
            inside ^= line.trim_start().starts_with("```");
            let anchor = anchor(line).filter(|_| !inside);
            there = anchor.as_ref().map_or(there, |anchor| anchor == heading);
            there && anchor.is_none()
        };
        let text: Vec<&str> = self.text.lines().filter(of_part).collect();
        assert!(!text.is_empty(), "{} has no heading #{heading}", self.name);
        Page { name: self.name.clone(), text: text.join("\n") }
    }

    /// What is written below a heading, up to the next, without blocks of code.
    pub fn section(&self, heading: &str) -> String {
        self.part(heading).prose().into_iter().map(|(_, line)| line + "\n").collect()
    }
}

/// How a link names the heading in this line.
fn anchor(line: &str) -> Option<String> {
    let title = line.strip_prefix('#')?.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    Some(title.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect())
}

/// Where the links in a text lead.
pub fn targets(text: &str) -> Vec<String> {
    let link = regex::Regex::new(r#"\]\(([^)\s]+)\)|(?:src|href)="([^"]+)""#).unwrap();
    let found = link.captures_iter(text).filter_map(|found| found.get(1).or(found.get(2)));
    found.map(|target| target.as_str().to_owned()).collect()
}

/// The commands of ours in a shell text, in words; `kubectl glidepath` is one too.
pub fn commands(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for line in text.replace("\\\n", " ").lines() {
        for part in parts(line) {
            let words: Vec<String> =
                part.iter().map(String::as_str).skip_while(|w| w.contains('=')).map(Into::into).collect();
            let plug_in = words.len() > 1 && words[0] == "kubectl" && words[1] == "glidepath";
            let words = if plug_in { words[1..].to_vec() } else { words };
            if words.first().is_some_and(|word| word == "glidepath") {
                found.push(words);
            }
        }
    }
    found
}

/// A line cut at `|`, `;`, `&&`, `<(` and `)`, each part in words; quotes are honoured, redirections and comments left out.
fn parts(line: &str) -> Vec<Vec<String>> {
    let (mut all, mut part, mut word) = (Vec::new(), Vec::new(), String::new());
    let mut quote = None;
    for c in line.trim_start().trim_start_matches("$ ").chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => quote = Some(c),
            (None, '#') if word.is_empty() => break,
            (None, '|' | ';' | '&' | '(' | ')') => {
                part.push(std::mem::take(&mut word));
                all.push(std::mem::take(&mut part));
            }
            (None, c) if c.is_whitespace() => part.push(std::mem::take(&mut word)),
            (None, c) => word.push(c),
        }
    }
    part.push(word);
    all.push(part);
    for part in &mut all {
        part.retain(|word| !word.is_empty());
        if let Some(redirected) = part.iter().position(|word| word.starts_with(['>', '<']) || word.starts_with("2>")) {
            part.truncate(redirected);
        }
    }
    all
}

#[test]
fn commands_are_found_in_what_people_type() {
    for (text, wanted) in [
        ("glidepath lint a.yaml   # a comment", vec!["glidepath lint a.yaml"]),
        ("kustomize build . | glidepath lint -", vec!["glidepath lint -"]),
        ("glidepath crds | kubectl apply -f -", vec!["glidepath crds"]),
        ("source <(glidepath completions zsh)", vec!["glidepath completions zsh"]),
        ("kubectl glidepath get -A && X=1 glidepath get > out", vec!["glidepath get -A", "glidepath get"]),
        ("glidepath abort web \\\n  --reason 'too slow'", vec!["glidepath abort web --reason too slow"]),
        ("kubectl get gro", vec![]),
    ] {
        let found: Vec<String> = commands(text).iter().map(|words| words.join(" ")).collect();
        assert_eq!(found, wanted, "{text}");
    }
}

#[test]
fn pages_are_read_as_markdown() {
    let text = "# One two!\n[a](b.md#c) `glidepath get`\n```sh\n[no](x) `no`\n```\n<img src=\"p.svg\">\n".to_owned();
    let page = Page { name: "docs/x.md".into(), text };
    assert_eq!(page.links().iter().map(|(_, to)| to.as_str()).collect::<Vec<_>>(), ["b.md#c", "p.svg"]);
    assert_eq!(page.inline_code(), [(2, "glidepath get".to_owned())]);
    assert!(page.headings().contains("one-two"));
    assert_eq!((page.blocks()[0].line, page.beside("../README.md")), (4, "docs/../README.md".to_owned()));
}
