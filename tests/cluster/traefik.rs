//! A real Traefik in front of the pods: the weights that we write, beside the mirrors and sticky cookies that their owner has
//! set up.

use std::fs;
use std::sync::OnceLock;

use crate::lane;
use crate::limits::binomial_999;
use crate::load::{Load, Plan, Tally};
use crate::programs::find;
use crate::server::Server;
use crate::shop::{PATIENCE, Shop, TWO_WEIGHTS, assert_all_well, changed};
use crate::wait::wait_until;

const ADDRESS: &str = "127.0.0.1:8088";
const STEPS: &str = "
      - setWeight: 0.01
      - pause: {}
      - setWeight: 10
      - pause: {}
      - setWeight: 50
      - pause: {}
";
const ROUTES: &str = "
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: web, namespace: NAMESPACE}
spec:
  entryPoints: [web]
  routes:
  - kind: Rule
    match: Host(`web.NAMESPACE`)
    services: [{name: FRONT, kind: TraefikService}]
---
apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: {name: web, namespace: NAMESPACE}
spec:
  weighted:
    STICKY
    services:
    - {name: web-stable, port: 80, weight: 100}
    - {name: web-canary, port: 80, weight: 0}
";

/// Traefik with its own CRDs, for all tests: it watches the lane's API server.
fn traefik() {
    static TRAEFIK: OnceLock<Server> = OnceLock::new();
    TRAEFIK.get_or_init(|| {
        lane().apply(&fs::read_to_string(find("traefik-crds.yaml").unwrap()).unwrap()).unwrap();
        lane().kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).unwrap();
        let mut command = lane().command(find("traefik").unwrap());
        command.arg(format!("--entrypoints.web.address={ADDRESS}"));
        command.args(["--providers.kubernetescrd=true", "--providers.kubernetescrd.allowemptyservices=true"]);
        command.args(["--providers.providersthrottleduration=100ms", "--log.level=INFO"]);
        command.args(["--global.checknewversion=false", "--global.sendanonymoususage=false"]);
        lane().serve("traefik", command).unwrap()
    });
}

fn open(namespace: &'static str, front: &str, sticky: &str, more: &str) -> Shop {
    traefik();
    let istio = "  - istio: {virtualServices: [{name: web, routes: [primary]}]}\n";
    let changes = [
        ("  analysis: {templates: [{name: errors}]}\n", ""),
        (istio, "  - traefik: {services: [{name: web}]}\n"),
        (TWO_WEIGHTS, STEPS),
    ];
    let routes = changed(ROUTES, &[("FRONT", front), ("    STICKY\n", sticky)]);
    let shop = Shop::apply(namespace, &(changed(&Shop::yaml_without("VirtualService"), &changes) + &routes + more));
    shop.wait_for_stable(1);
    wait_until(PATIENCE, "v1 to answer through Traefik", || ask(&shop, 50, &[]).of("v1") == 50);
    shop
}

fn plan(shop: &Shop, per_second: f64) -> Plan {
    Plan { address: ADDRESS.to_owned(), ..Plan::mesh(&format!("web.{}", shop.namespace), per_second) }
}

fn ask(shop: &Shop, requests: u64, headers: &[(&str, &str)]) -> Tally {
    let plan = plan(shop, 1000.0).limit(requests);
    Load::launch(headers.iter().fold(plan, |plan, (name, value)| plan.header(name, value))).finish().unwrap()
}

/// Requests that the pods of a version have answered, copies included.
fn counted(shop: &Shop, version: &str) -> u64 {
    let pods = lane().counts(shop.namespace).unwrap();
    pods.iter().filter(|pod| pod.version == version).map(|pod| pod.requests).sum()
}

