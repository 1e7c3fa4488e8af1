//! Following one Rollout: a screen redrawn in place on a terminal, one line per change elsewhere, until the end.

use std::time::Duration;

use futures::{StreamExt, stream::BoxStream};
use jiff::Timestamp;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::time::{Instant, sleep_until};

use crate::{
    api::Rollout,
    cli::{
        connect::{Connection, now},
        exit::{CliError, Exit},
        render::{
            hints,
            output::{draw, print},
            printable::printable,
            redraw::{Redraw, Size},
            screen::{self, Screen},
        },
    },
    view::{
        doing::{doing, doing_so_far},
        ending::{Waited, waited},
        phrases,
        place::{Place, is_seen},
        revision::RevisionView,
        situation::Situation,
    },
};

/// What to follow, how to show it, and when to stop.
#[derive(Clone, Debug)]
pub struct Follow {
    /// The Rollout's name.
    pub name: String,
    /// Which revision's release is waited for.
    pub target: Target,
    /// How to show it.
    pub show: Show,
    /// Whether it ends when the rollout waits for an operator.
    pub stop_for_human: bool,
    /// The longest wait.
    pub timeout: Option<Duration>,
}

/// Which revision's release is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// This one.
    Revision(String),
    /// The first wanted one that is not this one.
    NotThis(Option<String>),
}

/// How a followed Rollout is shown.
#[derive(Clone, Copy, Debug)]
pub enum Show {
    /// The screen, redrawn in place.
    Screen {
        /// Whether to paint.
        color: bool,
    },
    /// One line per change.
    Lines,
    /// Only the end.
    End,
}

impl Target {
    /// The release of the newest file. Until the controller has seen that file, the current revision is the one before.
    pub fn current(rollout: &Rollout) -> Self {
        let current = rollout.status.as_ref().and_then(|status| status.current_revision.as_ref());
        match current {
            Some(current) if is_seen(rollout) => Target::Revision(current.id.clone()),
            _ => Target::NotThis(None),
        }
    }

    /// Once the wanted revision is known it stays.
    fn resolve(&mut self, rollout: &Rollout) -> Option<String> {
        let current = rollout.status.as_ref().and_then(|status| status.current_revision.as_ref()).map(|r| r.id.clone());
        if let Target::NotThis(before) = self {
            let current = current.filter(|id| is_seen(rollout) && Some(id) != before.as_ref())?;
            *self = Target::Revision(current);
        }
        match self {
            Target::Revision(id) => Some(id.clone()),
            Target::NotThis(_) => None,
        }
    }
}

/// Watches until the end, a wait for an operator (if requested), or the timeout. The end is printed.
pub async fn follow(connection: &Connection, first: Rollout, mut follow: Follow) -> Result<Exit, CliError> {
    let mut changes = changes(connection, &follow.name);
    let deadline = follow.timeout.map(|timeout| Instant::now() + timeout);
    let mut shown = Shown::default();
    let mut rollout = first;
    loop {
        let pods =
            if matches!(follow.show, Show::Screen { .. }) { connection.revisions(&rollout).await } else { vec![] };
        shown.show(&rollout, &pods, follow.show)?;
        let state = follow.target.resolve(&rollout).map_or(Waited::Continues, |target| waited(&rollout, &target));
        match &state {
            Waited::Over(outcome, words) => return shown.end(&follow.name, (*outcome).into(), words),
            Waited::Failed(words) => return shown.end(&follow.name, Exit::Failed, words),
            Waited::ForOperator if follow.stop_for_human => {
                return shown.end(&follow.name, Exit::WaitsForHuman, &for_operator(&rollout));
            }
            Waited::ForOperator | Waited::Continues => {}
        }
        let tick = Instant::now() + Duration::from_secs(1);
        tokio::select! {
            change = changes.next() => match change {
                Some(Ok(watcher::Event::Apply(new) | watcher::Event::InitApply(new))) => rollout = new,
                Some(Ok(watcher::Event::Delete(_))) => return Err(CliError::Failed(format!("Rollout \"{}\" was deleted", follow.name))),
                Some(Ok(_)) => {}
                Some(Err(error)) => shown.trouble(&error.to_string()),
                None => return Err(CliError::Failed("the watch ended".into())),
            },
            () = sleep_until(tick), if matches!(follow.show, Show::Screen { .. }) => {}
            () = sleep_until(deadline.unwrap_or(tick)), if deadline.is_some() => {
                let (exit, words) = timed_out(&follow, &rollout, &state);
                return shown.end(&follow.name, exit, &words);
            }
        }
    }
}

fn changes(connection: &Connection, name: &str) -> BoxStream<'static, watcher::Result<watcher::Event<Rollout>>> {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    watcher(connection.rollouts(), config).default_backoff().boxed()
}

fn for_operator(rollout: &Rollout) -> String {
    hints::for_operator(rollout, &Situation::of(rollout, now()))
}

