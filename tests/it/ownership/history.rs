//! Old AnalysisRuns and RolloutCommands go (finding C5), and what is no run of ours is no evidence (M9).

use std::time::Duration;

use serde_json::{Value, json};

use super::{Shop, key, rollout};
use glidepath::{api::reason::Reason, ports::World};

/// A run as the controller makes them; `tail` is `2-1-step3`.
fn run(uid: &Value, tail: &str, phase: &str, verdict: &str, minute: usize) -> Value {
    json!({
        "apiVersion": "glidepath.dev/v1alpha1", "kind": "AnalysisRun",
        "metadata": {
            "name": format!("web-{tail}"), "namespace": "shop", "labels": {"glidepath.dev/rollout": "web"},
            "annotations": {"glidepath.dev/run-key": format!("{}/abc/x/1/0", uid.as_str().unwrap())},
            "creationTimestamp": at(minute),
            "ownerReferences": [{"apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "name": "web", "uid": uid,
                "controller": true}],
        },
        "spec": {"arms": {"namespace": "shop", "canary": "web-2", "stable": "web-1"}, "metrics": [], "prometheus": {"address": "http://prometheus"}},
        "status": {"phase": phase, "verdict": verdict},
    })
}

fn at(minute: usize) -> String {
    let start: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    (start + jiff::SignedDuration::from_mins(minute.try_into().unwrap())).to_string()
}

fn command(rollout: &str, number: usize, state: Option<&str>) -> Value {
    let status = state.map(|state| json!({"state": state, "message": "", "takenAt": at(number)}));
    json!({
        "apiVersion": "glidepath.dev/v1alpha1", "kind": "RolloutCommand",
        "metadata": {"name": format!("{rollout}-pause-{number:05}"), "namespace": "shop", "creationTimestamp": at(number)},
        "spec": {"rollout": rollout, "verb": "pause"}, "status": status,
    })
}

/// Prunes as often as the controller looks again.
async fn prune(shop: &Shop) {
    loop {
        shop.triggered.0.lock().unwrap().clear();
        shop.cluster.prune_history(&key("web")).await;
        if shop.triggered.0.lock().unwrap().is_empty() {
            return;
        }
    }
}

#[tokio::test]
async fn c5_ended_runs_beyond_the_limits_are_deleted_the_oldest_first() {
    let shop = Shop::new();
    let uid = shop.put("rollouts", rollout("web", 1))["metadata"]["uid"].clone();
    shop.settle("web").await;
    for number in 0..30 {
        let verdict = if number % 2 == 0 { "Pass" } else { "Fail" };
        shop.put("analysisruns", run(&uid, &format!("{number}-1-step1"), "Finished", verdict, number));
    }
    shop.put("analysisruns", run(&uid, "31-1-step1", "Running", "Continue", 31));
    let mut by_hand = run(&uid, "by-hand", "Finished", "Pass", 0);
    by_hand["metadata"]["ownerReferences"] = Value::Null;
    shop.put("analysisruns", by_hand);
    shop.put("analysisruns", run(&json!("another"), "anothers", "Finished", "Pass", 0));
    prune(&shop).await;
    let mut expected: Vec<String> = (20..30).map(|number| format!("web-{number}-1-step1")).collect();
    expected.extend(["web-31-1-step1".into(), "web-anothers".into(), "web-by-hand".into()]);
    assert_eq!(shop.server.names("analysisruns"), expected, "5 of each outcome, the one at work, and foreign ones");

    let limits = json!({"successfulRunHistoryLimit": 1, "unsuccessfulRunHistoryLimit": 0});
    shop.edit("rollouts", "web", &json!({"spec": {"analysis": limits}}));
    prune(&shop).await;
    let expected = ["web-28-1-step1", "web-31-1-step1", "web-anothers", "web-by-hand"];
    assert_eq!(shop.server.names("analysisruns"), expected);

    shop.server.take_asked();
    shop.cluster.prune_history(&key("web")).await;
    assert!(shop.server.take_asked().is_empty(), "at rest nothing is asked for");
}