#[test]
#[ignore = "it needs Traefik, which is built once in six minutes: make test-meshes"]
fn shares_are_those_of_the_steps_and_promote_and_abort_lose_no_request() {
    let shop = open("traefik-real", "web", "", "");
    let users = Load::launch(plan(&shop, 100.0));
    shop.release("v2");
    shop.wait_for_pause(1);
    for (pause, share) in [(3, 0.1), (5, 0.5)] {
        shop.glidepath(&["promote", "web"]).unwrap();
        shop.wait_for_pause(pause);
        let before = (counted(&shop, "v1"), counted(&shop, "v2"));
        let tally = ask(&shop, 4000, &[]);
        assert_all_well(&tally);
        let (v1, v2) = (counted(&shop, "v1") - before.0, counted(&shop, "v2") - before.1);
        assert!(v1 + v2 >= 4000 && binomial_999(v1 + v2, share).contains(&v2), "{v1} and {v2} at {share}");
    }
    shop.glidepath(&["promote", "web"]).unwrap();
    shop.wait_for_stable(2);
    wait_until(PATIENCE, "v2 to answer alone", || ask(&shop, 100, &[]).of("v2") == 100);
    shop.release("v3");
    shop.wait_for_pause(1);
    shop.glidepath(&["promote", "web"]).unwrap();
    shop.wait_for_pause(3);
    wait_until(PATIENCE, "v3 to answer", || ask(&shop, 100, &[]).of("v3") > 0);
    shop.glidepath(&["abort", "web"]).unwrap();
    wait_until(PATIENCE, "v2 to answer alone again", || ask(&shop, 200, &[]).of("v2") == 200);
    assert_all_well(&users.stop().unwrap());
}

#[test]
#[ignore = "it needs Traefik, which is built once in six minutes: make test-meshes"]
fn sticky_cookies_of_the_owner_keep_their_users_through_every_weight() {
    let sticky = "    sticky: {cookie: {name: shop}}\n";
    let shop = open("traefik-sticky", "web", sticky, "");
    let visit = |cookie: &str| {
        let headers = [("Host", "web.traefik-sticky"), ("Cookie", cookie)];
        let reply = crate::http::get(&format!("http://{ADDRESS}/"), &headers).unwrap();
        let of = |wanted: &str| reply.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        (of("x-version").unwrap_or_default(), of("set-cookie"))
    };
    let (_, cookie) = visit("none=1");
    let cookie = cookie.unwrap().split(';').next().unwrap().to_owned();
    shop.release("v2");
    shop.wait_for_pause(1);
    for pause in [3, 5] {
        shop.glidepath(&["promote", "web"]).unwrap();
        shop.wait_for_pause(pause);
    }
    assert_eq!(ask(&shop, 500, &[("cookie", &cookie)]).of("v1"), 500, "whoever has the cookie of stable stays there");
    let new = ask(&shop, 1000, &[]);
    assert!(binomial_999(1000, 0.5).contains(&new.of("v2")), "{new:?}");
    let object = lane().get("traefik-sticky", "traefikservice", "web").unwrap();
    assert_eq!(object["spec"]["weighted"]["sticky"]["cookie"]["name"], "shop");
}

#[test]
#[ignore = "it needs Traefik, which is built once in six minutes: make test-meshes"]
fn a_mirror_of_the_owner_copies_what_the_weights_send_to_stable() {
    let mirror = "
---
apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: {name: front, namespace: NAMESPACE}
spec:
  mirroring:
    name: web
    kind: TraefikService
    mirrors: [{name: web-canary, port: 80, percent: 50}]
";
    let shop = open("traefik-mirror", "front", "", mirror);
    shop.release("v2");
    shop.wait_for_pause(1);
    wait_until(PATIENCE, "copies to arrive", || {
        let before = counted(&shop, "v2");
        ask(&shop, 20, &[]);
        counted(&shop, "v2") > before
    });
    let before = counted(&shop, "v2");
    let tally = ask(&shop, 2000, &[]);
    assert_all_well(&tally);
    let answered = tally.of("v2");
    assert!(binomial_999(2000, 0.0001).contains(&answered), "copies have no answer: {tally:?}");
    // Traefik copies every second request, not each with a chance.
    wait_until(PATIENCE, "the last copies to arrive", || counted(&shop, "v2") - before >= 990 + answered);
    assert!(counted(&shop, "v2") - before <= 1010 + answered);
}
