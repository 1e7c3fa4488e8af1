//! What the guards see of a revision (rule S21): containers of its own template that have ended, in pods that stay.

use std::sync::Arc;

use super::{cached_pod::CachedPod, kinds::CachedReplicaSet, table::Entry};
use crate::engine::TerminationSeen;

/// The containers of a revision's template that have ended, in pods that stay. What an injector adds to a pod is not in
/// the template of the ReplicaSet.
pub(super) fn seen(set: &CachedReplicaSet, pods: &[Arc<Entry<CachedPod>>]) -> Vec<TerminationSeen> {
    if pods.iter().all(|pod| pod.deleting || pod.value.terminations.is_empty()) {
        return Vec::new();
    }
    let ours = set.container_names();
    let mut seen: Vec<TerminationSeen> = pods
        .iter()
        .filter(|pod| !pod.deleting)
        .flat_map(|pod| pod.value.terminations.iter().map(|end| (pod.key.name.as_str(), end)))
        .filter(|(_, end)| ours.iter().any(|name| **name == *end.container))
        .map(|(pod, end)| TerminationSeen {
            pod: pod.to_owned(),
            container: end.container.to_string(),
            ended: end.restarts.saturating_add(u32::from(end.is_down)),
            restarts: end.restarts,
            oom_killed: &*end.reason == "OOMKilled",
            exit_code: end.exit_code,
            reason: end.reason.to_string(),
        })
        .collect();
    seen.sort_by(|one, other| (&one.pod, &one.container).cmp(&(&other.pod, &other.container)));
    seen
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::table::{ObjectKey, kept};

    fn pod(name: &str, deleting: bool, status: Value) -> Arc<Entry<CachedPod>> {
        let object = json!({"metadata": {"name": name, "labels": {"glidepath.dev/revision": "v2"}}, "status": status});
        let (uid, version) = (String::new(), String::new());
        let key = ObjectKey::new("shop", name);
        Arc::new(Entry { key, uid, version, created: None, deleting, value: kept::<CachedPod>(&object) })
    }

    fn set() -> CachedReplicaSet {
        let template = json!({"spec": {"containers": [{"name": "app", "image": "a"}],
            "initContainers": [{"name": "proxy", "image": "p", "restartPolicy": "Always"}]}});
        kept(&json!({"metadata": {"name": "web-v2"}, "spec": {"template": template}}))
    }

    fn killed(container: &str) -> Value {
        json!({"name": container, "restartCount": 1, "state": {"running": {}},
            "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}})
    }

    fn counted(pods: &[Arc<Entry<CachedPod>>]) -> Vec<(String, String, u32, u32, bool)> {
        let seen = seen(&set(), pods).into_iter();
        seen.map(|end| (end.pod, end.container, end.ended, end.restarts, end.oom_killed)).collect()
    }

    #[test]
    fn s21_containers_of_the_template_count_and_sidecars_and_init_containers_do_not() {
        let status = json!({
            "containerStatuses": [killed("app"), killed("istio-proxy"), killed("linkerd-proxy")],
            "initContainerStatuses": [killed("proxy"), killed("migrate")],
        });
        assert_eq!(counted(&[pod("a", false, status)]), [("a".into(), "app".into(), 1, 1, true)]);
    }

    #[test]
    fn s21_an_end_counts_before_and_after_the_restart() {
        let ended = |state: Value, restarts: u32| {
            json!({"containerStatuses": [{"name": "app", "restartCount": restarts,
            "state": state, "lastState": {"terminated": {"reason": "Error", "exitCode": 1}}}]})
        };
        let cases = [
            (json!({"terminated": {"reason": "OOMKilled", "exitCode": 137}}), 0, (1, 0, true)),
            (json!({"waiting": {"reason": "CrashLoopBackOff"}}), 1, (2, 1, false)),
            (json!({"running": {}}), 2, (2, 2, false)),
        ];
        for (state, restarts, (ended_times, restarted, oom)) in cases {
            let pods = [pod("a", false, ended(state.clone(), restarts))];
            assert_eq!(counted(&pods), [("a".into(), "app".into(), ended_times, restarted, oom)], "{state}");
        }
        let healthy = json!({"containerStatuses": [{"name": "app", "restartCount": 0, "state": {"running": {}}}]});
        assert!(pod("a", false, healthy).value.terminations.is_empty(), "nothing is kept of a healthy pod");
    }

    #[test]
    fn s21_pods_that_go_or_were_evicted_do_not_count() {
        let with = |more: Value| {
            let mut status = json!({"containerStatuses": [killed("app")]});
            status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            status
        };
        let evicted = json!({"phase": "Failed", "reason": "Evicted"});
        let preempted =
            json!({"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]});
        assert_eq!(counted(&[pod("a", false, with(json!({})))]).len(), 1);
        assert_eq!(counted(&[pod("a", true, with(json!({})))]), [], "scaled down or deleted");
        assert_eq!(counted(&[pod("a", false, with(evicted))]), []);
        assert_eq!(counted(&[pod("a", false, with(preempted))]), []);
    }
}
