//! Jobs that measure: started once for each measurement, found again by a controller that restarted, read when they have ended.
//!
//! A Job is named after the run, the query and the time of the measurement, and is created under that name or not at all.
//! It is not deleted when it is read: a controller that dies before the result is on record reads it again. The API server
//! deletes it ten minutes after its end, or with the run that owns it.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, ListParams, LogParams, PostParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};

use super::{call::read, shared::Cluster};
use crate::{
    api::{analysis::JobQuery, reason::Reason, revision},
    evidence::{Answer, JobEnd},
    ports::{
        WorldError,
        jobs::{JobOwner, Jobs},
        source::{Fault, SourceError},
    },
};

/// An ended Job is kept for so long, in seconds.
const KEPT: u32 = 600;
/// The longest name of a Job, which is a label of its pods; the hash takes 10 characters and a dash of it.
const LONGEST_NAME: usize = 63 - 11;
/// How much of a container's log is read, and shown.
const LOG_LINES: i64 = 5;
const LOG_BYTES: i64 = 2_048;
const SHOWN: usize = 300;

#[async_trait]
impl Jobs for Cluster {
    async fn measure(&self, owner: JobOwner<'_>, query: &JobQuery, at: i64) -> Result<Answer, SourceError> {
        let name = name(owner, query, at);
        let (what, api) = (format!("Job {}/{name}", owner.namespace), self.jobs(owner.namespace));
        match read(&format!("get {what}"), api.get_opt(&name)).await.map_err(|error| failed(&error, "read"))? {
            None => self.create_job(owner, query, &name).await.map(|()| Answer::Unfinished),
            Some(job) if !is_owned(&job, owner.uid) => {
                Err(SourceError::new(Fault::Refused, format!("a {what} exists that is not of this run; delete it")))
            }
            Some(job) => self.result(owner.namespace, &name, &job, query).await,
        }
    }
}

impl Cluster {
    /// Creates a Job, unless there is one of this name.
    pub(super) async fn create_job(
        &self,
        owner: JobOwner<'_>,
        query: &JobQuery,
        name: &str,
    ) -> Result<(), SourceError> {
        let job = serde_json::from_value(manifest(owner, query, name))
            .map_err(|_| SourceError::new(Fault::Refused, "job.template is not a pod template".to_owned()))?;
        let (what, api) = (format!("create Job {}/{name}", owner.namespace), self.jobs(owner.namespace));
        match self.write(&what, api.create(&PostParams::default(), &job)).await {
            // Another controller was faster, or this one a moment ago.
            Ok(_) | Err(WorldError::Conflict(_)) => Ok(()),
            Err(error) => Err(failed(&error, "create")),
        }
    }

    pub(super) fn jobs(&self, namespace: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("batch", "v1", "Job"));
        Api::namespaced_with(self.no_retry.clone(), namespace, &resource)
    }

    pub(super) async fn result(
        &self,
        namespace: &str,
        name: &str,
        job: &DynamicObject,
        query: &JobQuery,
    ) -> Result<Answer, SourceError> {
        let Some(end) = ended(&job.data) else { return Ok(Answer::Unfinished) };
        if end == Ended::Late {
            let message = format!("the Job did not end within {} s (job.timeout)", query.timeout_seconds());
            return Ok(Answer::Unmeasured(message));
        }
        let pods: Api<Pod> = Api::namespaced(self.no_retry.clone(), namespace);
        let of_job = ListParams::default().labels(&format!("job-name={name}")).limit(5);
        let what = format!("list pods of Job {namespace}/{name}");
        let listed = read(&what, async { pods.list(&of_job).await.map(Some) }).await;
        let listed = listed.map_err(|error| failed(&error, "read the pods of"))?;
        let pods_seen: Vec<Value> =
            listed.into_iter().flat_map(|list| list.items).filter_map(|pod| serde_json::to_value(pod).ok()).collect();
        let exit = pods_seen.iter().find_map(exit);
        match (end, exit) {
            (Ended::Complete, None) => Ok(Answer::Job(JobEnd::default())),
            (_, None) => Ok(Answer::Unmeasured("the Job failed before a container ended".to_owned())),
            (_, Some(exit)) => {
                let params = LogParams {
                    container: Some(exit.container.clone()),
                    tail_lines: Some(LOG_LINES),
                    limit_bytes: Some(LOG_BYTES),
                    ..LogParams::default()
                };
                let log = read("read the log of a Job", async { pods.logs(&exit.pod, &params).await.map(Some) }).await;
                let log = log.ok().flatten().map(|log| shown(&log)).unwrap_or_default();
                Ok(Answer::Job(JobEnd { exit_code: exit.code, log }))
            }
        }
    }
}

