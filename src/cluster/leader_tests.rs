//! What a new leader reads, and which versions its writes are conditional on, against an API server of four objects.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    fake_objects::{ROLLOUT, ROUTE, SERVICE, Shop, world},
    locks::lock,
    *,
};
use crate::{
    api::{
        AnalysisRun, REVISION_ANNOTATION, REVISION_LABEL, ROLLOUT_LABEL, RolloutStatus,
        analysis::{AnalysisRunSpec, JobQuery, Verdict},
        command::CommandState,
        reason::Reason,
    },
    engine::{Action, Target},
    evidence::Answer,
    ports::{
        World, WorldError,
        jobs::{JobOwner, Jobs},
        source::Fault,
    },
};

const RUN: &str = "/apis/glidepath.dev/v1alpha1/namespaces/shop/analysisruns/web-2-1-background";
const COMMAND: &str = "/apis/glidepath.dev/v1alpha1/namespaces/shop/rolloutcommands/abort/status";

#[tokio::test(start_paused = true)]
async fn c6_a_new_leader_decides_on_what_is_as_new_as_its_leadership() {
    let world = world();
    world.server.change(ROLLOUT, "/spec/replicas", 4.into());
    world.lead(1);
    for _ in 0..3 {
        assert_eq!(world.observe().await.unwrap().rollout.spec.replicas, Some(4), "the watch hangs");
    }
    assert_eq!(world.server.requested("GET").len(), 1, "one read in a term");
    world.lead(2);
    world.observe().await.unwrap();
    assert_eq!(world.server.requested("GET").len(), 2);

    lock(&world.server.objects).remove(ROLLOUT);
    world.lead(3);
    assert!(world.observe().await.is_none(), "it was deleted meanwhile");
}

/// C5, C6: the first list of runs may be older than what a process before this one has found.
#[tokio::test(start_paused = true)]
async fn a_run_at_work_is_read_live_before_the_first_decision() {
    for leads in [true, false] {
        let world = world();
        let mut run = serde_json::to_value(AnalysisRun::new("web-2-1-background", AnalysisRunSpec::default())).unwrap();
        run["metadata"] = json!({"name": "web-2-1-background", "namespace": "shop", "uid": "u4", "resourceVersion": "30",
            "labels": {ROLLOUT_LABEL: "web"}});
        run["status"] = json!({"phase": "Running", "verdict": "Pass"});
        world.add(RUN, run);
        world.server.change(RUN, "/status/verdict", "Fail".into());
        if leads {
            world.lead(1)
        } else {
            world.fence.open()
        }
        for _ in 0..3 {
            world.observe().await.unwrap();
            let run = world.cluster.tables().runs.get("shop", "web-2-1-background").unwrap();
            assert_eq!(run.value.running().unwrap().shown.verdict, Verdict::Fail);
        }
        assert_eq!(world.server.requested(&format!("GET {RUN}")).len(), 1, "once in a term");
    }
}

/// S81: what another process has answered is not answered again.
#[tokio::test(start_paused = true)]
async fn a_command_is_answered_on_condition_of_the_version_that_was_seen() {
    let world = world();
    world.fence.open();
    let command = json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "RolloutCommand",
        "metadata": {"name": "abort", "namespace": "shop", "uid": "u5", "resourceVersion": "40",
            "labels": {ROLLOUT_LABEL: "web"}},
        "spec": {"rollout": "web", "abort": {}}, "status": {}});
    world.add(COMMAND, command);
    world.server.change(COMMAND, "/status", json!({"state": "Done"}));
    let answered = world.cluster.answer_command("shop", "abort", CommandState::Refused, "gone").await;
    assert!(matches!(answered, Err(WorldError::Conflict { .. })), "{answered:?}");
    assert_eq!(world.server.requested("PATCH"), [format!("PATCH {COMMAND} at 40")]);
    assert_eq!(lock(&world.server.objects)[COMMAND]["status"]["state"], "Done");
}

