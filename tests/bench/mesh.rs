//! Mesh policies: the plan of one among a hundred, and the check of a thousand callers.

use std::hint::black_box;

use criterion::Criterion;
use glidepath::{
    api::MeshPolicy,
    mesh::{
        Facts, MeshKind,
        check::{Caller, Identity},
        check_service, mesh, plan,
    },
    router::Objects,
};
use serde_json::{Value, json};

/// Services of the namespace, each with a workload, a policy and a DestinationRule of the user's.
const SERVICES: usize = 100;
const CALLERS: usize = 1000;

pub fn benchmarks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mesh");
    let istio = mesh("istio").unwrap();
    let (facts, before) = namespace();
    let policy: MeshPolicy = serde_json::from_value(policy(0)).unwrap();
    let planned = plan(istio, &policy, &facts, &before);
    assert!(planned.is_clear() && planned.writes.len() == 5, "{planned:?}");
    let after = planned.after(&before);
    for (name, objects, pending) in [("plan: a new policy", &before, 5), ("plan: the policy that it has", &after, 0)] {
        assert_eq!(writes(istio, &policy, &facts, objects), pending, "{name}");
        group.bench_function(name, |bencher| bencher.iter(|| writes(istio, black_box(&policy), &facts, objects)));
    }
    let service = facts.service("shop", "web-0").unwrap();
    let check = |callers: Vec<Caller>| check_service(istio, service, &facts, &after, callers).unwrap();
    let checked = check(callers());
    assert_eq!(checked.callers.len(), CALLERS);
    group.bench_function("check: 1,000 callers", |bencher| bencher.iter(|| check(black_box(callers()))));
    group.finish();
}

/// How many writes are to be made.
fn writes(istio: &'static MeshKind, policy: &MeshPolicy, facts: &Facts, objects: &Objects) -> usize {
    plan(istio, policy, facts, objects).pending(objects).len()
}

fn namespace() -> (Facts, Objects) {
    let (mut facts, mut objects) = (Facts::default(), Objects::default());
    for index in 0..SERVICES {
        let metadata = json!({"namespace": "shop", "name": format!("web-{index}")});
        let labels = json!({"app": format!("web-{index}")});
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"port": 80, "name": "http"}]}});
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {"template": {"metadata": {"labels": labels}, "spec": {"serviceAccountName": format!("web-{index}")}}}});
        [service, deployment, policy(index)].iter().for_each(|object| facts.add(object));
        objects.insert(json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": metadata,
            "spec": {"host": format!("web-{index}"), "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}}));
    }
    (facts, objects)
}

fn policy(index: usize) -> Value {
    json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "MeshPolicy",
        "metadata": {"namespace": "shop", "name": format!("policy-{index}")},
        "spec": {"target": {"service": format!("web-{index}")}, "profile": "prod",
            "connections": {"maxConnections": 100},
            "authorization": {"allow": [{"from": [{"service": "web-1"}, {"namespace": "tools"}]}]}}})
}

fn callers() -> Vec<Caller> {
    let caller = |index: usize| Caller {
        workload: format!("shop/web-{index}"),
        identity: Identity::of(&format!("spiffe://cluster.local/ns/shop/sa/web-{index}")),
        is_mutual: true,
        address: None,
        port: None,
        is_http: true,
        count: 10.0,
        last_seen: None,
    };
    (0..CALLERS).map(caller).collect()
}
