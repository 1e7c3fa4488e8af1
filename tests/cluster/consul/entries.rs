//! What our writes rely on, as the real agent does it: conflicts and writes that change nothing, which answer with success,
//! and config entries that Envoy follows.

use super::Mesh;
use super::instance::Instance;
use super::mesh::{UPSTREAM, plan};
use crate::http::get;
use crate::limits::binomial_999;
use crate::load::Load;
use crate::wait::wait_until;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn instance(version: &str, address: std::net::SocketAddr, port: u16) -> Value {
    json!({
        "ID": format!("web-{version}"), "Name": "web", "Address": "127.0.0.1", "Port": address.port(),
        "Meta": {"version": version},
        "Connect": {"SidecarService": {
            "Port": port, "Address": "127.0.0.1", "Meta": {"version": version},
            "Checks": [{"Name": "up", "TCP": format!("127.0.0.1:{port}"), "Interval": "1s"}],
        }},
    })
}

fn splitter(stable: u32, canary: u32) -> Value {
    let splits =
        [("v1", stable), ("v2", canary)].map(|(subset, weight)| json!({"Weight": weight, "ServiceSubset": subset}));
    json!({"Kind": "service-splitter", "Name": "web", "Splits": splits})
}

#[test]
#[ignore = "it needs Consul, which is built once in five minutes: make test-meshes"]
fn conflicts_and_writes_without_a_change_answer_with_success_and_envoy_follows_the_entries() {
    let mut mesh = Mesh::start().unwrap();
    let (v1, v2) = (Instance::start("127.0.0.1:7101", "v1"), Instance::start("127.0.0.1:7102", "v2"));
    for (version, port, running) in [("v1", 21_001, &v1), ("v2", 21_002, &v2)] {
        mesh.register(&instance(version, running.address, port)).unwrap();
        mesh.sidecar(&format!("web-{version}")).unwrap();
    }
    mesh.write(&json!({"Kind": "service-defaults", "Name": "web", "Protocol": "http"})).unwrap();
    let subset = |version: &str| json!({"Filter": format!("Service.Meta.version == {version}"), "OnlyPassing": true});
    let subsets = json!({"v1": subset("v1"), "v2": subset("v2")});
    mesh.write(&json!({"Kind": "service-resolver", "Name": "web", "DefaultSubset": "v1", "Subsets": subsets})).unwrap();
    mesh.write(&splitter(90, 10)).unwrap();
    let tester = json!({"HTTP": {"Header": [{"Name": "x-cohort", "Exact": "beta"}]}});
    let routes = json!([{"Match": tester, "Destination": {"Service": "web", "ServiceSubset": "v2"}}]);
    mesh.write(&json!({"Kind": "service-router", "Name": "web", "Routes": routes})).unwrap();
    mesh.wait_for_instances(2).unwrap();

    let index = |mesh: &Mesh| mesh.get("/v1/config/service-splitter/web").unwrap()["ModifyIndex"].as_u64().unwrap();
    let first = index(&mesh);
    mesh.write(&splitter(90, 10)).unwrap();
    assert_eq!(index(&mesh), first, "a write of what is there is no change");
    mesh.write(&splitter(91, 9)).unwrap();
    for stale in [first, 0] {
        let reply = mesh.put(&format!("/v1/config?cas={stale}"), &splitter(0, 100)).unwrap();
        assert_eq!((reply.status, reply.body.trim()), (200, "false"), "a conflict is no HTTP error");
    }
    mesh.write(&splitter(90, 10)).unwrap();

    let ask = |requests: u64, headers: &[(&str, &str)]| {
        let plan = headers.iter().fold(plan(1000.0).limit(requests), |plan, (name, value)| plan.header(name, value));
        Load::launch(plan).finish().unwrap()
    };
    wait_until(Duration::from_secs(30), "testers to reach v2", || ask(20, &[("x-cohort", "beta")]).of("v2") == 20);
    let before = (v1.requests(), v2.requests());
    let tally = ask(4000, &[]);
    let counted = (v1.requests() - before.0, v2.requests() - before.1);
    assert_eq!((tally.lost(), counted.0 + counted.1), (0, 4000), "{tally:?}");
    assert!(binomial_999(4000, 0.1).contains(&counted.1), "{counted:?} of 4000 at 10 %");
    assert_eq!(ask(1000, &[("x-cohort", "beta")]).of("v2"), 1000);
    println!("write of a splitter to the first answer of the other version: {:?}", propagation(&mesh));
    mesh.check().unwrap();
}

/// How long each of some flips takes until an answer says so.
fn propagation(mesh: &Mesh) -> Vec<Duration> {
    let flip = |round: u32| {
        let (weights, version) = if round.is_multiple_of(2) { ((0, 100), "v2") } else { ((100, 0), "v1") };
        mesh.write(&splitter(weights.0, weights.1)).unwrap();
        let written = Instant::now();
        wait_until(Duration::from_secs(30), "the other version to answer", || {
            let reply = get(&format!("http://{UPSTREAM}/"), &[]).unwrap();
            reply.headers.iter().any(|(name, value)| name == "x-version" && value == version)
        });
        written.elapsed()
    };
    let mut all: Vec<Duration> = (0..6).map(flip).collect();
    all.sort();
    all
}
