//! The pods of a Rollout's revisions, in the words of `kubectl get pods`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use kube::{Api, ResourceExt, api::ListParams};

use super::exit::CliError;
use crate::{
    api::{REVISION_LABEL, Rollout},
    view::{pod::PodView, revision::RevisionView},
};

/// Which pods are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A few of those that are not ready.
    NotReady,
    /// All.
    All,
}

/// How many pods of a revision that are not ready are shown.
const FEW: usize = 5;
/// How many pods are read.
const MOST: u32 = 1000;

/// Adds their pods to the revisions. That they cannot be listed is said and is no error.
pub async fn add(pods: &Api<Pod>, rollout: &Rollout, revisions: &mut [RevisionView], wanted: Wanted, now: Timestamp) {
    let is_short = |revision: &RevisionView| revision.available < revision.wanted;
    if wanted == Wanted::NotReady && !revisions.iter().any(is_short) {
        return;
    }
    match pods.list(&ListParams::default().labels(&selector(rollout, revisions)).limit(MOST)).await {
        Ok(list) => revisions.iter_mut().for_each(|revision| put(revision, &list.items, wanted, now)),
        // There are no pods without a cluster.
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => {
            let why = unread(rollout, &error);
            revisions.iter_mut().for_each(|revision| revision.pods_unread = Some(why.clone()));
        }
    }
}

/// The Rollout's own selector, narrowed to the revisions that are shown.
fn selector(rollout: &Rollout, revisions: &[RevisionView]) -> String {
    let ids: Vec<&str> = revisions.iter().map(|revision| revision.id.as_str()).collect();
    let of_revisions = format!("{REVISION_LABEL} in ({})", ids.join(","));
    let own = rollout.status.as_ref().map(|status| status.selector.as_str()).filter(|own| !own.is_empty());
    own.map_or(of_revisions.clone(), |own| format!("{own},{of_revisions}"))
}

fn unread(rollout: &Rollout, error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            let namespace = rollout.metadata.namespace.as_deref().unwrap_or("default");
            format!("you may not list pods in namespace {namespace}")
        }
        error => CliError::kube("list pods", error).to_string(),
    }
}

fn put(revision: &mut RevisionView, pods: &[Pod], wanted: Wanted, now: Timestamp) {
    let is_its = |pod: &&Pod| pod.labels().get(REVISION_LABEL) == Some(&revision.id);
    let mut views: Vec<PodView> = pods.iter().filter(is_its).map(|pod| view(pod, now)).collect();
    views.sort_by(|a, b| (a.ready, &a.name).cmp(&(b.ready, &b.name)));
    if wanted == Wanted::NotReady {
        views.retain(|pod| !pod.ready);
        revision.more_pods = views.len().saturating_sub(FEW);
        views.truncate(FEW);
    }
    revision.pods = views;
}

fn view(pod: &Pod, now: Timestamp) -> PodView {
    let empty = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&empty);
    let restarts = containers(status).map(|container| u32::try_from(container.restart_count).unwrap_or(0)).sum();
    PodView {
        name: pod.name_any(),
        state: state(pod, status),
        ready: condition(status, "Ready").is_some_and(|(ready, _)| ready == "True"),
        reason: reason(status),
        restarts,
        age: pod.metadata.creation_timestamp.as_ref().map(|at| now.duration_since(at.0)).unwrap_or_default(),
    }
}

/// The word in the column STATUS of `kubectl get pods`.
fn state(pod: &Pod, status: &PodStatus) -> String {
    if pod.metadata.deletion_timestamp.is_some() {
        return "Terminating".into();
    }
    let init = status.init_container_statuses.iter().flatten().find_map(stopped);
    let word = init.map(|word| format!("Init:{word}"));
    let own = || status.container_statuses.iter().flatten().find_map(stopped);
    let phase = || status.reason.clone().or_else(|| status.phase.clone()).unwrap_or_else(|| "Unknown".into());
    word.or_else(own).unwrap_or_else(phase)
}

/// Why a container does not run.
fn stopped(container: &ContainerStatus) -> Option<String> {
    let state = container.state.as_ref()?;
    let waiting = state.waiting.as_ref().and_then(|waiting| waiting.reason.clone());
    let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0);
    waiting.or_else(|| ended.map(|ended| ended.reason.clone().unwrap_or_else(|| format!("exit {}", ended.exit_code))))
}

/// Why it is not ready, beyond its state: why it is not scheduled, what a container waits for, how one ended last.
fn reason(status: &PodStatus) -> Option<String> {
    let unscheduled = condition(status, "PodScheduled").filter(|(scheduled, _)| *scheduled == "False");
    let unscheduled = unscheduled.map(|(_, message)| message.to_owned());
    let waits = || containers(status).find_map(|container| container.state.as_ref()?.waiting.as_ref()?.message.clone());
    let ended = containers(status).find_map(last_end);
    ended.or(unscheduled).or_else(waits).filter(|reason| !reason.is_empty())
}

/// `app: last ended with OOMKilled (exit code 137)`.
fn last_end(container: &ContainerStatus) -> Option<String> {
    let ended = container.last_state.as_ref()?.terminated.as_ref()?;
    let word = ended.reason.as_deref().unwrap_or("an error");
    Some(format!("{} ended with {word} (exit code {})", container.name, ended.exit_code))
}

fn containers(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
}