#[tokio::test(start_paused = true)]
async fn without_a_lease_nothing_is_read_that_the_watches_bring() {
    let world = world();
    world.fence.open();
    assert!(world.observe().await.is_some());
    assert!(world.server.requested("GET").is_empty());
}

#[tokio::test(start_paused = true)]
async fn c6_s58_a_route_is_written_on_condition_of_the_version_that_was_observed() {
    let world = world();
    world.lead(1);
    let observation = world.observe().await.unwrap();
    let foreign = world.server.change(ROUTE, "/spec/http/0/route/0/weight", 90.into());
    world.watch_brings(&foreign);
    let refused = world.shift(&observation, 20).await;
    assert!(matches!(refused, Err(WorldError::Conflict(_))), "{refused:?}");
    assert_eq!(world.server.requested("PUT"), [format!("PUT {ROUTE} at 10")]);

    let observation = world.observe().await.unwrap();
    world.shift(&observation, 20).await.unwrap();
    world.shift(&observation, 30).await.unwrap();
    let versions = world.server.requested("PUT").split_off(1);
    assert_eq!(versions, [11, 12].map(|version| format!("PUT {ROUTE} at {version}")), "our own write moves it on");
}

#[tokio::test(start_paused = true)]
async fn c6_s58_a_selector_is_moved_on_condition_of_the_version_that_was_observed() {
    let world = world();
    world.lead(1);
    let observation = world.observe().await.unwrap();
    let foreign = world.server.change(SERVICE, "/spec/ports/0/port", 81.into());
    world.watch_brings(&foreign);
    let pin = Action::EnsureTarget { target: Target::Stable, revision: "r1".into() };
    let refused = world.cluster.carry_out(&observation, &pin).await;
    assert!(matches!(refused, Err(WorldError::Conflict(_))), "{refused:?}");
    assert_eq!(world.server.requested("PATCH"), [format!("PATCH {SERVICE} at 20")]);
}

/// Consul registers a pod with the annotations that it has by then: those that are older than the router stay without.
#[tokio::test(start_paused = true)]
async fn no_subset_selects_pods_that_do_not_say_their_revision() {
    const RESOLVER: &str = "/apis/consul.hashicorp.com/v1alpha1/namespaces/shop/serviceresolvers/web";
    const SET: &str = "/apis/apps/v1/namespaces/shop/replicasets/web-r1";
    let world = world();
    world.lead(1);
    let traffic = json!([{"consul": {"service": "web"}}]);
    world.watch_brings(&world.server.change(ROLLOUT, "/spec/traffic", traffic));
    let owned = |kind: &str, name: &str, uid: &str| json!([{"apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "controller": true}]);
    let resolver = json!({"apiVersion": "consul.hashicorp.com/v1alpha1", "kind": "ServiceResolver",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u6", "resourceVersion": "60"},
        "spec": {"defaultSubset": "stable", "subsets": {"stable": {}, "canary": {}}}});
    world.add(RESOLVER, resolver);
    let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": "web-r1", "namespace": "shop", "uid": "u7", "resourceVersion": "70",
            "labels": {ROLLOUT_LABEL: "web", REVISION_LABEL: "r1"}, "ownerReferences": owned("Rollout", "web", "u1")},
        "spec": {"replicas": 1, "template": {"metadata": {"labels": {"app": "web", REVISION_LABEL: "r1"}}}}});
    world.add(SET, set);
    let pod = |version: &str, annotations: Value| {
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "web-r1-a", "namespace": "shop", "uid": "u8", "resourceVersion": version,
                "labels": {REVISION_LABEL: "r1"}, "annotations": annotations, "ownerReferences": owned("ReplicaSet", "web-r1", "u7")},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    };
    world.watch_brings(&pod("80", json!({})));
    let aim = Action::EnsureTarget { target: Target::Stable, revision: "r1".into() };
    let observation = world.observe().await.unwrap();
    let template = lock(&world.server.objects)[SET]["spec"]["template"]["metadata"]["annotations"].clone();
    assert_eq!(template, json!({REVISION_ANNOTATION: "r1"}), "the pods to come say it");
    let refused = world.cluster.carry_out(&observation, &aim).await.unwrap_err();
    let WorldError::Refused { reason, message } = refused else { panic!("{refused:?}") };
    assert!(reason == Reason::PodsNotAnnotated && message.starts_with("1 of 1 ready pods of revision r1"), "{message}");
    assert!(world.server.requested("PUT").is_empty());

    world.watch_brings(&pod("81", json!({REVISION_ANNOTATION: "r1"})));
    let observation = world.observe().await.unwrap();
    world.cluster.carry_out(&observation, &aim).await.unwrap();
    assert_eq!(world.server.requested("PUT"), [format!("PUT {RESOLVER} at 60")]);
    let filter = lock(&world.server.objects)[RESOLVER]["spec"]["subsets"]["stable"]["filter"].clone();
    assert_eq!(filter, "Service.Meta.glidepath_revision == \"r1\"");
}

