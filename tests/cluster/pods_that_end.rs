//! Containers that end: a canary's OOM kill fails the release (rule S21), a Job's exit code is a measurement, and a Job that
//! sends traffic is followed by the next. Their ends
//! are written into the pods' status, as a kubelet does; the rest is the API server's, its Job controller's and ours.

use serde_json::{Value, json};

use crate::{
    controller::controller,
    kubectl::feed,
    lane,
    shop::{PATIENCE, Shop},
    wait::wait_until,
};

/// Writes how a pod's container has ended.
fn end_container(namespace: &str, pod: &str, phase: &str, container: &Value) {
    let patch = json!({"status": {"phase": phase, "containerStatuses": [container]}}).to_string();
    let args = ["patch", "pod", pod, "-n", namespace, "--subresource=status", "--type=strategic", "-p", &patch];
    lane().kubectl(&args).unwrap();
}

/// The names of the pods with a label that are not on their way out.
fn pods(namespace: &str, label: &str) -> Vec<String> {
    let text = lane().kubectl(&["get", "pods", "-n", namespace, "-l", label, "-o", "json"]).unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    let ready = |pod: &&Value| pod["status"]["phase"] == "Running";
    let items = list["items"].as_array().cloned().unwrap_or_default();
    items.iter().filter(ready).filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned)).collect()
}

#[test]
fn an_oom_kill_of_the_canary_rolls_the_release_back() {
    let shop = Shop::promoted_by_hand("oom-killed");
    shop.release("v2");
    let status = shop.wait_for_pause(1);
    let canary = format!("glidepath.dev/revision={}", status["currentRevision"]["id"].as_str().unwrap());
    let pod = pods("oom-killed", &canary).remove(0);
    let killed = json!({"name": "web", "image": "v2", "imageID": "", "ready": true, "restartCount": 1,
        "state": {"running": {}}, "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}});
    end_container("oom-killed", &pod, "Running", &killed);
    shop.wait("the rollback", |status| status["course"] == "Aborted");
    let (outcome, reason) = shop.last_outcome();
    let said = format!("container web of pod {pod} was OOM-killed (exit code 137)");
    assert!(outcome == "Aborted" && reason.contains(&said), "{outcome}: {reason}");
}

const PLACE: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: jobs}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: writes-templates, namespace: jobs}
rules:
- {apiGroups: [glidepath.dev], resources: [analysistemplates], verbs: [create, get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: tim-writes-templates, namespace: jobs}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: writes-templates}
subjects: [{kind: User, name: tim, apiGroup: rbac.authorization.k8s.io}]
";

fn metrics() -> Value {
    let template = json!({"spec": {"containers": [{"name": "test", "image": "smoke:1"}]}});
    json!([{"name": "smoke", "threshold": {"job": {"template": template}, "success": "result == 0", "interval": "10s"}}])
}

fn create(kind: &str, spec: &Value, who: &[&str]) -> Result<(), String> {
    let object = json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": kind,
        "metadata": {"name": "smoke", "namespace": "jobs"}, "spec": spec});
    let args = [&["create", "-f", "-"], who].concat();
    feed(lane().folder(), &args, &object.to_string()).map(drop).map_err(|error| format!("{error:#}"))
}