/// A condition's status and message.
fn condition<'a>(status: &'a PodStatus, type_: &str) -> Option<(&'a str, &'a str)> {
    let found = status.conditions.iter().flatten().find(|condition| condition.type_ == type_)?;
    Some((&found.status, found.message.as_deref().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{revision::Role, samples};
    use serde_json::{Value, json};
    use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

    fn pod(name: &str, revision: &str, status: &Value) -> Value {
        let labels = json!({ REVISION_LABEL: revision });
        let metadata = json!({ "name": name, "labels": labels, "creationTimestamp": samples::ago(180) });
        json!({ "metadata": metadata, "status": status })
    }

    fn container(state: &Value, last: &Value, restarts: u32) -> Value {
        json!({ "name": "app", "image": "", "imageID": "", "ready": false, "restartCount": restarts, "state": state,
            "lastState": last })
    }

    #[test]
    fn pods_are_in_the_words_of_kubectl() {
        let pull =
            json!({ "waiting": { "reason": "ImagePullBackOff", "message": "Back-off pulling image \"shop:9\"" } });
        let crash = json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 40s" } });
        let killed = json!({ "terminated": { "reason": "OOMKilled", "exitCode": 137 } });
        let unscheduled = json!([{ "type": "PodScheduled", "status": "False", "message": "0/3 nodes are available" }]);
        let ready = json!([{ "type": "Ready", "status": "True" }]);
        let running = json!({ "running": {} });
        for (status, state, reason, restarts, is_ready) in [
            (
                json!({ "phase": "Pending", "containerStatuses": [container(&pull, &json!({}), 0)] }),
                "ImagePullBackOff",
                Some("Back-off pulling image \"shop:9\""),
                0,
                false,
            ),
            (
                json!({ "phase": "Running", "containerStatuses": [container(&crash, &killed, 4)] }),
                "CrashLoopBackOff",
                Some("app ended with OOMKilled (exit code 137)"),
                4,
                false,
            ),
            (
                json!({ "phase": "Running", "containerStatuses": [container(&killed, &json!({}), 1)] }),
                "OOMKilled",
                None,
                1,
                false,
            ),
            (
                json!({ "phase": "Pending", "initContainerStatuses": [container(&pull, &json!({}), 0)] }),
                "Init:ImagePullBackOff",
                Some("Back-off pulling image \"shop:9\""),
                0,
                false,
            ),
            (
                json!({ "phase": "Pending", "conditions": unscheduled }),
                "Pending",
                Some("0/3 nodes are available"),
                0,
                false,
            ),
            (
                json!({ "phase": "Running", "conditions": ready, "containerStatuses": [container(&running, &json!({}), 0)] }),
                "Running",
                None,
                0,
                true,
            ),
        ] {
            let pod: Pod = serde_json::from_value(pod("web-1", "k3v9x2m1qa", &status)).unwrap();
            let view = view(&pod, samples::NOW);
            let seen = (view.state.as_str(), view.reason.as_deref(), view.restarts, view.ready, view.age.as_secs());
            assert_eq!(seen, (state, reason, restarts, is_ready, 180), "{status}");
        }
    }

    /// What a server that answers so makes of the revisions.
    async fn added(answer: ResponseTemplate, available: u32, wanted: Wanted) -> RevisionView {
        let server = MockServer::start().await;
        Mock::given(path("/api/v1/namespaces/shop/pods")).respond_with(answer).mount(&server).await;
        let client = kube::Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap();
        let pods = Api::namespaced(client, "shop");
        let canary = RevisionView {
            id: "k3v9x2m1qa".into(),
            role: Role::Canary,
            available,
            wanted: 8,
            ..RevisionView::default()
        };
        let mut revisions = [canary];
        add(&pods, &samples::observing().rollout, &mut revisions, wanted, samples::NOW).await;
        let [canary] = revisions;
        canary
    }

    fn list() -> ResponseTemplate {
        let waits = json!({ "phase": "Pending" });
        let ready = json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] });
        let mut pods: Vec<Value> = (0..7).map(|n| pod(&format!("web-{n}"), "k3v9x2m1qa", &waits)).collect();
        pods.push(pod("web-8", "k3v9x2m1qa", &ready));
        pods.push(pod("web-9", "b7d0c41hze", &waits));
        ResponseTemplate::new(200).set_body_json(json!({ "metadata": {}, "items": pods }))
    }

    #[tokio::test]
    async fn a_few_pods_that_are_not_ready_are_shown_and_all_if_asked_for() {
        let few = added(list(), 1, Wanted::NotReady).await;
        assert_eq!((few.pods.len(), few.more_pods), (5, 2));
        assert!(few.pods.iter().all(|pod| !pod.ready));
        let all = added(list(), 1, Wanted::All).await;
        assert_eq!((all.pods.len(), all.more_pods), (8, 0), "those of this revision");
        assert_eq!(added(list(), 8, Wanted::NotReady).await.pods, [], "none is missing");
    }

    #[tokio::test]
    async fn pods_that_may_not_be_listed_are_said_and_break_nothing() {
        let status = |code: u16| {
            let body = json!({ "kind": "Status", "status": "Failure", "code": code, "message": "no", "reason": "No" });
            ResponseTemplate::new(code).set_body_json(body)
        };
        let refused = added(status(403), 1, Wanted::NotReady).await;
        assert_eq!(refused.pods_unread.as_deref(), Some("you may not list pods in namespace shop"));
        assert!(added(status(500), 1, Wanted::NotReady).await.pods_unread.is_some());
        assert_eq!(added(status(404), 1, Wanted::All).await.pods_unread, None, "without a cluster there are none");
    }
}
