//! Blue-green releases by the routes of a mesh: all traffic moves in one write of the VirtualService, and back.

use crate::lane;
use crate::load::{Load, Plan};
use crate::shop::{PATIENCE, Shop, assert_all_well, changed};
use crate::wait::wait_until;

/// The blue-green service with the shop's route; the Services are those of the routers.
fn shop(namespace: &'static str) -> Shop {
    let services =
        "  services: {root: web}\n  traffic: [{istio: {virtualServices: [{name: web, routes: [primary]}]}}]\n";
    let yaml = changed(
        include_str!("config/blue-green.yaml"),
        &[
            ("      activeService: web\n      previewService: web-preview\n", ""),
            ("  settle: 1s\n", &format!("{services}  settle: 1s\n")),
        ],
    );
    let mesh = Shop::yaml();
    let route = mesh.split("---\n").find(|part| part.contains("kind: VirtualService")).unwrap();
    let shop = Shop::apply(namespace, &format!("{yaml}\n---\n{route}"));
    shop.wait_for_stable(1);
    shop.answers("v1");
    shop
}

/// Every one of a thousand callers gets this version.
#[track_caller]
fn everybody_gets(shop: &Shop, version: &str) {
    let plan = Plan::mesh(&format!("web.{}", shop.namespace), 500.0).limit(1000);
    let tally = Load::launch(plan).finish().unwrap();
    assert_eq!((tally.of(version), tally.lost()), (1000, 0), "{tally:?}");
}

/// Releases up to the preview, of which callers see nothing, and promotes it.
fn promote_preview(shop: &Shop, users: &Load, release: impl Fn(&Shop)) {
    release(shop);
    shop.wait_for_pause(1);
    let before = users.tally();
    assert_eq!(before.of("v1"), before.sent, "before the switch: {before:?}");
    assert_eq!(shop.weights(), (100, 0));
    shop.glidepath(&["promote", "web"]).unwrap();
}

#[test]
fn all_traffic_moves_at_once_and_stays_when_the_analysis_passes() {
    let shop = shop("meshblue");
    let users = shop.users();
    promote_preview(&shop, &users, |shop| shop.release("v2"));
    shop.wait("the switch", |status| status["stage"] == "PostAnalysis");
    assert_eq!(shop.weights(), (0, 100), "all at once");
    shop.answers("v2");
    everybody_gets(&shop, "v2");
    shop.wait_for_stable(2);
    assert_eq!(lane().get("meshblue", "gar", "web-2-1-post").unwrap()["status"]["verdict"], "Pass");
    assert_eq!((shop.weights(), shop.last_outcome().0), ((100, 0), "Promoted".to_owned()));
    everybody_gets(&shop, "v2");

    // The old version still has its pods: back without analysis.
    shop.release("v1");
    shop.wait_for_stable(3);
    assert_eq!((shop.weights(), shop.last_outcome().0), ((100, 0), "RolledBack".to_owned()));
    shop.answers("v1");
    everybody_gets(&shop, "v1");
    assert_all_well(&users.stop().unwrap());
}

#[test]
fn a_failure_after_the_switch_moves_all_traffic_back() {
    let shop = shop("meshbad");
    let users = shop.users();
    promote_preview(&shop, &users, |shop| shop.release_with_errors("v2", "0.2"));
    shop.wait("the way back", |status| status["course"] == "Aborted");
    wait_until(PATIENCE, "the route to lead to v1 alone", || shop.weights() == (100, 0));
    shop.answers("v1");
    everybody_gets(&shop, "v1");
    let tally = users.stop().unwrap();
    assert_eq!(tally.lost(), 0, "{tally:?}");
    assert!(tally.of("v2") > 0 && tally.status.contains_key(&500), "v2 was active for a while: {tally:?}");
    let (outcome, reason) = shop.last_outcome();
    assert_eq!(outcome, "Aborted");
    assert!(reason.contains("errors"), "the reason names the metric: {reason}");
}
