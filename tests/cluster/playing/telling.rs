//! What a scenario's play looks like: what is done and met as it happens, and the whole story where it failed.

use super::look::since_beginning;
use crate::say::say;
use ::glidepath::cli::offline::simulate::Loaded;
use ::glidepath::sim::Millis;
use ::glidepath::sim::time::shown;
use ::glidepath::sim::trace::{Line, Mark};
use std::time::Instant;

/// The first thing that was not as it should be.
#[derive(Debug)]
pub struct Failure {
    /// The field of the scenario file: `timeline[3]`, `always`.
    pub path: String,
    pub wanted: String,
    /// What was seen instead, key by key.
    pub seen: Vec<String>,
    /// Where the rollout was.
    pub place: String,
}

/// The lines of one scenario.
pub struct Teller {
    name: String,
    began: Instant,
    lines: Vec<Line>,
}

impl Teller {
    pub fn new(name: &str) -> Self {
        say(format_args!("{name:<30} begins"));
        Self { name: name.to_owned(), began: Instant::now(), lines: Vec::new() }
    }

    /// The scenario's clock starts.
    pub fn begin(&mut self, at: Instant) {
        self.began = at;
    }

    /// One line now.
    pub fn line(&mut self, mark: Mark, text: &str) {
        self.line_at(since_beginning(self.began, Instant::now()), mark, text);
    }

    /// One line; what users or the file do is said at once.
    pub fn line_at(&mut self, at: Millis, mark: Mark, text: &str) {
        if matches!(mark, Mark::Done | Mark::Met | Mark::Failed) {
            say(format_args!("{:<30} {}", self.name, one(at, mark, text)));
        }
        self.lines.push(Line { at, mark, text: text.to_owned() });
    }

    /// The whole story of a failure, with its place in the file.
    pub fn whole(&self, loaded: &Loaded, failure: &Failure) -> String {
        let at = loaded.position(&failure.path);
        let mut lines = self.lines.clone();
        lines.sort_by_key(|line| line.at);
        let story: Vec<String> =
            lines.iter().map(|line| format!("  {}\n", one(line.at, line.mark, &line.text))).collect();
        format!(
            "{} failed on the real cluster at {}:{}:{}, {}\n  wanted  {}\n  seen    {}\n  there   {}\n{}",
            self.name,
            loaded.name,
            at.line,
            at.column,
            failure.path,
            failure.wanted,
            failure.seen.join("\n          "),
            failure.place,
            story.concat(),
        )
    }
}

fn one(at: Millis, mark: Mark, text: &str) -> String {
    let sign = match mark {
        Mark::Done => "▶",
        Mark::Told | Mark::Place => " ",
        Mark::Warned => "!",
        Mark::Fault => "~",
        Mark::Met => "✓",
        Mark::Failed => "✗",
    };
    format!("{:>8} {sign} {text}", shown(at / 100 * 100))
}
