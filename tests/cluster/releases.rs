//! The main job on real components: good versions are promoted, bad ones are rolled back, users are obeyed; users lose
//! nothing and versions get the shares that the steps ask for.

use crate::lane;
use crate::shop::{PATIENCE, Shop, assert_all_well};
use crate::wait::wait_until;

#[test]
fn a_good_version_is_promoted_by_the_shares_of_its_steps() {
    let shop = Shop::open("good");
    let users = shop.users();
    shop.release("v2");
    for (pause, share) in [(2, 0.2), (5, 0.5)] {
        let status = shop.wait_for_pause(pause);
        assert_eq!(status["weights"]["settled"], true, "{status:#}");
        shop.assert_share("v2", share);
        shop.glidepath(&["promote", "web"]).unwrap();
    }
    shop.wait_for_stable(2);
    shop.answers("v2");
    assert_all_well(&users.stop().unwrap());

    assert_eq!(shop.weights(), (100, 0), "the route rests on the stable Service");
    assert_eq!(shop.last_outcome().0, "Promoted");
    let runs = lane().get("good", "gar", "web-2-1-background").unwrap();
    assert_eq!(runs["status"]["verdict"], "Pass", "{runs:#}");
    wait_until(PATIENCE, "the old version's pods to go", || {
        lane().counts("good").unwrap().iter().filter(|pod| pod.version == "v1").all(|pod| pod.gone)
    });
}

#[test]
fn a_bad_version_is_rolled_back_by_evidence() {
    let shop = Shop::open("bad");
    let users = shop.users();
    shop.release_with_errors("v2", "0.2");
    let status = shop.wait("the rollback", |status| status["course"] == "Aborted");
    assert_eq!(status["phase"], "Degraded", "{status:#}");
    wait_until(PATIENCE, "the route to lead to stable alone", || shop.weights() == (100, 0));
    shop.answers("v1");
    let tally = users.stop().unwrap();
    assert_eq!(tally.lost(), 0, "{tally:?}");

    let (outcome, reason) = shop.last_outcome();
    assert_eq!(outcome, "Aborted");
    assert!(reason.contains("errors"), "the reason names the metric: {reason}");
    let bad = tally.status.get(&500).copied().unwrap_or_default();
    assert!(bad > 0 && bad < tally.sent / 10, "a few users met the bad version: {tally:?}");
    wait_until(PATIENCE, "the bad version's pods to go", || {
        lane().counts("bad").unwrap().iter().filter(|pod| pod.version == "v2").all(|pod| pod.gone)
    });
    let told = shop.glidepath(&["explain", "web"]).unwrap();
    assert!(told.contains("errors"), "explain names the metric:\n{told}");
}

#[test]
fn a_newer_version_takes_the_place_of_one_in_the_middle() {
    let shop = Shop::open("newer");
    let users = shop.users();
    shop.release("v2");
    shop.wait_for_pause(2);
    shop.release("v3");
    shop.wait("the newer version", |status| status["currentRevision"]["number"] == 3);
    let status = shop.wait_for_pause(2);
    assert_eq!(status["currentRevision"]["number"], 3, "{status:#}");
    shop.assert_share("v3", 0.2);
    shop.glidepath(&["promote", "web", "--full"]).unwrap();
    shop.wait_for_stable(3);
    shop.answers("v3");
    assert_all_well(&users.stop().unwrap());
    let history = shop.status()["history"].take();
    let outcomes: Vec<_> = history.as_array().unwrap().iter().map(|entry| entry["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["Promoted", "Superseded", "Promoted"], "newest first");
}

#[test]
fn people_abort_and_begin_again() {
    let shop = Shop::open("people");
    let users = shop.users();
    shop.release("v2");
    shop.wait_for_pause(2);
    shop.glidepath(&["abort", "web"]).unwrap();
    shop.wait("the abort", |status| status["course"] == "Aborted");
    wait_until(PATIENCE, "the route to lead to stable alone", || shop.weights() == (100, 0));
    shop.answers("v1");
    assert_eq!(shop.last_outcome().0, "Aborted");

    shop.glidepath(&["retry", "web"]).unwrap();
    let status = shop.wait_for_pause(2);
    assert_eq!(status["attempt"], 2, "{status:#}");
    assert_eq!(shop.weights(), (80, 20));
    shop.glidepath(&["promote", "web", "--full"]).unwrap();
    shop.wait_for_stable(2);
    shop.answers("v2");
    assert_all_well(&users.stop().unwrap());
}
