//! Releases by `glidepath local --consul`, under users who never stop asking.

use super::instance::Instance;
use super::local::Local;
use super::mesh::{Mesh, plan};
use crate::limits::binomial_999;
use crate::load::{Load, Tally};
use crate::wait::wait_until;
use serde_json::json;
use std::time::Duration;

const FILE: &str = "
apiVersion: glidepath.dev/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  settle: 1s
  scaleDownDelay: 1s
  strategy:
    canary:
      steps:
      - setHeaderRoute: {name: testers, match: [{header: {name: X-Canary, exact: 'true'}}]}
      - pause: {}
      - setWeight: 10
      - pause: {}
      - setWeight: 50
      - pause: {}
";
const PATIENCE: Duration = Duration::from_secs(30);

/// Two addresses of `web` in the mesh, the first of which serves v1 as the stable version.
struct Shop {
    mesh: Mesh,
    local: Local,
    first: Instance,
    second: Instance,
}

impl Shop {
    fn open(ports: [u16; 2]) -> Self {
        let mut mesh = Mesh::start().unwrap();
        mesh.write(&json!({"Kind": "service-defaults", "Name": "web", "Protocol": "http"})).unwrap();
        let [first, second] = ports.map(|port| format!("127.0.0.1:{port}"));
        let mut local = Local::start(FILE, &format!("http://{first}"), &format!("http://{second}"));
        let first = Instance::start(&first, "v1");
        local.until("is registered with Consul as web-glidepath-1");
        mesh.sidecar("web-glidepath-1").unwrap();
        local.until("revision #1 is stable: first deploy");
        let mut second = Instance::start(&second, "v2");
        second.stop();
        wait_until(PATIENCE, "v1 to answer", || ask(20, &[]).of("v1") == 20);
        Self { mesh, local, first, second }
    }

    /// The second version, up to the pause at which testers alone reach it.
    fn release_second(&mut self) {
        self.second.restart("v2");
        self.local.command(&["set", "image", "web", "web=web:v2"]);
        self.local.until("is registered with Consul as web-glidepath-2");
        self.mesh.sidecar("web-glidepath-2").unwrap();
        self.local.until("Paused  #2  step 2/6");
    }

    fn promote_to(&mut self, text: &str) {
        self.local.command(&["promote", "web"]);
        self.local.until(text);
    }

    fn weights(&self) -> [f64; 2] {
        let splitter = self.mesh.get("/v1/config/service-splitter/web").unwrap();
        [0, 1].map(|at| splitter["Splits"][at]["Weight"].as_f64().unwrap_or(0.0))
    }

    /// What the instances count of requests beside those of the users.
    fn assert_share(&self, share: f64) {
        let before = (self.first.requests(), self.second.requests());
        let tally = ask(4000, &[]);
        assert_eq!(tally.lost(), 0, "{tally:?}");
        let counted = (self.first.requests() - before.0, self.second.requests() - before.1);
        let all = counted.0 + counted.1;
        assert!(all >= 4000 && binomial_999(all, share).contains(&counted.1), "{counted:?} at {share}");
    }
}

fn ask(requests: u64, headers: &[(&str, &str)]) -> Tally {
    let plan = headers.iter().fold(plan(1000.0).limit(requests), |plan, (name, value)| plan.header(name, value));
    Load::launch(plan).finish().unwrap()
}

#[track_caller]
fn assert_all_well(tally: &Tally) {
    assert_eq!((tally.lost(), tally.status.get(&200)), (0, Some(&tally.sent)), "{tally:?}");
}

#[test]
#[ignore = "it needs Consul, which is built once in five minutes: make test-meshes"]
fn shares_and_testers_are_those_of_the_steps_and_promote_and_abort_lose_no_request() {
    let mut shop = Shop::open([7201, 7202]);
    let users = Load::launch(plan(100.0));
    shop.release_second();
    let testers = ask(2000, &[("x-canary", "true")]);
    assert_eq!((testers.lost(), testers.of("v2")), (0, 2000), "{testers:?}");
    let tally = users.tally();
    assert_eq!(tally.of("v1"), tally.answers(), "at weight 0 only testers: {tally:?}");
    for (pause, share) in [("step 4/6  10 %", 0.1), ("step 6/6  50 %", 0.5)] {
        shop.promote_to(&format!("Paused  #2  {pause}"));
        shop.assert_share(share);
        assert_eq!(ask(1000, &[("x-canary", "true")]).of("v2"), 1000);
    }
    shop.promote_to("revision #2 is stable");
    shop.local.until("is deregistered from Consul (web-glidepath-1)");
    let agent = shop.mesh.get("/v1/agent/services").unwrap();
    assert!(agent.get("web-glidepath-1").is_none() && agent.get("web-glidepath-2").is_some(), "{agent:#}");
    assert_eq!((shop.weights(), ask(500, &[]).of("v2")), ([100.0, 0.0], 500));
    assert!(shop.mesh.get("/v1/config/service-router/web").is_err(), "the header route has gone");

    shop.first.restart("v3");
    shop.local.command(&["set", "image", "web", "web=web:v3"]);
    shop.local.until("is registered with Consul as web-glidepath-1");
    shop.local.until("Paused  #3  step 2/6");
    shop.promote_to("Paused  #3  step 4/6  10 %");
    wait_until(PATIENCE, "the third version to answer", || ask(200, &[]).of("v3") > 0);
    shop.local.command(&["abort", "web"]);
    wait_until(PATIENCE, "the weights to go back", || shop.weights() == [100.0, 0.0]);
    wait_until(PATIENCE, "stable alone to answer", || ask(200, &[]).of("v2") == 200);
    shop.local.end();
    assert_eq!(ask(500, &[("x-canary", "true")]).of("v2"), 500, "without glidepath all stays as it is");
    shop.mesh.check().unwrap();
    assert_all_well(&users.stop().unwrap());
}

#[test]
#[ignore = "it needs Consul, which is built once in five minutes: make test-meshes"]
fn a_consul_that_is_away_holds_the_release_up_and_nothing_moves() {
    let mut shop = Shop::open([7211, 7212]);
    let users = Load::launch(plan(100.0));
    shop.release_second();
    shop.promote_to("Paused  #2  step 4/6  10 %");
    shop.mesh.kill_agent();
    shop.local.until("cannot reach Consul at http://127.0.0.1:8500 (connection refused)");
    shop.local.attempt(&["promote", "web"]);
    let status = shop.local.command(&["status", "web"]);
    assert!(status.contains("cannot reach Consul at http://127.0.0.1:8500"), "{status}");
    shop.assert_share(0.1);
    assert_all_well(&users.stop().unwrap());
    // An agent that starts takes every instance for critical until it has looked: its own outage, of up to ten seconds.
    shop.mesh.start_agent().unwrap();
    shop.local.until("Paused  #2  step 6/6  50 %");
    shop.mesh.wait_for_instances(2).unwrap();
    wait_until(PATIENCE, "both versions to answer", || {
        let tally = ask(200, &[]);
        tally.lost() == 0 && tally.of("v2") > 60
    });
    shop.assert_share(0.5);
    shop.promote_to("revision #2 is stable");
    wait_until(PATIENCE, "v2 to answer alone", || ask(200, &[]).of("v2") == 200);
    shop.local.end();
    shop.mesh.check().unwrap();
}