/// A release under way reads the runs of its attempt, also after a restart of the controller.
#[tokio::test]
async fn c5_runs_of_the_current_attempt_stay_and_are_read_again_by_a_new_controller() {
    let shop = Shop::new();
    let uid = shop.put("rollouts", rollout("web", 1))["metadata"]["uid"].clone();
    shop.settle("web").await;
    let status = stepping();
    let limits = json!({"successfulRunHistoryLimit": 0, "unsuccessfulRunHistoryLimit": 0});
    shop.edit("rollouts", "web", &json!({"status": status, "spec": {"analysis": limits}}));
    for number in 0..4 {
        let mut ended = run(&uid, &format!("2-1-step{number}"), "Finished", "Pass", number);
        ended["status"]["metrics"] =
            json!([{"name": "errors", "verdict": "Pass", "required": true, "canary": "1 of 100"}]);
        shop.put("analysisruns", ended);
    }
    shop.put("analysisruns", run(&uid, "2-11-step1", "Finished", "Pass", 1));
    shop.put("analysisruns", run(&uid, "1-1-step1", "Finished", "Pass", 1));
    prune(&shop).await;
    let kept: Vec<String> = (0..4).map(|number| format!("web-2-1-step{number}")).collect();
    assert_eq!(shop.server.names("analysisruns"), kept);

    let world = &shop.cluster;
    shop.server.take_asked();
    for expected_reads in [4, 0] {
        let seen = world.observe(&key("web")).await.unwrap().unwrap().seen;
        assert_eq!(seen.runs.keys().cloned().collect::<Vec<_>>(), kept);
        assert_eq!(seen.runs["web-2-1-step1"].status.metrics[0].canary, "1 of 100");
        let reads = shop.server.take_asked().into_iter().filter(|asked| asked.plural == "analysisruns").count();
        assert_eq!(reads, expected_reads, "read once");
    }
}

#[tokio::test]
async fn s84_the_last_20_answered_commands_are_kept() {
    let shop = Shop::new();
    shop.put("rollouts", rollout("web", 1));
    shop.settle("web").await;
    for number in 0..50 {
        shop.put("rolloutcommands", command("web", number, Some("Done")));
    }
    shop.put("rolloutcommands", command("web", 60, None));
    prune(&shop).await;
    let kept = shop.server.names("rolloutcommands");
    assert_eq!((kept.len(), kept[0].as_str()), (21, "web-pause-00030"), "and the one that waits");
}

#[tokio::test]
async fn s81_a_command_for_an_unknown_rollout_is_refused_and_deleted_after_an_hour() {
    let shop = Shop::new();
    shop.put("rolloutcommands", command("web", 0, None));
    assert!(shop.tick("web").await.unwrap().is_none());
    let refused = shop.server.get("rolloutcommands", "web-pause-00000").unwrap();
    assert_eq!(refused["status"]["state"], "Refused");
    let wait = shop.cluster.prune_history(&key("web")).await;
    assert_eq!(wait, Some(Duration::from_secs(3600)), "there is no event of its own an hour later");
    shop.wait(3_600);
    assert_eq!(shop.cluster.prune_history(&key("web")).await, None);
    assert!(shop.server.names("rolloutcommands").is_empty());
}