#[test]
fn a_job_measures_where_its_author_and_the_controller_may_create_jobs() {
    controller().check();
    lane().apply(PLACE).unwrap();
    let template = json!({"metrics": metrics()});
    wait_until(PATIENCE, "the policy to be in force", || {
        create("AnalysisTemplate", &template, &["--as=tim", "--dry-run=server"]).is_err()
    });
    let refused = create("AnalysisTemplate", &template, &["--as=tim"]).unwrap_err();
    assert!(refused.contains("tim may not create Jobs here"), "{refused}");
    let query = json!([{"name": "up", "threshold": {"query": "up", "success": "result > 0"}}]);
    let sends = json!({"metrics": query, "load": {"job": {"template": {"spec": {"containers": [{"name": "a"}]}}}}});
    let refused = create("AnalysisTemplate", &sends, &["--as=tim"]).unwrap_err();
    assert!(refused.contains("tim may not create Jobs here"), "{refused}");

    let arms = json!({"namespace": "jobs", "canary": "web-2", "stable": "web-1"});
    create("AnalysisRun", &json!({"arms": arms, "metrics": metrics()}), &[]).unwrap();
    let run = || lane().get("jobs", "gar", "smoke").unwrap()["status"].take();
    wait_until(PATIENCE, "the missing right to be named", || {
        run()["metrics"][0]["notes"].to_string().contains("bind its ServiceAccount to ClusterRole glidepath-jobs")
    });
    let to = "--serviceaccount=glidepath:glidepath";
    let bind = ["create", "rolebinding", "glidepath-jobs", "-n", "jobs", "--clusterrole=glidepath-jobs", to];
    lane().kubectl(&bind).unwrap();
    wait_until(PATIENCE * 2, "the pod of the Job", || !pods("jobs", "job-name").is_empty());
    let pod = pods("jobs", "job-name").remove(0);
    let ended = json!({"name": "test", "image": "smoke:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"reason": "Completed", "exitCode": 0}}});
    end_container("jobs", &pod, "Succeeded", &ended);
    wait_until(PATIENCE, "the run to pass", || run()["verdict"] == "Pass");
    let jobs = lane().kubectl(&["get", "jobs", "-n", "jobs", "-o", "name"]).unwrap();
    assert_eq!(jobs.lines().count(), 1, "{jobs}");
}

/// Synthetic traffic: one Job beside the measurements, the next after one that fails, none once the run has ended.
#[test]
fn a_load_is_kept_running_until_its_run_ends() {
    controller().check();
    const NAMESPACE: &str = "load-jobs";
    let kubectl = |args: &[&str]| lane().kubectl(&[args, &["-n", NAMESPACE]].concat()).unwrap();
    lane().kubectl(&["create", "namespace", NAMESPACE]).unwrap();
    let to = "--serviceaccount=glidepath:glidepath";
    kubectl(&["create", "rolebinding", "glidepath-jobs", "--clusterrole=glidepath-jobs", to]);
    let job = json!({"template": {"spec": {"containers": [{"name": "hey", "image": "hey:1"}]}}});
    let metrics =
        json!([{"name": "up", "threshold": {"query": "vector(1)", "success": "result == 1", "interval": "60s"}}]);
    let run = json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "AnalysisRun",
        "metadata": {"name": "sends", "namespace": NAMESPACE},
        "spec": {"arms": {"namespace": NAMESPACE, "canary": "web-2", "stable": "web-1"}, "background": true,
            "metrics": metrics, "load": [{"job": job}]}});
    feed(lane().folder(), &["create", "-f", "-"], &run.to_string()).unwrap();

    let load = || {
        let run = lane().get(NAMESPACE, "gar", "sends").unwrap();
        run.pointer("/status/load/0").cloned().unwrap_or_default()
    };
    let jobs = || {
        let names = kubectl(&["get", "jobs", "-o", "jsonpath={.items[*].metadata.name}"]);
        names.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    wait_until(PATIENCE, "the pod of the first Job", || !pods(NAMESPACE, "job-name").is_empty());
    let first = jobs();
    assert_eq!(first, [load()["job"].as_str().unwrap()]);
    let ended = json!({"name": "hey", "image": "hey:1", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"reason": "Error", "exitCode": 3}}});
    end_container(NAMESPACE, &pods(NAMESPACE, "job-name")[0], "Failed", &ended);
    wait_until(PATIENCE, "the failure to be noted", || load()["note"].to_string().contains("failed: exit code 3"));
    wait_until(PATIENCE * 2, "the pod of the second Job", || {
        load()["started"] == 2 && !pods(NAMESPACE, "job-name").is_empty()
    });

    kubectl(&["patch", "gar", "sends", "--type=merge", "-p", r#"{"spec":{"stop":true}}"#]);
    wait_until(PATIENCE, "the second Job and its pod to be deleted", || {
        load().get("job").is_none() && jobs() == first && pods(NAMESPACE, "job-name").is_empty()
    });
    kubectl(&["delete", "gar", "sends"]);
    wait_until(PATIENCE, "the first Job to go with the run", || jobs().is_empty());
}
