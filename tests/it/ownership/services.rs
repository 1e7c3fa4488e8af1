//! Services that select one revision: never pinned to nothing (S7), and those that we make look like root (L12).

use serde_json::{Value, json};

use super::{Shop, rollout};

fn service(name: &str, selector: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": selector, "ports": [{"port": 80}]},
    })
}

/// A Rollout without a router that names its Services.
fn with_services(services: &Value) -> Value {
    let mut rollout = rollout("web", 2);
    rollout["spec"]["services"] = services.clone();
    rollout
}

fn selector(shop: &Shop, name: &str) -> Value {
    shop.server.get("services", name).unwrap()["spec"]["selector"].clone()
}

fn is_pinned(shop: &Shop, name: &str) -> bool {
    selector(shop, name).get("glidepath.dev/revision").is_some()
}

fn condition(status: &Value, kind: &str) -> Value {
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == kind).map(|c| c["status"].clone()).unwrap_or_default()
}

#[tokio::test]
async fn s7_a_selector_that_excludes_our_pods_is_never_written() {
    let shop = Shop::new();
    for name in ["web-stable", "web-canary"] {
        shop.put("services", service(name, &json!({"app": "web", "tier": "front"})));
    }
    shop.put("rollouts", with_services(&json!({"stable": "web-stable", "canary": "web-canary"})));
    shop.settle("web").await;
    let status = shop.status("web");
    assert_eq!((&status["reason"], &status["phase"]), (&json!("SelectorExcludesPods"), &json!("Degraded")), "{status}");
    assert_eq!(condition(&status, "Stalled"), "True");
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("Service/web-stable") && message.contains("tier=front"), "{message}");
    assert!(!is_pinned(&shop, "web-stable"));

    for name in ["web-stable", "web-canary"] {
        shop.edit("services", name, &json!({"spec": {"selector": {"tier": null}}}));
    }
    shop.settle_with_endpoints("web").await;
    assert_eq!(shop.status("web")["phase"], "Healthy", "{}", shop.status("web"));
    assert!(is_pinned(&shop, "web-stable"));

    // Another tool adds a key later.
    shop.edit("services", "web-stable", &json!({"spec": {"selector": {"version": "v7"}}}));
    shop.settle("web").await;
    let status = shop.status("web");
    assert_eq!((&status["reason"], condition(&status, "Stalled")), (&json!("SelectorExcludesPods"), json!("True")));
}

#[tokio::test]
async fn s7_a_root_that_excludes_our_pods_is_not_copied() {
    let shop = Shop::new();
    shop.put("services", service("web", &json!({"app": "web", "tier": "front"})));
    shop.put("rollouts", with_services(&json!({"root": "web", "stable": "web-stable", "canary": "web-canary"})));
    shop.settle("web").await;
    assert_eq!(shop.status("web")["reason"], "SelectorExcludesPods");
    assert_eq!(shop.server.names("services"), ["web"]);
}

#[tokio::test]
async fn l12_made_services_follow_root_and_fight_nobody() {
    let shop = Shop::new();
    let mut root = service("web", &json!({"app": "web"}));
    root["metadata"]["labels"] = json!({"team": "shop"});
    root["spec"]["clusterIP"] = "None".into();
    root["spec"]["sessionAffinity"] = "ClientIP".into();
    shop.put("services", root);
    shop.put("rollouts", with_services(&json!({"root": "web", "stable": "web-stable", "canary": "web-canary"})));
    shop.settle("web").await;
    let made = || shop.server.get("services", "web-stable").unwrap();
    let spec = made()["spec"].clone();
    assert_eq!((&spec["clusterIP"], &spec["sessionAffinity"]), (&json!("None"), &json!("ClientIP")));
    assert_eq!(made()["metadata"]["labels"], json!({"team": "shop", "glidepath.dev/rollout": "web"}));

    let ports = json!([{"port": 80}, {"name": "admin", "port": 81, "nodePort": 30081}]);
    let edit = json!({"metadata": {"labels": {"team": "web"}}, "spec": {"ports": ports, "sessionAffinity": "None"}});
    shop.edit("services", "web", &edit);
    shop.settle("web").await;
    let spec = made()["spec"].clone();
    assert_eq!(spec["ports"], json!([{"port": 80}, {"name": "admin", "port": 81}]));
    assert_eq!((&spec["sessionAffinity"], &made()["metadata"]["labels"]["team"]), (&json!("None"), &json!("web")));
    assert!(is_pinned(&shop, "web-stable"));

    shop.edit("services", "web-stable", &json!({"metadata": {"labels": {"team": "ops"}}}));
    shop.server.take_asked();
    shop.settle("web").await;
    let writes = shop.server.take_asked().into_iter().filter(|asked| asked.plural == "services").count();
    assert_eq!(writes, 0, "one write for each change of root, whatever others write");
}
