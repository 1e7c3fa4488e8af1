//! Following one Rollout: a screen redrawn in place on a terminal, one line or object per change elsewhere.

mod asked;
mod line;
mod shown;
mod stops;

use futures::{StreamExt, stream::BoxStream};
use kube::runtime::{WatchStreamExt, watcher};
use tokio::time::{Duration, Instant, sleep};

pub use self::{
    asked::{Follow, Show, Target, Until},
    line::in_one_line,
};
use self::{shown::Shown, stops::Stops};
use crate::{
    api::Rollout,
    cli::{
        connect::Connection,
        exit::{CliError, Exit},
    },
    view::courses::Courses,
};

/// Revisions and pods are lists, which cost the API server more than a watch: they are read when the Rollout changes, and this
/// often besides.
const PODS_EVERY: Duration = Duration::from_secs(3);
/// The course of the evidence is recorded once a minute, and long.
const COURSES_EVERY: Duration = Duration::from_secs(30);

/// Watches until what it waits for has come, or it is stopped. How it ended is printed.
pub async fn follow(connection: &Connection, first: Rollout, mut follow: Follow) -> Result<Exit, CliError> {
    let mut stops = Stops::of(&follow)?;
    let mut changes = changes(connection, &follow.name);
    let mut shown = Shown::new(follow.show, stops.reads_keys());
    let (mut rollout, mut pods, mut courses) = (first, vec![], Courses::default());
    let (mut pods_due, mut courses_due) = (Instant::now(), Instant::now());
    loop {
        if let Some(wanted) = follow.show.pods().filter(|_| pods_due <= Instant::now()) {
            tokio::select! {
                biased;
                stopped = stops.come() => return shown.stopped(stopped, &follow, &rollout),
                read = connection.revisions(&rollout, wanted) => pods = read,
            }
            pods_due = Instant::now() + PODS_EVERY;
        }
        if follow.show.is_screen() && courses_due <= Instant::now() {
            tokio::select! {
                biased;
                stopped = stops.come() => return shown.stopped(stopped, &follow, &rollout),
                read = connection.courses(&rollout) => courses = read,
            }
            courses_due = Instant::now() + COURSES_EVERY;
        }
        shown.show(&rollout, &pods, &courses)?;
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