#[tokio::test(start_paused = true)]
async fn c6_a_tick_under_way_writes_nothing_once_its_process_has_stopped_leading() {
    let world = world();
    world.lead(1);
    let observation = world.observe().await.unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(world.shift(&observation, 20).await.is_err());
    let status = RolloutStatus { message: "late".into(), ..RolloutStatus::default() };
    assert!(world.cluster.record(&observation, &status).await.is_err());
    assert!(world.server.requested("P").is_empty(), "{:?}", world.server.requested("P"));
}

/// A measurement by a Job: started once, found again, read when it has ended, and by a leader alone.
#[tokio::test(start_paused = true)]
async fn a_job_is_started_once_and_read_when_it_has_ended() {
    const JOBS: &str = "/apis/batch/v1/namespaces/shop/jobs";
    let Shop { server, cluster, fence, .. } = world();
    let owner = JobOwner { namespace: "shop", run: "web-2-1-background", uid: "run-1" };
    let query: JobQuery =
        serde_json::from_value(json!({"template": {"spec": {"containers": [{"name": "a"}]}}})).unwrap();
    let measure = || cluster.measure(owner, &query, 60);
    assert_eq!(measure().await.unwrap_err().fault, Fault::Unreachable, "no controller leads");
    assert!(server.requested(&format!("POST {JOBS}")).is_empty());
    fence.hold(Term(1), Instant::now() + Duration::from_secs(10));
    for _ in 0..3 {
        assert_eq!(measure().await, Ok(Answer::Unfinished));
    }
    assert_eq!(server.requested(&format!("POST {JOBS}")).len(), 1);
    let path = lock(&server.objects).keys().find(|path| path.starts_with(JOBS)).unwrap().clone();
    let set = |path: &str, object: Value| drop(lock(&server.objects).insert(path.to_owned(), object));
    let mut job = lock(&server.objects)[&path].clone();
    job["status"] = json!({"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]});
    set(&path, job.clone());
    let exited = json!({"name": "a", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": 3}}});
    set(
        "/api/v1/namespaces/shop/pods",
        json!({"kind": "PodList", "apiVersion": "v1", "metadata": {},
        "items": [{"metadata": {"name": "p"}, "status": {"containerStatuses": [exited]}}]}),
    );
    set("/api/v1/namespaces/shop/pods/p/log", json!("no such host"));
    let Ok(Answer::Job(end)) = measure().await else { panic!("it has ended") };
    assert_eq!(end.exit_code, 3);
    assert!(end.log.contains("no such host"), "{}", end.log);
    job["metadata"]["ownerReferences"][0]["uid"] = json!("another");
    set(&path, job);
    let foreign = measure().await.unwrap_err();
    assert!(foreign.message.contains("is not of this run"), "{foreign}");
    assert_eq!(server.requested(&format!("POST {JOBS}")).len(), 1);
}
