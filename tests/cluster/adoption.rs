//! Taking a running Deployment over, releasing it, and giving it back, while users ask all the time.

use crate::controller::controller;
use crate::lane;
use crate::shop::{PATIENCE, Shop, assert_all_well};
use crate::wait::wait_until;
use serde_json::Value;

pub const ROLLOUT: &str = include_str!("config/adopted.yaml");

/// A Deployment of four pods without Glidepath.
pub fn running(namespace: &'static str) -> Shop {
    let web = include_str!("config/web.yaml").replace("replicas: 2", "replicas: 4").replace("shop/web:1", "v1");
    let web = web.replace(", env: [{name: VERSION, value: v1}]", "");
    assert!(!web.contains("VERSION"), "the image is the version");
    let shop = Shop::apply(namespace, &web);
    lane().kubectl(&["rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s"]).unwrap();
    shop.answers("v1");
    shop
}

pub fn deployment(shop: &Shop) -> Value {
    lane().get(shop.namespace, "deployment", "web").unwrap()
}

/// Addresses that the Service sends requests to.
fn endpoints(shop: &Shop) -> usize {
    let slices = lane().get(shop.namespace, "endpointslices", "-lkubernetes.io/service-name=web").unwrap();
    let ready = |endpoint: &&Value| endpoint["conditions"]["ready"] == true;
    let of = |slice: &Value| slice["endpoints"].as_array().map_or(0, |all| all.iter().filter(ready).count());
    slices["items"].as_array().unwrap().iter().map(of).sum()
}

#[test]
fn a_deployment_is_adopted_released_and_handed_back_without_losing_a_request() {
    let shop = running("adopted");
    let users = shop.users();
    lane().apply(&ROLLOUT.replace("NAMESPACE", "adopted")).unwrap();
    let mut fewest = usize::MAX;
    shop.wait("the adoption", |status| {
        fewest = fewest.min(endpoints(&shop));
        status["phase"] == "Healthy" && deployment(&shop)["spec"]["replicas"] == 0
    });
    assert!(fewest >= 4, "capacity fell to {fewest} of 4 pods");
    assert_eq!(deployment(&shop)["spec"]["paused"], true);
    assert_eq!(shop.status()["stableRevision"]["number"], 1);

    // CI continues as before: it sets the Deployment's image.
    lane().kubectl(&["set", "image", "deployment/web", "web=v2", "-n", "adopted"]).unwrap();
    shop.wait_for_pause(1);
    assert!(shop.served("v2").0 > 0, "the canary serves");
    shop.glidepath(&["promote", "web"]).unwrap();
    shop.wait_for_stable(2);
    shop.answers("v2");

    lane().kubectl(&["delete", "gro", "web", "-n", "adopted", "--timeout=60s"]).unwrap();
    let back = deployment(&shop);
    assert_eq!((&back["spec"]["replicas"], back["spec"]["paused"].as_bool().unwrap_or_default()), (&4.into(), false));
    wait_until(PATIENCE, "only the Deployment's own pods to be left", || {
        let counts = lane().counts("adopted").unwrap();
        counts.iter().filter(|pod| !pod.gone).count() == 4 && deployment(&shop)["status"]["availableReplicas"] == 4
    });
    shop.answers("v2");
    assert_all_well(&users.stop().unwrap());
    controller().check();
}

/// In a mesh, in the middle of a release: stable's template goes back into the Deployment, the route leads to stable.
#[test]
fn deletion_in_the_middle_hands_everything_back_under_traffic() {
    let shop = running("returned");
    let selector = lane().get("returned", "service", "web").unwrap()["spec"]["selector"].take();
    let mesh = Shop::yaml();
    let virtual_service = mesh.split("---\n").find(|part| part.contains("kind: VirtualService")).unwrap();
    // Before the adoption the route leads to the Service that everyone has.
    let before =
        virtual_service.split("    - {destination: {host: web-canary").next().unwrap().replace("web-stable", "web");
    lane().apply(&before.replace("NAMESPACE", "returned")).unwrap();
    shop.answers("v1");
    let users = shop.users();
    let traffic = "  services: {root: web}\n  traffic: [{istio: {virtualServices: [{name: web}]}}]\n  settle: 1s\n";
    let rollout = ROLLOUT.replace("  services: {root: web}\n", traffic).replace("NAMESPACE", "returned");
    lane().apply(&rollout).unwrap();
    shop.wait_for_stable(1);
    lane().apply(&virtual_service.replace("NAMESPACE", "returned")).unwrap();
    shop.answers("v1");

    lane().kubectl(&["set", "image", "deployment/web", "web=v2", "-n", "returned"]).unwrap();
    shop.wait_for_pause(1);
    assert_eq!(shop.weights(), (75, 25));
    lane().kubectl(&["delete", "gro", "web", "-n", "returned", "--timeout=60s"]).unwrap();

    let image = &deployment(&shop)["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, "v1", "stable's template is back in the Deployment");
    assert_eq!(shop.weights(), (100, 0));
    assert_eq!(lane().get("returned", "service", "web").unwrap()["spec"]["selector"], selector);
    wait_until(PATIENCE, "only the Deployment's own pods to be left", || {
        lane().counts("returned").unwrap().iter().filter(|pod| !pod.gone).count() == 4
    });
    // The way back: the route names the plain Service again, then the two others may go.
    lane().apply(&before.replace("NAMESPACE", "returned")).unwrap();
    shop.answers("v1");
    assert_all_well(&users.stop().unwrap());
}

/// Rule S7: an autoscaler of the Deployment is reported before anything is scaled down.
#[test]
fn a_deployment_with_an_autoscaler_is_not_taken_over() {
    let shop = running("autoscaled");
    let autoscaler = "
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: autoscaled}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, minReplicas: 4, maxReplicas: 4}";
    lane().apply(autoscaler).unwrap();
    lane().apply(&ROLLOUT.replace("NAMESPACE", "autoscaled")).unwrap();
    shop.wait("a status that says what to do", |status| {
        let message = status["message"].as_str().unwrap_or_default();
        message.contains("HorizontalPodAutoscaler/web") && message.contains("scaleTargetRef")
    });
    wait_until(PATIENCE, "an event that says so", || !shop.events("AutoscaledWorkload").is_empty());
    let untouched = deployment(&shop);
    assert_eq!((&untouched["spec"]["replicas"], &untouched["spec"]["paused"]), (&4.into(), &Value::Null));

    lane().kubectl(&["delete", "hpa", "web", "-n", "autoscaled"]).unwrap();
    shop.wait("the adoption", |status| status["phase"] == "Healthy" && deployment(&shop)["spec"]["replicas"] == 0);

    // One that comes later is reported too, and goes unharmed.
    lane().apply(autoscaler).unwrap();
    let told = |status: &Value| status["reason"] == "AutoscaledWorkload" && status["phase"] == "Healthy";
    shop.wait("a reason about the new autoscaler", told);
    lane().kubectl(&["delete", "hpa", "web", "-n", "autoscaled"]).unwrap();
    shop.wait("the reason to go", |status| !told(status));
}
