//! What a watch has put on the terminal, or printed: a screen that is redrawn, lines, or objects.

use std::io::{IsTerminal as _, Write as _};

use kube::ResourceExt;

use super::{
    asked::{Follow, Show, Stopped},
    line::change_line,
};
use crate::{
    api::Rollout,
    cli::{
        args::global::OutputFormat,
        connect::now,
        exit::{CliError, Exit},
        render::{
            output::{self, draw, print},
            printable::printable,
            redraw::{Redraw, Size},
            screen::{self, Screen},
            waiting::WaitingLine,
        },
    },
    view::{courses::Courses, doing::doing_so_far, overview::Overview, revision::RevisionView, situation::Situation},
};

/// What is on the terminal already.
pub(super) struct Shown {
    how: Show,
    /// The screen.
    screen: Redraw,
    /// What is said while there is nothing to show.
    waiting: WaitingLine,
    /// The last line or object, which is not repeated.
    last: String,
    /// The last trouble, which is not repeated.
    trouble: String,
    /// The last revisions, for the object at the end.
    revisions: Vec<RevisionView>,
}

impl Shown {
    /// Nothing is there yet.
    pub fn new(how: Show, reads_keys: bool) -> Self {
        let screen = if reads_keys { Redraw::with_foot("  q quits\n") } else { Redraw::default() };
        let (last, trouble) = (String::new(), String::new());
        Shown { how, screen, waiting: WaitingLine::default(), last, trouble, revisions: vec![] }
    }

    /// Shows the Rollout as it is now.
    pub fn show(&mut self, rollout: &Rollout, pods: &[RevisionView], courses: &Courses) -> Result<(), CliError> {
        match self.how {
            Show::End | Show::LastObject(_) => {
                self.revisions = pods.to_vec();
                let doing = doing_so_far(&Situation::of(rollout, now()));
                self.waiting.say(&format!("waiting for {}: {doing}", rollout.name_any()));
                Ok(())
            }
            Show::Lines => match self.is_new(change_line(rollout)) {
                Some(line) => print(&format!("{}  {line}\n", now().strftime("%H:%M:%S"))),
                None => Ok(()),
            },
            // The shape says how long it takes, which is no change.
            Show::Objects(format) => match self.is_new(serde_json::to_string(rollout).unwrap_or_default()) {
                Some(_) => print(&object(format, rollout, pods)?),
                None => Ok(()),
            },
            Show::Screen { color, .. } => {
                let size = Size::now();
                let width = size.layout();
                let courses = Some(courses);
                let text = screen::screen(&Screen { rollout, pods, now: now(), color, width, hints: true, courses });
                draw(&self.screen.frame(&text, size))
            }
        }
    }

    /// The last screen stays; below it is how it ended. Beside objects it is no part of the output.
    pub fn end(&mut self, rollout: &Rollout, exit: Exit, words: &str) -> Result<Exit, CliError> {
        self.waiting.clear();
        draw(&self.screen.last(Size::now()))?;
        let words = format!("{}: {}", rollout.name_any(), words.trim_end_matches([' ', ':']));
        match self.how {
            Show::Objects(_) => tell(&words),
            Show::LastObject(format) => {
                tell(&words);
                print(&object(format, rollout, &self.revisions)?)?;
            }
            Show::Screen { .. } | Show::Lines | Show::End => print(&format!("{words}\n"))?,
        }
        Ok(exit)
    }

    /// How it was stopped, below the last screen.
    pub fn stopped(&mut self, stopped: Stopped, follow: &Follow, rollout: &Rollout) -> Result<Exit, CliError> {
        let (exit, words) = follow.stopped(stopped, rollout);
        if stopped == Stopped::Interrupted && std::io::stdout().is_terminal() {
            // Over the ^C that the terminal has put there.
            draw("\r")?;
        }
        self.end(rollout, exit, &words)
    }

    fn is_new(&mut self, text: String) -> Option<String> {
        if self.last == text {
            return None;
        }
        self.last.clone_from(&text);
        Some(text)
    }

    /// A watch that fails is retried, and reported once on stderr.
    pub fn trouble(&mut self, error: &str) {
        if self.trouble != error {
            self.waiting.clear();
            tell(&format!("watch interrupted, retrying: {error}"));
            error.clone_into(&mut self.trouble);
        }
    }
}

/// What `status` prints of it without waiting.
fn object(format: OutputFormat, rollout: &Rollout, pods: &[RevisionView]) -> Result<String, CliError> {
    Ok(output::shape(format, rollout, || Overview::of(rollout, pods, now()))?.unwrap_or_default())
}

/// A line for people beside the output; without a standard error there is no one to tell.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable(line));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;

    #[test]
    fn a_line_is_not_repeated() {
        let mut shown = Shown::new(Show::Lines, false);
        let sample = samples::healthy();
        assert!(shown.is_new(change_line(&sample.rollout)).is_some());
        assert_eq!(shown.is_new(change_line(&sample.rollout)), None);
        assert!(shown.is_new(change_line(&samples::held().rollout)).is_some());
    }
}