fn name(owner: JobOwner<'_>, query: &JobQuery, at: i64) -> String {
    named(owner, &json!({"run": owner.uid, "template": query.template, "at": at}))
}

/// A name after the run, and a hash of what the Job is for.
pub(super) fn named(owner: JobOwner<'_>, what: &Value) -> String {
    let hash = revision::id(what);
    let run: String = owner.run.chars().take(LONGEST_NAME).map(|c| if c == '.' { '-' } else { c }).collect();
    format!("{}-{hash}", run.trim_end_matches('-'))
}

/// One pod, once, for a bounded time; all else is as the user wrote it.
fn manifest(owner: JobOwner<'_>, query: &JobQuery, name: &str) -> Value {
    let mut template = query.template.clone();
    if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("restartPolicy".to_owned(), json!("Never"));
    }
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "ownerReferences": [{
                "apiVersion": "glidepath.dev/v1alpha1", "kind": "AnalysisRun", "name": owner.run, "uid": owner.uid,
                "controller": true, "blockOwnerDeletion": false,
            }],
        },
        "spec": {
            "completions": 1, "parallelism": 1, "backoffLimit": 0,
            "activeDeadlineSeconds": query.timeout_seconds(), "ttlSecondsAfterFinished": KEPT,
            "template": template,
        },
    })
}

pub(super) fn is_owned(job: &DynamicObject, uid: &str) -> bool {
    job.metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid)
}

/// How a Job has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Complete,
    Failed,
    Late,
}

pub(super) fn ended(job: &Value) -> Option<Ended> {
    let conditions = job.pointer("/status/conditions").and_then(Value::as_array)?;
    let is = |condition: &&Value, type_: &str| condition["type"] == type_ && condition["status"] == "True";
    if conditions.iter().any(|condition| is(&condition, "Complete")) {
        return Some(Ended::Complete);
    }
    let failed = conditions.iter().find(|condition| is(condition, "Failed"))?;
    Some(if failed["reason"] == "DeadlineExceeded" { Ended::Late } else { Ended::Failed })
}

/// How a container of a pod ended: the first that failed, else the first.
struct Exit {
    pod: String,
    container: String,
    code: i32,
}

fn exit(pod: &Value) -> Option<Exit> {
    let name = pod.pointer("/metadata/name")?.as_str()?;
    let of = |field: &str| pod.pointer(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let statuses = [of("/status/initContainerStatuses"), of("/status/containerStatuses")].concat();
    let exits = statuses.iter().filter_map(|status| {
        let code = status.pointer("/state/terminated/exitCode")?.as_i64()?;
        Some((status["name"].as_str()?, i32::try_from(code).unwrap_or(i32::MAX)))
    });
    let exits: Vec<(&str, i32)> = exits.collect();
    let (container, code) = exits.iter().find(|(_, code)| *code != 0).or(exits.last())?;
    Some(Exit { pod: name.to_owned(), container: (*container).to_owned(), code: *code })
}

/// The end of a log in one line of bounded length, without control characters.
fn shown(log: &str) -> String {
    let lines = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" | ");
    let clean: Vec<char> = lines.chars().filter(|c| !c.is_control()).collect();
    clean.get(clean.len().saturating_sub(SHOWN)..).unwrap_or_default().iter().collect()
}

