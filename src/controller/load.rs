//! Synthetic traffic of the runs at work: its Jobs are kept running beside the measurements, and deleted after them.
//!
//! A Job is created only under a name that is on record, and a record loses the name only after the Job is deleted: no crash
//! leaves a Job behind that no controller knows of.

use futures::future::join_all;
use jiff::Timestamp;

use crate::{
    api::{
        AnalysisRun,
        analysis::{LoadStatus, RunPhase},
        reason::Reason,
    },
    cluster::{Cluster, load::load_name},
    evidence::load,
    ports::{WorldError, jobs::JobOwner},
    reconcile::runs::Judged,
};

/// One look at the loads of a run whose status is on record as it is in memory. Gives when to look again; `None`: never.
pub async fn keep(cluster: &Cluster, run: &AnalysisRun, judged: &mut Judged, now: Timestamp) -> Option<Timestamp> {
    if run.spec.load.is_empty() || judged.status().phase != RunPhase::Running || judged.has_new_load() {
        return None;
    }
    let owner = owner(run);
    let known = judged.status().load.clone();
    let looks = run.spec.load.iter().enumerate().map(|(index, wanted)| {
        let known = known.get(index).cloned().unwrap_or_default();
        async move {
            let seen = match &known.job {
                Some(job) => Some(cluster.look_at_load(owner, wanted, job).await),
                None => None,
            };
            load::next(&known, seen, |number| load_name(owner, index, number), now)
        }
    });
    let next: Vec<LoadStatus> = join_all(looks).await;
    let due = next.iter().map(|load| load::due(load, now)).min();
    judged.set_load(next);
    // What is new goes on record at once, and is created after that.
    if judged.has_new_load() { Some(now) } else { due }
}

/// Deletes the Jobs of an ended run, and gives its loads as they are to be recorded.
pub async fn stop(cluster: &Cluster, run: &AnalysisRun) -> Result<Vec<LoadStatus>, WorldError> {
    let owner = owner(run);
    let mut loads = run.status.as_ref().map(|status| status.load.clone()).unwrap_or_default();
    for load in &mut loads {
        load.next_at = None;
        let Some(job) = load.job.take() else { continue };
        match cluster.stop_load(owner, &job).await {
            Err(WorldError::Refused { reason: Reason::Forbidden, .. }) => {
                load.note = Some(format!(
                    "the controller may not delete Job {job}, which ends by itself within an hour; update ClusterRole \
                     glidepath-jobs (deploy/rbac.yaml)"
                ));
            }
            answer => answer?,
        }
    }
    Ok(loads)
}

fn owner(run: &AnalysisRun) -> JobOwner<'_> {
    JobOwner {
        namespace: run.metadata.namespace.as_deref().unwrap_or_default(),
        run: run.metadata.name.as_deref().unwrap_or_default(),
        uid: run.metadata.uid.as_deref().unwrap_or_default(),
    }
}
