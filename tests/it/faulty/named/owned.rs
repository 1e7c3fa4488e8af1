//! What belongs to a Rollout, and what only looks so.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    super::{
        faults::Fault,
        kinds::Kind,
        objects::{adopted, canary, canary_with, plain, template},
        scene::Scene,
        store::{Key, count},
    },
    s,
};

/// C4: an adopted workload whose file lost `replicas` was scaled to zero and called Healthy.
#[tokio::test(start_paused = true)]
async fn a_workload_whose_file_loses_its_replicas_keeps_its_pods() {
    let mut scene = Scene::new(1, vec![adopted("legacy", 4), plain("number", 3)]);
    scene.start_alone();
    for rollout in ["legacy", "number"] {
        scene.until_healthy(rollout, "shop/app:1").await;
    }
    scene.pass(s(60)).await;
    for (rollout, pods) in [("legacy", 4), ("number", 3)] {
        scene.patch("rollouts", rollout, &json!({"spec": {"replicas": null}}));
        scene.pass(s(60)).await;
        assert_eq!(scene.available(rollout), pods, "{rollout}\n{}", scene.story());
        assert_ne!(count(&scene.get("rollouts", rollout).unwrap(), "/spec/replicas"), 0);
    }
}

/// S53: an autoscaler that was pointed at our ReplicaSet, or at an adopted Deployment, was answered without end.
#[tokio::test(start_paused = true)]
async fn a_tool_that_keeps_scaling_what_is_ours_is_answered_once_a_minute() {
    for every in [50, 1_000, 20_000] {
        let mut scene = Scene::new(4, vec![adopted("legacy", 4), plain("number", 3)]);
        scene.start_alone();
        for rollout in ["legacy", "number"] {
            scene.until_healthy(rollout, "shop/app:1").await;
        }
        scene.pass(s(400)).await;
        let set = format!("number-{}", scene.status("number", "/stableRevision/id"));
        let scaled = [("replicasets", set.as_str(), 5), ("deployments", "legacy", 2)];
        let writes = |scene: &Scene| {
            scaled.map(|(plural, name, _)| scene.cluster.with(|c| c.checks.writes_of(&Key::shop(plural, name))))
        };
        let before = writes(&scene);
        let end = scene.cluster.now() + s(600);
        while scene.cluster.now() < end {
            for (plural, name, replicas) in scaled {
                if scene.get(plural, name).is_none_or(|object| count(&object, "/spec/replicas") != replicas) {
                    scene.patch_as("keda", plural, name, &json!({"spec": {"replicas": replicas}}));
                }
            }
            scene.pass(Duration::from_millis(every)).await;
        }
        for (index, repairs) in writes(&scene).into_iter().enumerate() {
            let (object, repairs) = (scaled[index], repairs - before[index]);
            assert!((5..=16).contains(&repairs), "{object:?} every {every} ms: {repairs} repairs in ten minutes");
        }
        for rollout in ["legacy", "number"] {
            let status = scene.get("rollouts", rollout).unwrap()["status"]["conditions"].to_string();
            assert!(status.contains("ObjectDrift") && status.contains("field manager keda"), "{rollout}: {status}");
        }
    }
}

/// C5: ended runs and answered commands were kept forever.
#[tokio::test(start_paused = true)]
async fn ended_runs_and_answered_commands_do_not_pile_up() {
    let steps = json!([{"setWeight": 20}, {"observe": {"atLeast": "10s", "atMost": "10m"}}]);
    let analysis = json!({"analysis": {"templates": [{"name": "golden-signals"}]}});
    let mut scene = Scene::new(2, vec![canary_with("web", 3, steps, analysis)]);
    scene.start_alone();
    scene.until_healthy("web", "shop/app:1").await;
    for release in 0..14 {
        scene.deploy("web", &format!("shop/app:{}", release + 2));
        // A command names the revision that it is meant for.
        let begun =
            |scene: &Scene| scene.status("web", "/currentRevision/id") != scene.status("web", "/stableRevision/id");
        scene.until("its release begins", s(300), begun).await;
        scene.command("web", "pause");
        scene.command("web", "resume");
        scene.until_healthy("web", &format!("shop/app:{}", release + 2)).await;
    }
    scene.pass(s(4_000)).await;
    let (runs, commands) = (scene.count("analysisruns"), scene.count("rolloutcommands"));
    assert!(runs <= 12 && commands <= 22, "{runs} AnalysisRuns, {commands} RolloutCommands");
    assert!(runs >= 3, "the newest are kept for people: {runs}");
}

/// M4: a ReplicaSet of another Deployment that only bore our label was scaled to zero.
#[tokio::test(start_paused = true)]
async fn a_replica_set_that_only_bears_our_label_is_left_alone() {
    let mut scene = Scene::new(3, vec![canary("web", 4)]);
    let labels = json!({"app": "other", "glidepath.dev/rollout": "web", "glidepath.dev/revision": "abcdefghij"});
    let mut pods = template("other", "shop/other:1");
    pods["metadata"]["labels"] = labels.clone();
    scene.create(
        "replicasets",
        "other-abc",
        json!({"metadata": {"labels": labels}, "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "other"}},
            "template": pods}}),
    );
    scene.start_alone();
    scene.until_healthy("web", "shop/app:1").await;
    for image in ["shop/app:2", "shop/app:3", "shop/app:4"] {
        scene.deploy("web", image);
        scene.until_healthy("web", image).await;
    }
    scene.pass(s(700)).await;
    let other = scene.get("replicasets", "other-abc").expect("it is still there");
    assert_eq!(count(&other, "/spec/replicas"), 3, "{}", scene.story());
}

