//! Synthetic traffic while a run measures: which Job of a load runs, and when the next one starts.
//!
//! One Job runs at a time. Its name is put on record before it is created, so that a controller which takes over finds it,
//! and deletes it when the run has ended. A Job that fails is a note and no verdict: without traffic there is no data, which
//! is never a pass.

use jiff::{SignedDuration, Timestamp};

use crate::api::analysis::LoadStatus;

/// Two Jobs of one load start no sooner one after the other: each start is a write of the run.
const APART: SignedDuration = SignedDuration::from_secs(30);
/// How long after a first failure the next Job starts; twice as long after each further one.
const FIRST_RETRY: SignedDuration = SignedDuration::from_secs(10);
const LONGEST_RETRY: SignedDuration = SignedDuration::from_mins(5);
/// A Job that has run for this long works: its failures before count no more.
const WORKS: SignedDuration = SignedDuration::from_mins(1);
/// How often the Job in progress is looked at.
const LOOK: SignedDuration = SignedDuration::from_secs(10);

/// What was seen of the Job on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadSeen {
    /// It runs, or has been created just now.
    Running,
    /// It has ended as it should, or has run for as long as it may.
    Ended,
    /// It has failed.
    Failed(String),
    /// The API server does not accept it.
    Refused(String),
    /// It could not be read or created, and may run.
    Unknown(String),
}

/// The load after this look. `seen` is of the Job on record, if there is one; `name` names the next.
pub fn next(known: &LoadStatus, seen: Option<LoadSeen>, name: impl Fn(u32) -> String, now: Timestamp) -> LoadStatus {
    let mut load = known.clone();
    if load.job.is_some() {
        match seen {
            Some(LoadSeen::Running) if later(load.started_at, WORKS, now) <= now => {
                (load.failures, load.note) = (0, None);
            }
            Some(LoadSeen::Running) | None => {}
            Some(LoadSeen::Ended) => {
                (load.job, load.failures, load.note) = (None, 0, None);
                load.next_at = Some(later(load.started_at, APART, now));
            }
            Some(LoadSeen::Failed(note)) => fail(&mut load, note, now),
            Some(LoadSeen::Refused(note)) => {
                // It was not started.
                load.started = load.started.saturating_sub(1);
                fail(&mut load, note, now);
            }
            Some(LoadSeen::Unknown(note)) => load.note = Some(note),
        }
    }
    if load.job.is_none() && load.next_at.is_none_or(|at| at <= now) {
        load.started = load.started.saturating_add(1);
        (load.job, load.started_at, load.next_at) = (Some(name(load.started)), Some(now), None);
    }
    load
}

/// When to look at it again.
pub fn due(load: &LoadStatus, now: Timestamp) -> Timestamp {
    match (&load.job, load.next_at) {
        (None, Some(at)) => at.max(now),
        _ => now.saturating_add(LOOK).unwrap_or(Timestamp::MAX),
    }
}

/// What the run's message says of its loads.
pub(super) fn sentence(loads: &[LoadStatus]) -> String {
    let notes: Vec<&str> = loads.iter().filter_map(|load| load.note.as_deref()).collect();
    if notes.is_empty() { String::new() } else { format!("; load: {}", notes.join("; ")) }
}

fn fail(load: &mut LoadStatus, note: String, now: Timestamp) {
    let doublings = load.failures.min(16);
    load.failures = load.failures.saturating_add(1);
    let pause = SignedDuration::from_secs(FIRST_RETRY.as_secs() << doublings).min(LONGEST_RETRY);
    load.next_at = Some(later(load.started_at, APART, now).max(later(Some(now), pause, now)));
    (load.job, load.note) = (None, Some(note));
}

/// So long after a time, and not before now.
fn later(time: Option<Timestamp>, by: SignedDuration, now: Timestamp) -> Timestamp {
    time.unwrap_or(now).saturating_add(by).unwrap_or(Timestamp::MAX).max(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn name(number: u32) -> String {
        format!("load-{number}")
    }

    fn look(load: &LoadStatus, seen: LoadSeen, second: i64) -> LoadStatus {
        next(load, Some(seen), name, at(second))
    }

    fn begun() -> LoadStatus {
        next(&LoadStatus::default(), None, name, at(1000))
    }

    #[test]
    fn one_job_runs_and_the_next_starts_when_it_has_ended() {
        let first = begun();
        assert_eq!((first.job.as_deref(), first.started, due(&first, at(1000))), (Some("load-1"), 1, at(1010)));
        assert_eq!(look(&first, LoadSeen::Running, 1010), first);
        let second = look(&first, LoadSeen::Ended, 1300);
        assert_eq!((second.job.as_deref(), second.started, second.started_at), (Some("load-2"), 2, Some(at(1300))));
    }

    /// A program that ends at once would be started, and written, at every look.
    #[test]
    fn jobs_that_end_at_once_start_half_a_minute_apart() {
        let ended = look(&begun(), LoadSeen::Ended, 1005);
        assert_eq!((ended.job.clone(), ended.failures, due(&ended, at(1005))), (None, 0, at(1030)));
        assert_eq!(next(&ended, None, name, at(1029)), ended);
        assert_eq!(next(&ended, None, name, at(1030)).job.as_deref(), Some("load-2"));
    }

    #[test]
    fn failures_are_noted_and_retried_less_and_less_often() {
        let (mut load, mut now, mut pauses) = (begun(), 1000, Vec::new());
        for _ in 0..8 {
            load = look(&load, LoadSeen::Failed("exit code 3".into()), now);
            assert_eq!((load.job.as_deref(), load.note.as_deref()), (None, Some("exit code 3")));
            let again = due(&load, at(now)).as_second();
            pauses.push(again - now);
            now = again;
            load = next(&load, None, name, at(now));
        }
        assert_eq!(pauses, [30, 30, 40, 80, 160, 300, 300, 300]);
        assert_eq!((load.started, load.failures), (9, 8));
        assert_eq!(sentence(std::slice::from_ref(&load)), "; load: exit code 3");
        let starts = look(&load, LoadSeen::Running, now + 59);
        assert_eq!(starts, load, "it may fail yet");
        let works = look(&load, LoadSeen::Running, now + 60);
        assert_eq!((works.failures, works.note.clone(), sentence(&[works])), (0, None, String::new()));
    }

    #[test]
    fn a_job_that_was_refused_was_not_started_and_one_that_cannot_be_read_may_run() {
        let refused = look(&begun(), LoadSeen::Refused("may not create Jobs".into()), 1000);
        assert_eq!((refused.job.clone(), refused.started, refused.failures), (None, 0, 1));
        assert_eq!(next(&refused, None, name, at(1030)).job.as_deref(), Some("load-1"));
        let unknown = look(&begun(), LoadSeen::Unknown("no answer".into()), 1010);
        assert_eq!((unknown.job.as_deref(), unknown.note.as_deref()), (Some("load-1"), Some("no answer")));
    }

    #[test]
    fn times_far_off_break_nothing() {
        let odd = LoadStatus { started_at: Some(Timestamp::MAX), failures: u32::MAX, ..begun() };
        let failed = next(&odd, Some(LoadSeen::Failed("x".into())), name, Timestamp::MAX);
        assert_eq!(due(&failed, Timestamp::MAX), Timestamp::MAX);
    }
}
