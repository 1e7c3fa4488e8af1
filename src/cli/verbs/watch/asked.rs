//! What is asked of a watch: whose release, how it is shown, and how it ends.

use crate::{
    api::Rollout,
    cli::{
        args::global::OutputFormat, connect::now, deadline::Deadline, exit::Exit, pods::Wanted, render::hints, target,
    },
    view::{
        doing::doing_so_far,
        ending::{Waited, waited},
        place::is_seen,
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
    /// What ends it.
    pub until: Until,
    /// The longest wait.
    pub deadline: Option<Deadline>,
}

/// What ends a watch, besides its time limit and Ctrl-C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The end of the release, or a wait for an operator.
    EndOrOperator,
    /// The user, with `q`: the screen waits for the next release too.
    Quit,
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
        /// Which pods.
        pods: Wanted,
    },
    /// One line per change.
    Lines,
    /// What `-o json` prints, once per change.
    Objects(OutputFormat),
    /// Only the end.
    End,
    /// Only the object at the end.
    LastObject(OutputFormat),
}

impl Show {
    /// Which pods it shows, with their revisions.
    pub(super) fn pods(self) -> Option<Wanted> {
        match self {
            Show::Screen { pods, .. } => Some(pods),
            Show::Objects(_) | Show::LastObject(_) => Some(Wanted::NotReady),
            Show::Lines | Show::End => None,
        }
    }

    /// Whether it has room for sparklines.
    pub(super) fn is_screen(self) -> bool {
        matches!(self, Show::Screen { .. })
    }

    /// Whether it changes as time goes by.
    pub(super) fn has_clock(self) -> bool {
        matches!(self, Show::Screen { .. } | Show::End | Show::LastObject(_))
    }
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
    pub(super) fn resolve(&mut self, rollout: &Rollout) -> Option<String> {
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

/// Why a watch is over before what it waits for has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// Its time limit has passed.
    TimedOut,
    /// Ctrl-C.
    Interrupted,
    /// The key.
    Quit,
}

impl Follow {
    pub(super) fn waited(&mut self, rollout: &Rollout) -> Waited {
        self.target.resolve(rollout).map_or(Waited::Continues, |target| waited(rollout, &target))
    }

    /// How it ended, if what it waits for has come.
    pub(super) fn end(&mut self, rollout: &Rollout) -> Option<(Exit, String)> {
        let waited = self.waited(rollout);
        if self.until == Until::Quit {
            return None;
        }
        match waited {
            Waited::Over(outcome, words) => Some((outcome.into(), words)),
            Waited::Failed(words) => Some((Exit::Failed, words)),
            Waited::ForOperator => Some((Exit::WaitsForHuman, for_operator(rollout))),
            Waited::Continues => None,
        }
    }

    /// What a watch that was stopped says, and its exit code.
    pub(super) fn stopped(&self, stopped: Stopped, rollout: &Rollout) -> (Exit, String) {
        // A screen that stays is not about the release that it began with.
        let target = if self.until == Until::Quit { &Target::current(rollout) } else { &self.target };
        let state = match target {
            Target::Revision(id) => waited(rollout, id),
            Target::NotThis(_) => Waited::Continues,
        };
        let so_far = match (target, &state) {
            (Target::NotThis(_), _) if self.until == Until::EndOrOperator => {
                let check = target::doctor("check with 'glidepath doctor'");
                format!("no controller has started the new version; {check}")
            }
            (_, Waited::Over(_, words) | Waited::Failed(words)) => words.clone(),
            (_, Waited::ForOperator) => for_operator(rollout),
            (_, Waited::Continues) => {
                let doing = doing_so_far(&Situation::of(rollout, now()));
                format!("{doing}; the rollout continues, follow it with '{}'", hints::watch(rollout))
            }
        };
        match (stopped, state) {
            (Stopped::Interrupted, _) => (Exit::Interrupted, so_far),
            (Stopped::Quit, _) => (Exit::Done, so_far),
            (Stopped::TimedOut, Waited::ForOperator) => (Exit::WaitsForHuman, so_far),
            (Stopped::TimedOut, Waited::Failed(_)) => (Exit::Failed, so_far),
            (Stopped::TimedOut, Waited::Over(outcome, _)) => (outcome.into(), so_far),
            (Stopped::TimedOut, Waited::Continues) => {
                let limit = self.deadline.map(Deadline::limit).unwrap_or_default();
                (Exit::TimedOut, format!("not done after {limit}: {so_far}"))
            }
        }
    }
}

fn for_operator(rollout: &Rollout) -> String {
    hints::for_operator(rollout, &Situation::of(rollout, now()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;

    fn follow(until: Until) -> Follow {
        let target = Target::Revision("k3v9x2m1qa".into());
        Follow { name: "checkout".into(), target, show: Show::End, until, deadline: None }
    }

    #[test]
    fn a_screen_stays_when_the_release_is_over_and_a_wait_ends() {
        for (sample, exit) in [
            (samples::aborted(), Some(Exit::RolledBack)),
            (samples::at_pause(), Some(Exit::WaitsForHuman)),
            (samples::observing(), None),
        ] {
            let ended = |until| follow(until).end(&sample.rollout).map(|(exit, _)| exit);
            assert_eq!((ended(Until::EndOrOperator), ended(Until::Quit)), (exit, None));
        }
    }

    #[test]
    fn what_is_stopped_says_that_the_release_continues_and_how_to_follow_it() {
        const GOES_ON: &str = "; the rollout continues, follow it with 'glidepath status checkout --watch'";
        let observing = samples::observing().rollout;
        let limit = Deadline::after(crate::api::HumanDuration::secs(300));
        let wait = Follow { deadline: Some(limit), ..follow(Until::EndOrOperator) };
        for (stopped, exit, begins) in [
            (Stopped::Interrupted, Exit::Interrupted, "observing at 25 %"),
            (Stopped::Quit, Exit::Done, "observing at 25 %"),
            (Stopped::TimedOut, Exit::TimedOut, "not done after 5m: observing at 25 %"),
        ] {
            let (code, words) = wait.stopped(stopped, &observing);
            assert_eq!(code, exit);
            assert!(words.starts_with(begins) && words.ends_with(GOES_ON), "{words}");
        }
        let over = wait.stopped(Stopped::TimedOut, &samples::aborted().rollout);
        assert!(over.0 == Exit::RolledBack && !over.1.contains("continues"), "{over:?}");
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
