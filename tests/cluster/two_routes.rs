//! One Rollout, several routes: two of three in one VirtualService, and the only one of another.

use crate::lane;
use crate::limits::binomial_999;
use crate::load::{Load, Plan};
use crate::shop::{PATIENCE, Shop, TWO_WEIGHTS, assert_all_well, changed};
use crate::wait::wait_until;

/// The routes that the Rollout moves, and the one that it leaves alone.
const OURS: [(&str, usize); 3] = [("web", 1), ("web", 2), ("front", 0)];
const FOREIGN: (&str, usize) = ("web", 0);

fn shop(namespace: &'static str) -> Shop {
    let (one, three) = ("[{name: web, routes: [primary]}]", "[{name: web, routes: [primary, beta]}, {name: front}]");
    let yaml = changed(
        &Shop::yaml_without("VirtualService"),
        &[
            (one, three),
            ("  analysis: {templates: [{name: errors}]}\n", ""),
            (TWO_WEIGHTS, "\n      - setWeight: 20\n      - pause: {}\n"),
        ],
    );
    let shop = Shop::apply(namespace, &format!("{yaml}\n---\n{}", include_str!("config/two-routes.yaml")));
    shop.wait_for_stable(1);
    shop.answers("v1");
    shop
}

fn everywhere(shop: &Shop) -> [(u64, u64); 3] {
    OURS.map(|(service, route)| shop.weights_of(service, route))
}

/// Answers of v2 among those that one kind of user got.
fn share(plan: Plan) -> (u64, u64) {
    let tally = Load::launch(plan.limit(2000)).finish().unwrap();
    assert_all_well(&tally);
    (tally.of("v2"), tally.sent)
}

#[test]
fn all_routes_move_in_step_are_put_right_and_return() {
    let shop = shop("many");
    let (users, others) = (shop.users(), Load::start("front.many", 100.0));
    shop.release("v2");
    shop.wait_for_pause(1);
    assert_eq!(everywhere(&shop), [(80, 20); 3]);
    assert_eq!(shop.weights_of(FOREIGN.0, FOREIGN.1), (100, 0), "a route that the Rollout does not name");
    let mesh = |host: &str| Plan::mesh(host, 500.0);
    for plan in [mesh("web.many"), mesh("web.many").header("x-client", "beta"), mesh("front.many")] {
        let who = format!("{} {:?}", plan.host, plan.headers);
        let (got, sent) = share(plan);
        let limits = binomial_999(sent, 0.2);
        assert!(limits.contains(&got), "{got} of {sent} requests of {who} reached v2, outside {limits:?}");
    }
    assert_eq!(share(mesh("web.many").header("x-client", "old")).0, 0, "the foreign route leads to stable");

    let patch = r#"[{"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 70},
        {"op": "replace", "path": "/spec/http/0/route/1/weight", "value": 30}]"#;
    lane().kubectl(&["patch", "virtualservice", "front", "-n", "many", "--type=json", "-p", patch]).unwrap();
    wait_until(PATIENCE, "the edited route to be put right", || everywhere(&shop) == [(80, 20); 3]);
    let status = shop.wait("calm", |status| status["phase"] == "Paused" && status["weights"]["settled"] == true);
    assert_eq!((&status["stepIndex"], &status["attempt"]), (&1.into(), &1.into()), "the step is kept");

    shop.glidepath(&["abort", "web"]).unwrap();
    wait_until(PATIENCE, "every route to lead to stable alone", || everywhere(&shop) == [(100, 0); 3]);
    shop.wait("the abort", |status| status["course"] == "Aborted");
    shop.answers("v1");

    shop.glidepath(&["retry", "web"]).unwrap();
    shop.wait_for_pause(1);
    assert_eq!(everywhere(&shop), [(80, 20); 3]);
    shop.glidepath(&["promote", "web", "--full"]).unwrap();
    shop.wait_for_stable(2);
    shop.answers("v2");
    assert_eq!(everywhere(&shop), [(100, 0); 3]);
    assert_eq!(share(mesh("front.many")), (2000, 2000));
    assert_all_well(&users.stop().unwrap());
    assert_all_well(&others.stop().unwrap());
}

/// Rule S53: one of the objects is gone. An abort does not wait for it.
#[test]
fn an_abort_returns_the_routes_that_are_left() {
    let shop = shop("fewer");
    let users = shop.users();
    shop.release("v2");
    shop.wait_for_pause(1);
    lane().kubectl(&["delete", "virtualservice", "front", "-n", "fewer"]).unwrap();
    shop.wait("a status that names what is missing", |status| {
        let message = status["message"].as_str().unwrap_or_default();
        message.contains("VirtualService") && message.contains("fewer/front")
    });
    assert_eq!(shop.weights_of("web", 2), (80, 20), "the others keep their step");
    shop.glidepath(&["abort", "web"]).unwrap();
    wait_until(PATIENCE, "the routes that are left to lead to stable alone", || {
        [1, 2].map(|route| shop.weights_of("web", route)) == [(100, 0); 2]
    });
    shop.answers("v1");
    assert_all_well(&users.stop().unwrap());

    // Mended: the object is there again, and so is the way forward.
    let front = include_str!("config/two-routes.yaml").split("---\n").nth(1).unwrap().replace("NAMESPACE", "fewer");
    lane().apply(&front).unwrap();
    shop.glidepath(&["retry", "web"]).unwrap();
    shop.wait_for_pause(1);
    assert_eq!(everywhere(&shop), [(80, 20); 3]);
}
