//! Following one Rollout: a screen redrawn in place on a terminal, one line or object per change elsewhere.

use std::io::{IsTerminal as _, Write as _};

use futures::{StreamExt, stream::BoxStream};
use jiff::Timestamp;
use kube::{
    ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokio::time::{Duration, Instant, sleep};

use crate::{
    api::Rollout,
    cli::{
        args::global::OutputFormat,
        connect::{Connection, now},
        deadline::{Deadline, passed},
        exit::{CliError, Exit},
        interrupt::Interrupts,
        keys::Keys,
        pods::Wanted,
        render::{
            hints,
            output::{self, draw, print},
            printable::{one_line, printable},
            redraw::{Redraw, Size},
            screen::{self, Screen},
            waiting::WaitingLine,
        },
        target,
    },
    view::{
        doing::{doing, doing_so_far},
        ending::{Waited, waited},
        overview::Overview,
        phrases,
        place::{Place, is_seen},
        revision::RevisionView,
        situation::Situation,
    },
};

/// Revisions and pods are lists, which cost the API server more than a watch: they are read when the Rollout changes, and this
/// often besides.
const PODS_EVERY: Duration = Duration::from_secs(3);

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
    fn pods(self) -> Option<Wanted> {
        match self {
            Show::Screen { pods, .. } => Some(pods),
            Show::Objects(_) | Show::LastObject(_) => Some(Wanted::NotReady),
            Show::Lines | Show::End => None,
        }
    }

    /// Whether it changes as time goes by.
    fn has_clock(self) -> bool {
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

/// Why a watch is over before what it waits for has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopped {
    TimedOut,
    Interrupted,
    Quit,
}

/// What stops a watch from outside.
struct Stops {
    deadline: Option<Deadline>,
    interrupts: Interrupts,
    keys: Option<Keys>,
}

impl Stops {
    fn of(follow: &Follow) -> Result<Stops, CliError> {
        let keys = if follow.until == Until::Quit { Keys::read() } else { None };
        Ok(Stops { deadline: follow.deadline, interrupts: Interrupts::new()?, keys })
    }

    async fn come(&mut self) -> Stopped {
        let quit = async {
            match &mut self.keys {
                Some(keys) => keys.quit().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.interrupts.come() => Stopped::Interrupted,
            () = quit => Stopped::Quit,
            () = passed(self.deadline) => Stopped::TimedOut,
        }
    }
}

/// Watches until what it waits for has come, or it is stopped. How it ended is printed.
pub async fn follow(connection: &Connection, first: Rollout, mut follow: Follow) -> Result<Exit, CliError> {
    let mut stops = Stops::of(&follow)?;
    let mut changes = changes(connection, &follow.name);
    let mut shown = Shown::new(follow.show, stops.keys.is_some());
    let (mut rollout, mut pods) = (first, vec![]);
    let mut pods_due = Instant::now();
    loop {
        if let Some(wanted) = follow.show.pods().filter(|_| pods_due <= Instant::now()) {
            tokio::select! {
                biased;
                stopped = stops.come() => return shown.stopped(stopped, &follow, &rollout),
                read = connection.revisions(&rollout, wanted) => pods = read,
            }
            pods_due = Instant::now() + PODS_EVERY;
        }
        shown.show(&rollout, &pods)?;
        if let Some((exit, words)) = follow.end(&rollout) {
            return shown.end(&rollout, exit, &words);
        }
        tokio::select! {
            biased;
            stopped = stops.come() => return shown.stopped(stopped, &follow, &rollout),
            change = changes.next() => match change {
                Some(Ok(watcher::Event::Apply(new) | watcher::Event::InitApply(new))) => {
                    (rollout, pods_due) = (new, Instant::now());
                }
                Some(Ok(watcher::Event::Delete(_))) => return Err(CliError::Failed(format!("Rollout \"{}\" was deleted", follow.name))),
                Some(Ok(_)) => {}
                Some(Err(error)) => shown.trouble(&error.to_string()),
                None => return Err(CliError::Failed("the watch ended".into())),
            },
            () = sleep(Duration::from_secs(1)), if follow.show.has_clock() => {}
        }
    }
}

fn changes(connection: &Connection, name: &str) -> BoxStream<'static, watcher::Result<watcher::Event<Rollout>>> {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    watcher(connection.rollouts(), config).default_backoff().boxed()
}

impl Follow {
    fn waited(&mut self, rollout: &Rollout) -> Waited {
        self.target.resolve(rollout).map_or(Waited::Continues, |target| waited(rollout, &target))
    }

    /// How it ended, if what it waits for has come.
    fn end(&mut self, rollout: &Rollout) -> Option<(Exit, String)> {
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
    fn stopped(&self, stopped: Stopped, rollout: &Rollout) -> (Exit, String) {
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

/// What is on the terminal already.
struct Shown {
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
    fn new(how: Show, reads_keys: bool) -> Self {
        let screen = if reads_keys { Redraw::with_foot("  q quits\n") } else { Redraw::default() };
        let (last, trouble) = (String::new(), String::new());
        Shown { how, screen, waiting: WaitingLine::default(), last, trouble, revisions: vec![] }
    }

    fn show(&mut self, rollout: &Rollout, pods: &[RevisionView]) -> Result<(), CliError> {
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
                let text = screen::screen(&Screen { rollout, pods, now: now(), color, width, hints: true });
                draw(&self.screen.frame(&text, size))
            }
        }
    }

    /// The last screen stays; below it is how it ended. Beside objects it is no part of the output.
    fn end(&mut self, rollout: &Rollout, exit: Exit, words: &str) -> Result<Exit, CliError> {
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

    fn stopped(&mut self, stopped: Stopped, follow: &Follow, rollout: &Rollout) -> Result<Exit, CliError> {
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
    fn trouble(&mut self, error: &str) {
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

/// A Rollout in one line that changes only when something happens, not as time goes by.
pub fn change_line(rollout: &Rollout) -> String {
    let situation = Situation::of(rollout, Timestamp::UNIX_EPOCH);
    if matches!(situation.place, Place::Unseen { .. }) {
        return doing(&situation);
    }
    let verdicts = if situation.waits_for.is_verdict() { verdicts(rollout) } else { String::new() };
    in_one_line(&situation, &verdicts)
}

/// Phase, revision, step and weight, what it does, and what the caller adds to that.
pub fn in_one_line(situation: &Situation, more: &str) -> String {
    let phase = situation.phase.map(|phase| format!("{phase:?}")).unwrap_or_default();
    let mut parts = vec![phase, phrases::number(situation.current.as_ref())];
    parts.extend(situation.counter.map(|counter| counter.to_string()));
    let planned = situation.weight;
    parts.extend(situation.accepted.map(|accepted| match accepted == planned {
        true => accepted.to_string(),
        false => format!("{accepted} of {planned}"),
    }));
    parts.push(without_counts(situation) + more);
    parts.extend(situation.also_paused.clone());
    one_line(&parts.join("  ")).into_owned()
}

/// The engine's summary, but not while a verdict is waited for: it has the counts of every window then.
fn without_counts(situation: &Situation) -> String {
    if situation.summary.is_empty() || situation.waits_for.is_verdict() {
        doing(situation)
    } else {
        situation.summary.clone()
    }
}

/// `: errors Continue, latency Pass`.
fn verdicts(rollout: &Rollout) -> String {
    let metrics = rollout.status.iter().flat_map(|status| &status.metrics);
    let all: Vec<String> = metrics.map(|metric| format!("{} {:?}", metric.name, metric.verdict)).collect();
    if all.is_empty() { String::new() } else { format!(": {}", all.join(", ")) }
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
        let mut shown = Shown::new(Show::Lines, false);
        let sample = samples::healthy();
        assert!(shown.is_new(change_line(&sample.rollout)).is_some());
        assert_eq!(shown.is_new(change_line(&sample.rollout)), None);
        assert!(shown.is_new(change_line(&samples::held().rollout)).is_some());
    }

    #[test]
    fn a_change_is_one_line() {
        let mut sample = samples::aborted_by_command();
        sample.rollout.status.as_mut().unwrap().message = "revision #42 was rolled back: by ann: odd\nlatency".into();
        assert!(change_line(&sample.rollout).ends_with("by ann: odd latency"));
    }

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
