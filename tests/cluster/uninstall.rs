//! `glidepath uninstall` on the real cluster: what Glidepath adopted is restored under traffic, and what is left is
//! said.

use crate::adoption::{ROLLOUT, deployment, running};
use crate::lane;
use crate::shop::{PATIENCE, Shop, assert_all_well};
use crate::wait::wait_until;

fn rollouts(namespace: &str) -> String {
    lane().kubectl(&["get", "gro", "-n", namespace, "-o", "name"]).unwrap()
}

#[test]
fn an_adopted_deployment_at_rest_is_restored_and_nothing_is_left() {
    let shop = running("uninstall-rest");
    let users = shop.users();
    lane().apply(&ROLLOUT.replace("NAMESPACE", "uninstall-rest")).unwrap();
    shop.wait("the adoption", |status| status["phase"] == "Healthy" && deployment(&shop)["spec"]["replicas"] == 0);

    let plan = shop.glidepath(&["uninstall"]).unwrap();
    assert!(
        plan.contains("uninstall-rest/web: Deployment/web is restored") && plan.contains("nothing was changed"),
        "{plan}"
    );
    assert_eq!(deployment(&shop)["spec"]["replicas"], 0, "a plan changes nothing");

    let said = shop.glidepath(&["uninstall", "--yes"]).unwrap();
    assert!(said.contains("uninstall-rest/web: restored"), "{said}");
    assert_eq!(rollouts("uninstall-rest"), "");
    let back = deployment(&shop);
    assert_eq!((&back["spec"]["replicas"], back["spec"]["paused"].as_bool().unwrap_or_default()), (&4.into(), false));
    wait_until(PATIENCE, "only the Deployment's own pods to be left", || {
        let counts = lane().counts("uninstall-rest").unwrap();
        counts.iter().filter(|pod| !pod.gone).count() == 4 && deployment(&shop)["status"]["availableReplicas"] == 4
    });
    let said = shop.glidepath(&["uninstall", "--yes"]).unwrap();
    assert!(said.contains("no Rollouts") && said.contains("left: nothing"), "{said}");
    shop.answers("v1");
    assert_all_well(&users.stop().unwrap());
}

#[test]
fn a_release_in_progress_is_left_alone_until_it_may_be_aborted() {
    let shop = Shop::open("uninstall-busy");
    let users = shop.users();
    shop.release("v2");
    shop.wait_for_pause(2);

    let refused = shop.glidepath(&["uninstall", "--yes"]).unwrap_err().to_string();
    assert!(refused.contains("releases in progress: uninstall-busy/web"), "{refused}");
    assert_eq!(shop.weights(), (80, 20), "nothing was changed");

    let said = shop.glidepath(&["uninstall", "--yes", "--abort"]).unwrap();
    for part in ["uninstall-busy/web: aborting", "uninstall-busy/web: aborted", "uninstall-busy/web: restored"] {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
    assert_eq!(rollouts("uninstall-busy"), "");
    // Pods of a template of its own serve on without an owner; the route leads to them by the Service that is left.
    let left =
        lane().kubectl(&["get", "rs,service", "-n", "uninstall-busy", "-l", "glidepath.dev/rollout", "-o", "name"]);
    for name in left.unwrap().lines() {
        let name = name.rsplit('/').next().unwrap();
        assert!(said.contains(&format!("uninstall-busy/{name}:")), "{name} is left and not told:\n{said}");
    }
    assert!(said.contains("left: ReplicaSet uninstall-busy/web-"), "{said}");
    shop.answers("v1");
    assert_all_well(&users.stop().unwrap());
    println!("{said}");
}