fn timed_out(follow: &Follow, rollout: &Rollout, state: &Waited) -> (Exit, String) {
    if *state == Waited::ForOperator {
        return (Exit::WaitsForHuman, for_operator(rollout));
    }
    let limit = follow
        .timeout
        .map(|t| phrases::short(jiff::SignedDuration::try_from(t).unwrap_or_default()))
        .unwrap_or_default();
    let unseen = matches!(follow.target, Target::NotThis(_));
    let words = if unseen {
        format!("not done after {limit}: no controller has started the new version; check with 'glidepath doctor'")
    } else {
        let doing = doing_so_far(&Situation::of(rollout, now()));
        format!("not done after {limit}: {doing}; the rollout continues")
    };
    (Exit::TimedOut, words)
}

/// What is on the terminal already.
#[derive(Default)]
struct Shown {
    /// The screen.
    screen: Redraw,
    /// The last line, which is not repeated.
    last: String,
}

impl Shown {
    fn show(&mut self, rollout: &Rollout, pods: &[RevisionView], show: Show) -> Result<(), CliError> {
        match show {
            Show::End => Ok(()),
            Show::Lines => match self.new_line(rollout) {
                Some(line) => print(&format!("{}  {line}\n", now().strftime("%H:%M:%S"))),
                None => Ok(()),
            },
            Show::Screen { color } => {
                let size = Size::now();
                let width = size.layout();
                let text = screen::screen(&Screen { rollout, pods, now: now(), color, width, hints: true });
                draw(&self.screen.frame(&text, size))
            }
        }
    }

    /// The last screen stays; below it is how it ended.
    fn end(&mut self, name: &str, exit: Exit, words: &str) -> Result<Exit, CliError> {
        draw(&self.screen.last(Size::now()))?;
        let words = words.trim_end_matches([' ', ':']);
        print(&format!("{name}: {words}\n"))?;
        Ok(exit)
    }

    fn new_line(&mut self, rollout: &Rollout) -> Option<String> {
        let line = change_line(rollout);
        if self.last == line {
            return None;
        }
        self.last.clone_from(&line);
        Some(line)
    }

    /// A watch that fails is retried, and reported once on stderr.
    fn trouble(&mut self, error: &str) {
        if self.last != error {
            eprintln!("watch interrupted, retrying: {}", printable(error));
            error.clone_into(&mut self.last);
        }
    }
}

/// A Rollout in one line that changes only when something happens, not as time goes by.
pub fn change_line(rollout: &Rollout) -> String {
    let situation = Situation::of(rollout, Timestamp::UNIX_EPOCH);
    if matches!(situation.place, Place::Unseen { .. }) {
        return doing(&situation);
    }
    let phase = situation.phase.map(|phase| format!("{phase:?}")).unwrap_or_default();
    let mut parts = vec![phase, phrases::number(situation.current.as_ref())];
    parts.extend(situation.counter.map(|counter| counter.to_string()));
    let planned = situation.weight;
    parts.extend(situation.accepted.map(|accepted| match accepted == planned {
        true => accepted.to_string(),
        false => format!("{accepted} of {planned}"),
    }));
    parts.push(if situation.summary.is_empty() { doing(&situation) } else { situation.summary });
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;

    #[test]
    fn lines() {
        let lines: Vec<String> =
            samples::all().iter().map(|(name, s)| format!("{name}: {}", change_line(&s.rollout))).collect();
        insta::assert_snapshot!("change_lines", lines.join("\n"));
    }

    #[test]
    fn a_line_is_not_repeated() {
        let mut shown = Shown::default();
        let sample = samples::healthy();
        assert!(shown.new_line(&sample.rollout).is_some());
        assert_eq!(shown.new_line(&sample.rollout), None);
        assert!(shown.new_line(&samples::held().rollout).is_some());
    }

    #[test]
    fn a_target_is_found_when_the_revision_changes_and_then_stays() {
        let mut target = Target::NotThis(Some("b7d0c41hze".into()));
        assert_eq!(target.resolve(&samples::healthy().rollout), None);
        assert_eq!(target.resolve(&samples::observing().rollout).as_deref(), Some("k3v9x2m1qa"));
        assert_eq!(target.resolve(&samples::healthy().rollout).as_deref(), Some("k3v9x2m1qa"));
    }

    /// Otherwise a pipeline that applies a file and then waits would get the outcome of the previous release.
    #[test]
    fn the_release_of_a_file_that_no_controller_has_seen_is_not_the_one_before() {
        let seen = samples::healthy().rollout;
        assert_eq!(Target::current(&seen), Target::Revision("b7d0c41hze".into()));
        let mut unseen = seen.clone();
        unseen.metadata.generation = seen.metadata.generation.map(|generation| generation + 1);
        let mut target = Target::current(&unseen);
        assert_eq!(target.resolve(&unseen), None);
        assert_eq!(target.resolve(&samples::observing().rollout).as_deref(), Some("k3v9x2m1qa"));
        assert_eq!(target.resolve(&seen).as_deref(), Some("k3v9x2m1qa"), "once known it stays");
    }
}
