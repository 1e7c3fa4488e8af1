//! An absent `spec.replicas` (finding C4): the last known count is kept, and 0 is never written by us.

use serde_json::json;

use super::{Shop, adopting, deployment, rollout, typed};

#[tokio::test]
async fn c4_replicas_removed_from_an_adopted_workload_keep_its_pods() {
    let shop = Shop::new();
    shop.adopt_deployment().await;
    shop.settle("web").await;
    let own = shop.server.get("deployments", "web").unwrap();
    assert_eq!((shop.pods(), own["spec"]["replicas"].as_u64()), (4, Some(0)), "{}", shop.status("web"));

    shop.edit("rollouts", "web", &json!({"spec": {"replicas": null}}));
    shop.settle("web").await;
    assert_eq!(shop.pods(), 4, "the pods stay");
    assert_eq!(typed(&shop.server.get("rollouts", "web").unwrap()).spec.replicas, Some(4));
    assert_eq!(shop.events("ReplicasRestored").await, ["spec.replicas was removed; kept 4"]);
}

#[tokio::test]
async fn c4_replicas_removed_from_a_rollout_with_its_own_template_keep_its_pods() {
    let shop = Shop::new();
    shop.put("rollouts", rollout("web", 4));
    shop.settle("web").await;
    assert_eq!(shop.pods(), 4);
    shop.edit("rollouts", "web", &json!({"spec": {"replicas": null}}));
    shop.settle("web").await;
    assert_eq!(shop.pods(), 4, "the pods stay");
    assert_eq!(shop.events("ReplicasRestored").await, ["spec.replicas was removed; kept 4"]);
}

/// A restored object has no status: what our ReplicaSets ask for is known all the same.
#[tokio::test]
async fn c4_without_a_status_the_replica_sets_tell_the_count() {
    let shop = Shop::new();
    shop.put("rollouts", rollout("web", 4));
    shop.settle("web").await;
    shop.edit("rollouts", "web", &json!({"spec": {"replicas": null}, "status": null}));
    shop.settle("web").await;
    assert_eq!(shop.pods(), 4, "the pods stay");
}

#[tokio::test]
async fn c4_zero_is_never_written() {
    let shop = Shop::new();
    shop.put("deployments", deployment("web", 0));
    shop.put("rollouts", adopting("web", "web"));
    shop.settle("web").await;
    assert_eq!(typed(&shop.server.get("rollouts", "web").unwrap()).spec.replicas, Some(1));

    // Scaled to zero by the user, who then takes the field out: a Deployment would get its default too.
    shop.put("rollouts", rollout("api", 0));
    shop.settle("api").await;
    shop.edit("rollouts", "api", &json!({"spec": {"replicas": null}}));
    shop.settle("api").await;
    assert_eq!(typed(&shop.server.get("rollouts", "api").unwrap()).spec.replicas, Some(1));
}

/// Deleting a Rollout whose count was taken out just before gives the Deployment back at full size.
#[tokio::test]
async fn c4_a_deletion_restores_the_last_known_count() {
    let shop = Shop::new();
    shop.adopt_deployment().await;
    assert_eq!(shop.server.get("deployments", "web").unwrap()["spec"]["replicas"], 0);
    let gone = json!({"metadata": {"deletionTimestamp": "2026-01-01T02:00:00Z"}, "spec": {"replicas": null}});
    shop.edit("rollouts", "web", &gone);
    drop(shop.tick("web").await);
    assert_eq!(shop.server.get("deployments", "web").unwrap()["spec"]["replicas"], 4);
}
