//! What is shown while the demo plays: the status screen redrawn in place on a terminal, one line per change elsewhere.

use std::{collections::BTreeMap, io::Write};

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::Rollout,
    cli::{
        changes::Line,
        exit::CliError,
        render::{
            paint::{Paint, Tone},
            printable::{one_line, printable},
            redraw::{Redraw, Size},
            screen::{Screen, screen},
        },
    },
    engine::{Notice, Seen},
    evidence::grouped,
    local::traffic::Tally,
    view::revision::{RevisionView, Role},
};

use super::{
    log::Log,
    summary::{counted, seconds},
};

/// What there is to show at one moment.
pub struct Frame<'a> {
    /// The Rollout with its status.
    pub rollout: &'a Rollout,
    /// Its surroundings.
    pub seen: &'a Seen,
    /// Transitions since the last frame.
    pub notices: &'a [(Timestamp, Notice)],
    /// What the users have seen.
    pub tally: Option<&'a Tally>,
    /// The time.
    pub now: Timestamp,
}

/// The screen.
pub struct Show {
    terminal: bool,
    color: bool,
    began: Timestamp,
    title: String,
    born: BTreeMap<String, Timestamp>,
    screen: Redraw,
    /// The lines where there is no terminal.
    log: Log,
}

impl Show {
    /// A screen that redraws itself on a terminal.
    pub fn new(terminal: bool, color: bool) -> Self {
        Show {
            terminal,
            color,
            began: Timestamp::UNIX_EPOCH,
            title: String::new(),
            born: BTreeMap::new(),
            screen: Redraw::default(),
            log: Log::default(),
        }
    }

    /// Prints a text that stays.
    pub fn say(&mut self, text: &str) -> Result<(), CliError> {
        self.write(&format!("{}\n", printable(text)))
    }

    /// Begins a chapter.
    pub fn begin(&mut self, title: &str, now: Timestamp) -> Result<(), CliError> {
        self.began = now;
        self.title = title.to_owned();
        self.log = Log::default();
        let heading = Paint { on: self.color }.text(Tone::Strong, &format!("── {title}"));
        self.say(&heading)
    }

    /// Shows a moment.
    pub fn draw(&mut self, frame: &Frame<'_>) -> Result<(), CliError> {
        if self.terminal { self.redraw(frame) } else { self.tell_changes(frame) }
    }

    /// Ends a chapter: its last frame stays.
    pub fn end(&mut self) -> Result<(), CliError> {
        let last = self.screen.last(Size::now());
        self.write(&format!("{last}\n"))
    }

    fn redraw(&mut self, frame: &Frame<'_>) -> Result<(), CliError> {
        let pods = self.revisions(frame);
        let size = Size::now();
        let width = size.layout();
        // Hints are commands for a cluster; here there is none to give them to.
        let mut text = screen(&Screen {
            rollout: frame.rollout,
            pods: &pods,
            now: frame.now,
            color: self.color,
            width,
            hints: false,
            courses: None,
        });
        if let Some(tally) = frame.tally {
            text.push_str(&format!("\n  {}\n", users(tally)));
        }
        let written = self.screen.frame(&text, size);
        self.write(&written)
    }

    fn tell_changes(&mut self, frame: &Frame<'_>) -> Result<(), CliError> {
        for Line { at, warning, text } in self.log.lines(frame.rollout, frame.notices, frame.now) {
            let since = seconds(at.duration_since(self.began).max(SignedDuration::ZERO));
            let mark = if warning { "!" } else { " " };
            self.write(&format!("{since:>7} {mark} {}\n", printable(&one_line(&text))))?;
        }
        Ok(())
    }

    fn revisions(&mut self, frame: &Frame<'_>) -> Vec<RevisionView> {
        let status = frame.rollout.status.clone().unwrap_or_default();
        let mut shown: Vec<RevisionView> = Vec::new();
        for seen in frame.seen.revisions.iter().filter(|seen| seen.pods > 0 || seen.wanted > 0) {
            let born = *self.born.entry(seen.id.clone()).or_insert(frame.now);
            shown.push(RevisionView {
                id: seen.id.clone(),
                number: seen.number,
                role: Role::of(&seen.id, &status),
                available: seen.available,
                wanted: seen.wanted,
                image: seen.images.join(", "),
                age: frame.now.duration_since(born),
                ..RevisionView::default()
            });
        }
        shown.sort_by_key(|revision| std::cmp::Reverse(revision.number));
        shown
    }

    fn write(&mut self, text: &str) -> Result<(), CliError> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }
}

fn users(tally: &Tally) -> String {
    let errors: u64 = tally.versions.values().map(|answers| answers.errors).sum();
    let mut answered: Vec<String> =
        tally.versions.iter().map(|(version, answers)| format!("{version} {}", grouped(answers.all))).collect();
    if tally.underway() > 0 {
        answered.push(format!("{} in flight", grouped(tally.underway())));
    }
    let lost = tally.refused + tally.transport_failures;
    format!(
        "users     {} ({}), {}, {lost} lost",
        counted(tally.sent, "request"),
        answered.join(", "),
        counted(errors, "error")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::traffic::Answers;

    #[test]
    fn what_users_have_seen_adds_up_and_is_in_the_right_number() {
        let answers = |all, errors| Answers { all, errors };
        let versions = [("v1".to_owned(), answers(1_114, 1)), ("v2".to_owned(), answers(1, 0))];
        let mut tally = Tally { sent: 1_121, versions: versions.into(), ..Tally::default() };
        assert_eq!(users(&tally), "users     1,121 requests (v1 1,114, v2 1, 6 in flight), 1 error, 0 lost");
        tally.sent = 1_115;
        assert_eq!(users(&tally), "users     1,115 requests (v1 1,114, v2 1), 1 error, 0 lost");
    }
}