pub(super) fn failed(error: &WorldError, what: &str) -> SourceError {
    match error {
        WorldError::Refused { reason, .. } if *reason == Reason::Forbidden => SourceError::new(
            Fault::Denied,
            format!(
                "the controller may not {what} Jobs here; bind its ServiceAccount to ClusterRole glidepath-jobs \
                     in this namespace (docs/controller.md, \"Jobs\")"
            ),
        ),
        WorldError::Refused { reason, .. } => {
            SourceError::new(Fault::Refused, format!("the API server does not accept the Job: {reason}"))
        }
        _ => SourceError::new(Fault::Unreachable, format!("cannot {what} the Job: no answer from the API server")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: JobOwner<'_> = JobOwner { namespace: "shop", run: "web-2-1-background", uid: "u1" };

    fn query() -> JobQuery {
        serde_json::from_value(json!({"timeout": "2m", "template": {"spec": {
            "serviceAccountName": "smoke", "containers": [{"name": "test", "image": "smoke:1"}]}}}))
        .unwrap()
    }

    #[test]
    fn a_job_is_one_pod_once_owned_by_the_run_and_named_by_the_measurement() {
        let (query, name) = (query(), name(OWNER, &query(), 60));
        let job = manifest(OWNER, &query, &name);
        assert_eq!(job["spec"]["template"]["spec"]["restartPolicy"], "Never");
        assert_eq!(job["spec"]["template"]["spec"]["serviceAccountName"], "smoke");
        let spec = &job["spec"];
        assert_eq!([&spec["completions"], &spec["backoffLimit"], &spec["activeDeadlineSeconds"]], [&1, &0, &120]);
        assert_eq!(job["metadata"]["ownerReferences"][0]["uid"], "u1");
        assert!(job["metadata"].get("namespace").is_none() && name.len() <= 63, "{name}");
        assert_eq!(name, super::name(OWNER, &query, 60), "found again");
        let others = [super::name(OWNER, &query, 120), super::name(JobOwner { uid: "u2", ..OWNER }, &query, 60)];
        assert!(others.iter().all(|other| *other != name), "{others:?}");
        let long = JobOwner { run: &"a.".repeat(120), ..OWNER };
        assert!(super::name(long, &query, 60).len() <= 63);
    }

    #[test]
    fn the_end_of_a_job_is_read_from_its_conditions_and_its_pod() {
        let with = |type_: &str, reason: &str| json!({"status": {"conditions": [{"type": type_, "status": "True", "reason": reason}]}});
        assert_eq!(ended(&json!({"status": {"active": 1}})), None);
        assert_eq!(ended(&with("Complete", "")), Some(Ended::Complete));
        assert_eq!(ended(&with("Failed", "BackoffLimitExceeded")), Some(Ended::Failed));
        assert_eq!(ended(&with("Failed", "DeadlineExceeded")), Some(Ended::Late));
        let status = |name: &str, code: i32| json!({"name": name, "state": {"terminated": {"exitCode": code}}});
        let pod = json!({"metadata": {"name": "p"}, "status": {"initContainerStatuses": [status("init", 0)],
            "containerStatuses": [status("a", 0), status("b", 3)]}});
        let exit = exit(&pod).unwrap();
        assert_eq!((exit.pod.as_str(), exit.container.as_str(), exit.code), ("p", "b", 3));
    }

    #[test]
    fn a_log_is_one_bounded_line() {
        assert_eq!(shown("  a\u{1b}[31m\n\nb\r\n"), "a[31m | b");
        assert_eq!(shown(&"x".repeat(5_000)).len(), SHOWN);
    }

    #[test]
    fn what_is_not_allowed_says_what_to_do() {
        let refused = WorldError::Refused { reason: Reason::Forbidden, message: "secret text".into() };
        let error = failed(&refused, "create");
        assert_eq!(error.fault, Fault::Denied);
        assert!(error.message.starts_with("the controller may not create Jobs here; bind"), "{error}");
        assert!(!error.message.contains("secret text"));
    }
}
