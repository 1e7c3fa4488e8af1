//! The Jobs of synthetic traffic: created once for each name that is on record, looked at, deleted when the run has ended.

use kube::api::{DeleteParams, Preconditions, PropagationPolicy};
use serde_json::json;

use super::{
    call::{is_missing, read},
    jobs::{Ended, ended, failed, is_owned, named},
    shared::Cluster,
};
use crate::{
    api::analysis::Load,
    evidence::{Answer, load::LoadSeen},
    ports::{
        WorldError,
        jobs::JobOwner,
        source::{Fault, SourceError},
    },
};

/// The name of a load's Job: by the run, the load's place in it, and its number.
pub fn load_name(owner: JobOwner<'_>, index: usize, number: u32) -> String {
    named(owner, &json!({"run": owner.uid, "load": index, "number": number}))
}

impl Cluster {
    /// What the Job of a load has come to; it is created if it is not there.
    pub async fn look_at_load(&self, owner: JobOwner<'_>, load: &Load, name: &str) -> LoadSeen {
        self.load_seen(owner, load, name).await.unwrap_or_else(|error| match error.fault {
            Fault::Denied | Fault::Refused => LoadSeen::Refused(error.message),
            _ => LoadSeen::Unknown(error.message),
        })
    }

    async fn load_seen(&self, owner: JobOwner<'_>, load: &Load, name: &str) -> Result<LoadSeen, SourceError> {
        let what = format!("Job {}/{name}", owner.namespace);
        let found = read(&format!("get {what}"), self.jobs(owner.namespace).get_opt(name)).await;
        let Some(job) = found.map_err(|error| failed(&error, "read"))? else {
            return self.create_job(owner, &load.job(), name).await.map(|()| LoadSeen::Running);
        };
        if !is_owned(&job, owner.uid) {
            return Err(SourceError::new(
                Fault::Refused,
                format!("a {what} exists that is not of this run; delete it"),
            ));
        }
        Ok(match ended(&job.data) {
            None => LoadSeen::Running,
            Some(Ended::Complete | Ended::Late) => LoadSeen::Ended,
            Some(Ended::Failed) => {
                // That it failed is known, whether or not its pods can be read.
                let why = match self.result(owner.namespace, name, &job, &load.job()).await {
                    Ok(Answer::Job(end)) if end.log.is_empty() => format!("exit code {}", end.exit_code),
                    Ok(Answer::Job(end)) => format!("exit code {}: {}", end.exit_code, end.log),
                    Ok(Answer::Unmeasured(why)) => why,
                    Ok(_) => "no container ended".to_owned(),
                    Err(error) => error.message,
                };
                LoadSeen::Failed(format!("Job {name} failed: {why}"))
            }
        })
    }

    /// Deletes the Job of a load, and its pods after it. One that is not there, or is another's, counts as deleted.
    pub async fn stop_load(&self, owner: JobOwner<'_>, name: &str) -> Result<(), WorldError> {
        let (what, api) = (format!("Job {}/{name}", owner.namespace), self.jobs(owner.namespace));
        let found = read(&format!("get {what}"), api.get_opt(name)).await?;
        let Some(job) = found.filter(|job| is_owned(job, owner.uid)) else { return Ok(()) };
        let params = DeleteParams {
            preconditions: Some(Preconditions { uid: job.metadata.uid, resource_version: None }),
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        match self.write(&format!("delete {what}"), async { api.delete(name, &params).await.map(drop) }).await {
            Err(error) if is_missing(&error) => Ok(()),
            answer => answer,
        }
    }
}