/// 20,000 ended runs and 10,000 answered commands cost an observation nothing.
#[tokio::test]
async fn c5_an_observation_does_not_walk_over_what_has_ended() {
    let shop = Shop::new();
    let uid = shop.put("rollouts", rollout("web", 1))["metadata"]["uid"].clone();
    shop.settle("web").await;
    let world = &shop.cluster;
    // The best of several tries: others use this machine too.
    let observe_often = async || {
        let mut best = Duration::MAX;
        for _ in 0..10 {
            let start = tokio::time::Instant::now();
            for _ in 0..20 {
                world.observe(&key("web")).await.unwrap();
            }
            best = best.min(start.elapsed());
        }
        best
    };
    let before = observe_often().await;
    let tables = shop.cluster.tables();
    let mut template = run(&uid, "1-1-step1", "Finished", "Pass", 0);
    for number in 0..20_000 {
        template["metadata"]["name"] = format!("web-{number}-1-step1").into();
        template["metadata"]["resourceVersion"] = (1_000 + number).to_string().into();
        super::see(&tables.runs, &template);
    }
    for number in 0..10_000 {
        super::see(&tables.commands, &command("web", number, Some("Done")));
    }
    let after = observe_often().await;
    assert!(after < before * 3 + Duration::from_millis(20), "{before:?}, then {after:?}");
}

/// A run of the right name from elsewhere counts for nothing, and is not written to.
#[tokio::test]
async fn m9_a_run_that_is_not_this_rollouts_is_no_evidence() {
    use glidepath::{
        engine::{Action, RunRequest},
        ports::{World, WorldError},
    };
    let shop = Shop::new();
    let uid = shop.put("rollouts", rollout("web", 1))["metadata"]["uid"].clone();
    shop.settle("web").await;
    let status = stepping();
    shop.edit("rollouts", "web", &json!({"status": status}));
    let mut unkeyed = run(&uid, "2-1-step1", "Finished", "Pass", 1);
    unkeyed["metadata"]["annotations"] = Value::Null;
    shop.put("analysisruns", unkeyed);
    shop.put("analysisruns", run(&json!("another"), "2-1-background", "Running", "Pass", 1));
    shop.put("analysisruns", run(&uid, "2-1-goal", "Running", "Continue", 1));
    let world = &shop.cluster;
    let observation = world.observe(&key("web")).await.unwrap().unwrap();
    assert_eq!(observation.seen.runs.keys().collect::<Vec<_>>(), ["web-2-1-goal"]);

    let key = format!("{}/abc/background/1/0", uid.as_str().unwrap());
    let request = RunRequest { name: "web-2-1-background".into(), key, epoch: 3, ..RunRequest::default() };
    let refusal = world.carry_out(&observation, &Action::EnsureRun(request)).await.unwrap_err();
    let message = "AnalysisRun web-2-1-background is not this Rollout's; delete it".to_owned();
    assert_eq!(refusal, WorldError::Refused { reason: Reason::Conflict, message });
}

/// The status of a second version at its first step.
fn stepping() -> Value {
    let since = "2026-01-01T00:00:00Z";
    let stepping = json!({"step": 0, "clock": {"since": since}, "release": {"since": since}});
    let state = json!({"idle": null, "firstDeploy": null, "stepping": stepping});
    json!({"state": state, "course": "Stepping", "attempt": 1, "currentRevision": {"id": "abc", "number": 2}})
}

/// What a version before wrote is replaced whole by the first record, and what it needed to remember goes.
#[tokio::test]
async fn a_status_of_an_earlier_version_is_written_anew() {
    let shop = Shop::new();
    shop.put("rollouts", rollout("web", 1));
    shop.settle("web").await;
    let now = shop.server.get("rollouts", "web").unwrap()["status"].clone();
    let since = now["state"]["idle"]["since"].clone();
    let memory =
        json!({"stepSince": since, "stepHeldMs": 0, "canaryLosses": 0, "takingBack": false, "extended": false});
    let stale = json!({"idle": null, "aborted": {"since": since}});
    for left in [Value::Null, stale] {
        shop.edit("rollouts", "web", &json!({"status": {"state": left, "course": "Idle", "memory": memory}}));
        shop.settle("web").await;
        let status = shop.server.get("rollouts", "web").unwrap()["status"].clone();
        assert_eq!((&status["state"], &status["course"]), (&json!({"idle": {"since": since}}), &json!("Idle")));
        assert_eq!(status["memory"], now["memory"], "nothing of the old form is left");
    }
}
