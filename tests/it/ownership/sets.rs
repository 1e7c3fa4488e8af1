//! ReplicaSets belong to a Rollout by their controller, never by their label alone (finding M4).

use serde_json::{Value, json};

use super::{Shop, adopting, rollout, template};

fn controller(shop: &Shop, set: &str) -> Value {
    let set = shop.server.get("replicasets", set).unwrap();
    let owners = set["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
    owners.into_iter().find(|owner| owner["controller"] == true).map(|owner| owner["uid"].clone()).unwrap_or_default()
}

/// The Rollout goes and its ReplicaSets stay; a foreground or background deletion would take them.
fn delete_with_cascade_orphan(shop: &Shop) {
    shop.server.remove("rollouts", "web");
    shop.cluster.tables().rollouts.gone("shop", "web");
    for name in shop.server.names("replicasets") {
        let set = shop.server.get("replicasets", &name).unwrap();
        let owners = set["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
        let rest: Vec<Value> = owners.into_iter().filter(|owner| owner["kind"] != "Rollout").collect();
        shop.edit("replicasets", &name, &json!({"metadata": {"ownerReferences": rest}}));
    }
}

fn recreated(version: &str) -> Value {
    let mut rollout = rollout("web", 4);
    rollout["metadata"]["uid"] = "uid-of-the-second".into();
    rollout["spec"]["template"] = template("web", version);
    rollout
}

#[tokio::test]
async fn m4_a_foreign_replica_set_with_our_label_is_neither_scaled_nor_deleted() {
    let shop = Shop::new();
    let foreign = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": "api-1", "namespace": "shop", "labels": {"glidepath.dev/rollout": "web", "app": "api"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": "d",
                "controller": true}]},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "api"}}, "template": template("api", "1")},
    });
    let foreign = shop.put("replicasets", foreign);
    let mut limited = rollout("web", 2);
    limited["spec"]["revisionHistoryLimit"] = 0.into();
    shop.put("rollouts", limited);
    shop.settle("web").await;
    assert_eq!(shop.status("web")["phase"], "Healthy", "{}", shop.status("web"));
    let now = shop.server.get("replicasets", "api-1").unwrap();
    assert_eq!((&now["spec"], &now["metadata"]["uid"]), (&foreign["spec"], &foreign["metadata"]["uid"]));
    let events = shop.events("ForeignReplicaSet").await;
    assert_eq!(events.len(), 1, "named once: {events:?}");
    assert!(events[0].contains("ReplicaSet api-1") && events[0].contains("Deployment/api"), "{events:?}");
    assert_eq!(shop.status("web")["replicas"], 2, "its pods are not counted as ours");
}

#[tokio::test]
async fn m4_a_rollout_created_again_adopts_its_orphaned_replica_set() {
    let shop = Shop::new();
    shop.put("rollouts", rollout("web", 4));
    shop.settle("web").await;
    let sets = shop.server.names("replicasets");
    delete_with_cascade_orphan(&shop);
    assert_eq!(controller(&shop, &sets[0]), Value::Null);
    shop.put("rollouts", recreated("1"));
    drop(shop.tick("web").await);
    assert_eq!(shop.pods(), 4, "no pod was lost on the way");
    shop.settle("web").await;
    assert_eq!(shop.server.names("replicasets"), sets, "no second ReplicaSet");
    assert_eq!((controller(&shop, &sets[0]), shop.pods()), ("uid-of-the-second".into(), 4));
    assert_eq!(shop.status("web")["phase"], "Healthy");
}

/// The Deployment is at 0, and the second Rollout says nothing of replicas: the orphans' count is used.
#[tokio::test]
async fn c4_an_orphaned_adopted_workload_keeps_its_count() {
    let shop = Shop::new();
    shop.adopt_deployment().await;
    delete_with_cascade_orphan(&shop);
    let mut second = adopting("web", "web");
    second["metadata"]["uid"] = "uid-of-the-second".into();
    shop.put("rollouts", second);
    shop.settle("web").await;
    assert_eq!((shop.pods(), shop.server.names("replicasets").len()), (4, 1));
}

/// Restored with a new uid: the old ReplicaSets name the old one and are about to be collected as garbage.
#[tokio::test]
async fn m4_what_another_controls_is_not_adopted() {
    let shop = Shop::new();
    shop.put("rollouts", rollout("web", 4));
    shop.settle("web").await;
    let old = shop.server.names("replicasets").remove(0);
    let owner = controller(&shop, &old);
    shop.server.remove("rollouts", "web");
    shop.put("rollouts", recreated("1"));
    shop.settle("web").await;
    assert_eq!((controller(&shop, &old), shop.server.names("replicasets").len()), (owner, 2));
    assert_eq!(controller(&shop, &format!("{old}-1")), "uid-of-the-second", "ours has another name");
}

#[tokio::test]
async fn m4_an_orphan_that_is_not_wanted_goes_on_serving() {
    let shop = Shop::new();
    shop.put("rollouts", rollout("web", 4));
    shop.settle("web").await;
    let old = shop.server.names("replicasets").remove(0);
    delete_with_cascade_orphan(&shop);
    shop.put("rollouts", recreated("2"));
    shop.settle("web").await;
    assert_eq!(shop.server.get("replicasets", &old).unwrap()["spec"]["replicas"], 4);
    assert_eq!(shop.pods(), 8);
    assert_eq!(shop.events("ForeignReplicaSet").await.len(), 1);
}

#[tokio::test]
async fn l12_min_ready_seconds_reach_existing_replica_sets_without_a_new_revision() {
    let shop = Shop::new();
    shop.put("rollouts", rollout("web", 2));
    shop.settle("web").await;
    let sets = shop.server.names("replicasets");
    shop.edit("rollouts", "web", &json!({"spec": {"minReadySeconds": 30}}));
    shop.settle("web").await;
    assert_eq!(shop.server.get("replicasets", &sets[0]).unwrap()["spec"]["minReadySeconds"], 30);
    assert_eq!(shop.server.names("replicasets"), sets);
    shop.server.take_asked();
    drop(shop.tick("web").await);
    assert!(shop.server.take_asked().is_empty(), "written once");
}
