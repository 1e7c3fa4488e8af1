//! What is shown while the demo plays: the status screen redrawn in place on a terminal, one line per change elsewhere.

use std::{collections::BTreeMap, io::Write};

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::{Rollout, RolloutStatus, analysis::Verdict},
    cli::{
        exit::CliError,
        render::{
            paint::{Paint, Tone},
            printable::printable,
            redraw::{Redraw, Size},
            screen::{Screen, screen},
        },
    },
    engine::{Notice, Seen},
    evidence::grouped,
    local::traffic::Tally,
    view::{
        doing::doing_so_far,
        revision::{RevisionView, Role},
        situation::Situation,
    },
};

use super::summary::seconds;

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
    /// What the last plain lines spoke of.
    last_place: String,
    last_text: String,
    last_verdicts: Vec<Verdict>,
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
            last_place: String::new(),
            last_text: String::new(),
            last_verdicts: Vec::new(),
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
        self.last_place.clear();
        self.last_text.clear();
        self.last_verdicts.clear();
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
        });
        if let Some(tally) = frame.tally {
            text.push_str(&format!("\n  {}\n", users(tally)));
        }
        let written = self.screen.frame(&text, size);
        self.write(&written)
    }

    fn tell_changes(&mut self, frame: &Frame<'_>) -> Result<(), CliError> {
        for (at, notice) in frame.notices {
            let mark = if notice.warning { "!" } else { " " };
            self.line(*at, &format!("{mark} {}: {}", notice.reason, notice.message))?;
        }
        let status = frame.rollout.status.clone().unwrap_or_default();
        let place = place_key(&status);
        if place != self.last_place {
            self.last_place = place;
            let doing = doing_so_far(&Situation::of(frame.rollout, frame.now));
            let text = format!("  {doing}; {} of the traffic goes to the canary", status.weights.desired);
            // The phase may follow a moment later; that alone is no news.
            if text != self.last_text {
                self.line(frame.now, &text)?;
                self.last_text = text;
            }
        }
        let verdicts: Vec<Verdict> = status.metrics.iter().map(|metric| metric.verdict).collect();
        let counted =
            status.metrics.iter().any(|metric| metric.fail_progress > 0.0 || metric.verdict != Verdict::Continue);
        if verdicts != self.last_verdicts && counted {
            self.last_verdicts = verdicts;
            for metric in &status.metrics {
                let (verdict, canary, stable) = (metric.verdict, &metric.canary, &metric.stable);
                self.line(frame.now, &format!("  {} {verdict:?}: canary {canary}, stable {stable}", metric.name))?;
            }
        }
        Ok(())
    }

    fn line(&mut self, at: Timestamp, text: &str) -> Result<(), CliError> {
        let since = seconds(at.duration_since(self.began).max(SignedDuration::ZERO));
        self.write(&format!("{since:>7} {}\n", printable(text)))
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

/// What makes a new line: not every count, but every step and weight.
fn place_key(status: &RolloutStatus) -> String {
    let place = (status.course(), status.stage(), status.step_index, status.sub_step());
    format!("{:?} {place:?} {}", status.phase, status.weights.desired)
}

fn users(tally: &Tally) -> String {
    let errors: u64 = tally.versions.values().map(|answers| answers.errors).sum();
    let by_version: Vec<String> =
        tally.versions.iter().map(|(version, answers)| format!("{version} {}", grouped(answers.all))).collect();
    let lost = tally.refused + tally.transport_failures;
    format!("users     {} requests ({}), {errors} errors, {lost} lost", grouped(tally.sent), by_version.join(", "))
}
