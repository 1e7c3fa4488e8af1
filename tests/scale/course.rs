//! The course of every Rollout as its status reported it, every version of it: a watch loses none.

use super::records::Record;
use futures::TryStreamExt;
use glidepath::api::common::Percent;
use glidepath::api::status::{Course, Outcome};
use glidepath::api::{Rollout, RolloutStatus};
use jiff::{SignedDuration, Timestamp};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// The pauses in the steps of the fleet: index and weight in force.
const PAUSES: [(u32, u32); 2] = [(1, 20), (3, 60)];

/// A place in the steps, as it was first seen.
#[derive(Debug, Clone, PartialEq)]
struct Mark {
    course: Course,
    step: u32,
    since: Option<Timestamp>,
    weight: Percent,
}

#[derive(Debug, Default)]
struct Walk {
    /// By the number of the current revision.
    marks: HashMap<u64, Vec<Mark>>,
    /// When a revision was first seen to be stable and the Rollout at rest.
    stable: HashMap<u64, Instant>,
    last: Option<RolloutStatus>,
    /// What was written while a revision was the current one, and what began it.
    records: HashMap<u64, Vec<Record>>,
    began: HashMap<u64, Instant>,
}

type Walks = HashMap<(String, String), Walk>;

/// All courses so far.
#[derive(Clone)]
pub struct Courses {
    walks: Arc<Mutex<Walks>>,
}

/// Follows until it is dropped.
pub type Following = AbortOnDropHandle<()>;

impl Courses {
    /// Follows all Rollouts from now on.
    pub fn follow(client: Client) -> (Self, Following) {
        let courses = Courses { walks: Arc::default() };
        let told = courses.clone();
        let rollouts: Api<Rollout> = Api::all(client);
        let mut stream = Box::pin(watcher(rollouts, watcher::Config::default()).default_backoff().applied_objects());
        let following = tokio::spawn(async move {
            loop {
                match stream.try_next().await {
                    Ok(Some(rollout)) => told.see(&rollout),
                    Ok(None) => return,
                    Err(error) => eprintln!("watch of Rollouts: {error}"),
                }
            }
        });
        (courses, AbortOnDropHandle::new(following))
    }

    fn see(&self, rollout: &Rollout) {
        let key = (rollout.namespace().unwrap_or_default(), rollout.name_any());
        let Some(status) = &rollout.status else { return };
        let Some(current) = &status.current_revision else { return };
        let mut walks = self.lock();
        let walk = walks.entry(key).or_default();
        let mark = Mark {
            course: status.course(),
            step: status.step_index,
            since: status.state.since(),
            weight: status.weights.desired,
        };
        let marks = walk.marks.entry(current.number).or_default();
        match marks.last_mut().filter(|last| (last.step, last.course) == (mark.step, mark.course)) {
            Some(last) => last.weight = mark.weight,
            None => marks.push(mark),
        }
        if status.course() == Course::Idle && status.stable_revision.as_ref() == Some(current) {
            walk.stable.entry(current.number).or_insert_with(Instant::now);
        }
        let began = *walk.began.entry(current.number).or_insert_with(Instant::now);
        let last = walk.last.replace(status.clone()).unwrap_or_default();
        walk.records.entry(current.number).or_default().extend(Record::of(began.elapsed(), &last, status));
    }

    /// The records of a revision: those of a Rollout with as many as most have, and of one that has the most.
    pub fn records(&self, number: u64) -> [Vec<Record>; 2] {
        let walks = self.lock();
        let mut all: Vec<&Vec<Record>> = walks.values().filter_map(|walk| walk.records.get(&number)).collect();
        all.sort_by_key(|records| records.len());
        [all.len() / 2, all.len().saturating_sub(1)].map(|at| all.get(at).map_or_else(Vec::new, |all| (*all).clone()))
    }

    /// When each Rollout that has come so far had this revision as its stable one.
    pub fn stable_at(&self, number: u64) -> Vec<Instant> {
        self.lock().values().filter_map(|walk| walk.stable.get(&number).copied()).collect()
    }

    /// What went wrong on the way to revision `number`: stuck, a step skipped, a pause shorter than `pause` seconds.
    pub fn faults(&self, keys: &[(String, String)], number: u64, pause: i64) -> Vec<String> {
        let walks = self.lock();
        let fault = |key: &(String, String)| {
            let fault = walks.get(key).map_or(Some("never seen".to_owned()), |walk| walk.fault(number, pause));
            fault.map(|fault| format!("{}/{}: {fault}", key.0, key.1))
        };
        keys.iter().filter_map(fault).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Walks> {
        self.walks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Walk {
    fn fault(&self, number: u64, pause: i64) -> Option<String> {
        let last = self.last.as_ref()?;
        let recorded = last.history.first().filter(|entry| entry.revision.number == number);
        if !recorded.is_some_and(|entry| entry.outcome == Outcome::Promoted && entry.attempt == 1) {
            return Some(format!("not promoted in one attempt: {:?}, {}", last.course(), last.message));
        }
        let marks = self.marks.get(&number)?;
        let walked: Vec<u32> = marks.iter().filter(|mark| mark.course == Course::Stepping).map(|m| m.step).collect();
        // A step that completes at once, and the end of the last one, need no record of their own; a pause always has one.
        let forward = walked.windows(2).all(|pair| pair[0] < pair[1]) && walked.last().is_some_and(|last| *last <= 4);
        if !forward || !PAUSES.iter().all(|(step, _)| walked.contains(step)) {
            return Some(format!("walked the steps {walked:?}"));
        }
        marks.windows(2).find_map(|pair| {
            let (_, weight) = PAUSES.iter().find(|(step, _)| *step == pair[0].step)?;
            let lasted = pair[1].since?.duration_since(pair[0].since?);
            let wrong = pair[0].weight != Percent::whole(*weight) || lasted < SignedDuration::from_secs(pause);
            wrong.then(|| format!("the pause of step {} was left at {} after {lasted}", pair[0].step, pair[0].weight))
        })
    }
}
