//! Releases of one Service whose traffic is split by subsets of a DestinationRule.

use crate::lane;
use crate::load::Load;
use crate::shop::{PATIENCE, Shop, TWO_WEIGHTS, assert_all_well, changed};
use crate::wait::wait_until;
use serde_json::{Value, json};

const REVISION: &str = "glidepath.dev/revision";

/// The shop with its VirtualService and its Rollout's traffic replaced.
fn shop() -> Shop {
    let by_host = "virtualServices: [{name: web, routes: [primary]}]";
    let by_subset = format!("{by_host}, destinationRule: {{name: web, stableSubset: current, canarySubset: next}}");
    let steps = "
      - setWeight: 20
      - observe: {atLeast: 5s, atMost: 3m}
      - pause: {}
      - setWeight: 50
      - pause: {}
";
    let services = "{root: web, stable: web-stable, canary: web-canary}";
    let yaml = changed(
        &Shop::yaml_without("VirtualService"),
        &[(by_host, &by_subset), (services, "{root: web}"), (TWO_WEIGHTS, steps)],
    );
    let yaml = format!("{yaml}\n---\n{}", include_str!("config/subsets.yaml"));
    let shop = Shop::apply("subsets", &yaml);
    shop.wait_for_stable(1);
    shop.answers("v1");
    shop
}

fn object(shop: &Shop, kind: &str) -> Value {
    lane().get(shop.namespace, kind, "web").unwrap()["spec"].take()
}

/// The revisions that the two subsets select.
fn selected(shop: &Shop) -> [String; 2] {
    let rule = object(shop, "destinationrule");
    ["current", "next"].map(|name| {
        let subsets = rule["subsets"].as_array().unwrap();
        let subset = subsets.iter().find(|subset| subset["name"] == name).unwrap();
        subset["labels"][REVISION].as_str().unwrap_or_default().to_owned()
    })
}

fn weights(shop: &Shop) -> [u64; 2] {
    let service = object(shop, "virtualservice");
    let route = service["http"][1]["route"].as_array().unwrap();
    ["current", "next"].map(|name| {
        let found = route.iter().find(|entry| entry["destination"]["subset"] == name).unwrap();
        found["weight"].as_u64().unwrap_or_default()
    })
}

/// Both objects without what is Glidepath's: the two weights and the two revisions.
fn foreign(shop: &Shop) -> [Value; 2] {
    let (mut rule, mut service) = (object(shop, "destinationrule"), object(shop, "virtualservice"));
    for subset in rule["subsets"].as_array_mut().unwrap() {
        let Some(labels) = subset.get_mut("labels").and_then(Value::as_object_mut) else { continue };
        labels.shift_remove(REVISION);
        if labels.is_empty() {
            subset.as_object_mut().unwrap().shift_remove("labels");
        }
    }
    for entry in service["http"][1]["route"].as_array_mut().unwrap() {
        entry.as_object_mut().unwrap().shift_remove("weight");
    }
    [rule, service]
}

/// As the user wrote them.
fn written() -> [Value; 2] {
    let mut specs = include_str!("config/subsets.yaml").split("---\n").map(|part| {
        let object: Value = serde_yaml::from_str(part).unwrap();
        object["spec"].clone()
    });
    let (rule, mut service) = (specs.next().unwrap(), specs.next().unwrap());
    for entry in service["http"][1]["route"].as_array_mut().unwrap() {
        entry.as_object_mut().unwrap().shift_remove("weight");
    }
    [rule, service]
}

/// So many that a share is soon determined.
fn many_users() -> Load {
    Load::start("web.subsets", 400.0)
}

fn id(status: &Value, revision: &str) -> String {
    status[revision]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_good_version_is_promoted_by_subsets_and_a_bad_one_rolled_back() {
    let shop = shop();
    let first = id(&shop.status(), "stableRevision");
    let users = many_users();
    shop.release("v2");
    for (pause, share) in [(2, 0.2), (4, 0.5)] {
        let status = shop.wait_for_pause(pause);
        assert_eq!(selected(&shop), [first.clone(), id(&status, "currentRevision")]);
        shop.assert_share("v2", share);
        shop.glidepath(&["promote", "web"]).unwrap();
    }
    let second = id(&shop.wait_for_stable(2), "stableRevision");
    shop.answers("v2");
    assert_all_well(&users.stop().unwrap());
    assert_eq!(weights(&shop), [100, 0], "the route rests on stable's subset");
    assert_eq!(selected(&shop), [second.clone(), second.clone()], "both subsets rest on the new version");
    assert_eq!(foreign(&shop), written(), "what belongs to others is as they wrote it");
    let selector = lane().get("subsets", "service", "web").unwrap()["spec"]["selector"].take();
    assert_eq!(selector, json!({"app": "web"}), "a split by subset leaves the Service as it is");

    let users = many_users();
    shop.release_with_errors("v3", "0.2");
    shop.wait("the rollback", |status| status["course"] == "Aborted");
    wait_until(PATIENCE, "the route to lead to stable alone", || weights(&shop) == [100, 0]);
    wait_until(PATIENCE, "both subsets to rest on stable", || selected(&shop) == [second.clone(), second.clone()]);
    shop.answers("v2");
    let tally = users.stop().unwrap();
    assert_eq!(tally.lost(), 0, "{tally:?}");
    let (outcome, reason) = shop.last_outcome();
    assert_eq!(outcome, "Aborted");
    assert!(reason.contains("errors"), "the reason names the metric: {reason}");
    assert_eq!(foreign(&shop), written(), "what belongs to others is as they wrote it");

    lane().kubectl(&["delete", "gro", "web", "-n", "subsets", "--timeout=60s"]).unwrap();
    assert_eq!((weights(&shop), selected(&shop)), ([100, 0], [String::new(), String::new()]), "handed back");
    assert_eq!(foreign(&shop), written(), "what belongs to others is as they wrote it");
}