/// M9: a run of the right name and label that another writer had made counted as evidence.
#[tokio::test(start_paused = true)]
async fn a_run_that_somebody_else_made_is_no_evidence() {
    let steps = json!([{"setWeight": 20}, {"observe": {"atLeast": "10s", "atMost": "3m"}}]);
    let analysis = json!({"analysis": {"templates": [{"name": "golden-signals"}]}});
    let runs = |scene: &Scene| -> Vec<(String, Value)> {
        scene
            .cluster
            .with(|c| c.store.all("analysisruns").map(|(key, run)| (key.name.clone(), (**run).clone())).collect())
    };
    let release = async |forged: Vec<(String, Value)>| {
        let mut scene = Scene::new(4, vec![canary_with("web", 3, steps.clone(), analysis.clone())]);
        scene.start_alone();
        scene.until_healthy("web", "shop/app:1").await;
        for (name, mut run) in forged {
            run["metadata"]["ownerReferences"] = Value::Null;
            run["metadata"]["annotations"] = json!({});
            scene.create("analysisruns", &name, run);
        }
        scene.deploy("web", "shop/app:2");
        scene
    };
    // What a good release's runs look like once they have passed.
    let scene = release(Vec::new()).await;
    scene.until_healthy("web", "shop/app:2").await;
    let forged = runs(&scene);
    assert!(!forged.is_empty());
    drop(scene);
    let scene = release(forged).await;
    for _ in 0..300 {
        scene.pass(s(1)).await;
        assert_ne!(scene.stable_image("web"), "shop/app:2", "promoted by a stranger's verdict\n{}", scene.story());
    }
    let status = scene.get("rollouts", "web").unwrap()["status"].to_string();
    assert!(status.contains("Conflict") || status.contains("AnalysisRun"), "it is told: {status}");
}

/// M10: Rollouts behind a slow admission webhook filled the places of all.
#[tokio::test(start_paused = true)]
async fn one_namespaces_slow_webhook_holds_up_no_other_namespace() {
    let mut scene = Scene::new(5, vec![plain("web", 3)]);
    scene.start_alone();
    scene.until_healthy("web", "shop/app:1").await;
    scene.add(scene.fault(Fault::SlowWrites(s(14)), s(900)).within("slow"));
    scene.cluster.edit(|store, now| {
        for number in 0..60 {
            for (plural, name, object) in plain("slow", 3).objects {
                let name = format!("{name}{number}");
                let key = Key { plural: Kind::named(plural).plural, namespace: "slow".into(), name };
                store.put(
                    &key,
                    serde_json::from_str(&object.to_string().replace("slow", &format!("slow{number}"))).unwrap(),
                    now,
                );
            }
        }
    });
    scene.pass(s(20)).await;
    let began = scene.cluster.now();
    scene.deploy("web", "shop/app:2");
    scene.until_healthy("web", "shop/app:2").await;
    let took = scene.cluster.now() - began;
    assert!(took < s(90), "a release of half a minute took {took:?}");
}

/// A tenant takes our label off a ReplicaSet: it is labelled again, and no one else's work stops for it.
#[tokio::test(start_paused = true)]
async fn a_replica_set_that_loses_our_label_gets_it_back_and_holds_up_nobody() {
    let mut scene = Scene::new(12, vec![canary("web", 4), plain("number", 2)]);
    scene.start_alone();
    scene.until_healthy("web", "shop/app:1").await;
    let set = scene.cluster.with(|c| {
        let ours = |set: &Value| set["metadata"]["labels"]["glidepath.dev/rollout"] == "web";
        c.store.all("replicasets").find(|(_, set)| ours(set)).map(|(key, _)| key.name.clone()).unwrap()
    });
    for change in 0..20 {
        let labels = json!({"glidepath.dev/rollout": null});
        scene.patch_as("tenant", "replicasets", &set, &json!({"metadata": {"labels": labels}}));
        scene.pass(s(1)).await;
        let note = json!({"annotations": {"tenant": change.to_string()}});
        scene.patch_as("tenant", "replicasets", &set, &json!({"metadata": note}));
        scene.pass(s(1)).await;
    }
    let lists = scene.cluster.with(|c| c.told.iter().filter(|line| line.contains(" list pods")).count());
    assert!(lists <= 2, "pods were listed {lists} times\n{}", scene.story());
    scene.deploy("number", "shop/app:2");
    scene.until_healthy("number", "shop/app:2").await;
    scene.until_healthy("web", "shop/app:1").await;
    let labels = scene.get("replicasets", &set).unwrap()["metadata"]["labels"].clone();
    assert_eq!(labels["glidepath.dev/rollout"], "web", "{}", scene.story());
}
